"""What ExaBGP said of its neighbors' sessions, as stories: events, whole lists, and lists that are cut short."""

import ipaddress
from collections.abc import Iterable

import pytest

from rtrd.exabgp.neighbor_text import SessionRow
from rtrd.exabgp.neighbors import Findings, Known, Neighbors, Told

A, B, C = "192.0.2.1", "192.0.2.2", "2001:db8::1"
LOCAL, OTHER = "192.0.2.254", "192.0.2.253"
NOTHING = Findings([], [], [])


class Story(Neighbors):
    """Its clock stands at 1000 and is turned by hand."""

    now = 1000.0

    def says(self, address: str, *, up: bool, local: str = LOCAL) -> None:
        self.event(address, local, up=up, time=self.now)

    def row(self, address: str, up_for: int | None = None, local: str = LOCAL) -> None:
        """A row of a list; `up_for`: of one that is up."""
        self.listed(SessionRow(address, up_for is not None, local=local), self.now)
        if up_for is not None:
            self.up_for(up_for, self.now)

    def list(
        self,
        *up: str,
        down: Iterable[str] = (),
        whole: bool = True,
        summary: Iterable[str] = (),
        known: Iterable[str] = (),
    ) -> Findings:
        """A list as it is answered: who is up for 100 s, who is down; and the summary behind it."""
        self.list_begins(self.now)
        for address in up:
            self.row(address, 100)
        for address in down:
            self.row(address)
        return self.ends(whole=whole, summary=summary, known=known)

    def sums_up(self, summary: Iterable[str]) -> None:
        self.summary_begins()
        for address in summary:
            self.in_summary(address, self.now)

    def ends(self, *, whole: bool = True, summary: Iterable[str] = (), known: Iterable[str] = ()) -> Findings:
        self.sums_up(summary)
        return self.list_over(Known(list(known), ()), self.now, whole=whole, summary=True)

    def configuration(self, *addresses: str, summary: Iterable[str] = ()) -> Findings:
        self.list_begins(self.now)
        for address in addresses:
            self.configured(address)
        self.sums_up(summary)
        return self.configuration_over(Known((), ()), self.now, whole=True, summary=True)


@pytest.fixture
def told() -> Story:
    return Story()


def test_until_something_is_said_nothing_is_known(told: Story) -> None:
    assert (told.up(A), told.since(A), told.addresses()) == (None, None, [])


def test_the_time_of_an_event_stays_and_a_list_does_not_change_it(told: Story) -> None:
    told.says(A, up=True)
    told.now += 60
    told.list_begins(told.now)
    told.row(A, 59)  # whole seconds, and read late
    assert told.ends() == NOTHING
    assert (told.up(A), told.since(A)) == (True, 1000)
    told.says(A, up=False)
    told.now += 60
    told.list(down=[A])
    told.says(A, up=False)
    assert (told.up(A), told.since(A)) == (False, 1060), "down since it was first said"
    assert told.untold == {}


def test_a_list_tells_since_when_or_that_it_is_up_at_least_since_now(told: Story) -> None:
    told.list_begins(told.now)
    told.row(A, 100)
    told.listed(SessionRow(B, established=True, local=LOCAL), told.now)
    assert [told.since(one) for one in (A, B)] == [900, 1000]


def test_a_summary_alone_says_who_is_up(told: Story) -> None:
    assert told.in_summary(A, told.now)
    assert not told.in_summary(A, told.now + 5), "no news"
    assert (told.up(A), told.since(A)) == (True, 1000)
    told.list(A)
    assert told.sessions(A) == {LOCAL: Told(up=True, since=900)}


def test_an_event_is_newer_than_the_list_that_had_begun(told: Story) -> None:
    told.says(A, up=True)
    told.says(B, up=False)
    told.list_begins(told.now)
    told.says(A, up=False)
    told.says(B, up=True)
    told.row(A, 100)
    told.row(B)
    assert told.ends() == NOTHING
    assert (told.up(A), told.up(B)) == (False, True)


def test_a_session_that_ended_without_an_event(told: Story) -> None:
    told.list(A)
    told.now += 60
    assert told.list(down=[A]).down == [A]
    assert told.untold == {A: 1060}
    told.says(A, up=True)
    assert told.untold == {}, "it has neighbor-changes after all"


def test_a_session_that_came_up_without_an_event_is_suspected_first(told: Story) -> None:
    """Its event may be on its way."""
    told.list(down=[A])
    told.list(A)
    assert told.untold == {}
    told.list(A)
    assert A in told.untold


def test_another_session_than_the_one_that_was_known(told: Story) -> None:
    told.list(A)
    told.now += 200
    told.list_begins(told.now)
    told.row(A, 200)
    assert told.ends().again == [A]
    assert (told.since(A), A in told.untold) == (1000, True)
    told.list_begins(told.now)
    told.now += 60
    told.row(A, 200)
    assert told.ends().again == [], "a list may be read late"
    told.list_begins(told.now)
    told.row(A, 257)
    assert told.ends().again == [A], "that it was read early can't be"


def test_who_is_missing_twice_is_no_neighbor_any_more(told: Story) -> None:
    told.list(A, B)
    assert told.list(A).gone == []
    assert told.missing == {B}
    assert told.list(A).gone == [B]
    assert (told.up(B), told.addresses()) == (None, [A])


def test_who_is_missing_once_stays(told: Story) -> None:
    told.list(A, B)
    told.list(A)
    told.list(A, B)
    assert told.list(A).gone == []
    told.says(B, up=True)
    assert told.list(A).gone == [], "it has been heard of since"


def test_whom_only_the_policy_names_is_none_at_once(told: Story) -> None:
    assert told.list(A, known=[A, B]).gone == [B]


def test_a_list_that_names_nobody_says_nothing(told: Story) -> None:
    told.says(A, up=True)
    assert [told.list(), told.list()] == [NOTHING] * 2
    assert not told.unclear


def test_two_sessions_with_one_address(told: Story) -> None:
    told.list_begins(told.now)
    told.row(A, local=LOCAL)
    told.row(A, 100, local=OTHER)
    assert told.ends() == NOTHING
    assert (told.up(A), told.since(A)) == (True, 900)
    told.says(A, up=False, local=OTHER)
    assert told.up(A) is False
    told.says(A, up=True, local=LOCAL)
    assert {local: one.up for local, one in told.sessions(A).items()} == {LOCAL: True, OTHER: False}
    told.list_begins(told.now)
    told.row(A, 1, local=LOCAL)
    told.ends()
    assert list(told.sessions(A)) == [LOCAL], "the other one is configured no more"


def test_the_spelling_does_not_matter(told: Story) -> None:
    told.list_begins(told.now)
    told.row("2001:DB8:0:0::1", 100)
    assert told.up(C)


# -- 4.2, whose list fails behind a passive neighbor that a reload removed


def test_a_list_that_is_cut_short_takes_nobody_away(told: Story) -> None:
    told.says(B, up=True)
    told.list(A, B, down=[C])
    assert told.list(A, whole=False, summary=[A, B]) == Findings([C], [], [])
    assert told.unclear, "what is configured is to be asked"
    assert (told.up(B), told.missing) == (True, set())


def test_the_summary_knows_who_is_up_behind_the_cut(told: Story) -> None:
    told.list(A, B)
    assert told.list(A, whole=False, summary=[A, C]).down == [B]
    assert (told.up(B), told.up(C)) == (False, True)


def test_the_configuration_says_who_is_left(told: Story) -> None:
    told.list(A, B)
    for gone in ([], [B]):
        told.list(A, whole=False, summary=[A])
        assert told.configuration(A, C, summary=[A]).gone == gone
        assert not told.unclear
    assert [told.up(one) for one in (A, B, C)] == [True, None, False]


# -- ranges of addresses that may connect


def ranged(told: Story, *up: str, down: Iterable[str] = ()) -> Findings:
    told.list_begins(told.now)
    told.listed_range(ipaddress.ip_network("192.0.2.0/24"))
    for address in up:
        told.row(address, 100)
    for address in down:
        told.row(address)
    return told.ends()


def test_a_visitor_that_left_is_no_neighbor_though_exabgp_lists_it_forever(told: Story) -> None:
    ranged(told, A, B)
    told.says(B, up=False)
    assert ranged(told, A, down=[B]).gone == []
    assert told.unclear, "B may be configured by itself"
    assert told.configuration().gone == [B]
    assert ranged(told, A, down=[B]) == NOTHING
    assert not told.unclear, "it is asked once"
    told.says(B, up=True)
    assert (told.up(B), told.visits(B)) == (True, True)
    told.says(B, up=False)
    assert ranged(told, A, down=[B]).gone == [B]


def test_a_neighbor_of_its_own_within_a_range_stays(told: Story) -> None:
    ranged(told, A, down=[B])
    assert told.configuration(B).gone == []
    assert (told.up(B), told.visits(B)) == (False, False)
    ranged(told, A, down=[B])
    assert not told.unclear


def test_who_came_by_one_range_shares_a_list_also_with_those_that_left(told: Story) -> None:
    own = "192.0.2.3"
    ranged(told, A, own)
    assert told.shares(A), "it is not known yet that one of them is configured"
    told.configuration(own)
    assert (told.shares(A), told.shares(own)) == (False, False)
    told.says(B, up=True)
    told.says(B, up=False)
    assert told.shares(A)
    ranged(told, A, own, down=[B])
    assert (told.shares(A), told.shares(own)) == (True, False)
