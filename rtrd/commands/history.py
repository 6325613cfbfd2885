"""`rtrd history`: what became of routes, and why, the newest first."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from rtrd.base.notation import said
from rtrd.base.text import counted, printable
from rtrd.commands import common, http_client, terminal

ROWS = 50
TIMEOUT = 30.0
"""Seconds: the disk may be slow."""

_COLUMNS = (
    terminal.Column("TIME", terminal.TIME),
    terminal.Column("ROUTER", 12, if_room=True),
    terminal.Column("NEIGHBOR", 15),
    terminal.Column("PREFIX", 18),
    terminal.Column("PATH-ID", 7, if_room=True),
    terminal.Column("ORIGIN", 10),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rtrd history`."""
    parser.add_argument(
        "prefix",
        metavar="PREFIX",
        type=common.prefix_or_address,
        help="routes to this prefix or to more specific ones; of an address: those that cover it",
    )
    parser.add_argument(
        "--rows",
        metavar="N",
        type=common.number(1, 1000),
        default=ROWS,
        help=f"print the newest N changes (default: {ROWS}, at most 1000)",
    )
    parser.add_argument("--before", metavar="ID", type=_identifier, help="go on where an answer ended: it says the ID")
    common.add_wide(parser)
    common.add_options(parser)


def _identifier(text: str) -> str:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and 0 < int(text) < 1 << 63):
        raise argparse.ArgumentTypeError(
            f"{said(text)} is not an ID: expected the number that the last answer ended with"
        )
    return text


def run(args: argparse.Namespace) -> int:
    """Ask for the changes and print two lines or more for each."""
    request = http_client.url("/history", {**args.prefix, "rows": str(args.rows), "before": args.before})
    [asked] = args.prefix.values()
    width = terminal.width(wide=args.wide)
    return common.ask(args, request, lambda answer: lines(answer.value(), asked, width), timeout=TIMEOUT)


def lines(answer: dict[str, Any], asked: str, width: int) -> Iterator[str]:
    """Return what happened to which route, what it became, and why; then what else there is."""
    columns = terminal.Columns(_COLUMNS, width)
    since = "" if answer["since"] is None else f" since {terminal.to_second(answer['since'])}"
    if answer["history"]:
        yield columns.heading()
    else:
        yield f"no change of a route is known of {asked}{since or ': the history is empty'}"
    for change in answer["history"]:
        path_id, origin = change["path_id"], change["origin_as"]
        yield columns.line(
            {
                "TIME": (terminal.to_second(change["time"]), ""),
                "ROUTER": (printable(change["router"]), ""),
                "NEIGHBOR": (printable(change["neighbor"] or "unknown"), ""),
                "PREFIX": (change["prefix"], ""),
                "PATH-ID": ("-" if path_id is None else str(path_id), ""),
                "ORIGIN": ("none" if origin is None else f"AS{origin}", ""),
            }
        )
        validity = terminal.paint(change["validity"] or "gone", change["validity"] or "soft")
        yield f"  {_before(change['was'], change['validity'])}{validity}{_path(change)}{_decision(change)}"
        yield from terminal.wrapped(f"  {printable(change['why'])}", width)
    if answer["more"]:
        last = answer["history"][-1]["id"]
        yield from terminal.wrapped(f"and {answer['more']} more: --before {last}", width)
    yield from (line for text in _left_out(answer, since) for line in terminal.wrapped(text, width))


def _before(was: str | None, now: str | None) -> str:
    return "new: " if was is None else "" if was == now else f"{was} -> "


def _path(change: dict[str, Any]) -> str:
    """Say what ASPAs make of the path, if anybody judges it, and whether it has leaked."""
    was, now = change["aspa_was"], change["aspa"]
    text = "" if now is None else f", path {_before(was, now) if was is not None else ''}{now}"
    return text + (", a leak" if change["leak"] else ", no longer a leak" if change["leak_was"] else "")


def _decision(change: dict[str, Any]) -> str:
    was, now = change["decision_was"], change["decision"]
    if was is None or now is None or was == now:
        return "" if (now or was) is None else f", {now or was}"
    return f", {was} -> {now}"


def _left_out(answer: dict[str, Any], since: str) -> Iterator[str]:
    """Say what is not in the answer, and not for want of room."""
    if answer["left_out"]:
        yield f"{counted(answer['left_out'], 'change')} of any route came too fast to be kept{since}"
    if answer["others_left_out"]:
        yield (
            f"{counted(answer['others_left_out'], 'route')} that came or went, not invalid: too many to be kept{since}"
        )
    if answer["fault"] is not None:
        yield f"warning: {printable(answer['fault'])}"
    elif answer["where"] == "memory":
        yield "the history is only in memory: without `state` in the configuration it ends with the daemon"
