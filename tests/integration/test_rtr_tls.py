"""RTR over TLS (RFC 8210 section 9.2): `rtrd cache` and the relay, with routers that show a certificate or none."""

import asyncio
import json
import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from rtrd.base.endpoint import Endpoint
from rtrd.base.tls import address_refusal, server_context
from rtrd.demo.caches import VRP, write_vrps
from rtrd.demo.lab import Lab, Process
from rtrd.rtr import pdu
from rtrd.rtr.client import Limits
from rtrd.rtr.server import RTRServer
from tests.lab import rtr_wire
from tests.lab.certificates import CA, Signed
from tests.lab.daemons import Daemon
from tests.lab.programs import RTRD, rtrd
from tests.lab.rtr_routers import dumped, running
from tests.lab.rtr_wire import read_answer
from tests.lab.stayrtr import StayRTR
from tests.lab.wait import SECONDS, until

VRPS = [VRP("192.0.2.0/24", 24, 64500), VRP("2001:db8::/32", 48, 64501)]


@pytest.fixture
def ca(tmp_path: Path) -> CA:
    return CA(tmp_path)


@pytest.fixture
def server(ca: CA) -> Signed:
    return ca.sign("server")


@contextmanager
def connected(port: int, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection(("127.0.0.1", port), SECONDS) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as tls,
    ):
        yield tls


def load(port: int, context: ssl.SSLContext) -> int:
    """How many prefixes a router gets; raises OSError (ssl.SSLError is one) when it gets no connection."""
    with connected(port, context) as tls, tls.makefile("rb") as stream:
        tls.sendall(rtr_wire.encode(pdu.ResetQuery(1)))
        return sum(isinstance(one, rtr_wire.Prefix) for one in read_answer(stream))


def serve(folder: Path, server: Signed, *words: str) -> Process:
    write_vrps(folder / "vrps.json", VRPS)
    argv = [RTRD, "cache", "--vrps", str(folder / "vrps.json"), "--json"]
    argv += ["--tls-listen", "127.0.0.1:0", "--tls-certificate", str(server.certificate), "--tls-key", str(server.key)]
    return Process("cache", [*argv, *words], folder)


def port_of(process: Process) -> int:
    found: int = json.loads(process.wait_for(r'^\{"listening"').text)["listening"][-1]["port"]
    return found


def test_only_routers_with_a_certificate_of_the_ca_are_served(tmp_path: Path, ca: CA, server: Signed) -> None:
    (tmp_path / "other").mkdir()
    stranger = CA(tmp_path / "other").sign("router")
    with running(serve(tmp_path, server, "--tls-client-ca", str(ca.certificate))) as process:
        port = port_of(process)
        assert load(port, ca.router(ca.sign("router"))) == len(VRPS)
        for shown, why in ((None, "it shows no certificate"), (stranger, "its certificate is not accepted")):
            with pytest.raises(OSError, match=r"alert|reset|closed|EOF|pipe"):
                load(port, ca.router(shown))
            process.wait_for(f"dropped.*{why}")
        with socket.create_connection(("127.0.0.1", port), SECONDS) as plain:
            plain.sendall(rtr_wire.encode(pdu.ResetQuery(1)))
            answer = plain.makefile("rb").read()
            assert answer == b"" or answer[0] == 21, "a TLS alert at most: no RTR without TLS"
        process.wait_for("dropped.*it speaks no TLS")
        assert load(port, ca.router(ca.sign("router"))) == len(VRPS), "and those go on"


def test_stayrtrs_rtrdump_by_tls(tmp_path: Path, server: Signed) -> None:
    """It has no certificate to show and checks none of ours: the cipher and the framing are what is tried."""
    with running(serve(tmp_path, server)) as process:
        options = ["-type", "tls", "-tls.validate=false", "-rtr.version", "1"]
        assert dumped(tmp_path, port_of(process), *options)[0] == set(VRPS)


def relay(lab: Lab, server: Signed, **more: Any) -> tuple[Daemon, int]:
    """A daemon that serves by TLS, and the port where it does."""
    cache = lab.start(StayRTR(lab.folder, VRPS))
    tls = {"listen": ["127.0.0.1:0"], "certificate": str(server.certificate), "key": str(server.key)}
    tls |= more.pop("tls", {})
    daemon = lab.start(Daemon(lab.folder, [cache], settings={"rtr-server": {"tls": tls, **more}}))
    return daemon, int(daemon.wait_serves()["rtr_server"]["listen_tls"][0].rpartition(":")[2])


def test_the_relay_serves_by_tls_beside_tcp(lab: Lab, ca: CA, server: Signed) -> None:
    _, port = relay(lab, server, listen=["127.0.0.1:0"], tls={"client-ca": str(ca.certificate)})
    assert load(port, ca.router(ca.sign("router"))) == len(VRPS)


async def test_handshakes_are_few_and_end_soon(ca: CA, server: Signed) -> None:
    """Whoever connects and says nothing counts from that moment, and takes no more than some of an address."""
    serving = RTRServer(limits=Limits(handshake=2, handshakes=6, handshakes_of_address=4))
    [address] = await serving.listen(Endpoint("0.0.0.0", 0), server_context(server.certificate, server.key, None))
    async with AsyncExitStack() as silent:
        for i in range(12):
            _, writer = await asyncio.open_connection(
                "127.0.0.1", address.port, local_addr=(f"127.0.0.{2 + i // 6}", 0)
            )
            silent.callback(writer.close)
        await until(lambda: serving.drops == {"refused": 5, "dropped": 1})
        loading = asyncio.to_thread(connected_once, address.port, ca.router(None))
        assert await loading, "one of those with many gave way"
        assert serving.drops["dropped"] == 2
        await until(lambda: not serving.shaking)
    await serving.close()


def connected_once(port: int, context: ssl.SSLContext) -> bool:
    with connected(port, context):
        return True


def shown(port: int, ca: CA) -> str:
    """The name in the certificate that the server shows."""
    with connected(port, ca.router(ca.sign("router"))) as tls:
        found = tls.getpeercert()
        assert found is not None
        (name,) = (value for ((key, value),) in cast("Any", found)["subject"] if key == "commonName")
        return str(name)


def replace(server: Signed, by: Signed) -> None:
    for old, new in zip(server, by, strict=True):
        new.replace(old)


def test_the_cache_reads_its_certificate_again(tmp_path: Path, ca: CA, server: Signed) -> None:
    with running(serve(tmp_path, server, "--tls-client-ca", str(ca.certificate))) as process:
        port = port_of(process)
        assert shown(port, ca) == "server"
        with connected(port, ca.router(ca.sign("router"))) as before:
            before.sendall(rtr_wire.encode(pdu.ResetQuery(1)))
            replace(server, ca.sign("renewed"))
            process.send_signal(signal.SIGHUP)
            process.wait_until(lambda: shown(port, ca) == "renewed", SECONDS, "the new certificate")
            assert before.recv(1) == b"\x01", "who was connected is served on"
        server.certificate.write_text("rubbish")
        process.send_signal(signal.SIGHUP)
        process.wait_for("certificates refused; the old ones stay in force", SECONDS)
        assert shown(port, ca) == "renewed"


def test_the_relay_reads_its_certificate_again(lab: Lab, ca: CA, server: Signed) -> None:
    daemon, port = relay(lab, server)
    assert shown(port, ca) == "server"
    replace(server, ca.sign("renewed"))
    daemon.process.send_signal(signal.SIGHUP)
    daemon.process.wait_until(lambda: shown(port, ca) == "renewed", SECONDS, "the new certificate")
    server.certificate.write_text("rubbish")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.process.wait_for("configuration refused.*rtr-server: tls: certificate", SECONDS)
    assert shown(port, ca) == "renewed"


def test_files_that_are_no_certificate_are_said(tmp_path: Path, ca: CA, server: Signed) -> None:
    missing, rubbish = tmp_path / "missing", tmp_path / "rubbish"
    rubbish.write_text("rubbish")
    write_vrps(tmp_path / "vrps.json", VRPS)
    listen = ["--tls-listen", "127.0.0.1:0"]
    ours = ["--tls-certificate", str(server.certificate), "--tls-key", str(server.key)]
    for words, what in (
        ([], "--listen or --tls-listen is needed"),
        (listen, "--tls-listen needs --tls-certificate and --tls-key"),
        ([*ours, "--listen", "127.0.0.1:0"], "--tls-certificate, --tls-key and --tls-client-ca are for --tls-listen"),
        (
            [*listen, "--tls-certificate", str(missing), "--tls-key", str(server.key)],
            f"certificate {missing}: No such file or directory",
        ),
        (
            [*listen, "--tls-certificate", str(server.certificate), "--tls-key", str(ca._own.key)],
            f"certificate {server.certificate} with key {ca._own.key}: not usable: key values mismatch",
        ),
        ([*listen, *ours, "--tls-client-ca", str(rubbish)], f"client CA {rubbish}: not usable: "),
    ):
        done = rtrd("cache", "--vrps", tmp_path / "vrps.json", *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert what in done.stderr


def test_a_routers_certificate_must_name_its_address(tmp_path: Path, ca: CA, server: Signed) -> None:
    """RFC 8210 section 9.2."""
    other, nobody = ca.sign("other", "IP:192.0.2.1,IP:2001:db8::1"), ca.sign("nobody", "DNS:router.example.net")
    with running(serve(tmp_path, server, "--tls-client-ca", str(ca.certificate))) as process:
        for shows in (other, nobody):
            with connected(port_of(process), ca.router(shows)) as tls:
                assert tls.recv(1) == b"", "it is closed"
        process.wait_for("router dropped.*its certificate names only 192.0.2.1, 2001:db8::1 ")
        assert load(port_of(process), ca.router(ca.sign("router"))) == len(VRPS)
    with running(serve(tmp_path, server, "--tls-client-ca", str(ca.certificate), "--tls-any-address")) as process:
        assert load(port_of(process), ca.router(other)) == len(VRPS)


@pytest.mark.parametrize(
    ("address", "names", "served"),
    [
        ("192.0.2.1", ["192.0.2.1"], True),
        ("::ffff:192.0.2.1", ["192.0.2.9", "192.0.2.1"], True),
        ("2001:db8::1", ["2001:DB8:0:0:0:0:0:1"], True),
        ("fe80::1%eth0", ["FE80:0:0:0:0:0:0:1"], True),
        ("192.0.2.1", ["192.0.2.2"], False),
        ("192.0.2.1", [], False),
    ],
)
def test_addresses_and_names_in_all_spellings(address: str, names: list[str], served: bool) -> None:
    certificate = {"subjectAltName": [("DNS", "r.example.net"), *(("IP Address", name) for name in names)]}
    assert (address_refusal(certificate, address) is None) == served


def test_who_shows_no_certificate_is_not_asked_for_its_address() -> None:
    assert address_refusal(None, "192.0.2.1") is None
    assert address_refusal({}, "192.0.2.1") is None


def test_the_relay_may_take_any_address(lab: Lab, ca: CA, server: Signed) -> None:
    _, port = relay(lab, server, tls={"client-ca": str(ca.certificate), "check-address": False})
    assert load(port, ca.router(ca.sign("other", "IP:192.0.2.1"))) == len(VRPS)
