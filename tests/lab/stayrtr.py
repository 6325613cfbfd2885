"""A real StayRTR on a loopback port."""

import base64
import json
import signal
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

from rtrd.demo.caches import Cache
from rtrd.demo.lab import find_program
from rtrd.demo.ports import free_port

VRP: TypeAlias = tuple[str, int, int]
"""Prefix, max length, AS."""
Key: TypeAlias = tuple[int, bytes, bytes]
"""AS, SKI, SPKI of a router key."""


def write_vrp_file(path: Path, vrps: Iterable[VRP], keys: Sequence[Key] = ()) -> None:
    """Write a VRP file as validators do: beside it, then renamed."""
    roas = [{"prefix": prefix, "maxLength": most, "asn": asn, "ta": "test"} for prefix, most, asn in vrps]
    entries = [
        {"asn": asn, "ski": ski.hex().upper(), "pubkey": base64.b64encode(spki).decode(), "ta": "test"}
        for asn, ski, spki in keys
    ]
    metadata = {"buildtime": "2026-01-01T00:00:00Z"}
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"metadata": metadata, "roas": roas, "bgpsec_keys": entries}))
    fresh.replace(path)


class StayRTR(Cache):
    """StayRTR, which reads its file again on SIGHUP; it can serve router keys, too."""

    def __init__(
        self,
        folder: Path,
        vrps: Iterable[VRP] = (),
        name: str = "stayrtr",
        keys: Sequence[Key] = (),
        options: Sequence[str] = (),
    ) -> None:
        """`options`: further ones of its command line."""
        super().__init__(folder, (), name, "127.0.0.1")
        self._options = options
        write_vrp_file(self.file, vrps, keys)

    def serve(self, vrps: Iterable[VRP], keys: Sequence[Key] = ()) -> None:
        """Serve these from now on; returns when StayRTR took them, if it runs."""
        seen = len(self.process.lines)
        write_vrp_file(self.file, vrps, keys)
        if self.process.running:
            self.process.send_signal(signal.SIGHUP)
            self.process.wait_for(r"new serial|No need to update|already up to date", since=seen)

    def _argv(self, port: int) -> list[str]:
        # Its metrics listen too, on a port that nobody asks.
        metrics = f"{self.address}:{free_port(self.address)}"
        stayrtr = find_program("stayrtr", "apt-get install stayrtr")
        # A sanitizer's library is for our own programs: with ThreadSanitizer's a Go program hears no signal.
        return [
            "env", "-u", "LD_PRELOAD", stayrtr, "-bind", f"{self.address}:{port}", "-cache", str(self.file),
            "-checktime=false", "-metrics.addr", metrics, "-refresh", "3600", *self._options,
        ]  # fmt: skip
