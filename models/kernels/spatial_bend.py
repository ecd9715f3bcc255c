"""Exact second derivatives where animals are plain Gaussians: everything that differs between animals is a polynomial.

Along a direction j of the detection parameters an animal's own terms are o_j = p0 + p1 dx + p2 dy + p3 (dx² + dy²)
around its centre and the field's ∂Λ_j; along the density, the direction's field X_v. So sums over animals of q o_j are
Gaussians times polynomials, added up like Gaussians, and sums of q o_j o_k are moments up to the fourth power.
"""

import numpy as np

from .compiled import fused, inner, kept, lend, stage, wide
from .spatial_cover import box_of
from .spatial_curve import inner_product, multiply_tiles
from .spatial_math import exp
from .spatial_products import TILE, across_moments, all_moments, set_rows, square_moments
from .spatial_tables import add_gaussians, load, load_density, room_of_four, rooms


@fused
def _rows(table, x, y, ox, oy, weight, p, across, down, n):
    """Two rows each of `across` and `down` for Gaussian · weight · (p0 + p1 dx + p2 dy + p3 (dx² + dy²))."""
    for c in range(across.shape[1]):
        d = ox + c
        across[n, c] = weight * table[x, c] * (p[0] + d * (p[1] + p[3] * d))
        across[n + 1, c] = weight * table[x, c]
    for c in range(across.shape[1]):
        d = oy + c
        down[n, c] = table[y, c]
        down[n + 1, c] = table[y, c] * d * (p[2] + p[3] * d)


@inner
def _room_of_rows(start, t0, t1):
    """Room for two rows each of the longest list among the tiles [t0, t1), in two tables."""
    n = 0
    for t in range(t0, t1):
        n = max(n, start[t + 1] - start[t])
    n = 2 * n + 3  # full fours
    tables = rooms(2 * n // TILE + 1).reshape((-1, TILE))
    return tables[:n], tables[n : 2 * n]


@inner
def _add_polynomials(start, item, t, place, g, weight, polynomials, j, across, down, out):
    """out [32, 32] = Σ weight · Gaussian · polynomial j of its item, polynomials [K, D, 4]."""
    n = 0
    for e in range(start[t], start[t + 1]):
        k = item[e]
        x, y = g.span[k, 0] + place[0], g.span[k, 1] + place[1]
        ox, oy = TILE * place[0] - g.centre[k, 0], TILE * place[1] - g.centre[k, 1]
        _rows(g.table, x, y, ox, oy, weight[k], polynomials[k, j], across, down, n)
        n += 2
    if n == 0:
        out[:] = 0.0
        return
    for row in range(n, (n + 3) & -4):
        for c in range(across.shape[1]):
            across[row, c] = 0.0
            down[row, c] = 0.0
    set_rows(across, down, (n + 3) & -4, (0, TILE, 0, TILE), out)


@fused
def _densities(mu, unseen, posterior, d_detected, escaping):
    """mu becomes exp(log mu), posterior is multiplied by unseen, escaping = posterior - d_detected unseen."""
    wide()
    for r in range(TILE):
        for c in range(mu.shape[1]):
            mu[r, c] = exp(mu[r, c])
            posterior[r, c] *= unseen[r, c]
            escaping[r, c] = posterior[r, c] - d_detected * unseen[r, c]


@inner
def _shared(mu, unseen, escaping, scores, n_fields, cross, d_detected, product, detected, second):
    """What all animals share: fields X, then -∂Λ_j, of `scores` [U, 32, 32]; cross [D, 32, 32] = Σ share q o_j."""
    size = scores.shape[0]
    for a in range(size):
        multiply_tiles(escaping, scores[a], 0, TILE, product)
        for b in range(a, size):
            second[a, b] += inner_product(product, scores[b], 0, TILE)
        for j in range(cross.shape[0]):
            second[min(a, n_fields + j), max(a, n_fields + j)] += inner_product(scores[a], cross[j], 0, TILE)
            if a == n_fields + j:
                second[a, a] += inner_product(scores[a], cross[j], 0, TILE)
        detected[a] -= inner_product(unseen, scores[a], 0, TILE)
        if a < n_fields:
            detected[a] += inner_product(mu, scores[a], 0, TILE)
            multiply_tiles(mu, scores[a], 0, TILE, product)
            for b in range(a, n_fields):
                second[a, b] += d_detected * inner_product(product, scores[b], 0, TILE)


@inner
def _own_second(p, m, share, own):
    """own [D, D] += share Σ q o_j o_k (j ≤ k) from the moments m = Σ q dx^a dy^b of one animal."""
    for j in range(p.shape[0]):
        for k in range(j, p.shape[0]):
            a, b = p[j], p[k]
            d2 = a[0] * b[3] + a[3] * b[0]
            own[j, k] += share * (
                a[0] * b[0] * m[0]
                + (a[0] * b[1] + a[1] * b[0]) * m[1]
                + (a[0] * b[2] + a[2] * b[0]) * m[2]
                + (d2 + a[1] * b[1]) * m[3]
                + (d2 + a[2] * b[2]) * m[4]
                + (a[1] * b[2] + a[2] * b[1]) * m[5]
                + (a[1] * b[3] + a[3] * b[1]) * m[6]
                + (a[2] * b[3] + a[3] * b[2]) * m[7]
                + a[3] * b[3] * m[8]
            )


@stage
def bend(
    tiles, t0, t1, density, unseen, animals, share, passes, d_detected, fields, of_animals, of_passes,
    mean, squares, detected, second, own,
):  # fmt: skip
    """Second derivatives along V fields of log mu and D directions of detection.

    fields [V, M]: the directions of log mu, the last is 1 (and need not be there: [V - 1, M]); of_animals [n, D, 4],
    of_passes [G, D, 4]: the derivative of each Gaussian as a polynomial around its centre. Fills mean [entries, V + D],
    the moments of share-free posteriors; squares [entries, 3]: Σ q, Σ q d², Σ q d⁴ of the derivative by Λ; adds to
    detected [T, V + D], second [T, V + D, V + D] (upper triangle) and own [T, D, D].
    """
    wide()
    size, moving = detected.shape[1], of_animals.shape[1]
    n_fields = size - moving
    owned = (room_of_four(), rooms(4 + size + moving), _room_of_rows(passes[0], t0, t1),
             _room_of_rows(animals[0], t0, t1), np.ones(len(of_passes)))  # fmt: skip
    tiles, density, unseen, animals, share, passes = lend((tiles, density, unseen, animals, share, passes))
    fields, of_animals, of_passes, mean = lend((fields, of_animals, of_passes, mean))
    squares, detected, second, own = lend((squares, detected, second, own))
    four, room, of_p, of_a, ones = lend(owned)
    a_start, a_item, a_box, a = animals
    d_start, d_item, d_box, d, _ = passes
    mu, posterior, escaping, product = room[0], room[1], room[2], room[3]
    scores, cross = room[4 : 4 + size], room[4 + size : 4 + size + moving]
    for t in range(t0, t1):
        place, here = tiles.place[t], unseen[t]
        for v in range(n_fields - 1):
            load(fields[v], tiles, t, 0.0, scores[v])
        scores[n_fields - 1] = 1.0
        for j in range(moving):
            into = scores[n_fields + j]
            _add_polynomials(d_start, d_item, t, place, d, ones, of_passes, j, of_p[0], of_p[1], into)
            for r in range(TILE):
                for c in range(into.shape[1]):
                    into[r, c] = -into[r, c]
            _add_polynomials(a_start, a_item, t, place, a, share, of_animals, j, of_a[0], of_a[1], cross[j])
            multiply_tiles(here, cross[j], 0, TILE, cross[j])
        posterior[:] = 0.0
        add_gaussians(a_start, a_item, a_box, t, tiles, a.span, a.table, share, four, fields[:0], posterior)
        load_density(density, tiles, t, mu)
        _densities(mu, here, posterior, d_detected, escaping)
        _shared(mu, here, escaping, scores, n_fields, cross, d_detected, product, detected[t], second[t])
        for e in range(a_start[t], a_start[t + 1]):
            i = a_item[e]
            x, y = a.span[i, 0] + place[0], a.span[i, 1] + place[1]
            ox, oy = TILE * place[0] - a.centre[i, 0], TILE * place[1] - a.centre[i, 1]
            m = all_moments(a.table, x, a.table, y, here, ox, oy, box_of(np.int64(a_box[e])))
            p = of_animals[i]
            _own_second(p, m, share[i], own[t])
            for j in range(moving):
                mean[e, n_fields + j] = p[j, 0] * m[0] + p[j, 1] * m[1] + p[j, 2] * m[2] + p[j, 3] * (m[3] + m[4])
            mean[e, n_fields - 1] = m[0]
        for v in range(size):
            if v == n_fields - 1:
                continue
            multiply_tiles(here, scores[v], 0, TILE, product)
            for e in range(a_start[t], a_start[t + 1]):
                i = a_item[e]
                x, y = a.span[i, 0] + place[0], a.span[i, 1] + place[1]
                total = across_moments(a.table, x, a.table, y, product, 0.0, box_of(np.int64(a_box[e])))[0]
                mean[e, v] = total if v < n_fields else mean[e, v] + total
        for r in range(TILE):
            for c in range(escaping.shape[1]):
                escaping[r, c] = -escaping[r, c]
        for e in range(d_start[t], d_start[t + 1]):
            k = d_item[e]
            x, y = d.span[k, 0] + place[0], d.span[k, 1] + place[1]
            ox, oy = TILE * place[0] - d.centre[k, 0], TILE * place[1] - d.centre[k, 1]
            box = box_of(np.int64(d_box[e]))
            found = square_moments(d.table, x, d.table, y, escaping, ox, oy, box)
            squares[e, 0], squares[e, 1], squares[e, 2] = found
    kept(owned)
