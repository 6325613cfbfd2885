"""ASPAs in force: what caches say, less SLURM's filters, with its assertions."""

from rtrd.vrps.aspas import ASPASet
from rtrlib import aspas
from rtrlib.aspas import ASPA, MOST_PROVIDERS


def a_set(*entries: tuple[int, tuple[int, ...]]) -> bytes:
    return aspas.union_of(aspas.numbers(entries))


class Story:
    """A set that nothing holds up, and what was told of it."""

    def __init__(self) -> None:
        self.changes: list[list[ASPA]] = []
        self.set = ASPASet(lambda change: self.changes.append(list(aspas.records(change))))

    def says(self, *sets: bytes) -> None:
        """These are what the active caches have."""
        self.set.sources.activate(range(len(sets)))
        for cache, held in enumerate(sets):
            self.set.sources.stage(cache, held)
            self.set.sources.commit(cache)
        self.settle()

    def settle(self, *, everything: bool = True) -> None:
        for _ in self.set.settle():
            pass
        self.set.put_in_force(everything=everything)

    def expire(self, cache: int, *, everything: bool) -> None:
        for _ in self.set.expire(cache):
            pass
        self.set.put_in_force(everything=everything)

    @property
    def in_force(self) -> dict[int, tuple[int, ...]]:
        return dict(aspas.records(self.set.effective))


def test_a_filter_takes_what_caches_say_and_an_assertion_adds() -> None:
    story = Story()
    story.says(a_set((64496, (64497,)), (64500, (64501,))))
    story.set.slurm({64500}, a_set((64496, (64498,)), (64500, (64509,))))
    story.settle()
    assert story.in_force == {64496: (64497, 64498), 64500: (64509,)}
    assert story.changes == [
        [ASPA(64496, (64497,)), ASPA(64500, (64501,))],
        [ASPA(64496, (64497, 64498)), ASPA(64500, (64509,))],
    ]


def test_saying_the_same_again_changes_nothing() -> None:
    story = Story()
    story.says(a_set((64496, (64497,))))
    story.says(a_set((64496, (64497,))))
    assert len(story.changes) == 1


def test_no_provider_gives_way_to_an_asserted_one() -> None:
    story = Story()
    story.says(a_set((64496, (0,))))
    story.set.slurm((), a_set((64496, (64497,))))
    story.settle()
    assert story.in_force == {64496: (64497,)}


def test_caches_add_up_and_no_provider_of_one_gives_way_to_a_list_of_another() -> None:
    story = Story()
    story.says(a_set((1, (2,)), (3, (0,)), (4, (0,))), a_set((1, (5,)), (3, (6,))))
    assert story.in_force == {1: (2, 5), 3: (6,), 4: (0,)}
    assert story.set.of(1) == {0: (2,), 1: (5,)}
    assert story.set.of(9) == {}
    story.expire(1, everything=True)
    assert story.in_force == {1: (2,), 3: (0,), 4: (0,)}


def test_what_expires_is_gone_though_something_is_held_up() -> None:
    story = Story()
    story.says(a_set((1, (2,))), a_set((3, (4,))))
    story.set.sources.stage(0, a_set((1, (9,))))
    story.set.sources.commit(0)
    story.settle(everything=False)
    assert story.in_force == {1: (2,), 3: (4,)}
    story.expire(1, everything=False)
    assert story.in_force == {1: (2,)}
    assert story.set.pending
    story.set.put_in_force()
    assert story.in_force == {1: (9,)}


def test_too_many_providers_are_left_out_with_their_customer() -> None:
    story = Story()
    half = MOST_PROVIDERS // 2 + 1
    story.says(a_set((1, tuple(range(10, 10 + half))), (2, (3,))), a_set((1, tuple(range(90_000, 90_000 + half)))))
    assert story.in_force == {2: (3,)}
    assert story.set.too_long == [1]
