"""What `rtrd status` says of a cache's last fault: that it is over only when it is."""

import pytest

from rtrd.commands import status_lines

FAULT = {"time": "2026-11-28T02:03:47Z", "why": "Network is unreachable"}


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("ESTABLISHED", "recovered; at 2026-11-28T02:03:47Z: Network is unreachable"),
        ("CLOSED", "not asked again; at 2026-11-28T02:03:47Z: Network is unreachable"),
    ],
)
def test_a_cache_that_is_not_needed_has_not_recovered(state: str, said: str) -> None:
    assert list(status_lines.faults({"state": state, "error": None, "last_fault": FAULT})) == [said]
