"""Hidden Markov chains: forward pass, and the adjoint by a backward pass.

S chains over R rows; chain s has the rows start[s] ≤ r < start[s + 1], one per step; K states.
The derivative with respect to the log-likelihood of a step's data under a state is the posterior probability of that
state. Scaled forward and backward variables: Rabiner 1989, Proc. IEEE 77:257, eqs. 91-92.
"""

import math

import numpy as np
from numba import njit


@njit(nogil=True, cache=True, error_model="numpy")
def forward(initial, transition, emission, start, total, ahead, scale):
    """Log-likelihood of each chain.

    In: initial[S, K]; transition[R, K, K] into row r, from state i to state j (not read in a chain's first row);
    emission[R, K] log-likelihood of the row's data under each state, -inf where impossible.
    Out: total[S]; ahead[R, K] forward variables, each row summing to one; scale[R] what they were divided by.
    """
    K = initial.shape[1]
    for s in range(initial.shape[0]):
        log_whole = 0.0
        for r in range(start[s], start[s + 1]):
            top = -math.inf
            for k in range(K):
                top = max(top, emission[r, k])
            if top == -math.inf:
                log_whole = -math.inf
                break
            whole = 0.0
            for j in range(K):
                before = 0.0
                if r == start[s]:
                    before = initial[s, j]
                else:
                    for i in range(K):
                        before += ahead[r - 1, i] * transition[r, i, j]
                ahead[r, j] = before * math.exp(emission[r, j] - top)
                whole += ahead[r, j]
            for j in range(K):
                ahead[r, j] /= whole
            scale[r] = whole
            log_whole += math.log(whole) + top
        total[s] = log_whole


@njit(nogil=True, cache=True, error_model="numpy")
def backward(initial, transition, emission, start, ahead, scale, by_initial, by_transition, posterior):
    """Derivatives of each chain's log-likelihood, after `forward`.

    Out: by_initial[S, K]; by_transition[R, K, K] (0 in a chain's first row); posterior[R, K] of the states, which is
    the derivative with respect to emission.
    """
    K = initial.shape[1]
    behind, seen = np.empty(K), np.empty(K)
    for s in range(initial.shape[0]):
        behind[:] = 1.0
        for r in range(start[s + 1] - 1, start[s] - 1, -1):
            top = -math.inf
            for k in range(K):
                top = max(top, emission[r, k])
                posterior[r, k] = ahead[r, k] * behind[k]
            for j in range(K):
                seen[j] = math.exp(emission[r, j] - top) * behind[j] / scale[r]
            if r == start[s]:
                for j in range(K):
                    by_initial[s, j] = seen[j]
                    for i in range(K):
                        by_transition[r, i, j] = 0.0
                continue
            for i in range(K):
                behind[i] = 0.0
                for j in range(K):
                    by_transition[r, i, j] = ahead[r - 1, i] * seen[j]
                    behind[i] += transition[r, i, j] * seen[j]
        if start[s] == start[s + 1]:
            for k in range(K):
                by_initial[s, k] = 0.0
