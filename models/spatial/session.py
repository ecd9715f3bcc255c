"""One session of spatial capture-recapture: its log-likelihood as a function of natural-scale arrays.

A session knows nothing of formulas: density comes as one value per cell of its mask, detection as one value per
distinct row, class proportions as they are. A model of several sessions adds them up, so that its cost is the sum of
its parts. A session itself has one *part*, an evaluation of the engine, for each class of animals; and under the
conditional likelihood one for each distinct set of the animals' covariates in the detection formulas, its *stratum*.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import gammaln

from ...survey.captures import CaptureHistory
from ...survey.errors import refuse
from ...survey.habitat import HabitatMask
from ...survey.units import density_to_animals_per_cell
from ..detection import DetectionFunction
from .arrange import Arranged, raster_of, subset
from .classes import NO_CLASSES, Classes, Proportions
from .composition import Composed, binomial, conditional, poisson
from .detected_twice import likelihood_of, with_once
from .engine.density import LogLinear
from .engine.given_distance import pulled
from .engine.likelihood import SpatialLikelihood
from .engine.problem import Raster, SpatialProblem
from .given_likelihood import GivenDistanceLikelihood, given_likelihood_of
from .methods import Method, arrange_methods
from .metric import COST, Metric, ground_of
from .once_learned import with_pseudo_animals
from .rows import FIX, WAY, EngineRows
from .telemetry import Collared, with_fixes

COMPOSE = {"poisson": poisson, "binomial": binomial, "conditional": conditional}
AT_ONCE = 4_000_000  # values of posteriors of activity centres that are held


@dataclass(frozen=True, eq=False)
class Part:
    """The animals of one stratum as if they were of one class, those that may be of it."""

    stratum: int
    of_class: int
    animals: np.ndarray  # int, positions among the session's animals
    problem: SpatialProblem
    engine: SpatialLikelihood
    rows: slice  # among the session's rows


@dataclass(frozen=True)
class Mixed:
    """The integrals of all parts put together."""

    proportions: Proportions
    log_a: np.ndarray  # float [n]
    share: list[np.ndarray]  # by part, probability that each of its animals is of its class
    detected: np.ndarray  # float [strata]
    composed: list[Composed]  # by stratum

    @property
    def loglik(self) -> float:
        return float(sum(c.loglik for c in self.composed))


@dataclass(frozen=True, eq=False)
class Session:
    """The data of one session, arranged for the engine."""

    name: str
    captures: CaptureHistory
    mask: HabitatMask
    detection: DetectionFunction
    composition: str  # key of COMPOSE
    parts: tuple[Part, ...]
    rows: pd.DataFrame  # covariates of the R distinct rows of detection parameters, part after part
    arranged: Arranged  # of one part, its problem with all animals
    methods: tuple[Method, ...]  # one, if there are not several
    classes: Classes | None
    strata: pd.DataFrame  # covariates of the animals in the detection formulas, one row per stratum
    extra: Mapping[str, object]  # covariates of the session
    constant: float  # of the log-likelihood
    metric: Metric | None = None  # distances that are not straight lines
    collared: Collared | None = None  # animals known from fixes alone

    @classmethod
    def of(
        cls,
        captures,
        mask,
        detection,
        variables,
        *,
        composition,
        counts,
        threads,
        extra,
        classes=None,
        of_animals=(),
        at_least=1,
        distance=None,
    ) -> Session:
        """Arrange the data; `extra` are covariates of the session for detection formulas (name: value).

        classes : of animals, or None
        of_animals : names of the covariates of animals in the detection formulas
        distance : None for straight lines, or what `Metric.of` takes
        at_least : 2 where `captures` has only the animals detected at least twice
        """
        check_data(captures, mask)
        ground = None if distance is None else ground_of(distance, mask)
        arranged, methods = arrange_methods(captures, mask, detection.name, variables, counts, ground)
        once = None
        if at_least > 1 and any(m.arranged.learned.names for m in methods):
            arranged, once = with_pseudo_animals(captures, mask, detection.name, variables, counts)
        arranged = with_fixes(arranged, captures, FIX if distance is None else WAY)
        if once is not None:
            arranged = replace(arranged, problem=replace(arranged.problem, once=once))
        elif at_least > 1:
            arranged = with_once(arranged, methods, counts)
        metric = None if distance is None else Metric.of(distance, captures, mask, arranged.problem)
        stratum, strata = _strata(captures, of_animals)
        member = np.zeros(captures.n_animals, int) if classes is None else classes.member(captures)
        labels = (None,) if classes is None else classes.labels
        parts, rows, size = [], [], len(arranged.rows)
        for j, (g, c) in enumerate(product(range(len(strata)), range(len(labels)))):
            animals = np.flatnonzero((stratum == g) & ((member == c) | (member < 0)))
            problem = subset(arranged.problem, animals)
            where = slice(j * size, (j + 1) * size)
            parts.append(Part(g, c, animals, problem, _engine(problem, metric, threads, arranged.row_of_fixes), where))
            more = dict(strata.iloc[g]) | extra
            if classes is not None:
                more[classes.name] = classes.column(labels[c], size)
            rows.append(arranged.rows.assign(**more))
        n = np.bincount(stratum, minlength=len(strata))
        constant = arranged.constant
        if len(strata) > 1:
            constant += float(gammaln(n.sum() + 1.0) - gammaln(n + 1.0).sum())
        whole = pd.concat(rows or [arranged.rows.iloc[:0].assign(**extra)], ignore_index=True)
        collared = Collared.of(captures, arranged.problem, classes, size, strata, threads, metric)
        made = (tuple(parts), whole, arranged, methods, classes, strata, extra, constant, metric, collared)
        return cls(captures.session, captures, mask, detection, composition, *made)

    @property
    def problem(self) -> SpatialProblem:
        """The problem of a session with one part."""
        return self._only.problem

    @property
    def engine(self) -> SpatialLikelihood:
        """The engine of a session with one part."""
        return self._only.engine

    @property
    def _only(self) -> Part:
        if len(self.parts) != 1:
            raise AttributeError("this session has an engine for every class or stratum: see its parts")
        return self.parts[0]

    def engine_of(self, part: Part, values: Mapping[str, np.ndarray] | None) -> SpatialLikelihood:
        """The engine of a part, at the distances of these values; of None: where a metre costs one everywhere."""
        if self.metric is None or not isinstance(part.engine, GivenDistanceLikelihood):
            return part.engine
        return part.engine.at(self.metric.at_start() if values is None else self.metric.at(values))

    # ---- natural-scale arrays -------------------------------------------------------------------------------

    def kernel_input(self, values: Mapping[str, Any], cell_area: float | None = None) -> tuple[Any, np.ndarray]:
        """log_mu [M], log expected animals per cell (of `cell_area` km²), and rows [R, 3], the detection parameters.

        log_mu is log-linear where log D is, see `linear_density`.
        """
        per_cell = density_to_animals_per_cell(1.0, cell_area or self.mask.cell_area)
        if isinstance(values["D"], LogLinear):
            log_D: LogLinear = values["D"]
            return replace(log_D, offset=log_D.offset + float(np.log(per_cell))), self.detection_rows(values).value
        log_mu = np.maximum(values["D"], 0.0)
        log_mu *= per_cell
        with np.errstate(divide="ignore"):
            np.log(log_mu, out=log_mu)  # in place: a mask may have ten million cells
        return log_mu, self.detection_rows(values).value

    def detection_rows(self, values: Mapping[str, np.ndarray]) -> EngineRows:
        """rows [R, 3 or 4]: what the engine takes, 1 for a third that the detection function does not have."""
        rows = np.ones((len(self.rows), 3))
        for j, name in enumerate(self.detection.parameters):
            rows[:, j] = values[name]
        size = values["size"] if self.clumped else None
        return EngineRows.of(self.detection, np.resize(self.arranged.scale, len(rows)), rows, size)

    def compose(self, sum_log_a: float, detected: float, total: float, n: int) -> Composed:
        """The log-likelihood from the integrals."""
        return COMPOSE[self.composition](sum_log_a, detected, total, n)

    @property
    def clumped(self) -> bool:
        """Whether some counts are negative-binomial."""
        return self.arranged.problem.pass_effort is not None

    def by_detection(self, values: Mapping[str, np.ndarray], d_rows: np.ndarray) -> dict[str, np.ndarray]:
        """Derivatives by the values of each detection parameter from those by the engine's rows [R, 3]."""
        back = self.detection_rows(values).back(d_rows)
        found = {name: back[:, j] for j, name in enumerate(self.detection.parameters)}
        if "size" in values:
            found["size"] = d_rows[:, 3] if self.clumped else np.zeros(len(d_rows))
        return found

    def proportions(self, values: Mapping[str, np.ndarray]) -> Proportions:
        """Of the classes; of one class where there are none."""
        return NO_CLASSES if self.classes is None else self.classes.proportions(values["pmix"])

    # ---- likelihood -----------------------------------------------------------------------------------------

    def evaluate(self, values, gradient: bool):
        """Log-likelihood, and its derivatives with respect to each array of `values`.

        Where `values` has log D as a `LogLinear` instead of D [M]: by its coefficients.
        """
        log_mu, rows = self.kernel_input(values)
        ats = [self.engine_of(part, values).evaluate(log_mu, rows[part.rows], gradient) for part in self.parts]
        mixed = self._mixed(ats, values)
        loglik = mixed.loglik
        collared = self._collared(values, rows, mixed)
        if collared is not None:
            loglik += collared.loglik
        return loglik, self._adjoints(values, log_mu, ats, mixed, collared)[0] if gradient else None

    def _collared(self, values, rows: np.ndarray, mixed: Mixed) -> Any:
        """The animals that were collared only, at these values; None where there are none."""
        if self.collared is None:
            return None
        distances = None if self.metric is None else self.metric.at(values)
        return self.collared.evaluate(rows, mixed.proportions, distances)

    def _mixed(self, ats: Sequence, values) -> Mixed:
        proportions = self.proportions(values)
        n, strata = self.captures.n_animals, len(self.strata)
        with np.errstate(divide="ignore"):
            log_share = np.log(proportions.value)
        terms = np.full((n, max(1, len(proportions.value))), -np.inf)
        detected = np.zeros(strata)
        for part, at in zip(self.parts, ats, strict=True):
            terms[part.animals, part.of_class] = at.log_a + log_share[part.of_class]
            detected[part.stratum] += proportions.value[part.of_class] * at.detected
        log_a = terms[:, 0] if terms.shape[1] == 1 else np.logaddexp.reduce(terms, axis=1)
        known = np.where(np.isneginf(log_a), np.inf, log_a)
        share = [np.exp(terms[p.animals, p.of_class] - known[p.animals]) for p in self.parts]
        if terms.shape[1] == 1:  # animals that are impossible have a say in the engine alone
            share = [np.ones(len(p.animals)) for p in self.parts]
        composed = []
        for g in range(strata):
            mine = np.concatenate([p.animals for p in self.parts if p.stratum == g])
            mine = np.unique(mine)
            constant = self.constant if g == 0 else 0.0
            composed.append(self.compose(float(np.sum(log_a[mine])) + constant, detected[g], ats[0].total, len(mine)))
        return Mixed(proportions, log_a, share, detected, composed)

    def _adjoints(self, values, log_mu, ats, mixed: Mixed, collared: Any = None):
        """Derivatives by the values, by log_mu with everything that depends on it, and by the engine's rows."""
        D, share = values["D"], mixed.proportions
        d_log_mu, d_cost = np.empty(0), 0.0
        d_rows, d_share = np.zeros((len(self.rows), 3 + self.clumped)), np.zeros(len(share.value))
        for part, at, mine in zip(self.parts, ats, mixed.share, strict=True):
            c, by_detected = part.of_class, mixed.composed[part.stratum].by_detected
            engine = self.engine_of(part, values)
            over_mu, over_rows, over_cost = pulled(engine, at, mine, by_detected * share.value[c])
            d_cost = d_cost + over_cost
            d_log_mu = d_log_mu + over_mu if d_log_mu.size else over_mu
            d_rows[part.rows] += over_rows
            if self.classes is not None:
                d_share[c] += mine.sum() / max(share.value[c], 1e-300) + by_detected * at.detected
        if self.collared is not None and collared is not None:
            d_cost = d_cost + self.collared.pullback(collared, share, d_rows, d_share)
        if isinstance(D, LogLinear):  # the total has no say there
            adjoints = {"D": d_log_mu}
        else:
            by_total = sum(c.by_total for c in mixed.composed)
            if by_total != 0.0:
                d_log_mu += np.exp(log_mu) * by_total
            adjoints = {"D": np.divide(d_log_mu, D, out=np.zeros_like(d_log_mu), where=D > 0)}
        adjoints |= self.by_detection(values, d_rows)
        if self.classes is not None:
            adjoints["pmix"] = d_share @ share.first
        if COST in values:
            adjoints[COST] = d_cost
        return adjoints, d_log_mu, d_rows

    def curvature(self, values, along: Mapping[str, Any]):
        """Second derivatives [P, P] along straight directions of the values, and the adjoints.

        along : for each parameter [its rows, P], how its values move per unit of each of the P directions; of log D,
            as `Covariates`, where that is log-linear
        """
        log_mu, rows = self.kernel_input(values)
        ats = [self.engine_of(part, values).evaluate(log_mu, rows[part.rows]) for part in self.parts]
        mixed = self._mixed(ats, values)
        collared = self._collared(values, rows, mixed)
        adjoints, d_log_mu, d_rows = self._adjoints(values, log_mu, ats, mixed, collared)
        along_mu, linear = along["D"], isinstance(values["D"], LogLinear)
        size = len(along_mu.constant) if linear else along_mu.shape[1]
        if not linear:
            along_mu = along_mu / np.where(values["D"] > 0, values["D"], np.inf)[:, None]
        along_values = np.zeros((*rows.shape, size))
        for j, name in enumerate(self.detection.parameters):
            along_values[:, j] = along[name]
        engine_rows = self.detection_rows(values)
        along_rows = engine_rows.along(along_values)
        second = engine_rows.bent(d_rows, along_values)
        if not linear:  # log D bends as D moves straight
            second = second - along_mu.T @ (d_log_mu[:, None] * along_mu)
        mean, detected = np.zeros((len(mixed.log_a), size)), np.zeros((len(self.strata), size))
        for part, at, mine in zip(self.parts, ats, mixed.share, strict=True):
            g, c, share = part.stratum, part.of_class, mixed.proportions.value[part.of_class]
            by_detected = mixed.composed[g].by_detected
            found = self.engine_of(part, values).curvature(
                at, mine, by_detected * share, along_mu, along_rows[part.rows]
            )
            moved, bent = self._along_share(mixed.proportions, c, along, size)
            cross = np.outer(moved, found.detected)
            second += found.second + by_detected * (cross + cross.T + at.detected * bent)
            detected[g] += share * found.detected + at.detected * moved
            if self.classes is not None:
                score = found.log_a + moved / max(share, 1e-300)
                second += (score * mine[:, None]).T @ score
                second += mine.sum() * (bent / max(share, 1e-300) - np.outer(moved, moved) / max(share, 1e-300) ** 2)
                mean[part.animals] += score * mine[:, None]
        second -= mean.T @ mean
        if self.collared is not None:
            moves = [self._along_share(mixed.proportions, c, along, size) for c in range(len(self.collared.row))]
            moved, bent = (np.array(part) for part in zip(*moves, strict=True))
            second += self.collared.curvature(collared, along_rows, moved, bent, mixed.proportions)
        for g, whole in enumerate(mixed.composed):
            second += whole.second[0] * np.outer(detected[g], detected[g])
        if not linear:
            second += _along_total(mixed.composed, detected, np.exp(log_mu), along_mu)
        return second, adjoints

    def _along_share(self, share: Proportions, c: int, along, size: int) -> tuple[np.ndarray, np.ndarray]:
        """First [P] and second [P, P] derivatives of the proportion of class c along the directions."""
        if self.classes is None:
            return np.zeros(size), np.zeros((size, size))
        return share.first[c] @ along["pmix"], along["pmix"].T @ share.second[c] @ along["pmix"]

    # ---- views ----------------------------------------------------------------------------------------------

    def engines_on(self, mask: HabitatMask, values, stratum: int = 0) -> list[tuple[Part, SpatialLikelihood]]:
        """The detectors' side of the likelihood on another mask, class by class: p.(x), E(n) and their gradients.

        Where distances are no straight lines, cells have those of the session's own cell around them, and cells outside
        its mask are out of reach.
        """
        raster = self.arranged.problem.raster if mask is self.mask else raster_of(mask)
        return [(p, self._without_animals(p, raster, mask, values)) for p in self.parts if p.stratum == stratum]

    def _without_animals(self, part: Part, raster: Raster, mask: HabitatMask, values) -> SpatialLikelihood:
        nobody = replace(subset(part.problem, np.empty(0, np.int64)), raster=raster, personal=None)
        engine = _engine(nobody, self.metric, part.engine.threads)
        if self.metric is None or not isinstance(engine, GivenDistanceLikelihood):
            return engine
        return engine.at(self.metric.on(mask, values))

    def detection_probability(self, values, mask: HabitatMask | None = None) -> np.ndarray:
        """p.(x) [M] of an animal of unknown class."""
        rows, share = self.detection_rows(values).value, self.proportions(values).value
        engines = [(p, self.engine_of(p, values)) for p in self.parts if p.stratum == 0]
        engines = engines if mask is None else self.engines_on(mask, values)
        return np.sum([share[p.of_class] * e.detection_probability(rows[p.rows]) for p, e in engines], axis=0)

    def activity_centres(self, values) -> Callable[[int], np.ndarray]:
        """A function that gives the posterior [M] of one animal's activity centre, over its classes."""
        log_mu, rows = self.kernel_input(values)
        shares = None if self.classes is None else self.class_shares(values)

        def surface(animal: int) -> np.ndarray:
            parts = self._centres(animal, log_mu, rows, values)
            if shares is None or len(parts) == 1:
                return parts[0][1]
            return np.sum([shares[animal, c] * one for c, one in parts], axis=0)

        return surface

    def centres_within(self, values, inside: np.ndarray) -> np.ndarray:
        """[n, C]: probability that each animal is of each class and lives where `inside` [M] is 1."""
        shares = self.class_shares(values)
        for part, animals, surfaces in self.centres_by_part(values):
            shares[animals, part.of_class] *= surfaces @ inside
        return shares

    def centres_by_part(self, values) -> Iterator[tuple[Part, np.ndarray, np.ndarray]]:
        """(part, animals [k] of it, posterior [k, M] of the activity centre of each if it is of the part's class), some
        animals at a time."""
        log_mu, rows = self.kernel_input(values)
        k = max(1, AT_ONCE // len(log_mu))
        for p in self.parts:
            engine = self.engine_of(p, values)
            for first in range(0, len(p.animals), k):
                few = np.arange(first, min(first + k, len(p.animals)))
                yield p, p.animals[few], engine.activity_centre(few, log_mu, rows[p.rows])

    def _centres(self, animal: int, log_mu: np.ndarray, rows: np.ndarray, values) -> list[tuple[int, np.ndarray]]:
        """(class, posterior of the activity centre [M] if the animal is of it) for the classes it may be of."""
        found = []
        for p in self.parts:
            at = np.searchsorted(p.animals, animal)
            if at < len(p.animals) and p.animals[at] == animal:
                engine = self.engine_of(p, values)
                found.append((p.of_class, engine.activity_centre(int(at), log_mu, rows[p.rows])))
        return found

    def class_shares(self, values) -> np.ndarray:
        """[n, C]: probability that each animal is of each class, given its history."""
        log_mu, rows = self.kernel_input(values)
        ats = [self.engine_of(part, values).evaluate(log_mu, rows[part.rows], False) for part in self.parts]
        mixed = self._mixed(ats, values)
        shares = np.zeros((self.captures.n_animals, len(mixed.proportions.value)))
        for part, mine in zip(self.parts, mixed.share, strict=True):
            shares[part.animals, part.of_class] = mine
        return shares


def _along_total(composed: Sequence[Composed], detected: np.ndarray, mu: np.ndarray, along_mu: np.ndarray):
    """Second derivatives [P, P] that have to do with the expected number of animals, Σ mu."""
    d_total = mu @ along_mu
    second = np.zeros((d_total.size, d_total.size))
    for g, whole in enumerate(composed):
        _, both, total2 = whole.second
        cross = np.outer(detected[g], d_total)
        second += both * (cross + cross.T) + total2 * np.outer(d_total, d_total)
        if whole.by_total:
            second += whole.by_total * (along_mu.T @ (mu[:, None] * along_mu))
    return second


def _engine(
    problem: SpatialProblem, metric: Metric | None, threads: int | None, row: int | None = None
) -> SpatialLikelihood:
    """The engine; row: of fixes of collared animals."""
    if metric is None:
        return likelihood_of(problem, threads)
    return given_likelihood_of(problem, metric.place, threads, row)


def _strata(captures: CaptureHistory, names: Sequence[str]) -> tuple[np.ndarray, pd.DataFrame]:
    """stratum [n] of each animal, and the covariates of each stratum; one stratum where there are no covariates."""
    if not names:
        return np.zeros(captures.n_animals, int), pd.DataFrame(index=range(1))
    if not captures.n_animals:
        return np.zeros(0, int), pd.DataFrame(columns=list(names))
    for name in names:
        if name not in captures.animals:
            raise refuse(
                "a session lacks a covariate of its animals", f"Add it to session {captures.session}", value=name
            )
    frame = captures.animals[list(names)]
    for name in names:
        unknown = frame.index[frame[name].isna()]
        if len(unknown):
            raise refuse(
                f"the covariate {name!r} is not known of {len(unknown)} animal{'s' if len(unknown) > 1 else ''}",
                f"Fill it in, or for a covariate of few values use classes={name!r}, which allows for it",
                value=", ".join(map(str, unknown[:5])),
            )
    stratum = frame.groupby(list(names), sort=True, observed=True).ngroup().to_numpy()
    first = np.unique(stratum, return_index=True)[1]
    return stratum, frame.iloc[first].reset_index(drop=True)


def check_data(captures: CaptureHistory, mask: HabitatMask) -> None:
    """Captures and mask can be used together.

    Raises
    ------
    SurveyError : they are of different coordinate reference systems
    """
    a, b = captures.detectors.crs, mask.crs
    if a is not None and b is not None and a != b:
        raise refuse(
            "the detectors and the habitat mask have different CRS", "Make both in one CRS", value=f"{a.name}; {b.name}"
        )
    if (a is None) != (b is None):
        raise refuse("only one of detectors and habitat mask has a CRS", "Give both the same CRS, or neither")
