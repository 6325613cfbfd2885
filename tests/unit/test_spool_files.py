"""The files of events that wait, on a disk that is full or can't be written, and at the end."""

import errno
import os
from pathlib import Path

import pytest

from rtrd.base.clock import Clock
from rtrd.event_log import EventLog
from rtrd.events import spool_files
from rtrd.events.publisher import Publisher
from rtrd.events.spool import Message
from tests.lab.publishing import status


class Files:
    """A publisher without a server, and what is in its files."""

    def __init__(self, state: Path) -> None:
        self.publisher = Publisher(state, "host.example", Clock(), listen=EventLog(Clock()).listen, status=status)
        self.spool = self.publisher._spool
        self.spool.most = 1 << 20
        self.folder = state / spool_files.FOLDER

    def put(self, *numbers: str) -> None:
        for number in numbers:
            self.spool.put(Message(number, "a.b", b"{}"))

    def taken(self, count: int) -> None:
        """The server takes so many."""
        self.spool.next(count, 1 << 20)
        self.spool.sent(count)

    async def look(self, *, last: bool = False) -> None:
        await self.publisher._files_once(last=last)

    def names(self) -> list[str]:
        return sorted(each.name for each in self.folder.iterdir())

    def next_run(self) -> list[str]:
        """The numbers of the messages that another run finds."""
        found, _ = spool_files.find(self.folder)
        return [message.number for each in found for message in spool_files.read(self.folder, each.number)]


async def begun(tmp_path: Path) -> Files:
    """One that has written a file of three messages."""
    files = Files(tmp_path)
    files.put("1", "2", "3")
    await files.look()
    await files.look()  # they have waited for long enough
    assert files.next_run() == ["1", "2", "3"]
    return files


async def test_at_the_end_what_came_last_is_behind_what_is_left_of_a_file(tmp_path: Path) -> None:
    files = await begun(tmp_path)
    files.taken(1)
    files.put("4", "5")
    await files.look(last=True)
    assert files.next_run() == ["2", "3", "4", "5"]


@pytest.mark.parametrize("behind", [True, False])
async def test_a_full_disk_gets_no_pieces_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behind: bool
) -> None:
    """A try each second for an hour would leave 3600 of them, and another run would send what is in them."""
    files = await begun(tmp_path) if behind else Files(tmp_path)
    files.folder.mkdir(exist_ok=True)
    before, found = files.names(), files.next_run()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        disk.setattr(os, "fdatasync", full)
        files.put("4")
        for _ in range(3):
            await files.look()
        assert "No space left" in str(files.publisher._file_fault)
        assert (files.names(), files.next_run()) == (before, found)
    await files.look()
    assert files.publisher._file_fault is None
    assert files.next_run() == [*found, "4"]


async def test_a_file_that_could_not_be_removed_is_removed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run would send again what is in it."""
    files = await begun(tmp_path)
    files.taken(3)

    def locked(_path: Path, missing_ok: bool = False) -> None:  # noqa: ARG001
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as disk:
        disk.setattr(Path, "unlink", locked)
        await files.look()
        assert files.next_run() == ["1", "2", "3"]
    await files.look()
    assert files.names() == []
