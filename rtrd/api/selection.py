"""Which VRPs, router keys and ASPAs /json gives: the parameters of Routinator's lists."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final, NamedTuple

from aiohttp import web

from rtrd.api.requests import did_you_mean
from rtrd.base.notation import Prefix, parse_asn, parse_prefix, said
from rtrlib.vrp import VRP

MOST: Final = 100
"""How many prefixes and AS numbers may be named together."""
PARAMETERS: Final = ("select-prefix", "select-asn", "filter-prefix", "filter-asn", "include", "exclude")
_EXCLUDED: Final = ("routeOrigins", "routerKeys", "aspas")


class Selection(NamedTuple):
    """What is wanted: what one of the prefixes or AS numbers selects; all when there are none."""

    covering: frozenset[str] = frozenset()
    """The prefixes that cover a selected one, or are it."""
    within: tuple[Prefix, ...] = ()
    """More specific prefixes than these are wanted, too."""
    asns: frozenset[int] = frozenset()
    vrps: bool = True
    """Whether VRPs are wanted at all."""
    router_keys: bool = True
    aspas: bool = True

    @property
    def all(self) -> bool:
        """Whether nothing was selected."""
        return not (self.covering or self.asns)

    def has(self, vrp: VRP) -> bool:
        """Tell whether a VRP is selected."""
        return (
            self.all
            or vrp.asn in self.asns
            or vrp.prefix in self.covering
            or bool(self.within and self._is_within(vrp))
        )

    def _is_within(self, vrp: VRP) -> bool:
        prefix = ipaddress.ip_network(vrp.prefix)
        return any(
            prefix.version == wanted.version and prefix.prefixlen > wanted.prefixlen and prefix.subnet_of(wanted)  # type: ignore[arg-type]
            for wanted in self.within
        )


def read(request: web.Request) -> Selection:
    """Read the parameters. Raises ValueError with a sentence."""
    query = request.query
    prefixes = [parse_prefix(text) for name in ("select-prefix", "filter-prefix") for text in query.getall(name, [])]
    asns = [parse_asn(text) for name in ("select-asn", "filter-asn") for text in query.getall(name, [])]
    if len(prefixes) + len(asns) > MOST:
        raise ValueError(f"select-prefix, select-asn: expected at most {MOST} of them")
    include = _words("include", query.getall("include", []), ("more-specifics",))
    exclude = _words("exclude", query.getall("exclude", []), _EXCLUDED)
    return Selection(
        frozenset(
            str(prefix.supernet(new_prefix=length)) for prefix in prefixes for length in range(prefix.prefixlen + 1)
        ),
        tuple(prefixes) if include else (),
        frozenset(asns),
        vrps="routeOrigins" not in exclude,
        router_keys="routerKeys" not in exclude and not (prefixes and not asns),
        aspas="aspas" not in exclude and not (prefixes and not asns),
    )


def _words(name: str, texts: Iterable[str], known: tuple[str, ...]) -> set[str]:
    words = {word for text in texts for word in text.split(",")}
    for word in sorted(words - set(known)):
        found = f"found {said(word)}{did_you_mean(word, known)}"
        raise ValueError(f"{name}: expected {' or '.join(known)}, several with commas, {found}")
    return words
