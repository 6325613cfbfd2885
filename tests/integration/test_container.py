"""The image that `make container` builds, as RTRD_IMAGE names it, run by buildah.

It has the host's network and processes: a runtime that isolates more needs rights that a build machine may not give.
"""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from rtrd.demo.caches import VRP, RtrdCache
from rtrd.demo.lab import Lab, Process
from tests.lab.deb import run
from tests.lab.wait import SECONDS

pytestmark = pytest.mark.long
IMAGE = os.environ.get("RTRD_IMAGE")


class Container:
    """One of the image, with the folders of the host that it sees."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.etc, self.state = folder / "etc", folder / "state"
        self.etc.mkdir()
        self.state.mkdir()

    def argv(self, *words: str) -> list[str]:
        places = ["-v", f"{self.etc}:/etc/rtrd:ro", "-v", f"{self.state}:/var/lib/rtrd"]
        return ["buildah", "run", "--isolation", "chroot", *places, self.name, "--", *words]


def daemon_below(above: int, user: int) -> int:
    """The process of a user below another one that runs the daemon; a container's are the host's, too."""
    parents: dict[int, int] = {}
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            words = (path / "cmdline").read_bytes().split(b"\0")
            # buildah's own process has the user and the words, too.
            if path.stat().st_uid == user and words[0].endswith(b"/python3") and b"/usr/bin/rtrd" in words:
                found.append(int(path.name))

    def is_below(pid: int) -> bool:
        return pid == above or (pid in parents and is_below(parents[pid]))

    (pid,) = filter(is_below, found)
    return pid


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    if IMAGE is None:
        pytest.skip("make test-container")
    name = run("buildah", "from", "--pull-never", IMAGE).strip()
    yield Container(name, tmp_path)
    run("buildah", "rm", name)


def test_it_runs_as_a_user_of_its_own_and_keeps_its_state(lab: Lab, container: Container) -> None:
    about = json.loads(run("buildah", "inspect", "--type", "container", container.name))["OCIv1"]["config"]
    assert about["User"] == "rtrd"
    start = container.argv(*about["Entrypoint"], *about["Cmd"])
    user, group = map(int, run(*container.argv("sh", "-c", "id -u; id -g")).split())
    assert user != 0
    os.chown(container.state, user, group)
    cache = lab.start(RtrdCache(lab.folder, [VRP("192.0.2.0/24", 24, 64500)]))
    at = {"host": cache.address, "port": cache.port}
    settings: dict[str, Any] = {
        "caches": {"groups": [{"name": "a", "preference": 1, "servers": [at]}]},
        "state": "/var/lib/rtrd",
    }
    (container.etc / "rtrd.yaml").write_text(yaml.safe_dump(settings))
    run(*container.argv("rtrd", "check", "/etc/rtrd/rtrd.yaml"))

    daemon = lab.start(Process("container", start, lab.folder))
    daemon.wait_for("cache in sync")
    found = json.loads(run(*container.argv("rtrd", "validate", "--json", "192.0.2.0/24", "64500")))
    assert found["validated_route"]["validity"]["state"] == "valid"
    assert json.loads(run(*container.argv("rtrd", "status", "--json")))["ready"]
    os.kill(daemon_below(daemon.pid, user), signal.SIGTERM)
    assert daemon.wait(SECONDS) == 0
    kept = list(container.state.iterdir())
    assert kept
    assert {path.stat().st_uid for path in kept} == {user}

    # Without its cache it starts with what it kept.
    cache.stop()
    daemon = lab.start(Process("again", start, lab.folder))
    daemon.wait_for("the API is served")
    status = json.loads(run(*container.argv("rtrd", "status", "--json")))
    os.kill(daemon_below(daemon.pid, user), signal.SIGTERM)
    assert daemon.wait(SECONDS) == 0
    assert (status["ready"], status["snapshot"]["used"]) == (True, True)
