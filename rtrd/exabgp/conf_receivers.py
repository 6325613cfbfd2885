"""Whom the rules of rtrd's own configuration name, and whom they reach, among the neighbors that ExaBGP has. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from rtrd.base.faults import FileFault
from rtrd.config.path_checks import PATH_ACTIONS
from rtrd.config.rule_checks import announcing_rules
from rtrd.config.yaml_reader import Node

_SHOWN_NEIGHBORS: Final = 3
_NOBODY: Final = "no neighbor of ExaBGP's configuration"


class ConfiguredSession(NamedTuple):
    """A neighbor of the file."""

    line: int
    network: ipaddress.IPv4Network | ipaddress.IPv6Network
    """Its address, or the range of its addresses."""
    external: bool | None
    """Whether it is in another AS; None: that is not known (`auto`)."""
    peer_as: int | None = None
    """None: it is not known, or not written as a number."""
    needs_opens: bool = False
    """Its UPDATEs come as octets, maybe with path ids: who has not kept its OPENs may not be able to read them."""
    only_waits: bool = False
    """It is passive, and no `listen` of its own says where ExaBGP waits for it."""

    @property
    def is_range(self) -> bool:
        """ExaBGP takes sessions of any address within."""
        return self.network.num_addresses > 1


def check_receivers(root: Node, file: str, sessions: Sequence[ConfiguredSession] | None) -> list[FileFault]:
    """Check whom the rules of rtrd's own configuration name, and whom they reach without a `to`.

    `sessions`: ExaBGP's; None: they are not known.
    """
    findings = []
    for rule, action in announcing_rules(root):
        if "to" not in rule.keys and (who := _external(rule, sessions)):
            what = f"announced to every neighbor but the route's own, since `to` is left out: {who}"
            findings.append(FileFault(file, action.line, f"{action.path}: {what}", "warning"))
    findings += _tags(root, file, sessions)
    findings += _unjudged(root, file, sessions or ())
    for each, receives in _named(root) if sessions is not None else ():
        if why := _no_session(each.value, sessions or (), receives=receives):
            findings.append(FileFault(file, each.line, f"{each.path}: {each.value}: {why}", "warning"))
    return findings


def check_waiting(file: str, sessions: Sequence[ConfiguredSession]) -> Iterator[FileFault]:
    """Find the sessions that can't come up, of an ExaBGP that listens on no address of its own accord."""
    what = "`passive`, but ExaBGP listens nowhere: write `listen PORT;` into it, or `bind = ADDRESS` in [exabgp.tcp]"
    for session in sessions:
        if session.only_waits:
            name = str(session.network) if session.is_range else str(session.network.network_address)
            yield FileFault(file, session.line, f"neighbor {name}: {what} of exabgp.env", "warning")


def _tags(root: Node, file: str, sessions: Sequence[ConfiguredSession] | None) -> Iterator[FileFault]:
    """Warn of tags that say what a path is, where not only neighbors of our own AS are to receive them."""
    what = "neighbors of your own AS alone get them: others should not be told what a path is"
    for rule in root.keys["policy"].items if "policy" in root.keys else ():
        if _only_ours(rule, sessions):
            continue
        for action in (rule.keys[key] for key in PATH_ACTIONS if key in rule.keys):
            if "tags" in action.keys:
                why = f"{action.path}.tags: {what} (draft-ietf-sidrops-avoid-rpki-state-in-bgp)"
                yield FileFault(file, action.line_of("tags"), why, "warning")


def _unjudged(root: Node, file: str, sessions: Sequence[ConfiguredSession]) -> Iterator[FileFault]:
    """Warn of what is done because of paths that come from neighbors of our own AS alone: these are not judged."""
    what = "never acts: what neighbors of your own AS send is not judged: paths are where they enter the AS"
    for rule in root.keys["policy"].items if "policy" in root.keys else ():
        if rule.get("direction", "in") == "in" and _only_ours(rule, sessions, "from"):
            for action in (rule.keys[key] for key in PATH_ACTIONS if key in rule.keys):
                yield FileFault(file, action.line, f"{action.path}: {what}", "warning")


def _only_ours(rule: Node, sessions: Sequence[ConfiguredSession] | None, key: str = "to") -> bool:
    """Tell whether all neighbors to which a rule announces, or from which it takes, are known to be of our own AS."""
    named = [str(each.value) for each in rule.keys[key].items] if key in rule.keys else []
    reached = [one for one in sessions or () if not named or any(_may_be(one, each) for each in named)]
    return bool(reached) and all(one.external is False for one in reached)


def _may_be(session: ConfiguredSession, match: str) -> bool:
    """Tell whether a neighbor of a session may be one that an address, a prefix or an AS names."""
    if match.startswith("AS"):
        return session.peer_as is None or f"AS{session.peer_as}" == match
    try:
        network = ipaddress.ip_network(match)
    except ValueError:  # a fault of the file, which is said elsewhere
        return True
    return network.version == session.network.version and session.network.overlaps(network)


def _named(root: Node) -> Iterator[tuple[Node, bool]]:
    """Give all that names neighbors, and whether they are to receive; those of `neighbors` may be a BMP router's."""
    for rule in root.keys["policy"].items if "policy" in root.keys else ():
        for key in ("from", "to"):
            yield from ((each, key == "to") for each in (rule.keys[key].items if key in rule.keys else ()))
    for entry in root.keys["neighbors"].items if "neighbors" in root.keys and "bmp" not in root.keys else ():
        yield from ((each, False) for each in entry.keys["match"].items if "match" in entry.keys)


def check_state(state: object, file: str, sessions: Sequence[ConfiguredSession]) -> Iterator[FileFault]:
    """Warn of sessions whose OPENs should be kept over a restart, where no `state` folder is configured."""
    names = [str(one.network.network_address) for one in sessions if one.needs_opens]
    if state is None and names:
        more = f" and {len(names) - _SHOWN_NEIGHBORS} more" if len(names) > _SHOWN_NEIGHBORS else ""
        what = (
            f"`state` is missing: {', '.join(names[:_SHOWN_NEIGHBORS])}{more} may use ADD-PATH, and without its OPENs, "
            "which are kept there, rtrd can't read the UPDATEs after a restart: routes may wait for the next session"
        )
        yield FileFault(file, 0, what, "warning")


def _external(rule: Node, sessions: Sequence[ConfiguredSession] | None) -> str | None:
    """Say which neighbors of other ASes a rule without `to` announces to."""
    if sessions is None:
        return "also to those of other ASes (eBGP)"
    sources = {str(each.value) for each in rule.keys["from"].items} if "from" in rule.keys else None
    from_sessions = [one for one in sessions if sources is None or any(_may_be(one, each) for each in sources)]
    reached = [
        str(one.network.network_address)
        for one in sessions
        if one.external and not one.is_range and any(source is not one for source in from_sessions)
    ]
    if not reached:
        return None
    more = f" and {len(reached) - _SHOWN_NEIGHBORS} more" if len(reached) > _SHOWN_NEIGHBORS else ""
    return f"also to {', '.join(reached[:_SHOWN_NEIGHBORS])}{more} of another AS (eBGP)"


def _no_session(match: object, sessions: Sequence[ConfiguredSession], *, receives: bool) -> str | None:
    """Say why no session of ExaBGP's is one that an address, a prefix or an AS names; None: some may be."""
    text = str(match)
    if text.startswith("AS"):
        of_as = any(one.peer_as is None or f"AS{one.peer_as}" == text for one in sessions)
        return None if of_as else _NOBODY
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        return None
    within = [one for one in sessions if network.version == one.network.version and network.overlaps(one.network)]
    if not within:
        return _NOBODY
    if receives and all(one.is_range for one in within):
        return f"within the range {within[0].network}, for whose neighbors ExaBGP takes no announcements"
    return None
