"""Abundance in many regions, sessions and classes at once, with the covariance between them.

Expected abundance is a function of the coefficients, so that its covariance is G V G' with G the gradients. Realised
abundance is Σ_i q_i + ∫ D (1 − p.) dx with q_i the probability that detected animal i lives in a region and is of a
class; its covariance is that of the second term plus, within a session, the scatter of animals that were never detected
and of where those that were detected live (multinomial), as for one region (Efford & Fewster 2013).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ...survey.errors import refuse
from ...survey.habitat import HabitatMask
from ..derived import COLUMNS, Estimate, log_normal, log_normal_above
from .abundance import (
    PER_100_KM2,
    Functional,
    _by_animals,
    _is_one_coefficient,
    _region_mask,
    _share_of_cells,
    by_class,
    fixed_number,
)

LABELS = ["session", "region", "animals"]
NO_PART = 1e-6  # gradients below this share of the largest
BEYOND = 0.02  # share of a region that may lie outside the habitat mask


@dataclass(frozen=True, eq=False)
class JointAbundance:
    """Abundance by session, region and class of animals ("all", or each class and all)."""

    table: pd.DataFrame  # rows of density, expected and realised abundance; the columns of `derive`, and the labels
    expected_covariance: pd.DataFrame  # of the expected abundances, indexed by (session, region, animals)
    realised_covariance: pd.DataFrame  # of the realised abundances: mean squared prediction errors

    def total(self, labels=None, name: str = "total") -> pd.DataFrame:
        """The sum over rows, with its standard error from the covariance.

        Parameters
        ----------
        labels : list of (session, region, animals); all rows of "all" animals by default
        name : how the table calls it
        """
        index = self.expected_covariance.index
        chosen = [k for k in index if k[2] == "all"] if labels is None else [tuple(k) for k in labels]
        lost = [k for k in chosen if k not in set(index)]
        if lost:
            raise refuse("there is no such row", "Use labels of the covariance's index", value=lost[0])
        found = []
        for quantity, covariance in (
            ("expected abundance", self.expected_covariance),
            ("realised abundance", self.realised_covariance),
        ):
            rows = self.table[self.table["quantity"] == quantity].set_index(LABELS)["estimate"]
            se = float(np.sqrt(covariance.loc[chosen, chosen].to_numpy().sum()))
            found.append(log_normal(quantity, "animals", name, float(rows.loc[chosen].sum()), se))
        return pd.DataFrame([e.row() for e in found], columns=list(COLUMNS))


@dataclass(frozen=True)
class _Cell:
    """One session, region and class."""

    label: tuple[str, str, str]
    expected: Functional
    missed: Functional
    seen: np.ndarray  # float [n], probability that each detected animal of the session is one of these
    area: float  # km²


def joint_abundance(fit, regions: Any = None, by: str | None = None) -> JointAbundance:
    """See `SpatialFit.joint_abundance`."""
    if _by_animals(fit):
        fix = "Use classes= for a covariate of few values, or fit.abundance(region)"
        raise refuse("with covariates of animals abundance is a sum over the animals detected", fix)
    full = fit.as_full()
    cells, scatter = [], []
    for session in full.model.sessions:
        found, block = _session(full, session, regions_of(full.model, session, regions, by))
        cells += found
        scatter.append(block)
    G = np.array([c.expected.gradient for c in cells])
    H = np.array([c.missed.gradient for c in cells])
    expected = _sandwich(G, full.covariance)
    realised = _sandwich(H, full.covariance)
    if _is_one_coefficient(full) and full.model.classes is None:  # exactly log-normal, as in `derive`
        number = np.array([c.expected.value for c in cells])
        N = np.outer(number, number)
        exact = N * np.expm1(expected / N)
        expected, realised = exact, realised + exact - expected
    begin = 0
    for block in scatter:
        end = begin + len(block)
        realised[begin:end, begin:end] += block
        begin = end
    return _put_together(cells, expected, realised, full.covariance)


def _sandwich(G: np.ndarray, V: np.ndarray) -> np.ndarray:
    """G V G'; coefficients that play no part may be undetermined, such as the logarithm of a density of none."""
    used = np.flatnonzero(np.abs(G).max(axis=0, initial=0.0) > NO_PART * np.abs(G).max(initial=0.0))
    return G[:, used] @ V[np.ix_(used, used)] @ G[:, used].T


def _session(fit, session, regions: Mapping[str, np.ndarray]) -> tuple[list[_Cell], np.ndarray]:
    """The cells of one session, and the covariance of where its animals are."""
    shares, names = np.stack(list(regions.values())), list(regions)
    labels = ["all"] if session.classes is None else [*map(session.classes.describe, session.classes.labels)]
    parts = [by_class(fit, session, session.mask, share=share) for share in shares]  # [region][class]
    where = _where(fit, session, shares)  # [n, classes, regions]
    area = shares.sum(axis=1) * session.mask.cell_area
    cells = [
        _Cell((session.name, names[r], labels[c]), *parts[r][c], where[:, c, r], float(area[r]))
        for r in range(len(names))
        for c in range(len(labels))
    ]
    size, C = len(cells), len(labels)
    scatter = np.zeros((size, size))
    for a in range(size):
        for b in range(a, size):
            (r, c), (s, d) = divmod(a, C), divmod(b, C)
            both = shares[r] if r == s else np.maximum(shares[r] + shares[s] - 1.0, 0.0)
            value = -float(cells[a].seen @ cells[b].seen)
            if c == d and r == s:
                value = max(value + cells[a].missed.value + float(cells[a].seen.sum()), 0.0)  # but for rounding
            elif c == d and both.any():
                value += by_class(fit, session, session.mask, share=both)[c][1].value
                value += float(_where(fit, session, both[None])[:, c, 0].sum())
            scatter[a, b] = scatter[b, a] = value
    if fit.model.distribution == "binomial":
        more, missed = fixed_number(fit, session)
        part = np.array([cell.missed.value for cell in cells]) / missed
        scatter += more * np.outer(part, part)
    return cells, scatter


def _where(fit, session, shares: np.ndarray) -> np.ndarray:
    """[n, classes, regions]: probability that each detected animal is of each class and lives in each region."""
    values = fit.values_of(session)
    of_class = session.class_shares(values)
    if np.all(shares >= 1.0):
        return np.repeat(of_class[:, :, None], len(shares), axis=2)
    return np.stack([session.centres_within(values, share) for share in shares], axis=2)


def _put_together(cells: list[_Cell], expected: np.ndarray, realised: np.ndarray, covariance) -> JointAbundance:
    """Rows and covariances, with the sum over classes where there are any."""
    labels = [c.label for c in cells]
    groups = list(dict.fromkeys(label[:2] for label in labels))
    out, rows = [], []
    for group in groups:
        members = [j for j, label in enumerate(labels) if label[:2] == group]
        for chosen in [[j] for j in members] + ([members] if len(members) > 1 else []):
            out.append(labels[chosen[0]] if len(chosen) == 1 else (*group, "all"))
            rows.append(np.isin(np.arange(len(cells)), chosen).astype(float))
    L = np.array(rows)
    expected, realised, table = L @ expected @ L.T, L @ realised @ L.T, []
    V = L @ _sandwich(np.array([c.expected.gradient for c in cells]), covariance) @ L.T  # of densities, first order
    for k, (label, row) in enumerate(zip(out, L, strict=True)):
        mine = [cells[j] for j in np.flatnonzero(row)]
        seen = np.sum([c.seen for c in mine], axis=0)
        N, missed = sum(c.expected.value for c in mine), sum(c.missed.value for c in mine)
        se, se_realised = np.sqrt(expected[k, k]), np.sqrt(max(realised[k, k], 0.0))
        scope, per_area = ", ".join(label[:2]) + ("" if label[2] == "all" else f", {label[2]}"), 100.0 / mine[0].area
        surely = float(np.sum(seen > 1.0 - 1e-9))
        for e in (
            log_normal("density", PER_100_KM2, scope, N * per_area, float(np.sqrt(V[k, k])) * per_area),
            log_normal("expected abundance", "animals", scope, N, se),
            log_normal_above("realised abundance", "animals", scope, surely, float(seen.sum()) + missed, se_realised),
        ):
            table.append(_labelled(e, label))
    index = pd.MultiIndex.from_tuples(out, names=LABELS)
    frames = [pd.DataFrame(m, index=index, columns=index) for m in (expected, realised)]
    return JointAbundance(pd.DataFrame(table, columns=[*LABELS, *COLUMNS]), *frames)


def _labelled(e: Estimate, label: tuple[str, str, str]) -> dict:
    return dict(zip(LABELS, label, strict=True)) | e.row()


# ---- regions -----------------------------------------------------------------------------------------------------


def regions_of(model, session, regions: Any, by: str | None) -> dict[str, np.ndarray]:
    """{name: share [M] of each habitat cell of the session}; see `SpatialFit.joint_abundance`."""
    mask = session.mask
    if regions is None:
        return {"habitat mask": np.ones(mask.size)}
    if isinstance(regions, str) and regions in mask.covariates:
        return _codes(regions, mask.covariate(regions))
    if isinstance(regions, xr.DataArray) or (isinstance(regions, (str, Path)) and _is_raster(regions)):
        from ...survey.raster import onto_mask

        return _codes("stratum", onto_mask(regions, mask, "nearest")[mask.habitat])
    found = {str(name): _share(model, session, region) for name, region in _named(regions, by).items()}
    if not found:
        raise refuse("there are no regions", "Give at least one", value=regions)
    return found


def _is_raster(path) -> bool:
    return Path(path).suffix.lower() in (".tif", ".tiff", ".vrt", ".asc")


def _codes(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    codes = np.unique(values[np.isfinite(values)])
    if not 0 < len(codes) <= 1000:
        raise refuse(
            f"{name!r} has {len(codes)} different values on the habitat mask",
            "Strata are few: give a raster of whole numbers",
            value=name,
        )
    return {f"{name} {code:g}": (values == code).astype(float) for code in codes}


def _named(regions: Any, by: str | None) -> Mapping:
    """{name: region}: a mapping as it is, a layer of polygons by a column, anything else as one region."""
    if isinstance(regions, Mapping):
        return regions
    layer = regions
    if isinstance(regions, (str, Path)):
        from ...survey.vector import read_layer

        layer = read_layer(Path(regions))
    if not hasattr(layer, "geometry") or not hasattr(layer, "columns"):
        return {"region": regions}
    if by is None:
        return {"region": layer} if len(layer) == 1 else {f"region {j + 1}": layer.iloc[[j]] for j in range(len(layer))}
    if by not in layer.columns:
        raise refuse("the layer has no such column", f"It has {', '.join(map(str, layer.columns))}", value=by)
    return {str(name): part for name, part in layer.groupby(by, sort=True)}


def _share(model, session, region: Any) -> np.ndarray:
    """float [M]: how much of each cell lies in a region, which must lie within the mask."""
    mask = region if isinstance(region, HabitatMask) else _region_mask(model, session, region)
    outside = float(np.mean(session.mask.cell_of(*mask.centres()) < 0))
    if outside > BEYOND:
        raise refuse(
            f"{100 * outside:.0f} % of a region lies outside the habitat mask of session {session.name}",
            "Clip the region to the mask or use a larger mask; fit.abundance(region) takes one region at a time",
        )
    return _share_of_cells(session.mask, mask)
