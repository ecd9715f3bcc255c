"""Values of one parameter with their uncertainty: over its rows, at new data, or over a raster in blocks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from ...survey.habitat import HabitatMask
from ..derived import z_of

BLOCK = 200_000  # cells at a time, so that memory does not grow with p × cells


def predict(fit, name: str, newdata=None):
    """See `Fit.predict`.

    Parameters
    ----------
    newdata : None for the distinct covariates in the data; a DataFrame of covariates; a HabitatMask with covariates; or
        an xarray Dataset of covariates on any dims. Over space the result is a Dataset, NaN where a covariate is, and
        random effects that group are 0: the middle of the population of groups.
    """
    parameter = fit.model.parameters[name]
    if isinstance(newdata, (HabitatMask, xr.Dataset)):
        return _surface(fit, parameter, newdata)
    if parameter.design is None:
        value = parameter.fixed
        return pd.DataFrame({"estimate": [value], "se": [0.0], "lower": [value], "upper": [value]})
    variables = list(parameter.design.variables)
    variables += [v for v in parameter.design.groupings if newdata is None or v in newdata]
    if newdata is None:
        symbol = next(s for s in fit.model.symbols if s.name == name)
        newdata = fit.model.frame(symbol)[variables].drop_duplicates().reset_index(drop=True)
        newdata = newdata if variables else pd.DataFrame(index=range(1))
    result = pd.DataFrame(_interval(fit, parameter, newdata))
    return pd.concat([newdata[variables].reset_index(drop=True), result], axis=1)


def _interval(fit, parameter, frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Estimate, delta-method se and Wald limits on the link scale."""
    where = fit.model.parameters.slice_of(parameter.name)
    matrix = np.ones((len(frame), 1)) if parameter.design.constant else parameter.design.at(frame)
    eta = matrix @ fit.vector[where]
    s = np.sqrt(np.einsum("ij,jk,ik->i", matrix, fit.covariance[where, where], matrix))
    ends = np.sort(
        np.stack([parameter.link.inverse(eta - z_of() * s), parameter.link.inverse(eta + z_of() * s)]), axis=0
    )
    se = np.abs(parameter.link.slope(eta)) * s
    return {"estimate": parameter.link.inverse(eta), "se": se, "lower": ends[0], "upper": ends[1]}


def _surface(fit, parameter, space: HabitatMask | xr.Dataset) -> xr.Dataset:
    variables = list(parameter.design.variables)
    if isinstance(space, HabitatMask):
        columns = {v: space.covariate(v) for v in variables}
        put = lambda values, name: space.to_xarray(values, name=name)  # noqa: E731
        size = space.size
    else:
        template = xr.broadcast(*(space[v] for v in (variables or list(space.data_vars)[:1])))
        columns = {v: array.to_numpy().ravel() for v, array in zip(variables, template, strict=False)}
        put = lambda values, name: template[0].copy(data=values.reshape(template[0].shape)).rename(name)  # noqa: E731
        size = template[0].size
    layers = {name: np.full(size, np.nan) for name in ("estimate", "se", "lower", "upper")}
    for begin in range(0, size, BLOCK):
        block = slice(begin, min(begin + BLOCK, size))
        frame = pd.DataFrame({v: column[block] for v, column in columns.items()}, index=range(block.stop - begin))
        known = frame.notna().all(axis=1).to_numpy()
        if known.any():
            for name, values in _interval(fit, parameter, frame[known]).items():
                layers[name][block][known] = values
    attrs = {"units": parameter.unit, "interval": "95% Wald on the link scale"}
    return xr.Dataset({name: put(values, name) for name, values in layers.items()}, attrs=attrs)
