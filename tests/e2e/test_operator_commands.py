"""The pages that answer an operator's question, on the real things: what they configure and say is done.

The host of a page is a folder: `/etc/rtrd/rtrd.yaml` is `etc/rtrd/rtrd.yaml` in it; its addresses are loopback ones.
tests/unit/test_operator_pages.py checks what needs no process.
"""

import os
import re
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from rtrd.demo.caches import RtrdCache, write_vrps
from rtrd.demo.chain import FEEDER, LISTENER
from rtrd.demo.lab import Lab, Process, find_program
from rtrd.demo.ports import free_port
from rtrd.demo.routers import ExaBGP, Neighbor
from tests.e2e.conftest import DEBIANS, takes
from tests.lab import ROOT, operator_pages
from tests.lab.bird_routers import ADDRESS, BIRD_ASN, BirdRouter
from tests.lab.bird_routers import FEEDER as BIRD_PEER
from tests.lab.chain import Chain
from tests.lab.daemons import Daemon, once
from tests.lab.operator_pages import GOOD, PAGES, ROUTES, Block, Command
from tests.lab.programs import AS_US, RTRD, run

SECONDS = 60
PLACES = ("/etc/", "/var/", "/run/", "/root/")
"""Folders of the page's host."""
FOLDERS = (
    *("etc/rtrd", "etc/exabgp", "etc/bird", "etc/prometheus", "etc/systemd/system", "root"),
    *("var/lib/rpki-client", "var/lib/rtrd", "run/rtrd", "run/exabgp", "run/bird"),
)
EXABGP_BLOCKS = [block for page in PAGES for block in operator_pages.of_kind(page, "exabgp")]
BIRD_BLOCKS = [block for page in PAGES for block in operator_pages.of_kind(page, "bird")]
SYSTEMD = ("systemctl", "systemd-run", "adduser", "apt-get", "journalctl")
"""Only under systemd, where tests/integration/test_pages_installed.py types them."""


class Host:
    """The folder that is the page's host, and where its addresses are."""

    def __init__(self, root: Path, exabgp: str, addresses: Mapping[str, str], environment: Mapping[str, str]) -> None:
        self.root = root
        self.exabgp = exabgp
        self.addresses = dict(addresses)
        self.environment = {**os.environ, **environment}
        for place in FOLDERS:
            (root / place).mkdir(parents=True)
        self.write("etc/prometheus/rtrd.rules.yaml", (ROOT / "etc" / "prometheus" / "rtrd.rules.yaml").read_text())
        (prometheus,) = [block.text for block in operator_pages.of_kind("monitoring", "yaml") if "scrape" in block.text]
        self.write("etc/prometheus/prometheus.yml", self.here(prometheus))
        shutil.copy(ROOT / "systemd" / "rtrd.service", root / "etc/systemd/system")
        (slurm,) = operator_pages.of_kind("cache-trouble", "json")
        self.write("etc/rtrd/slurm.json", slurm.text)
        self.write("etc/exabgp/exabgp.conf", loadable(operator_pages.of_kind("start-exabgp", "exabgp")[0]))
        self.write("etc/bird/bird.conf", operator_pages.of_kind("start-bird", "bird")[0].text)
        write_vrps(root / "var/lib/rpki-client/json", GOOD)

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text)

    def folders(self, text: str) -> str:
        """A text with this host's folders."""
        for place in PLACES:
            text = re.sub(rf"(?<![\w./]){re.escape(place)}", f"{self.root}{place}", text)
        return text

    def here(self, word: str) -> str:
        """A word of a command, with this host's folders and addresses."""
        word = self.folders(word)
        for old, new in self.addresses.items():
            word = word.replace(old, new)
        return word

    def run(self, command: Command, lab: Lab) -> str:
        """Run a command to its end, or to its first line if it has none; it must end with 0. Returns what it said."""
        words = [self.here(word) for word in command.words]
        program = words[0]
        if program == "exabgp" and self.exabgp != DEBIANS:
            words[1] = {"--test": "validate"}[words[1]]  # as the pages say of 5.0
        words[0] = self.exabgp if program == "exabgp" else find_program(program, f"apt-get install {program}")
        if program == "rtrd" and words[1] in ("cache", "watch"):
            return self.look_at(command, words, lab)
        if words[1:2] == ["bird"]:
            words += ["--bird", str(self.root / "run/bird/bird.ctl")]
        if (program, words[1]) == ("rtrd", "check"):
            words += AS_US
        if program == "birdc":
            words[1:1] = ["-s", str(self.root / "run/bird/bird.ctl")]
        done = run(*words, seconds=SECONDS, env=self.environment)
        assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout.replace(str(self.root), "")

    def look_at(self, command: Command, words: list[str], lab: Lab) -> str:
        """What goes on until Ctrl-C says something first, and ends by it."""
        process = lab.start(Process(f"{command.page}-{command.line}", words, lab.folder, self.environment))
        process.wait_for("listening on|[0-9]{2}:[0-9]{2}")
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) in (0, 128 + signal.SIGINT), str(command)
        return ""


def loadable(block: Block) -> str:
    """ExaBGP looks for its processes when it reads a file: with one that is there."""
    text = operator_pages.whole(block)
    assert re.search("run /usr/bin/rtrd ", text), f"{block}: no rtrd"
    return text.replace("run /usr/bin/rtrd ", f"run {RTRD} ")


@pytest.mark.parametrize("block", EXABGP_BLOCKS, ids=str)
def test_both_versions_of_exabgp_take_it(block: Block, exabgp: str, tmp_path: Path) -> None:
    file = tmp_path / "exabgp.conf"
    file.write_text(loadable(block))
    takes(exabgp, file)


@pytest.mark.parametrize("block", BIRD_BLOCKS, ids=str)
def test_bird_takes_it(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "bird.conf"
    file.write_text(operator_pages.whole(block))
    done = run(find_program("bird", "apt-get install bird2"), "-p", "-c", file)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_command_of_the_pages_does_what_it_should(exabgp: str, lab: Lab) -> None:
    """Two caches that count together, a router with routes of each validity, and for cache-trouble.md a held change."""
    one, two = RtrdCache(lab.folder, GOOD, name="one"), RtrdCache(lab.folder, GOOD[:1], name="two", address="127.0.0.5")
    http = f"127.0.0.1:{free_port('127.0.0.1')}"
    lab.start(one)
    lab.start(two)
    servers = [{"host": cache.address, "port": cache.port} for cache in (one, two)]
    settings = {
        "caches": {"refresh": 60, "retry": 1, "groups": [{"name": "primary", "preference": 1, "servers": servers}]},
        "http": http,
        "guard": {"max-newly-invalid": "100%", "max-shrink": "20%", "hold": 3600},
    }
    chain = Chain(lab, [[one, two]], exabgp=exabgp, static=[route.exabgp() for route in ROUTES], settings=settings)
    chain.start()
    chain.wait_routes(lambda routes: len(routes) == 2, "the two routes that are not invalid")
    addresses = {
        "192.0.2.10:323": f"{one.address}:{one.port}",
        "192.0.2.11:323": f"{two.address}:{two.port}",
        "127.0.0.1:9323": http,
        "127.0.0.1:3323": "127.0.0.1:0",
    }
    host = Host(lab.folder / "host", exabgp, addresses, {"RTRD_SOCKET": str(chain.socket)})
    for folder in ("rtrd", "exabgp"):
        (host.root / "run" / folder / "rtrd.sock").symlink_to(chain.socket)
    for page in PAGES:
        if page == "start-bird":
            continue
        if page == "cache-trouble":
            one.serve(GOOD[:1])
            chain.wait_status(lambda status: status["guard"]["state"] == "held", "a held change")
        for command in operator_pages.all_commands(page):
            if command.words[0] in SYSTEMD:
                continue
            host.write("etc/rtrd/rtrd.yaml", host.folders(operator_pages.in_force(command)))
            said = host.run(command, lab)
            assert operator_pages.is_said(command.output, said), f"{command}\n{said}"


def test_from_observing_over_tags_to_withdraws(exabgp: str, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """start-exabgp.md's two files, and then the steps of policy.md in their order: what the router of our AS hears."""
    cache = RtrdCache(lab.folder, GOOD)
    chain = Chain(lab, [[cache]], exabgp=exabgp, static=[route.exabgp() for route in ROUTES])

    def settings(block: Block) -> None:
        page = operator_pages.configuration(block)
        page.pop("guard", None)
        for rule in page.get("policy", ()):
            rule.update({"from": [FEEDER], "to": [LISTENER]})
        page["caches"]["groups"][0]["servers"] = [{"host": cache.address, "port": cache.port}]
        chain.configuration.write_text(yaml.safe_dump({**page, "control": str(chain.socket)}))

    first = operator_pages.of_kind("start-exabgp", "yaml")[0]
    router = operator_pages.whole(operator_pages.of_kind("start-exabgp", "exabgp")[1])
    monkeypatch.setattr(chain.router, "configuration", lambda: chain.on_loopback(router))
    monkeypatch.setattr(chain, "write_settings", lambda: settings(first))
    chain.start()

    validities = {"192.0.2.0/24": "valid", "198.18.1.0/24": "invalid", "203.0.113.0/24": "not-found"}
    chain.wait_status(
        lambda _: {each["prefix"]: each["validity"] for each in chain.ask("routes")["routes"]} == validities,
        "all three validities",
    )
    assert chain.received() == []

    tag, withdraw, *_ = operator_pages.of_kind("policy", "yaml")
    settings(tag)
    assert chain.ask("reload")["changes"]
    chain.settle(validities)
    settings(withdraw)
    assert chain.ask("reload")["changes"]
    chain.settle({"192.0.2.0/24": None, "203.0.113.0/24": None})
    settings(tag)
    chain.ask("reload")
    chain.settle(validities)


def test_a_running_daemon_takes_each_configuration(lab: Lab) -> None:
    """By `rtrd reload`, one after the other; caches are where ours are, whatever their transport is."""
    one, two = (lab.start(RtrdCache(lab.folder, GOOD, name=name)) for name in ("one", "two"))
    places = {"192.0.2.10": one, "127.0.0.1": one}
    (lab.folder / "state").mkdir()
    daemon = Daemon(lab.folder, [one])
    lab.start(daemon)
    blocks = [one for page in PAGES for one in operator_pages.of_kind(page, "yaml") if operator_pages.is_rtrd(one)]
    for block in blocks:
        settings = operator_pages.configuration(block)
        groups = settings["caches"]["groups"]
        for group in groups:
            found = {id(cache): cache for cache in (places.get(each["host"], two) for each in group["servers"])}
            group["servers"] = [{"host": cache.address, "port": cache.port} for cache in found.values()]
        if "slurm" in settings:
            (slurm,) = operator_pages.of_kind(block.page, "json")
            (lab.folder / "slurm.json").write_text(slurm.text)
            settings["slurm"] = ["slurm.json"]
        daemon.config.write_text(yaml.safe_dump({**settings, "control": str(daemon.socket)}))
        done = daemon.reload()
        assert done.returncode == 0, f"{block}: {done.stderr}"
        daemon.wait_status(
            lambda status, names=[group["name"] for group in groups]: (  # type: ignore[misc]
                status["ready"] and [group["name"] for group in status["groups"]] == names
            ),
            f"the groups of {block}",
        )
        filtered = "not-found" if "slurm" in settings else "valid"
        daemon.wait_status(lambda _, wanted=filtered: daemon.validity("192.0.2.0/24", 64500) == wanted, filtered)  # type: ignore[misc]


class PageBird(BirdRouter):
    """The page's BIRD on loopback: what its last block above a line says."""

    above = 0

    def text(self, port: int) -> str:
        text = operator_pages.whole([each for each in BIRD_BLOCKS if each.line < self.above][-1])
        for old, new in (
            ("log syslog all;", "log stderr all;"),
            ("remote 127.0.0.1 port 3323;", f"remote 127.0.0.1 port {self.rtr_port};"),
            ("local 192.0.2.254 as OWN_AS;", f"local {ADDRESS} port {port} as OWN_AS; multihop; passive; strict bind;"),
            ("neighbor 192.0.2.1 as 64496;", f"neighbor {BIRD_PEER} as 64496;"),
        ):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        return text


def test_start_bird_from_its_first_to_its_last_command(lab: Lab) -> None:
    """`rtrd run` and BIRD as the page configures them: marked first, then without what is invalid."""
    cache = lab.start(RtrdCache(lab.folder, GOOD))
    rtr_port = free_port("127.0.0.1")
    control = lab.folder / "host/run/rtrd/rtrd.sock"
    host = Host(lab.folder / "host", "exabgp", {}, {"RTRD_SOCKET": str(control)})
    bird = PageBird(lab.folder, rtr_port)
    (host.root / "etc/bird/bird.conf").unlink()
    (host.root / "etc/bird/bird.conf").symlink_to(bird.config)
    (host.root / "run/bird/bird.ctl").symlink_to(bird.control)
    tags = {"192.0.2.0/24": ((BIRD_ASN, 1, 0),), "203.0.113.0/24": ((BIRD_ASN, 1, 1),)}
    invalid = {"198.18.1.0/24": ((BIRD_ASN, 1, 2),)}

    for command in operator_pages.all_commands("start-bird"):
        if command.words[:2] == ("rtrd", "check"):
            settings = yaml.safe_load(host.folders(operator_pages.in_force(command)))
            settings["caches"]["groups"][0]["servers"] = [{"host": cache.address, "port": cache.port}]
            assert settings["rtr-server"]["listen"] == ["127.0.0.1:3323"]
            settings["rtr-server"]["listen"] = [f"127.0.0.1:{rtr_port}"]
            host.write("etc/rtrd/rtrd.yaml", yaml.safe_dump({**settings, "control": str(control)}))
        bird.above = command.line
        if command.words == ("birdc", "configure"):
            bird.config.write_text(bird.text(bird.port))
        if command.words[0] not in SYSTEMD:
            said = host.run(command, lab)
            assert operator_pages.is_said(command.output, said), f"{command}\n{said}"
        elif command.words[0] == "systemctl":
            begin(host, lab)
            bird.above = BIRD_BLOCKS[0].line + 1
            lab.start(bird)
            feeder = ExaBGP(
                lab.folder, name="feeder", address=BIRD_PEER, asn=64496, static=[each.exabgp() for each in ROUTES]
            )
            feeder.neighbors = [Neighbor(address=ADDRESS, asn=BIRD_ASN, port=bird.port)]
            lab.start(feeder)
            bird.wait_routes(lambda routes: routes == {**tags, **invalid}, "all three marks")
    bird.wait_routes(lambda routes: routes == tags, "nothing invalid")
    assert set(bird.routes(rejected=True)) == set(invalid)


def begin(host: Host, lab: Lab) -> None:
    """The daemon, as the unit starts it; returns when it is ready."""
    words = [RTRD, "run", "-c", host.here("/etc/rtrd/rtrd.yaml")]
    daemon = lab.start(Process("rtrd", words, lab.folder))
    once(daemon, host.root / "run/rtrd/rtrd.sock", lambda status: bool(status["ready"]), "a VRP set", SECONDS)
