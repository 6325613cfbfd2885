"""What all mappings of the configuration have in common."""

import msgspec


class Mapping(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """Keys with `-` for `_`, and no unknown ones."""
