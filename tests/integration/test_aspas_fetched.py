"""ASPAs of caches at the real daemon: rtrd's own cache in version 2, one that goes back to 1, one of an old draft."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rtrd.demo.caches import VRP
from rtrd.demo.lab import Lab
from rtrd.rtr import pdu
from tests.lab import rtr_wire
from tests.lab.daemons import Daemon
from tests.lab.faulty_cache import Connection, FaultyCache, raw

GOOD = VRP("192.0.2.0/24", 24, 64500)
OLD_ASPA = raw(11, struct.pack(">BBH3I", 1, 2, 2, 64496, 64497, 64498), version=2)
ASPA = raw(11, struct.pack(">2I", 64496, 64497), version=2, session=0x0100)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(tmp_path) as lab:
        yield lab
    assert lab.leftovers == []


def server(status: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = status["groups"][0]["servers"][0]
    return found


async def of_an_old_draft(router: Connection) -> None:
    query = await router.query()
    if query.version < 2:
        await router.send(router.all())
        await router.behave()
    else:
        await router.send(router.begin(version=2), prefix_of(2), OLD_ASPA, router.end(version=2))
        await router.read()


async def of_today(router: Connection) -> None:
    while True:
        query = await router.query()
        if query.version == 2:
            await router.send(router.begin(version=2), prefix_of(2), ASPA, router.end(version=2))


async def of_version_1(router: Connection) -> None:
    query = await router.query()
    if query.version > 1:
        await router.send(rtr_wire.encode(pdu.ErrorReport(1, 4, b"", "only version 1")))
    else:
        await router.send(router.all())
        await router.behave()


def prefix_of(version: int) -> bytes:
    return raw(4, struct.pack(">BBBB4BI", 1, 24, 24, 0, 192, 0, 2, 0, 64500), version=version)


def test_a_cache_of_an_old_draft_is_spoken_to_in_version_1_and_named(lab: Lab) -> None:
    cache = lab.start(FaultyCache([GOOD]))
    cache.break_with(of_an_old_draft)
    daemon = lab.start(Daemon(lab.folder, [[cache]]))
    status = daemon.wait_status(lambda now: server(now)["version"] == 1 and server(now)["vrps"] == 1, "version 1")
    assert server(status)["faults"]["old-draft"] == 1
    assert "draft-ietf-sidrops-8210bis-10" in server(status)["last_fault"]["why"]
    assert status["aspas"] == 0


def test_a_cache_that_goes_back_to_version_1_keeps_its_aspas_and_status_says_until_when(lab: Lab) -> None:
    cache = lab.start(FaultyCache([GOOD]))
    cache.break_with(of_today)
    daemon = lab.start(Daemon(lab.folder, [[cache]]))
    status = daemon.wait_status(lambda now: now["aspas"] == 1, "an ASPA")
    assert (server(status)["version"], server(status)["aspas"], server(status)["aspas_expire"]) == (2, 1, None)
    cache.break_with(of_version_1)
    status = daemon.wait_status(lambda now: server(now)["aspas_expire"] is not None, "version 1")
    assert (server(status)["version"], status["aspas"], server(status)["aspas"]) == (1, 1, 1)
    kept = [one["what"] for one in status["problems"] if "no longer speaks version 2" in one["what"]]
    assert len(kept) == 1, json.dumps(status["problems"])
    cache.break_with(of_today)
    daemon.wait_status(lambda now: server(now)["version"] == 2 and server(now)["aspas_expire"] is None, "version 2")
