"""Exposure that only single animals have: the engine equals its dense twin, gradient and curvature included."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import oracle
import pytest
from spatial_problems import parameters, problem
from test_spatial_engine import draw, oracle_row_gradient

from uncia.models.spatial.engine.likelihood import SpatialLikelihood
from uncia.models.spatial.engine.problem import MULTI, Personal, SpatialProblem


def learned(kind: str, detection: str, **how) -> SpatialProblem:
    """Every second animal has exchanged a part of its exposure to some pass for more of one with a row of its own."""
    p = problem(kind, detection, n_rows=2, **how)
    n, G = p.n_animals, len(p.pass_x)
    p = replace(
        p,
        pass_x=np.tile(p.pass_x, 2),
        pass_y=np.tile(p.pass_y, 2),
        pass_row=np.concatenate([p.pass_row, np.full(G, 2)]),
        n_rows=3,
    )
    animal = np.repeat(np.arange(n), np.diff(p.event_start))
    everywhere = np.flatnonzero(np.bincount(p.entry_pass, minlength=G) == p.n_fields)
    place = [_nearest(p, np.setdiff1d(everywhere, p.event_pass[animal == i]), p.event_start[i]) for i in range(n)]
    entries = [(i, g, x) for i in range(0, n, 2) for g, x in _exchange(place[i], G)]
    captures = np.flatnonzero((p.event_kind == MULTI) & (animal % 2 == 0))
    parts = [_exchange(place[animal[e]], G) for e in captures]
    flat = [entry for part in parts for entry in part]
    personal = Personal(
        start=np.searchsorted([e[0] for e in entries], np.arange(n + 1)),
        passes=np.array([e[1] for e in entries]),
        exposure=np.array([e[2] for e in entries]),
        event=captures,
        event_start=np.cumsum([0, *map(len, parts)]),
        event_pass=np.array([e[0] for e in flat], int),
        event_exposure=np.array([e[1] for e in flat], float),
    )
    return replace(p, personal=personal)


def _nearest(p: SpatialProblem, passes: np.ndarray, event: int) -> int:
    at = p.event_pass[event]
    return passes[np.argmin(np.hypot(p.pass_x[passes] - p.pass_x[at], p.pass_y[passes] - p.pass_y[at]))]


def _exchange(g: int, G: int) -> list[tuple[int, float]]:
    return [(g, -0.25), (g + G, 0.75)]


@pytest.mark.parametrize("detection", ["half-normal", "hazard half-normal", "exponential"])
@pytest.mark.parametrize("kind", ["count", "binary", "multi", "mixed"])
def test_value_and_gradient_equal_the_dense_twin(kind, detection):
    p = learned(kind, detection, lost=kind == "multi")
    rows = parameters(detection, 3)
    log_mu, d_log_a, d_detected = draw(p)
    likelihood = SpatialLikelihood(p, threads=1)
    at = likelihood.evaluate(log_mu, rows)
    log_a, detected = oracle.spatial(p, log_mu, rows)
    np.testing.assert_allclose(at.log_a, log_a, rtol=0, atol=1e-12)
    assert at.detected == pytest.approx(detected, rel=1e-13)
    assert not np.allclose(at.log_a, oracle.spatial(replace(p, personal=None), log_mu, rows)[0], atol=1e-3)

    d_log_mu, d_rows = likelihood.pullback(at, d_log_a, d_detected)
    void = p.void_weight @ oracle.fields(p, np.exp(oracle.log_hazards(p, rows)))
    posterior = np.exp(oracle.log_histories(p, rows) + log_mu - log_a[:, None])
    expected = d_log_a @ posterior + d_detected * np.exp(log_mu) * -np.expm1(-void)
    np.testing.assert_allclose(d_log_mu, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    expected = oracle_row_gradient(p, log_mu, rows, d_log_a, d_detected)
    scale = np.abs(expected).max(axis=0) + (expected == 0).all(axis=0)
    np.testing.assert_allclose(d_rows / scale, expected / scale, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", ["binary", "multi"])
def test_curvature_equals_differences_of_the_gradient(kind):
    p = learned(kind, "half-normal", shape=(25, 28))
    rows = parameters("half-normal", 3)
    log_mu, d_log_a, d_detected = draw(p)
    along_mu = np.zeros((p.raster.size, 4))
    along_mu[:, 0] = np.random.default_rng(4).normal(size=p.raster.size)
    along_rows = np.zeros((3, 3, 4))
    along_rows[0, 0, 1], along_rows[2, 0, 2], along_rows[:, 1, 3] = 0.05, 0.08, 70.0
    likelihood = SpatialLikelihood(p, threads=1)
    found = likelihood.curvature(likelihood.evaluate(log_mu, rows), d_log_a, d_detected, along_mu, along_rows)

    def gradient(a, step):
        at = likelihood.evaluate(log_mu + step * along_mu[:, a], rows + step * along_rows[:, :, a])
        d_log_mu, d_rows = likelihood.pullback(at, d_log_a, d_detected)
        return at.log_a, along_mu.T @ d_log_mu + np.einsum("rc,rcp->p", d_rows, along_rows)

    for a in range(4):
        (up, over), (down, under) = gradient(a, 1e-5), gradient(a, -1e-5)
        np.testing.assert_allclose(found.log_a[:, a], (up - down) / 2e-5, rtol=1e-7, atol=1e-7)
        expected = (over - under) / 2e-5
        np.testing.assert_allclose(found.second[a], expected, rtol=0, atol=1e-7 * np.abs(found.second).max())


def test_a_personal_field_of_nothing_is_the_shared_field():
    p = learned("multi", "half-normal")
    own = p.personal
    nothing = replace(own, exposure=0.0 * own.exposure, event_exposure=0.0 * own.event_exposure)
    log_mu, _, _ = draw(p)
    rows = parameters("half-normal", 3)
    values = [SpatialLikelihood(replace(p, personal=x)).evaluate(log_mu, rows).log_a for x in (None, nothing)]
    np.testing.assert_allclose(values[0], values[1], rtol=0, atol=1e-12)
