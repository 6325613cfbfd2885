"""Only to Customer (RFC 9234 section 5) of what is announced, and who gets no word of what a path is."""

from __future__ import annotations

import itertools
import re
import struct

import pytest

from rtrd.rib.terms import Route
from tests.unit.test_bgp_rules import ASES, EBGP, IBGP, OURS, PREFIX, A, B, Story, attribute, segment

ROLES = ("provider", "customer", "peer", "rs", "rs-client", None)
RULE = f"policy: [{{from: [{A}, {B}, {IBGP}], to: [{IBGP}, {EBGP}], not-found: {{action: announce}}, otc: true}}]\n"
OTC = re.compile(r"attribute \[ 0x23 0xc0 0x([0-9a-f]{8}) \]")


def otc(asn: int) -> bytes:
    return attribute(35, struct.pack("!I", asn))


def roles(**of: str | None) -> str:
    """The neighbors of a configuration: A (`a`) and EBGP (`ebgp`)."""
    at = {"a": A, "b": B, "ebgp": EBGP}
    entries = [f"{{match: [{at[name]}], local-role: {role}}}" for name, role in of.items() if role]
    return f"neighbors: [{', '.join(entries)}]\n"


def told(story: Story) -> dict[str, int | str | None]:
    """What each receiver is told: the AS of Only to Customer, None without it, or `withdraw`."""
    found: dict[str, int | str | None] = {}
    for receiver, words in story.said().items():
        those = [int(each, 16) for each in OTC.findall(words)]
        assert len(those) <= 1
        found[receiver] = "withdraw" if words == "withdraw" else those[0] if those else None
    return found


def counts_of(story: Story) -> dict[str, int]:
    return story.engine.table.path_counts(story.engine.sessions.by_name[A].number)


def row(story: Story) -> Route:
    ((_, found),) = story.engine.routes()
    return found


@pytest.mark.parametrize("sender", ROLES)
@pytest.mark.parametrize("receiver", ROLES)
@pytest.mark.parametrize("came", [None, 64496, 64511])
def test_the_procedures_of_both_ends(sender: str | None, receiver: str | None, came: int | None) -> None:
    """By the text of RFC 9234 section 5, on what we are to each."""
    story = Story(RULE + roles(a=sender, ebgp=receiver))
    story.update(A, segment(ASES[A], 64500), b"" if came is None else otc(came))
    inside = came
    if came is None and sender in ("customer", "peer", "rs-client"):  # from a provider, a peer, a route server
        inside = ASES[A]
    expected: dict[str, int | None] = {IBGP: inside}
    if inside is None and receiver in ("provider", "peer", "rs"):  # to a customer, a peer, a client
        expected[EBGP] = OURS
    elif inside is None or receiver in ("provider", "rs", None):
        expected[EBGP] = inside
    assert told(story) == expected
    kept_back = EBGP not in expected
    assert story.engine.receivers.names(row(story).kept_back) == ((EBGP,) if kept_back else ())
    assert counts_of(story)["kept_back"] == kept_back
    assert told(story) == {}
    story.engine.table.withdraw(row(story).neighbor, [PREFIX])
    assert told(story) == dict.fromkeys(expected, "withdraw")
    assert counts_of(story)["kept_back"] == 0


def test_nothing_is_done_unless_a_rule_says_so() -> None:
    for receiver in ROLES:
        story = Story(RULE.replace(", otc: true", "") + roles(a="customer", ebgp=receiver))
        story.update(A, segment(ASES[A], 64500), otc(64511))
        assert told(story) == {IBGP: 64511, EBGP: 64511}
        story.update(A, segment(ASES[A], 64500))
        assert told(story) == {IBGP: None, EBGP: None}


def test_each_change_of_what_counts_is_told() -> None:
    """Whatever was configured before, what stands at each receiver in the end is what a fresh start would have said."""
    stands: dict[str, int | str | None] = {}
    story = Story(RULE)
    came = (None, 64496)
    for sender, receiver, had, rule in itertools.product(
        ("customer", None), ("peer", "provider", "customer", None), came, (True, False)
    ):
        text = (RULE if rule else RULE.replace(", otc: true", "")) + roles(a=sender, ebgp=receiver)
        story.policy(text)
        story.update(A, segment(ASES[A], 64500), b"" if had is None else otc(had))
        fresh = Story(text)
        fresh.update(A, segment(ASES[A], 64500), b"" if had is None else otc(had))
        stands |= told(story)
        story.policy(text)
        assert told(story) == {}
        expected = told(fresh)
        assert {where: words for where, words in stands.items() if words != "withdraw"} == expected
        counts = counts_of(story)
        assert counts == counts_of(fresh)


def test_of_several_routes_the_one_that_may_go_there_does() -> None:
    """A route that is kept back is no reason to have none."""
    story = Story(RULE + roles(a="customer", b="provider", ebgp="peer"))
    story.update(A, segment(ASES[A], 64500))
    assert told(story) == {IBGP: ASES[A]}
    story.update(B, segment(ASES[B], 64501, 64500))
    assert told(story) == {EBGP: OURS}
    story.engine.forget([A])
    assert told(story) == {IBGP: None}


def test_two_customers_of_two_of_our_ases_get_each_its_own() -> None:
    story = Story(RULE.replace(f"to: [{IBGP}", f"to: [{B}") + roles(b="provider", ebgp="peer"))
    story.engine.sessions.spoken(B, 65010, ASES[B])
    story.update(IBGP, segment(64500))
    assert told(story) == {B: 65010, EBGP: OURS}
    story.engine.sessions.spoken(EBGP, 65011, ASES[EBGP])
    assert told(story) == {B: 65010, EBGP: 65011}
    story.engine.sessions.spoken(f"{EBGP} 192.0.2.99", 65012, ASES[EBGP])
    assert told(story) == {B: 65010, EBGP: "withdraw"}, "nobody knows of which AS it must be"


def test_a_confederation_is_no_neighbor_of_this_kind() -> None:
    entries = f"neighbors: [{{match: [{EBGP}], local-role: customer, confederation: true}}]\n"
    story = Story(RULE + entries)
    story.update(A, segment(ASES[A], 64500), otc(64511))
    assert told(story) == {IBGP: 64511, EBGP: 64511}


# -- what a path is


TAGS = f"""policy:
  - from: [{A}]
    to: [{IBGP}, {EBGP}]
    not-found: {{action: announce, tags: ['large:65000:1:0']}}
    leak: {{action: announce, tags: ['large:65000:2:0', 'community:65000:2'], local-preference: 50}}
    aspa-invalid: {{action: announce, tags: ['large:65000:3:0', 'large:65000:1:0']}}
"""


@pytest.mark.parametrize("client", [None, "provider", "rs"])
def test_what_a_path_is_no_other_as_is_told(client: str | None) -> None:
    """draft-ietf-sidrops-avoid-rpki-state-in-bgp, whatever the policy says."""
    story = Story(TAGS + roles(a="provider", ebgp=client))
    story.update(A, segment(ASES[A], 64500), otc(64496), "10.0.0.0/24")
    story.update(A, segment(64499, 64500), b"", "10.0.1.0/24")  # another first AS than the neighbor's: never announced
    story.update(A, segment(ASES[A], 64500), b"", "10.0.2.0/24")
    said: dict[tuple[str, str], str] = {}
    for command in story.commands():
        for receiver in story.engine.receivers.names(command.receivers):
            for prefix in command.prefixes.split():
                said[receiver, prefix] = story.encoder.encode(command)
    assert said.keys() == {(where, f"10.0.{number}.0/24") for where in (IBGP, EBGP) for number in (0, 2)}
    assert "large-community [ 65000:1:0 65000:2:0 ]" in said[IBGP, "10.0.0.0/24"]
    assert "community [ 65000:2 ]" in said[IBGP, "10.0.0.0/24"]
    assert "large-community [ 65000:1:0 ]" in said[EBGP, "10.0.0.0/24"]
    assert "65000:2" not in said[EBGP, "10.0.0.0/24"]
    assert said[IBGP, "10.0.2.0/24"].partition(" announce ")[2] == said[EBGP, "10.0.2.0/24"].partition(" announce ")[2]


def test_the_tags_of_a_path_reach_a_receiver_when_it_is_known_to_be_ours() -> None:
    """Until then it counts as external; and a neighbor that leaves our AS is told anew."""
    stranger = "192.0.2.50"
    story = Story(TAGS.replace(f"to: [{IBGP}", f"to: [{stranger}") + roles(a="provider"))
    story.update(A, segment(ASES[A], 64500), otc(64496))
    assert "65000:2:0" not in story.said()[stranger]
    story.engine.sessions.spoken(stranger, OURS, OURS)
    now = story.said()
    assert "65000:2:0" in now[stranger]
    assert "65000:2:0" not in now[EBGP]
    story.engine.sessions.spoken(stranger, OURS, 64999)
    assert "65000:2:0" not in story.said()[stranger]
