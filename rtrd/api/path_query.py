"""Whether ASPAs allow an AS path: what `rtrd validate-path` asks."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from rtrd.api.requests import get
from rtrd.api.responses import error, json
from rtrd.base.errors import NotReadyError
from rtrd.base.notation import parse_asn
from rtrd.rib.paths import explain_path, parse_path, parse_role
from rtrd.vrps.aspas import ASPASet
from rtrlib.vrp_set import VRPSet

_YES_NO: Final = {"yes": True, "no": False}


class PathQuery:
    """What the ASPAs in force say of a path."""

    def __init__(self, vrp_set: VRPSet, aspas: ASPASet) -> None:
        """`vrp_set`: while it is not usable, nor are the ASPAs: they come together."""
        self._vrp_set = vrp_set
        self._aspas = aspas

    def routes_of_app(self) -> list[web.RouteDef]:
        """Give what is answered where."""
        return [get("/api/v1/path", self._path, "path", "local-role", "neighbor-as", "as-set")]

    async def _path(self, request: web.Request) -> web.Response:
        query = request.query
        if not {"path", "local-role"} <= query.keys():
            return error(400, "expected /api/v1/path?path=AS,AS&local-role=ROLE")
        if (as_set := query.get("as-set", "no")) not in _YES_NO:
            return error(400, "as-set: expected yes or no")
        path, role = parse_path(query["path"]), parse_role(query["local-role"])
        neighbor_as = parse_asn(query["neighbor-as"]) if "neighbor-as" in query else None
        if not self._vrp_set.usable:
            raise NotReadyError("no ASPA set is usable yet: no cache has answered")
        return json(explain_path(self._aspas.index, path, role, neighbor_as=neighbor_as, as_set=_YES_NO[as_set]))
