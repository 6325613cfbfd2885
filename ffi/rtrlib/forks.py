"""What becomes of a manager in a forked child: its threads are not there, and its descriptors are the parent's, too.

An epoll, an eventfd and a connection are one for both processes: a child that unregistered, woke or shut down anything
would do so to its parent. So at the fork, before any other code runs in the child, each manager lets go of all that.
"""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["close", "watch"]

Owner = TypeVar("Owner")

_alive: weakref.WeakKeyDictionary[Any, Callable[[Any], None]] = weakref.WeakKeyDictionary()


def watch(owner: Owner, forked: Callable[[Owner], None]) -> None:
    """Have `forked(owner)` called in each child while the owner lives; it must wait for nothing, and tell nobody."""
    _alive[owner] = forked


def close(fd: int) -> None:
    """Close an inherited descriptor; it may be closed already, by a thread that the fork interrupted."""
    with contextlib.suppress(OSError):
        os.close(fd)


def _in_child() -> None:
    for owner, forked in list(_alive.items()):
        forked(owner)


os.register_at_fork(after_in_child=_in_child)
