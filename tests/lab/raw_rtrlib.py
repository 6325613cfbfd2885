"""librtr by its own names, as programs written for rtrlib-python use it: addresses, records, tables, managers."""

from collections.abc import Sequence
from typing import Any

from _rtrlib import ffi, lib


def address(text: str) -> Any:
    ip = ffi.new("struct lrtr_ip_addr *")
    assert lib.lrtr_ip_str_to_addr(text.encode(), ip) == 0
    return ip


def record(asn: int, ip: str, min_len: int, max_len: int, socket: Any = ffi.NULL) -> Any:
    made = ffi.new("struct pfx_record *", {"asn": asn, "min_len": min_len, "max_len": max_len, "socket": socket})
    made.prefix = address(ip)[0]
    return made


def new_table(update: Any = ffi.NULL) -> Any:
    table = ffi.new("struct pfx_table *")
    lib.pfx_table_init(table, update)
    return table


def add(table: Any, *of_record: Any) -> None:
    assert lib.pfx_table_add(table, record(*of_record)) == lib.PFX_SUCCESS


def validity(table: Any, asn: int, ip: str, length: int) -> int:
    result = ffi.new("enum pfxv_state *")
    assert lib.pfx_table_validate(table, asn, address(ip), length, result) == lib.PFX_SUCCESS
    return int(result[0])


class RawManager:
    """A manager set up as rtrlib-python's documentation and test.py do it. A group is the ports of its caches."""

    def __init__(
        self,
        *groups: Sequence[int],
        transport: str = "tcp",
        preferences: Sequence[int] = range(9),
        intervals: tuple[int, int, int] = (3600, 7200, 1),
        status: Any = ffi.NULL,
    ) -> None:
        self.sockets: list[Any] = []
        self.kept: list[Any] = []
        self.groups = ffi.new("struct rtr_mgr_group[]", len(groups))
        for i, ports in enumerate(groups):
            pointers = ffi.new("struct rtr_socket *[]", [self._socket(port, transport) for port in ports])
            self.groups[i] = {"sockets": pointers, "sockets_len": len(ports), "preference": preferences[i]}
            self.kept.append(pointers)
        self.config = ffi.new("struct rtr_mgr_config **")
        callbacks = (ffi.NULL, ffi.NULL, status, ffi.NULL)
        self.result = lib.rtr_mgr_init(self.config, self.groups, len(groups), *intervals, *callbacks)

    def _socket(self, port: int, transport: str) -> Any:
        texts = [ffi.new("char[]", text) for text in (b"127.0.0.1", str(port).encode(), b"rtr", b"secret")]
        host, service, user, password = texts
        made, socket = ffi.new("struct tr_socket *"), ffi.new("struct rtr_socket *")
        if transport == "tcp":
            opened = lib.tr_tcp_init(ffi.new("struct tr_tcp_config *", {"host": host, "port": service}), made)
        else:
            options = {"host": host, "port": 22, "username": user, "password": password}
            opened = lib.tr_ssh_init(ffi.new("struct tr_ssh_config *", options), made)
        assert opened == lib.TR_SUCCESS
        socket.tr_socket = made
        self.kept += [*texts, made]
        self.sockets.append(socket)
        return socket

    def start(self) -> None:
        assert self.result == lib.RTR_SUCCESS
        assert lib.rtr_mgr_start(self.config[0]) == lib.RTR_SUCCESS

    def stop(self) -> None:
        lib.rtr_mgr_stop(self.config[0])
