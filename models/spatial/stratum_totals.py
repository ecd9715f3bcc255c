"""Animals in strata of which only some sites were surveyed: totals with a design-based and a model-based error.

    total_h = A_h mean_j D_j                               over the n_h surveyed sites j of stratum h
    design-based   var = A_h² s_h² / n_h (1 − Σ_j a_j / A_h)        s_h²: variance of D_j between the sites
    model-based    var = A_h² 1'V1 / n_h²                  V: covariance of the D_j by the model

The first asks how totals would vary if other sites had been drawn at random; it takes density as it was estimated at
each site (D="~ session"), and what the sites share (detection) is not in it. The second takes the model's word for the
places not surveyed: with D="~ stratum" density there is that of the stratum, whichever sites were drawn; with D="~
session" it is the error of the surveyed sites alone (Cochran 1977, ch. 5; Efford & Fewster 2013).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from ...survey.errors import refuse
from ..derived import z_of
from .joint import joint_abundance

COLUMNS = (
    "stratum",
    "sites",
    "area",
    "density",
    "animals",
    "se_design",
    "lower_design",
    "upper_design",
    "se_model",
    "lower_model",
    "upper_model",
)


def stratum_totals(fit, strata: Mapping[str, str], areas: Mapping[str, float]) -> pd.DataFrame:
    """Animals in each stratum and in all, from a fit whose sessions are sites drawn at random within strata.

    Parameters
    ----------
    fit : of `SCR` with one session per site; the area of a site is that of its mask
    strata : {session: stratum}
    areas : {stratum: km² of habitat}

    Returns
    -------
    DataFrame : one row per stratum and one for all; density per 100 km²; limits are 95 %, log-normal, with Student's t
        of the number of sites for the design-based ones. The design-based error is missing where a stratum has one
        site, or where the model gives all its sites one density.

    Raises
    ------
    SurveyError : a session has no stratum, a stratum no area or an area less than that of its sites
    """
    whole = joint_abundance(fit)
    names = [s.name for s in fit.model.sessions]
    strata, areas = {str(k): str(v) for k, v in strata.items()}, {str(k): float(v) for k, v in areas.items()}
    lost = [name for name in names if name not in strata]
    if lost:
        raise refuse("a session has no stratum", "Add it to strata", value=", ".join(lost))
    rows = whole.table.query("quantity == 'expected abundance' and animals == 'all'").set_index("session")["estimate"]
    labels = [k for k in whole.expected_covariance.index if k[2] == "all"]
    size = np.array([s.mask.area for s in fit.model.sessions])
    V = whole.expected_covariance.loc[labels, labels].to_numpy() / np.outer(size, size)
    D = rows.loc[names].to_numpy() / size  # animals per km²
    found, weights, spread, freedom = [], np.zeros(len(names)), 0.0, 0.0
    for stratum in dict.fromkeys(strata[name] for name in names):
        mine = np.array([strata[name] == stratum for name in names])
        A = _area(stratum, areas, float(size[mine].sum()))
        design = _design_variance(D[mine], A, float(size[mine].sum()))
        w = A * mine / mine.sum()
        weights += w
        spread += design
        freedom += design**2 / max(mine.sum() - 1, 1)
        found.append(_row(stratum, int(mine.sum()), A, float(w @ D), design, int(mine.sum()) - 1, float(w @ V @ w)))
    total = float(weights @ D)
    df = spread**2 / freedom if freedom > 0 else np.nan  # Satterthwaite
    used = sum(row["area"] for row in found)
    if len(found) > 1:
        found.append(_row("all", len(names), used, total, spread, df, float(weights @ V @ weights)))
    return pd.DataFrame(found, columns=list(COLUMNS))


def _area(stratum: str, areas: Mapping[str, float], surveyed: float) -> float:
    if stratum not in areas:
        raise refuse(f"the area of stratum {stratum!r} is not known", "Add it to areas, in km²", value=sorted(areas))
    if areas[stratum] < 0.999 * surveyed:
        raise refuse(
            f"stratum {stratum!r} is smaller than the masks of its sites together ({surveyed:,.0f} km²)",
            "Give its area in km², or use masks that do not overlap",
            value=areas[stratum],
        )
    return areas[stratum]


def _design_variance(D: np.ndarray, area: float, surveyed: float) -> float:
    """NaN where the sites say nothing of the variation between them."""
    if len(D) < 2 or np.ptp(D) <= 1e-9 * D.mean():
        return float("nan")
    return float(area**2 * D.var(ddof=1) / len(D) * max(0.0, 1.0 - surveyed / area))


def _row(stratum: str, sites: int, area: float, total: float, design: float, df: float, model: float) -> dict:
    values = [stratum, sites, area, 100.0 * total / area, total]
    for variance, quantile in ((design, float(stdtrit(df, 0.975)) if df > 0 else np.nan), (model, z_of())):
        se = np.sqrt(variance)
        factor = np.exp(quantile * np.sqrt(np.log1p((se / total) ** 2)))
        values += [se, total / factor, total * factor]
    return dict(zip(COLUMNS, values, strict=True))
