"""Enums with librtr's numbers and the names that rtrlib-python gave them."""

from __future__ import annotations

import enum

__all__ = ["LibrtrEnum"]


class LibrtrEnum(enum.IntEnum):
    """An enum of librtr: equal to its number, and printed as `PfxvState.valid` is, not as a bare number."""

    def __str__(self) -> str:
        return f"{type(self).__name__}.{self.name}"

    def __bool__(self) -> bool:
        """Tell that there is one, as rtrlib-python's were true, whatever their number."""
        return True

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)
