"""The daemon as somebody who may do nothing: no root, a folder for its sockets, and the group that may ask it."""

import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rtrd.demo.caches import VRP
from rtrd.demo.lab import Lab, LabError, find_program
from tests.lab.daemons import Daemon
from tests.lab.faulty_cache import FaultyCache
from tests.lab.programs import RTRD, run

USER, STRANGER, OPERATORS = 65534, 65533, 65432
"""Numbers of nobody: two users and a group, which need no entry anywhere."""


def as_user(user: int, *groups: int) -> list[str]:
    """The words before a command that make it that of a user with these further groups and no privilege."""
    setpriv = find_program("setpriv", "apt-get install util-linux")
    further = [f"--groups={','.join(map(str, groups))}"] if groups else ["--clear-groups"]
    return [setpriv, f"--reuid={user}", f"--regid={user}", *further, "--inh-caps=-all", "--no-new-privs"]


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A folder that others may pass through, as /run; pytest's own are closed to them."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    tried = run(*as_user(USER), RTRD, "--version")
    if "Permission" in tried.stderr:
        pytest.skip(f"others may not run {RTRD}: a folder above it is closed to them")
    assert tried.returncode == 0, tried.stderr
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        with Lab(Path(folder)) as lab:
            yield lab
        assert lab.leftovers == []


def daemon_in(lab: Lab, *groups: int, group: str = str(OPERATORS)) -> Daemon:
    """One of USER, which may write its RuntimeDirectory and its StateDirectory and nothing else."""
    for name in ("run", "state"):
        (lab.folder / name).mkdir(mode=0o755)
        os.chown(lab.folder / name, USER, USER)
    cache, socket = lab.start(FaultyCache([VRP("192.0.2.0/24", 24, 64500)])), lab.folder / "run" / "rtrd.sock"
    settings = {"control": str(socket), "control-group": group, "state": str(lab.folder / "state")}
    daemon = Daemon(lab.folder, [cache], settings=settings, program=[*as_user(USER, *groups), RTRD, "run"])
    daemon.socket = socket
    return daemon


def asked_by(user: int, *groups: int, daemon: Daemon) -> subprocess.CompletedProcess[str]:
    return run(*as_user(user, *groups), RTRD, "status", "--socket", daemon.socket)


def test_it_runs_as_nobody_and_serves_the_group(lab: Lab) -> None:
    daemon = lab.start(daemon_in(lab, OPERATORS))
    daemon.wait_vrps(1)
    status = Path(f"/proc/{daemon.process.pid}/status").read_text().splitlines()
    fields = {name: value.split() for name, _, value in (line.partition(":") for line in status)}
    assert (fields["Uid"], fields["Groups"]) == ([str(USER)] * 4, [str(OPERATORS)])
    assert {int(fields[name][0], 16) for name in ("CapInh", "CapPrm", "CapEff")} == {0}
    for name in ("rtrd.sock", "rtrd.sock.attach"):
        found = (lab.folder / "run" / name).stat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (USER, OPERATORS, 0o660), name
    assert daemon.validity("192.0.2.0/24", 64500) == "valid"

    answer = asked_by(STRANGER, OPERATORS, daemon=daemon)
    assert (answer.returncode, answer.stderr) == (0, "")
    refused = asked_by(STRANGER, daemon=daemon)
    assert refused.returncode != 0
    assert "Permission denied" in refused.stderr

    daemon.stop()
    assert daemon.process.returncode == 0
    assert list((lab.folder / "run").iterdir()) == []
    kept = list((lab.folder / "state").iterdir())
    assert "vrps.snapshot" in {file.name for file in kept}
    assert {file.stat().st_uid for file in kept} == {USER}


def test_a_state_folder_of_somebody_else_costs_only_what_would_be_kept_there(lab: Lab) -> None:
    daemon = daemon_in(lab, OPERATORS)
    (lab.folder / "state").chmod(0o700)
    os.chown(lab.folder / "state", 0, 0)
    lab.start(daemon)
    daemon.wait_vrps(1)
    daemon.wait_status(lambda now: any("state folder" in one["what"] for one in now["problems"]), "the problem is said")
    history = run(RTRD, "history", "--socket", daemon.socket, "192.0.2.0/24")
    assert (history.returncode, "it is only in" in history.stdout) == (0, True)
    stranger = run(*as_user(STRANGER), RTRD, "check", lab.folder / "state" / "rtrd.yaml")
    assert (stranger.returncode, stranger.stderr.count("\n")) == (2, 1)
    assert stranger.stderr.endswith("cannot be read: Permission denied\n")
    conf = lab.folder / "exabgp.conf"
    conf.write_text(f"process rtrd {{\nrun {lab.folder}/state/rtrd attach;\nencoder json;\n}}\n")
    stranger = run(*as_user(STRANGER), RTRD, "check", "--exabgp", conf)
    assert stranger.stderr.splitlines() == [f"{conf}: no neighbor: rtrd would be told nothing"]
    daemon.stop()
    assert daemon.process.returncode == 0
    assert not [line.text for line in daemon.process.lines if "Traceback" in line.text or "ignored" in line.text]


@pytest.mark.parametrize(
    ("group", "why"), [(str(OPERATORS), "Operation not permitted"), ("no-such-group", "there is no such group")]
)
def test_a_group_that_it_cannot_give_the_socket_to_is_refused_in_a_sentence(lab: Lab, group: str, why: str) -> None:
    """It's no member, or nobody is: it ends, and leaves no socket that the wrong ones may use."""
    daemon = daemon_in(lab, group=group)
    with pytest.raises(LabError, match=why):
        lab.start(daemon)
    assert daemon.process.returncode not in (0, None)
    said = daemon.process.tail(20)
    assert f"cannot give {daemon.socket}" in said
    assert f"to the group '{group}': {why}" in said
    assert "Traceback" not in said
    assert list((lab.folder / "run").iterdir()) == []
