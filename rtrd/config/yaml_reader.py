"""Reads YAML into msgspec Structs, and reports every fault with its line.

msgspec stops at the first fault and knows no lines. So the Structs say what is allowed (types, ranges,
choices), and this module walks the YAML node graph beside them and goes on after a fault.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec
import yaml
from msgspec import inspect

from rtrd.base.faults import FileFault, Report, Severity
from rtrd.base.text import meant

MAX_NODES: Final = 20_000
"""Bound on what is walked: aliases can make a small file stand for a huge one."""

SHOWN: Final = 60
"""Characters of a faulty value that a message repeats."""

_TAG = "tag:yaml.org,2002:"
_KINDS = {
    f"{_TAG}null": "nothing",
    f"{_TAG}bool": "true or false",
    f"{_TAG}int": "a number",
    f"{_TAG}float": "a number with a fraction",
    f"{_TAG}timestamp": "a date",
    f"{_TAG}map": "keys and values",
    f"{_TAG}seq": "a list",
    f"{_TAG}str": "text",
}

FAULTY: Final = object()
"""Instead of a value that is at fault."""


@dataclass
class Node:
    """What is at one node of the file, for the checks that look at several keys together."""

    line: int
    path: str
    value: Any = FAULTY
    keys: dict[str, Node] = field(default_factory=dict)
    items: list[Node] = field(default_factory=list)

    def get(self, key: str, default: Any = FAULTY) -> Any:
        """Return the value of a key, the default if it is absent, FAULTY if it is at fault."""
        return self.keys[key].value if key in self.keys else default

    def line_of(self, key: str) -> int:
        """Return the line of a key, or that of the mapping if the key is absent."""
        return self.keys[key].line if key in self.keys else self.line


Check = Callable[[Node, Report], None]
Leaf = Callable[[str], Any]


class Schema(msgspec.Struct, frozen=True):
    """How a file is read: the Struct at its root, parsers of texts, checks of several keys together.

    A parser raises ValueError with a sentence. A check runs also when other keys of its mapping are at fault.
    """

    root: type[msgspec.Struct]
    leaves: Mapping[Any, Leaf]
    numeric: frozenset[Any]
    """Leaves whose parsers are also asked of what YAML takes for a number: they know better what is missing."""
    checks: Mapping[type, Check]
    short: Mapping[type, Leaf] = {}
    """Parsers of texts that may stand for a whole mapping, by its Struct."""
    wanted: Mapping[type, str] = {}
    """What to write where nothing stands for one of these, or a list of them."""
    said_of: Mapping[frozenset[str], str] = {}
    """What to say to whoever writes none of these words, and nothing that is like one."""


def shown(text: object) -> str:
    """Return a value for a message: quoted, shortened, control characters escaped."""
    full = str(text)
    return repr(full if len(full) <= SHOWN else full[:SHOWN] + "...")


def alternatives(kind: inspect.Type) -> list[inspect.Type]:
    """Give the types that a key's value may have: `X | None` only says that the key may be left out."""
    members = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    return [member for member in members if not isinstance(member, inspect.NoneType)]


class YAMLReading(NamedTuple):
    """What a file says, and what is wrong with it."""

    root: Node
    """`root.value` is the root Struct, FAULTY when there are faults."""
    findings: list[FileFault]
    """Faults and warnings, in order of their lines."""


def read(text: str, file: str, schema: Schema) -> YAMLReading:
    """Read a file's text; `file` names it in what is found."""
    nothing = Node(1, "")
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # What is missing at the end of the file is missing after its last line, not on one that isn't there.
        line = min(mark.line + 1, len(text.splitlines())) if mark else 1
        return YAMLReading(nothing, [FileFault(file, line, f"not YAML: {_sentence(error)}")])
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        return YAMLReading(
            nothing, [FileFault(file, line, f"not YAML: the character {shown(chr(_code(error)))} is not allowed")]
        )
    except RecursionError:
        return YAMLReading(nothing, [FileFault(file, 1, "not YAML that can be read: it is nested too deeply")])
    walk = _Walk(file, schema)
    if node is None:
        walk.report(1, "the file is empty")
        return YAMLReading(nothing, walk.findings)
    found = walk.struct(node, inspect.type_info(schema.root), "")
    if walk.faults:
        found.value = FAULTY
    return YAMLReading(found, sorted(set(walk.findings)))


def _code(error: yaml.reader.ReaderError) -> int:
    character = error.character
    return character if isinstance(character, int) else ord(character[:1])


def _sentence(error: yaml.MarkedYAMLError) -> str:
    parts = [error.context, error.problem]
    text = ", ".join(part for part in parts if part)
    if r"'\t'" in text:
        text += "; indent with blanks, YAML takes no tabs"
    elif text.endswith("found ':'"):
        text += "; put an IPv6 address in quotes"
    elif text.startswith("mapping values are not allowed"):
        text += "; is there no colon at the end of the line before, or is this one indented further?"
    began, ended = error.context_mark, error.problem_mark
    if began is not None and ended is not None and began.line < ended.line:
        text += f" (began on line {began.line + 1})"
    return text


class _Walk:
    """One pass over the node graph; collects faults instead of stopping."""

    def __init__(self, file: str, schema: Schema) -> None:
        self.file = file
        self.schema = schema
        self.findings: list[FileFault] = []
        self.faults = 0
        self._visited = 0
        self._readers: Mapping[type[inspect.Type], Callable[[yaml.Node, Any, Node], None]] = {
            inspect.VarTupleType: self._list,
            inspect.LiteralType: self._choice,
            inspect.IntType: self._number,
            inspect.BoolType: lambda node, _, found: self._bool(node, found),
            inspect.StrType: lambda node, _, found: self._leaf(node, str, found),
        }

    def report(self, line: int, what: str, severity: Severity = "fault") -> None:
        self.findings.append(FileFault(self.file, line, what, severity))
        self.faults += severity == "fault"

    def any(self, node: yaml.Node, kind: inspect.Type, path: str) -> Node:
        """Read a node as the type says; whatever is wrong is reported and leaves FAULTY."""
        self._visited += 1
        found = Node(_line(node), path)
        if self._visited > MAX_NODES:
            if self._visited == MAX_NODES + 1:
                self.report(found.line, f"{path}: more than {MAX_NODES} values, aliases counted each time")
            return found
        kinds, mapping = alternatives(kind), isinstance(node, yaml.MappingNode)
        kind = next((one for one in kinds if isinstance(one, inspect.StructType) == mapping), kinds[0])
        kind = next((one for one in kinds if _lacks_braces(node, one, kind)), kind)
        cls = getattr(kind, "cls", None)
        if cls is not None and cls in self.schema.short and isinstance(node, yaml.ScalarNode):
            self._leaf(node, self.schema.short[cls], found)
            return found
        if isinstance(kind, inspect.StructType) and cls not in self.schema.leaves:
            return self.struct(node, kind, path)
        if cls in self.schema.leaves:
            self._leaf(node, self.schema.leaves[cls], found, numeric=cls in self.schema.numeric)
        else:
            self._readers[type(kind)](node, kind, found)
        return found

    def struct(self, node: yaml.Node, kind: inspect.Type, path: str) -> Node:
        """Read a mapping as a Struct: unknown, double and missing keys are faults, then its own checks."""
        assert isinstance(kind, inspect.StructType)
        found = Node(_line(node), path)
        if not isinstance(node, yaml.MappingNode) or node.tag != f"{_TAG}map":
            only = [each.encode_name for each in kind.fields if each.required]
            wanted = self._in_braces(node.value, kind, only[0]) if _is_word(node) and len(only) == 1 else ""
            self._expected(node, path or "the file", "keys and values", self._wanted(node, kind) or wanted)
            return found
        fields = {each.encode_name: each for each in kind.fields}
        for key_node, value_node in node.value:
            self._key(key_node, value_node, fields, found)
        missing = [name for name, each in fields.items() if each.required and name not in found.keys]
        for name in missing:
            self.report(found.line, f"{path or 'the file'}: the key {shown(name)} is missing")
        before = self.faults
        if kind.cls in self.schema.checks:
            self.schema.checks[kind.cls](found, self.report)
        values = {fields[name].name: child.value for name, child in found.keys.items()}
        if not missing and FAULTY not in values.values() and self.faults == before:
            found.value = kind.cls(**values)
        return found

    def _in_braces(self, value: str, kind: inspect.StructType, key: str) -> str:
        """Say how to write a word as the key that it can be the value of, with the port that may stand behind it."""
        types = {each.encode_name: each.type for each in kind.fields}
        parse = self.schema.leaves.get(getattr(types[key], "cls", type(None)), str)
        host, colon, port = value.rpartition(":")
        ways = [(value, f"{key}: {value[:SHOWN]}")]
        if colon and port.isdigit() and "port" in types:
            ways.append((host, f"{key}: {host[:SHOWN]}, port: {port[:SHOWN]}"))
        for taken, written in ways:
            with contextlib.suppress(ValueError):
                parse(taken)
                return f"; did you mean {{{written}}}?"
        return ""

    def _key(self, node: yaml.Node, value: yaml.Node, fields: Mapping[str, inspect.Field], found: Node) -> None:
        key, line = str(node.value), _line(node)
        path = f"{found.path}.{key}" if found.path else key
        if not isinstance(node, yaml.ScalarNode) or key not in fields:
            self._unknown_key(node, fields, found.path)
        elif key in found.keys:
            self.report(line, f"{path}: given twice, first on line {found.keys[key].line}")
        else:
            found.keys[key] = self.any(value, fields[key].type, path)
            found.keys[key].line = line

    def _unknown_key(self, node: yaml.Node, fields: Mapping[str, Any], path: str) -> None:
        where = f"{path}: " if path else ""
        if not isinstance(node, yaml.ScalarNode):
            self.report(_line(node), f"{where}a key must be text")
            return
        near = meant(node.value, fields)
        hint = f"did you mean {near!r}?" if near else f"known here: {', '.join(fields)}"
        self.report(_line(node), f"{where}unknown key {shown(node.value)}; {hint}")

    def _list(self, node: yaml.Node, kind: inspect.VarTupleType, found: Node) -> None:
        if not isinstance(node, yaml.SequenceNode) or node.tag != f"{_TAG}seq":
            wanted = f"; did you mean [{node.value}]?" if _is_word(node) else ""
            self._expected(node, found.path, "a list", self._wanted(node, kind.item_type) or wanted)
            return
        if not node.value and kind.min_length:
            self.report(found.line, f"{found.path}: the list is empty")
            return
        for index, item in enumerate(node.value):
            if self._visited > MAX_NODES:
                return
            found.items.append(self.any(item, kind.item_type, f"{found.path}[{index}]"))
        values = tuple(item.value for item in found.items)
        if FAULTY not in values:
            found.value = values

    def _choice(self, node: yaml.Node, kind: inspect.LiteralType, found: Node) -> None:
        choices = [str(value) for value in kind.values]
        if not isinstance(node, yaml.ScalarNode) or node.value not in choices:
            near = meant(node.value, choices) if isinstance(node, yaml.ScalarNode) else None
            said = self.schema.said_of.get(frozenset(choices))
            hint = f"; did you mean {near!r}?" if near else f"; {said}" if said else ""
            self._expected(node, found.path, f"one of {', '.join(choices)}", hint)
            return
        found.value = node.value

    def _bool(self, node: yaml.Node, found: Node) -> None:
        if not isinstance(node, yaml.ScalarNode) or node.tag != f"{_TAG}bool" or node.value not in ("true", "false"):
            quoted = isinstance(node, yaml.ScalarNode) and node.style in {"'", '"'} and node.value in {"true", "false"}
            self._expected(node, found.path, "true or false", "; without quotes" if quoted else "")
            return
        found.value = node.value == "true"

    def _number(self, node: yaml.Node, kind: inspect.IntType, found: Node) -> None:
        span = f"{kind.ge} to {kind.le}"
        # YAML 1.1 reads 0323 as octal and 1:30 as ninety: neither is what a person means here.
        like_one = isinstance(node, yaml.ScalarNode) and re.fullmatch(r"[-+]?(0|[1-9][0-9_]*)", node.value)
        if not like_one or node.tag != f"{_TAG}int":
            self._expected(node, found.path, f"a whole number from {span}", "; without quotes" if like_one else "")
            return
        digits = node.value.replace("_", "")
        number = int(digits) if len(digits) <= 20 else None
        assert kind.ge is not None
        assert kind.le is not None
        if number is None or not kind.ge <= number <= kind.le:
            self.report(found.line, f"{found.path}: {digits[:SHOWN]} is out of range, expected {span}")
            return
        found.value = number

    def _leaf(self, node: yaml.Node, parse: Leaf, found: Node, *, numeric: bool = False) -> None:
        tags = ("str", "int", "float") if numeric else ("str",)
        if not isinstance(node, yaml.ScalarNode) or node.tag.removeprefix(_TAG) not in tags:
            try:
                hint = _as_text(node.value, parse) if isinstance(node, yaml.ScalarNode) and node.value else ""
            except ValueError as error:  # in quotes it would be no better
                self.report(found.line, f"{found.path}: {shown(node.value)}: {error}")
                return
            self._expected(node, found.path, "text", hint)
        elif not node.value or not node.value.isprintable():
            self._expected(node, found.path, "printable text of at least one character")
        else:
            try:
                found.value = parse(node.value)
            except ValueError as error:
                self.report(found.line, f"{found.path}: {shown(node.value)}: {error}")

    def _wanted(self, node: yaml.Node, kind: inspect.Type) -> str:
        """Say what to write where nothing is, as in a file whose examples are comments."""
        wanted = self.schema.wanted.get(getattr(kind, "cls", type(None)))
        return "" if wanted is None or node.tag != f"{_TAG}null" else f"; {wanted}"

    def _expected(self, node: yaml.Node, path: str, expected: str, hint: str = "") -> None:
        what = _KINDS.get(node.tag, f"something tagged {shown(node.tag)}")
        if isinstance(node, yaml.ScalarNode) and node.value:
            what = shown(node.value)
        self.report(_line(node), f"{path}: expected {expected}, found {what}{hint}")


def _as_text(value: str, parse: Leaf) -> str:
    """Say how to write what YAML took for something else. ValueError: it is nothing in any way, and why."""
    with contextlib.suppress(ValueError):
        if str(parse(f"AS0{value[:SHOWN]}")) == f"AS{value}":  # a name would keep the zero
            return f"; did you mean AS{value}?"
    parse(value)
    return "; put it in quotes"


def _lacks_braces(node: yaml.Node, kind: inspect.Type, read_as: inspect.Type) -> bool:
    """Tell whether a word is none of a choice, but what the only key must have that is wanted in a mapping."""
    if not isinstance(kind, inspect.StructType) or not isinstance(read_as, inspect.LiteralType) or not _is_word(node):
        return False
    only = [each.type for each in kind.fields if each.required]
    return (
        node.value not in read_as.values
        and len(only) == 1
        and isinstance(only[0], inspect.LiteralType)
        and node.value in only[0].values
    )


def _is_word(node: yaml.Node) -> bool:
    """Tell whether a value is one short word, which a message may show as what was meant."""
    is_scalar = isinstance(node, yaml.ScalarNode) and node.tag != f"{_TAG}null"
    return is_scalar and re.fullmatch(r"[A-Za-z0-9_.:/-]{1,40}", node.value) is not None


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
