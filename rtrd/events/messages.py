"""What is published: events and summaries as messages, with their subjects. Pure. docs/events.md has the contract."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from rtrd.base.json_text import encode
from rtrd.base.text import counted
from rtrd.events.spool import Message
from rtrlib.vrp_set import VALIDITIES

SCHEMA: Final = 1
"""Of a message; another one when a field changes its meaning or goes."""
MOST_ROUTERS: Final = 200
"""In a summary: those with the most invalid routes."""
MOST_PROBLEMS: Final = 50
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]")
_MOST_TOKEN: Final = 64


def own_name(host: str, control: Path) -> str:
    """Name an rtrd: by its host, and before that `NAME@` if it is rtrd@NAME, which listens at /run/rtrd-NAME."""
    instance = control.parent.name.removeprefix("rtrd-")
    return host if instance == control.parent.name or not instance else f"{instance}@{host}"


class _Event(msgspec.Struct):
    """Of an event what its subject names."""

    kind: str
    router: str | None = None


def token(text: str) -> str:
    """Make one token of a subject of any text: letters, digits, `_` and `-`."""
    return _UNSAFE.sub("_", text)[:_MOST_TOKEN] or "_"


class Messages:
    """Makes the messages of one run of a daemon."""

    def __init__(self, run: str, host: str, subject: str) -> None:
        """`run`: no other run of any host has it. `host`: by which name; `subject`: as the configuration has it."""
        self.subject = subject
        self.host = host
        self._run = run
        self._count = 0
        self._decode = msgspec.json.Decoder(_Event).decode

    def of(self, line: bytes) -> Message:
        """Give the message of an event: a JSON object in one line, as the event log has it."""
        event = self._decode(line)
        self._count += 1
        return self._message(f"{self._run}-{self._count}", event, line)

    def readdressed(self, message: Message) -> Message:
        """Give a message with the subject that it has by the configuration of now: it may have waited for long."""
        try:
            return message._replace(subject=self._subject(self._decode(message.payload)))
        except msgspec.DecodeError:
            return message  # its file was altered

    def lost(self, time: str, count: int, ever: int) -> Message:
        """Give the message that so many are lost. `ever`: since the start, so that a repetition has the same number."""
        text = f"{counted(count, 'event', 'was', 'were')} lost: more came than could be kept while nobody took them"
        line = encode({"time": time, "kind": "lost", "text": text, "count": count})
        return self._message(f"{self._run}-lost-{ever}-{count}", _Event("lost"), line)

    def summary(self, time: str, status: Mapping[str, Any]) -> Message:
        """Give the message that says how all is. `status`: as `rtrd status --json` has it."""
        return self.of(encode(summary(time, status)))

    def subject_of_all(self) -> str:
        """Give a subject by which a stream is found that keeps what is published: that of summaries."""
        return self._subject(_Event("summary"))

    def _subject(self, event: _Event) -> str:
        return self.subject.format(host=token(self.host), router=token(event.router or "_"), kind=token(event.kind))

    def _message(self, number: str, event: _Event, line: bytes) -> Message:
        more = encode({"host": self.host, "id": number, "schema": SCHEMA})
        return Message(number, self._subject(event), line[:-1] + b"," + more[1:])


def summary(time: str, status: Mapping[str, Any]) -> dict[str, Any]:
    """Give how all is, in short: what a view of many hosts shows."""
    routers = [_router(each) for each in status["routers"]]
    routers.sort(key=lambda each: (-each["invalid"], str(each["router"])))
    problems = status["problems"]
    return {
        "time": time,
        "kind": "summary",
        "text": status["health"]["summary"],
        "version": status["version"],
        "started": status["started"],
        "ready": status["ready"],
        "health": status["health"],
        "problems": problems[:MOST_PROBLEMS],
        "problems_in_all": len(problems),
        "vrps": status["vrps"],
        "active_group": status["active_group"],
        "caches": [_cache(group["name"], each) for group in status["groups"] for each in group["servers"]],
        "routers": routers[:MOST_ROUTERS],
        "routers_in_all": len(routers),
        "routes": {validity: sum(each[validity] for each in routers) for validity in VALIDITIES},
    }


def _router(status: Mapping[str, Any]) -> dict[str, Any]:
    neighbors = status["neighbors"]
    return {
        "router": status["name"],
        "attached": status["attached"],
        "neighbors": len(neighbors),
        "neighbors_down": sum(each["up"] is False for each in neighbors),
        **status["routes"],
    }


def _cache(group: str, status: Mapping[str, Any]) -> dict[str, Any]:
    state = {name: status[name] for name in ("state", "error", "session_id", "serial", "last_update", "vrps", "aspas")}
    return {"group": group, "host": status["host"], "port": status["port"], **state}
