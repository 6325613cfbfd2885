"""The status page as it is answered: one piece, and a policy that names exactly what is in it."""

import base64
import hashlib
import re

from rtrd.api import page

BODY, POLICY = page.made()
TEXT = BODY.decode()


def test_the_policy_names_the_style_and_the_script_that_are_in_it_and_no_other() -> None:
    rules = dict(rule.split(" ", 1) for rule in POLICY.split("; "))
    assert rules["default-src"] == "'none'"
    for tag in ("style", "script"):
        [inside] = re.findall(f"<{tag}>(.*?)</{tag}>", TEXT, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"
    assert "unsafe" not in POLICY


def test_it_names_no_other_place_and_makes_no_markup_of_text() -> None:
    assert (set(re.findall(r"https?://[^\"' ]+", TEXT)) - {"http://www.w3.org/2000/svg"}) == set()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function| on\w+=", TEXT)
    assert not re.search(r"<(link|script|img|iframe)[^>]+(src|href)=\"(?!data:,)", TEXT)


def test_every_id_that_the_script_asks_for_is_there_once() -> None:
    ids = re.findall(r' id="([^"]+)"', TEXT)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'\$\("([^"]+)"\)', TEXT)) <= set(ids)


def test_every_field_has_a_label_and_every_section_a_heading() -> None:
    assert len(re.findall("<input", TEXT)) == len(re.findall(r"<label>[^<]+<input", TEXT))
    for heading in re.findall(r'aria-labelledby="([^"]+)"', TEXT):
        assert f'id="{heading}"' in TEXT
