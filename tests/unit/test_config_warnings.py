"""What `rtrd check` warns of: rtrd runs with it, but it hardly does what was meant."""

import argparse
import grp
import io
import json
import os
import pwd
import shlex
import socket
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from rtrd import config
from rtrd.commands import check
from rtrd.config import accounts, host
from rtrlib import tcp_auth
from tests.lab import ROOT
from tests.lab.certificates import CA
from tests.lab.programs import AS_US, RTRD, rtrd, run
from tests.lab.slurm_text import slurm_text

CACHE = "caches:\n  groups:\n    - {name: a, preference: 1, servers: [{host: 192.0.2.10%s}]}\n"
GOOD = CACHE % ""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rtrd.yaml"


def warnings(file: Path, text: str) -> list[tuple[int, str]]:
    file.write_text(text)
    examined = config.examine(file)
    assert examined.config is not None, examined.findings
    assert {finding.severity for finding in examined.findings} <= {"warning"}
    return [(finding.line, finding.what) for finding in examined.findings]


BEST = "0600, or 0640 if root owns it" if os.geteuid() == 0 else "0600"


def seen(file: Path, text: str, user: str = AS_US[1]) -> list[tuple[int, str, str]]:
    """What of the host does not fit."""
    file.write_text(text)
    found = host.look(config.examine(file), file, accounts.account(file, user))
    return [(finding.line, finding.severity, finding.what.replace(str(file.parent), ".")) for finding in found]


HOSTS = [
    ("rpki_cache.example.net", "can't be a host name: it has an underscore (RFC 1123 section 2.1)"),
    ("rpki.123", "can't be a host name: its last label is a number"),
    ("224.0.0.1", "is a multicast address, where no cache answers"),
    ("'ff02::1'", "is a multicast address, where no cache answers"),
    ("0.0.0.0", "stands for any address of a host, and names none"),
    ("'fe80::1'", "is link-local: name the interface, as fe80::1%eth0"),
]


@pytest.mark.parametrize(("name", "why"), HOSTS)
def test_what_is_no_host(file: Path, name: str, why: str) -> None:
    ((line, what),) = warnings(file, GOOD.replace("192.0.2.10", name))
    assert line == 3
    assert what.startswith(f"caches.groups[0].servers[0].host: '{name.strip(chr(39))}' {why}")


@pytest.mark.parametrize("name", ["192.0.2.1", "'2001:db8::1'", "'fe80::1%eth0'", "localhost", "a-1.example.", "1.a"])
def test_what_is_one(file: Path, name: str) -> None:
    assert warnings(file, GOOD.replace("192.0.2.10", name)) == []


def test_one_cache_twice_whatever_its_group_and_spelling(file: Path) -> None:
    text = """\
caches:
  groups:
    - name: a
      preference: 1
      servers:
        - {host: RPKI.example.net, port: 323}
        - {host: 192.0.2.1, transport: ssh, user: u, key: k, host-key: h}
    - name: b
      preference: 2
      servers:
        - {host: rpki.example.net.}
        - {host: 192.0.2.1, port: 22}
        - {host: 192.0.2.1}
"""
    assert [line for line, _ in warnings(file, text)] == [11, 12]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{host: 192.0.2.1}", "{host: 192.0.2.1, port: 323}"),
        ("{host: '::1'}", "{host: '0:0::1'}"),
        ("{host: '2001:DB8::1'}", "{host: '2001:db8:0::1', engine: librtr}"),
        ("{host: localhost}", "{host: 127.0.0.1}"),
        ("{host: '::1'}", "{host: localhost.}"),
        ("{host: 127.0.0.1}", "{host: '::ffff:127.0.0.1'}"),
        ("{host: A.example, port: 22}", "{host: a.example., transport: ssh, user: u, key: k}"),
    ],
)
def test_one_cache_twice_in_a_group_is_a_fault(file: Path, one: str, other: str) -> None:
    text = f"""\
caches:
  groups:
    - name: a
      preference: 1
      servers:
        - {one}
        - {{host: 192.0.2.99}}
        - {other}
"""
    file.write_text(text)
    with pytest.raises(config.ConfigError) as caught:
        config.load(file)
    [fault] = caught.value.faults
    assert (fault.line, "is also the cache on line 6, of the same group" in fault.what) == (8, True)


RULES = [
    ("- {from: [192.0.2.1], valid: A}\n- {from: [192.0.2.1], invalid: A}", [(6, "never acts: the rule on line 5")]),
    ("- {from: [192.0.2.0/24], valid: A}\n- {from: [192.0.2.1], invalid: A}", [(6, "never acts: the rule on line 5")]),
    ("- {valid: A}\n- {from: [192.0.2.1], invalid: A}\n- {invalid: A}", [(6, "never acts"), (7, "never acts")]),
    (
        "- {from: [192.0.2.1], valid: A}\n- {from: ['::1'], valid: A}\n- {from: [192.0.2.1, '0::1'], valid: A}",
        [(7, "never acts: the rules on lines 5 and 6 take all")],
    ),
    ("- {from: [192.0.2.1], valid: A}\n- {from: [192.0.2.1, 192.0.2.2], valid: A}", [(6, "192.0.2.1 has no effect")]),
    ("- {from: [192.0.2.1, 192.0.2.1], valid: A}", [(5, "192.0.2.1 is given twice")]),
    ("- {from: [192.0.2.1]}", [(5, "no action (valid, not-found, invalid, unverified)")]),
    ("- {valid: A}\n- {direction: out, invalid: A}", []),
    ("- {direction: out, invalid: A}\n- {direction: out, to: [192.0.2.1], invalid: A}", [(6, "never acts")]),
    ("- {from: [192.0.2.1], valid: A}\n- {valid: A}", []),
    ("- {when: {origin: [1]}, valid: A}\n- {when: {prefixes: [10.0.0.0/8]}, valid: A}\n- {valid: A}", []),
    (
        "- {from: [192.0.2.0/24], valid: A}\n- {from: [192.0.2.1], when: {origin: [1]}, invalid: A}",
        [(6, "never acts: the rule on line 5 takes all of its neighbors")],
    ),
    (
        "- {from: [192.0.2.1], valid: A}\n- {from: [192.0.2.1, AS1], when: {origin: [1]}, invalid: A}",
        [(6, "192.0.2.1 has no effect here: the rule on line 5")],
    ),
    ("- {from: [AS1], when: {origin: [1]}, valid: A}\n- {from: [AS1], invalid: A}", []),
    (
        "- {from: [AS1, AS2], when: {origin: [1]}, valid: A}\n- {from: [AS2], when: {origin: [AS1]}, invalid: A}",
        [(6, "never acts: the rule on line 5 asks the same of all of its neighbors")],
    ),
    (
        "- {when: {origin: [1]}, valid: A}\n- {from: [AS2], when: {origin: [1]}, invalid: A}",
        [(6, "never acts: the rule on line 5 asks")],
    ),
    ("- {from: [AS2], when: {origin: [1]}, valid: A}\n- {when: {origin: [1]}, invalid: A}", []),
    ("- {from: [AS2], when: {origin: [1]}, valid: A}\n- {from: [AS2], when: {origin: [2]}, invalid: A}", []),
    ("- {when: {origin: [AS1, 1]}, valid: A}", [(5, "given twice, first on line 5")]),
    ("- {when: {prefixes: [{prefix: 10.0.0.0/8, le: 8}, 10.0.0.0/8]}, valid: A}", [(5, "given twice")]),
    ("- {when: {communities: ['1:2', 'community:1:2']}, valid: A}", [(5, "given twice")]),
    (
        "- {when: {prefixes: [10.0.0.0/8, '2001:db8::/32'], prefix-length: {ipv4: [9, 32], ipv6: [33, 48]}}, valid: A}",
        [(5, "no prefix of 'prefixes' has such a length")],
    ),
    ("- {when: {prefixes: [{prefix: 10.0.0.0/8, ge: 20}], prefix-length: {ipv4: [9, 24]}}, valid: A}", []),
    ("- {when: {as-set: false}, as-set: by-validity, valid: A}", [(5, "has no effect: the rule is for paths without")]),
    ("- {when: {as-set: true}, valid: {action: announce}}", [(5, "the rule withdraws such paths (RFC 9774)")]),
    ("- {when: {as-set: true}, valid: {action: announce}, as-set: by-validity}", []),
]


@pytest.mark.parametrize(("rules", "expected"), RULES)
def test_rules(file: Path, rules: str, expected: list[tuple[int, str]]) -> None:
    found = warnings(file, GOOD + "policy:\n" + rules.replace("A}", "{action: observe}}") + "\n")
    assert [line for line, _ in found] == [line for line, _ in expected]
    for (_, what), (_, begin) in zip(found, expected, strict=True):
        assert what.partition(": ")[2].startswith(begin)


LISTEN = "rtr-server: {listen: ['%s'], tls: {listen: ['%s'], certificate: c, key: k}}\n"
PORTS = [
    ("http: 127.0.0.1:9323\n" + LISTEN % ("127.0.0.1:9323", "127.0.0.1:324"), [5]),
    ("http: 0.0.0.0:9323\n" + LISTEN % ("127.0.0.1:3323", "127.0.0.1:9323"), [4, 5]),
    (LISTEN % ("[::]:3323", "[::1]:3323"), [4]),
    ("http: 127.0.0.1:0\n" + LISTEN % ("127.0.0.1:0", "127.0.0.2:0"), []),
    (LISTEN % ("[::]:3323", "0.0.0.0:3323"), []),
    (LISTEN % ("127.0.0.1:3323", "192.0.2.1:3323"), []),
]


@pytest.mark.parametrize(("text", "lines"), PORTS)
def test_a_port_is_listened_at_once(file: Path, text: str, lines: list[int]) -> None:
    file.write_text(GOOD + text)
    assert [finding.line for finding in config.examine(file).findings] == lines


@pytest.mark.parametrize(("cache", "own"), [("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "0.0.0.0"), ("'::1'", "[::]")])
def test_rtrd_is_not_its_own_cache(file: Path, cache: str, own: str) -> None:
    text = GOOD.replace("192.0.2.10", f"{cache}, port: 3323") + f"rtr-server: {{listen: ['{own}:3323']}}\n"
    file.write_text(text)
    (finding,) = config.examine(file).findings
    assert (finding.line, finding.severity) == (3, "fault")
    assert finding.what.endswith("it would be its own cache")


def test_files_that_are_not_there(file: Path) -> None:
    ssh = CACHE % ", transport: ssh, user: u, key: id, host-key: host.pub"
    text = ssh + LISTEN % ("127.0.0.1:0", "127.0.0.1:0") + "state: no/where\ncontrol: made/s\nbird: {socket: b/s}\n"
    assert seen(file, text) == [
        (3, "warning", "caches.groups[0].servers[0].key: ./id: there is no such file"),
        (3, "warning", "caches.groups[0].servers[0].host-key: ./host.pub: there is no such file"),
        (4, "fault", "rtr-server.tls.certificate: ./c: there is no such file"),
        (4, "fault", "rtr-server.tls.key: ./k: there is no such file"),
        (5, "warning", "state: ./no/where: there is no such folder; a restart would begin without VRPs"),
        (7, "warning", "bird.socket: ./b/s: there is no folder ./b"),
    ]


def test_ssh_to_whoever_answers(file: Path) -> None:
    what = "caches.groups[0].servers[0]: without host-key any host is taken for the cache, and its VRPs for true"
    assert (3, what) in warnings(file, CACHE % ", transport: ssh, user: u, key: id")
    with_key = warnings(file, CACHE % ", transport: ssh, user: u, key: id, host-key: host.pub")
    assert not any("without host-key" in what for _, what in with_key)


def test_other_things_where_files_belong_are_not_opened(file: Path) -> None:
    folder = file.parent
    os.mkfifo(folder / "fifo")
    (folder / "id").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "socket"))
        text = CACHE % ", transport: ssh, user: u, key: fifo, host-key: id"
        text += "rtr-server: {tls: {listen: ['127.0.0.1:0'], certificate: socket, key: /dev/zero}}\nstate: fifo\n"
        assert [what.rpartition(": ")[2] for _, _, what in seen(file, text)] == [
            "it is a FIFO, not a file",
            "it is a folder, not a file",
            "it is a socket, not a file",
            "it is a device, not a file",
            "it is not a folder",
        ]


def test_keys_that_others_may_read(file: Path) -> None:
    for name, mode in (("key", 0o644), ("md5", 0o660), ("good", 0o600)):
        (file.parent / name).write_text("x")
        (file.parent / name).chmod(mode)
    text = CACHE % ", transport: tls, certificate: good, key: key"
    assert seen(file, text) == [
        (3, "warning", "caches.groups[0].servers[0].key: ./key: it has mode 0644, so others may use it: make it "
         + BEST)
    ]  # fmt: skip
    text = CACHE % ", md5-password-file: md5"
    assert [what.partition(", so")[0] for _, _, what in seen(file, text)] == [
        "caches.groups[0].servers[0].md5-password-file: ./md5: it has mode 0660"
    ]
    assert seen(file, CACHE % ", md5-password-file: good") == []


def test_keys_that_cannot_be_used_are_found(file: Path) -> None:
    for name in ("empty", "rubbish"):
        (file.parent / name).write_text("" if name == "empty" else name)
        (file.parent / name).chmod(0o600)
    file.write_text(
        "caches:\n  groups:\n    - name: a\n      preference: 1\n      servers:\n"
        "        - {host: 192.0.2.1, md5-password-file: empty}\n"
        "        - {host: 192.0.2.2, transport: ssh, user: rtr, key: rubbish, host-key: rubbish}\n"
        "rtr-server: {listen: ['127.0.0.1:0'], clients: [{match: [192.0.2.0/24], md5-password-file: empty}]}\n"
    )
    done = rtrd("check", "--user", AS_US[1], str(file))
    folder, where = file.parent, "caches.groups[0].servers"
    expected = "expected a private key, as ssh-keygen writes it"
    assert done.stderr.splitlines() + done.stdout.splitlines() == [
        f"{file}:6: warning: {where}[0]: the MD5 password file {folder}/empty is empty",
        f"{file}:7: warning: {where}[1]: the key {folder}/rubbish is not usable: {expected}",
        f"{file}:8: rtr-server.clients[0]: the MD5 password file {folder}/empty is empty",
    ]
    assert done.returncode == 2


MATCHES = [
    ("[192.0.2.0/24]", "[192.0.2.1, '192.0.2.128/25']", ["never counts: all that it names is taken before, on line 5"]),
    ("['0::/0']", "['2001:db8::1']", ["never counts"]),
    ("[192.0.2.0/24]", "[192.0.2.1, 198.51.100.1]", ["192.0.2.1 has no effect here: 192.0.2.0/24 on line 5 takes it"]),
    ("[192.0.2.1]", "[192.0.2.0/24]", []),
    ("[0.0.0.0/0]", "['::1']", []),
]
LISTS = [
    "neighbors:\n  - {match: %s, local-role: peer}\n  - {match: %s, local-role: rs}\n",
    "rtr-server: {listen: ['[::1]:3323'], clients: [\n  {match: %s, tcp-ao: A}, \n  {match: %s, tcp-ao: A}]}\n".replace(
        "A", "{key-file: k, key-id: 1}"
    ),
]


@pytest.mark.parametrize("text", LISTS)
@pytest.mark.parametrize(("first", "second", "expected"), MATCHES)
def test_entries_that_never_count(file: Path, text: str, first: str, second: str, expected: list[str]) -> None:
    found = warnings(file, GOOD + text % (first, second))
    assert [line for line, _ in found] == [6 for _ in expected]
    for (_, what), begin in zip(found, expected, strict=True):
        assert begin in what


def test_an_as_that_is_named_before(file: Path) -> None:
    text = GOOD + "neighbors:\n  - {match: [AS64496], local-role: peer}\n  - {match: [AS064496], local-role: rs}\n"
    assert [line for line, _ in warnings(file, text)] == [6]


@pytest.mark.parametrize(("address", "open_to_all"), [("0.0.0.0", True), ("[::]", True), ("127.0.0.1", False)])
def test_http_at_every_address(file: Path, address: str, open_to_all: bool) -> None:
    found = warnings(file, GOOD + f"http: '{address}:9323'\n")
    assert [("is every address of this host" in what, line) for line, what in found] == [(True, 4)] * open_to_all


@pytest.mark.skipif(os.geteuid() != 0, reason="as root only it looks with the eyes of others")
def test_ports_that_the_user_may_not_listen_at(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_first_free_port", lambda: 1024)
    text = GOOD + "http: 127.0.0.1:80\n" + LISTEN % ("[::1]:323", "127.0.0.1:3324")
    found = [each for each in seen(file, text, "nobody") if "may not listen" in each[2]]
    why = "the user nobody may not listen at a port below 1024: use a higher one, or give the unit CAP_NET_BIND_SERVICE"
    assert [(line, severity) for line, severity, _ in found] == [(4, "warning"), (5, "warning")]
    assert found[0][2].startswith(f"http: 127.0.0.1:80: {why}")
    assert found[1][2].startswith(f"rtr-server.listen[0]: [::1]:323: {why}")
    assert not [each for each in seen(file, text, "root") if "may not listen" in each[2]]


def test_where_nothing_can_listen(file: Path) -> None:
    text = GOOD + "http: 203.0.113.77:9323\ncontrol: .\nrtr-server: {listen: ['[::1%no0]:3323', '127.0.0.1:0']}\n"
    assert seen(file, text) == [
        (5, "warning", "control: .: it exists and is not a socket: rtrd won't start, and leaves it alone"),
        (4, "warning", "http: 203.0.113.77 is not an address of this host now: Cannot assign requested address"),
        (6, "warning", "rtr-server.listen[0]: ::1%no0 is not an address of this host now: Name or service not known"),
    ]
    file.write_text(GOOD + "control: /\n")
    [finding] = config.examine(file).findings
    assert (finding.line, finding.severity, finding.what) == (4, "fault", "control: /: expected the path of a file")


def test_certificates_that_end_and_a_mode_that_hides_nothing(file: Path) -> None:
    folder = file.parent
    ca = CA(folder)
    ca.sign("ours", "IP:127.0.0.1", "-days", "2")
    ca.sign("other").key.chmod(0o644)
    ca.sign_expired("ended", "IP:127.0.0.1")
    tls = "tls: {listen: ['127.0.0.1:0'], certificate: %s, key: %s, client-ca: ca.pem}"
    server = "{host: 192.0.2.1, transport: tls, ca: ca.pem, certificate: %s, key: %s}"
    server = f"    - {{name: b, preference: 2, servers: [{server}]}}\n"
    file.write_text(
        GOOD + server % ("ended.pem", "ended.key") + "rtr-server:\n  " + tls % ("ours.pem", "other.key") + "\n"
    )
    done = rtrd("check", "--user", AS_US[1], str(file))
    lines = [line.removeprefix(f"{file}:").replace(str(folder), ".") for line in done.stderr.splitlines()]
    cache = "caches.groups[1].servers[0]"
    for begin in (
        f"4: warning: {cache}.certificate: ./ended.pem: the certificate expired at 20",
        "6: rtr-server.tls: certificate ./ours.pem with key ./other.key: not usable: key values mismatch",
        "6: warning: rtr-server.tls.certificate: ./ours.pem: the certificate expires at 20",
        "6: warning: rtr-server.tls.key: ./other.key: it has mode 0644",
    ):
        assert [line for line in lines if line.startswith(begin)], (begin, lines)
    assert (len(lines), done.returncode) == (4, 2)
    ca.sign("long")
    file.write_text(GOOD + "rtr-server:\n  " + tls.replace(", client-ca: ca.pem", "") % ("long.pem", "long.key") + "\n")
    assert rtrd("check", "--user", AS_US[1], str(file)).stderr == ""


def test_what_this_host_and_its_kernel_have_not(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file.parent / "good").write_text("x")
    (file.parent / "good").chmod(0o600)
    path = "caches.groups[0].servers[0]"
    assert seen(file, CACHE % ", source: 203.0.113.9, device: no-such-device") == [
        (3, "warning", f"{path}.device: no-such-device: No such device"),
        (3, "warning", f"{path}.source: 203.0.113.9: Cannot assign requested address"),
    ]
    assert seen(file, CACHE % ", source: 127.0.0.1, device: lo") == []
    monkeypatch.setattr(tcp_auth, "TCP_MD5SIG", 99)  # an option that no kernel has
    monkeypatch.setattr(tcp_auth, "TCP_AO_ADD_KEY", 99)
    for key, value, what in (
        ("md5-password-file", "good", "this kernel has no TCP-MD5 (CONFIG_TCP_MD5SIG)"),
        ("tcp-ao", "{key-file: good}", "this kernel has no TCP-AO (Linux 6.7 or later with CONFIG_TCP_AO)"),
    ):
        (finding,) = seen(file, CACHE % f", {key}: {value}")
        assert finding == (3, "warning", f"{path}.{key}: {what}; it is Linux {os.uname().release}")


def test_a_group_that_is_not_there(file: Path) -> None:
    text = GOOD + "control-group: no-such-group\n"
    assert seen(file, text) == [(4, "fault", "control-group: there is no group 'no-such-group'")]
    assert seen(file, GOOD + f"control-group: {grp.getgrgid(0).gr_name}\n") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look with the eyes of another user")
def test_root_looks_with_the_eyes_of_the_user_who_runs_rtrd(file: Path) -> None:
    nobody = pwd.getpwuid(65534).pw_name
    folder = file.parent
    for each in (folder, *folder.parents):
        each.chmod(each.stat().st_mode | 0o011) if folder.is_relative_to("/tmp") and each != Path("/") else None
    for name in ("id", "slurm.json", "open"):
        (folder / name).write_text("{}")
        (folder / name).chmod(0o644 if name == "open" else 0o600)
    (folder / "state").mkdir(mode=0o755)
    text = CACHE % ", transport: ssh, user: u, key: id, host-key: open"
    text += "slurm: [slurm.json]\nstate: state\ncontrol: /no/where/s\n"
    assert seen(file, text, "root") == []
    assert seen(file, text, nobody) == [
        (3, "warning", f"caches.groups[0].servers[0].key: ./id: the user {nobody} may not read it"),
        (4, "fault", f"slurm[0]: ./slurm.json: the user {nobody} may not read it"),
        (5, "warning", f"state: ./state: the user {nobody} may not write to this folder"),
        (6, "warning", f"control: /no/where/s: there is no folder /no/where, and the user {nobody} can't make it"),
    ]
    os.chown(folder / "state", 65534, -1)
    assert [line for line, _, _ in seen(file, text, nobody)] == [3, 4, 6]


def test_a_user_that_is_not_there(file: Path) -> None:
    with pytest.raises(accounts.UnknownUserError, match="there is no user 'no-such-user'"):
        accounts.account(file, "no-such-user")


def test_folders_that_the_unit_makes() -> None:
    unit = (ROOT / "systemd" / "rtrd.service").read_text()
    assert "StateDirectory=rtrd\n" in unit
    assert "RuntimeDirectory=rtrd\n" in unit
    assert f"User={accounts.USER}\n" in unit
    assert not accounts.unit_makes(Path("/srv/rtrd"))


ODD = [
    ("folder", "it is a folder, not a file"),
    ("fifo", "it is a FIFO, not a file"),
    ("/dev/zero", "it is a device, not a file"),
    ("none", "No such file or directory"),
]


@pytest.mark.parametrize(("name", "why"), ODD)
def test_what_is_no_configuration_is_never_waited_for(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (finding,) = config.examine(tmp_path / name).findings
    assert finding.what == f"cannot be read: {why}"


def test_a_gigabyte_is_not_read(file: Path) -> None:
    with file.open("wb") as sparse:
        sparse.truncate(1 << 30)
    (finding,) = config.examine(file).findings
    assert finding.what.startswith("longer than")


def test_what_the_shell_opened_may_be_a_pipe() -> None:
    check = shlex.join([RTRD, "check", *AS_US])
    command = f"printf '{GOOD}' | {check} /dev/stdin && {check} <(printf '{GOOD}')"
    done = run("bash", "-c", command)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("good: 1 cache") == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look as somebody else")
def test_folders_that_the_user_may_not_look_into_are_said(tmp_path: Path, file: Path) -> None:
    """A path that nobody but root can see is a finding, not an error of `rtrd check` itself."""
    tmp_path.chmod(0o700)
    (tmp_path / "slurm.json").write_text(slurm_text())
    file.write_text(f"{GOOD}slurm: [slurm.json]\ncontrol: c.sock\nstate: s\n")
    done = rtrd("check", "--user", "nobody", file)
    assert "only root" not in done.stderr
    for path in ("slurm.json", "c.sock", "s"):
        assert f"{tmp_path}/{path}: the user nobody may not " in done.stderr


@pytest.fixture
def seen_by_all() -> Iterator[Path]:
    """A folder that others may look into; pytest's may only we."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


NO_NAME = "/" + 300 * "a"
"""Longer than a name may be: to look at it is an error for root, too, as for others what lies in a closed folder."""


@pytest.mark.parametrize("path", ["/", "/no/such", "/dev/null", ".", NO_NAME])
def test_what_is_no_configuration_of_exabgp(path: str) -> None:
    done = rtrd("check", *AS_US, "--exabgp", path)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert done.stderr.startswith(f"{path}: ")


def test_a_configuration_that_cannot_be_looked_at() -> None:
    done = rtrd("check", *AS_US, NO_NAME)
    assert (done.returncode, done.stderr) == (2, f"{NO_NAME}: cannot be read: File name too long\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="as root only it looks with the eyes of others")
def test_what_exabgps_user_may_not_read(seen_by_all: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root sees more than ExaBGP, which runs rtrd here."""
    conf, file = seen_by_all / "exabgp.conf", seen_by_all / "rtrd.yaml"
    nobody = accounts.account(file, "nobody")
    monkeypatch.setattr(accounts, "exabgp_account", lambda _user=None: nobody)
    conf.write_text(f"process rtrd {{ run {RTRD} run -c {file} --exabgp; encoder json; }}\n")
    conf.chmod(0o600)
    file.write_text(GOOD + "state: /\n")
    file.chmod(0o640)
    asked = argparse.Namespace(exabgp=str(conf), file=str(file), user=None, schema=False, json=True)
    with redirect_stdout(io.StringIO()) as out:
        check.run(asked)
    found = [(Path(one["file"]).name, one["what"]) for one in json.loads(out.getvalue())["warnings"]]
    for name in ("exabgp.conf", "rtrd.yaml"):
        assert (name, "the user nobody may not read it") in found
    assert ("rtrd.yaml", "state: /: the user nobody may not write to this folder") in found
    assert [what for name, what in found if "control: /run/rtrd" in what and "no command will find rtrd" in what]
    file.write_text(GOOD + f"state: /var/lib/rtrd\ncontrol: {seen_by_all}/s\n")
    seen_by_all.chmod(0o777)
    monkeypatch.setattr(host, "unit_makes", lambda _path: True)  # that is another's folder: ExaBGP makes none
    with redirect_stdout(io.StringIO()) as out:
        check.run(asked)
    found = [(Path(one["file"]).name, one["what"]) for one in json.loads(out.getvalue())["warnings"]]
    assert [what.partition(":")[0] for name, what in found if name == "rtrd.yaml" and ": /" in what] == ["state"]


def test_a_role_in_a_confederation(file: Path) -> None:
    text = "neighbors:\n  - {match: ['2001:db8::1'], local-role: rs, confederation: true}\n"
    what = "has no effect on paths: those of a confederation are judged where they enter it"
    assert warnings(file, GOOD + text) == [(5, f"neighbors[0].local-role: {what}")]


def test_paths_that_nobody_judges(file: Path) -> None:
    rule = "policy:\n  - {aspa-invalid: {action: announce}, leak: {action: withdraw}}\n"
    never = "never acts: no neighbor has a local-role, without which paths are not judged"
    told = [what for _, what in warnings(file, GOOD + rule)]
    assert [what.partition(" (draft")[0] for what in told] == [
        f"policy[0].aspa-invalid: {never}",
        f"policy[0].leak: {never}",
    ]
    role = "neighbors: [{match: [192.0.2.1], local-role: peer}]\n"
    rule = rule.replace("{aspa", "{not-found: {action: announce}, aspa")
    assert warnings(file, GOOD + role + rule) == []


@pytest.mark.parametrize(
    ("neighbors", "rule", "found"),
    [
        ("192.0.2.0/24: peer", "from: [192.0.2.1]", []),
        ("192.0.2.1: peer", "from: [192.0.2.0/24]", []),
        ("AS64496: peer", "from: [192.0.2.1]", []),
        ("192.0.2.1: peer", "from: [AS64496]", []),
        ("192.0.2.1: peer", "", []),
        ("192.0.2.1: peer", "from: [192.0.2.2, '2001:db8::/32']", ["aspa-invalid", "leak"]),
        ("AS64496: peer", "from: [AS64497]", ["aspa-invalid", "leak"]),
        ("192.0.2.1: customer", "from: [192.0.2.1]", ["leak"]),
        ("192.0.2.1: rs-client", "from: [192.0.2.1]", ["leak"]),
        ("192.0.2.1: provider", "from: [192.0.2.1]", []),
    ],
)
def test_actions_for_paths_of_neighbors_that_have_none(file: Path, neighbors: str, rule: str, found: list[str]) -> None:
    match, role = neighbors.split(": ")
    text = f"neighbors: [{{match: [{match}], local-role: {role}}}]\npolicy:\n  - {{{rule}{', ' if rule else ''}"
    text += "valid: {action: announce}, to: [192.0.2.9], aspa-invalid: {action: withdraw}, leak: {action: withdraw}}\n"
    told = [what for _, what in warnings(file, GOOD + text)]
    assert [what.partition(": never acts: ")[0] for what in told] == [f"policy[0].{key}" for key in found]


ALONE = "announces such routes, and the rule announces no others: give 'valid' and 'not-found' their actions"
NEVER = "never counts: what the validities ask for is more severe"


@pytest.mark.parametrize(
    ("others", "what"),
    [
        ("", ALONE),
        ("invalid: {action: withdraw}", ALONE),
        ("valid: {action: announce}", None),
        ("valid: {action: hold}, not-found: {action: hold}, invalid: {action: withdraw}", NEVER),
    ],
)
def test_an_announcement_because_of_a_path_that_nobody_can_mean(file: Path, others: str, what: str | None) -> None:
    text = "neighbors: [{match: [192.0.2.1], local-role: peer}]\npolicy:\n  - {from: [192.0.2.1], to: [192.0.2.2], "
    text += f"{others}{', ' if others else ''}aspa-invalid: {{action: announce, local-preference: 10}}}}\n"
    told = [found for _, found in warnings(file, GOOD + text)]
    assert told == ([] if what is None else [f"policy[0].aspa-invalid: {what}"])


def test_only_to_customer_of_a_rule_that_announces_nothing(file: Path) -> None:
    text = (
        "neighbors: [{match: [192.0.2.1], local-role: peer}]\npolicy:\n  - {invalid: {action: withdraw}, otc: true}\n"
    )
    told = [found for _, found in warnings(file, GOOD + text)]
    assert told == ["policy[0].otc: never acts: the rule announces nothing"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("neighbors: [{match: [64496]}]", "neighbors[0].match[0]: expected text, found '64496'; did you mean AS64496?"),
        ("slurm: [1]", "slurm[0]: expected text, found '1'; put it in quotes"),
        ("policy: [{aspa-valid: {action: hold}}]", "policy[0]: unknown key 'aspa-valid'; known here: "),
        ("policy: [{when: {covered-by: invalid}}]", "expected one of not-found, valid, found 'invalid'"),
        ("policy: [{when: {communities: ['1:2:3:4']}}]", "expected A:B, large A:B:C, or extended:0x..."),
        ("policy: [{aspa_invalid: {action: hold}}]", "did you mean 'aspa-invalid'?"),
    ],
)
def test_what_people_write_and_what_they_meant(file: Path, text: str, what: str) -> None:
    with pytest.raises(config.ConfigError) as error:
        config.loads(GOOD + text + "\n", file)
    assert what in str(error.value)
    assert "mean 'aspa-invalid'" not in str(error.value) or "aspa_" in text
    assert "mean 'valid'" not in str(error.value)


def test_only_to_customer_without_a_role(file: Path) -> None:
    rule = "policy:\n  - {from: [192.0.2.1], to: [192.0.2.2], not-found: {action: announce}, otc: true}\n"
    never = "never acts: {} a local-role, without which nothing is done about Only to Customer"

    def told(match: str) -> list[str]:
        return [what for _, what in warnings(file, GOOD + match + rule)]

    assert told("") == [f"policy[0].otc: {never.format('no neighbor has')}"]
    other = "neighbors: [{match: [192.0.2.64/26], local-role: peer}]\n"
    of_the_rule = "no neighbor of 'from' and 'to' has"
    assert told(other) == [f"policy[0].otc: {never.format(of_the_rule)}"]
    for match in ("192.0.2.1", "192.0.2.2", "192.0.2.0/26", "AS64496"):
        assert told(f"neighbors: [{{match: [{match}], local-role: peer}}]\n") == []
    out = "policy:\n  - {direction: out, invalid: {action: withdraw}, otc: true}\n"
    with pytest.raises(config.ConfigError, match="otc: not for direction out"):
        config.loads(GOOD + out, file)
