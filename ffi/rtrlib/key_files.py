"""Reads the keys and certificates that a server's options name: files only, of a size that makes sense.

A key that others may read is refused. Nothing here waits for a FIFO or a device; a file system may still hang.
"""

from __future__ import annotations

import base64
import os
import re
import stat
from pathlib import Path
from typing import Final

__all__ = [
    "MAX_PASSWORD",
    "KeyFileError",
    "check_modes",
    "read_file",
    "read_key",
    "read_password",
    "read_ssh_key",
]

MAX_SIZE: Final = 1 << 20
"""Octets; the CAs of all the world take a quarter of it."""
MAX_PASSWORD: Final = 80
"""Octets that the kernel takes (TCP_MD5SIG_MAXKEYLEN, TCP_AO_MAXKEYLEN)."""
PRIVATE_KEY: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]*?)PRIVATE KEY-----([^-]*)")
OPENSSH_KEY: Final = b"openssh-key-v1\0"
ROOT: Final = 0


class KeyFileError(Exception):
    """A file that can't be used; the text says which and why."""


def read_file(what: str, path: str | Path) -> bytes:
    """Read a file. `what` names it in the KeyFileError."""
    return _read(what, path, secret=False)


def read_key(what: str, path: str | Path) -> bytes:
    """Read a file that nobody else may read. KeyFileError also when others may."""
    return _read(what, path, secret=True)


def read_ssh_key(path: str | Path) -> bytes:
    """Read a private key for ssh. KeyFileError also when it is none, or when ssh would ask for its passphrase."""
    octets = read_key("key", path)
    found = PRIVATE_KEY.search(octets)
    if found is None:
        raise KeyFileError(f"the key {path} is not usable: expected a private key, as ssh-keygen writes it")
    if found[1] == b"ENCRYPTED " or b"Proc-Type: 4,ENCRYPTED" in octets or _has_cipher(found[2]):
        raise KeyFileError(f"the key {path} is encrypted: nobody can be asked for its passphrase")
    return octets


def _has_cipher(body: bytes) -> bool:
    """Tell whether what openssh-key-v1 says first, its cipher, is another than none (PROTOCOL.key of OpenSSH)."""
    try:
        octets = base64.b64decode(body, validate=False)
    except ValueError:
        return False  # ssh says what is wrong with it
    return octets.startswith(OPENSSH_KEY) and not octets.startswith(OPENSSH_KEY + b"\0\0\0\4none")


def read_password(what: str, path: str | Path) -> bytes:
    """Read a password or key of TCP: all of a file but the end of its line. KeyFileError: it has none, or too much."""
    octets = read_key(what, path).rstrip(b"\r\n")
    if not octets:
        raise KeyFileError(f"the {what} {path} is empty")
    if len(octets) > MAX_PASSWORD:
        raise KeyFileError(f"the {what} {path} has {len(octets)} octets; at most {MAX_PASSWORD} are possible")
    if b"\n" in octets:
        raise KeyFileError(f"the {what} {path} has more than one line")
    return octets


def check_modes(status: os.stat_result) -> str | None:
    """Say what is wrong with the modes of a key's file: only its owner may use it, and the group of root's file."""
    open_to = stat.S_IMODE(status.st_mode) & (0o037 if status.st_uid == ROOT else 0o077)
    if not open_to:
        return None
    best = "0600, or 0640 if root owns it" if status.st_uid == ROOT else "0600"
    return f"has mode {stat.S_IMODE(status.st_mode):04o}, so others may use it: make it {best}"


def _read(what: str, path: str | Path, *, secret: bool) -> bytes:
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):  # to open a device may already do something
            raise KeyFileError(f"the {what} {path} is not a file")
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise KeyFileError(f"the {what} {path} is not a file")
            if secret and (why := check_modes(status)) is not None:
                raise KeyFileError(f"the {what} {path} {why}")
            with open(fd, "rb", closefd=False) as file:
                octets = file.read(MAX_SIZE + 1)
        finally:
            os.close(fd)
    except OSError as error:
        raise KeyFileError(f"the {what} {path} cannot be read: {error.strerror}") from error
    if len(octets) > MAX_SIZE:
        raise KeyFileError(f"the {what} {path} is larger than {MAX_SIZE} octets")
    return octets
