"""The documents name every key, default, command, option and endpoint that there is, and no other key."""

import argparse
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from msgspec import inspect

from rtrd import cli, config
from rtrd.base.endpoint import Endpoint
from rtrd.config.nats import NATSServer
from rtrd.config.when import PrefixLengths, PrefixRange, When
from rtrd.tags import Tag, TagSpec
from tests.lab import ROOT, pages, whole
from tests.lab.pages import DOCS

PAGES = [*sorted(DOCS.glob("*.md")), *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY"))]
CONFIGURATION = (DOCS / "configuration.md").read_text()
COMMANDS = (DOCS / "commands.md").read_text()

SECTIONS: dict[str, type[msgspec.Struct]] = {
    "The top": config.Config,
    "caches": config.Caches,
    "groups": config.Group,
    "servers": config.CacheServer,
    "tcp-ao": config.AOKey,
    "history": config.History,
    "guard": config.Guard,
    "rtr-server": config.RTRServer,
    "rtr-server: tls": config.TLS,
    "rtr-server: clients": config.RouterClients,
    "bmp": config.BMP,
    "bird": config.Bird,
    "events": config.Events,
    "neighbors": config.NeighborConfig,
    "policy": config.PolicyRule,
    "as-set": config.AsSetAction,
    "when": When,
    "prefix-length": PrefixLengths,
    "prefixes": PrefixRange,
    "Actions": config.Action,
}


def test_the_table_of_rtrd_reload_names_all_that_it_changes() -> None:
    (table,) = re.findall(r"\n\| changed \|.*?\n\n", COMMANDS, re.DOTALL)
    named = {name.rpartition(".")[2] for row in pages.rows(table) for name in re.findall(r"`([\w.-]+)`", row[0])}
    assert named == {key.rpartition(".")[2].replace("_", "-") for key in whole.reloadable()}


def rows(title: str) -> dict[str, list[str]]:
    """The first table of a section: key -> its other cells."""
    own = pages.section(CONFIGURATION, title).partition("\n#")[0]
    table = next(part for part in own.strip().split("\n\n") if part.startswith("| key"))
    return {first.strip("`"): rest for first, *rest in pages.rows(table)[1:]}


def structs(kind: inspect.Type) -> Iterator[type]:
    if isinstance(kind, inspect.StructType) and kind.cls not in (Endpoint, NATSServer, Tag, TagSpec):
        yield kind.cls
        for field in kind.fields:
            yield from structs(field.type)
    elif isinstance(kind, inspect.VarTupleType):
        yield from structs(kind.item_type)
    elif isinstance(kind, inspect.UnionType):
        for member in kind.types:
            yield from structs(member)


def test_every_mapping_of_a_configuration_has_its_section() -> None:
    assert set(structs(inspect.type_info(config.Config))) == set(SECTIONS.values())


@pytest.mark.parametrize("title", SECTIONS)
def test_every_key_is_documented_and_no_other(title: str) -> None:
    assert list(rows(title)) != []
    assert set(rows(title)) == {field.encode_name for field in msgspec.structs.fields(SECTIONS[title])}


@pytest.mark.parametrize("title", SECTIONS)
def test_ranges_choices_and_defaults_are_documented(title: str) -> None:
    info = inspect.type_info(SECTIONS[title])
    assert isinstance(info, inspect.StructType)
    for field in info.fields:
        kind, default, _ = rows(title)[field.encode_name]
        types = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
        number = next((each for each in types if isinstance(each, inspect.IntType)), None)
        if number is not None:
            assert f"{number.ge} to {number.le}" in kind, field.encode_name
        if isinstance(field.type, inspect.LiteralType):
            assert set(re.findall("`([^`]+)`", kind)) == set(field.type.values)
        if field.required:
            assert default == "must be given", field.encode_name
        elif field.default not in (None, (), msgspec.UNSET):
            text = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
            assert text in default.replace("`", "").split(), field.encode_name


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_and_option_is_documented(command: str) -> None:
    titles = re.findall(r"^## rtrd (.+)$", COMMANDS, re.MULTILINE)
    assert command in ", ".join(titles).split(", ")
    parser = argparse.ArgumentParser(add_help=False)
    importlib.import_module(cli.COMMANDS[command].module).configure(parser)
    actions = list(parser._actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, sub in action.choices.items():
                assert f"`rtrd {command} {name}" in COMMANDS
                actions += sub._actions
    for action in actions:
        if isinstance(action, argparse._SubParsersAction | argparse._HelpAction):
            continue
        for option in action.option_strings:
            assert re.search(rf"`[^`]*(?<![\w-]){re.escape(option)}(?![\w-])", COMMANDS), option
        if not action.option_strings:
            assert str(action.metavar) in COMMANDS


def test_every_endpoint_is_documented() -> None:
    for route in whole.app().router.routes():
        assert isinstance(route.resource, (web.PlainResource, web.DynamicResource))
        path = route.resource.canonical.split("{")[0]
        assert f"`{path}" in COMMANDS, path


def test_every_part_that_logs_is_documented_and_no_other() -> None:
    row = re.search(r"^\| `PART` \|(.*)\|$", (DOCS / "service.md").read_text(), re.MULTILINE)
    assert row
    code = "".join(file.read_text() for file in (DOCS.parent / "rtrd").rglob("*.py"))
    assert {part for part in re.findall("`([^`]+)`", row[1]) if " " not in part} == set(
        re.findall(r"\blog\.get\(\"(\w+)\"\)", code)
    )


SOURCES = ("bench", "debian", "docs", "etc", "ffi", "packaging", "rtrd", "systemd", "tests")
NOT_OURS = {"rtrclient.py", "exabgp.service"}
"""Files of other projects that the pages name."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([\w-]+))?\)", page.read_text())
    assert links or page.stem == "reliability"
    for file, anchor in links:
        there = (page.parent / file).resolve() if file else page
        assert there.exists(), file
        assert not anchor or anchor in pages.anchors(there.read_text()), f"{file}#{anchor}"


@pytest.mark.parametrize("page", PAGES[:-2], ids=lambda page: page.stem)
def test_every_file_and_module_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    for path in re.findall(rf"(?<![\w./~-])((?:{'|'.join(SOURCES)})/[\w./@-]*\w)", text):
        assert (ROOT / path).exists(), path
    known = {file.name for folder in SOURCES for file in (ROOT / folder).rglob("*")} | NOT_OURS
    for name in re.findall(r"(?<![\w./-])([\w-]+\.(?:py|c|h|service))\b", text):
        assert name in known, name
    for module in re.findall(r"python -m ((?:rtrd|rtrlib|bench)[\w.]*\w)", text):
        path = module.replace(".", "/")
        assert any((base / f"{path}{end}").exists() for base in (ROOT, ROOT / "ffi") for end in (".py", "")), module


def test_every_metric_is_documented_and_no_other() -> None:
    documented = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \|", (DOCS / "metrics.md").read_text(), re.MULTILINE)
    assert documented
    assert {(name, kind, tuple(re.findall("`([^`]+)`", labels))) for name, kind, labels in documented} == {
        (metric.name, metric.kind, metric.labels) for metric in whole.metrics()
    }


@pytest.mark.parametrize("page", PAGES[:-2], ids=lambda page: page.stem)
def test_every_metric_that_a_page_names_exists(page: Path) -> None:
    known = {metric.name for metric in whole.metrics()}
    for name in re.findall(r"(?<![\w./-])rtrd_[a-z_]+\b(?!\*)", page.read_text()):
        assert name in known or name.removesuffix("_bucket") in known, name
