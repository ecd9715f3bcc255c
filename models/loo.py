"""Posteriors of several models of the same data compared by leaving out one animal or site at a time, beside AIC."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ..survey.errors import refuse
from .draws import Draws

BAD = 0.7  # pareto_k above which the importance weights of a point cannot be trusted (Vehtari et al. 2024)


def compare_loo(draws: Mapping[str, Draws], most: int = 2000) -> pd.DataFrame:
    """Models from the best to the worst by expected log predictive density of a new animal or site (PSIS-LOO).

    Of animals it is that of a history given that the animal is met: models of density alone are not told apart by it.

    Parameters
    ----------
    draws : by name, of models of the same data
    most : draws that are used of each

    Returns
    -------
    DataFrame with model, elpd and its se, p (effective parameters), delta (of elpd to the best) and its se, points,
    bad (points with pareto_k above 0.7, of which elpd is not to be trusted), aic of the maximum-likelihood fit and
    delta_aic

    Raises
    ------
    SurveyError : there are none, or two models are of different data
    """
    if not draws:
        raise refuse("there are no models to compare", "Give at least one")
    first_name, first = next(iter(draws.items()))
    for name, one in draws.items():
        reason = first.model.not_comparable(one.model)
        if reason:
            fix = "Sample both from the same data in the same way"
            raise refuse(f"{first_name!r} and {name!r} cannot be compared: {reason}", fix)
    tables = {name: one.loo(most) for name, one in draws.items()}
    points = tables[first_name].index
    tables = {name: table.loc[points] for name, table in tables.items()}  # differences are of the same animal or site
    elpd = {name: table["elpd"].to_numpy() for name, table in tables.items()}
    best = max(elpd, key=lambda name: elpd[name].sum())
    rows = []
    for name, table in tables.items():
        n, behind = len(table), elpd[name] - elpd[best]
        rows.append(
            {
                "model": name,
                "elpd": elpd[name].sum(),
                "se": np.sqrt(n) * elpd[name].std(),
                "p": table["p"].sum(),
                "delta": behind.sum(),
                "se_delta": np.sqrt(n) * behind.std(),
                "points": n,
                "bad": int((table["pareto_k"] > BAD).sum()),
                "aic": draws[name].model.fit().aic,
            }
        )
    frame = pd.DataFrame(rows).sort_values("delta", ascending=False, kind="stable").reset_index(drop=True)
    return frame.assign(delta_aic=frame["aic"] - frame["aic"].min())
