"""The log-likelihood of a data set divided among its animals or sites, with the gradient of any weighted sum of it.

Leave-one-out comparison and weights of single animals need it. Of an animal it is log Pr(history | met), so that how
many animals were met is a point of its own:

    Σ log A_i - a.  =  Σ (log A_i - log a.)  +  log Poisson(n; a.)  +  log n!
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import gammaln

from ..survey.errors import refuse
from .marked.base import MarkedModel
from .occupancy.history_model import HistoryModel
from .occupancy.two_species import TwoSpeciesOccupancy
from .open_scr.model import OpenSCR
from .open_scr.survival import first_session_parts
from .pointwise_marked import divided_marked, names_of_numbers
from .spatial.composition import Composed, binomial
from .spatial.mark_resight import MarkResight
from .spatial.scr import SCR
from .spatial.session import Mixed

STEP = 1e-5  # of differences along a coefficient, where a model has no adjoint of single points


@dataclass(frozen=True)
class Points:
    """A log-likelihood divided up: loglik.sum() + sum(count) + rest is the whole.

    Attributes
    ----------
    dim : "animal" or "site"
    labels : names [n] of the points
    loglik : float [n]
    count : float [m], log-probability of the number met, of each session or group; none where it says nothing
    rest : what belongs to no point: constants, and data of other kinds
    mean : float [m], where that number is Poisson its mean
    number : int [m], that number
    counted : names [m]
    """

    dim: str
    labels: list[str]
    loglik: np.ndarray
    count: np.ndarray = field(default_factory=lambda: np.empty(0))
    rest: float = 0.0
    mean: np.ndarray | None = None
    number: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    counted: list[str] = field(default_factory=list)


def points(model, vector: np.ndarray) -> Points:
    """The log-likelihood of single animals or sites at coefficients [p]; random effects are given, not integrated out.

    Raises
    ------
    SurveyError : the likelihood of this kind of model is no product over animals or sites
    """
    values = model.parameters.values(np.asarray(vector, float))
    if isinstance(model, SCR):
        return _of_captures(model, values)
    if isinstance(model, HistoryModel):
        other = model.second.visited if isinstance(model, TwoSpeciesOccupancy) else False
        here = np.flatnonzero(model.history.visited | other)
        return Points("site", [str(s) for s in model.history.sites.index[here]], model.by_site(values)[here])
    if isinstance(model, OpenSCR):
        return _of_open(model, values)
    if not isinstance(model, MarkedModel):
        raise refuse(
            "the likelihood of this kind of model is no product over single animals or sites",
            "Compare models of this kind by AIC",
            value=repr(model),
        )
    labels, found = divided_marked(model, values)
    if not len(found.count):
        return Points("animal", labels, found.each)
    number = found.number.astype(int)
    names = names_of_numbers(len(number))
    return Points("animal", labels, found.each, found.count, found.rest, found.mean, number, names)


def weighted_gradient(model, vector: np.ndarray, weight: np.ndarray, of_mean: np.ndarray | None = None) -> np.ndarray:
    """Gradient [p] of Σ weight · loglik + Σ of_mean · mean, with `Points` at coefficients [p].

    Parameters
    ----------
    weight : float [n], of the points
    of_mean : float [m], of the mean number met, or of its log-probability where it is not Poisson
    """
    if isinstance(model, SCR) and not isinstance(model, MarkResight):
        return _pull_captures(model, np.asarray(vector, float), weight, of_mean)

    def total(v: np.ndarray) -> float:
        found = points(model, v)
        count = found.count if found.mean is None else found.mean
        return float(weight @ found.loglik + (0.0 if of_mean is None else of_mean @ count))

    gradient = np.empty(len(vector))
    for j in range(len(vector)):
        step = np.zeros(len(vector))
        step[j] = STEP
        gradient[j] = (total(vector + step) - total(vector - step)) / (2.0 * STEP)
    return gradient


def divided(model, vector: np.ndarray) -> tuple[Points, np.ndarray, np.ndarray, np.ndarray]:
    """The points, and the gradients of their sum [p], of each number met [m, p] and of the rest [p]."""
    vector = np.asarray(vector, float)
    found = points(model, vector)
    n, m = len(found.loglik), len(found.counted)
    nothing, ones, of_count = np.zeros(len(vector)), np.ones(n), np.zeros((m, len(vector)))
    for j, one in enumerate(np.eye(m)):
        of_count[j] = weighted_gradient(model, vector, 0.0 * ones, one)
    slope = np.ones(m) if found.mean is None else found.number / found.mean - 1.0
    if not isinstance(model, SCR):  # what is left is constant
        return found, model.loglik_and_gradient(vector)[1] - slope @ of_count, of_count, nothing
    of_terms = weighted_gradient(model, vector, ones)
    if not isinstance(model, MarkResight) and all(session.collared is None for session in model.sessions):
        return found, of_terms, of_count, nothing
    whole = model.loglik_and_gradient(vector)[1]
    return found, of_terms, of_count, whole - of_terms - slope @ of_count


# ---- spatial capture-recapture ---------------------------------------------------------------------------------------


def _mix(session, values) -> tuple[np.ndarray, list, Mixed]:
    log_mu, rows = session.kernel_input(values)
    ats = [session.engine_of(part, values).evaluate(log_mu, rows[part.rows]) for part in session.parts]
    return log_mu, ats, session._mixed(ats, values)


def _met(session, found: Mixed) -> np.ndarray:
    """float [n]: the expected number of animals met, of the stratum of each animal."""
    whole = np.empty(session.captures.n_animals)
    for part in session.parts:
        whole[part.animals] = found.detected[part.stratum]
    return whole


def _of_collars(session, values, found: Mixed) -> float:
    """The log-likelihood of the animals known from fixes alone."""
    if session.collared is None:
        return 0.0
    return session._collared(values, session.kernel_input(values)[1], found).loglik


def _of_captures(model: SCR, values) -> Points:
    labels, loglik, count, mean, number, whole = [], [], [], [], [], 0.0
    # of marked animals that nobody saw being marked the number met is no point of its own: it is in the rest
    numbered = model.likelihood == "full" and all(getattr(s, "marked", None) is None for s in model.sessions)
    poisson = numbered and model.distribution == "poisson"
    for session in model.sessions:
        own = model.values_of(values, session)
        _, ats, found = _mix(session, own)
        n, a, N = session.captures.n_animals, float(found.detected.sum()), ats[0].total
        several = f"{session.name}: " if len(model.sessions) > 1 else ""
        labels += [f"{several}{name}" for name in session.captures.animals.index]
        loglik.append(found.log_a - np.log(_met(session, found)))
        whole += found.loglik + _of_collars(session, own, found)
        if poisson:
            count.append(n * np.log(a) - a - gammaln(n + 1.0))
        elif numbered:
            chosen = gammaln(N + 1.0) - gammaln(N - n + 1.0) - gammaln(n + 1.0)
            count.append(chosen + n * np.log(a / N) + (N - n) * np.log1p(-a / N))
        mean, number = [*mean, a], [*number, n]
    points, count = np.concatenate(loglik), np.array(count)
    rest = whole - float(points.sum() + count.sum())
    if not numbered:
        return Points("animal", labels, points, rest=rest)
    names = [f"animals met in session {s.name}" for s in model.sessions] if len(model.sessions) > 1 else ["animals met"]
    return Points(
        "animal", labels, points, count, rest, np.array(mean) if poisson else None, np.array(number, int), names
    )


def _pull_captures(model: SCR, vector, weight, of_mean) -> np.ndarray:
    values, begin, adjoints = model.parameters.values(vector), 0, []
    for j, session in enumerate(model.sessions):
        own = model.values_of(values, session)
        mine, begin = weight[begin : begin + session.captures.n_animals], begin + session.captures.n_animals
        c = float(of_mean[j]) if of_mean is not None and len(of_mean) else 0.0
        adjoints.append(_adjoints(model, session, own, _mix(session, own), mine, c))
    joined = {
        n: np.concatenate([part[n] for part in adjoints]) if len(adjoints) > 1 else adjoints[0][n] for n in values
    }
    return model.parameters.pull(vector, joined)


def _adjoints(model: SCR, session, values, mixed_up, weight: np.ndarray, of_mean: float) -> Mapping[str, np.ndarray]:
    """Derivatives by the values of one session; data of other kinds (collared animals) have no part in them."""
    log_mu, ats, found = mixed_up
    n, by_met, by_total = session.captures.n_animals, np.zeros(len(found.detected)), 0.0
    for g, a in enumerate(found.detected):
        animals = np.unique(np.concatenate([p.animals for p in session.parts if p.stratum == g]))
        by_met[g] = -weight[animals].sum() / a
    if of_mean and model.distribution == "poisson":
        by_met[0] += of_mean
    elif of_mean:
        of_all = binomial(0.0, float(found.detected[0]), ats[0].total, n)
        by_met[0] += of_mean * (of_all.by_detected + n / float(found.detected[0]))
        by_total = of_mean * of_all.by_total
    share = [s * weight[p.animals] for s, p in zip(found.share, session.parts, strict=True)]
    composed = [Composed(0.0, float(b), by_total if g == 0 else 0.0) for g, b in enumerate(by_met)]
    alone = session if session.collared is None else replace(session, collared=None)
    return alone._adjoints(values, log_mu, ats, replace(found, share=share, composed=composed))[0]


# ---- open populations in space ---------------------------------------------------------------------------------------


def _of_open(model: OpenSCR, values) -> Points:
    """log A of each animal over Pr(detected at all); under a likelihood of survival over A of its first session."""
    labels, n = [str(name) for name in model.records.names], len(model.records.names)
    if model.of_survival:
        each, keep = np.zeros(n), model.likelihood == "survival"
        for chain in model.chains(values)[2]:
            for sign, _, log_a in first_session_parts(chain, keep):
                each[chain.animals] += sign * log_a
        return Points("animal", labels, each, rest=model.records.constant if keep else 0.0)
    chains = model.chains(values)[2]
    each, a = _log_a(chains, n), float(sum(chain.detected for chain in chains))
    if model.likelihood == "conditional":
        return Points("animal", labels, each - np.log(a), rest=model.records.constant)
    count = np.array([n * np.log(a) - a - gammaln(n + 1.0)])
    met = {"mean": np.array([a]), "number": np.array([n]), "counted": ["animals met"]}
    return Points("animal", labels, each - np.log(a), count, model.records.constant, **met)


def _log_a(chains, n: int) -> np.ndarray:
    """log A [n] over the classes that an animal may be of."""
    terms = np.full((n, len(chains)), -np.inf)
    for c, chain in enumerate(chains):
        terms[chain.animals, c] = chain.log_a
    return np.logaddexp.reduce(terms, axis=1)
