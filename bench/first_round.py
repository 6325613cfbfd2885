"""The rtrd of the first round, built from this repository's history, to see beside it what rtrd costs now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from bench.report import REPO

COMMIT: Final = "8e04566"
"""The last one of the first round, and the first with every part that a chain needs."""
FOLDER: Final = REPO / "build" / "first-round"


class NotBuiltError(Exception):
    """It can't be had here; the text says why."""


def program() -> Path:
    """Give its `rtrd`, built at the first call, in a minute; NotBuiltError without that history or a compiler."""
    found = FOLDER / ".venv" / "bin" / "rtrd"
    if not found.exists():
        print(f"building the first round's rtrd ({COMMIT}) in {FOLDER}", flush=True)
        FOLDER.mkdir(parents=True, exist_ok=True)
        archive = FOLDER / "tree.tar"
        _run("git", "-C", str(REPO), "archive", "--output", str(archive), COMMIT)
        _run("tar", "-x", "-f", str(archive), "-C", str(FOLDER))
        _run(sys.executable, "-m", "venv", str(FOLDER / ".venv"))
        _run(str(FOLDER / ".venv" / "bin" / "python"), "-m", "pip", "install", "--quiet", str(FOLDER))
    return found


def _run(*command: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotBuiltError(f"{' '.join(command[:5])}: {(done.stderr or done.stdout).strip()[-300:]}")
