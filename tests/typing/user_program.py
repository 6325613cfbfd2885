"""What a user of rtrlib may write; mypy --strict reads it, nobody runs it (tests/unit/test_rtrlib_typing.py)."""

from __future__ import annotations

import asyncio
from typing import assert_type

import rtrlib
from rtrlib import (
    ASPA,
    CacheGroup,
    ManagerGroup,
    ManagerGroupStatus,
    PFXRecord,
    PfxTable,
    PfxvState,
    Reason,
    RTRManager,
    RTRSocket,
    RTRSocketState,
    SPKIRecord,
    SSHServer,
    StatusChange,
    TCPServer,
    ValidationResult,
    VRPChange,
    VRPListener,
)
from rtrlib.exceptions import IpConversionException, RTRInitError, SyncTimeout
from rtrlib.records import copy_pfx_record


def on_status(group: ManagerGroup, status: ManagerGroupStatus, socket: RTRSocket, data: list[str]) -> None:
    if status is ManagerGroupStatus.ERROR and socket.state is RTRSocketState.ERROR_FATAL:
        data.append(f"{group.preference} {group.sockets_len} {socket.host} {socket.last_update + 1} {socket.error}")


def on_prefix(record: PFXRecord, added: bool, data: list[str]) -> None:
    data.append(f"{added} {record.prefix}/{record.min_len}-{record.max_len} {record.asn} {copy_pfx_record(record)}")


def on_key(record: SPKIRecord, added: bool, data: list[str]) -> None:
    data.append(f"{added} {record.asn} {record.ski.hex()} {record.spki.hex()}")


def positional() -> None:
    lines: list[str] = []
    manager = RTRManager("127.0.0.1", 323, 3600, 7200, 600, on_status, lines, on_prefix, lines, on_key, lines)
    manager.start(wait=False, timeout=5)
    manager.stop()


def groups() -> RTRManager:
    backup = SSHServer(
        "rpki.example.net", 22, username="rtr", private_key="/etc/rtrd/id", host_key="/etc/rtrd/host.pub"
    )
    return RTRManager(
        groups=[
            CacheGroup(1, [TCPServer("192.0.2.10", 323, bind="192.0.2.1", connect_timeout=10)], name="primary"),
            CacheGroup(2, [backup]),
        ],
        intervals="cache",
        status_callback=on_status,
        status_callback_data=[],
    )


def validate(manager: RTRManager) -> str:
    result = manager.validate(64500, "192.0.2.0", 24)
    assert_type(result, ValidationResult)
    assert_type(result.reason, list[Reason])
    assert_type(manager.validate_many([(64500, "192.0.2.0", 24)]), list[PfxvState])
    assert_type(manager.validate_many(rtrlib.pack_routes([(64500, "192.0.2.0", 24)])), bytes)
    if result == PfxvState.valid:
        return str(result)
    return ", ".join(str(reason.record.asn) for reason in result.reason if reason.as_invalid)


def records(manager: RTRManager) -> list[PFXRecord]:
    kept: list[PFXRecord] = []
    manager.for_each_ipv4_record(lambda record, data: data.append(record), kept)
    return [*kept, *manager.ipv6_records()]


def table() -> int:
    with PfxTable() as pfx_table:
        assert_type(pfx_table.add_record(64500, "192.0.2.0", 24, 24), bool)
        for record in pfx_table:
            assert_type(record.socket, RTRSocket | None)
        return len(pfx_table)


async def loop(manager: RTRManager) -> None:
    manager.start(wait=False)
    await manager.wait_synced(30)
    async for change in manager.changes():
        if isinstance(change, VRPChange):
            assert_type(change.record, PFXRecord)
        elif isinstance(change, StatusChange):
            assert_type(change.status, ManagerGroupStatus)
        else:
            assert_type(change.record, SPKIRecord | ASPA)


class Listener:
    def staged(self, cache: RTRSocket, records: bytes) -> None: ...
    def committed(self, cache: RTRSocket, full: bool) -> None: ...
    def discarded(self, cache: RTRSocket) -> None: ...
    def expired(self, cache: RTRSocket) -> None: ...
    def active(self, caches: frozenset[RTRSocket]) -> None: ...
    def changed(self, what: RTRSocket | ManagerGroup) -> None: ...
    def aspas(self, cache: RTRSocket, held: bytes) -> None: ...
    def aspas_expired(self, cache: RTRSocket) -> None: ...
    def router_key(self, cache: RTRSocket, asn: int, ski: bytes, spki: bytes, announce: bool) -> None: ...


def main() -> None:
    listener: VRPListener = Listener()
    try:
        with RTRManager("127.0.0.1", "323") as manager:
            print(validate(manager), records(manager), table())
        groups().open(listener)
        asyncio.run(loop(groups()))
    except (RTRInitError, SyncTimeout, IpConversionException) as fault:
        print(fault)
