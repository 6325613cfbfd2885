"""Which build of the native core the tests run against."""

from __future__ import annotations

import os
from pathlib import Path

import _rov


def test_the_sanitized_build_is_the_one_that_make_sanitize_tests() -> None:
    folder = os.environ.get("RTRD_SANITIZED")
    loaded = Path(_rov.__file__).resolve()
    assert folder is None or loaded.is_relative_to(Path(folder).resolve())
