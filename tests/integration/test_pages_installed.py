"""What a new user types: each command of a page in its order, as root, on a Debian with the package, under systemd.

The caches and the neighbors are on another host of the page's network, so that each address is the page's.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from rtrd.demo.caches import VRP, write_vrps
from tests.lab import deb, operator_pages
from tests.lab.operator_pages import GOOD, ROUTES, Block, Command
from tests.lab.systemd_host import Host

pytestmark = pytest.mark.long
SECONDS = 60
RTRD_YAML, EXABGP_CONF, BIRD_CONF = "/etc/rtrd/rtrd.yaml", "/etc/exabgp/exabgp.conf", "/etc/bird/bird.conf"
CACHES = ("192.0.2.10", "192.0.2.11", "192.0.2.12")
NEIGHBORS: tuple[tuple[str, int, list[str]], ...] = (
    ("192.0.2.1", 64496, [route.exabgp() for route in ROUTES]),
    ("192.0.2.2", 65000, []),
)
NETWORK = f"""
set -e
ip netns add others
ip link add page type veth peer name page netns others
ip addr add 192.0.2.254/24 dev page
for address in {" ".join(CACHES)} {" ".join(address for address, *_ in NEIGHBORS)}; do
    ip -n others addr add $address/24 dev page
done
ip -n others link set lo up
ip -n others link set page up
ip link set page up
"""
LOOKS_ON = ("rtrd watch",)
"""Commands that go on until Ctrl-C."""
WAITS = (
    *("rtrd status", "rtrd routes", "rtrd validate", "rtrd vrps", "rtrd diff", "rtrd whatif"),
    *("rtrd bird", "birdc show", "systemctl status", "journalctl"),
)
"""Commands that a reader repeats until they show what the page shows."""


class Reader:
    """Root, who does what a page says; its files are where the text before a block says."""

    def __init__(self, host: Host, page: str) -> None:
        self.host = host
        self.page = page
        self.before: dict[str, Callable[[], object]] = {}
        """What happens elsewhere before a command is typed, or shows a line with this beginning, for the first time."""

    def follow(self) -> None:
        for block in operator_pages.blocks(self.page):
            if block.kind == "console":
                for command in operator_pages.commands(block):
                    for what in [key for key in self.before if self.is_at(key, command)]:
                        self.before.pop(what)()
                    self.type(command)
            else:
                self.edit(block)
        assert not self.before, "the page has no such command"

    def is_at(self, what: str, command: Command) -> bool:
        return command.typed == what or any(line.startswith(what) for line in command.output)

    def edit(self, block: Block) -> None:
        """Write a block into its file; a fragment becomes a part of what is there."""
        if block.kind == "json":
            return self.write("/etc/rtrd/slurm.json", block.text)
        if block.kind != "yaml":
            return self.write({"exabgp": EXABGP_CONF, "bird": BIRD_CONF}[block.kind], operator_pages.whole(block))
        path = operator_pages.file_of(block) or RTRD_YAML
        part = yaml.safe_load(block.text)
        if "groups" in part.get("caches", {}):
            return self.write(path, block.text)
        there = yaml.safe_load(self.shell(f"cat {path}"))
        return self.write(path, yaml.safe_dump({**there, **part}, sort_keys=False))

    def write(self, path: str, text: str) -> None:
        (self.host.folder / "edited").write_text(text)
        self.shell(f"cat {self.host.folder}/edited > {path}")

    def shell(self, typed: str) -> str:
        """Run a command as a login of root would; it must end with 0."""
        code, said = self.attempt(typed)
        assert code == 0, f"{typed}: {code}\n{said}"
        return said

    def attempt(self, typed: str) -> tuple[int, str]:
        login = ["env", "-i", "-C", "/root", "HOME=/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"]
        done = self.host.run(*login, "COLUMNS=200", "sh", "-c", typed)
        return done.returncode, done.stdout + done.stderr

    def type(self, command: Command) -> None:
        """Type a command: it ends with 0, and shows what the page shows, at once or when it is repeated."""
        if command.typed.startswith(LOOKS_ON):
            code, said = self.attempt(f"timeout -s INT 3 {command.typed}")
            assert code == 124, f"{command}: {code}\n{said}"
            return
        last: list[tuple[int, str]] = []

        def is_right() -> bool:
            last[:] = [self.attempt(command.typed)]
            return last[0][0] == 0 and operator_pages.is_said(command.output, last[0][1])

        if command.typed.startswith(WAITS):
            try:
                self.host.until(is_right, command.typed, SECONDS)
            except Exception as error:
                raise AssertionError(f"{command}: {last[0][0]}\n{last[0][1]}") from error
        else:
            assert is_right(), f"{command}: {last[0][0]}\n{last[0][1]}"
        print(f"{command}\n{last[0][1]}")


class World:
    """The other host: caches that serve one file each, and two neighbors."""

    def __init__(self, host: Host) -> None:
        self.host = host
        done = host.run("sh", "-c", NETWORK)
        assert done.returncode == 0, done.stderr
        for address in CACHES:
            self.serve(address, GOOD)
            self.start(f"rtrd cache --vrps {host.folder}/{address}.json --listen {address}:323")
        self.start_neighbors()

    def serve(self, address: str, vrps: list[VRP]) -> None:
        """Have a cache serve this, from now on."""
        write_vrps(self.host.folder / f"{address}.json", vrps)

    def start_neighbors(self) -> None:
        """ExaBGPs that wait for the page's router."""
        for address, asn, static in NEIGHBORS:
            routes = "".join(f"        {route};\n" for route in static)
            path = self.host.folder / f"{address}.conf"
            path.write_text(
                f"neighbor 192.0.2.254 {{\n    router-id {address};\n    local-address {address};\n    passive true;\n"
                f"    local-as {asn};\n    peer-as 65000;\n    family {{ ipv4 unicast; ipv6 unicast; }}\n"
                f"    capability {{ route-refresh enable; }}\n    static {{\n{routes}    }}\n}}\n"
            )
            self.start(f"env exabgp_tcp_bind={address} exabgp_daemon_user=root exabgp_daemon_drop=false exabgp {path}")

    def start(self, typed: str) -> None:
        self.host.run("systemd-run", "-p", "NetworkNamespacePath=/run/netns/others", *typed.split())


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = deb.bare_host(tmp_path)
    write_vrps(host.folder / "json", GOOD)
    with host:
        installed = host.run("dpkg", "-i", str(host.folder / "rtrd.deb"))
        assert installed.returncode == 0, installed.stdout + installed.stderr
        # What another validator of this host has written.
        host.run("mkdir", "-p", "/var/lib/rpki-client")
        host.run("cp", str(host.folder / "json"), "/var/lib/rpki-client/json")
        yield host


def test_start_exabgp(host: Host) -> None:
    World(host)
    Reader(host, "start-exabgp").follow()


def test_start_bird(host: Host) -> None:
    World(host)
    host.systemctl("start", "bird")
    reader = Reader(host, "start-bird")

    def has(command: str, words: str) -> Callable[[], None]:
        return lambda: host.until(lambda: words in reader.attempt(command)[1], words)

    reader.before["rtrd bird audit"] = has("birdc show route count", f"{len(ROUTES)} of {len(ROUTES)} routes")
    reader.before["birdc show route filtered"] = has("birdc show route filtered", "198.18.1.0/24")
    reader.follow()
    assert "198.18.1.0/24" in reader.shell("birdc show route filtered")


def test_service(host: Host) -> None:
    World(host)
    (router,) = [each for each in operator_pages.of_kind("start-exabgp", "exabgp") if "neighbor " in each.text]
    reader = Reader(host, "service")
    reader.write(EXABGP_CONF, router.text)
    reader.follow()
    for field in ("NEIGHBOR=192.0.2.1", "CACHE=192.0.2.10:323"):
        assert "No entries" not in reader.shell(f"journalctl -u rtrd {field}")


def in_service(host: Host, page: str) -> tuple[World, Reader]:
    """Caches, a router with its neighbors, and the service, as start-exabgp.md sets them up."""
    world = World(host)
    beginner = Reader(host, "start-exabgp")
    for kind in ("yaml", "exabgp"):
        beginner.edit(operator_pages.of_kind("start-exabgp", kind)[0])
    for typed in ("systemctl enable --now rtrd", "adduser exabgp rtrd", "systemctl restart exabgp"):
        beginner.shell(typed)
    routes = "1 valid, 1 not-found, 1 invalid"
    host.until(lambda: routes in beginner.attempt("rtrd status")[1], "the routes of the neighbor", SECONDS)
    return world, Reader(host, page)


def test_cache_trouble(host: Host) -> None:
    world, reader = in_service(host, "cache-trouble")

    def lie() -> None:
        for address in CACHES:
            world.serve(address, GOOD[:8])

    reader.before["A CHANGE OF THE VRPS IS HELD"] = lie
    reader.follow()
    validate = "rtrd validate 192.0.2.0/24 AS64500"
    host.until(lambda: "not-found" in reader.attempt(validate)[1], "the exception")


def test_upgrading(host: Host) -> None:
    # The version before is this one with another number and another rtrd.yaml.
    reader = Reader(host, "upgrading")
    old = host.folder / "old"
    deb.run("dpkg-deb", "-R", str(host.folder / "rtrd.deb"), str(old))
    control = old / "DEBIAN" / "control"
    control.write_text(re.sub("^Version: .*", "Version: 0.0.9", control.read_text(), flags=re.MULTILINE))
    with (old / "etc/rtrd/rtrd.yaml").open("a") as shipped:
        shipped.write("# This is what 0.0.9 shipped.\n")
    deb.run("dpkg-deb", "-Znone", "-b", str(old), str(host.folder / "rtrd_0.0.9.deb"))
    reader.shell(
        f"mkdir before && mv {host.folder}/rtrd_0.0.9.deb before && mv {host.folder}/rtrd.deb rtrd_0.1.0.deb"
        " && dpkg -i before/rtrd_0.0.9.deb"
    )
    in_service(host, "upgrading")
    pids: list[str] = []
    versions: list[str] = []

    def note() -> None:
        pids.append(host.show("rtrd", "MainPID"))
        versions.append(reader.shell("dpkg-query -W -f '${Version}' rtrd"))

    (install,) = [each.typed for each in operator_pages.all_commands("upgrading") if " ./rtrd" in each.typed]
    for typed in (install, "rtrd watch --last 50", "exabgp --test /etc/exabgp/exabgp.conf"):
        reader.before[typed] = note
    reader.follow()
    assert versions[0] == versions[2] == "0.0.9" != versions[1]
    assert len(set(pids)) == 3  # restarted by the packages alone
    assert "on-stop" not in reader.shell("cat /etc/rtrd/rtrd.yaml")
    assert host.journal("-u", "exabgp").count("Started exabgp.service") == 1
