"""Lines that are like one that was decoded before: whatever comes, they do what they would do decoded one by one."""

import asyncio
import os
import random
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import lines
from bench.lines import Speaker
from rtrd.exabgp import session
from rtrd.exabgp.decode import DecodeError, Octets, decode
from rtrd.exabgp.senders import Senders
from rtrd.exabgp.session import ExaBGP
from rtrd.rib.bgp_session import BGPSession
from rtrd.rib.engine import Engine
from tests.lab.engine_story import policy_of
from tests.lab.samples import SAMPLES, sample
from tests.lab.vrp_sets import set_of

FILES = sorted(SAMPLES.glob("packets-*/*.jsonl"))
VERSIONS = ("4.2.21", "4.2.25", "5.0.15")
SPEAKERS = [Speaker(peer=f"127.0.0.{number}", peer_as=65000 + number) for number in (2, 3, 4)]
GREETING = b"".join(line for one in SPEAKERS for line in (*lines.opens(one), lines.session(one)))


def updates(file: Path) -> list[bytes]:
    """The lines of a file that bring an UPDATE of a neighbor."""
    found = []
    for line in file.read_bytes().splitlines():
        with suppress(DecodeError):  # answers, and what 4.2 writes of some peers is no JSON
            event = decode(line)
            if type(event) is Octets and (event.kind, event.direction) == ("update", "receive"):
                found.append(line)
    return found


def told(text: bytes, *, one_by_one: bool = False, most_attributes: int = 0) -> dict[str, Any]:
    """What a router knows after it was told a text of whole lines; `one_by_one`: each of them is decoded."""

    async def run() -> dict[str, Any]:
        fds = [*os.pipe(), *os.pipe()]
        engine = Engine("one", set_of(), policy_of("policy: []"))
        router = ExaBGP(engine, fds[0], fds[3], lambda: None, lambda: 1.0, wall=lambda: 1.0)
        if most_attributes:
            engine.set_most_attributes(most_attributes)
        for some in text.splitlines(keepends=True) if one_by_one else [text]:
            router.feed(some)
            if one_by_one:
                router.conversation.senders.clear()
        routes = [(neighbor, route._replace(attributes=0)) for neighbor, route in engine.routes()]
        keys = [engine.table.attributes_key(route.attributes) for _, route in engine.routes()]
        found = {
            "routes": routes, "keys": keys, "lines": router.lines, "undecodable": router.undecodable,
            "others": engine.others, "left out": engine.left_out, "full": engine.full,
            "counts": engine.sessions.counts_by_neighbor(), "path ids": engine.receivers.bits,
        }  # fmt: skip
        router.close()
        for fd in fds:
            os.close(fd)
        return found

    return asyncio.run(run())


@pytest.mark.parametrize("version", VERSIONS)
def test_every_update_that_exabgp_writes_is_understood(version: str) -> None:
    senders, engine = Senders(), Engine("one", set_of(), policy_of("policy: []"))
    engine.receive(
        "127.0.0.2",
        BGPSession(65001, 65002, four_octet_as=True, path_ids=frozenset(), extended_next_hop=False),
        bytes(4),
    )
    for line in (line for file in FILES if version in str(file) for line in updates(file)):
        senders.clear()
        senders.understood(line, "127.0.0.2", engine.sessions.by_name["127.0.0.2"])
        assert len(senders.lines) == 1
        assert engine.receive_lines(senders.lines, line + b"\n", 0).lines == 1


def lines_of(speaker: Speaker, count: int, packing: int = 1) -> list[bytes]:
    routes = [lines.Route(f"10.{speaker.peer[-1]}.{number}.0/24", 64500 + number % 3) for number in range(count)]
    return [lines.in_octets(line) for line in lines.updates(routes, packing, speaker)]


def test_lines_of_neighbors_in_turn_are_decoded_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[bytes] = []
    monkeypatch.setattr(session, "decode", lambda line: decoded.append(line) or decode(line))  # type: ignore[func-returns-value]
    each = [lines_of(speaker, 50) for speaker in SPEAKERS]
    text = GREETING + b"".join(line for turn in zip(*each, strict=True) for line in turn)
    found = told(text)
    assert len(decoded) == GREETING.count(b"\n") + 3
    assert len(found["routes"]) == 150
    assert found["lines"] == text.count(b"\n")


def test_what_is_said_of_a_session_has_the_next_line_decoded_again() -> None:
    first, second, *_ = SPEAKERS
    down = lines.session(first, "down")
    found = told(GREETING + b"".join((*lines_of(first, 5), down, *lines_of(first, 2), *lines_of(second, 1))))
    assert len(found["routes"]) == 1
    assert found["undecodable"] == 2, "by what the next session agrees on its UPDATEs are read"


HEX = sample("update-v4-1", "packets-5.0.15").partition(b'"body": "0x')[2].partition(b'"')[0]
STRANGE = st.sampled_from([
    b"", b"0", HEX[:-1], HEX[:40], HEX + b"G0", HEX.lower(), b"00000000", b"0000", HEX[:20] + b"FF" + HEX[22:],
    HEX + b"20E0000001", HEX + b"08FF", b"FF" * 66000, HEX + b" ", b"\\u0030" + HEX[1:],
])  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(SPEAKERS), st.integers(0, 8), st.none() | STRANGE), max_size=12))
def test_whatever_comes_is_what_it_is_one_by_one(said: list[tuple[Speaker, int, bytes | None]]) -> None:
    made = []
    for speaker, number, body in said:
        line = lines_of(speaker, 9, packing=1)[number]
        head, mark, rest = line.partition(b'"body": "0x')
        made.append(line if body is None else head + mark + body + rest[rest.index(b'"') :])
    text = GREETING + b"".join(made)
    assert told(text) == told(text, one_by_one=True)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_line_with_something_else_in_it_is_no_line_like_before(data: st.DataObject) -> None:
    """Of its constant text any octet may change: then it is decoded, and does what it says."""
    first, second = lines_of(SPEAKERS[0], 2)
    at = data.draw(st.integers(0, len(second) - 2))
    changed = second[:at] + bytes([data.draw(st.integers(32, 126))]) + second[at + 1 :]
    text = GREETING + first + changed
    assert told(text) == told(text, one_by_one=True)


def attribute(flags: int, code: int, value: bytes) -> bytes:
    return struct.pack("!BBH", flags | 0x10, code, len(value)) + value


def nlri(rng: random.Random, most: int) -> bytes:
    """Some of few prefixes, so that a line changes what the one before it did."""
    return b"".join(bytes([16, 10, rng.randrange(6)]) for _ in range(rng.randint(0, most)))


def body(rng: random.Random, speaker: Speaker) -> bytes:
    """An UPDATE that withdraws and announces, in one family or both, with one of few sets and sometimes a fault."""
    path = struct.pack("!BBII", 2, 2, speaker.peer_as, rng.choice((64500, 64501, 0)))
    octets = attribute(0x40, 1, bytes([rng.choice((0, 0, 0, 9))])) + attribute(0x40, 2, path)
    octets += attribute(0x40, 3, bytes([rng.choice((192, 192, 192, 224)), 0, 2, 1]))
    octets += attribute(0xC0, 8, struct.pack("!HH", 65000, 1) * rng.choice((1, 40)))
    some = [bytes([32, 0x20, 1, 0x0D, number]) for number in range(rng.randrange(4))]
    if rng.random() < 0.4:
        octets += attribute(0x80, 14, b"\0\2\1\x10\x20\1" + bytes(13) + b"\1\0" + b"".join(some))
    if rng.random() < 0.3:
        octets += attribute(0x80, 15, b"\0\2\1" + b"".join(some[:1]))
    withdrawn = nlri(rng, 2)
    made = struct.pack("!H", len(withdrawn)) + withdrawn + struct.pack("!H", len(octets)) + octets + nlri(rng, 3)
    return made[: rng.randrange(len(made))] if rng.random() < 0.05 else made


@pytest.mark.parametrize("most_attributes", [0, 300, 2000])
def test_lines_that_change_what_the_next_one_finds(most_attributes: int) -> None:
    """A line is read before the one ahead of it is taken: that one may free its attribute set, or leave no room."""
    for seed in range(25):
        rng = random.Random(seed)
        made = []
        for _ in range(rng.choice((2, 9, 60))):
            speaker = rng.choice(SPEAKERS)
            head, mark, rest = lines_of(speaker, 1)[0].partition(b'"body": "0x')
            made.append(head + mark + body(rng, speaker).hex().upper().encode() + rest[rest.index(b'"') :])
        text = GREETING + b"".join(made)
        found = told(text, most_attributes=most_attributes)
        assert found == told(text, one_by_one=True, most_attributes=most_attributes), seed
