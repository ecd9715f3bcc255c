"""Draws of activity centres and of the animals that were never met, given draws of the parameters.

Given the parameters the animals are independent: each centre is drawn from its own posterior over the cells, and those
never met are a Poisson process of intensity D (1 - p.) (Borchers & Efford 2008), or what a fixed N leaves over.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from ...survey.habitat import HabitatMask
from .abundance import _region_mask, _share_of_cells
from .scr import SCR


class Region:
    """Where activity centres are counted: share of each cell of a session's mask that lies in a region."""

    def __init__(self, model: SCR, session, region, name: str | None):
        whole = region is None
        self.mask: HabitatMask = session.mask if whole else _region_mask(model, session, region)
        self.share = np.ones(session.mask.size) if whole else _share_of_cells(session.mask, self.mask)
        self.name = name or ("habitat mask" if whole else "region")


def centres(fit, session, region: Region, rng: np.random.Generator, surface: np.ndarray | None = None):
    """One draw of where and how many animals are, at a draw of the coefficients.

    Parameters
    ----------
    fit : a draw of the full likelihood, see `with_density`
    surface : float [M], to which the expected number of activity centres per cell given the data is added

    Returns
    -------
    cell : int [n], of the mask, of each animal that was met; of_class : int [n]; never_met : int; inside : int, animals
        met and not, in the region
    """
    values = fit.values_of(session)
    log_mu, _ = session.kernel_input(values)
    n = session.captures.n_animals
    cell, of_class, place = np.empty(n, int), np.zeros(n, int), rng.uniform(size=n)
    shares = None if session.classes is None else session.class_shares(values)
    if shares is not None:
        weight = shares.cumsum(axis=1)
        of_class = (weight <= rng.uniform(size=(n, 1)) * weight[:, -1:]).sum(axis=1)
    for part, animals, pdf in session.centres_by_part(values):
        mine = np.ones(len(animals), bool) if shares is None else of_class[animals] == part.of_class
        below = pdf[mine].cumsum(axis=1)
        cell[animals[mine]] = (below[:, :-1] < place[animals[mine], None] * below[:, -1:]).sum(axis=1)
        if surface is not None:
            surface += pdf.sum(axis=0) if shares is None else shares[animals, part.of_class] @ pdf
    missed = np.exp(log_mu) * (1.0 - session.detection_probability(values))
    never_met, inside_missed = _never_met(fit.model, session, missed, np.exp(log_mu).sum(), region, rng)
    if surface is not None:
        surface += missed if fit.model.distribution == "poisson" else missed * never_met / max(missed.sum(), 1e-300)
    seen_inside = int(rng.binomial(1, region.share[cell]).sum()) if n else 0
    return cell, of_class, never_met, seen_inside + inside_missed


def _never_met(model: SCR, session, missed: np.ndarray, total: float, region: Region, rng) -> tuple[int, int]:
    """Animals never met, in the mask and in the region: Poisson, or what a fixed N leaves (rounded at random)."""
    expected_inside = float(missed @ region.share)
    if model.distribution == "poisson":
        inside = int(rng.poisson(expected_inside))
        return inside + int(rng.poisson(max(missed.sum() - expected_inside, 0.0))), inside
    left = max(total - session.captures.n_animals, 0.0)
    whole = int(left) + int(rng.uniform() < left - int(left))
    return whole, int(rng.binomial(whole, min(expected_inside / max(missed.sum(), 1e-300), 1.0)))


def latent_of_captures(model: SCR, vectors: np.ndarray, region, session, rng, atom) -> xr.Dataset:
    """See `Draws.latent`; vectors [chains, draws, p], `atom` makes a fit of one draw."""
    chains, k, _ = vectors.shape
    own = model.session(session)
    where, M = Region(model, own, region, None), own.mask.size
    n, area = own.captures.n_animals, own.mask.cell_area
    cell, of_class = np.empty((chains, k, n), np.int32), np.zeros((chains, k, n), np.int8)
    never_met, inside = np.empty((chains, k), int), np.empty((chains, k), int)
    surface, density, square = np.zeros(M), np.zeros(M), np.zeros(M)
    for c, d in np.ndindex(chains, k):
        fit = atom(model, vectors[c, d], rng)
        part = fit.model.session(session)
        cell[c, d], of_class[c, d], never_met[c, d], inside[c, d] = centres(fit, part, where, rng, surface)
        D = fit.values_of(part)["D"]
        density, square = density + D, square + D**2
    x, y = own.mask.centres()
    mean = density / (chains * k)
    spread = np.sqrt(np.maximum(square / (chains * k) - mean**2, 0.0))
    axes = ("chain", "draw")
    found = {
        "cell": ((*axes, "animal"), cell, {"long_name": "cell of the habitat mask"}),
        "x": ((*axes, "animal"), x[cell], {"units": "m"}),
        "y": ((*axes, "animal"), y[cell], {"units": "m"}),
        "never_met": (axes, never_met, {"units": "animals"}),
        "N": (axes, n + never_met, {"units": "animals", "long_name": "animals in the habitat mask"}),
        "N_region": (axes, inside, {"units": "animals", "long_name": f"animals in the {where.name}"}),
    }
    if model.classes is not None:
        found["class"] = ((*axes, "animal"), np.asarray(model.classes.labels, str)[of_class])
    names = [str(name) for name in own.captures.animals.index]
    data = xr.Dataset(found, {"chain": np.arange(chains), "draw": np.arange(k), "animal": names})
    unit = {"units": "animals per 100 km²"}
    surfaces = {
        "density": (100.0 / area * surface / (chains * k), "activity centres given the data"),
        "expected_density": (mean, "mean of the density surface"),
        "expected_density_sd": (spread, "standard deviation of the density surface"),
    }
    for name, (values, words) in surfaces.items():
        layer = own.mask.to_xarray(values, name=name).assign_attrs(unit, long_name=words)
        data[name] = layer.rename({dim: f"mask_{dim}" for dim in layer.dims}).drop_vars("spatial_ref", errors="ignore")
    return data


def abundance_of_draws(draws, region, name: str | None, session: str | None, most: int) -> pd.DataFrame:
    """Density, expected and realised abundance in a region over draws, as `SpatialFit.abundance` has them of a fit.

    Realised abundance is drawn: where each animal lives, and how many live there that were never met. That of classes
    is an expectation given the parameters.
    """
    from ..draws import EXPECTED, INTERVAL, atom

    own = draws.model.session(session)
    where, rng = Region(draws.model, own, region, name), np.random.default_rng([draws.seed, 6])
    told = []
    for vector in draws.some(most):
        fit = atom(draws.model, vector, rng)
        table = fit.abundance(None if region is None else where.mask, where.name, session)
        if not any(len(s.strata.columns) for s in fit.model.sessions):
            inside = centres(fit, fit.model.session(session), where, rng)[3]
            table.loc[(table["quantity"] == "realised abundance") & (table["scope"] == where.name), "estimate"] = inside
        told.append(table)
    values = np.array([table["estimate"].to_numpy(float) for table in told])
    lower, upper = np.quantile(values, [0.025, 0.975], axis=0)
    mean, sd = values.mean(axis=0), values.std(axis=0, ddof=1)
    of_class = (told[0]["quantity"] == "realised abundance") & (told[0]["scope"] != where.name)
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = {"estimate": mean, "se": sd, "rse": sd / mean, "lower": lower, "upper": upper}
    return told[0].assign(**columns, interval=np.where(of_class, EXPECTED, INTERVAL))
