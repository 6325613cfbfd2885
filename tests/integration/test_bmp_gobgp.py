"""GoBGP, set up as docs/bmp.md says, is there again after rtrd was restarted, with all of its routes."""

import re
from pathlib import Path
from typing import Any

import pytest

from rtrd.base.endpoint import Endpoint
from rtrd.demo import routers
from rtrd.demo.lab import Lab
from rtrd.demo.ports import free_port
from rtrd.demo.routers import ExaBGP, GoBGP, Neighbor
from rtrd.demo.routes import FEEDER_ASN, internet
from tests.lab import ROOT
from tests.lab.daemons import Daemon
from tests.lab.stayrtr import StayRTR

ADDRESS, FEEDER = "127.0.0.7", "127.0.0.8"
TWO_REPORTS = 2.0 * routers.STATISTICS + 30


def test_the_page_says_what_is_tested() -> None:
    page = (ROOT / "docs" / "bmp.md").read_text()
    said = {int(number) for number in re.findall(r"`statistics-timeout = (\d+)`", page)}
    assert said == {routers.STATISTICS}


@pytest.mark.long
def test_rtrd_is_restarted(lab: Lab, tmp_path: Path) -> None:
    made = internet()
    cache = lab.start(StayRTR(lab.folder, made.vrps))
    station = Endpoint("127.0.0.1", free_port("127.0.0.1"))
    daemon = lab.start(Daemon(lab.folder, [cache], settings={"bmp": {"listen": [str(station)]}}))
    gobgp = GoBGP(tmp_path, address=ADDRESS)
    gobgp.station = station
    gobgp.neighbors = [Neighbor(address=FEEDER, asn=FEEDER_ASN)]
    lab.start(gobgp)
    static = [route.exabgp() for route in made.routes]
    feeder = ExaBGP(lab.folder, name="feeder", address=FEEDER, asn=FEEDER_ASN, static=static)
    feeder.neighbors = [Neighbor(address=ADDRESS, asn=gobgp.asn, port=gobgp.port)]
    lab.start(feeder)

    def are_all(status: dict[str, Any]) -> bool:
        counts = [neighbor["routes"] for router in status["routers"] for neighbor in router["neighbors"]]
        return [sum(each.values()) for each in counts] == [len(made.routes)]

    daemon.wait_status(are_all, "all routes")
    daemon.stop()
    daemon.start()
    daemon.wait_status(are_all, "all routes of a GoBGP that has noticed nothing else", TWO_REPORTS)
