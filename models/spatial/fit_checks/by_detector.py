"""Detections at each detector as a fitted model expects them, of the population and given the animals detected.

Of the population: y_k is a sum over the points of a Poisson process, so that E y_k = ∫ D E(y_k | x) dx and
var y_k = ∫ D E(y_k² | x) dx; with N animals in all, less (E y_k)² / N. Where only animals with two detections or more
are in the data, y_k counts theirs: E(y_k | x) less Pr(detected once, at k | x).

Given the animals: Σ_i E(y_ik | x) over the posterior of each detected animal's activity centre, and what the animals
that are not in the data were due. At the maximum of the likelihood these sum to the detections, for counts exactly (the
EM identity).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....survey.errors import refuse
from ..methods import Method
from .moments import Moments, centres, moments

DRAWS = 24  # of each animal's activity centre, evenly over the quantiles of its posterior
NEAR = 1e-7  # probability of being detected below which a cell has no part in what detectors expect
CHUNK = 2_000_000  # hazards at a time


@dataclass(frozen=True)
class OfDetected:
    """What one method's detectors expect of the detected animals given their data, and of the others."""

    mean: np.ndarray  # float [n, K]
    variance: np.ndarray  # float [n, K]
    missed: np.ndarray  # float [K], detections that the animals which are not in the data were due


@dataclass
class OfPopulation:
    """What one method's detectors expect of the whole population."""

    expected: np.ndarray  # float [K], detections of animals in the data
    variance: np.ndarray  # float [K]
    animals: np.ndarray  # float [K], animals detected there (of those in the data, if at_least is 1)
    missed: np.ndarray  # float [K], see `OfDetected`


def given_animals(model, session, vector: np.ndarray, values) -> list[tuple[Method, OfDetected]]:
    """(method, `OfDetected`) of one session at natural-scale values of its own.

    Raises
    ------
    SurveyError : covariates of animals
    """
    check_alike(session)
    n = session.captures.n_animals
    cell, of_class = centres(session, values, np.tile((np.arange(DRAWS) + 0.5) / DRAWS, (n, 1)))
    x, y = session.mask.centres()
    who, found = np.repeat(np.arange(n), DRAWS), []
    everybody = population(model, session, vector, values) if knows_population(session) else None
    for j, method in enumerate(session.methods):
        each = moments(model, session, method, vector, x[cell.ravel()], y[cell.ravel()], of_class.ravel(), who)
        shape = (n, DRAWS, len(method.captures.detectors))
        mean, square = each.mean.reshape(shape).mean(axis=1), each.square.reshape(shape).mean(axis=1)
        missed = np.zeros(shape[2]) if everybody is None else everybody[j].missed
        found.append((method, OfDetected(mean, square - mean**2, missed)))
    return found


def check_alike(session) -> None:
    """That animals differ by nothing but their class.

    Raises
    ------
    SurveyError : they do, by covariates
    """
    if len(session.strata.columns):
        what = "with covariates of animals there are no residuals and no test of fit"
        fix = "Use classes= for a covariate of few values, or a model without them"
        raise refuse(what, fix, value=", ".join(map(str, session.strata.columns)))


def knows_population(session) -> bool:
    """Whether all animals are alike before they are detected and stay until the end, but for their class."""
    plain = not any(m.arranged.learned.names or m.captures.detections["removed"].any() for m in session.methods)
    return plain and not len(session.strata.columns)


def population(model, session, vector: np.ndarray, values) -> list[OfPopulation]:
    """Of one session by method, at natural-scale values of its own."""
    sizes = [len(m.captures.detectors) for m in session.methods]
    found = [OfPopulation(*np.zeros((4, K))) for K in sizes]
    log_mu, rows = session.kernel_input(values)
    share, mu = session.proportions(values).value, np.exp(log_mu)
    p = [session.engine_of(part, values).detection_probability(rows[part.rows]) for part in session.parts]
    if model.likelihood == "conditional":  # density is relative: as many are expected as were detected
        detected = sum(share[part.of_class] * float(mu @ q) for part, q in zip(session.parts, p, strict=True))
        mu = mu * (session.captures.n_animals / detected)
    x, y = session.mask.centres()
    for part, q in zip(session.parts, p, strict=True):
        near = np.flatnonzero((mu > 0) & (q > NEAR))
        for cells in np.array_split(near, len(near) * max(sizes) // CHUNK + 1):
            c = np.full(len(cells), part.of_class)
            each = [moments(model, session, m, vector, x[cells], y[cells], c) for m in session.methods]
            _add(found, each, share[part.of_class] * mu[cells], q[cells], model.at_least)
    if model.distribution == "binomial":
        for one in found:
            one.variance -= one.expected**2 / float(mu.sum())
    return found


def _add(found: list[OfPopulation], each: list[Moments], mu: np.ndarray, p: np.ndarray, at_least: int) -> None:
    """Adds what animals in some cells are expected to do."""
    silence = np.exp(-np.sum([m.hazard for m in each], axis=0))
    for one, m in zip(found, each, strict=True):
        alone = silence[:, None] * m.once if at_least > 1 else np.zeros_like(m.once)
        one.expected += mu @ (m.mean - alone)
        one.variance += mu @ (m.square - alone)
        one.animals += mu @ -np.expm1(-m.silent)
        one.missed += mu @ ((1.0 - p)[:, None] * m.mean - alone)
