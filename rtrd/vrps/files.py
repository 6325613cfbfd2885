"""VRP files: the JSON of rpki-client, Routinator and StayRTR, and Routinator's CSV.

A fault of one entry leaves out that entry; a file that is not of the format at all raises VRPFileError, so
that a file caught in the middle of being written never counts as a small set.
"""

from __future__ import annotations

import base64
import binascii
import csv
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any, NamedTuple, TypeVar

import msgspec

from rtrd.vrps import packed
from rtrlib.vrp import PACKED

MAX_OCTETS = 1 << 30
"""A VRP file, unpacked, is refused above this: the real ones have less than 0.1 GB."""
MAX_FAULTS = 20
"""How many faults are described; the others are only counted."""
SPKI_SIZE = 91
"""Octets of a router key's SubjectPublicKeyInfo: ECDSA P-256, BGPsec's only algorithm (RFC 8608 s.3).

A key of another size makes librtr 0.8.0 drop everything that its cache sends, for good.
"""

_LENGTHS = {str(length): length for length in range(129)}
_HOST_BITS = {
    AF_INET: [(1 << 32 - n) - 1 for n in range(33)],
    AF_INET6: [(1 << 128 - n) - 1 for n in range(129)],
}

_Entry = TypeVar("_Entry", bound=msgspec.Struct)
_Made = TypeVar("_Made")


class VRPFileError(Exception):
    """The file is unreadable or not of the format: ``PATH:LINE: what`` (the line where one is known)."""


class RouterKey(NamedTuple):
    """A BGPsec router key (RFC 8210 s.5.10)."""

    asn: int
    ski: bytes
    """Subject key identifier: 20 octets."""
    spki: bytes
    """SubjectPublicKeyInfo, DER."""


@dataclass(frozen=True, slots=True)
class VRPFile:
    """What a VRP file holds."""

    packed: bytes
    """Packed VRPs (announce = 1), each once, in the order of rtrd.vrps.packed."""
    router_keys: tuple[RouterKey, ...] = ()
    """Sorted, each once."""
    faults: list[str] = field(default_factory=list)
    """The first MAX_FAULTS entries that were left out: ``PATH:LINE: what`` or ``PATH: roas[INDEX]: what``."""
    fault_count: int = 0
    """How many entries were left out."""

    @property
    def count(self) -> int:
        """How many VRPs."""
        return len(self.packed) // packed.VRP_SIZE


class _Roa(msgspec.Struct, gc=False):
    asn: int | str
    prefix: str
    maxLength: int | None = None  # noqa: N815  the file's own name


class _BgpsecKey(msgspec.Struct, gc=False):
    """As rpki-client and StayRTR write it."""

    asn: int | str
    ski: str
    pubkey: str


class _RoutinatorKey(msgspec.Struct, gc=False):
    asn: int | str
    ski: str = msgspec.field(name="SKI")
    pubkey: str = msgspec.field(name="routerPublicKey")


class _File(msgspec.Struct):
    roas: list[_Roa]
    bgpsec_keys: list[_BgpsecKey] = []
    router_keys: list[_RoutinatorKey] = msgspec.field(name="routerKeys", default_factory=list)


class _RawFile(msgspec.Struct):
    """The same with the entries undecoded: for a file in which one has a wrong type."""

    roas: list[msgspec.Raw]
    bgpsec_keys: list[msgspec.Raw] = []
    router_keys: list[msgspec.Raw] = msgspec.field(name="routerKeys", default_factory=list)


class _Faults:
    """Counts the entries that are left out, and describes the first ones."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.described: list[str] = []
        self.count = 0

    def add(self, where: str, what: object) -> None:
        self.count += 1
        if len(self.described) < MAX_FAULTS:
            self.described.append(f"{self._path}{where}: {what}")


def _shown(text: str) -> str:
    """Make text from a file fit for a message: one line, printable, short."""
    return ascii(text if len(text) <= 60 else text[:57] + "...")


@lru_cache(maxsize=1 << 17)
def _asn(text: int | str) -> int:
    """AS number of ``64500`` or ``"AS64500"``; ValueError says what is wrong."""
    number = text
    if isinstance(text, str):
        digits = text[2:] if text[:2] in ("AS", "as") else text
        number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 10 else -1
    if not isinstance(number, int) or not 0 <= number <= 0xFFFFFFFF:
        raise ValueError(f"{_shown(str(text))} is not an AS number (0 to 4294967295)")
    return number


def _packed(asn: int | str, prefix: str, max_length: int | None) -> bytes:
    """Pack the VRP of one entry; ValueError says what is wrong."""
    text, _, length_text = prefix.partition("/")
    length = _LENGTHS.get(length_text, 255)
    family, bits = (AF_INET6, 128) if ":" in text else (AF_INET, 32)
    try:
        address = inet_pton(family, text)
    except (OSError, ValueError):
        length = 255
        address = b""
    if length > bits:
        raise ValueError(f"{_shown(prefix)} is not a prefix")
    if int.from_bytes(address) & _HOST_BITS[family][length]:
        raise ValueError(f"{_shown(prefix)} has host bits set")
    if max_length is None:
        max_length = length
    elif not length <= max_length <= bits:
        raise ValueError(f"max length {max_length!r:.20} of {prefix} is not from {length} to {bits}")
    return PACKED.pack(address, _asn(asn), length, max_length, 6 if bits == 128 else 4, 1)


def _router_key(key: _BgpsecKey | _RoutinatorKey) -> RouterKey:
    try:
        ski = bytes.fromhex(key.ski)
    except ValueError:
        ski = b""
    if len(ski) != 20:
        raise ValueError(f"SKI {_shown(key.ski)} is not 20 octets in hexadecimal")
    try:
        spki = base64.b64decode(key.pubkey, validate=True)
    except (binascii.Error, ValueError):
        spki = b""
    if len(spki) != SPKI_SIZE:
        raise ValueError(f"the public key is not base64 of {SPKI_SIZE} octets (RFC 8608)")
    return RouterKey(_asn(key.asn), ski, spki)


def _made(
    name: str, entries: Sequence[Any], kind: type[_Entry], make: Callable[[_Entry], _Made], faults: _Faults
) -> Iterator[_Made]:
    decoder = msgspec.json.Decoder(kind)
    for index, entry in enumerate(entries):
        try:
            yield make(decoder.decode(entry) if isinstance(entry, msgspec.Raw) else entry)
        except (ValueError, msgspec.ValidationError) as error:
            faults.add(f": {name}[{index}]", error)


def _json(data: bytes, faults: _Faults) -> VRPFile:
    file: _File | _RawFile
    try:
        file = msgspec.json.decode(data, type=_File)
    except msgspec.ValidationError:
        file = msgspec.json.decode(data, type=_RawFile)
    records = _made("roas", file.roas, _Roa, lambda roa: _packed(roa.asn, roa.prefix, roa.maxLength), faults)
    vrps = packed.packed(packed.ordered(b"".join(records)))
    keys = {
        *_made("bgpsec_keys", file.bgpsec_keys, _BgpsecKey, _router_key, faults),
        *_made("routerKeys", file.router_keys, _RoutinatorKey, _router_key, faults),
    }
    return VRPFile(vrps, tuple(sorted(keys)), faults.described, faults.count)


def _read_json(path: str, data: bytes) -> VRPFile:
    try:
        return _json(data, _Faults(path))
    except msgspec.ValidationError as error:
        raise VRPFileError(f'{path}: {error}; expected {{"roas": [...]}}') from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        found = re.search(r"\(byte (\d+)\)", str(error))
        line = data.count(b"\n", 0, int(found[1]) if found else len(data)) + 1
        raise VRPFileError(f"{path}:{line}: {error}") from error


def _csv_vrp(row: list[str]) -> bytes:
    if len(row) < 3:
        raise ValueError("expected ASN,IP Prefix,Max Length,Trust Anchor")
    length = row[2].strip()
    if length and length not in _LENGTHS:
        raise ValueError(f"{_shown(length)} is not a max length")
    return _packed(row[0], row[1].strip(), _LENGTHS[length] if length else None)


def _read_csv(path: str, data: bytes) -> VRPFile:
    if not data.endswith(b"\n"):
        # The only sign that the file was caught half written.
        lines = data.count(b"\n") + 1
        raise VRPFileError(f"{path}:{lines}: the last line has no end")
    faults = _Faults(path)
    records: list[bytes] = []
    # Latin-1 takes any octet: what is not a prefix is reported as such, whatever its encoding.
    rows = csv.reader(io.TextIOWrapper(io.BytesIO(data), "latin-1", newline=""))
    try:
        for row in rows:
            if not row or (len(row) >= 3 and row[0] == "ASN" and not records):
                continue
            try:
                records.append(_csv_vrp(row))
            except ValueError as error:
                faults.add(f":{rows.line_num}", error)
    except csv.Error as error:
        raise VRPFileError(f"{path}:{rows.line_num}: {error}") from error
    if faults.count and not records:
        raise VRPFileError(f"{faults.described[0]}; no line of the file is a VRP")
    return VRPFile(packed.packed(packed.ordered(b"".join(records))), (), faults.described, faults.count)


def _octets(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            data = (gzip.GzipFile(fileobj=file) if zipped else file).read(MAX_OCTETS + 1)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise VRPFileError(f"{path}: {what}") from error
    if len(data) > MAX_OCTETS:
        raise VRPFileError(f"{path}: more than {MAX_OCTETS >> 20} MiB: this is not a VRP file")
    return data


def read(path: str | Path) -> VRPFile:
    """Read a VRP file, gzip-packed or not; JSON and CSV are told apart by the first character.

    Raises VRPFileError when it is unreadable or not of either format. Where the max length is absent, it is
    the prefix's length. Members that are not asked for (``expires``, ``ta``) are ignored.
    """
    path = str(path)
    data = _octets(path)
    if not data.strip():
        raise VRPFileError(f"{path}:1: the file is empty")
    if data.lstrip()[:1] in (b"{", b"["):
        return _read_json(path, data)
    return _read_csv(path, data)


def key_entries(router_keys: Iterable[RouterKey]) -> list[dict[str, int | str]]:
    """Give router keys as rpki-client writes them in `bgpsec_keys`."""
    return [
        {"asn": key.asn, "ski": key.ski.hex().upper(), "pubkey": base64.b64encode(key.spki).decode()}
        for key in router_keys
    ]
