"""The chart of README shows what the results say."""

import xml.etree.ElementTree as ET

from bench import chart

MANY, NEW = "Validate, many routes in one call, beside librtr", "Every route against a wholly new VRP set"
BOTH = {"rtrlib validate_many": 0.25, "librtr in a C loop": 2.5}
SECTIONS = {
    "vrps": {"results": [{"name": MANY, "unit": "us a route", "median": BOTH, "measured": 0.1, "most": 0.1}]},
    "change": {"results": [{"name": NEW, "unit": "s", "median": {"rtrd": 0.5}, "measured": 0.5, "most": 1.0}]},
}


def test_a_bar_is_as_long_as_its_number() -> None:
    tree = ET.fromstring(chart.svg(SECTIONS))
    bars = [float(bar.get("width", "")) for bar in tree.iter("{http://www.w3.org/2000/svg}rect")]
    assert [round(ours / other, 2) for ours, other in zip(bars[::2], bars[1::2], strict=True)] == [0.1, 0.5]
    said = "".join(tree.itertext())
    assert "2.5 us a route" in said
    assert "beside the target" in said


def test_sections_that_did_not_run_are_left_out() -> None:
    assert "rect" not in chart.svg({})
