"""A share in percent, as people write it, in; a number from 0 to 1 that prints as it was written out."""

from __future__ import annotations

import re


class Share(float):
    """A share, 0 to 1, written in percent."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"{self * 100:g}%"


def parse_share(text: str) -> Share:
    """Parse `5%`, 0% to 100%. Raises ValueError with a sentence."""
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?%", text):
        raise ValueError("expected a share in percent, as 5% or 0.5%")
    share = float(text[:-1]) / 100
    if share > 1:
        raise ValueError("out of range, expected 0% to 100%")
    return Share(share)
