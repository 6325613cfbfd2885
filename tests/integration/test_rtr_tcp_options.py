"""Caches by TCP from an address, by a device, and signed (RFC 2385, RFC 5925), where this kernel can."""

import ipaddress
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from rtrd.base.endpoint import Endpoint
from rtrd.demo.caches import VRP
from rtrd.demo.lab import Lab
from rtrlib import TCPAO, CacheGroup, RTRInitError, RTRManager, RTRSocket, TCPServer
from rtrlib.servers import Server
from rtrlib.tcp_auth import Signature, missing, sign
from tests.lab.daemons import Daemon
from tests.lab.faulty_cache import FaultyCache
from tests.lab.programs import rtrd
from tests.lab.rtr_caches import InForce, run
from tests.lab.stayrtr import StayRTR

VRPS = [VRP("192.0.2.0/24", 24, 64500)]
needs_md5 = pytest.mark.skipif(missing(None) is not None, reason=str(missing(None)))


class Connect(Protocol):
    def __call__(self, server: Server) -> tuple[RTRManager, RTRSocket]: ...


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Open a manager with this cache."""
    with ExitStack() as stack:

        def start(server: Server) -> tuple[RTRManager, RTRSocket]:
            manager = RTRManager(groups=[CacheGroup(1, [server])], retry_interval=1)
            stack.callback(manager.close)
            manager.open(InForce())
            return manager, manager.groups()[0].sockets[0]

        yield start


@pytest.fixture(params=["127.0.0.1", "::1"])
def cache(request: pytest.FixtureRequest) -> Iterator[FaultyCache]:
    with FaultyCache(VRPS, request.param) as made:
        yield made


@pytest.fixture
def key(tmp_path: Path) -> Path:
    made = tmp_path / "key"
    made.write_text("sesame\n")
    made.chmod(0o600)
    return made


def require(cache: FaultyCache, signature: Signature, peers: str = "") -> None:
    """Have the cache take only what is signed so."""
    listener = cache.listener
    assert listener is not None
    with listener:
        sign(listener, ipaddress.ip_network(peers or cache.address), signature)


def failed(manager: RTRManager, cache: RTRSocket) -> str:
    run(manager, lambda: cache.error, "the failure")
    return str(cache.error)


def synced(manager: RTRManager, cache: RTRSocket) -> None:
    run(manager, lambda: cache.in_sync, "a sync")


def test_a_source_and_a_device(connect: Connect) -> None:
    with FaultyCache(VRPS) as cache:
        synced(*connect(TCPServer(cache.address, cache.port, bind="127.0.0.9", device="lo")))
        assert cache.peers[-1][0] == "127.0.0.9"


def test_a_source_or_a_device_that_is_not_there(cache: FaultyCache, connect: Connect) -> None:
    at = f"cannot connect to {cache.address} port {cache.port}"
    source = "203.0.113.9" if "." in cache.address else "2001:db8::9"
    why = failed(*connect(TCPServer(cache.address, cache.port, bind=source, engine="native")))
    assert why == f"{at} from {source}: Cannot assign requested address"
    why = failed(*connect(TCPServer(cache.address, cache.port, device="nodevice")))
    assert why == f"{at} by nodevice: No such device"


@needs_md5
def test_md5(cache: FaultyCache, key: Path, connect: Connect) -> None:
    require(cache, Signature(b"sesame"))
    manager, socket = connect(TCPServer(cache.address, cache.port, md5_password_file=str(key)))
    synced(manager, socket)
    assert (socket.transport, socket.server.authentication) == ("tcp", "md5")


@needs_md5
def test_md5_of_a_prefix(key: Path, connect: Connect) -> None:
    with FaultyCache(VRPS) as cache:
        require(cache, Signature(b"sesame"), "127.0.0.0/8")
        synced(*connect(TCPServer(cache.address, cache.port, bind="127.0.0.9", md5_password_file=str(key))))


@needs_md5
def test_another_md5_password_or_none(cache: FaultyCache, key: Path, connect: Connect) -> None:
    require(cache, Signature(b"open"))
    server = TCPServer(cache.address, cache.port, md5_password_file=str(key), connect_timeout=1)
    assert failed(*connect(server)).endswith(
        "Connection timed out (with another key of TCP-MD5 than the cache's it looks the same)"
    )
    assert "timed out" in failed(*connect(TCPServer(cache.address, cache.port, connect_timeout=1, engine="native")))
    assert cache.connections == 0


def test_ao_or_why_not(cache: FaultyCache, key: Path, connect: Connect) -> None:
    """On a kernel without it that is said, and nothing goes out unsigned."""
    server = TCPServer(cache.address, cache.port, tcp_ao=TCPAO(str(key), 7, "hmac-sha1"))
    if (why := missing("hmac-sha1")) is None:
        require(cache, Signature(b"sesame", ("hmac-sha1", 7)))
        synced(*connect(server))
        return
    assert failed(*connect(server)) == why
    assert why.startswith("this kernel has no TCP-AO (Linux 6.7 or later with CONFIG_TCP_AO); it is Linux ")
    assert cache.connections == 0


class Asked:
    """A socket that only notes what it is asked."""

    def __init__(self) -> None:
        self.asked: tuple[int, int, bytes] | None = None

    def setsockopt(self, level: int, option: int, octets: bytes) -> None:
        self.asked = level, option, octets


@pytest.mark.parametrize(("peers", "family"), [("192.0.2.0/24", socket.AF_INET), ("2001:db8::1", socket.AF_INET6)])
def test_ao_as_the_kernel_has_it(peers: str, family: int) -> None:
    """`struct tcp_ao_add` of linux/tcp.h (6.7)."""
    asked = Asked()
    sign(asked, ipaddress.ip_network(peers), Signature(b"sesame", ("aes-128-cmac", 7)))  # type: ignore[arg-type]
    assert asked.asked is not None
    level, option, octets = asked.asked
    assert (level, option, len(octets)) == (socket.IPPROTO_TCP, 38, 288)
    assert int.from_bytes(octets[:2], "little") == family
    assert octets[128:192].rstrip(b"\0") == b"cmac(aes128)"
    prefix, send, receive, size, flags, length = octets[202:208]
    assert (prefix, send, receive, size, flags, length) == (ipaddress.ip_network(peers).prefixlen, 7, 7, 12, 0, 6)
    assert octets[208:].rstrip(b"\0") == b"sesame"


def test_keys_that_cannot_be_used_are_said(tmp_path: Path, key: Path, connect: Connect) -> None:
    def why(path: Path) -> str:
        return failed(*connect(TCPServer("127.0.0.1", 1, md5_password_file=str(path))))

    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    assert why(fifo) == f"the MD5 password file {fifo} is not a file"
    assert "No such file" in why(tmp_path / "none")
    for text, says in (("\n", "is empty"), ("x" * 81, "at most 80 are possible"), ("a\nb\n", "more than one line")):
        key.write_text(text)
        assert says in why(key)
    key.chmod(0o644)
    assert "has mode 0644, so others may use it" in why(key)


def test_options_that_make_no_sense_are_refused() -> None:
    options: list[tuple[dict[str, Any], str]] = [
        ({"md5_password_file": "f", "tcp_ao": TCPAO("f")}, "either an MD5 password or TCP-AO"),
        ({"md5_password_file": "f", "engine": "librtr"}, "librtr has no TCP-MD5; leave the engine out"),
        ({"device": "lo", "engine": "librtr"}, "librtr has no device to connect by"),
    ]
    for option, says in options:
        with pytest.raises(RTRInitError, match=says):
            TCPServer("127.0.0.1", 323, **option)
    with pytest.raises(RTRInitError, match=r"key_id 256 is not in 0\.\.255"):
        TCPAO("f", 256)
    with pytest.raises(RTRInitError, match="algorithm 'md5' is not one of hmac-sha1, "):
        TCPAO("f", 1, "md5")  # type: ignore[arg-type]


@needs_md5
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_the_relay_wants_some_routers_signed(lab: Lab, key: Path, connect: Connect, address: str) -> None:
    """By a router of ours; a renewed password counts after a reload, and who is not named needs none."""
    upstream = lab.start(StayRTR(lab.folder, [("192.0.2.0/24", 24, 64500)]))
    here = "127.0.0.9" if address == "127.0.0.1" else address
    clients = [{"match": [here, "2001:db8::/32"], "md5-password-file": str(key)}]
    listen = [str(Endpoint(address, 0))]
    daemon = lab.start(Daemon(lab.folder, [upstream], settings={"rtr-server": {"listen": listen, "clients": clients}}))
    daemon.wait_serves()
    port = daemon.relay_port()

    def router(**options: Any) -> tuple[RTRManager, RTRSocket]:
        return connect(TCPServer(address, port, connect_timeout=1, engine="native", **options))

    synced(*router(bind=here, md5_password_file=str(key)))
    assert "timed out" in failed(*router(bind=here))
    if here != address:
        synced(*router())
    key.write_text("another")
    assert daemon.reload().returncode == 0
    synced(*router(bind=here, md5_password_file=str(key)))
    key.chmod(0o644)
    assert f"rtr-server: clients: the MD5 password file {key} has mode 0644" in daemon.reload().stderr


@needs_md5
def test_a_daemon_that_signs_to_another(lab: Lab, key: Path) -> None:
    upstream = lab.start(StayRTR(lab.folder, [("192.0.2.0/24", 24, 64500)]))
    clients = [{"match": ["127.0.0.9"], "md5-password-file": str(key)}]
    server = {"rtr-server": {"listen": ["127.0.0.1:0"], "clients": clients}}
    first = lab.start(Daemon(lab.folder, [upstream], "first", server))
    first.wait_serves()
    options = {"source": "127.0.0.9", "device": "lo", "md5-password-file": str(key)}
    second = lab.start(Daemon(lab.folder, [first.relay()], "second", options=options))
    assert second.wait_vrps(1)["groups"][0]["servers"][0]["authentication"] == "md5"
    assert ": ESTABLISHED, signed by TCP-MD5, version " in rtrd("status", "--socket", second.socket).stdout


def test_check_and_run_refuse_what_the_relay_cannot_sign(tmp_path: Path, key: Path) -> None:
    key.chmod(0o604)
    file = tmp_path / "rtrd.yaml"
    file.write_text(
        "caches: {groups: [{name: a, preference: 1, servers: [{host: 192.0.2.1}]}]}\ncontrol: ./c\n"
        "rtr-server:\n  listen: ['127.0.0.1:0']\n"
        f"  clients: [{{match: [192.0.2.0/24], md5-password-file: {key}}}]\n"
    )
    for command in (("check", file), ("run", "-c", file)):
        done = rtrd(*command)
        assert done.returncode in {1, 2}
        assert "has mode 0604, so others may use it" in done.stderr
