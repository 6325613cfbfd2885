"""Packed ASPAs: unions, replacements and changes, beside dictionaries of sets."""

from hypothesis import given
from hypothesis import strategies as st

from rtrlib import aspas
from rtrlib.aspas import ASPA, ASPAIndex

# Few customers, so that they meet; numbers more than 2^31 apart, which a signed comparison gets wrong.
NUMBERS = st.sampled_from([1, 2, 3, 64496, 2147483647, 2147483648, 4200000000, 4294967295])
LISTS = st.lists(st.one_of(st.just(0), NUMBERS), max_size=6)
ENTRIES = st.lists(st.tuples(NUMBERS, LISTS), max_size=12)


def united(entries: list[tuple[int, list[int]]]) -> dict[int, tuple[int, ...]]:
    """The oracle: draft-ietf-sidrops-8210bis section 5.12, draft-ietf-sidrops-aspa-profile section 3."""
    found: dict[int, set[int]] = {}
    for customer, providers in entries:
        found.setdefault(customer, set()).update(set(providers) - {customer})
    listed = {customer: providers - {0} or providers for customer, providers in found.items()}
    return {customer: tuple(sorted(listed[customer])) for customer in sorted(listed) if listed[customer]}


def a_set(entries: list[tuple[int, list[int]]]) -> bytes:
    return aspas.union_of(aspas.numbers(entries))


@given(ENTRIES)
def test_lists_of_one_customer_are_joined(entries: list[tuple[int, list[int]]]) -> None:
    made = a_set(entries)
    assert list(aspas.records(made)) == [ASPA(*one) for one in united(entries).items()]
    assert aspas.count(made) == len(united(entries))


@given(ENTRIES, ENTRIES)
def test_two_sets_are_joined_as_one_would_be(
    one: list[tuple[int, list[int]]], other: list[tuple[int, list[int]]]
) -> None:
    assert aspas.union(a_set(one), a_set(other)) == a_set([*one, *other])


@given(ENTRIES)
def test_the_last_word_on_a_customer_counts(entries: list[tuple[int, list[int]]]) -> None:
    settled = aspas.settle(aspas.numbers(entries))
    assert dict(aspas.records(settled)) == {customer: tuple(providers) for customer, providers in entries}


@given(ENTRIES, ENTRIES)
def test_what_differs_makes_one_set_of_the_other(
    one: list[tuple[int, list[int]]], other: list[tuple[int, list[int]]]
) -> None:
    before, after = a_set(one), a_set(other)
    change = aspas.changes(before, after)
    assert aspas.apply(before, change) == after
    old, new = united(one), united(other)
    assert dict(aspas.records(change)) == {
        customer: new.get(customer, ())
        for customer in old.keys() | new.keys()
        if old.get(customer) != new.get(customer)
    }


@given(ENTRIES, NUMBERS)
def test_a_customer_is_found(entries: list[tuple[int, list[int]]], customer: int) -> None:
    listed = united(entries)
    found = ASPAIndex(a_set(entries)).find(customer)
    assert found == (ASPA(customer, listed[customer]) if customer in listed else None)


@given(ENTRIES, st.sets(NUMBERS))
def test_customers_are_taken_out(entries: list[tuple[int, list[int]]], customers: set[int]) -> None:
    left = aspas.without(a_set(entries), customers)
    assert dict(aspas.records(left)) == {
        customer: providers for customer, providers in united(entries).items() if customer not in customers
    }


def test_a_customer_with_too_many_providers_is_left_out_whole() -> None:
    held = a_set([(1, [2]), (5, list(range(10, 14))), (9, [0])])
    kept, dropped = aspas.limit(held, most=3)
    assert dropped == [5]
    assert list(aspas.records(kept)) == [ASPA(1, (2,)), ASPA(9, (0,))]


def test_nothing_is_a_set_too() -> None:
    assert aspas.union_of(b"") == aspas.union(b"", b"") == aspas.changes(b"", b"") == b""
    assert aspas.limit(b"") == (b"", [])
    assert len(ASPAIndex(b"")) == 0
