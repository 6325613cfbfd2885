"""Values of log records as plain text: the same for people, in JSON and in the systemd journal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any, Final

from rtrd.base.text import MAX_VALUE, printable

_PLAIN: Final = re.compile(r"[^\s='\"]+")


def plain(value: object) -> Any:
    """Give a number as it is, all else as text, escaped and cut: a list as `a, b`, a mapping as `a 1, b 2`."""
    if isinstance(value, (bool, int, float)):
        return value
    return printable(_text(value))


def _text(value: object) -> str:
    if isinstance(value, (str, bytes)):
        return value if isinstance(value, str) else value.decode("ascii", "backslashreplace")
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return _joined(f"{_text(key)} {_text(one)}" for key, one in value.items())
    if isinstance(value, AbstractSet):
        return _joined(sorted(map(_text, value)))
    if isinstance(value, Iterable) and hasattr(value, "__len__") and not hasattr(value, "_fields"):
        return _joined(map(_text, value))
    return str(value)


def _joined(texts: Iterable[str]) -> str:
    """Join no more of them than are shown."""
    return ", ".join(islice(texts, MAX_VALUE)) or "none"


def field(key: str, value: object) -> str:
    """Give a field of a line: `key=value`, in quotation marks where a value could be taken for several words."""
    text = _text(value)
    if not _PLAIN.fullmatch(text):
        text = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{key}={text}"
