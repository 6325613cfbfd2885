"""Whose UPDATEs ExaBGP tells, as stories: what is configured, what comes, what is counted."""

import ipaddress

from rtrd.exabgp.api_sections import ApiSections
from rtrd.exabgp.neighbor_text import ApiSection, ConfigurationReader, is_text_event

PEER, OTHER, SIXTH = "192.0.2.2", "192.0.2.3", "2001:db8::2"
TOLD = ApiSection("rtrd", updates=True, changes=True)
UP_ONLY = ApiSection("rtrd", updates=False, changes=True)
CONFIGURATION = """\
neighbor 192.0.2.2 {
\tdescription "api {";
\tadj-rib-out true;
\tcapability {
\t\troute-refresh enable;
\t}
\tapi {
\t\tprocesses [ rtrd ];
\t\tneighbor-changes;
\t\treceive {
\t\t\tpackets;
\t\t\topen;
\t\t\tupdate;
\t\t}
\t\tsend {
\t\t\tpackets;
\t\t\topen;
\t\t}
\t}
\tapi {
\t\tprocesses [ other ];
\t\treceive {
\t\t\tupdate;
\t\t}
\t}
}
neighbor 192.0.2.3 {
\tstatic {
\t}
}
neighbor 2001:db8::/32 {
\tapi {
\t\tprocesses [ rtrd ];
\t\tsend {
\t\t\tparsed;
\t\t\tupdate;
\t\t}
\t}
}
"""


def test_a_configuration_is_read() -> None:
    reader = ConfigurationReader()
    assert [one for line in CONFIGURATION.splitlines() if (one := reader.read(line))] == [PEER, OTHER]
    assert reader.sections == {
        PEER: {"rtrd": TOLD, "other": ApiSection("other", updates=False, changes=False)},
        OTHER: {},
        ipaddress.ip_network("2001:db8::/32"): {"rtrd": ApiSection("rtrd", updates=False, changes=False)},
    }


def test_events_as_text() -> None:
    assert is_text_event("neighbor 192.0.2.2 up")
    assert is_text_event("neighbor 2001:db8::2 receive update announced 10.0.0.0/8 next-hop 192.0.2.1")
    assert not is_text_event("neighbor 192.0.2.2 local-ip 192.0.2.1 local-as 1 peer-as 2")
    assert not is_text_event("neighbor 192.0.2.2 {")


def test_who_has_no_section_is_not_followed_and_that_is_said() -> None:
    api = ApiSections()
    assert not api.follows(PEER), "nothing is known yet"
    api.configured([(PEER, ()), (OTHER, (TOLD,))])
    assert (api.follows(PEER), api.follows(OTHER)) == (False, True)
    assert api.changes([PEER, OTHER], 7.0) == ([PEER], [])
    assert {one: tuple(lack) for one, lack in api.lacks().items()} == {PEER: (7.0, False, False)}
    assert api.process == "rtrd"


def test_a_section_that_a_reload_adds_counts_when_an_update_came_or_with_the_next_session() -> None:
    """4.2 tells nothing by it in the session that is; 5.0 does."""
    for proof in (ApiSections.update, ApiSections.session):
        api = ApiSections()
        assert not api.configured([(PEER, ()), (OTHER, (TOLD,))])
        api.changes([PEER], 1.0)
        assert api.configured([(PEER, (TOLD,)), (OTHER, (TOLD,))]) == {PEER}, "it is asked to say something"
        assert api.changes([PEER], 2.0) == ([], [])
        assert api.lacks()[PEER].later
        assert not api.configured([(PEER, (TOLD,)), (OTHER, (TOLD,))]), "once"
        proof(api, PEER)
        assert api.follows(PEER)
        api.changes([PEER], 3.0)
        assert not api.lacks()


def test_one_that_a_reload_removes_takes_the_routes_until_an_update_comes_all_the_same() -> None:
    api = ApiSections()
    api.update(PEER)
    api.configured([(PEER, (TOLD,)), (OTHER, (TOLD,))])
    assert api.changes([PEER], 1.0) == ([], [])
    api.configured([(PEER, ()), (OTHER, (TOLD,))])
    assert api.changes([PEER], 2.0) == ([PEER], [])
    assert api.update(PEER)
    api.configured([(PEER, ()), (OTHER, (TOLD,))])
    assert api.changes([PEER], 3.0) == ([], []), "4.2 goes on to tell in the session that is"


def test_who_is_heard_has_no_section_to_be_seen_where_processes_match() -> None:
    api = ApiSections()
    assert not api.update(PEER)
    assert api.configured([(PEER, ()), (OTHER, (TOLD,))]) == set()
    assert api.changes([PEER, OTHER], 5.0) == ([], [])
    assert api.follows(PEER)


def test_what_comes_before_the_section_is_read_again_is_believed_and_asked_for() -> None:
    api = ApiSections()
    api.configured([(PEER, ()), (OTHER, (TOLD,))])
    api.changes([PEER], 1.0)
    assert api.update(PEER), "its routes of before were never told"
    assert not api.update(PEER)
    assert api.follows(PEER)
    assert not api.lacks()


def test_who_only_listens_needs_no_updates() -> None:
    api = ApiSections()
    api.configured([(PEER, (UP_ONLY,))])
    api.counted(PEER, 2, families=2)
    api.changes([PEER], 1.0)
    assert not api.lacks(), "two End-of-RIB markers"
    api.list_begins()
    api.counted(PEER, 3, families=2)
    assert api.lacks()[PEER].section


def test_of_two_processes_ours_is_the_one_that_is_told_what_came() -> None:
    other = ApiSection("other", updates=True, changes=True)
    api = ApiSections()
    api.configured([(PEER, (other,)), (OTHER, (TOLD, other))])
    assert api.follows(PEER), "not known better"
    api = ApiSections()
    api.update(SIXTH)
    api.configured([(PEER, (other,)), (OTHER, (TOLD, other)), (SIXTH, (TOLD,))])
    assert (api.follows(PEER), api.follows(OTHER), api.follows(SIXTH)) == (False, True, True)
    api = ApiSections()
    api.configured([(PEER, (other,)), (OTHER, (TOLD, other)), (SIXTH, (TOLD,))])
    api.update(SIXTH)
    assert (api.follows(PEER), api.names(PEER), api.names(OTHER)) == (False, False, True), "known as it comes"


def test_a_range_has_its_neighbors_told() -> None:
    api = ApiSections()
    api.configured([(ipaddress.ip_network("192.0.2.0/24"), (TOLD,)), (ipaddress.ip_network("2001:db8::/32"), ())])
    assert (api.follows(PEER), api.follows(SIXTH)) == (True, False)


def test_updates_that_are_counted_and_not_told_are_found_by_the_second_list() -> None:
    api = ApiSections()
    api.configured([(PEER, (TOLD,))])
    for received, again, follows in ((5, False, True), (6, True, True), (6, False, False)):
        api.list_begins()
        api.counted(PEER, received, families=2)
        assert api.list_over() is again
        assert api.follows(PEER) is follows
    assert api.changes([PEER], 1.0) == ([], []) or api.lacks()
    assert api.update(PEER)
    assert api.follows(PEER)


def test_a_line_that_is_a_moment_late_is_no_silence_nor_is_one_that_could_not_be_read() -> None:
    api = ApiSections()
    api.configured([(PEER, (TOLD,))])
    for received in (5, 6, 6, 7, 7):
        api.list_begins()
        api.counted(PEER, received, families=2)
        api.list_over()
        if received == 7:
            api.unreadable()
        else:
            api.update(PEER)
    assert api.follows(PEER)


def test_a_line_that_comes_while_the_list_does_is_counted_by_the_next_one() -> None:
    """ExaBGP 5.0 goes on with its sessions between two rows: the UPDATE is told behind its neighbor's row."""
    api = ApiSections()
    api.configured([(PEER, (TOLD,))])
    for received, told in ((5, True), (6, False), (6, False), (6, False)):
        api.list_begins()
        api.counted(PEER, received, families=2)
        if told:
            api.update(PEER)
        assert not api.list_over()
        assert api.follows(PEER)


def test_one_that_could_not_be_read_while_the_list_came_is_no_silence_either() -> None:
    api = ApiSections()
    api.configured([(PEER, (TOLD,))])
    for received, left_out in ((5, True), (6, False), (6, False)):
        api.list_begins()
        api.counted(PEER, received, families=2)
        if left_out:
            api.unreadable()
        assert not api.list_over()
        assert api.follows(PEER)


def test_text_is_followed_by_nobody_until_json_comes() -> None:
    api = ApiSections()
    api.configured([(PEER, (TOLD,))])
    api.text(5.0)
    api.text(6.0)
    assert (api.text_since, api.follows(PEER)) == (5.0, False)
    api.json()
    assert api.follows(PEER)
