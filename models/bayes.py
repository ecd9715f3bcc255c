"""Everything that needs PyMC and ArviZ: NUTS, the model as a PyMC object, convergence and leave-one-out.

The log-posterior and its gradient are one call of the model, so PyMC sees one node. It is sampled in units in which the
posterior at its mode is standard normal, a dense metric that tuning need not find. PyMC and ArviZ are imported here and
nowhere else, and only when needed.

What PyTensor sees is in `nodes`. `sample()` has it called by the Python linker, which compiles nothing; graphs that
people extend (`Model.pymc`) may be compiled by any linker, see `overhead` in `benchmarks/bayes.md`.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..survey.errors import refuse
from .draws import Draws
from .posterior import Posterior

LEAST = {"draws": 4, "tune": 1, "chains": 1}  # that can be asked for
TUNE, TUNE_RANDOM = 150, 1000  # steps before the draws
TARGET_ACCEPT = 0.7  # with a metric that is right, twice the effective draws per evaluation that 0.8 gives
KNOWN = 2048  # evaluations that are remembered, two trees of the greatest depth
TARGET_ACCEPT_RANDOM = 0.9  # scales of random effects need smaller steps


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


def to_arviz(tree: xr.DataTree) -> Any:
    """The tree as the installed ArviZ takes it: itself, or before version 1 an InferenceData."""
    az = _libraries()[2]
    return tree if int(version("arviz").split(".")[0]) >= 1 else az.from_datatree(tree)


# ---- sampling --------------------------------------------------------------------------------------------------------


class Sampler:
    """NUTS for posteriors of `size` unknowns, compiled once and used for as many data sets as wanted."""

    def __init__(self, size: int, target_accept: float = TARGET_ACCEPT):
        pm, pytensor, _ = _libraries()
        from .nodes import LogPosterior

        self.size, self._op = size, LogPosterior(size)
        self._flags = {"linker": "py", "cxx": ""}  # one Python call per step: no compiler is needed
        with pytensor.config.change_flags(**self._flags), pm.Model() as self._model:
            z = pm.Flat("z", shape=size, initval=np.zeros(size))
            pm.Potential("log_posterior", self._op(z)[0])
            self._step = pm.NUTS([z], target_accept=target_accept)

    def run(self, posterior: Posterior, draws: int, tune: int, chains: int, seed: int) -> Draws:
        """Draws of one posterior; the same seed gives the same draws on the same versions."""
        pm, pytensor, _ = _libraries()
        mode, unit = posterior.units()
        self._op.target = _InUnits(posterior, mode, unit)
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
        made = {"sampler": "NUTS, dense metric from the curvature at the mode", "tune": tune, "chains": chains}
        return Draws(posterior, mode + z @ unit.T, stats, seed, made | versions())


def versions() -> dict[str, str]:
    """Of what the draws depend on."""
    return {name: version(name) for name in ("pymc", "pytensor", "arviz", "numpy")}


class _InUnits:
    """The log-posterior and its gradient by z; what was evaluated lately is known.

    PyMC evaluates the point that a step begins with again, one evaluation in four or five.
    """

    def __init__(self, posterior: Posterior, mode: np.ndarray, unit: np.ndarray):
        self.posterior, self.mode, self.unit = posterior, mode, unit
        self._known: dict[bytes, tuple[float, np.ndarray]] = {}

    def __call__(self, z: np.ndarray) -> tuple[float, np.ndarray]:
        place = z.tobytes()
        if place not in self._known:
            if len(self._known) >= KNOWN:
                self._known.clear()
            value, gradient = self.posterior.loglik_and_gradient(self.mode + self.unit @ z)
            good = np.isfinite(value)
            self._known[place] = (value, self.unit.T @ gradient) if good else (-np.inf, np.zeros(len(z)))
        value, gradient = self._known[place]
        return value, gradient.copy()  # PyTensor computes in place


def _start(target, rng: np.random.Generator, size: int) -> np.ndarray:
    """A starting point about two standard deviations from the mode, or nearer where there is no posterior."""
    z = 2.0 * rng.normal(size=size)
    for _ in range(30):
        if np.isfinite(target(z)[0]):
            return z
        z = 0.5 * z
    raise refuse("the posterior cannot be evaluated near its mode", "Look at fit().verdict, or narrow the priors")


def _check_numbers(given: Mapping[str, Any], seed: Any) -> None:
    """That draws, steps and chains are whole numbers of which there are enough, and that the seed is one."""
    whole = lambda v: isinstance(v, (int, np.integer)) and not isinstance(v, bool)  # noqa: E731
    fix = "Use draws=1000, tune=150, chains=4"
    for name, number in given.items():
        if not whole(number):
            raise refuse(f"{name} must be a whole number", fix, value=number)
        if number < LEAST[name]:
            few = "steps to tune" if name == "tune" else name
            raise refuse(f"there are too few {few}", fix, value=number)
    if not whole(seed) or seed < 0:
        raise refuse("seed must be a whole number from 0 on", "Use seed=1", value=seed)


def sample(
    model,
    draws: int,
    tune: int | None,
    chains: int,
    seed: int,
    priors: Mapping[str, Any] | None,
    sampler: str = "nuts",
) -> Draws:
    """See `Model.sample`."""
    _check_numbers({"draws": draws, "tune": TUNE if tune is None else tune, "chains": chains}, seed)
    if sampler not in ("nuts", "surface"):
        raise refuse("this sampler is not known", "Use 'nuts' or 'surface'", value=sampler)
    if sampler == "surface":
        from .surface import sample_surface

        return sample_surface(Posterior(model, priors), draws, chains, seed)
    _libraries()
    posterior = Posterior(model, priors)
    if tune is None:
        tune = TUNE if posterior.random is None else TUNE_RANDOM
    target = TARGET_ACCEPT if posterior.random is None else TARGET_ACCEPT_RANDOM
    return Sampler(posterior.size, target).run(posterior, draws, tune, chains, seed)


# ---- what ArviZ says of draws ----------------------------------------------------------------------------------------


def convergence(unknowns: np.ndarray) -> pd.DataFrame:
    """r_hat, ess_bulk and ess_tail [size] of draws [chains, draws, size] (rank-normalised, Vehtari et al. 2021)."""
    az = _libraries()[2]
    names = [str(j) for j in range(unknowns.shape[2])]
    each = xr.Dataset({n: (("chain", "draw"), unknowns[:, :, j]) for j, n in enumerate(names)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # constant draws
        found = {"r_hat": az.rhat(each), "ess_bulk": az.ess(each), "ess_tail": az.ess(each, method="tail")}
    return pd.DataFrame({k: [float(v[n]) for n in names] for k, v in found.items()})


def leave_one_out(log_likelihood: xr.DataArray) -> pd.DataFrame:
    """elpd and pareto_k of each point of log-likelihoods [chain, draw, points] by PSIS (Vehtari, Gelman & Gabry 2017).

    Returns
    -------
    DataFrame with elpd, p (effective parameters) and pareto_k, indexed by the points
    """
    az, dim = _libraries()[2], str(log_likelihood.dims[-1])
    posterior = xr.Dataset({"one": log_likelihood.isel({dim: 0}, drop=True)})
    tree = xr.DataTree.from_dict({"posterior": posterior, "log_likelihood": xr.Dataset({"y": log_likelihood})})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # large pareto_k: they are in the table
        found = az.loo(to_arviz(tree), pointwise=True, var_name="y")
    elpd = found.elpd_i if hasattr(found, "elpd_i") else found.loo_i
    flat = log_likelihood.to_numpy().reshape(-1, log_likelihood.shape[-1])
    within = np.log(np.mean(np.exp(flat - flat.max(axis=0)), axis=0)) + flat.max(axis=0)
    columns = {"elpd": np.asarray(elpd), "p": within - np.asarray(elpd), "pareto_k": np.asarray(found.pareto_k)}
    return pd.DataFrame(columns, index=pd.Index(log_likelihood[dim].to_numpy(), name=dim))


# ---- the model as a PyMC object --------------------------------------------------------------------------------------


def pymc_model(model, priors: Mapping[str, Any] | None = None) -> Any:
    """See `Model.pymc`."""
    pm, pytensor, _ = _libraries()
    posterior = Posterior(model, priors)
    start = posterior.coefficients(_beginning(posterior))
    first = model.pointwise(start)
    from .nodes import Points

    pt, node = pytensor.tensor, Points(posterior, len(first.loglik), len(first.counted))
    coords = {"coefficient": [f"{name}: {term}" for name, term in model.parameters.labels], first.dim: first.labels}
    with pm.Model(coords=coords) as made:
        x = pt.stack(_variables(pm, pt, posterior))
        if posterior.random is None:
            pm.Deterministic("coefficients", x, dims="coefficient")
        if posterior.population is not None:
            M, where, n, prior = posterior.population
            f0 = pt.exp(pt.dot(M, x[where]))
            pm.Potential("prior of N", pt.sum(_log_density(pm, pt, prior, n + f0) + pt.log(f0)))
        each, met, rest = node(x)[:3]
        pm.Potential("rest", rest)
        pm.CustomDist(
            f"of_{first.dim}",
            each,
            logp=lambda value, each: each + 0.0 * value,
            observed=np.zeros(len(first.loglik)),
            dims=first.dim,
        )
        for j, name in enumerate(first.counted):
            if first.mean is not None:
                pm.Poisson(name, mu=met[j], observed=first.number[j])
            else:
                pm.Potential(name, met[j])
    return made


def _beginning(posterior: Posterior) -> np.ndarray:
    x = np.zeros(posterior.size)
    own = posterior.model.start() if posterior.random is None else posterior.model.start()[posterior.random.at_beta]
    x[: len(own)] = own
    return x


def _log_density(pm, pt, prior, value):
    """Log density of a prior of a positive value, as PyTensor has it."""
    if type(prior).__name__ == "Scale":
        return -pt.log(value)
    return pm.logp(pm.LogNormal.dist(mu=np.log(prior.median), sigma=np.log(prior.factor)), value)


def _variables(pm, pt, posterior: Posterior) -> list:
    """One PyMC variable for each unknown: on the natural scale where its prior is, named after its parameter."""
    labels, parameters = posterior.labels, posterior.model.parameters
    placed = {j: (prior, link) for j, prior, link in posterior.of}
    fixed = range(parameters.size) if posterior.random is None else posterior.random.at_beta
    found = []
    for place, j in enumerate(fixed):
        name, term = labels[place]
        if j not in placed:  # f0, whose N has the prior
            found.append(pm.Flat(f"{name}: {term}"))
            continue
        prior, link = placed[j]
        alone = len(parameters[name].terms) == 1
        found.append(_variable(pm, pt, name if alone else f"{name}: {term}", prior, link.name))
    for (name, term), prior in zip(posterior._theta_labels(), posterior.of_theta, strict=True):
        found.append(_variable(pm, pt, f"{name}: {term}", prior, "log"))
    if posterior.random is not None:
        u = pm.Normal("u", 0.0, 1.0, shape=posterior.random.size)
        found += [u[j] for j in range(posterior.random.size)]
    return found


def _variable(pm, pt, name: str, prior, link: str):
    """A variable with this prior, as the coefficient that it makes."""
    kind = type(prior).__name__
    if kind == "LogNormal":
        return pt.log(pm.LogNormal(name, mu=np.log(prior.median), sigma=np.log(prior.factor)))
    if kind == "Beta":
        p = pm.Beta(name, prior.a, prior.b)
        return pt.log(p) - pt.log1p(-p) if link == "logit" else pt.log(-pt.log1p(-p))
    if kind == "Normal":
        return pm.Normal(f"{link} {name}" if ":" not in name and link != "identity" else name, prior.mean, prior.sd)
    if kind == "Logistic":
        return pm.Logistic(f"{link} {name}" if ":" not in name else name, prior.location, prior.scale)
    if kind == "Tangent":
        return pm.StudentT(name, nu=2, mu=0.0, sigma=np.sqrt(0.5))
    raise refuse("this prior has no PyMC variable", "Use Normal, Logistic, LogNormal or Beta", value=prior)
