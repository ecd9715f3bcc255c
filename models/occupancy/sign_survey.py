"""Sign along trails: correlated replicates (Hines et al. 2010, Ecol. Appl. 20:1456).

At an occupied site the species uses a segment of a trail more likely when it used the segment before it. A detection
history along a trail is then a hidden Markov chain, and ordinary occupancy is biased. Over several seasons the trails
of each season lie on top of dynamic occupancy (Hines et al. 2014, Methods Ecol. Evol. 5:583).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ...survey.detections import DetectionHistory
from ...survey.errors import Problems
from .chains import Passed, pull_two_state, run_chains, two_state
from .delta import mean_of
from .history_model import Symbol, check_detections
from .seasons import STATE_SYMBOLS, SeasonalOccupancy, state_formulas, state_start
from .single_season import naive_start
from .visits import Detections, detections_by_season


class SignSurvey(SeasonalOccupancy):
    """Occupied with psi; on a trail at an occupied site a segment is used with theta0 after an unused segment and with
    theta1 after a used one; sign is found on a used segment with p. Several seasons add gamma and epsilon.

    Parameters
    ----------
    history : DetectionHistory of one or more seasons, values 0 and 1. `trail` (optional) names the trails of a site,
        `visit` numbers the segments of a trail in order and without gaps: a segment that was not walked has a missing
        value
    psi : formula over site covariates, occupancy (of the first season)
    theta0, theta1 : formulas over covariates of segments, seasons and sites, or numbers, which fix them
    p : likewise
    theta_initial : "stationary" (a trail's first segment is used as often as any, theta0 / (theta0 + 1 - theta1));
        or a formula over the covariates of first segments, or a number: the probability that the segment before the
        first was used
    gamma, epsilon : colonisation and local extinction between seasons, see `DynamicOccupancy`
    exposure : True takes p per unit of effort (e.g. km of a segment), 1 - (1 - p)^effort

    Notes
    -----
    theta0 = theta1 = 1 is ordinary occupancy with segments as visits. Five segments or fewer hardly separate theta0
    and theta1 from p.

    Raises
    ------
    SurveyError : nothing was found, values above 1, segments with gaps, a wrong formula or name
    """

    symbols = (
        *STATE_SYMBOLS[:3],
        Symbol("theta0", "segment", "probability that a segment is used when the one before was not"),
        Symbol("theta1", "segment", "probability that a segment is used when the one before was"),
        Symbol("theta_initial", "trail", "probability that the segment before a trail's first was used"),
        Symbol("p", "visit", "probability of finding sign on a used segment"),
    )

    def __init__(
        self,
        history: DetectionHistory,
        psi: str | float = "~ 1",
        theta0: str | float = "~ 1",
        theta1: str | float = "~ 1",
        p: str | float = "~ 1",
        *,
        theta_initial: str | float = "stationary",
        gamma: str | float = "~ 1",
        epsilon: str | float = "~ 1",
        exposure: bool = False,
        links: Mapping[str, str] | None = None,
    ):
        check_detections(history)
        self.trail_of, self.starts_of_trails = _trails(history)
        first = self.starts_of_trails[:-1]
        self.group_of_trail = history.site_of[first] * history.n_seasons + history.season_of[first]
        done = np.flatnonzero(history.done)
        effort = history.effort[done] if exposure else None
        self.segments = Detections(done, len(history.value), history.value[done], effort)
        self.visits = detections_by_season(history, exposure)
        self.certain = self.visits.any
        formulas = {"theta0": theta0, "theta1": theta1, "theta_initial": theta_initial, "p": p}
        self.stationary = theta_initial == "stationary"
        if self.stationary:
            del formulas["theta_initial"]
        super().__init__(history, state_formulas(history, psi, gamma, epsilon) | formulas, links)

    def frame(self, symbol):
        if symbol.rows == "segment":
            return self.history.visit_frame(np.ones(len(self.history.value), bool))
        if symbol.rows == "trail":
            first = np.zeros(len(self.history.value), bool)
            first[self.starts_of_trails[:-1]] = True
            return self.history.visit_frame(first)
        return super().frame(symbol)

    # ---- likelihood -----------------------------------------------------------------------------------------

    def _first_use(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Probability [trails] that the first segment is used, at an occupied site."""
        off, on = (values[name][self.starts_of_trails[:-1]] for name in ("theta0", "theta1"))
        if self.stationary:
            return off / (off + 1.0 - on)
        return values["theta_initial"] * on + (1.0 - values["theta_initial"]) * off

    def _pull_first_use(self, values: Mapping[str, np.ndarray], by_use: np.ndarray) -> dict[str, np.ndarray]:
        """Derivatives [trails] with respect to theta0 and theta1 of first segments, and theta_initial."""
        off, on = (values[name][self.starts_of_trails[:-1]] for name in ("theta0", "theta1"))
        if self.stationary:
            whole = (off + 1.0 - on) ** 2
            return {"theta0": by_use * (1.0 - on) / whole, "theta1": by_use * off / whole}
        before = values["theta_initial"]
        return {"theta0": by_use * (1.0 - before), "theta1": by_use * before, "theta_initial": by_use * (on - off)}

    def _trails_passed(self, values: Mapping[str, np.ndarray], gradient: bool) -> Passed:
        """The trails where the site is occupied."""
        use = self._first_use(values)
        emission = np.stack([self.segments.present(values["p"]), self.segments.absent()], axis=1)
        transition = two_state(values["theta0"], 1.0 - values["theta1"])
        return run_chains(np.stack([use, 1.0 - use], axis=1), transition, emission, self.starts_of_trails, gradient)

    def found(self, values, gradient):
        trails = self._trails_passed(values, gradient)
        present = np.bincount(self.group_of_trail, weights=trails.total, minlength=len(self.certain))
        pull = lambda by: self._pull_trails(values, trails, by[:, 0])  # noqa: E731
        return np.stack([present, self.visits.absent()], axis=1), pull

    def _pull_trails(self, values: Mapping[str, np.ndarray], trails: Passed, occupied: np.ndarray):
        """Derivatives of theta0, theta1, theta_initial and p, from the probabilities [N·T] of occupancy."""
        on_trail = occupied[self.group_of_trail]
        on_segment, first = on_trail[self.trail_of], self.starts_of_trails[:-1]
        theta0, loss = pull_two_state(trails.by_transition * on_segment[:, None, None])
        theta1 = -loss
        begin = self._pull_first_use(values, on_trail * (trails.by_initial[:, 0] - trails.by_initial[:, 1]))
        theta0[first] += begin.pop("theta0")
        theta1[first] += begin.pop("theta1")
        p = self.segments.pull_p(values["p"], on_segment * trails.posterior[:, 0])
        return {"theta0": theta0, "theta1": theta1, "p": p} | begin

    def start_values(self):
        naive = naive_start(self.visits, np.bincount(self.visits.group, minlength=len(self.certain)) > 0)
        seen = np.nan_to_num(self.history.value) > 0
        after = seen[:-1] & (self.trail_of[1:] == self.trail_of[:-1]) & self.history.done[1:]
        again = (seen[1:][after].sum() + 0.5) / (after.sum() + 1.0)  # how often a find follows a find: theta1 · p
        p = min(0.9, max(naive["p"], np.sqrt(again)))
        use = min(0.8, max(0.05, naive["p"] / p))
        theta1 = min(0.9, max(use, again / p))
        return state_start(self.history, naive["psi"]) | {
            "p": p,
            "theta1": theta1,
            "theta0": min(theta1, use * (1.0 - theta1) / (1.0 - use)),  # stationary use is `use`
            "theta_initial": use,
        }

    # ---- what follows ---------------------------------------------------------------------------------------

    def segment_use(self, vector: np.ndarray) -> pd.DataFrame:
        """Probability that each segment was used, given everything found at its site; exactly 1 where found."""
        trails = self._trails_passed(self.parameters.values(vector), True)
        use = self.occupied(vector)[self.group_of_trail][self.trail_of] * trails.posterior[:, 0]
        keys = [key for key in ("site", "season", "trail", "visit") if key in self.history.visits]
        found = self.history.done & (np.nan_to_num(self.history.value) > 0)
        return self.history.visits[keys].assign(used=np.where(found, 1.0, np.minimum(use, 1.0)))

    def more_rows(self, fit, interval):
        over = f"mean over {len(self.history.value)} segments"
        return [
            mean_of(fit, "use after an unused segment", over, "theta0", interval),
            mean_of(fit, "use after a used segment", over, "theta1", interval),
            mean_of(fit, "detection", f"mean over {len(self.segments.seen)} segments walked", "p", interval),
        ]

    def _along(self, first: np.ndarray, step) -> np.ndarray:
        """Values [R] over segments: `first` on first segments, then step(rows, of the segments before them)."""
        along = np.empty(len(self.history.value), first.dtype)
        along[self.starts_of_trails[:-1]] = first
        place = np.arange(len(along)) - self.starts_of_trails[self.trail_of]
        order = np.argsort(place, kind="stable")
        for rows in np.split(order, np.cumsum(np.bincount(place)))[1:-1]:
            along[rows] = step(rows, along[rows - 1])
        return along

    def fitted(self, values):
        theta0, theta1 = values["theta0"], values["theta1"]
        use = self._along(self._first_use(values), lambda r, before: before * theta1[r] + (1.0 - before) * theta0[r])
        occupied = self.projected_at(values).ravel()[self.group_of_trail][self.trail_of]
        return (occupied * use)[self.history.done] * self.segments.probability(values["p"])

    def _draw(self, values, rng):
        occupied = self.draw_states(values, rng)[self.group_of_trail]
        u, theta0, theta1 = rng.uniform(size=len(self.history.value)), values["theta0"], values["theta1"]
        first = u[self.starts_of_trails[:-1]] < self._first_use(values)
        used = self._along(first, lambda r, before: u[r] < np.where(before, theta1[r], theta0[r]))
        there = (used & occupied[self.trail_of])[self.history.done]
        return there & (rng.uniform(size=len(there)) < self.segments.probability(values["p"]))


def _trails(history: DetectionHistory) -> tuple[np.ndarray, np.ndarray]:
    """Trail of each segment [R], and where trails start [trails + 1]; segments are in order already."""
    visits, bad = history.visits, Problems()
    if "method" in visits:
        bad.add("a segment cannot have several methods", "Drop the column 'method'; use another name for a covariate")
    keys = [key for key in ("site", "season", "trail") if key in visits and (key != "season" or history.n_seasons > 1)]
    new = (visits[keys] != visits[keys].shift()).any(axis=1).to_numpy()
    number = pd.to_numeric(visits["visit"], errors="coerce").to_numpy(float)
    gap = np.flatnonzero(~new & (np.diff(number, prepend=np.nan) != 1.0))
    for r in gap[:20]:
        where = ", ".join(f"{key} {str(visits[key].iloc[r])!r}" for key in keys)
        bad.add(
            f"the segments are not numbered one after the other at {where}",
            "Number them in walking order; give a segment that was not walked a missing value",
            value=visits["visit"].iloc[r],
        )
    bad.raise_any()
    return np.cumsum(new) - 1, np.append(np.flatnonzero(new), len(visits)).astype(np.int64)
