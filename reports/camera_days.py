"""What cameras did and what they saw, whatever is made of it: the tables that all surveys with deployments have."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..models.summary import number, percent
from .analysis import Analysis
from .texts import Texts


def lost_days(analysis: Analysis) -> pd.DataFrame | None:
    """T3: failures and the camera days they cost, by reason."""
    tables = analysis.study.tables
    if tables is None:
        return None
    lost = tables.lost()
    return lost.assign(camera_days=[f"{v:,.1f}" for v in lost["camera_days"]]).rename(
        columns={"camera_days": "camera days"}
    )


def visits_by_species(analysis: Analysis) -> pd.DataFrame | None:
    """T4: visits of every species, the stations they came to, and visits per 100 camera days."""
    tables = analysis.study.tables
    if tables is None:
        return None
    r = tables.records
    level = "event" if (r["level"] == "event").any() else "media"
    chosen = r[(r["level"] == level) & (r["type"] == "animal") & (r["species"] != "") & ~r["setup"]]
    effort = tables.effort().groupby("location")["worked"].sum()
    rows = []
    for species, visits in chosen.groupby("species"):
        at = visits.groupby("location").size().reindex(effort.index, fill_value=0)
        rate, lower, upper = visit_rate(at.to_numpy(float), effort.to_numpy(float))
        share = f"{(at > 0).sum()} ({percent(float((at > 0).mean()))})"
        interval = f"{number(lower, 3)} – {number(upper, 3)}"
        rows.append((species, f"{len(visits):,}", share, number(rate, 3), interval))
    columns = ["species", "visits", "stations (share)", "visits per 100 camera days", "95 % interval"]
    return pd.DataFrame(sorted(rows, key=lambda row: -int(str(row[1]).replace(",", ""))), columns=columns)


def visit_rate(visits: np.ndarray, days: np.ndarray) -> tuple[float, float, float]:
    """Visits per 100 camera days over stations, with a log-normal interval from the spread between stations.

    The ratio estimator of survey sampling (Cochran 1977, section 6.5); stations are taken as drawn at random.
    """
    known = np.isfinite(days) & (days > 0)
    y, x = visits[known], days[known]
    n, rate = len(y), y.sum() / x.sum()
    if n < 2 or rate == 0:
        return 100.0 * rate, float("nan"), float("nan")
    cv = np.sqrt(np.sum((y - rate * x) ** 2) / (n - 1) / n) / x.mean() / rate
    factor = float(np.exp(1.96 * np.sqrt(np.log1p(cv**2))))
    return 100.0 * rate, 100.0 * rate / factor, 100.0 * rate * factor


def calendar(analysis: Analysis) -> pd.DataFrame | None:
    """The operation calendar behind F2, if there is one to draw."""
    tables = analysis.study.tables
    table = None if tables is None else tables.calendar()
    return None if table is None or not len(table.columns) else table


def lost_in_words(tables, texts: Texts) -> str:
    """The share of camera days lost, and the main reason."""
    effort = tables.effort()
    lost = tables.lost()
    if not len(lost):
        return texts.say("lost_none")
    share = effort["lost"].sum() / effort["set"].sum()
    return texts.say(
        "lost",
        set=f"{effort['set'].sum():,.0f}",
        lost=f"{effort['lost'].sum():,.0f}",
        share=percent(share),
        reason=texts.cell(lost["reason"].iloc[0]),
    )
