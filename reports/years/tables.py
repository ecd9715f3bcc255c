"""The tables of several years, each a function from the analysis to text in cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ...models.summary import number, percent
from ...models.trends.comparable import overlap
from ...models.trends.iucn import too_short
from ...models.trends.trend import DEFINITIONS, Trend, signed
from ..tables import facts
from .analysis import YearAnalysis

METHODS = {"gls": "generalised least squares", "estimates": "the estimates of the years alone"}
MOST_CORRELATED = 15  # years that a table of correlations shows


def summary(analysis: YearAnalysis) -> pd.DataFrame:
    """T1: one line per fact."""
    annual, asked = analysis.annual, analysis.study.config.trend
    lines = {
        "Species": analysis.study.species,
        "Years": f"{len(annual)}, {annual.labels[0]} to {annual.labels[-1]}",
        "What is followed": annual.quantity,
        "Unit": annual.unit,
        "How the years were estimated": _how(analysis),
        "Method of the trend": METHODS.get(analysis.trend.method, analysis.trend.method),
    }
    if asked.generation is not None:
        lines["Length of a generation"] = f"{asked.generation:g} years"
    if analysis.study.common is not None:
        lines["Ground that all years share"] = f"{analysis.study.common.area:,.0f} km²"
    return facts(lines)


def _how(analysis: YearAnalysis) -> str:
    if analysis.study.counts is not None:
        return "counts at sites, the gaps filled by a model (TRIM)"
    return "all years in one model" if analysis.joint or analysis.study.whole is not None else "each year by itself"


def counts(analysis: YearAnalysis) -> pd.DataFrame | None:
    """T49: what TRIM says of the counts."""
    fit = analysis.study.counts
    if fit is None:
        return None
    overall = fit.overall() if len(fit.years) > 2 else None
    lines = {
        "Sites": f"{len(fit.data.sites):,}",
        "Counts": f"{fit.data.n:,}",
        "Counts that could have been": f"{fit.data.f.size:,}",
        "Sites where nothing was ever counted": f"{len(fit.data.empty):,}",
        "Overdispersion": number(fit.overdispersion, 3),
        "Serial correlation": number(fit.serial_correlation, 2),
    }
    if overall is not None:
        lines["Overall slope (SE)"] = f"{number(overall['mul'], 4)} ({number(overall['se_mul'], 2)})"
        lines["Class of the slope"] = overall["meaning"]
    return facts(lines)


def by_year(analysis: YearAnalysis) -> pd.DataFrame:
    """T50: the estimate of every year, its index, and where it comes from."""
    told, index = analysis.trend.years(), analysis.trend.index(analysis.study.config.trend.base)
    frame = pd.DataFrame({"year": told["year"]})
    frame["estimate"] = [number(v) for v in told["estimate"]]
    frame["se"] = [number(v, 3) for v in told["se"]]
    frame["RSE"] = [percent(v) for v in told["rse"]]
    frame["95 % interval"] = _ends(told["lower"], told["upper"])
    frame["index"] = [number(v, 3) for v in index["index"]]
    frame["index, 95 % interval"] = _ends(index["lower"], index["upper"])
    if analysis.trend.method != "estimates":
        frame["after all years"] = [number(v) for v in told["fitted"]]
        frame["after all years, 95 % interval"] = _ends(told["fitted_lower"], told["fitted_upper"])
    frame["from"] = analysis.sources
    return frame


def _ends(lower, upper) -> list[str]:
    return [f"{number(a, 3)} – {number(b, 3)}" for a, b in zip(lower, upper, strict=True)]


def change(analysis: YearAnalysis) -> pd.DataFrame:
    """T51: growth, change and the probability of a decline, by both definitions of a trend."""
    rows = []
    for definition in DEFINITIONS:
        growth, total = analysis.trend.log_growth(definition), analysis.trend.log_change(definition)
        ends, limits = np.expm1(growth.limits), np.expm1(total.limits)
        row = {"definition": definition}
        row["per year (95 % interval)"] = (
            f"{_yearly(np.expm1(growth.centre))} ({_yearly(ends[0])} – {_yearly(ends[1])})"
        )
        row["change (95 % interval)"] = f"{_whole(np.expm1(total.centre))} ({_whole(limits[0])} – {_whole(limits[1])})"
        row["P(decline)"] = chance(total.below(0.0))
        row |= {f"P(decline > {s} %)": chance(total.below(float(np.log1p(-s / 100)))) for s in (30, 50, 80)}
        rows.append(row)
    return pd.DataFrame(rows)


def _yearly(share: float) -> str:
    return f"{percent_of(share)} %"


def _whole(share: float) -> str:
    return f"{signed(share)} %"


def percent_of(share: float) -> str:
    """A yearly change in percent with one decimal and its sign.

    >>> percent_of(0.0123), percent_of(-0.05)
    ('+1.2', '−5.0')
    """
    return f"{'+' if share > 0 else '−' if share < 0 else ''}{abs(100 * share):.1f}"


def chance(p: float) -> str:
    """A probability that people read: never a bare 0 or 1.

    >>> chance(0.5), chance(0.0004), chance(0.9999)
    ('50 %', '< 1 %', '> 99 %')
    """
    return "< 1 %" if p < 0.005 else "> 99 %" if p > 0.995 else f"{100 * p:.0f} %"


def variation(analysis: YearAnalysis) -> pd.DataFrame:
    """T52: what the numbers did, what sampling adds, and what such surveys could find."""
    found = analysis.trend
    rows = []
    for row in found.components().to_dict("records"):
        ends = f"{number(row['lower'], 3)} – {number(row['upper'], 3)}" if np.isfinite(row["lower"]) else ""
        rows.append({"quantity": row["quantity"], "estimate": number(row["estimate"], 3), "95 % interval": ends})
    down, up = found.detectable()
    rows.append({"quantity": "detectable decrease", "estimate": f"{signed(down)} %", "95 % interval": ""})
    rows.append({"quantity": "detectable increase", "estimate": f"{signed(up)} %", "95 % interval": ""})
    return pd.DataFrame(rows)


def red_list(analysis: YearAnalysis) -> pd.DataFrame | None:
    """T53: the categories of the Red List."""
    found: Trend = analysis.trend
    if found.generation is None or too_short(found):
        return None
    told, slow = found.iucn("A2"), found.iucn("A1")
    frame = pd.DataFrame({"category": told["category"]})
    for name, rows in (("A2", told), ("A1", slow)):
        frame[f"reduction, {name}"] = ["" if v == 0 else f"≥ {100 * v:.0f} %" for v in rows["reduction"]]
        frame[f"probability, {name}"] = [chance(p) for p in rows["probability"]]
    return frame


def other_methods(analysis: YearAnalysis) -> pd.DataFrame | None:
    """T54: the change by the other methods and models of the years."""
    rows = []
    others = {name: t for name, t in analysis.series.items() if name != analysis.reported}
    for name, found in {**analysis.other_methods, **others}.items():
        total = found.log_change("end-point")
        ends = np.expm1(total.limits)
        rows.append({"method": METHODS.get(name, name), "change": f"{signed(np.expm1(total.centre))} %",
                     "change, 95 % interval": f"{signed(ends[0])} – {signed(ends[1])} %",
                     "P(decline)": chance(total.below(0.0))})  # fmt: skip
    return pd.DataFrame(rows) if rows else None


def correlations(analysis: YearAnalysis) -> pd.DataFrame | None:
    """T55: correlation of the errors of the years; none where they are independent."""
    V = analysis.annual.covariance
    sd = np.sqrt(np.diag(V))
    R = V / np.outer(sd, sd)
    if len(R) > MOST_CORRELATED or np.abs(R - np.eye(len(R))).max() < 5e-4:
        return None
    labels = analysis.annual.labels
    return pd.DataFrame([[y, *(f"{v:.2f}" for v in row)] for y, row in zip(labels, R, strict=True)],
                        columns=["year", *labels])  # fmt: skip


def work(analysis: YearAnalysis) -> pd.DataFrame | None:
    """T56: effort, ground and findings of every year, and the share of ground in common with the year before."""
    rows, before, known = [], None, set()
    for part in analysis.study.parts:
        row: dict[str, Any] = {"year": part.label}
        study = part.study
        if hasattr(study, "captures"):
            c = study.captures
            d, animals = c.detectors, set(map(str, c.animals.index))
            row |= {"stations": f"{len(d):,}", "effort": f"{np.nansum(d.effort):,.0f} {d.effort_unit}"}
            row |= {"detections": f"{c.n_detections:,}", "animals": f"{c.n_animals:,}"}
            row["met in an earlier year"] = f"{len(animals & known):,}" if before is not None else ""
            row["footprint"] = f"{study.mask.area:,.0f} km²"
            row["in common with the year before"] = "" if before is None else percent(overlap(before, study.mask))
            before, known = study.mask, known | animals
        elif hasattr(study, "history") and hasattr(study.history, "visited"):
            h = study.history
            row |= {"stations": f"{int(h.visited.sum()):,}", "effort": f"{int(h.done.sum()):,} visits"}
            row |= {"detections": f"{int(h.detected.any(axis=1).sum()):,}"}
        rows.append(row)
    frame = pd.DataFrame(rows).fillna("")
    return frame if len(frame.columns) > 1 else None


def differences(analysis: YearAnalysis) -> pd.DataFrame | None:
    """T57: what is not the same in all years."""
    found = analysis.trend.differences
    if not found:
        return None
    rows = [{"what": d.what, **{year: value or "–" for year, value in d.values}} for d in found]
    return pd.DataFrame(rows)
