"""Alerts and dashboard: every metric they name exists, with the labels they use, and promtool accepts the rules."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab import ROOT
from tests.lab.programs import run
from tests.lab.whole import metrics

ETC = ROOT / "etc"
RULES = ETC / "prometheus" / "rtrd.rules.yaml"
BOARD = json.loads((ETC / "grafana" / "rtrd.json").read_text())
ALERTS = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
QUERIES = [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]

SCRAPED = {"instance", "job"}
LABELS = {metric.name: {*metric.labels, *SCRAPED} for metric in metrics()} | {
    f"{metric.name}_bucket": {*metric.labels, "le", *SCRAPED} for metric in metrics() if metric.kind == "histogram"
}


@pytest.mark.parametrize("query", [*QUERIES, *(alert["expr"] for alert in ALERTS)])
def test_every_metric_exists_and_has_the_labels(query: str) -> None:
    for name, selector in re.findall(r"\b(rtrd_\w+)(?:\{([^}]*)\})?", query):
        assert name in LABELS, name
        assert set(re.findall(r"(\w+)=~?\"", selector)) <= LABELS[name], name
    known = set().union(*(LABELS[name] for name in re.findall(r"\brtrd_\w+", query))) | {"job", "instance"}
    for grouped in re.findall(r"\b(?:by|on) \(([^)]*)\)", query):
        assert set(grouped.split(", ")) <= known, grouped


def test_every_legend_uses_labels_that_are_left() -> None:
    for panel in BOARD["panels"]:
        for target in panel["targets"]:
            used = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            grouped = re.search(r"\bsum by \(([^)]*)\)", target["expr"])
            if grouped:
                assert used <= set(grouped[1].split(", ")), panel["title"]
            else:
                for name in re.findall(r"\brtrd_\w+", target["expr"]):
                    assert used <= LABELS[name] | {"le"}, panel["title"]


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + i, place["y"] + j) for i in range(place["w"]) for j in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_every_alert_says_what_and_how_bad() -> None:
    for alert in ALERTS:
        assert alert["labels"]["severity"] in ("warning", "critical")
        assert alert["annotations"]["summary"]


FIRES: dict[str, tuple[int, dict[str, str], dict[str, str]]] = {
    "RtrdProblemsCritical": (
        5,
        {'rtrd_problems{severity="critical"}': "1"},
        {'rtrd_problems{severity="critical"}': "0"},
    ),
    "RtrdNoCacheInSync": (
        5,
        {'rtrd_cache_in_sync{group="g", cache="c"}': "0", 'rtrd_cache_in_sync{group="g", cache="d"}': "0"},
        {'rtrd_cache_in_sync{group="g", cache="c"}': "1"},
    ),
    "RtrdExabgpGone": (2, {'rtrd_router_attached{router="edge"}': "0"}, {'rtrd_router_attached{router="edge"}': "1"}),
    "RtrdGuardHolds": (0, {'rtrd_guard_state{state="held"}': "1"}, {'rtrd_guard_state{state="held"}': "0"}),
    "RtrdCacheDown": (
        60,
        {
            'rtrd_cache_in_sync{group="g", cache="c"}': "0",
            'rtrd_cache_wanted{group="g", cache="c"}': "1",
            'rtrd_cache_last_update_timestamp_seconds{group="g", cache="c"}': "1",
        },
        {
            'rtrd_cache_in_sync{group="g", cache="c"}': "1",
            # One that was in sync once and is not needed now, and one that never was, are other matters.
            'rtrd_cache_in_sync{group="h", cache="c"}': "0",
            'rtrd_cache_wanted{group="h", cache="c"}': "0",
            'rtrd_cache_last_update_timestamp_seconds{group="h", cache="c"}': "1",
            'rtrd_cache_in_sync{group="g", cache="d"}': "0",
            'rtrd_cache_wanted{group="g", cache="d"}': "1",
        },
    ),
    "RtrdCacheNeverInSync": (
        15,
        {'rtrd_cache_in_sync{group="g", cache="c"}': "0", 'rtrd_cache_wanted{group="g", cache="c"}': "1"},
        {
            'rtrd_cache_in_sync{group="h", cache="c"}': "0",
            'rtrd_cache_wanted{group="h", cache="c"}': "0",
            'rtrd_cache_in_sync{group="g", cache="d"}': "0",
            'rtrd_cache_wanted{group="g", cache="d"}': "1",
            'rtrd_cache_last_update_timestamp_seconds{group="g", cache="d"}': "1",
        },
    ),
    "RtrdSessionDown": (
        15,
        {'rtrd_neighbor_up{router="edge", neighbor="192.0.2.1"}': "0"},
        {'rtrd_neighbor_up{router="edge", neighbor="192.0.2.1"}': "1"},
    ),
    "RtrdStateNotWritten": (10, {'rtrd_state_fault{name="snapshot"}': "1"}, {'rtrd_state_fault{name="snapshot"}': "0"}),
    "RtrdBirdNotAudited": (15, {"rtrd_bird_up{}": "0"}, {"rtrd_bird_up{}": "1"}),
    "RtrdFailedOver": (
        15,
        {
            'rtrd_group_active{group="main"}': "0",
            'rtrd_group_active{group="backup"}': "1",
            'rtrd_group_preference{group="main"}': "1",
            'rtrd_group_preference{group="backup"}': "2",
        },
        {
            'rtrd_group_active{group="main"}': "1",
            'rtrd_group_active{group="backup"}': "0",
            'rtrd_group_preference{group="main"}': "1",
            'rtrd_group_preference{group="backup"}': "2",
        },
    ),
    "RtrdCacheStale": (
        66,
        {
            'rtrd_cache_last_update_timestamp_seconds{group="g", cache="c"}': "0",
            'rtrd_cache_expire_seconds{group="g", cache="c"}': "7200",
        },
        {
            'rtrd_cache_last_update_timestamp_seconds{group="g", cache="c"}': "6000",
            'rtrd_cache_expire_seconds{group="g", cache="c"}': "7200",
        },
    ),
}
"""For an alert: minutes after which it fires with the first series, and never with the second."""


def story(series: dict[str, str], minutes: int, alert: str, count: int) -> dict[str, Any]:
    """Constant series, and how many alerts of this name fire then."""
    samples = [{"labels": "{}", "value": count}] if count else []
    expr = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}})'
    return {
        "interval": "1m",
        "input_series": [
            {"series": name.replace("{", '{instance="a", job="rtrd", ').replace(", }", "}"), "values": f"{value}x150"}
            for name, value in series.items()
        ],
        "promql_expr_test": [{"expr": expr, "eval_time": f"{minutes}m", "exp_samples": samples}],
    }


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Debian's prometheus is not here")
def test_alerts_fire_when_they_should_and_not_before(tmp_path: Path) -> None:
    stories = []
    for alert, (minutes, bad, good) in FIRES.items():
        stories += [story(bad, minutes, alert, 1), story(good, 140, alert, 0)]
        if minutes:
            stories.append(story(bad, minutes - 1, alert, 0))
    file = tmp_path / "fires.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": stories}))
    done = run("promtool", "test", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Debian's prometheus is not here")
def test_promtool_accepts_the_rules() -> None:
    done = run("promtool", "check", "rules", RULES)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ALERTS)} rules found" in done.stdout
