"""The snapshot: VRPs, ASPAs and their dates in a file that survives any end of the process.

The file: a header of 64 octets (magic, format, date, number of VRPs, BLAKE2b of all the rest), then packed VRPs as they
are in memory, so that 0.7 M of them are one read. With ASPAs the format is another, and they follow, with their
own date and number of octets. It is of this host: numbers are in its byte order, and on another
one the format reads as an unknown one.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from pathlib import Path
from typing import Final, NamedTuple

from rtrd.base import atomic_file
from rtrd.base.files import mode_of
from rtrlib.vrp import PACKED

NAME: Final = "vrps.snapshot"
INTERVAL: Final = 30.0
"""Least seconds between two writes."""
SKEW: Final = 60
"""Seconds that a date may be ahead of the clock."""

_MAGIC: Final = b"rtrdVRPs"
_FORMAT: Final = 1
_WITH_ASPAS: Final = 2
_FRONT: Final = struct.Struct("=8sIxxxxQQ")
_ASPAS: Final = struct.Struct("=QQ")
_DIGEST_SIZE: Final = 32
_HEADER_SIZE: Final = _FRONT.size + _DIGEST_SIZE
_MOST_OCTETS: Final = 1 << 30


class SnapshotError(Exception):
    """A snapshot that can't be used or written; the text says which and why."""


class ToComeError(SnapshotError):
    """One that is dated ahead of the clock, which may be wrong: without a battery it begins in the past."""

    def __init__(self, what: str, date: int) -> None:
        """`date`: its Unix time."""
        super().__init__(what)
        self.date = date


class Snapshot(NamedTuple):
    """What a snapshot holds."""

    records: bytes | memoryview
    """Packed VRPs, not checked one by one."""
    date: int
    """Unix time at which caches last said so."""
    aspas: bytes | memoryview = b""
    """A set of rtrlib.aspas."""
    aspas_date: int = 0
    """The same for that: a cache that speaks no version with ASPAs any more may have said so before."""


def encode(snapshot: Snapshot) -> bytes:
    """Give the header; the records follow it as they are, and then what `tail` gives."""
    count = len(snapshot.records) // PACKED.size
    front = _FRONT.pack(_MAGIC, _WITH_ASPAS if snapshot.aspas else _FORMAT, snapshot.date, count)
    return front + _digest(front, snapshot.records, tail(snapshot))


def tail(snapshot: Snapshot) -> bytes:
    """Give what is behind the records."""
    if not snapshot.aspas:
        return b""
    return _ASPAS.pack(snapshot.aspas_date, len(snapshot.aspas)) + snapshot.aspas


def decode(data: bytes, now: float, expire: float) -> Snapshot:
    """Check a file's octets. `now`: Unix time; `expire`: seconds that VRPs count.

    Raises SnapshotError with the reason alone.
    """
    if data[: len(_MAGIC)] != _MAGIC[: len(data)]:
        raise SnapshotError("this is not a snapshot of rtrd")
    if len(data) < _HEADER_SIZE:
        raise SnapshotError(f"it is torn: {len(data)} octets are too few for a header")
    _, version, date, count = _FRONT.unpack_from(data)
    if version not in {_FORMAT, _WITH_ASPAS}:
        raise SnapshotError(f"it has another format ({version}) than this rtrd ({_WITH_ASPAS})")
    end = _HEADER_SIZE + count * PACKED.size
    size, aspas_date = _aspas_end(data, end) if version == _WITH_ASPAS else (end, 0)
    if len(data) != size:
        raise SnapshotError(f"it is torn: {len(data)} octets instead of {size}")
    records, rest = memoryview(data)[_HEADER_SIZE:end], memoryview(data)[end:]
    if _digest(data[: _FRONT.size], records, rest) != data[_FRONT.size : _HEADER_SIZE]:
        raise SnapshotError("its checksum is wrong")
    _check_date(date, now, expire)
    if now - aspas_date >= expire:
        return Snapshot(bytes(records), date)
    return Snapshot(bytes(records), date, bytes(rest[_ASPAS.size :]), aspas_date)


def _check_date(date: int, now: float, expire: float) -> None:
    if date > now + SKEW:
        raise ToComeError(f"it is dated {date - now:.0f} s ahead of the clock", date)
    if now - date >= expire:
        raise SnapshotError(f"it is {now - date:.0f} s old, and VRPs count for {expire:.0f} s (caches.expire)")


def _aspas_end(data: bytes, begin: int) -> tuple[int, int]:
    """Give where the ASPAs of a file end, and their date."""
    if len(data) < begin + _ASPAS.size:
        return begin + _ASPAS.size, 0
    date, octets = _ASPAS.unpack_from(data, begin)
    return begin + _ASPAS.size + octets, date


def _digest(front: bytes, *parts: bytes | memoryview) -> bytes:
    digest = hashlib.blake2b(front, digest_size=_DIGEST_SIZE)
    for part in parts:
        digest.update(part)
    return digest.digest()


def _open(path: str, flags: int) -> int:
    """Open without waiting: a pipe instead of the file would stop us for good."""
    return os.open(path, flags | os.O_NONBLOCK)


def read(path: Path, now: float, expire: float) -> Snapshot | None:
    """Read a snapshot; None when there is none yet. For a thread. Raises SnapshotError."""
    try:
        with open(path, "rb", opener=_open) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise SnapshotError(f"{path}: this is not a snapshot of rtrd: it is not a file")
            if found.st_size > _MOST_OCTETS:
                raise SnapshotError(f"{path}: this is not a snapshot of rtrd: it is longer than any")
            data = file.read()
    except FileNotFoundError as error:
        if path.parent.is_dir():
            return None
        raise SnapshotError(f"{path.parent}: there is no such folder") from error
    except OSError as error:
        raise SnapshotError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        return decode(data, now, expire)
    except ToComeError as error:
        raise ToComeError(f"{path}: {error}", error.date) from error
    except SnapshotError as error:
        raise SnapshotError(f"{path}: {error}") from error


def write(path: Path, snapshot: Snapshot) -> None:
    """Replace the old snapshot on the disk, whole or not at all. For a thread.

    Raises SnapshotError; the old one is still there.
    """
    try:
        atomic_file.replace(path, encode(snapshot), snapshot.records, tail(snapshot))
    except FileNotFoundError as error:
        raise SnapshotError(f"{path.parent}: there is no such folder") from error
    except OSError as error:
        raise SnapshotError(f"{path}: cannot be written: {error.strerror}") from error


def why_no_folder(folder: Path) -> str | None:
    """Say why nothing can be kept in a folder that was there before; None: it can. For a thread."""
    try:
        mode = mode_of(folder)
    except OSError as error:
        return f"{folder}: {error.strerror}"
    if mode is None or not stat.S_ISDIR(mode):
        return f"{folder}: there is no such folder"
    return None if os.access(folder, os.W_OK | os.X_OK) else f"{folder}: rtrd may not write there"


class Age:
    """How old VRPs are whose date is known, while the wall clock may be set at any time: pure.

    By the wall clock, for only that knows how long the host was off; and at least as old as they were when they were
    first looked at, and as much older as the steady clock says. So they live no longer since the clock was set back.
    """

    def __init__(self, date: float, wall: float, steady: float) -> None:
        """Begin now. `date`: Unix time."""
        self._date = date
        self._born = steady - max(0.0, wall - date)

    def now(self, wall: float, steady: float) -> float:
        """Give it in seconds."""
        return max(wall - self._date, steady - self._born)


class Schedule:
    """When a snapshot is to be written: pure, seconds come in."""

    def __init__(self, expire: float) -> None:
        """Take the seconds that VRPs count: the date of an unchanged set is renewed eight times in them."""
        self.change_expire(expire)
        self._tried: float | None = None
        self._written: tuple[int, int] | None = None

    def forget(self) -> None:
        """Note that what was written is on the disk no more, and may be written again at once."""
        self._written = self._tried = None

    def change_expire(self, expire: float) -> None:
        """Take other seconds that VRPs count."""
        self._renew = expire / 8

    def due(self, now: float, generation: int, date: int) -> bool:
        """Whether to write now: VRPs or ASPAs changed, or their date is another, and the last try is long enough ago.

        `now`: seconds of any clock; `generation`: of their sets; `date`: Unix time that the snapshot would get.
        """
        if self._tried is not None and now - self._tried < INTERVAL:
            return False
        if self._written is None:
            return True
        # An older one is of a clock that was set back: what is written would be of a time to come, and be refused.
        return generation != self._written[0] or not -SKEW <= date - self._written[1] < self._renew

    def stale(self, generation: int, date: int) -> bool:
        """Whether what was written is not exactly this: for the end."""
        return self._written != (generation, date)

    def tried(self, now: float) -> None:
        """Note a try, which may fail."""
        self._tried = now

    def written(self, generation: int, date: int) -> None:
        """Note a success."""
        self._written = (generation, date)
