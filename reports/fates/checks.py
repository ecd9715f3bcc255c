"""What a reviewer would ask of monitored animals, before anything is fitted."""

from __future__ import annotations

from collections.abc import Iterator

from ...survey.checks.finding import Finding, note, some, warning
from ...survey.checks.identity import spelled_alike
from ...survey.monitored import MonitoredAnimals

FEW = 5  # deaths, below which survival rests on little


def check(animals: MonitoredAnimals) -> Iterator[Finding]:
    """Findings about monitored animals."""
    if animals.n_deaths < FEW:
        what = f"{some(animals.n_deaths, 'animal')} died: survival rests on very little"
        yield warning("few-deaths", what, "Take few covariates, and treat intervals as a rough guide")
    never = ~animals.at_risk.any(axis=1)
    if never.any():
        what = f"Followed through no whole {animals.period} and counted nowhere: {some(int(never.sum()), 'animal')}"
        yield note("animals-never-at-risk", what, "Take shorter periods if this matters", animals.animals.index[never])
    yield from spelled_alike(animals.animals)
