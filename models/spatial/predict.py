"""Predictions of one parameter with their uncertainty: a raster for density, a table for detection."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from ...survey.errors import refuse
from ...survey.habitat import HabitatMask
from ..derived import z_of
from .metric import COST

BLOCK = 200_000  # cells at a time, so that memory does not grow with p × cells


def predict(fit, name: str, newdata=None, session: str | None = None):
    """See `Fit.predict`.

    D gives an xarray Dataset on (y, x) of the mask (`newdata`: another HabitatMask), and cost one on the raster that
    animals move through; any other parameter a DataFrame, one row per distinct row of its covariates (`newdata`: a
    DataFrame of covariates).
    """
    full = fit.as_full() if name == "D" else fit
    parameter = full.model.parameters[name]
    if name == "D":
        part = full.model.session(session)
        mask = part.mask if newdata is None else newdata
        if not isinstance(mask, HabitatMask):
            raise refuse("density is predicted on a habitat mask", "Give a HabitatMask with the covariates of D")
        return _surface(full, part, mask)
    if name == COST:
        return _costs(fit, parameter, fit.model.session(session))
    if parameter.design is None:
        return pd.DataFrame(
            {"estimate": [parameter.fixed], "se": [0.0], "lower": [parameter.fixed], "upper": [parameter.fixed]}
        )
    frame = (fit.model.rows_of(name) if newdata is None else newdata)[list(parameter.design.variables)]
    matrix = parameter.design.matrix if newdata is None else parameter.design.at(newdata)
    where = full.model.parameters.slice_of(name)
    result = pd.DataFrame(_interval(parameter.link, matrix, full.vector[where], full.covariance[where, where]))
    whole = pd.concat([frame.reset_index(drop=True), result], axis=1)
    # sessions and what was learned, where the parameter does not tell them apart, have rows of their own
    return whole.drop_duplicates(ignore_index=True) if newdata is None else whole


def _costs(fit, parameter, session) -> xr.Dataset:
    where, raster = fit.model.parameters.slice_of(COST), session.metric.landscape.raster
    matrix = parameter.design.at(session.metric.frame())
    columns = _interval(parameter.link, matrix, fit.vector[where], fit.covariance[where, where])
    layers = {name: raster.to_xarray(values, name=name) for name, values in columns.items()}
    return xr.Dataset(layers, attrs={"units": "cost of a metre", "interval": "95% Wald on the link scale"})


def _interval(link, matrix, coefficients, covariance) -> dict[str, np.ndarray]:
    """Estimate, delta-method se and Wald limits on the link scale; NaN where a coefficient is undetermined."""
    eta = matrix @ coefficients
    lost = np.isnan(np.diag(covariance))
    s = np.sqrt(np.einsum("ij,jk,ik->i", matrix, np.where(lost | lost[:, None], 0.0, covariance), matrix))
    s[(matrix[:, lost] != 0.0).any(axis=1)] = np.nan
    ends = np.sort(np.stack([link.inverse(eta - z_of() * s), link.inverse(eta + z_of() * s)]), axis=0)
    estimate = link.inverse(eta)
    se = estimate * np.sqrt(np.expm1(s**2)) if link.name == "log" else np.abs(link.slope(eta)) * s
    return {"estimate": estimate, "se": se, "lower": ends[0], "upper": ends[1]}


def _surface(fit, session, mask: HabitatMask) -> xr.Dataset:
    parameter = fit.model.parameters["D"]
    if parameter.design is None:
        known = mask.to_xarray(np.full(mask.size, parameter.fixed))
        return xr.Dataset({"estimate": known, "se": 0.0 * known, "lower": known, "upper": known})
    where = fit.model.parameters.slice_of("D")
    frame = fit.model.density_frame(mask, session.name)
    columns: dict[str, list] = {name: [] for name in ("estimate", "se", "lower", "upper")}
    for begin in range(0, len(frame), BLOCK):
        matrix = parameter.design.at(frame.iloc[begin : begin + BLOCK])
        part = _interval(parameter.link, matrix, fit.vector[where], fit.covariance[where, where])
        for name, values in part.items():
            columns[name].append(values)
    layers = {name: mask.to_xarray(np.concatenate(parts), name=name) for name, parts in columns.items()}
    return xr.Dataset(layers, attrs={"units": parameter.unit, "interval": "95% Wald on the link scale"})
