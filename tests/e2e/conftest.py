"""The chain of real components around rtrd, for each version of ExaBGP."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from rtrd.demo.caches import VRP, Cache
from rtrd.demo.lab import Lab, LabError, find_program
from rtrd.demo.routers import EXABGP_4, EXABGP_5
from tests.lab.chain import Chain
from tests.lab.programs import run
from tests.lab.stayrtr import StayRTR
from tests.lab.world import World

DEBIANS = "/usr/sbin/exabgp"
VERSIONS = ("5.0.15", "4.2.2")
"""How they begin: Debian 12 has 4.2.21, Debian 13 has 4.2.25."""


@pytest.fixture(params=VERSIONS)
def exabgp(request: pytest.FixtureRequest) -> str:
    """The program of each ExaBGP version; a missing one fails, with the command that installs it."""
    return exabgp_program(request.param)


@cache
def exabgp_program(version: str) -> str:
    if version == "5.0.15":
        program, install = find_program("exabgp", EXABGP_5), EXABGP_5
    else:
        program, install = DEBIANS, EXABGP_4
    try:
        said = "".join(run(program, ask).stdout for ask in ("version", "--version"))
    except FileNotFoundError:
        raise LabError(f"ExaBGP {version} is not installed: {install}") from None
    if f" {version}" not in said:
        raise LabError(f"{program} is not ExaBGP {version}: {install}\n{said}")
    return program


def takes(program: str, configuration: Path) -> None:
    """ExaBGP takes a configuration."""
    done = run(program, "--test" if program == DEBIANS else "validate", configuration)
    assert done.returncode == 0, done.stdout + done.stderr


MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(lab: Lab, exabgp: str) -> Iterator[MakeWorld]:
    """Make worlds (see world.py), whose sessions end with the test. They are not started."""
    worlds: list[World] = []

    def make(**options: Any) -> World:
        worlds.append(World(lab, exabgp, **options))
        return worlds[-1]

    yield make
    for world in worlds:
        world.stop()


MakeChain = Callable[..., Chain]


@pytest.fixture
def make_chain(lab: Lab, exabgp: str) -> MakeChain:
    """Start a chain: one StayRTR with these VRPs unless other caches are given."""

    def make(
        vrps: Sequence[VRP] = (), *, caches: Sequence[Sequence[Cache]] | None = None, start: bool = True, **options: Any
    ) -> Chain:
        groups = caches if caches is not None else [[StayRTR(lab.folder, vrps)]]
        chain = Chain(lab, groups, exabgp=exabgp, **options)
        if start:
            chain.start()
        return chain

    return make
