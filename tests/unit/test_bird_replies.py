"""What BIRD's control socket says, octet by octet: lines, routes, protocols, VRPs, and what is none of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrd.bird import tables
from rtrd.bird.replies import MAX_LINE, BirdError, Line, Replies
from rtrd.bird.tables import BirdRoute, Protocol

# As BIRD 2.0.12 prints them.
PROTOCOLS = b"""\
2002-Name       Proto      Table      State  Since         Info
1002-device1    Device     ---        up     06:53:03.215\x20
1006-
1002-up         BGP        ---        start  07:09:08.161  Passive\x20
1006-  BGP state:          Passive
     Neighbor address: 127.0.0.9
     Neighbor AS:      64496
     Local AS:         65000
   Channel ipv4
     State:          DOWN
     Table:          master4
     Preference:     100
     Input filter:   ACCEPT
     Output filter:  REJECT
     IGP IPv4 table: master4
   Channel ipv6
     State:          DOWN
     Table:          master6
\x20
1002-cache      RPKI       ---        start  07:09:08.161  Transport-Error
1006-  Cache server:     127.0.0.1
   Cache port:       9
   Status:           Transport-Error
   Channel roa4
     State:          DOWN
     Table:          r4
   Channel roa6
     State:          DOWN
     Table:          r6
\x20
1002-s4         Static     master4    up     06:53:03.215\x20
1006-  Channel ipv4
     State:          UP
     Table:          master4
\x20
0000\x20
"""
ROUTES = b"""\
1007-Table master4:
 192.0.2.0/24         unreachable [up 07:03:47.664 from 127.0.0.8] * (100/-) [AS64501i]
1008-\tType: BGP univ
1012-\tBGP.origin: IGP
\tBGP.as_path: 64496 64497 64501
\tBGP.next_hop: 192.0.2.1
\tBGP.local_pref: 100
1007-                     unicast [other 07:03:48.100] (100) [AS64502?]
\tvia 192.0.2.9 on eth0
1008-\tType: BGP univ
1012-\tBGP.as_path: 64496 {64502 64503}
1007-10.0.0.0/8           blackhole [s4 06:53:03.215] * (200)
1008-\tType: static univ
1007-198.51.100.0/24      unreachable [up 07:03:47.664 from 127.0.0.8] * (100/-) [i]
1008-\tType: BGP univ
1012-\tBGP.as_path:\x20
1007-
 Table master6:
 2001:db8::/32        unreachable [up 07:03:47.664 from 127.0.0.8] * (100/-) [AS4200000001i]
1008-\tType: BGP univ
1012-\tBGP.as_path: (65001 65002) 64496 4200000001
0000\x20
"""
ROAS = b"""\
1007-Table r4:
 192.0.2.0/24-24 AS64500  [roas 06:53:03.215] * (200)
 10.0.0.0/8-16 AS1     [roas 06:53:03.215] * (200)
1007-
 Table r6:
 2001:db8::/32-48 AS4200000000  [roas6 06:53:03.215] * (200)
0000\x20
"""


def lines(octets: bytes) -> list[Line]:
    # A continued line begins with a blank: what was typed above as a tab alone has one, too.
    return list(Replies().feed(octets.replace(b"\n\t", b"\n \t")))


def fault(octets: bytes) -> str:
    with pytest.raises(BirdError) as caught:
        list(Replies().feed(octets))
    return str(caught.value)


def test_numbers_hold_until_the_next_one() -> None:
    assert lines(b"1000-BIRD 2.0.12\n1011-Router ID is 192.0.2.1\n Hostname is vm\n+4000 spontaneous\n0013 up\n") == [
        Line(1000, "BIRD 2.0.12", last=False),
        Line(1011, "Router ID is 192.0.2.1", last=False),
        Line(1011, "Hostname is vm", last=False),
        Line(13, "up", last=True),
    ]


@given(st.lists(st.integers(1, 40)))
def test_however_octets_arrive_the_lines_are_the_same(sizes: list[int]) -> None:
    octets = ROUTES.replace(b"\n\t", b"\n \t")
    replies, at = Replies(), 0
    found: list[Line] = []
    for size in [*sizes, len(octets)]:
        found += replies.feed(octets[at : at + size])
        at += size
    assert found == lines(ROUTES)


@pytest.mark.parametrize(
    "text", [b"HTTP/1.1 200 OK\n", b"\n", b" continued\n", b"12-short\n", b"1000+x\n", b"1\xff00-\n"]
)
def test_what_is_no_reply_is_said(text: bytes) -> None:
    assert fault(text).startswith("this is not a line of BIRD's control socket")


def test_a_line_without_an_end_is_not_kept() -> None:
    assert fault(b"1007-" + b"x" * MAX_LINE) == f"BIRD sends a line of more than {MAX_LINE} octets"


@given(st.binary())
def test_any_octets_are_lines_or_a_fault(octets: bytes) -> None:
    try:
        found = list(Replies().feed(octets))
    except BirdError:
        return
    assert all(0 <= line.code <= 9999 for line in found)


def test_protocols_and_their_tables() -> None:
    found = tables.protocols(lines(PROTOCOLS))
    assert found == [
        Protocol("device1", "Device", "up", None, ()),
        Protocol("up", "BGP", "start", 65000, (("ipv4", "master4"), ("ipv6", "master6"))),
        Protocol("cache", "RPKI", "start", None, (("roa4", "r4"), ("roa6", "r6"))),
        Protocol("s4", "Static", "up", None, (("ipv4", "master4"),)),
    ]
    assert tables.tables_of(found, "ipv4", "ipv6") == ["master4", "master6"]
    assert tables.tables_of(found, "roa4", "roa6") == ["r4", "r6"]


def test_routes_have_the_origin_of_rfc_6811() -> None:
    assert list(tables.routes(lines(ROUTES), {"up": 65000})) == [
        BirdRoute("192.0.2.0/24", "up", 64501),
        BirdRoute("192.0.2.0/24", "other", None),
        BirdRoute("198.51.100.0/24", "up", 65000),
        BirdRoute("2001:db8::/32", "up", 4200000001),
    ]


def test_routes_as_bird_3_prints_them() -> None:
    told = b"""\
1007-Table master4:
 192.0.2.0/24         unicast [up 05:30:08.157] * (100) [AS64501i]
\tvia 192.0.2.9 on eth0
1012-\tpreference: 100
\tsource: BGP
\tbgp_path: 64496 64501
\tbgp_large_community: (1, 2, 3)
1008-\tInternal route handling values: 0L 3G 0S id 1
1007-198.51.100.0/24      blackhole [s4 05:30:08.157] * (200)
1012-\tpreference: 200
\tsource: static
0000\x20
"""
    assert list(tables.routes(lines(told), {"up": 65000})) == [BirdRoute("192.0.2.0/24", "up", 64501)]


def test_a_route_of_bgp_without_a_path_is_a_fault() -> None:
    """So would a BIRD be that calls it by another name."""
    told = lines(ROUTES.replace(b"BGP.as_path: 64496 64497", b"route.path: 64496 64497"))
    with pytest.raises(BirdError, match="of up has no AS path"):
        list(tables.routes(told, {"up": 65000}))


@pytest.mark.parametrize(
    ("path", "origin"),
    [
        ("", 65000),
        (" 1 2 3", 3),
        (" 1 {2}", None),
        (" {2 3} 4", 4),
        (" (65001 65002)", 65000),
        (" ({65001 65002})", 65000),
        (" 1 (65001)", 1),
        (" {1 2} (65001)", None),
    ],
)
def test_the_origin_of_a_path(path: str, origin: int | None) -> None:
    assert tables.origin(path, 65000) == origin


@pytest.mark.parametrize("path", [" x", " 4294967296", " -1", " \uff11"])
def test_what_is_no_path_is_said(path: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        tables.origin(path, 65000)


def test_vrps_of_roa_tables() -> None:
    assert list(tables.vrps(lines(ROAS))) == [
        ("192.0.2.0/24", 24, 64500),
        ("10.0.0.0/8", 16, 1),
        ("2001:db8::/32", 48, 4200000000),
    ]


@pytest.mark.parametrize("text", ["bogus", "192.0.2.0/24 unicast", "flow4 { dst 192.0.2.0/24; }"])
def test_a_line_that_is_no_route_is_a_fault(text: str) -> None:
    for read in (lambda found: tables.routes(found, {}), tables.vrps):
        with pytest.raises(BirdError, match="this is no"):
            list(read([Line(1007, text, last=False)]))


def test_names_of_tables_never_become_commands() -> None:
    assert tables.quoted("master4") == "master4"
    assert tables.quoted("vrf-1.x") == "'vrf-1.x'"
    for name in ("", "a b", "a;b", "a'b", "a\nb", "t\u00e4ble"):
        with pytest.raises(BirdError, match="can't be the name of a table"):
            tables.quoted(name)
