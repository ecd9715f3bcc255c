"""Draws from the posterior distribution of any model with a log-likelihood and its gradient, by PyMC's NUTS.

The log-posterior and its gradient are one call of the model, so PyMC sees one node. It is sampled in units in which the
posterior at its mode is standard normal. PyMC and ArviZ are imported here and nowhere else, and only when needed.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..survey.errors import refuse
from .inference.maximum_likelihood import covariance_of, maximise
from .priors import Prior, Scale, chosen
from .verdict import Outcome, Remark, Verdict

INTERVAL = "95% credible, equal tails"
EXPECTED = f"{INTERVAL}, of its expectation given the parameters"
R_HAT, ESS = 1.01, 400  # Vehtari et al. (2021): above and below, the draws are not to be trusted
TARGET_ACCEPT = 0.9


def _libraries() -> tuple[Any, Any, Any]:
    """pymc, pytensor and arviz."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ArviZ announces its next version
            import arviz  # pyright: ignore[reportMissingImports]
            import pymc  # pyright: ignore[reportMissingImports]
            import pytensor  # pyright: ignore[reportMissingImports]
    except ImportError as missing:
        raise refuse(
            "sampling from the posterior needs PyMC and ArviZ, which are not installed",
            "Run pip install 'uncia[bayes]', or use fit() for maximum likelihood",
            value=missing.name,
        ) from None
    return pymc, pytensor, arviz


class Posterior:
    """Log-likelihood plus log prior density over coefficients [p], with the gradient.

    Parameters
    ----------
    model : any Model without random effects in its formulas
    priors : by parameter: one prior, or a mapping from its terms to priors; "N" for the number of animals of a closed
        population whose parameter is f0, the number never met

    Notes
    -----
    A prior of f0 itself would depend on how many animals happen to be met, so it is refused: N is what exists before
    the survey. N is a positive number, as in the likelihood, not an integer; below one animal never met this matters.

    Raises
    ------
    SurveyError : a prior for no parameter, random effects in a formula, nothing to sample
    """

    def __init__(self, model, priors: Mapping[str, Any] | None = None):
        given, parameters = dict(priors or {}), model.parameters
        if parameters.random:
            raise refuse("random effects in a formula cannot be sampled yet", "Use fit(), or fixed effects")
        if not parameters.size:
            raise refuse("every parameter is fixed, so there is nothing to sample", "Give a formula, e.g. '~ 1'")
        self.model, start = model, parameters.split(model.start())
        self.population = self._population(given)
        self.priors: list[Prior] = []
        self.of: list[tuple[int, Prior, Any]] = []  # coefficient, prior, link
        for p in parameters:
            if p.design is None or (p.name == "f0" and self.population is not None):
                continue
            at = parameters.slice_of(p.name).start
            placed = chosen(p, given.pop(p.name, None), start[p.name])
            self.of += [(at + j, prior, p.link) for j, prior in enumerate(placed)]
        for name in given:
            value = parameters[name].fixed  # refuses a name that is unknown
            raise refuse(f"{name} is fixed in this model", "Leave its prior out", value=value)

    def _population(self, given: dict[str, Any]) -> tuple[np.ndarray, slice, np.ndarray, Prior] | None:
        """log f0 = M coefficients, where these are, animals met [G], prior of N of each group."""
        model = self.model
        if "f0" not in model.parameters or not hasattr(model, "n"):
            return None
        if "f0" in given:
            raise refuse("f0 has no prior of its own", "Give one of N, e.g. priors={'N': LogNormal(100, 2)}")
        prior = given.pop("N", Scale())
        if not isinstance(prior, Prior) or prior.on != "value" or not hasattr(prior, "log_density"):
            raise refuse("N needs a prior of a positive value", "Use e.g. LogNormal(100, 2)", value=prior)
        design = model.parameters["f0"].design
        index = model.layouts["f0"].index if hasattr(model, "layouts") else np.zeros(1, int)
        M, n = np.asarray(design.matrix, float)[index], np.atleast_1d(np.asarray(model.n, float))
        if len(n) != len(M) or M.shape[0] != M.shape[1]:
            raise refuse(
                "groups share a number never met, so their N have no prior each",
                "Leave the formula of f0 out, so that every group has its own",
            )
        return M, model.parameters.slice_of("f0"), n, prior

    def stated(self) -> pd.DataFrame:
        """The priors: parameter, term, prior, and whether it is on the coefficient or on the value."""
        labels = self.model.parameters.labels
        rows = [(*labels[j], str(prior), prior.on) for j, prior, _ in self.of]
        if self.population is not None:
            rows.append(("N", "each group" if len(self.population[2]) > 1 else "", str(self.population[3]), "value"))
        return pd.DataFrame(rows, columns=["parameter", "term", "prior", "on"])

    def log_prior(self, vector: np.ndarray) -> tuple[float, np.ndarray]:
        """Log density over coefficients and its gradient [p]; the change of variable is in it."""
        total, gradient = 0.0, np.zeros(len(vector))
        for j, prior, link in self.of:
            x = vector[j]
            if prior.on == "coefficient":
                density, slope = prior.log_density(x)
            else:
                density, by_value = prior.log_density(link.inverse(x))
                first = link.slope(x)
                density, slope = density + np.log(first), by_value * first + link.curve(x) / first
            total, gradient[j] = total + density, gradient[j] + slope
        if self.population is not None:
            M, where, n, prior = self.population
            f0 = np.exp(M @ vector[where])
            density, slope = prior.log_density(n + f0)
            total += float(np.sum(density + np.log(f0)))
            gradient[where] += M.T @ (slope * f0 + 1.0)
        return float(total), gradient

    def loglik_and_gradient(self, vector: np.ndarray) -> tuple[float, np.ndarray]:
        """Log-posterior, but for a constant, and its gradient [p]; (-inf, NaN) where it cannot be evaluated."""
        value, gradient = self.model.loglik_and_gradient(vector)
        with np.errstate(all="ignore"):
            prior, by_prior = self.log_prior(vector)
        if not (np.isfinite(value + prior) and np.isfinite(gradient + by_prior).all()):
            return -np.inf, np.full(len(vector), np.nan)
        return value + prior, gradient + by_prior

    def hessian(self, vector: np.ndarray) -> None:
        return None

    def scaling(self, vector: np.ndarray) -> np.ndarray:
        return self.model.scaling(vector)

    def units(self) -> tuple[np.ndarray, np.ndarray]:
        """Mode [p] and matrix [p, p] such that mode + matrix @ z is nearly the posterior when z is standard normal."""
        top = maximise(self, self.model.start())
        spread = covariance_of(top).matrix
        if np.isfinite(spread).all():
            try:
                return top.vector, np.linalg.cholesky(spread)
            except np.linalg.LinAlgError:
                pass
        return top.vector, top.scaling


class Sampler:
    """NUTS for posteriors of `size` coefficients, compiled once and used for as many data sets as wanted."""

    def __init__(self, size: int):
        pm, pytensor, _ = _libraries()
        self.size, self._op = size, _node(pytensor)
        self._flags = {"linker": "py", "cxx": ""}  # one Python call per step: no compiler is needed
        with pytensor.config.change_flags(**self._flags), pm.Model() as self._model:
            z = pm.Flat("z", shape=size, initval=np.zeros(size))
            pm.Potential("log_posterior", self._op(z)[0])
            self._step = pm.NUTS([z], target_accept=TARGET_ACCEPT)

    def run(self, posterior: Posterior, draws: int, tune: int, chains: int, seed: int) -> Draws:
        """Draws of one posterior; the same seed gives the same draws on the same versions."""
        pm, pytensor, _ = _libraries()
        mode, unit = posterior.units()
        self._op.target = lambda z: _in_units(posterior, mode, unit, z)
        rng = np.random.default_rng(seed)
        begin = [{"z": _start(self._op.target, rng, self.size)} for _ in range(chains)]
        quiet = logging.getLogger("pymc")
        level = quiet.level
        quiet.setLevel(logging.ERROR)  # what PyMC would say is in the verdict
        try:
            with pytensor.config.change_flags(**self._flags), self._model, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                trace = pm.sample(
                    draws=draws,
                    tune=tune,
                    chains=chains,
                    cores=1,
                    step=self._step,
                    initvals=begin,
                    random_seed=int(rng.integers(2**31)),
                    progressbar=False,
                    compute_convergence_checks=False,
                    return_inferencedata=False,
                )
        finally:
            quiet.setLevel(level)
        z = np.array(trace.get_values("z", combine=False, squeeze=False))
        names = ("diverging", "depth", "energy", "step_size", "model_logp")
        stats = {n: np.array(trace.get_sampler_stats(n, combine=False, squeeze=False)) for n in names}
        stats = {n: v.reshape(chains, draws) for n, v in stats.items()}
        return Draws(posterior, mode + z @ unit.T, stats, seed)


def _node(pytensor):
    """The log-posterior and its gradient as one node; `target` is what it evaluates and may be exchanged."""
    from pytensor.graph.op import Op  # pyright: ignore[reportMissingImports]

    class LogPosterior(Op):
        itypes = [pytensor.tensor.dvector]  # noqa: RUF012 - PyTensor's way
        otypes = [pytensor.tensor.dscalar, pytensor.tensor.dvector]  # noqa: RUF012
        target: Any = None

        def perform(self, node, inputs, outputs):
            value, gradient = self.target(inputs[0])
            outputs[0][0] = np.asarray(value, float)
            outputs[1][0] = gradient

        def pullback(self, inputs, outputs, cotangents):
            return [cotangents[0] * outputs[1]]

        L_op = pullback  # its name before PyTensor 3

    return LogPosterior()


def _in_units(posterior: Posterior, mode, unit, z) -> tuple[float, np.ndarray]:
    value, gradient = posterior.loglik_and_gradient(mode + unit @ z)
    return (value, unit.T @ gradient) if np.isfinite(value) else (-np.inf, np.zeros(len(z)))


def _start(target, rng: np.random.Generator, size: int) -> np.ndarray:
    """A starting point about two standard deviations from the mode, or nearer where there is no posterior."""
    z = 2.0 * rng.normal(size=size)
    for _ in range(30):
        if np.isfinite(target(z)[0]):
            return z
        z = 0.5 * z
    raise refuse("the posterior cannot be evaluated near its mode", "Look at fit().verdict, or narrow the priors")


@dataclass(frozen=True, eq=False)
class Draws:
    """Draws from a posterior: coefficients [chains, draws, p], and what the sampler says of them."""

    posterior: Posterior
    coefficients: np.ndarray
    statistics: Mapping[str, np.ndarray]  # [chains, draws] by name
    seed: int

    @property
    def model(self):
        return self.posterior.model

    @cached_property
    def data(self) -> xr.DataTree:
        """Groups `posterior` and `sample_stats` with dimensions chain, draw and coefficient.

        `posterior` has the coefficients (link scale; coordinates parameter and term) and, by their names, the
        natural-scale values of parameters without covariates. ArviZ 1 takes it as it is, ArviZ 0 by `from_datatree`.
        """
        parameters, labels = self.model.parameters, self.model.parameters.labels
        axes = {"chain": np.arange(self.coefficients.shape[0]), "draw": np.arange(self.coefficients.shape[1])}
        along = ("chain", "draw")
        names = [f"{name}: {term}" for name, term in labels]
        found: dict[str, Any] = {"coefficients": ((*along, "coefficient"), self.coefficients)}
        for p in parameters:
            if p.design is not None and p.design.constant:
                eta = self.coefficients[:, :, parameters.slice_of(p.name).start]
                found[p.name] = (along, p.link.inverse(eta), {"units": p.unit, "long_name": p.meaning})
        coords = axes | {
            "coefficient": names,
            "parameter": ("coefficient", [name for name, _ in labels]),
            "term": ("coefficient", [term for _, term in labels]),
        }
        attributes = {"model": repr(self.model), "seed": self.seed}
        posterior = xr.Dataset(found, coords, attributes)
        stats = xr.Dataset({name: (along, v) for name, v in self.statistics.items()}, axes)
        return xr.DataTree.from_dict({"posterior": posterior, "sample_stats": stats})

    @cached_property
    def _checks(self) -> pd.DataFrame:
        """R-hat and effective sample sizes of each coefficient (rank-normalised, Vehtari et al. 2021)."""
        az = _libraries()[2]
        names = [str(j) for j in range(self.coefficients.shape[2])]
        each = xr.Dataset({n: (("chain", "draw"), self.coefficients[:, :, j]) for j, n in enumerate(names)})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # constant draws
            found = {"r_hat": az.rhat(each), "ess_bulk": az.ess(each), "ess_tail": az.ess(each, method="tail")}
        return pd.DataFrame({k: [float(v[n]) for n in names] for k, v in found.items()})

    def summary(self) -> pd.DataFrame:
        """Coefficients on the link scale.

        Returns
        -------
        DataFrame with parameter, term, link, mean, sd, lower and upper (95 %, equal tails), r_hat (NaN with one
        chain), ess_bulk, ess_tail
        """
        flat = self.coefficients.reshape(-1, self.coefficients.shape[2])
        frame = self.model.parameters.frame(flat.mean(axis=0)).rename(columns={"estimate": "mean"})
        lower, upper = np.quantile(flat, [0.025, 0.975], axis=0)
        return frame.assign(sd=flat.std(axis=0, ddof=1), lower=lower, upper=upper).join(self._checks)

    def derive(self, most: int = 1000) -> pd.DataFrame:
        """What people are told, as the model's own `derive()` says it, over the draws.

        With the conditional likelihood of a closed population N is drawn given the animals met, under the prior 1/N of
        every set of animals with the same covariates. Of other models' abundance, and of what is predicted for
        animals or sites that were surveyed, the draws are expectations given the parameters: their intervals leave out
        the chance beyond these, and `interval` says so.

        Parameters
        ----------
        most : draws that are used, evenly spread over all chains

        Returns
        -------
        DataFrame with quantity, unit, scope, mean, median, sd, lower, upper, interval
        """
        flat = self.coefficients.reshape(-1, self.coefficients.shape[2])
        flat = flat[np.linspace(0, len(flat) - 1, min(most, len(flat))).round().astype(int)]
        rng = np.random.default_rng([self.seed, 2])
        atoms = [_atom(self.model, vector, rng) for vector in flat]
        tables = [self.model.derive(atom, "wald") for atom in atoms]
        draws = np.array([t["estimate"].to_numpy(float) for t in tables])
        lower, upper = np.quantile(draws, [0.025, 0.975], axis=0)
        found = {"mean": draws.mean(axis=0), "median": np.median(draws, axis=0), "sd": draws.std(axis=0, ddof=1)}
        chance = np.any([t["se"].to_numpy(float) > 0.0 for t in tables], axis=0)
        if not hasattr(atoms[0], "abundance_parts"):
            chance |= (tables[0]["quantity"] == "abundance").to_numpy()
        words = np.where(chance, EXPECTED, INTERVAL)
        return tables[0][["quantity", "unit", "scope"]].assign(**found, lower=lower, upper=upper, interval=words)

    def priors(self) -> pd.DataFrame:
        """The priors that were used: parameter, term, prior, and what it is on."""
        return self.posterior.stated()

    @cached_property
    def verdict(self) -> Verdict:
        """What these draws say about themselves."""
        remarks, checks = [], self._checks
        labels = [f"{name} ({term})" for name, term in self.model.parameters.labels]
        apart = checks["r_hat"] > R_HAT
        if apart.any():
            words = ", ".join(f"{labels[j]} {checks['r_hat'][j]:.3f}" for j in np.flatnonzero(apart))
            remarks.append(Remark(Outcome.NOT_CONVERGED, f"the chains differ, R-hat above {R_HAT} of {words}"))
        diverged = int(self.statistics["diverging"].sum())
        if diverged:
            words = f"{diverged} steps diverged: a part of the posterior may be missing; use more informative priors"
            remarks.append(Remark(Outcome.IMPRECISE, words))
        few = checks[["ess_bulk", "ess_tail"]].min(axis=1)
        if not (few >= ESS).all():
            words = ", ".join(f"{labels[j]} {few[j]:.0f}" for j in np.flatnonzero(~(few >= ESS)))
            remarks.append(Remark(Outcome.IMPRECISE, f"Fewer than {ESS} effective draws of {words}: use more draws"))
        if len(self.coefficients) == 1:
            remarks.append(Remark(Outcome.IMPRECISE, "One chain cannot be compared with others: use chains=4"))
        return Verdict(tuple(remarks or [Remark(Outcome.CONVERGED)]))

    def __repr__(self) -> str:
        chains, draws, _ = self.coefficients.shape
        several = "chain" if chains == 1 else "chains"
        head = f"{self.model!r}\n{chains} {several} of {draws} draws, seed {self.seed}; {INTERVAL}"
        priors = self.priors().to_string(index=False)
        table = self.summary().round(3).to_string(index=False)
        return "\n\n".join([head, table, f"Priors\n{priors}", "\n".join(map(str, self.verdict.remarks))])


def _atom(model, vector: np.ndarray, rng: np.random.Generator):
    """One draw as a fit without uncertainty, from which the model derives quantities."""
    fit = model.fit_class(
        model=model,
        vector=vector,
        covariance=np.zeros((len(vector), len(vector))),
        loglik=np.nan,
        method="a draw",
        base_verdict=Verdict((Remark(Outcome.GIVEN),)),
    )
    if getattr(model, "likelihood", "") == "conditional" and hasattr(fit, "abundance_parts"):
        parts, n = fit.abundance_parts(), np.asarray(model.n, float)
        met = n > 0
        N = n.copy()
        N[met] += rng.negative_binomial(n[met], n[met] / parts.estimate[met])
        object.__setattr__(fit, "abundance_parts", lambda: replace(parts, estimate=N, chance=np.zeros(len(N))))
    return fit


def sample(model, draws: int, tune: int, chains: int, seed: int, priors: Mapping[str, Any] | None) -> Draws:
    """See `Model.sample`."""
    for name, number in (("draws", draws), ("tune", tune), ("chains", chains)):
        if number < (4 if name == "draws" else 1):
            raise refuse(f"there are too few {name}", "Use draws=1000, tune=1000, chains=4", value=number)
    _libraries()
    posterior = Posterior(model, priors)
    return Sampler(model.parameters.size).run(posterior, draws, tune, chains, seed)
