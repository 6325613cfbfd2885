"""SLURM in the running daemon: in force at the start and whenever the files change, and never half."""

import json
from collections.abc import Sequence
from pathlib import Path

from rtrd.demo.caches import VRP
from rtrd.demo.lab import Lab
from tests.lab.daemons import Daemon
from tests.lab.programs import AS_US, rtrd
from tests.lab.rtr_routers import exported
from tests.lab.slurm_text import slurm_text
from tests.lab.stayrtr import StayRTR

VRPS = [VRP("192.0.2.0/24", 24, 64500), VRP("198.51.100.0/24", 24, 64501), VRP("2001:db8::/32", 48, 64502)]
OURS = VRP("203.0.113.0/24", 24, 64510)


def write(path: Path, filters: Sequence[dict[str, object]] = (), assertions: Sequence[VRP] = ()) -> None:
    """Write a SLURM file beside the old one, and rename."""
    fresh = path.with_suffix(".new")
    fresh.write_text(slurm_text(filters, assertions))
    fresh.replace(path)


def test_filters_and_assertions_hold_from_the_start_and_change_with_the_file(lab: Lab) -> None:
    path = lab.folder / "slurm.json"
    write(path, [{"asn": 64501}], [OURS])
    cache = lab.start(StayRTR(lab.folder, VRPS))
    settings = {"slurm": ["slurm.json"], "rtr-server": {"listen": ["127.0.0.1:0"]}}
    daemon = lab.start(Daemon(lab.folder, [cache], settings=settings))
    status = daemon.wait_status(lambda status: status["ready"], "a usable VRP set")
    assert status["slurm"] == [{"path": str(path), "fault": None, "filters": 1, "assertions": 1}]
    assert status["groups"][0]["servers"][0]["vrps"] == 3
    assert daemon.validity("198.51.100.0/24", 64501) == "not-found"
    assert daemon.validity("203.0.113.0/24", 64510) == "valid"
    daemon.wait_status(lambda status: status["rtr_server"]["vrps"] == 3, "the relay to serve")
    assert exported(daemon.relay_port()) == {VRPS[0], VRPS[2], OURS}

    write(path, [{"prefix": "2001:db8::/32"}])
    daemon.wait_vrps(2)
    assert daemon.validity("203.0.113.0/24", 64510) == "not-found"
    daemon.wait_status(lambda status: status["rtr_server"]["vrps"] == 2, "the relay to serve the change")
    assert exported(daemon.relay_port()) == set(VRPS[:2])


def test_a_broken_file_leaves_the_old_one_in_force_and_says_so(lab: Lab) -> None:
    path = lab.folder / "slurm.json"
    write(path, assertions=[OURS])
    daemon = lab.start(Daemon(lab.folder, [lab.start(StayRTR(lab.folder, VRPS))], settings={"slurm": ["slurm.json"]}))
    daemon.wait_vrps(4)
    path.write_text(path.read_text().replace("203.0.113.0/24", "203.0.113.1/24"))
    status = daemon.wait_status(lambda status: status["slurm"][0]["fault"] is not None, "the fault in the status")
    assert status["slurm"][0]["fault"].startswith(f"{path}:9: locallyAddedAssertions.prefixAssertions[0]: ")
    daemon.process.wait_for(r"SLURM files refused.*slurm\.json:9: ")
    assert (status["slurm"][0]["assertions"], sum(status["vrps"].values())) == (1, 4)
    path.unlink()
    daemon.wait_status(lambda status: "No such file" in (status["slurm"][0]["fault"] or ""), "the fault in the status")
    assert daemon.validity("203.0.113.0/24", 64510) == "valid"
    write(path)
    status = daemon.wait_vrps(3)
    assert status["slurm"] == [{"path": str(path), "fault": None, "filters": 0, "assertions": 0}]


def test_faults_are_faults_of_the_configuration(lab: Lab) -> None:
    one, two = lab.folder / "one.json", lab.folder / "two.json"
    write(one, [{"prefix": "192.0.2.0/24"}])
    write(two, assertions=[VRP("192.0.2.0/25", 25, 64500)])
    daemon = Daemon(lab.folder, [lab.start(StayRTR(lab.folder, VRPS))], settings={"slurm": ["one.json", "two.json"]})
    overlap = f"{two}:9: 192.0.2.0/25 overlaps 192.0.2.0/24 of {one} (RFC 8416 section 4.2)\n"
    for words in (["check", *AS_US, daemon.config], ["run", "-c", daemon.config]):
        done = rtrd(*words)
        assert (done.returncode, done.stderr) == (2, overlap)
    done = rtrd("check", *AS_US, "--json", daemon.config)
    assert json.loads(done.stdout)["faults"] == [
        {"file": str(two), "line": 9, "what": overlap.split(": ", 1)[1][:-1], "severity": "fault"}
    ]
    two.unlink()
    one.write_text("{")
    done = rtrd("check", *AS_US, daemon.config)
    assert done.returncode == 2
    assert [line.split(": ")[0] for line in done.stderr.splitlines()] == [f"{one}:1", str(two)]
