"""VRP files in JSON: those of rpki-client, Routinator, StayRTR and others, read slice by slice.

However large a file is and whatever stands there instead of entries, only a window of it and its usable entries are in
memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple, NoReturn

import msgspec

from rtrlib.vrp_entries import MOST_ENTRIES, Entries, VRPFileError, asn_of, pack_entry, router_key, want_max_length

WINDOW: Final = 1 << 18
"""Octets that are read and decoded at a time."""
MOST_ELEMENT: Final = 1 << 20
"""Octets of one entry: a longer one is refused."""
MOST_MEMBERS: Final = 1000
"""Members of the file's object."""

_BLANKS: Final = re.compile(rb"[ \t\r\n]*")
_CUT: Final = re.compile(rb"\}[ \t\r\n]*(,)[ \t\r\n]*\{")
_CUTS: Final = 4

OLD_ASPAS: Final = "provider_authorizations"
"""What rpki-client had before 8.5: by address family, which ASPAs are no more."""

_SCANNER: Final = json.JSONDecoder()
_RAW: Final = msgspec.json.Decoder(list[msgspec.Raw])
_MAX_LENGTH: Final = b'"maxLength"'
_LIKE_IT: Final = re.compile(rb'"(?!maxLength")[Mm][Aa][Xx]')
_TOO_EARLY: Final = "Input data was truncated"


class _Roa(msgspec.Struct, gc=False):
    asn: int | float | str
    prefix: str
    maxLength: int | float | None = None  # noqa: N815  the file's own name


class _BgpsecKey(msgspec.Struct, gc=False):
    """As rpki-client and StayRTR write it."""

    asn: int | float | str
    ski: str
    pubkey: str


class _RoutinatorKey(msgspec.Struct, gc=False):
    asn: int | float | str
    ski: str = msgspec.field(name="SKI")
    pubkey: str = msgspec.field(name="routerPublicKey")


class _Aspa(msgspec.Struct, gc=False):
    """As rpki-client has it, or Routinator."""

    providers: list[int | float | str]
    customer_asid: int | float | str | msgspec.UnsetType = msgspec.UNSET
    customer: int | float | str | msgspec.UnsetType = msgspec.UNSET


def _of_roa(entry: _Roa, entries: Entries) -> None:
    entries.add(pack_entry(entry.asn, entry.prefix, entry.maxLength))


def _of_key(entry: _BgpsecKey | _RoutinatorKey, entries: Entries) -> None:
    entries.add_key(router_key(entry.asn, entry.ski, entry.pubkey))


def _of_aspa(entry: _Aspa, entries: Entries) -> None:
    named = [each for each in (entry.customer_asid, entry.customer) if each is not msgspec.UNSET]
    if len(named) != 1:
        raise ValueError(f"expected either `customer_asid` or `customer`, found {'both' if named else 'neither'}")
    entries.add_aspa(asn_of(named[0]), map(asn_of, entry.providers))


class _Kind:
    """What the entries of one list are, and what becomes of them."""

    def __init__(
        self, struct: type[msgspec.Struct], take: Callable[[Any, Entries], None], *, aspa: bool = False
    ) -> None:
        self.aspa = aspa
        self.many = msgspec.json.Decoder(list[struct])  # type: ignore[valid-type]
        self._one = msgspec.json.Decoder(struct)
        self._take = take
        self.names = [b'"%b"' % field.encode_name.encode() for field in msgspec.structs.fields(struct)]

    def take(self, entry: Any, entries: Entries) -> None:
        """Take one entry, decoded or raw; ValueError says what is wrong."""
        if isinstance(entry, str):
            raise ValueError(entry)  # noqa: TRY004 - it is the file that is wrong
        self._take(self._one.decode(entry) if isinstance(entry, msgspec.Raw) else entry, entries)


_LISTS: Final = {
    "roas": _Kind(_Roa, _of_roa),
    "bgpsec_keys": _Kind(_BgpsecKey, _of_key),
    "routerKeys": _Kind(_RoutinatorKey, _of_key),
    "aspas": _Kind(_Aspa, _of_aspa, aspa=True),
}


def read(more: Callable[[int], bytes], entries: Entries) -> None:
    """Take all entries of a file. `more`: gives its next octets, at most so many; none at its end.

    Raises VRPFileError for a file that has another format, or that ends too early.
    """
    _Reader(more, entries).file()


class _Slice(NamedTuple):
    """Some elements of an array."""

    octets: bytes
    """As an array."""
    entries: Sequence[Any]
    """Decoded; all of them raw when one is of another kind."""


class _Reader:
    """Walks over a JSON text, a window at a time."""

    def __init__(self, more: Callable[[int], bytes], entries: Entries) -> None:
        self._read = more
        self._entries = entries
        self._window = b""
        self._at = 0
        self._line = 1  # where the window begins

    def file(self) -> None:
        """Read all of it."""
        if self._peek() == b"[":
            self._list("roas")
            if not self._entries.seen:
                self._refuse('an empty array may be a list of anything; expected {"roas": [...]}')
        else:
            self._object()
        if self._peek():
            self._refuse("something follows the end of the JSON")

    def _object(self) -> None:
        if self._peek() != b"{":
            self._expect(b"{", "an object")
        seen: set[str] = set()
        for name in self._members():
            if name in seen:
                self._refuse(f"the member {name!r:.60} is given twice")
            seen.add(name)
            if len(seen) > MOST_MEMBERS:
                self._refuse("more members than a VRP file has")
            self._member(name)
        if "roas" not in seen:
            slurm = ": this is a SLURM file" if "slurmVersion" in seen else ""
            self._refuse(f'no member is called `roas`{slurm}; expected {{"roas": [...]}}')

    def _member(self, name: str) -> None:
        if name == OLD_ASPAS:
            what = f"{OLD_ASPAS}, of rpki-client before 8.5, is not read: its ASPAs are by address family"
            self._entries.note(what)
        if self._peek() == b"[":
            self._list(name)
        elif name in _LISTS:
            self._refuse(f'expected an array at {name}, as in {{"roas": [...]}}')
        else:
            self._pass_over()

    def _members(self) -> Iterator[str]:
        """Give the names of the object that begins here; whoever asks for the next one has taken the value."""
        self._at += 1
        first = True
        while self._peek() != b"}":
            if not first:
                self._expect(b",", "a comma")
            first = False
            name = self._name()
            self._expect(b":", "a colon")
            yield name
        self._at += 1

    def _pass_over(self) -> None:
        """Take a value that nobody asked for: a short one, or an object of arrays."""
        if self._peek() != b"{":
            self._value()
            return
        for name in self._members():
            if self._peek() == b"[":
                self._list(f".{name}")
            else:
                self._value()

    def _list(self, name: str) -> None:
        """Take the array that begins here; of one that nobody asked for, nothing."""
        kind = _LISTS.get(name)
        index = 0
        for found in self._slices(_RAW if kind is None else kind.many):
            if kind is None:
                index += len(found.entries)
                if index > MOST_ENTRIES:
                    self._refuse(f"more than {MOST_ENTRIES} of {name!r:.60}: this is not a VRP file")
                continue
            for entry in _each_once(found, kind):
                try:
                    kind.take(entry, self._entries)
                except (ValueError, msgspec.ValidationError) as error:
                    self._entries.leave_out(f": {name}[{index}]", error, aspa=kind.aspa)
                index += 1

    def _slices(self, decoder: msgspec.json.Decoder[list[Any]]) -> Iterator[_Slice]:
        """Give the elements of the array that begins here, slice by slice."""
        self._at += 1
        if self._peek() == b"]":
            self._at += 1
            return
        while True:
            whole = (self._decoded(cut, decoder) for cut in self._cuts())
            if (found := next(filter(None, whole), None)) is None:
                end = self._end_of_elements()
                if (found := self._decoded(end, decoder)) is None:
                    self._malformed(end)
            self._at += len(found.octets) - 2
            yield found
            if self._peek() == b"]":
                self._at += 1
                return
            self._expect(b",", "a comma")
            if self._peek() == b"]":
                self._refuse("JSON is malformed: trailing comma in array")
            self._more()

    def _cuts(self) -> Iterator[int]:
        """Give commas near the end of the window that may stand between two elements.

        If what is before one is an array of whole elements, then it does.
        """
        end = len(self._window)
        for _ in range(_CUTS):
            end = self._window.rfind(b"}", self._at, end)
            if end < 0:
                break
            if (found := _CUT.match(self._window, end)) is not None:
                yield found.start(1)
        end = self._window.rfind(b",", self._at)
        if end > self._at:
            yield end

    def _end_of_elements(self) -> int:
        """Find where the last whole element of the window ends, one by one; at least one is."""
        while True:
            text = self._window.decode("latin-1")  # an octet a character; what JSON is made of is ASCII
            last, at = 0, self._at
            try:
                while True:
                    _, at = _SCANNER.raw_decode(text, _past_blanks(self._window, at))
                    at = _past_blanks(self._window, at)
                    if text[at : at + 1] not in (",", "]"):
                        break
                    last = at
                    if text[at] == "]":
                        break
                    at += 1
            except (ValueError, RecursionError):
                pass  # the last one is not whole, or it is malformed
            if last:
                return last
            if not self._more():
                self._malformed(len(self._window))

    def _decoded(self, end: int, decoder: msgspec.json.Decoder[list[Any]]) -> _Slice | None:
        """Decode elements, with a comma between each two; None when they are not whole."""
        octets = b"[%b]" % self._window[self._at : end]
        for each in (decoder, _RAW):
            try:
                return _Slice(octets, each.decode(octets))
            except msgspec.ValidationError:
                continue
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                break
        return None

    def _name(self) -> str:
        if self._peek() != b'"':
            self._refuse("JSON is malformed: expected the name of a member" if self._peek() else _TOO_EARLY)
        return str(self._value())

    def _value(self) -> object:
        """Give the value that begins here, which must be short."""
        self._peek()
        while True:
            try:
                value, end = _SCANNER.raw_decode(self._window.decode("latin-1"), self._at)
            except (ValueError, RecursionError):
                end = 0
            if end and _past_blanks(self._window, end) < len(self._window):
                self._at = end
                return value
            if not self._more():
                self._malformed(len(self._window))

    def _peek(self) -> bytes:
        """Give the next octet that is no blank, without taking it; none at the end."""
        while True:
            self._at = _past_blanks(self._window, self._at)
            if self._at < len(self._window):
                return self._window[self._at : self._at + 1]
            if not self._more():
                return b""

    def _expect(self, octet: bytes, what: str) -> None:
        found = self._peek()
        if found != octet:
            self._refuse(f"JSON is malformed: expected {what}" if found else _TOO_EARLY)
        self._at += 1

    def _more(self) -> bool:
        """Read on; False at the end of the file."""
        piece = self._read(WINDOW)
        if not piece:
            return False
        self._line += self._window.count(b"\n", 0, self._at)
        self._window = self._window[self._at :] + piece
        self._at = 0
        if len(self._window) > MOST_ELEMENT + WINDOW:
            self._refuse("one value is longer than any of a VRP file")
        return True

    def _malformed(self, end: int) -> NoReturn:
        """Say what is wrong with a value, or with elements of an array, that can't be decoded."""
        try:
            _RAW.decode(b"[%b" % self._window[self._at : end])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            found = re.search(r" \(byte (\d+)\)", str(error))
            self._at = end if found is None else min(end, self._at + max(0, int(found[1]) - 1))
            what = str(error) if found is None else str(error).replace(found[0], "")
            self._refuse(what)
        self._refuse("JSON is malformed")

    def _refuse(self, what: str) -> NoReturn:
        line = self._line + self._window.count(b"\n", 0, self._at)
        raise VRPFileError(f"{self._entries.path}:{line}: {what}")


def _past_blanks(octets: bytes, at: int) -> int:
    found = _BLANKS.match(octets, at)
    return at if found is None else found.end()


def _each_once(found: _Slice, kind: _Kind) -> Iterator[Any]:
    """Give the entries; what is wrong instead of one with two members of one name: readers disagree which counts.

    RFC 8259 section 4 leaves that open. A name more often than there are entries: it may be twice in one. So it may be
    where something is escaped. One with a max length under another name is wrong, too.
    """
    octets, count = found.octets, len(found.entries)
    once = b"\\" not in octets and all(octets.count(name) <= count for name in kind.names)
    misnamed = _MAX_LENGTH in kind.names and octets.count(_MAX_LENGTH) < count and _LIKE_IT.search(octets)
    if once and not misnamed:
        yield from found.entries
        return
    for raw in _RAW.decode(octets):
        members = json.loads(bytes(raw), object_pairs_hook=_Members)
        yield (isinstance(members, _Members) and _wrong(members, kind)) or raw


def _wrong(members: _Members, kind: _Kind) -> str:
    """Say what is wrong with the names of an entry's members; nothing: nothing is."""
    named = dict(members)
    if len(named) < len(members):
        return "a member is given twice in it"
    if _MAX_LENGTH in kind.names and named.get("maxLength") is None:
        try:
            want_max_length(named)
        except ValueError as why:
            return str(why)
    return ""


class _Members(list[tuple[str, Any]]):
    """The members of an object as they stand."""
