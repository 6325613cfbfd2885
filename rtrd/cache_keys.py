"""The files of keys that caches are connected to with: which have changed since, and whether they can be used."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from rtrlib import RTRSocket
from rtrlib.key_files import KeyFileError
from rtrlib.preparation import read_keys


class Changed(NamedTuple):
    """A cache in sync whose files are not those that it was connected to with."""

    cache: RTRSocket
    fault: str | None
    """Why they can't be used; None: they can."""


def changed(caches: Iterable[RTRSocket]) -> list[Changed]:
    """Look at the files of the caches in sync. To be called in a thread: a file system may hang."""
    return [Changed(cache, _fault(cache)) for cache in caches if _has_changed(cache)]


def _has_changed(cache: RTRSocket) -> bool:
    if not cache.in_sync or cache.server.engine == "librtr":
        return False
    return any(_is_newer(path, cache.since) for path in cache.server.key_files())


def _is_newer(path: str, since: int) -> bool:
    """Tell whether a file was written, or moved there, since a second; also one that is gone."""
    try:
        return Path(path).stat().st_ctime >= since
    except OSError:
        return True


def _fault(cache: RTRSocket) -> str | None:
    try:
        read_keys(cache.server)
    except KeyFileError as error:
        return str(error)
    return None
