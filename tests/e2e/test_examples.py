"""etc/exabgp.conf as both versions of ExaBGP read it, and as it runs."""

from pathlib import Path

import pytest

from rtrd.demo.chain import FEEDER, LISTENER, ROUTER
from tests.e2e.conftest import MakeChain
from tests.lab import ROOT
from tests.lab.chain import ONE, VALID, VRPS
from tests.lab.programs import run

EXAMPLE = ROOT / "etc" / "exabgp.conf"


def test_both_versions_take_the_example(exabgp: str, tmp_path: Path) -> None:
    """Only the path of rtrd, which ExaBGP looks for, is another one here."""
    configuration = tmp_path / "exabgp.conf"
    configuration.write_text(EXAMPLE.read_text().replace("run /usr/bin/rtrd ", "run /bin/true "))
    check = ["--test"] if exabgp == "/usr/sbin/exabgp" else ["validate"]
    done = run(exabgp, *check, configuration)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_runs(make_chain: MakeChain, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same text with loopback addresses, a port to connect to, and rtrd where it is."""
    chain = make_chain(VRPS, static=[ONE.removeprefix("announce ")], start=False)

    def configuration() -> str:
        text = EXAMPLE.read_text()
        for old, new in (
            ("/usr/bin/rtrd run -c /etc/rtrd/rtrd.yaml", f"{chain.rtrd} run -c {chain.configuration}"),
            ("192.0.2.254", ROUTER),
            ("neighbor 192.0.2.1 {", f"neighbor {FEEDER} {{ passive true;"),
            ("neighbor 192.0.2.2 {", f"neighbor {LISTENER} {{ connect {chain.listener.port};"),
        ):
            assert old in text
            text = text.replace(old, new)
        return text

    monkeypatch.setattr(chain.router, "configuration", configuration)
    chain.start()
    chain.settle(VALID)
