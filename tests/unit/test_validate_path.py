"""`rtrd validate-path`: what is printed of a path, and why."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rtrd import cli
from rtrd.commands import http_client
from rtrd.rib.paths import explain_path, parse_path, parse_role
from rtrlib import aspas
from rtrlib.aspas import ASPAIndex
from tests.lab.loop_thread import LoopThread
from tests.lab.programs import RTRD, rtrd
from tests.lab.still_daemon import StillDaemon

ASPAS = [
    {"customer_asid": 64501, "providers": [64502]},
    {"customer": "AS64502", "providers": ["AS64503"]},
    {"customer_asid": 64505, "providers": [0]},
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "vrps.json"
    path.write_text(json.dumps({"roas": [], "aspas": ASPAS}))
    return path


def asked(file: Path, *words: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [RTRD, "validate-path", "--vrps", file, *words], input=text, capture_output=True, text=True, check=False
    )


def test_a_path_in_words_and_in_json(file: Path) -> None:
    done = asked(file, "--local-role", "provider", "AS64504", "64502", "64501")
    assert (done.returncode, done.stderr) == (cli.DONE, "")
    assert done.stdout == (
        "64504 64502 64501: invalid (upstream): AS64502 does not name AS64504 as its provider\n"
        "  AS64501 names AS64502 as its provider\n"
        "  AS64502 does not name AS64504 as its provider\n"
    )
    found = json.loads(asked(file, "--local-role", "customer", "--json", "64509", "64504", "64502", "64501").stdout)
    assert found == {
        "path": [64509, 64504, 64502, 64501],
        "as_path": "64509 64504 64502 64501",
        "outcome": "unknown",
        "procedure": "downstream",
        "local_role": "customer",
        "reason": "AS64502 does not name AS64504 as its provider; AS64509 has no ASPA",
        "hops": [
            {"customer": 64501, "provider": 64502, "attestation": "provider"},
            {"customer": 64502, "provider": 64504, "attestation": "not-provider"},
            {"customer": 64504, "provider": 64509, "attestation": "none"},
            {"customer": 64509, "provider": 64504, "attestation": "none"},
            {"customer": 64504, "provider": 64502, "attestation": "none"},
            {"customer": 64502, "provider": 64501, "attestation": "not-provider"},
        ],
    }


def test_paths_on_stdin_an_answer_a_line(file: Path) -> None:
    text = "64503 64502 64501\n\n64503,64503,64502\n64503 {64501,64502}\n"
    done = asked(file, "--local-role", "peer", "--json", "-", text=text)
    assert [json.loads(line)["outcome"] for line in done.stdout.splitlines()] == [
        "valid",
        "invalid",
        "valid",
        "invalid",
    ]
    words = asked(file, "--local-role", "peer", "-", text=text).stdout.splitlines()
    assert words[1] == "empty path: invalid (upstream): the path is empty"
    assert words[3] == "64503 {64501,64502}: invalid (upstream): the path has an AS_SET"


def test_it_stops_at_what_is_no_path(file: Path) -> None:
    done = asked(file, "--local-role", "peer", "-", text="64501\n64501 x\n64501\n")
    assert (done.returncode, len(done.stdout.splitlines())) == (cli.BAD_USAGE, 1)
    assert done.stderr == (
        "rtrd validate-path: line 2: 'x' is not an AS number: expected 0 to 4294967295, with or without AS\n"
    )
    for path in ("64501 0", "64501 {0}"):
        done = asked(file, "--local-role", "peer", path)
        assert (done.returncode, done.stderr) == (cli.BAD_USAGE, "rtrd validate-path: AS 0 is in no path (RFC 7607)\n")
    done = asked(file, "--local-role", "peer", "--neighbor-as", "0", "64501")
    assert (done.returncode, "AS 0 is in no path (RFC 7607)" in done.stderr) == (cli.BAD_USAGE, True)
    assert asked(file, "--local-role", "peer", "64501", "4294967296").returncode == cli.BAD_USAGE


def test_usage(file: Path) -> None:
    for words in (("64501",), ("--local-role", "peer"), ("--local-role", "costumer", "64501")):
        assert asked(file, *words).returncode == cli.BAD_USAGE
    assert "did you mean 'customer'?" in asked(file, "--local-role", "costumer", "64501").stderr
    assert asked(file.with_name("none.json"), "--local-role", "peer", "64501").returncode == cli.FAILED
    done = rtrd("validate-path", "--socket", "/nonexistent", "--local-role", "peer", "64501")
    assert done.returncode == cli.NO_DAEMON


def test_a_route_and_its_path_at_once(file: Path) -> None:
    words = ("validate", "192.0.2.0/24", "AS64501", "--vrps", file)
    path = ("--path", "64504 64502 64501", "--local-role", "provider")
    done = rtrd(*words, *path)
    assert done.stdout == (
        "192.0.2.0/24 AS64501: not-found: no VRP covers the prefix\n"
        "64504 64502 64501: invalid (upstream): AS64502 does not name AS64504 as its provider\n"
        "  AS64501 names AS64502 as its provider\n"
        "  AS64502 does not name AS64504 as its provider\n"
    )
    found = json.loads(rtrd(*words, *path, "--json").stdout)
    assert (found["validated_route"]["validity"]["state"], found["path"]["outcome"]) == ("not-found", "invalid")
    wrong = {
        "--path needs --local-role: what we are to the neighbor": ("--path", "64501"),
        "the path ends with AS64502, but the origin is AS64501": ("--path", "64502", "--local-role", "peer"),
        "--local-role and --neighbor-as are for --path": ("--local-role", "peer"),
    }
    for sentence, more in wrong.items():
        done = rtrd(*words, *more)
        assert (done.returncode, done.stderr) == (cli.BAD_USAGE, f"rtrd validate: {sentence}\n")


def test_a_route_whose_path_ends_with_an_as_set_has_no_origin(tmp_path: Path) -> None:
    file = tmp_path / "vrps.json"
    file.write_text(json.dumps({"roas": [{"asn": 64501, "prefix": "192.0.2.0/24", "maxLength": 24}], "aspas": ASPAS}))
    words = ("validate", "192.0.2.0/24", "AS64501", "--vrps", file, "--local-role", "provider", "--path")
    text = rtrd(*words, "64502 {64501,64503}").stdout.splitlines()
    assert text[0].startswith("192.0.2.0/24 without an origin AS: invalid (as): ")
    assert text[0].endswith("the path ends with an AS_SET, so the route has no origin AS")
    assert "64502 {64501,64503}: invalid (upstream): the path has an AS_SET" in text
    found = json.loads(rtrd(*words, "64502 {64501}", "--json").stdout)
    assert found["validated_route"]["route"]["origin_asn"] is None
    assert found["path"]["as_path"] == "64502 {64501}"
    behind = json.loads(rtrd(*words, "64502 {64503} 64501", "--json").stdout)
    assert behind["validated_route"]["validity"]["state"] == "valid", "the last AS is of an AS_SEQUENCE"


def get(one: StillDaemon, request: str) -> Any:
    with http_client.ask(one.socket, request) as answer:
        return answer.value()


def test_the_daemon_is_asked_for_both(tmp_path: Path) -> None:
    async def serve() -> StillDaemon:
        one = StillDaemon(tmp_path)
        one.daemon.vrp_set.usable = True
        await one.serve()
        return one

    with LoopThread() as thread:
        one = thread.run(serve())
        asked = ("--socket", one.socket, "--local-role", "customer", "--json")
        whole = json.loads(rtrd("validate", "192.0.2.0/24", "64501", "--path", "64502 64501", *asked).stdout)
        alone = json.loads(rtrd("validate-path", *asked, "64502", "64501").stdout)
        query = "path=64502%2064501&local-role=customer"
        by_api = get(one, f"/api/v1/validity/AS64501/192.0.2.0/24?{query}")
        assert get(one, f"/validity?prefix=192.0.2.0/24&asn=64501&{query}") == by_api
        by_set = get(one, f"/validity?prefix=192.0.2.0/24&asn=64501&{query.replace('64501', '%7B64501%7D')}")
        for question in ("path=64502,0&local-role=customer", "path=64502&local-role=customer&neighbor-as=0"):
            with pytest.raises(http_client.RefusedError, match=re.escape("AS 0 is in no path (RFC 7607)")):
                get(one, f"/api/v1/path?{question}")
        thread.run(one.__aexit__())
    assert by_set["validated_route"]["route"]["origin_asn"] is None
    assert by_set["path"]["as_path"] == "64502 {64501}"
    assert whole == by_api
    assert whole["path"] == alone
    assert alone["outcome"] == "valid", "two ASes, one of them our provider"


REASONS: list[tuple[str, str, dict[str, Any], str]] = [
    ("64501", "peer", {}, "there is one AS in the path"),
    ("64503 64502 64501", "peer", {}, "each AS names the next one toward us as its provider"),
    ("64503 64501", "peer", {"neighbor_as": 64502}, "the first AS is AS64503, not the neighbor's AS64502"),
    ("64503", "peer", {"as_set": True}, "the path has an AS_SET"),
    ("", "rs-client", {}, "the path is empty"),
    ("64509 64508", "rs", {}, "AS64508 has no ASPA"),
    ("64505 64507 64505", "customer", {}, "AS64505 does not name AS64507 as its provider"),
    (
        "64503 64502 64501",
        "customer",
        {},
        "each AS names the next one on the way up, and so on the way down; at the top one hop may be of any kind",
    ),
]


@pytest.mark.parametrize(("path", "role", "more", "reason"), REASONS)
def test_the_reason(path: str, role: str, more: dict[str, Any], reason: str) -> None:
    index = ASPAIndex(aspas.union_of(aspas.numbers([(64501, [64502]), (64502, [64503]), (64505, [0])])))
    assert explain_path(index, parse_path(path), parse_role(role), **more)["reason"] == reason
