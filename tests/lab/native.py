"""A file of the C core by itself, compiled with the checks that a product build leaves out."""

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest
from cffi import FFI

from tests.lab import ROOT

# `make sanitize` says which; what needs no library beside Python is always on.
CHECKS = os.environ.get("RTRD_CFLAGS", "-fsanitize=undefined -fno-sanitize-recover").split()
NATIVE = ROOT / "ffi" / "native"


def compiled(
    folders: pytest.TempPathFactory, cdef: str, source: str, *files: str, options: tuple[str, ...] = ()
) -> ModuleType:
    """Compile files of ffi/native with this source, and import what is made; its functions are those of `cdef`."""
    folder = folders.mktemp("native")
    name = f"_{Path(files[0]).stem}_under_test"
    builder = FFI()
    builder.cdef(cdef)
    builder.set_source(
        name,
        source,
        sources=[str(NATIVE / file) for file in files],
        include_dirs=[str(NATIVE)],
        extra_compile_args=["-std=c11", "-D_GNU_SOURCE", *options, *CHECKS, "-O1"],
        extra_link_args=CHECKS,
    )
    spec = importlib.util.spec_from_file_location(name, builder.compile(str(folder)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
