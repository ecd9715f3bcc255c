"""Animals that move between states, live or dead: the Arnason-Schwarz likelihood by animal, and its derivatives.

R rows, T occasions, S states, G profiles. Cost R × T × S².
"""

import math

import numpy as np
from numba import njit


def multistate(seen, first, end, profile, phi, p, psi, weight, log_probability, d_phi, d_p, d_psi):
    """`multistate_rows` for parameters by profile, occasion and state: phi, p [G, T - 1, S], psi [G, T - 1, S, S]."""
    G, steps, S = phi.shape
    cell = np.arange(G * steps * S, dtype=np.int32).reshape(G, steps, S)
    pair = np.arange(G * steps, dtype=np.int32).reshape(G, steps)
    at = (seen, first, end, profile, cell, cell, pair, phi.reshape(-1), p.reshape(-1), psi.reshape(-1, S, S), weight)
    back = (d_phi.reshape(-1), d_p.reshape(-1), d_psi.reshape(-1, S, S))  # views: all are contiguous
    multistate_rows(*at, log_probability, *back)


@njit(cache=True, nogil=True, error_model="numpy")
def multistate_rows(
    seen,
    first,
    end,
    profile,
    phi_index,
    p_index,
    psi_index,
    phi,
    p,
    psi,
    weight,
    log_probability,
    d_phi,
    d_p,
    d_psi,
):
    """log Pr(history | first encounter and its state) by row; derivatives of their weighted sum are added.

    An animal survives according to the state it is in, and moves if it survives (Schwarz et al. 1993; Lebreton et al.
    2009). The sum over unseen states is the forward recursion of a hidden Markov chain; the dead are its last state.

    Parameters
    ----------
    seen : int8 [R, T], state 1..S in which the animal was met, 0 not met, -1 not looked for
    first, end : int64 [R], first encounter, and the last occasion that says anything
    profile : int64 [R]
    phi_index : int32 [G, T - 1, S], row of survival from occasion t to t + 1 in a state; the first axis may be 1 where
        profiles do not differ, here and below
    p_index : int32 [G, T - 1, S], row of detection on occasion t + 1 in a state
    psi_index : int32 [G, T - 1], which matrix of moves
    phi, p : float64 [D]
    psi : float64 [M, S, S], move from a state to another, given survival
    weight : float64 [R]
    log_probability : float64 [R], written
    d_phi, d_p, d_psi : shapes of phi, p, psi, added to
    """
    R, T = seen.shape
    S = phi_index.shape[2]
    alive, dead = np.empty((T, S)), np.empty(T)
    look, later = np.empty(S), np.empty(S)
    for r in range(R):
        g, f, e = profile[r], first[r], end[r]
        a = g if phi_index.shape[0] > 1 else 0
        b = g if p_index.shape[0] > 1 else 0
        c = g if psi_index.shape[0] > 1 else 0
        for i in range(S):
            alive[f, i] = 1.0 if seen[r, f] == i + 1 else 0.0
        dead[f] = 0.0
        for t in range(f, e):
            state = seen[r, t + 1]
            lost = dead[t]
            for i in range(S):
                lost += alive[t, i] * (1.0 - phi[phi_index[a, t, i]])
            dead[t + 1] = lost if state <= 0 else 0.0
            for j in range(S):
                mass = 0.0
                for i in range(S):
                    mass += alive[t, i] * phi[phi_index[a, t, i]] * psi[psi_index[c, t], i, j]
                alive[t + 1, j] = mass * _look(state, j, p[p_index[b, t, j]])
        L = dead[e]
        for i in range(S):
            L += alive[e, i]
        log_probability[r] = math.log(L)
        w = weight[r] / L
        later[:] = 1.0
        later_dead = 1.0
        for t in range(e - 1, f - 1, -1):
            state = seen[r, t + 1]
            if state > 0:
                later_dead = 0.0
            for j in range(S):
                look[j] = _look(state, j, p[p_index[b, t, j]]) * later[j]
            for j in range(S):
                sign = 1.0 if state == j + 1 else (-1.0 if state == 0 else 0.0)
                if sign != 0.0:
                    mass = 0.0
                    for i in range(S):
                        mass += alive[t, i] * phi[phi_index[a, t, i]] * psi[psi_index[c, t], i, j]
                    d_p[p_index[b, t, j]] += sign * w * mass * later[j]
            for i in range(S):
                onward = 0.0
                for j in range(S):
                    onward += psi[psi_index[c, t], i, j] * look[j]
                    d_psi[psi_index[c, t], i, j] += w * alive[t, i] * phi[phi_index[a, t, i]] * look[j]
                d_phi[phi_index[a, t, i]] += w * alive[t, i] * (onward - later_dead)
                later[i] = phi[phi_index[a, t, i]] * onward + (1.0 - phi[phi_index[a, t, i]]) * later_dead


@njit(cache=True, nogil=True, error_model="numpy")
def _look(state, j, p):
    """Probability of what was seen of a living animal in state j."""
    if state == 0:
        return 1.0 - p
    if state < 0:
        return 1.0
    return p if state == j + 1 else 0.0
