"""Each command where something is missing: a daemon, the right to ask it, room behind stdout, a reader of it."""

import argparse
import os
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pytest

from rtrd import cli
from rtrd.demo.caches import VRP
from rtrd.demo.lab import Lab
from tests.integration.test_unprivileged import STRANGER, as_user
from tests.lab.daemons import Daemon
from tests.lab.programs import AS_US, RTRD
from tests.lab.stayrtr import StayRTR

PREFIX, MISSING = "192.0.2.0/24", "/no/such/file"
WORDS: dict[str, list[list[str]]] = {
    "run": [["-c", MISSING]],
    "attach": [["--name", "no name"]],
    "reload": [[]],
    "reconnect": [[]],
    "check": [[*AS_US, "{folder}/rtrd.yaml"], ["--schema"]],
    "status": [[], ["--check"]],
    "vrps": [[]],
    "routes": [[]],
    "history": [[PREFIX]],
    "watch": [["--last", "9"]],
    "aspas": [[]],
    "aspa-suggest": [["64500"]],
    "validate": [[PREFIX, "64500"], [PREFIX, "64500", "--path", "64500", "--local-role", "peer"]],
    "validate-path": [["--local-role", "peer", "64501", "64500"]],
    "bird": [["audit"], ["check"]],
    "slurm": [["check", MISSING]],
    "whatif": [["+192.0.2.0/24-24@AS64501"], ["--aspa", "64500:64501"]],
    "audit": [["--mrt", MISSING, "--vrps", MISSING]],
    "diff": [[]],
    "accept": [[]],
    "exempt": [["--list"], ["198.51.100.0/24", "64501"]],
    "reject": [[]],
    "forget": [["nobody"]],
    "cache": [["--vrps", MISSING, "--listen", "127.0.0.1:0"]],
    "fleet": [["--nats", "nats://127.0.0.1:1"]],
    "dump": [[]],
    "completion": [["bash"]],
    "demo": [["--help"]],
}
"""With what each command ends soon, whether it succeeds or not."""
ASKING = ["--socket", "{folder}/rtrd.sock"]
PIPE_CLOSED = 128 + 13


def words(folder: Path) -> Iterator[tuple[str, bool, list[str]]]:
    """Each command line, with its name and whether it asks the daemon."""
    assert WORDS.keys() == cli.COMMANDS.keys()
    for name, lines in WORDS.items():
        for line in lines:
            asks = name != "attach" and takes_socket([name, *line])
            yield name, asks, [word.format(folder=folder) for word in (name, *line, *(ASKING if asks else ()))]


def takes_socket(line: list[str]) -> bool:
    """Whether the command, or its action that is named, has the option."""
    parser = cli.parser(whole=True)
    for word in line:
        within = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        if within and word in within[0].choices:
            parser = within[0].choices[word]
    return "--socket" in parser._option_string_actions


def ran(line: list[str], stdout: int | IO[str] = subprocess.PIPE, before: tuple[str, ...] = ()) -> tuple[int, str, str]:
    done = subprocess.run(
        [*before, RTRD, *line], stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=90,
        check=False,
    )  # fmt: skip
    return done.returncode, done.stdout or "", done.stderr


def all_of(
    folder: Path, *, asking: bool = False, endless: bool = True, **options: object
) -> list[tuple[str, tuple[int, str, str]]]:
    """What each command line printed; `endless`: with those that go on until they fail."""
    lines = [line for name, asks, line in words(folder) if (asks or not asking) and (endless or name != "watch")]
    with ThreadPoolExecutor(4) as pool:
        results = pool.map(lambda line: ran(line, **options), lines)  # type: ignore[arg-type]
        return list(zip(map(" ".join, lines), results, strict=True))


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Of a daemon that answers at its socket; others may pass through, as through /run."""
    with tempfile.TemporaryDirectory() as place, Lab(Path(place)) as lab:
        lab.folder.chmod(0o711)
        cache = lab.start(StayRTR(lab.folder, [VRP(PREFIX, 24, 64500)]))
        daemon = lab.start(Daemon(lab.folder, [cache]))
        daemon.wait_vrps(1)
        yield lab.folder


def test_without_a_daemon_each_says_so_and_ends_with_3(tmp_path: Path) -> None:
    for line, (code, out, err) in all_of(tmp_path, asking=True):
        what = f"no daemon answers at {tmp_path}/rtrd.sock: there is no such socket: is rtrd running, with this as its"
        what += " `control`?\n"
        assert (line, code, err.partition(": ")[2]) == (line, cli.NO_DAEMON, what)
        assert out == "" or line.startswith("dump "), "which tells of the host"


def test_who_may_not_ask_is_told_what_he_lacks(folder: Path) -> None:
    if os.geteuid() != 0 or "Permission" in ran(["--version"], before=tuple(as_user(STRANGER)))[2]:
        pytest.skip("only root can become somebody else, and he must be able to run rtrd")
    for line, (code, out, err) in all_of(folder, asking=True, before=tuple(as_user(STRANGER))):
        assert (line, code, bool(out)) == (line, cli.NO_DAEMON, line.startswith("dump "))
        what = (
            f"no daemon answers at {folder}/rtrd.sock (Permission denied): who asks must be its owner or in its group"
        )
        assert err.partition(": ")[2].startswith(what), line


@pytest.fixture(scope="module")
def printed(folder: Path) -> dict[str, tuple[int, bool]]:
    """With what each command line ends when all is well, and whether it prints something."""
    found = all_of(folder, endless=False)
    for line, (code, _, err) in found:
        assert "usage:" not in err, line
        assert code in (cli.DONE, cli.FAILED, cli.BAD_USAGE), line
    return {line: (code, bool(out)) for line, (code, out, _) in found}


@pytest.mark.parametrize("where", ["full", "closed"])
def test_output_that_nobody_takes_is_no_traceback(
    folder: Path, printed: dict[str, tuple[int, bool]], where: str
) -> None:
    """What would have printed something says so (a full disk), or ends without a word (its reader has seen enough)."""
    if where == "full":
        with Path("/dev/full").open("w") as stdout:
            found = all_of(folder, stdout=stdout)
        expected = 1, "rtrd: standard output can't be written: No space left on device\n"
    else:
        reader, writer = os.pipe()
        os.close(reader)
        found = all_of(folder, stdout=writer)
        os.close(writer)
        expected = PIPE_CLOSED, ""
    for line, (code, _, err) in found:
        assert "Traceback" not in err, line
        before, prints = printed.get(line, (0, True))
        assert (line, code, err) == (line, *expected) if prints else (line, code) == (line, before)
