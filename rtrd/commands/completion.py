"""`rtrd completion`: the script by which a shell completes rtrd's commands and options."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from rtrd import cli

SHELLS = ("bash", "zsh", "tcsh", "fish")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rtrd completion`."""
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=f"one of {', '.join(SHELLS)}")


def run(args: argparse.Namespace) -> int:
    """Print the script. It is whole: completing starts no Python."""
    parser = cli.parser(whole=True)
    if args.shell == "fish":
        sys.stdout.write("".join(f"{line}\n" for line in fish(parser)))
    else:
        import shtab

        sys.stdout.write(shtab.complete(parser, shell=args.shell))
    return cli.DONE


def fish(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Give the script for fish, which shtab doesn't know."""
    yield f"complete -c {parser.prog} -f"
    yield from _fish_parser(parser, parser.prog, ())


def _fish_parser(parser: argparse.ArgumentParser, program: str, path: tuple[str, ...]) -> Iterator[str]:
    """Give the lines of a parser, then those of its commands; `path`: the commands that lead to it."""
    seen = [f"__fish_seen_subcommand_from {word}" for word in path]
    for action in parser._actions:  # noqa: SLF001 - argparse offers no other way to list them
        if action.help == argparse.SUPPRESS:
            continue
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            names = list(action.choices)
            here = " && ".join([*seen, f"not __fish_seen_subcommand_from {' '.join(names)}"])
            helps = {choice.dest: choice.help or "" for choice in action._get_subactions()}  # noqa: SLF001
            for name in names:
                yield f"complete -c {program} -n {_quoted(here)} -a {name} -d {_quoted(helps[name])}"
            for name, each in action.choices.items():
                yield from _fish_parser(each, program, (*path, name))
        else:
            yield _fish_action(action, program, seen)


def _fish_action(action: argparse.Action, program: str, seen: list[str]) -> str:
    """Give the line of an option, or of an argument; a value without choices may be a file."""
    words = ["complete", "-c", program]
    if seen:
        words += ["-n", _quoted(" && ".join(seen))]
    for option in action.option_strings:
        words += ["-l", option[2:]] if option.startswith("--") else ["-s", option[1:]]
    if action.choices is not None:
        words += ["-x" if action.option_strings else "-f", "-a", _quoted(" ".join(map(str, action.choices)))]
    elif action.nargs != 0:
        words.append("-rF" if action.option_strings else "-F")
    if action.help:
        words += ["-d", _quoted(action.help)]
    return " ".join(words)


def _quoted(text: str) -> str:
    """Quote for fish, where a backslash and a quote need a backslash even within quotes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
