"""Which versions of RTR are spoken with which router."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TypeAlias

from rtrd.base.notation import unmapped
from rtrlib.rtr_pdus import MAX_VERSION

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class Versions:
    """The highest version for each router: of the first networks that have its address, else one for all."""

    def __init__(self, highest: int = MAX_VERSION, of_networks: Iterable[tuple[Iterable[str], int]] = ()) -> None:
        """`of_networks`: addresses or networks as text, and the version."""
        self._highest = highest
        self._of_networks: list[tuple[Network, int]] = [
            (ipaddress.ip_network(each), version) for networks, version in of_networks for each in networks
        ]

    def of(self, address: str) -> int:
        """Give the highest version for a router; no address: that for all."""
        if not address or not self._of_networks:
            return self._highest
        plain = unmapped(address)
        return next((version for network, version in self._of_networks if plain in network), self._highest)
