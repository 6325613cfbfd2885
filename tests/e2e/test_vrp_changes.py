"""VRPs that come and go, caches that die: what changes at the peer, and what does not."""

from rtrd.demo.caches import VRP, Cache, RtrdCache
from rtrd.demo.lab import Lab
from tests.e2e.conftest import MakeChain
from tests.lab.chain import Chain
from tests.lab.routers import route
from tests.lab.stayrtr import StayRTR

STATIC = [route(prefix, 64500).exabgp() for prefix in ("198.18.1.0/24", "203.0.113.0/24", "2001:db8:1::/48")]
OTHERS = {"203.0.113.0/24": "not-found", "2001:db8:1::/48": "valid"}
"""What stays, whatever becomes of 198.18.1.0/24."""
ALL = {**OTHERS, "198.18.1.0/24": "valid"}
V6 = VRP("2001:db8::/32", 48, 64500)
RIGHT = VRP("198.18.0.0/16", 24, 64500)
WRONG_AS = VRP("198.18.0.0/16", 24, 64501)
TOO_SHORT = VRP("198.18.0.0/16", 23, 64500)


def feeder_updates(chain: Chain) -> int:
    """How many UPDATEs the feeder sent, as it says itself."""
    return sum("send-update counter" in line.text for line in chain.feeder.process.lines)


def in_use(chain: Chain, group: str) -> None:
    chain.wait_status(lambda status: status["active_group"] == group, f"{group} in use")


def test_a_route_follows_its_vrp_with_no_route_refresh(make_chain: MakeChain) -> None:
    chain = make_chain([V6], static=STATIC)
    cache = chain.groups[0][0]
    chain.settle({**OTHERS, "198.18.1.0/24": "not-found"})
    sent = feeder_updates(chain)
    for vrps, tag in (
        ([V6, RIGHT], "valid"),
        ([V6, WRONG_AS], None),
        ([V6, RIGHT], "valid"),
        ([V6, TOO_SHORT], None),
        ([V6, TOO_SHORT, VRP("198.18.1.0/24", 24, 64500)], "valid"),
        ([V6, WRONG_AS, RIGHT], "valid"),
        ([V6], "not-found"),
        ([V6, VRP("198.18.0.0/15", 32, 0)], None),
    ):
        cache.serve(vrps)
        chain.settle({**OTHERS, "198.18.1.0/24": tag} if tag else OTHERS)
    assert feeder_updates(chain) == sent


def test_a_vrp_changes_only_what_it_covers(make_chain: MakeChain) -> None:
    chain = make_chain([V6, RIGHT], static=STATIC)
    chain.settle(ALL)
    seen = chain.heard()
    chain.groups[0][0].serve([V6, WRONG_AS])
    chain.settle(OTHERS)
    assert chain.listener.changed_prefixes(seen) == {"198.18.1.0/24"}


def test_a_default_route_vrp_covers_everything(make_chain: MakeChain, lab: Lab) -> None:
    """librtr 0.8.0 itself aborts on a validation after such a VRP; StayRTR refuses to serve it."""
    cache = RtrdCache(lab.folder, [VRP("0.0.0.0/0", 24, 64500), VRP("::/0", 32, 64500)])
    chain = make_chain(caches=[[cache]], static=STATIC)
    chain.settle({"198.18.1.0/24": "valid", "203.0.113.0/24": "valid"})
    cache.serve([VRP("0.0.0.0/0", 24, 0)])
    chain.settle({"2001:db8:1::/48": "not-found"})


def test_a_dead_cache_is_replaced_by_the_backup_and_the_peer_sees_nothing(make_chain: MakeChain, lab: Lab) -> None:
    primary = StayRTR(lab.folder, [V6, RIGHT])
    chain = make_chain(caches=[[primary], [RtrdCache(lab.folder, [RIGHT, V6], name="backup")]], static=STATIC)
    chain.settle(ALL)
    assert chain.ask("status")["active_group"] == "group1"
    seen = chain.heard()
    for _ in range(2):
        primary.kill()
        in_use(chain, "group2")
        primary.start()
        in_use(chain, "group1")
    # A change that does arrive shows that the silence before it was no deafness.
    primary.serve([V6, WRONG_AS])
    chain.settle(OTHERS)
    assert chain.listener.changed_prefixes(seen) == {"198.18.1.0/24"}
    assert chain.listener.withdrawn_prefixes(seen) == {"198.18.1.0/24"}


def test_a_backup_with_other_vrps_changes_just_the_difference(make_chain: MakeChain, lab: Lab) -> None:
    primary: Cache = RtrdCache(lab.folder, [V6, RIGHT], name="primary")
    backup: Cache = StayRTR(lab.folder, [V6, WRONG_AS])
    chain = make_chain(caches=[[primary], [backup]], static=STATIC)
    chain.settle(ALL)
    seen = chain.heard()
    primary.kill()
    chain.settle(OTHERS)
    primary.start()
    chain.settle(ALL)
    assert chain.listener.changed_prefixes(seen) == {"198.18.1.0/24"}


def test_both_groups_dead_keeps_the_last_vrps(make_chain: MakeChain, lab: Lab) -> None:
    primary = StayRTR(lab.folder, [V6, RIGHT])
    backup = RtrdCache(lab.folder, [V6, RIGHT], name="backup")
    chain = make_chain(caches=[[primary], [backup]], static=STATIC)
    chain.settle(ALL)
    primary.kill()
    in_use(chain, "group2")
    backup.kill()
    chain.wait_status(lambda now: all(one["status"] != "ESTABLISHED" for one in now["groups"]), "both groups lost")
    chain.feed("announce route 198.18.2.0/24 next-hop 192.0.2.1 as-path [ 64496 64500 ]")
    chain.settle({**OTHERS, "198.18.1.0/24": "valid", "198.18.2.0/24": "valid"})
    assert chain.ask("status")["ready"]


def test_routes_wait_for_the_first_vrps(make_chain: MakeChain, lab: Lab) -> None:
    """`hold`: before any cache has answered no route is called not-found."""
    cache = StayRTR(lab.folder, [V6, RIGHT])
    cache.start()
    cache.stop()
    chain = make_chain(caches=[[cache]], static=STATIC)
    chain.wait_counts(unverified=len(STATIC))
    assert chain.received() == []
    lab.start(cache)
    chain.settle(ALL)


def test_two_groups_die_again_and_again_and_the_peer_sees_the_difference_alone(make_chain: MakeChain, lab: Lab) -> None:
    primary, backup = (
        [RtrdCache(lab.folder, vrps, name=f"{name}{number}") for number in (1, 2)]
        for name, vrps in (("primary", [V6, RIGHT]), ("backup", [V6, WRONG_AS]))
    )
    chain = make_chain(caches=[primary, backup], static=STATIC)
    chain.settle(ALL)
    seen = chain.heard()
    for _ in range(3):
        chain.wait_status(lambda now: [it["state"] for it in now["groups"][0]["servers"]] == ["ESTABLISHED"] * 2, "two")
        primary[0].kill()
        chain.wait_status(lambda now: [one["fault"] for one in now["groups"][0]["servers"]] != [None, None], "a death")
        assert chain.ask("status")["active_group"] == "group1"
        primary[1].kill()
        chain.settle(OTHERS)
        for cache in primary:
            cache.start()
        chain.settle(ALL)
    assert chain.listener.changed_prefixes(seen) == {"198.18.1.0/24"}
    assert chain.ask("status")["loop"]["long"] == 0


def test_a_cache_with_no_vrps_is_an_answer(make_chain: MakeChain, lab: Lab) -> None:
    """Routes are not-found at once, not held until somebody has a VRP; and a warning says why."""
    cache = RtrdCache(lab.folder)
    chain = make_chain(caches=[[cache]], static=STATIC)
    chain.settle(dict.fromkeys([*OTHERS, "198.18.1.0/24"], "not-found"))
    assert chain.ask("status")["ready"]
    problems = chain.ask("status")["problems"]
    assert {problem["severity"] for problem in problems} == {"warning"}
    assert f"cache {cache.address}:{cache.port} is in sync, but has no VRPs" in [one["what"] for one in problems]
    cache.serve([V6, RIGHT])
    chain.settle(ALL)
    assert chain.ask("status")["problems"] == []
