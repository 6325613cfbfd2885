"""HTTP answers: JSON in one piece or item by item, and errors as `{"error": sentence}`.

Long answers are written a slice at a time: what one turn of the loop makes of them (`rtrd.base.turn`), so that a
million routes never hold it for long, nor a hundred clients longer than one.
"""

from __future__ import annotations

import asyncio
import pwd
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from itertools import chain
from typing import Any, Final

import msgspec
from aiohttp import web

from rtrd.base import log
from rtrd.base.errors import ConflictError, NotReadyError
from rtrd.base.json_text import encode
from rtrd.base.peer_process import peer_process
from rtrd.base.shortages import shortage
from rtrd.base.text import meant, printable
from rtrd.base.turn import SharedTurn

READ_TIME: Final = 60.0
"""Seconds that a client may take to read a slice."""

MOST_LAID_OUT: Final = 4 << 20
"""Octets of an answer that is laid out for people, which takes 7 ms; a longer one is in one line."""

_END: Final = object()
"""Instead of an item: there are no more."""

logger = log.get("control")


def json(value: object, status: int = 200) -> web.Response:
    """Answer with a value, laid out for people."""
    body = _laid_out(encode(value))
    return web.Response(body=body, status=status, content_type="application/json")


async def json_of(value: Mapping[str, Any]) -> web.Response:
    """Answer with an object some of whose lists may be long, laid out for people, with the loop turning meanwhile."""
    return web.Response(body=_laid_out(await encoded(value)), content_type="application/json")


async def encoded(value: Mapping[str, Any]) -> bytes:
    """Encode an object, with the loop turning after each few items of its lists."""
    parts: list[bytes] = []
    async with SharedTurn() as turn:
        for key, member in value.items():
            parts.append(b"%b%b:" % (b"," if parts else b"", encode(key)))
            if not isinstance(member, list):
                parts.append(encode(member))
                continue
            for number, item in enumerate(member):
                parts.append((b"," if number else b"[") + encode(item))
                if turn.over:
                    await turn.next()
            parts.append(b"]" if member else b"[]")
    return b"{%b}" % b"".join(parts)


def _laid_out(body: bytes) -> bytes:
    return (msgspec.json.format(body) if len(body) <= MOST_LAID_OUT else body) + b"\n"


def error(status: int, what: str) -> web.Response:
    """Answer with an error: one sentence."""
    return json({"error": what}, status)


async def stream(
    request: web.Request,
    name: str,
    items: Iterator[object],
    rest: Callable[[], Mapping[str, Any]] = dict,
) -> web.StreamResponse:
    """Write `{"name": [...]}` with one item a line, handing the loop back after each slice; then the members of `rest`.

    A None is no item: it only gives the occasion to hand the loop back. So is a member that is an iterator.
    """
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    # The first item is asked for before the status goes out: a daemon that isn't ready says so here.
    first = next(items, _END)
    await response.prepare(request)
    if request.method == "HEAD":
        return response  # a body would be read as the answer to the next request of this connection
    octets = chain([f'{{"{name}": ['.encode()], _encoded(first, items), _members(rest))
    try:
        while part := await _slice(octets):
            await _write(response, part)
            await asyncio.sleep(0)  # write() returns at once while the client keeps up
    except ConnectionError:
        raise
    except Exception as error:
        # The 200 is out: only an answer that breaks off tells the client that it isn't whole.
        logger.exception("a request failed in the middle of its answer", path=request.path)
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionAbortedError from error
    await response.write_eof()
    return response


async def _slice(octets: Iterator[bytes]) -> bytes:
    """Give what of an answer is made in a turn; nothing at its end."""
    part = bytearray()
    async with SharedTurn() as turn:
        for each in octets:
            part += each
            if turn.over:
                if part:
                    break
                await turn.next()
    return bytes(part)


def _encoded(item: object, items: Iterator[object]) -> Iterator[bytes]:
    """Give the items, one a line; nothing for what is none."""
    separator = b"\n"
    while item is not _END:
        if item is None:
            yield b""
        else:
            yield separator + encode(item)
            separator = b",\n"
        item = next(items, _END)


def _members(rest: Callable[[], Mapping[str, Any]]) -> Iterator[bytes]:
    """Give the end of the list, and what follows it, a member a line."""
    end = b"\n]"
    for key, value in rest().items():
        if isinstance(value, Iterator):
            yield b'%b, "%b": [' % (end, key.encode())
            yield from _encoded(next(value, _END), value)
            end = b"\n]"
            continue
        yield b'%b, "%b": %b' % (end, key.encode(), encode(value))
        end = b"\n"
    yield end + b"}\n"


async def _write(response: web.StreamResponse, data: bytes) -> None:
    """Write a slice; who does not read it in a long time is hung up on."""
    try:
        async with asyncio.timeout(READ_TIME):
            await response.write(data)
    except TimeoutError as why:
        raise ConnectionAbortedError("nobody reads the answer") from why


@web.middleware
async def errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer every error as `{"error": sentence}`."""
    try:
        return await handler(request)
    except (NotReadyError, ConflictError, ValueError) as why:
        return error(next(status for kind, status in _STATUS.items() if isinstance(why, kind)), str(why))
    except web.HTTPException as why:
        return _http_error(request, why)
    except (ConnectionError, asyncio.CancelledError):
        raise
    except Exception as why:
        logger.exception("a request failed", path=request.path)
        if (short := shortage(why)) is not None:
            return error(503, short)
        return error(500, "rtrd failed to answer; its log says why")


_STATUS: Final[Mapping[type[Exception], int]] = {NotReadyError: 503, ConflictError: 409, ValueError: 400}


def _http_error(request: web.Request, why: web.HTTPException) -> web.Response:
    path = printable(request.path)
    if isinstance(why, web.HTTPNotFound):
        known = {resource.canonical for resource in request.app.router.resources()}
        near = meant(request.path, known)
        return error(404, f"nothing is at {path}" + (f"; did you mean {near}?" if near else ""))
    if not isinstance(why, web.HTTPMethodNotAllowed):
        return error(why.status, why.reason)
    answer = error(405, f"{path} only answers {' and '.join(sorted(why.allowed_methods - {'HEAD'}))}")
    answer.headers["Allow"] = ", ".join(sorted(why.allowed_methods))  # RFC 9110, section 15.5.6
    return answer


def is_local(request: web.Request) -> bool:
    """Tell whether a request came over the control socket."""
    connection = None if request.transport is None else request.transport.get_extra_info("socket")
    return connection is not None and connection.family == socket.AF_UNIX


async def who_asks(request: web.Request) -> str:
    """Say who sent a request: user and process at the other end of the control socket (unix(7)), else an address."""
    connection = None if request.transport is None else request.transport.get_extra_info("socket")
    if connection is None or connection.family != socket.AF_UNIX:
        return f"HTTP from {printable(request.remote or 'an unknown address')}"
    pid, uid = peer_process(connection)
    if uid is None:
        return f"a user whom rtrd can't see (pid {pid})"
    name = await asyncio.to_thread(_user, uid)
    return f"{name} (uid {uid}, pid {pid})" if name else f"uid {uid} (pid {pid})"


def _user(uid: int) -> str | None:
    try:
        return printable(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return None


@web.middleware
async def read_only(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Let nobody change anything but who may open the control socket."""
    if request.method not in ("GET", "HEAD") and not is_local(request):
        return error(403, "over TCP the API is read-only; use the control socket")
    return await handler(request)
