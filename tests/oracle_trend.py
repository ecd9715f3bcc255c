"""Trends, slow and obvious: plain covariance matrices, integrals by brute force, one site after another."""

import numpy as np


def process_covariance(name: str, years) -> np.ndarray:
    """Covariance of the process with unit variance, by adding up steps of 1/200 year."""
    t = np.asarray(years, float) - years[0]
    steps = np.arange(0.0, t[-1] + 1e-9, 1 / 200)
    if name == "log-linear":
        return np.eye(len(t))
    walk = lambda s: (steps < s - 1e-9).astype(float)  # noqa: E731  increments that have happened by time s
    if name == "state-space":
        paths = np.array([walk(s) for s in t])
    else:  # the integral of a random walk: an increment at time r has grown to (s - r) by time s
        paths = np.array([walk(s) * (s - steps - 1 / 400) for s in t])
    return paths @ paths.T / 200


def restricted_loglik(name: str, sigma: float, years, y, V) -> float:
    """Density of the error contrasts K'y, K an orthonormal basis of what is orthogonal to [1, t]; as |X'X| is one."""
    from scipy.linalg import null_space
    from scipy.stats import multivariate_normal

    X = np.column_stack([np.ones(len(y)), np.asarray(years, float) - years[0]])
    K = null_space(X.T)
    S = sigma**2 * process_covariance(name, years) + V
    plain = multivariate_normal(np.zeros(K.shape[1]), K.T @ S @ K).logpdf(K.T @ y)
    return float(plain - 0.5 * np.linalg.slogdet(X.T @ X)[1])


def conditional(name: str, sigma: float, years, y, V):
    """Mean and covariance of the true log numbers given the data: Gaussian conditioning, with a very vague line."""
    X = np.column_stack([np.ones(len(y)), np.asarray(years, float) - years[0]])
    prior = sigma**2 * process_covariance(name, years) + X @ X.T * 1e6
    inverse = np.linalg.inv(prior + V)
    return prior @ inverse @ y, V - V @ inverse @ V


def gee(counts: np.ndarray, B: np.ndarray, rho: float, steps: int = 200):
    """a [I] and b [q] that solve D' V⁻¹ (f - mu) = 0 with all sites in one system (no profiling)."""
    n = len(counts)
    seen = np.isfinite(counts)
    beta = np.concatenate([np.log(np.nanmean(counts, axis=1)), np.zeros(B.shape[1])])
    for _ in range(steps):
        H, g = np.zeros((len(beta),) * 2), np.zeros(len(beta))
        for i in range(n):
            at = np.flatnonzero(seen[i])
            X = np.zeros((len(at), len(beta)))
            X[:, i], X[:, n:] = 1.0, B[at]
            mu = np.exp(X @ beta)
            R = rho ** np.abs(np.subtract.outer(at, at)) if rho else np.eye(len(at))
            W = np.linalg.inv(np.sqrt(np.outer(mu, mu)) * R)
            D = mu[:, None] * X
            H += D.T @ W @ D
            g += D.T @ W @ (counts[i, at] - mu)
        step = np.linalg.solve(H, g)
        beta = beta + step
        if np.abs(step).max() < 1e-12:
            break
    return beta[:n], beta[n:], np.linalg.inv(H)
