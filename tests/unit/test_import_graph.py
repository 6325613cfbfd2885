"""Who imports whom, in rtrd and rtrlib: no circle, and nobody looks up (types and imports within functions count)."""

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.lab import ROOT
from tests.lab.graphs import circles

PACKAGES = {"rtrd": ROOT / "rtrd", "rtrlib": ROOT / "ffi" / "rtrlib"}

HISTORY = {"history", "history_store", "history_tables", "route_log"}
FLOORS = (
    {"base": {"base", "tags", "version"}},
    {"settings": {"config", "policy"}},
    {"vrps": {"vrps"}, "rib": {"rib"}},
    {"exabgp": {"exabgp"}, "bmp": {"bmp"}, "mrt": {"mrt"}, "events": {"events"}, "bird": {"bird"}, "rtr": {"rtr"}},
    {
        "daemon": {
            "daemon",
            "caches",
            "routers",
            "door",
            "event_log",
            "health",
            "cache_problems",
            "cache_keys",
            "known_routers",
            "router_status",
            "reload",
        }
        | {"kept_sessions", "kept_versions"}
        | HISTORY
    },
    {"api": {"api"}},
    {"main": {"main"}},
    {"commands": {"cli", "commands", "demo", "fleet"}},
)
"""The rooms of each floor, the lowest first, and what of rtrd is in them. A room sees itself and lower floors."""

ROOMS = {part: (number, room) for number, floor in enumerate(FLOORS) for room, parts in floor.items() for part in parts}

COMMANDS_MAY_SEE = {"base", "settings", "vrps", "rib", "exabgp", "bird", "mrt", "events", "commands"}
"""They ask a daemon by HTTP; what reads files and compares tables is used without one."""

COMMANDS_ALSO_SEE = {("rtrd.commands.run", "rtrd.main")} | {
    ("rtrd.fleet.page", module) for module in ("rtrd.api.host", "rtrd.api.responses")
}


@cache
def graph() -> dict[str, set[str]]:
    """Give for each module those that it imports."""
    modules: dict[str, Path] = {}
    for package, folder in PACKAGES.items():
        for file in folder.rglob("*.py"):
            parts = [package, *file.relative_to(folder).with_suffix("").parts]
            modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return {module: _imported(file, modules) - {module} for module, file in modules.items()}


def _imported(file: Path, modules: dict[str, Path]) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names} & modules.keys()
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute here"
            for name in node.names:
                full = f"{node.module}.{name.name}"
                found |= {full if full in modules else str(node.module)} & modules.keys()
    return found


def room(module: str) -> tuple[int, str]:
    """Give floor and room of a module of rtrd."""
    return ROOMS[module.split(".")[1]]


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


def test_no_circle_of_modules() -> None:
    assert circles(graph()) == []


def test_every_module_has_a_room() -> None:
    assert {module for module in graph() if module.startswith("rtrd.") and module.split(".")[1] not in ROOMS} == set()


@pytest.mark.parametrize("module", sorted(graph()))
def test_nobody_looks_up_or_into_the_next_room(module: str) -> None:
    seen = graph()[module]
    if module.startswith("rtrlib"):
        assert not {other for other in seen if other.startswith("rtrd")}, "rtrlib knows nothing of the daemon"
        return
    if module == "rtrd":
        assert not seen
        return
    for other in (other for other in seen if other.startswith("rtrd.")):
        assert room(other) == room(module) or room(other)[0] < room(module)[0], f"{module} imports {other}"
        if room(module)[1] == "commands" and (module, other) not in COMMANDS_ALSO_SEE:
            assert room(other)[1] in COMMANDS_MAY_SEE, f"{module} imports {other}: commands ask a daemon by HTTP"


def test_only_rtrlib_and_the_native_parts_touch_c() -> None:
    """`_librtr` is librtr's: rtrd has it through rtrlib alone."""
    for file in PACKAGES["rtrd"].rglob("*.py"):
        names = {
            name
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in ([node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
        }
        assert not {"_librtr", "_rtrlib"} & names, file
