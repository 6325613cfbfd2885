"""VRPs from RPKI caches by the RTR protocol (RFC 8210, 6810), over a client of its own or Debian's librtr."""

from importlib import metadata

from rtrlib.changes import Change, Changes, RouterKeyChange, StatusChange, VRPChange
from rtrlib.exceptions import (
    IpConversionException,
    LibrtrMissingError,
    PFXException,
    RTRInitError,
    RTRlibException,
    SyncTimeout,
)
from rtrlib.faults import Fault, LastFault
from rtrlib.listener import VRPListener
from rtrlib.manager_group import ManagerGroup, ManagerGroupStatus
from rtrlib.pfx_table import PfxTable
from rtrlib.records import PFXRecord, SPKIRecord, copy_pfx_record
from rtrlib.rtr_socket import RTRSocket, RTRSocketList, RTRSocketState
from rtrlib.servers import CacheGroup, SSHServer, TCPServer
from rtrlib.validation import PfxvState, Reason, ValidationResult, pack_routes

try:
    import rtrlib.callbacks  # noqa: F401 - it defines lib.pfx_table_callback
    from rtrlib.rtr_manager import RTRManager
except LibrtrMissingError as error:
    # The rest needs no librtr. Whoever asks for RTRManager is told what is missing.
    _missing: LibrtrMissingError | None = error.with_traceback(None)
else:
    _missing = None

__all__ = [
    "CacheGroup",
    "Change",
    "Changes",
    "Fault",
    "IpConversionException",
    "LastFault",
    "LibrtrMissingError",
    "ManagerGroup",
    "ManagerGroupStatus",
    "PFXException",
    "PFXRecord",
    "PfxTable",
    "PfxvState",
    "RTRInitError",
    "RTRManager",
    "RTRSocket",
    "RTRSocketList",
    "RTRSocketState",
    "RTRlibException",
    "Reason",
    "RouterKeyChange",
    "SPKIRecord",
    "SSHServer",
    "StatusChange",
    "SyncTimeout",
    "TCPServer",
    "VRPChange",
    "VRPListener",
    "ValidationResult",
    "copy_pfx_record",
    "pack_routes",
]


def __getattr__(name: str) -> str:
    if name == "RTRManager" and _missing is not None:
        raise _missing
    # The distribution's version, looked up by whoever asks: reading it takes longer than all the rest of the import.
    if name == "__version__":
        return metadata.version("rtrd")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
