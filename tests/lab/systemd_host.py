"""A systemd of its own, as process 1 of namespaces over a copy-on-write view of this host.

Nothing that happens in it reaches the host: files go to a tmpfs, the network is a loopback of its own, and the units
that would touch the kernel are masked.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from rtrd.demo.lab import LabError, Process
from tests.lab import ROOT
from tests.lab.programs import RTRD

MASKED = """
    systemd-sysctl.service systemd-modules-load.service systemd-remount-fs.service systemd-udevd.service
    systemd-udev-trigger.service systemd-udevd-control.socket systemd-udevd-kernel.socket
    systemd-tmpfiles-setup.service systemd-tmpfiles-setup-dev.service systemd-firstboot.service
    systemd-random-seed.service systemd-update-utmp.service systemd-journal-flush.service systemd-pstore.service
    systemd-boot-system-token.service systemd-binfmt.service systemd-hwdb-update.service
    systemd-machine-id-commit.service ldconfig.service dev-hugepages.mount dev-mqueue.mount
    sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount
    tmp.mount proc-sys-fs-binfmt_misc.automount proc-sys-fs-binfmt_misc.mount systemd-ask-password-console.path
    systemd-ask-password-wall.path
"""

BOOT = r"""
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/up" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/up,workdir=$1/work" "$1/root"
folder=$2
repository=$3
shift 3
cd "$folder/../host/root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do touch dev/$device; mount --bind /dev/$device dev/$device; done
mkdir dev/shm dev/pts
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t cgroup2 none sys/fs/cgroup
mkdir -p "./$folder"
mount --bind "$folder" "./$folder"
# A repository on a mount of its own is not in the view.
[ -e "./$repository/setup.cfg" ] || { mkdir -p "./$repository"; mount --bind "$repository" "./$repository"; }
mkdir -p etc/systemd/system
for unit in "$@"; do ln -sf /dev/null "etc/systemd/system/$unit"; done
mkdir -p etc/systemd/journald.conf.d
printf '[Journal]\nStorage=volatile\nRateLimitBurst=0\n' > etc/systemd/journald.conf.d/test.conf
[ ! -x "$folder/prepare" ] || "$folder/prepare" "$PWD"
ip link set lo up
mkdir -p old
pivot_root . old
umount -l /old
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=test /lib/systemd/systemd --system \
    --unit=basic.target --log-target=journal --log-level=info --show-status=0
"""


def missing() -> str | None:
    """What this host lacks for it; None: nothing."""
    if os.geteuid() != 0:
        return "namespaces with a systemd of their own need root"
    if not Path("/lib/systemd/systemd").exists() or shutil.which("nsenter") is None:
        return "systemd or util-linux is not installed"
    probe = (
        "mount -t tmpfs t $0 && mkdir $0/u $0/w $0/r && mount -t cgroup2 c $0/r"
        " && mount -t overlay o -o lowerdir=/,upperdir=$0/u,workdir=$0/w $0/r"
    )
    argv = ["unshare", "--mount", "--pid", "--fork", "--cgroup", "--net", "sh", "-c", probe, "/mnt"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"no namespaces, overlays or cgroups here: {done.stderr.strip()}"


class Host:
    """One systemd. `folder` is seen inside under its own name; what the script `prepare` in it does, with the new root
    as its argument, is done before systemd starts.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "shared"
        self._base = folder / "host"
        self.folder.mkdir()
        self._base.mkdir()
        self.process = Process("systemd", [], folder)
        self._log = folder
        self._pid = 0

    def prepare(self, script: str) -> None:
        """Have this done to the files of the host, in sh, before it starts; $1 is its root."""
        path = self.folder / "prepare"
        path.write_text(f"#!/bin/sh\nset -e\n{script}")
        path.chmod(0o755)

    def __enter__(self) -> Self:
        argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--cgroup", "--ipc", "--uts", "--net"]
        argv += ["sh", "-c", BOOT, "boot", str(self._base), str(self.folder), str(ROOT), *MASKED.split()]
        self.process = Process("systemd", argv, self._log)
        self.process.start()
        self._pid = self.process.wait_until(self._init, 30, "process 1 of the namespaces", tick=0.05)
        self.until(lambda: self.run("systemctl", "is-active", "basic.target").stdout == "active\n", "basic.target")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()

    def _init(self) -> int | None:
        """The process whose command is systemd, below unshare."""
        for child in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            if b"/lib/systemd/systemd" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
        return None

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a program inside."""
        enter = ["nsenter", "-t", str(self._pid), "-m", "-p", "-u", "-i", "-n", "-C", "--"]
        return subprocess.run([*enter, *argv], capture_output=True, text=True, timeout=300, check=False)

    def systemctl(self, *words: str) -> str:
        """Run systemctl; LabError with its words when it fails."""
        done = self.run("systemctl", *words)
        if done.returncode != 0:
            raise LabError(f"systemctl {' '.join(words)}: {done.stderr}{self.journal()}")
        return done.stdout

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.systemctl("show", "--value", "-p", name, unit).strip()

    def journal(self, *options: str) -> str:
        """The journal, or a part of it."""
        return self.run("journalctl", "--no-pager", *options).stdout

    def until(self, true: Callable[[], object], what: str, seconds: float = 40) -> None:
        """Wait until something is so."""
        end = time.monotonic() + seconds
        while not true():
            if time.monotonic() > end or not self.process.running:
                raise LabError(f"waited for {what}\n{self.process.tail()}\n{self.journal('-n', '40')}")
            time.sleep(0.05)


def install_here(host: Host) -> None:
    """Have rtrd at /usr/bin of the host, its units and its user, as the package installs them, unless it did."""
    program = RTRD
    install = f"""
ln -sf {program} "$1/usr/bin/rtrd"
cp {ROOT}/systemd/*.service "$1/etc/systemd/system/"
systemd-sysusers --root="$1" {ROOT}/systemd/rtrd.sysusers
mkdir -p "$1/etc/rtrd"
"""
    host.prepare(f'{"" if program == "/usr/bin/rtrd" else install}cp {host.folder}/*.yaml "$1/etc/rtrd/"\n')
