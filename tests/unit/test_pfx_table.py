"""rtrlib-python's PfxTable, and what killed it."""

from __future__ import annotations

import pytest

from rtrlib import IpConversionException, PFXException, PfxTable, PfxvState
from rtrlib.records import PFXRecord


def test_add_validate_remove() -> None:
    with PfxTable() as table:
        table.add_record(64500, "192.0.2.0", 24, 25)
        table.add_record(64501, "2001:db8::", 32, 48)
        assert table.validate(64500, "192.0.2.128", 25) == PfxvState.valid
        assert table.validate(64500, "192.0.2.128", 26) == PfxvState.invalid
        assert table.validate(64502, "2001:db8:1::", 48) == PfxvState.invalid
        assert table.validate(64500, "198.51.100.0", 24) == PfxvState.not_found
        assert set(table) == {
            PFXRecord(64500, "192.0.2.0", 24, 25),
            PFXRecord(64501, "2001:db8::", 32, 48),
        }
        table.remove_record(64500, "192.0.2.0", 24, 25)
        assert len(table) == 1
        assert table.validate(64500, "192.0.2.128", 25) == PfxvState.not_found
    assert len(table) == 0


def test_what_killed_librtr() -> None:
    table = PfxTable()
    table.add_record(1, "0.0.0.0", 0, 0)
    table.add_record(1, "::", 0, 128)
    assert table.validate(1, "0.0.0.0", 0) == PfxvState.valid
    assert table.validate(2, "10.0.0.0", 8) == PfxvState.invalid
    assert table.validate(1, "2001:db8::", 32) == PfxvState.valid


def test_a_record_is_there_once() -> None:
    table = PfxTable()
    table.add_record(1, "10.0.0.0", 8, 8)
    with pytest.raises(PFXException, match="8-8 AS1 is there already"):
        table.add_record(1, "10.0.0.0", 8, 8)
    with pytest.raises(PFXException, match="8-9 AS1 is not there"):
        table.remove_record(1, "10.0.0.0", 8, 9)
    assert len(table) == 1


def test_what_is_no_vrp_is_refused_with_its_reason() -> None:
    table = PfxTable()
    for text in ("300.1.1.1", "1.2.3.4xx", "", "10.0.0.0/8"):
        with pytest.raises(IpConversionException):
            table.add_record(1, text, 8, 8)
    with pytest.raises(ValueError, match="min_length 99 is not in 0"):
        table.add_record(1, "10.0.0.0", 99, 99)
    with pytest.raises(ValueError, match="max_length 8 is below min_length 16"):
        table.add_record(1, "10.0.0.0", 16, 8)
    with pytest.raises(ValueError, match="bits set behind"):
        table.add_record(1, "10.0.0.1", 8, 8)
    with pytest.raises(ValueError, match="asn 4294967296"):
        table.validate(1 << 32, "10.0.0.0", 8)
    with pytest.raises(TypeError, match="asn must be an int"):
        table.validate("AS1", "10.0.0.0", 8)  # type: ignore[arg-type]
    assert len(table) == 0
