"""Are the fixes of collared animals what a model takes them for?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .finding import Finding, Look, note, some, warning

FAR = 20.0  # a circular normal range has one fix in 10^120 beyond so many times the median distance
HOURS = 12.0  # fixes that follow one another more quickly are mostly of one bed, kill or walk


def close_in_time(look: Look) -> Iterator[Finding]:
    """Fixes of an animal that follow one another within hours count as independent and are not."""
    telemetry = look.captures.telemetry
    if telemetry is None or "time" not in telemetry.fixes:
        return
    fixes = telemetry.fixes.dropna(subset="time").sort_values("time")
    gap = fixes.groupby("animal")["time"].diff().dropna().dt.total_seconds().to_numpy() / 3600.0
    if len(gap) and np.median(gap) < HOURS:
        close = fixes["animal"].drop_duplicates()
        yield warning(
            "fixes-close-in-time",
            f"Half of the fixes follow the one before within {np.median(gap):,.3g} hours and are taken for independent"
            ": intervals of sigma and density will be too narrow",
            "Thin them, telemetry.thinned(hours=24) or thin_hours = 24 in the form",
            close,
        )


def none_detected(look: Look) -> Iterator[Finding]:
    """No collared animal has the name of one detected."""
    telemetry = look.captures.telemetry
    if telemetry is None or not len(telemetry) or not look.captures.n_animals:
        return
    if not set(telemetry.names) & set(look.captures.animals.index):
        yield note(
            "collars-not-detected",
            f"None of {some(len(telemetry.names), 'collared animal')} is among those detected",
            "Check that an animal with a collar has one name in both; if so, their fixes inform sigma alone",
            telemetry.names,
        )


def far_away(look: Look) -> Iterator[Finding]:
    """Fixes many times as far from the middle of their animal's fixes as half of these are: slips of a coordinate."""
    telemetry = look.captures.telemetry
    if telemetry is None:
        return
    rows, furthest = [], 0.0
    for animal, fixes in telemetry.fixes.groupby(["animal", "session"], sort=False):
        if len(fixes) < 5:
            continue
        x, y = fixes["x"].to_numpy(), fixes["y"].to_numpy()
        distance = np.hypot(x - np.median(x), y - np.median(y))
        far = distance > FAR * np.median(distance)
        if far.any() and np.median(distance) > 0:
            furthest = max(furthest, float(distance[far].max()))
            at = fixes["row"].to_numpy()[far] if "row" in fixes else []
            rows += [f"{animal[0]} (row {n})" for n in at] or [str(animal[0])] * int(far.sum())
    if rows:
        yield warning(
            "fixes-far-away",
            f"{some(len(rows), 'collar position')} far from the animal's others, up to {furthest / 1000:,.4g} km: "
            "sigma would come out too large, and density too low",
            "Correct or delete these fixes, unless the animal moved there for good",
            rows,
        )


CHECKS = [close_in_time, none_detected, far_away]
