"""Classes of animals that differ in how they are detected: sexes known for some or all, or classes nobody has seen.

Density of class c is D(x) π_c. With A_ic the integral of animal i if it is of class c, and C_i the classes that it may
be of (one where it is known, all where not),

    log A_i = log Σ_{c ∈ C_i} π_c A_ic          a. = Σ_c π_c a._c

so that a class that is known counts with its proportion and one that is missing is summed over (hybrid mixture,
Efford's `hcov`; finite mixtures, Pledger 2000, are the case in which it is known of nobody).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...survey.captures import CaptureHistory
from ...survey.errors import refuse

LATENT = {"h2": 2, "h3": 3}
MOST = 10  # classes; a column with more values is a measurement or a name


@dataclass(frozen=True)
class Classes:
    """C classes of animals. Their variable has the name `name` in formulas; the first label is the reference."""

    name: str
    labels: tuple[str, ...]

    @property
    def latent(self) -> bool:
        """Whether nobody's class is known: a finite mixture."""
        return self.name in LATENT

    @classmethod
    def of(cls, name: str | Classes, captures: Sequence[CaptureHistory]) -> Classes:
        """Classes by the column `name` of the animals' covariates, or "h2" and "h3" for 2 and 3 latent ones.

        Raises
        ------
        SurveyError : there is no such column, or it does not hold 2 to 10 different values
        """
        if isinstance(name, Classes):
            return name
        if name in LATENT:
            return cls(name, tuple(str(j + 1) for j in range(LATENT[name])))
        for c in captures:
            if c.n_animals and name not in c.animals:
                columns = ", ".join(map(str, c.animals.columns)) or "none"
                raise refuse(
                    "the animals have no such covariate to make classes of",
                    f"Give one of captures.animals ({columns}), or 'h2' or 'h3' for classes that nobody knows",
                    value=name,
                )
        labels = sorted({label for c in captures for label in _text(c, name).dropna()})
        if not 2 <= len(labels) <= MOST:
            how = "Leave classes out" if len(labels) < 2 else "Classes are few; a measurement goes into a formula"
            raise refuse(f"the covariate {name!r} holds {len(labels)} different values", how, value=labels[:5])
        return cls(name, tuple(labels))

    def member(self, captures: CaptureHistory) -> np.ndarray:
        """int [n]: the class of each animal, -1 where it is not known."""
        if self.latent:
            return np.full(captures.n_animals, -1)
        return pd.Index(self.labels).get_indexer(pd.Index(_text(captures, self.name)))

    def check_density(self, variables: set[str]) -> None:
        """The formula of D does not use the classes."""
        if self.name in variables:
            raise refuse(
                f"the density of each {self.name} is D times its proportion, which is pmix",
                "Leave it out of the formula of D; fit.abundance() tells the density of each class",
                value=self.name,
            )

    def column(self, label: str, rows: int) -> pd.Categorical:
        """The variable with one value in all rows."""
        return pd.Categorical([label] * rows, categories=self.labels)

    def describe(self, label: str) -> str:
        """One class in words."""
        return f"{self.name} {label}"

    def scopes(self, scope: str) -> list[str]:
        """The classes within a scope of estimates."""
        return [f"{scope}, {self.describe(label)}" for label in self.labels]

    @property
    def meaning(self) -> tuple[str, str, str]:
        """Link, unit and meaning of pmix: of two classes the proportion of the second, of more the odds of each."""
        if len(self.labels) == 2:
            return "logit", "", f"proportion of animals with {self.describe(self.labels[1])}"
        return "log", "", f"animals of each class for one with {self.describe(self.labels[0])}"

    @property
    def formula(self) -> str:
        """Of pmix, unless another is given: the same proportions in every session."""
        return "~ 1" if len(self.labels) == 2 else f"~ 0 + {self.name}"

    def proportions(self, pmix: np.ndarray) -> Proportions:
        """π from the natural-scale values of pmix [C - 1]."""
        if len(self.labels) == 2:
            return Proportions(np.array([1.0 - pmix[0], pmix[0]]), np.array([[-1.0], [1.0]]), np.zeros((2, 1, 1)))
        odds = np.append(1.0, pmix)
        whole, unit = odds.sum(), np.eye(len(odds))[:, 1:]
        first = unit / whole - odds[:, None] / whole**2
        second = -(unit[:, :, None] + unit[:, None, :]) / whole**2 + 2.0 * odds[:, None, None] / whole**3
        return Proportions(odds / whole, first, second)

    def start(self, captures: Sequence[CaptureHistory]) -> float:
        """A natural-scale value of pmix to begin with: as among the animals of known class."""
        known = np.concatenate([self.member(c) for c in captures])
        count = np.bincount(known[known >= 0], minlength=len(self.labels)) + 1.0
        return float(count[1] / count.sum()) if len(count) == 2 else float(np.mean(count[1:]) / count[0])


@dataclass(frozen=True)
class Proportions:
    """π and its derivatives with respect to the values of pmix."""

    value: np.ndarray  # float [C]
    first: np.ndarray  # float [C, C - 1]
    second: np.ndarray  # float [C, C - 1, C - 1]


NO_CLASSES = Proportions(np.ones(1), np.zeros((1, 0)), np.zeros((1, 0, 0)))


def _text(captures: CaptureHistory, name: str) -> pd.Series:
    """The covariate as words; missing where it is missing or empty."""
    if name not in captures.animals:
        return pd.Series(index=captures.animals.index, dtype=object)
    values = captures.animals[name]
    words = values.map(str).str.strip()
    return words.where(values.notna() & (words != ""), None)
