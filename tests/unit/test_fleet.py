"""What messages of many hosts make together, whoever sent them."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrd.base.clock import timestamp
from rtrd.events.messages import SCHEMA, Messages
from rtrd.fleet import hosts as module
from rtrd.fleet.hosts import SILENT, Fleet, lines

NOW = 1_000_000.0


def summary(host: str = "a", *, schema: int = SCHEMA, problems: int = 0, **changed: Any) -> dict[str, Any]:
    return {
        "time": "t", "kind": "summary", "host": host, "id": "1", "schema": schema, "text": "ready", "version": "1",
        "health": {"status": "ok", "summary": "ready"}, "problems": [problem()] * problems, "problems_in_all": problems,
        "vrps": {"ipv4": 2, "ipv6": 1}, "caches": [], "routers": [],
        "routes": {"valid": 2, "invalid": 1, "not-found": 0, "unverified": 0}, **changed,
    }  # fmt: skip


def problem(what: str = "x", severity: str = "warning", since: str = "2026-01-01T00:00:00Z") -> dict[str, str]:
    return {"what": what, "since": since, "severity": severity}


def cache(host: str = "192.0.2.1", vrps: int = 700_000, session: int | None = 1, serial: int = 9) -> dict[str, Any]:
    state = {"session_id": session, "serial": serial, "vrps": vrps, "error": None, "aspas": 0}
    return {"group": "g", "host": host, "port": 323, "state": "ESTABLISHED", "last_update": None, **state}


def router(name: str, invalid: int) -> dict[str, Any]:
    counts = {"valid": 10, "invalid": invalid, "not-found": 0, "unverified": 0}
    return {"router": name, "attached": True, "neighbors": 1, "neighbors_down": 0, **counts}


def fleet(*messages: dict[str, Any], at: float = NOW) -> Fleet:
    one = Fleet()
    for message in messages:
        one.take(json.dumps(message).encode(), at)
    return one


def test_hosts_and_the_sum_of_their_routes() -> None:
    view = fleet(summary("b"), summary("a"), summary("a")).view(NOW)
    assert [each["host"] for each in view["hosts"]] == ["a", "b"]
    assert view["routes"] == {"valid": 4, "not-found": 0, "invalid": 2, "unverified": 0}
    assert (view["silent"], view["problems"], view["malformed"]) == ([], [], 0)


def said(run: str, second: int, started: int | None = None, host: str = "a") -> dict[str, Any]:
    """What a run says so many seconds after NOW; a summary, if it is said when it started."""
    time = f"{timestamp(NOW + second, 'milliseconds')}"
    if started is None:
        return {"host": host, "kind": "cache", "schema": SCHEMA, "id": f"{run}-7", "time": time, "text": "x"}
    return summary(host, id=f"{run}-8", time=time, started=timestamp(NOW + started))


@pytest.mark.parametrize(
    ("messages", "since"),
    [
        ([said("one", 10, 0), said("two", 30, 20), said("one", 40)], 20),
        ([said("one", 10), said("two", 30, 20), said("one", 40)], 20),
        ([said("one", 40, 0), said("two", 30, 20)], 20),
        ([said("one", 40, 0), said("two", 35, 0), said("one", 70, 0)], 0),
        ([said("one", 10, 0), said("two", 30, 20), said("two", 60, 20)], None),
        ([said("one", 22, 0), said("two", 30, 20), said("two", 60, 20)], None),
        ([said("one", 40, 0), said("two", 40, 20, host="b")], None),
        ([said("one", -4000, -9000), said("two", -5000, -8000)], None),
        ([said("one", -30, -90), said("two", -20, -25), said("three", 5, 0), said("three", 30, 0)], None),
    ],
)
def test_two_that_publish_under_one_name_are_told_of_and_one_that_starts_again_is_not(
    messages: list[dict[str, Any]], since: int | None
) -> None:
    view = fleet(*messages, at=NOW + 70).view(NOW + 70)
    told = [(each["host"], each["since"]) for each in view["problems"] if "two rtrds" in each["what"]]
    assert told == ([] if since is None else [("a", timestamp(NOW + since))])
    assert view["problems_in_all"] == len(told)


def test_of_a_name_only_some_runs_are_kept() -> None:
    one = fleet(*(said(f"run{number}", number, number) for number in range(100)))
    assert list(one._runs["a"]) == [f"run{number}" for number in range(96, 100)]


def test_a_host_that_says_nothing_is_silent_and_its_routes_do_not_count() -> None:
    one = fleet(summary("a", problems=1), at=NOW - SILENT - 1)
    one.take(json.dumps(summary("b")).encode(), NOW)
    view = one.view(NOW)
    assert (view["silent"], view["problems"], view["routes"]["valid"]) == (["a"], [], 2)
    assert "silent: a" in list(lines(view))


def test_an_older_summary_that_comes_later_changes_nothing() -> None:
    one = fleet(summary("a"))
    one.take(json.dumps(summary("a", version="0")).encode(), NOW - 5)
    assert one.view(NOW)["hosts"][0]["version"] == "1"


def test_problems_of_all_hosts_the_critical_ones_first_then_the_oldest() -> None:
    view = fleet(
        summary("a", problems=2) | {"problems": [problem("new", since="2026-02"), problem("old", since="2026-01")]},
        summary("b", problems=1) | {"problems": [problem("bad", "critical", "2026-03")]},
    ).view(NOW)
    assert [(each["host"], each["what"]) for each in view["problems"]] == [("b", "bad"), ("a", "old"), ("a", "new")]
    assert view["problems_in_all"] == 3


def test_routers_with_the_most_invalid_routes_come_first() -> None:
    one, other = [router("r", 1), router("s", 0)], [router("r", 5)]
    view = fleet(summary("a", routers=one), summary("b", routers=other)).view(NOW)
    assert [(each["host"], each["router"], each["invalid"], each["routes"]) for each in view["invalid"]] == [
        ("b", "r", 5, 15),
        ("a", "r", 1, 11),
    ]


@pytest.mark.parametrize(
    ("caches", "disagree"),
    [
        ([cache(), cache(), cache()], None),
        ([cache(), cache(vrps=699_000, serial=8)], None),
        ([cache(), cache(), cache(vrps=699_999)], "with serial 9 hosts have 699999 to 700000 VRPs"),
        ([cache(), cache(), cache(vrps=600_000, serial=8)], "3 hosts have 600000 to 700000 VRPs of it"),
        ([cache(), cache(vrps=0, session=None)], None),
        ([cache("127.0.0.1"), cache("127.0.0.1", vrps=699_999)], None),
        ([cache("::1"), cache("::1", vrps=600_000)], "2 hosts have 600000 to 700000 VRPs of it"),
        ([cache()], None),
    ],
    ids=["alike", "one behind", "same serial", "far apart", "not in sync", "local", "local and far apart", "alone"],
)
def test_when_caches_disagree(caches: list[dict[str, Any]], disagree: str | None) -> None:
    view = fleet(*(summary(f"h{number}", caches=[each]) for number, each in enumerate(caches))).view(NOW)
    (found,) = view["caches"]
    assert found["disagree"] == disagree
    assert found["hosts"] == len(caches)
    assert bool(found["outliers"]) == (disagree is not None)


def test_the_hosts_furthest_from_what_most_have_are_named() -> None:
    odd = summary("odd", caches=[cache(vrps=5)])
    view = fleet(*(summary(f"h{number}", caches=[cache()]) for number in range(5)), odd).view(NOW)
    assert view["caches"][0]["outliers"] == [{"host": "odd", "vrps": 5, "serial": 9}]
    assert any("odd: 5 VRPs" in line for line in lines(view))


def test_lost_events_are_summed() -> None:
    lost = {"kind": "lost", "host": "a", "schema": SCHEMA, "count": 3}
    view = fleet(lost, lost).view(NOW)
    assert view["lost"] == [{"host": "a", "count": 6}]
    assert "a: 6 events were lost" in list(lines(view))


@pytest.mark.parametrize(
    "message",
    [summary(schema=SCHEMA + 1), summary() | {"routes": 3}, {"kind": "summary"}, {}, [], summary(caches=[{"host": 1}])],
)
def test_what_is_none_of_rtrds_is_counted(message: Any) -> None:
    assert fleet(message).view(NOW)["malformed"] == 1


def test_names_of_others_can_be_printed_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_HOSTS", 3)
    evil = "\x1b[2J\n" + "x" * 5000
    rude = [summary(f"{number}{evil}", routers=[router(evil, 1)] * 500, caches=[cache(evil)]) for number in range(5)]
    view = fleet(*rude).view(NOW)
    assert (len(view["hosts"]), view["malformed"]) == (3, 2)
    for line in lines(view):
        assert line.isprintable()
        assert len(line) < 2000
    assert len(view["invalid"]) <= 500


@given(st.binary())
def test_any_octets_may_come(octets: bytes) -> None:
    one = Fleet()
    one.take(octets, NOW)
    assert one.messages + one.malformed == 1


def test_what_a_daemon_publishes_is_understood() -> None:
    status = {
        **{name: summary()[name] for name in ("version", "health", "vrps")}, "started": "t", "ready": True,
        "active_group": "g", "problems": [problem()], "groups": [{"name": "g", "servers": [cache()]}],
        "routers": [{"name": "r", "attached": True, "neighbors": [{"up": False}], "routes": router("r", 4)}],
    }  # fmt: skip
    one = Fleet()
    one.take(Messages("run", "h", "a").summary("t", status).payload, NOW)
    view = msgspec.json.decode(msgspec.json.encode(one.view(NOW)))
    assert view["malformed"] == 0
    assert view["invalid"] == [{"host": "h", "router": "r", "invalid": 4, "routes": 14}]
    assert view["caches"][0]["synced"] == 1
