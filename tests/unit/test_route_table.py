"""The route table against a model: the router ends with the right routes, and nothing is said twice."""

from __future__ import annotations

import rfc6811
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from strategies import prefixes, vrps

from rtrd.routes.table import FIT, FIT_EXTENDED_NEXT_HOP, LEARNED, UNFIT, Facts, NeighborPolicy, RouteTable
from rtrlib.vrp_set import VALIDITIES, VRP, VRPSet, pack

TAG_ALL = NeighborPolicy(0b10, ("announce", "announce", "announce", "hold"), (1, 2, 3, 0), (LEARNED,) * 4)
DROP_INVALID = NeighborPolicy(0b110, ("announce", "announce", "withdraw", "hold"), (1, 2, 0, 0), (LEARNED,) * 4)
OBSERVE = NeighborPolicy(0b110, ("observe",) * 4, (0, 0, 0, 0), (LEARNED,) * 4)
SAME_WORDS = NeighborPolicy(0b1, ("announce", "announce", "observe", "hold"), (5, 5, 0, 0), (LEARNED,) * 4)
POLICIES = [TAG_ALL, DROP_INVALID, OBSERVE, SAME_WORDS]

# Attribute sets by name: (outcome, origin AS, path length). "twin" differs from "a" only in what is not announced.
SETS = {
    b"a": Facts(1, 64500, 100, 3, 0, FIT),
    b"twin": Facts(1, 64500, 100, 3, 0, FIT),
    b"b": Facts(2, 64501, 100, 2, 0, FIT),
    b"none": Facts(3, -1, 100, 3, 0, FIT),
    b"extended": Facts(5, 64500, 100, 1, 0, FIT_EXTENDED_NEXT_HOP),
    b"preferred": Facts(6, 64500, 200, 4, 0, FIT),
    b"unfit": Facts(4, 64500, 100, 1, 0, UNFIT),
}


class Router:
    """What ExaBGP would hold for each target, if it executed our commands."""

    def __init__(self) -> None:
        self.routes: dict[tuple[int, str, int | None], tuple[int, int]] = {}
        self.commands: list[tuple[bool, str]] = []

    def execute(self, table: RouteTable, most: int, limit: int = 1 << 30) -> None:
        for _ in range(limit):
            command = table.next_command(most)
            if command is None:
                return
            names = command.prefixes.split(" ")
            assert len(names) == command.size <= most
            assert command.targets
            for prefix in names:
                self.commands.append((command.announce, prefix))
                for target in range(3):
                    if not command.targets & 1 << target:
                        continue
                    place = (target, prefix, command.path_id)
                    if command.announce:
                        outcome = SETS[table.attributes_key(command.attributes)].outcome
                        self.routes[place] = (outcome, command.manner)
                    else:
                        self.routes.pop(place, None)


def drain_work(table: RouteTable) -> None:
    while table.work(3):
        pass


def usable_set(*entries: VRP) -> VRPSet:
    vrp_set = VRPSet()
    vrp_set.usable = True
    vrp_set.activate([0])
    vrp_set.replace(0, b"".join(pack(vrp) for vrp in entries))
    return vrp_set


def announce(table: RouteTable, neighbor: int, name: bytes, routes: list[str]) -> int:
    number = table.find_attributes(name)
    if number is None:
        number = table.add_attributes(name, SETS[name])
    return table.announce(neighbor, number, routes)


class TestOneRoute:
    """The life of one route."""

    def setup_method(self) -> None:
        self.vrp_set = usable_set(VRP("192.0.2.0/24", 24, 64500))
        self.table = RouteTable(self.vrp_set)
        self.router = Router()

    def said(self) -> list[tuple[bool, str]]:
        drain_work(self.table)
        self.router.commands.clear()
        self.router.execute(self.table, 50)
        return self.router.commands

    def test_announced_once_and_not_again(self) -> None:
        neighbor = self.table.add_neighbor(DROP_INVALID, b"\x7f\0\0\2")
        announce(self.table, neighbor, b"a", ["192.0.2.0/24"])
        assert self.said() == [(True, "192.0.2.0/24")]
        announce(self.table, neighbor, b"a", ["192.0.2.0/24"])
        announce(self.table, neighbor, b"twin", ["192.0.2.0/24"])
        assert self.said() == []

    def test_withdrawn_by_its_neighbour_it_is_withdrawn_by_us(self) -> None:
        neighbor = self.table.add_neighbor(DROP_INVALID, b"\x7f\0\0\2")
        announce(self.table, neighbor, b"a", ["192.0.2.0/24"])
        self.said()
        self.table.withdraw(neighbor, ["192.0.2.0/24"])
        assert self.said() == [(False, "192.0.2.0/24")]
        assert len(self.table) == 0

    def test_announced_and_withdrawn_before_the_pipe_had_room_is_silence(self) -> None:
        neighbor = self.table.add_neighbor(DROP_INVALID, b"\x7f\0\0\2")
        announce(self.table, neighbor, b"a", ["192.0.2.0/24"])
        self.table.withdraw(neighbor, ["192.0.2.0/24"])
        assert self.said() == []

    def test_entering_invalid_writes_one_withdraw_though_nothing_was_announced(self) -> None:
        neighbor = self.table.add_neighbor(DROP_INVALID, b"\x7f\0\0\2")
        announce(self.table, neighbor, b"b", ["192.0.2.0/24"])
        assert self.said() == [(False, "192.0.2.0/24")]
        announce(self.table, neighbor, b"none", ["192.0.2.0/24"])
        assert self.said() == []

    def test_it_comes_back_when_its_vrp_does(self) -> None:
        neighbor = self.table.add_neighbor(DROP_INVALID, b"\x7f\0\0\2")
        announce(self.table, neighbor, b"b", ["192.0.2.0/24"])
        self.said()
        self.table.vrps_changed(self.vrp_set.replace(0, pack(VRP("192.0.2.0/24", 24, 64501))))
        assert self.said() == [(True, "192.0.2.0/24")]
        assert self.table.counts(neighbor) == {"valid": 1, "not-found": 0, "invalid": 0, "unverified": 0}

    def test_a_new_validity_in_the_same_words_is_silence(self) -> None:
        neighbor = self.table.add_neighbor(SAME_WORDS, b"\x7f\0\0\2")
        announce(self.table, neighbor, b"a", ["192.0.2.0/24"])
        self.said()
        self.table.vrps_changed(self.vrp_set.replace(0, b""))
        assert self.said() == []
        assert self.table.changed == 1

    def test_held_until_a_set_is_usable(self) -> None:
        self.vrp_set.usable = False
        neighbor = self.table.add_neighbor(DROP_INVALID, b"\x7f\0\0\2")
        announce(self.table, neighbor, b"a", ["192.0.2.0/24"])
        assert self.said() == []
        self.vrp_set.usable = True
        self.table.reconsider()
        assert self.said() == [(True, "192.0.2.0/24")]

    def test_a_session_that_ends_takes_its_routes_along(self) -> None:
        neighbor = self.table.add_neighbor(DROP_INVALID, b"\x7f\0\0\2")
        announce(self.table, neighbor, b"a", ["192.0.2.0/24", "2001:db8::/32"])
        self.said()
        self.table.retire_neighbor(neighbor)
        assert len(self.table) == 0
        assert sorted(self.said()) == [(False, "192.0.2.0/24"), (False, "2001:db8::/32")]

    def test_a_session_that_returns_at_once_costs_nothing(self) -> None:
        first = self.table.add_neighbor(DROP_INVALID, b"\x7f\0\0\2")
        announce(self.table, first, b"a", ["192.0.2.0/24"])
        self.said()
        self.table.retire_neighbor(first)
        second = self.table.add_neighbor(DROP_INVALID, b"\x7f\0\0\2")
        announce(self.table, second, b"a", ["192.0.2.0/24"])
        assert self.said() == []
        assert [route.standing for route in self.table.routes()] == [0b110]

    def test_two_neighbours_of_one_prefix_are_one_announcement_of_the_better(self) -> None:
        long_path = self.table.add_neighbor(DROP_INVALID, b"\x7f\0\0\2")
        short_path = self.table.add_neighbor(DROP_INVALID, b"\x7f\0\0\3")
        announce(self.table, long_path, b"a", ["198.51.100.0/24"])
        self.said()
        announce(self.table, short_path, b"b", ["198.51.100.0/24"])
        assert self.said() == [(True, "198.51.100.0/24")]
        self.table.withdraw(short_path, ["198.51.100.0/24"])
        assert self.said() == [(True, "198.51.100.0/24")]  # the other takes its place; no gap

    def test_prefixes_of_one_attribute_set_are_one_command(self) -> None:
        neighbor = self.table.add_neighbor(DROP_INVALID, b"\x7f\0\0\2")
        announce(self.table, neighbor, b"a", [f"10.0.{i}.0/24" for i in range(20)])
        command = self.table.next_command(50)
        assert command is not None
        assert command.size == 20
        assert self.table.next_command(50) is None


class TestMalformed:
    """Text from BGP that is no prefix is left out and counted, and the rest is taken."""

    @given(st.lists(st.text(max_size=50) | prefixes(), min_size=1, max_size=8))
    @settings(deadline=None)
    def test_any_text_is_survived(self, names: list[str]) -> None:
        table = RouteTable(usable_set())
        neighbor = table.add_neighbor(TAG_ALL, b"\x7f\0\0\2")
        taken = announce(table, neighbor, b"a", names)
        assert taken + table.malformed == len(names)
        assert {route.prefix for route in table.routes()} <= set(names)

    def test_a_line_feed_makes_no_second_prefix(self) -> None:
        table = RouteTable(usable_set())
        neighbor = table.add_neighbor(TAG_ALL, b"\x7f\0\0\2")
        assert announce(table, neighbor, b"a", ["192.0.2.0/24\n10.0.0.0/8", "198.51.100.0/24"]) == 1
        assert [route.prefix for route in table.routes()] == ["198.51.100.0/24"]
        assert table.malformed == 1


class Machine(RuleBasedStateMachine):
    """Everything at once, drained at random moments; a plain model says what every target must hold."""

    @initialize(ipv4=st.integers(0, 7), ipv6=st.integers(0, 7))
    def begin(self, ipv4: int, ipv6: int) -> None:
        self.vrps: set[VRP] = set()
        self.vrp_set = usable_set()
        self.table = RouteTable(self.vrp_set)
        self.router = Router()
        self.sessions: dict[int, tuple[int, NeighborPolicy]] = {}  # peer -> number, policy
        self.extended = 0
        self.plain = {False: ipv4, True: ipv6}
        self.table.set_plain(ipv4, ipv6)
        self.model: dict[tuple[int, str, int | None], bytes] = {}  # peer, prefix, path id -> attribute set

    @rule(peer=st.integers(0, 2), policy=st.sampled_from(POLICIES))
    def up(self, peer: int, policy: NeighborPolicy) -> None:
        if peer not in self.sessions:
            self.sessions[peer] = (self.table.add_neighbor(policy, bytes([127, 0, 0, peer])), policy)

    @rule(peer=st.integers(0, 2))
    def down(self, peer: int) -> None:
        if peer in self.sessions:
            self.table.retire_neighbor(self.sessions.pop(peer)[0])
            self.model = {key: value for key, value in self.model.items() if key[0] != peer}

    @rule(peer=st.integers(0, 2), policy=st.sampled_from(POLICIES))
    def new_policy(self, peer: int, policy: NeighborPolicy) -> None:
        if peer in self.sessions:
            number = self.sessions[peer][0]
            self.sessions[peer] = (number, policy)
            self.table.set_policy(number, policy)
            self.table.reconsider(rewrite=True)

    @rule(
        peer=st.integers(0, 2),
        name=st.sampled_from(sorted(SETS)),
        routes=st.lists(prefixes(), min_size=1, max_size=6),
        path_id=st.sampled_from([None, None, 4, 7]),
    )
    def announced(self, peer: int, name: bytes, routes: list[str], path_id: int | None) -> None:
        if peer in self.sessions:
            suffix = "" if path_id is None else f" 0.0.0.{path_id}"
            announce(self.table, self.sessions[peer][0], name, [prefix + suffix for prefix in routes])
            self.model.update({(peer, prefix, path_id): name for prefix in routes})

    @rule(peer=st.integers(0, 2), data=st.data())
    def withdrawn(self, peer: int, data: st.DataObject) -> None:
        mine = sorted(key for key in self.model if key[0] == peer and key[2] is None)
        if mine:
            key = data.draw(st.sampled_from(mine))
            self.table.withdraw(self.sessions[peer][0], [key[1]])
            del self.model[key]

    @rule(mask=st.integers(0, 7))
    def negotiated(self, mask: int) -> None:
        self.extended = mask
        self.table.set_extended_next_hop(mask)
        self.table.reconsider()

    @rule(entries=st.sets(vrps(), max_size=6))
    def vrps_change(self, entries: set[VRP]) -> None:
        self.vrps = entries
        self.table.vrps_changed(self.vrp_set.replace(0, b"".join(pack(vrp) for vrp in entries)))

    @rule(steps=st.integers(1, 4))
    def work_a_little(self, steps: int) -> None:
        self.table.work(steps)

    @rule(commands=st.integers(1, 3), most=st.integers(1, 4))
    def write_a_little(self, commands: int, most: int) -> None:
        self.router.execute(self.table, most, commands)

    def expected(self) -> dict[tuple[int, str, int | None], tuple[int, int]]:
        best: dict[tuple[int, str, int | None], tuple[tuple[int, ...], tuple[int, int]]] = {}
        for (peer, prefix, path_id), name in self.model.items():
            facts, policy = SETS[name], self.sessions[peer][1]
            validity = rfc6811.validity(self.vrps, prefix, None if facts.origin < 0 else facts.origin)
            index = VALIDITIES.index(validity)
            if policy.actions[index] != "announce" or facts.fitness == UNFIT:
                continue
            for target in range(3):
                able = facts.fitness == FIT or self.extended & 1 << target
                if policy.targets & 1 << target and able:
                    plain = self.plain[":" in prefix] & 1 << target
                    place = (target, prefix, None if plain else path_id)
                    rank = (-facts.local_preference, facts.path_length, peer, path_id or 0)
                    candidate = (rank, (facts.outcome, policy.manners[index]))
                    best[place] = min(best.get(place, candidate), candidate)
        return {place: words for place, (_, words) in best.items()}

    @invariant()
    def the_table_lists_the_model(self) -> None:
        if hasattr(self, "model"):
            peers = {number: peer for peer, (number, _) in self.sessions.items()}
            listed = {(peers[route.neighbor], route.prefix, route.path_id) for route in self.table.routes()}
            assert listed == set(self.model)
            assert len(self.table) == len(self.model)

    @rule()
    def settle(self) -> None:
        """When all is written, every target holds exactly what the rule says, and nothing more is said."""
        drain_work(self.table)
        self.router.execute(self.table, 3)
        assert self.router.routes == self.expected()
        for route in self.table.routes():
            facts = SETS[self.table.attributes_key(route.attributes)]
            asn = None if facts.origin < 0 else facts.origin
            assert route.validity == rfc6811.validity(self.vrps, route.prefix, asn)
        self.router.commands.clear()
        self.table.reconsider()
        drain_work(self.table)
        self.router.execute(self.table, 3)
        assert self.router.commands == []
        assert self.table.waiting == 0

    def teardown(self) -> None:
        if hasattr(self, "model"):
            self.settle()


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
