"""The likelihood at distances that are given: the engine, one of the paths of `given_distance`, and clumped counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..detection import DetectionFunction
from .detected_twice import DetectedTwice, with_once_detected
from .engine.blockwise import Adjoints, BlockModel, Passes, Step, over_passes
from .engine.clumped import ClumpedModel, ClumpedPath, ClumpedReach
from .engine.distances import Distances
from .engine.given_distance import GivenBlockModel, GivenPath
from .engine.likelihood import Evaluation, SpatialLikelihood
from .engine.problem import SpatialProblem
from .engine.radial import RadialPath
from .engine.ranges import Fixes


@dataclass(frozen=True)
class _ClumpedGivenModel(ClumpedModel, GivenBlockModel):
    """The clumped hazard at given distances."""


class _Bound(GivenPath):
    """The path at one value of the sizes."""

    columns = 4

    def __init__(
        self, model: ClumpedModel, function: DetectionFunction, tolerance: float, radial: RadialPath, *at: Any
    ):
        self._clumped = model
        super().__init__(radial, *at)
        self.reach = ClumpedReach(model, function, tolerance)

    def _model(self, of: BlockModel, fixes: Fixes | None) -> GivenBlockModel:
        assert isinstance(self._clumped, _ClumpedGivenModel)
        return self._clumped

    def over_passes(self, step: Step, over: Adjoints) -> np.ndarray:
        return np.column_stack([over_passes(step, over.log_h), self._clumped.over_size(step, over)])


class ClumpedGivenPath(ClumpedPath):
    """`ClumpedPath` at given distances."""

    def __init__(
        self,
        radial: RadialPath,
        problem: SpatialProblem,
        function: DetectionFunction,
        tolerance: float,
        place: np.ndarray,
        spacing: float,
        distances: Distances | None,
        fixes: Fixes | None,
    ):
        super().__init__(radial, problem, function, tolerance)
        self.place, self.spacing, self.distances, self.fixes = place, spacing, distances, fixes

    def with_distances(self, distances: Distances) -> ClumpedGivenPath:
        """The same path at other distances."""
        same = (self.radial, self._problem, self._function, self._tolerance)
        return ClumpedGivenPath(*same, self.place, self.spacing, distances, self.fixes)

    def _at(self, passes: Passes) -> Any:
        model = self._model(passes, _ClumpedGivenModel, fixes=self.fixes)
        at = (self.place, self.spacing, self.distances, self.fixes)
        return _Bound(model, self._function, self._tolerance, self.radial, *at)

    def pullback_all(self, state, d_log_a, d_detected) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(d_log_mu [M], d_passes [G, 4], derivatives by the cost of every cell)."""
        bound, inner = state
        d_log_mu, d_passes, d_cost = bound.pullback_all(inner, d_log_a, d_detected)
        self._add_counts(state, d_log_a, d_passes)
        return d_log_mu, d_passes, d_cost


class GivenDistanceLikelihood(SpatialLikelihood):
    """`SpatialLikelihood` at given distances: `at(distances)` first, then as usual.

    place : int [G], which place each pass of the problem stands at
    row : that of fixes of collared animals; None if there are none
    """

    def __init__(
        self,
        problem: SpatialProblem,
        place,
        threads: int | None = None,
        tolerance: float = 1e-12,
        distances=None,
        row: int | None = None,
    ):
        SpatialLikelihood.__init__(self, problem, threads, tolerance)
        self._stand, self._row = np.asarray(place, np.int64), row
        at = (self._stand, problem.raster.spacing, distances, Fixes.of(problem, row))
        if isinstance(self._path, ClumpedPath):
            self._path = ClumpedGivenPath(self._path.radial, problem, self._function, tolerance, *at)
        else:
            self._path = GivenPath(getattr(self._path, "radial", self._path), *at)

    def at(self, distances: Distances) -> GivenDistanceLikelihood:
        """The likelihood at these distances; shares everything else."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._path = self._path.with_distances(distances)
        return other

    def __getstate__(self) -> tuple:
        return self.problem, self._stand, self.threads, self.tolerance, self._path.distances, self._row

    def __setstate__(self, state: tuple) -> None:
        self.__init__(*state)

    def pullback_all(self, evaluation: Evaluation, d_log_a, d_detected) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `pullback`, and the derivatives by the cost of every cell (empty where distances have none)."""
        whole = self._path.pullback_all(evaluation.state, np.asarray(d_log_a, float), float(d_detected))
        return evaluation.density.back(whole[0]), self._by_rows(whole[1], evaluation.rows), whole[2]


class GivenTwice(DetectedTwice, GivenDistanceLikelihood):
    """`DetectedTwice` at given distances: its sums over animals and pseudo-animals are those of the class behind it."""

    def __init__(self, problem: SpatialProblem, *at: Any, **more: Any):
        assert problem.once is not None
        GivenDistanceLikelihood.__init__(self, with_once_detected(problem, problem.once), *at, **more)
        self.problem, self._n, self._times = problem, problem.n_animals, problem.once.times

    def pullback_all(self, evaluation: Evaluation, d_log_a, d_detected) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        once = evaluation.state.once
        d_all = np.concatenate([np.asarray(d_log_a, float), -float(d_detected) * once])
        return super().pullback_all(evaluation.state.whole, d_all, d_detected)

    def _of(self, problem: SpatialProblem) -> SpatialLikelihood:
        return GivenDistanceLikelihood(problem, self._stand, self.threads, self.tolerance, self._path.distances)


def given_likelihood_of(
    problem: SpatialProblem, place, threads: int | None, row: int | None
) -> GivenDistanceLikelihood:
    """The engine of a problem: that of all animals detected, or of those detected at least twice."""
    kind = GivenDistanceLikelihood if problem.once is None else GivenTwice
    return kind(problem, place, threads, row=row)
