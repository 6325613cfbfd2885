"""What the commands print on a real terminal (a pty), and that a pipe gets none of it."""

import json
import os
import pty
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from rtrd.api.server import APIServer
from rtrd.commands import terminal
from rtrd.commands.status_lines import age
from tests.lab.loop_thread import LoopThread
from tests.lab.programs import RTRD
from tests.lab.statuses import status

STATUS = status(
    {"name": "primary [red]", "status": "ERROR"},
    {
        "state": "ERROR_TRANSPORT",
        "error": "refused \x1b[2J",
        "faults": {"closed": 2, "refused": 7},
        "coming": 100_000,
        "vrps": 700_000,
    },
    {
        "neighbors": [
            {
                "address": "192.0.2.1",
                "up": True,
                "up_since": "2026-01-01T00:00:00Z",
                "routes": {"valid": 12345, "invalid": 3, "not-found": 0},
            },
            {"address": "192.0.2.2", "up": False, "up_since": None, "routes": {}},
            {"address": "192.0.2.3", "up": None, "up_since": None, "routes": {}},
        ],
        "routes": {"valid": 12345, "invalid": 3, "not-found": 0, "unverified": 0},
        "local_routes": {"valid": 4, "invalid": 1, "not-found": 0, "unverified": 0},
        "local_routes_withdrawn": 1,
        "outbox": 2,
    },
    version="1",
    health={"status": "degraded", "summary": "degraded: no cache is in sync"},
    problems=[{"what": "no cache is in sync", "since": "2026-01-01T00:00:00Z", "severity": "critical"}],
    vrps={"ipv4": 700_000, "ipv6": 0},
    last_change="2026-01-01T00:00:00Z",
)
ROUTE = {
    "router": "exabgp", "neighbor": "192.0.2.1", "prefix": "192.0.2.0/24", "path_id": None, "origin_as": 64500,
    "validity": "invalid", "decision": "withdraw",
}  # fmt: skip
COLOR = "\x1b["


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Path]:
    """Something that answers as a daemon does, at a socket."""
    lines = ",\n".join([json.dumps(ROUTE)] * 3)
    answers = {"/status": json.dumps(STATUS), "/routes": f'{{"routes": [\n{lines}\n]}}\n'}

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=answers[request.path])

    app = web.Application()
    app.add_routes([web.get(path, answer) for path in answers])
    server = APIServer(app, tmp_path / "rtrd.sock")
    with LoopThread() as thread:
        thread.run(server.start())
        yield tmp_path / "rtrd.sock"
        thread.run(server.close())


def said(daemon: Path, *words: str, on_terminal: tuple[str, ...], **environment: str) -> dict[str, str]:
    """What `rtrd WORDS` writes to stdout and stderr, each a terminal or a pipe."""
    ends = {}
    kept: dict[str, Any] = {}
    for name in ("stdout", "stderr"):
        reader, writer = pty.openpty() if name in on_terminal else os.pipe()
        ends[name] = reader
        kept[name] = writer
    env = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    env |= {"RTRD_SOCKET": str(daemon), "TERM": "xterm", **environment}
    process = subprocess.Popen([RTRD, *words], env=env, stdin=subprocess.DEVNULL, **kept)
    for writer in kept.values():
        os.close(writer)
    found = {}
    for name, reader in ends.items():
        data = b""
        try:
            while chunk := os.read(reader, 65536):
                data += chunk
        except OSError:  # a pty says so when the other end is closed
            pass
        os.close(reader)
        found[name] = data.decode().replace("\r\n", "\n")
    assert process.wait(30) == 0, found
    return found


def test_a_terminal_gets_tables_in_color(daemon: Path) -> None:
    out = said(daemon, "status", on_terminal=("stdout",))["stdout"]
    assert COLOR in out
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out)
    head = "rtrd 1, degraded: no cache is in sync\ncritical: no cache is in sync (since 2026-01-01T00:00:00Z)\n"
    assert plain.startswith(f"{head}VRPs: 700000 IPv4, 0 IPv6\nlast change of routes or VRPs: 2026-")
    assert "group primary [red] (preference 1): ERROR" in plain
    assert re.search(r"\[2001:db8::10\]:323.*ERROR_TRANSPORT.*-.*700,000.*never", plain)
    assert "[2001:db8::10]:323: refused \\x1b[2J" in plain
    assert re.search(r"192\.0\.2\.1 +up for [0-9]+ (days|h|min|s) +12,345 +0 +3", plain)
    assert re.search(r"192\.0\.2\.2 +down +0 +0 +0", plain)
    assert re.search(r"192\.0\.2\.3 +not told +0 +0 +0", plain)
    assert "2 commands are waiting" in plain


def test_a_terminal_gets_all_that_a_pipe_gets(daemon: Path) -> None:
    """What is wrong, what comes and what ExaBGP announces by itself stand beside the tables as well."""
    on_terminal = re.sub(r"\x1b\[[0-9;]*m", "", said(daemon, "status", on_terminal=("stdout",))["stdout"])
    piped = said(daemon, "status", on_terminal=())["stdout"]
    for what in (
        "local routes: 4 valid, 0 not-found, 1 invalid, 0 unverified; 1 withdrawn",
        "faults: closed 2, refused 7",
    ):
        assert what in piped
        assert what in on_terminal
    assert "100000 coming" in piped
    assert "[2001:db8::10]:323: 100,000 coming\n" in on_terminal


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_color_where_none_is_wanted(daemon: Path, environment: dict[str, str]) -> None:
    assert COLOR not in said(daemon, "routes", on_terminal=("stdout",), **environment)["stdout"]


def test_colors_of_validity_keep_the_columns(daemon: Path) -> None:
    out = said(daemon, "routes", on_terminal=("stdout",))["stdout"]
    assert f"{COLOR}31minvalid{COLOR}0m" in out
    piped = said(daemon, "routes", on_terminal=())["stdout"]
    assert COLOR not in piped
    assert re.sub(r"\x1b\[[0-9;]*m", "", out) == piped


def test_a_pipe_gets_lines_and_nothing_on_the_side(daemon: Path) -> None:
    found = said(daemon, "status", on_terminal=())
    assert "group primary [red] (preference 1): ERROR\n" in found["stdout"]
    assert found["stderr"] == ""
    assert COLOR not in found["stdout"]


def test_progress_shows_on_a_terminal_while_the_answer_goes_elsewhere(daemon: Path) -> None:
    found = said(daemon, "routes", on_terminal=("stderr",))
    assert "lines" in found["stderr"]
    assert len(found["stdout"].splitlines()) == 4
    assert said(daemon, "routes", on_terminal=("stderr", "stdout"))["stderr"] == ""


def test_paint_fills_columns_in_a_pipe_too() -> None:
    assert terminal.paint("valid", "valid", 10) == "valid     "


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (180_000, "2 days")]
)
def test_ages(seconds: float, text: str) -> None:
    assert age(seconds) == text
