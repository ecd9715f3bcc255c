"""Single-season occupancy with logit links from covariates to gradient in one pass over the data.

With a = logit psi, η = logit p, P = Π(1 + e^η) over the visits of a site, none = 1 where nothing was found:

    L = e^(Σ y η) · [e^a or, where nothing was found, e^a + P] / [P (1 + e^a)]

Σ y η is linear in the coefficients, so that y is not read again; a visit costs one exponential and one division, a
block of sites one logarithm. Sites lie in blocks of BLOCK, and in a block visit by visit: the first visit of every
site, the second, … so that everything runs over BLOCK sites at a time, and what the gradient needs a second time is in
cache. A visit that a site does not have, up to the most of its block, has covariates 0 and odds of practically 0; sites
that fill the last block have no visits.
"""

import math

import numpy as np

from .compiled import fused, inner, stage, summing
from .floats import LN2_HIGH, LN2_LOW, LOG2E, ROUND, bits_of, float_of

BLOCK = 256  # sites
NEVER = -1e6  # the logit of a visit that was not
LARGE = 1e90  # a product or odds above this is taken as a sum of logarithms
ONE = 1023 << 52  # the exponent of 1.0
MANTISSA = (1 << 52) - 1


@fused
def exponential(x):
    """exp(x), x clamped to ±700. Cody & Waite reduction; Chebyshev polynomial of degree 11, error 1.6e-17."""
    clamped = max(min(x, 700.0), -700.0)
    rounded = clamped * LOG2E + ROUND
    k = rounded - ROUND
    r = (clamped - k * LN2_HIGH) - k * LN2_LOW
    r2 = r * r
    r4 = r2 * r2
    # paired so that no step waits for more than a few others (Estrin)
    low = (1.0 + r) + r2 * (0.5000000000000019 + r * 0.16666666666666702)
    middle = 0.04166666666648808 + r * 0.008333333333309526
    middle += r2 * (0.0013888888952318045 + r * 0.00019841269909219843)
    high = 2.480148547921643e-05 + r * 2.755722495611072e-06
    high += r2 * (2.7632640675430235e-07 + r * 2.5114870219497476e-08)
    return (low + r4 * (middle + r4 * high)) * float_of((bits_of(rounded) + 1023) << 52)


@stage
def exponentials(x, out):
    """out = exp(x)."""
    for i in range(out.size):
        out[i] = exponential(x[i])


@fused
def predictor(covariates, coefficients, from_, begin, out):
    """out += Σ coefficients[k + 1] covariates[k, begin:] from covariate `from_` on."""
    for k in range(from_, coefficients.size - 1):
        b, x = coefficients[k + 1], covariates[k, begin : begin + out.size]
        for i in range(out.size):
            out[i] += b * x[i]


@fused
def odds(base, x, y, z, b, c, d, e, product):
    """e = exp(base + b x + c y + d z); product *= 1 + e: a visit of every site of a block."""
    for i in range(e.size):
        value = exponential(base[i] + b * x[i] + c * y[i] + d * z[i])
        e[i] = value
        product[i] *= 1.0 + value


@summing
def sites(a, ea, product, found, occupied, by_a):
    """Log-likelihood of a block without Σ y η, from mantissas and exponents of its factors; its derivatives."""
    total, exponent, mantissa = 0.0, 0, 1.0
    for i in range(a.size):
        whole = ea[i] + product[i]
        factor = (1.0 if found[i] else whole) / (product[i] * (1.0 + ea[i]))
        total += a[i] if found[i] else 0.0
        bits = bits_of(factor)
        exponent += (bits >> 52) - 1023
        mantissa *= float_of((bits & MANTISSA) | ONE)  # 1 ≤ mantissa < 2, and 2^BLOCK does not overflow
        occupied[i] = 1.0 if found[i] else ea[i] / whole
        by_a[i] = occupied[i] - ea[i] / (1.0 + ea[i])
    return total + math.log(mantissa) + exponent * (LN2_HIGH + LN2_LOW)


@inner
def sites_apart(a, ea, e, found, occupied, by_a):
    """The same where products overflow: logarithms of every visit, e[visits, sites]."""
    total = 0.0
    for i in range(a.size):
        log_product = 0.0
        for j in range(e.shape[0]):
            log_product += math.log1p(e[j, i])
        ratio = math.exp(min(a[i] - log_product, 700.0))
        occupied[i] = 1.0 if found[i] else ratio / (1.0 + ratio)
        total += (a[i] - log_product if found[i] else math.log1p(ratio)) - math.log1p(ea[i])
        by_a[i] = occupied[i] - ea[i] / (1.0 + ea[i])
    return total


@summing
def pull(covariates, weight, from_, begin, by):
    """by[k + 1] += Σ weight · covariates[k, begin:] from covariate `from_` on; by[0] += Σ weight if that is 0."""
    if from_ == 0:
        whole = 0.0
        for i in range(weight.size):
            whole += weight[i]
        by[0] += whole
    for k in range(from_, by.size - 1):
        x, total = covariates[k, begin : begin + weight.size], 0.0
        for i in range(weight.size):
            total += weight[i] * x[i]
        by[k + 1] += total


@fused
def detections(e, occupied, out):
    """P(occupied | data) p for a visit of every site of a block."""
    for i in range(out.size):
        out[i] = occupied[i] * (e[i] / (1.0 + e[i]))


@summing
def pull_detections(x, y, z, e, occupied):
    """Sums of `detections`, and of them times x, y and z."""
    whole, by_x, by_y, by_z = 0.0, 0.0, 0.0, 0.0
    for i in range(e.size):
        weight = occupied[i] * (e[i] / (1.0 + e[i]))
        whole += weight
        by_x += weight * x[i]
        by_y += weight * y[i]
        by_z += weight * z[i]
    return whole, by_x, by_y, by_z


@stage
def occupancy_logit(site_covariates, visit_covariates, found, visits, first, beta, alpha, gradient, by_beta, by_alpha):
    """Log-likelihood without Σ y η; by_beta[kx + 1] its gradient, by_alpha[kz + 1] minus its gradient.

    In: site_covariates[kx, S]; found[S] and visits[S] of each site, S = B · BLOCK; visit_covariates[kz, V] over blocks,
    visits and sites; first[B + 1] where the visits of a block begin; beta[kx + 1] and alpha[kz + 1], intercept first.
    """
    most, K = 1, alpha.size - 1
    for b in range(first.size - 1):
        most = max(most, (first[b + 1] - first[b]) // BLOCK)
    a, ea, by_a, occupied = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    product, base, e = np.empty(BLOCK), np.empty(BLOCK), np.empty((most, BLOCK))
    three = np.zeros(3)  # coefficients of the covariates that are taken together; the others go by way of `base`
    three[: min(K, 3)] = alpha[1 : 1 + min(K, 3)]
    last = max(K - 1, 0)
    rows = (0, min(1, last), min(2, last))
    by_beta[:] = 0.0
    by_alpha[:] = 0.0
    loglik = 0.0
    for b in range(first.size - 1):
        n, begin_sites = (first[b + 1] - first[b]) // BLOCK, b * BLOCK
        end_sites = begin_sites + BLOCK
        least = visits[begin_sites:end_sites].min()
        a[:] = beta[0]
        predictor(site_covariates, beta, 0, begin_sites, a)
        exponentials(a, ea)
        product[:] = 1.0
        base[:] = alpha[0]
        for j in range(n):
            begin, end = first[b] + j * BLOCK, first[b] + (j + 1) * BLOCK
            if K > 3:
                base[:] = alpha[0]
                predictor(visit_covariates, alpha, 3, begin, base)
            if j >= least:
                for i in range(BLOCK):
                    base[i] = base[i] if j < visits[begin_sites + i] else NEVER
            x, y, z = base, base, base
            if K > 0:
                x, y = visit_covariates[rows[0], begin:end], visit_covariates[rows[1], begin:end]
                z = visit_covariates[rows[2], begin:end]
            odds(base, x, y, z, three[0], three[1], three[2], e[j], product)
        if product.max() > LARGE or ea.max() > LARGE:
            loglik += sites_apart(a, ea, e[:n], found[begin_sites:end_sites], occupied, by_a)
        else:
            loglik += sites(a, ea, product, found[begin_sites:end_sites], occupied, by_a)
        if not gradient:
            continue
        pull(site_covariates, by_a, 0, begin_sites, by_beta)
        for j in range(n):
            begin, end = first[b] + j * BLOCK, first[b] + (j + 1) * BLOCK
            x, y, z = base, base, base
            if K > 0:
                x, y = visit_covariates[rows[0], begin:end], visit_covariates[rows[1], begin:end]
                z = visit_covariates[rows[2], begin:end]
            sums = pull_detections(x, y, z, e[j], occupied)
            by_alpha[0] += sums[0]
            if K > 0:
                by_alpha[1] += sums[1]
            if K > 1:
                by_alpha[2] += sums[2]
            if K > 2:
                by_alpha[3] += sums[3]
            if K > 3:
                detections(e[j], occupied, base)
                pull(visit_covariates, base, 3, begin, by_alpha)
    return loglik
