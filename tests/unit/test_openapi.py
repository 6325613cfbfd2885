"""docs/openapi.yaml names every method and path that the API answers, and no other."""

import re

from rtrd.tags import VALIDITIES
from tests.lab import ROOT, whole
from tests.lab.promised import DOCUMENT


def test_every_route_of_the_application_is_in_it_and_no_other() -> None:
    answered = {
        (route.method, route.resource.canonical)
        for route in whole.app().router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert {(method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in item} == answered


def test_every_operation_says_what_it_does_and_how_it_answers() -> None:
    for path, item in DOCUMENT["paths"].items():
        for operation in item.values():
            assert operation["summary"], path
            assert "200" in operation["responses"], path
            for parameter in operation.get("parameters", ()):
                assert "example" in parameter or parameter["schema"]["type"] == "array", path


def test_its_words_are_those_of_the_project() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["ValidityWord"]["enum"] == [*VALIDITIES]
    kinds = set(schemas["Event"]["properties"]["kind"]["enum"])
    commands = (ROOT / "docs" / "commands.md").read_text()
    table = commands.partition("### Events")[2].partition("\n`vrp` is")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == kinds
