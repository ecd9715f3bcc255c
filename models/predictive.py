"""Data that priors or posteriors predict, from the models' own simulators, beside the data that there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..survey.captures import CaptureHistory
from ..survey.detections import DetectionHistory
from ..survey.errors import SurveyError, refuse
from .occupancy.history_model import HistoryModel
from .spatial.scr import SCR

TOO_MANY = 50_000  # expected animals above which a draw from the prior is not simulated
LIMITS = (0.025, 0.975)


def statistics(data: Any) -> dict[str, float]:
    """Plain numbers of a data set: animals, detections and places, or sites and findings, or animals and encounters."""
    if isinstance(data, (list, tuple)):
        parts = [statistics(one) for one in data]
        return {name: float(sum(part[name] for part in parts)) for name in parts[0]}
    if isinstance(data, CaptureHistory):
        return _of_captures(data)
    if isinstance(data, DetectionHistory):
        value = np.nan_to_num(data.value[data.done])
        places = np.bincount(data.site_of[data.done], value > 0, minlength=data.n_sites)
        found = {"sites with findings": (places > 0).sum(), "visits with findings": (value > 0).sum()}
        found |= {"sum of findings": value.sum(), "most findings at a site": places.max(initial=0)}
        return {name: float(number) for name, number in found.items()}
    states = getattr(data, "states", None)
    if states is None:
        raise refuse("there are no statistics of this kind of data", "Use derive()", value=type(data).__name__)
    times, frequency = (states > 0).sum(axis=1), data.frequency
    found = {"animals": frequency.sum(), "encounters": frequency @ times, "met once": frequency @ (times == 1)}
    return {name: float(number) for name, number in found.items()}


def _of_captures(data: CaptureHistory) -> dict[str, float]:
    frame = data.detections
    places = frame.groupby("animal")["detector"].nunique() if len(frame) else pd.Series(dtype=float)
    found = {
        "animals": data.n_animals,
        "detections": frame["count"].sum() if len(frame) else 0,
        "spatial recaptures": (places - 1).sum(),
        "animals at one detector": (places == 1).sum(),
        "detectors with detections": frame["detector"].nunique() if len(frame) else 0,
    }
    return {name: float(number) for name, number in found.items()}


def data_of(model) -> Any:
    """The data of a model, as its simulator gives them."""
    if isinstance(model, SCR):
        captures = [s.captures for s in model.sessions]
        return captures[0] if len(captures) == 1 else captures
    if hasattr(model, "second"):
        return (model.history, model.second)
    return model.history


def before_data(model, priors: Mapping[str, Any] | None, n: int, seed: int) -> pd.DataFrame:
    """See `Model.prior_predictive`."""
    from .posterior import Posterior

    posterior, rng = Posterior(model, priors), np.random.default_rng(seed)
    if not hasattr(model, "simulate"):
        raise refuse("this kind of model has no simulator", "Look at Posterior(model).stated()", value=repr(model))
    found, too_many = [], 0
    for _ in range(n):
        vector = posterior.drawn(rng)
        if isinstance(model, SCR) and _expected(model, vector) > TOO_MANY:
            too_many += 1
            continue
        found.append(statistics(model.simulate(model.parameters.given(vector), int(rng.integers(2**31)))))
    if not found:
        raise refuse(
            f"every draw from the priors expects more than {TOO_MANY:,} animals",
            "Give D a prior that knows the species, such as LogNormal(median=2, factor=3)",
        )
    table = _beside(statistics(data_of(model)), pd.DataFrame(found))
    table.attrs["too many"] = too_many
    return table


def _expected(model: SCR, vector: np.ndarray) -> float:
    """Expected number of animals in all masks."""
    values = model.parameters.values(vector)
    with np.errstate(over="ignore"):
        parts = [(model.values_of(values, s)["D"].sum(), s.mask.cell_area) for s in model.sessions]
    return float(sum(D * area / 100.0 for D, area in parts))


def check(draws, n: int, seed: int) -> pd.DataFrame:
    """Statistics of the data beside those of data sets simulated from draws of the posterior.

    Discrepancies, the statistics that the bootstrap goodness of fit uses, depend on the parameters too: the data's is
    compared with the simulated one at the same draw (Gelman, Meng & Stern 1996).

    Parameters
    ----------
    draws : Draws; n : data sets; seed : of NumPy's default generator

    Returns
    -------
    DataFrame with statistic, observed, median, lower, upper (95 %, equal tails) and p, the share of simulated values
    at or above the observed one
    """
    from .draws import atom

    rng, model = np.random.default_rng(seed), draws.model
    plain, theirs, ours = [], [], []
    discrepancies = _discrepancies(model)
    for vector in draws.some(n):
        fit = atom(model, vector, rng)
        data = fit.model.simulate(fit.model.parameters.given(fit.vector), int(rng.integers(2**31)))
        plain.append(statistics(data))
        if discrepancies is not None:
            try:
                simulated = fit.model.on(data).discrepancies(vector)
            except SurveyError:  # nothing was found in this data set
                continue
            theirs.append(simulated)
            ours.append(discrepancies(vector))
    table = _beside(statistics(data_of(model)), pd.DataFrame(plain)).drop(columns="share")
    observed = table.set_index("statistic")["observed"]
    table["p"] = (pd.DataFrame(plain) >= observed).mean().loc[table["statistic"]].to_numpy()
    if theirs:
        ours, theirs = pd.DataFrame(ours), pd.DataFrame(theirs)
        more = _beside(ours.mean().to_dict(), theirs).drop(columns="share")
        more["p"] = [(theirs[name] >= ours[name]).mean() for name in more["statistic"]]
        table = pd.concat([table, more], ignore_index=True)
    return table


def _discrepancies(model) -> Callable[[np.ndarray], dict[str, float]] | None:
    """The model's discrepancies; None where it has none for these data."""
    if isinstance(model, SCR) or (isinstance(model, HistoryModel) and hasattr(model, "second")):
        return None
    try:
        model.discrepancies(model.start())
    except SurveyError:
        return None
    return model.discrepancies


def _beside(observed: Mapping[str, float], simulated: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for name, value in observed.items():
        column = simulated[name].to_numpy(float)
        lower, median, upper = np.quantile(column, [LIMITS[0], 0.5, LIMITS[1]])
        rows.append((name, value, median, lower, upper, float((column <= value).mean())))
    return pd.DataFrame(rows, columns=["statistic", "observed", "median", "lower", "upper", "share"])
