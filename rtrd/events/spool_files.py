"""The files of the spool, in a folder of the state folder: `SEGMENT.events`, and `lost`. All for a thread."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from rtrd.base import atomic_file
from rtrd.base.files import read_file
from rtrd.events.spool import Message, Segment, Write, parse

FOLDER: Final = "events"
"""In the state folder."""
MOST_OCTETS: Final = 16 << 20
"""Octets that a segment may have; ours have much less."""
_NAME: Final = re.compile(r"([0-9]{10})\.events")


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:010}.events"


def find(folder: Path) -> tuple[list[Segment], int]:
    """Give the segments that are there, the oldest first, and how many messages were lost untold. OSError."""
    segments: list[Segment] = []
    try:
        names = sorted(each.name for each in folder.iterdir())
    except FileNotFoundError:
        return [], 0
    for name in names:
        if match := _NAME.fullmatch(name):
            octets = (folder / name).stat().st_size
            segments.append(Segment(int(match[1]), len(read(folder, int(match[1]))), octets))
    lost = 0
    with contextlib.suppress(FileNotFoundError, ValueError):
        lost = int(read_file(folder / "lost", 32))
    return segments, max(0, lost)


def read(folder: Path, number: int) -> list[Message]:
    """Give what a segment holds; nothing if it is gone. OSError."""
    try:
        return parse(read_file(_path(folder, number), MOST_OCTETS))
    except FileNotFoundError:
        return []


def write(folder: Path, what: Write) -> int:
    """Write messages behind those that a segment has; give their octets. OSError: they are not there, if possible."""
    folder.mkdir(mode=0o700, exist_ok=True)
    lines = b"".join(message.line() for message in what.messages)
    number = os.open(_path(folder, what.number), os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(number, "wb", buffering=0) as file:
        try:
            file.truncate(what.at)
            file.seek(what.at)
            rest = memoryview(lines)
            while rest:
                rest = rest[file.write(rest) :]
            os.fdatasync(number)
        except OSError:
            # The next try is another file, and half of this one would take its room, and be sent by the next run.
            with contextlib.suppress(OSError):
                file.truncate(what.at)
                if not what.at:
                    _path(folder, what.number).unlink()
            raise
    return len(lines)


def make_anew(folder: Path, number: int, messages: Iterable[Message]) -> None:
    """Have a segment hold these. OSError: it is as it was."""
    atomic_file.replace(_path(folder, number), *(message.line() for message in messages))


def remove(folder: Path, numbers: Iterable[int]) -> None:
    """Remove segments. OSError."""
    for number in numbers:
        _path(folder, number).unlink(missing_ok=True)


def keep_lost(folder: Path, lost: int) -> None:
    """Keep how many messages are lost untold. OSError."""
    if lost:
        folder.mkdir(mode=0o700, exist_ok=True)
        atomic_file.replace(folder / "lost", b"%d\n" % lost)
    else:
        (folder / "lost").unlink(missing_ok=True)
