"""The Debian package, built as a user would, installed and used; and gone again.

The package is installed into a systemd_host: a copy-on-write view of this host, which keeps nothing of it.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import deb, our_children, programs
from tests.lab.deb import run
from tests.lab.systemd_host import Host

pytestmark = pytest.mark.long
VRPS = {"roas": [{"asn": 64500, "prefix": "192.0.2.0/24", "maxLength": 24}]}


@pytest.fixture
def package() -> Path:
    return deb.built()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = deb.bare_host(tmp_path)
    (host.folder / "vrps.json").write_text(json.dumps(VRPS))
    with host:
        yield host


def test_lintian_finds_no_error_and_warns_of_nothing(package: Path) -> None:
    done = programs.run("lintian", "--allow-root", "--fail-on", "error,warning", package, seconds=300)
    assert done.returncode == 0, done.stdout


def unpacked(package: Path, folder: Path) -> str:
    """Unpack the package; give /usr/bin/rtrd as a program, with its /usr/lib/rtrd where it was unpacked."""
    run("dpkg-deb", "-x", str(package), str(folder))
    return (folder / "usr/bin/rtrd").read_text().replace("/usr/lib/rtrd", str(folder / "usr/lib/rtrd"))


def test_each_child_starts_from_the_package(tmp_path: Path, package: Path) -> None:
    program = unpacked(package, tmp_path / "root")
    before, command, _ = program.partition("from rtrd.cli import main")
    assert command
    interpreter = before.splitlines()[0].removeprefix("#!").split()
    where = run(*interpreter, "-c", before + our_children.START_EACH, *our_children.children())
    assert where.startswith(str(tmp_path / "root"))
    (tmp_path / "rtrd").write_text(program)
    deb.serves_many([*interpreter, str(tmp_path / "rtrd")], tmp_path)


def test_installed_used_and_removed(host: Host) -> None:
    installed = host.run("dpkg", "-i", str(host.folder / "rtrd.deb"))
    assert installed.returncode == 0, installed.stdout + installed.stderr
    assert host.run("id", "-un", "rtrd").stdout == "rtrd\n"
    assert host.run("dpkg-query", "-W", "-f", "${Conffiles}", "rtrd").stdout.split()[0] == "/etc/rtrd/rtrd.yaml"
    # It names no cache yet: `rtrd check` says so, and nothing else.
    checked = host.run("rtrd", "check", "/etc/rtrd/rtrd.yaml")
    assert checked.returncode == 2
    assert ":6: caches: expected" in checked.stderr
    assert len(checked.stderr.splitlines()) == 1
    for path in (
        "bash-completion/completions/rtrd",
        "zsh/vendor-completions/_rtrd",
        "fish/vendor_completions.d/rtrd.fish",
        "rtrd/rtrd.schema.json",
    ):
        assert host.run("test", "-s", f"/usr/share/{path}").returncode == 0, path
    bill = json.loads(host.run("cat", "/usr/share/doc/rtrd/sbom.cdx.json").stdout)
    rights = host.run("cat", "/usr/share/doc/rtrd/copyright").stdout
    assert bill["bomFormat"] == "CycloneDX"
    assert len(bill["components"]) > 10
    unlicensed = [each["name"] for each in bill["components"] if f"\nLicense: {each['name']}\n" not in rights]
    assert unlicensed == ["rtrlib"]  # ours: the first paragraph is about it, too
    for page in ("rtrd(1)", "rtrd.yaml(5)", "rtrlib(3)"):
        name, _, section = page.rstrip(")").partition("(")
        assert host.run("man", "-w", section, name).stdout.strip(), page
    # There is no cache yet: the service is neither enabled nor started.
    assert host.run("systemctl", "is-enabled", "rtrd").stdout == "disabled\n"
    assert host.run("systemctl", "is-active", "rtrd").stdout == "inactive\n"

    cache = f"/usr/bin/rtrd cache --vrps {host.folder}/vrps.json --listen 127.0.0.1:8282"
    host.run("systemd-run", "--unit=cache", *cache.split())
    config = "caches: {retry: 1, groups: [{name: a, preference: 1, servers: [{host: 127.0.0.1, port: 8282}]}]}"
    host.run("sh", "-c", f"echo '{config}' > /etc/rtrd/rtrd.yaml; echo 'state: /var/lib/rtrd' >> /etc/rtrd/rtrd.yaml")
    host.systemctl("start", "rtrd")
    host.until(lambda: "valid" in host.run("rtrd", "validate", "192.0.2.0/24", "64500").stdout, "the API's validity")
    host.systemctl("reload", "rtrd")
    # Compiled at the installation: nothing could be written there later.
    assert host.run("sh", "-c", "ls /usr/lib/rtrd/rtrd/__pycache__/cli.*.pyc").returncode == 0

    # An instance: an upgrade restarts it, a removal stops it, a purge takes its state.
    host.run("sh", "-c", "echo '" + config + "' > /etc/rtrd/east.yaml")
    host.run(
        "sh", "-c", "printf 'control: /run/rtrd-east/rtrd.sock\\nstate: /var/lib/rtrd-east\\n' >> /etc/rtrd/east.yaml"
    )
    host.systemctl("enable", "--now", "rtrd@east")
    host.until(lambda: host.run("systemctl", "is-active", "rtrd@east").stdout == "active\n", "the instance to run")

    def main_pid() -> str:
        return host.run("systemctl", "show", "-P", "MainPID", "rtrd@east").stdout

    old = main_pid()
    upgraded = host.run("dpkg", "-i", str(host.folder / "rtrd.deb"))
    assert upgraded.returncode == 0, upgraded.stdout + upgraded.stderr
    host.until(lambda: main_pid() not in (old, "0\n"), "the instance to be restarted")

    # The operator's configuration survives a removal, and goes with a purge, as the state does.
    assert host.run("dpkg", "-r", "rtrd").returncode == 0
    assert host.run("systemctl", "is-active", "rtrd").stdout != "active\n"
    assert host.run("systemctl", "is-active", "rtrd@east").stdout != "active\n"
    assert config in host.run("cat", "/etc/rtrd/rtrd.yaml").stdout
    assert host.run("sh", "-c", "command -v /usr/bin/rtrd").returncode != 0
    assert host.run("dpkg", "-P", "rtrd").returncode == 0
    enabled = "/etc/systemd/system/multi-user.target.wants/rtrd@east.service"
    for path in ("/var/lib/rtrd", "/var/lib/rtrd-east", "/usr/lib/rtrd", "/lib/systemd/system/rtrd.service", enabled):
        assert host.run("test", "-e", path).returncode != 0, host.run("find", path).stdout
    assert host.run("ls", "/etc/rtrd").stdout == "east.yaml\n"
