"""RTR version 2 as a router speaks it, in stories (draft-ietf-sidrops-8210bis-27)."""

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _rov import ffi, lib
from rtrlib import aspas
from rtrlib.faults import Fault
from rtrlib.link import ASPAs, Ended, Resume, VRPs
from rtrlib.native_session import LOWER_VERSION_FOR, SILENCE, NativeSession
from rtrlib.rtr_socket import RTRSocketState as State
from rtrlib.servers import Intervals
from tests.unit.test_native_session import CACHE_RESET, ONE, SESSION, SIX, Story, end, notify, pdu, prefix, report

A, B, C = 64496, 64500, 4200000000
Lists = dict[int, tuple[int, ...]]


def aspa(customer: int, providers: Sequence[int] = (), flags: int = 1, zero: int = 0, version: int = 2) -> bytes:
    body = struct.pack(f">{1 + len(providers)}I", customer, *providers)
    return pdu(11, body, flags << 8 | zero, version)


def withdrawal(customer: int, providers: Sequence[int] = ()) -> bytes:
    return aspa(customer, providers, flags=0)


def of_draft_10(customer: int, providers: Sequence[int], announce: int = 1) -> bytes:
    body = struct.pack(f">BBH{1 + len(providers)}I", announce, 2, len(providers), customer, *providers)
    return pdu(11, body, version=2)


def response(session: int = SESSION) -> bytes:
    return pdu(3, session=session, version=2)


def done(serial: int, session: int = SESSION) -> bytes:
    return end(serial, session, version=2)


PREFIX = prefix(ONE, version=2)


class V2Story(Story):
    """A session that begins in version 2."""

    def __init__(self, resume: Resume | None = None, *, most: int = 100_000) -> None:
        super().__init__(resume or Resume(), most=most)

    @property
    def held(self) -> Lists:
        return dict(aspas.records(self.resume.aspas))


@pytest.fixture
def story() -> V2Story:
    """In sync: serial 7, one VRP, one ASPA."""
    story = V2Story()
    assert story.sent == pdu(2, version=2)
    said = story.hears(response(), PREFIX, aspa(A, (64497, 64498)), done(7))
    assert said == ["full set", f"+{ONE}", "ASPAs of 64496", "ESTABLISHED"]
    story.now += 1
    return story


def asked(story: V2Story) -> None:
    story.hears(notify(8, version=2))
    assert story.sent[:2] == b"\2\1"


def test_an_announcement_replaces_the_list_whether_it_is_longer_or_shorter(story: V2Story) -> None:
    for serial, providers in ((8, (64498,)), (9, (0,)), (10, (64498, 64500, 64501))):
        story.hears(notify(serial, version=2))
        assert story.hears(response(), aspa(A, providers), done(serial)) == ["ASPAs of 64496", "ESTABLISHED"]
        assert story.held == {A: providers}
        story.now += 1


def test_a_withdrawal_takes_the_customer_away(story: V2Story) -> None:
    asked(story)
    assert story.hears(response(), aspa(B, (1,)), withdrawal(A), done(8)) == ["ASPAs of 64500", "ESTABLISHED"]


def test_what_says_nothing_of_aspas_leaves_them_and_a_full_set_replaces_them(story: V2Story) -> None:
    asked(story)
    assert story.hears(response(), prefix(SIX, version=2), done(8)) == [f"+{SIX}", "ESTABLISHED"]
    story.now += 1
    story.hears(notify(9, version=2))
    assert story.hears(pdu(8, version=2)) == ["SYNC"]
    assert story.hears(response(SESSION + 1), aspa(B, (1,)), done(1, SESSION + 1))[1:] == [
        "ASPAs of 64500",
        "ESTABLISHED",
    ]


def test_nothing_counts_before_end_of_data(story: V2Story) -> None:
    asked(story)
    assert story.hears(response(), aspa(B, (1,)), withdrawal(A)) == []
    assert story.held == {A: (64497, 64498)}


def test_the_longest_list_is_taken_whole() -> None:
    story, providers = V2Story(), tuple(range(1000, 1000 + 16380))
    octets = response() + aspa(A, providers) + aspa(B, (1,)) + done(7)
    for at in range(0, len(octets), 1460):
        story.hears(octets[at : at + 1460])
    assert story.held == {A: providers, B: (1,)}


def test_the_last_list_of_a_customer_counts_never_the_union(story: V2Story) -> None:
    asked(story)
    story.hears(response(), aspa(B, (1,)), aspa(B, (2,)), done(8))
    assert story.held[B] == (2,)


WRONG = {
    "empty list": (aspa(B), 9, "the ASPA of AS64500 names no provider"),
    "AS 0 among others": (aspa(B, (0, 64501)), 9, "names AS0 beside others"),
    "unsorted": (aspa(B, (64502, 64501)), 9, "do not ascend: AS64501 follows AS64502"),
    "unsorted beyond 2^31": (aspa(B, (C, 5)), 9, "do not ascend: AS5 follows AS4200000000"),
    "repeated": (aspa(B, (64501, 64501)), 9, "names AS64501 twice"),
    "withdrawal with a list": (withdrawal(A, (64501,)), 0, "withdraws the ASPA of AS64496 with a list"),
    "odd length": (pdu(11, bytes(6), 0x100, 2), 0, "wrong length: ASPA of 14 octets"),
    "short": (pdu(11, b"", 0x100, 2), 0, "wrong length: ASPA of 8 octets"),
    "too long": (pdu(11, b"", 0x100, 2, length=65536), 0, "wrong length: ASPA of 65536 octets"),
    "withdrawal of unknown": (
        withdrawal(B) + done(8),
        6,
        "withdraws the ASPA of AS64500, of which it has announced none",
    ),
    "version 1": (prefix(SIX, version=1), 8, "PDU of version 1 in a session of version 2"),
    "host bits": (
        pdu(4, bytes((1, 24, 24, 0, 192, 0, 2, 1, 0, 0, 0, 1)), version=2),
        0,
        "bits beyond the prefix length",
    ),
    "host bits of IPv6": (pdu(6, bytes((1, 0, 0, 0)) + bytes(15) + b"\1" + bytes(4), version=2), 0, "bits beyond"),
    "another session": (done(8, SESSION + 1), 0, "End of Data of session 4712 instead of 4711"),
    "reset": (pdu(8, version=2), 0, "Cache Reset between a Cache Response and its End of Data"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("first", [b"", aspa(C, (1, 2)), prefix(SIX, version=2)])
def test_an_answer_with_something_wrong_counts_for_nothing(story: V2Story, name: str, first: bytes) -> None:
    octets, code, says = WRONG[name]
    asked(story)
    said = story.hears(response(), first, octets, done(8))
    assert says in said[-1]
    assert said[-1].startswith("ended, protocol: ")
    assert (story.error, story.sent[0]) == (code, 2)
    assert story.held == {A: (64497, 64498)}
    assert not [word for word in said if word.startswith("ASPAs")]


def test_a_full_set_has_no_withdrawals() -> None:
    story = V2Story(Resume(aspas=aspas.union_of(aspas.numbers([(A, (1,))]))))
    assert "of which it has announced none" in story.hears(response(), withdrawal(A), done(7))[-1]
    assert story.error == 6
    assert story.held == {A: (1,)}


@pytest.mark.parametrize("octets", [aspa(B, (1,)), withdrawal(A), PREFIX])
def test_nothing_comes_outside_of_an_answer(story: V2Story, octets: bytes) -> None:
    assert "out of place" in story.hears(octets)[-1]
    assert story.error == 0


def test_reserved_bits_and_any_order_are_taken() -> None:
    story = V2Story()
    story.hears(response(), aspa(C, (1,), flags=0x81, zero=7), aspa(A, (2,)), PREFIX, done(7))
    assert story.held == {A: (2,), C: (1,)}


def test_a_customer_is_not_its_own_provider_and_as_0_is_no_customer() -> None:
    story = V2Story()
    story.hears(response(), aspa(A, (1, A)), aspa(0, (1,)), done(7))
    assert story.held == {A: (1,)}


def test_host_bits_are_left_to_the_set_in_version_1() -> None:
    story = Story()
    wrong = pdu(4, bytes((1, 24, 24, 0, 192, 0, 2, 1, 0, 0, 0, 1)))
    assert story.hears(pdu(3, session=SESSION), wrong, end(7))[-1] == "ESTABLISHED"


def test_an_aspa_in_version_1_is_of_an_unknown_type() -> None:
    story = V2Story()
    octets = pdu(3, session=SESSION) + aspa(A, (1,), version=1)
    assert "type 11 (ASPA), which version 1 of RTR does not have" in story.hears(octets)[-1]
    assert (story.error, story.sent[0]) == (5, 1)


def test_more_than_memory_is_for_ends_it() -> None:
    story = V2Story(most=1000)
    said = story.hears(response(), *(aspa(customer, (1,)) for customer in range(1, 1200)), done(7))
    assert said[-1] == "ended, no-end-of-data: the cache sends more ASPAs than there is memory for"
    assert story.held == {}


def test_more_and_more_by_little_changes_is_too_much_as_well() -> None:
    story, serial = V2Story(most=1000), 7
    said = story.hears(response(), done(serial))
    for serial in range(8, 20):
        story.now += 1
        story.hears(notify(serial, version=2))
        begin = serial * 1000
        said = story.hears(response(), *(aspa(begin + n, (1,)) for n in range(400)), done(serial))
        if said[-1] != "ESTABLISHED":
            break
    assert said[-1].startswith("ended, no-end-of-data")
    assert len(story.resume.aspas) <= 16_000


# -- versions (section 7)


def test_a_lower_version_begins_with_a_reset_query_and_goes_for_the_newest_next_time(story: V2Story) -> None:
    """Also if the cache's session has the same number in both."""
    story.session.broke()
    again = V2Story(story.resume)
    assert again.sent[:2] == b"\2\1"
    assert again.hears(report(4, version=1)) == ["SYNC"]
    assert again.sent == pdu(2), "on the same connection"
    assert again.hears(pdu(3, session=SESSION), prefix(ONE), end(3))[-1] == "ESTABLISHED"
    assert again.held == {A: (64497, 64498)}
    assert not again.session.wants_again
    newest = V2Story(story.resume)
    assert newest.sent == pdu(2, version=2)
    newest.hears(report(4, version=1))
    assert newest.sent == pdu(1, struct.pack(">I", 3), SESSION), "the session of version 1 is still good"


def test_a_cache_that_ends_the_connection_with_its_refusal_is_asked_on_another_one() -> None:
    story = V2Story()
    story.hears(report(4, version=1))
    assert story.session.wants_again
    story.session.broke()
    again = V2Story(story.resume)
    assert again.sent == pdu(2)
    assert not again.session.wants_again, "that it ends this one, too, is a fault"
    again.hears(pdu(3, session=SESSION), prefix(ONE), end(3))
    assert V2Story(story.resume).sent == pdu(2, version=2), "each connection begins with the newest"


def test_a_refusal_in_version_0_with_which_the_connection_ends_may_be_of_a_cache_of_version_1() -> None:
    """As StayRTR 0.6 has it. One that left the connection open is asked there in version 0, as section 7 wants it."""
    story = V2Story()
    assert (story.hears(report(4, version=0)), story.sent) == (["SYNC"], pdu(2, version=0))
    assert story.session.wants_again
    story.session.broke()
    again = V2Story(story.resume)
    assert again.sent == pdu(2, version=1)
    assert (again.hears(report(4, version=0)), again.sent) == (["SYNC"], pdu(2, version=0))
    assert again.session.wants_again
    again.session.broke()
    assert V2Story(story.resume).sent == pdu(2, version=0), "it has only that"


def test_a_cache_that_ends_two_connections_without_a_word_is_asked_once_in_version_1() -> None:
    """Its refusal may have been lost. One that has spoken version 2 before is only away."""
    resume = Resume()
    asked = []
    for _ in range(6):
        story = V2Story(resume)
        asked.append(story.sent)
        story.session.broke()
    assert asked == [pdu(2, version=version) for version in (2, 2, 1, 2, 2, 1)]
    story = V2Story(resume)
    story.hears(pdu(3, version=2, session=SESSION), end(3, version=2))
    story.session.broke()
    for _ in range(4):
        story = V2Story(resume)
        assert story.sent[0] == 2
        story.session.broke()


def test_a_cache_that_left_the_lower_version_is_followed_up_again() -> None:
    story = V2Story(Resume(version=1, version_until=1e9))
    assert (story.hears(report(4, version=2)), story.sent) == (["SYNC"], pdu(2, version=2))
    assert story.hears(report(4, version=1))[0].startswith("ended, refused: the cache refuses version 2")


def test_a_cache_that_refuses_each_version_is_given_up() -> None:
    story = V2Story()
    for version in (1, 0):
        assert (story.hears(report(4, version=version)), story.sent) == (["SYNC"], pdu(2, version=version))
    assert story.hears(report(4, version=0))[0].startswith("ended, refused: the cache refuses version 0")


def test_a_serial_query_answered_in_a_lower_version_is_no_answer(story: V2Story) -> None:
    story.session.broke()
    again = V2Story(story.resume)
    assert "in which it has no session with us" in again.hears(pdu(3, session=SESSION), end(7))[-1]
    assert V2Story(story.resume).sent == pdu(2, version=2)


def test_a_cache_of_version_1_that_has_no_data_says_so_in_its_own_version() -> None:
    story = V2Story()
    assert story.hears(report(2))[0] == "no-data: the cache has no data yet"
    story.waits(1)
    assert story.sent == pdu(2)


def test_a_limit_of_the_version_is_kept() -> None:
    story = Story(Resume(max_version=1))
    assert story.sent == pdu(2)
    assert "speaks 0 to 1" in story.hears(report(4, version=2))[-1]


def test_the_old_aspa_pdu_means_version_1_for_a_day() -> None:
    story = V2Story()
    said = story.hears(response(), PREFIX, of_draft_10(64496, (64497, 64498)), done(7))
    assert said[-1].startswith("again, old-draft: the cache accepts version 2 of RTR, but sends the ASPA PDU of draft")
    assert isinstance(story.last, Ended)
    assert story.last.kind is Fault.OLD_DRAFT
    lower = V2Story(story.resume)
    assert lower.sent == pdu(2)
    lower.hears(pdu(3, session=SESSION), prefix(ONE), end(7))
    assert V2Story(story.resume).sent[0] == 1, "though that went well"
    later = NativeSession(story.resume, Intervals(), 1000, story.now + LOWER_VERSION_FOR)
    assert later.take_octets()[0] == 2


def test_an_old_withdrawal_is_seen_too(story: V2Story) -> None:
    asked(story)
    assert story.hears(response(), of_draft_10(64496, (), announce=0))[-1].startswith("again, old-draft")


# -- caches that go away (sections 8.5, 8.6)


def test_a_restart_keeps_the_data_and_a_shutdown_drops_them(story: V2Story) -> None:
    resume = story.resume
    assert story.hears(report(12, b"new software", version=2))[0].startswith(
        "ended, refused: the cache reports error 12"
    )
    assert isinstance(story.last, Ended)
    assert (story.last.drop, story.last.wait) == (False, 600.0)
    again = V2Story(resume)
    again.hears(report(13, version=2))
    assert isinstance(again.last, Ended)
    assert (again.last.drop, again.last.wait) == (True, 600.0)


@pytest.mark.parametrize("code", [*range(16), 65535])
def test_an_error_that_is_fatal_or_none_of_version_2_drops_the_data(code: int) -> None:
    """Section 12: whether it comes instead of an answer, within one, or after it."""
    instead, within, after = V2Story(), V2Story(), V2Story()
    within.hears(response(), PREFIX)
    after.hears(response(), PREFIX, done(7))
    for story in (instead, within, after):
        said = story.hears(report(code, version=2))
        if story is instead and code in {2, 4}:
            continue  # it is asked again, or refuses all versions: stories above
        assert said[-1].startswith(f"ended, refused: the cache reports error {code}")
        assert isinstance(story.last, Ended)
        assert story.last.drop == (code not in {2, 4, 12})
        assert story.sent == b"", "an Error Report is never answered by one"


def test_that_our_session_is_unknown_drops_nothing(story: V2Story) -> None:
    """A cache that was restarted may say so instead of Cache Reset: a Reset Query follows at once."""
    again = V2Story(story.resume)
    again.hears(report(0, version=2))
    assert isinstance(again.last, Ended)
    assert (again.last.again, again.last.drop) == (True, False)


@pytest.mark.parametrize("code", [0, 3, 9, 13])
def test_version_1_drops_nothing_for_an_error(code: int) -> None:
    for story in (Story(), V2Story(Resume(version=1, version_until=1e9))):
        story.hears(pdu(3, session=SESSION), prefix(ONE), end(7))
        story.hears(report(code, version=story.session.version))
        assert isinstance(story.last, Ended)
        assert not story.last.drop


def test_a_cache_that_falls_silent_is_told_so_in_version_2(story: V2Story) -> None:
    asked(story)
    story.hears(response())
    assert story.waits(SILENCE) == ["ended, silent: nothing came from the cache for 60 seconds"]
    assert (story.error, story.sent[0]) == (10, 2)
    older = Story()
    older.waits(SILENCE)
    assert older.sent == b"", "RFC 8210 has no such error"


def test_what_is_left_out_is_counted_by_its_reason(story: V2Story) -> None:
    asked(story)
    said = story.hears(response(), aspa(A, (1, A)), aspa(0, (1,)), aspa(0, (2,)), aspa(B, (B, 70000)), done(8))
    assert said[:2] == ["left out: 2 as-0-customer", "left out: 2 own-customer"]
    longer = V2Story()
    said = longer.hears(response(), aspa(A, range(1000, 11001)), aspa(B, range(1000, 11000)), done(7))
    assert said[1] == "left out: 1 too-many-providers"
    for octets, reason in (
        (aspa(B, (0, 1)), "as-0-beside-others"),
        (aspa(B), "no-provider"),
        (aspa(B, (2, 1)), "not-ascending"),
        (aspa(B, (1, 1)), "repeated"),
        (withdrawal(A, (1,)), "withdrawn-list"),
    ):
        other = V2Story()
        assert other.hears(response(), octets)[1] == f"left out: 1 {reason}"


# -- any octets

NUMBERS = st.sampled_from([0, 1, 2, 64496, 2147483648, 4294967295])


@given(st.lists(st.tuples(NUMBERS, st.lists(NUMBERS, max_size=4), st.integers(0, 3)), max_size=12), st.integers(0, 30))
def test_lists_are_decoded_as_the_draft_says(entries: list[tuple[int, list[int], int]], cut: int) -> None:
    """Against a decoder of a few lines."""
    wanted: list[int] = []
    size = 0
    for customer, providers, flags in entries:
        announced = bool(flags & 1)
        if providers != sorted(set(providers)) or announced == (not providers) or (0 in providers[:-1]):
            break
        size += 12 + 4 * len(providers)
        kept = [one for one in providers if one != customer] or providers if len(providers) > 1 else providers
        wanted += [customer, len(kept), *kept] if customer else []
    stream = b"".join(aspa(*one) for one in entries)
    out, words = ffi.new("uint32_t[]", 200), ffi.new("size_t *")
    left_out = ffi.new("struct aspas_left_out *")
    assert lib.rtr_aspas(stream, len(stream), 2, out, 200, words, left_out) == size
    assert ffi.unpack(out, words[0]) == wanted
    short = stream[: max(0, len(stream) - cut)]
    assert lib.rtr_aspas(short, len(short), 2, out, 200, words, left_out) <= min(size, len(short))


@given(
    st.lists(
        st.binary(max_size=40)
        | st.builds(aspa, NUMBERS, st.lists(NUMBERS, max_size=3), st.integers(0, 1))
        | st.sampled_from([response(), PREFIX, done(9), notify(9, version=2), pdu(8, version=2), CACHE_RESET]),
        max_size=20,
    ),
    st.data(),
)
def test_octets_may_be_anything_and_cut_anywhere(pieces: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(pieces)
    whole, parts, at = V2Story(), V2Story(), 0
    said = whole.hears(stream)
    heard: list[str] = []
    while at < len(stream):
        size = data.draw(st.integers(1, 50))
        heard += parts.hears(stream[at : at + size])
        at += size
    assert (heard, parts.held) == (said, whole.held)
    for _, providers in aspas.records(whole.resume.aspas):
        assert providers


@pytest.mark.parametrize("at", range(len(response() + aspa(A, (1, 2)) + aspa(B, (3,)) + done(7))))
def test_what_is_cut_off_counts_for_nothing(at: int) -> None:
    story = V2Story()
    said = story.hears((response() + aspa(A, (1, 2)) + aspa(B, (3,)) + done(7))[:at])
    story.session.broke()
    assert said in ([], ["full set"])
    assert story.held == {}
    assert V2Story(story.resume).sent == pdu(2, version=2)


def test_events_of_one_end_of_data_come_together(story: V2Story) -> None:
    asked(story)
    events = story.session.feed(response() + prefix(SIX, version=2) + aspa(B, (1,)) + done(8), story.now)
    assert [type(event) for event in events][:2] == [VRPs, ASPAs]
    assert events[-1].state == State.ESTABLISHED  # type: ignore[union-attr]
