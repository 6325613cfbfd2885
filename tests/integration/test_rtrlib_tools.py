"""`python -m rtrlib.client` and `python -m rtrlib.validator`, beside the tools of librtr whose place they take."""

import re
import sys
from pathlib import Path

import pytest

import rtrlib
from rtrd.demo.lab import find_program
from rtrd.demo.ports import free_port
from tests.lab.programs import run, talk
from tests.lab.rtr_caches import MakeStayRTR
from tests.lab.stayrtr import StayRTR

ONE = ("192.0.2.0/24", 25, 64500)
TWO = ("2001:db8::/32", 48, 4200000000)
CLIENT = [sys.executable, "-m", "rtrlib.client"]
VALIDATOR = [sys.executable, "-m", "rtrlib.validator"]


@pytest.fixture
def cache(stayrtr: MakeStayRTR) -> StayRTR:
    return stayrtr(ONE, TWO)


def read_lines(argv: list[str], count: int) -> tuple[list[str], str, str, int]:
    """The first lines that a program prints on stdout, the rest, its errors and its code; it is told to end."""
    with talk(argv) as process:
        return process.lines(count), *process.end()


def test_the_client_prints_what_rtrclient_prints(cache: StayRTR) -> None:
    theirs = [find_program("stdbuf", "coreutils"), "-oL", find_program("rtrclient", "rtr-tools")]
    socket = ["-p", "tcp", "127.0.0.1", str(cache.port)]
    lines, rest, errors, code = read_lines([*CLIENT, *socket], 3)
    assert (rest, errors, code) == ("", "", 0)
    assert sorted(lines) == sorted(read_lines([*theirs, *socket], 3)[0])
    assert "+ 192.0.2.0                                   24 -  25        64500" in lines


@pytest.mark.parametrize("template", ["default", "csv", "csvwithheader", "json"])
def test_the_client_exports_as_rtrclient_does(cache: StayRTR, tmp_path: Path, template: str) -> None:
    theirs = find_program("rtrclient", "rtr-tools")
    said = {}
    for name, argv in (("ours", CLIENT), ("theirs", [theirs])):
        to = tmp_path / name
        run(*argv, "-e", "-t", template, "-o", str(to), "tcp", "127.0.0.1", str(cache.port), check=True)
        text = to.read_text().replace(str(TWO[2] - (1 << 32)), str(TWO[2]))  # theirs is signed
        said[name] = sorted(re.sub(r"[ ,]+$", "", line) for line in text.splitlines() if line.strip(" ,"))
    assert said["ours"] == said["theirs"]
    listed = run(*CLIENT, "-l", check=True).stdout
    assert listed.split() == run(theirs, "-l", check=True).stdout.split()
    assert (
        run(*CLIENT, "-l", "-t", template, check=True).stdout.strip()
        == run(theirs, "-l", "-t", template).stdout.strip()
    )


def test_an_export_by_a_template_of_ones_own_and_what_is_wrong_with_one(cache: StayRTR, tmp_path: Path) -> None:
    file = tmp_path / "mine"
    file.write_text("{{#roas}}{{prefix}}{{^last}} {{/last}}{{/roas}}\n")
    socket = ["tcp", "127.0.0.1", str(cache.port)]
    done = run(*CLIENT, "-e", "-t", str(file), *socket, check=True)
    assert sorted(done.stdout.split()) == ["192.0.2.0", "2001:db8::"]
    file.write_text("{{#roas}}")
    for template in (str(file), str(tmp_path / "none")):
        done = run(*CLIENT, "-e", "-t", template, *socket)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    done = run(*CLIENT, "-e", "-o", str(tmp_path / "no" / "such"), *socket)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


def test_the_client_prints_changes_of_all_its_sockets(cache: StayRTR, stayrtr: MakeStayRTR) -> None:
    other = stayrtr(ONE, name="other")
    sockets = ["tcp", "-p", "127.0.0.1", str(cache.port), "tcp", "-b", "127.0.0.1", "127.0.0.1", str(other.port)]
    with talk([*CLIENT, *sockets]) as process:
        header, *first = [line.split() for line in process.lines(3)]
        cache.serve([ONE])
        gone = process.line().split()
    assert header == ["Prefix", "Prefix", "Length", "ASN"]
    assert sorted(first) == [
        ["+", "192.0.2.0", "24", "-", "25", "64500"],
        ["+", "2001:db8::", "32", "-", "48", "4200000000"],
    ]
    assert gone == ["-", "2001:db8::", "32", "-", "48", "4200000000"]


def test_the_client_prints_states_and_why_a_cache_fails() -> None:
    lines, _, errors, code = read_lines([*CLIENT, "-s", "tcp", "127.0.0.1", "9"], 3)
    assert re.fullmatch(
        r"127\.0\.0\.1:9 ERROR_TRANSPORT, group 1 CONNECTING: cannot connect to 127\.0\.0\.1 port 9: .+", lines[2]
    )
    assert "WARNING: cache 127.0.0.1:9: cannot connect" in errors
    assert code == 0


def test_the_client_ends_when_nobody_reads(cache: StayRTR) -> None:
    with talk([*CLIENT, "-p", "tcp", "127.0.0.1", str(cache.port)]) as process:
        assert process.line()
        process.hear_no_more()
        cache.serve([ONE])
        assert process.wait() == 0
        assert process.process.stderr
        assert process.process.stderr.read() == ""


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["-p"], "no socket is given"),
        (["tcp", "127.0.0.1"], "the following arguments are required: PORT"),
        (["tcp", "tcp", "0"], "port '0' is not in 1..65535"),
        (
            ["ssh", "127.0.0.1", "22", "rtr", "-w", "secret", "known_hosts"],
            "checks no host key when it uses a password",
        ),
        (
            ["ssh", "127.0.0.1", "22", "rtr", 60 * "secret", "known_hosts"],  # longer than the name of any file
            "checks no host key when it uses a password",
        ),
        (["ssh", "127.0.0.1", "22", "rtr", "-r", "-w", "secret"], "not allowed with argument"),
    ],
)
def test_the_client_says_what_is_wrong_with_its_arguments(words: str, why: str) -> None:
    done = run(*CLIENT, *words)
    assert done.returncode == 2
    assert why in done.stderr
    assert "secret" not in done.stderr.replace(" ".join(words), "")


ROUTES = "192.0.2.0 24 64500\n192.0.2.0 26 1\n10.0.0.0 8 1\n2001:db8:: 48 4200000000\n"


def test_the_validator_answers_as_rpki_rov_does(cache: StayRTR) -> None:
    argv = ["127.0.0.1", str(cache.port)]
    ours = run(*VALIDATOR, *argv, input=ROUTES, check=True)
    assert ours.stdout.splitlines() == [
        "192.0.2.0 24 64500|64500 192.0.2.0 24 25|0",
        "192.0.2.0 26 1|64500 192.0.2.0 24 25|2",
        "10.0.0.0 8 1||1",
        "2001:db8:: 48 4200000000|4200000000 2001:db8:: 32 48|0",
    ]
    # Its AS numbers are signed: the last one, which it prints as -94967296, is left out.
    routes = "".join(ROUTES.splitlines(keepends=True)[:3])
    theirs = [find_program("rpki-rov", "rtr-tools"), *argv]
    done = run(*theirs, input=routes)
    assert done.stdout.splitlines()[:3] == ours.stdout.splitlines()[:3]


def test_the_validator_gives_a_line_for_a_line(cache: StayRTR) -> None:
    lines = "10.0.0.0 8\n10.0.0.0 33 1\n10.0.0.0 8 AS4294967296\n\x1b[1m 8 1\n10.0.0.1 8 as1\n\n"
    argv = [*VALIDATOR, "127.0.0.1", str(cache.port)]
    done = run(*argv, input=lines, check=True)
    assert done.stdout.splitlines() == [
        "10.0.0.0 8||error",
        "10.0.0.0 33 1||error",
        "10.0.0.0 8 AS4294967296||error",
        "?[1m 8 1||error",
        "10.0.0.1 8 1||1",
        "||error",
    ]
    assert done.stderr.splitlines()[:3] == [
        "line 1: expected: IP LENGTH ASN",
        "line 2: mask_len 33 is not in 0..32",
        "line 3: asn 4294967296 is not in 0..4294967295",
    ]


def test_the_validator_answers_at_once(cache: StayRTR) -> None:
    with talk([*VALIDATOR, "127.0.0.1", str(cache.port)]) as process:
        for _ in range(3):
            process.say("10.0.0.0 8 1")
            assert process.line() == "10.0.0.0 8 1||1"
        process.no_more()
        assert process.wait() == 0


def test_the_validator_without_a_cache() -> None:
    argv = [*VALIDATOR, "--timeout", "0.1", "127.0.0.1", "9"]
    done = run(*argv, input=ROUTES)
    assert (done.returncode, done.stdout) == (1, "")
    assert "127.0.0.1 port 9: no cache delivered a complete set of VRPs within 0.1 seconds" in done.stderr


def test_who_waits_in_vain_is_told_why() -> None:
    manager = rtrlib.RTRManager("127.0.0.1", free_port("127.0.0.1"), engine="native")
    with pytest.raises(rtrlib.SyncTimeout, match=r"within 1 seconds: 127\.0\.0\.1:\d+: cannot connect .* refused"):
        manager.start(timeout=1)
    manager.stop()
