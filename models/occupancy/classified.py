"""Occupancy from what a classifier says, without a threshold (Rhinehart et al. 2022, Methods Ecol. Evol. 13:1680).

A visit may hold a candidate: an image or recording that a classifier takes for the species, with a score. Scores of
true candidates and of false ones have distributions of their own, which overlap. People have looked at some candidates.
With fp = 1 every visit has a score, as every clip of a recorder has: that is Rhinehart's model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from ...survey.detections import DetectionHistory
from ...survey.errors import Problems, refuse
from ..derived import log_normal
from ..verdict import Outcome, Remark
from .delta import covariance, mean_of
from .history_model import Symbol, check_detections, spread
from .seasons import STATE_SYMBOLS, SeasonalOccupancy, state_formulas, state_start
from .visits import Groups, detections_by_season

VERDICTS = {"true": 1, "false": 0}
SCALES = ("probability", "logit")


class ClassifiedOccupancy(SeasonalOccupancy):
    """A visit to an occupied site holds the species with p; a visit without it holds a false candidate with fp. Scores
    are normal on the logit scale: of true candidates with mu_true and sigma_true, of false ones with mu_false and
    sigma_false.

    Parameters
    ----------
    history : DetectionHistory of one or more seasons; value 1: the visit has a candidate, 0: it has none. Covariates of
        visits: `score`, the classifier's (e.g. `classificationProbability`; of several candidates the highest), and
        `verified`, "true" or "false" where people have looked, else missing (`survey.with_candidates` makes them). A
        candidate without a score is one whose score says nothing
    psi : formula over site covariates, occupancy (of the first season)
    p, fp : formulas over covariates of visits, seasons and sites, or numbers, which fix them
    mu_true, mu_false : formulas of the mean scores, likewise; on the logit scale
    gamma, epsilon : colonisation and local extinction between seasons, see `DynamicOccupancy`
    score, verified : names of the covariates
    scale : "probability", scores between 0 and 1, taken to the logit scale (scores of exactly 0 or 1 lie half-way
        between that end and the score nearest to it); or "logit", scores without bounds, as they are

    Notes
    -----
    The log-likelihood is of scores on the logit scale. Without verified candidates only the shapes of the two
    distributions tell true from false.

    Raises
    ------
    SurveyError : nothing was found, values above 1, no score at all, a score outside the scale, a score or a
        verification of a visit without a candidate, an unknown word in `verified`, a wrong formula or name
    """

    symbols = (
        *STATE_SYMBOLS[:3],
        Symbol("p", "visit", "probability that a visit to an occupied site holds the species"),
        Symbol("fp", "visit", "probability that a visit without the species holds a false candidate"),
        Symbol("mu_true", "visit", "mean score of true candidates", ("identity",), "logit of the score"),
        Symbol("mu_false", "visit", "mean score of false candidates", ("identity",), "logit of the score"),
        Symbol("sigma_true", "one", "standard deviation of the scores of true candidates", ("log",), "logit"),
        Symbol("sigma_false", "one", "standard deviation of the scores of false candidates", ("log",), "logit"),
    )
    data_kind = "detections with scores"

    def __init__(
        self,
        history: DetectionHistory,
        psi: str | float = "~ 1",
        p: str | float = "~ 1",
        fp: str | float = "~ 1",
        mu_true: str | float = "~ 1",
        mu_false: str | float = "~ 1",
        *,
        gamma: str | float = "~ 1",
        epsilon: str | float = "~ 1",
        score: str = "score",
        verified: str = "verified",
        scale: str = "probability",
        links: Mapping[str, str] | None = None,
    ):
        check_detections(history)
        if scale not in SCALES:
            raise refuse("this scale of scores is not known", f"Use {' or '.join(map(repr, SCALES))}", value=scale)
        self.names, self.scale = (score, verified), scale
        self.candidate = history.value[history.done] > 0
        self.score, self.judged = _scores(history, score, verified, scale)
        self.scored = np.isfinite(self.score)
        n = history.n_sites * history.n_seasons
        self.visits = Groups(detections_by_season(history).group, n)
        self.certain = np.bincount(self.visits.group[self.judged == 1], minlength=n) > 0
        formulas = {"p": p, "fp": fp, "mu_true": mu_true, "mu_false": mu_false}
        formulas |= {"sigma_true": "~ 1", "sigma_false": "~ 1"}
        super().__init__(history, state_formulas(history, psi, gamma, epsilon) | formulas, links)

    # ---- likelihood -----------------------------------------------------------------------------------------

    def _densities(self, values: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Densities [V] of the scores as true and as false candidates over their larger one, and its logarithm."""
        logs = []
        for kind in ("true", "false"):
            sigma = values[f"sigma_{kind}"][0]
            z = (np.where(self.scored, self.score, 0.0) - values[f"mu_{kind}"]) / sigma
            log = -0.5 * z * z - np.log(sigma) - 0.5 * np.log(2.0 * np.pi)
            logs.append(np.where(self.scored, log, 0.0))
        top = np.maximum(*logs)
        return np.exp(logs[0] - top), np.exp(logs[1] - top), top

    def _parts(self, values: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Likelihood [V] of each visit with the species and without it, over a common factor, and its logarithm."""
        true, false, top = self._densities(values)
        held = np.where(self.candidate & (self.judged != 0), true, 0.0)
        empty = np.where(self.candidate, values["fp"] * np.where(self.judged != 1, false, 0.0), 1.0 - values["fp"])
        return held, empty, np.where(self.candidate, top, 0.0)

    def found(self, values, gradient):
        held, empty, top = self._parts(values)
        p = values["p"]
        prob = np.stack([p * held + (1.0 - p) * empty, empty], axis=1)
        n = len(self.certain)
        emission = self.visits.loglik(prob) + np.bincount(self.visits.group, weights=top, minlength=n)[:, None]
        return emission, lambda by: self._pull(values, held, empty, self.visits.pull(prob, by))

    def fitted(self, values):
        held = self.projected_at(values).ravel()[self.visits.group] * values["p"]
        return held + (1.0 - held) * values["fp"]

    def _pull(self, values: Mapping[str, np.ndarray], held, empty, by: np.ndarray) -> dict[str, np.ndarray]:
        """From derivatives [V, 2] with respect to the likelihoods over their common factor, at occupied sites and not.

        That factor is a constant to them: a density's logarithmic slope times its share of the visit's likelihood.
        """
        p, fp = values["p"], values["fp"]
        by_held, by_empty = by[:, 0] * p, by[:, 0] * (1.0 - p) + by[:, 1]
        found = {"p": by[:, 0] * (held - empty)}
        with np.errstate(divide="ignore", invalid="ignore"):
            by_fp = np.where(self.candidate, np.where(empty > 0, empty / fp, 0.0), -1.0)
        found["fp"] = by_empty * by_fp
        share = {"true": by_held * held, "false": np.where(self.candidate, by_empty * empty, 0.0)}
        for kind, weight in share.items():
            sigma = values[f"sigma_{kind}"][0]
            z = (np.where(self.scored, self.score, 0.0) - values[f"mu_{kind}"]) / sigma
            weight = np.where(self.scored, weight, 0.0)
            found[f"mu_{kind}"] = weight * z / sigma
            found[f"sigma_{kind}"] = np.array([np.sum(weight * (z * z - 1.0)) / sigma])
        return found

    def start_values(self):
        """True candidates: those verified, or else the upper third of the scores."""
        some = self.score[self.scored]
        sure = {kind: self.score[self.scored & (self.judged == which)] for kind, which in VERDICTS.items()}
        cut = np.quantile(some, 2 / 3)
        parts = {"true": some[some >= cut], "false": some[some < cut]}
        start = {}
        for kind, part in parts.items():
            use = sure[kind] if len(sure[kind]) >= 3 else part if len(part) else some
            start |= {f"mu_{kind}": float(use.mean()), f"sigma_{kind}": max(float(use.std()), 0.3)}
        if start["mu_true"] <= start["mu_false"]:
            start["mu_true"] = start["mu_false"] + start["sigma_false"]
        high = self.scored & (self.score > (start["mu_true"] + start["mu_false"]) / 2)
        likely = (self.judged == 1) | ((self.judged == -1) & high)
        there = np.bincount(self.visits.group[likely], minlength=len(self.certain)) > 0
        visited = np.bincount(self.visits.group, minlength=len(self.certain)) > 0
        share = (there.sum() + 0.5) / (visited.sum() + 1.0)
        p = (likely.sum() + 0.5) / (there[self.visits.group].sum() + 1.0)
        rest = ~likely
        fp = ((rest & self.candidate).sum() + 0.5) / (rest.sum() + 1.0)
        inside = lambda x: float(min(0.95, max(0.02, x)))  # noqa: E731
        return state_start(self.history, inside(share)) | start | {"p": inside(p), "fp": inside(fp)}

    # ---- what follows ---------------------------------------------------------------------------------------

    def candidates(self, vector: np.ndarray) -> pd.DataFrame:
        """Probability that each candidate is true, given everything found at its site; 0 or 1 where verified."""
        values = self.parameters.values(vector)
        held, empty, _ = self._parts(values)
        p, occupied = values["p"], self.occupied(vector)[self.visits.group]
        with np.errstate(invalid="ignore"):
            true = occupied * p * held / (p * held + (1.0 - p) * empty)
        true = np.where(self.judged >= 0, self.judged, np.nan_to_num(true))
        keys = [key for key in ("site", "season", "visit", "method") if key in self.history.visits]
        rows = self.history.visits[[*keys, *[n for n in self.names if n in self.history.visits]]][self.history.done]
        return rows.assign(true=true)[self.candidate].reset_index(drop=True)

    def more_rows(self, fit, interval):
        visits = f"mean over {len(self.candidate)} visits"
        rows = [
            mean_of(fit, "visits that hold the species", f"{visits}, at occupied sites", "p", interval),
            mean_of(fit, "false candidates", f"{visits} without the species", "fp", interval),
        ]
        apart = lambda v: self._apart(self.parameters.values(v))  # noqa: E731
        se = float(np.sqrt(covariance(fit, apart)[0, 0]))
        scope = "mean score of true candidates above that of false ones"
        rows.append(log_normal("separation of scores", "standard deviations", scope, float(apart(fit.vector)), se))
        return rows

    def _apart(self, values: Mapping[str, np.ndarray]) -> float:
        """d': difference of the means over the root mean variance."""
        width = np.sqrt(0.5 * (values["sigma_true"][0] ** 2 + values["sigma_false"][0] ** 2))
        return float((values["mu_true"] - values["mu_false"]).mean() / width)

    def remarks(self, fit):
        found = ()
        if not (self.judged == 1).any():
            detail = (
                "No candidate is verified as true: only the shapes of the distributions of scores tell true candidates "
                "from false ones. Have people look at some, high and low scores alike"
            )
            found = (Remark(Outcome.IMPRECISE, detail),)
        if not self._apart(fit.values) > 0:
            detail = "Scores of true candidates are not higher than those of false ones: the classifier tells nothing"
            found = (*found, Remark(Outcome.IMPRECISE, detail))
        return found

    def _draw(self, values, rng):
        """Visits that hold the species, that have a candidate, its score, and candidates that people look at.

        As large a share of the candidates as here is looked at, at random.
        """
        there = self.draw_states(values, rng)[self.visits.group]
        true = there & (rng.uniform(size=len(there)) < values["p"])
        candidate = true | (rng.uniform(size=len(there)) < values["fp"])
        mu = np.where(true, values["mu_true"], values["mu_false"])
        sigma = np.where(true, values["sigma_true"][0], values["sigma_false"][0])
        looked = candidate & (rng.uniform(size=len(there)) < (self.judged[self.candidate] >= 0).mean())
        return true, candidate, rng.normal(mu, sigma), looked

    def _as_history(self, drawn):
        true, candidate, score, looked = drawn
        score = score if self.scale == "logit" else expit(score)
        done = self.history.done
        scores, words = np.full(len(done), np.nan), np.full(len(done), None, object)
        scores[done] = np.where(candidate, score, np.nan)
        words[np.flatnonzero(done)[looked]] = np.where(true[looked], "true", "false")
        value = np.where(done, spread(done, candidate), np.nan)
        visits = self.history.visits.assign(value=value, **dict(zip(self.names, (scores, words), strict=True)))
        return replace(self.history, visits=visits, seasons=self.history._season_table())


def _scores(history: DetectionHistory, score: str, verified: str, scale: str) -> tuple[np.ndarray, np.ndarray]:
    """Scores [V] on the logit scale, NaN without one; and 1 verified as true, 0 as false, -1 not verified [V]."""
    visits, bad = history.visits[history.done], Problems()
    if score not in visits:
        raise refuse("the visits have no scores", f"Add the covariate {score!r}, or name another", value=score)
    candidate = history.value[history.done] > 0
    numbers = pd.to_numeric(visits[score], errors="coerce").to_numpy(float)
    words = visits[verified].to_numpy(object) if verified in visits else np.full(len(visits), None, object)
    known = ~pd.isna(words) & (words != "")
    judged = np.array([VERDICTS.get(str(word).lower(), -2) if k else -1 for word, k in zip(words, known, strict=True)])
    outside = (numbers < 0) | (numbers > 1) if scale == "probability" else np.isinf(numbers)
    faults = (
        (visits[score].notna().to_numpy() & np.isnan(numbers), score, "a score is not a number", "Correct it"),
        (outside, score, "a score is outside its scale", "Use scale='logit' for scores that are no probabilities"),
        (np.isfinite(numbers) & ~candidate, score, "a visit without a candidate has a score", "Leave it empty"),
        (judged == -2, verified, "this verification is not known", "Use 'true', 'false' or leave it empty"),
        ((judged >= 0) & ~candidate, verified, "a visit without a candidate is verified", "Leave it empty"),
    )
    for wrong, column, what, fix in faults:
        for row in np.flatnonzero(wrong)[:20]:
            bad.add(f"{what} (site {visits['site'].iloc[row]!r})", fix, value=visits[column].iloc[row])
    bad.raise_any()
    if not np.isfinite(numbers).any():
        raise refuse("no visit has a score", "Use models.FalsePositiveOccupancy", value=score)
    return (_logits(numbers) if scale == "probability" else numbers), judged


def _logits(score: np.ndarray) -> np.ndarray:
    """Logits of scores; 0 and 1 lie half-way between that end and the score nearest to it."""
    inner = score[(score > 0) & (score < 1)]
    least, most = (inner.min(), inner.max()) if len(inner) else (0.5, 0.5)
    return logit(np.where(score <= 0, least / 2, np.where(score >= 1, (1 + most) / 2, score)))
