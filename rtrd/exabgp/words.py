"""Decisions in, the commands that say them out. What many decisions have in common is put into words once. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtrd.exabgp import encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtrd.rib.attributes import AttributeSet
    from rtrd.rib.decision import Decision

_REMEMBERED = 4096


class Words:
    """What one router is told."""

    def __init__(self, attributes: Callable[[bytes], AttributeSet]) -> None:
        """`attributes` gives the attribute set of a decision's key."""
        self._attributes = attributes
        self._remembered: dict[tuple[bytes, int], str] = {}

    def forget(self) -> None:
        """Forget all words: with another policy the same attributes may be said differently."""
        self._remembered.clear()

    def say(self, decision: Decision) -> str:
        """Give the command that says a decision."""
        selector = encode.select(decision.receivers)
        if not decision.announce:
            return encode.withdraw(selector, decision.family, decision.path_id, decision.prefixes)
        return encode.announce(selector, self._words_of(decision), decision.path_id, decision.prefixes)

    def _words_of(self, decision: Decision) -> str:
        key = (decision.attributes, id(decision.treatment))
        words = self._remembered.get(key)
        if words is None:
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            words = encode.attribute_words(self._attributes(decision.attributes), decision.treatment)
            self._remembered[key] = words
        return words
