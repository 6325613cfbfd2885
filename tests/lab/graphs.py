"""Who needs whom."""

from collections.abc import Mapping


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Those that need each other, as groups."""
    reach = {one: set(needs) for one, needs in graph.items()}
    for middle in graph:
        for needs in reach.values():
            if middle in needs:
                needs.update(reach[middle])
    together = {frozenset(other for other in reach[one] if one in reach.get(other, ())) for one in graph}
    return sorted(sorted(group) for group in together if group)
