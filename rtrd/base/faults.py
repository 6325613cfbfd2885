"""Faults in files that people write, each with its line; all faults are reported at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

Severity = Literal["fault", "warning"]
"""A fault: it can't be used. A warning: it can, but hardly does what was meant."""


class FileFault(msgspec.Struct, frozen=True, order=True):
    """One thing that is wrong; line 0 is the file as a whole."""

    file: str
    line: int
    what: str
    severity: Severity = "fault"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {'warning: ' if self.severity == 'warning' else ''}{self.what}"


class Report(Protocol):
    """Takes what is wrong, and on which line."""

    def __call__(self, line: int, what: str, severity: Severity = "fault") -> None:
        """Take it."""


class FaultyFileError(Exception):
    """Files that can't be used; `faults` holds every reason, and the text has one a line."""

    def __init__(self, faults: Sequence[FileFault]) -> None:
        self.faults = list(faults)
        super().__init__("\n".join(map(str, faults)))
