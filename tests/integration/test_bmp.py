"""Routers that speak BMP, at a real daemon with a real cache: what is shown of them, and that none harms another."""

from __future__ import annotations

import json
import socket
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

from rtrd.commands import http_client
from rtrd.demo.caches import VRP
from rtrd.demo.lab import Lab
from tests.lab import bmp
from tests.lab.bmp import MonitoredRouter, open_message, peer, route, up, update
from tests.lab.certificates import CA
from tests.lab.daemons import Daemon
from tests.lab.mrt import bgp_message
from tests.lab.programs import rtrd
from tests.lab.stayrtr import StayRTR
from tests.lab.wait import wait_until

A = peer("192.0.2.1", 64501)
OPENS = open_message(64500), open_message(64501)
PREFIX = "198.51.100.0/24"
ITS_ROUTE = route(A, update([PREFIX], [(2, [64501, 64511])]))


class Site:
    """A cache, and a daemon with a station."""

    def __init__(self, lab: Lab, *, neighbors: Any = (), **settings: Any) -> None:
        self.cache = lab.start(StayRTR(lab.folder, [VRP(PREFIX, 24, 64511)]))
        station = {"listen": ["127.0.0.1:0"], **settings}
        all_settings = {"bmp": station, "neighbors": list(neighbors)}
        self.daemon = lab.start(Daemon(lab.folder, [self.cache], settings=all_settings))
        self.daemon.wait_vrps(1)
        self.port = int(self.status()["listening"][0].rpartition(":")[2])

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = (self.daemon.status() or {})["bmp"]
        return found

    def rows(self) -> list[tuple[str, str, str, str]]:
        done = rtrd("routes", "--json", "--socket", self.daemon.socket)
        return [
            (row["router"], row["neighbor"], row["rib"], row["validity"]) for row in json.loads(done.stdout)["routes"]
        ]

    def wait_rows(self, *rows: tuple[str, str, str, str]) -> None:
        wait_until(lambda: sorted(self.rows()) == sorted(rows), f"{rows}, not {self.rows()}")


def test_what_a_router_tells_is_judged_by_the_vrps_of_now(lab: Lab) -> None:
    site = Site(lab)
    one = MonitoredRouter(site.port)
    one.send(up(A, *OPENS), ITS_ROUTE)
    site.wait_rows(("router-a", "192.0.2.1", "pre", "valid"))
    with http_client.ask(site.daemon.socket, "/metrics") as answer:
        scraped = b"".join(answer.chunks()).decode()
    assert 'rtrd_routes{neighbor="192.0.2.1",router="router-a",validity="valid"} 1.0' in scraped
    assert 'rtrd_neighbor_up{neighbor="192.0.2.1",router="router-a"} 1.0' in scraped
    text = rtrd("status", "--socket", site.daemon.socket).stdout
    assert "router router-a (BMP)" in text
    assert "only observed" in text
    site.cache.serve([VRP(PREFIX, 24, 64999)])
    site.wait_rows(("router-a", "192.0.2.1", "pre", "invalid"))
    what = rtrd("whatif", "--json", "--socket", site.daemon.socket, f"+{PREFIX}@64511").stdout
    assert json.loads(what)["changed"][0]["router"] == "router-a"
    one.send(bmp.message(bmp.TERMINATION))
    site.wait_rows()


def test_a_question_of_aspas_is_asked_of_its_routes_too(lab: Lab) -> None:
    site = Site(lab, neighbors=[{"match": ["192.0.2.1"], "local-role": "provider"}])
    daemon = site.daemon
    one = MonitoredRouter(site.port)
    one.send(up(A, *OPENS), ITS_ROUTE)

    def would_change() -> list[tuple[str, str, str]]:
        found = json.loads(rtrd("whatif", "--json", "--socket", daemon.socket, "--aspa", "64511:64502").stdout)
        return [(row["router"], row["now"], row["then"]) for row in found["changed"]]

    wait_until(lambda: would_change() == [("router-a", "unknown", "invalid")], "a path that would be invalid")
    text = rtrd("aspa-suggest", "--socket", daemon.socket, "--wide", "AS64511").stdout
    assert "AS64511 should name: AS64501\n" in text
    assert f"1 route would be invalid without it, such as {PREFIX} by 64501 64511" in text
    text = rtrd("aspa-suggest", "--socket", daemon.socket, "64501").stdout
    assert text.startswith(
        "AS64501 should name: AS64500\n  AS64500: it is ours, and AS64501 is our customer (192.0.2.1)\n"
    )
    assert "nothing can be suggested" in rtrd("aspa-suggest", "--socket", daemon.socket, "64502").stdout
    assert json.loads(rtrd("aspa-suggest", "--json", "--socket", daemon.socket, "64502").stdout)["aspa"] is None


def test_an_as_of_ours_should_name_its_providers_whatever_comes_from_them(lab: Lab) -> None:
    site = Site(lab, neighbors=[{"match": ["192.0.2.1"], "local-role": "customer"}])
    one = MonitoredRouter(site.port)
    one.send(up(A, *OPENS), ITS_ROUTE)
    site.wait_rows(("router-a", "192.0.2.1", "pre", "valid"))
    found = json.loads(rtrd("aspa-suggest", "--json", "--socket", site.daemon.socket, "64500").stdout)
    assert found["providers"] == [
        {"asn": 64501, "routes": 0, "example": None, "alternatives": [], "neighbors": ["192.0.2.1"], "customers": []}
    ]
    assert found["aspa"] == {"customer": "AS64500", "providers": ["AS64501"]}


def test_a_router_is_known_before_it_has_any_neighbor(lab: Lab) -> None:
    """As GoBGP without neighbors: it says who it is, and then nothing for hours."""
    site = Site(lab)
    one = MonitoredRouter(site.port)
    wait_until(lambda: site.status()["routers"] == 1, "a router without neighbors")
    text = rtrd("status", "--socket", site.daemon.socket).stdout
    assert "router router-a (BMP)\n  0 neighbors" in text
    unnamed = MonitoredRouter(site.port, None)
    unnamed.send(bmp.message(bmp.INITIATION), bmp.down(A), up(A, *OPENS), ITS_ROUTE)
    site.wait_rows(("127.0.0.1", "192.0.2.1", "pre", "valid"))
    assert site.status()["malformed"] == {"a message before any Peer Up": 1}
    one.send(up(A, *OPENS), ITS_ROUTE)
    site.wait_rows(("127.0.0.1", "192.0.2.1", "pre", "valid"), ("router-a", "192.0.2.1", "pre", "valid"))
    unnamed.close()
    one.send(bmp.message(bmp.TERMINATION))
    wait_until(lambda: site.status()["routers"] == 0, "none")


def test_two_routers_of_one_name_are_two_and_each_goes_alone(lab: Lab) -> None:
    site = Site(lab)
    first, second = ((name, "192.0.2.1", "pre", "valid") for name in ("router-a", "router-a 2"))
    one = MonitoredRouter(site.port)
    one.send(up(A, *OPENS), ITS_ROUTE)
    site.wait_rows(first)
    other = MonitoredRouter(site.port)
    other.send(up(A, *OPENS), ITS_ROUTE)
    site.wait_rows(first, second)
    one.close()
    site.wait_rows(second)


def test_what_is_no_bmp_ends_its_own_connection_alone(lab: Lab) -> None:
    site = Site(lab)
    good = MonitoredRouter(site.port)
    good.send(up(A, *OPENS), ITS_ROUTE)
    site.wait_rows(("router-a", "192.0.2.1", "pre", "valid"))
    for octets in (b"GET / HTTP/1.1\r\n\r\n", up(A, *OPENS) + bmp.message(0, length=3)):
        bad = MonitoredRouter(site.port, None)
        bad.send(octets)
        bad.socket.settimeout(20)
        assert bad.socket.recv(1) == b""  # it is closed
    site.wait_rows(("router-a", "192.0.2.1", "pre", "valid"))
    assert site.status()["dropped"] == 2


def test_malformed_messages_are_counted_and_the_router_stays(lab: Lab) -> None:
    site = Site(lab)
    one = MonitoredRouter(site.port)
    one.send(bmp.down(A), up(A, *OPENS), bmp.message(99), route(A, bgp_message(4, b"")), ITS_ROUTE)
    site.wait_rows(("router-a", "192.0.2.1", "pre", "valid"))
    assert site.status()["malformed"] == {
        "a message of a peer without its Peer Up": 1,
        "an unknown type of message": 1,
        "a Route Monitoring without one UPDATE": 1,
    }


def secured(ca: CA) -> dict[str, Any]:
    """Give a station's TLS."""
    server = ca.sign("server")
    files = {"certificate": server.certificate, "key": server.key, "client-ca": ca.certificate}
    return {"tls": {"listen": ["127.0.0.1:0"], **{name: str(path) for name, path in files.items()}}}


def test_a_router_by_tls_is_heard_if_its_certificate_is_for_it(lab: Lab, tmp_path: Path) -> None:
    ca = CA(tmp_path)
    site = Site(lab, **secured(ca))
    port = int(site.status()["listening_tls"][0].rpartition(":")[2])
    one = MonitoredRouter(port, tls=ca.router(ca.sign("router")))
    one.send(up(A, *OPENS), ITS_ROUTE * 3000)
    site.wait_rows(("router-a", "192.0.2.1", "pre", "valid"))
    for shown in (None, ca.sign("elsewhere", "IP:192.0.2.77")):
        with suppress(OSError):
            other = MonitoredRouter(port, "other", ca.router(shown))
            other.send(up(A, *OPENS), ITS_ROUTE)
            other.socket.recv(1)
    with socket.create_connection(("127.0.0.1", port), 20) as plain:
        plain.sendall(bmp.initiation("plain"))
        assert plain.recv(100)[:1] != b"\x03"  # an alert of TLS, or nothing
    wait_until(lambda: site.status()["dropped"] == 3, f"three that are dropped, not {site.status()}")
    site.wait_rows(("router-a", "192.0.2.1", "pre", "valid"))


def test_a_renewed_certificate_counts_after_a_reload(lab: Lab, tmp_path: Path) -> None:
    ca = CA(tmp_path)
    site = Site(lab, **secured(ca))
    port = int(site.status()["listening_tls"][0].rpartition(":")[2])
    shown = ca.router(ca.sign("router"))

    def serial() -> str:
        with MonitoredRouter(port, tls=shown).socket as one:
            assert isinstance(one, ssl.SSLSocket)
            return str((one.getpeercert() or {})["serialNumber"])

    first = serial()
    ca.sign("server")
    assert rtrd("reload", "--socket", site.daemon.socket).returncode == 0
    assert serial() != first
    (tmp_path / "server.key").write_text("no key")
    refused = rtrd("reload", "--socket", site.daemon.socket)
    assert refused.returncode != 0
    assert "bmp: tls: certificate" in refused.stdout + refused.stderr


def test_routes_of_a_lost_router_stay_for_a_while_and_are_judged(lab: Lab) -> None:
    site = Site(lab, **{"stale-time": 3600})
    first, other = MonitoredRouter(site.port), MonitoredRouter(site.port, "router-b")
    for one in (first, other):
        one.send(up(A, *OPENS), ITS_ROUTE)
    both = [(name, "192.0.2.1", "pre", "valid") for name in ("router-a", "router-b")]
    site.wait_rows(*both)
    first.close()
    wait_until(lambda: site.status()["routers_lost"] == 1, "a router that is lost")
    text = rtrd("status", "--socket", site.daemon.socket).stdout
    assert "router router-a has lost its BMP connection: its routes are those of then" in text
    site.cache.serve([VRP(PREFIX, 24, 64999)])
    site.wait_rows(*((name, "192.0.2.1", "pre", "invalid") for name in ("router-a", "router-b")))
    again = MonitoredRouter(site.port)
    again.send(up(A, *OPENS), route(A, update([PREFIX], [(2, [64999])])))
    site.wait_rows(("router-a", "192.0.2.1", "pre", "valid"), ("router-b", "192.0.2.1", "pre", "invalid"))
    other.send(bmp.message(bmp.TERMINATION, bmp.tlv(1, b"\0\2")))  # it says that it ends: nothing stays
    site.wait_rows(("router-a", "192.0.2.1", "pre", "valid"))
    assert (site.status()["routers_lost"], site.status()["terminated"]) == (0, {"out of resources": 1})


def test_routes_of_a_lost_router_go_when_the_time_is_over(lab: Lab) -> None:
    site = Site(lab, **{"stale-time": 1})
    one = MonitoredRouter(site.port)
    one.send(up(A, *OPENS), ITS_ROUTE)
    site.wait_rows(("router-a", "192.0.2.1", "pre", "valid"))
    one.close()
    site.wait_rows()
    assert site.status()["routers_lost"] == 0


def test_what_a_router_counts_is_in_the_status_and_in_the_metrics(lab: Lab) -> None:
    site = Site(lab)
    one = MonitoredRouter(site.port)
    one.send(up(A, *OPENS), ITS_ROUTE, bmp.statistics(A, (0, b"\0\0\0\7"), (99, b"\0\0\0\1")))

    def told() -> Any:
        routers = (site.daemon.status() or {})["routers"]
        return routers and routers[0]["neighbors"][0].get("statistics")

    wait_until(lambda: told() == {"rejected by policy": 7}, "what the router counts")
    with http_client.ask(site.daemon.socket, "/metrics") as answer:
        scraped = b"".join(answer.chunks()).decode()
    labels = 'neighbor="192.0.2.1",router="router-a",statistic="rejected by policy"'
    assert f"rtrd_bmp_statistics{{{labels}}} 7.0" in scraped


def test_only_those_who_may_connect_do(lab: Lab) -> None:
    site = Site(lab, allow=["192.0.2.0/24"])
    with socket.create_connection(("127.0.0.1", site.port), 20) as one, suppress(ConnectionResetError):
        assert one.recv(1) == b""
    wait_until(lambda: site.status()["refused"] == 1, "a refusal")
