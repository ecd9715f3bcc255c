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

DOUBTFUL = 0.05  # p below which model and data are said to differ
MONTHS = "January February March April May June July August September October November December".split()


def headline(analysis: Analysis, texts: Texts) -> str:
    """What was found, in one or two sentences."""
    return analysis.story.headline(texts)


def in_short(analysis: Analysis, texts: Texts) -> list[str]:
    """The paragraphs below the headline of a report."""
    say, good = texts.say, analysis.fit.verdict.good
    parts = [] if good else [say("serious", verdict=analysis.study.worded(str(analysis.fit.verdict)))]
    parts += [*analysis.story.in_short(texts), which_model(analysis, say)]
    parts += [remarks(analysis)] if good else []
    if analysis.study.config.report.public:
        parts.append(say("public", grid=f"{analysis.study.config.report.public_grid / 1000:g}"))
    return [part for part in parts if part]


def remarks(analysis: Analysis) -> str:
    """What the reported fit says about itself beyond having converged."""
    said = " ".join(str(r) for r in analysis.fit.verdict.remarks if r.outcome is not Outcome.CONVERGED)
    return analysis.study.worded(said)


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


def goodness(test: pd.Series, say) -> str:
    """What a test of the fit says."""
    kind = "goodness_bad" if test["p"] < DOUBTFUL else "goodness_good"
    return say(kind, test=test["test"], p=number(test["p"], 2), c_hat=number(test["c_hat"], 3))


def estimates(rows: pd.DataFrame, texts: Texts, animals: str) -> str:
    """Estimates as sentences, one after the other."""
    return " ".join(estimate(row, texts, animals) for row in rows.to_dict("records"))


def estimate(row: dict, texts: Texts, animals: str) -> str:
    """One estimate with its interval as a sentence."""
    told = lambda name: amount(row[name], row["unit"])  # noqa: E731
    interval = texts.say("no_interval")
    if np.isfinite(row["lower"]) and np.isfinite(row["upper"]):
        interval = texts.say("interval", lower=told("lower"), upper=told("upper"))
    scope = "" if row["scope"] == "all" else f"{'in ' * row['scope'].isdigit()}{row['scope']}; "
    per = row["unit"].removeprefix("probability") if row["unit"].startswith("probability per ") else ""
    about = {"about": f"{scope}{interval}", "unit": row["unit"], "per": per, "animals": animals}
    return texts.of_quantity(row["quantity"], estimate=told("estimate"), **about)


def amount(value: float, unit: str) -> str:
    """A number in the form that its unit has: shares in percent, animals whole, anything else with three digits.

    >>> amount(0.123, "probability per week"), amount(41.7, "animals"), amount(1.234, "animals per site")
    ('12 %', '42', '1.23')
    """
    if unit.startswith(("probability", "proportion")):
        return percent(value) if not value > 0.995 or value == 1.0 else f"{100 * value:.1f} %"
    return whole(value) if unit in ("animals", "km²") else number(value, 3)


def whole(value: float) -> str:
    """A number of animals: whole above ten."""
    return f"{value:,.0f}" if np.isfinite(value) and value >= 9.5 else number(value, 2)


def day(moment: pd.Timestamp) -> str:
    """A local date as people write it, without depending on the machine's language.

    >>> day(pd.Timestamp("2025-03-01 12:00"))
    '1 March 2025'
    """
    return f"{moment.day} {MONTHS[moment.month - 1]} {moment.year}"
