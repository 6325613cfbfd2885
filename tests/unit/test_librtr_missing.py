"""Where librtr is not installed, what needs it says what to install; all else works."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import _librtr
from rtrd.cli import COMMANDS
from tests.lab import programs
from tests.lab.programs import RTRD
from tests.lab.rtr_caches import ScriptedCache, cache_response, end_of_data, prefix_pdu

SENTENCE = "librtr.so.0 is missing: apt install librtr0"
CONFIG = "caches: {groups: [{name: a, preference: 1, servers: [{host: 127.0.0.1, port: 1, engine: librtr}]}]}\n"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An extension that wants a library which no host has comes first."""
    assert _librtr.__file__
    built = Path(_librtr.__file__)
    (tmp_path / built.name).write_bytes(built.read_bytes().replace(b"librtr.so.0", b"librtr.so.9"))
    return {**os.environ, "PYTHONPATH": str(tmp_path)}


def rtrd(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return programs.rtrd(*words, env=environment)


def python(environment: dict[str, str], program: str, *words: str) -> subprocess.CompletedProcess[str]:
    return programs.run(sys.executable, "-c", program, *words, env=environment)


@pytest.mark.parametrize("options", [[], ["--exabgp"]])
def test_the_daemon_says_what_to_install(tmp_path: Path, environment: dict[str, str], options: list[str]) -> None:
    file = tmp_path / "rtrd.yaml"
    file.write_text(f"{CONFIG}control: {tmp_path}/socket\n")
    argv = [RTRD, "run", "-c", str(file), *options]
    with subprocess.Popen(argv, env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == f"rtrd: {SENTENCE}\n"
        if options:
            process.terminate()  # as ExaBGP's process it ends slowly
        assert "Traceback" not in process.stderr.read()
    assert options or process.returncode == 1


def test_all_else_works(tmp_path: Path, environment: dict[str, str]) -> None:
    for command in COMMANDS:
        done = rtrd(environment, command, "--help")
        assert (done.returncode, done.stderr) == (0, ""), command
    vrps = tmp_path / "vrps.json"
    vrps.write_text('{"roas": [{"asn": 64500, "prefix": "192.0.2.0/24", "maxLength": 24}]}')
    done = rtrd(environment, "validate", "--vrps", str(vrps), "192.0.2.0/24", "64500")
    assert (done.returncode, done.stderr) == (0, "")
    file = tmp_path / "rtrd.yaml"
    file.write_text(CONFIG)
    done = rtrd(environment, "check", str(file))
    assert (done.returncode, SENTENCE in done.stderr) == (0, True)


@pytest.mark.parametrize(
    "program",
    [
        "from _rtrlib import ffi, lib",
        "import rtrlib; rtrlib.RTRManager('127.0.0.1', 323)",
        "import rtrlib; rtrlib.RTRManager('127.0.0.1', 323, isolated=False)",
        (
            "import rtrlib; s = rtrlib.SSHServer('h', 22, username='u', password='p')\n"
            "rtrlib.RTRManager(groups=[rtrlib.CacheGroup(1, [s])], engine='native')"
        ),
        (
            "import rtrlib; m = rtrlib.RTRManager('h', 323, engine='native')\n"
            "m.regroup([rtrlib.CacheGroup(1, [rtrlib.TCPServer('h', 323, engine='librtr')])])"
        ),
    ],
)
def test_a_program_that_wants_librtr_is_told_what_to_install(environment: dict[str, str], program: str) -> None:
    done = python(environment, program)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"rtrlib.exceptions.LibrtrMissingError: {SENTENCE}"


def test_a_rtrlib_built_without_librtr_says_so() -> None:
    blocked = "import sys; sys.modules['_librtr'] = None\n"
    done = python(dict(os.environ), f"{blocked}import rtrlib; rtrlib.RTRManager('127.0.0.1', 323)")
    assert done.stderr.splitlines()[-1] == (
        'rtrlib.exceptions.LibrtrMissingError: rtrlib was built without librtr: engine="native" needs none'
    )


NATIVE = """
import sys, rtrlib
from rtrlib import PfxTable, RTRManager

with PfxTable() as table:
    table.add_record(64500, "192.0.2.0", 24, 24)
    assert table.validate(64500, "192.0.2.0", 24).is_valid
with RTRManager("127.0.0.1", sys.argv[1], engine="native") as manager:
    print(*manager.ipv4_records())
assert "_librtr" not in sys.modules
"""


def test_the_native_engine_and_tables_need_no_librtr(environment: dict[str, str]) -> None:
    cache = ScriptedCache(lambda *_: cache_response() + prefix_pdu(b"\x0a\0\0\0", 8, 24, 64500) + end_of_data(1))
    cache.start()
    done = python(environment, NATIVE, str(cache.port))
    assert (done.stdout, done.stderr) == ("10.0.0.0/8-24 64500\n", "")
