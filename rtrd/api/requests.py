"""What a request asks for, read from its query."""

from __future__ import annotations

from aiohttp import web


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
