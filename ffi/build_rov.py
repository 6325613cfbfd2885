"""ffi/native in, the extension module `_rov` out: the VRP set and the route table.

`python ffi/build_rov.py FOLDER` builds a copy into a folder, with the flags of RTRD_CFLAGS: for the sanitizers.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
SOURCES = [
    "prefix.c",
    "order.c",
    "filters.c",
    "lens.c",
    "vrp_list.c",
    "vrpset.c",
    "steps.c",
    "proposed.c",
    "validity.c",
    "batch.c",
    "index.c",
    "attrs.c",
    "round.c",
    "routes.c",
    "neighbors.c",
    "updates.c",
    "events.c",
    "json.c",
    "facts.c",
    "line.c",
    "recheck.c",
    "places.c",
    "outbox.c",
    "whatif.c",
    "standing.c",
]
HEADERS = [
    "vrp.h",
    "prefix.h",
    "order.h",
    "filters.h",
    "lens.h",
    "vrpset.h",
    "vrpset_table.h",
    "index.h",
    "attrs.h",
    "round.h",
    "routes.h",
    "routes_table.h",
    "whatif.h",
    "json.h",
    "facts.h",
    "siphash.h",
]
WARNINGS = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror"]
# cffi's own glue is not ours to mend.
GLUE = ["-Wno-unused-parameter", "-Wno-missing-field-initializers"]
EXTRA = os.environ.get("RTRD_CFLAGS", "").split()


def make_builder(native: str) -> FFI:
    """Give the builder; `native` is the folder of the C sources (setuptools wants it relative to the project)."""
    builder = FFI()
    builder.cdef((HERE / "rov.cdef").read_text(encoding="utf-8"))
    builder.set_source(
        "_rov",
        '#include "vrpset.h"\n#include "routes.h"\n#include "prefix.h"\n#include "order.h"\n#include "whatif.h"\n',
        sources=[f"{native}/{name}" for name in SOURCES],
        include_dirs=[native],
        depends=[f"{native}/{name}" for name in HEADERS],
        extra_compile_args=[*WARNINGS, *GLUE, "-O2", "-g", *EXTRA],
        extra_link_args=EXTRA,
    )
    return builder


ffibuilder = make_builder("ffi/native")

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: build_rov.py FOLDER (make venv builds the one that is used)")
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    make_builder(str(HERE / "native")).compile(tmpdir=str(folder))
