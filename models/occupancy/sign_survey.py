"""Sign along trails: correlated replicates (Hines et al. 2010, Ecol. Appl. 20:1456).

At an occupied site the species uses a segment of a trail more likely when it used the segment before it. A detection
history along a trail is then a hidden Markov chain, and ordinary occupancy is biased.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ...survey.detections import DetectionHistory
from ...survey.errors import Problems
from ..derived import table
from .chains import Passed, pull_two_state, run_chains, two_state
from .delta import mean_of
from .history_model import HistoryModel, Symbol, check_detections
from .mixing import Mixed, mix_two
from .single_season import naive_start, occupied_rows, one_season
from .visits import Detections, detections_by_site


class SignSurvey(HistoryModel):
    """Occupied with psi; on a trail at an occupied site a segment is used with theta0 after an unused segment and with
    theta1 after a used one; sign is found on a used segment with p.

    Parameters
    ----------
    history : DetectionHistory of one season, values 0 and 1. `trail` (optional) names the trails of a site, `visit`
        numbers the segments of a trail in order and without gaps: a segment that was not walked has a missing value
    psi : formula over site covariates
    theta0, theta1 : formulas over covariates of segments and sites, or numbers, which fix them
    p : likewise
    theta_initial : "stationary" (a trail's first segment is used as often as any, theta0 / (theta0 + 1 - theta1));
        or a formula over the covariates of first segments, or a number: the probability that the segment before the
        first was used
    exposure : True takes p per unit of effort (e.g. km of a segment), 1 - (1 - p)^effort

    Notes
    -----
    theta0 = theta1 = 1 is ordinary occupancy with segments as visits. Five segments or fewer hardly separate theta0
    and theta1 from p.

    Raises
    ------
    SurveyError : nothing was found, several seasons, values above 1, segments with gaps, a wrong formula or name
    """

    symbols = (
        Symbol("psi", "site", "probability that a site is occupied"),
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
        exposure: bool = False,
        links: Mapping[str, str] | None = None,
    ):
        check_detections(history)
        one_season(history, "SignSurvey for each season")
        self.trail_of, self.starts = _trails(history)
        self.site_of_trail = history.site_of[self.starts[:-1]]
        done = np.flatnonzero(history.done)
        effort = history.effort[done] if exposure else None
        self.segments = Detections(done, len(history.value), history.value[done], effort)
        self.visits = detections_by_site(history, exposure)
        self.absent = self.visits.absent()
        formulas = {"psi": psi, "theta0": theta0, "theta1": theta1, "theta_initial": theta_initial, "p": p}
        self.stationary = theta_initial == "stationary"
        if self.stationary:
            del formulas["theta_initial"]
        super().__init__(history, formulas, links)

    def frame(self, symbol):
        if symbol.rows == "segment":
            return self.history.visit_frame(np.ones(len(self.history.value), bool))
        if symbol.rows == "trail":
            first = np.zeros(len(self.history.value), bool)
            first[self.starts[:-1]] = True
            return self.history.visit_frame(first)
        return super().frame(symbol)

    # ---- likelihood -----------------------------------------------------------------------------------------

    def _first_use(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Probability [trails] that the first segment is used, at an occupied site."""
        off, on = (values[name][self.starts[:-1]] for name in ("theta0", "theta1"))
        if self.stationary:
            return off / (off + 1.0 - on)
        return values["theta_initial"] * on + (1.0 - values["theta_initial"]) * off

    def _pull_first_use(self, values: Mapping[str, np.ndarray], by_use: np.ndarray) -> dict[str, np.ndarray]:
        """Derivatives [trails] with respect to theta0 and theta1 of first segments, and theta_initial."""
        off, on = (values[name][self.starts[:-1]] for name in ("theta0", "theta1"))
        if self.stationary:
            whole = (off + 1.0 - on) ** 2
            return {"theta0": by_use * (1.0 - on) / whole, "theta1": by_use * off / whole}
        before = values["theta_initial"]
        return {"theta0": by_use * (1.0 - before), "theta1": by_use * before, "theta_initial": by_use * (on - off)}

    def _passed(self, values: Mapping[str, np.ndarray], gradient: bool) -> tuple[Passed, Mixed]:
        """The trails at an occupied site, and the mixture over sites."""
        use = self._first_use(values)
        emission = np.stack([self.segments.present(values["p"]), self.segments.absent()], axis=1)
        transition = two_state(values["theta0"], 1.0 - values["theta1"])
        passed = run_chains(np.stack([use, 1.0 - use], axis=1), transition, emission, self.starts, gradient)
        present = np.bincount(self.site_of_trail, weights=passed.total, minlength=self.history.n_sites)
        return passed, mix_two(values["psi"], present, self.absent)

    def evaluate(self, values, gradient):
        passed, sites = self._passed(values, gradient)
        loglik = float(sites.total.sum())
        if not gradient:
            return loglik, None
        occupied = sites.posterior[self.site_of_trail, 0]
        on_segment = occupied[self.trail_of]
        theta0, loss = pull_two_state(passed.by_transition * on_segment[:, None, None])
        by_use = occupied * (passed.by_initial[:, 0] - passed.by_initial[:, 1])
        first = self._pull_first_use(values, by_use)
        theta1 = -loss
        theta0[self.starts[:-1]] += first["theta0"]
        theta1[self.starts[:-1]] += first["theta1"]
        adjoints = {"psi": sites.relative[:, 0] - sites.relative[:, 1], "theta0": theta0, "theta1": theta1}
        adjoints["p"] = self.segments.pull_p(values["p"], on_segment * passed.posterior[:, 0])
        return loglik, adjoints | ({} if self.stationary else {"theta_initial": first["theta_initial"]})

    def start_values(self):
        naive = naive_start(self.visits, self.history.visited)
        seen = np.nan_to_num(self.history.value) > 0
        after = seen[:-1] & (self.trail_of[1:] == self.trail_of[:-1]) & self.history.done[1:]
        again = (seen[1:][after].sum() + 0.5) / (after.sum() + 1.0)  # how often a find follows a find: theta1 · p
        p = min(0.9, max(naive["p"], np.sqrt(again)))
        use = min(0.8, max(0.05, naive["p"] / p))
        theta1 = min(0.9, max(use, again / p))
        return {
            "psi": naive["psi"],
            "p": p,
            "theta1": theta1,
            "theta0": min(theta1, use * (1.0 - theta1) / (1.0 - use)),  # stationary use is `use`
            "theta_initial": use,
        }

    # ---- what follows ---------------------------------------------------------------------------------------

    def occupied(self, vector: np.ndarray) -> np.ndarray:
        """float [N]: probability that each site is occupied, given what was found there."""
        posterior = self._passed(self.parameters.values(vector), False)[1].posterior[:, 0]
        return np.where(np.isneginf(self.absent), 1.0, posterior)

    def posterior(self, vector):
        found = self.history.detected[:, 0]
        return pd.DataFrame({"site": self.history.sites.index, "found": found, "occupied": self.occupied(vector)})

    def segment_use(self, vector: np.ndarray) -> pd.DataFrame:
        """Probability that each segment was used, given everything found at its site; exactly 1 where found."""
        passed, sites = self._passed(self.parameters.values(vector), True)
        use = sites.posterior[self.site_of_trail, 0][self.trail_of] * passed.posterior[:, 0]
        keys = [key for key in ("site", "trail", "visit") if key in self.history.visits]
        found = self.history.done & (np.nan_to_num(self.history.value) > 0)
        return self.history.visits[keys].assign(used=np.where(found, 1.0, np.minimum(use, 1.0)))

    def derive(self, fit, interval):
        over = f"mean over {len(self.history.value)} segments"
        rows = [
            mean_of(fit, "occupancy", f"mean over {self.history.n_sites} sites", "psi", interval),
            mean_of(fit, "use after an unused segment", over, "theta0", interval),
            mean_of(fit, "use after a used segment", over, "theta1", interval),
            mean_of(fit, "detection", f"mean over {len(self.segments.seen)} segments walked", "p", interval),
        ]
        return table(rows + occupied_rows(fit, self.history, self.occupied))

    def _draw(self, values, rng):
        occupied = rng.uniform(size=self.history.n_sites) < values["psi"]
        u, first = rng.uniform(size=len(self.history.value)), self._first_use(values)
        used = np.zeros(len(u), bool)
        for trail, (begin, end) in enumerate(zip(self.starts[:-1], self.starts[1:], strict=True)):
            if occupied[self.site_of_trail[trail]]:
                used[begin] = u[begin] < first[trail]
                for r in range(begin + 1, end):
                    used[r] = u[r] < values["theta1" if used[r - 1] else "theta0"][r]
        there = used[self.history.done]
        return there & (rng.uniform(size=len(there)) < self.segments.probability(values["p"]))


def _trails(history: DetectionHistory) -> tuple[np.ndarray, np.ndarray]:
    """Trail of each segment [R], and where trails start [trails + 1]; segments are in order already."""
    visits, bad = history.visits, Problems()
    if "method" in visits:
        bad.add("a segment cannot have several methods", "Drop the column 'method'; use another name for a covariate")
    keys = ["site", "trail"] if "trail" in visits else ["site"]
    new = (visits[keys] != visits[keys].shift()).any(axis=1).to_numpy()
    number = pd.to_numeric(visits["visit"], errors="coerce").to_numpy(float)
    gap = np.flatnonzero(~new & (np.diff(number, prepend=np.nan) != 1.0))
    for r in gap[:20]:
        where = f"site {visits['site'].iloc[r]!r}" + (
            f", trail {visits['trail'].iloc[r]!r}" if "trail" in visits else ""
        )
        bad.add(
            f"the segments are not numbered one after the other at {where}",
            "Number them in walking order; give a segment that was not walked a missing value",
            value=visits["visit"].iloc[r],
        )
    bad.raise_any()
    return np.cumsum(new) - 1, np.append(np.flatnonzero(new), len(visits)).astype(np.int64)
