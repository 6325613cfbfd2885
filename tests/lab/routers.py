"""Routers as tests need them: an ExaBGP that takes commands, a GoBGP that is asked which prefixes changed."""

import os
import signal
from pathlib import Path
from typing import Any

from rtrd.demo import routers
from rtrd.demo.lab import LabError
from rtrd.demo.routes import Route


def route(prefix: str, origin: int, **more: Any) -> Route:
    """A route that the feeder has from 64497."""
    next_hop = "2001:db8:ffff::1" if ":" in prefix else "192.0.2.1"
    return Route(prefix=prefix, next_hop=next_hop, path=(64496, 64497, origin), **more)


def reread(router: routers.ExaBGP) -> None:
    """Have it read its configuration again, as that is now; returns when it has.

    It is told once more if nothing is heard of that: an ExaBGP that is busy loses lines of its log.
    """
    seen = len(router.process.lines)
    router.file.write_text(router.configuration())
    router.process.send_signal(signal.SIGUSR1)
    try:
        router.process.wait_for("loaded new configuration", 30, seen)
    except LabError:
        router.process.send_signal(signal.SIGUSR1)
        router.process.wait_for("loaded new configuration", 30, seen)


class Feeder(routers.ExaBGP):
    """An ExaBGP that takes commands from a named pipe, which cat carries to it."""

    def __init__(self, folder: Path, *, name: str, **options: Any) -> None:
        super().__init__(folder, name=name, **options)
        self._control: int | None = None
        self._fifo = folder / f"{name}.commands"
        os.mkfifo(self._fifo)

    def stop(self) -> None:
        """End it and its process."""
        if self._control is not None:
            os.close(self._control)
            self._control = None
        super().stop()

    def command(self, text: str) -> None:
        """Give it a command."""
        if self._control is None:
            raise LabError(f"{self.name} takes no commands: it does not run")
        os.write(self._control, f"{text}\n".encode())

    def configuration(self) -> str:
        """Return the configuration, with cat as its process."""
        text = super().configuration().replace("    static {", "    api { processes [ commands ]; }\n    static {")
        return f"process commands {{\n    run /bin/cat {self._fifo};\n    encoder json;\n}}\n{text}"

    def _start(self, port: int) -> None:
        if self._control is None:
            # For reading too: so it opens before cat does, and cat ends when it is closed.
            self._control = os.open(self._fifo, os.O_RDWR)
        super()._start(port)


class Listener(routers.GoBGP):
    """A GoBGP that is asked which prefixes changed."""

    def changed_prefixes(self, since: int) -> set[str]:
        """Return the prefixes of which anything arrived."""
        return {prefix for _, prefix, _ in self.changes(since)}

    def withdrawn_prefixes(self, since: int) -> set[str]:
        """Return the prefixes of which a withdraw arrived."""
        return {prefix for _, prefix, withdrawn in self.changes(since) if withdrawn}
