"""What the policy decides, told as an operator would write it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrd.policy import HOLD, OBSERVE, Policy, Treatment
from rtrd.rib.attributes import AttributeSet, key_of, read_octets
from rtrd.tags import EXPECTED, RFC8097_BASE, VALIDITIES, Tag, Validity, parse_tag, rfc8097_tag
from tests.lab.engine_story import policy_of


def policy(text: str) -> Policy:
    return policy_of(f"policy:\n{text}")


def decide(text: str, validity: Validity, neighbor: str = "192.0.2.1") -> Treatment:
    rule = next(iter(policy(text).rules_for(neighbor)), None)
    assert rule is not None
    return rule.treatments[validity]


def test_without_a_policy_no_neighbor_has_a_rule() -> None:
    assert Policy().rules_for("192.0.2.1") == ()
    assert Policy().our_tags == frozenset()


def test_the_first_rule_that_names_the_neighbor_decides() -> None:
    rules = policy(
        "  - {from: [192.0.2.1], invalid: {action: withdraw}}\n"
        '  - {from: [192.0.2.1, "2001:db8::1"], invalid: {action: observe}}\n'
        "  - {invalid: {action: hold}}\n"
    )
    assert rules.rules_for("192.0.2.1") == (rules.rules[0],)
    assert rules.rules_for("2001:DB8:0::1") == (rules.rules[1],)
    assert rules.rules_for("192.0.2.99") == (rules.rules[2],)
    assert rules.rules_for("no address") == (rules.rules[2],)


def test_a_neighbor_that_no_rule_names_has_none() -> None:
    assert policy("  - {from: [192.0.2.1]}\n").rules_for("192.0.2.2") == ()


def test_rfc8097_has_the_value_of_the_validity() -> None:
    others = "".join(f"    {validity}: *t\n" for validity in ("not-found", "invalid", "unverified"))
    rule = "  - valid: &t {action: announce, tags: [rfc8097]}\n" + others
    assert decide(rule, "valid").tags == (Tag("extended", (0x4300_0000_0000_0000,)),)
    assert decide(rule, "not-found").tags == (Tag("extended", (0x4300_0000_0000_0001,)),)
    assert decide(rule, "invalid").tags == (Tag("extended", (0x4300_0000_0000_0002,)),)
    assert decide(rule, "unverified").tags == ()


def test_an_announcement_carries_its_tags_once_and_its_local_preference() -> None:
    tags = '["large:65000:1:0", "community:65000:7", "extended:0x0002fde800000001", "large:65000:1:0"]'
    assert decide(f"  - valid: {{action: announce, tags: {tags}, local-preference: 200}}\n", "valid") == Treatment(
        "announce",
        (Tag("large", (65000, 1, 0)), Tag("standard", (65000, 7)), Tag("extended", (0x0002FDE800000001,))),
        200,
    )


def test_a_validity_that_is_not_named_is_observed() -> None:
    rule = "  - {from: [192.0.2.1]}\n"
    assert [decide(rule, validity) for validity in VALIDITIES] == [OBSERVE] * 4


@pytest.mark.parametrize(
    ("rule", "validity", "treatment"),
    [
        ("{invalid: {action: announce}}", "unverified", HOLD),
        ("{invalid: {action: announce}}", "not-found", OBSERVE),
        ("{invalid: {action: withdraw}}", "unverified", HOLD),
        ("{invalid: {action: withdraw}}", "not-found", OBSERVE),
        ("{valid: {action: observe}}", "unverified", OBSERVE),
        ("{invalid: {action: withdraw}, unverified: {action: announce}}", "unverified", Treatment("announce")),
    ],
)
def test_unverified_waits_when_the_rule_acts_unless_it_says_otherwise(
    rule: str, validity: Validity, treatment: Treatment
) -> None:
    assert decide(f"  - {rule}\n", validity) == treatment


def test_every_neighbor_but_the_source_receives_unless_to_says_who() -> None:
    neighbors = ["192.0.2.1", "192.0.2.2", "2001:db8::3"]
    everyone, named = policy('  - {from: [192.0.2.1]}\n  - {to: ["2001:DB8:0::3", 192.0.2.2]}\n').rules
    assert everyone.receivers(neighbors, "192.0.2.1") == ["192.0.2.2", "2001:db8::3"]
    assert everyone.receivers(neighbors, "2001:DB8::0:3") == ["192.0.2.1", "192.0.2.2"]
    assert named.receivers(neighbors, "192.0.2.2") == ["192.0.2.2", "2001:db8::3"]


def test_our_tags_are_those_of_all_rules_and_the_whole_of_rfc_8097() -> None:
    rules = policy(
        '  - {from: [192.0.2.1], valid: {action: announce, tags: ["large:65000:1:0"]}}\n'
        '  - {invalid: {action: announce, tags: ["community:65000:1", rfc8097]}}\n'
    )
    assert rules.our_tags == {
        Tag("large", (65000, 1, 0)),
        Tag("standard", (65000, 1)),
        Tag("extended", (RFC8097_BASE | 2,)),
    }
    others = (0x4301_0000_0000_0000,)
    received = AttributeSet(
        4, "192.0.2.9", 0, (), 65000,
        communities=((65000, 1), (65000, 2)),
        large_communities=((65000, 1, 0), (65000, 1, 1)),
        extended_communities=(RFC8097_BASE, RFC8097_BASE | 2, RFC8097_BASE | 0xFFFF_FFFF_FFFF, *others),
    )  # fmt: skip
    kept = read_octets(key_of(received), rules.ours)
    assert (kept.communities, kept.large_communities) == (((65000, 2),), ((65000, 1, 1),))
    assert kept.extended_communities == others


def test_rfc8097_is_ours_even_without_a_policy() -> None:
    received = AttributeSet(4, "192.0.2.9", 0, (), 65000, extended_communities=(RFC8097_BASE | 1,))
    assert read_octets(key_of(received), Policy().ours).extended_communities == ()
    assert read_octets(key_of(received)) == received


def test_a_flood_of_neighbors_is_not_remembered_for_ever() -> None:
    rules = policy("  - {from: [192.0.2.1]}\n")
    for number in range(10_000):
        rules.rules_for(f"neighbor {number}")
    assert len(rules._by_neighbor) <= 4096
    assert rules.rules_for("192.0.2.1") == (rules.rules[0],)


U16, U32, U64 = (st.integers(0, (1 << bits) - 1) for bits in (16, 32, 64))


@given(
    st.builds(lambda *numbers: Tag("standard", numbers), U16, U16)
    | st.builds(lambda *numbers: Tag("large", numbers), U32, U32, U32)
    | st.builds(lambda number: Tag("extended", (number,)), U64)
)
def test_a_tag_survives_being_written_and_parsed(tag: Tag) -> None:
    assert parse_tag(str(tag)).fixed == tag


@given(st.text(max_size=30))
def test_any_text_is_a_tag_or_a_fault_with_a_sentence(text: str) -> None:
    try:
        spec = parse_tag(text)
    except ValueError as error:
        sentence = str(error)
        assert sentence == EXPECTED or " is more than " in sentence
    else:
        assert spec.text == text
        assert spec.tag("valid") is not None


def test_unverified_has_no_rfc8097_tag() -> None:
    assert rfc8097_tag("unverified") is None


def test_from_may_be_a_prefix_or_an_as() -> None:
    rules = policy("  - {from: [192.0.2.0/25, AS64497]}\n  - {from: ['2001:db8::/32']}\n")
    assert rules.rules_for("192.0.2.1", 64496) == (rules.rules[0],)
    assert rules.rules_for("192.0.2.129", 64496) == ()
    assert rules.rules_for("192.0.2.129", 64497) == (rules.rules[0],)
    assert rules.rules_for("192.0.2.129") == (), "its AS is not known yet"
    assert rules.rules_for("2001:db8::1", 64497) == (rules.rules[0],)
    assert rules.rules_for("2001:db8::1") == (rules.rules[1],)
