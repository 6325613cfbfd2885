"""The receivers: neighbors of the router to which routes can be announced. The route table has a bit for each.

What can be announced to one, and how, depends on what its session agreed on.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from rtrd.base import log
from rtrd.policy import normal
from rtrd.rib.table import RouteTable
from rtrd.rib.terms import KINDS, MOST_RECEIVERS
from rtrlib.aspa_paths import LocalRole

_KEEPS_BACK = ("customer", "peer", "rs-client")
_ADDS = ("provider", "peer", "rs")
"""What we are to those who do not get routes with Only to Customer, and to those who get none without."""

logger = log.get("engine")


class Receivers:
    """The neighbors that commands can name, in the order in which they were heard of."""

    def __init__(self, router: str, table: RouteTable) -> None:
        """`router`: its name, for the log."""
        self._router = router
        self._table = table
        self.bits: dict[str, int] = {}
        """Each address with its bit, which it keeps until it is forgotten."""
        self.version = 0
        """Changes when a bit means another receiver, or one has another name, kind, or size of AS numbers."""
        self.turning = 0
        """The bits of those that are about to be spoken to in the other way: until then nothing is advertised there."""
        self._extended_next_hop = 0  # those that negotiated it
        self._two_octet_as = 0  # those whose sessions have AS numbers of two octets
        self._four_octet_as = 0  # those that are known to have four
        self._plain = {4: 0, 6: 0}  # those that take no path ids
        self._turning: dict[str, dict[int, bool]] = {}  # those that are about to take path ids, or none, by family
        self._up = (1 << MOST_RECEIVERS) - 1  # those that are announced to
        self._kinds: dict[str, int] = dict.fromkeys(KINDS, 0)  # by what they are; of no kind: not told
        self._kept_back = 0  # those that do not get what has Only to Customer
        self._unmarked = 0  # those that should get ours, of which nobody knows what AS we are there
        self._given: dict[int, int] = {}  # by bit: the AS of the Only to Customer that they get
        self._too_many = False
        self._spelled: dict[str, str] = {}  # those that the router does not write in the normal form

    def __iter__(self) -> Iterator[str]:
        return iter(self.bits)

    def __len__(self) -> int:
        return len(self.bits)

    def __contains__(self, address: str) -> bool:
        return address in self.bits

    def bit(self, address: str) -> int:
        """Give the bit of one of them; 0 for any other address."""
        return self.bits.get(normal(address), 0)

    def names(self, bits: int) -> tuple[str, ...]:
        """Give their addresses."""
        return tuple(address for address, bit in self.bits.items() if bits & bit)

    def add(self, address: str) -> bool:
        """Take note of a neighbor. True: it was new.

        What is no IP address is none: a receiver's address becomes part of commands.
        """
        valid = packed(address)
        address = normal(address)
        if not valid or address in self.bits:
            return False
        if len(self.bits) == MOST_RECEIVERS:
            if not self._too_many:
                self._too_many = True
                logger.error(
                    "more neighbors than rtrd can announce to; the others get nothing: name the receivers"
                    " in the policy's `to`",
                    router=self._router,
                    most=MOST_RECEIVERS,
                    first_left_out=address,
                )
            return False
        taken = sum(self.bits.values()) | self._table.forgotten
        bit = ~taken & (taken + 1)
        if bit >> MOST_RECEIVERS:
            return False  # some that are gone still have theirs; it will be heard of again
        self.bits[address] = bit
        self.version += 1
        return True

    def forget(self, address: str) -> int:
        """Take note that one is no neighbor of the router any more. Gives the bit that it had, or 0."""
        address = normal(address)
        bit = self.bits.pop(address, 0)
        self._spelled.pop(address, None)
        if bit:
            self.version += 1
            self._turning.pop(address, None)
            self.turning &= ~bit
            self._table.set_turning(self.turning)
            self._up |= bit
            self._extended_next_hop &= ~bit
            self._two_octet_as &= ~bit
            self._four_octet_as &= ~bit
            self._plain = {family: plain & ~bit for family, plain in self._plain.items()}
            self._kept_back &= ~bit
            self._unmarked &= ~bit
            self._given.pop(bit, None)
            self._set_otc()
            self._set_kinds({kind: bits & ~bit for kind, bits in self._kinds.items()})
            self._table.set_up(self._up)
            self._table.set_extended_next_hop(self._extended_next_hop)
            self._table.set_two_octet_as(self._two_octet_as)
            self._table.set_plain(self._plain[4], self._plain[6])
        return bit

    def spell(self, address: str) -> None:
        """Take note of how the router spells a neighbor's address: in commands it compares text."""
        name = normal(address)
        if self.spelling(name) != address and packed(address):
            self._spelled[name] = address
            self.version += 1

    def spelling(self, address: str) -> str:
        """Give an address as the router spells it."""
        return self._spelled.get(normal(address), address)

    # -- path ids (RFC 7911)

    def path_ids(self, address: str, family: int, *, taken: bool) -> bool:
        """Take note whether one takes path ids of a family; unknown: it does. True: it is `turning` now.

        A turn is made by `turn`, once nothing is advertised there that was announced in the other way.
        """
        address = normal(address)
        taken_now = not self._plain[family] & self.bit(address)
        if not self.bit(address) or taken == self._turning.get(address, {}).get(family, taken_now):
            return False
        self._turning.setdefault(address, {})[family] = taken
        self.turning |= self.bit(address)
        self._table.set_turning(self.turning)
        return True

    def may_turn(self) -> bool:
        """Tell whether some are `turning` to whom nothing is advertised any more, when there is no command to write.

        What waits for the next send barrier may be a withdraw there, which may have to wait for another one after that.
        """
        state = self._table.state
        if not self.turning or state.work or state.searching or state.waiting > state.parked:
            return False
        return not self._table.parked_at(self.turning)

    def turn(self) -> None:
        """Speak to them in the other way from now on."""
        for address, families in self._turning.items():
            bit = self.bit(address)
            for family, taken in families.items():
                self._plain[family] = self._plain[family] & ~bit if taken else self._plain[family] | bit
        self._turning.clear()
        self.turning = 0
        self._table.set_turning(0)
        self._table.set_plain(self._plain[4], self._plain[6])

    # -- sessions

    def reachable(self, address: str, *, up: bool) -> bool:
        """Take note whether the session with one is up; until told, it is. True: it is news."""
        bit = self.bit(address)
        if not bit or bool(self._up & bit) == up:
            return False
        self._up ^= bit
        self._table.set_up(self._up)
        return True

    def up(self, address: str) -> int:
        """Give the bit of one whose session is up; else 0."""
        return self._up & self.bit(address)

    # -- what they are to the router

    def kind(self, address: str, kind: str | None) -> bool:
        """Take note what one is to the router (KINDS); until told, it counts as external. True: it is news."""
        bit = self.bit(address)
        kinds = {name: bits | bit if name == kind else bits & ~bit for name, bits in self._kinds.items()}
        return self._set_kinds(kinds)

    def kind_of(self, bits: int) -> str:
        """Give what receivers are that a command names together; if they differ, the same is announced to all kinds."""
        return next((kind for kind, those in self._kinds.items() if bits & those), "external")

    def takes_path_octets(self, bits: int) -> bool:
        """Tell whether all of these are known to take AS numbers of four octets (RFC 6793)."""
        return not bits & ~self._four_octet_as

    def _set_kinds(self, kinds: dict[str, int]) -> bool:
        if kinds == self._kinds:
            return False
        self._kinds = kinds
        self.version += 1
        self._table.set_kinds(kinds["internal"], kinds["confederation"], kinds["client"])
        return True

    def only_to_customer(self, address: str, role: LocalRole | None, own_as: int) -> bool:
        """Take note of what we are to one (None: not known), and of our AS there (0: not known). True: it is news.

        RFC 9234 section 5: what has Only to Customer goes to customers and to clients of our route server alone; to
        these, and to peers, nothing goes without.
        """
        bit = self.bit(address)
        before = self._kept_back, self._unmarked, dict(self._given)
        self._kept_back = self._kept_back | bit if role in _KEEPS_BACK else self._kept_back & ~bit
        self._unmarked = self._unmarked | bit if role in _ADDS and not own_as else self._unmarked & ~bit
        self._given.pop(bit, None)
        if bit and own_as and role in _ADDS:
            self._given[bit] = own_as
        if before == (self._kept_back, self._unmarked, self._given):
            return False
        self.version += 1
        self._set_otc()
        return True

    def _set_otc(self) -> None:
        given = [self._given.get(1 << number, 0) for number in range(MOST_RECEIVERS)]
        self._table.set_only_to_customer(self._kept_back, self._unmarked, given)

    def otc_given(self, bits: int) -> int:
        """Give the AS of the Only to Customer that receivers get which a command names together; 0: none."""
        return self._given.get(bits & -bits, 0)

    def extended_next_hop(self, address: str, *, agreed: bool) -> bool:
        """Take note whether one takes IPv4 routes with an IPv6 next hop (RFC 8950). True: it is news."""
        bit = self.bit(address)
        now = self._extended_next_hop | bit if agreed else self._extended_next_hop & ~bit
        if now == self._extended_next_hop:
            return False
        self._extended_next_hop = now
        self._table.set_extended_next_hop(now)
        return True

    def four_octet_as(self, address: str, *, agreed: bool) -> bool:
        """Take note whether one takes AS numbers of four octets (RFC 6793); until told, it does. True: it is news."""
        bit = self.bit(address)
        four = self._four_octet_as | bit if agreed else self._four_octet_as & ~bit
        if four != self._four_octet_as:
            self._four_octet_as = four
            self.version += 1
        now = self._two_octet_as & ~bit if agreed else self._two_octet_as | bit
        if now == self._two_octet_as:
            return False
        self._two_octet_as = now
        self._table.set_two_octet_as(now)
        return True


def packed(address: str) -> bytes:
    """Give the bytes of an IP address; none for any other text, also for a scope, which may be any text."""
    try:
        return b"" if "%" in address else ipaddress.ip_address(address).packed
    except ValueError:
        return b""
