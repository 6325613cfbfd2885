"""Rules of the policy in; numbers by which the route table decides so, and of a number its outcome again, out. Pure.

The table knows an action and whether two announcements carry the same additions, which is a number (a *manner*).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtrd.policy import OBSERVE
from rtrd.rib.terms import LEARNED, NeighborPolicy
from rtrd.tags import VALIDITIES

if TYPE_CHECKING:
    from rtrd.policy import Outcome, Rule


class Outcomes:
    """What one router's announcements were, or are, to carry. None is forgotten: some may stand there yet."""

    def __init__(self) -> None:
        self._by_manner: list[Outcome] = [OBSERVE]

    def of(self, manner: int) -> Outcome:
        """Give the outcome of a manner; always the same object for the same one."""
        return self._by_manner[manner]

    def policy(self, rule: Rule | None, targets: int) -> NeighborPolicy:
        """Give what a rule says for a neighbour whose routes go to targets (bits); None: observe."""
        first, second, third, fourth = (OBSERVE if rule is None else rule.decide(each) for each in VALIDITIES)
        return NeighborPolicy(
            targets=targets,
            actions=(first.action, second.action, third.action, fourth.action),
            manners=(self._manner(first), self._manner(second), self._manner(third), self._manner(fourth)),
            local_preferences=(_preference(first), _preference(second), _preference(third), _preference(fourth)),
        )

    def _manner(self, outcome: Outcome) -> int:
        for number, known in enumerate(self._by_manner):
            if known.tags == outcome.tags and known.local_preference == outcome.local_preference:
                return number
        self._by_manner.append(outcome)
        return len(self._by_manner) - 1


def _preference(outcome: Outcome) -> int:
    return LEARNED if outcome.local_preference is None else outcome.local_preference
