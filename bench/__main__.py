"""Runs the benchmarks, `python -m bench [SECTION...]` (`make bench`: all), and writes RESULTS.md and results.json here.

Sections that did not run keep their earlier results. Exit code 1: a target was missed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Final

from bench import (
    aspas,
    attacks,
    bmp,
    chain,
    change,
    chart,
    churn,
    history,
    loop,
    memory,
    mrt,
    paths,
    relay,
    report,
    routers,
    start,
    sync,
    updates,
    vrps,
)
from bench.section import Section, Setting

SECTIONS: Final = {
    "vrps": Section(vrps.measure, ("librtr0",), ("cffi",)),
    "sync": Section(sync.measure, ("librtr0", "stayrtr", "rtr-tools")),
    "updates": Section(updates.measure, (), ("msgspec",)),
    "loop": Section(loop.measure, (), ("aiohttp",)),
    "attacks": Section(attacks.measure, ()),
    "change": Section(change.measure, ("librtr0",)),
    "memory": Section(memory.measure, ("bird2", "librtr0"), ("exabgp",)),
    "churn": Section(churn.measure, ()),
    "history": Section(history.measure, ()),
    "start": Section(start.measure, ()),
    "chain": Section(chain.measure, ("exabgp",), ("exabgp",)),
    "routers": Section(routers.measure, ("exabgp", "bird2", "frr", "gobgpd"), ("exabgp",)),
    "relay": Section(relay.measure, ("librtr0", "stayrtr")),
    "aspas": Section(aspas.measure, ()),
    "paths": Section(paths.measure, ()),
    "bmp": Section(bmp.measure, ("pmacct",)),
    "mrt": Section(mrt.measure, ("bgpdump",)),
}
"""In the order of the report."""


def main() -> int:
    """Measure what was asked for, one section after the other."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"{', '.join(SECTIONS)}; none: all")
    parser.add_argument("--vrps", type=Path, help="a VRP file to use instead of generated VRPs")
    parser.add_argument("--count", type=int, default=800_000, help="how many VRPs to generate")
    parser.add_argument("--routes", type=int, default=200_000, help="how many routes to validate")
    parser.add_argument("--table", type=Path, help="a file of `prefix,origin` to use instead of a generated table")
    parser.add_argument("--table-count", type=int, default=1_270_000, help="how many routes of a table to generate")
    parser.add_argument("--rounds", type=int, default=5, help="of each measurement")
    parser.add_argument("--short", action="store_true", help="small and once, to see that everything still runs")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="the folder of the results")
    options = parser.parse_args()
    if options.short:
        options.count, options.routes, options.table_count, options.rounds = 10_000, 2_000, 20_000, 1
    unknown = [name for name in options.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"there is no section {', '.join(unknown)}")
    options.output.mkdir(parents=True, exist_ok=True)
    missed = False
    with tempfile.TemporaryDirectory(prefix="rtrd-bench-") as folder:
        made = (options.count, options.routes, options.vrps, options.table_count, options.table)
        setting = Setting(Path(folder), options.rounds, *made, short=options.short)
        for name in options.sections or SECTIONS:
            section = SECTIONS[name]
            about = report.surroundings(section.packages, section.distributions)
            found = section.measure(setting)
            report.keep(options.output, name, about, found, order=list(SECTIONS))
            missed |= any(one.is_met is False for one in found)
    (options.output / report.CHART).write_text(chart.svg(report.sections(options.output)), encoding="utf-8")
    print((options.output / report.PAGE).read_text(encoding="utf-8"))
    return int(missed and not options.short)


if __name__ == "__main__":
    sys.exit(main())
