"""What a BGP session agreed on, from the OPENs of both sides: without it an UPDATE can't be read. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from rtrlib.aspa_paths import LocalRole

MULTIPROTOCOL, ROUTE_REFRESH, EXTENDED_NEXT_HOP, EXTENDED_MESSAGE, ROLE, FOUR_OCTET_AS, ADD_PATH = 1, 2, 5, 6, 9, 65, 69
"""Capability codes: RFC 4760, 2918, 8950, 8654, 9234, 6793, 7911."""

_CAPABILITIES = 2  # the optional parameter that holds them (RFC 5492)
_FAMILIES = {(1, 1): 4, (2, 1): 6}
_RECEIVE, _SEND = 1, 2
_ROLES: Final[tuple[LocalRole, ...]] = ("provider", "rs", "rs-client", "customer", "peer")
"""By the values of RFC 9234 section 4.1."""
_FITTING: Final[dict[LocalRole, LocalRole]] = {
    "provider": "customer",
    "customer": "provider",
    "peer": "peer",
    "rs": "rs-client",
    "rs-client": "rs",
}
"""Which role of the other side belongs to ours (RFC 9234 section 4.2)."""


class Open(NamedTuple):
    """What one side says in its OPEN (RFC 4271 section 4.2)."""

    asn: int
    router_id: int = 0
    four_octet_as: bool = False
    sends_path_ids: frozenset[int] = frozenset()
    """Families (4, 6: unicast) in which it can send path ids (RFC 7911)."""
    takes_path_ids: frozenset[int] = frozenset()
    extended_next_hop: bool = False
    """IPv4 unicast with an IPv6 next hop (RFC 8950)."""
    route_refresh: bool = False
    roles: frozenset[int] = frozenset()
    """Values of its BGP Role capability (RFC 9234); several contradict one another."""

    @property
    def knows_add_path(self) -> bool:
        """It can send or receive path ids of IPv4 or IPv6."""
        return bool(self.sends_path_ids | self.takes_path_ids)


class BGPSession(NamedTuple):
    """What an UPDATE of a peer can't be read without."""

    local_as: int
    peer_as: int
    four_octet_as: bool
    path_ids: frozenset[int]
    """Families (4, 6: unicast) in which the peer sends path ids."""
    extended_next_hop: bool
    confederation: bool = False
    """The peer is of another AS in our confederation (RFC 5065): the configuration says so, no OPEN does."""
    router_id: int = 0
    """Ours; 0: not known."""
    peer_router_id: int = 0
    """The peer's; 0: not known."""
    addresses: tuple[str, ...] = ()
    """The peer's and ours, as far as they are known."""

    @property
    def external(self) -> bool:
        """The peer is of another AS."""
        return self.local_as != self.peer_as


def agreed(ours: Open, theirs: Open) -> BGPSession:
    """Give what follows from the OPEN that we sent and the one that the peer sent."""
    return BGPSession(
        local_as=ours.asn,
        peer_as=theirs.asn,
        four_octet_as=ours.four_octet_as and theirs.four_octet_as,
        path_ids=theirs.sends_path_ids & ours.takes_path_ids,
        extended_next_hop=ours.extended_next_hop and theirs.extended_next_hop,
        router_id=ours.router_id,
        peer_router_id=theirs.router_id,
    )


def local_role(ours: Open, theirs: Open) -> LocalRole | None:
    """Give the role that our side says it has; None: it says none, or the other side says one that does not fit.

    What the other side says alone is no proof of what we are to it.
    """
    role, other = _role(ours), _role(theirs)
    if role is None or (theirs.roles and other != _FITTING[role]):
        return None
    return role


def _role(side: Open) -> LocalRole | None:
    values = sorted(side.roles)
    return _ROLES[values[0]] if len(values) == 1 and values[0] < len(_ROLES) else None


def read_open(body: bytes) -> Open:
    """Read an OPEN: what follows its header. Raises ValueError, with what is wrong, for what is none."""
    if len(body) < 10 or body[0] != 4:
        raise ValueError("no OPEN of BGP-4")
    found = Open(int.from_bytes(body[1:3]), int.from_bytes(body[5:9]))
    for code, value in _capabilities(body):
        if code == FOUR_OCTET_AS and len(value) == 4:
            found = found._replace(asn=int.from_bytes(value), four_octet_as=True)
        elif code == ADD_PATH:
            found = _add_path(found, value)
        elif code == EXTENDED_NEXT_HOP:
            tuples = {value[at : at + 6] for at in range(0, len(value), 6)}
            found = found._replace(extended_next_hop=found.extended_next_hop or b"\0\1\0\1\0\2" in tuples)
        elif code == ROLE and len(value) == 1:
            found = found._replace(roles=found.roles | {value[0]})
        elif code == ROUTE_REFRESH:
            found = found._replace(route_refresh=True)
    return found


def _add_path(found: Open, value: bytes) -> Open:
    """RFC 7911 section 4: of each family AFI, SAFI, and what the side can do."""
    sends, takes = set(found.sends_path_ids), set(found.takes_path_ids)
    for at in range(0, len(value) - 3, 4):
        family = _FAMILIES.get((int.from_bytes(value[at : at + 2]), value[at + 2]))
        mode = value[at + 3]
        if family is None or not 1 <= mode <= 3:
            continue  # "any other value SHOULD be ignored"
        sends |= {family} if mode & _SEND else set()
        takes |= {family} if mode & _RECEIVE else set()
    return found._replace(sends_path_ids=frozenset(sends), takes_path_ids=frozenset(takes))


def _capabilities(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Give code and value of each capability, in one optional parameter or in many."""
    width, rest = 1, body[10 : 10 + body[9]]
    if body[9] and body[10:11] == b"\xff":  # RFC 9072: lengths of two octets
        width, rest = 2, body[13 : 13 + int.from_bytes(body[11:13])]
    for kind, parameter in _values(rest, width):
        if kind == _CAPABILITIES:
            yield from _values(parameter, 1)


def _values(rest: bytes, width: int) -> Iterator[tuple[int, bytes]]:
    while rest:
        end = 1 + width + int.from_bytes(rest[1 : 1 + width])
        if len(rest) < max(end, 1 + width):
            raise ValueError("an OPEN whose lengths don't fit")
        yield rest[0], rest[1 + width : end]
        rest = rest[end:]
