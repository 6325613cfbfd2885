"""Measures the loop, /healthz and memory under attacks that a stranger can make: each alone, a quarter of all at once.

From routers: nested VRPs above many routes, and thousands of path ids of one prefix. At `rtr-server`: more connections
of one address than it may have, TLS handshakes that never end, and routers that ask for everything in a loop.

As a program, `python -m bench.attacks PORT TLS_PORT SILENT HALF_OPEN ASKING`, it attacks `rtr-server` until its stdin
is closed; the other three are counts of connections. It prints how many were made.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import resource
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench import lines
from bench.crowd import HOST, reset
from bench.loop import MOST, OWN, Gap, beside
from bench.pipe import RECEIVER, Router
from bench.report import Comparison
from bench.scripted_cache import ScriptedCache
from bench.section import Setting
from rtrd.commands import http_client
from rtrd.demo.ports import free_port
from rtrlib.vrp import VRP, pack

LEVELS = 17
"""Lengths of nested VRPs, from 0 to 16."""


class Attack(NamedTuple):
    """How much of each is done."""

    name: str
    nested: int = 0
    """VRPs of each length that cover all the routes below them."""
    under: int = 500
    """Routes that all of them cover, which are learned again and again."""
    peers: int = 0
    paths: int = 0
    """Neighbors, and path ids of each for one prefix."""
    silent: int = 0
    """Connections of one address."""
    half_open: int = 0
    """TLS handshakes that do not end."""
    asking: int = 0
    """Routers that ask for everything in a loop."""

    def about(self) -> str:
        """Say what it is, for people."""
        parts = {
            f"{LEVELS * self.nested:,} nested VRPs that cover {self.under:,} routes": self.nested,
            f"{self.peers} neighbors with {self.paths} path ids each for one prefix, whose sessions begin anew all the"
            " time": self.peers,
            f"{self.silent:,} connections of one address": self.silent,
            f"{self.half_open:,} TLS handshakes that don't end": self.half_open,
            f"{self.asking:,} routers that ask for everything in a loop": self.asking,
        }
        return "; ".join(part for part, made in parts.items() if made)


TOGETHER = Attack("a quarter of all", 256, 1500, 10, 256, 1050, 375, 250)
ALONE = (
    Attack("nested VRPs", nested=1024, under=6000),
    Attack("routes of one prefix", peers=10, paths=1024),
    Attack("connections of one address", silent=4200),
    Attack("half-open TLS", half_open=1500),
    Attack("asking in a loop", asking=1000),
)
ATTACKER = "127.0.0.66"
SECONDS = 8.0
PATIENCE = 120.0
HEALTHY_MOST, MEMORY_MOST = 1.0, 400.0
"""Seconds, and MB."""
POLICY = [
    {
        "to": [RECEIVER],
        "valid": {"action": "announce", "tags": ["rfc8097"]},
        "not-found": {"action": "announce", "tags": ["rfc8097"]},
        "invalid": {"action": "withdraw"},
    }
]


def nested(of_level: int) -> bytes:
    """Give packed VRPs, each of which covers 20.0.0.0/16."""
    base = int(ipaddress.IPv4Address("20.0.0.0"))
    networks = [ipaddress.IPv4Network((base >> 32 - n << 32 - n, n)) for n in range(LEVELS)]
    return b"".join(pack(VRP(str(one), one.prefixlen, 100_000 + n)) for one in networks for n in range(of_level))


def stream(attack: Attack) -> list[bytes]:
    """Give lines that are bad when they come again and again: sessions begin anew, and routes come, change and go."""
    covered = [lines.Route(f"20.0.{n >> 8}.{n & 255}/32", 64500) for n in range(attack.under)]
    found = list(lines.updates(covered, 100))
    crowded = [f"20.1.0.0/24 {ipaddress.IPv4Address(n)}" for n in range(attack.paths)]
    speakers = [lines.Speaker(peer=f"127.1.0.{peer + 1}") for peer in range(attack.peers)]
    for speaker in speakers:
        found.append(lines.session(speaker))
        for origin in (64500, 64501):
            found += lines.updates([lines.Route(one, origin) for one in crowded], 64, speaker)
    for speaker in speakers:
        found += lines.withdraws(crowded[::2], 64, speaker)
    return [with_path_ids(line) for line in found]


def with_path_ids(line: bytes) -> bytes:
    """Give a line whose prefixes may have a blank and a path id as ExaBGP writes it."""
    for octets in {one.partition(b'"')[0] for one in line.split(b'"nlri": "')[1:]}:
        prefix, blank, path_id = octets.partition(b" ")
        if blank:
            line = line.replace(b'"%b" }' % octets, b'"%b", "path-information": "%b" }' % (prefix, path_id))
    return line


# -- at rtr-server


def connections(port: int, count: int, source: str) -> Iterator[socket.socket]:
    """Give those that are taken."""
    for _ in range(count):
        with contextlib.suppress(OSError):
            one = socket.create_connection((HOST, port), 5, source_address=(source, 0))
            one.setblocking(False)
            yield one


def attack(port: int, tls_port: int, silent_n: int, half_open: int, asking_n: int) -> None:
    """Hold silent connections, and ask in a loop at others, until stdin is closed."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    silent = [*connections(port, silent_n, ATTACKER), *connections(tls_port, half_open, "127.0.0.67")]
    asking = select.epoll()
    asking.register(0)
    sockets = {}
    for number in range(asking_n):
        for one in connections(port, 1, f"127.2.0.{number % 250 + 1}"):
            sockets[one.fileno()] = one
            asking.register(one, select.EPOLLIN)
            with contextlib.suppress(OSError):
                one.send(reset() * 200)
    print(len(silent) + len(sockets), flush=True)
    while True:
        for fd, _ in asking.poll():
            if fd == 0:
                return
            try:
                if sockets[fd].recv(1 << 16):
                    continue
            except BlockingIOError:
                continue
            except OSError:
                pass
            asking.unregister(fd)
            sockets.pop(fd).close()


# -- what it costs


class Felt(NamedTuple):
    """What others felt of it."""

    gap: Gap
    turn: float
    """The longest turn of its loop, seconds."""
    healthy: float
    """The longest that /healthz took, seconds."""
    memory: float
    """RSS of all processes at most, MB."""


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate and its key."""
    made = folder / "tls.crt", folder / "tls.key"
    options = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    argv = ["openssl", "req", *options, "-subj", "/CN=localhost", "-out", str(made[0]), "-keyout", str(made[1])]
    subprocess.run(argv, check=True, capture_output=True)
    return made


def longest_turn(router: Router) -> float:
    """Give the longest turn of its loop so far, as rtrd counts it, seconds."""
    with http_client.ask(router.socket, "/metrics", timeout=PATIENCE) as answer:
        text = b"".join(answer.chunks()).decode()
    found = re.search(r"^rtrd_loop_longest_turn_seconds (\S+)$", text, re.MULTILINE)
    assert found is not None
    return float(found[1])


def suffer(folder: Path, vrps: bytes, attack: Attack = TOGETHER, seconds: float = SECONDS) -> Felt:
    """Let a daemon with these VRPs be attacked for some seconds."""
    port, tls_port = free_port(HOST), free_port(HOST)
    shown, key = certificate(folder)
    tls = {"listen": [f"{HOST}:{tls_port}"], "certificate": str(shown), "key": str(key)}
    settings = {"rtr-server": {"listen": [f"{HOST}:{port}"], "tls": tls}}
    vrps += nested(attack.nested)
    count = len(vrps) // 24
    with (
        ScriptedCache(vrps) as cache,
        Router(folder, [(HOST, cache.port)], POLICY, settings, "attacked") as router,
        contextlib.ExitStack() as stack,
    ):
        router.wait_vrps(count)
        router.feed([lines.session()])
        counts = (attack.silent, attack.half_open, attack.asking)
        argv = [sys.executable, "-m", "bench.attacks", *map(str, (port, tls_port, *counts))]
        healthy, memory = [0.0], [0.0]
        ends = [0.0]

        def event() -> None:
            attacker = stack.enter_context(subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            stack.callback(attacker.kill)
            assert attacker.stdout is not None
            made = int(attacker.stdout.readline())
            assert made >= 0.9 * sum(counts), f"only {made} connections were made"
            ends[0] = time.monotonic() + seconds

        def over() -> bool:
            began = time.monotonic()
            with http_client.ask(router.socket, "/healthz", timeout=PATIENCE) as answer:
                answer.value()
            healthy.append(time.monotonic() - began)
            memory.append(router.usage().memory("Rss") / 1e6)
            return time.monotonic() > ends[0]

        gap = beside(router, stream(attack), seconds, event, over)
        return Felt(gap, longest_turn(router), max(healthy), max(memory))


def measure(setting: Setting) -> list[Comparison]:
    """Measure; AssertionError when an attack could not be made."""
    vrps = b"".join(setting.vrps)
    seconds = 1.0 if setting.short else SECONDS
    felt: dict[Attack, list[Felt]] = {}
    for _ in range(setting.rounds):
        for attack in (TOGETHER, *(() if setting.short else ALONE)):
            one = suffer(setting.folder, vrps, attack, seconds)
            felt.setdefault(attack, []).append(one)
            said = f"a turn of {one.turn * 1e3:.0f} ms, /healthz in {one.healthy:.2f} s, {one.memory:.0f} MB"
            print(f"  {attack.name}: {said}", flush=True)
    return [found for attack, rounds in felt.items() for found in compared(attack, rounds, len(setting.vrps))]


def compared(attack: Attack, felt: list[Felt], vrps: int) -> list[Comparison]:
    """Give what was felt of one attack."""
    about = f"{vrps:,} VRPs; {attack.about()}. Lines are sent as fast as they are read."
    return [
        Comparison(
            f"Longest time between two reads of stdin, under attack: {attack.name}", "ms",
            {
                "rtrd": [one.gap.wall for one in felt],
                "what its loop computed": [one.gap.cpu for one in felt],
                "without a CPU in the longest": [one.gap.waited for one in felt],
            },
            None, None, [about, OWN, "The attackers take CPUs of this machine from it."],
        ),
        Comparison(
            f"Longest turn of the loop, under attack: {attack.name}", "ms",
            {"rtrd": [one.turn * 1e3 for one in felt]}, None, MOST * 1e3,
            ["As rtrd counts it: what it computed, or less, where that took less time."], quantile=1.0,
        ),
        Comparison(
            f"/healthz over the control socket, under attack: {attack.name}", "s",
            {"rtrd": [one.healthy for one in felt]}, None, HEALTHY_MOST, ["The slowest of each round."], quantile=1.0,
        ),
        Comparison(
            f"Memory under attack: {attack.name}", "MB", {"rtrd": [one.memory for one in felt]}, None, MEMORY_MOST,
            ["RSS of all processes, at most."], quantile=1.0,
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    attack(*map(int, sys.argv[1:]))
