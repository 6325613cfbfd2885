"""What stands between a cache's octets and librtr: prefixes that librtr cannot bear are taken out, nothing else."""

import re
import struct
from collections.abc import Callable, Sequence
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrlib import TCPServer
from rtrlib.causes import fault_of
from rtrlib.faults import Fault
from tests.lab.native import compiled
from tests.lab.rtr_caches import cache_response, end_of_data, error_report, prefix_pdu

CLOCK = ("-Dclock_gettime=scripted_clock_gettime", "-Dnanosleep=scripted_nanosleep")

# The transport inside gives `script[n]` octets at its n-th call: 0 and less is what librtr's transports say so. Time
# passes only there, `waits[n]` microseconds, and when someone sleeps.
SOURCE = """
#include <string.h>
#include <time.h>
#include "librtr/transport.h"

static struct transport_wrapper wrapper;
static struct tr_socket transport;
static const uint8_t *wire;
static const int *script, *waits;
static size_t sent, steps, step, refused;
static struct vrp last;
static int faults;
static uint8_t cause[sizeof(struct frame_fault) + REPORT_SIZE];
static size_t cause_size;
static uint8_t out[4096];
static size_t written;
static long long now_ns, slept;
static size_t sleeps;

int clock_gettime(clockid_t clock, struct timespec *time)
{
    (void)clock;
    *time = (struct timespec){.tv_sec = now_ns / 1000000000, .tv_nsec = now_ns % 1000000000};
    return 0;
}

int nanosleep(const struct timespec *time, struct timespec *left)
{
    (void)left;
    sleeps++;
    slept += time->tv_sec * 1000000000LL + time->tv_nsec;
    now_ns += time->tv_sec * 1000000000LL + time->tv_nsec;
    return 0;
}

static int give(const void *socket, void *out, const size_t len, const time_t timeout)
{
    (void)socket, (void)timeout;
    if (step == steps)
        return TR_CLOSED;
    now_ns += waits[step] * 1000LL;
    int want = script[step++];
    if (want > 0) {
        size_t size = (size_t)want < len ? (size_t)want : len;
        memcpy(out, wire + sent, size);
        sent += size;
        return (int)size;
    }
    return want;
}

static int open_(void *socket)
{
    (void)socket;
    return TR_SUCCESS;
}

static void refuse(void *data, const struct vrp *vrp)
{
    (void)data;
    refused++;
    last = *vrp;
}

static void fault(void *data, const struct frame_fault *what, const uint8_t *report, size_t size)
{
    (void)data;
    faults++;
    memcpy(cause, what, sizeof *what);
    if (size)
        memcpy(cause + sizeof *what, report, size);
    cause_size = sizeof *what + size;
}

static int take(const void *socket, const void *octets, const size_t len, const time_t timeout)
{
    (void)socket, (void)timeout;
    size_t size = len > 100 ? 100 : len;
    memcpy(out + written, octets, size);
    written += size;
    return (int)size;
}

void begin(const uint8_t *octets, const int *pieces, const int *times, size_t count)
{
    transport = (struct tr_socket){.open_fp = open_, .recv_fp = give, .send_fp = take};
    transport_wrap(&wrapper, &transport, refuse, fault, NULL);
    wire = octets, script = pieces, waits = times, steps = count;
    sent = step = refused = written = sleeps = 0;
    slept = 0;
    faults = 0;
    cause_size = 0;
    transport.open_fp(transport.socket);
}

void reopen(void) { transport.open_fp(transport.socket); }
int receive(void *out, size_t size) { return transport.recv_fp(transport.socket, out, size, 60); }
int give_up(const uint8_t *pdu, size_t size) { return transport.send_fp(transport.socket, pdu, size, 60); }
int fault_count(void) { return faults; }

size_t fault_told(uint8_t *octets)
{
    memcpy(octets, cause, cause_size);
    return cause_size;
}

size_t said(uint8_t *octets)
{
    memcpy(octets, out, written);
    return written;
}

size_t refusals(void) { return refused; }
const uint8_t *last_refused(void) { return (const uint8_t *)&last; }
size_t naps(void) { return sleeps; }
long long napped_us(void) { return slept / 1000; }
"""
FOR_US = re.compile(r"^(?!static |int clock_|int nanosleep)(\w.*\))(?=\n?.*\{)", re.MULTILINE)
CDEF = "".join(f"{head};\n" for head in FOR_US.findall(SOURCE))
WOULDBLOCK, CLOSED = -2, -4


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """transport.c alone, compiled with the checks that a product build leaves out."""
    # Its clock and its sleep are those of SOURCE.
    return compiled(tmp_path_factory, CDEF, SOURCE, "librtr/transport.c", options=CLOCK)


def report(code: int, text: bytes, inner: bytes = b"", *, length: int | None = None) -> bytes:
    body = struct.pack(">I", len(inner)) + inner + struct.pack(">I", len(text) if length is None else length) + text
    return struct.pack(">BBHI", 1, 10, code, 8 + len(body)) + body


class Transport:
    def __init__(self, native: ModuleType, wire: bytes, pieces: list[int], waits: Sequence[int] = ()) -> None:
        self.ffi, self.lib = native.ffi, native.lib
        self.kept = (
            self.ffi.from_buffer("uint8_t[]", wire),
            self.ffi.new("int[]", pieces),
            self.ffi.new("int[]", [*waits, *[0] * (len(pieces) - len(waits))]),
        )
        self.lib.begin(*self.kept, len(pieces))

    def receive(self, size: int) -> bytes | int:
        """What one call gives: octets, or the number that says why not."""
        out = self.ffi.new("uint8_t[]", size)
        got = self.lib.receive(out, size)
        assert got <= size
        return bytes(self.ffi.buffer(out, got)) if got > 0 else got

    def all(self, size: int = 8) -> tuple[bytes, int]:
        octets = bytearray()
        while isinstance(more := self.receive(size), bytes):
            octets += more
        return bytes(octets), more

    def gives_up(self, code: int, pdu: bytes) -> None:
        """librtr sends an Error Report about this, as it does: with whatever stands behind it on its stack."""
        whole = report(code, b"its words\0", pdu + b"stack" * 600)
        assert self.lib.give_up(whole, len(whole)) == len(whole)

    @property
    def fault(self) -> tuple[Fault, str]:
        """Its kind and its sentence, of the only one."""
        assert self.lib.fault_count() == 1
        return fault_of(self._octets(self.lib.fault_told), TCPServer("127.0.0.1", 323))

    def said(self) -> bytes:
        return self._octets(self.lib.said)

    def _octets(self, read: Callable[[object], int]) -> bytes:
        out = self.ffi.new("uint8_t[]", 4096)
        return bytes(self.ffi.buffer(out, read(out)))


BAD = [
    prefix_pdu(b"\xc0\0\2\0", 33, 33, 1),
    prefix_pdu(b"\xc0\0\2\0", 99, 200, 1, announce=0),
    prefix_pdu(b"\x20\1" + bytes(14), 129, 129, 1),
    prefix_pdu(b"\x20\1" + bytes(14), 255, 255, 1),
]
GOOD = [
    prefix_pdu(bytes(4), 0, 0, 1),
    prefix_pdu(b"\xc0\0\2\1", 32, 255, 1),  # its host bits and max length are for the VRP set to judge
    prefix_pdu(b"\x20\1" + bytes(14), 128, 0, 1),
    cache_response(),
    end_of_data(1),
    error_report(2),
    struct.pack(">BBHI", 1, 9, 256, 123) + bytes(115),
    struct.pack(">BBHI", 1, 4, 0, 21) + b"\1\x63" + bytes(11),  # no prefix PDU has this length: librtr says so
    struct.pack(">BBHI", 1, 77, 0, 3000) + bytes(2992),
]


@given(
    st.lists(st.sampled_from(BAD + GOOD), max_size=40), st.lists(st.integers(1, 400), max_size=60), st.integers(1, 99)
)
@settings(max_examples=200, deadline=None)
def test_all_but_the_prefixes_that_are_none_arrives_in_order_however_it_is_cut(
    native: ModuleType, pdus: list[bytes], pieces: list[int], size: int
) -> None:
    wire = b"".join(pdus)
    pieces = [piece for piece in pieces if piece]
    pieces += [max(1, len(wire) - sum(pieces))] * (sum(pieces) < len(wire))
    wire += bytes(max(0, sum(pieces) - len(wire)))  # what comes after: PDUs of length 0, which librtr refuses
    octets, end = Transport(native, wire, pieces).all(size)
    wanted = b"".join(pdu for pdu in pdus if pdu not in BAD)
    assert octets[: len(wanted)] == wanted
    assert set(octets[len(wanted) :]) <= {0}
    assert end == CLOSED
    assert native.lib.refusals() == sum(pdu in BAD for pdu in pdus)


def test_what_is_refused_is_told_as_it_was(native: ModuleType) -> None:
    for pdu, told in (
        (BAD[1], struct.pack("=16sIBBBB", b"\xc0\0\2\0", 1, 99, 200, 4, 0)),
        (BAD[3], struct.pack("=16sIBBBB", b"\x20\1" + bytes(14), 1, 255, 255, 6, 1)),
    ):
        assert Transport(native, pdu, [len(pdu)]).all() == (b"", CLOSED)
        assert bytes(native.ffi.buffer(native.lib.last_refused(), 24)) == told


def test_a_time_out_loses_nothing(native: ModuleType) -> None:
    wire = GOOD[0] + GOOD[3]
    transport = Transport(native, wire, [5, WOULDBLOCK, 10, WOULDBLOCK, len(wire) - 15])
    assert [transport.receive(8), transport.receive(8)] == [WOULDBLOCK, WOULDBLOCK]
    assert transport.all() == (wire, CLOSED)


def test_what_is_no_pdu_goes_through_as_it_is(native: ModuleType) -> None:
    wire = b"\xff" * 4 + struct.pack(">I", 7) + BAD[0]
    assert Transport(native, wire, [len(wire)]).all() == (wire, CLOSED)
    assert native.lib.refusals() == 0


def test_a_new_connection_begins_with_a_pdu(native: ModuleType) -> None:
    wire = GOOD[8][:100] + GOOD[4]
    transport = Transport(native, wire, [100, len(GOOD[4])])
    assert transport.receive(8) == wire[:8]
    native.lib.reopen()
    assert transport.all() == (GOOD[4], CLOSED)


@pytest.mark.parametrize(
    ("wire", "where"), [(b"", " without a word"), (GOOD[0], ""), (GOOD[0][:12], " in the middle of a PDU")]
)
def test_the_end_of_a_connection_says_where_it_came(native: ModuleType, wire: bytes, where: str) -> None:
    transport = Transport(native, wire, [len(wire)] * bool(wire))
    transport.all()
    transport.receive(8)
    assert transport.fault == (Fault.CLOSED, f"the cache closed the connection{where}")


RESET = struct.pack(">BBHI", 1, 2, 0, 8)
SERIAL_OF_7 = struct.pack(">BBHII", 1, 1, 7, 12, 5)


def of_session(session: int, pdu: bytes) -> bytes:
    return pdu[:2] + struct.pack(">H", session) + pdu[4:]


@pytest.mark.parametrize(
    ("asks", "response", "end", "passes"),
    [(RESET, 7, 7, 3), (SERIAL_OF_7, 7, 7, 3), (RESET, 8, 8, 3), (SERIAL_OF_7, 8, 8, 0), (RESET, 7, 8, 2)],
)
def test_what_is_of_another_session_never_reaches_librtr(
    native: ModuleType, asks: bytes, response: int, end: int, passes: int
) -> None:
    """RFC 8210 section 5.1. librtr would take its VRPs: rtrlib#334."""
    pdus = [of_session(response, cache_response()), GOOD[0], of_session(end, end_of_data(1))]
    wire = b"".join(pdus)
    transport = Transport(native, wire, [len(wire)])
    assert native.lib.give_up(asks, len(asks)) == len(asks)
    assert transport.all() == (b"".join(pdus[:passes]), CLOSED)
    if passes < len(pdus):
        kind, why = transport.fault
        assert kind is Fault.PROTOCOL
        assert why.startswith("the cache sent a PDU of another session")
        assert transport.said() == asks + report(0, b"", pdus[passes][:8])


def test_a_time_out_is_no_fault_of_the_connection(native: ModuleType) -> None:
    assert Transport(native, b"", [WOULDBLOCK]).receive(8) == WOULDBLOCK
    assert native.lib.fault_count() == 0


WRONG = {
    "a PDU of a wrong length: IPv4 Prefix of 0 octets": (0, struct.pack(">BBHI", 1, 4, 0, 0)),
    "a PDU of a wrong length: IPv6 Prefix of 4294967295 octets": (0, struct.pack(">BBHI", 1, 6, 0, 0xFFFFFFFF)),
    "a PDU of a wrong length: Router Key of 200 octets": (0, struct.pack(">BBHI", 1, 9, 0, 200) + bytes(192)),
    "a PDU of type 77, which version 1 of RTR does not have": (0, struct.pack(">BBHI", 1, 77, 0, 8)),
    "a PDU of type 11 (ASPA), which version 1 of RTR does not have": (5, struct.pack(">BBHI", 1, 11, 0, 8)),
    "a PDU of another session, or out of place: End of Data": (0, end_of_data(1)),
    "a PDU that is wrong or out of place: IPv4 Prefix (RFC 8210 error 0, corrupt data)": (0, GOOD[0]),
}


@pytest.mark.parametrize(("code", "pdu"), WRONG.values(), ids=WRONG)
def test_what_librtr_refuses_is_said_in_words_and_reported_without_its_stack(
    native: ModuleType, code: int, pdu: bytes
) -> None:
    (sentence,) = (words for words, wrong in WRONG.items() if wrong == (code, pdu))
    transport = Transport(native, GOOD[0] + pdu, [20 + len(pdu)])
    assert transport.receive(20) == GOOD[0]
    transport.receive(8)
    transport.gives_up(code, pdu)
    assert transport.fault == (Fault.PROTOCOL, f"the cache sent {sentence}")
    answer = transport.said()
    version, kind, said, length, inner = struct.unpack_from(">BBHII", answer)
    assert (version, kind, said, length) == (1, 10, code, len(answer))
    assert answer[12 : 12 + inner] == (pdu if len(pdu) == struct.unpack(">I", pdu[4:8])[0] else pdu[:8])
    assert b"stack" not in answer
    assert answer.endswith(struct.pack(">I", 9) + b"its words")
    assert transport.receive(8) == CLOSED, "the session is over, whatever librtr thinks of it"
    transport.gives_up(code, pdu)
    assert transport.said() == answer, "said once"


@pytest.mark.parametrize(
    ("code", "pdu", "sentence"),
    [
        (7, prefix_pdu(b"\xc0\0\2\0", 24, 25, 4200000000), "announced twice: 192.0.2.0/24-25 AS4200000000"),
        (6, prefix_pdu(b"\x20\1" + bytes(14), 32, 48, 7), "withdrew what it had not announced: 2001::/32-48 AS7"),
    ],
)
def test_a_vrp_that_contradicts_others_is_named(native: ModuleType, code: int, pdu: bytes, sentence: str) -> None:
    transport = Transport(native, pdu + GOOD[4], [len(pdu) + len(GOOD[4]), WOULDBLOCK])
    assert transport.all() == (pdu + GOOD[4], WOULDBLOCK)
    transport.gives_up(code, pdu)
    assert transport.fault == (Fault.PROTOCOL, f"the cache {sentence}")


@pytest.mark.parametrize(
    ("pdu", "sentence"),
    [
        (report(1, b"out of order\n\x1b[0m"), "error 1, internal error: out of order??[0m"),
        (report(1, "voll: Größe\0".encode()), "error 1, internal error: voll: Größe"),
        (report(3, b"", bytes(8)), "error 3, invalid request"),
        (report(99, b"x" * 1000), "error 99, an unknown code: " + "x" * 200),
        (report(1, b"x" * 20_000, bytes(8)), "error 1, internal error: " + "x" * 200),
        (report(0, b"short", length=1 << 31), "error 0, corrupt data: short"),
        (struct.pack(">BBHIII", 1, 10, 0, 16, 1 << 31, 0), "error 0, corrupt data"),
        (struct.pack(">BBHI", 1, 10, 0, 8), "error 0, corrupt data"),
    ],
)
def test_an_error_report_of_the_cache_is_told_with_its_words(native: ModuleType, pdu: bytes, sentence: str) -> None:
    transport = Transport(native, pdu, [len(pdu)])
    assert transport.all()[0] == pdu
    assert transport.fault == (Fault.REFUSED, f"the cache reports {sentence}")


@pytest.mark.parametrize("code", [2, 4])
def test_reports_that_librtr_goes_on_after_are_no_fault(native: ModuleType, code: int) -> None:
    pdu = report(code, b"")
    assert Transport(native, pdu, [len(pdu), WOULDBLOCK]).all() == (pdu, WOULDBLOCK)
    assert native.lib.fault_count() == 0


@given(st.binary(max_size=300), st.binary(min_size=8, max_size=300))
@settings(max_examples=300, deadline=None)
def test_no_report_reads_beyond_its_end(native: ModuleType, wire: bytes, pdu: bytes) -> None:
    transport = Transport(native, wire, [len(wire)] * bool(wire))
    transport.all()
    native.lib.give_up(pdu[:1] + b"\x0a" + pdu[2:], len(pdu))
    assert len(transport.said()) <= 1024
    assert native.lib.fault_count() == 0 or transport.fault[1].isprintable()


# -- octets that gather -----------------------------------------------------------------------------------

MANY = 256 << 10
"""Octets without a pause, after which the cache is let get ahead."""
PDU = GOOD[2]
"""32 octets, as many of which as you like are a round number."""


def a_sync(count: int) -> tuple[bytes, list[int]]:
    """PDU by PDU, each at once."""
    return PDU * count, [len(PDU)] * count


def test_a_long_sync_is_let_gather_and_arrives_whole(native: ModuleType) -> None:
    wire, pieces = a_sync(MANY // len(PDU) + 99)
    assert Transport(native, wire, pieces).all(64) == (wire, CLOSED)
    assert native.lib.naps() == 100, "before each of the 99 that came after so many octets, and before the end"
    assert native.lib.napped_us() == 100 * 20000


def test_a_change_of_a_few_thousand_vrps_waits_for_nothing(native: ModuleType) -> None:
    wire, pieces = a_sync(MANY // len(PDU) - 1)
    assert Transport(native, wire, pieces).all(64) == (wire, CLOSED)
    assert native.lib.naps() == 0


def test_what_comes_after_a_pause_waits_for_nothing(native: ModuleType) -> None:
    """Changes through the hours: no long sync, however many octets they are together."""
    wire, pieces = a_sync(MANY // len(PDU) * 3)
    waits = [5000 * (number % 5000 == 0) for number in range(len(pieces))]
    assert Transport(native, wire, pieces, waits).all(64) == (wire, CLOSED)
    assert native.lib.naps() == 0


def test_a_time_out_is_a_pause(native: ModuleType) -> None:
    wire, pieces = a_sync(MANY // len(PDU) + 1)
    transport = Transport(native, wire, [*pieces[:-1], WOULDBLOCK, *pieces[-1:]])
    assert transport.all(64) == (wire[: -len(PDU)], WOULDBLOCK)
    assert native.lib.naps() == 1
    assert transport.all(64) == (wire[-len(PDU) :], CLOSED)
    assert native.lib.naps() == 1


def test_a_cache_that_is_ahead_is_read_without_a_break(native: ModuleType) -> None:
    pieces = [64 << 10] * 20
    wire = PDU * (sum(pieces) // len(PDU))
    assert Transport(native, wire, pieces).all(64) == (wire, CLOSED)
    assert native.lib.naps() == 0


def test_a_new_connection_is_no_long_sync_yet(native: ModuleType) -> None:
    wire, pieces = a_sync(MANY // len(PDU) + 2)
    transport = Transport(native, wire, pieces)
    for _ in range(len(pieces) - 2):
        assert transport.receive(64) == PDU
    native.lib.reopen()
    assert transport.all(64) == (wire[-2 * len(PDU) :], CLOSED)
    assert native.lib.naps() == 0
