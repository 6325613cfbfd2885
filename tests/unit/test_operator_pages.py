"""The pages that answer an operator's question: whatever stands in a fence there is checked by who must read it.

Those commands that need a daemon, an ExaBGP or a BIRD are run in tests/e2e/test_operator_commands.py, and those that a
new user types in tests/integration/test_pages_installed.py.
"""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from rtrd import cli
from tests.lab import ROOT, operator_pages
from tests.lab.operator_pages import DOCS, KINDS, PAGES, PROMETHEUS, TYPED, Block, Command
from tests.lab.programs import AS_US, run

BLOCKS = [block for page in TYPED for block in operator_pages.blocks(page)]
COMMANDS = [command for page in TYPED for command in operator_pages.all_commands(page)]
RTRD = [command for command in COMMANDS if command.words[0] == "rtrd"]
HOST = (
    *("exabgp", "bird", "birdc", "curl", "promtool", "ssh-keygen", "cp", "adduser", "apt-get", "journalctl"),
    *("systemctl", "systemd-analyze", "systemd-run"),
)
"""Programs beside rtrd; tests/e2e/test_operator_commands.py and tests/integration/test_pages_installed.py run them."""


def configurations() -> list[Block]:
    return [block for block in BLOCKS if operator_pages.is_rtrd(block)]


def check_kind(block: Block) -> None:
    assert block.kind in KINDS, f"{block}: nobody checks a block of {block.kind or 'no kind'!r}"


def check_command(command: Command) -> None:
    """The real command line takes it."""
    if command.words[1:] == ("--version",):
        return
    try:
        cli.parser(whole=True).parse_args(command.words[1:])
    except SystemExit:
        pytest.fail(f"{command}: rtrd does not know that")


def check_page(page: str, text: str | None = None) -> None:
    for block in operator_pages.blocks(page, text):
        check_kind(block)
        for command in operator_pages.commands(block) if block.kind == "console" else ():
            if command.words[0] == "rtrd":
                check_command(command)


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_every_block_is_of_a_kind_that_is_checked(block: Block) -> None:
    check_kind(block)


@pytest.mark.parametrize("block", configurations(), ids=str)
def test_rtrd_check_finds_configurations_good(block: Block, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "rtrd.yaml"
    settings = operator_pages.configuration(block)
    if "slurm" in settings:
        (slurm,) = operator_pages.of_kind(block.page, "json")
        assert settings["slurm"] == ["/etc/rtrd/slurm.json"]
        settings["slurm"] = ["slurm.json"]
        (tmp_path / "slurm.json").write_text(slurm.text)
    file.write_text(yaml.safe_dump(settings, sort_keys=False))
    assert _faults(file, capsys) == []
    if settings == yaml.safe_load(block.text):
        # A whole one is also read as it stands: what YAML forgives, rtrd may not.
        file.write_text(block.text)
        assert _faults(file, capsys) == []


def _faults(file: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What `rtrd check` finds, but for what is not on this host."""
    cli.main(["check", *AS_US, "--json", str(file)])
    faults = [fault["what"] for fault in json.loads(capsys.readouterr().out)["faults"]]
    return [what for what in faults if not what.endswith(": there is no such file")]


@pytest.mark.parametrize("command", RTRD, ids=str)
def test_every_command_of_rtrd_is_one(command: Command) -> None:
    check_command(command)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_within_the_text_is_one(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Those may leave out what the reader has to say: `--help` of the same words is asked."""
    for words in re.findall(r"`rtrd ([a-z][^`]*)`", (DOCS / f"{page}.md").read_text()):
        with pytest.raises(SystemExit) as end:
            cli.parser(whole=True).parse_args([*words.split(), "--help"])
        assert end.value.code == 0, f"rtrd {words}: {capsys.readouterr().err}"


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_every_program_is_one_that_is_run(command: Command) -> None:
    assert command.words[0] in ("rtrd", *HOST)


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.kind == "json"], ids=str)
def test_every_slurm_file_is_a_good_one(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "slurm.json"
    file.write_text(block.text)
    assert cli.main(["slurm", "check", str(file)]) == cli.DONE


@pytest.mark.parametrize("block", [each for each in BLOCKS if each.text.startswith(PROMETHEUS)], ids=str)
def test_prometheus_takes_its_configuration(block: Block, tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("Debian's prometheus is not here")
    rules = ROOT / "etc" / "prometheus" / "rtrd.rules.yaml"
    file = tmp_path / "file.yml"
    file.write_text(block.text.replace("/etc/prometheus/rtrd.rules.yaml", str(rules)))
    done = run("promtool", "check", "config", file)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_of_the_rules_is_explained_and_no_other() -> None:
    rules = yaml.safe_load((ROOT / "etc" / "prometheus" / "rtrd.rules.yaml").read_text())
    alerts = {rule["alert"]: rule["labels"]["severity"] for group in rules["groups"] for rule in group["rules"]}
    wakes, waits = (DOCS / "monitoring.md").read_text().split("## What wakes")[1].split("## What can wait")
    assert (
        dict.fromkeys(re.findall(r"^\| `(Rtrd\w+)`", wakes, re.MULTILINE), "critical")
        | dict.fromkeys(re.findall(r"^\| `(Rtrd\w+)`", waits, re.MULTILINE), "warning")
        == alerts
    )


def faults(page: str, head: str) -> set[str]:
    """The first cells of the table with this head."""
    table = (DOCS / f"{page}.md").read_text().split(f"| {head} |\n|---|---|\n")[1].split("\n\n")[0]
    return {name for row in table.splitlines() for name in re.findall(r"`([^`]+)`", row.split(" | ")[0])}


def test_every_fault_of_a_cache_has_its_advice() -> None:
    assert faults("cache-trouble", "fault | look at") == faults("commands", "fault | means")


def test_every_unit_is_one_of_ours_or_debians() -> None:
    for command in COMMANDS:
        if command.words[0] == "systemctl":
            name = re.sub("@.*", "@", command.words[-1])
            assert name == "exabgp" or (ROOT / "systemd" / f"{name}.service").exists(), str(command)


def test_readme_names_the_pages_by_their_questions() -> None:
    readme = (ROOT / "README.md").read_text()
    for page in PAGES:
        question = (DOCS / f"{page}.md").read_text().partition("\n")[0].removeprefix("# ")
        assert f"| [docs/{page}.md](docs/{page}.md) | {question} |" in readme


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("```console\n# rtrd routs\n```\n", "rtrd does not know that"),
        ("```console\n# rtrd routes --valid invalid\n```\n", "rtrd does not know that"),
        ("```sh\nrtrd status\n```\n", "nobody checks a block of 'sh'"),
        ("```\nrtrd status\n```\n", "nobody checks a block of 'no kind'"),
    ],
)
def test_a_broken_page_fails(text: str, fault: str) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception), match=re.escape(fault)):
        check_page("broken", text)


def test_a_block_without_an_end_or_output_without_a_command_fails() -> None:
    with pytest.raises(ValueError, match=r"broken\.md:2: this block has no end"):
        operator_pages.blocks("broken", "text\n```console\n# rtrd status\n")
    (block,) = operator_pages.blocks("broken", "```console\nno daemon answers\n```\n")
    with pytest.raises(ValueError, match=r"broken\.md:2: no command stands before"):
        operator_pages.commands(block)


def test_shown_output_is_compared_by_its_words_and_order() -> None:
    said = "VRPs: 11 IPv4, 0 IPv6\ngroup primary: ESTABLISHED\n  tcp 127.0.0.4:39293: ESTABLISHED, version 1\n"
    assert operator_pages.is_said(("VRPs: 512345 IPv4, 7 IPv6", "  tcp 192.0.2.10:323: ESTABLISHED,  version 1"), said)
    assert not operator_pages.is_said(("VRPs: 512345 IPv4, no IPv6",), said)
    assert not operator_pages.is_said(("group primary: ESTABLISHED", "VRPs: 512345 IPv4, 7 IPv6"), said)
