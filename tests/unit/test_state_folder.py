"""The state folder is one problem with one wording, whatever parts fail by it; and over when they have written."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rtrd.base.clock import Clock
from rtrd.base.registry import Registry
from rtrd.base.state_folder import AGAIN, PATIENCE, StateFolder

GONE, FULL = "there is no such folder", os.strerror(errno.ENOSPC)


class Stage:
    """A folder, and two parts that keep something there."""

    def __init__(self, path: Path) -> None:
        self.path, self.now = path, 0.0
        self.faults: dict[str, str] = {}
        self.retried: list[str] = []
        self.registry = Registry()
        for name in ("snapshot", "history"):
            self.keep(name)
        self.folder = StateFolder(path, self.registry, Clock(steady=lambda: self.now))

    def keep(self, name: str) -> None:
        self.registry.kept_in_state(name, lambda: self.faults.get(name), lambda: self.retried.append(name))

    async def look(self) -> list[str]:
        await self.folder.look()
        return self.problems

    @property
    def problems(self) -> list[str]:
        return [one.what for one in self.registry.problems()]

    def one(self, why: str) -> list[str]:
        return [f"state folder {self.path}: {why}; nothing is kept there for the next start"]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    (tmp_path / "state").mkdir()
    return Stage(tmp_path / "state")


async def test_a_folder_that_is_gone_is_one_problem_until_the_parts_have_written(stage: Stage) -> None:
    assert await stage.look() == []
    stage.path.rmdir()
    stage.faults = {"snapshot": f"{stage.path}: {GONE}", "history": "disk I/O error"}
    assert stage.problems == [], "the parts notice it before the folder was looked at: nothing is said twice"
    assert await stage.look() == stage.one(GONE)
    stage.path.mkdir()
    assert (await stage.look(), stage.retried) == (stage.one(GONE), ["snapshot", "history"])
    stage.faults.clear()
    assert await stage.look() == []
    assert not list(stage.path.iterdir())


async def test_what_parts_still_can_not_do_in_a_good_folder_is_theirs(stage: Stage) -> None:
    stage.path.rmdir()
    await stage.look()
    stage.path.mkdir()
    stage.faults = {"snapshot": "vrps.snapshot: cannot be read: it is a link"}
    for _ in range(PATIENCE):
        assert await stage.look() == stage.one(GONE)
    assert await stage.look() == ["snapshot in the state folder: vrps.snapshot: cannot be read: it is a link"]


@pytest.mark.parametrize(
    ("break_it", "why"),
    [
        (lambda path: path.rename(path.with_name("away")), GONE),
        (lambda path: (path.rmdir(), path.touch()), "it is not a folder"),
        (lambda path: (path.rmdir(), path.symlink_to(path)), os.strerror(errno.ELOOP)),
    ],
)
async def test_each_reason_has_its_words(stage: Stage, break_it: Callable[[Path], object], why: str) -> None:
    break_it(stage.path)
    assert await stage.look() == stage.one(why)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EROFS])
async def test_what_only_a_trial_shows(stage: Stage, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fails)
    assert await stage.look() == [], "nothing is written where nothing failed"
    stage.faults["history"] = "disk I/O error"
    assert await stage.look() == stage.one(os.strerror(number))
    monkeypatch.undo()
    stage.now += AGAIN - 1
    assert (await stage.look(), stage.retried) == (stage.one(os.strerror(number)), []), "trials are seldom"
    stage.now += 1
    assert (await stage.look(), stage.retried) == (stage.one(os.strerror(number)), ["history"])
    stage.faults.clear()
    assert await stage.look() == []
    assert not list(stage.path.iterdir())


@pytest.mark.parametrize("words", [f"vrps.snapshot: cannot be written: {FULL}", "x: database or disk is full"])
async def test_no_room_for_what_is_larger_than_a_trial_is_no_room(stage: Stage, words: str) -> None:
    stage.faults["snapshot"] = words
    assert await stage.look() == stage.one(FULL)


async def test_the_metric_has_the_folder_and_its_parts(stage: Stage) -> None:
    stage.path.rmdir()
    stage.faults["history"] = "disk I/O error"
    await stage.look()
    assert stage.registry.state_samples() == [(("folder",), True), (("snapshot",), False), (("history",), True)]


async def test_room_that_is_there_again_is_tried_at_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What did not fit is written as soon as more is free: nobody waits for the next trial."""
    free = 0
    found = os.statvfs(stage.path)

    def statvfs(_: Path) -> os.statvfs_result:
        blocks = free // found.f_frsize
        return os.statvfs_result([*found[:3], blocks, blocks, *found[5:]])

    monkeypatch.setattr(os, "statvfs", statvfs)
    free = 100_000
    assert await stage.look() == []
    stage.faults["snapshot"] = f"vrps.snapshot: cannot be written: {FULL}"
    assert await stage.look() == stage.one(FULL)
    free = 150_000
    assert (await stage.look(), stage.retried) == (stage.one(FULL), []), "others write and remove their files"
    free = 50_000_000
    assert (await stage.look(), stage.retried) == (stage.one(FULL), ["snapshot"])
    assert (await stage.look(), stage.retried) == (stage.one(FULL), ["snapshot"]), "once"
    stage.faults.clear()
    assert await stage.look() == []
