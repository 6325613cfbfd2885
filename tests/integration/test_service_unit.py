"""systemd/*.service under a real systemd: started, watched, reloaded, restarted, stopped, in its sandbox."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rtrd.demo.lab import find_program
from tests.lab import ROOT, systemd_host
from tests.lab.programs import run
from tests.lab.systemd_host import Host

UNITS = sorted((ROOT / "systemd").glob("*.service"))
MOST_EXPOSED = 2.0

CONFIG = """
caches:
  retry: 1
  groups: [{name: local, preference: 1, servers: [{host: 127.0.0.1, port: 8282}]}]
state: /var/lib/%s
control: /run/%s/rtrd.sock
rtr-server: {listen: ["127.0.0.1:3323"]}
"""
VRPS = {"roas": [{"asn": 64500, "prefix": "192.0.2.0/24", "maxLength": 24}]}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    lack = systemd_host.missing()
    if lack is None and ROOT.is_relative_to("/tmp"):
        lack = "this repository lies in /tmp, which the unit hides from the service"
    if lack is not None:
        pytest.skip(lack)
    host = Host(tmp_path)
    (host.folder / "rtrd.yaml").write_text(CONFIG % ("rtrd", "rtrd"))
    (host.folder / "edge.yaml").write_text(CONFIG.replace("3323", "3324") % ("rtrd-edge", "rtrd-edge"))
    (host.folder / "vrps.json").write_text(json.dumps(VRPS))
    systemd_host.install_here(host)
    with host:
        cache = f"{find_program('rtrd', 'make venv')} cache --vrps {host.folder}/vrps.json --listen 127.0.0.1:8282"
        host.run("systemd-run", "--unit=cache", *cache.split())
        yield host


def status(host: Host, run: str = "rtrd") -> dict[str, Any]:
    answer = host.run("rtrd", "status", "--json", "--socket", f"/run/{run}/rtrd.sock")
    found: dict[str, Any] = json.loads(answer.stdout) if answer.returncode == 0 else {}
    return found


def test_the_service_from_its_start_to_its_end(host: Host) -> None:
    host.systemctl("start", "rtrd")  # returns at READY=1
    assert status(host)["version"]
    host.until(lambda: status(host)["ready"], "VRPs of a real cache, by a child process in the sandbox")
    host.until(lambda: "1 VRP of local; 0 routers" in host.show("rtrd", "StatusText"), "the status line")
    assert host.run("stat", "-c", "%U:%G %a", "/run/rtrd/rtrd.sock").stdout == "rtrd:rtrd 660\n"
    assert host.run("stat", "-c", "%U %a", "/var/lib/rtrd").stdout == "rtrd 750\n"
    host.until(lambda: host.journal("-u", "rtrd", "CACHE=127.0.0.1:8282", "PART=vrps"), "an entry with its fields")

    # A reload by systemctl tells the operator when the file is refused, and nothing changes.
    host.run("sed", "-i", "s/retry: 1/retry: 0/", "/etc/rtrd/rtrd.yaml")
    assert host.run("systemctl", "reload", "rtrd").returncode != 0
    assert "/etc/rtrd/rtrd.yaml:3:" in host.journal("-u", "rtrd")
    host.run("sed", "-i", "s/retry: 0/retry: 2/", "/etc/rtrd/rtrd.yaml")
    host.systemctl("reload", "rtrd")
    host.until(lambda: "caches.retry: 1 becomes 2" in host.journal("-u", "rtrd"), "the change in the journal")
    pid = host.show("rtrd", "MainPID")
    host.systemctl("kill", "-s", "HUP", "--kill-who=main", "rtrd")
    host.until(lambda: "the configuration has not changed" in host.journal("-u", "rtrd"), "a reload by SIGHUP")
    assert (host.show("rtrd", "ActiveState"), host.show("rtrd", "MainPID")) == ("active", pid)

    # Killed, it comes back, and has the VRPs of its snapshot at once.
    host.until(lambda: host.run("test", "-e", "/var/lib/rtrd/vrps.snapshot").returncode == 0, "a snapshot")
    host.systemctl("stop", "cache")  # which has rtrd drop what it said
    host.systemctl("kill", "-s", "KILL", "--kill-who=main", "rtrd")
    host.until(lambda: host.show("rtrd", "MainPID") not in {"0", pid} and status(host).get("ready"), "a new rtrd")

    host.systemctl("stop", "rtrd")
    assert host.show("rtrd", "Result") == "success"
    assert host.run("ls", "/run/rtrd").returncode != 0
    assert host.run("pgrep", "-u", "rtrd").stdout == ""
    assert "Operation not permitted" not in host.journal("-u", "rtrd")


def test_a_loop_that_stands_still_is_ended_by_the_watchdog(host: Host) -> None:
    drop_in = Path("/etc/systemd/system/rtrd.service.d/test.conf")
    host.run("mkdir", "-p", str(drop_in.parent))
    host.run("sh", "-c", f"printf '[Service]\\nWatchdogSec=2\\n' > {drop_in}")
    host.systemctl("daemon-reload")
    host.systemctl("start", "rtrd")
    pid = host.show("rtrd", "MainPID")
    host.systemctl("kill", "-s", "STOP", "--kill-who=main", "rtrd")
    host.until(lambda: host.show("rtrd", "MainPID") not in {"0", pid}, "another rtrd")
    assert "Watchdog timeout" in host.journal("-u", "rtrd")


def test_one_instance_for_each_router_beside_the_service(host: Host) -> None:
    host.systemctl("start", "rtrd", "rtrd@edge")
    for name in ("rtrd", "rtrd-edge"):
        host.until(lambda name=name: status(host, name)["ready"], f"VRPs of {name}")  # type: ignore[misc]
    host.systemctl("reload", "rtrd@edge")
    host.systemctl("stop", "rtrd")
    assert status(host, "rtrd-edge")["ready"]
    assert not status(host)


def test_a_faulty_configuration_is_said_and_not_tried_for_ever(host: Host) -> None:
    host.run("sed", "-i", "s/retry: 1/retry: no/", "/etc/rtrd/rtrd.yaml")
    assert host.run("systemctl", "start", "rtrd").returncode != 0
    host.until(lambda: host.show("rtrd", "ActiveState") == "failed", "a failed unit")
    assert host.show("rtrd", "NRestarts") == "0"
    assert "/etc/rtrd/rtrd.yaml:3:" in host.journal("-u", "rtrd")


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_the_unit_exposes_little(unit: Path) -> None:
    said = run(find_program("systemd-analyze", "apt-get install systemd"), "security", "--offline=true", unit).stdout
    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert level is not None
    assert float(level[1]) < MOST_EXPOSED, said


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_the_unit_is_well_formed(unit: Path, tmp_path: Path) -> None:
    """With programs that exist: the unit names those of an installed package."""
    text = unit.read_text().replace("/usr/bin/rtrd", "/bin/true")
    copy = tmp_path / unit.name
    copy.write_text(re.sub("^Documentation=.*\n", "", text, flags=re.MULTILINE))
    done = run(find_program("systemd-analyze", "apt-get install systemd"), "verify", copy)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_instance_differs_from_the_service_by_its_name_only() -> None:
    def settings(name: str) -> list[str]:
        lines = (ROOT / "systemd" / name).read_text().splitlines()
        return [line for line in lines if line and not line.startswith("#")]

    instance = [line.replace("-%i", "").replace("%i.yaml", "rtrd.yaml") for line in settings("rtrd@.service")]
    instance = [line.replace(" --socket /run/rtrd/rtrd.sock", "").replace(", %i", "") for line in instance]
    assert instance == settings("rtrd.service")
