"""Numbers, arrivals, growth and movement from a fit of an open spatial model."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import xarray as xr

from ...survey.errors import refuse
from ..derived import Estimate, log_normal, table, z_of
from ..inference.profile import profile_intervals
from ..marked.base import jacobian, scopes

PER_100_KM2 = "animals per 100 km²"
WORDS = {"phi": "survival", "f": "recruitment", "growth": "growth", "gamma": "seniority", "b": "arrivals, relative"}
WORDS |= {"lambda0": "lambda0", "g0": "g0", "sigma": "sigma", "z": "z", "w": "w", "pmix": "proportion"}
WORDS |= {"move_scale": "scale of movement", "move_shape": "shape of movement"}


def numbers(model, vector: np.ndarray) -> np.ndarray:
    """Expected animals by class and session [C, T]; under the conditional likelihood n over the chance to be seen."""
    values = model.parameters.values(vector)
    population = model.population(values)
    first = float(model.cells(values).sum())
    if model.likelihood == "conditional":
        first *= len(model.records.names) / sum(chain.detected for chain in model.chains(values)[2])
    return first * population.size


def _arrived(model, vector: np.ndarray, N: np.ndarray) -> np.ndarray:
    """Arrivals [T - 1] between sessions of all classes: those of the next session less the survivors."""
    survival = model.population(model.parameters.values(vector)).survival
    return (N[:, 1:] - N[:, :-1] * survival).sum(axis=0)


def needs_numbers(model) -> None:
    """Refuse a likelihood of survival alone."""
    if model.of_survival:
        raise refuse("this likelihood has no number of animals in it", "Use likelihood='full'", value=model.likelihood)


def abundance_covariance(fit) -> np.ndarray:
    """[T, T], by the delta method; under the conditional likelihood with the chance in the number detected."""
    model = fit.model
    needs_numbers(model)
    J = jacobian(lambda v: numbers(model, v).sum(axis=0), fit.vector)
    covariance = fit.covariance_of(J)
    if model.likelihood == "conditional":
        N = numbers(model, fit.vector).sum(axis=0)
        covariance = covariance + np.outer(N, N) / len(model.records.names)
    return covariance


def abundance_table(fit) -> pd.DataFrame:
    """See `OpenSpatialFit.abundance`. Expected values, with log-normal intervals."""
    model, names, years = fit.model, fit.model.names, fit.model.years
    needs_numbers(model)
    T, classes = len(names), model.classes
    labels, column = ((), "") if classes is None else (classes.labels, classes.name)

    def everything(vector: np.ndarray) -> np.ndarray:
        N = numbers(model, vector)
        total = N.sum(axis=0)
        growth = (total[1:] / total[:-1]) ** (1.0 / years)
        whole = (total[-1] / total[0]) ** (1.0 / years.sum())
        return np.concatenate([total, *(N if labels else ()), _arrived(model, vector, N), growth, [whole]])

    found = everything(fit.vector)
    variance = np.diag(fit.covariance_of(jacobian(everything, fit.vector))).copy()
    counts = len(found) - T  # growth has no scale
    if model.likelihood == "conditional":
        variance[:counts] += found[:counts] ** 2 / len(model.records.names)
    with np.errstate(invalid="ignore"):
        se = np.sqrt(variance)
    rows, density = [], 100.0 / model.mask.area
    for t, name in enumerate(names):
        rows.append(log_normal("density", PER_100_KM2, f"session {name}", found[t] * density, se[t] * density))
    at = 0
    for scope in ("", *(f", {column} {c}" for c in labels)):
        for name in names:
            rows.append(log_normal("expected abundance", "animals", f"session {name}{scope}", found[at], se[at]))
            at += 1
    for words, unit in (("arrivals", "animals"), ("growth", "ratio per year")):
        for a, b in pairwise(names):
            rows.append(log_normal(words, unit, f"session {a} to {b}", found[at], se[at]))
            at += 1
    if T > 2:
        rows.append(log_normal("growth", "ratio per year", f"session {names[0]} to {names[-1]}", found[at], se[at]))
    return table(rows)


def derived_table(fit, interval: str) -> pd.DataFrame:
    """Numbers by session, and the parameters by their covariates."""
    model, rows = fit.model, []
    for name in model.formulas:
        if name == "D" or (model.of_survival and name == "pmix"):
            continue
        p, frame = model.parameters[name], predict(fit, name, None)
        effort = {c.detectors.effort_unit for c in model.captures}
        unit = p.unit.replace("unit of effort", effort.pop().removesuffix("s")) if len(effort) == 1 else p.unit
        kind = f"95% Wald on the {p.link.name}"
        if interval == "profile" and p.design is not None and p.design.constant:
            ends = profile_intervals(fit, [name]).iloc[0]
            frame, kind = frame.assign(lower=float(ends["lower"]), upper=float(ends["upper"])), "95% profile"
        for words, r in zip(scopes(model.layouts[name].frame), frame.itertuples(), strict=True):
            rows.append(Estimate(WORDS[name], unit, words, r.estimate, r.se, r.lower, r.upper, kind))
    found = table(rows)
    return found if model.of_survival else pd.concat([abundance_table(fit), found], ignore_index=True)


def predict(fit, name: str, newdata):
    """Values with se, lower and upper (95 % on the link scale): a table; of D, in the first session, a raster."""
    model, p = fit.model, fit.model.parameters[name]
    frame = newdata
    if newdata is None:
        frame = pd.DataFrame(index=range(p.n_rows)) if name == "D" else model.layouts[name].frame
    if p.design is None:
        found = frame.assign(estimate=p.fixed, se=0.0, lower=p.fixed, upper=p.fixed)
    else:
        X = p.design.matrix if newdata is None else p.design.at(newdata)
        J = np.zeros((len(X), model.parameters.size))
        J[:, model.parameters.slice_of(name)] = X
        eta = J @ fit.vector
        with np.errstate(invalid="ignore"):
            se = np.sqrt(fit.variance_of(J))
        ends = np.sort([p.link.inverse(eta - z_of() * se), p.link.inverse(eta + z_of() * se)], axis=0)
        slope = np.abs(p.link.slope(eta))
        found = frame.assign(estimate=p.link.inverse(eta), se=slope * se, lower=ends[0], upper=ends[1])
    if name != "D" or newdata is not None:
        return found
    columns = ("estimate", "se", "lower", "upper")
    return xr.Dataset({c: model.mask.to_xarray(found[c].to_numpy(), name=c) for c in columns})


def moved(fit) -> pd.DataFrame:
    """One row per interval: session, to, mean and median of the distance moved, metres (centre to centre)."""
    model = fit.model
    if not model.mover.cells:
        raise refuse("the movement of this model has no kernel", "Use move='normal'", value=model.movement.kernel)
    moving, rows = model.moving(fit.values, model.cells(fit.values)), []
    distance = np.where(model.mover.distance == model.mover.distance.min(), 0.0, model.mover.distance).ravel()
    order = np.argsort(distance)
    for t, (a, b) in enumerate(pairwise(model.names)):
        weight = moving.kernel[moving.which[t]].ravel()
        weight = weight / weight.sum()
        median = distance[order][np.searchsorted(np.cumsum(weight[order]), 0.5)]
        rows.append({"session": a, "to": b, "mean": float(weight @ distance), "median": float(median)})
    return pd.DataFrame(rows)


def expected_animals(fit, session: str) -> xr.DataArray:
    """See `OpenSpatialFit.expected_animals`."""
    model = fit.model
    needs_numbers(model)
    if str(session) not in model.names:
        raise refuse("there is no such session", f"One of {', '.join(model.names)}", value=session)
    from .series import animals_by_cell

    total = animals_by_cell(model, fit.vector)[model.names.index(str(session))]
    return model.mask.to_xarray(total, name="animals")
