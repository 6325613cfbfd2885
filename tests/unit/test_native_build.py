"""Which build of the native core the tests run against."""

import os
from pathlib import Path

import _librtr
import _rov


def test_the_sanitized_build_is_the_one_that_make_sanitize_tests() -> None:
    folder = os.environ.get("RTRD_SANITIZED")
    for module in (_rov, _librtr):
        assert module.__file__ is not None
        assert folder is None or Path(module.__file__).resolve().is_relative_to(Path(folder).resolve())
