"""`rtrd status` on a terminal: tables of caches and neighbors."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from rtrd.base.text import counted, printable
from rtrd.commands.status_lines import (
    age,
    attached,
    cache,
    door,
    faults,
    gone,
    left_out,
    local_routes,
    never_asked,
    not_needed,
    paths,
    waits_for,
)
from rtrd.commands.terminal import STYLES
from rtrd.tags import VALIDITIES


def status(now: dict[str, Any], time: float) -> Iterator[RenderableType]:
    """Give what is below the summary: groups with their caches, routers with their neighbors. `time`: Unix."""
    for group in now["groups"]:
        yield _group(group, active=group["name"] == now["active_group"], time=time)
        said = [(server, line) for server in group["servers"] for line in (*_coming(server), *faults(server))]
        for server, line in said:
            yield Text(f" {cache(server)}: {line}", STYLES["bad" if server.get("error") else "soft"])
        if said:
            yield Text("")
    for router in now["routers"]:
        if not attached(router):
            yield Text(f"router {printable(str(router['name']))}: {gone(router)}", STYLES["bad"])
            continue
        yield _router(router, time)
        yield from (
            Text(f" {line}") for line in (*paths(router), *waits_for(router), *local_routes(router), *left_out(router))
        )


def _coming(server: dict[str, Any]) -> Iterator[str]:
    if server.get("coming"):
        yield f"{server['coming']:,} coming"


def _table(title: Text, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="none", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left", overflow="fold")
    return table


def _group(group: dict[str, Any], *, active: bool, time: float) -> Table:
    mood = {"ESTABLISHED": "good", "ERROR": "bad", "CONNECTING": "fair"}.get(group["status"], "soft")
    title = Text.assemble(
        ("group ", ""), (printable(group["name"]), "bold"), f" (preference {group['preference']}): ",
        (group["status"], STYLES[mood]), (", active" if active else ""),
    )  # fmt: skip
    table = _table(title, "cache", "state", ">serial", ">VRPs", ">updated")
    for server in group["servers"]:
        mood = "good" if server["state"] == "ESTABLISHED" else "bad" if server.get("error") else "soft"
        table.add_row(
            Text(f"{cache(server)} ({server['transport']})"),
            Text(", ".join(filter(None, (server["state"], not_needed(server)))), STYLES[mood]),
            "-" if server["serial"] is None else str(server["serial"]),
            "-" if never_asked(server) else f"{server['vrps']:,}",
            _age(server["last_update"], time),
        )
    return table


SESSIONS = {True: ("up", STYLES["good"]), False: ("down", STYLES["fair"]), None: ("not told", STYLES["soft"])}
"""What a neighbor's `up` is called."""


def _router(router: dict[str, Any], time: float) -> Table:
    commands = counted(router["outbox"], "command", "is waiting", "are waiting")
    title = Text.assemble(
        ("router ", ""), (printable(str(router["name"])), "bold"), f" ({door(router)}): ",
        ("only observed" if router.get("bmp") else commands, STYLES["fair"] if router["outbox"] else ""),
    )  # fmt: skip
    table = _table(title, "neighbor", "session", *(f">{validity}" for validity in VALIDITIES))
    for neighbor in router["neighbors"]:
        if isinstance(neighbor, str):
            continue
        session = Text(*SESSIONS[neighbor["up"]])
        if neighbor["up_since"] is not None:
            session.append(f" for {_for(neighbor['up_since'], time)}", STYLES["soft"])
        counts = (_count(neighbor["routes"].get(validity, 0), validity) for validity in VALIDITIES)
        table.add_row(Text(printable(neighbor["address"])), session, *counts)
    total = (_count(router["routes"][validity], validity) for validity in VALIDITIES)
    table.add_section()
    table.add_row("all", "", *total)
    return table


def _count(count: int, validity: str) -> Text:
    return Text(f"{count:,}", STYLES[validity] if count else STYLES["soft"])


def _age(last_update: str | None, time: float) -> str:
    if last_update is None:
        return "never"
    return f"{_for(last_update, time)} ago"


def _for(since: str, time: float) -> str:
    return age(max(0.0, time - dt.datetime.fromisoformat(since).timestamp()))
