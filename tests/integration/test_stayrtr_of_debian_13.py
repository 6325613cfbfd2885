"""StayRTR 0.6 of Debian 13 as a cache: it refuses version 2 in its own ways, and has nothing to say of an empty set."""

import pytest

from rtrd.demo.lab import Lab
from rtrd.demo.ports import free_port
from tests.lab.daemons import Daemon
from tests.lab.debian_programs import debian, within
from tests.lab.stayrtr import StayRTR

pytestmark = pytest.mark.long

VRPS = [("192.0.2.0/24", 24, 64500), ("2001:db8::/32", 48, 64501)]


class Newer(StayRTR):
    """The one of Debian 13, in a folder with its libraries."""

    def _argv(self, port: int) -> list[str]:
        listen = ["-bind", f"{self.address}:{port}", "-metrics.addr", f"{self.address}:{free_port(self.address)}"]
        options = ["-cache", f"/mnt/{self.file.name}", "-checktime=false", "-refresh", "3600"]
        return within(debian("trixie", "stayrtr"), self.file.parent, "stayrtr", *listen, *options)


def test_it_is_spoken_to_in_version_1(lab: Lab) -> None:
    cache = lab.start(Newer(lab.folder, VRPS))
    daemon = lab.start(Daemon(lab.folder, [[cache]]))
    (server,) = daemon.wait_vrps(len(VRPS))["groups"][0]["servers"]
    assert server["version"] == 1
    cache.serve(VRPS[:1])
    daemon.wait_vrps(1)


def test_without_any_vrp_it_has_no_data(lab: Lab) -> None:
    """It never says that the set is empty, so rtrd can't take it for one: it asks again, and says so."""
    cache = lab.start(Newer(lab.folder))
    daemon = lab.start(Daemon(lab.folder, [[cache]]))
    daemon.wait_status(
        lambda now: now["groups"][0]["servers"][0]["error"] == "the cache has no data yet" and not now["ready"],
        "a cache without data",
    )
    cache.serve(VRPS)
    daemon.wait_vrps(len(VRPS))
