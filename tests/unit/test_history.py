"""The history: what became of routes, as stories, on the disk and in memory; what is kept, and a disk that is bad."""

import asyncio
import os
import shutil
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from rtrd import history_store
from rtrd.api import change_monitor
from rtrd.event_log import Cause
from rtrd.history import row
from rtrd.history_store import HistoryStore
from rtrd.history_tables import Batch, HistoryPage, HistoryQuery
from rtrd.policy import Policy
from rtrd.rib.bgp_events import State, Update
from rtrd.rib.native_terms import CHANGE_SIZE, changes_of
from rtrlib.vrp import VRP
from tests.lab.engine_story import tell
from tests.lab.observed import OBSERVE, Observed
from tests.lab.still_daemon import CACHE, CONFIG, StillDaemon
from tests.lab.vrp_sets import packed, set_of

EVERYTHING = 1 << 62


def changes(count: int = 1, base: int = 10) -> bytes:
    """Give changes of so many new routes, invalid ones."""
    one = Observed(set_of(VRP("0.0.0.0/0", 0, 64501)))
    one.table.listen(count)
    one.announce(f"{base}.{i >> 8 & 255}.{i & 255}.0/24" for i in range(count))
    return one.table.take_changes(count)[0]


def batch(records: bytes, time: float = 1e9, cause: Cause | None = None) -> Batch:
    return Batch(time, "edge", {0: "192.0.2.1"}, {} if cause is None else {7: cause}, records, 0, 0)


def ask(
    store: HistoryStore, prefix: str, *, covering: bool = False, before: int = EVERYTHING, most: int = 100
) -> HistoryPage:
    return store.find(HistoryQuery(ip_network(prefix), covering, before, most))


def prefixes(found: HistoryPage) -> list[str]:
    return [row(number, one)["prefix"] for number, one in zip(found.ids, found.batches, strict=True)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / history_store.NAME


def opened(
    path: Path | None, max_size: int = 1 << 30, steady: Callable[[], float] = monotonic, max_age: float = 1e6
) -> HistoryStore:
    store = HistoryStore(path, max_age, max_size, steady)
    store.write([], 1e9)
    return store


def test_what_was_written_is_there_after_a_restart_the_newest_first(path: Path) -> None:
    store = opened(path)
    store.write([batch(changes(3)), batch(changes(2, base=11))], 1e9)
    store.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = opened(path)
    again.write([batch(changes(1))], 1e9)
    found = ask(again, "0.0.0.0/0")
    assert prefixes(found) == ["10.0.0.0/24", "11.0.1.0/24", "11.0.0.0/24", "10.0.2.0/24", "10.0.1.0/24", "10.0.0.0/24"]
    assert found.ids == sorted(found.ids, reverse=True)
    assert prefixes(ask(again, "10.0.0.0/23")) == ["10.0.0.0/24", "10.0.1.0/24", "10.0.0.0/24"]
    assert prefixes(ask(again, "10.0.1.77/32", covering=True)) == ["10.0.1.0/24"]
    assert prefixes(ask(again, "10.0.1.0/25")) == prefixes(ask(again, "::/0")) == []


def test_a_thousand_changes_come_in_pages_and_how_many_are_left_is_said(path: Path) -> None:
    store = opened(path)
    store.write([batch(changes(1000))], 1e9)
    first = ask(store, "10.0.0.0/8", most=300)
    assert (len(first.ids), first.more) == (300, 700)
    rest = ask(store, "10.0.0.0/8", before=first.ids[-1], most=1000)
    assert (len(rest.ids), rest.more) == (700, 0)


def test_a_cause_is_kept_with_its_vrps(path: Path) -> None:
    store = opened(path)
    cause = Cause(CACHE, CACHE, ((VRP("2001:db8::/32", 48, 64500), True),))
    store.write([batch(changes(), cause=cause)], 1e9)
    store.close()
    assert ask(opened(path), "10.0.0.0/8").batches[0].causes == {7: cause}


def left_reasons(store: HistoryStore) -> list[tuple[int]]:
    return store._db.execute("SELECT id FROM disk.path_reasons").fetchall()


def test_why_paths_are_invalid_is_kept_and_a_history_from_before_that_is_taken(path: Path) -> None:
    store = opened(path)
    store.write([batch(changes())], 1e9)
    store.close()
    with sqlite3.connect(path) as before:
        before.execute("DROP TABLE path_reasons")
    before.close()
    store = opened(path)
    store.write([batch(changes(3))._replace(path_reasons={1: "AS64510 does not name AS64501 as its provider"})], 1e9)
    store.close()
    found = ask(opened(path), "0.0.0.0/0")
    told = [row(number, one) for number, one in zip(found.ids, found.batches, strict=True)]
    assert [one["path_reason"] for one in told] == [None, "AS64510 does not name AS64501 as its provider", None, None]
    assert told[1]["why"].endswith("; AS64510 does not name AS64501 as its provider")


def test_size_and_age_are_bounded(path: Path) -> None:
    steady = 0.0
    store = opened(path, max_size=3 << 20, steady=lambda: steady)
    for number in range(6):
        reasons = dict.fromkeys(range(0, 10000, 10), "AS64510 does not name AS64501 as its provider")
        store.write([batch(changes(10_000), 1e9 + number)._replace(path_reasons=reasons)], 1e9)
        store._tidied = -1e9
    store.write([], 1e9)
    assert store.size <= 3 << 20
    left = len(ask(store, "0.0.0.0/0", most=100_000).ids)
    assert 10_000 <= left < 60_000
    assert len(left_reasons(store)) <= left / 10 + 1, "they go with their changes"
    store._tidied = -1e9
    store.write([], 1e9)
    assert store._number("disk.freelist_count") == 0
    store._tidied = -1e9
    store.write([], 2e9)
    assert len(ask(store, "0.0.0.0/0", most=100_000).ids) == left, "the clock may be wrong"
    steady = 3600.0
    store.write([], 2e9 + 3600)
    assert len(ask(store, "0.0.0.0/0", most=100_000).ids) < left


def test_no_clock_that_is_wrong_for_a_while_costs_history(path: Path) -> None:
    """Neither one that is ahead, nor what is dated 1970, after a boot without a battery, behind what is dated right."""
    steady, now = 0.0, 1e9
    store = opened(path, steady=lambda: steady, max_age=7 * 86400)

    def go(seconds: int, set_to: float | None = None) -> None:
        nonlocal steady, now
        now = now if set_to is None else set_to
        for _ in range(seconds // 60):
            steady, now = steady + 60, now + 60
            store.write([], now)

    def kept() -> list[str]:
        return prefixes(ask(store, "0.0.0.0/0"))[::-1]

    store.write([batch(changes(1), now)], now)
    go(7200)
    store.write([batch(changes(1, base=11), 100.0)], 100.0)
    go(7200, 100.0)
    store.write([batch(changes(1, base=12), 1e9 + 20000)], 1e9 + 20000)
    go(7200, 1e9 + 20000)
    go(3540, 4e9)
    go(7200, 1e9 + 40000)
    assert kept() == ["10.0.0.0/24", "11.0.0.0/24", "12.0.0.0/24"]
    go(7200, 1e9 + 7 * 86400 + 10000)
    assert kept() == ["12.0.0.0/24"], "they are older than what is dated right"


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "other", "later", "no-name", "no-folder"])
def test_what_is_no_history_of_ours_is_left_alone_and_memory_takes_its_place(path: Path, kind: str) -> None:
    if kind == "link":
        path.symlink_to(path.with_name("elsewhere"))
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "other":
        path.write_text("not a database " * 1000)
    elif kind == "later":
        opened(path).close()
        with sqlite3.connect(path) as later:
            later.execute("PRAGMA user_version = 99")
        later.close()
    elif kind == "no-name":
        path = path.with_name(300 * "a")  # can't be looked at, as what lies in a folder that is closed to us
    else:
        path = path.parent / "missing" / path.name
    store = opened(path)
    store.write([batch(changes())], 1e9)
    assert store.fault is not None
    assert str(path if kind != "no-folder" else path.parent) in store.fault
    assert prefixes(ask(store, "10.0.0.0/8")) == ["10.0.0.0/24"]
    store.close()
    assert not path.with_name("elsewhere").exists()


def test_of_two_daemons_one_has_the_file_and_the_other_takes_it_over(path: Path) -> None:
    first, second = opened(path), opened(path)
    assert (first.fault, second.fault) == (None, f"{path}: another process has it open")
    second.write([batch(changes(2))], 1e9)
    assert len(ask(second, "10.0.0.0/8").ids) == 2
    first.close()
    second._failed = -1e9
    second.write([batch(changes(1, base=11))], 1e9)
    assert second.fault is None
    second.close()
    assert prefixes(ask(opened(path), "0.0.0.0/0")) == ["11.0.0.0/24", "10.0.1.0/24", "10.0.0.0/24"]


def test_a_disk_that_is_full_for_a_while_costs_nothing(path: Path) -> None:
    store = opened(path)
    store.write([batch(changes(1))], 1e9)
    store._db.execute(f"PRAGMA disk.max_page_count = {store._number('disk.page_count')}")
    store.write([batch(changes(2000, base=11))], 1e9)
    assert store.fault == f"{path}: database or disk is full"
    found = ask(store, "0.0.0.0/0", most=1000)
    assert (len(found.ids), found.more) == (1000, 1001)
    store._db.execute("PRAGMA disk.max_page_count = 100000")
    store._failed = -1e9
    store.write([], 1e9)
    assert store.fault is None
    assert len(ask(store, "0.0.0.0/0", most=5000).ids) == 2001


def test_a_file_that_was_taken_away_is_made_again(path: Path) -> None:
    store = opened(path)
    path.unlink()
    store.write([batch(changes())], 1e9)
    assert store.fault == f"{path}: the file was taken away"
    store._failed = -1e9
    store.write([batch(changes(1, base=11))], 1e9)
    assert store.fault is None
    assert path.exists()


@pytest.mark.parametrize("again", [True, False])
def test_what_came_after_the_file_was_taken_away_is_kept_at_the_end(path: Path, again: bool) -> None:
    """Also where the end comes at once, and nothing was written since."""
    store = opened(path)
    store.write([batch(changes())], 1e9)
    shutil.rmtree(path.parent)
    if again:
        store.write([batch(changes(1, base=11))], 1e9)
        assert store.fault == f"{path}: the file was taken away"
    path.parent.mkdir()
    store.close()
    assert len(ask(opened(path), "0.0.0.0/0").ids) == again


def test_memory_is_bounded_too() -> None:
    store = opened(None)
    for _ in range(8):
        store.write([batch(changes(10_000))], 1e9)
    assert store._used("main") <= history_store.IN_MEMORY + (CHANGE_SIZE << 10)
    assert store.dropped == 0


# -- with a daemon


class Story(StillDaemon):
    """Its history is in its folder."""

    async def look(self) -> None:
        """Do what is to be done, and pick up the changes."""
        while self.engine.work(2000):  # noqa: ASYNC110 - as the router does it
            await asyncio.sleep(0)
        await self.service.monitor.take(self.daemon.routers.all())

    def policy(self, policy: Policy) -> None:
        self.daemon.routers.set_policy(policy, self.daemon.event_log.cause("another policy"))


@pytest.fixture
@asynccontextmanager
async def story(tmp_path: Path) -> AsyncIterator[Story]:
    async with Story(tmp_path, f"{CONFIG}state: {tmp_path}") as one:
        one.daemon.history.start()
        one.service.monitor._begin(one.router)
        one.daemon.vrp_set.usable = True
        yield one


async def became(one: Story, prefix: str = "0.0.0.0/0") -> list[dict[str, Any]]:
    """Give what became of routes, the oldest first."""
    await one.look()
    found = await one.daemon.history.find(HistoryQuery(ip_network(prefix), False, EVERYTHING, 1000))
    return [row(*each) for each in zip(found.ids, found.batches, strict=True)][::-1]


async def test_what_a_session_that_ended_had_goes_before_what_the_next_one_has_comes(story: Story) -> None:
    story.vrps(VRP("192.0.2.0/24", 24, 64500))
    for _ in range(2):  # the second time before the routes of the first session were looked at
        story.engine.state(State("192.0.2.1", up=True, reason=""))
        story.announce("192.0.2.0/24")
    story.engine.state(State("192.0.2.1", up=True, reason=""))
    told = await became(story)
    assert [(one["was"], one["validity"], one["cause"]) for one in told] == [
        (None, "valid", "update"),
        ("valid", None, "session"),
        (None, "valid", "update"),
        ("valid", None, "session"),
    ]


async def test_the_whole_life_of_a_route(story: Story) -> None:
    story.engine.state(State("192.0.2.1", up=True, reason=""))
    story.vrps(VRP("192.0.2.0/24", 24, 64500))
    story.announce("192.0.2.0/24")
    await story.look()
    story.vrps(VRP("192.0.2.0/24", 24, 64499))
    await story.look()
    story.policy(Policy(()))
    await story.look()
    story.engine.state(State("192.0.2.1", up=False, reason=""))
    told = await became(story)
    assert [(one["was"], one["validity"], one["decision_was"], one["decision"], one["why"]) for one in told] == [
        (None, "valid", None, "announce", "newly announced; AS64500's VRP 192.0.2.0/24-24 matches"),
        (
            "valid", "invalid", "announce", "withdraw",
            f"AS64500's VRP 192.0.2.0/24-24 disappeared at cache {CACHE}; AS64499's VRP 192.0.2.0/24-24 covers it",
        ),
        ("invalid", "invalid", "withdraw", "observe", "another policy; AS64499's VRP 192.0.2.0/24-24 covers it"),
        ("invalid", None, "observe", None, "the neighbor's session ended"),
    ]  # fmt: skip
    assert [one["cause"] for one in told] == ["update", CACHE, "another policy", "session"]
    assert {one["neighbor"] for one in told} == {"192.0.2.1"}


async def test_a_neighbor_takes_its_route_back_and_announces_it_again(story: Story) -> None:
    story.announce("2001:db8::/32")
    tell(story.engine, Update("192.0.2.1", ["2001:db8::/32"], [], 0))
    story.announce("2001:db8::/32", origin=64501)
    told = await became(story, "2001:db8::/32")
    assert [(one["was"], one["validity"]) for one in told] == [
        (None, "not-found"),
        ("not-found", None),
        (None, "not-found"),
    ]
    assert told[1]["why"] == "withdrawn by the neighbor"
    [(_, route)] = story.engine.routes(address="2001:db8::1")
    assert (route.prefix, route.reason) == ("2001:db8::/32", None)


async def test_routes_that_come_and_go_are_kept_as_long_as_they_are_few(story: Story) -> None:
    story.announce(*(f"10.{i >> 8}.{i & 255}.0/24" for i in range(3000)))
    await story.look()
    found = await story.daemon.history.find(HistoryQuery(ip_network("10.0.0.0/8"), False, EVERYTHING, 1))
    assert (found.more, found.others, found.lost) == (1999, 1000, 0)


async def test_since_when_and_why_a_route_is_invalid(story: Story) -> None:
    story.vrps(VRP("192.0.2.0/24", 24, 64500), VRP("198.51.100.0/22", 22, 64500))
    story.engine.set_time(1000)
    story.announce("192.0.2.0/24", "198.51.100.0/24")
    story.announce("192.0.2.0/24", origin=64501)
    story.engine.set_time(2000)
    story.vrps(VRP("198.51.100.0/22", 22, 64500))
    await story.look()
    routes = {route.prefix: (route.validity, route.reason, route.since) for _, route in story.engine.routes()}
    assert routes == {"192.0.2.0/24": ("not-found", None, 2000), "198.51.100.0/24": ("invalid", "length", 1000)}
    story.vrps(VRP("192.0.2.0/24", 24, 64502))
    await story.look()
    assert [route.reason for _, route in story.engine.routes("192.0.2.0/24")] == ["as"]


async def test_a_policy_for_a_whole_table_is_kept_and_the_loop_turns(story: Story) -> None:
    story.vrps(VRP("10.0.0.0/8", 24, 64500))
    story.announce(*(f"10.{i >> 8}.{i & 255}.0/24" for i in range(60_000)))
    await story.look()
    story.policy(Policy(()))
    await story.look()
    [change] = (await story.daemon.history.find(HistoryQuery(ip_network("10.0.7.0/24"), False, EVERYTHING, 1))).batches
    assert row(1, change)["why"] == "another policy; AS64500's VRP 10.0.0.0/8-24 matches"
    found = await story.daemon.history.find(HistoryQuery(ip_network("10.0.0.0/8"), False, EVERYTHING, 1))
    assert (found.more + 1, story.daemon.history.lost) == (62_000, 0)


async def test_what_waits_for_the_thread_is_bounded_and_what_is_too_much_is_said(story: Story) -> None:
    history = story.daemon.history
    await history.close()  # the thread takes nothing
    for _ in range(25):
        history.take(history.batch("edge", {}, changes(10_000), {}))
    assert (history.kept, history.lost) == (200_000, 50_000)


def test_in_a_burst_invalid_routes_and_decisions_come_first() -> None:
    vrp_set = set_of(VRP("10.0.0.0/8", 24, 64500))
    observed = Observed(vrp_set, [f"10.0.{i}.0/24" for i in range(100)])
    table = observed.table
    table.listen(20)

    def became(*vrps: VRP) -> None:
        table.vrps_changed(vrp_set.replace(0, packed(vrps)))
        while table.work(2000):
            pass

    became()
    became(*(VRP(f"10.0.{i}.0/24", 24, 64499) for i in range(5)))
    records, lost = table.take_changes(100)
    touches = [(one.was, one.validity) for one in changes_of(records)]
    assert touches == [("valid", "not-found")] * 10 + [("not-found", "invalid")] * 5
    assert lost.changes == 90
    became(*(VRP(f"10.0.{i}.0/24", 24, 64500) for i in range(5)))
    table.set_policy(observed.neighbor, OBSERVE._replace(actions=("withdraw",) * 4))
    table.revalidate()
    became()
    records, lost = table.take_changes(100)
    assert (len(records) // CHANGE_SIZE, {one.decision for one in changes_of(records)}) == (20, {"withdraw"})


async def test_a_flood_without_end_costs_no_more_than_so_many_changes_in_each_look(story: Story) -> None:
    story.vrps(VRP("10.0.0.0/8", 24, 64500))
    many = [f"10.{i >> 8}.{i & 255}.0/24" for i in range(20_000)]
    before = 0
    kept = []
    for turn in range(6):
        story.announce(*many, origin=64501 if turn % 2 else 64500)
        await story.look()
        kept.append(story.daemon.history.kept - before)
        before += kept[-1]
    assert kept[1:4] == [20_000] * 3
    assert kept[4:] == [change_monitor.ROOM] * 2
    assert story.daemon.history.lost == 2 * (20_000 - change_monitor.ROOM)
