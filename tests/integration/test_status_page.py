"""The status page of a daemon in a real browser: it is live, asks nobody else, and takes no text for markup."""

import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from rtrd.base.clock import timestamp
from rtrlib import aspas
from rtrlib.vrp import VRP, pack
from tests.lab.browser import Browser, browser
from tests.lab.engine_story import take
from tests.lab.still_daemon import StillDaemon

HOSTILE = "<img/src=x/onerror=alert(1)>"
CONFIG = f"""
caches: {{groups: [{{name: "{HOSTILE}", preference: 1, servers: [{{host: 192.0.2.10, port: 323}}]}}]}}
policy: [{{valid: {{action: announce}}, invalid: {{action: withdraw}}}}]
routers: [edge-that-is-gone]
"""
GUARD = "guard: {max-newly-invalid: 5%, hold: 300}\n"

# For every text that shows: its contrast with what is behind it (WCAG 2.1, 1.4.3). Gives those below 4.5 to 1.
CONTRAST = """
(() => {
  const rgb = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const linear = (c) => (c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
  const light = (color) => [.2126, .7152, .0722].reduce((sum, share, i) => sum + share * linear(color[i] / 255), 0);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const color = getComputedStyle(node).backgroundColor;
      if (color.startsWith("rgb") && (rgb(color)[3] ?? 1) === 1) return rgb(color);
    }
    return [255, 255, 255];
  };
  const bad = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.checkVisibility()) continue;
    if (node.closest("script, style, .quiet, .skip")) continue;
    const [one, other] = [light(rgb(getComputedStyle(node).color)), light(behind(node))];
    const ratio = (Math.max(one, other) + .05) / (Math.min(one, other) + .05);
    if (ratio < 4.5) bad.push(`${walker.currentNode.data.trim()}: ${ratio.toFixed(2)}`);
  }
  return bad;
})()
"""

# Everything whose right end is not seen.
CUT = """
[...document.querySelectorAll("body *")]
  .filter((node) => node.clientWidth > 1 && node.scrollWidth > node.clientWidth + 1)
  .filter((node) => getComputedStyle(node).overflowX !== "visible" && node.tagName !== "INPUT")
  .map((node) => `${node.tagName} ${node.id} ${node.className}`)
"""


class Stage(StillDaemon):
    """A daemon that is not connected to anyone, its page, and a browser."""

    def __init__(self, folder: Path, settings: str, tab: Browser) -> None:
        super().__init__(folder, CONFIG + settings, router=HOSTILE)
        self.daemon.vrp_set.usable = True
        self.tab = tab


@asynccontextmanager
async def stage(folder: Path, settings: str) -> AsyncIterator[Stage]:
    async with browser(folder) as tab, Stage(folder, settings, tab) as one:
        one.daemon.history.start()
        await one.service.monitor.start()
        await one.serve()
        await tab.look()
        await tab.open(f"http://127.0.0.1:{one.port}/")
        await tab.until("document.getElementById('live')?.dataset.on === 'yes'")
        await tab.until("!!document.querySelector('.group')")
        yield one


@pytest.fixture
def one(tmp_path: Path) -> AbstractAsyncContextManager[Stage]:
    """A page that is open and live."""
    return stage(tmp_path, "")


def text(of: str) -> str:
    return f"document.getElementById('{of}').textContent"


async def test_changes_show_as_they_happen_with_their_reason(one: Stage) -> None:
    one.announce("192.0.2.0/24")
    await one.tab.until(f"{text('numbers')}.includes('not-found1100.0 %')")
    one.vrps(VRP("192.0.2.0/24", 24, 64501))
    await one.tab.until(f'{text("changes")}.includes("AS64501\'s VRP 192.0.2.0/24-24 appeared at cache")')
    await one.tab.until(f"{text('numbers')}.includes('invalid1100.0 %')")
    first = "document.querySelector('#changes li').textContent"
    assert (await one.tab.value(first))[8:].startswith("192.0.2.0/24AS64500 from 192.0.2.1not-found→invalid")
    await one.tab.value("document.querySelector('[data-show=vrps]').click()")
    assert "→" not in await one.tab.value(first)


async def test_a_change_that_is_held_is_said_first_until_the_cache_takes_it_back(tmp_path: Path) -> None:
    async with stage(tmp_path, GUARD) as one:
        (cache,) = one.daemon.caches.manager.groups()[0].sockets
        one.announce("192.0.2.0/24")
        for origin in (64500, 64501):
            one.daemon.effective.discarded(cache)
            one.daemon.effective.staged(cache, pack(VRP("192.0.2.0/24", 24, origin)))
            one.daemon.effective.committed(cache, True)
            one.daemon.effective.active(frozenset([cache]))
        would = ": it would turn 1 of 1 route invalid"
        await one.tab.until(f"{text('problem-list')}.includes(' is held until ')")
        assert would in await one.tab.value(text("problem-list"))
        assert one.daemon.guarding is not None
        one.daemon.guarding.reject()
        await one.tab.until(f"{text('problem-list')}.includes(' is rejected until ')")
        assert one.service.daemon.health.read().summary in await one.tab.value("document.title")
        one.daemon.effective.staged(cache, pack(VRP("192.0.2.0/24", 24, 64501), announce=False))
        one.daemon.effective.staged(cache, pack(VRP("192.0.2.0/24", 24, 64500)))
        one.daemon.effective.committed(cache, False)
        await one.tab.until(f"!{text('problem-list')}.includes('change')")


async def test_nothing_from_outside_is_markup_and_nobody_else_is_asked(one: Stage) -> None:
    one.daemon.caches.manager.groups()[0].sockets[0].write(error=f"{HOSTILE} said no")
    one.announce("192.0.2.0/24", neighbor=HOSTILE)
    one.vrps(VRP("192.0.2.0/24", 24, 64501))
    await one.tab.until(f"{text('changes')}.includes('from {HOSTILE}')")
    await one.tab.until(f"{text('turns')}.includes('{HOSTILE} said no')")
    await one.tab.until(f"{text('groups')}.includes('{HOSTILE} said no')")
    assert HOSTILE in await one.tab.value("document.title") + await one.tab.value(text("routers"))
    assert await one.tab.value("document.querySelectorAll('img').length") == 0
    # What a fault of ours might let through is not run and not fetched.
    blocked = "(() => { try { document.body.innerHTML = '<b>' } catch (error) { return error.name } })()"
    assert await one.tab.value(blocked) == "TypeError"
    assert all(url.startswith(f"http://127.0.0.1:{one.port}/") for url in one.tab.requests)
    assert [said for said in one.tab.complaints if "TrustedHTML" not in said] == []


async def test_a_prefix_is_validated_by_keyboard(one: Stage) -> None:
    one.vrps(VRP("192.0.2.0/24", 24, 64500))
    await one.tab.value("document.getElementById('prefix').focus()")
    await one.tab.write("192.0.2.0/25")
    await one.tab.value("document.getElementById('asn').focus()")
    await one.tab.write("AS64500")
    await one.tab.press("Enter")
    await one.tab.until(f"{text('verdict')}.startsWith('invalid 192.0.2.0/25 AS64500')")
    assert "192.0.2.0/24-24AS64500allows no prefix this long" in await one.tab.value(text("verdict"))
    await one.tab.value("document.getElementById('prefix').value = '<b>'")
    await one.tab.press("Enter")
    await one.tab.until(f"{text('verdict')}.startsWith(\"'<b>' is not a prefix\")")


async def test_a_daemon_that_went_away_and_came_back(one: Stage) -> None:
    one.announce("192.0.2.0/24", origin=64501)
    await one.stop()
    await one.tab.until(f"{text('live-text')}.startsWith('no connection since')")
    one.vrps(VRP("192.0.2.0/24", 24, 64500))
    await one.serve()
    await one.tab.until(f"{text('live-text')} === 'live'")
    await one.tab.until("document.querySelectorAll('#changes li:not(.none)').length === 1")


async def test_it_says_whose_it_is_since_when_and_in_which_time_zone(one: Stage) -> None:
    await one.tab.until(f"{text('host')} === {json.dumps(socket.gethostname())}")
    assert (await one.tab.value("document.title")).startswith(f"{socket.gethostname()}: ")
    assert re.fullmatch(r"rtrd \S+, up for \d+ s", await one.tab.value(text("version")))
    await one.tab.call("Emulation.setTimezoneOverride", timezoneId="America/St_Johns")
    await one.tab.call("Page.reload")
    zone = "document.getElementById('zone')?.textContent.startsWith('times: America/St_Johns (UTC\\u2212')"
    await one.tab.until(zone)
    await one.tab.until(f"{text('routers')}.includes('edge-that-is-gonenot attached since 2')")


async def test_a_cache_says_when_it_is_tried_again_and_when_its_vrps_expire(one: Stage) -> None:
    (cache,) = one.daemon.caches.status()[0]["servers"]
    now = one.daemon.clock.wall()
    told = {
        "state": "ERROR",
        "error": "no route",
        "since": now - 3600,
        "next_attempt": now + 3600,
        "expires": now + 7200,
    }
    dates = {name: timestamp(at) if isinstance(at, float) else at for name, at in told.items()}
    group = {**one.daemon.caches.status()[0], "servers": [{**cache, **dates}]}
    one.daemon.registry.status_of(groups=lambda: [group])
    await one.tab.until(f"{text('groups')}.includes('error; not in sync for 60 min; next attempt in 60 minno route')")
    assert await one.tab.value("document.querySelector('[data-label=expires]').textContent") == "in 2 h"


async def test_the_tile_of_the_invalid_routes_lists_them_and_a_search_asks_rtrd(one: Stage) -> None:
    prefixes = [f"10.0.{number}.0/24" for number in range(60)]
    one.announce(*prefixes, "192.0.2.0/24", origin=64511)
    one.vrps(VRP("10.0.0.0/8", 24, 64500), VRP("192.0.0.0/16", 20, 64511))
    await one.tab.until(f"{text('numbers')}.includes('invalid61100.0 %')")
    await one.tab.value("document.querySelector('[title=\"List the invalid routes\"]').click()")
    await one.tab.until("document.querySelectorAll('#list tbody tr').length === 50")
    assert (await one.tab.value(text("found"))).startswith("61 invalid routes, the first 50, at ")
    row = "document.querySelector('#list tbody tr').textContent"
    assert re.fullmatch(
        r"10\.0\.0\.0/24AS64511192\.0\.2\.1 at .*invalid no VRP has this ASwithdraw\d+ s ago", await one.tab.value(row)
    )
    await one.tab.value("document.getElementById('more').click()")
    await one.tab.until("document.querySelectorAll('#list tbody tr').length === 61")
    for wanted, count in {"192.0.2.7": 1, "10.0.8.0/21": 8, "AS64511": 50, "AS64500": 0}.items():
        await one.tab.value(f"document.getElementById('wanted').value = '{wanted}'")
        await one.tab.value("document.querySelector('#search button').click()")
        await one.tab.until(f"{text('found')}.includes(' for {wanted}')")
        assert await one.tab.value("document.querySelectorAll('#list tbody tr').length") == count
    await one.tab.value(f"document.getElementById('wanted').value = '{HOSTILE}'")
    await one.tab.value("document.querySelector('[data-list=\"\"]').click()")
    await one.tab.until(f"{text('found')}.includes('is not a')")
    assert await one.tab.value("document.querySelectorAll('img, #list tr').length") == 0


async def test_a_prefix_leads_to_its_history(one: Stage) -> None:
    one.announce("192.0.2.0/24")
    one.vrps(VRP("192.0.2.0/24", 24, 64501))
    await one.tab.until("!!document.querySelector('#changes .link')")
    await one.tab.value("document.querySelector('#changes .link').click()")
    await one.tab.until("document.querySelectorAll('#past-list li').length === 2")
    assert "not-found→invalidobserve → withdraw" in await one.tab.value(text("past-list"))
    assert "AS64501's VRP 192.0.2.0/24-24 appeared at cache" in await one.tab.value(text("past-list"))
    said = await one.tab.value(text("past-said"))
    assert said.startswith("2 changes of routes; it is only in memory")
    assert await one.tab.value("document.activeElement.id") == "history-title"
    await one.tab.value("document.getElementById('past-prefix').value = '203.0.113.9'")
    await one.tab.value("document.querySelector('#past button').click()")
    await one.tab.until(f"{text('past-said')}.startsWith('No change of a route is known of 203.0.113.9 since')")


PEER = "neighbors: [{match: [192.0.2.1], local-role: peer}]\n"
PATHS = {"198.51.100.0/24": [64500, 64501, 64510], "203.0.113.0/24": [64500, 64520]}
UPDATE = """
{"exabgp": "5.0.0", "time": 1.5, "host": "h", "pid": 1, "ppid": 1, "counter": 1, "type": "update", "neighbor": {
 "address": {"local": "192.0.2.2", "peer": "192.0.2.1"}, "asn": {"local": 65001, "peer": 64500},
 "router-id": "10.0.0.1", "direction": "receive", "message": {"update": {
  "attribute": {"origin": "igp", "as-path": {"0": {"element": "as-sequence", "value": %s}},
   "attribute-0x23-0xC0": "0x0000ff00"},
  "announce": {"ipv4 unicast": {"192.0.2.1": [{"nlri": "%s"}]}}}}}}
""".replace("\n", "")


async def test_a_path_is_drawn_hop_by_hop(tmp_path: Path) -> None:
    async with stage(tmp_path, PEER) as one:
        take(one.engine, *((UPDATE % (path, prefix)).encode() for prefix, path in PATHS.items()))
        held = one.daemon.aspas
        held.slurm([], aspas.union_of(aspas.numbers({64510: {64501}, 64501: {64502}, 64520: {64500}}.items())))
        for _ in held.settle():
            pass
        held.put_in_force()
        while one.engine.work(1000):
            pass
        await one.tab.value("document.querySelector('[data-list=path]').click()")
        await one.tab.until(f"{text('found')}.startsWith('1 path-invalid route, at ')")
        row = await one.tab.value("document.querySelector('#list tbody tr').textContent")
        assert (
            "leak, path invalidAS64501 does not name AS64500 as its provider; it has Only to Customer of AS65280" in row
        )
        await one.tab.value("document.querySelector('#list .path').click()")
        drawn = "[...document.querySelectorAll('#drawn .hops li')].map((one) => one.textContent).join('|')"
        await one.tab.until(f"{drawn}.endsWith('us its peer')")
        assert await one.tab.value(drawn) == (
            "AS64510 the origin|↓ AS64510 names it as a provider|AS64501|↓ AS64501 does not name it as a provider"
            "|AS64500 our neighbor|us its peer"
        )
        assert await one.tab.value("document.querySelector('#drawn .decides').textContent.includes('AS64501')")
        assert await one.tab.value("document.activeElement.id") == "path-title"
        for dark in (False, True):
            for width in (1280, 700, 360):
                await one.tab.look(width=width, dark=dark)
                assert await one.tab.value(CONTRAST) == [], (dark, width)
                assert await one.tab.value("document.documentElement.scrollWidth - innerWidth") <= 0, (dark, width)
                assert await one.tab.value(CUT) == [], (dark, width)
        await one.tab.look()
        await one.tab.value("document.querySelector('[data-list=leak]').click()")
        await one.tab.until(f"{text('found')}.startsWith('2 leaked routes, at ')")
        # The downstream procedure asks from both ends.
        await one.tab.value("document.getElementById('role').value = 'customer'")
        await one.tab.value("document.querySelector('#check button').click()")
        await one.tab.until(f"{drawn}.endsWith('us its customer')")
        between = await one.tab.value("document.querySelectorAll('#drawn .between')[1].textContent")
        assert between == "↓ AS64501 does not name it as a provider↑ AS64500 has no ASPA"
        await one.tab.value(f"document.getElementById('asns').value = '{HOSTILE}'")
        await one.tab.value("document.querySelector('#check button').click()")
        await one.tab.until(f"{text('drawn')}.includes('is not an AS number')")
        assert await one.tab.value("document.querySelectorAll('img').length") == 0


async def test_plots_are_read_by_keyboard(one: Stage) -> None:
    await one.tab.until("document.querySelectorAll('.plot').length === 3")
    label = "document.querySelector('.plot[data-v=invalid] svg').getAttribute('aria-label')"
    assert (await one.tab.value(label)).startswith("invalid: 0 now; between 0 and 0")
    await one.tab.value("document.querySelector('.plot[data-v=invalid] svg').focus()")
    await one.tab.press("ArrowLeft")
    assert " at " in await one.tab.value(label)
    await one.tab.press("Escape")
    assert " now" in await one.tab.value(label)


async def test_every_text_has_contrast_and_nothing_is_wider_than_a_phone(one: Stage) -> None:
    one.daemon.caches.manager.groups()[0].sockets[0].write(error="no route to host " * 10)
    one.announce("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
    long = "2001:db8:1111:2222:3333:4444:5555:6660/124"
    one.announce(long, origin=4_200_000_000, neighbor="2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff")
    one.vrps(VRP("192.0.2.0/24", 24, 64500), VRP("198.51.100.0/24", 24, 64501), VRP("2001:db8::/32", 48, 64500))
    await one.tab.until("document.querySelectorAll('#changes li:not(.none)').length === 3")
    await one.tab.value("document.querySelector('[data-list=\"\"]').click()")
    await one.tab.value("document.querySelector('#changes .link').click()")
    await one.tab.until("!!document.querySelector('#list tr') && !!document.querySelector('#past-list li')")
    await one.tab.until("document.querySelectorAll('.router tbody tr').length === 2")  # with the next status
    for dark in (False, True):
        for width in (1280, 1200, 1024, 700, 360):
            await one.tab.look(width=width, dark=dark)
            assert await one.tab.value(CONTRAST) == [], (dark, width)
            assert await one.tab.value("document.documentElement.scrollWidth - innerWidth") <= 0, (dark, width)
            assert await one.tab.value(CUT) == [], (dark, width)
    await one.tab.look()
    assert await one.tab.value("document.querySelectorAll('#list .link').length") == 4
    lines = "Math.max(...[...document.querySelectorAll('#list .link')].map((link) => link.getClientRects().length))"
    assert await one.tab.value(lines) == 1, "a prefix is not broken where there is room"
