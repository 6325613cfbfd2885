"""What a request asks for, read from its query."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Final, TypeVar

from aiohttp import web

from rtrd.base.notation import Prefix, parse_prefix, said
from rtrd.base.text import meant

Answer = TypeVar("Answer", bound=web.StreamResponse)
T = TypeVar("T")

YES_NO: Final = {"yes": True, "no": False}


LISTS: Final = frozenset(
    {"aspa", "cache", "exclude", "filter-asn", "filter-prefix", "include", "select-asn", "select-prefix", "vrp"}
)
"""Parameters that may be given several times; of another one all but one would be ignored."""


def get(path: str, handler: Callable[[web.Request], Awaitable[Answer]], *parameters: str) -> web.RouteDef:
    """Have a handler answer GET, with these parameters of the query and no others: 400 for one that it would ignore."""
    return web.get(path, _strict(handler, parameters))


def post(path: str, handler: Callable[[web.Request], Awaitable[Answer]], *parameters: str) -> web.RouteDef:
    """Have a handler answer POST, with these parameters and no others: a misspelled one changes nothing."""
    return web.post(path, _strict(handler, parameters))


def delete(path: str, handler: Callable[[web.Request], Awaitable[Answer]], *parameters: str) -> web.RouteDef:
    """Have a handler answer DELETE, with these parameters and no others."""
    return web.delete(path, _strict(handler, parameters))


def _strict(
    handler: Callable[[web.Request], Awaitable[Answer]], parameters: Sequence[str]
) -> Callable[[web.Request], Awaitable[Answer]]:
    @wraps(handler)
    async def strict(request: web.Request) -> Answer:
        query = request.query
        unknown = next((name for name in query if name not in parameters), None)
        if unknown is not None:
            expected = f"expected {', '.join(parameters)}" if parameters else "there are none"
            near = did_you_mean(unknown, parameters)
            raise ValueError(f"{said(unknown)} is not a parameter of {request.path}: {expected}{near}")
        twice = next((name for name in parameters if name not in LISTS and len(query.getall(name, ())) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice}: given more than once")
        return await handler(request)

    return strict


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Say which known word was probably meant; nothing if none is like it."""
    near = meant(word, known)
    return f"; did you mean {near!r}?" if near else ""


def number(request: web.Request, name: str, default: int, most: int, *, least: int = 1) -> int:
    """Give a number from `least` to `most`, or the default when it is not given.

    Raises:
        ValueError: with a sentence.

    """
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise ValueError(f"{name}: expected {least} to {most}, found {said(text)}")
    return int(text)


def wanted_prefix(request: web.Request) -> Prefix | None:
    """Give the prefix that is asked for, if any.

    Raises:
        ValueError: with a sentence.

    """
    text = request.query.get("prefix")
    return None if text is None else parse_prefix(text)


def choice(request: web.Request, name: str, choices: Mapping[str, T]) -> T | None:
    """Give what is chosen, or None when nothing is.

    Raises:
        ValueError: with a sentence.

    """
    text = request.query.get(name)
    if text is None:
        return None
    if text not in choices:
        found = f"found {said(text)}{did_you_mean(text, choices)}"
        raise ValueError(f"{name}: expected one of {', '.join(choices)}, {found}")
    return choices[text]
