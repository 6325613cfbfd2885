"""`python -m bench [SECTION...]` (`make bench`: all): measures; RESULTS.md and results.json beside this file.

Sections that did not run keep their earlier results. Exit code 1: a target was missed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Final

from bench import report, sync, vrps
from bench.section import Section, Setting

SECTIONS: Final = {
    "vrps": Section(vrps.measure, ("librtr0",), ("cffi",)),
    "sync": Section(sync.measure, ("librtr0", "stayrtr", "rtr-tools")),
}
"""In the order of the report."""


def main() -> int:
    """Measure what was asked for, one section after the other."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"{', '.join(SECTIONS)}; none: all")
    parser.add_argument("--vrps", type=Path, help="a VRP file to use instead of generated VRPs")
    parser.add_argument("--count", type=int, default=800_000, help="how many VRPs to generate")
    parser.add_argument("--routes", type=int, default=200_000, help="how many routes to validate")
    parser.add_argument("--rounds", type=int, default=5, help="of each measurement")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="the folder of the results")
    options = parser.parse_args()
    unknown = [name for name in options.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"there is no section {', '.join(unknown)}")
    options.output.mkdir(parents=True, exist_ok=True)
    missed = False
    with tempfile.TemporaryDirectory(prefix="rtrd-bench-") as folder:
        setting = Setting(Path(folder), options.rounds, options.count, options.routes, options.vrps)
        for name in options.sections or SECTIONS:
            section = SECTIONS[name]
            about = report.surroundings(section.packages, section.distributions)
            found = section.measure(setting)
            report.keep(options.output, name, about, found, order=list(SECTIONS))
            missed |= any(one.is_met is False for one in found)
    print((options.output / report.PAGE).read_text(encoding="utf-8"))
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
