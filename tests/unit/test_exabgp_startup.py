"""A start of rtrd at an ExaBGP that lived before it, as stories with a clock that is turned by hand."""

import ipaddress
import math

import pytest

from rtrd.exabgp.api_sections import ApiSections
from rtrd.exabgp.bgp_sessions import BGPSessions
from rtrd.exabgp.neighbor_text import ApiSection, SessionRow
from rtrd.exabgp.neighbors import Known, Neighbors
from rtrd.exabgp.sent_before import SentBefore
from rtrd.exabgp.startup import ADVERTISED, BLIND_QUIET, BUSY, HELD, LEARNED, QUIET, STALLED, Phase, StartUp
from rtrd.rib.bgp_events import State, Update
from tests.lab.engine_story import LISTENER, PEER, TAGGED, EngineStory, key_of_json, policy_of, tell

VERSION = "5.0.15"
KEY = key_of_json(b'{ "origin": "igp", "as-path": {"0": {"element": "as-sequence", "value": [64496, 64500]}} }')
REST = "local-ip 127.0.0.1 local-as 65000 peer-as 64496 router-id 127.0.0.1 family-allowed in-open ipv4 unicast"
PATH = "as-path ( 64496 64500 )"
TAG = "extended-community 0x4300000000000001"


def out(prefix: str, words: str = f"attribute [ 0x01 0x40 0x00 ] {PATH} {TAG}") -> str:
    return f"neighbor {LISTENER} {REST} {prefix} next-hop 192.0.2.1 {words}"


def learned(prefix: str, words: str = f"origin igp {PATH}") -> str:
    return f"neighbor {PEER} {REST} {prefix} next-hop 192.0.2.1 {words}"


class Story(EngineStory):
    """rtrd, started at an ExaBGP where these routes stand."""

    def __init__(self, *stands: str) -> None:
        super().__init__(policy_of(TAGGED))
        self.now = 100.0
        self.api = ApiSections()
        self.neighbors, self.bgp_sessions = Neighbors(), BGPSessions()
        self.api.configured((one, (ApiSection("rtrd", updates=True, changes=True),)) for one in (PEER, LISTENER))
        self.sent_before = SentBefore(self.api, self.neighbors)
        self.startup = self.begin()
        self.neighbors.event(PEER, "127.0.0.1", up=True, time=1000.0)
        self.startup.established(PEER)
        assert self.asks() == ADVERTISED
        for line in stands:
            assert self.startup.line(line, VERSION)
        self.startup.ended(ADVERTISED, self.now)

    def begin(self) -> StartUp:
        return StartUp(self.engine, self.api, self.neighbors, self.bgp_sessions, self.sent_before)

    def asks(self) -> str | None:
        return self.startup.asks(self.now)

    def says(self, *announced: str, withdrawn: tuple[str, ...] = ()) -> None:
        """The peer sends an UPDATE."""
        tell(self.engine, Update(PEER, list(withdrawn), [(KEY, list(announced))], 0))
        self.startup.heard(PEER, self.now)

    def lists(self, *lines: str) -> None:
        """ExaBGP is asked what the peer has sent, and answers."""
        self.now += QUIET
        assert self.asks() == LEARNED.format(PEER)
        for line in lines:
            assert self.startup.line(line, VERSION)
        self.startup.ended(LEARNED.format(PEER), self.now)

    def written(self) -> list[tuple[bool, str]]:
        commands = self.commands()
        return sorted((command.announce, prefix) for command in commands for prefix in command.prefixes.split())


def test_nothing_is_written_while_it_is_not_known_what_stands() -> None:
    story = Story()
    assert story.startup.held_until <= story.now
    fresh = story.begin()
    assert fresh.held_until == math.inf, "until ExaBGP has greeted, however long that is"
    assert fresh.asks(story.now) == ADVERTISED
    assert fresh.held_until == story.now + HELD


def test_what_is_sent_again_in_the_same_words_is_not_written() -> None:
    story = Story(out("10.0.0.0/8"), out("10.1.0.0/16", f"attribute [ 0x01 0x40 0x00 ] {PATH}"))
    story.says("10.0.0.0/8", "10.1.0.0/16")
    assert story.written() == [(True, "10.1.0.0/16")], "of this one the tag was missing"
    story.now += QUIET
    assert story.asks() is None
    assert story.startup.over, "nothing is left, and the peer has sent something"


def test_what_is_not_sent_again_and_not_listed_is_withdrawn() -> None:
    story = Story(out("10.0.0.0/8"), out("10.1.0.0/16"))
    story.says("10.0.0.0/8")
    assert story.written() == []
    story.lists(learned("10.0.0.0/8"))
    assert story.startup.over
    assert story.written() == [(False, "10.1.0.0/16")]


def test_what_is_listed_is_learned_and_stays() -> None:
    story = Story(out("10.0.0.0/8"))
    story.lists(learned("10.0.0.0/8"))
    assert story.startup.learned == 1
    assert story.written() == []
    assert story.engine.sessions.counts()["not-found"] == 1


def test_of_a_neighbor_whose_updates_cannot_be_read_no_list_is_believed() -> None:
    story = Story(out("10.0.0.0/8"))
    story.bgp_sessions.unreadable(PEER, 1000.0)
    story.lists(learned("10.0.0.0/8"))
    assert story.startup.learned == 0


def test_of_neighbors_of_one_range_the_list_that_they_share_is_not_believed() -> None:
    """What ExaBGP lists of one of them another one may have sent, or one that left and withdraws nothing any more."""
    story = Story(out("10.0.0.0/8"))
    story.neighbors.list_begins(1000.0)
    story.neighbors.listed_range(ipaddress.ip_network("127.0.0.0/30"))
    for address, up in ((PEER, True), ("127.0.0.1", False)):
        story.neighbors.listed(SessionRow(address, up, local="127.0.0.9"), 1000.0)
    story.neighbors.list_over(Known((), ()), 1000.0, whole=True, summary=True)
    story.says("10.1.0.0/16")
    story.lists(learned("10.0.0.0/8"))
    assert (story.startup.learned, story.startup.over) == (0, True)
    assert story.written() == [(False, "10.0.0.0/8"), (True, "10.1.0.0/16")]


def test_what_ends_before_it_is_listed_is_not_learned() -> None:
    """ExaBGP keeps what a session brought after its end, and lists everybody whose address begins as that asked for."""
    story = Story(out("10.0.0.0/8"))
    begins_so, ended = f"{PEER}0", "127.0.0.9"
    story.neighbors.event(PEER, "127.0.0.1", up=True, time=1000.0)
    story.neighbors.event(PEER, ended, up=False, time=1000.0)
    story.lists(
        learned("10.0.0.0/8").replace(PEER, begins_so, 1), learned("10.1.0.0/16").replace("127.0.0.1", ended, 1),
        learned("10.2.0.0/16"),
    )  # fmt: skip
    assert story.startup.learned == 1
    assert story.written() == [(False, "10.0.0.0/8"), (True, "10.2.0.0/16")]


def test_what_is_listed_counts_for_the_session_that_brought_it() -> None:
    story = Story()
    for local in ("127.0.0.1", "127.0.0.9"):
        story.neighbors.event(PEER, local, up=True, time=1000.0)
        story.neighbors.name(PEER, local)
    second = f"{PEER} 127.0.0.9"
    story.startup.cannot_refresh(PEER, story.now)
    story.lists(learned("10.0.0.0/8"), learned("10.1.0.0/16").replace("127.0.0.1", "127.0.0.9", 1))
    assert story.engine.sessions.counts_by_neighbor()[PEER]["not-found"] == 2
    story.engine.state(State(PEER, up=False, reason=""), second)
    story.engine.work(100)
    assert story.engine.sessions.counts_by_neighbor()[PEER]["not-found"] == 1, "the other one's is left"


def test_what_is_withdrawn_while_the_list_is_written_is_not_learned_from_it() -> None:
    story = Story(out("10.0.0.0/8"))
    story.now += QUIET
    assert story.asks() == LEARNED.format(PEER)
    story.says(withdrawn=("10.0.0.0/8",))
    story.startup.line(learned("10.0.0.0/8"), VERSION)
    story.startup.ended(LEARNED.format(PEER), story.now)
    assert story.written() == [(False, "10.0.0.0/8")]


def test_a_peer_that_is_never_quiet_is_listed_after_a_minute() -> None:
    story = Story(*(out(f"10.{number}.0.0/16") for number in range(int(BUSY) + 9)))
    for number in range(int(BUSY)):
        assert story.asks() is None
        story.now += 1
        story.says(f"10.{number}.0.0/16")
        assert story.written() == []
    assert story.startup.phase is Phase.LEARNING
    assert story.asks() == LEARNED.format(PEER)


def test_who_sends_all_the_time_and_nothing_of_what_stands_is_not_waited_for() -> None:
    story = Story(out("10.0.0.0/16"), out("10.1.0.0/16"))
    began = story.now
    while story.asks() is None:
        story.now += 1
        story.says("10.0.0.0/16" if story.now == began + 2 else "10.9.0.0/16")
        story.written()
    assert story.now == began + 3 + STALLED, "progress is seen with what comes next"


def test_without_a_list_it_takes_longer() -> None:
    """`adj-rib-in false`: the peer has sent routes, and none is listed."""
    story = Story(out("10.0.0.0/8"), out("10.1.0.0/16"))
    story.says("10.0.0.0/8")
    story.lists()
    assert story.startup.phase is Phase.BLIND
    story.now += BLIND_QUIET - 1
    assert story.asks() is None
    assert story.written() == []
    story.now += 1
    assert story.asks() is None
    assert story.startup.over
    assert story.written() == [(False, "10.1.0.0/16")]


def blind() -> Story:
    """ExaBGP keeps no list of what the peer sends, and the peer has sent a part of its routes again."""
    story = Story(out("10.0.0.0/8"), out("10.1.0.0/16"))
    story.sent_before.configured([PEER])
    story.lists()
    assert story.startup.phase is Phase.BLIND
    assert story.startup.awaited == [PEER]
    return story


def test_where_no_list_is_kept_the_neighbor_itself_is_waited_for_though_it_has_sent_nothing_yet() -> None:
    story = blind()
    story.now += BLIND_QUIET - 1
    story.says("10.0.0.0/8")
    assert story.written() == []
    story.says("10.0.0.0/8")
    story.now += BLIND_QUIET - 1
    assert (story.asks(), story.startup.over) == (None, False)
    story.now += 1
    assert (story.asks(), story.startup.over) == (None, True)
    assert story.written() == [(False, "10.1.0.0/16")]


def test_nobody_is_waited_for_of_whom_an_empty_list_is_all_there_is() -> None:
    """Its last session is over, or the next one brought nothing: what stands nobody announces."""
    story = Story(out("10.0.0.0/8"))
    story.lists()
    assert (story.startup.over, story.startup.awaited) == (True, [])
    assert story.written() == [(False, "10.0.0.0/8")]


def test_who_has_sent_no_update_in_its_session_has_nothing_to_send_again() -> None:
    story = Story(out("10.0.0.0/8"))
    story.sent_before.configured([PEER])
    story.api.counted(PEER, 0, 2)
    story.api.list_over()
    story.lists()
    assert story.startup.over
    assert story.written() == [(False, "10.0.0.0/8")]


@pytest.mark.parametrize("up", [False, True])
def test_who_is_waited_for_is_so_no_longer_than_its_session(up: bool) -> None:
    """A session that begins brings all there is, and what the one before had brought went with it."""
    story = blind()
    story.neighbors.event(PEER, "127.0.0.1", up=up, time=1000.0)
    if up:
        story.startup.session(PEER, story.now)
    assert story.startup.deadline() is not None
    assert (story.asks(), story.startup.over) == (None, True)


def test_others_that_are_never_quiet_make_nobody_wait_longer_for_one_without_a_list() -> None:
    story = blind()
    for _ in range(int(BLIND_QUIET)):
        assert story.asks() is None
        assert not story.startup.over
        story.now += 1
        story.startup.heard("127.0.0.7", story.now)
    assert (story.asks(), story.startup.over) == (None, True)


def test_one_without_a_list_that_sends_all_the_time_has_30_seconds_to_send_what_stands() -> None:
    story = blind()
    for _ in range(int(BLIND_QUIET)):
        assert (story.asks(), story.startup.over) == (None, False)
        story.now += 1
        story.says("10.9.0.0/16")
    assert (story.asks(), story.startup.over) == (None, True)


def test_one_that_cannot_send_again_and_is_not_listed_is_not_waited_for() -> None:
    story = Story(out("10.0.0.0/8"))
    story.sent_before.configured([PEER])
    story.sent_before.can_refresh(PEER, able=False)
    story.lists()
    assert story.startup.over
    assert story.sent_before.unlearnable([PEER]) == {PEER}


def test_who_came_by_a_range_is_asked_of_exabgp_whatever_it_has_said_and_nobody_waits_for_it() -> None:
    """ExaBGP hands no route refresh on to it."""
    story = Story()
    story.neighbors.list_begins(1000.0)
    story.neighbors.listed_range(network := ipaddress.ip_network("127.0.0.0/30"))
    story.neighbors.listed(SessionRow(PEER, established=True, local="127.0.0.9"), 1000.0)
    story.neighbors.list_over(Known((), ()), 1000.0, whole=True, summary=True)
    story.says("10.1.0.0/16")
    story.lists(learned("10.0.0.0/8"))
    assert (story.startup.learned, story.startup.over) == (1, True)
    assert story.sent_before.unlearnable([PEER]) == set()
    story.sent_before.configured([network])
    assert story.sent_before.unlearnable([PEER]) == {PEER}


def test_what_others_announced_is_not_looked_at() -> None:
    story = Story(out("203.0.113.0/24", f"origin igp {PATH} {TAG}"))
    story.lists()
    assert story.startup.over
    assert story.written() == []


def test_a_session_that_comes_up_is_not_older() -> None:
    story = Story(out("10.0.0.0/8"))
    story.startup.session(PEER, story.now)
    assert not story.startup.established(PEER)
    story.says("10.0.0.0/8")
    story.now += QUIET
    assert story.asks() is None
    assert story.startup.over


def test_another_session_that_comes_and_goes_makes_nobody_wait_longer() -> None:
    story = Story()
    for _ in range(int(BUSY)):
        assert story.asks() is None
        story.now += 1
        story.startup.session("127.0.0.7", story.now)
    assert story.asks() == LEARNED.format(PEER)


def test_a_neighbor_that_was_quiet_is_not_waited_for_again() -> None:
    story = Story(out("10.1.0.0/16"))
    story.startup.heard("127.0.0.7", story.now + QUIET / 2)
    story.now += QUIET
    story.says("10.0.0.0/8")
    assert story.startup.deadline() == story.now + QUIET / 2


def test_one_that_cannot_send_again_is_listed_whatever_it_has_said() -> None:
    story = Story()
    story.startup.cannot_refresh(PEER, story.now)
    story.says("10.0.0.0/8")
    story.lists(learned("10.0.0.0/8"), learned("10.1.0.0/16"))
    assert (story.startup.over, story.startup.learned) == (True, 1)
    story.startup.cannot_refresh(PEER, story.now)
    assert not story.startup.over, "at any time: its session is another one, and nobody said so"
    assert story.asks() == LEARNED.format(PEER)


def test_of_one_that_is_not_told_nothing_is_learned_from_a_list() -> None:
    story = Story(out("10.0.0.0/8"))
    story.api.configured([(PEER, ()), (LISTENER, (ApiSection("rtrd", updates=True, changes=True),))])
    story.now += QUIET
    assert story.asks() is None
    assert story.startup.over
    assert story.written() == [(False, "10.0.0.0/8")], "what nobody would ever withdraw is not left announced"


def test_what_is_ours_is_taken_back_though_its_communities_are_printed_by_name() -> None:
    story = Story(out("10.0.0.0/8", f"attribute [ 0x01 0x40 0x00 ] {PATH} extended-community [ target:65000:1 {TAG} ]"))
    assert story.startup.unreadable == 0
    story.lists()
    story.now += BLIND_QUIET
    assert story.asks() is None
    assert story.written() == [(False, "10.0.0.0/8")]


def test_it_is_announced_anew_when_it_is_learned() -> None:
    story = Story(out("10.0.0.0/8", f"attribute [ 0x01 0x40 0x00 ] {PATH} extended-community target:65000:1"))
    story.says("10.0.0.0/8")
    assert story.written() == [(True, "10.0.0.0/8")], "what it had is not known for certain"


def test_the_rules_of_bgp_act_on_listed_routes() -> None:
    """A loop, and a local preference from outside; what nobody should announce is counted."""
    story = Story(out("10.0.0.0/8"))
    story.lists(
        learned("10.1.0.0/16", "origin igp as-path ( 64496 65000 )"),
        learned("10.3.0.0/16", f"origin igp {PATH} local-preference 900"),
        learned("127.0.0.0/8"),
    )
    assert story.written() == [(False, "10.0.0.0/8"), (True, "10.3.0.0/16")]
    decisions = {route.prefix: route.decision for _, route in story.engine.routes()}
    assert decisions == {"10.1.0.0/16": "observe", "10.3.0.0/16": "announce"}
    (attributes,) = {route.attributes for _, route in story.engine.routes() if route.prefix == "10.3.0.0/16"}
    assert story.engine.attributes(story.engine.table.attributes_key(attributes)).local_preference is None
    assert story.engine.left_out == {PEER: {"loopback-prefix": 1}}


def test_what_we_reflected_is_known_in_the_list_too() -> None:
    story = Story()
    internal = REST.replace("64496", "65000")
    story.lists(*(
        f"neighbor {PEER} {internal} 10.{number}.0.0/16 next-hop 192.0.2.1 origin igp {PATH} {more}"
        for number, more in enumerate(("", "originator-id 127.0.0.1", "cluster-list [ 10.0.0.1 127.0.0.1 ]"))
    ))  # fmt: skip
    assert story.written() == [(True, "10.0.0.0/16")]


def test_listed_routes_wait_until_it_is_known_of_which_as_they_are() -> None:
    story = Story()
    line = learned("10.1.0.0/16").replace("peer-as 64496", "peer-as None")
    story.lists(line)
    assert (story.written(), story.startup.without_as) == ([], {PEER})
    story.engine.sessions.spoken(PEER, 65000, 64496)
    story.startup.as_known(PEER, story.now)
    assert story.startup.without_as == set()
    story.lists(line)
    assert story.written() == [(True, "10.1.0.0/16")]
