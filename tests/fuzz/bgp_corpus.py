"""Writes the UPDATEs of tests/samples/packets-* into a folder, as seeds for bgp_update.c."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.lab.packets import bodies, session_of
from tests.lab.samples import SAMPLES


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
            seed = bytes([sum(bit << i for i, bit in enumerate(bits))]) + body
            (folder / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
