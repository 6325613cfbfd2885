"""When certificates end (RFC 5280 section 4.1.2.5). Pure: it reads no file and knows no clock."""

from __future__ import annotations

import binascii
import datetime as dt
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18


class _Part(NamedTuple):
    """A value of DER (X.690): its tag, what is in it, and what follows."""

    tag: int
    inside: bytes
    rest: bytes


def ends(pem: bytes) -> Iterator[float]:
    """Give when each certificate of a PEM file ends (Unix time); one that can't be read has no say here."""
    for found in _PEM.finditer(pem):
        try:
            yield _end(binascii.a2b_base64(found[1]))
        except (ValueError, LookupError):
            continue


def _end(der: bytes) -> float:
    fields = _part(_part(der, _SEQUENCE).inside, _SEQUENCE).inside
    first = _part(fields)
    if first.tag == _VERSION:
        first = _part(first.rest)
    issuer = _part(_part(first.rest).rest)  # behind the serial number and the signature's algorithm
    validity = _part(issuer.rest, _SEQUENCE)
    end = _part(_part(validity.inside).rest)
    form = {_UTC_TIME: "%y%m%d%H%M%SZ", _GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}[end.tag]
    return dt.datetime.strptime(end.inside.decode("ascii"), form).replace(tzinfo=dt.UTC).timestamp()


def _part(der: bytes, tag: int | None = None) -> _Part:
    size, start = der[1], 2
    if size & 0x80:
        start += size & 0x7F
        size = int.from_bytes(der[2:start])
    if start + size > len(der) or tag not in (None, der[0]):
        raise ValueError("this is not DER")
    return _Part(der[0], der[start : start + size], der[start + size :])
