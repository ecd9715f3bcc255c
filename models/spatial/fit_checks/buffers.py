"""The effective sampling area as the buffer of the mask grows: how wide is wide enough."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ....survey.errors import refuse
from ....survey.habitat import HabitatMask

STEPS = 20  # rows of the table


def by_buffer(fit, widest: float | None = None, spacing: float | None = None, session: str | None = None):
    """See `SpatialFit.by_buffer`."""
    part = fit.model.session(session)
    if part.metric is not None:
        raise refuse(
            "beyond the mask there are no distances but straight lines",
            "Look at the buffer with straight lines, or fit on a wider mask",
        )
    detectors = part.captures.detectors
    if widest is None:
        scale = float(np.median(fit.model.values_of(fit.values, part)["sigma"]))
        widest = max(2.0 * (part.mask.buffer or 0.0), 10.0 * scale)
    mask = HabitatMask.around(detectors, widest, spacing or part.mask.spacing)
    p = part.detection_probability(fit.values_of(part), mask)
    away = detectors.away(*mask.centres())
    order = np.argsort(away, kind="stable")
    distance, area = away[order], np.cumsum(p[order]) * mask.cell_area
    buffers = np.linspace(0.0, widest, STEPS + 1)[1:]
    at = np.searchsorted(distance, buffers, side="right") - 1
    known = area[np.maximum(at, 0)] * (at >= 0)
    with np.errstate(divide="ignore"):
        bias = area[-1] / known - 1.0
    return pd.DataFrame({"buffer": buffers, "effective sampling area": known, "relative bias": bias})
