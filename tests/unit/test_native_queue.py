"""The queue out of librtr's threads: what goes in comes out as whole frames, in order, or its loss is said."""

import select
import struct
import threading
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrlib.frames import CHUNK, Decoder, FrameType
from rtrlib.servers import TCPServer
from tests.lab.native import compiled

CDEF = """
struct vrp { uint8_t addr[16]; uint32_t asn; uint8_t len, max, family, announce; };
struct queue;
struct queue *queue_new(size_t limit);
void queue_free(struct queue *queue);
int queue_fd(const struct queue *queue);
void queue_vrp(struct queue *queue, const struct vrp *vrp);
void queue_put(struct queue *queue, int type, const void *payload, size_t size);
void queue_shut(struct queue *queue);
size_t queue_take(struct queue *queue, void *out, size_t size);
"""


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """queue.c alone, compiled with the checks that a product build leaves out."""
    return compiled(tmp_path_factory, CDEF, '#include "librtr/queue.h"', "librtr/queue.c")


class Queue:
    def __init__(self, native: ModuleType, limit: int = 1 << 24) -> None:
        self.ffi, self.lib = native.ffi, native.lib
        self.queue = self.ffi.gc(self.lib.queue_new(limit), self.lib.queue_free)
        self.out = self.ffi.new("char[]", CHUNK)

    def vrp(self, asn: int) -> None:
        self.lib.queue_vrp(self.queue, self.ffi.new("struct vrp *", {"asn": asn, "len": 24, "family": 4}))

    def put(self, kind: int, payload: bytes = b"") -> None:
        self.lib.queue_put(self.queue, kind, payload, len(payload))

    def take(self) -> bytes:
        return bytes(self.ffi.buffer(self.out, self.lib.queue_take(self.queue, self.out, CHUNK)))

    def drain(self) -> list[bytes]:
        return list(iter(self.take, b""))

    @property
    def is_readable(self) -> bool:
        return bool(select.select([self.lib.queue_fd(self.queue)], [], [], 0)[0])


def asns(payload: bytes) -> list[int]:
    return [asn for _, asn, *_ in struct.iter_unpack("=16sIBBBB", payload)]


def flat(frames: Iterable[tuple[FrameType, bytes]]) -> Iterator[tuple[Any, Any]]:
    """Frames as a list in which each VRP stands for itself."""
    for kind, payload in frames:
        if kind is FrameType.VRPS:
            yield from (("vrp", asn) for asn in asns(payload))
        else:
            yield kind, payload


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("vrps"), st.integers(1, 6000)),
        st.tuples(st.just("state"), st.binary(min_size=32, max_size=32)),
        st.tuples(st.just("fault"), st.binary(max_size=300)),
        st.tuples(st.just("take"), st.none()),
    ),
    max_size=20,
)


@given(EVENTS)
@settings(max_examples=60, deadline=None)
def test_what_goes_in_comes_out_in_order(native: ModuleType, events: list[tuple[str, Any]]) -> None:
    queue, decoder = Queue(native), Decoder(TCPServer("192.0.2.1", 323))
    wanted: list[tuple[Any, Any]] = []
    got: list[tuple[Any, Any]] = []
    asn = 0
    for kind, what in events:
        if kind == "vrps":
            for _ in range(what):
                asn += 1
                queue.vrp(asn)
                wanted.append(("vrp", asn))
        elif kind == "take":
            got += flat(decoder.frames(queue.take()))
        else:
            number = FrameType.STATE if kind == "state" else FrameType.FAULT
            queue.put(number, what)
            wanted.append((number, what))
    for chunk in queue.drain():
        assert len(chunk) <= CHUNK
        whole = decoder.frames(chunk)
        assert whole, "a chunk holds whole frames"
        got += flat(whole)
    assert got == wanted
    assert not queue.is_readable


def test_vrps_alone_wake_nobody_until_a_chunk_is_full(native: ModuleType) -> None:
    queue = Queue(native)
    queue.vrp(1)
    assert not queue.is_readable
    for asn in range(2, CHUNK // 24 + 10):
        queue.vrp(asn)
    assert queue.is_readable
    queue.drain()
    assert not queue.is_readable
    queue.vrp(1)
    queue.put(FrameType.STATE, bytes(32))
    assert queue.is_readable


def test_a_full_queue_says_once_that_it_lost_something(native: ModuleType) -> None:
    queue, decoder = Queue(native, limit=3 * CHUNK), Decoder(TCPServer("192.0.2.1", 323))
    for asn in range(100_000):
        queue.vrp(asn)
    frames = decoder.frames(b"".join(queue.drain()))
    assert frames[-1] == (FrameType.LOST, b"")
    kept = [asn for kind, asn in flat(frames[:-1]) if kind == "vrp"]
    assert kept == list(range(len(kept)))
    queue.vrp(1)
    queue.put(FrameType.ALIVE)
    assert queue.drain() == []
    assert not queue.is_readable


def test_a_shut_queue_takes_nothing(native: ModuleType) -> None:
    queue = Queue(native)
    queue.lib.queue_shut(queue.queue)
    queue.vrp(1)
    queue.put(FrameType.ALIVE)
    assert queue.drain() == []


def test_what_is_too_long_for_a_frame_is_not_taken(native: ModuleType) -> None:
    queue = Queue(native)
    queue.put(FrameType.FAULT, bytes(CHUNK))
    assert queue.drain() == []
    queue.put(FrameType.FAULT, bytes(CHUNK - 8))
    assert len(queue.take()) == CHUNK


def test_a_writer_and_a_reader_at_the_same_time(native: ModuleType) -> None:
    queue, decoder, count = Queue(native), Decoder(TCPServer("192.0.2.1", 323)), 200_000
    got: list[tuple[FrameType, bytes]] = []

    def write() -> None:
        for asn in range(count):
            queue.vrp(asn)
        queue.put(FrameType.STATE, bytes(32))

    writer = threading.Thread(target=write)
    writer.start()
    while not got or got[-1][0] is not FrameType.STATE:
        select.select([queue.lib.queue_fd(queue.queue)], [], [], 30)
        got += decoder.frames(b"".join(queue.drain()))
    writer.join()
    assert [asn for kind, asn in flat(got) if kind == "vrp"] == list(range(count))
