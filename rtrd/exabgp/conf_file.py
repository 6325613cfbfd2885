"""ExaBGP's configuration file as ExaBGP 4.2 and 5.0 take it apart: sections and statements, each with its line.

A statement ends on the line on which it begins. Anything may be in such a file: what ExaBGP would refuse or ignore is
reported, and the rest is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from rtrd.base.faults import Report, Severity
from rtrd.base.files import read_file
from rtrd.base.text import printable

MAX_BYTES: Final = 8 << 20
MAX_DEPTH: Final = 16
"""Of nested sections; ExaBGP's own are five deep."""
MAX_STATEMENTS: Final = 100_000
"""That are kept: those of sections with routes are not."""
MAX_REPORTS: Final = 100
"""Of what is no syntax: more would say nothing new."""

_OF_ROUTES: Final = frozenset({"static", "flow", "l2vpn", "announce", "operational"})
"""Sections whose statements say nothing of a session."""
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|.)")
_CONTROL: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_PIECES: Final = re.compile(r"([#;{}\[\],'\" \t\r])")
_WORD_SHOWN: Final = 40
_MARK: Final = "\ufeff"


class ConfFileError(Exception):
    """The file can't be read; the text says why."""


class Statement(NamedTuple):
    """Words up to a `;`."""

    words: tuple[str, ...]
    line: int

    @property
    def value(self) -> str:
        """The word behind the keyword, empty if there is none."""
        return self.words[1] if len(self.words) > 1 else ""


@dataclass
class Section:
    """Words, then `{`, and what is within up to the `}`."""

    words: tuple[str, ...]
    line: int
    statements: list[Statement] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    _latest: dict[str, Statement] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Its keyword; of the whole file, nothing."""
        return self.words[0] if self.words else ""

    @property
    def name(self) -> str:
        """The word behind the keyword, empty if there is none."""
        return self.words[1] if len(self.words) > 1 else ""

    def of_kind(self, kind: str) -> Iterator[Section]:
        """Give the sections within of that keyword."""
        return (each for each in self.sections if each.kind == kind)

    def last(self, keyword: str) -> Statement | None:
        """Give the statement that counts: the last one with that keyword."""
        return self._latest.get(keyword)

    def add(self, statement: Statement) -> None:
        """Take one more statement."""
        self.statements.append(statement)
        self._latest[statement.words[0]] = statement


def last(holders: Iterable[Section], key: str) -> Statement | None:
    """Give the statement that counts: what a neighbor inherits overrules what it says itself."""
    found = None
    for holder in holders:
        found = holder.last(key) or found
    return found


def read(path: Path) -> str:
    """Read the text of a file. Raises ConfFileError."""
    try:
        data = read_file(path, MAX_BYTES)
    except OSError as error:
        raise ConfFileError(f"cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise ConfFileError(f"longer than {MAX_BYTES >> 20} MiB: such a file is not checked")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfFileError(f"not UTF-8: byte 0x{data[error.start]:02x} on line {line}") from error


RouteReader: TypeAlias = Callable[[Sequence[Section], Statement | Section], None]
"""Takes a statement, or the head of a section, within a neighbor and sections of its routes."""


def parse(text: str, report: Report, routes: RouteReader = lambda _within, _what: None) -> Section:
    """Take a text apart; gives the section that is the whole file, without its routes: `routes` takes each."""
    return _Parser(report, routes).parse(text)


class _Parser:
    def __init__(self, report: Report, routes: RouteReader) -> None:
        self._tell = report
        self._read_route = routes
        self._told = 0
        self._kept = 0
        self._full = False
        root = Section((), 1)
        self._open = [root]
        self._routes = 0
        """How many of the open sections have routes, or are within one that has."""

    def parse(self, text: str) -> Section:
        if text.startswith(_MARK):
            self._report(1, "a byte order mark: ExaBGP refuses the file: save it as UTF-8 without one")
        for line, words in _lines(text.removeprefix(_MARK)):
            if not self._line(line, words):
                break
        else:
            for section in self._open[1:]:
                self._report(section.line, f"`{shown(section.words)} {{` is never closed", "warning")
        return self._open[0]

    def _report(self, line: int, what: str, severity: Severity = "fault") -> None:
        self._told += 1
        if self._told <= MAX_REPORTS:
            self._tell(line, what, severity)

    def _line(self, line: int, words: list[str]) -> bool:
        """Take the words of a line; False: ExaBGP reads no further, or we don't."""
        pending: list[str] = []
        for word in words:
            if word not in _ENDS:
                pending.append(word[1:] if word.startswith(_QUOTED) else word)
                continue
            if word == "{":
                if len(self._open) > MAX_DEPTH:
                    self._report(line, f"sections are nested more than {MAX_DEPTH} deep")
                    return False
                self._enter(Section(tuple(pending), line))
            elif word == ";":
                self._statement(Statement(tuple(pending), line))
            elif not self._leave(line, pending):
                return False
            pending = []
        if pending:
            what = f"`{shown(pending)}` isn't ended on its line: ExaBGP wants `;` or `{{` there"
            self._report(line, what)
        return True

    def _enter(self, section: Section) -> None:
        if not section.words:
            self._report(section.line, "`{` without a word before it")
        if self._routes or section.kind in _OF_ROUTES:
            if self._routes:
                self._read_route(self._open[-self._routes - 1 :], section)
            self._routes += 1
        elif self._keep(section.line):
            self._open[-1].sections.append(section)
        self._open.append(section)

    def _leave(self, line: int, pending: list[str]) -> bool:
        if pending:
            self._report(line, f"ExaBGP ignores `{shown(pending)}`: there is no `;` between it and the `}}`")
        if len(self._open) == 1:
            self._report(line, "`}` closes nothing; ExaBGP ignores the rest of the file")
            return False
        self._open.pop()
        self._routes -= self._routes > 0
        return True

    def _statement(self, statement: Statement) -> None:
        if not statement.words:
            self._report(statement.line, "`;` without a word before it")
        elif self._routes:
            self._read_route(self._open[-self._routes - 1 :], statement)
        elif self._keep(statement.line):
            self._open[-1].add(statement)

    def _keep(self, line: int) -> bool:
        self._kept += 1
        if self._kept > MAX_STATEMENTS and not self._full:
            self._full = True
            self._report(line, f"more than {MAX_STATEMENTS} statements: those from here on are not checked", "warning")
        return not self._full


_ENDS: Final = frozenset(";{}")
_QUOTED: Final = "\0"
"""Before a word in quotes: `";"` ends nothing."""


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Give the words of each line; a backslash at a line's end joins the next one to it."""
    joined, began = "", 0
    for number, each in enumerate(text.split("\n"), 1):
        line = each.rstrip()
        began = began or number
        if line.endswith("\\"):
            joined += line
            continue
        yield began, _words(joined + line)
        joined, began = "", 0
    if joined:
        yield began, _words(joined.rstrip("\\"))


def _words(line: str) -> list[str]:
    """Split a line as ExaBGP does: the other kind of quote within quotes opens quotes of its own."""
    if "\\" in line:
        line = _ESCAPE.sub(_unescaped, line)
    found: list[str] = []
    word = quote = ""
    for piece in _PIECES.split(line.replace(_QUOTED, " ")):
        if piece in ("'", '"'):
            if quote == piece:
                found.append(_QUOTED + word)
                word = quote = ""
            else:
                quote = piece
        elif quote or not _PIECES.fullmatch(piece):
            word += piece
        else:
            found += [word] if word else []
            word = ""
            if piece == "#":
                break
            found += [] if piece.isspace() else [piece]
    return [*found, word] if word else found


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    return chr(int(code[1:], 16)) if len(code) > 1 else _CONTROL.get(code, code)


def shown(words: Sequence[str]) -> str:
    """Give words for a message: shortened, control characters escaped."""
    return printable(" ".join(words)[: _WORD_SHOWN + 1], _WORD_SHOWN)
