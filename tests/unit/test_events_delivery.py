"""What is said of publishing, as time goes by: without a server."""

from __future__ import annotations

import pytest

from rtrd.base.clock import Clock
from rtrd.base.registry import Registry
from rtrd.config import Events
from rtrd.config.nats import parse_nats_server
from rtrd.events.delivery import LONG_AWAY, REMEMBERED, Delivery
from rtrd.events.spool import Spool


class Story:
    """A delivery, and the time."""

    def __init__(self) -> None:
        self.now, self.ahead = 1000.0, 0.0
        self.spool = Spool(1 << 20, on_disk=False)
        self.registry = Registry(wall=lambda: self.now + self.ahead)
        self.delivery = Delivery(Clock(lambda: self.now, lambda: self.now + self.ahead), self.spool, "host")
        self.delivery.register(self.registry)
        self.delivery.begin(Events(nats=parse_nats_server("nats://nats.example")))

    def problems(self) -> list[str]:
        return [problem.what for problem in self.registry.problems()]


def test_a_server_that_is_away_is_a_problem_after_a_minute_and_none_when_it_is_back() -> None:
    story = Story()
    story.delivery.not_taken("Connection refused", lasting=False)
    story.now += LONG_AWAY - 1
    story.delivery.not_taken("no answer in time", lasting=False)
    assert story.problems() == []
    story.now += 1
    assert story.problems() == ["NATS server nats://nats.example:4222 takes no events: no answer in time"]
    story.delivery.taken()
    assert story.problems() == []


@pytest.mark.parametrize("ahead", [-3600.0, 1.8e9])
def test_a_clock_that_is_set_meanwhile_makes_that_neither_sooner_nor_later(ahead: float) -> None:
    story = Story()
    story.delivery.not_taken("Connection refused", lasting=False)
    story.ahead = ahead
    story.now += LONG_AWAY - 1
    assert story.problems() == []
    story.now += 1
    (problem,) = story.registry.problems()
    assert problem.since == 1000 + ahead


def test_one_that_refuses_is_a_problem_at_once() -> None:
    story = Story()
    story.delivery.not_taken("Authorization Violation", lasting=True)
    assert len(story.problems()) == 1


def test_lost_events_are_a_problem_for_an_hour() -> None:
    story = Story()
    story.spool.lose(3)
    story.delivery.note_lost()
    assert story.problems() == ["3 events were lost before the NATS server took them"]
    story.now += REMEMBERED
    assert story.problems() == []


@pytest.mark.parametrize("begun", [True, False])
def test_nothing_is_said_where_nothing_is_published(begun: bool) -> None:
    story = Story()
    if not begun:
        story.delivery.settings = None
    assert (story.delivery.status() is not None) == begun
