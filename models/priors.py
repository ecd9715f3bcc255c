"""Prior distributions of coefficients and of natural-scale values, and what is taken when none is given.

A prior is `on` the coefficient (link scale), or on the value of a parameter where its covariates are 0, whose change of
variable is done in `models/bayes.py`. They are numbers and formulas only: nothing here needs PyMC.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from scipy.special import betaln, expit, xlog1py, xlogy

from ..survey.errors import refuse
from .parameters import Parameter

SLOPE = 1.5  # standard deviation of the prior of a slope, per standard deviation of its covariate
WIDE = 10.0  # factor of the prior of a positive value about the model's starting value
SMOOTH = (0.7, 2.0)  # median and factor of the standard deviation of a smooth on the link scale
SIGMA = (0.5, 2.5)  # median and factor of a standard deviation on the link scale


@dataclass(frozen=True)
class Prior(ABC):
    """A distribution of one number. `on` says of which: the "coefficient" or the natural-scale "value"."""

    on: ClassVar[str] = "coefficient"
    proper: ClassVar[bool] = True

    @abstractmethod
    def log_density(self, x) -> tuple[Any, Any]:
        """Logarithm of the density at x, and its derivative."""

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> float:
        """One draw."""


def _positive(prior: Prior, **numbers: float) -> None:
    for name, number in numbers.items():
        if not (np.isfinite(number) and number > 0):
            raise refuse(f"{name} of {type(prior).__name__} must be above 0", "Correct it", value=number)


@dataclass(frozen=True)
class Normal(Prior):
    """Normal on the coefficient, which is the logit or logarithm of the value where the link is."""

    mean: float
    sd: float

    def __post_init__(self):
        _positive(self, sd=self.sd)

    def log_density(self, x):
        z = (x - self.mean) / self.sd
        return -0.5 * z * z - np.log(self.sd * np.sqrt(2.0 * np.pi)), -z / self.sd

    def draw(self, rng):
        return float(rng.normal(self.mean, self.sd))


@dataclass(frozen=True)
class Logistic(Prior):
    """Logistic on the coefficient: on a logit with location 0 and scale 1 the probability is uniform."""

    location: float = 0.0
    scale: float = 1.0

    def __post_init__(self):
        _positive(self, scale=self.scale)

    def log_density(self, x):
        z = (x - self.location) / self.scale
        return -np.abs(z) - 2.0 * np.log1p(np.exp(-np.abs(z))) - np.log(self.scale), (1 - 2 * expit(z)) / self.scale

    def draw(self, rng):
        return float(rng.logistic(self.location, self.scale))


@dataclass(frozen=True)
class LogNormal(Prior):
    """Log-normal on a positive value: two thirds of it lie within `factor` of `median`, 95 % within factor squared."""

    median: float
    factor: float
    on: ClassVar[str] = "value"

    def __post_init__(self):
        _positive(self, median=self.median, factor=self.factor)
        if self.factor <= 1.0:
            raise refuse("factor of LogNormal must be above 1", "Write 2 for 'within a factor of 2'", value=self.factor)

    def log_density(self, x):
        sd = np.log(self.factor)
        z = np.log(x / self.median) / sd
        return -0.5 * z * z - np.log(x * sd * np.sqrt(2.0 * np.pi)), -(z / sd + 1.0) / x

    def draw(self, rng):
        return float(self.median * np.exp(rng.normal(0.0, np.log(self.factor))))


@dataclass(frozen=True)
class Beta(Prior):
    """Beta on a probability; Beta(1, 1) is uniform."""

    a: float
    b: float
    on: ClassVar[str] = "value"

    def __post_init__(self):
        _positive(self, a=self.a, b=self.b)

    def log_density(self, x):
        value = xlogy(self.a - 1.0, x) + xlog1py(self.b - 1.0, -x) - betaln(self.a, self.b)
        low = (self.a - 1.0) / x if self.a != 1.0 else 0.0
        high = (self.b - 1.0) / (1.0 - x) if self.b != 1.0 else 0.0
        return value, low - high

    def draw(self, rng):
        return float(rng.beta(self.a, self.b))


@dataclass(frozen=True)
class Scale(Prior):
    """Density 1/value, flat on the logarithm: improper, the prior of N that Link (2013, Ecology 94) advises."""

    on: ClassVar[str] = "value"
    proper: ClassVar[bool] = False

    def log_density(self, x):
        return -np.log(x), -1.0 / x

    def draw(self, rng):
        raise refuse("the prior 1/value is improper, so nothing can be drawn from it", "Use e.g. LogNormal(100, 2)")


@dataclass(frozen=True)
class Tangent(Prior):
    """Of the tangent of the angle of two effects: their correlation is then uniform between -1 and 1."""

    def log_density(self, x):
        return -1.5 * np.log1p(x * x) - np.log(2.0), -3.0 * x / (1.0 + x * x)

    def draw(self, rng):
        r = rng.uniform(-1.0, 1.0)
        return float(r / np.sqrt(1.0 - r * r))


OF_LENGTH = Normal(0.0, 1.0)  # of a smooth, on the logit of where its logarithm lies between its limits
OF_CORRELATION = Tangent()


def defaults(p: Parameter, start: np.ndarray) -> list[Prior]:
    """Weakly informative priors [terms] of a parameter that was given none.

    A probability is uniform where its covariates are 0. A positive value is log-normal about the model's starting
    value with factor 10, a standard deviation of animals' effects about 0.5 with factor 2.5. A slope is normal about 0
    with standard deviation 1.5 per standard deviation of its covariate (per unit of a column of 0 and 1).

    Parameters
    ----------
    p : with a design
    start : the model's starting coefficients [terms]
    """
    assert p.design is not None
    X, intercept = np.asarray(p.design.matrix, float), "Intercept" in p.terms
    found: list[Prior] = []
    for j, term in enumerate(p.terms):
        flag = bool(np.isin(X[:, j], (0.0, 1.0)).all())
        if term == "Intercept" or (flag and not intercept):
            found.append(_of_level(p, float(start[j])))
        else:
            spread = 1.0 if flag else float(X[:, j].std() or abs(X[0, j]) or 1.0)
            found.append(Normal(0.0, SLOPE / spread))
    return found


def _of_level(p: Parameter, start: float) -> Prior:
    if p.link.name == "logit":
        return Logistic()
    if p.link.name == "cloglog":
        return Beta(1.0, 1.0)
    if p.link.name == "log":
        return LogNormal(*SIGMA) if p.name.startswith("sigma_") else LogNormal(float(f"{np.exp(start):.2g}"), WIDE)
    return Normal(start, WIDE * max(abs(start), 1.0))


def chosen(p: Parameter, given: Prior | Mapping[str, Prior] | None, start: np.ndarray) -> list[Prior]:
    """Priors [terms] of a parameter: those given, the defaults elsewhere.

    Raises
    ------
    SurveyError : a term is unknown, something is no prior, a prior on the value is given for slopes or for another link
    """
    priors = defaults(p, start)
    if given is None:
        return priors
    fixed = p.terms if p.design is None else p.design.names  # effects of random terms have their own prior
    if not isinstance(given, Mapping):
        if len(fixed) > 1:
            raise refuse(
                f"{p.name} has several coefficients",
                f"Give a mapping from its terms to priors: {', '.join(fixed)}",
                value=given,
            )
        given = dict.fromkeys(fixed, given)
    for term, prior in given.items():
        if term not in fixed:
            raise refuse(f"{p.name} has no such term", f"Its terms are {', '.join(fixed)}", value=term)
        if not isinstance(prior, Prior):
            raise refuse(f"{p.name} needs a prior", "Use e.g. Normal(0, 1.5) from uncia.models.priors", value=prior)
        priors[p.terms.index(term)] = _fitting(p, term, prior)
    return priors


def _fitting(p: Parameter, term: str, prior: Prior) -> Prior:
    if prior.on == "coefficient":
        return prior
    level = term == "Intercept" or "Intercept" not in p.terms
    links = ("logit", "cloglog") if isinstance(prior, Beta) else ("log",)
    if p.link.name not in links or not level:
        fix = "Use Normal or Logistic, which are on the coefficient"
        what = "a slope" if not level else f"a value with the {p.link.name} link"
        raise refuse(f"{p.name} ({term}) is {what}", fix, value=prior)
    return prior


KINDS: dict[str, type[Prior]] = {kind.__name__: kind for kind in (Normal, Logistic, LogNormal, Beta, Scale, Tangent)}


def to_record(prior: Prior) -> dict[str, Any]:
    """A prior as JSON can hold it."""
    return {"kind": type(prior).__name__} | {f.name: float(getattr(prior, f.name)) for f in fields(prior)}


def from_record(record: Mapping[str, Any]) -> Any:
    """What `to_record` wrote, or a mapping of terms to such."""
    if "kind" not in record:
        return {str(term): from_record(one) for term, one in record.items()}
    return KINDS[record["kind"]](**{name: value for name, value in record.items() if name != "kind"})
