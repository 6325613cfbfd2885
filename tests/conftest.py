"""What every test starts from: a terminal's signals, and logs that nobody has set up."""

from __future__ import annotations

import logging
import signal
from typing import TYPE_CHECKING

import pytest
import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator

# A shell gives what it runs in the background SIGINT as ignored, and so would the programs be that tests end by it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _logs_of_nobody() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
