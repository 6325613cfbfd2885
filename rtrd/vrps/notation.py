"""A VRP as people write it: the notation of draft-ietf-sidrops-vrp-notation, and one for shells.

`192.0.2.0/24-24 => AS64500`, or `192.0.2.0/24-24@AS64500`, which needs no quotes. The max length may be left out.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from rtrd.base.notation import parse_asn, parse_prefix, said
from rtrlib.vrp import VRP

EXPECTED = "expected PREFIX-MAXLENGTH@ASN, as 192.0.2.0/24-24@AS64500"


class VRPEdit(NamedTuple):
    """A VRP that appears or disappears in a what-if."""

    vrp: VRP
    appears: bool


def parse_vrp(text: str) -> VRP:
    """Parse one VRP. Raises ValueError with a sentence."""
    match = re.fullmatch(r"([^-@=]{1,50}?)(?:-([0-9]{1,3}))? *(?:@|=>) *([^ ]{1,12})", text)
    if match is None:
        raise ValueError(f"{said(text)} is not a VRP: {EXPECTED}")
    prefix, asn = parse_prefix(match[1]), parse_asn(match[3])
    most = prefix.prefixlen if match[2] is None else int(match[2])
    if not prefix.prefixlen <= most <= prefix.max_prefixlen:
        span = f"{prefix.prefixlen} to {prefix.max_prefixlen}"
        raise ValueError(f"{said(text)} is not a VRP: its max length is out of range, expected {span}")
    return VRP(str(prefix), most, asn)


def parse_edit(text: str) -> VRPEdit:
    """Parse `+VRP` or `-VRP`. Raises ValueError with a sentence."""
    if text[:1] not in ("+", "-"):
        raise ValueError(f"{said(text)}: expected + or - before the VRP")
    return VRPEdit(parse_vrp(text[1:]), appears=text[0] == "+")


def written(prefix: str, max_length: int, asn: int) -> str:
    """Write a VRP as the draft does."""
    return f"{prefix}-{max_length} => AS{asn}"
