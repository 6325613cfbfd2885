"""The fenced blocks of those pages of docs/ that answer an operator's question, ready to be checked and run.

What a block is, is said by the word behind its fence, and nothing may be a block of another kind:

- `yaml`: a configuration of rtrd. One without groups of caches is a fragment: those of README.md are added. With
  `# prometheus.yml` as its first line it is Prometheus' own.
- `exabgp`: a configuration of ExaBGP; one without neighbors is the process section of the page's other one, or else of
  that of start-exabgp.md.
- `bird`: a configuration of BIRD; one without protocols is the filter of the page's other one.
- `json`: a SLURM file.
- `console`: commands behind `# ` (root) or `$ `; other lines are of what the command before them prints, in its words
  and order. Numbers and addresses are those of the page, and spaces are not counted.
"""

import re
import shlex
from typing import Any, NamedTuple

import yaml

from rtrd.demo.caches import VRP
from rtrd.demo.routes import Route
from tests.lab import ROOT

DOCS = ROOT / "docs"
PAGES = (
    "start-exabgp",
    "start-bird",
    "policy",
    "several-caches",
    "cache-trouble",
    "monitoring",
    "security",
    "upgrading",
)
TYPED = (*PAGES, "service")
"""Those, and the page of the reference that a reader types from, too."""
KINDS = ("yaml", "exabgp", "bird", "json", "console")
PROMETHEUS = "# prometheus.yml"
GOOD = [VRP("192.0.2.0/24", 24, 64500), *(VRP(f"198.18.{i}.0/24", 24, 64500) for i in range(10))]
"""What the pages' caches have."""
ROUTES = [Route(prefix=prefix, next_hop="192.0.2.1", path=(64496, origin)) for prefix, origin in (
    ("192.0.2.0/24", 64500), ("198.18.1.0/24", 64501), ("203.0.113.0/24", 64500),
)]  # fmt: skip
"""What a neighbor announces: a valid one, an invalid one, one that is not found."""


class Block(NamedTuple):
    """A fenced block: its page, the line of its fence, the word behind the fence, and its text."""

    page: str
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}.md:{self.line}"


class Command(NamedTuple):
    """A command of a `console` block: its page and line, as it is typed, its words, and the lines below it."""

    page: str
    line: int
    typed: str
    words: tuple[str, ...]
    output: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}.md:{self.line}: {self.typed}"


def blocks(page: str, text: str | None = None) -> list[Block]:
    """All fenced blocks of a page; ValueError for a fence that is never closed."""
    found: list[Block] = []
    opened: tuple[int, str] | None = None
    inside: list[str] = []
    lines = (DOCS / f"{page}.md").read_text() if text is None else text
    for number, line in enumerate(lines.splitlines(), start=1):
        if not line.lstrip().startswith("```"):
            inside.append(line)
        elif opened is None:
            opened, inside = (number, line.strip()[3:]), []
        else:
            found.append(Block(page, *opened, "".join(f"{each}\n" for each in inside)))
            opened = None
    if opened is not None:
        raise ValueError(f"{page}.md:{opened[0]}: this block has no end")
    return found


def of_kind(page: str, kind: str) -> list[Block]:
    return [block for block in blocks(page) if block.kind == kind]


def commands(block: Block) -> list[Command]:
    """The commands of a `console` block; ValueError for output before any command."""
    found: list[Command] = []
    for number, line in enumerate(block.text.splitlines(), start=block.line + 1):
        if line.startswith(("# ", "$ ")):
            found.append(Command(block.page, number, line[2:], tuple(shlex.split(line[2:])), ()))
        elif found:
            found[-1] = found[-1]._replace(output=(*found[-1].output, line))
        else:
            raise ValueError(f"{block.page}.md:{number}: no command stands before {line!r}")
    return found


def is_said(shown: tuple[str, ...], said: str) -> bool:
    """Whether the lines that a page shows are, in their order, among those that the command printed."""

    def words(line: str) -> str:
        line = re.sub(r"^on \S+, up for \d+ \w+,", "on HOST, up,", line)
        return re.sub(r"\d[\w.:/+-]*", "0", " ".join(line.split()))

    lines = iter([words(line) for line in said.splitlines()])
    return all(words(line) in lines for line in shown)


def all_commands(page: str) -> list[Command]:
    return [command for block in of_kind(page, "console") for command in commands(block)]


def file_of(block: Block) -> str | None:
    """The configuration that the text before a block names last."""
    above = (DOCS / f"{block.page}.md").read_text().splitlines()[: block.line]
    found = re.findall(r"/etc/rtrd/\w+\.yaml", "\n".join(above))
    return found[-1] if found else None


def is_rtrd(block: Block) -> bool:
    """Whether a `yaml` block is a configuration of rtrd, and none of Prometheus."""
    return block.kind == "yaml" and block.text.partition("\n")[0] != PROMETHEUS


def first_configuration() -> dict[str, Any]:
    """What README.md begins with."""
    (text,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    settings: dict[str, Any] = yaml.safe_load(text)
    return settings


def configuration(block: Block) -> dict[str, Any]:
    """The settings of a block, with the groups of README.md where it has none of its own."""
    settings: dict[str, Any] = yaml.safe_load(block.text)
    settings.setdefault("caches", {}).setdefault("groups", first_configuration()["caches"]["groups"])
    return settings


def in_force(command: Command) -> str:
    """The configuration that a reader has at a command: the last one of the page above it, else README.md's."""
    above = [block for block in of_kind(command.page, "yaml") if is_rtrd(block) and block.line < command.line]
    return yaml.safe_dump(configuration(above[-1]) if above else first_configuration(), sort_keys=False)


def whole(block: Block) -> str:
    """A block of `exabgp` or `bird` as a whole file: a fragment instead of its like in the page's other block."""
    marks, head = {"exabgp": ("neighbor ", r"process \w+ \{"), "bird": ("protocol ", r"filter \w+\n\{")}[block.kind]
    if marks in block.text:
        return block.text
    pages = (block.page, f"start-{block.kind}")
    other = next(each.text for page in pages for each in of_kind(page, block.kind) if marks in each.text)
    part = re.compile(rf"^{head}.*?^\}}\n", re.MULTILINE | re.DOTALL)
    assert part.fullmatch(block.text), f"{block}: not one section, but what else?"
    text, count = part.subn(lambda _: block.text, other)
    assert count == 1, f"{block}: what does it take the place of?"
    return text
