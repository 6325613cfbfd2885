"""Files of VRPs: JSON and CSV, as validators write them; and the table's VRPs written so.

Entries that can't be used are counted, and whoever reads decides how many of them a file may have. JSON is read by what
is given for it: `read_json` takes the whole text; the daemon has a reader that never holds all of it.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import secrets
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator
from os import PathLike, fspath
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn, TypeAlias, cast

from _rov import ffi, lib
from rtrlib import vrp_csv
from rtrlib.json_lines import line_of
from rtrlib.records import PFXRecord, SPKIRecord
from rtrlib.vrp import PACKED
from rtrlib.vrp_entries import Entries, RouterKey, VRPFileError, key_entries, pack_entry, want_max_length

__all__ = ["read_file", "take_entries", "to_csv", "to_json"]

ReadJSON: TypeAlias = Callable[[Callable[[int], bytes], Entries], None]
"""Takes the entries of a JSON text, of which the first argument gives the next octets, at most so many."""
MOST_JSON: Final = 1 << 28
"""Octets of a JSON text that is read as a whole."""
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
    (
        rb"(?:define\b|roa[46]? table\b|route\s+\S+\s+max\b|roa\s+\S+\s+max\b|protocol static\b)",
        "a configuration of BIRD",
    ),
    (rb"route6?:", "RPSL"),
    (rb"//|/\*|[{\[]", "JSON with comments"),
    (rb"[^\n,]*;[^\n,]*;", "separated by semicolons"),
    (rb"[^\n,]*\t[^\n,]*\t", "separated by tabs"),
)

_COMMENTS: Final = re.compile(rb"(?:\s*#[^\n]*\n)*\s*")


class _Octets(io.RawIOBase):
    """A file's octets without the byte order mark, and never more of them than a VRP file has."""

    def __init__(self, path: str, file: io.BufferedIOBase) -> None:
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


def take_entries(file: io.BufferedReader[Any], entries: Entries, read_json: ReadJSON) -> None:
    """Take all entries of a file, packed by gzip or not; JSON and CSV are told apart by the first character.

    Raises VRPFileError for another format, and what the file raises.
    """
    if file.peek(2)[:2] == b"\x1f\x8b":
        _take(gzip.GzipFile(fileobj=file), entries, read_json, packed=True)
    else:
        _take(file, entries, read_json)


def _take(
    file: io.BufferedReader[Any] | gzip.GzipFile, entries: Entries, read_json: ReadJSON, *, packed: bool = False
) -> None:
    path = entries.path
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
        read_json(octets.read1, entries)
        return
    _want_csv(path, head, packed=packed)
    vrp_csv.read(octets, entries)


def _want_csv(path: str, head: bytes, *, packed: bool) -> None:
    """Raise VRPFileError with the name of the format, if it is another one that people have.

    Most programs begin theirs with comments, which say nothing of the format.
    """
    for magic, name in _PACKED:
        if head.startswith(magic):
            _not(path, f"packed by {name}" + (" twice" if packed and name == "gzip" else ""))
    content = _COMMENTS.sub(b"", head, count=1)
    for pattern, name in _OTHERS:
        if re.match(pattern, content):
            _not(path, name)


def _not(path: str, what: str) -> NoReturn:
    raise VRPFileError(f"{path}: this is {what}: expected JSON, or CSV with commas, packed by gzip or not")


def read_file(path: str | PathLike[str]) -> bytes:
    """Give the packed VRPs of a file all of whose entries can be used.

    OSError: it can't be read. VRPFileError: what is wrong, with the file and, where there is one, the line.
    """
    name = fspath(path)
    entries = Entries(name)
    text: list[bytes] = []
    try:
        with Path(name).open("rb") as file:
            take_entries(file, entries, lambda more, taken: read_json(more, taken, text))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise VRPFileError(f"{name}: {error}") from error
    found = entries.file(0)
    return found.packed


def read_json(more: Callable[[int], bytes], entries: Entries, text: list[bytes]) -> None:
    """Take the entries of a JSON text as a whole. VRPFileError for another format."""
    size = 0
    while piece := more(1 << 20):
        text.append(piece)
        size += len(piece)
        if size > MOST_JSON:
            raise VRPFileError(f"{entries.path}: more than {MOST_JSON >> 20} MiB of JSON")
    whole = b"".join(text)
    found = _decoded(whole, entries.path)
    roas = found.get("roas") if isinstance(found, dict) else found
    if not isinstance(roas, list):
        raise VRPFileError(f'{entries.path}:1: expected {{"roas": [...]}}')
    _want_once(whole, len(roas), entries.path)
    for begin in range(0, len(roas), vrp_csv.ROOM):
        some = roas[begin : begin + vrp_csv.ROOM]
        packed = _of_plain(some)
        if packed is not None:
            entries.add(packed)
            continue
        for index, roa in enumerate(some, begin):
            _take_roa(entries, roa, index, whole, of_object=isinstance(found, dict))


def _decoded(text: bytes, path: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise VRPFileError(f"{path}:{error.lineno}: JSON is malformed: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise VRPFileError(f"{path}: JSON is malformed: {error}") from None


def _want_once(text: bytes, count: int, path: str) -> None:
    """Raise VRPFileError where a member is given twice that counts: readers disagree which (RFC 8259 section 4).

    Most texts show by how often its names are there that none is; of the others each object is looked at.
    """
    most = {b'"roas"': 1, b'"asn"': count, b'"prefix"': count, b'"maxLength"': count}
    if b"\\" in text or any(text.count(name) > often for name, often in most.items()):
        try:
            json.loads(text, object_pairs_hook=_once)
        except ValueError as error:
            raise VRPFileError(f"{path}: {error}") from None


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        names = [name for name, _ in members]
        if twice := next((name for name in ("roas", "asn", "prefix", "maxLength") if names.count(name) > 1), None):
            raise ValueError(f"the member {twice!r} is given twice")
    return found


def _take_roa(entries: Entries, roa: object, index: int, whole: bytes, *, of_object: bool) -> None:
    try:
        entries.add(_of_roa(roa))
    except (TypeError, ValueError) as error:
        line = line_of(whole.decode(errors="replace"), ("roas", index) if of_object else (index,))
        raise VRPFileError(f"{entries.path}:{line}: roas[{index}]: {error}") from None


def _of_plain(roas: list[Any]) -> bytes | None:
    """Pack entries all of which are as they usually are, by the reader of lines; None: one of them is not."""
    try:
        if not all(type(roa["maxLength"]) is int for roa in roas):
            return None
        text = "".join([f"{roa['asn']},{roa['prefix']},{roa['maxLength']}\n" for roa in roas]).encode("ascii")
    except (KeyError, TypeError, ValueError):
        return None
    if text.count(b",") != 2 * len(roas) or text.count(b"\n") != len(roas):
        return None  # what is one value here would be several there
    room, used = ffi.new("struct vrp[]", len(roas)), ffi.new("size_t *")
    count = lib.vrp_lines_read(text, len(text), room, len(roas), used)
    return ffi.buffer(room, count * PACKED.size)[:] if count == len(roas) else None


def _of_roa(roa: object) -> bytes:
    if not isinstance(roa, dict):
        raise TypeError("expected an object")
    for name in ("asn", "prefix"):
        if name not in roa:
            raise ValueError(f"{name!r} is missing")
    asn, prefix, most = roa["asn"], roa["prefix"], roa.get("maxLength")
    if most is None:
        want_max_length(roa)
    if isinstance(asn, bool) or not isinstance(asn, int | float | str):
        raise TypeError("asn is neither a number nor text")
    if not isinstance(prefix, str):
        raise TypeError("prefix is not text")
    if isinstance(most, bool) or not isinstance(most, int | float | None):
        raise TypeError("maxLength is not a number")
    return pack_entry(asn, prefix, most)


def to_json(records: Iterable[PFXRecord], keys: Iterable[SPKIRecord]) -> Iterator[str]:
    """Write VRPs as rpki-client, Routinator and StayRTR do, and router keys as rpki-client does; piece by piece."""
    yield '{\n"roas": ['
    between = "\n"
    for asn, prefix, least, most in records:
        yield f'{between}{{"asn": {asn}, "prefix": "{prefix}/{least}", "maxLength": {most}}}'
        between = ",\n"
    written = key_entries(RouterKey(*key) for key in keys)
    yield "\n]" + (f',\n"bgpsec_keys": {json.dumps(written)}' if written else "") + "\n}\n"


def to_csv(records: Iterable[PFXRecord]) -> Iterator[str]:
    """Write VRPs as Routinator does, line by line; RTR does not tell the trust anchor."""
    yield "ASN,IP Prefix,Max Length,Trust Anchor\n"
    for asn, prefix, least, most in records:
        yield f"AS{asn},{prefix}/{least},{most},\n"


def written(pieces: Iterable[str], path: str | PathLike[str] | None) -> str:
    """Give the text; with a path, write it to that file instead, which is replaced as a whole. OSError.

    Where a link points is replaced, not the link; a device or a pipe is written to, and stays.
    """
    if path is None:
        return "".join(pieces)
    file = Path(path)
    packed = file.suffix == ".gz"
    if file.exists() and not file.is_file():
        with file.open("wb") as out:
            _write(pieces, out, packed=packed)
        return ""
    file = file.resolve()
    # A name of its own: others may write the same file meanwhile, or have put a link where the name was known before.
    new = file.with_name(f".{secrets.token_hex(8)}.new")
    try:
        with new.open("xb") as out:
            if file.exists():
                os.fchmod(out.fileno(), stat.S_IMODE(file.stat().st_mode))
            _write(pieces, out, packed=packed)
        new.replace(file)
    except BaseException as error:
        new.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is not None:
            error.filename, error.filename2 = fspath(path), None
        raise
    return ""


def _write(pieces: Iterable[str], out: BinaryIO, *, packed: bool) -> None:
    inside = gzip.GzipFile(filename="", fileobj=out, mode="wb") if packed else out
    with io.TextIOWrapper(cast("BinaryIO", inside), encoding="ascii") as text:
        text.writelines(pieces)
