"""What every model is: parameters with formulas, a log-likelihood with its gradient, and ways to run it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import pandas as pd

from ..survey.errors import refuse
from .fit import Fit
from .inference.many_starts import fit_from_many
from .inference.maximum_likelihood import covariance_of, maximise
from .inference.watched import watched
from .parameters import ParameterSet
from .verdict import Outcome, Remark, Verdict

if TYPE_CHECKING:
    from .draws import Draws
    from .pointwise import Points

F = TypeVar("F", bound=Fit)


READ_WITH = {
    "CaptureHistory": "survey.read_camtrap_dp, read_field_tables or read_secr",
    "DetectionHistory": "survey.read_visits, read_matrix or detection_history",
    "EncounterHistory": "survey.read_histories, read_encounters or read_inp",
    "MonitoredAnimals": "survey.read_fates or read_fates_inp",
}


def check_data(model: type, kind: type, given: tuple, named: Mapping[str, Any]) -> None:
    """The data of a model, its first argument, are of the kind that the model is of."""
    data = given[0] if given else next((named[name] for name in ("history", "animals", "first") if name in named), None)
    if data is None or isinstance(data, kind):  # None: unpickled, or Python itself says what is missing
        return
    fix = f"Read it with {READ_WITH[kind.__name__]}"
    if kind.__name__ == "EncounterHistory" and type(data).__name__ == "CaptureHistory":
        fix = "Drop the places: EncounterHistory.from_captures(captures)"
    raise refuse(f"{model.__name__} takes its data as {kind.__name__}", fix, value=type(data).__name__)


class Model(ABC, Generic[F]):
    """A model of one data set. Data, model and fit never change after birth.

    A model has `parameters` and says how its log-likelihood and the derivatives with respect to the natural-scale
    arrays of the parameters come about (`evaluate`); links, designs and the chain rule are done here, once.
    """

    parameters: ParameterSet
    fit_class: type = Fit  # what `fit` and `at` give back: F
    kinked: bool = False  # whether the log-likelihood has small kinks, see `inference.kinks`

    # ---- what a model must say ------------------------------------------------------------------------------

    @abstractmethod
    def evaluate(
        self, values: Mapping[str, np.ndarray], gradient: bool
    ) -> tuple[float, Mapping[str, np.ndarray] | None]:
        """Log-likelihood, and its derivatives with respect to each array of `values` when `gradient`."""

    @abstractmethod
    def start(self) -> np.ndarray:
        """Deterministic starting coefficients that work from two animals (or sites) on."""

    @property
    @abstractmethod
    def sample_size(self) -> int:
        """n of AICc: animals or sites."""

    @abstractmethod
    def derive(self, fit: F, interval: str) -> pd.DataFrame:
        """What people are told, as a table (see `derived.COLUMNS`)."""

    @abstractmethod
    def predict(self, fit: F, name: str, newdata) -> Any:
        """Values of one parameter with their uncertainty."""

    def data_lines(self) -> list[str]:
        """The data in a line or two, for the printed fit."""
        return []

    def remarks(self, fit: F) -> tuple[Remark, ...]:
        """What this kind of model says about a fit beyond convergence."""
        return ()

    def discrepancies(self, vector: np.ndarray) -> dict[str, float]:
        """Statistics of how far the data are from the model at coefficients [p], larger for a worse fit, by name."""
        raise refuse("there is no test of fit for this kind of model", "Look at its residuals", value=repr(self))

    @abstractmethod
    def not_comparable(self, other: Model) -> str:
        """Why the log-likelihoods of two models cannot be compared, in words; empty when they can."""

    # ---- the log-likelihood over coefficients ---------------------------------------------------------------

    def loglik(self, vector: np.ndarray) -> float:
        """Log-likelihood at the coefficients [p]."""
        return self.evaluate(self.parameters.values(vector), False)[0]

    def loglik_and_gradient(self, vector: np.ndarray) -> tuple[float, np.ndarray]:
        """Log-likelihood and its gradient [p]; (-inf, NaN) where it cannot be evaluated."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            values = self.parameters.values(vector)
            if not all(np.isfinite(v).all() for v in values.values()):
                return -np.inf, np.full(self.parameters.size, np.nan)
            loglik, adjoints = self.evaluate(values, True)
            assert adjoints is not None
            return float(loglik), self.parameters.pull(vector, adjoints)

    def curvature(self, values, along) -> tuple[np.ndarray, Mapping[str, np.ndarray]] | None:
        """Second derivatives [P, P] of the log-likelihood along straight directions of `values`, and its adjoints.

        `along` gives for each parameter [rows, P] how its values move per unit of each direction. None where a model
        has no exact second derivatives: the optimiser then differences the gradient.
        """
        return None

    def hessian(self, vector: np.ndarray) -> np.ndarray | None:
        """Exact Hessian [p, p] where the model has a curvature: its own, plus what links and designs bend."""
        found = self.curvature(self.parameters.values(vector), self.parameters.along(vector))
        return None if found is None else found[0] + self.parameters.bent(vector, found[1])

    def scaling(self, vector: np.ndarray) -> np.ndarray:
        """Units in which the coefficients are alike to an optimiser, see `ParameterSet.scaling`."""
        return self.parameters.scaling(vector)

    # ---- ways to run it -------------------------------------------------------------------------------------

    def at(self, *, variation: Mapping[str, float] | None = None, **values) -> F:
        """Results at given values, without fitting.

        A number is the natural-scale value of a parameter without covariates; a mapping {term: coefficient} gives
        link-scale coefficients. With random effects these are the fixed ones, and `variation` has the standard
        deviations of the random ones by name, as in {"p: 1 | site": 0.5}.
        """
        if self.parameters.random:
            from .random_fit import at_random

            return at_random(self, values, variation)
        vector = self.parameters.vector_from(values)
        p = len(vector)
        loglik = self.loglik(vector)
        return self.fit_class(
            model=self,
            vector=vector,
            covariance=np.full((p, p), np.nan),
            loglik=loglik,
            method="given values",
            base_verdict=Verdict((Remark(Outcome.GIVEN),)),
        )

    def fit(
        self,
        *,
        start: np.ndarray | Mapping[str, object] | None = None,
        progress: bool | Callable[[int, float], None] | None = None,
        interval: str = "wald",
        max_iterations: int = 200,
        integration: str = "auto",
        penalty: float = 0.0,
        starts: int = 1,
        seed: int = 1,
    ) -> F:
        """Maximum likelihood; with random effects or smooths in a formula, of the marginal likelihood.

        Parameters
        ----------
        start : coefficients [p], or natural-scale values as for `at`; from the data by default
        progress : True for a line on the screen, or called with (evaluations, log-likelihood) as the fit goes
        interval : "wald" or "profile", the intervals that `derive()` and the printed fit use
        max_iterations : of the quasi-Newton climb
        integration : over random effects: "laplace"; "quadrature", where every group has one coefficient and is
            separate from the others; by default quadrature where it is possible and Laplace's approximation is poor
        penalty : λ of λ/2 Σ β², taken off the log-likelihood (see `penalty`); 0 is maximum likelihood
        starts : from how many starting points to climb; with more than one the verdict names the maxima that were found
        seed : of the starting points beyond the first

        Returns
        -------
        Fit
        """
        if interval not in ("wald", "profile"):
            raise refuse("this kind of interval is not known", "Use 'wald' or 'profile'", value=interval)
        if isinstance(start, Mapping):
            start = self.parameters.vector_from(start)
        begin = self.start() if start is None else np.asarray(start, float)
        if begin.shape != (self.parameters.size,):
            raise refuse("start has the wrong length", f"Give {self.parameters.size} coefficients", value=begin.shape)
        with watched(progress) as report:
            if starts != 1:
                how = dict(progress=report, interval=interval, max_iterations=max_iterations)
                climb = partial(Model.fit, self, integration=integration, penalty=penalty, **how)
                return fit_from_many(self, begin, starts, seed, lambda point: climb(start=point))
            if penalty != 0.0:
                from .penalty import fit_penalised

                return fit_penalised(self, begin, penalty, report, interval, max_iterations)
            if self.parameters.random:
                from .random_fit import fit_random

                return fit_random(self, begin, integration, report, interval, max_iterations)
            optimum = maximise(self, begin, max_iterations=max_iterations, report=report)
        covariance = covariance_of(optimum)
        return self.fit_class(
            model=self,
            vector=optimum.vector,
            covariance=covariance.matrix,
            loglik=optimum.loglik,
            method="maximum likelihood",
            base_verdict=_verdict(self, optimum, covariance),
            evaluations=optimum.evaluations,
            interval=interval,
            determined=covariance,
        )

    def sample(
        self,
        *,
        draws: int = 1000,
        tune: int | None = None,
        chains: int = 4,
        seed: int = 1,
        priors: Mapping[str, Any] | None = None,
        sampler: str = "nuts",
    ) -> Draws:
        """Draws from the posterior distribution, by PyMC's NUTS (needs `pip install 'uncia[bayes]'`).

        Parameters
        ----------
        draws : kept of each chain
        tune : steps of each chain before them; by default 150, since the metric is that of the curvature at the mode,
            and 1000 with random effects
        chains : from different starting points, one after another
        seed : the same seed gives the same draws on the same versions of the libraries
        priors : by parameter, in its unit: {"sigma": LogNormal(median=4000, factor=2), "phi": Beta(2, 2), "p":
            {"Intercept": Normal(0, 1)}}; "N" for a closed population; "p: 1 | site" for the standard deviation of a
            random effect; where none is given see `priors.defaults`, and `Draws.priors()` lists all
        sampler : "nuts", or "surface": independent draws from a posterior of up to eight coefficients that is not far
            from normal, through a polynomial whose error is measured and said; some dozens of evaluations in all, and
            PyMC is not needed (see `surface`)

        Returns
        -------
        Draws : with summary(), derive(), latent(), loo(), predictive(), learned(), data, verdict

        Raises
        ------
        SurveyError : PyMC is not installed, a prior does not fit, too few draws (4), steps to tune (1) or chains (1)
        """
        from .bayes import sample

        return sample(self, draws, tune, chains, seed, priors, sampler)

    def pymc(self, priors: Mapping[str, Any] | None = None) -> Any:
        """This model as a `pymc.Model` with named coordinates, ready to extend (needs `pip install 'uncia[bayes]'`).

        Its observed parts are one log-likelihood per animal or site and the number of animals met; its variables are
        the parameters by name, on the natural scale where their prior is. `sample()` is faster: it needs no terms.
        PyTensor's linkers to Python, C and numba take it (JAX does not), and `pm.sample(nuts_sampler="nutpie")`.

        Parameters
        ----------
        priors : as for `sample`
        """
        from .bayes import pymc_model

        return pymc_model(self, priors)

    def pointwise(self, vector: np.ndarray) -> Points:
        """The log-likelihood at coefficients [p] divided among animals or sites, see `pointwise.Points`."""
        from .pointwise import points

        return points(self, vector)

    def prior_predictive(self, seed: int = 1, n: int = 200, priors: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """What the priors say before the data: statistics of `n` data sets simulated from them.

        Parameters
        ----------
        seed : of NumPy's default generator
        priors : as for `sample`

        Returns
        -------
        DataFrame with statistic, observed, median, lower and upper (95 %, equal tails) and the share of simulated
        values at or below the observed one; `attrs["too many"]` counts draws that were too large to be simulated
        """
        from .predictive import before_data

        return before_data(self, priors, n, seed)

    def draw(self, values: Mapping[str, object], variation: Mapping[str, float], seed: int) -> dict[str, dict]:
        """Values for `simulate` whose random coefficients are drawn from their distribution.

        Parameters
        ----------
        values : of the fixed part, as for `at`
        variation : standard deviations by name, as for `at`
        seed : of NumPy's default generator
        """
        from .random_fit import draw_random

        return draw_random(self, values, variation, seed)

    def name_rows(self, name: str, rows: np.ndarray) -> str:
        """The parameter `name` over some of its rows, in words for a verdict."""
        design = self.parameters[name].design
        assert design is not None  # a number that is fixed is never in doubt
        return f"{name} in {len(rows)} of its {len(design.matrix)} rows"


def _verdict(model: Model, optimum, covariance) -> Verdict:
    parameters, remarks = model.parameters, []
    if optimum.interrupted:
        remarks.append(Remark(Outcome.INTERRUPTED))
    elif not optimum.converged:
        remarks.append(Remark(Outcome.NOT_CONVERGED, optimum.why))
    edge = _at_boundary(parameters, optimum.vector)
    labels = [_label(label) for label in parameters.labels]
    for group, direction in zip(covariance.flat, covariance.directions.T, strict=True):
        within = _edges_along(model, optimum.vector, covariance.scaling @ direction)
        remarks += [Remark(Outcome.BOUNDARY, words) for name, words in (within or {}).items() if name not in edge]
        inner = [labels[j] for j in group if parameters.labels[j][0] not in edge]
        if inner and within is None:
            remarks.append(Remark(Outcome.FLAT, " and ".join(inner)))
    for name, side in edge.items():
        remarks.append(Remark(Outcome.BOUNDARY, f"{name} ({side})"))
    if not any(r.outcome.serious for r in remarks):
        remarks.insert(0, Remark(Outcome.CONVERGED))
    return Verdict(()).also(*dict.fromkeys(remarks))


def _edges_along(model: Model, vector: np.ndarray, direction: np.ndarray, near: float = 1e-3) -> dict[str, str] | None:
    """Parameters at an edge in every row that a flat direction [p] moves, in words; None if it moves any other row."""
    slices = {p.name: model.parameters.slice_of(p.name) for p in model.parameters}
    moves = {
        p.name: np.abs(d.matrix @ direction[slices[p.name]]) for p in model.parameters if (d := p.design) is not None
    }
    most, found = max(move.max() for move in moves.values()), {}
    for name, move in moves.items():
        p, rows = model.parameters[name], np.flatnonzero(move > 1e-2 * most)
        if not len(rows):
            continue
        value = p.values(vector[model.parameters.slice_of(name)])[rows]
        side = {True: "0", False: "1"}[bool(value[0] < near)]
        bounded = p.link.name in ("logit", "cloglog")
        if not ((value < near) | (bounded & (value > 1 - near))).all() or p.link.name == "identity":
            return None
        found[name] = f"{model.name_rows(name, rows)} (estimated as {side})"
    return found


def _at_boundary(parameters: ParameterSet, vector: np.ndarray, near: float = 1e-6) -> dict[str, str]:
    """Parameters that are probabilities of 0 or 1, or positive numbers of practically 0, with which."""
    found = {}
    for p in parameters:
        if p.design is None:
            continue
        value = p.values(vector[parameters.slice_of(p.name)])
        if p.link.name in ("logit", "cloglog") and (value > 1 - near).all():
            found[p.name] = "estimated as 1"
        elif p.link.name in ("logit", "cloglog", "log") and (value < (near if p.link.name != "log" else 1e-12)).all():
            found[p.name] = "estimated as 0"
        elif (value > p.most).all():
            found[p.name] = "estimated as infinite"
    return found


def _label(label: tuple[str, str]) -> str:
    parameter, term = label
    return parameter if term == "Intercept" else f"{parameter} ({term})"
