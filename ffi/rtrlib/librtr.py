"""The extension module over librtr; where that is missing, a sentence says what to install.

Import it only where librtr is used: the rest of rtrlib works without.
"""

from __future__ import annotations

from typing import Final

from rtrlib.exceptions import LibrtrMissingError

try:
    import _librtr
    from _librtr import ffi, lib
except ModuleNotFoundError as error:
    if error.name != "_librtr":
        raise
    raise LibrtrMissingError('rtrlib was built without librtr: engine="native" needs none') from None
except ImportError as error:
    if "librtr.so" not in str(error):
        raise
    raise LibrtrMissingError("librtr.so.0 is missing: apt install librtr0") from None

__all__ = ["FILE", "_librtr", "ffi", "lib"]

FILE: Final[str | None] = _librtr.__file__
"""Where the extension is."""
