"""`lib.pfx_table_callback`: librtr's own prefix table read record by record.

For programs that use librtr's own table through `_rtrlib`, as rtrlib-python's did. rtrlib itself does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rtrlib.librtr import _librtr, ffi, lib
from rtrlib.records import PFXRecord

__all__ = ["ffi", "lib", "pfx_table_callback"]


def pfx_table_callback(raw: _librtr.PfxRecord, handle: _librtr.CData) -> None:
    """Call back with (record, data), where `handle` is `ffi.new_handle((callback, data))`.

    Give `lib.pfx_table_callback` to `pfx_table_for_each_ipv4_record` and its like. The table is locked meanwhile
    (do not change it inside); cffi prints an exception and the walk continues.
    """
    function: Callable[[PFXRecord, Any], object]
    function, data = ffi.from_handle(handle)
    function(PFXRecord(raw), data)


ffi.def_extern()(pfx_table_callback)
