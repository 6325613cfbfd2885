"""VRP files: the JSON of rpki-client, Routinator and StayRTR, and the CSV of Routinator and others.

A fault of one entry leaves out that entry. A file that is not of the format at all, or most of whose entries can't be
used, raises VRPFileError, so that a file caught in the middle of being written, or of a validator that has learned a
new spelling, never counts as a small set.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from pathlib import Path
from typing import BinaryIO, Final, NoReturn

from rtrd.base.files import open_file
from rtrd.vrps import csv_file, json_file
from rtrd.vrps.allow_bad import ALLOW_BAD
from rtrd.vrps.entries import Entries, VRPFile, VRPFileError

MAX_OCTETS: Final = 1 << 29
"""A VRP file, unpacked, is refused above this: the real ones have less than 0.1 GB, those with all details 0.3."""
_HEAD: Final = 4096
_BOM: Final = b"\xef\xbb\xbf"

_PACKED: Final = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"PK\x03\x04", "zip"),
)
_OTHERS: Final = (
    (rb"\xff\xfe|\xfe\xff|[{\[\"A-Za-z]\0|\0[{\[\"A-Za-z]", "text in UTF-16"),
    (rb"<", "XML or HTML"),
    (rb"roa-set\b|aspa-set\b", "a configuration of OpenBGPD"),
    (rb"(?:define\b|roa table\b|route\s+\S+\s+max\b|roa\s+\S+\s+max\b|protocol static\b)", "a configuration of BIRD"),
    (rb"route6?:", "RPSL"),
    (rb"[^\n,]*;[^\n,]*;", "separated by semicolons"),
    (rb"[^\n,]*\t[^\n,]*\t", "separated by tabs"),
)


class _Octets(io.RawIOBase):
    """A file's octets without the byte order mark, and never more of them than a VRP file has."""

    def __init__(self, path: str, file: BinaryIO | gzip.GzipFile) -> None:
        self._path = path
        self._file = file
        self._left = MAX_OCTETS

    def readable(self) -> bool:
        """Tell io that this is to be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read some octets."""
        octets = self._file.read(len(buffer))
        self._left -= len(octets)
        if self._left < 0:
            raise VRPFileError(f"{self._path}: more than {MAX_OCTETS >> 20} MiB: this is not a VRP file")
        buffer[: len(octets)] = octets
        return len(octets)


def read(path: str | Path, allow_bad: float = ALLOW_BAD) -> VRPFile:
    """Read a VRP file, gzip-packed or not; JSON and CSV are told apart by the first character.

    Raises VRPFileError when it is unreadable or not of either format, or when more than `allow_bad` percent of its
    entries, or all, can't be used. Where the max length is absent, it is the prefix's length. Members that are not
    asked for (``expires``, ``ta``) are ignored.
    """
    path = str(path)
    entries = Entries(path)
    try:
        with io.BufferedReader(open_file(Path(path)), 1 << 16) as file:
            if file.peek(2)[:2] == b"\x1f\x8b":
                _entries(path, gzip.GzipFile(fileobj=file), entries, packed=True)
            else:
                _entries(path, file, entries)
    except (OSError, EOFError, zlib.error) as error:
        what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise VRPFileError(f"{path}: {what}") from error
    return entries.file(allow_bad)


def _entries(path: str, file: BinaryIO | gzip.GzipFile, entries: Entries, *, packed: bool = False) -> None:
    octets = io.BufferedReader(_Octets(path, file), 1 << 16)
    if octets.peek(3)[:3] == _BOM:
        octets.read(3)
    head = octets.peek(_HEAD)[:_HEAD].lstrip()
    if not head:
        blank = octets.peek(1)
        raise VRPFileError(
            f"{path}:1: the file {'begins with nothing but blanks' if len(blank) >= _HEAD else 'is empty'}"
        )
    if head[:1] in (b"{", b"[") and head[1:2] != b"\0":
        json_file.read(octets.read1, entries)
        return
    _want_csv(path, head, packed=packed)
    csv_file.read(octets.readline, entries)


def _want_csv(path: str, head: bytes, *, packed: bool) -> None:
    """Raise VRPFileError with the name of the format, if it is another one that people have."""
    for magic, name in _PACKED:
        if head.startswith(magic):
            _not(path, f"packed by {name}" + (" twice" if packed and name == "gzip" else ""))
    for pattern, name in _OTHERS:
        if re.match(pattern, head):
            _not(path, name)


def _not(path: str, what: str) -> NoReturn:
    raise VRPFileError(f"{path}: this is {what}: expected JSON, or CSV with commas, packed by gzip or not")
