"""Builds the extension module `_librtr` for Debian's librtr 0.8: librtr's own API and ffi/native/librtr."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from cffi import FFI

from native_build import NATIVE, compile_into_argument, make_builder

WANTED = (0, 8)

# The types of the C library that librtr's headers name; `...` is the compiler's to fill in.
TYPES = """
typedef int... time_t;
typedef ... FILE;
typedef struct { ...; } pthread_rwlock_t;
typedef struct { ...; } pthread_mutex_t;
typedef unsigned long pthread_t;
"""

# What librtr's headers don't declare. pfx_table_validate_r allocates what the caller frees. The callbacks are those of
# rtrlib-python: for_each calls the first in the caller's own thread, with a handle of (callback, data), and
# rtrlib.callbacks defines it. The others are for whoever defines them (ffi.def_extern): librtr calls them on its own
# threads, which it cancels, with its locks held. rtrlib itself never uses them.
MORE = """
#define SKI_SIZE ...
#define SPKI_SIZE ...
void free(void *);
const char *gai_strerror(int);
extern "Python" void pfx_table_callback(const struct pfx_record *, void *);
extern "Python" void pfx_update_callback(struct pfx_table *, const struct pfx_record, const bool);
extern "Python" void spki_update_callback(struct spki_table *, const struct spki_record, const bool);
extern "Python" void rtr_mgr_status_callback(const struct rtr_mgr_group *, enum rtr_mgr_status,
                                             const struct rtr_socket *, void *);
int have_ssh(void);
"""

PREAMBLE = """
#include <netdb.h>
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
    advice = (
        "On Debian and Ubuntu: apt-get install librtr-dev pkg-config\n"
        'With RTRLIB_WITHOUT_LIBRTR=1 in the environment rtrlib is built for engine="native" alone, which needs none.'
    )
    try:
        done = subprocess.run(["pkg-config", *options, "rtrlib"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise MissingLibraryError(f"pkg-config, which finds librtr, is not installed. {advice}") from None
    if done.returncode:
        raise MissingLibraryError(f"librtr's headers are missing: {done.stderr.strip()}\n{advice}")
    return done.stdout.strip()


def librtr_declarations(cflags: list[str]) -> str:
    """Give what librtr's own headers declare, as the compiler sees it, less what they include of the system."""
    argv = ["cc", *cflags, "-E", "-"]
    source = "#include <rtrlib/rtrlib.h>\n"
    lines = subprocess.run(argv, input=source, capture_output=True, text=True, check=True).stdout.splitlines()
    theirs = False
    shown = []
    for line in lines:
        if at := re.match(r'# \d+ "(.*?)"', line):
            theirs = "/rtrlib/" in at[1]
        elif theirs:
            shown.append(line)
    return "\n".join(shown)


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
        "_librtr",
        ["librtr"],
        ["librtr/queue.h", "librtr/session.h"],
        native,
        cdef=TYPES + librtr_declarations(flags) + MORE,
        code=PREAMBLE,
        include_dirs=includes,
        libraries=[lib[2:] for lib in libs if lib.startswith("-l")],
        library_dirs=[lib[2:] for lib in libs if lib.startswith("-L")],
    )


ffibuilder = make("native")  # relative to this folder, as setuptools wants it

if __name__ == "__main__":
    compile_into_argument(make(str(NATIVE)))
