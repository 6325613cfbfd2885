"""SLURM files (RFC 8416): their filters and assertions, or every fault with its line. No file, no clock.

Version 2 (draft-ietf-sidrops-aspa-slurm-04) has ASPAs, too.

"An RP MUST consider any deviations from the specifications as errors" (section 3.1): nothing of a file with a fault is
used, and nothing of several files that overlap (section 4.2).
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Annotated, Any, Final, NamedTuple, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from rtrd.base.faults import FaultyFileError, FileFault
from rtrd.base.text import counted, meant, printable
from rtrlib.aspas import ASPA, MOST_PROVIDERS
from rtrlib.json_lines import Path, line_of
from rtrlib.vrp import VRP
from rtrlib.vrp_entries import SPKI_SIZE, RouterKey
from rtrlib.vrp_filters import VRPFilter, parse_prefix
from rtrlib.vrp_set import OF_PREFIX

MOST_FAULTS: Final = 20
"""How many faults of a file are described; the others are only counted."""

SKI_SIZE: Final = 20
"""Octets of a subject key identifier (RFC 8210 section 5.10)."""

ASN = Annotated[int, Meta(ge=0, le=4294967295)]
Customer = Annotated[int, Meta(ge=1, le=4294967295)]


class SlurmError(FaultyFileError):
    """SLURM files that can't be used."""


class KeyFilter(NamedTuple):
    """Matches router keys of this AS and with this subject key identifier; None: any."""

    asn: int | None
    ski: bytes | None

    def matches(self, key: RouterKey) -> bool:
        """Whether it removes this key (RFC 8416 section 3.3.2)."""
        return self.asn in (None, key.asn) and self.ski in (None, key.ski)


class Slurm(NamedTuple):
    """What a SLURM file says."""

    filters: tuple[VRPFilter, ...] = ()
    assertions: tuple[VRP, ...] = ()
    key_filters: tuple[KeyFilter, ...] = ()
    key_assertions: tuple[RouterKey, ...] = ()
    filter_comments: tuple[str, ...] = ()
    """Of each filter; empty where there is none."""
    assertion_comments: tuple[str, ...] = ()
    aspa_filters: tuple[int, ...] = ()
    """Customer ASes."""
    aspa_assertions: tuple[ASPA, ...] = ()

    def count_filters(self) -> int:
        """Give how many filters there are."""
        return len(self.filters) + len(self.key_filters) + len(self.aspa_filters)

    def count_assertions(self) -> int:
        """Give how many assertions there are."""
        return len(self.assertions) + len(self.key_assertions) + len(self.aspa_assertions)


class _Members(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What all objects of a file have in common."""


class _PrefixFilter(_Members, frozen=True):
    prefix: str | UnsetType = UNSET
    asn: ASN | UnsetType = UNSET
    comment: str | UnsetType = UNSET


class _BgpsecFilter(_Members, frozen=True):
    asn: ASN | UnsetType = UNSET
    ski: str | UnsetType = msgspec.field(name="SKI", default=UNSET)
    comment: str | UnsetType = UNSET


class _PrefixAssertion(_Members, frozen=True):
    prefix: str
    asn: ASN
    max_prefix_length: int | UnsetType = UNSET
    comment: str | UnsetType = UNSET


class _BgpsecAssertion(_Members, frozen=True):
    asn: ASN
    router_public_key: str
    ski: str = msgspec.field(name="SKI")
    comment: str | UnsetType = UNSET


class _ASPAFilter(_Members, frozen=True):
    customer_asn: Customer | UnsetType = UNSET
    customer_asid: Customer | UnsetType = UNSET
    """The same: rpki-rs writes it so."""
    comment: str | UnsetType = UNSET


class _ASPAAssertion(_Members, frozen=True):
    provider_asns: list[ASN]
    customer_asn: Customer | UnsetType = UNSET
    customer_asid: Customer | UnsetType = UNSET
    comment: str | UnsetType = UNSET


class _Filters(_Members, frozen=True):
    prefix_filters: list[Any]
    bgpsec_filters: list[Any]


class _Assertions(_Members, frozen=True):
    prefix_assertions: list[Any]
    bgpsec_assertions: list[Any]


class _FiltersV2(_Filters, frozen=True):
    aspa_filters: list[Any]


class _AssertionsV2(_Assertions, frozen=True):
    aspa_assertions: list[Any]


class _File(_Members, frozen=True):
    slurm_version: int
    validation_output_filters: _Filters
    locally_added_assertions: _Assertions


class _FileV2(_Members, frozen=True):
    slurm_version: int
    validation_output_filters: _FiltersV2
    locally_added_assertions: _AssertionsV2


PREFIX_FILTERS: Final = ("validationOutputFilters", "prefixFilters")
BGPSEC_FILTERS: Final = ("validationOutputFilters", "bgpsecFilters")
PREFIX_ASSERTIONS: Final = ("locallyAddedAssertions", "prefixAssertions")
BGPSEC_ASSERTIONS: Final = ("locallyAddedAssertions", "bgpsecAssertions")

ASPA_FILTERS: Final = ("validationOutputFilters", "aspaFilters")
ASPA_ASSERTIONS: Final = ("locallyAddedAssertions", "aspaAssertions")
_MEMBERS: Final[dict[Path, type[_Members]]] = {
    (): _FileV2, PREFIX_FILTERS[:1]: _FiltersV2, PREFIX_ASSERTIONS[:1]: _AssertionsV2,
    PREFIX_FILTERS: _PrefixFilter, BGPSEC_FILTERS: _BgpsecFilter, ASPA_FILTERS: _ASPAFilter,
    PREFIX_ASSERTIONS: _PrefixAssertion, BGPSEC_ASSERTIONS: _BgpsecAssertion, ASPA_ASSERTIONS: _ASPAAssertion,
}  # fmt: skip
"""What an object at a place has."""


class File(NamedTuple):
    """A SLURM file that was read: what faults call it, its text, and what it says."""

    name: str
    text: str
    slurm: Slurm


_Entry = TypeVar("_Entry", bound=_Members)
_Made = TypeVar("_Made")


def parse(name: str, data: bytes) -> File:
    """Read one file. Raises SlurmError."""
    try:
        text = data.decode("utf-8-sig")
        found = json.loads(text, object_pairs_hook=_object, parse_float=_number)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SlurmError([FileFault(name, line, f"not UTF-8: byte 0x{data[error.start]:02x}")]) from error
    except json.JSONDecodeError as error:
        raise SlurmError([FileFault(name, error.lineno, f"not JSON: {error.msg.removesuffix(' at')}")]) from error
    except RecursionError as error:
        raise SlurmError([FileFault(name, 0, "no SLURM file: it is nested too deeply")]) from error
    except ValueError as error:  # a member given twice; a number of thousands of digits
        raise SlurmError([FileFault(name, 0, printable(str(error)))]) from error
    reader = _Reader(name, text)
    slurm = reader.file(found)
    if slurm is None or reader.faults:
        more = len(reader.faults) - MOST_FAULTS
        rest = [FileFault(name, 0, f"and {counted(more, 'more fault')}")] if more > 0 else []
        raise SlurmError(reader.faults[:MOST_FAULTS] + rest)
    return File(name, text, slurm)


def _number(text: str) -> float:
    """Read a number with a fraction or exponent: 1.0 is 1, which some writers have (RFC 8259 section 6)."""
    value = float(text)
    return int(value) if value.is_integer() else value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse what JSON leaves open: of two members with one name, readers disagree which counts."""
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the member {twice!r} is given twice in one object")
    return members


class _Reader:
    """One pass over a file's entries; collects faults instead of stopping."""

    def __init__(self, name: str, text: str) -> None:
        self.faults: list[FileFault] = []
        self._name = name
        self._text = text

    def file(self, found: Any) -> Slurm | None:
        """Read the whole; None when the frame of it is at fault."""
        version = found.get("slurmVersion", 1) if isinstance(found, dict) else 1
        if version not in (1, 2):
            what = "only versions 1 (RFC 8416 section 3.2) and 2 (draft-ietf-sidrops-aspa-slurm) are known"
            self._fault(("slurmVersion",), what)
            return None
        if version == 1 and (path := _of_version_2(found)) is not None:
            self._fault(path, "only a file of slurmVersion 2 has it")
            return None
        try:
            file: _File | _FileV2 = msgspec.convert(found, _File) if version == 1 else msgspec.convert(found, _FileV2)
        except msgspec.ValidationError as error:
            self._invalid((), error)
            return None
        filters, assertions = file.validation_output_filters, file.locally_added_assertions
        vrps = self._entries(PREFIX_ASSERTIONS, assertions.prefix_assertions, _PrefixAssertion, _assertion)
        self._want_room(vrps)
        return Slurm(
            self._entries(PREFIX_FILTERS, filters.prefix_filters, _PrefixFilter, _filter),
            vrps,
            self._entries(BGPSEC_FILTERS, filters.bgpsec_filters, _BgpsecFilter, _key_filter),
            self._entries(BGPSEC_ASSERTIONS, assertions.bgpsec_assertions, _BgpsecAssertion, _key_assertion),
            _comments(filters.prefix_filters),
            _comments(assertions.prefix_assertions),
            *self._aspas(filters, assertions),
        )

    def _want_room(self, vrps: Sequence[VRP]) -> None:
        """Report what the VRP set would leave out. Other files can't add to it: they would overlap."""
        if len(vrps) > OF_PREFIX:
            normal = {vrp._replace(prefix=str(ipaddress.ip_network(vrp.prefix))) for vrp in vrps}
            prefix, count = Counter(vrp.prefix for vrp in normal).most_common(1)[0]
            if count > OF_PREFIX:
                self._fault(PREFIX_ASSERTIONS, f"{count} of {prefix}, at most {OF_PREFIX} of one prefix are possible")

    def _aspas(self, filters: _Filters, assertions: _Assertions) -> tuple[tuple[int, ...], tuple[ASPA, ...]]:
        if not (isinstance(filters, _FiltersV2) and isinstance(assertions, _AssertionsV2)):
            return (), ()
        return (
            self._entries(ASPA_FILTERS, filters.aspa_filters, _ASPAFilter, _customer),
            self._entries(ASPA_ASSERTIONS, assertions.aspa_assertions, _ASPAAssertion, _aspa),
        )

    def _entries(
        self, path: Path, entries: list[Any], kind: type[_Entry], make: Callable[[_Entry], _Made]
    ) -> tuple[_Made, ...]:
        made = []
        for index, entry in enumerate(entries):
            try:
                made.append(make(msgspec.convert(entry, kind)))
            except msgspec.ValidationError as error:
                self._invalid((*path, index), error)
            except ValueError as error:
                self._fault((*path, index), str(error))
        return tuple(made)

    def _invalid(self, path: Path, error: msgspec.ValidationError) -> None:
        """Report a fault in msgspec's words, with the path of the value before them."""
        what, _, below = str(error).partition(" - at `$")
        for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", below):
            path = (*path, name or int(index))
        unknown = re.search(r"unknown field `(.*)`$", what, re.DOTALL)
        if unknown is not None:
            kind = _MEMBERS.get(tuple(name for name in path if isinstance(name, str)))
            near = None if kind is None else meant(unknown[1], kind.__struct_encode_fields__)
            what += f"; did you mean `{near}`?" if near else ""
        self._fault(path, what, (*path, unknown[1]) if unknown else path)

    def _fault(self, path: Path, what: str, where: Path | None = None) -> None:
        # Finding a line takes a pass over the text: only for faults that are described.
        line = line_of(self._text, where or path) if len(self.faults) < MOST_FAULTS else 0
        text = "".join(f"[{name}]" if isinstance(name, int) else f".{name}" for name in path).removeprefix(".")
        self.faults.append(FileFault(self._name, line, printable(f"{text or 'the file'}: {what}")))


def _of_version_2(found: Any) -> Path | None:
    """Give the first member that a file of version 1 can't have."""
    for path in (ASPA_FILTERS, ASPA_ASSERTIONS):
        section = found.get(path[0]) if isinstance(found, dict) else None
        if isinstance(section, dict) and path[1] in section:
            return path
    return None


def _customer(entry: _ASPAFilter | _ASPAAssertion) -> int:
    given = [asn for asn in (entry.customer_asn, entry.customer_asid) if asn is not UNSET]
    if len(given) != 1:
        raise ValueError("give customerAsn" + (" or customerAsid, but not both" if given else ""))
    return given[0]


def _aspa(entry: _ASPAAssertion) -> ASPA:
    customer, providers = _customer(entry), entry.provider_asns
    if not providers:
        raise ValueError("providerAsns is empty: expected the providers, or 0 alone if there are none")
    for before, after in pairwise(providers):
        if after == before:
            raise ValueError(f"AS{after} is in providerAsns twice")
        if after < before:
            raise ValueError(f"providerAsns must ascend: {after} follows {before}")
    if customer in providers:
        raise ValueError(f"AS{customer} can't be a provider of its own")
    if providers[0] == 0 and len(providers) > 1:
        raise ValueError("0 in providerAsns says that there are no providers: expected it alone")
    if len(providers) > MOST_PROVIDERS:
        raise ValueError(f"{len(providers)} providers, at most {MOST_PROVIDERS} are possible")
    return ASPA(customer, tuple(providers))


def _filter(entry: _PrefixFilter) -> VRPFilter:
    if entry.prefix is UNSET and entry.asn is UNSET:
        raise ValueError("a filter needs a prefix, an asn, or both")
    if entry.prefix is not UNSET:
        parse_prefix(entry.prefix)
    return VRPFilter(_or_none(entry.prefix), _or_none(entry.asn))


def _assertion(entry: _PrefixAssertion) -> VRP:
    prefix = parse_prefix(entry.prefix)
    most = 32 if prefix.family == 4 else 128
    max_length = prefix.len if entry.max_prefix_length is UNSET else entry.max_prefix_length
    if not prefix.len <= max_length <= most:
        raise ValueError(f"maxPrefixLength {max_length} is out of range: expected {prefix.len} to {most}")
    return VRP(entry.prefix, max_length, entry.asn)


def _key_filter(entry: _BgpsecFilter) -> KeyFilter:
    if entry.asn is UNSET and entry.ski is UNSET:
        raise ValueError("a filter needs an asn, a SKI, or both")
    return KeyFilter(_or_none(entry.asn), None if entry.ski is UNSET else _octets("SKI", entry.ski, SKI_SIZE))


def _key_assertion(entry: _BgpsecAssertion) -> RouterKey:
    ski = _octets("SKI", entry.ski, SKI_SIZE)
    return RouterKey(entry.asn, ski, _octets("routerPublicKey", entry.router_public_key, SPKI_SIZE))


def _comments(entries: list[Any]) -> tuple[str, ...]:
    """Give them as they are, but for half characters, which JSON can have; what is no text is a fault of its entry."""
    texts = (str(entry.get("comment", "")) if isinstance(entry, dict) else "" for entry in entries)
    return tuple(text.encode(errors="backslashreplace").decode() for text in texts)


def _or_none(value: _Made | UnsetType) -> _Made | None:
    return None if isinstance(value, UnsetType) else value


def _octets(name: str, text: str, size: int) -> bytes:
    """Read so many octets in Base64 for URLs without padding (RFC 4648 section 5), as RFC 8416 has it."""
    if not re.fullmatch(r"[A-Za-z0-9_-]*", text) or len(text) % 4 == 1:
        raise ValueError(f"{name} is not Base64 for URLs without a trailing = (RFC 4648 section 5)")
    octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if len(octets) != size:
        raise ValueError(f"{name} has {len(octets)} octets: expected {size}")
    return octets


class Reasons:
    """Which filter or assertion of which file it was, found without going over all of them."""

    def __init__(self, files: Sequence[File] = ()) -> None:
        self._filters: dict[tuple[str | None, int | None], dict[str, Any]] = {}
        self._assertions: dict[VRP, dict[str, Any]] = {}
        for file in files:
            for one, comment in zip(file.slurm.filters, file.slurm.filter_comments, strict=True):
                prefix = None if one.prefix is None else str(ipaddress.ip_network(one.prefix))
                said = {"file": file.name, "prefix": prefix, "asn": one.asn, "comment": comment or None}
                self._filters.setdefault((prefix, one.asn), said)
            for vrp, comment in zip(file.slurm.assertions, file.slurm.assertion_comments, strict=True):
                normal = vrp._replace(prefix=str(ipaddress.ip_network(vrp.prefix)))
                self._assertions.setdefault(normal, {"file": file.name, "comment": comment or None})

    def of_filtered(self, vrp: VRP) -> list[dict[str, Any]]:
        """Give the filters that take it away, the one with the shortest prefix first."""
        network = ipaddress.ip_network(vrp.prefix)
        prefixes = [None, *(str(network.supernet(new_prefix=length)) for length in range(network.prefixlen + 1))]
        keys = [(prefix, asn) for prefix in prefixes for asn in (None, vrp.asn)]
        return [self._filters[key] for key in keys if key in self._filters]

    def of_asserted(self, vrp: VRP) -> list[dict[str, Any]]:
        """Give the assertion that it is, if it is one."""
        return [self._assertions[vrp]] if vrp in self._assertions else []


class _Claim(NamedTuple):
    """Something that a file says: as a span of addresses or AS numbers, ordered so that wider spans come first."""

    family: int
    """4 or 6; 0 for AS numbers of router keys, 1 for customers of ASPAs."""
    first: int
    minus_last: int
    file: int
    path: Path
    text: str


def check_overlaps(files: Sequence[File]) -> None:
    """Refuse files that speak of the same addresses, router keys' AS numbers or customers (RFC 8416 section 4.2).

    Raises SlurmError with one fault for each two files.
    """
    faults: dict[tuple[int, int], FileFault] = {}
    open_claims: list[_Claim] = []
    for claim in sorted(claim for index, file in enumerate(files) for claim in _claims(index, file.slurm)):
        while open_claims and not _within(claim, open_claims[-1]):
            open_claims.pop()
        for other in open_claims:
            pair = (min(claim.file, other.file), max(claim.file, other.file))
            if claim.file != other.file and pair not in faults:
                what = f"{claim.text} overlaps {other.text} of {files[other.file].name} (RFC 8416 section 4.2)"
                here = files[claim.file]
                faults[pair] = FileFault(here.name, line_of(here.text, claim.path), what)
        open_claims.append(claim)
    if faults:
        raise SlurmError(list(faults.values()))


def _within(inner: _Claim, outer: _Claim) -> bool:
    return inner.family == outer.family and inner.first <= -outer.minus_last


def _claims(file: int, slurm: Slurm) -> Iterator[_Claim]:
    prefixes: list[tuple[tuple[str, str], int, str]] = [
        *((PREFIX_FILTERS, index, one.prefix) for index, one in enumerate(slurm.filters) if one.prefix is not None),
        *((PREFIX_ASSERTIONS, index, one.prefix) for index, one in enumerate(slurm.assertions)),
    ]
    for path, index, prefix in prefixes:
        network = ipaddress.ip_network(prefix)
        first, last = int(network.network_address), int(network.broadcast_address)
        yield _Claim(network.version, first, -last, file, (*path, index), prefix)
    asns: list[tuple[tuple[str, str], int, int]] = [
        *((BGPSEC_FILTERS, index, one.asn) for index, one in enumerate(slurm.key_filters) if one.asn is not None),
        *((BGPSEC_ASSERTIONS, index, key.asn) for index, key in enumerate(slurm.key_assertions)),
    ]
    for path, index, asn in asns:
        yield _Claim(0, asn, -asn, file, (*path, index), f"AS{asn}")
    customers: list[tuple[tuple[str, str], int, int]] = [
        *((ASPA_FILTERS, index, customer) for index, customer in enumerate(slurm.aspa_filters)),
        *((ASPA_ASSERTIONS, index, one.customer) for index, one in enumerate(slurm.aspa_assertions)),
    ]
    for path, index, customer in customers:
        yield _Claim(1, customer, -customer, file, (*path, index), f"customer AS{customer}")
