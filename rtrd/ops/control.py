"""HTTP requests over the unix socket (and TCP, if configured) in, the daemon's answers as JSON out.

The one API: the CLI, curl and whatever watches rtrd use the same. Long answers are written a slice at a time,
so that a million routes never hold the event loop for more than SLICE seconds.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
from aiohttp import web

from rtrd.config import Endpoint
from rtrd.ops import log, metrics
from rtrd.routes.validity import Prefix, parse_asn, parse_prefix
from rtrd.tags import VALIDITIES, Validity
from rtrd.version import __version__

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from pathlib import Path

    from prometheus_client import Metric

SLICE: Final = 0.003
"""Seconds of one slice of a long answer."""

MAX_BODY: Final = 1 << 16
BACKLOG: Final = 128
SHUTDOWN: Final = 0.5
"""Seconds that open requests get when the daemon ends."""

logger = log.get("control")


class NotReadyError(Exception):
    """The daemon can't answer yet, or no more; the text says why. Becomes a 503."""


class ControlError(Exception):
    """The API can't listen where it should; the text says where and why."""


class Daemon(Protocol):
    """What the API asks of the daemon, on the event loop; each call and each step of an iterator is short.

    An iterator may be left standing between two steps for as long as a client reads slowly, while routes and
    VRPs change: it skips what went and may or may not yield what came.
    """

    def status(self) -> dict[str, Any]:
        """Return the answer of /status."""

    def health(self) -> str | None:
        """Return why the daemon is not healthy (no VRP set usable, or past expiry); None: it is."""

    @property
    def snapshot_used(self) -> bool:
        """Whether the VRPs that count are those of the last run."""

    def metrics(self) -> Iterator[Metric]:
        """Yield each metric with its samples; see `rtrd.ops.metrics.collect`."""

    def validity(self, prefix: Prefix, asn: int) -> dict[str, Any]:
        """Return `rtrd.routes.validity.explain` over the effective VRPs; may raise NotReadyError."""

    def vrps(self, prefix: Prefix | None) -> Iterator[Mapping[str, Any]]:
        """Yield effective VRPs as of a VRP file: `asn` (int), `prefix`, `maxLength`.

        With a prefix: those that cover it or lie within it.
        """

    def routes(self, validity: Validity | None, prefix: Prefix | None) -> Iterator[Mapping[str, Any]]:
        """Yield routes: `router`, `neighbor`, `prefix`, `path_id`, `origin_as`, `validity`, `decision`.

        `path_id` and `origin_as` are null where there is none. With a prefix: it and more specific ones.
        """


class Control:
    """The API's listeners, from `start` to `close`."""

    def __init__(self, daemon: Daemon, socket_path: Path | None, http: Endpoint | None = None) -> None:
        self._daemon = daemon
        self._path = socket_path
        self._http = http
        self._runner: web.AppRunner | None = None
        self._inode: int | None = None
        self.http: Endpoint | None = None
        """Where TCP is really listened on, once started."""

    async def start(self) -> None:
        """Listen.

        Raises:
            ControlError: an address is taken or not ours, or another daemon answers at the socket.

        """
        self._runner = web.AppRunner(make_app(self._daemon), access_log=None, shutdown_timeout=SHUTDOWN)
        await self._runner.setup()
        try:
            if self._path is not None:
                listener = _unix_listener(self._path)
                self._inode = self._path.stat().st_ino
                await web.SockSite(self._runner, listener, backlog=BACKLOG).start()
            if self._http is not None:
                listener = _tcp_listener(self._http)
                self.http = Endpoint(self._http.host, listener.getsockname()[1])
                await web.SockSite(self._runner, listener, backlog=BACKLOG).start()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Stop listening, end what is open, remove the socket file if it is still ours."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._path is not None and self._inode is not None:
            try:
                if self._path.lstat().st_ino == self._inode:
                    self._path.unlink()
            except FileNotFoundError:
                logger.info("the socket file was already gone", path=str(self._path))
            self._inode = None


def make_app(daemon: Daemon) -> web.Application:
    """Return the application; everything in it only reads."""
    app = web.Application(middlewares=[_errors], client_max_size=MAX_BODY)
    api = _API(daemon)
    app.add_routes(
        [
            web.get("/status", api.status),
            web.get("/healthz", api.healthz),
            web.get("/version", api.version),
            web.get("/metrics", api.scrape),
            web.get("/json", api.vrps),
            web.get("/vrps", api.vrps),
            web.get("/routes", api.routes),
            web.get("/validity", api.validity),
            web.get("/api/v1/validity/{asn}/{prefix:.+}", api.validity),
        ]
    )
    return app


class _API:
    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    async def status(self, _request: web.Request) -> web.Response:
        return _json(self._daemon.status())

    async def healthz(self, _request: web.Request) -> web.Response:
        why = self._daemon.health()
        if why is not None:
            return _error(503, why)
        return _json({"status": "ok", "snapshot": self._daemon.snapshot_used})

    async def version(self, _request: web.Request) -> web.Response:
        return _json({"version": __version__})

    async def scrape(self, request: web.Request) -> web.Response:
        page = await metrics.page(self._daemon.metrics(), request.headers.get("Accept", ""))
        return web.Response(body=page.text, headers={"Content-Type": page.content_type})

    async def validity(self, request: web.Request) -> web.Response:
        given = {**request.query, **request.match_info}
        if not {"asn", "prefix"} <= given.keys():
            return _error(400, "expected /validity?asn=ASN&prefix=PREFIX")
        return _json(self._daemon.validity(parse_prefix(given["prefix"]), parse_asn(given["asn"])))

    async def vrps(self, request: web.Request) -> web.StreamResponse:
        return await _stream(request, "roas", self._daemon.vrps(_prefix(request)))

    async def routes(self, request: web.Request) -> web.StreamResponse:
        wanted = request.query.get("validity")
        validity = next((each for each in VALIDITIES if each == wanted), None)
        if wanted is not None and validity is None:
            return _error(400, f"validity: expected one of {', '.join(VALIDITIES)}")
        return await _stream(request, "routes", self._daemon.routes(validity, _prefix(request)))


def _prefix(request: web.Request) -> Prefix | None:
    text = request.query.get("prefix")
    return None if text is None else parse_prefix(text)


def _json(value: object, status: int = 200) -> web.Response:
    body = msgspec.json.format(msgspec.json.encode(value)) + b"\n"
    return web.Response(body=body, status=status, content_type="application/json")


def _error(status: int, what: str) -> web.Response:
    return _json({"error": what}, status)


async def _stream(request: web.Request, name: str, items: Iterator[Mapping[str, Any]]) -> web.StreamResponse:
    """Write `{"name": [...]}` with one item a line, handing the loop back after each slice."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    encode = msgspec.json.Encoder().encode
    # The first item is asked for before the status goes out: a daemon that isn't ready says so here.
    item = next(items, None)
    await response.prepare(request)
    buffer = bytearray(f'{{"{name}": ['.encode())
    separator = b"\n"
    until = time.perf_counter() + SLICE
    try:
        while item is not None:
            buffer += separator
            buffer += encode(item)
            separator = b",\n"
            if time.perf_counter() >= until:
                await response.write(bytes(buffer))
                buffer.clear()
                await asyncio.sleep(0)  # write() returns at once while the client keeps up
                until = time.perf_counter() + SLICE
            item = next(items, None)
    except ConnectionError:
        raise
    except Exception as error:
        # The 200 is out: only an answer that breaks off tells the client that it isn't whole.
        logger.exception("a request failed in the middle of its answer", path=request.path)
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionAbortedError from error
    await response.write(bytes(buffer) + b"\n]}\n")
    await response.write_eof()
    return response


@web.middleware
async def _errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer every error as `{"error": sentence}`."""
    try:
        return await handler(request)
    except NotReadyError as error:
        return _error(503, str(error))
    except ValueError as error:
        return _error(400, str(error))
    except web.HTTPNotFound:
        return _error(404, f"nothing is at {log.printable(request.path)}")
    except web.HTTPMethodNotAllowed:
        return _error(405, f"{log.printable(request.path)} only answers GET")
    except web.HTTPException as error:
        return _error(error.status, error.reason)
    except (ConnectionError, asyncio.CancelledError):
        raise
    except Exception:
        logger.exception("a request failed", path=request.path)
        return _error(500, "rtrd failed to answer; its log says why")


def _unix_listener(path: Path) -> socket.socket:
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _remove_stale(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        # The mode has to be right from the first moment: chmod afterwards would leave the socket open to all.
        mask = os.umask(0o117)
        try:
            listener.bind(str(path))
        except BaseException:
            listener.close()
            raise
        finally:
            os.umask(mask)
    except OSError as error:
        raise ControlError(f"control: cannot listen at {path}: {error.strerror or error}") from error
    return listener


def _remove_stale(path: Path) -> None:
    """Remove the socket file of a daemon that is gone; leave anything else alone."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ControlError(f"control: {path} is there and is no socket; it is left alone")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        result = probe.connect_ex(str(path))
    if result == errno.ECONNREFUSED:
        path.unlink()
    elif result != errno.ENOENT:
        raise ControlError(f"control: another rtrd answers at {path}")


def _tcp_listener(http: Endpoint) -> socket.socket:
    family = socket.AF_INET6 if ":" in http.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((http.host, http.port))
    except OSError as error:
        listener.close()
        raise ControlError(f"http: cannot listen at {http}: {error.strerror or error}") from error
    return listener
