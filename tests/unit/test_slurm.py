"""SLURM files as RFC 8416 publishes them, with every fault, and several at once."""

import base64
import ipaddress
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrd.vrps.slurm import KeyFilter, Slurm, SlurmError, check_overlaps, parse
from rtrlib.aspas import ASPA
from rtrlib.json_lines import line_of
from rtrlib.vrp import VRP
from rtrlib.vrp_entries import RouterKey
from rtrlib.vrp_filters import VRPFilter
from rtrlib.vrp_set import OF_PREFIX
from tests.lab.slurm_text import slurm_text
from tests.lab.strategies import filters, vrps

EMPTY = """{
  "slurmVersion": 1,
  "validationOutputFilters": {
    "prefixFilters": [],
    "bgpsecFilters": []
  },
  "locallyAddedAssertions": {
    "prefixAssertions": [],
    "bgpsecAssertions": []
  }
}
"""
"""RFC 8416 section 3.2, the empty file."""

SKI = base64.urlsafe_b64encode(bytes(range(20))).decode().rstrip("=")
FOO, BAR = (base64.urlsafe_b64encode(text.ljust(20)).decode().rstrip("=") for text in (b"foo", b"bar"))
KEY = base64.urlsafe_b64encode(bytes(range(165, 256))).decode().rstrip("=")

FULL = f"""{{
  "slurmVersion": 1,
  "validationOutputFilters": {{
    "prefixFilters": [
      {{
        "prefix": "192.0.2.0/24",
        "comment": "All VRPs encompassed by prefix"
      }},
      {{
        "asn": 64496,
        "comment": "All VRPs matching ASN"
      }},
      {{
        "prefix": "198.51.100.0/24",
        "asn": 64497,
        "comment": "All VRPs encompassed by prefix, matching ASN"
      }}
    ],
    "bgpsecFilters": [
      {{
        "asn": 64496,
        "comment": "All keys for ASN"
      }},
      {{
        "SKI": "{FOO}",
        "comment": "Key matching Router SKI"
      }},
      {{
        "asn": 64497,
        "SKI": "{BAR}",
        "comment": "Key for ASN 64497 matching Router SKI"
      }}
    ]
  }},
  "locallyAddedAssertions": {{
    "prefixAssertions": [
      {{
        "asn": 64496,
        "prefix": "198.51.100.0/24",
        "comment": "My other important route"
      }},
      {{
        "asn": 64496,
        "prefix": "2001:db8::/32",
        "maxPrefixLength": 48,
        "comment": "My other important de-aggregated routes"
      }}
    ],
    "bgpsecAssertions": [
      {{
        "asn": 64496,
        "comment" : "My known key for my important ASN",
        "SKI": "{SKI}",
        "routerPublicKey": "{KEY}"
      }}
    ]
  }}
}}
"""
"""RFC 8416 section 3.5, the full file; where it stands in brackets, a key."""


def slurm(text: str) -> Slurm:
    return parse("slurm.json", text.encode()).slurm


def faults(text: str | bytes) -> list[str]:
    with pytest.raises(SlurmError) as caught:
        parse("slurm.json", text if isinstance(text, bytes) else text.encode())
    return [str(fault) for fault in caught.value.faults]


def test_the_rfcs_empty_file_says_nothing() -> None:
    assert slurm(EMPTY) == Slurm()


def test_the_rfcs_full_file() -> None:
    assert slurm(FULL) == Slurm(
        filters=(VRPFilter("192.0.2.0/24", None), VRPFilter(None, 64496), VRPFilter("198.51.100.0/24", 64497)),
        assertions=(VRP("198.51.100.0/24", 24, 64496), VRP("2001:db8::/32", 48, 64496)),
        key_filters=(KeyFilter(64496, None), KeyFilter(None, b"foo".ljust(20)), KeyFilter(64497, b"bar".ljust(20))),
        key_assertions=(RouterKey(64496, bytes(range(20)), bytes(range(165, 256))),),
        filter_comments=(
            "All VRPs encompassed by prefix",
            "All VRPs matching ASN",
            "All VRPs encompassed by prefix, matching ASN",
        ),
        assertion_comments=("My other important route", "My other important de-aggregated routes"),
    )


def test_half_a_character_in_a_comment_is_escaped() -> None:
    """What JSON allows, no answer of ours could be encoded with."""
    found = slurm(FULL.replace("All VRPs matching ASN", "\\ud800 \\ud83d\\ude00"))
    assert found.filter_comments[1] == "\\ud800 \N{GRINNING FACE}"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"slurmVersion": 1', '"slurmVersion": 3', "slurm.json:2: slurmVersion: only versions 1 (RFC 8416"),
        ('"slurmVersion": 1', '"slurmVersion": true', "slurm.json:2: slurmVersion: Expected `int`, got `bool`"),
        ('"slurmVersion": 1,', "", "slurm.json:1: the file: Object missing required field `slurmVersion`"),
        ('"prefixFilters": [', '"prefixfilters": [', "slurm.json:4: validationOutputFilters: Object contains unknown"),
        ('"prefix": "192.0.2.0/24"', '"prefix": "192.0.2.1/24"', "slurm.json:5: validationOutputFilters.prefixFilters"),
        (
            '"prefix": "192.0.2.0/24"',
            '"prefix": "192.0.2.0"',
            "[0]: '192.0.2.0' is not a prefix: expected ADDRESS/LENGTH",
        ),
        ('"prefix": "192.0.2.0/24"', '"prefix": "192.0.2.0/33"', "[0]: '192.0.2.0/33' is not a prefix"),
        (
            '"prefix": "192.0.2.0/24"',
            '"prefix": null',
            "slurm.json:6: validationOutputFilters.prefixFilters[0].prefix:",
        ),
        ('"prefix": "192.0.2.0/24",', "", "prefixFilters[0]: a filter needs a prefix, an asn, or both"),
        ('"asn": 64496', '"asn": "64496"', "slurm.json:10: validationOutputFilters.prefixFilters[1].asn: Expected"),
        ('"asn": 64496', '"asn": 4294967296', "prefixFilters[1].asn: Expected `int` <= 4294967295"),
        ('"asn": 64496', '"asn": -1', "prefixFilters[1].asn: Expected `int` >= 0"),
        ('"asn": 64496', '"as": 64496', "slurm.json:10: validationOutputFilters.prefixFilters[1]: Object contains unk"),
        ('"asn": 64497', '"asn": 64497, "maxPrefixLength": 24', "slurm.json:15: validationOutputFilters.prefixFilter"),
        (f'"SKI": "{FOO}"', '"SKI": "Zm9v"', "bgpsecFilters[1]: SKI has 3 octets: expected 20"),
        (f'"SKI": "{FOO}"', f'"SKI": "{bytes(20).hex()}"', "bgpsecFilters[1]: SKI has 30 octets: expected 20"),
        (f'"SKI": "{FOO}"', f'"SKI": "{FOO}="', "bgpsecFilters[1]: SKI is not Base64 for URLs without a trailing ="),
        (f'"SKI": "{FOO}",', "", "bgpsecFilters[1]: a filter needs an asn, a SKI, or both"),
        ('"maxPrefixLength": 48', '"maxPrefixLength": 31', "maxPrefixLength 31 is out of range: expected 32 to 128"),
        ('"maxPrefixLength": 48', '"maxPrefixLength": 129', "maxPrefixLength 129 is out of range: expected 32 to 128"),
        (f'"SKI": "{SKI}"', '"SKI": "Zm9v"', "bgpsecAssertions[0]: SKI has 3 octets: expected 20"),
        (f'"{KEY}"', f'"{KEY}AAAA"', "bgpsecAssertions[0]: routerPublicKey has 94 octets: expected 91"),
        (f'"SKI": "{SKI}",', "", "bgpsecAssertions[0]: Object missing required field `SKI`"),
        ('"comment": "All VRPs m', '"asn": 1, "comment": "All VRPs m', "slurm.json: the member 'asn' is given twice"),
        ('"prefixFilters": [', '"prefixFilters" [', "slurm.json:4: not JSON: Expecting ':' delimiter"),
        ('"prefixFilters": [', '"prefixFil', "not JSON: Invalid control character"),
    ],
)
def test_whatever_deviates_is_a_fault_with_its_line(old: str, new: str, expected: str) -> None:
    assert old in FULL
    found = faults(FULL.replace(old, new, 1))
    assert any(expected in fault for fault in found), found
    assert not any(fault.endswith(" at") for fault in found), found


def test_a_number_is_the_same_number_with_a_fraction_of_nothing() -> None:
    text = FULL.replace('"slurmVersion": 1', '"slurmVersion": 1.0').replace("64496", "64496.0").replace("48,", "4.8e1,")
    assert text.count(".0") > 3
    assert slurm(text) == slurm(FULL)
    [*_, fault] = faults(FULL.replace('"maxPrefixLength": 48', '"maxPrefixLength": 47.5'))
    assert "maxPrefixLength: Expected `int`, got `float`" in fault
    assert faults(FULL.replace("64497", "1e999"))


@pytest.mark.parametrize("text", ["", "[]", "1", "null", '"x"', "{}", "[" * 100_000, "{" * 9, b"\xff", "1" * 5000])
def test_what_is_no_slurm_file_is_refused_in_a_sentence(text: str | bytes) -> None:
    [fault] = faults(text)
    assert fault.startswith("slurm.json:")
    assert "\n" not in fault


def test_all_faults_at_once_and_many_are_counted() -> None:
    found = faults(FULL.replace("64496", '"x"').replace("192.0.2.0/24", "192.0.2.0/99"))
    assert len(found) == 6
    many = json.loads(EMPTY)
    many["validationOutputFilters"]["prefixFilters"] = [{"asn": -1}] * 30
    found = faults(json.dumps(many))
    assert len(found) == 21
    assert found[-1] == "slurm.json: and 10 more faults"


def test_a_fault_repeats_nothing_that_a_terminal_obeys() -> None:
    [fault] = faults(FULL.replace('"192.0.2.0/24"', '"\\u001b[31m"'))
    assert "\x1b" not in fault


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_any_json_is_answered(value: Any) -> None:
    assert faults(json.dumps(value))


@given(st.recursive(st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_every_value_has_its_line(value: Any) -> None:
    """Printed with one value a line, lines are what counting them says."""
    text = json.dumps(value, indent=1)
    lines = text.split("\n")

    def check(inner: Any, path: tuple[str | int, ...]) -> None:
        line = lines[line_of(text, path) - 1].strip().rstrip(",")
        wanted = "{" if isinstance(inner, dict) else "[" if isinstance(inner, list) else json.dumps(inner)
        if path and isinstance(path[-1], str):
            assert line.startswith(json.dumps(path[-1]))
            assert wanted in line
        else:
            assert line.startswith(wanted)
        for key, below in inside(inner):
            check(below, (*path, key))

    check(value, ())


def inside(value: Any) -> list[tuple[str | int, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []


class TestOverlaps:
    """RFC 8416 section 4.2: what several files say must not meet."""

    @staticmethod
    def refused(*files: dict[str, Any]) -> list[str]:
        try:
            texts = [slurm_text(**file, indent=None).encode() for file in files]
            check_overlaps([parse(f"{number}.json", text) for number, text in enumerate(texts)])
        except SlurmError as error:
            return [str(fault) for fault in error.faults]
        return []

    def test_files_that_speak_of_different_networks_go_together(self) -> None:
        one = {"filters": [{"prefix": "192.0.2.0/25"}, {"asn": 64500}], "keys": [{"asn": 64500}]}
        two = {"assertions": [VRP("192.0.2.128/25", 25, 64500)], "keys": [{"asn": 64501}]}
        three = {"filters": [{"prefix": "2001:db8::/32"}, {"asn": 64500}], "keys": [{"SKI": FOO}]}
        assert self.refused(one, two, three) == []

    def test_a_prefix_within_another_files_prefix_is_told_once_a_pair(self) -> None:
        one = {"filters": [{"prefix": "192.0.2.0/24"}]}
        two = {"assertions": [VRP("192.0.2.64/26", 26, 1), VRP("192.0.2.0/24", 24, 1)]}
        [fault] = self.refused(one, two)
        assert fault == "1.json:1: 192.0.2.0/24 overlaps 192.0.2.0/24 of 0.json (RFC 8416 section 4.2)"
        assert len(self.refused(one, two, one)) == 3

    def test_one_file_may_overlap_itself(self) -> None:
        assert self.refused({"filters": [{"prefix": "::/0"}, {"prefix": "2001:db8::/32"}]}) == []

    def test_an_as_in_the_bgpsec_parts_of_two_files(self) -> None:
        [fault] = self.refused({"keys": [{"asn": 7}]}, {"keys": [{"asn": 7, "SKI": FOO}]})
        assert "1.json:1: AS7 overlaps AS7 of 0.json" in fault

    @given(st.lists(st.tuples(st.lists(filters(), max_size=4), st.lists(vrps(), max_size=4)), min_size=1, max_size=4))
    def test_exactly_the_pairs_that_share_an_address(self, files: list[tuple[list[VRPFilter], list[VRP]]]) -> None:
        spans = [
            [
                ipaddress.ip_network(prefix)
                for prefix in (*(one.prefix for one in some), *(one.prefix for one in entries))
                if prefix is not None
            ]
            for some, entries in files
        ]
        wanted = sum(
            any(one.version == two.version and one.overlaps(two) for one in spans[i] for two in spans[j])
            for i in range(len(spans))
            for j in range(i)
        )
        texts = [
            {
                "filters": [{key: value for key, value in one._asdict().items() if value is not None} for one in some],
                "assertions": entries,
            }
            for some, entries in files
        ]
        assert len(self.refused(*texts)) == wanted


# -- version 2 (draft-ietf-sidrops-aspa-slurm-04)


def of_version_2(filters: list[Any], assertions: list[Any], version: int = 2) -> bytes:
    return json.dumps(
        {
            "slurmVersion": version,
            "validationOutputFilters": {"prefixFilters": [], "bgpsecFilters": [], "aspaFilters": filters},
            "locallyAddedAssertions": {"prefixAssertions": [], "bgpsecAssertions": [], "aspaAssertions": assertions},
        }
    ).encode()


def refused(data: bytes) -> str:
    with pytest.raises(SlurmError) as found:
        parse("slurm.json", data)
    return str(found.value)


def test_more_assertions_of_one_prefix_than_can_be_in_force_are_refused() -> None:
    """One that is left out would make its routes invalid; the others of that prefix cover them."""
    some = [("10.0.0.0/8", 8, asn) for asn in range(OF_PREFIX)]
    others = [("10.0.0.0/9", 9, 1), ("2001:db8::/32", 32, 1)]
    again = [("10.0.0.0/8", 8, 0)]
    assert len(parse("slurm.json", slurm_text(assertions=some + others + again).encode()).slurm.assertions) == 1027
    found = refused(slurm_text(assertions=[*some, ("10.0.0.0/8", 9, 0)], indent=None).encode())
    assert found.endswith(".prefixAssertions: 1025 of 10.0.0.0/8, at most 1024 of one prefix are possible")


def test_aspas_are_filtered_and_asserted() -> None:
    found = parse(
        "slurm.json",
        of_version_2(
            [{"customerAsn": 64496, "comment": "wrong"}, {"customerAsid": 4200000000}],
            [{"customerAsn": 64497, "providerAsns": [64498, 4200000001]}, {"customerAsid": 1, "providerAsns": [0]}],
        ),
    ).slurm
    assert found.aspa_filters == (64496, 4200000000)
    assert found.aspa_assertions == (ASPA(64497, (64498, 4200000001)), ASPA(1, (0,)))
    assert (found.count_filters(), found.count_assertions()) == (2, 2)


@pytest.mark.parametrize(
    ("place", "member", "hint"),
    [
        (("validationOutputFilters", "prefixFilters"), "prefx", "prefix"),
        (("validationOutputFilters", "bgpsecFilters"), "ski", "SKI"),
        (("locallyAddedAssertions", "prefixAssertions"), "maxLength", "maxPrefixLength"),
        (("locallyAddedAssertions", "bgpsecAssertions"), "publicKey", "routerPublicKey"),
        (("locallyAddedAssertions", "aspaAssertions"), "providerSet", "providerAsns"),
        (("validationOutputFilters", "aspaFilters"), "customerAs", "customerAsn"),
        (("validationOutputFilters",), "prefixFilter", "prefixFilters"),
        ((), "slurmVersions", "slurmVersion"),
        ((), "nonsense", None),
    ],
)
def test_of_a_member_that_is_nearly_right_the_right_one_is_named(
    place: tuple[str, ...], member: str, hint: str | None
) -> None:
    content = json.loads(of_version_2([], []))
    at = content
    for name in place:
        at = at[name]
    if isinstance(at, list):
        at.append({member: 1})
    else:
        at[member] = 1
    found = refused(json.dumps(content).encode())
    assert f"unknown field `{member}`" in found
    assert found.endswith(f"; did you mean `{hint}`?" if hint else "`"), found


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"customerAsn": 5, "providerAsns": [2, 1]}, "aspaAssertions[0]: providerAsns must ascend: 1 follows 2"),
        ({"customerAsn": 5, "providerAsns": [2, 2]}, "AS2 is in providerAsns twice"),
        ({"customerAsn": 5, "providerAsns": [4, 5]}, "AS5 can't be a provider of its own"),
        ({"customerAsn": 5, "providerAsns": [0, 1]}, "0 in providerAsns says that there are no providers"),
        ({"customerAsn": 5, "providerAsns": []}, "providerAsns is empty"),
        ({"customerAsn": 0, "providerAsns": [1]}, "customerAsn: Expected `int` >= 1"),
        ({"customerAsn": 5, "customerAsid": 5, "providerAsns": [1]}, "give customerAsn or customerAsid, but not both"),
        ({"providerAsns": [1]}, "give customerAsn"),
        ({"customerAsn": 5}, "missing required field `providerAsns`"),
        ({"customerAsn": 5, "providerAsns": [1], "asn": 1}, "unknown field `asn`"),
        ({"customerAsn": 5, "providerAsns": list(range(10, 10_011))}, "10001 providers, at most 10000"),
    ],
)
def test_an_assertion_that_can_t_be_right_is_refused(entry: dict[str, Any], says: str) -> None:
    assert says in refused(of_version_2([], [entry]))


def test_version_1_has_no_aspas_and_version_2_must_have_them() -> None:
    assert "validationOutputFilters.aspaFilters: only a file of slurmVersion 2" in refused(of_version_2([], [], 1))
    assert "missing required field `aspaFilters`" in refused(EMPTY.replace(": 1,", ": 2,", 1).encode())


def test_two_files_may_not_speak_of_one_customer() -> None:
    one, other = (
        parse(name, data)
        for name, data in (
            ("one.json", of_version_2([{"customerAsn": 5}], [{"customerAsn": 5, "providerAsns": [1]}])),
            ("other.json", of_version_2([], [{"customerAsn": 5, "providerAsns": [1]}])),
        )
    )
    check_overlaps([one])
    with pytest.raises(SlurmError, match="customer AS5 overlaps customer AS5 of"):
        check_overlaps([one, other])
