"""Routers of Debian 13 that speak RTR version 2 have the ASPAs that `rtrd cache` serves, and follow their changes."""

import re
import signal
from functools import partial
from pathlib import Path

import pytest

from rtrd.demo.lab import Lab, Process
from rtrd.demo.ports import free_port
from tests.integration.test_aspas_served import ASPAS, Cache
from tests.integration.test_rtr_server import FIRST
from tests.lab.debian_programs import debian, within
from tests.lab.programs import run
from tests.lab.rtr_routers import running
from tests.lab.wait import SECONDS

pytestmark = pytest.mark.long

MANY = {
    **{customer: [customer + 1, customer + 2, 4294967294] for customer in range(65000, 65300)},
    64499: [64500],
    4200000000: list(range(1, 31)),
}
PREFIXES = len({prefix for prefix, *_ in FIRST})
BIRD = """
log stderr all;
router id 192.0.2.1;
roa4 table four; roa6 table six; aspa table customers;
protocol device {}
protocol rpki cache {
    roa4 { table four; }; roa6 { table six; }; aspa { table customers; };
    SIGNED
    remote 127.0.0.1 port PORT;
    max version VERSION;
}
"""
BGPD = """
AS 64510
router-id 192.0.2.1
fib-update no
listen on 127.0.0.1 port OWN
socket "/mnt/bgpd.sock"
rtr 127.0.0.1 { port PORT
    SIGNED
    min-version 2 }
"""


@pytest.fixture
def cache(lab: Lab) -> Cache:
    return lab.start(Cache(lab.folder))


class Bird(Process):
    """A BIRD that loads from a port of this host, signed by TCP-MD5 with this password or not."""

    def __init__(self, folder: Path, port: int, package: str, version: int = 2, password: str = "") -> None:
        self._root, self._folder = debian("trixie", package), folder
        signed = f'transport tcp {{ authentication md5; password "{password}"; }};' if password else ""
        text = BIRD.replace("PORT", str(port)).replace("VERSION", str(version)).replace("SIGNED", signed)
        (folder / "bird.conf").write_text(text)
        argv = within(self._root, folder, "bird", "-f", "-c", "/mnt/bird.conf", "-s", "/mnt/bird.ctl")
        super().__init__("bird", argv, folder)

    def ask(self, words: str) -> str:
        return run(*within(self._root, self._folder, "birdc", "-s", "/mnt/bird.ctl", *words.split())).stdout

    def customers(self) -> dict[int, list[int]]:
        """Its ASPA table."""
        found = re.findall(
            r"^(\d+) +\[cache .*?^\taspa_providers: ([\d ]+)$",
            self.ask("show route table customers all"),
            re.MULTILINE | re.DOTALL,
        )
        return {int(customer): [int(each) for each in providers.split()] for customer, providers in found}

    def vrps(self) -> int:
        return len(re.findall(r"^\S+/\d+-\d+ AS\d+ ", self.ask("show route"), re.MULTILINE))


@pytest.mark.parametrize("package", ["bird2", "bird3"])
@pytest.mark.parametrize("on_stop", ["silent", "restart"])
def test_bird_has_the_aspas_and_follows(lab: Lab, tmp_path: Path, package: str, on_stop: str) -> None:
    cache = lab.start(Cache(lab.folder, "--on-stop", on_stop))
    with running(Bird(tmp_path, cache.address.port, package)) as bird:
        assert isinstance(bird, Bird)
        bird.wait_until(lambda: bird.customers() == ASPAS, SECONDS, "the ASPAs in BIRD", tick=0.1)
        assert bird.vrps() == len(FIRST)
        assert "Protocol version: 2" in bird.ask("show protocols all cache")
        cache.write(MANY)
        bird.wait_until(lambda: bird.customers() == MANY, SECONDS, "the changed ASPAs in BIRD", tick=0.1)
        cache.write({})
        bird.wait_until(lambda: not bird.customers(), SECONDS, "no ASPA in BIRD", tick=0.1)
        cache.write(ASPAS)
        bird.wait_until(lambda: bird.customers() == ASPAS, SECONDS, "the ASPAs in BIRD", tick=0.1)
        cache.send_signal(signal.SIGTERM)
        assert cache.wait(SECONDS) == 0
        if on_stop == "silent":
            bird.wait_until(
                lambda: "Established" not in bird.ask("show protocols all cache"), SECONDS, "its session to end"
            )
            assert (bird.customers(), bird.vrps()) == (ASPAS, len(FIRST))
        else:
            bird.wait_until(
                lambda: not bird.vrps(), SECONDS, "what it does of an error that it does not know", tick=0.1
            )


def test_a_bird_of_version_1_sees_nothing_of_aspas(cache: Cache, tmp_path: Path) -> None:
    with running(Bird(tmp_path, cache.address.port, "bird2", version=1)) as bird:
        assert isinstance(bird, Bird)
        bird.wait_until(lambda: bird.vrps() == len(FIRST), SECONDS, "the VRPs in BIRD", tick=0.1)
        assert bird.customers() == {}


class OpenBGPD(Process):
    """An OpenBGPD that loads from a port of this host, signed by TCP-MD5 with this password or not."""

    def __init__(self, folder: Path, port: int, password: str = "") -> None:
        self._root, self._folder = debian("trixie", "openbgpd"), folder
        config = folder / "bgpd.conf"
        text = BGPD.replace("PORT", str(port)).replace("OWN", str(free_port("127.0.0.1")))
        config.write_text(text.replace("SIGNED", f"tcp md5sig password {password}" if password else ""))
        config.chmod(0o600)
        super().__init__("bgpd", within(self._root, folder, "bgpd", "-d", "-v", "-f", "/mnt/bgpd.conf"), folder)

    def ask(self, words: str) -> str:
        return run(*within(self._root, self._folder, "bgpctl", "-s", "/mnt/bgpd.sock", *words.split())).stdout

    def has(self, counts: tuple[int, int]) -> bool:
        return self.counts() == counts

    def counts(self) -> tuple[int, int]:
        """How many prefixes with VRPs it has, and how many ASPAs: that is all it tells."""
        sets = self.ask("show sets")
        vrps = re.search(r"^ROA +RPKI ROA +(\d+) +(\d+) ", sets, re.MULTILINE)
        aspas = re.search(r"^ASPA +RPKI ASPA +- +- +(\d+) ", sets, re.MULTILINE)
        return (0 if vrps is None else int(vrps[1]) + int(vrps[2])), (0 if aspas is None else int(aspas[1]))


@pytest.mark.parametrize("on_stop", ["silent", "restart"])
def test_openbgpd_has_as_many_aspas_and_follows(lab: Lab, tmp_path: Path, on_stop: str) -> None:
    cache = lab.start(Cache(lab.folder, "--on-stop", on_stop))
    with running(OpenBGPD(tmp_path, cache.address.port)) as bgpd:
        assert isinstance(bgpd, OpenBGPD)
        for aspas in (ASPAS, MANY, {64499: [0]}):
            cache.write(aspas)
            wanted = (PREFIXES, len(aspas))
            bgpd.wait_until(partial(bgpd.has, wanted), SECONDS, f"{wanted} in OpenBGPD", tick=0.1)
        assert " Version: 2 min 2 " in bgpd.ask("show rtr")
        cache.send_signal(signal.SIGTERM)
        assert cache.wait(SECONDS) == 0
        wanted = (PREFIXES, 1) if on_stop == "silent" else (0, 0)
        bgpd.wait_until(lambda: "State: closed" in bgpd.ask("show rtr"), SECONDS, "its session to end", tick=0.1)
        bgpd.wait_until(lambda: bgpd.counts() == wanted, SECONDS, f"{wanted} in OpenBGPD", tick=0.1)
