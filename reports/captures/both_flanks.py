"""flank = "both" of survey.toml: left and right photographs as two sessions of one model with the same density.

The sessions are of the same animals, and a model takes them for independent, so that estimates have no bias and their
standard errors are too small by up to √2: everything is told with c-hat 2, on the safe side (`survey.flanks`). How many
animals were missed is another number for each flank, so that abundance is told as an expectation.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ...models.spatial.fit import SpatialFit
from ...survey.captures import CaptureHistory
from ...survey.ledger import Ledger
from .words import MASK

TWICE = 2.0  # c-hat: every animal is in both sessions
TOLD = ("density", "expected abundance", "proportion of animals")
UNKNOWN = "the flank is not known"


def check_flanks(form) -> None:
    """flank = "both" and the rest of a form go together.

    Raises
    ------
    ValueError : (what, fix), as validators of forms do
    """
    if getattr(form.data, "flank", None) != "both":
        return
    for name, given in (("marking", form.marking), ("methods", form.methods), ("telemetry", form.telemetry)):
        if given:
            raise ValueError(f'[{name}] and flank = "both" do not go together', 'Use flank = "more animals"')
    for part in form.models:
        if part.likelihood != "full" or "session" in str(part.D):
            what = f'density of model {part.name!r} is to be that of both flanks, with flank = "both"'
            raise ValueError(what, 'Use likelihood = "full", and no session in D')


def shown(sides: Sequence[CaptureHistory]) -> CaptureHistory:
    """The flank of which figures and tables are: that by which more animals are known."""
    return max(sides, key=lambda c: c.n_animals)


def ledger(sides: Sequence[CaptureHistory]) -> Ledger | None:
    """Where the records went: used where either flank used them. None without two flanks."""
    if not sides:
        return None
    ends: dict[tuple[str, int], str] = {}
    for side in sides:
        for file, rows, why in side.ledger.entries:
            reason = Ledger.USED if why.startswith(Ledger.USED) else UNKNOWN if why.startswith(UNKNOWN) else why
            for row in map(int, rows):
                if reason == Ledger.USED or (file, row) not in ends:
                    ends[file, row] = reason
    files, rows = zip(*ends, strict=True)
    return Ledger.of(files, rows, list(ends.values()))


def estimates(study, fit: SpatialFit) -> list[pd.DataFrame]:
    """Density and expected abundance in the mask and in every region, those of both flanks."""
    session, found = study.captures.session, fit.derive()
    found = found.assign(scope=found["scope"].str.replace(f"session {session}", MASK, regex=False))
    mine = found["scope"].str.startswith(MASK) & found["quantity"].isin(TOLD)
    regions = [fit.abundance(file, name, session) for name, file in study.regions.items()]
    return [found[mine], *(rows[rows["quantity"].isin(TOLD)] for rows in regions)]
