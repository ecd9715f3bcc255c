"""What the numbers say, in sentences that a county office can read: those that every report has."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..models import Outcome
from ..models.summary import number, percent
from .analysis import Analysis
from .parts import BEST
from .precision import smallest_change
from .texts import Texts

MONTHS = "January February March April May June July August September October November December".split()


def headline(analysis: Analysis, say) -> str:
    """What was found, in one or two sentences."""
    return analysis.story.headline(say)


def in_short(analysis: Analysis, texts: Texts) -> list[str]:
    """The paragraphs below the headline of a report."""
    say, good = texts.say, analysis.fit.verdict.good
    parts = [] if good else [say("serious", verdict=analysis.fit.verdict)]
    parts += [*analysis.story.in_short(say), which_model(analysis, say)]
    parts += [remarks(analysis)] if good else []
    if analysis.study.config.report.public:
        parts.append(say("public", grid=f"{analysis.study.config.report.public_grid / 1000:g}"))
    return [part for part in parts if part]


def remarks(analysis: Analysis) -> str:
    """What the reported fit says about itself beyond having converged."""
    return " ".join(str(r) for r in analysis.fit.verdict.remarks if r.outcome is not Outcome.CONVERGED)


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
    return f"{moment.day} {MONTHS[moment.month - 1]} {moment.year}"
