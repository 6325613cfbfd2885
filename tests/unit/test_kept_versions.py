"""Which caches are spoken to in version 1, over a restart: stories with a manager that connects to nothing."""

import json
from pathlib import Path

import pytest

from rtrd.base.clock import Clock
from rtrd.kept_versions import NAME, KeptVersions
from rtrlib import RTRManager
from rtrlib.native_session import LOWER_VERSION_FOR
from rtrlib.rtr_socket import RTRSocket
from rtrlib.servers import CacheGroup, TCPServer

NOON = 1_800_000_000


def manager() -> RTRManager:
    servers = [TCPServer("192.0.2.10", 323), TCPServer("2001:db8::1", 3323)]
    return RTRManager(groups=[CacheGroup(1, servers)], engine="native", clock=lambda: 500.0, wall=lambda: NOON)


def sockets(one: RTRManager) -> list[RTRSocket]:
    return [cache for group in one.groups() for cache in group.sockets]


def kept(folder: Path, seconds: float = 0.0) -> KeptVersions:
    return KeptVersions(folder, Clock(lambda: 500.0, lambda: NOON + seconds))


async def closed(folder: Path, seconds: float) -> None:
    """An earlier run, in which the second cache misled for so long."""
    before, one = manager(), kept(folder)
    await one.load(before)
    before.speak_lower(sockets(before)[1], seconds)
    one.look(before)
    await one.close()


async def test_what_an_earlier_run_saw_is_known_to_the_next_one(tmp_path: Path) -> None:
    await closed(tmp_path, 3600)
    assert json.loads((tmp_path / NAME).read_text()) == {"[2001:db8::1]:3323": NOON + 3600}
    now, one = manager(), kept(tmp_path, 600)
    await one.load(now)
    assert [cache.lower_version_until for cache in sockets(now)] == [None, NOON + 3000]
    one.look(now)
    await one.close()


async def test_what_is_over_is_forgotten(tmp_path: Path) -> None:
    await closed(tmp_path, 3600)
    now, one = manager(), kept(tmp_path, 3600)
    await one.load(now)
    assert [cache.lower_version_until for cache in sockets(now)] == [None, None]
    one.look(now)
    await one.close()
    assert json.loads((tmp_path / NAME).read_text()) == {}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"192.0.2.10:323": "tomorrow"}', '{"192.0.2.10:323": -1}', '{"192.0.2.10:323": 1e999}']
)
async def test_a_file_that_makes_no_sense_is_said_and_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    now, one = manager(), kept(tmp_path)
    await one.load(now)
    assert [cache.lower_version_until for cache in sockets(now)] == [None, None]
    assert one._file is not None
    assert NAME in (one._file.fault or "")
    now.speak_lower(sockets(now)[0], 60)
    one.look(now)
    await one.close()
    assert json.loads((tmp_path / NAME).read_text()) == {"192.0.2.10:323": NOON + 60}


async def test_no_date_in_the_file_holds_for_longer_than_a_day(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(json.dumps({"192.0.2.10:323": NOON + 10 * LOWER_VERSION_FOR}))
    now, one = manager(), kept(tmp_path)
    await one.load(now)
    assert sockets(now)[0].lower_version_until == NOON + LOWER_VERSION_FOR
    await one.close()
