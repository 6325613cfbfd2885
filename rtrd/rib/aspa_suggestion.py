"""Which providers an AS has to name in its ASPA, for the paths of today to stay what they are. Pure.

An ASPA that names nobody would make some paths invalid (draft-ietf-sidrops-aspa-verification). For each of them one
looks for the AS beside the customer that must be named; where two would do, the one that does for more routes is taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from rtrlib.aspa_paths import LocalRole, verify_path
from rtrlib.aspas import ASPA, ASPAIndex

MOST_PATHS: Final = 20_000
"""Different paths that are looked at; those beyond are counted."""


class Example(NamedTuple):
    """A route that needs a provider to be named."""

    router: str
    neighbor: str
    prefix: str
    path: tuple[int, ...]


class Provider(NamedTuple):
    """One that the ASPA has to name."""

    asn: int
    routes: int
    """That would be invalid without it."""
    example: Example
    alternatives: tuple[int, ...]
    """ASes of which each would do instead, for some of these routes."""


class _Path(NamedTuple):
    cures: tuple[int, ...]
    """Each would do; of those that only do together, all are to be named."""
    together: bool
    example: Example


class Suggestion:
    """What is known of one AS so far."""

    def __init__(self, index: ASPAIndex, customer: int) -> None:
        """`index`: the ASPAs in force."""
        self._index = index
        self._customer = customer
        self._paths: dict[tuple[tuple[int, ...], LocalRole], _Path | None] = {}
        self._routes: Counter[tuple[tuple[int, ...], LocalRole]] = Counter()
        self.left_out = 0
        """Routes of paths beyond `MOST_PATHS`."""

    def add(self, example: Example, role: LocalRole) -> None:
        """Note a route whose path an ASPA of the customer without providers would make invalid."""
        key = (example.path, role)
        if key not in self._paths:
            if len(self._paths) >= MOST_PATHS:
                self.left_out += 1
                return
            self._paths[key] = self._of(example, role)
        self._routes[key] += 1

    def _of(self, example: Example, role: LocalRole) -> _Path | None:
        once = [asn for asn, _ in groupby(example.path)]
        others = [aspa for asn in set(once) - {self._customer} if (aspa := self._index.find(asn)) is not None]

        def is_invalid(*providers: int) -> bool:
            aspas = [*others, ASPA(self._customer, providers or (0,))]
            return verify_path(aspas, once, role).outcome == "invalid"

        beside = sorted(_beside(once, self._customer))
        alone = tuple(asn for asn in beside if not is_invalid(asn))
        if alone:
            return _Path(alone, together=False, example=example)
        if is_invalid(*beside):
            return None
        for asn in tuple(beside):
            rest = [each for each in beside if each != asn]
            beside = beside if is_invalid(*rest) else rest
        return _Path(tuple(beside), together=True, example=example)

    @property
    def not_to_be_helped(self) -> int:
        """How many routes would be invalid whatever it names."""
        return sum(self._routes[key] for key, path in self._paths.items() if path is None)

    def providers(self) -> list[Provider]:
        """Give those to be named, the ones that most routes need first."""
        chosen: dict[int, Provider] = {}
        for asn in self._chosen():
            needing = [
                (self._routes[key], path)
                for key, path in self._paths.items()
                if path is not None and asn in path.cures and (path.together or not _any_of(path.cures, chosen))
            ]
            alternatives = {each for _, path in needing if not path.together for each in path.cures} - {asn}
            routes = sum(count for count, _ in needing)
            chosen[asn] = Provider(asn, routes, needing[0][1].example, tuple(sorted(alternatives)))
        return sorted(chosen.values(), key=lambda each: (-each.routes, each.asn))

    def _chosen(self) -> list[int]:
        """Give those that some path can't do without, then the ones that do for most of the rest."""
        paths = {key: path for key, path in self._paths.items() if path is not None}
        must = {asn for path in paths.values() if path.together or len(path.cures) == 1 for asn in path.cures}
        chosen = sorted(must)
        every = {key: path.cures for key, path in paths.items() if not _any_of(path.cures, must)}
        rest = every
        while rest:
            votes: Counter[int] = Counter()
            for key, cures in rest.items():
                votes.update(dict.fromkeys(cures, self._routes[key]))
            best = min(votes, key=lambda asn: (-votes[asn], asn))
            chosen.append(best)
            rest = {key: cures for key, cures in rest.items() if best not in cures}
        for asn in chosen[len(must) :]:  # what was taken first may not be needed beside those that came after
            others = {each for each in chosen if each != asn}
            if all(_any_of(cures, others) for cures in every.values()):
                chosen.remove(asn)
        return chosen


def _beside(path: Sequence[int], customer: int) -> set[int]:
    """Give the ASes that stand beside the customer in a path without repeats."""
    positions = [i for i, asn in enumerate(path) if asn == customer]
    return {path[j] for i in positions for j in (i - 1, i + 1) if 0 <= j < len(path)}


def _any_of(cures: Iterable[int], asns: set[int] | Mapping[int, Any]) -> bool:
    return any(asn in asns for asn in cures)
