"""The snapshot: written whole, read with suspicion, renewed now and then."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrd.vrps.snapshot import INTERVAL, SKEW, Age, Schedule, Snapshot, SnapshotError, decode, encode, read, tail, write
from rtrlib import aspas
from rtrlib.vrp import VRP, pack
from tests.lab.strategies import vrps

NOW = 1_800_000_000
EXPIRE = 7200
RECORDS = b"".join(pack(VRP(f"192.0.2.{number}/32", 32, 64500)) for number in range(5))
HELD = aspas.union_of(aspas.numbers([(64496, (64497, 64498)), (64500, (0,))]))
GOOD = encode(Snapshot(RECORDS, NOW - 60)) + RECORDS


class TestReading:
    """Whatever is not exactly what was written is refused with the reason."""

    @given(st.lists(vrps(), max_size=20), st.integers(0, EXPIRE - 1))
    def test_what_was_written_is_read(self, entries: list[VRP], age: int) -> None:
        written = Snapshot(b"".join(map(pack, entries)), NOW - age)
        assert decode(encode(written) + written.records, NOW, EXPIRE) == written

    @given(st.integers(0, len(GOOD) - 1))
    def test_a_torn_one(self, size: int) -> None:
        with pytest.raises(SnapshotError, match="it is torn"):
            decode(GOOD[:size], NOW, EXPIRE)

    @given(st.integers(0, len(GOOD) * 8 - 1))
    def test_one_with_a_changed_bit(self, bit: int) -> None:
        octets = bytearray(GOOD)
        octets[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SnapshotError):
            decode(bytes(octets), NOW, EXPIRE)

    @pytest.mark.parametrize(
        ("octets", "why"),
        [
            (GOOD + bytes(24), f"torn: {len(GOOD) + 24} octets instead of {len(GOOD)}"),
            (GOOD[:8] + b"\3" + GOOD[9:], r"another format \(3\) than this rtrd \(2\)"),
            (b'{"roas": []}', "not a snapshot of rtrd"),
        ],
        ids=["something behind it", "another format", "something else"],
    )
    def test_one_that_is_none_of_ours(self, octets: bytes, why: str) -> None:
        with pytest.raises(SnapshotError, match=why):
            decode(octets, NOW, EXPIRE)

    def test_one_with_aspas_which_may_be_older_than_its_vrps(self) -> None:
        written = Snapshot(RECORDS, NOW - 60, HELD, NOW - 100)
        octets = encode(written) + RECORDS + tail(written)
        assert decode(octets, NOW, EXPIRE) == written
        assert decode(octets, NOW, 100) == Snapshot(RECORDS, NOW - 60)
        for size in range(len(octets)):
            with pytest.raises(SnapshotError, match="it is torn"):
                decode(octets[:size], NOW, EXPIRE)
        for at in range(len(octets)):
            with pytest.raises(SnapshotError):
                decode(octets[:at] + bytes((octets[at] ^ 1,)) + octets[at + 1 :], NOW, EXPIRE)

    @pytest.mark.parametrize("age", [EXPIRE, EXPIRE + 1, NOW])
    def test_one_that_is_too_old(self, age: int) -> None:
        old = encode(Snapshot(RECORDS, NOW - age)) + RECORDS
        with pytest.raises(SnapshotError, match=f"it is {age} s old, and VRPs count for 7200 s"):
            decode(old, NOW, EXPIRE)

    def test_one_of_the_future_but_for_a_clock_that_is_a_little_behind(self) -> None:
        assert decode(GOOD, NOW - 60 - SKEW, EXPIRE).date == NOW - 60
        with pytest.raises(SnapshotError, match=f"it is dated {SKEW + 1} s ahead of the clock"):
            decode(GOOD, NOW - 60 - SKEW - 1, EXPIRE)

    @given(st.binary(max_size=200))
    def test_any_octets(self, octets: bytes) -> None:
        with pytest.raises(SnapshotError):
            decode(octets, NOW, EXPIRE)


class TestAge:
    """While the wall clock may be set at any time."""

    @pytest.mark.parametrize(
        ("wall", "steady", "age"),
        [
            (NOW + 50, 60, 150),
            (NOW + 50 + 86400, 60, 150 + 86400),  # it was wrong before: only it knows how long the host was off
            (NOW - 86400, 60, 150),
        ],
        ids=["as it was", "set forward", "set back"],
    )
    def test_no_clock_makes_vrps_younger(self, wall: float, steady: float, age: float) -> None:
        assert Age(NOW - 100, NOW, 10).now(wall, steady) == age

    def test_a_date_ahead_of_the_clock_is_that_of_now(self) -> None:
        assert Age(NOW + 60, NOW, 10).now(NOW + 5, 15) == 5


class TestFile:
    """On the disk."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "vrps.snapshot"

    def test_the_new_one_replaces_the_old_one(self, path: Path) -> None:
        assert read(path, NOW, EXPIRE) is None
        for records in (RECORDS, RECORDS[:24]):
            write(path, Snapshot(records, NOW))
            assert read(path, NOW, EXPIRE) == Snapshot(records, NOW)
        assert list(path.parent.iterdir()) == [path]

    def test_what_a_killed_writer_left_harms_nobody(self, path: Path) -> None:
        write(path, Snapshot(RECORDS, NOW))
        path.with_suffix(".snapshot.new").write_bytes(GOOD[:70])
        assert read(path, NOW, EXPIRE) == Snapshot(RECORDS, NOW)
        write(path, Snapshot(RECORDS[24:], NOW))
        assert read(path, NOW, EXPIRE) == Snapshot(RECORDS[24:], NOW)

    def test_a_folder_that_is_not_there_is_said_in_the_same_words_both_ways(self, tmp_path: Path) -> None:
        path = tmp_path / "none" / "vrps.snapshot"
        said = rf"^{tmp_path}/none: there is no such folder$"
        with pytest.raises(SnapshotError, match=said):
            read(path, NOW, EXPIRE)
        with pytest.raises(SnapshotError, match=said):
            write(path, Snapshot(RECORDS, NOW))

    def test_what_cannot_be_read_or_written_says_why(self, path: Path) -> None:
        path.mkdir()
        with pytest.raises(SnapshotError, match=f"^{path}: cannot be read: Is a directory$"):
            read(path, NOW, EXPIRE)
        with pytest.raises(SnapshotError, match=f"^{path}: cannot be written: Is a directory$"):
            write(path, Snapshot(RECORDS, NOW))

    def test_a_pipe_in_its_place_stops_nobody(self, path: Path) -> None:
        os.mkfifo(path)
        with pytest.raises(SnapshotError, match=f"^{path}: this is not a snapshot of rtrd: it is not a file$"):
            read(path, NOW, EXPIRE)
        os.mkfifo(path.with_suffix(".snapshot.new"))
        write(path, Snapshot(RECORDS, NOW))
        assert read(path, NOW, EXPIRE) == Snapshot(RECORDS, NOW)
        assert path.stat().st_mode & 0o777 == 0o600

    def test_no_link_beside_it_is_followed(self, path: Path) -> None:
        path.with_suffix(".snapshot.new").symlink_to(path.with_name("other"))
        write(path, Snapshot(RECORDS, NOW))
        assert list(path.parent.iterdir()) == [path]

    def test_the_fault_of_a_file_names_it(self, path: Path) -> None:
        path.write_bytes(GOOD[:70])
        with pytest.raises(SnapshotError, match=f"^{path}: it is torn"):
            read(path, NOW, EXPIRE)


class TestSchedule:
    """When it is written; time passes only in the test."""

    def test_the_first_at_once_the_next_when_vrps_change_but_not_soon_after(self) -> None:
        schedule = Schedule(EXPIRE)
        assert schedule.due(1000, generation=1, date=NOW)
        schedule.tried(1000)
        schedule.written(1, NOW)
        assert not schedule.due(1001, generation=2, date=NOW)
        assert schedule.due(1000 + INTERVAL, generation=2, date=NOW)
        assert not schedule.due(1000 + INTERVAL, generation=1, date=NOW)

    def test_a_set_that_never_changes_is_dated_anew_eight_times_in_its_life(self) -> None:
        schedule = Schedule(EXPIRE)
        schedule.tried(1000)
        schedule.written(1, NOW)
        assert not schedule.due(1899, generation=1, date=NOW + 899)
        assert schedule.due(1900, generation=1, date=NOW + 900)

    def test_after_a_clock_was_set_back_it_is_dated_anew(self) -> None:
        schedule = Schedule(EXPIRE)
        schedule.tried(1000)
        schedule.written(1, NOW)
        assert not schedule.due(1900, generation=1, date=NOW - SKEW)
        assert schedule.due(1900, generation=1, date=NOW - SKEW - 1)

    def test_after_a_failure_it_is_tried_again_later(self) -> None:
        schedule = Schedule(EXPIRE)
        schedule.tried(1000)
        assert not schedule.due(1000 + INTERVAL - 1, generation=1, date=NOW)
        assert schedule.due(1000 + INTERVAL, generation=1, date=NOW)

    def test_at_the_end_it_is_written_unless_it_is_just_that(self) -> None:
        schedule = Schedule(EXPIRE)
        assert schedule.stale(1, NOW)
        schedule.written(1, NOW)
        assert not schedule.stale(1, NOW)
        assert schedule.stale(2, NOW)
        assert schedule.stale(1, NOW + 1)
