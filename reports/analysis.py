"""All models of a survey fitted, the one to report chosen, and every estimate in one table."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from ..models import SCR, Outcome, compare
from ..models.spatial.fit import SpatialFit
from ..survey.errors import SurveyError, refuse
from .config import BEST, Model
from .study import Study

WALD = "95% Wald on the link scale"
COLUMNS = ("model", "quantity", "unit", "scope", "method", "estimate", "se", "rse", "lower", "upper", "interval")


@dataclass(frozen=True, eq=False)
class Analysis:
    """A study and the fits of its models, by name in the order of the form."""

    study: Study
    fits: dict[str, SpatialFit]

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
    def fit(self) -> SpatialFit:
        """The fit of the reported model."""
        return self.fits[self.reported]

    @cached_property
    def comparison(self) -> pd.DataFrame | str:
        """The models by AICc, or why they cannot be compared."""
        try:
            return compare(self.fits)
        except SurveyError as error:
            return str(error)

    @cached_property
    def estimates(self) -> pd.DataFrame:
        """Density, abundance, sampling area and detection of every model in the mask and in every region."""
        parts = [self._of(name, fit) for name, fit in self.fits.items()]
        return pd.concat(parts, ignore_index=True)[list(COLUMNS)]

    def _of(self, name: str, fit: SpatialFit) -> pd.DataFrame:
        tables = [fit.derive(), *(fit.abundance(file, region) for region, file in self.study.regions.items())]
        tables += [detection_estimates(fit, p) for p in fit.model.detection.parameters]
        return pd.concat(tables, ignore_index=True).assign(model=name, method=fit.method)

    def told(self, quantity: str, scope: str | None = None) -> pd.Series:
        """One estimate of the reported model, in `scope` or in the first one that has it."""
        rows = self.estimates.query("model == @self.reported and quantity == @quantity")
        rows = rows if scope is None else rows[rows["scope"] == scope]
        return rows.iloc[0]

    @property
    def scope(self) -> str:
        """The area of the headline: the first region, or else the habitat mask."""
        return next(iter(self.study.regions), "habitat mask")


def detection_estimates(fit: SpatialFit, parameter: str) -> pd.DataFrame:
    """A detection parameter as rows of estimates, one for each distinct setting of its covariates."""
    table = fit.predict(parameter).drop_duplicates(ignore_index=True)
    covariates = [c for c in table.columns if c not in ("estimate", "se", "lower", "upper")]
    scopes = [", ".join(f"{c} = {row[c]}" for c in covariates) or "all detectors" for _, row in table.iterrows()]
    known = fit.model.parameters[parameter]
    unit = known.unit.replace("unit of effort", fit.model.captures.detectors.effort_unit.removesuffix("s"))
    interval = WALD if known.fixed is None else "fixed"
    rows = table[["estimate", "se", "lower", "upper"]].assign(rse=table["se"] / table["estimate"])
    return rows.assign(quantity=parameter, unit=unit, scope=scopes, interval=interval)


def build(study: Study, model: Model) -> SCR:
    """The model that one part of the form describes."""
    options = model.model_dump(exclude={"name"}, exclude_none=True)
    return SCR(study.captures, study.mask, **options)


def analyse(study: Study, progress: Callable[[str, int, float], None] | None = None) -> Analysis:
    """Fit all models of a study.

    Parameters
    ----------
    progress : called with (model, evaluations, log-likelihood) as the fits go

    Raises
    ------
    KeyboardInterrupt : somebody stopped a fit: half an analysis is none
    """
    built = {model.name: build(study, model) for model in study.config.models}
    fits = {}
    for name, model in built.items():
        report = (lambda n, loglik, name=name: progress(name, n, loglik)) if progress else None
        fits[name] = model.fit(progress=report, interval=study.config.report.interval)
        if Outcome.INTERRUPTED in fits[name].verdict:
            raise KeyboardInterrupt
    return Analysis(study, fits)


def finite(value: float) -> float | None:
    """A number as JSON can hold it."""
    return float(value) if math.isfinite(value) else None
