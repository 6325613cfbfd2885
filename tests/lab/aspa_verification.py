"""The oracle: draft-ietf-sidrops-aspa-verification-28 section 6 as its text reads, by brute force."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

ASPAs = Mapping[int, AbstractSet[int]]


def attestation(aspas: ASPAs, customer: int, provider: int) -> str:
    """Section 5.4; AS 0 says that there is no provider."""
    if customer not in aspas:
        return "none"
    return "provider" if provider in aspas[customer] - {0} else "not-provider"


def longest(hops: Sequence[str], *ends: str) -> int:
    """How many ASes a ramp has: up to the first hop that ends it."""
    return next((i for i, hop in enumerate(hops, 1) if hop in ends), len(hops) + 1)


def outcome(aspas: ASPAs, path: Sequence[int], procedure: str) -> str:
    """`path`: the neighbor first, the origin last."""
    once = [asn for i, asn in enumerate(path) if i == 0 or path[i - 1] != asn]
    if not once:
        return "invalid"
    up = [attestation(aspas, once[i], once[i - 1]) for i in range(len(once) - 1, 0, -1)]
    down = [attestation(aspas, once[i - 1], once[i]) for i in range(1, len(once))]
    most, least = longest(up, "not-provider"), longest(up, "not-provider", "none")
    if procedure == "downstream":
        most += longest(down, "not-provider")
        least += longest(down, "not-provider", "none")
    return "invalid" if most < len(once) else "unknown" if least < len(once) else "valid"
