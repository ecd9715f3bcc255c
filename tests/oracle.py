"""The slow, obvious twins of the kernels: dense NumPy loops, every pair of everything, nothing truncated.

They are read beside the formulas, not timed. Arguments may be complex, so that tests can differentiate them by the
complex step (Squire & Trapp 1998), which is exact to rounding.
"""

from __future__ import annotations

import numpy as np

from uncia.models.detection import DETECTION_FUNCTIONS
from uncia.models.spatial.engine.problem import BINARY, MULTI, SpatialProblem


def log_relative(detection: str, distance: np.ndarray, sigma, z) -> np.ndarray:
    """log of the shape; written out where the shape itself underflows far from a detector."""
    if detection in ("half-normal", "hazard half-normal"):
        return -(distance**2) / (2 * sigma**2)
    if detection in ("exponential", "hazard exponential"):
        return -distance / sigma
    return np.log(DETECTION_FUNCTIONS[detection].relative(distance, sigma, z))


def log_hazards(problem: SpatialProblem, rows: np.ndarray) -> np.ndarray:
    """log h_g(m) [G, M]: log hazard of every pass in every cell per unit of exposure."""
    x, y = problem.raster.centres()
    log_h = []
    for px, py, row in zip(problem.pass_x, problem.pass_y, problem.pass_row, strict=True):
        intercept, sigma, z = rows[row]
        log_value = np.log(intercept) + log_relative(problem.detection, np.hypot(x - px, y - py), sigma, z)
        if not DETECTION_FUNCTIONS[problem.detection].hazard:
            g = np.exp(log_value)
            tiny = g.real < 1e-17
            log_value = np.where(tiny, log_value, np.log(-log1p(-np.where(tiny, 0.5, g))))
        log_h.append(log_value)
    return np.array(log_h)


def log1p(u: np.ndarray) -> np.ndarray:
    """log(1 + u); NumPy's complex log1p loses small arguments, so the imaginary step is carried to first order."""
    if not np.iscomplexobj(u):
        return np.log1p(u)
    return np.log1p(u.real) + 1j * u.imag / (1 + u.real)


def fields(problem: SpatialProblem, h: np.ndarray) -> np.ndarray:
    """Λ_f(m) [F, M]: summed hazard of every field in every cell."""
    out = np.zeros((problem.n_fields, h.shape[1]), h.dtype)
    for f, g, exposure in zip(problem.entry_field, problem.entry_pass, problem.entry_exposure, strict=True):
        out[f] += exposure * h[g]
    return out


def log_phi(u: np.ndarray) -> np.ndarray:
    """log((exp(u) − 1)/u) for small and large u."""
    tiny = u.real < 1e-9
    safe = np.where(tiny, 1.0, u)
    return np.where(tiny, u / 2, safe + np.log(-np.expm1(-safe)) - np.log(safe))


def log_sum_exp(a: np.ndarray):
    top = a.real.max()
    return top + np.log(np.sum(np.exp(a - top)))


def log_histories(problem: SpatialProblem, rows: np.ndarray) -> np.ndarray:
    """log f_i(m) [n, M], line by line as in models/spatial/engine/problem.py."""
    log_h = log_hazards(problem, rows)
    h = np.exp(log_h)
    field = fields(problem, h)
    own, out = problem.personal, []
    for i in range(problem.n_animals):
        log_f = np.zeros(h.shape[1], h.dtype)
        for f in range(problem.n_fields):
            log_f -= problem.weight[i, f] * field[f]
        if own is not None:
            for c in range(own.start[i], own.start[i + 1]):
                log_f -= own.exposure[c] * h[own.passes[c]]
        for e in range(problem.event_start[i], problem.event_start[i + 1]):
            g, exposure = problem.event_pass[e], problem.event_exposure[e]
            term = np.log(exposure) + log_h[g]
            if problem.event_kind[e] == BINARY:
                term = term + log_phi(exposure * h[g])  # expm1(u) = u φ(u)
            elif problem.event_kind[e] == MULTI:
                competing = field[problem.event_field[e]].copy()
                for p in [] if own is None else np.flatnonzero(own.event == e):
                    for c in range(own.event_start[p], own.event_start[p + 1]):
                        competing += own.event_exposure[c] * h[own.event_pass[c]]
                term = term + log_phi(competing)
            log_f += problem.event_count[e] * term
        out.append(log_f)
    return np.array(out).reshape(problem.n_animals, h.shape[1])


def spatial(problem: SpatialProblem, log_mu: np.ndarray, rows: np.ndarray) -> tuple:
    """(log_a [n], detected) of models/spatial/engine/likelihood.py."""
    log_f = log_histories(problem, rows)
    void = problem.void_weight @ fields(problem, np.exp(log_hazards(problem, rows)))
    log_a = np.array([log_sum_exp(log_mu + log_f[i]) for i in range(problem.n_animals)])
    return log_a, np.sum(np.exp(log_mu) * -np.expm1(-void))
