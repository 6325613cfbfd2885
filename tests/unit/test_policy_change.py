"""Another policy while routes stand, as stories: only what differs is written."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrd.policy import Policy
from rtrd.rib.attributes import AttributeSet
from rtrd.rib.bgp_events import Update
from rtrd.rib.terms import Command
from rtrlib.vrp import VRP
from tests.lab.engine_story import EngineStory, policy_of, tell

ONE, TWO, LISTENER = "192.0.2.1", "192.0.2.2", "192.0.2.7"
VALID, NOT_FOUND = "198.51.100.0/24", "203.0.113.0/24"


def rule(source: str, valid: str = "{action: observe}", not_found: str = "{action: observe}") -> str:
    return f"  - {{from: [{source}], to: [{LISTENER}], valid: {valid}, not-found: {not_found}}}\n"


def tag(*texts: str, preference: int | None = None) -> str:
    more = "" if preference is None else f", local-preference: {preference}"
    return f"{{action: announce, tags: [{', '.join(texts)}]{more}}}"


def policy(*rules: str) -> Policy:
    return policy_of("policy:\n" + "".join(rules)) if rules else Policy(())


class Story(EngineStory):
    """An engine whose routes are advertised, and what it says from then on."""

    def __init__(self, *rules: str) -> None:
        super().__init__(policy(*rules), VRP(VALID, 24, 64500))
        self.up(ONE, TWO)

    def attributes(self, command: Command) -> AttributeSet:
        """What a command announces, before our tags."""
        return self.engine.attributes(self.engine.table.attributes_key(command.attributes))

    def said(self) -> list[str]:
        """`+PREFIX` with the communities that it carries, or `-PREFIX`."""
        said = []
        for command in self.commands():
            assert self.engine.receivers.names(command.receivers) == (LISTENER,)
            if command.announce:
                carried = [f"{a}:{b}" for a, b in self.attributes(command).communities]
                carried += [str(own).removeprefix("community:") for own in self.engine.treatment(command).tags]
                said += [" ".join([f"+{prefix}", *carried]) for prefix in command.prefixes.split()]
            else:
                said += [f"-{prefix}" for prefix in command.prefixes.split()]
        return sorted(said)

    def now(self, *rules: str) -> list[str]:
        self.engine.set_policy(policy(*rules))
        return self.said()


@pytest.fixture
def story() -> Story:
    story = Story(rule(ONE, tag("community:65000:1"), tag("community:65000:2")), rule(TWO, tag("community:65000:3")))
    story.announce(ONE, VALID, NOT_FOUND)
    story.announce(TWO, "198.51.100.0/25", "203.0.113.128/25")
    assert story.said() == [f"+{VALID} 65000:1", f"+{NOT_FOUND} 65000:2"]
    return story


def test_the_same_policy_again_says_nothing(story: Story) -> None:
    same = rule(ONE, tag("community:65000:1"), tag("community:65000:2")), rule(TWO, tag("community:65000:3"))
    assert story.now(*same) == []


def test_another_tag_is_written_where_it_belongs_and_nowhere_else(story: Story) -> None:
    assert story.now(rule(ONE, tag("community:65000:9"), tag("community:65000:2"))) == [f"+{VALID} 65000:9"]
    assert story.now(rule(ONE, tag("community:65000:9"), tag("community:65000:8"))) == [f"+{NOT_FOUND} 65000:8"]


def test_tags_that_change_places(story: Story) -> None:
    assert story.now(rule(ONE, tag("community:65000:2"), tag("community:65000:1"))) == [
        f"+{VALID} 65000:2",
        f"+{NOT_FOUND} 65000:1",
    ]


def test_another_local_preference_is_written(story: Story) -> None:
    new = rule(ONE, tag("community:65000:1", preference=200), tag("community:65000:2"))
    assert story.now(new) == [f"+{VALID} 65000:1"]


def test_without_a_policy_everything_is_taken_back(story: Story) -> None:
    assert story.now() == [f"-{VALID}", f"-{NOT_FOUND}"]
    assert story.now() == []


def test_a_rule_that_withdraws_says_so_once(story: Story) -> None:
    new = rule(ONE, "{action: withdraw}", tag("community:65000:2"))
    assert story.now(new) == [f"-{VALID}"]
    assert story.now(new) == []


def test_hold_leaves_what_stands(story: Story) -> None:
    assert story.now(rule(ONE, "{action: hold}", "{action: hold}")) == []


def test_a_forged_tag_is_removed_as_soon_as_it_is_ours() -> None:
    """Only the route that carries it is written again."""
    story = Story(rule(ONE, tag("community:65000:1")))
    story.announce(ONE, VALID, community=[[65000, 7], [64496, 1]])
    story.announce(ONE, "198.51.100.0/24", community=[[64496, 7]])
    story.announce(ONE, VALID, community=[[65000, 7], [64496, 1]])
    assert story.said() == [f"+{VALID} 65000:7 64496:1 65000:1"]
    # 65000:7 becomes a tag that another rule adds.
    assert story.now(rule(ONE, tag("community:65000:1")), rule(TWO, tag("community:65000:7"))) == [
        f"+{VALID} 64496:1 65000:1"
    ]
    # And then it is none of ours any more.
    assert story.now(rule(ONE, tag("community:65000:1"))) == [f"+{VALID} 65000:7 64496:1 65000:1"]


def test_what_arrives_between_is_decided_by_the_new_policy(story: Story) -> None:
    story.engine.set_policy(policy(rule(ONE, tag("community:65000:9"), tag("community:65000:2"))))
    story.announce(ONE, "203.0.113.64/26")
    assert story.said() == [f"+{VALID} 65000:9", "+203.0.113.64/26 65000:2"]


def test_another_receiver(story: Story) -> None:
    moved = rule(ONE, tag("community:65000:1"), tag("community:65000:2")).replace(LISTENER, TWO)
    story.engine.set_policy(policy(moved))
    names = story.engine.receivers.names
    said = {(one.announce, names(one.receivers), prefix) for one in story.commands() for prefix in one.prefixes.split()}
    assert said == {
        (announce, (receiver,), prefix)
        for announce, receiver in ((False, LISTENER), (True, TWO))
        for prefix in (VALID, NOT_FOUND)
    }


def test_nothing_is_said_while_a_change_of_our_tags_is_half_done() -> None:
    """What is said meanwhile would be in the words of one policy and count as said in those of the other."""
    first = rule(TWO, not_found=tag("community:65000:1"))
    story = Story(first)
    story.announce(TWO, NOT_FOUND, community=[[65000, 1]])
    story.announce(ONE, VALID, community=[[65000, 2]])
    story.engine.set_policy(policy(rule(TWO)))
    assert story.engine.work(1), "one of two attribute sets has been looked at"
    assert story.engine.next_command(50) is None, "65000:1 is none of ours now, and the policy before still adds it"
    story.engine.set_policy(policy(first))
    assert story.said() == [f"+{NOT_FOUND} 65000:1"]


def test_a_forged_tag_goes_also_when_its_route_comes_without_it_before_it_was_looked_at() -> None:
    story = Story(rule(ONE, tag("community:65000:1")))
    story.announce(ONE, "192.0.2.0/24", community=[[64496, 2]])
    story.announce(ONE, VALID, community=[[65000, 7], [64496, 1]])
    assert story.said() == [f"+{VALID} 65000:7 64496:1 65000:1"]
    story.engine.set_policy(policy(rule(ONE, tag("community:65000:1")), rule(TWO, tag("community:65000:7"))))
    story.engine.work(1)
    assert story.engine.work(1), "the sets have been looked at, and one of two routes"
    story.announce(ONE, VALID, community=[[64496, 1]])
    assert story.said() == [f"+{VALID} 64496:1 65000:1"]


def test_what_stands_from_an_earlier_run_is_left_alone_by_a_change_of_our_tags() -> None:
    """The octets of its next hop look like numbers of a tag."""
    story = Story(rule(ONE))
    story.engine.advertised_before(LISTENER, VALID, AttributeSet(4, "192.0.2.1", 0, (), None))
    assert story.now(rule(ONE, tag("community:1:2"))) == []
    story.announce(ONE, VALID)
    assert story.said() == [f"+{VALID} 1:2"]


ACTIONS = st.sampled_from(
    ["{action: observe}", "{action: withdraw}"]
    + [tag(f"community:65000:{number}", preference=lp) for number in (1, 2, 3) for lp in (None, 200)]
)
POLICIES = st.tuples(ACTIONS, ACTIONS, ACTIONS, ACTIONS)
NUMBERS = (1, 2, 7)
HEARD = st.lists(
    st.tuples(
        st.sampled_from((ONE, TWO)),
        st.sampled_from([f"{net}.{number}/32" for net in ("198.51.100", "203.0.113") for number in NUMBERS]),
        st.sampled_from((*NUMBERS, None)),
    ),
    max_size=2,
)
"""What a neighbor says meanwhile: a route with another community, or (None) without the route."""


@settings(deadline=None)  # a loaded machine is no fault
@given(st.lists(st.tuples(POLICIES, st.integers(0, 6), HEARD), min_size=1, max_size=5))
def test_the_last_of_any_policies_decides(policies: list[tuple[Any, int, list[tuple[str, str, int | None]]]]) -> None:
    """Changed at any moment, also in the middle of the work that the last change left."""

    def play(story: Story, stands: dict[str, Any]) -> None:
        while (command := story.engine.next_command(50)) is not None:
            treatment = story.engine.treatment(command)
            for prefix in command.prefixes.split():
                if command.announce:
                    stands[prefix] = (story.attributes(command).communities, treatment.tags, treatment.local_preference)
                else:
                    stands.pop(prefix, None)

    def say(story: Story, neighbor: str, prefix: str, number: int) -> None:
        path = [64496, 64500] if neighbor == ONE else [64496, 64497, 64500]
        attributes: dict[str, Any] = {"as-path": path, "community": [[65000, number]]}
        story.announce(neighbor, prefix, **attributes)

    def rules(one: Any) -> list[str]:
        return [rule(ONE, one[0], one[1]), rule(TWO, one[2], one[3])]

    said = {
        (neighbor, f"{net}.{host}/32"): number
        for at, neighbor in enumerate((ONE, TWO))
        for number in NUMBERS
        for net, host in (("198.51.100", number), ("203.0.113", number), ("198.51.100", 8 * number + at))
    }
    story = Story(*rules(policies[0][0]))
    stands: dict[str, Any] = {}
    for (neighbor, prefix), number in said.items():
        say(story, neighbor, prefix, number)
    for new, steps, heard in policies:
        story.engine.set_policy(policy(*rules(new)))
        for _ in range(steps):
            story.engine.work(1)
            play(story, stands)
        for neighbor, prefix, other in heard:
            if other is None:
                said.pop((neighbor, prefix), None)
                tell(story.engine, Update(neighbor, [prefix], [], 0))
            else:
                said[neighbor, prefix] = other
                say(story, neighbor, prefix, other)
    while story.engine.work(1):
        play(story, stands)
    play(story, stands)

    fresh = Story(*rules(policies[-1][0]))
    for (neighbor, prefix), number in said.items():
        say(fresh, neighbor, prefix, number)
    wanted: dict[str, Any] = {}
    while fresh.engine.work(1):
        pass
    play(fresh, wanted)
    assert stands == wanted
