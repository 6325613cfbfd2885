"""Writes the UPDATEs of tests/samples/packets-* into a folder, as seeds for bgp_update.c."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.lab.packets import bodies, session_of
from tests.lab.samples import SAMPLES

LINES = (
    b"at 1.5 number 10 of a Ff-00000000 end\n",
    b"at 1 number 0 of b 0-0 end\n",
    b"at 01 number 1. of b 0-0g end\n",
    b"at 1. number 1 of c -00 end\n",
)
"""As bgp_update.c has them."""


def main(folder: Path) -> None:
    """Write each once, with the octet that says what its session has negotiated."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in SAMPLES.glob("packets-*/*.jsonl"):
        if b'"update"' not in file.read_bytes():
            continue
        version = file.parent.name.removeprefix("packets-")
        session = session_of(version, file.stem)
        bits = (not session.external, session.four_octet_as, 4 in session.path_ids, 6 in session.path_ids,
                session.extended_next_hop)  # fmt: skip
        for body in bodies(version, file.stem):
            _write(folder, bytes([sum(bit << i for i, bit in enumerate(bits))]) + body)
    for line in LINES:
        _write(folder, b"\2" + line * 2)


def _write(folder: Path, seed: bytes) -> None:
    (folder / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
