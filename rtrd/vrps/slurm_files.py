"""The filters and assertions of SLURM files (RFC 8416, aspa-slurm-04), kept in force while the files change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from rtrd.base import log
from rtrd.base.faults import FileFault
from rtrd.base.file_thread import PATIENCE, in_thread
from rtrd.base.files import read_file
from rtrd.base.registry import Problem, Registry, Samples
from rtrd.vrps.aspas import ASPASet
from rtrd.vrps.router_keys import KeySet
from rtrd.vrps.signature import signature
from rtrd.vrps.slurm import File, Reasons, SlurmError, check_overlaps, parse
from rtrd.vrps.task_queue import TaskQueue
from rtrlib import aspas
from rtrlib.vrp import pack
from rtrlib.vrp_filters import VRPFilter
from rtrlib.vrp_set import SLURM, Apply, VRPChanges, VRPSet

POLL: Final = 1.0
"""Seconds between two looks at the files."""
MAX_OCTETS: Final = 4 << 20
"""A larger file is refused: reading it would take the interpreter too long. 20,000 entries fit."""

_AS_THEY_ARE: Final = "at a start they count as they are, also what the guard held before: it judges what changes later"

logger = log.get("slurm")


def read(paths: Sequence[Path]) -> list[File]:
    """Read the files as one set. Raises SlurmError with the faults of all."""
    files: list[File] = []
    faults: list[FileFault] = []
    for path in paths:
        try:
            files.append(parse(str(path), _octets(path)))
        except SlurmError as error:
            faults += error.faults
    if faults:
        raise SlurmError(faults)
    check_overlaps(files)
    return files


def _with_reasons(paths: Sequence[Path]) -> tuple[list[File], Reasons]:
    files = read(paths)
    return files, Reasons(files)


def _octets(path: Path) -> bytes:
    try:
        data = read_file(path, MAX_OCTETS)
    except OSError as error:
        raise SlurmError([FileFault(str(path), 0, f"cannot be read: {error.strerror}")]) from error
    if len(data) > MAX_OCTETS:
        raise SlurmError([FileFault(str(path), 0, f"longer than {MAX_OCTETS >> 20} MiB: this is not a SLURM file")])
    return data


class SlurmFiles:
    """Keeps a VRP set at what the files say; files with a fault leave the old state in force."""

    def __init__(
        self,
        paths: Sequence[Path],
        vrp_set: VRPSet,
        task_queue: TaskQueue,
        changed: Callable[[VRPChanges], Generator[None]],
        keys: KeySet | None = None,
        *,
        aspa_set: ASPASet | None = None,
    ) -> None:
        """Read nothing yet. `task_queue`: all that changes the set. `keys`, `aspa_set`: router keys and ASPAs.

        `changed`: the task that follows when VRPs became effective or ceased to be.
        """
        self._paths = paths
        self._vrp_set = vrp_set
        self._task_queue = task_queue
        self._changed = changed
        self._keys = keys or KeySet()
        self._aspa_set = aspa_set or ASPASet()
        self._seen = self._look()
        self._in_force: dict[str, File] = {}
        self.filters: list[VRPFilter] = []
        """What is taken out, as the files say it."""
        self.assertions: set[bytes] = set()
        """What is put in, packed."""
        self.reasons = Reasons()
        """Which filter or assertion of which file it was."""
        self._faults: dict[str, str] = {}
        self._at_start = True
        self._wake = asyncio.Event()
        self._loading = asyncio.Lock()

    def register(self, registry: Registry) -> None:
        """Offer what of each file is in force."""
        registry.on_reload(self.change, "slurm")
        registry.status_of(slurm=self.status)
        registry.problems_of(self._problems)
        for name, text, key in (
            ("rtrd_slurm_filters", "Filters of a SLURM file in force.", "filters"),
            ("rtrd_slurm_assertions", "Assertions of a SLURM file in force.", "assertions"),
        ):
            registry.metric(name, text, partial(self._counts, key), ("path",))
        registry.metric(
            "rtrd_slurm_refused", "1 while a SLURM file as it is now is not in force.",
            lambda: [((file["path"],), file["fault"] is not None) for file in self.status()], ("path",),
        )  # fmt: skip

    def _problems(self) -> Iterator[Problem]:
        for path, fault in self._faults.items():
            yield Problem(f"SLURM files as they are now are not in force: {fault}", None, "warning", path)

    def _counts(self, key: str) -> Samples:
        return [((file["path"],), file[key]) for file in self.status()]

    async def change(self, paths: Sequence[Path]) -> None:
        """Use these files from now on, and no others."""
        self._paths = paths
        self._wake.set()
        await self.load()

    async def load(self) -> None:
        """Read the files, off the loop, and put them into force, or say why not."""
        async with self._loading:  # else what is read slowly would come into force after what was read later
            if not self._paths and not self._in_force:
                return
            try:
                # Looked at before reading: a file that changes meanwhile differs at the next look.
                self._seen = await in_thread(PATIENCE, self._look)
                files, reasons = await in_thread(PATIENCE, _with_reasons, self._paths)
            except SlurmError as error:
                self._refuse(error)
                return
            except OSError as error:
                self._seen = []
                faults = [FileFault(str(path), 0, f"cannot be read: {error.strerror}") for path in self._paths]
                self._refuse(SlurmError(faults), set(self._faults.values()))
                return
            self._faults = {}
            self._task_queue.do(self._put_in_force(files, reasons))
            await self._task_queue.done()

    async def follow(self) -> None:
        """Read the files again whenever one changed, until canceled."""
        while True:
            if not self._paths:
                self._wake.clear()
                await self._wake.wait()
            await asyncio.sleep(POLL)
            try:
                if await in_thread(PATIENCE, self._look) != self._seen:
                    await self.load()
            except OSError:  # while it hangs, reading it says so
                await self.load()
            except Exception:
                logger.exception("SLURM files could not be applied; rtrd will look at them again")

    def status(self) -> list[dict[str, Any]]:
        """Give for each file how much of it is in force, and its first fault if it is not as it is on the disk."""
        found = []
        for path in map(str, self._paths):
            file = self._in_force.get(path)
            found.append(
                {
                    "path": path,
                    "fault": self._faults.get(path),
                    "filters": 0 if file is None else file.slurm.count_filters(),
                    "assertions": 0 if file is None else file.slurm.count_assertions(),
                }
            )
        return found

    def _look(self) -> list[object]:
        return [signature(path) for path in self._paths]

    def _refuse(self, error: SlurmError, said: Collection[str] = ()) -> None:
        """Leave in force what was. `said`: faults that the log has already."""
        self._faults = {}
        for fault in error.faults:
            self._faults.setdefault(fault.file, str(fault))
            if str(fault) in said:
                continue
            logger.error("SLURM files refused; what they said before stays in force", fault=str(fault))

    def _put_in_force(self, files: list[File], reasons: Reasons) -> Generator[None]:
        filters = [one for file in files for one in file.slurm.filters]
        assertions = {pack(vrp) for file in files for vrp in file.slurm.assertions}
        changes = yield from self._change(filters, assertions)
        self.filters, self.assertions, self.reasons = filters, assertions, reasons
        self._keys.slurm(
            (one for file in files for one in file.slurm.key_filters),
            (key for file in files for key in file.slurm.key_assertions),
        )
        self._in_force = {file.name: file for file in files}
        counts = {"filters": len(filters), "assertions": len(assertions), "changed": len(changes)}
        aspas_changed = self._aspa_set.slurm(
            (customer for file in files for customer in file.slurm.aspa_filters),
            aspas.union_of(aspas.numbers(one for file in files for one in file.slurm.aspa_assertions)),
        )
        if len(changes) or aspas_changed:
            yield from self._changed(changes)
        if self._vrp_set.pending and len(changes):
            logger.info("SLURM files are judged by the guard", **counts)
        else:
            why = _AS_THEY_ARE if self._at_start and self._vrp_set.deferring else None
            logger.info("SLURM files are in force", why=why, **counts)
        self._at_start = False

    def _change(self, filters: list[VRPFilter], assertions: set[bytes]) -> Apply:
        """Change filters and assertions as one: nothing is validated by one without the other.

        If a guard judges changes, this one is only pending.
        """
        vrp_set, changes = self._vrp_set, VRPChanges()
        proposing = vrp_set.deferring
        vrp_set.defer(defer=True)
        try:
            if filters != self.filters:
                yield from vrp_set.apply_filters(filters, changes)
            if assertions != self.assertions:
                gone = b"".join(record[:-1] + b"\0" for record in self.assertions - assertions)
                vrp_set.stage(SLURM, gone + b"".join(assertions - self.assertions))
                yield from vrp_set.apply_commit(SLURM, changes)
            if not proposing and vrp_set.pending:
                changes = yield from vrp_set.apply_pending()
        finally:
            vrp_set.defer(defer=proposing)
        return changes
