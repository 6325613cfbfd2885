"""The route table against a model: the router ends with the right routes, and nothing is said twice."""

import ipaddress
import random
import time
from functools import cache
from ipaddress import IPv4Address

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from _rov import lib
from rtrd.policy import Demands
from rtrd.rib.native_terms import Policies
from rtrd.rib.table import RouteTable
from rtrd.rib.terms import FIT, FIT_EXTENDED_NEXT_HOP, LEARNED, UNFIT, AttributeSummary, Command, NeighborPolicy
from rtrlib.vrp import VRP, pack
from rtrlib.vrp_set import VALIDITIES
from tests.lab import rfc6811
from tests.lab.strategies import prefixes, vrps
from tests.lab.vrp_sets import packed, set_of

LOOP, OTHER_FIRST_AS, AS_SET, NO_ADVERTISE, NO_EXPORT, NO_EXPORT_SUBCONFED, BY_KIND = (1 << n for n in range(7))

TAG_ALL = NeighborPolicy(0b10, ("announce", "announce", "announce", "hold"), (1, 2, 3, 0), (LEARNED,) * 4)
DROP_INVALID = NeighborPolicy(0b110, ("announce", "announce", "withdraw", "hold"), (1, 2, 0, 0), (LEARNED,) * 4)
OBSERVE = NeighborPolicy(0b110, ("observe",) * 4, (0, 0, 0, 0), (LEARNED,) * 4)
SAME_WORDS = NeighborPolicy(0b1, ("announce", "announce", "observe", "hold"), (5, 5, 0, 0), (LEARNED,) * 4)
NO_SETS = DROP_INVALID._replace(as_set="withdraw", enforce_first_as=True)
# What meets condition 2, if its prefix is as long as said; then what meets 1 or 4; then all.
SEVERAL = (
    TAG_ALL._replace(receivers=0b11, conditions=2, lengths=((24, 32), (48, 128)), as_set="hold"),
    DROP_INVALID._replace(conditions=5, local_preferences=(50, 60, 70, 80)),
    SAME_WORDS._replace(lengths=((0, 24), (255, 0))),
    OBSERVE,
)
# The same for some origins within some prefixes, for paths with AS_SET, and without.
DEMANDING = (
    DROP_INVALID._replace(demands=Demands([("10.0.0.0/8", 9, 24), ("2001:db8::/32", 32, 64)], [64500, 64502])),
    TAG_ALL._replace(demands=Demands([("10.0.0.0/16", 16, 32), ("10.0.0.0/16", 16, 16), ("::/0", 0, 48)], (), False)),
    SAME_WORDS._replace(demands=Demands((), (), True), as_set="announce", conditions=4),
    OBSERVE,
)
# What differs from that in demands alone.
OTHERWISE = (DEMANDING[0]._replace(demands=Demands([("10.0.0.0/8", 8, 23)], [64501])), *DEMANDING[1:])
POLICIES: list[Policies] = [TAG_ALL, DROP_INVALID, OBSERVE, SAME_WORDS, NO_SETS, SEVERAL, DEMANDING, OTHERWISE]

# Attribute sets by name: hash, origin AS, local preference, path length, ..., identity. "twin" differs from "a" only
# in what is not announced, "b again" from "b" not in next hop and path.
SETS = {
    b"a": AttributeSummary(1, 64500, 100, 3, 0, FIT, 1),
    b"twin": AttributeSummary(1, 64500, 100, 3, 0, FIT, 1),
    b"b": AttributeSummary(2, 64501, 100, 2, 0, FIT, 2),
    b"b again": AttributeSummary(7, 64501, 100, 2, 0, FIT, 2),
    b"none": AttributeSummary(3, -1, 100, 3, 0, FIT, 3),
    b"extended": AttributeSummary(5, 64500, 100, 1, 0, FIT_EXTENDED_NEXT_HOP, 5),
    b"preferred": AttributeSummary(6, 64500, 200, 4, 0, FIT, 6),
    b"unfit": AttributeSummary(4, 64500, 100, 1, 0, UNFIT, 4),
    b"looped": AttributeSummary(8, 64500, 900, 1, 0, FIT, 8, LOOP),
    b"other first": AttributeSummary(9, 64500, 100, 1, 0, FIT, 9, OTHER_FIRST_AS, 2),
    b"set": AttributeSummary(10, -1, 300, 1, 0, FIT, 10, AS_SET, 6),
    b"no export": AttributeSummary(11, 64501, 100, 1, 0, FIT, 11, NO_EXPORT | BY_KIND, 1),
    b"no subconfed": AttributeSummary(12, 64501, 100, 1, 0, FIT_EXTENDED_NEXT_HOP, 12, NO_EXPORT_SUBCONFED),
    b"no advertise": AttributeSummary(13, 64500, 500, 1, 0, FIT, 13, NO_ADVERTISE, 3),
    b"by kind": AttributeSummary(14, 64500, 150, 2, 0, FIT, 14, BY_KIND, 4),
}
PREVIOUS = {
    b"previous_run a": AttributeSummary(101, -1, 100, 0, 0, UNFIT, 1),
    b"previous_run b": AttributeSummary(102, -1, 100, 0, 0, UNFIT, 2),
}
Place = tuple[int, str, int | None]  # receiver, prefix, path id
Words = tuple[int, int, int]  # hash of the attribute set, variant, kind of the receiver


@cache
def id_of(peer: int, path_id: int | None) -> int | None:
    """The path id with which a route is announced: told by a table that has no other route."""
    if path_id is None:
        return None
    table = RouteTable(set_of())
    announce(table, table.add_neighbor(SAME_WORDS, bytes([127, 0, 0, peer])), b"a", [f"192.0.2.0/24 0.0.0.{path_id}"])
    command = table.next_command(1)
    assert command is not None
    return command.path_id


class Router:
    """What ExaBGP would hold for each receiver, if it executed our commands."""

    def __init__(self) -> None:
        self.routes: dict[Place, Words] = {}
        self.commands: list[tuple[bool, str]] = []
        self.batch: set[Place] | None = None
        """Places that were written in this round; None: no rounds."""
        self.up = 0b111
        self.kinds: tuple[int, ...] = (0, 0, 0)
        self.taken_back: list[tuple[Place, int]] = []
        """Withdrawn, though it was advertised by an earlier run: its treatment."""

    def execute(self, table: RouteTable, most: int, limit: int = 1 << 30) -> None:
        for _ in range(limit):
            while (command := table.next_command(most)) is None and table.state.searching:
                pass
            if command is None:
                return
            names = command.prefixes.split(" ")
            assert len(names) == command.size <= most
            assert command.receivers
            if command.announce and SETS[table.attributes_key(command.attributes)].traits & BY_KIND:
                assert command.by_kind, "each kind gets its own words"
            assert not command.announce or not command.receivers & ~self.up, "announced to a receiver that is down"
            for prefix in names:
                self.commands.append((command.announce, prefix))
                for receiver in range(3):
                    if command.receivers & 1 << receiver:
                        self._at((receiver, prefix, command.path_id), table, command)

    def kind(self, receiver: int) -> int:
        return next((n for n, bits in enumerate(self.kinds) if bits & 1 << receiver), 3)

    def words(self, name: bytes, variant: int, receiver: int) -> Words:
        summary = SETS[name]
        return (summary.announced_hash, variant, self.kind(receiver) if summary.traits & BY_KIND else 0)

    def _at(self, place: Place, table: RouteTable, command: Command) -> None:
        advertised = self.routes.pop(place, None)
        if self.batch is not None:
            assert place not in self.batch, "written twice in a round"
            self.batch.add(place)
        if command.announce:
            self.routes[place] = self.words(table.attributes_key(command.attributes), command.variant, place[0])
            if command.previous_run is not None:
                assert advertised is not None
                assert PREVIOUS[table.attributes_key(command.previous_run)].announced_hash == advertised[0]
        elif advertised is not None and advertised[0] > 100:
            self.taken_back.append((place, advertised[0]))

    def new_round(self, table: RouteTable) -> None:
        """All was sent."""
        self.batch = set()
        table.barrier_falls()


def meets(demands: Demands | None, prefix: str, summary: AttributeSummary) -> bool:
    if demands is None:
        return True
    network = ipaddress.ip_network(prefix)
    covering = [(str(network.supernet(new_prefix=length))) for length in range(network.prefixlen + 1)]
    within = [least <= network.prefixlen <= most for each, least, most in demands.prefixes if each in covering]
    return (
        (not demands.prefixes or any(within))
        and (not demands.origins or summary.origin in demands.origins)
        and demands.as_set in (None, bool(summary.traits & AS_SET))
    )


def drain_work(table: RouteTable) -> None:
    while table.work(3):
        pass


def number_of(table: RouteTable, name: bytes) -> int:
    number = table.find_attributes(name)
    return table.add_attributes(name, (SETS | PREVIOUS)[name]) if number is None else number


def announce(table: RouteTable, neighbor: int, name: bytes, routes: list[str]) -> int:
    return table.announce(neighbor, number_of(table, name), routes)


class TestOneRoute:
    """The life of one route."""

    def setup_method(self) -> None:
        self.vrp_set = set_of(VRP("192.0.2.0/24", 24, 64500))
        self.table = RouteTable(self.vrp_set)
        self.router = Router()
        self.neighbor = self.table.add_neighbor(DROP_INVALID, b"\x7f\0\0\2")

    def said(self) -> list[tuple[bool, str]]:
        drain_work(self.table)
        self.router.commands.clear()
        self.router.execute(self.table, 50)
        return self.router.commands

    def test_announced_once_and_not_again(self) -> None:
        announce(self.table, self.neighbor, b"a", ["192.0.2.0/24"])
        assert self.said() == [(True, "192.0.2.0/24")]
        announce(self.table, self.neighbor, b"a", ["192.0.2.0/24"])
        announce(self.table, self.neighbor, b"twin", ["192.0.2.0/24"])
        assert self.said() == []

    def test_withdrawn_by_its_neighbor_it_is_withdrawn_by_us(self) -> None:
        announce(self.table, self.neighbor, b"a", ["192.0.2.0/24"])
        self.said()
        self.table.withdraw(self.neighbor, ["192.0.2.0/24"])
        assert self.said() == [(False, "192.0.2.0/24")]
        assert len(self.table) == 0

    def test_announced_and_withdrawn_before_the_pipe_had_room_is_silence(self) -> None:
        announce(self.table, self.neighbor, b"a", ["192.0.2.0/24"])
        self.table.withdraw(self.neighbor, ["192.0.2.0/24"])
        assert self.said() == []

    def test_entering_invalid_writes_one_withdraw_though_nothing_was_announced(self) -> None:
        announce(self.table, self.neighbor, b"b", ["192.0.2.0/24"])
        assert self.said() == [(False, "192.0.2.0/24")]
        announce(self.table, self.neighbor, b"none", ["192.0.2.0/24"])
        assert self.said() == []

    def test_it_comes_back_when_its_vrp_does(self) -> None:
        announce(self.table, self.neighbor, b"b", ["192.0.2.0/24"])
        self.said()
        self.table.vrps_changed(self.vrp_set.replace(0, pack(VRP("192.0.2.0/24", 24, 64501))))
        assert self.said() == [(True, "192.0.2.0/24")]
        assert self.table.counts(self.neighbor) == {"valid": 1, "not-found": 0, "invalid": 0, "unverified": 0}

    def test_a_new_validity_in_the_same_words_is_silence(self) -> None:
        announce(self.table, self.table.add_neighbor(SAME_WORDS, b"\x7f\0\0\2"), b"a", ["192.0.2.0/24"])
        self.said()
        self.table.vrps_changed(self.vrp_set.replace(0, b""))
        assert self.said() == []
        assert self.table.state.validity_changes == 1

    def test_held_until_a_set_is_usable(self) -> None:
        self.vrp_set.usable = False
        announce(self.table, self.neighbor, b"a", ["192.0.2.0/24"])
        assert self.said() == []
        self.vrp_set.usable = True
        self.table.revalidate()
        assert self.said() == [(True, "192.0.2.0/24")]

    def test_a_session_that_ends_takes_its_routes_along(self) -> None:
        announce(self.table, self.neighbor, b"a", ["192.0.2.0/24", "2001:db8::/32"])
        self.said()
        self.table.retire_neighbor(self.neighbor)
        assert len(self.table) == 0
        assert sorted(self.said()) == [(False, "192.0.2.0/24"), (False, "2001:db8::/32")]

    def test_a_session_that_returns_at_once_costs_nothing(self) -> None:
        announce(self.table, self.neighbor, b"a", ["192.0.2.0/24"])
        self.said()
        self.table.retire_neighbor(self.neighbor)
        announce(self.table, self.table.add_neighbor(DROP_INVALID, b"\x7f\0\0\2"), b"a", ["192.0.2.0/24"])
        assert self.said() == []
        assert [route.advertised for route in self.table.routes()] == [0b110]

    def test_two_neighbors_of_one_prefix_are_one_announcement_of_the_better(self) -> None:
        short_path = self.table.add_neighbor(DROP_INVALID, b"\x7f\0\0\3")
        announce(self.table, self.neighbor, b"a", ["198.51.100.0/24"])
        self.said()
        announce(self.table, short_path, b"b", ["198.51.100.0/24"])
        assert self.said() == [(True, "198.51.100.0/24")]
        self.table.withdraw(short_path, ["198.51.100.0/24"])
        assert self.said() == [(True, "198.51.100.0/24")]  # the other takes its place; no gap

    def test_at_a_target_that_is_down_it_is_taken_back_and_said_when_it_is_up(self) -> None:
        announce(self.table, self.neighbor, b"a", ["192.0.2.0/24", "198.51.100.0/24"])
        self.said()
        self.table.set_up(0b011)
        self.router.up = 0b011
        announce(self.table, self.neighbor, b"preferred", ["192.0.2.0/24"])
        announce(self.table, self.neighbor, b"a", ["203.0.113.0/24"])
        assert sorted(self.said()) == [(False, "192.0.2.0/24"), (True, "192.0.2.0/24"), (True, "203.0.113.0/24")]
        assert sorted(place[1] for place in self.router.routes if place[0] == 2) == ["198.51.100.0/24"]
        self.table.set_up(0b111)
        self.router.up = 0b111
        self.table.revalidate()
        assert sorted(self.said()) == [(True, "192.0.2.0/24"), (True, "203.0.113.0/24")]

    def test_announced_and_withdrawn_while_the_target_is_down_is_silence_there(self) -> None:
        self.table.set_up(0)
        self.router.up = 0
        neighbor = self.table.add_neighbor(TAG_ALL, b"\x7f\0\0\2")
        announce(self.table, neighbor, b"a", ["192.0.2.0/24"])
        assert self.said() == []
        self.table.withdraw(neighbor, ["192.0.2.0/24"])
        assert self.said() == []
        assert len(self.table) == 0

    def test_a_receiver_that_is_gone_is_told_nothing_and_has_nothing(self) -> None:
        announce(self.table, self.neighbor, b"a", ["192.0.2.0/24", "198.51.100.0/24"])
        self.said()
        self.table.forget_receivers(0b100)
        assert self.table.forgotten == 0b100
        self.table.set_policy(self.neighbor, DROP_INVALID._replace(receivers=0b010))
        self.table.withdraw(self.neighbor, ["192.0.2.0/24"])
        assert (command := self.table.next_command(50)) is not None
        assert (command.announce, command.receivers, command.prefixes) == (False, 0b010, "192.0.2.0/24")
        drain_work(self.table)
        assert self.table.forgotten == 0
        assert [(route.prefix, route.advertised) for route in self.table.routes()] == [("198.51.100.0/24", 0b010)]
        self.table.set_policy(self.neighbor, DROP_INVALID)  # another one has its bit
        self.table.revalidate()
        drain_work(self.table)
        assert (command := self.table.next_command(50)) is not None
        assert (command.announce, command.receivers, command.prefixes) == (True, 0b100, "198.51.100.0/24")

    def test_what_was_kept_for_a_receiver_that_is_gone_alone_goes_too(self) -> None:
        announce(self.table, self.neighbor, b"a", ["192.0.2.0/24"])
        self.said()
        self.table.retire_neighbor(self.neighbor)
        self.table.forget_receivers(0b111)
        drain_work(self.table)
        assert self.table.next_command(50) is None
        memory = self.table.attributes_memory
        assert self.table.find_attributes(b"a") is None, f"{memory} bytes"

    def test_what_was_not_written_after_all_is_said_again(self) -> None:
        announce(self.table, self.neighbor, b"a", ["192.0.2.0/24"])
        self.said()
        self.table.mark_not_announced("192.0.2.0/24", 0b100)
        assert (command := self.table.next_command(50)) is not None
        assert (command.receivers, command.prefixes) == (0b100, "192.0.2.0/24")

    def test_written_again_in_the_next_round_only_and_then_the_newest(self) -> None:
        self.table.barrier_falls()
        announce(self.table, self.neighbor, b"a", ["192.0.2.0/24"])
        assert self.said() == [(True, "192.0.2.0/24")]
        for name in (b"b", b"preferred", b"none"):  # it flaps
            announce(self.table, self.neighbor, name, ["192.0.2.0/24"])
            assert self.said() == []
        assert (self.table.state.parked, self.table.state.waiting) == (1, 1)
        announce(self.table, self.neighbor, b"a", ["198.51.100.0/24"])
        assert self.said() == [(True, "198.51.100.0/24")], "others don't wait for it"
        self.table.barrier_falls()
        assert self.said() == [(False, "192.0.2.0/24")]
        assert (self.table.state.parked, self.table.state.waiting) == (0, 0)

    def test_a_round_is_full_at_some_time(self) -> None:
        self.table.barrier_falls()
        neighbor = self.table.add_neighbor(TAG_ALL, b"\x7f\0\0\2")
        announce(self.table, neighbor, b"a", [f"10.{i >> 8}.{i & 255}.0/24" for i in range(1 << 16)])
        announce(self.table, neighbor, b"a", ["2001:db8::/32"])
        assert len(self.said()) == 1 << 16
        assert self.table.state.written_set_full
        self.table.barrier_falls()
        assert self.said() == [(True, "2001:db8::/32")]

    def test_prefixes_of_one_attribute_set_are_one_command(self) -> None:
        announce(self.table, self.neighbor, b"a", [f"10.0.{i}.0/24" for i in range(20)])
        assert (command := self.table.next_command(50)) is not None
        assert command.size == 20
        assert self.table.next_command(50) is None


class TestMany:
    """What a neighbor, or many of them, can do by number alone."""

    def setup_method(self) -> None:
        self.vrp_set = set_of()
        self.table = RouteTable(self.vrp_set)
        self.router = Router()

    def paths(self, first: int, count: int) -> list[str]:
        return [f"192.0.2.0/24 {ipaddress.IPv4Address(first + i)}" for i in range(count)]

    def test_of_one_prefix_a_neighbor_can_have_so_many_routes(self) -> None:
        one, other = (self.table.add_neighbor(DROP_INVALID, bytes([127, 0, 0, i])) for i in (2, 3))
        assert announce(self.table, one, b"a", self.paths(0, 1030)) == 1024
        assert self.table.crowded == 6
        assert announce(self.table, other, b"a", self.paths(2000, 6)) == 6, "others have their own"
        assert announce(self.table, one, b"b", self.paths(0, 1)) == 1, "those that are there go on"
        assert announce(self.table, one, b"a", ["198.51.100.0/24 0.0.0.1"]) == 1
        assert self.table.withdraw(one, self.paths(5, 1)) == 1
        self.router.execute(self.table, 50)
        assert announce(self.table, one, b"a", self.paths(1029, 1)) == 1, "there is room for one again"
        assert (len(self.table), self.table.crowded) == (1031, 6)
        self.table.retire_neighbor(one)
        drain_work(self.table)
        self.router.execute(self.table, 50)
        assert sorted(route.path_id or 0 for route in self.table.routes()) == list(range(2000, 2006))

    def test_of_a_crowded_prefix_each_neighbor_can_have_a_few(self) -> None:
        numbers = [self.table.add_neighbor(DROP_INVALID, bytes([127, 0, 0, peer])) for peer in range(6)]
        taken = [announce(self.table, number, b"a", self.paths(0, 1000)) for number in numbers]
        assert taken == [1000, 1000, 1000, 1000, 96, 16]
        assert self.table.crowded == 904 + 984
        assert announce(self.table, numbers[5], b"a", ["192.0.2.0/24"]) == 1, "one without a path id can't be many"
        assert announce(self.table, numbers[5], b"b", self.paths(0, 20)) == 16, "those that are there go on"
        self.table.retire_neighbor(numbers[0])
        drain_work(self.table)
        self.router.execute(self.table, 50)
        assert announce(self.table, numbers[5], b"a", self.paths(16, 50)) == 50

    @pytest.mark.parametrize("plain", [0b111, 0])
    def test_thousands_of_routes_of_one_prefix_cost_no_walk_each(self, plain: int) -> None:
        self.table.set_plain(plain, 0)
        began = time.process_time()
        numbers = [self.table.add_neighbor(DROP_INVALID, bytes([127, 0, 0, peer])) for peer in range(4)]
        for number in numbers:
            assert announce(self.table, number, b"a", self.paths(0, 1000)) == 1000
        self.write_all()
        assert len(self.router.commands) == (1 if plain else 4000)
        for number in numbers:
            assert self.table.withdraw(number, self.paths(0, 1000)) == 1000
        self.write_all()
        assert self.router.routes == {}
        assert time.process_time() - began < 5, "with walks it were half a minute"

    def write_all(self) -> None:
        while self.table.state.waiting:
            self.router.execute(self.table, 50)

    def test_no_call_looks_at_many_routes_in_vain(self) -> None:
        names = [f"10.0.{i >> 8}.{i & 255}/32" for i in range(3000)]
        best, worse = (self.table.add_neighbor(DROP_INVALID, bytes([127, 0, 0, i])) for i in (2, 3))
        announce(self.table, best, b"a", names)
        self.router.execute(self.table, 50)
        assert not self.table.state.searching
        announce(self.table, worse, b"a", [*names, "10.1.0.0/32"])
        left = [self.table.state.waiting]
        while (command := self.table.next_command(50)) is None:
            assert self.table.state.searching
            assert left[-1] - self.table.state.waiting <= 512
            left.append(self.table.state.waiting)
        assert (len(left), command.prefixes) == (6, "10.1.0.0/32")
        assert self.table.next_command(50) is None
        assert not self.table.state.searching

    def test_what_waits_for_revalidation_takes_no_more_room_the_longer_it_waits(self) -> None:
        announce(self.table, self.table.add_neighbor(DROP_INVALID, b"\x7f\0\0\2"), b"a", ["192.0.2.0/24"])
        record = pack(VRP("198.51.100.0/24", 24, 64500))
        memory = []
        for i in range(4000):
            self.table.vrps_changed(self.vrp_set.replace(0, record * (~i & 1)))
            if i > 8:
                assert self.table.work(1), "there is always something left"
            memory.append(self.table.memory)
        assert max(memory) == max(memory[:100])
        drain_work(self.table)
        assert self.table.memory < memory[0], "and nothing is kept"


STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from([None, 0, 4]), st.sampled_from([None, *sorted(SETS)]), st.booleans()),
    max_size=40,
)
"""Which peer announces which path with which set, or withdraws it; and whether all is written then."""


@settings(max_examples=300, deadline=None)
@given(plain=st.sampled_from([0, 0b101, 0b111]), policy=st.sampled_from(POLICIES), rounds=st.booleans(), steps=STEPS)
@example(
    plain=0,
    policy=DROP_INVALID,
    rounds=False,
    steps=[(1, None, b"a", True), (0, None, b"b", False), (1, None, None, False)],
)  # what goes is withdrawn with what must not come
def test_an_index_of_a_prefix_changes_nothing_of_what_is_said(
    plain: int,
    policy: Policies,
    *,
    rounds: bool,
    steps: list[tuple[int, int | None, bytes | None, bool]],
) -> None:
    vrp_set = set_of(VRP("192.0.2.0/24", 24, 64500))
    pairs = [(RouteTable(vrp_set), Router()) for _ in range(2)]
    for (table, router), throng_from in zip(pairs, (2, 256), strict=True):
        lib.rib_set_throng_from(table.native, throng_from)
        table.set_plain(plain, plain)
        numbers = [
            table.add_neighbor(each, bytes([127, 0, 0, peer])) for peer, each in enumerate((policy, TAG_ALL, policy))
        ]
        if rounds:
            router.new_round(table)
        for peer, path_id, name, write in steps:
            text = "192.0.2.0/24" + ("" if path_id is None else f" 0.0.0.{path_id}")
            if name is None:
                table.withdraw(numbers[peer], [text])
            else:
                announce(table, numbers[peer], name, [text])
            if write:
                router.execute(table, 3)
        while table.state.waiting:
            router.execute(table, 3)
            if rounds:
                router.new_round(table)
    (indexed, one), (walked, other) = pairs
    assert one.routes == other.routes
    assert len(one.commands) <= len(other.commands)
    assert rows(indexed) == rows(walked)


PATHS = 40


def rows(table: RouteTable) -> list[str]:
    """Its routes, without the numbers that are a table's own."""
    return sorted(
        str((table.attributes_key(row.attributes), row._replace(attributes=0, neighbor=0))) for row in table.routes()
    )


@pytest.mark.parametrize("seed", range(12))
def test_a_ranking_says_what_a_walk_over_many_routes_says(seed: int) -> None:
    """320 routes of a prefix, of 8 neighbors with all kinds of rules, in which everything changes at random."""
    chance = random.Random(seed)
    vrp_set = set_of(VRP("192.0.2.0/24", 24, 64500))
    pairs = [(RouteTable(vrp_set), Router()) for _ in range(2)]
    policies = [chance.choice(POLICIES) for _ in range(8)]
    for (table, router), throng_from in zip(pairs, (64, 100_000), strict=True):
        lib.rib_set_throng_from(table.native, throng_from)
        table.set_plain(plain := (0b101, 0b111, 0b010)[seed % 3], plain)
        assert table.add_previous_run() == 0
        for receiver in range(3 * (seed % 2)):
            if plain & 1 << receiver:
                name = (b"previous_run a", b"previous_run b")[receiver % 2]
                assert table.add_stale(0, number_of(table, name), "192.0.2.0/24", 1 << receiver)
                router.routes[receiver, "192.0.2.0/24", None] = (PREVIOUS[name].announced_hash, 0, 0)
    both = [
        [table.add_neighbor(policy, bytes([127, 0, 0, peer])) for peer, policy in enumerate(policies)]
        for table, _ in pairs
    ]
    most = [0, 0]
    for step in range(400):
        peer, path_id = chance.randrange(8), chance.randrange(PATHS)
        what = chance.choices(
            ("announce", "withdraw", "vrps", "policy", "session", "up", "kinds", "retag", "write", "settle"),
            (60, 12, 2, 1, 1, 1, 1, 1, 12, 3),
        )[0]
        name, policy, mask = chance.choice(sorted(SETS)), chance.choice(POLICIES), chance.randrange(8)
        vrps = [VRP("192.0.2.0/24", 24, origin) for origin in chance.sample((64500, 64501, 64502), mask % 3)]
        ids = [f"192.0.2.0/24 0.0.0.{(path_id + n) % PATHS}" for n in range(chance.choice((1, 1, 4, PATHS)))]
        texts = [*ids, "192.0.2.0/24"] if mask == 1 else ids
        changes = vrp_set.replace(0, packed(vrps)) if what == "vrps" else None
        for sessions, (table, router) in zip(both, pairs, strict=True):
            if what == "announce":
                announce(table, sessions[peer], name, texts)
            elif what == "withdraw":
                table.withdraw(sessions[peer], [text for text in texts if table.has(sessions[peer], text)])
            elif changes is not None:
                table.vrps_changed(changes)
            elif what == "policy":
                table.set_policy(sessions[peer], policy)
                table.revalidate()
            elif what == "session":
                table.retire_neighbor(sessions[peer])
            elif what == "up":
                router.up = mask
                table.set_up(mask)
                table.revalidate()
            elif what == "kinds":
                router.kinds = (mask, 7 & ~mask, 0)
                table.set_kinds(*router.kinds)
                table.revalidate()
            elif what == "retag":
                table.retag(number_of(table, name), SETS[name])
            elif what == "write":
                router.execute(table, 1 + mask)
            else:
                drain_work(table)
                router.execute(table, 3)
        if what == "session":
            for sessions, (table, _) in zip(both, pairs, strict=True):
                sessions[peer] = table.add_neighbor(policies[peer], bytes([127, 0, 0, peer]))
        if what == "settle" or step == 399:
            for table, router in pairs:
                drain_work(table)
                router.execute(table, 3)
                assert table.state.waiting == 0
            (ranked, one), (walked, other) = pairs
            assert one.routes == other.routes
            assert rows(ranked) == rows(walked)
            most = [max(most[0], len(ranked)), max(most[1], len(one.routes))]
    assert most[0] > 128, "the prefix was crowded"
    assert most[1], "and something was said of it"


def test_many_routes_that_turn_invalid_together_are_withdrawn_once() -> None:
    vrp_set = set_of(VRP("192.0.2.0/24", 24, 64500))
    table, router = RouteTable(vrp_set), Router()
    table.set_plain(0b110, 0b110)
    neighbor = table.add_neighbor(DROP_INVALID, b"\x7f\0\0\2")
    announce(table, neighbor, b"a", [f"192.0.2.0/24 0.0.{n >> 8}.{n & 255}" for n in range(1000)])
    router.execute(table, 50)
    assert router.commands == [(True, "192.0.2.0/24")]
    table.vrps_changed(vrp_set.replace(0, packed([VRP("192.0.2.0/24", 24, 64501)])))
    drain_work(table)
    router.execute(table, 50)
    assert router.commands[1:] == [(False, "192.0.2.0/24")]
    assert router.routes == {}


class TestPreviousRun:
    """What an earlier run announced, and a route that comes back, or doesn't."""

    def setup_method(self) -> None:
        self.table = RouteTable(set_of(VRP("192.0.2.0/24", 24, 64500)))
        self.previous_run = self.table.add_previous_run()
        self.neighbor = self.table.add_neighbor(DROP_INVALID, b"\x7f\0\0\2")

    def stands(self, prefix: str, name: bytes = b"previous_run a", receivers: int = 0b110) -> bool:
        return self.table.add_stale(self.previous_run, number_of(self.table, name), prefix, receivers)

    def said(self) -> list[tuple[bool, str, int, bytes | None]]:
        drain_work(self.table)
        said = []
        while (command := self.table.next_command(50)) is not None:
            previous_run = None if command.previous_run is None else self.table.attributes_key(command.previous_run)
            said += [(command.announce, prefix, command.receivers, previous_run) for prefix in command.prefixes.split()]
        return said

    def test_it_is_held_until_it_is_released(self) -> None:
        assert self.stands("192.0.2.0/24")
        assert self.stands("2001:db8::/32")
        self.table.revalidate()
        assert self.said() == []
        assert self.table.stale(self.previous_run) == 2
        assert (len(self.table), list(self.table.routes())) == (0, [])
        self.table.retire_neighbor(self.previous_run)
        assert sorted(self.said()) == [(False, "192.0.2.0/24", 0b110, None), (False, "2001:db8::/32", 0b110, None)]
        assert self.table.stale(self.previous_run) == 0

    def test_a_route_that_returns_says_what_it_replaces(self) -> None:
        self.stands("192.0.2.0/24")
        announce(self.table, self.neighbor, b"a", ["192.0.2.0/24", "198.51.100.0/24"])
        assert sorted(self.said(), key=str) == [
            (True, "192.0.2.0/24", 0b110, b"previous_run a"),
            (True, "198.51.100.0/24", 0b110, None),
        ]
        self.table.retire_neighbor(self.previous_run)
        assert self.said() == []

    def test_where_it_stands_at_fewer_targets_the_others_are_told_apart(self) -> None:
        self.stands("192.0.2.0/24", receivers=0b010)
        announce(self.table, self.neighbor, b"a", ["192.0.2.0/24"])
        assert self.said() == [
            (True, "192.0.2.0/24", 0b010, b"previous_run a"),
            (True, "192.0.2.0/24", 0b100, None),
        ]

    def test_a_route_of_the_same_path_that_is_invalid_now_takes_it_down(self) -> None:
        self.stands("192.0.2.0/24", b"previous_run b")
        announce(self.table, self.neighbor, b"b again", ["192.0.2.0/24"])
        assert self.said() == [(False, "192.0.2.0/24", 0b110, None)]

    def test_another_invalid_route_of_the_prefix_does_not(self) -> None:
        """A hijack must not take down the good route only because it is sent again first."""
        self.stands("192.0.2.0/24")
        announce(self.table, self.neighbor, b"b", ["192.0.2.0/24"])
        assert self.said() == []
        announce(self.table, self.table.add_neighbor(DROP_INVALID, b"\x7f\0\0\3"), b"a", ["192.0.2.0/24"])
        assert self.said() == [(True, "192.0.2.0/24", 0b110, b"previous_run a")]

    def test_another_invalid_route_of_the_prefix_does_when_nothing_else_came(self) -> None:
        self.stands("192.0.2.0/24")
        announce(self.table, self.neighbor, b"b", ["192.0.2.0/24"])
        assert self.said() == []
        self.table.retire_neighbor(self.previous_run)
        assert self.said() == [(False, "192.0.2.0/24", 0b110, None)]

    def test_what_was_written_meanwhile_is_newer(self) -> None:
        announce(self.table, self.neighbor, b"a", ["192.0.2.0/24"])
        self.said()
        assert not self.stands("192.0.2.0/24")
        assert not self.stands("192.0.2.1/24"), "no prefix"


class TestMalformed:
    """Text from BGP that is no prefix is left out and counted, and the rest is taken."""

    @given(st.lists(st.text(max_size=50) | prefixes(), min_size=1, max_size=8))
    @settings(deadline=None)
    def test_any_text_is_survived(self, names: list[str]) -> None:
        table = RouteTable(set_of())
        neighbor = table.add_neighbor(TAG_ALL, b"\x7f\0\0\2")
        assert announce(table, neighbor, b"a", names) + table.malformed == len(names)
        assert {route.prefix for route in table.routes()} <= set(names)

    def test_a_line_feed_makes_no_second_prefix(self) -> None:
        table = RouteTable(set_of())
        neighbor = table.add_neighbor(TAG_ALL, b"\x7f\0\0\2")
        assert announce(table, neighbor, b"a", ["192.0.2.0/24\n10.0.0.0/8", "198.51.100.0/24"]) == 1
        assert [route.prefix for route in table.routes()] == ["198.51.100.0/24"]
        assert table.malformed == 1


class TestWalks:
    """A walk goes on behind where it was, whatever came and went in between."""

    def setup_method(self) -> None:
        self.table = RouteTable(set_of())
        self.neighbor = self.table.add_neighbor(TAG_ALL, b"\x7f\0\0\2")
        self.stays = [f"10.{i // 256}.{i % 256}.0/24" for i in range(1500)] + [
            f"2001:db8:{i:x}::/48" for i in range(1, 1501)
        ]
        self.others = [f"10.{i // 256}.{i % 256}.128/25" for i in range(1500)] + [
            f"2001:db8:{i:x}:8000::/49" for i in range(1, 1501)
        ]
        announce(self.table, self.neighbor, b"a", self.stays + self.others[::2])

    def test_what_stays_is_listed_once_in_order_while_others_come_and_go(self) -> None:
        found = []
        for number, route in enumerate(self.table.routes()):
            found.append(route.prefix)
            if number % 100 == 50:  # some of them are what the list has just come to
                some = slice(number // 2 % 2, None, 2 + number // 100 % 3)
                announce(self.table, self.neighbor, b"a", self.others[some])
                self.table.withdraw(self.neighbor, self.others[1 - number // 2 % 2 :: 3])
        assert [prefix for prefix in found if prefix in set(self.stays)] == self.stays
        assert len(found) == len(set(found))

    def test_only_what_a_prefix_covers(self) -> None:
        assert [route.prefix for route in self.table.routes("10.5.0.0/23")] == [
            "10.5.0.0/24", "10.5.0.128/25", "10.5.1.0/24",
        ]  # fmt: skip
        assert [route.prefix for route in self.table.routes("2001:db8:5da::/47")] == [
            "2001:db8:5da::/48", "2001:db8:5db::/48", "2001:db8:5db:8000::/49",
        ]  # fmt: skip
        assert [route.prefix for route in self.table.routes("192.0.2.0/24")] == []

    def test_a_session_that_ends_takes_all_its_routes_however_small_the_slices(self) -> None:
        other = self.table.add_neighbor(TAG_ALL, b"\x7f\0\0\3")
        announce(self.table, other, b"a", self.stays[::3])
        self.table.retire_neighbor(self.neighbor)
        while self.table.work(7):
            announce(self.table, other, b"a", self.stays[1::3])
            while self.table.next_command(100) is not None or self.table.state.searching:
                pass
        assert {route.neighbor for route in self.table.routes()} == {other}
        assert len(list(self.table.routes())) == len(self.stays[::3]) + len(self.stays[1::3]) == len(self.table)


class Machine(RuleBasedStateMachine):
    """Everything at once, drained at random moments; a plain model says what every receiver must hold."""

    @initialize(
        ipv4=st.integers(0, 7),
        ipv6=st.integers(0, 7),
        throng_from=st.sampled_from([2, 3, 256]),
        rounds=st.booleans(),
        previous_run=st.lists(
            st.tuples(
                st.integers(0, 2), prefixes(), st.sampled_from([None, id_of(0, 4)]), st.sampled_from(sorted(PREVIOUS))
            ),
            max_size=6,
        ),
    )
    def begin(
        self,
        ipv4: int,
        ipv6: int,
        throng_from: int,
        previous_run: list[tuple[int, str, int | None, bytes]],
        *,
        rounds: bool,
    ) -> None:
        self.vrps: set[VRP] = set()
        self.vrp_set = set_of()
        self.table = RouteTable(self.vrp_set)
        lib.rib_set_throng_from(self.table.native, throng_from)
        self.router = Router()
        self.sessions: dict[int, tuple[int, Policies]] = {}  # peer -> number, policy
        self.extended = 0
        self.plain = {False: ipv4, True: ipv6}
        self.table.set_plain(ipv4, ipv6)
        self.model: dict[tuple[int, str, int | None], bytes] = {}  # peer, prefix, path id -> attribute set
        self.said: set[tuple[str, int]] = set()  # prefix and identity of all that was ever announced
        if rounds:
            self.router.new_round(self.table)
        self.previous_run: int | None = self.table.add_previous_run()
        for receiver, prefix, wanted, name in previous_run:
            path_id = None if self.plain[":" in prefix] & 1 << receiver else wanted
            place = (receiver, prefix, path_id)
            if place not in self.router.routes:
                number = number_of(self.table, name)
                text = prefix if path_id is None else f"{prefix} {IPv4Address(path_id)}"
                assert self.table.add_stale(self.previous_run, number, text, 1 << receiver)
                self.router.routes[place] = (PREVIOUS[name].announced_hash, 0, 0)

    @rule(peer=st.integers(0, 2), policy=st.sampled_from(POLICIES))
    def up(self, peer: int, policy: Policies) -> None:
        if peer not in self.sessions:
            self.sessions[peer] = (self.table.add_neighbor(policy, bytes([127, 0, 0, peer])), policy)

    @rule(peer=st.integers(0, 2))
    def down(self, peer: int) -> None:
        if peer in self.sessions:
            self.table.retire_neighbor(self.sessions.pop(peer)[0])
            self.model = {key: value for key, value in self.model.items() if key[0] != peer}

    @rule(peer=st.integers(0, 2), policy=st.sampled_from(POLICIES))
    def new_policy(self, peer: int, policy: Policies) -> None:
        if peer in self.sessions:
            number = self.sessions[peer][0]
            self.sessions[peer] = (number, policy)
            self.table.set_policy(number, policy)
            self.table.revalidate()

    @rule(
        peer=st.integers(0, 2),
        name=st.sampled_from(sorted(SETS)),
        routes=st.lists(prefixes(), min_size=1, max_size=6),
        path_id=st.sampled_from([None, None, 0, 4]),
    )
    def announced(self, peer: int, name: bytes, routes: list[str], path_id: int | None) -> None:
        if peer in self.sessions:
            suffix = "" if path_id is None else f" 0.0.0.{path_id}"
            announce(self.table, self.sessions[peer][0], name, [prefix + suffix for prefix in routes])
            self.model.update({(peer, prefix, path_id): name for prefix in routes})
            self.said.update((prefix, SETS[name].identity) for prefix in routes)

    @rule(peer=st.integers(0, 2), data=st.data())
    def withdrawn(self, peer: int, data: st.DataObject) -> None:
        mine = sorted((key for key in self.model if key[0] == peer), key=str)
        if mine:
            key = data.draw(st.sampled_from(mine))
            suffix = "" if key[2] is None else f" 0.0.0.{key[2]}"
            self.table.withdraw(self.sessions[peer][0], [key[1] + suffix])
            del self.model[key]

    @rule(mask=st.integers(0, 7))
    def negotiated(self, mask: int) -> None:
        self.extended = mask
        self.table.set_extended_next_hop(mask)
        self.table.revalidate()

    @rule(kinds=st.lists(st.integers(0, 3), min_size=3, max_size=3))
    def receivers_are_something_else(self, kinds: list[int]) -> None:
        self.router.kinds = tuple(sum(1 << n for n in range(3) if kinds[n] == kind) for kind in range(3))
        self.table.set_kinds(*self.router.kinds)
        self.table.revalidate()

    @rule(mask=st.integers(0, 7))
    def sessions_of_targets(self, mask: int) -> None:
        self.router.up = mask
        self.table.set_up(mask)
        self.table.revalidate()

    @rule()
    def all_is_sent(self) -> None:
        if self.router.batch is not None:
            self.router.new_round(self.table)

    @rule()
    def nothing_more_is_learned_again(self) -> None:
        if self.previous_run is not None:
            self.table.retire_neighbor(self.previous_run)
            self.previous_run = None

    @rule(entries=st.sets(vrps(), max_size=6))
    def vrps_change(self, entries: set[VRP]) -> None:
        self.vrps = entries
        self.table.vrps_changed(self.vrp_set.replace(0, packed(entries)))

    @rule(steps=st.integers(1, 4))
    def work_a_little(self, steps: int) -> None:
        self.table.work(steps)

    @rule(commands=st.integers(1, 3), most=st.integers(1, 4))
    def write_a_little(self, commands: int, most: int) -> None:
        self.router.execute(self.table, most, commands)

    def policy_of(self, peer: int, prefix: str, summary: AttributeSummary) -> NeighborPolicy:
        """The first of its neighbor's policies that is for a route."""
        policies = self.sessions[peer][1]
        length = int(prefix.partition("/")[2])
        for policy in [policies] if isinstance(policies, NeighborPolicy) else policies:
            shortest, longest = policy.lengths[":" in prefix]
            met = not policy.conditions or policy.conditions & summary.conditions
            if shortest <= length <= longest and met and meets(policy.demands, prefix, summary):
                return policy
        raise AssertionError

    def takes(self, receiver: int, summary: AttributeSummary) -> bool:
        """Whether a receiver can be told of a route with these attributes."""
        kind = self.router.kind(receiver)
        return (
            (summary.fitness == FIT or bool(self.extended & 1 << receiver))
            and not summary.traits & NO_ADVERTISE
            and not (summary.traits & NO_EXPORT and kind > 1)
            and not (summary.traits & NO_EXPORT_SUBCONFED and kind > 0)
        )

    def expected(self) -> dict[Place, Words]:
        best: dict[Place, tuple[tuple[int, ...], Words]] = {}
        for (peer, prefix, path_id), name in self.model.items():
            summary = SETS[name]
            policy = self.policy_of(peer, prefix, summary)
            validity = rfc6811.validity(self.vrps, prefix, None if summary.origin < 0 else summary.origin)
            index = VALIDITIES.index(validity)
            action = policy.actions[index]
            if summary.traits & AS_SET and policy.as_set is not None:
                action = policy.as_set
            excluded = summary.traits & LOOP or (policy.enforce_first_as and summary.traits & OTHER_FIRST_AS)
            if action != "announce" or summary.fitness == UNFIT or excluded:
                continue
            preference = policy.local_preferences[index]
            for receiver in range(3):
                if not policy.receivers & 1 << receiver or not self.takes(receiver, summary):
                    continue
                plain = self.plain[":" in prefix] & 1 << receiver
                place = (receiver, prefix, None if plain else id_of(peer, path_id))
                rank = (
                    validity == "invalid",
                    summary.traits & AS_SET,
                    -(summary.local_preference if preference == LEARNED else preference),
                    summary.path_length,
                    peer,
                    -1 if path_id is None else path_id,
                )
                candidate = (rank, self.router.words(name, policy.variants[index], receiver))
                best[place] = min(best.get(place, candidate), candidate)
        return {place: words for place, (_, words) in best.items()}

    @invariant()
    def the_table_lists_the_model(self) -> None:
        if hasattr(self, "model"):
            peers = {number: peer for peer, (number, _) in self.sessions.items()}
            listed = {(peers[route.neighbor], route.prefix, route.path_id) for route in self.table.routes()}
            assert listed == set(self.model)
            assert len(self.table) == len(self.model)

    def write_all(self) -> None:
        drain_work(self.table)
        self.router.execute(self.table, 3)
        while self.table.state.parked:
            self.router.new_round(self.table)
            self.router.execute(self.table, 3)

    @rule()
    def settle(self) -> None:
        """When all is written, every receiver holds exactly what the rule says, and nothing more is said."""
        self.write_all()
        expected = self.expected()
        for place, words in self.router.routes.items():
            if words[0] > 100:
                assert self.previous_run is not None, "left over from an earlier run"
            else:
                assert words == expected.get(place)
        for place in expected.keys() - self.router.routes.keys():
            assert not self.router.up & 1 << place[0], "missing where the session is up"
        for place in expected:
            assert self.router.routes.get(place, (0, 0, 0))[0] <= 100 or not self.router.up & 1 << place[0]
        if self.previous_run is not None:
            for place, treatment in self.router.taken_back:
                assert (place[1], treatment - 100) in self.said, "taken back though nothing of its path was learned"
        for route in self.table.routes():
            summary = SETS[self.table.attributes_key(route.attributes)]
            asn = None if summary.origin < 0 else summary.origin
            assert route.validity == rfc6811.validity(self.vrps, route.prefix, asn)
        self.router.commands.clear()
        self.table.revalidate()
        self.write_all()
        assert self.router.commands == []
        assert self.table.state.waiting == 0

    def teardown(self) -> None:
        if hasattr(self, "model"):
            self.settle()
            self.nothing_more_is_learned_again()
            self.sessions_of_targets(7)
            self.settle()


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
