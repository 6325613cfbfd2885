"""A change of ASPAs that would turn many paths invalid, at a real daemon with a real cache and an ExaBGP's pipe."""

from typing import Any

import pytest
import yaml

from rtrd.demo.lab import Lab
from tests.integration.test_aspas_served import Cache
from tests.lab.daemons import At
from tests.lab.programs import asked, rtrd
from tests.lab.scripted_exabgp import LISTENER, PEER, ScriptedExaBGP
from tests.lab.wait import wait_until

NEIGHBOR, ORIGIN, OTHER = 65002, 64511, 65009
PREFIXES = [f"198.18.{number}.0/24" for number in range(20)]
RIGHT, WRONG = {ORIGIN: [NEIGHBOR]}, {ORIGIN: [OTHER]}
ANNOUNCE = {"action": "announce"}
SETTINGS: dict[str, Any] = {
    "neighbors": [{"match": [PEER], "local-role": "provider"}],
    "policy": [
        {
            "from": [PEER],
            "to": [LISTENER],
            "valid": ANNOUNCE,
            "not-found": ANNOUNCE,
            "invalid": {"action": "withdraw"},
            "aspa-invalid": {"action": "withdraw"},
        }
    ],
    "guard": {"max-path-invalid": "10%", "max-shrink": "100%", "hold": 3600},
}


class Site:
    """`rtrd cache`, and the daemon as ExaBGP's process, with 20 routes of a customer whose paths are valid."""

    def __init__(self, lab: Lab) -> None:
        self.cache = lab.start(Cache(lab.folder))
        self.cache.write(RIGHT)
        at = At(self.cache.address.host, self.cache.address.port)
        self.daemon = lab.start(ScriptedExaBGP(lab.folder, [at], SETTINGS))
        self.daemon.comes_up()
        self.daemon.comes_up(LISTENER)
        for prefix in PREFIXES:
            self.daemon.announces(prefix, ORIGIN)
        self.daemon.wait_changes(0, ("announce", PREFIXES))
        self.outcomes("valid")
        self.said = self.daemon.position()

    def outcomes(self, wanted: str, count: int = len(PREFIXES)) -> None:
        def now() -> list[str]:
            return [row["aspa"] for row in asked(self.daemon.socket, "routes")["routes"]]

        wait_until(lambda: now().count(wanted) == count, f"{count} {wanted} paths")

    def guard(self, state: str) -> dict[str, Any]:
        status = self.daemon.wait_status(lambda now: now["guard"]["state"] == state, state)
        found: dict[str, Any] = status["guard"]
        return found

    def held(self) -> dict[str, Any]:
        self.cache.write(WRONG)
        found: dict[str, Any] = self.guard("held")["held"]
        return found


@pytest.fixture
def site(lab: Lab) -> Site:
    return Site(lab)


def test_it_is_held_and_said_and_in_force_once_it_is_accepted(site: Site) -> None:
    held, socket = site.held(), site.daemon.socket
    assert {key: held[key] for key in ("routes", "newly_invalid", "paths_newly_invalid", "aspas", "aspas_then")} == {
        "routes": 20,
        "newly_invalid": 0,
        "paths_newly_invalid": 20,
        "aspas": 1,
        "aspas_then": 1,
    }
    (problem,) = [one["what"] for one in site.daemon.now()["problems"] if "is held until" in one["what"]]
    assert problem.startswith(f"a change of the ASPAs by {site.cache.address} is held until ")
    would = ": it would turn the paths of 20 of 20 routes invalid, with 1 ASPA instead of 1"
    assert problem.endswith(f"{would} (judged at {held['judged']})")
    text = rtrd("status", "--socket", socket).stdout
    assert "A CHANGE OF THE ASPAS IS HELD until" in text
    assert "  20 of 20 routes would have an invalid path\n" in text
    words = ("validate-path", "--local-role", "provider", NEIGHBOR, ORIGIN)
    found, why = asked(socket, *words), f"AS{ORIGIN} does not name AS{NEIGHBOR} as its provider"
    assert (found["outcome"], found["held"]["then"], found["held"]["reason"]) == ("valid", "invalid", why)
    line = rtrd(*map(str, words), "--socket", socket).stdout.splitlines()[-1]
    assert line.startswith(f"  the guard holds a change until {found['held']['until']} (by {site.cache.address})")
    assert line.endswith(f": with it the path would be invalid: {why}")
    assert asked(socket, "aspas", ORIGIN)["providers"] == [NEIGHBOR]
    assert site.daemon.changes(site.said) == []
    assert asked(socket, "accept") == {"state": "following", "held": None}
    site.daemon.wait_changes(site.said, ("withdraw", PREFIXES))
    site.outcomes("invalid")
    assert "held" not in asked(socket, *words)


def test_rejected_it_stays_out_until_the_cache_is_mended(site: Site) -> None:
    site.held()
    assert asked(site.daemon.socket, "reject")["state"] == "rejected"
    site.cache.write({**RIGHT, 64999: [64998]})
    site.daemon.wait_status(lambda now: now["aspas"] == 2, "what is harmless")
    site.guard("following")
    site.outcomes("valid")
    assert site.daemon.changes(site.said) == []


def test_a_few_paths_are_no_reason_and_a_reload_changes_how_many_are(site: Site) -> None:
    site.daemon.announces("198.19.0.0/24", 64512)
    site.daemon.wait_changes(site.said, ("announce", ["198.19.0.0/24"]))
    said = site.daemon.position()
    site.cache.write({**RIGHT, 64512: [OTHER]})  # one of 21
    site.daemon.wait_changes(said, ("withdraw", ["198.19.0.0/24"]))
    said = site.daemon.position()
    site.cache.write({**WRONG, 64512: [OTHER]})
    site.guard("held")
    settings = yaml.safe_load(site.daemon.config.read_text())
    settings["guard"]["max-path-invalid"] = "100%"
    site.daemon.config.write_text(yaml.safe_dump(settings))
    assert site.daemon.reload().returncode == 0
    site.daemon.wait_changes(said, ("withdraw", PREFIXES))
