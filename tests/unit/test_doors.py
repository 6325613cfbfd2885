"""A door brings what CONTRIBUTING.md says, and no more; nothing that keeps routes knows which door they came by."""

import inspect
import re

import pytest

from rtrd.bmp.router import BMPRouter
from rtrd.door import Router
from rtrd.exabgp.session import ExaBGP
from rtrd.mrt.table_dump import TableDump
from tests.lab import ROOT

MOST = 6
"""Functions that a door must bring."""
DOORS = {folder.name for folder in (ROOT / "rtrd").iterdir()} & {"exabgp", "bmp", "mrt", "bird"}
SAID = re.sub(r"\s+", " ", (ROOT / "CONTRIBUTING.md").read_text().partition("## Add a door")[2])


def functions(kind: type) -> set[str]:
    return {name for name, each in vars(kind).items() if inspect.isfunction(each) and not name.startswith("_")}


def a_router(router: Router) -> Router:
    return router


def test_the_types_hold_what_a_door_brings() -> None:
    """For mypy: each door's router is one."""

    def checked(exabgp: ExaBGP, bmp: BMPRouter) -> list[Router]:
        return [a_router(exabgp), a_router(bmp)]

    assert callable(checked)


def test_a_door_brings_a_few_functions_which_are_named() -> None:
    named = re.search(r"six functions, (.*?)\.", SAID)
    assert named
    assert functions(Router) == set(re.findall(r"`(\w+)`", named[1]))
    assert len(functions(Router)) <= MOST


@pytest.mark.parametrize("door", [ExaBGP, BMPRouter])
def test_each_door_has_them_with_the_same_parameters(door: type) -> None:
    for name in functions(Router):
        asked = list(inspect.signature(getattr(Router, name)).parameters)
        assert list(inspect.signature(getattr(door, name)).parameters) == asked, name


def test_a_door_of_files_brings_a_few_as_well() -> None:
    named = re.search(r"`TableDump` is read once: (.*?) say what was counted", SAID)
    assert named
    properties = {name for name, each in vars(TableDump).items() if isinstance(each, property)}
    assert functions(TableDump) | properties == set(re.findall(r"`(\w+)`", named[1]))


def test_nothing_that_keeps_routes_knows_a_door() -> None:
    assert {"exabgp", "bmp", "mrt", "bird"} == DOORS
    names = re.compile("|".join(DOORS), re.IGNORECASE)
    files = list((ROOT / "rtrd" / "rib").glob("*.py"))
    assert len(files) > 10
    found = [f"{file.name}: {line}" for file in files for line in file.read_text().splitlines() if names.search(line)]
    assert found == []


def test_who_uses_routers_asks_none_what_it_is() -> None:
    for file in (ROOT / "rtrd" / "api").rglob("*.py"):
        assert not re.search(r"from rtrd\.(exabgp|bmp)", file.read_text()), file
