"""The wheels and sdists of rtrlib and rtrd, built as a user would, installed in clean environments and used there."""

import json
import os
import shutil
import socket
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.lab import ROOT, deb, our_children, programs
from tests.lab.deb import run

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("wheels")]
DIST = ROOT / "build" / "dist"
TYPING = ROOT / "tests" / "typing"
VRPS = {"roas": [{"asn": 64500, "prefix": "192.0.2.0/24", "maxLength": 24}]}
LINKED = """
import select
from rtrlib.link import Resume
from rtrlib.process_link import ProcessLink
from rtrlib.servers import Intervals, TCPServer

link, events = ProcessLink(TCPServer("127.0.0.1", 1), Intervals(), Resume()), []
while "Connection refused" not in str(events):
    assert select.select(link.filenos(), [], [], 20)[0], events
    events += link.read(65536, 0)[1]
link.close()
import rtrlib
print(rtrlib.__file__)
"""
"""librtr, in a process of its own, says that nothing listens on port 1."""


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    run("make", "wheel-bundled")


class Environment:
    """A virtual environment in which nothing is yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        run("/usr/bin/python3", "-m", "venv", str(folder))

    def __call__(self, program: str, *words: object) -> str:
        return run(str(self.folder / "bin" / program), *map(str, words))

    def install(self, *words: object) -> None:
        self("pip", "install", "-q", "--disable-pip-version-check", *words)

    def python(self, code: str, *words: str) -> str:
        """Run code that sees nothing of this tree; give what it prints."""
        return self("python", "-I", "-c", code, *words)

    def names(self) -> set[str]:
        return set(json.loads(self.python(NAMES)))


NAMES = """
import json
from importlib.metadata import distributions
print(json.dumps([each.name for each in distributions()]))
"""


MAPPED = """
import _rtrlib
for line in open("/proc/self/maps"):
    if ".so" in line and any(name in line for name in ("librtr", "libssh")):
        print(line.split()[-1])
"""


@pytest.fixture
def clean(tmp_path: Path) -> Environment:
    return Environment(tmp_path / "venv")


def built(pattern: str) -> Path:
    (found,) = DIST.glob(pattern)
    return found


def metadata(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return (
            archive.read(next(name for name in archive.namelist() if name.endswith("/METADATA"))).decode().split("\n")
        )


def needs(wheel: Path) -> list[str]:
    lines = [line.partition(": ")[2] for line in metadata(wheel) if line.startswith("Requires-Dist: ")]
    return [line for line in lines if "extra" not in line]


def test_what_is_in_them() -> None:
    ours, daemon = built("rtrlib-*.whl"), built("rtrd-*.whl")
    # Extensions of the limited API: one wheel serves Python 3.11 and every later one.
    assert ours.name.split("-")[2:4] == ["cp311", "abi3"]
    assert daemon.name.split("-")[2:] == ["py3", "none", "any.whl"]
    files, others = (set(zipfile.ZipFile(wheel).namelist()) for wheel in (ours, daemon))
    assert files.isdisjoint(others)
    tops = {name.partition("/")[0] for name in files if ".dist-info" not in name}
    stubs = {f"{module}-stubs" for module in ("_librtr", "_rov", "_rtrlib")}
    assert tops == {"rtrlib", "_rtrlib.py", "_librtr.abi3.so", "_rov.abi3.so", *stubs}
    assert any(name.endswith("licenses/LICENSE") for name in files)
    assert [need.partition(">")[0] for need in needs(ours)] == ["cffi"]
    version = next(line.partition(": ")[2] for line in metadata(ours) if line.startswith("Version: "))
    assert f"rtrlib=={version}" in needs(daemon)
    with tarfile.open(built("rtrd-*.tar.gz")) as sdist:
        assert not [name for name in sdist.getnames() if "/ffi/" in name]


def test_rtrlib_needs_nothing_but_cffi_and_users_programs_have_types(clean: Environment, tmp_path: Path) -> None:
    clean.install(built("rtrlib-*.whl"))
    assert clean.names() <= {"rtrlib", "cffi", "pycparser", "pip", "setuptools"}
    assert clean.python(LINKED).startswith(str(clean.folder))
    assert clean("python", "-I", TYPING / "raw_program.py") == "198.51.100.0/24-24 64500 None\n"
    checkers = Environment(tmp_path / "checkers")
    checkers.install("mypy", "pyright[nodejs]")
    for name in ("user_program.py", "raw_program.py"):  # where no configuration of ours is
        shutil.copy(TYPING / name, tmp_path)
    (tmp_path / "wrong.py").write_text("from _rtrlib import lib\n\nlib.no_such_function()\n")
    there = clean.folder / "bin" / "python"
    for checker, *options in (("mypy", "--strict", "--python-executable"), ("pyright", "--pythonpath")):
        argv = [checkers.folder / "bin" / checker, *options, there]
        right, wrong = (
            programs.run(*argv, *files, cwd=tmp_path, seconds=300)
            for files in (("user_program.py", "raw_program.py"), ("wrong.py",))
        )
        assert right.returncode == 0, right.stdout + right.stderr
        assert wrong.returncode == 1
        assert "no_such_function" in wrong.stdout


def test_rtrd_brings_rtrlib(clean: Environment, tmp_path: Path) -> None:
    clean.install("--find-links", DIST, built("rtrd-*.whl"))
    vrps = tmp_path / "vrps.json"
    vrps.write_text(json.dumps(VRPS))
    said = clean("rtrd", "validate", "--json", "--vrps", vrps, "192.0.2.0/24", "64500")
    assert json.loads(said)["validated_route"]["validity"]["state"] == "valid"
    children = clean.python(our_children.START_EACH, *our_children.children())
    assert children.startswith(str(clean.folder))
    deb.serves_many([str(clean.folder / "bin" / "rtrd")], tmp_path)
    tells_systemd([str(clean.folder / "bin" / "rtrd")], tmp_path)


def tells_systemd(argv: list[str], folder: Path) -> None:
    """Check that the units can start it: they wait for READY=1, which needs no package of its own."""
    (folder / "rtrd.yaml").write_text(
        "caches: {groups: [{name: a, preference: 1, servers: [{host: 127.0.0.1, port: 1}]}]}\n"
        f"control: {folder}/rtrd.sock\n"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(folder / "notify"))
        manager.settimeout(60)
        environment = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify")}
        with subprocess.Popen([*argv, "run", "-c", str(folder / "rtrd.yaml")], env=environment) as daemon:
            try:
                assert manager.recv(4096) == b"READY=1"
            finally:
                daemon.terminate()


def test_sdists_are_whole(clean: Environment) -> None:
    clean.install(built("rtrlib-*.tar.gz"))
    assert clean("python", "-I", TYPING / "raw_program.py") == "198.51.100.0/24-24 64500 None\n"
    clean.install(built("rtrd-*.tar.gz"))
    assert clean("rtrd", "--version").startswith("rtrd ")


def test_installed_as_of_old(clean: Environment, tmp_path: Path) -> None:
    clean.install("cffi", "setuptools")
    run("tar", "-x", "-C", str(tmp_path), "-f", str(built("rtrlib-*.tar.gz")))
    (source,) = tmp_path.glob("rtrlib-*")
    for command in ("build", "install"):
        argv = [str(clean.folder / "bin" / "python"), "setup.py", command]
        done = subprocess.run(argv, cwd=source, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert clean.python(LINKED).startswith(str(clean.folder))


def test_a_wheel_that_carries_librtr_needs_none_of_the_host(clean: Environment) -> None:
    (wheel,) = (ROOT / "build" / "bundled").glob("*.whl")
    assert "-abi3-manylinux_2_" in wheel.name
    clean.install(wheel)
    assert clean.python(LINKED).startswith(str(clean.folder))
    mapped = set(clean.python(MAPPED).split())
    assert {Path(library).name.partition("-")[0] for library in mapped} >= {"librtr", "libssh"}
    assert not [library for library in mapped if not library.startswith(str(clean.folder))]
    licenses = {Path(name).name for name in zipfile.ZipFile(wheel).namelist() if "/licenses/" in name}
    assert {"LICENSE", "librtr0.copyright", "libssh-4.copyright", "LGPL-2.1", "Apache-2.0"} <= licenses


def test_a_build_without_librtr_says_what_to_install(clean: Environment, tmp_path: Path) -> None:
    clean.install("cffi", "setuptools>=77")
    argv = [clean.folder / "bin" / "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path]
    environment = {**os.environ, "PKG_CONFIG_LIBDIR": "/nowhere"}
    wheel = [*map(str, argv), str(built("rtrlib-*.tar.gz"))]
    done = subprocess.run(wheel, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "apt-get install librtr-dev pkg-config" in done.stderr
    environment["RTRLIB_WITHOUT_LIBRTR"] = "1"
    subprocess.run(wheel, env=environment, capture_output=True, text=True, check=True)
    clean.install("--no-deps", *tmp_path.glob("*.whl"))
    with pytest.raises(AssertionError, match='LibrtrMissingError: rtrlib was built without librtr: engine="native"'):
        clean.python("import rtrlib; rtrlib.RTRManager('127.0.0.1', 323)")
    assert clean.python("import rtrlib; print(rtrlib.RTRManager('h', 323, engine='native').is_synced())") == "False\n"
