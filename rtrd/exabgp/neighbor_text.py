"""Reads what ExaBGP prints about its neighbors: addresses, sessions, and what these can do.

`show neighbor summary` is the fence of window.py: a row for each neighbor, in 4.2 only for those that are up.
`show neighbor extensive` names all neighbors in both versions, since when a session is up, and whether path ids are
sent. `show neighbor configuration` names what is configured, without the peers that a range of addresses accepted.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final, NamedTuple

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SENT: Final = "#sent"
"""The heading of the column of UPDATEs sent."""


class SessionRow(NamedTuple):
    """One session of ExaBGP."""

    address: str
    """Of the neighbor, as ExaBGP's configuration spells it."""
    established: bool
    sent: int = 0
    """UPDATEs sent to it; only in the summary."""
    local: str = ""
    """ExaBGP's own address; only in the extensive list."""


class UpFor(NamedTuple):
    """For how long the session of the last SessionRow is up, in whole seconds."""

    seconds: int


class Range(NamedTuple):
    """Addresses whose sessions are accepted: no neighbor by itself."""

    network: Network


class PathIds(NamedTuple):
    """Whether ExaBGP sends path ids of a family (4 or 6) to a neighbor."""

    address: str
    family: int
    taken: bool


class Agreement(NamedTuple):
    """What a session that is up has agreed on, as far as ExaBGP says it."""

    address: str
    local_as: int
    peer_as: int
    four_octet_as: bool
    path_ids: frozenset[int] | None
    """Families (4, 6) in which path ids come; None: that is not said for certain."""
    local: str = ""
    """ExaBGP's own address."""
    up_for: int | None = None
    """Seconds for which the session is up."""
    router_id: int = 0
    """ExaBGP's own; 0: it is not said."""


class CanRefresh(NamedTuple):
    """Whether a neighbor whose session is up can be asked to send its routes again (RFC 2918)."""

    address: str
    able: bool


class ReceivedUpdates(NamedTuple):
    """How many UPDATEs a session has received."""

    address: str
    updates: int
    families: int
    """How many families both sides have: an End-of-RIB is an UPDATE, too."""


InExtensive = SessionRow | UpFor | Range | PathIds | Agreement | CanRefresh | ReceivedUpdates
"""What a line of `show neighbor extensive` may say."""


class ApiSection(NamedTuple):
    """What ExaBGP's configuration has one process be told of a neighbor."""

    process: str
    updates: bool
    changes: bool
    """`neighbor-changes`"""


class SummaryReader:
    """Reads the lines of `show neighbor summary`, one after the other."""

    def __init__(self) -> None:
        self._from_the_right = -2  # of the column SENT

    def header(self, text: str) -> None:
        """Take the first line: it names the columns."""
        columns = text.split()
        self._from_the_right = columns.index(SENT) - len(columns) if SENT in columns else -2

    def read(self, text: str) -> SessionRow | None:
        """Read a row (`127.0.0.2  65001  0:00:02 established  2  0`); None for a line that is none.

        4.2 names only neighbors that are established, 5.0 all that are configured, ranges too.
        """
        words = text.split()
        if len(words) < 4 or not words[1].isdecimal() or not (is_address(words[0]) or _range(words[0])):
            return None
        if "/" in words[0]:
            return SessionRow(
                words[0], established=False
            )  # nobody: those who came from the range have rows of their own
        sent = words[max(self._from_the_right, -len(words))]
        count = int(sent) if sent.isascii() and sent.isdecimal() and len(sent) < 20 else 0
        return SessionRow(words[0], "established" in words[3:], count)


class ExtensiveReader:
    """Reads the lines of `show neighbor extensive`, one after the other."""

    def __init__(self) -> None:
        self._address: str | None = None
        self._local = ""
        self._undecided = self._established = False
        self._asns: tuple[int, int] | None = None
        self._router_id = 0
        self._four_octet_as: bool | None = None
        self._families = 0
        self._add_path: bool | None = None
        self._receives: dict[int, bool | None] = {}
        self._up_for: int | None = None

    def read(self, text: str, version: str) -> InExtensive | None:
        """Read a line; None for one that has nothing that is wanted.

        ExaBGP `version` 5.0 has `send` and `receive` of the column Add-Path the wrong way around; 4.2 says
        `enabled` for both directions and `disabled` for one or none, so that where both ends know ADD-PATH it tells
        nothing.
        """
        match text.split():
            case ["Neighbor", named]:
                return self._begins(named)
            case _ if self._address is None:
                return None
            case ["local", local]:
                self._local = local
            case ["state", state]:
                self._established = state.lower() == "established"
                return SessionRow(self._address, self._established, local=self._local)
            case ["up", "for", *duration]:
                self._up_for = _seconds(duration)
                return None if self._up_for is None else UpFor(self._up_for)
            case ["down", "for", *_]:
                self._up_for = 0  # so it says also of a session that is up, for less than a second
                return UpFor(0) if self._established else None
            case words:
                return self._of_session(self._address, words) or self._capability(self._address, words, version)
        return None

    def _begins(self, named: str) -> Range | None:
        self._undecided = self._established = False
        self._local = ""
        self._families = self._router_id = 0
        self._asns = self._four_octet_as = self._add_path = self._up_for = None
        self._receives = {}
        self._address = named if is_address(named) else None
        return _range(named) if self._address is None else None

    def _of_session(self, address: str, words: list[str]) -> Agreement | CanRefresh | ReceivedUpdates | None:
        match words:
            case ["route-refresh:", *ends] if len(ends) == 2 and "n/a" not in ends:
                return CanRefresh(address, ends == ["enabled", "enabled"])
            case ["Message", "Statistic", *_]:
                return self._agreement(address)
            case ["update:", _, received] if received.isdecimal() and len(received) < 20:
                return ReceivedUpdates(address, int(received), self._families)
        return None

    def _capability(self, address: str, words: list[str], version: str) -> PathIds | None:
        self._families += len(words) == 5 and words[2:4] == ["enabled", "enabled"]
        match words:
            case ["AS", local, peer] if local.isdecimal() and peer.isdecimal():
                self._asns = int(local), int(peer)
            case ["ID", local, *_] if "." in local and is_address(local):
                self._router_id = int(ipaddress.ip_address(local))
            case ["asn4:", *ends] if len(ends) == 2 and "n/a" not in ends:
                self._four_octet_as = ends == ["enabled", "enabled"]
            case ["add-path:", ours, theirs]:
                # Configured, but the session isn't up; or 4.2, of which only `enabled` can be believed.
                self._undecided = ours == "enabled" and (
                    theirs == "n/a" or (theirs == "enabled" and version.startswith("4."))
                )
                self._add_path = None if theirs == "n/a" else ours == theirs == "enabled"
            case ["ipv4" | "ipv6" as family, "unicast:", _, _, directions]:
                send = "receive" if version.startswith("5.0") else "send"
                said = set(directions.split("/"))
                taken = bool({"enabled", send} & said)
                self._receives[int(family[-1])] = bool(said - {send, "disabled"}) or (
                    None if version.startswith("4.") else False
                )
                return PathIds(address, int(family[-1]), taken) if taken or not self._undecided else None
        return None

    def _agreement(self, address: str) -> Agreement | None:
        """Give what a session that is up has agreed on, once all of it was read."""
        if self._asns is None or self._four_octet_as is None or self._add_path is None:
            return None
        receives = self._receives if self._add_path else {}
        certain = all(ids is not None for ids in receives.values())
        path_ids = frozenset(family for family, ids in receives.items() if ids) if certain else None
        return Agreement(
            address, *self._asns, self._four_octet_as, path_ids, self._local, self._up_for, self._router_id
        )


MOST_CONFIGURED: Final = 5000
"""Neighbors and ranges of a configuration that are read."""

_CONFIGURED: Final = re.compile(r"neighbor (\S+) \{")
_EVENTS: Final = frozenset(("connected", "up", "down", "receive", "send", "received", "negotiated", "fsm"))
_DURATION: Final = re.compile(r"(?:([0-9]{1,6}) days?, )?([0-9]{1,2}):([0-9]{2}):([0-9]{2})")


class ConfigurationReader:
    """Reads the lines of `show neighbor configuration`, one after the other."""

    def __init__(self) -> None:
        self.sections: dict[str | Network, dict[str, ApiSection]] = {}
        """What the neighbors, and ranges of them, have processes be told, by the process."""
        self.forgetful: set[str] = set()
        """Neighbors of which ExaBGP does not keep what it sends."""
        self.unlisted: set[str | Network] = set()
        """Neighbors, and ranges of them, of which ExaBGP does not keep what it receives."""
        self._address: str | None = None
        self._named: str | Network | None = None
        self._neighbor: dict[str, ApiSection] | None = None
        self._blocks: list[str] = []
        self._process = ""
        self._words: set[str] = set()

    def read(self, text: str) -> str | None:
        """Read a line: the address of a neighbor; None for any other line."""
        match = _CONFIGURED.fullmatch(text)
        if match is not None:
            return self._begins(match[1])
        line = text.strip()
        if line.endswith("{"):
            self._blocks.append(line[:-1].strip())
            if self._blocks == ["api"]:
                self._process, self._words = "", set()
        elif line == "}":
            if self._blocks == ["api"]:
                self._section_ends()
            self._blocks = self._blocks[:-1]
        else:
            self._statement(line.rstrip(";").split())
        return None

    def _begins(self, named: str) -> str | None:
        self._address = named if is_address(named) else None
        network = _range(named) if self._address is None else None
        self._named = self._address if network is None else network.network
        self._blocks = []
        full = len(self.sections) >= MOST_CONFIGURED
        self._neighbor = None if self._named is None or full else self.sections.setdefault(self._named, {})
        return self._address

    def _statement(self, words: list[str]) -> None:
        if self._blocks[:1] == ["api"]:
            if words[:2] == ["processes", "["] and len(words) == 4:
                self._process = words[2]
            elif len(words) == 1:
                self._words.add(" ".join([*self._blocks[1:], *words]))
        elif self._named is None or self._neighbor is None:
            return
        elif words == ["adj-rib-out", "false"] and self._address is not None:
            self.forgetful.add(self._address)
        elif words == ["adj-rib-in", "false"]:
            self.unlisted.add(self._named)

    def _section_ends(self) -> None:
        if self._neighbor is None or not self._process:
            return
        form = any(f"receive {word}" in self._words for word in ("parsed", "packets", "consolidate"))
        updates, changes = form and "receive update" in self._words, "neighbor-changes" in self._words
        before = self._neighbor.get(self._process, ApiSection(self._process, updates=False, changes=False))
        self._neighbor[self._process] = ApiSection(self._process, updates or before.updates, changes or before.changes)


def is_text_event(text: str) -> bool:
    """Tell whether a line is an event as `encoder text` writes it: `neighbor 192.0.2.1 up`."""
    words = text.split(maxsplit=3)
    return len(words) >= 3 and words[0] == "neighbor" and words[2] in _EVENTS and is_address(words[1])


def is_address(text: str) -> bool:
    """Tell whether a text is an IP address without a scope, which may be any text."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _range(text: str) -> Range | None:
    try:
        return Range(ipaddress.ip_network(text, strict=False)) if "/" in text and "%" not in text else None
    except ValueError:
        return None


def _seconds(words: list[str]) -> int | None:
    """Read a duration as Python prints it: `0:00:02`, `1 day, 0:00:02`."""
    match = _DURATION.fullmatch(" ".join(words))
    if match is None:
        return None
    days, hours, minutes, seconds = (int(number or 0) for number in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
