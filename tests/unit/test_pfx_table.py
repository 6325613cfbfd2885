"""rtrlib-python's PfxTable, and what killed it."""

import ipaddress
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrlib import IpConversionException, PfxTable, PfxvState
from rtrlib.records import PFXRecord
from rtrlib.validation import pack_routes
from rtrlib.vrp import VRP
from rtrlib.vrp_set import OF_PREFIX
from tests.lab import rfc6811
from tests.lab.strategies import ASNS, prefixes, vrps


@pytest.fixture
def table() -> PfxTable:
    return PfxTable()


def test_add_validate_remove() -> None:
    with PfxTable() as table:
        table.add_record(64500, "192.0.2.0", 24, 25)
        table.add_record(64501, "2001:db8::", 32, 48)
        assert table.validate(64500, "192.0.2.128", 25) == PfxvState.valid
        assert table.validate(64500, "192.0.2.128", 26) == PfxvState.invalid
        assert table.validate(64502, "2001:db8:1::", 48) == PfxvState.invalid
        assert table.validate(64500, "198.51.100.0", 24) == PfxvState.not_found
        assert set(table) == {PFXRecord(64500, "192.0.2.0", 24, 25), PFXRecord(64501, "2001:db8::", 32, 48)}
        table.remove_record(64500, "192.0.2.0", 24, 25)
        assert len(table) == 1
        assert table.validate(64500, "192.0.2.128", 25) == PfxvState.not_found
    assert len(table) == 0


def test_what_killed_librtr(table: PfxTable) -> None:
    table.add_record(1, "0.0.0.0", 0, 0)
    table.add_record(1, "::", 0, 128)
    assert table.validate(1, "0.0.0.0", 0) == PfxvState.valid
    assert table.validate(2, "10.0.0.0", 8) == PfxvState.invalid
    assert table.validate(1, "2001:db8::", 32) == PfxvState.valid


def test_a_record_is_there_once_however_often_it_is_added(table: PfxTable) -> None:
    assert table.add_record(1, "10.0.0.0", 8, 8)
    assert not table.add_record(1, "10.0.0.0", 8, 8)
    assert not table.remove_record(1, "10.0.0.0", 8, 9)
    assert len(table) == 1
    assert table.remove_record(1, "10.0.0.0", 8, 8)
    assert not table.remove_record(1, "10.0.0.0", 8, 8)


def test_what_is_no_vrp_is_refused_with_its_reason(table: PfxTable) -> None:
    for text in ("300.1.1.1", "1.2.3.4xx", "", "10.0.0.0/8"):
        with pytest.raises(IpConversionException):
            table.add_record(1, text, 8, 8)
    faults: list[tuple[Callable[..., object], tuple[object, ...], type[Exception], str]] = [
        (table.add_record, (1, "10.0.0.0", 99, 99), ValueError, "min_length 99 is not in 0"),
        (table.add_record, (1, "10.0.0.0", 16, 8), ValueError, "max_length 8 is below min_length 16"),
        (table.add_record, (1, "10.0.0.1", 8, 8), ValueError, "bits set behind"),
        (table.validate, (1 << 32, "10.0.0.0", 8), ValueError, "asn 4294967296"),
        (table.validate, ("AS1", "10.0.0.0", 8), TypeError, "asn must be an int"),
        (table.validate, (1, "10.0.0.0", "8"), TypeError, "mask_len must be an int"),
        (table.validate, (1, "10.0.0.0", 33), ValueError, r"mask_len 33 is not in 0\.\.32"),
        (table.validate, (1, "::", 129), ValueError, r"mask_len 129 is not in 0\.\.128"),
    ]
    for function, arguments, kind, why in faults:
        with pytest.raises(kind, match=why):
            function(*arguments)
    assert len(table) == 0


def test_every_covering_vrp_is_a_reason(table: PfxTable) -> None:
    table.add_record(64500, "192.0.2.0", 24, 24)
    table.add_record(64501, "192.0.0.0", 16, 28)
    table.add_record(64501, "198.51.100.0", 24, 24)
    result = table.validate(64500, "192.0.2.128", 25)
    assert str(result) == "192.0.2.128/25 AS64500: invalid"
    assert [str(reason) for reason in result.reason] == [
        "192.0.0.0/16-28 64501: as_valid = False, length_valid = True",
        "192.0.2.0/24-24 64500: as_valid = True, length_valid = False",
    ]
    assert (result.as_invalid, result.length_invalid, result.is_invalid) == (True, True, True)
    assert (result.is_valid, result.not_found) == (False, False)


def test_a_reason_stays_what_it_was(table: PfxTable) -> None:
    table.add_record(64500, "192.0.2.0", 24, 24)
    result = table.validate_r(64500, "192.0.2.0", 24)
    table.close()
    assert [reason.record for reason in result.reason] == [PFXRecord(64500, "192.0.2.0", 24, 24)]
    assert table.validate(64500, "192.0.2.0", 24).reason == []


def test_more_covering_vrps_than_fit_at_first(table: PfxTable) -> None:
    for asn in range(1, 301):
        table.add_record(asn, "10.0.0.0", 8, 8)
    assert sorted(reason.record.asn for reason in table.validate(301, "10.1.0.0", 16).reason) == list(range(1, 301))


def test_a_result_equals_its_state_and_nothing_else(table: PfxTable) -> None:
    table.add_record(64500, "192.0.2.0", 24, 24)
    valid, invalid = table.validate(64500, "192.0.2.0", 24), table.validate(64501, "192.0.2.0", 24)
    assert valid == PfxvState.valid
    assert valid != PfxvState.invalid
    assert invalid == PfxvState.invalid
    assert PfxvState.not_found == table.validate(1, "10.0.0.0", 8)
    assert valid == table.validate(64500, "192.0.2.0", 24)
    assert valid != invalid
    assert len({valid, invalid, table.validate(64500, "192.0.2.0", 24)}) == 2
    assert (bool(valid), bool(invalid), bool(PfxvState.valid), bool(PfxvState.invalid)) == (True, False, True, False)
    assert valid != 0
    assert valid != "valid"
    assert (str(PfxvState.not_found), f"{PfxvState.valid}") == ("PfxvState.not_found", "PfxvState.valid")


def test_a_long_table_is_listed_whole(table: PfxTable) -> None:
    for i in range(3000):
        table.add_record(i, f"10.{i >> 8}.{i & 255}.0", 24, 24 + i % 9)
        table.add_record(i, f"2001:db8:{i:x}::", 48, 48 + i % 81)
    expected = [PFXRecord(i, f"10.{i >> 8}.{i & 255}.0", 24, 24 + i % 9) for i in range(3000)]
    expected += [PFXRecord(i, str(ipaddress.ip_address(f"2001:db8:{i:x}::")), 48, 48 + i % 81) for i in range(3000)]
    assert sorted(table) == sorted(expected)


def test_as_0_never_agrees(table: PfxTable) -> None:
    table.add_record(0, "192.0.2.0", 24, 24)
    result = table.validate(0, "192.0.2.0", 24)
    assert result == PfxvState.invalid
    assert result.as_invalid


def test_an_address_may_be_bytes_and_have_host_bits(table: PfxTable) -> None:
    table.add_record(64500, "192.0.2.0", 24, 24)
    assert table.validate(64500, b"192.0.2.77", 24).is_valid
    assert table.validate(64500, "2001:db8::1", 64).not_found


def test_many_at_once(table: PfxTable) -> None:
    table.add_record(64500, "192.0.2.0", 24, 24)
    routes = [(64500, "192.0.2.7", 24), (64501, "192.0.2.0", 24), (64500, "2001:db8::", 32)]
    states = [PfxvState.valid, PfxvState.invalid, PfxvState.not_found]
    assert table.validate_many(routes) == states
    assert table.validate_many(iter(routes)) == states
    assert table.validate_many(pack_routes(routes)) == bytes(states)
    assert table.validate_many(memoryview(pack_routes(routes))) == bytes(states)
    assert table.validate_many(b"\1" * 24) == b"\xff"
    assert table.validate_many([]) == []
    with pytest.raises(ValueError, match="multiple of 24"):
        table.validate_many(b"\1" * 25)
    with pytest.raises(IpConversionException):
        table.validate_many([(1, "10.0.0.0/8", 8)])


@given(st.lists(vrps(), max_size=8), prefixes(), ASNS)
def test_validity_is_that_of_rfc_6811(entries: list[VRP], prefix: str, asn: int) -> None:
    table = PfxTable()
    for vrp in entries:
        address, _, length = vrp.prefix.partition("/")
        table.add_record(vrp.asn, address, int(length), vrp.max_length)
    address, _, length = prefix.partition("/")
    result = table.validate(asn, address, int(length))
    assert result.state.name == rfc6811.validity(entries, prefix, asn).replace("-", "_")
    covering = {vrp for vrp in entries if rfc6811.covers(vrp.prefix, prefix)}
    told = {VRP(f"{r.record.prefix}/{r.record.min_len}", r.record.max_len, r.record.asn) for r in result.reason}
    assert told == covering
    assert result.is_valid == any(reason.as_valid and reason.length_valid for reason in result.reason)
    assert table.validate_many([(asn, address, int(length))]) == [result.state]


def test_too_many_of_one_prefix_are_refused_and_nothing_has_changed(tmp_path: Path) -> None:
    """None is left out without a word, and none is said to be there already that is not."""
    table = PfxTable()
    assert table.add_records((asn, "10.0.0.0", 8, 8) for asn in range(OF_PREFIX)) == OF_PREFIX
    for _ in range(2):
        with pytest.raises(ValueError, match="more than 1024 VRPs of exactly one prefix"):
            table.add_record(OF_PREFIX, "10.0.0.0", 8, 8)
        with pytest.raises(ValueError, match="more than 1024"):
            table.add_records([(1, "192.0.2.0", 24, 24), (OF_PREFIX, "10.0.0.0", 8, 9)])
        assert len(table) == OF_PREFIX
        assert not table.covering("192.0.2.0/24")
    assert not table.add_record(5, "10.0.0.0", 8, 8)
    assert table.remove_record(5, "10.0.0.0", 8, 8)
    assert table.add_record(OF_PREFIX, "10.0.0.0", 8, 8)
    assert table.validate(OF_PREFIX, "10.0.0.0", 8).is_valid
    assert table.add_record(1, "192.0.2.0", 24, 24)
    assert len(table) == len(list(table)) == OF_PREFIX + 1

    path = tmp_path / "vrps.csv"
    table.to_csv(path)
    with path.open("a") as file:
        file.write("AS5,10.0.0.0/8,8,\n")
    with pytest.raises(ValueError, match=r"/vrps\.csv: more than 1024"):
        PfxTable.from_file(path)


def test_any_number_of_threads(table: PfxTable) -> None:
    table.add_record(64500, "192.0.2.0", 24, 24)

    def work(asn: int) -> bool:
        for _ in range(300):
            table.add_record(asn, "192.0.2.0", 24, 24)
            if not table.validate(64500, "192.0.2.0", 24).is_valid or not list(table):
                return False
            table.remove_record(asn, "192.0.2.0", 24, 24)
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(1, 5)))
    assert list(table) == [PFXRecord(64500, "192.0.2.0", 24, 24)]
