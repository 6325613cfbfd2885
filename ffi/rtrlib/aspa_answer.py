"""The ASPAs of one answer of a cache, up to its End of Data (draft-ietf-sidrops-8210bis section 5.12).

PDUs are decoded in C, in runs, and joined to the set some thousands of words at a time: so neither many small PDUs nor
a long answer costs much in one turn.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args

from _rov import ffi, lib
from rtrlib import aspas

__all__ = [
    "LEFT_OUT",
    "MOST_WORDS",
    "ASPAAnswer",
    "LeftOut",
    "TooManyASPAsError",
    "UnknownASPAError",
    "WrongList",
    "is_of_draft_10",
    "wrong_list",
]

LeftOut: TypeAlias = Literal[
    "as-0-customer",
    "own-customer",
    "too-many-providers",
    "as-0-beside-others",
    "no-provider",
    "not-ascending",
    "repeated",
    "withdrawn-list",
]
"""Why something of an ASPA PDU is not used: the customer in its own list; the whole PDU (its customer is AS 0, or it
has more than MOST_PROVIDERS); or, for the others, the whole answer that it was in."""
LEFT_OUT: Final[tuple[LeftOut, ...]] = get_args(LeftOut)

MOST_WORDS: Final = 1 << 20
"""Numbers (customers, lengths, providers) that one answer may have, and the set of a cache: 4 MB, room for each AS
that is in use today with ten providers."""
ROOM: Final = 1 << 15
"""Words that are decoded in one go: more than the longest PDU has."""
HEADER_SIZE: Final = 12
WORD: Final = 4


class UnknownASPAError(Exception):
    """A customer is withdrawn that the cache never announced."""

    def __init__(self, customer: int) -> None:
        super().__init__(customer)
        self.customer = customer


class TooManyASPAsError(Exception):
    """A cache sends more than it may."""


class ASPAAnswer:
    """What one answer makes of a cache's set."""

    def __init__(self, held: bytes, most: int) -> None:
        """`held`: the set that it changes, empty for a full one; `most`: words that it may have."""
        self._held = held
        self._most = most
        self._count = 0
        self._waiting = bytearray()
        self._out: Any = None
        self._written = ffi.new("size_t *")
        self._too_long = 0
        self._left_out = ffi.new("struct aspas_left_out *")

    def take(self, octets: Any, size: int, version: int) -> int:
        """Take a run of PDUs; gives the octets that they took. UnknownASPAError, TooManyASPAsError."""
        if self._out is None:
            self._out = ffi.new("uint32_t[]", ROOM)
        used = int(lib.rtr_aspas(octets, size, version, self._out, ROOM, self._written, self._left_out))
        if used:
            self._count += used // WORD
            if self._count > self._most:
                raise TooManyASPAsError
            self._waiting += ffi.buffer(self._out, self._written[0] * WORD)
            if len(self._waiting) >= ROOM * WORD:
                self._join()
        return used

    def settled(self) -> bytes:
        """Give the set after it. UnknownASPAError, TooManyASPAsError."""
        if self._waiting:
            self._join()
        return self._held

    @property
    def left_out(self) -> Counter[LeftOut]:
        """How often something was left out of PDUs that are used."""
        counts: Counter[LeftOut] = Counter()
        counts["as-0-customer"] = int(self._left_out.as_0_customer)
        counts["own-customer"] = int(self._left_out.own_customer)
        counts["too-many-providers"] = self._too_long
        return +counts

    def _join(self) -> None:
        changes = aspas.settle(bytes(self._waiting))
        self._waiting.clear()
        self._too_long += len(aspas.limit(changes)[1])
        if (customer := aspas.unknown(self._held, changes)) is not None:
            raise UnknownASPAError(customer)
        self._held = aspas.apply(self._held, changes)
        if len(self._held) > self._most * WORD:
            raise TooManyASPAsError


class WrongList(NamedTuple):
    """What is wrong with a list of providers."""

    kind: LeftOut
    why: str


def wrong_list(pdu: bytes, *, announce: bool) -> WrongList | None:
    """Say what is wrong with the providers of an ASPA PDU whose length is right; None: nothing is."""
    customer = f"AS{int.from_bytes(pdu[8:HEADER_SIZE])}"
    providers = [int.from_bytes(pdu[at : at + WORD]) for at in range(HEADER_SIZE, len(pdu), WORD)]
    if not announce:
        why = f"it withdraws the ASPA of {customer} with a list of providers"
        return WrongList("withdrawn-list", why) if providers else None
    if not providers:
        return WrongList("no-provider", f"the ASPA of {customer} names no provider")
    if len(providers) > 1 and 0 in providers:
        return WrongList("as-0-beside-others", f"the ASPA of {customer} names AS0 beside others")
    for before, after in pairwise(providers):
        if after == before:
            return WrongList("repeated", f"the ASPA of {customer} names AS{after} twice")
        if after < before:
            why = f"the providers in the ASPA of {customer} do not ascend: AS{after} follows AS{before}"
            return WrongList("not-ascending", why)
    return None


def is_of_draft_10(pdu: bytes) -> bool:
    """Tell whether it is the ASPA PDU of draft-ietf-sidrops-8210bis-10, which StayRTR 0.5 sends in version 2.

    That has its flags in octet 8, a family in octet 9, and the number of providers in 10 and 11; by today's text it
    would be a withdrawal, of AS16777218 or so, with a list.
    """
    flags, count = pdu[8], int.from_bytes(pdu[10:12])
    looks = not pdu[2] & 1 and len(pdu) == HEADER_SIZE + WORD + WORD * count
    return looks and pdu[9] <= 3 and (flags == 1 if count else flags in {0, 1})
