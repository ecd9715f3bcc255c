"""What an open spatial model says about its fit."""

from __future__ import annotations

import numpy as np

from ..verdict import Outcome, Remark

FEW = 5  # animals in two sessions below which survival and movement rest on little
MOST_BEYOND = 0.01


def remarks(fit) -> tuple[Remark, ...]:
    """Animals of more than one session, and how the movement fits its reach and the cells."""
    model, found = fit.model, []
    several = int(((model.records.visit >= 0).sum(axis=1) > 1).sum())
    if several < FEW:
        words = f"{several} animal{'s were' if several != 1 else ' was'} detected in more than one session"
        found.append(Remark(Outcome.IMPRECISE, f"Only {words}: survival and movement rest on very little"))
    names = model.movement.parameters
    if names:
        at = [fit.values[name] for name in names]
        scale = float(np.max(at[0]))
        shape = float(np.min(at[1])) if len(at) > 1 else 1.0
        beyond = model.mover.beyond(scale, shape)
        if beyond > MOST_BEYOND:
            words = f"{100 * beyond:.3g} % of the movement kernel lies beyond its reach of {model.mover.reach:,.6g} m"
            found.append(Remark(Outcome.APPROXIMATE, f"{words}, and is left out: give a Movement with a larger reach"))
        if scale < 0.5 * model.mask.spacing:
            words = f"The scale of movement ({scale:,.4g} m) is below half a cell of the mask"
            found.append(Remark(Outcome.MASK_COARSE, words))
        if np.ptp(model.years) > 0:
            words = (
                "The intervals between sessions differ, and movement is that from a session to the next, however long"
            )
            found.append(Remark(Outcome.APPROXIMATE, words))
    return tuple(found)
