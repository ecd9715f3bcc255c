"""Draws from a posterior: tables, named data, files, and what they say of themselves. None of it needs PyMC."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..survey.display import some
from ..survey.errors import refuse
from . import latent
from .marked.base import MarkedModel
from .occupancy.history_model import HistoryModel
from .posterior import Posterior
from .priors import from_record
from .spatial.abundance import scope_of
from .spatial.scr import SCR
from .verdict import Outcome, Remark, Verdict

INTERVAL = "95% credible, equal tails"
EXPECTED = f"{INTERVAL}, of its expectation given the parameters"
LIMITS = (0.025, 0.975)
R_HAT, ESS = 1.01, 400  # Vehtari et al. (2021): above and below, the draws are not to be trusted
NOTHING, LITTLE = 0.85, 0.6  # overlap of prior and posterior above which the data say nothing, or little
MOST = 1000  # draws that derived tables use
AXES = ("chain", "draw")


@dataclass(frozen=True, eq=False)
class Draws:
    """Draws from a posterior: unknowns [chains, draws, size], and what the sampler says of them."""

    posterior: Posterior
    unknowns: np.ndarray
    statistics: Mapping[str, np.ndarray]  # [chains, draws] by name
    seed: int
    made: Mapping[str, Any] = field(default_factory=dict)  # sampler, tuning and versions

    @property
    def model(self):
        return self.posterior.model

    @cached_property
    def coefficients(self) -> np.ndarray:
        """float [chains, draws, p]: the model's coefficients, those of random effects among them."""
        return np.apply_along_axis(self.posterior.coefficients, 2, self.unknowns)

    @cached_property
    def variation(self) -> np.ndarray:
        """float [chains, draws, n_theta]: standard deviations, correlations and lengths of random effects."""
        return np.apply_along_axis(self.posterior.variation, 2, self.unknowns)

    def some(self, most: int) -> np.ndarray:
        """Coefficients [k, p] of at most `most` draws, evenly spread over all chains."""
        flat = self.coefficients.reshape(-1, self.coefficients.shape[2])
        return flat[np.linspace(0, len(flat) - 1, min(most, len(flat))).round().astype(int)]

    def thinned(self, most: int) -> np.ndarray:
        """Coefficients [chains, k, p] of at most `most` draws in all."""
        each = max(1, min(most // len(self.coefficients), self.coefficients.shape[1]))
        where = np.linspace(0, self.coefficients.shape[1] - 1, each).round().astype(int)
        return self.coefficients[:, where]

    # ---- named data and files -----------------------------------------------------------------------------------

    @cached_property
    def data(self) -> xr.DataTree:
        """Groups `posterior` and `sample_stats` with dimensions chain, draw, coefficient (and variation).

        `posterior` has the coefficients (link scale; coordinates parameter and term) and, by their names, the
        natural-scale values of parameters without covariates, with their units.
        """
        parameters, labels = self.model.parameters, self.model.parameters.labels
        axes = {"chain": np.arange(self.unknowns.shape[0]), "draw": np.arange(self.unknowns.shape[1])}
        found: dict[str, Any] = {"coefficients": ((*AXES, "coefficient"), self.coefficients, {"units": "link scale"})}
        for p in parameters:
            if p.design is not None and p.design.constant:
                eta = self.coefficients[:, :, parameters.slice_of(p.name).start]
                found[p.name] = (AXES, p.link.inverse(eta), {"units": p.unit, "long_name": p.meaning})
        coords = axes | {
            "coefficient": [f"{name}: {term}" for name, term in labels],
            "parameter": ("coefficient", [name for name, _ in labels]),
            "term": ("coefficient", [term for _, term in labels]),
        }
        if self.posterior.random is not None:
            found["variation"] = ((*AXES, "varies"), self.variation)
            coords["varies"] = [f"{name}: {term}" for name, term in self.posterior._theta_labels()]
        made = {name: str(value) for name, value in self.made.items()}
        attributes = {"model": repr(self.model), "seed": self.seed, "interval": INTERVAL} | made
        posterior = xr.Dataset(found, coords, attributes)
        stats = xr.Dataset({name: (AXES, v) for name, v in self.statistics.items()}, axes)
        whole = xr.Dataset({"unknowns": ((*AXES, "unknown"), self.unknowns)}, axes)
        whole = whole.assign_coords(unknown=[f"{name}: {term}" for name, term in self.posterior.labels])
        whole.attrs["priors"] = json.dumps(self.posterior.record())
        return xr.DataTree.from_dict({"posterior": posterior, "sample_stats": stats, "sampled": whole})

    def save(self, path: str | Path, **more: xr.Dataset) -> None:
        """Write `data` as NetCDF, with further groups by name (log_likelihood=…, latent=…).

        Raises
        ------
        SurveyError : neither h5netcdf nor netCDF4 is installed
        """
        tree = xr.DataTree.from_dict({name: child.to_dataset() for name, child in self.data.children.items()} | more)
        for name, child in tree.children.items():
            booleans = {k: v.astype("int8") for k, v in child.to_dataset().data_vars.items() if v.dtype == bool}
            tree[name] = xr.DataTree(child.to_dataset().assign(booleans))
        try:
            tree.to_netcdf(path)
        except (ImportError, ValueError) as error:
            if "engine" not in str(error) and "netcdf" not in str(error).lower():
                raise
            raise refuse("NetCDF files with groups need h5netcdf", "Run pip install 'uncia[bayes]'") from None

    @classmethod
    def load(cls, path: str | Path, model) -> Draws:
        """Draws of `model` as `save` wrote them, on whatever versions.

        Raises
        ------
        SurveyError : the file has the draws of another model
        """
        with xr.open_datatree(path) as tree:
            told = str(tree["posterior"].attrs.get("model", ""))
            if told != repr(model):
                raise refuse("these are draws of another model", "Give the model that was sampled", value=told)
            sampled, stats = tree["sampled"].to_dataset().load(), tree["sample_stats"].to_dataset().load()
            facts = dict(tree["posterior"].attrs)
        priors = {k: from_record(v) for k, v in json.loads(sampled.attrs["priors"]).items()}
        statistics = {str(k): v.to_numpy() for k, v in stats.data_vars.items()}
        statistics["diverging"] = statistics["diverging"].astype(bool)
        own = {k: v for k, v in facts.items() if k not in ("model", "seed", "interval")}
        return cls(Posterior(model, priors), sampled["unknowns"].to_numpy(), statistics, int(facts["seed"]), own)

    # ---- tables -------------------------------------------------------------------------------------------------

    @cached_property
    def checks(self) -> pd.DataFrame:
        """R-hat and effective sample sizes [size] of the unknowns."""
        if int(self.made.get("independent", 0)):
            n = float(self.unknowns.shape[0] * self.unknowns.shape[1])
            return pd.DataFrame({"r_hat": 1.0, "ess_bulk": n, "ess_tail": n}, index=range(self.posterior.size))
        from .bayes import convergence

        return convergence(self.unknowns)

    def summary(self) -> pd.DataFrame:
        """Coefficients on the link scale; of random effects their standard deviations, correlations and lengths.

        Returns
        -------
        DataFrame with parameter, term, link, mean, sd, lower and upper (95 %, equal tails), r_hat (NaN with one
        chain), ess_bulk, ess_tail
        """
        flat = self.coefficients.reshape(-1, self.coefficients.shape[2])
        frame = self.model.parameters.frame(flat.mean(axis=0)).rename(columns={"estimate": "mean"})
        random = self.posterior.random
        if random is not None:
            varied = self.variation.reshape(-1, self.variation.shape[2])
            names = pd.DataFrame(self.posterior._theta_labels(), columns=["parameter", "term"])
            names = names.assign(link="", mean=varied.mean(axis=0))
            frame = pd.concat([frame.iloc[random.at_beta], names], ignore_index=True)
            flat = np.hstack([flat[:, random.at_beta], varied])
        lower, upper = np.quantile(flat, LIMITS, axis=0)
        frame = frame.assign(sd=flat.std(axis=0, ddof=1), lower=lower, upper=upper)
        return frame.join(self.checks.iloc[: len(frame)])

    def derive(self, most: int = MOST) -> pd.DataFrame:
        """What people are told, as the model's own `derive()` says it, over the draws.

        What is realised (animals in the mask, occupied sites) is drawn given the data, exactly. Of other models'
        abundance the draws are expectations given the parameters: their intervals leave out the chance beyond these,
        and `interval` says so.

        Parameters
        ----------
        most : draws that are used, evenly spread over all chains

        Returns
        -------
        DataFrame with quantity, unit, scope, mean, median, sd, lower, upper, interval
        """
        rng = np.random.default_rng([self.seed, 2])
        told = [self._told(vector, rng) for vector in self.some(most)]
        table, exact = told[0][0], told[0][2]
        draws = np.array([values for _, values, _ in told])
        lower, upper = np.quantile(draws, LIMITS, axis=0)
        found = {"mean": draws.mean(axis=0), "median": np.median(draws, axis=0), "sd": draws.std(axis=0, ddof=1)}
        chance = np.any([t["se"].to_numpy(float) > 0.0 for t, _, _ in told], axis=0)
        if not hasattr(self.model.fit_class, "abundance_parts"):
            chance |= (table["quantity"] == "abundance").to_numpy()
        words = np.where(chance & ~exact, EXPECTED, INTERVAL)
        return table[["quantity", "unit", "scope"]].assign(**found, lower=lower, upper=upper, interval=words)

    def _told(self, vector: np.ndarray, rng) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
        """The derived table of one draw, its values, and which of them were drawn exactly."""
        fit = atom(self.model, vector, rng)
        table = fit.model.derive(fit, "wald")
        values, exact = table["estimate"].to_numpy(float).copy(), np.zeros(len(table), bool)
        found: dict[tuple[str, str], float] = {}
        if latent.has_realised(self.model):
            found = latent.realised(self.model, latent.states(self.model, vector, rng))
        elif isinstance(self.model, SCR) and fit.model.distribution == "poisson":
            met = {scope_of(fit.model, s): s.captures.n_animals for s in fit.model.sessions}
            for quantity, scope, value in zip(table["quantity"], table["scope"], values, strict=True):
                if quantity == "realised abundance" and scope in met:
                    found[quantity, scope] = met[scope] + float(rng.poisson(max(value - met[scope], 0.0)))
        for j, key in enumerate(zip(table["quantity"], table["scope"], strict=True)):
            if key in found:
                values[j], exact[j] = found[key], True
        return table, values, exact

    def priors(self) -> pd.DataFrame:
        """The priors that were used: parameter, term, prior, its unit, and what it is on."""
        return self.posterior.stated()

    def learned(self, draws: int = 4000) -> pd.DataFrame:
        """How far the data moved each unknown from its prior.

        Returns
        -------
        DataFrame with parameter, term, overlap of prior and posterior (1: the same; NaN for an improper prior) and
        what that says in words
        """
        rng = np.random.default_rng([self.seed, 3])
        rows, labels = [], self.posterior.labels
        flat = self.unknowns.reshape(-1, self.unknowns.shape[2])
        for j in range(self.posterior.size - (0 if self.posterior.random is None else self.posterior.random.size)):
            before = self.posterior.prior_of(j)
            if before is None:
                rows.append((*labels[j], np.nan, "the prior is improper, or of another quantity"))
                continue
            drawn = np.array([before(rng) for _ in range(draws)])
            edges = np.quantile(drawn, np.linspace(0.0, 1.0, 21)[1:-1])
            share = np.bincount(np.searchsorted(edges, flat[:, j]), minlength=20) / len(flat)
            overlap = float(np.minimum(share, 0.05).sum())
            said = "nothing" if overlap > NOTHING else "little" if overlap > LITTLE else ""
            words = f"the data say {said} about {_words(labels[j])}" if said else ""
            rows.append((*labels[j], overlap, words))
        return pd.DataFrame(rows, columns=["parameter", "term", "overlap", "says"])

    def _worst(self) -> pd.DataFrame:
        """`checks` by the unknowns in words; of the effects of a random term the worst."""
        random, checks = self.posterior.random, self.checks
        labels = [f"{name} ({term})" for name, term in self.posterior.labels]
        if random is not None:
            begin = self.posterior.size - random.size
            for (p, term, _), at in zip(random.terms, random.positions, strict=True):
                for j in at.ravel():
                    labels[begin + j] = f"{p.name} (effects of {term.text})"
        by = checks.assign(label=labels[: len(checks)]).groupby("label", sort=False)
        return by.agg({"r_hat": "max", "ess_bulk": "min", "ess_tail": "min"})

    @cached_property
    def verdict(self) -> Verdict:
        """What these draws say about themselves."""
        remarks, checks = [], self._worst()
        apart = checks[checks["r_hat"] > R_HAT]
        if len(apart):
            words = ", ".join(f"{label} {r:.3f}" for label, r in apart["r_hat"].items())
            remarks.append(Remark(Outcome.NOT_CONVERGED, f"the chains differ, R-hat above {R_HAT} of {words}"))
        diverged = int(self.statistics["diverging"].sum())
        if diverged:
            words = "a part of the posterior may be missing; use more informative priors"
            remarks.append(Remark(Outcome.IMPRECISE, f"{some(diverged, 'step')} diverged: {words}"))
        few = checks[["ess_bulk", "ess_tail"]].min(axis=1)
        few = few[~(few >= ESS)]
        if len(few):
            words = ", ".join(f"{label} {ess:.0f}" for label, ess in few.items())
            remarks.append(Remark(Outcome.IMPRECISE, f"Fewer than {ESS} effective draws of {words}: use more draws"))
        error = float(self.made.get("error of the log-posterior", 0.0))
        if error > 0.05:
            words = f"The surface that was drawn from is {error:.2g} off in the log-posterior: sampler='nuts' is not"
            remarks.append(Remark(Outcome.IMPRECISE, words))
        if len(self.unknowns) == 1 and not int(self.made.get("independent", 0)):
            remarks.append(Remark(Outcome.IMPRECISE, "One chain cannot be compared with others: use chains=4"))
        converged = not any(r.outcome.serious for r in remarks)
        first = [Remark(Outcome.CONVERGED)] if converged and not remarks else []
        words = [w for w, o in zip(*self.learned()[["says", "overlap"]].to_numpy().T, strict=True) if o > NOTHING]
        said = [Remark(Outcome.IMPRECISE, f"{w[0].upper()}{w[1:]}: it is what the prior says") for w in words]
        return Verdict((*first, *remarks, *said))

    def __repr__(self) -> str:
        chains, draws, _ = self.unknowns.shape
        several = "chain" if chains == 1 else "chains"
        head = f"{self.model!r}\n{chains} {several} of {draws} draws, seed {self.seed}; {INTERVAL}"
        priors = self.priors().to_string(index=False)
        table = self.summary().round(3).to_string(index=False)
        return "\n\n".join([head, table, f"Priors\n{priors}", "\n".join(map(str, self.verdict.remarks))])

    # ---- single points and latent states ------------------------------------------------------------------------

    def log_likelihood(self, most: int | None = None) -> xr.Dataset:
        """The log-likelihood of each animal or site at each draw, and of the number met.

        Returns
        -------
        Dataset with "animal" or "site" (chain, draw, that dim), and `count` (chain, draw, met) where a model has one
        """
        vectors = self.thinned(most or self.coefficients.shape[0] * self.coefficients.shape[1])
        chains, k, _ = vectors.shape
        found = [self.model.pointwise(v) for v in vectors.reshape(chains * k, -1)]
        first = found[0]
        shape, coords = (chains, k, -1), {"chain": np.arange(chains), "draw": np.arange(k)}
        each = np.array([f.loglik for f in found]).reshape(shape)
        data = {f"of_{first.dim}": ((*AXES, first.dim), each, {"units": "log-probability"})}
        coords |= {first.dim: first.labels}
        if first.counted:
            data["of_count"] = ((*AXES, "met"), np.array([f.count for f in found]).reshape(shape))
            coords["met"] = first.counted
        return xr.Dataset(data, coords)

    def loo(self, most: int = 2000) -> pd.DataFrame:
        """Leave one animal or site out: elpd, p and pareto_k of each (PSIS, Vehtari, Gelman & Gabry 2017).

        Of animals it is the history given that the animal was met: how many were met cannot be left out.
        """
        from .bayes import leave_one_out

        data = self.log_likelihood(most)
        return leave_one_out(next(v for name, v in data.data_vars.items() if name != "of_count"))

    def latent(self, region=None, most: int = 400, session: str | None = None) -> xr.Dataset:
        """Draws of what was summed out: activity centres and numbers of animals, or states of sites or marked animals.

        Parameters
        ----------
        region : for spatial models, where animals are counted (polygon file, geometry or HabitatMask); the mask
        most : draws in all, evenly spread
        session : of a spatial model of several

        Returns
        -------
        Dataset with dims chain, draw and site (and season), or animal and occasion (see `latent_histories`); for
        spatial models animal (x, y [m], cell, class), N, N_region, never_met, and `density`, the mean over the draws of
        the expected number of activity centres per 100 km² given the data (Rao–Blackwell), with the surface of density
        itself and its standard deviation
        """
        vectors = self.thinned(most)
        rng = np.random.default_rng([self.seed, 4])
        if isinstance(self.model, (HistoryModel, MarkedModel)):
            drawn = [latent.states(self.model, v, rng) for v in vectors.reshape(-1, vectors.shape[2])]
            return latent.collected(self.model, drawn, len(vectors))
        if not isinstance(self.model, SCR):
            what = "where and whether animals of an open population in space live is not drawn"
            raise refuse(what, "Use derive(), or JollySeber without places", value=repr(self.model))
        from .spatial.centres import latent_of_captures

        return latent_of_captures(self.model, vectors, region, session, rng, atom)

    def predictive(self, n: int = 200, seed: int = 1) -> pd.DataFrame:
        """Posterior predictive check: statistics of the data beside those of `n` simulated data sets.

        See `predictive.check`.
        """
        from .predictive import check

        return check(self, n, seed)

    def as_fit(self):
        """These draws as a Fit: mean, covariance and tables of the posterior where a fit has those of the maximum."""
        from .posterior_fit import as_fit

        return as_fit(self)


def _words(label: tuple[str, str]) -> str:
    name, term = label
    return name if term == "Intercept" else f"{name} ({term})"


def atom(model, vector: np.ndarray, rng: np.random.Generator):
    """One draw as a fit without uncertainty, from which the model derives quantities."""
    fit = model.fit_class(
        model=model,
        vector=vector,
        covariance=np.zeros((len(vector), len(vector))),
        loglik=np.nan,
        method="a draw",
        base_verdict=Verdict((Remark(Outcome.GIVEN),)),
    )
    if isinstance(model, SCR):
        if model.likelihood == "conditional" and not any(len(s.strata.columns) for s in model.sessions):
            drawn = latent.with_density(fit, rng)
            return replace(drawn, covariance=np.zeros((len(drawn.vector),) * 2))
        return fit
    if getattr(model, "likelihood", "") == "conditional" and hasattr(fit, "abundance_parts"):
        parts, n = fit.abundance_parts(), np.asarray(model.n, float)
        met = n > 0
        N = n.copy()
        N[met] += rng.negative_binomial(n[met], n[met] / parts.estimate[met])
        object.__setattr__(fit, "abundance_parts", lambda: replace(parts, estimate=N, chance=np.zeros(len(N))))
    return fit
