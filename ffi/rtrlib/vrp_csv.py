"""VRP files in CSV: those of Routinator, rpki-client and rpki-prover, the columns as a header names them."""

from __future__ import annotations

import csv
from io import BufferedReader
from typing import Any, Final, NamedTuple, Self

from _rov import ffi, lib
from rtrlib.vrp import PACKED
from rtrlib.vrp_entries import LENGTHS, MOST_ENTRIES, Entries, VRPFileError, pack_entry, shown

MOST_LINE: Final = 1 << 16
"""Octets of a line: a longer one is refused, so that no file is taken for one line."""
ROOM: Final = 4096
"""Entries that are taken at once."""
_EXPECTED: Final = "expected ASN,IP Prefix,Max Length,Trust Anchor"

_ASN: Final = {"asn", "as", "origin", "originas", "originasn", "asnumber"}
_PREFIX: Final = {"ipprefix", "prefix", "iprange", "roaprefix"}
_MAX_LENGTH: Final = {"maxlength", "maxlen", "maxprefixlength", "maxprefixlen"}


class _Columns(NamedTuple):
    """Where in a row is what."""

    asn: int = 0
    prefix: int = 1
    max_length: int = 2


def read(octets: BufferedReader[Any], entries: Entries) -> None:
    """Take all entries of a file. VRPFileError for one that has another format, or that ends within a line."""
    lines = _Lines(octets, entries)
    try:
        _read(lines, entries)
    except (csv.Error, ValueError) as error:
        raise VRPFileError(f"{entries.path}:{lines.number}: {error}") from error


def _read(lines: _Lines, entries: Entries) -> None:
    columns = header = None
    for row in filter(_says_something, csv.reader(lines)):
        if columns is None:
            columns = _header(row)
            header = columns and row
            columns = columns or _by_default(row)
            lines.are_plain = columns == _Columns()
        if row == header:
            continue
        try:
            entries.add(_vrp(row, columns))
        except ValueError as error:
            entries.leave_out(f":{lines.number}", error)


class _Lines:
    """The lines of a file; where they are plain, their entries are taken at once, and they are passed over."""

    def __init__(self, octets: BufferedReader[Any], entries: Entries) -> None:
        self.number = 0
        """How many lines were read."""
        self.are_plain = False
        """The columns are in the order that the native reader knows."""
        self._octets = octets
        self._entries = entries
        self._room = ffi.new("struct vrp[]", ROOM)
        self._used = ffi.new("size_t *")

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        """Give the next line that is not plain. VRPFileError where one has no end: the sign of half a file."""
        if self.are_plain:
            self._pass_plain()
        line = self._octets.readline(MOST_LINE)
        if not line:
            raise StopIteration
        self._count(1)
        if not line.endswith(b"\n"):
            what = "a line is too long" if len(line) == MOST_LINE else "the last line has no end"
            if self.number == 1 and b"," not in line:
                what = _EXPECTED
            raise VRPFileError(f"{self._entries.path}:{self.number}: {what}")
        # Latin-1 takes any octet: what is not a prefix is reported as such, whatever its encoding.
        return line.decode("latin-1")

    def _pass_plain(self) -> None:
        while True:
            block = self._octets.peek()
            count = lib.vrp_lines_read(block, len(block), self._room, ROOM, self._used)
            if not count:
                return
            self._entries.add(ffi.buffer(self._room, count * PACKED.size)[:])
            self._octets.read(self._used[0])
            self._count(count)

    def _count(self, lines: int) -> None:
        self.number += lines
        if self.number > MOST_ENTRIES:
            raise VRPFileError(f"{self._entries.path}:{self.number}: more lines than a VRP file has")


def _says_something(row: list[str]) -> bool:
    return bool(row) and not row[0].lstrip().startswith("#")


def _header(row: list[str]) -> _Columns | None:
    """Give the columns that a header names; None for a row that is none.

    Raises ValueError for a header that lacks one: the max length is not to be guessed from its absence.
    """
    names = ["".join(filter(str.isalnum, cell.lower())) for cell in row]
    found = [[at for at, name in enumerate(names) if name in known] for known in (_ASN, _PREFIX, _MAX_LENGTH)]
    if not found[0] and not found[1]:
        return None
    if [len(each) for each in found] != [1, 1, 1]:
        raise ValueError(f"the header does not name each column once: {_EXPECTED}, in any order")
    return _Columns(*(each[0] for each in found))


def _by_default(row: list[str]) -> _Columns:
    """Give the columns of a file without header. Raises ValueError for a first row that must be one, of other words."""
    if not any("/" in cell or cell.strip().isdigit() for cell in row):
        raise ValueError(_EXPECTED)
    return _Columns()


def _vrp(row: list[str], columns: _Columns) -> bytes:
    if len(row) <= max(columns):
        raise ValueError(_EXPECTED)
    length = row[columns.max_length].strip()
    if length and length not in LENGTHS:
        raise ValueError(f"{shown(length)} is not a max length")
    return pack_entry(row[columns.asn].strip(), row[columns.prefix].strip(), LENGTHS[length] if length else None)
