"""How it can be known what a neighbor had sent before rtrd began: it sends it again, or ExaBGP lists it. Pure.

`show neighbor extensive` says who can be asked to send its routes again (RFC 2918), `show neighbor configuration` of
whom ExaBGP keeps a list (`show adj-rib in`). Who came by a range of addresses can't be asked: ExaBGP sends nothing
there. Addresses are in their normal form.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from rtrd.exabgp.api_sections import ApiSections
from rtrd.exabgp.neighbor_text import Network
from rtrd.exabgp.neighbors import Neighbors, within
from rtrd.policy import normal


class SentBefore:
    """What is known of it, of the neighbors of one ExaBGP."""

    def __init__(self, api: ApiSections, neighbors: Neighbors) -> None:
        """Begin. `api`: whose UPDATEs are told, and how many came; `neighbors`: whose session is up."""
        self._api = api
        self._neighbors = neighbors
        self._unable: set[str] = set()  # to send again
        self._unlisted: set[str] = set()
        self._unlisted_ranges: list[Network] = []

    # -- what ExaBGP says

    def can_refresh(self, address: str, *, able: bool) -> None:
        """Take whether both sides of a session know route refresh."""
        (self._unable.discard if able else self._unable.add)(address)

    def configured(self, unlisted: Iterable[str | Network]) -> None:
        """Take the neighbors, and the ranges, of which ExaBGP keeps no list (`adj-rib-in false`)."""
        self._unlisted, self._unlisted_ranges = set(), []
        for one in unlisted:
            if isinstance(one, str):
                self._unlisted.add(normal(one))
            else:
                self._unlisted_ranges.append(one)

    def forget(self, addresses: Iterable[str]) -> None:
        """Take note that these are no neighbors any more."""
        self._unable.difference_update(addresses)

    # -- what follows

    def knows_no_refresh(self, address: str) -> bool:
        """Tell whether a neighbor itself can't be asked."""
        return address in self._unable

    def cannot_refresh(self, address: str) -> bool:
        """Tell whether a neighbor can't be asked to send its routes again: it can't, or came by a range."""
        return address in self._unable or self._neighbors.visits(address)

    def unlisted(self, address: str) -> bool:
        """Tell whether ExaBGP is configured to keep no list of what a neighbor sends."""
        if self._neighbors.visits(address):
            return any(within(address, network) for network in self._unlisted_ranges)
        return address in self._unlisted

    def awaited(self, addresses: Iterable[str], listed: Collection[str], known: Collection[str]) -> set[str]:
        """Give those of these neighbors whose routes only they themselves can tell, when they send them again.

        `listed`: of whom ExaBGP has listed routes; `known`: of whom rtrd has some. Who has sent some, and ExaBGP lists
        none of them, it keeps no list of, whatever its configuration says: a reload may have changed that. Who has sent
        no UPDATE in all of its session has no routes.
        """
        return {
            one
            for one in addresses
            if self._neighbors.up(one)
            and not self.cannot_refresh(one)
            and self._api.follows(one)
            and (one not in listed and (one in known or (self.unlisted(one) and self._api.has_sent(one))))
        }

    def unlearnable(self, older: Iterable[str]) -> set[str]:
        """Give those of these neighbors that can't send their routes again, and of which there is no list either."""
        return {one for one in older if self._neighbors.up(one) and self.cannot_refresh(one) and self.unlisted(one)}

    def unattributed(self, older: Iterable[str]) -> set[str]:
        """Give those of these neighbors whose routes can't be told from those of others that came by their range."""
        return {one for one in older if self._neighbors.up(one) and self._neighbors.shares(one)}
