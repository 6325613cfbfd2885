"""ASPAs of caches at the real daemon: rtrd's own cache in version 2, one that goes back to 1, one of an old draft."""

import json
import struct
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rtrd.commands import http_client
from rtrd.demo.caches import VRP
from rtrd.demo.lab import Lab
from rtrd.rtr import pdu
from tests.lab import rtr_wire
from tests.lab.daemons import Daemon
from tests.lab.faulty_cache import Connection, FaultyCache, raw
from tests.lab.programs import asked, rtrd, run
from tests.lab.stayrtr import StayRTR

GOOD, OTHER = VRP("192.0.2.0/24", 24, 64500), VRP("198.51.100.0/24", 24, 64501)
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


async def of_an_old_draft(router: Connection, asked_in: list[int]) -> None:
    query = await router.query()
    asked_in.append(query.version)
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


async def answers(router: Connection, *more: bytes) -> None:
    query = await router.query()
    if query.version == 2:
        await router.send(router.begin(version=2), prefix_of(2), ASPA, *more, router.end(version=2))
        await router.read()


def ends_with(octets: bytes) -> Callable[[Connection], Awaitable[None]]:
    async def script(router: Connection) -> None:
        await router.query()
        await router.send(octets)

    return script


async def refuses_and_goes_on(router: Connection) -> None:
    if (await router.query()).version == 2:
        await router.send(rtr_wire.encode(pdu.ErrorReport(1, 4, b"", "only version 1")))
    await router.behave()


async def of_version_1(router: Connection) -> None:
    query = await router.query()
    if query.version > 1:
        await router.send(rtr_wire.encode(pdu.ErrorReport(1, 4, b"", "only version 1")))
    else:
        await router.send(router.all())
        await router.behave()


def prefix_of(version: int) -> bytes:
    return raw(4, struct.pack(">BBBB4BI", 1, 24, 24, 0, 192, 0, 2, 0, 64500), version=version)


def test_a_cache_of_an_old_draft_is_spoken_to_in_version_1_and_named_also_after_a_restart(lab: Lab) -> None:
    asked_in: list[int] = []
    cache = lab.start(FaultyCache([GOOD]))
    cache.break_with(lambda router: of_an_old_draft(router, asked_in))
    (lab.folder / "state").mkdir()
    daemon = lab.start(Daemon(lab.folder, [[cache]], settings={"state": str(lab.folder / "state")}))
    status = daemon.wait_status(lambda now: server(now)["version"] == 1 and server(now)["vrps"] == 1, "version 1")
    assert server(status)["faults"]["old-draft"] == 1
    assert "draft-ietf-sidrops-8210bis-10" in server(status)["last_fault"]["why"]
    assert status["aspas"] == 0
    assert asked_in == [2, 1]
    until = server(status)["lower_version_until"]
    warned = [one["what"] for one in status["problems"] if "as an old draft has it" in one["what"]]
    assert len(warned) == 1
    assert f"version 1 is spoken with it until {until}" in warned[0]
    assert until in rtrd("status", "--socket", daemon.socket).stdout
    daemon.stop()
    daemon.start()
    status = daemon.wait_status(lambda now: server(now)["version"] == 1, "version 1 again")
    assert server(status)["lower_version_until"] is not None
    assert asked_in == [2, 1, 1]
    asked(daemon.socket, "reconnect")
    daemon.wait_status(
        lambda now: server(now)["faults"].get("old-draft") == 1, "another trial, as an operator wants it"
    )


def is_of_debian_12() -> bool:
    return run("dpkg-query", "-W", "-f", "${Version}", "stayrtr").stdout.startswith("0.5.")


of_debian_12 = pytest.mark.skipif(
    not is_of_debian_12(), reason="StayRTR 0.6 refuses version 2: test_stayrtr_of_debian_13"
)


@of_debian_12
def test_a_real_stayrtr_of_the_old_draft_is_told_apart(lab: Lab) -> None:
    """Debian 12's, with a file of Debian 12's rpki-client: it accepts version 2."""
    cache = StayRTR(lab.folder, [GOOD])
    file = json.loads(cache.file.read_text())
    lists = [{"customer_asid": 64496, "expires": 1900000000, "providers": [64497, 64498]}]
    cache.file.write_text(json.dumps(file | {"provider_authorizations": {"ipv4": lists, "ipv6": lists}}))
    lab.start(cache)
    daemon = lab.start(Daemon(lab.folder, [[cache]]))
    status = daemon.wait_status(lambda now: server(now)["version"] == 1 and server(now)["vrps"] == 1, "version 1")
    assert server(status)["faults"] == {"old-draft": 1}
    assert status["aspas"] == 0
    cache.serve([GOOD, OTHER])
    daemon.wait_vrps(2)


@of_debian_12
def test_a_real_stayrtr_without_aspas_is_spoken_to_in_version_2(lab: Lab) -> None:
    cache = lab.start(StayRTR(lab.folder, [GOOD]))
    daemon = lab.start(Daemon(lab.folder, [[cache]]))
    status = daemon.wait_vrps(1)
    assert (server(status)["version"], server(status)["faults"]) == (2, {})


SHUTDOWN = rtr_wire.encode(pdu.ErrorReport(2, 13, b"", "for good"))


@pytest.mark.parametrize("on_expire", ["not-found", "keep"])
def test_after_a_shutdown_of_the_last_cache_its_data_go_and_that_is_said(lab: Lab, on_expire: str) -> None:
    cache = lab.start(FaultyCache([GOOD]))
    cache.break_with(of_today)
    daemon = lab.start(Daemon(lab.folder, [[cache]], timers={"on-expire": on_expire, "retry": 600}))
    daemon.wait_status(lambda now: now["aspas"] == 1 and sum(now["vrps"].values()) == 1, "data")
    cache.break_with(ends_with(SHUTDOWN))
    status = daemon.wait_status(lambda now: now["aspas"] == sum(now["vrps"].values()) == 0, "nothing")
    said = [one["what"] for one in status["problems"] if one["severity"] == "critical"]
    wants = f"cache {cache.address}:{cache.port}, the last one in use, wants all dropped that it said"
    assert f"{wants}: routes are not-found" in said
    assert "past the expire interval" not in json.dumps(status)
    assert daemon.validity(GOOD.prefix, GOOD.asn) == "not-found"
    cache.break_with(of_today)
    asked(daemon.socket, "reconnect")
    daemon.wait_status(lambda now: not now["problems"] and now["aspas"] == 1, "all is well again")


def test_what_is_left_out_is_counted_for_its_cache_and_its_reason(lab: Lab) -> None:
    mixed = raw(11, struct.pack(">3I", 64500, 0, 64501), version=2, session=0x0100)
    itself = raw(11, struct.pack(">3I", 64500, 64500, 64501), version=2, session=0x0100)
    cache = lab.start(FaultyCache([GOOD]))
    cache.break_with(lambda router: answers(router, itself))
    filters = {
        "slurmVersion": 2,
        "validationOutputFilters": {
            "prefixFilters": [], "bgpsecFilters": [], "aspaFilters": [{"customerAsn": 64496}],
        },
        "locallyAddedAssertions": {"prefixAssertions": [], "bgpsecAssertions": [], "aspaAssertions": []},
    }  # fmt: skip
    slurm = lab.folder / "slurm.json"
    slurm.write_text(json.dumps(filters))
    daemon = lab.start(Daemon(lab.folder, [[cache]], settings={"slurm": [str(slurm)]}))
    daemon.wait_status(lambda now: now["aspas"] == 1, "what is not filtered")
    cache.break_with(lambda router: answers(router, mixed))
    status = daemon.wait_status(lambda now: server(now)["fault"] == "protocol", "a list with AS 0 among others")
    assert server(status)["aspas_left_out"]["own-customer"] == 1
    with http_client.ask(daemon.socket, "/metrics") as answer:
        scraped = b"".join(answer.chunks()).decode()
    assert 'rtrd_aspas_left_out{reason="filtered"} 1.0' in scraped
    name = f'rtrd_cache_aspas_left_out_total{{cache="{cache.address}:{cache.port}",group="group1"'
    assert f'{name},reason="own-customer"}} 1.0' in scraped
    assert f'{name},reason="as-0-beside-others"}} 0.0' not in scraped
    assert f'{name},reason="repeated"}} 0.0' in scraped


def test_a_cache_that_keeps_the_connection_is_asked_again_on_it(lab: Lab) -> None:
    cache = lab.start(FaultyCache([GOOD]))
    cache.break_with(refuses_and_goes_on)
    daemon = lab.start(Daemon(lab.folder, [[cache]]))
    status = daemon.wait_status(lambda now: server(now)["version"] == 1 and server(now)["vrps"] == 1, "version 1")
    assert (cache.connections, server(status)["faults"], server(status)["restarts"]) == (1, {}, 0)


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
