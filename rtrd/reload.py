"""The file of the configuration in, read again on demand; a running daemon that does as it says, out.

Everything is checked before anything is changed. What stays the same is not touched: caches keep their processes and
VRPs, routers their pipes and routes, and of a new policy only what it makes different is written.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rtrd import config
from rtrd.base import log
from rtrd.base.faults import Fault, FaultyFileError
from rtrd.config.diff import Change, compare, merged
from rtrd.policy import Policy
from rtrd.rtr.relay import RelayError
from rtrd.vrps import slurm_files
from rtrlib import RTRInitError

if TYPE_CHECKING:
    from pathlib import Path

    from rtrd.config import Config
    from rtrd.daemon import Daemon

logger = log.get("reload")


class Reloading:
    """Reads one daemon's file again, once at a time."""

    def __init__(self, path: Path, daemon: Daemon) -> None:
        self._path = path
        self._daemon = daemon
        self._lock = asyncio.Lock()

    async def reload(self) -> list[Change]:
        """Do as the file says now; give what changed. FaultyFileError: it is at fault, and nothing has changed."""
        async with self._lock:
            self._daemon.notifier.reloading()
            try:
                changes = await self._reload()
            except FaultyFileError as error:
                for fault in error.faults:
                    logger.error("configuration refused; the old one stays in force", fault=str(fault))  # noqa: TRY400
                raise
            finally:
                self._daemon.notifier.reloaded()
            for change in changes:
                (logger.warning if change.restart else logger.info)("configuration changed", change=str(change))
            if not changes:
                logger.info("the configuration is as before")
            return changes

    async def on_signal(self) -> None:
        """Reload; the log says how it went."""
        try:
            await self.reload()
        except FaultyFileError:
            return
        except Exception:
            logger.exception("reloading failed half way; restart rtrd to be sure of what is in force")

    async def _reload(self) -> list[Change]:
        new = await asyncio.to_thread(_read, self._path)
        old = self._daemon.settings
        changes = compare(old, new)
        settings = merged(old, new)
        relay = self._daemon.relay
        try:
            certificates = None if relay is None else await asyncio.to_thread(relay.read_certificates)
        except RelayError as error:
            raise FaultyFileError([Fault(str(self._path), 0, f"rtr-server: tls: {error}")]) from error
        if settings != old:
            try:
                await self._apply(old, settings)
            except RTRInitError as error:
                raise FaultyFileError([Fault(str(self._path), 0, f"caches: {error}")]) from error
        if relay is not None and certificates is not None:
            await relay.renew_certificates(certificates)
        self._daemon.routers.look_again()
        return changes

    async def _apply(self, old: Config, new: Config) -> None:
        daemon = self._daemon
        if new.caches != old.caches:
            daemon.caches.change(new)  # refuses before it changes anything
            daemon.effective.change_on_expire(new.caches.on_expire)
        daemon.settings = new
        if new.caches.expire != old.caches.expire and daemon.snapshot_keeper is not None:
            daemon.snapshot_keeper.change_expire(new.caches.expire)
        if new.policy != old.policy:
            daemon.routers.set_policy(Policy(new.policy), daemon.event_log.cause("another policy"))
        if new.slurm != old.slurm:
            await daemon.slurm.change(new.slurm)
        if new.start_hold != old.start_hold:
            daemon.hold_for(new.start_hold)


def _read(path: Path) -> Config:
    """Read the file and the SLURM files that it names. Raises FaultyFileError."""
    settings = config.load(path)
    slurm_files.read(settings.slurm)
    return settings
