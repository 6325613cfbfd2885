"""What tests of rtrlib's manager share."""

import pytest


@pytest.fixture(params=[True, False], ids=["isolated", "threads"])
def isolated(request: pytest.FixtureRequest) -> bool:
    """With librtr in child processes, and with its threads in this one."""
    return bool(request.param)
