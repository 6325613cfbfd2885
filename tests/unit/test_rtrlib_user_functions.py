"""The user's functions: with or without data, as each wants it, and what they raise, said once for each kind."""

import functools
import logging
from collections.abc import Callable
from typing import Any

import pytest

from rtrlib import OptionTypeError, RTRManager
from rtrlib.user_functions import KINDS, Raised, fitted


class Callable2:
    def __call__(self, record: object, added: object) -> tuple[object, ...]:
        return record, added

    def method(self, record: object, added: object, data: object) -> tuple[object, ...]:
        return record, added, data


CALLED: dict[str, tuple[Callable[..., Any], Any, tuple[Any, ...]]] = {
    "two": (lambda record, added: (record, added), None, (1, 2)),
    "three": (lambda record, added, data: (record, added, data), None, (1, 2, None)),
    "three with data": (lambda record, added, data: (record, added, data), "x", (1, 2, "x")),
    "a default stays": (lambda record, added, data="own": (record, added, data), None, (1, 2, "own")),
    "a default gives way": (lambda record, added, data="own": (record, added, data), "x", (1, 2, "x")),
    "any number": (lambda *all_of_it: all_of_it, None, (1, 2, None)),
    "an object": (Callable2(), None, (1, 2)),
    "a method": (Callable2().method, "x", (1, 2, "x")),
    "a part": (functools.partial(lambda own, record, added: (own, record, added), 0), None, (0, 1, 2)),
}


@pytest.mark.parametrize("name", CALLED)
def test_called_with_data_or_without(name: str) -> None:
    function, data, expected = CALLED[name]
    call = fitted("pfx_update_callback", function, data, 3)
    assert call is not None
    assert call(1, 2) == expected


async def coroutine(_record: object, _added: object, _data: object) -> None:
    pass


@pytest.mark.parametrize(
    ("function", "data", "why"),
    [
        (5, None, "must be a function, not int"),
        ("x", None, "must be a function, not str"),
        (lambda: None, None, "must take 3 arguments, or 2 without data"),
        (lambda _: None, None, "must take 3 arguments, or 2 without data"),
        (lambda _a, _b: None, "x", r"must take 3 arguments: "),
        (lambda _a, _b, _c, _d: None, "x", r"must take 3 arguments: "),
        (coroutine, None, "coroutine function"),
    ],
)
def test_what_is_not_suitable_is_refused_at_registration(function: Any, data: Any, why: str) -> None:
    for name in ("pfx_update_callback", "spki_update_callback"):
        with pytest.raises(OptionTypeError, match=f"{name} .*{why}|{name} .*{why}"):
            RTRManager("127.0.0.1", 323, **{name: function, f"{name}_data": data})
    assert issubclass(OptionTypeError, TypeError)


def test_what_is_raised_is_said_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    raised = Raised()
    for number in range(1234):
        raised.note("pfx_update_callback", ValueError(number))
    raised.total()
    raised.total()
    counted = [record.getMessage() for record in caplog.records if not record.exc_info]
    assert [record.exc_info is not None for record in caplog.records].count(True) == 1
    assert counted == [f"pfx_update_callback raised ValueError {n} times so far" for n in (10, 100, 1000, 1234)]


def test_kinds_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    raised = Raised()
    for number in range(3 * KINDS):
        raised.note("pfx_update_callback", type(f"Error{number}", (Exception,), {})())
    assert len(caplog.records) < KINDS + 5


def test_stderr_has_it_where_nobody_configured_logging(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("rtrlib"), "propagate", False)
    raised = Raised()
    for _ in range(3):
        raised.note("status_callback", ValueError("no"))
    raised.total()
    said = capsys.readouterr().err
    assert said.startswith("rtrlib: status_callback raised an exception")
    assert "ValueError: no" in said
    assert said.endswith("status_callback raised ValueError 3 times so far\n")
