"""The session of a mark-resight model: its arrays, and its likelihood as a function of natural-scale arrays.

See `mark_resight` for the likelihood.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from scipy.special import gammaln

from ...survey.captures import CaptureHistory
from ...survey.errors import refuse
from ...survey.sightings import Sightings
from ...survey.together import together
from .composition import Composed
from .engine.likelihood import SpatialLikelihood
from .engine.problem import SpatialProblem
from .rows import EngineRows
from .session import Session
from .sighted import Places, Seen, Sighted, poisson_constant

MARKING, SIGHTING = "marking", "sighting"


@dataclass(frozen=True, eq=False)
class MarkedSession(Session):
    """A session of marking and sighting."""

    sighted: Sighted | None = None  # places by the rows of one part
    is_sighting: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))  # bool [R], rows of sighting
    marked: int | str | None = None  # sighting only: number of marked animals, or "unknown"; None: marking is modelled

    def detection_rows(self, values: Mapping[str, np.ndarray]) -> EngineRows:
        """rows [R, 3]: the intercept of sightings times pID."""
        natural, identified = Session.detection_rows(self, values), self._identified(values)
        value, slope = natural.value.copy(), np.zeros((len(self.rows), 3))
        value[:, 0] *= identified
        slope[:, 0] = identified
        return EngineRows(value, slope, np.zeros((len(value), 3, 3)))

    def by_detection(self, values, d_rows: np.ndarray) -> dict[str, np.ndarray]:
        """Derivatives by detection parameters and pID from those by the engine's rows."""
        scale = Session.detection_rows(self, values).value[:, 0]
        by = {"pID": (d_rows[:, 0] * scale)[self.is_sighting]}
        return super().by_detection(values, d_rows) | by

    def _identified(self, values) -> np.ndarray:
        """float [R]: pID of rows of sighting, 1 of those of marking."""
        identified = np.ones(len(self.rows))
        identified[self.is_sighting] = values["pID"]
        return identified

    def compose(self, sum_log_a: float, detected: float, total: float, n: int) -> Composed:
        """See the head of the file."""
        if self.marked is None:
            return super().compose(sum_log_a, detected, total, n)
        if self.marked == "unknown":
            return Composed(sum_log_a - n * np.log(detected) + gammaln(n + 1.0), -n / detected)
        n0, missed = int(self.marked), total - detected
        loglik = gammaln(n0 + 1.0) - gammaln(n0 - n + 1.0) + sum_log_a - n * np.log(total)
        loglik += (n0 - n) * np.log(missed / total)
        return Composed(
            float(loglik), -(n0 - n) / missed, (n0 - n) * (1.0 / missed - 1.0 / total) - n / total, (0.0, 0.0, 0.0)
        )

    def seen(self, values, total: float, detected: float) -> Seen:
        """The sightings that nobody can name, at the values."""
        assert self.sighted is not None
        return self.sighted.evaluate(*self.sighted_input(values), self.share(total, detected))

    def sighted_input(self, values) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """mu [M], natural-scale rows [C, R, 3] of the C classes, pID of each at each place, and their proportions."""
        assert self.sighted is not None
        C = len(self.parts)
        mu = np.exp(self.kernel_input(values)[0])
        rows = Session.detection_rows(self, values).value.reshape(C, -1, 3)
        identified = self._identified(values).reshape(C, -1)[:, self.sighted.sighting.row]
        return mu, rows, identified, self.proportions(values).value

    def share(self, total: float, detected: float) -> float | None:
        """The marked share of all animals, where it does not depend on where they live."""
        if self.marked is None:
            return None
        return min(1.0, self.captures.n_animals / detected if self.marked == "unknown" else int(self.marked) / total)

    def at(self, values) -> tuple[float, float]:
        """∫ D dx, and the expected number of animals in the data, at the values."""
        log_mu, rows = self.kernel_input(values)
        ats = [part.engine.evaluate(log_mu, rows[part.rows], False) for part in self.parts]
        return ats[0].total, float(super()._mixed(ats, values).detected[0])

    def scatter(self, values) -> tuple[np.ndarray, np.ndarray]:
        """See `Sighted.scatter`."""
        assert self.sighted is not None
        return self.sighted.scatter(*self.sighted_input(values), self.share(*self.at(values)))

    def _mixed(self, ats: Sequence, values):
        mixed, total = super()._mixed(ats, values), ats[0].total
        seen, c = self.seen(values, total, mixed.detected[0]), mixed.composed[0]
        by_detected, by_total = 0.0, 0.0
        if self.marked == "unknown":
            by_detected = -seen.by_marked * self.captures.n_animals / mixed.detected[0] ** 2
        elif self.marked is not None:
            by_total = -seen.by_marked * int(self.marked) / total**2
        whole = Composed(c.loglik + seen.loglik, c.by_detected + by_detected, c.by_total + by_total)
        return replace(mixed, composed=[whole])

    def _adjoints(self, values, log_mu, ats, mixed, collared=None):
        adjoints, d_log_mu, d_rows = super()._adjoints(values, log_mu, ats, mixed, collared)
        seen, mu, D = self.seen(values, ats[0].total, mixed.detected[0]), np.exp(log_mu), values["D"]
        adjoints["D"] = adjoints["D"] + np.divide(seen.by_mu * mu, D, out=np.zeros_like(mu), where=D > 0)
        by_rows = seen.by_rows.reshape(-1, 3)
        for j, name in enumerate(self.detection.parameters):
            adjoints[name] = adjoints[name] + by_rows[:, j]
        assert self.sighted is not None
        row, size = self.sighted.sighting.row, len(self.rows) // len(self.parts)
        by_row = np.concatenate([np.bincount(row, by, minlength=size) for by in seen.by_identified])
        adjoints["pID"] = adjoints["pID"] + by_row[self.is_sighting]
        if self.classes is not None:
            adjoints["pmix"] = adjoints["pmix"] + seen.by_share @ mixed.proportions.first
        return adjoints, d_log_mu + seen.by_mu * mu, d_rows

    def with_sightings(self, marking, sightings: Sightings, marked, entry, c_hat, threads) -> MarkedSession:
        """The session with its sightings; arguments as of `MarkResight`."""
        methods = list(self.methods)
        before = methods[:1] if marking is not None else []
        rows = np.cumsum([0] + [len(m.arranged.rows) for m in methods])
        is_sighting = np.tile(np.arange(rows[-1]) >= rows[len(before)], len(self.parts))
        sighted = _sighted(self, methods, rows, sightings, len(before), c_hat)
        parts = self.parts
        if before and entry == "marking":
            block, exposed = _known(self, methods)
            first = len(before[0].arranged.problem.pass_x)
            problems = [_after_marking(p.problem, first, block, exposed[p.animals]) for p in parts]
            parts = tuple(
                replace(part, problem=problem, engine=SpatialLikelihood(problem, threads))
                for part, problem in zip(parts, problems, strict=True)
            )
        return replace(self, parts=parts, sighted=sighted, is_sighting=is_sighting, marked=marked)


def after_marking(marking: CaptureHistory | None, sightings: Sightings) -> np.ndarray:
    """int [S]: marking occasions before each sighting occasion."""
    S = sightings.n_occasions
    if marking is None:
        return np.zeros(S, int)
    after = np.full(S, marking.n_occasions) if sightings.after is None else np.asarray(sightings.after)
    if (after > marking.n_occasions).any():
        raise refuse(f"there are {marking.n_occasions} marking occasions", "Correct after=", value=int(after.max()))
    return after


def joint(marking: CaptureHistory | None, sightings: Sightings) -> CaptureHistory:
    """Marking and the blocks of sighting occasions as methods of one session."""
    seen = sightings.captures
    if marking is None:
        return replace(seen, detectors=_with_phase(seen.detectors, SIGHTING))
    after = after_marking(marking, sightings)
    methods = {MARKING: replace(marking, detectors=_with_phase(marking.detectors, MARKING), telemetry=None)}
    for block in np.unique(after):
        whole = (after == marking.n_occasions).all()
        name = SIGHTING if whole else f"{SIGHTING} after {block} marking occasions"
        methods[name] = _block(seen, np.flatnonzero(after == block))
    return together(methods, session=marking.session)


def _block(seen: CaptureHistory, occasions: np.ndarray) -> CaptureHistory:
    """The identified sightings of some occasions (from 0), numbered anew."""
    part = seen.of_occasions(occasions + 1)
    return replace(part, detectors=_with_phase(part.detectors, SIGHTING), telemetry=None)


def _with_phase(detectors, phase: str):
    covariates = pd.DataFrame({str(c): v for c, v in detectors.covariates.items()}, index=range(len(detectors)))
    return replace(detectors, covariates=covariates.assign(phase=phase))


def _after_marking(problem: SpatialProblem, first: int, block_of_pass, exposed: np.ndarray) -> SpatialProblem:
    """The problem in which passes from `first` on, those of sighting, are fields that only marked animals meet.

    block_of_pass, exposed : see `_known`
    """
    sighting = problem.entry_pass >= first
    F, blocks = problem.n_fields, exposed.shape[1]
    field = np.where(sighting, F + block_of_pass[problem.entry_pass], problem.entry_field)
    order = np.argsort(field, kind="stable")
    used, compact = np.unique(field[order], return_inverse=True)
    void = np.concatenate([problem.void_weight, np.zeros(blocks)])[used]
    weight = np.hstack([problem.weight, exposed])[:, used]
    renamed = np.full(F + blocks, -1)
    renamed[used] = np.arange(len(used))
    event_field = np.where(problem.event_field < 0, -1, renamed[problem.event_field])
    return replace(
        problem,
        entry_field=compact.reshape(-1),
        entry_pass=problem.entry_pass[order],
        entry_exposure=problem.entry_exposure[order],
        void_weight=void,
        weight=weight,
        event_field=event_field,
    )


def _known(session: Session, methods) -> tuple[np.ndarray, np.ndarray]:
    """Block of sighting of every pass, and float [n, B]: 1 where an animal was marked before a block."""
    passes = [len(m.arranged.problem.pass_x) for m in methods]
    block = np.repeat(np.arange(len(methods)) - 1, passes)
    marking = methods[0].captures
    first = marking.detections.groupby("animal")["occasion"].min().reindex(session.captures.animals.index)
    after = [_of_block(m.name, marking.n_occasions) for m in methods[1:]]
    return block, (first.to_numpy()[:, None] <= np.array(after)[None, :]).astype(float)


def _of_block(name: str, everything: int) -> int:
    """Marking occasions before a block of sighting, from its name."""
    return everything if name == SIGHTING else int(name.split()[2])


def _sighted(session: Session, methods, rows, sightings: Sightings, n_marking: int, c_hat) -> Sighted:
    """The sightings that nobody can name, arranged."""
    seen = sightings.captures.detectors
    blocks = methods[n_marking:]
    marking = methods[0].captures if n_marking else None
    after = after_marking(marking, sightings)
    before, places = np.zeros((len(blocks), 0)), Places(np.empty(0), np.empty(0), np.empty(0, int))
    if marking is not None:
        s, k, row = _used(methods[0], rows[0])
        pair, place = np.unique(np.stack([k, row]), axis=1, return_inverse=True)
        before, d = np.zeros((len(blocks), pair.shape[1])), marking.detectors
        for b, m in enumerate(blocks):
            inside = s < _of_block(m.name, marking.n_occasions)
            np.add.at(before[b], place.reshape(-1)[inside], d.effort[s, k][inside])
        places = Places(d.x[pair[0]], d.y[pair[0]], pair[1])
    parts = []
    for b, m in enumerate(blocks):
        s, k, row = _used(m, rows[n_marking + b])
        own = np.flatnonzero(after == np.unique(after)[b])
        parts.append(pd.DataFrame({"block": b, "s": own[s], "k": k, "row": row, "effort": seen.effort[own[s], k]}))
    cells = pd.concat(parts, ignore_index=True)
    binary = seen.kind == "proximity"
    tables = {name: getattr(sightings, name) for name in ("unmarked", "unidentified")}
    for name, table in tables.items():
        counts = np.zeros(len(cells)) if table is None else table[cells["s"], cells["k"]]
        cells[name] = np.minimum(counts, 1.0) if binary else counts
    cells["times"] = 1.0
    cells["place"] = cells.groupby(["k", "row"], sort=True).ngroup()
    where = cells.drop_duplicates("place").sort_values("place")
    summed = cells.groupby(["block", "place", "effort"], sort=True)[["unmarked", "unidentified", "times"]].sum()
    summed = summed.reset_index()
    x, y = session.mask.centres()
    recorded = {name: summed[name].to_numpy(float) if t is not None else None for name, t in tables.items()}
    return Sighted(
        session.detection,
        x,
        y,
        places,
        before,
        Places(seen.x[where["k"]], seen.y[where["k"]], where["row"].to_numpy()),
        summed["block"].to_numpy(),
        summed["place"].to_numpy(),
        summed["effort"].to_numpy(float),
        summed["times"].to_numpy(float),
        recorded["unmarked"],
        recorded["unidentified"],
        binary,
        0.0 if binary else poisson_constant(sightings.unmarked, sightings.unidentified),
        c_hat,
    )


def _used(method, first_row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Occasion, detector and parameter row wherever a method had effort."""
    d, code = method.captures.detectors, method.arranged.code
    s, k = np.nonzero(d.used)
    codes = np.unique(code[s, k])
    return s, k, first_row + np.searchsorted(codes, code[s, k])
