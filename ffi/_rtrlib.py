"""librtr by its own names, for programs that know its faults: `from _rtrlib import ffi, lib`.

This is rtrlib-python's name for it. rtrlib itself uses the compiled module, `_librtr`.
"""

import sys

from rtrlib.callbacks import ffi, lib

__all__ = ["ffi", "lib"]

# For `from _rtrlib.lib import rtr_mgr_init`, as every module of cffi has it.
sys.modules[f"{__name__}.lib"] = lib  # type: ignore[assignment]
