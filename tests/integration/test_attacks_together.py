"""A quarter of every attack at once: rtrd goes on reading ExaBGP's pipe and answers its operator."""

from pathlib import Path

import pytest

from bench import attacks, generate


@pytest.mark.alone
def test_a_quarter_of_every_attack_at_once(tmp_path: Path) -> None:
    felt = attacks.suffer(tmp_path, b"".join(generate.vrps(10_000)), seconds=3.0)
    # Targets are of 0.05 s and 1 s (`python -m bench attacks`); this is for a loop that stands still.
    assert felt.turn < 1
    assert felt.healthy < 15
    assert felt.memory < attacks.MEMORY_MOST
