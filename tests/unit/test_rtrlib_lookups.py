"""What is asked of the VRPs of a table: by prefix and AS, in any type, while they change, and in a forked child."""

import copy
import ipaddress
import os
import pickle
import threading

import pytest

from rtrlib import PFXRecord, PfxTable, RTRManager, RTRSocket, TCPServer, pack_routes
from rtrlib.vrp import PACKED
from rtrlib.vrp_table import VRPTable

VRPS = [
    (64500, "10.0.0.0", 8, 12),
    (64501, "10.1.0.0", 16, 24),
    (64500, "10.1.2.0", 24, 24),
    (64500, "2001:db8::", 32, 48),
    (64502, "::", 0, 0),
]


class Number:
    """As numpy's integers are."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


@pytest.fixture
def table() -> PfxTable:
    table = PfxTable()
    assert table.add_records(VRPS) == len(VRPS)
    return table


def test_covering_and_covered_and_of_an_as(table: PfxTable) -> None:
    records = [PFXRecord(*vrp) for vrp in VRPS]
    for prefix in ("10.1.2.0/24", b"10.1.2.0/24", ipaddress.ip_network("10.1.2.0/24"), "10.1.2.3"):
        assert table.covering(prefix) == records[:3]
    assert table.covering(ipaddress.ip_address("2001:db8::1")) == [records[4], records[3]]
    assert table.covering("192.0.2.1") == []
    assert table.covered("10.0.0.0/8") == records[:3]
    assert table.covered("10.1.0.0/16") == records[1:3]
    assert table.covered("::/0") == [records[4], records[3]]
    assert table.covered("0.0.0.0/0") == records[:3]
    assert table.records_of(Number(64500)) == [records[0], records[2], records[3]]
    assert table.records_of(7) == []
    assert table.counts() == (3, 2, 0, 0)


@pytest.mark.parametrize(
    "prefix", ["10.0.0.0/40", "10.0.0.1/8", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/+8", "x/8", "", None, 7]
)
def test_what_is_no_prefix(table: PfxTable, prefix: str) -> None:
    for ask in (table.covering, table.covered):
        with pytest.raises(ValueError, match=r"prefix|address"):
            ask(prefix)


def test_a_table_is_a_collection(table: PfxTable) -> None:
    assert len(table) == len(list(table)) == 5
    assert all(record in table for record in table)
    assert VRPS[0] in table
    assert bool(PfxTable()) is bool(RTRManager("127.0.0.1", 1, engine="native")) is True, "empty, and there"
    for other in (
        PFXRecord(1, "10.0.0.0", 8, 12),
        (1, 2),
        "10.0.0.0/8",
        None,
        (64500, "x", 8, 12),
        (64500, "::", "8", 12),
    ):
        assert other not in table
    assert table.add_records([*VRPS, (1, "11.0.0.0", 8, 8), (1, "11.0.0.0", 8, 8)]) == 1
    with pytest.raises(ValueError, match="max_length 7 is below"):
        table.add_records([(1, "12.0.0.0", 8, 8), (1, "12.0.0.0", 8, 7)])
    assert len(table) == 6, "all or nothing"


def test_other_types_of_numbers_and_addresses() -> None:
    table = PfxTable()
    assert table.add_record(Number(64500), ipaddress.ip_address("198.51.100.0"), Number(24), Number(24))
    result = table.validate(Number(64500), ipaddress.ip_address("198.51.100.0"), Number(24))
    assert (str(result), bool(result), f"{result:>33}") == (
        "198.51.100.0/24 AS64500: valid",
        True,
        "   198.51.100.0/24 AS64500: valid",
    )
    assert result == table.validate(64500, "198.51.100.0", 24)
    routes = pack_routes([(Number(64500), ipaddress.ip_address("198.51.100.0"), Number(24))])
    for packed in (routes, bytearray(routes), memoryview(routes).cast("B", (1, 24))):
        assert table.validate_many(packed) == b"\0"
    for bad in (1.0, "1", None):
        with pytest.raises(TypeError, match="asn must be an int"):
            table.validate(bad, "10.0.0.0", 8)  # type: ignore[arg-type]


def test_who_said_it_is_beside_a_record() -> None:
    one, two = (RTRSocket(index, TCPServer("127.0.0.1", 323)) for index in range(2))
    records = [PFXRecord(64500, "10.0.0.0", 8, 8, socket) for socket in (one, two, None)]
    assert len(set(records)) == 1
    assert sorted(records) == records
    assert [record.socket for record in records] == [one, two, None]
    assert all(type(record).__name__ == "PFXRecord" and isinstance(record, PFXRecord) for record in records)
    assert type(records[0]) is type(PFXRecord(1, "::", 0, 0, one))
    assert repr(records[0]) == "PFXRecord(asn=64500, prefix='10.0.0.0', min_len=8, max_len=8)"
    assert f"{records[0]:>20}" == "  10.0.0.0/8-8 64500"
    again = pickle.loads(pickle.dumps(records[2]))
    assert (again, again.socket, copy.copy(records[0]).socket) == (records[2], None, one)
    with pytest.raises(AttributeError):
        records[0].socket = two


def test_a_table_says_by_whom_and_each_once() -> None:
    table, sockets = VRPTable(), {i: RTRSocket(i, TCPServer("127.0.0.1", 323)) for i in (3, 5)}
    table.activate(sockets)
    for index, numbers in ((5, (1, 2)), (3, (2, 3))):
        table.stage(index, b"".join(PACKED.pack(bytes([10, n, 0, 0]), 1, 16, 16, 4, 1) for n in numbers))
        table.commit(index, full=True)
    said = {record.prefix: record.socket for record in table.records()}
    assert said == {"10.1.0.0": sockets[5], "10.2.0.0": sockets[3], "10.3.0.0": sockets[3]}
    assert sum(map(len, table.activate({5: sockets[5]}))) == 24
    assert {record.prefix for record in table.records()} == {"10.1.0.0", "10.2.0.0"}
    table.stage(5, PACKED.pack(bytes([10, 4, 0, 0]), 1, 16, 16, 4, 1))
    assert len(table) == 2, "staged is not in force"
    table.discard(5)
    assert sum(map(len, table.drop(5))) == 48


def test_readers_do_not_wait_for_a_writer() -> None:
    table = VRPTable()
    table.activate({0: None})
    stop, states = threading.Event(), set()

    def read() -> None:
        while not stop.is_set():
            states.add(table.validate(1, "10.0.0.0", 8).state.name)
            assert len({record.asn for record in table.records()}) < 2, "one moment's"

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for asn in (1, 2) * 20:
        table.stage(0, b"".join(PACKED.pack(bytes([10, n, 0, 0]), asn, 16, 16, 4, 1) for n in range(200)))
        table.stage(0, PACKED.pack(bytes([10, 0, 0, 0]), asn, 8, 8, 4, 1))
        table.commit(0, full=True)
        table.discard(0)
        with table._lock:  # a writer at work
            states.add(table.validate(1, "10.0.0.0", 8).state.name)
    stop.set()
    for thread in threads:
        thread.join()
    assert states - {"not_found"} == {"valid", "invalid"}


def in_child(work: object) -> bool:
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if work() else 1)  # type: ignore[operator]
        finally:
            os._exit(2)
    return os.waitpid(pid, 0)[1] == 0


def test_a_child_forked_in_the_middle_of_a_change_reads_and_writes() -> None:
    table = PfxTable()
    table.add_records(VRPS)
    inner = table._table()
    with inner._write():  # as if another thread of the parent were at it
        assert in_child(lambda: table.validate(64500, "10.1.2.0", 24).is_valid and len(table) == 5)
        assert in_child(
            lambda: table.add_record(1, "11.0.0.0", 8, 8) and len(table) == 6 and table.remove_record(*VRPS[0])
        )
    assert len(table) == 5
    assert table.add_record(1, "11.0.0.0", 8, 8)


def test_who_interrupts_a_change_of_a_table_cannot_change_it(table: PfxTable) -> None:
    with table._table()._write():
        assert table.validate(64500, "10.1.2.0", 24).is_valid
        with pytest.raises(RuntimeError, match="signal handler"):
            table.close()
    table.close()
    assert len(table) == 0
