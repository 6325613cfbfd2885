"""The examples of docs/rtrlib.md, as they stand there but for the caches' addresses, print what the page says."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rtrd.demo.ports import free_port
from tests.lab import ROOT
from tests.lab.certificates import CA
from tests.lab.programs import run, talk
from tests.lab.stayrtr import StayRTR

PAGE = (ROOT / "docs" / "rtrlib.md").read_text()
EXAMPLES = re.findall(
    r"^###? (.+)\n(?:(?!^###? ).*\n)*?```python\n((?:.*\n)*?)```\n\n```\n((?:.*\n)*?)```", PAGE, re.MULTILINE
)
VRPS = (("198.51.100.0/24", 24, 64500), ("203.0.113.0/24", 25, 64501), ("2001:db8::/32", 48, 64502))
KEY = (64500, b"0" * 20, bytes(91))


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    made = [StayRTR(tmp_path_factory.mktemp(name), VRPS, name, [KEY]) for name in ("one", "two")]
    for cache in made:
        cache.start()
    yield dict(zip(("192.0.2.10", "192.0.2.20"), made, strict=True))
    for cache in made:
        cache.kill()


@pytest.fixture(scope="module")
def by_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """A port where a cache speaks TLS as rpki.example.net, and the CA of its certificate."""
    folder = tmp_path_factory.mktemp("tls")
    ca = CA(folder)
    shows, port = ca.sign("cache", "DNS:rpki.example.net"), free_port("127.0.0.1")
    options = ["-tls.bind", f"127.0.0.1:{port}", "-tls.cert", str(shows.certificate), "-tls.key", str(shows.key)]
    cache = StayRTR(folder, VRPS, options=options)
    cache.start()
    cache.process.wait_listening(port)
    yield port, ca.certificate
    cache.kill()


def test_no_example_is_without_its_output() -> None:
    assert PAGE.count("```python\n") == len(EXAMPLES) == 16


@pytest.mark.parametrize(("program", "output"), [rest for _, *rest in EXAMPLES], ids=[title for title, *_ in EXAMPLES])
def test_an_example_prints_what_the_page_says(caches: Any, by_tls: tuple[int, Path], program: str, output: str) -> None:
    port, ca = by_tls
    program = program.replace('"192.0.2.30", 8323', f'"127.0.0.1", {port}').replace("/etc/rtr/ca.pem", str(ca))
    for address, cache in caches.items():
        program = program.replace(f'"{address}", 323', f'"127.0.0.1", {cache.port}')
    assert not re.search(r'"192\.0\.2\.[123]0", \d+', program)
    # Of threads beside a fork Python warns since 3.12; the page says why that is no danger here.
    done = run(sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c", program)
    assert done.returncode == 0, done.stderr
    # Callbacks are in order of time; of what comes into force together, none is first.
    assert sorted(done.stdout.splitlines()) == sorted(output.splitlines())
    assert done.stderr == ""


def test_the_example_of_the_distributions_own_page() -> None:
    ((program, output),) = re.findall(
        r"```python\n(.*?)```\n\n```\n(.*?)```", (ROOT / "ffi" / "README.md").read_text(), re.DOTALL
    )
    # Of threads beside a fork Python warns since 3.12; the page says why that is no danger here.
    done = run(sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c", program)
    assert (done.stdout, done.stderr) == (output, "")


def test_the_commands(caches: Any) -> None:
    port = str(caches["192.0.2.10"].port)
    line, answer = re.findall(
        r"^\$ echo (.+) \| python -m rtrlib\.validator 192\.0\.2\.10 323\n(.+)\n", PAGE, re.MULTILINE
    )[0]
    command = [sys.executable, "-m", "rtrlib.validator", "127.0.0.1", port]
    done = run(*command, input=line, check=True)
    assert done.stdout == f"{answer}\n"

    lines = re.findall(r"^\$ python -m rtrlib\.client .*\n(Prefix.*)\n(\+.*)\n", PAGE, re.MULTILINE)[0]
    command = [sys.executable, "-m", "rtrlib.client", "-p", "tcp", "127.0.0.1", port]
    with talk(command) as process:
        said = set(process.lines(4))
    assert set(lines) <= said
