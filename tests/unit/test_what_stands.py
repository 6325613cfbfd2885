"""What stands at receivers and what is told of routes, in orders of events that tests/fuzz/test_decisions.py found."""

from __future__ import annotations

import struct

import pytest

from rtrd.rib.attributes import announced
from rtrd.rib.native_terms import changes_of
from tests.lab.engine_story import policy_of
from tests.unit.test_bgp_rules import ASES, EBGP, IBGP, PREFIX, A, B, Story, attribute, segment

A_SET = segment(ASES[A], 64500) + segment(64500, 64501, kind=1)


def rules(*each: str) -> str:
    return f"policy: [{', '.join(each)}]\n"


def rule(source: str, action: str, to: str = EBGP) -> str:
    return f"{{from: [{source}], to: [{to}], not-found: {{action: {action}}}}}"


def told(story: Story) -> list[tuple[str | None, str | None]]:
    """The decisions before and after, as changes tell them."""
    return [(each.did, each.decision) for each in changes_of(story.engine.table.take_changes(100)[0])]


def test_what_is_held_gives_way_to_a_route_that_may_go_there() -> None:
    both = rules(rule(A, "announce"), rule(B, "announce"))
    story = Story(both)
    story.update(A, segment(ASES[A], 64500))
    story.update(B, segment(ASES[B], 64511, 64501))
    assert "64500" in story.said()[EBGP]
    story.policy(rules(rule(A, "hold"), rule(B, "announce")))
    assert "64501" in story.said()[EBGP]
    story.policy(rules(rule(A, "hold"), rule(B, "hold")))
    assert story.said() == {}


@pytest.mark.parametrize("taken", [True, False])
def test_what_is_held_by_its_path_id_does_not_outlive_a_receiver_that_turns(taken: bool) -> None:
    """In the other way nobody could withdraw it any more."""
    story = Story(rules(rule(A, "announce")))
    story.engine.path_ids(EBGP, 4, taken=not taken)
    story.update(A, segment(ASES[A], 64500), path_id=1)
    ((first),) = story.commands()
    story.policy(rules(rule(A, "hold")))
    assert story.commands() == []
    story.engine.path_ids(EBGP, 4, taken=taken)
    ((gone),) = story.commands()
    assert (gone.announce, gone.path_id) == (False, first.path_id)
    story.policy(rules(rule(A, "announce")))
    ((again),) = story.commands()
    assert (again.path_id is None) is not taken


def test_a_receiver_turns_when_what_waits_for_the_send_barrier_is_withdrawn_there() -> None:
    story = Story(rules(rule(A, "announce")))
    story.engine.table.barrier_falls()
    story.update(A, segment(ASES[A], 64500), path_id=1)
    ((first),) = story.commands()
    story.engine.path_ids(EBGP, 4, taken=False)
    assert story.commands() == [], "the announcement is not sent yet"
    assert story.commands() == []
    story.engine.table.barrier_falls()
    ((gone),) = story.commands()
    assert (gone.announce, gone.path_id) == (False, first.path_id)
    story.engine.table.barrier_falls()
    ((again),) = story.commands()
    assert (again.announce, again.path_id) == (True, None)


def test_a_receiver_does_not_turn_before_the_last_withdraw_however_many_barriers_that_takes() -> None:
    """Without path ids all routes of a prefix are one NLRI, of which one is withdrawn between two barriers."""
    both = f"{EBGP}, {IBGP}"
    story = Story(rules(rule(A, "announce", both), rule(B, "withdraw", IBGP)))
    for receiver in (EBGP, IBGP):
        story.engine.path_ids(receiver, 4, taken=False)
    story.engine.table.barrier_falls()
    story.update(A, segment(ASES[A], 64500), path_id=1)
    assert [(each.announce, each.path_id) for each in story.commands()] == [(True, None)]
    story.engine.table.barrier_falls()
    for path_id in (1, 2):
        story.update(B, segment(ASES[B], 64500), path_id=path_id)
    story.policy(rules(rule(A, "withdraw", both), rule(B, "withdraw", IBGP)))
    story.engine.path_ids(EBGP, 4, taken=True)
    said = story.commands()
    for _ in range(4):
        story.engine.table.barrier_falls()
        said += story.commands()
    bit = story.engine.receivers.bit(EBGP)
    assert any(each.path_id is None and each.receivers & bit for each in said), "by an id nobody can withdraw it"


def test_a_path_with_a_set_gets_the_words_of_what_has_it_announced() -> None:
    """Not those of its validity, whose action `as-set` replaces."""
    text = (
        f"policy: [{{from: [{A}], to: [{IBGP}], not-found: {{action: ACTION}}, as-set: {{action: observe}},"
        " aspa-invalid: {action: announce, local-preference: 50, tags: ['large:65000:2:0']}}]\n"
        f"neighbors: [{{match: [{A}], local-role: peer}}]\n"
    )
    for action in ("announce, local-preference: 40, tags: ['large:65000:1:0']", "withdraw"):
        story = Story(text.replace("ACTION", action))
        story.update(A, A_SET)
        words = story.said()[IBGP]
        assert "local-preference 50" in words
        assert "large-community [ 65000:2:0 ]" in words


def test_each_change_is_told_once_also_while_a_policy_comes_into_force() -> None:
    story = Story(rules(rule(A, "announce")))
    story.engine.table.listen(100)
    for number in range(20):
        story.update(A, segment(ASES[A], 64500), prefix=f"10.0.{number}.0/24")
    story.commands()
    story.engine.set_policy(policy_of(rules(rule(A, "hold"))))
    story.engine.work(10)
    story.engine.revalidate()  # it begins again
    story.work()
    assert told(story) == [("announce", "hold")] * 20
    story.engine.revalidate()
    story.work()
    assert told(story) == []


def test_another_action_because_of_other_attributes_is_told() -> None:
    story = Story(rules(rule(A, "announce")))
    story.engine.table.listen(100)
    story.update(A, segment(ASES[A], 64500))
    story.update(A, A_SET)
    assert told(story) == [("announce", "withdraw")]
    story.update(A, A_SET, attribute(8, struct.pack("!2H", 64496, 1)))
    assert told(story) == []


def test_a_previous_run_that_announced_at_one_of_two_receivers_is_known_there() -> None:
    text = rules(rule(A, "announce", f"{IBGP}, {EBGP}"))
    first = Story(text)
    first.update(A, segment(ASES[A], 64500))
    (command,) = first.commands()
    learned = first.engine.attributes(first.engine.table.attributes_key(command.attributes))
    stands = announced(learned, first.engine.treatment(command))
    story = Story(text)
    story.engine.advertised_before(IBGP, PREFIX, stands)
    story.update(A, segment(ASES[A], 64500))
    assert story.said().keys() == {EBGP}


def test_other_words_reach_each_receiver_also_where_a_previous_run_stands_at_one() -> None:
    """What is announced in place of the previous run's is not taken for what the others wait for."""
    first = Story(rules(rule(A, "announce")))
    first.update(A, segment(ASES[A], 64499, 64500))
    (command,) = first.commands()
    learned = first.engine.attributes(first.engine.table.attributes_key(command.attributes))
    story = Story(rules(rule(A, "announce", IBGP)))
    story.engine.advertised_before(EBGP, PREFIX, announced(learned, first.engine.treatment(command)))
    story.update(A, segment(ASES[A], 64500))
    assert story.said().keys() == {IBGP}
    story.policy(rules(rule(A, "announce, tags: ['large:65000:1:0']", f"{IBGP}, {EBGP}")))
    said = story.said()
    assert said.keys() == {IBGP, EBGP}
    assert all("large-community [ 65000:1:0 ]" in words for words in said.values())


def test_what_we_are_to_a_receiver_is_told_only_where_a_rule_asks() -> None:
    """Its Only to Customer is another one, but none goes with what a rule without `otc` announces."""
    other = f"{{from: [{B}], to: [{EBGP}], not-found: {{action: announce}}, otc: true}}"
    roles = f"neighbors: [{{match: [{EBGP}], local-role: provider}}]\n"
    story = Story(rules(rule(A, "announce"), other))
    story.update(A, segment(ASES[A], 64500))
    story.update(B, segment(ASES[B], 64500), prefix="10.0.0.0/24")
    story.commands()
    story.policy(rules(rule(A, "announce"), other) + roles)
    assert [each.prefixes for each in story.commands()] == ["10.0.0.0/24"]
