"""All models of a survey fitted, the one to report chosen, and every estimate in one table."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandas as pd

from ..models import Outcome, compare
from ..models.fit import Fit
from ..survey.errors import SurveyError, refuse
from . import posterior
from .parts import BEST
from .story import Story
from .study import Study

COLUMNS = ("model", "quantity", "unit", "scope", "method", "estimate", "se", "rse", "lower", "upper", "interval")


@dataclass(frozen=True, eq=False)
class Analysis:
    """A study and the fits of its models, by name in the order of the form."""

    study: Any  # a Study of some kind, with the data of this kind
    fits: dict[str, Fit]

    @cached_property
    def reported(self) -> str:
        """Name of the model whose numbers people are told.

        By AICc among the fits that can be used; among all when none can, which the report then says.
        """
        wanted = self.study.config.report.model
        if wanted != BEST:
            return wanted
        if isinstance(self.comparison, str):
            raise refuse(f"the best model cannot be chosen: {self.comparison}", "Name one as report.model")
        usable = [name for name in self.comparison["model"] if self.fits[name].verdict.good]
        return (usable or list(self.comparison["model"]))[0]

    @property
    def fit(self) -> Fit:
        """The fit of the reported model."""
        return self.fits[self.reported]

    @cached_property
    def comparison(self) -> pd.DataFrame | str:
        """The models by AICc (QAICc with an overdispersion), or why they cannot be compared."""
        try:
            return compare({name: self.study.told(fit) for name, fit in self.fits.items()})
        except SurveyError as error:
            return str(error)

    @property
    def criterion(self) -> str:
        """What the models are compared by, as people write it."""
        return "QAICc" if isinstance(self.comparison, pd.DataFrame) and "qaicc" in self.comparison else "AICc"

    @cached_property
    def estimates(self) -> pd.DataFrame:
        """What people are told of every model."""
        told = {name: posterior.in_words(self.study.estimates(fit), fit) for name, fit in self.fits.items()}
        parts = [table.assign(model=name, method=self.fits[name].method) for name, table in told.items()]
        return pd.concat(parts, ignore_index=True)[list(COLUMNS)]

    @cached_property
    def goodness(self) -> pd.DataFrame:
        """Tests of the reported fit; no rows where this kind of model has none."""
        return self.study.goodness(self.fit)

    @cached_property
    def story(self) -> Story:
        """How all this is told."""
        return self.study.story(self)

    @property
    def more_results(self) -> dict[str, Any]:
        """What results.json holds beside models and estimates."""
        found = self.study.definitions(self.fit)
        return ({"definitions": found} if found else {}) | posterior.facts(self)

    def told(self, quantity: str, scope: str | None = None) -> pd.Series:
        """One estimate of the reported model, in `scope` or in the first one that has it."""
        rows = self.estimates.query("model == @self.reported and quantity == @quantity")
        rows = rows if scope is None else rows[rows["scope"] == scope]
        return rows.iloc[0]


def analyse(study: Study, progress: Callable[[str, int, float], None] | None = None) -> Analysis:
    """Fit all models of a study.

    Parameters
    ----------
    progress : called with (model, evaluations, log-likelihood) as the fits go

    Raises
    ------
    SurveyError : the models that the data, or their formulas, do not allow: all of them, by name
    KeyboardInterrupt : somebody stopped a fit: half an analysis is none
    """
    return study.analyse(progress)


def build_all(study: Study) -> dict[str, Any]:
    """The models of a form, by name, before they are fitted; errors as `analyse` has them."""
    built, problems = {}, []
    for part in study.config.models:
        try:
            built[part.name] = study.build(part)
            study.check_model(built[part.name])
        except SurveyError as error:
            problems += [replace(p, what=f"model {part.name!r}: {p.what}") for p in error.problems]
    if problems:
        raise SurveyError(problems)
    return built


def fit_all(study: Study, progress: Callable[[str, int, float], None] | None = None) -> dict[str, Fit]:
    """The fits of all models of a form, by name; errors as `analyse` has them."""
    fits = {}
    for name, model in build_all(study).items():
        report = (lambda n, loglik, name=name: progress(name, n, loglik)) if progress else None
        fits[name] = posterior.fitted(model, study.config.report, study.config.seed, report)
        if Outcome.INTERRUPTED in fits[name].verdict:
            raise KeyboardInterrupt
    return fits


def finite(value: float) -> float | None:
    """A number as JSON can hold it."""
    return float(value) if math.isfinite(value) else None
