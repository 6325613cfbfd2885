"""Paths of routes, judged by ASPAs and by Only to Customer: what a router is told because of them, and when."""

import json
import random
import re
import time
from typing import Any

import pytest

from rtrd.policy import SEVERITY, Treatment, together
from rtrd.rib import path_whatif
from rtrd.rib.engine import Engine
from rtrd.rib.native_terms import changes_of
from rtrd.rib.path_whatif import PathWhatIf, parse_aspa, parse_aspa_edit, path_impact, with_changes
from rtrd.rib.terms import Command
from rtrlib import aspas
from rtrlib.aspas import ASPA, ASPAIndex
from rtrlib.vrp import VRP
from tests.lab import aspa_verification
from tests.lab.engine_story import EngineStory, policy_of, take
from tests.lab.vrp_sets import packed

ROLES = ("provider", "customer", "peer", "rs", "rs-client")
ADDRESSES = {role: f"127.0.1.{number}" for number, role in enumerate((*ROLES, None), 1)}
ASNS = {role: 64501 + number for number, role in enumerate((*ROLES, None))}
NEIGHBORS = "neighbors:\n" + "".join(f"  - {{match: [{ADDRESSES[role]}], local-role: {role}}}\n" for role in ROLES)
LISTENER = "127.0.0.9"
ACTS = f"""
policy:
  - to: [{LISTENER}]
    valid: {{action: announce}}
    not-found: {{action: announce}}
    invalid: {{action: withdraw}}
    as-set: by-validity
"""


def line(
    role: str | None,
    prefix: str,
    path: list[int],
    *,
    as_set: tuple[int, ...] = (),
    otc: int | None = None,
    local_as: int = 65001,
    family: str = "ipv4 unicast",
    **more: object,
) -> bytes:
    """An UPDATE as ExaBGP 5.0 tells it in parsed mode."""
    segments: dict[str, object] = {"0": {"element": "as-sequence", "value": path}} if path else {}
    if as_set:
        segments["1"] = {"element": "as-set", "value": as_set}
    attributes: dict[str, object] = {"origin": "igp", "as-path": segments, **more}
    if otc is not None:
        attributes["attribute-0x23-0xC0"] = f"0x{otc:08x}"
    hop = "2001:db8::1" if "ipv6" in family else "192.0.2.1"
    update = {"attribute": attributes, "announce": {family: {hop: [{"nlri": prefix}]}}}
    header = {"exabgp": "5.0.0", "time": 1.5, "host": "h", "pid": 1, "ppid": 1, "counter": 1, "type": "update"}
    neighbor = {
        "address": {"local": "127.0.0.1", "peer": ADDRESSES[role]},
        "asn": {"local": local_as, "peer": ASNS[role]},
        "router-id": "10.0.0.1",
        "direction": "receive",
        "message": {"update": update},
    }
    return json.dumps({**header, "neighbor": neighbor}).encode()


class Story(EngineStory):
    def __init__(self, policy: str = ACTS, *vrps: VRP, neighbors: str = NEIGHBORS) -> None:
        super().__init__(policy_of(neighbors + policy), *vrps)
        self.aspas = b""
        self.engine.add_receiver(LISTENER)

    def say(self, *lines: bytes) -> None:
        take(self.engine, *lines)

    def have(self, listed: dict[int, set[int]], cause: int = 0) -> None:
        """Have these ASPAs from now on."""
        before, self.aspas = self.aspas, aspas.union_of(aspas.numbers(listed.items()))
        self.engine.aspas_changed(ASPAIndex(self.aspas), aspas.changes(before, self.aspas), cause)

    def found(self) -> dict[str, tuple[str | None, bool, str]]:
        self.work()
        return {route.prefix: (route.aspa, route.leak, route.decision) for _, route in self.engine.routes()}

    def told(self) -> list[tuple[bool, str]]:
        return sorted((each.announce, prefix) for each in self.commands() for prefix in each.prefixes.split())


@pytest.mark.parametrize("role", [*ROLES, None])
def test_what_we_are_to_a_neighbor_decides(role: str | None) -> None:
    one, asn = Story(), ASNS[role]
    one.have({64510: {64511}})
    one.say(
        line(role, "10.0.0.0/24", [asn, 64520, 64510]),
        line(role, "10.0.1.0/24", [asn, 64530], as_set=(64531,)),
        line(role, "10.0.2.0/24", [asn], otc=asn),
        line(role, "10.0.3.0/24", [asn], otc=asn + 100),
        line(role, "10.0.4.0/24", [64540, asn]),
        line(role, "2001:db8::/32", [asn, 64520, 64510], family="ipv6 unicast"),
    )
    judged = None if role is None else "invalid"
    up = {None: None, "customer": "unknown"}.get(role, "invalid")
    alone = None if role is None else "valid"
    assert {prefix: found[:2] for prefix, found in one.found().items()} == {
        "10.0.0.0/24": (up, False),
        "10.0.1.0/24": (judged, False),
        "10.0.2.0/24": (alone, role in ("provider", "rs")),
        "10.0.3.0/24": (alone, role in ("provider", "rs", "peer")),
        "10.0.4.0/24": ({None: None, "rs-client": "unknown"}.get(role, "invalid"), False),
        "2001:db8::/32": (up, False),
    }


def test_without_an_action_it_is_only_shown() -> None:
    one = Story()
    one.have({64510: {0}})
    one.say(line("peer", "10.0.0.0/24", [ASNS["peer"], 64510], otc=64999))
    assert one.found() == {"10.0.0.0/24": ("invalid", True, "announce")}


PATHS_ACT = ACTS + "    aspa-invalid: {action: withdraw}\n    leak: {action: hold}\n"


def test_a_route_goes_and_comes_with_the_aspa_that_decides() -> None:
    one = Story(PATHS_ACT)
    peer = ASNS["peer"]
    one.say(line("peer", "10.0.0.0/24", [peer, 64510]), line("peer", "10.0.1.0/24", [peer, 64511]))
    assert one.told() == [(True, "10.0.0.0/24"), (True, "10.0.1.0/24")]
    one.have({64510: {64999}})
    assert one.told() == [(False, "10.0.0.0/24")]
    one.have({64510: {64999, 64998}})
    assert one.told() == []
    one.have({64510: {64999, peer}})
    assert one.told() == [(True, "10.0.0.0/24")]
    one.have({})
    assert one.told() == []
    assert one.found()["10.0.0.0/24"] == ("unknown", False, "announce")


def test_a_path_that_is_invalid_from_the_start_is_withdrawn_once() -> None:
    one = Story(PATHS_ACT)
    one.have({64510: {64999}, 64512: {64510}})
    one.say(line("peer", "10.0.0.0/24", [ASNS["peer"], 64510]))
    assert one.told() == [(False, "10.0.0.0/24")]
    one.vrps(VRP("10.0.0.0/8", 8, 64500))
    assert one.found()["10.0.0.0/24"] == ("invalid", False, "withdraw")
    one.commands()
    one.have({})  # the origin is invalid still
    assert one.told() == []


def test_vrps_and_aspas_of_one_moment_change_a_route_once() -> None:
    one = Story(PATHS_ACT)
    one.engine.table.listen(1000)
    peer = ASNS["peer"]
    one.say(*(line("peer", f"10.{i}.0.0/24", [peer, 64510]) for i in range(40)))
    one.commands()
    one.engine.table.take_changes(1000)
    one.engine.vrps_changed(one.vrp_set.replace(0, packed([VRP("10.0.0.0/8", 24, 64510)])), 7)
    one.have({64510: {64999}}, 8)
    assert len(one.told()) == 40
    changes = list(changes_of(one.engine.table.take_changes(1000)[0]))
    assert len(changes) == 40
    for change in changes:
        assert (change.was, change.validity, change.aspa_was, change.aspa) == (
            "not-found",
            "valid",
            "unknown",
            "invalid",
        )
        assert (change.did, change.decision) == ("announce", "withdraw")


def test_a_change_says_which_hop_denies_by_the_route_as_it_is_now() -> None:
    one = Story(PATHS_ACT)
    peer = ASNS["peer"]
    one.say(line("peer", "10.0.0.0/24", [peer, 64510]), line("peer", "10.0.1.0/24", [peer, 64511], otc=64999))
    one.engine.table.listen(1000)
    one.have({64510: {64999}})
    one.commands()
    one.say(line("peer", "10.0.2.0/24", [peer, 64512], otc=64999))
    one.commands()
    invalid, leak = changes_of(one.engine.table.take_changes(1000)[0])
    assert one.engine.path_reason_of(invalid) == f"AS64510 does not name AS{peer} as its provider"
    assert one.engine.path_reason_of(leak) is not None
    one.have({64510: {64999, peer}})
    one.commands()
    assert one.engine.path_reason_of(invalid) is None, "it is valid by now"
    [valid] = changes_of(one.engine.table.take_changes(1000)[0])
    assert one.engine.path_reason_of(valid) is None


def test_neighbors_of_our_own_as_and_confederation_are_not_judged() -> None:
    text = NEIGHBORS.replace("local-role: rs}", "local-role: rs, confederation: true}")
    one = Story(neighbors=text)
    one.say(
        line("peer", "10.0.0.0/24", [64520], local_as=ASNS["peer"]),
        line("rs", "10.0.1.0/24", [ASNS["rs"], 64520]),
        line(None, "10.0.2.0/24", [ASNS[None], 64520]),
    )
    assert {prefix: found[0] for prefix, found in one.found().items()} == dict.fromkeys(
        ("10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24")
    )
    sessions = one.engine.sessions
    whys = [sessions.why_unjudged(name) for name in sessions.by_name]
    assert whys == [
        "the neighbor is of our own AS: paths are judged where they enter it",
        "the neighbor is of our confederation: paths are judged where they enter it",
        "no local-role is configured for the neighbor",
    ]


def test_roles_are_found_by_prefix_and_as_and_change_with_a_reload() -> None:
    by_as, by_prefix = f"[AS{ASNS['peer']}], local-role: peer", "[127.0.1.0/24], local-role: customer"
    text = f"neighbors:\n  - {{match: {by_as}}}\n  - {{match: {by_prefix}}}\n"
    one = Story(PATHS_ACT, neighbors=text)
    one.have({64510: {64999}, 64520: {64998}})
    one.say(
        line("peer", "10.0.0.0/24", [ASNS["peer"], 64510]),
        line("rs", "10.0.1.0/24", [ASNS["rs"], 64510]),
    )
    assert one.found() == {"10.0.0.0/24": ("invalid", False, "withdraw"), "10.0.1.0/24": ("valid", False, "announce")}
    one.commands()
    one.engine.set_policy(policy_of(text.replace("peer}", "customer}") + PATHS_ACT))
    assert one.told() == [(True, "10.0.0.0/24")]
    one.engine.set_policy(policy_of(PATHS_ACT))
    assert {found[0] for found in one.found().values()} == {None}
    assert one.told() == []


def test_a_malformed_only_to_customer_takes_the_route_away() -> None:
    one = Story()
    one.say(line("peer", "10.0.0.0/24", [ASNS["peer"]]))
    bad = line("peer", "10.0.0.0/24", [ASNS["peer"]], otc=64999).replace(b"0x0000fde7", b"0x0000fd")
    assert b"fde7" not in bad
    one.say(bad)
    assert one.found() == {}


def commands_by_preference(one: Story) -> list[tuple[str, int | None, list[str]]]:
    def treatment(command: Command) -> Treatment:
        return one.engine.treatment(command)

    return sorted(
        (command.prefixes, treatment(command).local_preference, [str(tag) for tag in treatment(command).all_tags])
        for command in one.commands()
        if command.announce
    )


def test_the_least_preference_and_all_tags_of_what_announces() -> None:
    one = Story(
        ACTS.replace("not-found: {action: announce}", "not-found: {action: announce, local-preference: 100}")
        + "    aspa-invalid: {action: announce, local-preference: 50, tags: ['large:65001:1:1']}\n"
        + "    leak: {action: announce, local-preference: 70, tags: ['large:65001:1:2']}\n"
    )
    peer = ASNS["peer"]
    one.have({64510: {64999}})
    one.say(
        line("peer", "10.0.0.0/24", [peer, 64511]),
        line("peer", "10.0.1.0/24", [peer, 64510]),
        line("peer", "10.0.2.0/24", [peer, 64511], otc=64999),
        line("peer", "10.0.3.0/24", [peer, 64510], otc=64999),
    )
    aspa, leak = "large:65001:1:1", "large:65001:1:2"
    assert commands_by_preference(one) == [
        ("10.0.0.0/24", 100, []),
        ("10.0.1.0/24", 50, [aspa]),
        ("10.0.2.0/24", 70, [leak]),
        ("10.0.3.0/24", 50, [aspa, leak]),
    ]
    one.have({})
    assert commands_by_preference(one) == [("10.0.1.0/24", 100, []), ("10.0.3.0/24", 70, [leak])]


@pytest.mark.parametrize("ignored", ["", "aspa-invalid: {action: observe}"])
@pytest.mark.parametrize(
    "when", ["origin: [64510]", "prefixes: [10.0.1.0/24]", "communities: ['65001:7']", "communities: ['65001:1:7']"]
)
def test_what_a_path_is_can_be_ignored_for_some_routes(when: str, ignored: str) -> None:
    """By a rule for them without the action, or with one that is never the more severe; all else counts there, too."""
    act = "{action: withdraw}"
    actions = f"not-found: {{action: announce}}, invalid: {act}, leak: {act}"
    first = f"{{to: [{LISTENER}], when: {{{when}}}, {', '.join(filter(None, (actions, ignored)))}}}"
    text = f"policy: [{first}, {{to: [{LISTENER}], {actions}, aspa-invalid: {act}}}]\n"
    one, peer = Story(text, VRP("10.0.9.0/24", 24, 64999)), ASNS["peer"]
    one.have({64510: {64999}, 64520: {64999}})
    tagged: dict[str, Any] = {"community": [[65001, 7]], "large-community": [[65001, 1, 7]]}
    one.say(
        line("peer", "10.0.1.0/24", [peer, 64510], **tagged),
        line("peer", "10.0.2.0/24", [peer, 64520]),
        line("peer", "10.0.9.0/24", [peer, 64510], **tagged),
    )
    leaked = line("peer", "10.0.1.0/24", [peer, 64510], otc=64999, **tagged)
    assert one.found() == {
        "10.0.1.0/24": ("invalid", False, "announce"),
        "10.0.2.0/24": ("invalid", False, "withdraw"),
        "10.0.9.0/24": ("invalid", False, "withdraw"),
    }
    assert (True, "10.0.1.0/24") in one.told()
    one.say(leaked)
    assert one.found()["10.0.1.0/24"] == ("invalid", True, "withdraw")


@pytest.mark.parametrize("origin", SEVERITY)
@pytest.mark.parametrize("path", SEVERITY)
def test_the_most_severe_action_wins(origin: str, path: str) -> None:
    one = Story(
        f"policy:\n  - to: [{LISTENER}]\n    not-found: {{action: {origin}}}\n    aspa-invalid: {{action: {path}}}\n"
    )
    one.have({64510: {0}})
    one.say(line("peer", "10.0.0.0/24", [ASNS["peer"], 64510]))
    wanted = max(origin, path, key=SEVERITY.index)
    assert one.found()["10.0.0.0/24"][2] == wanted
    assert together([Treatment(origin), Treatment(path)]).action == wanted  # type: ignore[arg-type]


def table_by_oracle(engine: Engine, listed: dict[int, set[int]], paths: dict[str, tuple[str, list[int]]]) -> None:
    """Every route has the outcome that its path has by the text, and the counts are right."""
    counts = dict.fromkeys(("valid", "invalid", "unknown"), 0)
    for _, route in engine.routes():
        role, path = paths[route.prefix]
        procedure = "downstream" if role == "customer" else "upstream"
        wanted = aspa_verification.outcome(listed, path, procedure)
        if role != "rs-client" and path[0] != ASNS[role]:
            wanted = "invalid"
        assert route.aspa == wanted, (role, path, listed)
        counts[wanted] += 1
    told = [engine.table.path_counts(session.number) for session in engine.sessions.by_name.values()]
    assert {each: sum(one[each] for one in told) for each in counts} == counts


def test_whatever_changes_each_route_ends_with_what_its_path_is() -> None:
    chance = random.Random(19)
    one = Story(PATHS_ACT)
    listed: dict[int, set[int]] = {}
    paths: dict[str, tuple[str, list[int]]] = {}
    some = [64510, 64511, 64512, 4200000000, 5]
    for _ in range(300):
        match chance.randrange(4):
            case 0 | 1:
                prefix, role = f"10.0.{chance.randrange(60)}.0/24", chance.choice(ROLES)
                if prefix in paths:
                    one.withdraw(ADDRESSES[paths[prefix][0]], prefix)
                path = [ASNS[role], *chance.choices([*some, *ASNS.values()], k=chance.randrange(5))]
                paths[prefix] = (role, path)
                one.say(line(role, prefix, path))
            case 2:
                listed = {asn: set(chance.sample([*some, *ASNS.values()], 3)) - {asn} for asn in chance.sample(some, 3)}
                one.have(listed)
            case _:
                one.engine.work(chance.randrange(30))
    one.work()
    table_by_oracle(one.engine, listed, paths)


@pytest.mark.parametrize("turns", [*range(1, 8), 60, 100])
def test_aspas_that_change_while_paths_are_judged(turns: int) -> None:
    """Another customer's change in between: what the first one did to the paths all routes have in the end."""
    one, peer, count = Story(PATHS_ACT), ASNS["peer"], 500
    one.say(*(line("peer", f"10.{i >> 8}.{i & 255}.0/24", [peer, 65536 + i % 50, 64510]) for i in range(count)))
    one.work()
    assert len(one.told()) == count
    one.have({64510: {64999}})
    for _ in range(turns):
        one.engine.work(5)
    one.have({64510: {64999}, 64777: {64999}})
    assert set(one.found().values()) == {("invalid", False, "withdraw")}
    told = one.told()
    assert len(told) == count
    assert not any(announced for announced, _ in told)


def test_new_aspas_are_judged_in_slices() -> None:
    one = Story()
    peer = ASNS["peer"]
    count = 3000
    one.say(*(line("peer", f"10.{i >> 8}.{i & 255}.0/24", [peer, 65536 + i, 64510]) for i in range(count)))
    one.work()
    one.have({64510: set(range(65536, 65536 + count // 2))})
    slices, longest = 0, 0.0
    while True:
        began = time.thread_time()
        more = one.engine.work(100)
        longest = max(longest, time.thread_time() - began)
        slices += 1
        if not more:
            break
    assert slices >= 20
    assert longest < 0.02
    counts = one.engine.table.path_counts(one.engine.sessions.by_name[ADDRESSES["peer"]].number)
    assert (counts["invalid"], counts["unknown"]) == (count // 2, count // 2)


def paths_then(one: Story, *edits: str) -> tuple[list[tuple[str, str | None, str | None]], dict[tuple[str, str], int]]:
    """Which paths would be something else, and how many."""
    aspas_then = [parse_aspa(edit) for edit in edits]
    then = ASPAIndex(with_changes(one.aspas, aspas_then))
    question, rows, more = PathWhatIf(one.engine.table, then, {each.customer for each in aspas_then}), [], True
    while more:
        found, more = question.rows(2, 100)
        rows += [(row.prefix, row.now, row.then) for row in found]
        assert all(one.engine.path_reason_by(then, row.neighbor, row.attributes) for row in found)
    return rows, dict(question.moved)


def test_what_another_aspa_would_do() -> None:
    one = Story()
    one.have({64510: {64501}})
    for role in ROLES:
        one.say(line(role, f"10.0.{ROLES.index(role)}.0/24", [ASNS[role], 64510]))
    one.say(line("peer", "10.1.0.0/24", [64999, 64510]), line(None, "10.2.0.0/24", [ASNS[None], 64510]))
    before = one.found()
    rows, moved = paths_then(one, f"64510:{ASNS['peer']}")
    assert rows == [("10.0.0.0/24", "valid", "invalid"), ("10.0.2.0/24", "invalid", "valid")]
    assert moved == {("valid", "invalid"): 1, ("invalid", "valid"): 1}
    assert paths_then(one, "64510:64501") == ([], {})
    assert paths_then(one, "64599:0") == ([], {})
    gone, _ = paths_then(one, "64510:")
    assert [row[2] for row in gone] == ["unknown"] * 4
    assert one.found() == before


def test_how_newly_invalid_paths_are_still_reached() -> None:
    """By a route of the same prefix or a less specific one of which neither the origin nor the path is invalid then."""
    one = Story(ACTS, VRP("10.3.0.0/16", 24, 64510), VRP("10.4.0.0/16", 24, 64510))
    peer, customer = ASNS["peer"], ASNS["provider"]
    one.say(*(line("peer", f"10.{number}.0.0/24", [peer, 64510]) for number in range(5)))
    one.say(
        line("provider", "10.1.0.0/16", [customer, 64998]),
        line("peer", "10.2.0.0/16", [peer, 64510]),
        line(None, "10.3.0.0/16", [ASNS[None], 64510]),
        line("provider", "10.4.0.0/16", [customer, 64998]),
    )
    then = ASPAIndex(with_changes(one.aspas, [parse_aspa("64510:64999")]))
    question = PathWhatIf(one.engine.table, then, [64510], covers=True)
    rows, more = question.rows(1000, 100)
    assert not more
    assert {row.prefix: row.cover for row in rows} == {
        "10.0.0.0/24": "unreachable",
        "10.1.0.0/24": "covered-by-not-found",
        "10.2.0.0/16": "unreachable",
        "10.2.0.0/24": "unreachable",
        "10.3.0.0/24": "covered-by-valid",
        "10.4.0.0/24": "unreachable",
    }
    assert question.covers == {"unreachable": 4, "covered-by-valid": 1, "covered-by-not-found": 1}


def test_what_is_asked_is_what_comes() -> None:
    chance = random.Random(7)
    one = Story()
    some = [64510, 64511, 64512, *ASNS.values()]
    for number in range(60):
        role = chance.choice(ROLES)
        one.say(line(role, f"10.0.{number}.0/24", [ASNS[role], *chance.choices(some, k=4)]))
    listed: dict[int, set[int]] = {}
    for _ in range(20):
        customer = chance.choice(some)
        providers = set(chance.sample(some, chance.randint(0, 3))) - {customer}
        rows, _ = paths_then(one, f"{customer}:{','.join(map(str, providers))}")
        before = one.found()
        listed = {**listed, customer: providers}
        one.have({asn: those for asn, those in listed.items() if those})
        after = one.found()
        assert [(each, before[each][0], after[each][0]) for each in before if before[each] != after[each]] == rows


@pytest.mark.parametrize("most_named", [path_whatif.MOST_NAMED, 0])
def test_a_guard_counts_the_paths_that_come_to_be_invalid_at_all_routers(
    most_named: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the changed customers are looked for in the paths, or all paths are judged."""
    monkeypatch.setattr(path_whatif, "MOST_NAMED", most_named)
    chance = random.Random(11)
    routers = [Story(), Story(), Story()]
    some = [64510, 64511, 64512, *ASNS.values()]
    for one in routers[:2]:
        for number in range(60):
            role = chance.choice((*ROLES, None))
            one.say(line(role, f"10.0.{number}.0/24", [ASNS[role], *chance.choices(some, k=4)]))
    for _ in range(10):
        listed = {asn: set(chance.sample(some, 2)) - {asn} for asn in chance.sample(some, 4)}
        before, due = routers[0].aspas, aspas.union_of(aspas.numbers(listed.items()))
        was = [one.found() for one in routers]
        impact = path_impact([one.engine.table for one in routers], due, aspas.changes(before, due))
        turns = 1
        while impact.work(7):
            turns += 1
        for one in routers:
            one.have(listed)
        now = [one.found() for one in routers]
        came = sum(
            after[each][0] == "invalid" != outcomes[each][0]
            for outcomes, after in zip(was, now, strict=True)
            for each in outcomes
        )
        assert (impact.newly_invalid, impact.routes) == (came, 120)
        assert turns > 10


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("+64510:64511,AS64512", ASPA(64510, (64511, 64512))),
        ("+AS64510:0", ASPA(64510, (0,))),
        ("-64510", ASPA(64510, ())),
        ("-as64510", ASPA(64510, ())),
        ("+192.0.2.0/24@64510", None),
        ("-2001:db8::/32@64510", None),
        ("+2001:db8::/32", None),
        ("+fd00::/8@1", None),
    ],
)
def test_an_aspa_that_comes_or_goes_in_words(text: str, found: ASPA | None) -> None:
    assert parse_aspa_edit(text) == found


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("+64510", "'+64510' names no providers: expected +64510:PROVIDER,PROVIDER"),
        ("+64510:", "'+64510:' names no providers: expected +64510:PROVIDER,PROVIDER"),
        ("-64510:64511", "'-64510:64511': an ASPA vanishes as a whole: -64510"),
        ("+64510:x", "'x' is not an AS number: expected 0 to 4294967295, with or without AS"),
    ],
)
def test_what_is_no_aspa_that_comes_or_goes(text: str, why: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(why)):
        parse_aspa_edit(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("64510", "'64510' is not an ASPA: expected CUSTOMER:PROVIDER,PROVIDER, as 64496:64497,64498"),
        ("0:1", "'0:1' is not an ASPA: AS 0 is no customer"),
        ("7:6,7", "'7:6,7' is not an ASPA: it names itself"),
        ("7:x", "'x' is not an AS number: expected 0 to 4294967295, with or without AS"),
    ],
)
def test_what_is_no_aspa(text: str, why: str) -> None:
    with pytest.raises(ValueError, match="^" + why.replace("(", r"\(")):
        parse_aspa(text)
