"""The templates by which rtrclient exports VRPs: what it uses of mustache, sections and variables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final, TypeAlias

from rtrlib.records import PFXRecord

__all__ = ["TEMPLATES", "TemplateError", "render"]

TEMPLATES: Final = {
    "default": "{{#roas}}\n{{prefix}}/{{length}}-{{maxlen}} AS {{origin}}\n{{/roas}}\n",
    "csv": "{{#roas}}\n{{prefix}}, {{length}}, {{maxlen}}, {{origin}}\n{{/roas}}\n",
    "csvwithheader": (
        "prefix, minlen, maxlen, asn\n{{#roas}}\n{{prefix}}, {{length}}, {{maxlen}}, {{origin}}\n{{/roas}}\n"
    ),
    "json": (
        '[\n{{#roas}}\n\t{\n\t\t"prefix": "{{prefix}}",\n\t\t"length": "{{length}}",\n\t\t"maxlen": "{{maxlen}}",\n'
        '\t\t"origin": "{{origin}}"\n\t}{{^last}},{{/last}}\n{{/roas}}\n]\n'
    ),
}
"""Those that rtrclient has built in, by name."""
_TAG: Final = re.compile(r"\{\{\{?\s*([#^/!&]?)\s*([^{}]*?)\s*\}\}\}?")
_ALONE: Final = re.compile(r"^[ \t]*(\{\{\s*[#^/!][^{}]*\}\})[ \t]*\r?\n", re.MULTILINE)
"""A tag that opens or closes a section and has a line for itself, which is left out."""
_VARIABLES: Final = {"prefix", "length", "maxlen", "origin"}

Node: TypeAlias = "str | tuple[str, str, list[Node]]"
"""Text, or a tag: its kind, its name, and what a section has in it."""


class TemplateError(ValueError):
    """The text is no template; it says where and why."""


def render(template: str, records: Iterable[PFXRecord]) -> Iterator[str]:
    """Give the template's text for these VRPs, piece by piece. TemplateError before the first one."""
    nodes = _parse(template)
    return _render(nodes, records)


def _render(nodes: list[Node], records: Iterable[PFXRecord]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, str):
            yield node
        elif node[0] == "#" and node[1] == "roas":
            yield from _each(node[2], records)


def _each(nodes: list[Node], records: Iterable[PFXRecord]) -> Iterator[str]:
    before: PFXRecord | None = None
    for record in chain(records, [None]):
        if before is not None:
            yield "".join(_one(nodes, before, last=record is None))
        before = record


def _one(nodes: list[Node], record: PFXRecord, *, last: bool) -> Iterator[str]:
    values = {"origin": record[0], "prefix": record[1], "length": record[2], "maxlen": record[3]}
    for node in nodes:
        if isinstance(node, str):
            yield node
        elif node[0] in {"", "&"}:
            yield str(values[node[1]])
        elif (node[0] == "#") is last:
            yield from _one(node[2], record, last=last)


def _parse(template: str) -> list[Node]:
    text = _ALONE.sub(r"\1", template)
    sections: list[tuple[str, str, list[Node]]] = [("", "", [])]
    """Those that are open, the innermost last."""
    at = 0
    for tag in _TAG.finditer(text):
        sections[-1][2].append(text[at : tag.start()])
        at = tag.end()
        wrong = _take(sections, tag[1], tag[2])
        if wrong is not None:
            raise TemplateError(f"line {text.count(chr(10), 0, tag.start()) + 1}: {wrong}")
    if len(sections) > 1:
        raise TemplateError(f"the section {sections[-1][1]!r} does not end")
    sections[0][2].append(text[at:])
    return sections[0][2]


def _take(sections: list[tuple[str, str, list[Node]]], kind: str, name: str) -> str | None:
    """Take a tag into the section that is open; say what is wrong with it."""
    if kind in {"#", "^"}:
        if name != ("last" if len(sections) > 1 else "roas"):
            return f"there is no section {name!r} here: expected roas, and last in it"
        sections.append((kind, name, []))
    elif kind == "/":
        if sections[-1][1] != name:
            return f"{name!r} ends here and did not begin"
        section = sections.pop()
        sections[-1][2].append(section)
    elif kind != "!":
        if name not in _VARIABLES or len(sections) < 2:
            return f"there is no variable {name!r} here: expected {', '.join(sorted(_VARIABLES))} in roas"
        sections[-1][2].append((kind, name, []))
    return None
