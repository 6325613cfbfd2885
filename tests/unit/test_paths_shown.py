"""What `rtrd routes` and `rtrd status` say of paths, in words."""

from collections.abc import Iterator
from typing import Any

from rtrd.commands import routes, status_lines, terminal

DENIED = "AS64510 does not name AS64501 as its provider"


class Answer:
    """Routes, as the daemon answers them."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        self._rows = rows

    def items(self) -> Iterator[dict[str, Any]]:
        return iter(self._rows)


def row(aspa: str | None, why: str | None, **more: Any) -> dict[str, Any]:
    whose = {"router": "exabgp", "neighbor": "192.0.2.1", "prefix": "198.51.100.0/24", "path_id": None}
    what = {"origin_as": 64510, "validity": "not-found", "decision": "observe", "reason": None, "since": None}
    return {**whose, **what, "aspa": aspa, "leak": False, "path_reason": why, "as_path": "64501 64510", **more}


ROWS = (
    row("invalid", DENIED),
    row("unknown", "AS64510 has no ASPA"),
    row("valid", "it has Only to Customer of AS64599, and comes from a customer", leak=True),
    row(None, None, kept_back=[{"neighbor": f"192.0.2.{number}", "reason": "otc"} for number in (2, 3)]),
)


def shown(width: int) -> list[str]:
    columns = terminal.Columns(routes._COLUMNS, width)
    return [line for text in routes.lines(Answer(*ROWS), columns) for line in text.splitlines()]  # type: ignore[arg-type]


def test_why_a_path_is_invalid_is_below_the_row() -> None:
    heading, *lines = shown(80)
    assert "WHY" not in heading
    assert [line.strip() for line in lines if line.startswith("  ")] == [
        DENIED,
        "it has Only to Customer of AS64599, and comes from a customer",
    ]
    assert all(len(line) <= 80 for line in (heading, *lines))


def test_with_room_it_is_a_column() -> None:
    heading, *lines = shown(10_000)
    assert heading.endswith("WHY")
    assert len(lines) == len(ROWS)
    assert lines[0].endswith(DENIED)
    assert lines[1].endswith("64501 64510")
    assert " 2 neighbors " in lines[3]


def test_the_paths_of_a_router_are_counted() -> None:
    counts = {"valid": 1, "invalid": 2, "unknown": 3, "leak": 1, "kept_back": 0}
    router = {"neighbors": [{"paths": counts}, {"paths": {**counts, "kept_back": 4}}, {"paths": {}}]}
    assert list(status_lines.paths(router)) == [
        "paths: 2 valid, 6 unknown, 4 invalid; 2 leaks; 4 routes kept back",
    ]
    assert list(status_lines.paths({"neighbors": [{"paths": dict.fromkeys(counts, 0)}]})) == []
    assert list(status_lines.paths({"neighbors": 7})) == []
