"""FRR's bgpd on a loopback address, which tells its routes by BMP."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from pathlib import Path

from rtrd.base.endpoint import Endpoint
from rtrd.demo.lab import Listening, find_program
from rtrd.demo.routers import Neighbor

PACKAGE = "as root: apt-get install frr"
IPV6_WITHOUT_ZEBRA = "--v6-with-v4-nexthop"
"""Without this option FRR 10 ends a session with IPv6 where zebra tells it no address of its own; FRR 8 has it not."""


class FRR(Listening):
    """bgpd without zebra: it installs no route in the kernel."""

    def __init__(self, folder: Path, station: Endpoint, *, name: str = "frr", address: str, asn: int) -> None:
        """`station`: where it connects to speak BMP. LabError: there is none that can be shown."""
        super().__init__(folder, name, address)
        self.program = find_program("bgpd", PACKAGE, "/usr/lib/frr")  # OpenBGPD has one of that name, too
        self.neighbors: list[Neighbor] = []
        self._asn = asn
        self._station = station

    def _start(self, port: int) -> None:
        file, sockets = self._folder / f"{self.name}.conf", self._folder / f"{self.name}.vty"
        file.write_text(self._configuration())
        sockets.mkdir(exist_ok=True)
        user, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
        more = [IPV6_WITHOUT_ZEBRA] if IPV6_WITHOUT_ZEBRA in _help_of(self.program) else []
        argv = [self.program, *more, "-n", "-Z", "-S", "-M", "bmp", "-u", user, "-g", group, "-f", str(file)]
        argv += ["-i", str(self._folder / f"{self.name}.pid"), "--vty_socket", str(sockets), "-P", "0"]
        # In spite of -Z it asks the zebra of a running FRR, which knows none of our addresses: each session would end.
        argv += ["-z", str(self._folder / "no-zebra")]
        self._run(port, [*argv, "-l", self.address, "-p", str(port), "--log", "stdout"])

    def _configuration(self) -> str:
        each = [(family, neighbor) for family in ("ipv4", "ipv6") for neighbor in self.neighbors]
        lines = [
            f"hostname {self.name}",
            f"router bgp {self._asn}",
            f" bgp router-id {self.address}",
            " no bgp ebgp-requires-policy",
            *(f" neighbor {one.address} remote-as {one.asn}" for one in self.neighbors),
            *(f" neighbor {one.address} passive" for one in self.neighbors),
            *(
                f" address-family {family} unicast\n  neighbor {one.address} activate\n"
                # Without it bgpd keeps nothing that was announced to it, and tells nothing by BMP.
                f"  neighbor {one.address} soft-reconfiguration inbound\n exit-address-family"
                for family, one in each
            ),
            " bmp targets rtrd",
            f"  bmp connect {self._station.host} port {self._station.port} min-retry 500 max-retry 1000",
            "  bmp monitor ipv4 unicast pre-policy",
            "  bmp monitor ipv6 unicast pre-policy",
            " exit",
        ]
        return "\n".join(lines) + "\n"


def _help_of(program: str) -> str:
    """Give what a bgpd says of its options."""
    return subprocess.run([program, "--help"], capture_output=True, text=True, check=False, timeout=30).stdout
