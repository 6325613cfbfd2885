"""VRPs as octets, and sets of them that are in force."""

from collections.abc import Iterable

from rtrlib.vrp import VRP, pack
from rtrlib.vrp_set import VRPSet


def packed(vrps: Iterable[VRP]) -> bytes:
    return b"".join(map(pack, vrps))


def set_of(*vrps: VRP) -> VRPSet:
    """A usable set, of one active cache that says these."""
    vrp_set = VRPSet()
    vrp_set.usable = True
    vrp_set.activate([0])
    vrp_set.replace(0, packed(vrps))
    return vrp_set
