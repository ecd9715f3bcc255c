"""Counts at sites in years with gaps: Poisson regression with overdispersion and serial correlation (TRIM).

log mu[i, j] = a_i + time effect; the variance of a count is sigma² mu, and the correlation of two years at a site rho
to the power of the years between. Generalised estimating equations (Liang & Zeger 1986, Biometrika 73:13), written from
the description of the method: Pannekoek & van Strien (2005), TRIM 3 manual, Statistics Netherlands, and ter Braak et
al. (1994). What is not counted is filled in from the model; totals and indices are of counts and fillings together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import chi2 as chi2_distribution
from scipy.stats import t as t_distribution

from ...survey.columns import MISSING
from ...survey.errors import Problems, refuse

MOST_STEPS, TOLERANCE = 200, 1e-10


def trim(
    counts: pd.DataFrame,
    model: int = 3,
    *,
    changepoints: Sequence[float] | str | None = None,
    overdispersion: bool = True,
    serial_correlation: bool = True,
    weights: str | None = None,
) -> TrimFit:
    """Time effects of counts at sites.

    Parameters
    ----------
    counts : columns `site`, `year`, `count`; a year at a site without a row, or with an empty count, was not counted
    model : 1 (no change), 2 (linear trend of the logarithm, also between change points), 3 (an effect of every year)
    changepoints : of model 2, years at which the slope changes; the first year alone by default
    overdispersion : estimate the variance of counts relative to Poisson
    serial_correlation : estimate the correlation of counts of a site from year to year
    weights : name of a column with the weight of a site in totals (the same in all its years)

    Raises
    ------
    SurveyError : columns that are missing, counts below 0, two counts of one site and year, years without any count,
        too few counts
    """
    if model not in (1, 2, 3):
        raise refuse("TRIM has models 1, 2 and 3", "Give 1, 2 or 3", value=model)
    data = _Counts.of(counts, weights)
    B = _time_design(data.years, model, changepoints)
    if overdispersion is False and serial_correlation:
        raise refuse("serial correlation needs overdispersion here", "Use overdispersion=True, or neither")
    free = data.n - len(data.sites) - B.shape[1]
    if free < 1:
        raise refuse("there are too few counts for this model", "Use a simpler model", value=f"{data.n} counts")
    return _estimate(data, model, B, changepoints, overdispersion, serial_correlation)


WHERE = "the table of counts"


@dataclass(frozen=True, eq=False)
class _Counts:
    """Counts [I, J], NaN where there is none; sites in which nothing was ever counted are not in it."""

    sites: tuple[str, ...]
    years: np.ndarray
    f: np.ndarray
    weight: np.ndarray  # [I]
    empty: tuple[str, ...]

    @property
    def seen(self) -> np.ndarray:
        return np.isfinite(self.f)

    @property
    def n(self) -> int:
        return int(self.seen.sum())

    @classmethod
    def of(cls, table: pd.DataFrame, weights: str | None) -> _Counts:
        lacking = [name for name in ("site", "year", "count", *([weights] if weights else ())) if name not in table]
        if lacking:
            raise refuse("the table of counts lacks columns", f"Add {', '.join(lacking)}", value=list(table))
        table = table.reset_index(drop=True)
        if not len(table):
            raise refuse("there are no counts", "Give a table of site, year, count", value=len(table))
        as_read = table["count"]
        empty = as_read.isna() | as_read.astype(str).str.strip().isin(MISSING)
        table = table.assign(site=table["site"].astype(str), year=pd.to_numeric(table["year"], errors="coerce"),
                             count=pd.to_numeric(as_read, errors="coerce"))  # fmt: skip
        bad = Problems()

        def fault(rows, what: str, fix: str, value=lambda i: None) -> None:
            for i in np.flatnonzero(rows):
                bad.add(what, fix, file=WHERE, row=int(i) + 2, value=value(i))

        fault(table["year"].isna(), "a year is missing", "Give it as a number")
        fix = "Correct it, or leave the cell empty where nobody counted"
        fault(~empty & ~np.isfinite(table["count"]), "a count is no number", fix, lambda i: as_read.iloc[i])
        fault(table["count"] < 0, "a count is below 0", "Correct it", lambda i: table["count"].iloc[i])
        fault(table.duplicated(["site", "year"]), "a site has two counts in one year", "Add them up, or keep one",
              lambda i: f"{table['site'].iloc[i]}, {table['year'].iloc[i]:g}")  # fmt: skip
        if weights:
            table[weights] = pd.to_numeric(w := table[weights], errors="coerce")
            fix = "Give a number above 0, the same in all rows of a site"
            fault(
                ~(np.isfinite(table[weights]) & (table[weights] > 0)),
                "a weight is not above 0",
                fix,
                w.iloc.__getitem__,
            )
            other = table[weights] != table.groupby("site")[weights].transform("first")
            fault(other & table[weights].notna(), "a site has two weights", fix, w.iloc.__getitem__)
        bad.raise_any()
        wide = table.pivot(index="site", columns="year", values="count")
        blank = [f"{year:g}" for year in wide if wide[year].isna().all()]
        if blank:
            raise refuse("nothing was counted in a year", "Leave the year out", value=blank)
        total = wide.sum(axis=1, min_count=1).fillna(0.0)
        kept, empty = wide[total > 0], tuple(map(str, wide.index[total <= 0]))
        zero = [f"{year:g}" for year in kept if not (kept[year] > 0).any()]
        if zero:
            raise refuse(
                "all counts of a year are 0", "Join years, or leave it out: its logarithm is not finite", value=zero
            )
        w = table.groupby("site")[weights].first() if weights else pd.Series(1.0, wide.index)
        return cls(tuple(map(str, kept.index)), kept.columns.to_numpy(float), kept.to_numpy(float),
                   w.reindex(kept.index).to_numpy(float), empty)  # fmt: skip


def _time_design(years: np.ndarray, model: int, changepoints: Sequence[float] | str | None) -> np.ndarray:
    """B [J, q]: the time effects, 0 in the first year."""
    t = years - years[0]
    if changepoints is not None and model != 2:
        raise refuse("change points are for model 2", "Leave them out", value=changepoints)
    if model == 1:
        return np.zeros((len(t), 0))
    if model == 3:
        return np.eye(len(t))[:, 1:]
    points = _points(years, changepoints) - years[0]
    ends = np.append(points[1:], t[-1])
    return np.clip(t[:, None] - points, 0.0, ends - points)


def _points(years: np.ndarray, changepoints: Sequence[float] | str | None) -> np.ndarray:
    points = np.array([years[0]] if changepoints is None else sorted(map(float, changepoints)))
    if not np.isin(points, years[:-1]).all() or points[0] != years[0] or len(set(points)) < len(points):
        what = "change points must be years of the counts, the first among them and not the last"
        raise refuse(what, "Correct them", value=points.tolist())
    return points


# ---- estimation ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Site:
    """What a site adds to the equations at given a_i and time effects: years counted, mu, D = mu [1, B], working
    variance without sigma²."""

    at: np.ndarray
    mu: np.ndarray
    inverse: np.ndarray  # of the working variance [m, m]

    def by_site(self) -> np.ndarray:
        """mu' V⁻¹ [m]."""
        return self.mu @ self.inverse


def _site(at: np.ndarray, mu: np.ndarray, years: np.ndarray, rho: float) -> _Site:
    root = np.sqrt(mu)
    if rho == 0.0:
        return _Site(at, mu, np.diag(1.0 / mu))
    R = rho ** np.abs(np.subtract.outer(years[at], years[at]))
    return _Site(at, mu, np.linalg.inv(R) / np.outer(root, root))


def _estimate(data, model, B, changepoints, overdispersion, serial_correlation) -> TrimFit:
    """Scoring steps for a and b, with sigma² and rho from the Pearson residuals after each."""
    n, q = len(data.sites), B.shape[1]
    a, b = np.log(np.nanmean(np.maximum(data.f, 0.0), axis=1)), np.zeros(q)
    sigma2, rho = 1.0, 0.0
    for _ in range(MOST_STEPS):
        mu = np.exp(a[:, None] + B @ b)
        sites = [_site(np.flatnonzero(data.seen[i]), mu[i, data.seen[i]], data.years, rho) for i in range(n)]
        information, score, da0, slope = np.zeros((q, q)), np.zeros(q), np.empty(n), np.empty((n, q))
        for i, s in enumerate(sites):
            DB = s.mu[:, None] * B[s.at]
            rest = data.f[i, s.at] - s.mu
            one = s.by_site()
            own, cross = one @ s.mu, one @ DB
            da0[i], slope[i] = one @ rest / own, cross / own
            information += DB.T @ s.inverse @ DB - np.outer(cross, cross) / own
            score += DB.T @ s.inverse @ rest - cross * da0[i]
        db = np.linalg.solve(information, score) if q else np.zeros(0)
        da = da0 - slope @ db
        step = min(1.0, 2.0 / max(1e-12, np.abs(da).max(initial=0.0)))
        a, b = a + step * da, b + step * db
        new2, new_rho = _dispersion(data, np.exp(a[:, None] + B @ b), q, overdispersion, serial_correlation)
        moved = max(np.abs(da).max(initial=0.0), np.abs(db).max(initial=0.0), abs(new2 - sigma2), abs(new_rho - rho))
        sigma2, rho = new2, new_rho
        if moved < TOLERANCE:
            break
    else:
        raise refuse("the estimating equations did not settle", "Use a simpler model, or serial_correlation=False")
    return TrimFit(data, model, tuple(_points(data.years, changepoints)) if model == 2 else (), B, a, b,
                   sigma2, rho, overdispersion, serial_correlation)  # fmt: skip


def _dispersion(data, mu, q: int, overdispersion: bool, serial_correlation: bool) -> tuple[float, float]:
    """sigma² from the Pearson residuals, and rho from those of years in a row."""
    r = (data.f - mu) / np.sqrt(mu)
    sigma2 = float(np.nansum(r**2)) / (data.n - len(data.sites) - q) if overdispersion else 1.0
    if not serial_correlation:
        return sigma2, 0.0
    pairs = (r[:, :-1] * r[:, 1:])[:, np.diff(data.years) == 1.0]
    known = np.isfinite(pairs)
    rho = float(pairs[known].mean()) / sigma2 if known.any() else 0.0
    return sigma2, float(np.clip(rho, -0.95, 0.95))


# ---- what follows --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class TrimFit:
    """Time effects, indices and totals of counts at sites."""

    data: Any
    model: int
    changepoints: tuple[float, ...]
    B: np.ndarray
    a: np.ndarray  # [I] log mean of each site in the first year
    b: np.ndarray  # [q] time effects
    overdispersion: float
    serial_correlation: float
    with_overdispersion: bool = True
    with_serial_correlation: bool = True

    @property
    def years(self) -> np.ndarray:
        return self.data.years

    @property
    def fitted(self) -> np.ndarray:
        """float [I, J]: expected counts."""
        return np.exp(self.a[:, None] + self.B @ self.b)

    @cached_property
    def _solved(self) -> tuple[np.ndarray, list[tuple[_Site, np.ndarray, np.ndarray]]]:
        """Inverse information C [q, q], and for each site (site, d a / d f [m], [q, m] of which C times is d b / d f).

        Both with b held: a_i then moves by the first, and by -slope · db with b.
        """
        mu, q = self.fitted, len(self.b)
        information, parts = np.zeros((q, q)), []
        for i in range(len(mu)):
            at = np.flatnonzero(self.data.seen[i])
            s = _site(at, mu[i, at], self.years, self.serial_correlation)
            DB, one = s.mu[:, None] * self.B[at], s.by_site()
            own, cross = one @ s.mu, one @ DB
            information += DB.T @ s.inverse @ DB - np.outer(cross, cross) / own
            parts.append((s, one / own, DB.T @ s.inverse - np.outer(cross, one) / own))
        return (np.linalg.inv(information) if q else np.zeros((0, 0))), parts

    @property
    def covariance(self) -> np.ndarray:
        """float [q, q] of the time effects."""
        return self.overdispersion * self._solved[0]

    def coefficients(self) -> pd.DataFrame:
        """Time effects: additive (log) and multiplicative with standard errors; by year, or by stretch of model 2."""
        se, label = np.sqrt(np.diag(self.covariance)), [f"{y:g}" for y in self.years]
        if self.model == 3:
            b, se = np.append(0.0, self.b), np.append(0.0, se)
            where = {"year": label}
        else:
            ends = [*self.changepoints[1:], self.years[-1]]
            where = {"from": [f"{y:g}" for y in self.changepoints], "to": [f"{y:g}" for y in ends][: len(self.b)]}
            b = self.b
        return pd.DataFrame(where | {"add": b, "se_add": se, "mul": np.exp(b), "se_mul": np.exp(b) * se})

    @cached_property
    def _imputed(self) -> tuple[np.ndarray, np.ndarray]:
        """Totals [J] of what was counted and, elsewhere, expected, and their covariance [J, J].

        The totals are a function of the counts; to first order their covariance is the sum over the sites of A V A',
        A the derivative of the totals by the counts of the site and V its (working) covariance.
        """
        mu, w, seen = self.fitted, self.data.weight, self.data.seen
        C, parts = self._solved
        J = len(self.years)
        missing = np.where(seen, 0.0, mu) * w[:, None]
        by_b = missing.sum(axis=0)[:, None] * self.B
        for i, (s, _, _) in enumerate(parts):
            one = s.by_site()
            by_b = by_b - np.outer(missing[i], one @ (s.mu[:, None] * self.B[s.at]) / (one @ s.mu))
        V = np.zeros((J, J))
        for i, (s, by_a, by_score) in enumerate(parts):
            A = np.outer(missing[i], by_a)
            A[s.at, np.arange(len(s.at))] += w[i]
            A = A + by_b @ C @ by_score
            V += A @ np.linalg.inv(s.inverse) @ A.T
        total = (np.where(seen, np.nan_to_num(self.data.f), mu) * w[:, None]).sum(axis=0)
        return total, self.overdispersion * V

    def totals(self) -> pd.DataFrame:
        """year, total (counts, and expected counts where there is none), se."""
        total, V = self._imputed
        return pd.DataFrame({"year": [f"{y:g}" for y in self.years], "total": total, "se": np.sqrt(np.diag(V))})

    def index(self, base: float | None = None) -> pd.DataFrame:
        """Totals relative to those of a year (the first by default), with the covariance between the years."""
        total, V = self._imputed
        at = np.flatnonzero(self.years == (self.years[0] if base is None else base))
        if not len(at):
            raise refuse("nothing was counted in the base year", "Choose one of the years", value=base)
        value = total / total[at[0]]
        L = np.diag(1.0 / total)
        L[:, at[0]] -= 1.0 / total[at[0]]
        se = value * np.sqrt(np.maximum(np.diag(L @ V @ L.T), 0.0))
        return pd.DataFrame({"year": [f"{y:g}" for y in self.years], "index": value, "se": se})

    def overall(self) -> pd.Series:
        """The overall slope: least squares through the logarithms of the totals, with their full covariance.

        add, se_add (log per year), mul, se_mul, p (t distribution with J - 2 degrees of freedom), lower and upper of
        mul, and `meaning`, one of TRIM's classes, from this interval and 5 % per year.
        """
        total, V = self._imputed
        J = len(self.years)
        if J < 3:
            raise refuse("an overall slope needs three years", "Compare the totals", value=J)
        away = self.years - self.years.mean()
        c = away / (away @ away)
        add = float(c @ np.log(total))
        se = float(np.sqrt(c @ (V / np.outer(total, total)) @ c))
        t = abs(add) / se
        half = float(t_distribution.ppf(0.975, J - 2)) * np.exp(add) * se
        mul = float(np.exp(add))
        p = float(2.0 * t_distribution.sf(t, J - 2))
        return pd.Series({"add": add, "se_add": se, "mul": mul, "se_mul": mul * se, "p": p, "lower": mul - half,
                          "upper": mul + half, "meaning": meaning(mul - half, mul + half)})  # fmt: skip

    def goodness(self) -> pd.DataFrame:
        """Pearson's chi-square and the likelihood ratio against Poisson counts; AIC less a constant, as in TRIM.

        With serial correlation fitted and observed totals differ; the ratio here has the term of this difference.
        """
        f, mu, seen = self.data.f, self.fitted, self.data.seen
        free = self.data.n - len(self.data.sites) - len(self.b)
        f, mu = f[seen], mu[seen]
        pearson = float(np.sum((f - mu) ** 2 / mu))
        ratio = 2.0 * float(np.sum(np.where(f > 0, f * np.log(np.where(f > 0, f, 1.0) / mu), 0.0) - (f - mu)))
        rows = [("chi-square", pearson), ("likelihood ratio", ratio)]
        return pd.DataFrame(
            [{"test": n, "statistic": v, "df": free, "p": float(chi2_distribution.sf(v, free))} for n, v in rows]
        ).assign(aic=ratio - 2 * free)

    def annual_estimates(self):
        """The totals, as a trend needs them."""
        from .annual import AnnualEstimates

        total, V = self._imputed
        words = {"estimator": f"TRIM model {self.model}", "footprint": f"the same {len(self.data.sites)} sites"}
        return AnnualEstimates(self.years, np.log(total), V / np.outer(total, total), "total count", "animals",
                               definitions=(words,) * len(total))  # fmt: skip

    def __str__(self) -> str:
        seen = f"{self.data.n} of {self.data.f.size} counts, {len(self.data.sites)} sites, {len(self.years)} years"
        lines = [f"TRIM model {self.model}: {seen}"]
        lines.append(f"overdispersion {self.overdispersion:.3f}, serial correlation {self.serial_correlation:.3f}")
        if self.data.empty:
            lines.append(f"left out, nothing was ever counted there: {', '.join(self.data.empty)}")
        if len(self.years) > 2:
            o = self.overall()
            lines.append(f"overall slope {o['mul']:.4f} (SE {o['se_mul']:.4f}): {o['meaning']}")
        return "\n".join(lines)

    __repr__ = __str__


def meaning(lower: float, upper: float) -> str:
    """TRIM's class of a multiplicative slope with its 95 % interval.

    >>> meaning(1.01, 1.04), meaning(0.97, 1.02), meaning(0.9, 1.02), meaning(0.8, 0.93)
    ('moderate increase', 'stable', 'uncertain', 'strong decrease')
    """
    if lower > 1.0:
        return "strong increase" if lower > 1.05 else "moderate increase"
    if upper < 1.0:
        return "strong decrease" if upper < 0.95 else "moderate decrease"
    return "stable" if lower > 0.95 and upper < 1.05 else "uncertain"
