"""A VRP file read in a process of its own.

Decoding 50 MB of JSON holds the interpreter for half a second, which no router should wait, and takes 200 MB, which
would never be given back. As a program (`python -m rtrd.vrps.reader PATH`) this module is that process.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from rtrd.base import apart
from rtrd.vrps import files
from rtrd.vrps.allow_bad import ALLOW_BAD
from rtrlib.vrp_entries import VRPFile, VRPFileError


async def read_apart(path: Path, allow_bad: float = ALLOW_BAD) -> VRPFile:
    """Read a VRP file in another process; raises VRPFileError, also when that process was killed."""
    output = await apart.run("rtrd.vrps.reader", str(path), VRPFileError, arguments=[str(allow_bad)])
    return msgspec.msgpack.decode(output, type=VRPFile)


def _read() -> bytes:
    return msgspec.msgpack.encode(files.read(sys.argv[1], *map(float, sys.argv[2:])))


if __name__ == "__main__":
    sys.exit(apart.answer(_read, VRPFileError))
