"""One ExaBGP behind its two pipes: what it says goes to the engine, the engine's commands go to it.

It is always read, whatever else is to do: ExaBGP writes to us with blocking calls and sends no keepalive to anyone
meanwhile. When something may be written is the gate's to say (`gate.py`).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Final

from rtrd.base import log
from rtrd.base.shortages import NO_MEMORY, note
from rtrd.exabgp.conversation import REFRESH, Conversation
from rtrd.exabgp.decode import DecodeError, Event, Octets, OtherEvent, decode
from rtrd.exabgp.encode import Encoder
from rtrd.exabgp.gate import MOST_PREFIXES, Do, Step
from rtrd.exabgp.neighbor_text import is_text_event
from rtrd.exabgp.parsed import Parsed
from rtrd.exabgp.pipe import MOST_LINE, Pipe
from rtrd.exabgp.senders import Sender
from rtrd.exabgp.window import FENCE_HEADER
from rtrd.policy import Policy, normal
from rtrd.rib.bgp_events import Negotiated, State
from rtrd.rib.bgp_session import BGPSession
from rtrd.rib.engine import Engine
from rtrd.rib.terms import Command
from rtrd.rib.update_octets import consequence, read_update
from rtrlib.aspa_paths import LocalRole

WORK = 2000
"""Routes in one slice of work: about a millisecond."""

STARVED: Final = 10.0
"""Seconds from the end of memory until all is learned anew: what took it may have gone by then."""

logger = log.get("exabgp")


class ExaBGP:
    """One ExaBGP behind two file descriptors."""

    def __init__(
        self,
        engine: Engine,
        read_fd: int,
        write_fd: int,
        closed: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        *,
        mid_line: bool = False,
        kept: int | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Take two descriptors; `closed` is called once, when ExaBGP is gone. `clock`: seconds that don't go back.

        `mid_line`: the first bytes are the rest of a line that somebody else began to read. `kept`: a file of what
        ExaBGP wrote before; it is closed here. `wall`: Unix time.
        """
        self.engine = engine
        self._encoder = Encoder(engine)
        self.conversation = about = Conversation(engine, self._encoder, self._write, clock, wall)
        self.neighbors, self.api, self.bgp_sessions = about.neighbors, about.api, about.bgp_sessions
        self.startup, self.local_list, self.gate = about.startup, about.local_list, about.gate
        self.lines = 0
        self.heard = clock()
        """When it last said something."""
        self.undecodable = 0
        self.commands: Counter[str] = Counter()
        """Commands that were written: `announce`, `withdraw`."""
        self.prefixes: Counter[str] = Counter()
        """Prefixes in them: `announce`, `withdraw`."""
        self.accepted = 0
        """Commands of the engine that ExaBGP answered with `done`."""
        self.refused_in_a_row = 0
        """Those that it has answered with `error` since."""
        self.on_work: Callable[[float], None] = lambda _seconds: None
        """Told the seconds from a change (of VRPs, policy, sessions) to the last route that followed from it."""
        self._work_began: float | None = None
        self._pipe = Pipe(read_fd, write_fd, self._read, self._room, self.close, mid_line=mid_line, kept=kept)
        self._pipe.starved = self._starve
        self._pipe.turned = self.pump
        self.on_starved: Callable[[], None] = lambda: None
        """Called STARVED seconds after memory ended in the middle of what ExaBGP said: all has to be learned again."""
        self._starved: asyncio.TimerHandle | None = None
        self._too_long = 0
        self._closed: Callable[[], None] | None = closed
        self.clock = clock
        self._wall = wall
        self._loop = asyncio.get_running_loop()
        self._limiter = log.RateLimiter(clock)
        self._foreign = self._nameless = False
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._working = False
        self._soon = False

    # -- life

    def start(self) -> None:
        """Begin to read, and ask ExaBGP who it is."""
        self.engine.table.barrier_falls()
        self._pipe.start(self._ask_who_it_is)

    def _ask_who_it_is(self) -> None:
        self._pipe.write(self.gate.window.start(self.clock()))
        self.pump()

    def close(self) -> None:
        """Stop reading and writing; nothing happens the second time."""
        closed, self._closed = self._closed, None
        if closed is None:
            return
        self._pipe.close()
        for timer in (self._timer, self._starved):
            if timer is not None:
                timer.cancel()
        closed()

    @property
    def open(self) -> bool:
        """False once ExaBGP is gone."""
        return self._closed is not None

    @property
    def unwritten(self) -> int:
        """Bytes that ExaBGP's pipe has no room for yet."""
        return self._pipe.unwritten

    @property
    def idle(self) -> bool:
        """True when nothing is left to write and ExaBGP has executed all that was written, or is gone."""
        busy = self.engine.has_work or self.engine.table.state.waiting or self.unwritten or self.gate.window.written
        return not self.open or not busy

    def set_policy(self, policy: Policy, cause: int) -> None:
        """Decide by another policy from now on; `cause`: a number of the event log."""
        self._with_memory(partial(self._set_policy, policy, cause))

    def _set_policy(self, policy: Policy, cause: int) -> None:
        self._encoder.forget()
        self.engine.set_policy(policy, cause)
        self.gate.retagging = self.engine.retagging
        self.pump()

    def set_most_attributes(self, octets: int) -> None:
        """Bound the octets of the attribute sets of each neighbor."""
        self._with_memory(partial(self._set_most_attributes, octets))

    def _set_most_attributes(self, octets: int) -> None:
        for address in self.engine.set_most_attributes(octets):
            self.gate.wants_refresh(address, self.clock())
        self.pump()

    def counted(self) -> list[str]:
        """Give the names of all sessions."""
        return list(self.engine.sessions.by_name)

    def local_role(self, address: str) -> LocalRole | None:
        """Give what is configured."""
        return self.engine.sessions.kind(address).role

    def ribs(self) -> dict[int, str]:
        """Give nothing: it tells of one RIB, its Adj-RIB-In."""
        return {}

    def look_again(self) -> None:
        """Have ExaBGP list its neighbors and its local routes soon: its configuration may be another one."""
        self.gate.neighbors_due = self.gate.configuration_due = now = self.clock()
        self.local_list.soon(now)
        self.pump()

    # -- what ExaBGP says

    def _read(self, text: bytes) -> None:
        self.feed(text)
        if self._pipe.lines.too_long > self._too_long:
            self._too_long = self._pipe.lines.too_long
            self._left_out(f"longer than {MOST_LINE} bytes")

    def feed(self, text: bytes) -> None:
        """Take whole lines of ExaBGP."""
        self.engine.set_time(int(self._wall()))
        self.heard = self.clock()
        at = 0
        while (end := text.find(b"\n", at)) >= 0:
            if self.conversation.senders.lines and (taken := self._lines_like_before(text, at)):
                at += taken
            else:
                self._line(text[at:end])
                at = end + 1

    def _lines_like_before(self, text: bytes, at: int) -> int:
        """Take lines from `at` on that are like some that were understood. Gives their octets."""
        taken = self.engine.receive_lines(self.conversation.senders.lines, text, at)
        self.lines += taken.lines
        now = self.clock()
        for name in taken.names:
            self.gate.routes_came(name.partition(" ")[0], now)
        if taken.memory:
            self._no_memory("")
        elif taken.told is not None:
            name, faults = taken.told
            self._warn_of(name.partition(" ")[0], faults)
        return taken.size

    def _line(self, line: bytes) -> None:
        self.lines += 1
        try:
            if line[:1] == b"{":
                self._event(decode(line), line)
            elif line:
                self._text(line.decode("ascii", "replace").rstrip("\r"))
        except DecodeError as error:
            self._left_out(str(error))
        except MemoryError as error:
            self._no_memory(str(error))
        except Exception:
            # A fault of ours in one line must not cost the lines behind it.
            self.undecodable += 1
            more = self._limiter.rate_limited("failed")
            if more is not None:
                logger.exception("rtrd failed to handle a line of ExaBGP", router=self.engine.name, **more)

    def _no_memory(self, why: str) -> None:
        self._pipe.lose()
        self._left_out(f"no memory for its routes: {why}" if why else "no memory for its routes", key="memory")

    def _starve(self) -> None:
        """Say that something is lost that ExaBGP won't say again, or that it should be told.

        What comes is read meanwhile, as far as it can be.
        """
        if self._starved is not None or not self.open:
            return
        self._starved = self._loop.call_later(STARVED, self._learn_anew)
        note(NO_MEMORY)
        logger.critical(
            "memory ended, and some of what ExaBGP said is lost: all is learned anew",
            router=self.engine.name, seconds=STARVED,
        )  # fmt: skip

    def _learn_anew(self) -> None:
        self.on_starved()

    def _with_memory(self, do: Callable[[], None]) -> None:
        """Do something that changes what ExaBGP is told. Where memory ends within it, nobody knows what is missing."""
        try:
            do()
        except MemoryError:
            self._pipe.lose()

    @property
    def mid_line(self) -> bool:
        """Whether what ExaBGP says next is the rest of a line."""
        return self._pipe.lines.mid_line

    @property
    def starving(self) -> bool:
        """Whether something is lost, and not yet learned again."""
        return self._starved is not None

    def _left_out(self, why: str, key: str = "line") -> None:
        self.undecodable += 1
        self.api.unreadable()
        self._warn(key, "a line of ExaBGP was left out", why=why)

    def _warn(self, key: str, event: str, **fields: str) -> None:
        more = self._limiter.rate_limited(key)
        if more is not None:
            logger.warning(event, router=self.engine.name, **fields, **more)

    def _event(self, event: Event, line: bytes) -> None:
        if self.api.text_since is not None:
            self.api.json()
        if type(event) is Octets:
            self._octets(event, line)
        elif type(event) is Parsed:
            self._parsed(event)
        else:
            self._session_event(event)

    def _session_event(self, event: Event) -> None:
        if type(event) is State:
            self.conversation.session_changed(event)
        elif type(event) is Negotiated:
            self.engine.negotiated(event)
        elif type(event) is OtherEvent and event.neighbor is not None:
            self.conversation.heard_of(event.neighbor)
            if event.kind == "update":  # End-of-RIB
                self._update_came(event.neighbor, "")

    def _octets(self, message: Octets, line: bytes) -> None:
        if message.kind == "open":
            self._opened(message)
        elif message.direction == "send":
            address = normal(message.neighbor)
            if (session := self.bgp_sessions.sent(address, normal(message.local))) is not None:
                self._sent(address, session, message.body)
        else:
            sender = self._update_came(message.neighbor, message.local)
            session = sender.session
            if session is None and message.agreed is not None:
                session = message.agreed._replace(addresses=(sender.address, normal(message.local)))
            if session is not None:
                self._received(sender, session, message.body)
                self.conversation.senders.understood(line, sender.name, self.engine.sessions.by_name[sender.name])
            else:
                # Never a guess: whether path ids come can't be told from octets.
                self.bgp_sessions.unreadable(sender.address, self._wall())
                self._left_out("an UPDATE of a session whose OPENs were not heard", "session")

    def _parsed(self, event: Parsed) -> None:
        self.engine.others += event.others
        self.engine.table.no_prefixes(event.no_prefixes)
        if event.direction == "send":
            for session, body in event.updates:
                self._sent(normal(event.neighbor), session, body)
            return
        sender = self._update_came(event.neighbor, event.local)
        for session, body in event.updates:
            self._received(sender, session, body)

    def _opened(self, message: Octets) -> None:
        try:
            self.conversation.opened(message)
        except ValueError as error:
            self._left_out(str(error), "open")

    def _update_came(self, neighbor: str, local: str) -> Sender:
        about = self.conversation
        sender = about.senders.get(neighbor, local) or about.sender(neighbor, local)
        self.gate.routes_came(sender.address, self.clock())
        return sender

    def _received(self, sender: Sender, session: BGPSession, body: bytes) -> None:
        self._warn_of(sender.address, self.engine.receive(sender.name, session, body))

    def _warn_of(self, address: str, faults: int) -> None:
        if faults and (wrong := consequence(faults)) is not None:
            self._warn(
                f"update {address}", "an UPDATE is malformed", neighbor=address,
                why="; ".join(wrong.what), routes=wrong.routes,
            )  # fmt: skip

    def _sent(self, address: str, session: BGPSession, body: bytes) -> None:
        self.engine.local_routes.sent(read_update(address, session, body)[0])

    # -- what ExaBGP says in text for people: the answers to commands

    def _text(self, text: str) -> None:
        window = self.gate.window
        if is_text_event(text):
            self.conversation.text_event()
        elif not window.started:
            return  # it was written before rtrd has asked anything
        elif text in ("done", "error"):
            self._answered(text)
        elif text.startswith(FENCE_HEADER):
            self.conversation.summary_begins(text)
        elif text.startswith("exabgp "):
            version = text.removeprefix("exabgp ")
            window.heard_version(version, self.clock())
            self._encoder.speak_to(version)
        elif not window.greeted:
            window.heard_other(self.clock())  # it is the rest of an answer to a process that is dead
        elif not self.conversation.listed_line(text, window.version or ""):
            self._left_out("neither JSON nor an answer that rtrd asked for", "text")

    def _answered(self, answer: str) -> None:
        answered = self.gate.window.heard_answer(self.clock(), error=answer == "error")
        if answered is None:
            return
        if answered.command is None:
            self.conversation.settled(answered, answer=answer)
        else:
            self.refused_in_a_row = self.refused_in_a_row + 1 if answer == "error" else 0
            self.accepted += answer != "error"
        if answer == "error" and not answered.text.endswith(REFRESH):
            self._warn("error", "ExaBGP refused a command", command=answered.text.rstrip("\n"))

    # -- what ExaBGP is told

    def pump(self) -> None:
        """Write what there is to write and the gate lets through; see to it that this happens again in time."""
        self._with_memory(self._pump)

    def _pump(self) -> None:
        if not self.open:
            return
        gate, now = self.gate, self.clock()
        if gate.may_withdraw_local(now):
            self._withdraw_local(now)
        idle = gate.may_write(now) and self._write_commands(now)
        while (step := gate.next(now, idle=idle)) is not None:
            self._take(step)
        if (gate.window.foreign, gate.window.nameless) != (self._foreign, self._nameless):
            self._api_version_changed()
        self._work_soon()
        self._set_timer(now)

    def _write_commands(self, now: float) -> bool:
        """Write commands while the gate is open. True: there is nothing more that could be written now."""
        while (command := self.engine.next_command(MOST_PREFIXES)) is not None:
            self._command(command, now)
            if not self.engine.halfway and not self.gate.may_write(now):
                return False
        searching = self.engine.searching
        if searching:
            self._pump_soon()
        return not searching

    def _take(self, step: Step) -> None:
        if step.do is Do.GREET:
            self.gate.pipe_full = not self._pipe.write(step.text)
        elif step.do is Do.REFRESH:
            self.conversation.refresh(step.text)
        elif step.do is Do.ASK:
            self.conversation.ask(step.text)
        elif step.do is Do.FENCE:
            self._write(step.text, 0)
        else:
            self.engine.table.barrier_falls()
            self._pump_soon()

    def _api_version_changed(self) -> None:
        before, self._foreign, self._nameless = self._nameless, self.gate.window.foreign, self.gate.window.nameless
        if self._nameless and not before:
            logger.warning(
                "ExaBGP answers `version` without telling one: it is spoken to in what 4.2 and 5.0 have in common",
                router=self.engine.name,
            )
        if self._foreign:
            logger.error(
                "ExaBGP answers `error` to `version`: rtrd speaks the API of ExaBGP 4 and 5", router=self.engine.name
            )

    def _withdraw_local(self, now: float) -> None:
        """Withdraw the local routes that a rule of the policy wants withdrawn."""
        local_routes = self.engine.local_routes
        while self.gate.has_room() and (command := local_routes.next_withdraw(MOST_PREFIXES)) is not None:
            logger.warning(
                "withdrawing invalid local routes", router=self.engine.name,
                neighbors=self.engine.receivers.names(command.receivers), prefixes=command.prefixes,
            )  # fmt: skip
            self._command(command, now)
        self.gate.barrier.drain(now)

    def _command(self, command: Command, now: float) -> None:
        kind = "announce" if command.announce else "withdraw"
        self.commands[kind] += 1
        self.prefixes[kind] += command.size
        if self.local_list.due is None:
            self.local_list.wrote(command)
        self._write(self._encoder.encode(command), command.size, command, now)

    def _write(self, text: str, weight: int, command: Command | None = None, now: float | None = None) -> None:
        self.gate.wrote(text, weight, self.clock() if now is None else now, command)
        self.gate.pipe_full = not self._pipe.write(text)

    def _room(self) -> None:
        """ExaBGP's pipe has taken some of what waited."""
        self.gate.pipe_full = self._pipe.unwritten > 0
        self.pump()

    # -- work in slices, and time

    def work_soon(self) -> None:
        """Do a slice of work soon, if there is any; measure how long it takes from the first to the last."""
        self._with_memory(self._work_soon)

    def _work_soon(self) -> None:
        if not self._working and self.open and self.engine.has_work:
            self._loop.call_soon(self._with_memory, self._work)
            self._working = True
        if self._working:
            self._work_began = self.clock() if self._work_began is None else self._work_began
        elif self._work_began is not None:
            self.on_work(self.clock() - self._work_began)
            self._work_began = None

    def _work(self) -> None:
        self._working = False
        if self.open:
            self.engine.set_time(int(self._wall()))
            self.engine.work(WORK)
            self.gate.retagging = self.engine.retagging
            self.gate.coalesce_no_longer()  # what a change of VRPs brings waits for nobody
            self.pump()

    def _pump_soon(self) -> None:
        if not self._soon:
            self._loop.call_soon(self._pump_again)
            self._soon = True

    def _pump_again(self) -> None:
        self._soon = False
        self.pump()

    def _set_timer(self, now: float) -> None:
        """Have a timer that is not late; one that is early finds nothing to do, and costs less than to set it anew."""
        deadline = self.gate.deadline
        if deadline == self._deadline or (deadline is not None and now < (self._deadline or 0.0) < deadline):
            return
        self._deadline = deadline
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if deadline is None else self._loop.call_later(max(0.0, deadline - now), self._timed)

    def _timed(self) -> None:
        self._deadline = self._timer = None
        self.pump()
