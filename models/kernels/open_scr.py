"""Animals of an open population whose activity centres stay or move: one forward and one backward pass per animal.

An animal is first detected in primary session a and last in b. Over the M cells of habitat, with f_t the probability
of its records of session t (exp(-Λ) where it has none), ψ_a the animals there that were not detected before, and χ_b
the probability to be detected no more,

    α_a = ψ_a f_a     α_{t+1} = φ_t (K_t α_t) f_{t+1}     A = Σ α_b χ_b     β_b = χ_b     β_t = φ_t K_t' (f_{t+1} β_{t+1})

and d log A / d log f_t (m) = α_t β_t / Σ α_t β_t, the probability that the animal lived in m then. K_t is the identity
(STAY), a kernel k over cells divided by Z(m) = Σ k over the habitat around m (MOVE), or a draw from w (ANYWHERE).

Shapes: T sessions, M cells, F fields, G passes, n animals, V visits (an animal and a session with records of it), E
events (a detector's records in a visit). Cells lie on a raster of NY rows and NX columns.
"""

import math

import numpy as np

from .compiled import inner, stage

STAY, MOVE, ANYWHERE = 0, 1, 2
COUNT, BINARY, MULTI = 0, 1, 2
NONE, LEFT_OUT = -1, -2  # instead of a visit: no records in this session; the session does not count
NOTHING = 1e-60  # of the largest: cells below it send no animals


@inner
def log_excess(u, log_u):
    """log(expm1(u))."""
    if u < 1e-9:
        return log_u + 0.5 * u
    if u > 30.0:
        return u + math.log1p(-math.exp(-u))
    return math.log(math.expm1(u))


@inner
def log_ratio(u):
    """log(expm1(u)/u)."""
    return 0.5 * u if u < 1e-9 else log_excess(u, 0.0) - math.log(u)


@inner
def steepness(u):
    """d log(expm1(u)) / d log u."""
    return 1.0 + 0.5 * u if u < 1e-9 else u / (-math.expm1(-u))


@stage
def spread(source, row, column, kernel, wrap, shape, out):
    """out[m] = Σ_m' kernel(m - m') source[m'].

    source[M], out[M]; row[M], column[M] of the cells; kernel[2r + 1, 2r + 1]; wrap: the raster is a torus;
    shape: (NY, NX).
    """
    ny, nx = shape
    reach = kernel.shape[0] // 2
    whole, made = np.zeros((ny, nx)), np.zeros((ny, nx))
    least = 0.0
    for m in range(source.size):
        least = max(least, abs(source[m]))
    least *= NOTHING
    top, bottom, left, right = ny, -1, nx, -1
    for m in range(source.size):
        if abs(source[m]) > least:
            whole[row[m], column[m]] = source[m]
            top, bottom = min(top, row[m]), max(bottom, row[m])
            left, right = min(left, column[m]), max(right, column[m])
    for y in range(top, bottom + 1):
        for dy in range(-reach, reach + 1):
            to = y + dy
            if wrap:
                to %= ny
            elif to < 0 or to >= ny:
                continue
            for dx in range(-reach, reach + 1):
                weight = kernel[dy + reach, dx + reach]
                if weight == 0.0:
                    continue
                if wrap:
                    for x in range(left, right + 1):
                        made[to, (x + dx) % nx] += weight * whole[y, x]
                else:
                    for x in range(max(left, -dx), min(right, nx - 1 - dx) + 1):
                        made[to, x + dx] += weight * whole[y, x]
    for m in range(out.size):
        out[m] = made[row[m], column[m]]


@inner
def _log_records(t, v, field, field_start, void_weight, weight, event_start, event_pass, event_kind, event_count, event_exposure, event_field, log_h, out):  # fmt: skip
    """out[M] = log f of session t; v is the animal's visit then, NONE or LEFT_OUT."""
    M = out.size
    out[:] = 0.0
    if v == LEFT_OUT:
        return
    for j in range(field_start[t], field_start[t + 1]):
        exposed = void_weight[j] if v < 0 else weight[v, j - field_start[t]]
        if exposed != 0.0:
            for m in range(M):
                out[m] -= exposed * field[j, m]
    if v < 0:
        return
    for e in range(event_start[v], event_start[v + 1]):
        g, kind, count = event_pass[e], event_kind[e], event_count[e]
        log_x = math.log(event_exposure[e])
        if kind == COUNT:
            for m in range(M):
                out[m] += count * (log_x + log_h[g, m])
        elif kind == BINARY:
            for m in range(M):
                ell = log_x + log_h[g, m]
                out[m] += count * log_excess(math.exp(ell), ell)
        else:
            j = event_field[e]
            for m in range(M):
                out[m] += count * (log_x + log_h[g, m] + log_ratio(field[j, m]))


@inner
def _pull_records(t, v, p, field, field_start, void_weight, weight, event_start, event_pass, event_kind, event_count, event_exposure, event_field, log_h, d_field, d_log_h):  # fmt: skip
    """Adds the derivatives of Σ p log f to d_field[F, M] and d_log_h[G, M]."""
    M = p.size
    if v == LEFT_OUT:
        return
    for j in range(field_start[t], field_start[t + 1]):
        exposed = void_weight[j] if v < 0 else weight[v, j - field_start[t]]
        if exposed != 0.0:
            for m in range(M):
                d_field[j, m] -= exposed * p[m]
    if v < 0:
        return
    for e in range(event_start[v], event_start[v + 1]):
        g, kind, count = event_pass[e], event_kind[e], event_count[e]
        if kind == BINARY:
            log_x = math.log(event_exposure[e])
            for m in range(M):
                if p[m] != 0.0:
                    d_log_h[g, m] += p[m] * count * steepness(math.exp(log_x + log_h[g, m]))
        else:
            for m in range(M):
                d_log_h[g, m] += p[m] * count
        if kind == MULTI:
            j = event_field[e]
            for m in range(M):
                u = max(field[j, m], 1e-300)
                d_field[j, m] += p[m] * count * (steepness(u) - 1.0) / u


@inner
def _scaled(values):
    """Divides by the largest; log of it, -inf if all are 0."""
    most = 0.0
    for m in range(values.size):
        most = max(most, values[m])
    if most == 0.0:
        return -math.inf
    for m in range(values.size):
        values[m] /= most
    return math.log(most)


@inner
def _moved(mode, t, source, row, column, kernel, which, wrap, shape, around, settled, out):
    """out = K_t source."""
    if mode == MOVE:
        k = which[t]
        spread(source / around[k], row, column, kernel[k], wrap, shape, out)
    else:
        total = 0.0
        for m in range(source.size):
            total += source[m]
        for m in range(out.size):
            out[m] = total * settled[m]


@inner
def _returned(mode, t, target, row, column, kernel, which, wrap, shape, around, settled, out):
    """out = K_t' target."""
    if mode == MOVE:
        k = which[t]
        spread(target, row, column, kernel[k], wrap, shape, out)
        for m in range(out.size):
            out[m] /= around[k, m]
    else:
        total = 0.0
        for m in range(target.size):
            total += target[m] * settled[m]
        out[:] = total


@inner
def _forward(first, last, mode, move, psi, record, alpha):
    """Fills alpha[t, M], each row with the largest 1; the log of all that was taken out."""
    row, column, kernel, which, wrap, shape, around, settled = move
    total = 0.0
    for t in range(first, last + 1):
        if t == first:
            alpha[t] = psi[first]
        else:
            _moved(mode, t - 1, alpha[t - 1], row, column, kernel, which, wrap, shape, around, settled, alpha[t])
        total += _scaled(alpha[t])
        most = -math.inf
        for m in range(alpha.shape[1]):
            if alpha[t, m] > 0.0:
                most = max(most, record[t, m])
        for m in range(alpha.shape[1]):
            alpha[t, m] *= math.exp(min(record[t, m] - most, 0.0))
        total += most + _scaled(alpha[t])
        if total == -math.inf or math.isnan(total):
            return -math.inf
    return total


@inner
def _stay(first, last, log_psi, record, chi, out):
    """Activity centres that stay: log A, and out[M] the share of each cell in A."""
    most = -math.inf
    for m in range(out.size):
        ell = log_psi[first, m]
        for t in range(first, last + 1):
            ell += record[t, m]
        out[m] = ell + math.log(max(chi[m], 1e-300))
        most = max(most, out[m])
    if most == -math.inf:
        return most
    total = 0.0
    for m in range(out.size):
        out[m] = math.exp(out[m] - most)
        total += out[m]
    for m in range(out.size):
        out[m] /= total
    return most + math.log(total)


@inner
def _records(i, first, last, visit, observed, record):
    """Fills record[t, M] for t from first to last."""
    field, field_start, void_weight, weight, e0, e1, e2, e3, e4, e5, log_h = observed
    for t in range(first, last + 1):
        _log_records(t, visit[i, t], field, field_start, void_weight, weight, e0, e1, e2, e3, e4, e5, log_h, record[t])


@stage
def animals_forward(first, last, gone, visit, observed, mode, move, psi, chi, log_survival, log_a):
    """log_a[n]: log A of each animal.

    first[n], last[n]: sessions of first and last detection; gone[n]: it was taken out of the population in the last;
    visit[n, T]: the visit of each session, NONE or LEFT_OUT; observed: (field[F, M], field_start[T + 1], void_weight[F],
    weight[V, most fields of a session], event_start[V + 1], event_pass[E], event_kind[E], event_count[E],
    event_exposure[E], event_field[E], log_h[G, M]); mode: STAY, MOVE or ANYWHERE; move: (row[M], column[M],
    kernel[Q, 2r + 1, 2r + 1], which[T - 1] of them, wrap, (NY, NX), around[Q, M] = Z, settled[M] = w); psi[T, M],
    chi[T, M]; log_survival[T - 1].
    """
    T, M = psi.shape
    record, alpha, ones = np.empty((T, M)), np.empty((T, M)), np.ones(M)
    log_psi = np.log(psi)
    for i in range(first.size):
        a, b = first[i], last[i]
        _records(i, a, b, visit, observed, record)
        end = ones if gone[i] else chi[b]
        if mode == STAY:
            log_a[i] = _stay(a, b, log_psi, record, end, alpha[b])
        else:
            log_a[i] = _forward(a, b, mode, move, psi, record, alpha)
            total = 0.0
            for m in range(M):
                total += alpha[b, m] * end[m]
            log_a[i] += math.log(total)
        for t in range(a, b):
            log_a[i] += log_survival[t]


@stage
def animals_backward(first, last, gone, visit, observed, mode, move, slopes, psi, chi, weight, d_field, d_log_h, d_psi, d_chi, d_log_survival, d_move, d_settled):  # fmt: skip
    """Adds the derivatives of Σ weight log A to the arrays named d_….

    Arguments as for `animals_forward`; slopes: (kernel slopes [Q, P, 2r + 1, 2r + 1] by the P parameters of the kernel,
    around_slopes[Q, P, M]); weight[n]; d_move[T - 1, P]; d_settled[M].
    """
    T, M = psi.shape
    record, alpha, ones = np.empty((T, M)), np.empty((T, M)), np.ones(M)
    log_psi, p = np.log(psi), np.empty(M)
    row, column, kernel, which, wrap, shape, around, settled = move
    kernel_slope, around_slope = slopes
    beta, target, back, more = np.empty(M), np.empty(M), np.empty(M), np.empty(M)
    field, field_start, void_weight, own, e0, e1, e2, e3, e4, e5, log_h = observed
    for i in range(first.size):
        a, b, w = first[i], last[i], weight[i]
        if w == 0.0:
            continue
        for t in range(a, b):
            d_log_survival[t] += w
        _records(i, a, b, visit, observed, record)
        end = ones if gone[i] else chi[b]
        if mode == STAY:
            if _stay(a, b, log_psi, record, end, p) == -math.inf:
                continue
            for m in range(M):
                p[m] *= w
                if p[m] != 0.0:
                    d_psi[a, m] += p[m] / psi[a, m]
                    if not gone[i]:
                        d_chi[b, m] += p[m] / max(end[m], 1e-300)
            for t in range(a, b + 1):
                _pull_records(t, visit[i, t], p, field, field_start, void_weight, own, e0, e1, e2, e3, e4, e5, log_h, d_field, d_log_h)  # fmt: skip
            continue
        if _forward(a, b, mode, move, psi, record, alpha) == -math.inf:
            continue
        beta[:] = end
        for t in range(b, a - 1, -1):
            total = 0.0
            for m in range(M):
                p[m] = alpha[t, m] * beta[m]
                total += p[m]
            if total <= 0.0:
                break
            if t == b and not gone[i]:
                for m in range(M):
                    d_chi[b, m] += w * alpha[b, m] / total
            for m in range(M):
                p[m] *= w / total
            _pull_records(t, visit[i, t], p, field, field_start, void_weight, own, e0, e1, e2, e3, e4, e5, log_h, d_field, d_log_h)  # fmt: skip
            if t == a:
                # ψ f β / Σ ψ f β, with f up to a factor
                most = record[t].max()
                total = 0.0
                for m in range(M):
                    target[m] = math.exp(record[t, m] - most) * beta[m]
                    total += target[m] * psi[a, m]
                for m in range(M):
                    d_psi[a, m] += w * target[m] / total
                break
            # from session t to the one before
            most = record[t].max()
            for m in range(M):
                target[m] = math.exp(record[t, m] - most) * beta[m]
            _scaled(target)
            _returned(mode, t - 1, target, row, column, kernel, which, wrap, shape, around, settled, back)
            total = 0.0
            for m in range(M):
                total += alpha[t - 1, m] * back[m]
            if mode == MOVE:
                k = which[t - 1]
                source = alpha[t - 1] / around[k]
                for q in range(kernel_slope.shape[1]):
                    spread(source, row, column, kernel_slope[k, q], wrap, shape, more)
                    change = 0.0
                    for m in range(M):
                        change += target[m] * more[m] - source[m] * back[m] * around_slope[k, q, m]
                    d_move[t - 1, q] += w * change / total
            else:
                there = alpha[t - 1].sum()
                for m in range(M):
                    d_settled[m] += w * there * target[m] / total
            beta[:] = back
            _scaled(beta)
