"""What /status answers of one cache and one router, but for what a test has otherwise."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rtrd.base.endpoint import Endpoint
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


def would_change(router: str, prefix: str, now: str, then: str, cover: str | None) -> dict[str, Any]:
    """A route of 192.0.2.1 and AS64500 as `rtrd whatif` answers it."""
    whose = {"router": router, "neighbor": "192.0.2.1", "prefix": prefix, "path_id": None, "origin_as": 64500}
    return {**whose, "now": now, "then": then, "cover": cover}


@dataclass(frozen=True)
class NamedCache:
    """A cache, as far as its name goes."""

    index: int
    host: str
    port: int = 323

    def __str__(self) -> str:
        return str(Endpoint(self.host, self.port))


class AllRouters(list[Any]):
    """Routers, as what asks all of them wants them."""

    def all(self) -> Iterator[Any]:
        return iter(self)
