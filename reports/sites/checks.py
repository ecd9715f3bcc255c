"""What a reviewer would ask of visits to sites, before anything is fitted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...survey.checks.finding import Finding, error, note, some, warning
from ...survey.checks.identity import spelled_alike
from ...survey.detections import DetectionHistory
from ...survey.ledger import Ledger
from ...survey.patrol_visits import NO_EFFORT, OFF_TRACK

OF_COUNTS = ("NMixture", "OpenNMixture")
FEW = 10  # sites at which something was found, below which estimates rest on little
UNEVEN = 3.0  # times that efforts of visits differ (90 % against 10 %) from which they matter


def check(history: DetectionHistory, exposure: bool, timed: bool = False) -> Iterator[Finding]:
    """Findings about a detection history.

    Parameters
    ----------
    exposure : whether every model takes effort into account
    timed : whether every model is about the time to detection, which needs no second visit
    """
    visited, found = history.visited, np.asarray(history.detected).any(axis=1)
    group = (history.site_of * history.n_seasons + history.season_of)[history.done]
    if np.bincount(group).max(initial=0) < 2 and not timed:
        what = "No site was visited twice in a season: what was overlooked cannot be told from what was not there"
        yield error("sites-without-repeats", what, "Visit sites again, or cut the time into shorter visits")
    if visited.any() and bool((found | ~visited).all()):
        what = "Something was found at every site visited: occupancy is 1, and covariates have nothing to explain"
        yield warning("found-everywhere", what, "Use smaller sites, or a model of numbers (RoyleNichols, NMixture)")
    elif found.sum() < FEW:
        what = f"Something was found at {some(int(found.sum()), 'site')} only: estimates rest on very little"
        yield warning("few-sites-found", what, "Take few covariates, and treat intervals as a rough guide")
    if (~visited).any():
        what = f"{some(int((~visited).sum()), 'site')} had no visit; such sites say nothing and are predicted only"
        yield note("sites-never-visited", what, "Check whether their visits are missing", history.sites.index[~visited])
    effort = history.effort[history.done]
    low, high = np.quantile(effort, [0.1, 0.9]) if len(effort) else (1.0, 1.0)
    if not exposure and high > UNEVEN * low:
        span = f"{low:.3g} to {high:.3g} {history.effort_unit}"
        what = f"The effort of visits differs much ({span}), and a model ignores it"
        yield warning("effort-ignored", what, "Give the models exposure = true, or effort in the formula of p")
    yield from spelled_alike(history.sites)


def check_counts(history: DetectionHistory) -> Iterator[Finding]:
    """Whether what a model of counts is given can be counts at all."""
    if len(history.value) and np.nanmax(history.value) <= 1:
        what = "All counts are 0 or 1: numbers rest on them being counts of animals, not whether any was found"
        fix = "Where it was only noted whether animals were found, use RoyleNichols or Occupancy"
        yield warning("counts-of-one", what, fix)


def check_ledger(ledger: Ledger) -> Iterator[Finding]:
    """Observations of the animals that were made on no way that is known."""
    lost = sum(len(rows) for _, rows, why in ledger.entries if why.startswith((OFF_TRACK, NO_EFFORT)))
    if lost:
        what = f"{some(lost, 'observation')} of the animals away from all tracks of their patrols: not counted"
        fix = "Add the tracks that are missing, or correct the patrols' names, clocks and coordinates"
        yield warning("observations-off-track", what, fix)
