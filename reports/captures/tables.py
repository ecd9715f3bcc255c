"""The tables of spatial capture-recapture, each a function from the analysis to text in cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import shapely

from ...models.summary import number, percent
from ...survey.detectors import LINES
from ...survey.display import some
from ...survey.telemetry import TOO_CLOSE
from ...survey.together import Together, methods_of
from ..analysis import Analysis
from ..precision import smallest_change
from ..tables import estimates as all_estimates
from ..tables import facts as fact_table
from .resight import facts as sighted

# ---- what was done ------------------------------------------------------------------------------------------------


def survey_summary(analysis: Analysis) -> pd.DataFrame:
    """T1: one line per fact."""
    study = analysis.study
    captures, mask, tables = study.captures, study.mask, study.captures.tables
    detectors = captures.detectors
    facts = {"Species": study.species}
    if study.dates:
        first, last = study.dates
        facts["Survey"] = f"{first:%Y-%m-%d} to {last:%Y-%m-%d}, {tables.timezone if tables else first.tz}"
    length = f", each of {study.config.occasions.length}" if tables is not None else ""
    methods = methods_of(captures)
    for m, c in methods.items():
        of = f" ({m})" if m else ""
        facts[f"Occasions{of}"] = f"{c.n_occasions}{length}"
        length = ""
        if not c.detectors.located:
            between = number(c.detectors.spacing / 1000, 2)
            facts[f"Stations{of}"] = f"{len(c.detectors)}, on average {between} km from the next"
        elif c.detectors.kind in LINES:
            facts[f"Walked{of}"] = f"{walked(c.detectors):,.1f} km on {len(c.detectors)} ways"
        else:
            facts[f"Searched{of}"] = f"{shapely.area(c.detectors.shapes).sum() / 1e6:,.4g} km²"
        if m:
            facts[f"Animals{of}"] = f"{c.n_animals}, detected {some(c.n_detections, 'time')}"
    if len(methods) > 1:
        facts["Animals by method"] = ", ".join(f"{n} by {by}" for by, n in captures.shared().items())
    if captures.telemetry is not None:
        facts |= _collars(captures)
    facts |= {} if study.resight is None else sighted(*study.resight[:2])
    if tables is not None and "flank" in tables.provenance:
        facts["Flank whose photographs are used"] = str(tables.provenance["flank"])
    if study.flanks:
        facts["Animals by left and by right flanks"] = " and ".join(f"{c.n_animals}" for c in study.flanks)
    facts["Area within the outermost stations"] = f"{_hull(detectors):,.0f} km²"
    facts["Habitat mask"] = f"{mask.area:,.0f} km² in {mask.size:,} cells of {mask.spacing:,.6g} m" + (
        "" if mask.buffer is None else f", {mask.buffer / 1000:g} km around the stations"
    )
    if tables is not None:
        effort = tables.effort()
        facts["Deployments"] = (
            f"{len(effort)} with {tables.deployments['camera'].replace('', np.nan).nunique()} cameras"
        )
        facts["Camera days set"] = f"{effort['set'].sum():,.1f}"
        facts["Camera days lost"] = (
            f"{effort['lost'].sum():,.1f} ({percent(effort['lost'].sum() / effort['set'].sum())})"
        )
        facts["Camera days worked"] = f"{effort['worked'].sum():,.1f}"
        facts["Independence of records"] = str(tables.provenance.get("independence", ""))
        facts["Day boundary"] = str(tables.provenance.get("day boundary", ""))
    for m, c in methods.items():
        of = f" of {m}" if m else ""
        facts[f"Effort{of} ({c.detectors.effort_unit} by station)"] = f"{np.nansum(c.detectors.effort):,.1f}"
        facts[f"Kind of detector{of}"] = c.detectors.kind
    return fact_table(facts)


def _collars(captures) -> dict[str, str]:
    """How many animals wore collars, how many of them were detected, and how many fixes there are of them."""
    fixes, names = captures.telemetry, captures.telemetry.names
    both = sum(name in captures.animals.index for name in names)
    dropped = fixes.ledger.count(TOO_CLOSE)
    more = f", {dropped:,} more dropped for being too close in time" if dropped else ""
    return {"Collared animals": f"{len(names)}, {both} of them detected", "Fixes of collars": f"{len(fixes):,}{more}"}


def _hull(detectors) -> float:
    shapes = list(detectors.shapes) or [shapely.multipoints(detectors.positions)]
    return float(shapely.area(shapely.convex_hull(shapely.geometrycollections(shapes)))) / 1e6


def walked(detectors) -> float:
    """Km of lines, each as often as it was walked."""
    return float(np.count_nonzero(detectors.used, axis=0) @ shapely.length(detectors.shapes)) / 1000.0


def stations(analysis: Analysis) -> pd.DataFrame:
    """T2: places, effort and detections of every station; places on a coarse grid in a public report."""
    captures, report = analysis.study.captures, analysis.study.config.report
    detectors = captures.detectors
    grid = report.public_grid if report.public else 1.0
    seen = captures.detections.groupby("detector")["count"].sum()
    kinds = captures.detections.groupby("detector")["animal"].nunique()
    frame = pd.DataFrame(
        {
            "station": detectors.id,
            "x": [f"{v:.0f}" for v in np.round(detectors.x / grid) * grid],
            "y": [f"{v:.0f}" for v in np.round(detectors.y / grid) * grid],
            detectors.effort_unit: [f"{v:.1f}" for v in np.nansum(detectors.effort, axis=0)],
            "detections": seen.reindex(detectors.id, fill_value=0).to_numpy(),
            "individuals": kinds.reindex(detectors.id, fill_value=0).to_numpy(),
        }
    )
    if report.public:  # how many animals pass which camera is what a poacher would like to know
        frame = frame.groupby(["x", "y"], as_index=False, sort=True).agg(stations=("station", "size"))
    return frame


# ---- what was seen ------------------------------------------------------------------------------------------------


def individuals(analysis: Analysis) -> pd.DataFrame:
    """T5: every animal with its first and last occasion, detections and stations."""
    captures = analysis.study.captures
    seen = captures.detections.groupby("animal")
    occasion = seen["occasion"]
    frame = pd.DataFrame(
        {"detections": seen["count"].sum(), "occasions": occasion.nunique(), "stations": seen["detector"].nunique()}
    )
    first, last = occasion.min(), occasion.max()
    if len(captures.occasions):
        start = captures.occasions["start"].dt.strftime("%Y-%m-%d").to_numpy()
        first, last = first.map(lambda s: start[s - 1]), last.map(lambda s: start[s - 1])
    if not isinstance(captures, Together):  # occasions of several methods have no common order
        frame = frame.assign(first=first, last=last)
    frame = frame.reindex(captures.animals.index)
    covariates = captures.animals.fillna("").astype(str)
    return pd.concat([covariates, frame], axis=1).rename_axis("individual").reset_index()


def recaptures(analysis: Analysis) -> pd.DataFrame:
    """T6: how often animals were seen, and how far apart."""
    captures = analysis.study.captures
    frequencies = captures.capture_frequencies()
    far = furthest(captures)
    facts = {
        "Individuals (n)": f"{captures.n_animals}",
        "Detections": f"{captures.n_detections}",
        "Recaptures (r)": f"{captures.n_recaptures}",
        "Spatial recaptures": f"{captures.n_spatial_recaptures}",
        "Seen on one occasion only": f"{int(frequencies.get(1, 0))}",
        "Seen at two stations or more": f"{len(far)}",
        "Mean of the largest distances moved": f"{far.mean() / 1000:.2f} km" if len(far) else "–",
        "Largest distance moved": f"{far.max() / 1000:.2f} km" if len(far) else "–",
    }
    return fact_table(facts)


def furthest(captures) -> np.ndarray:
    """Metres between the two stations furthest apart, for each animal seen at two or more."""
    from scipy.spatial.distance import pdist

    x, y = captures.places
    seen = pd.DataFrame({"animal": captures.animal_index, "x": x, "y": y}).drop_duplicates()
    return np.array([pdist(rows[["x", "y"]]).max() for _, rows in seen.groupby("animal") if len(rows) > 1])


# ---- what was estimated -------------------------------------------------------------------------------------------


def estimates(analysis: Analysis) -> pd.DataFrame:
    """T9: every estimate of the reported model, with the smallest change two such surveys could tell from none."""
    rows = analysis.estimates[analysis.estimates["model"] == analysis.reported]
    return all_estimates(analysis).assign(**{"change found": [_change(row) for row in rows.to_dict("records")]})


def _change(row: dict) -> str:
    if row["quantity"] not in ("density", "expected abundance"):
        return ""
    down, up = smallest_change(row["rse"])
    return f"{'–' if np.isnan(down) else f'−{percent(-down)}'} / {'–' if np.isnan(up) else f'+{percent(up)}'}"
