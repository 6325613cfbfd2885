"""What the Debian package carries of others: its licenses, for debian/copyright, and its bill of materials (CycloneDX).

`python packaging/carried.py copyright|sbom FOLDER`: the folder is /usr/lib/rtrd as it is being built.
"""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Final

OURS: Final = ("rtrd", "rtrlib")
LICENSE_FILES: Final = ("LICEN", "COPYING", "NOTICE", "AUTHORS")
COPYRIGHT: Final = re.compile(r"\W*Copyright\b.*\d{4}")
# What a few say in words of their own, or not at all.
EXPRESSIONS: Final = {"Apache 2.0": "Apache-2.0", "LGPLv2+": "LGPL-2.1-or-later"}
# Debian has these texts in /usr/share/common-licenses, and wants no copies: how each begins.
COMMON: Final = {"Apache License": "Apache-2.0", "GNU LESSER GENERAL PUBLIC LICENSE": "LGPL-2.1"}
MISSING_LICENSES: Final = {"mdurl": "MIT", "markdown-it-py": "MIT"}


def carried(folder: Path) -> list[Distribution]:
    """Give the distributions in a folder, by name."""
    return sorted(distributions(path=[str(folder)]), key=lambda each: each.name.lower())


def license_of(each: Distribution) -> str:
    """Give the SPDX expression of a distribution's license. SystemExit when nobody says it."""
    said = each.metadata.get("License-Expression") or each.metadata.get("License") or MISSING_LICENSES.get(each.name)
    if not said:
        sys.exit(f"{each.name} doesn't say its license: look, and name it in {Path(__file__).name}")
    return EXPRESSIONS.get(said, said)


def texts(each: Distribution, folder: Path) -> str:
    """Give the text of every license file. SystemExit when there is none."""
    (info,) = (path for path in folder.glob("*.dist-info") if Distribution.at(path).name == each.name)
    files = sorted(path for path in info.rglob("*") if path.is_file() and path.name.upper().startswith(LICENSE_FILES))
    if not files:
        sys.exit(f"{each.name} has no license file")
    return "\n\n".join(f"[{path.relative_to(folder)}]\n{_text(path)}" for path in files)


def _text(path: Path) -> str:
    """Give a license file; of one that every Debian has, where it is, and whose rights it speaks of."""
    text = path.read_text(encoding="utf-8").strip()
    for head, name in COMMON.items():
        if head in text[:200] and len(text) > 9000:  # a NOTICE only names it
            notices = [line.strip() for line in text.splitlines() if COPYRIGHT.match(line)]
            return "\n".join([f"The whole text is in /usr/share/common-licenses/{name}.", *notices])
    return text


def stanzas(folder: Path) -> str:
    """Give the paragraphs of debian/copyright for what is carried, in its machine-readable format."""
    parts = []
    for each in carried(folder):
        if each.name in OURS:
            continue
        tops = sorted(
            {path.name for path in folder.iterdir() if path.name.split(".")[0] in _tops(each)}
            | {path.name for path in folder.glob("*.dist-info") if Distribution.at(path).name == each.name}
        )
        files = "\n ".join(f"usr/lib/rtrd/{top}{'/*' if (folder / top).is_dir() else ''}" for top in tops)
        lines = texts(each, folder).splitlines()
        text = "\n".join(f" {line}".rstrip() if line.strip() else " ." for line in lines)
        named = dict.fromkeys(line.strip(" .*#") for line in lines if COPYRIGHT.match(line))
        holders = "\n ".join(named) or f"the authors of {each.name}"
        parts.append(
            f"\nFiles: {files}\nCopyright: {holders}\nComment: {each.name} {each.version}: {license_of(each)}\n"
            f"License: {each.name}\n{text}\n"
        )
    return "".join(parts)


def _tops(each: Distribution) -> set[str]:
    """Give the modules and packages that a distribution has at the top."""
    files = each.files or []
    said = (each.read_text("top_level.txt") or "").split()
    return {path.parts[0].split(".")[0] for path in files if "-info" not in path.parts[0]} | set(said)


def sbom(folder: Path) -> str:
    """Give the bill of materials; the same for the same packages."""

    def component(each: Distribution) -> dict[str, object]:
        reference = f"pkg:pypi/{each.name.lower().replace('_', '-')}@{each.version}"
        return {
            "type": "library",
            "bom-ref": reference,
            "name": each.name,
            "version": each.version,
            "purl": reference,
            "licenses": [{"expression": license_of(each)}],
        }

    found = carried(folder)
    (ours,) = (each for each in found if each.name == OURS[0])
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {**component(ours), "type": "application"}},
        "components": [component(each) for each in found if each is not ours],
    }
    return json.dumps(bill, indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write({"copyright": stanzas, "sbom": sbom}[sys.argv[1]](Path(sys.argv[2])))
