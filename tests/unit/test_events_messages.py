"""Where events are published, as the configuration says it; and what is published."""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrd import config
from rtrd.api.dump import without_secrets
from rtrd.config import ConfigError
from rtrd.config.diff import compare
from rtrd.config.nats import SUBJECT_OF_ALL, NATSServer, parse_nats_server, parse_subject
from rtrd.events.messages import Messages, own_name, token

CACHES = "caches: {groups: [{name: a, preference: 1, servers: [{host: 192.0.2.10}]}]}\n"


def load(events: str) -> config.Config:
    return config.loads(f"{CACHES}state: /var/lib/rtrd\nevents: {events}\n", Path("/etc/rtrd/rtrd.yaml"))


def found(events: str, before: str = "state: /var/lib/rtrd\n") -> list[tuple[int, str, str]]:
    examined = config._examine(f"{CACHES}{before}events: {events}\n", Path("/etc/rtrd/rtrd.yaml"))
    return [(each.line, each.severity, each.what) for each in examined.findings]


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("nats://127.0.0.1:4222", NATSServer("127.0.0.1", 4222)),
        ("nats://nats.example/", NATSServer("nats.example", 4222)),
        ("tls://[2001:db8::1]:4443", NATSServer("2001:db8::1", 4443, tls=True)),
        ("nats://a:p%3a%40b@nats.example", NATSServer("nats.example", 4222, user="a", password="p:@b")),
        ("nats://a@nats.example", NATSServer("nats.example", 4222, user="a")),
    ],
)
def test_servers(text: str, server: NATSServer) -> None:
    assert parse_nats_server(text) == server


@pytest.mark.parametrize(
    "text",
    [
        "http://a:4222",
        "a:4222",
        "nats://a:0",
        "nats://a:65536",
        "nats://a:x",
        "nats://",
        "nats://a/b",
        "nats://a?x",
        "nats://[a]:1",
        "nats://a,b",
        "nats://2001:db8::1",
        "nats://-a",
        "nats://a@b@c",
        "ws://a",
    ],
)
def test_no_servers(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(f'{{nats: "{text}"}}')
    (fault,) = caught.value.faults
    assert fault.line == 3
    assert fault.what.startswith("events.nats: ")


@pytest.mark.parametrize(
    "text", ["a b", "a..b", ".a", "a.", "a.*", "a.>", "$JS.x", "{nobody}", "{host", "_INBOX.a", "ä"]
)
def test_no_subjects(text: str) -> None:
    with pytest.raises(ValueError):
        parse_subject(text)


def test_a_password_is_in_nothing_that_is_said() -> None:
    one, other = (load(f'{{nats: "nats://a:{word}@b"}}') for word in ("secret1", "secret2"))
    said = [str(each) for each in compare(one, other, {"events"})]
    dumped = without_secrets(msgspec.to_builtins(one, enc_hook=str))
    for text in (*said, str(one.events and one.events.nats), json.dumps(dumped, default=str)):
        assert "secret" not in text
    assert said


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ('{nats: "nats://a@b", password-file: p}', []),
        ('{nats: "nats://b"}', []),
        ('{nats: "nats://a@b"}', [("warning", "events.nats: the user 'a' has no password")]),
        (
            '{nats: "nats://a:c@b"}',
            [("warning", "events.nats: the password stands in this file: password-file keeps it apart")],
        ),
        ('{nats: "nats://b", ca: x}', [("fault", "events.ca: only with tls://")]),
        ('{nats: "tls://b", key: x}', [("fault", "events: 'certificate' and 'key' belong together")]),
        ('{nats: "nats://b", max-spool: 0}', [("fault", "events.max-spool: out of range: 0, expected 1 to 65536")]),
        ("{}", [("fault", "events: 'nats' is missing")]),
    ],
)
def test_what_must_agree(events: str, expected: list[tuple[str, str]]) -> None:
    assert [each[0] for each in found(events)] == [3] * len(expected)
    assert [each[1] for each in found(events)] == [each[0] for each in expected]
    for (*_, what), (_, wanted) in zip(found(events), expected, strict=True):
        assert what.startswith(wanted.partition(":")[0])


def test_without_a_state_folder_there_is_a_warning() -> None:
    ((line, severity, what),) = found('{nats: "nats://b"}', before="")
    assert (line, severity) == (2, "warning")
    assert "in memory only" in what


@given(st.text())
def test_any_name_is_one_part_of_a_subject(text: str) -> None:
    made = token(text)
    assert 0 < len(made) <= 64
    assert parse_subject(f"a.{made}") == f"a.{made}"


def test_an_event_keeps_its_fields_and_gets_its_host_and_a_number() -> None:
    messages = Messages("run", "edge.example", SUBJECT_OF_ALL)
    line = '{"time":"t","kind":"route","text":"ü","router":"r 1","was":null}'.encode()
    first, second = messages.of(line), messages.of(line)
    assert first.subject == "rtrd.events.edge_example.r_1.route"
    assert json.loads(first.payload) == {
        **json.loads(line), "host": "edge.example", "id": "run-1", "schema": 1,
    }  # fmt: skip
    assert (first.number, second.number) == ("run-1", "run-2")
    assert b"\n" not in first.payload


def test_a_message_that_waited_goes_to_the_subject_of_now() -> None:
    before, now = Messages("run", "h", "old.{kind}"), Messages("run", "h", "new.{kind}.{router}")
    message = before.of(b'{"kind":"route","router":"r"}')
    assert now.readdressed(message) == message._replace(subject="new.route.r")
    torn = message._replace(payload=b'{"kind":}')
    assert now.readdressed(torn) == torn


def test_a_subject_without_parts_of_its_own_is_that_of_all() -> None:
    messages = Messages("run", "h", "example.rtrd")
    lost = messages.lost("t", 3, 7)
    assert lost.subject == messages.subject_of_all() == "example.rtrd"
    assert json.loads(lost.payload)["count"] == 3
    assert lost.number != messages.lost("t", 4, 8).number


@pytest.mark.parametrize(
    ("control", "name"),
    [
        ("/run/rtrd/rtrd.sock", "edge.example"),
        ("/run/rtrd-edge1/rtrd.sock", "edge1@edge.example"),
        ("/run/rtrd-a-b/rtrd.sock", "a-b@edge.example"),
        ("/run/rtrd-/rtrd.sock", "edge.example"),
        ("rtrd.sock", "edge.example"),
    ],
)
def test_an_instance_has_a_name_of_its_own(control: str, name: str) -> None:
    assert own_name("edge.example", Path(control)) == name
