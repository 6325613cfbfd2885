"""VRP files in CSV: those of Routinator, rpki-client and rpki-prover, the columns as a header names them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from rtrd.vrps.entries import LENGTHS, MOST_ENTRIES, Entries, VRPFileError, pack_entry, shown

MOST_LINE: Final = 1 << 16
"""Octets of a line: a longer one is refused, so that no file is taken for one line."""
_EXPECTED: Final = "expected ASN,IP Prefix,Max Length,Trust Anchor"

_ASN: Final = {"asn", "as", "origin", "originas", "originasn", "asnumber"}
_PREFIX: Final = {"ipprefix", "prefix", "iprange", "roaprefix"}
_MAX_LENGTH: Final = {"maxlength", "maxlen", "maxprefixlength", "maxprefixlen"}


class _Columns(NamedTuple):
    """Where in a row is what."""

    asn: int = 0
    prefix: int = 1
    max_length: int = 2


def read(lines: Callable[[int], bytes], entries: Entries) -> None:
    """Take all entries of a file. `lines`: gives the next line, of at most so many octets, with its end.

    Raises VRPFileError for a file that has another format, or that ends within a line.
    """
    rows = csv.reader(_lines(lines, entries.path))
    try:
        columns = header = None
        for row in filter(_says_something, rows):
            if columns is None:
                columns = _header(row)
                header = columns and row
                columns = columns or _by_default(row)
            if row == header:
                continue
            try:
                entries.add(_vrp(row, columns))
            except ValueError as error:
                entries.leave_out(f":{rows.line_num}", error)
    except (csv.Error, ValueError) as error:
        raise VRPFileError(f"{entries.path}:{rows.line_num}: {error}") from error


def _says_something(row: list[str]) -> bool:
    return bool(row) and not row[0].lstrip().startswith("#")


def _lines(give: Callable[[int], bytes], path: str) -> Iterator[str]:
    """Give line by line; raises VRPFileError where one has no end: the only sign that a file is half written."""
    number = 0
    while line := give(MOST_LINE):
        number += 1
        if not line.endswith(b"\n"):
            what = "a line is too long" if len(line) == MOST_LINE else "the last line has no end"
            raise VRPFileError(f"{path}:{number}: {what}")
        if number > MOST_ENTRIES:
            raise VRPFileError(f"{path}:{number}: more lines than a VRP file has")
        # Latin-1 takes any octet: what is not a prefix is reported as such, whatever its encoding.
        yield line.decode("latin-1")


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
