"""Which ExaBGPs should be attached: those that the configuration names, else all that ever were.

A router that is gone is told of only if somebody knows that it was there. So the names are kept in the state folder,
over restarts, until an operator says that one is gone for good.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec

from rtrd.base import log
from rtrd.base.clock import Clock
from rtrd.base.errors import ConflictError
from rtrd.base.notation import ROUTER_NAME, said
from rtrd.base.registry import Problem, Registry
from rtrd.base.state_file import StateFile

NAME: Final = "routers.json"
MOST: Final = 256
"""Names that are kept; of more the one that is gone for longest is forgotten."""
GRACE: Final = 30.0
"""Seconds after the start that the attach processes have to find us again."""
_MOST_OCTETS: Final = 1 << 16

logger = log.get("attach")
_Name = Annotated[str, msgspec.Meta(pattern=f"^{ROUTER_NAME.pattern}$")]
_Time = Annotated[float, msgspec.Meta(ge=0)]
_decoder: Final[msgspec.json.Decoder[dict[str, float | None]]] = msgspec.json.Decoder(
    Annotated[dict[_Name, _Time | None], msgspec.Meta(max_length=MOST)]
)


class KnownRouters:
    """The names of one daemon's routers, each attached or not."""

    def __init__(self, folder: Path | None = None, names: Sequence[str] = (), clock: Clock | None = None) -> None:
        """Know those of the configuration. `folder`: where the others are kept; None: nowhere."""
        self._file = None
        if folder is not None:
            self._file = StateFile(
                folder / NAME,
                _decoder,
                _MOST_OCTETS,
                lambda: dict(self._left),
                missed=lambda: bool(self._left),
                late=self._knew,
            )
        self.change(names)
        self._clock = clock or Clock()
        self._began = self._clock.steady()
        self._here: dict[str, float] = {}
        """Those that are attached, and since when."""
        self._left: dict[str, float | None] = {}
        """All that ever were, and when they left; None: they are attached, or were when the previous run ended."""
        self._closed = False

    async def load(self) -> None:
        """Read the names that the previous run knew, and keep the file up to date from now on."""
        if self._file is None:
            return
        self._knew(await self._file.load() or {})
        self._file.start()

    def _knew(self, before: dict[str, float | None]) -> None:
        now = self._clock.wall()
        self._left = {name: None if time is None else min(time, now) for name, time in before.items()} | self._left

    async def close(self) -> None:
        """Write the names a last time; those that leave from now on do so because rtrd ends."""
        self._closed = True
        if self._file is not None:
            await self._file.close()

    def change(self, names: Sequence[str]) -> None:
        """Expect these from now on; none: all that were ever attached."""
        self._names = tuple(dict.fromkeys(map(str, names)))  # JSON knows no kinds of str

    def arrived(self, name: str, *, expected: bool) -> None:
        """Note that one is attached. `expected`: it is missed from now on when it is gone."""
        self._here[name] = self._clock.wall()
        if not expected:
            return
        self._left[name] = None
        if len(self._left) > MOST:
            began = self._clock.date_of(self._began)
            del self._left[min(self._left.keys() - self._here.keys(), key=lambda name: self._left[name] or began)]
        self._changed()

    def left(self, name: str) -> None:
        """Note that one is attached no more."""
        if self._here.pop(name, None) is not None and name in self._left and not self._closed:
            self._left[name] = self._clock.wall()
            self._changed()

    def forget(self, name: str) -> None:
        """Expect one no longer, until it is attached again. ConflictError: it can't be forgotten."""
        if name in self._here:
            raise ConflictError(f"{name} is attached: end its ExaBGP first")
        if name in self._names:
            raise ConflictError(f"{name} is named in `routers` of the configuration: take it out there, and reload")
        if name not in self._left:
            raise ConflictError(f"no router called {said(name)} was ever attached")
        del self._left[name]
        self._changed()
        logger.info("router forgotten", router=name)

    # -- what is known of them

    def since(self, name: str) -> float | None:
        """Give when one that is attached came; None: nobody noted it."""
        return self._here.get(name)

    def absent(self) -> Iterator[tuple[str, float]]:
        """Give those that should be attached and are not, with the time at which they left, or rtrd was started."""
        began = self._clock.date_of(self._began)
        for name in self._names or self._left:
            if name not in self._here:
                yield name, self._left.get(name) or began

    def register(self, registry: Registry) -> None:
        """Offer who is there and who is not."""
        registry.on_reload(self.change, "routers")
        registry.problems_of(self._problems)
        if (file := self._file) is not None:
            registry.kept_in_state("routers", lambda: file.fault, file.again)
        registry.metric(
            "rtrd_router_attached", "1 while an ExaBGP is attached, 0 while one that should be is not.",
            lambda: [((name,), 1) for name in self._here] + [((name,), 0) for name, _ in self.absent()], ("router",),
        )  # fmt: skip

    def _changed(self) -> None:
        if self._file is not None:
            self._file.changed()

    def _problems(self) -> Iterator[Problem]:
        late = self._clock.steady() - self._began >= GRACE
        for name, since in self.absent():
            do = "take it out of `routers`" if name in self._names else f"`rtrd forget {name}`"
            do = f" ({do} if it is not coming back)"
            if self._left.get(name) is not None:
                yield Problem(f"ExaBGP {name} is gone{do}", since, "critical", f"gone {name}")
            elif late:
                how = "has not been attached since rtrd started" if name in self._left else "has never been attached"
                yield Problem(f"ExaBGP {name} {how}{do}", since, "critical", f"gone {name}")
