"""Survival alone (Cormack–Jolly–Seber in space): what happens to an animal after the first session it was detected in.

The log-likelihood is log A(first session and later) - log A(first session); or that of later sessions alone, with a
centre that may be anywhere at first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..kernels.open_scr import LEFT_OUT, animals_backward, animals_forward
from .chain import Chain

if TYPE_CHECKING:
    from .model import OpenSCR


def of_first_session(model: OpenSCR, values, gradient: bool, keep: bool):
    """Log-likelihood and its derivatives; `keep`: the records of the first session say where the animal lives."""
    population, hazards, chains = model.chains(values)
    loglik, made = model.records.constant if keep else 0.0, []
    for chain in chains:
        parts = first_session_parts(chain, keep)
        loglik += sum(sign * float(log_a.sum()) for sign, _, log_a in parts)
        made.append(parts)
    if not gradient:
        return loglik, None
    if not np.isfinite(loglik):
        return loglik, {name: np.full(len(v), np.nan) for name, v in values.items()}
    d_log_h, M, T = np.zeros_like(hazards.log_h), len(chains[0].mu), len(model.names)
    d_survival = np.zeros_like(population.survival)
    d_move = np.zeros((T - 1, len(model.movement.parameters)))
    d_settled = np.zeros(M)
    for c, (chain, parts) in enumerate(zip(chains, made, strict=True)):
        d_survival[c] = _pull(chain, parts, d_log_h)
        d_move += chain.moving.d_move
        d_settled += chain.moving.d_settled
    mu, d_arrivals = model.cells(values), np.zeros_like(population.size)
    # D is a constant here, so that derivatives by it do not matter
    return loglik, model.adjoints(
        values, population, hazards, mu, np.zeros(M), d_settled, d_arrivals, d_survival, d_move, d_log_h
    )


def first_session_parts(chain: Chain, keep: bool) -> list:
    """(sign, inputs, log A): of all sessions from the first on, and, to divide by, of the first alone."""
    first, last, gone, visit, *rest = chain.inputs
    n, T = visit.shape
    if not keep:
        visit = visit.copy()
        visit[np.arange(n), first] = LEFT_OUT
    found = [(1.0, (first, last, gone, visit, *rest))]
    if keep:
        found.append((-1.0, (first, first, np.ones(n, bool), visit, *rest)))
    with np.errstate(divide="ignore"):
        log_survival = np.log(chain.survival)
    psi, done = np.tile(chain.mu / chain.mu.sum(), (T, 1)), []
    for sign, inputs in found:
        log_a = np.empty(n)
        arguments: list = [*inputs, psi, chain.chi, log_survival, log_a]
        animals_forward(*arguments)
        done.append((sign, inputs, log_a))
    return done


def _pull(chain: Chain, parts: list, d_log_h: np.ndarray) -> np.ndarray:
    """Derivatives by survival [T - 1]; those by log h are added to d_log_h, those of movement collected."""
    add, d_missed = chain.collect(d_log_h), np.zeros_like(chain.missed)
    psi = np.tile(chain.mu / chain.mu.sum(), (len(chain.chi), 1))
    for sign, inputs, log_a in parts:
        arguments: list = [*inputs, psi, chain.chi, np.full(len(log_a), sign), add]
        animals_backward(*arguments)
    d_survival = add.log_survival / np.maximum(chain.survival, 1e-300)
    chain.pull_chi(add.chi, d_missed, d_survival)
    chain.pull_fields(add.field, d_missed, d_log_h)
    return d_survival
