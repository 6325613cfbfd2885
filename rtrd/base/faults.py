"""Faults in files that people write, each with its line; all faults are reported at once."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class FileFault(msgspec.Struct, frozen=True, order=True):
    """One thing that is wrong; line 0 is the file as a whole."""

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}" if self.line else f"{self.file}: {self.what}"


class FaultyFileError(Exception):
    """Files that can't be used; `faults` holds every reason, and the text has one a line."""

    def __init__(self, faults: Sequence[FileFault]) -> None:
        self.faults = list(faults)
        super().__init__("\n".join(map(str, faults)))
