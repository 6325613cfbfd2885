"""For whom a request over TCP is meant: what its Host says (RFC 9112 section 3.2).

A web page of somebody else can have its own name lead to our address (DNS rebinding), and would then read what rtrd
says. Its requests still name it as Host.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from aiohttp import HttpVersion11, web

from rtrd.api.responses import error, is_local
from rtrd.base.notation import said

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MISDIRECTED: Final = 421
"""RFC 9110 section 15.5.20."""
_AUTHORITY: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:@/?# ]+))(?::[0-9]{0,5})?")


class KnownHosts:
    """A middleware that lets requests over TCP pass whose Host is an address, this host, or a name it was given."""

    # What aiohttp looks for in a middleware of today.
    __middleware_version__ = 1

    def __init__(self, names: Iterable[str] = (), *, mend: str = "to allow it, add it to http-names") -> None:
        """`names`: by which clients may reach us, too; `mend`: what to do about another one."""
        self._mend = mend
        own = socket.gethostname()
        self._names = {_plain(name) for name in ("localhost", own, own.partition(".")[0], *names)}

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, or refuse it."""
        if is_local(request):
            return await handler(request)
        named = request.headers.getall("Host", [])
        if len(named) > 1 or (not named and request.version >= HttpVersion11):
            return error(400, "expected one Host header")
        for host in {*named, request.host} if named else ():  # the latter is that of `GET http://HOST/`, if it is one
            found = _AUTHORITY.fullmatch(host)
            if found is None:
                return error(400, f"Host: {said(host)} is no host")
            if not self._is_ours(found[1] or found[2]):
                why = f"not an address, nor a name of this host: {self._mend}"
                return error(MISDIRECTED, f"Host: {said(host)} is {why}")
        return await handler(request)

    def _is_ours(self, host: str) -> bool:
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return _plain(host) in self._names
        return True


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")
