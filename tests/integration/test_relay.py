"""The relay: a real cache, `rtrd run` behind it, real routers behind that."""

import socket
import subprocess
from typing import Any

import pytest

from rtrd.demo.caches import VRP, RtrdCache
from rtrd.demo.lab import Lab, Process
from rtrd.rtr import pdu
from rtrlib.rtr_pdus import ErrorCode
from tests.lab import rtr_wire
from tests.lab.daemons import Daemon
from tests.lab.programs import RTRD
from tests.lab.rtr_routers import Bird, exported
from tests.lab.rtr_wire import read_answer
from tests.lab.slurm_text import slurm_text
from tests.lab.stayrtr import Key, StayRTR, write_vrp_file
from tests.lab.wait import SECONDS, wait_until

FIRST = [
    VRP("192.0.2.0/24", 24, 64500),
    VRP("198.51.100.0/22", 24, 64501),
    VRP("203.0.113.0/24", 24, 0),
    VRP("2001:db8::/32", 48, 4200000000),
]
SECOND = [*FIRST[:3], VRP("2001:db8:1::/48", 48, 64503)]
RELAY: dict[str, Any] = {"rtr-server": {"listen": ["127.0.0.1:0"]}}


def answer(port: int) -> list[Any]:
    """What a router of version 1 is told when it asks for everything."""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as router, router.makefile("rb") as stream:
        router.sendall(rtr_wire.encode(pdu.ResetQuery(1)))
        return read_answer(stream)


@pytest.mark.parametrize("kind", [StayRTR, RtrdCache])
def test_routers_see_exactly_the_set_and_then_what_changes(lab: Lab, kind: type[StayRTR | RtrdCache]) -> None:
    cache = lab.start(kind(lab.folder, FIRST))
    daemon = lab.start(Daemon(lab.folder, [cache], settings=RELAY))
    daemon.wait_vrps(4)
    port = daemon.relay_port()
    before = daemon.wait_serves()
    bird = Bird(lab.folder, port)
    lab.start(bird.process)
    bird.wait_table(set(FIRST))
    assert exported(port) == set(FIRST)
    seen = len(bird.process.lines)
    cache.serve(SECOND)
    bird.wait_table(set(SECOND))
    assert not bird.reloads(seen), "a delta, not the whole set"
    assert exported(port) == set(SECOND)
    after = daemon.wait_status(lambda status: status["rtr_server"]["clients"] == 1, "rtrclient to be gone")
    assert after["rtr_server"]["serial"] == (before["rtr_server"]["serial"] + 1) % (1 << 32), "one change, one serial"
    assert after["rtr_server"]["vrps"] == 4


def test_before_any_cache_answered_there_is_no_data_and_start_hold_does_not_change_that(lab: Lab) -> None:
    cache = lab.start(StayRTR(lab.folder, FIRST))
    cache.stop()
    daemon = lab.start(Daemon(lab.folder, [cache], settings={**RELAY, "start-hold": 0}))
    daemon.process.wait_for("routes count as not-found")
    (found,) = answer(daemon.relay_port())
    assert isinstance(found, pdu.ErrorReport)
    assert found.code == ErrorCode.NO_DATA_AVAILABLE
    cache.start()
    daemon.wait_serves()
    assert exported(daemon.relay_port()) == set(FIRST)


def test_a_failover_to_the_same_vrps_gives_no_new_serial(lab: Lab) -> None:
    first = lab.start(StayRTR(lab.folder, FIRST, "first"))
    daemon = lab.start(Daemon(lab.folder, [first, lab.start(StayRTR(lab.folder, FIRST, "second"))], settings=RELAY))
    before = daemon.wait_serves()
    first.kill()
    after = daemon.wait_status(lambda status: status["active_group"] == "group2", "the failover")
    assert exported(daemon.relay_port()) == set(FIRST)
    assert after["rtr_server"]["serial"] == before["rtr_server"]["serial"]


KEY = (64500, bytes(range(20)), bytes(91))
OTHER = (64501, bytes(range(1, 21)), bytes(91))


def keys(port: int) -> set[Key]:
    """The router keys that a router of version 1 is told."""
    return {(one.asn, one.ski, one.spki) for one in answer(port) if isinstance(one, pdu.RouterKeyPDU)}


def test_router_keys_come_through_two_relays_less_those_that_slurm_filters(lab: Lab) -> None:
    cache = RtrdCache(lab.folder, FIRST)
    write_vrp_file(cache.file, FIRST, [KEY, OTHER])
    lab.start(cache)
    upper = lab.start(Daemon(lab.folder, [cache], "upper", settings=RELAY))
    slurm = lab.folder / "slurm.json"
    slurm.write_text(slurm_text(keys=[{"asn": OTHER[0]}]))
    lower = lab.start(Daemon(lab.folder, [upper.relay()], "lower", settings={**RELAY, "slurm": [str(slurm)]}))
    upper.wait_status(lambda status: status["rtr_server"]["router_keys"] == 2, "both keys")
    assert keys(upper.relay_port()) == {KEY, OTHER}
    before = lower.wait_status(lambda status: status["rtr_server"]["router_keys"] == 1, "the key that is not filtered")
    assert keys(lower.relay_port()) == {KEY}
    # A cache that filtered the other one changed nothing here, and a key that goes is one change.
    write_vrp_file(cache.file, FIRST)
    after = lower.wait_status(lambda status: status["rtr_server"]["router_keys"] == 0, "no key")
    assert keys(lower.relay_port()) == set()
    assert exported(lower.relay_port()) == set(FIRST)
    assert after["rtr_server"]["serial"] == (before["rtr_server"]["serial"] + 1) % (1 << 32)


def test_a_chain_of_relays_ends_equal(lab: Lab) -> None:
    cache = lab.start(StayRTR(lab.folder, FIRST))
    upper = lab.start(Daemon(lab.folder, [cache], "upper", settings=RELAY))
    lower = lab.start(Daemon(lab.folder, [upper.relay()], "lower", settings=RELAY))
    lower.wait_vrps(4)
    cache.serve(SECOND[:2])
    lower.wait_vrps(2)
    assert exported(lower.relay_port()) == set(SECOND[:2])


@pytest.mark.parametrize("part", ["rtr-server", "bmp"])
def test_a_taken_address_is_said_and_ends_a_service(lab: Lab, part: str) -> None:
    cache = lab.start(StayRTR(lab.folder, FIRST))
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        daemon = Daemon(lab.folder, [cache], settings={part: {"listen": [f"127.0.0.1:{port}"]}})
        process = Process("refused", [RTRD, "run", "-c", str(daemon.config)], lab.folder)
        lab.start(process)
        process.wait_for(f"{part}: cannot listen on 127.0.0.1:{port}: Address already in use")
        assert process.wait(SECONDS) == 1


def test_a_taken_address_does_not_keep_the_router_from_being_served(lab: Lab) -> None:
    cache = lab.start(StayRTR(lab.folder, FIRST))
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        daemon = Daemon(lab.folder, [cache], settings={"rtr-server": {"listen": [f"127.0.0.1:{port}"]}})
        argv = [RTRD, "run", "-c", str(daemon.config), "--exabgp"]
        pipe = subprocess.PIPE
        with subprocess.Popen(argv, stdin=pipe, stdout=subprocess.DEVNULL, stderr=pipe) as process:
            try:
                assert process.stderr is not None
                wanted = f"cannot listen on 127.0.0.1:{port}: Address already in use".encode()
                assert any(b"continues" in line and wanted in line for line in process.stderr)
                wait_until(lambda: (daemon.status() or {}).get("ready"), "it to be ready")
                nothing = dict.fromkeys(("serial", "vrps", "router_keys", "aspas"))
                nobody = {"clients": 0, "versions": dict.fromkeys("012", 0)}
                assert daemon.now()["rtr_server"] == {"listen": [], "listen_tls": [], **nobody, **nothing}
            finally:
                process.terminate()
