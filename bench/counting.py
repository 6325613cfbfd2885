"""Counts the UPDATE lines from ExaBGP, and writes the count to a file.

`python counting.py FILE`: the helper that costs ExaBGP least. It reads at once and never answers.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    """Run until ExaBGP closes the pipe."""
    file = Path(sys.argv[1])
    count = 0
    rest = b""
    while data := os.read(0, 1 << 18):
        *lines, rest = (rest + data).split(b"\n")
        count += sum(b'"type": "update"' in line for line in lines)
        file.write_text(str(count), encoding="ascii")


if __name__ == "__main__":
    main()
