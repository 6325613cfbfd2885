"""Events published to a real NATS server: one that is away, hangs, refuses, is too small; nothing else is held up."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from pathlib import Path
from typing import Any

import nats
import pytest

from rtrd.demo.caches import VRP
from rtrd.demo.lab import Lab
from rtrd.events import spool_files
from rtrd.events.spool import Write
from tests.lab.daemons import Daemon
from tests.lab.nats_servers import NATS, Subscriber, kept, make_stream, stream_of
from tests.lab.programs import rtrd, run
from tests.lab.publishing import be_impatient, events, site
from tests.lab.slurm_text import slurm_text
from tests.lab.stayrtr import StayRTR
from tests.lab.wait import SECONDS, until


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def numbers(first: int, last: int) -> list[str]:
    return [str(each) for each in range(first, last + 1)]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is slow."""
    be_impatient(monkeypatch)


def test_an_event_arrives_with_its_host_and_a_number_of_its_own(lab: Lab) -> None:
    server = lab.start(NATS(lab.folder))

    async def story() -> None:
        async with site(server.url, subject="rtrd.{host}.{router}.{kind}") as one:
            one.happens(2)
            await until(lambda: len(there.kinds()) == 2)
            assert one.status["stream"] is None

    with Subscriber(server.port) as there:
        asyncio.run(story())
        (subject, first), (_, second) = there.events[:2]
    assert subject == "rtrd.host_example.edge_1_example.router"
    assert (first["kind"], first["text"], first["router"], first["up"]) == ("router", "1", "edge 1.example", True)
    assert (first["host"], first["schema"]) == ("host.example", 1)
    assert first["id"] != second["id"]


def test_what_happens_while_rtrd_starts_is_published_too(lab: Lab) -> None:
    server = lab.start(NATS(lab.folder, jetstream=True))
    asyncio.run(make_stream(server.url, "rtrd.>"))
    file = lab.folder / "slurm.json"
    file.write_text(slurm_text(assertions=[("203.0.113.0/24", 24, 64505)]))
    settings = {"events": {"nats": server.url}, "slurm": [str(file)], "state": str(lab.folder)}
    cache = lab.start(StayRTR(lab.folder, [VRP("192.0.2.0/24", 24, 64500)]))
    daemon = lab.start(Daemon(lab.folder, [cache], settings=settings))
    daemon.wait_vrps(2)
    daemon.wait_status(
        lambda status: status["events"]["published"] > 4 and not status["events"]["waiting"], "them there"
    )
    first = stream_of(server.url)[0]["text"]
    assert first == "AS64505's VRP 203.0.113.0/24-24 appeared (SLURM files)"


def test_a_summary_comes_now_and_then(lab: Lab) -> None:
    server = lab.start(NATS(lab.folder))

    async def story() -> None:
        async with site(server.url, subject="a.{host}.{router}.{kind}"):
            await until(lambda: there.events)

    with Subscriber(server.port) as there:
        asyncio.run(story())
    subject, event = there.events[0]
    assert subject == "a.host_example._.summary"
    assert (event["kind"], event["text"], event["vrps"]) == ("summary", "ready", {"ipv4": 1, "ipv6": 0})


@pytest.mark.parametrize("folder", [True, False], ids=["files", "memory"])
def test_a_server_that_is_away_at_the_start_gets_everything_later_in_order(lab: Lab, folder: bool) -> None:
    server = lab.start(NATS(lab.folder))
    server.stop()

    async def story() -> None:
        async with site(server.url, lab.folder if folder else None) as one:
            one.happens(500)
            await until(lambda: one.status["why"] == "Connection refused" and one.status["waiting"] >= 500)
            if folder:
                await until(lambda: one.status["spool"] > 0)
            await asyncio.to_thread(server.start)
            there.append(await asyncio.to_thread(Subscriber(server.port).__enter__))
            one.happens(10)
            await one.all_sent()
            await until(lambda: len(there[0].kinds()) >= 510 or one.status["published"])

    there: list[Subscriber] = []
    asyncio.run(story())
    got = there[0].texts()
    there[0].__exit__(None, None, None)
    assert got == numbers(510 - len(got) + 1, 510), "what went before somebody listened is nobody's"
    assert not list(lab.folder.glob("events/*.events"))


def test_jetstream_gets_each_event_once_though_it_is_away_and_hangs_meanwhile(lab: Lab) -> None:
    server = lab.start(NATS(lab.folder, jetstream=True))

    async def story() -> list[dict[str, Any]]:
        await make_stream(server.url, "test.>")
        async with site(server.url, lab.folder, subject="test.{host}.{kind}") as one:
            one.happens(100)
            await one.all_sent()
            assert (one.status["stream"], one.status["acknowledged"]) == ("events", True)
            server.freeze()
            one.happens(100)
            await until(lambda: one.status["why"] == "no answer in time")
            one.happens(100)
            server.thaw()
            await one.all_sent()
            await asyncio.to_thread(server.stop)
            one.happens(100)
            await until(lambda: one.status["spool"] > 0)
            await asyncio.to_thread(server.start)
            one.happens(100)
            await one.all_sent()
            return await kept(server.url)

    found = asyncio.run(story())
    assert [event["text"] for event in found] == numbers(1, 500)
    assert len({event["id"] for event in found}) == 500


def test_while_a_server_hangs_the_loop_turns_and_connections_do_not_pile_up(lab: Lab) -> None:
    server = lab.start(NATS(lab.folder))

    async def story() -> None:
        async with site(server.url, lab.folder) as one:
            await one.all_sent()
            before = open_files()
            server.freeze()
            longest, loop = 0.0, asyncio.get_running_loop()
            for _ in range(400):
                began = loop.time()
                one.happens(10, 300)
                await asyncio.sleep(0.01)
                longest = max(longest, loop.time() - began)
            assert longest < 2, "a bound against hanging"
            assert one.status["why"] == "no answer in time"
            assert open_files() <= before + 3
            server.thaw()
            await one.all_sent()

    asyncio.run(story())


def test_what_waits_survives_a_restart(lab: Lab) -> None:
    server = lab.start(NATS(lab.folder, jetstream=True))

    async def story() -> list[dict[str, Any]]:
        await make_stream(server.url, "test.events")
        await asyncio.to_thread(server.stop)
        async with site(server.url, lab.folder) as one:
            one.happens(50)
            await until(lambda: one.status["why"])
        async with site(server.url, lab.folder) as another:
            assert another.status["waiting"] >= 50
            await asyncio.to_thread(server.start)
            another.happens(3)
            await another.all_sent()
        assert not list(lab.folder.glob("events/*.events"))
        return await kept(server.url)

    assert [event["text"] for event in asyncio.run(story())] == [*numbers(1, 50), *numbers(1, 3)]


def test_beyond_the_spool_events_are_lost_and_somebody_is_told_how_many(lab: Lab) -> None:
    server = lab.start(NATS(lab.folder, jetstream=True))

    async def story() -> list[dict[str, Any]]:
        await make_stream(server.url, "test.events")
        await asyncio.to_thread(server.stop)
        async with site(server.url, lab.folder, max_spool=1) as one:
            for _ in range(40):
                one.happens(100, 400)
                await asyncio.sleep(0.02)
            await until(lambda: one.status["lost"] and one.status["spool"])
            assert one.status["spool"] <= 1 << 20
            await asyncio.to_thread(server.start)
            await one.all_sent()
            (problem,) = one.registry.problems()
            assert "were lost before the NATS server took them" in problem.what
        return await kept(server.url)

    found = asyncio.run(story())
    lost = sum(event["count"] for event in found if event["kind"] == "lost")
    others = [int(event["text"]) for event in found if event["kind"] == "router"]
    assert lost > 0
    assert others == list(range(lost + 1, 4001))
    assert found[0]["kind"] == "lost", "where the gap is"


@pytest.mark.parametrize("jetstream", [True, False])
def test_an_event_that_the_server_has_no_room_for_is_lost_and_told(lab: Lab, jetstream: bool) -> None:
    server = lab.start(NATS(lab.folder, jetstream=jetstream, more="max_payload: 1200"))

    async def story() -> None:
        if jetstream:
            await make_stream(server.url, "test.events")
        async with site(server.url, lab.folder) as one:
            one.happens()
            one.happens(1, 2000)
            one.happens()
            await one.all_sent()
            assert one.status["too_large"] == one.status["lost"] == 1
            await until(lambda: there.kinds() == ["router", "router", "lost"])

    with Subscriber(server.port, "test.events") as there:
        asyncio.run(story())
    assert [event["count"] for _, event in there.events if event["kind"] == "lost"] == [1]


def test_an_event_larger_than_the_stream_takes_is_lost_alone(lab: Lab) -> None:
    server = lab.start(NATS(lab.folder, jetstream=True))

    async def story() -> list[dict[str, Any]]:
        await make_stream(server.url, "test.events", max_msg_size=1200)
        async with site(server.url, lab.folder) as one:
            one.happens()
            one.happens(1, 2000)
            one.happens()
            await one.all_sent()
            await until(lambda: one.status["published"] >= 3)
        return await kept(server.url)

    assert [event["kind"] for event in asyncio.run(story())] == ["router", "router", "lost"]


def test_a_full_stream_keeps_events_waiting_until_there_is_room(lab: Lab) -> None:
    server = lab.start(NATS(lab.folder, jetstream=True))

    async def story() -> None:
        await make_stream(server.url, "test.events", max_msgs=10, discard="new")
        async with site(server.url, lab.folder) as one:
            one.happens(20)
            await until(lambda: "maximum messages exceeded" in (one.status["why"] or ""))
            assert not one.status["connected"]
            client = await nats.connect(server.url)
            await client.jetstream().purge_stream("events")
            await until(lambda: one.status["published"] >= 15)
            await client.jetstream().purge_stream("events")
            await client.close()
            await one.all_sent()
            assert one.status["lost"] == 0

    asyncio.run(story())


def test_bad_credentials_are_a_problem_at_once_and_good_ones_are_taken_by_a_reload(lab: Lab) -> None:
    server = lab.start(NATS(lab.folder, more="authorization {user: rtrd, password: 'se:c/ret'}"))
    password = lab.folder / "password"
    password.write_text("se:c/ret\n")
    password.chmod(0o600)
    url = f"nats://rtrd@127.0.0.1:{server.port}"

    async def story() -> None:
        async with site(f"nats://rtrd:wrong@127.0.0.1:{server.port}", lab.folder) as one:
            one.happens()
            await until(lambda: one.status["why"] == "Authorization Violation")
            (problem,) = one.registry.problems()
            assert problem.what == f"NATS server {url} takes no events: Authorization Violation"
            assert "wrong" not in str(one.status)
            await one.publisher.change(events(url, password_file=password, jetstream=False))
            await one.all_sent()
            await until(there.kinds)
            assert one.registry.problems() == []

    with Subscriber(server.port, user=("rtrd", "se:c/ret")) as there:
        asyncio.run(story())


def test_who_may_not_publish_there_says_so_and_loses_nothing(lab: Lab) -> None:
    users = "{user: a, password: b, permissions: {publish: ['$JS.API.STREAM.NAMES', 'ours'], subscribe: ['_INBOX.>']}}"
    server = lab.start(NATS(lab.folder, more=f"authorization {{users: [{users}]}}"))

    async def story() -> None:
        url = f"nats://a:b@127.0.0.1:{server.port}"
        async with site(url, lab.folder) as one:
            one.happens()
            await until(lambda: one.status["why"] == 'Permissions Violation for Publish to "test.events"')
            assert one.registry.problems()
            assert one.status["published"] == 0
            await one.publisher.change(events(url, "ours"))
            await one.all_sent()

    asyncio.run(story())


def test_a_port_where_something_else_answers_is_no_server(lab: Lab) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()

    async def story() -> None:
        other = await asyncio.start_server(greet, "127.0.0.1", 0)
        async with site(f"nats://127.0.0.1:{other.sockets[0].getsockname()[1]}", lab.folder) as one:
            await until(lambda: "INFO" in (one.status["why"] or ""))
        other.close()

    asyncio.run(story())


def test_the_end_waits_for_what_is_being_written(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    server = lab.start(NATS(lab.folder))
    server.stop()
    begun, go_on, write = threading.Event(), threading.Event(), spool_files.write

    def slow(folder: Path, what: Write) -> int:
        begun.set()
        go_on.wait(SECONDS)
        return write(folder, what)

    monkeypatch.setattr(spool_files, "write", slow)

    async def story() -> None:
        async with site(server.url, lab.folder) as one:
            one.happens(3)
            await until(begun.is_set)
            one.happens(3)
            await until(lambda: one.status["waiting"] >= 6)
            ending = asyncio.create_task(one.publisher.close())
            await asyncio.sleep(0)
            go_on.set()
            await ending

    asyncio.run(story())
    texts = [json.loads(each.payload)["text"] for each in spool_files.read(lab.folder / "events", 1)]
    assert [text for text in texts if text != "ready"] == numbers(1, 6)


def test_a_state_folder_that_fails_is_said_and_events_wait_in_memory(lab: Lab) -> None:
    server = lab.start(NATS(lab.folder))
    server.stop()
    (lab.folder / spool_files.FOLDER).write_text("no folder")

    async def story() -> None:
        async with site(server.url, lab.folder) as one:
            one.happens(5)
            await until(one.registry.state_faults)
            (lab.folder / spool_files.FOLDER).unlink()
            await until(lambda: not one.registry.state_faults() and one.status["spool"])
            await asyncio.to_thread(server.start)
            await one.all_sent()
            assert one.status["lost"] == 0

    asyncio.run(story())


def test_a_daemon_publishes_what_it_tells_and_a_reload_begins_and_ends_it(lab: Lab) -> None:
    server = lab.start(NATS(lab.folder))
    cache = lab.start(StayRTR(lab.folder, [VRP("192.0.2.0/24", 24, 64500)]))
    daemon = lab.start(Daemon(lab.folder, [cache]))
    daemon.wait_vrps(1)
    assert (daemon.status() or {})["events"] is None
    own = daemon.config.read_text()
    with Subscriber(server.port) as there:
        daemon.config.write_text(f'{own}events: {{nats: "{server.url}", subject: "r.{{kind}}"}}\n')
        assert "events: none becomes {nats: nats://127.0.0.1" in rtrd("reload", "--socket", daemon.socket).stdout
        daemon.wait_status(lambda status: bool(status["events"]["connected"]), "a connection")
        cache.serve([VRP("192.0.2.0/24", 24, 64501)])
        there.wait(lambda event: event["kind"] == "vrps" and event["changed"] == 2, "a change of VRPs")
        summary = there.wait(lambda event: event["kind"] == "summary", "a summary")
        assert summary["caches"][0]["vrps"] == 1
        assert {subject for subject, _ in there.events} >= {"r.vrps", "r.summary"}
    daemon.config.write_text(own)
    rtrd("reload", "--socket", daemon.socket, check=True)
    assert (daemon.status() or {})["events"] is None


def test_a_daemon_that_is_killed_sends_what_waited_when_it_is_back(lab: Lab) -> None:
    server = lab.start(NATS(lab.folder, jetstream=True))
    asyncio.run(make_stream(server.url, "test.events"))
    server.stop()
    cache = lab.start(StayRTR(lab.folder, [VRP("192.0.2.0/24", 24, 64500)]))
    settings = {"state": str(lab.folder), "events": {"nats": server.url, "subject": "test.events"}}
    daemon = lab.start(Daemon(lab.folder, [cache], settings=settings))
    daemon.wait_vrps(1)
    first = daemon.wait_status(lambda status: status["events"]["spool"] > 0, "a spool")["events"]["spool"]
    cache.serve([VRP("192.0.2.0/24", 24, 64501)])
    daemon.wait_status(lambda status: status["events"]["spool"] > first, "a longer spool")
    daemon.process.kill()
    server.start()
    daemon.start()
    daemon.wait_status(lambda status: status["events"]["connected"] and not status["events"]["waiting"], "all sent")
    found = stream_of(server.url)
    assert [event["changed"] for event in found if event["kind"] == "vrps"][:2] == [1, 2]
    assert len({event["id"] for event in found}) == len(found)


def test_without_events_nothing_of_nats_is_loaded() -> None:
    code = "import sys, rtrd.main; print([name for name in sys.modules if name.split('.')[0] == 'nats'])"
    assert run(sys.executable, "-c", code).stdout == "[]\n"
