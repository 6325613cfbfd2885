"""What reading a BIRD may take at most, set in the process that does it, whoever started that."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from rtrd.bird.replies import BirdError

TIME: Final = 600
"""Seconds; the slowest part is BIRD's own printing."""
MEMORY: Final = 2 << 30
"""Octets of address space: some 10 million routes."""


@contextmanager
def limited(seconds: int = TIME, memory: int = MEMORY) -> Iterator[None]:
    """Bound what is done within; only in the main thread. Raises BirdError where it is not enough."""
    resource.setrlimit(resource.RLIMIT_AS, _lower(resource.RLIMIT_AS, memory))
    # By time, with a sentence; and by CPU, should some long work in C not hear of it.
    resource.setrlimit(resource.RLIMIT_CPU, _lower(resource.RLIMIT_CPU, seconds + 60))

    def late(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  signal's signature
        raise BirdError(f"BIRD's tables took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except MemoryError:
        raise BirdError(f"BIRD's tables need more than {memory >> 20} MiB") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _lower(which: int, limit: int) -> tuple[int, int]:
    soft, hard = resource.getrlimit(which)
    return (limit if soft == resource.RLIM_INFINITY else min(soft, limit)), hard
