"""A reload: the configuration file is read again, and the running daemon does as it says.

Everything is checked before anything is changed. What stays the same is not touched: caches keep their connections
and VRPs, routers their pipes and routes, and of a new policy only what it makes different is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from inspect import isawaitable
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from rtrd import config
from rtrd.base import log
from rtrd.base.faults import FaultyFileError, FileFault
from rtrd.base.file_thread import PATIENCE, in_thread
from rtrd.base.files import absolute
from rtrd.base.registry import Problem, Registry
from rtrd.base.systemd_notify import Notifier
from rtrd.base.tls import TLSError
from rtrd.bmp.station import Station
from rtrd.caches import Caches
from rtrd.config import Config
from rtrd.config.diff import Difference, compare, merged
from rtrd.routers import Routers
from rtrd.rtr.relay import Relay, RelayError
from rtrd.vrps import slurm_files
from rtrlib import RTRInitError

logger = log.get("reload")


class Reloaded(NamedTuple):
    """What a reload did."""

    file: str
    """What was read."""
    changes: list[Difference]
    """Of the configuration."""
    reconnected: list[str]
    """The caches that had failed, or whose keys have changed: they are asked now."""


class Reloading:
    """Reads one daemon's file again, once at a time."""

    def __init__(
        self,
        path: Path,
        settings: Config,
        registry: Registry,
        notifier: Notifier,
        *,
        caches: Caches,
        relay: Relay | None,
        bmp: Station | None,
        routers: Routers,
    ) -> None:
        """`path`: where `settings`, those in force, were read from. `registry`: who takes which of them."""
        self.in_force = settings
        self._path = path
        self._registry = registry
        self._notifier = notifier
        self._caches = caches
        self._with_secrets = {"rtr-server": relay, "bmp": bmp}
        """Those that read certificates and keys again, by their sections."""
        self._routers = routers
        self._lock = asyncio.Lock()
        self._refused: str | None = None
        registry.problems_of(self._problems)
        self._on_signal: asyncio.Task[None] | None = None

    async def reload(self) -> Reloaded:
        """Do as the file says now. FaultyFileError: it is at fault, and nothing has changed."""
        async with self._lock:
            self._notifier.reloading()
            try:
                done = await self._reload()
                self._refused = None
            except FaultyFileError as error:
                more = f" (and {len(error.faults) - 1} more)" if len(error.faults) > 1 else ""
                self._refused = f"the configuration was refused at the last reload: {error.faults[0]}{more}"
                for fault in error.faults:
                    logger.error("configuration refused; the old one stays in force", fault=str(fault))  # noqa: TRY400
                raise
            finally:
                self._notifier.reloaded()
            for change in done.changes:
                (logger.warning if change.restart else logger.info)("configuration changed", change=str(change))
            if not done.changes:
                logger.info("the configuration has not changed")
            return done

    def on_signal(self) -> None:
        """Reload; the log says how it went."""
        self._on_signal = asyncio.create_task(self._reload_and_log(), name="reload")

    async def _reload_and_log(self) -> None:
        try:
            await self.reload()
        except FaultyFileError:
            return
        except Exception:
            logger.exception("reloading failed halfway; restart rtrd to be sure of what is in force")
            self._refused = "the last reload failed halfway: restart rtrd to be sure of what is in force"

    def _problems(self) -> Iterator[Problem]:
        if self._refused is not None:
            yield Problem(self._refused, None, "warning", "reload")

    async def _reload(self) -> Reloaded:
        try:
            new = await in_thread(PATIENCE, _read, self._path)
        except OSError as error:
            raise FaultyFileError([FileFault(str(self._path), 0, f"cannot be read: {error.strerror}")]) from error
        reloadable = {key for setting in self._registry.settings for key in setting.keys}
        changes = compare(self.in_force, new, reloadable)
        renewals = []
        for name, part in self._with_secrets.items():
            try:
                if part is not None:
                    renewals.append(await in_thread(PATIENCE, part.read_again))
            except (RelayError, TLSError, OSError) as error:
                raise FaultyFileError([FileFault(str(self._path), 0, f"{name}: {error}")]) from error
        try:
            await self._apply(merged(self.in_force, new, reloadable))
        except RTRInitError as error:
            raise FaultyFileError([FileFault(str(self._path), 0, f"caches: {error}")]) from error
        for renew in renewals:
            renew()
        self._routers.look_again()
        asked = self._caches.retry_failed() + await self._caches.reread_keys()
        return Reloaded(str(absolute(self._path)), changes, [str(cache) for cache in asked])

    async def _apply(self, new: Config) -> None:
        old = self.in_force
        for keys, apply in self._registry.settings:
            values = [attrgetter(key)(new) for key in keys]
            if values != [attrgetter(key)(old) for key in keys]:
                done = apply(*values)
                self.in_force = new
                if isawaitable(done):
                    await done
        self.in_force = new


def _read(path: Path) -> Config:
    """Read the file and the SLURM files that it names. Raises FaultyFileError."""
    settings = config.load(path)
    slurm_files.read(settings.slurm)
    return settings
