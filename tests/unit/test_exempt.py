"""Exempts: as the file says them, and as people write their times; then in force, under a guard, and kept."""

import _thread
import asyncio
import errno
import itertools
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrd.base.clock import Clock
from rtrd.base.errors import ConflictError
from rtrd.base.shortages import NO_THREAD
from rtrd.vrps import exempt, exempts
from rtrd.vrps.exempt import Exempt, decode, encode, parse_comment, parse_until
from rtrd.vrps.exempts import Exempts
from rtrd.vrps.slurm import SlurmError
from rtrd.vrps.slurm_files import SlurmFiles
from rtrlib.vrp import VRP
from rtrlib.vrp_set import SNAPSHOT
from tests.lab.effective_story import Cache
from tests.lab.slurm_text import slurm_text
from tests.lab.vrp_sets import packed
from tests.unit.test_guarding import BAD, GOOD, Story

NOW = 1_800_000_000
ONE = Exempt("198.51.100.0/24", 64511, "customer moves, ticket 7", NOW, NOW + 60)
SIX = Exempt("2001:db8::/32", 64512, "", NOW)

times = st.none() | st.integers(0, 200_000_000_000)


@given(st.text().filter(str.isprintable).map(str.strip), times, times)
def test_what_is_written_is_read_again(comment: str, since: int | None, until: int | None) -> None:
    one = Exempt("192.0.2.0/24", 64500, comment, since, until)
    assert decode("f", encode([one, SIX])) == {one.key: one, SIX.key: SIX}


def test_the_file_is_one_of_rfc_8416_and_may_be_edited() -> None:
    text = encode([ONE]).decode()
    assert json.loads(text)["locallyAddedAssertions"]["prefixAssertions"] == [
        {
            "prefix": "198.51.100.0/24",
            "asn": 64511,
            "comment": "customer moves, ticket 7 [rtrd exempt since 2027-01-15T08:00:00Z until 2027-01-15T08:01:00Z]",
        }
    ]
    edited = text.replace(" [rtrd exempt since 2027-01-15T08:00:00Z until 2027-01-15T08:01:00Z]", "")
    assert decode("f", edited.encode()) == {ONE.key: ONE._replace(since=None, until=None)}
    for wrong, what in (
        (text.replace('"asn"', '"maxPrefixLength": 25, "asn"'), "exactly its prefix"),
        (text.replace('"prefixFilters": []', '"prefixFilters": [{"asn": 1}]'), "rtrd did not write it"),
        (text[:-2], "not JSON"),
    ):
        with pytest.raises(SlurmError, match=what):
            decode("f", wrong.encode())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("+2h", 7200),
        ("90m", 5400),
        ("+1d", 86400),
        ("2027-01-15T08:00:30Z", 30),
        ("2027-01-15T09:01+01:00", 60),
        ("2027-01-15 08:01-00:00", 60),
    ],
)
def test_times_are_with_their_zone_or_from_now(text: str, seconds: int) -> None:
    assert parse_until(text, NOW) == NOW + seconds


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("tomorrow", "'tomorrow' is not a time: expected one as 2026-11-27T06:00Z, or \\+2h"),
        ("", "is not a time"),
        ("+2y", "is not a time"),
        ("2027-01-15T09:00", "has no time zone"),
        ("2027-01-16", "has no time zone"),
        ("2027-01-15T08:00Z", "is over already"),
        ("+0s", "is over already"),
        ("+999999999w", "is too far away"),
    ],
)
def test_other_times_are_refused_with_a_sentence(text: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        parse_until(text, NOW)


def test_a_comment_is_a_line_of_text() -> None:
    assert parse_comment(" Kunde zieht um: Müller ") == "Kunde zieht um: Müller"
    for wrong in ("two\nlines", "\x1b[31m", "ü" * 101):
        with pytest.raises(ValueError, match="the comment has"):
            parse_comment(wrong)


BEGUN = [VRP(ONE.prefix, 24, 64500), *GOOD]


class Kept:
    """Exempts in a folder, with a set under a guard, and a clock that is turned."""

    def __init__(self, folder: Path | None, from_snapshot: Iterable[VRP] = ()) -> None:
        self.now, self.steady = float(NOW), 0.0
        clock = Clock(lambda: self.steady, lambda: self.now)
        self.story = Story()
        effective = self.story.effective
        self.slurm = SlurmFiles([], self.story.vrp_set, effective.task_queue, effective.slurm_changed)
        self.exempts = Exempts(folder, self.story.vrp_set, effective.task_queue, effective.exempts_changed, clock)
        self.cache = Cache(0)
        if from_snapshot:
            self.story.vrp_set.stage(SNAPSHOT, packed(from_snapshot))
            effective.use_snapshot()
        else:
            self.story.begin(BEGUN, self.cache)

    def validity(self, one: Exempt = ONE) -> str:
        return self.story.vrp_set.validate(one.prefix, one.asn)

    async def turn(self, seconds: float) -> None:
        self.steady += seconds
        await self.set_clock(seconds)

    async def set_clock(self, seconds: float) -> None:
        """Let the wall clock alone be so much later."""
        self.now += seconds
        await self.exempts._look()


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def write(file: Path, text: str) -> None:
    file.write_text(text)


async def again(kept: Kept) -> Kept:
    """Another daemon with the same folder."""
    other = Kept(kept.exempts.path.parent if kept.exempts.path else None)
    other.now = kept.now
    await other.exempts.start()
    return other


async def test_it_is_valid_at_once_and_after_a_restart_until_it_is_removed(kept: Kept) -> None:
    assert kept.validity() == "invalid"
    await kept.exempts.add(ONE)
    await kept.exempts.add(SIX)
    assert (kept.validity(), kept.validity(SIX)) == ("valid", "valid")
    assert kept.story.vrp_set.validate("198.51.100.0/25", ONE.asn) == "invalid", "exactly this prefix"
    assert kept.exempts.path is not None
    assert kept.exempts.path.stat().st_mode & 0o777 == 0o600
    other = await again(kept)
    assert list(other.exempts) == [ONE, SIX]
    assert other.validity() == "valid"
    await kept.exempts.remove(ONE.key)
    assert (kept.validity(), list(kept.exempts)) == ("invalid", [SIX])
    # The other daemon follows the file.
    await other.turn(0)
    assert (other.validity(), list(other.exempts)) == ("invalid", [SIX])
    other.exempts.close()


async def test_two_daemons_keep_what_both_are_told(kept: Kept) -> None:
    other = await again(kept)
    await asyncio.gather(kept.exempts.add(ONE), other.exempts.add(SIX))
    await kept.turn(0)
    await other.turn(0)
    assert {*kept.exempts} == {*other.exempts} == {ONE, SIX}
    other.exempts.close()


async def test_it_ends_by_itself_also_while_rtrd_is_down(kept: Kept) -> None:
    await kept.exempts.add(ONE)
    await kept.turn(59)
    assert kept.validity() == "valid"
    kept.now += 1
    other = await again(kept)
    assert (other.validity(), list(other.exempts)) == ("invalid", [])
    other.exempts.close()
    await kept.turn(0)
    assert (kept.validity(), list(kept.exempts)) == ("invalid", [])
    assert kept.exempts.path is not None
    assert ONE.prefix in kept.exempts.path.read_text(), "the clock may be wrong"
    await kept.turn(3600)
    assert ONE.prefix not in kept.exempts.path.read_text()


@pytest.mark.parametrize("on_disk", [True, False])
async def test_a_clock_that_is_ahead_for_a_while_costs_none(tmp_path: Path, on_disk: bool) -> None:
    kept = Kept(tmp_path if on_disk else None)
    await kept.exempts.start()
    await kept.exempts.add(ONE)
    await kept.set_clock(10 * 366 * 86400)
    assert (kept.validity(), list(kept.exempts)) == ("invalid", [])
    await kept.turn(1800)
    await kept.exempts.add(SIX)
    with pytest.raises(ConflictError, match="there is no exempt"):
        await kept.exempts.remove(ONE.key)
    if on_disk:
        other = await again(kept)
        assert list(other.exempts) == [SIX]
        other.exempts.close()
    await kept.set_clock(NOW - kept.now)
    assert (kept.validity(), set(kept.exempts)) == ("valid", {ONE, SIX})
    await kept.turn(60)
    assert (kept.validity(), list(kept.exempts)) == ("invalid", [SIX])
    await kept.turn(3600)
    await kept.set_clock(-3600)
    assert list(kept.exempts) == [SIX], "it is over for good"
    kept.exempts.close()


def test_those_that_are_over_make_room_for_those_that_count() -> None:
    over = {(ONE.prefix, asn): ONE._replace(asn=asn) for asn in range(1, 257)}
    assert exempts._beside(over, {}) == over
    assert len(exempts._beside(over, {(ONE.prefix, asn): ONE._replace(asn=asn) for asn in range(200, 300)})) == 156


async def test_several_of_a_prefix_and_the_same_again(kept: Kept) -> None:
    two = ONE._replace(asn=64512)
    await kept.exempts.add(ONE)
    await kept.exempts.add(two)
    assert (kept.validity(ONE), kept.validity(two)) == ("valid", "valid")
    await kept.exempts.add(ONE._replace(comment="other", until=None))
    assert list(kept.exempts) == [two, ONE._replace(comment="other", until=None)]
    with pytest.raises(ConflictError, match=r"no exempt of 198.51.100.0/24 for AS1: those .* AS64512"):
        await kept.exempts.remove((ONE.prefix, 1))
    existing = Exempt(GOOD[0].prefix, GOOD[0].asn)
    await kept.exempts.add(existing)
    await kept.exempts.remove(existing.key)
    assert kept.validity(existing) == "valid", "the cache's own VRP stays"


async def test_a_guard_does_not_hold_it_and_judges_what_it_holds_again(kept: Kept) -> None:
    kept.story.sync(kept.cache, BAD)
    assert kept.story.state == "held"
    await kept.exempts.add(ONE)
    assert (kept.validity(), kept.story.state) == ("valid", "held")
    assert not {*BAD} & kept.story.in_force
    await kept.exempts.remove(ONE.key)
    assert (kept.validity(), kept.story.state) == ("invalid", "held")


async def test_a_file_that_is_lost_ends_none_and_is_written_again(kept: Kept) -> None:
    """`rm -rf` of the folder takes it first; the folder may go much later."""
    await kept.exempts.add(ONE)
    assert kept.exempts.path is not None
    kept.exempts.path.unlink()
    await kept.turn(1)
    assert (kept.validity(), kept.exempts.status()["fault"]) == ("valid", None)
    assert list((await again(kept)).exempts) == [ONE]


async def test_a_state_folder_that_is_taken_away_ends_none_and_another_gets_them(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    kept = Kept(folder)
    await kept.exempts.add(ONE)
    shutil.rmtree(folder)
    for _ in range(2):
        await kept.turn(0)
        assert (kept.validity(), kept.exempts.status()["fault"]) == ("valid", f"{folder}: there is no such folder")
    folder.mkdir()
    await kept.turn(0)
    assert (kept.validity(), kept.exempts.status()["fault"]) == ("valid", None)
    other = await again(kept)
    assert list(other.exempts) == [ONE]
    other.exempts.close()


@pytest.mark.parametrize("decided", ["held", "rejected"])
async def test_it_is_in_force_at_once_also_where_a_held_change_says_it(kept: Kept, decided: str) -> None:
    kept.story.sync(kept.cache, [*BAD, ONE.vrp, SIX.vrp])
    if decided == "rejected":
        kept.story.guarding.reject()
    assert (kept.validity(), kept.story.state) == ("invalid", decided)
    for one in (ONE, SIX):
        await kept.exempts.add(one)
        assert (kept.validity(one), kept.story.state) == ("valid", decided)
    assert not {*BAD} & kept.story.in_force
    kept.story.guarding.accept()
    assert kept.validity() == "valid"
    await kept.exempts.remove(ONE.key)
    assert kept.validity() == "valid", "the cache says it, too"


class TestEndsWhileHeld:
    """It lay over what is in force; that is there again when it ends, and what is held stays held."""

    NOBODY, CACHE, FILE, FILTERED = (
        (False, False, False),
        (True, False, False),
        (False, True, False),
        (True, False, True),
    )
    """Who says it: whether a cache, whether a SLURM file; and whether the file has a filter that matches it."""

    async def say(self, kept: Kept, file: Path, one: Exempt, vrps: list[VRP], said: tuple[bool, bool, bool]) -> None:
        by_cache, by_file, filtered = said
        kept.story.sync(kept.cache, [*vrps, one.vrp] if by_cache else vrps)
        filters = [{"prefix": one.prefix, "asn": one.asn}] if filtered else []
        write(file, slurm_text(filters, [one.vrp] if by_file else []))
        await kept.slurm.change([file])

    @pytest.mark.parametrize("one", [ONE, SIX._replace(until=NOW + 60)], ids=["IPv4", "IPv6"])
    @pytest.mark.parametrize("ends", ["removed", "over"])
    @pytest.mark.parametrize("decided", ["held", "rejected"])
    async def test_what_was_in_force_is(self, tmp_path: Path, one: Exempt, ends: str, decided: str) -> None:
        file = tmp_path / "slurm.json"
        said = (self.NOBODY, self.CACHE, self.FILE, self.FILTERED)
        for before, then, early in itertools.product(said, said, (True, False)):
            kept = Kept(None)
            await self.say(kept, file, one, BEGUN, before)
            assert kept.story.state == "following"
            if early:
                await kept.exempts.add(one)
            await self.say(kept, file, one, BAD, then)
            if decided == "rejected":
                kept.story.guarding.reject()
            if not early:
                await kept.exempts.add(one)
            assert one.vrp in kept.story.in_force
            await (kept.exempts.remove(one.key) if ends == "removed" else kept.turn(60))
            case = (before, then, early)
            assert (one.vrp in kept.story.in_force, kept.story.state) == (before in said[1:3], decided), case
            assert {*BEGUN} <= kept.story.in_force, case
            kept.story.guarding.accept()
            assert kept.story.in_force == {*BAD, one.vrp} - (set() if then in said[1:3] else {one.vrp}), case
            assert kept.story.vrp_set.pending == 0

    async def test_an_accepted_change_is_in_force_below_it(self, kept: Kept) -> None:
        kept.story.sync(kept.cache, [*BEGUN, ONE.vrp])
        await kept.exempts.add(ONE)
        kept.story.sync(kept.cache, BAD)
        kept.story.guarding.accept()
        assert kept.validity() == "valid"
        await kept.exempts.remove(ONE.key)
        assert kept.validity() == "not-found"

    async def test_what_expired_below_it_is_not_there_again(self, kept: Kept) -> None:
        one, two = kept.story.group(BEGUN, [ONE.vrp])
        kept.story.sync(one, BAD)
        await kept.exempts.add(ONE)
        kept.story.effective.expired(two)
        assert (kept.validity(), kept.story.state) == ("valid", "held")
        await kept.exempts.remove(ONE.key)
        assert (kept.validity(), kept.story.state) == ("invalid", "held")

    async def test_after_a_restart_what_the_snapshot_says_is_in_force_below_it(self, kept: Kept) -> None:
        """What is held is in no snapshot: the caches are judged against it again."""
        for one in (ONE, SIX):
            await kept.exempts.add(one)
        other = Kept(kept.exempts.path.parent if kept.exempts.path else None, from_snapshot=[*BEGUN, ONE.vrp])
        await other.exempts.start()
        other.story.sync(other.cache, [*BAD, SIX.vrp])
        other.story.follow(other.cache)
        assert (other.validity(), other.validity(SIX), other.story.state) == ("valid", "valid", "held")
        for one in (ONE, SIX):
            await other.exempts.remove(one.key)
        assert (other.validity(), other.validity(SIX), other.story.state) == ("valid", "not-found", "held")
        other.story.guarding.accept()
        assert other.story.in_force == {*BAD, SIX.vrp}
        other.exempts.close()

    async def test_without_a_guard_any_more_what_the_caches_say_is(self, kept: Kept) -> None:
        kept.story.sync(kept.cache, [*BEGUN, ONE.vrp])
        await kept.exempts.add(ONE)
        await kept.exempts.add(SIX)
        kept.story.sync(kept.cache, [*BAD, SIX.vrp])
        kept.story.guarding.change(None)
        assert kept.story.in_force == {*BAD, ONE.vrp, SIX.vrp}
        for one in (ONE, SIX):
            await kept.exempts.remove(one.key)
        assert kept.story.in_force == {*BAD, SIX.vrp}

    async def test_what_it_makes_harmless_is_in_force(self, kept: Kept) -> None:
        one, two = (Exempt(vrp.prefix, vrp.asn) for vrp in GOOD[:2])  # 2 of 20 routes are too many, 1 is not
        kept.story.delta(kept.cache, BAD[:2], GOOD[:2])
        assert kept.story.state == "held"
        await kept.exempts.add(one)
        assert (kept.story.state, kept.validity(one), kept.validity(two)) == ("following", "valid", "invalid")
        await kept.exempts.remove(one.key)
        assert (kept.story.state, kept.validity(one)) == ("following", "invalid")


async def test_it_is_in_force_at_once_also_where_a_held_slurm_file_asserts_it(kept: Kept, tmp_path: Path) -> None:
    file = tmp_path / "slurm.json"
    file.write_text(slurm_text([{"asn": GOOD[0].asn}], [(ONE.prefix, 24, ONE.asn)]))
    await kept.slurm.change([file])
    assert (kept.validity(), kept.story.state) == ("invalid", "held")
    await kept.exempts.add(ONE)
    assert (kept.validity(), kept.story.state) == ("valid", "held")
    assert {*GOOD} <= kept.story.in_force


async def test_what_cannot_be_kept_is_not_in_force(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    await kept.exempts.add(SIX)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ConflictError, match=r"nothing has changed.*exempt.json: cannot be written: No space left"):
        await kept.exempts.add(ONE)
    with pytest.raises(ConflictError, match="nothing has changed"):
        await kept.exempts.remove(SIX.key)
    assert (kept.validity(ONE), kept.validity(SIX), list(kept.exempts)) == ("invalid", "valid", [SIX])
    assert kept.exempts.path is not None
    assert [each.name for each in kept.exempts.path.parent.iterdir()] == ["exempt.json"]
    monkeypatch.undo()
    await kept.exempts.add(ONE)
    assert kept.validity() == "valid"


async def test_a_file_that_others_may_write_or_a_link_is_not_used(kept: Kept, tmp_path: Path) -> None:
    await kept.exempts.add(ONE)
    path = kept.exempts.path
    assert path is not None

    async def refused(what: str) -> None:
        await kept.turn(0)
        assert what in str(kept.exempts.status()["fault"])
        assert kept.validity() == "valid", "what was in force stays"
        with pytest.raises(ConflictError, match="nothing has changed"):
            await kept.exempts.add(SIX)

    good = path.read_bytes()
    path.unlink()
    path.write_bytes(good)
    path.chmod(0o666)
    await refused("mode 0666")
    path.unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(good)
    path.symlink_to(elsewhere)
    await refused("is a link")
    path.unlink()
    path.write_text("{")
    await refused("not JSON")
    path.unlink()
    path.write_bytes(good)
    path.chmod(0o600)
    await kept.turn(0)
    assert kept.exempts.status()["fault"] is None
    # Nor is a link followed where it is written.
    (tmp_path / "exempt.json.new").symlink_to(elsewhere)
    await kept.exempts.add(SIX)
    assert elsewhere.read_bytes() == good


async def test_without_a_folder_it_is_in_force_and_not_kept() -> None:
    kept = Kept(None)
    await kept.exempts.add(ONE)
    assert kept.validity() == "valid"
    await kept.turn(60)
    assert kept.validity() == "invalid"


async def test_there_are_bounds(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exempts, "MOST_OF_PREFIX", 2)
    monkeypatch.setattr(exempts, "MOST", 3)
    for asn in (1, 2):
        await kept.exempts.add(ONE._replace(asn=asn))
    with pytest.raises(ConflictError, match=r"2 exempts of 198.51.100.0/24 already"):
        await kept.exempts.add(ONE)
    await kept.exempts.add(SIX)
    with pytest.raises(ConflictError, match="3 exempts already"):
        await kept.exempts.add(SIX._replace(asn=1))
    await kept.exempts.add(SIX._replace(comment="again"))


def test_a_file_with_too_many_of_a_prefix_is_refused() -> None:
    """A look-up goes over all of them."""
    with pytest.raises(SlurmError, match=r"257 exempts of 198.51.100.0/24, at most 256 are possible"):
        decode("f", encode(ONE._replace(asn=asn) for asn in range(1, 258)))


def test_as_many_as_there_may_be_fit_into_the_file() -> None:
    long = "ü" * (exempt.MOST_COMMENT // 2)
    prefixes = (f"2001:db8:ffff:{number:x}:ffff:ffff:ffff:ffff/128" for number in range(exempt.MOST))
    data = encode(Exempt(prefix, 4200000000, long, NOW, NOW) for prefix in prefixes)
    assert len(data) < exempts.MAX_OCTETS
    assert len(decode("f", data)) == exempt.MOST


async def test_where_no_thread_is_to_be_had_they_are_read_later(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start, too: it ended rtrd."""
    await kept.exempts.add(ONE)

    def refuse(_work: object, _arguments: object) -> int:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as short:
        short.setattr(_thread, "start_new_thread", refuse)
        other = await again(kept)
        assert other.exempts.status()["count"] == 0
        assert NO_THREAD in other.exempts.status()["fault"]
    await other.turn(1)
    assert (other.exempts.status()["count"], other.exempts.status()["fault"]) == (1, None)
    other.exempts.close()
