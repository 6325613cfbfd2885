"""Work on files in threads of its own: a file system that hangs keeps waiting neither the loop nor rtrd's end.

The threads of `asyncio.to_thread` are waited for at the end, and there are few of them: some that hang stop all others.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

from rtrd.base import threads
from rtrd.base.shortages import met

PATIENCE: Final = 3.0
"""Seconds for what is read or written in one go."""
UNANSWERED: Final = "the file system does not answer"
LONG: Final = 60.0
"""Seconds for what is large, on a slow disk."""
_P = ParamSpec("_P")
_T = TypeVar("_T")

_hung: dict[str, Callable[[], bool]] = {}
"""What tells whether they still hang, by what they do: meanwhile the same is not tried again."""


async def in_thread(patience: float, work: Callable[_P, _T], /, *arguments: _P.args, **options: _P.kwargs) -> _T:
    """Do some work in a thread of its own. OSError also when it does not end in `patience` seconds; it still may.

    The same where there is no thread or no memory for it.
    """
    name = getattr(work, "__qualname__", "")
    if (hangs := _hung.get(name)) is not None and hangs():
        raise OSError(errno.ETIMEDOUT, UNANSWERED)
    try:
        done, runs = threads.future(lambda: work(*arguments, **options))
        _hung.pop(name, None)
        return await asyncio.wait_for(done, patience)
    except TimeoutError as error:
        if done.cancelled():
            _hung[name] = runs
            raise OSError(errno.ETIMEDOUT, UNANSWERED) from error
        raise
    except (RuntimeError, MemoryError) as error:
        if (why := met(error)) is None:
            raise
        raise OSError(errno.ENOMEM, why) from error
