# The reference is ffi/rov.cdef.

from typing import Any

ffi: Any
lib: Any
