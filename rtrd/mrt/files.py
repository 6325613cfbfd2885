"""The octets of a dump, whatever it is packed with.

Packing is told by the first octets, else by the name's ending. Zstandard, which Python has only since 3.14, is
unpacked by the program `zstd`.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from rtrd.base.files import open_file
from rtrd.base.text import printable
from rtrlib.children import LastWords

_MAGIC: Final = {b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\x28\xb5\x2f\xfd": ".zst", b"\xfd7zXZ": ".xz"}


class DumpError(Exception):
    """A dump can't be read, or not to its end: ``PATH: what``."""


class Octets(Protocol):
    """A file that is read from its beginning to its end."""

    def read(self, n: int, /) -> bytes:
        """Give the next octets, at most n; none at the end."""


@contextlib.contextmanager
def unpacked(path: Path) -> Iterator[Octets]:
    """Open a dump to read what is in it. Raises DumpError, also for what happens while it is read."""
    try:
        with io.BufferedReader(open_file(path), 1 << 18) as file:
            kind = next((kind for magic, kind in _MAGIC.items() if file.peek(8).startswith(magic)), path.suffix)
            with _opened(path, file, kind) as inside:
                yield inside
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DumpError(f"{path}: {what}") from error


@contextlib.contextmanager
def _opened(path: Path, file: io.BufferedReader[io.FileIO], kind: str) -> Iterator[Octets]:
    if kind == ".gz":
        with gzip.GzipFile(fileobj=file) as inside:
            yield inside
    elif kind == ".bz2":
        with bz2.BZ2File(file) as inside:
            yield inside
    elif kind == ".xz":
        with lzma.LZMAFile(file) as inside:
            yield inside
    elif kind == ".zst":
        with contextlib.closing(_Zstd(path, file)) as inside:
            yield inside
    else:
        yield file


class _Zstd:
    """What `zstd` makes of a file."""

    def __init__(self, path: Path, file: io.BufferedReader[io.FileIO]) -> None:
        file.raw.seek(0)
        self._path = path
        try:
            self._process = subprocess.Popen(
                ["zstd", "-dcq"], stdin=file.fileno(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except FileNotFoundError as error:
            what = "it is packed with Zstandard, and zstd is missing: apt install zstd"
            raise DumpError(f"{path}: {what}") from error

    def read(self, n: int) -> bytes:
        """Give the next octets; none at the end, if it went well."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        octets = self._process.stdout.read(n)
        if not octets:
            words = LastWords()
            words.add(self._process.stderr.read())
            if self._process.wait() != 0:
                raise DumpError(printable(f"{self._path}: zstd can't unpack it: {words}", 400))
        return octets

    def close(self) -> None:
        """End the program, wherever it is."""
        self._process.kill()
        self._process.communicate()
