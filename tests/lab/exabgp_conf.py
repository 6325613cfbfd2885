"""What ExaBGP itself makes of configurations. Run by the Python that has the ExaBGP to ask.

A configuration as a JSON string on each line of stdin; for each a line of JSON: null if it is refused, else for each
neighbor what it has of the switches that rtrd needs: a bool, or for what is told the processes that are told it.
"""

import json
import sys
from typing import Any

from exabgp.configuration.configuration import Configuration

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


def switches(neighbor: Any) -> dict[str, object]:
    told = {key.removeprefix("receive-"): names for key, names in neighbor.api.items() if not key.startswith("send-")}
    keys = ("adj-rib-in", "adj-rib-out", "group-updates", "auto-flush", "manual-eor", "route-refresh", "multi-session")
    if isinstance(neighbor, dict):
        found = {key: neighbor.get(key, neighbor["capability"].get(key)) for key in keys}
    else:  # 4.2
        found = {key: getattr(neighbor, NAMES.get(key, key.replace("-", "_"))) for key in keys}
    return {key: bool(value) for key, value in found.items()} | told


for line in sys.stdin:
    configuration = Configuration([json.loads(line)], text=True)
    try:
        good = configuration.reload() is True
    except Exception:  # noqa: BLE001  whatever it is, ExaBGP would not start
        good = False
    found = [switches(each) for each in configuration.neighbors.values()] if good else None
    sys.stdout.write(json.dumps(found) + "\n")
