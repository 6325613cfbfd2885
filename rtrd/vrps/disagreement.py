"""What caches disagree on: VRPs that some of them have and others have not, and customers with other ASPAs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rtrd.base.notation import said
from rtrlib import aspas
from rtrlib.rtr_socket import RTRSocket
from rtrlib.vrp_set import VRPSet


class NothingToCompareError(Exception):
    """Fewer than two caches have VRPs; the text says which."""


def chosen(caches: Iterable[RTRSocket], vrp_set: VRPSet, names: Sequence[str]) -> list[RTRSocket]:
    """Give the caches of these names (`HOST` or `HOST:PORT`), or all that have VRPs when no name is given.

    Raises ValueError for a name of no cache, or of several; NothingToCompareError.
    """
    known = list(caches)
    found = [_named(known, name) for name in names] or known
    having = [cache for cache in dict.fromkeys(found) if vrp_set.count_source(cache.index)]
    if names and len(having) < len(names):
        silent = ", ".join(str(cache) for cache in found if cache not in having) or "one of them"
        raise NothingToCompareError(f"{silent}: no VRPs at the moment, or named twice")
    if len(having) < 2:
        which = "no cache has" if not having else f"only {having[0]} has"
        raise NothingToCompareError(
            f"{which} VRPs at the moment: there is nothing to compare. Caches are compared that are in one group;"
            " with a VRP file of another cache, `rtrd whatif FILE` tells what its VRPs would change"
        )
    return having


def _named(caches: Sequence[RTRSocket], name: str) -> RTRSocket:
    found = [cache for cache in caches if name in (str(cache), cache.host)]
    if len(found) == 1:
        return found[0]
    problem = "is not a cache" if not found else "is the name of several caches"
    raise ValueError(f"{said(name)} {problem}: expected one of {', '.join(map(str, caches))}")


def disagreement(caches: Sequence[RTRSocket], vrp_set: VRPSet) -> Iterator[Mapping[str, Any] | None]:
    """Yield each VRP with the caches that have it and those that have not; None after each part."""
    for part in vrp_set.differing([cache.index for cache in caches]):
        for vrp, sources in part:
            yield {
                "asn": vrp.asn,
                "prefix": vrp.prefix,
                "maxLength": vrp.max_length,
                "in": [str(cache) for cache in caches if sources >> cache.index & 1],
                "not_in": [str(cache) for cache in caches if not sources >> cache.index & 1],
            }
        yield None


def aspas_disagreement(sets: Mapping[str, bytes]) -> Iterator[Mapping[str, Any] | None]:
    """Yield each customer of whom caches say something else, with what each says; None where the loop may turn.

    `sets`: the ASPAs of each cache that has some. One that speaks RTR before version 2 has none, and says nothing.
    """
    having = {cache: aspas.ASPAIndex(held) for cache, held in sets.items() if held}
    first, *others = (index.held for index in having.values()) if having else (b"",)
    differing: set[int] = set()
    for held in others:
        differing.update(each.customer for each in aspas.records(aspas.changes(first, held)))
        yield None
    for customer in sorted(differing):
        said = {cache: index.find(customer) for cache, index in having.items()}
        yield {
            "customer_asid": customer,
            "lists": [{"cache": cache, "providers": found and found.providers} for cache, found in said.items()],
        }
