"""ASPAs in force: what caches say, less SLURM's filters, with its assertions."""

from rtrd.vrps.aspas import ASPASet
from rtrlib import aspas
from rtrlib.aspas import ASPA


def a_set(*entries: tuple[int, tuple[int, ...]]) -> bytes:
    return aspas.union_of(aspas.numbers(entries))


def test_a_filter_takes_what_caches_say_and_an_assertion_adds() -> None:
    changes: list[list[ASPA]] = []
    held = ASPASet(lambda change: changes.append(list(aspas.records(change))))
    held.caches_say(a_set((64496, (64497,)), (64500, (64501,))))
    held.slurm({64500}, a_set((64496, (64498,)), (64500, (64509,))))
    assert list(aspas.records(held.effective)) == [ASPA(64496, (64497, 64498)), ASPA(64500, (64509,))]
    assert changes == [
        [ASPA(64496, (64497,)), ASPA(64500, (64501,))],
        [ASPA(64496, (64497, 64498)), ASPA(64500, (64509,))],
    ]


def test_saying_the_same_again_changes_nothing() -> None:
    changes: list[bytes] = []
    held = ASPASet(changes.append)
    held.caches_say(a_set((64496, (64497,))))
    held.caches_say(a_set((64496, (64497,))))
    assert len(changes) == 1


def test_no_provider_gives_way_to_an_asserted_one() -> None:
    held = ASPASet()
    held.caches_say(a_set((64496, (0,))))
    held.slurm((), a_set((64496, (64497,))))
    assert list(aspas.records(held.effective)) == [ASPA(64496, (64497,))]
