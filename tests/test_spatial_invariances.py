"""What must not change the spatial likelihood: order, units, how effort is written down, where the origin is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from spatial_problems import parameters, problem

from uncia.models.detection import DETECTION_FUNCTIONS
from uncia.models.spatial.engine.likelihood import SpatialLikelihood

CASES = st.tuples(
    st.sampled_from(["count", "binary", "multi", "mixed"]),
    st.sampled_from(["hazard half-normal", "half-normal", "hazard exponential", "hazard rate", "annular normal"]),
    st.integers(0, 1000),
)
few = settings(max_examples=25, deadline=None)


def both(p, rows, log_mu):
    """Everything the engine says about a problem, for comparison."""
    likelihood = SpatialLikelihood(p, threads=1)
    at = likelihood.evaluate(log_mu, rows)
    d_log_mu, d_rows = likelihood.pullback(at, np.linspace(1.0, 2.0, p.n_animals), -1.0)
    return at.log_a, at.detected, d_log_mu, d_rows


def density(p, seed):
    return np.random.default_rng(seed).normal(-4.0, 0.5, p.raster.size)


def assert_same(first, second, order=slice(None)):
    log_a, detected, d_log_mu, d_rows = first
    np.testing.assert_allclose(second[0], log_a[order], rtol=1e-12, atol=1e-11)
    np.testing.assert_allclose(second[1], detected, rtol=1e-11)
    np.testing.assert_allclose(second[2], d_log_mu, rtol=0, atol=1e-10 * np.abs(d_log_mu).max())
    np.testing.assert_allclose(second[3], d_rows, rtol=1e-9, atol=1e-9 * np.abs(d_rows).max())


@given(CASES)
@few
def test_order_of_detectors(case):
    kind, detection, seed = case
    p = problem(kind, detection, seed=seed)
    order = np.random.default_rng(seed).permutation(len(p.pass_x))
    place = np.argsort(order)
    shuffled = replace(
        p,
        pass_x=p.pass_x[order],
        pass_y=p.pass_y[order],
        pass_row=p.pass_row[order],
        entry_pass=place[p.entry_pass],
        event_pass=place[p.event_pass],
    )
    log_mu, rows = density(p, seed), parameters(detection)
    assert_same(both(p, rows, log_mu), both(shuffled, rows, log_mu))


@given(CASES)
@few
def test_order_of_animals(case):
    kind, detection, seed = case
    p = problem(kind, detection, seed=seed)
    back = np.arange(p.n_animals)[::-1]
    events = np.concatenate([np.arange(p.event_start[i], p.event_start[i + 1]) for i in back])
    shuffled = replace(
        p,
        weight=p.weight[back],
        event_start=np.r_[0, np.cumsum(np.diff(p.event_start)[back])],
        **{
            name: getattr(p, name)[events]
            for name in ("event_pass", "event_kind", "event_count", "event_exposure", "event_field")
        },
    )
    log_mu, rows = density(p, seed), parameters(detection)
    one, two = SpatialLikelihood(p, threads=1), SpatialLikelihood(shuffled, threads=1)
    first, second = one.evaluate(log_mu, rows), two.evaluate(log_mu, rows)
    np.testing.assert_allclose(second.log_a, first.log_a[back], rtol=1e-12, atol=1e-11)
    weights = np.linspace(1.0, 2.0, p.n_animals)
    np.testing.assert_allclose(
        two.pullback(second, weights[back], -1.0)[1], one.pullback(first, weights, -1.0)[1], rtol=1e-9, atol=1e-9
    )


@given(CASES)
@few
def test_effort_is_additive(case):
    """A detector with exposure 2 is the same as two entries (or passes) with exposure 1 at the same place."""
    kind, detection, seed = case
    p = problem(kind, detection, seed=seed)
    # an animal's trials must lie within what their own pass offers, so only other kinds get a second pass
    copies = 1 if kind in ("binary", "mixed") else 2
    field = np.tile(p.entry_field, 2)
    order = np.argsort(field, kind="stable")
    second = len(p.pass_x) * (copies - 1)
    split = replace(
        p,
        pass_x=np.tile(p.pass_x, copies),
        pass_y=np.tile(p.pass_y, copies),
        pass_row=np.tile(p.pass_row, copies),
        entry_field=field[order],
        entry_pass=np.concatenate([p.entry_pass, p.entry_pass + second])[order],
        entry_exposure=np.tile(p.entry_exposure / 2, 2)[order],
    )
    log_mu, rows = density(p, seed), parameters(detection)
    assert_same(both(p, rows, log_mu), both(split, rows, log_mu))


@given(CASES, st.floats(0.01, 100.0))
@few
def test_unit_of_length(case, unit):
    kind, detection, seed = case
    p = problem(kind, detection, seed=seed)
    raster = replace(p.raster, x0=p.raster.x0 * unit, y0=p.raster.y0 * unit, spacing=p.raster.spacing * unit)
    scaled = replace(p, raster=raster, pass_x=p.pass_x * unit, pass_y=p.pass_y * unit)
    lengths = np.array([1.0, unit, unit if "annular" in detection else 1.0])
    log_mu, rows = density(p, seed), parameters(detection)
    log_a, detected, d_log_mu, d_rows = both(p, rows, log_mu)
    other = both(scaled, rows * lengths, log_mu)
    # coordinates of four million metres carry 1e-9 of a cell into the distances
    np.testing.assert_allclose(other[0], log_a, rtol=1e-8, atol=1e-7)
    np.testing.assert_allclose(other[1], detected, rtol=1e-7)
    np.testing.assert_allclose(other[3] * lengths, d_rows, rtol=1e-6, atol=1e-6 * np.abs(d_rows).max())
    assert other[2].shape == d_log_mu.shape


@given(CASES)
@few
def test_cells_that_cannot_hold_animals_are_like_no_cells(case):
    """Habitat with log_mu = -inf gives the same answer as no habitat there."""
    kind, detection, seed = case
    p = problem(kind, detection, seed=seed)
    log_mu, rows = density(p, seed), parameters(detection)
    holes = np.random.default_rng(seed).uniform(size=p.raster.size) < 0.3
    habitat = p.raster.habitat.copy()
    habitat[habitat] = ~holes
    cut = replace(p, raster=replace(p.raster, habitat=habitat))
    log_a, detected, d_log_mu, d_rows = both(p, rows, np.where(holes, -np.inf, log_mu))
    other = both(cut, rows, log_mu[~holes])
    assert_same((log_a, detected, d_log_mu[~holes], d_rows), other)
    assert not d_log_mu[holes].any()


def test_every_detection_function_has_a_shape():
    from uncia.models.spatial.engine.shapes import SHAPES

    assert SHAPES.keys() == DETECTION_FUNCTIONS.keys()
