"""Mixtures over the number of animals at a site, summed upwards by ratios of terms until what is left cannot matter.

Prior of N in Panjer's class: P(n + 1) / P(n) = (b n + c) / (n + 1), P(0) = exp(log_p0): Poisson with b = 0, c = λ;
negative binomial of mean μ and size a with b = μ / (μ + a), c = a b. No term needs an exponential or a gamma function.
The ratio of successive terms never exceeds a bound that only falls, so the sum over all larger n is below a geometric
series: `last` says where the sum ended, and what is missing is less than TOLERANCE of it. (Panjer 1981, ASTIN Bulletin
12:22; the need for it: Dennis, Morgan & Ridout 2015, Biometrics 71:237.)

N sites, V visits in the order of their sites: site i has the visits start[i] ≤ v < start[i + 1].
"""

import math

import numpy as np
from numba import njit

TOLERANCE = 1e-15
HUGE = 1e200  # terms above this are scaled down by it
LOG_HUGE = 460.51701859880916


@njit(nogil=True, cache=True, error_model="numpy")
def binomial_counts(b, c, log_p0, p, count, start, most, total, mean, square, by_b, by_c, last):
    """Counts of animals that are each seen with p on a visit (Royle 2004, Biometrics 60:108, eq. 2).

    In: b[N], c[N], log_p0[N] prior; p[V]; count[V]; most = the largest n summed.
    Out: total[N] log-likelihood; mean[N] of n and square[N] of n² given the counts; by_b[N], by_c[N] derivatives;
    last[N]. The derivative with respect to p[v] is y/p - (mean - y)/(1 - p).
    """
    for i in range(b.size):
        n0, q, base = 0, 1.0, log_p0[i]
        for v in range(start[i], start[i + 1]):
            n0 = max(n0, count[v])
            q *= 1.0 - p[v]
        for v in range(start[i], start[i + 1]):
            y = count[v]
            base += (
                math.lgamma(n0 + 1.0) - math.lgamma(y + 1.0) - math.lgamma(n0 - y + 1.0) + (n0 - y) * math.log1p(-p[v])
            )
            if y > 0:
                base += y * math.log(p[v])
        sum_b, sum_c = 0.0, 0.0
        for m in range(n0):
            base += math.log((b[i] * m + c[i]) / (m + 1.0))
            sum_b += m / (b[i] * m + c[i])
            sum_c += 1.0 / (b[i] * m + c[i])
        n, term = n0, 1.0
        whole, first, second, whole_b, whole_c = 1.0, n0 * 1.0, n0 * 1.0 * n0, sum_b, sum_c
        while n < most:
            choose, out_of = 1.0, 1.0
            for v in range(start[i], start[i + 1]):
                if count[v] > 0:
                    choose *= n + 1.0
                    out_of *= n + 1.0 - count[v]
            seen = q * choose / out_of
            prior = (b[i] * n + c[i]) / (n + 1.0)
            falling = max(prior, b[i]) * seen
            if falling < 1.0 and term * falling * (n + 1.0) < TOLERANCE * whole * (1.0 - falling):
                break
            sum_b += n / (b[i] * n + c[i])
            sum_c += 1.0 / (b[i] * n + c[i])
            n += 1
            term *= prior * seen
            whole += term
            first += term * n
            second += term * n * n
            whole_b += term * sum_b
            whole_c += term * sum_c
            if whole > HUGE:
                base += LOG_HUGE
                term, whole, first, second = term / HUGE, whole / HUGE, first / HUGE, second / HUGE
                whole_b, whole_c = whole_b / HUGE, whole_c / HUGE
        total[i] = base + math.log(whole)
        mean[i] = first / whole
        square[i] = second / whole
        by_b[i] = whole_b / whole
        by_c[i] = whole_c / whole
        last[i] = n


@njit(nogil=True, cache=True, error_model="numpy")
def any_detection(b, c, log_p0, r, seen, start, most, total, mean, none, by_b, by_c, by_r, last):
    """Visits that find at least one of n animals, each with r: 1 - (1 - r)^n (Royle & Nichols 2003, Ecology 84:777).

    In: b[N], c[N], log_p0[N] prior; r[V]; seen[V]; most = the largest n summed.
    Out: total[N] log-likelihood; mean[N] of n given the visits; none[N] probability that n = 0 given the visits;
    by_b[N], by_c[N], by_r[V] derivatives; last[N].
    With v_n = 1 - (1 - r)^n: v_{n+1} = (1 - r) v_n + r and dv_{n+1}/dr = (1 - r) dv_n/dr + 1 - v_n; no cancellation.
    """
    longest = 0
    for i in range(b.size):
        longest = max(longest, start[i + 1] - start[i])
    found, slope = np.empty(longest), np.empty(longest)
    for i in range(b.size):
        begin, end = start[i], start[i + 1]
        some, q = False, 1.0
        for v in range(begin, end):
            if seen[v]:
                some = True
            else:
                q *= 1.0 - r[v]
            by_r[v] = 0.0
            found[v - begin], slope[v - begin] = 0.0, 0.0
        base, n, weight = log_p0[i], 0, 1.0
        sum_b, sum_c = 0.0, 0.0
        whole, first, whole_b, whole_c = (0.0 if some else 1.0), 0.0, 0.0, 0.0
        zero = whole
        while n < most:
            prior = (b[i] * n + c[i]) / (n + 1.0)
            falling = max(prior, b[i]) * q
            if n > 0 and falling < 1.0 and weight * falling * (n + 1.0) < TOLERANCE * whole * (1.0 - falling):
                break
            sum_b += n / (b[i] * n + c[i])
            sum_c += 1.0 / (b[i] * n + c[i])
            n += 1
            weight *= prior * q
            term = weight
            for v in range(begin, end):
                if seen[v]:
                    j = v - begin
                    slope[j] = (1.0 - r[v]) * slope[j] + 1.0 - found[j]
                    found[j] = (1.0 - r[v]) * found[j] + r[v]
                    term *= found[j]
            for v in range(begin, end):
                if seen[v]:
                    by_r[v] += term * slope[v - begin] / found[v - begin]
            whole += term
            first += term * n
            whole_b += term * sum_b
            whole_c += term * sum_c
            if weight > HUGE:
                base += LOG_HUGE
                weight, whole, first, zero = weight / HUGE, whole / HUGE, first / HUGE, zero / HUGE
                whole_b, whole_c = whole_b / HUGE, whole_c / HUGE
                for v in range(begin, end):
                    by_r[v] /= HUGE
        total[i] = base + math.log(whole)
        mean[i] = first / whole
        none[i] = zero / whole
        by_b[i] = whole_b / whole
        by_c[i] = whole_c / whole
        last[i] = n
        for v in range(begin, end):
            by_r[v] = by_r[v] / whole if seen[v] else -mean[i] / (1.0 - r[v])
