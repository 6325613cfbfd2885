"""What a real NATS server says no to: in its words in the status, a problem at once, and nothing of it lost."""

from __future__ import annotations

import asyncio
import re
import shutil
from typing import Any

import nats
import pytest

from rtrd.demo.lab import Lab
from tests.lab.certificates import CA
from tests.lab.nats_servers import NATS, kept, make_stream
from tests.lab.programs import rtrd
from tests.lab.publishing import Site, be_impatient, events, site
from tests.lab.wait import until

NAMES = "$JS.API.STREAM.NAMES"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is slow."""
    be_impatient(monkeypatch)


def guarded(lab: Lab, *, publish: str, subscribe: str) -> NATS:
    """A server whose user `rtrd` may do only that; `admin` may do all."""
    may = f"{{user: rtrd, password: x, permissions: {{publish: {publish}, subscribe: {subscribe}}}}}"
    users = f"authorization {{users: [{may}, {{user: admin, password: a}}]}}"
    server = lab.start(NATS(lab.folder, jetstream=True, more=users))
    asyncio.run(make_stream(at(server, "admin:a"), "test.>"))
    return server


def at(server: NATS, who: str) -> str:
    return f"nats://{who}@127.0.0.1:{server.port}"


async def refused(one: Site, why: str) -> None:
    """Wait until that is said, as a problem, too."""
    await until(lambda: (one.status["why"] or "").startswith(why))
    assert not one.status["connected"]
    assert f"takes no events: {why}" in one.registry.problems()[0].what
    assert one.status["published"] == one.status["lost"] == 0
    assert one.status["last_acknowledged"] is None


@pytest.mark.parametrize(
    ("publish", "subscribe", "why"),
    [
        (f"['{NAMES}']", "['_INBOX.>']", 'Permissions Violation for Publish to "test.events"'),
        (f"['{NAMES}', 'test.>']", "['test.>']", 'Permissions Violation for Subscription to "_INBOX.'),
    ],
    ids=["events", "answers"],
)
def test_rights_that_are_missing_are_said_in_the_words_of_the_server(
    lab: Lab, publish: str, subscribe: str, why: str
) -> None:
    server = guarded(lab, publish=publish, subscribe=subscribe)

    async def story() -> None:
        async with site(at(server, "rtrd:x"), lab.folder) as one:
            one.happens()
            await refused(one, why)
            await one.publisher.change(events(at(server, "admin:a")))
            await one.all_sent()
            assert one.registry.problems() == []
            assert one.status["last_acknowledged"] is not None

    asyncio.run(story())
    assert [event["text"] for event in asyncio.run(kept(at(server, "admin:a")))] == ["1"]


def test_who_may_not_ask_for_the_stream_learns_of_it_by_what_is_acknowledged(lab: Lab) -> None:
    server = guarded(lab, publish="['test.>']", subscribe="['_INBOX.>']")

    async def story() -> None:
        async with site(at(server, "rtrd:x"), lab.folder) as one:
            one.happens()
            await until(lambda: one.status["published"])
            assert (one.status["stream"], one.status["acknowledged"]) == ("events", True)
            assert one.registry.problems() == []

    asyncio.run(story())


def test_a_fleet_without_rights_is_told_which(lab: Lab) -> None:
    server = guarded(lab, publish=f"['{NAMES}']", subscribe="['_INBOX.>']")
    done = rtrd("fleet", "--nats", at(server, "rtrd:x"), "--subject", "test.>")
    assert done.returncode == 1
    assert 'Permissions Violation for Publish to "$JS.API.' in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("jetstream", [True, False])
def test_that_no_stream_keeps_events_is_a_problem_unless_none_should(lab: Lab, jetstream: bool) -> None:
    server = lab.start(NATS(lab.folder, jetstream=jetstream))
    what = "no stream of it keeps test.events" if jetstream else "it has no JetStream"

    async def story() -> None:
        async with site(server.url, lab.folder) as one:
            one.happens()
            await one.all_sent()
            (problem,) = one.registry.problems()
            assert what in problem.what
            assert not one.status["acknowledged"]
            await one.publisher.change(events(server.url, jetstream=False))
            one.happens()
            await one.all_sent()
            assert one.registry.problems() == []

    asyncio.run(story())


def test_an_account_without_jetstream_is_as_a_server_without(lab: Lab) -> None:
    accounts = (
        "accounts {A: {users: [{user: rtrd, password: x}]}, B: {jetstream: enabled, users: [{user: b, password: b}]}}"
    )
    server = lab.start(NATS(lab.folder, jetstream=True, more=accounts))

    async def story() -> None:
        async with site(at(server, "rtrd:x"), lab.folder) as one:
            one.happens()
            await one.all_sent()
            (problem,) = one.registry.problems()
            assert "events reach only who listens when they happen" in problem.what

    asyncio.run(story())


@pytest.mark.parametrize("how", ["deleted", "without its store", "with other subjects"])
def test_once_a_stream_has_kept_them_events_wait_for_one(lab: Lab, how: str) -> None:
    server = lab.start(NATS(lab.folder, jetstream=True))

    async def story() -> list[dict[str, Any]]:
        await make_stream(server.url, "test.>")
        async with site(server.url, lab.folder) as one:
            one.happens(5)
            await one.all_sent()
            if how == "without its store":
                await asyncio.to_thread(server.stop)
                shutil.rmtree(lab.folder / server.name)
                await asyncio.to_thread(server.start)
            else:
                client = await nats.connect(server.url)
                await client.jetstream().delete_stream("events")
                await client.close()
            if how == "with other subjects":
                await make_stream(server.url, "other.>")
            one.happens(5)
            await until(lambda: "no stream of it keeps test.events" in (one.status["why"] or ""))
            await until(lambda: "though events did" in (one.status["why"] or ""))
            assert one.registry.problems()
            await until(lambda: one.status["waiting"] >= 5)
            if how == "with other subjects":
                client = await nats.connect(server.url)
                await client.jetstream().delete_stream("events")
                await client.close()
            await make_stream(server.url, "test.>")
            await one.all_sent()
            assert one.status["lost"] == 0
        return await kept(server.url)

    assert [event["text"] for event in asyncio.run(story())] == ["6", "7", "8", "9", "10"]


def test_what_jetstream_has_no_room_for_is_a_problem_at_once(lab: Lab) -> None:
    server = lab.start(NATS(lab.folder, jetstream=True))

    async def story() -> None:
        await make_stream(server.url, "test.>", max_bytes=3000, discard="new")
        async with site(server.url, lab.folder) as one:
            one.happens(30)
            await until(lambda: one.status["why"] == "JetStream refuses it: maximum bytes exceeded")
            (problem,) = one.registry.problems()
            assert "maximum bytes exceeded" in problem.what

    asyncio.run(story())


def test_a_server_without_tls_gets_no_password_of_who_wants_tls(lab: Lab) -> None:
    server = lab.start(NATS(lab.folder, more="authorization {user: rtrd, password: x}"))
    got = bytearray()

    async def overhear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Stand between: hand over what the server says, and note what it is told."""
        theirs, ours = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(await theirs.readline())
        while octets := await reader.read(4096):
            got.extend(octets)
        ours.close()
        writer.close()

    async def story() -> None:
        between = await asyncio.start_server(overhear, "127.0.0.1", 0)
        port = between.sockets[0].getsockname()[1]
        async with site(f"tls://rtrd:x@127.0.0.1:{port}", lab.folder) as one:
            one.happens()
            await refused(one, "it offers no TLS: tls:// is for a server with TLS")
        between.close()

    asyncio.run(story())
    assert not got


@pytest.mark.parametrize(("of", "why"), [("other", "self-signed|unable to get"), ("ca", "is not valid for")])
def test_a_certificate_that_cannot_be_verified_is_said(lab: Lab, of: str, why: str) -> None:
    ca, other = CA(lab.folder), CA(lab.folder, "other")
    signed = ca.sign("nats", "DNS:nats.example")
    tls = f"tls {{cert_file: '{signed.certificate}', key_file: '{signed.key}'}}"
    server = lab.start(NATS(lab.folder, more=tls))
    known = {"ca": ca, "other": other}[of].certificate

    async def story() -> None:
        async with site(f"tls://127.0.0.1:{server.port}", lab.folder, ca=known) as one:
            one.happens()
            await refused(one, "TLS: the server's certificate can't be verified: ")
            assert any(each in one.status["why"] for each in why.split("|"))

    asyncio.run(story())


def test_of_a_cluster_one_that_answers_is_enough_and_what_each_says_is_said(lab: Lab) -> None:
    server, gone = lab.start(NATS(lab.folder, jetstream=True)), lab.start(NATS(lab.folder, "gone"))
    gone.stop()
    urls = f"nats://127.0.0.1:{gone.port},{server.url}"

    async def story() -> None:
        await make_stream(server.url, "test.>")
        async with site(urls, lab.folder) as one:
            one.happens()
            await one.all_sent()
            assert one.status["address"] == f"127.0.0.1:{server.port}"
            assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", one.status["server"])
            assert one.status["nats"] == urls
            await asyncio.to_thread(server.stop)
            both = f"127.0.0.1:{gone.port}: Connection refused; 127.0.0.1:{server.port}: Connection refused"
            await until(lambda: one.status["why"] == both)

    asyncio.run(story())
