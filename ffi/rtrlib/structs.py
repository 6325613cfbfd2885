"""librtr's structs as Python values, for programs that use librtr through `_rtrlib`; they need not be loaded for it."""

from __future__ import annotations

import ipaddress
from typing import Any, Final

from _rov import ffi

__all__ = ["group_of", "is_cdata", "is_struct", "pfx_record_of", "socket_of", "spki_record_of"]

IPV4: Final = 0
"""LRTR_IPV4."""
IPV6: Final = 1


def is_cdata(value: Any) -> bool:
    """Tell whether it is a value of C, of whatever module made by cffi."""
    return isinstance(value, ffi.CData)


def is_struct(value: Any, name: str) -> bool:
    """Tell whether it is `struct NAME`, or a pointer to one that is not NULL."""
    if not is_cdata(value):
        return False
    cname = ffi.typeof(value).cname
    return cname == f"struct {name}" or (cname in {f"struct {name} *", f"struct {name}[]"} and bool(value))


def _want(value: Any, name: str, or_else: str) -> None:
    if not is_struct(value, name):
        kind = ffi.typeof(value).cname if is_cdata(value) else type(value).__name__
        raise TypeError(f"expected {or_else}, or alone a struct {name} of librtr or a pointer to one, not {kind}")


def pfx_record_of(raw: Any) -> tuple[int, str, int, int]:
    """Copy a `struct pfx_record`. TypeError: it is none; ValueError: its address is of no known family."""
    _want(raw, "pfx_record", "asn, prefix, min_len and max_len")
    ip = raw.prefix
    if ip.ver == IPV4:
        prefix = str(ipaddress.IPv4Address(ip.u.addr4.addr))
    elif ip.ver == IPV6:
        prefix = str(ipaddress.IPv6Address(b"".join(word.to_bytes(4, "big") for word in ip.u.addr6.addr)))
    else:
        raise ValueError(f"address family {ip.ver} is neither LRTR_IPV4 nor LRTR_IPV6")
    return raw.asn, prefix, raw.min_len, raw.max_len


def spki_record_of(raw: Any) -> tuple[int, bytes, bytes]:
    """Copy a `struct spki_record`. TypeError: it is none."""
    _want(raw, "spki_record", "asn, ski and spki")
    return raw.asn, bytes(raw.ski), bytes(raw.spki)


def socket_of(raw: Any) -> dict[str, Any]:
    """Give what a `struct rtr_socket` says, by the names of an RTRSocket. TypeError: it is none."""
    _want(raw, "rtr_socket", "an index and a server")
    return {
        "state": raw.state,
        "version": raw.version,
        "refresh_interval": raw.refresh_interval,
        "retry_interval": raw.retry_interval,
        "expire_interval": raw.expire_interval,
        "last_update": raw.last_update,
        "session_id": raw.session_id,
        "serial_number": raw.serial_number,
        "has_received_pdus": bool(raw.has_received_pdus),
    }


def group_of(raw: Any) -> tuple[int, int, list[Any]]:
    """Give preference, status and sockets of a `struct rtr_mgr_group`. TypeError: it is none."""
    _want(raw, "rtr_mgr_group", "a name, a preference and sockets")
    return raw.preference, raw.status, [raw.sockets[i] for i in range(raw.sockets_len)]
