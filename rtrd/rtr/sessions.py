"""Session IDs that none of the last runs used (RFC 8210 section 5.1).

A router that has an old session's ID and serial number takes a new session of the same ID for that one, and would keep
VRPs that are gone.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Annotated, Final

import msgspec

from rtrd.base import atomic_file, log
from rtrd.base.files import read_file
from rtrd.rtr.store import VERSIONS

NAME: Final = "rtr.sessions"
KEPT: Final = 1000
"""IDs that are remembered, the newest: those of 330 runs."""
_MOST: Final = 1 << 16

logger = log.get("relay")
_decoder = msgspec.json.Decoder(list[Annotated[int, msgspec.Meta(ge=0, lt=1 << 16)]])


def choose(used: list[int], rng: random.Random) -> list[int]:
    """Give an ID for each version, random, none of them 0 or in `used`."""
    return rng.sample(sorted(set(range(1, 1 << 16)) - set(used)), len(VERSIONS))


def fresh(folder: Path | None) -> list[int]:
    """Give an ID for each version, and remember them in the state folder; without one they are only random.

    The log says when the file can't be read or written; the IDs are random all the same.
    """
    rng = random.SystemRandom()
    if folder is None:
        return choose([], rng)
    path = folder / NAME
    used = _read(path)
    chosen = choose(used, rng)
    try:
        atomic_file.replace(path, msgspec.json.encode([*used, *chosen][-KEPT:]))
    except OSError as error:
        logger.warning("session IDs can't be remembered", path=str(path), why=error.strerror)
    return chosen


def _read(path: Path) -> list[int]:
    try:
        return _decoder.decode(read_file(path, _MOST))
    except FileNotFoundError:
        return []
    except OSError as error:
        logger.warning("earlier session IDs can't be read", path=str(path), why=error.strerror)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        logger.warning("earlier session IDs can't be read", path=str(path), why=str(error))
    return []
