"""One router's routes as stories: who is told what, when neighbors come and go and VRPs change."""

import pytest

from rtrd.rib.bgp_events import Negotiated, State
from rtrd.rib.terms import MOST_RECEIVERS
from rtrlib.vrp import VRP
from tests.lab.engine_story import EngineStory, policy_of, update

TAG = """policy:
  - valid: {action: announce, tags: [rfc8097]}
    not-found: {action: announce, tags: [rfc8097]}
    invalid: {action: withdraw}
"""


class Story(EngineStory):
    def __init__(self, policy: str = TAG, *vrps: VRP) -> None:
        super().__init__(policy_of(policy), *vrps)

    def said(self) -> list[tuple[str, tuple[str, ...], str]]:
        names = self.engine.receivers.names
        return [("announce" if it.announce else "withdraw", names(it.receivers), it.prefixes) for it in self.commands()]


@pytest.fixture
def story() -> Story:
    return Story()


def test_every_neighbor_but_the_routes_own_is_told(story: Story) -> None:
    story.up("192.0.2.1", "192.0.2.2", "192.0.2.3")
    story.announce("192.0.2.1", "198.51.100.0/24")
    assert story.said() == [("announce", ("192.0.2.2", "192.0.2.3"), "198.51.100.0/24")]


def test_a_neighbor_that_appears_later_is_told_what_stands(story: Story) -> None:
    story.up("192.0.2.1", "192.0.2.2")
    story.announce("192.0.2.1", "198.51.100.0/24")
    story.said()
    story.engine.add_receiver("192.0.2.3")
    assert story.said() == [("announce", ("192.0.2.3",), "198.51.100.0/24")]


def test_to_names_those_who_are_told_also_before_they_are_seen() -> None:
    story = Story(TAG.replace("  - valid", "  - to: [192.0.2.7]\n    valid"))
    story.up("192.0.2.1", "192.0.2.2")
    story.announce("192.0.2.1", "198.51.100.0/24")
    assert story.said() == [("announce", ("192.0.2.7",), "198.51.100.0/24")]


def test_a_neighbor_that_goes_down_takes_its_routes_along_and_stays_a_target(story: Story) -> None:
    story.up("192.0.2.1", "192.0.2.2")
    story.announce("192.0.2.1", "198.51.100.0/24")
    story.announce("192.0.2.2", "203.0.113.0/24")
    story.said()
    story.down("192.0.2.1")
    assert story.said() == [("withdraw", ("192.0.2.2",), "198.51.100.0/24")]
    story.announce("192.0.2.2", "192.0.2.0/24")
    assert story.said() == [("announce", ("192.0.2.1",), "192.0.2.0/24")]  # ExaBGP sends it when the session is up


def test_a_second_up_begins_a_new_session(story: Story) -> None:
    story.up("192.0.2.1", "192.0.2.2")
    story.announce("192.0.2.1", "198.51.100.0/24", "203.0.113.0/24")
    story.said()
    story.up("192.0.2.1")
    story.announce("192.0.2.1", "198.51.100.0/24")
    assert story.said() == [("withdraw", ("192.0.2.2",), "203.0.113.0/24")]


def test_when_a_vrp_changes_the_routes_that_it_covers_change() -> None:
    story = Story(TAG, VRP("198.51.100.0/24", 24, 64500))
    story.up("192.0.2.1", "192.0.2.2")
    story.announce("192.0.2.1", "198.51.100.0/24", "203.0.113.0/24")
    story.said()
    story.vrps(VRP("198.51.100.0/24", 24, 64501))
    assert story.said() == [("withdraw", ("192.0.2.2",), "198.51.100.0/24")]
    assert story.engine.sessions.counts() == {"valid": 0, "not-found": 1, "invalid": 1, "unverified": 0}


def test_without_a_policy_nothing_is_said() -> None:
    story = Story("", VRP("198.51.100.0/24", 24, 64501))
    story.up("192.0.2.1", "192.0.2.2")
    story.announce("192.0.2.1", "198.51.100.0/24", "203.0.113.0/24")
    story.vrps()
    assert story.said() == []
    assert story.engine.sessions.counts()["not-found"] == 2


def test_an_ipv6_next_hop_of_ipv4_routes_goes_only_to_those_who_negotiated_it(story: Story) -> None:
    story.up("192.0.2.1", "192.0.2.2", "192.0.2.3")
    story.announce("192.0.2.1", "198.51.100.0/24", next_hop="2001:db8::9")
    assert story.said() == []
    story.engine.negotiated(Negotiated("192.0.2.3", extended_next_hop=True))
    assert story.said() == [("announce", ("192.0.2.3",), "198.51.100.0/24")]
    story.up("192.0.2.3")  # ExaBGP says what was negotiated before it says up
    assert story.said() == []
    story.engine.negotiated(Negotiated("192.0.2.3", extended_next_hop=False))
    assert story.said() == [("withdraw", ("192.0.2.3",), "198.51.100.0/24")]


def test_where_no_path_ids_are_taken_the_best_path_stands_without_one(story: Story) -> None:
    story.up("192.0.2.1", "192.0.2.2", "192.0.2.3")
    story.engine.path_ids("192.0.2.2", 4, taken=False)
    story.announce("192.0.2.1", "198.51.100.0/24 0.0.0.1")
    assert sorted(story.said()) == [
        ("announce", ("192.0.2.2",), "198.51.100.0/24"),
        ("announce", ("192.0.2.3",), "198.51.100.0/24"),
    ]
    story.announce("192.0.2.1", "198.51.100.0/24 0.0.0.2", origin=64501)
    assert story.said() == [("announce", ("192.0.2.3",), "198.51.100.0/24")]
    story.withdraw("192.0.2.1", "198.51.100.0/24 0.0.0.1")
    assert sorted(story.said()) == [
        ("announce", ("192.0.2.2",), "198.51.100.0/24"),  # the other path: no withdraw, no gap
        ("withdraw", ("192.0.2.3",), "198.51.100.0/24"),
    ]


def test_a_neighbor_that_stops_taking_path_ids_is_told_anew(story: Story) -> None:
    story.up("192.0.2.1", "192.0.2.2")
    story.announce("192.0.2.1", "198.51.100.0/24 0.0.0.1", "198.51.100.0/24 0.0.0.2")
    assert len(story.said()) == 2
    story.engine.path_ids("192.0.2.2", 4, taken=False)
    assert story.said() == [("withdraw", ("192.0.2.2",), "198.51.100.0/24")] * 2
    assert story.said() == [("announce", ("192.0.2.2",), "198.51.100.0/24")]
    story.engine.path_ids("192.0.2.2", 4, taken=False)
    assert story.said() == []


def test_spellings_of_one_address_are_one_neighbor(story: Story) -> None:
    story.up("2001:DB8:0::1", "2001:db8::2")
    story.announce("2001:db8::1", "198.51.100.0/24")
    assert story.said() == [("announce", ("2001:db8::2",), "198.51.100.0/24")]
    assert set(story.engine.sessions.by_name) == {"2001:db8::1", "2001:db8::2"}


def test_two_sessions_with_one_neighbor_each_have_their_routes(story: Story) -> None:
    first, second = "192.0.2.1", "192.0.2.1 192.0.2.99"
    told = State(first, up=True, reason="")
    for name, prefix in ((first, "198.51.100.0/24"), (second, "203.0.113.0/24")):
        story.engine.state(told, name)
        ((key, prefixes),) = update(first, prefix).announced
        story.engine.table.announce(
            story.engine.sessions.by_name[name].number, story.engine.table.set_of_octets(key), prefixes
        )
    story.up("192.0.2.2")
    assert story.said() == [("announce", ("192.0.2.2",), "198.51.100.0/24 203.0.113.0/24")]
    assert [neighbor for neighbor, _ in story.engine.routes()] == [first, first]
    assert story.engine.sessions.counts_by_neighbor()[first]["not-found"] == 2
    story.engine.state(told._replace(up=False), second)
    assert story.said() == [("withdraw", ("192.0.2.2",), "203.0.113.0/24")]
    story.engine.state(told, second)
    story.engine.forget([first])
    assert story.said() == [("withdraw", ("192.0.2.2",), "198.51.100.0/24")]
    assert set(story.engine.sessions.by_name) == {"192.0.2.2"}


def test_of_sessions_in_different_ases_the_neighbor_gets_what_all_may_have(story: Story) -> None:
    first, second = "192.0.2.1", "192.0.2.1 192.0.2.99"
    story.engine.sessions.spoken(first, 64501, 64501)
    assert story.engine.sessions.relation(first) == "internal"
    for name, local_as in ((second, 64500), (first, 64501), (second, 64500)):
        story.engine.sessions.spoken(name, local_as, 64501)
        assert story.engine.sessions.relation(first) == "external"
    story.engine.state(State(first, up=False, reason=""), second)
    assert story.engine.sessions.relation(first) == "internal"


def test_more_neighbors_than_can_be_told_are_left_out_loudly(story: Story, capfd: pytest.CaptureFixture[str]) -> None:
    for number in range(MOST_RECEIVERS + 2):
        story.up(f"192.0.2.{number}")
    story.announce("192.0.2.0", "198.51.100.0/24")
    ((_, receivers, _),) = story.said()
    assert len(receivers) == MOST_RECEIVERS - 1
    written = capfd.readouterr()
    assert (written.out + written.err).count("more neighbors than rtrd can announce to") == 1


@pytest.mark.parametrize("neighbor", ["", "no address", "x" * 300, "fe80::1%eth0 announce", "192.0.2.9\n"])
def test_a_neighbor_without_an_address_is_never_named_in_a_command(story: Story, neighbor: str) -> None:
    story.up("192.0.2.1", "192.0.2.2", neighbor)
    story.announce(neighbor, "203.0.113.0/24")
    story.announce("192.0.2.1", "198.51.100.0/24")
    assert story.said() == [
        ("announce", ("192.0.2.1", "192.0.2.2"), "203.0.113.0/24"),
        ("announce", ("192.0.2.2",), "198.51.100.0/24"),
    ]
