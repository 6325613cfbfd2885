"""The RTR server over real sockets: scripted routers, and `rtrd cache` with rtrclient, BIRD and GoBGP."""

import asyncio
import ipaddress
import json
import re
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtrd.base.endpoint import Endpoint
from rtrd.demo.lab import Lab, Process, find_program
from rtrd.demo.ports import free_port
from rtrd.rtr import pdu
from rtrd.rtr.client import Limits
from rtrd.rtr.pdu import ErrorReport, RouterKeyPDU, SerialNotify
from rtrd.rtr.server import RTRServer
from rtrd.rtr.versions import Versions
from rtrlib import vrp
from rtrlib.rtr_pdus import HEADER
from rtrlib.vrp import PACKED
from rtrlib.vrp_entries import RouterKey
from tests.lab import rtr_wire
from tests.lab.programs import RTRD, rtrd, run
from tests.lab.rtr_routers import RTRCLIENT, Bird, dumped, exported, running
from tests.lab.rtr_wire import Prefix
from tests.lab.stayrtr import VRP, write_vrp_file
from tests.lab.vrp_sets import packed
from tests.lab.wait import SECONDS, until

GOBGP = "as root: apt-get install gobgpd"
FRR = "as root: apt-get install frr frr-rpki-rtrlib"

KEY = RouterKey(64500, bytes(range(20)), bytes(91))
FIRST = {
    ("192.0.2.0/24", 24, 64500),
    ("198.51.100.0/22", 24, 64501),
    ("198.51.100.0/24", 24, 64502),
    ("203.0.113.0/24", 24, 0),
    ("2001:db8::/32", 48, 64503),
    ("2001:db8::/32", 32, 4200000000),
}
SECOND = FIRST - {("198.51.100.0/22", 24, 64501)} | {("0.0.0.0/0", 8, 64504), ("2001:db8:1::/48", 48, 64503)}


def pack(vrps: Iterable[VRP]) -> bytes:
    return packed(vrp.VRP(*one) for one in vrps)


# -- scripted routers -------------------------------------------------------------------------------------


class Router:
    """A scripted router: sends octets, reads PDUs."""

    def __init__(self, address: Endpoint, source: str | None = None) -> None:
        self.address = address
        self.source = None if source is None else (source, 0)

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection(
            self.address.host, self.address.port, local_addr=self.source
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()

    def send(self, *pdus: rtr_wire.PDU | bytes) -> None:
        self.writer.write(b"".join(one if isinstance(one, bytes) else rtr_wire.encode(one) for one in pdus))

    async def read(self) -> Any:
        """The next PDU; None when the server closed."""
        async with asyncio.timeout(SECONDS):
            try:
                head = await self.reader.readexactly(HEADER.size)
                header = pdu.header(head)
                assert header is not None
                return rtr_wire.decode(head + await self.reader.readexactly(header.length - len(head)))
            except (asyncio.IncompleteReadError, ConnectionResetError):
                return None

    async def load(self, query: rtr_wire.PDU) -> list[Any]:
        """Ask; returns the response up to End of Data."""
        self.send(query)
        found = [await self.read()]
        while not isinstance(found[-1], pdu.EndOfData | pdu.CacheReset | ErrorReport | None):
            found.append(await self.read())
        return found


def vrps_of(response: Iterable[object], *, announce: bool = True) -> set[VRP]:
    return {
        (str(ipaddress.ip_network((one.address, one.length))), one.max_length, one.asn)
        for one in response
        if isinstance(one, Prefix) and one.announce is announce
    }


@asynccontextmanager
async def serving(
    vrps: Iterable[VRP] | None = None, keys: Sequence[Any] = (), host: str = "127.0.0.1", **limits: Any
) -> AsyncIterator[tuple[RTRServer, Endpoint]]:
    server = RTRServer(limits=Limits(**limits))
    if vrps is not None:
        await server.update(pack(vrps), keys)
    [address] = await server.listen(Endpoint(host, 0))
    try:
        yield server, address
    finally:
        await server.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("version", [0, 1, 2])
async def test_a_router_of_each_version_loads_and_follows(version: Any, host: str) -> None:
    async with serving(FIRST, [KEY], host) as (server, address), Router(address) as router:
        response = await router.load(pdu.ResetQuery(version))
        assert vrps_of(response) == FIRST
        keys = [RouterKeyPDU(version, True, KEY.ski, KEY.asn, KEY.spki)] if version else []
        assert [one for one in response if isinstance(one, RouterKeyPDU)] == keys
        end = response[-1]
        assert end.session == response[0].session
        assert await server.update(pack(SECOND), [KEY])
        notify = await router.read()
        assert notify == SerialNotify(version, end.session, (end.serial + 1) % (1 << 32))
        delta = await router.load(pdu.SerialQuery(version, end.session, end.serial))
        assert vrps_of(delta) == SECOND - FIRST
        assert vrps_of(delta, announce=False) == FIRST - SECOND
        assert delta[-1].serial == notify.serial
        [status] = server.clients()
        assert (status.version, status.serial) == (version, notify.serial)


async def test_a_router_that_opens_with_version_2_goes_on_with_version_1() -> None:
    async with serving(FIRST) as (server, address), Router(address) as router:
        server.limit_versions(Versions(1))
        query = b"\x02\x02\0\0\0\0\0\x08"
        router.send(query)
        report = await router.read()
        assert (report.version, report.code, report.pdu) == (1, 4, query)
        assert vrps_of(await router.load(pdu.ResetQuery(1))) == FIRST


async def test_without_a_set_there_is_no_data_and_later_a_notify() -> None:
    async with serving() as (server, address), Router(address) as router:
        for query in (pdu.ResetQuery(1), pdu.SerialQuery(1, 5, 6)):
            [report] = await router.load(query)
            assert (report.code, report.pdu) == (2, rtr_wire.encode(query))
        await server.update(pack(FIRST))
        assert isinstance(await router.read(), SerialNotify)
        assert vrps_of(await router.load(pdu.ResetQuery(1))) == FIRST


async def test_notifies_keep_their_distance_and_none_is_lost() -> None:
    """Further changes within the interval are told when it is over, once, with the newest serial number."""
    async with serving(FIRST, notify_interval=0.5) as (server, address), Router(address) as router:
        end = (await router.load(pdu.ResetQuery(1)))[-1]
        loop = asyncio.get_running_loop()
        await server.update(pack(SECOND))
        assert (await router.read()).serial == (end.serial + 1) % (1 << 32), "at once after quiet"
        first = loop.time()
        await server.update(pack(FIRST))
        await server.change(pack({("10.0.0.0/8", 8, 1)}), b"")
        assert (await router.read()).serial == (end.serial + 3) % (1 << 32)
        assert loop.time() - first >= 0.4
        await server.update(pack(FIRST))
        # It asks by itself before the notify is due: then there is none.
        after = await router.load(pdu.SerialQuery(1, end.session, end.serial))
        assert after[-1].serial == (end.serial + 4) % (1 << 32)
        assert len(after) == 2, "changed and changed back"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await router.reader.readexactly(1)


LARGE = b"".join(PACKED.pack((i << 8).to_bytes(4), 64500, 24, 24, 4, 1) for i in range(200_000))


@pytest.mark.alone
async def test_a_router_that_does_not_read_is_dropped_and_the_others_are_served() -> None:
    # The good router decodes in this loop too: on a busy machine that takes it a while.
    async with serving(FIRST, stall=6) as (server, address):
        await server.update(LARGE)
        with socket.create_connection((address.host, address.port)) as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.sendall(rtr_wire.encode(pdu.ResetQuery(1)))
            async with Router(address) as router:
                assert len(await router.load(pdu.ResetQuery(1))) == 200_002
            await until(lambda: server.drops["dropped"] == 1)
            await until(lambda: not server.clients())


async def test_a_router_that_never_asks_is_dropped() -> None:
    async with serving(FIRST, hello=0.1) as (_, address), Router(address) as router:
        assert await router.read() is None


async def test_more_routers_than_allowed_are_refused() -> None:
    async with serving(FIRST, clients=1) as (server, address), Router(address) as first:
        assert vrps_of(await first.load(pdu.ResetQuery(1))) == FIRST
        async with Router(address) as second:
            assert await second.read() is None
        assert server.drops["refused"] == 1
        assert vrps_of(await first.load(pdu.ResetQuery(1))) == FIRST


async def test_no_address_has_all_connections_to_itself() -> None:
    async with serving(FIRST, host="0.0.0.0", clients=6, of_address=4) as (server, address):
        here = Endpoint("127.0.0.1", address.port)
        async with AsyncExitStack() as routers:
            for i in range(10):
                await routers.enter_async_context(Router(here, f"127.0.0.{2 + i // 5}"))
            await until(lambda: len(server.clients()) == 6 and server.drops == {"refused": 3, "dropped": 1})
            async with Router(here, "127.0.0.9") as other:
                assert vrps_of(await other.load(pdu.ResetQuery(1))) == FIRST, "one of the many gave way"
            assert server.drops["dropped"] == 2


async def test_a_flood_of_queries_leaves_turns_to_others() -> None:
    async with serving() as (server, address), Router(address) as flood, Router(address) as other:
        await server.update(LARGE)
        flood.send(rtr_wire.encode(pdu.ResetQuery(1)) * 20000)
        assert len(vrps_of(await other.load(pdu.ResetQuery(1)))) == 200_000


async def test_a_set_that_changes_while_a_router_loads_is_told_after_it() -> None:
    async with serving(FIRST) as (server, address), Router(address) as router:
        await server.update(LARGE)
        router.send(pdu.ResetQuery(1))
        assert isinstance(await router.read(), pdu.CacheResponse)
        await server.change(pack({("2001:db8::/32", 32, 1)}), b"")
        response = [await router.read()]
        while not isinstance(response[-1], pdu.EndOfData):
            response.append(await router.read())
        assert len(response) == 200_001, "the set as it was asked for"
        assert isinstance(await router.read(), SerialNotify)
        delta = await router.load(pdu.SerialQuery(1, response[-1].session, response[-1].serial))
        assert vrps_of(delta) == {("2001:db8::/32", 32, 1)}


def test_hostile_octets_never_harm_the_server() -> None:
    """Any octets, then the end: no exception is raised, and the next router is served."""

    async def story(messages: list[bytes]) -> None:
        failures = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        async with serving(FIRST, [KEY]) as (_, address):
            for octets in messages:
                async with Router(address) as hostile:
                    hostile.send(octets)
                    hostile.writer.write_eof()
                    while await hostile.read() is not None:
                        pass
            async with Router(address) as router:
                assert vrps_of(await router.load(pdu.ResetQuery(1))) == FIRST
        assert failures == []

    heads = st.builds(HEADER.pack, st.integers(0, 3), st.integers(0, 12), st.integers(0, 9), st.integers(0, 40))

    @settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.builds(bytes.__add__, heads, st.binary(max_size=64)), min_size=1, max_size=5))
    def check(messages: list[bytes]) -> None:
        asyncio.run(story(messages))

    check()


# -- rtrd cache with real routers -------------------------------------------------------------------------


class Cache(Process):
    """`rtrd cache` that serves FIRST and a router key."""

    port = 0

    def __init__(self, folder: Path) -> None:
        self.path = folder / "vrps.json"
        write_vrp_file(self.path, FIRST, [(KEY.asn, KEY.ski, KEY.spki)])
        argv = [RTRD, "cache", "--vrps", str(self.path), "--listen", "127.0.0.1:0"]
        argv += ["--notify-interval", "0", "--refresh", "600", "--retry", "5", "--expire", "700"]
        super().__init__("cache", argv, folder)

    def start(self) -> None:
        super().start()
        self.port = int(self.wait_for(r"^listening on 127\.0\.0\.1:\d+$").text.rpartition(":")[2])


@pytest.fixture
def cache(lab: Lab) -> Cache:
    return lab.start(Cache(lab.folder))


def test_rtrclient_sees_exactly_the_set(cache: Cache) -> None:
    assert exported(cache.port) == FIRST
    write_vrp_file(cache.path, SECOND)
    cache.wait_for("VRP file read.*vrps=7")
    assert exported(cache.port) == SECOND


def test_rtrclient_sees_a_change_and_the_router_key(cache: Cache, tmp_path: Path) -> None:
    argv = ["stdbuf", "-oL", find_program("rtrclient", RTRCLIENT), "-kp", "tcp", "127.0.0.1", str(cache.port)]
    with running(Process("rtrclient", argv, tmp_path)) as router:
        for prefix, max_length, asn in FIRST:
            address, _, length = prefix.partition("/")
            router.wait_for(rf"^\+ {re.escape(address)} +{length} - +{max_length} +{asn}$")
        router.wait_for(r"ASN: +64500")
        write_vrp_file(cache.path, FIRST - {("203.0.113.0/24", 24, 0)})
        router.wait_for(r"^- 203\.0\.113\.0 +24 - +24 +0$")
        assert sum(line.text.startswith("+ ") for line in router.lines) >= len(FIRST)


def test_bird_sees_exactly_the_set_and_a_change(cache: Cache, tmp_path: Path) -> None:
    bird = Bird(tmp_path, cache.port)
    with running(bird.process):
        bird.wait_table(FIRST)
        seen = len(bird.process.lines)
        write_vrp_file(cache.path, SECOND)
        bird.wait_table(SECOND)
        bird.process.wait_for("Serial Notify", since=seen)
        assert not bird.reloads(seen), "a delta, not the whole set"


def follows(router: Process, table: Callable[[], set[VRP]], cache: Cache) -> None:
    """A router has first the one set in its tables, then the other."""
    with running(router):
        router.wait_until(lambda: table() == FIRST, 2 * SECONDS, "the first set in its tables", tick=0.1)
        write_vrp_file(cache.path, SECOND)
        router.wait_until(lambda: table() == SECOND, 2 * SECONDS, "the second set in its tables", tick=0.1)


def test_gobgp_sees_exactly_the_set_and_a_change(cache: Cache, tmp_path: Path) -> None:
    config, api = tmp_path / "gobgp.toml", free_port("127.0.0.1")
    config.write_text(f"""
        [global.config]
          as = 64999
          router-id = "192.0.2.1"
          port = -1
        [[rpki-servers]]
          [rpki-servers.config]
            address = "127.0.0.1"
            port = {cache.port}""")
    argv = [find_program("gobgpd", GOBGP), "-f", str(config), "--api-hosts", f"127.0.0.1:{api}", "--pprof-disable"]
    gobgp = [find_program("gobgp", GOBGP), "-p", str(api), "rpki", "table", "-a"]

    def table() -> set[VRP]:
        rows = []
        for family in ("ipv4", "ipv6"):
            output = run(*gobgp, family)
            rows += re.findall(r"^(\S+/\d+) +(\d+) +(\d+) ", output.stdout, re.MULTILINE)
        return {(prefix, int(length), int(asn)) for prefix, length, asn in rows}

    follows(Process("gobgpd", argv, tmp_path), table, cache)


@pytest.mark.parametrize("version", ["0", "1"])
def test_stayrtrs_rtrdump_sees_exactly_the_set(cache: Cache, tmp_path: Path, version: str) -> None:
    assert dumped(tmp_path, cache.port, "-rtr.version", version) == (FIRST, int(version))


def test_frr_sees_exactly_the_set_and_a_change(cache: Cache, tmp_path: Path) -> None:
    """Its bgpd alone, which talks to librtr and to nobody else."""
    config, sockets = tmp_path / "bgpd.conf", tmp_path / "vty"
    sockets.mkdir()
    # FRR 10 wants the word tcp, FRR 8 doesn't know it; each leaves out the other's line.
    servers = "".join(f" rpki cache {word}127.0.0.1 {cache.port} preference 1\n" for word in ("", "tcp "))
    config.write_text(f"rpki\n rpki polling_period 3600\n rpki retry_interval 1\n{servers}exit\n")
    bgpd = find_program("/usr/lib/frr/bgpd", FRR)
    argv = [bgpd, "-f", str(config), "-i", str(tmp_path / "bgpd.pid"), "--vty_socket", str(sockets), "-M", "rpki"]
    argv += ["--no_zebra", "--skip_runas", "-p", "0", "-P", "0", "-A", "127.0.0.1", "--log", "stdout"]
    vtysh = [find_program("vtysh", FRR), "--vty_socket", str(sockets), "-d", "bgpd", "-c", "show rpki prefix-table"]

    def table() -> set[VRP]:
        output = run(*vtysh).stdout
        rows = re.findall(r"^([0-9a-f.:]+) +(\d+) - +(\d+) +(\d+)$", output, re.MULTILINE)
        return {(f"{address}/{length}", int(max_length), int(asn)) for address, length, max_length, asn in rows}

    follows(Process("bgpd", argv, tmp_path), table, cache)


def test_a_torn_file_leaves_the_old_set_in_force(cache: Cache) -> None:
    whole = cache.path.read_text()
    cache.path.write_text(whole[: len(whole) // 2])
    cache.wait_for("VRP file refused.*vrps.json:1: Input data was truncated")
    assert exported(cache.port) == FIRST
    cache.path.unlink()
    cache.wait_for("VRP file refused.*No such file or directory")
    assert exported(cache.port) == FIRST
    write_vrp_file(cache.path, SECOND)
    cache.wait_for("VRP file read.*vrps=7")
    assert exported(cache.port) == SECOND


def test_a_file_without_vrps_is_served_and_warned_of(cache: Cache) -> None:
    write_vrp_file(cache.path, [])
    cache.wait_for("VRP file read.*vrps=0")
    line = cache.wait_for("the VRP file has no VRPs").text
    assert "[warning" in line


def test_sighup_rereads_and_sigterm_ends_with_0(cache: Cache) -> None:
    cache.send_signal(signal.SIGHUP)
    cache.wait_for("VRP file read: nothing changed")
    cache.send_signal(signal.SIGTERM)
    assert cache.wait(SECONDS) == 0


def test_bad_usage_and_bad_files_end_with_2(tmp_path: Path) -> None:
    path = tmp_path / "vrps"
    path.write_text('{"roas": [],\n')
    assert rtrd("cache").returncode == 2
    for words, what in (
        (("--listen", "127.0.0.1:0"), f"{path}:2: Input data was truncated\n"),
        (("--listen", "127.0.0.1:0", "--refresh", 0), "refresh interval 0 is not from 1 to 86400 seconds\n"),
        (("--listen", "127.0.0.1"), "'127.0.0.1': expected ADDRESS:PORT, for IPv6 [ADDRESS]:PORT\n"),
        (("--listen", "::1:323"), "'::1:323': expected ADDRESS:PORT, for IPv6 [ADDRESS]:PORT\n"),
        (("--listen", "127.0.0.1:0", "--notify-interval", "-1"), "'-1' is not 0 to 86400 seconds\n"),
    ):
        done = rtrd("cache", "--vrps", path, *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.endswith(what)


def test_an_address_that_is_taken_ends_with_1(cache: Cache) -> None:
    done = rtrd("cache", "--vrps", cache.path, "--listen", f"127.0.0.1:{cache.port}")
    assert done.returncode == 1
    assert f"rtrd cache: cannot listen on 127.0.0.1:{cache.port}: Address already in use\n" in done.stderr


def test_json_says_where_it_listens(cache: Cache, tmp_path: Path) -> None:
    argv = [*cache.argv[:4], "--json", "--listen", "127.0.0.1:0", "--listen", "[::1]:0"]
    with running(Process("second", argv, tmp_path)) as second:
        found = json.loads(second.wait_for(r'^\{"listening"').text)["listening"]
        assert [one["host"] for one in found] == ["127.0.0.1", "::1"]
        assert all(one["port"] for one in found)


def test_a_large_file_is_read_by_another_process_that_ends(cache: Cache) -> None:
    """Also one that is torn; the routers see the old set meanwhile, the whole new one after."""
    many = FIRST | {(f"10.{i >> 8}.{i & 255}.0/24", 24, 64505) for i in range(20_000)}
    write_vrp_file(cache.path, many)
    cache.wait_for(f"VRP file read.*vrps={len(many)}")
    assert exported(cache.port) == many
    cache.path.write_bytes(cache.path.read_bytes()[:-5])
    cache.wait_for("VRP file refused.*vrps.json:1: Input data was truncated")
    assert Path(f"/proc/{cache.pid}/task/{cache.pid}/children").read_text() == ""
    assert exported(cache.port) == many
