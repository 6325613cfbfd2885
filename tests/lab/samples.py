"""Lines that real ExaBGPs wrote (tests/samples)."""

from tests.lab import ROOT

SAMPLES = ROOT / "tests" / "samples"


def sample_lines(name: str, version: str = "exabgp-5.0.15") -> list[bytes]:
    """Give all of a case."""
    return (SAMPLES / version / f"{name}.jsonl").read_bytes().splitlines()


def sample(name: str, version: str = "exabgp-5.0.15") -> bytes:
    """Give the first line of a case."""
    return sample_lines(name, version)[0]
