"""What a reviewer would ask of encounters with marked animals, before anything is fitted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...survey.checks.finding import Finding, error, note, some, warning
from ...survey.checks.identity import spelled_alike
from ...survey.encounters import EncounterHistory

FEW = 20  # animals, below which estimates rest on little
ONCE = 0.6  # share of animals met once, from which identities are worth a second look


def check(history: EncounterHistory, labels: tuple[str, ...]) -> Iterator[Finding]:
    """Findings about encounter histories, with the names of the occasions."""
    times = (history.states > 0).sum(axis=1)
    once = int(history.frequency @ (times == 1))
    if once == history.n_animals:
        what = "No animal was met twice, so these data say nothing of how many were never met, or of survival"
        yield error("no-animal-met-again", what, "Check the identities, or survey longer")
    elif once > ONCE * history.n_animals:
        what = f"{some(once, 'animal')} of {history.n_animals:,} were met once only"
        fix = "Compare their photographs or genotypes again: one animal under two names looks like this"
        yield note("many-animals-met-once", what, fix)
    if history.n_animals < FEW:
        what = f"Only {some(history.n_animals, 'animal')} were met"
        yield warning("few-animals", what, "Take few parameters, and treat intervals as a rough guide")
    nobody = np.flatnonzero((history.states > 0).sum(axis=0) == 0)
    looked = [t for t in nobody if (history.states[:, t] == 0).any()]
    if looked:
        what = f"No animal was met on {some(len(looked), 'occasion')} on which somebody looked"
        fix = "Where nobody looked, leave the cells empty or write a dot"
        yield warning("occasions-without-animals", what, fix, [labels[t] for t in looked])
    yield from spelled_alike(history.animals)
