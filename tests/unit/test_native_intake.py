"""What stands between a cache's octets and librtr: prefixes that librtr cannot bear are taken out, nothing else."""

from __future__ import annotations

import importlib.util
import os
import struct
from pathlib import Path

import pytest
from cffi import FFI
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.rtr_caches import cache_response, end_of_data, error_report, prefix4, prefix6

# `make sanitize` says which; what needs no library beside Python is always on.
CHECKS = os.environ.get("RTRD_CFLAGS", "-fsanitize=undefined -fno-sanitize-recover").split()
NATIVE = Path(__file__).parents[2] / "ffi" / "native"

# The transport inside gives `script[n]` octets at its n-th call: 0 and less is what librtr's transports say so.
SOURCE = """
#include <string.h>
#include "intake.h"

static struct intake intake;
static struct tr_socket transport;
static const uint8_t *wire;
static const int *script;
static size_t sent, steps, step, refused;
static struct vrp last;

static int give(const void *socket, void *out, const size_t len, const time_t timeout)
{
    (void)socket, (void)timeout;
    if (step == steps)
        return TR_CLOSED;
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

void begin(const uint8_t *octets, const int *pieces, size_t count)
{
    transport = (struct tr_socket){.open_fp = open_, .recv_fp = give};
    intake_wrap(&intake, &transport, refuse, NULL);
    wire = octets, script = pieces, steps = count;
    sent = step = refused = 0;
    transport.open_fp(transport.socket);
}

void reopen(void)
{
    transport.open_fp(transport.socket);
}

int receive(void *out, size_t size)
{
    return transport.recv_fp(transport.socket, out, size, 60);
}

size_t refusals(void)
{
    return refused;
}

const uint8_t *last_refused(void)
{
    return (const uint8_t *)&last;
}
"""
CDEF = """
void begin(const uint8_t *octets, const int *pieces, size_t count);
void reopen(void);
int receive(void *out, size_t size);
size_t refusals(void);
const uint8_t *last_refused(void);
"""
WOULDBLOCK, CLOSED = -2, -4


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    """intake.c alone, compiled with the checks that a product build leaves out."""
    folder = tmp_path_factory.mktemp("intake")
    builder = FFI()
    builder.cdef(CDEF)
    builder.set_source(
        "_intake_under_test",
        SOURCE,
        sources=[str(NATIVE / "intake.c")],
        include_dirs=[str(NATIVE)],
        extra_compile_args=["-std=c11", "-D_GNU_SOURCE", *CHECKS, "-O1"],
        extra_link_args=CHECKS,
    )
    spec = importlib.util.spec_from_file_location("_intake_under_test", builder.compile(str(folder)))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Intake:
    def __init__(self, native, wire, pieces):
        self.ffi, self.lib = native.ffi, native.lib
        self.kept = (self.ffi.from_buffer("uint8_t[]", wire), self.ffi.new("int[]", pieces))
        self.lib.begin(*self.kept, len(pieces))

    def receive(self, size):
        """What one call gives: octets, or the number that says why not."""
        out = self.ffi.new("uint8_t[]", size)
        got = self.lib.receive(out, size)
        assert got <= size
        return bytes(self.ffi.buffer(out, got)) if got > 0 else got

    def all(self, size=8):
        octets = b""
        while isinstance(more := self.receive(size), bytes):
            octets += more
        return octets, more


BAD = [
    prefix4(b"\xc0\0\2\0", 33, 33, 1),
    prefix4(b"\xc0\0\2\0", 99, 200, 1, announce=0),
    prefix6(b"\x20\1" + bytes(14), 129, 129, 1),
    prefix6(b"\x20\1" + bytes(14), 255, 255, 1),
]
GOOD = [
    prefix4(bytes(4), 0, 0, 1),
    prefix4(b"\xc0\0\2\1", 32, 255, 1),  # its host bits and max length are for the VRP set to judge
    prefix6(b"\x20\1" + bytes(14), 128, 0, 1),
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
def test_all_but_the_prefixes_that_are_none_arrives_in_order_however_it_is_cut(native, pdus, pieces, size):
    wire = b"".join(pdus)
    pieces = [piece for piece in pieces if piece]
    pieces += [max(1, len(wire) - sum(pieces))] * (sum(pieces) < len(wire))
    wire += bytes(max(0, sum(pieces) - len(wire)))  # what comes after: PDUs of length 0, which librtr refuses
    intake = Intake(native, wire, pieces)
    octets, end = intake.all(size)
    wanted = b"".join(pdu for pdu in pdus if pdu not in BAD)
    assert octets[: len(wanted)] == wanted
    assert set(octets[len(wanted) :]) <= {0}
    assert end == CLOSED
    assert native.lib.refusals() == sum(pdu in BAD for pdu in pdus)


def test_what_is_refused_is_told_as_it_was(native):
    for pdu, told in (
        (BAD[1], struct.pack("=16sIBBBB", b"\xc0\0\2\0", 1, 99, 200, 4, 0)),
        (BAD[3], struct.pack("=16sIBBBB", b"\x20\1" + bytes(14), 1, 255, 255, 6, 1)),
    ):
        assert Intake(native, pdu, [len(pdu)]).all() == (b"", CLOSED)
        assert bytes(native.ffi.buffer(native.lib.last_refused(), 24)) == told


def test_a_time_out_loses_nothing(native):
    wire = GOOD[0] + GOOD[3]
    intake = Intake(native, wire, [5, WOULDBLOCK, 10, WOULDBLOCK, len(wire) - 15])
    assert [intake.receive(8), intake.receive(8)] == [WOULDBLOCK, WOULDBLOCK]
    assert intake.all() == (wire, CLOSED)


def test_what_is_no_pdu_goes_through_as_it_is(native):
    wire = b"\xff" * 4 + struct.pack(">I", 7) + BAD[0]
    assert Intake(native, wire, [len(wire)]).all() == (wire, CLOSED)
    assert native.lib.refusals() == 0


def test_a_new_connection_begins_with_a_pdu(native):
    wire = GOOD[8][:100] + GOOD[4]
    intake = Intake(native, wire, [100, len(GOOD[4])])
    assert intake.receive(8) == wire[:8]
    native.lib.reopen()
    assert intake.all() == (GOOD[4], CLOSED)
