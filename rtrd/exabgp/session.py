"""One ExaBGP behind its two pipes: what it says goes to the engine, the engine's commands go to it.

It is always read, whatever else is to do: ExaBGP writes to us with blocking calls and sends no keepalive to anyone
meanwhile. When something may be written is the gate's to say (`gate.py`).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable

from rtrd.base import log
from rtrd.exabgp.adj_rib_text import is_route
from rtrd.exabgp.api_sections import ApiSections
from rtrd.exabgp.bgp_sessions import Sessions
from rtrd.exabgp.decode import DecodeError, Event, Octets, Other, decode
from rtrd.exabgp.encode import Encoder, take_back
from rtrd.exabgp.gate import CONFIGURATION, MOST_PREFIXES, NEIGHBORS, NEIGHBORS_EVERY, Gate
from rtrd.exabgp.local_routes import LocalRoutesList
from rtrd.exabgp.neighbor_text import (
    Agreement,
    CanRefresh,
    ConfigurationReader,
    ExtensiveReader,
    InExtensive,
    PathIds,
    Range,
    Received,
    Row,
    SummaryReader,
    UpFor,
    is_text_event,
)
from rtrd.exabgp.neighbors import Findings, Known, Neighbors
from rtrd.exabgp.parsed import Parsed
from rtrd.exabgp.pipe import MOST_LINE, Pipe
from rtrd.exabgp.startup import ADVERTISED, StartUp
from rtrd.exabgp.window import FENCE, FENCE_HEADER, Acks, Written
from rtrd.policy import Policy, normal
from rtrd.rib.bgp_events import Negotiated, State
from rtrd.rib.bgp_session import BGPSession
from rtrd.rib.engine import Engine
from rtrd.rib.terms import Command
from rtrd.rib.update_octets import consequence, read_update

REFRESH = ("announce route-refresh ipv4 unicast\n", "announce route-refresh ipv6 unicast\n")
CONFIRM = 1.0
"""Seconds until the neighbors are listed again when one is missing."""
CONFIGURATION_AFTER = 3.0
"""Seconds after the first list of the neighbors until ExaBGP is asked how they are configured."""
CONFIGURATION_EVERY = 300.0
"""Seconds between two looks at ExaBGP's configuration, which a reload may have changed."""
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
        kept: int | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Take two descriptors; `closed` is called once, when ExaBGP is gone. `clock`: seconds that don't go back.

        `mid_line`: the first bytes are the rest of a line that somebody else began to read. `kept`: a file of what
        ExaBGP wrote before; it is closed here. `wall`: Unix time.
        """
        self.engine = engine
        self.neighbors = Neighbors()
        """What ExaBGP last said of its sessions."""
        self.api = ApiSections()
        """Whose UPDATEs ExaBGP tells."""
        self.startup = StartUp(engine, self.api)
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
        self._pipe = Pipe(read_fd, write_fd, self._read, self._room, self.close, mid_line=mid_line, kept=kept)
        self._too_long = 0
        self._closed: Callable[[], None] | None = closed
        self.clock = clock
        self._wall = wall
        self._loop = asyncio.get_running_loop()
        self._limiter = log.RateLimiter(clock)
        self._encoder = Encoder(engine)
        self._extensive = ExtensiveReader()
        self.bgp_sessions = Sessions()
        self._summary = SummaryReader()
        self._configuration = ConfigurationReader()
        self._unable: set[str] = set()  # neighbors that can't be asked for their routes again
        self._unlisted: set[str] = set()  # neighbors of which ExaBGP keeps no list of what they send
        self._foreign = False
        self._asked = NEIGHBORS  # of the two lists of neighbors
        self._whole: bool | None = None  # the list; None: it is not over
        self._behind = False  # the summary behind it is being read
        self._configuration_asked = -math.inf
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
        self.pump()

    def feed(self, text: bytes) -> None:
        """Take whole lines of ExaBGP."""
        self.engine.set_time(int(self._wall()))
        for line in text.split(b"\n")[:-1]:
            self._line(line)

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
        self.api.unreadable()
        self._warn(key, "a line of ExaBGP was left out", why=why)

    def _warn(self, key: str, event: str, **fields: str) -> None:
        more = self._limiter.rate_limited(key)
        if more is not None:
            logger.warning(event, router=self.engine.name, **fields, **more)

    def _event(self, event: Event) -> None:
        self.api.json()
        if type(event) is Octets:
            self._octets(event)
        elif type(event) is Parsed:
            self._parsed(event)
        elif type(event) is State:
            self._session_changed(event)
        elif type(event) is Negotiated:
            self.engine.negotiated(event)
        elif type(event) is Other and event.neighbor is not None:
            self._heard_of(event.neighbor)
            if event.kind == "update":  # End-of-RIB
                self._update_came(normal(event.neighbor))

    def _parsed(self, event: Parsed) -> None:
        address = normal(event.neighbor)
        if event.direction != "send":
            self._update_came(address)
        self.engine.others += event.others
        self.engine.table.no_prefixes(event.no_prefixes)
        local = normal(event.local)
        for session, body in event.updates:
            self._update(address, local, event.direction, session, body)

    def _update_came(self, address: str) -> None:
        now = self.clock()
        self.gate.routes_came(address, now)
        if self.api.update(address):
            logger.info("ExaBGP tells of a neighbor again", router=self.engine.name, neighbor=address)
            self.gate.wants_refresh(address, now)

    def _octets(self, message: Octets) -> None:
        address, local = normal(message.neighbor), normal(message.local)
        if message.kind == "update" and message.direction != "send":
            self._update_came(address)
        if message.kind == "open":
            self._opened(address, local, message)
        elif message.direction == "send":
            if (session := self.bgp_sessions.sent(address, local)) is not None:
                self._update(address, local, message.direction, session, message.body)
        elif (session := self.bgp_sessions.of(address, local, self._wall(), message.agreed)) is not None:
            self._update(address, local, message.direction, session, message.body)
        else:
            # Never a guess: whether path ids come can't be told from octets.
            self._left_out("an UPDATE of a session whose OPENs were not heard", "session")

    def _update(self, address: str, local: str, direction: str, session: BGPSession, body: bytes) -> None:
        if direction == "send":
            self.engine.local_routes.sent(read_update(address, session, body)[0])
            return
        wrong = consequence(self.engine.receive(self.neighbors.name(address, local), session, body))
        if wrong is not None:
            self._warn(
                f"update {address}", "an UPDATE is malformed", neighbor=address, why="; ".join(wrong.what),
                routes=wrong.routes,
            )  # fmt: skip

    def _opened(self, address: str, local: str, message: Octets) -> None:
        self._heard_of(message.neighbor)
        try:
            session = self.bgp_sessions.opened(address, local, message.direction, message.body)
        except ValueError as error:
            self._left_out(str(error), "open")
            return
        if session is not None:
            self.engine.spoken(address, session.local_as, session.peer_as)
            self.engine.negotiated(Negotiated(message.neighbor, session.extended_next_hop, session.four_octet_as))

    def _heard_of(self, address: str) -> None:
        """Take note of a neighbor that ExaBGP names."""
        self.engine.receivers.spell(address)
        self.engine.add_receiver(address)

    def _session_changed(self, event: State) -> None:
        logger.info(
            "neighbor up" if event.up else "neighbor down",
            router=self.engine.name,
            neighbor=event.neighbor,
            **({"reason": event.reason} if event.reason else {}),
        )
        address, now = normal(event.neighbor), self._wall()
        self._heard_of(event.neighbor)
        happened = now if event.time is None else min(event.time, now)
        self.neighbors.event(address, event.local, up=event.up, time=happened)
        self.engine.state(event, self.neighbors.name(address, normal(event.local)))
        if event.up:
            self.bgp_sessions.came_up(address, normal(event.local), happened)
            self._came_up(address)
        else:
            self.bgp_sessions.ended(address, normal(event.local))
            self.gate.neighbors_due = min(self.gate.neighbors_due, self.clock() + CONFIRM)  # it may be gone for good
            if not self.neighbors.up(address):
                self._went_down(address)

    def _refresh(self, address: str) -> None:
        if address in self._unable:
            self.startup.cannot_refresh(address, self.clock())
            self._pump_soon()
            return
        logger.info("asking a neighbor for its routes again", router=self.engine.name, neighbor=address)
        for command in REFRESH:
            self._write(f"neighbor {self.engine.receivers.spelling(address)} {command}", 1)

    def _came_up(self, receiver: str) -> None:
        """Withdraw again what ExaBGP may not have withdrawn yet: to a new session it sends what it advertises.

        The receiver is announced to once `show neighbor extensive` says that it is up: then ExaBGP has begun to send.
        """
        now, gate = self.clock(), self.gate
        self.startup.session(receiver, now)
        self.api.session(receiver)
        self.local_list.soon(now)
        gate.neighbors_due = now
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
                self._write(take_back(written, self.engine.receivers.spelling(receiver)), command.size)
                self.engine.mark_not_announced(command, receiver)

    # -- what ExaBGP says in text for people: the answers to commands

    def _text(self, text: str) -> None:
        window = self.gate.window
        if is_text_event(text):
            self._text_event()
        elif not window.started:
            return  # it was written before rtrd has asked anything
        elif text in ("done", "error"):
            self._answered(text)
        elif text.startswith(FENCE_HEADER):
            self._summary_begins(text)
        elif text.startswith("exabgp "):
            window.heard_version(text.removeprefix("exabgp "), self.clock())
        elif window.greeted:  # else it is the rest of an answer to a process that is dead
            self._listed_line(text, window.version or "")

    def _listed_line(self, text: str, version: str) -> None:
        configuration = self.gate.listing_neighbors and self._asked == CONFIGURATION and not self._behind
        if configuration and not is_route(text):  # a list of routes that was asked for before may not be over
            self._in_configuration(text)
        elif not self.startup.line(text, version) and not self.local_list.line(text, version):
            self._about_neighbors(text, version)

    def _text_event(self) -> None:
        if self.api.text_since is None:
            logger.error("ExaBGP writes its events as text: `encoder json` is missing", router=self.engine.name)
            self.api.text(self._wall())
            self._api_changes()

    def _answered(self, answer: str) -> None:
        answered = self.gate.window.heard_answer(self.clock(), error=answer == "error")
        if answered is None:
            return
        self._settled(answered, answer=answer)
        if answered.command is not None:
            self.refused_in_a_row = self.refused_in_a_row + 1 if answer == "error" else 0
            self.accepted += answer != "error"
        if answer == "error" and not answered.text.endswith(REFRESH):
            self._warn("error", "ExaBGP refused a command", command=answered.text.rstrip("\n"))

    def _summary_begins(self, header: str) -> None:
        greeted = self.gate.window.greeted
        for settled in self.gate.window.heard_fence(self.clock()):
            self._settled(settled)
        if not greeted:
            return
        self._summary.header(header)
        if self._behind:
            self._list_over(summary=False)  # its `done` never came
        if self._whole is not None:
            self._behind = True
            self.neighbors.summary_begins()
        elif self.gate.barrier.answer_begins(self.clock()):
            self.engine.table.barrier_falls()

    def _settled(self, command: Written, answer: str | None = None) -> None:
        """ExaBGP has executed a command, and has answered it to the end; None: without saying so."""
        if command.text in (NEIGHBORS, CONFIGURATION):
            silent = self.gate.window.acks is not Acks.ON
            certain = command.text == CONFIGURATION or not (self.gate.window.version or "").startswith("4.")
            self._whole = answer == "done" or (silent and certain)
            if silent:
                self._list_over(summary=False)
        elif command.text == FENCE and self._whole is not None:
            self._list_over(summary=self._behind)
        elif command.text == ADVERTISED and self.local_list.due is None:
            self._advertised_listed(whole=answer == "done" or self.gate.window.acks is Acks.OFF)
        elif command.text.startswith("show adj-rib "):
            self.startup.ended(command.text, self.clock())
            if self.engine.previous_run.left:
                self.gate.barrier.drain(self.clock())  # ExaBGP may have yet to send what the previous run announced
            logger.info(
                "asked ExaBGP what it had before", router=self.engine.name, phase=self.startup.phase.value,
                stale=self.engine.previous_run.found, learned=self.startup.learned,
                unreadable=self.startup.unreadable,
            )  # fmt: skip

    def _advertised_listed(self, *, whole: bool) -> None:
        for route in self.local_list.ended():
            logger.warning(
                "a withdrawn local route is not invalid any more; ExaBGP announces it when it reloads",
                router=self.engine.name, neighbor=route.neighbor, prefix=route.prefix,
            )  # fmt: skip
        removed = self.local_list.removed(self.clock()) if whole else []
        for neighbor in sorted({route.neighbor for route in removed}):
            prefixes = [route.prefix for route in removed if route.neighbor == neighbor]
            logger.warning(
                "somebody else removed what rtrd had announced; it is announced again",
                router=self.engine.name, neighbor=neighbor, routes=len(prefixes), first=prefixes[0],
            )  # fmt: skip

    def _in_configuration(self, text: str) -> None:
        configured = self._configuration.read(text)
        if configured is not None:
            self.engine.receivers.spell(configured)
            self.neighbors.configured(configured)

    def _about_neighbors(self, text: str, version: str) -> None:
        if (row := self._summary.read(text)) is not None:
            self._in_summary(row)
        elif (found := self._extensive.read(text, version)) is not None:
            self._in_extensive(found)
        elif not text[:1].isspace() and not text.startswith("Neighbor "):
            self._left_out("neither JSON nor an answer that rtrd asked for", "text")

    def _in_extensive(self, found: InExtensive) -> None:
        if isinstance(found, Row):
            self._listed(found)
        elif isinstance(found, UpFor):
            self.neighbors.up_for(found.seconds, self._wall())
        elif isinstance(found, Range):
            self.neighbors.listed_range(found.network)
        elif isinstance(found, PathIds):
            self.engine.path_ids(found.address, found.family, taken=found.taken)
        elif isinstance(found, CanRefresh):
            (self._unable.discard if found.able else self._unable.add)(normal(found.address))
        elif isinstance(found, Received):
            self.api.counted(normal(found.address), found.updates, found.families)
        else:
            self._agreed(found)

    def _agreed(self, found: Agreement) -> None:
        address, local = normal(found.address), normal(found.local)
        self.engine.spoken(address, found.local_as, found.peer_as)
        self.engine.four_octet_as(address, agreed=found.four_octet_as)
        if self.bgp_sessions.listed(address, found._replace(local=local), self._wall()):
            self.gate.wants_refresh(address, self.clock())  # UPDATEs that came before could not be read

    def _in_summary(self, row: Row) -> None:
        if not row.established:
            return
        address = normal(row.address)
        if not self._behind:
            self.gate.barrier.sent(address, row.sent)
        if self.neighbors.in_summary(address, self._wall()):
            self.gate.neighbors_due = self.clock()  # the list knows more
        self._is_up(row.address)

    def _listed(self, row: Row) -> None:
        if self.neighbors.listed(row, self._wall()):
            self._is_up(row.address)
        elif row.address not in self.engine.receivers and self.neighbors.up(normal(row.address)) is False:
            self._heard_of(row.address)
            self.engine.reachable(row.address, up=False)

    def _is_up(self, address: str) -> None:
        self._heard_of(address)
        address = normal(address)
        news = self.engine.reachable(address, up=not self._came_by_a_range(address))
        if self.startup.established(address):
            # The session is older than this process, and ExaBGP repeats nothing: its routes must be sent again.
            self.gate.wants_refresh(address, self.clock())
            if not self.api.known and self.gate.configuration_due is None and self._asked != CONFIGURATION:
                self.gate.configuration_due = self.clock()
        elif news and address in self.neighbors.untold:
            self.gate.wants_refresh(address, self.clock())  # what it has sent may have gone with its last session

    def _ask_for_neighbors(self, question: str) -> None:
        self._asked = question
        self.neighbors.list_begins()
        if question == NEIGHBORS:
            self.api.list_begins()
        self._configuration = ConfigurationReader()
        self._write(question, 1)
        # Behind it, so that it is known whether ExaBGP answered to the end: 4.2 may fail in the middle, without a word.
        self._write(FENCE, 0)

    def _list_over(self, *, summary: bool) -> None:
        """Take what follows from a list of the neighbors, and from the summary behind it."""
        whole, self._whole, self._behind = bool(self._whole), None, False
        engine, neighbors = self.engine, self.neighbors
        known = Known(engine.receivers.bits, engine.names())
        over = neighbors.list_over if self._asked == NEIGHBORS else neighbors.configuration_over
        self._found(over(known, self._wall(), whole=whole, summary=summary))
        for address in filter(neighbors.up, engine.receivers):
            engine.reachable(address, up=not self._came_by_a_range(address))
        now = self.clock()
        down = any(not engine.receivers.up(one) for one in engine.receivers if not self._came_by_a_range(one))
        self.gate.neighbors_listed(now, down=down)
        if self._asked == CONFIGURATION:
            self.gate.configuration_due = now + CONFIGURATION_EVERY
            if whole:
                self._configured()
        elif self.api.list_over():
            self.gate.neighbors_due = min(self.gate.neighbors_due, now + CONFIRM)
            self.gate.configuration_due = now
        elif self.gate.configuration_due is None:
            self.gate.configuration_due = now + CONFIGURATION_AFTER
        self._api_changes()
        again = neighbors.missing or now >= self._configuration_asked + NEIGHBORS_EVERY
        if neighbors.unclear and (again or not neighbors.configuration_told):
            self._configuration_asked = now if neighbors.configuration_told else -math.inf
            self.gate.configuration_due = now
        elif neighbors.missing:
            self.gate.neighbors_due = min(self.gate.neighbors_due, now + CONFIRM)

    def unlearnable(self) -> set[str]:
        """Give the neighbors that can't send their routes again, and of which ExaBGP keeps no list either."""
        return {one for one in self._unable & self._unlisted if self.neighbors.up(one)}

    def _configured(self) -> None:
        self.local_list.forgetful = frozenset(map(normal, self._configuration.forgetful))
        self._unlisted = set(map(normal, self._configuration.unlisted))
        sections = ((one, tuple(own.values())) for one, own in self._configuration.sections.items())
        for address in self.api.configured(sections):
            self.gate.wants_refresh(address, self.clock())
        for address in self.api.without_changes():
            if self.neighbors.up(address):
                self.neighbors.untold.setdefault(address, self._wall())

    def _api_changes(self) -> None:
        """Let go of routes that can't be followed any more; ask for those that can be from now on."""
        neighbors, engine, names = self.neighbors, self.engine, self.engine.names()
        lost, found = self.api.changes((one for one in neighbors.addresses() if neighbors.up(one)), self._wall())
        for address in lost:
            for name in names.get(address, ()):
                logger.warning("ExaBGP does not tell of a neighbor's UPDATEs", router=engine.name, neighbor=name)
                engine.state(State(address, up=False, reason=""), name)
        for address in found:
            self.gate.wants_refresh(address, self.clock())

    def _came_by_a_range(self, address: str) -> bool:
        """Whether a session that is up is one for which ExaBGP takes commands, and sends to nobody."""
        return bool(self.neighbors.up(address)) and self.neighbors.visits(address)

    def _found(self, findings: Findings) -> None:
        engine, names = self.engine, self.engine.names()
        for address in findings.down:
            self._listed_down(address, names.get(address, ()))
        for address in findings.again:
            logger.warning("neighbor up again, as ExaBGP lists it", router=engine.name, neighbor=address)
            for name in names.get(address, [address]):
                engine.state(State(address, up=True, reason=""), name)
            self.api.session(address)
            self.gate.wants_refresh(address, self.clock())
        if findings.gone:
            logger.info("neighbors gone, as ExaBGP lists them", router=engine.name, neighbors=findings.gone)
            engine.forget(findings.gone)
            self.api.forget(findings.gone)
            self._unable.difference_update(findings.gone)

    def _listed_down(self, address: str, names: Iterable[str]) -> None:
        for local in self.neighbors.sessions(address):
            self.bgp_sessions.ended(address, normal(local))
        for name in names:
            logger.warning("neighbor down, as ExaBGP lists it", router=self.engine.name, neighbor=name)
            self.engine.state(State(address, up=False, reason=""), name)
        if self.engine.receivers.up(address):
            self._went_down(address)

    # -- what ExaBGP is told

    def pump(self) -> None:
        """Write what there is to write and the gate lets through; see to it that this happens again in time."""
        if not self.open:
            return
        now = self.clock()
        self._greet(now)
        if self.gate.may_withdraw_local(now):
            self._withdraw_local(now)
        idle = self._write_commands(now)
        while (address := self.gate.refresh(now)) is not None:
            self._refresh(address)
        question = self.gate.question(now)
        if question in (NEIGHBORS, CONFIGURATION):
            self._ask_for_neighbors(question)
        elif question is not None:
            self._write(question, 1)
        if self.gate.barrier_falls(now, idle=idle):
            self.engine.table.barrier_falls()
            self._pump_soon()
        if (fence := self.gate.fence(now)) is not None:
            self._write(fence, 0)
        self._work_soon(now)
        self._set_timer(now)

    def _greet(self, now: float) -> None:
        window = self.gate.window
        if (text := window.says(now)) is not None:
            self.gate.pipe_full = not self._pipe.write(text)
        if window.foreign and not self._foreign:
            logger.error(
                "ExaBGP answers `error` to `version`: rtrd speaks the API of ExaBGP 4 and 5", router=self.engine.name
            )
        self._foreign = window.foreign

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
            self.engine.set_time(int(self._wall()))
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
