"""What a user of librtr by its own names may write: type checkers read it, and tests run it with a wheel."""

from __future__ import annotations

from typing import Any

import rtrlib
from _rtrlib import ffi, lib


def found(record: rtrlib.PFXRecord, data: Any) -> None:
    print(record, data)


table, record = ffi.new("struct pfx_table *"), ffi.new("struct pfx_record *")
lib.pfx_table_init(table, ffi.NULL)
record.asn, record.min_len, record.max_len = 64500, 24, 24
lib.lrtr_ip_str_to_addr(b"198.51.100.0", ffi.addressof(record, "prefix"))
lib.pfx_table_add(table, record)
handle = ffi.new_handle((found, None))
lib.pfx_table_for_each_ipv4_record(table, lib.pfx_table_callback, handle)
lib.pfx_table_free(table)
