"""Certificates renewed at several addresses: where that fails, the old listener goes on, and is renewed later."""

from __future__ import annotations

from typing import Any

import pytest

from rtrd.rtr.server import RTRServer


class Socket:
    """A listening socket."""

    def __init__(self, port: int) -> None:
        self.port = port

    def dup(self) -> Socket:
        return Socket(self.port)


class Listening:
    """An asyncio server."""

    def __init__(self, port: int, tls: str | None) -> None:
        self.sockets = [Socket(port)]
        self.tls = tls
        self.closed = False

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def server() -> Any:
    """A server with an address of plain TCP, and two of TLS."""
    found: Any = RTRServer()
    found._tls = [Listening(8323, "old"), Listening(9323, "old")]
    found._servers = [Listening(323, None), *found._tls]
    return found


def spoken(server: Any) -> dict[int, str]:
    assert set(server._tls) <= set(server._servers)
    assert not any(one.closed for one in server._servers)
    return {one.sockets[0].port: one.tls for one in server._servers}


async def test_a_renewal_that_fails_at_one_address(server: Any) -> None:
    async def create(tls: str, *, sock: Socket) -> Listening:
        if sock.port == 9323 and tls == "bad luck":
            raise OSError("no room")
        return Listening(sock.port, tls)

    server._create = create
    with pytest.raises(OSError, match="no room"):
        await server.renew_tls("bad luck")
    assert spoken(server) == {323: None, 8323: "bad luck", 9323: "old"}
    await server.renew_tls("new")
    assert spoken(server) == {323: None, 8323: "new", 9323: "new"}
