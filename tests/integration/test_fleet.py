"""`rtrd fleet` at a real NATS server with real daemons: the list, and the page in a browser's terms."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
import urllib.error
import urllib.request
from typing import Any

import nats
import pytest

from rtrd.config import Events
from rtrd.config.nats import Subject, parse_nats_server
from rtrd.demo.caches import VRP
from rtrd.demo.lab import Lab, Process
from rtrd.events import reader
from rtrd.events.client import NotTakenError
from rtrd.fleet.hosts import OVERLAP
from tests.lab.daemons import Daemon
from tests.lab.nats_servers import NATS, make_stream
from tests.lab.programs import RTRD, rtrd
from tests.lab.stayrtr import StayRTR
from tests.lab.wait import SECONDS, until, wait_until


def publishing(lab: Lab, server: NATS) -> Daemon:
    cache = lab.start(StayRTR(lab.folder, [VRP("192.0.2.0/24", 24, 64500)]))
    daemon = lab.start(Daemon(lab.folder, [cache], settings={"events": {"nats": server.url}, "state": str(lab.folder)}))
    daemon.wait_vrps(1)
    daemon.wait_status(lambda status: status["events"]["connected"], "a connection")
    return daemon


def test_two_under_one_name_are_a_problem_until_they_have_names(lab: Lab) -> None:
    server = lab.start(NATS(lab.folder, jetstream=True))
    asyncio.run(make_stream(server.url, "rtrd.events.>"))
    cache = lab.start(StayRTR(lab.folder, [VRP("192.0.2.0/24", 24, 64500)]))
    daemons = []
    for name in ("one", "two"):
        settings = {"events": {"nats": server.url}}
        daemons.append(lab.start(Daemon(lab.folder, [cache], name, settings)))
        daemons[-1].wait_status(lambda status: status["events"]["connected"], "a connection")
    page = Process("fleet", [RTRD, "fleet", "--nats", server.url, "--listen", "127.0.0.1:0"], lab.folder)
    page.start()
    try:
        url = page.wait_for(r"listening on (\S+)").text.rpartition(" ")[2]
        host = (daemons[0].status() or {})["host"]
        time.sleep(OVERLAP + 1.1)  # what is said from now on is said by two at once: started is told in seconds
        cache.stop()

        def problem() -> list[str]:
            return [each["host"] for each in asked(url)["problems"] if "two rtrds publish" in each["what"]]

        assert wait_until(problem, "word of two") == [host]
    finally:
        page.stop()


def test_an_instance_publishes_under_its_own_name_and_one_that_has_a_name_under_that(lab: Lab) -> None:
    server = lab.start(NATS(lab.folder, jetstream=True))
    asyncio.run(make_stream(server.url, "rtrd.events.>"))
    cache = lab.start(StayRTR(lab.folder, [VRP("192.0.2.0/24", 24, 64500)]))
    (folder := lab.folder / "rtrd-edge1").mkdir()
    instance = lab.start(Daemon(folder, [cache], settings={"events": {"nats": server.url}}))
    named = lab.start(Daemon(lab.folder, [cache], settings={"events": {"nats": server.url, "name": "the other"}}))
    names = [f"edge1@{socket.gethostname()}", "the other"]
    assert [(daemon.status() or {})["events"]["name"] for daemon in (instance, named)] == names

    def both() -> list[str]:
        found = [each["host"] for each in seen(server)["hosts"]]
        return found if len(found) == 2 else []

    assert sorted(wait_until(both, "both")) == names


def seen(server: NATS, *more: str) -> dict[str, Any]:
    done = rtrd("fleet", "--nats", server.url, "--json", *more, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_host_is_listed_from_what_the_stream_kept(lab: Lab) -> None:
    server = lab.start(NATS(lab.folder, jetstream=True))
    asyncio.run(make_stream(server.url, "rtrd.events.>"))
    assert rtrd("fleet", "--nats", server.url, check=True).stdout.startswith("0 hosts, 0 silent; 0 problems")
    daemon = publishing(lab, server)
    found = wait_until(lambda: (now := seen(server))["hosts"] and now, "a summary")
    assert [each["host"] for each in found["hosts"]] == [(daemon.status() or {})["host"]]
    assert found["malformed"] == 0
    daemon.stop()
    assert seen(server)["hosts"][0]["host"] == found["hosts"][0]["host"], "what it said last is still there"
    text = rtrd("fleet", "--nats", server.url).stdout
    assert text.startswith("1 host, 0 silent")


def test_the_page_follows_and_lives_through_an_absence_of_the_server(lab: Lab) -> None:
    server = lab.start(NATS(lab.folder, jetstream=True))
    asyncio.run(make_stream(server.url, "rtrd.events.>"))
    publishing(lab, server)
    page = Process("fleet", [RTRD, "fleet", "--nats", server.url, "--listen", "127.0.0.1:0"], lab.folder)
    page.start()
    try:
        url = page.wait_for(r"listening on (\S+)").text.rpartition(" ")[2]
        wait_until(lambda: asked(url)["hosts"], "a host")
        server.stop()
        wait_until(lambda: asked(url)["why"], "word of its absence")
        assert asked(url)["hosts"]
        server.start()
        wait_until(lambda: asked(url)["why"] is None, "the server again")
        with urllib.request.urlopen(url) as answer:
            policy, body = answer.headers["Content-Security-Policy"], answer.read().decode()
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"innerHTML|\bon\w+=", body)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(urllib.request.Request(url, headers={"Host": "evil.example"}))
        assert caught.value.code == 421
        caught.value.close()
    finally:
        page.stop()
    assert page.returncode == 0


def asked(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}fleet") as answer:
        found: dict[str, Any] = json.load(answer)
        return found


@pytest.mark.parametrize("jetstream", [True, False])
def test_without_a_stream_hosts_are_heard_when_they_speak(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, jetstream: bool
) -> None:
    server = lab.start(NATS(lab.folder, jetstream=jetstream))
    monkeypatch.setattr(reader, "ONE_EACH", 0.5)
    heard: list[bytes] = []
    said: list[str] = []

    async def story() -> None:
        settings = Events(nats=parse_nats_server(server.url), subject=Subject("a.>"))
        done = asyncio.Event()
        reading = asyncio.create_task(
            reader.read(settings, lambda payload, _: heard.append(payload), done.set, said.append)
        )
        await until(lambda: said)
        client = await nats.connect(server.url)
        while not heard:
            await client.publish("a.b", b"{}")
            await client.flush()
            await asyncio.sleep(0.01)
        await client.close()
        await done.wait()
        server.process.kill()
        with pytest.raises(NotTakenError):
            await asyncio.wait_for(reading, SECONDS)

    asyncio.run(story())
    assert heard[0] == b"{}"


def test_a_server_that_is_not_there_or_a_subject_that_is_none_is_said(lab: Lab) -> None:
    server = lab.start(NATS(lab.folder))
    server.stop()
    done = rtrd("fleet", "--nats", server.url)
    assert (done.returncode, done.stderr) == (1, f"rtrd: NATS server {server.url}: Connection refused\n")
    assert rtrd("fleet", "--nats", "http://x").returncode == 2
    assert rtrd("fleet", "--nats", server.url, "--subject", "a b").returncode == 2
