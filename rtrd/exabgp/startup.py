"""The start: finds out what ExaBGP had before this process began, and says what to ask it next. Pure.

ExaBGP keeps what a previous run of rtrd announced and tells a new one nothing. So it is asked what it advertises (`show
adj-rib out`), the neighbors send their routes again (route refresh), and when that has become quiet, ExaBGP is asked
what it has from those that did not (`show adj-rib in`). Only then is withdrawn what no route was learned for: see
docs/exabgp.md.
"""

from __future__ import annotations

import math
from enum import Enum

from rtrd.exabgp.adj_rib_text import Advertised, read_advertised
from rtrd.exabgp.api_sections import ApiSections
from rtrd.exabgp.bgp_sessions import BGPSessions
from rtrd.exabgp.neighbors import Neighbors
from rtrd.exabgp.sent_before import SentBefore
from rtrd.policy import normal
from rtrd.rib.bgp_session import BGPSession
from rtrd.rib.engine import Engine

ADVERTISED = "show adj-rib out extensive\n"
LEARNED = "show adj-rib in {} extensive\n"
"""Of one neighbor: of its address."""

HELD = 30.0
"""Seconds for which nothing is written because ExaBGP is still listing what it announces."""
QUIET = 2.0
"""Seconds without an update after which a neighbor counts as having sent all again."""
STALLED = 5.0
"""Seconds after which ExaBGP is asked though updates come: none of them is of a route that stands since before."""
BUSY = 60.0
"""Seconds after which ExaBGP is asked though some neighbor is never quiet, or comes and goes."""
BLIND_QUIET = 30.0
"""As QUIET and STALLED, where ExaBGP keeps no list of what it has learned."""
BLIND_BUSY = 300.0
"""As BUSY, where ExaBGP keeps no list of what it has learned."""


class Phase(Enum):
    """How far it is."""

    GREETING = "greeting"
    ADVERTISED = "listing what is advertised"
    LEARNING = "the neighbors send again"
    ASKING = "about to ask what was learned"
    LEARNED = "listing what was learned"
    BLIND = "waiting, there being no such list"
    DONE = "done"


class StartUp:
    """One start of rtrd at one ExaBGP. Times are seconds of any one clock that doesn't go back."""

    def __init__(
        self,
        engine: Engine,
        api: ApiSections,
        neighbors: Neighbors,
        bgp_sessions: BGPSessions,
        sent_before: SentBefore,
    ) -> None:
        """Begin. `api`, `bgp_sessions`: whose UPDATEs are told and can be read; of others no list is believed."""
        self.phase = Phase.GREETING
        self.older: set[str] = set()
        """Neighbors whose session is older than this process."""
        self.unreadable = 0
        """Listed routes whose words are not understood."""
        self.learned = 0
        """Routes that no neighbor sent again, but ExaBGP has."""
        self.without_as: set[str] = set()
        """Neighbors whose listed routes wait: it is not known of which AS they are."""
        self.over = False
        """Nothing more is asked."""
        self.learning_since = math.inf
        """When it was known what an earlier run had announced."""
        self.held_until = math.inf
        """When something may be announced or withdrawn: before, it is not known what ExaBGP announces already."""
        self._engine = engine
        self._api = api
        self._neighbors = neighbors
        self._bgp_sessions = bgp_sessions
        self._sent_before = sent_before
        self._since = 0.0
        self._newer: set[str] = set()
        self._unable: set[str] = set()  # to send again
        self._heard: dict[str, float] = {}  # when a neighbor sent something last, until it was quiet
        self._quiet: set[str] = set()
        self._left = 0  # of the previous run's routes, when that was looked at last
        self._progress = 0.0  # when they were more
        self._listed: set[str] = set()
        self._to_ask: list[str] = []
        self._asked = ""  # whose list is read
        self._awaited: set[str] = set()  # whose routes only they themselves can tell

    def asks(self, now: float) -> str | None:
        """Give what is to be written now, ExaBGP having greeted; what `ended` is then told."""
        if self.phase is Phase.GREETING:
            self._go(Phase.ADVERTISED, now)
            self._engine.local_routes.list_begins()
            return ADVERTISED
        if self.phase in (Phase.LEARNING, Phase.BLIND):
            self._wait(now)
        if self.phase is Phase.ASKING:
            self._go(Phase.LEARNED, now)
            self._engine.previous_run.listing(begins=True)
            self._asked = self._to_ask.pop()
            return LEARNED.format(self._engine.receivers.spelling(self._asked))
        return None

    def deadline(self) -> float | None:
        """Give when `asks` may say something else though nothing was read."""
        if self.phase not in _WAITS:
            return None
        quiet, stalled, busy = _WAITS[self.phase]
        if self.phase is Phase.LEARNING and self.older and not self._api.known:
            return self._since + busy
        if self.phase is Phase.BLIND and not self.awaited:
            return self._since
        due = min(max(self._heard.values(), default=self._since) + quiet, self._since + busy)
        return min(due, self._progress + stalled) if self._left else due

    @property
    def awaited(self) -> list[str]:
        """Neighbors that are waited for, as only they can tell which of the routes that still stand are theirs.

        Who ends its session, or begins another one, is waited for no longer.
        """
        if self.phase is not Phase.BLIND:
            return []
        return sorted(one for one in self._awaited & self.older if self._neighbors.up(one))

    # -- what is heard

    def heard(self, address: str, now: float) -> None:
        """Take note that a neighbor sent something. Once it was quiet, nobody waits for it any more."""
        if self.phase not in _WAITS:
            return
        self._look_for_progress(now)
        if address in self._quiet:
            return
        if self.phase is Phase.BLIND and address not in self._awaited:
            return
        if now >= self._heard.get(address, self._since) + _WAITS[self.phase][0]:
            self._quiet.add(address)
        else:
            self._heard[address] = now

    def established(self, address: str) -> bool:
        """Take a session that is up. True: it is older than this process, and that was not known.

        That it sent something does not make it newer; its coming up would have been heard.
        """
        if self.over or address in self.older or address in self._newer:
            return False
        self.older.add(address)
        return True

    def session(self, address: str, now: float) -> None:
        """Take a session that came up: the neighbor sends all it has."""
        self._newer.add(address)
        self.older.discard(address)
        self._unable.discard(address)
        self.without_as.discard(address)
        self.heard(address, now)

    def as_known(self, address: str, now: float) -> None:
        """Take note that the AS numbers of a neighbor are known: if its routes waited for that, they are asked for."""
        if address in self.without_as:
            self.without_as.discard(address)
            self.cannot_refresh(address, now)

    def cannot_refresh(self, address: str, now: float) -> None:
        """Take note of a neighbor that can't be asked to send again: ExaBGP is asked what it has sent, at any time."""
        if self.over:
            self._to_ask.append(address)
            self._go(Phase.ASKING, now)
        elif self.phase in (Phase.ASKING, Phase.LEARNED, Phase.BLIND):
            if address not in self._to_ask:
                self._to_ask.append(address)
        else:
            self._unable.add(address)

    def line(self, text: str, version: str) -> bool:
        """Take a line of a list. False: it is none, or none was asked for."""
        if self.phase not in (Phase.ADVERTISED, Phase.LEARNED):
            return False
        advertised = read_advertised(text, version)
        if advertised is None:
            return text.startswith("neighbor ")  # of another family
        (self._learned if self.phase is Phase.LEARNED else self._advertised)(advertised)
        return True

    def _learned(self, route: Advertised) -> None:
        address, local = normal(route.neighbor), normal(route.local)
        if address != self._asked or self._neighbors.down(address, local):
            return  # ExaBGP lists whose address begins so, too, and still has what came by a session that ended
        self._listed.add(address)
        if self._neighbors.shares(address):
            return  # never a guess: another one may have sent it, or one that left
        if not self._api.follows(address) or address in self._bgp_sessions.waiting:
            return
        # What a list calls a local address may be none by which events call a session.
        name = self._neighbors.name(address, local if local in map(normal, self._neighbors.sessions(address)) else "")
        if route.attributes is None:
            self.unreadable += 1
            return
        local_as, peer_as = route.asns or (0, 0)
        path_ids = frozenset({route.attributes.family} if " " in route.prefix else ())
        session = BGPSession(
            local_as, peer_as, four_octet_as=True, path_ids=path_ids, extended_next_hop=True,
            router_id=route.router_id, addresses=(address, local),
        )  # fmt: skip
        learned = self._engine.listed(name, route.prefix, route.attributes, session)
        self.learned += learned is True
        if learned is None:
            self.without_as.add(address)

    def _advertised(self, route: Advertised) -> None:
        if not route.ours:
            self._engine.local_routes.listed(route.neighbor, route.prefix, *route.as_sent)
        elif route.attributes is None:
            self.unreadable += 1
        else:
            self._engine.advertised_before(route.neighbor, route.prefix, route.attributes)

    def ended(self, text: str, now: float) -> None:
        """ExaBGP has answered a command of `asks` to the end."""
        if text == ADVERTISED and self.phase is Phase.ADVERTISED:
            self._engine.local_routes.list_ended()
            self.learning_since = now
            self._go(Phase.LEARNING, now)
        elif text.startswith("show adj-rib in ") and self.phase is Phase.LEARNED:
            self._engine.previous_run.listing(begins=False)
            if self._to_ask:
                self._go(Phase.ASKING, now)
                return
            self._awaited = self._sent_before.awaited(self.older, self._listed, self._with_routes())
            if self._engine.previous_run.left and self._awaited:
                self._go(Phase.BLIND, now)
            else:
                self._release(now)

    # -- inside

    def _wait(self, now: float) -> None:
        due = self.deadline()
        if due is None or now < due:
            return
        if self.phase is Phase.LEARNING:
            # Of whom no route is known may know no route refresh. It takes ExaBGP long to list many, so others are
            # only asked about when it matters.
            everyone = self._engine.previous_run.left > 0
            known = self._with_routes()
            self._to_ask = sorted(
                one
                for one in self.older | self._unable
                if self._api.follows(one) and (everyone or one not in known or self._cannot_refresh(one))
            )
        if self._to_ask:
            self._go(Phase.ASKING, now)
        else:
            self._release(now)

    def _look_for_progress(self, now: float) -> None:
        left = self._engine.previous_run.left
        if left < self._left:
            self._progress = now
        self._left = left

    def _cannot_refresh(self, address: str) -> bool:
        return address in self._unable or self._sent_before.cannot_refresh(address)

    def _with_routes(self) -> set[str]:
        return {one for one, counts in self._engine.sessions.counts_by_neighbor().items() if any(counts.values())}

    def _release(self, now: float) -> None:
        self._engine.previous_run.release()
        self._go(Phase.DONE, now)

    def _go(self, phase: Phase, now: float) -> None:
        self.phase = phase
        self.over = phase is Phase.DONE
        self.held_until = now + HELD if phase is Phase.ADVERTISED else now
        self._since = self._progress = now
        self._left = self._engine.previous_run.left
        self._heard.clear()
        self._quiet.clear()


_WAITS = {Phase.LEARNING: (QUIET, STALLED, BUSY), Phase.BLIND: (BLIND_QUIET, BLIND_QUIET, BLIND_BUSY)}
"""Of these phases: how long each neighbor must be quiet, or no progress be made, and how long that may take for all."""
