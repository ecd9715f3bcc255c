"""Gaussian hazards: spread (detectors → cells), integrate (cells → animals) and back again.

On a raster a Gaussian is separable. On a tile of 32 × 32 cells a sum of Gaussians is the matrix product Gy' Gx, and the
integral of a field against each of them is rowsum((Gy W) ∘ Gx). These products are the whole cost. Each kernel works on
the tiles [t0, t1) and writes only there, so that tiles may be shared among threads in any way without changing a digit.
Where the tables are detection probabilities g, `chances`, the hazard −log(1 − g) is taken cell by cell.
"""

import numpy as np

from .compiled import fused, inner, stage, summing, wide
from .spatial_math import exp, exp_parts, hazard, hazard_low, hazard_tiny, odds
from .spatial_tables import TILE, load, pack, rooms, scale_rows, store, summit, tile_moments, transpose, workspace


@fused
def add_hazard(gx, gy, top, weight, out):
    """out [32, 32] += weight · h(gy gx), gy gx ≤ top."""
    if top <= 0.02:
        for r in range(TILE):
            a = gy[r]
            for c in range(out.shape[1]):
                out[r, c] += weight * hazard_tiny(a * gx[c])
    elif top <= 0.25:
        for r in range(TILE):
            a = gy[r]
            for c in range(out.shape[1]):
                out[r, c] += weight * hazard_low(a * gx[c])
    else:
        for r in range(TILE):
            a = gy[r]
            for c in range(out.shape[1]):
                out[r, c] += weight * hazard(a * gx[c])


@inner
def add_field(start, item, t, place, g, weight, chances, work, out):
    """out [32, 32] = Σ weight · hazard of the passes packed in work[0], work[1]; work[2] is spoilt."""
    n = start[t + 1] - start[t]
    out[:] = 0.0
    if n == 0:
        return
    if chances:
        for e in range(n):
            k = item[start[t] + e]
            if weight[k] != 0.0:
                add_hazard(work[0, e], work[1, e], summit(g, k, place)[2], weight[k], out)
    else:
        scale_rows(start, item, t, weight, work[1], work[2])
        np.dot(work[2, :n].T, work[0, :n], out)


@fused
def _survive(mu, hazard, unseen, lanes):
    """unseen = mu exp(-hazard); lanes [3, 32]: columns of Σ mu (1 - exp(-hazard)), Σ mu and the greatest log mu.

    A mu that is not finite makes the sums nan.
    """
    wide()
    for r in range(TILE):
        for c in range(unseen.shape[1]):
            m = exp(mu[r, c]) if mu[r, c] < 709.0 else np.nan
            scale, p = exp_parts(max(-hazard[r, c], -708.0))
            unseen[r, c] = m * (scale + scale * p)
            lanes[0, c] += m * ((1.0 - scale) - scale * p)
            lanes[1, c] += m
            lanes[2, c] = max(lanes[2, c], mu[r, c])


@stage
def spread(tiles, t0, t1, log_mu, passes, chances, unseen, sums):
    """Fills unseen [T, 32, 32] = mu exp(-Λ) and sums [T, 3] = Σ mu (1 - exp(-Λ)), Σ mu, greatest log mu.

    log_mu [M]; passes: (start, item, Gaussians, weight), Λ = Σ weight · hazard.
    """
    wide()
    start, item, g, weight = passes
    work = workspace(start, t0, t1, 4)
    mu, hazards, lanes = np.empty((TILE, TILE)), np.zeros((TILE, TILE)), np.empty((3, TILE))
    for t in range(t0, t1):
        n = start[t + 1] - start[t]
        pack(start, item, g, tiles.place[t], t, work[0], work[1])
        if chances:
            add_field(start, item, t, tiles.place[t], g, weight, chances, work, hazards)
        elif n:
            np.dot(work[1, :n].T, work[0, :n], hazards)
        else:
            hazards[:] = 0.0
        load(log_mu, tiles, t, -np.inf, mu)
        lanes[:2] = 0.0
        lanes[2] = -np.inf
        _survive(mu, hazards, unseen[t], lanes)
        sums[t, 0], sums[t, 1], sums[t, 2] = 0.0, 0.0, -np.inf
        for c in range(TILE):
            sums[t, 0] += lanes[0, c]
            sums[t, 1] += lanes[1, c]
            sums[t, 2] = max(sums[t, 2], lanes[2, c])


@summing
def _row_products(n, a, b, out):
    """out[k] = Σ_c a[k, c] b[k, c]."""
    for k in range(n):
        s = 0.0
        for c in range(a.shape[1]):
            s += a[k, c] * b[k, c]
        out[k] = s


@stage
def integrate(tiles, t0, t1, unseen, animals, mass):
    """mass [entries] = Σ over the tile of unseen · Gaussian, for every entry of the animals' lists."""
    wide()
    start, item, g = animals
    work = workspace(start, t0, t1, 4)
    for t in range(t0, t1):
        n = start[t + 1] - start[t]
        if n:
            gx, gy, along = work[0, :n], work[1, :n], work[2, :n]
            pack(start, item, g, tiles.place[t], t, gx, gy)
            np.dot(gy, unseen[t], along)
            _row_products(n, along, gx, mass[start[t] : start[t + 1]])


@summing
def _moments(start, item, t, origin_x, origin_y, g, gx, gy, by_x, by_y, out):
    """out [entries, 4]: Σ q, Σ q dx, Σ q dy, Σ q (dx² + dy²) with q = field · Gaussian.

    by_x[k, c] = Σ_r gy field, by_y[k, r] = Σ_c gx field.
    """
    for e in range(start[t], start[t + 1]):
        k, row = item[e], e - start[t]
        ox, oy = origin_x - g.x[k], origin_y - g.y[k]
        s0, sx, sxx, sy, syy = 0.0, 0.0, 0.0, 0.0, 0.0
        for c in range(gx.shape[1]):
            q, d = by_x[row, c] * gx[row, c], ox + c
            s0 += q
            sx += q * d
            sxx += q * d * d
        for c in range(gy.shape[1]):
            q, d = by_y[row, c] * gy[row, c], oy + c
            sy += q * d
            syy += q * d * d
        out[e, 0] = s0
        out[e, 1] = sx
        out[e, 2] = sy
        out[e, 3] = sxx + syy


@inner
def collect(start, item, t, place, g, field, work, turned, out):
    """Moments of field [32, 32] · Gaussian for the items of tile t, whose tables are packed in work[0], work[1]."""
    n = start[t + 1] - start[t]
    gx, gy, by_x, by_y = work[0, :n], work[1, :n], work[2, :n], work[3, :n]
    np.dot(gy, field, by_x)
    transpose(field, turned)
    np.dot(gx, turned, by_y)
    _moments(start, item, t, TILE * place[0], TILE * place[1], g, gx, gy, by_x, by_y, out)


@fused
def _odds_times(field, weight, gx, gy, out):
    """out [32, 32] = weight · field · dh/dlog g."""
    for r in range(TILE):
        a = gy[r]
        for c in range(out.shape[1]):
            out[r, c] = weight * field[r, c] * odds(a * gx[c])


@inner
def collect_chances(start, item, t, place, g, weight, ratio, over_all, over_fields, work, scratch, turned, out):
    """Moments of (derivative by hazard) · dh/dlog g for passes that are probabilities, packed in work[0], work[1].

    The derivative by a pass's hazard is weight · (over_all + Σ_f ratio_f over_fields_f).
    """
    for e in range(start[t], start[t + 1]):
        k, row = item[e], e - start[t]
        for r in range(TILE):
            for c in range(scratch.shape[1]):
                scratch[r, c] = over_all[r, c]
        for f in range(ratio.shape[0]):
            for r in range(TILE):
                for c in range(TILE):
                    scratch[r, c] += ratio[f, k] * over_fields[f, r, c]
        _odds_times(scratch, weight[k], work[0, row], work[1, row], turned)
        tile_moments(turned, 0, TILE, TILE * place[0] - g.x[k], TILE * place[1] - g.y[k], out[e])


@fused
def adjoint(mu, unseen, posterior, d_detected):
    """In place: mu (given as its logarithm) becomes the derivative by log mu, posterior the derivative by Λ."""
    wide()
    for r in range(TILE):
        for c in range(mu.shape[1]):
            p, w = posterior[r, c], unseen[r, c]
            mu[r, c] = p + d_detected * (exp(mu[r, c]) - w)
            posterior[r, c] = d_detected * w - p


@inner
def _posteriors(start, item, t, place, g, share, unseen, work, turned, posterior, of_animals):
    """posterior [32, 32] = unseen · Σ_i share_i Gaussian_i, and the moments of unseen · Gaussian for each animal."""
    n = start[t + 1] - start[t]
    posterior[:] = 0.0
    if n:
        pack(start, item, g, place, t, work[0], work[1])
        scale_rows(start, item, t, share, work[1], work[2])
        np.dot(work[2, :n].T, work[0, :n], posterior)
        collect(start, item, t, place, g, unseen, work, turned, of_animals)
    for r in range(TILE):
        for c in range(posterior.shape[1]):
            posterior[r, c] *= unseen[r, c]


@stage
def pull(tiles, t0, t1, log_mu, unseen, animals, share, passes, d_detected, d_log_mu, of_animals, of_passes):
    """The reverse pass: d_log_mu [M], and moments [entries, 4] of the animals' and of the passes' lists.

    animals: (start, item, Gaussians), passes: the same and their weights; share [n]: d_log_a_i / mass_i. The animals'
    moments are those of unseen · Gaussian, the passes' those of (derivative by Λ) · Gaussian.
    """
    wide()
    a_start, a_item, a = animals
    d_start, d_item, d, _ = passes
    a_work, d_work = workspace(a_start, t0, t1, 4), workspace(d_start, t0, t1, 4)
    room = rooms(3)
    mu, posterior, turned = room[0], room[1], room[2]
    for t in range(t0, t1):
        place = tiles.place[t]
        _posteriors(a_start, a_item, t, place, a, share, unseen[t], a_work, turned, posterior, of_animals)
        load(log_mu, tiles, t, -np.inf, mu)
        adjoint(mu, unseen[t], posterior, d_detected)
        store(mu, tiles, t, d_log_mu)
        if d_start[t + 1] > d_start[t]:
            pack(d_start, d_item, d, place, t, d_work[0], d_work[1])
            collect(d_start, d_item, t, place, d, posterior, d_work, turned, of_passes)
