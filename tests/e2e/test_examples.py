"""etc/exabgp.conf as both versions of ExaBGP read it, and as it runs."""

from pathlib import Path

import pytest

from tests.e2e.conftest import MakeChain, takes
from tests.lab import ROOT
from tests.lab.chain import STATIC, VALID, VRPS

EXAMPLE = ROOT / "etc" / "exabgp.conf"


def test_both_versions_take_the_example(exabgp: str, tmp_path: Path) -> None:
    """Only the path of rtrd, which ExaBGP looks for, is another one here."""
    configuration = tmp_path / "exabgp.conf"
    configuration.write_text(EXAMPLE.read_text().replace("run /usr/bin/rtrd ", "run /bin/true "))
    takes(exabgp, configuration)


def test_the_example_runs(make_chain: MakeChain, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same text with loopback addresses, a port to connect to, and rtrd where it is."""
    chain = make_chain(VRPS, static=STATIC[:1], start=False)

    def configuration() -> str:
        return chain.on_loopback(EXAMPLE.read_text())

    monkeypatch.setattr(chain.router, "configuration", configuration)
    chain.start()
    chain.settle(VALID)
