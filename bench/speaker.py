"""A BGP speaker on loopback that announces routes to a router, or counts those that a router announces."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterable
from typing import Self

from bench.lines import Attributes
from rtrd.demo.lab import LabError

MARKER = b"\xff" * 16
OPEN, UPDATE, NOTIFICATION, KEEPALIVE = 1, 2, 3, 4
HOLD = 180
SECONDS = 30.0


def message(kind: int, body: bytes = b"") -> bytes:
    return MARKER + struct.pack(">HB", 19 + len(body), kind) + body


def attribute(flags: int, code: int, value: bytes) -> bytes:
    if len(value) > 255:
        return struct.pack(">BBH", flags | 0x10, code, len(value)) + value
    return bytes([flags, code, len(value)]) + value


def update(attributes: Attributes, next_hop: str, prefixes: Iterable[str]) -> bytes:
    """Encode an UPDATE of routes of one family (RFC 4271 section 4.3, RFC 4760), AS numbers of four octets."""
    prefixes = list(prefixes)
    is_ipv6 = ":" in prefixes[0]
    family = socket.AF_INET6 if is_ipv6 else socket.AF_INET
    path = b"".join(struct.pack(">I", asn) for asn in attributes.as_path)
    parts = [
        attribute(0x40, 1, b"\0"),
        attribute(0x40, 2, bytes([2, len(attributes.as_path)]) + path),
    ]
    if not is_ipv6:
        parts.append(attribute(0x40, 3, socket.inet_aton(next_hop)))
    if attributes.med is not None:
        parts.append(attribute(0x80, 4, struct.pack(">I", attributes.med)))
    if attributes.communities:
        pairs = b"".join(struct.pack(">HH", *pair) for pair in attributes.communities)
        parts.append(attribute(0xC0, 8, pairs))
    if attributes.large_communities:
        triples = b"".join(struct.pack(">III", *triple) for triple in attributes.large_communities)
        parts.append(attribute(0xC0, 32, triples))
    reachable = b""
    for prefix in prefixes:
        address, _, length = prefix.partition("/")
        reachable += bytes([int(length)]) + socket.inet_pton(family, address)[: (int(length) + 7) // 8]
    if is_ipv6:
        hop = socket.inet_pton(family, next_hop)
        parts.append(attribute(0x80, 14, b"\0\2\1" + bytes([len(hop)]) + hop + b"\0" + reachable))
        reachable = b""
    encoded = b"".join(parts)
    return message(UPDATE, struct.pack(">HH", 0, len(encoded)) + encoded + reachable)


class Speaker:
    """One session, which this end opens."""

    def __init__(self, address: str, asn: int, router: tuple[str, int]) -> None:
        self.announced: set[bytes] = set()
        """IPv4 prefixes that the router announced, as on the wire."""
        self.bytes = 0
        self.last = 0.0
        """When the last message with routes came (`time.perf_counter()`)."""
        self.up = threading.Event()
        self.fault: str | None = None
        self._socket = socket.create_connection(router, SECONDS, source_address=(address, 0))
        self._socket.settimeout(None)
        self._sending = threading.Lock()
        self._closed = threading.Event()
        identifier = socket.inet_aton(address)
        capabilities = b"\x01\x04\0\1\0\1" + b"\x01\x04\0\2\0\1" + b"\x02\x00" + b"\x41\x04" + struct.pack(">I", asn)
        parameters = bytes([2, len(capabilities)]) + capabilities
        short = asn if asn < 65536 else 23456
        self._send(
            message(OPEN, struct.pack(">BHH", 4, short, HOLD) + identifier + bytes([len(parameters)]) + parameters)
        )
        for run in (self._read, self._keep_alive):
            threading.Thread(target=run, daemon=True).start()

    def send(self, updates: bytes) -> None:
        """Write encoded UPDATEs, as fast as the router takes them."""
        at = 0
        while at < len(updates):
            end = at
            while end < len(updates) and end - at < 1 << 14:  # whole messages: a KEEPALIVE may come between
                end += int.from_bytes(updates[end + 16 : end + 18])
            self._send(updates[at:end])
            at = end

    def close(self) -> None:
        self._closed.set()
        self._socket.close()

    def _keep_alive(self) -> None:
        with contextlib.suppress(OSError):
            while not self._closed.wait(HOLD / 6):
                self._send(message(KEEPALIVE))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait_announced(self, count: int, seconds: float) -> float:
        """Return when so many prefixes have come: the moment of the last."""
        until = time.monotonic() + seconds
        while len(self.announced) < count:
            if self.fault or time.monotonic() > until:
                raise LabError(f"{len(self.announced)} of {count} routes came: {self.fault or f'within {seconds} s'}")
            time.sleep(0.01)
        return self.last

    def _send(self, data: bytes) -> None:
        with self._sending:
            self._socket.sendall(data)

    def _read(self) -> None:
        try:
            waiting = b""
            while True:
                more = self._socket.recv(1 << 16)
                if not more:
                    raise ConnectionError("the router closed the session")
                waiting = self._take(waiting + more)
        except OSError as error:
            self.fault = str(error)

    def _take(self, data: bytes) -> bytes:
        at = 0
        while len(data) - at >= 19:
            size, kind = struct.unpack_from(">HB", data, at + 16)
            if len(data) - at < size:
                break
            body = data[at + 19 : at + size]
            at += size
            if kind == OPEN:
                self._send(message(KEEPALIVE))
            elif kind == KEEPALIVE:
                self.up.set()
            elif kind == NOTIFICATION:
                raise ConnectionError(f"the router sent NOTIFICATION {body[0]}/{body[1]}")
            elif kind == UPDATE:
                self._count(body)
        return data[at:]

    def _count(self, body: bytes) -> None:
        (withdrawn,) = struct.unpack_from(">H", body)
        (attributes,) = struct.unpack_from(">H", body, 2 + withdrawn)
        at = 4 + withdrawn + attributes
        while at < len(body):
            end = at + 1 + (body[at] + 7) // 8
            self.announced.add(body[at:end])
            at = end
        self.last = time.perf_counter()
