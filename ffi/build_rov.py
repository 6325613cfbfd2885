"""Builds the extension module `_rov`: the VRP set, ASPAs, the RIB, BGP and RTR, from the folders of ffi/native."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from cffi import FFI

from native_build import NATIVE, compile_into_argument, make_builder


def make(native: str) -> FFI:
    """Make the module's builder, with the sources in folder `native`."""
    return make_builder(
        "_rov",
        ["base", "vrps", "aspas", "rib", "bgp", "rtr"],
        [
            "base/prefix.h",
            "vrps/vrpset.h",
            "vrps/vrp_twins.h",
            "vrps/rtr_order.h",
            "vrps/vrp_lines.h",
            "aspas/aspas.h",
            "aspas/path.h",
            "rib/rib.h",
            "rib/whatif.h",
            "bgp/receive.h",
            "bgp/lines.h",
            "bgp/table_dump.h",
            "rtr/prefixes.h",
            "rtr/aspa_pdus.h",
            "rtr/aspas.h",
        ],
        native,
    )


ffibuilder = make("native")  # relative to this folder, as setuptools wants it

if __name__ == "__main__":
    compile_into_argument(make(str(NATIVE)))
