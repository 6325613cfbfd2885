"""Work on files in threads of its own: a file system that hangs keeps waiting neither the loop nor rtrd's end.

The threads of `asyncio.to_thread` are waited for at the end, and there are few of them: some that hang stop all others.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import threading
from collections.abc import Callable
from functools import partial
from typing import Final, ParamSpec, TypeVar

PATIENCE: Final = 3.0
"""Seconds for what is read or written in one go."""
UNANSWERED: Final = "the file system does not answer"
LONG: Final = 60.0
"""Seconds for what is large, on a slow disk."""
_P = ParamSpec("_P")
_T = TypeVar("_T")

_hung: dict[str, threading.Thread] = {}
"""By what they do: while one hangs, the same is not tried again."""


async def in_thread(patience: float, work: Callable[_P, _T], /, *arguments: _P.args, **options: _P.kwargs) -> _T:
    """Do some work in a thread of its own. OSError also when it does not end in `patience` seconds; it still may."""
    name = getattr(work, "__qualname__", "")
    if (hung := _hung.get(name)) is not None and hung.is_alive():
        raise OSError(errno.ETIMEDOUT, UNANSWERED)
    done: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
    thread = threading.Thread(
        target=_run, args=(done, lambda: work(*arguments, **options)), name=f"file {name}", daemon=True
    )
    try:
        thread.start()
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, "no thread is to be had") from error
    _hung.pop(name, None)
    try:
        return await asyncio.wait_for(done, patience)
    except TimeoutError as error:
        if done.cancelled():
            _hung[name] = thread
            raise OSError(errno.ETIMEDOUT, UNANSWERED) from error
        raise


def _run(done: asyncio.Future[_T], work: Callable[[], _T]) -> None:
    """Do the work, in the thread."""
    settle: Callable[[], object]
    try:
        result = work()
    except BaseException as caught:  # noqa: BLE001 - it is raised where it is waited for
        settle = partial(done.set_exception, caught)
    else:
        settle = partial(done.set_result, result)
    with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
        done.get_loop().call_soon_threadsafe(lambda: done.done() or settle())
