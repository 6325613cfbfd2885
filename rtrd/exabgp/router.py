"""An ExaBGP's pipe: what it writes to its process in, commands out, and the engine between.

stdin is always read, whatever else is to do: ExaBGP writes to us with blocking calls and sends no keepalive to
anyone meanwhile. stdout never blocks: what does not fit waits here, and nothing more is decided until it is gone.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from typing import TYPE_CHECKING

from rtrd.exabgp import encode
from rtrd.exabgp.decode import DecodeError, Event, Negotiated, Other, Sent, State, Update, decode
from rtrd.exabgp.flow import FENCE, FENCE_HEADER, Window
from rtrd.exabgp.summary import ExtensiveReader, PathIds, read_row
from rtrd.ops import log
from rtrd.ops.durations import Durations

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtrd.engine import Decision, Engine
    from rtrd.policy import Policy

READ = 1 << 18
"""Bytes read at a time: a few milliseconds of lines."""
MOST_LINE = 16 << 20
"""Bytes of one line; a longer one is skipped and counted."""
MOST_PREFIXES = 100
"""In one command: more gains little and holds ExaBGP's loop longer (docs/exabgp.md)."""
LINGER = 0.01
"""Seconds that a few routes wait for more while ExaBGP's lines bring some: one command for many costs it far less."""
WORK = 2000
"""Routes in one slice of work: about a millisecond."""
NEIGHBORS_EVERY = 60.0
"""Seconds between two looks at ExaBGP's neighbours, which a reload may have changed."""
_REMEMBERED = 4096

NEIGHBORS = "show neighbor extensive\n"
REFRESH = ("announce route-refresh ipv4 unicast\n", "announce route-refresh ipv6 unicast\n")

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
        self.lines = 0
        self.undecodable = 0
        self.commands: Counter[str] = Counter()
        """Commands that were written: `announce`, `withdraw`."""
        self.prefixes: Counter[str] = Counter()
        """Prefixes in them: `announce`, `withdraw`."""
        self.work = Durations()
        """Seconds from a change (of VRPs, policy, sessions) to the last route that followed from it."""
        self._work_began: float | None = None
        self._read_fd, self._write_fd = read_fd, write_fd
        self._closed: Callable[[], None] | None = closed
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._limiter = log.RateLimiter(clock)
        self._partial: list[bytes] = []
        self._partial_size = 0
        self._skipping = mid_line
        self._unwritten = b""
        self._writing = False
        self._timer: asyncio.TimerHandle | None = None
        self._neighbors_timer: asyncio.TimerHandle | None = None
        self._neighbors_wanted = True
        self._neighbors = ExtensiveReader()
        self._working = False
        self._routes_came = False
        self._lingering_since: float | None = None
        self._refreshed = False
        self._words: dict[tuple[bytes, int], str] = {}

    # -- life

    def start(self) -> None:
        """Begin to read, and ask ExaBGP who it is."""
        os.set_blocking(self._read_fd, False)
        os.set_blocking(self._write_fd, False)
        try:
            self._loop.add_reader(self._read_fd, self._readable)
        except PermissionError:  # a regular file is always readable, and epoll won't have it
            self._loop.call_soon(self._read_file)
        self._write(self.window.start(self._clock()))
        self._ask_neighbors()
        self.pump()

    def close(self) -> None:
        """Stop reading and writing; nothing happens the second time."""
        closed, self._closed = self._closed, None
        if closed is None:
            return
        self._loop.remove_reader(self._read_fd)
        if self._writing:
            self._loop.remove_writer(self._write_fd)
        for timer in (self._timer, self._neighbors_timer):
            if timer is not None:
                timer.cancel()
        closed()

    @property
    def unwritten(self) -> int:
        """Bytes that ExaBGP's pipe has no room for yet."""
        return len(self._unwritten)

    def set_policy(self, policy: Policy, cause: int) -> None:
        """Decide by another policy from now on; `cause`: a number of the journal."""
        self._words.clear()
        self.engine.set_policy(policy, cause)
        self.pump()

    @property
    def idle(self) -> bool:
        """True when nothing is left to say and ExaBGP has executed all that was said, or is gone."""
        busy = self.engine.work(0) or self.engine.table.waiting or self._unwritten or self.window.waiting
        return not self.open or not busy

    @property
    def open(self) -> bool:
        """False once ExaBGP is gone."""
        return self._closed is not None

    # -- what ExaBGP says

    def _readable(self) -> None:
        try:
            data = os.read(self._read_fd, READ)
        except BlockingIOError:
            return
        except OSError as error:
            logger.error("ExaBGP's pipe failed", why=os.strerror(error.errno or 0))  # noqa: TRY400
            data = b""
        if not data:
            logger.info("ExaBGP closed the pipe")
            self.close()
            return
        self._routes_came = False
        self.feed(data)
        self.pump(linger=self._routes_came)

    def _read_file(self) -> None:
        self._readable()
        if self.open:
            self._loop.call_soon(self._read_file)

    def feed(self, data: bytes) -> None:
        """Take bytes of ExaBGP, whole lines or not."""
        *lines, rest = data.split(b"\n")
        if lines:
            if self._partial:
                lines[0] = b"".join((*self._partial, lines[0]))
                self._partial.clear()
                self._partial_size = 0
            if self._skipping:
                self._skipping = False
                del lines[0]
            for line in lines:
                self._line(line)
        if rest and not self._skipping:
            self._partial.append(rest)
            self._partial_size += len(rest)
            if self._partial_size > MOST_LINE:
                self._partial.clear()
                self._partial_size = 0
                self._skipping = True
                self._left_out(f"longer than {MOST_LINE} bytes")

    def _line(self, line: bytes) -> None:
        self.lines += 1
        if line[:1] == b"{":
            try:
                if self.engine.take_line(line):
                    self._routes_came = True
                    return
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
        elif line:
            self._text(line)

    def _event(self, event: Event) -> None:
        if type(event) is Update:
            self._routes_came = True
            self.engine.update(event)
        elif type(event) is Sent:
            self.engine.egress.sent(event.update)
        elif type(event) is State:
            logger.info(
                "neighbor up" if event.up else "neighbor down",
                router=self.engine.name,
                neighbor=event.neighbor,
                **({"reason": event.reason} if event.reason else {}),
            )
            self.engine.state(event)
            self._neighbors_wanted = self._neighbors_wanted or event.up
        elif type(event) is Negotiated:
            self.engine.negotiated(event)
        elif type(event) is Other and event.neighbor is not None and event.kind != "send":
            self.engine.add_target(event.neighbor)

    def _left_out(self, why: str, key: str = "line") -> None:
        self.undecodable += 1
        more = self._limiter.rate_limited(key)
        if more is not None:
            logger.warning("a line of ExaBGP was left out", router=self.engine.name, why=why, **more)

    def _text(self, line: bytes) -> None:
        text = line.decode("ascii", "replace").rstrip("\r")
        if text in ("done", "error"):
            answered = self.window.heard_answer(error=text == "error")
            if text == "error" and answered is not None and answered.text not in REFRESH:
                more = self._limiter.rate_limited("error")
                if more is not None:
                    command = answered.text.rstrip("\n")
                    logger.warning("ExaBGP refused a command", router=self.engine.name, command=command, **more)
        elif text.startswith(FENCE_HEADER):
            self.window.heard_fence()
        elif text.startswith("exabgp "):
            self.window.heard_version(text.removeprefix("exabgp "))
        else:
            self._about_neighbors(text)

    def _about_neighbors(self, text: str) -> None:
        said = read_row(text) or self._neighbors.read(text, self.window.version or "")
        if isinstance(said, PathIds):
            self.engine.path_ids(said.address, said.family, taken=said.taken)
        elif said is not None:
            self._neighbor(said.address, established=said.established)
        elif not text[:1].isspace() and not text.startswith("Neighbor "):
            self._left_out("neither JSON nor an answer that rtrd asked for", key="text")

    def _neighbor(self, address: str, *, established: bool) -> None:
        self.engine.add_target(address)
        if established and address not in self.engine.sessions and not self._refreshed:
            # The session is older than this process, and ExaBGP repeats nothing: its routes must be sent again.
            self._refreshed = True
            logger.info("asking the neighbours for their routes again", router=self.engine.name)
            for command in REFRESH:
                self._command(command, 1)

    # -- what rtrd says

    def pump(self, *, linger: bool = False) -> None:
        """Write what there is to say while ExaBGP has room for it; do a slice of the work that makes more.

        With `linger` a few routes wait a moment for those that come with the next lines.
        """
        if not self.open:
            return
        if not self._working and self.engine.work(0):
            self._working = True
            self._loop.call_soon(self._work)
        now = self._clock()
        self._time_work(now)
        linger = linger and self._linger(now)
        while not linger and not self._unwritten and self.window.room(now):
            self._lingering_since = None
            decision = self.engine.next_decision(MOST_PREFIXES)
            if decision is None:
                break
            kind = "announce" if decision.announce else "withdraw"
            self.commands[kind] += 1
            self.prefixes[kind] += decision.size
            self._command(self._say(decision), decision.size)
        if not self._unwritten and self._neighbors_wanted and self.window.greeted and self.window.room(now):
            self._neighbors_wanted = False
            self._command(NEIGHBORS, 1)
        if not self._unwritten and self.window.fence(now):
            self._command(FENCE, 0)
        self._set_timer(now)

    def _linger(self, now: float) -> bool:
        if not 0 < self.engine.table.waiting < 2 * MOST_PREFIXES:
            return False
        if self._lingering_since is None:
            self._lingering_since = now
        return now - self._lingering_since < LINGER

    def _work(self) -> None:
        self._working = False
        if self.open:
            self.engine.work(WORK)
            self.pump()

    def _time_work(self, now: float) -> None:
        """Measure how long it takes from the first change to the last route that follows from it."""
        if self._working:
            self._work_began = now if self._work_began is None else self._work_began
        elif self._work_began is not None:
            self.work.add(now - self._work_began)
            self._work_began = None

    def _say(self, decision: Decision) -> str:
        selector = encode.select(decision.targets)
        if not decision.announce:
            return encode.withdraw(selector, decision.family, decision.path_id, decision.prefixes)
        key = (decision.attributes, id(decision.outcome))
        words = self._words.get(key)
        if words is None:
            if len(self._words) >= _REMEMBERED:
                self._words.clear()
            attributes = self.engine.attributes(decision.attributes)
            words = self._words[key] = encode.attribute_words(attributes, decision.outcome)
        return encode.announce(selector, words, decision.path_id, decision.prefixes)

    def _command(self, text: str, weight: int) -> None:
        self.window.wrote(text, weight, self._clock())
        self._write(text)

    def _write(self, text: str) -> None:
        self._unwritten += text.encode("ascii")
        self._flush()

    def _flush(self) -> None:
        try:
            while self._unwritten:
                self._unwritten = self._unwritten[os.write(self._write_fd, self._unwritten) :]
        except BlockingIOError:
            if not self._writing:
                self._writing = True
                self._loop.add_writer(self._write_fd, self._writable)
            return
        except OSError:
            # Nobody reads our commands any more. What ExaBGP still writes is read until it closes the pipe.
            self._unwritten = b""
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._write_fd)

    def _writable(self) -> None:
        self._flush()
        self.pump()

    # -- time

    def _set_timer(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        seconds = self.window.next_deadline(now)
        if self._lingering_since is not None:
            left = max(0.0, self._lingering_since + LINGER - now)
            seconds = left if seconds is None else min(seconds, left)
        if seconds is not None:
            self._timer = self._loop.call_later(seconds, self.pump)

    def _ask_neighbors(self) -> None:
        self._neighbors_wanted = True
        self._neighbors_timer = self._loop.call_later(NEIGHBORS_EVERY, self._ask_neighbors)
        self.pump()
