"""`lib.pfx_table_callback`: librtr's own prefix table read record by record.

For programs that use librtr's own table through `_rtrlib`, as rtrlib-python's did. rtrlib itself does not.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

from rtrlib.librtr import _librtr, ffi, lib
from rtrlib.records import PFXRecord

__all__ = ["ffi", "lib", "pfx_table_callback", "record_of"]


def record_of(raw: _librtr.PfxRecord) -> PFXRecord:
    """Copy a `struct pfx_record`, or a pointer to one. ValueError: its address is of no known family."""
    ip, prefix = raw.prefix, ""
    if ip.ver == lib.LRTR_IPV4:
        prefix = str(ipaddress.IPv4Address(ip.u.addr4.addr))
    elif ip.ver == lib.LRTR_IPV6:
        words = b"".join(word.to_bytes(4, "big") for word in ip.u.addr6.addr)
        prefix = str(ipaddress.IPv6Address(words))
    else:
        raise ValueError(f"address family {ip.ver} is neither LRTR_IPV4 nor LRTR_IPV6")
    return PFXRecord(raw.asn, prefix, raw.min_len, raw.max_len)


def pfx_table_callback(raw: _librtr.PfxRecord, handle: _librtr.CData) -> None:
    """Call back with (record, data), where `handle` is `ffi.new_handle((callback, data))`.

    Give `lib.pfx_table_callback` to `pfx_table_for_each_ipv4_record` and its like. The table is locked meanwhile
    (do not change it inside); cffi prints an exception and the walk continues.
    """
    function: Callable[[PFXRecord, Any], object]
    function, data = ffi.from_handle(handle)
    function(record_of(raw), data)


ffi.def_extern()(pfx_table_callback)
