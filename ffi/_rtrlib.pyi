# The extension module that ffi/build_rtrlib.py makes: librtr 0.8.0 and ffi/native/librtr/session.h, raw.

from typing import Any

ffi: Any
lib: Any
