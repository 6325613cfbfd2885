"""What the sessions of one ExaBGP's neighbors have agreed on, by the OPENs that it hands on. Pure.

An UPDATE in octets can't be read without. ExaBGP tells each OPEN once, and repeats nothing to a process that comes
later (docs/exabgp.md). So OPENs are kept as soon as they are heard, with the time at which the session came up; when
a list of ExaBGP's says that a session is as old, it is the same one. Where what was agreed on is not known for certain,
the routes wait.

A session is that of ExaBGP's own address with a neighbor's, both in their normal form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Final

import msgspec

from rtrd.exabgp.neighbor_text import Agreement
from rtrd.rib.bgp_session import BGPSession, Open, agreed, read_open

MOST: Final = 5000
"""Sessions of which something is remembered."""
EARLIER: Final = 1.0
LATER: Final = 3.0
"""Seconds by which a list may be off with the time at which a session came up: it tells whole ones, and is late."""

_Octets = Annotated[bytes, msgspec.Meta(max_length=4096)]
_Address = Annotated[str, msgspec.Meta(max_length=64)]


class Kept(msgspec.Struct, frozen=True):
    """A session that is up or about to be, and its OPENs."""

    neighbor: _Address
    local: _Address
    since: float
    """Unix time at which it came up, or at which its last OPEN was heard."""
    sent: _Octets
    """The OPEN that ExaBGP sent, without its header."""
    received: _Octets
    """Empty: it was not heard yet."""
    up: bool = True
    """False: nothing has said so yet."""

    def soon_after(self, since: float) -> bool:
        """Tell whether a time is as good as that of this one."""
        return -EARLIER <= since - self.since <= LATER


class BGPSessions:
    """The sessions of an ExaBGP's neighbors."""

    def __init__(self) -> None:
        self.waiting: dict[str, float] = {}
        """Neighbors whose UPDATEs can't be read, and since when (Unix time): their OPENs were not heard."""
        self.on_change: Callable[[], None] = lambda: None
        """Told when `kept` gives something else."""
        self.agreed: dict[tuple[str, str], BGPSession] = {}
        """What each session agreed on, as far as is known."""
        self._opens: dict[tuple[str, str], dict[str, bytes]] = {}
        self._received_first: dict[tuple[str, str], bytes] = {}  # OPENs of neighbors, before ours was told
        self._kept: dict[tuple[str, str], Kept] = {}
        self._before: dict[tuple[str, str], Kept] = {}  # of an earlier run: not known to be those of now

    def opened(self, neighbor: str, local: str, direction: str, body: bytes, now: float) -> BGPSession | None:
        """Take an OPEN. Gives what the session agreed on, once it is known.

        ExaBGP tells first of the one that it sent; with `local-as auto` of the other one, from which it takes its AS.

        Raises ValueError, with what is wrong, for what is no OPEN. `now`: Unix time.
        """
        key = neighbor, local
        if direction == "send":
            received = self._received_first.pop(key, None)
            self.ended(neighbor, local)
            read_open(body)
            if len(self._opens) < MOST:
                self._opens[key] = {"send": body}
                self._keep(Kept(neighbor, local, now, body, b"", up=False))
            return None if received is None else self.opened(neighbor, local, "receive", received, now)
        before = self._before.get(key)
        if key not in self._opens and before and not (before.up or before.received) and before.soon_after(now):
            self._opens[key] = {"send": before.sent}  # a run that has just ended heard it
        read_open(body)
        if key not in self._opens:
            if len(self._received_first) < MOST:
                self._received_first[key] = body
            return None
        self._opens[key]["receive"] = body
        self._keep(Kept(neighbor, local, now, self._opens[key]["send"], body, up=False))
        return self._agree(key)

    def came_up(self, neighbor: str, local: str, since: float) -> BGPSession | None:
        """Take note that a session is up, which follows its OPENs, and when that was (Unix time).

        Gives what it agreed on, if that is known only now: an earlier run has heard its OPENs.
        """
        key = neighbor, local
        self._received_first.pop(key, None)
        opens, before = self._opens.get(key, {}), self._before.get(key)
        if len(opens) == 2:
            self._keep(Kept(neighbor, local, since, opens["send"], opens["receive"]))
        elif before and before.received and not before.up and before.soon_after(since):
            return self._is_up(before, since)
        return None

    def _keep(self, session: Kept) -> None:
        self._kept[session.neighbor, session.local] = session
        self.on_change()

    def _is_up(self, before: Kept, since: float) -> BGPSession:
        """Take a session whose OPENs an earlier run has heard."""
        key = before.neighbor, before.local
        self._opens[key] = {"send": before.sent, "receive": before.received}
        self._keep(Kept(*key, since, before.sent, before.received))
        return self._agree(key)

    def ended(self, neighbor: str, local: str) -> None:
        """Take a session's end: what it agreed on is over."""
        key = neighbor, local
        self._opens.pop(key, None)
        self._received_first.pop(key, None)
        self.agreed.pop(key, None)
        self._before.pop(key, None)
        self.waiting.pop(neighbor, None)
        if self._kept.pop(key, None) is not None:
            self.on_change()

    def listed_down(self, neighbor: str, local: str) -> None:
        """Take from a list that a session is not up. One whose OPENs were heard is about to be: the list is older."""
        kept = self._kept.get((neighbor, local)) or self._before.get((neighbor, local))
        if kept is None or kept.up:
            self.ended(neighbor, local)

    def kept(self) -> list[Kept]:
        """Give what a later run, or the next ExaBGP process, must know of the sessions that are up."""
        return [*self._kept.values(), *self._before.values()]

    def restore(self, before: Iterable[Kept]) -> None:
        """Take what an earlier run kept; it counts for a session that is known to be the same."""
        self._before = {(each.neighbor, each.local): each for each in before if len(self._before) < MOST}

    def listed(self, neighbor: str, told: Agreement, now: float) -> bool:
        """Take what ExaBGP lists of a session. True: now its UPDATEs can be read, and before they could not.

        Where it is not certain whether path ids come, octets don't tell: then nothing is known until the next OPEN. An
        IPv6 next hop of IPv4 routes, of which the list says nothing, counts as agreed on: its length tells what it is.
        What was kept is not forgotten when it doesn't fit: a list that is read late, since one of both was stopped,
        makes a session look younger than it is. One that is as old and agreed on something else is another one, which
        came so soon after that its age does not tell.
        """
        key = neighbor, told.local
        if key in self.agreed:
            return False
        waited = neighbor in self.waiting
        before = self._before.get(key)
        since = None if told.up_for is None else now - told.up_for
        as_old = before is not None and since is not None and before.soon_after(since)
        if before is not None and before.received and as_old and _fits(before, told):
            self._is_up(before, before.since)
        elif told.path_ids is not None:
            ours = Open(
                told.local_as, told.router_id, told.four_octet_as, takes_path_ids=told.path_ids, extended_next_hop=True
            )
            theirs = ours._replace(asn=told.peer_as, router_id=0, sends_path_ids=told.path_ids)
            self._before.pop(key, None)
            self.agreed[key] = agreed(ours, theirs)._replace(addresses=key)
        else:
            return False
        self.waiting.pop(neighbor, None)
        return waited

    def doubtful(self, neighbor: str, local: str) -> bool:
        """Tell whether something was kept of a session that may be another one now."""
        return (neighbor, local) in self._before

    def unreadable(self, neighbor: str, now: float) -> None:
        """Take note of an UPDATE by a session of which it is not known what it agreed on: its routes wait."""
        if len(self.waiting) < MOST:
            self.waiting.setdefault(neighbor, now)

    def sent(self, neighbor: str, local: str) -> BGPSession | None:
        """Give the same of the UPDATEs that ExaBGP sends, as the neighbor reads them; None: that is not known."""
        opens = self._opens.get((neighbor, local), {})
        if len(opens) < 2:
            return None
        # Its ORIGINATOR_ID and CLUSTER_LIST stay as they are sent.
        return agreed(read_open(opens["receive"]), read_open(opens["send"]))._replace(peer_router_id=0)

    def _agree(self, key: tuple[str, str]) -> BGPSession:
        opens = self._opens[key]
        self.waiting.pop(key[0], None)
        self._before.pop(key, None)
        self.agreed[key] = agreed(read_open(opens["send"]), read_open(opens["receive"]))._replace(addresses=key)
        return self.agreed[key]


def _fits(kept: Kept, told: Agreement) -> bool:
    """Tell whether what ExaBGP lists of a session can be so by the OPENs that were kept."""
    ours, theirs = read_open(kept.sent), read_open(kept.received)
    session = agreed(ours, theirs)
    if session.four_octet_as != told.four_octet_as:
        return False
    if told.path_ids is None:  # both sides know ADD-PATH, and more is not said
        return ours.knows_add_path and theirs.knows_add_path
    return session.path_ids == told.path_ids
