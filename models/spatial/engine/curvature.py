"""Exact second derivatives of the integrals along given directions, block by block.

With s_i(m) the derivative of log(mu_m f_i(m)) along the directions and E_i the posterior of animal i's cell,

    ∂ log_a_i = E_i[s_i]          ∂² log_a_i = E_i[∂²log f_i + s_i s_i'] − E_i[s_i] E_i[s_i]'   (Louis 1982)

so one more sweep over the blocks gives everything; its inner steps are matrix products.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .blockwise import Adjoints, BlockModel, Passes, Step, Windows, adjoints, over_passes


class Curvature(NamedTuple):
    """Derivatives along P directions."""

    log_a: np.ndarray  # float [n, P], ∂ log_a
    detected: np.ndarray  # float [P], ∂ detected
    second: np.ndarray  # float [P, P], Σ_i d_log_a_i ∂²log_a_i + d_detected ∂²detected


def total_curvature(
    model: BlockModel,
    over_blocks,
    passes: Passes,
    windows: Windows,
    log_mu: np.ndarray,
    log_a: np.ndarray,
    d_log_a: np.ndarray,
    d_detected: float,
    along_mu: np.ndarray,
    along: np.ndarray,
) -> Curvature:
    """Sums the curvature over all blocks.

    log_mu [M], along_mu [M, P] in block order; along [G, 3, P]: change of (log scale, log σ, third) of each pass.
    """
    known = np.where(np.isneginf(log_a), np.inf, log_a)
    n, size = log_a.size, along_mu.shape[1]

    def work(block):
        detected, second, parts = np.zeros(size), np.zeros((size, size)), []
        for step in model.steps(passes, windows, block, 2):
            over = adjoints(model, step, log_mu, known, d_log_a, d_detected)
            mean, by_detected, by_second = _step(model, step, over, log_mu, known, d_log_a, d_detected, along_mu, along)
            parts.append((step.animals, mean))
            detected += by_detected
            second += by_second
        return parts, detected, second

    first, detected, second = np.zeros((n, size)), np.zeros(size), np.zeros((size, size))
    for parts, block_detected, block_second in over_blocks(work):
        for animals, mean in parts:
            first[animals] += mean
        detected += block_detected
        second += block_second
    second -= (first * d_log_a[:, None]).T @ first
    return Curvature(first, detected, second)


def _step(model, step: Step, over: Adjoints, log_mu, log_a, d_log_a, d_detected, along_mu, along):
    """(Σ_m posterior s [A, P], ∂ detected [P], second derivatives [P, P] but for the products of means)."""
    mu_by = along_mu[step.low : step.high].T
    shape_by, h_by = _hazard_directions(step, along[step.passes])
    fields_by = np.einsum("kf,pkm->pfm", model.exposure[step.passes], h_by * step.h, optimize=True)
    void_by = np.einsum("f,pfm->pm", model.void_weight, fields_by)
    mu = np.exp(log_mu[step.low : step.high])
    escape = mu * np.exp(-step.void)
    caught = mu - escape
    detected = mu_by @ (mu * -np.expm1(-step.void)) + void_by @ escape
    second = _second_of_hazards(step, over.log_h, along[step.passes], shape_by)
    # ∂²h = h (∂²log h + ∂log h ∂log h'): the second part, for the fields
    second += _quadratic(h_by, over.h * step.h)
    second += d_detected * (_quadratic(mu_by, caught) - _quadratic(void_by, escape))
    cross = (mu_by * escape) @ void_by.T
    second += d_detected * (cross + cross.T)
    if not step.animals.size:
        return np.zeros((0, len(mu_by))), detected, second
    score = np.tensordot(h_by, step.linear, axes=(1, 1)).swapaxes(1, 2)
    if model.weight is None:
        score -= void_by[:, None]
    else:
        score -= np.einsum("af,pfm->pam", model.weight[step.animals], fields_by, optimize=True)
    score += mu_by[:, None]
    if step.trials is not None:
        trial_by = h_by[:, step.trial_pass]
        score += np.einsum("at,ptm->pam", step.trials, trial_by * step.trial_phi[1], optimize=True)
        second += _quadratic(trial_by, over.trials * (step.trial_phi[2]))
    if model.encounters.caught is not None:
        weight = model.encounters.caught[step.animals]
        score += np.einsum("af,pfm->pam", weight, fields_by * step.field_phi[1], optimize=True)
        second += _quadratic(fields_by, (weight.T @ over.q) * step.field_phi[2])
    if step.own is not None:
        second += _own_exposure(model.encounters.own, step, over, h_by, fields_by, score)
    second += _quadratic(score, over.q)
    posterior = np.exp(step.log_f + (log_mu[step.low : step.high] - log_a[step.animals, None]))
    return np.einsum("am,pam->ap", posterior, score), detected, second


def _own_exposure(own, step: Step, over: Adjoints, h_by, fields_by, score) -> np.ndarray:
    """What personal exposure adds to the score [P, A, B], in place, and to the second derivatives [P, P]."""
    own_by = fields_by[:, step.own.base]
    for p, by in enumerate(h_by):
        moved = by * step.h
        own.exposure.add_to(score[p], step.animals, step.place, moved, -1.0)
        own.field.add_to(own_by[p], step.own.captures, step.place, moved)
        own.caught.add_to(score[p], step.animals, step.own.place, own_by[p] * step.own.phi[1])
    return _quadratic(own_by, over.caught * step.own.phi[2])


def _hazard_directions(step: Step, along: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives [P, K, B] of log relative-times-scale (log λ or log g) and of log h along the directions."""
    shape_by = along[:, 0].T[:, :, None] + np.einsum("dkm,kdp->pkm", step.shape_first, along[:, 1:], optimize=True)
    return shape_by, shape_by if step.link_first is None else shape_by * step.link_first


def _second_of_hazards(step: Step, over_log_h, along, shape_by) -> np.ndarray:
    """Σ over_log_h ∂²log h [P, P]."""
    bar = over_log_h if step.link_first is None else over_log_h * step.link_first
    moments = np.einsum("km,dkm->kd", bar, step.shape_second)
    log_sigma, third = along[:, 1], along[:, 2]
    cross = (log_sigma * moments[:, 1:2]).T @ third
    second = (log_sigma * moments[:, :1]).T @ log_sigma + (third * moments[:, 2:]).T @ third + cross + cross.T
    # the directions are straight in the natural parameters, so their logarithms bend: ∂²log x = −(∂log x)²
    slope = over_passes(step, over_log_h)
    for column in range(2):
        second -= (along[:, column] * slope[:, column, None]).T @ along[:, column]
    if step.link_second is not None:
        second += _quadratic(shape_by, over_log_h * step.link_second)
    return second


def _quadratic(by: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Σ weight · by by' [P, P] for by [P, ...] and weight [...]."""
    flat = by.reshape(len(by), -1)
    return (flat * weight.reshape(-1)) @ flat.T
