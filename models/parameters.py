"""Parameters: formulas on one side, natural-scale arrays for the kernels on the other, one chain rule between."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..survey.errors import refuse
from .design import Design, triangle
from .links import Link
from .random_terms import Term


@dataclass(frozen=True, eq=False)
class Parameter:
    """One parameter of a model: value[row] = link.inverse(design.matrix @ coefficients).

    `design` is None for a parameter that is fixed at `fixed`.
    """

    name: str
    link: Link
    design: Design | None
    unit: str = ""
    meaning: str = ""
    fixed: float | None = None
    n_rows: int = 1
    most: float = np.inf  # a value that the data cannot tell from an infinite one

    @property
    def terms(self) -> tuple[str, ...]:
        return () if self.design is None else self.design.terms

    def eta(self, coefficients: np.ndarray) -> np.ndarray:
        """Linear predictor [rows]."""
        assert self.design is not None
        return self.design.times(coefficients)

    def values(self, coefficients: np.ndarray) -> np.ndarray:
        """Natural-scale values [rows]."""
        if self.design is None:
            return np.full(self.n_rows, float(self.fixed or 0.0))
        if self.design.constant:  # one number, not the same one for millions of rows
            return np.full(len(self.design.fixed), self.link.inverse(coefficients[0]))
        return self.link.inverse(self.eta(coefficients))

    def pull(self, coefficients: np.ndarray, adjoint: np.ndarray) -> np.ndarray:
        """Gradient [terms] from the derivatives [rows] of the log-likelihood with respect to the values."""
        if self.design is None:
            return np.empty(0)
        if self.design.constant:
            return np.array([adjoint.sum() * self.link.slope(coefficients[0])])
        return self.design.pull(adjoint * self.link.slope(self.eta(coefficients)))

    def start(self, value: float) -> np.ndarray:
        """Coefficients [terms] that give every row `value` as nearly as the design can."""
        if self.design is None:
            return np.empty(0)
        eta = float(self.link.forward(np.asarray(value, float)))
        if self.design.names[:1] == ("Intercept",):
            return np.concatenate([[eta], np.zeros(len(self.terms) - 1)])
        target = np.full(len(self.design.fixed), eta)
        fixed = np.linalg.lstsq(self.design.fixed, target, rcond=None)[0]
        return np.concatenate([fixed, np.zeros(len(self.terms) - len(fixed))])


class ParameterSet:
    """The parameters of a model in order, and the vector of their coefficients."""

    def __init__(self, parameters: list[Parameter]):
        self._parameters = {p.name: p for p in parameters}
        stops = np.cumsum([0] + [len(p.terms) for p in parameters])
        self._slices = {p.name: slice(int(a), int(b)) for p, a, b in zip(parameters, stops, stops[1:], strict=False)}
        self.size = int(stops[-1])

    def __iter__(self):
        return iter(self._parameters.values())

    def __getitem__(self, name: str) -> Parameter:
        return self._parameters[self._known(name)]

    def __contains__(self, name: str) -> bool:
        return name in self._parameters

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._parameters)

    @property
    def labels(self) -> tuple[tuple[str, str], ...]:
        """(parameter, term) of each coefficient."""
        return tuple((p.name, term) for p in self for term in p.terms)

    @property
    def random(self) -> tuple[tuple[Parameter, Term, slice], ...]:
        """The random terms: their parameter, and where their coefficients stand in the vector."""
        found = []
        for p in self:
            begin = self._slices[p.name].start + len(p.design.names if p.design is not None else ())
            for term in p.design.random if p.design is not None else ():
                found.append((p, term, slice(begin, begin + term.size)))
                begin += term.size
        return tuple(found)

    def slice_of(self, name: str) -> slice:
        return self._slices[self._known(name)]

    def split(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """Coefficients by parameter."""
        return {name: np.asarray(vector, float)[where] for name, where in self._slices.items()}

    def values(self, vector: np.ndarray, but: str | None = None) -> dict[str, np.ndarray]:
        """Natural-scale arrays [rows] by parameter, of all but one."""
        return {name: self._parameters[name].values(c) for name, c in self.split(vector).items() if name != but}

    def pull(self, vector: np.ndarray, adjoints: Mapping[str, np.ndarray], but: str | None = None) -> np.ndarray:
        """The chain rule through links and designs, once for every model: gradient [size].

        The adjoint of the parameter `but` is already by its coefficients.
        """
        parts = self.split(vector)
        pulled = (adjoints[n] if n == but else self._parameters[n].pull(c, adjoints[n]) for n, c in parts.items())
        return np.concatenate([*pulled, np.empty(0)])

    def along(self, vector: np.ndarray, but: str | None = None) -> dict[str, np.ndarray]:
        """How the values [rows, size] of each parameter, but one, move per unit of each coefficient."""
        found = {}
        for p in self:
            if p.name == but:
                continue
            where = self._slices[p.name]
            found[p.name] = np.zeros((p.n_rows if p.design is None else len(p.design.fixed), self.size))
            if p.design is not None:
                found[p.name][:, where] = p.design.matrix * p.link.slope(p.eta(vector[where]))[:, None]
        return found

    def bent(self, vector: np.ndarray, adjoints: Mapping[str, np.ndarray], but: str | None = None) -> np.ndarray:
        """What links add to second derivatives [size, size], those of all parameters but one."""
        second = np.zeros((self.size, self.size))
        for p in self:
            if p.design is not None and p.name != but:
                where = self._slices[p.name]
                bend = adjoints[p.name] * p.link.curve(p.eta(vector[where]))
                second[where, where] = p.design.matrix.T @ (bend[:, None] * p.design.matrix)
        return second

    def start(self, values: Mapping[str, float]) -> np.ndarray:
        """Coefficient vector from one natural-scale value per parameter."""
        return np.concatenate([p.start(values[p.name]) for p in self if p.design is not None])

    def scaling(self, vector: np.ndarray) -> np.ndarray:
        """T [size, size] such that one unit of gamma, beta = T gamma, means the same for every coefficient.

        The columns of each design·T are orthonormal times √rows, so that a covariate in metres and an intercept are
        alike; a unit is one unit of the logarithm or logit, or the value at `vector` for the identity link. Random
        coefficients keep their units.
        """
        T = np.eye(self.size)
        for p in self:
            if p.design is None or not p.terms:
                continue
            begin = self._slices[p.name].start
            where = slice(begin, begin + len(p.design.names))
            if where.stop == begin:
                continue
            r = triangle(p.design.fixed) / np.sqrt(len(p.design.fixed))
            unit = np.abs(p.eta(vector[self._slices[p.name]])).max() if p.link.name == "identity" else 1.0
            T[where, where] = np.linalg.inv(r) * (unit or 1.0)
        return T

    def vector_from(self, given: Mapping[str, object]) -> np.ndarray:
        """The coefficient vector from what a user gives for each parameter.

        A number is the natural-scale value of a parameter without covariates; a mapping {term: coefficient} is on the
        link scale.

        Raises
        ------
        SurveyError : a parameter is missing or unknown, a value is outside its domain, a term is missing
        """
        for name, value in given.items():
            p = self[name]
            if p.design is None and value != p.fixed:
                raise refuse(f"{name} is fixed in this model", f"Leave it out, or give {p.fixed:g}", value=value)
        missing = [p.name for p in self if p.design is not None and p.name not in given]
        if missing:
            raise refuse("values are needed for every parameter", f"Add {', '.join(missing)}", value=sorted(given))
        return np.concatenate([_coefficients(p, given[p.name]) for p in self if p.design is not None] or [np.empty(0)])

    def given(self, vector: np.ndarray) -> dict[str, dict[str, float]]:
        """The mapping that `vector_from` turns back into `vector`."""
        parts = self.split(vector)
        return {
            p.name: dict(zip(p.terms, map(float, parts[p.name]), strict=True)) for p in self if p.design is not None
        }

    def frame(self, vector: np.ndarray) -> pd.DataFrame:
        """Coefficients with their parameter, term and link."""
        rows = [(p.name, term, p.link.name) for p in self for term in p.terms]
        return pd.DataFrame(rows, columns=["parameter", "term", "link"]).assign(estimate=np.asarray(vector, float))

    def _known(self, name: str) -> str:
        if name in self._parameters:
            return name
        near = difflib.get_close_matches(name, self._parameters, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"It has {', '.join(self._parameters)}"
        raise refuse("the model has no such parameter", hint, value=name)


def check_fixed(name: str, value: Any, link: Link) -> float:
    """A value at which a parameter is fixed, as a number in its domain.

    Raises
    ------
    SurveyError : it is no number, or outside the domain
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise refuse(f"{name} needs a formula or a number", "Write e.g. '~ 1' or 0.5", value=value) from None
    with np.errstate(all="ignore"):
        inside = np.isfinite(number) and np.isfinite(link.forward(np.float64(number)))
    if not inside:
        raise refuse(f"{name} must be {link.domain}", "Correct the value at which it is fixed", value=number)
    return number


def _coefficients(p: Parameter, given: object) -> np.ndarray:
    if isinstance(given, Mapping):
        names = p.terms if p.design is None else p.design.names  # random coefficients are 0 when they are left out
        unknown, lacking = set(given) - set(p.terms), set(names) - set(given)
        if unknown or lacking:
            raise refuse(
                f"{p.name} needs one coefficient per term", f"Its terms are {', '.join(names)}", value=dict(given)
            )
        return np.array([float(given.get(term, 0.0)) for term in p.terms])
    value = np.asarray(given, float)
    if value.ndim != 0 or (p.design is not None and p.design.names != ("Intercept",)):
        raise refuse(
            f"{p.name} depends on covariates",
            f"Give its link-scale coefficients as a mapping with the terms {', '.join(p.terms)}",
            value=given,
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        eta = p.link.forward(value)
    if not np.isfinite(eta):
        raise refuse(f"{p.name} must be {p.link.domain}", "Correct the value", value=float(value))
    return np.concatenate([[float(eta)], np.zeros(len(p.terms) - 1)])
