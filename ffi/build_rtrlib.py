"""rtrlib.cdef and native/*.c in, the extension module `_rtrlib` (cffi, API mode, Debian's librtr 0.8) out.

Run by setup.py; run by itself it compiles into the folder that is its argument.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
WANTED = (0, 8)
SOURCES = ("librtr/queue.c", "librtr/connect.c", "librtr/faults.c", "librtr/transport.c", "librtr/session.c")
HEADERS = (
    "vrps/vrp.h",
    "librtr/queue.h",
    "librtr/connect.h",
    "librtr/faults.h",
    "librtr/transport.h",
    "librtr/session.h",
)
WARNINGS = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror"]
# cffi's own glue is not ours to mend.
GLUE = ["-Wno-unused-parameter", "-Wno-missing-field-initializers"]

PREAMBLE = """
#include <stdlib.h>
#include <rtrlib/rtrlib.h>
#include "librtr/queue.h"
#include "librtr/session.h"

static int have_ssh(void)
{
#ifdef RTRLIB_HAVE_LIBSSH
    return 1;
#else
    return 0;
#endif
}
"""


class MissingLibraryError(SystemExit):
    """librtr cannot be found; the text says how to mend that."""


def pkg_config(*options: str) -> str:
    """Run `pkg-config OPTIONS rtrlib`; MissingLibraryError when it knows nothing of librtr."""
    advice = "On Debian and Ubuntu: apt-get install librtr-dev pkg-config"
    try:
        done = subprocess.run(["pkg-config", *options, "rtrlib"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise MissingLibraryError(f"pkg-config, which finds librtr, is not installed. {advice}") from None
    if done.returncode:
        raise MissingLibraryError(f"librtr's headers are missing: {done.stderr.strip()}\n{advice}")
    return done.stdout.strip()


def make_builder(native: str) -> FFI:
    """Make the module's builder, with the sources in folder `native`; MissingLibraryError when librtr 0.8 is absent."""
    version = pkg_config("--modversion")
    if tuple(int(part) for part in version.split(".")[:2]) != WANTED:
        raise MissingLibraryError(f"librtr {version} is here, but this is for 0.8 (Debian 12: librtr-dev)")
    flags = shlex.split(pkg_config("--cflags"))
    includes = [flag[2:] for flag in flags if flag.startswith("-I")]
    libs = shlex.split(pkg_config("--libs"))
    roots = [Path(root) for root in [*includes, "/usr/include", "/usr/local/include"]]
    if not any((root / "rtrlib" / "rtrlib.h").is_file() for root in roots):
        raise MissingLibraryError(
            "rtrlib/rtrlib.h is missing. On Debian and Ubuntu: apt-get install --reinstall librtr-dev"
        )
    extra = os.environ.get("RTRD_CFLAGS", "").split()
    ffi = FFI()
    ffi.cdef((HERE / "rtrlib.cdef").read_text(encoding="utf-8"))
    ffi.set_source(
        "_rtrlib",
        PREAMBLE,
        sources=[f"{native}/{name}" for name in SOURCES],
        depends=[f"{native}/{name}" for name in HEADERS],
        include_dirs=[native, *includes],
        libraries=[lib[2:] for lib in libs if lib.startswith("-l")],
        library_dirs=[lib[2:] for lib in libs if lib.startswith("-L")],
        extra_compile_args=[*WARNINGS, *GLUE, "-O2", "-g", *extra],
        extra_link_args=extra,
    )
    return ffi


# Relative to the project's folder, as setuptools wants it.
ffibuilder = make_builder("ffi/native")

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: build_rtrlib.py FOLDER (make venv builds the one that is used)")
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    make_builder(str(HERE / "native")).compile(tmpdir=str(folder))
