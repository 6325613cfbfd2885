"""Real RTR clients: what rtrclient and BIRD have got from a server."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rtrd.demo.lab import Process, find_program
from tests.lab.programs import run
from tests.lab.wait import SECONDS

RTRCLIENT = "as root: apt-get install rtr-tools"
BIRD = "as root: apt-get install bird2"
RTRDUMP = "as root: apt-get install stayrtr"

Rows = set[tuple[str, int, int]]
"""Prefix, max length, AS."""


@contextmanager
def running(process: Process) -> Iterator[Process]:
    process.start()
    try:
        yield process
    finally:
        process.stop()
        assert process.leftovers == []


def exported(port: int) -> Rows:
    """What rtrclient gets; it prints AS numbers from 2^31 on as negative ones."""
    argv = [find_program("rtrclient", RTRCLIENT), "-e", "-t", "csv", "tcp", "127.0.0.1", str(port)]
    output = run(*argv, check=True).stdout
    rows = re.findall(r"^([0-9a-f.:]+), (\d+), (\d+), (-?\d+)$", output, re.MULTILINE)
    return {(f"{address}/{length}", int(max_length), int(asn) % (1 << 32)) for address, length, max_length, asn in rows}


def dumped(folder: Path, port: int, *options: str) -> tuple[Rows, int]:
    """What StayRTR's rtrdump gets: VRPs, and how many router keys."""
    out = folder / "dump.json"
    argv = [find_program("rtrdump", RTRDUMP), *options, "-file", str(out), "-connect", f"127.0.0.1:{port}"]
    run(*argv, check=True)
    found = json.loads(out.read_text())
    rows = {(one["prefix"], one["maxLength"], int(str(one["asn"]).removeprefix("AS"))) for one in found["roas"]}
    return rows, len(found.get("bgpsec_keys") or [])


class Bird:
    """A BIRD whose rpki protocol loads from a port of this host."""

    def __init__(self, folder: Path, port: int) -> None:
        config = folder / "bird.conf"
        self._control = folder / "bird.ctl"
        config.write_text(f"""
            log stderr all;
            router id 192.0.2.1;
            roa4 table four; roa6 table six;
            protocol device {{}}
            protocol rpki cache {{
                roa4 {{ table four; }}; roa6 {{ table six; }};
                remote 127.0.0.1 port {port};
                debug all;
            }}""")
        self._birdc = find_program("birdc", BIRD)
        self.process = Process(
            "bird", [find_program("bird", BIRD), "-f", "-c", str(config), "-s", str(self._control)], folder
        )

    def table(self) -> Rows:
        """Both ROA tables."""
        output = run(self._birdc, "-s", self._control, "show route").stdout
        rows = re.findall(r"^(\S+/\d+)-(\d+) AS(\d+) ", output, re.MULTILINE)
        return {(prefix, int(length), int(asn)) for prefix, length, asn in rows}

    def wait_table(self, rows: Rows) -> None:
        """Return when it has exactly these."""
        self.process.wait_until(lambda: self.table() == rows, SECONDS, f"{rows} in BIRD's tables", tick=0.1)

    def reloads(self, since: int) -> bool:
        """Whether it was told to load the whole set anew, counted from a line of its log."""
        return any("Cache Reset" in line.text for line in self.process.lines[since:])
