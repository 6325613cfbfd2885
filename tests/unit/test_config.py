"""Every fault of a configuration is found, all at once, each with its line."""

import re
from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rtrd import config
from rtrd.base.endpoint import Endpoint
from rtrd.config import ConfigError
from rtrd.config.when import PrefixLengths, PrefixRange, When, lengths_of
from rtrd.config.yaml_reader import MAX_NODES
from rtrd.tags import Tag
from tests.lab import ROOT

EXAMPLE = ROOT / "etc" / "rtrd.yaml"

TOP = (
    "caches, slurm, state, history, start-hold, guard, control, control-group, http, http-names, on-stop, "
    "max-attributes, routers, rtr-server, bmp, bird, events, neighbors, policy"
)

GOOD = """\
caches:
  groups:
    - {name: a, preference: 1, servers: [{host: 192.0.2.10}]}
"""
GROUP = "{name: primary, preference: 1, servers: [{host: 192.0.2.10, port: 323}]}"


def faults(text: str) -> list[tuple[int, str]]:
    with pytest.raises(ConfigError) as caught:
        config.loads(text, Path("/etc/rtrd/rtrd.yaml"))
    return [(fault.line, fault.what) for fault in caught.value.faults]


def load(text: str) -> config.Config:
    return config.loads(text, Path("/etc/rtrd/rtrd.yaml"))


def whole_example() -> str:
    """Give the example with what stands in it behind `# `."""
    text = EXAMPLE.read_text().partition("\n")[2]  # the first line is the editor's
    return re.sub(r"^( *)# (?= *(?:- )?(?:\{|[a-z-]+:(?: |$)))", r"\1", text, flags=re.MULTILINE)


def test_the_shortest_good_file_gets_all_defaults() -> None:
    found = load(GOOD)
    caches = found.caches
    assert (caches.refresh, caches.retry, caches.expire) == (3600, 600, 7200)
    assert (caches.intervals, caches.on_expire) == ("configured", "not-found")
    assert found.start_hold == 120
    assert found.control == Path("/run/rtrd/rtrd.sock")
    assert (found.slurm, found.state, found.http, found.rtr_server, found.policy) == ((), None, None, None, ())
    (server,) = caches.groups[0].servers
    assert (server.host, server.port, server.transport) == ("192.0.2.10", 323, "tcp")


def test_the_example_shows_every_key_and_is_good_with_all_of_them() -> None:
    """What stands there behind `# ` is meant to be taken as it is."""
    text = whole_example()
    shown = set(re.findall(r"(?:^|[{,]) *(?:- )?([a-z][a-z0-9-]*):", re.sub(" *#.*", "", text), re.MULTILINE))
    assert shown == {
        field.encode_name
        for each in (
            *(config.Config, config.Caches, config.Group, config.CacheServer, config.Guard, config.RTRServer),
            *(config.Bird, config.PolicyRule, config.Action, config.History, When, PrefixLengths, PrefixRange),
            *(config.NeighborConfig, config.AsSetAction, config.TLS, config.AOKey, config.RouterClients, config.BMP),
            config.Events,
        )
        for field in msgspec.structs.fields(each)
    }
    assert load(text).policy[-1].direction == "out"
    check_example(load(text))


def test_the_example_is_good_and_only_observes() -> None:
    assert config.load(EXAMPLE).policy == ()


def check_example(found: config.Config) -> None:
    _, ssh, tls, md5, ao, *_ = found.caches.groups[0].servers
    assert (tls.transport, tls.port, tls.server_name, tls.key) == ("tls", 324, "rtr", Path("/etc/rtrd/rtr.key"))
    assert md5.md5_password_file == Path("/etc/rtrd/md5")
    assert ao.tcp_ao == config.AOKey(key_file=Path("/etc/rtrd/ao"), key_id=1, algorithm="hmac-sha1")
    assert (ao.source, ao.device) == ("192.0.2.254", "vrf-mgmt")
    assert (ssh.transport, ssh.port, ssh.user, ssh.host_key) == ("ssh", 22, "rtr", Path("/etc/rtrd/host.pub"))
    assert [each.match for each in found.neighbors] == [("192.0.2.3",), ("198.51.100.0/24", "AS64496"), ("AS65010",)]
    assert [each.enforce_first_as for each in found.neighbors] == [None, False, None]
    assert found.neighbors[2].confederation
    when = found.policy[0].when
    assert when is not None
    assert when.communities == (Tag("standard", (65535, 666)), Tag("large", (65000, 666, 0)))
    assert when.prefix_length == PrefixLengths(ipv4=(32, 32), ipv6=(128, 128))
    assert when.prefixes is not None
    assert [*map(lengths_of, when.prefixes)] == [("198.51.100.0/24", 25, 32), ("2001:db8::1/128", 128, 128)]
    assert (when.origin, when.as_set) == ((64496,), False)
    rule = found.policy[1]
    assert rule.as_set == config.AsSetAction(action="withdraw")
    assert rule.from_ == ("192.0.2.1",)
    assert rule.valid is not None
    assert [spec.text for spec in rule.valid.tags] == ["rfc8097", "large:65000:1:0"]
    assert rule.valid.tags[1].fixed == Tag("large", (65000, 1, 0))
    assert rule.valid.local_preference == 200


def test_paths_start_at_the_folder_of_the_file() -> None:
    found = load(GOOD + "slurm: [slurm.json, /x/y.json]\nstate: ../state\ncontrol: rtrd.sock\n")
    assert found.slurm == (Path("/etc/rtrd/slurm.json"), Path("/x/y.json"))
    assert found.state == Path("/etc/rtrd/../state")
    assert found.control == Path("/etc/rtrd/rtrd.sock")


def test_addresses_are_normalized() -> None:
    rest = 'http: "[2001:db8:0::1]:80"\npolicy: [{from: ["2001:DB8::1"]}]\n'
    found = load(GOOD.replace("192.0.2.10", '"2001:DB8:0::10"') + rest)
    assert found.caches.groups[0].servers[0].host == "2001:db8::10"
    assert found.http == Endpoint("2001:db8::1", 80)
    assert str(found.http) == "[2001:db8::1]:80"
    assert found.policy[0].from_ == ("2001:db8::1",)


def test_all_faults_come_at_once_in_order_of_lines() -> None:
    text = """\
caches:
  refresh: 0
  refrsh: 3
  expire: 7200
  groups:
    - name: a
      preference: 1
      servers: [{host: 192.0.2.10, port: 70000}]
    - name: a
      preference: 1
      servers: []
color: blue
policy:
  - from: [nonsense]
    invalid: {action: withdraw, tags: [rfc8097]}
"""
    assert faults(text) == [
        (2, "caches.refresh: 0 is out of range, expected 1 to 86400"),
        (3, "caches: unknown key 'refrsh'; did you mean 'refresh'?"),
        (8, "caches.groups[0].servers[0].port: 70000 is out of range, expected 1 to 65535"),
        (9, "caches.groups[1].name: a is also that of the group on line 6"),
        (10, "caches.groups[1].preference: 1 is also that of the group on line 7"),
        (11, "caches.groups[1].servers: the list is empty"),
        (12, f"unknown key 'color'; known here: {TOP}"),
        (14, "policy[0].from[0]: 'nonsense': expected an IP address, a prefix or an AS (AS64496)"),
        (15, "policy[0].invalid.tags: only for action announce, not withdraw"),
    ]


INTERVALS = [("refresh", 1, 86400), ("retry", 1, 7200), ("expire", 600, 172800)]


@pytest.mark.parametrize(("key", "low", "high"), INTERVALS)
def test_intervals_have_the_ranges_of_rfc_8210(key: str, low: int, high: int) -> None:
    others = {"refresh": 1, "retry": 1, "expire": 172800}

    def text(value: int) -> str:
        lines = "".join(f"  {name}: {number}\n" for name, number in {**others, key: value}.items())
        return GOOD.replace("caches:\n", "caches:\n" + lines)

    for value in (low, high):
        assert getattr(load(text(value)).caches, key) == value
    for value in (low - 1, high + 1):
        assert f"caches.{key}: {value} is out of range, expected {low} to {high}" in dict(faults(text(value))).values()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("  refresh: 7200\n", (2, "caches: expire (7200) must be greater than refresh (7200)")),
        ("  retry: 701\n  expire: 700\n  refresh: 10\n", (3, "caches: expire (700) must be no less than retry (701)")),
        ("  expire: 3600\n", (2, "caches: expire (3600) must be greater than refresh (3600)")),
    ],
)
def test_expire_is_greater_than_refresh_and_retry(lines: str, expected: tuple[int, str]) -> None:
    assert faults(GOOD.replace("caches:\n", "caches:\n" + lines)) == [expected]


def test_retry_may_be_as_long_as_expire_but_not_for_the_routers_of_the_relay() -> None:
    """RFC 8210 section 6 wants it longer of what End of Data says; our own caches are asked sooner than `retry`."""
    text = GOOD.replace("caches:\n", "caches:\n  retry: 600\n  expire: 600\n  refresh: 10\n")
    assert load(text).caches.retry == 600
    what = "rtr-server: expire (600) must be greater than retry (600); " + NOT_SAID
    assert [found for _, found in faults(text + RELAY + "}\n")] == [what]


SERVERS = [
    ("{host: 192.0.2.10, transport: ssh}", ["transport ssh needs 'key'", "transport ssh needs 'user'"]),
    ("{host: 192.0.2.10, transport: ssh, user: u}", ["transport ssh needs 'key'"]),
    (
        "{host: 192.0.2.10, key: k, host-key: h}",
        [".host-key: only for transport ssh", ".key: only for transport tls or ssh"],
    ),
    ("{host: 192.0.2.10, transport: quic}", [".transport: expected one of ssh, tcp, tls, found 'quic'"]),
    ("{host: 192.0.2.10, transport: tls, key: k}", ["transport tls needs 'certificate'"]),
    ("{host: 192.0.2.10, transport: tls, certificate: c}", ["transport tls needs 'key'"]),
    ("{host: 192.0.2.10, transport: tls, user: u}", [".user: only for transport ssh"]),
    ("{host: 192.0.2.10, transport: tls, engine: librtr}", [".engine: librtr has no TLS"]),
    (
        "{host: 192.0.2.10, ca: c, server-name: n}",
        [".ca: only for transport tls", ".server-name: only for transport tls"],
    ),
    ("{host: 192.0.2.10, transport: tls, tcp-ao: {key-file: k}}", [".tcp-ao: only for transport tcp"]),
    (
        "{host: 192.0.2.10, tcp-ao: {key-file: k}, md5-password-file: k}",
        [".tcp-ao: not beside md5-password-file: TCP has one of them"],
    ),
    (
        "{host: 192.0.2.10, tcp-ao: {key-file: k, key-id: 256}}",
        [".tcp-ao.key-id: 256 is out of range, expected 0 to 255"],
    ),
    ("{host: 192.0.2.10, md5-password-file: k, engine: librtr}", [".engine: librtr has no md5-password-file"]),
    ("{host: 192.0.2.10, device: a/b}", [".device: 'a/b': expected the name of a network device, 1 to 15 characters"]),
    (
        "{host: 192.0.2.10, source: '2001:db8::1'}",
        [".source: 2001:db8::1 can't reach 192.0.2.10: one is IPv4, one IPv6"],
    ),
    ("{host: 192.0.2.10, port: 0}", [".port: 0 is out of range, expected 1 to 65535"]),
    ("{host: 192.0.2.10, port: 0323}", [".port: expected a whole number from 1 to 65535, found '0323'"]),
    (
        "{host: 192.0.2.10, port: '323'}",
        [".port: expected a whole number from 1 to 65535, found '323'; without quotes"],
    ),
    ("{host: 192.0.2.10, port: 3.5}", [".port: expected a whole number from 1 to 65535, found '3.5'"]),
    ("{host: 192.0.2.10, port: true}", [".port: expected a whole number from 1 to 65535, found 'true'"]),
    ("{host: 192.0.2.10, port: }", [".port: expected a whole number from 1 to 65535, found nothing"]),
    ("{host: 192.0.2.10, port: [1]}", [".port: expected a whole number from 1 to 65535, found a list"]),
    ("{host: 192.0.2.300}", [".host: '192.0.2.300': not an IP address (without brackets or port)"]),
    ("{host: '[2001:db8::1]'}", [".host: '[2001:db8::1]': not an IP address (without brackets or port)"]),
    ("{host: 'a b'}", [".host: 'a b': neither an IP address (without brackets or port) nor a host name"]),
    ("{host: 12}", [".host: '12': not an IP address (without brackets or port)"]),
    ('{host: "a\\nb"}', [".host: expected printable text of at least one character, found 'a\\nb'"]),
    ("{port: 323}", ["the key 'host' is missing"]),
    ("192.0.2.10", ["expected keys and values, found '192.0.2.10'; did you mean {host: 192.0.2.10}?"]),
    ("a:323", ["expected keys and values, found 'a:323'; did you mean {host: a, port: 323}?"]),
    ("'[::1]'", ["expected keys and values, found '[::1]'"]),
]


@pytest.mark.parametrize(("server", "expected"), SERVERS)
def test_a_server_at_fault(server: str, expected: list[str]) -> None:
    found = faults(GOOD.replace("{host: 192.0.2.10}", server))
    assert [line for line, _ in found] == [3] * len(expected)
    place = "caches.groups[0].servers[0]"
    assert [what.removeprefix(place).removeprefix(": ") for _, what in found] == expected


@pytest.mark.parametrize(
    ("groups", "what"),
    [
        ("  groups: []\n", "caches.groups: the list is empty"),
        ("  groups:\n    # - name: a\n", f"caches.groups: expected a list, found nothing; name a cache: - {GROUP}"),
        (
            "  groups: [{name: a, preference: 1, servers: }]\n",
            "caches.groups[0].servers: expected a list, found nothing; name a cache: - {host: 192.0.2.10, port: 323}",
        ),
        ("  refresh: 5\n", "caches: the key 'groups' is missing"),
        ("  groups: {}\n", "caches.groups: expected a list, found keys and values"),
        ("  groups: [{preference: 1, servers: [{host: a}]}]\n", "caches.groups[0]: the key 'name' is missing"),
        ("  groups: [{name: a, preference: 1}]\n", "caches.groups[0]: the key 'servers' is missing"),
        (
            "  groups: [{name: a, preference: -1, servers: [{host: a}]}]\n",
            "caches.groups[0].preference: -1 is out of range, expected 0 to 255",
        ),
        ("  groups: [{name: a, preference: 1, servers: []}]\n", "caches.groups[0].servers: the list is empty"),
    ],
)
def test_groups_at_fault(groups: str, what: str) -> None:
    assert faults("caches:\n" + groups) == [(2, what)]


def test_thirty_caches_are_possible_and_no_more() -> None:
    servers = [f"        - {{host: 192.0.2.{number}}}" for number in range(1, 32)]
    head = ["caches:", "  groups:", "    - name: a", "      preference: 1", "      servers:"]
    assert len(load("\n".join(head + servers[:30])).caches.groups[0].servers) == 30
    assert faults("\n".join(head + servers)) == [(36, "caches: 31 caches, at most 30 are possible")]


ACTIONS = [
    (
        "valid: {action: annunce}",
        "valid.action: expected one of announce, hold, observe, withdraw, found 'annunce'; did you mean 'announce'?",
    ),
    ("valid: {tags: [rfc8097]}", "valid: the key 'action' is missing"),
    ("valid: announce", "valid: expected keys and values, found 'announce'; did you mean {action: announce}?"),
    ("invalid: {action: withdraw, tags: [rfc8097]}", "invalid.tags: only for action announce, not withdraw"),
    (
        "invalid: {action: observe, local-preference: 1}",
        "invalid.local-preference: only for action announce, not observe",
    ),
    (
        "valid: {action: announce, local-preference: 4294967296}",
        "valid.local-preference: 4294967296 is out of range, expected 0 to 4294967295",
    ),
    ("notfound: {action: hold}", "unknown key 'notfound'; did you mean 'not-found'?"),
    ("not_found: {action: hold}", "unknown key 'not_found'; did you mean 'not-found'?"),
    ("as-set: {action: announce}", "as-set.action: expected one of hold, observe, withdraw, found 'announce'"),
    ("as-set: by-valdity", "as-set: expected one of by-validity, found 'by-valdity'; did you mean 'by-validity'?"),
    ("as-set: withdraw", "as-set: expected keys and values, found 'withdraw'; did you mean {action: withdraw}?"),
    ("as-set: announce", "as-set: expected one of by-validity, found 'announce'"),
    ("when: {}", "when: needs 'communities', 'prefix-length', 'prefixes', 'origin', 'covered-by' or 'as-set'"),
    ("when: {prefix-length: {}}", "when.prefix-length: needs 'ipv4' or 'ipv6', or no prefix is meant"),
    (
        "when: {prefix-length: {ipv4: [25]}}",
        "when.prefix-length.ipv4: expected the shortest and the longest length, as [25, 32]",
    ),
    (
        "when: {prefix-length: {ipv6: [49, 129]}}",
        "when.prefix-length.ipv6[1]: 129 is out of range, expected 0 to 128",
    ),
    (
        'when: {communities: ["65535"]}',
        "when.communities[0]: '65535': expected A:B, large A:B:C, or extended:0x... (1 to 16 hex digits)",
    ),
    ('when: {communities: ["65536:1"]}', "when.communities[0]: '65536:1': 65536 is more than 65535"),
    ("when: {prefixes: []}", "when.prefixes: the list is empty"),
    (
        "when: {prefixes: [192.0.2.1]}",
        "when.prefixes[0]: '192.0.2.1': a prefix needs its length, as 192.0.2.1/32",
    ),
    (
        "when: {prefixes: [{prefix: 192.0.2.1/24, le: 32}]}",
        "when.prefixes[0].prefix: '192.0.2.1/24': expected a prefix without host bits, as 192.0.2.0/24",
    ),
    (
        "when: {prefixes: [{prefix: 192.0.2.0/24, ge: 23}]}",
        "when.prefixes[0].ge: 23 is less than the length of 192.0.2.0/24",
    ),
    (
        "when: {prefixes: [192.0.2.0/24, {prefix: 192.0.2.0/24, le: 33}]}",
        "when.prefixes[1].le: 33 is more than the 32 of IPv4",
    ),
    (
        'when: {prefixes: [{prefix: "2001:db8::/32", ge: 64, le: 48}]}',
        "when.prefixes[0]: ge (64) is more than le (48)",
    ),
    ("when: {prefixes: [{ge: 24}]}", "when.prefixes[0]: the key 'prefix' is missing"),
    ("when: {origin: [0]}", "when.origin[0]: '0': AS numbers go from 1 to 4294967295"),
    ("when: {origin: [AS64496, 064]}", "when.origin[1]: '064': expected an AS number, as 64496 or AS64496"),
    ("when: {origin: 64496}", "when.origin: expected a list, found '64496'; did you mean [64496]?"),
    ("when: {as-set: by-validity}", "when.as-set: expected true or false, found 'by-validity'"),
    ("when: {origin: [1], prefix: []}", "when: unknown key 'prefix'; did you mean 'prefixes'?"),
    ("to: []", "to: the list is empty"),
    ("to: [192.0.2.0/24]", "to[0]: '192.0.2.0/24': not an IP address"),
    ("to: 192.0.2.1", "to: expected a list, found '192.0.2.1'; did you mean [192.0.2.1]?"),
]


@pytest.mark.parametrize(("line", "what"), ACTIONS)
def test_a_rule_at_fault(line: str, what: str) -> None:
    found = faults(f"{GOOD}policy:\n  - from: [192.0.2.1]\n    {line}\n")
    assert [(number, text.removeprefix("policy[0]").lstrip(".: ")) for number, text in found] == [(6, what)]


def test_prefixes_are_written_as_routers_write_them() -> None:
    shown = "[192.0.2.0/24, {prefix: 192.0.2.0/24}, {prefix: 192.0.2.0/24, ge: 25}, {prefix: 192.0.2.0/24, le: 25}"
    shown += ', {prefix: "2001:DB8::/32", ge: 48, le: 64}, {prefix: "::/0", ge: 0}]'
    rule = f"  - {{when: {{prefixes: {shown}, origin: [AS1, as2, 3, 4_0]}}, invalid: {{action: announce}}}}\n"
    with pytest.raises(ConfigError, match="'4_0': expected an AS number"):
        load(f"{GOOD}policy:\n{rule}")
    when = load(f"{GOOD}policy:\n{rule.replace(', 4_0', '')}").policy[0].when
    assert when is not None
    assert when.prefixes is not None
    assert when.origin == (1, 2, 3)
    assert [*map(lengths_of, when.prefixes)] == [
        ("192.0.2.0/24", 24, 24),
        ("192.0.2.0/24", 24, 24),
        ("192.0.2.0/24", 25, 32),
        ("192.0.2.0/24", 24, 25),
        ("2001:db8::/32", 48, 64),
        ("::/0", 0, 128),
    ]


def test_rules_for_some_routes() -> None:
    text = "  - {from: [192.0.2.1], when: {communities: ['65000:1:2']}, invalid: {action: announce}}\n"
    rest = "  - {from: [192.0.2.1], invalid: {action: withdraw}}\n"
    assert len(load(f"{GOOD}policy:\n{text}{rest}").policy) == 2
    many = "".join(text.replace(":1:2", f":1:{number}") for number in range(33))
    assert faults(f"{GOOD}policy:\n{many}") == [
        (37, "policy[32].when.communities: more than 32 different lists of communities in the policy")
    ]


def test_rules_for_some_routes_of_one_neighbor() -> None:
    """So many are looked at for each of its routes; rules for others do not count."""

    def text(sources: list[str]) -> str:
        rules = [f"  - {{{source}when: {{origin: [1]}}, invalid: {{action: announce}}}}\n" for source in sources]
        return f"{GOOD}policy:\n{''.join(rules)}"

    members = [f"from: [10.0.{n // 256}.{n % 256}, AS{n + 1}], " for n in range(600)]
    assert len(load(text(members)).policy) == 600
    assert len(load(text(["", "from: [10.0.0.0/16], ", *members])).policy) == 602
    for sources in ([""] * 256, ["from: [10.0.0.0/8], ", "from: [10.0.0.1], "] * 128, ["from: [AS1], "] * 256):
        load(text(sources[1:]))
        what = "policy[255]: more than 255 rules with 'when' may be for the same neighbor"
        assert faults(text(sources)) == [(260, what)]
        one_line = ", ".join(f"{{{source}when: {{origin: [1]}}, invalid: {{action: announce}}}}" for source in sources)
        assert faults(f"{GOOD}policy: [{one_line}]\n") == [(4, what)], "as a program writes it"
    assert faults(text(["", *["from: [AS1], "] * 127, *["from: ['::/0'], "] * 127, "", *members])) != []


OUR_ROLE = "it is what we are: customer of a transit, rs-client of a route server"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("match: [192.0.2.1/24]", "match[0]: '192.0.2.1/24': expected a prefix without host bits"),
        ("match: [AS0]", "match[0]: 'AS0': AS numbers go from 1 to 4294967295"),
        ("match: [a]", "match[0]: 'a': expected an IP address, a prefix or an AS (AS64496)"),
        ("name: a", "the key 'match' is missing"),
        ("{match: [AS1], confederation: yes}", "confederation: expected true or false, found 'yes'"),
        (
            "{match: [AS1], local-role: transit}",
            "local-role: expected one of customer, peer, provider, rs, rs-client, found 'transit'; " + OUR_ROLE,
        ),
    ],
)
def test_a_neighbor_at_fault(line: str, what: str) -> None:
    entry = line if line.startswith("{") else f"{{{line}}}"
    found = faults(f"{GOOD}neighbors:\n  - {entry}\n")
    assert [(number, text.removeprefix("neighbors[0]").lstrip(".: ")) for number, text in found] == [(5, what)]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("when: {communities: ['1:2']}", "when: not for direction out"),
        ("as-set: by-validity", "as-set: not for direction out"),
        ("invalid: {action: hold}", "invalid: not possible for local routes: hold; possible: observe or withdraw"),
        ("not-found: {action: withdraw}", "not-found: not possible for local routes: withdraw; possible: observe"),
        ("unverified: {action: hold}", "unverified: not possible for local routes: hold; possible: observe"),
        ("from: [192.0.2.1]", "from: not for direction out, whose routes no neighbor sent"),
    ],
)
def test_a_rule_for_local_routes_at_fault(line: str, what: str) -> None:
    assert faults(f"{GOOD}policy:\n  - direction: out\n    {line}\n") == [(6, f"policy[0].{what}")]


def test_a_rule_for_local_routes() -> None:
    text = "policy:\n  - {direction: out, to: [192.0.2.2], invalid: {action: withdraw}, valid: {action: observe}}\n"
    (rule,) = load(GOOD + text).policy
    assert (rule.direction, rule.to) == ("out", ("192.0.2.2",))


FORM = "expected rfc8097, community:A:B, large:A:B:C or extended:0x... (1 to 16 hex digits)"


@pytest.mark.parametrize(
    ("tag", "why"),
    [
        ("RFC8097", FORM),
        ("community:1", FORM),
        ("community:1:2:3", FORM),
        ("community:65536:1", "65536 is more than 65535"),
        ("large:1:2", FORM),
        ("large:1:2:4294967296", "4294967296 is more than 4294967295"),
        ("large:1:2:-3", FORM),
        ("large:1:2:99999999999", FORM),
        ("extended:0x", FORM),
        ("extended:0x12345678123456781", FORM),
        ("extended:12", FORM),
        ("no-export", FORM),
    ],
)
def test_a_tag_at_fault(tag: str, why: str) -> None:
    text = f'{GOOD}policy:\n  - valid: {{action: announce, tags: ["{tag}"]}}\n'
    assert faults(text) == [(5, f"policy[0].valid.tags[0]: {tag!r}: {why}")]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("http: 9323", "http: '9323': expected ADDRESS:PORT, for IPv6 [ADDRESS]:PORT"),
        ("http: localhost:9323", "http: 'localhost:9323': the part before the port is not an IP address"),
        ("http: '127.0.0.1:70000'", "http: '127.0.0.1:70000': port 70000 is out of range, expected 0 to 65535"),
        ("http: '127.0.0.1'", "http: '127.0.0.1': expected ADDRESS:PORT, for IPv6 [ADDRESS]:PORT"),
        ("http: '::1:9323'", "http: '::1:9323': expected ADDRESS:PORT, for IPv6 [ADDRESS]:PORT"),
        ("rtr-server: {listen: []}", "rtr-server.listen: the list is empty"),
        ("rtr-server: {}", "rtr-server: needs 'listen' or 'tls', or nobody can connect"),
        ("guard: 5%", "guard: expected keys and values, found '5%'"),
        ("guard: {max-newly-invalid: 5}", "guard.max-newly-invalid: '5': expected a share in percent, as 5% or 0.5%"),
        ("guard: {max-shrink: 100.1%}", "guard.max-shrink: '100.1%': out of range, expected 0% to 100%"),
        ("guard: {max-shrink: -1%}", "guard.max-shrink: '-1%': expected a share in percent, as 5% or 0.5%"),
        ("guard: {max-shrink: [5%]}", "guard.max-shrink: expected text, found a list"),
        ("guard: {hold: 0}", "guard.hold: 0 is out of range, expected 1 to 86400"),
        ("start-hold: -1", "start-hold: -1 is out of range, expected 0 to 86400"),
        ("slurm: x.json", "slurm: expected a list, found 'x.json'; did you mean [x.json]?"),
        ("state:", "state: expected text, found nothing"),
        ("policy:", "policy: expected a list, found nothing"),
        ("caches: {}", "caches: given twice, first on line 1"),
        ("on-stop: leave", "on-stop: expected one of keep, withdraw, found 'leave'"),
        ("control: /" + "x" * 100, "control: a unix socket's path has at most 100 bytes, this one 101"),
    ],
)
def test_a_key_of_the_top_at_fault(line: str, what: str) -> None:
    assert faults(f"{GOOD}{line}\n") == [(4, what)]


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("", 1, "the file is empty"),
        ("# only this\n", 1, "the file is empty"),
        ("- 1\n", 1, "the file: expected keys and values, found a list"),
        ("a: 1\nb: [\n", 2, "not YAML: while parsing a flow node"),
        (
            "caches:\n\tgroups: 1\n",
            2,
            (
                "not YAML: while scanning for the next token, found character '\\t' that cannot start any token;"
                " indent with blanks, YAML takes no tabs"
            ),
        ),
        (
            "a:\n  - {host: ::1}\n",
            2,
            (
                "not YAML: while parsing a flow node, expected the node content, but found ':';"
                " put an IPv6 address in quotes"
            ),
        ),
        (
            "a:\n  b\n    - c: 1\n",
            3,
            (
                "not YAML: mapping values are not allowed here; is there no colon at the end of the line before,"
                " or is this one indented further?"
            ),
        ),
        ("caches: 1\n---\ncaches: 2\n", 2, "not YAML: expected a single document"),
        ("a: 1\nb: \x07\n", 2, "not YAML: the character '\\x07' is not allowed"),
        ("[" * 5000, 1, "not YAML that can be read: it is nested too deeply"),
        ("caches: &a [*a]\n", 1, "caches: expected keys and values, found a list"),
        ("caches: !!python/name:os.system x\n", 1, "caches: expected keys and values, found 'x'"),
    ],
)
def test_what_is_no_yaml_has_a_line_too(text: str, line: int, what: str) -> None:
    number, found = faults(text)[0]
    assert number == line
    assert found.startswith(what)


def test_aliases_are_counted_each_time() -> None:
    many = "[" + ", ".join(["*a"] * 200) + "]"
    text = f"slurm: [x]\npolicy:\n  - from: &a 192.0.2.1\n    to: &b {many}\n"
    rules = "".join("  - {to: *b}\n" for _ in range(200))
    assert any(f"more than {MAX_NODES} values" in what for _, what in faults(text + rules))


def test_an_alias_in_its_place_is_fine() -> None:
    found = load(GOOD + "policy:\n  - valid: &tag {action: announce}\n    not-found: *tag\n")
    assert found.policy[0].valid == found.policy[0].not_found


def test_a_file_that_can_not_be_read_is_a_fault_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(tmp_path / "none.yaml")
    assert str(caught.value) == f"{tmp_path / 'none.yaml'}: cannot be read: No such file or directory"


def test_bytes_that_are_no_utf_8_have_their_line(tmp_path: Path) -> None:
    path = tmp_path / "rtrd.yaml"
    path.write_bytes(b"caches:\n  x: \xff\n")
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    assert str(caught.value) == f"{path}:2: not UTF-8: byte 0xff"


def test_a_huge_file_is_not_parsed(tmp_path: Path) -> None:
    path = tmp_path / "rtrd.yaml"
    path.write_bytes(b"#" * (config.MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="this is not a configuration"):
        config.load(path)


SCALARS = st.one_of(st.text(max_size=8), st.integers(), st.none(), st.booleans(), st.floats())
KEYS = st.sampled_from(["caches", "groups", "policy", "valid", "from", "refresh", "servers", "http", "x", "listen"])
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(TREES)
def test_whatever_stands_in_the_file_ends_in_faults_with_lines(tree: object) -> None:
    text = yaml.safe_dump(tree, allow_unicode=True)
    found = faults(text)  # no such tree is a whole configuration
    assert found
    for line, what in found:
        assert 1 <= line <= text.count("\n") + 1
        assert what.isprintable()


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    with pytest.raises(ConfigError):
        load(text)


NOT_SAID = "keys that rtr-server leaves out are taken from caches"
RELAY = "rtr-server: {listen: ['127.0.0.1:3323']"
TLS = "tls: {listen: ['127.0.0.1:324'], certificate: c.pem, key: k.pem}"


@pytest.mark.parametrize("text", [RELAY + "}\n", f"rtr-server: {{{TLS}}}\n", RELAY + f", {TLS}, expire: 86400}}\n"])
def test_the_relay_listens_by_tcp_or_tls(text: str) -> None:
    server = load(GOOD + text).rtr_server
    assert server is not None
    assert server.listen or server.tls


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("rtr-server: {expire: 7200}\n", "rtr-server: needs 'listen' or 'tls', or nobody can connect"),
        (RELAY + ", refresh: 7200}\n", "rtr-server: expire (7200) must be greater than refresh (7200); " + NOT_SAID),
        (f"rtr-server: {{{TLS[:-1]}, check-address: false}}}}\n", "rtr-server.tls.check-address: only with client-ca"),
        (
            RELAY + ", clients: [{match: [192.0.2.1]}]}\n",
            "rtr-server.clients[0]: needs 'max-version', or either 'md5-password-file' or 'tcp-ao'",
        ),
        (
            RELAY + ", clients: [{match: [192.0.2.1], max-version: 3}]}\n",
            "rtr-server.clients[0].max-version: 3 is out of range, expected 0 to 2",
        ),
        (RELAY + ", max-version: -1}\n", "rtr-server.max-version: -1 is out of range, expected 0 to 2"),
        (
            RELAY + ", clients: [{match: [192.0.2.1/24], md5-password-file: f}]}\n",
            "rtr-server.clients[0].match[0]: '192.0.2.1/24': expected an IP address, or a prefix without host bits",
        ),
        (RELAY + ", expire: 600}\n", "rtr-server: expire (600) must be greater than refresh (3600); " + NOT_SAID),
    ],
)
def test_a_relay_that_cannot_be(text: str, what: str) -> None:
    assert what in [found for _, found in faults(GOOD + text)]
