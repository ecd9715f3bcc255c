"""Fits of models with random effects and smooths: from the marginal likelihood to the one shape of answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..survey.errors import refuse
from .inference.laplace import Marginal, Mode
from .inference.maximum_likelihood import Covariance, Optimum, climbed, covariance_of, maximise
from .inference.quadrature import COARSE as MIDDLE
from .inference.quadrature import Quadrature, newton, possible
from .random_part import RandomPart, theta_from
from .random_terms import Smooth
from .random_walks import Walk
from .verdict import Outcome, Remark, Verdict

NEGLIGIBLE = 0.05  # a standard deviation of the linear predictor below which 0 is tried
NO_GAIN = 1e-4  # log-likelihood that a standard deviation above 0 must gain
NEAR = 5e-3  # log-likelihood per group by which Laplace's approximation may be off before quadrature takes over
FAR = 0.1  # the same for the whole log-likelihood
LOST = 150  # evaluations after which Laplace's approximation is given up where quadrature can be used
ENDS = 4.5  # a length within 1 % of its range on the logit scale is at an end
CORRELATED = 25.0  # free correlation parameter beyond which a correlation is ±1 (0.9992)
DOUBTFUL = 0.4  # information on a group over that of its prior, below which the approximation is not believed


# ---- fitting -------------------------------------------------------------------------------------------------


INTEGRATION = ("auto", "laplace", "quadrature")


def fit_random(model: Any, begin: np.ndarray, integration: str, progress, interval: str, max_iterations: int) -> Any:
    """`Model.fit` for a model with random terms: maximum of the marginal likelihood.

    Parameters
    ----------
    begin : coefficients [p] of the model; random ones are not used
    integration : "laplace"; "quadrature", for terms that leave one coefficient to each of the separate groups; "auto"
        is quadrature where it is possible and Laplace's log-likelihood is off by more than 0.1, or 0.005 per group
    """
    if integration not in INTEGRATION:
        fix = f"Use {', '.join(map(repr, INTEGRATION))}"
        raise refuse("this way of integrating random effects is not known", fix, value=integration)
    check_individuals(model)
    marginal = Marginal(model)
    if integration == "quadrature" and not possible(marginal):
        raise refuse(
            "quadrature needs one random coefficient for each of groups that have nothing to do with each other",
            "Use integration='laplace'",
            value=repr(model),
        )
    alone = maximise(_Without(marginal), begin[marginal.at_beta], max_iterations=max_iterations)
    psi = np.concatenate([alone.vector, marginal.start_theta()])
    how = {"max_iterations": max_iterations, "report": progress}
    exact = Quadrature(model, like=marginal) if possible(marginal) and integration != "laplace" else None
    optimum, evaluations, good = None, 0, False
    if exact is None or _near(exact, marginal, psi):
        first = how if exact is None else how | {"report": _at_most(LOST, progress)}
        marginal, optimum, evaluations = _climbed(marginal, psi, first)
        good = optimum.converged and not marginal.held
        psi = optimum.vector if good else psi
    stopped = optimum is not None and optimum.interrupted and evaluations <= LOST
    enough = good and integration == "auto" and exact is not None and _near(exact, marginal, psi, FAR)
    if optimum is not None and optimum.converged and marginal.held and exact is not None:
        enough = not _better(exact, optimum)
    if optimum is None or (exact is not None and not stopped and not enough):
        assert exact is not None
        marginal, optimum, more = _exactly(exact, psi, good, how)
        evaluations += more
    evaluations += alone.evaluations
    mode = marginal.mode(*marginal.split(optimum.vector))
    if mode is None or not np.isfinite(optimum.loglik):
        raise refuse(
            "the likelihood with random effects cannot be maximised",
            "Leave out a random term; the data may not carry it",
            value=repr(model),
        )
    covariance = covariance_of(optimum)
    part = RandomPart(marginal, mode, optimum.vector, covariance.matrix)
    vector = marginal.vector(mode.beta, marginal.factors(mode.theta), mode.u)
    whole = _joint_covariance(marginal, mode, covariance)
    return model.fit_class(
        model=model,
        vector=vector,
        covariance=whole.matrix,
        loglik=marginal.loglik_at(mode),
        method=f"maximum marginal likelihood ({marginal.method})",
        base_verdict=_verdict(model, part, optimum, covariance, whole),
        evaluations=evaluations,
        interval=interval,
        determined=whole,
        random=part,
    )


def check_individuals(model: Any) -> None:
    """Effects of single animals need the law of those that were met, which differs from that of the population.

    Models that begin with an animal's first encounter do not ask who was met; those of the whole population do.
    """
    from .marked.base import MarkedModel
    from .marked.known_fate import KnownFate
    from .marked.multistate import Multistate
    from .marked.survival import CJS

    if not isinstance(model, MarkedModel) or isinstance(model, (CJS, KnownFate, Multistate)):
        return
    for p, term, _ in model.parameters.random:
        own = set(term.by) & set(map(str, model.history.animals.columns))
        if own and len(term.levels) >= model.history.n_animals:
            raise refuse(
                f"({term.text}) of {p.name} gives every animal an effect, and animals never met have one too",
                "Use classes of animals (a finite mixture) for differences among animals here",
                value=", ".join(sorted(own)),
            )


def _climbed(marginal: Marginal, psi: np.ndarray, how: dict[str, Any]) -> tuple[Marginal, Optimum, int]:
    """The maximum from psi, with variance parameters at a boundary held there; and evaluations."""
    optimum = _maximised(marginal, psi, how)
    evaluations = optimum.evaluations
    for _ in range(marginal.n_theta + 1):
        marginal, psi, again = _at_edges(marginal, optimum)
        if not again or optimum.interrupted:
            break
        optimum = _maximised(marginal, psi, how)
        evaluations += optimum.evaluations
    return marginal, optimum, evaluations


def _maximised(marginal: Marginal, psi: np.ndarray, how: dict[str, Any]) -> Optimum:
    """`maximise`, for quadrature by Newton steps from psi or from the end of a quasi-Newton climb, where these do."""
    if not isinstance(marginal, Quadrature):
        return maximise(marginal, psi, **how)
    found = newton(marginal, psi)
    if found is None:
        near, _ = climbed(marginal, psi, **how)
        found = newton(marginal, near) or maximise(marginal, near, **how)
    return found


def _at_most(evaluations: int, progress) -> Callable[[int, float], None]:
    """Ends a climb like an interrupt after so many evaluations."""

    def report(n: int, loglik: float) -> None:
        if progress is not None:
            progress(n, loglik)
        if n > evaluations:
            raise KeyboardInterrupt

    return report


def _exactly(exact: Quadrature, psi: np.ndarray, near: bool, how: dict[str, Any]) -> tuple[Marginal, Optimum, int]:
    """`_climbed` by quadrature, with as few points as will do."""
    exact.settle(psi)
    exact.n_points = used = exact.n_points if near else max(exact.n_points, MIDDLE)
    marginal, optimum, evaluations = _climbed(exact, psi, how)
    assert isinstance(marginal, Quadrature)
    if marginal.settle(optimum.vector) and marginal.n_points > used:
        marginal, optimum, more = _climbed(marginal, optimum.vector, how)
        evaluations += more
    return marginal, optimum, evaluations


def _better(exact: Quadrature, optimum: Optimum) -> bool:
    """True where a standard deviation above 0 is better than the 0 that Laplace's approximation ended at."""
    beta = optimum.vector[: len(exact.at_beta)]
    tried = [exact.start_theta() + np.log(size) for size in (0.5, 1.0, 2.0)]
    return any(exact.loglik(np.concatenate([beta, theta])) > optimum.loglik + NO_GAIN for theta in tried)


def _near(exact: Quadrature, marginal: Marginal, psi: np.ndarray, most: float = np.inf) -> bool:
    """True where Laplace's approximation is near enough: to begin with, or in the whole (`most`)."""
    there = marginal.loglik(psi)
    return bool(abs(there - exact.loglik(psi)) < min(NEAR * len(exact.at_leaf), most))


def at_random(model: Any, values: Mapping[str, object], variation: Mapping[str, float] | None) -> Any:
    """`Model.at` for a model with random terms: by quadrature where it is possible."""
    check_individuals(model)
    marginal = Marginal(model)
    theta = theta_from(marginal, variation or {})
    held = {k: float(t) for k, t in enumerate(theta) if not np.isfinite(t)}
    marginal = (Quadrature if possible(marginal) else Marginal)(model, held, like=marginal)
    beta = model.parameters.vector_from(values)[marginal.at_beta]
    psi = np.concatenate([beta, theta[marginal.free]])
    mode = marginal.mode(beta, theta)
    if mode is None:
        raise refuse("the marginal likelihood cannot be evaluated at these values", "Give other values", value=values)
    p, unknown = model.parameters.size, np.full((len(psi), len(psi)), np.nan)
    return model.fit_class(
        model=model,
        vector=marginal.vector(beta, marginal.factors(theta), mode.u),
        covariance=np.full((p, p), np.nan),
        loglik=marginal.loglik_at(mode),
        method=f"given values ({marginal.method})",
        base_verdict=Verdict((Remark(Outcome.GIVEN),)),
        random=RandomPart(marginal, mode, psi, unknown),
    )


def draw_random(
    model: Any, values: Mapping[str, object], variation: Mapping[str, float], seed: int
) -> dict[str, dict[str, float]]:
    """Values for `simulate` with random coefficients drawn; see `Model.draw`."""
    marginal = Marginal(model)
    vector = model.parameters.vector_from(values)
    factors = marginal.factors(theta_from(marginal, variation))
    vector[marginal.at_b] = marginal.b(factors, np.random.default_rng(seed).normal(size=marginal.size))
    return model.parameters.given(vector)


@dataclass(frozen=True)
class _Without:
    """The likelihood with every random coefficient 0."""

    marginal: Marginal

    def _vector(self, beta):
        whole = np.zeros(self.marginal.model.parameters.size)
        whole[self.marginal.at_beta] = beta
        return whole

    def loglik_and_gradient(self, beta):
        value, gradient = self.marginal.model.loglik_and_gradient(self._vector(beta))
        return value, gradient[self.marginal.at_beta]

    def hessian(self, beta):
        return None

    def scaling(self, beta):
        at = self.marginal.at_beta
        return self.marginal.model.scaling(self._vector(beta))[np.ix_(at, at)]


def _at_edges(marginal: Marginal, optimum: Optimum) -> tuple[Marginal, np.ndarray, bool]:
    """The marginal likelihood with variance parameters at a boundary held there, and whether to climb again."""
    beta, theta = marginal.split(optimum.vector)
    held = dict(marginal.held)
    for (_, term, _), at in zip(marginal.terms, marginal.theta_of, strict=True):
        own = range(at.start, at.stop)
        scales = [k for k in own if term.theta[k - at.start][0] == "sd" and k not in held]
        for k in scales:
            spread = 1.0 if isinstance(term, Smooth) else term.spread[k - at.start]
            if np.exp(theta[k]) * spread > NEGLIGIBLE:
                continue
            without = _without(marginal, held, theta, term, at, k)
            zero = type(marginal)(marginal.model, without, like=marginal)
            free = np.concatenate([beta, theta[zero.free]])
            if zero.loglik(free) >= optimum.loglik - NO_GAIN:
                larger = theta.copy()
                larger[k] = np.log(0.3 / spread)
                if marginal.loglik(np.concatenate([beta, larger[marginal.free]])) > optimum.loglik + NO_GAIN:
                    return marginal, np.concatenate([beta, larger[marginal.free]]), True
                held |= without
        for k in own:
            kind = term.theta[k - at.start][0]
            if k not in held and kind == "length" and abs(theta[k]) > ENDS:
                held[k] = float(np.sign(theta[k]) * np.inf)
            elif k not in held and kind == "correlation" and abs(theta[k]) > CORRELATED:
                held[k] = float(np.sign(theta[k]) * CORRELATED)
    if held == marginal.held:
        return marginal, optimum.vector, False
    theta[list(held)] = list(held.values())
    next_one = type(marginal)(marginal.model, held, like=marginal)
    return next_one, np.concatenate([beta, theta[next_one.free]]), True


def _without(marginal, held, theta, term, at, k) -> dict[int, float]:
    """What is held when a standard deviation is 0: that, and what then has no meaning."""
    found = held | {k: -np.inf}
    if isinstance(term, Smooth):
        return found | {at.start + 1: float(theta[at.start + 1])}
    c, i = len(term.columns), k - at.start
    pairs = [(a, b) for a in range(c) for b in range(a)]
    return found | {at.start + c + j: 0.0 for j, pair in enumerate(pairs) if i in pair}


def _joint_covariance(marginal: Marginal, mode: Mode, of_psi: Covariance) -> Covariance:
    """Covariance of beta and of the error of b (Kass & Steffey 1989; as in TMB), flat directions among them."""
    p = marginal.model.parameters.size
    J = np.zeros((p, len(of_psi.matrix)))
    J[marginal.at_beta, np.arange(len(marginal.at_beta))] = 1.0
    J[marginal.at_b] = marginal.response(mode)
    firm = J @ of_psi.firm @ J.T
    firm[np.ix_(marginal.at_b, marginal.at_b)] += marginal.conditional_covariance(mode)
    directions = J @ of_psi.scaling @ of_psi.directions
    matrix = firm.copy()
    if directions.size:
        lost = np.zeros(p, bool)
        lost[marginal.at_beta] = np.isnan(np.diag(of_psi.matrix))[: len(marginal.at_beta)]
        lost[marginal.at_b] = (np.abs(directions[marginal.at_b]) > 0.05 * np.abs(directions).max(axis=0)).any(axis=1)
        matrix[lost, :] = matrix[:, lost] = np.nan
    return Covariance(matrix, (), np.eye(p), directions, firm)


# ---- what a fit says about itself ------------------------------------------------------------------------------


def _verdict(model: Any, part: RandomPart, optimum: Optimum, covariance: Covariance, whole: Covariance) -> Verdict:
    from .model import _at_boundary, _edges_along, _label

    remarks, marginal = [], part.marginal
    if optimum.interrupted:
        remarks.append(Remark(Outcome.INTERRUPTED))
    elif not optimum.converged:
        remarks.append(Remark(Outcome.NOT_CONVERGED, optimum.why))
    vector = marginal.vector(part.mode.beta, marginal.factors(part.mode.theta), part.mode.u)
    edge = _at_boundary(model.parameters, vector)
    labels = [_label(model.parameters.labels[j]) for j in marginal.at_beta]
    labels += [_words(*part.labels[k]) for k in marginal.free]
    for group, direction in zip(covariance.flat, whole.directions.T, strict=True):
        within = None if max(group) >= len(marginal.at_beta) else _edges_along(model, vector, direction)
        remarks += [Remark(Outcome.BOUNDARY, words) for name, words in (within or {}).items() if name not in edge]
        if within is None:
            remarks.append(Remark(Outcome.FLAT, " and ".join(labels[j] for j in group)))
    remarks += [Remark(Outcome.BOUNDARY, f"{name} ({side})") for name, side in edge.items()]
    if not any(r.outcome.serious for r in remarks):
        remarks.insert(0, Remark(Outcome.CONVERGED))
    return Verdict(()).also(*dict.fromkeys((*remarks, *_of_terms(part))))


def _words(kind: str, parameter: str, label: str) -> str:
    names = {"sd": "the standard deviation of", "correlation": "the correlation of", "length": "the length of"}
    return f"{names[kind]} {f'({label})' if '|' in label else label} in {parameter}"


def _of_terms(part: RandomPart) -> list[Remark]:
    """Boundaries, few groups, groups that say little, and what the approximation does."""
    found, marginal, mode = [], part.marginal, part.mode
    variances = mode.solved.variances()
    for (p, term, _), at, b_at in zip(marginal.terms, marginal.theta_of, marginal.positions, strict=True):
        for k, (kind, label) in enumerate(term.theta):
            if at.start + k in marginal.held:
                found += _of_edge(p.name, term, kind, label, marginal.held[at.start + k])
        if isinstance(term, Smooth):
            continue
        many = term.known if isinstance(term, Walk) else len(term.levels)
        if many < 5:
            words = f"There are only {many} groups of {term.group!r}: their standard deviation in {p.name}"
            if isinstance(term, Walk):
                of = f"the standard deviation of {term.text} in {p.name}"
                words = f"There are only {many} values of {term.axis!r}: {of}"
            found.append(Remark(Outcome.IMPRECISE, f"{words} rests on very little, and its interval is too narrow"))
        if isinstance(term, Walk):
            continue
        known = 1.0 - float(variances[b_at].mean())
        free = not any(k in marginal.held for k in range(at.start, at.stop))
        if 0.0 <= known < 0.5 and free and not part.by_quadrature:
            words = f"Single groups say little about themselves in ({term.text}) of {p.name}"
            found.append(
                Remark(
                    Outcome.IMPRECISE,
                    f"{words} (the data remove {100 * known:.0f} % of a group's variance): Laplace's approximation "
                    "tends to make such a standard deviation too small",
                )
            )
    found.append(_of_approximation(part))
    return found


def _of_edge(parameter: str, term, kind: str, label: str, value: float) -> list[Remark]:
    shown = f"({label})" if "|" in label else label
    if kind == "sd":
        among = f"among the {len(term.levels)} groups of {term.group!r} beyond the rest of the model"
        if isinstance(term, Walk):
            among = f"along {term.by[0]} beyond the rest of the model"
        if isinstance(term, Smooth):
            among = f"along {label} that {term.k} basis functions along an axis can follow"
        words = f"{parameter} {among}: the standard deviation of {shown} is estimated as 0"
        if isinstance(term, Walk):
            words += ", and intervals of changes take it as known (those of sample() do not)"
        return [Remark(Outcome.NO_VARIATION, words)]
    if kind == "correlation" and value:
        return [
            Remark(Outcome.BOUNDARY, f"The correlation of {shown} in {parameter} (estimated as {np.sign(value):+g})")
        ]
    if kind == "length" and np.isinf(value):
        low, high = (length * term.half for length in term.lengths)
        if value < 0:
            words = f"{label} of {parameter} is as rough as {term.k} basis functions along an axis can be"
            return [Remark(Outcome.IMPRECISE, f"{words} (length {low:.3g}): use a larger k")]
        words = f"{label} of {parameter} is as smooth as can be (length at its upper limit, {high:.3g})"
        return [Remark(Outcome.IMPRECISE, f"{words}: a straight line or a parabola may do as well")]
    return []


def _of_approximation(part: RandomPart) -> Remark:
    error = part.laplace_error
    if part.by_quadrature:
        words = "Random effects are integrated out by quadrature"
        return Remark(Outcome.IMPRECISE, f"{words} (Laplace's approximation would be {error:+.2g} away)")
    words = "Random effects are integrated out by Laplace's approximation"
    if part.mode.least() < DOUBTFUL:
        words = (
            "Laplace's approximation does not hold here, because the data of some groups have several explanations: "
            "use fewer random terms, or a single one, which is integrated out by quadrature"
        )
        return Remark(Outcome.NOT_CONVERGED, words)
    if np.isfinite(error):
        words += f", whose log-likelihood is {error:+.2g} from the exact one"
    return Remark(Outcome.IMPRECISE, words)
