"""What the configuration says in words goes into JSON: a neighbor's name, a router that is missed, a host's name."""

import inspect
import json

import pytest

from rtrd.api import responses
from rtrd.base.json_text import encode
from rtrd.config import nats, types

TEXTS = [
    kind
    for module in (types, nats)
    for _, kind in inspect.getmembers(module, inspect.isclass)
    if issubclass(kind, str) and kind is not str
]


@pytest.mark.parametrize("kind", TEXTS)
def test_each_text_of_a_configuration_is_text(kind: type[str]) -> None:
    text = kind("a")
    assert json.loads(encode({"one": text, "list": [text], text: None})) == {"one": "a", "list": ["a"], "a": None}
    assert json.loads(bytes(responses.json({"one": text}).body)) == {"one": "a"}  # type: ignore[arg-type]


def test_what_has_no_form_is_refused() -> None:
    with pytest.raises(TypeError):
        encode({"one": object()})
