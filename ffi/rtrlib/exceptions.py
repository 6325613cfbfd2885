"""The exceptions of rtrlib."""

from __future__ import annotations

__all__ = [
    "AddressTypeError",
    "IpConversionException",
    "LibrtrMissingError",
    "OptionTypeError",
    "PFXException",
    "RTRInitError",
    "RTRlibException",
    "SyncTimeout",
]


class RTRlibException(Exception):  # noqa: N818 - the name that rtrlib-python's users know
    """Every exception of this module is one of these."""


class RTRInitError(RTRlibException):
    """The options of a manager are wrong, or librtr does not start; the text says what was expected."""


class OptionTypeError(RTRInitError, TypeError):
    """An option of a manager, a group or a server is of a type that can't work; the text says what was expected."""


class PFXException(RTRlibException):
    """librtr's prefix table refuses an operation."""


class SyncTimeout(RTRlibException):
    """No cache delivered a complete set of VRPs in the time given."""


class IpConversionException(RTRlibException, ValueError):  # noqa: N818 - the name that rtrlib-python's users know
    """A text that is not an IP address."""


class AddressTypeError(IpConversionException, TypeError):
    """What is given as an IP address is of no type that could be one."""


class LibrtrMissingError(RTRInitError, ImportError):
    """A cache is to be spoken with by librtr, which is not installed; the text says how to mend that."""
