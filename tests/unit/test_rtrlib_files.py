"""A table from a VRP file, and its VRPs written to one: what is right is there, what is wrong has its line."""

import gzip
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrlib import PfxTable
from tests.lab.strategies import vrps

HEAD = "ASN,IP Prefix,Max Length,Trust Anchor\n"


def table_of(tmp_path: Path, text: str, name: str = "vrps") -> list[str]:
    (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return sorted(map(str, PfxTable.from_file(tmp_path / name)))


@pytest.mark.parametrize("name", ["vrps", "vrps.csv.gz"])
@pytest.mark.parametrize(
    "text",
    [
        f"{HEAD}AS64500,192.0.2.0/24,25,arin\nAS64501,2001:db8::/32,48,ripe\n",
        "64500,192.0.2.0/24,25\n64501,2001:db8::/32,48\n",
        '"AS64500", 192.0.2.0/24 ,25,"a,b"\r\nas64501,2001:DB8::/32,48,x\r\n',
        "IP Prefix,Max Length,ASN\n192.0.2.0/24,25,AS64500\n2001:db8::/32,48,AS64501\n",
        f"# a comment\n\n{HEAD}AS64500,192.0.2.0/24,25,\n{HEAD}AS64500,192.0.2.0/24,25,\nAS64501,2001:db8::/32,48,\n",
        (
            '{"roas": [{"asn": "AS64500", "prefix": "192.0.2.0/24", "maxLength": 25, "ta": "x"},'
            ' {"asn": 64501, "prefix": "2001:db8::/32", "maxLength": 48}]}'
        ),
        (
            '[{"asn": 64500, "prefix": "192.0.2.0/24", "maxLength": 25}, {"asn": 64501.0, "prefix": "2001:db8::/32",'
            ' "maxLength": 48}]'
        ),
    ],
)
def test_every_form_of_a_file(tmp_path: Path, text: str, name: str) -> None:
    assert table_of(tmp_path, text, name) == ["192.0.2.0/24-25 64500", "2001:db8::/32-48 64501"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"roas": [{"asn": 1, "prefix": "10.0.0.0/8", "maxLength": 8}], "roas": []}', "roas"),
        ('[{"asn": 1, "prefix": "10.0.0.0/8", "maxLength": 8, "maxLength": 24}]', "maxLength"),
        ('[{"asn": 1, "prefix": "10.0.0.0/8", "\\u0061sn": 2}]', "asn"),
    ],
)
def test_a_member_given_twice_is_refused(tmp_path: Path, text: str, name: str) -> None:
    with pytest.raises(ValueError, match=f"the member '{name}' is given twice"):
        table_of(tmp_path, text)


def test_other_members_may_be_given_twice(tmp_path: Path) -> None:
    text = '{"x": 1, "x": 2, "y": {"asn": 1}, "roas": [{"asn": 1, "prefix": "10.0.0.0/8", "ta": "a", "ta": "b"}]}'
    assert table_of(tmp_path, text) == ["10.0.0.0/8-8 1"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"{HEAD}AS1,10.0.0.0/8,8,\nAS2,10.0.0.0/40,40,\n", 3),
        (f"{HEAD}AS1,10.0.0.0/8,8,\nAS2,10.0.0.1/8,8,\n", 3),
        (f"{HEAD}AS1,10.0.0.0/8,8,\n" * 3000 + "AS4294967296,10.0.0.0/8,8,\n", 6001),
        (f"{HEAD}AS1,10.0.0.0/8,8,\nAS1,10.0.0.0/8,7,\n", 3),
        (f"{HEAD}AS1,10.0.0.0/8,8,\nAS1,10.0.0.0/8\n", 3),
        (f"{HEAD}AS1,10.0.0.0/8,8,x", 2),
        ("", 1),
        ('{"roas": [\n{"asn": 1, "prefix": "10.0.0.0/8"},\n{"asn": 1, "prefix": "10.0.0.0/40"}]}', 3),
        ('{"roas": [\n{"asn": true, "prefix": "10.0.0.0/8"}]}', 2),
        ('{"roas": [\n{"prefix": "10.0.0.0/8"}]}', 2),
        ('{"roas": [\n{"asn": 1, "prefix": "10.0.0.0/8", "maxLength": NaN}]}', 2),
        ('{"roas": [\n7]}', 2),
        ('{"roas": [\n{"asn": "1,10.0.0.0/8,8", "prefix": "x", "maxLength": "y"}]}', 2),
        ('{"roas": [\n{"asn": 1, "prefix": "10.0.0.0/8,8,", "maxLength": 8}]}', 2),
        ('{"roas": [\n{"asn": 1, "prefix": "10.0.0.0/8", "maxLength": "8"}]}', 2),
        ('{"roas": [\n{"asn": 1, "prefix": "10.0.0.0/8", "max_length": 24}]}', 2),
        ('{"roas": [\n', 2),
        ('{"roa": []}', 1),
    ],
)
def test_what_is_wrong_has_its_line(tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(ValueError, match=rf"/vrps:{line}: "):
        table_of(tmp_path, text)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        PfxTable.from_file(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        PfxTable.from_file(tmp_path)
    (tmp_path / "cut.gz").write_bytes(gzip.compress(HEAD.encode() * 100)[:-9])
    with pytest.raises(ValueError, match=r"cut\.gz: "):
        PfxTable.from_file(tmp_path / "cut.gz")


@given(st.lists(vrps(), max_size=20))
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, entries: list[object]) -> None:
    folder = tmp_path_factory.mktemp("files")
    table = PfxTable()
    table.add_records((vrp.asn, *_split(vrp.prefix), vrp.max_length) for vrp in entries)  # type: ignore[attr-defined]
    for name, write in (("a.csv", table.to_csv), ("a.json", table.to_json), ("a.csv.gz", table.to_csv)):
        assert write(folder / name) == ""
        assert sorted(PfxTable.from_file(folder / name)) == sorted(table)
    assert len(json.loads(table.to_json())["roas"]) == len(table)
    assert table.to_csv().splitlines()[0] + "\n" == HEAD
    assert {path.name for path in folder.iterdir()} == {"a.csv", "a.json", "a.csv.gz"}


def test_a_link_stays_one_and_a_file_keeps_its_mode(tmp_path: Path) -> None:
    file, link = tmp_path / "vrps.json", tmp_path / "link.json"
    file.write_text("")
    file.chmod(0o640)
    link.symlink_to(file)
    PfxTable().to_json(link)
    assert link.is_symlink()
    assert json.loads(file.read_text()) == {"roas": []}
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


@pytest.mark.parametrize("name", ["fifo", "fifo.gz"])
def test_a_pipe_is_written_to_and_stays(tmp_path: Path, name: str) -> None:
    fifo = tmp_path / name
    os.mkfifo(fifo)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(fifo.read_bytes)
        assert PfxTable().to_csv(fifo) == ""
        assert fifo.is_fifo()
        octets = reading.result(10)
    assert (gzip.decompress(octets) if name.endswith(".gz") else octets).decode() == HEAD
    assert list(tmp_path.iterdir()) == [fifo]


def test_two_that_write_one_file_are_not_in_each_others_way(tmp_path: Path) -> None:
    tables = [PfxTable(), PfxTable()]
    for asn, table in enumerate(tables):
        table.add_records((asn, f"10.{high}.{low}.0", 24, 24) for high in range(20) for low in range(256))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda turn: tables[turn % 2].to_csv(tmp_path / "vrps.csv"), range(20)))
    assert (tmp_path / "vrps.csv").read_text() in [table.to_csv() for table in tables]
    assert len(list(tmp_path.iterdir())) == 1


def test_where_nothing_can_be_written_the_file_that_was_asked_for_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        PfxTable().to_json(tmp_path / "none" / "vrps.json")
    assert caught.value.filename == str(tmp_path / "none" / "vrps.json")


def _split(prefix: str) -> tuple[str, int]:
    address, _, length = prefix.partition("/")
    return address, int(length)
