"""`rtrd vrps`: the rows that a person reads."""

from typing import Any, cast

from rtrd.commands import vrps
from rtrd.commands.http_client import Answer


class Listed:
    """An answer of the daemon."""

    changed_meanwhile = False

    def __init__(self, *found: tuple[str, list[str]]) -> None:
        self._found = found

    def items(self) -> list[dict[str, Any]]:
        return [{"prefix": one, "maxLength": 24, "asn": 64500, "sources": sources} for one, sources in self._found]


def test_columns_stand_below_each_other_whatever_says_a_vrp() -> None:
    listed = Listed(("192.0.2.0/24", ["slurm"]), ("2001:db8:100::/48", ["192.0.2.10:323", "192.0.2.11:323"]))
    rows = list(vrps.lines(cast("Answer", listed), 80))
    assert len(rows) == 2
    assert {(row.index("max"), row.index("AS64500")) for row in rows} == {(25, 33)}
