"""A BIRD that speaks BGP, with etc/bird.conf as an operator would paste it: what it holds, and its control socket."""

import re
from collections.abc import Callable
from pathlib import Path

from rtrd.demo.lab import LabError, Process, find_program, on_free_port
from tests.lab import ROOT
from tests.lab.programs import run

SECONDS = 30
BIRD = "as root: apt-get install bird2"
EXAMPLE = ROOT / "etc" / "bird.conf"
ADDRESS, FEEDER = "127.0.0.7", "127.0.0.8"
BIRD_ASN, FEEDER_ASN = 65000, 64496

BIRD_2_LINE = re.compile(r"^roa\d table .*\n", re.MULTILINE)
BIRD_3_LINE = re.compile(r"^# (?=roa\d table )", re.MULTILINE)

Routes = dict[str, tuple[tuple[int, int, int], ...]]
"""Prefix -> large communities, of the best route."""


def is_bird_3() -> bool:
    """Whether the BIRD of this host is BIRD 3."""
    return " 3." in run(find_program("bird", BIRD), "--version").stderr


def example() -> str:
    """etc/bird.conf for the BIRD of this host: for BIRD 3 with the lines that it has for it."""
    text = EXAMPLE.read_text()
    return BIRD_3_LINE.sub("", BIRD_2_LINE.sub("", text)) if is_bird_3() else text


class BirdRouter:
    """etc/bird.conf on loopback, its neighbor being an ExaBGP that connects to it."""

    def __init__(
        self,
        folder: Path,
        rtr_port: int,
        *,
        filter_name: str = "reject_invalid",
        peer: tuple[str, int] = (FEEDER, FEEDER_ASN),
        more: str = "",
    ) -> None:
        self.control = folder / "bird.ctl"
        self.config = folder / "bird.conf"
        self.port = 0
        self.process = Process("bird", [], folder)
        self.rtr_port = rtr_port
        self._folder = folder
        self._filter = filter_name
        self._peer = peer
        self._more = more
        self._birdc = find_program("birdc", BIRD)

    @property
    def leftovers(self) -> list[str]:
        return self.process.leftovers

    def text(self, port: int) -> str:
        """The example, with loopback addresses and ports of ours."""
        text = example()
        address, asn = self._peer
        for old, new in (
            ("log syslog {", "log stderr {"),
            ("remote 127.0.0.1 port 3323;", f"remote 127.0.0.1 port {self.rtr_port};"),
            ("retry keep 5;", "retry keep 1;"),
            ("local as OWN_AS;", f"local {ADDRESS} port {port} as OWN_AS; multihop; passive; strict bind;"),
            ("neighbor 192.0.2.2 as 64496;", f"neighbor {address} as {asn};"),
        ):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        return text.replace("import filter reject_invalid;", f"import filter {self._filter};") + self._more

    def start(self) -> None:
        """Start, and return when it takes BGP sessions; on its old port after a stop."""
        if self.port:
            self._start(self.port)
        else:
            on_free_port(ADDRESS, self._start)

    def stop(self) -> None:
        self.process.stop()

    def _start(self, port: int) -> None:
        self.config.write_text(self.text(port))
        argv = [find_program("bird", BIRD), "-f", "-c", str(self.config), "-s", str(self.control)]
        self.process = Process("bird", argv, self._folder)
        self.process.start()
        self.process.wait_listening(port)
        self.port = port

    def ask(self, command: str) -> str:
        return run(self._birdc, "-s", self.control, command).stdout

    def routes(self, *, rejected: bool = False) -> Routes:
        """What its tables hold, or what its filters rejected."""
        found: Routes = {}
        prefix = ""
        for line in self.ask(f"show route {'filtered ' if rejected else ''}all").splitlines():
            if match := re.match(r"([0-9a-f.:]+/\d+) .*\[upstream ", line):
                prefix = match[1]
                found[prefix] = ()
            elif match := re.match(r"\t(?:BGP\.|bgp_)large_community: (.*)", line):
                values = re.findall(r"\((\d+), (\d+), (\d+)\)", match[1])
                found[prefix] = tuple((int(a), int(b), int(c)) for a, b, c in values)
        return found

    def wait_routes(self, wanted: Callable[[Routes], bool], what: str) -> Routes:
        """Return the routes once they are as wanted."""

        def look() -> tuple[Routes] | None:
            routes = self.routes()
            return (routes,) if wanted(routes) else None

        try:
            return self.process.wait_until(look, SECONDS, what, tick=0.02)[0]
        except LabError as error:
            raise LabError(f"{error}\nIts routes: {self.routes()}\nrejected: {self.routes(rejected=True)}") from error
