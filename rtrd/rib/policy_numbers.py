"""Numbers the policy's treatments, since the route table knows a treatment by its number alone. Pure.

The table knows an action and whether two announcements carry the same additions, which is a number (a *variant*).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec.structs import replace

from rtrd.config import ActionName
from rtrd.policy import ALL_LENGTHS, OBSERVE, Rule, Treatment, together
from rtrd.rib.terms import LEARNED, OTC_ADDED, OTC_AS_LEARNED, OTC_CHECKED, NeighborPolicy
from rtrd.tags import VALIDITIES, Tag, Validity

CONDITIONS: Final = 32
"""Lists of communities: each is a bit of a 32-bit word in an attribute set."""


class Treatments:
    """What one router's announcements carry, or carried. None is forgotten: a route with it may be advertised yet."""

    def __init__(self) -> None:
        self.by_variant: list[Treatment] = [OBSERVE]
        """The treatment of each variant."""
        self._variants = {_additions(OBSERVE): 0}

    def policy(
        self,
        rule: Rule | None,
        receivers: int,
        conditions: int = 0,
        *,
        enforce_first_as: bool = False,
        otc_as: int = 0,
    ) -> NeighborPolicy:
        """Give what a rule says for a neighbor whose routes go to receivers (bits); None: observe.

        `conditions`: the bits of its communities. `otc_as`: the AS of the Only to Customer that its routes have from
        here on, if they came without (RFC 9234 section 5); 0: they have none then.
        """
        first, second, third, fourth = (OBSERVE if rule is None else rule.treatments[each] for each in VALIDITIES)
        cases = [first, second, third, fourth] if rule is None else _cases(rule)
        otc = OTC_AS_LEARNED
        if rule is not None and rule.otc:
            otc = OTC_ADDED if otc_as else OTC_CHECKED
            cases = [replace(case, otc=otc_as) for case in cases]
        return NeighborPolicy(
            receivers=receivers,
            actions=(first.action, second.action, third.action, fourth.action),
            variants=tuple(map(self._variant, cases)),
            local_preferences=tuple(map(_preference, cases)),
            as_set=None if rule is None else rule.as_set,
            path_invalid=None if rule is None else _action(rule.aspa_invalid),
            leak=None if rule is None else _action(rule.leak),
            enforce_first_as=enforce_first_as,
            conditions=conditions,
            lengths=ALL_LENGTHS if rule is None else rule.lengths,
            demands=None if rule is None else rule.demands,
            covered_by=None if rule is None else rule.covered_by,
            by_kind=sum(1 << number for number, case in enumerate(cases) if case.inside_tags),
            otc=otc,
        )

    def _variant(self, treatment: Treatment) -> int:
        number = self._variants.setdefault(_additions(treatment), len(self.by_variant))
        if number == len(self.by_variant):
            self.by_variant.append(treatment)
        return number


class Conditions:
    """The lists of communities that rules of one router ask for, each with its bit."""

    def __init__(self) -> None:
        self._bits: dict[frozenset[Tag], int] = {}

    def take(self, asked: frozenset[frozenset[Tag]]) -> bool:
        """Take what another policy asks for. True: a bit may mean something else now, of every attribute set."""
        anew = len(self._bits.keys() | asked) > CONDITIONS
        if anew:
            self._bits.clear()
        for communities in sorted(asked - self._bits.keys(), key=sorted):
            self._bits[communities] = 1 << len(self._bits)
        return anew

    def bit(self, communities: frozenset[Tag]) -> int:
        """Give the bit of a list; 0 for an empty one."""
        return self._bits.get(communities, 0)

    def __iter__(self) -> Iterator[tuple[Tag, int]]:
        """Give each community with the bit of a list that it is in."""
        return ((tag, bit) for communities, bit in self._bits.items() for tag in sorted(communities))


def _additions(treatment: Treatment) -> Treatment:
    """Give what announcements of a treatment carry, whatever its action."""
    return replace(treatment, action="announce")


def _cases(rule: Rule) -> list[Treatment]:
    """Give what is done by validity; then the same of paths that are invalid by ASPAs, of leaks, and of both.

    Then all of this for paths with an AS_SET, if the rule has an action for them.
    """
    first = [rule.treatments]
    if rule.as_set is not None:
        first.append(dict.fromkeys(VALIDITIES, Treatment(rule.as_set)))
    return [
        together(treatments[validity] for treatments in (origin, *more) if treatments is not None)
        for origin in first
        for more in ((), (rule.aspa_invalid,), (rule.leak,), (rule.aspa_invalid, rule.leak))
        for validity in VALIDITIES
    ]


def _action(treatments: Mapping[Validity, Treatment] | None) -> ActionName | None:
    """Give the action, which is the same for each validity."""
    return None if treatments is None else treatments["valid"].action


def _preference(treatment: Treatment) -> int:
    return LEARNED if treatment.local_preference is None else treatment.local_preference
