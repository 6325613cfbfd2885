"""What users give in types of their own: networks, arrays with fields, numbers; and what is no such thing."""

import array
import ctypes
import ipaddress
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from rtrlib import (
    AddressTypeError,
    IpConversionException,
    PFXRecord,
    PfxTable,
    PfxvState,
    RTRManager,
    SPKIRecord,
    SyncTimeout,
    pack_routes,
)

ROUTES = [(64500, "198.51.100.0", 24), (64500, "2001:db8::", 48), (1, "198.51.100.0", 24)]
STATES = bytes([PfxvState.valid, PfxvState.valid, PfxvState.invalid])


@pytest.fixture
def table() -> PfxTable:
    table = PfxTable()
    table.add_records([(64500, "198.51.100.0", 24, 24), (64500, "2001:db8::", 32, 48)])
    return table


def test_a_network_has_its_length() -> None:
    table = PfxTable()
    for network in map(ipaddress.ip_network, ("198.51.100.0/24", "2001:db8::/32")):
        bits = network.prefixlen
        assert table.add_record(64500, network, bits, bits)
        assert table.add_records([(64501, network, bits, bits)]) == 1
        assert str(table.validate(64500, network, bits)) == f"{network} AS64500: valid"
        assert table.validate_many([(64500, network, bits)]) == [PfxvState.valid]
        for ask in (table.validate, lambda *route: pack_routes([route])):
            with pytest.raises(ValueError, match=f"mask_len {bits + 1} is not the prefix length of {network}"):
                ask(64500, network, bits + 1)
        with pytest.raises(ValueError, match=f"min_length {bits - 1} is not the prefix length"):
            table.remove_record(64500, network, bits - 1, bits)
        assert table.remove_record(64501, network, bits, bits)


def test_an_interface_is_its_address_and_its_length(table: PfxTable) -> None:
    interface = ipaddress.ip_interface("198.51.100.7/24")
    assert str(table.validate(64500, interface, 24)) == "198.51.100.7/24 AS64500: valid"
    assert len(table.covering(ipaddress.ip_interface("198.51.100.0/25"))) == 1
    with pytest.raises(ValueError, match="bits set"):
        table.covering(interface)


def test_a_scope_is_refused(table: PfxTable) -> None:
    with pytest.raises(IpConversionException, match="scope"):
        table.validate(64500, ipaddress.ip_address("fe80::1%eth0"), 64)


@pytest.mark.parametrize("bad", [None, 5, 1.0, ("198.51.100.0", 24), bytearray(b"::")])
def test_what_is_no_address_is_a_type_error_that_is_both(table: PfxTable, bad: Any) -> None:
    for ask in (
        lambda: table.validate(64500, bad, 24),
        lambda: table.add_record(64500, bad, 24, 24),
        lambda: table.covering(bad),
        lambda: pack_routes([(64500, bad, 24)]),
    ):
        with pytest.raises(AddressTypeError, match="is not an IP address") as raised:
            ask()
        assert isinstance(raised.value, TypeError)
        assert isinstance(raised.value, IpConversionException)


@pytest.mark.parametrize("bad", [5, "ab", (1, "::"), (1, "::", 0, 0, 0), None])
def test_what_is_no_route_and_no_record_is_said_by_what_one_is(table: PfxTable, bad: Any) -> None:
    with pytest.raises(TypeError, match=r"a route is \(asn, prefix, mask_len\)"):
        table.validate_many([bad])
    with pytest.raises(TypeError, match=r"a record is \(asn, ip, min_length, max_length\)"):
        table.add_records([bad])


FIELDS = (
    ("asn", ctypes.c_uint32),
    ("l", ctypes.c_uint8),
    ("m", ctypes.c_uint8),
    ("f", ctypes.c_uint8),
    ("a", ctypes.c_uint8),
)


class Packed(ctypes.Structure):
    """A packed route with its fields, as an array of numpy may have them."""

    _fields_ = (("address", ctypes.c_uint8 * 16), *FIELDS)


class Turned(ctypes.BigEndianStructure):
    """The same in another order of octets."""

    _fields_ = (("address", ctypes.c_uint8 * 16), *FIELDS)


class Other(ctypes.Structure):
    """What happens to have as many octets."""

    _fields_ = (("asn", ctypes.c_uint32), ("text", ctypes.c_char * 19), ("l", ctypes.c_uint8))


def test_packed_routes_in_arrays_of_any_form(table: PfxTable) -> None:
    packed = pack_routes(ROUTES)
    wide = memoryview(bytes(octet for each in packed for octet in (each, 0)))
    for form in (
        packed,
        bytearray(packed),
        array.array("B", packed),
        memoryview(packed).cast("B", (3, 24)),
        memoryview(packed).cast("c"),
        wide[::2],
        (Packed * 3).from_buffer_copy(packed),
    ):
        assert table.validate_many(form) == STATES
    assert table.validate_many(b"") == b""


@pytest.mark.parametrize(
    "form",
    [
        array.array("I", pack_routes(ROUTES)),
        memoryview(bytes(24)).cast("?"),
        (Turned * 3).from_buffer_copy(pack_routes(ROUTES)),
        (Other * 3).from_buffer_copy(pack_routes(ROUTES)),
    ],
    ids=["numbers", "bools", "another order", "other fields"],
)
def test_other_arrays_are_no_octets(table: PfxTable, form: Any) -> None:
    with pytest.raises(TypeError, match="a route is"):
        table.validate_many(form)


def test_a_kept_error_of_an_array_of_a_wrong_length_harms_nobody() -> None:
    """Python's garbage collector ends the process when it finds a memoryview and what was made of it in one cycle."""
    text = """
import gc
from rtrlib import PfxTable
from rtrlib.vrp_set import VRPSet
for work in (PfxTable().validate_many, lambda octets: VRPSet().stage(0, octets)):
    for form in (bytes(23), bytearray(23), memoryview(bytes(23))):
        try:
            work(form)
        except ValueError as error:
            error.cycle = error
        gc.collect()
print("alive")
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("alive\n", "")


def test_records_are_equal_however_they_are_written(table: PfxTable) -> None:
    record = PFXRecord(64500, "2001:db8::", 32, 48)
    for prefix in ("2001:DB8::", "2001:0db8:0::0", ipaddress.ip_address("2001:db8::"), b"2001:db8::"):
        other = PFXRecord(64500, prefix, 32, 48)
        assert (other, hash(other), other.prefix) == (record, hash(record), record.prefix)
        assert other in table
        assert (64500, prefix, 32, 48) in table
    for bad in ((64500, "x", 8, 8), (64500, "::", None, 8)):
        with pytest.raises((IpConversionException, TypeError)):
            PFXRecord(*bad)
    for octets in ("x", None, 20):
        with pytest.raises(TypeError, match="spki must be bytes"):
            SPKIRecord(64500, bytes(20), octets)  # type: ignore[arg-type]


def test_seconds_of_any_type() -> None:
    manager = RTRManager("127.0.0.1", 1, engine="native", sync_timeout=Fraction(1, 100), start_timeout=10**400)  # type: ignore[arg-type]
    with pytest.raises(SyncTimeout, match=r"within 0\.01 seconds"), manager:
        pass
    for bad, error in ((-(10**400), ValueError), (Decimal(1), TypeError), (1j, TypeError)):
        with pytest.raises(error):
            manager.start(timeout=bad)  # type: ignore[arg-type]
