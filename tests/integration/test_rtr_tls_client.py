"""Caches by TLS (RFC 8210 section 9.2): real servers with certificates of all kinds, and peers that mean no good."""

import os
import re
import select
import shutil
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from rtrd.demo.caches import VRP
from rtrd.demo.lab import Lab, Process, find_program
from rtrd.demo.ports import free_port
from rtrlib import CacheGroup, RTRInitError, RTRManager, RTRSocket, TLSServer
from tests.integration.test_rtr_tls import VRPS, port_of, serve
from tests.lab.certificates import CA, OPENSSL, Signed
from tests.lab.daemons import At, Daemon
from tests.lab.faulty_cache import Connection, FaultyCache, Script
from tests.lab.programs import AS_US, rtrd
from tests.lab.rtr_caches import InForce, error_report, run
from tests.lab.rtr_routers import running
from tests.lab.stayrtr import StayRTR
from tests.lab.wait import SECONDS

NAME = "cache.example.net"


@pytest.fixture
def ca(tmp_path: Path) -> CA:
    return CA(tmp_path)


@pytest.fixture
def server(ca: CA) -> Signed:
    return ca.sign("server", f"DNS:{NAME}")


class Client:
    """A manager with one TLS cache."""

    def __init__(self, port: int, ca: CA | Path | None, options: dict[str, Any]) -> None:
        trusted = ca.certificate if isinstance(ca, CA) else ca
        made = {"ca": None if trusted is None else str(trusted), "server_name": NAME, **options}
        self.manager = RTRManager(groups=[CacheGroup(1, [TLSServer("127.0.0.1", port, **made)])], retry_interval=1)
        self.seen = InForce()
        self.manager.open(self.seen)
        self.cache: RTRSocket = self.manager.groups()[0].sockets[0]

    def synced(self) -> InForce:
        run(self.manager, lambda: self.cache.in_sync, "a sync by TLS")
        assert self.cache.transport == "tls"
        return self.seen

    def failed(self) -> str:
        """Why it failed, before anything was taken from it."""
        run(self.manager, lambda: self.cache.error, "the failure")
        assert not any(self.seen.history)
        return str(self.cache.error)


Connect = Callable[..., Client]


@pytest.fixture
def connect() -> Iterator[Connect]:
    with ExitStack() as stack:

        def start(port: int, ca: CA | Path | None, **options: Any) -> Client:
            client = Client(port, ca, options)
            stack.callback(client.manager.close)
            return client

        yield start


@pytest.fixture
def cache(ca: CA) -> Iterator[Callable[..., FaultyCache]]:
    """Start a cache that shows this certificate, or speaks plain TCP."""
    with ExitStack() as stack:

        def start(shows: Signed | None, script: Script = Connection.behave) -> FaultyCache:
            context = None if shows is None else ca.cache(shows)
            made = stack.enter_context(FaultyCache(VRPS, tls=context))
            made.break_with(script)
            return made

        yield start


Start = Callable[..., FaultyCache]


def test_our_own_server_with_certificates_on_both_sides(
    tmp_path: Path, ca: CA, server: Signed, connect: Connect
) -> None:
    router = ca.sign("router")
    shown = {"certificate": str(router.certificate), "key": str(router.key)}
    with running(serve(tmp_path, server, "--tls-client-ca", str(ca.certificate))) as process:
        port = port_of(process)
        client = connect(port, ca, **shown)
        assert len(client.synced().now) == len(VRPS)
        client.manager.close()
        why = "the cache closed the connection without a word (it may want a certificate of ours)"
        assert connect(port, ca).failed() == why


def test_stayrtr(tmp_path: Path, lab: Lab, ca: CA, server: Signed, connect: Connect) -> None:
    """TLS as another stack has it."""
    port = free_port("127.0.0.1")
    options = ["-tls.bind", f"127.0.0.1:{port}", "-tls.cert", str(server.certificate), "-tls.key", str(server.key)]
    lab.start(StayRTR(tmp_path, [(vrp.prefix, vrp.max_length, vrp.asn) for vrp in VRPS], options=options))
    assert len(connect(port, ca).synced().now) == len(VRPS)


def test_a_large_set_comes_whole(ca: CA, server: Signed, connect: Connect, cache: Start) -> None:
    made = cache(server)
    made.vrps = [VRP(f"10.{i >> 8}.{i & 255}.0/24", 24, 64500) for i in range(30000)]
    assert len(connect(made.port, ca).synced().now) == len(made.vrps)


@pytest.mark.parametrize("names", ["IP:127.0.0.1", "DNS:cache.example.net,IP:127.0.0.1"])
def test_without_a_name_the_host_is_the_name(ca: CA, connect: Connect, cache: Start, names: str) -> None:
    connect(cache(ca.sign("server", names)).port, ca, server_name=None).synced()


def test_a_certificate_that_is_trusted_itself(server: Signed, connect: Connect, cache: Start) -> None:
    """`ca` may name the one certificate that is believed."""
    connect(cache(server).port, server.certificate).synced()


@pytest.mark.parametrize(
    "case",
    [
        ("DNS:other.example.net", NAME, f"certificate is not for {NAME}: its subjectAltName has no such DNS name"),
        ("DNS:other.example.net", None, "not for 127.0.0.1: its subjectAltName has no such address"),
        ("", "server", "certificate is not for server"),  # that is the common name alone
    ],
)
def test_a_name_that_does_not_match(ca: CA, connect: Connect, cache: Start, case: tuple[str, str | None, str]) -> None:
    names, name, says = case
    assert says in connect(cache(ca.sign("server", names)).port, ca, server_name=name).failed()


def test_certificates_that_are_not_trusted(
    tmp_path: Path, ca: CA, server: Signed, connect: Connect, cache: Start
) -> None:
    (tmp_path / "other").mkdir()
    other = CA(tmp_path / "other")
    port = cache(server).port
    assert "the cache's certificate is of no CA that is trusted" in connect(port, other).failed()
    assert "is of no CA that is trusted" in connect(port, None).failed()
    expired = cache(ca.sign_expired("late", f"DNS:{NAME}"))
    assert connect(expired.port, ca).failed() == "the cache's certificate has expired"


def test_our_certificate_is_of_a_stranger(tmp_path: Path, ca: CA, server: Signed, connect: Connect) -> None:
    (tmp_path / "other").mkdir()
    stranger = CA(tmp_path / "other").sign("router")
    with running(serve(tmp_path, server, "--tls-client-ca", str(ca.certificate))) as process:
        why = connect(port_of(process), ca, certificate=str(stranger.certificate), key=str(stranger.key)).failed()
    assert why == "the cache closed the connection without a word (it may refuse our certificate)"


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_alerts_are_said(lab: Lab, ca: CA, server: Signed, connect: Connect, version: str) -> None:
    """As OpenSSL sends them; asyncio, and so our own server, closes instead."""
    port = free_port("127.0.0.1")
    argv = [find_program("openssl", OPENSSL), "s_server", "-accept", f"127.0.0.1:{port}", version, "-Verify", "1"]
    argv += ["-cert", str(server.certificate), "-key", str(server.key), "-CAfile", str(ca.certificate)]
    lab.start(Process("s_server", [*argv, "-verify_return_error", "-quiet"], lab.folder)).wait_for("Verify|verify")
    (lab.folder / "other").mkdir()
    stranger = CA(lab.folder / "other").sign("router")
    why = connect(port, ca, certificate=str(stranger.certificate), key=str(stranger.key)).failed()
    assert why == "the cache refuses our certificate (TLS alert: unknown ca)"
    assert "TLS alert: " in connect(port, ca).failed()


def test_an_old_tls(ca: CA, connect: Connect, cache: Start) -> None:
    async def refuses(router: Connection) -> None:
        await router.read()
        await router.send(bytes.fromhex("15 0301 0002 0246"))

    assert connect(cache(None, refuses).port, ca).failed() == "the cache speaks no TLS of version 1.2 or later"


def test_who_speaks_no_tls(ca: CA, connect: Connect, cache: Start) -> None:
    async def answers(router: Connection) -> None:
        await router.read()
        await router.send(error_report(4))

    async def greets(router: Connection) -> None:
        await router.send(b"220 mail.example.net ESMTP\r\n")
        await router.read()

    async def closes(router: Connection) -> None:
        await router.read()

    assert connect(cache(None, answers).port, ca).failed() == "the cache speaks no TLS at this port: it sent RTR"
    assert "speaks no TLS at this port: it sent something else" in connect(cache(None, greets).port, ca).failed()
    assert "does the cache speak TLS at this port?" in connect(cache(None, closes).port, ca).failed()


def test_who_never_answers_the_handshake_is_given_up(ca: CA, connect: Connect, cache: Start) -> None:
    async def silent(router: Connection) -> None:
        while await router.read():
            pass

    why = connect(cache(None, silent).port, ca, connect_timeout=1).failed()
    assert why == "the cache did not complete the TLS handshake within 1 seconds of connecting"


def recorded(server: Signed, ca: CA) -> bytes:
    """What a server sends first in a handshake."""
    ours, theirs = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ca.router(None).wrap_bio(theirs, ours, server_hostname=NAME)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    answering = ca.cache(server).wrap_bio(ours, theirs, server_side=True)
    with pytest.raises(ssl.SSLWantReadError):
        answering.do_handshake()
    return theirs.read()


def test_who_closes_in_the_middle_of_the_handshake(ca: CA, server: Signed, connect: Connect, cache: Start) -> None:
    half = recorded(server, ca)[:100]

    async def closes(router: Connection) -> None:
        await router.read()
        await router.send(half)

    async def resets(router: Connection) -> None:
        await router.read()
        await router.send(half)
        router.reset()

    assert connect(cache(None, closes).port, ca).failed() == "the connection was closed in the TLS handshake"
    assert "in the TLS handshake" in connect(cache(None, resets).port, ca).failed()


def test_who_closes_in_the_middle_of_a_pdu(ca: CA, server: Signed, connect: Connect, cache: Start) -> None:
    async def cuts(router: Connection) -> None:
        await router.query()
        await router.send(router.all()[:-5])

    client = connect(cache(server, cuts).port, ca)
    assert client.failed() == "the cache closed the connection in the middle of a PDU"
    assert client.cache.fault == "closed"


def test_a_certificate_of_a_megabyte(ca: CA, connect: Connect, cache: Start) -> None:
    names = ",".join(f"DNS:{'x' * 60}.{i}.example.net" for i in range(1500))
    assert "certificates are too large" in connect(cache(ca.sign("large", names)).port, ca).failed()


def test_small_records_without_end_leave_time_for_the_rest(
    ca: CA, server: Signed, connect: Connect, cache: Start
) -> None:
    """An octet in each record costs a cache 23 octets, and no turn of ours more than its share."""

    async def crumbs(router: Connection) -> None:
        await router.query()
        octets = router.all()
        for at in range(len(octets)):
            router.writer.write(octets[at : at + 1])
        await router.writer.drain()
        await router.read()

    made = cache(server, crumbs)
    made.vrps = [VRP(f"10.{i >> 8}.{i & 255}.0/24", 24, 64500) for i in range(5000)]
    client = connect(made.port, ca)
    longest, deadline = 0.0, time.monotonic() + SECONDS
    while not client.cache.in_sync:
        select.select([client.manager.fileno()], [], [], 0.1)
        before = time.thread_time()
        client.manager.dispatch()
        longest = max(longest, time.thread_time() - before)
        assert time.monotonic() < deadline
    assert len(client.seen.now) == len(made.vrps)
    assert longest < 0.05


# -- the files


def test_files_that_cannot_be_used_are_said(tmp_path: Path, ca: CA, connect: Connect) -> None:
    router, other = ca.sign("router"), ca.sign("other")
    rubbish, fifo, locked = tmp_path / "rubbish", tmp_path / "fifo", tmp_path / "locked"
    rubbish.write_text("rubbish")
    os.mkfifo(fifo)
    argv = [
        find_program("openssl", OPENSSL),
        "ec",
        "-aes128",
        "-passout",
        "pass:x",
        "-in",
        str(router.key),
        "-out",
        str(locked),
    ]
    subprocess.run(argv, check=True, capture_output=True)
    for options, trusted, says in (
        ({}, rubbish, f"the CA {rubbish} is not usable: expected certificates in PEM"),
        ({}, tmp_path / "none", f"the CA {tmp_path}/none cannot be read: No such file or directory"),
        ({}, fifo, f"the CA {fifo} is not a file"),
        ({}, Path("/dev/zero"), "the CA /dev/zero is not a file"),
        ({"certificate": str(rubbish)}, ca, "is not usable: expected PEM"),
        ({"key": str(fifo)}, ca, f"the key {fifo} is not a file"),
        ({"key": str(other.key)}, ca, "is not usable: they do not belong together"),
        ({"key": str(locked)}, ca, f"the key {locked} is encrypted: nobody can be asked for its password"),
    ):
        made = {"certificate": str(router.certificate), "key": str(router.key), **options}
        client = connect(1, trusted, **made)
        assert says in client.failed()
        assert client.cache.fault == "unreachable"


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o604])
def test_a_key_that_others_may_read(ca: CA, connect: Connect, mode: int) -> None:
    router = ca.sign("router")
    router.key.chmod(mode)
    why = connect(1, ca, certificate=str(router.certificate), key=str(router.key)).failed()
    assert re.search(rf"the key {router.key} has mode {mode:04o}, so others may use it: make it 0600", why)


def test_the_files_count_anew_for_each_connection(
    tmp_path: Path, ca: CA, server: Signed, connect: Connect, cache: Start
) -> None:
    (tmp_path / "other").mkdir()
    trusted = tmp_path / "trusted.pem"
    shutil.copy(CA(tmp_path / "other").certificate, trusted)
    client = connect(cache(server).port, trusted)
    assert "no CA that is trusted" in client.failed()
    shutil.copy(ca.certificate, trusted)
    client.manager.reconnect([client.cache])
    client.synced()


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(RTRInitError, match="both a certificate and its key"):
        TLSServer("127.0.0.1", 324, certificate="c.pem")
    with pytest.raises(RTRInitError, match="librtr has no TLS; leave the engine out"):
        TLSServer("127.0.0.1", 324, engine="librtr")
    with pytest.raises(RTRInitError, match="is not the name of a network device"):
        TLSServer("127.0.0.1", 324, device="a/b")


def test_the_daemon_and_a_reload(tmp_path: Path, lab: Lab, ca: CA, server: Signed, cache: Start) -> None:
    (tmp_path / "other").mkdir()
    trusted = tmp_path / "trusted.pem"
    shutil.copy(CA(tmp_path / "other").certificate, trusted)
    made = cache(server)
    options = {"transport": "tls", "ca": str(trusted), "server-name": NAME}
    daemon = lab.start(Daemon(lab.folder, [made], options=options, timers={"retry": 600}))

    def of_cache(status: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = status["groups"][0]["servers"][0]
        return found

    status = daemon.wait_status(lambda status: of_cache(status)["error"], "the failure")
    assert "is of no CA that is trusted" in of_cache(status)["error"]
    assert (of_cache(status)["transport"], of_cache(status)["authentication"]) == ("tls", None)
    shutil.copy(ca.certificate, trusted)
    assert daemon.reload().returncode == 0
    daemon.wait_vrps(len(VRPS))
    assert f"tls 127.0.0.1:{made.port}: ESTABLISHED" in rtrd("status", "--socket", daemon.socket).stdout


def test_a_daemon_that_is_a_router_of_another(lab: Lab, ca: CA, server: Signed) -> None:
    """Certificates on both sides; that of the second names the address that it connects from, or is not served."""
    upstream = lab.start(StayRTR(lab.folder, [(vrp.prefix, vrp.max_length, vrp.asn) for vrp in VRPS]))
    tls = {"listen": ["127.0.0.1:0"], "certificate": str(server.certificate), "key": str(server.key)}
    settings = {"rtr-server": {"tls": {**tls, "client-ca": str(ca.certificate)}}}
    first = lab.start(Daemon(lab.folder, [upstream], "first", settings))
    port = int(first.wait_serves()["rtr_server"]["listen_tls"][0].rpartition(":")[2])
    router = ca.sign("router", "IP:127.0.0.9")
    options = {"transport": "tls", "ca": str(ca.certificate), "server-name": NAME, "source": "127.0.0.9"}
    options |= {"certificate": str(router.certificate), "key": str(router.key)}
    second = lab.start(Daemon(lab.folder, [At("127.0.0.1", port)], "second", options=options))
    second.wait_vrps(len(VRPS))
    third = lab.start(Daemon(lab.folder, [At("127.0.0.1", port)], "third", options={**options, "source": "127.0.0.8"}))
    status = third.wait_status(lambda status: status["groups"][0]["servers"][0]["error"], "the failure")
    assert status["groups"][0]["servers"][0]["error"].endswith("without a word (it may refuse our certificate)")


def test_a_reload_uses_renewed_keys(lab: Lab, ca: CA, server: Signed, cache: Start) -> None:
    """The session stays while the new ones can't be used."""
    made, router = cache(server), ca.sign("router")
    options = {"transport": "tls", "ca": str(ca.certificate), "server-name": NAME}
    options |= {"certificate": str(router.certificate), "key": str(router.key)}
    daemon = lab.start(Daemon(lab.folder, [made], options=options))
    daemon.wait_vrps(len(VRPS))
    new = ca.sign("renewed")
    router.key.write_text("rubbish")
    assert daemon.reload().stdout == f"{daemon.config}, read by the rtrd at {daemon.socket}: nothing changed\n"
    problem = f"the next connection to cache 127.0.0.1:{made.port} will fail: the certificate "
    assert any(each["what"].startswith(problem) for each in daemon.now()["problems"])
    new.certificate.replace(router.certificate)
    new.key.replace(router.key)
    assert f"cache 127.0.0.1:{made.port} is asked now" in daemon.reload().stdout
    daemon.wait_status(lambda status: made.connections == 2 and not status["problems"], "another connection")
    assert sum(daemon.now()["vrps"].values()) == len(VRPS)


def test_check_names_what_tls_cannot_use(tmp_path: Path, ca: CA) -> None:
    (tmp_path / "rubbish").write_text("rubbish")
    file = tmp_path / "rtrd.yaml"
    file.write_text(
        "caches:\n  groups:\n    - name: a\n      preference: 1\n      servers:\n"
        f"        - {{host: localhost, transport: tls, ca: {ca.certificate}}}\n"
        "        - {host: 192.0.2.1, transport: tls, ca: rubbish}\n"
    )
    done = rtrd("check", *AS_US, file)
    assert done.returncode == 0
    assert re.findall(r"rtrd.yaml:(\d+): warning: (.*)", done.stderr) == [
        ("7", f"caches.groups[0].servers[1]: the CA {tmp_path}/rubbish is not usable: expected certificates in PEM")
    ]
