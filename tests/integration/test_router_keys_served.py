"""BGPsec router keys from a real StayRTR, from rtrd cache, and from a scripted cache that stops half way."""

from __future__ import annotations

import base64
import contextlib
import json
import struct
import threading
from pathlib import Path
from sys import executable

import pytest

from rtrd.demo.lab import Process, find_program, free_port
from rtrlib import CacheGroup, RTRManager, SPKIRecord, TCPServer
from tests.lab.rtr_caches import (
    SECONDS,
    STAYRTR,
    ScriptedCache,
    cache_response,
    end_of_data,
    prefix4,
)

# A P-256 public key as RFC 8608 wants it: 91 octets of DER; the point need not be on the curve here.
DER = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
A, B = ((asn, bytes([asn % 256]) * 20, DER + bytes([asn % 256]) * 64) for asn in (64500, 64501))


class Heard:
    def __init__(self):
        self.keys = set()
        self.records = []
        self._changed = threading.Condition()

    def update(self, record, added, data):
        with self._changed:
            assert isinstance(record, SPKIRecord)
            key = (record.asn, record.ski, record.spki)
            (self.keys.add if added else self.keys.remove)(key)
            self.records.append((record, added, data))
            self._changed.notify_all()

    def wait(self, *keys):
        with self._changed:
            assert self._changed.wait_for(lambda: self.keys == set(keys), SECONDS), self.keys


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def ended():
    with contextlib.ExitStack() as stack:
        yield stack


def managed(heard, *ports, isolated=True):
    groups = [CacheGroup(i, [TCPServer("127.0.0.1", port)]) for i, port in enumerate(ports)]
    options = {"spki_update_callback": heard.update, "spki_update_callback_data": "data", "retry_interval": 1}
    return RTRManager(groups=groups, isolated=isolated, **options)


def write(path: Path, *keys) -> None:
    roas = [{"prefix": "192.0.2.0/24", "maxLength": 24, "asn": 64500, "ta": "test"}]
    entries = [
        {"asn": asn, "ski": ski.hex().upper(), "pubkey": base64.b64encode(spki).decode(), "ta": "test"}
        for asn, ski, spki in keys
    ]
    metadata = {"buildtime": "2026-01-01T00:00:00Z"}
    path.write_text(json.dumps({"metadata": metadata, "roas": roas, "bgpsec_keys": entries}))


def stayrtr(file: Path, port: int) -> list[str]:
    options = ["-checktime=false", "-metrics.addr", "127.0.0.1:0", "-loglevel", "warning"]
    return [find_program("stayrtr", STAYRTR), *options, "-bind", f"127.0.0.1:{port}", "-cache", str(file)]


def rtrd_cache(file: Path, port: int) -> list[str]:
    return [str(Path(executable).with_name("rtrd")), "cache", "--vrps", str(file), "--listen", f"127.0.0.1:{port}"]


@pytest.mark.parametrize("server", [stayrtr, rtrd_cache])
@pytest.mark.parametrize("isolated", [True, False], ids=["isolated", "threads"])
def test_keys_come_and_go(heard, ended, tmp_path, server, isolated):
    file, port = tmp_path / "vrps.json", free_port("127.0.0.1")
    write(file, A)
    process = Process("cache", server(file, port), tmp_path)
    ended.callback(process.stop)
    process.start()
    process.wait_listening(port)
    with managed(heard, port, isolated=isolated) as manager:
        manager.wait_for_sync(SECONDS)
        heard.wait(A)
        record, added, data = heard.records[0]
        assert (record.asn, record.ski, record.spki, added, data) == (*A, True, "data")
        assert record.socket.port == port
        # One change: a cache may tell of the next one a minute later only (RFC 8210 section 8.2).
        write(file, B)
        process.send_signal(1)
        heard.wait(B)
        assert [(one.asn, added) for one, added, _ in heard.records[1:]] == [(64500, False), (64501, True)]
    assert heard.keys == set(), "keys go when the manager stops, as VRPs do"


def router_key(key, *, announce=1):
    asn, ski, spki = key
    return struct.pack(">BBBBI20sI91s", 1, 9, announce, 0, 123, ski, asn, spki)


@pytest.mark.parametrize("isolated", [True, False], ids=["isolated", "threads"])
def test_a_key_counts_at_end_of_data_and_stays_with_the_vrps_of_a_lost_cache(heard, ended, isolated):
    answers = [
        cache_response() + prefix4(b"\xc0\0\2\0", 24, 24, 1) + router_key(A) + end_of_data(1),
        # The next answer has B instead of A and ends before End of Data.
        cache_response() + router_key(B) + router_key(A, announce=0),
    ]
    queried = threading.Event()

    def answer(number, _query):
        if number == 2:
            queried.set()
        return answers[min(number, 2) - 1] if number < 4 else None

    cache = ScriptedCache(answer)
    ended.callback(cache.close)
    with managed(heard, cache.port, isolated=isolated) as manager:
        heard.wait(A)
        cache.drop()
        assert queried.wait(SECONDS)
        cache.drop()
        assert heard.keys == {A}
        assert manager.is_synced()
        assert [added for _, added, _ in heard.records] == [True]


def test_a_new_session_changes_only_what_differs(heard, ended):
    keys, session = [(A,)], [1]

    def answer(_number, query):
        if query[1] == 1:  # Serial Query, of the session before
            return struct.pack(">BBHI", 1, 8, 0, 8)
        return cache_response(session[0]) + b"".join(router_key(key) for key in keys[0]) + end_of_data(1, session[0])

    cache = ScriptedCache(answer)
    ended.callback(cache.close)
    with managed(heard, cache.port):
        heard.wait(A)
        keys[0], session[0] = (A, B), 2
        cache.drop()
        heard.wait(A, B)
        keys[0], session[0] = (B,), 3
        cache.drop()
        heard.wait(B)
        assert [added for _, added, _ in heard.records] == [True, True, False]


def test_a_failover_to_the_same_keys_tells_nobody(heard, ended):
    def serve(*keys):
        octets = cache_response() + b"".join(router_key(key) for key in keys) + end_of_data(1)
        cache = ScriptedCache(lambda _number, query: octets if query[1] == 2 else None)
        ended.callback(cache.close)
        return cache

    first, second = serve(A), serve(A, B)
    with managed(heard, first.port, second.port) as manager:
        heard.wait(A)
        first.close()
        heard.wait(A, B)
        assert manager.active_group.preference == 1
        assert [added for _, added, _ in heard.records] == [True, True]
