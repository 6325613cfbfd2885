"""Connections to the API without sockets: who gets one, who gives way, and to whom."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

import pytest

from rtrd.api import connections
from rtrd.api.connections import Connections, Requests
from rtrd.api.no_http import Complaints


class Handler(asyncio.Protocol):
    """One connection of aiohttp's."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.unread: float | None = None

    def force_close(self) -> None:
        self.server.connections.remove(self)


class Server:
    """aiohttp's server: a factory of connections, which knows those that are open."""

    def __init__(self) -> None:
        self.connections: list[Handler] = []

    def __call__(self) -> Handler:
        self.connections.append(Handler(self))
        return self.connections[-1]


class Story:
    """A listener with room for three, and a clock that is turned."""

    def __init__(self) -> None:
        self.now = 0.0
        self.server = Server()
        self.requests: Any = Requests(lambda: self.now)
        self.coming: list[Any] = []
        self.connections = Connections(self.server, self.requests, self.coming.append)  # type: ignore[arg-type]

    def connect(self, source: str = "") -> Handler | None:
        """A new connection; None: it is told that there is no room."""
        protocol = self.connections(source)
        return protocol if isinstance(protocol, Handler) else None

    def turn(self) -> None:
        """The loop turns: the server knows of the connections by now."""
        while self.coming:
            self.coming.pop()()

    def wait(self, seconds: float) -> None:
        self.turn()
        self.now += seconds
        self.connections.look()

    def open(self, handler: Handler | None) -> bool:
        return handler in self.server.connections


@pytest.fixture
def story(monkeypatch: pytest.MonkeyPatch) -> Story:
    monkeypatch.setattr(connections, "MOST", 3)
    return Story()


def test_a_connection_that_asks_for_nothing_is_ended(story: Story) -> None:
    silent = story.connect()
    story.wait(connections.PATIENCE)
    assert story.open(silent)
    story.wait(0.1)
    assert not story.open(silent)


def test_no_address_has_all(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_OF_SOURCE", 2)
    many = [story.connect("192.0.2.1") for _ in range(3)]
    assert many[2] is None
    other = story.connect("192.0.2.2")
    assert story.open(other)
    story.wait(connections.SOON + 0.1)
    assert story.open(story.connect("192.0.2.1"))
    assert [story.open(one) for one in many].count(True) == 1, "one of its own gave way"
    assert story.open(other)


def test_one_in_the_middle_of_a_request_is_not_however_long_it_takes(story: Story) -> None:
    asking = story.connect()
    story.requests.busy[asking] = story.now
    story.wait(1000)
    assert story.open(asking)


def test_one_that_hangs_up_in_the_middle_of_a_request_is_forgotten(story: Story) -> None:
    """As each does that follows events: its end is the client's, and is seen some time before its handler ends."""
    following = story.connect()
    assert following is not None

    async def follow() -> None:
        class Request:
            protocol = following

        async def handler(_: object) -> None:
            story.wait(1)
            story.server.connections.remove(following)  # the client hung up
            story.wait(1)

        await story.requests(Request(), handler)

    asyncio.run(follow())
    assert not story.requests.busy
    assert not story.requests.quiet


def test_between_two_requests_its_patience_begins_anew(story: Story) -> None:
    kept = story.connect()

    async def ask() -> None:
        class Request:
            protocol = kept

        async def answer(_: object) -> str:
            assert kept in story.requests.busy
            return "answer"

        assert await story.requests(Request(), answer) == "answer"

    story.wait(connections.PATIENCE - 1)
    asyncio.run(ask())
    story.wait(connections.PATIENCE - 1)
    assert story.open(kept)
    story.wait(2)
    assert not story.open(kept)


def test_one_that_does_not_read_gives_way_and_ends_in_a_minute(story: Story) -> None:
    slow, *others = (story.connect() for _ in range(3))
    assert slow is not None
    for each in (slow, *others):
        story.requests.busy[each] = story.now
    slow.unread = story.now
    story.wait(connections.SOON)
    assert story.connect() is None, "a moment is no sign of anything"
    story.wait(0.1)
    assert story.connect() is not None
    assert not story.open(slow)
    other = others[0]
    assert other is not None
    other.unread = story.now
    story.wait(connections.READ_TIME)
    assert story.open(other)
    story.wait(0.1)
    assert not story.open(other)


def test_among_those_that_are_all_answered_the_longest_answer_gives_way(story: Story) -> None:
    following = [story.connect() for _ in range(3)]
    for each in following:
        story.requests.busy[each] = story.now
        story.wait(1)
    story.wait(connections.PATIENCE - 3)
    assert story.connect() is None
    story.wait(0.1)
    assert story.connect() is not None
    assert list(map(story.open, following)) == [False, True, True]


def test_when_there_are_too_many_the_one_that_is_silent_longest_gives_way(story: Story) -> None:
    first = story.connect()
    story.wait(0.5)
    others = [story.connect(), story.connect()]
    assert story.connect() is None, "all of them may still be about to ask"
    story.wait(connections.SOON)
    assert story.connect() is not None
    assert not story.open(first)
    assert all(map(story.open, others))


def test_when_all_are_answered_a_further_one_is_refused(story: Story) -> None:
    answered = [story.connect() for _ in range(3)]
    for each in answered:
        story.requests.busy[each] = story.now
    story.wait(connections.PATIENCE)
    assert story.connect() is None
    del story.requests.busy[answered[0]]
    assert story.connect() is not None


def test_who_hangs_up_makes_room(story: Story) -> None:
    gone = [story.connect() for _ in range(3)]
    assert gone[0] is not None
    gone[0].force_close()
    story.wait(connections.SOON + 0.1)
    assert story.connect() is not None
    assert all(map(story.open, gone[1:]))


def test_of_clients_that_send_rubbish_one_line_is_logged_with_no_traceback() -> None:
    complaints = Complaints()
    try:
        raise ValueError("400, message:\n  Bad request")  # noqa: TRY301
    except ValueError as error:
        records = [
            logging.LogRecord("aiohttp.server", logging.ERROR, "x.py", 1, "from %s", ("1",), (ValueError, error, None))
            for _ in range(2)
        ]
    assert complaints.filter(records[0])
    assert records[0].getMessage() == "a client sent something other than HTTP: ValueError"
    assert records[0].exc_info is None
    assert not complaints.filter(records[1])


def test_whoever_is_gone_makes_room_at_once(story: Story) -> None:
    for _ in range(100):
        handler = story.connect()
        assert handler is not None
        story.turn()
        story.server.connections.remove(handler)


def test_one_that_the_server_does_not_know_yet_is_not_gone(story: Story) -> None:
    for _ in range(3):
        assert story.connect()
    coming = list(story.server.connections)
    story.server.connections.clear()
    assert story.connect() is None
    story.server.connections.extend(coming)
    assert story.connect() is None


async def test_where_no_descriptor_is_left_the_one_that_is_silent_longest_gives_way(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else some that say nothing would keep an operator waiting, for each has ten seconds."""
    rooms: list[Callable[[], object]] = []

    class FullAcceptor:
        def __init__(self, _listener: object, _take: object, _refused: object, make_room: Callable[[], object]) -> None:
            rooms.append(make_room)

        def start(self, _backlog: int) -> None:
            pass

        def close(self) -> None:
            pass

    monkeypatch.setattr(connections, "Acceptor", FullAcceptor)
    with socket.socket(socket.AF_UNIX) as listener:
        story.connections.listen(listener)
    first = story.connect()
    story.wait(2)
    second = story.connect()
    story.turn()
    rooms[0]()
    rooms[0]()
    assert (story.open(first), story.open(second)) == (False, True)
    story.connections.close()
