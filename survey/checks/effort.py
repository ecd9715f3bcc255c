"""Was the effort recorded, and is it plausible?"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import numpy as np

from .finding import Finding, Look, note, some, warning


def effort_unknown(look: Look) -> Iterator[Finding]:
    """Detectors and occasions whose effort is missing."""
    unknown = np.isnan(look.detectors.effort)
    if unknown.any():
        yield warning(
            "effort-unknown",
            f"Effort is not known for {unknown.sum():,} of {unknown.size:,} detectors and occasions; "
            "they count as not surveyed",
            "Complete the dates of these deployments",
            look.names(unknown.any(axis=0)),
        )


def occasions_without_effort(look: Look) -> Iterator[Finding]:
    """Occasions on which no detector worked."""
    idle = ~look.detectors.used.any(axis=1)
    if idle.any():
        yield warning(
            "occasion-without-effort",
            f"No detector worked on {idle.sum()} of {len(idle)} occasions",
            "Check the dates of the survey; leave out occasions before its beginning and after its end",
            np.flatnonzero(idle) + 1,
        )


def detectors_never_used(look: Look) -> Iterator[Finding]:
    """Detectors that worked on no occasion."""
    idle = ~look.detectors.used.any(axis=0)
    if idle.any():
        yield note(
            "detector-never-used",
            f"{idle.sum()} of {len(idle)} detectors have no effort on any occasion",
            "Check their dates; leave them out if they were never set",
            look.names(idle),
        )


def effort_outliers(look: Look) -> Iterator[Finding]:
    """A typing error in a date or a unit makes an effort many times the usual one."""
    effort = look.detectors.effort
    usual = np.median(effort[look.detectors.used])
    large = np.nan_to_num(effort) > 10.0 * usual
    if large.any():
        yield warning(
            "effort-outlier",
            f"Effort reaches {np.nanmax(effort):,.4g} {look.detectors.effort_unit} where {usual:,.4g} is usual",
            "Check the dates and the unit of these detectors",
            look.names(large.any(axis=0)),
        )


def more_effort_than_time(look: Look) -> Iterator[Finding]:
    """A place cannot be watched for more days than an occasion has."""
    occasions = look.captures.occasions
    if look.detectors.effort_unit != "camera days" or not np.isfinite(look.days):
        return
    days = (occasions["end"] - occasions["start"]).to_numpy() / np.timedelta64(1, "D")
    over = np.nan_to_num(look.detectors.effort) > days[:, None] * 1.001 + 1e-6
    if over.any():
        yield warning(
            "effort-beyond-time",
            f"{some(over.any(axis=0).sum(), 'detector')} with more camera days than their occasions have days",
            "Paired cameras at one place are one detector, with the time when at least one worked",
            look.names(over.any(axis=0)),
        )


def long_season(look: Look) -> Iterator[Finding]:
    """More than ninety days from the first to the last occasion."""
    if look.days > 90:
        yield warning(
            "long-season",
            f"The survey lasted {look.days:.0f} days; beyond about 90, births, deaths and moves break the assumption "
            "that no animal came or went",
            "Cut out a shorter season, or use an open model with several sessions",
        )


def clock_problems(look: Look) -> Iterator[Finding]:
    """Deployments whose clocks cannot be put right."""
    tables = look.captures.tables
    if tables is None:
        return
    wrong = tables.deployments[tables.deployments["timestamp_issues"].eq(True)]
    if len(wrong):
        yield note(
            "clock-problems",
            f"{some(len(wrong), 'deployment')} with a clock that cannot be put right: records on no occasion",
            "Correct the times where the shift is known",
            wrong["deployment"],
        )


def no_failures(look: Look) -> Iterator[Finding]:
    """A camera survey in which nothing ever failed."""
    tables = look.captures.tables
    if tables is not None and not len(tables.failures) and len(tables.deployments) >= 10:
        yield note(
            "no-failures-recorded",
            f"No failure is recorded for {some(len(tables.deployments), 'deployment')}: every day from setting to "
            "collection counts as effort",
            "Enter dead batteries, full cards, theft and snow with their dates",
        )


def silent_cameras(look: Look) -> Iterator[Finding]:
    """A run of working days without a record of anything, far beyond chance at this camera: an unseen failure?

    When n of w working days have a record, in any order with equal chance, a run of g days without one has a
    probability of about (n + 1)(1 - g/w)^n, however busy or quiet the place is.
    """
    tables = look.captures.tables
    if tables is None:
        return
    worked = tables.calendar() > 0.5
    if worked.empty:
        return
    times = tables.records.dropna(subset="time")
    seen = set(zip(times["deployment"], times["time"].dt.date, strict=True))
    silent = {}
    for name, row in worked.iterrows():
        days = [(name, day) in seen for day in row.index[row]]
        gap, n = max((len(list(run)) for record, run in groupby(days) if not record), default=0), sum(days)
        if n and (n + 1.0) * (1.0 - gap / len(days)) ** n < 1e-6:
            silent[name] = gap
    if silent:
        yield warning(
            "silent-camera",
            f"{some(len(silent), 'deployment')} with up to {max(silent.values())} working days in a row without a "
            "record of any species, too many for chance",
            "Did the camera work? Look at the images around the gap, and enter a failure if it did not",
            silent,
        )


def covariates_missing(look: Look) -> Iterator[Finding]:
    """Covariates of detectors with gaps."""
    for name, values in look.detectors.covariates.items():
        missing = values.isna().to_numpy()
        if missing.any():
            yield warning(
                "detector-covariate-missing",
                f"Covariate {name!r} is missing for {missing.sum()} of {len(missing)} detectors; a model cannot use it",
                "Fill it in, or leave the covariate out",
                look.names(missing),
            )


def covariates_constant(look: Look) -> Iterator[Finding]:
    """Covariates that are the same for all detectors."""
    if len(look.detectors) < 2:
        return
    for name, values in look.detectors.covariates.items():
        if values.nunique() == 1 and values.notna().all():
            yield note(
                "detector-covariate-constant",
                f"Covariate {name!r} is {values.iloc[0]} for every detector; no effect can be estimated",
                "Leave it out of formulas",
            )


CHECKS = [
    effort_unknown,
    occasions_without_effort,
    detectors_never_used,
    effort_outliers,
    more_effort_than_time,
    long_season,
    clock_problems,
    no_failures,
    silent_cameras,
    covariates_missing,
    covariates_constant,
]
