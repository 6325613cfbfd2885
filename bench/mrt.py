"""Measures `rtrd audit --mrt` on a table dump of 40 peers: processor time beside bgpdump, and memory."""

from __future__ import annotations

import gzip
import ipaddress
import struct
import subprocess
import sys
from pathlib import Path

from bench import generate
from bench.lines import Route
from bench.report import Comparison, interleaved
from bench.section import Setting
from rtrd.demo.lab import find_program

PEERS = 40
PREFIXES = 100_000
KEPT = "No target: the invalid prefixes are kept by name, so it is not the same for a dump of any size."
BGPDUMP = "as root: apt-get install bgpdump"
_RUN = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
"""
"""By a process that is small itself: what it was before exec(2) counts as the memory of a child."""
_ORIGIN = b"\xfe\xed\xfa\xce"


def _record(kind: int, body: bytes) -> bytes:
    return struct.pack(">IHHI", 1_764_000_000, 13, kind, len(body)) + body


def _entries() -> bytes:
    """Give the entries of a record, one of each peer, with `_ORIGIN` as the last AS of each path."""
    found = b""
    for peer in range(PEERS):
        path = struct.pack(">II", 64501 + peer, 64600 + peer % 7) + _ORIGIN
        attributes = (
            b"\x40\x01\x01\x00" + bytes([0x40, 2, 2 + len(path), 2, 3]) + path + bytes([0x40, 3, 4, 192, 0, 2, 1])
        )
        found += struct.pack(">HIH", peer, 0, len(attributes)) + attributes
    return found


def write(path: Path, routes: list[Route]) -> None:
    """Write a dump in which every peer has every route; packed, if it is called so."""
    peers = b"".join(
        b"\x02" + bytes(4) + bytes([192, 0, 2, 1 + i]) + struct.pack(">I", 64501 + i) for i in range(PEERS)
    )
    entries = _entries()
    with gzip.open(path, "wb", 1) if path.suffix == ".gz" else path.open("wb") as file:
        file.write(_record(1, bytes(4) + b"\0\0" + struct.pack(">H", PEERS) + peers))
        for number, route in enumerate(routes):
            network = ipaddress.ip_network(route.prefix)
            prefix = bytes([network.prefixlen]) + network.network_address.packed[: (network.prefixlen + 7) // 8]
            body = struct.pack(">I", number) + prefix + struct.pack(">H", PEERS)
            file.write(
                _record(
                    2 if network.version == 4 else 4, body + entries.replace(_ORIGIN, struct.pack(">I", route.origin))
                )
            )


def ran(*argv: str) -> tuple[float, float]:
    """Run a program whose output nobody reads; give its processor seconds and its MB at most."""
    done = subprocess.run([sys.executable, "-I", "-c", _RUN, *argv], stdout=subprocess.PIPE, check=True)
    seconds, kilobytes = done.stdout.split()
    return float(seconds), int(kilobytes) / 1000


def full(setting: Setting, vrps: Path) -> list[Comparison]:
    """All routes of the table from each peer, packed, once: what a collector of 40 full peers dumps."""
    path, entries = setting.folder / "full.mrt.gz", PEERS * len(setting.table)
    write(path, setting.table)
    size = path.stat().st_size / 1e6
    print(f"a packed table dump of {entries:,} entries, {size:.0f} MB", flush=True)
    rtrd = ran(find_program("rtrd", "make venv"), "audit", "--vrps", str(vrps), "--rows", "0", "--mrt", str(path))
    bgpdump = ran(find_program("bgpdump", BGPDUMP), "-m", str(path))
    path.unlink()
    note = f"{len(setting.table):,} prefixes of {PEERS} peers, {size:.0f} MB by gzip, {len(setting.vrps):,} VRPs; once."
    times = {"rtrd audit": [rtrd[0] / entries * 1e6], "bgpdump -m": [bgpdump[0] / entries * 1e6]}
    memory = {"rtrd audit": [rtrd[1]], "bgpdump -m": [bgpdump[1]]}
    seconds = f"Processor time with all that is before and after: {rtrd[0]:.0f} s; bgpdump {bgpdump[0]:.0f} s."
    return [
        Comparison("An entry of 40 full tables", "us", times, "bgpdump -m", 1.0, [f"{note} {seconds}"]),
        Comparison(
            "Memory of 40 full tables",
            "MB",
            memory,
            None,
            None,
            [f"At most resident. {note} {KEPT}"],
        ),
    ]


def measure(setting: Setting) -> list[Comparison]:
    count = min(setting.sized(PREFIXES), len(setting.table))
    routes = setting.table[:: len(setting.table) // count][:count]
    whole, tenth, one = (setting.folder / f"{name}.mrt" for name in ("whole", "tenth", "one"))
    for path, some in ((whole, routes), (tenth, routes[:: max(1, min(10, count))]), (one, routes[:1])):
        write(path, some)
    vrps = setting.folder / "mrt-vrps.json"
    generate.write(vrps, setting.vrps, {64600 + i: [64599] for i in range(7)})
    entries = PEERS * len(routes)
    rtrd, bgpdump = find_program("rtrd", "make venv"), find_program("bgpdump", BGPDUMP)
    memory: dict[str, list[float]] = {"the whole dump": [], "a tenth of it": []}

    def audit(*options: str) -> float:
        argv = (rtrd, "audit", "--vrps", str(vrps), "--rows", "0", *options, "--mrt")
        least, _ = ran(*argv, str(one))
        seconds, most = ran(*argv, str(whole))
        if not options:
            memory["the whole dump"].append(most)
            memory["a tenth of it"].append(ran(*argv, str(tenth))[1])
        return (seconds - least) / entries * 1e6

    print(f"a table dump of {entries:,} entries, us of each", flush=True)
    rounds = interleaved(
        setting.rounds,
        {
            "rtrd audit": audit,
            "bgpdump -m": lambda: ran(bgpdump, "-m", str(whole))[0] / entries * 1e6,
            "rtrd audit, paths too": lambda: audit("--local-role", "customer"),
        },
    )
    note = (
        f"{len(routes):,} prefixes of {PEERS} peers, {whole.stat().st_size / 1e6:.0f} MB, {len(setting.vrps):,} VRPs;"
        " processor time. rtrd judges each entry, without the time to start and to read the VRP file; bgpdump prints a"
        " line of each, which nobody reads."
    )
    bounded = f"At most resident. {entries:,} entries, and a tenth of them."
    return [
        Comparison("An entry of a table dump, judged", "us", rounds, "bgpdump -m", 1.0, [note]),
        Comparison("Memory of rtrd audit", "MB", memory, "a tenth of it", 1.2, [bounded]),
        *full(setting, vrps),
    ]
