"""Residuals of what was found at sites, for each process by itself: standard normal when the model is right.

Dunn-Smyth residuals (Warton, Stoklosa, Guillera-Arroita, MacKenzie & Welsh 2017, Methods Ecol. Evol. 8:408): the
normal quantile of a uniform number between the distribution function below and at the observation. Occupancy: whether
anything was found at a site in a season. Detection: on how many visits, where something was found. Counts: the total
of a site in a season, and each visit (Knape et al. 2018, Methods Ecol. Evol. 9:2102).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import ndtri

from ...survey.errors import refuse
from ..derived import z_of
from .goodness import OneOfTwo, findings, place_of

COUNTS = ("counts", "removals")


def residuals(fit, seed: int = 1, simulations: int = 1000) -> pd.DataFrame:
    """Dunn-Smyth residuals of a fit of a `DetectionHistory`.

    Parameters
    ----------
    seed : of the uniform numbers (and simulations); look at several
    simulations : the distribution of models without a formula for it comes from so many draws; the residual is exact
        all the same, being the rank of the data among them

    Returns
    -------
    DataFrame with process ("occupancy" and "detection", or "site totals" and "visits" for counts), site, season, visit
    (of "visits" only) and residual; of two species also species, each by itself. Sites without visits have none.

    Raises
    ------
    SurveyError : too few simulations
    """
    model = fit.model
    if simulations < 20:
        raise refuse("residuals need more simulations than that", "Use e.g. simulations=1000", value=simulations)
    rng = np.random.default_rng(seed)
    values = model.parameters.values(fit.vector)
    if hasattr(model, "second"):
        each = [_exact(OneOfTwo(model, values, k), values, rng).assign(species=s) for k, s in enumerate(model.species)]
        return pd.concat(each, ignore_index=True)
    if model.data_kind not in COUNTS and hasattr(model, "occupied_and_found"):
        return _exact(model, values, rng)
    return _simulated(model, values, rng, simulations)


def _exact(model, values, rng) -> pd.DataFrame:
    psi, p = model.occupied_and_found(values)
    place = place_of(model)
    places, begins, visits = np.unique(place, return_index=True, return_counts=True)
    total = np.add.reduceat(findings(model) > 0, begins).astype(int)
    pmf = detections_distribution(p, begins, visits)
    silence = 1.0 - psi[places] * (1.0 - pmf[:, 0])
    u = rng.uniform(size=len(places))
    found = total > 0
    occupancy = np.where(found, silence + u * (1.0 - silence), u * silence)
    cdf = np.cumsum(pmf, axis=1)
    at = np.flatnonzero(found)
    below, here = cdf[at, total[at] - 1] - pmf[at, 0], pmf[at, total[at]]
    detection = (below + rng.uniform(size=len(at)) * here) / (1.0 - pmf[at, 0])
    return pd.concat(
        [_rows(model, "occupancy", places, occupancy), _rows(model, "detection", places[at], detection)],
        ignore_index=True,
    )


def plot_residuals(table: pd.DataFrame, covariate: pd.Series, process: str = "occupancy", ax=None, span: float = 0.3):
    """Residuals of one process against a covariate of sites, with their running mean and its 95 % band under the model.

    Where the mean leaves the band, the covariate is missing from the formula or has another shape there.

    Parameters
    ----------
    table : from `residuals`
    covariate : by site, e.g. `history.sites["forest"]`
    process : "occupancy", "detection", "site totals" or "visits"
    span : share of the residuals that a mean is of

    Returns
    -------
    the matplotlib Axes

    Raises
    ------
    SurveyError : an unknown process, sites without the covariate
    """
    import matplotlib.pyplot as plt

    shown = table[table["process"] == process]
    if not len(shown):
        raise refuse(
            "there are no residuals of this process", f"Use {', '.join(table['process'].unique())}", value=process
        )
    x = pd.to_numeric(covariate.reindex(shown["site"])).to_numpy(float)
    if np.isnan(x).any():
        lacking = list(shown["site"][np.isnan(x)].unique()[:5])
        raise refuse("the covariate is unknown at some sites", "Give it for every site, by name", value=lacking)
    order = np.argsort(x, kind="stable")
    x, y = x[order], shown["residual"].to_numpy()[order]
    width = min(len(x), max(5, round(span * len(x))))
    mean = np.convolve(y, np.full(width, 1.0 / width), mode="valid")
    middle = np.convolve(x, np.full(width, 1.0 / width), mode="valid")
    half = z_of() / np.sqrt(width)
    ax = ax or plt.subplots(figsize=(6, 4), layout="constrained")[1]
    ax.plot(x, y, ".", color="0.6", markersize=4)
    ax.axhspan(-half, half, color="#1b4965", alpha=0.15, lw=0, label="95 % of running means, if the model is right")
    ax.plot(middle, mean, color="#b5651d", label=f"running mean of {width}")
    ax.set(xlabel=str(covariate.name or ""), ylabel=f"{process} residual")
    ax.legend(frameon=False, fontsize="small")
    return ax


def detections_distribution(p: np.ndarray, begins: np.ndarray, visits: np.ndarray) -> np.ndarray:
    """float [places, most + 1]: probability of k detections at an occupied place, from p [V] of its visits."""
    most = int(visits.max()) if len(visits) else 0
    pmf = np.zeros((len(begins), most + 1))
    pmf[:, 0] = 1.0
    for j in range(most):
        here = np.flatnonzero(visits > j)
        q = p[begins[here] + j][:, None]
        before = pmf[here]
        pmf[here] = before * (1.0 - q)
        pmf[here, 1:] += before[:, :-1] * q
    return pmf


def _simulated(model, values, rng, simulations: int) -> pd.DataFrame:
    place = place_of(model)
    places, begins = np.unique(place, return_index=True)
    counts = model.data_kind in COUNTS
    whole = lambda y: np.add.reduceat(y if counts else (y > 0), begins).astype(float)  # noqa: E731
    y = findings(model)
    totals = _Ranks(whole(y))
    visits, any_found, given = _Ranks(y), _Ranks((whole(y) > 0).astype(float)), _Ranks(whole(y))
    for _ in range(simulations):
        drawn = _found(model._draw(values, rng))
        site = whole(drawn)
        if counts:
            totals.add(site)
            visits.add(drawn)
        else:
            any_found.add((site > 0).astype(float))
            given.add(site, site > 0)
    if counts:
        parts = [_rows(model, "site totals", places, totals.uniform(rng)), _visit_rows(model, visits.uniform(rng))]
    else:
        at = whole(y) > 0
        parts = [
            _rows(model, "occupancy", places, any_found.uniform(rng)),
            _rows(model, "detection", places[at], given.uniform(rng)[at]),
        ]
    return pd.concat(parts, ignore_index=True)


def _found(drawn) -> np.ndarray:
    """What the visits found, where a model draws more than that."""
    return np.asarray(drawn[0] if isinstance(drawn, tuple) else drawn, float)


class _Ranks:
    """Place of observations [G] among draws, ties broken at random."""

    def __init__(self, observed: np.ndarray):
        self.observed = observed
        self.less, self.equal, self.draws = (np.zeros(len(observed)) for _ in range(3))

    def add(self, drawn: np.ndarray, which: np.ndarray | bool = True) -> None:
        """One draw; only where `which` says that it counts."""
        self.less += (drawn < self.observed) & which
        self.equal += (drawn == self.observed) & which
        self.draws += which

    def uniform(self, rng) -> np.ndarray:
        """Uniform between 0 and 1 if the observations are like the draws."""
        return (self.less + rng.uniform(size=len(self.less)) * (self.equal + 1.0)) / (self.draws + 1.0)


def _rows(model, process: str, places: np.ndarray, u: np.ndarray) -> pd.DataFrame:
    h = model.history
    return pd.DataFrame(
        {
            "process": process,
            "site": h.sites.index.to_numpy()[places // h.n_seasons],
            "season": np.array(h.season_labels, dtype=object)[places % h.n_seasons],
            "residual": ndtri(u),
        }
    )


def _visit_rows(model, u: np.ndarray) -> pd.DataFrame:
    h = model.history
    rows = _rows(model, "visits", place_of(model), u)
    return rows.assign(visit=h.visits["visit"].to_numpy()[h.done])
