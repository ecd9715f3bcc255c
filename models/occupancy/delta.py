"""Uncertainty of what follows from the coefficients: the delta method, and intervals between two bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.special import expit, logit

from ..derived import LEVEL, Estimate, log_normal, log_normal_above, z_of
from ..inference.profile import profile_intervals

STEP = 1e-5  # of the central differences, in units in which coefficients are alike


def jacobian(fit, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Derivatives [m, p] of function(vector) [m] at the estimates."""
    T = fit.model.scaling(fit.vector)
    columns = []
    for direction in T.T:
        ahead, behind = (np.atleast_1d(function(fit.vector + side * STEP * direction)) for side in (1.0, -1.0))
        columns.append((ahead - behind) / (2.0 * STEP))
    if not columns:
        return np.zeros((len(np.atleast_1d(function(fit.vector))), 0))
    return np.array(columns).T @ np.linalg.inv(T)


def covariance(fit, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Covariance [m, m] of function(vector); NaN where coefficients that the data do not determine move it.

    A coefficient at a boundary that hardly moves it takes no part, see `Covariance.along`.
    """
    J = jacobian(fit, function)
    if fit.determined is not None:
        return fit.covariance_of(J)
    used = np.any(J != 0.0, axis=0)
    J, V = J[:, used], fit.covariance[np.ix_(used, used)]
    return J @ V @ J.T


def at_bound_by_estimate(fit, function: Callable[[np.ndarray], float], bounds: tuple[float, float]) -> bool:
    """Whether coefficients that the data do not determine have carried a function to a bound, where its slope is 0.

    A function that has this value at other coefficients too is there because of the data, or was fixed.
    """
    value = float(function(fit.vector))
    near = 1e-12 * (bounds[1] - bounds[0])
    if fit.determined is None or not fit.determined.directions.shape[1] or min(abs(value - b) for b in bounds) > near:
        return False
    return abs(float(function(np.zeros_like(fit.vector))) - value) > near


def between(quantity, unit, scope, estimate, se, least=0.0, most=1.0, level: float = LEVEL) -> Estimate:
    """An estimate that must lie between two bounds: interval on the logit of its place between them."""
    name = f"{100 * level:g}% logit" + ("" if (least, most) == (0.0, 1.0) else f", {least:.6g} to {most:.6g}")
    place, width = (estimate - least) / (most - least) if most > least else 1.0, most - least
    with np.errstate(divide="ignore", invalid="ignore"):
        half = z_of(level) * se / (width * place * (1.0 - place)) if 0.0 < place < 1.0 else np.nan
        lower, upper = expit(logit(place) - half), expit(logit(place) + half)
    if se == 0.0:
        lower = upper = place
    ends = (float(least + width * lower), float(least + width * upper))
    return Estimate(quantity, unit, scope, float(estimate), float(se), *ends, name)


def proportion(fit, quantity: str, scope: str, function: Callable[[np.ndarray], float]) -> Estimate:
    """A probability that is a function of the coefficients."""
    nowhere = at_bound_by_estimate(fit, function, (0.0, 1.0))
    se = np.nan if nowhere else float(np.sqrt(covariance(fit, function)[0, 0]))
    return between(quantity, "probability", scope, float(function(fit.vector)), se)


def mean_of(fit, quantity: str, scope: str, name: str, interval: str = "wald") -> Estimate:
    """The mean of a parameter over its rows; with interval="profile" profile limits, where it is one number."""
    parameter = fit.model.parameters[name]
    mean = lambda v: fit.model.parameters.values(v)[name].mean()  # noqa: E731
    if parameter.link.name == "log":
        se = float(np.sqrt(covariance(fit, mean)[0, 0]))
        estimate = log_normal(quantity, parameter.unit, scope, float(mean(fit.vector)), se)
    else:
        estimate = proportion(fit, quantity, scope, mean)
    if interval == "wald" or parameter.design is None or not parameter.design.constant:
        return estimate
    limits = profile_intervals(fit, (name,)).iloc[0]
    ends = {"lower": float(limits["lower"]), "upper": float(limits["upper"])}
    return replace(estimate, interval=f"{100 * LEVEL:g}% profile", **ends)


def numbers_here(history, scope: str, least: float, total: float, se: float) -> list[Estimate]:
    """The animals at these very sites, of which `least` were counted, and their density where the area is known."""
    rows = [log_normal_above("abundance", "animals", scope, least, total, se)]
    if history.area is not None:
        k = 100.0 / float(history.area.sum())
        rows.append(log_normal_above("density", "animals per 100 km²", scope, k * least, k * total, k * se))
    return rows


def realised(fit, quantity, unit, scope, weight: np.ndarray, posterior: Callable[[np.ndarray], np.ndarray]) -> Estimate:
    """Σ weight · z over these very sites, z known where found: variance of z given the data plus that of the estimates.

    Parameters
    ----------
    weight : [N], e.g. km² of each site
    posterior : vector ↦ P(z = 1 | data) [N]
    """
    z = posterior(fit.vector)
    here = lambda v: float(weight @ posterior(v))  # noqa: E731
    nowhere = at_bound_by_estimate(fit, here, (0.0, float(weight @ np.ones(len(weight)))))
    of_estimates = np.nan if nowhere else covariance(fit, here)[0, 0]
    se = float(np.sqrt(np.sum(weight**2 * z * (1.0 - z)) + of_estimates))
    certain = float(np.sum(weight[z == 1.0]))
    return between(quantity, unit, scope, float(weight @ z), se, certain, float(weight.sum()))
