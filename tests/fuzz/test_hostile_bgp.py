"""Lines of ExaBGP that nobody should trust, at the whole pipe: no crash, and nothing but commands for routes of theirs.

RTRD_FUZZ is how many examples are tried (`make fuzz`: 20,000 each, with the native core under sanitizers).
"""

import asyncio
import itertools
import json
import os
import re
from copy import deepcopy
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtrd.exabgp.session import ExaBGP
from rtrd.rib.engine import Engine
from tests.lab.engine_story import policy_of
from tests.lab.greeting import greeting
from tests.lab.json_places import get, places, put
from tests.lab.samples import SAMPLES, sample
from tests.lab.vrp_sets import set_of
from tests.unit.test_exabgp_encode import ANNOUNCE, WITHDRAW, communities, extended_communities

EXAMPLES = int(os.environ.get("RTRD_FUZZ", "250"))
FUZZ = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
LINES = [line for file in sorted(SAMPLES.glob("exabgp-*/*.jsonl")) for line in file.read_bytes().splitlines()]
PEER, LISTENER = "127.0.0.2", "127.0.0.3"
POLICY = f"""
policy:
  - to: [{LISTENER}]
    not-found: {{action: announce, tags: ["rfc8097", "large:65000:1:1", "community:65000:1"]}}
    valid: {{action: announce, tags: ["large:65000:1:0", "large:65000:1:2", "extended:0x0002fde800000001"]}}
    invalid: {{action: announce, tags: ["rfc8097"]}}
"""
COMMANDS = re.compile(r"(?:show|neighbor \S+ announce route-refresh|version|#)[ -~]*\n")
UPDATE = sample("update-v4-1") + b"\n"


def commands_for(data: bytes) -> str:
    """What a whole router writes when ExaBGP says that."""

    async def run() -> str:
        stdin, to = os.pipe()
        of, stdout = os.pipe()
        os.set_blocking(of, False)
        # A millisecond passes at each look at the clock: how quick this machine is makes no difference.
        ticks = itertools.count()
        engine = Engine("fuzz", set_of(), policy_of(POLICY))
        router = ExaBGP(engine, stdin, stdout, lambda: None, lambda: next(ticks) / 1000)
        written = b""

        def read() -> None:
            nonlocal written
            try:
                while more := os.read(of, 1 << 16):
                    written += more
            except BlockingIOError:
                pass

        router.start()
        router.feed(greeting(router.gate.window) + b"done\ndone\n")
        router.pump()
        router.feed(data + b"\n")
        for _ in range(200):
            router.pump()
            read()
            await asyncio.sleep(0)
            if not router.gate.window.written and not router.engine.table.state.waiting:
                break
            router.feed(b"done\n" * len(router.gate.window.written))
        read()
        router.close()
        for fd in (stdin, to, of, stdout):
            os.close(fd)
        return written.decode("ascii")

    return asyncio.run(run())


def strings(value: Any) -> set[str]:
    """All strings in a JSON value."""
    if isinstance(value, str):
        return {value}
    if isinstance(value, dict):
        return {one for key, item in value.items() for one in (key, *strings(item))}
    if isinstance(value, list):
        return {one for item in value for one in strings(item)}
    return set()


def check(data: bytes) -> list[str]:
    """Every line is a command of the grammar, for prefixes and with numbers of the input. Gives the announcements."""
    announced: list[str] = []
    said: set[str] = set()
    for row in data.split(b"\n"):
        try:
            said |= strings(json.loads(row))
        except (ValueError, RecursionError):
            said |= set(re.findall(r"[0-9a-f.:]+/[0-9]+", row.decode("ascii", "replace")))
    for line in commands_for(data).splitlines(keepends=True):
        if COMMANDS.fullmatch(line):
            continue
        assert ANNOUNCE.fullmatch(line) or WITHDRAW.fullmatch(line), line
        assert line.startswith(f"neighbor {LISTENER} "), "nobody else is told"
        assert set(re.findall(r"[0-9a-f.:]+/[0-9]+", line)) <= said, "a prefix that nobody said"
        if ANNOUNCE.fullmatch(line):
            announced.append(line)
            check_tags(line)
    return announced


def check_tags(line: str) -> None:
    """Tags are those of the policy for not-found, once; none is another's."""
    extended = extended_communities(line)
    assert [value for value in extended if value >> 48 == 0x4300] == [0x4300000000000001], line
    assert 0x0002FDE800000001 not in extended
    large = communities(line, "large-community", 0x20, "III")
    assert [numbers for numbers in large if numbers[:2] == (65000, 1)] == [(65000, 1, 1)], line
    assert communities(line, "community", 0x08, "HH").count((65000, 1)) == 1, line
    for code in ("0x08", "0x10", "0x20"):
        assert line.count(f"attribute [ {code} ") <= 1, line


EVIL: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(
        [
            "10.0.0.0/8\nannounce route 0.0.0.0/0 next-hop 6.6.6.6", "\0", "\ud800", "10.0.0.0/8\0",
            "\u0661\u0660.0.0.0/8",
            "10.0.0.1/8", "0.0.0.0/0", "::/0", "10.0.0.0/33", "ipv4 unicast", "ipv6 unicast", "", " ", "192.0.2.1; x",
            "fe80::1%eth0\nx", "65000:1:0", "igp", "egp\n", "no-nexthop", "0x4300000000000000", PEER, LISTENER,
            "as-sequence", "as-set", "up", "down", "update", "127.0.0.3, neighbor *",
        ]
    ),
    st.sampled_from([0, 1, -1, 65000, 65535, 65536, 1 << 32, (1 << 64) - 1, 1 << 64, 1 << 200, 0x4300 << 48, 0.5]),
    st.sampled_from([None, True, False, [], {}, [[]], [[65000, 1, 0]], [[65000, 1]], [{"value": 0x4300 << 48}]]),
    st.text(max_size=20),
    st.integers(),
)  # fmt: skip


@cache
def parsed() -> list[Any]:
    good = []
    for line in LINES:
        try:
            good.append(json.loads(line))
        except ValueError:
            continue  # 4.2's route refresh is no JSON
    return good


@st.composite
def changed_lines(draw: st.DrawFn) -> bytes:
    """A line of a sample, with evil values in some places, or evil keys."""
    value = json.loads(json.dumps(draw(st.sampled_from(parsed()))))
    for _ in range(draw(st.integers(0, 3))):
        here = places(value)[1:]
        if not here:
            break
        *way, last = draw(st.sampled_from(here))
        inner = get(value, tuple(way))
        evil = deepcopy(draw(EVIL))  # what is put in may be changed in turn
        if isinstance(inner, dict) and draw(st.booleans()):
            inner[str(evil)] = inner.pop(last)
        else:
            inner[last] = evil
    return json.dumps(value, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")


@st.composite
def torn_lines(draw: st.DrawFn) -> bytes:
    """A line of a sample with octets taken out, put in, or doubled."""
    line = bytearray(draw(st.sampled_from(LINES)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(line)))
        line[at : at + draw(st.integers(0, 9))] = draw(
            st.one_of(
                st.binary(max_size=6), st.sampled_from([b'"', b"{", b"[", b"]}", b"\\", b"\\u0000", b"\n", b"9" * 30])
            )
        )
    return bytes(line)


@FUZZ
@given(st.lists(st.one_of(changed_lines(), torn_lines(), st.sampled_from(LINES)), min_size=1, max_size=6))
def test_only_commands_for_routes_of_the_input(lines: list[bytes]) -> None:
    check(b"\n".join(lines))


@FUZZ
@given(st.lists(st.one_of(st.binary(max_size=300), st.sampled_from(LINES)), max_size=4))
def test_any_octets_between_good_lines_cost_only_themselves(noise: list[bytes]) -> None:
    """Whatever stands in a line of its own, the good route behind it is announced."""
    good = UPDATE.replace(b"20.0.0.0/24", b"203.0.113.0/24")
    lines = [line.replace(b"\n", b"") for line in noise]
    lines = [one for one in lines if b'"down"' not in one and b"withdraw" not in one and one not in (b"done", b"error")]
    announced = check(b"\n".join([*lines, good.strip()]))
    assert any(" 203.0.113.0/24" in line for line in announced) or any(b"state" in line for line in lines)


FORGED = [
    ('"extended-community": [ { "value": %d, "string": "" } ]', [(0x4300 << 48) + n for n in (0, 1, 2, 3, 1 << 40)]),
    ('"extended-community": [ { "value": %d, "string": "" }, { "value": %d } ]', [0x4300 << 48]),
    ('"large-community": [ [ 65000, 1, %d ], [ 65000, 1, 0 ], [ 65000, 1, 2 ] ]', [0, 1, 2]),
    ('"large-community": [ [ 65000 , 1 , %d ] , [65000,1,0] ]', [0, 1]),
    ('"community": [ [ 65000, %d ], [ 65000, 1 ] ]', [1]),
    ('"extended-community": [ { "value": 842122833330177 } ], "med": %d', [5]),
    ('"attribute-0x10-0xC0": "0x430000000000000%d"', [0, 1, 2]),
    ('"attribute-0x20-0xC0": "0x0000fde80000000100000000", "med": %d', [0]),
    ('"large-community": [ [ 65000.0, 1, %d ] ]', [0]),
    ('"large-community": [ [ "65000", 1, %d ] ]', [0]),
    ('"large-community": "65000:1:%d"', [0]),
    ('"large-community": [ [ 65000, 1, %d ] ], "large-community": [ [ 65000, 1, 0 ] ]', [7]),
    ('"l\\u0061rge-community": [ [ 65000, 1, %d ] ]', [0]),
]  # fmt: skip


@pytest.mark.parametrize(("words", "numbers"), FORGED)
def test_forged_tags_are_gone_in_every_spelling(words: str, numbers: list[int]) -> None:
    for number in numbers:
        line = UPDATE.replace(b'"origin": "igp"', b'"origin": "igp", ' + words.replace("%d", str(number)).encode())
        assert line != UPDATE
        check(line)


def test_a_line_of_10_mb() -> None:
    entries = b", ".join(b'{ "nlri": "10.%d.%d.0/24" }' % (n >> 8 & 255, n & 255) for n in range(300_000))
    line = UPDATE.replace(b'{ "nlri": "20.0.0.0/24" }', entries)
    assert len(line) > 8 << 20
    assert check(line + b"\n" + UPDATE)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"neighbor":', b'{"type":"update","neighbor":{"message":'])
def test_deep_nesting(opening: bytes) -> None:
    assert check(opening * 200_000 + b"\n" + UPDATE)


def test_duplicate_keys_are_one_or_none() -> None:
    twice = UPDATE.replace(
        b'"announce":', b'"announce": { "ipv4 unicast": { "6.6.6.6": [ { "nlri": "0.0.0.0/0" } ] } }, "announce":'
    )
    check(twice)


@pytest.mark.parametrize("evil", ["\n", "\0", "\r\n", " ; ", "\ud800", "\u2028"])
def test_evil_in_every_string(evil: str) -> None:
    """The fields one after the other, and all at once."""
    text = json.loads(UPDATE)

    def with_evil(value: Any) -> Any:
        if isinstance(value, str):
            return value + evil + "announce route 0.0.0.0/0 next-hop 6.6.6.6"
        if isinstance(value, dict):
            return {key: with_evil(item) for key, item in value.items()}
        return [with_evil(item) for item in value] if isinstance(value, list) else value

    check(json.dumps(with_evil(text)).encode("utf-8", "surrogatepass"))
    for place in places(text):
        if isinstance(word := get(text, place), str):
            check(json.dumps(put(text, place, with_evil(word))).encode("utf-8", "surrogatepass"))
