"""What hostile, broken and unlucky routers do to a BMP station: nothing to others, and nothing that stays."""

from __future__ import annotations

import resource
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from rtrd.bmp.station import MOST_OF_ADDRESS
from rtrd.demo.lab import Lab
from tests.integration.test_bmp import ITS_ROUTE, OPENS, PREFIX, A, Site
from tests.lab import bmp
from tests.lab.bmp import MonitoredRouter, open_message, peer, route, up, update
from tests.lab.mrt import bgp_message
from tests.lab.wait import SECONDS, wait_until

GOOD = ("good", "192.0.2.1", "pre", "valid")
MANY = 500


@pytest.fixture
def site(lab: Lab) -> Iterator[Site]:
    """A station with a good router, which must be heard all the time."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4 * MANY, hard), hard))
    try:
        site = Site(lab, **{"stale-time": 3600})
        good = MonitoredRouter(site.port, "good")
        good.send(up(A, *OPENS), ITS_ROUTE)
        site.wait_rows(GOOD)
        yield site
        good.send(route(A, update(withdrawn=[PREFIX])))
        wait_until(lambda: "good" not in {row[0] for row in site.rows()}, "the good router to be heard")
        assert "Traceback" not in site.daemon.process.log.read_text()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_host_with_500_silent_connections_keeps_no_other_host_out(site: Site) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(("127.0.0.1", site.port))) for _ in range(MANY)]
        wait_until(lambda: site.status()["refused"] == MANY + 1 - MOST_OF_ADDRESS, "the refusals")
        assert GOOD in site.rows()
        other = stack.enter_context(
            socket.create_connection(("127.0.0.1", site.port), SECONDS, source_address=("127.0.0.9", 0))
        )
        other.sendall(bmp.initiation("other") + up(A, *OPENS) + ITS_ROUTE)
        site.wait_rows(GOOD, ("other", *GOOD[1:]))
        for one in silent[-10:]:  # those that were refused
            one.settimeout(SECONDS)
            assert one.recv(1) == b""


def test_500_routers_of_three_hosts_at_once(site: Site) -> None:
    with ExitStack() as stack:
        for number in range(MANY):
            one = stack.enter_context(
                socket.create_connection(
                    ("127.0.0.1", site.port), SECONDS, source_address=(f"127.0.0.{9 + number % 3}", 0)
                )
            )
            one.sendall(bmp.initiation(f"r{number}") + up(A, *OPENS) + ITS_ROUTE)
        wanted = {GOOD, *((f"r{number}", *GOOD[1:]) for number in range(MANY))}
        wait_until(lambda: set(site.rows()) == wanted, "the routes of all")
        assert site.status()["routers"] == MANY + 1


def test_a_message_may_come_octet_by_octet(site: Site) -> None:
    slow = MonitoredRouter(site.port, None)
    slow.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for octet in bmp.initiation("slow") + up(A, *OPENS) + ITS_ROUTE:
        slow.send(bytes([octet]))
    site.wait_rows(GOOD, ("slow", *GOOD[1:]))


def test_a_connection_half_closed_is_over(site: Site) -> None:
    half = MonitoredRouter(site.port, "half")
    half.send(up(A, *OPENS), ITS_ROUTE, bmp.message(bmp.ROUTE_MONITORING, A, length=5000))
    half.socket.shutdown(socket.SHUT_WR)
    wait_until(lambda: site.status()["routers_lost"] == 1, "the router to be lost")
    half.socket.settimeout(SECONDS)
    assert half.socket.recv(1) == b""


def test_a_storm_of_reconnects_leaves_one_router(site: Site) -> None:
    for _ in range(200):
        with MonitoredRouter(site.port, "storm").socket as one:
            one.sendall(up(A, *OPENS) + ITS_ROUTE)
    last = MonitoredRouter(site.port, "storm")
    last.send(up(A, *OPENS), ITS_ROUTE)
    wait_until(lambda: site.status()["routers"] == 2, "two that are connected")
    # Of connections that overlapped there may be a few by other names: they are lost, and bounded.
    names = {row[0] for row in site.rows()}
    assert {"good", "storm"} <= names
    assert len(names) == 2 + site.status()["routers_lost"]


def test_two_routers_of_one_name_that_are_lost_come_back_as_themselves(site: Site) -> None:
    for _ in range(2):
        twins = [MonitoredRouter(site.port, "twin") for _ in range(2)]
        for twin in twins:
            twin.send(up(A, *OPENS), ITS_ROUTE)
        site.wait_rows(GOOD, ("twin", *GOOD[1:]), ("twin 2", *GOOD[1:]))
        for twin in twins:
            twin.close()
        wait_until(lambda: site.status()["routers_lost"] == 2, "both to be lost")


def test_routes_of_other_families_are_counted_and_left_alone(site: Site) -> None:
    vpn = bytes([0x80, 14, 5]) + struct.pack(">HB", 25, 70) + b"\0\0"  # EVPN: MP_REACH_NLRI without a route
    wrong = bytes([0x80, 14, 9]) + struct.pack(">HB", 4711, 1) + b"\4abcd\0"
    bad = MonitoredRouter(site.port, "bad")
    bad.send(up(A, *OPENS))
    for attributes in (vpn, wrong):
        bad.send(route(A, bgp_message(2, b"\0\0" + struct.pack(">H", len(attributes)) + attributes)))
    bad.send(ITS_ROUTE)
    site.wait_rows(GOOD, ("bad", *GOOD[1:]))


@pytest.mark.parametrize("agreed", [True, False])
def test_path_ids_against_what_the_opens_say_do_not_spread(site: Site, agreed: bool) -> None:
    capability = [(1, 1, 3)] if agreed else []
    bad = MonitoredRouter(site.port, "bad")
    bad.send(up(A, open_message(64500, add_path=capability), open_message(64501, add_path=capability)))
    for number in range(200):
        path_id = None if agreed else number
        bad.send(route(A, update([f"100.64.{number}.0/24"], [(2, [64501])], path_id=path_id)))
    bad.send(bmp.down(A))
    site.wait_rows(GOOD)


def test_4096_peers_of_one_router_go_at_once(site: Site) -> None:
    crowd = MonitoredRouter(site.port, "crowd")
    headers = [peer(f"10.0.{number >> 8}.{number & 255}", 64501) for number in range(4196)]
    for header in headers:
        crowd.send(up(header, *OPENS), route(header, update([PREFIX], [(2, [64511])])))

    def crowded() -> bool:
        routers = (site.daemon.status() or {})["routers"]
        return [len(router["neighbors"]) for router in routers if router["name"] == "crowd"] == [4096]

    wait_until(crowded, "as many peers as one may have", 4 * SECONDS)
    problems = (site.daemon.status() or {})["problems"]
    assert any("router crowd tells of more peers by BMP than one may have" in one["what"] for one in problems)
    crowd.send(bmp.message(bmp.TERMINATION))
    site.wait_rows(GOOD)
