"""What ExaBGP itself makes of `configurations` or `commands`. Run by the Python that has the ExaBGP to ask.

For each line of stdin one of JSON. A configuration (a JSON string): null if it is refused, else for each neighbor what
it has of the switches that rtrd needs: a bool, or for what is told the processes that are told it. A command: a list of
[path id, next hop, the attributes as they go on the wire, as text], or the error.
"""

import json
import sys
from collections.abc import Callable
from typing import Any
from unittest import mock

from exabgp.bgp.message.open.asn import ASN
from exabgp.configuration.configuration import Configuration
from exabgp.reactor.api import API

try:
    import exabgp.environment.setup  # noqa: F401 - it sets up
    from exabgp.logger import log

    log.silence()
except ImportError:  # 4.2
    from exabgp.configuration.setup import environment
    from exabgp.logger import Logger

    environment.setup("")
    for level in ("debug", "info", "notice", "warning", "error", "critical", "report"):
        setattr(Logger, level, lambda *_: None)

NAMES = {"auto-flush": "flush", "multi-session": "multisession"}
KEYS = ("adj-rib-in", "adj-rib-out", "group-updates", "auto-flush", "manual-eor", "route-refresh", "multi-session")


def switches(neighbor: Any) -> dict[str, object]:
    told = {key.removeprefix("receive-"): names for key, names in neighbor.api.items() if not key.startswith("send-")}
    if isinstance(neighbor, dict):
        found = {key: neighbor.get(key, neighbor["capability"].get(key)) for key in KEYS}
    else:  # 4.2
        found = {key: getattr(neighbor, NAMES.get(key, key.replace("-", "_"))) for key in KEYS}
    return {key: bool(value) for key, value in found.items()} | told


def of_configuration(line: str) -> object:
    configuration = Configuration([json.loads(line)], text=True)
    try:
        good = configuration.reload() is True
    except Exception:  # noqa: BLE001  whatever it is, ExaBGP would not start
        good = False
    return [switches(each) for each in configuration.neighbors.values()] if good else None


api = API(None)
session = mock.MagicMock(asn4=True, local_as=ASN(65001), peer_as=ASN(65001), msg_size=65535, nexthop=[])


def of_command(line: str) -> object:
    command = line.strip().partition(" announce ")[2]
    try:
        is_route = command.startswith("route ")
        changes = api.api_route(f"announce {command}") if is_route else api.api_attributes(f"announce {command}", [])
        # str() as ExaBGP does it for its log: a value that it can't print is a command that it doesn't answer
        return [
            [one.nlri.path_info.path_info.hex(), str(one.nlri.nexthop), one.attributes.pack(session, True).hex(),
             str(one.attributes)] for one in changes
        ]  # fmt: skip
    except Exception as error:  # noqa: BLE001  whatever it is, ExaBGP would not announce the route
        return repr(error)


ASKED: dict[str, Callable[[str], object]] = {"configurations": of_configuration, "commands": of_command}
for line in sys.stdin:
    print(json.dumps(ASKED[sys.argv[1]](line)), flush=True)
