"""The tables of surveys of marked animals, each a function from the analysis to text in cells."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...models import m_array
from ..analysis import Analysis
from ..tables import facts

MOST_OCCASIONS = 25  # of an m-array that people can read


def summary(analysis: Analysis) -> pd.DataFrame:
    """T1: one line per fact."""
    study = analysis.study
    history = study.history
    times = (history.states > 0).sum(axis=1)
    lines = {
        "Species": study.species,
        "Occasions": f"{history.n_occasions}, {study.labels[0]} to {study.labels[-1]}",
        "Animals met": f"{history.n_animals:,}",
        "Encounters": f"{history.n_encounters:,}",
        "Animals met once only": f"{int(history.frequency @ (times == 1)):,}",
    }
    if not (history.intervals == 1).all() and history.n_occasions > 1:
        lines["Time between occasions"] = ", ".join(f"{v:g}" for v in history.intervals[:30])
    if history.interval_unit != "interval":
        lines["Unit of time"] = history.interval_unit
    if history.removed.any():
        lines["Animals not released after the last encounter"] = f"{int(history.frequency @ history.removed):,}"
    lost = int(history.frequency @ (history.states < 0).sum(axis=1))
    if lost:
        lines["Animals × occasions on which nobody looked"] = f"{lost:,}"
    return facts(lines)


def occasions(analysis: Analysis) -> pd.DataFrame:
    """T30: animals met on every occasion, for the first time and again."""
    study = analysis.study
    history = study.history
    seen = history.frequency[:, None] * (history.states > 0)
    new = np.bincount(history.first, history.frequency, history.n_occasions).astype(int)
    met = seen.sum(axis=0)
    frame = pd.DataFrame({"occasion": study.labels, "met": met, "for the first time": new, "again": met - new})
    return frame.assign(**{"known until then": np.cumsum(new)})


def animals(analysis: Analysis) -> pd.DataFrame | None:
    """T31: every animal with its covariates, first and last encounter; none where rows stand for several animals."""
    study = analysis.study
    history = study.history
    if (history.frequency > 1).any():
        return None
    label = np.array(study.labels, object)
    frame = pd.DataFrame(
        {
            "first": label[history.first],
            "last": label[history.last],
            "encounters": (history.states > 0).sum(axis=1),
        },
        index=history.animals.index,
    )
    covariates = history.animals.astype(object).where(history.animals.notna(), "")
    return pd.concat([covariates, frame], axis=1).rename_axis("animal").reset_index()


def releases(analysis: Analysis) -> pd.DataFrame | None:
    """T32: releases by occasion and when they were next met; for few occasions between which time passes."""
    study = analysis.study
    history = study.history
    if not 3 <= history.n_occasions <= MOST_OCCASIONS or type(analysis.fit.model).__name__ in CLOSED:
        return None
    table = m_array(history)
    table.index = [study.labels[t - 1] for t in table.index]
    names = {t: study.labels[t - 1] for t in range(2, history.n_occasions + 1)}
    table = table.rename(columns=names).rename_axis("occasion").reset_index()
    for i in range(len(table)):  # what cannot be is left empty
        table = table.astype(object)
        table.iloc[i, 2 : 2 + i] = ""
    return table


CLOSED = ("ClosedCapture", "LogLinear", "MisidentifiedCapture")  # models in which time does not pass
