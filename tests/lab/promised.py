"""Whether a value is as docs/openapi.yaml promises."""

from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

DOCUMENT: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "docs" / "openapi.yaml").read_text())


def check(schema: str, value: object) -> None:
    """Fail unless it is one of a schema of the document."""
    whole = {"$ref": f"#/components/schemas/{schema}", "components": DOCUMENT["components"]}
    jsonschema_rs.Draft202012Validator(whole).validate(value)
