"""A running daemon whose configuration changes: real caches keep their processes and sessions, VRPs stay in force."""

import json
import signal
from collections.abc import Sequence
from typing import Any

import yaml

from rtrd.demo.caches import VRP
from rtrd.demo.lab import Lab
from tests.lab.daemons import Daemon, caches_of
from tests.lab.slurm_text import slurm_text
from tests.lab.stayrtr import StayRTR

ONE, TWO, THREE = (VRP(f"192.0.2.{number}/32", 32, 64500) for number in (1, 2, 3))


def cache(lab: Lab, name: str, *vrps: VRP) -> StayRTR:
    return lab.start(StayRTR(lab.folder, vrps, name=name))


def running(lab: Lab, **settings: Any) -> Daemon:
    """A daemon with a cache that serves ONE."""
    daemon = lab.start(Daemon(lab.folder, [cache(lab, "one", ONE)], settings=settings))
    daemon.wait_vrps(1)
    return daemon


def settings(daemon: Daemon, groups: Sequence[tuple[str, Sequence[StayRTR]]], **more: Any) -> None:
    """Write groups by falling preference."""
    daemon.config.write_text(yaml.safe_dump({"caches": caches_of(dict(groups)), "control": str(daemon.socket), **more}))


def sessions(daemon: Daemon) -> dict[int, tuple[Any, ...]]:
    """By port: what a new connection of a cache would change."""
    return {
        server["port"]: (server["session_id"], server["last_update"], server["restarts"], server["state"])
        for group in daemon.now()["groups"]
        for server in group["servers"]
    }


def test_caches_come_go_and_change_places(lab: Lab) -> None:
    first, second = cache(lab, "first", ONE), cache(lab, "second", TWO)
    daemon = Daemon(lab.folder, [])
    settings(daemon, [("a", [first])])
    lab.start(daemon)
    daemon.wait_vrps(1)
    before = sessions(daemon)[first.port]

    # A second group, less preferred: nothing happens to the first.
    settings(daemon, [("a", [first]), ("b", [second])])
    assert daemon.reload().stdout.splitlines()[1:] == [
        "group b is added, with preference 2",
        f"cache {second.address}:{second.port} is added to group b",
    ]
    assert sessions(daemon)[first.port] == before
    assert daemon.validity("192.0.2.1/32", 64500) == "valid"

    # They change places: the second is used once it is in sync.
    settings(daemon, [("b", [second]), ("a", [first])])
    assert "group b: preference 2 becomes 1" in daemon.reload().stdout
    daemon.wait_status(lambda status: status["active_group"] == "b", "group b in use")
    assert daemon.validity("192.0.2.2/32", 64500) == "valid"

    # Both in one group: the VRPs of both count, and the second keeps its session.
    before = sessions(daemon)[second.port]
    settings(daemon, [("b", [second, first])])
    daemon.reload()
    daemon.wait_vrps(2)
    assert sessions(daemon)[second.port] == before

    # Only the first is left: what the second said is gone.
    before = sessions(daemon)[first.port]
    settings(daemon, [("c", [first])])
    daemon.reload()
    daemon.wait_vrps(1)
    assert sessions(daemon) == {first.port: before}
    assert daemon.validity("192.0.2.1/32", 64500) == "valid"


def test_when_all_caches_are_replaced_the_old_vrps_count_until_a_new_one_answers(lab: Lab) -> None:
    old, new = cache(lab, "old", ONE), cache(lab, "new", ONE, TWO)
    daemon = Daemon(lab.folder, [])
    settings(daemon, [("old", [old])])
    lab.start(daemon)
    daemon.wait_vrps(1)
    new.stop()
    settings(daemon, [("new", [new])])
    assert daemon.reload().returncode == 0
    daemon.wait_status(lambda status: status["groups"][0]["servers"][0]["error"] is not None, "a failed cache")
    status = daemon.now()
    assert (status["ready"], status["vrps"], status["active_group"]) == (True, {"ipv4": 1, "ipv6": 0}, "old")
    lab.start(new)
    daemon.wait_vrps(2)
    daemon.wait_status(lambda status: status["active_group"] == "new", "the new group in use")


def test_other_intervals_reach_the_caches_and_no_vrp_is_lost(lab: Lab) -> None:
    daemon = running(lab)
    daemon.process.wait_for("VRPs changed")  # of the first ones; their line may come late
    lost = len(daemon.process.lines)
    daemon.config.write_text(daemon.config.read_text().replace("refresh: 60", "refresh: 30"))
    assert daemon.reload().stdout.splitlines()[1:] == ["caches.refresh: 60 becomes 30"]
    daemon.wait_status(lambda status: status["groups"][0]["servers"][0]["state"] == "ESTABLISHED", "a session again")
    daemon.process.wait_for("cache in sync", since=lost)
    assert not [line for line in daemon.process.lines[lost:] if "VRPs changed" in line.text]
    assert daemon.validity("192.0.2.1/32", 64500) == "valid"


def test_slurm_files_come_and_go(lab: Lab) -> None:
    daemon = running(lab)
    plain = daemon.config.read_text()
    slurm = slurm_text(assertions=[VRP("198.51.100.0/24", 24, 64501)], indent=None)
    (lab.folder / "slurm.json").write_text(slurm)
    daemon.config.write_text("slurm: [slurm.json]\n" + plain)
    assert daemon.reload().stdout.splitlines()[1:] == [f"slurm: {lab.folder}/slurm.json is used"]
    daemon.wait_vrps(2)
    (lab.folder / "slurm.json").write_text(slurm.replace("64501", "x"))
    refused = daemon.reload()
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"{lab.folder}/slurm.json:1: ")
    daemon.config.write_text(plain)
    assert daemon.reload().returncode == 0
    daemon.wait_vrps(1)


def test_a_faulty_file_is_refused_and_the_old_one_stays(lab: Lab) -> None:
    daemon = running(lab, **{"start-hold": 5})
    good = daemon.config.read_text()
    daemon.config.write_text(good.replace("refresh: 60", "refresh: 0") + "bogus: 1\n")
    refused = daemon.reload()
    assert (refused.returncode, refused.stdout) == (2, "")
    lines = refused.stderr.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{daemon.config}:") for line in lines)
    assert daemon.validity("192.0.2.1/32", 64500) == "valid"
    # SIGHUP does the same; the log has the faults, and what is changed in the end.
    daemon.process.send_signal(signal.SIGHUP)
    daemon.process.wait_for("configuration refused.*bogus")
    daemon.config.write_text(good.replace("start-hold: 5", "start-hold: 6"))
    daemon.process.send_signal(signal.SIGHUP)
    daemon.process.wait_for("configuration changed.*start-hold: 5 becomes 6")
    assert daemon.reload().stdout == f"{daemon.config}, read by the rtrd at {daemon.socket}: nothing changed\n"
    assert json.loads(daemon.reload("--json").stdout) == {"file": str(daemon.config), "changes": [], "reconnected": []}


def test_what_cannot_be_changed_is_said_each_time(lab: Lab) -> None:
    daemon = running(lab)
    other = lab.folder / "other.sock"
    daemon.config.write_text(daemon.config.read_text().replace(str(daemon.socket), str(other)))
    for _ in range(2):
        assert daemon.reload().stdout.splitlines()[1:] == [
            f"control: {daemon.socket} becomes {other} (only after a restart)"
        ]
