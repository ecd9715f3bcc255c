"""The section of a report that says what has changed since the last one."""

from __future__ import annotations

import math
import re

import pandas as pd

from ..models.summary import number
from .analysis import Analysis
from .compare import Comparison, compare_results
from .results import read_results
from .tables import Table, table
from .texts import Texts

NUMBER = re.compile(r"(?P<model>.*?): (?P<quantity>.*?) in (?P<scope>.*?)(?:, (?P<number>se|rse|lower|upper))?")
MOST = 60  # numbers of a table; the rest is in results.json


def since_last(analysis: Analysis, results: dict) -> Comparison | None:
    """This report beside the last one, if the form names it."""
    previous = analysis.study.config.report.previous
    if previous is None:
        return None
    return compare_results(read_results(analysis.study.folder / previous)[0], results)


def in_words(found: Comparison, texts: Texts) -> str:
    """What moved and what had changed, in a sentence."""
    if not found.moved and not found.changes:
        return texts.say("changed_none")
    count = {kind: sum(k == kind for k, _ in found.changes) for kind in found.causes}
    causes = texts.say("and").join(texts.say(f"cause_{kind}", n=n) for kind, n in count.items()) or "–"
    if not found.moved:
        return texts.say("changed_same", causes=causes)
    if not math.isfinite(found.furthest):  # of numbers that came or went
        return texts.say("changed_plain", numbers=len(found.moved), causes=causes)
    return texts.say("changed", numbers=len(found.moved), furthest=number(found.furthest, 2), causes=causes)


def tables_of_changes(found: Comparison, texts: Texts) -> dict[str, Table]:
    """T58: the numbers that moved; T59: what had changed."""
    rows = [
        {**_named(m.what), "then": number(_nan(m.then)), "now": number(_nan(m.now)),
         "standard errors": number(m.errors, 2), "why": found.why}
        for m in found.moved[:MOST]
    ]  # fmt: skip
    made = {}
    if rows:
        made["T58"] = table("T58", texts.heading("T58"), pd.DataFrame(rows), texts, texts.note("T58"), len(rows) > 12)
    if found.changes:
        frame = pd.DataFrame(found.changes, columns=["kind", "what changed"])
        made["T59"] = table("T59", texts.heading("T59"), frame, texts, folded=len(frame) > 12)
    return made


def _named(what: str) -> dict[str, str]:
    """The name of a number in columns: "constant: density in habitat mask, se"."""
    match = NUMBER.fullmatch(what)
    if match is None:
        model, _, rest = what.partition(": ")
        return {"model": model, "quantity": rest, "scope": "", "number": ""}
    return {k: match[k] or "estimate" * (k == "number") for k in ("model", "quantity", "scope", "number")}


def _nan(value: float | None) -> float:
    return float("nan") if value is None else value
