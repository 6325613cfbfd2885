"""Alerts and dashboard: every metric they name exists, with the labels they use, and promtool accepts the rules."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.lab.whole import metrics

ETC = Path(__file__).parents[2] / "etc"
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


FIRES = """
rule_files: [RULES]
tests:
  - interval: 1m
    input_series:
      - {series: 'rtrd_group_active{instance="a", group="main"}', values: "1x30 0x60"}
      - {series: 'rtrd_group_active{instance="a", group="backup"}', values: "0x30 1x60"}
      - {series: 'rtrd_group_preference{instance="a", group="main"}', values: "1x90"}
      - {series: 'rtrd_group_preference{instance="a", group="backup"}', values: "2x90"}
      - {series: 'rtrd_cache_last_update_timestamp_seconds{instance="a", group="main", cache="c"}', values: "0x90"}
      - {series: 'rtrd_cache_expire_seconds{instance="a", group="main", cache="c"}', values: "7200x90"}
    alert_rule_test:
      - {eval_time: 30m, alertname: RtrdFailedOver, exp_alerts: []}
      - eval_time: 60m
        alertname: RtrdFailedOver
        exp_alerts:
          - exp_labels: {severity: warning, instance: a, group: backup}
            exp_annotations: {summary: "rtrd on a uses backup, which is not its preferred group"}
      - {eval_time: 55m, alertname: RtrdCacheStale, exp_alerts: []}
      - eval_time: 70m
        alertname: RtrdCacheStale
        exp_alerts:
          - exp_labels: {severity: warning, instance: a, group: main, cache: c}
            exp_annotations:
              summary: Cache c has not been in sync for half its expire interval
              description: At the end of the interval its VRPs are dropped.
"""


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Debian's prometheus is not here")
def test_alerts_fire_when_they_should_and_not_before(tmp_path: Path) -> None:
    file = tmp_path / "fires.yaml"
    file.write_text(FIRES.replace("RULES", str(RULES)))
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Debian's prometheus is not here")
def test_promtool_accepts_the_rules() -> None:
    done = subprocess.run(["promtool", "check", "rules", str(RULES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ALERTS)} rules found" in done.stdout
