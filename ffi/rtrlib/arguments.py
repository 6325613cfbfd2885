"""What users give, checked: addresses, prefixes, AS numbers, lengths and numbers, of whatever type is one."""

from __future__ import annotations

import ipaddress
import math
import numbers
import operator
import re
import socket
import sys
import threading
from collections.abc import Iterable
from typing import Any, Final, Protocol, SupportsIndex, TypeAlias, TypeVar

from rtrlib.exceptions import AddressTypeError, IpConversionException, OptionTypeError, RTRInitError
from rtrlib.vrp import PACKED

__all__ = ["Buffer", "PrefixLike"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
PrefixLike: TypeAlias = (
    str | bytes | ipaddress.IPv4Address | ipaddress.IPv6Address | ipaddress.IPv4Network | ipaddress.IPv6Network
)
"""An address or a prefix: text, or one of `ipaddress`. Where a length is given beside, a network has that one."""
T = TypeVar("T")
BITS: Final = {4: 32, 6: 128}
OCTET_FORMATS: Final = frozenset({"B", "b", "c", "1s"})
"""Of arrays of octets, as memoryview says it."""
NO_MATTER: Final = re.compile(r":[^:]*:|[<>=@](?=[Bsx])")
"""In such a format: names of fields, and the order of the octets of one."""
PACKED_FORMATS: Final = frozenset(
    {f"{PACKED.size}s", f"{PACKED.size}x"}
    | {
        f"T{{{address}{order}IBBBB}}"
        for address in ("16s", "(16)B")
        for order in ("", "=", "<" if sys.byteorder == "little" else ">")
    }
)
"""Of arrays of packed routes: as wholes, or with the fields that they have."""
MAX_ASN: Final = (1 << 32) - 1


class Buffer(Protocol):
    """Whatever gives its octets: bytes, bytearray, memoryview, array.array, numpy.ndarray."""

    def __buffer__(self, flags: int, /) -> memoryview: ...


def integer(value: SupportsIndex, name: str) -> int:
    """Give an integer of any type. TypeError: it is none."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int, not {type(value).__name__}") from None


def address_of(given: PrefixLike) -> tuple[bytes, int]:
    """Give an address, or that of a network, in 4 or 16 octets, and its family.

    IpConversionException for what is not one; AddressTypeError, which is one, for what is of no type of addresses.
    """
    try:
        if isinstance(given, str):
            text = given
        elif isinstance(given, bytes):
            text = given.decode("ascii")
        else:
            found = _object_of(given)
            return found.packed, found.version
        if ":" in text:
            return socket.inet_pton(socket.AF_INET6, text), 6
        return socket.inet_pton(socket.AF_INET, text), 4
    except (OSError, ValueError) as error:
        if isinstance(error, IpConversionException):
            raise
        raise IpConversionException(f"{given!r:.80} is not an IP address") from error


def _object_of(given: object) -> Address:
    """Give the address of an object of `ipaddress`."""
    if isinstance(given, Network):
        return given.network_address
    if isinstance(given, Interface):
        return given.ip
    if not isinstance(given, Address):
        raise AddressTypeError(f"{given!r:.80} is not an IP address: expected text or one of ipaddress")
    if given.version == 6 and given.scope_id is not None:
        raise IpConversionException(f"{given!r:.80} has a scope, which no prefix has")
    return given


def text_of(address: PrefixLike, length: int, name: str) -> str:
    """Give an address as text. ValueError: it is of a network of another length than is given as `name`."""
    if isinstance(address, bytes | str):
        return address.decode("ascii") if isinstance(address, bytes) else str(address)
    network = address.network if isinstance(address, Interface) else address
    if isinstance(network, Network) and network.prefixlen != length:
        raise ValueError(f"{name} {length} is not the prefix length of {address}")
    return str(_object_of(address))


def prefix_of(given: PrefixLike) -> tuple[int, bytes, int]:
    """Give family, address (16 octets) and length of a prefix, or of an address as the prefix of all its bits.

    IpConversionException for what is not a prefix, ValueError for a length out of range and for bits set behind it.
    """
    if isinstance(given, Interface):
        given = str(given)
    if isinstance(given, Network):
        return given.version, given.network_address.packed.ljust(16, b"\0"), given.prefixlen
    length: str | None = None
    address: PrefixLike = given
    if isinstance(given, bytes):
        given = given.decode("latin-1")
    if isinstance(given, str):
        address, slash, text = given.partition("/")
        length = text if slash else None
    raw, family = address_of(address)
    bits = BITS[family] if length is None else _length_of(length, family, given)
    packed = raw.ljust(16, b"\0")
    if int.from_bytes(packed) & (1 << 128 - bits) - 1:
        raise ValueError(f"{given} has bits set behind the prefix length")
    return family, packed, bits


def _length_of(text: str, family: int, given: object) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= BITS[family]):
        raise ValueError(f"the prefix length of {given!r:.60} is not in 0..{BITS[family]}")
    return int(text)


def length_of(value: SupportsIndex, family: int, name: str) -> int:
    """Give a prefix length. TypeError, ValueError: it is none."""
    length = value if type(value) is int else integer(value, name)
    if not 0 <= length <= BITS[family]:
        raise ValueError(f"{name} {length} is not in 0..{BITS[family]}")
    return length


def asn_of(value: SupportsIndex) -> int:
    """Give an AS number. TypeError, ValueError: it is none."""
    asn = value if type(value) is int else integer(value, "asn")
    if not 0 <= asn <= MAX_ASN:
        raise ValueError(f"asn {asn} is not in 0..{MAX_ASN}")
    return asn


def octets_of(given: Any) -> Buffer | None:
    """Give what has the octets of packed routes; None for what is no array of octets, or of packed routes.

    Octets that do not lie one behind the other are copied.
    """
    try:
        view = memoryview(given)
    except TypeError:
        return None
    with view:
        form = NO_MATTER.sub("", view.format)
        if form not in (OCTET_FORMATS if view.itemsize == 1 else PACKED_FORMATS):
            return None
        whole: Buffer = given if view.c_contiguous else view.tobytes()
        return whole


def rows_of(given: Iterable[T]) -> Iterable[T]:
    """Give what is to be iterated; of an array (numpy's) as Python's own values, at once."""
    rows: Iterable[T] = given.tolist() if hasattr(given, "tolist") else given
    return rows


def option_number(name: str, value: Any, allowed: tuple[int, int], unit: str = "") -> int:
    """Give a whole number of an option. OptionTypeError: it is none, RTRInitError: it is not in the range."""
    low, high = allowed
    expected = f"{low}..{high}" + (f" {unit}" if unit else "")
    try:
        number = operator.index(value) if not isinstance(value, bool) else None
    except TypeError:
        number = None
    if number is None:
        raise OptionTypeError(f"{name} {value!r:.60} is not a whole number: expected {expected}")
    if not low <= number <= high:
        raise RTRInitError(f"{name} {value!r:.60} is not in {expected}")
    return number


def option_seconds(name: str, value: Any) -> float:
    """Give a number of seconds above 0, of an option. OptionTypeError, RTRInitError: it is none."""
    seconds = _seconds(value)
    if seconds is None:
        raise OptionTypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
    if not seconds > 0:
        raise RTRInitError(f"{name} {value!r} is not above 0 seconds")
    return seconds


def _seconds(value: Any) -> float | None:
    """Give a number of any type as one; None: it is none."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    number: Any = value
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def option_flag(name: str, value: Any) -> bool:
    """Give a bool of an option. OptionTypeError: it is none."""
    if not isinstance(value, bool):
        raise OptionTypeError(f"{name} must be True or False, not {value!r:.60}")
    return value


def option_function(name: str, value: Any) -> None:
    """OptionTypeError: it can't be called."""
    if not callable(value):
        raise OptionTypeError(f"{name} must be a function, not {type(value).__name__}")


def wait_limit(timeout: Any) -> float | None:
    """Give how long to wait, None: however long. 0 is without a limit, too, as in rtrlib-python.

    TypeError for what is not a number, ValueError for a negative one and NaN.
    """
    if timeout is None:
        return None
    seconds = _seconds(timeout)
    if seconds is None:
        raise TypeError(f"timeout must be a number of seconds or None, not {type(timeout).__name__}")
    if not seconds >= 0:
        raise ValueError(f"timeout {timeout!r} is not 0 or more seconds (None and 0: without a limit)")
    return None if seconds == 0 or seconds > threading.TIMEOUT_MAX else seconds
