"""What a request asks for, read from its query."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Final, TypeVar

from aiohttp import web

from rtrd.base.notation import Prefix, parse_prefix, said

Answer = TypeVar("Answer", bound=web.StreamResponse)
T = TypeVar("T")

YES_NO: Final = {"yes": True, "no": False}


def get(path: str, handler: Callable[[web.Request], Awaitable[Answer]], *parameters: str) -> web.RouteDef:
    """Have a handler answer GET, with these parameters of the query and no others: 400 for one that it would ignore."""

    @wraps(handler)
    async def strict(request: web.Request) -> Answer:
        unknown = next((name for name in request.query if name not in parameters), None)
        if unknown is not None:
            expected = f"expected {', '.join(parameters)}" if parameters else "there are none"
            raise ValueError(f"{said(unknown)} is not a parameter of {request.path}: {expected}")
        return await handler(request)

    return web.get(path, strict)


def number(request: web.Request, name: str, default: int, most: int, *, least: int = 1) -> int:
    """Give a number from `least` to `most`, or the default when it is not given.

    Raises:
        ValueError: with a sentence.

    """
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise ValueError(f"{name}: expected {least} to {most}")
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
        raise ValueError(f"{name}: expected one of {', '.join(choices)}")
    return choices[text]
