"""ASPAs from files to routers: two `rtrd cache`, a daemon that follows both, and what it says and serves."""

from pathlib import Path
from typing import Any

from rtrd.base.endpoint import Endpoint
from rtrd.demo.lab import Lab
from rtrd.rtr import pdu
from rtrd.rtr.pdu import SerialNotify
from tests.integration.test_aspas_served import Cache, told
from tests.integration.test_rtr_server import FIRST, Router, vrps_of
from tests.lab.daemons import At, Daemon
from tests.lab.programs import asked, rtrd

ONE = {64496: [64497, 64498], 64499: [0]}
OTHER = {64496: [64498, 64505], 64499: [64506], 64507: [64508]}
BOTH = {64496: [64497, 64498, 64505], 64499: [64506], 64507: [64508]}
RELAY: dict[str, Any] = {"rtr-server": {"listen": ["127.0.0.1:0"], "notify-interval": 0}}


def started(lab: Lab, name: str, aspas: dict[int, list[int]]) -> Cache:
    folder: Path = lab.folder / name
    folder.mkdir()
    cache = lab.start(Cache(folder))
    cache.write(aspas)
    return cache


def listed(aspas: dict[int, list[int]]) -> list[dict[str, Any]]:
    return [{"customer_asid": customer, "providers": providers} for customer, providers in aspas.items()]


async def test_the_union_of_two_caches_is_served_and_said(lab: Lab) -> None:
    one, other = started(lab, "one", ONE), started(lab, "other", OTHER)
    names = [str(each.address) for each in (one, other)]
    daemon = lab.start(
        Daemon(lab.folder, [[At(each.address.host, each.address.port) for each in (one, other)]], settings=RELAY)
    )
    daemon.wait_status(
        lambda status: status["aspas"] == len(BOTH) and status["rtr_server"]["aspas"] == len(BOTH), "ASPAs"
    )
    assert asked(daemon.socket, "aspas") == {"aspas": listed(BOTH)}
    assert asked(daemon.socket, "aspas", "AS64498") == {
        "asn": 64498, "providers": None, "caches": [], "filtered": False, "asserted": None, "customers": [64496],
    }  # fmt: skip
    found = asked(daemon.socket, "aspas", "64496")
    assert found["providers"] == BOTH[64496]
    assert found["caches"] == [
        {"cache": names[0], "providers": ONE[64496]},
        {"cache": names[1], "providers": OTHER[64496]},
    ]
    differing = asked(daemon.socket, "diff")
    assert differing["vrps"] == []
    assert {each["customer_asid"]: [one["providers"] for one in each["lists"]] for each in differing["aspas"]} == {
        64496: [ONE[64496], OTHER[64496]],
        64499: [ONE[64499], OTHER[64499]],
        64507: [None, OTHER[64507]],
    }
    lines = rtrd("diff", "--socket", daemon.socket).stdout.splitlines()
    assert lines[-1] == "3 ASPAs differ"
    assert f"AS64507: {names[0]} has no ASPA; {names[1]} has AS64508" in lines

    address = Endpoint("127.0.0.1", daemon.relay_port())
    async with Router(address) as old, Router(address) as new:
        first, before = await new.load(pdu.ResetQuery(2)), await old.load(pdu.ResetQuery(1))
        assert told(first) == [(True, *each) for each in BOTH.items()]
        assert (told(before), vrps_of(before), vrps_of(first)) == ([], FIRST, FIRST)
        other.write({64499: [64506], 64507: [64509]})
        assert isinstance(await new.read(), SerialNotify)
        daemon.wait_status(lambda status: status["rtr_server"]["aspas"] == 3, "the change")
        change = await new.load(pdu.SerialQuery(2, first[0].session, first[-1].serial))
        assert told(change) == [(True, 64496, [64497, 64498]), (True, 64507, [64509])]
        same = await old.load(pdu.SerialQuery(1, before[0].session, before[-1].serial))
        assert same[-1] == before[-1], "no notify, and the same serial number"
    texts = [event["text"] for event in asked(daemon.socket, "dump")["events"] if event["kind"] == "aspas"]
    assert any(text.startswith("AS64496 now names 64497, 64498; AS64507 now names 64509 ") for text in texts)
