"""What a VRP file holds, whatever its format: VRPs, router keys and ASPAs, and which of its entries can't be used."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_pton
from typing import Final, NamedTuple

from rtrlib import aspas, packed
from rtrlib.aspa_entries import ASPAEntries, TooManyASPAsError
from rtrlib.vrp import PACKED

MAX_FAULTS: Final = 20
"""How many faults are described; the others are only counted."""
MOST_BAD: Final = 1 << 18
"""A file with more unusable entries is refused as soon as they are seen, whatever else it has."""
MOST_ENTRIES: Final = 1 << 21
"""A file with more entries, or lines, is refused: the real ones have less than 1 M."""
SPKI_SIZE: Final = 91
"""Octets of a router key's SubjectPublicKeyInfo: ECDSA P-256, BGPsec's only algorithm (RFC 8608 s.3).

A key of another size makes librtr 0.8.0 drop everything that its cache sends, for good.
"""

LENGTHS: Final = {str(length): length for length in range(129)}
_HOST_BITS: Final = {
    AF_INET: [(1 << 32 - n) - 1 for n in range(33)],
    AF_INET6: [(1 << 128 - n) - 1 for n in range(129)],
}
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
_LOOK: Final = 1 << 19
_MAX_LENGTH: Final = re.compile(r"max(imum)?[\W_]*(prefix)?[\W_]*len(gth)?", re.IGNORECASE)


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
    """Packed VRPs (announce = 1), each once, in the order of rtrlib.packed."""
    router_keys: tuple[RouterKey, ...] = ()
    """Sorted, each once."""
    faults: list[str] = field(default_factory=list)
    """The first MAX_FAULTS entries that were left out: ``PATH:LINE: what`` or ``PATH: roas[INDEX]: what``."""
    fault_count: int = 0
    """How many entries were left out."""
    aspas: bytes = b""
    """Packed ASPAs, a set (rtrlib.aspas)."""
    notes: list[str] = field(default_factory=list)
    """What else is not used, and why: ``PATH: what``."""

    @property
    def aspa_count(self) -> int:
        """How many customers have ASPAs."""
        return aspas.count(self.aspas)

    @property
    def count(self) -> int:
        """How many VRPs."""
        return len(self.packed) // packed.VRP_SIZE


class _Tally:
    """How many entries of one kind there were, and how many of them can't be used."""

    def __init__(self) -> None:
        self.seen = 0
        self.bad = 0
        self.first = ""

    def want_few_bad(self, allow_bad: float) -> None:
        """Raise VRPFileError when more than `allow_bad` percent, or all of them, can't be used."""
        if self.bad and (self.bad == self.seen or 100 * self.bad > allow_bad * self.seen):
            of_all = f"{self.bad} of {self.seen} entries can't be used"
            most = "" if self.bad == self.seen else f", more than {allow_bad:g} % (--allow-bad)"
            raise VRPFileError(f"{self.first}; {of_all}{most}")


class Entries:
    """Collects the entries of a file while it is read, and decides whether enough of them can be used."""

    def __init__(self, path: str) -> None:
        """`path`: what faults call the file."""
        self.path = path
        self._look_at = _LOOK
        self._vrps = bytearray()
        self._keys: set[RouterKey] = set()
        self._aspas = ASPAEntries()
        self._faults: list[str] = []
        self._notes: list[str] = []
        self._vrps_and_keys = _Tally()
        # Apart: many good ones of one kind may not hide that those of the other can't be read.
        self._customers = _Tally()

    @property
    def seen(self) -> int:
        """How many entries there were, usable or not."""
        return self._vrps_and_keys.seen + self._customers.seen

    def add(self, vrp: bytes) -> None:
        """Take a packed VRP, or several."""
        self._vrps += vrp
        self._vrps_and_keys.seen += len(vrp) // PACKED.size
        if self._vrps_and_keys.seen >= self._look_at:
            self._look()

    def add_key(self, key: RouterKey) -> None:
        """Take a router key."""
        self._keys.add(key)
        self._vrps_and_keys.seen += 1

    def add_aspa(self, customer: int, providers: Iterable[int]) -> None:
        """Take an ASPA; ValueError says what is wrong with it."""
        try:
            self._aspas.add(customer, providers)
        except TooManyASPAsError as error:
            raise VRPFileError(f"{self.path}: {error}") from None
        self._customers.seen += 1
        if self._customers.seen > MOST_ENTRIES:
            raise VRPFileError(f"{self.path}: more than {MOST_ENTRIES} aspas: this is not a VRP file")

    def leave_out(self, where: str, what: object, *, aspa: bool = False) -> None:
        """Count an entry that can't be used. `where`: follows the path."""
        tally = self._customers if aspa else self._vrps_and_keys
        fault = f"{self.path}{where}: {what}"
        tally.first = tally.first or fault
        tally.bad += 1
        tally.seen += 1
        if len(self._faults) < MAX_FAULTS:
            self._faults.append(fault)
        if tally.bad > MOST_BAD:
            raise VRPFileError(f"{tally.first}; more than {MOST_BAD} entries can't be used")

    def note(self, what: str) -> None:
        """Say what else is not used."""
        self._notes.append(f"{self.path}: {what}")

    def _look(self) -> None:
        """Keep what is repeated once, and refuse what has no end."""
        self._look_at += _LOOK
        if self._vrps_and_keys.seen >= MOST_ENTRIES:
            raise VRPFileError(f"{self.path}: more than {MOST_ENTRIES} entries: this is not a VRP file")
        self._vrps = bytearray(packed.packed(packed.ordered(self._vrps)))

    def file(self, allow_bad: float) -> VRPFile:
        """Give the file.

        Raises VRPFileError when more than `allow_bad` percent, or all, of its VRPs and router keys can't be used, or so
        many of its ASPAs.
        """
        for tally in (self._vrps_and_keys, self._customers):
            tally.want_few_bad(allow_bad)
        vrps = packed.packed(packed.ordered(self._vrps))
        customers = self._aspas.joined()
        for what in self._aspas.notes(customers):
            self.note(what)
        bad = self._vrps_and_keys.bad + self._customers.bad
        return VRPFile(vrps, tuple(sorted(self._keys)), self._faults, bad, customers, self._notes)


def want_max_length(members: Iterable[str]) -> None:
    """Raise ValueError where an entry without `maxLength` has it under another name.

    To take the prefix's length instead would turn routes invalid.
    """
    other = next((name for name in members if _MAX_LENGTH.fullmatch(name)), None)
    if other is not None:
        raise ValueError(f"{shown(other)} is not read: expected 'maxLength'")


def shown(text: str) -> str:
    """Make text from a file fit for a message: one line, printable, short."""
    return ascii(text if len(text) <= 60 else text[:57] + "...")


@lru_cache(maxsize=1 << 17)
def asn_of(text: float | str) -> int:
    """AS number of ``64500`` or ``"AS64500"``; ValueError says what is wrong."""
    number = text
    if isinstance(text, str):
        digits = text[2:] if text[:2].upper() == "AS" else text
        number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 10 else -1
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if not isinstance(number, int) or not 0 <= number <= 0xFFFFFFFF:
        raise ValueError(f"{shown(str(text))} is not an AS number (0 to 4294967295)")
    return number


def pack_entry(asn: float | str, prefix: str, max_length: float | None) -> bytes:
    """Pack the VRP of one entry; ValueError says what is wrong."""
    text, _, length_text = prefix.partition("/")
    length = LENGTHS.get(length_text, 255)
    family, bits = (AF_INET6, 128) if ":" in text else (AF_INET, 32)
    try:
        address = inet_pton(family, text)
    except (OSError, ValueError):
        length = 255
        address = b""
    if length > bits:
        raise ValueError(f"{shown(prefix)} is not a prefix")
    if int.from_bytes(address) & _HOST_BITS[family][length]:
        raise ValueError(f"{shown(prefix)} has host bits set")
    if max_length is None:
        max_length = length
    elif not length <= max_length <= bits or max_length % 1:
        raise ValueError(f"max length {max_length!r:.20} of {prefix} is not from {length} to {bits}")
    return PACKED.pack(address, asn_of(asn), length, int(max_length), 6 if bits == 128 else 4, 1)


def router_key(asn: float | str, ski_text: str, pubkey: str) -> RouterKey:
    """Give the router key of one entry, in either alphabet of Base64, padded or not (RFC 4648 s.4, s.5)."""
    try:
        ski = bytes.fromhex(ski_text)
    except ValueError:
        ski = b""
    if len(ski) != 20:
        raise ValueError(f"SKI {shown(ski_text)} is not 20 octets in hexadecimal")
    spki = b""
    if _BASE64.fullmatch(pubkey):
        bare = pubkey.rstrip("=")
        try:
            spki = base64.urlsafe_b64decode(bare.replace("+", "-").replace("/", "_") + "=" * (-len(bare) % 4))
        except (binascii.Error, ValueError):
            spki = b""
    if len(spki) != SPKI_SIZE:
        raise ValueError(f"the public key is not base64 of {SPKI_SIZE} octets (RFC 8608)")
    return RouterKey(asn_of(asn), ski, spki)


def key_entries(router_keys: Iterable[RouterKey]) -> list[dict[str, int | str]]:
    """Give router keys as rpki-client writes them in `bgpsec_keys`."""
    return [
        {"asn": key.asn, "ski": key.ski.hex().upper(), "pubkey": base64.b64encode(key.spki).decode()}
        for key in router_keys
    ]
