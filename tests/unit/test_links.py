"""A link that can't come about says so, and leaves nothing behind: it is tried again forever."""

import errno
import os
import socket
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

from rtrlib import SSHServer, TCPServer
from rtrlib.faults import Fault, unresolved
from rtrlib.link import LinkEnded, Resume
from rtrlib.process_link import ProcessLink
from rtrlib.servers import Intervals
from rtrlib.thread_link import ThreadLink

INTERVALS = Intervals(3600, 600, 7200)


def descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def none_left(*_: object) -> NoReturn:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


@pytest.fixture
def server(tmp_path: Path) -> SSHServer:
    key = tmp_path / "host.pub"
    key.write_text("ssh-ed25519 AAAA cache\n")
    return SSHServer("127.0.0.1", 22, username="rtr", private_key=str(tmp_path / "id"), host_key=str(key))


def test_a_host_key_that_cannot_be_read_starts_no_process(server: SSHServer, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[object] = []
    monkeypatch.setattr(subprocess, "Popen", lambda *words, **_: started.append(words))
    Path(str(server.host_key)).unlink()
    before = descriptors()
    with pytest.raises(LinkEnded, match=r"the host key .* cannot be read") as ended:
        ProcessLink(server, INTERVALS, Resume())
    assert ended.value.kind is Fault.UNREACHABLE
    assert started == []
    assert descriptors() == before


def test_a_program_without_descriptors_tries_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socketpair", none_left)
    with pytest.raises(LinkEnded, match="Too many open files"):
        ProcessLink(TCPServer("127.0.0.1", 323), INTERVALS, Resume())


def test_nor_do_librtrs_threads_need_them_at_once(server: SSHServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "memfd_create", none_left)
    with pytest.raises(LinkEnded, match="Too many open files"):
        ThreadLink(server, INTERVALS, Resume())


def test_options_that_librtr_refuses_leave_no_file(server: SSHServer) -> None:
    intervals = Intervals()
    object.__setattr__(intervals, "expire", 1)  # what only librtr's own check is left to refuse
    before = descriptors()
    with pytest.raises(LinkEnded, match="out of librtr's range"):
        ThreadLink(server, intervals, Resume())
    assert descriptors() == before


def test_a_port_that_is_no_service_is_not_taken_for_a_host_that_does_not_resolve() -> None:
    assert unresolved("rpki.example.net", "rpki", socket.EAI_SERVICE, "words") == (
        "port 'rpki' is neither a number nor the name of a service"
    )
    assert unresolved("rpki.example.net", 323, socket.EAI_NONAME, "Name or service not known") == (
        "rpki.example.net does not resolve: Name or service not known"
    )
