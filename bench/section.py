"""What the sections of one run share, and what a section is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from bench import generate
from bench.lines import Route, make_routes, read_routes
from bench.report import Comparison
from rtrd.vrps import files
from rtrlib.vrp_set import VRPSet


@dataclass
class Setting:
    """What the sections measure with. Made when a section asks for it, and once."""

    folder: Path
    """For files, gone after the run."""
    rounds: int
    """Of each measurement."""
    vrp_count: int
    route_count: int
    source: Path | None
    """The VRP file to use instead of generated VRPs."""
    table_count: int = 1_270_000
    """Routes of a full table."""
    table_source: Path | None = None
    """The file of `prefix,origin` to use instead of a generated table."""
    short: bool = False
    """Only to see that everything runs: a hundredth of what has a fixed size."""

    def sized(self, count: int) -> int:
        """Give a fixed size, or what is left of it in a short run."""
        return max(1, count // 100) if self.short else count

    @cached_property
    def vrps(self) -> list[bytes]:
        """Packed VRPs (`struct vrp`), in no order; none of length 0, where librtr's validate ends the process."""
        if self.source is None:
            return generate.vrps(self.vrp_count)
        packed = files.read(self.source).packed
        records = (packed[at : at + 24] for at in range(0, len(packed), 24))
        return [record for record in records if record[20]]

    @cached_property
    def routes(self) -> list[bytes]:
        """Packed routes, most of them near a VRP."""
        return generate.routes(self.route_count, self.vrps)

    @cached_property
    def table(self) -> list[Route]:
        """A full table: different prefixes, each with its origin AS, in order of prefix."""
        if self.table_source is None:
            return make_routes(self.table_count, self.vrps)
        return read_routes(self.table_source)

    @cached_property
    def vrp_file(self) -> Path:
        """The VRPs as a file that StayRTR and `rtrd cache` read."""
        path = self.folder / "vrps.json"
        generate.write(path, self.vrps)
        return path

    @property
    def origin(self) -> str:
        """Where the VRPs are from."""
        return f"generated, seed {generate.SEED}" if self.source is None else f"of {self.source.name}"


def set_of(vrps: bytes) -> VRPSet:
    """Give a set in which exactly these packed VRPs count."""
    vrp_set = VRPSet()
    vrp_set.replace(0, vrps)
    vrp_set.activate([0])
    vrp_set.usable = True
    return vrp_set


class Section(NamedTuple):
    """Measurements that are made together. `python -m bench NAME` makes them alone."""

    measure: Callable[[Setting], list[Comparison]]
    """AssertionError when what is compared did not do the same work."""
    packages: tuple[str, ...]
    """Debian packages whose versions belong to the results."""
    distributions: tuple[str, ...] = ()
    """Python ones."""
