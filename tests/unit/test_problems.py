"""What each part of a daemon registers as its problems, by a daemon that is not started."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rtrd.base.clock import Clock
from rtrd.base.faults import FaultyFileError
from rtrd.base.registry import Registry
from rtrd.bird.watch import NOTIFY, RETRY
from rtrd.bird.worker import AuditResult
from rtrd.exabgp.neighbor_text import ApiSection
from rtrd.exabgp.problems import MOST_REFUSED, SILENT, STUCK
from rtrd.exabgp.window import FENCE
from rtrd.rib.local_routes import LocalRoute
from rtrd.rib.terms import Command
from rtrlib.vrp import VRP, pack
from rtrlib.vrp_set import SLURM
from tests.lab.greeting import greeting
from tests.lab.slurm_text import slurm_text
from tests.lab.still_daemon import CONFIG, StillDaemon

WHOLE = CONFIG + "guard: {max-newly-invalid: 0%}\nslurm: [slurm.json]\nstate: state\nbird: {}\n"
GOOD = VRP("192.0.2.0/24", 24, 64500)


class Stage(StillDaemon):
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(folder, WHOLE, clock=Clock(steady=lambda: 0.0, wall=lambda: 1000.0))

    @property
    def problems(self) -> list[tuple[str, str]]:
        """What and how bad, of all but the caches, which are not connected to."""
        return [(one.severity, one.what) for one in self.daemon.registry.problems()]

    def well(self) -> None:
        """Have a set that is usable, of a cache."""
        (cache,) = self.daemon.caches.all()
        effective = self.daemon.effective
        effective.discarded(cache)
        effective.staged(cache, pack(GOOD))
        effective.committed(cache, True)
        effective.active(frozenset([cache]))
        self.daemon.effective.snapshot_used = True


@pytest.fixture
@asynccontextmanager
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(tmp_path) as stage:
        yield stage


async def test_no_set_is_critical_and_says_how_routes_count(stage: Stage) -> None:
    assert stage.problems == [("critical", "no VRP set is usable yet: routes are unverified")]
    stage.daemon.vrp_set.usable = True
    assert stage.problems == [("critical", "no VRP set is usable yet: routes are not-found")]
    assert stage.daemon.health.read().status == "failed"


async def test_vrps_that_expired_are_critical_whether_they_are_kept_or_not(stage: Stage) -> None:
    stage.well()
    assert stage.problems == []
    stage.daemon.effective.expired_at_all = True
    assert stage.problems == [("critical", "all VRPs are past the expire interval: they are kept")]
    stage.daemon.vrp_set.defer(defer=False)
    stage.daemon.vrp_set.replace(0, b"")
    assert stage.problems == [("critical", "all VRPs are past the expire interval: routes are not-found")]
    stage.daemon.vrp_set.replace(SLURM, pack(GOOD))
    ((_, what),) = stage.problems
    assert what.endswith(": routes are not-found, but for what SLURM files and exempts add"), (
        "that is not what was kept"
    )
    stage.daemon.vrp_set.replace(SLURM, b"")
    stage.daemon.effective.expired_at_all = False
    assert stage.problems == [("warning", "no VRP is in force, though a set is usable: every route is not-found")]


async def test_a_change_that_is_held_or_rejected(stage: Stage) -> None:
    stage.well()
    stage.announce("192.0.2.0/24")
    (cache,) = stage.daemon.caches.all()
    stage.daemon.effective.staged(cache, pack(GOOD, announce=False) + pack(VRP("192.0.2.0/24", 24, 64501)))
    stage.daemon.effective.committed(cache, False)
    until = "until 1970-01-01T00:21:40Z: it would turn 1 of 1 route invalid, with 1 VRP instead of 1"
    until += " (judged at 1970-01-01T00:16:40Z)"
    assert stage.problems == [("warning", f"a change of the VRPs by 192.0.2.10:323 is held {until}")]
    stage.daemon.guarding.reject()
    [(severity, what)] = stage.problems
    assert severity == "warning"
    assert what.startswith("a change of the VRPs by 192.0.2.10:323 is rejected")


async def test_slurm_files_and_a_configuration_that_are_refused(stage: Stage) -> None:
    stage.well()
    (stage.folder / "slurm.json").write_text("{")
    await stage.daemon.slurm.load()
    with pytest.raises(FaultyFileError):
        await stage.service.reloading.reload()
    (severity, slurm), (_, reload) = sorted(stage.problems)
    assert severity == "warning"
    assert slurm.startswith(f"SLURM files as they are now are not in force: {stage.folder}/slurm.json:")
    assert reload.startswith(f"the configuration was refused at the last reload: {stage.folder}/slurm.json:")
    (stage.folder / "slurm.json").write_text(slurm_text())
    await stage.daemon.slurm.load()
    await stage.service.reloading.reload()
    assert stage.problems == []


async def test_a_snapshot_that_cannot_be_written_is_in_the_metrics_too(stage: Stage) -> None:
    stage.well()
    snapshot_keeper = stage.daemon.snapshot_keeper
    assert snapshot_keeper is not None
    (stage.folder / "state").mkdir()
    snapshot_keeper._fault = "vrps.snapshot: cannot be written: No space left on device"
    assert stage.daemon.state_folder is not None
    await stage.daemon.state_folder.look()
    what = "No space left on device; nothing is kept there for the next start"
    assert stage.problems == [("warning", f"state folder {stage.folder}/state: {what}")]
    (family,) = (family for family in stage.daemon.registry.collect() if family and family.name == "rtrd_state_fault")
    assert {sample.labels["name"]: sample.value for sample in family.samples}["snapshot"] == 1


async def test_a_full_disk_is_one_problem_and_other_faults_are_others() -> None:
    registry = Registry()
    for name in ("snapshot", "routers", "history"):
        why = f"{name}: cannot be written: No space left on device"
        registry.kept_in_state(name, lambda why=why: why, lambda: None)  # type: ignore[misc]
    registry.kept_in_state("exempts", lambda: "exempt.json: cannot be read: it is a link", lambda: None)
    registry.kept_in_state("BGP sessions", lambda: None, lambda: None)
    assert sorted(one.what for one in registry.problems()) == [
        "exempts in the state folder: exempt.json: cannot be read: it is a link",
        "snapshot, routers, history in the state folder: snapshot: cannot be written: No space left on device",
    ]


async def test_bird_that_is_away_or_stays_different(stage: Stage) -> None:
    stage.well()
    bird = stage.daemon.bird
    assert bird is not None
    bird._failed("BIRD does not answer")
    assert stage.problems == [("warning", "BIRD can't be audited: BIRD does not answer")]
    bird.fault = None
    bird.found = AuditResult([], [], {}, {}, vrps=1, missing=2, extra=3)
    bird.date, bird._differs_since = 1000.0, 1000.0
    assert stage.problems == []
    bird.date += NOTIFY
    assert stage.problems == [("warning", "BIRD's ROA tables are not the VRPs: 2 are missing, 3 are too many")]


async def test_a_bird_that_can_not_be_audited_is_tried_again_soon(stage: Stage) -> None:
    bird = stage.daemon.bird
    assert bird is not None
    assert bird.pause(0.3) == 300
    bird._failed("BIRD does not answer")
    assert (bird.pause(0.3), bird.pause(20.0), bird.pause(90.0)) == (RETRY, 200, 300)


async def test_an_exabgp_that_refuses_commands(stage: Stage) -> None:
    stage.well()
    router = stage.router

    def answers(*answers: str) -> list[tuple[str, str]]:
        for answer in answers:
            router.gate.window.wrote("announce\n", 1, 0.0, Command(True, 1, 4, 0, 0, None, "192.0.2.0/24", 1))
            router.feed(f"{answer}\n".encode())
        return stage.problems

    router.feed(greeting(router.gate.window))
    assert answers("error") == [("critical", "ExaBGP exabgp refuses all commands: its log says why")]
    assert answers("done") == []
    assert answers("error", "error") == [("warning", "ExaBGP exabgp refused the last 2 commands: its log says why")]
    assert answers(*["error"] * MOST_REFUSED) == [("critical", "ExaBGP exabgp refuses all commands: its log says why")]
    assert answers("done") == []


async def test_a_refusal_names_the_receiver_whose_api_section_does_not_name_rtrd(stage: Stage) -> None:
    stage.well()
    router = stage.router
    router.feed(greeting(router.gate.window))
    ours, other = (ApiSection(name, updates=True, changes=True) for name in ("rpki", "other"))
    for address in ("192.0.2.2", "192.0.2.3"):
        router.engine.receivers.add(address)

    def refused(*sections: tuple[str, tuple[ApiSection, ...]]) -> str:
        router.api.configured(sections)
        router.gate.window.wrote("announce\n", 1, 0.0, Command(True, 1, 4, 0, 0, None, "192.0.2.0/24", 1))
        router.feed(b"error\n")
        return next(what for severity, what in stage.problems if severity == "critical")

    router.api.update("192.0.2.1")
    of_ours = ("192.0.2.1", (ours,))
    assert refused(of_ours, ("192.0.2.2", (ours,)), ("192.0.2.3", (other,))) == (
        "ExaBGP exabgp refuses all commands: 192.0.2.3 has no api section that names rtrd:"
        " write `processes [ rpki ];` into it"
    )
    assert "192.0.2.2 and 1 more neighbor have no api section" in refused(
        of_ours, ("192.0.2.2", ()), ("192.0.2.3", (other,))
    )
    assert refused(of_ours, ("192.0.2.2", (ours,)), ("192.0.2.3", (ours, other))).endswith("its log says why")


async def test_who_has_no_section_for_rtrd_is_not_said_to_lack_a_word_in_it(stage: Stage) -> None:
    stage.well()
    router, peer = stage.router, "192.0.2.1"
    router.neighbors.untold[peer] = 1000.0
    assert "neighbor-changes is missing" in str(stage.problems)
    router.api.configured([(peer, ()), ("192.0.2.2", (ApiSection("rtrd", updates=True, changes=True),))])
    router.api.changes([peer], 1000.0)
    ((_, what),) = stage.problems
    assert "write `api { processes [ rtrd ]; neighbor-changes;" in what


async def test_an_exabgp_that_does_not_act_on_what_it_takes(stage: Stage) -> None:
    stage.well()
    stage.router.local_list.deaf = {"192.0.2.2": "10.0.0.0/8"}
    ((severity, what),) = stage.problems
    assert (severity, "takes commands for 192.0.2.2, and does not act on them" in what) == ("critical", True)


async def test_somebody_else_s_routes_instead_of_ours(stage: Stage) -> None:
    stage.well()
    own = stage.router.engine.local_routes
    own.replaced = {LocalRoute("192.0.2.2", "10.0.0.0/8")}
    ((severity, what),) = stage.problems
    assert severity == "warning"
    assert "sends 192.0.2.2 another route for 10.0.0.0/8 than rtrd announced: its configuration" in what
    own.replaced |= {LocalRoute("192.0.2.2", "11.0.0.0/8"), LocalRoute("192.0.2.3", "11.0.0.0/8")}
    assert len(stage.problems) == 2
    assert "than rtrd announced, and so for 1 other: its" in stage.problems[0][1]


async def test_an_exabgp_that_hangs(stage: Stage) -> None:
    """What was written is in its pipe, so nothing waits in rtrd; it asks by itself, too, each minute."""
    stage.well()
    router = stage.router
    router.gate.wrote(FENCE, 0, -SILENT)
    assert stage.problems == [], "it said something a moment ago"
    router.heard -= SILENT
    ((severity, what),) = stage.problems
    assert severity == "critical"
    assert what.startswith("ExaBGP exabgp answers no command, and says nothing at all: it hangs or is stopped")
    router.feed(b"{}\n")
    assert stage.problems == []
    router.heard -= SILENT
    router.gate.window.written.clear()
    assert stage.problems == [], "nobody has asked it anything"


async def test_an_exabgp_that_takes_nothing_for_long(stage: Stage) -> None:
    stage.well()
    stage.router.gate.since -= STUCK
    waits = stage.router.gate.waits_for
    assert waits is not None
    what = f"nothing can be announced or withdrawn at ExaBGP exabgp, which waits for: {waits.value}"
    assert stage.problems == [("warning", what)]
