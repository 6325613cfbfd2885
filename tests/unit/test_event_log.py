"""What is told of a change, and why, as stories: VRPs come and go, the router says something else, caches fail."""

import asyncio
import gc
import json
import os
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rtrd.api import change_monitor
from rtrd.base import turn
from rtrd.base.clock import Clock
from rtrd.bmp.messages import Peer, PeerUp
from rtrd.event_log import MOST_CAUSES, MOST_LISTENERS, MOST_WAITING, EventLog, TooManyListenersError
from rtrd.rib.attributes import update_body
from rtrd.rib.bgp_events import State
from rtrd.rib.bgp_session import BGPSession, Open
from rtrlib import aspas
from rtrlib.vrp import VRP
from tests.lab.engine_story import key_of_json
from tests.lab.still_daemon import CACHE, StillDaemon


class Story(StillDaemon):
    """What it tells."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, clock=Clock(wall=lambda: 1_800_000_000.0))
        self.listener = self.daemon.event_log.listen().__enter__()

    async def told(self, *kinds: str) -> list[dict[str, Any]]:
        """Look, and give what is told now, of these kinds (all)."""
        while self.engine.work(1000):
            pass
        await self.service.monitor.look()
        await self.service.monitor.take(self.daemon.routers.all())
        events = [json.loads(line) for line in await self.listener.take(0.01, 10_000)]
        return [event for event in events if not kinds or event["kind"] in kinds]

    def session(self, *, up: bool, neighbor: str = "192.0.2.1") -> None:
        self.router._session_event(State(neighbor, up, ""))

    def usable(self) -> None:
        self.daemon.vrp_set.usable = True
        self.daemon._became_usable()


@pytest.fixture
@asynccontextmanager
async def one(tmp_path: Path) -> AsyncIterator[Story]:
    async with Story(tmp_path) as one:
        await one.told()
        yield one


async def test_a_vrp_that_comes_and_goes(one: Story) -> None:
    one.usable()
    one.announce("192.0.2.0/24")
    assert await one.told("route") == []  # it came, and is no more than not-found
    one.vrps(VRP("192.0.2.0/24", 24, 64500))
    vrps, route = await one.told("vrps", "route")
    assert vrps["text"] == f"AS64500's VRP 192.0.2.0/24-24 appeared at cache {CACHE}"
    assert vrps["vrps"] == [{"asn": 64500, "prefix": "192.0.2.0/24", "maxLength": 24, "appeared": True}]
    assert route == {
        "time": "2027-01-15T08:00:00.000Z",
        "kind": "route",
        "text": "192.0.2.0/24 of AS64500 from 192.0.2.1: valid (was not-found), announce: "
        f"AS64500's VRP 192.0.2.0/24-24 appeared at cache {CACHE}",
        "router": "exabgp",
        "neighbor": "192.0.2.1",
        "prefix": "192.0.2.0/24",
        "path_id": None,
        "origin_as": 64500,
        "was": "not-found",
        "validity": "valid",
        "aspa_was": None,
        "aspa": None,
        "leak_was": False,
        "leak": False,
        "path_reason": None,
        "decision": "announce",
        "cause": CACHE,
        "cache": CACHE,
        "vrp": {"asn": 64500, "prefix": "192.0.2.0/24", "maxLength": 24, "appeared": True},
    }
    one.vrps()
    [route] = await one.told("route")
    assert (route["was"], route["validity"], route["vrp"]["appeared"]) == ("valid", "not-found", False)


async def test_a_change_is_told_at_once_and_waits_for_no_look(one: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_monitor, "EVERY", 3600.0)
    await one.service.monitor.start()
    one.usable()
    one.announce("192.0.2.0/24")
    while one.engine.work(1000):
        pass
    for vrp, validity in ((VRP("192.0.2.0/24", 24, 64501), "invalid"), (VRP("192.0.2.0/24", 24, 64500), "valid")):
        one.vrps(vrp)
        while one.engine.work(1000):
            pass
        vrps, route = [json.loads(line) for line in await one.listener.take(30) + await one.listener.take(30)]
        assert (vrps["kind"], route["kind"], route["validity"]) == ("vrps", "route", validity)
    path = one.engine.attributes(key_of_json(b'{"origin": "igp", "as-path": [64496, 64501]}', "192.0.2.9"))
    session = BGPSession(64511, 64496, True, frozenset(), False)
    one.engine.receive("192.0.2.1", session, update_body(path, "192.0.2.0/24"))
    [route] = [json.loads(line) for line in await one.listener.take(30)]
    assert (route["prefix"], route["validity"]) == ("192.0.2.0/24", "invalid")


async def test_thousands_of_neighbors_are_looked_at_in_slices(one: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(turn, "TURN", 0.0)  # after each one
    for number in range(1000):
        one.session(up=True, neighbor=f"10.0.{number >> 8}.{number & 255}")
    beside = asyncio.create_task(other())
    assert len(await one.told("neighbor")) == 1000
    assert turns >= 1000
    for number in range(1000):
        one.session(up=False, neighbor=f"10.0.{number >> 8}.{number & 255}")
    turns = 0
    assert {event["up"] for event in await one.told("neighbor")} == {False}
    assert turns >= 1000
    beside.cancel()


async def test_aspas_that_change(one: Story) -> None:
    async def told(*lists: tuple[int, list[int]]) -> dict[str, Any]:
        held = one.daemon.aspas
        before, held.effective = held.effective, aspas.union_of(aspas.numbers(lists))
        held.index = aspas.ASPAIndex(held.effective)
        one.daemon._aspas_changed(aspas.changes(before, held.effective))
        [event] = await one.told("aspas")
        return event

    one.daemon.effective.cause = str(CACHE)
    event = await told((64496, [64498]), (64499, [0]))
    assert event["text"] == f"AS64496 now names 64498; AS64499 now names no provider (AS 0) ({CACHE})"
    assert (event["cause"], event["changed"], event["aspas"]) == (str(CACHE), 2, 2)
    one.daemon.effective.cause = "SLURM files"
    event = await told((64496, [64497]), (64499, [0]))
    assert event["text"] == "AS64496 now names 64497 (SLURM files)"
    assert event["customers"] == [{"customer_asid": 64496, "providers": [64497]}]
    event = await told(*((customer, [9]) for customer in range(10, 30)), (64496, list(range(1, 13))))
    assert event["text"].startswith("AS10 now names 9; AS11 now names 9; AS12 now names 9; and 19 more (SLURM")
    assert (event["changed"], len(event["customers"])) == (22, 10)
    event = await told((64496, list(range(1, 13))))
    assert event["text"].startswith("AS10 has no ASPA any more; ")


async def test_the_vrp_that_explains_is_named_when_several_change_at_once(one: Story) -> None:
    one.usable()
    wrong = [VRP("192.0.2.0/24", 24, asn) for asn in range(64600, 64610)]
    one.vrps(*wrong)
    one.announce("192.0.2.0/24")
    [new] = await one.told("route")
    assert new["was"] is None
    assert new["text"].endswith("invalid (new), withdraw: newly announced")
    one.vrps(VRP("192.0.0.0/16", 24, 64500))
    [route] = await one.told("route")
    assert (route["was"], route["validity"]) == ("invalid", "valid")
    assert route["vrp"] == {"asn": 64500, "prefix": "192.0.0.0/16", "maxLength": 24, "appeared": True}
    one.vrps(*wrong)
    [route] = await one.told("route")
    assert route["vrp"] == {"asn": 64500, "prefix": "192.0.0.0/16", "maxLength": 24, "appeared": False}


async def test_the_routers_own_word(one: Story) -> None:
    one.usable()
    one.vrps(VRP("192.0.2.0/24", 24, 64500))
    one.announce("192.0.2.0/24")
    await one.told()
    one.announce("192.0.2.0/24", origin=64501)
    [route] = await one.told("route")
    assert (route["was"], route["validity"], route["cause"], route["vrp"]) == ("valid", "invalid", "update", None)
    assert route["text"].endswith("announced with another origin AS")


async def test_a_set_that_comes_into_use_and_causes_that_are_no_cache(one: Story) -> None:
    one.announce("192.0.2.0/24")
    await one.told()
    one.usable()
    [route] = await one.told("route")
    assert (route["was"], route["cause"]) == ("unverified", "a VRP set came into use")
    one.vrps(VRP("192.0.2.0/24", 24, 64500), cause="SLURM files")
    [route] = await one.told("route")
    assert route["cache"] is None
    assert route["text"].endswith("AS64500's VRP 192.0.2.0/24-24 appeared (SLURM files)")


async def test_sessions_caches_and_groups(one: Story) -> None:
    one.session(up=True)
    cache = one.daemon.caches.groups()[0].sockets[0]
    cache.write(error="refused \x1b[2J")
    assert [event["text"] for event in await one.told()] == [
        f"cache {CACHE} failed: refused \\x1b[2J",
        "neighbor 192.0.2.1 is up",
    ]
    one.announce("192.0.2.0/24")
    one.session(up=True)  # it was down and is up again between two looks
    assert [event["up"] for event in await one.told("neighbor")] == [True]
    one.session(up=False)
    cache.write(error=None, in_sync=True)
    assert [it["text"] for it in await one.told()] == [f"cache {CACHE} is in sync", "neighbor 192.0.2.1 is down"]


async def test_a_session_of_which_nobody_tells_any_more_is_not_down(one: Story) -> None:
    router = one.daemon.routers.monitor("router-a", lambda: None)
    peer = Peer("192.0.2.9", 0, bytes(8))
    opened = PeerUp("192.0.2.1", Open(64500), Open(64501))
    unknown = "neighbor 192.0.2.9 was up, and nobody says any more whether it is"
    for goes, up, text in (
        (partial(router.neighbors.went, peer, 2.0), False, "neighbor 192.0.2.9 is down"),
        (router.neighbors.lost, None, unknown),
        (partial(one.daemon.routers.unmonitor, router), None, unknown),
    ):
        router.neighbors.came(peer, opened, 1.0)
        assert [event["up"] for event in await one.told("neighbor")] == [True]
        goes()
        assert [(event["up"], event["text"]) for event in await one.told("neighbor")] == [(up, text)]


async def test_a_group_whose_vrps_are_held_is_in_use_and_not_in_force(
    one: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(one.daemon.caches), "active_group", "main")
    assert [event["text"] for event in await one.told("active")] == ["group main is in use"]
    assert await one.told() == []


async def test_more_changes_than_a_table_keeps_are_counted_and_the_newest_are_told(one: Story) -> None:
    one.usable()
    one.announce(*(f"10.{i >> 8}.{i & 255}.0/24" for i in range(1000)))
    await one.told()
    one.engine.table.listen(10)
    one.vrps(VRP("10.0.0.0/8", 24, 64501))
    told = await one.told("route", "lost")
    assert [event["kind"] for event in told] == ["lost"] + ["route"] * 10
    assert told[0]["count"] == 990 == one.daemon.event_log.lost
    assert told[-1]["prefix"] == "10.3.231.0/24"


async def test_of_a_router_that_went_nothing_is_kept(one: Story) -> None:
    """Its routes are tens of megabytes, and `rtrd attach` may come again every few minutes for years."""
    read_fd, write_fd = os.pipe()
    router = one.daemon.routers.add("edge-2", read_fd, os.open(os.devnull, os.O_WRONLY), lambda: None)
    await one.told()
    one.daemon.routers.remove(router)
    gone = weakref.ref(router.engine.table)
    del router
    assert [event["text"] for event in await one.told("router")] == ["router edge-2 is disconnected"]
    gc.collect()
    assert gone() is None
    os.close(read_fd)
    os.close(write_fd)


async def test_a_table_that_nobody_listens_to_keeps_nothing(one: Story) -> None:
    one.usable()
    one.engine.table.listen(0)
    one.vrps(VRP("192.0.2.0/24", 24, 64501))
    one.announce("192.0.2.0/24")
    assert one.engine.table.take_changes(10) == (b"", (0, 0))


async def test_each_listener_has_its_own_pace() -> None:
    event_log = EventLog(Clock())
    with event_log.listen() as slow, event_log.listen() as quick:
        for number in range(MOST_WAITING + 5):
            event_log.add("cache", str(number))
            if number % 100 == 0:
                assert json.loads((await quick.take(1))[-1])["text"] == str(number)
        first, second, *_ = map(json.loads, await slow.take(1))
        assert first == {
            "time": None, "kind": "lost", "count": 5, "text": "5 events were lost: not read fast enough"
        }  # fmt: skip
        assert second["text"] == "5"
    event_log.add("cache", "nobody hears it")
    assert json.loads(event_log.recent(1)[0])["text"] == "nobody hears it"
    assert event_log.recent(0) == []


async def test_listeners_have_a_bound() -> None:
    event_log = EventLog(Clock())
    for _ in range(MOST_LISTENERS):
        event_log.listen().__enter__()
    with pytest.raises(TooManyListenersError):
        event_log.listen()


def test_the_vrps_of_the_latest_changes_are_remembered_and_no_more() -> None:
    """Of 256 changes of 1000 VRPs each they were 70 MB."""
    event_log = EventLog(Clock())
    many = tuple((VRP(f"10.{i >> 8}.{i & 255}.0/24", 24, 64500), True) for i in range(1000))

    def kept() -> list[int]:
        return [len(cause.vrps) for cause in event_log._causes.values() if cause.vrps]

    for _ in range(10):
        event_log.cause("192.0.2.10:323", None, many)
    assert kept() == [1000, 1000]
    for _ in range(MOST_CAUSES):
        event_log.cause("another policy")
    assert kept() == []
    for _ in range(3):
        event_log.cause("192.0.2.10:323", None, many)
    assert kept() == [1000, 1000]
