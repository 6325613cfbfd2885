"""The thread that calls the user's callbacks, without a manager: what it is told, and what they hear."""

import threading
from collections.abc import Callable

from rtrlib.caller import Callbacks, Caller
from rtrlib.records import PFXRecord, SPKIRecord
from rtrlib.vrp import PACKED

SECONDS = 30


def vrps(*numbers: int, added: bool = True) -> bytes:
    return b"".join(PACKED.pack(bytes([10, n & 255, n >> 8, 0]), 64500, 24, 24, 4, added) for n in numbers)


class Ear:
    """A prefix callback that can be held up, and what it heard."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.entered = threading.Event()
        self.go = threading.Event()
        self.callbacks = Callbacks(pfx_update=self.update)

    def update(self, record: PFXRecord, added: bool, _data: object) -> None:
        self.heard.append(f"{'+' if added else '-'}{record.prefix}")
        self.entered.set()
        assert self.go.wait(SECONDS)


def held_up(*numbers: int) -> tuple[Ear, Caller]:
    """A caller that is in the callback for the first of these."""
    ear = Ear()
    caller = Caller(ear.callbacks)
    caller.begin()
    caller.vrps([vrps(*numbers)], None)
    assert ear.entered.wait(SECONDS)
    return ear, caller


def in_thread(function: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread


def test_without_callbacks_there_is_no_thread() -> None:
    caller, marks = Caller(Callbacks()), []
    caller.vrps([vrps(1)], None)
    caller.router_key(SPKIRecord(1, b"", b""), added=True)
    caller.mark(lambda: marks.append(threading.current_thread()))
    caller.end()
    assert marks == [threading.current_thread()]


def test_a_mark_comes_after_what_was_told_before() -> None:
    marked = threading.Event()
    ear, caller = held_up(1, 2)
    caller.mark(lambda: ear.heard.append("mark"))
    caller.vrps([vrps(1, added=False)], None)
    caller.mark(marked.set)
    assert not marked.is_set()
    ear.go.set()
    assert marked.wait(SECONDS)
    assert ear.heard == ["+10.1.0.0", "+10.2.0.0", "mark", "-10.1.0.0"]


def test_what_was_not_told_yet_is_not_taken_back() -> None:
    everything = range(3000)
    ear, caller = held_up(*everything)
    caller.interrupt()
    caller.withdraw([vrps(*everything, added=False)], None)
    ear.go.set()
    caller.end()
    came, gone = ([one[1:] for one in ear.heard if one[0] == sign] for sign in "+-")
    assert 0 < len(came) < len(everything)
    assert sorted(came) == sorted(gone)


def test_end_waits_for_the_callback_and_the_thread_ends() -> None:
    ear, caller = held_up(1)
    callers = caller._thread
    assert callers is not None
    thread = in_thread(caller.end)
    assert thread.is_alive()
    ear.go.set()
    for one in (thread, callers):
        one.join(SECONDS)
        assert not one.is_alive()


def test_a_new_beginning_frees_who_waits_for_the_end() -> None:
    ear, caller = held_up(1)
    thread = in_thread(caller.end)
    caller.begin()
    ear.go.set()
    thread.join(SECONDS)
    assert not thread.is_alive()


def test_too_much_that_waits_makes_the_teller_wait(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("rtrlib.caller.LIMIT", 24 * 10)
    ear, caller = held_up(0)
    caller.vrps([vrps(*range(1, 11))], None)
    thread = in_thread(lambda: caller.vrps([vrps(11)], None))
    thread.join(0.05)
    assert thread.is_alive(), "ten wait already"
    ear.go.set()
    thread.join(SECONDS)
    assert not thread.is_alive()
    caller.end()
    assert len(ear.heard) == 12


def test_quit_tells_nothing_more() -> None:
    ear, caller = held_up(*range(1024))
    caller.vrps([vrps(2000)], None)
    caller.quit()
    ear.go.set()
    caller.end()
    assert len(ear.heard) == 1024, "only what it had taken already"
