"""RTR as a router speaks it, in stories: what a cache sends, and what the session makes of it (RFC 8210)."""

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _rov import ffi, lib
from rtrlib.aspas import records as aspas_in
from rtrlib.link import ASPAs, ASPAsLeftOut, Ended, Event, Failure, FullSet, Resume, RouterKeyEvent, SessionState, VRPs
from rtrlib.native_session import MOST_REPORTED, NOTIFY_GAP, RECORDS, SILENCE, NativeSession
from rtrlib.rtr_socket import RTRSocketState as State
from rtrlib.servers import Intervals
from rtrlib.vrp import VRP, pack, unpack

SESSION, REFRESH, RETRY = 4711, 3600, 600
ONE, SIX = VRP("192.0.2.0/24", 28, 64500), VRP("2001:db8::/32", 48, 4200000000)
SKI, SPKI = bytes(range(20)), bytes(91)


def pdu(number: int, body: bytes = b"", session: int = 0, version: int = 1, length: int | None = None) -> bytes:
    return struct.pack(">BBHI", version, number, session, 8 + len(body) if length is None else length) + body


def response(session: int = SESSION, version: int = 1) -> bytes:
    return pdu(3, session=session, version=version)


def prefix(vrp: VRP, flags: int = 1, version: int = 1) -> bytes:
    raw, asn, length, longest, family, _ = struct.unpack("=16sIBBBB", pack(vrp))
    address = raw if family == 6 else raw[:4]
    return pdu(
        family, struct.pack(">BBBB", flags, length, longest, 0) + address + struct.pack(">I", asn), version=version
    )


def end(serial: int, session: int = SESSION, version: int = 1, intervals: Sequence[int] = (30, 20, 700)) -> bytes:
    more = struct.pack(">III", *intervals) if version else b""
    return pdu(7, struct.pack(">I", serial) + more, session, version)


def notify(serial: int, session: int = SESSION, version: int = 1) -> bytes:
    return pdu(0, struct.pack(">I", serial), session, version)


def report(code: int, text: bytes = b"", version: int = 1) -> bytes:
    return pdu(10, struct.pack(">I", 0) + struct.pack(">I", len(text)) + text, code, version)


def whole_set(*vrps: VRP, serial: int = 7, version: int = 1) -> bytes:
    return (
        response(version=version)
        + b"".join(prefix(vrp, version=version) for vrp in vrps)
        + end(serial, version=version)
    )


RESET_QUERY = pdu(2)
CACHE_RESET = pdu(8)


def serial_query(serial: int, session: int = SESSION, version: int = 1) -> bytes:
    return pdu(1, struct.pack(">I", serial), session, version)


class Story:
    """A session under the test's clock; what it tells, as short words, and what it sends."""

    def __init__(self, resume: Resume | None = None, *, most: int = 1000, follow_cache: bool = False) -> None:
        self.resume = resume or Resume(max_version=1)
        self.now = 100.0
        self.intervals = Intervals(REFRESH, RETRY, 7200, follow_cache=follow_cache)
        self.session = NativeSession(self.resume, self.intervals, most, self.now)
        self.began = self.words(self.session.begin())
        self.sent = self.session.take_octets()

    def hears(self, *octets: bytes) -> list[str]:
        """The cache sends this; what is told in turn. `sent` is what it gets."""
        words = self.words(self.session.feed(b"".join(octets), self.now))
        self.sent = self.session.take_octets()
        return words

    def waits(self, seconds: float) -> list[str]:
        self.now += seconds
        words = self.words(self.session.tick(self.now))
        self.sent = self.session.take_octets()
        return words

    def words(self, events: Sequence[Event]) -> list[str]:
        return [word for event in events for word in self.said(event)]

    def said(self, event: Event) -> list[str]:
        self.last = event
        match event:
            case VRPs(records):
                return [f"{'+' if announced else '-'}{vrp}" for vrp, announced in unpack(records)]
            case SessionState(state):
                return [State(state).name]
            case ASPAs(held):
                return ["ASPAs of " + " ".join(str(one.customer) for one in aspas_in(held))]
            case ASPAsLeftOut(counts):
                return [f"left out: {count} {reason}" for reason, count in counts.items()]
            case FullSet():
                return ["full set"]
            case RouterKeyEvent(asn, _, _, announce):
                return [f"{'+' if announce else '-'}key of AS{asn}"]
            case Failure(kind, why):
                return [f"{kind}: {why}"]
            case Ended(kind, why, again):
                return [f"{'again' if again else 'ended'}, {kind}: {why}"]
        raise AssertionError(event)

    @property
    def error(self) -> int:
        """The code of the Error Report that was sent."""
        assert self.sent[1] == 10
        return int.from_bytes(self.sent[2:4])


@pytest.fixture
def story() -> Story:
    """In sync: serial 7, one VRP."""
    story = Story()
    assert story.hears(whole_set(ONE)) == ["full set", f"+{ONE}", "ESTABLISHED"]
    story.now += 1
    return story


def test_a_session_begins_with_a_reset_query_and_is_established_at_end_of_data() -> None:
    story = Story()
    assert (story.sent, story.began) == (RESET_QUERY, ["SYNC"])
    assert story.hears(response()) == ["full set"]
    assert story.hears(prefix(ONE), prefix(SIX)) == [f"+{ONE}", f"+{SIX}"]
    assert story.hears(end(7)) == ["ESTABLISHED"]
    assert story.last == SessionState(State.ESTABLISHED, 1, SESSION, 7, REFRESH, RETRY, 7200, 1)
    assert (story.resume.session_id, story.resume.serial) == (SESSION, 7)


def test_intervals_of_the_cache_are_followed_when_wanted_and_held_to_the_rfcs_range() -> None:
    story = Story(follow_cache=True)
    story.hears(response(), end(7, intervals=(0, 4_000_000_000, 700)))
    assert story.last == SessionState(State.ESTABLISHED, 1, SESSION, 7, 1, 7200, 700, 1)


def test_a_change_is_asked_for_at_a_notify_or_after_the_refresh_interval(story: Story) -> None:
    assert story.hears(notify(7)) == []
    assert story.sent == b""
    assert story.hears(notify(8)) == ["SYNC"]
    assert story.sent == serial_query(7)
    assert story.hears(response(), prefix(ONE, flags=0), prefix(SIX), end(8)) == [f"-{ONE}", f"+{SIX}", "ESTABLISHED"]
    assert story.waits(REFRESH - 0.1) == []
    assert story.waits(0.1) == ["SYNC"]
    assert story.sent == serial_query(8)


def test_a_flood_of_notifies_is_a_query_now_and_then(story: Story) -> None:
    assert story.hears(*(notify(serial) for serial in range(8, 500))) == ["SYNC"]
    assert story.sent == serial_query(7)
    assert story.hears(response(), end(400)) == ["ESTABLISHED"]  # the last one told of 499
    assert story.session.deadline() == story.now + NOTIFY_GAP
    assert story.waits(NOTIFY_GAP) == ["SYNC"]
    assert story.sent == serial_query(400)


def test_the_next_connection_takes_the_session_up(story: Story) -> None:
    again = Story(story.resume)
    assert again.sent == serial_query(7)
    assert again.hears(response(), prefix(SIX), end(9)) == [f"+{SIX}", "ESTABLISHED"]


@pytest.mark.parametrize("answer", [report(0), report(3), report(1), report(2), None])
def test_a_serial_query_that_is_refused_is_followed_by_a_reset_query(story: Story, answer: bytes | None) -> None:
    """A cache that was restarted has another session: StayRTR, for one, reports corrupt data, and hangs up."""
    again = Story(story.resume)
    assert again.sent == serial_query(7)
    if answer is None:
        again.session.broke()
    else:
        code, said = answer[3], again.hears(answer)[0]
        assert said.startswith("again, refused: it does not know our session" if code in {0, 3} else ("ended", "no"))
    assert Story(story.resume).sent == RESET_QUERY


def test_a_full_set_that_breaks_off_is_begun_anew(story: Story) -> None:
    again = Story(story.resume)
    again.hears(CACHE_RESET)
    assert again.hears(response(SESSION + 1)) == ["full set"]
    again.session.broke()
    assert Story(story.resume).sent == RESET_QUERY


def test_cache_reset_makes_it_ask_for_everything(story: Story) -> None:
    again = Story(story.resume)
    assert again.hears(CACHE_RESET) == ["SYNC"]
    assert again.sent == RESET_QUERY
    assert again.hears(whole_set(SIX)) == ["full set", f"+{SIX}", "ESTABLISHED"]


def test_cache_reset_in_answer_to_a_reset_query_ends_it() -> None:
    story = Story()
    assert story.hears(CACHE_RESET) == [
        "ended, protocol: the cache answered a Reset Query with Cache Reset: it gives no data"
    ]
    assert story.error == 0


@pytest.mark.parametrize("where", ["notify", "response", "end"])
def test_another_session_ends_it_and_nothing_of_it_counts(story: Story, where: str) -> None:
    other = SESSION + 1
    story.hears(notify(8))
    if where == "end":
        assert story.hears(response(), prefix(SIX)) == [f"+{SIX}"]
    elif where == "notify":
        story.hears(response(), end(8))
    said = story.hears({"notify": notify(9, other), "response": response(other), "end": end(9, other)}[where])
    assert [word for word in said if "session 4712 instead of 4711" in word] == said != []
    assert story.error == 0
    assert story.hears(whole_set(SIX)) == [], "it is over"
    assert Story(story.resume).sent == RESET_QUERY


def test_no_data_is_asked_again_later_and_later_and_at_once_when_the_cache_has_some() -> None:
    story = Story()
    for wait in (1, 2, 4):
        assert story.hears(report(2)) == ["no-data: the cache has no data yet", "ERROR_NO_DATA_AVAILABLE"]
        assert story.waits(wait - 0.01) == []
        assert story.waits(0.01) == ["SYNC"]
        assert story.sent == RESET_QUERY
    story.hears(report(2))
    story.now += 1
    assert story.hears(notify(1)) == ["SYNC"]
    assert story.hears(whole_set(ONE))[-1] == "ESTABLISHED"


def test_a_cache_that_owes_an_answer_may_be_silent_for_a_minute(story: Story) -> None:
    story.hears(notify(8))
    assert story.waits(SILENCE - 1) == []
    story.hears(response())
    assert story.waits(SILENCE - 1) == []
    assert story.waits(1) == ["ended, silent: nothing came from the cache for 60 seconds"]
    assert story.session.deadline() is None


# -- versions (section 7)


@pytest.mark.parametrize("version", [0, 2, 9])
def test_a_notify_before_the_first_answer_is_ignored_whatever_its_version(version: int) -> None:
    story = Story()
    assert story.hears(notify(5, version=version)) == []
    assert story.hears(whole_set(ONE))[-1] == "ESTABLISHED"
    assert story.session.version == 1


def test_the_first_answer_may_be_of_a_lower_version() -> None:
    story = Story()
    assert story.hears(whole_set(ONE, version=0)) == ["full set", f"+{ONE}", "ESTABLISHED"]
    story.now += 1
    story.hears(notify(8, version=0))
    assert story.sent == serial_query(7, version=0)


def test_a_refused_version_is_followed_without_session_and_serial() -> None:
    resume = Resume(max_version=1, session_id=SESSION, serial=7, session_version=1)
    story = Story(resume)
    assert (story.hears(report(4, version=0)), story.sent) == (["SYNC"], pdu(2, version=0))
    assert story.session.wants_again, "if the cache ends the connection now"
    lower = Story(resume)
    assert lower.sent == pdu(2, version=0)
    assert Story(resume).sent == RESET_QUERY, "each connection begins with the newest"


def test_a_cache_of_later_versions_only_is_named_by_them() -> None:
    story = Story()
    (said,) = story.hears(report(4, b"only version 9", version=9))
    assert "refused: the cache refuses version 1 of RTR: it speaks version 9, rtrlib speaks 0 to 1" in said
    assert "only version 9" in said
    assert story.sent == b"", "an Error Report is never answered by one"


def test_a_version_once_agreed_stays(story: Story) -> None:
    assert story.hears(notify(8, version=0)) == [
        "ended, protocol: the cache sent a PDU of version 0 in a session of version 1"
    ]
    assert story.error == 8


# -- what is wrong


WRONG = {
    "octet": (b"HTTP/1.1 400 Bad Request\r\n", 4, "its answer begins with octet 0x48"),
    "version": (response(version=2), 4, "the cache speaks version 2 of RTR"),
    "type": (response() + pdu(77), 5, "type 77, which version 1 of RTR does not have"),
    "ASPA": (response() + pdu(11, bytes(16)), 5, r"type 11 (ASPA), which version 1"),
    "length": (response() + pdu(7, struct.pack(">I", 100), SESSION), 0, "wrong length: End of Data of 12 octets"),
    "long": (response() + pdu(4, length=1 << 32 - 1), 0, "IPv4 Prefix of 2147483648 octets"),
    "prefix": (prefix(ONE), 0, "out of place: IPv4 Prefix here"),
    "end": (end(7), 0, "out of place: End of Data here"),
    "reset": (response() + CACHE_RESET, 0, "Cache Reset between a Cache Response and its End of Data"),
    "query": (response() + RESET_QUERY, 3, "out of place: Reset Query"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_pdu_is_named_and_goes_back_as_it_came(name: str) -> None:
    octets, code, says = WRONG[name]
    story = Story()
    said = story.hears(octets)
    assert says in said[-1]
    assert said[-1].startswith("ended, protocol: ")
    assert story.error == code
    size = int.from_bytes(story.sent[8:12])
    assert 8 <= size <= MOST_REPORTED
    assert octets.endswith(story.sent[12 : 12 + size])
    assert len(story.sent) == int.from_bytes(story.sent[4:8])


@pytest.mark.parametrize("size", [0, 3300, 60_000, 100_000])
def test_an_error_report_may_be_long(story: Story, size: int) -> None:
    (said,) = story.hears(report(1, b"the disk is full\n" + b"x" * size))
    assert said.startswith("ended, refused: the cache reports error 1, internal error: the disk is full?")


@pytest.mark.parametrize("length", [0, 8, 15])
@pytest.mark.parametrize("first", [b"", response()])
def test_an_error_report_that_is_too_short_ends_it_at_once_and_is_not_answered(length: int, first: bytes) -> None:
    story = Story()
    story.hears()
    said = story.hears(first + pdu(10, length=length))
    assert said[-1] == f"ended, protocol: the cache sent a PDU of a wrong length: Error Report of {length} octets"
    assert story.sent == b""


def test_reserved_bits_are_ignored() -> None:
    story = Story()
    announced, withdrawn = prefix(ONE, flags=0x81), prefix(SIX, flags=0x80)
    odd = announced[:11] + b"\1" + announced[12:]
    assert story.hears(response(), odd, withdrawn) == ["full set", f"+{ONE}", f"-{SIX}"]


def test_router_keys_come_between(story: Story) -> None:
    story.hears(notify(8))
    key = SKI + struct.pack(">I", 64500) + SPKI
    assert story.hears(response(), pdu(9, key, session=0x0100), prefix(ONE), pdu(9, key), end(8)) == [
        "+key of AS64500",
        f"+{ONE}",
        "-key of AS64500",
        "ESTABLISHED",
    ]


def test_more_than_the_memory_is_for_ends_it() -> None:
    story = Story(most=RECORDS)
    vrps = [VRP(f"10.{number >> 8}.{number & 255}.0/24", 24, 1) for number in range(RECORDS + 1)]
    assert story.hears(whole_set(*vrps))[-1] == f"ended, no-end-of-data: the cache sends more than {RECORDS} VRPs"


# -- any octets, cut anywhere


@given(
    st.lists(st.sampled_from([prefix(ONE), prefix(SIX, flags=0), pdu(9, bytes(115)), notify(9)]), max_size=30),
    st.data(),
)
def test_octets_may_be_cut_anywhere(pdus: list[bytes], data: st.DataObject) -> None:
    stream = response() + b"".join(pdus) + end(9)
    whole, parts, at = Story().hears(stream), Story(), 0
    heard: list[str] = []
    while at < len(stream):
        size = data.draw(st.integers(1, 50))
        heard += parts.hears(stream[at : at + size])
        at += size
    assert heard == whole


@given(
    st.lists(
        st.binary(max_size=60) | st.sampled_from([response(), prefix(ONE), end(9), CACHE_RESET, notify(3), report(4)])
    )
)
def test_no_octets_do_more_than_end_it(pieces: list[bytes]) -> None:
    story = Story()
    for piece in pieces:
        said = story.hears(piece)
        assert all(
            " " not in word or word[0] in "+-" or word.startswith(("ended", "again", "full", "no-data"))
            for word in said
        )


@given(
    st.lists(st.tuples(st.sampled_from([4, 6]), st.binary(min_size=24, max_size=24)), max_size=40),
    st.integers(0, 60),
    st.integers(0, 1),
)
def test_prefixes_are_decoded_as_the_rfc_says(vrps: list[tuple[int, bytes]], cut: int, version: int) -> None:
    """Against a decoder of five lines, from sections 5.6 and 5.7."""
    pdus, wanted = [], []
    for family, octets in vrps:
        size = 4 if family == 4 else 16
        pdus.append(pdu(family, octets[: 4 + size] + octets[20:24], version=version))
        flags, length, longest, _ = octets[:4]
        address, asn = octets[4 : 4 + size].ljust(16, b"\0"), int.from_bytes(octets[20:24])
        wanted.append(struct.pack("=16sIBBBB", address, asn, length, longest, family, flags & 1))
    stream = b"".join(pdus)[: sum(map(len, pdus)) - cut if pdus else 0]
    out, count = ffi.new("struct vrp[]", 40), ffi.new("size_t *")
    used = lib.rtr_prefixes(stream, len(stream), version, out, 40, count)
    assert used == sum(map(len, pdus[: count[0]])) <= len(stream)
    assert count[0] == len(pdus) or len(stream) - used < len(pdus[count[0]])
    assert ffi.buffer(out, count[0] * 24)[:] == b"".join(wanted[: count[0]])
