"""Why a path is valid, invalid or unknown by ASPAs, hop by hop, in sentences and as JSON. Pure.

No sentence names who leaked: that can't be known (draft-ietf-sidrops-aspa-verification section 5.7).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from rtrd.base.notation import parse_asn, said
from rtrd.rib.attributes import AS_SEQUENCE, AS_SET, ONLY_TO_CUSTOMER, AttributeSet, Segment, origin_as
from rtrlib.aspa_paths import LOCAL_ROLES, Hop, LocalRole, PathVerdict, verify_path
from rtrlib.aspas import ASPAIndex

MOST_ASNS: Final = 20_000
"""AS numbers of a path: an UPDATE has room for fewer."""
MOST_SHOWN: Final = 255
"""AS numbers of a path in a list of routes: a neighbor can make it as long as an UPDATE."""
Way = Literal["comes from", "goes to"]
_SET: Final = re.compile(r"(\{[^{}]*\})")


class Path(NamedTuple):
    """A path as people write it."""

    segments: tuple[Segment, ...]
    """AS_SEQUENCEs and AS_SETs: the neighbor first, the origin last."""

    @property
    def asns(self) -> tuple[int, ...]:
        """The AS numbers of its AS_SEQUENCEs."""
        return tuple(asn for segment in self.segments if segment.kind == AS_SEQUENCE for asn in segment.asns)

    @property
    def as_set(self) -> bool:
        """It has an AS_SET."""
        return any(segment.kind == AS_SET for segment in self.segments)

    @property
    def length(self) -> int:
        """How many AS numbers it has, those of AS_SETs, too."""
        return sum(len(segment.asns) for segment in self.segments)

    @property
    def text(self) -> str:
        """As `parse_path` reads it."""
        return _text(self.segments)


def parse_path(text: str) -> Path:
    """Parse AS numbers with blanks or commas between them, and AS_SETs as `{64500,64501}`.

    Raises:
        ValueError: with a sentence.

    """
    between_sets = [piece.strip("{}") if number % 2 else piece for number, piece in enumerate(_SET.split(text))]
    pieces = [piece.replace(",", " ").split() for piece in between_sets]
    if (count := sum(map(len, pieces))) > MOST_ASNS:
        raise ValueError(f"a path of {count} AS numbers: expected at most {MOST_ASNS}")
    kinds = (AS_SET if number % 2 else AS_SEQUENCE for number in range(len(pieces)))
    found = [Segment(kind, _asns(words)) for kind, words in zip(kinds, pieces, strict=True)]
    return Path(tuple(segment for segment in found if segment.asns or segment.kind == AS_SET))


def origin_of(path: Path, asn: int) -> int | None:
    """Give the origin AS of a route that is said to be of this AS, by its path; None: NONE (RFC 6811 section 2).

    Raises:
        ValueError: with a sentence: the path ends with another AS.

    """
    found = origin_as(path.segments, asn)
    if found not in (asn, None):
        raise ValueError(f"the path ends with AS{found}, but the origin is AS{asn}")
    return found


def path_text(segments: Sequence[Segment]) -> str | None:
    """Write a path as `parse_path` reads it, segments of confederations in parentheses; None: too long to be shown."""
    if sum(len(segment.asns) for segment in segments) > MOST_SHOWN:
        return None
    return _text(segments)


def _text(segments: Iterable[Segment]) -> str:
    parts = []
    for kind, asns in segments:
        form, mark = _FORMS.get(kind, ("({})", " "))
        parts.append(form.format(mark.join(map(str, asns))))
    return " ".join(parts)


_FORMS: Final = {AS_SEQUENCE: ("{}", " "), AS_SET: ("{{{}}}", ",")}


def _asns(words: Iterable[str]) -> tuple[int, ...]:
    return tuple(map(parse_path_asn, words))


def parse_path_asn(text: str) -> int:
    """Parse the AS number of somebody in a path. ValueError, with a sentence."""
    if (asn := parse_asn(text)) == 0:
        raise ValueError("AS 0 is in no path (RFC 7607)")
    return asn


def explain_path(
    index: ASPAIndex, path: Path, local_role: LocalRole, *, neighbor_as: int | None = None, as_set: bool = False
) -> dict[str, Any]:
    """Give what ASPAs say of a path, as `rtrd validate-path --json` prints it. The arguments are of `verify_path`."""
    as_set = as_set or path.as_set
    verdict = verify_path(index, path.asns, local_role, neighbor_as=neighbor_as, as_set=as_set)
    return {
        "path": list(path.asns),
        "as_path": path.text,
        "outcome": verdict.outcome,
        "procedure": verdict.procedure,
        "local_role": local_role,
        "reason": reason_of(verdict, path.asns, neighbor_as=neighbor_as, as_set=as_set),
        "hops": [hop._asdict() for hop in verdict.hops],
    }


def reason_of(verdict: PathVerdict, asns: Sequence[int], *, neighbor_as: int | None, as_set: bool) -> str:
    """Say in a sentence why the outcome is what it is."""
    if not asns and not as_set:
        return "the path is empty"
    if verdict.other_neighbor:
        first = f"AS{asns[0]}" if asns else "in an AS_SET"
        return f"the first AS is {first}, not the neighbor's AS{neighbor_as}"
    if as_set:
        return "the path has an AS_SET"
    ups, downs = _ramps(verdict)
    if verdict.outcome != "valid":
        ends = _is_denied if verdict.outcome == "invalid" else _is_unproven
        return _joined([sentence_of(hop) for hop in (*_first(ups, ends), *_first(downs, ends))])
    if not verdict.hops:
        return "there is one AS in the path"
    if verdict.procedure == "upstream":
        return "each AS names the next one toward us as its provider"
    return "each AS names the next one on the way up, and so on the way down; at the top one hop may be of any kind"


def why(index: ASPAIndex, attributes: AttributeSet, local_role: LocalRole, neighbor_as: int) -> str:
    """Say why a path that came from a neighbor is what it is."""
    asns = [asn for segment in attributes.as_path if segment.kind == AS_SEQUENCE for asn in segment.asns]
    as_set = any(segment.kind != AS_SEQUENCE for segment in attributes.as_path)
    verdict = verify_path(index, asns, local_role, neighbor_as=neighbor_as, as_set=as_set)
    return reason_of(verdict, asns, neighbor_as=neighbor_as, as_set=as_set)


def why_leak(attributes: AttributeSet, local_role: LocalRole, way: Way = "comes from") -> str:
    """Say why a route counts as a leak: RFC 9234 section 5. `local_role`: of whoever gets it."""
    values = [other.value for other in attributes.others if other.code == ONLY_TO_CUSTOMER]
    by = "".join(f" of AS{int.from_bytes(value)}" for value in values)
    return f"it has Only to Customer{by}, and {way} {_ENDS[way][local_role]}"


_ENDS: Final[Mapping[Way, Mapping[LocalRole, str]]] = {
    "comes from": {
        "provider": "a customer",
        "rs": "a client of the route server",
        "peer": "a peer of another AS",
    },
    "goes to": {
        "provider": "a provider",
        "rs": "a route server",
        "peer": "a peer, of another AS than ours",
    },
}

THEIR_ROLE: Final[Mapping[LocalRole, LocalRole]] = {
    "provider": "customer",
    "customer": "provider",
    "peer": "peer",
    "rs": "rs-client",
    "rs-client": "rs",
}
"""What the other end is, by what we are."""


def sentence_of(hop: Hop) -> str:
    """Say what a hop's customer attests."""
    if hop.attestation == "none":
        return f"AS{hop.customer} has no ASPA"
    does = "names" if hop.attestation == "provider" else "does not name"
    return f"AS{hop.customer} {does} AS{hop.provider} as its provider"


def _ramps(verdict: PathVerdict) -> tuple[Sequence[Hop], Sequence[Hop]]:
    """Give the hops up from the origin, and those down from the neighbor."""
    hops = verdict.hops
    half = len(hops) // 2 if verdict.procedure == "downstream" else len(hops)
    return hops[:half], hops[half:]


def _is_denied(hop: Hop) -> bool:
    return hop.attestation == "not-provider"


def _is_unproven(hop: Hop) -> bool:
    return hop.attestation != "provider"


def _first(hops: Sequence[Hop], ends: Callable[[Hop], bool]) -> Sequence[Hop]:
    """Give the hop that ends a ramp, if any."""
    return [hop for hop in hops if ends(hop)][:1]


def _joined(sentences: Sequence[str]) -> str:
    return "; ".join(dict.fromkeys(sentences))


def parse_role(text: str) -> LocalRole:
    """Parse a local role.

    Raises:
        ValueError: with a sentence.

    """
    for role in LOCAL_ROLES:
        if text == role:
            return role
    raise ValueError(f"{said(text)} is not a local role: expected one of {', '.join(LOCAL_ROLES)}")
