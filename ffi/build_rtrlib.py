"""Builds the extension module `_rtrlib` for Debian's librtr 0.8: librtr's own API and ffi/native/librtr."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent))
from native_build import NATIVE, compile_into_argument, make_builder

if TYPE_CHECKING:
    from cffi import FFI

WANTED = (0, 8)

PREAMBLE = """
#include <stdlib.h>
#include <rtrlib/rtrlib.h>

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


def make(native: str) -> FFI:
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
    return make_builder(
        "_rtrlib",
        ["librtr"],
        ["librtr/queue.h", "librtr/session.h"],
        native,
        cdef=(NATIVE.parent / "rtrlib.cdef").read_text(encoding="utf-8"),
        code=PREAMBLE,
        include_dirs=includes,
        libraries=[lib[2:] for lib in libs if lib.startswith("-l")],
        library_dirs=[lib[2:] for lib in libs if lib.startswith("-L")],
    )


ffibuilder = make("ffi/native")  # relative to the project's folder, as setuptools wants it

if __name__ == "__main__":
    compile_into_argument(make(str(NATIVE)))
