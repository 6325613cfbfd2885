"""What a scrape of a daemon shows, and that it keeps to Prometheus' rules."""

import asyncio
import re
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rtrd.api import scrape
from rtrd.base.registry import Metric, Registry
from rtrd.policy import Policy
from rtrd.routers import Routers
from rtrlib.vrp_set import VRPSet
from tests.lab import ROOT
from tests.lab.still_daemon import StillDaemon
from tests.lab.whole import metrics

CONFIG = """
caches:
  groups:
    - {name: 'pri"mary', preference: 1, servers: [{host: "2001:db8::10", port: 323}]}
    - {name: backup, preference: 2, servers: [{host: 192.0.2.10, port: 323}]}
rtr-server: {listen: ["127.0.0.1:0"]}
guard: {}
bmp: {listen: ["127.0.0.1:0"]}
bird: {}
state: state
"""

UPDATE = (
    b'{"exabgp":"5.0.0","time":1.0,"host":"h","pid":1,"ppid":1,"counter":1,"type":"update","neighbor":'
    b'{"address":{"local":"192.0.2.9","peer":"192.0.2.1"},"asn":{"local":65000,"peer":64500},'
    b'"direction":"receive","message":{"update":{"attribute":{"origin":"igp","as-path":{"0":{"element":'
    b'"as-sequence","value":[64500]}}},"announce":{"ipv4 unicast":{"192.0.2.1":[{"nlri":"198.51.100.0/24"}]}}}}}}\n'
)


def test_the_page_names_each_part_that_is_kept_in_the_state_folder() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    (row,) = (line for line in page.splitlines() if line.startswith("| `rtrd_state_fault`"))
    (metric,) = (each for each in metrics() if each.name == "rtrd_state_fault")
    named = re.findall("`([^`]*)`", row.rpartition("there:")[2])
    assert sorted(named) == sorted(name for (name,), _ in metric.read())


@pytest.fixture
def scraped(tmp_path: Any) -> Any:
    """A daemon that is not started, with a router that announced a route; gives its metrics by name."""

    async def read() -> bytes:
        async with StillDaemon(tmp_path, CONFIG) as one:
            one.router.feed(UPDATE)
            return (await scrape.page(one.daemon.registry.collect(), ""))[0]

    return {family.name: family for family in text_string_to_metric_families(asyncio.run(read()).decode())}


def values(family: Any) -> dict[tuple[str, ...], float]:
    """The samples by their labels' values, in the order in which the metric names them."""
    labels = next(metric.labels for metric in metrics() if metric.name.removesuffix("_total") == family.name)
    return {tuple(sample.labels[label] for label in labels): sample.value for sample in family.samples}


def test_every_metric_is_scraped_whether_it_has_a_value_or_not(scraped: Any) -> None:
    for metric in metrics():
        assert metric.name.removesuffix("_total") in scraped
    assert "process_resident_memory_bytes" in scraped


def test_names_tell_group_and_cache_and_no_text_breaks_the_page(scraped: Any) -> None:
    caches = [('pri"mary', "[2001:db8::10]:323"), ("backup", "192.0.2.10:323")]
    assert values(scraped["rtrd_cache_in_sync"]) == dict.fromkeys(caches, 0)
    states = values(scraped["rtrd_cache_state"])
    assert [labels for labels, value in states.items() if value] == [(*cache, "CLOSED") for cache in caches]


def test_routes_by_neighbor_and_validity(scraped: Any) -> None:
    routes = values(scraped["rtrd_routes"])
    assert routes["exabgp", "192.0.2.1", "unverified"] == 1
    assert sum(routes.values()) == 1
    assert values(scraped["rtrd_router_lines"]) == {("exabgp",): 1}
    for name in ("rtrd_neighbor_up", "rtrd_neighbor_up_since_timestamp_seconds"):
        assert values(scraped[name]) == {}, "that it sends routes is no word of its session"


def test_a_guard_that_holds_nothing(scraped: Any) -> None:
    states = {"following": 1, "judging": 0, "held": 0, "rejected": 0}
    assert values(scraped["rtrd_guard_state"]) == {(state,): value for state, value in states.items()}
    assert values(scraped["rtrd_guard_newly_invalid_routes"]) == {}


def test_nothing_is_said_of_what_is_not_known_yet(scraped: Any) -> None:
    for name in ("rtrd_cache_serial", "rtrd_cache_last_update_timestamp_seconds", "rtrd_rtr_serial"):
        assert values(scraped[name]) == {}


@pytest.mark.parametrize("metric", metrics(), ids=lambda metric: metric.name)
def test_prometheus_naming_rules(metric: Metric) -> None:
    assert re.fullmatch("rtrd_[a-z_]+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert not re.search("_(count|sum|bucket|age|milliseconds|ms|kb)$", metric.name)
    assert all(re.fullmatch("[a-z_]+", label) and label not in ("le", "quantile") for label in metric.labels)
    assert metric.help.endswith(".")


def test_how_long_work_took_is_a_histogram_by_router() -> None:
    routers = Routers(VRPSet(), Policy(()))
    registry = Registry()
    routers.register(registry)
    for seconds in (0.0005, 0.001, 0.3, 99.0):
        routers._work.labels("edge").observe(seconds)
    (family,) = (family for family in registry.collect() if family and family.name == "rtrd_work_seconds")
    found = {sample.labels.get("le", sample.name): sample.value for sample in family.samples}
    assert (found["0.001"], found["0.25"], found["0.5"], found["10.0"], found["+Inf"]) == (2, 2, 3, 3, 4)
    assert found["rtrd_work_seconds_sum"] == pytest.approx(99.3015)
    assert {sample.labels["router"] for sample in family.samples} == {"edge"}
    assert not any(sample.name.endswith("_created") for sample in family.samples)


def test_no_name_twice() -> None:
    names = [metric.name for metric in metrics()]
    assert len(names) == len(set(names))
