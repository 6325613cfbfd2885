"""What is between RTR and a socket: TLS (rtrlib.tls), or nothing."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Channel", "Plain"]


class Channel(Protocol):
    """What is between RTR and a socket."""

    is_open: bool
    """RTR may be spoken."""
    is_over: bool
    """The cache says that nothing more comes."""
    hint: str
    """What may be the matter when the cache ends an open connection without a word."""

    def receive(self, octets: bytes) -> bytes:
        """Take octets of the socket, give those of RTR. FaultError: this can't go on."""

    def send(self, octets: bytes) -> None:
        """Take octets of RTR."""

    def take_octets(self) -> bytes:
        """Give those for the socket, once."""

    def end(self) -> None:
        """Say that nothing more comes."""

    def ended(self, error: str) -> str:
        """Say how a connection ended that was not open yet."""


class Plain:
    """TCP: the octets of RTR, and nothing else."""

    is_open = True
    is_over = False
    hint = ""

    def __init__(self) -> None:
        self._out = b""

    def receive(self, octets: bytes) -> bytes:
        """See Channel."""
        return octets

    def send(self, octets: bytes) -> None:
        """See Channel."""
        self._out += octets

    def take_octets(self) -> bytes:
        """See Channel."""
        octets, self._out = self._out, b""
        return octets

    def end(self) -> None:
        """See Channel."""

    def ended(self, error: str) -> str:
        """See Channel."""
        return error
