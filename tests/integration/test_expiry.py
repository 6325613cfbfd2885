"""What happens when the last VRPs are too old, at the real daemon, whose clock is turned."""

from typing import Any

from rtrd.demo.caches import VRP
from rtrd.demo.lab import Lab
from tests.lab import turned_rtrd
from tests.lab.daemons import Daemon
from tests.lab.stayrtr import StayRTR
from tests.lab.wait import SECONDS

VRPS = [VRP("192.0.2.0/24", 24, 64500), VRP("2001:db8::/32", 48, 64502)]
NEWER = [*VRPS, VRP("198.51.100.0/24", 24, 64501)]
STALE = "all VRPs in force are past the expire interval"


class Story:
    """Two groups with a cache each, both dead, and VRPs of the backup that are about to expire."""

    def __init__(self, lab: Lab, on_expire: str) -> None:
        self.clock = lab.folder / "clock"
        self.primary = lab.start(StayRTR(lab.folder, VRPS, name="primary"))
        self.backup = lab.start(StayRTR(lab.folder, VRPS, name="backup"))
        groups, timers = [self.primary, self.backup], {"on-expire": on_expire}
        self.daemon = lab.start(Daemon(lab.folder, groups, timers=timers, program=turned_rtrd.program(self.clock)))
        self.daemon.wait_vrps(len(VRPS))
        for cache, status in ((self.primary, "ESTABLISHED"), (self.backup, "ERROR")):
            cache.kill()
            self.is_backup(status)

    def is_backup(self, wanted: str) -> dict[str, Any]:
        """Wait until the backup's group has this status."""
        return self.daemon.wait_status(lambda now: now["groups"][1]["status"] == wanted, wanted)

    def turn(self, seconds: float) -> None:
        turned_rtrd.turn(self.clock, seconds)


def test_until_then_they_count_and_not_found_is_what_routes_become(lab: Lab) -> None:
    one = Story(lab, "not-found")
    one.turn(580)
    one.daemon.wait_status(lambda status: status["groups"][1]["servers"][0]["restarts"] > 0, "a last attempt")
    assert one.daemon.validity("192.0.2.0/24", 64500) == "valid"
    one.turn(601)
    status = one.daemon.wait_vrps(0)
    assert one.daemon.validity("192.0.2.0/24", 64500) == "not-found"
    one.daemon.process.wait_for(STALE)
    one.primary.start()
    one.daemon.wait_vrps(len(VRPS))
    assert status["loop"]["long"] == 0


def test_keep_keeps_them_as_long_as_there_are_no_better_ones(lab: Lab) -> None:
    one = Story(lab, "keep")
    one.turn(601)
    one.daemon.process.wait_for(STALE)
    for hours in (1, 24, 24 * 365):
        one.turn(hours * 3600)
        status = one.is_backup("ERROR")
        assert status["vrps"] == {"ipv4": 1, "ipv6": 1}
    assert one.daemon.validity("192.0.2.0/24", 64500) == "valid"
    one.primary.start()
    one.primary.serve(NEWER)
    status = one.daemon.wait_vrps(len(NEWER))
    assert status["active_group"] == "group1"


def test_exit_ends_the_daemon_with_1_so_that_someone_notices(lab: Lab) -> None:
    one = Story(lab, "exit")
    one.turn(580)
    one.daemon.wait_status(lambda status: sum(status["vrps"].values()) == len(VRPS), "all is well")
    one.turn(601)
    assert one.daemon.process.wait(SECONDS) == 1
    assert any(STALE in line.text for line in one.daemon.process.lines)
