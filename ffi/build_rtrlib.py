"""rtrlib.cdef and native/*.c in, the extension module `_rtrlib` (cffi, API mode, Debian's librtr 0.8) out.

Run by setup.py; run by itself it compiles into the project's folder, for development.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
WANTED = (0, 8)
SOURCES = ("queue.c", "connect.c", "feed.c")
HEADERS = ("vrp.h", "queue.h", "connect.h", "feed.h")
WARNINGS = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror"]
# cffi's own glue is not ours to mend.
GLUE = ["-Wno-unused-parameter", "-Wno-missing-field-initializers"]


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


def builder() -> FFI:
    """Make the module's builder; MissingLibraryError when librtr or its header is absent or not 0.8."""
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
        '#include <stdlib.h>\n#include <rtrlib/rtrlib.h>\n#include "queue.h"\n#include "feed.h"\n',
        # Relative to the project's folder, as setuptools wants them.
        sources=[f"ffi/native/{name}" for name in SOURCES],
        depends=[f"ffi/native/{name}" for name in HEADERS],
        include_dirs=["ffi/native", *includes],
        libraries=[lib[2:] for lib in libs if lib.startswith("-l")],
        library_dirs=[lib[2:] for lib in libs if lib.startswith("-L")],
        extra_compile_args=[*WARNINGS, *GLUE, "-O2", "-g", *extra],
        extra_link_args=extra,
    )
    return ffi


ffibuilder = builder()

if __name__ == "__main__":
    os.chdir(HERE.parent)
    ffibuilder.compile(tmpdir=".", verbose=True)
