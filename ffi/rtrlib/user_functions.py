"""The user's functions: how many arguments each takes, and what it raises, said once for each kind."""

from __future__ import annotations

import inspect
import logging
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from rtrlib.exceptions import OptionTypeError

__all__ = ["Raised", "fitted"]

log = logging.getLogger("rtrlib")

KINDS: Final = 32
"""Kinds of exceptions that are told apart."""


def fitted(name: str, function: Any, data: Any, count: int) -> Callable[..., object] | None:
    """Give what calls a user's function with `count` arguments, the last of them `data`; None for None.

    Without data, one that takes an argument less is called without it, as one whose last has a default. OptionTypeError
    for what can't be called so, or would give a coroutine.
    """
    if function is None:
        return None
    if not callable(function):
        raise OptionTypeError(f"{name} must be a function, not {type(function).__name__}")
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):
        raise OptionTypeError(f"{name} is a coroutine function, which nobody would await: see subscribe()")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise OptionTypeError(f"{name} is a generator function, which does nothing when it is called")
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):  # of something in C that does not tell
        return lambda *arguments: function(*arguments, data)
    has_default = _has_default(signature, count)
    if _takes(signature, count) and not (has_default and data is None):
        return lambda *arguments: function(*arguments, data)
    if data is None and _takes(signature, count - 1):
        called: Callable[..., object] = function
        return called
    less = "" if data is not None else f", or {count - 1} without data"
    raise OptionTypeError(f"{name} must take {count} arguments{less}: {signature} does not")


def _takes(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _has_default(signature: inspect.Signature, count: int) -> bool:
    """Tell whether the argument of this number has a default."""
    kinds = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    positional = [one for one in signature.parameters.values() if one.kind in kinds]
    return len(positional) >= count and positional[count - 1].default is not inspect.Parameter.empty


class Raised:
    """What functions of the user raised: the first of a kind is said with its traceback, of the others how many."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._said: Counter[tuple[str, str]] = Counter()

    def note(self, name: str, error: BaseException) -> None:
        """Count one, and say so if it is the 1st, 10th, 100th .. of its kind."""
        kind = name, type(error).__name__
        if kind not in self._counts and len(self._counts) >= KINDS:
            kind = name, "other exceptions"
        self._counts[kind] += 1
        count = self._counts[kind]
        if count == 1:
            _say(f"{name} raised an exception; the manager goes on, and counts more of this kind", error)
            self._said[kind] = 1
        elif str(count).strip("0") == "1":
            self._say(kind)

    def total(self) -> None:
        """Say how many there were of those kinds of which there are more than was said."""
        for kind, count in self._counts.items():
            if count > self._said[kind]:
                self._say(kind)

    def _say(self, kind: tuple[str, str]) -> None:
        self._said[kind] = self._counts[kind]
        _say(f"{kind[0]} raised {kind[1]} {self._counts[kind]} times so far")


def _say(text: str, error: BaseException | None = None) -> None:
    """Log it; to stderr where nobody configured logging, as Python does with exceptions that nobody catches."""
    if _is_configured():
        log.error(text, exc_info=error)
        return
    lines = traceback.format_exception(error) if error is not None else []
    sys.stderr.write(f"rtrlib: {text}\n" + "".join(lines))


def _is_configured() -> bool:
    one: logging.Logger | None = log
    while one is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in one.handlers):
            return True
        one = one.parent if one.propagate else None
    return False
