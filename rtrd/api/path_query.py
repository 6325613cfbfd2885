"""Whether ASPAs allow an AS path: what `rtrd validate-path` asks, and `rtrd validate` of a route with its path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from aiohttp import web

from rtrd.api.requests import YES_NO, get
from rtrd.api.responses import error, json
from rtrd.base.errors import NotReadyError
from rtrd.base.notation import said
from rtrd.rib.paths import Path, explain_path, parse_path, parse_path_asn, parse_role
from rtrd.vrps.aspas import ASPASet
from rtrd.vrps.guarding import Guarding
from rtrlib.aspa_paths import LocalRole
from rtrlib.aspas import ASPAIndex
from rtrlib.vrp_set import VRPSet

PARAMETERS: Final = ("path", "local-role", "neighbor-as", "as-set")
"""What says which path is meant, and from whom."""


class PathQuestion(NamedTuple):
    """What is asked of a path: the arguments of `explain_path`."""

    path: Path
    local_role: LocalRole
    neighbor_as: int | None
    as_set: bool

    def explain(self, index: ASPAIndex) -> dict[str, Any]:
        """Judge the path by these ASPAs."""
        return explain_path(index, self.path, self.local_role, neighbor_as=self.neighbor_as, as_set=self.as_set)


def read(query: Mapping[str, str]) -> PathQuestion | None:
    """Read what is asked of a path; None: nothing.

    Raises:
        ValueError: with a sentence.

    """
    if not query.keys() & set(PARAMETERS):
        return None
    if not {"path", "local-role"} <= query.keys():
        raise ValueError("path and local-role go together, and neighbor-as and as-set with them")
    if (as_set := query.get("as-set", "no")) not in YES_NO:
        raise ValueError(f"as-set: expected one of {', '.join(YES_NO)}, found {said(as_set)}")
    neighbor_as = parse_path_asn(query["neighbor-as"]) if "neighbor-as" in query else None
    return PathQuestion(parse_path(query["path"]), parse_role(query["local-role"]), neighbor_as, YES_NO[as_set])


class PathQuery:
    """What the ASPAs in force say of a path."""

    def __init__(self, vrp_set: VRPSet, aspas: ASPASet, guarding: Guarding) -> None:
        """`vrp_set`: while it is not usable, nor are the ASPAs: they come together. `guarding`: may hold a change."""
        self._vrp_set = vrp_set
        self._aspas = aspas
        self._guarding = guarding
        self._due = ASPAIndex(b"")

    def routes_of_app(self) -> list[web.RouteDef]:
        """Give what is answered where."""
        return [get("/api/v1/path", self._path, *PARAMETERS)]

    async def _path(self, request: web.Request) -> web.Response:
        if not {"path", "local-role"} <= request.query.keys() or (question := read(request.query)) is None:
            return error(400, "expected /api/v1/path?path=AS,AS&local-role=ROLE")
        if not self._vrp_set.usable:
            raise NotReadyError("no ASPA set is usable yet: no cache has answered")
        return json(self.answer(question))

    def answer(self, question: PathQuestion) -> dict[str, Any]:
        """Judge a path; while a change of ASPAs is held, also with it."""
        explained = question.explain(self._aspas.index)
        guard = self._guarding.status()
        if (held := guard["held"]) is not None and self._aspas.pending:
            if self._due.held is not self._aspas.due:
                self._due = ASPAIndex(self._aspas.due)
            then = question.explain(self._due)
            explained["held"] = {
                "state": guard["state"],
                "cause": held["cause"],
                "until": held["until"],
                "then": then["outcome"],
                "reason": then["reason"],
            }
        return explained
