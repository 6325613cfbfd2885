"""PDUs of RFC 6810, 8210 and 8210bis: known octets, round trips, and what is wrong."""

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrd.rtr import pdu
from rtrlib import aspas, packed
from rtrlib.rtr_pdus import ErrorCode
from rtrlib.vrp import PACKED
from tests.lab import rtr_wire
from tests.lab.rtr_wire import ASPAPDU, Prefix

SKI = bytes(range(20))

# Octets by RFC 8210 section 5, written out by hand.
KNOWN = [
    (pdu.SerialNotify(1, 0x1234, 5), "01 00 1234 0000000c 00000005"),
    (pdu.SerialQuery(0, 0x1234, 5), "00 01 1234 0000000c 00000005"),
    (pdu.ResetQuery(1), "01 02 0000 00000008"),
    (pdu.CacheResponse(0, 0xFFFF), "00 03 ffff 00000008"),
    (Prefix(1, True, bytes([192, 0, 2, 0]), 24, 25, 64500), "01 04 0000 00000014 01 18 19 00 c0000200 0000fbf4"),
    (
        Prefix(0, False, bytes.fromhex("20010db8") + bytes(12), 32, 48, 1),
        "00 06 0000 00000020 00 20 30 00 20010db8000000000000000000000000 00000001",
    ),
    (pdu.EndOfData(0, 7, 8), "00 07 0007 0000000c 00000008"),
    (pdu.EndOfData(1, 7, 8, 3600, 600, 7200), "01 07 0007 00000018 00000008 00000e10 00000258 00001c20"),
    (pdu.CacheReset(1), "01 08 0000 00000008"),
    (pdu.RouterKeyPDU(1, True, SKI, 64500, b"key"), "01 09 0100 00000023" + SKI.hex() + "0000fbf4" + b"key".hex()),
    (ASPAPDU(2, True, 64496, (64497, 64498)), "020b0100 00000014 0000fbf0 0000fbf1 0000fbf2"),
    (ASPAPDU(2, True, 64496, (0,)), "020b0100 00000010 0000fbf0 00000000"),
    (ASPAPDU(2, False, 64496, ()), "020b0000 0000000c 0000fbf0"),
    (pdu.ErrorReport(1, 4, b"\1\2", "é"), "01 0a 0004 00000014 00000002 0102 00000002 c3a9"),
]

u16, u32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
version, octet, none = st.integers(0, 2), st.integers(0, 255), st.none()
ski, spki = st.binary(min_size=20, max_size=20), st.binary(min_size=1)
address = st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16)
PDUS = st.one_of(
    st.builds(pdu.SerialNotify, version, u16, u32),
    st.builds(pdu.SerialQuery, version, u16, u32),
    st.builds(pdu.ResetQuery, version),
    st.builds(pdu.CacheResponse, version, u16),
    st.builds(Prefix, version, st.booleans(), address, octet, octet, u32),
    st.builds(pdu.EndOfData, st.just(0), u16, u32, none, none, none),
    st.builds(pdu.EndOfData, st.integers(1, 2), u16, u32, u32, u32, u32),
    st.builds(pdu.CacheReset, version),
    st.builds(pdu.RouterKeyPDU, st.integers(1, 2), st.booleans(), ski, u32, spki),
    st.builds(pdu.ErrorReport, version, u16, st.binary(), st.text()),
    st.builds(ASPAPDU, st.just(2), st.booleans(), u32, st.lists(u32).map(tuple)),
)


@pytest.mark.parametrize(("known", "octets"), KNOWN, ids=lambda value: type(value).__name__)
def test_octets_of_the_rfc(known: rtr_wire.PDU, octets: Any) -> None:
    assert rtr_wire.encode(known).hex() == octets.replace(" ", "")
    assert rtr_wire.decode(rtr_wire.encode(known)) == known


@given(PDUS)
def test_every_pdu_survives_the_wire(one: rtr_wire.PDU) -> None:
    assert rtr_wire.decode(rtr_wire.encode(one)) == one


@given(PDUS, st.data())
def test_no_octets_make_the_decoder_fail_otherwise_than_by_pdu_error(one: rtr_wire.PDU, data: st.DataObject) -> None:
    octets = bytearray(rtr_wire.encode(one))
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, min(len(octets) - 1, 24)))] = data.draw(octet)
    try:
        again = pdu.decode(bytes(octets[: data.draw(st.integers(0, len(octets)))]))
    except pdu.PDUError:
        return
    rtr_wire.encode(again)


def header(version: int, kind: int, length: int, session: int = 0) -> bytes:
    return struct.pack(">BBHI", version, kind, session, length)


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (header(3, 2, 8), ErrorCode.UNSUPPORTED_VERSION),
        (header(255, 2, 8), ErrorCode.UNSUPPORTED_VERSION),
        (header(1, 5, 8), ErrorCode.UNSUPPORTED_TYPE),
        (header(1, 11, 8), ErrorCode.UNSUPPORTED_TYPE),
        (header(0, 9, 40) + bytes(32), ErrorCode.UNSUPPORTED_TYPE),
        (header(1, 2, 0), ErrorCode.CORRUPT_DATA),
        (header(1, 2, 0xFFFFFFFF), ErrorCode.CORRUPT_DATA),
        (header(1, 1, 8), ErrorCode.CORRUPT_DATA),
        (header(1, 7, 12) + bytes(4), ErrorCode.CORRUPT_DATA),
        (header(0, 7, 24) + bytes(16), ErrorCode.CORRUPT_DATA),
        (header(1, 9, 32) + bytes(24), ErrorCode.CORRUPT_DATA),
        (header(1, 10, pdu.MAX_PDU + 1), ErrorCode.CORRUPT_DATA),
        (header(1, 10, 16) + struct.pack(">II", 1, 0), ErrorCode.CORRUPT_DATA),
        (header(1, 10, 16) + struct.pack(">II", 0xFFFFFFFF, 0), ErrorCode.CORRUPT_DATA),
        (header(1, 10, 16) + struct.pack(">II", 0, 1), ErrorCode.CORRUPT_DATA),
        (header(1, 10, 17) + struct.pack(">II", 0, 0) + b"x", ErrorCode.CORRUPT_DATA),
        (header(1, 2, 8) + b"x", ErrorCode.CORRUPT_DATA),
        (b"\x01", ErrorCode.CORRUPT_DATA),
    ],
)
def test_what_is_wrong_has_its_code(octets: Any, code: ErrorCode) -> None:
    with pytest.raises(pdu.PDUError) as caught:
        pdu.decode(octets)
    assert caught.value.code is code


def test_text_that_is_no_utf8_is_shown_escaped() -> None:
    again = rtr_wire.decode(rtr_wire.encode(pdu.ErrorReport(1, 0, b"", "ab"))[:-1] + b"\xff")
    assert isinstance(again, pdu.ErrorReport)
    assert again.text == "a\\xff"


def test_a_report_of_ours_is_bounded_and_whole() -> None:
    report = rtr_wire.decode(pdu.report(1, ErrorCode.CORRUPT_DATA, "é" * 1000, bytes(5000)))
    assert isinstance(report, pdu.ErrorReport)
    assert len(report.pdu) == pdu.MAX_REPORTED
    assert report.text == "é" * (pdu.MAX_TEXT // 2)


def prefixes(family: int, size: int) -> st.SearchStrategy[Any]:
    """The parts of a packed VRP, with an address of so many octets."""
    return st.tuples(st.binary(min_size=size, max_size=size), u32, octet, octet, st.just(family), st.just(1))


@given(
    st.sampled_from([(4, 4), (6, 16)]).flatmap(lambda each: st.lists(prefixes(*each), max_size=20)),
    version,
    st.booleans(),
)
def test_many_at_once(rows: list[tuple[bytes, int, int, int, int, int]], protocol: int, announce: bool) -> None:
    records = packed.ordered(b"".join(PACKED.pack(*row) for row in rows))
    one_by_one = b"".join(
        rtr_wire.encode(Prefix(protocol, announce, address[: len(rows[0][0])], length, max_length, asn))
        for address, asn, length, max_length, _, _ in map(PACKED.unpack, packed.split(packed.packed(records)))
    )
    assert pdu.encode_prefixes(records, protocol, announce=announce) == one_by_one


def test_aspas_are_encoded_as_the_draft_has_them() -> None:
    changes = aspas.numbers([(64495, [0]), (64496, []), (64497, [1, 4294967295]), (64498, [])])
    announced = "020b0100 00000010 0000fbef 00000000 020b0100 00000014 0000fbf1 00000001 ffffffff"
    assert pdu.encode_aspas(changes).hex() == announced.replace(" ", "")
    withdrawn = "020b0000 0000000c 0000fbf0 020b0000 0000000c 0000fbf2"
    assert pdu.encode_aspas(changes, announce=False).hex() == withdrawn.replace(" ", "")
    assert list(pdu.aspa_slices(changes, 5)) == [20, 36, 44]
    assert list(pdu.aspa_slices(changes, 1)) == [12, 20, 36, 44]
    assert (pdu.encode_aspas(b""), list(pdu.aspa_slices(b"", 5))) == (b"", [])
