"""The exempts of one daemon (rtrd.vrps.exempt): in force at once, and kept in the state folder.

The file is the truth: it is read before each change of it, with the folder locked, and again when it changed. So two
daemons with one folder, and whoever edits it, are of one mind. What can't be written does not come into force.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from rtrd.base import atomic_file, log
from rtrd.base.background import Background
from rtrd.base.clock import Clock, SettledClock
from rtrd.base.errors import ConflictError
from rtrd.base.file_thread import PATIENCE, in_thread
from rtrd.base.registry import Registry
from rtrd.base.text import counted
from rtrd.vrps.exempt import MOST, MOST_OF_PREFIX, Exempt, Key, decode, encode
from rtrd.vrps.signature import Signature, signature
from rtrd.vrps.slurm import SlurmError
from rtrd.vrps.task_queue import TaskQueue
from rtrlib.vrp import VRP, pack
from rtrlib.vrp_set import VRPChanges, VRPSet

NAME: Final = "exempt.json"
MAX_OCTETS: Final = 8 << 20
"""A longer file is refused; one of as many exempts as there can be is shorter."""
POLL: Final = 1.0
"""Seconds between two looks at the file and at what is over."""
_P = ParamSpec("_P")
_T = TypeVar("_T")

LOCKED: Final = 5.0
"""Seconds that a change waits for another daemon's."""
MOST_SHOWN: Final = 10
"""In the status."""

logger = log.get("exempt")

Found = dict[Key, Exempt]


class UnusableFileError(Exception):
    """The file can't be read or written; the text says which and why."""


class Exempts:
    """Keeps the exempts of one state folder in force."""

    def __init__(
        self,
        folder: Path | None,
        vrp_set: VRPSet,
        task_queue: TaskQueue,
        changed: Callable[[VRPChanges, str], Generator[None]],
        clock: Clock,
    ) -> None:
        """Read nothing yet. `folder`: None: they are only kept in memory. `task_queue`: all that changes the set.

        `changed`: the task that follows when VRPs became effective or ceased to be, with the cause.
        """
        self.path = None if folder is None else folder / NAME
        self._vrp_set = vrp_set
        self._task_queue = task_queue
        self._changed = changed
        self._clock = clock
        self._settled = SettledClock()
        self._found: Found = {}
        self._over: Found = {}
        """Those whose time is over, while the clock that says so may be wrong: they stay in the file."""
        self.packed: set[bytes] = set()
        """The packed VRPs of those in force."""
        self._seen: Signature | None = None
        self._fault: str | None = None
        self._next_end: int | None = None
        self._lock = asyncio.Lock()
        self._background = Background("exempt")

    def register(self, registry: Registry) -> None:
        """Offer how many there are."""
        registry.status_of(exempts=self.status)
        registry.metric("rtrd_exempts", "Exempts in force (rtrd exempt).", lambda: len(self._found))
        if self.path is not None:
            registry.kept_in_state("exempts", lambda: self._fault, lambda: None)  # read every POLL seconds

    def status(self) -> dict[str, Any]:
        """Say how many there are, the latest of them, and what is wrong with their file."""
        latest = [self._found[key].answer() for key in list(self._found)[-MOST_SHOWN:]]
        path = None if self.path is None else str(self.path)
        return {"count": len(self._found), "path": path, "fault": self._fault, "latest": latest}

    def __iter__(self) -> Iterator[Exempt]:
        """Give all, as they are at this moment."""
        return iter(list(self._found.values()))

    def of(self, vrp: VRP) -> Exempt | None:
        """Give the exempt that says this VRP."""
        found = self._found.get((vrp.prefix, vrp.asn))
        return found if found is not None and found.vrp == vrp else None

    async def start(self) -> None:
        """Put those of the file into force, and follow it."""
        async with self._lock:
            await self._read()
        self._background.start(self._follow)

    def close(self) -> None:
        """Follow it no more."""
        self._background.close()

    async def add(self, one: Exempt) -> Exempt | None:
        """Put one into force; give the one that it replaces. ConflictError: nothing has changed."""
        replaced: Exempt | None = None

        def change(found: Found) -> None:
            nonlocal replaced
            replaced = found.pop(one.key, None)
            if len(found) >= MOST:
                raise ConflictError(f"there are {MOST} exempts already, and no more are possible: remove some")
            if sum(prefix == one.prefix for prefix, _ in found) >= MOST_OF_PREFIX:
                raise ConflictError(f"there are {MOST_OF_PREFIX} exempts of {one.prefix} already: remove some")
            found[one.key] = one

        await self._change(change, str(one))
        return replaced

    async def remove(self, key: Key) -> None:
        """End one. ConflictError: there is none, or nothing has changed for another reason."""

        def change(found: Found) -> None:
            if found.pop(key, None) is None:
                others = [f"AS{asn}" for prefix, asn in found if prefix == key[0]][:MOST_SHOWN]
                hint = f": those of this prefix are for {', '.join(others)}" if others else ""
                raise ConflictError(f"there is no exempt of {key[0]} for AS{key[1]}{hint}")

        await self._change(change, f"exempt {key[0]} AS{key[1]} removed")

    async def _change(self, change: Callable[[Found], None], cause: str) -> None:
        async with self._lock:
            if self.path is None:
                found, over = self._split(self._over | self._found)
                change(found)
                self._over = _beside(over, found)
            else:
                try:
                    found, self._over, self._seen = await _in_thread(self._rewrite, self.path, change)
                except UnusableFileError as error:
                    raise ConflictError(f"nothing has changed, for it could not be kept: {error}") from error
                self._fault = None
            await self._put_in_force(found, cause)

    def _rewrite(self, path: Path, change: Callable[[Found], None]) -> tuple[Found, Found, Signature | None]:
        """Change the file, in a thread; give those that count, and those that are over."""
        with _locked(path.parent):
            found, over = self._split(_read(path))
            change(found)
            over = _beside(over, found)
            try:
                atomic_file.replace(path, encode((over | found).values()))
            except OSError as error:
                raise UnusableFileError(f"{path}: cannot be written: {error.strerror}") from error
            return found, over, signature(path)

    async def _read(self) -> None:
        """Do as the file says now; when it can't be used, what it said before stays in force."""
        if self.path is None:
            return
        try:
            seen = await _in_thread(signature, self.path)
            lost = seen is None and bool(self._found) and await _in_thread(self.path.parent.is_dir)
        except UnusableFileError as error:
            self._refuse(None, error)
            return
        if lost:
            await self._restore(self.path)
            return
        if seen is None and self._found:  # the folder is gone, which is told of by whoever looks at it
            self._seen, self._fault = None, f"{self.path.parent}: there is no such folder"
            return
        try:
            found, self._over = self._split(await _in_thread(_read, self.path))
        except UnusableFileError as error:
            self._refuse(seen, error)
            return
        self._seen, self._fault = seen, None
        await self._put_in_force(found, "exempts of the state folder")

    def _refuse(self, seen: Signature | None, error: UnusableFileError) -> None:
        if self._fault != str(error):
            logger.error("exempts refused; what they were before stays in force", fault=str(error))
        self._seen, self._fault = seen, str(error)

    async def _restore(self, path: Path) -> None:
        """Write all that is in force again: that a file is lost, alone or with its folder, is nobody's decision."""
        found = self._over | self._found
        try:
            await in_thread(PATIENCE, atomic_file.replace, path, encode(found.values()))
        except OSError as error:
            self._fault = f"{path}: cannot be written: {error.strerror}"
            return
        self._seen, self._fault = None, None  # it is read again
        with contextlib.suppress(UnusableFileError):
            self._seen = await _in_thread(signature, path)
        logger.warning("the exempts' file was gone; it is written again", file=str(path), exempts=len(found))

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(POLL)
            try:
                await self._look()
            except Exception:
                logger.exception("exempts could not be followed; rtrd will try again")

    async def _look(self) -> None:
        """Read the file again if it changed, and end what is over."""
        async with self._lock:
            if self.path is not None and (
                await self._signature(self.path) != self._seen or (self._fault and self._seen is None)
            ):
                await self._read()
            now, believed = self._clock.wall(), self._believed()
            if self._next_end is not None and now >= self._next_end:
                found, over = self._split(self._found)
                self._over |= over
                await self._put_in_force(found, f"{_said(over)}: the time is over")
            if back := {key: one for key, one in self._over.items() if not one.is_over(now)}:
                self._over = {key: one for key, one in self._over.items() if key not in back}
                await self._put_in_force(back | self._found, f"{_said(back)}: the clock was set back")
            if any(one.is_over(believed) for one in self._over.values()):
                await self._forget_over()

    async def _forget_over(self) -> None:
        """Drop those that are over for good; no clock that is wrong for a while has them lost."""
        _, self._over = self._split(self._over)
        if self.path is not None:
            try:
                _, self._over, self._seen = await _in_thread(self._rewrite, self.path, lambda _: None)
            except UnusableFileError as error:  # they are left out whenever it is read
                logger.warning("exempts that are over stay in their file", why=str(error))

    async def _signature(self, path: Path) -> Signature | None:
        try:
            return await _in_thread(signature, path)
        except UnusableFileError:  # reading it says so
            return None

    async def _put_in_force(self, found: Found, cause: str) -> None:
        came, went = found.keys() - self._found.keys(), self._found.keys() - found.keys()
        self._found = found
        self._next_end = min((one.until for one in found.values() if one.until is not None), default=None)
        if came or went:
            packed = await asyncio.to_thread(lambda: {pack(one.vrp) for one in found.values()})
            done = asyncio.Event()
            self._task_queue.do(self._exempt(packed, cause, done))
            await done.wait()
            logger.info("exempts are in force", cause=cause, exempts=len(found), came=len(came), went=len(went))

    def _exempt(self, packed: set[bytes], cause: str, done: asyncio.Event) -> Generator[None]:
        try:
            gone = b"".join(record[:-1] + b"\0" for record in self.packed - packed)
            changes = yield from self._vrp_set.apply_exempts(gone + b"".join(packed - self.packed))
            self.packed = packed
            yield from self._changed(changes, cause)
        finally:
            done.set()

    def _split(self, found: Found) -> tuple[Found, Found]:
        """Give those that count, and those that are over by a clock that may be wrong."""
        now, believed = self._clock.wall(), self._believed()
        still = {key: one for key, one in found.items() if not one.is_over(now)}
        return still, {key: one for key, one in found.items() if key not in still and not one.is_over(believed)}

    def _believed(self) -> float:
        return self._settled.now(self._clock.wall(), self._clock.steady())


def _said(some: Found) -> str:
    return str(next(iter(some.values()))) if len(some) == 1 else counted(len(some), "exempt")


def _beside(over: Found, found: Found) -> Found:
    """Give those of them for which there is room beside those that count."""
    of_prefix = Counter(prefix for prefix, _ in found)
    kept: Found = {}
    for (prefix, asn), one in over.items():
        if (prefix, asn) not in found and of_prefix[prefix] < MOST_OF_PREFIX and len(found) + len(kept) < MOST:
            of_prefix[prefix] += 1
            kept[prefix, asn] = one
    return kept


async def _in_thread(work: Callable[_P, _T], *arguments: _P.args, **options: _P.kwargs) -> _T:
    """Do what needs the disk. Raises UnusableFileError when that does not answer."""
    try:
        return await in_thread(PATIENCE + LOCKED, work, *arguments, **options)
    except OSError as error:
        raise UnusableFileError(f"the state folder: {error.strerror}") from error


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other daemons of the folder from changing the file meanwhile."""
    try:
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise UnusableFileError(f"{folder}: {error.strerror}") from error
    try:
        until = time.monotonic() + LOCKED
        while True:
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise UnusableFileError(f"{folder}: another process keeps it locked") from None
                time.sleep(0.02)
        yield
    finally:
        os.close(number)


def _read(path: Path) -> Found:
    """Read the file, which none but us and root may have written; none: it is empty. In a thread."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return {}
    except OSError as error:
        why = "it is a link, and none is followed" if error.errno == errno.ELOOP else error.strerror
        raise UnusableFileError(f"{path}: cannot be read: {why}") from error
    with os.fdopen(number, "rb") as file:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            raise UnusableFileError(f"{path}: this is not a file")
        if found.st_mode & 0o022 or found.st_uid not in (0, os.geteuid()):
            mode = stat.S_IMODE(found.st_mode)
            who = f"(mode {mode:04o}, owner {found.st_uid})"
            raise UnusableFileError(f"{path}: others than rtrd may write it {who}: chown or chmod it")
        data = file.read(MAX_OCTETS + 1)
    if len(data) > MAX_OCTETS:
        raise UnusableFileError(f"{path}: longer than {MAX_OCTETS >> 20} MiB")
    try:
        return decode(str(path), data)
    except SlurmError as error:
        raise UnusableFileError(str(error.faults[0])) from error
