"""Animals of an open population whose activity centres stay or move: one forward and one backward pass per animal.

An animal is first detected in primary session a and last in b. Over the M cells of habitat, with f_t the probability
of its records of session t (exp(-Λ) where it has none), ψ_a the animals there that were not detected before, and χ_b
the probability to be detected no more,

    α_a = ψ_a f_a     α_{t+1} = φ_t (K_t α_t) f_{t+1}     A = Σ α_b χ_b
    β_b = χ_b         β_t = φ_t K_t' (f_{t+1} β_{t+1})

and d log A / d log f_t (m) = α_t β_t / Σ α_t β_t, the probability that the animal lived in m then. K_t is the identity
(STAY), a kernel k over cells divided by Z(m) = Σ k over the habitat around m (MOVE), or a draw from w (ANYWHERE).

Shapes: T sessions, M cells, F fields, G passes, n animals, V visits (an animal and a session with records of it), E
events (a detector's records in a visit). Cells lie on a raster of NY rows and NX columns.
"""

import math
from collections import namedtuple

import numpy as np

from .compiled import inner, stage

STAY, MOVE, ANYWHERE = 0, 1, 2
COUNT, BINARY, MULTI = 0, 1, 2
NONE, LEFT_OUT = -1, -2  # instead of a visit: no records in this session; the session does not count
NOTHING = 1e-60  # of the largest: cells below it send no animals

# field[F, M] Λ; start[T + 1] of each session's fields; void[F] exposure of an animal that is never detected;
# weight[V, most fields of a session] that of each visit; event_start[V + 1]; of events [E] the pass g, kind, count,
# exposure and field; log_h[G, M]
Observed = namedtuple("Observed", "field start void weight event_start g kind count exposure event_field log_h")
# row[M], column[M] of the cells; kernel[Q, 2r + 1, 2r + 1]; slope[Q, P, 2r + 1, 2r + 1] by the P parameters of the
# kernel; which[T - 1] kernel of each interval; wrap: the raster is a torus; shape (NY, NX); around[Q, M] Z and
# around_slope[Q, P, M]; settled[M] w
Moves = namedtuple("Moves", "row column kernel slope which wrap shape around around_slope settled")
# derivatives by the arrays of these names; log_survival[T - 1], move[T - 1, P]
Collected = namedtuple("Collected", "field log_h psi chi log_survival move settled")


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
def _log_records(t, v, seen, out):
    """out[M] = log f of session t; v is the animal's visit then, NONE or LEFT_OUT."""
    M = out.size
    out[:] = 0.0
    if v == LEFT_OUT:
        return
    for j in range(seen.start[t], seen.start[t + 1]):
        exposed = seen.void[j] if v < 0 else seen.weight[v, j - seen.start[t]]
        if exposed != 0.0:
            for m in range(M):
                out[m] -= exposed * seen.field[j, m]
    if v < 0:
        return
    for e in range(seen.event_start[v], seen.event_start[v + 1]):
        g, count, log_x = seen.g[e], seen.count[e], math.log(seen.exposure[e])
        if seen.kind[e] == COUNT:
            for m in range(M):
                out[m] += count * (log_x + seen.log_h[g, m])
        elif seen.kind[e] == BINARY:
            for m in range(M):
                ell = log_x + seen.log_h[g, m]
                out[m] += count * log_excess(math.exp(ell), ell)
        else:
            j = seen.event_field[e]
            for m in range(M):
                out[m] += count * (log_x + seen.log_h[g, m] + log_ratio(seen.field[j, m]))


@inner
def _pull_records(t, v, p, seen, d_field, d_log_h):
    """Adds the derivatives of Σ p log f to d_field[F, M] and d_log_h[G, M]."""
    M = p.size
    if v == LEFT_OUT:
        return
    for j in range(seen.start[t], seen.start[t + 1]):
        exposed = seen.void[j] if v < 0 else seen.weight[v, j - seen.start[t]]
        if exposed != 0.0:
            for m in range(M):
                d_field[j, m] -= exposed * p[m]
    if v < 0:
        return
    for e in range(seen.event_start[v], seen.event_start[v + 1]):
        g, count = seen.g[e], seen.count[e]
        if seen.kind[e] == BINARY:
            log_x = math.log(seen.exposure[e])
            for m in range(M):
                if p[m] != 0.0:
                    d_log_h[g, m] += p[m] * count * steepness(math.exp(log_x + seen.log_h[g, m]))
        else:
            for m in range(M):
                d_log_h[g, m] += p[m] * count
        if seen.kind[e] == MULTI:
            j = seen.event_field[e]
            for m in range(M):
                u = max(seen.field[j, m], 1e-300)
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
def _moved(mode, t, source, move, out):
    """out = K_t source."""
    if mode == MOVE:
        k = move.which[t]
        spread(source / move.around[k], move.row, move.column, move.kernel[k], move.wrap, move.shape, out)
    else:
        total = 0.0
        for m in range(source.size):
            total += source[m]
        for m in range(out.size):
            out[m] = total * move.settled[m]


@inner
def _returned(mode, t, target, move, out):
    """out = K_t' target."""
    if mode == MOVE:
        k = move.which[t]
        spread(target, move.row, move.column, move.kernel[k], move.wrap, move.shape, out)
        for m in range(out.size):
            out[m] /= move.around[k, m]
    else:
        total = 0.0
        for m in range(target.size):
            total += target[m] * move.settled[m]
        out[:] = total


@inner
def _forward(first, last, mode, move, psi, record, alpha):
    """Fills alpha[t, M], each row with the largest 1; the log of all that was taken out."""
    total = 0.0
    for t in range(first, last + 1):
        if t == first:
            alpha[t] = psi[first]
        else:
            _moved(mode, t - 1, alpha[t - 1], move, alpha[t])
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
def _records(i, first, last, visit, seen, record):
    """Fills record[t, M] for t from first to last."""
    for t in range(first, last + 1):
        _log_records(t, visit[i, t], seen, record[t])


@stage
def animals_forward(first, last, gone, visit, seen, mode, move, psi, chi, log_survival, log_a):
    """log_a[n]: log A of each animal.

    first[n], last[n]: sessions of first and last detection; gone[n]: it was taken out of the population in the last;
    visit[n, T]: the visit of each session, NONE or LEFT_OUT; seen: Observed; mode: STAY, MOVE or ANYWHERE; move:
    Moves; psi[T, M], chi[T, M]; log_survival[T - 1].
    """
    T, M = psi.shape
    record, alpha, ones = np.empty((T, M)), np.empty((T, M)), np.ones(M)
    log_psi = np.log(psi)
    for i in range(first.size):
        a, b = first[i], last[i]
        _records(i, a, b, visit, seen, record)
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


@inner
def _pull_staying(i, w, first, last, gone, visit, seen, p, psi, chi, add):
    """Adds the derivatives of one animal that stays; p[M]: where it lives."""
    a, b = first[i], last[i]
    for m in range(p.size):
        p[m] *= w
        if p[m] != 0.0:
            add.psi[a, m] += p[m] / psi[a, m]
            if not gone[i]:
                add.chi[b, m] += p[m] / max(chi[b, m], 1e-300)
    for t in range(a, b + 1):
        _pull_records(t, visit[i, t], p, seen, add.field, add.log_h)


@inner
def _pull_move(t, w, mode, move, source, target, back, more, add):
    """Adds the derivatives of one move, from session t to t + 1, by the movement.

    source[M]: α_t; target[M]: f β of session t + 1 up to a factor; back = K_t' target.
    """
    total = 0.0
    for m in range(source.size):
        total += source[m] * back[m]
    if mode == MOVE:
        k = move.which[t]
        over = source / move.around[k]
        for q in range(move.slope.shape[1]):
            spread(over, move.row, move.column, move.slope[k, q], move.wrap, move.shape, more)
            change = 0.0
            for m in range(source.size):
                change += target[m] * more[m] - over[m] * back[m] * move.around_slope[k, q, m]
            add.move[t, q] += w * change / total
    else:
        there = source.sum()
        for m in range(source.size):
            add.settled[m] += w * there * target[m] / total


@inner
def _pull_moving(i, w, first, last, gone, visit, seen, mode, move, psi, chi, record, alpha, work, add):
    """Adds the derivatives of one animal that moves, from the last session back; alpha as made by `_forward`."""
    p, beta, target, back, more = work
    a, b = first[i], last[i]
    beta[:] = 1.0
    if not gone[i]:
        beta[:] = chi[b]
    for t in range(b, a - 1, -1):
        total = 0.0
        for m in range(p.size):
            p[m] = alpha[t, m] * beta[m]
            total += p[m]
        if total <= 0.0:
            return
        if t == b and not gone[i]:
            for m in range(p.size):
                add.chi[b, m] += w * alpha[b, m] / total
        for m in range(p.size):
            p[m] *= w / total
        _pull_records(t, visit[i, t], p, seen, add.field, add.log_h)
        most = record[t].max()
        for m in range(p.size):
            target[m] = math.exp(record[t, m] - most) * beta[m]
        _scaled(target)
        if t > a:
            _returned(mode, t - 1, target, move, back)
            _pull_move(t - 1, w, mode, move, alpha[t - 1], target, back, more, add)
            beta[:] = back
            _scaled(beta)
    total = 0.0
    for m in range(p.size):
        total += target[m] * psi[a, m]
    for m in range(p.size):
        add.psi[a, m] += w * target[m] / total


@stage
def animals_backward(first, last, gone, visit, seen, mode, move, psi, chi, weight, add):
    """Adds the derivatives of Σ weight log A to the arrays of `add`, a Collected; weight[n].

    Other arguments as for `animals_forward`.
    """
    T, M = psi.shape
    record, alpha, ones = np.empty((T, M)), np.empty((T, M)), np.ones(M)
    log_psi, p = np.log(psi), np.empty(M)
    work = (p, np.empty(M), np.empty(M), np.empty(M), np.empty(M))
    for i in range(first.size):
        a, b, w = first[i], last[i], weight[i]
        if w == 0.0:
            continue
        for t in range(a, b):
            add.log_survival[t] += w
        _records(i, a, b, visit, seen, record)
        if mode == STAY:
            end = ones if gone[i] else chi[b]
            if _stay(a, b, log_psi, record, end, p) > -math.inf:
                _pull_staying(i, w, first, last, gone, visit, seen, p, psi, chi, add)
        elif _forward(a, b, mode, move, psi, record, alpha) > -math.inf:
            _pull_moving(i, w, first, last, gone, visit, seen, mode, move, psi, chi, record, alpha, work, add)
