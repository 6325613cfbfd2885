"""Why the daemon can't do what it is asked for; the API answers with the text."""

from __future__ import annotations


class NotReadyError(Exception):
    """It can't answer yet, or no more; the text says why. Becomes a 503."""


class ConflictError(Exception):
    """It can't do that as things are; the text says how they are. Becomes a 409."""
