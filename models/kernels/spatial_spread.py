"""Gaussian hazards: spread (detectors → cells), integrate (cells → animals) and back again.

On a raster a Gaussian is separable. On a tile of 32 × 32 cells a sum of Gaussians is the matrix product Gy' Gx, and the
integral of a field against each of them is rowsum((Gy W) ∘ Gx). These products are most of the cost. Each kernel works
on the tiles [t0, t1) and writes only there, so that tiles may be shared among threads in any way without changing a
digit.
Where the tables are detection probabilities g, the hazard −log(1 − g) is taken cell by cell: `chances` is True then and
None otherwise, as code for what is not None is not compiled for what is.
"""

import numpy as np

from .compiled import fused, inner, kept, lend, stage, wide
from .spatial_cover import box_of
from .spatial_math import exp, exp_parts, hazard, hazard_low, hazard_tiny, odds
from .spatial_products import TILE, across_moments, down_moments, round_moments
from .spatial_tables import (
    add_gaussians,
    ahead_of,
    along_fields,
    load_density,
    room_of_four,
    rooms,
    store,
    summit,
    tile_moments,
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
def add_field(passes, t, tiles, weight, chances, four, field, out):
    """out [32, 32] = Σ weight · hazard of the passes (start, item, boxes, Gaussians, …) of tile t.

    field: what is fetched meanwhile, see `add_gaussians`.
    """
    start, item, box, g = passes[0], passes[1], passes[2], passes[3]
    place = tiles.place[t]
    out[:] = 0.0
    if chances is not None:
        for e in range(start[t], start[t + 1]):
            k = item[e]
            if weight[k] != 0.0:
                x, y = g.span[k, 0] + place[0], g.span[k, 1] + place[1]
                add_hazard(g.table[x], g.table[y], summit(g, k, place), weight[k], out)
    else:
        add_gaussians(start, item, box, t, tiles, g.span, g.table, weight, four, field, out)


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
    owned = room_of_four(), rooms(1), np.empty((0, 0))
    tiles, passes, caught = lend((tiles, passes, caught))
    four, room, nothing = lend(owned)
    for t in range(t0, t1):
        add_field(passes, t, tiles, passes[4], chances, four, nothing, room[0])
        _catch(room[0])
        store(room[0], tiles, t, caught)
    kept(owned)


@stage
def spread(tiles, t0, t1, density, passes, chances, unseen, sums):
    """Fills unseen [T, 32, 32] = mu exp(-Λ) and sums [T, 3] = Σ mu (1 - exp(-Λ)), Σ mu, greatest log mu.

    density: (offset, coefficients [P], fields [P, M]) of log mu; passes: (start, item, boxes, Gaussians, weight),
    Λ = Σ weight · hazard.
    """
    wide()
    owned = room_of_four(), rooms(2), np.empty((3, TILE))
    tiles, density, passes, unseen, sums = lend((tiles, density, passes, unseen, sums))
    four, room, lanes = lend(owned)
    mu, hazards, weight = room[0], room[1], passes[4]
    for t in range(t0, t1):
        add_field(passes, t, tiles, weight, chances, four, density[2], hazards)
        load_density(density, tiles, t, mu)
        lanes[:2] = 0.0
        lanes[2] = -np.inf
        _survive(mu, hazards, unseen[t], lanes)
        sums[t, 0], sums[t, 1], sums[t, 2] = 0.0, 0.0, -np.inf
        for c in range(TILE):
            sums[t, 0] += lanes[0, c]
            sums[t, 1] += lanes[1, c]
            sums[t, 2] = max(sums[t, 2], lanes[2, c])
    kept(owned)


@stage
def integrate(tiles, t0, t1, unseen, animals, sums):
    """sums [entries, 3] = Σ q, Σ q dx, Σ q dx² over the tile, q = unseen · Gaussian, for every entry of the lists."""
    wide()
    tiles, unseen, animals, sums = lend((tiles, unseen, animals, sums))
    start, item, box, g = animals
    centre, span, table = g.centre, g.span, g.table
    for t in range(t0, t1):
        place, field = tiles.place[t], unseen[t]
        for e in range(start[t], start[t + 1]):
            i = item[e]
            x, y, offset = span[i, 0] + place[0], span[i, 1] + place[1], TILE * place[0] - centre[i, 0]
            ahead_of(start, item, t, e, place, span, table)
            moments = across_moments(table, x, table, y, field, offset, box_of(np.int64(box[e])))
            sums[e, 0], sums[e, 1], sums[e, 2] = moments


@inner
def collect(start, item, box, t, place, centre, span, table, field, out):
    """Moments [entries, 2] of field [32, 32] · Gaussian for the items of tile t: Σ q, Σ q (dx² + dy²)."""
    for e in range(start[t], start[t + 1]):
        k = item[e]
        x, y = span[k, 0] + place[0], span[k, 1] + place[1]
        ox, oy = TILE * place[0] - centre[k, 0], TILE * place[1] - centre[k, 1]
        ahead_of(start, item, t, e, place, span, table)
        out[e, 0], out[e, 1] = round_moments(table, x, table, y, field, ox, oy, box_of(np.int64(box[e])))


@fused
def _odds_times(field, weight, gx, gy, out):
    """out [32, 32] = weight · field · dh/dlog g."""
    for r in range(TILE):
        a = gy[r]
        for c in range(out.shape[1]):
            out[r, c] = weight * field[r, c] * odds(a * gx[c])


@inner
def collect_chances(start, item, t, place, g, weight, ratio, over_all, over_fields, scratch, turned, out):
    """Moments of (derivative by hazard) · dh/dlog g for passes that are probabilities.

    The derivative by a pass's hazard is weight · (over_all + Σ_f ratio_f over_fields_f).
    """
    for e in range(start[t], start[t + 1]):
        k = item[e]
        for r in range(TILE):
            for c in range(scratch.shape[1]):
                scratch[r, c] = over_all[r, c]
        for f in range(ratio.shape[0]):
            for r in range(TILE):
                for c in range(TILE):
                    scratch[r, c] += ratio[f, k] * over_fields[f, r, c]
        x, y = g.span[k, 0] + place[0], g.span[k, 1] + place[1]
        _odds_times(scratch, weight[k], g.table[x], g.table[y], turned)
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
def to_density(adjoints, tiles, t, field, d_log_mu, by_fields):
    """Derivatives by log mu on a tile, into d_log_mu [M] or, if that is empty, as sums along the fields of log mu."""
    if d_log_mu.size:
        store(adjoints, tiles, t, d_log_mu)
    else:
        along_fields(adjoints, tiles, t, field, by_fields[t])


@stage
def pull(tiles, t0, t1, density, unseen, animals, share, passes, d_detected, d_log_mu, by_fields, of_animals,
         of_passes):  # fmt: skip
    """The reverse pass: d_log_mu [M] or by_fields [T, P + 1], and moments of the animals' and of the passes' entries.

    density as in `spread`; animals: (start, item, boxes, Gaussians), passes: the same and their weights; share [n]:
    d_log_a_i / mass_i. The animals' moments [entries, 2], Σ q dy, Σ q dy², are those of unseen · Gaussian, the passes'
    [entries, 2] those of (derivative by Λ) · Gaussian. Without d_log_mu, that is of no cells, it is summed up along
    the fields of the density.
    """
    wide()
    owned = room_of_four(), rooms(2)
    tiles, density, unseen, animals, share, passes = lend((tiles, density, unseen, animals, share, passes))
    d_log_mu, by_fields, of_animals, of_passes = lend((d_log_mu, by_fields, of_animals, of_passes))
    four, room = lend(owned)
    a_start, a_item, a_box, a = animals
    d_start, d_item, d_box, d, _ = passes
    mu, posterior, field = room[0], room[1], density[2]
    a_centre, a_span, a_table, d_centre, d_span, d_table = a.centre, a.span, a.table, d.centre, d.span, d.table
    for t in range(t0, t1):
        place, here = tiles.place[t], unseen[t]
        posterior[:] = 0.0
        add_gaussians(a_start, a_item, a_box, t, tiles, a_span, a_table, share, four, field, posterior)
        for e in range(a_start[t], a_start[t + 1]):
            i = a_item[e]
            x, y, offset = a_span[i, 0] + place[0], a_span[i, 1] + place[1], TILE * place[1] - a_centre[i, 1]
            ahead_of(a_start, a_item, t, e, place, a_span, a_table)
            moments = down_moments(a_table, x, a_table, y, here, offset, box_of(np.int64(a_box[e])))
            of_animals[e, 0], of_animals[e, 1] = moments
        load_density(density, tiles, t, mu)
        for r in range(TILE):
            for c in range(posterior.shape[1]):
                posterior[r, c] *= here[r, c]
        adjoint(mu, here, posterior, d_detected)
        to_density(mu, tiles, t, field, d_log_mu, by_fields)
        collect(d_start, d_item, d_box, t, place, d_centre, d_span, d_table, posterior, of_passes)
    kept(owned)
