"""A router with thousands of neighbors is asked about in small steps, between which the loop turns."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from rtrd.api import scrape
from rtrd.api.responses import encoded
from rtrd.base import turn
from rtrd.base.registry import MOST_NEIGHBORS
from tests.lab.bmp import open_message, peer, route, statistics, up, update
from tests.lab.still_daemon import CONFIG, StillDaemon

COUNT = 1500


class Story(StillDaemon):
    """A router that has told of many neighbors, and how often the loop turns."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, f'{CONFIG}bmp: {{listen: ["127.0.0.1:0"]}}\n')
        self.turns = 0
        self.monitored = self.daemon.routers.monitor("edge", lambda: None)
        for number in range(COUNT):
            header = peer(f"10.0.{number >> 8}.{number & 255}", 64501)
            prefix = f"10.{number >> 8}.{number & 255}.0/24"
            for message in (
                up(header, open_message(64500), open_message(64501)),
                route(header, update([prefix], [(2, [64501])])),
                statistics(header, (0, bytes(4))),
            ):
                self.monitored.take(message[5], message[6:], 1.0)

    async def count(self) -> None:
        while True:
            self.turns += 1
            await asyncio.sleep(0)

    async def turned(self, work: Awaitable[Any]) -> tuple[Any, int]:
        """Give what work gives, and how often the loop turned meanwhile."""
        beside = asyncio.create_task(self.count())
        found = await work
        turns, self.turns = self.turns, 0
        beside.cancel()
        return found, turns


@pytest.fixture
@asynccontextmanager
async def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Story]:
    monkeypatch.setattr(turn, "TURN", 0.0)  # after each step
    async with Story(tmp_path) as one:
        yield one


async def test_the_status_is_made_a_neighbor_at_a_time(story: Story) -> None:
    status, turns = await story.turned(story.daemon.registry.status())
    assert turns >= COUNT
    [_, edge] = status["routers"]
    assert (len(edge["neighbors"]), sum(edge["routes"].values())) == (COUNT, COUNT)
    assert edge["neighbors"][7]["statistics"] == {"rejected by policy": 0}
    assert json.loads(await encoded(status)) == json.loads(json.dumps(status, default=str))


async def test_those_who_ask_while_a_status_is_made_share_the_next_one(story: Story) -> None:
    status = story.daemon.registry.status
    first = asyncio.create_task(status())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    others = await asyncio.gather(*(status() for _ in range(20)))
    assert all(other is others[0] for other in others)
    assert (await first) is not others[0]
    assert (await status()) is not others[0]


async def test_metrics_are_read_a_sample_at_a_time(story: Story) -> None:
    read, turns = await story.turned(scrape.read(story.daemon.registry.collect()))
    samples = sum(len(family.samples) for family in read.collect())
    assert samples > 10 * MOST_NEIGHBORS
    assert turns >= samples * 0.9  # those of histograms are read as one


async def test_the_trend_counts_a_neighbor_at_a_time(story: Story) -> None:
    (_, *routes, _), turns = await story.turned(story.service.trend.sample())
    assert sum(routes) == COUNT
    assert turns >= COUNT


async def test_a_report_of_a_fault_is_made_in_steps(story: Story) -> None:
    dump, turns = await story.turned(story.service.dump())
    assert len(dump["status"]["routers"][1]["neighbors"]) == COUNT
    assert turns >= 8 * COUNT


async def test_many_walks_at_once_have_one_turn_after_the_other() -> None:
    steps = []

    async def walk(name: str) -> None:
        async with turn.SharedTurn() as mine:
            for _ in range(3):
                steps.append(name)
                await mine.next()

    await asyncio.gather(walk("a"), walk("b"), walk("c"))
    assert sorted(steps[:3]) == sorted(steps[3:6]) == ["a", "b", "c"]
