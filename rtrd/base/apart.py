"""Work done in a process of its own: its memory is given back when it ends, and no event loop waits for it.

`run` starts a module of ours, and that module's `main` ends with `answer`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from typing import Final

from rtrd.base.text import printable
from rtrlib import children
from rtrlib.children import LastWords, how_it_ended

_REFUSED: Final = 2
_MOST_TEXT: Final = 4096
_SLICE: Final = 1 << 16
_PARENT: Final = "RTRD_PARENT"
_PR_SET_PDEATHSIG: Final = 1


async def run(
    module: str, path: str, fault: type[Exception], octets: bytes | memoryview = b"", *, arguments: Sequence[str] = ()
) -> bytes:
    """Give what a module prints for a path and further arguments, with these octets on stdin.

    Raises `fault` with the sentence that it gives instead, or with how the process ended.
    """
    command = children.module(module, path, *arguments)
    _watch_without_threads()
    environment = {**command.env, _PARENT: str(os.getpid())}
    try:
        process = await asyncio.create_subprocess_exec(
            *command.argv, env=environment, stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
    except (OSError, RuntimeError) as error:  # no process to be had; or no thread, of which RuntimeError tells
        raise fault(f"{path}: no process can be started to read it: {getattr(error, 'strerror', error)}") from error
    try:
        output, words = await _communicate(process, memoryview(octets))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == 0:
        return output
    if process.returncode == _REFUSED:
        raise fault(printable(words, _MOST_TEXT))
    raise fault(printable(f"{path}: the process that read it {how_it_ended(process.returncode, words)}", _MOST_TEXT))


def _watch_without_threads() -> None:
    """Wait for processes as Python 3.12 does: a thread for each may never say that it began (`rtrd.base.threads`)."""
    if sys.version_info >= (3, 12):
        return
    watcher = asyncio.get_child_watcher()
    if not isinstance(watcher, asyncio.PidfdChildWatcher):
        try:
            os.close(os.pidfd_open(os.getpid()))
        except OSError:  # a kernel without pidfd_open, or a sandbox
            return
        watcher = asyncio.PidfdChildWatcher()
        asyncio.set_child_watcher(watcher)
    if not watcher.is_active():
        watcher.attach_loop(asyncio.get_running_loop())


def answer(work: Callable[[], bytes], fault: type[Exception]) -> int:
    """Print what `work` gives, or the sentence of the fault that it raises; give the exit code.

    The process ends with the one that started it, whatever it waits for.
    """
    _die_with_parent()
    try:
        octets = work()
    except fault as error:
        sys.stderr.write(f"{error}\n")
        return _REFUSED
    sys.stdout.buffer.write(octets)
    return 0


async def _communicate(process: Process, octets: memoryview) -> tuple[bytes, str]:
    """Do as asyncio's `communicate`, which would copy all octets at once and hold the loop for it.

    Of stderr only the end is kept.
    """
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.TaskGroup() as reading:
        output = reading.create_task(process.stdout.read())
        words = reading.create_task(_last_words(process.stderr))
        with contextlib.suppress(ConnectionError):  # it has ended; what it printed and its exit code tell why
            for at in range(0, len(octets), _SLICE):
                process.stdin.write(octets[at : at + _SLICE])
                await process.stdin.drain()
        process.stdin.close()
    await process.wait()
    with contextlib.suppress(ConnectionError):  # Python 3.11 would log it as an exception that nobody retrieved
        await process.stdin.wait_closed()
    return output.result(), words.result()


async def _last_words(stderr: asyncio.StreamReader) -> str:
    words = LastWords()
    while octets := await stderr.read(_SLICE):
        words.add(octets)
    return str(words)


def _die_with_parent() -> None:
    parent = os.environ.pop(_PARENT, None)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != int(parent):
        sys.exit(_REFUSED)  # it died before
