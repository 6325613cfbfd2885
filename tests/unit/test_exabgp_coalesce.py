"""Stories of routes that wait a moment for those of the next lines."""

from __future__ import annotations

from rtrd.exabgp.coalesce import Coalescing


def test_routes_of_a_line_wait_ten_milliseconds_for_more() -> None:
    gathering = Coalescing(200)
    gathering.came(5.0)
    assert gathering.waits(5.0, 20)
    assert gathering.waits(5.009, 20)
    assert gathering.next_deadline(5.004) == 5.0 + 0.01 - 5.004
    assert not gathering.waits(5.011, 20)
    assert gathering.next_deadline(5.011) is None


def test_the_first_line_begins_the_wait_and_later_ones_make_it_no_longer() -> None:
    gathering = Coalescing(200)
    for now in (5.0, 5.004, 5.008):
        gathering.came(now)
        assert gathering.waits(now, 20)
    assert not gathering.waits(5.011, 60)


def test_an_answer_of_exabgp_between_two_lines_ends_no_wait() -> None:
    gathering = Coalescing(200)
    gathering.came(5.0)
    assert gathering.waits(5.0, 20)
    assert gathering.waits(5.001, 20), "asked again when something was read that is no route"
    gathering.came(5.002)
    assert gathering.waits(5.002, 40)


def test_enough_routes_wait_no_longer() -> None:
    gathering = Coalescing(200)
    gathering.came(5.0)
    assert not gathering.waits(5.0, 200)


def test_lines_of_which_nothing_is_to_be_said_begin_no_wait() -> None:
    gathering = Coalescing(200)
    gathering.came(5.0)
    assert not gathering.waits(5.0, 0)
    assert not gathering.waits(5.001, 20), "of something else: a change of VRPs"


def test_what_a_change_of_vrps_brings_waits_for_nobody() -> None:
    gathering = Coalescing(200)
    gathering.came(5.0)
    gathering.over()
    assert not gathering.waits(5.001, 20)
    assert gathering.next_deadline(5.001) is None
