"""A Debian of its own for tests: where none can be had, one line says why, and `.ci/run` goes on without it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import ROOT
from tests.lab.programs import run

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
UNREACHABLE = {**os.environ, "http_proxy": "http://127.0.0.1:9", "RTRD_DEB": "rtrd.deb"}
"""Nobody listens there."""


@pytest.fixture
def tree() -> Iterator[Path]:
    """What makes one, where no root was made before; others may read it, which those of pytest don't allow."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o755)
        shutil.copytree(ROOT / ".ci", folder / ".ci")
        shutil.copy(ROOT / "Makefile", folder)
        (folder / "build" / "installed").mkdir(parents=True)
        yield folder


def test_without_root(tree: Path) -> None:
    done = run(*NOBODY, f"{tree}/.ci/in-debian", "bookworm", "peers", tree, "true", cwd=tree)
    assert (done.returncode, done.stderr) == (77, "Not run in a Debian bookworm of its own: it needs root\n")


@pytest.mark.skipif(not NOBODY or shutil.which("mmdebstrap") is None, reason="needs root and .ci/packages roots")
def test_without_a_mirror_the_part_that_is_in_ci_run_is_left_out_and_the_whole_fails(tree: Path) -> None:
    log = f"{tree}/build/roots/bookworm-peers.log"
    for target, code in (("test-installed-short", 0), ("test-installed", 2)):
        done = run("make", "-s", "-o", "to-be-installed", target, cwd=tree, env=UNREACHABLE, seconds=120)
        assert done.returncode == code, done.stderr
        told = done.stderr.splitlines()[0]
        assert told == f"Not run in a Debian bookworm of its own: its mirror can't be reached ({log})"
