"""The BGP sessions of ExaBGP's configuration: what each needs to be one, and that no two are the same. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

from rtrd.base.faults import Report
from rtrd.exabgp.conf_file import Section, last, shown
from rtrd.exabgp.conf_receivers import ConfiguredSession
from rtrd.policy import normal

_OFF: Final = ("false", "disable", "disabled")
_TOLD_APART: Final = "rtrd tells sessions with one address apart by the `local-address`"


class ConfiguredSessions:
    """Makes sessions of neighbors."""

    def __init__(self, report: Report) -> None:
        """`report` is told what ExaBGP would refuse, and what rtrd can't tell apart."""
        self._report = report
        self._indexes: dict[tuple[str, ...], Section] = {}
        self._ends: dict[tuple[object, str], Section] = {}

    def session(self, neighbor: Section, parts: Sequence[Section], where: str) -> ConfiguredSession | None:
        """Give the session of a neighbor; `parts`: the sections that make it, those that count more later."""

        def value(key: str) -> str:
            found = last(parts, key)
            return found.value if found else ""

        external = self._external(neighbor, parts, where)
        peer = value("peer-address") or neighbor.name
        try:
            network = ipaddress.ip_network(peer, strict=False)
            asn = value("peer-as")
            peer_as = int(asn) if asn.isascii() and asn.isdigit() else None
            session = ConfiguredSession(neighbor.line, network, external, peer_as)
        except ValueError:
            self._report(neighbor.line, f"{where}: not an IP address")
            return None
        if "%" in peer:
            self._report(neighbor.line, f"{where}: ExaBGP refuses an address with a zone (`%`)")
        local = value("local-address").replace("auto", "")
        self._addresses(neighbor, session, local, value("router-id"), where)
        passive = last(parts, "passive")
        is_passive = passive is not None and passive.value.lower() not in _OFF
        if session.is_range:
            if not is_passive:
                self._report(neighbor.line, f"{where}: a range: write `passive;`: ExaBGP refuses one without")
            what = "a range: rtrd learns the routes of its neighbors, but ExaBGP takes no announcements for them"
            self._report(neighbor.line, f"{where}: {what}", "warning")
        listen = value("listen")
        index = (peer, local, value("local-as"), value("peer-as"), value("router-id") or local, _families(parts))
        self._only_one(
            neighbor, (peer, listen) if listen.strip("0") else index, (session.network, normal(local)), where
        )
        return session._replace(only_waits=is_passive and not listen.strip("0"))

    def _external(self, neighbor: Section, parts: Sequence[Section], where: str) -> bool | None:
        numbers = {}
        for key in ("local-as", "peer-as"):
            statement = last(parts, key)
            if statement is None:
                self._report(neighbor.line, f"{where}: `{key}` is missing")
            elif statement.value == "auto":
                what = f"`{key} auto`: 4.2 refuses it, and 5.0 answers no list of its neighbors then: write a number"
                self._report(statement.line, f"{where}: {what}")
            else:
                numbers[key] = statement.value
        return numbers["local-as"] != numbers["peer-as"] if len(numbers) == 2 else None

    def _addresses(self, neighbor: Section, session: ConfiguredSession, local: str, router_id: str, where: str) -> None:
        if not local:
            what = "no `local-address`: ExaBGP 4.2 refuses such a neighbor, and 5.0 takes any address of this host"
            self._report(neighbor.line, f"{where}: {what}", "warning")
        elif (session.network.version == 6) != (":" in local):
            what = f"`local-address` {shown([local])} and the neighbor's address are not of one family"
            self._report(neighbor.line, f"{where}: {what}")
        if not router_id and (not local or session.network.version == 6):
            what = "`router-id` is missing: ExaBGP can take it only from an IPv4 `local-address`"
            self._report(neighbor.line, f"{where}: {what}")

    def _only_one(self, neighbor: Section, index: tuple[str, ...], ends: tuple[object, str], where: str) -> None:
        """Find a second session with one address: ExaBGP refuses it, or rtrd can't tell the two apart."""
        same, near = self._indexes.setdefault(index, neighbor), self._ends.setdefault(ends, neighbor)
        if same is not neighbor:
            what = f"it is on line {same.line} already: ExaBGP refuses the same neighbor twice"
            self._report(neighbor.line, f"{where}: {what}")
        elif near is not neighbor:
            what = f"a neighbor with this address and `local-address` is on line {near.line}, too: {_TOLD_APART}"
            self._report(neighbor.line, f"{where}: {what}", "warning")


def _families(parts: Sequence[Section]) -> str:
    """Give the families of a neighbor that has a session for each of them, else nothing."""
    capabilities = [each for part in parts for each in part.of_kind("capability")]
    if last(capabilities, "multi-session") is None:
        return ""
    families = [each for part in parts for each in part.of_kind("family")]
    return str([statement.words for each in families for statement in each.statements])
