"""A BGP speaker on a loopback address: it announces routes to one router, and keeps what it is told (RFC 4271).

Small and fast beside a real router, and does what none can be asked to: says no route refresh, keeps its routes to
itself, counts and times what arrives. One thread reads; everything it knows changes under one lock.
"""

import contextlib
import ipaddress
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from bench.speaker import HOLD, KEEPALIVE, NOTIFICATION, OPEN, UPDATE, attribute, message
from rtrd.demo.lab import LabError

HEADER = 19
REFRESH = 5
ORIGIN, AS_PATH, NEXT_HOP, COMMUNITY, MP_REACH, MP_UNREACH, EXTENDED, LARGE = 1, 2, 3, 8, 14, 15, 16, 32


class Route(NamedTuple):
    """What is said of a prefix, or was heard."""

    path: tuple[int, ...]
    """One AS_SEQUENCE; of anything else that is heard: the ASes of all segments."""
    next_hop: str
    communities: tuple[tuple[int, int], ...] = ()
    large: tuple[tuple[int, int, int], ...] = ()
    extended: tuple[int, ...] = ()
    """64 bits each."""

    @property
    def validity(self) -> str | None:
        """What RFC 8097's tag says, with commas where there are several."""
        tags = [value & 0xFFFF_FFFF_FFFF for value in self.extended if value >> 48 == 0x4300]
        return ",".join({0: "valid", 1: "not-found", 2: "invalid"}.get(tag, str(tag)) for tag in tags) or None


class Heard(NamedTuple):
    """A prefix in an UPDATE."""

    time: float
    prefix: str
    route: Route | None
    """None: withdrawn."""


class Speaker:
    """A BGP peer of one router. It connects to it."""

    def __init__(
        self, address: str, asn: int, *, refresh: bool = True, path_ids: bool = False, four_octet_as: bool = True
    ) -> None:
        """`refresh`: it can send its routes again when asked (RFC 2918); `path_ids`: it sends them (RFC 7911).

        Without `four_octet_as` it has AS numbers of two octets (RFC 6793), and only listens.
        """
        self.address = address
        self.asn = asn
        self.said: dict[str, Route] = {}
        """What it announced and did not withdraw."""
        self.table: dict[str, Route] = {}
        """What it was told and was not taken back, in this session."""
        self.heard: list[Heard] = []
        self.sessions = 0
        self.answers_refresh = True
        """False: it is asked, and says nothing (a slow peer)."""
        self.leftovers: list[str] = []
        self._refresh = refresh
        self._path_ids = path_ids
        self._four_octet_as = four_octet_as
        self._changed = threading.Condition()
        self._saying = threading.RLock()
        """Held from the choice of routes until they are written: an answer to a refresh is never older than what
        was said before it."""
        self._socket: socket.socket | None = None
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._attributes: dict[bytes, Route] = {}
        self._up = False
        self.is_taken = False
        """The router has read our KEEPALIVE, too: it has said what it has, at least End-of-RIB."""
        self._router = ("", 0)
        self._refusal = ""
        """The NOTIFICATION of this connection."""
        self._end = ""
        """How the last connection ended."""

    # -- life

    def connect(self, address: str, port: int, seconds: float = 180) -> None:
        """Bring the session up, and say what was said before.

        An ExaBGP finds the end of a session behind all that was said in it, and reads one message in each turn of its
        loop: on a busy machine a thousand UPDATEs take half a minute. Until then it refuses the next session.
        """
        self._router = (address, port)
        deadline = time.monotonic() + seconds
        attempts = 0
        while True:
            attempts += 1
            self._connect()
            self.wait(lambda: self._up or self._socket is None, seconds, "an answer to OPEN")
            if self._up:
                break
            if time.monotonic() > deadline:
                raise LabError(
                    f"speaker {self.address}: {address} takes no session within {seconds:g} s:"
                    f" {attempts} attempts, the last one: {self._end}"
                )
            time.sleep(0.1)
        self.announce(self.said)

    def start(self) -> None:
        """Come back to the router."""
        self.connect(*self._router)

    def disconnect(self) -> None:
        """Close the session; what was said stays known for the next."""
        connection, thread = self._socket, self._thread
        if connection is not None:
            with contextlib.suppress(OSError):  # the router was faster
                connection.shutdown(socket.SHUT_RDWR)
        if thread is not None:
            thread.join(10)
        self._thread = None

    stop = disconnect

    @property
    def up(self) -> bool:
        """The session is established."""
        return self._up

    # -- what is said

    def announce(self, routes: Mapping[str, Route]) -> None:
        """Say routes, by prefix; those of one attribute set together."""
        with self._saying:
            with self._changed:
                self.said.update(routes)
            self._announce(routes)

    def withdraw(self, prefixes: Iterable[str]) -> None:
        """Take routes back."""
        prefixes = list(prefixes)
        with self._saying:
            with self._changed:
                for prefix in prefixes:
                    self.said.pop(prefix, None)
            self._withdraw(prefixes)

    def _withdraw(self, prefixes: list[str]) -> None:
        for family in (4, 6):
            for part in _parts([self._nlri(prefix) for prefix in prefixes if (":" in prefix) == (family == 6)], 3000):
                if family == 4:
                    self._send(UPDATE, struct.pack("!H", len(part)) + part + b"\0\0")
                else:
                    gone = attribute(0x80, MP_UNREACH, b"\0\2\1" + part)
                    self._send(UPDATE, b"\0\0" + struct.pack("!H", len(gone)) + gone)

    def _nlri(self, prefix: str) -> bytes:
        """A prefix on the wire, with an id that it always has."""
        return (zlib.crc32(prefix.encode()) % 3).to_bytes(4) * self._path_ids + packed_prefix(prefix)

    def _announce(self, routes: Mapping[str, Route]) -> None:
        groups: dict[tuple[bool, Route], list[bytes]] = {}
        for prefix, route in routes.items():
            groups.setdefault((":" in prefix, route), []).append(self._nlri(prefix))
        data = b""
        for (six, route), octets in groups.items():
            for part in _parts(octets, 3000):
                attributes = _attributes(route, b"" if not six else part)
                body = b"\0\0" + struct.pack("!H", len(attributes)) + attributes + (b"" if six else part)
                data += message(UPDATE, body)
                if len(data) > 1 << 16:
                    self._write(data)
                    data = b""
        self._write(data)

    def _again(self, family: int, connection: socket.socket | None) -> None:
        """Say the routes of a family again, if this is still the session that asked."""
        with self._saying:
            if self._socket is connection:
                self._announce({prefix: one for prefix, one in self.said.items() if (":" in prefix) == (family == 6)})

    def _send(self, kind: int, body: bytes = b"") -> None:
        self._write(message(kind, body))

    def _write(self, data: bytes) -> None:
        connection = self._socket
        if connection is None or not data:
            return
        try:
            with self._writing:
                connection.sendall(data)
        except OSError:
            pass  # the reader notices the end; what was said is said again in the next session

    # -- what is heard

    def wait(self, true: Callable[[], bool], seconds: float, what: str) -> None:
        """Return once something is so that changes with what is heard."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not true():
                left = deadline - time.monotonic()
                if left <= 0:
                    raise LabError(f"speaker {self.address}: waited {seconds:g} s for {what}")
                self._changed.wait(min(left, 0.5))

    def snapshot(self) -> dict[str, Route]:
        """Return the table as it is now."""
        with self._changed:
            return dict(self.table)

    def _connect(self) -> None:
        try:
            connection = socket.create_connection(self._router, 5, (self.address, 0))
        except OSError as error:
            self._end = str(error)
            return
        connection.settimeout(None)
        with self._saying, self._changed:
            self._socket = connection
            self._up = self.is_taken = False
            self._refusal = ""
            self.table.clear()
        capabilities = b"\1\4\0\1\0\1" + b"\1\4\0\2\0\1"
        if self._four_octet_as:
            capabilities += b"\x41\4" + struct.pack("!I", self.asn)
        if self._refresh:
            capabilities += b"\2\0"
        if self._path_ids:
            capabilities += b"\x45\x08\0\1\1\2\0\2\1\2"
        parameters = b"\2" + bytes([len(capabilities)]) + capabilities
        short = self.asn if self.asn < 65536 else 23456
        body = struct.pack("!BHH", 4, short, HOLD) + socket.inet_aton(self.address)
        self._send(OPEN, body + bytes([len(parameters)]) + parameters)
        # Not before: an ExaBGP says its OPEN at once, and the answer to it must not be faster than ours.
        self._thread = threading.Thread(target=self._read, args=(connection,), daemon=True, name=self.address)
        self._thread.start()

    def _read(self, connection: socket.socket) -> None:
        buffer = b""
        due = time.monotonic() + HOLD / 3
        try:
            while data := connection.recv(1 << 18):
                buffer += data
                buffer = self._messages(buffer)
                if time.monotonic() > due:
                    due = time.monotonic() + HOLD / 3
                    self._send(KEEPALIVE)
            self._end = self._refusal or "closed"
        except OSError as error:
            self._end = self._refusal or str(error)
        finally:
            connection.close()
            with self._changed:
                self._up = False
                self._socket = None
                self.table.clear()
                self._changed.notify_all()

    def _messages(self, buffer: bytes) -> bytes:
        at = 0
        with self._changed:
            while len(buffer) - at >= HEADER:
                size, kind = struct.unpack_from("!HB", buffer, at + 16)
                if len(buffer) - at < size:
                    break
                self._message(kind, buffer[at + HEADER : at + size])
                at += size
            self._changed.notify_all()
        return buffer[at:]

    def _message(self, kind: int, body: bytes) -> None:
        if kind == OPEN:
            self._send(KEEPALIVE)
        elif kind == KEEPALIVE and not self._up:
            self._up = True
            self.sessions += 1
        elif kind == UPDATE:
            self.is_taken = True
            self._update(body)
        elif kind == NOTIFICATION:
            self._refusal = f"NOTIFICATION {body[0]}/{body[1]} {body[2:]!r}"
        elif kind == REFRESH and self.answers_refresh:
            family = 4 if body[:2] == b"\0\1" else 6
            # Not here: whoever reads must not wait until the router has read.
            threading.Thread(target=self._again, args=(family, self._socket), daemon=True).start()

    def _update(self, body: bytes) -> None:
        now = time.monotonic()
        size = int.from_bytes(body[:2])
        withdrawn, rest = body[2 : 2 + size], body[2 + size :]
        size = int.from_bytes(rest[:2])
        attributes, nlri = rest[2 : 2 + size], rest[2 + size :]
        for prefix in _unpack(withdrawn, 4):
            self._forget(now, prefix)
        if not attributes:
            return
        fields = dict(split(attributes))
        if MP_UNREACH in fields:
            for prefix in _unpack(fields[MP_UNREACH][3:], 6):
                self._forget(now, prefix)
        if nlri:
            route = self._attributes.get(attributes)
            if route is None:
                route = self._attributes[attributes] = _route(fields, socket.inet_ntoa(fields.get(NEXT_HOP, b"\0" * 4)))
            for prefix in _unpack(nlri, 4):
                self._learn(now, prefix, route)
        if MP_REACH in fields:
            value = fields[MP_REACH]
            size = value[3]
            route = _route(fields, str(ipaddress.ip_address(value[4 : 4 + min(size, 16)])))
            for prefix in _unpack(value[5 + size :], 6):
                self._learn(now, prefix, route)

    def _learn(self, now: float, prefix: str, route: Route) -> None:
        self.table[prefix] = route
        self.heard.append(Heard(now, prefix, route))

    def _forget(self, now: float, prefix: str) -> None:
        self.table.pop(prefix, None)
        self.heard.append(Heard(now, prefix, None))


def _attributes(route: Route, nlri6: bytes) -> bytes:
    path = struct.pack(f"!BB{len(route.path)}I", 2, len(route.path), *route.path) if route.path else b""
    data = attribute(0x40, ORIGIN, b"\0") + attribute(0x40, AS_PATH, path)
    if nlri6:
        hop = ipaddress.ip_address(route.next_hop).packed
        data += attribute(0x80, MP_REACH, b"\0\2\1" + bytes([len(hop)]) + hop + b"\0" + nlri6)
    else:
        data += attribute(0x40, NEXT_HOP, socket.inet_aton(route.next_hop))
    if route.communities:
        data += attribute(0xC0, COMMUNITY, b"".join(struct.pack("!HH", *one) for one in route.communities))
    if route.extended:
        data += attribute(0xC0, EXTENDED, b"".join(struct.pack("!Q", one) for one in route.extended))
    if route.large:
        data += attribute(0xC0, LARGE, b"".join(struct.pack("!III", *one) for one in route.large))
    return data


def _route(fields: Mapping[int, bytes], next_hop: str) -> Route:
    path: list[int] = []
    raw = fields.get(AS_PATH, b"")
    while raw:
        path += struct.unpack_from(f"!{raw[1]}I", raw, 2)
        raw = raw[2 + 4 * raw[1] :]

    def numbers(code: int, layout: str) -> tuple[tuple[int, ...], ...]:
        return tuple(struct.iter_unpack(layout, fields.get(code, b"")))

    return Route(
        path=tuple(path),
        next_hop=next_hop,
        communities=tuple((a, b) for a, b in numbers(COMMUNITY, "!HH")),
        large=tuple((a, b, c) for a, b, c in numbers(LARGE, "!III")),
        extended=tuple(value for (value,) in numbers(EXTENDED, "!Q")),
    )


def split(attributes: bytes) -> Iterable[tuple[int, bytes]]:
    """Path attributes by type (RFC 4271 section 4.3)."""
    at = 0
    while at < len(attributes):
        flags, code = attributes[at], attributes[at + 1]
        if flags & 0x10:
            size, start = int.from_bytes(attributes[at + 2 : at + 4]), at + 4
        else:
            size, start = attributes[at + 2], at + 3
        yield code, attributes[start : start + size]
        at = start + size


def packed_prefix(prefix: str) -> bytes:
    address, _, length = prefix.partition("/")
    packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    return bytes([int(length)]) + packed[: (int(length) + 7) // 8]


def _unpack(octets: bytes, family: int) -> list[str]:
    kind, size = (socket.AF_INET, 4) if family == 4 else (socket.AF_INET6, 16)
    prefixes = []
    at = 0
    while at < len(octets):
        length = octets[at]
        used = (length + 7) // 8
        address = octets[at + 1 : at + 1 + used].ljust(size, b"\0")
        prefixes.append(f"{socket.inet_ntop(kind, address)}/{length}")
        at += 1 + used
    return prefixes


def _parts(octets: Iterable[bytes], most: int) -> Iterable[bytes]:
    part = b""
    for one in octets:
        if len(part) + len(one) > most:
            yield part
            part = b""
        part += one
    if part:
        yield part
