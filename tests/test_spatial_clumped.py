"""Clumped counts in the engine: equal to a dense twin, gradient included, and to Poisson counts where size is large."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import oracle
import pytest
from scipy.special import gammaln, logsumexp
from spatial_problems import parameters, problem

from uncia.models.spatial.engine.likelihood import SpatialLikelihood
from uncia.models.spatial.engine.problem import CLUMPED, SpatialProblem


def clumped(detection: str, **how) -> SpatialProblem:
    """Two of three detectors have clumped counts, with an effort of 1 or 0.5 on each occasion."""
    p = problem("count", detection, n_rows=2, **how)
    G = len(p.pass_x)
    effort = np.choose(np.arange(G) % 3, [np.nan, 1.0, 0.5])
    mine, events = np.isfinite(effort)[p.entry_pass], np.isfinite(effort)[p.event_pass]
    return replace(
        p,
        pass_effort=effort,
        entry_exposure=np.where(mine, 1.0, p.entry_exposure),
        event_kind=np.where(events, CLUMPED, p.event_kind),
        event_exposure=np.where(events, 1.0, p.event_exposure),
    )


def dense(p: SpatialProblem, log_mu: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, float]:
    """log_a [n] and the expected number detected, by the negative-binomial distribution as it is written in books."""
    assert p.pass_effort is not None
    log_h = oracle.log_hazards(p, rows[:, :3])
    r, effort = rows[p.pass_row, 3], p.pass_effort
    mine = np.isfinite(effort)
    u = np.where(mine, effort, 1.0)[:, None] * np.exp(log_h)
    none = np.where(mine[:, None], r[:, None] * np.log1p(u / r[:, None]), u)  # -log Pr(0)
    field, log_a = oracle.fields(p, none), []
    for i in range(p.n_animals):
        log_f = -(p.weight[i] @ field)
        for e in range(p.event_start[i], p.event_start[i + 1]):
            g, y = p.event_pass[e], p.event_count[e]
            if p.event_kind[e] == CLUMPED:
                q = u[g] / (u[g] + r[g])
                log_f += y * np.log(q) + gammaln(y + r[g]) - gammaln(r[g])
            else:
                log_f += y * (np.log(p.event_exposure[e]) + log_h[g])
        log_a.append(logsumexp(log_f + log_mu))
    return np.array(log_a), float(np.exp(log_mu) @ -np.expm1(-(p.void_weight @ field)))


def draw(p: SpatialProblem) -> tuple[np.ndarray, np.ndarray]:
    """log_mu with an empty cell, and derivatives by log_a."""
    rng = np.random.default_rng(3)
    log_mu = rng.normal(-4.0, 0.5, p.raster.size)
    log_mu[5] = -np.inf
    return log_mu, rng.uniform(0.5, 1.5, p.n_animals)


@pytest.mark.parametrize("detection", ["hazard half-normal", "half-normal", "hazard rate"])
def test_value_and_gradient_equal_the_dense_twin(detection):
    p = clumped(detection, lost=True)
    rows = np.column_stack([parameters(detection, 2), [0.4, 2.5]])
    log_mu, by_log_a = draw(p)
    engine = SpatialLikelihood(p, 1)
    at, (log_a, detected) = engine.evaluate(log_mu, rows), dense(p, log_mu, rows)
    np.testing.assert_allclose(at.log_a, log_a, rtol=1e-11)
    np.testing.assert_allclose(at.detected, detected, rtol=1e-11)
    assert at.bound < 1e-12

    def objective(rows):
        log_a, detected = dense(p, log_mu, rows)
        return by_log_a @ log_a - 1.7 * detected

    expected = np.zeros_like(rows)
    for place in np.ndindex(*rows.shape):
        step = np.zeros_like(rows)
        step[place] = 1e-5 * rows[place]
        expected[place] = (objective(rows + step) - objective(rows - step)) / (2 * step[place])
    np.testing.assert_allclose(engine.pullback(at, by_log_a, -1.7)[1], expected, rtol=1e-6, atol=1e-6)


def test_the_gradient_by_density_is_that_of_differences():
    p = clumped("hazard exponential")
    rows = np.column_stack([parameters("hazard exponential", 2), [0.4, 2.5]])
    log_mu, by_log_a = draw(p)
    engine, moved = SpatialLikelihood(p, 1), np.eye(len(log_mu))[40] * 1e-3

    def objective(log_mu):
        at = engine.evaluate(log_mu, rows)
        return by_log_a @ at.log_a - 1.7 * at.detected

    d_log_mu, _ = engine.pullback(engine.evaluate(log_mu, rows), by_log_a, -1.7)
    difference = (objective(log_mu + moved) - objective(log_mu - moved)) / 2e-3
    np.testing.assert_allclose(d_log_mu[40], difference, rtol=1e-5)


def test_counts_of_a_large_size_are_poisson_counts():
    p = clumped("hazard half-normal")
    assert p.pass_effort is not None
    mine = np.isfinite(p.pass_effort)
    entries, events = mine[p.entry_pass], mine[p.event_pass]
    poisson = replace(
        p,
        pass_effort=None,
        entry_exposure=np.where(entries, p.pass_effort[p.entry_pass], p.entry_exposure),
        event_kind=np.zeros_like(p.event_kind),
        event_exposure=np.where(events, p.pass_effort[p.event_pass], p.event_exposure),
    )
    rows, (log_mu, _) = parameters("hazard half-normal", 2), draw(p)
    limit = SpatialLikelihood(p, 1).evaluate(log_mu, np.column_stack([rows, [1e9, 1e9]]))
    assert np.isfinite(limit.log_a).all()
    plain = SpatialLikelihood(poisson, 1).evaluate(log_mu, rows)
    np.testing.assert_allclose(limit.detected, plain.detected, rtol=1e-8)
    # what a Poisson count has and a clumped one of size r has in its constants
    np.testing.assert_allclose(limit.log_a, plain.log_a, rtol=1e-6)


def test_a_size_below_zero_is_refused():
    p = clumped("hazard half-normal")
    rows = np.column_stack([parameters("hazard half-normal", 2), [0.4, -1.0]])
    with pytest.raises(ValueError, match="the size of clumped counts must be above zero"):
        SpatialLikelihood(p, 1).evaluate(draw(p)[0], rows)
