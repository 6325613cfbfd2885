"""The JSON Schema of rtrd.yaml and the checker agree, as far as a schema can."""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrd import config
from rtrd.config import schema
from tests.lab import ROOT, operator_pages
from tests.lab.json_places import get, places
from tests.unit import test_config as bad

VALIDATOR = jsonschema_rs.validator_for(schema.schema())

BEYOND = re.compile(
    r"given twice|is also that of the group|must be greater than|at most 30 are possible|can't be listened at"
    r"|its own cache|a unix socket's path has at most|not possible for local routes|expected 0 to 65535|is more than"
    r"|out of range, expected 0% to 100%|more than [0-9]+ values|not an IP address|not YAML|the file is empty"
    r"|expected ADDRESS:PORT|the part before the port|neither an IP address"
    r"|expected a whole number .*found '([0+-]|[1-9][0-9]*\.0')"
    r"|expected a prefix without host bits, as|is less than the length of|'0[0-9]+': expected an AS number"
    r"|expected the shortest and the longest length, as"
    r"|expected an IP address, or a prefix|printable text|a key must be text|one is IPv4, one IPv6"
)
"""What the checker finds and a schema can't, or needn't: it sees values, not how YAML writes them."""


def accepts(text: str) -> bool | None:
    """Tell whether the schema takes what a YAML parser makes of a text; None: it is no YAML."""
    try:
        return VALIDATOR.is_valid(json.loads(json.dumps(yaml.safe_load(text))))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        return None


def faults(text: str) -> list[str]:
    try:
        bad.load(text)
    except config.ConfigError as error:
        return [fault.what for fault in error.faults]
    return []


def agree(text: str) -> None:
    """What the checker takes the schema takes; what it refuses alone is beyond a schema."""
    taken, found = accepts(text), faults(text)
    if taken is None:
        return
    if not found:
        assert taken, [error.message for error in VALIDATOR.iter_errors(yaml.safe_load(text))]
    elif taken:
        assert all(BEYOND.search(what) for what in found), found


def examples() -> Iterator[Any]:
    whole = (ROOT / "etc" / "rtrd.yaml").read_text()
    yield pytest.param(whole, id="etc/rtrd.yaml")
    yield pytest.param(bad.whole_example(), id="etc/rtrd.yaml, all of it")
    yield pytest.param((ROOT / "packaging" / "rtrd.yaml").read_text(), id="packaging/rtrd.yaml")
    for page in operator_pages.PAGES:
        for block in operator_pages.of_kind(page, "yaml"):
            yield pytest.param(yaml.safe_dump(operator_pages.configuration(block)), id=str(block))


def cases(test: Any) -> list[tuple[str, Any]]:
    """Give what a test is parametrized with."""
    (mark,) = test.pytestmark
    values: list[tuple[str, Any]] = mark.args[1]
    return values


def bad_files() -> Iterator[str]:
    """Give the files of the checker's own tests."""
    good = bad.GOOD
    for server, _ in bad.SERVERS:
        yield good.replace("{host: 192.0.2.10}", server)
    for line, _ in bad.ACTIONS:
        yield f"{good}policy:\n  - from: [192.0.2.1]\n    {line}\n"
    yield from (f"{good}{line}\n" for line, _ in cases(bad.test_a_key_of_the_top_at_fault))
    yield from (
        f'{good}policy:\n  - valid: {{action: announce, tags: ["{tag}"]}}\n'
        for tag, _ in cases(bad.test_a_tag_at_fault)
    )
    yield from (f"caches:\n{groups}" for groups, _ in cases(bad.test_groups_at_fault))
    yield from (
        f"{good}policy:\n  - direction: out\n    {line}\n"
        for line, _ in cases(bad.test_a_rule_for_local_routes_at_fault)
    )


def test_the_file_that_the_package_has_is_made_of_the_types() -> None:
    """`rtrd check --schema > rtrd/config/rtrd.schema.json` makes it."""
    assert (ROOT / "rtrd" / "config" / "rtrd.schema.json").read_text() == schema.text()
    jsonschema_rs.meta.validate(schema.schema())


@pytest.mark.parametrize("name", ["etc/rtrd.yaml", "packaging/rtrd.yaml"])
def test_the_examples_name_the_schema_where_the_package_puts_it(name: str) -> None:
    (path,) = re.findall(r"^# yaml-language-server: \$schema=/(\S+)$", (ROOT / name).read_text(), re.MULTILINE)
    assert f"rtrd/config/rtrd.schema.json debian/rtrd/{path}\n" in (ROOT / "debian" / "rules").read_text()


@pytest.mark.parametrize("text", list(examples()))
def test_the_schema_takes_each_example_that_the_checker_takes(text: str) -> None:
    agree(text)


@pytest.mark.parametrize("text", list(bad_files()))
def test_a_file_at_fault(text: str) -> None:
    agree(text)


@pytest.mark.parametrize(
    "line",
    [
        *("hue: blue", "start-hold: -1", "on-stop: leave", "rtr-server: {}", "policy: [{to: []}]", "http: x"),
        *("slurm: x.json", "state:", "guard: {max-shrink: 5}", "control-group: ''"),
        "policy: [{invalid: {action: withdraw, tags: [rfc8097]}}]",
        "policy: [{direction: out, from: [192.0.2.1]}]",
        "policy: [{to: [192.0.2.0/24]}]",
        "neighbors: [{match: ['127.0.0.1:1'], local-role: peer}]",
        "policy: [{valid: {action: announce, tags: [no-export]}}]",
    ],
)
def test_what_an_editor_underlines(line: str) -> None:
    assert accepts(bad.GOOD + line + "\n") is False


@pytest.mark.parametrize("address", ["::", "::1:2:3:4:5:6:7", "1:2:3:4:5:6:7::", "2001:db8::1", "::ffff:192.0.2.1"])
def test_each_spelling_of_an_ipv6_address_is_one(address: str) -> None:
    text = f"{bad.GOOD}neighbors: [{{match: ['{address}'], local-role: peer}}]\n"
    assert accepts(text)
    assert faults(text) == []


WORDS = st.sampled_from(
    [
        *("192.0.2.1", "2001:db8::1", "rpki.example.net", "ssh", "tcp", "announce", "withdraw", "in", "out", "5%"),
        *("keep", "rfc8097", "large:1:2:3", "127.0.0.1:1", "[::1]:80", "/x", "", "\n", "fe80::1%eth0", "a_b", "-"),
    ]
)
VALUES = st.one_of(WORDS, st.integers(-1, 90000), st.none(), st.booleans(), st.just([]), st.just({}), st.floats())


@settings(deadline=None)
@given(st.data())
def test_a_whole_file_with_one_thing_changed(data: st.DataObject) -> None:
    """Replaced by something else, removed, or beside a key that is new."""
    tree: Any = yaml.safe_load(bad.whole_example())
    *way, last = data.draw(st.sampled_from(places(tree)[1:]))
    holder = get(tree, tuple(way))
    change = data.draw(st.sampled_from(["replace", "remove", "add"]))
    if change == "remove":
        del holder[last]
    elif change == "add" and isinstance(holder, dict):
        holder[data.draw(st.sampled_from(KEYS))] = data.draw(VALUES)
    else:
        holder[last] = data.draw(VALUES)
    agree(yaml.safe_dump(tree))


KEYS = sorted({key for part in schema.schema()["$defs"].values() for key in part["properties"]} | {"x"})
