"""An ExaBGP that answers each command with `done` and nothing else: it tells no version, and lists nothing."""

from rtrd.demo.caches import VRP, RtrdCache
from rtrd.demo.lab import Lab, Process
from tests.lab.daemons import At
from tests.lab.scripted_exabgp import PipedProcess, ScriptedExaBGP

PREFIX = "192.0.2.0/24"


class Nameless(ScriptedExaBGP):
    def make_process(self, name: str, argv: list[str]) -> Process:
        return PipedProcess(Process(name, argv, self.folder), lambda line: "" if line.startswith("#") else "done\n")


def test_it_is_written_to_all_the_same_and_that_is_said(lab: Lab) -> None:
    cache = lab.start(RtrdCache(lab.folder, [VRP(PREFIX, 24, 64511)]))
    daemon = lab.start(Nameless(lab.folder, [At(cache.address, cache.port)]))
    daemon.begins(PREFIX, 64511)
    daemon.wait_announced_and_withdrawn(PREFIX, lambda: cache.serve([VRP(PREFIX, 24, 64999)]))
    status = daemon.now()
    assert status["routers"][0]["exabgp"] is None, "unknown is said as unknown"
    assert status["problems"] == []
    assert daemon.process.wait_for("answers `version` without telling one")
