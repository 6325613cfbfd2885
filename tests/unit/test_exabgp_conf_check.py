"""`rtrd check --exabgp`: what rtrd lacks in a configuration of ExaBGP, and that no file breaks the reader."""

import os
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrd import config
from rtrd.exabgp import conf_file
from rtrd.exabgp.conf_check import MAX_FINDINGS, check
from rtrd.exabgp.conf_receivers import check_receivers
from rtrd.exabgp.recommended import ENVIRONMENT, WANTED, check_environment
from tests.lab import ROOT, operator_pages
from tests.lab.programs import rtrd

EXAMPLE = (ROOT / "etc" / "exabgp.conf").read_text()
PAGE = (ROOT / "docs" / "exabgp.md").read_text()
HEAD = "process rtrd { run /bin/rtrd attach; encoder json; }\n"
GOOD = """\
neighbor 192.0.2.1 { local-as 65000; peer-as 64496; local-address 192.0.2.9;
  capability { route-refresh; }
  api { processes [ rtrd ]; neighbor-changes;
    receive { packets; update; open; }
    send { packets; open; } } }
"""


def found(text: str) -> list[tuple[int, str, str]]:
    """What is found, but for programs that are not on this host."""
    findings = check(text, "f").findings
    return [(each.line, each.severity, each.what) for each in findings if "not on this host" not in each.what]


def test_the_example_has_all_that_is_recommended() -> None:
    assert found(EXAMPLE) == []
    assert [(str(one.network), one.external) for one in check(EXAMPLE, "f").sessions] == [
        ("192.0.2.1/32", True),
        ("192.0.2.2/32", False),
    ]


def test_so_has_the_page_that_one_starts_by() -> None:
    whole, process = (block.text for block in operator_pages.of_kind("start-exabgp", "exabgp"))
    assert found(whole) == []
    assert found(re.sub(r"process rtrd \{.*?\n\}\n", lambda _: process, whole, count=1, flags=re.DOTALL)) == []


def test_the_page_on_exabgp_says_the_same() -> None:
    for wanted in WANTED:
        assert f"{wanted.key}" in PAGE, wanted.key
    for setting in ENVIRONMENT:
        assert re.search(rf"^\| `exabgp\.{setting.section}\.{setting.key}` \| `{setting.write}`", PAGE, re.MULTILINE)


FAULTS = [
    ("neighbor-changes;", "", 4, "neighbor 192.0.2.1: api: write `neighbor-changes;`"),
    ("packets;", "", 5, "neighbor 192.0.2.1: receive: write `packets;`"),
    (
        "update; open;",
        "update;",
        4,
        "neighbor 192.0.2.1: api: receive: write `open;`: without both OPENs rtrd can't read packets",
    ),
    ("send { packets; open; }", "", 4, "neighbor 192.0.2.1: api: send: write `packets;`: without both OPENs"),
    ("send { packets; open; }", "send { packets; }", 4, "neighbor 192.0.2.1: api: send: write `open;`"),
    ("update;", "update disable;", 5, "neighbor 192.0.2.1: receive: write `update;`"),
    (
        "neighbor-changes;",
        "nieghbor-changes;",
        4,
        "neighbor 192.0.2.1: api: ExaBGP doesn't know 'nieghbor-changes' here; did you mean",
    ),
    (
        "neighbor-changes;",
        "neighbor-changes maybe;",
        4,
        "neighbor 192.0.2.1: api: neighbor-changes: expected enable or disable, found 'maybe'",
    ),
    ("[ rtrd ]", "[ rtdr ]", 4, "neighbor 192.0.2.1: api: there is no process 'rtdr'; did you mean 'rtrd'?"),
    ("[ rtrd ]", "[ ]", 4, "neighbor 192.0.2.1: api: write `processes [ rtrd ];`"),
    ("processes [", "processes-match [", 4, "neighbor 192.0.2.1: api: 4.2 doesn't know `processes-match`"),
    ("peer-as 64496", "peer-as auto", 2, "neighbor 192.0.2.1: `peer-as auto`"),
    ("local-as 65000;", "", 2, "neighbor 192.0.2.1: `local-as` is missing"),
    ("local-as", "inherit good; local-as", 2, "neighbor 192.0.2.1: there is no template 'good'"),
    ("local-as", "auto-flush false; local-as", 2, "neighbor 192.0.2.1: write `auto-flush enable;`"),
    ("192.0.2.1", "192.0.2.300", 2, "neighbor 192.0.2.300: not an IP address"),
    ("192.0.2.1", "192.0.2.0/24", 2, "neighbor 192.0.2.0/24: a range: write `passive;`"),
    ("192.0.2.1", "fe80::1%eth0", 2, "neighbor fe80::1%eth0: ExaBGP refuses an address with a zone"),
    ("192.0.2.1", "::1", 2, "neighbor ::1: `local-address` 192.0.2.9 and the neighbor's address are not of one family"),
    ("local-as", "hold-tiem 90; local-as", 2, "neighbor 192.0.2.1: ExaBGP doesn't know 'hold-tiem' here; did you mean"),
    ("local-as", "foo { } local-as", 2, "neighbor 192.0.2.1: ExaBGP doesn't know 'foo' here, and refuses the file"),
    ("local-as", "family ipv4; local-as", 2, "neighbor 192.0.2.1: write `family { ... }`: ExaBGP takes no statement"),
    ("local-as", "; local-as", 2, "`;` without a word before it"),
    ("[ rtrd ]", "rtrd", 4, "neighbor 192.0.2.1: api: processes: expected `[ rtrd ]`, with blanks and brackets"),
    ("\nneighbor", " process x { run /bin/true; }\nneighbor", 1, "process x: `encoder` is missing"),
    ("encoder json", "encoder text", 1, "process rtrd: write `encoder json;`"),
    ("encoder json;", "", 1, "process rtrd: write `encoder json;`"),
    ("rtrd attach", "rtrd run -c /etc/rtrd/rtrd.yaml", 1, "process rtrd: run `rtrd attach`, or"),
    ("rtrd attach", "rtrd status", 1, "process rtrd: run `rtrd attach`, or"),
    ("/bin/rtrd attach", '"/bin/rtrd attach"', 1, "process rtrd: run: in quotes"),
    ("/bin/rtrd attach", "/bin/true", 1, "no process runs rtrd: write `process rtrd {"),
    ("local-as", "process x { run /bin/true; } local-as", 2, "neighbor 192.0.2.1: `process` within a neighbor"),
    ("local-address 192.0.2.9;", "local-address 192.0.2.9", 2, "`local-address 192.0.2.9` isn't ended on its line"),
    ("update; open; }", "open; update }", 5, "ExaBGP ignores `update`: there is no `;`"),
    ("} } }", "} } } }", 6, "`}` closes nothing; ExaBGP ignores the rest of the file"),
    ("neighbor 192.0.2.1", "nieghbor 192.0.2.1", 2, "unknown section 'nieghbor'; did you mean 'neighbor'?"),
]


@pytest.mark.parametrize(("old", "new", "line", "what"), FAULTS)
def test_a_fault(old: str, new: str, line: int, what: str) -> None:
    text = HEAD + GOOD
    assert old in text
    faults = [(at, said) for at, severity, said in found(text.replace(old, new, 1)) if severity == "fault"]
    assert any(at == line and said.startswith(what) for at, said in faults), faults


WARNINGS = [
    ("route-refresh;", "", 2, "neighbor 192.0.2.1: capability: write `route-refresh enable;`"),
    ("local-as", "adj-rib-in false; local-as", 2, "neighbor 192.0.2.1: write `adj-rib-in enable;`"),
    ("local-as", "adj-rib-in; local-as", 2, "neighbor 192.0.2.1: write `adj-rib-in enable;`"),
    ("local-as", "group-updates false; local-as", 2, "neighbor 192.0.2.1: write `group-updates enable;`"),
    ("local-as", "hold-time 10; local-as", 2, "neighbor 192.0.2.1: hold-time 10"),
    ("local-as", "family { ipv4 flow; } local-as", 2, "neighbor 192.0.2.1: neither `ipv4 unicast` nor"),
    ("neighbor-changes;", "neighbor-changes; negotiated;", 4, "neighbor 192.0.2.1: api: leave out `negotiated`"),
    ("update;", "update; consolidate;", 5, "neighbor 192.0.2.1: receive: leave out `consolidate`"),
    ("update;", "update; parsed;", 5, "neighbor 192.0.2.1: receive: leave out `parsed`"),
    ("packets; update; open;", "parsed; update;", 4, "neighbor 192.0.2.1: api: better `receive { packets; "),
    ("encoder", "respawn false; encoder", 1, "process rtrd: with `respawn false`"),
    ("192.0.2.1 {", "192.0.2.0/24 { passive;", 2, "neighbor 192.0.2.0/24: a range: rtrd learns"),
    ("local-address 192.0.2.9;", "router-id 192.0.2.9;", 2, "neighbor 192.0.2.1: no `local-address`: ExaBGP 4.2"),
    ("local-as", "source-interface eth0; local-as", 2, "neighbor 192.0.2.1: ExaBGP 4.2 doesn't take `source-inter"),
    ("} } }", "} }", 2, "`neighbor 192.0.2.1 {` is never closed"),
]


@pytest.mark.parametrize(("old", "new", "line", "what"), WARNINGS)
def test_a_warning(old: str, new: str, line: int, what: str) -> None:
    ((at, severity, said),) = found((HEAD + GOOD).replace(old, new, 1))
    assert (at, severity) == (line, "warning")
    assert said.startswith(what)


def test_a_neighbor_without_api_is_told_what_to_write() -> None:
    """What it is told to write is what is recommended."""
    ends = "local-as 1; peer-as 1; local-address ::2; router-id 192.0.2.9;"
    text = HEAD + f"neighbor ::1 {{ {ends} capability {{ route-refresh; }} }}\n"
    ((line, severity, what),) = found(text)
    assert (line, severity) == (2, "fault")
    api = what.partition("write `")[2].removesuffix("`")
    assert found(text.replace("local-as", f"{api} local-as")) == []


def test_a_template_is_told_of_once_and_overrules_the_neighbor() -> None:
    template = "template { neighbor t {\n local-as 65000; capability { route-refresh; } group-updates false;\n"
    template += " api { processes [ rtrd ]; receive { packets; update; open; } send { packets; open; } }\n} }\n"
    neighbors = "".join(
        f"neighbor 192.0.2.{n} {{ inherit t; local-address 192.0.2.9; peer-as 1; group-updates true; }}\n"
        for n in range(1, 9)
    )
    assert [(line, what.partition(":")[0]) for line, _, what in found(HEAD + template + neighbors)] == [
        (3, "template t"),
        (4, "template t"),
    ]


def test_a_neighbor_that_is_there_twice() -> None:
    """ExaBGP refuses the same session; rtrd can't tell apart two that differ in their AS alone."""
    other = GOOD.replace("neighbor 192.0.2.1", "neighbor 192.0.2.2").replace(
        "{ local-as", "{ peer-address 192.0.2.1; local-as"
    )
    for second, severity, what in [
        (GOOD, "fault", "neighbor 192.0.2.1: it is on line 2 already"),
        (other, "fault", "neighbor 192.0.2.2: it is on line 2 already"),
        (
            GOOD.replace("local-as 65000", "local-as 65001"),
            "warning",
            "neighbor 192.0.2.1: a neighbor with this address",
        ),
    ]:
        ((line, kind, said),) = found(HEAD + GOOD + second)
        assert (line, kind) == (7, severity)
        assert said.startswith(what)
    assert found(HEAD + GOOD + GOOD.replace("192.0.2.9", "192.0.2.8")) == []
    six = GOOD.replace("192.0.2.1", "2001:db8::1").replace("192.0.2.9", "2001:db8::9; router-id 192.0.2.9")
    odd = six.replace("2001:db8::1", "2001:DB8:0:0::1").replace("2001:db8::9", "2001:0db8::0009")
    ((line, kind, said),) = found(HEAD + six + odd)
    assert (line, kind) == (7, "warning")
    assert said.startswith("neighbor 2001:DB8:0:0::1: a neighbor with this address and `local-address` is on line 2")


def test_what_exabgp_would_write_twice() -> None:
    """Measured with 4.2.25 and 5.0.15: of a process that is named twice each line comes twice."""
    ((line, severity, said),) = found(HEAD + GOOD.replace("[ rtrd ]", "[ rtrd rtrd ]"))
    assert (line, severity) == (4, "warning")
    assert said == "neighbor 192.0.2.1: api: process rtrd is named twice: ExaBGP writes it each line twice"
    second = "\n  api again { processes [ rtrd ]; %s } }\n"
    for words, key in (
        ("neighbor-changes;", "neighbor-changes"),
        ("receive { open; }", "receive open"),
        ("send { packets; }", "send packets"),
        ("send { update; }", ""),
        ("neighbor-changes disable;", ""),
    ):
        twice = [each for _, _, each in found(HEAD + GOOD.removesuffix(" }\n") + second % words) if "twice" in each]
        assert [each.split("`")[1] for each in twice] == ([key] if key else []), (words, twice)


def test_a_byte_order_mark() -> None:
    assert found("\ufeff" + HEAD + GOOD) == [
        (1, "fault", "a byte order mark: ExaBGP refuses the file: save it as UTF-8 without one")
    ]


def test_a_template_stands_before_its_neighbors() -> None:
    text = HEAD + GOOD.replace("local-as", "inherit t; local-as", 1) + "template { neighbor t { } }\n"
    assert [each[:2] for each in found(text)] == [(2, "fault")]
    assert "template t is on line 7: ExaBGP wants it before" in str(found(text))


def test_two_processes_that_run_rtrd_want_each_neighbor_to_name_the_same() -> None:
    other = HEAD.replace("process rtrd", "process other")
    second = GOOD.replace("192.0.2.1", "192.0.2.2")
    ((line, severity, what),) = found(HEAD + other + GOOD + second.replace("[ rtrd ]", "[ other ]"))
    assert (line, severity) == (2, "warning")
    assert what.startswith("process other: not the only one that runs rtrd: each knows only the neighbors that name it")
    assert found(HEAD + other + GOOD + second) == []


def test_who_only_waits_needs_an_exabgp_that_listens(tmp_path: Path) -> None:
    conf, env = tmp_path / "exabgp.conf", tmp_path / "exabgp.env"
    passive = GOOD.replace("local-as", "passive; local-as", 1)
    cases = [
        (GOOD, "''", False),
        (passive, "''", True),
        (passive, "192.0.2.9", False),
        (passive.replace("local-as", "listen 1179; local-as", 1), "''", False),
        (GOOD.replace("local-as", "passive false; local-as", 1), "''", False),
    ]
    for text, bind, is_warned in cases:
        conf.write_text(HEAD + text)
        env.write_text(f"[exabgp.tcp]\nbind = {bind}\nport = 179\n")
        said = rtrd("check", "--exabgp", str(conf)).stderr
        warning = f"{conf}:2: warning: neighbor 192.0.2.1: `passive`, but ExaBGP listens nowhere: write `listen PORT;`"
        assert (warning in said) is is_warned, (text, bind, said)


def test_a_program_whose_name_is_longer_than_any() -> None:
    long = "/" + 300 * "a"
    (finding,) = check(HEAD.replace("/bin/rtrd", f"{long}/rtrd") + GOOD, "f").findings
    assert finding.severity == "warning"
    assert finding.what.endswith("... is not on this host")


def test_programs_that_exabgp_refuses(tmp_path: Path) -> None:
    """Seen with 4.2.25 and 5.0.15. A name without a slash is looked for beside the file, and in PATH."""
    for name, mode in (("rtrd", 0o755), ("sudo", 0o4755), ("text", 0o644)):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
    (tmp_path / "folder").mkdir()

    def said(program: str) -> list[str]:
        text = HEAD.replace("/bin/rtrd", f"{program} /bin/rtrd") + GOOD
        return [
            each.what.partition(": run: ")[2].partition(" ")[2] for each in check(text, str(tmp_path / "f")).findings
        ]

    setuid = "is setuid: ExaBGP refuses such programs; have ExaBGP's own unit choose the user"
    assert said("sudo") == said(f"{tmp_path}/sudo") == [setuid]
    assert said("rtrd") == said("sh") == said("./rtrd") == []
    assert said("text") == ["is not executable"]
    assert said("folder") == ["is a folder"]
    assert said("no-such-program") == ["is not on this host"]


def test_the_old_syntax_is_told() -> None:
    text = HEAD + "group g {\n neighbor 192.0.2.1 { local-as 1; peer-as 1; }\n}\n"
    line, severity, what = found(text)[0]
    assert (line, severity) == (2, "fault")
    assert what.startswith("`group` is syntax of ExaBGP 3")
    assert "no `api` section" in str(found(text))


def test_comments_quotes_and_lines_that_go_on() -> None:
    text = HEAD + GOOD.replace("local-as 65000;", 'description "a { b; # c }"; # } {\n local-as \\\n65000;')
    assert found(text) == []
    assert found("# nothing\n")[0][:2] == (0, "fault")


ENV = "[exabgp.api]\nack = true\nchunk = 1\n\n[exabgp.log]\nlevel = INFO\n"


def test_the_environment() -> None:
    findings = check_environment(ENV, "exabgp.env")
    assert [(each.line, each.severity) for each in findings] == [(3, "warning"), (6, "warning")]
    assert check_environment(ENV.replace("INFO", "'WARNING'").replace("= 1\n", "= 1000\n"), "e") == []
    assert [each.line for each in check_environment("[a]\nrespawn = false\n[exabgp.api]\nrespawn = false", "e")] == [
        0,
        0,
        4,
    ]


TAGS = "valid: {action: announce}, aspa-invalid: {action: announce, tags: ['large:65000:1:1']}"
LEAK = "valid: {action: announce}, leak: {action: withdraw}"
RULES = [
    ("- {valid: {action: announce}}", [], "announced to every neighbor but the route's own"),
    ("- {from: [192.0.2.2], valid: {action: announce}}", EXAMPLE, "also to 192.0.2.1 of another AS (eBGP)"),
    ("- {from: [192.0.2.1], valid: {action: announce}}", EXAMPLE, None),
    ("- {from: [AS64499], to: [192.0.2.1], valid: {action: announce}}", EXAMPLE, "AS64499: no neighbor of ExaBGP"),
    (
        "- {from: [10.0.0.0/8], to: [192.0.2.1], valid: {action: announce}}",
        EXAMPLE,
        "10.0.0.0/8: no neighbor of ExaBGP",
    ),
    ("- {from: [192.0.2.1], to: [192.0.2.9], valid: {action: announce}}", EXAMPLE, "192.0.2.9: no neighbor of ExaBGP"),
    (
        "- {from: [192.0.2.1], to: [192.0.2.2], valid: {action: announce}}",
        EXAMPLE.replace("neighbor 192.0.2.2 ", "neighbor 192.0.2.2/31 "),
        "within the range 192.0.2.2/31",
    ),
    ("- {valid: {action: observe}}", [], None),
    (f"- {{to: [192.0.2.2], {TAGS}}}", [], "others should not be told what a path is"),
    (f"- {{to: [192.0.2.1], {TAGS}}}", EXAMPLE, "others should not be told what a path is"),
    (f"- {{to: [192.0.2.1, 192.0.2.2], {TAGS}}}", EXAMPLE, "others should not be told what a path is"),
    (f"- {{from: [192.0.2.1], to: [192.0.2.2], {TAGS}}}", EXAMPLE, None),
    (f"- {{from: [192.0.2.2], to: [192.0.2.1], {LEAK}}}", EXAMPLE, "paths are where they enter the AS"),
    (f"- {{from: [AS65000], to: [192.0.2.1], {LEAK}}}", EXAMPLE, "paths are where they enter the AS"),
    (f"- {{from: [192.0.2.0/24], to: [192.0.2.1], {LEAK}}}", EXAMPLE, None),
    (f"- {{from: [192.0.2.2], to: [192.0.2.1], {LEAK}}}", [], None),
]


@pytest.mark.parametrize(("rule", "exabgp", "what"), RULES)
def test_whom_rules_reach(rule: str, exabgp: str, what: str | None, tmp_path: Path) -> None:
    file = tmp_path / "rtrd.yaml"
    file.write_text("caches:\n  groups: [{name: a, preference: 1, servers: [{host: a}]}]\npolicy:\n  " + rule + "\n")
    sessions = check(exabgp, "f").sessions if exabgp else None
    findings = check_receivers(config.examine(file).root, "rtrd.yaml", sessions)
    assert [(each.line, each.severity) for each in findings] == ([(4, "warning")] if what else [])
    assert what is None or what in findings[0].what


def test_whom_neighbors_name(tmp_path: Path) -> None:
    """What names nobody says nothing of anybody; a router that speaks BMP may have such a neighbor."""
    file, sessions = tmp_path / "rtrd.yaml", check(EXAMPLE, "f").sessions
    text = "caches:\n  groups: [{name: a, preference: 1, servers: [{host: a}]}]\nneighbors:\n"
    text += (
        "  - {match: [192.0.2.1, 192.0.2.0/24], local-role: customer}\n  - {match: [192.0.20.1], local-role: peer}\n"
    )
    file.write_text(text)
    (found,) = check_receivers(config.examine(file).root, "rtrd.yaml", sessions)
    assert (found.line, found.what.partition(".")[2]) == (
        5,
        "match[0]: 192.0.20.1: no neighbor of ExaBGP's configuration",
    )
    file.write_text(text + "bmp: {listen: ['127.0.0.1:11019']}\n")
    assert check_receivers(config.examine(file).root, "rtrd.yaml", sessions) == []


UNREADABLE = [
    ("ack = true\n", 1, "`ack = true` is in no section: write one above it, as `[exabgp.api]`"),
    ("\ufeff[exabgp.api]\n", 1, "a byte order mark: save the file as UTF-8 without one"),
    ("[exabgp.api]\nack = true\nack = true\n", 3, "`ack` is there twice in [exabgp.api]"),
    ("[exabgp.api]\n[exabgp.log]\n[exabgp.api]\n", 3, "[exabgp.api] is there twice"),
    ("[exabgp.api]\nack true\n", 2, "expected `name = value`, or a section"),
    ("[exabgp.api]\nchunk = abc\n", 2, "chunk: expected a number, found abc"),
]


@pytest.mark.parametrize(("text", "line", "what"), UNREADABLE)
def test_an_environment_with_which_exabgp_does_not_start(text: str, line: int, what: str) -> None:
    """Seen with 4.2.25, which ends with a traceback."""
    faults = [(one.line, one.what) for one in check_environment(text, "e") if one.severity == "fault"]
    assert faults == [(line, f"ExaBGP does not start: {what}")]


def test_the_environment_as_exabgp_reads_it() -> None:
    def acks(text: str) -> list[int]:
        return [one.line for one in check_environment(text, "e") if "`ack = true`" in one.what]

    assert acks("[exabgp.api]\nack = 'true'\n") == []
    assert acks("[exabgp.api]\nACK: no\n") == [2]
    assert acks("[exabgp.api]  \nack = Yes\n[api]\nack = no\n") == []


def test_the_command(tmp_path: Path) -> None:
    file, exabgp = tmp_path / "rtrd.yaml", tmp_path / "exabgp.conf"
    file.write_text("caches:\n  groups: [{name: a, preference: 1, servers: [{host: a}]}]\ncontrol: /run/x/s\n")
    exabgp.write_text(HEAD + GOOD)
    (tmp_path / "exabgp.env").write_text(ENV)
    done = rtrd("check", file, "--exabgp", exabgp)
    assert done.returncode == 0
    elsewhere = f"attaches at /run/rtrd/rtrd.sock, but `control` of {file} is /run/x/s"
    assert f"{exabgp}:1: warning: run: {elsewhere}" in done.stderr
    assert f"{tmp_path}/exabgp.env:6: warning: " in done.stderr
    assert f"{exabgp}: good: 1 neighbor\n" in done.stdout
    (tmp_path / "exabgp.env").write_bytes(b"\xff\xfe")
    done = rtrd("check", "--exabgp", exabgp)
    assert (done.returncode, f"{tmp_path}/exabgp.env: ExaBGP does not start: the file is not UTF-8" in done.stderr) == (
        2,
        True,
    )
    exabgp.write_text(GOOD)
    done = rtrd("check", "--exabgp", exabgp, "--json")
    assert done.returncode == 2
    assert '"severity": "fault"' in done.stdout


ODD = {"fifo": "it is a FIFO", "folder": "it is a folder", "none": "No such file", "/dev/zero": "it is a device"}


@pytest.mark.parametrize("name", ODD)
def test_what_is_no_file(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    with pytest.raises(conf_file.ConfFileError, match=ODD[name]):
        conf_file.read(tmp_path / name)


def test_what_is_too_long_or_is_not_text(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"a;\n\xff")
    with pytest.raises(conf_file.ConfFileError, match="not UTF-8: byte 0xff on line 2"):
        conf_file.read(file)
    with file.open("wb") as sparse:
        sparse.truncate(1 << 30)
    with pytest.raises(conf_file.ConfFileError, match="longer than 8 MiB"):
        conf_file.read(file)
    file.write_bytes("\ufeff# a\r\n".encode())
    assert conf_file.read(file).endswith("# a\r\n")


ROUTES = [
    (
        "static {\n route 10.0.0.0/24 nexthop self; }",
        5,
        "static: route: ExaBGP doesn't know 'nexthop' here; did you mean",
    ),
    ("static { route 10.0.0.0/24; }", 4, "static: route 10.0.0.0/24: `next-hop` is missing"),
    (
        "static { route 10.0.0.9/24 next-hop self; }",
        4,
        "static: route: expected a prefix, found '10.0.0.9/24'; did you",
    ),
    ("static { attributes med 5; }", 4, "static: attributes: expected `nlri PREFIX ...` at the end"),
    ("announce { ipv6 { unicast 2001:db8::/32 next-hop ::1; } }", 4, "announce: ipv6: unicast: 2001:db8::/32: an IPv6"),
    ("flow { route x { match { sorce 10.0.0.0/8; } } }", 4, "flow: route: match: ExaBGP doesn't know 'sorce' here"),
]


@pytest.mark.parametrize(("routes", "line", "what"), ROUTES)
def test_a_route_written_by_hand_that_exabgp_refuses(routes: str, line: int, what: str) -> None:
    [(where, severity, said)] = found(HEAD + GOOD.replace("api {", f"{routes}\n  api {{"))
    assert (where, severity) == (line, "fault")
    assert said.startswith(what)


@pytest.mark.parametrize(
    ("capability", "receive", "state", "warned"),
    [
        ("add-path send/receive;", "packets; update; open;", "", True),
        ("add-path send/receive;", "packets; update; open;", "state: .", False),
        ("add-path disable;", "packets; update; open;", "", False),
        ("", "packets; update; open;", "", False),
        ("add-path receive;", "parsed; update;", "", False),
    ],
)
def test_add_path_in_packets_mode_wants_a_state_folder(
    tmp_path: Path, capability: str, receive: str, state: str, warned: bool
) -> None:
    exabgp, ours = tmp_path / "exabgp.conf", tmp_path / "rtrd.yaml"
    text = GOOD.replace("route-refresh;", f"route-refresh; {capability}").replace("packets; update; open;", receive)
    exabgp.write_text(HEAD + text)
    servers = "[{host: 192.0.2.7, port: 323}]"
    ours.write_text(f"caches: {{groups: [{{name: a, preference: 1, servers: {servers}}}]}}\n{state}\n")
    done = rtrd("check", ours, "--exabgp", exabgp)
    assert (f"{ours}: warning: `state` is missing: 192.0.2.1 may use ADD-PATH" in done.stderr) is warned, done.stderr


HUGE = {
    "nested": "a {\n" * 200_000,
    "one line": "a { " * 200_000,
    "closed": "a { " * 10 + "}" * 200_000,
    "neighbors": "neighbor 192.0.2.1 { }\n" * 60_000,
    "statements": "template { neighbor a { " + "x y;\n" * 300_000,
    "routes": "neighbor ::1 { static {\n" + "route 10.0.0.0/8 next-hop 1.1.1.1;\n" * 100_000 + "} }",
    "wrong routes": "neighbor ::1 { static {\n" + "rout 10.0.0.0/8 nexthop 1.1.1.1;\n" * 100_000 + "} }",
    "a long route": "neighbor ::1 { static { route 10.0.0.0/8 " + "med 1 " * 500_000 + "; } }",
    "open lists": "neighbor ::1 { static { route 10.0.0.0/8 " + "community [ " * 300_000 + "; } }",
    "a word": "x" * (4 << 20),
    "quotes": "'\"" * (1 << 20),
    "backslashes": "\\" * (1 << 20),
    "unended": "x\n" * 500_000,
    "template": "neighbor ::1 { inherit t; }\n" * 20_000
    + "template { neighbor t { " + "api { processes [ a b ]; }\n" * 20_000 + "} }\n",
    "inherits": "template { " + "".join(f"neighbor t{n} {{ }}\n" for n in range(3000)) + "}\nneighbor ::1 {\n"
    + "".join(f"inherit u{n};\n" for n in range(3000)) + "}\n",
}  # fmt: skip


@pytest.mark.parametrize("name", HUGE)
def test_work_and_words_are_bounded(name: str) -> None:
    began = time.process_time()
    findings = check(HUGE[name], "f").findings
    assert time.process_time() - began < 20
    assert 0 < len(findings) <= MAX_FINDINGS + 1
    assert sum(len(each.what) for each in findings) < 200_000


PIECES = st.sampled_from(
    [*re.findall(r"[\w-]+|\S", HEAD + GOOD), "\n", " ", '"', "'", "\\", "#", "\0", "template", "é"]
)


@settings(deadline=None)
@given(st.one_of(st.text(), st.lists(PIECES, max_size=60).map(" ".join), st.lists(PIECES, max_size=60).map("".join)))
def test_no_text_breaks_it(text: str) -> None:
    for finding in check(text, "f").findings:
        assert finding.what.isprintable()
        assert 0 <= finding.line <= text.count("\n") + 1


@settings(deadline=None)
@given(st.integers(0, len(EXAMPLE)), st.integers(0, 40), st.text(max_size=4))
def test_nor_does_an_example_that_is_torn(at: int, gone: int, new: str) -> None:
    check(EXAMPLE[:at] + new + EXAMPLE[at + gone :], "f")
    check_environment(EXAMPLE[:at] + new, "f")
