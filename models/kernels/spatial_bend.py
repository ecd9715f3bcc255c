"""Exact second derivatives where animals are plain Gaussians: everything that differs between animals is a polynomial.

Along a direction j of the detection parameters an animal's own terms are o_j = p0 + p1 dx + p2 dy + p3 (dx² + dy²)
around its centre and the field's ∂Λ_j; along the density, the direction's field X_v. So sums over animals of q o_j are
Gaussians times polynomials, added up like Gaussians, and sums of q o_j o_k are moments up to the fourth power.
"""

import numpy as np

from .compiled import fused, inner, kept, lend, stage, wide
from .spatial_cover import box_of
from .spatial_math import exp
from .spatial_products import TILE, across_moments, all_moments, inner_product, set_rows, shape_row, square_moments
from .spatial_tables import add_gaussians, load, load_density, room_of_four, rooms


@fused
def multiply_tiles(a, b, out):
    """out = a b, three tiles."""
    for r in range(TILE):
        for c in range(out.shape[1]):
            out[r, c] = a[r, c] * b[r, c]


@inner
def room_of_rows(items):
    """Room for two rows each of so many items, in two tables; what is not used stays no more than an address."""
    n = 2 * items + 4  # full fours, one at least
    tables = rooms(2 * n // TILE + 1).reshape((-1, TILE))
    return tables[:n], tables[n : 2 * n]


@inner
def add_polynomials(start, item, t, place, g, weight, polynomials, j, across, down, whole, out):
    """out [32, 32] = Σ weight · Gaussian · polynomial j of its item, polynomials [K, D, 4]."""
    n, table = np.int64(0), g.table
    for e in range(start[t], start[t + 1]):
        k = item[e]
        x, y, w = g.span[k, 0] + place[0], g.span[k, 1] + place[1], weight[k]
        ox, oy = TILE * place[0] - g.centre[k, 0], TILE * place[1] - g.centre[k, 1]
        p0, p1, p2, p3 = polynomials[k, j, 0], polynomials[k, j, 1], polynomials[k, j, 2], polynomials[k, j, 3]
        shape_row(w * p0, w * p1, w * p3, table, x, ox, across, n)
        shape_row(1.0, 0.0, 0.0, table, y, oy, down, n)
        n += 1
        if p2 != 0.0 or p3 != 0.0:
            shape_row(w, 0.0, 0.0, table, x, ox, across, n)
            shape_row(0.0, p2, p3, table, y, oy, down, n)
            n += 1
    set_full_fours(across, down, n, whole, out)


@inner
def set_full_fours(across, down, n, box, out):
    """`set_rows` of any number of rows, with room for three more."""
    full = max((n + 3) & -4, 4)
    across[n:full] = 0.0
    down[n:full] = 0.0
    set_rows(across, down, full, box, out)


@fused
def densities(mu, unseen, posterior, d_detected, escaping):
    """mu becomes exp(log mu), escaping = posterior - d_detected unseen."""
    wide()
    for r in range(TILE):
        for c in range(mu.shape[1]):
            mu[r, c] = exp(mu[r, c])
            escaping[r, c] = posterior[r, c] - d_detected * unseen[r, c]


@inner
def shared_second(mu, unseen, escaping, scores, n_fields, cross, d_detected, product, whole, detected, second):
    """What all animals share: fields X, then -∂Λ_j, of `scores` [U, 32, 32]; cross [D, 32, 32] = Σ share q o_j."""
    size = scores.shape[0]
    for a in range(size):
        multiply_tiles(escaping, scores[a], product)
        for b in range(a, size):
            second[a, b] += inner_product(product, scores[b], whole)
        for j in range(cross.shape[0]):
            b, more = n_fields + j, inner_product(scores[a], cross[j], whole)
            second[min(a, b), max(a, b)] += 2.0 * more if a == b else more
        detected[a] -= inner_product(unseen, scores[a], whole)
        if a < n_fields:
            detected[a] += inner_product(mu, scores[a], whole)
            multiply_tiles(mu, scores[a], product)
            for b in range(a, n_fields):
                second[a, b] += d_detected * inner_product(product, scores[b], whole)


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


@inner
def square_passes(start, item, box, t, place, g, field, out):
    """out [entries, 3]: Σ q, Σ q d², Σ q d⁴ of q = field · Gaussian for the items of tile t."""
    for e in range(start[t], start[t + 1]):
        k = item[e]
        x, y = g.span[k, 0] + place[0], g.span[k, 1] + place[1]
        ox, oy = TILE * place[0] - g.centre[k, 0], TILE * place[1] - g.centre[k, 1]
        found = square_moments(g.table, x, g.table, y, field, ox, oy, box_of(np.int64(box[e])))
        out[e, 0], out[e, 1], out[e, 2] = found


@stage
def bend(
    tiles, t0, t1, density, unseen, animals, share, passes, d_detected, fields, of_animals, of_passes,
    mean, around, squares, detected, second, own,
):  # fmt: skip
    """Second derivatives along V fields of log mu and D directions of detection.

    fields [V, M]: the directions of log mu, the last is 1 (and need not be there: [V - 1, M]); of_animals [n, D, 4],
    of_passes [G, D, 4]: the derivative of each Gaussian, of passes minus that, as a polynomial around its centre. Fills
    mean [entries, V + D], the moments of share-free posteriors, and around [entries, 3], their Σ q dx, Σ q dy, Σ q d²
    from the animals' centres; squares [entries, 3]: Σ q, Σ q d², Σ q d⁴ of minus the derivative by Λ; adds to detected
    [T, V + D], second [T, V + D, V + D] (upper triangle) and own [T, D, D].
    """
    wide()
    size, moving = detected.shape[1], of_animals.shape[1]
    n_fields = size - moving
    owned = room_of_four(), rooms(4 + size + moving), room_of_rows(len(of_passes)), room_of_rows(len(of_animals))
    tiles, density, unseen, animals, share, passes = lend((tiles, density, unseen, animals, share, passes))
    fields, of_animals, of_passes, mean, around = lend((fields, of_animals, of_passes, mean, around))
    squares, detected, second, own = lend((squares, detected, second, own))
    four, room, of_p, of_a = lend(owned)
    a_start, a_item, a_box, a = animals
    d_start, d_item, d_box, d, weight = passes
    mu, posterior, escaping, product = room[0], room[1], room[2], room[3]
    scores, cross = room[4 : 4 + size], room[4 + size : 4 + size + moving]
    whole = box_of(np.int64(TILE << 8 | TILE << 24))
    for t in range(t0, t1):
        place, here = tiles.place[t], unseen[t]
        for v in range(n_fields - 1):
            load(fields[v], tiles, t, 0.0, scores[v])
        scores[n_fields - 1] = 1.0
        for j in range(moving):
            add_polynomials(d_start, d_item, t, place, d, weight, of_passes, j, *of_p, whole, scores[n_fields + j])
            add_polynomials(a_start, a_item, t, place, a, share, of_animals, j, *of_a, whole, cross[j])
            multiply_tiles(here, cross[j], cross[j])
        posterior[:] = 0.0
        add_gaussians(a_start, a_item, a_box, t, tiles, a.span, a.table, share, four, fields[:0], posterior)
        multiply_tiles(here, posterior, posterior)
        load_density(density, tiles, t, mu)
        densities(mu, here, posterior, d_detected, escaping)
        shared_second(mu, here, escaping, scores, n_fields, cross, d_detected, product, whole, detected[t],
                      second[t])  # fmt: skip
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
            around[e, 0], around[e, 1], around[e, 2] = m[1], m[2], m[3] + m[4]
        for v in range(size):
            if v == n_fields - 1:
                continue
            multiply_tiles(here, scores[v], product)
            for e in range(a_start[t], a_start[t + 1]):
                i = a_item[e]
                x, y = a.span[i, 0] + place[0], a.span[i, 1] + place[1]
                total = across_moments(a.table, x, a.table, y, product, 0.0, box_of(np.int64(a_box[e])))[0]
                mean[e, v] = total if v < n_fields else mean[e, v] + total
        square_passes(d_start, d_item, d_box, t, place, d, escaping, squares)
    kept(owned)
