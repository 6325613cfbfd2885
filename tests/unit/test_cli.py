"""The command line as a user meets it: exit codes, what goes where, no traceback ever."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rtrd import cli
from rtrd.version import __version__
from tests.lab import ROOT, mrt
from tests.lab.programs import AS_US, RTRD, rtrd, run
from tests.lab.slurm_text import slurm_text

EXAMPLE = ROOT / "etc" / "rtrd.yaml"
VRPS = '{"roas": [{"asn": "AS64500", "prefix": "192.0.2.0/24", "maxLength": 24}]}'


def refused(*words: object) -> str:
    """What is said of words that no command takes."""
    done = rtrd(*words)
    assert (done.returncode, done.stdout) == (cli.BAD_USAGE, "")
    return done.stderr


@pytest.fixture
def vrps(tmp_path: Path) -> Path:
    path = tmp_path / "vrps.json"
    path.write_text(VRPS)
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.yaml"
    path.write_text("caches:\n  refresh: 0\ncolor: 1\n")
    return path


def test_check_prints_every_fault_and_ends_with_2(bad: Path) -> None:
    done = rtrd("check", *AS_US, bad)
    assert done.returncode == 2
    assert done.stdout == ""
    assert [line.split(": ")[0] for line in done.stderr.splitlines()] == [f"{bad}:2", f"{bad}:2", f"{bad}:3"]


def test_check_in_json(bad: Path) -> None:
    done = rtrd("check", *AS_US, bad, "--json")
    assert done.returncode == 2
    found = json.loads(done.stdout)
    assert found["good"] is False
    assert found["faults"][-1]["line"] == 3
    rules = bad.with_name("rules.yaml")
    rules.write_text("caches:\n  groups:\n    - {name: a, preference: 1, servers: [{host: 192.0.2.10}]}\n")
    done = rtrd("check", *AS_US, rules, "--json")
    counts = {"caches": 1, "groups": 1, "rules": 0}
    assert json.loads(done.stdout) == {"file": str(rules), "good": True, "faults": [], "warnings": [], **counts}
    rules.write_text(f"{rules.read_text()}policy: [{{invalid: {{action: announce}}}}, {{}}]\n")
    found = json.loads(rtrd("check", *AS_US, rules, "--json").stdout)
    assert found["good"] is True
    assert [(each["line"], each["severity"]) for each in found["warnings"]] == [(4, "warning")] * 3


def test_check_says_what_a_good_file_holds() -> None:
    done = rtrd("check", EXAMPLE)
    assert done.returncode == 0
    # Whether its folder for the state is there depends on the host.
    assert re.fullmatch(rf"({EXAMPLE}:\d+: warning: state: [^\n]*\n)?", done.stderr)
    assert done.stdout == f"{EXAMPLE}: good: 2 caches, 2 groups, 0 rules; without rules rtrd only observes\n"


@pytest.mark.parametrize("more", [[], ["--exabgp"]])
def test_run_refuses_a_bad_configuration_and_leaves_stdout_alone(bad: Path, more: list[str]) -> None:
    done = rtrd("run", "-c", bad, *more)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{bad}:3: unknown key 'color'" in done.stderr


def test_as_exabgps_process_it_fails_slowly_and_keeps_reading(bad: Path) -> None:
    """Five deaths in 64 s end ExaBGP, and it stands still while nobody reads."""
    pipe = subprocess.PIPE
    argv = [RTRD, "run", "-c", str(bad), "--exabgp"]
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        assert b":2: caches.refresh" in process.stderr.readline()
        process.stdin.write(b"x" * (1 << 20))  # 16 times what the pipe holds
        process.stdin.flush()
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(10) == 2


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["bogus"],
        ["run"],
        ["check"],
        ["validate", "192.0.2.0/24"],
        ["validate", "192.0.2.1/24", "1"],
        ["validate", "192.0.2.0/24", "AS-1"],
        ["vrps", "x"],
        ["routes", "--validity", "good"],
        ["routes", "--neighbor", "192.0.2.300"],
        ["watch", "--last", "-1"],
        ["whatif", "--rows", "x", "+192.0.2.0/24@1"],
        ["status", "--sock", "x"],
    ],
)
def test_bad_usage_ends_with_2_and_shows_the_usage(words: list[str]) -> None:
    said = refused(*words)
    assert said.startswith("usage: rtrd")
    assert "Traceback" not in said


def test_validate_with_a_file_needs_no_daemon(vrps: Path) -> None:
    done = rtrd("validate", "192.0.2.0/24", "AS64500", "--vrps", vrps)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("192.0.2.0/24 AS64500: valid: ")
    done = rtrd("validate", "192.0.2.0/25", "64500", "--vrps", vrps, "--json")
    found = json.loads(done.stdout)["validated_route"]["validity"]
    assert (found["state"], found["reason"]) == ("invalid", "length")


def test_vrps_of_a_file_that_are_too_many_of_one_prefix_are_told(tmp_path: Path) -> None:
    path = tmp_path / "vrps.json"
    roas = [{"prefix": "192.0.2.0/24", "maxLength": 24, "asn": asn} for asn in range(1, 1027)]
    path.write_text(json.dumps({"roas": roas}))
    done = rtrd("validate", "192.0.2.0/24", "AS64500", "--vrps", str(path))
    assert done.stderr == "rtrd: 2 VRPs left out: more than 1024 of exactly one prefix\n"


@pytest.mark.parametrize(
    "words", ["check rtrd.yaml", "check --exabgp exabgp.conf", "run -c rtrd.yaml", "slurm check slurm.json"]
)
def test_where_the_folder_was_removed_that_one_is_in_nothing_is_there(tmp_path: Path, words: str) -> None:
    (tmp_path / "gone").mkdir()
    argv = ["sh", "-c", 'cd "$0" && rmdir "$0" && exec "$@"', str(tmp_path / "gone"), str(RTRD), *words.split()]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (cli.BAD_USAGE, "")
    assert done.stderr == f"{words.rsplit(maxsplit=1)[-1]}: cannot be read: No such file or directory\n"


def test_validate_with_a_file_that_is_none_ends_with_1(tmp_path: Path) -> None:
    path = tmp_path / "vrps.json"
    done = rtrd("validate", "192.0.2.0/24", "AS64500", "--vrps", str(path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"rtrd validate: {path}: No such file or directory\n"


DUMP = mrt.peers([("192.0.2.9", 64500)]) + mrt.rib("192.0.2.0/24", [mrt.Entry(0, [(2, [64500])])])
DUMP += mrt.rib("192.0.2.0/25", [mrt.Entry(0, [(2, [64500, 64501])])])


@pytest.fixture
def dump(tmp_path: Path) -> str:
    path = tmp_path / "rib.mrt"
    path.write_bytes(DUMP)
    return str(path)


def test_audit_of_a_dump_needs_no_daemon(dump: str, vrps: Path) -> None:
    done = rtrd("audit", "--mrt", dump, "--vrps", vrps)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:2] == [
        "valid 1, not-found 0, invalid 1, of 2 routes",
        "without the invalid ones: 0 unreachable, 1 covered by a valid route, 0 covered by a not-found route",
    ]
    found = json.loads(rtrd("audit", "--mrt", dump, "--vrps", vrps, "--json").stdout)
    assert found["routes"] == {"valid": 1, "not-found": 0, "invalid": 1}
    assert [(row["prefix"], row["peer"], row["origin_as"], row["cover"]) for row in found["invalid"]] == [
        ("192.0.2.0/25", "192.0.2.9", 64501, "covered-by-valid")
    ]


def test_of_a_dump_few_rows_are_named_and_all_are_counted(dump: str, vrps: Path) -> None:
    done = rtrd("audit", "--mrt", dump, "--vrps", vrps, "--rows", "0", "--local-role", "provider")
    first, _, origins, heads, more, paths, *_ = done.stdout.splitlines()
    assert (first, origins) == ("valid 1, not-found 0, invalid 1, of 2 routes", "most invalid routes: AS64501 1")
    assert (heads.split()[0], more) == ("PREFIX", "and 1 more (--rows, --json)")
    assert paths.startswith("paths: valid ")


@pytest.mark.parametrize("role", ["boss", "x=peer", "AS0=peer", "=peer", "192.0.2.1="])
def test_a_role_that_is_none_is_bad_usage(dump: str, vrps: Path, role: str) -> None:
    done = rtrd("audit", "--mrt", dump, "--vrps", vrps, "--local-role", role)
    assert done.returncode == 2
    assert "argument --local-role: " in done.stderr


def test_a_cut_dump_counts_only_if_asked(dump: str, vrps: Path) -> None:
    Path(dump).write_bytes(DUMP[:-1])
    done = rtrd("audit", "--mrt", dump, "--vrps", vrps)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"rtrd audit: {dump}: it ends in the middle of a record")
    done = rtrd("audit", "--mrt", dump, "--vrps", vrps, "--partial", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert found["routes"]["valid"] == 1
    assert "in the middle" in found["fault"]


def test_whatif_of_a_dump(dump: str, vrps: Path) -> None:
    edits = "-192.0.2.0/24-24@AS64500", "+192.0.2.0/25-25@AS64501"
    found = json.loads(rtrd("whatif", "--mrt", dump, "--vrps", vrps, "--json", *edits).stdout)
    assert found["routes"] == 2
    moved = [(row["neighbor"], row["prefix"], row["now"], row["then"]) for row in found["changed"]]
    assert ("192.0.2.9", "192.0.2.0/25", "invalid", "valid") in moved
    assert rtrd("whatif", "--vrps", vrps, edits[0]).returncode == 2


def test_routes_of_a_dump(dump: str, vrps: Path) -> None:
    done = rtrd("routes", "--mrt", dump, "--vrps", vrps, "--validity", "invalid", "--json")
    assert [(row["prefix"], row["reason"]) for row in json.loads(done.stdout)["routes"]] == [("192.0.2.0/25", "length")]
    done = rtrd("routes", "--mrt", dump, "--vrps", vrps, "--neighbor", "192.0.2.1")
    assert (done.returncode, done.stdout) == (0, "no routes\n")
    assert rtrd("routes", "--mrt", dump).returncode == 2


def test_version() -> None:
    assert rtrd("--version").stdout == f"rtrd {__version__}\n"


def test_help_imports_no_command() -> None:
    code = (
        "import sys; from rtrd.cli import parser; parser().format_help();"
        "print([name for name in sys.modules if name.startswith('rtrd.') or name in ('aiohttp', 'yaml')])"
    )
    assert run(sys.executable, "-c", code).stdout.strip() == (
        "['rtrd.base', 'rtrd.base.signals', 'rtrd.base.shortages', 'rtrd.version', 'rtrd.cli']"
    )


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_help(command: str) -> None:
    done = rtrd(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert cli.COMMANDS[command].help in done.stdout


def test_a_reader_that_had_enough_gets_no_traceback(vrps: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    words = ["validate", "192.0.2.0/24", "64500", "--vrps", str(vrps)]
    done = subprocess.run([RTRD, *words], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


@pytest.mark.parametrize("words", [["validate", "192.0.2.0/24", "1", "--vrps", "FILE"], ["--help"], ["--version"]])
def test_a_full_disk_behind_stdout_is_said_in_a_sentence(words: list[str], vrps: Path) -> None:
    words = [str(vrps) if word == "FILE" else word for word in words]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([RTRD, *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, "rtrd: standard output can't be written: No space left on device\n")


def test_without_any_stdout_the_exit_code_still_tells(vrps: Path) -> None:
    argv = [RTRD, "validate", "192.0.2.0/24", "64500", "--vrps", str(vrps)]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *argv], stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_without_any_stderr_stdout_still_belongs_to_the_router(bad: Path) -> None:
    argv = ["sh", "-c", 'exec "$@" 2>&-', "sh", RTRD, "run", "-c", str(bad), "--exabgp"]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, b"")


def test_control_c_gives_no_traceback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupt(*_args: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("rtrd.commands.check.run", interrupt)
    assert cli.main(["check", str(tmp_path)]) == 128 + signal.SIGINT


def test_slurm_check_says_what_files_hold_or_every_fault(tmp_path: Path) -> None:
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    one.write_text(slurm_text([{"prefix": "192.0.2.0/24"}]))
    two.write_text(slurm_text([{"prefix": "198.51.100.0/24"}]))
    done = rtrd("slurm", "check", one, two)
    none = ", ".join(f"0 {what}" for what in ("bgpsec filters", "bgpsec assertions", "aspa filters", "aspa assertions"))
    counts = f"good: 1 prefix filter, 0 prefix assertions, {none}"
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{one}: {counts}\n{two}: {counts}\n"
    done = rtrd("slurm", "check", "--json", str(one))
    assert json.loads(done.stdout)["files"][0]["prefix_filters"] == 1
    two.write_text(slurm_text([{"prefix": "192.0.2.0/25"}]))
    done = rtrd("slurm", "check", one, two)
    overlap = "192.0.2.0/25 overlaps 192.0.2.0/24"
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{two}:5: {overlap} of {one} (RFC 8416 section 4.2)\n"
    one.write_text(one.read_text().replace('"prefix"', '"prefixes"'))
    done = rtrd("slurm", "check", "--json", str(one))
    assert done.returncode == 2
    [fault] = json.loads(done.stdout)["faults"]
    assert (fault["file"], fault["line"]) == (str(one), 6)
    assert "unknown field `prefixes`" in fault["what"]
    assert rtrd("slurm", "check", str(tmp_path / "none")).returncode == 2
    assert rtrd("slurm").returncode == 2


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("stauts", "argument COMMAND: 'stauts' is unknown: did you mean 'status'?"),
        ("routes --validity notfound", "argument --validity: 'notfound' is unknown: did you mean 'not-found'?"),
        ("bird chek", "argument ACTION: 'chek' is unknown: did you mean 'check'?"),
        ("status --jsno", "unrecognized argument --jsno: did you mean --json?"),
        ("routes --validty valid", "unrecognized argument --validty: did you mean --validity?"),
        ("bird audit --tabel=x", "unrecognized argument --tabel: did you mean --table?"),
    ],
)
def test_what_is_nearly_right_is_suggested(words: str, what: str) -> None:
    assert refused(*words.split()).splitlines()[-1].partition(" error: ")[2] == what


@pytest.mark.parametrize("command", ["routes", "history"])
def test_what_is_neither_a_prefix_nor_an_address(command: str) -> None:
    expected = "expected a prefix as 192.0.2.0/24, or an address as 192.0.2.1"
    assert refused(command, "edge").endswith(f": 'edge' is neither a prefix nor an IP address: {expected}\n")


@pytest.mark.parametrize("words", ["quux", "routes --validity quux", "status --quux", "status quux"])
def test_what_is_like_nothing_is_only_refused(words: str) -> None:
    said = refused(*words.split())
    assert "quux" in said
    assert "did you mean" not in said


@pytest.mark.parametrize("command", ["", *cli.COMMANDS])
def test_an_argument_that_is_not_utf_8_is_refused(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*filter(None, [command]), "\udcff\udcfe"]) == cli.BAD_USAGE
    assert capsys.readouterr().err == "rtrd: '\\udcff\\udcfe' is not UTF-8: expected text\n"


def test_octets_that_are_not_utf_8_give_no_traceback() -> None:
    assert refused("slurm", "check", "--json", os.fsdecode(b"\xff\xfe")).count("\n") == 1


@pytest.mark.parametrize("words", ["routes", "history", "validate", "vrps", "routes --neighbor", "watch --last"])
def test_of_a_long_argument_only_the_beginning_is_repeated(words: str) -> None:
    said = refused(*words.split(), "a" * 10_000)
    assert "aaa..." in said
    assert len(said) < 1000


@pytest.mark.parametrize("command", ["routes", "history"])
def test_an_address_that_names_a_link_covers_nothing(command: str) -> None:
    expected = "expected one as 192.0.2.1 or 2001:db8::1"
    assert f"'fe80::1%eth0' is an IP address with a zone: {expected}" in refused(command, "fe80::1%eth0")


def test_a_comment_that_is_too_long_is_told_its_limit_without_any_daemon() -> None:
    limit = "rtrd exempt: the comment has 10000 octets, at most 200 are possible\n"
    assert refused("exempt", "192.0.2.0/24", "64500", "--comment", "a" * 10_000) == limit
