"""BIRD's protocols, routes and ROAs, read from the lines of its replies. No socket.

What is read is what BIRD 2 and 3 print for `show protocols all`, `show route all` and `show route` of a ROA table. What
can't be read is an error, not left out: an audit that overlooks routes would be worse than none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from rtrd.base.text import printable
from rtrd.bird.replies import BirdError, Line

ROUTE_CODE: Final = 1007
ATTRIBUTE_CODE: Final = 1012
PROTOCOL_CODE: Final = 1002
DETAILS_CODE: Final = 1006

_HEADER_CODE: Final = 2002
_TYPE_CODE: Final = 1008
_END_CODE: Final = 0
_CHANNEL: Final = re.compile(r"  Channel (\S+)")
_SETTING: Final = re.compile(r"    +([A-Z][^:]*):\s+(.*)")
_LOCAL_AS: Final = re.compile(r"    +Local AS:?\s+([0-9]+)")
_ROUTE: Final = re.compile(r"(\S*) +[^\[]+\[([^ \]]+) [^\]]*\]")
_ROA: Final = re.compile(r"([0-9a-f.:]+/[0-9]+)-([0-9]+) AS([0-9]+) ")
_TABLE: Final = re.compile(r"Table (\S+):")
_AS_PATH: Final = ("\tBGP.as_path:", "\tbgp_path:")
"""As BIRD 2 and BIRD 3 write it."""
_MAX_ASN: Final = 4294967295


class Protocol(NamedTuple):
    """A protocol of BIRD."""

    name: str
    kind: str
    """As BGP, RPKI."""
    state: str
    """As up, down, start."""
    local_asn: int | None
    tables: tuple[tuple[str, str], ...]
    """Of each channel its kind (ipv4, roa6, ...) and the table behind it."""


class BirdRoute(NamedTuple):
    """A route of a table; several of one prefix have the same text."""

    prefix: str
    protocol: str
    origin: int | None
    """Origin AS (RFC 6811 section 2); None: NONE."""


def protocols(lines: Iterable[Line]) -> list[Protocol]:
    """Read the reply to `show protocols all`."""
    found: list[Protocol] = []
    channels: list[int] = []  # how many each has
    channel = None
    for line in _expected(lines, _HEADER_CODE, PROTOCOL_CODE, DETAILS_CODE):
        text = line.text
        if line.code == PROTOCOL_CODE and text.strip():
            found.append(_protocol(text))
            channels.append(0)
            channel = None
        elif line.code == DETAILS_CODE and found:
            one = found[-1]
            if match := _CHANNEL.match(text):
                channel = match[1]
                channels[-1] += 1
            elif match := _LOCAL_AS.match(text):
                found[-1] = one._replace(local_asn=_asn(match[1]))
            elif channel is not None and (match := _SETTING.match(text)) and match[1] == "Table":
                found[-1] = one._replace(tables=(*one.tables, (channel, match[2])))
                channel = None
    _want_tables(found, channels)
    return found


def _protocol(text: str) -> Protocol:
    words = text.split()
    if len(words) < 4:
        raise BirdError(f"this is not a protocol: {printable(text[:60])!r}")
    return Protocol(words[0], words[1], words[3], None, ())


def _want_tables(found: list[Protocol], channels: list[int]) -> None:
    """Refuse what would make an audit of nothing look clean."""
    if not found:
        raise BirdError("BIRD names no protocol, so there is no table to look at")
    for one, count in zip(found, channels, strict=True):
        if len(one.tables) != count:
            raise BirdError(f"the protocol {printable(one.name)} has a channel without a table that rtrd can read")


def _expected(lines: Iterable[Line], *codes: int) -> Iterator[Line]:
    """Give the lines of a reply that may have these. Another one says what rtrd does not know: BirdError."""
    for line in lines:
        if line.code not in codes and line.code != _END_CODE:
            raise BirdError(f"BIRD answers with {line.code:04}, which is not known here: {printable(line.text[:60])!r}")
        yield line


def _asn(digits: str) -> int:
    if len(digits) > 10 or int(digits) > _MAX_ASN:
        raise BirdError(f"this is not an AS number: {printable(digits[:60])!r}")
    return int(digits)


def tables_of(found: Iterable[Protocol], *kinds: str) -> list[str]:
    """Give the tables behind channels of some kinds, each once."""
    return list(dict.fromkeys(table for one in found for kind, table in one.tables if kind in kinds))


def quoted(table: str) -> str:
    """Give a table's name as a command needs it. BirdError for what can be none."""
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", table):
        return table
    if re.fullmatch(r"[A-Za-z0-9_.:-]+", table):
        return f"'{table}'"
    raise BirdError(f"{printable(table)!r} can't be the name of a table")


def routes(lines: Iterable[Line], local: dict[str, int]) -> Iterator[BirdRoute]:
    """Read the reply to `show route all table T`, route by route.

    `local`: our AS for each BGP protocol, which is the origin of routes with an empty path. Routes that no BGP brought,
    which have no path, are left out: they have no origin before they are announced.
    """
    prefix = protocol = ""
    path: str | None = None
    for code, text, _ in _expected(lines, ROUTE_CODE, _TYPE_CODE, ATTRIBUTE_CODE):
        if code == ROUTE_CODE:
            if not text or text.startswith("\t") or _TABLE.fullmatch(text):
                continue
            yield from _routes(prefix, protocol, path, local)
            match = _ROUTE.match(text)
            if match is None:
                raise BirdError(f"this is not a route: {printable(text[:60])!r}")
            prefix = match[1] or prefix
            protocol = match[2]
            path = None
        elif code == ATTRIBUTE_CODE and text.startswith(_AS_PATH):
            path = text.partition(":")[2]
    yield from _routes(prefix, protocol, path, local)


def _routes(prefix: str, protocol: str, path: str | None, local: dict[str, int]) -> Iterator[BirdRoute]:
    """Give what was told of a route; none, if no BGP brought it."""
    if path is not None:
        yield _route(prefix, protocol, path, local)
    elif protocol in local:
        raise BirdError(f"{prefix} of {protocol} has no AS path that rtrd can read")


def _route(prefix: str, protocol: str, path: str, local: dict[str, int]) -> BirdRoute:
    try:
        return BirdRoute(prefix, protocol, origin(path, local.get(protocol)))
    except ValueError:
        raise BirdError(f"this is not an AS path: {printable(path[:60])!r}") from None


def origin(path: str, local_asn: int | None) -> int | None:
    """Give the origin AS of a path as BIRD prints it: `1 2 {3 4}`, confederation segments in parentheses.

    None: NONE, for a final AS_SET. A path without anything but confederation segments is the speaker's own (RFC 6907
    section 2). Raises ValueError.
    """
    outside = (re.sub(r"\([^)]*\)", " ", path) if "(" in path else path).split()
    if not outside:
        return local_asn
    if outside[-1].endswith("}"):
        return None
    if not re.fullmatch(r"[0-9]{1,10}", outside[-1]) or int(outside[-1]) > _MAX_ASN:
        raise ValueError(path)
    return int(outside[-1])


def vrps(lines: Iterable[Line]) -> Iterator[tuple[str, int, int]]:
    """Read the reply to `show route table T` of a ROA table: prefix, max length, AS."""
    for code, text, _ in _expected(lines, ROUTE_CODE, _TYPE_CODE, ATTRIBUTE_CODE):
        if code != ROUTE_CODE or not text or text.startswith("\t") or _TABLE.fullmatch(text):
            continue
        match = _ROA.match(text)
        if match is None:
            raise BirdError(f"this is not a ROA: {printable(text[:60])!r}")
        if not _fits(match[1], match[2]):
            raise BirdError(f"this is not a ROA: {printable(text[:60])!r}")
        yield match[1], int(match[2]), _asn(match[3])


def _fits(prefix: str, longest: str) -> bool:
    """Whether a prefix and its max length are no longer than addresses are."""
    length = prefix.partition("/")[2]
    return len(length) <= 3 and len(longest) <= 3 and int(length) <= int(longest) <= (128 if ":" in prefix else 32)
