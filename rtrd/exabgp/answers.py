"""What an ExaBGP says in text for people in (answers to commands), what follows for its router's parts out.

`done` and `error` open the window, rows of neighbors the rounds; lists of routes go to those that asked for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtrd.base import log
from rtrd.exabgp.neighbor_text import ExtensiveReader, PathIds, read_row
from rtrd.exabgp.window import FENCE_HEADER

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtrd.exabgp.session import ExaBGP
    from rtrd.exabgp.window import Written

NEIGHBORS = "show neighbor extensive\n"
REFRESH = ("announce route-refresh ipv4 unicast\n", "announce route-refresh ipv6 unicast\n")

logger = log.get("exabgp")


class Answers:
    """The answers of one ExaBGP."""

    def __init__(
        self, router: ExaBGP, command: Callable[[str, int], None], left_out: Callable[[str, str], None]
    ) -> None:
        """`command` writes one, with its weight; `left_out` counts a line, with why and the key of its rate limit."""
        self.neighbors_asked = False
        """It is naming its neighbors: until it has, nothing else that is answered in many lines is asked."""
        self._router = router
        self._command = command
        self._left_out = left_out
        self._limiter = log.RateLimiter(router.now)
        self._reader = ExtensiveReader()

    def ask_neighbors(self) -> None:
        """Ask for its neighbors and what their sessions can do."""
        self.neighbors_asked = True
        self._command(NEIGHBORS, 1)

    def heard(self, text: str) -> None:
        """Take a line that is no JSON."""
        router = self._router
        if text in ("done", "error"):
            answered = router.window.heard_answer(error=text == "error")
            if answered is not None:
                self._settled(answered)
            if text == "error" and answered is not None and answered.text not in REFRESH:
                more = self._limiter.rate_limited("error")
                if more is not None:
                    command = answered.text.rstrip("\n")
                    logger.warning("ExaBGP refused a command", router=router.engine.name, command=command, **more)
        elif text.startswith(FENCE_HEADER):
            for settled in router.window.heard_fence():
                self._settled(settled)
            if router.rounds.answer_begins(router.now()):
                router.engine.table.begin_round()
        elif text.startswith("exabgp "):
            router.window.heard_version(text.removeprefix("exabgp "))
        else:
            self._about_neighbors(text)

    def _settled(self, command: Written) -> None:
        """ExaBGP has executed a command, and has answered it to the end."""
        router, now = self._router, self._router.now()
        if command.text == NEIGHBORS:
            self.neighbors_asked = False
        elif command.text.startswith("show adj-rib ") and router.startup.over:
            for own in router.own.ended():
                logger.warning(
                    "an own route that was withdrawn is not invalid any more; ExaBGP announces it when it reloads",
                    router=router.engine.name, neighbor=own.neighbor, prefix=own.prefix,
                )  # fmt: skip
        elif command.text.startswith("show adj-rib "):
            router.startup.ended(command.text, now)
            if router.engine.previous_run.left:
                router.rounds.drain(now)  # what the earlier process wrote may not be sent
            logger.info(
                "asked ExaBGP what it had before", router=router.engine.name, phase=router.startup.phase.value,
                stale=router.engine.previous_run.found, learned=router.startup.learned,
                unreadable=router.startup.unreadable,
            )  # fmt: skip

    def _about_neighbors(self, text: str) -> None:
        router = self._router
        version = router.window.version or ""
        if router.startup.line(text, version) or router.own.line(text, version):
            return
        row = read_row(text)
        if row is not None and row.established:
            router.rounds.sent(row.address, row.sent)
        said = row or self._reader.read(text, version)
        if isinstance(said, PathIds):
            router.engine.path_ids(said.address, said.family, taken=said.taken)
        elif said is not None:
            self._neighbor(said.address, established=said.established)
        elif not text[:1].isspace() and not text.startswith("Neighbor "):
            self._left_out("neither JSON nor an answer that rtrd asked for", "text")

    def _neighbor(self, address: str, *, established: bool) -> None:
        router = self._router
        router.engine.reachable(address, up=established)
        if established and router.startup.established(address):
            # The session is older than this process, and ExaBGP repeats nothing: its routes must be sent again.
            logger.info("asking the neighbors for their routes again", router=router.engine.name)
            for command in REFRESH:
                self._command(command, 1)
