"""What every model of marked animals shares: covariates by name, predictions over them, words for a verdict."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from ...survey.encounters import EncounterHistory
from ...survey.errors import refuse
from ..derived import Estimate, log_normal, z_of
from ..design import formula_variables, formulas_in_words
from ..inference.profile import profile_intervals
from ..model import F, Model, check_data
from .layout import Layout


class MarkedModel(Model[F]):
    """A model of encounter histories. `layouts` holds the rows of each parameter, `options` how it was made."""

    history: Any  # EncounterHistory, or MonitoredAnimals of known fates
    layouts: dict[str, Layout]
    formulas: dict[str, str | float]
    options: dict[str, Any]
    data_class: ClassVar[type | None] = EncounterHistory  # None: the model itself says what it needs

    def __new__(cls, *given, **named):
        """Refuses data of another kind."""
        if cls.data_class is not None:
            check_data(cls, cls.data_class, given, named)
        return super().__new__(cls)

    def on(self, history: EncounterHistory) -> MarkedModel:
        """The same model of other data."""
        again: Any = type(self)  # every marked model takes its data first, then formulas and options by name
        return again(history, **self.formulas, **self.options)

    @property
    def sample_size(self) -> int:
        """Animals met at least once."""
        return self.history.n_animals

    def not_comparable(self, other) -> str:
        if type(self) is not type(other) or not isinstance(other, MarkedModel):
            return "they are different kinds of model"
        if self.history is not other.history:
            return "they are of different encounter histories"
        if self.options.get("likelihood") != other.options.get("likelihood"):
            return "one has the full and the other the conditional likelihood"
        return ""

    def data_lines(self) -> list[str]:
        return [repr(self.history)]

    def predict(self, fit, name, newdata):
        """Values of one parameter for every combination of its covariates, or for those in `newdata`.

        Returns
        -------
        DataFrame with the covariates, estimate, se, lower, upper (95 % on the link scale)
        """
        p = self.parameters[name]
        frame = self.layouts[name].frame if newdata is None else newdata
        if p.design is None:
            return frame.assign(estimate=p.fixed, se=0.0, lower=p.fixed, upper=p.fixed)
        X = p.design.matrix if newdata is None else p.design.at(newdata)
        J = np.zeros((len(X), self.parameters.size))
        J[:, self.parameters.slice_of(name)] = X
        eta = J @ fit.vector
        with np.errstate(invalid="ignore"):
            se = np.sqrt(np.diag(fit.covariance_of(J)))
        z = z_of()
        ends = np.sort([p.link.inverse(eta - z * se), p.link.inverse(eta + z * se)], axis=0)
        slope = np.abs(p.link.slope(eta))
        return frame.assign(estimate=p.link.inverse(eta), se=slope * se, lower=ends[0], upper=ends[1])

    def discrepancies(self, vector: np.ndarray) -> dict[str, float]:
        """See `Model.discrepancies`: of the numbers of histories within cohorts."""
        from .fitted_histories import discrepancies

        return discrepancies(self, vector)

    def parameter_rows(self, fit, quantities: Mapping[str, str], interval: str) -> list[Estimate]:
        """Rows of what people are told: parameters by their covariates, under the names given for them.

        With interval "profile" those of parameters without covariates are profile intervals.
        """
        rows = []
        for name, quantity in quantities.items():
            p, frame = self.parameters[name], self.predict(fit, name, None)
            kind = f"95% Wald on the {p.link.name}"
            if interval == "profile" and p.design is not None and p.design.constant:
                ends = profile_intervals(fit, [name]).iloc[0]
                frame, kind = frame.assign(lower=float(ends["lower"]), upper=float(ends["upper"])), "95% profile"
            for words, r in zip(scopes(self.layouts[name].frame), frame.itertuples(), strict=True):
                rows.append(Estimate(quantity, p.unit, words, r.estimate, r.se, r.lower, r.upper, kind))
        return rows

    def name_rows(self, name, rows):
        frame = self.layouts[name].frame.iloc[rows]
        if not len(frame.columns) or len(rows) == len(self.layouts[name].frame):
            return name
        places = [", ".join(f"{k} = {v}" for k, v in row.items()) for row in frame.to_dict("records")]
        return f"{name} at {'; '.join(places[:5])}{' …' if len(places) > 5 else ''}"

    def coefficients_for(self, values: Mapping[str, object]) -> np.ndarray:
        """Coefficients [p] from values as for `at`, or from an array of coefficients."""
        return self.parameters.vector_from(values) if isinstance(values, Mapping) else np.asarray(values, float)

    def __repr__(self) -> str:
        formulas = formulas_in_words(self.formulas)
        return f"{type(self).__name__}({formulas})"


def used_covariates(
    formulas: Mapping[str, str | float | None],
    animals: pd.DataFrame,
    occasions: pd.DataFrame,
    special: tuple[str, ...] = ("t", "T"),
) -> set[str]:
    """Animal covariates that the formulas use, none of them missing; `special` names are the model's own."""
    ours = set(map(str, animals.columns))
    known = ours | set(map(str, occasions.columns)) | set(special)
    used = set()
    for parameter, formula in formulas.items():
        if not isinstance(formula, str):
            continue
        names = formula_variables(formula)
        used |= names & ours
        for name in sorted(names - known):
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(sorted(known))}"
            raise refuse(f"the formula of {parameter} uses a covariate that is not there", hint, value=name)
    for name in sorted(used):
        lacking = animals.index[animals[name].isna()]
        if len(lacking):
            raise refuse(
                f"the covariate {name!r} is missing for {len(lacking)} rows of animals",
                "Fill it in, or leave these animals out",
                value=str(lacking[0]),
            )
    return used


def names_of(history: EncounterHistory) -> list[str]:
    """One name per animal; "a1 #2" is the second of several with the history of row a1."""
    rows = zip(history.animals.index, history.frequency, strict=True)
    return [name if many == 1 else f"{name} #{k + 1}" for name, many in rows for k in range(many)]


def one_of(what: str, value: object, allowed: tuple) -> None:
    """Refuse a value that is not among those allowed."""
    if value not in allowed:
        raise refuse(f"{what} is not known", f"Use one of {', '.join(map(repr, allowed))}", value=value)


def by_axis(axis: int, frame: pd.DataFrame | Mapping[str, pd.Series]) -> dict[str, tuple[int, pd.Series]]:
    """The columns of a frame as covariates along one axis of an array, for `lay_out`."""
    return {str(name): (axis, frame[name]) for name in frame}


def scopes(frame: pd.DataFrame) -> list[str]:
    """The rows of covariates in words: "sex = male, t = 3"."""
    if not len(frame.columns):
        return ["all"] * len(frame)
    return [", ".join(f"{k} = {v}" for k, v in row.items()) for row in frame.to_dict("records")]


def expected_number(fit, se: float, interval: str) -> Estimate:
    """The row of an expected number of animals, the parameter N of one row: log-normal, or by profile likelihood."""
    mean = float(fit.values["N"][0])
    if interval != "profile":
        return log_normal("expected abundance", "animals", "all", mean, se)
    ends = profile_intervals(fit, ["N"]).iloc[0]
    limits = (mean, se, float(ends["lower"]), float(ends["upper"]))
    return Estimate("expected abundance", "animals", "all", *limits, "95% profile")


def jacobian(function, vector: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Derivatives [q, p] of a smooth function of the coefficients, by central differences."""
    columns = []
    for j in range(len(vector)):
        e = np.zeros(len(vector))
        e[j] = step
        columns.append((function(vector + e) - function(vector - e)) / (2.0 * step))
    return np.array(columns).T
