"""Survival of animals whose fate is known from period to period (Pollock et al. 1989), next to Kaplan and Meier's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ...survey.errors import Problems, refuse
from ...survey.monitored import MonitoredAnimals
from ..derived import Estimate, table, z_of
from ..fit import Fit
from ..parameters import ParameterSet
from .base import MarkedModel, by_axis, used_covariates
from .layout import build, lay_out, occasion_factors

EDGE = 1e-16


class KnownFateFit(Fit):
    """A `Fit` of `KnownFate`: adds survival over many periods."""

    def survival(self, periods: int | None = None, **covariates) -> pd.DataFrame:
        """Probability to survive from the beginning of period 1 to the end of every period.

        Parameters
        ----------
        periods : how many; those of the data by default. More only in a model that does not depend on the period.
        covariates : values of the animal covariates of the model, and `age` in periods at the beginning (0 by default)

        Returns
        -------
        DataFrame with period, estimate, se, lower, upper; 95 % limits on the scale of log(-log S), which stay inside
        0 and 1
        """
        return survival_curve(self, periods, covariates)


class KnownFate(MarkedModel[KnownFateFit]):
    """Known fate: every animal at risk survives a period with probability S.

    Parameters
    ----------
    animals : MonitoredAnimals
    S : formula of survival of a period on the logit scale, over animal and period covariates, `t` (period, factor), `T`
        (period 1 is 0) and `age` (periods since the animal was first at risk); or a number
    stages : the age in periods at which each stage of life begins, {"cub": 0, "subadult": 52, "adult": 130}; then
        `stage` (factor) is a covariate. Needs `age`.
    age : name of the animal covariate that says how many periods old an animal was when first at risk; `age` in
        formulas is then its age and not the time since
    mortality : instead of S, formula of dying in a period on the complementary log-log scale: coefficients are
        logarithms of ratios of hazards

    Notes
    -----
    The log-likelihood is the sum over animals and periods of log S or log(1 - S), without binomial coefficients, as in
    MARK; n of AICc is the number of animal-periods at risk.

    Raises
    ------
    SurveyError : no animal at risk, both S and mortality, a formula or name is wrong
    """

    fit_class = KnownFateFit
    data_class = MonitoredAnimals

    def __init__(
        self,
        animals: MonitoredAnimals,
        S: str | float | None = None,
        mortality: str | float | None = None,
        *,
        stages: Mapping[str, float] | None = None,
        age: str | None = None,
    ):
        if not animals.at_risk.any():
            raise refuse("no animal was at risk in a whole period", "Check dates and the length of periods")
        if S is not None and mortality is not None:
            raise refuse("survival and mortality are one parameter", "Give S or mortality")
        self.history = animals
        self.formulas = {"mortality": mortality} if mortality is not None else {"S": "~ 1" if S is None else S}
        self.options = {"stages": stages, "age": age}
        self.stages = _stages(stages, age)
        name, formula = next(iter(self.formulas.items()))
        special = ("t", "T", "age", *(["stage"] if self.stages else []))
        used = used_covariates(self.formulas, animals.animals, animals.periods, special)
        R, T = animals.at_risk.shape
        since = self._ages()
        known = by_axis(0, animals.animals[sorted(used - {"age", "stage"})])
        known |= by_axis(1, occasion_factors(np.arange(1, T + 1))) | by_axis(1, animals.periods)
        known["age"] = (None, pd.Series(since.ravel()))
        if self.stages:
            known["stage"] = (None, pd.Series(self.stage_at(since.ravel())))
        self._covariates = known
        layout = lay_out(formula, (R, T), known, animals.at_risk)
        self.layouts = {name: layout}
        unit = f"probability per {animals.period}"
        link = "logit" if name == "S" else "cloglog"
        self.parameters = ParameterSet([build(name, formula, layout, link, unit, "of an animal at risk")])
        rows = layout.index[animals.at_risk]
        self.deaths = np.bincount(rows, animals.died[animals.at_risk], len(layout.frame))
        self.survivors = np.bincount(rows, minlength=len(layout.frame)) - self.deaths

    def _ages(self) -> np.ndarray:
        """Periods [R, T] since an animal was first at risk, or its age where that is known."""
        h, name = self.history, self.options["age"]
        T = h.n_periods
        first = np.where(h.at_risk.any(axis=1), h.at_risk.argmax(axis=1), 0)
        since = np.maximum(np.arange(T)[None, :] - first[:, None], 0).astype(float)
        if name is None:
            return since
        if name not in h.animals:
            known = ", ".join(map(str, h.animals.columns)) or "none"
            raise refuse("the ages of the animals are not there", f"There are the covariates: {known}", value=name)
        entry = pd.to_numeric(h.animals[name], errors="coerce").to_numpy(float)
        bad = Problems()
        for i in np.flatnonzero(~(entry >= 0) & h.at_risk.any(axis=1)).tolist():
            bad.add("an animal has no age", "Give it in periods from 0", value=str(h.animals.index[i]))
        bad.raise_any()
        return since + np.where(entry >= 0, entry, 0.0)[:, None]

    def stage_at(self, age: np.ndarray) -> pd.Categorical:
        """The stage of life at some ages in periods."""
        names, begin = list(self.stages), np.array(list(self.stages.values()))
        return pd.Categorical.from_codes(np.searchsorted(begin, age, side="right") - 1, names)

    def evaluate(self, values, gradient):
        name, value = next(iter(values.items()))
        S = np.clip(value if name == "S" else 1.0 - value, EDGE, 1.0 - EDGE)
        loglik = self.survivors @ np.log(S) + self.deaths @ np.log1p(-S)
        sign = 1.0 if name == "S" else -1.0
        by = sign * (self.survivors / S - self.deaths / (1.0 - S))
        return float(loglik), {name: by} if gradient else None

    def start(self):
        S = (self.survivors.sum() + 0.5) / (self.survivors.sum() + self.deaths.sum() + 1.0)
        return self.parameters.start({"S": S, "mortality": 1.0 - S})

    @property
    def sample_size(self) -> int:
        """Animal-periods at risk."""
        return int(self.history.at_risk.sum())

    def derive(self, fit, interval):
        """Survival of one period by its covariates, and over all periods where animals do not differ."""
        name = self.parameters.names[0]
        rows = self.parameter_rows(fit, {name: "survival" if name == "S" else "mortality"}, interval)
        if set(self.layouts[name].frame.columns) == {"stage"}:
            rows += self._through_stages(fit)
        if not set(self.layouts[name].frame.columns) - {"t", "T"}:
            last = fit.survival().iloc[-1]
            numbers = (last["estimate"], last["se"], last["lower"], last["upper"])
            words = f"over {self.history.n_periods} {self.history.period}s"
            rows.append(Estimate("survival", "probability", words, *numbers, "95% Wald on log(-log S)"))
        return table(rows)

    def _through_stages(self, fit) -> list[Estimate]:
        """Survival from the beginning of each stage that ends to its end."""
        rows, begin = [], list(self.stages.values())
        for name, start, end in zip(self.stages, begin, begin[1:], strict=False):
            if name in set(self.layouts[next(iter(self.layouts))].frame["stage"]):
                last = fit.survival(int(end - start), age=start).iloc[-1]
                numbers = (last["estimate"], last["se"], last["lower"], last["upper"])
                words = f"through stage = {name}, {int(end - start)} {self.history.period}s"
                rows.append(Estimate("survival", "probability", words, *numbers, "95% Wald on log(-log S)"))
        return rows

    def simulate(self, values: Mapping[str, object], seed: int) -> MonitoredAnimals:
        """Fates drawn at natural-scale values (as for `at`); who was lost sight of is lost as in the data, if alive."""
        rng = np.random.default_rng(seed)
        vector, animals, p = self.coefficients_for(values), self.history, next(iter(self.parameters))
        dying = np.cumsum(animals.died, axis=1) > 0  # had it not died, an animal would have been monitored to the end
        watched = animals.at_risk | (dying & animals.at_risk.any(axis=0))
        frame = self.layouts[p.name].frame
        if "stage" in frame:  # nobody was ever watched in a stage that no animal of the data lived to see
            reached = self._covariates["stage"][1].isin(frame["stage"].cat.categories).to_numpy()
            watched &= reached.reshape(watched.shape)
        layout = lay_out(self.formulas[p.name], watched.shape, self._covariates, watched)
        value = np.array([p.fixed]) if p.design is None else p.link.inverse(p.design.at(layout.frame) @ vector)
        S = (value if p.name == "S" else 1.0 - value)[layout.index]
        dead = watched & (rng.random(watched.shape) > S)
        gone = np.cumsum(dead, axis=1) - dead > 0
        return MonitoredAnimals(watched & ~gone, dead & ~gone, animals.animals, animals.periods, animals.period)


def _stages(stages: Mapping[str, float] | None, age: str | None) -> dict[str, float]:
    if not stages:
        return {}
    begin = list(stages.values())
    if age is None:
        raise refuse("stages go by age", "Say which covariate of the animals is their age when first at risk: age=")
    if begin[0] != 0 or not np.all(np.diff(begin) > 0) or any(b % 1 for b in begin):
        fix = 'Give whole periods, {"cub": 0, "subadult": 52}'
        raise refuse("stages must begin at age 0 and follow one another", fix, value=dict(stages))
    return dict(stages)


def survival_curve(fit: KnownFateFit, periods: int | None, covariates: Mapping[str, Any]) -> pd.DataFrame:
    """See `KnownFateFit.survival`."""
    model = fit.model
    p = next(iter(model.parameters))
    T = model.history.n_periods if periods is None else int(periods)
    frame = model.layouts[p.name].frame
    begin = float(covariates.get("age", 0.0))
    by_period = {"t", "T", "age", *map(str, model.history.periods.columns)} & set(frame.columns)
    if T > model.history.n_periods and by_period:
        raise refuse("the model says nothing of later periods", "Use a model without periods in it", value=periods)
    if p.design is None:
        raise refuse("survival is fixed in this model", "Nothing was estimated", value=p.fixed)
    new = pd.DataFrame(index=range(T))
    for name in frame.columns:
        if name == "t":
            new[name] = pd.Categorical([str(k + 1) for k in range(T)], frame["t"].cat.categories)
        elif name in ("T", "age"):
            new[name] = np.arange(T, dtype=float) + (begin if name == "age" else 0.0)
        elif name == "stage" and model.stages:
            stage, seen = model.stage_at(begin + np.arange(T)), frame["stage"].cat.categories
            if not stage.isin(seen).all():
                words = ", ".join(map(str, seen))
                raise refuse("no animal was at risk in a stage that these periods reach", f"There are data of {words}")
            new[name] = stage.set_categories(seen)
        elif name in model.history.periods.columns:
            new[name] = model.history.periods[name].to_numpy()[:T]
        elif name in covariates:
            new[name] = covariates[name]
        else:
            raise refuse("survival depends on a covariate", f"Give {name}=…", value=name)
    X = p.design.at(new)
    eta = X @ fit.vector
    value, slope = p.link.inverse(eta), p.link.slope(eta)
    S = value if p.name == "S" else 1.0 - value
    by = (slope if p.name == "S" else -slope) / S
    curve, J = np.cumprod(S), np.cumsum(X * by[:, None], axis=0)  # of log S
    with np.errstate(invalid="ignore", divide="ignore"):
        se_log = np.sqrt(np.diag(fit.covariance_of(J)))
        bend = z_of() * se_log / np.log(curve)
        lower, upper = curve ** np.exp(-bend), curve ** np.exp(bend)
    return pd.DataFrame(
        {"period": range(1, T + 1), "estimate": curve, "se": curve * se_log, "lower": lower, "upper": upper}
    )


def kaplan_meier(animals: MonitoredAnimals) -> pd.DataFrame:
    """Kaplan and Meier's survival with staggered entry (Pollock et al. 1989): no model of the periods.

    Returns
    -------
    DataFrame with period, at_risk, deaths, estimate, se (Greenwood), lower, upper (95 % on the logarithm, at most 1)
    """
    n, d = animals.at_risk.sum(axis=0), animals.died.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        S = np.cumprod(np.where(n > 0, 1.0 - d / n, 1.0))
        relative = np.sqrt(np.cumsum(np.where(d > 0, d / (n * (n - d)), 0.0)))
        lower, upper = S * np.exp(-z_of() * relative), np.minimum(S * np.exp(z_of() * relative), 1.0)
        se = S * relative
    return pd.DataFrame(
        {
            "period": range(1, animals.n_periods + 1),
            "at_risk": n,
            "deaths": d,
            "estimate": S,
            "se": se,
            "lower": lower,
            "upper": upper,
        }
    )
