"""Session IDs of runs that follow each other: none is used twice (RFC 8210 section 5.1)."""

import json
import os
import random
from pathlib import Path

import pytest

from rtrd.rtr.sessions import KEPT, NAME, choose, fresh
from rtrd.rtr.store import Store


def test_no_id_of_an_earlier_run_is_used_again(tmp_path: Path) -> None:
    ids = [each for _ in range(200) for each in fresh(tmp_path)]
    assert len(set(ids)) == len(ids) == 600
    assert all(0 < each < 1 << 16 for each in ids)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_the_oldest_are_forgotten(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(json.dumps(list(range(1, KEPT + 1))))
    chosen = fresh(tmp_path)
    assert json.loads((tmp_path / NAME).read_text()) == [*range(4, KEPT + 1), *chosen]


def test_only_those_that_are_left() -> None:
    rest = {7, 8, 65535}
    assert set(choose([each for each in range(1, 1 << 16) if each not in rest], random.Random(0))) == rest


@pytest.mark.parametrize("text", ["", "[1, 2", '["1"]', "[70000]", "{}", "[1" + " " * 70000 + "]"])
def test_a_file_that_is_none_is_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    chosen = fresh(tmp_path)
    assert json.loads((tmp_path / NAME).read_text()) == chosen


def test_neither_a_fifo_nor_a_link_in_its_place_does_harm(tmp_path: Path) -> None:
    state, other = tmp_path / "state", tmp_path / "other"
    state.mkdir()
    os.mkfifo(state / NAME)
    (state / f"{NAME}.new").symlink_to(other)
    other.write_text("kept")
    chosen = fresh(state)
    assert (json.loads((state / NAME).read_text()), other.read_text()) == (chosen, "kept")


def test_without_a_folder_they_are_random(tmp_path: Path) -> None:
    assert len(set(fresh(None))) == 3
    assert len(set(fresh(tmp_path / "missing"))) == 3


def test_a_store_takes_them() -> None:
    store = Store(sessions=[7, 8, 9])
    assert [store.session(version) for version in (0, 1, 2)] == [7, 8, 9]
