"""The conversation with one ExaBGP about its neighbors: what events and lists say, what follows, what is asked. Pure.

Lists are answers in text for people, in many lines: of the neighbors, of what is configured, of routes. Each subject is
a module of its own (neighbors.py, api_sections.py, bgp_sessions.py, startup.py, local_routes.py); here they meet.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from rtrd.base import log
from rtrd.exabgp.adj_rib_text import is_route
from rtrd.exabgp.api_sections import ApiSections
from rtrd.exabgp.bgp_sessions import BGPSessions
from rtrd.exabgp.decode import Octets
from rtrd.exabgp.encode import Encoder, take_back
from rtrd.exabgp.gate import CONFIGURATION, NEIGHBORS, NEIGHBORS_EVERY, Gate
from rtrd.exabgp.local_routes import LocalRoutesList
from rtrd.exabgp.neighbor_text import (
    Agreement,
    CanRefresh,
    ConfigurationReader,
    ExtensiveReader,
    InExtensive,
    PathIds,
    Range,
    ReceivedUpdates,
    SessionRow,
    SummaryReader,
    UpFor,
)
from rtrd.exabgp.neighbors import Findings, Known, Neighbors
from rtrd.exabgp.senders import Sender, Senders
from rtrd.exabgp.sent_before import SentBefore
from rtrd.exabgp.startup import ADVERTISED, StartUp
from rtrd.exabgp.window import FENCE, Acks, Written
from rtrd.policy import normal
from rtrd.rib.bgp_events import Negotiated, State
from rtrd.rib.bgp_session import BGPSession
from rtrd.rib.engine import Engine
from rtrd.rib.local_routes import LocalRoute

REFRESH = ("announce route-refresh ipv4 unicast\n", "announce route-refresh ipv6 unicast\n")
CONFIRM = 1.0
"""Seconds until the neighbors are listed again when one is missing."""
LISTED_AGAIN = 5
"""Sessions in lists that may have been read late, for which another list is asked for soon, and not in a minute."""
CONFIGURATION_AFTER = 3.0
"""Seconds after the first list of the neighbors until ExaBGP is asked how they are configured."""
CONFIGURATION_EVERY = 300.0
"""Seconds between two looks at ExaBGP's configuration, which a reload may have changed."""
logger = log.get("exabgp")


class Conversation:
    """What is known of one ExaBGP's neighbors, and what is asked of it."""

    def __init__(
        self,
        engine: Engine,
        encoder: Encoder,
        write: Callable[[str, int], object],
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        """`write`: takes a line and how many prefixes are in it; `clock`: seconds that don't go back; `wall`: Unix."""
        self.neighbors = Neighbors()
        """What ExaBGP last said of its sessions."""
        self.api = ApiSections()
        """Whose UPDATEs ExaBGP tells."""
        self.bgp_sessions = BGPSessions()
        """What its sessions have agreed on."""
        self.sent_before = SentBefore(self.api, self.neighbors)
        """How it can be known what its neighbors had sent before."""
        self.startup = StartUp(engine, self.api, self.neighbors, self.bgp_sessions, self.sent_before)
        self.local_list = LocalRoutesList(engine, clock())
        self.gate = Gate(engine.table.state, engine.local_routes.rib, self.startup, self.local_list, clock())
        self.senders = Senders()
        """What `sender` gave, until anything else is said of a session."""
        self._engine = engine
        self._encoder = encoder
        self._write = write
        self._clock = clock
        self._wall = wall
        self._extensive = ExtensiveReader()
        self._summary = SummaryReader()
        self._configuration = ConfigurationReader()
        self._asked = NEIGHBORS  # of the two lists of neighbors
        self._whole: bool | None = None  # the list; None: it is not over
        self._again = LISTED_AGAIN
        self._listing = False  # a summary has begun, and its `done` is to come
        self._behind = False  # the summary behind it is being read
        self._configuration_asked = -math.inf

    # -- events

    def sender(self, neighbor: str, own: str) -> Sender:
        """Take note of an UPDATE by a session, given its two addresses as ExaBGP writes them."""
        address, local = normal(neighbor), normal(own)
        if self.api.update(address):
            logger.info("ExaBGP reports a neighbor's UPDATEs again", router=self._engine.name, neighbor=address)
            self.gate.wants_refresh(address, self._clock())
        session = self.bgp_sessions.agreed.get((address, local))
        return self.senders.add(neighbor, own, Sender(address, self.neighbors.name(address, local), session))

    def heard_of(self, address: str) -> None:
        """Take note of a neighbor that ExaBGP names."""
        self._engine.receivers.spell(address)
        self._engine.add_receiver(address)

    def opened(self, message: Octets) -> None:
        """Take an OPEN. Raises ValueError, with what is wrong, for what is none."""
        address, local = normal(message.neighbor), normal(message.local)
        self.senders.clear()
        self.heard_of(message.neighbor)
        if message.direction == "send" and (own := self.neighbors.spelled_up(address, local)) is not None:
            # ExaBGP sends none while a session is up, so that one has ended, and there was no event.
            self.session_changed(State(message.neighbor, up=False, reason="the next OPEN is sent", local=own))
            self.neighbors.untold.setdefault(address, self._wall())
        session = self.bgp_sessions.opened(address, local, message.direction, message.body, self._wall())
        if session is not None:
            self._agreed_on(message.neighbor, local, session)

    def _agreed_on(self, neighbor: str, local: str, session: BGPSession) -> None:
        self._engine.spoken(self.neighbors.name(normal(neighbor), local), session.local_as, session.peer_as)
        self._engine.negotiated(Negotiated(neighbor, session.extended_next_hop, session.four_octet_as))

    def session_changed(self, event: State) -> None:
        """Take a session that came up or went down."""
        logger.info(
            "neighbor up" if event.up else "neighbor down",
            router=self._engine.name,
            neighbor=event.neighbor,
            **({"reason": event.reason} if event.reason else {}),
        )
        self.senders.clear()
        address, now = normal(event.neighbor), self._wall()
        self.heard_of(event.neighbor)
        happened = now if event.time is None else min(event.time, now)
        self.neighbors.event(address, event.local, up=event.up, time=happened)
        self._engine.state(event, self.neighbors.name(address, normal(event.local)))
        if event.up:
            session = self.bgp_sessions.came_up(address, normal(event.local), happened)
            if session is not None:
                self._agreed_on(event.neighbor, normal(event.local), session)
            self._came_up(address)
        else:
            self.bgp_sessions.ended(address, normal(event.local))
            self.gate.neighbors_due = min(self.gate.neighbors_due, self._clock() + CONFIRM)  # it may be gone for good
            if not self.neighbors.up(address):
                self._went_down(address)

    def _came_up(self, receiver: str) -> None:
        """Withdraw again what ExaBGP may not have withdrawn yet: to a new session it sends what it advertises.

        The receiver is announced to once `show neighbor extensive` says that it is up: then ExaBGP has begun to send.
        """
        now, gate = self._clock(), self.gate
        self.startup.session(receiver, now)
        self.api.session(receiver)
        self.local_list.soon(now)
        gate.neighbors_due = now
        bit = self._engine.receivers.bit(receiver)
        for command, _ in gate.window.unsettled():
            if not command.announce and command.receivers & bit:
                self._write(self._encoder.encode(command._replace(receivers=bit)), command.size)

    def _went_down(self, receiver: str) -> None:
        """Withdraw what ExaBGP may execute from here on: 5.0 would send it in the next session, withdrawn or not."""
        self._engine.reachable(receiver, up=False)
        bit = self._engine.receivers.bit(receiver)
        for command, written in self.gate.window.unsettled():
            if command.announce and command.receivers & bit:
                self._write(take_back(written, self._engine.receivers.spelling(receiver)), command.size)
                self._engine.mark_not_announced(command, receiver)

    def text_event(self) -> None:
        """Take note of an event that is no JSON."""
        self.senders.clear()  # so that the next line in JSON is seen to be one
        if self.api.text_since is None:
            logger.error("ExaBGP writes its events as text: `encoder json` is missing", router=self._engine.name)
            self.api.text(self._wall())
            self._api_changes()

    # -- what is asked

    def refresh(self, address: str) -> None:
        """Have a neighbor send its routes again."""
        if self.sent_before.knows_no_refresh(address):
            self.startup.cannot_refresh(address, self._clock())
            return
        logger.info("asking a neighbor for its routes again", router=self._engine.name, neighbor=address)
        for command in REFRESH:
            self._write(f"neighbor {self._engine.receivers.spelling(address)} {command}", 1)

    def ask(self, question: str) -> None:
        """Ask a question that is answered in many lines."""
        self._write(question, 1)
        if question not in (NEIGHBORS, CONFIGURATION):
            return
        self._asked = question
        self.neighbors.list_begins(self._wall())
        if question == NEIGHBORS:
            self.api.list_begins()
            self.senders.clear()  # so that whose UPDATEs come meanwhile is seen
        self._configuration = ConfigurationReader()
        # Behind it, so that it is known whether ExaBGP answered to the end: 4.2 may fail in the middle, without a word.
        self._write(FENCE, 0)

    # -- answers

    def listed_line(self, text: str, version: str) -> bool:
        """Take a line of an answer. False: it is none that was asked for."""
        configuration = self.gate.listing_neighbors and self._asked == CONFIGURATION and not self._behind
        if configuration and not is_route(text):  # a list of routes that was asked for before may not be over
            self._in_configuration(text)
            return True
        return (
            self.startup.line(text, version)
            or self.local_list.line(text, version)
            or self._about_neighbors(text, version)
        )

    def summary_begins(self, header: str) -> None:
        """Take the first line of the answer to a fence."""
        greeted = self.gate.window.greeted
        for settled in self.gate.window.heard_fence(self._clock()):
            self.settled(settled)
        self._listing = True
        if not greeted:
            return
        self._summary.header(header)
        if self._behind:
            self._list_over(summary=False)  # its `done` never came
        if self._whole is not None:
            self._behind = True
            self.neighbors.summary_begins()
        elif self.gate.barrier.answer_begins(self._clock()):
            self._engine.table.barrier_falls()

    def settled(self, command: Written, answer: str | None = None) -> None:
        """ExaBGP has executed a command, and has answered it to the end; None: without saying so."""
        if command.text == FENCE and answer is not None:
            self._summary_ends()
        if command.text in (NEIGHBORS, CONFIGURATION):
            silent = self.gate.window.acks is not Acks.ON
            certain = command.text == CONFIGURATION or not (self.gate.window.version or "").startswith("4.")
            self._whole = answer == "done" or (silent and certain)
            if silent:
                self._list_over(summary=False)
        elif command.text == FENCE and self._whole is not None:
            self._list_over(summary=self._behind and answer != "error")
        elif command.text == ADVERTISED and self.local_list.due is None:
            self._advertised_listed(whole=answer == "done" or self.gate.window.acks is Acks.OFF)
        elif command.text.startswith("show adj-rib "):
            self.startup.ended(command.text, self._clock())
            if self._engine.previous_run.left:
                self.gate.barrier.drain(self._clock())  # ExaBGP may have yet to send what the previous run announced
            logger.info(
                "asked ExaBGP what it had before", router=self._engine.name, phase=self.startup.phase.value,
                stale=self._engine.previous_run.found, learned=self.startup.learned,
                unreadable=self.startup.unreadable,
            )  # fmt: skip

    def _summary_ends(self) -> None:
        if not self._listing:
            self.gate.barrier.answered_without_list(self._clock())
        self._listing = False

    def _advertised_listed(self, *, whole: bool) -> None:
        for route in self.local_list.ended():
            logger.warning(
                "a withdrawn local route is not invalid any more; ExaBGP announces it when it reloads",
                router=self._engine.name, neighbor=route.neighbor, prefix=route.prefix,
            )  # fmt: skip
        before = set(self.local_list.replaced)
        removed = self.local_list.removed(self._clock()) if whole else []
        self._warn("somebody else removed what rtrd had announced; it is announced again", removed)
        replaced = self.local_list.replaced - before
        self._warn("somebody else announced what rtrd had announced, and theirs stands", replaced)

    def _warn(self, what: str, routes: Iterable[LocalRoute]) -> None:
        prefixes: dict[str, list[str]] = {}
        for route in sorted(routes):
            prefixes.setdefault(route.neighbor, []).append(route.prefix)
        for neighbor, some in prefixes.items():
            logger.warning(what, router=self._engine.name, neighbor=neighbor, routes=len(some), first=some[0])

    def _in_configuration(self, text: str) -> None:
        configured = self._configuration.read(text)
        if configured is not None:
            self._engine.receivers.spell(configured)
            self.neighbors.configured(configured)

    def _about_neighbors(self, text: str, version: str) -> bool:
        if (row := self._summary.read(text)) is not None:
            self._in_summary(row)
        elif (found := self._extensive.read(text, version)) is not None:
            self._in_extensive(found)
        else:
            return text[:1].isspace() or text.startswith("Neighbor ")
        return True

    def _in_extensive(self, found: InExtensive) -> None:
        if isinstance(found, SessionRow):
            self._listed(found)
        elif isinstance(found, UpFor):
            self.neighbors.up_for(found.seconds, self._wall())
        elif isinstance(found, Range):
            self.neighbors.listed_range(found.network)
        elif isinstance(found, PathIds):
            self._engine.path_ids(found.address, found.family, taken=found.taken)
        elif isinstance(found, CanRefresh):
            self.sent_before.can_refresh(normal(found.address), able=found.able)
        elif isinstance(found, ReceivedUpdates):
            self.api.counted(normal(found.address), found.updates, found.families)
        else:
            self._agreed(found)

    def _agreed(self, found: Agreement) -> None:
        self.senders.clear()
        address, local = normal(found.address), normal(found.local)
        self._engine.spoken(self.neighbors.name(address, local), found.local_as, found.peer_as)
        self._engine.four_octet_as(address, agreed=found.four_octet_as)
        self.startup.as_known(address, self._clock())
        if self.bgp_sessions.listed(address, found._replace(local=local), self._wall()):
            self.gate.wants_refresh(address, self._clock())  # UPDATEs that came before could not be read
        elif self._again and self.bgp_sessions.doubtful(address, local):
            self._again -= 1
            self.gate.neighbors_due = min(self.gate.neighbors_due, self._clock() + CONFIRM)

    def _in_summary(self, row: SessionRow) -> None:
        if not row.established:
            return
        address = normal(row.address)
        if not self._behind:
            self.gate.barrier.sent(address, row.sent)
        if self.neighbors.in_summary(address, self._wall()):
            self.gate.neighbors_due = self._clock()  # the list knows more
        self._is_up(row.address)

    def _listed(self, row: SessionRow) -> None:
        if self.neighbors.listed(row, self._wall()):
            self._is_up(row.address)
        elif row.address not in self._engine.receivers and self.neighbors.up(normal(row.address)) is False:
            self.heard_of(row.address)
            self._engine.reachable(row.address, up=False)

    def _is_up(self, address: str) -> None:
        self.heard_of(address)
        address = normal(address)
        news = self._engine.reachable(address, up=not self._came_by_a_range(address))
        if self.startup.established(address):
            # The session is older than this process, and ExaBGP repeats nothing: its routes must be sent again.
            self.gate.wants_refresh(address, self._clock())
            if not self.api.known and self.gate.configuration_due is None and self._asked != CONFIGURATION:
                self.gate.configuration_due = self._clock()
        elif news and address in self.neighbors.untold:
            self.gate.wants_refresh(address, self._clock())  # what it has sent may have gone with its last session

    def _list_over(self, *, summary: bool) -> None:
        """Take what follows from a list of the neighbors, and from the summary behind it."""
        self.senders.clear()
        whole, self._whole, self._behind = bool(self._whole), None, False
        engine, neighbors = self._engine, self.neighbors
        known = Known(engine.receivers.bits, engine.sessions.neighbors())
        over = neighbors.list_over if self._asked == NEIGHBORS else neighbors.configuration_over
        self._found(over(known, self._wall(), whole=whole, summary=summary))
        for address in filter(neighbors.up, engine.receivers):
            engine.reachable(address, up=not self._came_by_a_range(address))
        now = self._clock()
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

    def _configured(self) -> None:
        self.local_list.forgetful = frozenset(map(normal, self._configuration.forgetful))
        self.sent_before.configured(self._configuration.unlisted)
        sections = ((one, tuple(own.values())) for one, own in self._configuration.sections.items())
        for address in self.api.configured(sections):
            self.gate.wants_refresh(address, self._clock())
        for address in self.api.without_changes():
            if self.neighbors.up(address):
                self.neighbors.untold.setdefault(address, self._wall())

    def _api_changes(self) -> None:
        """Let go of routes that can't be followed any more; ask for those that can be from now on."""
        self.senders.clear()
        neighbors, engine = self.neighbors, self._engine
        lost, found = self.api.changes((one for one in neighbors.addresses() if neighbors.up(one)), self._wall())
        for address in lost:
            for name in engine.sessions.names(address):
                logger.warning("ExaBGP does not report a neighbor's UPDATEs", router=engine.name, neighbor=name)
                engine.state(State(address, up=False, reason=""), name)
        for address in found:
            self.gate.wants_refresh(address, self._clock())

    def _came_by_a_range(self, address: str) -> bool:
        """Whether a session that is up is one for which ExaBGP takes commands, and sends to nobody."""
        return bool(self.neighbors.up(address)) and self.neighbors.visits(address)

    def _found(self, findings: Findings) -> None:
        engine = self._engine
        for address in findings.down:
            self._listed_down(address, engine.sessions.names(address))
        for address in findings.again:
            logger.warning("neighbor up again, as ExaBGP lists it", router=engine.name, neighbor=address)
            for name in engine.sessions.names(address) or (address,):
                engine.state(State(address, up=True, reason=""), name)
            self.api.session(address)
            self.gate.wants_refresh(address, self._clock())
        if findings.gone:
            logger.info("neighbors gone, as ExaBGP lists them", router=engine.name, neighbors=findings.gone)
            engine.forget(findings.gone)
            self.api.forget(findings.gone)
            self.sent_before.forget(findings.gone)

    def _listed_down(self, address: str, names: Iterable[str]) -> None:
        for local in self.neighbors.sessions(address):
            self.bgp_sessions.listed_down(address, normal(local))
        for name in names:
            logger.warning("neighbor down, as ExaBGP lists it", router=self._engine.name, neighbor=name)
            self._engine.state(State(address, up=False, reason=""), name)
        if self._engine.receivers.up(address):
            self._went_down(address)
