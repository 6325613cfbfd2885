"""Which rule is for a route: `when` of the policy against what its words mean, and black holes, as stories."""

from __future__ import annotations

import json
import struct
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrd.config.when import MAX_RULES
from rtrd.policy import Demands
from rtrd.rib.bgp_session import BGPSession
from rtrd.rib.table import RouteTable
from rtrd.rib.terms import FIT, LEARNED, AttributeSummary, NeighborPolicy
from rtrd.tags import parse_community
from rtrlib.vrp import VRP
from tests.lab.engine_story import EngineStory, policy_of
from tests.lab.speaker import packed_prefix
from tests.lab.strategies import prefixes
from tests.lab.vrp_sets import set_of

OURS, THEIRS = 65000, 64496
NEIGHBOR, LISTENER = "192.0.2.1", "192.0.2.8"
SEQUENCE, SET = 2, 1
COMMUNITIES = {"65535:666": (8, 65535, 666), "64496:1": (8, 64496, 1)}
LARGE = {"64496:1:0": (32, 64496, 1, 0), "4294967295:0:7": (32, 4294967295, 0, 7)}
EXTENDED = {"extended:0x0002fbf000000007": (16, 0x0002FBF0, 7)}
ALL = COMMUNITIES | LARGE | EXTENDED
ASES = (THEIRS, 1, 64500, 4200000000, 4294967295)

When = dict[str, Any]


class Learned(NamedTuple):
    """A route, as its neighbor announces it."""

    prefix: str
    path: tuple[tuple[int, tuple[int, ...]], ...]
    communities: tuple[str, ...] = ()

    @property
    def origin(self) -> int | None:
        """RFC 6811 section 2."""
        kind, ases = self.path[-1]
        return None if kind == SET else ases[-1]


def attribute(code: int, value: bytes, flags: int = 0xC0) -> bytes:
    return struct.pack("!BBB", flags, code, len(value)) + value


class Story(EngineStory):
    """An engine with one neighbor, and which rule each route is announced by: the tag of rule N is 65000:N."""

    def __init__(self, *rules: When | None, vrps: tuple[VRP, ...] = ()) -> None:
        super().__init__(policy_of(policy(*rules)), *vrps)
        self.told: dict[str, int] = {}
        self.engine.add_receiver(LISTENER)
        self.engine.sessions.spoken(NEIGHBOR, OURS, THEIRS)
        self.engine.sessions.spoken(LISTENER, OURS, OURS)

    def learn(self, *routes: Learned) -> None:
        session = BGPSession(OURS, THEIRS, True, frozenset(), False, addresses=(NEIGHBOR, "127.0.0.1"))
        for route in routes:
            octets = b"".join(struct.pack(f"!BB{len(ases)}I", kind, len(ases), *ases) for kind, ases in route.path)
            found = attribute(1, b"\0", 0x40) + attribute(2, octets, 0x40)
            lists: dict[int, bytes] = {}
            for code, *numbers in (ALL[each] for each in route.communities):
                lists[code] = lists.get(code, b"") + struct.pack("!2H" if code == 8 else f"!{len(numbers)}I", *numbers)
            found += b"".join(attribute(code, value) for code, value in sorted(lists.items()))
            nlri = packed_prefix(route.prefix)
            if ":" in route.prefix:
                hop = ip_address("2001:db8::77").packed
                found += attribute(14, struct.pack("!HBB", 2, 1, 16) + hop + b"\0" + nlri, 0x80)
                nlri = b""
            else:
                found += attribute(3, ip_address("192.0.2.77").packed, 0x40)
            assert self.engine.receive(NEIGHBOR, session, struct.pack("!HH", 0, len(found)) + found + nlri) == 0

    def now(self, *rules: When | None) -> None:
        self.engine.set_policy(policy_of(policy(*rules)))

    def rules(self) -> dict[str, int]:
        """Of each route that the listener has: the rule that is for it."""
        for command in self.commands():
            for prefix in command.prefixes.split():
                self.told.pop(prefix, None)
                if command.announce:
                    (tag,) = self.engine.treatment(command).tags
                    self.told[prefix] = tag.numbers[1]
        return self.told


def policy(*rules: When | None) -> str:
    """A rule for each `when`, in the order; None: for all."""
    written = []
    for number, when in enumerate(rules):
        announce = {"action": "announce", "tags": [f"community:65000:{number}"]}
        rule = {"from": [NEIGHBOR], "to": [LISTENER], "as-set": "by-validity"}
        rule |= dict.fromkeys(("valid", "not-found", "invalid", "unverified"), announce)  # type: ignore[arg-type]
        written.append(rule | ({} if when is None else {"when": when}))
    return f"policy: {json.dumps(written)}\n"


# ---- what the words mean


def is_one(route: str, entry: str | dict[str, Any]) -> bool:
    """As prefix lists of routers: what the prefix covers, if its length is no less than ge and no more than le."""
    entry = {"prefix": entry} if isinstance(entry, str) else entry
    network, inner = ip_network(entry["prefix"]), ip_network(route)
    if network.version != inner.version or inner.network_address not in network:
        return False
    if "ge" not in entry and "le" not in entry:
        return inner.prefixlen == network.prefixlen
    return (
        inner.prefixlen >= network.prefixlen
        and inner.prefixlen >= entry.get("ge", 0)
        and inner.prefixlen <= entry.get("le", 128)
    )


def is_for(when: When | None, route: Learned) -> bool:
    if when is None:
        return True
    network = ip_network(route.prefix)
    lengths = when.get("prefix-length", {"ipv4": [0, 32], "ipv6": [0, 128]}).get(f"ipv{network.version}", [1, 0])
    has_set = any(kind == SET for kind, _ in route.path)
    return (
        ("communities" not in when or any(each in route.communities for each in when["communities"]))
        and lengths[0] <= network.prefixlen <= lengths[1]
        and ("prefixes" not in when or any(is_one(route.prefix, each) for each in when["prefixes"]))
        and ("origin" not in when or route.origin in when["origin"])
        and ("as-set" not in when or when["as-set"] == has_set)
    )


@st.composite
def entries(draw: st.DrawFn) -> str | dict[str, Any]:
    prefix = draw(prefixes())
    length, most = int(prefix.partition("/")[2]), 128 if ":" in prefix else 32
    entry: dict[str, Any] = {"prefix": prefix}
    if draw(st.booleans()):
        entry["ge"] = draw(st.integers(length, most))
    if draw(st.booleans()):
        entry["le"] = draw(st.integers(entry.get("ge", length), most))
    return prefix if len(entry) == 1 and draw(st.booleans()) else entry


def spans(most: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, most), min_size=2, max_size=2).map(sorted)


WHENS = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "communities": st.lists(st.sampled_from(sorted(ALL)), min_size=1, max_size=3),
        "prefix-length": st.fixed_dictionaries({"ipv4": spans(32)}, optional={"ipv6": spans(128)}),
        "prefixes": st.lists(entries(), min_size=1, max_size=8),
        "origin": st.lists(st.sampled_from(ASES), min_size=1, max_size=3),
        "as-set": st.booleans(),
    },
).filter(bool)
SEGMENTS = st.tuples(
    st.sampled_from([SEQUENCE, SEQUENCE, SET]), st.lists(st.sampled_from(ASES), min_size=1, max_size=3).map(tuple)
)
ROUTES = st.builds(
    Learned,
    prefixes(),
    st.lists(SEGMENTS, max_size=2).map(lambda more: ((SEQUENCE, (THEIRS, 64497)), *more)),
    st.lists(st.sampled_from(sorted(ALL)), unique=True, max_size=3).map(tuple),
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(WHENS, min_size=1, max_size=4),
    st.lists(WHENS, min_size=1, max_size=4),
    st.lists(ROUTES, min_size=1, max_size=8),
    st.lists(ROUTES, max_size=4),
)
def test_the_first_rule_whose_when_holds_is_for_a_route(
    before: list[When | None], after: list[When | None], routes: list[Learned], more: list[Learned]
) -> None:
    """Also of routes that came before the policy, or while another one was becoming effective."""
    story, there = Story(*before), {route.prefix: route for route in routes}

    def wanted(rules: list[When | None]) -> dict[str, int]:
        found = {prefix: [is_for(when, route) for when in rules] for prefix, route in there.items()}
        return {prefix: rules.index(True) for prefix, rules in found.items() if True in rules}

    story.learn(*routes)
    assert story.rules() == wanted(before)
    story.now(*after)
    story.learn(*more)
    there |= {route.prefix: route for route in more}
    assert story.rules() == wanted(after)


# ---- the table


def test_long_lists_are_searched() -> None:
    """Every prefix of a long list is found, and none between two of them."""
    table, listed = RouteTable(set_of()), [f"10.{i // 128}.{i % 128 * 2}.0/24" for i in range(4096)]
    others = [prefix.replace(".0/24", ".0/25") for prefix in listed[::7]]
    others += [str(ip_network((int(ip_network(prefix).network_address) + 256, 24))) for prefix in listed[::5]]
    announce = NeighborPolicy(1, ("announce",) * 4, (0,) * 4, (LEARNED,) * 4)
    long = announce._replace(demands=Demands(((prefix, 24, 24) for prefix in listed), range(1, 9000, 3)))
    number = table.add_neighbor([long, announce._replace(actions=("observe",) * 4)], b"\x7f\0\0\1")
    for name, origin in ((b"listed", 8998), (b"not listed", 8999)):
        attributes = table.add_attributes(name, AttributeSummary(1, origin, 100, 1, 0, FIT))
        table.announce(number, attributes, [*listed, *others])
        while table.work(1000):
            pass
        chosen = {route.prefix for route in table.routes() if route.decision == "announce"}
        assert chosen == (set(listed) if origin == 8998 else set())


def test_as_many_rules_as_a_configuration_may_have() -> None:
    story = Story(*({"origin": [number + 1]} for number in range(MAX_RULES)), None)
    story.learn(hole("10.0.0.0/16", origin=MAX_RULES), hole("10.0.0.0/17", origin=1), hole("10.0.0.0/18"))
    assert story.rules() == {"10.0.0.0/16": MAX_RULES - 1, "10.0.0.0/17": 0, "10.0.0.0/18": MAX_RULES}


# ---- stories

BLACK_HOLES = {
    "communities": ["65535:666"],
    "prefix-length": {"ipv4": [32, 32], "ipv6": [128, 128]},
    "prefixes": [{"prefix": "10.0.0.0/16", "ge": 25}, {"prefix": "2001:db8::/32", "ge": 49}],
    "origin": [64500],
}


def hole(prefix: str, *communities: str, origin: int = 64500) -> Learned:
    return Learned(prefix, ((SEQUENCE, (THEIRS, origin)),), communities or ("65535:666",))


def test_nothing_but_the_black_holes_of_a_customer_is_exempted() -> None:
    """RFC 7999 section 3.3: covered by what the neighbor may announce, as long as possible, and agreed upon."""
    story = Story(BLACK_HOLES, vrps=(VRP("10.0.0.0/16", 24, 64500), VRP("2001:db8::/32", 48, 64500)))
    story.learn(hole("10.0.1.1/32"), hole("2001:db8::1/128"))
    assert story.rules() == {"10.0.1.1/32": 0, "2001:db8::1/128": 0}
    story.learn(
        hole("10.0.1.2/32", "64496:1"),
        hole("10.0.1.0/31"),
        hole("10.1.1.1/32"),
        hole("10.0.1.3/32", origin=64501),
        hole("2001:db8:1::/64"),
        hole("2001:db9::1/128"),
    )
    assert story.rules() == {"10.0.1.1/32": 0, "2001:db8::1/128": 0}
    story.learn(hole("10.0.1.1/32", "64496:1"))
    assert story.rules() == {"2001:db8::1/128": 0}, "the attack is over, and the /32 is invalid as any other"


def test_another_policy_writes_only_what_it_changes() -> None:
    story = Story(BLACK_HOLES, None)
    story.learn(hole("10.0.1.1/32"), hole("10.0.0.0/16"))
    assert story.rules() == {"10.0.1.1/32": 0, "10.0.0.0/16": 1}
    story.now(BLACK_HOLES, None)
    assert story.commands() == []
    story.now(BLACK_HOLES | {"prefixes": ["10.0.0.0/16", "10.0.1.1/32"]}, None)
    assert story.commands() == []
    story.now(BLACK_HOLES | {"origin": [64501]}, None)
    assert [command.prefixes for command in story.commands()] == ["10.0.1.1/32"]


@pytest.mark.parametrize("text", ["rfc8097", "65000:.*", "community:1", "1:2:3:4", ""])
def test_what_is_no_community_is_told_the_forms_that_there_are(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected A:B, large A:B:C, or extended:0x"):
        parse_community(text)
