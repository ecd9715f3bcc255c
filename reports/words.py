"""What the numbers say, in sentences that a county office can read."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from ..models import Outcome
from ..models.summary import number, percent
from .analysis import Analysis
from .config import BEST
from .precision import smallest_change
from .texts import Texts

FAIR, WEAK = 0.12, 0.20  # relative standard errors from which density is told to be fair, and weak


def headline(analysis: Analysis, say) -> str:
    """Density, and the number of animals in the first region (or the mask)."""
    density = analysis.told("density", analysis.scope)
    realised = analysis.told("realised abundance", analysis.scope)
    animals = analysis.study.config.survey.common_name
    where = analysis.scope
    if not analysis.study.regions:
        where = say("scope_mask", area=number(analysis.study.mask.area))
    first = say(
        "headline",
        density=number(density["estimate"], 3),
        density_lower=number(density["lower"], 3),
        density_upper=number(density["upper"], 3),
        animals=animals,
    )
    second = say("abundance", scope=where, N=whole(realised["estimate"]), N_lower=whole(realised["lower"]),
                 N_upper=whole(realised["upper"]), animals=animals)  # fmt: skip
    return f"{first} {second}"


def in_short(analysis: Analysis, texts: Texts) -> list[str]:
    """The paragraphs below the headline of a report."""
    say = texts.say
    parts = [] if analysis.fit.verdict.good else [say("serious", verdict=analysis.fit.verdict)]
    parts += [data(analysis, say), precision(analysis, say), which_model(analysis, say)]
    parts += [remarks(analysis)] if analysis.fit.verdict.good else []
    if analysis.study.config.report.public:
        parts.append(say("public", grid=f"{analysis.study.config.report.public_grid / 1000:g}"))
    return [part for part in parts if part]


def remarks(analysis: Analysis) -> str:
    """What the reported fit says about itself beyond having converged."""
    return " ".join(str(r) for r in analysis.fit.verdict.remarks if r.outcome is not Outcome.CONVERGED)


def data(analysis: Analysis, say) -> str:
    """How many animals were seen, where and when."""
    captures = analysis.study.captures
    detectors = captures.detectors
    told = dict(
        animals_seen=f"{captures.n_animals:,}",
        detections=f"{captures.n_detections:,}",
        stations=f"{len(detectors):,}",
        effort=number(float(np.nansum(detectors.effort))),
        effort_unit=detectors.effort_unit,
        spatial=f"{captures.n_spatial_recaptures:,}",
    )
    dates = analysis.study.dates
    return say("data", first=day(dates[0]), last=day(dates[1]), **told) if dates else say("data_undated", **told)


def precision(analysis: Analysis, say) -> str:
    """How precise density is, and what change such surveys could show."""
    rse = analysis.told("density", analysis.scope)["rse"]
    if not np.isfinite(rse):
        return change(rse, say)
    level = "good" if rse < FAIR else "fair" if rse < WEAK else "weak"
    return f"{say(f'precision_{level}', rse=percent(rse))} {change(rse, say)}"


def change(rse: float, say) -> str:
    """The smallest change that two surveys of this precision could tell from none."""
    down, up = smallest_change(rse)
    if np.isnan(down):
        return say("change_unknown")
    return say("change", down=percent(-down), up=percent(up))


def which_model(analysis: Analysis, say) -> str:
    """The reported model, and how it was chosen."""
    number_of = len(analysis.fits)
    wanted = analysis.study.config.report.model
    kind = "model_only" if number_of == 1 else "model_best" if wanted == BEST else "model_chosen"
    return say(kind, model=f"‘{analysis.reported}’", number=number_of)


def lost_days(tables, say) -> str:
    """The share of camera days lost, and the main reason."""
    effort = tables.effort()
    lost = tables.lost()
    if not len(lost):
        return say("lost_none")
    share = effort["lost"].sum() / effort["set"].sum()
    return say(
        "lost",
        set=f"{effort['set'].sum():,.0f}",
        lost=f"{effort['lost'].sum():,.0f}",
        share=percent(share),
        reason=lost["reason"].iloc[0],
    )


def detection(analysis: Analysis, say) -> str:
    """Detection at the centre of a range, and the distance at which it has halved; empty where it varies."""
    fit = analysis.fit
    values = [fit.values[name] for name in fit.model.detection.parameters]
    if any(np.ptp(v) > 0 for v in values):
        return ""
    p = lambda d: float(fit.model.detection.probability_at(d, *(v[0] for v in values)))  # noqa: E731
    far = 20.0 * float(fit.values["sigma"][0])
    if not p(0.0) > 0 or p(far) > 0.5 * p(0.0):
        return ""
    half = brentq(lambda d: p(d) - 0.5 * p(0.0), 0.0, far)
    return say("detection", p0=number(p(0.0), 2), half=number(half / 1000, 2))


def findings(found, say) -> str:
    """How many errors and warnings the checks found."""
    errors, warnings = len(found.errors), len(found.warnings)
    if not errors and not warnings:
        return say("findings_none")
    count = lambda n, what: f"{n or 'no'} {what}{'s' if n != 1 else ''}"  # noqa: E731
    return say("findings", errors=count(errors, "error"), warnings=count(warnings, "warning"))


def whole(value: float) -> str:
    """A number of animals: whole above ten."""
    return f"{value:,.0f}" if np.isfinite(value) and value >= 9.5 else number(value, 2)


def day(moment: pd.Timestamp) -> str:
    """A local date as people write it, without depending on the machine's language.

    >>> day(pd.Timestamp("2025-03-01 12:00"))
    '1 March 2025'
    """
    months = "January February March April May June July August September October November December".split()
    return f"{moment.day} {months[moment.month - 1]} {moment.year}"
