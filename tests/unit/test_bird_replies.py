"""What BIRD's control socket says, octet by octet: lines, routes, protocols, VRPs, and what is none of them."""

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrd.bird import audit, tables
from rtrd.bird.replies import MAX_LINE, BirdError, Line, Replies
from rtrd.bird.tables import BirdRoute, Protocol
from tests.lab.programs import run

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


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (b"0000 \n", "BIRD names no protocol"),
        (b"1002-up BGP\n0000 \n", "this is not a protocol: 'up BGP'"),
        (b"1002-up BGP --- up\n1006-  Channel ipv4\n     State: UP\n0000 \n", "up has a channel without a table"),
        (b"1002-up BGP --- up\n1006-\n     Local AS: 4294967296\n0000 \n", "not an AS number: '4294967296'"),
        (b"1002-up BGP --- up\n1006-\n     Local AS: " + b"9" * 5000 + b"\n0000 \n", "not an AS number: '9999"),
        (b"1099-up BGP --- up\n0000 \n", "BIRD answers with 1099, which is not known here: 'up BGP"),
    ],
)  # fmt: skip
def test_protocols_in_another_shape_are_a_fault(octets: bytes, said: str) -> None:
    with pytest.raises(BirdError) as caught:
        tables.protocols(lines(octets))
    assert said in str(caught.value)


MANY = "2" * 5000


@pytest.mark.parametrize(
    "roa",
    [
        "192.0.2.0/24-24 AS4294967296",
        f"192.0.2.0/24-{MANY} AS1",
        f"192.0.2.0/24-24 AS{MANY}",
        f"192.0.2.0/{MANY}-24 AS1",
        "192.0.2.0/24-999 AS1",
        "192.0.2.0/240-240 AS1",
        "1.2/24-24 AS1",
    ],
)
def test_numbers_without_end_are_a_fault(roa: str) -> None:
    bird: Any = Asked(f"1007-Table r4:\n {roa}  [x 07:00:00.000] * (100)\n0000 \n")
    with pytest.raises(BirdError, match=r"not a ROA|not an AS number|r4: "):
        audit.check(bird, [], b"", only=["r4"])


class Asked:
    """A BIRD with one reply to anything."""

    def __init__(self, reply: str) -> None:
        self.reply = reply

    def ask(self, _: str) -> list[Line]:
        return lines(self.reply.encode())


@pytest.mark.parametrize("code", [1003, 1013, 2002])
def test_a_reply_of_another_code_is_no_empty_table(code: int) -> None:
    with pytest.raises(BirdError, match=f"BIRD answers with {code}"):
        list(
            tables.routes(
                lines(f"{code}-192.0.2.0/24 unreachable [up 07:03:47.664] * (100/-) [i]\n0000 \n".encode()), {}
            )
        )
    with pytest.raises(BirdError, match=f"BIRD answers with {code}"):
        list(tables.vrps(lines(f"{code}-192.0.2.0/24-24 AS1  [x 07:00:00.000] * (100)\n0000 \n".encode())))


def test_reading_is_bounded_in_time_and_memory_wherever_it_is_done() -> None:
    script = """
from rtrd.bird.limits import limited
import sys, time
try:
    with limited(1, 1 << 30):
        time.sleep(20) if sys.argv[1] == "time" else bytearray(1 << 31)
except Exception as error:
    print(type(error).__name__, error)
"""
    said = {kind: run(sys.executable, "-c", script, kind).stdout.strip() for kind in ("time", "memory")}
    assert said == {
        "time": "BirdError BIRD's tables took more than 1 s",
        "memory": "BirdError BIRD's tables need more than 1024 MiB",
    }
