"""The command line. Exit codes: 0 success, 1 failure, 2 bad usage or configuration, 3 no daemon answers.

Only a table: each command is a module of its own, imported when it is the one that runs.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import itertools
import os
import signal
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from rtrd.base import signals
from rtrd.base.shortages import shortage
from rtrd.version import __version__

DONE: Final = 0
FAILED: Final = 1
BAD_USAGE: Final = 2
NO_DAEMON: Final = 3


class CommandError(Exception):
    """A command can't do what it should; the text says why."""

    code = FAILED
    """With which it ends."""


class CLICommand(NamedTuple):
    """A command: the module that has `configure(parser)` and `run(args) -> int`, and its line of help."""

    module: str
    help: str


COMMANDS: Final = {
    "run": CLICommand("rtrd.commands.run", "run the daemon in the foreground"),
    "attach": CLICommand("rtrd.commands.attach", "be ExaBGP's process when rtrd is a service"),
    "reload": CLICommand("rtrd.commands.reload", "have the daemon read its configuration again"),
    "reconnect": CLICommand("rtrd.commands.reconnect", "ask caches now, those that failed or the ones named"),
    "check": CLICommand("rtrd.commands.check", "check a configuration, print every mistake"),
    "status": CLICommand("rtrd.commands.status", "show caches, VRPs, routers and routes"),
    "vrps": CLICommand("rtrd.commands.vrps", "list the VRPs in force"),
    "aspas": CLICommand("rtrd.commands.aspas", "list the ASPAs in force, or all about the providers of an AS"),
    "aspa-suggest": CLICommand("rtrd.commands.aspa_suggest", "suggest the providers that an AS names in its ASPA"),
    "routes": CLICommand("rtrd.commands.routes", "list routes, with validity and decision"),
    "history": CLICommand("rtrd.commands.history", "show what became of routes, and why"),
    "watch": CLICommand("rtrd.commands.watch", "show changes, and their causes, as they happen"),
    "validate": CLICommand("rtrd.commands.validate", "show the validity of a route, and the reason"),
    "validate-path": CLICommand("rtrd.commands.validate_path", "show whether ASPAs allow an AS path, and why"),
    "bird": CLICommand("rtrd.commands.bird", "compare BIRD's tables with the VRPs"),
    "slurm": CLICommand("rtrd.commands.slurm", "check SLURM files"),
    "whatif": CLICommand(
        "rtrd.commands.whatif", "show which routes would change validity, or be judged otherwise by ASPAs"
    ),
    "audit": CLICommand("rtrd.commands.audit", "judge the routes of a table dump by a VRP file"),
    "diff": CLICommand("rtrd.commands.diff", "list the VRPs on which the caches disagree"),
    "accept": CLICommand("rtrd.commands.guard", "apply a VRP change that the guard holds"),
    "exempt": CLICommand("rtrd.commands.exempt", "let a prefix with an origin AS be valid, whatever the caches say"),
    "reject": CLICommand("rtrd.commands.guard", "keep the VRPs in force instead of a held change"),
    "forget": CLICommand("rtrd.commands.forget", "no longer expect a router that is gone for good"),
    "cache": CLICommand("rtrd.rtr.cache", "serve a VRP file over RTR"),
    "fleet": CLICommand("rtrd.fleet", "show all hosts that publish to a NATS server"),
    "dump": CLICommand("rtrd.commands.dump", "write all that a bug report needs into one file"),
    "completion": CLICommand("rtrd.commands.completion", "print a completion script for a shell"),
    "demo": CLICommand("rtrd.demo", "run the whole chain on this host, then end"),
}


class _Parser(argparse.ArgumentParser):
    """Suggests what was meant where a word is nearly right."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices and (meant := _nearest(value, action.choices)):
            raise argparse.ArgumentError(action, f"{value!r} is unknown: did you mean {meant!r}?")
        super()._check_value(action, value)

    def suggest_option(self, words: Sequence[str]) -> None:
        """End with a suggestion when one of the words is nearly an option, and none."""
        options = [option for option in self._option_string_actions if option.startswith("--")]
        for word in words:
            name = word.partition("=")[0]
            if name.startswith("--") and name not in options and (meant := _nearest(name, options)):
                self.error(f"unrecognized argument {name}: did you mean {meant}?")


def _nearest(word: object, known: Iterable[str]) -> str | None:
    """Give the known word that a mistyped one probably is."""
    from rtrd.base.text import meant  # noqa: PLC0415 - only for mistakes

    return meant(str(word), known)


class _CommandParser(_Parser):
    """The parser of one command; its module is imported when it is used."""

    command: CLICommand | None = None

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self.load()
        if self._subparsers is None:
            # Before the word behind a mistyped option is taken for something else, and found wrong.
            self.suggest_option(list(itertools.takewhile(lambda word: word != "--", args)))
        found, left = super().parse_known_args(args, namespace)
        self.suggest_option(left)
        return found, left

    def load(self) -> None:
        """Add what the command takes."""
        if self.command is not None:
            module = importlib.import_module(self.command.module)
            module.configure(self)
            self.set_defaults(run=module.run)
            self.command = None


def parser(*, whole: bool = False) -> argparse.ArgumentParser:
    """Return the command line; what a command takes is added when it is parsed, or for all with `whole`."""
    main_parser = _Parser(prog="rtrd", description="RPKI origin validation on your router's host.", allow_abbrev=False)
    main_parser.add_argument("--version", action="version", version=f"rtrd {__version__}")
    commands = main_parser.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", required=True, parser_class=_CommandParser
    )
    for name, command in COMMANDS.items():
        each = commands.add_parser(name, help=command.help, description=command.help, allow_abbrev=False)
        each.command = command
        if whole:
            each.load()
    return main_parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    if (sys.argv[1:2] if argv is None else list(argv[:1])) in (["run"], ["cache"]):
        signals.note()
    _open_standard_files()
    try:
        return _run(argv)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # Whoever read us has seen enough (`rtrd routes | head`).
        _forget_stdout()
        return 128 + signal.SIGPIPE
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        _forget_stdout()
        sys.stderr.write(f"rtrd: standard output can't be written: {error.strerror}\n")
        return FAILED
    except (RuntimeError, MemoryError, ImportError) as error:
        if (why := shortage(error)) is None:
            raise
        sys.stderr.write(f"rtrd: {why}\n")
        return FAILED


_UNWRITABLE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What a write to a file fails with, through no fault of ours (`rtrd vrps > FILE` on a full disk)."""


def _run(argv: Sequence[str] | None) -> int:
    try:
        words = sys.argv[1:] if argv is None else argv
        for word in words:
            if not _is_text(word):
                sys.stderr.write(f"rtrd: {word!r} is not UTF-8: expected text\n")
                return BAD_USAGE
        args = parser().parse_args(words)
        return int(args.run(args))
    except CommandError as error:
        sys.stderr.write(f"rtrd: {error}\n")
        return error.code
    except ImportError as error:
        from rtrlib.exceptions import LibrtrMissingError  # noqa: PLC0415 - few commands need rtrlib

        if not isinstance(error, LibrtrMissingError):
            raise
        sys.stderr.write(f"rtrd: {error}\n")
        return FAILED
    finally:
        sys.stdout.flush()


def _is_text(word: str) -> bool:
    """Tell whether an argument was UTF-8: what is not has come as half characters, which nothing takes later on."""
    return not any("\ud800" <= char <= "\udfff" for char in word)


def _open_standard_files() -> None:
    """Open what whoever started us closed (`rtrd check FILE >&-`): print() would write errors to stdout otherwise."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", closefd=False))


def _forget_stdout() -> None:
    """Let nothing be flushed into it again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
