"""RTR as octets: PDUs that are decoded one after another, from octets or from a connection."""

from typing import Any, BinaryIO

from rtrd.rtr import pdu


def pdus(octets: bytes) -> list[Any]:
    """Decode all of them; AssertionError when the last one is torn."""
    found = []
    while octets:
        header = pdu.header(octets)
        assert header is not None
        found.append(pdu.decode(octets[: header.length]))
        octets = octets[header.length :]
    return found


def read_pdu(stream: BinaryIO) -> Any:
    """Return the next PDU; None when the other side closed."""
    head = stream.read(pdu.HEADER_SIZE)
    header = pdu.header(head)
    return None if header is None else pdu.decode(head + stream.read(header.length - len(head)))


def read_answer(stream: BinaryIO) -> list[Any]:
    """Return the PDUs up to what ends an answer; ConnectionResetError when the other side closed before."""
    found: list[Any] = []
    while not (found and isinstance(found[-1], pdu.EndOfData | pdu.CacheReset | pdu.ErrorReport)):
        found.append(read_pdu(stream))
        if found[-1] is None:
            raise ConnectionResetError("the server closed")
    return found
