"""Data that priors or posteriors predict, from the models' own simulators, beside the data that there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ..survey.captures import CaptureHistory
from ..survey.detections import DetectionHistory
from ..survey.encounters import EncounterHistory
from ..survey.errors import SurveyError, refuse
from ..survey.live_dead import FOUND_DEAD, RESIGHTED, LiveDeadHistory
from ..survey.monitored import MonitoredAnimals
from ..survey.samples import SampleCounts
from ..survey.sightings import Sightings
from .open_scr.model import OpenSCR
from .spatial.detected_twice import detected_often
from .spatial.mark_resight import MarkResight
from .spatial.scr import SCR

TOO_MANY = 50_000  # expected animals above which a draw from the prior is not simulated
LIMITS = (0.025, 0.975)
SPATIAL = 40  # data sets whose discrepancies are computed for models in space, where each takes up to a second


def statistics(data: Any) -> dict[str, float]:
    """Plain numbers of a data set: animals, detections and places, or sites and findings, or animals and encounters."""
    if isinstance(data, (list, tuple)):
        parts, found = [statistics(one) for one in data if one is not None], {}
        for name in dict.fromkeys(name for part in parts for name in part):
            found[name] = float(sum(part.get(name, 0.0) for part in parts))
        return found
    of = next((of for kind, of in STATISTICS.items() if isinstance(data, kind)), None)
    if of is None:
        raise refuse("there are no statistics of this kind of data", "Use derive()", value=type(data).__name__)
    return {name: float(number) for name, number in of(data).items()}


def _of_sites(data: DetectionHistory) -> dict[str, Any]:
    value = np.nan_to_num(data.value[data.done])
    places = np.bincount(data.site_of[data.done], value > 0, minlength=data.n_sites)
    found = {"sites with findings": (places > 0).sum(), "visits with findings": (value > 0).sum()}
    return found | {"sum of findings": value.sum(), "most findings at a site": places.max(initial=0)}


def _of_encounters(data: EncounterHistory) -> dict[str, Any]:
    times, frequency = (data.states > 0).sum(axis=1), data.frequency
    return {"animals": frequency.sum(), "encounters": frequency @ times, "met once": frequency @ (times == 1)}


def _of_live_and_dead(data: LiveDeadHistory) -> dict[str, Any]:
    many = data.live.frequency
    reports = {"found dead": FOUND_DEAD, "seen between occasions": RESIGHTED}
    return _of_encounters(data.live) | {name: many @ (data.between == k).sum(axis=1) for name, k in reports.items()}


def _of_fates(data: MonitoredAnimals) -> dict[str, Any]:
    return {"animals": data.n_animals, "periods at risk": data.at_risk.sum(), "deaths": data.died.sum()}


def _of_samples(data: SampleCounts) -> dict[str, Any]:
    counts = np.asarray(data.counts)
    found = {"animals": len(counts), "samples": counts.sum(), "found once": (counts == 1).sum()}
    return found | {"most samples of an animal": counts.max(initial=0)}


def _of_sightings(data: Sightings) -> dict[str, Any]:
    return {f"sightings, {name}": number for name, number in data.totals.items()}


def _of_captures(data: CaptureHistory) -> dict[str, Any]:
    frame = data.detections
    places = frame.groupby("animal")["detector"].nunique() if len(frame) else pd.Series(dtype=float)
    return {
        "animals": data.n_animals,
        "detections": frame["count"].sum() if len(frame) else 0,
        "spatial recaptures": (places - 1).sum(),
        "animals at one detector": (places == 1).sum(),
        "detectors with detections": frame["detector"].nunique() if len(frame) else 0,
    }


STATISTICS: dict[type, Callable[[Any], dict[str, Any]]] = {
    CaptureHistory: _of_captures,
    DetectionHistory: _of_sites,
    EncounterHistory: _of_encounters,
    LiveDeadHistory: _of_live_and_dead,
    MonitoredAnimals: _of_fates,
    SampleCounts: _of_samples,
    Sightings: _of_sightings,
}


def data_of(model) -> Any:
    """The data of a model, as its simulator gives them."""
    if isinstance(model, MarkResight):
        return (model.marking, model.sightings)
    if isinstance(model, SCR):
        captures = [s.captures for s in model.sessions]
        return captures[0] if len(captures) == 1 else captures
    if isinstance(model, OpenSCR):
        return list(model.captures)
    if hasattr(model, "second"):
        return (model.history, model.second)
    return model.history


def _statistics_taken(model, data) -> dict[str, float]:
    """Statistics of what a model takes of simulated data: of animals detected once nothing where it asks for two."""
    if not isinstance(model, SCR) or model.at_least == 1:
        return statistics(data)
    try:
        kept, _ = detected_often([data] if isinstance(data, CaptureHistory) else data, model.at_least)
    except SurveyError:  # nobody was detected twice
        return dict.fromkeys(statistics(data), 0.0)
    return statistics(kept)


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
        data = model.simulate(model.parameters.given(vector), int(rng.integers(2**31)))
        found.append(_statistics_taken(model, data))
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
    draws : Draws; n : data sets, whose discrepancies are of at most 40 for models in space; seed : of NumPy's default
        generator

    Returns
    -------
    DataFrame with statistic, observed, median, lower, upper (95 %, equal tails) and p, the share of simulated values
    at or above the observed one; `attrs["lost"]` counts simulated data sets that the model cannot be put to, because
    nothing was found in them or a group of animals is not among them

    Raises
    ------
    SurveyError : the model has no simulator
    """
    from .draws import atom

    rng, model = np.random.default_rng(seed), draws.model
    plain, theirs, ours, lost = [], [], [], 0
    compared, spatial = _has_discrepancies(model), isinstance(model, (SCR, OpenSCR))
    for j, vector in enumerate(draws.some(n)):
        fit = _simulated_from(atom(model, vector, rng), rng)
        data = fit.model.simulate(fit.model.parameters.given(fit.vector), int(rng.integers(2**31)))
        plain.append(_statistics_taken(model, data))
        if not compared or (spatial and j % -(-n // SPATIAL)):
            continue
        simulated = _discrepancies_of(fit, data)
        lost += simulated is None
        if simulated is not None:
            theirs.append(simulated)
            ours.append(fit.model.discrepancies(fit.vector))
    table = _beside(statistics(data_of(model)), pd.DataFrame(plain)).drop(columns="share")
    observed = table.set_index("statistic")["observed"]
    table["p"] = (pd.DataFrame(plain) >= observed).mean().loc[table["statistic"]].to_numpy()
    if theirs:
        ours, theirs = pd.DataFrame(ours), pd.DataFrame(theirs)
        more = _beside(ours.mean().to_dict(), theirs).drop(columns="share")
        more["p"] = [(theirs[name] >= ours[name]).mean() for name in more["statistic"]]
        table = pd.concat([table, more], ignore_index=True)
    table.attrs["lost"] = lost
    return table


def _has_discrepancies(model) -> bool:
    """Whether there are discrepancies of these data."""
    try:
        model.discrepancies(model.start())
    except SurveyError:
        return False
    return True


def _simulated_from(fit, rng: np.random.Generator):
    """A draw as what data can be simulated from: under a conditional likelihood with a density given those met.

    Under the prior 1/D of density in the first session it is Gamma(n) / a.
    """
    if not isinstance(fit.model, OpenSCR) or fit.model.likelihood == "full":
        return fit
    n, fit = len(fit.model.records.names), fit.as_full()
    vector = fit.vector.copy()
    vector[fit.model.parameters.slice_of("D").start] += np.log(rng.gamma(n) / n)
    return replace(fit, vector=vector)


def _discrepancies_of(fit, data) -> dict[str, float] | None:
    """Discrepancies of other data at a draw; None where nothing was found, or the coefficients are of other groups."""
    try:
        again = fit.model.on(data)
        return again.discrepancies(fit.vector) if again.parameters.labels == fit.model.parameters.labels else None
    except SurveyError:
        return None


def _beside(observed: Mapping[str, float], simulated: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for name, value in observed.items():
        column = simulated[name].to_numpy(float)
        lower, median, upper = np.quantile(column, [LIMITS[0], 0.5, LIMITS[1]])
        rows.append((name, value, median, lower, upper, float((column <= value).mean())))
    return pd.DataFrame(rows, columns=["statistic", "observed", "median", "lower", "upper", "share"])
