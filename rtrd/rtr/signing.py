"""Routers that sign TCP, by TCP-MD5 or TCP-AO (RFC 8210 sections 9.3 and 9.4): their keys, at listening sockets."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterable
from typing import TypeAlias

from rtrd.config import RouterClients
from rtrlib.key_files import AO_FILE, MD5_FILE, KeyFileError, read_password
from rtrlib.tcp_auth import Peers, Signature, sign, unsign, why_not

Keys: TypeAlias = dict[Peers, Signature]


class SigningError(Exception):
    """A key can't be read, or the kernel does not take it; the text says which and why."""


def read_keys(clients: Iterable[RouterClients]) -> Keys:
    """Read the keys of these routers. Raises SigningError."""
    keys: Keys = {}
    try:
        for each in clients:
            if each.md5_password_file is not None:
                signature = Signature(read_password(MD5_FILE, each.md5_password_file))
            elif each.tcp_ao is not None:
                ao = each.tcp_ao
                signature = Signature(read_password(AO_FILE, ao.key_file), (ao.algorithm, ao.key_id))
            else:
                continue
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
