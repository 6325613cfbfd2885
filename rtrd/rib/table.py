"""The Adj-RIB-In of one router, with the validity of each route and what was last written for it.

The table itself is native (ffi/native/rib/rib.h); here its numbers get their words and its errors their sentences. No
text of BGP leaves it: prefixes are printed from numbers.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Sequence

import _rov
from _rov import ffi, lib
from rtrd.rib.native_terms import CHANGE_SIZE, Policies, native_policies, native_tag, route_of
from rtrd.rib.terms import (
    LEARNED,
    PATH_OUTCOMES,
    ROLES,
    AttributeSummary,
    ChangesLost,
    Command,
    NeighborPolicy,
    RibState,
    Route,
)
from rtrd.tags import Tag
from rtrlib.aspa_paths import native_set
from rtrlib.aspas import ASPAIndex
from rtrlib.vrp_filters import parse_prefix
from rtrlib.vrp_set import VALIDITIES, VRPChanges, VRPSet

_ROWS = 512
_FEW = 64
_NONE = 0xFFFFFFFF
_BY_KIND, _BY_OTC = lib.DIFFERS_BY_KIND, lib.DIFFERS_BY_OTC


class RouteTable:
    """The Adj-RIB-In of one router and what was written for it. Not thread-safe.

    Raises MemoryError where memory ends; what was there before stays as it was.
    """

    def __init__(self, vrp_set: VRPSet) -> None:
        native = lib.rib_new(vrp_set.native)
        if native == ffi.NULL:
            raise MemoryError("no memory for a route table")
        self._vrp_set = vrp_set  # must outlive the native table
        self.native: _rov.Rib = ffi.gc(native, lib.rib_free)
        self.state: RibState = lib.rib_state(native)
        """What waits, and what is left to do; it changes with the table."""
        self._faults = ffi.new("struct route_faults *")
        self._command = ffi.new("struct command *")
        self._received = ffi.new("struct bgp_received *")
        self._reading: _rov.Array[_rov.BgpUpdate] | None = None
        self._lines_received = ffi.new("struct bgp_lines_received *")
        self._key_size = ffi.new("size_t *")
        self._split = 0
        self.aspas = ASPAIndex(b"")
        """Those by which paths are judged."""

    # -- attribute sets

    def find_attributes(self, key: bytes) -> int | None:
        """Give the number of an attribute set that some route has."""
        number = lib.rib_attrs_find(self.native, key, len(key))
        return None if number == _NONE else number

    def add_attributes(self, key: bytes, summary: AttributeSummary) -> int:
        """Give the number of a new attribute set. It is gone after the next `announce` if no route took it."""
        native = ffi.new("struct attrs_summary *", summary._asdict())
        number = lib.rib_attrs_add(self.native, key, len(key), native)
        if number == _NONE:
            raise MemoryError("no memory for an attribute set")
        return int(number)

    def set_most_attributes(self, octets: int) -> None:
        """Bound the attribute sets that are there by the UPDATEs of one neighbor; without it there is no bound."""
        lib.rib_set_attrs_most(self.native, octets)

    def set_our_tags(self, tags: Iterable[Tag]) -> None:
        """Tell which communities the policy can add: one of a neighbor's makes no other attribute set."""
        native = [native_tag(tag) for tag in tags]
        if lib.rib_set_our_tags(self.native, ffi.new("struct our_tag[]", native), len(native)) != 0:
            raise MemoryError("no memory for the policy's tags")

    def set_conditions(self, conditions: Iterable[tuple[Tag, int]]) -> None:
        """Tell which communities the policy asks for, each with a bit; a set that has one meets that condition.

        Sets that are there keep what they meet until `retag`.
        """
        native = [{"community": native_tag(tag), "bit": bit} for tag, bit in conditions]
        if lib.rib_set_conditions(self.native, ffi.new("struct condition[]", native), len(native)) != 0:
            raise MemoryError("no memory for the policy's conditions")

    @property
    def attributes_end(self) -> int:
        """Every number of an attribute set is below it."""
        return lib.rib_attrs_end(self.native)

    def retag(self, number: int, summary: AttributeSummary) -> None:
        """Change what is known of an attribute set; with another treatment `revalidate` has it written again."""
        if lib.rib_attrs_retag(self.native, number, ffi.new("struct attrs_summary *", summary._asdict())) != 0:
            raise KeyError(number)

    def attributes_key(self, number: int) -> bytes:
        """Give back the key of an attribute set. Raises KeyError when no route has it any more."""
        key = lib.rib_attrs_key(self.native, number, self._key_size)
        if key == ffi.NULL:
            raise KeyError(number)
        return ffi.buffer(key, self._key_size[0])[:]

    # -- neighbors

    def add_neighbor(self, policies: Policies, address: bytes) -> int:
        """Give the number of a new session. `address`: packed; the lower one wins between equal routes."""
        native = native_policies(policies)
        number = lib.rib_neighbor_add(self.native, native, len(native), address.rjust(17, b"\0"))
        if number < 0:
            raise MemoryError("no room for another neighbor")
        return int(number)

    def set_policy(self, neighbor: int, policies: Policies) -> None:
        """Change what the policy says for a neighbor; as `add_neighbor`.

        `revalidate` makes it count, and has what is advertised with other additions written again.
        """
        native = native_policies(policies)
        if lib.rib_neighbor_policy(self.native, neighbor, native, len(native)) != 0:
            raise MemoryError("no memory for a policy, or no such neighbor")

    def set_role(self, neighbor: int, role: str | None) -> None:
        """Tell what we are to a neighbor (ROLES), by which its paths are judged; `revalidate` makes it count."""
        if lib.rib_neighbor_role(self.native, neighbor, ROLES.index(role)) != 0:
            raise KeyError(neighbor)

    def path_counts(self, neighbor: int) -> dict[str, int]:
        """How many routes of the neighbor have a path of which outcome.

        `leak`: how many have leaked; `kept_back`: how many are not announced to some receiver of their rule, because of
        Only to Customer (RFC 9234 section 5).
        """
        counts, leaks = ffi.new("uint64_t[4]"), ffi.new("uint64_t *")
        lib.rib_neighbor_paths(self.native, neighbor, counts, leaks)
        outcomes = {outcome: counts[number] for number, outcome in enumerate(PATH_OUTCOMES) if outcome is not None}
        return {**outcomes, "leak": leaks[0], "kept_back": lib.rib_neighbor_kept_back(self.native, neighbor)}

    def retire_neighbor(self, neighbor: int) -> None:
        """End a session: its routes go, a slice in each `work`."""
        lib.rib_neighbor_retire(self.native, neighbor)

    def counts(self, neighbor: int) -> dict[str, int]:
        """How many routes of the neighbor have which validity."""
        counts = ffi.new("uint64_t[4]")
        lib.rib_neighbor_counts(self.native, neighbor, counts)
        return dict(zip(VALIDITIES, counts, strict=True))

    # -- updates

    def announce(self, neighbor: int, attributes: int, prefixes: Sequence[str]) -> int:
        """Take routes; each of `prefixes` is `PREFIX` or, under ADD-PATH, `PREFIX PATH-ID` (as an address).

        Returns how many were taken; what is no prefix is counted in `malformed`, what is too many in `crowded`.
        """
        text = ("\n".join(prefixes) + "\n").encode("ascii", "replace")
        count = len(prefixes)
        taken = lib.rib_announce_text(self.native, neighbor, attributes, text, len(text), count, self._faults)
        return taken if taken == count else self._explain(taken, prefixes, self.announce, neighbor, attributes)

    def withdraw(self, neighbor: int, prefixes: Sequence[str]) -> int:
        """Take routes away; as `announce`. Routes that were never announced are no fault."""
        text = ("\n".join(prefixes) + "\n").encode("ascii", "replace")
        count = len(prefixes)
        taken = lib.rib_withdraw_text(self.native, neighbor, text, len(text), count, self._faults)
        return taken if taken == count else self._explain(taken, prefixes, self.withdraw, neighbor)

    def receive(self, neighbor: int, session: _rov.BgpSession, body: bytes) -> _rov.BgpReceived:
        """Take an UPDATE of a neighbor: the octets behind its header. Gives what it did, good until the next one.

        Raises MemoryError when some routes found no memory; the others are taken.
        """
        if not lib.bgp_receive(
            self.native,
            neighbor,
            session,
            ffi.from_buffer(body),
            len(body),
            self._update(),
            self._faults,
            self._received,
        ):
            self._faults.memory = 0
            raise MemoryError("no memory for more routes")
        return self._received

    def receive_lines(self, lines: _rov.BgpLines, text: bytes, at: int) -> _rov.BgpLinesReceived:
        """Take the lines of `text` from `at` on that are like those of `lines`. Gives what they did; as `receive`."""
        rest = ffi.from_buffer(text) + at
        found = self._lines_received
        lib.bgp_receive_lines(self.native, lines, rest, len(text) - at, self._update(), self._faults, found)
        if found.memory:
            self._faults.memory = 0
        return found

    def summary_of_octets(self, key: bytes) -> AttributeSummary:
        """Give the summary of an attribute set whose key is octets (rtrd.rib.attributes)."""
        found = ffi.new("struct attrs_summary *")
        if not lib.rib_bgp_summary(self.native, ffi.from_buffer(key), len(key), self._update()[0].scratch, found):
            raise ValueError("no attribute set")
        return AttributeSummary(*(getattr(found, name) for name in AttributeSummary._fields))

    def set_of_octets(self, key: bytes) -> int:
        """Give the number of the attribute set of such a key. If it is new, it is as of `add_attributes`."""
        number = self.find_attributes(key)
        return self.add_attributes(key, self.summary_of_octets(key)) if number is None else number

    def _update(self) -> _rov.Array[_rov.BgpUpdate]:
        """Give the memory in which UPDATEs are read, those of lines in turn: some of it is only used by long ones."""
        if self._reading is None:
            self._reading = ffi.new("struct bgp_update[]", lib.BGP_LINES_AHEAD)
        return self._reading

    def _explain(self, taken: int, prefixes: Sequence[str], again: Callable[..., int], *arguments: int) -> int:
        if taken == -1:  # a line feed inside a prefix: the rest is taken without it
            good = [prefix for prefix in prefixes if "\n" not in prefix]
            self._split += len(prefixes) - len(good)
            return again(*arguments, good) if good else 0
        if taken < 0:
            raise KeyError("no such neighbor or attribute set")
        if self._faults.memory:
            self._faults.memory = 0
            raise MemoryError("no memory for more routes")
        return int(taken)

    def no_prefixes(self, count: int) -> None:
        """Count prefixes that were none."""
        self._faults.prefixes += count

    @property
    def malformed(self) -> int:
        """How many prefixes were none, or had host bits, and were left out."""
        return int(self._faults.prefixes) + self._split

    @property
    def crowded(self) -> int:
        """How many routes were left out since their neighbor had 1024 of the prefix, by path id."""
        return int(self._faults.crowded)

    # -- what follows

    def set_plain(self, ipv4: int, ipv6: int) -> None:
        """Tell which receivers (by bit) take no path ids: there the best path of a prefix is advertised, without an id.

        What is advertised to a receiver whose bit changes must have been withdrawn before.
        """
        lib.rib_set_plain(self.native, ipv4, ipv6)

    def set_turning(self, receivers: int) -> None:
        """Say which receivers (bits) are about to take path ids, or none: nothing that has one stays there."""
        lib.rib_set_turning(self.native, receivers)

    def set_extended_next_hop(self, receivers: int) -> None:
        """Tell which receivers (by bit) take IPv4 routes with an IPv6 next hop; `revalidate` makes it count."""
        lib.rib_set_extended_next_hop(self.native, receivers)

    def set_only_to_customer(self, kept_back: int, unknown: int, given: Sequence[int]) -> None:
        """Tell what is done about Only to Customer (RFC 9234 section 5) where a rule wants that.

        Receivers of `kept_back` (bits) do not get what has it; receiver i gets it of AS `given[i]` with what has none,
        if that is not 0, and nothing of these if it is one of `unknown`. `revalidate` makes it count.
        """
        lib.rib_set_only_to_customer(self.native, kept_back, unknown, ffi.new("uint32_t[]", list(given)))

    def set_up(self, receivers: int) -> None:
        """Tell which receivers (by bit) have a session that is up; all, until told. `revalidate` makes it count.

        At one that is down nothing is announced: what is advertised there and right stays, the rest is withdrawn.
        """
        lib.rib_set_up(self.native, receivers)

    def set_two_octet_as(self, receivers: int) -> None:
        """Tell which receivers (by bit) take no AS numbers of four octets (RFC 6793); `revalidate` makes it count."""
        lib.rib_set_two_octet_as(self.native, receivers)

    def set_kinds(self, internal: int, confederation: int, clients: int) -> None:
        """Tell what receivers (by bit) are to the router (KINDS); all others are external.

        `revalidate` makes it count, and has what is advertised in other words written again.
        """
        lib.rib_set_kinds(self.native, internal, confederation, clients)

    def set_path_id_key(self, first: int, second: int) -> None:
        """Give the secret (64 bits each) by which path ids toward receivers are made, before any route comes."""
        lib.rib_set_path_id_key(self.native, ffi.new("uint64_t[2]", (first, second)))

    def forget_receivers(self, receivers: int) -> None:
        """Take note that the router has receivers (by bit) no longer: nothing is written for them from now on.

        That no route is advertised there is found in `work`; no policy may name them meanwhile.
        """
        lib.rib_forget_receivers(self.native, receivers)

    @property
    def forgotten(self) -> int:
        """The bits of receivers that are gone, and that some route may still have."""
        return lib.rib_forgotten(self.native)

    def mark_not_announced(self, prefix: str, receivers: int) -> None:
        """Take note that what was written for an NLRI (as `announce` takes it) is not advertised to receivers."""
        lib.rib_mark_not_announced(self.native, *_line(prefix), receivers)

    def has(self, neighbor: int, prefix: str) -> bool:
        """Tell whether the neighbor has announced a route (as `announce` takes it) and not withdrawn it."""
        return lib.rib_has_route(self.native, neighbor, *_line(prefix))

    # -- what a previous run announced: its stale routes (RFC 4724)

    def add_previous_run(self) -> int:
        """Give the number of a neighbor that stands for a previous run.

        Its stale routes are held until a route replaces them, or until a route of the same next hop and path is neither
        announced nor held. `retire_neighbor` withdraws what is left.
        """
        held = NeighborPolicy(0, ("hold",) * 4, (0,) * 4, (LEARNED,) * 4)
        number = self.add_neighbor(held, b"")
        lib.rib_previous_run_begin(self.native, number)
        return number

    def add_stale(self, previous_run: int, attributes: int, prefix: str, receivers: int) -> bool:
        """Take a route that is advertised to receivers. False: what is there is newer, or it is no prefix."""
        return bool(lib.rib_previous_run_add(self.native, previous_run, attributes, *_line(prefix), receivers) == 1)

    def stale(self, previous_run: int) -> int:
        """How many stale routes are advertised yet."""
        return lib.rib_previous_run_left(self.native, previous_run)

    # -- the send barrier: for a router that puts what it is told in an order of its own

    def barrier_falls(self) -> None:
        """Let each NLRI be written once more: what was written is sent. What comes again waits for the next time."""
        lib.rib_send_barrier(self.native)

    def parked_at(self, receivers: int) -> bool:
        """Tell whether a route that waits for the next send barrier is advertised at one of these receivers."""
        return bool(lib.rib_parked_at(self.native, receivers))

    # -- VRPs

    def vrps_changed(self, changes: VRPChanges) -> None:
        """Have the routes that these VRPs cover validated again, a slice in each `work`."""
        lib.rib_vrps_changed(self.native, changes.native)

    def aspas_changed(self, index: ASPAIndex, changes: bytes) -> None:
        """Have paths judged by these ASPAs from now on, a slice in each `work`. `changes`: since the last call."""
        words = ffi.from_buffer("uint32_t[]", changes)
        lib.rib_aspas_changed(self.native, native_set(index), words, len(words))
        self.aspas = index  # what the native one points to; the last one lives until here

    def revalidate(self) -> None:
        """Have every route validated again, by the policy of now, a slice in each `work`."""
        lib.rib_revalidate(self.native)

    def work(self, budget: int) -> bool:
        """Do up to `budget` routes of what `vrps_changed`, `revalidate` and `retire_neighbor` left. True: more."""
        return lib.rib_work(self.native, budget)

    def next_command(self, most: int) -> Command | None:
        """Give the next command of at most `most` prefixes; from here on it counts as written.

        None: nothing waits, or it is `state.searching`.
        """
        return _as_command(self._command) if lib.rib_next_command(self.native, most, self._command) else None

    # -- changes

    def listen(self, room: int) -> None:
        """Keep the last `room` changes from now on; 0: none, which is how a table begins."""
        if lib.rib_keep_changes(self.native, room) != 0:
            raise MemoryError("no memory for changes of routes")

    def set_cause(self, cause: int) -> None:
        """Say what `vrps_changed` and `revalidate` are called for from now on: a number, which the changes carry."""
        lib.rib_set_cause(self.native, cause)

    def allow_others(self, more: int, most: int) -> None:
        """Let so many more routes that come, and that go, be changes though they are not invalid; never over `most`."""
        lib.rib_allow_others(self.native, more, most)

    def set_time(self, now: int) -> None:
        """Say what time it is (Unix): since then routes that come or change have their validity."""
        lib.rib_set_time(self.native, now)

    def take_changes(self, most: int) -> tuple[bytes, ChangesLost]:
        """Take the oldest changes that are kept, as `changes_of` reads them, and what was not kept since last time."""
        room = min(most, self.state.changes)
        events = ffi.new("struct route_change[]", room)
        lost = ffi.new("struct changes_lost *")
        count = lib.rib_take_changes(self.native, events, room, lost)
        return ffi.buffer(events, count * CHANGE_SIZE)[:], ChangesLost(lost.changes, lost.others)

    # -- questions

    def __len__(self) -> int:
        return self.state.routes

    def changes(self) -> dict[tuple[str, str], int]:
        """Count the changes of validity since the start, by what it was and what it became."""
        counts = ffi.new("uint64_t[16]")
        lib.rib_change_counts(self.native, counts)
        return {(VALIDITIES[i // 4], VALIDITIES[i % 4]): count for i, count in enumerate(counts) if i // 4 != i % 4}

    @property
    def memory(self) -> int:
        """Bytes of routes and their index."""
        return lib.rib_memory(self.native)

    @property
    def attributes_memory(self) -> int:
        """Bytes of attribute sets."""
        return lib.rib_attrs_memory(self.native)

    def at(self, prefix: str, most: int | None = None) -> list[Route]:
        """Give the routes of exactly this prefix; none of them, if they are more than `most`.

        Raises ValueError for a prefix that is none.
        """
        parsed = parse_prefix(prefix)
        room = _FEW
        while True:
            rows = ffi.new("struct route_row[]", room)
            count = lib.rib_list_prefix(self.native, parsed, rows, room)
            if count <= room:
                return [route_of(rows[i]) for i in range(count)]
            if most is not None and count > most:
                return []
            room = count

    def routes_to(self, address: str) -> Iterator[Route]:
        """Give the routes that cover an address, the least specific first."""
        for prefix in covering(address):
            yield from self.at(prefix)

    def routes(self, within: str | None = None) -> Iterator[Route]:
        """Give the routes in order of prefix, also while the table changes; `within`: those that it covers.

        Raises ValueError when `within` is no prefix.
        """
        walk = ffi.new("struct walk *")
        rows = ffi.new("struct route_row[]", _ROWS)
        lib.walk_begin(walk, ffi.NULL if within is None else parse_prefix(within))
        while count := lib.rib_list(self.native, walk, rows, _ROWS):
            yield from map(route_of, ffi.unpack(rows, count))


def covering(address: str) -> Iterator[str]:
    """Give every prefix that covers an address, from /0 on."""
    found = ipaddress.ip_address(address)
    return (str(ipaddress.ip_network((found, length), strict=False)) for length in range(found.max_prefixlen + 1))


def _line(prefix: str) -> tuple[bytes, int]:
    text = prefix.encode("ascii", "replace") + b"\n"
    return text, len(text)


def _as_command(native: _rov.Command) -> Command:
    announce, previous_run, differs = bool(native.announce), native.previous_run, native.differs
    return Command(
        announce,
        native.receivers,
        native.family,
        native.attrs,
        native.variant,
        native.path_id if native.has_path_id else None,
        ffi.buffer(native.text, native.size)[:].decode("ascii"),
        native.n,
        previous_run if announce and previous_run != _NONE else None,
        by_kind=bool(differs & _BY_KIND),
        by_otc=bool(differs & _BY_OTC),
    )
