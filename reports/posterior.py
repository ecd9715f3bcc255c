"""method = "bayes": the models' posteriors in place of their maxima, and what a report says of the draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from ..models.fit import Fit
from ..models.model import Model
from ..models.priors import KINDS, from_record
from ..models.summary import number
from ..survey.errors import SurveyError, refuse
from .figures.style import BLUE, GREY, MANY, new_axes
from .parts import Report

CREDIBLE = "95% credible"
WALK = 400  # draws of a chain that a trace shows
MOST = 6  # coefficients that are drawn


def fitted(model: Model, report: Report, seed: int, progress: Callable[[int, float], None] | None) -> Fit:
    """A model's fit by the method that the form asks for.

    Raises
    ------
    SurveyError : PyMC is not installed, a prior does not fit, …
    """
    if report.method != "bayes":
        return model.fit(progress=progress, interval=report.interval)
    priors = {name: v for name, v in priors_of(report).items() if name in (*model.parameters.names, "N") or ":" in name}
    return model.sample(
        draws=report.draws, chains=report.chains, seed=seed, priors=priors, sampler=report.sampler
    ).as_fit()


def priors_of(report: Report) -> dict[str, Any]:
    """[report.priors]: a distribution by its kind and numbers, for a parameter or for each of its terms.

    Raises
    ------
    SurveyError : no such distribution, or numbers that it does not have
    """
    found = {}
    for name, record in report.priors.items():
        for one in [record] if "kind" in record else list(record.values()):
            if not isinstance(one, dict) or one.get("kind") not in KINDS:
                fix = f"Write kind = … ({', '.join(KINDS)})"
                raise refuse(f"[report.priors]: {name} has no distribution that is known", fix, value=record)
        try:
            found[name] = from_record(record)
        except TypeError:
            fix = 'Write e.g. sigma = { kind = "LogNormal", median = 4000, factor = 2 }'
            raise refuse(
                f"[report.priors]: {name} has other numbers than its distribution", fix, value=record
            ) from None
    return found


def draws_of(analysis) -> Any:
    """The draws of the reported model; None where the form asks for maximum likelihood."""
    return getattr(analysis.fit, "sampled", None)


def in_words(estimates: pd.DataFrame, fit: Fit) -> pd.DataFrame:
    """Estimates whose intervals are those of draws, by name."""
    if getattr(fit, "sampled", None) is None:
        return estimates
    told = estimates["interval"].where(estimates["interval"].str.contains("credible"), CREDIBLE)
    return estimates.assign(interval=told.where(estimates["interval"] != "fixed", "fixed"))


def facts(analysis) -> dict[str, Any]:
    """What results.json says of the draws: sampler, versions, priors."""
    draws = draws_of(analysis)
    if draws is None:
        return {}
    made = {str(k): v if isinstance(v, (int, float)) else str(v) for k, v in draws.made.items()}
    chains, n, _ = draws.unknowns.shape
    return {"posterior": made | {"chains": chains, "draws": n, "seed": draws.seed, "priors": draws.posterior.record()}}


# ---- tables and figures ----------------------------------------------------------------------------------------------


def checks(analysis) -> pd.DataFrame | None:
    """T60: what each unknown's draws are worth, and what the data said of it."""
    draws = draws_of(analysis)
    if draws is None:
        return None
    summary = draws.summary()
    learned = draws.learned().iloc[: len(summary)]
    overlap = [f"{100 * v:.0f} %" if np.isfinite(v) else "–" for v in learned["overlap"]]
    return pd.DataFrame(
        {
            "parameter": summary["parameter"],
            "term": summary["term"],
            "mean": [number(v, 3) for v in summary["mean"]],
            "sd": [number(v, 3) for v in summary["sd"]],
            "R-hat": [f"{v:.3f}" if np.isfinite(v) else "–" for v in summary["r_hat"]],
            "ESS": [f"{v:,.0f}" for v in summary[["ess_bulk", "ess_tail"]].min(axis=1)],
            "overlap": overlap,
            "verdict": learned["says"].to_numpy(),
        }
    )


def priors(analysis) -> pd.DataFrame | None:
    """T61: the priors."""
    draws = draws_of(analysis)
    return None if draws is None else draws.priors().drop(columns="on")


def predicted(analysis) -> pd.DataFrame | None:
    """T62: the data beside data sets simulated from the draws."""
    draws = draws_of(analysis)
    if draws is None:
        return None
    try:
        table = draws.predictive(100, analysis.study.config.seed)
    except SurveyError:
        return None  # a model without a simulator
    numbers = {c: [number(v, 3) for v in table[c]] for c in ("observed", "median", "lower", "upper")}
    return table.assign(**numbers, p=[f"{v:.2f}" for v in table["p"]])


def figures(analysis) -> dict[str, Callable]:
    """F60: the chains."""
    draws = draws_of(analysis)
    return {} if draws is None else {"F60": lambda: traces(draws)}


def traces(draws):
    """The last steps of every chain, one line of panels for each coefficient."""
    names = [f"{name}: {term}" for name, term in draws.posterior.labels][:MOST]
    ax = new_axes(height=0.9 + 0.8 * len(names), width=6.4)
    for j, name in enumerate(names):
        values = draws.unknowns[:, -WALK:, j]
        low, high = np.quantile(draws.unknowns[:, :, j], [0.005, 0.995])
        scaled = np.clip((values - low) / max(high - low, 1e-300), -0.1, 1.1) * 0.8 + (len(names) - 1 - j)
        for c, chain in enumerate(scaled):
            ax.plot(chain, lw=0.5, color=MANY[c % len(MANY)] if len(scaled) > 1 else BLUE, alpha=0.8)
        ax.text(0.0, len(names) - 0.12 - j, name, fontsize=8, color=GREY, va="bottom")
    ax.set(xlabel="draw", yticks=[], ylim=(-0.15, len(names) + 0.15))
    ax.spines["left"].set_visible(False)
    return ax
