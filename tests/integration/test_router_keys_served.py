"""BGPsec router keys from a real StayRTR, from rtrd cache, and from a scripted cache that stops half way."""

import signal
import struct
import threading
from typing import Any

import pytest

from rtrd.demo.caches import RtrdCache
from rtrd.demo.lab import Lab
from rtrlib import RTRManager, SPKIRecord
from tests.lab.rtr_caches import ONE, Cache, ScriptedCache, cache_response, end_of_data, manager_of, prefix_pdu
from tests.lab.stayrtr import Key, StayRTR, write_vrp_file
from tests.lab.wait import SECONDS

# A P-256 public key as RFC 8608 wants it: 91 octets of DER; the point need not be on the curve here.
DER = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
A, B = ((asn, bytes([asn % 256]) * 20, DER + bytes([asn % 256]) * 64) for asn in (64500, 64501))


class Heard:
    def __init__(self) -> None:
        self.keys: set[Key] = set()
        self.records: list[tuple[SPKIRecord, bool, Any]] = []
        self._changed = threading.Condition()

    def update(self, record: SPKIRecord, added: bool, data: Any) -> None:
        with self._changed:
            assert isinstance(record, SPKIRecord)
            (self.keys.add if added else self.keys.remove)((record.asn, record.ski, record.spki))
            self.records.append((record, added, data))
            self._changed.notify_all()

    def wait(self, *keys: Key) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.keys == set(keys), SECONDS), self.keys


@pytest.fixture
def heard() -> Heard:
    return Heard()


def managed(heard: Heard, *caches: Cache, isolated: bool = True) -> RTRManager:
    options = {"spki_update_callback": heard.update, "spki_update_callback_data": "data"}
    return manager_of(*caches, isolated=isolated, **options)


@pytest.mark.parametrize("kind", [StayRTR, RtrdCache])
def test_keys_come_and_go(heard: Heard, lab: Lab, kind: type[StayRTR | RtrdCache], isolated: bool) -> None:
    cache = kind(lab.folder, [], "cache")
    write_vrp_file(cache.file, [ONE], [A])
    lab.start(cache)
    with managed(heard, cache, isolated=isolated) as manager:
        manager.wait_for_sync(SECONDS)
        heard.wait(A)
        record, added, data = heard.records[0]
        assert (record.asn, record.ski, record.spki, added, data) == (*A, True, "data")
        assert record.socket is manager.groups()[0].sockets[0]
        # One change: a cache may tell of the next one a minute later only (RFC 8210 section 8.2).
        write_vrp_file(cache.file, [ONE], [B])
        cache.process.send_signal(signal.SIGHUP)
        heard.wait(B)
        assert [(one.asn, added) for one, added, _ in heard.records[1:]] == [(64500, False), (64501, True)]
    assert heard.keys == set(), "keys go when the manager stops, as VRPs do"


def router_key(key: Key, *, announce: int = 1) -> bytes:
    asn, ski, spki = key
    return struct.pack(">BBBBI20sI91s", 1, 9, announce, 0, 123, ski, asn, spki)


def test_a_key_counts_at_end_of_data_and_stays_when_the_cache_is_lost(heard: Heard, lab: Lab, isolated: bool) -> None:
    answers = [
        cache_response() + prefix_pdu(b"\xc0\0\2\0", 24, 24, 1) + router_key(A) + end_of_data(1),
        # The next answer has B instead of A and ends before End of Data.
        cache_response() + router_key(B) + router_key(A, announce=0),
    ]
    queried = threading.Event()

    def answer(number: int, _query: bytes) -> bytes | None:
        if number == 2:
            queried.set()
        return answers[min(number, 2) - 1] if number < 4 else None

    cache = lab.start(ScriptedCache(answer))
    with managed(heard, cache, isolated=isolated) as manager:
        heard.wait(A)
        cache.drop()
        assert queried.wait(SECONDS)
        cache.drop()
        assert heard.keys == {A}
        assert manager.is_synced()
        assert [added for _, added, _ in heard.records] == [True]


def test_a_new_session_changes_only_what_differs(heard: Heard, lab: Lab) -> None:
    keys: list[tuple[Key, ...]] = [(A,)]
    session = [1]

    def answer(_number: int, query: bytes) -> bytes | None:
        if query[1] == 1:  # Serial Query, of the session before
            return struct.pack(">BBHI", 1, 8, 0, 8)
        return cache_response(session[0]) + b"".join(router_key(key) for key in keys[0]) + end_of_data(1, session[0])

    cache = lab.start(ScriptedCache(answer))
    with managed(heard, cache):
        heard.wait(A)
        keys[0], session[0] = (A, B), 2
        cache.drop()
        heard.wait(A, B)
        keys[0], session[0] = (B,), 3
        cache.drop()
        heard.wait(B)
        assert [added for _, added, _ in heard.records] == [True, True, False]


def test_a_failover_to_the_same_keys_tells_nobody(heard: Heard, lab: Lab) -> None:
    def serve(*keys: Key) -> ScriptedCache:
        octets = cache_response() + b"".join(router_key(key) for key in keys) + end_of_data(1)
        return lab.start(ScriptedCache(lambda _number, query: octets if query[1] == 2 else None))

    first, second = serve(A), serve(A, B)
    with managed(heard, first, second) as manager:
        heard.wait(A)
        first.stop()
        heard.wait(A, B)
        assert manager.active_group is manager.groups()[1]
        assert [added for _, added, _ in heard.records] == [True, True]
