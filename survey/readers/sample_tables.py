"""Samples of identified animals, such as scats with DNA, from a plain table."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ..errors import Problems
from ..samples import SampleCounts
from .plain import in_file, open_table


def read_samples(path: str | Path, *, encoding: str | None = None) -> SampleCounts:
    """How often each animal was found, from a table with one row per sample, or with one per animal and a `count`.

    Parameters
    ----------
    path : CSV or Excel file with `animal`, and optionally `count`: samples that a row stands for

    Raises
    ------
    SurveyError : no such columns, samples without an animal, counts that are no whole numbers from 1; all bad rows
    """
    bad = Problems()
    table = open_table(path, bad, None, encoding)
    if not table.require("animal"):
        bad.raise_any()
    frame = pd.DataFrame({"animal": table.text("animal", required=True)})
    if table.has("count"):
        frame["count"] = table.number("count", required=True, low=1, whole=True)
    bad.raise_any()
    with in_file(path):
        return SampleCounts.from_table(frame)
