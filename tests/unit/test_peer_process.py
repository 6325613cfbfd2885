"""Who is at the other end of a unix socket."""

import os
import socket

import pytest

from rtrd.base import peer_process
from rtrd.base.peer_process import NOBODY, is_mapped


def test_the_other_end_is_this_process() -> None:
    here, there = socket.socketpair()
    with here, there:
        assert peer_process.peer_process(here) == (os.getpid(), os.getuid())


@pytest.mark.parametrize(
    ("uid_map", "uid", "mapped"),
    [
        (["         0          0 4294967295"], NOBODY, True),
        (["         0          0          1", "       991        991          1"], NOBODY, False),
        (["         0          0          1", "       991        991          1"], 991, True),
        ([], 0, False),
    ],
)
def test_a_service_with_private_users_sees_root_and_itself(uid_map: list[str], uid: int, mapped: bool) -> None:
    assert is_mapped(uid, uid_map) is mapped


def test_a_user_whom_nobody_can_see_is_unknown_not_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_process, "_sees_nobody", lambda: False)
    monkeypatch.setattr("struct.unpack", lambda *_: (4711, NOBODY, NOBODY))
    here, there = socket.socketpair()
    with here, there:
        assert peer_process.peer_process(here) == (4711, None)
