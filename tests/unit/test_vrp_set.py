"""The VRP set against a brute-force RFC 6811 and a model of its sources."""

import ipaddress
import itertools
import random
import struct
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from _rov import lib
from rtrlib import vrp_set as vrp_sets
from rtrlib.vrp import PACKED, VRP, pack, unpack
from rtrlib.vrp_filters import VRPFilter
from rtrlib.vrp_set import OF_PREFIX, PARTS, SLURM, VALIDITIES, Apply, VRPChanges, VRPSet
from tests.lab import rfc6811
from tests.lab.strategies import ASNS, filters, prefixes, vrps
from tests.lab.vrp_sets import set_of


def packed(parts: Iterable[bytes]) -> Counter[VRP]:
    return Counter(vrp for vrp, _ in unpack(b"".join(parts)))


ONE, OTHER, NOBODY = (VRP("192.0.2.0/24", 24, asn) for asn in (64500, 64501, 0))
LONG = VRP("192.0.2.0/24", 25, 64500)


class TestValidity:
    """What RFC 6811 says of a route."""

    @pytest.mark.parametrize(
        ("vrps", "route", "origin", "validity"),
        [
            pytest.param([ONE], "198.51.100.0/24", 64500, "not-found", id="no VRP covers it"),
            pytest.param([ONE], "192.0.0.0/16", 64500, "not-found", id="less specific"),
            pytest.param([LONG], "192.0.2.128/25", 64500, "valid", id="the right origin within max length"),
            pytest.param([ONE], "192.0.2.128/25", 64500, "invalid", id="too long"),
            pytest.param([ONE, OTHER], "192.0.2.0/24", 64501, "valid", id="one matching VRP is enough"),
            *(pytest.param([NOBODY], "192.0.2.0/24", origin, "invalid", id=f"AS 0 for {origin}")
              for origin in (0, None, 64500)),
            pytest.param([ONE], "192.0.2.0/24", None, "invalid", id="origin NONE is never valid"),
            pytest.param([VRP("0.0.0.0/0", 32, 64500)], "192.0.2.0/24", 64500, "valid", id="a default route"),
            pytest.param([VRP("::/0", 0, 64500)], "2001:db8::/32", 64500, "invalid", id="a default route alone"),
        ],
    )  # fmt: skip
    def test_of_a_route(self, vrps: list[VRP], route: str, origin: int | None, validity: str) -> None:
        assert set_of(*vrps).validate(route, origin) == validity

    def test_without_a_usable_set_routes_are_unverified(self) -> None:
        assert VRPSet().validate("192.0.2.0/24", 64500) == "unverified"

    @given(st.lists(vrps(), max_size=30), st.lists(st.tuples(prefixes(), st.none() | ASNS), min_size=1, max_size=20))
    @settings(max_examples=500, deadline=None)
    def test_as_the_brute_force_rule_says(self, entries: list[VRP], routes: list[tuple[str, int | None]]) -> None:
        vrp_set = set_of(*entries)
        for prefix, asn in routes:
            assert vrp_set.validate(prefix, asn) == rfc6811.validity(entries, prefix, asn)
            covering = {entry.vrp for entry in vrp_set.covering(prefix)}
            assert covering == {vrp for vrp in entries if rfc6811.covers(vrp.prefix, prefix)}

    @given(st.lists(vrps(), max_size=30), st.lists(st.tuples(prefixes(), ASNS), max_size=20))
    @settings(deadline=None)
    def test_many_at_once_as_one_by_one(self, entries: list[VRP], routes: list[tuple[str, int]]) -> None:
        vrp_set = set_of(*entries)
        packed = b"".join(pack(VRP(prefix, 0, asn)) for prefix, asn in routes)
        words = [VALIDITIES[index] for index in vrp_set.validate_many(packed)]
        assert words == [vrp_set.validate(prefix, asn) for prefix, asn in routes]


class TestMalformed:
    """Nothing that a cache sends is believed: what is malformed is left out and counted."""

    ADDRESS = bytes([192, 0, 2, 0]) + bytes(12)

    @pytest.mark.parametrize(
        ("record", "fault"),
        [
            (PACKED.pack(ADDRESS, 64500, 99, 99, 4, 1), "length"),
            (PACKED.pack(ADDRESS, 64500, 24, 24, 5, 1), "length"),
            (PACKED.pack(ADDRESS, 64500, 129, 129, 6, 1), "length"),
            (PACKED.pack(ADDRESS, 64500, 16, 16, 4, 1), "host-bits"),
            (PACKED.pack(ADDRESS[:15] + b"\1", 64500, 24, 24, 4, 1), "host-bits"),
            (PACKED.pack(ADDRESS, 64500, 24, 23, 4, 1), "max-length"),
            (PACKED.pack(ADDRESS, 64500, 24, 33, 4, 1), "max-length"),
            (PACKED.pack(ADDRESS, 64500, 24, 24, 4, 0), "unknown-withdraw"),
        ],
    )
    def test_is_left_out_and_counted(self, record: bytes, fault: str) -> None:
        vrp_set = set_of()
        vrp_set.replace(0, record + pack(VRP("198.51.100.0/24", 24, 64500)))
        assert vrp_set.count(4) == 1
        assert vrp_set.faults[fault] == 1
        assert vrp_set.validate("198.51.100.0/24", 64500) == "valid"

    def test_twice_the_same_counts_once(self) -> None:
        record = pack(VRP("192.0.2.0/24", 24, 64500))
        vrp_set = set_of()
        vrp_set.replace(0, record * 2)
        assert (vrp_set.count(4), vrp_set.faults["duplicate"]) == (1, 1)

    def test_of_one_prefix_a_source_can_have_so_many(self) -> None:
        """Each look-up goes over all of them; a hostile cache would take minutes of it by AS numbers alone."""
        vrp_set = set_of()
        many = [pack(VRP("192.0.2.0/24", 24, asn)) for asn in range(1, OF_PREFIX + 11)]
        vrp_set.replace(0, b"".join(many))
        assert (vrp_set.count(4), vrp_set.faults["crowded"]) == (OF_PREFIX, 10)
        vrp_set.activate([0, 1])
        vrp_set.replace(1, b"".join(many[-10:]))
        assert vrp_set.validate("192.0.2.0/24", OF_PREFIX + 10) == "valid", "what another cache says is not lost"
        vrp_set.stage(0, many[0][:-1] + b"\0" + many[-1])
        vrp_set.commit(0)
        assert (vrp_set.count(4), vrp_set.faults["crowded"]) == (OF_PREFIX + 9, 10), "there is room for one again"

    def test_many_of_a_prefix_are_judged_as_few(self) -> None:
        """Beyond sixteen a prefix's VRPs lie elsewhere; those of a source that does not count come first here."""
        rng = random.Random(16)
        vrp_set = set_of()
        nested = ["192.0.2.0/24", "192.0.0.0/16", "0.0.0.0/0", "2001:db8::/32", "2001:db8:1::/64"]

        def some() -> set[VRP]:
            many = (VRP(prefix, rng.randint(bits := int(prefix.partition("/")[2]), bits + 8), rng.randrange(40))
                    for prefix in nested for _ in range(rng.choice([3, 30, 90])))  # fmt: skip
            return set(many)

        said = {0: some(), 1: some()}
        vrp_set.replace(1, b"".join(map(pack, said[1])))
        vrp_set.replace(0, b"".join(map(pack, said[0])))
        routes = ["192.0.2.0/24", "192.0.2.0/30", "192.0.7.0/24", "10.0.0.0/8", "2001:db8::/40", "2001:db8:1::/72"]
        for active in ([0], [1], [], [0, 1], [0]):
            vrp_set.activate(active)
            source, fresh = rng.choice([0, 1]), some()
            vrp_set.stage(source, b"".join(pack(vrp) for vrp in fresh - said[source]))
            vrp_set.stage(source, b"".join(pack(vrp)[:-1] + b"\0" for vrp in said[source] - fresh))
            vrp_set.commit(source)
            said[source] = fresh
            effective = set().union(*(said[source] for source in active))
            assert packed(vrp_set.packed()) == Counter(effective)
            for route, asn in itertools.product(routes, [None, *range(40)]):
                assert vrp_set.validate(route, asn) == rfc6811.validity(effective, route, asn)
            for route in routes:
                covering = [entry.vrp for entry in vrp_set.covering(route)]
                assert Counter(covering) == Counter(v for v in effective if rfc6811.covers(v.prefix, route))

    def test_vrps_that_lie_far_behind_where_their_probe_run_begins(self) -> None:
        """As many VRPs of a prefix as have no crowd: runs of hundreds of entries, with dead ones in them."""
        rng = random.Random(255)
        vrp_set = set_of()
        made = [f"10.{number >> 8}.{number & 255}.0/24" for number in range(1500)]
        have: dict[str, set[int]] = {prefix: set() for prefix in made}
        for _ in range(4):
            changes = []
            for prefix in rng.sample(made, 1000):
                for asn in rng.sample(range(1, 18), 12):
                    changes.append(pack(VRP(prefix, 24, asn))[:-1] + bytes([asn not in have[prefix]]))
                    have[prefix] ^= {asn}
            vrp_set.stage(0, b"".join(changes))
            vrp_set.commit(0)
            assert vrp_set.count(4) == sum(map(len, have.values()))
            asked = [(prefix, rng.randrange(1, 20)) for prefix in made]
            words = vrp_set.validate_many(b"".join(pack(VRP(prefix, 0, asn)) for prefix, asn in asked))
            for (prefix, asn), word in zip(asked, words, strict=True):
                right = "valid" if asn in have[prefix] else "invalid" if have[prefix] else "not-found"
                assert VALIDITIES[word] == right, (prefix, asn)
        assert vrp_set.faults["unknown-withdraw"] == vrp_set.faults["duplicate"] == 0

    @pytest.mark.parametrize(
        "nested",
        [
            pytest.param([f"{'20.0.0.0' if n > 7 else '0.0.0.0'}/{n} {n} {asn}"
                          for n in range(17) for asn in range(1, OF_PREFIX)], id="by AS"),
            pytest.param([f"2001:db8::/{n} {longest} {asn}"
                          for n in range(32, 100) for longest in range(n, 127) for asn in (8, 9)], id="by length"),
        ],
    )  # fmt: skip
    def test_a_look_up_costs_no_more_under_many(self, nested: list[str]) -> None:
        """17,000 that all cover a route took 50 to 150 us of each look-up."""
        vrp_set = set_of(*(VRP(prefix, int(longest), int(asn)) for prefix, longest, asn in map(str.split, nested)))
        assert vrp_set.count(4) + vrp_set.count(6) == len(nested)
        route = b"".join(pack(VRP(prefix, 0, 9)) for prefix in ("20.0.0.1/32", "2001:db8::1/128")) * 2000
        few = set_of(VRP("20.0.0.0/24", 24, 8))
        taken = []
        for one in (few, vrp_set) * 3:
            began = time.process_time()
            answers = one.validate_many(route)
            taken.append(time.process_time() - began)
            assert {VALIDITIES[answer] for answer in answers} == {"invalid", "not-found"}
        assert min(taken[1::2]) < 1500 * min(taken[::2]), "300 times as much; walking over all, some 5000 times"

    def test_nobody_can_choose_prefixes_that_share_a_place(self) -> None:
        """What is changed in the length as in the address made one hash of 64 prefixes."""
        vrp_set = set_of()
        vrp_set.activate([0, 1])
        places = [(struct.pack(">QQ", 0x20010DB8 << 32 ^ length, 0), length) for length in range(65, 129)]
        began = time.process_time()
        for source in range(2):
            asns = range(source * OF_PREFIX, (source + 1) * OF_PREFIX)
            vrp_set.replace(
                source, b"".join(PACKED.pack(raw, asn, length, 128, 6, 1) for raw, length in places for asn in asns)
            )
        assert vrp_set.count(6) == 2 * OF_PREFIX * len(places)
        assert time.process_time() - began < 8, "less than a second; as one place, twice that time"

    def test_vrps_of_a_prefix_that_come_and_go_leave_nothing_behind(self) -> None:
        vrp_set = set_of(*(VRP(f"10.{i >> 8}.{i & 255}.0/24", 24, 64500) for i in range(1 << 14)))
        before = vrp_set.memory
        for asn in range(1, 1 << 16):
            vrp_set.stage(1, pack(VRP("192.0.2.0/24", 24, asn)) + pack(VRP("192.0.2.0/24", 24, asn), announce=False))
        vrp_set.commit(1)
        assert vrp_set.memory == before
        assert vrp_set.count(4) == 1 << 14

    def test_a_step_without_a_budget_is_a_step(self) -> None:
        vrp_set, changes = set_of(VRP("192.0.2.0/24", 24, 64500)), vrp_sets.VRPChanges()
        assert lib.vrpset_filter(vrp_set.native, PACKED.pack(self.ADDRESS, 64500, 24, 4, 0, 0), 1) == 0
        steps = 0
        while (more := lib.vrpset_apply(vrp_set.native, 0, changes.native)) > 0:
            steps += 1
            assert steps <= PARTS
        assert (more, len(changes), vrp_set.count(4)) == (0, 1, 0)

    def test_torn_records_are_an_error_of_the_caller(self) -> None:
        with pytest.raises(ValueError, match="multiple of 24"):
            set_of().stage(0, b"x" * 25)

    @pytest.mark.parametrize("source", [-1, 32, 1 << 32])
    def test_so_is_a_source_out_of_range(self, source: int) -> None:
        with pytest.raises((ValueError, OverflowError)):
            set_of().begin(source)

    @given(st.binary(max_size=24 * 20))
    @settings(deadline=None)
    def test_any_bytes_are_survived(self, raw: bytes) -> None:
        vrp_set = set_of()
        records = raw[: len(raw) // 24 * 24]
        vrp_set.replace(0, records)
        assert vrp_set.count(4) + vrp_set.count(6) <= len(records) // 24


@given(st.lists(vrps(), max_size=30), st.lists(vrps(), max_size=600))
@settings(deadline=None)
def test_listing_in_parts_misses_nothing_while_others_stage(entries: list[VRP], staged: list[VRP]) -> None:
    """Staging makes tables grow between two parts: an entry stays in its part."""
    vrp_set = set_of(*entries)
    found = Counter[VRP]()
    for number, part in enumerate(vrp_set.packed()):
        found += packed([part])
        vrp_set.stage(1, b"".join(pack(vrp) for vrp in staged[number : number + 2]))
    assert found == Counter(set(entries))


def test_packing_and_unpacking_are_inverse() -> None:
    vrp = VRP("2001:db8::/32", 48, 4294967295)
    assert list(unpack(pack(vrp))) == [(vrp, True)]


def matches(one: VRPFilter, vrp: VRP) -> bool:
    """RFC 8416 section 3.3.1 as it reads."""
    return (one.prefix is None or rfc6811.covers(one.prefix, vrp.prefix)) and one.asn in (None, vrp.asn)


class TestFilters:
    """What RFC 8416 says of filters."""

    ENTRIES = (
        VRP("192.0.2.0/24", 24, 64496),
        VRP("192.0.2.128/25", 25, 64497),
        VRP("192.0.0.0/16", 24, 64496),
        VRP("2001:db8::/32", 48, 64497),
    )

    @pytest.mark.parametrize(
        ("one", "left"),
        [
            (VRPFilter("192.0.2.0/24", None), {2, 3}),
            (VRPFilter("192.0.2.0/24", 64496), {1, 2, 3}),
            (VRPFilter(None, 64496), {1, 3}),
            (VRPFilter("0.0.0.0/0", None), {3}),
            (VRPFilter("::/0", 64497), {0, 1, 2}),
            (VRPFilter("192.0.2.0/25", None), {0, 1, 2, 3}),
            (VRPFilter(None, 0), {0, 1, 2, 3}),
        ],
    )
    def test_what_it_matches_is_not_effective(self, one: VRPFilter, left: set[int]) -> None:
        vrp_set = set_of(*self.ENTRIES)
        vrp_set.filter([one])
        assert {entry.vrp for entry in vrp_set.vrps()} == {self.ENTRIES[index] for index in left}
        assert vrp_set.count_source(0) == len(self.ENTRIES), "it is still there, for when the filter goes"

    def test_a_filter_holds_for_what_comes_later_too(self) -> None:
        vrp_set = set_of()
        vrp_set.filter([VRPFilter("192.0.2.0/24", None)])
        vrp_set.replace(0, b"".join(map(pack, self.ENTRIES)))
        assert vrp_set.validate("192.0.2.0/24", 64499) == "invalid", "by the /16"
        assert vrp_set.count(4) == 1
        assert len(vrp_set.filter([])) == 2
        assert vrp_set.count(4) == 3

    def test_an_assertion_stands_whatever_is_filtered_and_active(self) -> None:
        vrp_set = set_of(*self.ENTRIES)
        vrp_set.filter([VRPFilter("0.0.0.0/0", None)])
        vrp_set.replace(SLURM, pack(self.ENTRIES[0]))
        vrp_set.activate([])
        assert {entry.vrp for entry in vrp_set.vrps()} == {self.ENTRIES[0]}

    @given(st.lists(filters(), max_size=25), st.lists(vrps(), min_size=1, max_size=40))
    @settings(max_examples=500, deadline=None)
    def test_as_the_rfc_reads(self, some: list[VRPFilter], entries: list[VRP]) -> None:
        vrp_set = set_of(*entries)
        vrp_set.filter(some)
        left = {vrp for vrp in entries if not any(matches(one, vrp) for one in some)}
        assert {entry.vrp for entry in vrp_set.vrps()} == left

    @pytest.mark.parametrize("one", [VRPFilter(None, None), VRPFilter("192.0.2.1/24", 1), VRPFilter(None, 1 << 32)])
    def test_what_is_no_filter_is_an_error_of_the_caller(self, one: VRPFilter) -> None:
        with pytest.raises(ValueError, match=r"filter needs|not a prefix|not an AS number"):
            set_of().filter([one])


class TestDrop:
    """What a source said is void at once, but for what others say too."""

    SECOND = 1 << 1
    """The mask of the second cache."""
    ONE, TWO, THREE = VRP("192.0.2.0/24", 24, 64500), VRP("192.0.2.0/24", 24, 64501), VRP("2001:db8::/32", 48, 64500)

    def of_two(self) -> VRPSet:
        """ONE is said by both caches, TWO by the first alone, THREE by the second."""
        vrp_set = set_of(self.ONE, self.TWO)
        vrp_set.activate([0, 1])
        vrp_set.replace(1, pack(self.ONE) + pack(self.THREE))
        return vrp_set

    def in_force(self, vrp_set: VRPSet) -> dict[VRP, int]:
        return {entry.vrp: entry.sources for entry in vrp_set.vrps()}

    @pytest.mark.parametrize("defer", [False, True])
    def test_a_vrp_of_two_caches_stays_until_the_second_is_dropped(self, defer: bool) -> None:
        vrp_set = self.of_two()
        vrp_set.defer(defer=defer)
        assert list(vrp_set.drop(0)) == [(self.TWO, False)]
        assert self.in_force(vrp_set) == {self.ONE: self.SECOND, self.THREE: self.SECOND}
        assert vrp_set.validate("192.0.2.0/24", 64500) == "valid"
        assert vrp_set.validate("192.0.2.0/24", 64501) == "invalid"
        assert (vrp_set.count_source(0), vrp_set.pending, vrp_set.due(4), vrp_set.due(6)) == (0, 0, 1, 1)
        assert Counter(vrp_set.drop(1)) == Counter([(self.ONE, False), (self.THREE, False)])
        assert (self.in_force(vrp_set), vrp_set.pending) == ({}, 0)

    def test_the_second_cache_may_have_joined_while_changes_are_held(self) -> None:
        vrp_set = self.of_two()
        vrp_set.defer(defer=True)
        vrp_set.replace(1, pack(self.ONE) + pack(self.TWO))
        assert vrp_set.pending == 1, "that THREE goes"
        assert list(vrp_set.drop(0)) == []
        assert self.in_force(vrp_set) == {self.ONE: self.SECOND, self.TWO: self.SECOND, self.THREE: 0}
        assert list(vrp_set.take()) == [(self.THREE, False)]

    def test_what_the_second_cache_withdraws_in_a_held_change_does_not_keep_it(self) -> None:
        vrp_set = self.of_two()
        vrp_set.defer(defer=True)
        vrp_set.replace(1, pack(self.THREE))
        assert vrp_set.pending == 0, "the first one says ONE still"
        assert Counter(vrp_set.drop(0)) == Counter([(self.ONE, False), (self.TWO, False)])
        assert (self.in_force(vrp_set), vrp_set.pending) == ({self.THREE: self.SECOND}, 0)

    def test_a_second_cache_that_does_not_count_keeps_nothing(self) -> None:
        vrp_set = self.of_two()
        vrp_set.activate([0])
        assert Counter(vrp_set.drop(0)) == Counter([(self.ONE, False), (self.TWO, False)])
        assert self.in_force(vrp_set) == {}
        assert len(vrp_set.activate([1])) == 2, "it has its own still"

    def test_what_was_only_pending_comes_of_the_second_cache_alone(self) -> None:
        vrp_set = VRPSet()
        vrp_set.activate([0, 1])
        vrp_set.defer(defer=True)
        for source in (0, 1):
            vrp_set.replace(source, pack(self.ONE))
        assert (list(vrp_set.drop(0)), vrp_set.pending) == ([], 1)
        assert (list(vrp_set.drop(1)), vrp_set.pending) == ([], 0)


SOURCES_USED = (0, 1, 2, SLURM)
SOURCE = st.sampled_from(SOURCES_USED)


@pytest.fixture(autouse=True, scope="module")
def small_steps() -> Iterator[None]:
    """Every change takes a step for each table that has anything in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vrp_sets, "_SLICE", 1)
        yield


class Sources(RuleBasedStateMachine):
    """Sources stage, commit, discard, are switched and filtered; a model of plain sets says what is in force.

    So do they while changes are deferred; then what is due differs until it is taken. Between the slices of a
    change all is as before it, and other sources stage.
    """

    def __init__(self) -> None:
        super().__init__()
        self.vrp_set = set_of()
        self.vrp_set.activate([])
        self.live: dict[int, set[VRP]] = {source: set() for source in SOURCES_USED}
        self.staged: dict[int, set[VRP]] = {source: set() for source in SOURCES_USED}
        self.active: set[int] = set()
        self.filters: list[VRPFilter] = []
        self.deferring = False
        self.below: set[VRP] = set()
        """In force without exempts."""
        self.exempts: set[VRP] = set()
        self.meanwhile: list[tuple[int, list[tuple[VRP, bool]]]] = []

    def run(self, steps: Apply, source: int | None = None) -> VRPChanges:
        """Do a change, of a source or of all."""
        due = self.vrp_set.due(4) + self.vrp_set.due(6)
        for step in count():
            try:
                next(steps)
            except StopIteration as end:
                found: VRPChanges = end.value
                assert not self.vrp_set.changing
                return found
            if self.meanwhile and self.meanwhile[-1][0] != source:
                self.stage(*self.meanwhile.pop())
            if step & (step - 1):  # a look after 0, 1, 2, 4, 8, .. steps
                continue
            assert self.vrp_set.changing
            assert {entry.vrp for entry in self.vrp_set.vrps()} == self.in_force
            assert packed(self.vrp_set.packed()) == Counter(self.in_force)
            assert self.vrp_set.count(4) + self.vrp_set.count(6) == len(self.in_force)
            assert self.vrp_set.due(4) + self.vrp_set.due(6) == due
            for vrp in sorted(self.in_force)[:2]:
                assert self.vrp_set.validate(vrp.prefix, 7) == rfc6811.validity(self.in_force, vrp.prefix, 7)
            with pytest.raises(RuntimeError, match="another change"):
                self.vrp_set.activate([0])
        raise AssertionError("a change has an end")

    @rule(source=SOURCE, entries=st.lists(st.tuples(vrps(), st.booleans()), max_size=12))
    def stage_meanwhile(self, source: int, entries: list[tuple[VRP, bool]]) -> None:
        """Between two steps of a change to come."""
        self.meanwhile.append((source, entries))

    @property
    def in_force(self) -> set[VRP]:
        return self.below | self.exempts

    def due(self) -> set[VRP]:
        """Without exempts."""
        heard = set().union(*(self.live[source] for source in self.active))
        return {vrp for vrp in heard if not any(matches(one, vrp) for one in self.filters)} | self.live[SLURM]

    def check(self, changes: object, before: set[VRP]) -> None:
        appeared = {vrp for vrp, announce in changes if announce}  # type: ignore[attr-defined]
        vanished = {vrp for vrp, announce in changes if not announce}  # type: ignore[attr-defined]
        unseen = set() if self.deferring else self.exempts
        assert appeared == self.due() - before - unseen
        assert vanished == before - self.due() - unseen
        assert len(changes) == len(appeared) + len(vanished)  # type: ignore[arg-type]
        if not self.deferring:
            self.below = self.due()

    @rule(source=SOURCE, entries=st.lists(st.tuples(vrps(), st.booleans()), max_size=12))
    def stage(self, source: int, entries: list[tuple[VRP, bool]]) -> None:
        self.vrp_set.stage(source, b"".join(pack(vrp, announce=announce) for vrp, announce in entries))
        for vrp, announce in entries:
            (self.staged[source].add if announce else self.staged[source].discard)(vrp)

    @rule(source=SOURCE)
    def begin(self, source: int) -> None:
        self.run(self.vrp_set.apply_begin(source), source)
        self.staged[source] = set()

    @rule(source=SOURCE)
    def commit(self, source: int) -> None:
        before = self.due()
        changes = self.run(self.vrp_set.apply_commit(source), source)
        self.live[source] = set(self.staged[source])
        self.check(changes, before)

    @rule(source=SOURCE)
    def discard(self, source: int) -> None:
        self.run(self.vrp_set.apply_discard(source), source)
        self.staged[source] = set(self.live[source])

    @rule(sources=st.sets(SOURCE))
    def activate(self, sources: set[int]) -> None:
        before = self.due()
        changes = self.run(self.vrp_set.apply_activation(sources))
        self.active = sources
        self.check(changes, before)

    @rule(filters=st.lists(filters(), max_size=6))
    def filter(self, filters: list[VRPFilter]) -> None:
        before = self.due()
        changes = self.run(self.vrp_set.apply_filters(filters))
        self.filters = filters
        self.check(changes, before)

    @rule(defer=st.booleans())
    def defer(self, defer: bool) -> None:
        if not defer:
            self.take()
        self.vrp_set.defer(defer=defer)
        self.deferring = defer

    @rule()
    def take(self) -> None:
        taken = dict(self.run(self.vrp_set.apply_pending()))
        assert taken == {vrp: vrp in self.due() for vrp in (self.due() ^ self.below) - self.exempts}
        self.below = self.due()

    @rule(named=st.lists(vrps(), max_size=12), ended=st.booleans())
    def exempt(self, named: list[VRP], ended: bool) -> None:
        ends = set(sorted(self.exempts)[::2]) if ended else set()
        before, after = self.in_force, self.exempts - ends | set(named)
        records = [*(pack(vrp, announce=False) for vrp in ends - set(named)), *map(pack, named)]
        self.exempts = after
        changes = self.vrp_set.exempt(b"".join(records))
        assert Counter(changes) == Counter({(vrp, vrp in self.in_force): 1 for vrp in before ^ self.in_force})

    @rule(named=st.lists(vrps(), max_size=12))
    def take_some(self, named: list[VRP]) -> None:
        some = set(named) | set(sorted(self.due() ^ self.below)[::2])
        changes = set_of().replace(0, b"".join(pack(vrp) for vrp in [*some, *some]))
        taken = dict(self.run(self.vrp_set.apply_pending(changes)))
        assert taken == {vrp: vrp in self.due() for vrp in (self.due() ^ self.below) & some - self.exempts}
        self.below = (self.below - some) | (self.due() & some)

    @rule(source=st.sampled_from(SOURCES_USED[:-1]))
    def drop(self, source: int) -> None:
        others = set().union(*(self.live[one] for one in {*self.active, SLURM} - {source}))
        gone = self.live[source] & self.below - others if source in self.active else set()
        told = gone - self.exempts
        assert Counter(self.run(self.vrp_set.apply_drop(source), source)) == Counter((vrp, False) for vrp in told)
        self.live[source], self.staged[source] = set(), set()
        self.below = self.below - gone
        assert self.deferring or self.below == self.due()

    @rule(sources=st.sets(SOURCE, min_size=1))
    def differ(self, sources: set[int]) -> None:
        found = Counter(one.vrp for part in self.vrp_set.differing(sources) for one in part)
        first, *others = (self.live[source] for source in sources)
        assert found == Counter(first.union(*others) - first.intersection(*others))

    @rule(prefix=prefixes())
    def look_within(self, prefix: str) -> None:
        outer = ipaddress.ip_network(prefix)
        assert Counter(one.vrp for part in self.vrp_set.within(prefix) for one in part) == Counter(
            vrp
            for vrp in self.in_force
            if (inner := ipaddress.ip_network(vrp.prefix)).version == outer.version
            and inner.prefixlen > outer.prefixlen
            and inner.subnet_of(outer)  # type: ignore[arg-type]
        )

    @rule(sources=st.none() | st.sets(SOURCE))
    def copy(self, sources: set[int] | None) -> None:
        expected = self.in_force if sources is None else set().union(*(self.live[source] for source in sources))
        assert packed(self.vrp_set.packed(sources)) == Counter(expected)

    @invariant()
    def counts_and_lists_agree(self) -> None:
        effective = self.in_force
        assert {entry.vrp for entry in self.vrp_set.vrps()} == effective
        assert self.vrp_set.count(4) == sum(":" not in vrp.prefix for vrp in effective)
        assert self.vrp_set.count(6) == sum(":" in vrp.prefix for vrp in effective)
        assert self.vrp_set.pending == len(self.due() ^ self.below)
        assert self.vrp_set.due(4) + self.vrp_set.due(6) == len(self.due() | self.exempts)
        others = set().union(*(self.live[source] for source in self.active - {SLURM}))
        assert self.vrp_set.heard == len(self.below - (self.live[SLURM] - others))
        for source, live in self.live.items():
            assert self.vrp_set.count_source(source) == len(live)


TestSources = Sources.TestCase
TestSources.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
