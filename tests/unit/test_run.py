"""`rtrd run` as ExaBGP's process: it ends late whatever it ends of, since five quick ends would be ExaBGP's own."""

import os
from pathlib import Path

import pytest

from rtrd import cli, main
from rtrd.base import signals
from rtrd.exabgp import slow_exit

CONFIG = "caches: {groups: [{name: main, preference: 1, servers: [{host: 192.0.2.10, port: 323}]}]}\n"


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The descriptors that were read until late."""
    fds: list[int] = []
    monkeypatch.setattr(slow_exit, "exit_slowly", fds.append)
    return fds


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "rtrd.yaml"
    path.write_text(CONFIG)
    return path


def test_a_fault_of_the_configuration(exits: list[int], config: Path) -> None:
    config.write_text("color: 1\n")
    assert cli.main(["run", "-c", str(config)]) == cli.BAD_USAGE
    assert exits == []
    assert cli.main(["run", "-c", str(config), "--exabgp"]) == cli.BAD_USAGE
    assert exits == [0]


def test_a_fault_of_ours(
    exits: list[int], config: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> int:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(main, "run", fail)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        cli.main(["run", "-c", str(config)])
    assert exits == []
    assert cli.main(["run", "-c", str(config), "--exabgp"]) == cli.FAILED
    assert exits == [0]
    assert "RuntimeError: a fault of ours" in capfd.readouterr().err


def test_an_end_that_was_wanted_is_no_fault(exits: list[int], config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "run", lambda *_, **__: cli.DONE)
    assert cli.main(["run", "-c", str(config), "--exabgp"]) == cli.DONE
    assert exits == []


def test_exabgp_s_service_manager_is_not_ours(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def note(*_: object, **__: object) -> int:
        seen.append(os.environ.get("NOTIFY_SOCKET"))
        return cli.DONE

    monkeypatch.setattr(main, "run", note)
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    assert cli.main(["run", "-c", str(config)]) == cli.DONE
    assert cli.main(["run", "-c", str(config), "--exabgp"]) == cli.DONE
    assert seen == ["/run/systemd/notify", None]


def test_who_is_asked_to_end_does_so_at_once_also_when_it_has_failed(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ExaBGP 4.2 waits for it."""

    def fail(*_: object, **__: object) -> int:
        signals.note_end()
        raise MemoryError

    monkeypatch.setattr(main, "run", fail)
    monkeypatch.setattr(slow_exit, "SECONDS", 1000)
    monkeypatch.setattr(slow_exit.exit_slowly, "__defaults__", (1000.0,))
    assert cli.main(["run", "-c", str(config), "--exabgp"]) == cli.FAILED


def test_without_memory_the_pipe_is_read_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    signals.note()
    read, write = os.pipe()
    os.write(write, b"x" * 60_000)
    os.close(write)

    def short(*_: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr(os, "read", short)
    slow_exit.exit_slowly(read, 1000)
    os.close(read)
