"""What waits to be published: in memory, and behind that in files; what is sent next, and what is lost. Pure.

The oldest goes first. What was not acknowledged within a second is written to a file, a segment; what comes after it
waits behind it. Beyond the limit the oldest segment is lost, and counted, and the count is told when others can be told
again. Segments are made by whoever reads and writes files for us: rtrd.events.publisher.
"""

from __future__ import annotations

import itertools
import re
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

MEMORY: Final = 4 << 20
"""Octets in memory at most, that no file has: all that waits where there is no state folder."""
SEGMENT: Final = 1 << 20
"""Octets of a segment at most, or a sixteenth of what may be kept."""
OVERHEAD: Final = 64
"""Octets that a message costs in memory besides its own: about that."""


_LINE: Final = re.compile(rb"([A-Za-z0-9_-]+) ([A-Za-z0-9_.-]+) (\{.*\})", re.DOTALL)


class Message(NamedTuple):
    """A message that is to be published."""

    number: str
    """By which whoever gets it twice knows it: `Nats-Msg-Id`. No blanks."""
    subject: str
    """No blanks."""
    payload: bytes
    """JSON, in one line."""

    @property
    def octets(self) -> int:
        """What it takes."""
        return len(self.payload) + len(self.subject) + len(self.number) + OVERHEAD

    def line(self) -> bytes:
        """Give it as a line of a segment."""
        return b"%b %b %b\n" % (self.number.encode(), self.subject.encode(), self.payload)


def parse(octets: bytes) -> list[Message]:
    """Read a segment; lines that are none, such as a last one that is cut, are left out."""
    found = []
    for line in octets.split(b"\n"):
        match = _LINE.fullmatch(line)
        if match is not None:
            found.append(Message(match[1].decode(), match[2].decode(), match[3]))
    return found


class Segment(NamedTuple):
    """A file of messages."""

    number: int
    """Of its name; the older one has the lower."""
    messages: int
    """How many there are."""
    octets: int


class Write(NamedTuple):
    """What is to be written now."""

    number: int
    """Of the segment."""
    at: int
    """Octets of it that are there; what is behind them was written in vain."""
    messages: Sequence[Message]


class Spool:
    """The messages of one daemon that nobody has acknowledged yet."""

    def __init__(self, most: int, *, on_disk: bool) -> None:
        """`most`: octets of all segments; `on_disk`: there is a folder for them."""
        self.most = most
        self.lost = 0
        """Messages that are lost, and of which nobody was told yet."""
        self.lost_ever = 0
        """The same since the start, told or not."""
        self._on_disk = on_disk
        self._tail: deque[Message] = deque()
        self._tail_octets = 0
        self._segments: deque[Segment] = deque()
        self._head: deque[Message] | None = None
        """Of the oldest segment: what of it is not acknowledged yet; None: it has to be read."""
        self._sending = 0
        self._seen: Message | None = None
        self._last_number = 0
        self._gone: list[int] = []

    # -- what there is

    @property
    def waiting(self) -> int:
        """How many messages wait."""
        return len(self._tail) + sum(each.messages for each in self._segments) - self._acknowledged

    @property
    def octets(self) -> int:
        """Octets of the segments."""
        return sum(each.octets for each in self._segments)

    @property
    def _acknowledged(self) -> int:
        """How many messages of the oldest segment are done with."""
        return 0 if self._head is None or not self._segments else self._segments[0].messages - len(self._head)

    # -- what comes

    def found(self, segments: Iterable[Segment], lost: int) -> None:
        """Take what the last run left: its segments, the oldest first, and how many messages it had lost untold."""
        self._segments.extendleft(reversed(found := list(segments)))
        self._last_number = max((each.number for each in found), default=0)
        self.lose(lost)
        self._bound()

    def put(self, message: Message) -> None:
        """Take a message; when memory is full, the oldest that is not being sent is lost."""
        self._tail.append(message)
        self._tail_octets += message.octets
        in_flight = 0 if self._segments else self._sending
        while self._tail_octets > MEMORY and len(self._tail) > in_flight + 1:
            self._tail_octets -= self._tail[in_flight].octets
            del self._tail[in_flight]
            self.lose(1)

    def lose(self, count: int) -> None:
        """Count messages that are lost."""
        self.lost += count
        self.lost_ever += count

    # -- what goes

    @property
    def wanted(self) -> int | None:
        """The number of the segment that must be read before more can be sent; None: none must."""
        return self._segments[0].number if self._segments and self._head is None else None

    def loaded(self, number: int, messages: Iterable[Message]) -> None:
        """Take what a segment holds, if it is still the one that was wanted; what it should hold besides is lost."""
        if self.wanted != number:
            return
        self._head = deque(messages)
        oldest = self._segments[0]
        if len(self._head) < oldest.messages:
            self.lose(oldest.messages - len(self._head))
        self._segments[0] = oldest._replace(messages=len(self._head))
        self._drop_finished()

    def next(self, most: int, octets: int) -> list[Message]:
        """Give what is to be sent now, the oldest first: at most so many, and about so many octets, but one always."""
        front = self._front()
        chosen: list[Message] = []
        for message in itertools.islice(front, most):
            octets -= message.octets
            if chosen and octets < 0:
                break
            chosen.append(message)
        self._sending = len(chosen)
        return chosen

    def sent(self, count: int) -> None:
        """Forget the first messages of those that `next` gave: they are acknowledged, or are never to be sent again.

        The rest of them is not being sent any more.
        """
        front = self._front()
        for _ in range(count):
            message = front.popleft()
            if front is self._tail:
                self._tail_octets -= message.octets
        self._sending = 0
        self._drop_finished()

    def told(self, count: int) -> None:
        """Take note that somebody was told of so many lost ones."""
        self.lost -= count

    def _front(self) -> deque[Message]:
        if not self._segments:
            return self._tail
        return deque() if self._head is None else self._head

    def _drop_finished(self) -> None:
        """Forget a segment of which all is acknowledged."""
        if self._segments and self._head is not None and not self._head:
            self._gone.append(self._segments.popleft().number)
            self._head = None

    # -- files

    def gone(self) -> list[int]:
        """Give the numbers of the segments whose files can go; each is given once."""
        gone, self._gone = self._gone, []
        return gone

    def not_gone(self, numbers: Sequence[int]) -> None:
        """Take back what `gone` gave: the files are still there, and a later run would send what is in them again."""
        self._gone = [*numbers, *self._gone]

    def to_write(self, *, all_of_it: bool = False) -> Write | None:
        """Give what is to be written now, if anything: what waited at the last call already, or is behind a segment."""
        seen, self._seen = self._seen, self._tail[0] if self._tail else None
        if not self._on_disk or not self._tail:
            return None
        if not (all_of_it or self._segments or self._tail[0] is seen):
            return None
        last = self._segments[-1] if self._segments else None
        if last is not None and last.octets < self._segment_size:
            return Write(last.number, last.octets, list(self._tail))
        self._last_number += 1
        return Write(self._last_number, 0, list(self._tail))

    def written(self, write: Write, octets: int) -> None:
        """Take note that it was written, and took so many octets; what was acknowledged meanwhile is done with."""
        if write.number in self._gone:
            return  # all that was in it before is acknowledged, and its file goes
        done = self._done_with(write.messages)
        for _ in range(len(write.messages) - done):
            self._tail_octets -= self._tail.popleft().octets
        last = self._segments[-1] if self._segments else None
        if last is not None and last.number == write.number:
            if len(self._segments) == 1 and self._head is not None:
                self._head.extend(write.messages)
            self._segments[-1] = last._replace(messages=last.messages + len(write.messages), octets=write.at + octets)
        elif done == len(write.messages):
            self._gone.append(write.number)
        else:
            if not self._segments:
                self._head = deque(write.messages[done:])
            self._segments.append(Segment(write.number, len(write.messages), octets))
        self._bound()

    def _done_with(self, messages: Sequence[Message]) -> int:
        """Give how many of the first ones have left the tail since."""
        first = self._tail[0] if self._tail else None
        return next((place for place, message in enumerate(messages) if message is first), len(messages))

    @property
    def _segment_size(self) -> int:
        return min(SEGMENT, self.most // 16)

    def _bound(self) -> None:
        """Lose the oldest segments beyond the limit, but none of which something is being sent."""
        while len(self._segments) > 1 and self.octets > self.most:
            if self._sending:
                dropped = self._segments[1]
                del self._segments[1]
                self.lose(dropped.messages)
            else:
                self.lose(self._segments[0].messages - self._acknowledged)
                dropped = self._segments.popleft()
                self._head = None
            self._gone.append(dropped.number)

    def rest_of_oldest(self) -> tuple[int, list[Message]] | None:
        """Give what is left of a segment of which a part is acknowledged, for its file to be made anew."""
        if not self._segments or not self._acknowledged or self._head is None:
            return None
        return self._segments[0].number, list(self._head)
