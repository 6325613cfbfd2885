"""RTR as octets, of both sides: a cache's PDUs are decoded here, a router's are encoded; rtrd needs only the others."""

import struct
from typing import Any, BinaryIO, NamedTuple, TypeAlias

from rtrd.rtr import pdu
from rtrd.rtr.pdu import PDUError
from rtrlib.rtr_pdus import HEADER, ErrorCode, Header, PDUType


class Prefix(NamedTuple):
    """One VRP, announced or withdrawn (s.5.6, 5.7), its lengths unchecked; an address has 4 or 16 octets."""

    version: int
    announce: bool
    address: bytes
    length: int
    max_length: int
    asn: int


class ASPAPDU(NamedTuple):
    """One customer's providers, announced or withdrawn (8210bis s.5.12), unchecked."""

    version: int
    announce: bool
    customer: int
    providers: tuple[int, ...]


PDU: TypeAlias = pdu.Query | pdu.Answer | Prefix | ASPAPDU


def encode(one: PDU) -> bytes:
    """Encode one PDU."""
    match one:
        case pdu.SerialQuery(version, session, serial):
            return struct.pack(">BBHII", version, PDUType.SERIAL_QUERY, session, 12, serial)
        case pdu.ResetQuery(version):
            return struct.pack(">BBHI", version, PDUType.RESET_QUERY, 0, 8)
        case Prefix(version, announce, address, length, max_length, asn):
            kind = PDUType.IPV4_PREFIX if len(address) == 4 else PDUType.IPV6_PREFIX
            head = struct.pack(">BBHI", version, kind, 0, 16 + len(address))
            return head + bytes([announce, length, max_length, 0]) + address + struct.pack(">I", asn)
        case ASPAPDU(version, announce, customer, providers):
            head = HEADER.pack(version, PDUType.ASPA, announce << 8, 12 + 4 * len(providers))
            return head + struct.pack(f">{1 + len(providers)}I", customer, *providers)
        case _:
            return pdu.encode(one)


def decode(octets: bytes) -> PDU:
    """Decode one whole PDU; raises PDUError, whatever the octets are."""
    head = pdu.header(octets)
    if head is None or head.type in {PDUType.SERIAL_QUERY, PDUType.RESET_QUERY, PDUType.ERROR_REPORT}:
        return pdu.decode(octets)
    pdu.check(head)
    if head.length != len(octets):
        raise PDUError(ErrorCode.CORRUPT_DATA, f"a PDU of {head.length} octets came as {len(octets)}")
    return _answer(head, octets[8:])


def _answer(head: Header, body: bytes) -> PDU:
    match head.type:
        case PDUType.SERIAL_NOTIFY:
            return pdu.SerialNotify(head.version, head.session_id, *struct.unpack(">I", body))
        case PDUType.CACHE_RESPONSE:
            return pdu.CacheResponse(head.version, head.session_id)
        case PDUType.END_OF_DATA:
            return pdu.EndOfData(head.version, head.session_id, *struct.unpack(f">{len(body) // 4}I", body))
        case PDUType.CACHE_RESET:
            return pdu.CacheReset(head.version)
        case PDUType.ROUTER_KEY:
            ski, asn, spki = body[:20], body[20:24], body[24:]
            return pdu.RouterKeyPDU(head.version, bool(head.session_id >> 8 & 1), ski, int.from_bytes(asn), spki)
        case PDUType.ASPA:
            customer, *providers = struct.unpack(f">{len(body) // 4}I", body)
            return ASPAPDU(head.version, bool(head.session_id >> 8 & 1), customer, tuple(providers))
        case _:
            address, asn = body[4:-4], body[-4:]
            return Prefix(head.version, bool(body[0] & 1), address, body[1], body[2], int.from_bytes(asn))


def pdus(octets: bytes) -> list[Any]:
    """Decode all of them; AssertionError when the last one is torn."""
    found = []
    while octets:
        header = pdu.header(octets)
        assert header is not None
        found.append(decode(octets[: header.length]))
        octets = octets[header.length :]
    return found


def read_pdu(stream: BinaryIO) -> Any:
    """Return the next PDU; None when the other side closed."""
    head = stream.read(HEADER.size)
    header = pdu.header(head)
    return None if header is None else decode(head + stream.read(header.length - len(head)))


def read_answer(stream: BinaryIO) -> list[Any]:
    """Return the PDUs up to what ends an answer; ConnectionResetError when the other side closed before."""
    found: list[Any] = []
    while not (found and isinstance(found[-1], pdu.EndOfData | pdu.CacheReset | pdu.ErrorReport)):
        found.append(read_pdu(stream))
        if found[-1] is None:
            raise ConnectionResetError("the server closed")
    return found
