"""Stories of router keys: they are in force when the VRPs beside them are."""

from collections.abc import Iterable
from typing import TypeAlias

import pytest

from rtrlib import SPKIRecord, TCPServer, router_keys
from rtrlib.router_keys import RouterKeys
from rtrlib.rtr_socket import RTRSocket

Key: TypeAlias = tuple[int, bytes, bytes]
A, B, C = ((asn, bytes([asn]) * 20, bytes([asn]) * 91) for asn in (1, 2, 3))
ONE, TWO = (RTRSocket(index, TCPServer("192.0.2.1", 323)) for index in (0, 1))


def told(changes: Iterable[tuple[SPKIRecord, bool]]) -> list[tuple[str, int, RTRSocket | None]]:
    return [("+" if added else "-", record.asn, record.socket) for record, added in changes]


def stage(keys: RouterKeys, cache: int, *come: Key, go: tuple[Key, ...] = ()) -> None:
    for key in (*come, *go):
        keys.stage(cache, key, announce=key not in go)


@pytest.fixture
def keys() -> RouterKeys:
    """Cache 0 has A and B and is active."""
    keys = RouterKeys()
    stage(keys, 0, A, B)
    assert keys.commit(0, full=True) == []
    assert told(keys.activate({0: ONE})) == [("+", 1, ONE), ("+", 2, ONE)]
    return keys


def test_a_key_counts_from_the_commit_on(keys: RouterKeys) -> None:
    stage(keys, 0, C, go=(A,))
    assert told(keys.commit(0, full=False)) == [("-", 1, ONE), ("+", 3, ONE)]
    assert keys.commit(0, full=False) == []


def test_what_was_staged_is_void_when_the_connection_is_lost(keys: RouterKeys) -> None:
    keys.stage(0, C, announce=True)
    keys.discard(0)
    stage(keys, 0, A, B)
    assert keys.commit(0, full=True) == [], "the same keys again: nobody is told"


def test_a_full_commit_replaces(keys: RouterKeys) -> None:
    stage(keys, 0, B, C)
    assert told(keys.commit(0, full=True)) == [("-", 1, ONE), ("+", 3, ONE)]
    assert told(keys.commit(0, full=True)) == [("-", 2, ONE), ("-", 3, ONE)]


def test_a_key_of_two_caches_is_told_once_and_goes_with_the_last(keys: RouterKeys) -> None:
    stage(keys, 1, A, C)
    keys.commit(1, full=True)
    assert told(keys.activate({0: ONE, 1: TWO})) == [("+", 3, TWO)]
    assert told(keys.drop(0)) == [("-", 2, ONE)]
    assert told(keys.drop(1)) == [("-", 1, ONE), ("-", 3, TWO)]


def test_a_failover_to_the_same_keys_tells_nobody(keys: RouterKeys) -> None:
    stage(keys, 1, A, B)
    keys.commit(1, full=True)
    assert keys.activate({1: TWO}) == []
    assert keys.drop(0) == []
    assert len(keys.clear()) == 2


def test_announced_and_withdrawn_before_the_commit_is_nothing(keys: RouterKeys) -> None:
    keys.stage(0, C, announce=True)
    keys.stage(0, C, announce=False)
    assert keys.commit(0, full=False) == []


def test_a_flood_of_keys_is_bounded(
    keys: RouterKeys, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(router_keys, "KEYS_OF_A_CACHE", 3)
    for asn in range(10, 20):
        keys.stage(0, (asn, bytes(20), bytes(91)), announce=True)
    assert told(keys.commit(0, full=False)) == [("+", 10, ONE)], "A and B were there"
    assert caplog.text.count("cache 0 sends more than 3 router keys") == 1
