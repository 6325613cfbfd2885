"""What `rtrd dump` gathers, and what it leaves out."""

import json
import os
import stat
from pathlib import Path

import pytest

from rtrd import cli
from rtrd.api.dump import without_secrets
from rtrd.api.responses import json as answer
from rtrd.base import log
from tests.lab.still_daemon import StillDaemon


async def test_it_has_all_parts_and_is_json(tmp_path: Path) -> None:
    async with StillDaemon(tmp_path) as one:
        one.daemon.event_log.add("cache", "it failed")
        log.setup("json", fd=os.open(os.devnull, os.O_WRONLY))
        log.get("engine").info("quiet\n\x1b[2J", password="x", router="edge")
        body = answer(await one.service.dump()).body
    assert isinstance(body, bytes)
    found = json.loads(body)
    assert found["configuration"]["caches"]["groups"][0]["servers"][0]["host"] == "192.0.2.10"
    assert "rtrd_ready 0.0" in found["metrics"]
    assert found["events"][0]["text"] == "it failed"
    record = found["log"][-1]
    assert record.pop("timestamp").endswith("Z")
    assert record == {
        "event": "quiet\\n\\x1b[2J", "level": "info", "part": "engine", "router": "edge", "password": "(left out)",
    }  # fmt: skip
    assert found["status"]["ready"] is False
    assert found["process"]["VmRSS"].endswith("kB")


def test_secrets_are_left_out_wherever_they_stand() -> None:
    given = {"servers": [{"password": "x", "key": "/etc/rtrd/id", "api-Token": "y", "secret": None}], "to": ("a",)}
    assert without_secrets(given) == {
        "servers": [{"password": "(left out)", "key": "/etc/rtrd/id", "api-Token": "(left out)", "secret": None}],
        "to": ["a"],
    }


def test_the_hosts_side_without_a_daemon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "dump.json"
    words = ["dump", "-o", str(file), "--socket", str(tmp_path / "none")]
    assert cli.main(words) == 3
    assert json.loads(file.read_text())["host"]["python"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    capsys.readouterr()
    assert cli.main(words) == 1
    assert capsys.readouterr().err.endswith(f"{file}: File exists\n")
