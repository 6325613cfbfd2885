"""Numbers the policy's treatments, since the route table knows a treatment by its number alone. Pure.

The table knows an action and whether two announcements carry the same additions, which is a number (a *variant*).
"""

from __future__ import annotations

from rtrd.policy import OBSERVE, Rule, Treatment
from rtrd.rib.terms import LEARNED, NeighborPolicy
from rtrd.tags import VALIDITIES


class Treatments:
    """What one router's announcements carry, or carried. None is forgotten: a route with it may be advertised yet."""

    def __init__(self) -> None:
        self.by_variant: list[Treatment] = [OBSERVE]
        """The treatment of each variant."""

    def policy(self, rule: Rule | None, receivers: int) -> NeighborPolicy:
        """Give what a rule says for a neighbor whose routes go to receivers (bits); None: observe."""
        first, second, third, fourth = (OBSERVE if rule is None else rule.treatments[each] for each in VALIDITIES)
        return NeighborPolicy(
            receivers=receivers,
            actions=(first.action, second.action, third.action, fourth.action),
            variants=(self._variant(first), self._variant(second), self._variant(third), self._variant(fourth)),
            local_preferences=(_preference(first), _preference(second), _preference(third), _preference(fourth)),
        )

    def _variant(self, treatment: Treatment) -> int:
        for number, known in enumerate(self.by_variant):
            if known.tags == treatment.tags and known.local_preference == treatment.local_preference:
                return number
        self.by_variant.append(treatment)
        return len(self.by_variant) - 1


def _preference(treatment: Treatment) -> int:
    return LEARNED if treatment.local_preference is None else treatment.local_preference
