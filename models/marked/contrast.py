"""Two values of one parameter beside each other: did survival rise, and by how much?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.special import ndtr

from ...survey.errors import refuse
from ..derived import Estimate, log_normal_limits, table, z_of


def contrast(fit, name: str, first: Mapping[str, object], second: Mapping[str, object]) -> pd.DataFrame:
    """A parameter under two sets of covariates, their difference and their ratio, second against first.

    Parameters
    ----------
    fit : of a model of marked animals
    name : of the parameter, such as "phi"
    first, second : covariates of the parameter, {"state": "cub", "years": "before"}; each must name one of its rows

    Returns
    -------
    DataFrame as `Fit.derive()`: both values (Wald on the link), the difference (Wald, with P(difference > 0) in the
    scope, normal approximation), the ratio (log-normal). The two share what the model shares between them.

    Raises
    ------
    SurveyError : the covariates name no row, or several
    """
    model, p = fit.model, fit.model.parameters[name]
    if p.design is None:
        raise refuse(f"{name} is fixed in this model", "Nothing was estimated", value=p.fixed)
    frame = model.layouts[name].frame
    rows = [_row(frame, name, where) for where in (first, second)]
    J = np.zeros((2, model.parameters.size))
    eta = p.eta(fit.vector[model.parameters.slice_of(name)])[rows]
    slope, value = p.link.slope(eta), p.link.inverse(eta)
    J[:, model.parameters.slice_of(name)] = p.design.matrix[rows] * slope[:, None]
    z, ends = z_of(), model.predict(fit, name, None).iloc[rows]
    found = []
    for where, r in zip((first, second), ends.itertuples(), strict=True):
        words = ", ".join(f"{k} = {v}" for k, v in where.items())
        limits = (r.estimate, r.se, r.lower, r.upper)
        found.append(Estimate(name, p.unit, words, *limits, f"95% Wald on the {p.link.name}"))
    with np.errstate(invalid="ignore"):
        difference, se = float(value[1] - value[0]), float(np.sqrt(fit.covariance_of(J[1:] - J[:1])[0, 0]))
        ratio, relative = float(value[1] / value[0]), J[1:] / value[1] - J[:1] / value[0]
        se_ratio = ratio * float(np.sqrt(fit.covariance_of(relative)[0, 0]))
        words = f"second - first, P(above 0) = {ndtr(difference / se):.3f}"
    limits = (difference, se, difference - z * se, difference + z * se)
    found.append(Estimate(f"difference in {name}", p.unit, words, *limits, "95% Wald"))
    lower, upper = log_normal_limits(ratio, se_ratio)
    limits = (ratio, se_ratio, float(lower), float(upper))
    found.append(Estimate(f"ratio of {name}", "ratio", "second / first", *limits, "95% log-normal"))
    return table(found)


def _row(frame: pd.DataFrame, name: str, where: Mapping[str, object]) -> int:
    unknown = sorted(set(where) - set(map(str, frame.columns)))
    if unknown:
        known = ", ".join(map(str, frame.columns)) or "none"
        raise refuse(f"{name} does not depend on a covariate", f"It depends on: {known}", value=unknown[0])
    match = np.ones(len(frame), bool)
    for covariate, value in where.items():
        match &= (frame[covariate] == value).to_numpy() | (frame[covariate].astype(str) == str(value)).to_numpy()
    found = np.flatnonzero(match)
    if len(found) != 1:
        what = f"the covariates name {len(found) or 'no'} rows of {name}, and must name one"
        raise refuse(what, f"Give a value of each of {', '.join(map(str, frame.columns))}", value=dict(where))
    return int(found[0])
