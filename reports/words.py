"""What the numbers say, in sentences that a county office can read: those that every report has."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..models import Outcome, Verdict
from ..models.summary import number, percent
from .analysis import Analysis
from .parts import BEST
from .precision import smallest_change
from .texts import Texts

DOUBTFUL = 0.05  # p below which model and data are said to differ


def headline(analysis: Analysis, texts: Texts) -> str:
    """What was found, in one or two sentences."""
    return analysis.story.headline(texts)


def in_short(analysis: Analysis, texts: Texts) -> list[str]:
    """The paragraphs below the headline of a report."""
    say, good = texts.say, analysis.fit.verdict.good
    parts = [] if good else [say("serious", verdict=verdict(analysis, analysis.fit.verdict, texts))]
    parts += [*analysis.story.in_short(texts), which_model(analysis, say)]
    parts += [remarks(analysis, texts)] if good else []
    if analysis.study.config.report.public:
        parts.append(say("public", grid=f"{analysis.study.config.report.public_grid / 1000:g}"))
    return [part for part in parts if part]


def remarks(analysis: Analysis, texts: Texts) -> str:
    """What the reported fit says about itself beyond having converged."""
    said = tuple(r for r in analysis.fit.verdict.remarks if r.outcome is not Outcome.CONVERGED)
    return verdict(analysis, Verdict(said), texts)


def verdict(analysis: Analysis, said: Verdict, texts: Texts) -> str:
    """What a fit says about itself, remark by remark."""
    told = [texts.term(analysis.study.worded(str(remark))) for remark in said.remarks]
    return " ".join(told)


def change(rse: float, say) -> str:
    """The smallest change that two surveys of this precision could tell from none."""
    down, up = smallest_change(rse)
    if np.isnan(down):
        return say("change_unknown")
    return say("change", down=percent(-down), up=percent(up))


def which_model(analysis: Analysis, say) -> str:
    """The reported model, and how it was chosen."""
    if analysis.reported not in analysis.fits:
        return ""  # such as years, each with a model of its own
    number_of = len(analysis.fits)
    wanted = analysis.study.config.report.model
    kind = "model_only" if number_of == 1 else "model_best" if wanted == BEST else "model_chosen"
    return say(kind, model=analysis.reported, number=number_of, by=analysis.criterion)


def findings(found, texts: Texts) -> str:
    """How many errors and warnings the checks found."""
    errors, warnings = len(found.errors), len(found.warnings)
    if not errors and not warnings:
        return texts.say("findings_none")
    return texts.say("findings", errors=texts.some("errors", errors), warnings=texts.some("warnings", warnings))


def goodness(test: pd.Series, texts: Texts) -> str:
    """What a test of the fit says."""
    kind = "goodness_bad" if test["p"] < DOUBTFUL else "goodness_good"
    return texts.say(kind, test=texts.term(test["test"]), p=number(test["p"], 2), c_hat=number(test["c_hat"], 3))


def estimates(rows: pd.DataFrame, texts: Texts, animals: str) -> str:
    """Estimates as sentences, one after the other."""
    return " ".join(estimate(row, texts, animals) for row in rows.to_dict("records"))


def estimate(row: dict, texts: Texts, animals: str) -> str:
    """One estimate with its interval as a sentence."""
    told = lambda name: amount(row[name], row["unit"])  # noqa: E731
    interval = texts.say("no_interval")
    if np.isfinite(row["lower"]) and np.isfinite(row["upper"]):
        interval = texts.say("interval", lower=told("lower"), upper=told("upper"))
    scope = texts.cell(row["scope"])
    scope = texts.say("in_year", year=scope) if scope.isdigit() else scope
    about = interval if row["scope"] == "all" else texts.say("scoped", scope=scope, interval=interval)
    per = row["unit"].removeprefix("probability") if row["unit"].startswith("probability per ") else ""
    about = {"about": about, "unit": counted(row["unit"], texts), "per": texts.cell(per), "animals": animals}
    return texts.of_quantity(row["quantity"], estimate=told("estimate"), **about)


def amount(value: float, unit: str) -> str:
    """A number in the form that its unit has: shares in percent, animals whole, anything else with three digits.

    >>> amount(0.123, "probability per week"), amount(41.7, "animals"), amount(1.234, "animals per site")
    ('12 %', '42', '1.23')
    """
    if unit.startswith(("probability", "proportion")):
        return percent(value) if not value > 0.995 or value == 1.0 else f"{100 * value:.1f} %"
    return whole(value) if unit in ("animals", "km²") else number(value, 3)


def counted(unit: str, texts: Texts) -> str:
    """A unit as it follows a number in a sentence; Chinese counts animals with a word of its own."""
    return texts.say("animals_counted") if unit == "animals" else texts.cell(unit)


def whole(value: float) -> str:
    """A number of animals: whole above ten."""
    return f"{value:,.0f}" if np.isfinite(value) and value >= 9.5 else number(value, 2)
