"""What `rtrd whatif` and `rtrd diff` answer, asked of a daemon's parts without processes."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from rtrd.api.path_whatif import PathWhatIfQuery
from rtrd.api.whatif import WhatIf
from rtrd.base.errors import NotReadyError
from rtrd.vrps.aspas import ASPASet
from rtrd.vrps.disagreement import NothingToCompareError, chosen, disagreement
from rtrd.vrps.notation import parse_edit, parse_vrp, written
from rtrlib import aspas
from rtrlib.vrp import VRP, pack
from rtrlib.vrp_filters import VRPFilter
from rtrlib.vrp_set import VRPSet
from tests.lab import promised
from tests.lab.observed import Observed
from tests.lab.statuses import AllRouters, NamedCache, would_change
from tests.lab.vrp_sets import set_of

A, B = VRP("192.0.2.0/24", 24, 64500), VRP("198.51.100.0/24", 24, 64500)
COVERING = "192.0.0.0/16"


class TestNotation:
    """How a VRP is written."""

    @pytest.mark.parametrize(
        "text",
        [
            "192.0.2.0/24-24@AS64500",
            "192.0.2.0/24-24@64500",
            "192.0.2.0/24@as64500",
            "192.0.2.0/24-24 => AS64500",
            "192.0.2.0/24=>64500",
            "192.0.2.0/24 => 64500",
        ],
    )
    def test_spellings_of_one(self, text: str) -> None:
        assert parse_vrp(text) == A

    def test_ipv6_and_what_is_written(self) -> None:
        vrp = parse_vrp("2001:db8::/32-48@AS4294967295")
        assert vrp == VRP("2001:db8::/32", 48, 4294967295)
        assert parse_vrp(written(vrp.prefix, vrp.max_length, vrp.asn)) == vrp

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("", "'' is not a VRP: expected PREFIX-MAXLENGTH@ASN"),
            ("192.0.2.0/24", "'192.0.2.0/24' is not a VRP: expected"),
            ("192.0.2.0/24-23@1", "its max length is out of range, expected 24 to 32"),
            ("2001:db8::/32-129@1", "its max length is out of range, expected 32 to 128"),
            ("192.0.2.1/24@1", "has host bits set"),
            ("192.0.2.0/24@4294967296", "is not an AS number"),
            ("192.0.2.0/24@x\n", "is no"),
            ("192.0.2.0/24-24-24@1", "is not a VRP"),
        ],
    )
    def test_what_is_none(self, text: str, why: str) -> None:
        with pytest.raises(ValueError) as error:
            parse_vrp(text)
        assert why in str(error.value)

    def test_a_sign_comes_first(self) -> None:
        assert parse_edit("+192.0.2.0/24@64500") == (A, True)
        assert parse_edit("-192.0.2.0/24@64500") == (A, False)
        with pytest.raises(ValueError, match=r"expected \+ or - before"):
            parse_edit("192.0.2.0/24@64500")


def daemon(filters: Iterable[VRPFilter] = (), assertions: Iterable[VRP] = (), exempted: Iterable[VRP] = ()) -> Any:
    """A VRP set with A of one cache, and routers with routes to A's prefix, a less specific one, and B's."""
    vrp_set = set_of(A)
    routers = AllRouters()
    for name in ("one", "two"):
        observed = Observed(vrp_set, [A.prefix, B.prefix, COVERING])
        sessions = SimpleNamespace(address_of={observed.neighbor: "192.0.2.1"}.__getitem__)
        engine = SimpleNamespace(name=name, table=observed.table, sessions=sessions)
        routers.append(SimpleNamespace(engine=engine))
    slurm = SimpleNamespace(filters=list(filters), assertions=[pack(vrp) for vrp in assertions])
    exempts = SimpleNamespace(packed={pack(vrp) for vrp in exempted})
    vrp_set.exempt(b"".join(exempts.packed))
    return SimpleNamespace(vrp_set=vrp_set, routers=routers, slurm=slurm, exempts=exempts)


def ask(daemon: Any, *texts: str, most: int = 100) -> dict[str, Any]:
    answer = asyncio.run(
        WhatIf(daemon.vrp_set, daemon.slurm, daemon.exempts, daemon.routers).ask(
            [parse_edit(text) for text in texts], most
        )
    )
    promised.check("WhatIf", answer)
    return answer


def replace(daemon: Any, records: bytes, step: int = 7) -> dict[str, Any]:
    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(records), step):
            yield records[at : at + step]

    answer = asyncio.run(WhatIf(daemon.vrp_set, daemon.slurm, daemon.exempts, daemon.routers).replacing(chunks(), 100))
    promised.check("WhatIf", answer)
    return answer


def test_vrps_that_appear_and_vanish_over_all_routers() -> None:
    cover = "covered-by-not-found"
    assert ask(daemon(), "-192.0.2.0/24@64500", "+192.0.2.0/24@64501") == {
        "routes": 2,
        "newly_invalid": {"unreachable": 0, "covered-by-valid": 0, cover: 2},
        "changes": [{"now": "valid", "then": "invalid", "routes": 2}],
        "changed": [would_change(name, A.prefix, "valid", "invalid", cover) for name in ("one", "two")],
        "left_out": 0,
        "without_effect": [],
    }


def test_before_a_set_is_usable_only_a_file_can_be_asked_of() -> None:
    asked = daemon()
    asked.vrp_set.usable = False
    with pytest.raises(NotReadyError, match="no VRP set is usable yet"):
        ask(asked, "+198.51.100.0/24@64501")
    changes = replace(asked, pack(A))["changes"]
    assert {change["now"] for change in changes} == {"unverified"}


def test_routes_beyond_those_that_are_named_are_counted() -> None:
    answer = ask(daemon(), "+198.51.100.0/24@64501", most=1)
    assert (len(answer["changed"]), answer["left_out"]) == (1, 1)
    assert answer["newly_invalid"]["unreachable"] == 2


def test_what_has_no_effect_is_named() -> None:
    answer = ask(daemon(), "+192.0.2.0/24@64500", "-198.51.100.0/24@64500")
    assert answer["without_effect"] == ["+192.0.2.0/24-24 AS64500", "-198.51.100.0/24-24 AS64500"]
    assert answer["changes"] == []


def test_slurm_counts() -> None:
    answer = ask(daemon([VRPFilter("198.51.100.0/24", None)]), "+198.51.100.0/24@64501")
    assert answer["without_effect"] == ["+198.51.100.0/24-24 AS64501 (by SLURM)"]
    assert answer["changes"] == []
    asserted = daemon([VRPFilter("0.0.0.0/0", None)], [VRP(B.prefix, 24, 64501)])
    assert [(one["prefix"], one["then"]) for one in replace(asserted, pack(A))["changed"]] == [
        (A.prefix, "not-found"),
        (B.prefix, "invalid"),
    ] * 2


def test_a_file_instead_of_all() -> None:
    answer = replace(daemon(), pack(B))
    assert answer["routes"] == 6
    assert answer["changes"] == [
        {"now": "not-found", "then": "valid", "routes": 2},
        {"now": "valid", "then": "not-found", "routes": 2},
    ]
    assert replace(daemon(), pack(A))["changes"] == []
    assert replace(daemon(), b"")["changes"] == [{"now": "valid", "then": "not-found", "routes": 2}]


def test_nothing_is_changed_by_asking() -> None:
    asked = daemon()
    before = [list(router.engine.table.routes()) for router in asked.routers]
    ask(asked, "-192.0.2.0/24@64500")
    replace(asked, pack(B))
    assert {entry.vrp for entry in asked.vrp_set.vrps()} == {A}
    assert [list(router.engine.table.routes()) for router in asked.routers] == before


def test_a_torn_body_and_one_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="ends in the middle of one"):
        replace(daemon(), pack(B) + b"x")
    monkeypatch.setattr("rtrd.api.whatif.MOST_FILE", 2)
    with pytest.raises(ValueError, match="more than 2 VRPs"):
        replace(daemon(), pack(B) * 3)
    with pytest.raises(ValueError, match="at most 1000"):
        ask(daemon(), *["+192.0.2.0/24@64500"] * 1001)


def test_aspas_that_are_none_or_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As octets of a stranger: a count beyond the end, a half number, and more than the world has."""

    def replace(body: bytes, step: int = 3) -> dict[str, Any]:
        async def chunks() -> AsyncIterator[bytes]:
            for at in range(0, len(body), step):
                yield body[at : at + step]

        return asyncio.run(PathWhatIfQuery(ASPASet(), AllRouters()).replacing(chunks(), 100))  # type: ignore[arg-type]

    one = aspas.numbers([(64496, (64497,))])
    assert replace(b"")["routes"] == replace(one * 3)["routes"] == 0
    for body in (one[:-4], one + b"x", one + one[:4], aspas.numbers([(64496, ())])[:4] + b"\xff\xff\xff\xff"):
        with pytest.raises(ValueError, match="ends in the middle of one"):
            replace(body)
    monkeypatch.setattr("rtrd.api.path_whatif.MOST_SET", 11)
    with pytest.raises(ValueError, match="MiB of ASPAs: this is not a VRP file"):
        replace(one)


def test_aspas_of_a_file_are_sorted_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """16 MiB of them in no order, which anybody may send, would hold it for 0.3 s."""
    union_of, threads = aspas.union_of, []

    def noted(entries: bytes) -> bytes:
        threads.append(threading.get_ident())
        return union_of(entries)

    async def chunks() -> AsyncIterator[bytes]:
        yield aspas.numbers([(64498, (64497,)), (64496, (64497,))])

    monkeypatch.setattr(aspas, "union_of", noted)
    asyncio.run(PathWhatIfQuery(ASPASet(), AllRouters()).replacing(chunks(), 100))  # type: ignore[arg-type]
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()


def test_aspas_of_a_file_count_as_from_a_cache() -> None:
    held = ASPASet()
    held.slurm([64496], aspas.union_of(aspas.numbers([(64498, (64499,))])))
    assert not list(held.settle())
    held.put_in_force()
    said = aspas.union_of(aspas.numbers([(64496, (64497,)), (64500, (64501,))]))
    assert list(aspas.records(held.if_said(said))) == [(64498, (64499,)), (64500, (64501,))]


class TestDiff:
    """What caches disagree on."""

    @pytest.fixture
    def vrp_set(self) -> VRPSet:
        vrp_set = VRPSet()
        vrp_set.replace(0, pack(A) + pack(B))
        vrp_set.replace(1, pack(A))
        vrp_set.replace(3, pack(B))
        return vrp_set

    CACHES: Any = (
        *(NamedCache(index, f"192.0.2.{10 + index}") for index in range(3)),
        NamedCache(3, "192.0.2.10", 324),
    )

    def test_of_two(self, vrp_set: VRPSet) -> None:
        caches = chosen(self.CACHES, vrp_set, ["192.0.2.10:323", "192.0.2.11"])
        assert [one for one in disagreement(caches, vrp_set) if one is not None] == [
            {"asn": 64500, "prefix": B.prefix, "maxLength": 24, "in": ["192.0.2.10:323"], "not_in": ["192.0.2.11:323"]}
        ]

    def test_of_all_that_have_vrps(self, vrp_set: VRPSet) -> None:
        caches = chosen(self.CACHES, vrp_set, [])
        assert [cache.index for cache in caches] == [0, 1, 3]
        found = {one["prefix"]: one["not_in"] for one in disagreement(caches, vrp_set) if one is not None}
        assert found == {A.prefix: ["192.0.2.10:324"], B.prefix: ["192.0.2.11:323"]}

    @pytest.mark.parametrize(
        ("names", "error", "why"),
        [
            (["192.0.2.10", "192.0.2.11"], ValueError, "'192.0.2.10' is the name of several caches"),
            (["192.0.2.11", "x"], ValueError, "'x' is not a cache: expected one of 192.0.2.10:323, "),
            (["192.0.2.11", "192.0.2.12"], NothingToCompareError, "192.0.2.12:323: no VRPs at the moment"),
            (["192.0.2.11", "192.0.2.11"], NothingToCompareError, "named twice"),
        ],
    )
    def test_what_cannot_be_compared(self, vrp_set: VRPSet, names: list[str], error: type[Exception], why: str) -> None:
        with pytest.raises(error, match=why):
            chosen(self.CACHES, vrp_set, names)

    def test_one_alone_agrees_with_itself(self) -> None:
        vrp_set = VRPSet()
        with pytest.raises(NothingToCompareError, match="no cache has VRPs"):
            chosen(self.CACHES, vrp_set, [])
        vrp_set.replace(1, pack(A))
        with pytest.raises(NothingToCompareError, match=r"only 192\.0\.2\.11:323 has VRPs"):
            chosen(self.CACHES, vrp_set, [])
