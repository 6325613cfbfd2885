"""Draws results.json as an SVG chart of rtrd beside other programs, for light and dark pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, NamedTuple

from bench.report import figure

WIDTH, ROW, BAR, LEFT, RIGHT, TOP = 800, 46, 14, 330, 130, 44

STYLE = """
text { font: 13px sans-serif; fill: #1f2328 } .small { font-size: 12px; fill: #59636e }
.title { font-size: 15px; font-weight: bold } .ours { fill: #1a7f37 } .other { fill: #afb8c1 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .small { fill: #9198a1 } .ours { fill: #3fb950 } .other { fill: #59636e }
}
"""


class Row(NamedTuple):
    """Two bars: ours, and what it is compared with."""

    what: str
    unit: str
    ours: float
    other: str
    others: float


LINE = "CPU of a line of ExaBGP 5.0.15"
WANTED = (
    ("updates", f"{LINE} with 1 prefix, beside ExaBGP's own", "CPU for a line of 1 prefix"),
    ("updates", f"{LINE} with 5 prefixes, beside ExaBGP's own", "CPU for a line of 5 prefixes"),
    ("updates", f"{LINE} with 20 prefixes, beside ExaBGP's own", "CPU for a line of 20 prefixes"),
    ("vrps", "Validate, many routes in one call, beside librtr", "Validate a route"),
    ("vrps", "Validate, many routes in one call, beside py-radix", "Validate a route"),
    ("vrps", "Validate, many routes in one call, beside pytricia", "Validate a route"),
    ("memory", "Validation of a route, beside BIRD", "Validate a route of a table, in order"),
    ("change", "Every route against a wholly new VRP set", "All routes, all VRPs new"),
    ("change", "One VRP changed: first byte of the corrected command", "One VRP changed, to the pipe"),
    ("memory", "Memory with a full table", "A full table in memory"),
)
"""Section and name of a comparison, and what the chart calls it."""


def rows(sections: Mapping[str, Any]) -> Iterator[Row]:
    """Give the rows for which there are results; what has nobody beside it stands beside its target."""
    for section, name, what in WANTED:
        for result in sections.get(section, {"results": []})["results"]:
            if result["name"] != name:
                continue
            (ours, mine), *others = result["median"].items()
            if not any(other != ours and not other.startswith("rtrd") for other, _ in others):
                yield Row(what, result["unit"], result["measured"], "the target", result["most"])
            for other, theirs in others:
                if not other.startswith("rtrd"):
                    yield Row(what, result["unit"], mine, other, theirs)


def svg(sections: Mapping[str, Any]) -> str:
    """Draw them, each row to a scale of its own."""
    found = list(rows(sections))
    height = TOP + ROW * len(found) + 12
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>What rtrd takes beside others; shorter is better</title><style>{STYLE}</style>",
        '<text class="title" x="8" y="22">rtrd beside others: shorter is better</text>',
    ]
    for number, row in enumerate(found):
        y = TOP + number * ROW
        most = max(row.ours, row.others)
        room = WIDTH - LEFT - RIGHT
        lines.append(f'<text x="8" y="{y + 12}">{escape(row.what)}</text>')
        lines.append(f'<text class="small" x="8" y="{y + 29}">beside {escape(row.other)}</text>')
        for kind, value, at in (("ours", row.ours, y), ("other", row.others, y + BAR + 3)):
            width = max(1.5, value / most * room)
            lines.append(f'<rect class="{kind}" x="{LEFT}" y="{at}" width="{width:.1f}" height="{BAR}" rx="2"/>')
            text = f"{figure(value)} {row.unit}"
            lines.append(f'<text class="small" x="{LEFT + width + 6:.1f}" y="{at + 11}">{escape(text)}</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"
