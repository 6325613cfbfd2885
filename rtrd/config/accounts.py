"""Who runs rtrd and ExaBGP on this host, as their systemd units say."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from rtrd.base.files import absolute

USER: Final = "rtrd"
"""The user of systemd/rtrd.service."""
EXABGP_UNIT: Final = "exabgp.service"

_UNIT_FOLDERS: Final = ("/etc/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system")
_SYSTEMD_RUNS: Final = Path("/run/systemd/system")
_OF_THE_UNIT: Final = re.compile(r"/(?:var/lib|run)/rtrd(?:-[^/]+)?")
"""The folders that the unit has systemd make: StateDirectory= and RuntimeDirectory=."""


class Account(NamedTuple):
    """Who runs rtrd."""

    name: str
    uid: int
    gid: int

    @property
    def is_us(self) -> bool:
        """We see what this user sees."""
        return self.uid == os.geteuid()


class UnknownUserError(Exception):
    """There is no such user."""


def account(config: Path, user: str | None = None) -> Account:
    """Give who will run rtrd with this file: `user`; else for root the unit's user, if it is there; else us."""
    return _account(user, lambda: _user_of(unit_of(config)) or USER)


def exabgp_account(user: str | None = None) -> Account:
    """Give who runs ExaBGP: `user`; else for root the user of its unit, if systemd knows it; else us."""
    return _account(user, lambda: _user_of(EXABGP_UNIT))


def _account(user: str | None, of_unit: Callable[[], str | None]) -> Account:
    name = user
    if name is None and os.geteuid() == 0:
        name = of_unit()
    if name is not None:
        try:
            found = pwd.getpwnam(name)
            return Account(found.pw_name, found.pw_uid, found.pw_gid)
        except KeyError:
            if user is not None:
                raise UnknownUserError(f"there is no user {user!r}") from None
    try:
        own = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        own = str(os.geteuid())
    return Account(own, os.geteuid(), os.getegid())


def unit_of(config: Path) -> str:
    """Give the unit that reads this file."""
    path = absolute(config)
    instance = path.parent == Path("/etc/rtrd") and path.name != "rtrd.yaml"
    return f"rtrd@{path.stem}.service" if instance else "rtrd.service"


def _user_of(unit: str) -> str | None:
    return asked(unit, "User") or None


def asked(unit: str, name: str) -> str:
    """Ask systemd, which knows of drop-ins, for a property of a unit; empty: it has none, or nobody answers."""
    if not _SYSTEMD_RUNS.is_dir() or not re.fullmatch(r"[\w@.:-]+", unit, re.ASCII):
        return ""
    argv = ["systemctl", "show", f"--property={name}", "--value", unit]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def unit_makes(path: Path) -> bool:
    """Tell whether systemd makes this folder when it starts the unit, which is installed."""
    units = (Path(folder) / "rtrd.service" for folder in _UNIT_FOLDERS)
    return _OF_THE_UNIT.fullmatch(str(path)) is not None and any(unit.is_file() for unit in units)
