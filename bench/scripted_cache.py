"""An RTR cache (version 1) on loopback that sends a change at the moment it is told to.

Its answers are encoded in advance, so that only the other end is measured.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Self

from rtrd.rtr import pdu
from rtrlib import packed
from rtrlib.rtr_pdus import HEADER

HOST = "127.0.0.1"


class ScriptedCache:
    """One set of VRPs and its changes; any number of routers."""

    def __init__(self, records: bytes) -> None:
        """Take packed VRPs."""
        self._listener = socket.create_server((HOST, 0))
        self.port = int(self._listener.getsockname()[1])
        self._routers: list[socket.socket] = []
        self._lock = threading.Lock()
        self._deltas: list[bytes] = []
        self._refused = False
        self._whole = b""
        self._session = 0
        self.replace(records)
        threading.Thread(target=self._accept, daemon=True).start()

    def replace(self, records: bytes) -> None:
        """Have this set from now on, of which nobody knows anything: all must be asked for."""
        whole = _pdus(packed.ordered(records), announce=True)
        with self._lock:
            self._whole, self._deltas = whole, []
            self._session += 1

    def notify(self, announced: bytes = b"", withdrawn: bytes = b"") -> float:
        """Let packed VRPs come and go, and tell the routers; give when (`time.perf_counter()`)."""
        changes = _pdus(packed.ordered(withdrawn), announce=False) + _pdus(packed.ordered(announced), announce=True)
        with self._lock:
            self._deltas.append(changes)
            told = pdu.encode(pdu.SerialNotify(1, self._session, len(self._deltas)))
            moment = time.perf_counter()
            for router in self._routers:
                router.sendall(told)
        return moment

    def drop(self) -> None:
        """Close every session; who comes again must ask for all."""
        with self._lock:
            for router in self._routers:
                with contextlib.suppress(OSError):
                    router.shutdown(socket.SHUT_RDWR)

    def refuse(self, *, refused: bool) -> None:
        """Close every session and each new one, or take them again."""
        self._refused = refused
        if refused:
            self.drop()

    def close(self) -> None:
        self._listener.close()
        self.drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                router, _ = self._listener.accept()
                if self._refused:
                    router.close()
                    continue
                router.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._routers.append(router)
                threading.Thread(target=self._serve, args=(router,), daemon=True).start()

    def _serve(self, router: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while head := router.recv(HEADER.size, socket.MSG_WAITALL):
                rest = int.from_bytes(head[4:8]) - len(head)
                query = pdu.decode(head + (router.recv(rest, socket.MSG_WAITALL) if rest else b""))
                with self._lock:
                    serial, session = len(self._deltas), self._session
                    if isinstance(query, pdu.SerialQuery) and query.session != session:
                        router.sendall(pdu.encode(pdu.CacheReset(1)))
                        continue
                    if isinstance(query, pdu.SerialQuery):
                        body = b"".join(self._deltas[query.serial :])
                    else:
                        body = self._whole + b"".join(self._deltas)
                end = pdu.encode(pdu.EndOfData(1, session, serial, 3600, 600, 7200))
                router.sendall(pdu.encode(pdu.CacheResponse(1, session)) + body + end)
        with self._lock:
            self._routers.remove(router)


def _pdus(ordered: bytes, *, announce: bool) -> bytes:
    """Ordered VRPs as PDUs; those of IPv4 come first."""
    border = len(ordered)
    families = ordered[:: packed.VRP_SIZE]
    if 6 in families:
        border = families.index(6) * packed.VRP_SIZE
    first = pdu.encode_prefixes(ordered[:border], 1, announce=announce)
    return first + pdu.encode_prefixes(ordered[border:], 1, announce=announce)
