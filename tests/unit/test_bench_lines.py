"""The generated lines are ExaBGP's: what the real ones wrote of the same routes differs in times and attributes."""

import json
from typing import Any

import pytest

from bench import generate, lines
from rtrd.exabgp.decode import decode
from rtrd.exabgp.parsed import Parsed
from rtrd.rib.attributes import read_octets
from rtrd.rib.bgp_events import State
from tests.lab.engine_story import update_of
from tests.lab.samples import sample_lines

CASES = {"update-v4-1": ["20.0.0.0/24"], "update-v6": ["2001:db8:1::/48", "2001:db8:2::/48", "::/0", "2001:db8::1/128"]}
VARYING = {"time", "pid", "ppid", "host", "counter"}


def skeleton(line: bytes) -> dict[str, Any]:
    """A line without what differs from one to the next, in the order in which it is written."""
    decoded: dict[str, Any] = json.loads(line)
    assert decoded.keys() >= VARYING
    neighbor = decoded["neighbor"]
    attribute = neighbor["message"]["update"].get("attribute", {})
    attribute.pop("med", None)
    for listed in [name for name in attribute if name.endswith("community")]:
        del attribute[listed]
    if "as-path" in attribute:
        path = attribute["as-path"]
        attribute["as-path"] = {key: value["element"] for key, value in path.items()} if isinstance(path, dict) else []
    neighbor["negotiated"] = {**neighbor["negotiated"], "families": [], "nexthop": []}
    return {name: value for name, value in decoded.items() if name not in VARYING}


@pytest.mark.parametrize("dialect", lines.DIALECTS)
@pytest.mark.parametrize("case", CASES)
def test_an_update_is_as_the_real_one_wrote_it(dialect: lines.Dialect, case: str) -> None:
    (made,) = lines.updates([lines.Route(prefix, 65100) for prefix in CASES[case]], 20, lines.Speaker(dialect))
    (real,) = sample_lines(case, f"exabgp-{dialect}")
    assert json.dumps(skeleton(made)) == json.dumps(skeleton(real))


@pytest.mark.parametrize("dialect", lines.DIALECTS)
def test_a_withdraw_and_a_session_are_as_the_real_ones(dialect: lines.Dialect) -> None:
    (made,) = lines.withdraws(["20.0.1.0/24", "20.0.2.0/24"], 5, lines.Speaker(dialect))
    (real,) = sample_lines("withdraw-v4", f"exabgp-{dialect}")
    assert json.dumps(skeleton(made)) == json.dumps(skeleton(real))
    made_up = decode(lines.session(lines.Speaker(dialect)))
    real_up = decode(sample_lines("session-up-main", f"exabgp-{dialect}")[-1])
    assert isinstance(made_up, State)
    assert isinstance(real_up, State)
    assert made_up._replace(time=None) == real_up._replace(time=None)


@pytest.mark.parametrize("packing", [1, 5, 20])
def test_each_route_is_in_one_line_with_its_origin_last(packing: int) -> None:
    vrps = generate.vrps(500)
    routes = lines.make_routes(1000, vrps)
    assert routes == lines.make_routes(1000, vrps)
    assert len({route.prefix for route in routes}) == 1000
    found: dict[str, int | None] = {}
    for line in lines.updates(routes, packing):
        event = decode(line)
        assert isinstance(event, Parsed)
        ((key, prefixes),) = update_of(event).announced
        assert len(prefixes) <= packing
        found.update(dict.fromkeys(prefixes, read_octets(key).origin_as))
    assert found == dict(routes)
