"""Loads VRPs into Python's two radix trees and validates routes (RFC 6811) with loops, the way people write them."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytricia
import radix

from bench.generate import PACKED, text_of

VALID, NOT_FOUND, INVALID = 0, 1, 2


def _verdict(found: bool, matched: bool) -> int:
    return VALID if matched else INVALID if found else NOT_FOUND


def load_py_radix(file: Path) -> radix.Radix:
    """Read Routinator's CSV, packed by gzip, into a tree."""
    tree = radix.Radix()
    with gzip.open(file, "rt", encoding="ascii") as lines:
        next(lines)
        for line in lines:
            asn, prefix, most, _ = line.split(",")
            address, length = prefix.split("/")
            node = tree.add(network=address, masklen=int(length))
            node.data.setdefault("vrps", []).append((int(asn[2:]), int(most)))
    return tree


def py_radix(vrps: list[bytes]) -> Callable[[list[tuple[int, str, int]]], bytes]:
    """Give a function that validates routes (AS, address, length)."""
    tree = radix.Radix()
    for packed in vrps:
        address, length, most, asn = text_of(packed)
        node = tree.add(f"{address}/{length}")
        node.data.setdefault("vrps", []).append((asn, most))

    def validate(routes: list[tuple[int, str, int]]) -> bytes:
        verdicts = bytearray()
        for asn, address, length in routes:
            nodes = tree.search_covering(f"{address}/{length}")
            matched = any(asn == one and length <= most for node in nodes for one, most in node.data["vrps"])
            verdicts.append(_verdict(bool(nodes), matched))
        return bytes(verdicts)

    return validate


def tricia(vrps: list[bytes]) -> Callable[[list[tuple[int, str, int]]], bytes]:
    """Give the same over pytricia, with a tree for each family."""
    trees = {False: pytricia.PyTricia(32), True: pytricia.PyTricia(128)}
    for packed in vrps:
        address, length, most, asn = text_of(packed)
        tree = trees[PACKED.unpack(packed)[4] == 6]
        key = f"{address}/{length}"
        if tree.has_key(key):
            tree[key].append((asn, most))
        else:
            tree[key] = [(asn, most)]

    def validate(routes: list[tuple[int, str, int]]) -> bytes:
        verdicts = bytearray()
        for asn, address, length in routes:
            tree = trees[":" in address]
            found = matched = False
            prefix = f"{address}/{length}"
            key = tree.get_key(prefix)
            while key is not None and not matched:
                found = True
                matched = any(asn == one and length <= most for one, most in tree[key])
                key = tree.parent(key)
            verdicts.append(_verdict(found, matched))
        return bytes(verdicts)

    return validate
