"""`make bench`, or `python -m bench`: everything measured in one run; RESULTS.md and results.json beside this file."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from bench import generate, report, sync, vrps
from rtrd.vrps import files

HERE = Path(__file__).parent


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--vrps", type=Path, help="a VRP file to use instead of generated VRPs")
    parser.add_argument("--count", type=int, default=800_000, help="how many VRPs to generate")
    parser.add_argument("--routes", type=int, default=200_000, help="how many routes to validate")
    parser.add_argument("--rounds", type=int, default=5, help="of each measurement")
    parser.add_argument("--output", type=Path, default=HERE, help="the folder of the results")
    options = parser.parse_args()
    about = report.machine()
    if options.vrps:
        packed = files.read(options.vrps).packed
        records = [packed[at : at + 24] for at in range(0, len(packed), 24)]
    else:
        records = generate.vrps(options.count)
    # librtr aborts at a validate that meets a VRP of length 0.
    records = [one for one in records if one[20]]
    about["VRPs"] = f"{len(records):,}, " + (f"of {options.vrps.name}" if options.vrps else f"seed {generate.SEED}")
    with tempfile.TemporaryDirectory(prefix="rtrd-bench-") as name:
        folder = Path(name)
        found = vrps.measure(records, generate.routes(options.routes, records), folder, options.rounds)
        file = folder / "vrps.json"
        generate.write(file, records)
        found += sync.measure(file, len(records), folder, options.rounds)
    report.write(options.output, found, about)
    print((options.output / "RESULTS.md").read_text(encoding="utf-8"))
    return 0 if all(one.is_met in {None, True} for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
