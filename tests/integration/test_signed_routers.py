"""Routers of Debian 13 that load from the relay by TCP-MD5 (RFC 2385), and don't with another password or none."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rtrd.demo.lab import Lab
from rtrlib.tcp_auth import missing
from tests.integration.test_aspa_routers import Bird, OpenBGPD
from tests.lab.daemons import Daemon
from tests.lab.rtr_routers import running
from tests.lab.stayrtr import StayRTR
from tests.lab.wait import SECONDS

pytestmark = [pytest.mark.long, pytest.mark.skipif(missing(None) is not None, reason=str(missing(None)))]

VRPS = [("192.0.2.0/24", 24, 64500), ("2001:db8::/32", 48, 64501)]
ROUTERS = ["bird2", "bird3", "openbgpd"]


@pytest.fixture
def relay(lab: Lab, tmp_path: Path) -> Daemon:
    """A relay that wants this host's routers signed."""
    key = tmp_path / "key"
    key.write_text("sesame\n")
    key.chmod(0o600)
    clients = [{"match": ["127.0.0.0/8"], "md5-password-file": str(key)}]
    settings = {"rtr-server": {"listen": ["127.0.0.1:0"], "clients": clients}}
    daemon = lab.start(Daemon(lab.folder, [lab.start(StayRTR(lab.folder, VRPS))], settings=settings))
    daemon.wait_serves()
    return daemon


def router(package: str, folder: Path, port: int, password: str) -> tuple[Bird | OpenBGPD, Callable[[], int]]:
    """Give a router and what tells how many VRPs it has."""
    folder.mkdir()
    if package == "openbgpd":
        bgpd = OpenBGPD(folder, port, password)
        return bgpd, lambda: bgpd.counts()[0]
    bird = Bird(folder, port, package, password=password)
    return bird, bird.vrps


@pytest.mark.parametrize("package", ROUTERS)
def test_a_router_that_signs_has_the_vrps(relay: Daemon, tmp_path: Path, package: str) -> None:
    made, vrps = router(package, tmp_path / package, relay.relay_port(), "sesame")
    with running(made):
        made.wait_until(lambda: vrps() == len(VRPS), SECONDS, f"the VRPs in {package}", tick=0.1)


@pytest.mark.parametrize("package", ROUTERS)
def test_one_with_another_password_or_none_has_nothing(relay: Daemon, tmp_path: Path, package: str) -> None:
    """One that signs rightly, started after them, loads; by then they had their time."""
    port = relay.relay_port()
    wrong, of_wrong = router(package, tmp_path / "wrong", port, "open")
    unsigned, of_unsigned = router(package, tmp_path / "unsigned", port, "")
    right, of_right = router(package, tmp_path / "right", port, "sesame")
    with running(wrong), running(unsigned), running(right):
        right.wait_until(lambda: of_right() == len(VRPS), SECONDS, f"the VRPs in {package}", tick=0.1)
        assert (of_wrong(), of_unsigned()) == (0, 0)
