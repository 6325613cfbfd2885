"""What users may only read, and the manager writes."""

from __future__ import annotations

from typing import Any

__all__ = ["ReadOnly"]


class ReadOnly:
    """Has the attributes that its class annotates; they change by `write` alone."""

    def write(self, **values: Any) -> None:
        """Change it: for the manager, which is the only one who does. TypeError: it has no such attribute."""
        for name, value in values.items():
            if name not in type(self).__annotations__:
                raise TypeError(f"{type(self).__name__} has no {name!r}")
            self.__dict__[name] = value

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name!r} can only be read: the manager writes it")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{name!r} can only be read: the manager writes it")
