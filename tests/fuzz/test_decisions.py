"""Whatever happens in whatever order, each receiver ends with what the decisions say: against the oracle, at random.

RTRD_FUZZ is how many steps are tried, RTRD_SEED the first of their seeds (`make fuzz`: another one each time).
"""

from __future__ import annotations

import json
import os
import random
import re
import struct
from collections import Counter
from ipaddress import ip_address
from typing import Any, NamedTuple

import pytest

from _rov import lib
from rtrd.exabgp.encode import Encoder
from rtrd.rib.attributes import AttributeSet, announced
from rtrd.rib.bgp_events import State
from rtrd.rib.bgp_session import BGPSession
from rtrd.rib.native_terms import changes_of
from rtrd.rib.terms import Command
from rtrlib import aspas
from rtrlib.aspas import ASPAIndex
from rtrlib.vrp import VRP
from tests.lab.decision_oracle import AS_SEQUENCE, AS_SET, CONFED_SEQUENCE, Attributes, Decision, Key, World
from tests.lab.engine_story import EngineStory, policy_of
from tests.lab.speaker import packed_prefix

STEPS = int(os.environ.get("RTRD_FUZZ", "1500"))
SEEDS = range(int(os.environ.get("RTRD_SEED", "0")), int(os.environ.get("RTRD_SEED", "0")) + 8)
OURS = 65000
ASES = {
    "192.0.2.1": 64496,
    "192.0.2.2": 64497,
    "192.0.2.3": 64498,
    "192.0.2.4": OURS,
    "192.0.2.5": 64499,
    "192.0.2.6": 64496,
}
NEIGHBORS = tuple(ASES)
ROLES = ("provider", "customer", "peer", "rs", "rs-client")
PREFIXES = (
    "0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/16", "10.0.0.0/24", "10.0.0.0/25", "10.0.0.0/31", "10.0.0.1/32", "10.1.1.0/24",
    "::/0", "2001:db8::/32", "2001:db8::/33", "2001:db8::/48", "2001:db8::/128", "2001:db8:1::/48",
)  # fmt: skip
ORIGINS = (64500, 64501, 4200000000, 23456)
MIDDLE = (64510, 64511, 3, 4200000001)
TAGS = (
    "rfc8097",
    "large:65000:1:0",
    "large:65000:1:1",
    "community:65000:1",
    "community:65000:2",
    "extended:0x0002fde800000001",
)
COMMUNITIES = ((65000, 1), (65000, 2), (65535, 666), (64496, 7), (65535, 0xFF01), (65535, 0xFF02), (65535, 0xFF03))
LARGE = ((65000, 1, 0), (65000, 9, 9))
EXTENDED = (0x4300000000000000, 0x0002FDE800000001, 0x0002FDE800000009, 0x4002FDE800000009)
ACTIONS = ("observe", "announce", "announce", "announce", "hold", "withdraw")


def some(chance: random.Random, choices: tuple[Any, ...], most: int) -> list[Any]:
    return chance.sample(choices, chance.randint(1, min(most, len(choices))))


# -- what is configured


def action(chance: random.Random, *, hold: bool) -> dict[str, Any]:
    what = chance.choice(ACTIONS if hold else tuple(each for each in ACTIONS if each != "hold"))
    found: dict[str, Any] = {"action": what}
    if what == "announce" and chance.random() < 0.4:
        found["tags"] = some(chance, TAGS, 2)
    if what == "announce" and chance.random() < 0.3:
        found["local-preference"] = chance.choice((50, 100, 200))
    return found


def when(chance: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in chance.sample(
        ("communities", "prefix-length", "prefixes", "origin", "as-set", "covered-by", "covered-by"), 2
    ):
        if chance.random() < 0.4:
            continue
        match key:
            case "communities":
                found[key] = chance.choice((["65535:666"], ["65000:1", "65000:9:9"], ["extended:0x0002fde800000009"]))
            case "prefix-length":
                found[key] = chance.choice(
                    ({"ipv4": [0, 24]}, {"ipv4": [25, 32], "ipv6": [48, 128]}, {"ipv6": [0, 32]})
                )
            case "prefixes":
                ranges: tuple[Any, ...] = (
                    "10.0.0.0/24", {"prefix": "10.0.0.0/8", "ge": 17}, {"prefix": "::/0", "le": 47},
                    {"prefix": "10.0.0.0/16", "ge": 24, "le": 25}, {"prefix": "0.0.0.0/0", "le": 16},
                )  # fmt: skip
                found[key] = some(chance, ranges, 3)
            case "origin":
                found[key] = some(chance, ORIGINS, 2)
            case "as-set":
                found[key] = chance.random() < 0.5
            case _:
                found[key] = chance.choice(("valid", "not-found"))
    return found


def rule(chance: random.Random, *, hold: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"direction": "in"}
    if chance.random() < 0.5:
        found["from"] = some(chance, (*NEIGHBORS, "192.0.2.0/30", "AS64496", "AS64499"), 4)
    if chance.random() < 0.7:
        found["to"] = some(chance, NEIGHBORS, 4)
    if chance.random() < 0.6 and (demands := when(chance)):
        found["when"] = demands
    for name, share in (
        ("valid", 0.9),
        ("not-found", 0.9),
        ("invalid", 0.9),
        ("unverified", 0.5),
        ("aspa-invalid", 0.5),
        ("leak", 0.5),
    ):
        if chance.random() < share:
            found[name] = action(chance, hold=hold)
    if not hold:
        found.setdefault("unverified", {"action": "observe"})
    if chance.random() < 0.5:
        found["as-set"] = chance.choice(("by-validity", {"action": "withdraw"}, {"action": "observe"}))
    if chance.random() < 0.5:
        found["otc"] = True
    return found


def roles(chance: random.Random) -> list[dict[str, Any]]:
    found = []
    for neighbor in chance.sample((*NEIGHBORS, "AS64496", "192.0.2.0/29"), 5):
        entry: dict[str, Any] = {"match": [neighbor]}
        if chance.random() < 0.8:
            entry["local-role"] = chance.choice(ROLES)
        if chance.random() < 0.2:
            entry["enforce-first-as"] = chance.random() < 0.5
        if chance.random() < 0.15:
            entry["confederation"] = True
        found.append(entry)
    return found


# -- what neighbors say


def pick(chance: random.Random, choices: tuple[Any, ...]) -> frozenset[Any]:
    return frozenset(some(chance, choices, 2) if chance.random() < 0.25 else ())


def attributes(chance: random.Random, neighbor: str, prefix: str) -> Attributes:
    asn = ASES[neighbor]
    first = chance.choice((asn, asn, asn, asn, 64777)) if asn != OURS else chance.choice(MIDDLE)
    ases = [first, *chance.choices((*MIDDLE, first), k=chance.choice((0, 0, 1, 1, 2))), chance.choice(ORIGINS)]
    if chance.random() < 0.05:
        ases.insert(1, OURS)
    path: tuple[tuple[int, tuple[int, ...]], ...] = ((AS_SEQUENCE, tuple(ases)),)
    odd = chance.random()
    if odd < 0.08:
        path += ((AS_SET, (64500, 64501)),)
    elif odd < 0.12:
        path = ((AS_SEQUENCE, tuple(ases[:1])), (AS_SEQUENCE, tuple(ases[1:])))
    elif odd < 0.16:
        path = ((CONFED_SEQUENCE, (64777,)), *path)
    elif odd < 0.2 and asn == OURS:
        path = ()
    hop = "192.0.2.77" if "." in prefix else "2001:db8::77"
    return Attributes(
        path,
        hop,
        chance.choice((0, 0, 2)),
        chance.choice((None, None, 5)),
        chance.choice((None, 90, 300)),
        pick(chance, COMMUNITIES),
        pick(chance, LARGE),
        pick(chance, EXTENDED),
        chance.choice((None, None, None, asn, 64777)),
    )


def octets(said: Attributes, prefix: str, path_id: int | None) -> bytes:
    """The UPDATE that announces a route."""
    nlri = (b"" if path_id is None else struct.pack("!I", path_id)) + packed_prefix(prefix)
    path = b"".join(struct.pack(f"!BB{len(ases)}I", kind, len(ases), *ases) for kind, ases in said.path)
    values = {1: (0x40, bytes([said.origin])), 2: (0x40, path)}
    if "." in prefix:
        values[3] = 0x40, ip_address(said.next_hop).packed
    else:
        values[14] = 0x80, struct.pack("!HBB", 2, 1, 16) + ip_address(said.next_hop).packed + b"\0" + nlri
    for code, number, flags in ((4, said.med, 0x80), (5, said.local_preference, 0x40), (35, said.otc, 0xC0)):
        if number is not None:
            values[code] = flags, struct.pack("!I", number)
    for code, fields, numbers in (
        (8, "2H", said.communities),
        (32, "3I", said.large),
        (16, "Q", [(n,) for n in said.extended]),
    ):
        if numbers:
            values[code] = 0xC0, b"".join(struct.pack("!" + fields, *each) for each in numbers)
    found = b"".join(struct.pack("!BBB", flags, code, len(value)) + value for code, (flags, value) in values.items())
    return struct.pack("!HH", 0, len(found)) + found + (nlri if "." in prefix else b"")


def withdraw_octets(prefix: str, path_id: int | None) -> bytes:
    nlri = (b"" if path_id is None else struct.pack("!I", path_id)) + packed_prefix(prefix)
    if "." in prefix:
        return struct.pack("!H", len(nlri)) + nlri + b"\0\0"
    value = struct.pack("!BBBHB", 0x80, 15, 3 + len(nlri), 2, 1) + nlri
    return b"\0\0" + struct.pack("!H", len(value)) + value


# -- what is written


WORD = re.compile(
    r"(next-hop|as-path|med|local-preference|community|large-community|extended-community|attribute)"
    r" (?:\[ ?(.*?) ?\]|(\S+))"
)


def numbers(text: str) -> frozenset[tuple[int, ...]]:
    return frozenset(tuple(map(int, one.split(":"))) for one in text.split())


def read_words(line: str) -> Attributes:
    """The attributes of an announcement in ExaBGP's words."""
    line = line.partition(" announce ")[2].strip()
    found: dict[str, Any] = {"path": ()}
    for each in WORD.finditer(line):
        word, text = each[1], each[3] if each[2] is None else each[2]
        match word:
            case "next-hop":
                found["next_hop"] = text
            case "as-path":
                found["path"] = ((AS_SEQUENCE, tuple(map(int, text.split()))),) if text else ()
            case "med":
                found["med"] = int(text)
            case "local-preference":
                found["local_preference"] = int(text)
            case "community":
                found["communities"] = numbers(text)
            case "large-community":
                found["large"] = numbers(text)
            case "extended-community":
                found["extended"] = frozenset(int(one, 16) for one in text.split())
            case "attribute":
                code, _, value = text.split()
                read_generic(found, int(code, 16), bytes.fromhex(value[2:]))
    return Attributes(**found)


def read_generic(found: dict[str, Any], code: int, value: bytes) -> None:
    if code == 1:
        found["origin"] = value[0]
    elif code == 2:
        path = []
        while value:
            kind, count = value[:2]
            path.append((kind, struct.unpack_from(f"!{count}I", value, 2)))
            value = value[2 + 4 * count :]
        found["path"] = tuple(path)
    elif code == 16:
        found["extended"] = frozenset(each for (each,) in struct.iter_unpack("!Q", value))
    else:
        assert code == 35
        assert "otc" not in found
        found["otc"] = int.from_bytes(value)


class Advertised(NamedTuple):
    """What a receiver has of an NLRI."""

    words: Attributes
    attributes: AttributeSet


class Chaos(EngineStory):
    """An engine and the world that it lives in, what receivers have, and what was written since the last look."""

    def __init__(self, seed: int, *, hold: bool = True) -> None:
        self.chance = random.Random(seed)
        self.hold = hold
        self.world = World()
        self.stands: dict[tuple[str, str, int | None], Advertised] = {}
        self.owners: dict[tuple[str, str, Key | None], Key] = {}
        self.decisions: dict[Key, Decision] = {}
        self.entered: set[Key] = set()
        self.unreachable: set[str] = set()
        self.numbers: dict[Key, int] = {}
        self.needless: Counter[str] = Counter()
        self.aspas = b""
        self.barriers = self.chance.random() < 0.3
        self.strangers: set[str] = set()
        self.begin()

    def begin(self, text: str = "") -> None:
        super().__init__(policy_of(text or self.configured()), secret=b"this host")
        self.know(*(each for one in self.world.rules for each in one.get("to", ())))
        lib.rib_set_throng_from(self.engine.table.native, self.chance.choice((2, 3, 64)))
        self.engine.table.listen(100_000)
        self.engine.table.allow_others(1 << 30, 1 << 30)
        self.encoder = Encoder(self.engine)
        self.vrp_set.usable = self.world.vrps is not None
        self.told: dict[tuple[int, str, int | None], tuple[Any, ...]] = {}

    def configured(self) -> str:
        """Another configuration."""
        self.world.rules = [rule(self.chance, hold=self.hold) for _ in range(self.chance.randint(0, 4))]
        self.world.neighbors = roles(self.chance)
        return self.text()

    def text(self) -> str:
        return f"policy: {json.dumps(self.world.rules)}\nneighbors: {json.dumps(self.world.neighbors)}\n"

    # -- commands

    def write(self, most: int) -> int:
        """Take what there is to say, at most so many commands."""
        for number in range(most):
            command = self.engine.next_command(self.chance.choice((1, 2, 50)))
            if command is None:
                return number
            self.execute(command)
            while self.engine.halfway:
                more = self.engine.next_command(50)
                assert more is not None
                self.execute(more)
        return most

    def execute(self, command: Command) -> None:
        line = self.encoder.encode(command)
        names = self.engine.receivers.names(command.receivers)
        assert re.findall(r"neighbor (\S+?)[ ,]", line) == list(names)
        for receiver in names:
            kind, given = (
                self.engine.receivers.kind_of(command.receivers),
                self.engine.receivers.otc_given(command.receivers),
            )
            for prefix in command.prefixes.split():
                at = receiver, prefix, command.path_id
                if not command.announce:
                    if self.stands.pop(at, None) is None:
                        self.needless["withdraw"] += 1
                    continue
                assert receiver not in self.unreachable, f"announced at {receiver}, which is down"
                learned = self.engine.attributes(self.engine.table.attributes_key(command.attributes))
                advertised = Advertised(
                    read_words(line), announced(learned, self.engine.treatment(command), kind, given)
                )
                if at in self.stands and self.stands[at].words == advertised.words:
                    self.needless["announce"] += 1
                self.stands[at] = advertised

    def rest(self) -> None:
        """Until there is nothing more to do."""
        for _ in range(10000):
            self.work()
            wrote = self.write(100)
            if self.barriers:
                self.engine.table.barrier_falls()
            if not (
                wrote
                or self.engine.has_work
                or self.engine.searching
                or self.engine.receivers.turning
                or self.engine.table.state.waiting
            ):
                return
        raise AssertionError("it never comes to rest")

    # -- events

    def event(self) -> None:
        chance, neighbor, prefix = self.chance, self.chance.choice(NEIGHBORS), self.chance.choice(PREFIXES)
        match chance.randrange(26):
            case 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7:
                self.hear(neighbor, prefix, chance.choice((None, None, 1, 2)))
            case 8 | 9 | 10 | 11:
                self.hear_withdraw(chance.choice(list(self.world.routes) or [Key(neighbor, prefix, None)]))
            case 12 | 13:
                self.change_vrps(prefix)
            case 14 | 15:
                self.change_aspas()
            case 16:
                self.change_vrps(prefix)
                self.change_aspas()
            case 17:
                self.engine.set_policy(policy_of(self.configured()))
                self.encoder.forget()
                self.know(
                    *(each for one in self.world.rules for each in one.get("to", ()) if each not in self.strangers)
                )
            case 18:
                self.end(neighbor)
                self.engine.state(State(neighbor, up=chance.random() < 0.5, reason=""))
                if neighbor in self.engine.receivers:
                    self.know(neighbor)
            case 19 if chance.random() < 0.3:
                self.end(neighbor)
                self.engine.forget([neighbor])
                self.world.ases.pop(neighbor, None)
                self.world.receivers.discard(neighbor)
                self.strangers.add(neighbor)
                self.unreachable.discard(neighbor)
                self.world.two_octet.discard(neighbor)
                self.world.plain.pop(neighbor, None)
                self.stands = {at: what for at, what in self.stands.items() if at[0] != neighbor}
                self.owners = {at: what for at, what in self.owners.items() if at[0] != neighbor}
            case 20:
                self.engine.reachable(neighbor, up=neighbor in self.unreachable)
                self.know(neighbor)
                self.unreachable ^= {neighbor}
            case 21:
                family = chance.choice((4, 6))
                plain = self.world.plain.get(neighbor, frozenset())
                self.engine.path_ids(neighbor, family, taken=family in plain)
                self.know(neighbor)
                self.world.plain[neighbor] = plain ^ {family}
            case 22:
                self.engine.add_receiver(neighbor)
                self.know(neighbor)
                self.engine.spoken(neighbor, OURS, ASES[neighbor])
                self.world.ases[neighbor] = OURS, ASES[neighbor]
            case 23:
                self.engine.add_receiver(neighbor)
                self.know(neighbor)
                self.engine.four_octet_as(neighbor, agreed=neighbor in self.world.two_octet)
                self.world.two_octet ^= {neighbor}
            case 24 if self.stands:
                receiver, prefix, _ = chance.choice(list(self.stands))
                self.engine.removed(receiver, prefix)
                self.stands = {at: what for at, what in self.stands.items() if at[:2] != (receiver, prefix)}
                self.owners = {at: what for at, what in self.owners.items() if at[:2] != (receiver, prefix)}
            case 25 if chance.random() < 0.1:
                self.restart()
            case _:
                pass

    def restart(self) -> None:
        """Begin anew: what was announced is known from the router's list, and all else comes again."""
        world = self.world
        if world.vrps is None:
            return
        self.rest()
        self.check(strict=False)
        self.begin(self.text())
        self.owners.clear()
        self.strangers.clear()
        for receiver in world.receivers:
            self.engine.add_receiver(receiver)
            for family in world.plain.get(receiver, ()):
                self.engine.path_ids(receiver, family, taken=False)
            if receiver in world.ases:
                self.engine.spoken(receiver, *world.ases[receiver])
            self.engine.four_octet_as(receiver, agreed=receiver not in world.two_octet)
            self.engine.reachable(receiver, up=receiver not in self.unreachable)
        self.vrps(*world.vrps)
        self.engine.aspas_changed(ASPAIndex(self.aspas), aspas.changes(b"", self.aspas))
        for (receiver, prefix, number), advertised in self.stands.items():
            path = "" if number is None else f" {ip_address(number)}"
            self.engine.advertised_before(receiver, prefix + path, advertised.attributes)
        self.work()
        needless = self.needless["announce"]
        for key in self.chance.sample(list(world.routes), len(world.routes)):
            self.learn(key, world.routes[key])
            if self.chance.random() < 0.2:
                self.engine.work(self.chance.choice((1, 5, 100)))
                self.write(self.chance.randint(0, 2))
        self.rest()
        self.engine.previous_run.release()
        self.rest()
        assert self.needless["announce"] == needless, "what was advertised already was announced again"
        # What was announced meanwhile may be held now: whose it is only the engine can say.
        for neighbor, route in self.engine.routes():
            key = Key(neighbor, route.prefix, route.path_id)
            for receiver, bit in self.engine.receivers.bits.items():
                if route.advertised & bit:
                    self.owners[receiver, *world.nlri(key, receiver)] = key

    def know(self, *receivers: str) -> None:
        self.world.receivers.update(receivers)
        self.strangers.difference_update(receivers)

    def end(self, neighbor: str) -> None:
        """Its session is over."""
        for key in [key for key in self.world.routes if key.neighbor == neighbor]:
            del self.world.routes[key]

    def session(self, neighbor: str, path_id: int | None) -> BGPSession:
        ids = frozenset() if path_id is None else frozenset({4, 6})
        return BGPSession(OURS, ASES[neighbor], True, ids, False, addresses=(neighbor, "127.0.0.1"))

    def hear(self, neighbor: str, prefix: str, path_id: int | None) -> None:
        self.learn(
            Key(neighbor, prefix, path_id), attributes(self.chance, neighbor, prefix), broken=self.chance.random() < 0.1
        )

    def learn(self, key: Key, said: Attributes, *, broken: bool = False) -> None:
        """`broken`: Only to Customer is, and so its route counts as withdrawn (RFC 9234 section 5)."""
        neighbor, prefix, path_id = key
        body = octets(said, prefix, path_id)
        if broken and said.otc is not None:
            at = body.index(b"\xc0\x23\x04" + said.otc.to_bytes(4))
            body = body[:at] + b"\x80" + body[at + 1 :]
        self.engine.receive(neighbor, self.session(neighbor, path_id), body)
        self.know(neighbor)
        self.world.ases[neighbor] = OURS, ASES[neighbor]
        inside = self.world.internal(neighbor) or self.world.confederation(neighbor)
        confederated = any(kind == CONFED_SEQUENCE for kind, _ in said.path)
        if (broken and said.otc is not None) or (confederated and not inside):
            self.world.routes.pop(key, None)
        else:
            self.world.routes[key] = said if inside else said._replace(local_preference=None)

    def hear_withdraw(self, key: Key) -> None:
        self.engine.receive(key.neighbor, self.session(key.neighbor, key.path_id), withdraw_octets(*key[1:]))
        self.know(key.neighbor)
        self.world.ases[key.neighbor] = OURS, ASES[key.neighbor]
        self.world.routes.pop(key, None)

    def change_vrps(self, prefix: str) -> None:
        if self.chance.random() < 0.05:
            self.world.vrps = frozenset() if self.world.vrps is None else None
        if self.world.vrps is not None:
            most = 32 if "." in prefix else 128
            length = int(prefix.partition("/")[2])
            changed = {
                VRP(prefix, self.chance.choice((length, length + 1, length + 8, most)), self.chance.choice(ORIGINS))
            }
            changed = {vrp for vrp in changed if vrp.max_length <= most}
            self.world.vrps ^= changed
        usable = self.world.vrps is not None
        news = self.vrp_set.usable != usable
        self.vrp_set.usable = usable
        self.vrps(*(self.world.vrps or ()))
        if news:
            self.engine.revalidate()

    def change_aspas(self) -> None:
        customer = self.chance.choice((*MIDDLE, *ORIGINS, 64496, 64497, 64777))
        others = tuple(each for each in (*MIDDLE, *ASES.values(), *ORIGINS, 0) if each != customer)
        self.world.aspas.pop(customer, None)
        if self.chance.random() < 0.7:
            self.world.aspas[customer] = frozenset(some(self.chance, others, 4)) - {0} or frozenset({0})
        before, self.aspas = self.aspas, aspas.union_of(aspas.numbers(self.world.aspas.items()))
        self.engine.aspas_changed(ASPAIndex(self.aspas), aspas.changes(before, self.aspas))

    # -- looks

    def check_changes(self) -> None:
        """What was told of routes follows from one another, and ends at what they are."""
        said, lost = self.engine.table.take_changes(1 << 20)
        assert lost.changes == lost.others == 0
        for change in changes_of(said):
            key = change.neighbor, change.prefix, change.path_id
            before = change.was, change.did, change.aspa_was, change.leak_was
            assert before == self.told.get(key, (None, None, None, False)), f"{change} after {self.told.get(key)}"
            if change.validity is None:
                self.told.pop(key)
            else:
                self.told[key] = change.validity, change.decision, change.aspa, change.leak
        now = {
            (row.neighbor, row.prefix, row.path_id): (row.validity, row.decision, row.aspa, row.leak)
            for _, row in self.engine.routes()
        }
        assert self.told == now

    def check(self, *, strict: bool) -> None:
        """All is as the decisions say. `strict`: there was one event, and rest, since the last look."""
        world = self.world
        self.check_changes()
        decisions = {key: world.decide(key) for key in world.routes}
        by_number: dict[tuple[str, int], Key] = {}
        counts: Counter[tuple[str, str | None]] = Counter()
        for neighbor, row in self.engine.routes():
            key = Key(neighbor, row.prefix, row.path_id)
            assert key in decisions, f"{key} is gone"
            found = row.decision, row.validity, row.aspa, row.leak
            assert found == (decisions[key].action, world.validity(key), world.outcome(key), world.leak(key)), key
            kept_back = {each for each in world.receivers if world.keeps_back(key, decisions[key], each)}
            assert {*self.engine.receivers.names(row.kept_back)} == kept_back, key
            counts[neighbor, "kept_back"] += bool(kept_back)
            counts[neighbor, row.aspa] += 1
            counts[neighbor, "leak"] += row.leak
            if row.announced_path_id is not None:
                by_number[row.prefix, row.announced_path_id] = key
        assert self.engine.table.state.routes == len(decisions)
        for known in self.engine.sessions.by_name.values():
            for what, count in self.engine.table.path_counts(known.number).items():
                assert count == counts[known.address, what], (known.address, what)
        stands: dict[str, dict[tuple[str, Key | None], Attributes]] = {each: {} for each in world.receivers}
        for (receiver, prefix, number), advertised in self.stands.items():
            assert receiver in stands, f"{receiver} is no receiver"
            key_of_id = None if number is None else by_number.get((prefix, number), Key("gone", prefix, number))
            stands[receiver][prefix, key_of_id] = advertised.words
        owners: dict[tuple[str, str, Key | None], Key] = {}
        for receiver, have in stands.items():
            expected = world.expected(receiver, decisions)
            for nlri in have.keys() | expected.keys():
                at = receiver, *nlri
                words = have.get(nlri)
                if nlri in expected:
                    owners[at], wanted = expected[nlri]
                    if receiver in self.unreachable and words is None:
                        del owners[at]
                    elif receiver in self.unreachable and words != wanted:  # its place is taken when the session is up
                        self.check_held(at, decisions, strict=strict)
                        owners[at] = self.owners.get(at, Key("", "", None))
                    else:
                        assert words == wanted, f"{receiver} {nlri}: {words} instead of {wanted}"
                elif words is not None:
                    self.check_held(at, decisions, strict=strict)
                    owners[at] = self.owners.get(at, Key("", "", None))
                elif strict and at in self.owners:
                    owner = self.owners[at]
                    assert decisions.get(owner, Decision("observe")).action != "hold", f"{at}: held, and gone"
        self.owners, self.decisions = owners, decisions

    def check_held(self, at: tuple[str, str, Key | None], decisions: dict[Key, Decision], *, strict: bool) -> None:
        receiver, prefix, key_of_id = at
        if strict:
            held = {self.owners[at]} if at in self.owners else set()
        else:
            held = {key for key in decisions if self.world.nlri(key, receiver) == (prefix, key_of_id)}
        assert any(key in decisions and decisions[key].action == "hold" for key in held), (
            f"{at} stands, and nothing holds it"
        )


def play(seed: int, steps: int, *, strict: bool, hold: bool = True) -> Counter[str]:
    story = Chaos(seed, hold=hold)
    at = 0
    for at in range(steps):
        story.event()
        if strict or story.chance.random() < 0.1:
            story.rest()
            try:
                story.check(strict=strict)
            except AssertionError as fault:
                raise AssertionError(f"seed {seed}, step {at}: {fault}\n{story.text()}") from fault
            continue
        if story.chance.random() < 0.5:
            story.engine.work(story.chance.choice((1, 2, 5, 20)))
        if story.chance.random() < 0.3:
            story.write(story.chance.randint(1, 4))
        if story.barriers and story.chance.random() < 0.2:
            story.engine.table.barrier_falls()
    return story.needless


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("seed", SEEDS)
def test_each_receiver_has_what_the_decisions_say(seed: int, strict: bool) -> None:
    play(seed, STEPS // 16, strict=strict)
