"""The Debian package, a host with a systemd of its own on which it can be installed, and what wheels can do, too."""

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from rtrd.demo.lab import Lab, Process, on_free_port
from tests.lab import ROOT, systemd_host
from tests.lab.systemd_host import Host

# Over 2 MB, so that a process of its own reads it.
MANY = {
    "roas": [
        {"asn": f"AS{64496 + n % 15}", "prefix": f"20.{n >> 8}.{n & 255}.0/24", "maxLength": 24, "ta": "x" * 40}
        for n in range(20_000)
    ]
}


def run(*argv: str, seconds: float = 600) -> str:
    """Run a program at the root of the repository; what it says goes into the failure."""
    done = subprocess.run(
        argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


@cache
def built() -> Path:
    """The package, built anew unless RTRD_DEB names one."""
    given = os.environ.get("RTRD_DEB")
    if given:
        return Path(given)
    if os.geteuid() != 0 and shutil.which("dh_python3") is None:
        pytest.skip("debhelper and its like are not installed: as root: .ci/packages deb")
    run("make", "deb")
    (package,) = (ROOT / "build" / "package").glob("rtrd_*.deb")
    return package


def bare_host(folder: Path) -> Host:
    """A Debian on which rtrd never was, not started yet, with `rtrd.deb` in its folder."""
    lack = systemd_host.missing()
    if lack is not None:
        pytest.skip(lack)
    host = Host(folder)
    shutil.copy(built(), host.folder / "rtrd.deb")
    # A Debian system forbids no package to stop its service, as the image of a container may.
    host.prepare('rm -rf "$1/etc/rtrd" "$1/usr/sbin/policy-rc.d"\n')
    return host


def serves_many(argv: list[str], folder: Path) -> None:
    """Check that `rtrd cache`, as it was installed, reads a large file."""
    file = folder / "many.json"
    file.write_text(json.dumps(MANY))
    assert file.stat().st_size > 2 << 20
    with Lab(folder) as lab:

        def start(port: int) -> None:
            options = ["cache", "--vrps", str(file), "--listen", f"127.0.0.1:{port}"]
            lab.start(Process("many", [*argv, *options], folder)).wait_for("vrps.*20000", 60)

        on_free_port("127.0.0.1", start)
