"""What an open spatial model says about its fit."""

from __future__ import annotations

import numpy as np

from ...survey.habitat import HabitatMask
from ...survey.together import methods_of
from ..spatial.checks import BUFFER_BIAS, COARSE, FEW_ANIMALS
from ..verdict import Outcome, Remark

FEW = 5  # animals in two sessions below which survival and movement rest on little
MOST_BEYOND = 0.01


def remarks(fit) -> tuple[Remark, ...]:
    """Animals of more than one session, how the movement fits its reach and the cells, and the mask."""
    model, found = fit.model, []
    n, several = len(model.records.names), int(((model.records.visit >= 0).sum(axis=1) > 1).sum())
    if n < FEW_ANIMALS:
        found.append(Remark(Outcome.FEW_ANIMALS, f"{n} animal{'s were' if n > 1 else ' was'} detected"))
    if several < FEW:
        words = f"{several} animal{'s were' if several != 1 else ' was'} detected in more than one session"
        found.append(Remark(Outcome.IMPRECISE, f"Only {words}: survival and movement rest on very little"))
    found += _movement(fit)
    if fit.method != "given values":
        found += _mask(fit)
    return tuple(found)


def _movement(fit):
    model, names = fit.model, fit.model.movement.parameters
    if not names:
        return
    at = [fit.values[name] for name in names]
    scale, shape = float(np.max(at[0])), float(np.min(at[1])) if len(at) > 1 else 1.0
    beyond = model.mover.beyond(scale, shape)
    if beyond > MOST_BEYOND:
        words = f"{100 * beyond:.3g} % of the movement kernel lies beyond its reach of {model.mover.reach:,.6g} m"
        yield Remark(Outcome.APPROXIMATE, f"{words}, and is left out: give a Movement with a larger reach")
    if scale < 0.5 * model.mask.spacing:
        yield Remark(Outcome.MASK_COARSE, f"the scale of movement ({scale:,.4g} m) is below half a cell")
    if np.ptp(model.years) > 0:
        words = "The intervals between sessions differ, and movement is that from a session to the next, however long"
        yield Remark(Outcome.APPROXIMATE, words)


def _mask(fit):
    """Cells too wide for sigma; a buffer that leaves out ground that animals are detected from."""
    model, mask = fit.model, fit.model.mask
    sigma = float(np.min(fit.values["sigma"]))
    if mask.spacing > COARSE * sigma:
        yield Remark(
            Outcome.MASK_COARSE,
            f"its cells are {mask.spacing:,.0f} m wide and animals are detected over a scale of {sigma:,.0f} m; "
            f"use a spacing of {0.5 * sigma:,.0f} m or less",
        )
    bias = 0.0 if mask.buffer is None or model.of_survival else buffer_bias(fit)
    if bias > BUFFER_BIAS:
        words = f"with its buffer of {mask.buffer:,.0f} m density comes out about {100 * bias:.1f} % too high"
        yield Remark(Outcome.MASK_SMALL, f"{words}; use a wider one")


def buffer_bias(fit, reach: float = 2.5) -> float:
    """Relative bias of D from the mask's buffer, of the session in which most was done.

    p. is added up beyond the buffer on a mask `reach` times as wide, at the median of the detection parameters.
    """
    model, buffer = fit.model, fit.model.mask.buffer
    parts = [d for c in model.captures for d in (m.detectors for m in methods_of(c).values()) if not d.located]
    if not parts:
        return 0.0
    d = max(parts, key=lambda one: float(np.nansum(one.effort)))
    values = [float(np.median(fit.values[name])) for name in model.detection.parameters]
    west, south, east, north = d.bounds
    extent = max(east - west, north - south) + 2.0 * reach * buffer
    wide = HabitatMask.around(d, reach * buffer, max(model.mask.spacing, extent / 120.0))
    x, y = wide.centres()
    away = np.hypot(x[:, None] - d.x, y[:, None] - d.y)
    effort = np.where(d.used, d.effort, 0.0).sum(axis=0)
    p = -np.expm1(-(model.detection.hazard_at(away, *values) @ effort))
    return float(p.sum() / max(p[away.min(axis=1) <= buffer].sum(), 1e-300) - 1.0)
