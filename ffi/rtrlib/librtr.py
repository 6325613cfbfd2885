"""The extension module over librtr; where the library is missing, a sentence says what to install."""

from __future__ import annotations

from typing import Final

from rtrlib.exceptions import LibrtrMissingError

try:
    import _rtrlib
    from _rtrlib import ffi, lib
except ImportError as error:
    if "librtr.so" not in str(error):
        raise
    raise LibrtrMissingError("librtr.so.0 is missing: apt install librtr0") from None

__all__ = ["FILE", "_rtrlib", "ffi", "lib"]

FILE: Final[str | None] = _rtrlib.__file__
"""Where the extension is."""
