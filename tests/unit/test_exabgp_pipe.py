"""ExaBGP's pipe without an ExaBGP: the test writes its lines and reads our commands, over real pipes."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from bench import lines
from rtrd.exabgp import session
from rtrd.exabgp.gate import CONFIGURATION, NEIGHBORS
from rtrd.exabgp.pipe import MOST_LINE, Lines
from rtrd.exabgp.problems import LONG, problems
from rtrd.exabgp.session import ExaBGP
from rtrd.exabgp.startup import ADVERTISED, LEARNED
from rtrd.exabgp.window import FENCE, HELLO, Window
from rtrd.policy import Policy
from rtrd.rib.engine import Engine
from tests.lab.engine_story import LISTENER, PEER, TAGGED, policy_of
from tests.lab.greeting import SUMMARY_HEADER, greeting
from tests.lab.samples import sample, sample_lines
from tests.lab.vrp_sets import set_of
from tests.lab.wait import until

UPDATE = sample("update-v4-1") + b"\n"
BAD = sample("route-refresh-v4", "exabgp-4.2.21") + b"\n"
SUMMARY = SUMMARY_HEADER + b"127.0.0.3       65000     0:00:02 established %10d          1\n"
FLAPPING = float(os.environ.get("RTRD_FLAPPING", "1"))
"""Seconds; `make flow`: 60."""


def line(number: int, count: int = 20) -> bytes:
    """An UPDATE of 20 prefixes that no other has, with a path of its own."""
    entries = ", ".join(f'{{ "nlri": "10.{number >> 3 & 255}.{(number & 7) << 5 | i}.0/24" }}' for i in range(count))
    return UPDATE.replace(b'{ "nlri": "20.0.0.0/24" }', entries.encode()).replace(
        b"65100", str(65100 + number).encode()
    )


class Pipe:
    """The two ends that ExaBGP would hold."""

    def __init__(self, policy: Policy) -> None:
        stdin, self.to = os.pipe()
        self.of, stdout = os.pipe()
        os.set_blocking(self.of, False)
        self.closed = False
        self.router = ExaBGP(Engine("exabgp", set_of(), policy), stdin, stdout, self._close)
        self._fds = [stdin, stdout, self.of]

    def _close(self) -> None:
        self.closed = True

    def commands(self) -> list[str]:
        """What rtrd has written since the last look."""
        read = b""
        try:
            while more := os.read(self.of, 1 << 16):
                read += more
        except BlockingIOError:
            pass
        return read.decode("ascii").splitlines(keepends=True)

    async def say(self, text: bytes) -> None:
        """The same; and let rtrd read it."""
        await asyncio.wait_for(asyncio.to_thread(self.write, text), 30)
        await until(lambda: self.router.lines >= self.said)

    said = 0

    def write(self, text: bytes) -> None:
        """Write as ExaBGP does, blocking."""
        self.said += text.count(b"\n")
        while text:
            text = text[os.write(self.to, text) :]

    async def greet(self) -> None:
        """Answer what rtrd asks at the start: there are no neighbors, and nothing stands."""
        await self.say(greeting(self.router.gate.window))
        written = self.router.gate.window.written
        for asked, answer in ((NEIGHBORS, b"done\n" + SUMMARY_HEADER + b"done\n"), (ADVERTISED, b"done\n")):
            await until(lambda asked=asked: written and written[0].text == asked)  # type: ignore[misc]
            await self.say(answer)

    def end(self) -> None:
        if self.router.open:
            self.router.close()
        for fd in (*self._fds, self.to):
            os.close(fd)


@asynccontextmanager
async def piped(rules: str) -> AsyncIterator[Pipe]:
    pipe = Pipe(policy_of(rules))
    pipe.router.start()
    try:
        yield pipe
    finally:
        pipe.end()


@pytest.fixture
def pipe() -> AbstractAsyncContextManager[Pipe]:
    """A pipe whose not-found routes are tagged; rtrd has not been greeted yet."""
    return piped(TAGGED)


def no_memory(*_: object) -> None:
    raise MemoryError("no memory for more routes")


async def test_a_route_is_answered_with_its_tag(pipe: Pipe) -> None:
    assert "".join(pipe.commands()) == HELLO
    await pipe.greet()
    await pipe.say(UPDATE)
    await until(lambda: not pipe.router.engine.table.state.waiting)
    assert (
        f"neighbor {LISTENER} announce attributes next-hop {PEER} attribute [ 0x01 0x40 0x00 ]"
        " as-path [ 65002 65100 ] attribute [ 0x10 0xc0 0x4300000000000001 ] nlri 20.0.0.0/24\n"
    ) in pipe.commands()


async def test_behind_many_routes_of_which_there_is_nothing_to_say_a_route_is_found(pipe: Pipe) -> None:
    routes = [lines.Route(f"20.{i >> 8}.{i & 255}.0/24", 65100) for i in range(3000)]
    await pipe.say(b"".join(lines.updates(routes, 60)))
    await pipe.say(b"".join(lines.withdraws([route.prefix for route in routes], 60)))
    await pipe.say(UPDATE.replace(b"20.0.0.0/24", b"21.0.0.0/24"))
    assert pipe.router.engine.table.state.waiting == 3001, "nothing is said before ExaBGP has greeted"
    await pipe.greet()
    await until(lambda: not pipe.router.engine.table.state.waiting)
    said = [one for one in pipe.commands() if "announce attributes" in one or "withdraw" in one]
    assert [one.rpartition(" ")[2] for one in said] == ["21.0.0.0/24\n"]


async def test_lines_come_in_pieces_of_any_size(pipe: Pipe) -> None:
    text = greeting(pipe.router.gate.window) + UPDATE + BAD + line(1) + b"\n"
    for at in range(0, len(text), 7):
        await pipe.say(text[at : at + 7])
    assert len(pipe.router.engine.table) == 21
    assert pipe.router.undecodable == 1, "the one that is no JSON; an empty line is none"


async def test_a_command_pipe_that_nobody_reads_stops_no_reading(pipe: Pipe) -> None:
    """ExaBGP blocks while we don't read, and sends no keepalive to anyone meanwhile."""
    await pipe.greet()
    for number in range(1000):
        await pipe.say(line(number) + b"done\n")
    assert len(pipe.router.engine.table) == 20_000
    assert len(pipe.router.gate.window.written) <= 16


async def test_a_fault_of_ours_over_one_answer_costs_no_line_behind_it(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:

    def fail(_: object, text: str) -> None:
        raise RuntimeError(text)

    await pipe.greet()
    monkeypatch.setattr(ExaBGP, "_text", fail)
    await pipe.say(b"an answer\n" + line(1))
    assert pipe.router.undecodable == 1
    assert len(pipe.router.engine.table) == 20


async def test_where_memory_ends_the_pipe_is_read_on_and_all_is_learned_anew(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "STARVED", 0.05)
    await pipe.greet()
    anew = asyncio.Event()
    pipe.router.on_starved = anew.set
    feed = Lines.feed
    fails = [True]

    def starve(lines: Lines, data: bytes) -> bytes:
        if fails.pop() if fails else False:
            raise MemoryError
        return feed(lines, data)

    monkeypatch.setattr(Lines, "feed", starve)
    lost = line(1)
    await asyncio.to_thread(pipe.write, lost[:-9])
    await until(lambda: pipe.router.starving)
    assert pipe.router.mid_line
    assert any("learned anew" in one.what for one in problems(pipe.router, 0))
    pipe.said -= 1  # the rest of the line that is lost is none
    await pipe.say(lost[-9:] + line(2))
    assert len(pipe.router.engine.table) == 20, "what came then is taken"
    await asyncio.wait_for(anew.wait(), 30)


@pytest.mark.parametrize("what", ["read", "pump", "pause"])
async def test_where_memory_ends_the_pipe_is_read_on(pipe: Pipe, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Else ExaBGP would stop. `what` finds none; it is read at once then, or after a pause."""
    await pipe.greet()
    loop = asyncio.get_running_loop()
    call_later = loop.call_later

    def fail(*_: object) -> None:
        if what != "read":
            starving.undo()
        raise MemoryError

    def no_pause(seconds: float, call: Callable[..., object], *arguments: object) -> asyncio.TimerHandle:
        if call.__name__ == "_paused":
            fail()
        return call_later(seconds, call, *arguments)

    for number in range(1, 7):
        with monkeypatch.context() as starving:
            if what == "read":
                starving.setattr(os, "read", fail)
            elif what == "pump":
                starving.setattr(ExaBGP, "_pump", fail)
            else:
                starving.setattr(loop, "call_later", no_pause)
            await pipe.say(line(number))
    await pipe.say(line(7))
    assert len(pipe.router.engine.table) == 7 * 20


async def test_what_cannot_be_written_for_want_of_memory_is_learned_anew(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command counts as executed once it is made: whatever comes in between is lost, and nobody knows what."""
    await pipe.greet()

    def fail(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as starving:
        starving.setattr(pipe.router._encoder, "encode", fail)
        await pipe.say(line(1))
        await until(lambda: pipe.router.starving)


async def test_where_not_even_that_can_be_said_it_is_with_what_is_read_next(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pipe.greet()
    with monkeypatch.context() as starving:
        starving.setattr(Engine, "receive", no_memory)
        starving.setattr(pipe.router._pipe, "starved", no_memory)
        await pipe.say(line(1))
    assert not pipe.router.starving
    await pipe.say(line(2))
    assert pipe.router.starving


async def test_a_line_for_whose_routes_there_is_no_memory_is_learned_again(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pipe.greet()
    with monkeypatch.context() as starving:
        starving.setattr(Engine, "receive", no_memory)
        await pipe.say(line(1))
    assert (pipe.router.starving, pipe.router.undecodable) == (True, 1)


async def test_while_a_command_is_unanswered_nothing_wakes(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer wakes rtrd when it comes; the first deadline is that of a command that is overdue."""
    await pipe.greet()
    await until(lambda: pipe.router.startup.over)
    pipe.router.gate.configuration_due = None
    pipe.commands()
    await pipe.say(UPDATE)
    await until(lambda: any("announce attributes" in text for text in pipe.commands()))
    wakes = 0
    pump = ExaBGP.pump

    def count(router: ExaBGP) -> None:
        nonlocal wakes
        wakes += 1
        pump(router)

    monkeypatch.setattr(ExaBGP, "pump", count)
    await asyncio.sleep(1.5)  # longer than the barrier's QUIET
    assert wakes <= 3
    assert len(pipe.router.gate.window.written) == 1
    assert pipe.router.gate.waits_for is None, "the window has room"


async def test_while_no_answer_comes_what_is_written_is_bounded_and_the_newest_counts(pipe: Pipe) -> None:
    await pipe.greet()
    pipe.router.engine.sessions.spoken(LISTENER, 65001, 65001)  # an external one gets no MED
    for number in range(100):
        await pipe.say(line(number))
    for med in range(50):  # a route that flaps
        await pipe.say(UPDATE.replace(b'"igp"', f'"igp", "med": {med}'.encode()))
    written = [text for text in pipe.commands() if "announce attributes" in text]
    assert len(written) <= 16
    assert sum(text.count("/24") for text in written) <= 900
    while pipe.router.gate.window.written or pipe.router.engine.table.state.waiting:
        await pipe.say(b"done\n")
        written += [text for text in pipe.commands() if "announce attributes" in text]
    flapped = [text for text in written if " 20.0.0.0/24" in text]
    assert len(flapped) == 1
    assert " med 49 " in flapped[0]


async def test_routes_that_come_one_after_the_other_go_out_together(pipe: Pipe) -> None:
    """4.2 takes some milliseconds for a command, however many prefixes are in it."""
    await pipe.greet()
    for third in range(1, 60):
        pipe.write(UPDATE.replace(b"20.0.0.0/24", f"20.0.{third}.0/24".encode()))
        pipe.write(b"done\n")  # to an earlier command: no reason not to wait
        await asyncio.sleep(0)  # the loop turns
    await until(lambda: pipe.router.lines >= pipe.said and not pipe.router.engine.table.state.waiting)
    written = [text for text in pipe.commands() if "announce attributes" in text]
    assert sum(text.count("/24") for text in written) == 59
    assert len(written) < 30


async def test_a_route_flaps_ten_thousand_times_a_second(pipe: Pipe) -> None:
    """ExaBGP answers all the while; what is written is far less than what flaps, and the last of it is the newest."""
    await pipe.greet()
    pipe.router.engine.sessions.spoken(LISTENER, 65001, 65001)  # an external one gets no MED
    written: list[str] = []
    sent = 0
    until = time.monotonic() + FLAPPING
    flaps = 0
    while time.monotonic() < until or sent:
        if time.monotonic() < until:
            flaps += 1000
            await pipe.say(b"".join(flap(number) for number in range(flaps - 1000, flaps)))
        assert pipe.router.engine.table.state.waiting <= 1
        assert pipe.router.unwritten < 1 << 16
        commands = pipe.commands()
        written += [text for text in commands if " 20.0.0.0/24" in text]
        sent = len(commands)
        for text in commands:  # what ExaBGP does: it sends what it is told, and says how much it has sent
            await pipe.say(SUMMARY % len(written) + b"done\n" if text == FENCE else b"done\n")
        if not sent and pipe.router.engine.table.state.waiting:
            sent = 1
            await asyncio.sleep(0.05)
    assert f" med {flaps - 1} " in written[-1]
    assert len(written) < flaps / 100


def flap(number: int) -> bytes:
    return UPDATE.replace(b'"igp"', f'"igp", "med": {number}'.encode())


async def test_acks_that_are_silenced_in_the_middle(pipe: Pipe) -> None:
    """`silence-ack` of 5.0, by whoever: the fence is answered still."""
    pipe.router.gate.window = Window(patience=0.05)
    pipe.router._pipe.write(pipe.router.gate.window.start(0.0))
    await pipe.greet()
    count = 250  # routes for some windows
    for number in range(count):
        await pipe.say(line(number))
    written = 0
    async with asyncio.timeout(30):
        while written < 20 * count:
            commands = pipe.commands()
            written += sum(text.count("/24") for text in commands if " announce attributes " in text)
            for text in commands:
                if text == FENCE:
                    await pipe.say(SUMMARY % written)
            await asyncio.sleep(0.01)


async def test_a_line_without_end_is_skipped_and_the_next_ones_are_read(pipe: Pipe) -> None:
    await pipe.say(b"{" + b" " * (MOST_LINE + 10))
    await until(lambda: pipe.router.undecodable == 1)
    pipe.said = -1
    await pipe.say(b"}\n")
    await pipe.say(UPDATE)
    await until(lambda: len(pipe.router.engine.table) == 1)


async def test_a_session_older_than_rtrd_is_asked_for_its_routes_once(pipe: Pipe) -> None:
    await pipe.say(greeting(pipe.router.gate.window))
    pipe.commands()
    summary = SUMMARY_HEADER + f"{PEER} 65002 0:05:00 established 5 7\n".encode() + b"done\n"
    await pipe.say(row(PEER, "ESTABLISHED") + b"done\n" + summary)
    refresh = f"neighbor {PEER} announce route-refresh ipv4 unicast\n"
    assert pipe.commands().count(refresh) == 1
    await pipe.say(summary)
    assert refresh not in pipe.commands()


async def test_the_configuration_may_be_asked_for_while_routes_are_listed(pipe: Pipe) -> None:
    await pipe.say(greeting(pipe.router.gate.window))
    rows = row(PEER, "ESTABLISHED") + row(LISTENER, "ESTABLISHED")
    await pipe.say(rows + b"done\n" + SUMMARY_HEADER + b"done\n")
    written = pipe.router.gate.window.written
    await until(lambda: {ADVERTISED, CONFIGURATION} <= {one.text for one in written})
    while written[0].text != ADVERTISED:
        await pipe.say(b"done\n")
    rest = "local-ip 127.0.0.1 local-as 1 peer-as 1 router-id 127.0.0.1 family-allowed in-open ipv4 unicast"
    mark = "attribute [ 0x01 0x40 0x00 ] as-path ( 64496 )"
    for number in range(3):
        await pipe.say(f"neighbor {LISTENER} {rest} 10.0.{number}.0/24 next-hop 192.0.2.1 {mark}\n".encode())
    await pipe.say(b"done\n")
    assert pipe.router.engine.previous_run.found == 3


async def test_lists_that_fail_do_not_say_that_a_session_is_down(pipe: Pipe) -> None:
    """ExaBGP 5.0 with `peer-as auto` breaks off both of them, and tells what is configured."""
    await pipe.say(greeting(pipe.router.gate.window))
    configuration = f"neighbor {PEER} {{\n}}\n".encode()
    answers = {CONFIGURATION: configuration + b"done\n", NEIGHBORS: b"error\n", FENCE: SUMMARY_HEADER + b"error\n"}
    async with asyncio.timeout(30):
        while not pipe.router.conversation.neighbors.configuration_told:
            written = pipe.router.gate.window.written
            await pipe.say(answers.get(written[0].text, b"done\n") if written else b"")
            await asyncio.sleep(0.01)
    assert pipe.router.conversation.neighbors.up(PEER) is None


async def test_one_that_knows_no_route_refresh_is_read_from_exabgps_list(pipe: Pipe) -> None:
    await pipe.say(greeting(pipe.router.gate.window))
    pipe.commands()
    cannot = b"   route-refresh:  enabled  disabled\n"
    await pipe.say(row(PEER, "ESTABLISHED") + cannot + b"done\n" + SUMMARY_HEADER + b"done\n")
    assert not [one for one in pipe.commands() if "route-refresh" in one]
    await answer_until_listed(pipe)
    (problem,) = (one.what for one in problems(pipe.router, 0.0) if "route refresh" in one.what)
    assert "write `adj-rib-in enable;` into the neighbor, or `route-refresh enable;`" in problem


async def answer_until_listed(pipe: Pipe, stands: bytes = b"") -> None:
    """Answer until the list of the peer is asked for; ExaBGP does not keep it. `stands`: what it would send."""
    section = "api {\n\t\tprocesses [ rtrd ];\n\t\treceive {\n\t\t\tparsed;\n\t\t\tupdate;\n\t\t}\n\t}\n"
    configuration = f"neighbor {PEER} {{\n\tadj-rib-in false;\n\t{section}}}\n".encode()
    answers = {ADVERTISED: stands, CONFIGURATION: configuration, NEIGHBORS: b"", FENCE: SUMMARY_HEADER}
    asked: list[str] = []
    async with asyncio.timeout(30):
        while LEARNED.format(PEER) not in asked:
            written = [one.text for one in pipe.router.gate.window.written]
            asked += written
            answered = written and written[0] != LEARNED.format(PEER)
            await pipe.say(answers.get(written[0], b"") + b"done\n" if answered else b"")
            await asyncio.sleep(0.01)


async def test_what_stands_of_an_earlier_run_until_its_neighbor_is_quiet_is_said(pipe: Pipe) -> None:
    await pipe.say(greeting(pipe.router.gate.window))
    rows = row(PEER, "ESTABLISHED") + row(LISTENER, "ESTABLISHED")
    await pipe.say(rows + b"done\n" + SUMMARY_HEADER + b"done\n")
    rest = "local-ip 127.0.0.1 local-as 1 peer-as 1 router-id 127.0.0.1 family-allowed in-open ipv4 unicast"
    words = "next-hop 192.0.2.1 attribute [ 0x01 0x40 0x00 ] as-path ( 64496 )"
    await answer_until_listed(pipe, f"neighbor {LISTENER} {rest} 10.0.0.0/24 {words}\n".encode())

    def said() -> list[str]:
        return [one.what for one in problems(pipe.router, 0.0) if "before it started" in one.what]

    assert said() == [], "it takes no time yet"
    pipe.router.startup.learning_since -= LONG
    (problem,) = said()
    assert problem.startswith("1 route that rtrd had announced at router exabgp before it started stands though")
    assert "quiet for 2 seconds, at most 60" in problem
    await pipe.say(b"done\n")
    (problem,) = said()
    assert f"keeps no list of what {PEER} announced" in problem
    assert "for 30 seconds, at most 5 minutes" in problem
    await pipe.say(b"\n".join([*sample_lines("down-tcp-closed"), b""]))
    assert said() == []
    await until(lambda: pipe.router.startup.over)


def row(address: str, state: str, local: str = "127.0.0.1") -> bytes:
    """What `show neighbor extensive` says of a session, as far as it matters."""
    return f"Neighbor {address}\n   local  {local}\n   state  {state}\n".encode()


async def listed(pipe: Pipe, *rows: bytes) -> list[str]:
    """Have rtrd list the neighbors; give what it wrote meanwhile."""
    pipe.commands()
    pipe.router.look_again()
    written = pipe.router.gate.window.written
    await until(lambda: written)
    while written[0].text != NEIGHBORS:
        await pipe.say(b"done\n")
        await until(lambda: written)  # a `done` too many would be taken for an empty list
    await pipe.say(b"".join(rows) + b"done\n" + SUMMARY_HEADER + b"done\n")
    return pipe.commands()


async def announced(pipe: Pipe, found: list[str], neighbor: str) -> None:
    """Return when a route is announced to the neighbor."""

    def look() -> bool:
        found.extend(pipe.commands())
        return any(one.startswith(f"neighbor {neighbor} announce attributes") for one in found)

    await until(look)


async def test_a_session_that_is_listed_as_down_has_no_routes_any_more(pipe: Pipe) -> None:
    await pipe.greet()
    await pipe.say(UPDATE)
    await listed(pipe, row(PEER, "ESTABLISHED"))
    assert (pipe.router.neighbors.up(PEER), len(pipe.router.engine.table)) == (True, 1)
    await listed(pipe, row(PEER, "IDLE"), row(PEER, "ESTABLISHED", "127.0.0.9"))
    assert len(pipe.router.engine.table) == 1, "another session with it is up"
    await listed(pipe, row(PEER, "IDLE"), row(PEER, "ACTIVE", "127.0.0.9"))
    assert (pipe.router.neighbors.up(PEER), len(pipe.router.engine.table)) == (False, 0)


async def test_a_list_that_has_a_session_as_down_while_it_comes_up_costs_nothing(pipe: Pipe) -> None:
    """ExaBGP tells the OPENs before it lists the session as established."""
    connected, *opens, up = sample_lines("session-up-addpath-both", "packets-4.2.21")
    await pipe.greet()
    await pipe.say(b"".join(line + b"\n" for line in (connected, *opens)))
    await listed(pipe, row(PEER, "OPENCONFIRM"))
    await pipe.say(up + b"\n" + sample("addpath-both-v4", "packets-4.2.21") + b"\n")
    assert (pipe.router.undecodable, pipe.router.bgp_sessions.waiting) == (0, {})
    assert len(pipe.router.engine.table) > 0
    await listed(pipe, row(PEER, "IDLE"))
    assert (pipe.router.bgp_sessions.agreed, pipe.router.bgp_sessions.kept()) == ({}, [])


async def test_updates_that_come_while_exabgp_lists_its_neighbors_are_no_silence(pipe: Pipe) -> None:
    """Its row counts those before; the next list counts them, and they were told. Lines like one before, too."""
    opens_and_up = sample_lines("session-up-addpath-both", "packets-4.2.21")
    told = sample("addpath-both-v4", "packets-4.2.21") + b"\n"
    await pipe.greet()
    await pipe.say(b"".join(line + b"\n" for line in opens_and_up) + told)
    for updates, meanwhile in ((1, told), (2, b""), (2, b""), (2, b"")):
        await listed(pipe, row(PEER, "ESTABLISHED"), b"   update:  0  %d\n" % updates, meanwhile)
        assert pipe.router.api.follows(PEER)
    assert len(pipe.router.engine.table) > 0


async def test_a_neighbor_that_is_not_listed_any_more_is_no_receiver(pipe: Pipe) -> None:
    await pipe.greet()
    await listed(pipe, row(PEER, "ESTABLISHED"), row(LISTENER, "ESTABLISHED"))
    assert set(pipe.router.engine.receivers) == {PEER, LISTENER}
    for _ in range(2):
        await listed(pipe, row(PEER, "ESTABLISHED"))
    assert list(pipe.router.engine.receivers) == [PEER]
    await pipe.say(UPDATE)
    assert not pipe.router.engine.table.state.waiting, "to whom it would go is no neighbor"
    found = await listed(pipe, row(PEER, "ESTABLISHED"), row(LISTENER, "ESTABLISHED"))
    await announced(pipe, found, LISTENER)


async def test_who_came_by_a_range_of_addresses_is_announced_nothing(pipe: Pipe) -> None:
    """ExaBGP would answer `done`, and send to nobody."""
    await pipe.greet()
    await listed(pipe, b"Neighbor 127.0.0.0/29\n", row(PEER, "ESTABLISHED"), row(LISTENER, "ESTABLISHED"))
    await pipe.say(UPDATE)
    assert len(pipe.router.engine.table) == 1, "what others say is learned"
    await until(lambda: not pipe.router.engine.table.state.waiting)
    assert not any(" announce attributes " in command for command in pipe.commands())
    (problem,) = (one.what for one in problems(pipe.router, 0.0) if "is announced to" in one.what)
    assert problem.startswith(f"nothing is announced to {LISTENER} ")


async def test_a_neighbor_is_called_what_exabgp_calls_it() -> None:
    async with piped(TAGGED.replace(f"to: [{LISTENER}]", "to: ['2001:db8::9']")) as pipe:
        await pipe.greet()
        await listed(pipe, row("2001:DB8:0::9", "ESTABLISHED"), row(PEER, "ESTABLISHED"))
        await pipe.say(UPDATE)
        await announced(pipe, [], "2001:DB8:0::9")


async def test_the_end_of_one_of_two_sessions_takes_its_routes_alone(pipe: Pipe) -> None:
    own, other = b'"local": "127.0.0.1"', b'"local": "127.0.0.9"'
    await pipe.greet()
    up = next(one for one in sample_lines("session-up-main") if b'"up"' in one)
    await pipe.say(up + b"\n" + UPDATE + up.replace(own, other) + b"\n" + line(1).replace(own, other))
    assert len(pipe.router.engine.table) == 21
    down = b"\n".join([*sample_lines("down-tcp-closed"), b""])
    await pipe.say(down.replace(own, other))
    await until(lambda: len(pipe.router.engine.table) == 1)
    assert pipe.router.neighbors.up(PEER)
    await pipe.say(down)
    await until(lambda: len(pipe.router.engine.table) == 0)


async def test_down_takes_the_routes_of_the_neighbor_along(pipe: Pipe) -> None:
    await pipe.say(UPDATE + line(1))
    assert len(pipe.router.engine.table) == 21
    await pipe.say(b"\n".join([*sample_lines("down-tcp-closed"), b""]))
    await until(lambda: len(pipe.router.engine.table) == 0)


async def test_the_end_of_exabgp_is_the_end(pipe: Pipe) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, pipe.to)
    os.close(null)
    await until(lambda: pipe.closed)
