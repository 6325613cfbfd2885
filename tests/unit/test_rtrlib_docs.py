"""docs/rtrlib.md names every public name, member, option and default of rtrlib that there is, and no other."""

import dataclasses
import enum
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import rtrlib
from rtrlib import client
from rtrlib.servers import Server
from tests.lab import pages

PAGE = (pages.DOCS / "rtrlib.md").read_text()
MODULES = ("rtr_manager", "rtr_socket", "records", "manager_group", "pfx_table", "exceptions")
"""Those that users import from, beside the package itself."""
CODE = re.compile(r"`([^`]+)`")


def sections() -> dict[str, str]:
    """What stands under each heading of the third level, by the names in it."""
    parts = re.split(r"^#+ (.+)\n", PAGE, flags=re.MULTILINE)
    return {name: text for title, text in zip(parts[1::2], parts[2::2], strict=True) for name in titles(title)}


def titles(heading: str) -> list[str]:
    return CODE.findall(heading) or [heading]


def entries(text: str) -> list[tuple[str, list[str]]]:
    """Each `name` or `name(...)` of a first cell, and the row's other cells."""
    return [(name, rest) for first, *rest in pages.rows(text) for name in CODE.findall(first)]


def documented(text: str) -> set[str]:
    return {name.split("(")[0] for name, _ in entries(text)}


SECTIONS = sections()
PUBLIC = {name: getattr(rtrlib, name) for name in rtrlib.__all__}
CLASSES = {name: found for name, found in PUBLIC.items() if inspect.isclass(found)}
EXCEPTIONS = {name for name, found in CLASSES.items() if issubclass(found, BaseException)}
DESCRIBED = sorted(set(CLASSES) - EXCEPTIONS)
FUNCTIONS = {
    name: getattr(importlib.import_module(f"rtrlib.{module}"), name)
    for module in MODULES
    for name in importlib.import_module(f"rtrlib.{module}").__all__
    if inspect.isfunction(getattr(importlib.import_module(f"rtrlib.{module}"), name))
} | {name: found for name, found in PUBLIC.items() if inspect.isfunction(found)}


def options(cls: type) -> dict[str, inspect.Parameter]:
    """What whoever makes one gives; nothing for what only rtrlib makes."""
    if cls is rtrlib.RTRManager or issubclass(cls, Server | rtrlib.CacheGroup):
        return dict(inspect.signature(cls).parameters)
    return {}


def members(cls: type) -> set[str]:
    if issubclass(cls, enum.Enum):
        return {one.name for one in cls}
    found = {name for part in cls.__mro__ if part.__module__.startswith("rtrlib") for name in vars(part)}
    if dataclasses.is_dataclass(cls):
        found |= {field.name for field in dataclasses.fields(cls)}
    server = rtrlib.TCPServer("192.0.2.10", 323)
    if cls is rtrlib.RTRSocket:
        found |= set(vars(rtrlib.RTRSocket(0, server)))
    if cls is rtrlib.ManagerGroup:
        found |= set(vars(rtrlib.ManagerGroup("", 1, [])))
    return {name for name in found if not name.startswith("_")} | set(options(cls))


@pytest.mark.parametrize("module", MODULES)
def test_every_name_of_a_module_is_where_the_table_says(module: str) -> None:
    told = dict(entries(SECTIONS["Reference"]))[f"rtrlib.{module}"]
    assert set(CODE.findall(told[0])) == set(importlib.import_module(f"rtrlib.{module}").__all__)


def test_every_public_name_is_described_and_no_other() -> None:
    described = {name for name in SECTIONS if name in PUBLIC}
    assert described == set(DESCRIBED)
    assert documented(SECTIONS["Exceptions"]) == EXCEPTIONS
    assert documented(SECTIONS["Functions"]) == set(FUNCTIONS)
    assert (set(PUBLIC) - described - EXCEPTIONS - set(FUNCTIONS)) == {"Change"}
    assert "`Change`" in SECTIONS["Changes"]


@pytest.mark.parametrize("name", DESCRIBED)
def test_every_member_and_option_is_described_and_no_other(name: str) -> None:
    beside = [CLASSES[one] for one in DESCRIBED if SECTIONS[one] == SECTIONS[name]]
    assert documented(SECTIONS[name]) == set().union(*map(members, beside))


@pytest.mark.parametrize("name", ["RTRManager", "TCPServer", "TLSServer", "SSHServer", "CacheGroup"])
def test_defaults_are_those_that_hold(name: str) -> None:
    told = {option: cells for option, cells in entries(SECTIONS[name]) if "(" not in option}
    for option, parameter in options(CLASSES[name]).items():
        defaults = CODE.findall(told[option][1])
        if parameter.default is inspect.Parameter.empty:
            assert defaults == [], option
        else:
            assert text_of(parameter.default) in defaults, option


def text_of(default: Any) -> str:
    return f"{default.__module__}.{default.__name__}" if callable(default) else repr(default)


def calls() -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in DESCRIBED:
        for call, _ in entries(SECTIONS[name]):
            if "(" in call:
                yield call, getattr(CLASSES[name], call.split("(")[0])
    for call, _ in entries(SECTIONS["Functions"])[1:]:
        yield call, FUNCTIONS[call.split("(")[0]]


@pytest.mark.parametrize(("call", "function"), list(calls()))
def test_calls_are_written_as_they_are_made(call: str, function: Any) -> None:
    parameters = [one for one in inspect.signature(function).parameters.values() if one.name != "self"]
    shown = [one.name if one.default is one.empty else f"{one.name}={text_of(one.default)}" for one in parameters]
    assert call == f"{function.__name__}({', '.join(shown)})"


def test_every_table_says_where_a_name_is_from_or_the_section_does() -> None:
    for name in DESCRIBED:
        told = pages.rows(SECTIONS[name])
        is_said = told and all("from" in row or row[-1] for row in told)
        assert is_said or re.search(r"[Oo]urs|librtr|RFC|0\.1", SECTIONS[name]), name


def test_every_option_of_the_commands_is_described() -> None:
    told = SECTIONS["python -m rtrlib.client"]
    words = client.USAGE.replace(client.PROGRAM, "").replace("[-kps]", "-k -p -s")
    usage = set(re.findall(r"(?<![\w-])-[a-z]\b", words))
    assert usage == {"-k", "-p", "-s", "-b", "-r", "-w", "-e", "-t", "-o", "-l"}
    for option in usage:
        assert re.search(rf"`{option}(?: [A-Z]+)?`", told), option
    assert "`--timeout SECONDS`" in SECTIONS["python -m rtrlib.validator"]
