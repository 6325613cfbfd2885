"""Makes the builders of the C extensions: their sources, and what of the headers Python may use.

`python ffi/build_rov.py FOLDER` builds a copy into a folder, with the flags of RTRD_CFLAGS: for the sanitizers.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from cffi import FFI

NATIVE = Path(__file__).resolve().parent / "native"
# A header shows Python what follows the first of these lines, up to the second one or to the header's own #endif.
SHOWN = "/* ---- Python sees this ---- */\n"
HIDDEN = "/* ---- only C sees this ---- */\n"
FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-O3", "-g"]
# What Debian's hardening asks of a library; not with a sanitizer, which finds more by itself.
HARDENED = ["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2", "-fstack-protector-strong"]
LINKED = ["-Wl,-z,relro", "-Wl,-z,now"]
GLUE = ["-Wno-unused-parameter", "-Wno-missing-field-initializers"]  # cffi's own is not ours to mend


def declarations(*headers: str) -> str:
    """Collect what the headers, and the headers of ours that they include, show Python: text that cffi takes."""
    shown: dict[str, str] = {}
    for header in headers:
        _collect(header, shown)
    return "".join(shown.values())


def _collect(header: str, shown: dict[str, str]) -> None:
    if header in shown:
        return
    text = (NATIVE / header).read_text(encoding="utf-8")
    for included in re.findall(r'^#include "(.*)"', text, re.MULTILINE):
        _collect(included, shown)
    parts = [part.split(HIDDEN)[0] for part in text.removesuffix("\n#endif\n").split(SHOWN)[1:]]
    code = re.sub(r"/\*.*?\*/", "", "".join(parts), flags=re.DOTALL)
    code = re.sub(r"^_Static_assert\(.*?\);$", "", code, flags=re.DOTALL | re.MULTILINE)
    # cffi takes plain numbers; what else a constant is, the compiler tells it.
    code = re.sub(r"^(#define \w+) (\d+)u? *$", r"\1 \2", code, flags=re.MULTILINE)
    shown[header] = re.sub(r"^(#define \w+) (?!\d+$).*$", r"\1 ...", code, flags=re.MULTILINE)


def make_builder(
    name: str, folders: list[str], headers: list[str], native: str, *, cdef: str = "", code: str = "", **more: Any
) -> FFI:
    """Make the builder of module `name` from the C files of `folders`, with what `headers` show and `cdef` adds.

    `native` is ffi/native as setuptools or a compiler in another folder finds it. Warnings fail the build only in CI: a
    stranger's newer compiler may know more of them.
    """
    files = sorted(str(path.relative_to(NATIVE)) for folder in folders for path in (NATIVE / folder).iterdir())
    extra = os.environ.get("RTRD_CFLAGS", "").split()
    builder = FFI()
    builder.cdef(cdef + declarations(*headers))
    builder.set_source(
        name,
        code + "".join(f'#include "{header}"\n' for header in headers),
        sources=[f"{native}/{file}" for file in files if file.endswith(".c")],
        depends=[f"{native}/{file}" for file in files if file.endswith(".h")],
        include_dirs=[native, *more.pop("include_dirs", [])],
        extra_compile_args=[
            *FLAGS,
            *GLUE,
            *(["-Werror"] if os.environ.get("CI") else []),
            *(extra or HARDENED),
        ],
        extra_link_args=extra or LINKED,
        **more,
    )
    return builder


def compile_into_argument(builder: FFI) -> None:
    """Compile it into the folder that is the program's argument."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} FOLDER (make venv builds the one that is used)")
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    builder.compile(tmpdir=str(folder))
