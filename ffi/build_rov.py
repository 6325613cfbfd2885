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
    "base/prefix.c",
    "vrps/rtr_order.c",
    "vrps/filters.c",
    "vrps/lengths.c",
    "vrps/vrp_list.c",
    "vrps/vrpset.c",
    "vrps/apply.c",
    "vrps/pending.c",
    "vrps/validate.c",
    "vrps/validate_batch.c",
    "rib/index.c",
    "rib/attrs.c",
    "rib/written_set.c",
    "rib/rib.c",
    "rib/neighbors.c",
    "rib/receive.c",
    "rib/changes.c",
    "exabgp/json.c",
    "exabgp/attributes.c",
    "exabgp/update.c",
    "rib/revalidate.c",
    "rib/select.c",
    "rib/outbox.c",
    "rib/whatif.c",
    "rib/previous_run.c",
]
HEADERS = [
    "vrps/vrp.h",
    "base/prefix.h",
    "vrps/rtr_order.h",
    "vrps/filters.h",
    "vrps/lengths.h",
    "vrps/vrpset.h",
    "vrps/vrpset_table.h",
    "rib/index.h",
    "rib/attrs.h",
    "rib/written_set.h",
    "rib/rib.h",
    "rib/rib_private.h",
    "rib/whatif.h",
    "exabgp/json.h",
    "exabgp/attributes.h",
    "base/siphash.h",
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
        '#include "vrps/vrpset.h"\n#include "rib/rib.h"\n#include "base/prefix.h"\n'
        '#include "vrps/rtr_order.h"\n#include "rib/whatif.h"\n',
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
