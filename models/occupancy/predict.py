"""Values of one parameter with their uncertainty: over its rows, at new data, or over rasters in blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from ...survey.errors import Problems, refuse
from ...survey.habitat import HabitatMask
from ..derived import z_of

BLOCK = 100_000  # cells at a time, so that memory does not grow with p × cells
LAYERS = ("estimate", "se", "lower", "upper")
INTERVAL = "95% Wald on the link scale"
MASK = "the mask"


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
    """Estimate, delta-method se and Wald limits on the link scale; no se where the data determine none."""
    where = fit.model.parameters.slice_of(parameter.name)
    matrix = np.ones((len(frame), 1)) if parameter.design.constant else parameter.design.at(frame)
    eta = matrix @ fit.vector[where]
    J = np.zeros((len(frame), len(fit.vector)))
    J[:, where] = matrix
    with np.errstate(invalid="ignore"):
        s = np.sqrt(fit.variance_of(J))
    ends = np.sort(
        np.stack([parameter.link.inverse(eta - z_of() * s), parameter.link.inverse(eta + z_of() * s)]), axis=0
    )
    se = np.abs(parameter.link.slope(eta)) * s
    return {"estimate": parameter.link.inverse(eta), "se": se, "lower": ends[0], "upper": ends[1]}


def _surface(fit, parameter, space: HabitatMask | xr.Dataset) -> xr.Dataset:
    variables = _free(parameter)
    if isinstance(space, HabitatMask):
        columns = {v: space.covariate(v) for v in variables}
        put = lambda values, name: space.to_xarray(values, name=name)  # noqa: E731
        size = space.size
    else:
        template = xr.broadcast(*(space[v] for v in (variables or list(space.data_vars)[:1])))
        columns = {v: array.to_numpy().ravel() for v, array in zip(variables, template, strict=False)}
        put = lambda values, name: template[0].copy(data=values.reshape(template[0].shape)).rename(name)  # noqa: E731
        size = template[0].size
    layers = {name: np.full(size, np.nan) for name in LAYERS}
    for begin in range(0, size, BLOCK):
        block = slice(begin, min(begin + BLOCK, size))
        frame = pd.DataFrame({v: column[block] for v, column in columns.items()}, index=range(block.stop - begin))
        for name, values in _of_block(fit, parameter, frame).items():
            layers[name][block] = values
    attrs = {"units": parameter.unit, "interval": INTERVAL}
    return xr.Dataset({name: put(values, name) for name, values in layers.items()}, attrs=attrs)


def _free(parameter) -> list[str]:
    """The covariates of a parameter that was estimated."""
    if parameter.design is None:
        fix = "It is this number everywhere"
        raise refuse(f"{parameter.name} is fixed, so there is nothing to predict", fix, value=parameter.fixed)
    return list(parameter.design.variables)


def _of_block(fit, parameter, frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """The layers [cells] of some cells, NaN where a covariate is."""
    known = frame.notna().all(axis=1).to_numpy()
    layers = {name: np.full(len(frame), np.nan) for name in LAYERS}
    if known.any():
        for name, values in _interval(fit, parameter, frame[known]).items():
            layers[name][known] = values
    return layers


def predict_raster(
    fit,
    name: str,
    rasters: Mapping[str, str | Path],
    out: str | Path,
    *,
    values: Mapping[str, object] | None = None,
    mask: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """One parameter over rasters on disk, written to a GeoTIFF block by block: memory does not grow with the raster.

    Parameters
    ----------
    name : parameter of the model
    rasters : covariate → path of a raster with one band; all on one grid
    out : path of the GeoTIFF to write: bands estimate, se, lower, upper, float32, NaN where a covariate is unknown
    values : covariates that are the same everywhere, such as a season
    mask : a raster on the same grid; no values where it is 0 or unknown
    progress : called with (cells done, cells)

    Raises
    ------
    SurveyError : covariates without a raster or value, rasters on different grids, `out` is one of the inputs
    """
    import rasterio

    parameter, constants, out = fit.model.parameters[name], dict(values or {}), Path(out)
    variables = _free(parameter)
    lacking = [v for v in variables if v not in rasters and v not in constants]
    if lacking:
        raise refuse(f"{name} depends on covariates that are not given", "Add rasters or values", value=lacking)
    layers = {v: Path(rasters[v]) for v in variables if v in rasters}
    layers |= {MASK: Path(mask)} if mask is not None else {}
    layers = layers or {v: Path(path) for v, path in list(rasters.items())[:1]}
    if not layers:
        raise refuse("there is no raster to predict over", "Give one, or a mask", value=name)
    missing = [str(path) for path in layers.values() if not path.exists()]
    if missing:
        raise refuse("a raster is not there", "Check the path", value=missing)
    if out in layers.values():
        raise refuse("the result would overwrite one of its inputs", "Choose another file", value=str(out))
    half = out.with_name(out.stem + ".part" + out.suffix)  # an interrupt leaves no half raster under its name
    with ExitStack() as stack:
        sources = {v: stack.enter_context(rasterio.open(path)) for v, path in layers.items()}
        _one_grid(sources)
        first = next(iter(sources.values()))
        profile = {"driver": "GTiff", "count": len(LAYERS), "dtype": "float32", "nodata": np.nan, "compress": "deflate"}
        profile |= {"width": first.width, "height": first.height, "crs": first.crs, "transform": first.transform}
        target = stack.enter_context(rasterio.open(half, "w", **profile))
        target.descriptions = LAYERS
        target.update_tags(parameter=name, units=parameter.unit, interval=INTERVAL)
        _write(fit, parameter, sources, constants, target, progress or (lambda done, total: None))
    return half.replace(out)


def _write(fit, parameter, sources: Mapping, constants: Mapping, target, progress) -> None:
    """Block by block of whole rows."""
    from rasterio.windows import Window

    variables, rows = list(parameter.design.variables), max(1, BLOCK // target.width)
    for top in range(0, target.height, rows):
        window = Window(0, top, target.width, min(rows, target.height - top))  # pyright: ignore[reportCallIssue]
        read = {v: s.read(1, window=window, masked=True).astype(float).filled(np.nan) for v, s in sources.items()}
        shape = next(iter(read.values())).shape
        columns = {v: read[v].ravel() if v in read else constants[v] for v in variables}
        if MASK in read:
            columns[MASK] = np.where(np.nan_to_num(read[MASK].ravel()) != 0, 1.0, np.nan)
        frame = pd.DataFrame(columns, index=range(shape[0] * shape[1]))
        found = _of_block(fit, parameter, frame)
        target.write(np.stack([found[v].reshape(shape) for v in LAYERS]).astype("float32"), window=window)
        progress((top + shape[0]) * shape[1], target.height * target.width)


def _one_grid(sources: Mapping) -> None:
    """Refuse rasters on different grids, all at once."""
    bad, (name, first) = Problems(), next(iter(sources.items()))
    for other, s in sources.items():
        if s.count != 1:
            bad.add(f"the raster of {other} has several bands", "Give one band", value=s.count)
        same = (s.width, s.height) == (first.width, first.height) and s.transform.almost_equals(first.transform, 1e-6)
        if not same or s.crs != first.crs:
            bad.add(
                f"the rasters of {other} and {name} are on different grids",
                "Bring them onto one, e.g. HabitatMask.with_covariate, or gdalwarp",
                value=f"{s.width} × {s.height}, {s.crs}",
            )
    bad.raise_any()
