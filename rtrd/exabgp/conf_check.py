"""What a configuration of ExaBGP lacks of what rtrd needs. Pure."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import PurePosixPath
from typing import Final, NamedTuple

from rtrd.base.faults import FileFault, Severity
from rtrd.base.text import meant
from rtrd.exabgp.conf_file import Section, Statement, last, parse, shown
from rtrd.exabgp.conf_grammar import Grammar
from rtrd.exabgp.conf_program import why_not_run
from rtrd.exabgp.conf_receivers import ConfiguredSession
from rtrd.exabgp.conf_routes import Routes
from rtrd.exabgp.conf_sessions import ConfiguredSessions
from rtrd.exabgp.recommended import HOLD_TIME, WANTED, Wanted, recommended_api

_TRUE: Final = frozenset({"true", "enable", "enabled"})
_FALSE: Final = frozenset({"false", "disable", "disabled"})
_TOLD: Final = (
    ("", "neighbor-changes"),
    *((direction, key) for direction in ("receive", "send") for key in ("packets", "parsed", "update", "open")),
)
"""What rtrd has of an `api` section: keys of its own, of `receive` and of `send`."""
_ROOT: Final = ("process", "template", "neighbor")
MAX_FINDINGS: Final = 200
MAX_WORK: Final = 100_000
"""Sections looked at, those of a template once for each neighbor that inherits it."""
_MAX_MEANT: Final = 100
"""Names among which the one that was meant is looked for."""


class Checked(NamedTuple):
    """What a configuration of ExaBGP is, and what is wrong with it."""

    findings: list[FileFault]
    sessions: list[ConfiguredSession]
    commands: list[tuple[int, tuple[str, ...]]]
    """The command line of each process that runs rtrd, from the word `rtrd` on, with its line."""


@dataclass
class _API:
    """An `api` section, with what it says of each switch."""

    section: Section
    owner: str
    processes: frozenset[str]
    ours: frozenset[str]
    """Those of the processes that run rtrd."""
    switches: dict[str, tuple[bool, int]] = field(default_factory=dict)


def check(text: str, file: str) -> Checked:
    """Check the text of a configuration of ExaBGP; `file` names it in what is found."""
    checker = _Checker(file)
    checker.check(parse(text, checker.report, Routes(checker.report).look))
    return Checked(checker.findings(), checker.sessions, checker.commands)


class _Checker:
    def __init__(self, file: str) -> None:
        self._file = file
        self._found: dict[FileFault, None] = {}
        self._left_out = 0
        self._grammar = Grammar(self.report)
        self._sessions = ConfiguredSessions(self.report)
        self.sessions: list[ConfiguredSession] = []
        self.commands: list[tuple[int, tuple[str, ...]]] = []
        self._templates: dict[str, Section] = {}
        self._processes: dict[str, Section] = {}
        self._ours: set[str] = set()
        self._apis: dict[int, _API] = {}
        self._tellings: set[frozenset[str]] = set()  # which of our processes are told of a neighbor
        self._work = 0

    def report(self, line: int, what: str, severity: Severity = "fault") -> None:
        """Take one finding; those that are said already are not said again."""
        finding = FileFault(self._file, line, what, severity)
        if len(self._found) < MAX_FINDINGS or finding in self._found:
            self._found[finding] = None
        else:
            self._left_out += 1

    def findings(self) -> list[FileFault]:
        """Give what was found, in order of the lines."""
        rest = f"and {self._left_out} more" if self._left_out else ""
        return sorted(self._found) + ([FileFault(self._file, 0, rest)] if rest else [])

    def check(self, root: Section) -> None:
        for each in root.sections:
            if each.kind not in _ROOT:
                self._unknown_section(each)
        for statement in root.statements:
            self.report(statement.line, f"`{shown(statement.words)}`: ExaBGP takes only sections here")
        for process in root.of_kind("process"):
            self._process(process)
        self._want_a_process(root)
        for template in root.of_kind("template"):
            self._grammar.check(template, "template")
            self._template(template)
        groups = [(None, root), *((group, group) for group in root.of_kind("group"))]
        self._neighbors([(group, each) for group, parent in groups for each in parent.of_kind("neighbor")])

    def _template(self, template: Section) -> None:
        for each in template.of_kind("neighbor"):
            self._grammar.named(each, "template")
            self._templates[each.name] = each
            if inherit := each.last("inherit"):
                what = f"template {_name(each)}: ExaBGP doesn't follow `inherit` in a template"
                self.report(inherit.line, what, "warning")

    def _neighbors(self, neighbors: Sequence[tuple[Section | None, Section]]) -> None:
        """Check each neighbor; with it comes the group that it is in."""
        for group, each in neighbors:
            if self._work > MAX_WORK:
                what = "this file inherits so much that neighbors from here on are not checked"
                self.report(each.line, what, "warning")
                break
            self._neighbor(each, group)
        if not neighbors:
            self.report(0, "no neighbor: rtrd would be told nothing")
        if len(self._tellings) > 1:
            second = sorted((self._processes[name].line, name) for name in frozenset.union(*self._tellings))[1]
            what = f"process {shown([second[1]])}: not the only one that runs rtrd: each knows only the neighbors that"
            what += " name it, and ExaBGP refuses what it announces to others: have one process in all of them"
            self.report(second[0], what, "warning")

    def _unknown_section(self, section: Section) -> None:
        if section.kind == "group":
            what = "`group` is syntax of ExaBGP 3: write `template { neighbor NAME { ... } }`, and `inherit NAME;`"
            self.report(section.line, what)
            return
        near = meant(section.kind, _ROOT)
        hint = f"did you mean {near!r}?" if near else f"known here: {', '.join(_ROOT)}"
        self.report(section.line, f"unknown section {shown(section.words[:1])!r}; {hint}")

    def _process(self, process: Section) -> None:
        where = f"process {_name(process)}"
        if process.name in self._processes:
            self.report(process.line, f"{where}: also on line {self._processes[process.name].line}")
        self._processes[process.name] = process
        self._grammar.check(process, where)
        run = process.last("run")
        command = _rtrd(run.words[1:]) if run else ()
        if run and command:
            self._ours.add(process.name)
            self._our_process(process, run, command, where)
            return
        for key in ("run", "encoder"):
            if process.last(key) is None:
                self.report(process.line, f"{where}: `{key}` is missing: ExaBGP refuses the file")

    def _our_process(self, process: Section, run: Statement, command: tuple[str, ...], where: str) -> None:
        """Check a process that runs rtrd."""
        self.commands.append((run.line, command))
        if any(" " in word for word in run.words[1:2]):
            self.report(run.line, f"{where}: run: in quotes this is the name of one program: leave them out")
        elif (why := why_not_run(run.value, self._file)) is not None:
            self.report(run.line, f"{where}: run: {shown([run.value])} {why}", "warning")
        words = command[1:]
        if words[:1] not in (("attach",), ("run",)) or (words[0] == "run" and "--exabgp" not in words):
            what = "run `rtrd attach`, or `rtrd run -c FILE --exabgp`: only these speak with ExaBGP"
            self.report(run.line, f"{where}: {what}")
        encoder = process.last("encoder")
        if encoder is None or encoder.value != "json":
            line = encoder.line if encoder else process.line
            self.report(line, f"{where}: write `encoder json;`: rtrd reads nothing else")
        respawn = process.last("respawn")
        if respawn is not None and self._switch(respawn, bare=True) is False:
            what = "with `respawn false` ExaBGP exits at the first event after rtrd was killed"
            self.report(respawn.line, f"{where}: {what}", "warning")

    def _want_a_process(self, root: Section) -> None:
        if self._ours:
            return
        first = next(root.of_kind("process"), None)
        what = "no process runs rtrd: write `process rtrd { run /usr/bin/rtrd attach; encoder json; }`"
        self.report(first.line if first else 0, what)

    def _neighbor(self, neighbor: Section, group: Section | None) -> None:
        where = f"neighbor {_name(neighbor)}"
        self._grammar.check(neighbor, where)
        parts = [neighbor, *([group] if group else ()), *self._inherited(neighbor, where)]
        self._work += sum(1 + len(part.sections) for part in parts)
        session = self._sessions.session(neighbor, parts, where)
        self._timers(parts, where)
        self._families(parts, where)
        self._switches(parts, where)
        apis = [self._api(section, part) for part in parts for section in part.of_kind("api")]
        self._told(apis, neighbor, where)
        if session is not None:
            self.sessions.append(session._replace(needs_opens=self._needs_opens(apis, parts)))

    def _needs_opens(self, apis: Sequence[_API], parts: Sequence[Section]) -> bool:
        add_path = last([each for part in parts for each in part.of_kind("capability")], "add-path")
        ids = add_path is not None and add_path.value.lower() not in _FALSE | {"disabled"}
        return ids and any(api.ours and self._on(api, "receive", "packets") for api in apis)

    def _inherited(self, neighbor: Section, where: str) -> Iterator[Section]:
        for statement in neighbor.statements:
            if statement.words[0] != "inherit":
                continue
            for name in _names(statement.words[1:]):
                template = self._templates.get(name)
                if template is not None:
                    if template.line > neighbor.line:
                        what = f"{where}: template {shown([name])} is on line {template.line}: ExaBGP wants it before"
                        self.report(statement.line, what)
                    yield template
                    continue
                what = f"{where}: there is no template {shown([name])!r}{_meant(name, self._templates)}"
                self.report(statement.line, what)

    def _timers(self, parts: Sequence[Section], where: str) -> None:
        hold = last(parts, "hold-time")
        if hold is not None and re.fullmatch("[0-9]{1,5}", hold.value) and 2 < int(hold.value) < HOLD_TIME:
            what = f"hold-time {hold.value}: take {HOLD_TIME} or more, since ExaBGP sends no keepalives while it works"
            self.report(hold.line, f"{where}: {what}", "warning")

    def _families(self, parts: Sequence[Section], where: str) -> None:
        sections = [each for part in parts for each in part.of_kind("family") if each.statements]
        unicast = (("ipv4", "unicast"), ("ipv6", "unicast"), ("all",))
        if sections and not any(statement.words[:2] in unicast for each in sections for statement in each.statements):
            what = "neither `ipv4 unicast` nor `ipv6 unicast`: rtrd validates no other family"
            self.report(sections[0].line, f"{where}: {what}", "warning")

    def _switches(self, parts: Sequence[Section], where: str) -> None:
        """Look at what stands in the neighbor itself, or in its capabilities."""
        for wanted in WANTED:
            if wanted.section not in ("neighbor", "capability"):
                continue
            found, line, owner = wanted.default, parts[0].line, where
            for part in parts:
                for holder in (part,) if wanted.section == "neighbor" else part.of_kind("capability"):
                    if statement := holder.last(wanted.key):
                        on = self._switch(statement, bare=wanted.bare)
                        found, line, owner = wanted.on if on is None else on, statement.line, self._owner(part)
            if found != wanted.on:
                self._want(wanted, line, owner)

    def _want(self, wanted: Wanted, line: int, where: str) -> None:
        """Say what to write. A section with several neighbors is told of once."""
        within = "" if wanted.section == "neighbor" else f"{wanted.section}: "
        bare = wanted.on and wanted.bare and wanted.section in ("api", "receive")
        write = f"{wanted.key};" if bare else f"{wanted.key} {'enable' if wanted.on else 'disable'};"
        doing = f"write `{write}`" if wanted.on or wanted.default else f"leave out `{wanted.key}`"
        self.report(line, f"{where}: {within}{doing}: {wanted.why}", wanted.severity)

    def _api(self, section: Section, owner: Section) -> _API:
        if id(section) in self._apis:
            return self._apis[id(section)]
        names = section.last("processes")
        processes = frozenset(_names(names.words[1:]) if names else ())
        api = self._apis[id(section)] = _API(section, self._owner(owner), processes, processes & self._ours)
        for holder in (section, *section.of_kind("receive")):
            api.switches.update(self._switches_of(holder))
        if names is not None:
            self._processes_named(api, names)
        elif match := section.last("processes-match"):
            what = (
                "4.2 doesn't know `processes-match`, and 5.0 tells such processes nothing: write `processes [ rtrd ];`"
            )
            self.report(match.line, f"{api.owner}: api: {what}")
        return api

    def _switches_of(self, holder: Section) -> Iterator[tuple[str, tuple[bool, int]]]:
        for wanted in WANTED:
            if wanted.section == holder.kind and (statement := holder.last(wanted.key)):
                found = self._switch(statement, bare=wanted.bare)
                yield wanted.key, (wanted.on if found is None else found, statement.line)

    def _processes_named(self, api: _API, names: Statement) -> None:
        if not api.processes:
            self.report(names.line, f"{api.owner}: api: write `processes [ rtrd ];`, with blanks and brackets")
        named = Counter(_names(names.words[1:]))
        for name in sorted(api.ours):
            if named[name] > 1:
                what = f"{api.owner}: api: process {shown([name])} is named twice: ExaBGP writes it each line twice"
                self.report(names.line, what, "warning")
        for name in api.processes - self._processes.keys():
            what = f"{api.owner}: api: there is no process {shown([name])!r}{_meant(name, self._processes)}"
            self.report(names.line, what)

    def _told(self, apis: Sequence[_API], neighbor: Section, where: str) -> None:
        """Want rtrd to be told of the neighbor."""
        ours = [api for api in apis if api.ours]
        if not ours:
            name = min(self._ours, default="rtrd")
            if apis:
                what = f"rtrd is told nothing of it: write `processes [ {shown([name])} ];`"
                self.report(apis[0].section.line, f"{apis[0].owner}: api: {what}")
            else:
                lines = " ".join(recommended_api(name))
                what = f"no `api` section: rtrd is told nothing of it: write `{lines}`"
                self.report(neighbor.line, f"{where}: {what}")
            return
        names = frozenset(name for api in ours for name in api.ours)
        self._tellings.add(names)
        if len(names) > 1:
            what = f"{len(names)} processes run rtrd for it ({shown(sorted(names))}): both would announce its routes"
            self.report(neighbor.line, f"{where}: {what}", "warning")
        self._doubled(ours, where)
        parsed = self._only_parsed(ours, where)
        for wanted in WANTED:
            if wanted.section not in ("api", "receive") or (parsed and wanted.key in ("parsed", "packets")):
                continue
            said = [api.switches[wanted.key] for api in ours if wanted.key in api.switches]
            found = any(on for on, _ in said) if said else wanted.default
            if found != wanted.on:
                self._want(wanted, _line(said, ours[0], wanted), ours[0].owner)

    def _doubled(self, ours: Sequence[_API], where: str) -> None:
        """Find what two `api` sections of a neighbor have one process told."""
        first: dict[tuple[str, tuple[str, str]], _API] = {}
        for api in ours:
            for asked in [(name, key) for name in sorted(api.ours) for key in _TOLD if self._asks(api, *key)]:
                other = first.setdefault(asked, api)
                if other is not api:
                    what = f"{where}: api: `{' '.join(asked[1]).strip()}` is on line {other.section.line}, too"
                    what += f", for process {shown([asked[0]])}: ExaBGP writes it such lines twice"
                    self.report(api.section.line, what, "warning")
                    return

    def _asks(self, api: _API, direction: str, key: str) -> bool:
        return self._on(api, direction, key) if direction else api.switches.get(key, (False, 0))[0]

    def _only_parsed(self, ours: Sequence[_API], where: str) -> bool:
        """Tell whether UPDATEs come decoded alone; want the OPENs of those that come as octets: else none is read."""
        packets = any(self._on(api, "receive", "packets") for api in ours)
        if any(self._on(api, "receive", "parsed") for api in ours):
            if not packets:
                what = "better `receive { packets; update; open; } send { packets; open; }`: `parsed` loses attributes"
                self.report(ours[0].section.line, f"{ours[0].owner}: api: {what}", "warning")
            return not packets
        if not packets:
            return False
        for direction, key in (("receive", "open"), ("send", "packets"), ("send", "open")):
            if not any(self._on(api, direction, key) for api in ours):
                what = f"{direction}: write `{key};`: without both OPENs rtrd can't read packets"
                self.report(ours[0].section.line, f"{where}: api: {what}", "fault")
        return False

    def _on(self, api: _API, direction: str, key: str) -> bool:
        statements = (each.last(key) for each in api.section.of_kind(direction))
        return any(statement is not None and self._switch(statement, bare=True) for statement in statements)

    def _owner(self, section: Section) -> str:
        kind = "template" if self._templates.get(section.name) is section else section.kind
        return f"{kind} {_name(section)}"

    def _switch(self, statement: Statement, *, bare: bool) -> bool | None:
        """Tell whether it is on; None: the word behind it is neither."""
        value = statement.value.lower()
        return (bare if not value else value in _TRUE) if not value or value in _TRUE | _FALSE else None


def _line(said: Sequence[tuple[bool, int]], api: _API, wanted: Wanted) -> int:
    """Give the line of the word that is wrong, else that of the section where it is missing."""
    wrong = [line for on, line in said if on != wanted.on]
    if wrong:
        return wrong[0]
    holder = next(api.section.of_kind("receive"), api.section) if wanted.section == "receive" else api.section
    return holder.line


def _name(section: Section) -> str:
    return shown([section.name]) if section.name else "without a name"


def _meant(name: str, known: Iterable[str]) -> str:
    """Ask for the known name that a mistyped one probably is."""
    near = difflib.get_close_matches(name[:_MAX_MEANT], list(islice(known, _MAX_MEANT)), n=1)
    return f"; did you mean {shown(near)!r}?" if near else ""


def _names(words: Iterable[str]) -> Iterator[str]:
    """Give the names of a list; `inherit` takes one without brackets, too."""
    return (word for word in words if word not in ("[", "]", ","))


def _rtrd(words: Sequence[str]) -> tuple[str, ...]:
    """Give a command line from the word `rtrd` on, whatever stands before it (`env`, `sudo -u rtrd`); else nothing."""
    flat = [part for word in words for part in word.split()]
    at = [number for number, word in enumerate(flat) if PurePosixPath(word).name == "rtrd"]
    said = next((number for number in at if flat[number + 1 : number + 2] in (["attach"], ["run"])), None)
    return tuple(flat[(at[0] if said is None else said) :]) if at else ()
