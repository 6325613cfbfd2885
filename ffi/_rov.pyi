# The extension module that ffi/build_rov.py makes of ffi/native/{base,vrps,rib,exabgp}.

from typing import Any

ffi: Any
lib: Any
