"""Every name of rtrlib-python 0.1's document is there, does what it said, or is in the table of what differs."""

import importlib
import inspect

import pytest

import rtrlib
from _rtrlib import ffi, lib
from rtrlib import util
from rtrlib.templates import TEMPLATES, TemplateError, render
from tests.lab import ROOT

NAMES = {
    "rtrlib": "RTRManager PfxvState ManagerGroupStatus __version__",
    "rtrlib.rtr_manager.RTRManager": "start stop is_synced wait_for_sync validate for_each_ipv4_record ipv4_records "
    "for_each_ipv6_record ipv6_records __enter__ __exit__",
    "rtrlib.rtr_manager.PfxvState": "valid not_found invalid",
    "rtrlib.rtr_manager.Reason": "as_valid as_invalid length_valid length_invalid",
    "rtrlib.rtr_manager.ValidationResult": "state is_invalid is_valid not_found as_invalid length_invalid reason",
    "rtrlib.rtr_socket.RTRSocketList": "__getitem__",
    "rtrlib.rtr_socket.RTRSocketState": "CONNECTING ESTABLISHED RESET SYNC FAST_RECONNECT ERROR_NO_DATA_AVAILABLE "
    "ERROR_NO_INCREMENTAL_UPDATE_AVAILABLE ERROR_FATAL ERROR_TRANSPORT SHUTDOWN",
    "rtrlib.records.PFXRecord": "asn max_len min_len prefix socket __str__",
    "rtrlib.records.SPKIRecord": "asn ski spki socket",
    "rtrlib.records": "copy_pfx_record",
    "rtrlib.manager_group.ManagerGroup": "sockets_len",
    "rtrlib.manager_group.ManagerGroupStatus": "CLOSED CONNECTING ESTABLISHED ERROR",
    "rtrlib.pfx_table.PfxTable": "add_record remove_record validate validate_r close __enter__ __exit__",
    "rtrlib.exceptions": "RTRInitError PFXException SyncTimeout IpConversionException",
    "rtrlib.util": "ip_str_to_addr ip_addr_to_str to_bytestr to_unicodestr is_integer is_string",
}
SOCKET = "expire_interval has_recieved_pdus last_update refresh_interval retry_interval state version"
GONE = ["register_pfx_update_callback", "CallbackGenerator", "StoppableThread", "RTRSocketList"]


@pytest.mark.parametrize("where", NAMES)
def test_every_name_is_there(where: str) -> None:
    module, _, cls = where.rpartition(".")
    found = getattr(importlib.import_module(module), cls) if cls[:1].isupper() else importlib.import_module(where)
    for name in NAMES[where].split():
        assert hasattr(found, name), name
    assert not inspect.isclass(found) or found.__doc__


def test_what_a_socket_and_a_group_have() -> None:
    socket = rtrlib.RTRSocket(0, rtrlib.TCPServer("127.0.0.1", 323))
    group = rtrlib.ManagerGroup("", 1, [socket])
    for one, names in ((socket, SOCKET), (group, "preference sockets_len status sockets")):
        for name in names.split():
            value = getattr(one, name)
            with pytest.raises(AttributeError):
                setattr(one, name, value)


def test_what_is_gone_is_in_the_table_of_the_page() -> None:
    table = (ROOT / "docs" / "rtrlib.md").read_text().split("## Coming from 0.1")[1].split("\n## ")[0]
    for name in GONE:
        assert f"`{name}" in table


def test_util() -> None:
    for text in ("192.0.2.1", "2001:db8::1"):
        assert util.ip_addr_to_str(util.ip_str_to_addr(text)) == text
    for bad in ("300.1.1.1", "1.2.3.4xx", ""):
        with pytest.raises(rtrlib.IpConversionException):
            util.ip_str_to_addr(bad)
    assert (util.to_bytestr("ä"), util.to_unicodestr(b"\xc3\xa4")) == (b"\xc3\xa4", "ä")
    assert (util.is_integer(1), util.is_integer(1.0), util.is_string("x"), util.is_string(b"x")) == (
        True,
        False,
        True,
        False,
    )


def test_templates_of_rtrclient() -> None:
    records = [rtrlib.PFXRecord(64500, "192.0.2.0", 24, 25), rtrlib.PFXRecord(64501, "2001:db8::", 32, 48)]
    text = {name: "".join(render(template, records)) for name, template in TEMPLATES.items()}
    assert text["default"] == "192.0.2.0/24-25 AS 64500\n2001:db8::/32-48 AS 64501\n"
    assert text["csv"] == "192.0.2.0, 24, 25, 64500\n2001:db8::, 32, 48, 64501\n"
    assert text["csvwithheader"].splitlines()[0] == "prefix, minlen, maxlen, asn"
    assert text["json"].count("},\n") == 1
    assert (
        "".join(render("a{{#roas}}{{ origin }}{{^last}}, {{/last}}{{#last}}.{{/last}}{{/roas}}b", records))
        == "a64500, 64501.b"
    )
    for bad in (
        "{{x}}",
        "{{#roas}}",
        "{{/roas}}",
        "{{#roas}}{{x}}{{/roas}}",
        "{{#roas}}{{#x}}{{/x}}{{/roas}}",
        "{{#last}}",
    ):
        with pytest.raises(TemplateError):
            render(bad, records)


def test_constructors_take_structs_of_librtr() -> None:
    record, key = ffi.new("struct pfx_record *"), ffi.new("struct spki_record *")
    record.prefix, record.asn, record.min_len, record.max_len = util.ip_str_to_addr("2001:db8::")[0], 64500, 32, 48
    key.asn = 64501
    for raw in (record, record[0]):
        assert rtrlib.PFXRecord(raw) == (64500, "2001:db8::", 32, 48)
        assert rtrlib.Reason(49, 64500, raw).length_invalid
    assert rtrlib.SPKIRecord(key) == (64501, bytes(20), bytes(91))
    sockets = ffi.new("struct rtr_socket *[1]", [socket := ffi.new("struct rtr_socket *")])
    socket.refresh_interval, socket.version, socket.state = 77, 1, lib.RTR_SYNC
    group = ffi.new("struct rtr_mgr_group *")
    group.preference, group.sockets_len, group.sockets, group.status = 3, 1, sockets, lib.RTR_MGR_ERROR
    one = rtrlib.RTRSocket(socket)
    assert (one.refresh_interval, one.state, one.has_recieved_pdus) == (77, rtrlib.RTRSocketState.SYNC, False)
    assert [each.version for each in rtrlib.RTRSocketList(sockets, 1)] == [1]
    made = rtrlib.ManagerGroup(group)
    assert (made.preference, made.sockets_len, made.status) == (3, 1, rtrlib.ManagerGroupStatus.ERROR)
    assert rtrlib.PFXRecord(record=record) == (64500, "2001:db8::", 32, 48)
    assert rtrlib.SPKIRecord(record=key).asn == 64501
    assert rtrlib.RTRSocket(socket=socket).refresh_interval == 77
    assert rtrlib.ManagerGroup(group=group).sockets_len == len(rtrlib.RTRSocketList(sockets=sockets, length=1)) == 1
    state, reasons = ffi.new("enum pfxv_state *", 2), ffi.new("struct pfx_record **", record)
    result = rtrlib.ValidationResult("2001:db8::", 49, 64500, state, reasons, 1)
    assert (result.is_invalid, result.length_invalid, len(result.reason)) == (True, True, 1)
    assert str(rtrlib.ValidationResult("10.0.0.0", 8, 1, 1)) == "10.0.0.0/8 AS1: not_found"
    for bad in (1, "x", None, key, ffi.NULL):
        for take in (rtrlib.PFXRecord, rtrlib.RTRSocket, rtrlib.ManagerGroup):
            with pytest.raises(TypeError):
                take(bad)
