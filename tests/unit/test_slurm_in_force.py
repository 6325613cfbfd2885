"""What SLURM files say comes into force at once: whoever is told of a change sees all of it done."""

import asyncio
import json
import threading
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from rtrd.vrps import slurm_files
from rtrd.vrps.aspas import ASPASet
from rtrd.vrps.slurm import File
from rtrd.vrps.slurm_files import MAX_OCTETS, SlurmFiles, read
from rtrd.vrps.task_queue import TaskQueue
from rtrlib import aspas
from rtrlib.vrp import VRP
from rtrlib.vrp_set import VRPChanges
from tests.lab.slurm_text import slurm_text
from tests.lab.vrp_sets import set_of

THEIRS = VRP("192.0.2.0/24", 24, 64500)
OURS = VRP("192.0.2.0/24", 25, 64501)
FILTER = {"prefix": THEIRS.prefix}


class Told:
    """A VRP set with one cache, and the effective set as it was each time that somebody was told of a change."""

    def __init__(self, *paths: Path) -> None:
        self.vrp_set = set_of(THEIRS)
        self.seen: list[set[VRP]] = []
        self.files = SlurmFiles(paths, self.vrp_set, TaskQueue(), self._changed)

    def _changed(self, changes: VRPChanges) -> Generator[None]:
        assert len(changes)
        self.seen.append(self.now)
        yield from ()

    @property
    def now(self) -> set[VRP]:
        return {entry.vrp for entry in self.vrp_set.vrps()}


async def test_a_vrp_that_is_replaced_is_never_seen_missing(tmp_path: Path) -> None:
    path = tmp_path / "slurm.json"
    path.write_text(slurm_text([FILTER], [OURS]))
    told = Told(path)
    await told.files.load()
    assert told.seen == [{OURS}], "the filter and the assertion are one change"
    path.write_text(slurm_text())
    await told.files.load()
    assert told.seen[1:] == [{THEIRS}]


async def test_the_same_again_is_no_change(tmp_path: Path) -> None:
    path = tmp_path / "slurm.json"
    path.write_text(slurm_text([FILTER], [OURS]))
    told = Told(path)
    await told.files.load()
    generation = told.vrp_set.generation
    await told.files.load()
    assert (told.vrp_set.generation, len(told.seen)) == (generation, 1)


async def test_one_bad_file_of_two_keeps_both_as_they_were_and_each_says_its_own_fault(tmp_path: Path) -> None:
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    one.write_text(slurm_text([{"prefix": "198.51.100.0/24"}]))
    two.write_text(slurm_text(assertions=[OURS]))
    told = Told(one, two)
    await told.files.load()
    assert told.now == {THEIRS, OURS}
    two.write_text(slurm_text())
    one.write_bytes(b" " * (MAX_OCTETS + 1))
    await told.files.load()
    assert told.now == {THEIRS, OURS}
    first, second = told.files.status()
    assert first["fault"] == f"{one}: longer than 4 MiB: this is not a SLURM file"
    assert (second["fault"], second["assertions"]) == (None, 1)


async def test_files_no_longer_used_do_not_come_back_while_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reload while `follow`, or another reload, is reading: the last word is the operator's."""
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(slurm_text([FILTER]))
    new.write_text(slurm_text(assertions=[OURS]))
    reading, read_on = threading.Event(), threading.Event()

    def slow(paths: Sequence[Path]) -> list[File]:
        if old in paths:
            reading.set()
            assert read_on.wait(30)
        return read(paths)

    monkeypatch.setattr(slurm_files, "read", slow)

    told = Told(old)
    first = asyncio.create_task(told.files.load())
    assert await asyncio.to_thread(reading.wait, 30)
    second = asyncio.create_task(told.files.change((new,)))
    await asyncio.wait({second}, timeout=0.1)  # it may be done now, or wait for the first
    read_on.set()
    await asyncio.gather(first, second)
    assert told.now == {THEIRS, OURS}
    assert [file["path"] for file in told.files.status()] == [str(new)]


async def test_the_same_assertion_twice_is_one(tmp_path: Path) -> None:
    path = tmp_path / "slurm.json"
    path.write_text(slurm_text(assertions=[OURS, OURS]))
    told = Told(path)
    await told.files.load()
    assert told.now == {THEIRS, OURS}
    assert not any(told.vrp_set.faults.values())


async def test_aspas_alone_are_a_change_too(tmp_path: Path) -> None:
    path, held, told = tmp_path / "slurm.json", ASPASet(), list[int]()

    def changed(changes: VRPChanges) -> Generator[None]:
        yield from held.settle()
        held.put_in_force()
        told.append(len(changes))

    def write(filters: list[int], assertions: list[list[int]]) -> None:
        path.write_text(
            json.dumps(
                {
                    "slurmVersion": 2,
                    "validationOutputFilters": {
                        "prefixFilters": [],
                        "bgpsecFilters": [],
                        "aspaFilters": [{"customerAsn": asn} for asn in filters],
                    },
                    "locallyAddedAssertions": {
                        "prefixAssertions": [],
                        "bgpsecAssertions": [],
                        "aspaAssertions": [{"customerAsn": asn, "providerAsns": more} for asn, *more in assertions],
                    },
                }
            )
        )

    held.sources.activate([0])
    held.sources.stage(0, aspas.union_of(aspas.numbers([(1, (2,)), (3, (4,))])))
    held.sources.commit(0)
    files = SlurmFiles([path], set_of(THEIRS), TaskQueue(), changed, aspa_set=held)
    write([1], [[1, 9], [3, 5]])
    await files.load()
    assert dict(aspas.records(held.effective)) == {1: (9,), 3: (4, 5)}
    assert held.by_slurm(1) == (True, (9,))
    assert (files.status()[0]["filters"], files.status()[0]["assertions"]) == (1, 2)
    await files.load()
    write([], [])
    await files.load()
    assert dict(aspas.records(held.effective)) == {1: (2,), 3: (4,)}
    assert told == [0, 0]
