"""What an ExaBGP writes to its process in, commands out, and the engine between.

It is always read, whatever else is to do: ExaBGP writes to us with blocking calls and sends no keepalive to anyone
meanwhile. What its pipe has no room for waits (`pipe.py`), and nothing more is decided until it is gone.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING

from rtrd.base import log
from rtrd.exabgp import encode
from rtrd.exabgp.answers import Answers
from rtrd.exabgp.coalesce import Coalescing
from rtrd.exabgp.decode import DecodeError, Event, Other, decode
from rtrd.exabgp.lines import MOST_LINE, Lines
from rtrd.exabgp.local_routes import LocalRoutesList
from rtrd.exabgp.pipe import Pipe
from rtrd.exabgp.send_barrier import SendBarrier
from rtrd.exabgp.startup import StartUp
from rtrd.exabgp.window import FENCE, Window
from rtrd.exabgp.words import Words
from rtrd.policy import normal
from rtrd.rib.bgp_events import Negotiated, Sent, State, Update

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtrd.policy import Policy
    from rtrd.rib.decision import Decision
    from rtrd.rib.engine import Engine

MOST_PREFIXES = 100
"""In one command: more gains little and holds ExaBGP's loop longer (docs/exabgp.md)."""
WORK = 2000
"""Routes in one slice of work: about a millisecond."""
NEIGHBORS_EVERY = 60.0
"""Seconds between two looks at ExaBGP's neighbors, which a reload may have changed."""
NEIGHBORS_DOWN_EVERY = 10.0
"""The same while a session is down that may come up unheard (no `neighbor-changes` for it)."""
_SKIPPED = 200
"""Decisions that need no command in one go: a few milliseconds."""


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
        self.window = Window()
        self.rounds = SendBarrier()
        self.startup = StartUp(engine, clock())
        self.own = LocalRoutesList(engine, self.rounds, clock())
        self.lines = 0
        self.undecodable = 0
        self.commands: Counter[str] = Counter()
        """Commands that were written: `announce`, `withdraw`."""
        self.prefixes: Counter[str] = Counter()
        """Prefixes in them: `announce`, `withdraw`."""
        self.on_work: Callable[[float], None] = lambda _seconds: None
        """Told the seconds from a change (of VRPs, policy, sessions) to the last route that followed from it."""
        self._work_began: float | None = None
        self._pipe = Pipe(read_fd, write_fd, self._read, self.pump, self.close)
        self._closed: Callable[[], None] | None = closed
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._limiter = log.RateLimiter(clock)
        self._reading = Lines(mid_line=mid_line)
        self._timer: asyncio.TimerHandle | None = None
        self._neighbors_timer: asyncio.TimerHandle | None = None
        self._neighbors_wanted = True
        self._answers = Answers(self, self._command, self._left_out)
        self._working = False
        self._searching = False
        self._coalescing = Coalescing(2 * MOST_PREFIXES)
        self._words = Words(engine.attributes)

    # -- life

    def start(self) -> None:
        """Begin to read, and ask ExaBGP who it is."""
        self._pipe.start()
        self.engine.table.begin_round()
        self._pipe.write(self.window.start(self._clock()))
        self._ask_neighbors()
        self.pump()

    def close(self) -> None:
        """Stop reading and writing; nothing happens the second time."""
        closed, self._closed = self._closed, None
        if closed is None:
            return
        self._pipe.close()
        for timer in (self._timer, self._neighbors_timer):
            if timer is not None:
                timer.cancel()
        closed()

    @property
    def unwritten(self) -> int:
        """Bytes that ExaBGP's pipe has no room for yet."""
        return self._pipe.unwritten

    def set_policy(self, policy: Policy, cause: int) -> None:
        """Decide by another policy from now on; `cause`: a number of the event_log."""
        self._words.forget()
        self.engine.set_policy(policy, cause)
        self.pump()

    def look_again(self) -> None:
        """Have ExaBGP list its own routes soon: its configuration may be another one."""
        self.own.soon(self._clock())
        self.pump()

    @property
    def idle(self) -> bool:
        """True when nothing is left to say and ExaBGP has executed all that was said, or is gone."""
        busy = self.engine.work(0) or self.engine.table.waiting or self._pipe.unwritten or self.window.waiting
        return not self.open or not busy

    def now(self) -> float:
        """Give the seconds of its clock."""
        return self._clock()

    @property
    def open(self) -> bool:
        """False once ExaBGP is gone."""
        return self._closed is not None

    # -- what ExaBGP says

    def _read(self, data: bytes) -> None:
        self.feed(data)
        self.pump()

    def feed(self, data: bytes) -> None:
        """Take bytes of ExaBGP, whole lines or not."""
        skipped = self._reading.too_long
        text = self._reading.feed(data)
        at = 0
        while at < len(text):
            at, lines = self.engine.take_lines(text, at)
            if lines:
                self.lines += lines
                self._routes_came()
            if at < len(text):
                end = text.index(b"\n", at)
                self._line(text[at:end])
                at = end + 1
        if self._reading.too_long > skipped:
            self._left_out(f"longer than {MOST_LINE} bytes")

    def _line(self, line: bytes) -> None:
        self.lines += 1
        try:
            if line[:1] != b"{":
                if line:
                    self._answers.heard(line.decode("ascii", "replace").rstrip("\r"))
            elif self.engine.take_line(line):
                self._routes_came()
            else:
                self._event(decode(line))
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

    def _event(self, event: Event) -> None:
        if type(event) is Update:
            self.engine.update(event)
            self._routes_came()
        elif type(event) is Sent:
            self.engine.local_routes.sent(event.update)
        elif type(event) is State:
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
        elif type(event) is Negotiated:
            self.engine.negotiated(event)
        elif type(event) is Other and event.neighbor is not None and event.kind != "send":
            self.engine.add_receiver(event.neighbor)

    def _routes_came(self) -> None:
        now = self._clock()
        self._coalescing.came(now)
        self.startup.update(now)

    def _came_up(self, receiver: str) -> None:
        """Say again what was to be withdrawn and may not be: with a new session ExaBGP sends what stands, no withdraws.

        Announced to is the receiver once `show neighbor extensive` says that it is up: then ExaBGP has begun to send.
        """
        self.startup.session(receiver, self._clock())
        self.own.soon(self._clock())
        self._neighbors_wanted = True
        if not self.window.greeted:
            self.engine.reachable(receiver, up=True)  # nobody will say so
        for decision, _ in self.window.unsettled():
            if not decision.announce and receiver in decision.receivers:
                self._command(self._words.say(decision._replace(receivers=(receiver,))), decision.size)

    def _went_down(self, receiver: str) -> None:
        """Take back what ExaBGP may execute from here on: it would wait for the next session.

        And 5.0 would send it then, though it be withdrawn meanwhile.
        """
        self.engine.reachable(receiver, up=False)
        for decision, written in self.window.unsettled():
            if decision.announce and receiver in decision.receivers:
                self._command(encode.take_back(written, receiver), decision.size)
                self.engine.mark_not_announced(decision, receiver)

    def _left_out(self, why: str, key: str = "line") -> None:
        self.undecodable += 1
        more = self._limiter.rate_limited(key)
        if more is not None:
            logger.warning("a line of ExaBGP was left out", router=self.engine.name, why=why, **more)

    # -- what rtrd says

    def pump(self) -> None:
        """Write what there is to say while ExaBGP has room for it; do a slice of the work that makes more."""
        if not self.open:
            return
        if not self._working and self.engine.work(0):
            self._working = True
            self._loop.call_soon(self._work)
        now = self._clock()
        self._time_work(now)
        if not self.startup.holds(now) and self.own.may_withdraw(now):
            self._withdraw_local(now)
        idle = self._decide(now)
        if not self._pipe.unwritten and self._neighbors_wanted and self.window.greeted and self.window.room(now):
            self._neighbors_wanted = False
            self._answers.ask_neighbors()
        if not self._pipe.unwritten and not self._answers.neighbors_asked and self.window.room(now):
            asked = self.startup.asks(now, greeted=self.window.greeted)
            if self.startup.over and self.window.greeted:
                asked = self.own.asks(now)
            if asked is not None:
                self._command(asked, 1)
            elif self.startup.over and self.engine.work(0) and not self._working:
                self._working = True
                self._loop.call_soon(self._work)
        self._end_round(now, idle=idle)
        if not self._pipe.unwritten and self.window.fence(now):
            self._command(FENCE, 0)
        self._set_timer(now)

    def _decide(self, now: float) -> bool:
        """Write what is decided. True: there is nothing more that could be written now."""
        if self._coalescing.waits(now, self.engine.table.waiting - self.engine.table.parked):
            return False
        skipped = 0
        while not (self._pipe.unwritten or self.rounds.draining or self.startup.holds(now)) and self.window.room(now):
            decision = self.engine.next_decision(MOST_PREFIXES)
            if decision is None:
                if self.engine.table.searching and not self._searching:
                    self._searching = True
                    self._loop.call_soon(self._search)
                return not self.engine.table.searching
            if not decision.stands:
                self._write_decision(decision, now)
                continue
            skipped += 1
            if skipped == _SKIPPED:
                self._loop.call_soon(self.pump)
                break
        return False

    def _search(self) -> None:
        self._searching = False
        self.pump()

    def _withdraw_local(self, now: float) -> None:
        """Withdraw what ExaBGP announces by itself, as a rule of the policy says."""
        while not self._pipe.unwritten and self.window.room(now):
            decision = self.engine.next_local_withdraw(MOST_PREFIXES)
            if decision is None:
                break
            logger.warning(
                "invalid routes of ExaBGP's own are withdrawn",
                router=self.engine.name, neighbors=decision.receivers, prefixes=decision.prefixes,
            )  # fmt: skip
            self._write_decision(decision, now)
        self.rounds.drain(now)

    def _write_decision(self, decision: Decision, now: float) -> None:
        kind = "announce" if decision.announce else "withdraw"
        self.commands[kind] += 1
        self.prefixes[kind] += decision.size
        self.rounds.wrote(now)
        self._command(self._words.say(decision), decision.size, decision)

    def _end_round(self, now: float, *, idle: bool) -> None:
        """See to it that what waits for the next round has one."""
        table = self.engine.table
        self.rounds.look(now, parked=table.parked > 0, full=table.round_full, idle=idle)
        if self.rounds.overdue(now):
            table.begin_round()
            self._loop.call_soon(self.pump)
        elif self.rounds.asks(now) and not self._pipe.unwritten and not self.window.waiting:
            self._command(FENCE, 0)

    def _work(self) -> None:
        self._working = False
        if self.open:
            self.engine.work(WORK)
            self._coalescing.over()  # what a change of VRPs brings waits for nobody
            self.pump()

    def _time_work(self, now: float) -> None:
        """Measure how long it takes from the first change to the last route that follows from it."""
        if self._working:
            self._work_began = now if self._work_began is None else self._work_began
        elif self._work_began is not None:
            self.on_work(now - self._work_began)
            self._work_began = None

    def _command(self, text: str, weight: int, decision: Decision | None = None) -> None:
        self.window.wrote(text, weight, self._clock(), decision)
        self._pipe.write(text)

    # -- time

    def _set_timer(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        parts = (self.window, self.rounds, self.startup, self.own, self._coalescing)
        seconds = [each for each in (part.next_deadline(now) for part in parts) if each is not None]
        if seconds:
            self._timer = self._loop.call_later(min(seconds), self.pump)

    def _ask_neighbors(self) -> None:
        self._neighbors_wanted = True
        every = NEIGHBORS_DOWN_EVERY if self.engine.unreachable else NEIGHBORS_EVERY
        self._neighbors_timer = self._loop.call_later(every, self._ask_neighbors)
        self.pump()
