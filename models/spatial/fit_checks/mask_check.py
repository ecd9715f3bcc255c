"""Is the habitat mask wide and fine enough? Density on a wider one and on a finer one beside that of the fit.

Without refitting the detection parameters stay, and density changes as the number of animals that a fitted surface is
expected to show: D' = D ∫ D p. dx / ∫' D p. dx, the second integral over the other mask. With refitting the whole model
is fitted on the other mask. Beyond the outline of the mask that was used everything within the wider buffer is taken
as habitat.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ....survey.errors import refuse
from ....survey.habitat import HabitatMask
from ..abundance import _density, _with_covariates

ENOUGH = 0.01  # relative change of density from which a mask is called too small or too coarse


@dataclass(frozen=True, eq=False)
class MaskCheck:
    """Density on other masks."""

    table: pd.DataFrame  # session, mask ("as fitted", "wider", "finer"), buffer, spacing, cells, density, se, change
    refit: bool
    left_out: tuple[str, ...]  # what could not be checked, and why

    @property
    def good(self) -> bool:
        """Whether no other mask changes density by one per cent or more."""
        return bool((self.table["change"].abs() < ENOUGH).all())

    def __str__(self) -> str:
        how = "each fitted again" if self.refit else "with the detection parameters of the fit"
        lines = [f"Density on other habitat masks, {how}:"]
        for r in self.table[self.table["mask"] != "as fitted"].itertuples(index=False):
            wide = "no buffer" if np.isnan(r.buffer) else f"buffer {r.buffer:,.0f} m"
            lines.append(f"  {r.session}: {r.mask} ({wide}, cells of {r.spacing:,.0f} m): {100 * r.change:+.2f} %")
        last = "The mask is wide and fine enough." if self.good else "Use the mask that changes density."
        return "\n".join([*lines, *(f"  {words}" for words in self.left_out), last])

    __repr__ = __str__


def check_mask(fit, *, wider: float = 1.5, finer: int = 2, refit: bool = False) -> MaskCheck:
    """See `SpatialFit.check_mask`."""
    if not wider > 1.0:
        raise refuse("the wider buffer must be above 1 times the buffer", "Use e.g. wider=1.5", value=wider)
    if finer < 2 or int(finer) != finer:
        raise refuse("finer is the number of parts of a cell's side", "Use e.g. finer=2", value=finer)
    if any(len(s.strata.columns) for s in fit.model.sessions):
        raise refuse("with covariates of animals density is a sum over animals", "Fit on another mask and compare")
    full, left_out, others = fit.as_full(), [], {"wider": [], "finer": []}
    for session in full.model.sessions:
        others["finer"].append(_finer(session.mask, int(finer)))
        mask, reason = _wider(full, session, wider)
        others["wider"].append(mask)
        left_out += [f"{session.name}: {reason}"] if reason else []
    rows = []
    for j, session in enumerate(full.model.sessions):
        rows.append(_row(full, session, "as fitted", session.mask, 0.0))
        for what, masks in others.items():
            if masks[j] is not None and not refit:
                rows.append(_row(full, session, what, masks[j], _change(full, session, masks[j])))
    if refit:
        rows += list(_refitted(fit, full, others))
    columns = ["session", "mask", "buffer", "spacing", "cells", "density", "se", "change"]
    return MaskCheck(pd.DataFrame(rows, columns=columns), refit, tuple(left_out))


def _row(full, session, what: str, mask: HabitatMask, change: float) -> tuple:
    found = _told(full, session, session.mask)
    se = found["se"] if what == "as fitted" else np.nan
    buffer = np.nan if mask.buffer is None else mask.buffer
    return session.name, what, buffer, mask.spacing, mask.size, found["estimate"] * (1.0 + change), se, change


def _told(fit, session, mask: HabitatMask) -> pd.Series:
    """Density over a mask."""
    return fit.abundance(mask, session=session.name).query("quantity == 'density'").iloc[0]


def _change(full, session, mask: HabitatMask) -> float:
    """Relative change of density with the detection parameters as they are."""
    values = full.values_of(session)
    seen = []
    for cells in (session.mask, mask):
        D = _density(full.model, full.vector, session, cells)[2]
        log_mu = session.kernel_input(dict(values, D=D), cells.cell_area)[0]
        seen.append(float(np.exp(log_mu) @ session.detection_probability(values, cells)))
    return seen[0] / seen[1] - 1.0


def _refitted(fit, full, others) -> Iterator[tuple]:
    """Rows of the model fitted on other masks, told over the masks of the fit."""
    from ..scr import _rebuild

    model = fit.model
    for what, masks in others.items():
        if any(mask is None for mask in masks):
            continue
        again = _rebuild(model.given, masks, model.formulas, model._options()).fit(start=fit.vector).as_full()
        for session, own, mask in zip(again.model.sessions, full.model.sessions, masks, strict=True):
            before, after = _told(full, own, own.mask)["estimate"], _told(again, session, own.mask)
            buffer = np.nan if mask.buffer is None else mask.buffer
            numbers = (after["estimate"], after["se"], after["estimate"] / before - 1.0)
            yield own.name, what, buffer, mask.spacing, mask.size, *numbers


def _finer(mask: HabitatMask, parts: int) -> HabitatMask:
    """The same habitat in cells of a whole part of the side; covariates are those of the cell around."""
    spacing = mask.spacing / parts
    shift = 0.5 * (mask.spacing - spacing)
    habitat = np.kron(mask.habitat, np.ones((parts, parts), bool))
    fine = HabitatMask(mask.x0 - shift, mask.y0 - shift, spacing, habitat, mask.crs, buffer=mask.buffer)
    return _with_covariates(fine, mask)


def _wider(full, session, factor: float) -> tuple[HabitatMask | None, str]:
    """The mask with all land up to `factor` times its buffer, or why there is none."""
    mask, D = session.mask, full.model.parameters["D"].design
    if mask.buffer is None:
        return None, "the mask has no buffer, so that nothing lies beyond its outline"
    if session.metric is not None:
        return None, "distances are not known beyond the mask"
    layers = set(map(str, mask.covariates.data_vars))
    if D is not None and layers & set(D.variables):
        return None, "the covariates of density are not known beyond the mask"
    detectors, buffer = session.captures.detectors, factor * mask.buffer
    pad = int(np.ceil((buffer - mask.buffer) / mask.spacing)) + 1
    x0, y0 = mask.x0 - pad * mask.spacing, mask.y0 - pad * mask.spacing
    wide = HabitatMask(x0, y0, mask.spacing, np.pad(np.ones_like(mask.habitat), pad, constant_values=True), mask.crs)
    away = detectors.away(*wide.centres()).reshape(wide.habitat.shape)
    habitat = np.pad(mask.habitat, pad) | ((away > mask.buffer) & (away <= buffer))
    return replace(wide, habitat=habitat, buffer=buffer), ""
