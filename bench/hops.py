"""How far one line of ExaBGP and one changed VRP go until the command is written: files, switches, calls into C.

`python -m bench.hops` prints, for each walk, the files of ours in which Python functions are called, how often the walk
switches from one to another, and the calls into the C core. The script plays the cache, and ExaBGP in packets mode.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any, Final, Self

from _rov import lib
from bench import lines
from bench.lines import PEER, PEER_AS, Route, Speaker
from rtrd import config
from rtrd.policy import Policy
from rtrd.routers import Routers
from rtrd.vrps.effective import EffectiveVRPs
from rtrlib.rtr_socket import RTRSocket
from rtrlib.servers import TCPServer
from rtrlib.vrp import VRP, pack
from rtrlib.vrp_set import VRPSet

ROOT: Final = Path(__file__).parents[1]
LISTENER: Final = "127.0.0.3"
POLICY: Final = f"""
caches: {{groups: [{{name: a, preference: 1, servers: [{{host: 127.0.0.1, port: 3323}}]}}]}}
policy:
  - from: [{PEER}]
    valid: {{action: announce, tags: [rfc8097]}}
    not-found: {{action: announce, tags: [rfc8097]}}
    invalid: {{action: withdraw}}
"""
SECTION: Final = b"""  api {
    processes [ rtrd ];
    neighbor-changes;
    receive {
      packets;
      update;
    }
  }
"""
VALID: Final = VRP("203.0.113.0/24", 24, 64511)
FIRST_LINE, LINE, CHANGED_VRP = "a neighbor's first line", "a line of a known neighbor", "a changed VRP"


class Walk:
    """The functions that are called while it is on, and the calls into C."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.command = ""
        """What was written at its end."""
        self.functions: list[tuple[str, str]] = []
        """Of ours: the file and the name of each call, in order."""
        self.native: list[str] = []

    @property
    def files(self) -> list[str]:
        """Those in which a function was called, in order."""
        return list(dict.fromkeys(file for file, _ in self.functions))

    @property
    def switches(self) -> int:
        """How many calls are in another file than the one before."""
        return sum(one != other for (one, _), (other, _) in pairwise(self.functions))

    def __str__(self) -> str:
        """Give the counts, the functions by file, and the calls into C."""
        counts = f"{len(self.files)} files, {self.switches} switches, {len(self.native)} calls into C"
        told = [f"{self.name}: {counts}", f"  Python: {len(self.functions)} calls"]
        for file in self.files:
            names = dict.fromkeys(name for of, name in self.functions if of == file)
            told.append(f"  {file}: {', '.join(names)}")
        told.append("  C: " + ", ".join(f"{name} {count}" for name, count in Counter(self.native).items()))
        return "\n".join((*told, f"  {self.command}"))

    def __enter__(self) -> Self:
        """Count from now on, in all modules that call the core."""
        callers = (vars(module) for name, module in sys.modules.items() if name.startswith(("rtrd.", "rtrlib.")))
        self._callers = [names for names in callers if names.get("lib") is lib]
        for names in self._callers:
            names["lib"] = _Lib(self)
        sys.setprofile(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        """Count no longer."""
        sys.setprofile(None)
        for names in self._callers:
            names["lib"] = lib

    def _called(self, frame: FrameType, event: str, _: object) -> None:
        path = frame.f_code.co_filename
        if event == "call" and path.startswith(str(ROOT)) and ".venv" not in path and path != __file__:
            self.functions.append((str(Path(path).relative_to(ROOT)), frame.f_code.co_qualname))


class _Lib:
    """The native core, whose calls a walk counts."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk

    def __getattr__(self, name: str) -> Any:
        found = getattr(lib, name)
        if not callable(found):
            return found

        def call(*arguments: Any) -> Any:
            self._walk.native.append(name)
            return found(*arguments)

        self.__dict__[name] = call
        return call


class Router:
    """The ExaBGP of the walks: it answers all that it is told to do."""

    def __init__(self) -> None:
        events, self._to = os.pipe()
        self._of, commands = os.pipe()
        os.set_blocking(self._of, False)
        self.fds = (events, commands)

    def close(self) -> None:
        """Let go of the pipes."""
        for each in (*self.fds, self._to, self._of):
            os.close(each)

    def say(self, *said: bytes) -> None:
        """Write lines as ExaBGP does."""
        os.write(self._to, b"".join(said))

    def heard(self) -> list[str]:
        """Give the commands that came, and answer them."""
        try:
            commands = os.read(self._of, 1 << 16).decode().splitlines()
        except BlockingIOError:
            return []
        for command in commands:
            self.say(*self._answer(command))
        return commands

    def _answer(self, command: str) -> Iterator[bytes]:
        known = [one.encode() for one in (PEER, LISTENER)]
        if command.startswith("show neighbor") and command.endswith("summary"):
            yield b"Peer AS up/down state | #sent #recvd\n"
            yield from (b"%s %d 0:00:02 established 1 1\n" % (one, PEER_AS) for one in known)
        elif command == "show neighbor extensive":
            yield from (b"Neighbor %s\n    state established\n" % one for one in known)
        elif command == "show neighbor configuration":
            yield from (b"neighbor %s {\n%s}\n" % (one, SECTION) for one in known)
        elif command == "version":
            yield b"exabgp 5.0.15\n"
        if not command.startswith("#"):
            yield b"done\n"

    async def until(self, done: Callable[[str], bool], seconds: float = 20) -> str:
        """Answer until `done` is true of a command, or of none ("") after a turn; give that."""
        async with asyncio.timeout(seconds):
            while True:
                await asyncio.sleep(0.001)
                if (found := next(filter(done, (*self.heard(), "")), None)) is not None:
                    return found


def _update(route: Route) -> bytes:
    return lines.in_octets(next(lines.updates([route], 1)))


def _announces(command: str) -> bool:
    return " announce attributes " in command


async def walks() -> list[Walk]:
    """Give the walks, each from a router and a set that are at rest."""
    router, vrp_set = Router(), VRPSet()
    routers = Routers(vrp_set, Policy(config.loads(POLICY, Path("hops.yaml")).policy))
    effective = EffectiveVRPs(
        vrp_set,
        "not-found",
        lambda changes: routers.vrps_changed(changes, 1),
        lambda: routers.revalidate(1),
        lambda: None,
    )
    served = routers.add("exabgp", *router.fds, lambda: None)

    async def rest() -> None:
        await router.until(lambda _: served.startup.over and served.api.known)
        await router.until(lambda _: served.idle and not served.gate.barrier.pending)
        await asyncio.sleep(1.01 - time.time() % 1)  # a new second: what it is, is told with the next line

    async def walk(name: str, begin: Callable[[], None]) -> Walk:
        await rest()
        with Walk(name) as made:
            begin()
            made.command = await router.until(_announces)
        return made

    def withdraw() -> None:
        effective.staged(cache, withdrawn)
        effective.committed(cache, full=False)

    cache = RTRSocket(0, TCPServer("127.0.0.1", 3323))
    cache.write(in_sync=True, last_sync=int(time.time()), last_update=int(time.time()))
    withdrawn = pack(VALID, announce=False)
    effective.staged(cache, pack(VALID))
    effective.committed(cache, full=True)
    effective.active(frozenset([cache]))
    for peer in (PEER, LISTENER):
        speaker = Speaker(peer=peer)
        router.say(*lines.opens(speaker), lines.session(speaker))
    first, second = _update(Route("198.51.100.0/24", 64500)), _update(Route(VALID.prefix, VALID.asn))
    try:
        return [
            await walk(FIRST_LINE, lambda: router.say(first)),
            await walk(LINE, lambda: router.say(second)),
            await walk(CHANGED_VRP, withdraw),
        ]
    finally:
        routers.close()
        router.close()


if __name__ == "__main__":
    print(*asyncio.run(walks()), sep="\n\n")
