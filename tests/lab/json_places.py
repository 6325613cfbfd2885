"""The places of values in JSON, and other values put there."""

from typing import Any

Place = tuple[Any, ...]


def places(value: Any, at: Place = ()) -> list[Place]:
    """The places of all values, its own first."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, child in items for place in places(child, (*at, key)))]


def get(value: Any, at: Place) -> Any:
    for key in at:
        value = value[key]
    return value


def put(value: Any, at: Place, new: Any) -> Any:
    """The value with another one at a place."""
    if not at:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = put(copy[at[0]], at[1:], new)
    return copy
