"""What became of routes, and why, asked of the history."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from rtrd.api.requests import get, number
from rtrd.api.responses import error, json
from rtrd.base.clock import timestamp
from rtrd.base.notation import parse_address, parse_prefix
from rtrd.base.text import printable
from rtrd.base.turn import Turn
from rtrd.history import History, row
from rtrd.history_tables import HistoryQuery

MOST_ROWS: Final = 1000
"""Changes in one answer."""
_NEWEST: Final = (1 << 63) - 1


class HistoryQueries:
    """Changes of routes, the newest first."""

    def __init__(self, history: History) -> None:
        self._history = history

    def routes_of_app(self) -> list[web.RouteDef]:
        """Give what is answered where."""
        return [get("/history", self._find, "prefix", "address", "before", "rows")]

    async def _find(self, request: web.Request) -> web.Response:
        prefix, address = request.query.get("prefix"), request.query.get("address")
        if (prefix is None) == (address is None):
            return error(400, "expected /history?prefix=PREFIX or /history?address=ADDRESS")
        question = HistoryQuery(
            parse_prefix(prefix if prefix is not None else parse_address(address or "")),
            covering=prefix is None,
            before=number(request, "before", _NEWEST, _NEWEST),
            most=number(request, "rows", 100, MOST_ROWS),
        )
        found = await self._history.find(question)
        rows = []
        turn = Turn()
        for identifier, batch in zip(found.ids, found.batches, strict=True):
            rows.append(shown(row(identifier, batch)))
            if turn.over:
                await turn.next()
        status = self._history.status()
        return json(
            {
                "history": rows,
                "more": found.more,
                "since": None if found.since is None else timestamp(found.since),
                "left_out": found.lost,
                "others_left_out": found.others,
                "where": status["where"],
                "fault": status["fault"],
            }
        )


def shown(change: dict[str, Any]) -> dict[str, Any]:
    """Give a row as it is answered: its time as text, and nothing of others unescaped."""
    neighbor = change["neighbor"]
    return {
        **change,
        "time": timestamp(change["time"], "milliseconds"),
        "neighbor": None if neighbor is None else printable(neighbor),
        "why": printable(change["why"]),
    }
