"""The likelihood of animals that were detected at least twice (SCR-K of Kodi et al. 2024, with K = 2).

An animal that was photographed once may be a known one, not recognised: a ghost. Ghosts make density too high. They
are seen once each, so that leaving out all animals seen once leaves them out too; the likelihood then is that given at
least two detections (Kodi et al. 2024, Methods Ecol. Evol. 15:1060),

    p.(x) = 1 − exp(−Λ0(x)) (1 + S(x)),     S = Σ_j times_j exp(term_j(x))

where j runs over the ways to be detected once (`problem.OneDetection`): S is Σ x h for counts and searches,
Σ expm1(x h) for binary detectors and Σ_s expm1(Λ_s) over the occasions of competing detectors. exp(−Λ0) exp(term_j) is
the probability of the history of an animal that was detected in the way j and never else, so that ∫ D exp(−Λ0) S dx is
a sum over *pseudo-animals*, whose integrals, gradients and curvature the engine gives like those of all animals. Where
animals learn, a way is a detector and an occasion, and its Λ0 that of an animal that learns then (`once_learned`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import eigh_tridiagonal
from scipy.special import logsumexp

from ...survey.captures import CaptureHistory
from ...survey.errors import refuse
from ...survey.telemetry import Telemetry
from ...survey.together import Together, together
from .arrange import Arranged, subset
from .arrange import _event_kind as event_kind
from .engine.curvature import Curvature
from .engine.likelihood import Evaluation, SpatialLikelihood
from .engine.problem import BINARY, COUNT, MULTI, OneDetection, Personal, SpatialProblem
from .methods import Method
from .methods import _fields as fields_together

NODES = 8  # different exposures of a binary detector that are kept


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
        super().__init__(with_once_detected(problem, problem.once), threads, tolerance)
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

    def once(self, log_mu, rows) -> tuple[float, np.ndarray, np.ndarray]:
        """Expected number of animals detected exactly once, and its derivatives by log_mu [M] and rows [R, 3]."""
        state: _State = self.evaluate(log_mu, rows).state
        d_all = np.concatenate([np.zeros(self._n), state.once])
        return (float(state.once.sum()), *super().pullback(state.whole, d_all, 0.0))

    def detection_probability(self, rows) -> np.ndarray:
        found = super().detection_probability(rows)
        return np.maximum(found - (1.0 - found) * self._odds_of_one(np.asarray(rows, float)), 0.0)

    def _odds_of_one(self, rows: np.ndarray) -> np.ndarray:
        """S [M]: of counts the sum of their hazards, of competing detectors Σ expm1 of theirs, of others way by way."""
        once, nobody = self.problem.once, replace(subset(self.problem, np.empty(0, np.int64)), once=None)
        assert once is not None
        plain = np.full(len(once.kind), once.weight is None)  # the one detection changes nothing
        count, multi = plain & (once.kind == COUNT), plain & (once.kind == MULTI)
        odds = np.zeros(self._size)
        if count.any():
            odds += self._hazard(nobody, np.isin(nobody.entry_pass, once.passes[count]), nobody.void_weight, rows)
        for f in np.unique(once.field[multi]):
            alone = np.where(np.arange(nobody.n_fields) == f, 1.0, 0.0)
            mine = (nobody.entry_field == f) & np.isin(nobody.entry_pass, once.passes[multi & (once.field == f)])
            odds += nobody.void_weight[f] * np.expm1(self._hazard(nobody, mine, alone, rows))
        binary = plain & (once.kind == BINARY)
        for g in np.unique(once.passes[binary]):
            mine = nobody.entry_pass == g
            total = float(nobody.void_weight[nobody.entry_field[mine]] @ nobody.entry_exposure[mine])
            h, ways = self._hazard(nobody, mine, nobody.void_weight, rows) / total, binary & (once.passes == g)
            odds += np.expm1(np.outer(h, once.exposure[ways])) @ once.times[ways]
        others = np.flatnonzero(~(count | multi | binary))
        if not others.size:
            return odds
        nothing, silence = np.zeros(self._size), super().detection_probability(rows)
        passes, whole = self._passes(rows), self.evaluate(nothing, rows, False).state.whole.log_a
        for j in others:
            if np.isfinite(whole[self._n + j]):  # the posterior may lack a constant
                log_q = self._path.log_posterior(passes, nothing, self._n + j)
                q = np.exp(log_q - logsumexp(log_q) + whole[self._n + j])
                odds += self._times[j] * np.divide(q, 1.0 - silence, out=np.zeros_like(q), where=silence < 1.0)
        return odds

    def _hazard(self, nobody: SpatialProblem, entries: np.ndarray, void: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Λ [M] of some entries of the fields, weighted by `void` [F]."""
        names = ("entry_field", "entry_pass", "entry_exposure")
        some = {name: getattr(nobody, name)[entries] for name in names}
        part = self._of(replace(nobody, void_weight=void, **some))
        with np.errstate(divide="ignore"):
            return np.minimum(-np.log1p(-part.detection_probability(rows)), 700.0)

    def _of(self, problem: SpatialProblem) -> SpatialLikelihood:
        """The engine of all detections of another problem with the same passes."""
        return SpatialLikelihood(problem, self.threads, self.tolerance)


def with_once_detected(problem: SpatialProblem, once: OneDetection) -> SpatialProblem:
    """The problem with one animal more for each way to be detected once, and exposed like one that never is."""
    ways, last = len(once.times), problem.event_start[-1:]
    join = np.concatenate
    return replace(
        problem,
        weight=join([problem.weight, np.tile(problem.void_weight, (ways, 1)) if once.weight is None else once.weight]),
        personal=_joined(problem.personal, once.personal, problem.n_animals, ways, len(problem.event_pass)),
        event_start=join([problem.event_start, last + 1 + np.arange(ways)]).astype(np.int64),
        event_pass=join([problem.event_pass, once.passes]).astype(np.int64),
        event_kind=join([problem.event_kind, once.kind]).astype(np.int64),
        event_count=join([problem.event_count, np.ones(ways)]).astype(float),
        event_exposure=join([problem.event_exposure, once.exposure]).astype(float),
        event_field=join([problem.event_field, once.field]).astype(np.int64),
        once=None,
    )


def _joined(a: Personal | None, b: Personal | None, animals: int, ways: int, events: int) -> Personal | None:
    """The personal exposure of the animals, who have so many events, and of the pseudo-animals."""
    if a is None and b is None:
        return None
    none, join = np.zeros(0, np.int64), np.concatenate
    a, b = (
        Personal(np.zeros(n + 1, np.int64), none, np.zeros(0), none, np.zeros(1, np.int64), none, np.zeros(0))
        if own is None
        else own
        for own, n in ((a, animals), (b, ways))
    )
    return Personal(
        start=join([a.start, a.start[-1] + b.start[1:]]),
        passes=join([a.passes, b.passes]),
        exposure=join([a.exposure, b.exposure]),
        event=join([a.event, events + b.event]),
        event_start=join([a.event_start, a.event_start[-1] + b.event_start[1:]]),
        event_pass=join([a.event_pass, b.event_pass]),
        event_exposure=join([a.event_exposure, b.event_exposure]),
    )


# ---- the data ------------------------------------------------------------------------------------------------------


def detected_often(captures: Sequence[CaptureHistory], at_least: int) -> tuple[list[CaptureHistory], pd.DataFrame]:
    """The histories of animals with so many detections, and the animals left out: session, animal, detections, reason.

    Raises
    ------
    SurveyError : at_least is neither 1 nor 2, an animal was removed, or no animal was detected twice
    """
    if at_least not in (1, 2) or isinstance(at_least, bool):
        raise refuse("at_least is 1 (all animals detected) or 2", "Use at_least=2", value=at_least)
    kept, out = [], []
    for c in captures:
        times = np.bincount(c.animal_index, c.detections["count"], c.n_animals)
        names = c.animals.index[times < at_least]
        kept.append(_without(c, set(names)) if len(names) else c)
        out += [(c.session, name, int(times[times < at_least][j]), REASON) for j, name in enumerate(names)]
        if at_least > 1 and c.detections["removed"].any():
            what = "an animal that was removed could not be detected again: two detections cannot be asked of it"
            raise refuse(what, "Use at_least=1", value=c.detections.loc[c.detections["removed"], "animal"].iloc[0])
    if not sum(c.n_animals for c in kept) and sum(c.n_animals for c in captures):
        raise refuse("no animal was detected twice", "Use at_least=1", value=0)
    return kept, pd.DataFrame(out, columns=["session", "animal", "detections", "reason"])


REASON = "detected once, left out by at_least=2"


def _without(captures: CaptureHistory, names: set[str]) -> CaptureHistory:
    """The histories of all other animals."""
    if isinstance(captures, Together):
        rest = together({m: _without(c, names) for m, c in captures.methods.items()}, captures.session)
        return replace(rest, animals=captures.animals.loc[rest.animals.index], telemetry=_collars(captures, names))
    keep = ~captures.detections["animal"].isin(names)
    frame = captures.detections[keep].reset_index(drop=True)
    return replace(captures, detections=frame, telemetry=_collars(captures, names))


def _collars(captures: CaptureHistory, names: set[str]) -> Telemetry | None:
    """The fixes, with what the captures know of collared animals that are left out."""
    telemetry = captures.telemetry
    if telemetry is None:
        return None
    known = captures.animals.loc[sorted(names & set(telemetry.names) & set(captures.animals.index))]
    animals = known.astype(object).combine_first(telemetry.animals.astype(object))
    return replace(telemetry, animals=animals) if len(known) else telemetry


def with_once(arranged: Arranged, methods: Sequence[Method], counts: str) -> Arranged:
    """The arrays of a session whose animals were detected at least twice by all its methods together.

    Raises
    ------
    SurveyError : learned responses, see `once_learned`
    """
    problems = [m.arranged.problem for m in methods]
    field = fields_together(methods)[0] if len(methods) > 1 else [np.arange(problems[0].n_fields)]
    at_pass = np.cumsum([0] + [len(p.pass_x) for p in problems])
    parts = [_ways(m, counts) for m in methods]
    assert arranged.problem.personal is None  # of learned responses, which `_ways` refuses
    once = OneDetection(
        passes=np.concatenate([w.passes + b for w, b in zip(parts, at_pass, strict=False)]),
        kind=np.concatenate([w.kind for w in parts]),
        exposure=np.concatenate([w.exposure for w in parts]),
        field=np.concatenate([np.where(w.field < 0, -1, f[w.field]) for w, f in zip(parts, field, strict=True)]),
        times=np.concatenate([w.times for w in parts]),
    )
    return replace(arranged, problem=replace(arranged.problem, once=once))


def _ways(method: Method, counts: str) -> OneDetection:
    """How an animal can be detected exactly once by one method."""
    captures, problem, learned = method.captures, method.arranged.problem, method.arranged.learned
    kind = event_kind(captures.detectors.kind, counts)
    if learned.names:
        what = "the number of animals detected once is not known with learned responses"
        fix = "Compare with a model without them"
        if not {"k", "K"} & set(learned.names):  # of these two detections can be asked
            fix = f"Use fit.sensitivity_to_ghosts(), or {fix[0].lower()}{fix[1:]}"
        raise refuse(what, fix, value=", ".join(learned.names))
    x, f = problem.entry_exposure, problem.entry_field
    if kind == MULTI:
        return _one(problem.entry_pass, MULTI, x, f, problem.void_weight[f])
    if kind != BINARY:  # Σ x h over counts and searches; a clumped pass is one detector-occasion and its likes
        times = np.bincount(problem.entry_pass, problem.void_weight[f] * x)
        passes = np.flatnonzero(times > 0)
        return _one(passes, kind, np.ones(len(passes)), np.full(len(passes), -1), times[passes])
    s, k = np.nonzero(captures.detectors.used & (captures.detectors.effort > 0))
    x = captures.detectors.effort[s, k]
    pairs = np.stack([k, method.arranged.code[s, k]])
    passes = np.unique(pairs, axis=1, return_inverse=True)[1].reshape(-1)  # in the order of `arrange`
    assert passes.max(initial=-1) + 1 == len(problem.pass_x)
    trials = captures.detectors.kind == "count"  # of one unit each
    key, way = np.unique(np.stack([passes, np.ones(len(x)) if trials else x]), axis=1, return_inverse=True)
    times = np.bincount(way.reshape(-1), x if trials else None, minlength=key.shape[1]).astype(float)
    start = np.searchsorted(key[0], np.arange(len(problem.pass_x) + 1))
    few = [few_exposures(key[1, a:b], times[a:b]) for a, b in pairwise(start)]
    sizes = [len(exposure) for exposure, _ in few]
    exposure, times = (np.concatenate([pair[j] for pair in few]) for j in (0, 1))
    return _one(np.repeat(np.arange(len(few)), sizes), BINARY, exposure, np.full(len(exposure), -1), times)


def few_exposures(x: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most NODES exposures and times with the same Σ times expm1(x h), to 1e-8 of it while x h spans less than ten.

    A camera may work for another time on every occasion. The nodes and weights are those of the Gauss quadrature for
    the measure Σ times δ(x), which is exact for polynomials of degree 2 NODES − 1 (Lanczos; Golub & Welsch 1969).
    """
    if len(x) <= NODES:
        return x, times
    a, b = np.zeros(NODES), np.zeros(NODES - 1)
    basis = [np.sqrt(times / times.sum())]
    for j in range(NODES):
        v = x * basis[j]
        a[j] = v @ basis[j]
        for q in (*basis, *basis):  # twice, so that they stay orthogonal
            v = v - (v @ q) * q
        if j < NODES - 1:
            b[j] = np.linalg.norm(v)
            basis.append(v / b[j])
    nodes, vectors = eigh_tridiagonal(a, b)
    return nodes, times.sum() * vectors[0] ** 2


def _one(passes, kind: int, exposure, field, times) -> OneDetection:
    return OneDetection(np.asarray(passes, int), np.full(len(passes), kind), exposure, field, np.asarray(times, float))
