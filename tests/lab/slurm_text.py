"""SLURM files (RFC 8416), written as a test wants them."""

import json
from collections.abc import Iterable, Mapping


def slurm_text(
    filters: Iterable[Mapping[str, object]] = (),
    assertions: Iterable[tuple[str, int, int]] = (),
    keys: Iterable[Mapping[str, object]] = (),
    *,
    indent: int | None = 1,
) -> str:
    """Prefix filters, assertions of VRPs and filters of router keys; one value a line unless `indent` is None."""
    asserted = [{"prefix": prefix, "asn": asn, "maxPrefixLength": most} for prefix, most, asn in assertions]
    parts = {
        "slurmVersion": 1,
        "validationOutputFilters": {"prefixFilters": [*filters], "bgpsecFilters": [*keys]},
        "locallyAddedAssertions": {"prefixAssertions": asserted, "bgpsecAssertions": []},
    }
    return json.dumps(parts, indent=indent)
