"""How far captures are from their model: Freeman & Tukey's distances by animal and detector, animal, and detector.

For animal i and detector k, E_ik is the mean number of detections given where the animal lived, and the distance is
Σ (√y − √E)² over animals × detectors, over the totals of animals, and over those of detectors (Choo, Sutherland &
Johnston 2024, Methods Ecol. Evol. 15:1653); the first two here per animal, so that they do not vary with how many
animals there happened to be. Their distribution under the model comes from simulated data:

- refitted (`Fit.goodness()`): E_ik is the mean over the posterior of the animal's activity centre; every simulated data
  set is fitted again. p-values are uniform under the model, or nearly so.
- resampled (`Fit.goodness(refit=False)`, the procedure of Choo et al.): activity centres of the detected animals are
  drawn from their posterior, those of the others from that of animals missed; data are simulated for the same centres.
  It needs no fits, but the activity centres have seen the data, so that p-values keep away from 0 and 1: a small one is
  telling, one of 0.3 is no praise.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ....survey.errors import SurveyError, refuse
from ...inference.goodness import Goodness
from ...inference.parallel import run_tasks
from .by_detector import check_alike, given_animals
from .moments import centres, drawn, moments, observed, undetected

NAMES = ("Freeman-Tukey, animal × detector", "Freeman-Tukey, animals", "Freeman-Tukey, detectors")


def discrepancies(model, vector: np.ndarray) -> dict[str, float]:
    """The three distances of a model's data at coefficients [p], sessions and methods put together."""
    values, found = model.parameters.values(vector), np.zeros(3)
    for session in model.sessions:
        mine = model.values_of(values, session)
        pairs = [(observed(session, m), e) for m, e in given_animals(model, session, vector, mine)]
        found += _distances([y for y, _ in pairs], [e.mean for _, e in pairs], [e.missed for _, e in pairs])
    return dict(zip(NAMES, map(float, found / np.array([model.sample_size, model.sample_size, 1.0])), strict=True))


def _distances(y: list[np.ndarray], mean: list[np.ndarray], missed: list[np.ndarray]) -> np.ndarray:
    """The three distances of one session from y and mean [n, K] of each method."""
    whole, expected, more = np.hstack(y), np.hstack(mean), np.concatenate(missed)
    by_animal = (whole.sum(axis=1), expected.sum(axis=1))
    by_detector = (whole.sum(axis=0), expected.sum(axis=0) + more)
    pairs = ((whole, expected), by_animal, by_detector)
    return np.array([np.sum((np.sqrt(a) - np.sqrt(np.maximum(b, 0.0))) ** 2) for a, b in pairs])


# ---- without refitting ---------------------------------------------------------------------------------------------


def resampled(fit, n: int, seed: int, uncertain: bool, **how) -> Goodness:
    """See `SpatialFit.goodness`; `how` as in `run_tasks`.

    Raises
    ------
    SurveyError : n below 1, learned responses, single-catch traps, animals detected once that were left out
    """
    if n < 1:
        raise refuse("goodness of fit needs at least one simulated data set", "Use e.g. n=200", value=n)
    for session in fit.model.sessions:
        check_alike(session)
    fit = fit.as_full()
    model = fit.model
    if any(m.arranged.learned.names for s in model.sessions for m in s.methods):
        raise refuse("resampling does not know what animals learn", "Use fit.goodness(refit=True)")
    if any(m.captures.detectors.kind in ("single", "capped") for s in model.sessions for m in s.methods):
        raise refuse("resampling does not know detectors that hold one animal", "Use fit.goodness(refit=True)")
    if model.at_least > 1:
        raise refuse("resampling needs all animals detected", "Use fit.goodness(refit=True), or fit with at_least=1")
    children = np.random.SeedSequence(seed).spawn(n)
    if uncertain and not np.isfinite(fit.covariance).all():
        raise refuse("the coefficients have no covariance to draw them from", "Use uncertain=False")
    tasks = []
    for child in children:
        vector = fit.vector
        if uncertain:
            vector = np.random.default_rng(child).multivariate_normal(fit.vector, fit.covariance)
        tasks.append((model, vector, int(child.generate_state(2)[1])))
    results = [r for r in run_tasks(_resample, tasks, **how) if r is not None]
    if not results:
        raise refuse("no data set could be resampled", "Look at fit.verdict: the estimates may be at a boundary")
    data, simulated = (np.array([r[j] for r in results]) for j in (0, 1))
    rows = []
    for j, name in enumerate(NAMES):
        a, b = data[:, j], simulated[:, j]
        worse = float((1 + np.sum(b >= a)) / (1 + len(b)))
        rows.append((name, float(a.mean()), float(b.mean()), float(a.mean() / b.mean()), worse))
    tests = pd.DataFrame(rows, columns=["statistic", "observed", "expected", "c_hat", "p"])
    return Goodness(tests, pd.DataFrame(simulated, columns=list(NAMES)), n - len(results))


def _resample(task) -> tuple[np.ndarray, np.ndarray] | None:
    """The three distances of the data and of data simulated for the same activity centres."""
    model, vector, seed = task
    rng, values = np.random.default_rng(seed), model.parameters.values(vector)
    data, simulated = np.zeros(3), np.zeros(3)
    try:
        for session in model.sessions:
            mine = model.values_of(values, session)
            n = session.captures.n_animals
            cell, of_class = centres(session, mine, rng.uniform(size=(n, 1)))
            more_cells, more_classes = _draw_missed(model, session, mine, rng)
            cell, of_class = np.append(cell[:, 0], more_cells), np.append(of_class[:, 0], more_classes)
            y, e, again = _both(model, session, vector, cell, of_class, rng)
            none = [np.zeros(part.shape[1]) for part in e]
            data, simulated = data + _distances(y, e, none), simulated + _distances(again, e, none)
    except (SurveyError, ValueError):  # coefficients drawn far out, at which an animal could not have been seen
        return None
    return data, simulated


def _both(model, session, vector, cell, of_class, rng):
    """By method: the data with the animals missed, what is expected, and simulated data, each [N, K]."""
    x, y = (z[cell] for z in session.mask.centres())
    data, expected, again = [], [], []
    for method in session.methods:
        seen = observed(session, method)
        data.append(np.vstack([seen, np.zeros((len(cell) - len(seen), seen.shape[1]), int)]))
        expected.append(moments(model, session, method, vector, x, y, of_class).mean)
        again.append(drawn(model, session, method, vector, x, y, of_class, rng))
    return data, expected, again


def _draw_missed(model, session, values, rng) -> tuple[np.ndarray, np.ndarray]:
    """Cells and classes of the animals that were not detected; their number is Poisson, or what is left of N."""
    parts = [p for p in session.parts if p.stratum == 0]
    mu = np.concatenate([undetected(session, values, p) for p in parts])
    if model.distribution == "binomial":
        number = max(0, round(float(np.exp(session.kernel_input(values)[0]).sum()) - session.captures.n_animals))
    else:
        number = int(rng.poisson(mu.sum()))
    at = rng.choice(len(mu), number, p=mu / mu.sum()) if number else np.empty(0, int)
    return at % session.mask.size, np.array([p.of_class for p in parts])[at // session.mask.size]
