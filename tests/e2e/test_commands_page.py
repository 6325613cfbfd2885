"""The blocks of docs/commands.md about whatif and history: typed as they stand, at a chain that has it all."""

import re
import shlex

import pytest

from rtrd.demo.caches import VRP
from rtrd.demo.chain import FEEDER
from rtrd.demo.lab import Lab
from tests.e2e.conftest import MakeChain
from tests.e2e.test_paths import NEIGHBORS, ASPACache, path
from tests.lab import ROOT
from tests.lab.chain import Chain
from tests.lab.programs import rtrd

PAGE = (ROOT / "docs" / "commands.md").read_text()
BLOCKS = dict(re.findall(r"```console\n\$ (rtrd (?:whatif|history) [^\n]*)\n(.*?)```", PAGE, re.DOTALL))
MASKED = ((r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME"), (r"127\.0\.0\.\d+(:\d+)?", "HOST"))


def block(beginning: str) -> tuple[str, str]:
    """Give the one block whose command begins so: the command, and what it prints."""
    ((typed, shown),) = ((typed, shown) for typed, shown in BLOCKS.items() if typed.startswith(f"rtrd {beginning}"))
    return typed, shown


def masked(text: str) -> list[str]:
    """Give the words of a text: hosts of this lab, times, and how lines are broken do not count."""
    for pattern, word in MASKED:
        text = re.sub(pattern, word, text)
    return text.split()


def prints(chain: Chain, beginning: str) -> None:
    """The page's command prints what the page shows."""
    typed, shown = block(beginning)
    done = rtrd(*shlex.split(typed)[1:], "--socket", chain.socket)
    assert (done.returncode, done.stderr) == (0, "")
    assert masked(done.stdout) == masked(shown)


def has_routes(chain: Chain, count: int, validity: str) -> None:
    chain.wait_status(
        lambda status: sum(one["routes"][validity] for one in status["routers"][0]["neighbors"]) == count,
        f"{count} routes that are {validity}",
    )


def static(prefix: str, *asns: int) -> str:
    return f"route {prefix} {path(*asns)}"


def test_whatif_of_vrps(make_chain: MakeChain) -> None:
    longer = [f"192.0.2.{8 * number}/29" for number in range(19)]
    routes = [static(prefix, 64500) for prefix in ("192.0.0.0/16", "192.0.2.0/24", *longer)]
    chain = make_chain([VRP("192.0.2.0/24", 24, 64500)], static=routes)
    has_routes(chain, 19, "invalid")
    prints(chain, "whatif -192.0.2.0/24")


def test_whatif_of_aspas(make_chain: MakeChain, lab: Lab) -> None:
    routes = [static("192.0.2.0/24", 64511, 64496), static("198.51.100.0/24", 64511)]
    chain = make_chain(caches=[[ASPACache(lab.folder)]], settings=NEIGHBORS, static=routes)
    chain.settle_prefixes("192.0.2.0/24", "198.51.100.0/24")
    prints(chain, "whatif +64496:")


@pytest.mark.parametrize("exabgp", ["4.2.2"], indirect=True)
def test_history(make_chain: MakeChain, lab: Lab) -> None:
    (lab.folder / "state").mkdir()
    settings = {"state": str(lab.folder / "state")}
    chain = make_chain([VRP("192.0.2.0/24", 24, 64496)], settings=settings, static=[static("198.51.100.0/24", 64500)])
    has_routes(chain, 1, "not-found")
    chain.feeder.command(f"announce {static('192.0.2.0/24')}")
    has_routes(chain, 1, "valid")
    chain.groups[0][0].serve([VRP("192.0.2.0/24", 24, 64499)])
    has_routes(chain, 1, "invalid")
    assert FEEDER in rtrd("history", "192.0.2.0/24", "--socket", chain.socket).stdout
    prints(chain, "history 192.0.2.0/24")
