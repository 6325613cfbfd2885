"""VRPs from RPKI caches by the RTR protocol (RFC 8210, 6810), over a client of its own or Debian's librtr."""

import logging

from rtrlib.aspa_paths import Hop, PathVerdict, verify_path
from rtrlib.aspas import ASPA, ASPAIndex
from rtrlib.changes import (
    ASPAChange,
    Change,
    Changes,
    RouterKeyChange,
    Snapshot,
    StatusChange,
    Subscription,
    VRPChange,
)
from rtrlib.exceptions import (
    AddressTypeError,
    IpConversionException,
    LibrtrMissingError,
    OptionTypeError,
    PFXException,
    RTRInitError,
    RTRlibException,
    SyncTimeout,
)
from rtrlib.faults import Fault, LastFault
from rtrlib.listener import VRPListener
from rtrlib.lookups import Counts
from rtrlib.manager_group import ManagerGroup, ManagerGroupStatus
from rtrlib.pfx_table import PfxTable
from rtrlib.records import PFXRecord, SPKIRecord, copy_pfx_record
from rtrlib.rtr_manager import RTRManager
from rtrlib.rtr_socket import RTRSocket, RTRSocketList, RTRSocketState
from rtrlib.servers import TCPAO, CacheGroup, SSHServer, TCPServer, TLSServer
from rtrlib.validation import PfxvState, Reason, ValidationResult, pack_routes
from rtrlib.version import __version__ as __version__

logging.getLogger(__name__).addHandler(logging.NullHandler())

__all__ = [
    "ASPA",
    "TCPAO",
    "ASPAChange",
    "ASPAIndex",
    "AddressTypeError",
    "CacheGroup",
    "Change",
    "Changes",
    "Counts",
    "Fault",
    "Hop",
    "IpConversionException",
    "LastFault",
    "LibrtrMissingError",
    "ManagerGroup",
    "ManagerGroupStatus",
    "OptionTypeError",
    "PFXException",
    "PFXRecord",
    "PathVerdict",
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
    "Snapshot",
    "StatusChange",
    "Subscription",
    "SyncTimeout",
    "TCPServer",
    "TLSServer",
    "VRPChange",
    "VRPListener",
    "ValidationResult",
    "copy_pfx_record",
    "pack_routes",
    "verify_path",
]
