"""An ExaBGP process that knows its commands in advance, for comparison with rtrd.

`python knowing.py FILE WINDOW NEIGHBORS UPDATES` always reads stdin. When NEIGHBORS neighbors are up, it writes the
lines of FILE, with at most WINDOW of them unanswered, one for every UPDATES updates that ExaBGP has reported (may be a
fraction). With UPDATES 0 it does not wait: it announces the routes before anybody has announced them to it, which no
program that reacts to routes can do. It decides nothing, decodes nothing and stores nothing.
"""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path


def main() -> None:
    """Run until ExaBGP closes the pipe."""
    commands = Path(sys.argv[1]).read_bytes().splitlines(keepends=True)
    window, neighbors, each = int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    up = answered = written = updates = 0
    rest = pending = b""
    while True:
        wanted = [1] if pending else []
        readable, writable, _ = select.select([0], wanted, [])
        if readable:
            data = os.read(0, 1 << 18)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                if line in (b"done", b"error"):
                    answered += 1
                elif b'"message": { "category": 2' in line:
                    updates += 1
                elif up < neighbors and b'"state": "up"' in line:
                    up += 1
        if writable:
            pending = pending[os.write(1, pending) :]
        if up == neighbors and not pending:
            until = answered + window
            if each:
                until = min(until, int(updates / each))
            pending = b"".join(commands[written:until])
            written = max(written, min(until, len(commands)))


if __name__ == "__main__":
    os.set_blocking(1, False)
    main()
