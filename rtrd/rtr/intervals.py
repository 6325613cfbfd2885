"""The intervals of End of Data, checked (RFC 8210 s.6)."""

from __future__ import annotations

from dataclasses import dataclass

_RANGES = {"refresh": (1, 86400), "retry": (1, 7200), "expire": (600, 172800)}


@dataclass(frozen=True, slots=True)
class Intervals:
    """How often routers ask, how soon they ask again after a failure, how long they keep data; seconds.

    Raises ValueError outside RFC 8210's ranges, and when ``expire`` is not above the other two (s.6).
    """

    refresh: int = 3600
    retry: int = 600
    expire: int = 7200

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} interval {value} is not from {low} to {high} seconds")
        if self.expire <= max(self.refresh, self.retry):
            raise ValueError(
                f"expire interval {self.expire} is not above refresh {self.refresh} and retry {self.retry}"
            )
