"""One ExaBGP behind its two pipes: what it says goes to the engine, the engine's commands go to it.

It is always read, whatever else is to do: ExaBGP writes to us with blocking calls and sends no keepalive to anyone
meanwhile. When something may be written is the gate's to say (`gate.py`).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable

from rtrd.base import log
from rtrd.exabgp.decode import DecodeError, Event, Other, decode
from rtrd.exabgp.encode import Encoder, take_back
from rtrd.exabgp.gate import MOST_PREFIXES, NEIGHBORS, NEIGHBORS_DOWN_EVERY, Gate
from rtrd.exabgp.local_routes import LocalRoutesList
from rtrd.exabgp.neighbor_text import ExtensiveReader, PathIds, read_row
from rtrd.exabgp.pipe import MOST_LINE, Pipe
from rtrd.exabgp.startup import StartUp
from rtrd.exabgp.window import FENCE_HEADER, Written
from rtrd.policy import Policy, normal
from rtrd.rib.bgp_events import Negotiated, Sent, State, Update
from rtrd.rib.engine import Engine
from rtrd.rib.terms import Command

REFRESH = ("announce route-refresh ipv4 unicast\n", "announce route-refresh ipv6 unicast\n")
WORK = 2000
"""Routes in one slice of work: about a millisecond."""

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
    ) -> None:
        """Take two descriptors; `closed` is called once, when ExaBGP is gone. `clock`: seconds that don't go back.

        `mid_line`: the first bytes are the rest of a line that somebody else began to read.
        """
        self.engine = engine
        self.startup = StartUp(engine, clock())
        self.local_list = LocalRoutesList(engine, clock())
        self.gate = Gate(engine.table.state, engine.local_routes.rib, self.startup, self.local_list, clock())
        self.lines = 0
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
        self._pipe = Pipe(read_fd, write_fd, self._read, self._room, self.close, mid_line=mid_line)
        self._too_long = 0
        self._closed: Callable[[], None] | None = closed
        self.clock = clock
        self._loop = asyncio.get_running_loop()
        self._limiter = log.RateLimiter(clock)
        self._encoder = Encoder(engine)
        self._extensive = ExtensiveReader()
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._working = False
        self._soon = False

    # -- life

    def start(self) -> None:
        """Begin to read, and ask ExaBGP who it is."""
        self._pipe.start()
        self.engine.table.barrier_falls()
        self._pipe.write(self.gate.window.start(self.clock()))
        self.pump()

    def close(self) -> None:
        """Stop reading and writing; nothing happens the second time."""
        closed, self._closed = self._closed, None
        if closed is None:
            return
        self._pipe.close()
        if self._timer is not None:
            self._timer.cancel()
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
        self._encoder.forget()
        self.engine.set_policy(policy, cause)
        self.gate.retagging = self.engine.retagging
        self.pump()

    def look_again(self) -> None:
        """Have ExaBGP list its local routes soon: its configuration may be another one."""
        self.local_list.soon(self.clock())
        self.pump()

    # -- what ExaBGP says

    def _read(self, text: bytes) -> None:
        self.feed(text)
        if self._pipe.lines.too_long > self._too_long:
            self._too_long = self._pipe.lines.too_long
            self._left_out(f"longer than {MOST_LINE} bytes")
        self.pump()

    def feed(self, text: bytes) -> None:
        """Take whole lines of ExaBGP."""
        at = 0
        while at < len(text):
            at, lines = self.engine.take_lines(text, at)
            if lines:
                self.lines += lines
                self.gate.routes_came(self.clock())
            if at < len(text):
                end = text.index(b"\n", at)
                self._line(text[at:end])
                at = end + 1

    def _line(self, line: bytes) -> None:
        self.lines += 1
        try:
            if line[:1] == b"{":
                self._event(decode(line))
            elif line:
                self._text(line.decode("ascii", "replace").rstrip("\r"))
        except DecodeError as error:
            self._left_out(str(error))
        except MemoryError as error:
            self._left_out(f"no memory for its routes: {error}", key="memory")
        except Exception:
            # A fault of ours in one line must not cost the lines behind it.
            self.undecodable += 1
            more = self._limiter.rate_limited("failed")
            if more is not None:
                logger.exception("rtrd failed over a line of ExaBGP", router=self.engine.name, **more)

    def _left_out(self, why: str, key: str = "line") -> None:
        self.undecodable += 1
        self._warn(key, "a line of ExaBGP was left out", why=why)

    def _warn(self, key: str, event: str, **fields: str) -> None:
        more = self._limiter.rate_limited(key)
        if more is not None:
            logger.warning(event, router=self.engine.name, **fields, **more)

    def _event(self, event: Event) -> None:
        if type(event) is Update:
            self.engine.update(event)
            self.gate.routes_came(self.clock())
        elif type(event) is Sent:
            self.engine.local_routes.sent(event.update)
        elif type(event) is State:
            self._session_changed(event)
        elif type(event) is Negotiated:
            self.engine.negotiated(event)
        elif type(event) is Other and event.neighbor is not None and event.kind != "send":
            self.engine.add_receiver(event.neighbor)

    def _session_changed(self, event: State) -> None:
        logger.info(
            "neighbor up" if event.up else "neighbor down",
            router=self.engine.name,
            neighbor=event.neighbor,
            **({"reason": event.reason} if event.reason else {}),
        )
        self.engine.state(event)
        if event.up:
            self._came_up(normal(event.neighbor))
        else:
            self._went_down(normal(event.neighbor))

    def _came_up(self, receiver: str) -> None:
        """Withdraw again what ExaBGP may not have withdrawn yet: to a new session it sends what it advertises.

        The receiver is announced to once `show neighbor extensive` says that it is up: then ExaBGP has begun to send.
        """
        now, gate = self.clock(), self.gate
        self.startup.session(receiver, now)
        self.local_list.soon(now)
        gate.neighbors_due = now
        if not gate.window.greeted:
            self.engine.reachable(receiver, up=True)  # nobody will tell
        bit = self.engine.receivers.bit(receiver)
        for command, _ in gate.window.unsettled():
            if not command.announce and command.receivers & bit:
                self._write(self._encoder.encode(command._replace(receivers=bit)), command.size)

    def _went_down(self, receiver: str) -> None:
        """Withdraw what ExaBGP may execute from here on: 5.0 would send it in the next session, withdrawn or not."""
        self.engine.reachable(receiver, up=False)
        bit = self.engine.receivers.bit(receiver)
        for command, written in self.gate.window.unsettled():
            if command.announce and command.receivers & bit:
                self._write(take_back(written, receiver), command.size)
                self.engine.mark_not_announced(command, receiver)

    # -- what ExaBGP says in text for people: the answers to commands

    def _text(self, text: str) -> None:
        gate = self.gate
        if text in ("done", "error"):
            answered = gate.window.heard_answer(error=text == "error")
            if answered is not None:
                self._settled(answered)
                if answered.command is not None:
                    self.refused_in_a_row = self.refused_in_a_row + 1 if text == "error" else 0
                    self.accepted += text != "error"
                if text == "error" and answered.text not in REFRESH:
                    self._warn("error", "ExaBGP refused a command", command=answered.text.rstrip("\n"))
        elif text.startswith(FENCE_HEADER):
            for settled in gate.window.heard_fence():
                self._settled(settled)
            if gate.barrier.answer_begins(self.clock()):
                self.engine.table.barrier_falls()
        elif text.startswith("exabgp "):
            gate.window.heard_version(text.removeprefix("exabgp "))
        else:
            self._about_neighbors(text, gate.window.version or "")

    def _settled(self, command: Written) -> None:
        """ExaBGP has executed a command, and has answered it to the end."""
        if command.text == NEIGHBORS:
            self.gate.listing_neighbors = False
            if self.engine.receivers.unreachable:
                self.gate.neighbors_due = min(self.gate.neighbors_due, self.clock() + NEIGHBORS_DOWN_EVERY)
        elif command.text.startswith("show adj-rib ") and self.startup.over:
            for route in self.local_list.ended():
                logger.warning(
                    "a withdrawn local route is not invalid any more; ExaBGP announces it when it reloads",
                    router=self.engine.name, neighbor=route.neighbor, prefix=route.prefix,
                )  # fmt: skip
        elif command.text.startswith("show adj-rib "):
            self.startup.ended(command.text, self.clock())
            if self.engine.previous_run.left:
                self.gate.barrier.drain(self.clock())  # ExaBGP may have yet to send what the previous run announced
            logger.info(
                "asked ExaBGP what it had before", router=self.engine.name, phase=self.startup.phase.value,
                stale=self.engine.previous_run.found, learned=self.startup.learned,
                unreadable=self.startup.unreadable,
            )  # fmt: skip

    def _about_neighbors(self, text: str, version: str) -> None:
        if self.startup.line(text, version) or self.local_list.line(text, version):
            return
        row = read_row(text)
        if row is not None and row.established:
            self.gate.barrier.sent(row.address, row.sent)
        found = row or self._extensive.read(text, version)
        if isinstance(found, PathIds):
            self.engine.path_ids(found.address, found.family, taken=found.taken)
        elif found is not None:
            self._neighbor(found.address, established=found.established)
        elif not text[:1].isspace() and not text.startswith("Neighbor "):
            self._left_out("neither JSON nor an answer that rtrd asked for", "text")

    def _neighbor(self, address: str, *, established: bool) -> None:
        self.engine.reachable(address, up=established)
        if established and self.startup.established(address):
            # The session is older than this process, and ExaBGP repeats nothing: its routes must be sent again.
            logger.info("asking the neighbors for their routes again", router=self.engine.name)
            for command in REFRESH:
                self._write(command, 1)

    # -- what ExaBGP is told

    def pump(self) -> None:
        """Write what there is to write and the gate lets through; see to it that this happens again in time."""
        if not self.open:
            return
        now = self.clock()
        if self.gate.may_withdraw_local(now):
            self._withdraw_local(now)
        idle = self._write_commands(now)
        if (question := self.gate.question(now)) is not None:
            self._write(question, 1)
        if self.gate.barrier_falls(now, idle=idle):
            self.engine.table.barrier_falls()
            self._pump_soon()
        if (fence := self.gate.fence(now)) is not None:
            self._write(fence, 0)
        self._work_soon(now)
        self._set_timer(now)

    def _write_commands(self, now: float) -> bool:
        """Write commands while the gate is open. True: there is nothing more that could be written now."""
        while self.gate.may_write(now):
            command = self.engine.next_command(MOST_PREFIXES)
            if command is None:
                if self.engine.searching:
                    self._pump_soon()
                return not self.engine.searching
            self._command(command, now)
        return False

    def _withdraw_local(self, now: float) -> None:
        """Withdraw the local routes that a rule of the policy wants withdrawn."""
        local_routes = self.engine.local_routes
        while self.gate.has_room(now) and (command := local_routes.next_withdraw(MOST_PREFIXES)) is not None:
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
        self._write(self._encoder.encode(command), command.size, command, now)

    def _write(self, text: str, weight: int, command: Command | None = None, now: float | None = None) -> None:
        self.gate.wrote(text, weight, self.clock() if now is None else now, command)
        self.gate.pipe_full = not self._pipe.write(text)

    def _room(self) -> None:
        """ExaBGP's pipe has taken some of what waited."""
        self.gate.pipe_full = self._pipe.unwritten > 0
        self.pump()

    # -- work in slices, and time

    def _work_soon(self, now: float) -> None:
        """Do a slice of work soon, if there is any; measure how long it takes from the first to the last."""
        if not self._working and self.engine.has_work:
            self._working = True
            self._loop.call_soon(self._work)
        if self._working:
            self._work_began = now if self._work_began is None else self._work_began
        elif self._work_began is not None:
            self.on_work(now - self._work_began)
            self._work_began = None

    def _work(self) -> None:
        self._working = False
        if self.open:
            self.engine.work(WORK)
            self.gate.retagging = self.engine.retagging
            self.gate.coalesce_no_longer()  # what a change of VRPs brings waits for nobody
            self.pump()

    def _pump_soon(self) -> None:
        if not self._soon:
            self._soon = True
            self._loop.call_soon(self._pump_again)

    def _pump_again(self) -> None:
        self._soon = False
        self.pump()

    def _set_timer(self, now: float) -> None:
        deadline = self.gate.deadline(now)
        if deadline == self._deadline:
            return
        self._deadline = deadline
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if deadline is None else self._loop.call_later(max(0.0, deadline - now), self._timed)

    def _timed(self) -> None:
        self._deadline = self._timer = None
        self.pump()
