"""Annual estimates with the covariance of their errors, from whatever they came: the one thing that trends are about.

Errors are on the scale of the logarithm. Years that share detection, animals or sites have errors that go together; a
trend that takes them for independent is wrong, and mostly too sure or too timid.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...survey.errors import Problems, refuse
from ..derived import LEVEL, z_of

SINGULAR = 1e-9  # smallest eigenvalue of a correlation matrix, below which the years were already tied by a model
FIRST = ("density", "abundance", "expected abundance", "occupancy")  # what is followed where nobody says what


@dataclass(frozen=True, eq=False)
class AnnualEstimates:
    """Estimates of T years.

    Parameters
    ----------
    years : float [T], rising; need not be one apart
    log_estimates : float [T]
    covariance : float [T, T] of the errors of `log_estimates`
    quantity, unit : what was estimated
    labels : names of the years
    definitions : by year, what was done and how it was called: footprint, observation, detection and the like, see
        `comparable`; "" where it is not known
    footprints : by year a HabitatMask, or None where it is not known
    """

    years: np.ndarray
    log_estimates: np.ndarray
    covariance: np.ndarray
    quantity: str = "abundance"
    unit: str = "animals"
    labels: tuple[str, ...] = ()
    definitions: tuple[Mapping[str, str], ...] = ()
    footprints: tuple[Any, ...] = field(default=(), repr=False)

    def __post_init__(self):
        years, y, V = (np.asarray(v, float) for v in (self.years, self.log_estimates, self.covariance))
        T = len(years)
        if y.shape != (T,) or V.shape != (T, T):
            raise refuse("years, estimates and covariance do not fit", f"Give [{T}] and [{T}, {T}]", value=V.shape)
        if T < 2:
            raise refuse("a change needs two years", "Give at least two annual estimates", value=T)
        if not (np.diff(years) > 0).all():
            raise refuse(
                "years must rise, each once", "Sort them, and give one estimate for each", value=years.tolist()
            )
        if not np.isfinite(y).all() or not np.isfinite(V).all():
            missing = [f"{t:g}" for t in years[~(np.isfinite(y) & np.isfinite(np.diag(V)))]]
            what = f"estimates or standard errors are missing, or not above 0: {', '.join(missing)}"
            raise refuse(what, "Leave out years without a usable estimate; a boundary estimate is none")
        if np.abs(V - V.T).max() > 1e-8 * np.abs(V).max() or np.linalg.eigvalsh(V).min() < -1e-8 * np.abs(V).max():
            what = "this is no covariance: it is not symmetric, or gives some difference a negative variance"
            raise refuse(what, "Give the covariance of the log estimates")
        for name, value in (("years", years), ("log_estimates", y), ("covariance", 0.5 * (V + V.T))):
            value.flags.writeable = False
            object.__setattr__(self, name, value)
        object.__setattr__(self, "labels", self.labels or tuple(f"{t:g}" for t in years))
        object.__setattr__(self, "definitions", self.definitions or ({},) * T)
        object.__setattr__(self, "footprints", self.footprints or (None,) * T)

    def __len__(self) -> int:
        return len(self.years)

    @property
    def estimates(self) -> np.ndarray:
        """float [T]"""
        return np.exp(self.log_estimates)

    @property
    def tied(self) -> bool:
        """Whether a model has already tied the years together, so that their errors have no full covariance."""
        sd = np.sqrt(np.diag(self.covariance))
        return bool(np.linalg.eigvalsh(self.covariance / np.outer(sd, sd)).min() < SINGULAR)

    def table(self) -> pd.DataFrame:
        """year, estimate, se, rse, lower, upper (95 % log-normal)."""
        s, value = np.sqrt(np.diag(self.covariance)), self.estimates
        rse = np.sqrt(np.expm1(s**2))
        ends = {"lower": value * np.exp(-z_of() * s), "upper": value * np.exp(z_of() * s)}
        frame = pd.DataFrame({"year": self.labels, "estimate": value, "se": value * rse, "rse": rse, **ends})
        return frame.assign(interval=f"{100 * LEVEL:g}% log-normal")

    # ---- where they come from -------------------------------------------------------------------------------------

    @classmethod
    def of(cls, source: Any, **how: Any) -> AnnualEstimates:
        """From a joint fit of several years, fits by year, a table, results of reports, or counts that TRIM has read.

        Parameters
        ----------
        source : a Fit of several sessions, seasons or occasions; a mapping year -> Fit (independent data); a DataFrame
            as for `from_table`; a mapping year -> results.json of a report; a TrimFit; or an AnnualEstimates
        how : as for `from_fit`, `from_fits`, `from_table` or `from_results`
        """
        if isinstance(source, AnnualEstimates):
            if how:
                raise refuse("annual estimates are taken as they are", "Leave these out", value=", ".join(how))
            return source
        if isinstance(source, pd.DataFrame):
            return cls.from_table(source, **how)
        if hasattr(source, "annual_estimates"):
            return source.annual_estimates(**how)
        if isinstance(source, Mapping):
            if not source:
                raise refuse("there are no years", "Give year -> fit, or year -> results.json")
            stored = all(isinstance(v, (str, Path, dict)) for v in source.values())
            return cls.from_results(source, **how) if stored else cls.from_fits(source, **how)
        if hasattr(source, "model") and hasattr(source, "covariance"):
            return cls.from_fit(source, **how)
        raise refuse("a trend cannot be found in this", "Give a fit, year -> fit, a table or year -> results.json",
                     value=type(source).__name__)  # fmt: skip

    @classmethod
    def from_fit(cls, fit: Any, *, quantity: str | None = None, years: Sequence[float] | None = None,
                 region: Any = None, kind: str | None = None) -> AnnualEstimates:  # fmt: skip
        """The years of one joint fit, with the covariance that comes of what they share.

        Parameters
        ----------
        fit : of SCR with several sessions, of occupancy or abundance through seasons, of an open or robust population
        quantity : where a model has several
        years : of the sessions, seasons or occasions, where their names do not hold them
        region : of spatial fits, the area in which animals are counted: the same in all years
        kind : of occupancy, "projected" (default) or "smoothed": what these very sites did
        """
        from .from_fits import series_of

        series = series_of(fit, quantity, region, kind)
        return cls(years=years_of(series.labels, years), log_estimates=series.log_estimates,
                   covariance=series.covariance, quantity=series.quantity, unit=series.unit, labels=series.labels,
                   definitions=series.definitions, footprints=series.footprints)  # fmt: skip

    @classmethod
    def from_fits(cls, fits: Mapping[Any, Any], *, quantity: str | None = None, region: Any = None,
                  correlation: np.ndarray | None = None, shared: Sequence[str] = ()) -> AnnualEstimates:  # fmt: skip
        """One fit for each year, of data of its own.

        Parameters
        ----------
        fits : year -> Fit
        quantity : by default the first that the fits have of density, abundance, occupancy
        region : of spatial fits, the area in which animals are counted
        correlation : [T, T] of the errors, where years share something; none by default
        shared : names of parameters that all fits took from one common source with its error (such as sigma of a
            pooled fit, fixed in each): the errors of the years then go together, and `correlation` must say how
        """
        from .from_fits import one_year

        if shared and correlation is None:
            raise refuse("fits that share parameters have errors that go together",
                         "Give correlation=, or fit all years in one model", value=list(shared))  # fmt: skip
        names, found = tuple(map(str, fits)), [one_year(fit, quantity, region) for fit in fits.values()]
        kinds = {(one.quantity, one.unit) for one in found}
        if len(kinds) > 1:
            raise refuse("the years estimate different things", "Give quantity=", value=sorted(kinds))
        order = np.argsort(years_of(names), kind="stable")
        sd = np.array([one.log_se for one in found])
        R = correlation_of(correlation, len(sd))
        made = cls(
            years=years_of(names)[order],
            log_estimates=np.array([one.log_estimate for one in found])[order],
            covariance=(np.outer(sd, sd) * R)[np.ix_(order, order)],
            quantity=found[0].quantity,
            unit=found[0].unit,
            labels=tuple(names[i] for i in order),
            definitions=tuple(found[i].definition for i in order),
            footprints=tuple(found[i].footprint for i in order),
        )
        return made

    @classmethod
    def from_table(cls, table: pd.DataFrame, *, quantity: str = "abundance", unit: str = "animals",
                   correlation: np.ndarray | None = None) -> AnnualEstimates:  # fmt: skip
        """Published estimates.

        Parameters
        ----------
        table : `year`, `estimate`, and `se` (or `rse`, or `lower` and `upper` of a 95 % interval); any other column is
            a definition that years may share or not, such as `footprint` or `identities`
        correlation : [T, T] of the errors; none by default

        Raises
        ------
        SurveyError : every row that cannot be used
        """
        table = table.rename(columns=str)
        spread = any(set(names) <= set(table) for names in (("se",), ("rse",), ("lower", "upper")))
        if not {"year", "estimate"} <= set(table) or not spread:
            fix = "Give year, estimate, and se (or rse, or lower and upper)"
            raise refuse("the table of estimates lacks columns", fix, value=list(table))
        if len(table) < 2:
            raise refuse("a change needs two years", "Give at least two annual estimates", value=len(table))
        y, sd = _checked(table)
        order = np.argsort(table["year"].to_numpy(float), kind="stable")
        R = correlation_of(correlation, len(sd))
        known = {"year", "estimate", "se", "rse", "lower", "upper"}
        more = table.drop(columns=[name for name in table if name in known]).fillna("").astype(str)
        return cls(
            years=table["year"].to_numpy(float)[order],
            log_estimates=y[order],
            covariance=(np.outer(sd, sd) * R)[np.ix_(order, order)],
            quantity=quantity,
            unit=unit,
            definitions=tuple(more.iloc[i].to_dict() for i in order),
        )

    @classmethod
    def from_results(cls, results: Mapping[Any, Any], *, quantity: str | None = None, scope: str | None = None,
                     correlation: np.ndarray | None = None) -> AnnualEstimates:  # fmt: skip
        """The reported estimates of several reports.

        Parameters
        ----------
        results : year -> results.json (a path, or its content)
        quantity, scope : which estimate; by default the first of density, abundance, occupancy that is reported
        correlation : [T, T] of the errors; none by default
        """
        rows, definitions = [], []
        for year, given in results.items():
            content = _stored(year, given)
            row = reported_row(content, quantity, scope)
            rows.append({"year": year_of(str(year)), **row})
            definitions.append({k: str(v) for k, v in content.get("definitions", {}).items()}
                               | {"interval": row["interval"], "scope": row["scope"]})  # fmt: skip
        bad = Problems()
        for year, row in zip(results, rows, strict=True):
            if not (row["estimate"] or 0) > 0 or not (row["se"] or 0) > 0:
                what = f"the report of {year} has no estimate above 0 with its standard error"
                told = f"{row['quantity']}: {row['estimate']}, se {row['se']}"
                bad.add(what, "Leave the year out; a boundary estimate is none", value=told)
        bad.raise_any()
        units = {(row["quantity"], row["unit"]) for row in rows}
        if len(units) > 1:
            raise refuse("the reports estimate different things", "Give quantity=", value=sorted(units))
        order = sorted(range(len(rows)), key=lambda i: rows[i]["year"])
        frame = pd.DataFrame([rows[i] for i in order])[["year", "estimate", "se"]]
        R = correlation_of(correlation, len(rows))[np.ix_(order, order)]
        made = cls.from_table(frame, quantity=rows[0]["quantity"], unit=rows[0]["unit"], correlation=R)
        return replace(made, definitions=tuple(definitions[i] for i in order))


def _stored(year: Any, given: Any) -> dict:
    """The content of a results.json, given itself or by its path."""
    content, path = given, None
    if not isinstance(given, dict):
        path = Path(given)
        if not path.is_file():
            raise refuse("there is no such file", "Give the results.json of a report", file=path, value=str(path))
        try:
            content = json.loads(path.read_text("utf-8"))
        except ValueError:
            content = None
    if not isinstance(content, dict) or not {"estimates", "reported"} <= set(content):
        raise refuse("this is no results.json", "Give that of a report of uncia", file=path, value=year)
    return content


def reported_row(results: Mapping[str, Any], quantity: str | None = None, scope: str | None = None) -> dict:
    """One estimate of the reported model of a results.json."""
    rows = [row for row in results["estimates"] if row["model"] == results["reported"]]
    wanted = [quantity] if quantity else FIRST
    for name in wanted:
        found = [row for row in rows if row["quantity"] == name and scope in (None, row["scope"])]
        if found:
            return found[0]
    have = sorted({f"{row['quantity']} in {row['scope']}" for row in rows})
    raise refuse("a report has no such estimate", f"It has {', '.join(have)}", value=quantity or scope)


def years_of(labels: Sequence[str], years: Sequence[float] | None = None) -> np.ndarray:
    """Years as numbers: those given, or those in the labels."""
    if years is None:
        return np.array([year_of(label) for label in labels])
    if len(years) != len(labels):
        raise refuse("there must be as many years as estimates", f"Give {len(labels)}", value=len(years))
    return np.asarray(years, float)


def year_of(label: str) -> float:
    """The year in a name.

    >>> year_of("2019"), year_of("winter 2019-20"), year_of("3")
    (2019.0, 2019.0, 3.0)
    """
    found = re.search(r"(?<!\d)(?:1[89]|20)\d\d(?!\d)", label) or re.fullmatch(r"\s*\d+(?:\.\d+)?\s*", label)
    if found is None:
        raise refuse("there is no year in this name", "Give years=", value=label)
    return float(found[0])


def _checked(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Log estimates and their standard errors from whichever columns there are; all bad rows at once."""
    bad, where = Problems(), "the table of estimates"
    number = lambda name: pd.to_numeric(table[name], errors="coerce").to_numpy(float)  # noqa: E731
    estimate, year = number("estimate"), number("year")
    used = next(names for names in (("se",), ("rse",), ("lower", "upper")) if set(names) <= set(table))
    ends = [number(name) for name in used]
    wrong = np.any([~np.isfinite(v) | (v <= 0) for v in ends], axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        if len(ends) == 2:
            wrong |= (ends[0] >= estimate) | (estimate >= ends[1])
            sd = (np.log(ends[1]) - np.log(ends[0])) / (2.0 * z_of())
        else:
            sd = np.sqrt(np.log1p((ends[0] / (estimate if used == ("se",) else 1.0)) ** 2))
    for i in range(len(table)):
        if not np.isfinite(year[i]):
            bad.add("a year is missing", "Give it as a number", file=where, row=i + 2, value=table["year"].iloc[i])
        elif (year == year[i])[:i].any():
            bad.add("a year is given twice", "Give one estimate for each year", file=where, row=i + 2, value=year[i])
        if not (np.isfinite(estimate[i]) and estimate[i] > 0):
            fix = "Leave the year out; of a zero no change in percent can be told"
            bad.add("an estimate is not above 0", fix, file=where, row=i + 2, value=table["estimate"].iloc[i])
        elif wrong[i] and len(used) == 1:
            fix = "Give it, or leave the year out: a number without an error cannot be compared with others"
            value = table[used[0]].iloc[i]
            bad.add(f"{used[0]} is not a number above 0", fix, file=where, row=i + 2, value=value)
        elif wrong[i]:
            fix = "Give limits above 0 with the estimate between them, or se"
            value = f"{table['lower'].iloc[i]} to {table['upper'].iloc[i]}"
            bad.add(
                "the estimate is not between lower and upper, both above 0", fix, file=where, row=i + 2, value=value
            )
    bad.raise_any()
    return np.log(estimate), sd


def correlation_of(given: Any, T: int) -> np.ndarray:
    """[T, T] with ones on the diagonal."""
    if given is None:
        return np.eye(T)
    R = np.asarray(given, float)
    if R.shape != (T, T):
        raise refuse("the correlation does not fit the estimates", f"Give [{T}, {T}]", value=R.shape)
    if not (np.abs(np.diag(R) - 1.0) < 1e-6).all() or not (np.abs(R) < 1.0 + 1e-6).all():
        fix = "Give correlations from -1 to 1, with 1 on the diagonal: variances are those of the estimates"
        raise refuse("this is no correlation", fix, value=np.round(R, 4).tolist())
    return R
