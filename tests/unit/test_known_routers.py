"""Which ExaBGPs should be attached: since when they are not, over restarts, and until an operator forgets them."""

import datetime as dt
import json
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from rtrd.base import state_file
from rtrd.base.clock import Clock
from rtrd.base.errors import ConflictError
from rtrd.base.registry import Problem, Registry
from rtrd.known_routers import GRACE, MOST, NAME, KnownRouters
from tests.lab.still_daemon import CONFIG, StillDaemon
from tests.lab.wait import until


class Told:
    """The known routers of one run of rtrd, and what it says of them."""

    def __init__(self, folder: Path | None = None, names: Sequence[str] = (), began: float = 1000.0) -> None:
        self.now, self.ahead = began, 0.0
        self.known = KnownRouters(folder, names, Clock(lambda: self.now - self.ahead, lambda: self.now))
        self.registry = Registry(lambda: self.now)
        self.known.register(self.registry)

    def attach(self, *names: str) -> None:
        for name in names:
            self.known.arrived(name, expected=True)

    def leave(self, *names: str) -> None:
        for name in names:
            self.now += 1
            self.known.left(name)

    @property
    def problems(self) -> list[Problem]:
        return [problem._replace(key="") for problem in self.registry.problems()]

    @property
    def attached(self) -> dict[str, float]:
        (family,) = (family for family in self.registry.collect() if family and family.name == "rtrd_router_attached")
        return {sample.labels["router"]: sample.value for sample in family.samples}


def gone(name: str, since: float) -> Problem:
    return Problem(f"ExaBGP {name} is gone (`rtrd forget {name}` if it is not coming back)", since, "critical")


def test_one_that_leaves_is_missed_until_it_is_back() -> None:
    told = Told()
    told.attach("edge", "core")
    assert (told.problems, told.attached) == ([], {"edge": 1, "core": 1})
    told.leave("edge")
    assert (told.problems, told.attached) == ([gone("edge", 1001)], {"edge": 0, "core": 1})
    told.attach("edge")
    assert (told.problems, told.attached) == ([], {"edge": 1, "core": 1})


async def test_without_a_state_folder_it_knows_them_until_it_ends() -> None:
    told = Told()
    await told.known.load()
    told.attach("edge")
    told.leave("edge")
    assert told.problems == [gone("edge", 1001)]
    await told.known.close()


def test_one_that_is_forgotten_is_missed_no_more() -> None:
    told = Told()
    told.attach("edge")
    with pytest.raises(ConflictError, match="edge is attached"):
        told.known.forget("edge")
    told.leave("edge")
    told.known.forget("edge")
    assert (told.problems, told.attached) == ([], {})


def test_those_of_the_configuration_have_their_time_and_are_then_missed() -> None:
    told = Told(names=["edge", "core", "edge"])
    assert (told.problems, told.attached) == ([], {"edge": 0, "core": 0})
    told.attach("core", "lab")
    told.leave("lab")  # nobody expects it
    told.now = 1000 + GRACE
    assert told.problems == [
        Problem(
            "ExaBGP edge has never been attached (take it out of `routers` if it is not coming back)", 1000, "critical"
        )
    ]
    told.known.change([])
    assert [problem.what for problem in told.problems] == [
        "ExaBGP lab is gone (`rtrd forget lab` if it is not coming back)"
    ]


async def test_the_status_names_those_of_the_configuration(tmp_path: Path) -> None:
    async with StillDaemon(tmp_path, f"{CONFIG}routers: [edge1]\n") as one:
        status = json.loads(msgspec.json.encode(await one.daemon.registry.status()))
    assert [(each["name"], each["attached"]) for each in status["routers"]] == [("exabgp", True), ("edge1", False)]
    assert status["host"] == socket.gethostname()
    assert abs(dt.datetime.fromisoformat(status["started"]).timestamp() - time.time()) < 100


def test_one_behind_our_own_pipes_is_never_missed() -> None:
    """Its end is ours."""
    told = Told()
    told.known.arrived("exabgp", expected=False)
    assert told.attached == {"exabgp": 1}
    told.leave("exabgp")
    assert (told.problems, told.attached) == ([], {})


async def test_after_a_restart_it_knows_who_was_there_and_who_was_gone(tmp_path: Path) -> None:
    before = Told(tmp_path)
    await before.known.load()
    before.attach("edge", "core")
    before.leave("edge")
    await before.known.close()
    before.leave("core")  # rtrd ends
    after = Told(tmp_path, began=2000)
    await after.known.load()
    assert (after.problems, after.attached) == ([gone("edge", 1001)], {"edge": 0, "core": 0})
    after.now += GRACE
    never = Problem(
        "ExaBGP core has not been attached since rtrd started (`rtrd forget core` if it is not coming back)",
        2000,
        "critical",
    )
    assert after.problems == [gone("edge", 1001), never]
    await after.known.close()


async def test_a_change_is_on_the_disk_at_once_and_a_full_one_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_file, "AGAIN", 0.01)
    told = Told(tmp_path / "state")
    await told.known.load()
    told.attach("edge")
    await until(lambda: bool(told.problems))
    where = tmp_path / "state" / NAME
    [problem] = told.problems
    assert problem.what == f"routers in the state folder: {where}: cannot be written: No such file or directory"
    where.parent.mkdir()
    await until(lambda: not told.problems)
    assert json.loads(where.read_bytes()) == {"edge": None}
    await told.known.close()


@pytest.mark.parametrize(
    "content",
    [b"", b"[1]", b'{"edge": "x"}', b"\xff", b'{"\xff": 1}', b'{"edge": -1e300}', b'{"\\u001b[31m": 1}', b'{"": 1}'],
)
async def test_a_file_that_makes_no_sense_is_a_problem_until_it_is_written_again(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / NAME).write_bytes(content)
    told = Told(tmp_path)
    await told.known.load()
    assert "cannot be read" in told.problems[0].what
    told.attach("edge")
    await until(lambda: not told.problems)
    await told.known.close()


def test_the_names_are_bounded_and_those_that_are_there_stay() -> None:
    told = Told()
    told.attach("edge")
    for i in range(2 * MOST):
        told.attach(f"x{i}")
        told.leave(f"x{i}")
    assert len(told.attached) == MOST
    assert told.attached["edge"] == 1
    assert told.attached[f"x{2 * MOST - 1}"] == 0


async def test_a_time_to_come_is_now(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b'{"edge": 1e300}')
    told = Told(tmp_path)
    await told.known.load()
    assert (told.problems, told.problems[0].answer()["since"]) == ([gone("edge", 1000)], "1970-01-01T00:16:40Z")
    await told.known.close()


@pytest.mark.parametrize("seen", ["in time", "as one is written"])
async def test_a_file_that_can_be_read_only_later_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: str
) -> None:
    """The folder was away at the start, or no thread was to be had."""
    monkeypatch.setattr(state_file, "AGAIN", 0.01 if seen == "in time" else 1000.0)
    state = tmp_path / "state"
    state.mkdir()
    (state / NAME).write_text('{"edge": 1000, "lab": 1000}')
    state.rename(tmp_path / "away")
    state.write_text("no folder")
    told = Told(state, began=2000)
    await told.known.load()
    assert "cannot be read: Not a directory" in told.problems[0].what
    state.unlink()
    (tmp_path / "away").rename(state)
    if seen != "in time":
        told.attach("edge")
    await until(lambda: gone("lab", 1000) in told.problems)
    told.attach("edge")
    await until(lambda: told.problems == [gone("lab", 1000)])
    await until(lambda: json.loads((state / NAME).read_bytes()) == {"edge": None, "lab": 1000})
    await told.known.close()


async def test_neither_a_fifo_nor_a_link_in_its_place_does_harm(tmp_path: Path) -> None:
    state, other = tmp_path / "state", tmp_path / "other"
    state.mkdir()
    os.mkfifo(state / NAME)
    (state / f"{NAME}.new").symlink_to(other)
    other.write_text("kept")
    told = Told(state)
    await told.known.load()
    assert "it is a FIFO, not a file" in told.problems[0].what
    told.attach("edge")
    await until(lambda: not told.problems)
    assert (json.loads((state / NAME).read_bytes()), other.read_text()) == ({"edge": None}, "kept")
    await told.known.close()


def test_the_grace_goes_by_the_time_that_passed_though_the_clock_is_set(tmp_path: Path) -> None:
    """A host without a battery boots in 1970, and NTP sets its clock a moment later."""
    told = Told(tmp_path, ("edge",), began=5.0)
    told.now, told.ahead = told.now + 1.8e9, 1.8e9
    assert told.problems == []
    told.now += GRACE
    (problem,) = told.problems
    assert problem.since == 1.8e9 + 5, "the start, by the clock as it is now"
