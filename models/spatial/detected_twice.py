"""The likelihood of animals that were detected at least twice (SCR-K of Kodi et al. 2024, with K = 2).

An animal that was photographed once may be a known one, not recognised: a ghost. Ghosts make density too high. They
are seen once each, so that leaving out all animals seen once leaves them out too; the likelihood then is that given at
least two detections (Kodi et al. 2024, Methods Ecol. Evol. 15:1060),

    p.(x) = 1 − exp(−Λ0(x)) (1 + S(x)),     S = Σ_j times_j exp(term_j(x))

where j runs over the ways to be detected once (`problem.OneDetection`): S is Σ x h for counts, Σ expm1(x h) for binary
detectors and Σ_s expm1(Λ_s) over the occasions of competing detectors. exp(−Λ0) exp(term_j) is the probability of the
history of an animal that was detected in the way j and never else, so that ∫ D exp(−Λ0) S dx is a sum over
*pseudo-animals*, whose integrals, gradients and curvature the engine gives like those of all animals.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .curvature import Curvature
from .engine import Evaluation, SpatialLikelihood
from .problem import OneDetection, SpatialProblem


def likelihood_of(problem: SpatialProblem, threads: int | None = None) -> SpatialLikelihood:
    """The engine of a problem: that of all animals detected, or of those detected at least twice."""
    return SpatialLikelihood(problem, threads) if problem.once is None else DetectedTwice(problem, threads)


@dataclass(frozen=True)
class _State:
    """What the derivatives need."""

    whole: Evaluation  # of the animals and the pseudo-animals
    once: np.ndarray  # float [J], expected number of animals detected once in each way


class DetectedTwice(SpatialLikelihood):
    """As `SpatialLikelihood`, but `detected` and p.(x) are of at least two detections; see the head of the file."""

    def __init__(self, problem: SpatialProblem, threads: int | None = None, tolerance: float = 1e-12):
        assert problem.once is not None
        super().__init__(_with_pseudo_animals(problem, problem.once), threads, tolerance)
        self.problem, self._n, self._times = problem, problem.n_animals, problem.once.times

    def evaluate(self, log_mu, rows, gradient: bool = True) -> Evaluation:
        whole = super().evaluate(log_mu, rows, gradient)
        once = self._times * np.exp(whole.log_a[self._n :])
        detected = whole.detected - float(once.sum())
        state: Any = _State(whole, once)
        return replace(whole, log_a=whole.log_a[: self._n], detected=detected, state=state)

    def pullback(self, evaluation: Evaluation, d_log_a, d_detected) -> tuple[np.ndarray, np.ndarray]:
        state: _State = evaluation.state
        d_all = np.concatenate([np.asarray(d_log_a, float), -float(d_detected) * state.once])
        return super().pullback(state.whole, d_all, d_detected)

    def curvature(self, evaluation: Evaluation, d_log_a, d_detected, log_mu_directions, row_directions) -> Curvature:
        state: _State = evaluation.state
        weight = -float(d_detected) * state.once
        d_all = np.concatenate([np.asarray(d_log_a, float), weight])
        found = super().curvature(state.whole, d_all, d_detected, log_mu_directions, row_directions)
        pseudo = found.log_a[self._n :]
        second = found.second + (weight[:, None] * pseudo).T @ pseudo  # of exp(log_a), not of log_a
        return Curvature(found.log_a[: self._n], found.detected - state.once @ pseudo, second)

    def detection_probability(self, rows) -> np.ndarray:
        found = super().detection_probability(rows)
        passes, nothing = self._passes(np.asarray(rows, float)), self._density(np.zeros(self._size))
        for j, times in enumerate(self._times):
            found -= times * np.exp(self._path.log_posterior(passes, nothing, self._n + j))
        return np.maximum(found, 0.0)


def _with_pseudo_animals(problem: SpatialProblem, once: OneDetection) -> SpatialProblem:
    """The problem with one animal more for each way to be detected once, and exposed like one that never is."""
    ways, last = len(once.times), problem.event_start[-1:]
    join = np.concatenate
    return replace(
        problem,
        weight=join([problem.weight, np.tile(problem.void_weight, (ways, 1))]),
        event_start=join([problem.event_start, last + 1 + np.arange(ways)]).astype(np.int64),
        event_pass=join([problem.event_pass, once.passes]).astype(np.int64),
        event_kind=join([problem.event_kind, once.kind]).astype(np.int64),
        event_count=join([problem.event_count, np.ones(ways)]).astype(float),
        event_exposure=join([problem.event_exposure, once.exposure]).astype(float),
        event_field=join([problem.event_field, once.field]).astype(np.int64),
        once=None,
    )


def ways_of_one(effort: np.ndarray, row: np.ndarray, kind: int, counted: bool) -> dict[str, np.ndarray]:
    """Detector, row, exposure and times of the ways to be detected once by COUNT and BINARY detectors.

    effort, row : [S, K] effort and parameter row of each occasion and detector
    counted : whether the effort is a number of trials of one unit each (binomial counts)
    """
    s, k = np.nonzero(effort > 0)
    x = effort[s, k]
    alike = kind == 0 or counted  # Σ x h, and the trials of all occasions, add up
    exposure = np.ones(len(s)) if alike else x
    key, way = np.unique(np.stack([k, row[s, k], exposure]), axis=1, return_inverse=True)
    times = np.bincount(way.reshape(-1), x if alike else None, minlength=key.shape[1])
    return {"detector": key[0].astype(int), "row": key[1].astype(int), "exposure": key[2], "times": times.astype(float)}
