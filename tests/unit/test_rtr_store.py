"""What an RTR server answers as its data changes, told as stories."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrd.rtr.intervals import Intervals
from rtrd.rtr.pdu import CacheResponse, EndOfData, RouterKeyPDU
from rtrd.rtr.store import Data, Response, Store, update_with
from rtrlib import aspas, packed
from rtrlib.vrp import PACKED
from rtrlib.vrp_entries import RouterKey
from tests.lab.rtr_wire import ASPAPDU, Prefix, pdus

KEYS = [RouterKey(64500 + number, bytes([number] * 20), b"key %d" % number) for number in range(4)]


def vrp(number: int) -> bytes:
    """One ordered VRP: AS number of 10.0.number.0/24, or of an IPv6 /48 from 100 on."""
    if number < 100:
        return packed.ordered(PACKED.pack(bytes([10, 0, number, 0]), number, 24, 24, 4, 1))
    return packed.ordered(PACKED.pack(bytes([0x20, 1, 0xD, 0xB8, 0, number]), number, 48, 48, 6, 1))


def vrps(*numbers: int) -> bytes:
    return b"".join(sorted({vrp(number) for number in numbers}))


def octets(response: Response | None) -> bytes:
    assert response is not None
    return b"".join(response.piece(index) for index in range(len(response)))


def change(response: Response | None) -> tuple[set[int], set[int]]:
    """(announced, withdrawn) AS numbers of a response that starts and ends as the RFC says."""
    assert response is not None
    start, *payload, end = pdus(octets(response))
    assert isinstance(start, CacheResponse)
    assert isinstance(end, EndOfData)
    assert start.session == end.session
    assert end.serial == response.serial
    assert {one.version for one in [start, *payload, end]} == {start.version}
    prefixes = [one for one in payload if isinstance(one, Prefix)]
    assert len({(one.address, one.length, one.max_length, one.asn) for one in prefixes}) == len(prefixes)
    return {one.asn for one in prefixes if one.announce}, {one.asn for one in prefixes if not one.announce}


def keys(response: Response | None) -> list[tuple[int, bool]]:
    return [(one.asn, one.announce) for one in pdus(octets(response)) if isinstance(one, RouterKeyPDU)]


def aspa_set(providers: dict[int, list[int]]) -> bytes:
    return aspas.union_of(aspas.numbers(providers.items()))


def told(response: Response | None) -> list[tuple[bool, int, tuple[int, ...]]]:
    """ASPAs of a response, in its order."""
    return [(one.announce, one.customer, one.providers) for one in pdus(octets(response)) if isinstance(one, ASPAPDU)]


class Router:
    """Keeps what a router would, by the responses it gets."""

    def __init__(self, store: Store, version: int = 1) -> None:
        self.store, self.version = store, version
        self.vrps: set[int] = set()
        self.session = self.serial = -1

    def query(self) -> str:
        """Ask for what changed, else for everything; returns what was needed."""
        response = None
        if self.session >= 0:
            response = self.store.since(self.version, self.session, self.serial)
        kind = "delta" if response else "whole"
        if response is None:
            response, self.vrps = self.store.whole(self.version), set()
        assert response is not None
        announced, withdrawn = change(response)
        assert not announced & self.vrps, "announced twice"
        assert withdrawn <= self.vrps, "withdrawn unknown"
        self.vrps = self.vrps - withdrawn | announced
        self.session, self.serial = self.store.session(self.version), response.serial
        return kind


def loaded(store: Store, version: int = 1) -> Router:
    router = Router(store, version)
    assert router.query() == "whole"
    return router


@pytest.fixture
def store() -> Store:
    return Store()


def test_before_the_first_set_there_is_no_data(store: Store) -> None:
    assert store.whole(1) is None
    assert store.since(1, store.session(1), store.serial(1)) is None
    assert store.replace(b"") == [0, 1, 2], "an empty set is data, too"
    assert change(store.whole(1)) == (set(), set())


def test_a_router_that_follows_gets_only_what_changed(store: Store) -> None:
    store.replace(vrps(1, 2, 100))
    router = loaded(store)
    store.replace(vrps(2, 3, 100))
    assert change(store.since(1, router.session, router.serial)) == ({3}, {1})
    assert router.query() == "delta"
    assert router.vrps == {2, 3, 100}
    assert change(store.since(1, router.session, router.serial)) == (set(), set())


def test_several_changes_are_told_as_one(store: Store) -> None:
    store.replace(vrps(1, 2))
    router = loaded(store)
    store.replace(vrps(1, 2, 3))
    store.replace(vrps(2))
    store.replace(vrps(1, 2, 4))
    assert change(store.since(1, router.session, router.serial)) == ({4}, set())


def test_the_same_set_again_makes_no_serial_number(store: Store) -> None:
    store.replace(vrps(1), KEYS[:1])
    serials = store.serial(0), store.serial(1)
    assert store.replace(vrps(1), KEYS[:1]) == []
    assert store.commit(update_with(store.data, [vrp(1)], [vrp(7)])) == []
    assert (store.serial(0), store.serial(1)) == serials


def test_router_keys_are_from_version_1_on(store: Store) -> None:
    store.replace(vrps(1), KEYS[:2])
    old, new = loaded(store, 0), loaded(store, 1)
    assert keys(store.whole(0)) == []
    assert keys(store.whole(1)) == [(64500, True), (64501, True)]
    assert store.replace(vrps(1), KEYS[1:3]) == [1, 2]
    assert keys(store.since(1, new.session, new.serial)) == [(64502, True), (64500, False)]
    assert store.serial(0) == old.serial


def test_a_change_of_a_few_vrps_keeps_the_router_keys(store: Store) -> None:
    store.replace(vrps(1), KEYS[:1])
    router = loaded(store)
    assert store.commit(update_with(store.data, [vrp(2), vrp(101)], [vrp(1)])) == [0, 1, 2]
    assert change(store.since(1, router.session, router.serial)) == ({2, 101}, {1})
    assert store.data == Data(vrps(2, 101), frozenset(KEYS[:1]))


def test_pdus_come_in_the_order_of_8210bis(store: Store) -> None:
    """Section 11.2: by type, in it what is announced before what is withdrawn; prefixes backward, then forward."""
    first = [RouterKey(7, b"b" * 20, b"key"), RouterKey(6, b"a" * 20, b"longer"), RouterKey(5, b"a" * 20, b"key")]
    store.replace(vrps(1, 2, 101, 102), first)
    session, serial = store.session(1), store.serial(1)
    store.replace(vrps(3, 4, 103, 104), KEYS[:1])
    told = pdus(octets(store.since(1, session, serial)))[1:-1]
    assert [(one.asn, one.announce) for one in told if isinstance(one, (Prefix, RouterKeyPDU))] == [
        (4, True), (3, True), (1, False), (2, False), (104, True), (103, True), (101, False), (102, False),
        (64500, True), (5, False), (6, False), (7, False),
    ]  # fmt: skip


def test_beyond_the_history_everything_is_loaded_again() -> None:
    store = Store(max_deltas=2)
    store.replace(vrps(1))
    router = loaded(store)
    store.replace(vrps(2))
    store.replace(vrps(3))
    assert store.since(1, router.session, router.serial)
    store.replace(vrps(4))
    assert store.since(1, router.session, router.serial) is None
    assert router.query() == "whole"
    assert router.vrps == {4}


def test_a_large_change_is_no_history() -> None:
    store = Store(max_delta_records=3)
    store.replace(vrps(1, 2))
    router = loaded(store)
    store.replace(vrps(3, 4))
    assert store.since(1, router.session, router.serial) is None


def test_another_session_or_a_serial_number_from_nowhere_is_no_history(store: Store) -> None:
    store.replace(vrps(1))
    store.replace(vrps(2))
    session, serial = store.session(1), store.serial(1)
    assert store.since(1, session, serial - 1)
    assert store.since(1, session, serial + 1) is None
    assert store.since(1, session, serial - 2) is None
    assert store.since(1, store.session(0), serial) is None


def test_sessions_differ_by_version_and_after_a_restart() -> None:
    stores = [Store() for _ in range(20)]
    assert all(one.session(0) != one.session(1) for one in stores)
    assert len({(one.session(1), one.serial(1)) for one in stores}) == len(stores)


def test_the_serial_number_wraps() -> None:
    class Last(random.Random):
        def randrange(self, *_: object) -> int:
            return 0xFFFFFFFF

    store = Store(rng=Last(1))
    store.replace(vrps(1))
    router = loaded(store)
    store.replace(vrps(2))
    assert store.serial(1) == 0
    assert router.query() == "delta"
    assert router.vrps == {2}


def test_routers_that_load_at_once_share_every_octet(store: Store) -> None:
    store.replace(packed.ordered(b"".join(PACKED.pack(i.to_bytes(4), 1, 32, 32, 4, 1) for i in range(10_000))))
    first, second = store.whole(1), store.whole(1)
    assert first is not None
    assert second is not None
    assert len(first) > 4
    assert all(first.piece(index) is second.piece(index) for index in range(len(first)))
    session, serial = store.session(1), store.serial(1)
    store.commit(update_with(store.data, [vrp(100)], []))
    assert store.since(1, session, serial) is store.since(1, session, serial)
    assert octets(first) == octets(second), "a response that is being read stays what it was"


def test_an_update_prepared_from_another_set_is_refused() -> None:
    from rtrd.rtr.store import Data, update_to  # noqa: PLC0415

    store = Store()
    store.replace(vrps(1))
    late = update_to(store.data, Data(vrps(2)))
    store.replace(vrps(3))
    with pytest.raises(ValueError, match="another set"):
        store.commit(late)


def test_version_1_is_told_the_intervals_and_version_0_none() -> None:
    store = Store(Intervals(refresh=60, retry=5, expire=600))
    store.replace(b"")
    assert pdus(octets(store.whole(1)))[-1][3:] == (60, 5, 600)
    assert pdus(octets(store.whole(0)))[-1] == EndOfData(0, store.session(0), store.serial(0))


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"refresh": 0}, "refresh interval 0 is not from 1 to 86400 seconds"),
        ({"retry": 7201}, "retry interval 7201 is not from 1 to 7200 seconds"),
        ({"expire": 599}, "expire interval 599 is not from 600 to 172800 seconds"),
        ({"expire": 3600}, "expire interval 3600 is not above refresh 3600 and retry 600"),
    ],
)
def test_intervals_outside_the_rfc_are_refused(wrong: dict[str, int], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        Intervals(**wrong)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_changes_every_router_ends_with_the_set(data: st.DataObject) -> None:
    """Routers of both versions query at random moments; each ends with what is served."""
    store = Store(max_deltas=4, max_delta_records=30)
    numbers = st.sets(st.sampled_from([*range(12), *range(100, 112)]))
    store.replace(vrps(*data.draw(numbers)))
    routers = [Router(store, number % 2) for number in range(4)]
    for _ in range(data.draw(st.integers(1, 12))):
        if data.draw(st.booleans()):
            store.replace(vrps(*data.draw(numbers)))
        else:
            announced, withdrawn = data.draw(numbers), data.draw(numbers)
            store.commit(update_with(store.data, map(vrp, announced), map(vrp, withdrawn)))
        data.draw(st.sampled_from(routers)).query()
    assert store.data is not None
    served = {PACKED.unpack(record)[1] for record in packed.split(packed.packed(store.data.vrps))}
    for router in routers:
        router.query()
        assert router.vrps == served


def test_a_change_of_aspas_alone_is_one_for_version_2_only() -> None:
    store = Store()
    store.replace(vrps(1), (), aspa_set({1: [2, 3], 4: [0]}))
    assert told(store.whole(2)) == [(True, 1, (2, 3)), (True, 4, (0,))]
    serials = [store.serial(version) for version in range(3)]
    assert store.replace(vrps(1), (), aspa_set({1: [3], 4: [0]})) == [2]
    assert [store.serial(version) for version in range(3)] == [*serials[:2], (serials[2] + 1) % (1 << 32)]
    assert told(store.since(2, store.session(2), serials[2])) == [(True, 1, (3,))], "no withdrawal of what is replaced"
    assert store.commit(update_with(store.data, [vrp(2)], [], None, aspa_set({5: [6]}))) == [0, 1, 2]
    assert told(store.since(2, store.session(2), serials[2])) == [(True, 5, (6,)), (False, 1, ()), (False, 4, ())]
    for version in (0, 1):
        assert told(store.since(version, store.session(version), serials[version])) == []
    assert store.commit(update_with(store.data, [], [])) == [], "none is said of ASPAs: those of before"
    assert told(store.whole(2)) == [(True, 5, (6,))]


SOME_ASPAS = st.dictionaries(st.integers(1, 5), st.lists(st.integers(0, 8), min_size=1, max_size=4), max_size=5)


@given(st.lists(SOME_ASPAS, min_size=2, max_size=8))
def test_what_cancels_out_is_not_said_and_a_router_ends_with_the_set(sets: list[dict[int, list[int]]]) -> None:
    store = Store()
    store.replace(b"", (), aspa_set(sets[0]))
    session, first = store.session(2), store.serial(2)
    held = {one.customer: one.providers for one in aspas.records(aspa_set(sets[0]))}
    before = dict(held)
    for each in sets[1:]:
        store.replace(b"", (), aspa_set(each))
    for announce, customer, providers in told(store.since(2, session, first)):
        assert announce or customer in before, "a withdrawal of what is not there"
        assert before.get(customer) != providers, "an announcement of what is there"
        held.pop(customer, None)
        if announce:
            held[customer] = providers
    assert held == {one.customer: one.providers for one in aspas.records(aspa_set(sets[-1]))}
    assert told(store.whole(2)) == [(True, *each) for each in sorted(held.items())]


def test_providers_count_in_the_history_of_version_2_alone() -> None:
    store = Store(max_delta_records=100)
    store.replace(b"", (), aspa_set({1: [2]}))
    serials = [store.serial(version) for version in range(3)]
    store.replace(vrps(1), (), aspa_set({1: list(range(2, 200))}))
    known = [store.since(version, store.session(version), serials[version]) is not None for version in range(3)]
    assert known == [True, True, False]


def test_large_lists_go_in_several_pieces_none_of_which_cuts_a_pdu() -> None:
    providers = {
        customer: list(range(40_000, 40_000 + customer % 10_000)) for customer in (5, 7000, 17_999, 29_999, 30_001)
    }
    store = Store()
    store.replace(vrps(1), KEYS, aspa_set(providers))
    response = store.whole(2)
    assert response is not None
    pieces = [pdus(response.piece(index)) for index in range(len(response))]
    assert max(len(response.piece(index)) for index in range(len(response))) < 1 << 17
    assert [sum(isinstance(one, ASPAPDU) for one in piece) for piece in pieces] == [0, 0, 0, 3, 2, 0]
    assert {customer: list(listed) for _, customer, listed in told(response)} == providers
