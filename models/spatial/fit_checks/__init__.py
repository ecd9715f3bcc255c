"""Whether a fitted model agrees with its data: goodness, residuals, ghosts, closure, the mask."""
