"""What follows from a fit of an open population: numbers by occasion, recruits, growth; and data drawn from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...survey.encounters import MISSING, EncounterHistory
from ...survey.errors import refuse
from ..derived import log_normal, log_normal_above, table
from .base import jacobian
from .entry import first_encounter
from .losses import with_losses

WORDS = {"phi": "survival", "p": "detection", "f": "recruitment", "growth": "growth", "gamma": "seniority"}
WORDS |= {"b": "entry", "N": "superpopulation", "f0": "never met"}


def numbers(model, vector) -> np.ndarray:
    """N by profile and occasion [G, T], without those that would live had they been released."""
    values = model.parameters.values(vector)
    entry = model.entries(values)
    N = superpopulation(model, values, entry)[:, None] * entry.alive
    return N - taken(model, model.natural(values)[0]) if model.lost.any() else N


def taken(model, survival: np.ndarray) -> np.ndarray:
    """Animals [G, T] not released on earlier occasions that would still live."""
    would = np.zeros_like(model.lost_at)
    for t in range(survival.shape[1]):
        would[:, t + 1] = (would[:, t] + model.lost_at[:, t]) * survival[:, t]
    return would


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


@dataclass(frozen=True)
class Present:
    """Animals alive on each occasion [T] given all encounters: those certainly alive, all to expect, their variance."""

    certain: np.ndarray
    expected: np.ndarray
    variance: np.ndarray


def never_again(survival, p) -> np.ndarray:
    """Probability [G, T] that an animal alive on an occasion is not met later."""
    chi = np.ones_like(p)
    for t in range(survival.shape[1] - 1, -1, -1):
        chi[:, t] = 1.0 - survival[:, t] + survival[:, t] * (1.0 - p[:, t + 1]) * chi[:, t + 1]
    return chi


def alive_given_encounters(psi, survival, p, chi) -> tuple[np.ndarray, np.ndarray]:
    """Probability to be alive on t given the first encounter f > t [G, f, t], and given the last l < t [G, l, t].

    psi_t Π (1 - p_s) phi_s / psi_f with s from t to f - 1, and Π phi_s (1 - p_{s+1}) chi_t / chi_l with s from l to
    t - 1; 0 for other t. Encounters in between change neither.
    """
    G, T = p.shape
    before, after = np.zeros((G, T, T)), np.zeros((G, T, T))
    for end in range(T):
        unmet = np.ones(G)
        for t in range(end - 1, -1, -1):
            unmet = unmet * (1.0 - p[:, t]) * survival[:, t]
            before[:, end, t] = _share(psi[:, t] * unmet, psi[:, end])
        unmet = np.ones(G)
        for t in range(end + 1, T):
            unmet = unmet * survival[:, t - 1] * (1.0 - p[:, t])
            after[:, end, t] = _share(unmet * chi[:, t], chi[:, end])
    return np.minimum(before, 1.0), np.minimum(after, 1.0)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0.0)


def present(model, vector) -> Present:
    """The animals that were there on each occasion, over all groups, given the encounters and the coefficients.

    Every animal met is alive between its first and last encounter, before and after with the probability given its
    history; those not released are not there after it. Of those never met, psi (1 - p) chi of the superpopulation is
    there: a Poisson number, or a binomial one of f0.
    """
    values = model.parameters.values(vector)
    survival, p, _ = model.natural(values)
    at = first_encounter(model.entries(values).beta, survival, p)
    chi = never_again(survival, p)
    before, after = alive_given_encounters(at.psi, survival, p, chi)
    T = p.shape[1]
    first, last = model.newly_met, np.zeros_like(model.newly_met)
    np.add.at(last, (model.row_profile, model.last), np.where(model.lost, 0, model.frequency))
    met = np.einsum("gf,gft->t", first, before) + np.einsum("gl,glt->t", last, after)
    scatter = np.einsum("gf,gft->t", first, before * (1.0 - before))
    scatter += np.einsum("gl,glt->t", last, after * (1.0 - after))
    there = at.psi * (1.0 - p) * chi
    if "N" in values:
        missed = superpopulation(model, values, None)[:, None] * there
        scatter += missed.sum(axis=0)
    else:
        share = np.minimum(_share(there, np.broadcast_to((1.0 - at.met)[:, None], there.shape)), 1.0)
        missed = values["f0"][model.layouts["f0"].index][:, None] * share
        scatter += (missed * (1.0 - share)).sum(axis=0)
    t = np.arange(T)
    between = (model.first[:, None] <= t) & (t <= model.last[:, None])
    certain = (model.frequency @ between).astype(float)
    return Present(certain, certain + met + missed.sum(axis=0), scatter)


def abundance_table(fit) -> pd.DataFrame:
    """N by occasion, and between occasions new animals and growth, over all groups, with log-normal intervals.

    "abundance" is the number of animals that were there, predicted from the encounters: those met and certainly alive,
    those met that may be alive already or still, and those never met. Its variance is the mean squared error of this
    prediction: the chance in it given the encounters (`present`), plus the delta variance of the prediction (Booth &
    Hobert 1998, J. Am. Stat. Assoc. 93:262); its interval is log-normal on what exceeds the animals certainly alive.
    "expected abundance", recruits and growth are expected values.
    """
    model, T = fit.model, fit.model.history.n_occasions
    if not {"N", "f0"} & set(model.formulas):
        raise refuse("this likelihood has no number of animals in it", "Use JollySeber", value=repr(model))

    def everything(vector: np.ndarray) -> np.ndarray:
        N = numbers(model, vector)
        survival = model.natural(model.parameters.values(vector))[0]
        new = (N[:, 1:] - (N[:, :-1] - model.lost_at[:, :-1]) * survival).sum(axis=0)
        N = N.sum(axis=0)
        return np.concatenate([present(model, vector).expected, N, new, N[1:] / N[:-1]])

    found, there = everything(fit.vector), present(model, fit.vector)
    variance = np.diag(fit.covariance_of(jacobian(everything, fit.vector))).copy()
    variance[:T] += there.variance
    names = [("expected abundance", "animals", f"occasion {t + 1}") for t in range(T)]
    names += [("recruits", "animals", f"occasion {t + 1} to {t + 2}") for t in range(T - 1)]
    names += [("growth", "ratio", f"occasion {t + 1} to {t + 2}") for t in range(T - 1)]
    with np.errstate(invalid="ignore"):
        se = np.sqrt(variance)
    rows = [
        log_normal_above("abundance", "animals", f"occasion {t + 1}", there.certain[t], found[t], se[t])
        for t in range(T)
    ]
    return table(rows + [log_normal(*n, value, s) for n, value, s in zip(names, found[T:], se[T:], strict=True)])


def derived_table(fit, interval: str) -> pd.DataFrame:
    """The parameters by their covariates, the superpopulation, and with `JollySeber` the numbers by occasion."""
    model = fit.model
    found = table(model.parameter_rows(fit, {name: WORDS[name] for name in model.formulas}, interval))
    return pd.concat([found, abundance_table(fit)], ignore_index=True) if {"N", "f0"} & set(model.formulas) else found


def draw_population(model, vector, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A superpopulation drawn: profile [n], whether alive [n, T] and whether met [n, T] on each occasion."""
    rng = np.random.default_rng(seed)
    values = model.parameters.values(vector)
    survival, p, _ = model.natural(values)
    entry = model.entries(values)
    size = superpopulation(model, values, entry)
    exact = (np.floor(size) + (rng.random(len(size)) < size % 1)).astype(int)
    count = rng.poisson(size) if "N" in values else exact
    profile = np.repeat(np.arange(len(count)), count)
    born = (rng.random((len(profile), 1)) > np.cumsum(entry.beta, axis=1)[profile, :-1]).sum(axis=1)
    alive, met = np.zeros((2, len(profile), p.shape[1]), bool)
    here = born == 0
    for t in range(p.shape[1]):
        if t:
            here = (here & (rng.random(len(profile)) < survival[profile, t - 1])) | (born == t)
        alive[:, t] = here
        met[:, t] = here & (rng.random(len(profile)) < p[profile, t])
    return profile, alive, met


def simulate_open(model, vector, seed: int) -> EncounterHistory:
    """Encounter histories of a superpopulation; only animals that are met are in them."""
    profile, _, met = draw_population(model, vector, seed)
    states, h = met.astype(np.int8), model.history
    states[:, ~model.looked] = MISSING
    seen = met.any(axis=1)
    animals = model.groups.iloc[profile[seen]].set_axis([str(i + 1) for i in range(seen.sum())], axis=0)
    states, removed = with_losses(states[seen], h, np.random.default_rng([seed, 1]))
    return EncounterHistory(states, None, removed, animals, h.occasions, h.intervals, h.interval_unit)
