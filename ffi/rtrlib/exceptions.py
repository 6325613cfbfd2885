"""What can go wrong, as exceptions; nothing else in or out."""

from __future__ import annotations

__all__ = ["IpConversionException", "PFXException", "RTRInitError", "SyncTimeout"]


class RTRInitError(Exception):
    """The options of a manager are wrong, or librtr does not start; the text says what was expected."""


class PFXException(Exception):  # noqa: N818 - the name that rtrlib-python's users know
    """librtr's prefix table refuses an operation."""


class SyncTimeout(Exception):  # noqa: N818 - the name that rtrlib-python's users know
    """No cache delivered a complete set of VRPs in the time given."""


class IpConversionException(ValueError):  # noqa: N818 - the name that rtrlib-python's users know
    """A text that is no IP address."""
