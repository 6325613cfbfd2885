"""The oracle of the whole decision: what a router's receivers must have in the end, by brute force.

By the text of docs/policy.md, docs/paths.md, docs/configuration.md and the RFCs that they name. It knows nothing of how
rtrd finds it: no history but what is held, no order of events.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from rtrlib.vrp import VRP
from tests.lab import aspa_verification, rfc6811

AS_SET, AS_SEQUENCE, CONFED_SEQUENCE, CONFED_SET = 1, 2, 3, 4
NO_EXPORT, NO_ADVERTISE, NO_EXPORT_SUBCONFED = (65535, 0xFF01), (65535, 0xFF02), (65535, 0xFF03)
SEVERITY = ("observe", "announce", "hold", "withdraw")
VALIDITIES = ("valid", "not-found", "invalid", "unverified")
RFC8097 = 0x4300 << 48

Segments = tuple[tuple[int, tuple[int, ...]], ...]
Prefix = str


class Attributes(NamedTuple):
    """What a neighbor says of its routes in one UPDATE."""

    path: Segments
    next_hop: str
    origin: int = 0
    med: int | None = None
    local_preference: int | None = None
    communities: frozenset[tuple[int, ...]] = frozenset()
    large: frozenset[tuple[int, ...]] = frozenset()
    extended: frozenset[int] = frozenset()
    otc: int | None = None


class Key(NamedTuple):
    """A route: whose, of what."""

    neighbor: str
    prefix: Prefix
    path_id: int | None


class Tags(NamedTuple):
    """What a rule adds."""

    communities: frozenset[tuple[int, ...]] = frozenset()
    large: frozenset[tuple[int, ...]] = frozenset()
    extended: frozenset[int] = frozenset()

    def __or__(self, other: Tags) -> Tags:
        return Tags(self.communities | other.communities, self.large | other.large, self.extended | other.extended)


class Decision(NamedTuple):
    """What is done with a route."""

    action: str
    tags: Tags = Tags()
    inside: Tags = Tags()
    local_preference: int | None = None
    rule: Mapping[str, Any] | None = None


def tags_of(texts: Sequence[str], validity: str | None) -> Tags:
    """Read tags as docs/configuration.md names them; `validity` None: all that they can be."""
    found = Tags()
    for text in texts:
        kind, _, rest = text.partition(":")
        numbers = tuple(int(each, 0) for each in rest.split(":")) if rest else ()
        if text == "rfc8097":
            states = range(3) if validity is None else [s for s in range(3) if VALIDITIES[s] == validity]
            found |= Tags(extended=frozenset(RFC8097 + state for state in states))
        elif kind == "community":
            found |= Tags(communities=frozenset({numbers}))
        elif kind == "large":
            found |= Tags(large=frozenset({numbers}))
        else:
            found |= Tags(extended=frozenset({numbers[0]}))
    return found


@cache
def neighbor_in(neighbor: str, network: str) -> bool:
    return ipaddress.ip_address(neighbor) in ipaddress.ip_network(network)


@dataclass
class World:
    """All that the decisions depend on."""

    rules: Sequence[Mapping[str, Any]] = ()
    """Of `policy`, as the configuration has them."""
    neighbors: Sequence[Mapping[str, Any]] = ()
    ases: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Ours and the neighbor's, of each neighbor that told."""
    routes: dict[Key, Attributes] = field(default_factory=dict)
    vrps: frozenset[VRP] | None = frozenset()
    """None: there is no usable set."""
    aspas: dict[int, frozenset[int]] = field(default_factory=dict)
    receivers: set[str] = field(default_factory=set)
    two_octet: set[str] = field(default_factory=set)
    plain: dict[str, frozenset[int]] = field(default_factory=dict)
    """Families in which a receiver takes no path ids."""

    # -- what a neighbor is

    def matches(self, match: Sequence[str], neighbor: str) -> bool:
        asn = self.ases[neighbor][1] if neighbor in self.ases else None
        return any(int(each[2:]) == asn if each.startswith("AS") else neighbor_in(neighbor, each) for each in match)

    def entry(self, neighbor: str) -> Mapping[str, Any]:
        return next((each for each in self.neighbors if self.matches(each["match"], neighbor)), {})

    def confederation(self, neighbor: str) -> bool:
        return bool(self.entry(neighbor).get("confederation"))

    def internal(self, neighbor: str) -> bool:
        return neighbor in self.ases and self.ases[neighbor][0] == self.ases[neighbor][1]

    def relation(self, neighbor: str) -> str:
        if neighbor not in self.ases:
            return "external"
        if self.internal(neighbor):
            return "internal"
        if self.confederation(neighbor):
            return "confederation"
        return "client" if self.entry(neighbor).get("local-role") == "rs" else "external"

    def role(self, neighbor: str) -> str | None:
        """What we are to it; None: not known, or it is inside."""
        if self.internal(neighbor) or self.confederation(neighbor):
            return None
        found: str | None = self.entry(neighbor).get("local-role")
        return found

    # -- what a route is

    def origin_as(self, key: Key) -> int | None:
        real = [segment for segment in self.routes[key].path if segment[0] in (AS_SET, AS_SEQUENCE)]
        if not real:
            return self.ases[key.neighbor][0]
        return real[-1][1][-1] if real[-1][0] == AS_SEQUENCE else None

    def validity(self, key: Key) -> str:
        return "unverified" if self.vrps is None else validity_by(self.vrps, key.prefix, self.origin_as(key))

    def has_set(self, key: Key) -> bool:
        return any(kind in (AS_SET, CONFED_SET) for kind, _ in self.routes[key].path)

    def first_as(self, key: Key) -> int | None:
        path = self.routes[key].path
        return path[0][1][0] if path else None

    def outcome(self, key: Key) -> str | None:
        role = self.role(key.neighbor)
        if role is None:
            return None
        path = self.routes[key].path
        if role != "rs-client" and self.first_as(key) != self.ases[key.neighbor][1]:
            return "invalid"
        if any(kind != AS_SEQUENCE for kind, _ in path):
            return "invalid"
        procedure = "downstream" if role == "customer" else "upstream"
        return aspa_verification.outcome(self.aspas, [asn for _, ases in path for asn in ases], procedure)

    def leak(self, key: Key) -> bool:
        role, otc = self.role(key.neighbor), self.routes[key].otc
        if otc is None:
            return False
        return role in ("provider", "rs") or (role == "peer" and otc != self.ases[key.neighbor][1])

    def cover(self, key: Key) -> str | None:
        left = {self.validity(other) for other in self.routes if other != key and covers(other.prefix, key.prefix)}
        return next((validity for validity in ("valid", "not-found") if validity in left), None)

    # -- what the policy says

    def meets(self, key: Key, when: Mapping[str, Any]) -> bool:
        attributes, network = self.routes[key], ipaddress.ip_network(key.prefix)
        if asked := when.get("communities"):
            tags = tags_of([each if each.startswith("extended") else kind_of(each) for each in asked], None)
            if not (
                tags.communities & attributes.communities
                or tags.large & attributes.large
                or tags.extended & attributes.extended
            ):
                return False
        if "prefix-length" in when:
            shortest, longest = when["prefix-length"].get(f"ipv{network.version}", (255, 0))
            if not shortest <= network.prefixlen <= longest:
                return False
        if "prefixes" in when and not any(within(network, each) for each in when["prefixes"]):
            return False
        if "origin" in when and self.origin_as(key) not in when["origin"]:
            return False
        if "as-set" in when and when["as-set"] != self.has_set(key):
            return False
        return "covered-by" not in when or when["covered-by"] == self.cover(key)

    def rule_of(self, key: Key) -> Mapping[str, Any] | None:
        for rule in self.rules:
            if "from" in rule and not self.matches(rule["from"], key.neighbor):
                continue
            if self.meets(key, rule.get("when", {})):
                return rule
        return None

    def decide(self, key: Key) -> Decision:
        rule = self.rule_of(key)
        if rule is None:
            return Decision("observe")
        validity = self.validity(key)
        acts = any(rule.get(each, {}).get("action") in ("announce", "withdraw") for each in VALIDITIES)
        first = dict(rule.get(validity, {"action": "hold" if acts and validity == "unverified" else "observe"}))
        as_set = rule.get("as-set", {"action": "withdraw"} if acts else "by-validity")
        if self.has_set(key) and as_set != "by-validity":
            first["action"] = as_set["action"]
        said = [(first, False)]
        if self.outcome(key) == "invalid" and "aspa-invalid" in rule:
            said.append((rule["aspa-invalid"], True))
        if self.leak(key) and "leak" in rule:
            said.append((rule["leak"], True))
        action = max((each["action"] for each, _ in said), key=SEVERITY.index)
        attributes = self.routes[key]
        ours, theirs = self.ases[key.neighbor]
        entry = self.entry(key.neighbor)
        enforce = entry.get("enforce-first-as", entry.get("local-role") not in (None, "rs-client"))
        excluded = any(ours in ases for _, ases in attributes.path)
        if enforce and ours != theirs and attributes.path and self.first_as(key) != theirs:
            excluded = True
        if excluded and action in ("announce", "hold"):
            action = "observe"
        tags, inside = Tags(), Tags()
        preferences = []
        for each, of_path in said:
            if each["action"] != "announce":
                continue
            found = tags_of(each.get("tags", ()), validity)
            tags, inside = (tags, inside | found) if of_path else (tags | found, inside)
            preferences += [each["local-preference"]] if "local-preference" in each else []
        return Decision(action, tags, inside, min(preferences, default=None), rule)

    # -- who gets it, and how

    def otc_here(self, key: Key, rule: Mapping[str, Any]) -> int | None:
        """RFC 9234 section 5, on ingress."""
        otc = self.routes[key].otc
        if otc is None and rule.get("otc") and self.role(key.neighbor) in ("customer", "peer", "rs-client"):
            return self.ases[key.neighbor][1]
        return otc

    def otc_toward(self, receiver: str, otc: int | None) -> tuple[bool, int | None]:
        """The same toward a receiver: whether it may go there, and with what."""
        role = self.role(receiver)
        if otc is not None:
            return role not in ("customer", "peer", "rs-client"), otc
        if role not in ("provider", "peer", "rs"):
            return True, None
        return receiver in self.ases, self.ases[receiver][0] if receiver in self.ases else None

    def keeps_back(self, key: Key, decision: Decision, receiver: str) -> bool:
        """Whether Only to Customer keeps a route from a receiver that its rule names."""
        rule = decision.rule
        if decision.action != "announce" or rule is None or not rule.get("otc"):
            return False
        if receiver not in rule["to"] if "to" in rule else receiver == key.neighbor:
            return False
        return not self.otc_toward(receiver, self.otc_here(key, rule))[0]

    def goes_to(self, key: Key, decision: Decision, receiver: str) -> bool:
        rule, attributes = decision.rule, self.routes[key]
        if decision.action != "announce" or rule is None:
            return False
        if receiver not in rule["to"] if "to" in rule else receiver == key.neighbor:
            return False
        if receiver in self.two_octet and (
            len(attributes.path) > 1 or any(kind != AS_SEQUENCE for kind, _ in attributes.path)
        ):
            return False
        relation = self.relation(receiver)
        if NO_ADVERTISE in attributes.communities:
            return False
        if NO_EXPORT in attributes.communities and relation not in ("internal", "confederation"):
            return False
        if NO_EXPORT_SUBCONFED in attributes.communities and relation != "internal":
            return False
        return not self.keeps_back(key, decision, receiver)

    def ours(self) -> Tags:
        """All that the policy may add."""
        found = Tags(extended=frozenset(RFC8097 + number for number in range(3)))
        for rule in self.rules:
            for name in (*VALIDITIES, "aspa-invalid", "leak"):
                found |= tags_of(rule.get(name, {}).get("tags", ()), None)
        return found

    def words(self, key: Key, decision: Decision, receiver: str) -> Attributes:
        """What the receiver gets of a route."""
        assert decision.rule is not None
        attributes, relation, ours = self.routes[key], self.relation(receiver), self.ours()
        tags = decision.tags | decision.inside if relation == "internal" else decision.tags
        outside = relation in ("client", "external")
        extended = {each for each in attributes.extended - ours.extended if each >> 48 != 0x4300}
        if outside:
            extended = {each for each in extended if not each >> 62 & 1}
        otc = attributes.otc
        if decision.rule.get("otc"):
            otc = self.otc_toward(receiver, self.otc_here(key, decision.rule))[1]
        given = decision.local_preference
        return Attributes(
            tuple(each for each in attributes.path if not outside or each[0] in (AS_SET, AS_SEQUENCE)),
            attributes.next_hop,
            attributes.origin,
            attributes.med if relation != "external" else None,
            attributes.local_preference if given is None else given,
            attributes.communities - ours.communities | tags.communities,
            attributes.large - ours.large | tags.large,
            frozenset(extended) | tags.extended,
            otc,
        )

    def rank(self, key: Key, decision: Decision) -> tuple[object, ...]:
        """The lowest is the best."""
        attributes = self.routes[key]
        given = decision.local_preference
        learned = 100 if attributes.local_preference is None else attributes.local_preference
        length = sum(len(ases) if kind == AS_SEQUENCE else kind == AS_SET for kind, ases in attributes.path)
        return (
            self.validity(key) == "invalid",
            self.has_set(key),
            -(learned if given is None else given),
            length,
            attributes.origin,
            ipaddress.ip_address(key.neighbor).packed,
            key.path_id or 0,
        )

    def nlri(self, key: Key, receiver: str) -> tuple[Prefix, Key | None]:
        family = 6 if ":" in key.prefix else 4
        plain = family in self.plain.get(receiver, ())
        return key.prefix, None if plain or key.path_id is None else key

    def expected(
        self, receiver: str, decisions: Mapping[Key, Decision]
    ) -> dict[tuple[Prefix, Key | None], tuple[Key, Attributes]]:
        """What a receiver has, by the announcement that it is: of a prefix, or of one path of it."""
        best: dict[tuple[Prefix, Key | None], tuple[tuple[object, ...], Key]] = {}
        for key, decision in decisions.items():
            if self.goes_to(key, decision, receiver):
                nlri, found = self.nlri(key, receiver), (self.rank(key, decision), key)
                best[nlri] = min(best.get(nlri, found), found, key=lambda each: each[0])
        return {nlri: (key, self.words(key, decisions[key], receiver)) for nlri, (_, key) in best.items()}


validity_by = cache(rfc6811.validity)
covers = cache(rfc6811.covers)


def kind_of(community: str) -> str:
    return f"{'large' if community.count(':') == 2 else 'community'}:{community}"


def within(network: ipaddress.IPv4Network | ipaddress.IPv6Network, each: str | Mapping[str, Any]) -> bool:
    said: Mapping[str, Any] = {"prefix": each} if isinstance(each, str) else each
    wider = ipaddress.ip_network(said["prefix"])
    shortest = said.get("ge", wider.prefixlen)
    longest = said.get("le", wider.max_prefixlen if "ge" in said else wider.prefixlen)
    if wider.version != network.version or not shortest <= network.prefixlen <= longest:
        return False
    return network.subnet_of(wider)  # type: ignore[arg-type]
