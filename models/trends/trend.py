"""What became of a population: change from year to year with everything that is not known about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from ...survey.errors import refuse
from ..derived import COLUMNS, LEVEL, z_of
from . import processes
from .annual import AnnualEstimates
from .comparable import Difference, check_comparable
from .iucn import categories, too_short
from .processes import METHODS, Process, restricted_loglik, trajectory

NODES = 240  # of the integral over the standard deviation of the process
SCALE = {"state-space": 0.2, "log-linear": 0.2, "smooth": 0.1}  # half of the prior of sigma lies below
FEW = 4  # years below which process and sampling variance cannot be told apart
NOTHING = 1e-9  # standard deviation of a log change that is none: a model has one density for all years
DEFINITIONS = ("slope", "end-point")
DECLINES = (0.0, 0.3, 0.5, 0.8)
INTERVAL = f"{100 * LEVEL:g}% of the distribution given the data"


def trend(
    source: Any,
    method: str | None = None,
    *,
    generation: float | None = None,
    despite: Sequence[str] = (),
    scale: float | None = None,
    **how: Any,
) -> Trend:
    """The trend of a population from annual estimates with the covariance of their errors.

    Parameters
    ----------
    source : a joint fit of several years; year -> Fit; a DataFrame of published estimates (year, estimate, se); year
        -> results.json; a TrimFit; or AnnualEstimates. See `AnnualEstimates.of` for what else can be said of each.
    method : how the true numbers move: "state-space" (random walk with drift: process and sampling variance),
        "log-linear" (a line with independent effects of years), "smooth" (integrated random walk), "gls" (a line
        without process variance, generalised least squares), or "estimates" (no model of years: contrasts of the
        estimates). By default "state-space" from four years on, "gls" below, and "estimates" where the fit has tied
        the years to each other already.
    generation : years, for the three generations of the IUCN Red List
    despite : differences between the years that are accepted, by name (see `comparable`); they are marked in all that
        is told
    scale : of the half-Cauchy prior of the process standard deviation sigma: half of it lies below. 0.2 per root year
        for "state-space", 0.2 for "log-linear", 0.1 for "smooth". The likelihood of sigma is the restricted one, and
        everything is averaged over sigma, so that intervals know that it is not known.

    Raises
    ------
    SurveyError : years that cannot be compared, methods that do not fit the data, estimates without standard errors
    """
    annual = AnnualEstimates.of(source, **how)
    differences = check_comparable(annual, despite)
    method = method or _method_for(annual)
    if method not in (*METHODS, "estimates"):
        raise refuse("there is no such method", f"Use one of {', '.join((*METHODS, 'estimates'))}", value=method)
    if annual.tied and method != "estimates":
        fix = "Use method='estimates', or estimate the years without a trend in the model"
        raise refuse("the model has tied the years together already: it contains the trend", fix, value=method)
    if method in SCALE and len(annual) < FEW:
        what = f"process and sampling variance cannot be told apart with {len(annual)} years"
        raise refuse(what, "Use method='gls'", value=method)
    if scale is not None and not (np.isfinite(scale) and scale > 0):
        raise refuse("the scale of the prior is above 0", "Leave it out, or correct it", value=scale)
    if generation is not None and not generation > 0:
        raise refuse("a generation lasts longer than 0 years", "Correct it", value=generation)
    sigma, weight = _sigma(annual, method, scale)
    return Trend(annual, method, sigma, weight, generation, differences)


def _method_for(annual: AnnualEstimates) -> str:
    if annual.tied:
        return "estimates"
    return "state-space" if len(annual) >= FEW else "gls"


def _sigma(annual: AnnualEstimates, method: str, scale: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Values of sigma and their weights: restricted likelihood times prior, on nodes alike under the prior."""
    if method not in SCALE:
        return np.zeros(1), np.ones(1)
    u = (np.arange(NODES) + 0.5) / NODES
    sigma = (SCALE[method] if scale is None else scale) * np.tan(0.5 * np.pi * u)
    process = Process(method)
    log_l = restricted_loglik(process, sigma, annual.years, annual.log_estimates, annual.covariance)
    weight = np.exp(log_l - log_l.max())
    kept = weight > 1e-12 * weight.max()
    return sigma[kept], weight[kept] / weight[kept].sum()


@dataclass(frozen=True)
class Mixture:
    """A normal distribution averaged over sigma: what is known of one number."""

    mean: np.ndarray  # [K]
    sd: np.ndarray  # [K]
    weight: np.ndarray  # [K]

    @property
    def centre(self) -> float:
        return float(self.weight @ self.mean)

    @property
    def spread(self) -> float:
        """Standard deviation."""
        return float(np.sqrt(self.weight @ (self.sd**2 + (self.mean - self.centre) ** 2)))

    def below(self, value: float) -> float:
        """Probability of less than `value`; NaN of what a model takes as known without an error."""
        if self.spread < NOTHING:
            return np.nan
        with np.errstate(divide="ignore", invalid="ignore"):
            z = (value - self.mean) / self.sd
        z = np.where(self.sd > 0, z, np.where(self.mean < value, np.inf, -np.inf))
        return float(self.weight @ ndtr(z))

    def quantile(self, p: float) -> float:
        """The value that is above a share p of the mixture."""
        if self.spread < NOTHING:
            return self.centre
        reach = 12.0 * float(np.max(self.sd)) + float(np.ptp(self.mean))
        return float(brentq(lambda v: self.below(v) - p, self.centre - reach, self.centre + reach, xtol=1e-12))

    @property
    def limits(self) -> tuple[float, float]:
        """95 % interval, equal tails."""
        return self.quantile(0.5 - LEVEL / 2.0), self.quantile(0.5 + LEVEL / 2.0)


@dataclass(frozen=True, eq=False)
class Trend:
    """The trend of T annual estimates. Probabilities are those given the data, with a flat prior on level and growth.

    Two definitions of growth answer two questions. "slope": the least-squares line through the true log numbers of all
    years, how it went on the whole. "end-point": from the first year to the last, whatever was between (Link & Sauer
    2002; bbsBayes2). Both are of the numbers that there were, not of those that were estimated.
    """

    annual: AnnualEstimates
    method: str
    sigma: np.ndarray  # [K] standard deviation of the process
    weight: np.ndarray  # [K]
    generation: float | None = None
    differences: tuple[Difference, ...] = ()

    @cached_property
    def _known(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean [K, T + 1] and covariance [K, T + 1, T + 1] of the true log numbers and of the underlying growth."""
        years, y, V = self.annual.years, self.annual.log_estimates, self.annual.covariance
        if self.method == "estimates":
            whole = np.vstack([np.eye(len(y)), slope_contrast(years)])
            return (whole @ y)[None], (whole @ V @ whole.T)[None]
        found = [trajectory(Process(self.method), s, years, y, V) for s in self.sigma]
        return np.array([m for m, _ in found]), np.array([C for _, C in found])

    def _of(self, contrast: np.ndarray) -> Mixture:
        """What is known of contrast [T or T + 1] · (true log numbers, underlying growth)."""
        mean, covariance = self._known
        c = np.append(contrast, np.zeros(mean.shape[1] - len(contrast)))
        variance = np.einsum("i,kij,j->k", c, covariance, c)
        return Mixture(mean @ c, np.sqrt(np.maximum(variance, 0.0)), self.weight)

    @property
    def span(self) -> float:
        """Years from the first to the last."""
        return float(self.annual.years[-1] - self.annual.years[0])

    def log_growth(self, definition: str = "slope") -> Mixture:
        """What is known of the growth of the log number per year."""
        if definition not in DEFINITIONS:
            raise refuse("there is no such definition of a trend", "Use 'slope' or 'end-point'", value=definition)
        years = self.annual.years
        return self._of(slope_contrast(years) if definition == "slope" else end_point_contrast(years))

    def log_change(self, definition: str = "end-point", over: float | None = None) -> Mixture:
        """What is known of the log of the last number over the first; or of the growth over other years."""
        growth, factor = self.log_growth(definition), self.span if over is None else over
        if not factor > 0:
            raise refuse("a change takes more than 0 years", "Correct over=", value=over)
        return Mixture(growth.mean * factor, growth.sd * factor, growth.weight)

    def underlying_growth(self) -> Mixture:
        """What is known of the mean growth of the process, log scale per year: not what happened in these years, but
        what would be expected of others. With the method "estimates" there is no process, and it is the slope."""
        return self._of(np.append(np.zeros(len(self.annual)), 1.0))

    # ---- what people are told ------------------------------------------------------------------------------------

    def years(self) -> pd.DataFrame:
        """The estimates of the years, and what is known of the true numbers after all years: `fitted` with limits."""
        T = len(self.annual)
        found = [self._of(row) for row in np.eye(T)]
        limits = np.exp([m.limits for m in found])
        fitted = {
            "fitted": np.exp([m.centre for m in found]),
            "fitted_lower": limits[:, 0],
            "fitted_upper": limits[:, 1],
        }
        return self.annual.table().assign(**fitted)

    def index(self, base: float | str | None = None) -> pd.DataFrame:
        """Numbers relative to those of a year, given as a number or by its label (the first by default): year, index,
        se, lower, upper, of the estimates themselves, with the covariance between the years."""
        years, V = self.annual.years, self.annual.covariance
        at = np.flatnonzero(
            [base in (None, year, label) for year, label in zip(years, self.annual.labels, strict=True)]
        )
        if not len(at):
            raise refuse("there is no estimate of the base year", "Choose one of the years", value=base)
        C = np.eye(len(years))
        C[:, at[0]] -= 1.0
        log_index = C @ self.annual.log_estimates
        s = np.sqrt(np.maximum(np.diag(C @ V @ C.T), 0.0))
        value = np.exp(log_index)
        ends = {"lower": value * np.exp(-z_of() * s), "upper": value * np.exp(z_of() * s)}
        return pd.DataFrame({"year": self.annual.labels, "index": value, "se": value * s, **ends})

    def derive(self) -> pd.DataFrame:
        """Growth, change and probabilities of decline as rows of estimates, see `models.derived.COLUMNS`."""
        rows, scope = [], f"{self.annual.labels[0]} to {self.annual.labels[-1]}"
        for definition in DEFINITIONS:
            name = f"{scope}, {definition}"
            growth, change = self.log_growth(definition), self.log_change(definition)
            rows.append(_row("growth rate", "per year", name, growth, np.exp))
            rows.append(_row("trend", "% per year", name, growth, lambda v: 100.0 * np.expm1(v)))
            rows.append(_row("change", "%", name, change, lambda v: 100.0 * np.expm1(v)))
            for share in DECLINES:
                more = "" if share == 0.0 else f" of more than {100 * share:g} %"
                rows.append(_plain(f"probability of a decline{more}", "probability", name,
                                   change.below(np.log1p(-share))))  # fmt: skip
        rows.append(_row("underlying growth rate", "per year", scope, self.underlying_growth(), np.exp))
        for row in self.components().to_dict("records"):
            rows.append({"unit": "log scale", "scope": scope, **row})
        down, up = self.detectable()
        rows.append(_plain("detectable decrease", "%", scope, 100.0 * down))
        rows.append(_plain("detectable increase", "%", scope, 100.0 * up))
        if self.generation is not None and not too_short(self):
            rows += [_plain(f"probability of {row.category}", "probability", "three generations", row.probability)
                     for row in self.iucn().itertuples()]  # fmt: skip
        return pd.DataFrame(rows)[list(COLUMNS)]

    def components(self) -> pd.DataFrame:
        """Standard deviations: of the process (what numbers really did) and of sampling (root of the mean variance)."""
        sampling = float(np.sqrt(np.mean(np.diag(self.annual.covariance))))
        rows = [_plain("sampling standard deviation", "", "", sampling)]
        if len(self.sigma) > 1:
            s, w = self.sigma, self.weight
            mean = float(w @ s)
            order = np.cumsum(w)
            lower, upper = (float(np.interp(p, order, s)) for p in (0.025, 0.975))
            se = float(np.sqrt(w @ (s - mean) ** 2))
            rows.insert(0, _plain("process standard deviation", "", "", mean, se, lower, upper))
        return pd.DataFrame(rows)[["quantity", "estimate", "se", "rse", "lower", "upper", "interval"]]

    def detectable(self, power: float = 0.8, level: float = 0.05) -> tuple[float, float]:
        """The smallest decrease and increase over these years (-0.3: by 30 %) that such surveys tell from no change.

        By a two-sided test of the slope at `level` with probability `power`, with the standard error found here.
        """
        if not (0.0 < power < 1.0 and 0.0 < level < 1.0):
            raise refuse("power and level lie between 0 and 1", "Give e.g. 0.8 and 0.05", value=(power, level))
        delta = (ndtri(1.0 - level / 2.0) + ndtri(power)) * self.log_change("slope").spread
        return float(np.expm1(-delta)), float(np.expm1(delta))

    def probability_of_decline(self, more_than: float = 0.0, definition: str = "end-point") -> float:
        """P(the number fell by more than a share), 0.3: by more than 30 %."""
        if not 0.0 <= more_than < 1.0:
            raise refuse("a decline is a share below 1", "Give e.g. 0.3 for 30 %", value=more_than)
        return self.log_change(definition).below(float(np.log1p(-more_than)))

    def iucn(self, criterion: str = "A2", definition: str = "slope") -> pd.DataFrame:
        """How likely each category of the IUCN Red List is by the reduction over three generations (at least 10 years).

        Where the surveys are of fewer years, the growth found in them is taken to have been that of the whole time, as
        the guidelines allow if it is said: with "state-space" the underlying growth with its process error in the years
        beyond (JARA), else `definition`. Where they are of more, it is the change of the last years of that length.

        Parameters
        ----------
        criterion : "A1" (causes ceased: reductions of 50, 70, 90 %) or "A2" (30, 50, 80 %; also A3 and A4)

        Of fewer than half of the years there is a reading here, but none in tables and reports.

        Returns
        -------
        DataFrame of category, reduction (its lower limit), probability
        """
        return categories(self, criterion, definition)

    # ---- in words and pictures -----------------------------------------------------------------------------------

    def reading(self, definition: str = "end-point") -> dict[str, Any]:
        """What a sentence needs: direction ("increase", "decrease"), sure, change and limits in shares, years; assumed
        where the change has no error, as where a model has one density for all years."""
        change = self.log_change(definition)
        low, high = change.limits
        return {
            "direction": "increase" if change.centre >= 0 else "decrease",
            "sure": low > 0.0 or high < 0.0,
            "assumed": change.spread < NOTHING,
            "change": float(np.expm1(change.centre)),
            "lower": float(np.expm1(low)),
            "upper": float(np.expm1(high)),
            "first": self.annual.labels[0],
            "last": self.annual.labels[-1],
            "decline": change.below(0.0),
        }

    def sentence(self, definition: str = "end-point") -> str:
        """The trend as one plain sentence."""
        r = self.reading(definition)
        if r["assumed"]:
            return f"taken as known by the model from {r['first']} to {r['last']}: this says nothing of a change"
        article = "an increase" if r["direction"] == "increase" else "a decrease"
        ends = f"{signed(r['lower'])} to {signed(r['upper'])} %"
        said = f"{article} of {abs(100 * r['change']):.0f} % ({ends}) from {r['first']} to {r['last']}"
        return said if r["sure"] else f"{said}: these surveys cannot tell it from no change"

    def plot(self, ax=None):
        """Estimates with intervals, and the range of change that the data allow; returns the matplotlib Axes."""
        from .plots import plot_trend

        return plot_trend(self, ax)

    def summary(self) -> str:
        """The trend on one screen."""
        from ..summary import number

        a = self.annual
        lines = [f"Trend of {a.quantity} ({a.unit}), {a.labels[0]} to {a.labels[-1]}, {len(a)} years, {self.method}"]
        lines += [f"  {text}" for text in map(str, self.differences)]
        rows = self.derive()
        for row in rows.to_dict("records"):
            ends = f"  ({number(row['lower'])} – {number(row['upper'])})" if np.isfinite(row["lower"]) else ""
            lines.append(f"{row['quantity']:<44} {number(row['estimate']):>9} {row['unit']:<11} {row['scope']}{ends}")
        words = self.sentence()
        return "\n".join([*lines, words[:1].upper() + words[1:] + "."])

    __str__ = __repr__ = summary


def slope_contrast(years: np.ndarray) -> np.ndarray:
    """Weights of the log numbers in the least-squares slope per year."""
    away = years - years.mean()
    return away / (away @ away)


def end_point_contrast(years: np.ndarray) -> np.ndarray:
    """Weights of the log numbers in the mean growth from the first year to the last."""
    c = np.zeros(len(years))
    c[-1], c[0] = 1.0, -1.0
    return c / (years[-1] - years[0])


def signed(share: float) -> str:
    """A change in percent with its sign, which is never a hyphen.

    >>> signed(0.234), signed(-0.18), signed(0.001)
    ('+23', '−18', '0')
    """
    whole = round(100 * share)
    return f"{'+' if whole > 0 else '−' if whole < 0 else ''}{abs(whole):,}"


def _row(quantity: str, unit: str, scope: str, known: Mixture, told) -> dict[str, Any]:
    low, high = known.limits
    value = float(told(known.centre))
    step = 1e-6
    slope = (told(known.centre + step) - told(known.centre - step)) / (2.0 * step)
    se = float(slope * known.spread)
    return _plain(quantity, unit, scope, value, se, float(told(low)), float(told(high)))


def _plain(quantity, unit, scope, estimate, se=np.nan, lower=np.nan, upper=np.nan) -> dict[str, Any]:
    interval = INTERVAL if np.isfinite(lower) else "none"
    rse = se / estimate if estimate and unit != "%" and not unit.startswith("% ") else np.nan
    return {"quantity": quantity, "unit": unit, "scope": scope, "estimate": float(estimate), "se": float(se),
            "rse": float(rse), "lower": float(lower), "upper": float(upper), "interval": interval}  # fmt: skip


__all__ = ["Trend", "processes", "trend"]
