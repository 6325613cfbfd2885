"""JSON as the daemon writes it, for clients, files and events."""

from __future__ import annotations

import msgspec


def _plain(value: object) -> str:
    """Texts of the configuration have types of their own, which msgspec knows nothing of."""
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"JSON has no form for a {type(value).__name__}")


encode = msgspec.json.Encoder(enc_hook=_plain).encode
"""Encode a value; TypeError for one that JSON has no form for."""
