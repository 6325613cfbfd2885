"""What ExaBGP last said of its neighbors' sessions: up or down, and since when. Pure.

It says so by events (with `neighbor-changes`) and in lists. Nothing is concluded from routes. A session is that of a
local address with a neighbor's; most neighbors have one. What an event says is newer than a list that had begun.

A list may be cut short: after a reload that removed a passive neighbor, 4.2 fails in the middle of it, every time. Then
what is configured is asked for. Only a list that is whole says who is no neighbor any more, and only if the next one
says so, too. Times are Unix times.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from rtrd.exabgp.neighbor_text import Network, SessionRow
from rtrd.policy import normal

ANOTHER: Final = 1.0
"""Seconds by which a session must at least have begun later than the one that is known, to be another one."""
MOST: Final = 5000
"""Neighbors of which it is remembered what was said."""


class Told(NamedTuple):
    """What was last said of a session."""

    up: bool
    since: float
    """Up: when it came up, as far as is known. Down: when that was first said."""


class Known(NamedTuple):
    """Whom the RIB has for neighbors."""

    receivers: Collection[str]
    sessions: Collection[str]
    """Those that have sent routes, or have come up."""


class Findings(NamedTuple):
    """What follows from a list, when it is over."""

    down: list[str]
    """Neighbors without a session that is up."""
    again: list[str]
    """Neighbors whose session is another one than before, and no event said so."""
    gone: list[str]
    """What is no neighbor any more, and is forgotten here."""


class Neighbors:
    """The neighbors of one ExaBGP, by address in its normal form."""

    def __init__(self) -> None:
        self.untold: dict[str, float] = {}
        """Neighbors whose sessions change without an event, and since when that is known."""
        self.unclear = False
        """Who is configured can't be concluded from the last list: that is to be asked."""
        self.missing: set[str] = set()
        """Who was not in the last list: the next one decides."""
        self._told: dict[str, dict[str, Told]] = {}
        self._first: dict[str, str] = {}  # the local address of the session with each that was heard of first
        self._ranges: set[Network] = set()
        self.configuration_told = False
        """The configuration was asked for, and answered as far as that goes."""
        self._configured: set[str] = set()
        self._visitors: set[str] = set()  # neighbors that a range accepted, and that are configured nowhere
        self._came: set[str] = set()  # whoever ExaBGP has named, also those that left a range
        self._sharing: dict[str, bool] = {}  # what `shares` has found out
        self._suspects: set[str] = set()  # a list said that they are up; an event may be on its way
        # of the list that is being read
        self._listed: dict[str, set[str]] = {}
        self._listed_ranges: set[Network] = set()
        self._cut = False  # it has more neighbors than are remembered
        self._in_summary: set[str] = set()
        self._newer: set[str] = set()  # an event came since it was asked for
        self._another: set[str] = set()
        self._row: tuple[str, str] | None = None
        self._began = 0.0

    # -- what is known

    def addresses(self) -> list[str]:
        """Give the neighbors of which something was said."""
        return list(self._told)

    def up(self, address: str) -> bool | None:
        """Tell whether a session with a neighbor is up; None: ExaBGP has not told."""
        sessions = self._told.get(address)
        return any(session.up for session in sessions.values()) if sessions else None

    def since(self, address: str) -> float | None:
        """Give since when it is as `up` says."""
        up = self.up(address)
        times = [session.since for session in self._told.get(address, {}).values() if session.up == up]
        return (min if up else max)(times, default=None)

    def sessions(self, address: str) -> dict[str, Told]:
        """Give the sessions with a neighbor, by ExaBGP's own address."""
        return self._told.get(address, {})

    def down(self, address: str, local: str) -> bool:
        """Tell whether a session is known to be down: of ExaBGP's own address, or, if that says nothing, any."""
        sessions = self._told.get(address, {})
        told = [session for own, session in sessions.items() if normal(own) == local] or list(sessions.values())
        return bool(told) and not any(session.up for session in told)

    def spelled_up(self, address: str, local: str) -> str | None:
        """Give ExaBGP's own address of a session that is known to be up, as it spells it; None: it is not."""
        sessions = self.sessions(address).items()
        return next((own for own, told in sessions if told.up and own and normal(own) == local), None)

    def name(self, address: str, local: str) -> str:
        """Give the name under which the RIB has a session (Engine.sessions)."""
        first = self._first.get(address)
        if first is None and local and len(self._first) < MOST:
            first = self._first[address] = local
        return address if first is None or local in ("", first) else f"{address} {local}"

    def visits(self, address: str) -> bool:
        """Tell whether a neighbor is one of a range's, which are there only while they are connected."""
        return address not in self._configured and self._in_range(address)

    def shares(self, address: str) -> bool:
        """Tell whether others came by the range that accepted a neighbor, be it that they left.

        ExaBGP has one list of what all of them have sent.
        """
        if not self.visits(address):
            return False
        if address not in self._sharing:
            self._sharing[address] = len(self._came) >= MOST or self._not_alone(address)
        return self._sharing[address]

    # -- events

    def event(self, address: str, local: str, *, up: bool, time: float) -> None:
        """Take an event."""
        self._newer.add(address)
        self._named({address})
        self._suspects.discard(address)
        self.missing.discard(address)
        self.untold.pop(address, None)
        sessions = self._sessions(address)
        if sessions is None:
            return
        sessions.pop("", None)
        before = sessions.get(local)
        if up or before is None or before.up:
            sessions[local] = Told(up, time)

    # -- lists

    def list_begins(self, now: float) -> None:
        """Take note that a list is asked for."""
        self._began = now
        self._listed = {}
        self._listed_ranges = set()
        self._cut = False
        self._in_summary = set()
        self._newer = set()
        self._another = set()
        self._row = None

    def listed(self, row: SessionRow, now: float) -> bool:
        """Take a row. True: it says that a session is up, which counts unless an event is newer."""
        address = normal(row.address)
        self._row = None
        if address in self._listed or len(self._listed) < MOST:
            self._listed.setdefault(address, set()).add(row.local)
        else:
            self._cut = True
        if address in self._newer or (address in self._visitors and not row.established):
            return False
        sessions = self._sessions(address)
        if sessions is None:
            return row.established
        before = sessions.pop("", None) or sessions.get(row.local)
        if row.established:
            self._row = address, row.local
            self._comes_up(address, before)
        if before is None or before.up != row.established:
            sessions[row.local] = Told(row.established, now)
            if before is not None and before.up:
                self.untold.setdefault(address, now)
        else:
            sessions[row.local] = before
        return row.established

    def up_for(self, seconds: int, now: float) -> None:
        """Take for how long the session of the last row is up, in whole seconds.

        The row was written after it was asked for, and may be read much later, as one of both may have been stopped.
        """
        if self._row is None:
            return
        address, local = self._row
        told, since = self._told[address][local], now - seconds
        if self._began - seconds - 1 > told.since + ANOTHER:
            self._another.add(address)
            self.untold.setdefault(address, now)
        elif since >= told.since:
            return
        self._told[address][local] = Told(up=True, since=since)

    def listed_range(self, network: Network) -> None:
        """Take a range of addresses that may connect."""
        if len(self._listed_ranges) < MOST:
            self._listed_ranges.add(network)

    def summary_begins(self) -> None:
        """Take note that the summary behind a list begins."""
        self._in_summary = set()

    def in_summary(self, address: str, now: float) -> bool:
        """Take a neighbor that a summary has as up. True: that is news."""
        self._in_summary.add(address)
        if self.up(address):
            return False
        sessions = self._sessions(address)
        if sessions is None:
            return False
        for before in sessions.values():
            self._comes_up(address, before)
        sessions[next(iter(sessions)) if len(sessions) == 1 else ""] = Told(up=True, since=now)
        return True

    def list_over(self, known: Known, now: float, *, whole: bool, summary: bool) -> Findings:
        """Take the end of a list. `summary`: the summary behind it came to its end, too."""
        self.unclear = False
        if not self._listed:
            return self._findings(())  # it says nothing
        if self._cut or not whole:  # who is up is in the summary nevertheless
            for address in self._told.keys() - self._listed.keys() - self._newer - self._in_summary if summary else ():
                self._goes_down(address, now)
            self.unclear = not self._cut
            return self._findings(self._told)
        for address, locals_ in self._listed.items():
            sessions = self._told.get(address, {})
            for local in sessions.keys() - locals_ if address not in self._newer else ():
                del sessions[local]
        self._ranges = self._listed_ranges
        self._named(self._listed)
        self._configured.intersection_update(self._listed)
        self._visitors.intersection_update(self._listed)
        left = [one for one in self._visitors - self._newer if self.up(one) is False]
        self.unclear = bool(self._ranges and not self.configuration_told) or any(
            self.up(one) is False and self.visits(one) for one in self._listed.keys() - self._visitors
        )
        return self._findings(self._listed, self._missing(known), left)

    # -- what is configured

    def configured(self, address: str) -> None:
        """Take a neighbor of ExaBGP's configuration."""
        if len(self._listed) < MOST:
            self._listed[normal(address)] = set()

    def configuration_over(self, known: Known, now: float, *, whole: bool, summary: bool) -> Findings:
        """Take the end of the configuration. `summary`: the summary behind it came to its end, too."""
        self.unclear = False
        self.configuration_told = True
        if not whole or not (self._listed or self._ranges) or len(self._listed) == MOST:
            return self._findings(())
        self._configured = set(self._listed)
        self._sharing.clear()
        for address in self._configured - self._told.keys() - self._newer if summary else ():
            sessions = self._sessions(address)
            if sessions is not None:
                sessions[""] = Told(up=False, since=now)
        missing = {one for one in self._missing(known) if not self.up(one)}
        left = {one for one in missing if self._in_range(one)}
        self._visitors |= left
        suspects = {one for one in self.missing if self.up(one)}  # for the other list to decide
        findings = self._findings(self._configured, missing - left, left)
        self.missing |= suspects
        return findings

    # -- inside

    def _named(self, addresses: Collection[str]) -> None:
        if len(self._came) < MOST:
            self._came.update(addresses)
        self._sharing.clear()

    def _not_alone(self, address: str) -> bool:
        networks = [network for network in self._ranges if within(address, network)]
        others = (one for one in self._came if one != address and one not in self._configured)
        return any(within(one, network) for one in others for network in networks)

    def _missing(self, known: Known) -> set[str]:
        """Give who is not in the list. Of whom nothing else is known (the policy names them) is no neighbor at once."""
        missing = {*self._told, *known.receivers, *known.sessions} - self._listed.keys() - self._newer
        self.missing.update(one for one in missing if one not in self._told and one not in known.sessions)
        return missing

    def _findings(self, listed: Iterable[str], missing: set[str] | None = None, left: Iterable[str] = ()) -> Findings:
        gone = {*left}
        if missing is not None:
            gone |= missing & self.missing
            self.missing = missing - gone
        for address in gone:
            self._forget(address)
        down = [one for one in listed if self.up(one) is False and one not in self._newer]
        again = sorted(self._another - self._newer)
        self._another = set()
        return Findings(down, again, sorted(gone))

    def _sessions(self, address: str) -> dict[str, Told] | None:
        sessions = self._told.get(address)
        if sessions is None and len(self._told) < MOST:
            sessions = self._told[address] = {}
        return sessions

    def _comes_up(self, address: str, before: Told | None) -> None:
        """Take from a list that a session is up: an event said so, or will now, or never does."""
        if before is None:
            return
        if not before.up:
            self._suspects.add(address)
        elif address in self._suspects:
            self._suspects.discard(address)
            self.untold.setdefault(address, before.since)

    def _goes_down(self, address: str, now: float) -> None:
        sessions = self._told[address]
        if any(session.up for session in sessions.values()):
            self.untold.setdefault(address, now)
        self._told[address] = {
            local: Told(up=False, since=now) if session.up else session for local, session in sessions.items()
        }

    def _forget(self, address: str) -> None:
        self._told.pop(address, None)
        self._first.pop(address, None)
        self.untold.pop(address, None)
        self._suspects.discard(address)

    def _in_range(self, address: str) -> bool:
        return any(within(address, network) for network in self._ranges)


def within(address: str, network: Network) -> bool:
    """Tell whether an address is one of a range."""
    return ipaddress.ip_address(address) in network
