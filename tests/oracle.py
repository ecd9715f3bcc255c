"""The slow, obvious twins of the kernels: dense NumPy loops, every pair of everything, nothing truncated.

They are read beside the formulas, not timed. Arguments may be complex, so that tests can differentiate them by the
complex step (Squire & Trapp 1998), which is exact to rounding.
"""

from __future__ import annotations

import numpy as np

from uncia.models.detection import DETECTION_FUNCTIONS
from uncia.models.spatial.problem import BINARY, COUNT, MULTI, SpatialProblem


def hazards(problem: SpatialProblem, rows: np.ndarray) -> np.ndarray:
    """h_g(m) [G, M]: hazard of every pass in every cell per unit of exposure."""
    function = DETECTION_FUNCTIONS[problem.detection]
    x, y = problem.raster.centres()
    h = []
    for px, py, row in zip(problem.pass_x, problem.pass_y, problem.pass_row, strict=True):
        intercept, sigma, z = rows[row]
        value = intercept * function.relative(np.hypot(x - px, y - py), sigma, z)
        h.append(value if function.hazard else -log1p(-value))
    return np.array(h)


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


def log_expm1(u: np.ndarray) -> np.ndarray:
    """log(exp(u) − 1) for small and large u."""
    return u + np.log(-np.expm1(-u))


def log_sum_exp(a: np.ndarray):
    top = a.real.max()
    return top + np.log(np.sum(np.exp(a - top)))


def log_histories(problem: SpatialProblem, rows: np.ndarray) -> np.ndarray:
    """log f_i(m) [n, M], line by line as in models/spatial/problem.py."""
    h = hazards(problem, rows)
    field = fields(problem, h)
    out = []
    with np.errstate(divide="ignore"):
        for i in range(problem.n_animals):
            log_f = np.zeros(h.shape[1], h.dtype)
            for f in range(problem.n_fields):
                log_f -= problem.weight[i, f] * field[f]
            for e in range(problem.event_start[i], problem.event_start[i + 1]):
                u = problem.event_exposure[e] * h[problem.event_pass[e]]
                if problem.event_kind[e] == COUNT:
                    term = np.log(u)
                elif problem.event_kind[e] == BINARY:
                    term = log_expm1(u)
                elif problem.event_kind[e] == MULTI:
                    Λ = field[problem.event_field[e]]
                    term = np.log(u) + log_expm1(Λ) - np.log(Λ)
                log_f += problem.event_count[e] * term
            out.append(log_f)
    return np.array(out).reshape(problem.n_animals, h.shape[1])


def spatial(problem: SpatialProblem, log_mu: np.ndarray, rows: np.ndarray) -> tuple:
    """(log_a [n], detected) of models/spatial/engine.py."""
    log_f = log_histories(problem, rows)
    log_a = np.array([log_sum_exp(log_mu + log_f[i]) for i in range(problem.n_animals)])
    void = problem.void_weight @ fields(problem, hazards(problem, rows))
    return log_a, np.sum(np.exp(log_mu) * -np.expm1(-void))
