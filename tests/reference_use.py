"""Which entries of the reference suite a test uses: `python tests/reference_use.py [data set …]` lists them all.

An entry counts as used when a test file that names its data set has a string with which the entry's words, and those of
no other entry of that data set, begin. Tests that go through all entries of a data set name it in EVERY.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

SUITE = Path(__file__).resolve().parent.parent.parent / "shared" / "reference"
SPATIAL = (
    "blackbear",
    "blackbear_hazard",
    "captdata",
    "captdata_effort",
    "design_expected_counts",
    "detection_functions",
    "hare",
    "hornedlizard",
    "housemouse",
    "mark_resight",
    "ovenbird",
    "ovenbird_open",
    "possum",
    "stoatDNA",
)
# data set: the beginning of the words of the entries that one test goes through, and its file
EVERY = {
    "captdata": ("non-spatial closed-population estimate", "test_scr_reference.py"),
    "design_expected_counts": ("", "test_expected_counts.py"),
    "detection_functions": ("", "test_scr_reference.py"),
    "ovenbird": ("session 200", "test_scr_agreement.py"),
}


def uses(names=SPATIAL) -> dict[tuple[str, int, str], list[str]]:
    """(data set, number, words of an entry): the test files that use it."""
    texts = {path.name: _strings(path) for path in sorted(Path(__file__).parent.glob("test_*.py"))}
    found = {}
    for name in names:
        entries = [e["model"] for e in json.loads((SUITE / name / "expected.json").read_text("utf-8"))]
        for number, words in enumerate(entries):
            mine = [file for file, strings in texts.items() if _names(strings, name) and _uses(strings, words, entries)]
            start, file = EVERY.get(name, ("", ""))
            found[name, number, words] = mine + [file for _ in range(bool(file) and words.startswith(start))]
    return found


def _strings(path: Path) -> set[str]:
    text = path.read_text("utf-8")
    tree = ast.parse(text if any(name in text for name in SPATIAL) else "")
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def _names(strings: set[str], name: str) -> bool:
    return any(text.split("/")[0] == name for text in strings)


def _uses(strings: set[str], words: str, entries: list[str]) -> bool:
    if words in strings:
        return True
    return any(text and words.startswith(text) and sum(e.startswith(text) for e in entries) == 1 for text in strings)


if __name__ == "__main__":
    for (name, number, words), files in uses(sys.argv[1:] or SPATIAL).items():
        print(f"{name:24} {number:3} {'yes' if files else 'NO ':4} {words[:90]:90} {', '.join(files)}")
