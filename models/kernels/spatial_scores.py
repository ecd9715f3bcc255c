"""Exact second derivatives where animals have local terms: their derivatives along each direction, tile by tile.

As in `spatial_bend`, but what an animal's own terms have beyond its Gaussian's is no polynomial. Along a direction a
pass's log Gaussian changes by a + b d², and so a term L of it by L' (a + b d²): where L is a short series these are the
rows of the series times polynomials of dx and of dy, and all of an animal's derivatives are one small matrix product.
What is quadratic in a pass's own change, L'' (a + b d²)², needs three moments of the posterior around the pass.
"""

import numpy as np

from .compiled import fused, inner, kept, lend, stage, wide
from .spatial_bend import (
    add_polynomials,
    densities,
    multiply_tiles,
    room_of_rows,
    set_full_fours,
    shared_second,
    square_passes,
)
from .spatial_cover import box_of
from .spatial_local import (
    fill_fields,
    local_posterior,
    locate,
    pull_fields,
    trial_room,
    trials_there,
    unpacked,
)
from .spatial_math import C1, C2, bend, bend_low, odds, slope, slope_middle
from .spatial_products import TILE, inner_product, multiply_box, round_moments, shape_row, square_moments
from .spatial_tables import add_scaled, load, load_density, room_of_four, rooms
from .spatial_terms import chance_bends, trial_bends


@fused
def _add_direction(a, b, ox, oy, slopes, r0, r1, out):
    """out [32, 32] += slopes (a + b d²)."""
    for r in range(r0, r1):
        dy = oy + r
        base = a + b * dy * dy
        for c in range(out.shape[1]):
            dx = ox + c
            out[r, c] += slopes[r, c] * (base + b * dx * dx)


@fused
def _in_place(q, slopes, bends, r0, r1):
    """slopes and bends times q."""
    for r in range(r0, r1):
        for c in range(q.shape[1]):
            slopes[r, c] *= q[r, c]
            bends[r, c] *= q[r, c]


@inner
def _own_terms(i, first, at, spot, top, origin, centre, table, trials, trial_pass, chances, log_scale, log_sigma,
               polynomials, share, box, room, of_scores, slopes, bends, q, score, out):  # fmt: skip
    """score [D, 32, 32]: the derivative of the own terms of animal i along the directions of detection, on a box.

    out [entries, 5], from entry `first` on: share times Σ q L' (1, d²) and Σ q L'' (1, d², d⁴) around each trial's
    pass, by the logarithm of its Gaussian.
    """
    _, across, down, power, trial_row, ones = room
    start, scales, counts, _, limits = trials
    into_across, into_down = of_scores
    begin, end, size, r0, r1 = start[i], start[i + 1], score.shape[0], box[0], box[1]
    for j in range(size):
        p0, p1, p2, p3 = polynomials[i, j, 0], polynomials[i, j, 1], polynomials[i, j, 2], polynomials[i, j, 3]
        shape_row(p0, p1, p3, ones, 0, origin[0], into_across, 0)
        shape_row(1.0, 0.0, 0.0, ones, 0, origin[1], into_down, 0)
        shape_row(1.0, 0.0, 0.0, ones, 0, origin[0], into_across, 1)
        shape_row(0.0, p2, p3, ones, 0, origin[1], into_down, 1)
        n = np.int64(2)
        for e in range(begin, end):
            k = trial_pass[e]
            ox, oy, b = origin[2] - centre[k, 0], origin[3] - centre[k, 1], log_sigma[j, k]
            for row in range(trial_row[e - begin], trial_row[e - begin + 1]):
                w = float(power[row])
                shape_row(w * log_scale[j, k], 0.0, w * b, across, row, ox, into_across, n)
                shape_row(1.0, 0.0, 0.0, down, row, oy, into_down, n)
                n += 1
                if b != 0.0:
                    shape_row(w * b, 0.0, 0.0, across, row, ox, into_across, n)
                    shape_row(0.0, 0.0, 1.0, down, row, oy, into_down, n)
                    n += 1
        set_full_fours(into_across, into_down, n, box, score[j])
    for e in range(begin, end):
        k, into, height = trial_pass[e], first + e - begin, top[at + e - begin]
        ox, oy = origin[2] - centre[k, 0], origin[3] - centre[k, 1]
        s0, s2, b0, b2, b4 = 0.0, 0.0, 0.0, 0.0, 0.0
        if height > limits[e]:
            x, y = spot[at + e - begin, 0], spot[at + e - begin, 1]
            gx, gy, count, scale = table[x], table[y], counts[e], scales[e]
            if chances is not None:
                chance_bends(count, scale, gx, gy, height, r0, r1, slopes, bends)
            else:
                trial_bends(count, scale, gx, gy, scale * height, r0, r1, slopes, bends)
            for j in range(size):
                _add_direction(log_scale[j, k], log_sigma[j, k], ox, oy, slopes, r0, r1, score[j])
            _in_place(q, slopes, bends, r0, r1)
            s0, s2 = round_moments(ones, 0, ones, 0, slopes, ox, oy, box)
            b0, b2, b4 = square_moments(ones, 0, ones, 0, bends, ox, oy, box)
        else:
            for row in range(trial_row[e - begin], trial_row[e - begin + 1]):
                m, w = square_moments(across, row, down, row, q, ox, oy, box), float(power[row])
                s0, s2 = s0 + w * m[0], s2 + w * m[1]
                b0, b2, b4 = b0 + w * w * m[0], b2 + w * w * m[1], b4 + w * w * m[2]
        out[into, 0], out[into, 1] = share * s0, share * s2
        out[into, 2], out[into, 3], out[into, 4] = share * b0, share * b2, share * b4


@inner
def _add_own_fields(low, high, of_fields, pulled, fields_by, r0, r1, score):
    """Adds captures on competing fields, and exposure of one's own, to the scores [D, 32, 32]."""
    _, which, caught, extra = of_fields
    for e in range(low, high):
        f = which[e]
        for j in range(score.shape[0]):
            add_scaled(-caught[e], pulled[f, j], r0, r1, score[j])
            if extra[e] != 0.0:
                add_scaled(extra[e], fields_by[f, j], r0, r1, score[j])


@fused
def _curve_fields(low, high, share, of_fields, bends, q, r0, r1, over_bend):
    """over_bend [F, 32, 32] += share q caught d²logφ/dΛ_f²."""
    for e in range(low, high):
        f, caught = of_fields[1][e], share * of_fields[2][e]
        for r in range(r0, r1):
            for c in range(q.shape[1]):
                over_bend[f, r, c] += caught * q[r, c] * bends[f, r, c]


@fused
def _field_bends(hazard, out):
    """d²logφ/dΛ² [32, 32]: (d²/dlogΛ² − d/dlogΛ)/Λ², 1/12 in the limit."""
    for r in range(TILE):
        for c in range(TILE):
            u = hazard[r, c]
            if u <= 1e-3:
                out[r, c] = C1 + 3 * C2 * u * u
            elif u <= 1.0:
                out[r, c] = (bend_low(u) - slope_middle(u)) / (u * u)
            else:
                out[r, c] = (bend(u) - slope(u)) / (u * u)


@fused
def _odds_of(gx, gy, weight, r0, r1, out):
    """out [32, 32] = weight · dh/dlog g."""
    for r in range(r0, r1):
        for c in range(out.shape[1]):
            out[r, c] = weight * odds(gy[r] * gx[c])


@inner
def _chance_directions(passes, t, place, ratio, log_scale, log_sigma, scratch, shared, fields_by):
    """shared [D, 32, 32] = -∂Λ and fields_by [F, D, 32, 32] = -∂Λ_f where tables are probabilities."""
    start, item, box, g, weight = passes
    shared[:] = 0.0
    fields_by[:] = 0.0
    for e in range(start[t], start[t + 1]):
        k = item[e]
        r0, r1, _, _ = box_of(np.int64(box[e]))
        x, y = g.span[k, 0] + place[0], g.span[k, 1] + place[1]
        ox, oy = TILE * place[0] - g.centre[k, 0], TILE * place[1] - g.centre[k, 1]
        _odds_of(g.table[x], g.table[y], weight[k], r0, r1, scratch)
        for j in range(shared.shape[0]):
            a, b = -log_scale[j, k], -log_sigma[j, k]
            _add_direction(a, b, ox, oy, scratch, r0, r1, shared[j])
            for f in range(ratio.shape[0]):
                if ratio[f, k] != 0.0:
                    _add_direction(ratio[f, k] * a, ratio[f, k] * b, ox, oy, scratch, r0, r1, fields_by[f, j])


@fused
def _bend_chance(gx, gy, r0, r1, over, bends):
    """over becomes over · dh/dlog g, bends is over · d²h/dlog g²."""
    for r in range(r0, r1):
        for c in range(over.shape[1]):
            o = odds(gy[r] * gx[c])
            over[r, c] *= o
            bends[r, c] = over[r, c] * (1.0 + o)


@inner
def _chance_passes(passes, t, place, ratio, over_all, over_fields, ones, over, bends, out):
    """out [entries, 5]: Σ q (1, d²) of q = -(derivative by h) dh/dlog g, Σ q (1, d², d⁴) of that by d²h/dlog g².

    The derivative by a pass's hazard is weight · (Σ_f ratio_f over_fields_f - over_all).
    """
    start, item, box, g, weight = passes
    for e in range(start[t], start[t + 1]):
        k, here = item[e], box_of(np.int64(box[e]))
        r0, r1, _, _ = here
        for r in range(r0, r1):
            for c in range(over.shape[1]):
                over[r, c] = weight[k] * over_all[r, c]
        for f in range(ratio.shape[0]):
            if ratio[f, k] != 0.0:
                add_scaled(-weight[k] * ratio[f, k], over_fields[f], r0, r1, over)
        x, y = g.span[k, 0] + place[0], g.span[k, 1] + place[1]
        ox, oy = TILE * place[0] - g.centre[k, 0], TILE * place[1] - g.centre[k, 1]
        _bend_chance(g.table[x], g.table[y], r0, r1, over, bends)
        out[e, 0], out[e, 1] = round_moments(ones, 0, ones, 0, over, ox, oy, here)
        out[e, 2], out[e, 3], out[e, 4] = square_moments(ones, 0, ones, 0, bends, ox, oy, here)


@inner
def _hazard_passes(passes, t, place, competing, ratio, over_all, over_fields, part, out):
    """out [entries, 3]: minus the square moments of the derivative by Λ, which is -over_all, and by each field."""
    start, item, box, g, _ = passes
    square_passes(start, item, box, t, place, g, over_all, out)
    if competing is not None:
        for f in range(over_fields.shape[0]):
            square_passes(start, item, box, t, place, g, over_fields[f], part)
            for e in range(start[t], start[t + 1]):
                for c in range(3):
                    out[e, c] -= ratio[f, item[e]] * part[e, c]


@inner
def _fields_of_tile(hazards, by, fields_by, bends, pulled):
    """bends [F, 32, 32] = d²logφ/dΛ_f² and pulled [F, D, 32, 32] = dlogφ/dΛ_f · fields_by."""
    for f in range(by.shape[0]):
        _field_bends(hazards[f], bends[f])
        for j in range(pulled.shape[1]):
            multiply_tiles(by[f], fields_by[f, j], pulled[f, j])


@inner
def _second_of_fields(over_bend, fields_by, whole, product, own):
    """own [D, D] += Σ over_bend_f ∂_jΛ_f ∂_kΛ_f (j ≤ k)."""
    for f in range(over_bend.shape[0]):
        for j in range(own.shape[0]):
            multiply_tiles(over_bend[f], fields_by[f, j], product)
            for k in range(j, own.shape[0]):
                own[j, k] += inner_product(product, fields_by[f, k], whole)


@inner
def _detection_directions(passes, t, place, competing, ratio, of_passes, of_p, whole, shared, fields_by):
    """shared [D, 32, 32] = -∂Λ and fields_by [F, D, 32, 32] = -∂Λ_f where tables are hazards."""
    start, item, _, g, weight = passes
    for j in range(shared.shape[0]):
        add_polynomials(start, item, t, place, g, weight, of_passes, j, *of_p, whole, shared[j])
        if competing is not None:
            for f in range(ratio.shape[0]):
                add_polynomials(start, item, t, place, g, ratio[f], of_passes, j, *of_p, whole, fields_by[f, j])


@stage
def bend_local(
    tiles, t0, t1, density, unseen, animals, share, passes, d_detected, chances, competing, local, trial_first,
    fields, log_scale, log_sigma, of_animals, of_passes,
    mean, around, of_trials, squares, detected, second, own,
):  # fmt: skip
    """As `spatial_bend.bend` for animals with local terms; chances, competing, local and trial_first as in `sweep`.

    log_scale, log_sigma [D, G]: change of log λ (or log g0), and of log σ divided by σ². Fills also of_trials […, 5],
    see `_own_terms`; squares [entries, 5] where tables are probabilities, see `_chance_passes`, [entries, 3] else.
    """
    wide()
    n_ratio, size, moving = local.ratio.shape[0], detected.shape[1], of_animals.shape[1]
    n_fields = size - moving
    most = local.most * local.trial_series.shape[1] + 1
    owned = (room_of_four(), np.empty(n_ratio), rooms(8 + 7 * n_ratio + size + 2 * moving),
             rooms(2 * n_ratio * moving), trial_room(local), room_of_rows(len(of_passes)), room_of_rows(most),
             np.empty((passes[0][t1] if n_ratio else 0, 3)))  # fmt: skip
    # one by one: each step of a tuple counts, and uncounts, references of all that is in it
    tiles = lend(tiles)
    density = lend(density)
    unseen = lend(unseen)
    share = lend(share)
    local = lend(local)
    trial_first = lend(trial_first)
    fields = lend(fields)
    log_scale = lend(log_scale)
    log_sigma = lend(log_sigma)
    of_animals = lend(of_animals)
    of_passes = lend(of_passes)
    mean = lend(mean)
    around = lend(around)
    of_trials = lend(of_trials)
    squares = lend(squares)
    detected = lend(detected)
    second = lend(second)
    own = lend(own)
    passes = lend(passes)
    a_start, a_item, a_box, a = lend(animals)
    four, highest, tile, by_direction, room, of_p, of_scores, part = lend(owned)
    d = passes[3]
    tables, (trials, of_fields) = (a.table, d.table), unpacked(local)
    ratio, radius, trial_pass = local.ratio, local.radius, local.trial_pass
    a_span, a_centre, d_centre, d_table = a.span, a.centre, d.centre, d.table
    mu, posterior, escaping, product = tile[0], tile[1], tile[2], tile[3]
    q, slopes, bent, weighed = tile[4], tile[5], tile[6], tile[7]
    first = 8 + 5 * n_ratio
    of_each = (tile[8 : 8 + n_ratio], tile[8 + n_ratio : 8 + 2 * n_ratio], tile[8 + 2 * n_ratio : 8 + 3 * n_ratio],
               highest)  # fmt: skip
    by, bends = tile[8 + 3 * n_ratio : 8 + 4 * n_ratio], tile[8 + 4 * n_ratio : first]
    summed = tile[first : first + 2 * n_ratio + moving]
    over_fields, over_bend, cross = summed[:n_ratio], summed[n_ratio : 2 * n_ratio], summed[2 * n_ratio :]
    scores = tile[first + 2 * n_ratio + moving : first + 2 * n_ratio + moving + size]
    score = tile[first + 2 * n_ratio + moving + size :]
    by_direction = by_direction.reshape((2 * n_ratio, moving, TILE, TILE))
    fields_by, pulled = by_direction[:n_ratio], by_direction[n_ratio:]
    whole = box_of(np.int64(TILE << 8 | TILE << 24))
    for t in range(t0, t1):
        place, here = tiles.place[t], unseen[t]
        corner = (TILE * place[0], TILE * place[1])
        for v in range(n_fields - 1):
            load(fields[v], tiles, t, 0.0, scores[v])
        scores[n_fields - 1] = 1.0
        if chances is not None:
            _chance_directions(passes, t, place, ratio, log_scale, log_sigma, product, scores[n_fields:],
                               fields_by)  # fmt: skip
        else:
            _detection_directions(passes, t, place, competing, ratio, of_passes, of_p, whole, scores[n_fields:],
                                  fields_by)  # fmt: skip
        if competing is not None:
            fill_fields(passes, t, tiles, chances, ratio, four, of_each, True, by)
            _fields_of_tile(of_each[0], by, fields_by, bends, pulled)
        posterior[:] = 0.0
        summed[:] = 0.0
        places = trials_there(a_start, a_item, t, trials[0])
        where, spot, top = lend(places)
        locate(a_start, a_item, t, place, d, local, spot, top)
        for e in range(a_start[t], a_start[t + 1]):
            i, at, box = a_item[e], where[e - a_start[t]], box_of(np.int64(a_box[e]))
            if radius[i] < 0.0:
                box = (box[0], box[0], box[2], box[3])
            r0, r1 = box[0], box[1]
            animal = (a_span[i, 0] + place[0], a_span[i, 1] + place[1])
            offset = (corner[0] - a_centre[i, 0], corner[1] - a_centre[i, 1])
            found = local_posterior(i, animal, at, spot, top, tables, trials, chances, competing, of_fields, of_each,
                                    here, box, offset, share[i], room, posterior, q)  # fmt: skip
            around[e, 0], around[e, 1], around[e, 2] = found[1], found[2], found[3]
            _own_terms(i, trial_first[e], at, spot, top, (*offset, *corner), d_centre, d_table, trials, trial_pass,
                       chances, log_scale, log_sigma, of_animals, share[i], box, room, of_scores, slopes, bent, q,
                       score, of_trials)  # fmt: skip
            if competing is not None:
                low, high = of_fields[0][i], of_fields[0][i + 1]
                _add_own_fields(low, high, of_fields, pulled, fields_by, r0, r1, score)
                pull_fields(low, high, share[i], of_fields[1], of_fields[2], of_fields[3], by, q, r0, r1, over_fields)
                _curve_fields(low, high, share[i], of_fields, bends, q, r0, r1, over_bend)
            for v in range(size):
                mean[e, v] = inner_product(q, scores[v], box)
            for j in range(moving):
                mean[e, n_fields + j] += multiply_box(q, score[j], share[i], cross[j], weighed, box)
                for k in range(j, moving):
                    own[t, j, k] += share[i] * inner_product(weighed, score[k], box)
        kept(places)
        if competing is not None:
            _second_of_fields(over_bend, fields_by, whole, product, own[t])
        load_density(density, tiles, t, mu)
        densities(mu, here, posterior, d_detected, escaping)
        shared_second(mu, here, escaping, scores, n_fields, cross, d_detected, product, whole, detected[t],
                      second[t])  # fmt: skip
        if chances is not None:
            _chance_passes(passes, t, place, ratio, escaping, over_fields, room[5], slopes, bent, squares)
        else:
            _hazard_passes(passes, t, place, competing, ratio, escaping, over_fields, part, squares)
    kept(owned)
