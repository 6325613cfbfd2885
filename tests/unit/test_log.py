"""Logs go to stderr, can't be forged, and never block."""

import json
import logging
import os
import select
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrd.base import log
from rtrd.base.shortages import NO_MEMORY
from rtrd.base.text import MAX_VALUE, printable


class Pipe:
    """Where the log goes."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)

    def setup(self, style: log.Format = "auto", level: str = "info") -> None:
        log.setup(style, level, self.writer)

    def text(self) -> str:
        return os.read(self.reader, 1 << 20).decode()

    def close(self) -> None:
        structlog.reset_defaults()
        os.close(self.reader)
        os.close(self.writer)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def fail(what: str) -> None:
    raise ValueError(what)


def test_a_line_for_people(pipe: Pipe) -> None:
    pipe.setup("human")
    log.get("engine").warning("a cache is gone", cache="192.0.2.1:323", tries=3)
    line = pipe.text()
    assert "warning" in line
    assert line.rstrip().endswith("a cache is gone part=engine cache=192.0.2.1:323 tries=3")
    assert "\x1b" not in line


@pytest.mark.parametrize("style", ["human", "json"])
def test_values_are_plain_text_and_none_is_of_python(pipe: Pipe, style: log.Format) -> None:
    pipe.setup(style)
    values = {
        "serials": [5, 6], "causes": ("a b", 'c "d"'), "nothing": None, "empty": [],
        "counts": {"as": 1, "length": None}, "names": {"b", "a"}, "path": Path("/a b"), "full": True,
        "raw": b"a\xff", "why": OSError("it's gone"),
    }  # fmt: skip
    log.get("x").warning("what", **values)
    line = pipe.text()
    if style == "human":
        assert line.rstrip().endswith(
            'what part=x serials="5, 6" causes="a b, c \\"d\\"" empty=none counts="as 1, length none" names="a, b"'
            ' path="/a b" full=true raw=a\\xff why="it\'s gone"'
        )
        return
    found = json.loads(line)
    assert {key: found.get(key) for key in values} == {
        "serials": "5, 6", "causes": 'a b, c "d"', "nothing": None, "empty": "none", "counts": "as 1, length none",
        "names": "a, b", "path": "/a b", "full": True, "raw": "a\\xff", "why": "it's gone",
    }  # fmt: skip
    assert "nothing" not in found


def test_json_when_the_environment_asks_for_it(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RTRD_LOG", "json")
    pipe.setup()
    log.get("engine").info("hello", routes=5)
    found = json.loads(pipe.text())
    assert (found["event"], found["routes"], found["level"], found["part"]) == ("hello", 5, "info", "engine")


def test_what_is_below_the_level_is_not_written(pipe: Pipe) -> None:
    pipe.setup("human", "warning")
    log.get("x").info("quiet")
    log.get("x").warning("loud")
    assert "quiet" not in (line := pipe.text())
    assert "loud" in line


@pytest.mark.parametrize("style", ["human", "json"])
def test_text_from_bgp_can_not_forge_a_line_or_steer_a_terminal(pipe: Pipe, style: log.Format) -> None:
    pipe.setup(style)
    log.get("x").warning("bad\nline", path="a\r\n\x1b[2J\u2028", raw=b"\x00\n", nested={"k": "\x1b"})
    line = pipe.text()
    assert line.count("\n") == 1
    assert line.rstrip("\n").isprintable()


def test_a_traceback_stays_readable_and_indented(pipe: Pipe) -> None:
    pipe.setup("human")
    try:
        fail("first\n2026-01-01T00:00:00Z [info] forged")
    except ValueError:
        log.get("x").exception("failed")
    first, *rest = pipe.text().splitlines()
    assert "failed" in first
    assert any(line.strip() == "ValueError: first" for line in rest)
    assert all(line.startswith("    ") for line in rest)


def test_what_the_host_is_short_of_is_a_sentence(pipe: Pipe) -> None:
    pipe.setup("human")
    try:
        bytes(1 << 60)
    except MemoryError as error:
        log.get("x").exception("failed")
        log.get("x").error("failed before", exc_info=error)
        log.get("x").warning("no fault")
    lines = pipe.text().splitlines()
    assert [NO_MEMORY in line for line in lines] == [True, True, False]


def test_libraries_log_through_the_same_pipe(pipe: Pipe) -> None:
    pipe.setup("human")
    logging.getLogger("asyncio").error("lost %s", "it\n")
    logging.getLogger("asyncio").info("chatter")
    assert pipe.text().rstrip().endswith("lost it\\n part=asyncio")


def test_a_full_pipe_costs_lines_and_not_time(pipe: Pipe) -> None:
    pipe.setup("human")
    logger = log.get("x")
    for _ in range(2000):
        logger.warning("y" * 400)
    kept = pipe.text().count("\n")
    assert 0 < kept < 2000
    logger.warning("again")
    said, line = pipe.text().splitlines()
    assert said == f"{2000 - kept} log lines were lost: nobody read stderr"
    assert "again" in line


def test_a_closed_stderr_stops_nothing() -> None:
    reader, writer = os.pipe()
    log.setup("human", fd=writer)
    os.close(reader)
    log.get("x").warning("to nobody")
    os.close(writer)
    structlog.reset_defaults()


def test_a_long_line_is_written_whole(pipe: Pipe) -> None:
    pipe.setup("json")
    log.get("x").warning("long", **{f"k{number}": "v" * 400 for number in range(40)})
    assert len(pipe.text()) > 4 * select.PIPE_BUF


def test_the_last_records_are_kept_as_they_were_written(pipe: Pipe) -> None:
    pipe.setup("human", "warning")
    for number in range(log.MOST_KEPT + 5):
        log.get("x").warning("bad\nline", number=number)
        log.get("x").info("below the level")
        pipe.text()
    logging.getLogger("rtrlib").error("of a library")
    *kept, last = log.recent()
    assert [record["number"] for record in kept] == list(range(6, log.MOST_KEPT + 5))
    assert {record["event"] for record in kept} == {"bad\\nline"}
    assert (last["event"], last["level"], last["part"]) == ("of a library", "error", "rtrlib")


@given(st.text(max_size=700))
def test_printable_is_printable_and_bounded(value: str) -> None:
    shown = printable(value)
    assert shown.isprintable()
    assert len(shown) <= 10 * (MAX_VALUE + 3)


def test_a_repeated_fault_is_said_once_an_interval_with_its_count() -> None:
    now = 0.0
    clock: Callable[[], float] = lambda: now  # noqa: E731
    limiter = log.RateLimiter(clock)
    assert limiter.rate_limited("no JSON") == {}
    for now in range(1, 42):  # noqa: B007
        assert limiter.rate_limited("no JSON") is None
    assert limiter.rate_limited("another") == {}
    now = 60.0
    assert limiter.rate_limited("no JSON") == {"more": "and 41 more in the last 60 s"}
    now = 200.0
    assert limiter.rate_limited("no JSON") == {}


def test_the_limiter_does_not_grow_without_end() -> None:
    limiter = log.RateLimiter(lambda: 0.0)
    for number in range(5000):
        limiter.rate_limited(number)
    assert len(limiter._keys) == log.MAX_KEYS
    assert limiter.rate_limited(4999) is None


@settings(deadline=None)
@given(st.text(max_size=600), st.text(min_size=1, max_size=600), st.sampled_from(["human", "json"]))
def test_any_text_is_one_printable_line(event: str, value: str, style: log.Format) -> None:
    pipe = Pipe()
    try:
        pipe.setup(style)
        log.get("x").warning(event, path=value, raw=value.encode("utf-8", "surrogatepass"), nested={value: [value]})
        line = pipe.text()
    finally:
        pipe.close()
    assert line.endswith("\n")
    assert line[:-1].isprintable()
