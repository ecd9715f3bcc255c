"""Words of a covariate that look alike: a slip of the pen makes a level of its own, with a parameter of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

TIMES = 3  # a level is rare beside another that is at least so many times as frequent
SHORT, LONG = 4, 7  # letters of the shorter word, from which one or two slips are told
MOST = 200  # levels, above which a column holds names
OPPOSITES = {"female": "male", "west": "east", "young": "old"}  # words that look alike and are meant


def misspelled(values: Iterable) -> dict[str, str]:
    """Each rare level of a column of words -> the frequent level that it looks like.

    Levels look alike that are one but for case, blanks, hyphens and underscores, or one or two slips of the pen apart
    (a letter too many, missing, wrong, or two letters exchanged; Damerau 1964). Levels that differ by digits, by a
    single capital letter, by a Chinese character or by a word of one letter or Roman numeral are meant.

    >>> misspelled(["female"] * 6 + ["male"] * 2 + ["femle"]), misspelled(["plot 1"] * 6 + ["plot 2"])
    ({'femle': 'female'}, {})
    """
    words = pd.Series([str(v) for v in values if not pd.isna(v) and str(v).strip()], dtype=object)
    counts = words.value_counts()
    if len(counts) > MOST:
        return {}
    found = {}
    for rare, n in counts.items():
        often = [level for level, m in counts.items() if m >= TIMES * n and looks_like(str(rare), str(level))]
        if often:
            found[str(rare)] = min(often, key=lambda level: slips(str(rare), str(level)))
    return found


def looks_like(one: str, other: str) -> bool:
    """Whether two different words are probably meant to be the same."""
    a, b = (re.sub(r"[\s_\-]+", "", word).casefold() for word in (one, other))
    if a == b:
        return one != other
    for word, opposite in OPPOSITES.items():
        if a.replace(word, opposite) == b.replace(word, opposite):
            return False
    parts = "".join(_unlike(one, other))
    if min(len(a), len(b)) < SHORT or re.search(r"[\d⺀-\U0003ffff]", parts) or _numbered(one, other):
        return False
    allowed = 2 if min(len(a), len(b)) >= LONG and a[0] == b[0] else 1
    return slips(a, b) <= allowed


def slips(one: str, other: str) -> int:
    """Fewest insertions, deletions, substitutions and exchanges of neighbours that make one word the other.

    >>> slips("femlae", "female"), slips("femle", "female"), slips("male", "female")
    (1, 1, 2)
    """
    before, last, row = [], [], list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, last, row = last, row, [i]
        for j, b in enumerate(other, 1):
            row.append(min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b)))
            if i > 1 and j > 1 and a == other[j - 2] and b == one[i - 2]:
                row[j] = min(row[j], before[j - 2] + 1)
    return row[-1]


def _unlike(one: str, other: str) -> tuple[str, str]:
    """What is left of two words without their common beginning and end."""
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    one, other = one[start:], other[start:]
    end = next((i for i, (a, b) in enumerate(zip(one[::-1], other[::-1], strict=False)) if a != b), None)
    end = min(len(one), len(other)) if end is None else end
    return one[: len(one) - end], other[: len(other) - end]


def _numbered(one: str, other: str) -> bool:
    """Whether two words differ by one capital letter, as gridA and gridB, or by numerals, as camp I and camp II."""
    a, b = (re.split(r"[\s_\-]+", word) for word in (one, other))
    differ = [pair for pair in zip(a, b, strict=False) if pair[0] != pair[1]]
    if len(a) == len(b) > 1 and all(re.fullmatch(r"(?i)\w|[ivx]+", part) for pair in differ for part in pair):
        return True
    return all(re.fullmatch(r"[A-Z]", part) is not None for part in _unlike(one, other))
