"""The parsers of both ExaBGP versions read our commands as what they say: to the octet, on the wire."""

import json
import random
import struct
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from rtrd.exabgp.encode import Form, announce, attribute_words
from rtrd.policy import Treatment
from rtrd.rib.attributes import AttributeSet, OtherAttribute, Segment
from rtrd.tags import VALIDITIES, Tag, rfc8097_tag
from tests.lab import ROOT
from tests.lab.programs import run
from tests.lab.speaker import split

PARSER = ROOT / "tests" / "lab" / "exabgp_own.py"
PYTHONS = {"5.0.15": (sys.executable, "make venv"), "4.2.2": ("/usr/bin/python3", "apt-get install exabgp")}

Wire = dict[int, bytes]


@pytest.fixture(params=PYTHONS)
def python(request: pytest.FixtureRequest) -> str:
    """The Python that has an ExaBGP version; a missing one fails, with the command that installs it."""
    program, install = PYTHONS[request.param]
    said = run(program, "-c", "import exabgp.version as v; print(v.release)").stdout
    assert request.param in said, f"ExaBGP {request.param} is not installed: {install}"
    return program


def asked(python: str, what: str, lines: list[str]) -> list[Any]:
    """What an ExaBGP makes of configurations or commands (see exabgp_own.py)."""
    done = run(python, PARSER, what, input="".join(lines), seconds=120)
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith(("[", "null", '"'))]
    assert len(answers) == len(lines), done.stderr
    return answers


def ordered(code: int, value: bytes) -> bytes:
    """Communities in the order of their values: 5.0 sorts them."""
    size = {8: 4, 16: 8, 32: 12}.get(code)
    return value if size is None else b"".join(sorted(value[i : i + size] for i in range(0, len(value), size)))


def read_wire(octets: bytes) -> Wire:
    """Path attributes by type (RFC 4271 section 4.3), without NEXT_HOP."""
    return {code: ordered(code, value) for code, value in split(octets) if code != 3}


def expected_wire(attributes: AttributeSet, tags: tuple[Tag, ...]) -> Wire:
    """What the attributes are on the wire, toward a neighbor inside our AS."""
    path = b""
    for segment in attributes.as_path:
        for at in range(0, len(segment.asns), 255):
            part = segment.asns[at : at + 255]
            path += struct.pack(f"!BB{len(part)}I", segment.kind, len(part), *part)
    preference = 100 if attributes.local_preference is None else attributes.local_preference
    wire = {1: bytes([attributes.origin or 0]), 2: path, 5: struct.pack("!I", preference)}
    if attributes.med is not None:
        wire[4] = struct.pack("!I", attributes.med)
    wire |= {other.code: other.value for other in attributes.others}
    lists = (
        (8, "!HH", attributes.communities, "standard"),
        (32, "!III", attributes.large_communities, "large"),
        (16, "!Q", tuple((value,) for value in attributes.extended_communities), "extended"),
    )
    for code, form, values, kind in lists:
        numbers = {*values, *(tag.numbers for tag in tags if tag.kind == kind)}
        if numbers:
            wire[code] = ordered(code, b"".join(struct.pack(form, *each) for each in numbers))
    return wire


def check(python: str, cases: Sequence[tuple[AttributeSet, tuple[Tag, ...]]]) -> None:
    commands, path_ids = [], []
    for at, (attributes, tags) in enumerate(cases):
        path_ids.append((None, 0, 1, 0xFFFFFFFF)[at % 4])
        words = attribute_words(attributes, Treatment("announce", tags), form=tuple(Form)[at // 4 % 3])
        prefixes = "10.0.0.0/8 0.0.0.0/0" if attributes.family == 4 else "2001:db8::/32 ::/0"
        if path_ids[-1] is not None:
            prefixes = prefixes.split(maxsplit=1)[0]
        commands.append(announce("neighbor 127.0.0.2", words, path_ids[-1], prefixes))
    answers = asked(python, "commands", commands)
    for (attributes, tags), path_id, command, answer in zip(cases, path_ids, commands, answers, strict=True):
        assert isinstance(answer, list), (command, answer)
        assert len(answer) == (2 if path_id is None else 1), command
        for read_id, next_hop, octets, _ in answer:
            assert read_id == ("" if path_id is None else f"{path_id:08x}"), command
            assert next_hop == attributes.next_hop
            assert read_wire(bytes.fromhex(octets)) == expected_wire(attributes, tags), command


PLAIN = AttributeSet(4, "192.0.2.1", 0, (Segment(2, (65002, 65100)),), 65100)


def test_attribute_sets_of_every_kind(python: str) -> None:
    """Empty, short and long; each segment type; the edges of every number; IPv4 and IPv6."""
    chance = random.Random(8097)

    def number(bits: int) -> int:
        most = (1 << bits) - 1
        return chance.choice([0, 1, most - 1, most, chance.getrandbits(bits), 23456 & most, 65535 & most])

    def several(bits: int, count: int, most: int) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(number(bits) for _ in range(count)) for _ in range(chance.choice([0, 1, 3, most])))

    tags = [tag for validity in VALIDITIES if (tag := rfc8097_tag(validity))]
    tags += [Tag("large", (65000, 1, 0)), Tag("standard", (65000, 1)), Tag("extended", (0x0302 << 48,))]
    cases = []
    for _ in range(400):
        family = chance.choice([4, 6])
        sizes = [chance.choice([1, 2, 5, 255, 256, 300, 511]) for _ in range(chance.choice([0, 1, 1, 2, 3]))]
        attributes = AttributeSet(
            family=family,
            next_hop=f"192.0.2.{number(8)}" if family == 4 else f"2001:db8::{chance.randrange(1, 1 << 16):x}",
            origin=chance.choice([None, 0, 1, 2]),
            as_path=tuple(Segment(chance.choice([1, 2, 2, 3, 4]), tuple(number(32) for _ in range(n))) for n in sizes),
            origin_as=None,
            med=chance.choice([None, number(32)]),
            local_preference=chance.choice([None, number(32)]),
            communities=several(16, 2, 80),  # type: ignore[arg-type]
            large_communities=several(32, 3, 80),  # type: ignore[arg-type]
            extended_communities=tuple(each[0] for each in several(64, 1, 40)),
            others=tuple(
                OtherAttribute(code, flags, chance.randbytes(size))
                for code, flags, size in (
                    (6, 0x40, 0),
                    (7, 0xC0, 8),
                    (9, 0x80, 4),
                    (10, 0x80, 8),
                    (26, 0x80, 11),
                    (35, 0xC0, 4),
                    (99, 0xE0, chance.choice([0, 1, 300])),
                )
                if chance.random() < 0.3
            ),
        )
        cases.append((attributes, tuple(chance.sample(tags, chance.randrange(3)))))
    check(python, cases)


def test_extended_communities_of_every_type(python: str) -> None:
    """ExaBGP looks into some of them: it would lose bits of them, or not answer."""
    cases = [
        (PLAIN._replace(extended_communities=tuple((kind << 8 | subtype) << 48 | rest for rest in rests)), ())
        for kind in [*range(16), 0x16, *range(0x40, 0x50), 0x80, 0x81, 0x82, 0x90, 0xC0, 0xFF]
        for subtype in range(256)
        for rests in [(0, 0x7FC0_0000, (1 << 48) - 1)]
    ]
    check(python, cases)
