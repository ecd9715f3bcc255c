"""Exact second derivatives of the integrals along given directions, block by block.

With s_i(m) the derivative of log(mu_m f_i(m)) along the directions and E_i the posterior of animal i's cell,

    ∂ log_a_i = E_i[s_i]          ∂² log_a_i = E_i[∂²log f_i + s_i s_i'] − E_i[s_i] E_i[s_i]'   (Louis 1982)

so one more sweep over the blocks gives everything. Detection and density each move along a few of the directions only,
and scores are worked out for those in which detection does: density moves all animals alike.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .blockwise import Adjoints, BlockModel, Passes, Step, Windows, add_rows, adjoints, posterior


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
    moving, dense = np.flatnonzero(along.any(axis=(0, 1))), np.flatnonzero(along_mu.any(axis=0))
    n, directions, size = log_a.size, along_mu.shape[1], moving.size + dense.size
    along, along_mu = np.ascontiguousarray(along[:, :3, moving]), along_mu[:, dense]

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
    basis = np.zeros((directions, size))
    basis[np.concatenate([moving, dense]), np.arange(size)] = 1.0
    return Curvature(first @ basis.T, basis @ detected, basis @ second @ basis.T)


def _step(model, step: Step, over: Adjoints, log_mu, log_a, d_log_a, d_detected, along_mu, along):
    """(Σ_m posterior s [A, S], ∂ detected [S], second derivatives [S, S] but for the products of means).

    S = the directions in which detection moves, then those in which density does.
    """
    cells, along = slice(step.low, step.high), along[step.passes]
    moves, log_mu, mu_by = along.shape[2], log_mu[cells], along_mu[cells].T
    h_by, fields_by = _hazard_directions(model, step, along)
    void_by = model.void_weight @ fields_by
    escape = np.exp(log_mu - step.void)
    detected = np.concatenate([void_by @ escape, mu_by @ (np.exp(log_mu) * -np.expm1(-step.void))])
    second = np.zeros((detected.size, detected.size))
    own, across = second[:moves, :moves], d_detected * escape * void_by
    own += np.einsum("kip,kij,kjq->pq", along, _of_hazards(step, over), along, optimize=True)
    own -= d_detected * _quadratic(void_by, escape)
    mean = np.empty((step.animals.size, detected.size))
    if step.animals.size:
        score = _scores(model, step, over, h_by, fields_by, void_by, own)
        chance, _ = posterior(step, log_mu, log_a, np.ones_like(log_a), step.room.array("posterior", *step.log_f.shape))
        mean[:, :moves] = np.einsum("am,pam->ap", chance, score)
        np.matmul(chance, mu_by.T, out=mean[:, moves:])
        weighted = np.multiply(score, over.q, out=step.room.array("weighted", *score.shape))
        own += weighted.reshape(moves, over.q.size) @ score.reshape(moves, over.q.size).T
        across += weighted.sum(axis=1)
    second[moves:, moves:] = _quadratic(mu_by, over.log_mu)
    second[:moves, moves:] = across @ mu_by.T
    second[moves:, :moves] = second[:moves, moves:].T
    return mean, detected, second


def _hazard_directions(model: BlockModel, step: Step, along) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives along the directions of log h [D, K, B] and of the fields [D, F, B]."""
    moves, size = along.shape[2], step.h.shape
    h_by, fields_by = step.room.array("h by", moves, *size), np.empty((moves, *step.fields.shape))
    moved, exposure = step.room.array("moved", *size), model.exposure[step.passes].T
    for p, by in enumerate(h_by):
        by[:] = along[:, 0, p, None]
        for first, change in zip(step.shape_first, along[:, 1:, p].T, strict=False):
            if change.any():
                by += np.multiply(first, change[:, None], out=moved)
        if step.link_first is not None:
            by *= step.link_first
        np.matmul(exposure, np.multiply(by, step.h, out=moved), out=fields_by[p])
    return h_by, fields_by


def _scores(model: BlockModel, step: Step, over: Adjoints, h_by, fields_by, void_by, second) -> np.ndarray:
    """The scores [D, A, B] of the block's animals; what exposure and trials bend is added to second [D, D]."""
    encounters, animals = model.encounters, step.animals
    score = step.room.array("scores", len(h_by), *step.log_f.shape)
    if model.weight is None:
        np.negative(void_by[:, None], out=score)
    else:
        np.matmul(-model.weight[animals], fields_by, out=score)
    if encounters.caught is not None:
        weight = encounters.caught[animals]
        score += weight @ (fields_by * step.field_phi[1])
        second += _quadratic(fields_by, (weight.T @ over.q) * step.field_phi[2])
    for p, by in enumerate(h_by):
        encounters.linear.add_to(score[p], animals, step.place, by)
        if step.trial_pass is not None:
            encounters.trials.add_to(score[p], animals, step.trial_place, by[step.trial_pass] * step.trial_phi[1])
    if encounters.own is not None:
        second += _own_exposure(encounters.own, step, over, h_by, fields_by, score)
    return score


def _own_exposure(own, step: Step, over: Adjoints, h_by, fields_by, score) -> np.ndarray:
    """What personal exposure adds to the score [D, A, B], in place, and to the second derivatives [D, D]."""
    own_by = fields_by[:, step.own.base]
    for p, by in enumerate(h_by):
        moved = by * step.h
        own.exposure.add_to(score[p], step.animals, step.place, moved, -1.0)
        own.field.add_to(own_by[p], step.own.captures, step.place, moved)
        own.caught.add_to(score[p], step.animals, step.own.place, own_by[p] * step.own.phi[1])
    return _quadratic(own_by, over.caught * step.own.phi[2])


def _of_hazards(step: Step, over: Adjoints) -> np.ndarray:
    """[K, 3, 3]: by (log scale, log σ, third) of each pass, the second derivatives through its hazards alone.

    These bend themselves, the fields, ∂²h = h (∂²log h + ∂log h ∂log h'), and trials. Directions are straight in scale
    and σ, so that ∂²log x = −(∂log x)².
    """
    weight, bar = np.multiply(over.h, step.h, out=step.room.array("bending", *step.h.shape)), over.log_h
    if over.trials is not None:
        add_rows(weight, step.trial_pass, over.trials * step.trial_phi[2])
    if step.link_first is not None and step.link_second is not None:
        weight *= step.link_first
        weight *= step.link_first
        weight += bar * step.link_second
        bar = bar * step.link_first
    out, first, second = np.zeros((step.passes.size, 3, 3)), step.shape_first, step.shape_second
    out[:, 0, 0] = weight.sum(axis=1) - bar.sum(axis=1)
    for i, one in enumerate(first, 1):
        weighted = weight * one
        out[:, 0, i] = out[:, i, 0] = weighted.sum(axis=1)
        for j in range(1, i + 1):
            bent = np.einsum("km,km->k", weighted, first[j - 1]) + np.einsum("km,km->k", bar, second[i + j - 2])
            out[:, i, j] = out[:, j, i] = bent
    out[:, 1, 1] -= np.einsum("km,km->k", bar, first[0])
    return out


def _quadratic(by: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Σ weight · by by' [P, P] for by [P, ...] and weight [...]."""
    flat = by.reshape(len(by), weight.size)
    return (flat * weight.reshape(-1)) @ flat.T
