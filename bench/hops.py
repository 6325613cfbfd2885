"""How far one line of ExaBGP and one changed VRP go until the command is written: files, switches, calls into C.

`python -m bench.hops` prints, for each of the two walks, the files of ours in which Python functions are called, how
often the walk switches from one to another, and the calls into the C core. The script plays ExaBGP and the cache.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any, Final

import _rov
import rtrlib.vrp_set
from rtrd import config
from rtrd.policy import Policy
from rtrd.rib import table, whatif
from rtrd.routers import Routers
from rtrd.vrps.effective import EffectiveVRPs
from rtrlib.rtr_socket import RTRSocket
from rtrlib.servers import TCPServer
from rtrlib.vrp import VRP, pack
from rtrlib.vrp_set import VRPSet

ROOT: Final = Path(__file__).parents[1]
POLICY: Final = """
caches: {groups: [{name: a, preference: 1, servers: [{host: 127.0.0.1, port: 3323}]}]}
policy:
  - from: [192.0.2.1]
    valid: {action: announce, tags: [rfc8097]}
    not-found: {action: announce, tags: [rfc8097]}
    invalid: {action: withdraw}
"""
PEER, LISTENER = "192.0.2.1", "192.0.2.2"
ROUTE: Final = VRP("203.0.113.0/24", 24, 64511)


class Walk:
    """The functions that are called while it is on, and the calls into C."""

    def __init__(self) -> None:
        self.functions: list[tuple[str, str]] = []
        self.native: list[str] = []

    def begin(self) -> None:
        """Count from now on."""
        self.functions.clear()
        self.native.clear()
        sys.setprofile(self._called)

    def end(self, what: str) -> None:
        """Stop, and print what was counted."""
        sys.setprofile(None)
        files = [file for file, _ in self.functions]
        switches = sum(one != other for one, other in pairwise(files))
        print(f"{what}: {len(set(files))} files, {switches} switches, {len(self.native)} calls into C")
        print(f"  Python: {len(files)} calls of {len(set(self.functions))} functions")
        for file in dict.fromkeys(files):
            names = dict.fromkeys(name for of, name in self.functions if of == file)
            print(f"  {file}: {', '.join(names)}")
        print("  C:", ", ".join(f"{name} {count}" for name, count in Counter(self.native).items()))

    def _called(self, frame: FrameType, event: str, _: object) -> None:
        path = frame.f_code.co_filename
        if event == "call" and path.startswith(str(ROOT)) and ".venv" not in path and path != __file__:
            self.functions.append((str(Path(path).relative_to(ROOT)), frame.f_code.co_qualname))


class Lib:
    """The native core, whose calls a walk counts."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk

    def __getattr__(self, name: str) -> Any:
        found = getattr(_rov.lib, name)
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

    def say(self, *lines: bytes | dict[str, Any]) -> None:
        """Write lines as ExaBGP does."""
        text = (line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
        os.write(self._to, b"".join(line + b"\n" for line in text))

    def heard(self) -> list[str]:
        """Give the commands that came, and answer them."""
        try:
            lines = os.read(self._of, 1 << 16).decode().splitlines()
        except BlockingIOError:
            return []
        for line in lines:
            if line.startswith("show neighbor") and line.endswith("summary"):
                self.say(b"Peer AS up/down state | #sent #recvd", *(b"%s 64501 0:00:02 established 1 1" % each.encode()
                                                                    for each in (PEER, LISTENER)))  # fmt: skip
            elif line.startswith("show neighbor extensive"):
                for each in (PEER, LISTENER):
                    self.say(b"Neighbor " + each.encode(), b"    state established")
            if not line.startswith("#"):
                self.say(*([b"exabgp 5.0.15"] if line == "version" else []), b"done")
        return lines

    async def until(self, wanted: Callable[[str], bool], seconds: float) -> str:
        """Answer until there is a command that is wanted; give it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(0.001)
            if found := next(filter(wanted, self.heard()), None):
                return found
        return ""

    def neighbor(self, address: str, **more: Any) -> dict[str, Any]:
        """Give the part of a line that names a neighbor."""
        return {"address": {"local": "192.0.2.9", "peer": address}, "asn": {"local": 64500, "peer": 64501}, **more}

    def update(self) -> dict[str, Any]:
        """Give an UPDATE of one route."""
        attributes = {"origin": "igp", "as-path": {"0": {"element": "as-sequence", "value": [64501, ROUTE.asn]}}}
        update = {"attribute": attributes, "announce": {"ipv4 unicast": {PEER: [{"nlri": ROUTE.prefix}]}}}
        neighbor = self.neighbor(PEER, direction="receive", message={"update": update})
        return {"exabgp": "5.0.0", "time": 1.0, "type": "update", "neighbor": neighbor}


async def walk_both() -> None:
    """Let both walks happen, each from a router and a set that are at rest."""
    walk = Walk()
    for module in (table, whatif, rtrlib.vrp_set):
        vars(module)["lib"] = Lib(walk)
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
    cache = RTRSocket(0, TCPServer("127.0.0.1", 3323))
    cache.in_sync, cache.last_update = True, int(time.time())
    effective.staged(cache, pack(ROUTE))
    effective.committed(cache, full=True)
    effective.active(frozenset([cache]))
    for peer in (PEER, LISTENER):
        router.say({"exabgp": "5.0.0", "type": "state", "neighbor": router.neighbor(peer, state="up")})
    await router.until(lambda _: served.startup.over, 8)
    await router.until(lambda _: False, 4)

    walk.begin()
    router.say(router.update())
    command = await router.until(lambda line: " announce " in line, 2)
    walk.end("a line of ExaBGP, to its command")
    print(f"  {command}\n")
    await router.until(lambda _: False, 2)

    withdrawn = pack(ROUTE, announce=False)
    walk.begin()
    effective.staged(cache, withdrawn)
    effective.committed(cache, full=False)
    command = await router.until(lambda line: " announce " in line or " withdraw " in line, 2)
    walk.end("a changed VRP, from the cache's session to the command")
    print(f"  {command}")


if __name__ == "__main__":
    asyncio.run(walk_both())
