"""The names, numbers and refusals that rtrlib promises, with no cache and no librtr thread behind them."""

import importlib
import inspect
from importlib import metadata
from typing import Any

import pytest

import rtrlib
from _rtrlib import lib
from rtrlib.exceptions import PFXException, RTRlibException

NAMES = {
    "rtrlib": ["RTRManager", "PfxTable", "PfxvState", "ManagerGroupStatus"],
    "rtrlib.rtr_manager": ["RTRManager", "PfxvState", "ValidationResult", "Reason"],
    "rtrlib.rtr_socket": ["RTRSocket", "RTRSocketList", "RTRSocketState"],
    "rtrlib.records": ["PFXRecord", "SPKIRecord", "copy_pfx_record"],
    "rtrlib.manager_group": ["ManagerGroup", "ManagerGroupStatus"],
    "rtrlib.pfx_table": ["PfxTable"],
    "rtrlib.exceptions": ["RTRInitError", "PFXException", "SyncTimeout", "IpConversionException"],
}
ANY = rtrlib.TCPServer("127.0.0.1", 323)
GROUP = rtrlib.CacheGroup(1, [ANY])


@pytest.mark.parametrize("module", NAMES)
def test_the_names_of_rtrlib_python_are_where_they_were(module: str) -> None:
    found = importlib.import_module(module)
    package = importlib.import_module("rtrlib")
    for name in NAMES[module]:
        assert name in found.__all__
        assert getattr(found, name) is getattr(package, name), "one thing, wherever it is imported from"


def test_a_manager_takes_its_options_by_position_in_the_old_order() -> None:
    parameters = list(inspect.signature(rtrlib.RTRManager).parameters.values())
    old = [one for one in parameters if one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    assert " ".join(one.name for one in old) == (
        "host port refresh_interval expire_interval retry_interval status_callback "
        "status_callback_data pfx_update_callback pfx_update_callback_data spki_update_callback "
        "spki_update_callback_data"
    )
    assert [one.default for one in old[2:]] == [3600, 7200, 600, *[None] * 6]
    assert all(one.kind is inspect.Parameter.KEYWORD_ONLY for one in parameters[len(old) :])
    waits = inspect.signature(rtrlib.RTRManager.start).parameters
    assert (list(waits), waits["wait"].default, waits["timeout"].default) == (["self", "wait", "timeout"], True, 5)
    assert inspect.signature(rtrlib.RTRManager.wait_for_sync).parameters["timeout"].default == 5


def test_states_have_librtrs_numbers() -> None:
    spelled = {
        "ERROR_NO_DATA_AVAILABLE": "ERROR_NO_DATA_AVAIL",
        "ERROR_NO_INCREMENTAL_UPDATE_AVAILABLE": "ERROR_NO_INCR_UPDATE_AVAIL",
    }
    assert " ".join(sorted(state.name for state in rtrlib.RTRSocketState)) == (
        "CLOSED CONNECTING ERROR_FATAL ERROR_NO_DATA_AVAILABLE ERROR_NO_INCREMENTAL_UPDATE_AVAILABLE "
        "ERROR_TRANSPORT ESTABLISHED FAST_RECONNECT RESET SHUTDOWN SYNC"
    )
    for state in rtrlib.RTRSocketState:
        assert state == getattr(lib, f"RTR_{spelled.get(state.name, state.name)}")
    for status in rtrlib.ManagerGroupStatus:
        assert status == getattr(lib, f"RTR_MGR_{status.name}")
    for validity in rtrlib.PfxvState:
        assert validity == getattr(lib, f"BGP_PFXV_STATE_{validity.name.upper()}")


def test_what_is_known_of_a_cache_before_anything_is() -> None:
    (group,) = rtrlib.RTRManager("127.0.0.1", "323", 1800, 3600, 300).groups()
    (socket,) = group.sockets
    assert (group.preference, group.sockets_len, group.status) == (1, 1, rtrlib.ManagerGroupStatus.CLOSED)
    assert (socket.refresh_interval, socket.expire_interval, socket.retry_interval) == (1800, 3600, 300)
    assert (socket.host, socket.port, socket.transport, str(socket)) == ("127.0.0.1", "323", "tcp", "127.0.0.1:323")
    assert (socket.state, socket.version, socket.last_update) == (rtrlib.RTRSocketState.CLOSED, 1, 0)
    assert (socket.session_id, socket.serial_number) == (None, None)
    assert socket.has_recieved_pdus is socket.has_received_pdus is False
    socket.write(has_received_pdus=True)
    assert socket.has_recieved_pdus is True


def test_the_sockets_of_a_group_are_a_sequence_that_nobody_changes() -> None:
    one, two = rtrlib.RTRSocket(0, ANY), rtrlib.RTRSocket(1, ANY)
    sockets = rtrlib.ManagerGroup("", 1, [one, two]).sockets
    assert isinstance(sockets, rtrlib.RTRSocketList)
    assert (len(sockets), sockets[0], sockets[-1], list(sockets)) == (2, one, two, [one, two])
    assert list(sockets[1:]) == [two]
    assert one in sockets
    with pytest.raises(IndexError):
        sockets[2]
    with pytest.raises(TypeError):
        sockets[0] = two  # type: ignore[index]


def test_a_picture_of_a_group_stays_as_it_was() -> None:
    socket = rtrlib.RTRSocket(0, ANY)
    socket.faults[rtrlib.Fault.REFUSED] += 1
    (seen,) = rtrlib.ManagerGroup("", 1, [socket]).picture().sockets
    socket.faults[rtrlib.Fault.REFUSED] += 1
    socket.write(state=rtrlib.RTRSocketState.ESTABLISHED)
    assert (seen.faults, seen.state) == ({rtrlib.Fault.REFUSED: 1}, rtrlib.RTRSocketState.CLOSED)
    assert seen == socket


def test_the_version_is_that_of_the_distribution() -> None:
    assert rtrlib.__version__ == metadata.version("rtrlib")
    assert int(rtrlib.__version__.split(".")[0]) >= 1, "pip must never take the old binding for it"


def test_records_are_values_of_their_own() -> None:
    record, key = rtrlib.PFXRecord(64500, "192.0.2.0", 24, 25), rtrlib.SPKIRecord(64500, bytes(20), bytes(91))
    assert str(record) == "192.0.2.0/24-25 64500"
    assert rtrlib.copy_pfx_record(record) == record
    assert rtrlib.copy_pfx_record(record) is not record
    assert len({record, rtrlib.copy_pfx_record(record), key}) == 2
    with pytest.raises(TypeError, match="a PFXRecord is needed, not SPKIRecord"):
        rtrlib.copy_pfx_record(key)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        record.asn = 1  # type: ignore[misc]


def test_what_goes_wrong_is_of_one_family() -> None:
    for fault in (rtrlib.RTRInitError, PFXException, rtrlib.SyncTimeout, rtrlib.IpConversionException):
        assert issubclass(fault, RTRlibException)
    assert issubclass(rtrlib.IpConversionException, ValueError), "who catches ValueError catches every bad argument"


INTERVALS = {"refresh_interval": (1, 86400), "expire_interval": (600, 172800), "retry_interval": (1, 7200)}


@pytest.mark.parametrize("name", INTERVALS)
def test_intervals_are_those_of_rfc_8210(name: str) -> None:
    low, high = INTERVALS[name]
    for good in (low, high):
        rtrlib.RTRManager("127.0.0.1", 323, **{name: good})  # type: ignore[arg-type]
    for bad in (low - 1, high + 1, -1):
        with pytest.raises(rtrlib.RTRInitError, match=rf"{name} .* is not in {low}\.\.{high} seconds"):
            rtrlib.RTRManager("127.0.0.1", 323, **{name: bad})  # type: ignore[arg-type]
    for wrong in (low + 0.5, str(low), None, True):
        with pytest.raises(rtrlib.OptionTypeError, match=rf"{name} .*: expected {low}\.\.{high} seconds"):
            rtrlib.RTRManager("127.0.0.1", 323, **{name: wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize("port", [3.5, b"323", None, True])
def test_a_port_is_an_int_or_a_str(port: object) -> None:
    with pytest.raises(TypeError, match="port must be int or str"):
        rtrlib.TCPServer("127.0.0.1", port)  # type: ignore[arg-type]
    if port is not None:
        with pytest.raises(TypeError, match="port must be int or str"):
            rtrlib.RTRManager("127.0.0.1", port)  # type: ignore[arg-type]


@pytest.mark.parametrize("port", [0, -1, 65536, "0", "65536", ""])
def test_a_port_number_is_one_of_tcp(port: int | str) -> None:
    for made in (rtrlib.TCPServer, rtrlib.RTRManager):
        with pytest.raises(rtrlib.RTRInitError, match=r"is not in 1\.\.65535"):
            made("127.0.0.1", port)


def test_a_port_may_be_a_service() -> None:
    assert rtrlib.TCPServer("127.0.0.1", "rpki-rtr").port == "rpki-rtr"
    with pytest.raises(rtrlib.RTRInitError, match="needs a port number"):
        rtrlib.SSHServer("127.0.0.1", "ssh", username="rtr", password="secret")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"host": b"127.0.0.1"}, "host must be str, not bytes"),
        ({"bind": 0}, "bind must be str, not int"),
        ({"username": 0}, "username must be str, not int"),
        ({"private_key": 0}, "private_key must be str, not int"),
        ({"host_key": 0}, "host_key must be str, not int"),
        ({"private_key": None, "password": b"secret"}, "password must be str, not bytes"),
    ],
)
def test_a_text_is_a_str(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(TypeError, match=complaint):
        rtrlib.SSHServer(**{"host": "127.0.0.1", "port": 22, "username": "rtr", "private_key": "id"} | options)  # type: ignore[arg-type]


@pytest.mark.parametrize("timeout", [0, 3601, 1.5, "30"])
def test_a_connect_timeout_is_some_seconds(timeout: object) -> None:
    kind = "is not in" if isinstance(timeout, int) else "is not a whole number: expected"
    with pytest.raises(rtrlib.RTRInitError, match=rf"connect_timeout .* {kind} 1\.\.3600 seconds"):
        rtrlib.TCPServer("127.0.0.1", 323, connect_timeout=timeout)  # type: ignore[arg-type]


def test_groups_are_groups_of_servers() -> None:
    with pytest.raises(TypeError, match="groups are CacheGroups, not TCPServer"):
        rtrlib.RTRManager(groups=[ANY])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="servers are TCPServers, TLSServers and SSHServers, not tuple"):
        rtrlib.CacheGroup(1, [("127.0.0.1", 323)])  # type: ignore[list-item]
    for preference in (-1, 256, "1", 1.5):
        with pytest.raises(rtrlib.RTRInitError, match=r"preference .* 0\.\.255"):
            rtrlib.CacheGroup(preference, [ANY])  # type: ignore[arg-type]


def test_what_is_no_route_is_refused_whether_or_not_anything_is_known() -> None:
    manager = rtrlib.RTRManager("127.0.0.1", 323)
    assert manager.validate(64500, "192.0.2.0", 24) == rtrlib.PfxvState.not_found
    for asn in ("64500", 64500.0, None):
        with pytest.raises(TypeError, match="asn must be an int"):
            manager.validate(asn, "192.0.2.0", 24)  # type: ignore[arg-type]
    for length in ("24", 24.0, None):
        with pytest.raises(TypeError, match="mask_len must be an int"):
            manager.validate(64500, "192.0.2.0", length)  # type: ignore[arg-type]
    for asn in (-1, 1 << 32):
        with pytest.raises(ValueError, match=r"is not in 0\.\.4294967295"):
            manager.validate(asn, "192.0.2.0", 24)
    for prefix, length in (("192.0.2.0", -1), ("192.0.2.0", 33), ("2001:db8::", 129)):
        with pytest.raises(ValueError, match=r"is not in 0\.\.(32|128)"):
            manager.validate(64500, prefix, length)
    for text in ("300.1.1.1", "1.2.3.4xx", "192.0.2", "192.0.2.0/24", "2001:db8::/32", "example.net", "", None, 7):
        with pytest.raises(rtrlib.IpConversionException, match="is not an IP address"):
            manager.validate(64500, text, 24)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"groups": []}, "no group"),
        ({"groups": [GROUP, GROUP]}, "two groups have preference 1"),
        ({"groups": [rtrlib.CacheGroup(1, [ANY] * 31)]}, "31 caches are configured; at most 30"),
        ({"groups": [GROUP], "intervals": "whatever"}, "'configured' or 'cache'"),
    ],
)
def test_bad_options_are_refused_before_librtr_sees_them(options: Any, complaint: str) -> None:
    with pytest.raises(rtrlib.RTRInitError, match=complaint):
        rtrlib.RTRManager(**options)


def test_bad_servers_are_refused() -> None:
    with pytest.raises(rtrlib.RTRInitError, match="has no server"):
        rtrlib.CacheGroup(1, [])
    with pytest.raises(rtrlib.RTRInitError, match=r"the host of cache .* cannot be printed"):
        rtrlib.TCPServer("127.0.0.1\0evil", 323)


def test_groups_are_used_by_preference_whatever_their_order() -> None:
    manager = rtrlib.RTRManager(groups=[rtrlib.CacheGroup(9, [ANY], "last"), rtrlib.CacheGroup(3, [ANY, ANY], "first")])
    assert [group.name for group in manager.groups()] == ["first", "last"]
    assert [[socket.index for socket in group.sockets] for group in manager.groups()] == [[1, 2], [0]]
    assert [group.preference for group in manager.groups()] == [3, 9]
