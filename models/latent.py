"""Draws of what was summed out of a likelihood: activity centres, numbers of animals, states and abundances of sites.

Those of marked animals are in `latent_histories`.

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
from . import latent_histories
from .counts.n_mixture import NMixture
from .counts.open_n_mixture import OpenNMixture
from .counts.removal import Removal
from .latent_chains import Chains, one_of
from .marked.base import MarkedModel
from .marked.open_population import JollySeber
from .occupancy.abundance_prior import prior
from .occupancy.multi_scale import MultiMethodOccupancy
from .occupancy.multistate import MultistateOccupancy
from .occupancy.royle_nichols import RoyleNichols
from .occupancy.seasons import SeasonalOccupancy
from .occupancy.single_season import Occupancy
from .occupancy.time_to_detection import TimeToDetection
from .occupancy.two_species import STATES, TwoSpeciesOccupancy

BERNOULLI = (Occupancy, TimeToDetection, MultiMethodOccupancy)
TAIL = 40.0  # log-probability below the largest at which a sum over numbers of animals ends
Named = dict[str, tuple[tuple[str, ...], np.ndarray]]


def states(model, vector: np.ndarray, rng: np.random.Generator) -> Named:
    """One draw of the latent states of every site or animal at coefficients [p]: by name their dims and values.

    "occupied" bool [site] or [site, season] (of two species [site, species]), "state" int [site, season], "abundance"
    int [site] or [site, season], or what `latent_histories.states` gives.

    Raises
    ------
    SurveyError : a kind of model whose states are not drawn
    """
    if isinstance(model, MarkedModel):
        return latent_histories.states(model, vector, rng)
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
    for kind, (name, dims, of) in MORE.items():
        if isinstance(model, kind):
            return {name: (dims, of(model, vector, values, rng))}
    raise refuse(
        "the latent states of this kind of model are not drawn",
        "Use model.posterior(vector) for their probabilities at single draws",
        value=type(model).__name__,
    )


def coordinates(model) -> dict[str, Any]:
    """Coordinates of the dims of `states`."""
    if isinstance(model, MarkedModel):
        return latent_histories.coordinates(model)
    return {
        "site": [str(s) for s in model.history.sites.index],
        "season": [str(s) for s in model.history.season_labels],
        "species": list(getattr(model, "species", ())),
    }


def realised(model, drawn: Named) -> dict[tuple[str, str], float]:
    """What `derive()` calls realised, at one draw of the states: value by (quantity, scope)."""
    if isinstance(model, MarkedModel):
        N = drawn["N"][1] if "N" in drawn else ()
        return {("abundance", f"occasion {t + 1}"): float(n) for t, n in enumerate(N)}
    n, labels = model.history.n_sites, model.history.season_labels
    several = isinstance(model, (SeasonalOccupancy, MultistateOccupancy, OpenNMixture)) and len(labels) > 1
    scopes = [f"season {label}, these {n} sites" for label in labels] if several else [f"these {n} sites"]
    found: dict[tuple[str, str], float] = {}
    if isinstance(model, (NMixture, OpenNMixture, Removal)):
        area = model.history.area
        for scope, total in zip(scopes, drawn["abundance"][1].reshape(n, -1).sum(axis=0), strict=True):
            found["abundance", scope] = float(total)
            if area is not None:
                found["density", scope] = 100.0 * float(total) / float(area.sum())
        return found
    if isinstance(model, TwoSpeciesOccupancy):
        z = drawn["occupied"][1]
        return _shares(model, {f" with {name}": z[:, [k]] for k, name in enumerate(model.species)}, scopes)
    if isinstance(model, MultistateOccupancy):
        state = drawn["state"][1]
        return _shares(model, {" occupied": state > 0, " in state 2": state == 2}, scopes)
    z = drawn["occupied"][1] if "occupied" in drawn else drawn["abundance"][1] > 0
    return _shares(model, {" occupied": z.reshape(n, -1)}, scopes)


def _shares(model, which: dict[str, np.ndarray], scopes: list[str]) -> dict[tuple[str, str], float]:
    """Proportions and areas of sites by what holds there, bool [site, scope]."""
    found, area = {}, model.history.area
    for words, z in which.items():
        for t, scope in enumerate(scopes):
            found[f"proportion{words}", scope] = float(z[:, t].mean())
            if area is not None:
                found[f"area{words}", scope] = float(area @ z[:, t])
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


def _of_state(model: MultistateOccupancy, vector, values, rng) -> np.ndarray:
    """int8 [N, T]: states of sites given what was found there."""
    n, t = model.history.n_sites, model.history.n_seasons
    log = model.visits.loglik(model.form.prob(values, model.value)).reshape(n, t, 3)
    look = np.exp(log - log.max(axis=2, keepdims=True))
    into = model._transition(values).reshape(n, t, 3, 3)
    chains = Chains(model.form.prior(values) * look[:, 0], lambda s: into[:, s + 1], look, np.zeros(n, int))
    return chains.drawn(np.arange(n), rng).astype(np.int8)


def _of_seasons(model: OpenNMixture, vector, values, rng) -> np.ndarray:
    """int [N, T]: numbers of animals at sites given all counts there."""
    changes = {name: v[model.first_of] for name, v in model._changes(values).items()}
    initial, log = model._initial(values), model._emission(values)
    look = np.exp(log - log.max(axis=2, keepdims=True))
    drawn = np.empty(look.shape[:2], int)
    for sites, kinds, which in model.blocks:
        made = model.kind.transitions({name: v[kinds] for name, v in changes.items()}, model.most).matrix
        here = look[sites]
        begin = initial[sites] * here[:, 0]
        chains = Chains(begin, lambda s, w=which, m=made: m[w[:, s]], here, np.zeros(len(here), int))
        drawn[sites] = chains.drawn(np.arange(len(here)), rng)
    return drawn


def _of_removal(model: Removal, vector, values, rng) -> np.ndarray:
    """int [N]: those taken and a Poisson number of those left."""
    taken = np.bincount(model.visits.group, weights=model.count, minlength=model.history.n_sites)
    return taken.astype(int) + rng.poisson(np.maximum(model.missed(vector), 0.0))


def _of_species(model: TwoSpeciesOccupancy, vector, values, rng) -> np.ndarray:
    """bool [N, 2]: which species are at each site, given what was found of both."""
    weight = model._mixed(values, model._prior(values)).posterior
    found = np.column_stack([visits.any for visits in model.visits])
    impossible = (found[:, None, :] & (STATES[None, :, :] == 0)).any(axis=2)
    return STATES[one_of(np.where(impossible, 0.0, weight), rng)] == 1


MORE = {
    MultistateOccupancy: ("state", ("site", "season"), _of_state),
    OpenNMixture: ("abundance", ("site", "season"), _of_seasons),
    Removal: ("abundance", ("site",), _of_removal),
    TwoSpeciesOccupancy: ("occupied", ("site", "species"), _of_species),
}


def collected(model, drawn: list[Named], chains: int) -> xr.Dataset:
    """Draws of `states`, chain by chain, as a data set with dims chain and draw."""
    names, found = drawn[0], {}
    for name, (dims, _) in names.items():
        whole = np.stack([d[name][1] for d in drawn])
        told = (
            {"meaning": latent_histories.meaning(model)} if name == "state" and isinstance(model, MarkedModel) else {}
        )
        found[name] = (("chain", "draw", *dims), whole.reshape(chains, -1, *whole.shape[1:]), told)
    data = xr.Dataset(found)
    return data.assign_coords({k: v for k, v in coordinates(model).items() if k in data.dims})


def has_realised(model) -> bool:
    """Whether `realised` says something of this kind of model."""
    if isinstance(model, MarkedModel):
        return isinstance(model, JollySeber)
    return isinstance(model, (SeasonalOccupancy, *BERNOULLI, NMixture, RoyleNichols, *MORE))


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
