"""Whose UPDATEs ExaBGP tells this process: by the `api` sections of its configuration, and by what comes. Pure.

What a neighbor announced is in ExaBGP's lists, too. But a route that is known from a list alone, of a neighbor that
ExaBGP doesn't tell of, would be announced forever: nobody would say that it is withdrawn. So silence is no consent.
ExaBGP names the processes that it tells (`show neighbor configuration`), and counts the UPDATEs of each neighbor (`show
neighbor extensive`): where the count grows and no line came, it does not tell. A section that a reload brings is
believed when an UPDATE came: 4.2 tells nothing by it before the next session. Times are Unix times.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final, NamedTuple

from rtrd.exabgp.neighbor_text import ApiSection, Network
from rtrd.policy import normal

MOST: Final = 5000
"""Neighbors of which it is remembered what came."""


class Lack(NamedTuple):
    """What a neighbor's `api` section lacks, so that its routes can't be followed."""

    since: float
    section: bool
    """There is a section for this process; it does not tell UPDATEs."""
    later: bool
    """It would, but not yet: it came with a reload, in the middle of the session."""


class ApiSections:
    """What one ExaBGP tells this process of its neighbors, by their address in its normal form."""

    def __init__(self) -> None:
        self.known = False
        """The sections were read."""
        self.text_since: float | None = None
        """Since when ExaBGP is known to write its events as text; None: it does not."""
        self._sections: dict[str, tuple[ApiSection, ...]] = {}
        self._ranges: list[tuple[Network, tuple[ApiSection, ...]]] = []
        self._processes: frozenset[str] = frozenset()  # one of them is this one
        self._heard: set[str] = set()  # whose UPDATEs came since their sections changed
        self._unproven: set[str] = set()  # whose sections came in the middle of the session
        self._told: set[str] = set()  # whose UPDATEs ever came
        self._followed: dict[str, bool] = {}
        self._lacks: dict[str, float] = {}
        # of the counts
        self._counts: dict[str, int] = {}
        self._counting: dict[str, int] = {}
        self._routes: set[str] = set()  # who has sent more than End-of-RIB markers
        self._spoke: set[str] = set()  # whose UPDATEs came since the last list was asked for
        self._speaks: set[str] = set()  # whose UPDATEs came since this one was
        self._suspects: set[str] = set()
        self._silent: set[str] = set()  # whose UPDATEs are counted, and not told
        self._certain = self._reads = True  # every line since then could be read

    # -- what comes

    def update(self, address: str) -> bool:
        """Take note that an UPDATE of a neighbor came. True: until now its UPDATEs were not told."""
        self._unproven.discard(address)
        if len(self._spoke) < MOST:
            self._spoke.add(address)
            self._speaks.add(address)
            if address not in self._heard:
                self._heard.add(address)
                self._narrow([address])
            self._told.add(address)
        if address not in self._silent and self._followed.get(address) is not False:
            return False
        self._silent.discard(address)
        self._suspects.discard(address)
        self._followed[address] = True
        self._lacks.pop(address, None)
        return True

    def session(self, address: str) -> None:
        """Take note of a neighbor's new session: from here on its sections count."""
        self._unproven.discard(address)

    def unreadable(self) -> None:
        """Take note of a line that makes no sense: it may have been an UPDATE, of whomever."""
        self._certain = self._reads = False

    def text(self, now: float) -> None:
        """Take note of an event that is no JSON."""
        self.text_since = self.text_since or now

    def json(self) -> None:
        """Take note of an event in JSON."""
        self.text_since = None

    def follows(self, address: str) -> bool:
        """Tell whether ExaBGP is known to tell of a neighbor's UPDATEs."""
        if self.text_since is not None or address in self._silent:
            return False
        if address in self._heard or (address in self._told and self._all(address) is None):
            return True
        if address in self._unproven:
            return False
        ours = self._ours(address)
        return bool(ours) and all(section.updates for section in ours)

    # -- what is configured

    def configured(self, sections: Iterable[tuple[str | Network, tuple[ApiSection, ...]]]) -> set[str]:
        """Take the sections of all neighbors and ranges, as ExaBGP lists them. Gives those of whom an UPDATE is due."""
        before, self._sections, self._ranges = self._sections, {}, []
        for neighbor, own in sections:
            if isinstance(neighbor, str):
                self._sections[normal(neighbor)] = own
            else:
                self._ranges.append((neighbor, own))
        every = [*self._sections.values(), *(own for _, own in self._ranges)]
        named = frozenset(section.process for own in every for section in own)
        self._processes = self._processes & named or named
        self._narrow(self._heard)
        # ExaBGP does not print a section with `processes-match`: what comes says more than a section that is not there.
        changed = {one for one, own in self._sections.items() if own != before.get(one, own)}
        self._heard -= changed
        new = {one for one in changed if _tell(self._sections[one]) and not _tell(before[one])} - self._unproven
        self._unproven |= new
        self.known = True
        return new

    def changes(self, addresses: Iterable[str], now: float) -> tuple[list[str], list[str]]:
        """Give of these neighbors those whose UPDATEs are not told any more, and those whose UPDATEs now are."""
        lost, found = [], []
        for address in addresses:
            follows = self.follows(address)
            before = self._followed.get(address)
            if not self.known or follows is before:
                continue
            if len(self._followed) < MOST:
                self._followed[address] = follows
            if follows:
                self._lacks.pop(address, None)
                found += [address] if before is False else []
            else:
                self._lacks[address] = now
                lost.append(address)
        return lost, found

    def _narrow(self, heard: Iterable[str]) -> None:
        """Find which of the processes is this one: one that is told of these."""
        for address in heard if len(self._processes) > 1 else ():
            telling = {section.process for section in self._all(address) or () if section.updates}
            self._processes = self._processes & telling or self._processes

    def names(self, address: str) -> bool:
        """Tell whether a section of a neighbor names this process, as far as is known."""
        return not self.known or bool(self._ours(address))

    def forget(self, addresses: Iterable[str]) -> None:
        """Take note that these are no neighbors any more."""
        for address in addresses:
            for known in (self._followed, self._lacks, self._counts):
                known.pop(address, None)
            for some in (
                self._heard,
                self._told,
                self._unproven,
                self._spoke,
                self._speaks,
                self._suspects,
                self._silent,
                self._routes,
            ):
                some.discard(address)

    def lacks(self) -> dict[str, Lack]:
        """Give the neighbors whose routes can't be followed, but for those that have a section and send no routes."""
        return {
            address: Lack(since, bool(self._ours(address)), address in self._unproven)
            for address, since in self._lacks.items()
            if not self._ours(address) or address in self._routes or address in self._unproven
        }

    def without_changes(self) -> list[str]:
        """Give the neighbors that have a section without `neighbor-changes`."""
        return [one for one in self._sections if any(not section.changes for section in self._ours(one))]

    @property
    def process(self) -> str:
        """The name of this process, as far as it is known."""
        return min(self._processes) if len(self._processes) == 1 else "rtrd"

    def _ours(self, address: str) -> list[ApiSection]:
        return [section for section in self._all(address) or () if section.process in self._processes]

    def _all(self, address: str) -> tuple[ApiSection, ...] | None:
        """Give a neighbor's sections; None: it is not in the configuration."""
        own = self._sections.get(address)
        if own is None and self._ranges:
            parsed = ipaddress.ip_address(address)
            own = next((sections for network, sections in self._ranges if parsed in network), None)
        return own

    # -- what is counted

    def counted(self, address: str, received: int, families: int) -> None:
        """Take how many UPDATEs a session has received, as ExaBGP lists it; `families`: of the session."""
        if address in self._counting or len(self._counting) < MOST:
            self._counting[address] = self._counting.get(address, 0) + received
            if received > families:
                self._routes.add(address)

    def has_sent(self, address: str) -> bool:
        """Tell whether a neighbor may have sent an UPDATE in its session; an End-of-RIB is one, too."""
        return address in self._spoke or self._counts.get(address, 1) > 0

    def list_begins(self) -> None:
        """Take note that a list is asked for."""
        self._counting = {}
        self._speaks = set()
        self._reads = True

    def list_over(self) -> bool:
        """Take the end of a list. True: it should be asked for again soon, and what is configured, too.

        The line of an UPDATE may come a moment after it is counted. So it takes two lists to find that none comes. It
        may also come while the list does, behind the count of its neighbor: the next list counts what was told by then.
        """
        again = False
        if self._certain:
            self._silent |= (self._suspects & self._counting.keys()) - self._spoke
            grown = {one for one, count in self._counting.items() if count > self._counts.get(one, count)}
            self._suspects = grown - self._spoke - self._silent
            again = bool(self._suspects)
        self._counts = self._counting
        self._spoke, self._certain = self._speaks, self._reads
        self._speaks = set()
        return again


def _tell(sections: tuple[ApiSection, ...]) -> bool:
    return any(section.updates for section in sections)
