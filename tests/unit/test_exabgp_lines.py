"""Stories of bytes that come in pieces of any size and leave as whole lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrd.exabgp import pipe
from rtrd.exabgp.pipe import Lines


@given(st.binary().map(lambda text: text.replace(b"\0", b"\n")), st.lists(st.integers(1, 9), min_size=1))
def test_all_lines_come_out_whole_however_they_are_cut(text: bytes, sizes: list[int]) -> None:
    reading = Lines()
    out, at, turn = b"", 0, 0
    while at < len(text):
        size = sizes[turn % len(sizes)]
        whole = reading.feed(text[at : at + size])
        assert whole == b"" or whole.endswith(b"\n")
        out += whole
        at, turn = at + size, turn + 1
    assert out == text[: text.rfind(b"\n") + 1]
    assert reading.too_long == 0


def test_the_rest_of_a_line_that_somebody_else_began_to_read_is_left_out() -> None:
    reading = Lines(mid_line=True)
    assert reading.feed(b"of an upd") == b""
    assert reading.feed(b"ate\ndone\n") == b"done\n"


def test_a_line_that_is_too_long_is_skipped_and_counted_and_the_next_one_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe, "MOST_LINE", 100)
    reading = Lines()
    assert reading.feed(b"done\n" + b"x" * 60) == b"done\n"
    assert reading.feed(b"x" * 60) == b""
    assert reading.too_long == 1
    assert reading.feed(b"x" * 1000) == b""
    assert reading.feed(b"x\nerror\ndo") == b"error\n"
    assert reading.feed(b"ne\n") == b"done\n"
    assert reading.too_long == 1
