"""docs/exabgp.md names tests that exist, and the numbers and words that the code has."""

import inspect
import re

import pytest

from rtrd.commands import attach
from rtrd.exabgp import conversation, encode, gate, local_routes, send_barrier, startup, window
from rtrd.policy import Treatment
from rtrd.rib.attributes import AttributeSet, OtherAttribute, Segment
from rtrd.tags import Tag
from tests.lab import ROOT, pages

PAGE = (pages.DOCS / "exabgp.md").read_text()


def section(title: str) -> str:
    return pages.section(PAGE, title)


@pytest.mark.parametrize(("module", "name"), pages.named_tests(PAGE))
def test_every_test_that_is_named_exists(module: str, name: str) -> None:
    pages.check_test(module, name)


def test_every_trap_says_how_it_is_avoided_and_which_test_shows_it() -> None:
    traps = pages.rows(section("Traps, and how they are avoided"))[1:]
    assert len(traps) > 30
    for trap in traps:
        assert len(trap) == 4, trap
        name, version, avoided, shown = trap
        assert name
        assert avoided
        assert version in ("4.2", "5.0", "both"), trap
        assert re.fullmatch(pages.NAMES_TESTS, shown), trap


def test_every_file_that_is_named_exists() -> None:
    for name in re.findall(r"`((?:etc|tests|rtrd)/[\w./-]+)`", PAGE):
        assert (ROOT / name).exists(), name


def test_every_link_inside_the_page_leads_to_a_section() -> None:
    anchors = pages.anchors("".join(re.findall(r"^## .+\n", PAGE, re.MULTILINE)))
    links = set(re.findall(r"\]\(#([\w-]+)\)", PAGE))
    assert links
    assert links == anchors


def test_the_numbers_are_those_of_the_code() -> None:
    limits = {name: each.default for name, each in inspect.signature(window.Window).parameters.items()}
    said = section("The window and the fence")
    assert f"at most {limits['commands']} commands, and at most {limits['prefixes']} prefixes" in said
    assert f"unanswered for {limits['patience']:.0f} seconds" in said
    assert f"again every {window.AGAIN:.0f} seconds" in said
    assert f"{window.PASSWORD_BITS} questions" in said
    assert f"up to {attach.KEPT >> 20} MiB" in section("Start-up and restart")
    followed = section("Whose routes are followed")
    assert f"{conversation.CONFIGURATION_AFTER:.0f} seconds after its start" in followed
    assert conversation.CONFIGURATION_EVERY == local_routes.EVERY == 300
    assert len(re.findall(r"every\s+5\s+minutes", followed)) == 2
    assert gate.NEIGHBORS_EVERY == 60.0
    sessions = section("Sessions")
    assert re.search(r"every\s+minute", sessions)
    assert f"every {gate.LOOK_EVERY:.0f} seconds" in sessions
    assert (gate.LIST_SHARE, "a fifth of the time" in sessions) == (4, True)
    start = section("Start-up and restart")
    for seconds in (startup.HELD, startup.QUIET, startup.BLIND_QUIET):
        assert f"{seconds:.0f} seconds" in start
    assert startup.BUSY == 60
    assert startup.BLIND_BUSY == 300
    assert f"after {send_barrier.SILENCE:.0f} seconds without any answer" in section("The send barrier")
    assert send_barrier.QUIET == 0.5
    assert f"At most {gate.MOST_PREFIXES} prefixes" in section("The grammar")
    summary = (ROOT / "ffi" / "native" / "bgp" / "summary.c").read_text()
    (most,) = re.findall(r"#define SET_FITS (\d+)", summary)
    assert f"more than {most} octets" in section("What is announced, and what is not carried")


def said(grammar: str) -> list[str]:
    """The words of a line of the page's grammar, without what stands for something else."""
    return re.findall(r"(?<![\w|])[a-z][a-z-]+(?![\w|])", grammar)


def test_the_grammar_is_that_of_the_code() -> None:
    """Commands with everything in them have the words of the page, in their order, and no other."""
    others = OtherAttribute(7, 0xC0, bytes(8)), OtherAttribute(99, 0xC0, b"\1")
    full = AttributeSet(
        4, "192.0.2.1", 0, (Segment(2, (65001,)),), 65001, 5, 100, ((1, 2),), ((1, 2, 3),), (2 << 48,), others
    )
    words = encode.attribute_words(full, Treatment("announce", (Tag("large", (1, 2, 4)),)))
    selector = encode.select(["127.0.0.2", "127.0.0.3"])
    commands, in_words = section("The grammar").split("```")[1::2]
    lines = commands.strip().splitlines()
    for written, line in zip(
        (
            encode.announce(selector, words, None, "10.0.0.0/8"),
            encode.announce(selector, words, 7, "10.0.0.0/8"),
            encode.withdraw(selector, 4, None, "10.0.0.0/8"),
            encode.withdraw(selector, 4, 7, "10.0.0.0/8"),
        ),
        lines,
        strict=False,
    ):
        spoken = [word for word in written.split() if re.fullmatch(r"[a-z][a-z-]+", word)]
        assert spoken == said(line.replace("WORDS", in_words))
    lists = {startup.ADVERTISED, startup.LEARNED.format("ADDRESS")}
    refresh = {f"neighbor ADDRESS {one}" for one in conversation.REFRESH}
    greeting = {*window.HELLO.splitlines(keepends=True), *window.PASSWORD}
    rest = {*refresh, gate.NEIGHBORS, gate.CONFIGURATION, *lists, window.FENCE, *greeting}
    assert {line + "\n" for line in lines[4:]} == rest


def test_the_log_says_what_the_page_quotes() -> None:
    code = "".join(file.read_text() for file in (ROOT / "rtrd" / "exabgp").glob("*.py"))
    quoted = re.findall(r"log\s+(?:says\s+so|counts\s+it)\s+\(`([^`]+)`\)", PAGE)
    assert len(quoted) == 2
    for words in quoted:
        assert words in code, words
