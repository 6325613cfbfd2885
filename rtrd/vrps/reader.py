"""A VRP file read in a process of its own.

Decoding 50 MB of JSON holds the interpreter for half a second, which no router should wait, and takes 200 MB,
which would never be given back. As a program (`python -m rtrd.vrps.reader PATH`) this module is that process:
MessagePack on stdout, or the fault on stderr and exit code 2.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from typing import TYPE_CHECKING

import msgspec

from rtrd.vrps import files

if TYPE_CHECKING:
    from pathlib import Path


async def read_apart(path: Path) -> files.VRPFile:
    """Read a VRP file in another process; raises VRPFileError, also when that process was killed."""
    argv = [sys.executable, "-P", "-m", "rtrd.vrps.reader", str(path)]
    process = await asyncio.create_subprocess_exec(*argv, stdin=None, stdout=PIPE, stderr=PIPE)
    try:
        output, fault = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode == 0:
        return msgspec.msgpack.decode(output, type=files.VRPFile)
    if process.returncode == files.REFUSED:
        raise files.VRPFileError(fault.decode("utf-8", "backslashreplace").strip())
    raise files.VRPFileError(f"{path}: the process that read it ended with {process.returncode}")


def main(path: str) -> int:
    """Be that process."""
    try:
        file = files.read(path)
    except files.VRPFileError as error:
        sys.stderr.write(f"{error}\n")
        return files.REFUSED
    sys.stdout.buffer.write(msgspec.msgpack.encode(file))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
