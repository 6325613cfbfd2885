"""Log lines as entries of systemd's journal: fields of their own, none forged, and no waiting."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrd.base import log, systemd_journal


class Entries:
    """What has reached a journal, of which only the socket is there."""

    def __init__(self, served: socket.socket) -> None:
        served.setblocking(False)
        self._served = served
        self._read: list[dict[str, str]] = []

    def __call__(self) -> list[dict[str, str]]:
        with suppress(BlockingIOError):
            while True:
                data, files, *_ = socket.recv_fds(self._served, 1 << 20, 1)
                for file in files:
                    with os.fdopen(file, "rb") as opened:
                        opened.seek(0)
                        data += opened.read()
                self._read.append(fields(data))
        return self._read


def fields(entry: bytes) -> dict[str, str]:
    """Read the journal's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL)."""
    found: dict[str, str] = {}
    while entry:
        line, _, entry = entry.partition(b"\n")
        name, is_plain, value = line.partition(b"=")
        if not is_plain:
            end = 8 + int.from_bytes(entry[:8], "little")
            value, newline, entry = entry[8:end], entry[end : end + 1], entry[end + 1 :]
            assert newline == b"\n"
        assert name.decode() not in found
        found[name.decode()] = value.decode()
    return found


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Entries]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as served:
        served.bind(str(tmp_path / "journal"))
        monkeypatch.setattr(systemd_journal.JournalWriter.__init__, "__defaults__", (str(tmp_path / "journal"),))
        log.setup("journal")
        yield Entries(served)


def test_an_entry_has_fields_to_look_for(entries: Entries) -> None:
    log.get("exabgp").warning("neighbor down", router="edge", neighbor="192.0.2.1", reason="hold time", asn=64500)
    assert entries() == [
        {
            "MESSAGE": 'neighbor down router=edge neighbor=192.0.2.1 reason="hold time" asn=64500',
            "PRIORITY": "4",
            "SYSLOG_IDENTIFIER": "rtrd",
            "PART": "exabgp",
            "ROUTER": "edge",
            "NEIGHBOR": "192.0.2.1",
            "REASON": "hold time",
            "ASN": "64500",
        }
    ]


def test_libraries_get_there_too_and_what_they_repeat_does_not(entries: Entries) -> None:
    for number in range(50):
        logging.getLogger("asyncio").warning("%s took %d s", "a handle", number)
    logging.getLogger("rtrlib").error("something else")
    assert [entry["MESSAGE"] for entry in entries()] == ["a handle took 0 s", "something else"]


def test_what_rtrlib_repeats_is_said_once_and_what_differs_in_a_number_each_time(entries: Entries) -> None:
    """Of another cache, or of a wait that has grown."""
    lines = [
        "cache 192.0.2.1:323: connection refused; next attempt in 2 s",
        "cache 192.0.2.1:323: connection refused; next attempt in 4 s",
        "cache 192.0.2.2:323: connection refused; next attempt in 2 s",
    ]
    for _ in range(50):
        for line in lines:
            logging.getLogger("rtrlib").warning("%s", line)
    assert [entry["MESSAGE"] for entry in entries()] == lines


def test_a_traceback_is_a_field_and_part_of_the_message(entries: Entries) -> None:
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        log.get("x").exception("failed")
    (entry,) = entries()
    assert entry["PRIORITY"] == "3"
    assert entry["MESSAGE"].startswith("failed\n    Traceback")
    assert "ZeroDivisionError" in entry["EXCEPTION"]


KEYS = st.sampled_from(["prefix", "asn", "neighbor", "cache", "why", "message", "priority", "code_line", "syslog_pid"])


@given(st.text(), st.dictionaries(KEYS, st.one_of(st.text(max_size=600), st.binary(max_size=50)), max_size=4))
def test_no_text_forges_a_field_or_a_line(what: str, values: dict[str, Any]) -> None:
    event = log._escape(None, "info", {"event": what, "level": "info", **values})
    fields = systemd_journal.render(None, "info", dict(event))
    for name, value in fields.items():
        assert name.isascii()
        assert value.isprintable()
    assert fields["SYSLOG_IDENTIFIER"] == "rtrd"
    assert fields["PRIORITY"] == "6"
    assert set(fields) - {"MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER"} <= {"PREFIX", "ASN", "NEIGHBOR", "CACHE", "WHY"}


@pytest.mark.parametrize("key", ["message", "priority", "syslog_identifier", "code_file", "_pid", "9", "é", "a b"])
def test_a_field_of_the_journals_own_is_left_alone(entries: Entries, key: str) -> None:
    log.get("x").info("what", **{key: "forged"})
    (entry,) = entries()
    assert set(entry) == {"MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "PART"}
    assert (entry["PRIORITY"], entry["SYSLOG_IDENTIFIER"]) == ("6", "rtrd")


def fill(other: socket.socket, path: str) -> None:
    with suppress(BlockingIOError):
        while other.sendto(b"x", path):
            pass


def test_a_journal_that_does_not_read_costs_entries_and_no_time(tmp_path: Path) -> None:
    path = str(tmp_path / "journal")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as served:
        served.bind(path)
        entries = Entries(served)
        writer = systemd_journal.JournalWriter(path)
        writer.msg(MESSAGE="first")
        assert [entry["MESSAGE"] for entry in entries()] == ["first"]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as other:
            fill(other, path)
            for _ in range(3):
                writer.msg(MESSAGE="unheard")
            with suppress(BlockingIOError):
                while served.recv(16):
                    pass
        writer.msg(MESSAGE="again")
        told = ["3 log entries were lost: the journal did not read them", "again"]
        assert [entry["MESSAGE"] for entry in entries()] == ["first", *told]


def test_another_journal_is_found(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    writer = systemd_journal.JournalWriter(str(path))
    for number in range(2):
        writer.msg(MESSAGE="to nobody")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as served:
            served.bind(str(path))
            writer.msg(MESSAGE=f"to {number}")
            lost = "1 log entries were lost: the journal did not read them"
            assert [entry["MESSAGE"] for entry in Entries(served)()] == [lost, f"to {number}"]
        path.unlink()


def test_stderr_is_the_journal_when_the_environment_names_it() -> None:
    reader, writer = os.pipe()
    status = os.fstat(writer)
    assert systemd_journal.is_journal(writer, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
    assert not systemd_journal.is_journal(writer, {"JOURNAL_STREAM": f"{status.st_dev}:1"})
    assert not systemd_journal.is_journal(writer, {})
    for fd in (reader, writer):
        os.close(fd)


def test_an_entry_too_long_for_a_datagram_arrives_whole(entries: Entries) -> None:
    log.get("x").error("failed", exc_info=ValueError("a line\n" * 100_000))
    (entry,) = entries()
    assert entry["EXCEPTION"].count("a line") >= 100_000
    assert entry["MESSAGE"] == f"failed\n{entry['EXCEPTION']}"
