"""BIRD 3 of Debian 13 tells its routes by BMP: as many of them are invalid as the audit by its control socket finds.

It (3.1.8) tells a station only of sessions that come up while that is connected; what was up before it never tells.
"""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from rtrd.demo.lab import Lab, Process, on_free_port
from rtrd.demo.routers import ExaBGP, Neighbor
from rtrd.demo.routes import FEEDER_ASN, HIJACKER, internet, validity
from tests.lab.daemons import Daemon
from tests.lab.debian_programs import debian, within
from tests.lab.programs import rtrd, run
from tests.lab.stayrtr import StayRTR
from tests.lab.wait import wait_until

pytestmark = pytest.mark.long

ADDRESS, FEEDER = "127.0.0.7", "127.0.0.8"
CONFIG = """
log stderr all;
router id 127.0.0.7;
protocol device {}
protocol bgp upstream {
    local 127.0.0.7 port PORT as 65000; neighbor 127.0.0.8 as 64496; multihop; passive; strict bind;
    ipv4 { import table; import all; export none; };
    ipv6 { import table; import all; export none; };
}
protocol bmp {
    station address ip 127.0.0.1 port STATION;
    monitoring rib in pre_policy;
}
"""


class Bird(Process):
    """A BIRD 3 that takes one session, and tells its routes."""

    def __init__(self, folder: Path, port: int, station: int) -> None:
        (folder / "bird.conf").write_text(CONFIG.replace("PORT", str(port)).replace("STATION", str(station)))
        root, words = debian("trixie", "bird3"), ("-f", "-c", "/mnt/bird.conf", "-s", "/mnt/bird.ctl")
        super().__init__("bird", within(root, folder, "bird", *words), folder)
        self.port, self.folder = port, folder

    def control(self, *words: str) -> str:
        """Tell it something by birdc; give what that answers, with BIRD's version."""
        done = run(*within(debian("trixie", "bird3"), self.folder, "birdc", "-s", "/mnt/bird.ctl", *words))
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def test_both_ways_find_the_same_invalid_routes(lab: Lab, tmp_path: Path) -> None:
    debian("trixie", "bird3")
    all_of_it = internet()
    cache = lab.start(StayRTR(lab.folder, all_of_it.vrps))
    daemon = lab.start(Daemon(lab.folder, [cache], settings={"bmp": {"listen": ["127.0.0.1:0"]}}))
    daemon.wait_vrps(len(all_of_it.vrps))

    def of_station() -> dict[str, Any]:
        found: dict[str, Any] = (daemon.status() or {})["bmp"]
        return found

    station = int(of_station()["listening"][0].rpartition(":")[2])

    def started(port: int) -> Bird:
        bird = lab.start(Bird(tmp_path, port, station))
        bird.wait_listening(port)
        return bird

    bird = on_free_port(ADDRESS, started)
    wait_until(lambda: of_station()["routers"] == 1, "BIRD at the station")
    static = [route.exabgp() for route in all_of_it.routes]
    feeder = ExaBGP(lab.folder, name="feeder", address=FEEDER, asn=FEEDER_ASN, static=static)
    feeder.neighbors = [Neighbor(address=ADDRESS, asn=65000, port=bird.port)]
    lab.start(feeder)

    def by_bmp() -> dict[str, str]:
        rows = json.loads(rtrd("routes", "--json", "--socket", daemon.socket).stdout)["routes"]
        return {row["prefix"]: row["validity"] for row in rows if row["rib"] == "pre"}

    def by_audit() -> set[str]:
        audit = rtrd("bird", "audit", "--bird", tmp_path / "bird.ctl", "--socket", daemon.socket, "--json")
        return {row["prefix"] for row in json.loads(audit.stdout)["invalid"]}

    changed = all_of_it.with_changed(all_of_it.vrps[0], all_of_it.vrps[0]._replace(asn=HIJACKER))
    for now in (all_of_it, changed):
        if now is changed:
            cache.serve(now.vrps)
        expected = {route.prefix: validity(route, now.vrps) for route in now.routes}
        wait_until(lambda: by_bmp() == expected, "the routes by BMP")  # noqa: B023
        assert by_audit() == {prefix for prefix, found in expected.items() if found == "invalid"}

    answer = bird.control("restart", "bmp1")  # as when rtrd restarts: BIRD connects again
    wait_until(lambda: of_station()["terminated"] and of_station()["routers"] == 1, "BIRD at the station again")
    connected = time.monotonic()
    while "3.1.8" in answer and time.monotonic() - connected < 1:
        assert by_bmp() == {}, "it tells of sessions that were up: docs/bird.md, docs/bmp.md say that it does not"
    bird.control("restart", "upstream")
    wait_until(lambda: by_bmp() == expected, "the routes of a new session")
