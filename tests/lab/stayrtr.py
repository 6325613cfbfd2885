"""A real StayRTR on a loopback port."""

import signal
from collections.abc import Iterable
from pathlib import Path

from rtrd.demo.caches import VRP, Cache, write_vrps
from rtrd.demo.lab import find_program, free_port


class StayRTR(Cache):
    """StayRTR, which reads its file again on SIGHUP."""

    def __init__(
        self, folder: Path, vrps: Iterable[VRP] = (), name: str = "stayrtr", address: str = "127.0.0.5"
    ) -> None:
        super().__init__(folder, vrps, name, address)

    def serve(self, vrps: Iterable[VRP]) -> None:
        """Serve these VRPs from now on; returns when StayRTR took them."""
        seen = len(self.process.lines)
        write_vrps(self.file, vrps)
        self.process.send_signal(signal.SIGHUP)
        self.process.wait_for(r"new serial|No need to update|already up to date", since=seen)

    def _argv(self, port: int) -> list[str]:
        # Its metrics listen too, on a port that nobody asks.
        metrics = f"{self.address}:{free_port(self.address)}"
        stayrtr = find_program("stayrtr", "apt-get install stayrtr")
        # A sanitizer's library is for our own programs: with ThreadSanitizer's a Go program hears no signal.
        return [
            "env", "-u", "LD_PRELOAD", stayrtr, "-bind", f"{self.address}:{port}", "-cache", str(self.file),
            "-checktime=false", "-metrics.addr", metrics, "-refresh", "3600",
        ]  # fmt: skip
