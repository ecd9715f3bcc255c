"""Clumped counts: the negative-binomial likelihood of counts at detectors, as a hazard of its own.

A count y at one detector on one occasion has mean u = effort × h(x) and variance u + u²/r, with r the *size*:

    Pr(y) = Γ(y + r)/(Γ(r) y!) · (u/r)^y (1 + u/r)^−(y + r)

With the *clumped hazard* H = r log(1 + u/r), which is u for large r, Pr(0) = exp(−H) and

    log Pr(y) = y log expm1(H/r) − H − (y/r) H + Σ_{j<y} log(r + j) − log y!

so that to the rest of the engine a detector-occasion is a pass with the hazard H and exposure 1, and a count of y is y
successes of BINARY trials with exposure 1/r, after which the animal was exposed to y/r more of the pass. Only the
hazard and the derivatives by r are new (Gardner et al. 2011 and Royle et al. 2014, section 9.2.2, use this
distribution for spatial counts; the parameter r is secr's and R's `size`).

Clumps are independent between detectors and occasions: r describes photographs that come in bursts, not animals that
differ.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ...detection import DetectionFunction
from .blockwise import Adjoints, BlockModel, Passes, Step, over_passes
from .encounters import Encounters
from .problem import BINARY, CLUMPED, Personal, SpatialProblem
from .radial import RadialPath
from .reach import Reach


@dataclass(frozen=True)
class ClumpedModel(BlockModel):
    """A block model in which some passes have the clumped hazard, at one value of their sizes."""

    effort: np.ndarray  # float [G], of the one detector-occasion of a clumped pass; NaN for all others
    size: np.ndarray  # float [G], r; anything for others

    def _hazards(self, room, passes: Passes, near, animals, low, high, order) -> Any:
        step = super()._hazards(room, passes, near, animals, low, high, order)
        mine = np.flatnonzero(np.isfinite(self.effort[near]))
        if not mine.size:
            return step
        effort, r = self.effort[near[mine], None], self.size[near[mine], None]
        w = step.h[mine] * (effort / r)
        t = np.log1p(w)
        step.log_h[mine] += np.log(effort) + np.log(np.divide(t, w, out=np.ones_like(w), where=w > 0))
        step.h[mine] = r * t
        if order > 0:
            first, second = np.ones_like(step.h), np.zeros_like(step.h)
            first[mine] = _slope(t)
            second[mine] = first[mine] * (np.exp(-t) - first[mine])
            if step.link_first is not None:
                second = second * step.link_first**2
                second += first * step.link_second if order > 1 else 0.0
                first = first * step.link_first
            step.link_first, step.link_second = first, second
        step.fields = self.exposure[near].T @ step.h
        step.void = self.void_weight @ step.fields
        return step

    def over_size(self, step: Step, over: Adjoints) -> np.ndarray:
        """Derivatives [K] by the size of each pass, but for the constants of the counts."""
        effort, size = self.effort[step.passes], self.size[step.passes]
        mine, out = np.flatnonzero(np.isfinite(effort)), np.zeros(step.passes.size)
        r = size[mine, None]
        through_hazard = over.log_h[mine] * (1.0 - _slope(step.h[mine] / r)) / r
        out[mine] = through_hazard.sum(axis=1)
        if over.trials is not None:
            here = np.flatnonzero(np.isfinite(effort[step.trial_pass]))
            place = step.trial_pass[here]
            r = size[place, None]
            through_trials = over.trials[here] * (step.h[place] / r - step.trial_phi[1][here]) / r
            np.add.at(out, place, through_trials.sum(axis=1))
        return out


def _slope(t: np.ndarray) -> np.ndarray:
    """d log H / d log u = (1 - exp(-t))/t with t = H/r."""
    return np.divide(-np.expm1(-t), t, out=np.ones_like(t), where=t > 0)


class ClumpedPath:
    """Integrals and derivatives of a problem with clumped counts; passes carry their sizes.

    Each evaluation makes the sparse detections anew, because their trials depend on the sizes.
    """

    curvature_cost = np.inf  # second derivatives by the size are not worked out: the optimiser takes differences

    def __init__(self, radial: RadialPath, problem: SpatialProblem, function: DetectionFunction, tolerance: float):
        self.radial, self._problem, self._function, self._tolerance = radial, problem, function, tolerance
        self._counts = _Counts.of(problem)

    def _at(self, passes: Passes) -> Any:
        return _Bound(self._model(passes, ClumpedModel), self._function, self.radial.workers, self._tolerance)

    def _model(self, passes: Passes, kind: type[ClumpedModel], **more) -> ClumpedModel:
        """The block model, of a kind, at the sizes of the passes."""
        assert self._problem.pass_effort is not None and passes.size is not None
        encounters = Encounters.of(as_trials(self._problem, passes.size))
        parts = {f.name: getattr(self.radial.model, f.name) for f in fields(BlockModel)} | {"encounters": encounters}
        return kind(**parts, effort=self._problem.pass_effort, size=passes.size, **more)

    def evaluate(self, passes: Passes, log_mu: np.ndarray):
        """As `RadialPath.evaluate`."""
        bound = self._at(passes)
        log_a, detected, total, error, state = bound.evaluate(passes, log_mu)
        assert passes.size is not None
        return log_a + self._counts.constant(passes.size), detected, total, error, (bound, state)

    def pullback(self, state, d_log_a, d_detected) -> tuple[np.ndarray, np.ndarray]:
        """(d_log_mu [M], d_passes [G, 4]), the last column by the size."""
        bound, inner = state
        d_log_mu, d_passes = bound.pullback(inner, d_log_a, d_detected)
        self._add_counts(state, d_log_a, d_passes)
        return d_log_mu, d_passes

    def _add_counts(self, state, d_log_a, d_passes: np.ndarray) -> None:
        """Adds the derivatives of the constants of the counts by the sizes."""
        bound, inner = state
        known = np.where(np.isneginf(inner.log_a), 0.0, d_log_a)
        d_passes[:, 3] += self._counts.constant_slope(bound.model.size, known)

    def curvature(self, state, d_log_a, d_detected, along_mu, along):
        """Never asked for, see `curvature_cost`."""
        raise NotImplementedError("second derivatives with clumped counts are differences of the gradient")

    def detection_probability(self, passes: Passes) -> np.ndarray:
        """p.(x) [M]."""
        return self._at(passes).detection_probability(passes)

    def log_posterior(self, passes: Passes, log_mu: np.ndarray, animal: int | np.ndarray) -> np.ndarray:
        """log(mu_m f_i(m)) [M] of one animal, or [k, M] of several, but for a constant."""
        return self._at(passes).log_posterior(passes, log_mu, animal)


class _Bound(RadialPath):
    """The radial path at one value of the sizes."""

    columns = 4

    def __init__(self, model: ClumpedModel, function: DetectionFunction, workers, tolerance: float):
        super().__init__(model, function, workers, tolerance)
        self.reach = ClumpedReach(model, function, tolerance)
        self._clumped = model

    def over_passes(self, step: Step, over: Adjoints) -> np.ndarray:
        return np.column_stack([over_passes(step, over.log_h), self._clumped.over_size(step, over)])


class ClumpedReach(Reach):
    """H is at most u = effort × h: peaks are those of u."""

    def __init__(self, model: ClumpedModel, function: DetectionFunction, tolerance: float):
        super().__init__(model, function, tolerance)
        self._log_effort = np.log(np.where(np.isfinite(model.effort), model.effort, 1.0))

    def _log_peak(self, passes: Passes) -> np.ndarray:
        return super()._log_peak(passes) + self._log_effort


def as_trials(problem: SpatialProblem, size: np.ndarray) -> SpatialProblem:
    """The problem at sizes [G] of its passes, every clumped count as trials and exposure of its animal."""
    mine = np.flatnonzero(problem.event_kind == CLUMPED)
    inverse = 1.0 / size[problem.event_pass[mine]]
    kind, exposure = problem.event_kind.copy(), problem.event_exposure.astype(float)
    kind[mine], exposure[mine] = BINARY, inverse
    animal = np.repeat(np.arange(problem.n_animals), np.diff(problem.event_start))
    more = (animal[mine], problem.event_pass[mine], problem.event_count[mine] * inverse)
    return replace(problem, event_kind=kind, event_exposure=exposure, personal=_exposed(problem, *more))


def _exposed(problem: SpatialProblem, animal, passes, exposure) -> Personal:
    """The personal exposure of a problem with some more."""
    n, old = problem.n_animals, problem.personal
    if old is None:
        none = np.empty(0, np.int64)
        old = Personal(np.zeros(n + 1, np.int64), none, np.empty(0), none, np.zeros(1, np.int64), none, np.empty(0))
    whose = np.concatenate([np.repeat(np.arange(n), np.diff(old.start)), animal])
    order = np.argsort(whose, kind="stable")
    return replace(
        old,
        start=np.searchsorted(whose[order], np.arange(n + 1)),
        passes=np.concatenate([old.passes, passes])[order],
        exposure=np.concatenate([old.exposure, exposure])[order],
    )


@dataclass(frozen=True)
class _Counts:
    """The factors Γ(y + r)/(Γ(r)) of the counts, as sums over j < y that lose no digits where r is large."""

    n: int
    animal: np.ndarray  # int, one entry per event and j
    passes: np.ndarray  # int
    j: np.ndarray  # float, 0 .. y - 1

    @classmethod
    def of(cls, problem: SpatialProblem) -> _Counts:
        mine = np.flatnonzero(problem.event_kind == CLUMPED)
        animal = np.repeat(np.arange(problem.n_animals), np.diff(problem.event_start))[mine]
        y = problem.event_count[mine].astype(np.int64)
        j = np.arange(y.sum()) - np.repeat(np.cumsum(y) - y, y)
        return cls(problem.n_animals, np.repeat(animal, y), np.repeat(problem.event_pass[mine], y), j.astype(float))

    def constant(self, size: np.ndarray) -> np.ndarray:
        """Σ log(r + j) [n]."""
        return np.bincount(self.animal, np.log(size[self.passes] + self.j), minlength=self.n)

    def constant_slope(self, size: np.ndarray, d_log_a: np.ndarray) -> np.ndarray:
        """Derivatives [G] by the sizes, those of the trials' log exposure with them: Σ 1/(r + j) - 1/r."""
        r = size[self.passes]
        return np.bincount(self.passes, d_log_a[self.animal] * -self.j / (r * (r + self.j)), minlength=len(size))
