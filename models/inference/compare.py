"""Tables of models of the same data."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ...survey.errors import refuse
from .criteria import CRITERIA, check_c_hat, information_criterion, weights


def compare(fits, criterion: str | None = None, c_hat: float | None = None) -> pd.DataFrame:
    """Models from the best to the worst: log-likelihood, parameters, criterion, difference, weight, verdict.

    Parameters
    ----------
    fits : mapping of name to Fit, or a list of Fits, of the same data
    criterion : "aicc" (default), "aic" or "bic"; with overdispersion "qaicc" (then the default) or "qaic"
    c_hat : overdispersion of the most general model; that of the fits if they were inflated by one

    Returns
    -------
    DataFrame. `n_parameters` counts c-hat where the criterion has one above 1; `sample_size` is n of AICc, and
    `sample_unit` says what is counted (animals, releases, sites, …).

    Raises
    ------
    SurveyError : the fits are of different data, masks or likelihoods, so that their values cannot be compared; an
        unknown criterion; fits inflated by different c-hats
    """
    named = named_fits(fits)
    by, factor = _criterion(named, criterion, c_hat)
    values = criterion_values(named, criterion, c_hat)
    found = list(named.values())
    extra = 1 if by.startswith("q") and factor > 1.0 else 0
    columns: dict[str, Any] = {
        "model": list(named),
        "formulas": [repr(fit.model) for fit in found],
        "loglik": [fit.loglik for fit in found],
        "n_parameters": [fit.n_parameters + extra for fit in found],
        "aic": [fit.aic for fit in found],
        "aicc": [fit.aicc for fit in found],
    }
    if by not in columns:
        columns[by] = values
    if by.startswith("q"):
        columns["c_hat"] = factor
    frame = pd.DataFrame(columns)
    frame["delta"] = values - values.min() if np.isfinite(values).any() else 0.0
    frame["weight"] = weights(values)
    frame["sample_size"] = [fit.model.sample_size for fit in found]
    frame["sample_unit"] = [sample_unit(fit.model) for fit in found]
    frame["verdict"] = [str(fit.verdict) for fit in found]
    return frame.sort_values("delta", kind="stable").reset_index(drop=True)


def named_fits(fits) -> dict[str, Any]:
    """The fits by name, all of the same data.

    Raises
    ------
    SurveyError : there are none, or two cannot be compared
    """
    named = dict(fits) if isinstance(fits, Mapping) else {f"model {i + 1}": fit for i, fit in enumerate(fits)}
    if not named:
        raise refuse("there are no models to compare", "Give at least one fit")
    first_name, first = next(iter(named.items()))
    for name, fit in named.items():
        if getattr(fit, "penalty", 0.0):
            fix = "Compare fits without penalty, or penalties by models.choose_penalty"
            raise refuse(f"{name!r} is penalised, so that AIC is not defined", fix, value=fit.penalty)
        reason = first.model.not_comparable(fit.model)
        if reason:
            raise refuse(
                f"{first_name!r} and {name!r} cannot be compared: {reason}", "Fit both to the same data in the same way"
            )
    return named


def criterion_values(fits: Mapping[str, Any], criterion: str | None, c_hat: float | None) -> np.ndarray:
    """Values [models] of the criterion that `compare` sorts by."""
    by, factor = _criterion(fits, criterion, c_hat)
    found = [(f.loglik, f.n_parameters, f.model.sample_size) for f in fits.values()]
    return np.array([information_criterion(by, *numbers, factor) for numbers in found])


def common_c_hat(fits: Mapping[str, Any], c_hat: float | None) -> float | None:
    """The c-hat that was given, or the one that all fits were inflated by; None when nobody named one."""
    if c_hat is not None:
        return check_c_hat(c_hat)
    found = {float(fit.c_hat) for fit in fits.values()}
    if len(found) > 1:
        fix = "Inflate all by the c-hat of the most general model, or give c_hat="
        raise refuse("the fits are inflated by different c-hats", fix, value=sorted(found))
    (only,) = found
    return only if only > 1.0 else None


def _criterion(fits: Mapping[str, Any], criterion: str | None, c_hat: float | None) -> tuple[str, float]:
    """The criterion and the c-hat in use."""
    factor = common_c_hat(fits, c_hat)
    by = criterion or ("aicc" if factor is None else "qaicc")
    if by not in CRITERIA:
        raise refuse("this criterion is not known", "Use 'aicc', 'aic', 'bic', 'qaicc' or 'qaic'", value=by)
    if by.startswith("q") and factor is None:
        raise refuse("a quasi-criterion needs c-hat", "Give c_hat=, of the most general model", value=by)
    if not by.startswith("q") and c_hat is not None:
        raise refuse("this criterion has no c-hat in it", "Use criterion='qaicc', or leave c_hat out", value=by)
    return by, factor or 1.0


def sample_unit(model) -> str:
    """What the sample size of a model counts, in its own words."""
    words = inspect.getdoc(type(model).__dict__.get("sample_size")) or inspect.getdoc(type(model).sample_size) or ""
    return words.split("\n")[0].removeprefix("n of AICc: ").rstrip(".")
