"""The tables of surveys of monitored animals, each a function from the analysis to text in cells."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...models import kaplan_meier
from ...models.summary import number
from ..analysis import Analysis
from ..tables import facts

FEW_LEVELS = 8  # of a covariate by which animals are counted


def summary(analysis: Analysis) -> pd.DataFrame:
    """T1: one line per fact."""
    animals = analysis.study.animals
    watched = animals.at_risk.any(axis=1)
    weeks = animals.at_risk.sum(axis=1)[watched]
    period = animals.period
    lines = {
        "Species": analysis.study.species,
        "Animals followed": f"{animals.n_animals}",
        "Died": f"{animals.n_deaths}",
        f"Time ({period}s)": f"{animals.n_periods}",
        f"Animal-{period}s": f"{animals.at_risk.sum():,}",
        f"Followed on average ({period}s)": f"{weeks.mean():.1f}",
    }
    if (~watched).any():
        lines[f"Never followed through a whole {period}"] = f"{int((~watched).sum())}"
    return facts(lines)


def groups(analysis: Analysis) -> pd.DataFrame | None:
    """T40: animals, deaths and time by every covariate with few levels."""
    animals = analysis.study.animals
    rows = []
    for name in animals.animals:
        column = animals.animals[name]
        levels = list(pd.unique(column.dropna()))
        if pd.api.types.is_float_dtype(column) or not 2 <= len(levels) <= FEW_LEVELS:
            continue
        for level in sorted(levels, key=str):
            here = (column == level).to_numpy()
            risk, died = animals.at_risk[here], animals.died[here]
            followed = int(risk.any(axis=1).sum())
            rows.append((name, str(level), followed, int(died.sum()), f"{risk.sum():,}"))
    columns = ["covariate", "value", "animals", "died", f"animal-{animals.period}s"]
    return pd.DataFrame(rows, columns=columns) if rows else None


def individuals(analysis: Analysis) -> pd.DataFrame:
    """T41: every animal with its covariates, the periods in which it was followed, and its end."""
    animals = analysis.study.animals
    watched = animals.at_risk.any(axis=1)
    first = np.where(watched, animals.at_risk.argmax(axis=1) + 1, 0)
    last = np.where(watched, animals.n_periods - animals.at_risk[:, ::-1].argmax(axis=1), 0)
    end = np.where(animals.died.any(axis=1), "died", np.where(watched, "alive when last followed", "never followed"))
    frame = pd.DataFrame({"from": first, "to": last, "end": end}, index=animals.animals.index)
    covariates = animals.animals.astype(object).where(animals.animals.notna(), "")
    return pd.concat([covariates, frame], axis=1).rename_axis("animal").reset_index()


def life_table(analysis: Analysis) -> pd.DataFrame:
    """T42: Kaplan and Meier's survival at the periods in which animals died."""
    observed = kaplan_meier(analysis.study.animals)
    observed = observed[observed["deaths"] > 0]
    told = observed[["period", "at_risk", "deaths"]].rename(columns={"at_risk": "at risk"})
    told["survival"] = [number(v, 3) for v in observed["estimate"]]
    limits = zip(observed["lower"], observed["upper"], strict=True)
    told["95 % interval"] = [f"{number(a, 3)} – {number(b, 3)}" for a, b in limits]
    return told
