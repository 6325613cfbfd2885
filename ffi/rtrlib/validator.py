"""Validate routes, lines `IP LENGTH ASN`: print each with its reason and its validity, in the same order.

`python -m rtrlib.validator HOST PORT`: what librtr's rpki-rov (once cli-validator) does. A line of output is
`IP LENGTH ASN|REASONS|STATE`: the covering VRPs, `ASN IP LENGTH MAX_LENGTH` each, with commas between them; and
0 valid, 1 not found, 2 invalid, or `error` for a line that is not a route. stderr says why.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
from collections.abc import Sequence
from typing import Final

from rtrlib.exceptions import RTRInitError, SyncTimeout
from rtrlib.rtr_manager import RTRManager

__all__ = ["answer", "main"]

PROGRAM: Final = "python -m rtrlib.validator"
TIMEOUT: Final = 20.0
"""Seconds, as rpki-rov has."""
LINE: Final = re.compile(r"([0-9A-Fa-f:.]+)[ \t]+([0-9]{1,10})[ \t]+(?:AS)?([0-9]{1,10})", re.IGNORECASE)
LONGEST: Final = 256
"""Characters of a line, as rpki-rov reads."""


def answer(manager: RTRManager, line: str) -> str:
    """Give the line of output for a line of input. ValueError: it is not a route, and why."""
    match = LINE.fullmatch(line)
    if match is None or len(line) > LONGEST:
        raise ValueError("expected: IP LENGTH ASN")
    prefix, length, asn = match[1], int(match[2]), int(match[3])
    result = manager.validate(asn, prefix, length)
    records = [reason.record for reason in result.reason]
    reasons = ",".join(f"{vrp.asn} {vrp.prefix} {vrp.min_len} {vrp.max_len}" for vrp in records)
    return f"{prefix} {length} {asn}|{reasons}|{result.state.value}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer until the end of the input; 1 when no cache delivers VRPs, 2 when the arguments are wrong."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Validate routes: lines IP LENGTH ASN on stdin.")
    parser.add_argument("host", metavar="HOST", help="the cache")
    parser.add_argument("port", metavar="PORT")
    parser.add_argument(
        "--timeout", type=float, default=TIMEOUT, metavar="SECONDS", help="how long to wait for VRPs (%(default)s)"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    try:
        manager = RTRManager(options.host, options.port, retry_interval=5)
    except RTRInitError as fault:
        parser.error(str(fault))
    sys.stdin.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        manager.start(timeout=options.timeout)
        for number, line in enumerate(sys.stdin, start=1):
            try:
                answered = answer(manager, line.strip())
            except ValueError as fault:
                said = "".join(char if char.isprintable() else "?" for char in line.strip()[:LONGEST])
                answered = f"{said}||error"
                print(f"line {number}: {fault}", file=sys.stderr)  # noqa: T201
            print(answered, flush=True)  # noqa: T201
    except SyncTimeout as fault:
        print(f"{options.host} port {options.port}: {fault}", file=sys.stderr)  # noqa: T201
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains of stdout at its end
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        manager.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
