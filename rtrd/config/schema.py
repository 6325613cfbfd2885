"""The JSON Schema of the configuration, made from its types, for editors: what they complete and underline.

It knows less than `rtrd check`: nothing of lines, of keys given twice, or of values that must agree.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from msgspec import inspect

from rtrd.base.endpoint import Endpoint
from rtrd.base.notation import ROUTER_NAME
from rtrd.config import (
    BMP,
    TLS,
    Action,
    CacheServer,
    Config,
    Events,
    PolicyRule,
    RouterClients,
    RTRServer,
)
from rtrd.config.checks import NATIVE_KEYS, TRANSPORTS_OF
from rtrd.config.nats import MOST_SUBJECT, OVER_TLS, SUBJECT, URL, NATSServer, Subject
from rtrd.config.types import (
    DEVICE_NAME,
    Address,
    ASNumber,
    DeviceName,
    HostName,
    Name,
    NeighborMatch,
    Network,
    RoutePrefix,
    RouterName,
    Share,
)
from rtrd.config.when import PrefixLengths, PrefixRange, When
from rtrd.config.yaml_reader import alternatives
from rtrd.tags import Tag, TagSpec

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"

_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}(\.{_OCTET}){{3}}"
_IPV6 = rf"[0-9A-Fa-f]{{0,4}}(:[0-9A-Fa-f]{{0,4}}){{1,7}}:([0-9A-Fa-f]{{0,4}}|{_IPV4})(%[^\s]+)?"
_LABEL = "(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_TEXT = r"[^\x00-\x1f\x7f]+"

LEAVES: Final[dict[Any, dict[str, Any]]] = {
    Path: {"type": "string", "pattern": f"^{_TEXT}$"},
    Name: {"type": "string", "pattern": f"^{_TEXT}$", "maxLength": 64},
    RouterName: {"type": "string", "pattern": f"^{ROUTER_NAME.pattern}$"},
    Address: {"type": "string", "pattern": f"^({_IPV4}|{_IPV6})$"},
    HostName: {"type": "string", "pattern": rf"^({_IPV6}|({_LABEL}\.)*{_LABEL}\.?)$", "maxLength": 253},
    DeviceName: {"type": "string", "pattern": f"^{DEVICE_NAME}$"},
    NeighborMatch: {
        "type": "string",
        "pattern": f"^({_IPV4}(/[0-9]{{1,2}})?|{_IPV6}(/[0-9]{{1,3}})?|[Aa][Ss][0-9]{{1,10}})$",
    },
    Network: {"type": "string", "pattern": f"^({_IPV4}(/[0-9]{{1,2}})?|{_IPV6}(/[0-9]{{1,3}})?)$"},
    RoutePrefix: {"type": "string", "pattern": f"^({_IPV4}/[0-9]{{1,2}}|{_IPV6}/[0-9]{{1,3}})$"},
    ASNumber: {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": 4294967295},
            {"type": "string", "pattern": "^([Aa][Ss])?[1-9][0-9]{0,9}$"},
        ]
    },
    Share: {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})?%$"},
    Endpoint: {"type": "string", "pattern": rf"^({_IPV4}|\[{_IPV6}\]):[0-9]{{1,5}}$"},
    NATSServer: {"type": "string", "pattern": f"^{URL}$"},
    Subject: {"type": "string", "pattern": f"^{SUBJECT}$", "maxLength": MOST_SUBJECT},
    TagSpec: {
        "type": "string",
        "pattern": "^(rfc8097|community(:[0-9]{1,10}){2}|large(:[0-9]{1,10}){3}|extended:0x[0-9a-fA-F]{1,16})$",
    },
    Tag: {
        "type": "string",
        "pattern": "^([0-9]{1,10}(:[0-9]{1,10}){1,2}|community(:[0-9]{1,10}){2}|large(:[0-9]{1,10}){3}"
        "|extended:0x[0-9a-fA-F]{1,16})$",
    },
}
"""What is one text in the file."""

SHORT: Final[dict[Any, dict[str, Any]]] = {PrefixRange: LEAVES[RoutePrefix]}
"""Sections for which a text may stand."""


def _only_for(key: str, transports: tuple[str, ...]) -> dict[str, Any]:
    """Give the rule that a key of a cache is for these transports; one that is not given is tcp."""
    given = {"properties": {"transport": {"enum": list(transports)}}}
    return {"if": {"required": [key]}, "then": given if "tcp" in transports else {**given, "required": ["transport"]}}


TOGETHER: Final[dict[type, dict[str, Any]]] = {
    CacheServer: {
        "allOf": [
            {
                "if": {"properties": {"transport": {"const": "tls"}}, "required": ["transport"]},
                "then": {"properties": {"engine": {"const": "native"}}}
                | {"dependentRequired": {"certificate": ["key"], "key": ["certificate"]}},
            },
            {
                "if": {"properties": {"transport": {"const": "ssh"}}, "required": ["transport"]},
                "then": {"required": ["user", "key"]},
            },
            {
                "if": {"properties": {"engine": {"const": "librtr"}}, "required": ["engine"]},
                "then": {"properties": dict.fromkeys(NATIVE_KEYS, False)},
            },
            {"not": {"required": ["md5-password-file", "tcp-ao"]}},
            *(_only_for(key, transports) for key, transports in TRANSPORTS_OF.items()),
        ]
    },
    Action: {
        "if": {"properties": {"action": {"const": "announce"}}},
        "else": {"properties": {"tags": False, "local-preference": False}},
    },
    PolicyRule: {
        "if": {"properties": {"direction": {"const": "out"}}, "required": ["direction"]},
        "then": {
            "properties": dict.fromkeys(("from", "when", "as-set", "aspa-invalid", "leak"), False),
        },
    },
    PrefixLengths: {
        "minProperties": 1,
        "properties": {
            family: {
                "type": "array",
                "items": {"type": "integer", "minimum": 0, "maximum": bits},
                "minItems": 2,
                "maxItems": 2,
            }
            for family, bits in (("ipv4", 32), ("ipv6", 128))
        },
    },
    When: {"minProperties": 1},
    Events: {
        "if": {"not": {"properties": {"nats": {"pattern": "^tls:"}}}},
        "then": {"properties": dict.fromkeys(OVER_TLS, False)},
        "dependentRequired": {"certificate": ["key"], "key": ["certificate"]},
    },
    RouterClients: {
        "anyOf": [{"required": [key]} for key in ("max-version", "md5-password-file", "tcp-ao")],
        "not": {"required": ["md5-password-file", "tcp-ao"]},
    },
    TLS: {"dependentRequired": {"check-address": ["client-ca"]}},
    RTRServer: {"anyOf": [{"required": ["listen"]}, {"required": ["tls"]}]},
    BMP: {"anyOf": [{"required": ["listen"]}, {"required": ["tls"]}]},
}
"""What must agree within one section (rtrd.config.checks)."""


def schema() -> dict[str, Any]:
    """Give the schema."""
    parts: dict[str, dict[str, Any]] = {}
    root = _section(inspect.type_info(Config), parts)
    return {"$schema": DRAFT, "title": "rtrd.yaml", **root, "$defs": parts}


def text() -> str:
    """Give the schema as a file has it."""
    return json.dumps(schema(), indent=2) + "\n"


def _section(kind: inspect.Type, parts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Give the schema of a section; those within it go into `parts`."""
    assert isinstance(kind, inspect.StructType)
    keys = {}
    for each in kind.fields:
        keys[each.encode_name] = _value(each.type, parts)
        if isinstance(each.default, str | int | float | Path) and not isinstance(each.default, bool):
            keys[each.encode_name] |= {"default": _default(each.default)}
    return {
        "description": " ".join((kind.cls.__doc__ or "").split()),
        "type": "object",
        "properties": keys,
        "required": [each.encode_name for each in kind.fields if each.required],
        "additionalProperties": False,
        **TOGETHER.get(kind.cls, {}),
    }


def _default(value: object) -> object:
    return value if isinstance(value, int) else str(value)


def _value(kind: inspect.Type, parts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Give the schema of what a key may have; as for the reader, a key that is there has a value, never `null`."""
    kind, *others = alternatives(kind)
    if others:
        return {"anyOf": [_value(each, parts) for each in (kind, *others)]}
    cls = getattr(kind, "cls", None)
    if cls in LEAVES:
        return dict(LEAVES[cls])
    if isinstance(kind, inspect.StructType):
        name = kind.cls.__name__
        if name not in parts:
            parts[name] = _section(kind, parts)
        section = {"$ref": f"#/$defs/{name}"}
        return {"anyOf": [SHORT[cls], section]} if cls in SHORT else section
    if isinstance(kind, inspect.VarTupleType):
        least = {"minItems": kind.min_length} if kind.min_length else {}
        return {"type": "array", "items": _value(kind.item_type, parts), **least}
    return _PLAIN[type(kind)](kind)


_PLAIN: Final[dict[type[inspect.Type], Callable[[Any], dict[str, Any]]]] = {
    inspect.LiteralType: lambda kind: {"enum": list(kind.values)},
    inspect.IntType: lambda kind: {"type": "integer", "minimum": kind.ge, "maximum": kind.le},
    inspect.BoolType: lambda _: {"type": "boolean"},
    inspect.StrType: lambda _: {"type": "string", "pattern": f"^{_TEXT}$"},
}
