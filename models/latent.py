"""Draws of what was summed out of a likelihood: activity centres, numbers of animals, states and abundances of sites.

Given the parameters they are independent of the sampler, so one draw of them per draw of the posterior is a draw from
their own posterior, exactly: no chain and no augmentation. What is known of them is never drawn otherwise (an animal
that was met exists, a site with a finding is occupied).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from scipy.special import gammaln

from ..survey.errors import refuse
from .counts.n_mixture import NMixture
from .occupancy.abundance_prior import prior
from .occupancy.history_model import HistoryModel
from .occupancy.multi_scale import MultiMethodOccupancy
from .occupancy.royle_nichols import RoyleNichols
from .occupancy.seasons import SeasonalOccupancy
from .occupancy.single_season import Occupancy
from .occupancy.time_to_detection import TimeToDetection

BERNOULLI = (Occupancy, TimeToDetection, MultiMethodOccupancy)
TAIL = 40.0  # log-probability below the largest at which a sum over numbers of animals ends
Named = dict[str, tuple[tuple[str, ...], np.ndarray]]


def states(model, vector: np.ndarray, rng: np.random.Generator) -> Named:
    """One draw of the latent states of every site at coefficients [p]: by name their dims and values.

    "occupied" bool [site] or [site, season], or "abundance" int [site].

    Raises
    ------
    SurveyError : a kind of model whose states are not drawn
    """
    values = model.parameters.values(vector)
    if isinstance(model, SeasonalOccupancy):
        drawn = _chain(model, vector, values, rng)
        return {"occupied": (("site", "season"), drawn)}
    if isinstance(model, BERNOULLI):
        return {"occupied": (("site",), rng.uniform(size=model.history.n_sites) < model.occupied(vector))}
    if isinstance(model, NMixture):
        return {"abundance": (("site",), _from_weights(_of_counts(model, values), rng))}
    if isinstance(model, RoyleNichols):
        return {"abundance": (("site",), _from_weights(_of_detections(model, values), rng))}
    raise refuse(
        "the latent states of this kind of model are not drawn",
        "Use model.posterior(vector) for their probabilities at single draws",
        value=type(model).__name__,
    )


def coordinates(model) -> dict[str, Any]:
    """Coordinates of the dims of `states`."""
    return {
        "site": [str(s) for s in model.history.sites.index],
        "season": [str(s) for s in model.history.season_labels],
    }


def realised(model, drawn: Named) -> dict[tuple[str, str], float]:
    """What `derive()` calls realised, at one draw of the states: value by (quantity, scope)."""
    n, area = model.history.n_sites, model.history.area
    here, found = f"these {n} sites", {}
    if "abundance" in drawn and isinstance(model, NMixture):
        total = float(drawn["abundance"][1].sum())
        found["abundance", here] = total
        if area is not None:
            found["density", here] = 100.0 * total / float(area.sum())
        return found
    z = drawn["occupied"][1] if "occupied" in drawn else drawn["abundance"][1] > 0
    z = z.reshape(n, -1)
    labels = model.history.season_labels
    several = isinstance(model, SeasonalOccupancy) and len(labels) > 1
    for t in range(z.shape[1]):
        scope = f"season {labels[t]}, {here}" if several else here
        found["proportion occupied", scope] = float(z[:, t].mean())
        if area is not None:
            found["area occupied", scope] = float(area @ z[:, t])
    return found


def _chain(model: SeasonalOccupancy, vector, values, rng) -> np.ndarray:
    """bool [N, T]: forward sampling of a site's states given all that was found there.

    Given the data they are still a Markov chain, whose pairs of seasons in a row have the probabilities transition ·
    by_transition of the backward pass.
    """
    n, t = model.history.n_sites, model.history.n_seasons
    passed = model._passed(values, True)[0]
    pairs = (model._transition(values) * passed.by_transition).reshape(n, t, 2, 2)
    certain, occupied = model.certain.reshape(n, t), np.empty((n, t), bool)
    occupied[:, 0] = (rng.uniform(size=n) < model.smoothed(vector)[:, 0]) | certain[:, 0]
    for s in range(1, t):
        row = pairs[np.arange(n), s, np.where(occupied[:, s - 1], 0, 1)]
        with np.errstate(invalid="ignore", divide="ignore"):
            on = row[:, 0] / row.sum(axis=1)
        occupied[:, s] = (rng.uniform(size=n) < np.nan_to_num(on)) | certain[:, s]
    return occupied


def _from_weights(log_weight: np.ndarray, rng) -> np.ndarray:
    """int [sites]: a number from logarithms of weights [sites, numbers]."""
    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True)).cumsum(axis=1)
    return (weight < rng.uniform(size=(len(weight), 1)) * weight[:, -1:]).sum(axis=1)


def _log_prior(at, numbers: np.ndarray) -> np.ndarray:
    """Logarithm of the probability [sites, numbers] of that many animals before the data."""
    if at.size is None:
        with np.errstate(divide="ignore", invalid="ignore"):
            whole = numbers * np.log(at.mean)[:, None]
        return np.where(numbers == 0, 0.0, whole) - at.mean[:, None] - gammaln(numbers + 1.0)
    a, mu = at.size, at.mean[:, None]
    return (
        gammaln(numbers + a) - gammaln(a) - gammaln(numbers + 1.0)
        + numbers * np.log(mu / (mu + a)) - a * np.log1p(mu / a)
    )  # fmt: skip


def _of_counts(model: NMixture, values) -> np.ndarray:
    """Log-weights [sites, 0 … K] of the number of animals at each site given the counts there."""
    at, y, group, p = model._prior(values), model.count, model.visits.group, values["p"]
    least, spread = model.least, np.sqrt(at.mean if at.size is None else at.mean + at.mean**2 / at.size)
    top, log = int(np.max(np.maximum(least, at.mean) + 12.0 * spread + 20.0)), np.empty((0, 0))
    while True:
        N = np.arange(min(top, model.most) + 1.0)
        log = _log_prior(at, N)
        with np.errstate(invalid="ignore"):
            each = gammaln(N + 1.0) - gammaln(y[:, None] + 1.0) - gammaln(N - y[:, None] + 1.0)
            each = each + (y * np.log(p))[:, None] + (N - y[:, None]) * np.log1p(-p)[:, None]
        np.add.at(log, group, np.where(y[:, None] > N, -np.inf, each))
        if top >= model.most or (log[:, -1] < log.max(axis=1) - TAIL).all():
            break
        top *= 2
    if "zero" in values:
        zero, empty = float(values["zero"][0]), (N == 0) & (least == 0)[:, None]
        log = np.logaddexp(np.log1p(-zero) + log, np.where(empty, np.log(zero), -np.inf))
    return log


def _of_detections(model: RoyleNichols, values) -> np.ndarray:
    """The same given whether anything was found on each visit (Royle & Nichols 2003)."""
    at, r = prior(model.mixture, values), model.visits.probability(values["r"])
    spread = np.sqrt(at.mean if at.size is None else at.mean + at.mean**2 / at.size)
    top = int(np.max(at.mean + 12.0 * spread + 30.0))
    while True:
        N = np.arange(min(top, model.most) + 1.0)
        log, missed = _log_prior(at, N), N * np.log1p(-r)[:, None]
        with np.errstate(divide="ignore"):
            np.add.at(log, model.visits.group, np.where(model.visits.seen[:, None], np.log(-np.expm1(missed)), missed))
        if top >= model.most or (log[:, -1] < log.max(axis=1) - TAIL).all():
            return log
        top *= 2


def collected(model, drawn: list[Named], chains: int) -> xr.Dataset:
    """Draws of `states`, chain by chain, as a data set with dims chain and draw."""
    names, found = drawn[0], {}
    for name, (dims, _) in names.items():
        whole = np.stack([d[name][1] for d in drawn])
        found[name] = (("chain", "draw", *dims), whole.reshape(chains, -1, *whole.shape[1:]))
    data = xr.Dataset(found)
    return data.assign_coords({k: v for k, v in coordinates(model).items() if k in data.dims})


def draws_states(model) -> bool:
    """Whether `states` knows this kind of model."""
    return isinstance(model, HistoryModel) and isinstance(
        model, (SeasonalOccupancy, *BERNOULLI, NMixture, RoyleNichols)
    )


def with_density(fit, rng: np.random.Generator):
    """A draw under the conditional likelihood as one under the full: density given the animals met.

    Under the prior 1/D of each session's density, n met and effective area a, it is Gamma(n) / a (Poisson N).
    """
    if fit.model.likelihood == "full":
        return fit
    full = fit.as_full()
    vector = full.vector.copy()
    for j, session in enumerate(full.model.sessions):
        n = session.captures.n_animals
        vector[j] += np.log(rng.gamma(n) / n)  # as_full has log (n / a)
    return replace(full, vector=vector)
