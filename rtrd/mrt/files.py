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
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Protocol

from rtrd.base.files import open_file
from rtrd.base.text import printable
from rtrlib.children import LastWords

_MAGIC: Final = {b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\x28\xb5\x2f\xfd": ".zst", b"\xfd7zXZ": ".xz"}
_PIECE: Final = 1 << 16


class DumpError(Exception):
    """A dump can't be read, or not to its end: ``PATH: what``."""


class PackedError(Exception):
    """What is packed can't be unpacked, or not further; the text says why."""


class Octets(Protocol):
    """A file that is read from its beginning to its end."""

    def read(self, n: int, /) -> bytes:
        """Give the next octets, at most n; none at the end. PackedError."""


class _Unpacker(Protocol):
    """What unpacks one of the forms that Python knows."""

    def read1(self, size: int, /) -> bytes: ...


class _Decompressor(Protocol):
    """What unpacks one stream, as it is fed."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


@contextlib.contextmanager
def unpacked(path: Path) -> Iterator[Octets]:
    """Open a dump to read what is in it. Raises DumpError, also for what happens to the file while it is read."""
    try:
        with io.BufferedReader(open_file(path), 1 << 18) as file:
            kind = next((kind for magic, kind in _MAGIC.items() if file.peek(8).startswith(magic)), path.suffix)
            with _opened(path, file, kind) as inside:
                yield inside
    except OSError as error:
        raise DumpError(f"{path}: {error.strerror or error}") from error


@contextlib.contextmanager
def _opened(path: Path, file: io.BufferedReader[io.FileIO], kind: str) -> Iterator[Octets]:
    if kind == ".gz":
        with gzip.GzipFile(fileobj=file) as inside:
            yield _Packed(inside)
    elif kind == ".bz2":
        yield _Packed(_Streams(file, bz2.BZ2Decompressor))
    elif kind == ".xz":
        yield _Packed(_Streams(file, lzma.LZMADecompressor))
    elif kind == ".zst":
        with contextlib.closing(_Zstd(path, file)) as inside:
            yield inside
    else:
        yield file


class _Streams:
    """Streams of bzip2 or xz, one behind another, with zeros after them or without.

    Where what follows a stream is none, Python's own readers are silent, and the rest of a dump would be missing.
    """

    def __init__(self, file: io.BufferedReader[io.FileIO], begin: Callable[[], _Decompressor]) -> None:
        """`begin`: gives what unpacks one stream."""
        self._file = file
        self._begin = begin
        self._stream = begin()

    def read1(self, size: int) -> bytes:
        """Give the next octets; none at the end. EOFError, OSError, lzma.LZMAError."""
        found = b""
        while not found:
            if self._stream.eof:
                packed = self._stream.unused_data.lstrip(b"\0")
                while not packed:
                    if not (packed := self._file.read1(_PIECE)):
                        return b""
                    packed = packed.lstrip(b"\0")
                self._stream = self._begin()
            elif not self._stream.needs_input:
                packed = b""
            elif not (packed := self._file.read1(_PIECE)):
                raise EOFError
            found = self._stream.decompress(packed, size)
        return found


class _Packed:
    """Gives all that can be unpacked before what can't be."""

    def __init__(self, inside: _Unpacker) -> None:
        self._inside = inside
        self._fault: PackedError | None = None

    def read(self, n: int) -> bytes:
        """Give the next octets; none at the end. PackedError."""
        if self._fault is not None:
            raise self._fault
        found = bytearray()
        try:
            while len(found) < n and (some := self._inside.read1(n - len(found))):
                found += some
        except EOFError:
            self._fault = PackedError("it is cut: what is packed has no end")
        except (OSError, zlib.error, lzma.LZMAError) as error:
            if isinstance(error, OSError) and error.errno:
                raise
            self._fault = PackedError(printable(f"it can't be unpacked further: {error}", 200))
        if self._fault is not None and not found:
            raise self._fault
        return bytes(found)


class _Zstd:
    """What `zstd` makes of a file."""

    def __init__(self, path: Path, file: io.BufferedReader[io.FileIO]) -> None:
        self._feeding: threading.Thread | None = None
        whole = file.seekable()
        if whole:
            file.raw.seek(0)
        try:
            self._process = subprocess.Popen(
                ["zstd", "-dcq"], stdin=file.fileno() if whole else subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
        except FileNotFoundError as error:
            what = "it is packed with Zstandard, and zstd is missing: apt install zstd"
            raise DumpError(f"{path}: {what}") from error
        if not whole:  # of a pipe the first octets are read already
            self._feeding = threading.Thread(target=self._feed, args=(file,), daemon=True)
            self._feeding.start()

    def _feed(self, file: io.BufferedReader[io.FileIO]) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError), self._process.stdin as pipe:
            while octets := file.read1(1 << 16):
                pipe.write(octets)

    def read(self, n: int) -> bytes:
        """Give the next octets; none at the end, if it went well. PackedError."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        octets = self._process.stdout.read(n)
        if not octets:
            words = LastWords()
            words.add(self._process.stderr.read())
            if self._process.wait() != 0:
                raise PackedError(printable(f"zstd can't unpack it: {words}", 400))
        return octets

    def close(self) -> None:
        """End the program, wherever it is."""
        self._process.kill()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        self._process.wait()
        if self._feeding is not None:
            self._feeding.join(1)  # it may wait for a writer that writes nothing
