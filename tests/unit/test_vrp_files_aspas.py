"""ASPAs of VRP files: both spellings, what is cleaned, what is refused, and what can't be used."""

import json
from pathlib import Path
from typing import Any

import pytest

from rtrd.vrps import files
from rtrd.vrps.json_file import MOST_ELEMENT
from rtrlib import PfxTable, aspa_entries, aspas
from rtrlib.vrp_entries import VRPFile, VRPFileError

ROA = {"asn": 64500, "prefix": "192.0.2.0/24", "maxLength": 25}
BAD_ROA = {**ROA, "prefix": "192.0.2.1/24"}
GOOD = {"customer_asid": 64496, "expires": 1900000000, "providers": [64497]}
BAD: dict[str, Any] = {**GOOD, "providers": []}


def read(folder: Path, *aspa: Any, roas: Any = (ROA,), allow_bad: float = 50, **more: Any) -> VRPFile:
    path = folder / "vrps"
    text = json.dumps({"metadata": {"vrps": 1, "list": [1, {}]}, "roas": roas, "aspas": aspa} | more)
    path.write_text(text)
    file = files.read(path, allow_bad)
    assert len(PfxTable.from_file(path)) == 1 if list(roas) == [ROA] else True
    return file


def found(file: VRPFile) -> dict[int, tuple[int, ...]]:
    return {each.customer: each.providers for each in aspas.records(file.aspas)}


def test_both_spellings_are_joined_by_customer(tmp_path: Path) -> None:
    file = read(
        tmp_path,
        {"customer": "AS4200000000", "providers": ["AS4294967294", "as64496", 1.0], "ta": "ripe"},
        {"customer_asid": 64496, "expires": 1, "providers": [64498]},
        {"customer_asid": "64496", "providers": ["AS64497", 64498.0]},
        {"customer": 64499.0, "providers": ["AS0"]},
    )
    assert found(file) == {64496: (64497, 64498), 64499: (0,), 4200000000: (1, 64496, 4294967294)}
    assert (file.faults, file.notes, file.aspa_count, file.count) == ([], [], 3, 1)


def test_what_no_router_should_be_told_is_cleaned_and_named(tmp_path: Path) -> None:
    file = read(
        tmp_path,
        {"customer": 1, "providers": [0, 5]},
        {"customer": 2, "providers": [0]},
        {"customer": 2, "providers": [6]},
        {"customer": 3, "providers": [3, 7]},
        {"customer": 4, "providers": [4]},
    )
    assert found(file) == {1: (5,), 2: (6,), 3: (7,)}
    assert file.notes == [
        f"{tmp_path}/vrps: aspas: AS 0 beside other providers left out: AS1, AS2",
        f"{tmp_path}/vrps: aspas: the customer among its own providers left out: AS3, AS4",
    ]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_customer_with_too_many_providers_is_left_out_whole(
    tmp_path: Path, at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aspa_entries, "_LOOK", 7000)
    each = 10_001 if at_once else 5001
    lists = [{"customer": 9, "providers": list(range(at, at + each))} for at in range(1000, 11_001, each)]
    file = read(tmp_path, *lists, {"customer": 9, "providers": [1]}, {"customer": 8, "providers": [*range(9, 10_009)]})
    assert [(customer, len(providers)) for customer, providers in found(file).items()] == [(8, 10_000)]
    assert file.notes == [f"{tmp_path}/vrps: aspas: left out whole, for more than 10000 providers: AS9"]


def test_a_file_with_more_than_any_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aspa_entries, "_LOOK", 100)
    monkeypatch.setattr(aspa_entries, "_MOST", 300)
    assert len(found(read(tmp_path, *[GOOD] * 1000))) == 1
    with pytest.raises(VRPFileError, match="vrps: more than 300 providers: this is not a VRP file"):
        read(tmp_path, *({"customer": each, "providers": [1]} for each in range(2, 300)))


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ({"providers": []}, "AS64496 names no provider; one without providers names AS 0"),
        ({"providers": None}, "Expected `array`, got `null` - at `$.providers`"),
        ({"providers": [1, "x"]}, "'x' is not an AS number (0 to 4294967295)"),
        ({"providers": [1.5]}, "'1.5' is not an AS number (0 to 4294967295)"),
        ({"providers": [True]}, "Expected `int | float | str`, got `bool` - at `$.providers[0]`"),
        ({"providers": [[1]]}, "Expected `int | float | str`, got `array` - at `$.providers[0]`"),
        ({"customer_asid": 0}, "AS 0 can't be a customer"),
        ({"customer_asid": 1 << 32}, "'4294967296' is not an AS number (0 to 4294967295)"),
        ({"customer_asid": "AS-1"}, "'AS-1' is not an AS number (0 to 4294967295)"),
        ({"customer": 64496}, "expected either `customer_asid` or `customer`, found both"),
    ],
)
def test_a_faulty_entry_is_left_out_and_named(tmp_path: Path, entry: dict[str, Any], what: str) -> None:
    file = read(tmp_path, {**GOOD, "customer_asid": 5}, GOOD | entry)
    assert found(file) == {5: (64497,)}
    assert (file.faults, file.fault_count) == ([f"{tmp_path}/vrps: aspas[1]: {what}"], 1)


def test_a_member_given_twice_is_no_entry(tmp_path: Path) -> None:
    path = tmp_path / "vrps"
    good = '{"customer": 1, "providers": [2]}'
    for twice in (
        '{"customer": 1, "customer": 3, "providers": [2]}',
        '{"customer": 1, "providers": [2], "providers": [3]}',
    ):
        path.write_text(f'{{"roas": [], "aspas": [{good}, {twice}]}}')
        file = files.read(path)
        assert (found(file), file.faults) == ({1: (2,)}, [f"{path}: aspas[1]: a member is given twice in it"])
    path.write_text('{"roas": [], "aspas": [], "aspas": []}')
    with pytest.raises(VRPFileError, match="1: the member 'aspas' is given twice"):
        files.read(path)


def test_as_many_may_be_bad_as_of_vrps_and_each_is_counted_apart(tmp_path: Path) -> None:
    assert found(read(tmp_path, GOOD, BAD, roas=[])) == {64496: (64497,)}
    with pytest.raises(VRPFileError, match=r"aspas\[1\]: .*; 2 of 3 entries can't be used, more than 50 %"):
        read(tmp_path, GOOD, BAD, BAD, roas=[ROA] * 100)
    assert read(tmp_path, GOOD, BAD, BAD, allow_bad=70).fault_count == 2
    with pytest.raises(VRPFileError, match=r"aspas\[0\]: .*; 1 of 1 entries can't be used$"):
        read(tmp_path, BAD)
    with pytest.raises(VRPFileError, match=r"roas\[1\]: .*; 2 of 3 entries can't be used, more than 50 %"):
        read(tmp_path, *[GOOD] * 100, roas=[ROA, BAD_ROA, BAD_ROA])


@pytest.mark.parametrize("aspa", [{"ipv4": []}, None, 5])
def test_aspas_that_are_no_list_are_refused(tmp_path: Path, aspa: Any) -> None:
    with pytest.raises(VRPFileError, match="1: expected an array at aspas"):
        read(tmp_path, aspas=aspa)


def test_those_by_address_family_are_refused_by_name_however_many(tmp_path: Path) -> None:
    old = [{**GOOD, "customer_asid": each} for each in range(30_000)]
    file = read(tmp_path, GOOD, provider_authorizations={"ipv4": old, "ipv6": old})
    assert len(json.dumps(old)) > MOST_ELEMENT
    assert (found(file), file.count) == ({64496: (64497,)}, 1)
    what = "provider_authorizations, of rpki-client before 8.5, is not read: its ASPAs are by address family"
    assert file.notes == [f"{tmp_path}/vrps: {what}"]
