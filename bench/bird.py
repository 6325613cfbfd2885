"""Measures the memory and CPU time of a BIRD that takes a table over BGP and VRPs over RTR."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Self

from bench import lines
from bench.pipe import Usage
from bench.scripted_cache import HOST
from bench.speaker import Speaker, update
from rtrd.demo.lab import LabError, Process, find_program
from rtrd.demo.ports import free_port
from tests.lab.debian_programs import within

ROUTER, PEER = "127.0.0.1", "127.0.0.2"
SECONDS = 300.0
CHECK = "if roa_check({table}, net, bgp_path.last) = ROA_VALID then bgp_large_community.add((65000, 1, 0));"
CONFIGURATION = """
router id 10.0.0.1;
log stderr all;
roa4 table four;
roa6 table six;
protocol device {{ }}
{more}
protocol rpki cache {{
    roa4 {{ table four; }};
    roa6 {{ table six; }};
    remote {host} port {cache};
}}
protocol bgp peer {{
    local {router} port {port} as 65001;
    neighbor {peer} as 65002;
    passive; multihop;
    ipv4 {{ import filter {{ {four} accept; }}; export none; }};
    ipv6 {{ import filter {{ {six} accept; }}; export none; }};
}}
"""


def encoded(table: list[lines.Route], packing: int) -> bytes:
    """Give the UPDATEs of a table transfer."""
    return b"".join(
        update(lines.attributes_of(origin, which), lines.NEXT_HOP_V6 if is_ipv6 else PEER, prefixes)
        for origin, which, is_ipv6, prefixes in lines.packed_routes(table, packing)
    )


class Bird:
    """One BIRD."""

    def __init__(self, folder: Path, cache: int, *, check: str = "", more: str = "", root: Path | None = None) -> None:
        """Take the port of the cache; `check` is done with every route, `{table}` in it being that of its VRPs.

        `more` is more of its configuration, `root` another Debian in which it is.
        """
        self._port = free_port(ROUTER)
        self._folder, self._root = folder, root
        four, six = (check.format(table=table) for table in ("four", "six"))
        names = {"host": HOST, "cache": cache, "router": ROUTER, "port": self._port, "peer": PEER, "more": more}
        (folder / "bird.conf").write_text(CONFIGURATION.format(**names, four=four, six=six), encoding="utf-8")
        argv = self._argv("bird", "-f", "-c", "bird.conf", "-s", "bird.ctl")
        self.process = Process("bird", argv, folder)

    def __enter__(self) -> Self:
        self.process.start()
        self.process.wait_listening(self._port)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop()

    def _argv(self, program: str, *words: str) -> list[str]:
        """Give what runs a program of BIRD's; of the words those with a dot are files."""
        folder = self._folder if self._root is None else Path("/mnt")
        named = [str(folder / word) if "." in word else word for word in words]
        if self._root is not None:
            return within(self._root, self._folder, program, *named)
        return [find_program(program, "as root: apt-get install bird2"), *named]

    @property
    def usage(self) -> Usage:
        return Usage([self.process.pid])

    def count(self, *tables: str) -> int:
        """How many routes its tables have."""
        total = 0
        for table in tables:
            said = Process(
                "birdc",
                self._argv("birdc", "-s", "bird.ctl", "show", "route", "table", table, "count"),
                self._folder,
            )
            said.start()
            said.wait(30)
            said.stop()
            total += next((int(line.text.split()[0]) for line in said.lines if " of " in line.text), 0)
        return total

    def wait_count(self, wanted: int, *tables: str) -> None:
        """Return when it takes no more. It leaves out a few prefixes that nobody may announce (127.0.0.0/8)."""
        until = time.monotonic() + SECONDS
        before, now = -1, 0
        while now != before or now < 0.9 * wanted:
            if time.monotonic() > until:
                raise LabError(f"BIRD has {now} of {wanted} in {', '.join(tables)}\n{self.process.tail()}")
            time.sleep(0.5)
            before, now = now, self.count(*tables)

    def take(self, updates: bytes, count: int) -> float:
        """Let it learn a table; give its CPU seconds for that."""
        with Speaker(PEER, 65002, (ROUTER, self._port)) as speaker:
            if not speaker.up.wait(SECONDS):
                raise LabError(f"BIRD took no session: {speaker.fault}\n{self.process.tail()}")
            begin = self.usage.cpu()
            speaker.send(updates)
            self.wait_count(count, "master4", "master6")
            taken = self.usage.cpu() - begin
            self.memory = self.usage.memory("Pss")
        return taken
