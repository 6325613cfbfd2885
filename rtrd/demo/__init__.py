"""`rtrd demo`: the whole chain on this host; shows what became of each route, and of a changed VRP.

It ends by itself, and with 1 when the listening peer received anything but what RFC 6811 says.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from types import FrameType
from typing import Any

from rtrd.demo.lab import Lab, LabError

SAMPLE = 24


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the demo's options."""
    parser.add_argument("--all", action="store_true", help=f"show every route, not only {SAMPLE} of them")
    parser.add_argument(
        "--bmp", action="store_true", help="show routers that tell their routes by BMP, and are only observed"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Run the demo: 0 when the peer received what it should, 1 when not or when a component is missing."""
    # With these, an end by signal unwinds through the lab, which ends what it started.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    # Imported here: what the other commands need not load.
    from rtrd.demo.monitored import MonitoredShow  # noqa: PLC0415
    from rtrd.demo.show import Show  # noqa: PLC0415

    started = time.monotonic()
    result: dict[str, Any] = {}
    say = (lambda _line: None) if args.json else _say
    try:
        with Lab() as lab:
            show = (MonitoredShow if args.bmp else Show)(lab, say, every=args.all, sample=SAMPLE)
            result = show.run()
        faults = [*result["faults"], *lab.leftovers]
    except LabError as error:
        _complain(str(error))
        return 1
    except KeyboardInterrupt:
        _complain("interrupted; every process it started is gone")
        return 1
    result |= {"faults": faults, "seconds": round(time.monotonic() - started, 1)}
    if args.json:
        _say(json.dumps(result, indent=1))
        return 1 if faults else 0
    if faults:
        say("")
        for fault in faults:
            _complain(fault)
        return 1
    what = "rtrd says of every router" if args.bmp else "The peer received"
    say(f"\n{what} what RFC 6811 says, for every route; {result['seconds']} s in all.")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _complain(line: str) -> None:
    sys.stderr.write(f"rtrd demo: {line}\n")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
