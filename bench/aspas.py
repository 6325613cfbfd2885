"""Measures what ASPAs cost beside the VRPs: in `rtrd cache`, at its routers, and in a daemon that fetches them."""

from __future__ import annotations

import time

from bench import generate, relay, servers
from bench.crowd import HOST, NOTIFY, Crowd, apart
from bench.pipe import Router
from bench.report import Comparison, interleaved
from bench.section import Setting
from bench.servers import LIMIT
from bench.sync import sync_time

CUSTOMERS, PROVIDERS = 50_000, 3
"""Fifteen times those of October 2026."""
MOST_MORE = 6.0
"""MB that they may take in a daemon."""


def measure(setting: Setting) -> list[Comparison]:
    """Compare; AssertionError when somebody did not get all."""
    return [*served(setting), *fetched(setting)]


def served(setting: Setting) -> list[Comparison]:
    """Let routers of version 2 load VRPs and ASPAs, and then hear of one customer's new list."""
    vrps, folder, clients = setting.vrps, setting.folder, setting.sized(relay.CLIENTS)
    customers = generate.aspas(setting.sized(CUSTOMERS), PROVIDERS)
    plain = servers.start(folder, "plain", vrps, servers.rtrd_cache)
    cache = servers.start(folder, "with-aspas", vrps, servers.rtrd_cache, customers)
    size, pdu = servers.octets(vrps), 12 + 4 * PROVIDERS
    try:
        for server in (plain, cache):
            servers.ready(server.port)
        watcher = Crowd(cache.port, 1, 2)
        for server in (plain, cache):
            Crowd(server.port, 1, 2).load(size + (server is cache) * pdu * len(customers))
        before = [relay.memory(server.process.pid)[0] for server in (cache, plain)]
        seconds = {"VRPs and ASPAs": [], "VRPs alone": []}  # type: dict[str, list[float]]
        for _ in range(setting.rounds):
            seconds["VRPs and ASPAs"].append(Crowd(cache.port, 1, 2).load(size + pdu * len(customers)))
            seconds["VRPs alone"].append(Crowd(plain.port, 1, 2).load(size))
        watcher.load(size + pdu * len(customers))
        with apart(cache.port, clients, size + pdu * len(customers), servers.FRAME + pdu, version=2) as said:
            said()
            first = next(iter(customers))
            generate.write(cache.file, vrps, {**customers, first: [1, 2, 3]})
            watcher.answered(NOTIFY)
            began = time.monotonic()
            last = said()["changed"] - began
    finally:
        for server in (plain, cache):
            server.process.stop()
    about = (
        f"{len(vrps):,} VRPs {setting.origin}; {len(customers):,} customers with {PROVIDERS} providers each; version 2."
    )
    return [
        Comparison(
            "From the query to the whole set, with ASPAs", "s", seconds, "VRPs alone", 1.2,
            [about + " One router, which only counts octets."],
        ),
        Comparison(
            "Memory of `rtrd cache` with ASPAs", "MiB", {"VRPs and ASPAs": before[:1], "VRPs alone": before[1:]},
            None, None,
            [about + " After one router has loaded everything."],
        ),
        Comparison(
            f"One customer's new list, until the last of {clients} routers has it", "ms", {"rtrd cache": [1000 * last]},
            None, 1000.0, [about + " From the first router's notify."],
        ),
    ]  # fmt: skip


def fetched(setting: Setting) -> list[Comparison]:
    """Let a daemon load VRPs and ASPAs, and VRPs alone, from `rtrd cache`."""
    vrps, folder = setting.vrps, setting.folder
    customers = generate.aspas(setting.sized(CUSTOMERS), PROVIDERS)
    caches = {
        "VRPs and ASPAs": servers.start(folder, "fetched-aspas", vrps, servers.rtrd_cache, customers),
        "VRPs alone": servers.start(folder, "fetched-plain", vrps, servers.rtrd_cache),
    }
    taken: dict[str, list[float]] = {name: [] for name in caches}

    def run(name: str) -> float:
        """Give the seconds of a first sync; note the daemon's memory after it, MB."""
        router = Router(folder, [(HOST, caches[name].port)], name="fetches")
        router.log.unlink(missing_ok=True)
        with router:
            router.wait_vrps(len(vrps), LIMIT)
            status = router.status()
            assert status is not None
            assert status["aspas"] == (len(customers) if name == "VRPs and ASPAs" else 0)
            taken[name].append(router.usage().memory("Pss") / 1e6)
        return sync_time(router.log)

    try:
        for cache in caches.values():
            servers.ready(cache.port)
        print("first sync of a daemon, s", flush=True)
        seconds = interleaved(
            setting.rounds,
            {"VRPs and ASPAs": lambda: run("VRPs and ASPAs"), "VRPs alone": lambda: run("VRPs alone")},
        )
    finally:
        for cache in caches.values():
            cache.process.stop()
    about = (
        f"{len(vrps):,} VRPs {setting.origin}; {len(customers):,} customers with {PROVIDERS} providers each; from"
        " `rtrd cache` on this host, by the native engine in version 2."
    )
    more = [one - other for one, other in zip(*taken.values(), strict=True)]
    return [
        Comparison(
            "First sync of a daemon, with ASPAs", "s", seconds, "VRPs alone", 1.2,
            [about + " From its first step toward the cache to all in force, by its log."],
        ),
        Comparison("Memory of a daemon with ASPAs", "MB", taken, None, None, [about + " PSS, once all is in force."]),
        Comparison(
            "What the ASPAs take of that", "MB", {"more than with VRPs alone": more}, None, MOST_MORE, [about],
        ),
    ]  # fmt: skip
