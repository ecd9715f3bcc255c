"""What follows from a fit of an open population: numbers by occasion, recruits, growth; and data drawn from it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...survey.encounters import MISSING, EncounterHistory
from ...survey.errors import refuse
from ..derived import log_normal, table
from .base import jacobian
from .entry import first_encounter

WORDS = {"phi": "survival", "p": "detection", "f": "recruitment", "growth": "growth", "gamma": "seniority"}
WORDS |= {"b": "entry", "N": "superpopulation", "f0": "never met"}


def numbers(model, vector) -> np.ndarray:
    """N by profile and occasion [G, T]."""
    values = model.parameters.values(vector)
    entry = model.entries(values)
    return superpopulation(model, values, entry)[:, None] * entry.alive


def superpopulation(model, values, entry) -> np.ndarray:
    """All animals that lived here at some time [G]; given the animals met, n / Pr(met at all)."""
    if "N" in values:
        return values["N"][model.layouts["N"].index]
    if "f0" in values:
        return model.n + values["f0"][model.layouts["f0"].index]
    survival, p, _ = model.natural(values)
    return model.n / first_encounter(entry.beta, survival, p).met


def abundance_covariance(fit) -> np.ndarray:
    """[T, T]: covariance of the estimated numbers of animals on each occasion, by the delta method."""
    J = jacobian(lambda v: numbers(fit.model, v).sum(axis=0), fit.vector)
    return fit.covariance_of(J)


def _chance(model, vector) -> np.ndarray:
    """Variance [T] of the animals alive on an occasion about their expected number, by the model's kind of N."""
    N = numbers(model, vector)
    if "N" in model.formulas:
        return N.sum(axis=0)
    values = model.parameters.values(vector)
    entry = model.entries(values)
    return (superpopulation(model, values, entry)[:, None] * entry.alive * (1.0 - entry.alive)).sum(axis=0)


def abundance_table(fit) -> pd.DataFrame:
    """N by occasion, and between occasions new animals and growth, over all groups, with log-normal intervals.

    "abundance" is the number of animals that were there; its variance is that of the expected number less what chance
    adds to it. Recruits and growth are expected values.
    """
    model, T = fit.model, fit.model.history.n_occasions
    if not {"N", "f0"} & set(model.formulas):
        raise refuse("this likelihood has no number of animals in it", "Use JollySeber", value=repr(model))

    def everything(vector: np.ndarray) -> np.ndarray:
        N = numbers(model, vector)
        survival = model.natural(model.parameters.values(vector))[0]
        new = (N[:, 1:] - N[:, :-1] * survival).sum(axis=0)
        N = N.sum(axis=0)
        return np.concatenate([N, N, new, N[1:] / N[:-1]])

    found = everything(fit.vector)
    variance = np.diag(fit.covariance_of(jacobian(everything, fit.vector))).copy()
    variance[:T] = np.maximum(variance[:T] - _chance(model, fit.vector), 0.0)
    names = [("abundance", "animals", f"occasion {t + 1}") for t in range(T)]
    names += [("expected abundance", "animals", f"occasion {t + 1}") for t in range(T)]
    names += [("recruits", "animals", f"occasion {t + 1} to {t + 2}") for t in range(T - 1)]
    names += [("growth", "ratio", f"occasion {t + 1} to {t + 2}") for t in range(T - 1)]
    with np.errstate(invalid="ignore"):
        return table([log_normal(*n, value, se) for n, value, se in zip(names, found, np.sqrt(variance), strict=True)])


def derived_table(fit, interval: str) -> pd.DataFrame:
    """The parameters by their covariates, the superpopulation, and with `JollySeber` the numbers by occasion."""
    model = fit.model
    found = table(model.parameter_rows(fit, {name: WORDS[name] for name in model.formulas}, interval))
    return pd.concat([found, abundance_table(fit)], ignore_index=True) if {"N", "f0"} & set(model.formulas) else found


def simulate_open(model, vector, seed: int) -> EncounterHistory:
    """Encounter histories of a superpopulation; only animals that are met are in them."""
    rng = np.random.default_rng(seed)
    values = model.parameters.values(vector)
    survival, p, _ = model.natural(values)
    entry = model.entries(values)
    size = superpopulation(model, values, entry)
    exact = (np.floor(size) + (rng.random(len(size)) < size % 1)).astype(int)
    count = rng.poisson(size) if "N" in values else exact
    profile = np.repeat(np.arange(len(count)), count)
    born = (rng.random((len(profile), 1)) > np.cumsum(entry.beta, axis=1)[profile, :-1]).sum(axis=1)
    states = np.zeros((len(profile), p.shape[1]), np.int8)
    alive = born == 0
    for t in range(p.shape[1]):
        if t:
            alive = (alive & (rng.random(len(profile)) < survival[profile, t - 1])) | (born == t)
        states[:, t] = alive & (rng.random(len(profile)) < p[profile, t])
    states[:, ~model.looked] = MISSING
    seen = (states > 0).any(axis=1)
    animals = model.groups.iloc[profile[seen]].set_axis([str(i + 1) for i in range(seen.sum())], axis=0)
    h = model.history
    return EncounterHistory(states[seen], None, None, animals, h.occasions, h.intervals, h.interval_unit)
