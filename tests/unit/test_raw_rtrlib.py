"""`from _rtrlib import lib, ffi`: librtr by its own names, as programs written for rtrlib-python use it."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from _rtrlib import ffi, lib
from rtrlib import PFXRecord
from tests.lab.raw_rtrlib import RawManager, add, address, new_table, record, validity

VRPS = ((234, "22.45.66.0", 24, 24), (545, "9.0.0.0", 8, 8), (4545, "223.4.66.0", 24, 28), (10030, "130::", 64, 64))
HEADERS = Path("/usr/include/rtrlib")


@pytest.fixture
def table() -> Iterator[Any]:
    table = new_table()
    for vrp in VRPS:
        add(table, *vrp)
    yield table
    lib.pfx_table_free(table)


def test_a_table_of_ones_own(table: Any) -> None:
    assert validity(table, 545, "9.0.0.0", 8) == lib.BGP_PFXV_STATE_VALID
    assert validity(table, 545, "9.1.0.0", 16) == lib.BGP_PFXV_STATE_INVALID
    assert validity(table, 10030, "130::", 64) == lib.BGP_PFXV_STATE_VALID
    assert validity(table, 545, "10.0.0.0", 8) == lib.BGP_PFXV_STATE_NOT_FOUND
    assert lib.pfx_table_add(table, record(*VRPS[0])) == lib.PFX_DUPLICATE_RECORD
    assert lib.pfx_table_remove(table, record(*VRPS[1])) == lib.PFX_SUCCESS
    assert lib.pfx_table_remove(table, record(*VRPS[1])) == lib.PFX_RECORD_NOT_FOUND
    assert validity(table, 545, "9.0.0.0", 8) == lib.BGP_PFXV_STATE_NOT_FOUND


def test_the_reason_of_a_validity(table: Any) -> None:
    reason, count = ffi.new("struct pfx_record **"), ffi.new("unsigned int *")
    result = ffi.new("enum pfxv_state *")
    route = (7, address("223.4.66.0"), 30)
    assert lib.pfx_table_validate_r(table, reason, count, *route, result) == lib.PFX_SUCCESS
    assert result[0] == lib.BGP_PFXV_STATE_INVALID
    found = ffi.gc(reason[0], lib.free)
    assert [(one.asn, one.min_len, one.max_len) for one in found[0 : count[0]]] == [(4545, 24, 28)]


def test_walking_through_a_table_with_the_callback_of_the_package(table: Any) -> None:
    seen: list[Any] = []
    handle = ffi.new_handle((lambda one, data: seen.append((one, data)), "x"))
    lib.pfx_table_for_each_ipv4_record(table, lib.pfx_table_callback, handle)
    assert sorted((one.asn, one.prefix, one.min_len, one.max_len) for one, _ in seen) == sorted(VRPS[:3])
    assert {data for _, data in seen} == {"x"}
    seen.clear()
    handle = ffi.new_handle((lambda one, _: seen.append(one), None))
    lib.pfx_table_for_each_ipv6_record(table, lib.pfx_table_callback, handle)
    assert seen == [PFXRecord(10030, "130::", 64, 64)]
    lib.pfx_table_remove(table, record(*VRPS[3]))
    assert str(seen[0]) == "130::/64-64 10030", "a record outlives what it was copied from"


def test_an_update_callback_of_ones_own() -> None:
    told = []

    @ffi.def_extern()
    def pfx_update_callback(_table: Any, one: Any, added: int) -> None:
        told.append((one.asn, bool(added)))

    table = new_table(lib.pfx_update_callback)
    add(table, *VRPS[0])
    lib.pfx_table_remove(table, record(*VRPS[0]))
    lib.pfx_table_free(table)
    assert told == [(234, True), (234, False)]


def test_addresses() -> None:
    assert address("192.0.2.1").u.addr4.addr == 0xC0000201  # host byte order
    assert list(address("2001:db8::1").u.addr6.addr) == [0x20010DB8, 0, 0, 1]
    assert lib.lrtr_ip_str_to_addr(b"no address", ffi.new("struct lrtr_ip_addr *")) != 0
    text = ffi.new("char[]", 64)
    assert lib.lrtr_ip_addr_to_str(address("2001:db8::1"), text, 64) == 0
    assert ffi.string(text) == b"2001:db8::1"
    assert lib.lrtr_ip_str_cmp(address("192.0.2.1"), b"192.0.2.1")
    assert lib.lrtr_ip_addr_equal(address("::1")[0], address("0:0::1")[0])


@pytest.mark.parametrize("transport", ["tcp", "ssh"])
def test_a_manager(transport: str) -> None:
    assert lib.have_ssh()
    manager = RawManager([323], [323], transport=transport, preferences=(1, 2), intervals=(30, 600, 600))
    assert manager.result == lib.RTR_SUCCESS
    config = manager.config[0]
    assert config.len == 2
    assert lib.rtr_mgr_get_first_group(config).preference == 1
    assert ffi.string(lib.rtr_mgr_status_to_str(lib.RTR_MGR_CLOSED)) == b"RTR_MGR_CLOSED"
    assert manager.sockets[0].state == lib.RTR_CLOSED
    # Of RTR_CLOSED itself librtr has no name: it reads behind its table of names.
    assert ffi.string(lib.rtr_state_to_str(lib.RTR_SHUTDOWN)) == b"RTR_SHUTDOWN"
    assert not lib.rtr_mgr_conf_in_sync(config)
    socket = manager.sockets[0]
    assert lib.rtr_get_interval_mode(socket) == lib.RTR_INTERVAL_MODE_DEFAULT_MIN_MAX
    lib.rtr_set_interval_mode(socket, lib.RTR_INTERVAL_MODE_IGNORE_ANY)
    assert lib.rtr_get_interval_mode(socket) == lib.RTR_INTERVAL_MODE_IGNORE_ANY
    assert (socket.refresh_interval, socket.expire_interval, socket.retry_interval) == (30, 600, 600)

    add(config.pfx_table, *VRPS[0])
    result = ffi.new("enum pfxv_state *")
    assert lib.rtr_mgr_validate(config, 234, address("22.45.66.0"), 24, result) == lib.PFX_SUCCESS
    assert result[0] == lib.BGP_PFXV_STATE_VALID
    seen = []
    handle = ffi.new_handle((lambda found, _: seen.append(found.asn), None))
    lib.rtr_mgr_for_each_ipv4_record(config, lib.pfx_table_callback, handle)
    lib.rtr_mgr_for_each_ipv6_record(config, lib.pfx_table_callback, handle)
    assert seen == [234]
    lib.rtr_mgr_free(config)


def test_intervals_that_are_none() -> None:
    assert RawManager([323], intervals=(30, 600, 7201)).result == lib.RTR_INVALID_PARAM


def exported() -> set[str]:
    name = ffi.string(lib.rtr_state_to_str(0)) and next(
        line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "/librtr.so" in line
    )
    symbols = subprocess.run(["nm", "-D", "--defined-only", name], capture_output=True, text=True, check=True)
    return {line.split()[-1] for line in symbols.stdout.splitlines() if " T " in line}


def test_every_function_that_librtr_exports_is_there() -> None:
    functions = exported()
    assert "rtr_mgr_init" in functions
    assert functions - set(dir(lib)) == set()


def declared(kind: str) -> dict[str, str]:
    """Name and body of each `enum` or `struct` in librtr's headers, without comments."""
    bare = re.sub(r"/\*.*?\*/", "", "\n".join(path.read_text() for path in HEADERS.rglob("*.h")), flags=re.DOTALL)
    return dict(re.findall(rf"^{kind} (\w+) {{(.*?)}};", bare, re.MULTILINE | re.DOTALL))


def test_every_enum_of_librtr_is_there_with_its_values() -> None:
    enums = declared("enum")
    assert {"pfxv_state", "rtr_socket_state", "rtr_mgr_status", "rtr_interval_mode"} <= set(enums)
    for name, body in enums.items():
        assert set(ffi.typeof(f"enum {name}").relements) == set(re.findall(r"\b([A-Z][A-Z0-9_]+)\b", body))


def test_every_struct_of_librtr_is_there_with_its_members() -> None:
    structs = declared("struct")
    assert {"pfx_record", "rtr_socket", "tr_ssh_config", "rtr_mgr_config"} <= set(structs)
    for name, body in structs.items():
        wanted = set()
        for member in re.sub(r"union {.*?} u;", "int u;", body, flags=re.DOTALL).split(";")[:-1]:
            pointer = re.search(r"\(\*(\w+)\)", member)
            wanted.add(pointer[1] if pointer else re.findall(r"(\w+)(?:\[\w+\])?\s*$", member)[0])
        assert {field for field, _ in ffi.typeof(f"struct {name}").fields} == wanted, name


def test_the_package_and_the_raw_names_are_one_library() -> None:
    assert PFXRecord(record(*VRPS[3])) == PFXRecord(10030, "130::", 64, 64)
