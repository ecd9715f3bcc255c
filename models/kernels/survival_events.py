"""Marked animals whose states are not all seen: the likelihood of what was seen of each, and its derivatives.

R rows, T occasions, S states (those of the dead among them), E events, G profiles. Cost R × T × S².
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def event_chains(
    event,
    first,
    end,
    profile,
    initial,
    transition,
    emission,
    weight,
    log_probability,
    d_initial,
    d_transition,
    d_emission,
):
    """log Pr(events | met first on this occasion) by row; derivatives of their weighted sum are added.

    A hidden Markov chain of states that is seen through events (Pradel 2005, eq. 1), with scaled forward and backward
    variables (Rabiner 1989, eqs. 91-92).

    Parameters
    ----------
    event : int8 [R, T], 0..E - 1; -1 where nothing could be seen
    first, end : int64 [R], first encounter, and the last occasion that says anything
    profile : int64 [R]
    initial : float64 [G, T, E, S], state and event of a first encounter on an occasion
    transition : float64 [G, T - 1, S, S], from a state on occasion t to a state on t + 1
    emission : float64 [G, T - 1, S, E], event on occasion t + 1 in a state
    weight : float64 [R]
    log_probability : float64 [R], written
    d_initial, d_transition, d_emission : shapes of initial, transition, emission, added to
    """
    R, T = event.shape
    S = transition.shape[3]
    ahead, arriving, scale = np.empty((T, S)), np.empty((T, S)), np.empty(T)
    behind, seen = np.empty(S), np.empty(S)
    for r in range(R):
        g, f, last = profile[r], first[r], end[r]
        begin = event[r, f]
        whole = 0.0
        for s in range(S):
            ahead[f, s] = initial[g, f, begin, s]
            whole += ahead[f, s]
        scale[f] = whole
        total = np.log(whole)
        for s in range(S):
            ahead[f, s] /= whole
        for t in range(f, last):
            e = event[r, t + 1]
            whole = 0.0
            for j in range(S):
                mass = 0.0
                for i in range(S):
                    mass += ahead[t, i] * transition[g, t, i, j]
                arriving[t + 1, j] = mass
                ahead[t + 1, j] = mass * emission[g, t, j, e] if e >= 0 else mass
                whole += ahead[t + 1, j]
            for j in range(S):
                ahead[t + 1, j] /= whole
            scale[t + 1] = whole
            total += np.log(whole)
        log_probability[r] = total
        w = weight[r]
        behind[:] = 1.0
        for t in range(last - 1, f - 1, -1):
            e = event[r, t + 1]
            for j in range(S):
                later = behind[j] / scale[t + 1]
                seen[j] = later
                if e >= 0:
                    d_emission[g, t, j, e] += w * arriving[t + 1, j] * later
                    seen[j] = later * emission[g, t, j, e]
            for i in range(S):
                behind[i] = 0.0
                for j in range(S):
                    d_transition[g, t, i, j] += w * ahead[t, i] * seen[j]
                    behind[i] += transition[g, t, i, j] * seen[j]
        for s in range(S):
            d_initial[g, f, begin, s] += w * behind[s] / scale[f]
