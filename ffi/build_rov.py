"""ffi/native in, the extension module `_rov` out: the VRP set and the route table."""

from __future__ import annotations

import os
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
SOURCES = ["prefix.c", "vrpset.c", "index.c", "attrs.c", "routes.c", "outbox.c"]
WARNINGS = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror"]
# cffi's own glue is not ours to mend.
GLUE = ["-Wno-unused-parameter", "-Wno-missing-field-initializers"]

ffibuilder = FFI()
ffibuilder.cdef((HERE / "rov.cdef").read_text(encoding="utf-8"))
ffibuilder.set_source(
    "_rov",
    '#include "vrpset.h"\n#include "routes.h"\n#include "prefix.h"\n',
    # Relative to the project's folder, as setuptools wants them.
    sources=[f"ffi/native/{name}" for name in SOURCES],
    include_dirs=["ffi/native"],
    extra_compile_args=[*WARNINGS, *GLUE, "-O2", "-g", *os.environ.get("RTRD_CFLAGS", "").split()],
    extra_link_args=os.environ.get("RTRD_CFLAGS", "").split(),
    depends=[f"ffi/native/{name}" for name in ("vrp.h", "vrpset.h", "index.h", "attrs.h", "routes.h", "prefix.h")],
)

if __name__ == "__main__":
    os.chdir(HERE.parent)
    ffibuilder.compile(tmpdir=".", verbose=True)
