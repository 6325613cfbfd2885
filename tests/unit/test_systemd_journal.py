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


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[dict[str, str]]]:
    """What reaches the journal, of which only the socket is there."""
    sent: list[dict[str, str]] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as served:
        served.bind(str(tmp_path / "journal"))
        monkeypatch.setattr(systemd_journal, "sender", lambda: lambda *fields: sent.append(split(fields)))
        monkeypatch.setattr(systemd_journal.JournalWriter.__init__, "__defaults__", (str(tmp_path / "journal"),))
        log.setup("journal")
        yield sent


def split(fields: tuple[str, ...]) -> dict[str, str]:
    pairs = [field.partition("=")[::2] for field in fields]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def test_an_entry_has_fields_to_look_for(entries: list[dict[str, str]]) -> None:
    log.get("exabgp").warning("neighbor down", router="edge", neighbor="192.0.2.1", reason="hold time", asn=64500)
    assert entries == [
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


def test_libraries_get_there_too_and_what_they_repeat_does_not(entries: list[dict[str, str]]) -> None:
    for number in range(50):
        logging.getLogger("asyncio").warning("%s took %d s", "a handle", number)
    logging.getLogger("rtrlib").error("something else")
    assert [entry["MESSAGE"] for entry in entries] == ["a handle took 0 s", "something else"]


def test_what_rtrlib_repeats_is_said_once_and_what_differs_in_a_number_each_time(entries: list[dict[str, str]]) -> None:
    """Of another cache, or of a wait that has grown."""
    lines = [
        "cache 192.0.2.1:323: connection refused; next attempt in 2 s",
        "cache 192.0.2.1:323: connection refused; next attempt in 4 s",
        "cache 192.0.2.2:323: connection refused; next attempt in 2 s",
    ]
    for _ in range(50):
        for line in lines:
            logging.getLogger("rtrlib").warning("%s", line)
    assert [entry["MESSAGE"] for entry in entries] == lines


def test_a_traceback_is_a_field_and_part_of_the_message(entries: list[dict[str, str]]) -> None:
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        log.get("x").exception("failed")
    (entry,) = entries
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
def test_a_field_of_the_journals_own_is_left_alone(entries: list[dict[str, str]], key: str) -> None:
    log.get("x").info("what", **{key: "forged"})
    assert set(entries[0]) == {"MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "PART"}
    assert (entries[0]["PRIORITY"], entries[0]["SYSLOG_IDENTIFIER"]) == ("6", "rtrd")


def fill(other: socket.socket, path: str) -> None:
    with suppress(BlockingIOError):
        while other.sendto(b"x", path):
            pass


def test_a_journal_that_does_not_read_costs_entries_and_no_time(tmp_path: Path) -> None:
    path = str(tmp_path / "journal")
    sent: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as served:
        served.bind(path)
        writer = systemd_journal.JournalWriter(lambda *fields: sent.append(fields[0]), path)
        writer.msg(MESSAGE="first")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as other:
            fill(other, path)
            for _ in range(3):
                writer.msg(MESSAGE="unheard")
            served.setblocking(False)
            with suppress(BlockingIOError):
                while served.recv(16):
                    pass
        writer.msg(MESSAGE="again")
    assert sent == ["MESSAGE=first", "MESSAGE=3 log entries were lost: the journal did not read them", "MESSAGE=again"]


def test_another_journal_is_found(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    sent: list[str] = []
    writer = systemd_journal.JournalWriter(lambda *fields: sent.append(fields[0]), str(path))
    writer.msg(MESSAGE="to nobody")
    for number in range(2):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as served:
            served.bind(str(path))
            for _ in range(2):  # the first one may still find the old socket
                writer.msg(MESSAGE=f"to {number}")
        path.unlink()
    assert "MESSAGE=to 0" in sent
    assert "MESSAGE=to 1" in sent
    assert "MESSAGE=to nobody" not in sent


def test_stderr_is_the_journal_when_the_environment_names_it() -> None:
    reader, writer = os.pipe()
    status = os.fstat(writer)
    assert systemd_journal.is_journal(writer, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
    assert not systemd_journal.is_journal(writer, {"JOURNAL_STREAM": f"{status.st_dev}:1"})
    assert not systemd_journal.is_journal(writer, {})
    for fd in (reader, writer):
        os.close(fd)


def test_systemd_python_is_what_sends() -> None:
    assert systemd_journal.sender() is not None
