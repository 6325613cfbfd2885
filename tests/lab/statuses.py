"""What /status answers of one cache and one router, but for what a test has otherwise."""

from collections.abc import Mapping
from typing import Any

from rtrd.version import __version__


def status(
    group: Mapping[str, Any], server: Mapping[str, Any], router: Mapping[str, Any], **more: Any
) -> dict[str, Any]:
    """Each part as usual, with what is given added to it."""
    cache = {"host": "2001:db8::10", "port": 323, "transport": "tcp", "serial": None, "last_update": None, **server}
    return {
        "version": __version__,
        "ready": True,
        "active_group": "primary",
        "groups": [{"preference": 1, "servers": [cache], **group}],
        "routers": [{"name": "exabgp", "exabgp": "5.0.15", **router}],
        **more,
    }
