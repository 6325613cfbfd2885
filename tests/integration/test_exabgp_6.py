"""An ExaBGP 6 (its development branch): its own API refuses each command, that of version 4 lists one column more."""

import re

from rtrd.demo.caches import VRP, RtrdCache
from rtrd.demo.lab import Lab, Process
from tests.lab.daemons import At
from tests.lab.scripted_exabgp import ANSWERS, LISTENER, AdjRIBOut, PipedProcess, ScriptedExaBGP

PREFIX = "192.0.2.0/24"
GROWS = 8
"""Looks at `#sent` for which it grows after an announcement."""


class OwnAPI(ScriptedExaBGP):
    """With `exabgp.api.version=6`, its default."""

    def make_process(self, name: str, argv: list[str]) -> Process:
        return PipedProcess(Process(name, argv, self.folder), lambda _: "error\n")


class OldAPI(ScriptedExaBGP):
    """With `exabgp.api.version=4`; it takes its time to send."""

    def make_process(self, name: str, argv: list[str]) -> Process:
        adj_rib_out, announced, looks = AdjRIBOut(), False, 0

        def answer(line: str) -> str:
            nonlocal announced, looks
            announced |= " announce attributes " in line
            if line == "version":
                return "exabgp 6.0.0\ndone\n"
            if line not in ANSWERS:
                return adj_rib_out.answer(line)
            looks += announced
            numbers = f"{min(looks, GROWS):7}          2          1"
            heading = f"{ANSWERS[line].rstrip()}    #pfx_in\n"
            return f"{heading}{LISTENER}       65001     0:10:00 established     {numbers}\ndone\n"

        return PipedProcess(Process(name, argv, self.folder), answer)


def test_its_own_api_is_one_problem_and_one_line_and_no_storm_of_questions(lab: Lab) -> None:
    cache = lab.start(RtrdCache(lab.folder, [VRP(PREFIX, 24, 64511)]))
    daemon = lab.start(OwnAPI(lab.folder, [At(cache.address, cache.port)]))
    daemon.begins(PREFIX, 64511)
    said = "answers `error` to `version`: rtrd speaks the API of ExaBGP 4 and 5"
    assert daemon.process.wait_for(said)  # some seconds after it was asked
    (problem,) = daemon.now()["problems"]
    assert (said in problem["what"], problem["severity"]) == (True, "critical")
    assert "exabgp.api.version=4" in problem["what"]
    assert [line for _, line in daemon.pipe.commands if not line.startswith("#")] == ["version"] * 2
    assert sum(said in line.text and "part=health" not in line.text for line in daemon.process.lines) == 1


def test_with_the_old_api_its_third_column_is_not_taken_for_what_it_has_sent(lab: Lab) -> None:
    """A second command for a prefix waits until all is sent."""
    cache = lab.start(RtrdCache(lab.folder, [VRP(PREFIX, 24, 64511)]))
    daemon = lab.start(OldAPI(lab.folder, [At(cache.address, cache.port)]))
    daemon.begins(PREFIX, 64511)
    daemon.wait_announced_and_withdrawn(PREFIX, lambda: cache.serve([VRP(PREFIX, 24, 64999)]))
    text = "\n".join(line for _, line in daemon.pipe.commands)
    (between,) = re.findall(r" announce attributes .*?\n((?s:.*?))^.* withdraw attributes ", text, re.MULTILINE)
    assert between.count("show neighbor") >= GROWS
    assert daemon.now()["routers"][0]["exabgp"] == "6.0.0"
