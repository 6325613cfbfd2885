"""`rtrd exempt` and what `rtrd validate` says of SLURM, as an operator uses them."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from rtrd.demo.caches import VRP
from rtrd.demo.lab import Lab
from tests.lab.daemons import Daemon
from tests.lab.faulty_cache import FAULTS, FaultyCache
from tests.lab.programs import rtrd

VRPS = [VRP("192.0.2.0/24", 24, 64496), VRP("198.51.100.0/24", 24, 64497), VRP("2001:db8::/32", 48, 64497)]
KEY = ("198.51.100.0/24", "AS64511")


class Operator:
    """A daemon with a state folder and a SLURM file, and the commands that ask it."""

    def __init__(self, lab: Lab, **settings: Any) -> None:
        self.slurm = lab.folder / "slurm.json"
        write(self.slurm, {"prefix": "192.0.2.0/24", "comment": "a test"})
        state = lab.folder / "state"
        state.mkdir()
        settings = {"slurm": [str(self.slurm)], "state": str(state), "http": "127.0.0.1:0", **settings}
        settings = {key: value for key, value in settings.items() if value is not None}
        self.cache = lab.start(FaultyCache(VRPS))
        self.daemon = lab.start(Daemon(lab.folder, [self.cache], settings=settings))
        self.daemon.wait_vrps(2)

    def said(self, *words: str) -> str:
        done = rtrd(*words, "--socket", self.daemon.socket)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def refused(self, *words: str) -> tuple[int, str]:
        done = rtrd(*words, "--socket", self.daemon.socket)
        assert done.stdout == ""
        return done.returncode, done.stderr

    def valid(self, prefix: str = KEY[0], asn: str = KEY[1]) -> bool:
        return self.daemon.validity(prefix, int(asn.removeprefix("AS"))) == "valid"


def write(path: Path, *filters: dict[str, Any], assertions: Any = ()) -> None:
    slurm = {
        "slurmVersion": 1,
        "validationOutputFilters": {"prefixFilters": filters, "bgpsecFilters": []},
        "locallyAddedAssertions": {"prefixAssertions": list(assertions), "bgpsecAssertions": []},
    }
    path.write_text(json.dumps(slurm))


def test_an_exempt_is_in_force_at_once_shown_kept_and_removed(lab: Lab) -> None:
    one = Operator(lab)
    assert not one.valid()
    assert one.said("exempt", *KEY, "--comment", "ticket 7") == "198.51.100.0/24 AS64511 is exempted\n"
    assert one.said("exempt", "2001:db8::/32", "64512", "--until", "+1h").startswith(
        "2001:db8::/32 AS64512 is exempted"
    )
    assert one.valid()
    assert one.valid("2001:db8::/32", "AS64512")
    assert one.said("vrps", KEY[0]).splitlines()[-1].split()[3:] == ["AS64511", "exempt"]
    assert "ticket 7" in one.said("exempt", "--list")
    assert "198.51.100.0/24 AS64511: ticket 7" in one.said("status")
    assert "is there by rtrd exempt (ticket 7)" in one.said("validate", *KEY)
    listed = json.loads(one.said("exempt", "--list", "--json"))["exempts"]
    assert [(each["prefix"], each["until"] is None) for each in listed] == [(KEY[0], True), ("2001:db8::/32", False)]
    events = one.daemon.process.lines
    assert any("exempt 198.51.100.0/24 AS64511 (ticket 7)" in line.text for line in events), "the cause"
    one.daemon.stop()
    one.daemon.start()
    one.daemon.wait_vrps(4)
    assert one.valid()
    one.said("exempt", "--remove", *KEY)
    assert not one.valid()
    assert one.refused("exempt", "--remove", *KEY)[0] == 1
    one.said("exempt", *KEY, "--until", "+1s")
    one.daemon.wait_status(lambda status: status["exempts"]["count"] == 1, "its end")
    assert not one.valid()


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        (["198.51.100.1/24", "1"], 2, "host bits"),
        (["198.51.100.0/24", "AS4294967296"], 2, "not an AS number"),
        (["198.51.100.0/24", "AS0"], 2, "AS 0 makes no route valid"),
        (["198.51.100.0/24"], 2, "expected PREFIX ASN"),
        (["198.51.100.0", "AS1"], 2, "198.51.100.0 has no length"),
        ([], 2, "expected PREFIX ASN"),
        ([*KEY, "--until", "2020-01-01T00:00Z"], 2, "is over already"),
        ([*KEY, "--until", "2040-01-01T00:00"], 2, "no time zone"),
        ([*KEY, "--comment", "two\nlines"], 2, "one line of text"),
        (["--list", *KEY], 2, "--list takes nothing else"),
        (["--remove", "198.51.100.0/24", "AS1"], 1, "there is no exempt"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(words: list[str], code: int, what: str, asked: Operator) -> None:
    found, sentence = asked.refused("exempt", *words)
    assert found == code
    assert what in sentence
    assert "Traceback" not in sentence


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with Lab(tmp_path_factory.mktemp("asked")) as lab:
        yield Operator(lab, state=None)


def test_without_a_state_folder_it_says_that_it_is_not_kept(asked: Operator) -> None:
    assert "it ends when rtrd does" in asked.said("exempt", *KEY)
    assert asked.valid()
    asked.said("exempt", "--remove", *KEY)


def test_over_tcp_nobody_exempts(lab: Lab) -> None:
    one = Operator(lab)
    port = one.daemon.process.wait_for("the API is served").text.rpartition("http=")[2].split()[0]
    for method in ("POST", "DELETE"):
        url = f"http://{port}/exempt?prefix={KEY[0]}&asn={KEY[1]}"
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=30)
        assert refused.value.code == 403
    assert not one.valid()


def test_what_the_guard_holds_is_said_by_validate_and_an_exempt_is_not_held(lab: Lab) -> None:
    one = Operator(lab, guard={"hold": 3600, "max-shrink": "20%"})
    assert "held" not in json.loads(one.said("validate", "--json", "2001:db8::/32", "AS64497"))
    filters = {"asn": 64497, "comment": "all of it"}, {"prefix": "192.0.2.0/24"}
    write(one.slurm, *filters, assertions=[{"prefix": KEY[0], "asn": int(KEY[1][2:])}])
    one.daemon.wait_status(lambda status: status["guard"]["state"] == "held", "the guard to hold the file")
    found = json.loads(one.said("validate", "--json", "2001:db8::/32", "AS64497"))
    assert found["validated_route"]["validity"]["state"] == "valid"
    assert "slurm" not in found, "the filter has taken nothing away yet"
    assert (found["held"]["cause"], found["held"]["then"]) == (["SLURM files"], "not-found")
    text = one.said("validate", "2001:db8::/32", "AS64497")
    assert f"the guard holds a change until {found['held']['until']} (by SLURM files)" in text
    assert text.endswith(": with it the route would be not-found\n")
    assert one.said("validate", "192.0.2.0/24", "AS1").endswith(": with it the route would still be not-found\n")
    # What is held asserts it, too; an operator's word counts at once.
    assert not one.valid()
    one.said("exempt", *KEY)
    assert one.valid()
    assert one.said("validate", "2001:db8::/32", "AS64497") == text
    one.said("accept")
    one.daemon.wait_status(lambda status: status["guard"]["state"] == "following", "the guard to follow")
    assert "does not count by the filter AS64497" in one.said("validate", "2001:db8::/32", "AS64497")


def test_what_ends_while_the_guard_holds_a_change_leaves_what_is_in_force(lab: Lab) -> None:
    """Also after a restart, which takes what is in force from the snapshot, and holds the cache's change again."""
    one = Operator(lab, guard={"hold": 3600, "max-shrink": "20%"})
    one.cache.serve([*VRPS, *(VRP(f"10.{i}.0.0/16", 16, 64497) for i in range(10))])
    one.daemon.wait_vrps(12)
    one.daemon.stop()  # which writes the snapshot
    one.daemon.start()
    one.daemon.wait_vrps(12)
    known, held, until = (KEY[0], "AS64497"), KEY, ("2001:db8::/32", "AS64497")
    one.said("exempt", *known)
    one.cache.serve([VRP(KEY[0], 24, int(KEY[1][2:]))])
    one.daemon.wait_status(lambda status: status["guard"]["state"] == "held", "the guard to hold it")
    one.said("exempt", *held)
    one.said("exempt", *until, "--until", "+1s")
    one.daemon.wait_status(lambda status: status["exempts"]["count"] == 2, "the end of one")
    assert [one.valid(*each) for each in (known, held, until)] == [True, True, True], "the cache said it before"
    sources = {vrp["prefix"]: vrp["sources"] for vrp in json.loads(one.said("vrps", "--json"))["roas"]}
    assert sources["10.1.0.0/16"] == sources["2001:db8::/32"] == ["held"], "its cache says it no more"
    assert one.said("vrps", "10.1.0.0/16").split()[-1] == "held"
    one.daemon.stop()
    one.daemon.start()
    one.daemon.wait_status(lambda status: status["guard"]["state"] == "held", "the guard to hold it again")
    for each in (known, held):
        assert one.valid(*each)
        one.said("exempt", "--remove", *each)
    assert [one.valid(*each) for each in (known, held, until)] == [True, False, True]
    one.said("accept")
    one.daemon.wait_vrps(1)
    assert [one.valid(*each) for each in (known, held, until)] == [False, True, False]


def test_a_held_slurm_file_counts_after_a_restart_and_the_log_says_why(lab: Lab) -> None:
    one = Operator(lab, guard={"hold": 3600, "max-shrink": "20%"})
    one.daemon.wait_status(lambda status: status["snapshot"]["age"] is not None, "the snapshot")
    write(one.slurm, {"asn": 64497}, {"prefix": "192.0.2.0/24"}, assertions=[{"prefix": "10.0.0.0/8", "asn": 64499}])
    one.daemon.wait_status(lambda status: status["guard"]["state"] == "held", "the guard to hold the file")
    assert one.daemon.process.wait_for("SLURM files are judged by the guard")
    assert one.valid("2001:db8::/32", "AS64497")
    one.daemon.stop()
    one.daemon.start()
    line = one.daemon.process.wait_for("SLURM files are in force").text
    assert 'why="at a start they count as they are, also what the guard held before' in line
    one.daemon.wait_status(lambda status: status["guard"]["state"] == "following" and status["ready"], "the start")
    assert not one.valid("2001:db8::/32", "AS64497")
    assert one.said("vrps", "10.0.0.0/8").split()[-2:] == ["AS64499", "slurm"]


def test_before_a_cache_answered_it_says_so_and_what_it_replaces_is_said(lab: Lab) -> None:
    cache = lab.start(FaultyCache(VRPS))
    cache.break_with(FAULTS["has_no_data"].script)
    daemon = lab.start(Daemon(lab.folder, [cache]))

    def said(*words: str) -> str:
        return rtrd("exempt", *words, "--socket", daemon.socket).stdout

    assert "no VRP set is usable yet" in said(*KEY, "--until", "2099-01-01T00:00Z", "--comment", "ticket 7")
    cache.heal()
    daemon.wait_vrps(4)
    again = said(*KEY)
    assert "its earlier end, 2099-01-01T00:00:00Z, does not count any more: it has none now\n" in again
    assert "its earlier comment is replaced: ticket 7\n" in again
    assert "usable" not in again
    found = json.loads(said(*KEY, "--json"))
    assert (found["usable"], found["replaced"]["until"], found["until"]) == (True, None, None)


def test_validate_names_the_filters_and_assertions(lab: Lab) -> None:
    one = Operator(lab)
    text = one.said("validate", "192.0.2.0/24", "AS64496")
    assert f"by the filter 192.0.2.0/24 of SLURM file {one.slurm} (a test)" in text
    found = json.loads(one.said("validate", "--json", "192.0.2.0/24", "AS64496"))
    assert found["validated_route"]["validity"]["state"] == "not-found"
    by = [{"file": str(one.slurm), "prefix": "192.0.2.0/24", "asn": None, "comment": "a test"}]
    taken = {"asn": "AS64496", "prefix": "192.0.2.0/24", "max_length": "24", "by": by}
    assert found["slurm"] == {"asserted": [], "filtered": [taken]}
    assert "slurm" not in json.loads(one.said("validate", "--json", *KEY))
    assertion = {"prefix": "2001:DB8:1::/48", "asn": 64498, "comment": "until they fix it"}
    write(one.slurm, {"asn": 64497}, assertions=[assertion])
    one.daemon.wait_status(lambda _: one.valid("2001:db8:1::/48", "AS64498"), "the assertion")
    text = one.said("validate", "2001:db8:1::/48", "64498")
    assert f"is there by an assertion of SLURM file {one.slurm} (until they fix it)" in text
    assert f"2001:db8::/32 max 48 AS64497 does not count by the filter AS64497 of SLURM file {one.slurm}\n" in text
