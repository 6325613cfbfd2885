"""FRR's bgpd on a loopback address, which tells its routes by BMP."""

from __future__ import annotations

import grp
import os
import pwd
import re
import subprocess
from pathlib import Path

from rtrd.base.endpoint import Endpoint
from rtrd.demo.lab import LabError, Listening, find_program
from rtrd.demo.routers import Neighbor

FRR = "as root: apt-get install frr"
WITHOUT_IPV6 = 10
"""From this version on bgpd ends a session with IPv6 if zebra does not tell it an address."""


class FRR8(Listening):
    """bgpd without zebra: it installs no route in the kernel."""

    def __init__(self, folder: Path, station: Endpoint, *, name: str = "frr", address: str, asn: int) -> None:
        """`station`: where it connects to speak BMP. LabError: there is none that can be shown."""
        super().__init__(folder, name, address)
        self.program = find_program("bgpd", FRR, "/usr/lib/frr")  # OpenBGPD has one of that name, too
        if (version := version_of(self.program)) >= WITHOUT_IPV6:
            raise LabError(f"FRR {version} takes no IPv6 without zebra; FRR 8 does")
        self.neighbors: list[Neighbor] = []
        self._asn = asn
        self._station = station

    def _start(self, port: int) -> None:
        file, sockets = self._folder / f"{self.name}.conf", self._folder / f"{self.name}.vty"
        file.write_text(self._configuration())
        sockets.mkdir(exist_ok=True)
        user, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
        argv = [self.program, "-n", "-Z", "-S", "-M", "bmp", "-u", user, "-g", group, "-f", str(file)]
        argv += ["-i", str(self._folder / f"{self.name}.pid"), "--vty_socket", str(sockets), "-P", "0"]
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


def version_of(program: str) -> int:
    """Give the major version of a bgpd; 0: it does not say."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=30).stdout
    found = re.match(r"bgpd version (\d+)", said)
    return int(found[1]) if found else 0
