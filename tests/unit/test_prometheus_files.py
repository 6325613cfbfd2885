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


def of(labels: str, **values: int) -> dict[str, int]:
    """Series with these labels."""
    return {f"rtrd_{name}{{{labels}}}": value for name, value in values.items()}


C, D, OF_H = 'group="g", cache="c"', 'group="g", cache="d"', 'group="h", cache="c"'
MAIN, BACKUP = 'group="main"', 'group="backup"'
PREFERRED = of(MAIN, group_preference=1) | of(BACKUP, group_preference=2)
FIRES: dict[str, tuple[int, dict[str, int], dict[str, int]]] = {
    "RtrdProblemsCritical": (5, of('severity="critical"', problems=1), of('severity="critical"', problems=0)),
    "RtrdNoCacheInSync": (5, of(C, cache_in_sync=0) | of(D, cache_in_sync=0), of(C, cache_in_sync=1)),
    "RtrdExabgpGone": (2, of('router="edge"', router_attached=0), of('router="edge"', router_attached=1)),
    "RtrdGuardHolds": (0, of('state="held"', guard_state=1), of('state="held"', guard_state=0)),
    "RtrdCacheDown": (
        60,
        of(C, cache_in_sync=0, cache_wanted=1, cache_last_update_timestamp_seconds=1),
        of(C, cache_in_sync=1)
        # One that was in sync once and is not needed now, and one that never was, are other matters.
        | of(OF_H, cache_in_sync=0, cache_wanted=0, cache_last_update_timestamp_seconds=1)
        | of(D, cache_in_sync=0, cache_wanted=1),
    ),
    "RtrdCacheNeverInSync": (
        15,
        of(C, cache_in_sync=0, cache_wanted=1),
        of(OF_H, cache_in_sync=0, cache_wanted=0)
        | of(D, cache_in_sync=0, cache_wanted=1, cache_last_update_timestamp_seconds=1),
    ),
    "RtrdSessionDown": (
        15,
        of('router="edge", neighbor="192.0.2.1"', neighbor_up=0),
        of('router="edge", neighbor="192.0.2.1"', neighbor_up=1),
    ),
    "RtrdStateNotWritten": (10, of('name="snapshot"', state_fault=1), of('name="snapshot"', state_fault=0)),
    "RtrdBirdNotAudited": (15, of("", bird_up=0), of("", bird_up=1)),
    "RtrdFailedOver": (
        15,
        PREFERRED | of(MAIN, group_active=0) | of(BACKUP, group_active=1),
        PREFERRED | of(MAIN, group_active=1) | of(BACKUP, group_active=0),
    ),
    "RtrdCacheStale": (
        66,
        of(C, cache_last_update_timestamp_seconds=0, cache_expire_seconds=7200),
        of(C, cache_last_update_timestamp_seconds=6000, cache_expire_seconds=7200),
    ),
}
"""For an alert: minutes after which it fires with the first series, and never with the second."""


def story(series: dict[str, int], minutes: int, alert: str, count: int) -> dict[str, Any]:
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
