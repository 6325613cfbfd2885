"""ASPAs of a file to routers of version 2, by `rtrd cache`; the others see nothing of them."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from rtrd.base.endpoint import Endpoint
from rtrd.demo.lab import Lab, Process
from rtrd.rtr import pdu
from rtrd.rtr.pdu import ErrorReport, SerialNotify
from tests.integration.test_rtr_server import FIRST, Router, vrps_of
from tests.lab.programs import RTRD
from tests.lab.rtr_wire import ASPAPDU
from tests.lab.stayrtr import write_vrp_file

ASPAS = {64496: [64497, 64498], 64499: [0]}


class Cache(Process):
    """`rtrd cache` of a file with ASPAs."""

    address = Endpoint("127.0.0.1", 0)

    def __init__(self, folder: Path, *options: str) -> None:
        self._file = folder / "vrps.json"
        self.write(ASPAS)
        argv = [RTRD, "cache", "--vrps", str(self._file), "--listen", "127.0.0.1:0", "--notify-interval", "0"]
        super().__init__("cache", [*argv, *options], folder)

    def start(self) -> None:
        super().start()
        port = int(self.wait_for(r"^listening on 127\.0\.0\.1:\d+$").text.rpartition(":")[2])
        self.address = Endpoint("127.0.0.1", port)

    def write(self, aspas: dict[int, list[int]]) -> None:
        new = self._file.with_suffix(".new")
        write_vrp_file(new, FIRST)
        listed = [{"customer": f"AS{customer}", "providers": providers} for customer, providers in aspas.items()]
        new.write_text(json.dumps(json.loads(new.read_text()) | {"aspas": listed}))
        new.replace(self._file)


@pytest.fixture
def cache(lab: Lab) -> Cache:
    return lab.start(Cache(lab.folder))


def told(response: list[Any]) -> list[tuple[bool, int, list[int]]]:
    return [(one.announce, one.customer, list(one.providers)) for one in response if isinstance(one, ASPAPDU)]


async def test_a_change_of_aspas_alone_is_told_to_version_2_only(cache: Cache) -> None:
    async with Router(cache.address) as old, Router(cache.address) as new:
        first = await new.load(pdu.ResetQuery(2))
        assert told(first) == [(True, *each) for each in ASPAS.items()]
        before = await old.load(pdu.ResetQuery(1))
        assert told(before) == []
        assert vrps_of(first) == vrps_of(before) == FIRST
        assert first[0].session != before[0].session
        cache.write({64496: [64498], 64500: [64501]})
        notify = await new.read()
        assert isinstance(notify, SerialNotify)
        change = await new.load(pdu.SerialQuery(2, first[0].session, first[-1].serial))
        assert told(change) == [(True, 64496, [64498]), (True, 64500, [64501]), (False, 64499, [])]
        same = await old.load(pdu.SerialQuery(1, before[0].session, before[-1].serial))
        assert same == [pdu.CacheResponse(1, before[0].session), before[-1]], "no notify, and the same serial number"


async def test_who_may_have_no_version_2_goes_on_with_version_1(lab: Lab) -> None:
    cache = lab.start(Cache(lab.folder, "--max-version", "1"))
    async with Router(cache.address) as router:
        [refused] = await router.load(pdu.ResetQuery(2))
        assert (refused.version, refused.code) == (1, 4)
        assert vrps_of(await router.load(pdu.ResetQuery(1))) == FIRST


@pytest.mark.parametrize(("options", "code"), [((), 13), (("--on-stop", "restart"), 12)])
async def test_routers_of_version_2_are_told_of_the_end(lab: Lab, options: tuple[str, ...], code: int) -> None:
    cache = lab.start(Cache(lab.folder, *options))
    async with Router(cache.address) as old, Router(cache.address) as new:
        await old.load(pdu.ResetQuery(1))
        await new.load(pdu.ResetQuery(2))
        cache.send_signal(signal.SIGTERM)
        report = await new.read()
        assert isinstance(report, ErrorReport)
        assert (report.version, report.code, report.pdu) == (2, code, b"")
        assert [await new.read(), await old.read()] == [None, None]
