"""RTR over OpenSSH's `ssh -s` (RFC 8210 section 9.1): the subsystem rpki-rtr on stdin and stdout of a child process.

The child reads no configuration, asks no agent and no terminal. It gets keys as files in memory, which were read here.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

from rtrlib import children
from rtrlib.children import LastWords
from rtrlib.faults import Fault
from rtrlib.key_files import read_file, read_ssh_key
from rtrlib.link import LinkEnded
from rtrlib.servers import SSHServer

__all__ = ["SSHKeys", "SSHProcess", "keys_of", "known_hosts"]

CHILD: Final = str(Path(__file__).with_name("ssh_child.py"))
SUBSYSTEM: Final = "rpki-rtr"
SSH_PORT: Final = 22
KEY_TYPES: Final = ("ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-")
"""How a public key begins; what begins otherwise is a line of known_hosts (sshd(8))."""

OPTIONS: Final = (
    "BatchMode=yes",
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "PreferredAuthentications=publickey",
    "GlobalKnownHostsFile=/dev/null",
    "UpdateHostKeys=no",
    "ControlPath=none",
    "ClearAllForwardings=yes",
    "LogLevel=ERROR",
)
"""On top of no configuration files at all."""

MOST_SAID: Final = 300
"""Characters of what ssh, or the cache through it, says last."""
UNUSABLE_KEY: Final = re.compile(r"Load key .*: (.+)")
SILENT: Final = re.compile(r"not responding|timed? ?out", re.IGNORECASE)


class SSHKeys(NamedTuple):
    """What the files of a server's options have."""

    private_key: bytes
    known_hosts: bytes | None
    """None: any host is believed."""


def known_hosts(server: SSHServer) -> str | None:
    """Return the host key as lines of known_hosts, whichever of the two the file holds. KeyFileError: unreadable."""
    if server.host_key is None:
        return None
    lines = read_file("host key", server.host_key).decode(errors="replace").splitlines()
    host = server.host if int(server.port) == SSH_PORT else f"[{server.host}]:{server.port}"
    return "".join(f"{host} {line}\n" if line.startswith(KEY_TYPES) else f"{line}\n" for line in lines)


def keys_of(server: SSHServer) -> SSHKeys:
    """Read the files of a server's options. KeyFileError: one of them can't be used."""
    assert server.private_key is not None
    hosts = known_hosts(server)
    return SSHKeys(read_ssh_key(server.private_key), None if hosts is None else hosts.encode())


class SSHProcess:
    """A child that runs ssh, until `close`. `socket` is its stdin and stdout."""

    def __init__(self, server: SSHServer, keys: SSHKeys) -> None:
        """LinkEnded: it can't be started."""
        program = shutil.which("ssh")
        if program is None:
            raise LinkEnded("the program ssh is missing: apt install openssh-client", Fault.UNREACHABLE)
        self._server = server
        self._words = LastWords()
        self._files: list[int] = []
        try:
            self.socket, theirs = socket.socketpair()
        except OSError as error:
            raise LinkEnded(f"cannot start ssh: {error.strerror}") from error
        try:
            command = children.file(CHILD, [str(os.getpid()), program, *self._arguments(keys)], ())
            self._process = subprocess.Popen(
                command.argv,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.PIPE,
                start_new_session=True,  # it has no terminal to ask at, and ^C is for the program
                env={"PATH": os.environ.get("PATH", os.defpath)},
            )
        except OSError as error:
            self.socket.close()
            self._forget_keys()
            raise LinkEnded(f"cannot start ssh: {error.strerror}") from error
        finally:
            theirs.close()
        self.socket.setblocking(False)
        assert self._process.stderr is not None
        self._stderr = self._process.stderr
        os.set_blocking(self._stderr.fileno(), False)

    def stderr(self) -> int:
        """Give the descriptor to watch, for `listen`."""
        return self._stderr.fileno()

    def listen(self) -> bool:
        """Take what ssh prints; False when it prints nothing any more."""
        try:
            words = os.read(self._stderr.fileno(), 65536)
        except BlockingIOError:
            return True
        self._words.add(words)
        return bool(words)

    def why(self) -> tuple[Fault, str] | None:
        """Say why it ended, as it has printed it; None: it has printed nothing."""
        self.listen()
        lines = [line for line in str(self._words).splitlines() if line.strip()]
        if not lines:
            return None
        kind = Fault.SILENT if SILENT.search(lines[-1]) and "connect to" not in lines[-1] else Fault.UNREACHABLE
        return kind, f"SSH: {self._sentence(lines)}"

    def close(self) -> None:
        """Kill it; it is waited for later (children.reap)."""
        self.socket.close()
        self._stderr.close()
        self._forget_keys()
        if self._process.poll() is None:
            self._process.kill()
            children.bury(self._process)

    def forked(self) -> None:
        """Close the forked child's descriptors of it; the process is the parent's."""
        self.socket.close()
        self._stderr.close()
        self._forget_keys()
        self._process.returncode = 0  # nobody here is to wait for it

    def _sentence(self, lines: list[str]) -> str:
        server = self._server
        for line in lines:
            if unusable := UNUSABLE_KEY.match(line):
                return f"the key {server.private_key} is not usable: {unusable[1]}"
        last = "".join(character if character.isprintable() else "?" for character in lines[-1].strip()[:MOST_SAID])
        if "Host key verification failed" in last:
            return f"the cache's host key is not one of {server.host_key}"
        if "Permission denied" in last:
            return f"the cache does not take our key for the user {server.username}"
        if "subsystem request failed" in last:
            return f"the cache has no subsystem {SUBSYSTEM}"
        return last.removeprefix("ssh: ")

    def _arguments(self, keys: SSHKeys) -> list[str]:
        server = self._server
        options = [*OPTIONS, f"ConnectTimeout={server.connect_timeout}"]
        options += [f"ServerAliveInterval={max(server.keepalive // 3, 1)}", "ServerAliveCountMax=3"]
        if keys.known_hosts is None:
            options += ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"]
        else:
            options += ["StrictHostKeyChecking=yes", f"UserKnownHostsFile={self._file(keys.known_hosts)}"]
        words = ["-F", "none", "-T", "-x", "-a", "-i", self._file(keys.private_key)]
        for option in options:
            words += ["-o", option]
        if server.bind is not None:
            words += ["-b", server.bind]
        return [*words, "-p", str(server.port), "-l", server.username, "-s", "--", server.host, SUBSYSTEM]

    def _file(self, octets: bytes) -> str:
        """Keep octets in a file that has no name but this; ssh closes what it inherits, and opens it by that."""
        fd = os.memfd_create("rtrlib")
        self._files.append(fd)
        os.fchmod(fd, 0o600)
        os.write(fd, octets)
        return f"/proc/{os.getpid()}/fd/{fd}"

    def _forget_keys(self) -> None:
        for fd in self._files:
            with contextlib.suppress(OSError):
                os.close(fd)
        self._files.clear()
