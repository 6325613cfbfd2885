"""Why an address can't be listened on, in the system's words, by whatever asyncio of whichever Python raises."""

import asyncio
import errno
import os

import pytest

from rtrd.base.sockets import why_not


async def refused(host: str, port: int) -> OSError:
    with pytest.raises(OSError) as caught:
        await asyncio.start_server(lambda *_: None, host, port)
    return caught.value


async def test_a_taken_one() -> None:
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as server:
        error = await refused(*server.sockets[0].getsockname())
    assert why_not(error) == os.strerror(errno.EADDRINUSE)


async def test_one_that_this_host_has_not() -> None:
    assert why_not(await refused("203.0.113.77", 0)) == os.strerror(errno.EADDRNOTAVAIL)


def test_what_newer_pythons_make_of_that() -> None:
    error = OSError("could not bind on any address out of [('203.0.113.77', 0)]")
    assert why_not(error) == os.strerror(errno.EADDRNOTAVAIL)
