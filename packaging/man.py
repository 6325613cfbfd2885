"""A page of docs/ as the source of a man page: `python packaging/man.py NAME.SECTION PAGE`; lowdown makes the rest.

A terminal has no room for wide tables: each row becomes a term and what is said of it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PAGES: Final = {
    "rtrd.1": (
        "rtrd - origin validation of BGP routes at the router",
        "`rtrd` *COMMAND* \\[*OPTION*...\\] \\[*ARGUMENT*...\\]\n\n`rtrd` *COMMAND* `--help`\n\n`rtrd --version`",
        """# EXIT STATUS

0

:   success

1

:   failure

2

:   bad usage, or a bad configuration: *FILE:LINE: what* on stderr

3

:   no daemon answers

# FILES

*/etc/rtrd/rtrd.yaml*

:   the configuration of the service rtrd

*/etc/rtrd/NAME.yaml*

:   that of the service rtrd@NAME

*/run/rtrd/rtrd.sock*

:   the control socket, by which the commands ask the daemon

*/var/lib/rtrd*

:   the snapshot of the VRPs

# SEE ALSO

rtrd.yaml(5), rtrlib(3), exabgp(1), bird(8), systemctl(1)
""",
    ),
    "rtrd.yaml.5": (
        "rtrd.yaml - configuration of rtrd",
        "*/etc/rtrd/rtrd.yaml*\n\n`rtrd check` *FILE*",
        """# EXIT STATUS

`rtrd check` *FILE* exits with 0 for a good file, and with 2 for one with mistakes.

# FILES

*/etc/rtrd/rtrd.yaml*

:   the configuration of the service rtrd

*/usr/share/doc/rtrd/examples/rtrd.yaml*

:   an example with every key

# SEE ALSO

rtrd(1)
""",
    ),
    "rtrlib.3": (
        "rtrlib - Python package over librtr, with groups of caches and failover",
        (
            "`from rtrlib import RTRManager`\n\n`python -m rtrlib.client` *OPTION*...\n\n"
            "`python -m rtrlib.validator` *HOST PORT*"
        ),
        """# EXIT STATUS

`rtrlib.client` and `rtrlib.validator` exit with 0 when they are done, and with another status when they failed.

# FILES

*librtr.so.0*

:   the library underneath, of Debian's package librtr0

# SEE ALSO

rtrd(1), rtrclient(1)
""",
    ),
}
"""For each page its name, its synopsis, and what ends it."""


def without_tables(text: str) -> Iterator[str]:
    """Give the lines of a page, with definition lists instead of tables; code stays as it is."""
    code = False
    rule = re.compile(r"\|[-| :]+\|$")
    lines = text.splitlines()
    for at, line in enumerate(lines):
        code ^= line.lstrip().startswith("```")
        if code or not line.startswith("|"):
            yield line
        elif not rule.match(line) and not (at + 1 < len(lines) and rule.match(lines[at + 1])):
            term, *rest = (cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|")))
            # An empty cell says nothing.
            yield from ("", term or "-", "", ":   " + "; ".join(filter(None, rest)).replace("\\|", "|"), "")


def page(name: str, text: str) -> str:
    """Give the source of a man page."""
    title, synopsis, end = PAGES[name]
    body = "\n".join(without_tables(text.partition("\n")[2]))
    return f"# NAME\n\n{title}\n\n# SYNOPSIS\n\n{synopsis}\n\n# DESCRIPTION\n{body}\n\n{end}"


if __name__ == "__main__":
    sys.stdout.write(page(sys.argv[1], Path(sys.argv[2]).read_text(encoding="utf-8")))
