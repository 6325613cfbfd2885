"""What a reload says of two configurations, as stories."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from rtrd import config
from rtrd.config.diff import compare, merged
from tests.lab.whole import reloadable

BEFORE = """
caches:
  refresh: 3600
  groups:
    - {name: primary, preference: 1, servers: [{host: 192.0.2.10}, {host: 192.0.2.11, port: 8282}]}
    - {name: backup, preference: 2, servers: [{host: "2001:db8::10"}]}
slurm: [one.json, two.json]
policy:
  - from: [192.0.2.1]
    valid: {action: announce, tags: [rfc8097]}
  - invalid: {action: withdraw}
"""


NOT_SAID = "notify-interval: 60, max-version: 2, on-stop: silent"


def loaded(text: str) -> config.Config:
    return config.loads(text, Path("/etc/rtrd/rtrd.yaml"))


def said(*replacements: tuple[str, str]) -> list[str]:
    after = BEFORE
    for old, new in replacements:
        assert old in after
        after = after.replace(old, new)
    return [str(change) for change in compare(loaded(BEFORE), loaded(after), reloadable())]


def test_the_same_file_and_another_spelling_of_it_are_no_change() -> None:
    assert said() == []
    assert said(("3600", "3600 # 1 h"), ("{host: 192.0.2.10}", "{host: 192.0.2.10, port: 323, transport: tcp}")) == []


@pytest.mark.parametrize(
    ("replacement", "change"),
    [
        (("refresh: 3600", "refresh: 60"), ["caches.refresh: 3600 becomes 60"]),
        (("refresh: 3600", "refresh: 3600\n  on-expire: keep"), ["caches.on-expire: not-found becomes keep"]),
        ((", {host: 192.0.2.11, port: 8282}", ""), ["cache 192.0.2.11:8282 of group primary is removed"]),
        (("8282", "8283"), [
            "cache 192.0.2.11:8282 of group primary is removed",
            "cache 192.0.2.11:8283 is added to group primary",
        ]),
        (('{host: "2001:db8::10"}', '{host: "2001:db8::10"}, {host: "2001:db8::11"}'),
            ["cache [2001:db8::11]:323 is added to group backup"]),
        (("preference: 2", "preference: 0"), ["group backup: preference 2 becomes 0"]),
        (("name: backup", "name: spare"), [
            "group backup is removed",
            "group spare is added, with preference 2",
            "cache [2001:db8::10]:323 moves from group backup to spare",
        ]),
        (("two.json", "three.json"), [
            "slurm: /etc/rtrd/two.json is no longer used",
            "slurm: /etc/rtrd/three.json is used",
        ]),
        (("[one.json, two.json]", "[two.json, one.json]"), ["slurm: the order of the files changed"]),
        (("rfc8097", "large:65000:1:0"), ["policy: rule 1 is changed, for 192.0.2.1"]),
        (("  - invalid: {action: withdraw}\n", ""), ["policy: rule 2 is removed"]),
        (("  - invalid", "  - from: [192.0.2.9]\n    to: [192.0.2.8]\n  - invalid"), [
            "policy: rule 2 is changed, for 192.0.2.9",
            "policy: rule 3 is added, for any neighbor",
        ]),
        (("caches:", "on-stop: withdraw\ncaches:"), ["on-stop: keep becomes withdraw"]),
        (("caches:", "start-hold: 5\ncaches:"), ["start-hold: 120 becomes 5"]),
        (("caches:", "control: /run/x.sock\ncaches:"),
            ["control: /run/rtrd/rtrd.sock becomes /run/x.sock (only after a restart)"]),
        (("caches:", "http: 127.0.0.1:9323\ncaches:"), ["http: none becomes 127.0.0.1:9323 (only after a restart)"]),
        (("caches:", "rtr-server: {listen: ['[::1]:3323']}\ncaches:"),
            [f"rtr-server: none becomes {{listen: [[::1]:3323], {NOT_SAID}}} (only after a restart)"]),
        (("caches:", "neighbors: [{match: [AS64496], name: a}]\ncaches:"),
            ["neighbors: [] becomes [{match: [AS64496], name: a, confederation: false}]"]),
        (("caches:", "state: /var/lib/rtrd\ncaches:"), ["state: none becomes /var/lib/rtrd (only after a restart)"]),
    ],
)  # fmt: skip
def test_each_change_is_a_sentence(replacement: tuple[str, str], change: list[str]) -> None:
    assert said(replacement) == change


def test_the_end_of_the_policy_is_said_as_what_it_is() -> None:
    assert said((BEFORE[BEFORE.index("policy:") :], "")) == ["policy: no rule is left, rtrd only observes"]


def test_what_needs_a_restart_stays_as_it_was_until_then() -> None:
    """So the next reload says it again."""
    old = loaded(BEFORE)
    new = loaded("control: /run/x.sock\nstart-hold: 5\n" + BEFORE.replace("3600", "60"))
    in_force = merged(old, new, reloadable())
    assert in_force.control == old.control
    assert (in_force.start_hold, in_force.caches.refresh) == (5, 60)
    assert [str(change) for change in compare(in_force, new, reloadable())] == [
        "control: /run/rtrd/rtrd.sock becomes /run/x.sock (only after a restart)"
    ]


def test_every_key_is_either_changed_or_said_to_need_a_restart() -> None:
    """A key that no part registered must not seem to be in force."""
    old = loaded(BEFORE)
    for field in set(old.__struct_fields__) - {"caches", "policy", "slurm"}:
        other: Any = object()
        new = msgspec.structs.replace(old, **{field: other})
        (change,) = compare(old, new, reloadable())
        assert (getattr(merged(old, new, reloadable()), field) is other) != change.restart, field


def test_of_a_relay_the_versions_change_at_once_unless_keys_change_with_them() -> None:
    def relay(more: str) -> config.Config:
        return loaded(BEFORE.replace("caches:", f"rtr-server: {{listen: ['[::1]:3323'], {more}}}\ncaches:", 1))

    old = relay("clients: [{match: [192.0.2.1], md5-password-file: /f}]")
    signed = "{match: [192.0.2.1], md5-password-file: /f, max-version: 1}"
    clients = f"[{signed}, {{match: [192.0.2.2], max-version: 0}}]"
    new = relay(f"max-version: 1, on-stop: restart, clients: {clients}")
    assert merged(old, new, reloadable()) == new
    assert [str(change) for change in compare(old, new, reloadable())] == [
        f"rtr-server.clients: [{{match: [192.0.2.1], md5-password-file: /f}}] becomes {clients}",
        "rtr-server.max-version: 2 becomes 1",
        "rtr-server.on-stop: silent becomes restart",
    ]
    other = relay("max-version: 1, refresh: 5, clients: [{match: [192.0.2.1], md5-password-file: /g, max-version: 1}]")
    in_force = merged(old, other, reloadable()).rtr_server
    assert old.rtr_server is not None
    assert in_force == msgspec.structs.replace(old.rtr_server, max_version=1)
    assert [change.restart for change in compare(old, other, reloadable())] == [True, True, False]
