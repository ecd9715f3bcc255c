"""How log numbers move from year to year: the process, apart from what sampling adds.

The true log numbers are x = X b + u with X = [1, year] and u Gaussian:

- "state-space": a random walk with drift, log N[t+1] = log N[t] + r + process error (Dennis, Munholland & Scott 1991,
  Ecol. Monogr. 61:115; Humbert et al. 2009, Oikos 118:1940)
- "log-linear": a line with independent effects of years (Link & Sauer 2002, Ecology 83:2832)
- "smooth": an integrated random walk, whose mean is a cubic smoothing spline (Wahba 1978, J. R. Stat. Soc. B 40:364)
- "gls": the line itself, no process error

A process is written as states in discrete time, so that the likelihood of any of them is one pass of the Kalman
filter, whatever the gaps between years.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

METHODS = ("state-space", "log-linear", "smooth", "gls")


@dataclass(frozen=True)
class Process:
    """A Gaussian process with unit variance on the years; the first state is fixed at 0 unless it is white noise."""

    name: str

    @property
    def size(self) -> int:
        """States."""
        return {"state-space": 1, "log-linear": 1, "smooth": 2, "gls": 0}[self.name]

    def step(self, dt: float) -> tuple[np.ndarray, np.ndarray]:
        """Transition [k, k] over dt years and the covariance [k, k] that it adds."""
        if self.name == "state-space":
            return np.eye(1), np.array([[dt]])
        if self.name == "log-linear":
            return np.zeros((1, 1)), np.eye(1)
        if self.name == "smooth":
            return np.array([[1.0, dt], [0.0, 1.0]]), np.array([[dt**3 / 3.0, dt**2 / 2.0], [dt**2 / 2.0, dt]])
        return np.zeros((0, 0)), np.zeros((0, 0))

    @property
    def first(self) -> np.ndarray:
        """Covariance [k, k] of the states in the first year."""
        return np.eye(1) if self.name == "log-linear" else np.zeros((self.size, self.size))

    def covariance(self, years: np.ndarray) -> np.ndarray:
        """float [T, T]: covariance of u."""
        t = years - years[0]
        low, high = np.minimum.outer(t, t), np.maximum.outer(t, t)
        if self.name == "state-space":
            return low
        if self.name == "log-linear":
            return np.eye(len(t))
        return low**2 * (3.0 * high - low) / 6.0 if self.name == "smooth" else np.zeros((len(t), len(t)))


def design(years: np.ndarray) -> np.ndarray:
    """X [T, 2]: one, and years from the first."""
    return np.column_stack([np.ones(len(years)), years - years[0]])


def whiten(process: Process, sigma: np.ndarray, years: np.ndarray, V: np.ndarray, columns: np.ndarray):
    """Innovations of a state-space model over their standard deviations, and the logarithm of the determinant.

    The errors of the estimates go together, V = d I + A A' (d the smallest eigenvalue): the columns of A are the
    loadings of states that never change, so that the filter is exact for any V. With S = sigma² cov(u) + V the result
    is L⁻¹ `columns` with L L' = S, and log |S| (de Jong 1991, Ann. Stat. 19:1073: the filter run on the regressors as
    on the data gives the exact diffuse likelihood).

    Parameters
    ----------
    sigma : float [K]: values of the standard deviation of the process, filtered side by side
    columns : float [T, c]: the data and the regressors

    Returns
    -------
    float [K, T, c], float [K]
    """
    value, vectors = np.linalg.eigh(V)
    d = max(float(value[0]), 0.0)
    A = vectors * np.sqrt(np.maximum(value - d, 0.0))
    n, k, T, variance = len(sigma), process.size, len(years), sigma[:, None, None] ** 2
    P = np.zeros((n, k + T, k + T))
    P[:, :k, :k], P[:, k:, k:] = variance * process.first, np.eye(T)
    state, out, log_det = np.zeros((n, k + T, columns.shape[1])), np.empty((n, *columns.shape)), np.zeros(n)
    for t in range(T):
        if t:
            F, Q = process.step(years[t] - years[t - 1])
            state[:, :k] = F @ state[:, :k]
            P[:, :k] = F @ P[:, :k]
            P[:, :, :k] = P[:, :, :k] @ F.T
            P[:, :k, :k] += variance * Q
        h = np.concatenate([np.eye(1, k)[0] if k else np.empty(0), A[t]])
        gain = P @ h
        scatter = gain @ h + d
        innovation = columns[t] - h @ state
        out[:, t] = innovation / np.sqrt(scatter)[:, None]
        log_det += np.log(scatter)
        part = gain / scatter[:, None]
        state = state + part[:, :, None] * innovation[:, None, :]
        P = P - part[:, :, None] * gain[:, None, :]
    return out, log_det


def restricted_loglik(process: Process, sigma: np.ndarray, years: np.ndarray, y: np.ndarray, V: np.ndarray):
    """Log-likelihood [K] of T - 2 error contrasts (restricted maximum likelihood; Patterson & Thompson 1971)."""
    X = design(years)
    white, log_det = whiten(process, np.atleast_1d(sigma), years, V, np.column_stack([y, X]))
    Q, R = np.linalg.qr(white[:, :, 1:])
    data = white[:, :, :1]
    rest = (data - Q @ (np.swapaxes(Q, 1, 2) @ data))[:, :, 0]
    free = len(y) - X.shape[1]
    log_det = log_det + 2.0 * np.sum(np.log(np.abs(np.diagonal(R, axis1=1, axis2=2))), axis=1)
    return -0.5 * (log_det + np.sum(rest**2, axis=1) + free * np.log(2.0 * np.pi))


def trajectory(process: Process, sigma: float, years: np.ndarray, y: np.ndarray, V: np.ndarray):
    """What is known of x and b at a given sigma: mean [T + 1] and covariance [T + 1, T + 1], b's slope last.

    x = X b + u given y, with a flat prior on b (best linear unbiased prediction; Robinson 1991, Stat. Sci. 6:15).
    """
    X, S = design(years), sigma**2 * process.covariance(years)
    inverse = np.linalg.inv(S + V)
    C = np.linalg.inv(X.T @ inverse @ X)
    b = C @ X.T @ inverse @ y
    K = S @ inverse
    mean = X @ b + K @ (y - X @ b)
    away = np.vstack([X - K @ X, [[0.0, 1.0]]])  # rows: x and the slope, as they move with b
    covariance = away @ C @ away.T
    covariance[:-1, :-1] += S - K @ S
    return np.append(mean, b[1]), 0.5 * (covariance + covariance.T)
