"""rtrlib-python's helpers, for programs that use librtr's addresses through `_rtrlib`; rtrlib itself uses none."""

from __future__ import annotations

import operator
from typing import Any

from rtrlib.arguments import address_of
from rtrlib.exceptions import IpConversionException
from rtrlib.librtr import ffi, lib

__all__ = ["ip_addr_to_str", "ip_str_to_addr", "is_integer", "is_string", "to_bytestr", "to_unicodestr"]


def ip_str_to_addr(ip_str: str | bytes) -> Any:
    """Give the address as librtr's `struct lrtr_ip_addr *`. IpConversionException: it is none."""
    address_of(ip_str)
    address = ffi.new("struct lrtr_ip_addr *")
    if lib.lrtr_ip_str_to_addr(to_bytestr(ip_str), address) != 0:
        raise IpConversionException(f"{ip_str!r} is not an IP address")
    return address


def ip_addr_to_str(ip_addr: Any) -> str:
    """Give the text of a `struct lrtr_ip_addr *`. IpConversionException: it holds no address."""
    text = ffi.new("char[]", 128)
    if lib.lrtr_ip_addr_to_str(ip_addr, text, 128) != 0:
        raise IpConversionException("the struct holds no IP address")
    return ffi.string(text).decode("ascii")


def to_bytestr(string: str | bytes) -> bytes:
    """Give text as bytes in UTF-8; what is no text as it is."""
    return string.encode() if isinstance(string, str) else string


def to_unicodestr(string: str | bytes) -> str:
    """Give bytes in UTF-8 as text; what are no bytes as it is."""
    return string.decode() if isinstance(string, bytes) else string


def is_integer(var: object) -> bool:
    """Tell whether it is an integer, of whatever type."""
    try:
        operator.index(var)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


def is_string(var: object) -> bool:
    """Tell whether it is text."""
    return isinstance(var, str)
