"""SLURM in the running daemon: in force at the start and whenever the files change, and never half."""

import json
import subprocess
from pathlib import Path
from typing import Any

from rtrd.demo.caches import VRP
from rtrd.demo.lab import Lab, find_program
from tests.lab.daemons import Daemon
from tests.lab.rtr_routers import exported
from tests.lab.stayrtr import StayRTR

VRPS = [VRP("192.0.2.0/24", 24, 64500), VRP("198.51.100.0/24", 24, 64501), VRP("2001:db8::/32", 48, 64502)]
OURS = VRP("203.0.113.0/24", 24, 64510)


def write(path: Path, filters: list[dict[str, Any]] | None = None, assertions: list[VRP] | None = None) -> None:
    """Write a SLURM file beside the old one, and rename."""
    text = {
        "slurmVersion": 1,
        "validationOutputFilters": {"prefixFilters": filters or [], "bgpsecFilters": []},
        "locallyAddedAssertions": {
            "prefixAssertions": [
                {"prefix": one.prefix, "asn": one.asn, "maxPrefixLength": one.max_length} for one in assertions or []
            ],
            "bgpsecAssertions": [],
        },
    }
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(text, indent=1))
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
    rtrd = find_program("rtrd", "make venv")
    overlap = f"{two}:9: 192.0.2.0/25 overlaps 192.0.2.0/24 of {one} (RFC 8416 section 4.2)\n"
    for words in (["check", daemon.config], ["run", "-c", daemon.config]):
        done = subprocess.run([rtrd, *map(str, words)], capture_output=True, text=True, timeout=30, check=False)
        assert (done.returncode, done.stderr) == (2, overlap)
    argv = [rtrd, "check", "--json", str(daemon.config)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert json.loads(done.stdout)["faults"] == [
        {"file": str(two), "line": 9, "what": overlap.split(": ", 1)[1][:-1], "severity": "fault"}
    ]
    two.unlink()
    one.write_text("{")
    done = subprocess.run([rtrd, "check", str(daemon.config)], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert [line.split(": ")[0] for line in done.stderr.splitlines()] == [f"{one}:1", str(two)]
