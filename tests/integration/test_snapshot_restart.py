"""Restarts with a snapshot: validating before any cache answers, and never on what it must not believe."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rtrd.demo.caches import VRP, write_vrps
from rtrd.demo.lab import Lab
from tests.lab import turned_rtrd
from tests.lab.daemons import Daemon
from tests.lab.rtr_routers import exported
from tests.lab.slurm_text import slurm_text
from tests.lab.stayrtr import StayRTR

VRPS = [VRP("192.0.2.0/24", 24, 64500), VRP("2001:db8::/32", 48, 64502)]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    state = tmp_path / "state"
    state.mkdir()
    return state


def kept(lab: Lab, vrps: list[VRP] = VRPS, clock: Path | None = None, **settings: Any) -> tuple[StayRTR, Daemon]:
    """A cache, and a daemon that has written a snapshot of it; its clock is right, and can be turned."""
    cache = lab.start(StayRTR(lab.folder, vrps))
    program = [] if clock is None else turned_rtrd.program(clock)
    daemon = lab.start(Daemon(lab.folder, [cache], settings={**SETTINGS, **settings}, program=program))
    daemon.wait_status(lambda status: status["snapshot"]["age"] is not None, "a snapshot")
    return cache, daemon


YEAR = 366 * 86400
SETTINGS = {"state": "state", "rtr-server": {"listen": ["127.0.0.1:0"]}}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_validates_at_once_and_goes_over_to_the_cache(lab: Lab, state: Path, number: signal.Signals) -> None:
    cache, daemon = kept(lab)
    fresh = daemon.now()
    assert fresh["snapshot"] == {"used": False, "age": fresh["snapshot"]["age"], "fault": None}
    cache.stop()
    daemon.process.stop(number)
    daemon.start()
    status = daemon.now()
    assert (status["ready"], status["active_group"]) == (True, None)
    assert status["snapshot"]["used"]
    assert status["vrps"] == {"ipv4": 1, "ipv6": 1}
    assert daemon.validity("192.0.2.0/24", 64500) == "valid"
    daemon.wait_status(lambda status: status["rtr_server"]["vrps"] == 2, "the relay to serve")
    assert exported(daemon.relay_port()) == set(VRPS)
    degraded = daemon.wait_status(lambda status: status["health"]["status"] == "degraded", "it to miss the cache")
    assert "the VRPs of the previous run are in force until they expire, at 20" in degraded["health"]["summary"]
    cache.start()
    after = daemon.wait_status(lambda status: not status["snapshot"]["used"], "the cache to take over")
    assert after["active_group"] == "group1"
    daemon.wait_status(lambda status: status["health"] == {"status": "ok", "summary": "ready"}, "all to be well")
    assert after["vrps"] == {"ipv4": 1, "ipv6": 1}
    daemon.process.wait_for(r"VRPs now come from.*changed=0")
    cache.serve(VRPS[:1])
    daemon.wait_vrps(1)
    daemon.process.wait_until(lambda: files(state) == {"rtr.sessions", "vrps.snapshot"}, 30, "nothing half written")


def test_what_is_held_against_it_is_held_until_it_expires(lab: Lab, state: Path) -> None:  # noqa: ARG001
    cache, daemon = kept(lab, guard={"max-shrink": "10%", "hold": 86400})
    cache.stop()
    daemon.process.stop()
    write_vrps(cache.file, VRPS[:1])
    daemon.start()
    cache.start()
    status = daemon.wait_status(lambda status: status["guard"]["state"] == "held", "the change to be held")
    assert status["snapshot"]["used"]
    assert status["guard"]["held"]["seconds_left"] <= 600, "its VRPs expire then"


def test_at_the_end_the_newest_vrps_are_kept(lab: Lab, state: Path) -> None:
    cache, daemon = kept(lab, VRPS[:1])
    cache.serve(VRPS)
    daemon.wait_vrps(2)
    before = (state / "vrps.snapshot").stat().st_size
    daemon.stop()
    assert (state / "vrps.snapshot").stat().st_size == before + 24, "not due yet, but it is the end"


def test_vrps_that_their_cache_withdrew_do_not_come_back_not_even_the_last_ones(lab: Lab, state: Path) -> None:
    cache, daemon = kept(lab)
    cache.serve([])
    daemon.wait_status(lambda status: status["vrps"] == {"ipv4": 0, "ipv6": 0}, "none to be left")
    daemon.stop()
    cache.stop()
    daemon.start()
    status = daemon.now()
    assert (status["ready"], status["snapshot"]["used"], status["vrps"]) == (True, True, {"ipv4": 0, "ipv6": 0})
    assert daemon.validity("192.0.2.0/24", 64501) == "not-found", "as it was, and no longer invalid"
    assert state.exists()


def test_filters_are_not_in_it_so_that_they_can_go(lab: Lab, state: Path) -> None:
    slurm = lab.folder / "slurm.json"
    slurm.write_text(slurm_text([{"asn": 64500}], [VRP("203.0.113.0/24", 24, 1)]))
    cache, daemon = kept(lab, slurm=["slurm.json"])
    daemon.wait_vrps(2)
    daemon.stop()
    cache.stop()
    slurm.write_text(slurm_text())
    daemon.start()
    daemon.wait_vrps(2)
    assert daemon.validity("192.0.2.0/24", 64500) == "valid"
    assert daemon.validity("203.0.113.0/24", 1) == "not-found"
    assert state.exists()


def test_a_torn_one_is_refused_with_the_reason_and_replaced(lab: Lab, state: Path) -> None:
    path = state / "vrps.snapshot"
    path.write_bytes(b"rtrdVRPs\1\0\0\0")
    daemon = lab.start(Daemon(lab.folder, [lab.start(StayRTR(lab.folder, VRPS))], settings=SETTINGS))
    daemon.process.wait_for(rf"the snapshot is not used.*{path}: it is torn: 12 octets are too few for a header")
    daemon.wait_vrps(2)
    daemon.wait_status(lambda status: status["snapshot"]["fault"] is None, "a new snapshot")
    assert path.stat().st_size == 64 + 48


WHOLE = {
    "old": (b"rtrdVRPs\0\0\0\0", "it has another format"),
    "changed": (b"", "its checksum is wrong"),
    "something else": (b'{"roas": []', "this is not a snapshot of rtrd"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_one_not_to_be_believed_is_refused_with_the_reason_and_replaced(lab: Lab, state: Path, name: str) -> None:
    path = state / "vrps.snapshot"
    _, daemon = kept(lab)
    daemon.stop()
    front, reason = WHOLE[name]
    octets = path.read_bytes()
    path.write_bytes(front + octets[len(front) : -1] + bytes([octets[-1] ^ 1]))
    daemon.start()
    daemon.process.wait_for(rf"the snapshot is not used.*{path}: {reason}")
    daemon.wait_vrps(2)
    daemon.wait_status(lambda status: status["snapshot"]["fault"] is None, "a new snapshot")


def test_one_of_the_future_is_refused_and_one_that_is_too_old_too(lab: Lab, state: Path) -> None:
    clock = lab.folder / "clock"
    cache, daemon = kept(lab, clock=clock)
    cache.stop()
    for seconds, reason in ((-3600, r"it is dated 3[56]\d\d s ahead of the clock"), (601, "VRPs count for 600 s")):
        daemon.process.stop(signal.SIGKILL)
        turned_rtrd.turn(clock, seconds)
        daemon.start()
        daemon.process.wait_for(rf"the snapshot is not used.*{state}/vrps.snapshot: .*{reason}")
        status = daemon.now()
        assert (status["ready"], status["snapshot"]["used"]) == (False, False)


def test_vrps_that_came_while_the_clock_was_wrong_have_the_right_date_once_it_is_set(lab: Lab, state: Path) -> None:
    """A host without a battery boots in 1970, and its caches may answer before NTP does."""
    clock = lab.folder / "clock"
    cache = lab.start(StayRTR(lab.folder, VRPS))
    program = turned_rtrd.program(clock)
    turned_rtrd.turn(clock, 0, -50 * YEAR)
    daemon = lab.start(Daemon(lab.folder, [cache], settings=SETTINGS, program=program))
    status = daemon.wait_status(lambda status: status["snapshot"]["age"] is not None, "a snapshot")
    assert said(status)["last_update"].startswith("197")
    turned_rtrd.turn(clock, 31, 0)
    daemon.wait_status(lambda status: status["started"] > "2000", "the clock to be set")
    status = daemon.wait_status(lambda status: status["snapshot"]["age"] < 600, "a snapshot of today")
    assert said(status)["last_update"] >= status["started"], "the moment that it was, by the clock as it is now"
    assert said(status)["expires"] > status["started"]
    cache.stop()
    daemon.process.stop(signal.SIGKILL)
    daemon.start()
    assert daemon.now()["snapshot"]["used"]
    assert state.exists()


def test_one_that_was_of_the_future_is_used_once_the_clock_is_set(lab: Lab, state: Path) -> None:
    clock = lab.folder / "clock"
    cache, daemon = kept(lab, clock=clock)
    cache.stop()
    daemon.process.stop(signal.SIGKILL)
    turned_rtrd.turn(clock, 0, -3600)
    daemon.start()
    daemon.process.wait_for(r"the snapshot is not used.*ahead of the clock")
    assert not daemon.now()["ready"]
    turned_rtrd.turn(clock, 0, 0)
    status = daemon.wait_status(lambda status: status["snapshot"]["used"], "the snapshot to count")
    assert (status["ready"], status["snapshot"]["fault"]) == (True, None)
    assert daemon.validity("192.0.2.0/24", 64500) == "valid"
    assert state.exists()
    # Nor does it count for longer if the clock is set back now.
    turned_rtrd.turn(clock, 0, -3600)
    daemon.wait_status(lambda status: "until they expire" in status["health"]["summary"], "the cache to be missed")
    turned_rtrd.turn(clock, 601, -3600)
    daemon.wait_status(lambda status: status["vrps"] == {"ipv4": 0, "ipv6": 0}, "them to be too old")


def said(status: dict[str, Any]) -> dict[str, Any]:
    """What the status has of the one cache."""
    (server,) = status["groups"][0]["servers"]
    return dict(server)


def files(folder: Path) -> set[str]:
    """What is kept there beside the history."""
    return {path.name for path in folder.iterdir() if not path.name.startswith("history.sqlite")}


@pytest.fixture
def disk(state: Path) -> Iterator[Path]:
    """The folder on a disk of its own, of 40 kB."""
    if os.geteuid() != 0:
        pytest.skip("mounts need root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", state], check=True)
    yield state
    subprocess.run(["umount", state], check=True)


def test_a_full_disk_costs_the_new_snapshot_and_nothing_else(lab: Lab, disk: Path) -> None:
    clock = lab.folder / "clock"
    cache, daemon = kept(lab, clock=clock)
    good = (disk / "vrps.snapshot").read_bytes()
    many = [VRP(f"10.{number >> 8}.{number & 255}.0/24", 24, 64500) for number in range(2000)]
    cache.serve([*VRPS, *many])
    daemon.wait_vrps(2002)
    turned_rtrd.turn(clock, 31)
    full = f"{disk}/vrps.snapshot: cannot be written: No space left on device"
    daemon.wait_status(lambda status: status["snapshot"]["fault"] == full, "the disk to be full")
    assert (disk / "vrps.snapshot").read_bytes() == good
    assert files(disk) == {"rtr.sessions", "vrps.snapshot"}, "nothing half written"
    subprocess.run(["mount", "-o", "remount,size=1m", disk], check=True)
    turned_rtrd.turn(clock, 62)
    daemon.wait_status(lambda status: status["snapshot"]["fault"] is None, "room")
    assert (disk / "vrps.snapshot").stat().st_size == 64 + 24 * 2002
    # A mount upon it: the disk itself can't be made read-only while the history is open.
    subprocess.run(["mount", "--bind", disk, disk], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", disk], check=True)
    cache.serve(VRPS)
    daemon.wait_vrps(2)
    turned_rtrd.turn(clock, 93)
    locked = f"{disk}/vrps.snapshot: cannot be written: Read-only file system"
    status = daemon.wait_status(lambda status: status["snapshot"]["fault"] == locked, "the disk to be read-only")
    assert status["loop"]["long"] == 0
    subprocess.run(["umount", disk], check=True)
    daemon.stop()


def told(status: dict[str, Any]) -> list[str]:
    return [problem["what"] for problem in status["problems"] if "state folder" in problem["what"]]


def test_a_folder_that_vanishes_is_said_and_one_that_returns_is_used(lab: Lab, state: Path) -> None:
    clock = lab.folder / "clock"
    cache, daemon = kept(lab, VRPS[:1], clock=clock)
    shutil.rmtree(state)
    cache.serve(VRPS)
    daemon.wait_vrps(2)
    fault = f"{lab.folder}/state: there is no such folder"
    status = daemon.wait_status(lambda status: status["snapshot"]["fault"] == fault, "the loss to be noticed, at once")
    problem = f"state folder {fault}; nothing is kept there for the next start"
    daemon.wait_status(lambda status: told(status) == [problem], "one problem with one wording")
    state.mkdir()
    status = daemon.wait_status(lambda status: told(status) == [], "the end of it, and no other words before")
    assert status["snapshot"]["fault"] is None
    assert (state / "vrps.snapshot").stat().st_size == 64 + 48


def test_without_its_folder_rtrd_says_so_once_and_goes_on(lab: Lab) -> None:
    daemon = lab.start(Daemon(lab.folder, [lab.start(StayRTR(lab.folder, VRPS))], settings=SETTINGS))
    status = daemon.wait_vrps(2)
    assert status["snapshot"] == {"used": False, "age": None, "fault": f"{lab.folder}/state: there is no such folder"}
    daemon.stop()
    said = [line.text for line in daemon.process.lines if "no such folder" in line.text]
    assert len([text for text in said if "part=health" not in text]) == 1, said
