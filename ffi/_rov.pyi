"""What mypy may know of the compiled module; ffi/rov.cdef is the reference."""

from typing import Any

ffi: Any
lib: Any
