"""Hidden Markov chains: forward pass, and the adjoint by a backward pass.

S chains over R rows; chain s has the rows start[s] ≤ r < start[s + 1], one per step; K states.
The derivative with respect to the log-likelihood of a step's data under a state is the posterior probability of that
state. Scaled forward and backward variables: Rabiner 1989, Proc. IEEE 77:257, eqs. 91-92.
"""

import math

import numpy as np
from numba import njit

TINY = 1e-150  # a product below this is put away as a logarithm before it underflows


@njit(nogil=True, cache=True, error_model="numpy")
def forward(initial, transition, emission, start, total, ahead, seen, scale):
    """Log-likelihood of each chain.

    In: initial[S, K]; transition[R, K, K] into row r, from state i to state j (not read in a chain's first row);
    emission[R, K] log-likelihood of the row's data under each state, -inf where impossible.
    Out: total[S]; ahead[R, K] forward variables, each row summing to one; seen[R, K] likelihoods over their largest;
    scale[R] what the forward variables were divided by.
    """
    K = initial.shape[1]
    for s in range(initial.shape[0]):
        log_whole, product = 0.0, 1.0
        for r in range(start[s], start[s + 1]):
            top = -math.inf
            for k in range(K):
                top = max(top, emission[r, k])
            if top == -math.inf:
                log_whole = -math.inf
                break
            whole = 0.0
            for j in range(K):
                away = emission[r, j] - top
                seen[r, j] = 1.0 if away == 0.0 else (math.exp(away) if away > -745.0 else 0.0)
                before = 0.0
                if r == start[s]:
                    before = initial[s, j]
                else:
                    for i in range(K):
                        before += ahead[r - 1, i] * transition[r, i, j]
                ahead[r, j] = before * seen[r, j]
                whole += ahead[r, j]
            share = 1.0 / whole
            for j in range(K):
                ahead[r, j] *= share
            scale[r] = whole
            product *= whole
            log_whole += top
            if product < TINY:
                log_whole += math.log(product)
                product = 1.0
        total[s] = log_whole + math.log(product)


@njit(nogil=True, cache=True, error_model="numpy")
def backward(initial, transition, seen, start, ahead, scale, by_initial, by_transition, posterior):
    """Derivatives of each chain's log-likelihood, after `forward`.

    Out: by_initial[S, K]; by_transition[R, K, K] (0 in a chain's first row); posterior[R, K] of the states, which is
    the derivative with respect to emission.
    """
    K = initial.shape[1]
    behind, after = np.empty(K), np.empty(K)
    for s in range(initial.shape[0]):
        behind[:] = 1.0
        for r in range(start[s + 1] - 1, start[s] - 1, -1):
            share = 1.0 / scale[r]
            for j in range(K):
                posterior[r, j] = ahead[r, j] * behind[j]
                after[j] = seen[r, j] * behind[j] * share
            if r == start[s]:
                for j in range(K):
                    by_initial[s, j] = after[j]
                    for i in range(K):
                        by_transition[r, i, j] = 0.0
                continue
            for i in range(K):
                back = 0.0
                for j in range(K):
                    by_transition[r, i, j] = ahead[r - 1, i] * after[j]
                    back += transition[r, i, j] * after[j]
                behind[i] = back
        if start[s] == start[s + 1]:
            for k in range(K):
                by_initial[s, k] = 0.0
