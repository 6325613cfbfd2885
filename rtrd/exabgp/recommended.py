"""What rtrd needs of ExaBGP's configuration and environment.

etc/exabgp.conf and docs/exabgp.md say the same, and tests hold them to it.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from rtrd.base.faults import FileFault, Severity
from rtrd.exabgp.conf_file import shown


class Wanted(NamedTuple):
    """A switch of ExaBGP's configuration, and how rtrd needs it."""

    section: str
    """The one in which it stands: `neighbor` itself, or `capability`, `api`, `receive` within."""
    key: str
    on: bool
    why: str
    severity: Severity = "warning"
    default: bool = False
    """What ExaBGP takes when the key is left out."""
    bare: bool = True
    """What ExaBGP takes when the key stands alone."""


_COSTS = "rtrd doesn't read it, and each line costs ExaBGP time"
WANTED: Final = (
    Wanted("api", "neighbor-changes", True, "without it the end of a session isn't told, and its routes stay", "fault"),
    Wanted("receive", "packets", True, "without it no routes are told in a form that rtrd reads", "fault"),
    Wanted("receive", "update", True, "without it no routes are told", "fault"),
    Wanted("receive", "parsed", False, "rtrd would read each UPDATE twice"),
    Wanted("receive", "consolidate", False, _COSTS),
    Wanted("receive", "keepalive", False, _COSTS),
    Wanted(
        *("api", "negotiated", False),
        "it makes every line 250 bytes longer, and with `add-path send` no session of 4.2 comes up; it is needed only"
        " to announce IPv4 routes with IPv6 next hops (RFC 8950)",
    ),
    Wanted("capability", "route-refresh", True, "without it rtrd can't have the routes sent again after a restart"),
    Wanted("capability", "multi-session", False, "rtrd tells sessions apart by their addresses"),
    Wanted(
        *("neighbor", "adj-rib-in", True),
        "without it `show adj-rib in` is empty, from which rtrd learns the routes of a neighbor that doesn't send them"
        " again",
        default=True,
        bare=False,
    ),
    Wanted(
        *("neighbor", "adj-rib-out", True),
        "without it ExaBGP forgets what was announced when a session ends",
        default=True,
        bare=False,
    ),
    Wanted("neighbor", "group-updates", True, "without it each route goes out in an UPDATE of its own", default=True),
    Wanted("neighbor", "auto-flush", True, "without it ExaBGP sends nothing of what it is told", "fault", default=True),
    Wanted("neighbor", "manual-eor", False, "with it no End-of-RIB is sent: rtrd sends none", bare=False),
)
"""What rtrd needs of each neighbor."""

HOLD_TIME: Final = 30
"""Seconds: ExaBGP sends no keepalives while it executes a large command."""


class Environment(NamedTuple):
    """A setting of ExaBGP's environment (exabgp.env)."""

    section: str
    key: str
    good: re.Pattern[str]
    write: str
    why: str
    default: str


MOST_UNREADABLE: Final = 10
"""Lines of a file of another kind that are told."""
ENVIRONMENT: Final = (
    Environment(
        *("log", "level", re.compile("WARNING|ERR|ERROR|CRITICAL|ALERT|EMERG", re.IGNORECASE), "WARNING"),
        *("INFO writes a line for each route", "INFO"),
    ),
    Environment(
        *("api", "respawn", re.compile("true|enable|1|yes|on", re.IGNORECASE), "true"),
        *("else ExaBGP exits at the first event after rtrd was killed", "true"),
    ),
    Environment(
        *("api", "ack", re.compile("true|enable|1|yes|on", re.IGNORECASE), "true"),
        *("else rtrd can't tell which of its commands failed", "true"),
    ),
    Environment(
        *("api", "chunk", re.compile("[0-9]{3,}"), "1000"),
        *("else ExaBGP lists 20,000 routes in 5 seconds, not in 0.3, when rtrd starts", "1"),
    ),
)


def recommended_api(process: str) -> Iterator[str]:
    """Give the words of an `api` section that has all that rtrd needs."""

    def needed(section: str) -> Iterator[str]:
        return (f"{each.key};" for each in WANTED if each.section == section and each.on)

    yield from ("api", "{", f"processes [ {shown([process])} ];", *needed("api"))
    yield from ("receive", "{", *needed("receive"), "open;", "}", "send", "{", "packets;", "open;", "}", "}")


def check_environment(text: str, file: str) -> list[FileFault]:
    """Check the text of an exabgp.env; what it leaves out has ExaBGP's default."""
    found = _settings(text)
    findings = [FileFault(file, line, f"ExaBGP does not start: {what}") for line, what in _unreadable(text)]
    for wanted in ENVIRONMENT:
        number, value = found.get((wanted.section, wanted.key), (0, wanted.default))
        if wanted.key == "chunk" and not re.fullmatch("[0-9]+", value):
            findings.append(
                FileFault(file, number, f"ExaBGP does not start: chunk: expected a number, found {shown([value])}")
            )
        elif not wanted.good.fullmatch(value):
            what = f"write `{wanted.key} = {wanted.write}` in [exabgp.{wanted.section}]: {wanted.why}"
            findings.append(FileFault(file, number, what, "warning"))
    return sorted(findings)


def listens(text: str) -> bool:
    """Tell whether the text of an exabgp.env has ExaBGP listen on some address."""
    return bool(_settings(text).get(("tcp", "bind"), (0, ""))[1])


def _unreadable(text: str) -> Iterator[tuple[int, str]]:
    """Say why ExaBGP, which reads the file by configparser, can't; with the line. Raises nothing."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except configparser.MissingSectionHeaderError as error:
        what = "a byte order mark: save the file as UTF-8 without one" if text.startswith("\ufeff") else ""
        yield (
            error.lineno,
            what or f"`{shown([error.line.strip()])}` is in no section: write one above it, as `[exabgp.api]`",
        )
    except configparser.DuplicateSectionError as error:
        yield error.lineno or 0, f"[{shown([error.section])}] is there twice"
    except configparser.DuplicateOptionError as error:
        yield error.lineno or 0, f"`{shown([error.option])}` is there twice in [{shown([error.section])}]"
    except configparser.ParsingError as error:
        for line, _ in error.errors[:MOST_UNREADABLE]:
            yield line, "expected `name = value`, or a section"


def _settings(text: str) -> dict[tuple[str, str], tuple[int, str]]:
    """Give each setting's line and value, by its section and key."""
    section = ""
    found: dict[tuple[str, str], tuple[int, str]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if head := re.fullmatch(r"\[(?:exabgp\.)?([^]]+)\].*", line):
            section = head[1] if line.startswith("[exabgp.") else ""
        elif pair := re.fullmatch(r"\s*([\w.]+)\s*[=:]\s*(.*?)\s*", line):
            found[section, pair[1].lower()] = (number, pair[2].strip("'\""))
    return found
