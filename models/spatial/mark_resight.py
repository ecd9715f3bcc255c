"""Mark-resight: animals marked on some occasions, marked and unmarked ones sighted on others (Efford & Hunter 2018).

The histories of marked animals are those of `SCR` with two methods, marking and sighting, but for three things:

- an animal is in the data once it was marked, so that a. = ∫ D p.(x) dx is over the marking occasions alone, and only
  occasions after its first marking say that it was not sighted;
- a sighted animal is identified with probability pID, so that the intercept of identified sightings is pID × that of
  sightings;
- sightings of unmarked, and of marked but unidentified animals add the pseudo-likelihood of `sighted`.

Where marking was not recorded ("sighting only"), the marked animals are taken for a random sample of the animals in the
habitat. With n0 of them, known,

    L = n0!/(n0 − n)! Π_i (A_i/N) (1 − a./N)^(n0 − n),         A_i, a. over sightings, N = ∫ D dx

and with an unknown number the conditional likelihood Π A_i/a., n0 being n N/a. in the numbers expected to be sighted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import gammaln

from ...survey.captures import CaptureHistory
from ...survey.errors import refuse
from ...survey.habitat import HabitatMask
from ...survey.sightings import Sightings
from ...survey.together import together
from ..design import formula_variables
from ..verdict import Outcome, Remark
from .arguments import one_of
from .composition import Composed
from .engine import SpatialLikelihood
from .learned import LEARNED
from .problem import SpatialProblem
from .rows import EngineRows
from .scr import SCR
from .session import Session
from .sighted import Places, Seen, Sighted, poisson_constant
from .starts import methods_apart, starting_values

MARKING, SIGHTING = "marking", "sighting"


@dataclass(frozen=True, eq=False)
class MarkedSession(Session):
    """A session of marking and sighting."""

    sighted: Sighted | None = None
    is_sighting: np.ndarray | None = None  # bool [R], rows of sighting
    marked: int | str | None = None  # sighting only: number of marked animals, or "unknown"; None: marking is modelled

    def detection_rows(self, values: Mapping[str, np.ndarray]) -> EngineRows:
        """rows [R, 3]: the intercept of sightings times pID."""
        natural = Session.detection_rows(self, values)
        assert self.is_sighting is not None
        identified = np.ones(len(self.rows))
        identified[self.is_sighting] = values["pID"]
        value, slope = natural.value.copy(), np.zeros((len(self.rows), 3))
        value[:, 0] *= identified
        slope[:, 0] = identified
        return EngineRows(value, slope, np.zeros((len(value), 3, 3)))

    def by_detection(self, values, d_rows: np.ndarray) -> dict[str, np.ndarray]:
        """Derivatives by detection parameters and pID from those by the engine's rows."""
        scale = Session.detection_rows(self, values).value[:, 0]
        by = {"pID": (d_rows[:, 0] * scale)[self.is_sighting]}
        return super().by_detection(values, d_rows) | by

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

    def sighted_input(self, values) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """mu [M], natural-scale rows [R, 3] and pID at each place of sighting."""
        assert self.sighted is not None and self.is_sighting is not None
        identified = np.ones(len(self.rows))
        identified[self.is_sighting] = values["pID"]
        mu = np.exp(self.kernel_input(values)[0])
        return mu, Session.detection_rows(self, values).value, identified[self.sighted.sighting.row]

    def share(self, total: float, detected: float) -> float | None:
        """The marked share of all animals, where it does not depend on where they live."""
        if self.marked is None:
            return None
        return min(1.0, self.captures.n_animals / detected if self.marked == "unknown" else int(self.marked) / total)

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

    def _adjoints(self, values, log_mu, ats, mixed):
        adjoints, d_log_mu, d_rows = super()._adjoints(values, log_mu, ats, mixed)
        seen, mu, D = self.seen(values, ats[0].total, mixed.detected[0]), np.exp(log_mu), values["D"]
        adjoints["D"] = adjoints["D"] + np.divide(seen.by_mu * mu, D, out=np.zeros_like(mu), where=D > 0)
        for j, name in enumerate(self.detection.parameters):
            adjoints[name] = adjoints[name] + seen.by_rows[:, j]
        assert self.sighted is not None
        by_row = np.bincount(self.sighted.sighting.row, seen.by_identified, minlength=len(self.rows))
        adjoints["pID"] = adjoints["pID"] + by_row[self.is_sighting]
        return adjoints, d_log_mu + seen.by_mu * mu, d_rows


class MarkResight(SCR):
    """Spatial mark-resight of a closed population, one session (Efford & Hunter 2018, Biometrics 74:411).

    Parameters
    ----------
    marking : CaptureHistory of the marking occasions (and recaptures on them), by point detectors of any kind; None
        where marking was not recorded: then the marked animals are taken for a random sample of those in the mask
    sightings : survey.Sightings: identified, unmarked and unidentified sightings
    mask : HabitatMask
    D, lambda0, g0, sigma, z, w : formulas as for `SCR`; `phase` is a factor of "marking" and "sighting". Traps catch as
        well as cameras see only by chance: g0 = "~ phase" is a good first choice. No learned responses
    pID : formula over covariates of sighting, or a number, of the proportion of sightings of marked animals that are
        identified
    marked : where marking was not recorded: the number of marked animals in the mask, sighted or not; "unknown"
    detection : name of a detection function
    entry : "marking", or "any occasion", as if an animal that was sighted came into the data unmarked; program secr 5.4
        computes the latter, which makes density too low where few animals are marked. For comparison with it
    c_hat : overdispersion of the sightings of unmarked and of unidentified animals, see `adjusted`
    links, threads : as for `SCR`

    Raises
    ------
    SurveyError : an animal that was sighted before it was marked, losses on capture, learned responses, …
    """

    def __init__(
        self,
        marking: CaptureHistory | None,
        sightings: Sightings,
        mask: HabitatMask,
        D: str = "~ 1",
        lambda0: str | float | None = None,
        g0: str | float | None = None,
        sigma: str | float = "~ 1",
        z: str | float | None = None,
        w: str | float | None = None,
        *,
        pID: str | float = "~ 1",
        marked: int | str | None = None,
        detection: str = "half-normal",
        entry: str = "marking",
        c_hat: tuple[float, float] = (1.0, 1.0),
        links: Mapping[str, str] | None = None,
        threads: int | None = None,
    ):
        one_of("entry", entry, ("marking", "any occasion"))
        _check(marking, sightings, marked)
        self.marking, self.sightings, self.marked = marking, sightings, marked
        self.pID, self.entry, self.c_hat = pID, entry, (float(c_hat[0]), float(c_hat[1]))
        shape = {"lambda0": lambda0, "g0": g0, "sigma": sigma, "z": z, "w": w}
        links = dict(links or {})
        if not isinstance(pID, str):  # 1 is possible, and has no logit
            links["pID"] = "identity"
            if not 0.0 < pID <= 1.0:
                raise refuse("pID must be above 0 and at most 1", "Correct the value at which it is fixed", value=pID)
        joint = _joint(marking, sightings)
        super().__init__(joint, mask, D, **shape, detection=detection, links=links, threads=threads)

    def _arrange(self, captures, masks) -> tuple[Session, ...]:
        for name in sorted(self._variables & set(LEARNED)):
            raise refuse("mark-resight models know no learned responses", "Use ~ phase", value=name)
        self.formulas["pID"] = self.pID
        whole = MarkedSession.of(
            captures[0],
            masks[0],
            self.detection,
            self._variables,
            composition="poisson",
            counts="poisson",
            threads=self.threads,
            extra={},
        )
        assert isinstance(whole, MarkedSession)
        methods = list(whole.methods)
        marking = methods[:1] if self.marking is not None else []
        rows = np.cumsum([0] + [len(m.arranged.rows) for m in methods])
        is_sighting = np.arange(len(whole.rows)) >= rows[len(marking)]
        sighted = _sighted(whole, methods, rows, self.sightings, len(marking), self.c_hat)
        problem = whole.parts[0].problem
        if marking and self.entry == "marking":
            problem = _after_marking(problem, len(marking[0].arranged.problem.pass_x), _known(whole, methods))
        part = replace(whole.parts[0], problem=problem, engine=SpatialLikelihood(problem, self.threads))
        return (replace(whole, parts=(part,), sighted=sighted, is_sighting=is_sighting, marked=self.marked),)

    @property
    def _variables(self) -> set[str]:
        own = formula_variables(self.pID) if isinstance(self.pID, str) else set()
        return super()._variables | own

    def _more_frames(self) -> dict[str, pd.DataFrame]:
        session = self.sessions[0]
        assert isinstance(session, MarkedSession)
        return {"pID": self.rows[session.is_sighting].reset_index(drop=True)}

    def values_of(self, values, session):
        own = {name: v for name, v in values.items() if name != "pID"}
        return super().values_of(own, session) | {"pID": values["pID"]}

    def hessian(self, vector: np.ndarray) -> None:
        """None: the optimiser takes differences of the exact gradient."""
        return None

    def start(self) -> np.ndarray:
        fixed = {p.name: p.fixed for p in self.parameters if p.fixed is not None}
        known, others = self.sightings.totals["identified"], self.sightings.totals.get("unidentified", 0)
        values = starting_values(self, fixed)
        values.setdefault("pID", (known + 1.0) / (known + others + 2.0))
        if self.marked is not None:
            values["D"] = fixed.get("D", self._start_of_density())
        return methods_apart(self, self.parameters.start(values))

    def _start_of_density(self) -> float:
        """Marked animals are to all animals as their sightings are to all sightings (Lincoln 1930)."""
        totals = self.sightings.totals
        of_marked = totals["identified"] + totals.get("unidentified", 0)
        n0 = self.captures.n_animals if self.marked in (None, "unknown") else int(self.marked)
        return 100.0 * n0 * (1.0 + totals.get("unmarked", 0) / max(of_marked, 1)) / self.mask.area

    def overdispersion(self, fit) -> tuple[float, float]:
        """ĉ of the total numbers of unmarked and of unidentified sightings at a fit (`spatial.sighted`)."""
        session = self.sessions[0]
        assert isinstance(session, MarkedSession) and session.sighted is not None
        values = fit.values_of(session)
        log_mu, rows = session.kernel_input(values)
        at = session.parts[0].engine.evaluate(log_mu, rows, False)
        return session.sighted.overdispersion(*session.sighted_input(values), session.share(at.total, at.detected))

    def adjusted(self, fit) -> MarkResight:
        """The same model, to fit again, with the likelihood of sightings divided by its overdispersion at a fit."""
        return self._with(c_hat=self.overdispersion(fit))

    def not_comparable(self, other) -> str:
        if not isinstance(other, MarkResight):
            return "they are different kinds of model"
        if not self.sightings.equals(other.sightings):
            return "they are of different sightings"
        if (self.marked, self.entry, self.c_hat) != (other.marked, other.entry, other.c_hat):
            return "they treat marked animals or overdispersion differently"
        return super().not_comparable(other)

    def data_lines(self) -> list[str]:
        marking = [] if self.marking is None else [f"Marking: {self.marking!r}"]
        number = [] if self.marked is None else [f"Marked animals in the habitat: {self.marked}"]
        return [*marking, repr(self.sightings), *number, repr(self.mask)]

    def remarks(self, fit):
        from .checks import remarks

        found = remarks(fit, ghosts=False)
        if self.c_hat == (1.0, 1.0) and {"unmarked", "unidentified"} & set(self.sightings.totals):
            words = (
                "Sightings of one animal that nobody can name are taken for those of different animals: standard "
                "errors are too small. model.adjusted(fit).fit() allows for it"
            )
            found = (*found, Remark(Outcome.APPROXIMATE, words))
        return found

    def simulate(self, values: Mapping[str, object], seed: int, centres: pd.DataFrame | None = None) -> Any:
        """(marking, sightings) from the model at natural-scale values; see `SCR.simulate`.

        Sightings of animals are drawn as at detectors of their kind, and each is identified with probability pID.
        """
        from .simulate_marked import simulate_marked

        return simulate_marked(self, values, seed, centres)

    def on(self, captures) -> MarkResight:
        """The same model of other data: (marking, sightings)."""
        return self._with(data=captures)

    def _with(self, captures=None, formulas=None, data=None, **changes) -> MarkResight:
        marking, sightings = data or captures or (self.marking, self.sightings)
        arguments = {**(formulas or self.formulas), **self._options(), **changes}
        return MarkResight(marking, sightings, self.mask, **arguments)

    def _options(self) -> dict:
        names = ("marked", "entry", "c_hat", "links", "threads")
        return {"detection": self.detection.name} | {name: getattr(self, name) for name in names}

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self.marking, self.sightings, self.mask, self.formulas | self._options())

    def __repr__(self) -> str:
        formulas = ", ".join(f"{n} {f}" if isinstance(f, str) else f"{n} = {f:g}" for n, f in self.formulas.items())
        return f"MarkResight({formulas}; {self.detection.name})"


def _rebuilt(marking, sightings, mask, arguments) -> MarkResight:
    return MarkResight(marking, sightings, mask, **arguments)


def _check(marking: CaptureHistory | None, sightings: Sightings, marked) -> None:
    """The data and what is said of them go together."""
    if not isinstance(sightings, Sightings):
        fix = "Write models.MarkResight(marking, sightings, mask)"
        raise refuse("MarkResight takes marking, sightings and a habitat mask", fix, value=type(sightings).__name__)
    if marking is None:
        n = sightings.captures.n_animals
        whole = isinstance(marked, (int, np.integer)) and not isinstance(marked, bool)
        if not (marked == "unknown" or (whole and marked >= n)):
            raise refuse(
                f"without marking occasions the number of marked animals must be said, {n} or more",
                "Give marked= their number in the habitat, or 'unknown'",
                value=marked,
            )
        if sightings.unmarked is None:
            fix = "Give Sightings(…, unmarked=…)"
            raise refuse("without marking occasions density is known only from unmarked animals", fix)
        return
    if marked is not None:
        what = "marking is modelled, and the number of marked animals given too"
        raise refuse(what, "Leave marked= out", value=marked)
    for c in (marking, sightings.captures):
        gone = c.detections.loc[c.detections["removed"], "animal"]
        if len(gone):
            fix = "Leave the animal's last capture out, or the animal"
            raise refuse("losses on capture are not known to mark-resight models", fix, value=gone.iloc[0])
    first = marking.detections.groupby("animal")["occasion"].min()
    frame, after = sightings.captures.detections, after_marking(marking, sightings)
    for animal, occasion in zip(frame["animal"], frame["occasion"], strict=True):
        if not first.get(animal, np.inf) <= after[occasion - 1]:
            raise refuse(
                f"animal {animal!r} was identified on sighting occasion {occasion} and not marked before",
                "Correct its name, or count the sighting as one of an unmarked animal",
                value=animal,
            )


def after_marking(marking: CaptureHistory | None, sightings: Sightings) -> np.ndarray:
    """int [S]: marking occasions before each sighting occasion."""
    S = sightings.n_occasions
    if marking is None:
        return np.zeros(S, int)
    after = np.full(S, marking.n_occasions) if sightings.after is None else np.asarray(sightings.after)
    if (after > marking.n_occasions).any():
        raise refuse(f"there are {marking.n_occasions} marking occasions", "Correct after=", value=int(after.max()))
    return after


def _joint(marking: CaptureHistory | None, sightings: Sightings) -> CaptureHistory:
    """Marking and the blocks of sighting occasions as methods of one session."""
    seen = sightings.captures
    if marking is None:
        return replace(seen, detectors=_with_phase(seen.detectors, SIGHTING))
    after = after_marking(marking, sightings)
    methods = {MARKING: replace(marking, detectors=_with_phase(marking.detectors, MARKING), telemetry=None)}
    for block in np.unique(after):
        name = SIGHTING if len(set(after)) == 1 else f"{SIGHTING} after {block} marking occasions"
        methods[name] = _block(seen, np.flatnonzero(after == block))
    return together(methods, session=marking.session)


def _block(seen: CaptureHistory, occasions: np.ndarray) -> CaptureHistory:
    """The identified sightings of some occasions (from 0), numbered anew."""
    d, frame = seen.detectors, seen.detections
    number = pd.Series(np.arange(1, len(occasions) + 1), index=occasions + 1)
    varying = {name: values[occasions] for name, values in d.varying.items()}
    detectors = _with_phase(replace(d, effort=d.effort[occasions], varying=varying), SIGHTING)
    frame = frame[frame["occasion"].isin(number.index)]
    dates = seen.occasions.iloc[occasions].reset_index(drop=True) if len(seen.occasions.columns) else seen.occasions
    return CaptureHistory(
        frame.assign(occasion=frame["occasion"].map(number)), detectors, seen.animals, dates, seen.session
    )


def _with_phase(detectors, phase: str):
    covariates = pd.DataFrame({str(c): v for c, v in detectors.covariates.items()}, index=range(len(detectors)))
    return replace(detectors, covariates=covariates.assign(phase=phase))


def _after_marking(problem: SpatialProblem, first: int, known: np.ndarray) -> SpatialProblem:
    """The problem in which passes from `first` on, those of sighting, are fields that only marked animals meet.

    known : float [n, F2, …] exposure of each animal to the blocks, see `_known`
    """
    block_of_pass, exposed = known
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
