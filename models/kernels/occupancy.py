"""Occupancy: visits to their group's log-likelihood under each state, and the mixture over states; with adjoints.

G groups (a site, or a site in a season), V visits in the order of their groups, K states. The derivative of a group's
log-likelihood with respect to the log-likelihood of its data under a state is the posterior probability of that state,
so the adjoints are also what people want to know. MacKenzie et al. 2002, Ecology 83:2248, eq. 1.
"""

import math

from numba import njit

TINY = 1e-150  # a product of probabilities below this is put away as a logarithm before it underflows


@njit(nogil=True, cache=True, error_model="numpy")
def visits_loglik(prob, start, loglik):
    """loglik[G, K] = Σ log prob[V, K] over the visits start[g] ≤ v < start[g + 1]; one logarithm for many visits."""
    for g in range(start.size - 1):
        for k in range(prob.shape[1]):
            total, product = 0.0, 1.0
            for v in range(start[g], start[g + 1]):
                product *= prob[v, k]
                if product < TINY:
                    total += math.log(product)
                    product = 1.0
            loglik[g, k] = total + math.log(product)


@njit(nogil=True, cache=True, error_model="numpy")
def visits_adjoint(prob, start, weight, adjoint):
    """adjoint[V, K] = weight[g, k] / prob[v, k], where a state that is out of the question has weight 0."""
    for g in range(start.size - 1):
        for v in range(start[g], start[g + 1]):
            for k in range(prob.shape[1]):
                adjoint[v, k] = weight[g, k] / prob[v, k] if weight[g, k] != 0.0 else 0.0


@njit(nogil=True, cache=True, error_model="numpy")
def mixture(prior, loglik, total, relative):
    """total[G] = log Σ_k prior[g, k] exp(loglik[g, k]); relative[G, K] = exp(loglik - total) = ∂total/∂prior.

    prior · relative is the posterior of the states, and the derivative with respect to loglik.
    """
    for g in range(prior.shape[0]):
        top = -math.inf
        for k in range(prior.shape[1]):
            if prior[g, k] > 0.0 and loglik[g, k] > top:
                top = loglik[g, k]
        if top == -math.inf:
            total[g] = -math.inf
            for k in range(prior.shape[1]):
                relative[g, k] = math.nan
            continue
        weighted = 0.0
        for k in range(prior.shape[1]):
            if prior[g, k] > 0.0:
                weighted += prior[g, k] * math.exp(loglik[g, k] - top)
        total[g] = top + math.log(weighted)
        for k in range(prior.shape[1]):
            relative[g, k] = math.exp(loglik[g, k] - total[g])


@njit(nogil=True, cache=True, error_model="numpy")
def detections_loglik(p, seen, start, loglik):
    """loglik[G] = Σ log p[V] where seen[V], log(1 - p) elsewhere: `visits_loglik` of visits that only find or not."""
    for g in range(start.size - 1):
        total, product = 0.0, 1.0
        for v in range(start[g], start[g + 1]):
            product *= abs(p[v] - (0.0 if seen[v] else 1.0))
            if product < TINY:
                total += math.log(product)
                product = 1.0
        loglik[g] = total + math.log(product)


@njit(nogil=True, cache=True, error_model="numpy")
def detections_adjoint(p, seen, start, weight, adjoint):
    """adjoint[V] of `detections_loglik` with respect to p, from weight[G]."""
    for g in range(start.size - 1):
        w = weight[g]
        for v in range(start[g], start[g + 1]):
            adjoint[v] = w / (p[v] - (0.0 if seen[v] else 1.0)) if w != 0.0 else 0.0
