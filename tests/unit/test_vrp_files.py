"""VRP files: what each tool writes, what is wrong with entries, what is not a VRP file."""

import base64
import gzip
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrd.vrps import files, json_file
from rtrlib import children, packed
from rtrlib.vrp_entries import MAX_FAULTS, RouterKey, VRPFile, VRPFileError, key_entries
from tests.unit.test_vrp_packed import Tuple, pack, unpack, vrps

SKI = "5D4250E2D81D4448D8A29EFCE91D29FF075EC9E2"
KEY = RouterKey(15562, bytes.fromhex(SKI), bytes(range(91)))
PUBKEY = base64.b64encode(KEY.spki).decode()

RPKI_CLIENT = """{
  "metadata": {"buildmachine": "example.net", "vrps": 2},
  "roas": [
    { "asn": 64500, "prefix": "192.0.2.0/24", "maxLength": 25, "ta": "ripe", "expires": 1700000000 },
    { "asn": 64501, "prefix": "2001:db8::/32", "maxLength": 48, "ta": "apnic", "expires": 1700000000 }
  ],
  "bgpsec_keys": [{"asn": 15562, "ski": "SKI-OF-KEY", "pubkey": "PUBKEY-OF-KEY", "ta": "ripe", "expires": 1}]
}""".replace("SKI-OF-KEY", SKI).replace("PUBKEY-OF-KEY", PUBKEY)
ROUTINATOR = """{
  "metadata": {"generated": 1700000000},
  "roas": [
    { "asn": "AS64501", "prefix": "2001:0DB8::/32", "maxLength": 48, "ta": "apnic" },
    { "asn": "AS64500", "prefix": "192.0.2.0/24", "maxLength": 25, "ta": "ripe" },
    { "asn": "AS64500", "prefix": "192.0.2.0/24", "maxLength": 25, "ta": "apnic" }
  ],
  "routerKeys": [{"asn": "AS15562", "SKI": "SKI-OF-KEY", "routerPublicKey": "PUBKEY-OF-KEY", "ta": "ripe"}]
}""".replace("SKI-OF-KEY", SKI).replace("PUBKEY-OF-KEY", PUBKEY)
CSV = """ASN,IP Prefix,Max Length,Trust Anchor
AS64500,192.0.2.0/24,25,ripe
AS64501,2001:db8::/32,48,apnic
"""
CSV_EXT = """URI,ASN,IP Prefix,Max Length,Not Before,Not After
rsync://a.example/a.roa,AS64500,192.0.2.0/24,25,2026-01-01 00:00:00,2027-01-01 00:00:00
rsync://a.example/b.roa,AS64501,2001:db8::/32,48,2026-01-01 00:00:00,2027-01-01 00:00:00
"""
EXPECTED = ["192.0.2.0/24-25 AS64500", "2001:db8::/32-48 AS64501"]


def listed(file: VRPFile) -> list[str]:
    return ["{}-{} AS{}".format(*unpack(record)) for record in packed.split(file.packed)]


def read(folder: Path, content: Any) -> VRPFile:
    path = folder / "vrps"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return files.read(path)


@pytest.mark.parametrize("content", [RPKI_CLIENT, ROUTINATOR], ids=["rpki-client", "routinator"])
def test_json_of_each_tool(tmp_path: Path, content: Any) -> None:
    for octets in (content.encode(), gzip.compress(content.encode())):
        file = read(tmp_path, octets)
        assert listed(file) == EXPECTED
        assert file.router_keys == (KEY,)
        assert (file.faults, file.fault_count, file.count) == ([], 0, 2)


@pytest.mark.parametrize("content", [CSV, CSV.partition("\n")[2], CSV.replace("\n", "\r\n")])
def test_csv_with_and_without_its_header(tmp_path: Path, content: Any) -> None:
    for octets in (content.encode(), gzip.compress(content.encode())):
        assert listed(read(tmp_path, octets)) == EXPECTED


def test_an_absent_max_length_is_the_prefix_s(tmp_path: Path) -> None:
    content = '{"roas": [{"asn": 1, "prefix": "10.0.0.0/8"}, {"asn": "2", "prefix": "::/0", "maxLength": null}]}'
    assert listed(read(tmp_path, content)) == ["10.0.0.0/8-8 AS1", "::/0-0 AS2"]
    assert listed(read(tmp_path, "AS1,10.0.0.0/8,\n")) == ["10.0.0.0/8-8 AS1"]


def test_an_empty_set_is_a_set(tmp_path: Path) -> None:
    assert read(tmp_path, '{"roas": []}').packed == b""
    assert read(tmp_path, "ASN,IP Prefix,Max Length,Trust Anchor\n").packed == b""


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ({"prefix": "192.0.2.1/24"}, "'192.0.2.1/24' has host bits set"),
        ({"prefix": "2001:db8::1/32"}, "'2001:db8::1/32' has host bits set"),
        ({"prefix": "192.0.2.0/99"}, "'192.0.2.0/99' is not a prefix"),
        ({"prefix": "192.0.2.0/33"}, "'192.0.2.0/33' is not a prefix"),
        ({"prefix": "192.0.2.0"}, "'192.0.2.0' is not a prefix"),
        ({"prefix": "192.0.2/24"}, "'192.0.2/24' is not a prefix"),
        ({"prefix": "192.0.2.0/024"}, "'192.0.2.0/024' is not a prefix"),
        ({"prefix": "192.0.2.0/²4"}, r"'192.0.2.0/\xb24' is not a prefix"),
        ({"prefix": "192.0.2.0\0/24"}, r"'192.0.2.0\x00/24' is not a prefix"),
        ({"prefix": "2001:db8::/129"}, "'2001:db8::/129' is not a prefix"),
        ({"prefix": "x" * 99 + "\n"}, "'" + "x" * 57 + "...' is not a prefix"),
        ({"maxLength": 23}, "max length 23 of 192.0.2.0/24 is not from 24 to 32"),
        ({"maxLength": 33}, "max length 33 of 192.0.2.0/24 is not from 24 to 32"),
        ({"maxLength": 10**30}, "max length 10000000000000000000 of 192.0.2.0/24 is not from 24 to 32"),
        ({"asn": 1 << 32}, "'4294967296' is not an AS number (0 to 4294967295)"),
        ({"asn": -1}, "'-1' is not an AS number (0 to 4294967295)"),
        ({"asn": "AS"}, "'AS' is not an AS number (0 to 4294967295)"),
        ({"asn": "AS1.5"}, "'AS1.5' is not an AS number (0 to 4294967295)"),
        ({"asn": None}, "Expected `int | float | str`, got `null` - at `$.asn`"),
        ({"prefix": 5}, "Expected `str`, got `int` - at `$.prefix`"),
        ({"maxLength": "24"}, "Expected `int | float | null`, got `str` - at `$.maxLength`"),
    ],
)
def test_a_faulty_entry_is_left_out_and_named(tmp_path: Path, entry: dict[str, Any], what: str) -> None:
    good = {"asn": 64500, "prefix": "192.0.2.0/24", "maxLength": 25}
    file = read(tmp_path, json.dumps({"roas": [good, good | entry]}))
    assert listed(file) == EXPECTED[:1]
    assert file.faults == [f"{tmp_path}/vrps: roas[1]: {what}"]
    assert file.fault_count == 1


@pytest.mark.parametrize("name", ["max_length", "max-length", "maxlength", "MaxLength", "maxPrefixLength", "Max Len"])
def test_a_max_length_by_another_name_is_not_taken_for_none(tmp_path: Path, name: str) -> None:
    """With the prefix's own length instead, routes that are valid would be withdrawn."""
    good = {"asn": 64500, "prefix": "192.0.2.0/24", "maxLength": 25}
    wrong = {"asn": 64500, "prefix": "10.0.0.0/8", name: 24}
    absent = {"asn": 1, "prefix": "10.0.0.0/8", "ta": "maximal"}
    file = read(tmp_path, json.dumps({"roas": [good, wrong, absent]}))
    assert listed(file) == [EXPECTED[0], "10.0.0.0/8-8 AS1"]
    assert file.faults == [f"{tmp_path}/vrps: roas[1]: '{name}' is not read: expected 'maxLength'"]
    with pytest.raises(VRPFileError, match="2 of 2 entries can't be used"):
        read(tmp_path, json.dumps({"roas": [wrong, wrong]}))


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ({"ski": "00"}, "SKI '00' is not 20 octets in hexadecimal"),
        ({"pubkey": "%"}, "the public key is not base64 of 91 octets (RFC 8608)"),
        ({"pubkey": "YW55IERFUg=="}, "the public key is not base64 of 91 octets (RFC 8608)"),
        ({"asn": "x"}, "'x' is not an AS number (0 to 4294967295)"),
        ({"ski": 7}, "Expected `str`, got `int` - at `$.ski`"),
    ],
)
def test_a_faulty_router_key_is_left_out_and_named(tmp_path: Path, key: dict[str, Any], what: str) -> None:
    good = {"asn": 15562, "ski": SKI, "pubkey": PUBKEY}
    file = read(tmp_path, json.dumps({"roas": [], "bgpsec_keys": [good | key, good]}))
    assert file.router_keys == (KEY,)
    assert file.faults == [f"{tmp_path}/vrps: bgpsec_keys[0]: {what}"]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("AS64500,192.0.2.0/24", "expected ASN,IP Prefix,Max Length,Trust Anchor"),
        ("AS64500,192.0.2.1/24,24,x", "'192.0.2.1/24' has host bits set"),
        ("AS64500,192.0.2.0/24,2x,x", "'2x' is not a max length"),
        ("nobody,192.0.2.0/24,24,x", "'nobody' is not an AS number (0 to 4294967295)"),
    ],
)
def test_a_faulty_line_is_left_out_and_named(tmp_path: Path, line: str, what: str) -> None:
    file = read(tmp_path, f"{CSV}\n{line}\n")
    assert listed(file) == EXPECTED
    assert file.faults == [f"{tmp_path}/vrps:5: {what}"]


def test_faults_are_counted_beyond_those_described(tmp_path: Path) -> None:
    good = [{"asn": 1, "prefix": f"10.{n >> 8}.{n & 255}.0/24"} for n in range(1000)]
    file = read(tmp_path, json.dumps({"roas": [{"asn": 1, "prefix": "x"}] * 1000 + good}))
    assert (len(file.faults), file.fault_count, file.count) == (MAX_FAULTS, 1000, 1000)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", ":1: the file is empty"),
        (" \n", ":1: the file is empty"),
        (RPKI_CLIENT[:200], ":5: Input data was truncated"),
        ('{"roas": [],\n oops}', ":2: JSON is malformed: expected the name of a member"),
        ('{"vrps": []}', ':1: no member is called `roas`; expected {"roas": [...]}'),
        ('{"roas": {}}', ':1: expected an array at roas, as in {"roas": [...]}'),
        ("[]", ':1: an empty array may be a list of anything; expected {"roas": [...]}'),
        ('{"roas": [{"asn": 1, "prefix": "\xff"', ":1: Input data was truncated"),
        ("AS1,10.0.0.0/8,8,x\nAS1,11.0.0.0/8,8", ":2: the last line has no end"),
        ("hello\n", ":1: expected ASN,IP Prefix,Max Length,Trust Anchor"),
        ("null", ":1: expected ASN,IP Prefix,Max Length,Trust Anchor"),
        (b"\x1f\x8b\x08broken", ": "),
        (
            gzip.compress(CSV.encode(), mtime=0)[:-12],
            ": Compressed file ended before the end-of-stream marker was reached",
        ),
        (b"\x00\xff" * 50 + b"\n", ":1: "),
        (b'{"roas": [' + b"[" * 100_000, ":1: maximum recursion depth"),
    ],
)
def test_what_is_no_vrp_file_is_refused_with_its_place(tmp_path: Path, content: Any, what: str) -> None:
    with pytest.raises(VRPFileError) as caught:
        read(tmp_path, content)
    assert str(caught.value).startswith(f"{tmp_path}/vrps{what}")


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VRPFileError, match="No such file or directory"):
        files.read(tmp_path / "none")
    with pytest.raises(VRPFileError, match="it is a folder, not a file"):
        files.read(tmp_path)


@given(st.sets(vrps(), max_size=40), st.booleans())
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, entries: set[Tuple], with_key: bool) -> None:
    records = packed.packed(packed.ordered(b"".join(map(pack, entries))))
    keys = (KEY,) if with_key else ()
    roas = [{"asn": asn, "prefix": str(prefix), "maxLength": most} for prefix, most, asn in entries]
    written = json.dumps({"roas": roas, "bgpsec_keys": key_entries(keys)})
    file = read(tmp_path_factory.getbasetemp(), written)
    assert (file.packed, file.router_keys, file.fault_count) == (records, keys, 0)


def readable(folder: Path, content: Any) -> VRPFile | None:
    """The file, or None when it was refused in one line."""
    try:
        return read(folder, content)
    except VRPFileError as error:
        message = str(error)
    assert message.splitlines() == [message]
    return None


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_octets_are_a_file_or_a_clear_refusal(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    file = readable(tmp_path_factory.getbasetemp(), content)
    assert file is None or len(file.packed) % packed.VRP_SIZE == 0


FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | st.integers() | FLOATS | st.text(max_size=20)
NAMES = st.sampled_from(["roas", "asn", "prefix", "maxLength", "bgpsec_keys", "SKI"])


@given(st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4)))
def test_any_json_is_a_file_or_a_clear_refusal(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    file = readable(tmp_path_factory.getbasetemp(), json.dumps({"roas": value}))
    assert (file is not None) is (value == [])
    other = readable(tmp_path_factory.getbasetemp(), json.dumps({"": value, "roas": [], "roas2": [value] * 3}))
    assert other is not None


def test_a_file_most_of_which_is_unusable_is_refused_unless_it_is_allowed(tmp_path: Path) -> None:
    good = [{"asn": 64500, "prefix": "192.0.2.0/24"}]
    bad = [{"asn": 64500, "prefix": "192.0.2.0"}]
    for content, what in (
        (json.dumps({"roas": good * 2 + bad * 3}), ": roas[2]: '192.0.2.0' is not a prefix"),
        ("AS1,10.0.0.0/8,8\n" * 2 + "AS1,10.0.0.1/8,8\n" * 3, ":3: '10.0.0.1/8' has host bits set"),
    ):
        with pytest.raises(VRPFileError) as caught:
            read(tmp_path, content)
        assert str(caught.value) == f"{tmp_path}/vrps{what}; 3 of 5 entries can't be used, more than 50 % (--allow-bad)"
        assert files.read(tmp_path / "vrps", allow_bad=60).count == 1
        with pytest.raises(VRPFileError, match=r"more than 59\.9 %"):
            files.read(tmp_path / "vrps", allow_bad=59.9)
    read(tmp_path, json.dumps({"roas": good + bad}))
    (tmp_path / "vrps").write_text(json.dumps({"roas": bad * 4}))
    with pytest.raises(VRPFileError, match=r"4 of 4 entries can't be used$"):
        files.read(tmp_path / "vrps", allow_bad=100)


def test_a_router_key_is_read_in_either_base64_padded_or_not(tmp_path: Path) -> None:
    key = RouterKey(1, bytes(20), b"\xfb\xff" + bytes(89))
    standard = base64.b64encode(key.spki).decode()
    url = base64.urlsafe_b64encode(key.spki).decode()
    assert standard != url
    for text in (standard, url, standard.rstrip("="), url.rstrip("=")):
        entry = {"asn": "AS1", "SKI": "00" * 20, "routerPublicKey": text, "ta": "ripe"}
        assert read(tmp_path, json.dumps({"roas": [], "routerKeys": [entry]})).router_keys == (key,)


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + CSV,
        "\ufeff" + ROUTINATOR,
        CSV.replace("ASN,IP Prefix,Max Length,Trust Anchor", '"asn","ip prefix","MaxLength","ta"'),
        CSV.replace("\nAS", "\n# by hand\nas"),
        CSV + CSV,
        "# by hand\n\n" + CSV.partition("\n")[2],
        CSV_EXT,
        "Max Length,IP Prefix,ASN\n25,192.0.2.0/24,64500\n48,2001:db8::/32,64501\n",
        "\n".join(json.dumps(json.loads(RPKI_CLIENT)["roas"]).split(" ")),
        '{"x": [["]}"]], "roas": [{"asn": 64500.0, "prefix": "192.0.2.0/24", "maxLength": 25.0}]}',
    ],
)
def test_spellings_that_are_read(tmp_path: Path, content: str) -> None:
    file = read(tmp_path, content)
    assert (listed(file)[:1], file.faults) == (EXPECTED[:1], [])


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (ROUTINATOR.encode("utf-16"), "text in UTF-16"),
        ('<html lang="en">', "XML or HTML"),
        ("roa-set {\n192.0.2.0/24 source-as 1\n}\n", "a configuration of OpenBGPD"),
        ("roa table roa4 {\nroa 192.0.2.0/24 max 24 as 1;\n}\n", "a configuration of BIRD"),
        ("route 192.0.2.0/24 max 24 as 1;\n", "a configuration of BIRD"),
        (
            "# Generated on host x at 2026\n#\n\nroa-set {\n\t192.0.2.0/24 source-as 1\n}\n",
            "a configuration of OpenBGPD",
        ),
        ("# Generated on host x at 2026\n\nroa4 table ROAS4;\n", "a configuration of BIRD"),
        ("\nroute: 192.0.2.0/24\norigin: AS1\n", "RPSL"),
        ("// by hand\n" + ROUTINATOR, "JSON with comments"),
        ("# by hand\n" + ROUTINATOR, "JSON with comments"),
        (CSV.replace(",", ";"), "separated by semicolons"),
        (CSV.replace(",", "\t"), "separated by tabs"),
        (b"BZh91AY&SY", "packed by bzip2"),
        (gzip.compress(gzip.compress(CSV.encode())), "packed by gzip twice"),
    ],
)
def test_other_formats_are_refused_by_name(tmp_path: Path, content: Any, what: str) -> None:
    with pytest.raises(VRPFileError) as caught:
        read(tmp_path, content)
    expected = "expected JSON, or CSV with commas, packed by gzip or not"
    assert str(caught.value) == f"{tmp_path}/vrps: this is {what}: {expected}"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ('{"roas": [],\n"roas": []}', ":2: the member 'roas' is given twice"),
        (
            '{"roas": [{"asn": 1, "asn": 2, "prefix": "10.0.0.0/8"}]}',
            ": roas[0]: a member is given twice in it",
        ),
        (
            r'{"roas": [{"asn": 1, "\u0061sn": 2, "prefix": "10.0.0.0/8"}]}',
            ": roas[0]: a member is given twice in it",
        ),
        ('{"slurmVersion": 1}', ":1: no member is called `roas`: this is a SLURM file; expected"),
        ('{"roas": []} x', ":1: something follows the end of the JSON"),
        ('{"roas": [1,]}', ":1: JSON is malformed: trailing comma in array"),
        ('{"roas": []', ":1: Input data was truncated"),
        ('{"x": nonsense, "roas": []}', ":1: JSON is malformed"),
        ('{"x": [1 2], "roas": []}', ":1: JSON is malformed"),
        ("Autonomous System,Network,Longest\n", ":1: expected ASN,IP Prefix,Max Length,Trust Anchor"),
        ("ASN,IP Prefix,Trust Anchor\n", ":1: the header does not name each column once"),
        ("IP Prefix,ASN,Max Length,ASN\n", ":1: the header does not name each column once"),
    ],
)
def test_what_is_ambiguous_or_half_is_refused(tmp_path: Path, content: str, what: str) -> None:
    with pytest.raises(VRPFileError) as caught:
        read(tmp_path, content)
    assert str(caught.value).startswith(f"{tmp_path}/vrps{what}")


BOMBS = [
    (b'{"roas":[', b"1,", b"1]}"),
    (b'{"roas":[', b"{},", b"{}]}"),
    (b'{"roas":[', b'{"asn":1,"prefix":"10.0.0.0/8"},', b'{"asn":1,"prefix":"10.0.0.0/8"}]}'),
    (b'{"x":[', b"[[]],", b'1],"roas":[]}'),
    (b'{"x":"', b"a" * 64, b'","roas":[]}'),
    (b'{"roas":[', b"[", b""),
    (b'{"roas":[', b"1", b"]}"),
    (b'{"roas":[{"asn":1,"prefix":"', b" ", b'"}]}'),
    (b"[", b"null,", b"1]"),
    (b"ASN,IP Prefix,Max Length\n", b"\n", b""),
    (b"ASN,IP Prefix,Max Length\n", b",,,\n", b""),
    (b"ASN,IP Prefix,Max Length\n", b"1,", b"\n"),
    (b"", b" ", b""),
    (b"", b"\0", b""),
]
READ_ALL = """
import sys
from rtrd.vrps import files
for path in sys.argv[1:]:
    try:
        files.read(path)
    except files.VRPFileError as error:
        assert len(str(error)) < 300, str(error)
    else:
        raise AssertionError(path)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))  # kB
"""


def test_bombs_are_refused_in_little_memory(tmp_path: Path) -> None:
    for number, (head, part, tail) in enumerate(BOMBS):
        with gzip.open(tmp_path / str(number), "wb", 1) as file:
            file.write(head)
            for _ in range(17):
                file.write(part * (1 << 17))
            file.write(tail)
    command = children.module("rtrd.vrps.reader")
    argv = [command.argv[0], "-c", READ_ALL, *map(str, tmp_path.iterdir())]
    ended = subprocess.run(argv, env=command.env, stdout=subprocess.PIPE, text=True, check=True)
    assert int(ended.stdout) < 150 << 10


def test_no_octet_of_a_large_file_is_lost_at_the_ends_of_windows(tmp_path: Path) -> None:
    """Entries with objects, arrays and braces in strings, in windows that end anywhere."""
    details = {"source": [{"uri": 'rsync://a/"},{b', "validity": {"from": [1, {}]}}, {"x": "]}"}]}
    count = 2 * json_file.WINDOW // len(json.dumps(details))
    roas = [{"asn": n, "prefix": "10.0.0.0/8", "maxLength": 8, **details, "n": "x" * (n % 7)} for n in range(count)]
    for separators in ((",", ":"), (" ,\n", " : ")):
        file = read(tmp_path, json.dumps({"roas": roas, "others": [details] * 9}, separators=separators))
        assert (file.count, file.fault_count) == (count, 0)
