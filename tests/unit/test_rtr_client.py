"""The server's end of a connection against any octets at all, over a transport that can be slow."""

import asyncio
import struct
from collections.abc import Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rtrd.rtr import pdu
from rtrd.rtr.client import Client, Goodbye, Limits
from rtrd.rtr.pdu import ErrorReport
from rtrd.rtr.server import RTRServer
from rtrd.rtr.store import Store
from rtrd.rtr.versions import Versions
from rtrlib.rtr_pdus import ErrorCode, PDUType
from tests.lab import rtr_wire
from tests.lab.rtr_wire import pdus
from tests.lab.wait import until
from tests.unit.test_rtr_pdu import PDUS, header
from tests.unit.test_rtr_store import KEYS, aspa_set, vrps

ANSWERS = {PDUType.CACHE_RESPONSE, PDUType.IPV4_PREFIX, PDUType.IPV6_PREFIX, PDUType.END_OF_DATA, PDUType.CACHE_RESET,
           PDUType.ROUTER_KEY, PDUType.ERROR_REPORT, PDUType.SERIAL_NOTIFY, PDUType.ASPA}  # fmt: skip


class FakeTransport(asyncio.Transport):
    """Keeps what is written; from `room` octets on it is full until `drain`."""

    def __init__(self, protocol: Client, room: int = 1 << 30) -> None:
        super().__init__()
        self.protocol, self.room = protocol, room
        self.sent, self.waiting = b"", 0
        self.closing = self.reading_paused = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert (high, low) == (1, 0)

    def write(self, data: Any) -> None:
        assert not self.waiting or len(data) < 1 << 17, "writes no whole set to a router that does not read"
        self.sent += data
        full = self.waiting > 0
        self.waiting = max(0, self.waiting + len(data) - self.room)
        if self.waiting and not full:
            self.protocol.pause_writing()

    def drain(self) -> None:
        if self.waiting:
            self.waiting = 0
            self.protocol.resume_writing()

    def pause_reading(self) -> None:
        self.reading_paused = True

    def resume_reading(self) -> None:
        self.reading_paused = False

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    abort = close


async def talk(
    store: Store, pieces: Iterable[bytes], room: int = 1 << 30, max_version: int = 2
) -> tuple[list[Any], FakeTransport]:
    """What a router that sends these pieces of octets gets, and its transport."""
    server = RTRServer(store, Limits(notify_interval=0))
    server.limit_versions(Versions(max_version))
    client = Client(server)
    transport = FakeTransport(client, room)
    client.connection_made(transport)
    for piece in pieces:
        while transport.reading_paused and not transport.closing:
            await asyncio.sleep(0)
            transport.drain()
        if transport.closing:
            break
        client.data_received(piece)
    while not transport.closing and (transport.waiting or transport.reading_paused):
        await asyncio.sleep(0)
        transport.drain()
    client.connection_lost(None)
    return pdus(transport.sent), transport


def a_store() -> Store:
    store = Store()
    store.replace(vrps(1, 2, 100), KEYS[:1])
    store.replace(vrps(1, 3, 100), KEYS[:2], aspa_set({64496: [64497, 64498], 64499: [0]}))
    return store


def test_all_octets_are_answered_by_whole_pdus_and_no_exception() -> None:
    store = a_store()
    query = rtr_wire.encode(pdu.SerialQuery(1, store.session(1), store.serial(1) - 1))
    messages = st.one_of(
        st.binary(max_size=60),
        PDUS.map(rtr_wire.encode),
        st.sampled_from([query, header(1, 2, 8), header(0, 2, 8), header(2, 2, 8), header(2, 10, 8)]),
        st.builds(header, st.integers(0, 3), st.integers(0, 12), st.integers(0, 40)),
    )

    @given(st.lists(messages, max_size=8).map(b"".join), st.lists(st.integers(1, 30)), st.integers(1, 200))
    def check(octets: bytes, cuts: list[int], room: int) -> None:
        pieces, at = [], 0
        for cut in cuts:
            pieces.append(octets[at : at + cut])
            at += cut
        pieces.append(octets[at:])
        sent, transport = asyncio.run(talk(store, pieces, room))
        assert {kind(one) for one in sent} <= ANSWERS
        fatal = [one for one in sent if isinstance(one, ErrorReport) and one.code != ErrorCode.UNSUPPORTED_VERSION]
        assert len(fatal) <= 1
        if fatal:
            assert transport.closing
            assert sent[-1] is fatal[0]

    check()


def kind(one: rtr_wire.PDU) -> PDUType:
    header = pdu.header(rtr_wire.encode(one))
    assert header is not None
    return PDUType(header.type)


def test_an_error_report_is_never_answered_whatever_is_in_it() -> None:
    @given(st.integers(0, 3), st.integers(0, 0xFFFF), st.integers(0, 80), st.binary(max_size=80), st.booleans())
    def check(version: int, code: int, length: int, rest: bytes, after_query: bool) -> None:
        first = header(1, 2, 8) if after_query else b""
        before, _ = asyncio.run(talk(a_store(), [first]))
        sent, _ = asyncio.run(talk(a_store(), [first, header(version, 10, length, code) + rest[: length - 8]]))
        assert len(sent) == len(before)

    check()


def test_a_flood_of_queries_in_one_read_is_answered_in_turns() -> None:
    store = a_store()
    query = rtr_wire.encode(pdu.SerialQuery(1, store.session(1), store.serial(1)))
    sent, _ = asyncio.run(talk(store, [query * 5000]))
    assert len(sent) == 2 * 5000
    sent, _ = asyncio.run(talk(store, [query * 5000], room=1))
    assert len(sent) == 2 * 5000
    sent, transport = asyncio.run(talk(store, [header(3, 2, 8) * 5000], room=1))
    assert len(sent) == 2
    assert transport.closing


def test_a_serial_query_from_nowhere_gets_a_cache_reset() -> None:
    store = a_store()
    for session, serial in ((store.session(0), store.serial(1)), (store.session(1), store.serial(1) - 5)):
        sent, transport = asyncio.run(talk(store, [rtr_wire.encode(pdu.SerialQuery(1, session, serial))]))
        assert sent == [pdu.CacheReset(1)]
        assert not transport.closing


def test_what_is_wrong_is_reported_with_the_wrong_pdu() -> None:
    cases = {
        header(1, 2, 0): (1, ErrorCode.CORRUPT_DATA),
        header(0, 2, 1 << 31): (0, ErrorCode.CORRUPT_DATA),
        header(1, 99, 8): (1, ErrorCode.UNSUPPORTED_TYPE),
        header(1, 0, 12) + bytes(4): (1, ErrorCode.INVALID_REQUEST),
        header(1, 7, 24) + bytes(16): (1, ErrorCode.INVALID_REQUEST),
        header(3, 2, 4): (2, ErrorCode.CORRUPT_DATA),
        header(1, 11, 12) + bytes(4): (1, ErrorCode.UNSUPPORTED_TYPE),
        header(2, 11, 12) + bytes(4): (2, ErrorCode.INVALID_REQUEST),
    }
    for octets, (version, code) in cases.items():
        [report], transport = asyncio.run(talk(a_store(), [octets]))
        assert (report.version, report.code, report.pdu[:8]) == (version, code, octets[:8])
        assert transport.closing


def test_a_version_above_ours_is_refused_in_our_highest_and_the_router_may_ask_in_a_lower_one_once() -> None:
    for highest, above, asked in ((2, 3, 2), (2, 3, 1), (2, 200, 0), (1, 2, 1), (1, 3, 0), (0, 1, 0), (0, 2, 0)):
        queries = [header(above, 2, 8), header(asked, 2, 8)]
        [refused, first, *_, last], transport = asyncio.run(talk(a_store(), queries, max_version=highest))
        assert (refused.version, refused.code, refused.pdu) == (highest, 4, header(above, 2, 8))
        assert (first.version, last.version, transport.closing) == (asked, asked, False)
        assert isinstance(last, pdu.EndOfData)
        again, transport = asyncio.run(talk(a_store(), [header(above, 2, 8) * 2], max_version=highest))
        assert [(one.version, one.code) for one in again] == [(highest, 4)] * 2
        assert transport.closing


def test_aspas_come_last_to_version_2_and_to_no_other() -> None:
    kinds = {
        version: [kind(one) for one in asyncio.run(talk(a_store(), [header(version, 2, 8)]))[0]]
        for version in (0, 1, 2)
    }
    assert kinds[0] == [3, 4, 4, 6, 7]
    assert kinds[1] == [3, 4, 4, 6, 9, 9, 7]
    assert kinds[2] == [3, 4, 4, 6, 9, 9, 11, 11, 7]


def test_from_version_2_on_another_session_in_one_connection_is_an_error() -> None:
    """On a new connection it gets a Cache Reset, as in the versions before."""
    for version, told in ((1, [8]), (2, [10])):
        store = a_store()
        other = rtr_wire.encode(pdu.SerialQuery(version, store.session(version) ^ 1, store.serial(version)))
        alone, transport = asyncio.run(talk(store, [other]))
        assert (alone, transport.closing) == ([pdu.CacheReset(version)], False)
        known = rtr_wire.encode(pdu.SerialQuery(version, store.session(version), store.serial(version)))
        sent, transport = asyncio.run(talk(store, [known, other]))
        assert [kind(one) for one in sent] == [3, 7, *told]
        assert transport.closing is (version == 2)
        assert version == 1 or (sent[-1].code, sent[-1].pdu) == (ErrorCode.CORRUPT_DATA, other)


def test_routers_of_version_2_are_told_when_the_server_ends() -> None:
    async def ended(version: int, goodbye: Goodbye) -> tuple[list[Any], bool]:
        client = Client(RTRServer(a_store(), Limits()))
        transport = FakeTransport(client)
        client.connection_made(transport)
        client.data_received(header(version, 2, 8))
        await until(lambda: not transport.reading_paused)
        before = len(transport.sent)
        client.end(goodbye)
        client.connection_lost(None)
        return [(one.version, one.code, one.pdu) for one in pdus(transport.sent[before:])], transport.closing

    assert asyncio.run(ended(2, "restart")) == ([(2, 12, b"")], True)
    assert asyncio.run(ended(2, "shutdown")) == ([(2, 13, b"")], True)
    assert asyncio.run(ended(2, "silent")) == ([], True)
    for version in (0, 1):
        assert asyncio.run(ended(version, "shutdown")) == ([], True)


def test_a_version_that_is_spoken_no_more_ends_who_speaks_it() -> None:
    async def limited(version: int, highest: int) -> bool:
        client = Client(RTRServer(a_store(), Limits()))
        transport = FakeTransport(client)
        client.connection_made(transport)
        client.data_received(header(version, 2, 8))
        await until(lambda: not transport.reading_paused)
        client.limit_version(highest)
        client.connection_lost(None)
        return transport.closing

    assert [asyncio.run(limited(*each)) for each in ((2, 1), (1, 0), (2, 2), (1, 1), (0, 1))] == [
        True,
        True,
        *[False] * 3,
    ]


def test_the_first_networks_that_have_an_address_say_the_version() -> None:
    versions = Versions(2, [(["192.0.2.0/24", "2001:db8::/32"], 1), (["192.0.2.1"], 0), (["198.51.100.1"], 0)])
    found = [
        versions.of(each) for each in ("192.0.2.1", "::ffff:192.0.2.9", "2001:db8::1%lo", "198.51.100.1", "::1", "")
    ]
    assert found == [1, 1, 1, 0, 2, 2]


def test_another_version_in_a_session_ends_it() -> None:
    for version, other, code in ((1, 0, 8), (1, 2, 8), (0, 1, 4), (2, 1, 8), (2, 0, 8), (2, 3, 8), (0, 3, 4)):
        sent, transport = asyncio.run(talk(a_store(), [header(version, 2, 8), header(other, 2, 8)]))
        assert (sent[-1].version, sent[-1].code) == (version, code)
        assert transport.closing


def test_a_reported_error_ends_the_session_unless_it_is_no_data() -> None:
    for version, code, ends in (
        *((1, code, code != 2) for code in (0, 2, 7, 999)),
        *((2, code, True) for code in range(9, 14)),
    ):
        octets = rtr_wire.encode(ErrorReport(version, code, b"", "why"))
        assert asyncio.run(talk(a_store(), [header(version, 2, 8), octets]))[1].closing is ends


def test_a_report_longer_than_any_is_not_waited_for() -> None:
    assert asyncio.run(talk(a_store(), [header(1, 10, pdu.MAX_PDU + 1) + struct.pack(">I", pdu.MAX_PDU)]))[1].closing
