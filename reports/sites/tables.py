"""The tables of surveys of sites, each a function from the analysis to text in cells."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...models.summary import number, percent
from ..analysis import Analysis
from ..tables import facts

STATES = ("occupied", "abundance")  # what a posterior may say of a site


def summary(analysis: Analysis) -> pd.DataFrame:
    """T1: one line per fact."""
    study = analysis.study
    history, tables = study.history, study.tables
    lines = {"Species": study.species}
    if tables is not None:
        first, last = tables.deployments["start"].min(), tables.deployments["end"].max()
        lines["Survey"] = f"{first:%Y-%m-%d} to {last:%Y-%m-%d}, {tables.timezone}"
        lines["Visits"] = f"each of {study.config.occasions.length}"
    lines["Sites"] = f"{history.n_sites}, {int(history.visited.sum())} of them visited"
    if history.n_seasons > 1:
        labels = history.season_labels
        lines["Seasons"] = f"{history.n_seasons}, {labels[0]} to {labels[-1]}"
    lines["Visits done"] = f"{int(history.done.sum()):,}"
    lines["Visits that did not take place"] = f"{int((~history.done).sum()):,}, which say nothing"
    if history.effort_unit != "visits":
        lines[f"Effort ({history.effort_unit})"] = f"{np.nansum(history.effort[history.done]):,.1f}"
    if history.value[history.done].max() > 1 and counted(analysis):
        lines["Counted in all"] = f"{history.value[history.done].sum():,.0f}"
    lines["Visits that found something"] = f"{int((history.value[history.done] > 0).sum()):,}"
    lines["Sites where something was found"] = f"{int(history.detected.any(axis=1).sum())}"
    if history.area is not None:
        lines["Area of the sites"] = f"{history.area.sum():,.0f} km²"
    if study.mask is not None:
        lines["Land"] = f"{study.mask.area:,.0f} km² in {study.mask.size:,} cells of {study.mask.spacing:,.6g} m"
    return facts(lines)


def counted(analysis: Analysis) -> bool:
    """Whether findings are counts of animals."""
    return getattr(analysis.fit.model, "data_kind", "") in ("counts", "removals")


def seasons(analysis: Analysis) -> pd.DataFrame | None:
    """T20: visits, effort and findings of each season."""
    history = analysis.study.history
    if history.n_seasons == 1:
        return None
    rows = []
    for t, label in enumerate(history.season_labels):
        here = history.done & (history.season_of == t)
        visited, found = len(np.unique(history.site_of[here])), int(history.detected[:, t].sum())
        row = {"season": label, "sites visited": visited, "visits": int(here.sum())}
        if history.effort_unit != "visits":
            row[history.effort_unit] = f"{np.nansum(history.effort[here]):,.1f}"
        rows.append(row | {"sites found at": found, "share": percent(found / visited) if visited else "–"})
    return pd.DataFrame(rows)


def kilometres(analysis: Analysis) -> pd.DataFrame | None:
    """T22: what became of the effort of patrols."""
    ledger = analysis.study.history.effort_ledger
    if not len(ledger):
        return None
    numbers = [name for name in ledger if pd.api.types.is_float_dtype(ledger[name])]
    shown = ledger.reset_index() if ledger.index.name else ledger
    return shown.assign(**{name: [f"{v:,.1f}" for v in ledger[name]] for name in numbers})


def naive_share(history) -> pd.Series:
    """Share of the sites visited at which something was found, by season; NaN where nobody looked."""
    seen = np.zeros((history.n_sites, history.n_seasons), bool)
    seen[history.site_of[history.done], history.season_of[history.done]] = True
    with np.errstate(invalid="ignore"):
        return pd.Series(history.detected.sum(axis=0) / np.where(seen.any(axis=0), seen.sum(axis=0), np.nan))


def sites(analysis: Analysis) -> pd.DataFrame | None:
    """T21: the sites; in a public report only how many there are on a coarse grid."""
    frame = by_site(analysis)
    if not analysis.study.config.report.public:
        return frame
    keys = [axis for axis in ("x", "y") if axis in frame]  # where they are is not for everybody
    return frame.groupby(keys, as_index=False).agg(sites=("site", "size")) if keys else None


def by_site(analysis: Analysis) -> pd.DataFrame:
    """Every site with its place, visits and findings, and what the reported model says of it."""
    history, report = analysis.study.history, analysis.study.config.report
    grid = report.public_grid if report.public else 1.0
    frame = pd.DataFrame({"site": history.sites.index})
    if {"x", "y"} <= set(history.sites):
        for axis in ("x", "y"):
            values = np.round(history.sites[axis].to_numpy(float) / grid) * grid
            frame[axis] = [f"{v:.0f}" if np.isfinite(v) else "" for v in values]
    done = history.site_of[history.done]
    frame["visits"] = np.bincount(done, minlength=history.n_sites)
    if history.effort_unit != "visits":
        effort = np.bincount(done, history.effort[history.done], minlength=history.n_sites)
        frame[history.effort_unit] = [f"{v:.1f}" for v in effort]
    frame["findings"] = np.bincount(done, history.value[history.done] > 0, minlength=history.n_sites).astype(int)
    state = states(analysis)
    if state is not None:
        for name in [n for n in STATES if n in state]:
            frame[name] = [number(v, 2) for v in state[name]]
    return frame


def states(analysis: Analysis) -> pd.DataFrame | None:
    """What the reported model says of each site, in the last season: `site`, and `occupied` or `abundance`."""
    posterior = getattr(analysis.fit, "posterior", None)
    if posterior is None:
        return None
    found = posterior()
    if "season" in found:
        found = found[found["season"] == analysis.study.history.season_labels[-1]]
    return found.set_index("site").reindex(analysis.study.history.sites.index).reset_index()
