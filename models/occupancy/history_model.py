"""What all models of detection histories share: parameters over sites, seasons and visits, and what follows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from ...survey.detections import DetectionHistory
from ...survey.errors import refuse
from ..design import Design, formula_variables, formulas_in_words
from ..fit import Fit
from ..links import LINKS
from ..model import Model, check_data
from ..parameters import Parameter, ParameterSet

ROWS = ("one", "site", "season", "transition", "visit")


@dataclass(frozen=True)
class Symbol:
    """A parameter that a model has: the links it may have (the first by default), and what its rows are.

    Rows: "one" number; N "site"s; N·T "season"s (season fastest); N·(T - 1) "transition"s, with the covariates of the
    season they start from; or the "visit"s that were done.
    """

    name: str
    rows: str
    meaning: str
    links: tuple[str, ...] = ("logit", "cloglog")
    unit: str = "probability"


class HistoryFit(Fit):
    """A `Fit` to a detection history: adds the posterior of the latent state."""

    def posterior(self) -> pd.DataFrame:
        """The latent state of each site (and season) given what was found there, at the estimates."""
        return self.model.posterior(self.vector)

    def residuals(self, seed: int = 1, simulations: int = 1000) -> pd.DataFrame:
        """Dunn-Smyth residuals of occupancy and detection, or of counts, see `occupancy.residuals`."""
        from .residuals import residuals

        return residuals(self, seed, simulations)


class HistoryModel(Model):
    """A model of one detection history, with one formula per parameter.

    A subclass names its parameters in `symbols` and says `evaluate`, `start_values`, `derive`, `posterior` and how
    findings come about (`_draw`).
    """

    symbols: ClassVar[tuple[Symbol, ...]]
    data_kind: ClassVar[str] = "detections"  # log-likelihoods of models of the same kind of data can be compared
    fit_class = HistoryFit
    _made_of: tuple[tuple, dict[str, Any]]

    def __new__(cls, *given, **named):
        """Remembers what the model was made of, for `on`."""
        check_data(cls, DetectionHistory, given, named)
        model = super().__new__(cls)
        model._made_of = (given, named)
        return model

    def __init__(
        self, history: DetectionHistory, formulas: Mapping[str, str | float], links: Mapping[str, str] | None = None
    ):
        self.history = history
        self.links = dict(links or {})
        self.formulas = dict(formulas)
        unknown = sorted(set(self.links) - {s.name for s in self.symbols})
        if unknown:
            raise refuse("links: the model has no such parameter", f"It has {', '.join(formulas)}", value=unknown)
        frames: dict[str, pd.DataFrame] = {}
        self.parameters = ParameterSet(
            [self._parameter(s, formulas[s.name], frames) for s in self.symbols if s.name in formulas]
        )

    def _parameter(self, symbol: Symbol, formula: str | float, frames: dict[str, pd.DataFrame]) -> Parameter:
        link = self.links.get(symbol.name, symbol.links[0])
        if link not in symbol.links:
            raise refuse(f"{symbol.name} cannot have this link", f"Use {' or '.join(symbol.links)}", value=link)
        if symbol.name not in frames:
            frames.setdefault(symbol.rows, self.frame(symbol))
        frame = frames[symbol.rows]
        if isinstance(formula, str):
            self._check_level(symbol, formula, frame)
        design = Design.of(formula, frame, symbol.name) if isinstance(formula, str) else None
        fixed = None if isinstance(formula, str) else float(formula)
        return Parameter(symbol.name, LINKS[link], design, symbol.unit, symbol.meaning, fixed, len(frame))

    def _check_level(self, symbol: Symbol, formula: str, frame: pd.DataFrame) -> None:
        """A covariate that only visits have is of no use to a parameter of sites, even if it is the same all over."""
        for name in sorted((formula_variables(formula) & set(self.history.visits)) - set(frame)):
            raise refuse(
                f"{symbol.name} has one value per {symbol.rows}, and this is a covariate of visits",
                "Give it by site: the table `sites` of the readers, or history.with_table()",
                value=name,
            )

    def frame(self, symbol: Symbol) -> pd.DataFrame:
        """Covariates over the rows of a parameter."""
        if symbol.rows == "one":
            return pd.DataFrame(index=range(1))
        if symbol.rows == "site":
            return self.history.site_frame()
        if symbol.rows == "visit":
            return self.history.visit_frame()
        rows = self.history.season_frame()
        if symbol.rows == "season":
            return rows
        last = np.tile(np.arange(self.history.n_seasons) == self.history.n_seasons - 1, self.history.n_sites)
        return rows[~last].reset_index(drop=True)

    @property
    def sample_size(self) -> int:
        """Number of sites visited."""
        return int(self.history.visited.sum())

    def not_comparable(self, other) -> str:
        if not isinstance(other, HistoryModel) or self.data_kind != other.data_kind:
            return "they are different kinds of model"
        if self.history is not other.history and not self.history.equals(other.history):
            return "they are of different detection histories"
        return ""

    def on(self, history: Any):
        """The same model of other data with the same sites and visits."""
        return self._with(history=history)

    def _with(self, **changes):
        """The same model with other arguments."""
        given, named = self._made_of
        bound = signature(type(self)).bind(*given, **named)
        bound.arguments.update(changes)
        return type(self)(*bound.args, **bound.kwargs)

    def start(self) -> np.ndarray:
        return self.parameters.start(self.start_values())

    @abstractmethod
    def start_values(self) -> dict[str, float]:
        """One natural-scale value per parameter to begin with, from the data."""

    @abstractmethod
    def posterior(self, vector: np.ndarray) -> pd.DataFrame:
        """The latent states given the data, at coefficients [p]."""

    def by_site(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """float [N]: log-likelihood of what was found at each site, at natural-scale values as for `evaluate`."""
        raise refuse(
            "this model has no likelihood of single sites", "Use a model without random effects", value=repr(self)
        )

    def fitted(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """float [V]: expected findings of the visits that were done; by 1,000 draws where a model has no formula."""
        rng = np.random.default_rng(1)
        return np.mean([np.asarray(self._draw(values, rng), float) for _ in range(1000)], axis=0)

    def discrepancies(self, vector: np.ndarray) -> dict[str, float]:
        """See `Model.discrepancies`: of detection histories, and of findings at sites and on visits."""
        from .goodness import discrepancies

        return discrepancies(self, vector)

    def simulate(self, values: Mapping[str, object], seed: int) -> Any:
        """A history from the model, with the visits that were done here.

        Parameters
        ----------
        values : value or {term: coefficient} per parameter, as for `at`
        seed : of NumPy's default generator; the same seed gives the same data
        """
        natural = self.parameters.values(self.parameters.vector_from(values))
        return self._as_history(self._draw(natural, np.random.default_rng(seed)))

    @abstractmethod
    def _draw(self, values: Mapping[str, np.ndarray], rng: np.random.Generator) -> Any:
        """Findings of the visits that were done, as `_as_history` takes them."""

    def _as_history(self, drawn: Any) -> Any:
        """The history with `drawn` findings of the visits that were done."""
        return self.history.with_values(spread(self.history.done, drawn))

    def predict(self, fit, name, newdata):
        from .predict import predict

        return predict(fit, name, newdata)

    def __repr__(self) -> str:
        formulas = formulas_in_words(self.formulas)
        return f"{type(self).__name__}({formulas})"


def spread(done: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """float [visits]: what was drawn for the visits that were done, 0 at the others."""
    whole = np.zeros(len(done))
    whole[done] = drawn
    return whole


def check_detections(history: DetectionHistory, most: int | None = 1) -> None:
    """Findings must be no larger than `most`, and something must have been found."""
    value = history.value[history.done]
    if most is not None and len(value) and value.max() > most:
        fix = "This model knows only the states up to it"
        fix += "; of counts take history.as_detections(), in survey.toml detections = true" if most == 1 else ""
        raise refuse(f"a finding is larger than {most}", fix, value=value.max())
    if not (value > 0).any():
        raise refuse("nothing was found on any visit, so there is nothing to fit", "Check the species and the dates")
