"""Single-season occupancy with logit links from covariates to gradient in one pass over the data.

With a = logit psi, η = logit p, P = Π(1 + e^η) over the visits of a site, none = 1 where nothing was found:

    L = [e^(a + Σ y η) + none · P] / [P (1 + e^a)]

so a visit costs one exponential and one division, a site one logarithm, and blocks of sites keep all that the gradient
needs in cache. N sites, V visits in the order of their sites; kx, kz covariates with the constant among them.
"""

import math

import numpy as np
from numba import njit

BLOCK = 256  # sites at a time
LOG2E = 1.4426950408889634
LN2_HIGH = 6.93147180369123816490e-01  # ln 2 = high + low, the high part with trailing zero bits
LN2_LOW = 1.90821492927058770002e-10
ROUND = 6755399441055744.0  # 1.5 · 2^52: adding it rounds to a whole number
LARGE = 1e90  # a product above this is taken as a sum of logarithms
SMALL = 1e-120  # a factor below this is put away as a logarithm; LARGE squared times SMALL never underflows


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def exponentials(x, out, bits, power):
    """out = exp(x), x clamped to ±700; `power` is `bits` seen as float64. Cody & Waite reduction."""
    for i in range(x.size):
        clamped = x[i] if x[i] < 700.0 else 700.0
        clamped = clamped if clamped > -700.0 else -700.0
        rounded = clamped * LOG2E + ROUND
        power[i] = rounded  # its lowest bits are the whole number k
        k = rounded - ROUND
        r = (clamped - k * LN2_HIGH) - k * LN2_LOW
        # Taylor to degree 13, paired so that no step waits for more than a few others (Estrin)
        r2 = r * r
        r4 = r2 * r2
        low = (1.0 + r) + r2 * (0.5 + r * (1.0 / 6.0))
        middle = (1.0 / 24.0 + r * (1.0 / 120.0)) + r2 * (1.0 / 720.0 + r * (1.0 / 5040.0))
        high = (1.0 / 40320.0 + r * (1.0 / 362880.0)) + r2 * (1.0 / 3628800.0 + r * (1.0 / 39916800.0))
        top = 1.0 / 479001600.0 + r * (1.0 / 6227020800.0)
        out[i] = low + r4 * (middle + r4 * (high + r4 * top))
    for i in range(x.size):
        bits[i] = (bits[i] + 1023) << 52  # 2^k
    for i in range(x.size):
        out[i] *= power[i]


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def predictor(covariates, coefficients, begin, end, out):
    """out = coefficients[k] · covariates[k, begin:end]."""
    out[:] = 0.0
    for k in range(coefficients.size):
        row, b = covariates[k, begin:end], coefficients[k]
        for i in range(out.size):
            out[i] += b * row[i]


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "reassoc"})
def one_block(starts, seen, a, ea, eta, e, by_a, by_eta, gradient):
    """Log-likelihood of the sites of a block, and its derivatives with respect to their a and their visits' η.

    All arrays are those of the block; starts[sites + 1] counts from its first visit.
    """
    loglik, factor = 0.0, 1.0  # log-likelihood = loglik + log factor: one logarithm for many sites
    for v in range(eta.size):
        loglik += seen[v] * eta[v]
    for i in range(a.size):
        begin, end = starts[i] - starts[0], starts[i + 1] - starts[0]
        product, found, occupied = 1.0, 0, 1.0
        for v in range(begin, end):
            product *= 1.0 + e[v]
            found |= seen[v]
        if product > LARGE or ea[i] > LARGE:
            log_product = 0.0
            for v in range(begin, end):
                log_product += math.log1p(e[v])
            ratio = math.exp(min(a[i] - log_product, 700.0))
            occupied = 1.0 if found else ratio / (1.0 + ratio)
            loglik += (a[i] - log_product if found else math.log1p(ratio)) - math.log1p(ea[i])
        elif found:
            loglik += a[i]
            factor /= product * (1.0 + ea[i])
        else:
            occupied = ea[i] / (ea[i] + product)
            factor *= (ea[i] + product) / (product * (1.0 + ea[i]))
        if factor < SMALL:
            loglik += math.log(factor)
            factor = 1.0
        if gradient:
            by_a[i] = occupied - ea[i] / (1.0 + ea[i])
            for v in range(begin, end):
                by_eta[v] = occupied
    if gradient:
        for v in range(eta.size):
            by_eta[v] = seen[v] - by_eta[v] * (e[v] / (1.0 + e[v]))
    return loglik + math.log(factor)


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def occupancy_logit(site_covariates, visit_covariates, seen, start, beta, alpha, gradient, by_beta, by_alpha):
    """Log-likelihood; by_beta[kx] and by_alpha[kz] its gradient.

    In: site_covariates[kx, N], visit_covariates[kz, V], seen[V] 0 or 1, start[N + 1], beta[kx], alpha[kz].
    """
    N = start.size - 1
    most = 1
    for first in range(0, N, BLOCK):
        most = max(most, start[min(first + BLOCK, N)] - start[first])
    most = max(most, BLOCK)
    a, ea, by_a = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    eta, e, by_eta, bits = np.empty(most), np.empty(most), np.empty(most), np.empty(most, np.int64)
    power = bits.view(np.float64)
    by_beta[:] = 0.0
    by_alpha[:] = 0.0
    loglik = 0.0
    for first in range(0, N, BLOCK):
        last = min(first + BLOCK, N)
        begin, end = start[first], start[last]
        n, m = last - first, end - begin
        predictor(site_covariates, beta, first, last, a[:n])
        exponentials(a[:n], ea[:n], bits[:n], power[:n])
        predictor(visit_covariates, alpha, begin, end, eta[:m])
        exponentials(eta[:m], e[:m], bits[:m], power[:m])
        loglik += one_block(
            start[first : last + 1], seen[begin:end], a[:n], ea[:n], eta[:m], e[:m], by_a[:n], by_eta[:m], gradient
        )
        if gradient:
            for k in range(beta.size):
                by_beta[k] += np.dot(site_covariates[k, first:last], by_a[:n])
            for k in range(alpha.size):
                by_alpha[k] += np.dot(visit_covariates[k, begin:end], by_eta[:m])
    return loglik
