"""What a session has agreed on is known by its OPENs, also by kept ones of the same session; else never guessed."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from rtrd.exabgp.bgp_sessions import BGPSessions, Kept
from rtrd.exabgp.neighbor_text import Agreement
from rtrd.kept_sessions import NAME, KeptSessions
from tests.lab.packets import bodies, session

PEER, LOCAL, OTHER = "192.0.2.1", "192.0.2.254", "192.0.2.253"
OURS, THEIRS = bodies("4.2.21", "session-up-addpath-both", "open")
AGREED = session("4.2.21", "addpath-both")._replace(addresses=(PEER, LOCAL))
UP = 1000.0
UNCLEAR = Agreement(PEER, 65001, 65002, four_octet_as=True, path_ids=None, local=LOCAL, up_for=10)
"""4.2 where both sides know ADD-PATH."""


def up(sessions: BGPSessions, local: str = LOCAL) -> None:
    assert sessions.opened(PEER, local, "send", OURS, UP) is None
    assert sessions.opened(PEER, local, "receive", THEIRS, UP) == AGREED._replace(addresses=(PEER, local))
    sessions.came_up(PEER, local, UP)


def after_a_restart(before: BGPSessions) -> BGPSessions:
    now = BGPSessions()
    now.restore(msgspec.json.decode(msgspec.json.encode(before.kept()), type=list[Kept]))
    return now


@pytest.fixture
def sessions() -> BGPSessions:
    made = BGPSessions()
    up(made)
    return made


def test_two_sessions_of_a_neighbor_are_two(sessions: BGPSessions) -> None:
    assert sessions.agreed == {(PEER, LOCAL): AGREED}
    up(sessions, OTHER)
    sessions.ended(PEER, OTHER)
    assert sessions.agreed == {(PEER, LOCAL): AGREED}
    assert [kept.local for kept in sessions.kept()] == [LOCAL]


def test_of_a_session_whose_first_open_was_missed_nothing_is_known() -> None:
    sessions = BGPSessions()
    assert sessions.opened(PEER, OTHER, "receive", THEIRS, UP) is None
    assert sessions.came_up(PEER, OTHER, UP) is None
    assert (sessions.kept(), sessions.agreed) == ([], {})


def test_with_local_as_auto_the_neighbors_open_is_told_first() -> None:
    """5.0 takes its AS from it."""
    sessions = BGPSessions()
    assert sessions.opened(PEER, LOCAL, "receive", THEIRS, UP) is None
    assert sessions.opened(PEER, LOCAL, "send", OURS, UP) == AGREED
    sessions.came_up(PEER, LOCAL, UP)
    assert sessions.agreed == {(PEER, LOCAL): AGREED}
    for over in sessions.came_up, lambda *_: sessions.ended(PEER, LOCAL):
        sessions.ended(PEER, LOCAL)
        sessions.opened(PEER, LOCAL, "receive", THEIRS, UP)
        over(PEER, LOCAL, UP)
        assert sessions.opened(PEER, LOCAL, "send", OURS, UP) is None, "of the session before"


def test_a_list_that_is_older_than_the_opens_ends_nothing(sessions: BGPSessions) -> None:
    """ExaBGP lists a session as down that is about to come up: it was asked before, or answers in between."""
    sessions.opened(PEER, LOCAL, "send", OURS, UP + 20)
    sessions.listed_down(PEER, LOCAL)
    sessions.opened(PEER, LOCAL, "receive", THEIRS, UP + 20)
    sessions.listed_down(PEER, LOCAL)
    sessions.came_up(PEER, LOCAL, UP + 20.1)
    assert sessions.agreed == {(PEER, LOCAL): AGREED}
    assert [kept.since for kept in sessions.kept()] == [UP + 20.1]
    sessions.listed_down(PEER, LOCAL)
    assert (sessions.kept(), sessions.agreed) == ([], {}), "of one that was up it says what no event said"


def test_a_run_that_is_killed_between_two_lines_hands_on_what_it_has_heard() -> None:
    """The next run reads on where the last one ended: the second OPEN, or only that the session is up."""
    first = BGPSessions()
    first.opened(PEER, LOCAL, "send", OURS, UP)
    second = after_a_restart(first)
    second.listed_down(PEER, LOCAL)
    assert second.opened(PEER, LOCAL, "receive", THEIRS, UP + 0.5) == AGREED
    third = after_a_restart(second)
    third.listed_down(PEER, LOCAL)
    assert third.agreed == {}, "before something says that it is up"
    assert third.came_up(PEER, LOCAL, UP + 1) == AGREED
    fourth = after_a_restart(third)
    assert fourth.came_up(PEER, LOCAL, UP + 1.5) is None, "once more: that is another session"
    assert fourth.agreed == {}


def test_what_was_heard_long_before_is_of_another_session() -> None:
    first = BGPSessions()
    first.opened(PEER, LOCAL, "send", OURS, UP)
    assert after_a_restart(first).opened(PEER, LOCAL, "receive", THEIRS, UP + 5) is None
    assert not after_a_restart(first).listed(PEER, UNCLEAR, UP + 10), "its second OPEN is not known"
    first.opened(PEER, LOCAL, "receive", THEIRS, UP)
    assert after_a_restart(first).came_up(PEER, LOCAL, UP + 5) is None


def test_what_exabgp_sends_is_read_as_the_neighbor_reads_it(sessions: BGPSessions) -> None:
    sent = sessions.sent(PEER, LOCAL)
    assert sent is not None
    assert (sent.local_as, sent.peer_as) == (AGREED.peer_as, AGREED.local_as)
    assert sessions.sent(PEER, OTHER) is None


@pytest.mark.parametrize("off", [-0.9, 0.0, 2.9])
def test_a_session_that_is_as_old_is_the_same(sessions: BGPSessions, off: float) -> None:
    now = after_a_restart(sessions)
    assert now.agreed == {}, "until it is listed"
    now.unreadable(PEER, UP + 5)
    assert set(now.waiting) == {PEER}
    assert now.listed(PEER, UNCLEAR, UP + 10 + off), "what came before could not be read"
    assert now.agreed[PEER, LOCAL] == AGREED
    assert now.waiting == {}
    assert now.kept() == sessions.kept()


@pytest.mark.parametrize(
    "told", [UNCLEAR._replace(up_for=4), UNCLEAR._replace(up_for=None), UNCLEAR._replace(local=OTHER)]
)
def test_another_session_is_not_and_its_routes_wait(sessions: BGPSessions, told: Agreement) -> None:
    now = after_a_restart(sessions)
    assert not now.listed(PEER, told, UP + 10)
    assert now.agreed == {}
    now.unreadable(PEER, UP + 10)
    assert set(now.waiting) == {PEER}
    up(now, told.local)
    assert now.waiting == {}


@pytest.mark.parametrize(
    ("kept", "told", "known"),
    [
        ("session-up-addpath-both", UNCLEAR._replace(path_ids=frozenset()), True),
        ("session-up-addpath-both", UNCLEAR._replace(path_ids=frozenset({4})), True),
        ("session-up-addpath-both", UNCLEAR._replace(path_ids=frozenset({4, 6}), four_octet_as=False), True),
        ("session-up-addpath-both", UNCLEAR._replace(four_octet_as=False), False),
        ("session-up-main", UNCLEAR, False),
    ],
)
def test_one_that_agreed_on_something_else_is_not_the_same(kept: str, told: Agreement, known: bool) -> None:
    """It ended and came again within the seconds by which an age may be off, and no event of that was read."""
    sent, received = bodies("4.2.21", kept, "open")
    before = BGPSessions()
    before.opened(PEER, LOCAL, "send", sent, UP)
    before.opened(PEER, LOCAL, "receive", received, UP)
    before.came_up(PEER, LOCAL, UP)
    now = after_a_restart(before)
    now.listed(PEER, told, UP + 11)
    assert ((PEER, LOCAL) in now.agreed) == known
    if known:
        assert now.agreed[PEER, LOCAL].path_ids == told.path_ids
        assert now.agreed[PEER, LOCAL].four_octet_as == told.four_octet_as


def test_a_list_that_is_read_late_is_not_the_last_word(sessions: BGPSessions) -> None:
    """rtrd or ExaBGP was stopped between the question and the answer."""
    now = after_a_restart(sessions)
    now.unreadable(PEER, UP + 5)
    assert not now.listed(PEER, UNCLEAR, UP + 19), "it looks nine seconds younger than it is"
    assert now.doubtful(PEER, LOCAL), "so that another list is asked for"
    assert now.kept() == sessions.kept(), "also over another restart"
    assert now.listed(PEER, UNCLEAR._replace(up_for=20), UP + 20)
    assert now.agreed[PEER, LOCAL] == AGREED
    assert now.kept() == sessions.kept()
    assert not now.doubtful(PEER, LOCAL)


def test_what_a_list_says_for_certain_counts_if_no_open_was_heard(sessions: BGPSessions) -> None:
    certain = UNCLEAR._replace(path_ids=frozenset({4}))
    now = BGPSessions()
    assert not now.listed(PEER, certain, UP), "nobody waited for it"
    assert now.agreed[PEER, LOCAL].path_ids == {4}
    assert not sessions.listed(PEER, certain, UP)
    assert sessions.agreed[PEER, LOCAL] == AGREED


def test_a_new_open_ends_what_was_kept(sessions: BGPSessions) -> None:
    now = after_a_restart(sessions)
    now.opened(PEER, LOCAL, "send", OURS, UP + 5)
    assert [(kept.up, kept.received) for kept in now.kept()] == [(False, b"")]
    assert not now.listed(PEER, UNCLEAR, UP + 10)


def test_they_are_kept_over_an_attach_and_over_a_restart(tmp_path: Path) -> None:
    async def lives() -> None:
        daemon = KeptSessions(tmp_path)
        await daemon.load()
        first = BGPSessions()
        daemon.arrived("edge", first)
        up(first)
        daemon.left("edge")
        again = BGPSessions()
        daemon.arrived("edge", again)
        assert again.kept() == first.kept()
        other = BGPSessions()
        daemon.arrived("core", other)
        assert other.kept() == [], "of another ExaBGP"
        await daemon.close()
        daemon = KeptSessions(tmp_path)
        await daemon.load()
        later = BGPSessions()
        daemon.arrived("edge", later)
        assert later.kept() == first.kept()
        await daemon.close()

    asyncio.run(lives())


@pytest.mark.parametrize("text", ["", "{", '{"edge": [{}]}', '{"edge": [{"neighbor": "x"}]}', "[" * 100_000, "\0"])
def test_a_file_that_is_none_of_ours_is_left_out(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)

    async def lives() -> None:
        daemon = KeptSessions(tmp_path)
        await daemon.load()
        daemon.arrived("edge", BGPSessions())
        await daemon.close()

    asyncio.run(lives())
