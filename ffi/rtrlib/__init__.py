"""VRPs from RPKI caches by the RTR protocol (RFC 8210, 6810), with Debian's librtr inside."""

import rtrlib.callbacks  # noqa: F401 - it defines lib.pfx_table_callback
from rtrlib.dispatcher import VRPListener
from rtrlib.exceptions import IpConversionException, PFXException, RTRInitError, SyncTimeout
from rtrlib.manager_group import ManagerGroup, ManagerGroupStatus
from rtrlib.pfx_table import PfxTable, PfxvState
from rtrlib.records import PFXRecord, SPKIRecord
from rtrlib.rtr_manager import RTRManager
from rtrlib.rtr_socket import RTRSocket, RTRSocketState
from rtrlib.servers import CacheGroup, SSHServer, TCPServer

__all__ = [
    "CacheGroup",
    "IpConversionException",
    "ManagerGroup",
    "ManagerGroupStatus",
    "PFXException",
    "PFXRecord",
    "PfxTable",
    "PfxvState",
    "RTRInitError",
    "RTRManager",
    "RTRSocket",
    "RTRSocketState",
    "SPKIRecord",
    "SSHServer",
    "SyncTimeout",
    "TCPServer",
    "VRPListener",
]
