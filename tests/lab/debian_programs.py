"""Programs of another Debian release, in a folder with their libraries; nothing is installed on this host."""

import fcntl
import os
import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.lab import ROOT
from tests.lab.programs import run

ROOTS: Final = ROOT / "build" / "roots"
MERGED: Final = ("bin", "sbin", "lib", "lib64")
USER: Final = "_openbgpd:x:64599:64599::/run/openbgpd:/usr/sbin/nologin\n"
MAKING: Final = 300.0
"""Seconds; with a near mirror it takes a quarter of a minute."""


def debian(suite: str, *packages: str) -> Path:
    """Give a folder with these packages, made once; skips the test, with the reason, where that can't be."""
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        pytest.skip("a Debian of its own needs root and mmdebstrap (.ci/packages roots)")
    if run("unshare", "--mount", "true").returncode != 0:
        pytest.skip("root may not mount anything here")
    ROOTS.mkdir(parents=True, exist_ok=True)
    root = ROOTS / "-".join((suite, *packages))
    with Path(f"{root}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            _make(root, suite, packages)
    return root


def _make(root: Path, suite: str, packages: tuple[str, ...]) -> None:
    part = Path(f"{root}.part")
    shutil.rmtree(part, ignore_errors=True)
    plain = ("--mode=root", "--variant=extract", "--components=main", '--aptopt=APT::Install-Recommends "false"')
    made = run("mmdebstrap", *plain, f"--include={','.join(packages)}", suite, part, seconds=MAKING)
    if made.returncode != 0:
        pytest.skip(f"no Debian {suite} with {' '.join(packages)} could be made: {made.stderr.strip()[-200:]}")
    for name in MERGED:
        if not (part / name).exists():
            (part / name).symlink_to(f"usr/{name}")
    (part / "etc" / "passwd").write_text("root:x:0:0::/:/bin/sh\n" + USER)
    (part / "etc" / "group").write_text("root:x:0:\n_openbgpd:x:64599:\n")
    for folder in ("mnt", "run/openbgpd", "dev"):
        (part / folder).mkdir(parents=True, exist_ok=True)
    (part / "dev" / "null").touch()
    part.rename(root)


def within(root: Path, folder: Path, *argv: str) -> list[str]:
    """Give what runs a program there, with a folder of this host as its /mnt."""
    script = (
        'mount --bind "$2" "$1/mnt" && mount --bind /dev/null "$1/dev/null" && root=$1 && shift 2'
        ' && exec chroot "$root" "$@"'
    )
    return ["unshare", "--mount", "sh", "-c", script, "sh", str(root), str(folder), *argv]
