"""VRP files: the JSON of rpki-client, Routinator and StayRTR, and the CSV of Routinator and others (rtrlib.vrp_files).

A fault of one entry leaves out that entry. A file that is not of the format at all, or most of whose entries can't be
used, raises VRPFileError, so that a file caught in the middle of being written, or of a validator that has learned a
new spelling, never counts as a small set.
"""

from __future__ import annotations

import io
import zlib
from pathlib import Path

from rtrd.base.files import open_file
from rtrd.vrps import json_file
from rtrd.vrps.allow_bad import ALLOW_BAD
from rtrlib.vrp_entries import Entries, VRPFile, VRPFileError
from rtrlib.vrp_files import take_entries


def read(path: str | Path, allow_bad: float = ALLOW_BAD) -> VRPFile:
    """Read a VRP file, gzip-packed or not; JSON and CSV are told apart by the first character.

    Raises VRPFileError when it is unreadable or not of either format, or when more than `allow_bad` percent of its
    entries, or all, can't be used. Where the max length is absent, it is the prefix's length. Members that are not
    asked for (``expires``, ``ta``) are ignored.
    """
    path = str(path)
    entries = Entries(path)
    try:
        with io.BufferedReader(open_file(Path(path)), 1 << 16) as file:
            take_entries(file, entries, json_file.read)
    except (OSError, EOFError, zlib.error) as error:
        what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise VRPFileError(f"{path}: {what}") from error
    return entries.file(allow_bad)
