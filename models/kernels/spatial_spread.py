"""Gaussian hazards: spread (detectors → cells), integrate (cells → animals) and back again.

On a raster a Gaussian is separable. On a tile of 32 × 32 cells a sum of Gaussians is the matrix product Gy' Gx, and the
integral of a field against each of them is rowsum((Gy W) ∘ Gx). These products are the whole cost. Each kernel works on
the tiles [t0, t1) and writes only there, so that tiles may be shared among threads in any way without changing a digit.
Where the tables are detection probabilities g, the hazard −log(1 − g) is taken cell by cell: `chances` is True then and
None otherwise, as code for what is not None is not compiled for what is.
"""

import numpy as np

from .compiled import fused, inner, kept, lend, stage, summing, wide
from .spatial_math import exp, exp_parts, hazard, hazard_low, hazard_tiny, odds
from .spatial_tables import (
    TILE,
    load,
    pack,
    pack_scaled,
    rooms,
    scale_rows,
    store,
    summit,
    tile_moments,
    transpose,
    workspace,
)


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
    if chances is not None:
        for e in range(n):
            k = item[start[t] + e]
            if weight[k] != 0.0:
                add_hazard(work[0, e], work[1, e], summit(g, k, place), weight[k], out)
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


@inner
def _hazards(start, item, t, place, g, span, table, weight, chances, work, out):
    """out [32, 32] = Λ on tile t."""
    n = start[t + 1] - start[t]
    pack(start, item, span, table, place, t, work[0], work[1])
    if chances is not None:
        add_field(start, item, t, place, g, weight, chances, work, out)
    elif n:
        np.dot(work[1, :n].T, work[0, :n], out)
    else:
        out[:] = 0.0


@fused
def _catch(hazard):
    """In place: 1 - exp(-hazard), without loss where the hazard is small."""
    wide()
    for r in range(TILE):
        for c in range(hazard.shape[1]):
            scale, p = exp_parts(max(-hazard[r, c], -708.0))
            hazard[r, c] = (1.0 - scale) - scale * p


@stage
def catch(tiles, t0, t1, passes, chances, caught):
    """Fills caught [M] = 1 - exp(-Λ)."""
    wide()
    owned = workspace(passes[0], t0, t1, 4), rooms(1)
    tiles, passes, caught = lend((tiles, passes, caught))
    work, room = lend(owned)
    start, item, g, weight = passes
    span, table, place = g.span, g.table, tiles.place
    for t in range(t0, t1):
        _hazards(start, item, t, place[t], g, span, table, weight, chances, work, room[0])
        _catch(room[0])
        store(room[0], tiles, t, caught)
    kept(owned)


@stage
def spread(tiles, t0, t1, log_mu, passes, chances, unseen, sums):
    """Fills unseen [T, 32, 32] = mu exp(-Λ) and sums [T, 3] = Σ mu (1 - exp(-Λ)), Σ mu, greatest log mu.

    log_mu [M]; passes: (start, item, Gaussians, weight), Λ = Σ weight · hazard.
    """
    wide()
    owned = workspace(passes[0], t0, t1, 4), rooms(2), np.empty((3, TILE))
    tiles, log_mu, passes, unseen, sums = lend((tiles, log_mu, passes, unseen, sums))
    work, room, lanes = lend(owned)
    start, item, g, weight = passes
    mu, hazards = room[0], room[1]
    span, table, place = g.span, g.table, tiles.place
    for t in range(t0, t1):
        _hazards(start, item, t, place[t], g, span, table, weight, chances, work, hazards)
        load(log_mu, tiles, t, -np.inf, mu)
        lanes[:2] = 0.0
        lanes[2] = -np.inf
        _survive(mu, hazards, unseen[t], lanes)
        sums[t, 0], sums[t, 1], sums[t, 2] = 0.0, 0.0, -np.inf
        for c in range(TILE):
            sums[t, 0] += lanes[0, c]
            sums[t, 1] += lanes[1, c]
            sums[t, 2] = max(sums[t, 2], lanes[2, c])
    kept(owned)


@summing
def _moments_along(start, item, t, axis, origin, centre, by, along, out):
    """out [entries, 3] = Σ q, Σ q d, Σ q d², q = by · along [K, 32], d the distance from the centre on this axis."""
    wide()
    for e in range(start[t], start[t + 1]):
        row, offset = e - start[t], origin - centre[item[e], axis]
        s0, s1, s2 = 0.0, 0.0, 0.0
        for c in range(along.shape[1]):
            q, d = by[row, c] * along[row, c], offset + c
            s0 += q
            s1 += q * d
            s2 += q * d * d
        out[e, 0], out[e, 1], out[e, 2] = s0, s1, s2


@stage
def integrate(tiles, t0, t1, unseen, animals, sums):
    """sums [entries, 3] = Σ q, Σ q dx, Σ q dx² over the tile, q = unseen · Gaussian, for every entry of the lists."""
    wide()
    owned = workspace(animals[0], t0, t1, 3)
    tiles, unseen, animals, sums, work = lend((tiles, unseen, animals, sums, owned))
    start, item, g = animals
    centre, span, table, place = g.centre, g.span, g.table, tiles.place
    for t in range(t0, t1):
        n = start[t + 1] - start[t]
        if n:
            gx, gy, along = work[0, :n], work[1, :n], work[2, :n]
            pack(start, item, span, table, place[t], t, gx, gy)
            np.dot(gy, unseen[t], along)
            _moments_along(start, item, t, 0, TILE * place[t, 0], centre, along, gx, sums)
    kept(owned)


@summing
def _round_moments(start, item, t, origin_x, origin_y, centre, gx, gy, by_x, by_y, out):
    """out [entries, 2] = Σ q, Σ q (dx² + dy²) with q = field · Gaussian.

    by_x[k, c] = Σ_r gy field, by_y[k, r] = Σ_c gx field.
    """
    wide()
    for e in range(start[t], start[t + 1]):
        row, ox, oy = e - start[t], origin_x - centre[item[e], 0], origin_y - centre[item[e], 1]
        s0, s2 = 0.0, 0.0
        for c in range(gx.shape[1]):
            q, dx, dy = by_x[row, c] * gx[row, c], ox + c, oy + c
            s0 += q
            s2 += q * dx * dx + by_y[row, c] * gy[row, c] * dy * dy
        out[e, 0], out[e, 1] = s0, s2


@inner
def collect(start, item, t, place, centre, field, work, turned, out):
    """Moments [entries, 2] of field [32, 32] · Gaussian for the items of tile t, packed in work[0], work[1]."""
    n = start[t + 1] - start[t]
    gx, gy, by_x, by_y = work[0, :n], work[1, :n], work[2, :n], work[3, :n]
    np.dot(gy, field, by_x)
    transpose(field, turned)
    np.dot(gx, turned, by_y)
    _round_moments(start, item, t, TILE * place[0], TILE * place[1], centre, gx, gy, by_x, by_y, out)


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
        ox, oy = TILE * place[0] - g.centre[k, 0], TILE * place[1] - g.centre[k, 1]
        out[e, 0], _, _, out[e, 1] = tile_moments(turned, 0, TILE, ox, oy)


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
def _posteriors(start, item, t, place, centre, span, table, share, unseen, work, turned, posterior, of_animals):
    """posterior [32, 32] = Σ q and of_animals [entries, 3] = Σ q, Σ q dy, Σ q dy², q = share_i unseen Gaussian_i."""
    n = start[t + 1] - start[t]
    posterior[:] = 0.0
    if n:
        gx, gy, along = work[0, :n], work[1, :n], work[2, :n]
        pack_scaled(start, item, span, table, share, place, t, gx, gy)
        np.dot(gy.T, gx, posterior)
        transpose(unseen, turned)
        np.dot(gx, turned, along)
        _moments_along(start, item, t, 1, TILE * place[1], centre, along, gy, of_animals)
    for r in range(TILE):
        for c in range(posterior.shape[1]):
            posterior[r, c] *= unseen[r, c]


@stage
def pull(tiles, t0, t1, log_mu, unseen, animals, share, passes, d_detected, d_log_mu, of_animals, of_passes):
    """The reverse pass: d_log_mu [M], and moments of the animals' [entries, 3] and of the passes' lists [entries, 2].

    animals: (start, item, Gaussians), passes: the same and their weights; share [n]: d_log_a_i / mass_i. The animals'
    moments, along y, are those of share · unseen · Gaussian, the passes' those of (derivative by Λ) · Gaussian.
    """
    wide()
    owned = workspace(animals[0], t0, t1, 3), workspace(passes[0], t0, t1, 4), rooms(3)
    tiles, log_mu, unseen, animals, share, passes = lend((tiles, log_mu, unseen, animals, share, passes))
    d_log_mu, of_animals, of_passes = lend((d_log_mu, of_animals, of_passes))
    a_work, d_work, room = lend(owned)
    a_start, a_item, a = animals
    d_start, d_item, d, _ = passes
    mu, posterior, turned = room[0], room[1], room[2]
    a_centre, a_span, a_table, d_centre, d_span, d_table = a.centre, a.span, a.table, d.centre, d.span, d.table
    for t in range(t0, t1):
        place = tiles.place[t]
        _posteriors(a_start, a_item, t, place, a_centre, a_span, a_table, share, unseen[t], a_work, turned, posterior,
                    of_animals)  # fmt: skip
        load(log_mu, tiles, t, -np.inf, mu)
        adjoint(mu, unseen[t], posterior, d_detected)
        store(mu, tiles, t, d_log_mu)
        if d_start[t + 1] > d_start[t]:
            pack(d_start, d_item, d_span, d_table, place, t, d_work[0], d_work[1])
            collect(d_start, d_item, t, place, d_centre, posterior, d_work, turned, of_passes)
    kept(owned)
