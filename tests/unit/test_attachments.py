"""The socket of `rtrd attach`: pipes instead of ExaBGP, and the real attach command or a client that misbehaves."""

import asyncio
import errno
import grp
import os
import pwd
import resource
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Self

import pytest

from rtrd import routers
from rtrd.base import socket_paths
from rtrd.base.shortages import NO_DESCRIPTOR
from rtrd.commands import attach
from rtrd.exabgp import attachments
from rtrd.exabgp.attachments import Attachments
from rtrd.policy import Policy
from rtrd.routers import Routers
from rtrlib.vrp_set import VRPSet
from tests.lab.programs import RTRD, run
from tests.lab.wait import until

HELLO = b"# rtrd\nversion\nversion\n"


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def connected(control: Path) -> socket.socket:
    """A client of the service that is no attach process."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client.settimeout(30)
    client.connect(str(socket_paths.attach_path(control)))
    return client


class ExaBGP:
    """Two pipes, and `rtrd attach` between them and the service."""

    def __init__(self, control: Path, *options: str) -> None:
        self.control = control
        self.options = options

    async def start(self) -> None:
        stdin, self.to = os.pipe()
        self.of, stdout = os.pipe()
        argv = [RTRD, "attach", "--socket", str(self.control), *self.options]
        self.process = await asyncio.create_subprocess_exec(
            *argv, stdin=stdin, stdout=stdout, stderr=asyncio.subprocess.PIPE
        )
        os.close(stdin)
        os.close(stdout)

    def say(self, text: bytes) -> None:
        os.write(self.to, text)

    async def hears(self, size: int) -> bytes:
        return await asyncio.wait_for(asyncio.to_thread(os.read, self.of, size), 30)

    async def stderr(self) -> str:
        assert self.process.stderr is not None
        return (await asyncio.wait_for(self.process.stderr.readline(), 30)).decode()

    async def hello(self) -> Self:
        """Start, and hear what rtrd says first."""
        await self.start()
        assert await self.hears(len(HELLO)) == HELLO
        return self

    async def end(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        for fd in (self.to, self.of):
            with suppress(OSError):
                os.close(fd)


class Service:
    """The service's part, without caches."""

    def __init__(self, control: Path) -> None:
        self.control = control
        self.routers = Routers(VRPSet(), Policy())
        self.attachments = Attachments(socket_paths.attach_path(control), self.routers)

    @property
    def names(self) -> list[str]:
        return [router.engine.name for router in self.routers]

    @property
    def lines(self) -> int:
        return sum(router.lines for router in self.routers)


@pytest.fixture
@asynccontextmanager
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    service = Service(tmp_path / "rtrd.sock")
    await service.attachments.start()
    try:
        yield service
    finally:
        service.attachments.close()
    assert len(service.routers) == 0
    assert not socket_paths.attach_path(tmp_path / "rtrd.sock").exists()


async def test_each_exabgp_is_a_router_with_its_name(service: Service) -> None:
    one, two = [await ExaBGP(service.control, *name).hello() for name in ((), ("--name", "edge-2"))]
    assert sorted(service.names) == ["edge-2", "exabgp"]
    one.say(b"a line\n")
    await until(lambda: service.lines == 1)
    os.close(two.to)  # this ExaBGP ends
    assert await asyncio.wait_for(two.process.wait(), 30) == 0
    await until(lambda: service.names == ["exabgp"])
    for each in (one, two):
        await each.end()


async def test_a_name_that_is_taken_waits_for_its_end(service: Service) -> None:
    """Neither throws the other out: two ExaBGPs by mistake under one name would do so forever."""
    one, two = await ExaBGP(service.control).hello(), ExaBGP(service.control)
    await two.start()
    assert "exabgp is already the name of the attach process" in await two.stderr()
    two.say(b"x" * 60_000)  # read meanwhile: a pipe holds 65536
    two.say(b"x" * 60_000 + b"\n")
    await one.end()
    assert await two.hears(len(HELLO)) == HELLO
    assert service.names == ["exabgp"]
    await two.end()


async def test_what_was_read_before_goes_with_the_pipes(tmp_path: Path) -> None:
    router = ExaBGP(tmp_path / "rtrd.sock")
    await router.start()
    assert "no service answers" in await router.stderr()
    router.say(b'{"n": 1}\ndone\n{"n"')
    service = Service(tmp_path / "rtrd.sock")
    await service.attachments.start()
    await router.hears(len(HELLO))
    router.say(b': 2}\n{"n": 3}\n')
    await until(lambda: service.lines == 4)
    (attached,) = service.routers
    assert attached.undecodable == 0, "no line was cut"
    assert attached.gate.window.version is None
    service.attachments.close()
    # The attach process reads again: more than a pipe holds goes away.
    for _ in range(4):
        await asyncio.wait_for(asyncio.to_thread(router.say, b"y" * 60_000), 30)
    await router.end()


async def test_a_dead_attach_process_leaves_no_router_and_no_descriptor(service: Service) -> None:
    before = descriptors()
    router = await ExaBGP(service.control).hello()
    router.process.kill()
    await until(lambda: not service.names)
    # ExaBGP, which may be writing, still finds a reader, until it closes its end.
    for _ in range(2):
        await asyncio.wait_for(asyncio.to_thread(router.say, b"z" * 60_000), 30)
    await router.end()
    await until(lambda: descriptors() == before)


@pytest.mark.parametrize(
    ("messages", "fds", "answer"),
    [
        ([b"attach good"], 0, "refused expected two pipes"),
        ([b"attach good"], 1, "refused expected two pipes"),
        ([b"attach good"], 3, "refused expected two pipes"),
        ([b"attach good"], 8, "refused expected two pipes"),
        ([b"attach b\xc3\xa4d\n"], 2, "refused a name is 1 to 64"),
        ([b"attach " + b"n" * 65], 2, "refused a name is 1 to 64"),
        ([b"attach"], 2, "refused expected: attach NAME"),
        ([b"x" * 4096], 2, "refused expected: attach NAME"),
        ([b"yours"], 0, "refused expected: attach NAME"),
        ([b"attach good", b"attach again"], 2, "refused expected: attach NAME"),
    ],
)
async def test_no_attach_process_is_sent_away(service: Service, messages: list[bytes], fds: int, answer: str) -> None:
    before = descriptors()
    pipes = [os.pipe() for _ in range(fds)]
    with connected(service.control) as client:
        for message in messages:
            socket.send_fds(client, [message], [pipe[i % 2] for i, pipe in enumerate(pipes)])
        said = b"take"
        while said == b"take":
            said = await asyncio.to_thread(client.recv, 512)
        assert said.decode().startswith(answer)
        assert await asyncio.to_thread(client.recv, 512) == b""
    for read, write in pipes:
        os.close(read)
        os.close(write)
    await until(lambda: descriptors() == before)
    assert service.names == []


async def test_without_descriptors_the_loop_is_left_in_peace(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachments, "AGAIN", 0.5)
    complaints: list[object] = []
    monkeypatch.setattr(service.attachments, "complain", lambda *words, **_: complaints.append(words))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with connected(service.control) as client:
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            for _ in range(100):
                await asyncio.sleep(0)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert 1 <= len(complaints) < 10
        client.send(b"hello")
        assert (await asyncio.to_thread(client.recv, 512)).startswith(b"refused expected")


async def test_an_attach_process_ends_without_a_descriptor(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """When there are none left, it is the first thing that may give some back."""

    def none_left(_: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    one = await ExaBGP(service.control).hello()
    monkeypatch.setattr(os, "dup", none_left)
    one.process.kill()  # ExaBGP keeps its ends
    await until(lambda: service.names == [])
    await one.end()


async def test_an_attach_process_without_descriptors_reads_on(tmp_path: Path) -> None:
    """It would end otherwise, again and again, and after five times ExaBGP would."""
    router = ExaBGP(tmp_path / "rtrd.sock")
    await router.start()
    assert "no service answers" in await router.stderr()
    limit = resource.prlimit(router.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(router.process.pid, resource.RLIMIT_NOFILE, (3, limit[1]))
    assert "no descriptor is to be had" in await router.stderr()
    for _ in range(4 * attach.KEPT // (1 << 20)):
        await asyncio.wait_for(asyncio.to_thread(router.say, b"x" * (1 << 20)), 30)
    router.say(b"\n")
    resource.prlimit(router.process.pid, resource.RLIMIT_NOFILE, limit)
    service = Service(tmp_path / "rtrd.sock")
    await service.attachments.start()
    assert await router.hears(len(HELLO)) == HELLO
    service.attachments.close()
    await router.end()


async def test_one_for_whom_there_is_no_memory_reads_on(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever took its pipes and can't read them gives them back: nobody else would read."""
    one = await ExaBGP(service.control).hello()
    (before,) = service.routers

    def short(*_: object, **__: object) -> None:
        raise MemoryError

    with monkeypatch.context() as starving:
        tried = asyncio.Event()
        starving.setattr(service.attachments, "forget", forgotten(service.attachments.forget, tried))
        starving.setattr(routers, "Engine", short)
        before.on_starved()
        tried.clear()
        await asyncio.wait_for(tried.wait(), 30)
        assert service.names == []
        await asyncio.wait_for(asyncio.to_thread(one.say, b"{}\n" * (1 << 18)), 30)
    await until(lambda: service.names == ["exabgp"])
    await one.end()


def forgotten(forget: Callable[..., None], tried: asyncio.Event) -> Callable[..., None]:
    def note(attachment: object) -> None:
        forget(attachment)
        tried.set()

    return note


async def test_without_a_descriptor_for_the_pipes_it_is_told_so(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """unix(7): what there is no room for is left out of the message."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    refused: list[str] = []
    monkeypatch.setattr(service.attachments, "complain", lambda *words, **_: refused.append(words[0]))
    pipes = [os.pipe() for _ in range(2)]
    with connected(service.control) as client:
        await until(lambda: service.attachments._open)
        socket.send_fds(client, [b"attach good"], [pipes[0][0], pipes[1][1]])
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            await until(lambda: refused)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert refused == [NO_DESCRIPTOR]
    for fd in (*pipes[0], *pipes[1]):
        os.close(fd)


async def test_a_file_is_no_pipe(service: Service, tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file, connected(service.control) as client:
        socket.send_fds(client, [b"attach good"], [file.fileno(), file.fileno()])
        assert (await asyncio.to_thread(client.recv, 512)).startswith(b"refused expected two pipes")


def test_attach_starts_with_few_modules() -> None:
    """It waits for years beside each ExaBGP."""
    code = "import sys, rtrd.cli, rtrd.commands.attach; print(*sys.modules)"
    done = run(sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}", check=True)
    loaded = set(done.stdout.split())
    assert not {"asyncio", "aiohttp", "msgspec", "structlog", "yaml", "_rov", "_librtr", "logging"} & loaded


async def test_of_more_than_is_kept_all_is_forgotten_up_to_a_whole_line(tmp_path: Path) -> None:
    router = ExaBGP(tmp_path / "rtrd.sock")
    await router.start()
    assert "no service answers" in await router.stderr()
    line = b'{"n": "' + b"x" * 50_000 + b'"}\n'
    for _ in range(2 * attach.KEPT // len(line)):
        await asyncio.to_thread(router.say, line)
    service = Service(tmp_path / "rtrd.sock")
    await service.attachments.start()
    await router.hears(len(HELLO))
    await asyncio.to_thread(router.say, b'{"n": 3}\n')
    (attached,) = service.routers
    await until(lambda: bool(attached.lines) and attached.gate.window.started)
    assert attached.undecodable == 0
    assert attached.lines < attach.KEPT // len(line) + 2
    service.attachments.close()
    await router.end()


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("path", "neither a pipe nor a stream socket"),
        ("packets", "neither a pipe nor a stream socket"),
        ("own end", "neither a pipe nor a stream socket"),
        ("listening", "neither a pipe nor a stream socket"),
        ("same file twice", "both are the same"),
        ("turned round", "open for the other direction"),
    ],
)
async def test_only_what_exabgp_has_is_taken(service: Service, tmp_path: Path, kind: str, why: str) -> None:
    """A descriptor without a reader, or the client's own end, was a router forever, and its name was gone."""
    before = descriptors()
    (events, to), (of, commands) = os.pipe(), os.pipe()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    path, twice = os.open(fifo, os.O_PATH), os.open(fifo, os.O_RDWR)
    packets = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening = socket.create_server(("127.0.0.1", 0))
    with connected(service.control) as client:
        given = {
            "path": [path, commands],
            "packets": [packets[0].fileno(), commands],
            "own end": [client.fileno(), client.fileno()],
            "listening": [listening.fileno(), commands],
            "same file twice": [twice, twice],
            "turned round": [commands, events],
        }[kind]
        socket.send_fds(client, [b"attach odd"], given)
        said = await asyncio.to_thread(client.recv, 512)
        assert said.startswith(b"refused")
        assert why in said.decode()
    for fd in (events, to, of, commands, path, twice):
        os.close(fd)
    for plug in (*packets, listening):
        plug.close()
    await until(lambda: descriptors() == before)
    assert service.names == []


async def test_what_dead_attach_processes_left_counts(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachments, "MOST", 1)
    one = await ExaBGP(service.control).hello()
    one.process.kill()
    await until(lambda: len(service.attachments.drains) == 1)
    with connected(service.control) as client:
        assert await asyncio.to_thread(client.recv, 512) == b"", "sent away while the other's pipe is emptied"
    os.close(one.to)
    await until(lambda: not service.attachments.drains)
    await one.end()


async def test_what_was_lost_for_want_of_memory_is_learned_anew(service: Service) -> None:
    one = await ExaBGP(service.control).hello()
    (before,) = service.routers
    before.on_starved()
    assert await one.hears(len(HELLO)) == HELLO, "handed over again"
    await until(lambda: service.names == ["exabgp"])
    assert before not in list(service.routers)
    await one.end()


def test_who_may_not_open_the_socket_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A root that runs tests may open all, so the kernel's answer is made up."""

    def refuses(_: socket.socket, path: str) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr(socket.socket, "connect", refuses)
    assert attach._Attach(Path("/run/rtrd/rtrd.sock.attach"), "exabgp")._attach() == (
        "/run/rtrd/rtrd.sock.attach may not be opened (Permission denied):"
        " add ExaBGP's user to the group of that socket, and restart ExaBGP"
    )
    path = tmp_path / "s"
    path.touch()
    os.chown(path, -1, os.getegid())
    names = (pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name)
    for groups, what in (
        ([], "add ExaBGP's user to the group of that socket (adduser {} {}), and restart ExaBGP"),
        ([os.getegid()], "{} is in the group {}, but ExaBGP runs without it: restart ExaBGP, and not as root, for its"),
    ):
        monkeypatch.setattr(os, "getgrouplist", lambda *_, groups=groups: groups)
        said = attach._Attach(path, "exabgp")._attach() or ""
        assert said.startswith(f"{path} may not be opened (Permission denied): " + what.format(*names))
