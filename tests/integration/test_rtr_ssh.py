"""SSH, by librtr and by OpenSSH's ssh: to a real sshd with an RTR subsystem, and to StayRTR's own SSH server."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rtrd.demo.lab import Lab, Process, find_program
from rtrd.demo.ports import free_port
from rtrlib import CacheGroup, RTRInitError, RTRManager, RTRSocket, SSHServer
from tests.lab import programs
from tests.lab.daemons import At, Daemon
from tests.lab.rtr_caches import ONE, STAYRTR, InForce, MakeStayRTR, run
from tests.lab.stayrtr import write_vrp_file
from tests.lab.wait import SECONDS, wait_until

SSHD = "as root: apt-get install openssh-server"
KEYGEN = "as root: apt-get install openssh-client"

PIPE = """
import os, select, socket, sys
cache = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
while True:
    for ready in select.select([0, cache], [], [])[0]:
        data = os.read(0, 65536) if ready == 0 else cache.recv(65536)
        if not data:
            sys.exit()
        if ready == 0:
            cache.sendall(data)
        while data and ready != 0:
            data = data[os.write(1, data):]
"""

USER = os.environ.get("USER") or "root"


def keygen(path: Path, *options: Any, passphrase: str = "") -> Path:
    argv = [find_program("ssh-keygen", KEYGEN), "-q", "-N", passphrase, "-f", str(path), *options]
    subprocess.run(argv, check=True)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("host", "user", "stranger"):
        keygen(tmp_path / name, "-t", "ed25519")
    return tmp_path


@pytest.fixture
def sshd(folder: Path, lab: Lab, stayrtr: MakeStayRTR) -> int:
    """The port of an sshd whose subsystem `rpki-rtr` leads to a StayRTR."""
    cache, port = stayrtr(ONE), free_port("127.0.0.1")
    script = folder / "pipe.py"
    script.write_text(PIPE)
    config = folder / "sshd_config"
    shutil.copy(folder / "user.pub", folder / "authorized")
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {folder}/authorized\nStrictModes no\nPasswordAuthentication no\n"
        f"PermitRootLogin yes\nSubsystem rpki-rtr {sys.executable} {script} {cache.port}\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # privilege separation wants it
    lab.start(Process("sshd", [find_program("sshd", SSHD), "-D", "-e", "-f", str(config)], folder)).wait_listening(port)
    return port


Connect = Callable[..., tuple[RTRManager, InForce, RTRSocket]]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Open managers with one SSH cache, and close them."""
    with contextlib.ExitStack() as stack:

        def start(port: int, isolated: bool = True, **options: Any) -> tuple[RTRManager, InForce, RTRSocket]:
            server = SSHServer("127.0.0.1", port, **{"username": USER, **options})
            manager = RTRManager(groups=[CacheGroup(1, [server])], isolated=isolated, retry_interval=1)
            stack.callback(manager.close)
            seen = InForce()
            manager.open(seen)
            return manager, seen, manager.groups()[0].sockets[0]

        yield start


def test_a_key_and_the_public_key_of_the_host(sshd: int, folder: Path, connect: Connect, isolated: bool) -> None:
    key, host = str(folder / "user"), str(folder / "host.pub")
    manager, seen, cache = connect(sshd, isolated, private_key=key, host_key=host)
    run(manager, lambda: cache.in_sync, "a sync through sshd")
    assert len(seen.now) == 1
    assert cache.transport == "ssh"


def test_a_known_hosts_file(sshd: int, folder: Path, connect: Connect) -> None:
    hosts = folder / "known_hosts"
    hosts.write_text(f"[127.0.0.1]:{sshd} {(folder / 'host.pub').read_text()}")
    manager, _, cache = connect(sshd, private_key=str(folder / "user"), host_key=str(hosts))
    run(manager, lambda: cache.in_sync, "a sync through sshd")


@pytest.mark.parametrize(
    "case",
    [
        ("user", "stranger.pub", "SSH: Wrong hostkey"),
        ("stranger", "host.pub", "SSH: Publickey authentication failed"),
        ("absent", "host.pub", "SSH: Publickey authentication failed"),
        ("user", "absent.pub", "the host key .*absent.pub cannot be read: .*No such file"),
    ],
)
def test_what_is_wrong_is_said(sshd: int, folder: Path, connect: Connect, case: tuple[str, str, str]) -> None:
    key, host, error = case
    manager, seen, cache = connect(sshd, private_key=str(folder / key), host_key=str(folder / host))
    run(manager, lambda: cache.error, "the failure")
    assert re.search(error, str(cache.error))
    assert not seen.history


def test_a_password_with_stayrtr_itself(folder: Path, lab: Lab, connect: Connect) -> None:
    keygen(folder / "rsa", "-t", "rsa", "-m", "PEM")
    cache_file = folder / "cache.json"
    cache_file.write_text('{"metadata": {}, "roas": [{"asn": 1, "prefix": "192.0.2.0/24", "maxLength": 24}]}')
    port, other = free_port("127.0.0.1"), free_port("127.0.0.1")
    options = ["-bind", f"127.0.0.1:{other}", "-cache", str(cache_file), "-checktime=false"]
    options += ["-metrics.addr", "127.0.0.1:0", "-ssh.bind", f"127.0.0.1:{port}", "-ssh.key", str(folder / "rsa")]
    options += ["-ssh.method.password", "-ssh.auth.user", "router", "-ssh.auth.password", "sesame"]
    lab.start(Process("stayrtr", [find_program("stayrtr", STAYRTR), *options], folder)).wait_listening(port)
    manager, seen, cache = connect(port, username="router", password="sesame")
    run(manager, lambda: cache.in_sync, "a sync")
    assert len(seen.now) == 1
    manager, _, cache = connect(port, username="router", password="wrong")
    run(manager, lambda: cache.error, "the failure")
    assert cache.error == "SSH: Password authentication failed"


def test_options_that_librtr_cannot_use_are_refused() -> None:
    with pytest.raises(RTRInitError, match="either a private key or a password"):
        SSHServer("127.0.0.1", 22, username="router")
    with pytest.raises(RTRInitError, match="checks no host key when it uses a password"):
        SSHServer("127.0.0.1", 22, username="router", password="x", host_key="/y")
    with pytest.raises(RTRInitError, match="needs a port number"):
        SSHServer("127.0.0.1", "ssh", username="router", password="x")
    assert "sesame" not in repr(SSHServer("127.0.0.1", 22, username="router", password="sesame"))


def test_failed_attempts_leave_no_descriptor_behind(sshd: int, folder: Path, connect: Connect) -> None:
    """libssh does not close a descriptor that it was given."""
    manager, _, cache = connect(sshd, private_key=str(folder / "stranger"))
    run(manager, lambda: cache.error, "the failure")
    counts = []
    for _ in range(6):
        cache.write(error=None)
        run(manager, lambda: cache.error, "another failure")
        counts.append(len(list(Path(f"/proc/{cache.pid}/fd").iterdir())))
    assert abs(counts[-1] - counts[0]) <= 1, "the next attempt may have begun, but none leaves one behind"


# -- the native engine, which runs OpenSSH's ssh


Native = Callable[..., tuple[RTRManager, InForce, RTRSocket]]


@pytest.fixture
def native(folder: Path, connect: Connect) -> Native:
    """Open a manager with an SSH cache that ssh is run for, with the right keys unless told otherwise."""

    def start(port: int, key: str = "user", host: str | None = "host.pub", **more: Any) -> Any:
        named = None if host is None else str(folder / host)
        return connect(port, engine="native", private_key=str(folder / key), host_key=named, **more)

    return start


def children() -> set[int]:
    """The processes of ours that run."""
    found = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return {int(pid) for pid in found if "ssh" in Path(f"/proc/{pid}/comm").read_text()}


def failed(started: tuple[RTRManager, InForce, RTRSocket]) -> str:
    manager, seen, cache = started
    run(manager, lambda: cache.error, "the failure")
    assert not any(seen.history)
    return str(cache.error)


def test_native_with_a_key_and_the_key_of_the_host(sshd: int, native: Native) -> None:
    before = children()
    manager, seen, cache = native(sshd)
    run(manager, lambda: cache.in_sync, "a sync through ssh and sshd")
    assert len(seen.now) == 1
    (pid,) = children() - before
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    assert b"BatchMode=yes" in words
    environment = Path(f"/proc/{pid}/environ").read_bytes()
    assert b"SSH_AUTH_SOCK" not in environment
    manager.close()
    assert children() == before, "it ends with the session"


def test_native_with_known_hosts_or_any_host(sshd: int, folder: Path, native: Native) -> None:
    (folder / "hosts").write_text(f"[127.0.0.1]:{sshd} {(folder / 'host.pub').read_text()}")
    for host in ("hosts", None):
        manager, _, cache = native(sshd, host=host)
        run(manager, lambda cache=cache: cache.in_sync, "a sync")  # type: ignore[misc]


def test_native_a_session_goes_on_after_ssh_was_killed(sshd: int, native: Native) -> None:
    before = children()
    manager, seen, cache = native(sshd)
    run(manager, lambda: cache.in_sync, "a sync")
    (pid,) = children() - before
    os.kill(pid, signal.SIGKILL)
    run(manager, lambda: cache.restarts and cache.in_sync, "another sync")
    assert len(seen.now) == 1


def test_native_says_what_is_wrong(sshd: int, folder: Path, native: Native) -> None:
    os.mkfifo(folder / "fifo", 0o600)
    (folder / "rubbish").write_text("rubbish")
    (folder / "rubbish").chmod(0o600)
    shutil.copy(folder / "user", folder / "open")
    (folder / "open").chmod(0o644)
    (folder / "user.pub").chmod(0o600)
    (folder / "cut").write_bytes((folder / "user").read_bytes()[:120])
    (folder / "cut").chmod(0o600)
    keygen(folder / "locked", passphrase="a passphrase")
    keygen(folder / "locked-pem", "-m", "PEM", "-t", "rsa", "-b", "2048", passphrase="a passphrase")
    free = free_port("127.0.0.1")
    for options, says in (
        ({"host": "stranger.pub"}, f"SSH: the cache's host key is not one of {folder}/stranger.pub"),
        ({"key": "stranger"}, f"SSH: the cache does not take our key for the user {USER}"),
        ({"key": "absent"}, f"the key {folder}/absent cannot be read: No such file or directory"),
        ({"key": "rubbish"}, f"the key {folder}/rubbish is not usable: expected a private key"),
        ({"key": "user.pub"}, f"the key {folder}/user.pub is not usable: expected a private key"),
        ({"key": "cut"}, f"SSH: the key {folder}/cut is not usable: "),
        ({"key": "locked"}, f"the key {folder}/locked is encrypted: nobody can be asked for its passphrase"),
        ({"key": "locked-pem"}, f"the key {folder}/locked-pem is encrypted: nobody can be asked for its passphrase"),
        ({"key": "open"}, f"the key {folder}/open has mode 0644, so others may use it"),
        ({"key": "fifo"}, f"the key {folder}/fifo is not a file"),
        ({"host": "fifo"}, f"the host key {folder}/fifo is not a file"),
        ({"host": "absent.pub"}, f"the host key {folder}/absent.pub cannot be read: No such file or directory"),
        ({"port": free}, f"SSH: connect to host 127.0.0.1 port {free}: Connection refused"),
    ):
        started = native(**{"port": sshd, **options})
        assert failed(started).startswith(says)
        assert started[2].fault == "unreachable"


def test_native_without_the_subsystem(sshd: int, folder: Path, lab: Lab, native: Native) -> None:
    config = (folder / "sshd_config").read_text()
    port = free_port("127.0.0.1")
    (folder / "other_config").write_text(config.replace(f"Port {sshd}", f"Port {port}").replace("rpki-rtr", "other"))
    argv = [find_program("sshd", SSHD), "-D", "-e", "-f", str(folder / "other_config")]
    lab.start(Process("sshd2", argv, folder)).wait_listening(port)
    assert failed(native(port)) == "SSH: the cache has no subsystem rpki-rtr"


def test_native_without_ssh(sshd: int, native: Native, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert failed(native(sshd)) == "the program ssh is missing: apt install openssh-client"


def test_native_with_stayrtr_itself(folder: Path, lab: Lab, native: Native) -> None:
    keygen(folder / "rsa", "-t", "rsa", "-m", "PEM")
    port, file = free_port("127.0.0.1"), folder / "cache.json"
    write_vrp_file(file, [ONE])
    argv = [find_program("stayrtr", STAYRTR), "-bind", f"127.0.0.1:{free_port('127.0.0.1')}", "-cache", str(file)]
    argv += ["-checktime=false", "-metrics.addr", "127.0.0.1:0", "-ssh.bind", f"127.0.0.1:{port}"]
    argv += ["-ssh.key", str(folder / "rsa"), "-ssh.method.key", "-ssh.auth.user", "router"]
    argv += ["-ssh.auth.key.file", str(folder / "user.pub")]
    lab.start(Process("stayrtr", argv, folder)).wait_listening(port)
    manager, seen, cache = native(port, host="rsa.pub", username="router")
    run(manager, lambda: cache.in_sync, "a sync")
    assert len(seen.now) == 1


def test_ssh_ends_with_a_program_that_was_killed(sshd: int, folder: Path) -> None:
    program = f"""
import time
from rtrlib import *
manager = RTRManager(engine="native", groups=[CacheGroup(1, [SSHServer(
    "127.0.0.1", {sshd}, username={USER!r}, private_key="{folder}/user", host_key="{folder}/host.pub")])])
manager.start(timeout={SECONDS})
print(open("/proc/self/task/%d/children" % __import__("threading").enumerate()[1].native_id).read(), flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pids = process.stdout.readline().split()
        process.kill()
    assert len(pids) == 1
    wait_until(lambda: not Path(f"/proc/{pids[0]}").exists(), "the end of ssh")


def test_the_daemon_by_ssh(sshd: int, folder: Path, lab: Lab) -> None:
    options = {"transport": "ssh", "user": USER, "key": str(folder / "user"), "host-key": str(folder / "host.pub")}
    daemon = lab.start(Daemon(lab.folder, [At("127.0.0.1", sshd)], options=options))
    server = daemon.wait_vrps(1)["groups"][0]["servers"][0]
    assert (server["transport"], server["state"], server["pid"]) == ("ssh", "ESTABLISHED", None)


FORKING = """
import os, sys
from rtrlib import CacheGroup, RTRManager, SSHServer

def descriptors():
    return {fd for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")}

port, user, folder, engine = sys.argv[1:]
before = descriptors()
server = SSHServer("127.0.0.1", port, username=user, private_key=f"{folder}/user", host_key=f"{folder}/host.pub")
manager = RTRManager(groups=[CacheGroup(1, [server])], engine=engine)
manager.start(timeout=20)
(cache,) = manager.groups()[0].sockets
began = cache.restarts  # StayRTR 0.6 may end the first connection for its version
for own in (False, True):
    pid = os.fork()
    if pid == 0:
        assert descriptors() == before and manager.stale
        if own:
            manager.start(timeout=20)
            assert manager.is_synced() and not manager.stale
        manager.stop()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
print(cache.in_sync, cache.restarts - began)
manager.stop()
"""


@pytest.mark.parametrize("engine", ["native", "librtr"])
def test_a_forked_child_leaves_the_session_alone(sshd: int, folder: Path, engine: str) -> None:
    done = programs.run(sys.executable, "-c", FORKING, sshd, USER, folder, engine, seconds=2 * SECONDS)
    assert (done.stdout, done.returncode) == ("True 0\n", 0), done.stderr
