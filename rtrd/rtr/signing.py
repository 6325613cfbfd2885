"""Routers that sign TCP, by TCP-MD5 or TCP-AO (RFC 8210 sections 9.3 and 9.4): their keys, at listening sockets."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterable
from typing import TypeAlias

from rtrd.config import RouterClients
from rtrlib.key_files import KeyFileError
from rtrlib.preparation import read_signature
from rtrlib.tcp_auth import Peers, Signature, sign, unsign, why_not

Keys: TypeAlias = dict[Peers, Signature]


class SigningError(Exception):
    """A key can't be read, or the kernel does not take it; the text says which and why."""


def read_keys(clients: Iterable[RouterClients]) -> Keys:
    """Read the keys of these routers. Raises SigningError."""
    keys: Keys = {}
    try:
        for each in clients:
            signature = read_signature(each.md5_password_file, each.tcp_ao)
            if signature is not None:
                for peers in each.match:
                    keys.setdefault(ipaddress.ip_network(peers), signature)
    except KeyFileError as error:
        raise SigningError(str(error)) from error
    return keys


def sign_at(listener: socket.socket, peers: Peers, signature: Signature) -> None:
    """Want connections of these routers signed, where the socket is of their family. Raises SigningError."""
    if (peers.version == 6) == (listener.family == socket.AF_INET6):
        try:
            sign(listener, peers, signature)
        except OSError as error:
            many = "; net.core.optmem_max bounds how many keys a socket has" if error.errno == errno.ENOMEM else ""
            raise SigningError(f"{peers}: {why_not(signature, error)}{many}") from error


def unsign_at(listener: socket.socket, peers: Peers) -> None:
    """Want connections of these routers signed by TCP-MD5 no more. Raises SigningError."""
    if (peers.version == 6) == (listener.family == socket.AF_INET6):
        try:
            unsign(listener, peers)
        except OSError as error:
            raise SigningError(f"{peers}: the kernel does not forget the key: {error.strerror}") from error
