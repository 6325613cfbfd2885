"""What every test starts from: a terminal's signals, logs that nobody has set up; and how tests share the machine.

`make test` runs several at once (pytest-xdist), as most of them wait. Each worker has a network of its own, if it may,
so that no two of them want the same port. A test that is marked `alone` measures time: while it runs, no other does.
"""

import asyncio
import ctypes
import fcntl
import inspect
import logging
import os
import signal
import subprocess
from collections.abc import Generator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack
from pathlib import Path

import pytest
import structlog
from _pytest.fixtures import FixtureDef
from hypothesis import settings

from rtrd.base import shortages
from rtrd.demo.lab import Lab
from tests.lab.rtr_caches import ONE, TWO, MakeStayRTR
from tests.lab.stayrtr import StayRTR

CLONE_NEWNET = 0x4000_0000
SLOWEST = ("test_operator_commands.py", "test_failover_stories.py", "test_cache_faults.py", "e2e", "integration")
"""Files, then folders, whose tests come first, so that the quick ones fill the end."""

# A shell gives what it runs in the background SIGINT as ignored, and so would the programs be that tests end by it.
signal.signal(signal.SIGINT, signal.default_int_handler)


# A loaded machine is no fault.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") or ctypes.CDLL(None).unshare(CLONE_NEWNET) != 0:
        return  # the only one, or not root: then the kernel's choice of free ports must do
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Choose the order, and give to one worker what shares a fixture of its module."""

    def rank(item: pytest.Item) -> tuple[bool, int]:
        names = (item.path.name, item.path.parent.name)
        return is_alone(item), min((SLOWEST.index(name) for name in names if name in SLOWEST), default=len(SLOWEST))

    for item in items:
        if item.path.parent.name == "e2e":
            item.add_marker(pytest.mark.e2e)
        if is_alone(item):
            item.add_marker(pytest.mark.xdist_group("alone"))
        elif any(fixture.scope == "module" for fixture in fixtures(item)):
            item.add_marker(pytest.mark.xdist_group(item.path.name))
    items.sort(key=rank)


def is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


def fixtures(item: pytest.Item) -> Iterator[FixtureDef[object]]:
    for definitions in item._fixtureinfo.name2fixturedefs.values():  # type: ignore[attr-defined]
        yield from definitions


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run beside others, or alone: who wants to be alone is waited for by those who come later."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return (yield)
    with ExitStack() as locks:
        folder = Path(item.config._tmp_path_factory.getbasetemp()).parent  # type: ignore[attr-defined]
        door = locks.enter_context((folder / "door").open("w"))
        room = locks.enter_context((folder / "room").open("w"))
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if is_alone(item) else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object:
    """Run a test that is a coroutine, in a loop of its own, in which fixtures that are async contexts are entered."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None

    async def run() -> None:
        async with AsyncExitStack() as stack, asyncio.timeout(300):
            arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
            for name, value in arguments.items():
                if isinstance(value, AbstractAsyncContextManager):
                    arguments[name] = await stack.enter_async_context(value)
            await pyfuncitem.obj(**arguments)

    asyncio.run(run())
    return True


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A lab whose processes are all gone after the test, of their own accord."""
    with Lab(tmp_path) as lab:
        yield lab
    assert lab.leftovers == []


@pytest.fixture
def stayrtr(lab: Lab) -> MakeStayRTR:
    """Start a StayRTR that serves these VRPs."""
    return lambda *vrps, name="cache": lab.start(StayRTR(lab.folder, vrps, name))


@pytest.fixture
def cache(stayrtr: MakeStayRTR) -> StayRTR:
    """One that serves two VRPs."""
    return stayrtr(ONE, TWO)


@pytest.fixture(autouse=True)
def _logs_and_shortages_of_nobody() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    shortages.forget()
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
