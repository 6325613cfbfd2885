"""`rtrd demo` as a user runs it: it ends by itself, says the truth, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rtrd.demo.lab import session_members
from rtrd.demo.report import WIDTH
from rtrd.demo.routes import internet, validity
from tests.lab.programs import RTRD, rtrd, run

MINUTE = 60


def labs() -> set[str]:
    """The folders that labs left in /tmp, or in what stands for it."""
    return {str(path) for path in Path(os.environ["TMPDIR"]).glob("rtrd-lab-*")}


def demo_processes() -> list[int]:
    """Processes whose command names a lab folder of this test."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if os.environ["TMPDIR"].encode() in command:
                found.append(int(entry.name))
    return found


@pytest.fixture(autouse=True)
def tmpdir_of_labs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def demo(*options: str) -> subprocess.CompletedProcess[str]:
    done = rtrd("demo", *options, seconds=MINUTE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_it_prints_a_table_and_a_withdraw_and_ends() -> None:
    done = demo()
    assert done.stderr == ""
    assert max(len(line) for line in done.stdout.splitlines()) <= WIDTH
    for words in ("validity", "not-found", "invalid", "withdrawn 198.18.0.0/20", " ms after the file had changed"):
        assert words in done.stdout
    assert demo_processes() == []
    assert labs() == set()


def test_all_shows_every_route() -> None:
    done = demo("--all")
    assert all(f" {route.prefix} " in done.stdout for route in internet().routes)


def test_json_is_one_object_with_every_route() -> None:
    done = demo("--json")
    result = json.loads(done.stdout)
    assert result["faults"] == []
    assert {route["prefix"] for route in result["routes"]} == {route.prefix for route in internet().routes}
    assert {route["validity"] for route in result["routes"]} == {"valid", "invalid", "not-found"}
    assert [change["what"] for change in result["changes"]] == ["withdrawn", "announced"]
    assert all(0 < ms < 20_000 for change in result["changes"] for ms in change["ms"].values())


def test_ctrl_c_leaves_no_process() -> None:
    with subprocess.Popen(
        [RTRD, "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        # The drawing is printed before the first process is started, "Settled" after the last one.
        for line in process.stdout:
            if line.startswith("Settled"):
                break
        assert demo_processes() != []
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=MINUTE)
    assert process.returncode == 1
    assert "interrupted" in errors
    assert session_members(process.pid) == {}
    assert demo_processes() == []
    assert labs() == set()


HIDE = """
import shutil, sys
from rtrd.cli import main
hidden, options = sys.argv[1].split(","), sys.argv[2:]
real = shutil.which
shutil.which = lambda name, **more: None if name in hidden else real(name, **more)
sys.exit(main(["demo", *options]))
"""


def test_routers_that_speak_bmp_are_judged_alike_and_follow_a_vrp() -> None:
    result = json.loads(demo("--bmp", "--json").stdout)
    assert result["faults"] == []
    assert result["missing"] == []
    shown = ["GoBGP", "frr"]
    expected = {route.prefix: validity(route, internet().vrps) for route in internet().routes}
    assert result["routers"] == dict.fromkeys(shown, expected)
    assert [(one["router"], one["then"]) for one in result["changes"]] == [
        (router, then) for then in ("invalid", "valid") for router in shown
    ]
    assert demo_processes() == []


ZEBRA = """
import os, socket, subprocess, sys
from rtrd.cli import main
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
os.mkdir("/run/frr")
with socket.socket(socket.AF_UNIX) as zebra:
    zebra.bind("/run/frr/zserv.api")
    zebra.listen()
    zebra.setblocking(False)
    code = main(["demo", "--bmp"])
    try:
        zebra.accept()
        print("bgpd asks zebra")
    except BlockingIOError:
        print("nobody asks zebra")
sys.exit(code)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="a mount of its own needs root")
def test_the_zebra_of_a_running_frr_is_left_alone() -> None:
    done = run("unshare", "--mount", sys.executable, "-c", ZEBRA, seconds=MINUTE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("nobody asks zebra\n")


def test_where_exabgp_is_missing_it_says_so_and_leaves_nothing() -> None:
    done = run(sys.executable, "-c", HIDE, "exabgp", seconds=MINUTE)
    assert done.returncode == 1
    assert "rtrd demo: exabgp is not installed: as root: apt-get install exabgp" in done.stderr
    assert labs() == set()


def test_all_that_is_missing_is_said_at_once() -> None:
    done = run(sys.executable, "-c", HIDE, "exabgp,gobgpd", seconds=MINUTE)
    assert done.returncode == 1
    for name in ("exabgp", "gobgpd"):
        assert f"{name} is not installed: as root: apt-get install {name}" in done.stderr


def test_a_missing_router_is_left_out_with_a_word() -> None:
    done = run(sys.executable, "-c", HIDE, "bgpd", "--bmp", seconds=MINUTE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "left out: bgpd is not installed: as root: apt-get install frr\n" in done.stdout
    assert "GoBGP  5 routes, the last one" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= WIDTH


def test_without_any_router_there_is_nothing_to_show() -> None:
    done = run(sys.executable, "-c", HIDE, "bgpd,gobgpd", "--bmp", seconds=MINUTE)
    assert done.returncode == 1
    first, second = ("gobgpd is not installed: as root: apt-get install gobgpd", "bgpd is not installed: as root:")
    assert done.stderr.startswith(f"rtrd demo: {first}; {second}")


def test_a_missing_component_is_named_with_what_installs_it() -> None:
    done = run(sys.executable, "-c", HIDE, "gobgpd", seconds=MINUTE)
    assert done.returncode == 1
    assert done.stderr == "rtrd demo: gobgpd is not installed: as root: apt-get install gobgpd\n"
