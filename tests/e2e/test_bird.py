"""BIRD as the router, with etc/bird.conf: fed by rtrd, it acts on VRPs, and rtrd audits what it holds."""

import base64
import json
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

from rtrd.demo.caches import VRP, RtrdCache
from rtrd.demo.lab import Lab, find_program
from rtrd.demo.routers import Neighbor
from tests.lab.bird_routers import ADDRESS, BIRD, BIRD_ASN, FEEDER, FEEDER_ASN, SECONDS, BirdRouter, example
from tests.lab.daemons import Daemon
from tests.lab.programs import rtrd, run
from tests.lab.routers import Feeder, route

VRPS = [VRP("198.18.0.0/16", 24, 64500), VRP("2001:db8::/32", 48, 64500)]
VALID, NOT_FOUND, INVALID = (BIRD_ASN, 1, 0), (BIRD_ASN, 1, 1), (BIRD_ASN, 1, 2)
# The RFC's one notify a minute would have the second change of a test wait for it.
RELAY: dict[str, Any] = {"rtr-server": {"listen": ["127.0.0.1:0"], "notify-interval": 0}}


WANTED = {
    route("198.18.1.0/24", 64500): VALID,
    route("198.18.2.0/24", 64501): INVALID,
    route("198.18.3.0/25", 64500): INVALID,
    route("203.0.113.0/24", 64500): NOT_FOUND,
    route("2001:db8:1::/48", 64500): VALID,
    route("2001:db8:2::/48", 64501): INVALID,
    route("3fff:1::/36", 64500): NOT_FOUND,
    # A final AS_SET is the origin NONE, also when it is the right AS alone (RFC 6811 section 2).
    route("198.18.4.0/24", 64500, path_set=(64500,)): INVALID,
    route("203.0.114.0/24", 64500, path_set=(64500, 64501)): NOT_FOUND,
}
TAGS = {each.prefix: tag for each, tag in WANTED.items()}


class Site:
    """A cache, rtrd as relay, BIRD behind it, and a peer that announces routes to BIRD."""

    def __init__(
        self, lab: Lab, vrps: list[VRP] = VRPS, *, settings: dict[str, Any] | None = None, **bird: Any
    ) -> None:
        self.cache = lab.start(RtrdCache(lab.folder, vrps))
        self.rtrd = lab.start(Daemon(lab.folder, [self.cache], settings={**RELAY, **(settings or {})}))
        self.rtrd.wait_serves()
        self.bird = lab.start(BirdRouter(lab.folder, self.rtrd.relay_port(), **bird))
        static = [each.exabgp() for each in WANTED]
        self.feeder = Feeder(lab.folder, name="feeder", address=FEEDER, asn=FEEDER_ASN, static=static)
        self.feeder.neighbors = [Neighbor(address=ADDRESS, asn=BIRD_ASN, port=self.bird.port)]
        lab.start(self.feeder)

    def ask(self, *words: str, code: int = 0) -> Any:
        """What `rtrd bird` prints as JSON."""
        done = rtrd("bird", *words, "--json", "--bird", self.bird.control, "--socket", self.rtrd.socket)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)


def test_bird_takes_the_example(tmp_path: Path) -> None:
    (tmp_path / "bird.conf").write_text(example())
    done = run(find_program("bird", BIRD), "-p", "-c", tmp_path / "bird.conf")
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_invalid_is_rejected_and_comes_back_when_a_vrp_says_so(lab: Lab) -> None:
    site = Site(lab)
    accepted = {prefix for prefix, tag in TAGS.items() if tag != INVALID}
    site.bird.wait_routes(lambda routes: set(routes) == accepted, f"exactly {accepted}")
    assert set(site.bird.routes(rejected=True)) == set(TAGS) - accepted
    # No route refresh, no session that restarts: BIRD has what the peer sent.
    seen = len(site.feeder.process.lines)
    began = time.monotonic()
    site.cache.serve([*VRPS, VRP("198.18.2.0/24", 24, 64501)])
    site.bird.wait_routes(lambda routes: set(routes) == accepted | {"198.18.2.0/24"}, "the route that became valid")
    print(f"from the cache's change to BIRD's table: {time.monotonic() - began:.3f} s")
    site.cache.serve([VRP("203.0.113.0/24", 24, 64502), *VRPS])
    wanted = accepted - {"203.0.113.0/24"}
    site.bird.wait_routes(lambda routes: set(routes) == wanted, "the route that became invalid to go")
    assert not any("refresh" in line.text.lower() for line in site.feeder.process.lines[seen:])


def test_every_route_is_tagged_and_forged_tags_are_removed(lab: Lab) -> None:
    site = Site(lab, filter_name="tag_validity")
    tags = {prefix: (tag,) for prefix, tag in TAGS.items()}
    site.bird.wait_routes(lambda routes: routes == tags, f"{tags}")
    forged = route("198.18.2.0/24", 64501, large_communities=frozenset({VALID, (64496, 1, 0)}))
    site.feeder.command(f"announce {forged.exabgp()}")
    wanted = {(64496, 1, 0), INVALID}
    site.bird.wait_routes(lambda routes: set(routes["198.18.2.0/24"]) == wanted, "the tag that is ours alone")


def test_the_audit_finds_exactly_what_bird_should_not_hold(lab: Lab) -> None:
    """With tags only, BIRD holds the invalid routes too; three of them in three ways."""
    site = Site(lab, filter_name="tag_validity")
    site.bird.wait_routes(lambda routes: set(routes) == set(TAGS), "all routes")
    found = site.ask("audit")
    assert found["tables"] == ["master4", "master6"]
    invalid = {prefix for prefix, tag in TAGS.items() if tag == INVALID}
    assert {one["prefix"]: (one["origin_as"], one["reason"], one["cover"]) for one in found["invalid"]} == {
        "198.18.2.0/24": (64501, "as", "unreachable"),
        "198.18.3.0/25": (64500, "length", "unreachable"),
        "198.18.4.0/24": (None, "as", "unreachable"),
        "2001:db8:2::/48": (64501, "as", "unreachable"),
    }
    assert found["routes"] == {"valid": 2, "not-found": 3, "invalid": len(invalid)}
    site.feeder.command(f"announce {route('198.18.0.0/16', 64500).exabgp()}")
    site.feeder.command(f"announce {route('2001:d00::/24', 64500).exabgp()}")
    site.bird.wait_routes(lambda routes: len(routes) == len(TAGS) + 2, "the covering routes")
    found = site.ask("audit")
    assert found["covers"] == {"unreachable": 0, "covered-by-valid": 3, "covered-by-not-found": 1}
    assert {one["protocol"] for one in found["invalid"]} == {"upstream"}


def test_check_compares_birds_roa_tables_with_ours(lab: Lab) -> None:
    more = "\nprotocol static own { roa4 { table rtrd4; }; route 192.0.2.0/24 max 25 as 64511; }\n"
    site = Site(lab, more="")
    site.bird.wait_routes(lambda routes: len(routes) == 5, "the valid and not-found routes")
    found = site.ask("check")
    assert (found["same"], found["vrps"], found["tables"]) == (True, 2, ["rtrd4", "rtrd6"])
    file = lab.folder / "other.json"
    file.write_text(json.dumps({"roas": [{"asn": 64500, "prefix": "198.18.0.0/16", "maxLength": 24}]}))
    found = site.ask("check", "--vrps", str(file), code=1)
    assert (found["missing"], found["extra"]) == ([], [{"asn": 64500, "prefix": "2001:db8::/32", "maxLength": 48}])
    for word in ("check", "audit"):
        done = rtrd("bird", word, "--table", "nosuch", "--vrps", file, "--bird", site.bird.control)
        assert (done.returncode, done.stderr) == (1, f"rtrd bird {word}: BIRD has no table nosuch\n")
    site.bird.config.write_text(site.bird.text(site.bird.port) + more)
    assert "Reconfigured" in site.bird.ask("configure")
    found = site.ask("check", code=1)
    assert (found["missing"], found["extra"]) == ([], [{"asn": 64511, "prefix": "192.0.2.0/24", "maxLength": 25}])


def test_aspas_and_router_keys_beside_the_vrps_change_no_comparison(lab: Lab) -> None:
    site = Site(lab)
    site.bird.wait_routes(lambda routes: len(routes) == 5, "the valid and not-found routes")
    before = site.ask("audit")
    data = json.loads(site.cache.file.read_text())
    data["aspas"] = [{"customer_asid": 64500, "providers": [64501]}]
    data["bgpsec_keys"] = [{"asn": 64500, "ski": "07" * 20, "pubkey": base64.b64encode(bytes(91)).decode()}]
    site.cache.file.write_text(json.dumps(data))
    site.cache.process.send_signal(signal.SIGHUP)
    site.rtrd.wait_status(lambda status: (status["aspas"], status["router_keys"]) == (1, 1), "an ASPA and a key")
    assert site.ask("audit") == before
    assert site.ask("check")["same"] is True


def test_the_daemon_repeats_the_audit_and_survives_a_bird_that_hangs_or_restarts(lab: Lab) -> None:
    site = Site(lab, filter_name="tag_validity", settings={"bird": {"socket": "bird.ctl", "every": 10}})
    site.bird.wait_routes(lambda routes: set(routes) == set(TAGS), "all routes")

    def wait(wanted: Any, what: str) -> dict[str, Any]:
        status: dict[str, Any] = site.rtrd.wait_status(lambda status: wanted(status["bird"]), what)["bird"]
        return status

    found = wait(lambda bird: bird["found"] and bird["found"]["routes"]["invalid"] == 4, "four invalid routes")
    assert (found["fault"], found["found"]["missing"], found["found"]["extra"]) == (None, 0, 0)
    os.kill(site.bird.process.pid, signal.SIGSTOP)
    try:
        found = wait(lambda bird: bird["fault"], "the BIRD that hangs to be said")
        assert "sent nothing for" in found["fault"]
        assert found["found"]["routes"]["invalid"] == 4, "what was known stays"
    finally:
        os.kill(site.bird.process.pid, signal.SIGCONT)
    site.bird.stop()
    wait(lambda bird: "no BIRD answers" in (bird["fault"] or ""), "the BIRD that is gone to be said")
    site.bird.start()
    wait(lambda bird: bird["fault"] is None, "the BIRD that is back to be audited")


def test_a_bird_that_prints_rubbish_or_for_ever_is_given_up(tmp_path: Path) -> None:
    """A socket at which something else speaks, which no audit may believe, and which no audit may fill memory with."""
    path = tmp_path / "bird.ctl"
    for greeting, what in ((b"220 mail.example ESMTP\n", "not a line of BIRD"), (b"x" * 200_000, "line of more than")):
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            server.listen()

            def serve(server: socket.socket = server, greeting: bytes = greeting) -> None:
                one, _ = server.accept()
                with one:
                    one.sendall(greeting)

            thread = threading.Thread(target=serve)
            thread.start()
            file = tmp_path / "vrps.json"
            file.write_text('{"roas": []}')
            done = rtrd("bird", "audit", "--vrps", file, "--bird", path)
            thread.join(SECONDS)
        path.unlink()
        assert done.returncode == 1
        assert what in done.stderr
