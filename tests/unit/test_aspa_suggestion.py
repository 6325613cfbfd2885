"""Which providers an ASPA has to name: as stories, and against all sets of providers tried one by one."""

from itertools import chain, combinations, groupby

from hypothesis import given
from hypothesis import strategies as st

from rtrd.rib.aspa_suggestion import Example, Suggestion
from rtrlib.aspa_paths import LocalRole, verify_path
from rtrlib.aspas import ASPA, ASPAIndex

CUSTOMER = 64500
NOBODY = ASPAIndex(b"")


def example(*path: int) -> Example:
    return Example("router", "192.0.2.1", "198.51.100.0/24", path)


def suggested(suggestion: Suggestion) -> list[tuple[int, int]]:
    return [(each.asn, each.routes) for each in suggestion.providers()]


def test_whoever_stands_before_the_customer_on_the_way_to_a_provider_of_all_is_its_provider() -> None:
    suggestion = Suggestion(NOBODY, CUSTOMER)
    for path in ((64501, CUSTOMER, 64510), (64501, CUSTOMER), (64501, 64502, CUSTOMER, CUSTOMER)):
        suggestion.add(example(*path), "provider")
    assert suggested(suggestion) == [(64501, 2), (64502, 1)]
    assert suggestion.providers()[0].example.path == (64501, CUSTOMER, 64510)


def test_on_the_way_down_from_our_provider_the_next_one_toward_the_origin_is_named() -> None:
    """AS 64509 denies the way up, so the path is right only if the customer got it from its provider."""
    suggestion = Suggestion(ASPAIndex.of([ASPA(64509, (0,))]), CUSTOMER)
    suggestion.add(example(64502, CUSTOMER, 64501, 64509), "customer")
    (found,) = suggestion.providers()
    assert (found.asn, found.routes, found.alternatives) == (64501, 1, ())


def test_a_path_that_nothing_makes_right_is_counted() -> None:
    suggestion = Suggestion(ASPAIndex.of([ASPA(64501, (0,))]), CUSTOMER)
    suggestion.add(example(64502, 64501, CUSTOMER), "peer")
    assert (suggested(suggestion), suggestion.not_to_be_helped) == ([], 1)


ASNS = [CUSTOMER, 64501, 64502, 64503]
PATHS = st.lists(st.sampled_from(ASNS), min_size=2, max_size=5).map(tuple)
ROLES: list[LocalRole] = ["provider", "customer", "peer"]


@given(
    st.lists(st.tuples(PATHS, st.sampled_from(ROLES)), max_size=6),
    st.dictionaries(st.sampled_from(ASNS[1:]), st.sets(st.sampled_from(ASNS), max_size=2)),
)
def test_with_what_is_suggested_no_path_is_invalid_that_could_be_other(
    paths: list[tuple[tuple[int, ...], LocalRole]], others: dict[int, set[int]]
) -> None:
    aspas = [ASPA(asn, tuple(sorted(providers - {asn}) or (0,))) for asn, providers in others.items()]
    suggestion = Suggestion(ASPAIndex.of(aspas), CUSTOMER)

    def is_invalid(path: tuple[int, ...], role: LocalRole, providers: tuple[int, ...]) -> bool:
        return verify_path([*aspas, ASPA(CUSTOMER, providers or (0,))], path, role).outcome == "invalid"

    needing = [(path, role) for path, role in paths if CUSTOMER in path and is_invalid(path, role, ())]
    for path, role in needing:
        suggestion.add(example(*path), role)
    named = tuple(each.asn for each in suggestion.providers())
    every = list(chain.from_iterable(combinations(ASNS[1:], n) for n in range(4)))
    hopeless = 0
    for path, role in needing:
        possible = any(not is_invalid(path, role, providers) for providers in every)
        assert is_invalid(path, role, named) != possible
        hopeless += not possible
    assert suggestion.not_to_be_helped == hopeless
    if any(tuple(each for each, _ in groupby(path)).count(CUSTOMER) > 1 for path, _ in needing):
        return  # there may be several ways of naming some together
    for asn in named:  # each is needed by some route
        assert any(is_invalid(path, role, tuple(each for each in named if each != asn)) for path, role in needing)
