"""A file of commands in; an ExaBGP process that knows its answers beforehand, to measure rtrd against, out.

`python knowing.py FILE WINDOW NEIGHBOURS`: reads stdin always, and when so many neighbours are up writes the lines of
the file, WINDOW of them unanswered at most. It decides nothing, decodes nothing and keeps nothing.
"""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path


def main() -> None:
    """Run until ExaBGP closes the pipe."""
    commands = Path(sys.argv[1]).read_bytes().splitlines(keepends=True)
    window, neighbors = int(sys.argv[2]), int(sys.argv[3])
    up = answered = written = 0
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
                elif up < neighbors and b'"state": "up"' in line:
                    up += 1
        if writable:
            pending = pending[os.write(1, pending) :]
        if up == neighbors and not pending:
            room = answered + window - written
            pending = b"".join(commands[written : written + room])
            written = min(len(commands), written + room)


if __name__ == "__main__":
    os.set_blocking(1, False)
    main()
