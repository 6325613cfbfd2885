"""Whether a value is as docs/openapi.yaml promises."""

from typing import Any

import jsonschema_rs
import yaml

from tests.lab import ROOT

DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())


def check(schema: str, value: object) -> None:
    """Fail unless it is one of a schema of the document."""
    whole = {"$ref": f"#/components/schemas/{schema}", "components": DOCUMENT["components"]}
    jsonschema_rs.Draft202012Validator(whole).validate(value)
