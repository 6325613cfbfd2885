"""librtr's faults do not reach a program that uses rtrlib; each one is shown to be there without it."""

import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import NamedTuple

import pytest

from rtrlib import CacheGroup, RTRInitError, RTRManager, TCPServer
from tests.lab import ROOT
from tests.lab.wait import SECONDS

HANGS_AFTER = 4
"""Seconds without an end, for what takes milliseconds."""
ROUNDS = 240
"""Seconds for what does its work many times."""


class Ended(NamedTuple):
    end: str
    """`done`, `hangs`, `dies of SIGNAL`, or `fails`."""
    text: str


def run_program(
    name: str, *arguments: str, seconds: float = HANGS_AFTER, environment: Mapping[str, str] = os.environ
) -> Ended:
    """Run one of librtr_programs; it may take `seconds` after it said that it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.lab.librtr_programs", name, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    deadline = time.monotonic() + SECONDS * 2
    with selectors.DefaultSelector() as selector:
        assert process.stdout
        assert process.stderr
        output, errors = bytearray(), bytearray()
        selector.register(process.stdout, selectors.EVENT_READ, output)
        selector.register(process.stderr, selectors.EVENT_READ, errors)
        is_ready = False
        while selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                more = os.read(key.fd, 65536)
                key.data.extend(more)
                if not more:
                    selector.unregister(key.fileobj)
            if not is_ready and b"ready" in output:
                is_ready, deadline = True, time.monotonic() + seconds
    hangs = bool(deadline - time.monotonic() <= 0 and process.poll() is None)
    if hangs:
        os.killpg(process.pid, signal.SIGKILL)
    code = process.wait(SECONDS)
    text = "\n".join(line for line in errors.decode(errors="replace").splitlines() if not line.startswith("("))
    process.stdout.close()
    process.stderr.close()
    assert is_ready, f"{name} did not get as far as its fault: {output!r} {text}"
    if hangs:
        return Ended("hangs", text)
    if code < 0:
        return Ended(f"dies of {signal.Signals(-code).name}", text)
    return Ended("done" if code == 0 and output.endswith(b"done\n") else "fails", text)


def is_there(name: str, *arguments: str, end: str, text: str = "", **environment: str) -> None:
    """The fault, in librtr as it is."""
    ended = run_program(name, *arguments, environment=environment)
    mended = f"librtr's fault {name[4:]} is mended, or another one by now: see docs/rtrlib.md and the remedy for it"
    assert re.fullmatch(end, ended.end), f"{mended}\n{ended.end}: {ended.text}"
    assert re.search(text, ended.text), f"{mended}\n{ended.text}"


@pytest.mark.parametrize(
    ("words", "end", "text"),
    [
        (["raw_default_route", "0.0.0.0"], "dies of SIGABRT", "lrtr_get_bits: Assertion `number > 0'"),
        (["raw_default_route", "::"], "dies of SIGABRT", "lrtr_get_bits: Assertion `number > 0'"),
        (["raw_length_99"], "dies of SIGABRT", "lrtr_get_bits: Assertion `number < 33'"),
        (["raw_nested"], "dies of SIGABRT", "Assertion `first_bit <= 127'"),
        (["raw_validate_in_removal"], "hangs", ""),
        (["raw_stop_while_another_errors"], "hangs", ""),
        (["raw_stop_in_no_data"], "hangs", ""),
        (["raw_second_failover"], "hangs", ""),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_a_fault_of_librtr_is_there(words: list[str], end: str, text: str) -> None:
    is_there(*words, end=end, text=text)


# A heap that is not zero is what a program that runs for long has.
@pytest.mark.parametrize("fault", ["raw_duplicate_preference", "raw_empty_group"])
def test_librtr_frees_what_it_never_set_when_groups_are_wrong(fault: str) -> None:
    is_there(fault, end="dies of SIG(SEGV|ABRT)", MALLOC_PERTURB_="165")


@pytest.mark.parametrize("mode", ["isolated", "threads"])
@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        (["safe_odd_vrps", "default"], SECONDS),
        (["safe_odd_vrps", "99"], SECONDS),
        (["safe_odd_vrps", "nested"], SECONDS),
        (["safe_validate_in_removal"], SECONDS),
        (["safe_stop_while_another_errors"], ROUNDS),
        (["safe_stop_in_no_data"], SECONDS),
        (["safe_second_failover"], ROUNDS),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_with_rtrlib_it_is_harmless(words: list[str], seconds: float, mode: str) -> None:
    ended = run_program(*words, mode, seconds=seconds)
    assert ended.end == "done", f"{ended.end}: {ended.text}"


def test_wrong_groups_are_refused_before_librtr_sees_them() -> None:
    one = TCPServer("127.0.0.1", 323)
    with pytest.raises(RTRInitError, match="two groups have preference 1"):
        RTRManager(groups=[CacheGroup(1, [one]), CacheGroup(1, [one])])
    with pytest.raises(RTRInitError, match="has no server"):
        RTRManager(groups=[CacheGroup(1, [one]), CacheGroup(2, [])])
    with pytest.raises(RTRInitError, match="no group"):
        RTRManager(groups=[])
