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


async def read_apart(path: Path) -> files.VRPFile:
    """Read a VRP file in another process; raises VRPFileError, also when that process was killed."""
    output = await apart.run("rtrd.vrps.reader", str(path), files.VRPFileError)
    return msgspec.msgpack.decode(output, type=files.VRPFile)


if __name__ == "__main__":
    sys.exit(apart.answer(lambda: msgspec.msgpack.encode(files.read(sys.argv[1])), files.VRPFileError))
