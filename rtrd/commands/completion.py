"""`rtrd completion`: the script by which a shell completes rtrd's commands and options."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Final

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


_FISH_AT: Final = r"""# Whether the words before the cursor begin with some: __NAME_at "bird check"; -x: and end there.
function __NAME_at
    argparse x -- $argv
    set -l wanted (string split -n ' ' -- $argv)
    set -l words (string match -v -- '-*' (commandline -opc)[2..-1])
    set -q _flag_x && test (count $words) -ne (count $wanted) && return 1
    set -q wanted[1] || return 0
    test "$words[1..$(count $wanted)]" = "$wanted"
end
"""


def fish(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Give the script for fish, which shtab doesn't know."""
    yield _FISH_AT.replace("NAME", parser.prog)
    yield f"complete -c {parser.prog} -f"
    yield from _fish_parser(parser, parser.prog, "")


def _fish_parser(parser: argparse.ArgumentParser, program: str, path: str) -> Iterator[str]:
    """Give the lines of a parser, then those of its commands; `path`: the commands that lead to it."""
    for action in parser._actions:  # noqa: SLF001 - argparse offers no other way to list them
        if action.help == argparse.SUPPRESS:
            continue
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            here = _quoted(f"__{program}_at -x {_quoted(path)}")
            helps = {choice.dest: choice.help or "" for choice in action._get_subactions()}  # noqa: SLF001
            for name, each in action.choices.items():
                yield f"complete -c {program} -n {here} -a {name} -d {_quoted(helps[name])}"
                yield from _fish_parser(each, program, f"{path} {name}".strip())
        else:
            yield _fish_action(action, program, path)


def _fish_action(action: argparse.Action, program: str, path: str) -> str:
    """Give the line of an option, or of an argument; a value without choices may be a file."""
    alone = "" if path else "-x "
    words = ["complete", "-c", program, "-n", _quoted(f"__{program}_at {alone}{_quoted(path)}")]
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
