"""The process of one cache, with librtr inside: it reads its options on fd 0 and reports frames there.

rtrlib.process_link starts it by its path, and it imports next to nothing, so that it is small: this file, _librtr and
what cffi needs. Here librtr may abort, hang or eat memory without anyone else noticing.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import sys

# Where the extensions are is told in argv: the site packages themselves are not searched (-S).
sys.path += sys.argv[4:]

import _librtr
from _librtr import ffi, lib

ALIVE = struct.pack("=II", lib.FRAME_ALIVE, 0)
TEXTS = ("host", "port", "bind", "username", "private_key", "host_key", "password")
NUMBERS = ("connect_timeout", "keepalive", "refresh", "expire", "retry", "follow_cache", "soon", "queue_limit")
SIZE = struct.Struct("=I")


def receive(parent: socket.socket) -> list[bytes]:
    """Read the options: a length, then fields that end in NUL; an absent one is the single byte 0xff."""
    data = b""
    while len(data) < SIZE.size or len(data) < SIZE.size + SIZE.unpack_from(data)[0]:
        more = parent.recv(65536)
        if not more:
            sys.exit(0)
        data += more
    return data[SIZE.size :].split(b"\0")[:-1]


def file_of(text: bytes) -> bytes:
    """Put the known hosts where libssh can read them: a file of no name that ends with this process."""
    file = os.memfd_create("known_hosts")
    os.write(file, text)
    return f"/proc/self/fd/{file}".encode()


def tell(parent: socket.socket, fault: int, error: int = 0) -> None:
    """Say why nothing else will follow (`struct frame_fault`)."""
    parent.sendall(struct.pack("=IIIi12x", lib.FRAME_FAULT, 20, fault, error))


def main() -> None:
    """Run until the parent closes its end."""
    parent_pid, memory = int(sys.argv[1]), int(sys.argv[2])
    parent = socket.socket(fileno=0)
    error = lib.session_confine(parent_pid, memory, sys.argv[3].encode()[:15])
    if error:
        tell(parent, lib.FAULT_CONFINED, error)
        sys.exit(1)
    # librtr prints a line for everything; nobody may have to wait for whoever reads them.
    os.set_blocking(2, False)
    fields = receive(parent)
    options = ffi.new("struct session_options *")
    kept = []
    for name, value in zip(TEXTS, fields, strict=False):
        if value != b"\xff":
            kept.append(ffi.new("char[]", file_of(value) if name == "host_key" else value))
            setattr(options, name, kept[-1])
    for name, value in zip(NUMBERS, fields[len(TEXTS) :], strict=True):
        setattr(options, name, int(value))
    fault = ffi.new("uint32_t *")
    session = lib.session_open(options, fault)
    if not session:
        tell(parent, fault[0])
        sys.exit(1)
    relay(parent, session)


def relay(parent: socket.socket, session: _librtr.Session) -> None:
    """Send frames up, and answer pings between them."""
    chunk = ffi.new("char[]", lib.QUEUE_CHUNK)
    view = memoryview(ffi.buffer(chunk))
    poller = select.poll()
    poller.register(parent, select.POLLIN)
    poller.register(lib.session_fd(session), select.POLLIN)
    while True:
        for fd, _ in poller.poll():
            if fd == parent.fileno():
                pings = parent.recv(64)
                if not pings:
                    os._exit(0)  # librtr's threads are not worth waiting for
                parent.sendall(ALIVE)
            elif size := lib.session_take(session, chunk, lib.QUEUE_CHUNK):
                parent.sendall(view[:size])


if __name__ == "__main__":
    try:
        main()
    except OSError:
        os._exit(0)  # the parent is gone
