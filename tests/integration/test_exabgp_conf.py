"""ExaBGP's configuration is read as both versions read it, and they take what is recommended."""

import json
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rtrd.exabgp.conf_check import check
from rtrd.exabgp.conf_grammar import SECTIONS, STATEMENTS
from rtrd.exabgp.recommended import WANTED
from tests.integration import test_exabgp_grammar
from tests.lab.programs import RTRD

python = test_exabgp_grammar.python
EXAMPLES = sorted(Path("/usr/share/doc/exabgp/examples").glob("*.conf"))
"""Debian's exabgp brings them."""

HEAD = f"process rtrd {{ run {RTRD} attach; encoder json; }}\nprocess other {{ run /bin/true; encoder text; }}\n"
FAMILIES = "family { ipv4 unicast; ipv6 unicast; }"


def asked(program: str, texts: list[str]) -> list[list[dict[str, Any]] | None]:
    """What an ExaBGP makes of configurations."""
    return test_exabgp_grammar.asked(program, "configurations", [json.dumps(text) + "\n" for text in texts])


def lacks(switches: dict[str, Any]) -> set[str]:
    """The switches that ExaBGP has otherwise than rtrd needs them."""
    return {each.key for each in WANTED if on(switches[each.key]) != each.on}


def on(value: Any) -> bool:
    return value if isinstance(value, bool) else "rtrd" in value


def said(text: str) -> set[str]:
    """The switches that the checker complains of."""
    keys = "|".join(each.key for each in WANTED)
    whats = [finding.what for finding in check(text, "f").findings if "OPEN" not in finding.what]
    return {match[1] for what in whats if (match := re.search(rf"(?:write|leave out) `({keys})(?: \w+)?;?`", what))}


def drawn(draw: random.Random) -> str:
    """A configuration whose switches stand anywhere, in one or two templates or in the neighbor itself."""

    def switches(section: str) -> str:
        chosen = [each for each in WANTED if each.section == section and draw.random() < 0.6]
        values = ["", " true", " enable", " disable", " false"]
        return " ".join(f"{each.key}{draw.choice(values)};" for each in chosen)

    def body() -> Iterator[str]:
        yield switches("neighbor")
        if draw.random() < 0.7:
            yield f"capability {{ {switches('capability')} }}"
        for _ in range(draw.choice([0, 1, 1, 2])):
            names = draw.choice(["rtrd", "rtrd", "other", "other rtrd", "rtrd, other"])
            yield f"api {{ processes [ {names} ]; {switches('api')} receive {{ {switches('receive')} }} }}"

    def lines() -> str:
        return draw.choice([" ", "\n"]).join(body())

    templates = [f"neighbor t{number} {{ {lines()} }}" for number in range(2)]
    inherit = draw.choice(["", "inherit t0;", "inherit [ t0 t1 ];", "inherit t1; inherit t0;"])
    ours = f"router-id 192.0.2.9; local-address 192.0.2.9; local-as 65000; peer-as 64496; {FAMILIES} # }}"
    return f"{HEAD}template {{ {' '.join(templates)} }}\nneighbor 192.0.2.1 {{ {inherit}\n {ours}\n {lines()} }}\n"


def test_switches_anywhere_are_seen_as_exabgp_sees_them(python: str) -> None:
    draw = random.Random(14)
    texts = [drawn(draw) for _ in range(400)]
    taken = 0
    for text, neighbors in zip(texts, asked(python, texts), strict=True):
        if neighbors is None:
            continue
        ((neighbor),) = neighbors
        told = {each.key for each in WANTED if each.section in ("api", "receive")}
        found, real = said(text), lacks(neighbor)
        if "rtrd" not in neighbor["processes"]:
            found, real = found - told, real - told  # then it is said that nothing is told
            assert any("rtrd is told nothing" in each.what for each in check(text, "f").findings)
        if neighbor["route-refresh"]:
            found, real = found - {"adj-rib-out"}, real - {"adj-rib-out"}  # 5.0 then turns it on
        if on(neighbor["parsed"]) and not on(neighbor["packets"]):
            found, real = found - {"parsed", "packets"}, real - {"parsed", "packets"}  # that will do, if need be
        assert found == real, text
        taken += 1
    assert taken > 300


def test_what_is_recommended_is_taken(python: str) -> None:
    """That is: what the checker says to write in a neighbor that has nothing."""
    bare = f"local-address 192.0.2.9; router-id 192.0.2.9; local-as 65000; peer-as 65000; {FAMILIES}"
    text = f"{HEAD}neighbor 192.0.2.1 {{ {bare} }}\n"
    (api,) = (match[1] for each in check(text, "f").findings if (match := re.search("write `(api .*)`", each.what)))
    text = text.replace("local-address", f"{api} capability {{ route-refresh enable; }} local-address")
    assert check(text, "f").findings == []
    (neighbors,) = asked(python, [text])
    assert neighbors is not None
    assert lacks(neighbors[0]) == set()


def test_exabgps_own_examples(python: str) -> None:
    """What ExaBGP takes has no fault of syntax."""
    assert EXAMPLES
    texts = [file.read_text() for file in EXAMPLES]
    for file, text, neighbors in zip(EXAMPLES, texts, asked(python, texts), strict=True):
        checked = check(text, file.name)
        if neighbors is not None:
            assert len(checked.sessions) == len(neighbors) or "multi-session" in text, file
            syntax = [
                each for each in checked.findings if re.search("isn't ended|closes nothing|unknown sec", each.what)
            ]
            assert syntax == [], file


API = "api { processes [ rtrd ]; neighbor-changes; receive { packets; update; open; } send { packets; open; } }"
SESSION = "local-address 192.0.2.9; local-as 65000; peer-as 64496; capability { route-refresh; }"
WITHIN = {
    "neighbor": "%s",
    **{name: f"{name} {{ %s }}" for name in ("capability", "family", "add-path", "nexthop", "api")},
    **{name: f"api {{ {name} {{ %s }} }}" for name in SECTIONS["api"]},
}
VALUES = [
    *("", "true", "Disabled", "auto", "0", "2", "3", "255", "256", "65535", "70000", "x", "1.1", "AS1"),
    *(
        "192.0.2.7",
        "::1",
        "[ rtrd ]",
        "rtrd",
        "[rtrd]",
        "unicast",
        "evpn",
        "mup",
        "unicast ipv6",
        "send/receive",
        "t u",
    ),
]


OURS = {"inherit", "auto-flush", "local-as", "peer-as", "listen", "connect"}
"""Some values of these are taken, but rtrd can't live with them, or they are none."""


def neighbor(text: str, address: str = "192.0.2.1", session: str = SESSION) -> str:
    return f"neighbor {address} {{ {session} {API} {text} }}\n"


def templates(*names: str) -> str:
    return f"template {{ {' '.join(f'neighbor {name} {{ hold-time 90; }}' for name in names)} }}\n"


V6 = "local-address 2001:db8::9; local-as 1; peer-as 2;"
SESSIONS = [
    neighbor("") * 2,
    neighbor("listen 179;") + neighbor("listen 179;", session=SESSION.replace("65000", "65001")),
    neighbor("") + neighbor("", session=SESSION.replace("65000", "65001")),
    neighbor("") + neighbor("", session=SESSION.replace("2.9", "2.8")),
    neighbor("") + neighbor("peer-address 192.0.2.1;", "192.0.2.2"),
    neighbor("", "2001:db8::1", V6),
    neighbor("router-id 192.0.2.9;", "2001:db8::1", V6),
    neighbor("router-id 192.0.2.9;", "192.0.2.1", V6),
    neighbor("", session=SESSION.replace("local-as", "Local-AS")),
    neighbor("", session=SESSION.replace("local-address 192.0.2.9;", "")),
    neighbor("", session=SESSION.replace("local-address 192.0.2.9", "router-id 192.0.2.9; local-address auto")),
    *(neighbor(text, "192.0.2.0/24") for text in ("", "passive;", "passive false;")),
    neighbor("multi-session; family { ipv4 unicast; }") + neighbor("multi-session; family { ipv6 unicast; }"),
    *(
        neighbor(f"family {{ {text} }}")
        for text in ("", "ipv4 flow; ipv4 flow;", "ipv4 mup;", "all;", "all; ipv4 flow;")
    ),
    *(templates(*names) + neighbor("inherit [ t u ];") for names in ("tu", "tt", "t/")),
    templates("t") + templates("u") + neighbor("inherit t;") + neighbor("inherit [ u ];", "192.0.2.2"),
    neighbor("api x { }") + neighbor("api x { }", "192.0.2.2"),
    neighbor(";"),
    neighbor("route 10.0.0.0/8 next-hop 1.1.1.1;"),
    neighbor("static { route 10.0.0.0/8 next-hop 1.1.1.1; }"),
    f"process x {{ run /bin/true; }}\n{neighbor('')}",
    f"process other {{ run /bin/true; encoder text; }}\n{neighbor('')}",
    f"x;\n{neighbor('')}",
]


def test_what_exabgp_refuses_is_a_fault_and_nothing_else(python: str) -> None:
    """Every keyword in every section, with every kind of value; sessions that are the same, or lack something."""
    known = {word for words in STATEMENTS.values() for word in words}
    bodies = {
        WITHIN[section] % f"{word} {value};"
        for section in WITHIN
        for word in STATEMENTS[section].keys() - OURS
        for value in VALUES
    }
    bodies |= {outer % f"{word} true;" for outer in WITHIN.values() for word in [*(known - OURS), "x"]}
    bodies |= {
        outer % f"{word} {{ }}" for outer in WITHIN.values() for word in [*WITHIN, "x", "description", "process"]
    }
    texts = [HEAD + text for text in [*SESSIONS, *map(neighbor, sorted(bodies))]]
    wrong = []
    for text, neighbors in zip(texts, asked(python, texts), strict=True):
        found = check(text, "f").findings
        refused = any(each.severity == "fault" for each in found)
        only_5 = any("4.2" in each.what for each in found)
        if refused != (neighbors is None) and not only_5:
            wrong.append((text.removeprefix(HEAD), neighbors is not None, [each.what for each in found]))
    assert wrong == []


ROUTES = """\
static { route 10.0.0.0/24 next-hop 192.0.2.1; }
static { route 10.0.0.0/24 nexthop 192.0.2.1; }
static { route 10.0.0.0/24; }
static { route 10.0.0.0/24 next-hop; }
static { route 10.0.0.0/24 next-hop banana; }
static { route 10.0.0.0/33 next-hop self; }
static { route 10.0.0.1/24 next-hop self; }
static { route 10.0.0.1 next-hop self; }
static { route 10.0.0 next-hop self; }
static { route 2001:db8::/32 next-hop 2001:db8::1; }
static { route 2001:db8::/33 next-hop 2001:db8::1; }
static { rout 10.0.0.0/24 next-hop self; }
static { routes { } }
static { route 10.0.0.0/24 next-hop self community 65000:1 med 5; }
static { route 10.0.0.0/24 next-hop self comunity 65000:1; }
static { route 10.0.0.0/24 next-hop self community [ 65000:1 65000:2 ] as-path [ 1 2 3 ] local-preference 10; }
static { route 10.0.0.0/24 next-hop self as-path 1 med 3; }
static { route 10.0.0.0/24 next-hop self atomic-aggregate aggregator ( 65000:1.2.3.4 ); }
static { route 10.0.0.0/24 next-hop self attribute [ 0x20 0xc0 0x0000 ]; }
static { route 10.0.0.0/24 next-hop self large-community [ 1:2:3 ] extended-community [ target:1:2 ]; }
static { route 10.0.0.0/24 next-hop self withdraw watchdog dog split /25 name x; }
static { route 10.0.0.0/24 next-hop self origin igp; }
static { route 10.0.0.0/24 next-hop self origin banana; }
static { route 10.0.0.0/24 next-hop self med banana; }
static { route 10.0.0.0/24 next-hop self med; }
static { route 10.0.0.0/24 next-hop self community; }
static { route 10.0.0.0/24 next-hop self cluster-list [ 1.2.3.4 ] originator-id 1.2.3.4 aigp 7; }
static { route 10.0.0.0/24 next-hop self path-information 1.2.3.4; }
static { route 10.0.0.0/24 next-hop self label 100; }
static { route 10.0.0.0/24 { next-hop self; community [ 65000:1 ]; med 5; } }
static { route 10.0.0.0/24 { nexthop self; } }
static { route 10.0.0.0/24 { med 5; } }
static { route 10.0.0.0/33 { next-hop self; } }
static { route { next-hop self; } }
static { route; }
static { attributes next-hop self med 5 nlri 10.0.0.0/24 10.0.1.0/24; }
static { attribute next-hop self med 5 nlri 10.0.0.0/24; }
static { attributes med 5 nlri 10.0.0.0/24; }
static { attributes next-hop self med 5; }
static { attributes next-hop self mid 5 nlri 10.0.0.0/24; }
static { attributes next-hop self med 5 nlri 10.0.0.0/24 banana; }
announce { ipv4 { unicast 10.0.0.0/24 next-hop self; } }
announce { ipv4 { unicast 10.0.0.0/24; } }
announce { ipv4 { unicat 10.0.0.0/24 next-hop self; } }
announce { ipv4 { unicast 10.0.0.0/24 next-hop self mid 5; } }
announce { ipv4 { unicast 10.0.0.0/24 { next-hop self; } } }
announce { ipv4 { unicast 10.0.0.0/24 next-hop self label 5; } }
announce { ipv4 { multicast 10.0.0.0/24 next-hop self; } }
announce { ipv6 { unicast 2001:db8::/48 next-hop 2001:db8::1; } }
announce { ipv6 { unicast 2001:db8::/32 next-hop 2001:db8::1; } }
announce { ipv5 { unicast 10.0.0.0/24 next-hop self; } }
announce { unicast 10.0.0.0/24 next-hop self; }
flow { route x { match { source 10.0.0.0/24; } then { discard; } } }
flow { route x { match { sorce 10.0.0.0/24; } then { discard; } } }
flow { route x { match { source 10.0.0.0/24; } then { drop; } } }
flow { route x { matc { source 10.0.0.0/24; } then { discard; } } }
flow { route { match { source 10.0.0.0/24; port =80; protocol tcp; } then { rate-limit 9600; } } }
""".splitlines()


def test_routes_written_by_hand_are_read_as_exabgp_reads_them(python: str) -> None:
    """What 5.0 alone refuses is a warning."""
    families = "family { ipv4 unicast; ipv6 unicast; ipv4 multicast; ipv4 nlri-mpls; ipv4 flow; }"
    texts = [f"{HEAD}neighbor 192.0.2.1 {{ {API} {SESSION} {families} {routes} }}" for routes in ROUTES]
    for routes, text, neighbors in zip(ROUTES, texts, asked(python, texts), strict=True):
        found = check(text, "f").findings
        only_5 = [each for each in found if "ExaBGP 5.0 takes nothing else" in each.what]
        assert (neighbors is None) == bool(found and (not only_5 or python == sys.executable)), (routes, found)
