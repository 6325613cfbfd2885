"""VRPs and router keys as records that stay valid as long as anyone holds them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from itertools import compress, repeat
from typing import Any, Final, Self, SupportsIndex, TypeVar

from _rov import ffi, lib
from rtrlib.arguments import PrefixLike, address_of, integer
from rtrlib.rtr_socket import RTRSocket
from rtrlib.structs import pfx_record_of, spki_record_of
from rtrlib.vrp import PACKED, address_text

__all__ = ["PFXRecord", "SPKIRecord", "copy_pfx_record", "record_of", "records_of"]


class _Record(tuple[Any, ...]):
    """What a record says; the cache that said so stands beside, and takes no part in comparisons."""

    __slots__ = ()
    __match_args__: tuple[str, ...] = ()
    socket: RTRSocket | None = None
    """The cache that said so, where there is one to name."""

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (*self, self.socket)

    def __reduce__(self) -> tuple[Any, ...]:
        return self._public(), self.__getnewargs__()

    @classmethod
    def _public(cls) -> type[_Record]:
        """Give the class that users know: those with a socket of their own are made as they are needed."""
        return next(one for one in cls.__mro__ if "socket" not in vars(one) or one is _Record)

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={value!r}" for name, value in zip(self.__match_args__, self, strict=True))
        return f"{self._public().__name__}({said})"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


SLICE: Final = 4096 * PACKED.size
"""Octets of packed VRPs of which records are made at a time."""
ADDRESS_LINE: Final = 40
"""Octets that one address takes as text (ADDRESS_LINE_MAX of ffi/native/base/prefix.h)."""
T = TypeVar("T", bound=_Record)


class PFXRecord(_Record):
    """A VRP: `asn` may originate `prefix` (an address) / `min_len`, up to a length of `max_len` (RFC 6811).

    Two are equal when all four are, whoever said so: `socket` is beside.
    """

    __slots__ = ()
    __match_args__ = ("asn", "prefix", "min_len", "max_len")

    def __new__(
        cls,
        asn: SupportsIndex | Any = None,
        prefix: PrefixLike | None = None,
        min_len: SupportsIndex | None = None,
        max_len: SupportsIndex | None = None,
        socket: RTRSocket | None = None,
        *,
        record: Any = None,
    ) -> Self:
        """Take what it says; or, alone, librtr's `struct pfx_record` or a pointer to one. TypeError for neither.

        That may be named `record`, as in rtrlib-python.
        The address becomes text as `str(ipaddress.ip_address(...))` gives it, numbers become int, and are not checked
        any further. IpConversionException: it is no address.
        """
        if prefix is None or min_len is None or max_len is None:
            said: tuple[Any, ...] = pfx_record_of(asn if record is None else record)
        else:
            raw, family = address_of(prefix)
            said = (
                integer(asn, "asn"),
                address_text(raw, family),
                integer(min_len, "min_len"),
                integer(max_len, "max_len"),
            )
        return tuple.__new__(_said_by(cls, socket), said)

    @property
    def asn(self) -> int:
        """The AS that may originate the prefix; 0: none may."""
        return self[0]  # type: ignore[no-any-return]

    @property
    def prefix(self) -> str:
        """The address, as text."""
        return self[1]  # type: ignore[no-any-return]

    @property
    def min_len(self) -> int:
        """The prefix length, in bits."""
        return self[2]  # type: ignore[no-any-return]

    @property
    def max_len(self) -> int:
        """The longest prefix that the AS may originate."""
        return self[3]  # type: ignore[no-any-return]

    def __str__(self) -> str:
        """Give it as rtrlib-python's programs print it, with the AS number bare."""
        return "{1}/{2}-{3} {0}".format(*self)


class SPKIRecord(_Record):
    """A BGPsec router key (RFC 8210 section 5.10): `ski` is 20 octets, `spki` the DER of the public key.

    Two are equal when all three are: `socket` is beside.
    """

    __slots__ = ()
    __match_args__ = ("asn", "ski", "spki")

    def __new__(
        cls,
        asn: SupportsIndex | Any = None,
        ski: bytes | None = None,
        spki: bytes = b"",
        socket: RTRSocket | None = None,
        *,
        record: Any = None,
    ) -> Self:
        """Take what it says; or, alone, a pointer to librtr's `struct spki_record`, also as `record`. TypeError."""
        if ski is None:
            asn, ski, spki = spki_record_of(asn if record is None else record)
        for name, octets in (("ski", ski), ("spki", spki)):
            if not isinstance(octets, bytes):
                raise TypeError(f"{name} must be bytes, not {type(octets).__name__}")
        asn = integer(asn, "asn")
        return tuple.__new__(_said_by(cls, socket), (asn, ski, spki))

    @property
    def asn(self) -> int:
        """The router's AS."""
        return self[0]  # type: ignore[no-any-return]

    @property
    def ski(self) -> bytes:
        """The subject key identifier, 20 octets."""
        return self[1]  # type: ignore[no-any-return]

    @property
    def spki(self) -> bytes:
        """The public key in DER."""
        return self[2]  # type: ignore[no-any-return]

    def __str__(self) -> str:
        return f"{self.ski.hex()} {self.asn}"


def _said_by(cls: type[T], socket: RTRSocket | None) -> type[T]:
    """Give a class of records that one cache said: a record has no room for it that a million would not pay for."""
    if socket is None:
        return cls
    known = getattr(socket, "__dict__", {})
    made: type[T] | None = known.get(cls.__qualname__)
    if made is None or made.socket is not socket or made.__base__ is not cls:  # a picture has what it was copied from
        made = type(cls.__name__, (cls,), {"__slots__": (), "socket": socket, "__module__": cls.__module__})
        known[cls.__qualname__] = made
    return made


def record_class(socket: RTRSocket | None) -> type[PFXRecord]:
    """Give the class of the VRPs that a cache said, the same one each time."""
    return _said_by(PFXRecord, socket)


def copy_pfx_record(record: PFXRecord) -> PFXRecord:
    """Return an equal record. Ours hold no memory of librtr, so nothing needs this now.

    TypeError for what is not a PFXRecord.
    """
    if not isinstance(record, PFXRecord):
        raise TypeError(f"a PFXRecord is needed, not {type(record).__name__}")
    return copy.copy(record)


def record_of(packed: bytes, source: RTRSocket | None = None) -> PFXRecord:
    """Give one packed VRP as a record."""
    return next(records_of(packed, source))[0]


def records_of(packed: bytes | memoryview, source: RTRSocket | None = None) -> Iterator[tuple[PFXRecord, bool]]:
    """Give each record of packed VRPs (checked ones: of a VRP set), and whether it was added."""
    made = record_class(source)
    for raw, asn, length, max_length, family, announce in PACKED.iter_unpack(packed):
        yield tuple.__new__(made, (asn, address_text(raw, family), length, max_length)), bool(announce)


def records_in(
    slices: Iterable[bytes], sources: Mapping[int, RTRSocket | None], family: int | None = None
) -> Iterator[PFXRecord]:
    """Give the records of one family, or all, of packed VRPs; `announce` of each is 1 and the number of who said so."""
    # This may be done a million times, so a slice is taken apart by columns: no single record runs Python code.
    text = ffi.new("char[]", SLICE // PACKED.size * ADDRESS_LINE)
    classes = {number + 1: record_class(socket) for number, socket in sources.items()}
    for records in slices:
        octets = memoryview(records)
        count = len(records) // PACKED.size
        addresses = ffi.buffer(text, lib.addresses_print(records, count, text))[:].decode("ascii").split()
        columns = zip(
            octets.cast("I")[4 :: PACKED.size // 4].tolist(),
            addresses,
            octets[20 :: PACKED.size].tolist(),
            octets[21 :: PACKED.size].tolist(),
            strict=True,
        )
        said_by = octets[23 :: PACKED.size].tolist()
        rows = map(tuple.__new__, map(classes.get, said_by, repeat(PFXRecord)), columns)
        if family is None:
            yield from rows
        else:
            yield from compress(rows, (one == family for one in octets[22 :: PACKED.size]))
