"""One cache's life on a link that says what the test wants, under the test's own clock."""

import errno
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _rtrlib import lib
from rtrlib.cache import BACKOFF_FIRST, HUNG_AFTER, PING_EVERY, SYNC_LIMIT, Cache
from rtrlib.causes import fault_of
from rtrlib.faults import Fault
from rtrlib.frames import CHUNK, Decoder, FrameError, FrameType
from rtrlib.link import Event, LinkEnded, Resume
from rtrlib.rtr_socket import RTRSocket, RTRSocketState
from rtrlib.servers import Intervals, Server, TCPServer
from rtrlib.thread_link import LibrtrLink

RETRY, EXPIRE = 60, 600
WHERE = TCPServer("192.0.2.1", 323)
State = RTRSocketState


def frame(kind: int, payload: bytes = b"") -> bytes:
    return struct.pack("=II", kind, len(payload)) + payload


def state(number: int, serial: int = 7, expire: int = EXPIRE, *, has_data: bool | None = None) -> bytes:
    known = number == State.ESTABLISHED if has_data is None else has_data
    return frame(FrameType.STATE, struct.pack("=8I", number, 1, 4711, serial, 3600, RETRY, expire, known))


def fault(cause: int, error: int = 0, report: bytes = b"") -> bytes:
    return struct.pack("=IiI8x", cause, error, 0) + report


def vrp(asn: int, announce: int = 1) -> bytes:
    return struct.pack("=16sIBBBB", b"\xc0\0\2", asn, 24, 24, 4, announce)


def vrps(*records: bytes) -> bytes:
    return frame(FrameType.VRPS, b"".join(records))


CONNECTS = state(State.RESET) + state(State.SYNC)
AGAIN = state(State.SYNC, has_data=True)
FIRST_SYNC = CONNECTS + vrps(vrp(1), vrp(2)) + state(State.ESTABLISHED)


class Script(LibrtrLink):
    """A link that delivers what was given to it."""

    def __init__(self) -> None:
        super().__init__(WHERE)
        self.pid = 1
        self.waiting = bytearray()
        self.ended: str | None = None
        self.kind = Fault.PROCESS
        self.pings = 0
        self.closed = False

    def filenos(self) -> tuple[int, ...]:
        return ()

    def read(self, limit: int, _now: float) -> tuple[int, list[Event]]:
        data = bytes(self.waiting[:limit])
        del self.waiting[:limit]
        if not data and self.ended:
            raise LinkEnded(self.ended, self.kind)
        return len(data), self._decoder.decode(data)

    def ping(self) -> None:
        self.pings += 1

    def excuse(self) -> None:
        return None

    def close(self) -> None:
        self.closed = True

    def forked(self) -> None:
        pass


class Life:
    """A cache, the links that it opened, and everything that it told, as short lines."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.links: list[Script] = []
        self.soon: list[bool] = []
        self.refuse: str | None = None
        self.listener: Any = self
        self.now = 0.0
        self.cache = Cache(0, WHERE, Intervals(3600, RETRY, EXPIRE), self, self.connect)
        self.cache.start(self.now)

    def connect(self, _server: Server, intervals: Intervals, _resume: Resume) -> Script:
        self.soon.append(intervals.soon)
        if self.refuse:
            raise LinkEnded(self.refuse)
        self.links.append(Script())
        return self.links[-1]

    @property
    def socket(self) -> RTRSocket:
        return self.cache.socket

    def says(self, data: bytes) -> list[str]:
        """The link says this; what the cache tells in turn."""
        self.links[-1].waiting += data
        return self.turn()

    def dies(self, why: str = "the cache process died of SIGABRT", kind: Fault = Fault.PROCESS) -> list[str]:
        self.links[-1].ended, self.links[-1].kind = why, kind
        return self.turn()

    def wrong(self) -> tuple[str | None, Fault | None]:
        """What the cache says is wrong with it now."""
        return self.socket.error, self.socket.fault

    def at(self, now: float) -> list[str]:
        self.now = now
        return self.turn()

    def turn(self) -> list[str]:
        self.told = []
        while self.cache.readable(self.now, 1000):
            pass
        self.cache.tick(self.now)
        return self.told

    def staged(self, _cache: RTRSocket, records: bytes) -> None:
        assert records
        assert len(records) % 24 == 0
        self.told.append(f"staged {len(records) // 24}")

    def committed(self, _cache: RTRSocket, full: bool) -> None:
        self.told.append("committed all" if full else "committed changes")

    def discarded(self, _cache: RTRSocket) -> None:
        self.told.append("discarded")

    def expired(self, _cache: RTRSocket) -> None:
        self.told.append("expired")

    def changed(self, _cache: RTRSocket) -> None:
        pass

    def router_key(self, _cache: RTRSocket, asn: int, _ski: bytes, _spki: bytes, _announce: bool) -> None:
        self.told.append(f"key of {asn}")

    def in_sync(self, cache: RTRSocket) -> None:
        assert cache.in_sync
        self.told.append("in sync")

    def failed(self, cache: RTRSocket) -> None:
        assert not cache.in_sync
        self.told.append("failed")

    def opened(self, cache: Cache) -> None:
        assert cache.link is self.links[-1]

    def closing(self, cache: Cache) -> None:
        assert cache.link is self.links[-1]


@pytest.fixture
def life() -> Life:
    return Life()


@pytest.fixture
def synced() -> Life:
    life = Life()
    life.says(FIRST_SYNC)
    return life


def test_the_first_sync_replaces_and_later_ones_change(life: Life) -> None:
    assert life.says(FIRST_SYNC) == ["staged 2", "committed all", "in sync"]
    assert (life.socket.session_id, life.socket.serial_number) == (4711, 7)
    assert life.socket.last_update > 0
    change = AGAIN + vrps(vrp(3), vrp(1, announce=0)) + state(State.ESTABLISHED, serial=8)
    assert life.says(change) == ["staged 2", "committed changes", "in sync"]
    assert life.socket.serial_number == 8


def test_a_reset_inside_librtr_is_a_change_too(synced: Life) -> None:
    too_old = State.ERROR_NO_INCREMENTAL_UPDATE_AVAILABLE
    reset = b"".join(state(number, has_data=True) for number in (too_old, State.RESET, State.SYNC))
    reset += vrps(vrp(4)) + state(State.ESTABLISHED)
    assert synced.says(reset) == ["staged 1", "committed changes", "in sync"]


def test_the_cache_goes_away_and_comes_back_and_nothing_is_lost(synced: Life) -> None:
    assert synced.says(state(State.ERROR_FATAL, has_data=True) + state(State.CONNECTING, has_data=True)) == ["failed"]
    assert synced.socket.state is State.ERROR_FATAL
    assert synced.socket.error is not None
    refused = frame(FrameType.FAULT, fault(lib.FAULT_UNREACHABLE, errno.ECONNREFUSED))
    assert synced.says(refused + state(State.ERROR_TRANSPORT, has_data=True)) == ["failed"]
    why = "cannot connect to 192.0.2.1 port 323: Connection refused"
    assert synced.wrong() == (why, Fault.UNREACHABLE)
    # librtr asks with the old serial; the same link goes on.
    back = AGAIN + vrps(vrp(9)) + state(State.ESTABLISHED)
    assert synced.says(back) == ["staged 1", "committed changes", "in sync"]
    assert synced.wrong() == (None, None)
    assert len(synced.links) == 1
    # What was wrong is over, and not forgotten.
    assert synced.socket.faults == {Fault.PROCESS: 1, Fault.UNREACHABLE: 1}
    assert synced.socket.last_fault is not None
    assert synced.socket.last_fault[:2] == (Fault.UNREACHABLE, why)


def test_a_process_that_dies_is_replaced_after_a_while_that_doubles(synced: Life) -> None:
    wait = BACKOFF_FIRST
    for number in range(2, 12):
        assert synced.dies() == ["discarded", "failed"]
        assert synced.socket.error == "the cache process died of SIGABRT"
        assert synced.socket.pid is None
        assert synced.at(synced.now + wait - 0.01) == []
        synced.at(synced.now + 0.01)
        assert len(synced.links) == number
        wait = min(2 * wait, RETRY)
    # Once it has delivered, the attempts before are forgotten; sessions that end at once are not.
    for wait in (2, 4, 8):
        assert synced.says(FIRST_SYNC) == ["staged 2", "committed all", "in sync"]
        synced.dies()
        synced.at(synced.now + wait * BACKOFF_FIRST - 0.01)
        assert synced.links[-1].closed
        synced.at(synced.now + 0.01)
        assert not synced.links[-1].closed
    # One that lasted is a new beginning.
    assert synced.says(FIRST_SYNC) == ["staged 2", "committed all", "in sync"]
    synced.at(synced.now + RETRY)
    synced.dies()
    synced.at(synced.now + BACKOFF_FIRST)
    assert not synced.links[-1].closed


def test_a_serial_that_goes_back_is_noted_and_believed(life: Life) -> None:
    life.says(CONNECTS + state(State.ESTABLISHED, serial=5))
    for serial in (6, 1 << 30, 2 << 30, 3 << 30, 7):  # RFC 1982: each is after the one before
        life.says(AGAIN + state(State.ESTABLISHED, serial=serial))
    assert life.socket.last_fault is None
    back = AGAIN + vrps(vrp(3)) + state(State.ESTABLISHED, serial=3)
    assert life.says(back) == ["staged 1", "committed changes", "in sync"]
    assert (life.socket.error, life.socket.faults) == (None, {Fault.PROTOCOL: 1})
    assert life.socket.last_fault is not None
    assert life.socket.last_fault.why == "the serial went back from 7 to 3 in one session"


def test_what_librtr_went_on_after_is_no_fault_of_what_comes_later(synced: Life) -> None:
    synced.says(frame(FrameType.FAULT, fault(lib.FAULT_SENT)) + AGAIN)
    synced.says(state(State.ERROR_TRANSPORT, has_data=True))
    assert synced.socket.error == "nothing came from the cache for 60 seconds"
    assert synced.socket.fault is Fault.SILENT


CONFINED = fault(lib.FAULT_CONFINED, errno.EPERM)


@pytest.mark.parametrize(
    ("payload", "kind", "why"),
    [
        (fault(lib.FAULT_ENDED, errno.ETIMEDOUT), Fault.SILENT, "the cache's host does not answer any more"),
        (fault(lib.FAULT_INTERVALS), Fault.PROCESS, "an interval is out of librtr's range"),
        (CONFINED, Fault.PROCESS, "the cache process cannot be confined: Operation not permitted"),
        (fault(77), Fault.PROCESS, "the cache process tells of an unknown fault 77"),
        (b"\xffwhat", Fault.PROCESS, "the cache process sent a fault of 5 octets"),
    ],
)
def test_a_fault_frame_is_put_into_words(life: Life, payload: bytes, kind: Fault, why: str) -> None:
    life.says(frame(FrameType.FAULT, payload) + state(State.ERROR_FATAL))
    assert (life.socket.fault, life.socket.error) == (kind, why)


CAUSES = st.integers(0, 12).map(lambda cause: struct.pack("=I", cause))


@given(st.binary(max_size=80) | st.tuples(CAUSES, st.binary(min_size=16, max_size=80)).map(b"".join))
def test_whatever_a_fault_frame_holds_can_be_printed(payload: bytes) -> None:
    assert fault_of(payload, WHERE)[1].isprintable()


def test_a_process_that_dies_in_the_middle_of_a_sync(synced: Life) -> None:
    assert synced.says(AGAIN + vrps(vrp(5))) == ["staged 1"]
    assert synced.dies() == ["discarded", "failed"]
    synced.at(synced.now + BACKOFF_FIRST)
    assert synced.says(FIRST_SYNC) == ["staged 2", "committed all", "in sync"]


def test_a_sync_that_librtr_takes_back_costs_the_link(synced: Life) -> None:
    torn = AGAIN + vrps(vrp(5)) + vrps(vrp(5, announce=0))
    torn += state(State.ERROR_FATAL, has_data=True) + state(State.CONNECTING, has_data=True)
    assert synced.says(torn) == ["staged 1", "staged 1", "discarded", "failed"]
    assert synced.links[0].closed


def test_two_sessions_without_end_of_data_cost_the_link(synced: Life) -> None:
    barren = AGAIN + state(State.ERROR_FATAL, has_data=True)
    assert synced.says(barren) == ["failed"]
    assert synced.says(barren) == ["discarded", "failed"]


def test_a_cache_that_is_just_down_does_not_cost_the_link(life: Life) -> None:
    for _ in range(20):
        assert life.says(state(State.ERROR_TRANSPORT) + state(State.CONNECTING)) == ["failed"]
    assert len(life.links) == 1


def test_vrps_stay_until_they_expire(synced: Life) -> None:
    synced.says(state(State.ERROR_FATAL, has_data=True))
    synced.links[-1].pid = None  # no pings in this story
    synced.at(EXPIRE * 0.9)  # the last attempt, with a new link, while the data still counts
    assert len(synced.links) == 1
    assert synced.links[0].closed
    synced.refuse = "cannot start a cache process"
    synced.at(EXPIRE - 1)
    assert "expired" not in synced.told
    assert synced.at(EXPIRE) == ["expired"]
    synced.refuse = None
    synced.at(EXPIRE + RETRY)
    assert synced.says(FIRST_SYNC) == ["staged 2", "committed all", "in sync"]


def test_data_expires_on_a_live_link_and_a_new_one_is_made(synced: Life) -> None:
    synced.at(EXPIRE * 0.9)
    synced.at(EXPIRE * 0.9 + BACKOFF_FIRST)
    synced.says(CONNECTS)
    assert synced.at(EXPIRE)[:1] == ["expired"]
    assert synced.socket.state is State.ERROR_FATAL


def test_librtr_drops_its_data_before_we_do(synced: Life) -> None:
    synced.says(state(State.ERROR_FATAL, has_data=True) + state(State.CONNECTING, has_data=True))
    purge = vrps(vrp(1, announce=0), vrp(2, announce=0)) + state(State.RESET, has_data=False)
    # What was committed stays until our own clock says so; the withdrawals go with the link.
    assert synced.says(purge) == ["staged 2", "discarded", "failed"]


def test_the_expire_interval_is_what_librtr_uses_within_the_range_of_the_rfc(life: Life) -> None:
    life.says(CONNECTS + state(State.ESTABLISHED, expire=5))
    assert life.socket.expire_interval == 600
    life.says(AGAIN + state(State.ESTABLISHED, expire=1 << 31))
    assert life.socket.expire_interval == 172800


def test_silence_after_a_ping_is_death(synced: Life) -> None:
    synced.at(PING_EVERY)
    assert synced.links[0].pings == 1
    assert synced.says(frame(FrameType.ALIVE)) == []
    synced.at(2 * PING_EVERY)
    assert synced.at(2 * PING_EVERY + HUNG_AFTER) == ["discarded", "failed"]
    assert synced.links[0].closed


def test_whoever_sends_anything_is_alive(life: Life) -> None:
    life.says(CONNECTS)
    for second in range(1, 100):
        life.now = second
        assert life.says(vrps(vrp(second))) == ["staged 1"]


def test_the_program_sleeps_and_blames_no_one(synced: Life) -> None:
    """A machine that was suspended finds the answers to its pings before it judges their absence."""
    synced.at(PING_EVERY)
    synced.now = 400
    assert synced.says(frame(FrameType.ALIVE)) == []
    assert len(synced.links) == 1


def test_a_sync_that_never_ends_is_ended(life: Life) -> None:
    life.links[-1].pid = None
    life.says(CONNECTS)
    assert life.at(SYNC_LIMIT - 1) == []
    assert life.at(SYNC_LIMIT) == ["discarded", "failed"]


def test_waiting_out_no_data_is_no_sync(life: Life) -> None:
    life.links[-1].pid = None
    assert life.says(CONNECTS + state(State.ERROR_NO_DATA_AVAILABLE) + state(State.RESET)) == ["failed"]
    assert life.socket.state is State.ERROR_NO_DATA_AVAILABLE
    assert life.at(SYNC_LIMIT * 10) == []


def test_an_operator_has_it_asked_now_and_nothing_is_lost(synced: Life) -> None:
    synced.dies()
    synced.cache.reconnect(synced.now)
    assert len(synced.links) == 2
    synced.cache.reconnect(synced.now)
    assert synced.links[1].closed
    assert synced.says(FIRST_SYNC) == ["discarded", "staged 2", "committed all", "in sync"][1:]


def test_a_new_link_asks_again_soon_while_what_the_cache_said_counts(synced: Life) -> None:
    synced.dies()
    synced.at(BACKOFF_FIRST)
    synced.at(EXPIRE)
    synced.at(EXPIRE + RETRY)
    assert synced.soon == [False, True, False]


def test_stop_drops_everything_and_start_begins_again(synced: Life) -> None:
    synced.told = []
    synced.cache.stop()
    assert synced.told == ["discarded", "expired"]
    assert synced.cache.deadline() is None
    assert synced.socket.state is State.CLOSED
    synced.cache.start(synced.now)
    assert synced.says(FIRST_SYNC) == ["staged 2", "committed all", "in sync"]


def test_a_process_that_cannot_be_started_is_tried_again(life: Life) -> None:
    life.dies()
    life.refuse = "cannot start a cache process: Too many open files"
    assert life.at(BACKOFF_FIRST) == ["failed"]
    assert life.socket.error == life.refuse
    life.refuse = None
    life.at(10)
    assert life.says(FIRST_SYNC)[-1] == "in sync"


def test_a_queue_that_ran_over_costs_the_link(life: Life) -> None:
    assert life.says(CONNECTS + vrps(vrp(1)) + frame(FrameType.LOST)) == ["staged 1", "discarded", "failed"]
    assert life.wrong()[1] is Fault.PROCESS
    life.at(BACKOFF_FIRST)
    assert life.says(CONNECTS + vrps(vrp(1)) + frame(FrameType.STARVED)) == ["staged 1", "discarded", "failed"]
    assert life.wrong()[1] is Fault.ENDLESS


GARBAGE = [
    b"\xff" * 8,
    struct.pack("=II", 99, 0),
    struct.pack("=II", FrameType.VRPS, 23) + bytes(23),
    struct.pack("=II", FrameType.VRPS, 0),
    struct.pack("=II", FrameType.VRPS, CHUNK),
    struct.pack("=II", FrameType.STATE, 31) + bytes(31),
    struct.pack("=II", FrameType.ALIVE, 1) + bytes(1),
    state(11),
    state(1 << 31),
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda data: data[:12].hex())
def test_garbage_costs_the_link_and_not_the_data(synced: Life, garbage: bytes) -> None:
    assert synced.says(garbage) == ["discarded", "failed"]
    assert synced.links[0].closed
    assert synced.socket.error


@given(st.binary(max_size=2000))
def test_no_bytes_do_more_than_end_the_link(data: bytes) -> None:
    life = Life()
    life.says(FIRST_SYNC)
    told = life.says(data)
    assert "expired" not in told
    assert life.links[0].closed == ("discarded" in told)


@given(st.lists(st.sampled_from([FIRST_SYNC, vrps(vrp(1)), frame(FrameType.ALIVE)]), max_size=20), st.data())
def test_frames_may_be_cut_anywhere(frames: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(frames)
    whole = Decoder(WHERE).decode(stream)
    decoder, parts, at = Decoder(WHERE), [], 0
    while at < len(stream):
        size = data.draw(st.integers(1, 100))
        parts += decoder.decode(stream[at : at + size])
        at += size
    assert parts == whole


def test_a_frame_error_names_what_is_wrong() -> None:
    with pytest.raises(FrameError, match="VRPS frame of 23 bytes: not a multiple of 24"):
        Decoder(WHERE).decode(GARBAGE[2])


def test_one_that_was_never_reached_waits_for_the_retry_interval(life: Life) -> None:
    for _ in range(2):
        assert life.dies("cannot connect", Fault.UNREACHABLE) == ["discarded", "failed"]
        assert life.cache.deadline() == life.now + RETRY
        life.at(life.now + RETRY)
    assert life.says(FIRST_SYNC) == ["staged 2", "committed all", "in sync"]
    life.dies("cannot connect", Fault.UNREACHABLE)
    assert life.cache.deadline() == life.now + BACKOFF_FIRST


def test_one_that_has_no_data_and_closes_has_no_data(life: Life) -> None:
    life.says(state(State.ERROR_NO_DATA_AVAILABLE))
    no_data = life.wrong()
    assert no_data[1] is Fault.NO_DATA
    life.dies("the cache closed the connection", Fault.CLOSED)
    assert (life.socket.state, life.wrong()) == (State.ERROR_NO_DATA_AVAILABLE, no_data)
    # What it does the next time is said anew.
    life.at(life.cache.deadline() or 0.0)
    life.dies("the cache closed the connection", Fault.CLOSED)
    assert life.wrong() == ("the cache closed the connection", Fault.CLOSED)
