"""Programs that a test runs to their end, or talks to line by line."""

import json
import os
import pwd
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rtrd.demo.lab import LabError, find_program
from tests.lab.wait import SECONDS

RTRD = find_program("rtrd", "make venv")
AS_US = ("--user", pwd.getpwuid(os.geteuid()).pw_name)
"""Of `rtrd check`: the test's own user runs rtrd, not the unit's, which root may have."""


def run(
    *argv: object, seconds: float = SECONDS, check: bool = False, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    words = [str(word) for word in argv]
    return subprocess.run(words, capture_output=True, text=True, timeout=seconds, check=check, **options)


def rtrd(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command of rtrd."""
    return run(RTRD, *words, **options)


def asked(socket: Path, *words: object) -> Any:
    """What a command of rtrd prints as JSON, asked of the daemon at a socket; LabError when it fails."""
    answer = rtrd(*words, "--json", "--socket", socket)
    if answer.returncode != 0:
        raise LabError(f"rtrd {' '.join(map(str, words))}: exit {answer.returncode}: {answer.stderr.strip()}")
    return json.loads(answer.stdout)


class Talk:
    """A program whose stdin and stdout are the test's."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def line(self) -> str:
        """Return the next line that it says, without its end."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def lines(self, count: int) -> list[str]:
        """Return the next lines."""
        return [self.line() for _ in range(count)]

    def say(self, line: str) -> None:
        """Write a line to its stdin."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def no_more(self) -> None:
        """Close its stdin."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def hear_no_more(self) -> None:
        """Close its stdout."""
        assert self.process.stdout is not None
        self.process.stdout.close()

    def wait(self) -> int:
        """Return its exit code once it ended."""
        return self.process.wait(SECONDS)

    def end(self) -> tuple[str, str, int]:
        """Tell it to end; return the rest of what it said, its errors and its exit code."""
        self.process.terminate()
        rest, errors = self.process.communicate(timeout=SECONDS)
        return rest, errors, self.process.returncode


@contextmanager
def talk(argv: Sequence[str]) -> Iterator[Talk]:
    """Start a program; it is gone after the block."""
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield Talk(process)
        finally:
            process.kill()
