"""Exact second derivatives of the integrals along directions, for Gaussian hazards on tiles.

The same sweep as the reverse pass, with the derivative of every animal's log density along every direction.
"""

import numpy as np

from .compiled import fused, inner, kept, lend, stage, summing, wide
from .spatial_cover import box_of
from .spatial_local import (
    field_room,
    fill_fields,
    local_posterior,
    locate,
    pull_fields,
    trial_room,
    trials_there,
    unpacked,
)
from .spatial_math import C1, C2, bend_high, bend_low, exp, slope_high, slope_middle
from .spatial_tables import (
    TILE,
    add_scaled,
    load,
    load_density,
    on_tile,
    pack,
    room_of_four,
    rooms,
    workspace,
)


@fused
def _square_rows(start, item, t, axis, origin, centre, along, out):
    """out[row] = along[row] · (distance from the Gaussian's centre)², for the items of tile t along one axis."""
    for e in range(start[t], start[t + 1]):
        row, offset = e - start[t], origin - centre[item[e], axis]
        for c in range(out.shape[1]):
            d = offset + c
            out[row, c] = d * d * along[row, c]


@inner
def _field_directions(start, item, t, place, g, weight, log_scale, log_sigma, work, out):
    """out [32, 32] = Σ weight (log_scale + log_sigma d²/σ²) Gaussian: how a field moves along one direction.

    weight, log_scale, log_sigma [K]: log_sigma already divided by σ². work[0..3]: gx, gy, dx² gx, dy² gy packed.
    """
    n = start[t + 1] - start[t]
    out[:] = 0.0
    if n == 0:
        return
    for e in range(start[t], start[t + 1]):
        k, row = item[e], e - start[t]
        a, b = weight[k] * log_scale[k], weight[k] * log_sigma[k]
        for c in range(out.shape[1]):
            work[4, row, c] = a * work[1, row, c] + b * work[3, row, c]
        for c in range(out.shape[1]):
            work[5, row, c] = b * work[1, row, c]
    np.dot(work[4, :n].T, work[0, :n], out)
    second = np.dot(work[5, :n].T, work[2, :n])
    for r in range(TILE):
        for c in range(out.shape[1]):
            out[r, c] += second[r, c]


@summing
def _square_moments(start, item, t, origin_x, origin_y, g, field, work, out):
    """out [entries, 3]: Σ q, Σ q d², Σ q d⁴, q = field · Gaussian, from the tables packed in work[0..3]."""
    n = start[t + 1] - start[t]
    gx, gxx, by, byy = work[0, :n], work[2, :n], work[4, :n], work[5, :n]
    np.dot(work[1, :n], field, by)
    np.dot(work[3, :n], field, byy)
    for e in range(start[t], start[t + 1]):
        row = e - start[t]
        ox = origin_x - g.centre[item[e], 0]
        s0, s2, s4 = 0.0, 0.0, 0.0
        for c in range(work.shape[2]):
            d = ox + c
            s0 += by[row, c] * gx[row, c]
            s2 += by[row, c] * gxx[row, c] + byy[row, c] * gx[row, c]
            s4 += (by[row, c] * d * d + 2.0 * byy[row, c]) * gxx[row, c]
        out[e, 0], out[e, 1], out[e, 2] = s0, s2, s4
    for e in range(start[t], start[t + 1]):
        oy, row = origin_y - g.centre[item[e], 1], e - start[t]
        for c in range(work.shape[2]):
            work[3, row, c] *= (oy + c) * (oy + c)
    np.dot(work[3, :n], field, byy)
    for e in range(start[t], start[t + 1]):
        row = e - start[t]
        s4 = 0.0
        for c in range(work.shape[2]):
            s4 += byy[row, c] * gx[row, c]
        out[e, 2] += s4


@fused
def _add_quadratic(p, ox, oy, r0, r1, out):
    """out [32, 32] = p0 + p1 dx + p2 dy + p3 (dx² + dy²)."""
    for r in range(r0, r1):
        dy = oy + r
        base = p[0] + p[2] * dy + p[3] * dy * dy
        for c in range(out.shape[1]):
            dx = ox + c
            out[r, c] = base + dx * (p[1] + p[3] * dx)


@fused
def _trial_direction(a, b, ox, oy, slope, r0, r1, out):
    """out [32, 32] += slope (a + b d²): a trial's term along one direction."""
    for r in range(r0, r1):
        dy = oy + r
        base = a + b * dy * dy
        for c in range(out.shape[1]):
            dx = ox + c
            out[r, c] += slope[r, c] * (base + b * dx * dx)


@fused
def _trial_derivatives(count, scale, gx, gy, r0, r1, slope, bend):
    """slope, bend [32, 32]: count times the first and second derivative of log φ(u) by log u, u = scale gy gx."""
    for r in range(r0, r1):
        a = scale * gy[r]
        for c in range(slope.shape[1]):
            u = a * gx[c]
            if u <= 1.0:
                slope[r, c], bend[r, c] = count * slope_middle(u), count * bend_low(u)
            else:
                slope[r, c], bend[r, c] = count * slope_high(u), count * bend_high(u)


@summing
def _bent_square(q, bend, a0, b0, a1, b1, ox, oy, r0, r1):
    """Σ q bend (a0 + b0 d²)(a1 + b1 d²)."""
    wide()
    total = 0.0
    for r in range(r0, r1):
        dy2, s = (oy + r) * (oy + r), 0.0
        for c in range(q.shape[1]):
            d2 = dy2 + (ox + c) * (ox + c)
            s += q[r, c] * bend[r, c] * (a0 + b0 * d2) * (a1 + b1 * d2)
        total += s
    return total


@summing
def inner_product(a, b, r0, r1):
    """Σ a b over rows [r0, r1) of two tiles."""
    wide()
    total = 0.0
    for r in range(r0, r1):
        s = 0.0
        for c in range(a.shape[1]):
            s += a[r, c] * b[r, c]
        total += s
    return total


@fused
def multiply_tiles(a, b, r0, r1, out):
    """out = a b on rows [r0, r1) of two tiles."""
    for r in range(r0, r1):
        for c in range(out.shape[1]):
            out[r, c] = a[r, c] * b[r, c]


@inner
def _event_scores(i, place, passes, local, slopes, fields_by, log_scale, log_sigma, quadratic, share, origin, r0, r1,
                  q, slope, bend, score, second):  # fmt: skip
    """score [D, 32, 32]: derivative of animal i's own terms along the directions that move detection.

    Also adds share Σ q (second derivative of log φ by log u) ∂log u ∂log u' of its trials to second [D, D].
    """
    size = score.shape[0]
    for a in range(size):
        _add_quadratic(quadratic[i, a], origin[0], origin[1], r0, r1, score[a])
    for e in range(local.trial_start[i], local.trial_start[i + 1]):
        k = local.trial_pass[e]
        x, y = on_tile(passes.span, k, place)
        if x < 0:
            continue
        gx, gy = passes.table[x], passes.table[y]
        ox, oy = TILE * place[0] - passes.centre[k, 0], TILE * place[1] - passes.centre[k, 1]
        _trial_derivatives(local.trial_count[e], local.trial_scale[e], gx, gy, r0, r1, slope, bend)
        for a in range(size):
            _trial_direction(log_scale[a, k], log_sigma[a, k], ox, oy, slope, r0, r1, score[a])
            for b in range(a + 1):
                pair = (log_scale[a, k], log_sigma[a, k], log_scale[b, k], log_sigma[b, k])
                second[a, b] += share * _bent_square(q, bend, *pair, ox, oy, r0, r1)
    for e in range(local.field_start[i], local.field_start[i + 1]):
        f = local.field[e]
        for a in range(size):
            for r in range(r0, r1):
                for c in range(score.shape[2]):
                    rate = local.caught[e] * slopes[f, r, c] - local.extra[e]
                    score[a, r, c] += rate * fields_by[f, a, r, c]


@inner
def _curve_fields(i, share, local, bends, q, r0, r1, over_bend):
    """over_bend [F, 32, 32] += share q caught d²logφ/dΛ_f²."""
    for e in range(local.field_start[i], local.field_start[i + 1]):
        f, caught = local.field[e], share * local.caught[e]
        for r in range(r0, r1):
            for c in range(q.shape[1]):
                over_bend[f, r, c] += caught * q[r, c] * bends[f, r, c]


@inner
def _field_bends(fields, bends):
    """d²logφ/dΛ² [F, 32, 32]: (d²/dlogΛ² − d/dlogΛ)/Λ², 1/12 in the limit."""
    for f in range(fields.shape[0]):
        for r in range(TILE):
            for c in range(TILE):
                u = fields[f, r, c]
                if u <= 1e-3:
                    bends[f, r, c] = C1 + 3 * C2 * u * u
                elif u <= 1.0:
                    bends[f, r, c] = (bend_low(u) - slope_middle(u)) / (u * u)
                else:
                    bends[f, r, c] = (bend_high(u) - slope_high(u)) / (u * u)


@inner
def _cell_terms(mu, unseen, posterior, scores, along_mu, cross, moving, d_detected, detected, second):
    """The part of the second derivatives that all animals share, and the derivative of the number detected.

    scores [P, 32, 32] = ∂log mu − ∂Λ; cross [D, 32, 32] = Σ_i d_log_a_i q_i ∂(own terms); mu here is exp(log mu).
    """
    size = scores.shape[0]
    product = np.empty((TILE, TILE))
    for a in range(size):
        detected[a] += inner_product(mu, along_mu[a], 0, TILE) - inner_product(unseen, scores[a], 0, TILE)
        for r in range(TILE):
            for c in range(product.shape[1]):
                product[r, c] = (posterior[r, c] - d_detected * unseen[r, c]) * scores[a, r, c]
        for b in range(size):
            second[a, b] += inner_product(product, scores[b], 0, TILE)
        multiply_tiles(mu, along_mu[a], 0, TILE, product)
        for b in range(size):
            second[a, b] += d_detected * inner_product(product, along_mu[b], 0, TILE)
        for j in range(cross.shape[0]):
            b = moving[j]
            value = inner_product(scores[a], cross[j], 0, TILE)
            second[a, b] += value
            second[b, a] += value


@inner
def _add_over_fields(start, item, t, place, g, ratio, over_all, over_fields, work, out):
    """out [entries, 3]: square moments of the derivative by the shared field and by each field's own part."""
    origin_x, origin_y = TILE * place[0], TILE * place[1]
    part = np.empty((start[t + 1], 3))
    for f in range(-1, over_fields.shape[0]):
        # the last product of the moments spoils the packed squares along y
        _square_rows(start, item, t, 1, origin_y, g.centre, work[1], work[3])
        _square_moments(start, item, t, origin_x, origin_y, g, over_all if f < 0 else over_fields[f], work, part)
        for e in range(start[t], start[t + 1]):
            w = 1.0 if f < 0 else ratio[f, item[e]]
            for c in range(3):
                out[e, c] += w * part[e, c]


@stage
def curve(
    tiles, t0, t1, density, unseen, animals, share, passes, d_detected, local, along_mu, moving, log_scale, log_sigma,
    quadratic, mean, squares, detected, second, own,
):  # fmt: skip
    """Second derivatives along P directions, of which D = len(moving) move detection.

    along_mu [P, M]; log_scale, log_sigma [D, G]: change of log λ, and of log σ divided by σ²; quadratic [n, D, 4]:
    derivative of each animal's Gaussian as a polynomial around its centre. Fills mean [entries, P] (Σ q ∂log q),
    squares [entries, 3] (moments of the passes), detected [T, P], second [T, P, P] and own [T, D, D], the lower
    triangle of what concerns only the directions that move detection; all four begin as zeros.
    """
    wide()
    n_fields, size, n_moving = local.ratio.shape[0], along_mu.shape[0], moving.size
    owned = (workspace(passes[0], t0, t1, 6), field_room(n_fields), rooms(4 * n_fields), trial_room(local),
             rooms(n_fields * n_moving), rooms(2 * size), rooms(2 * n_moving), np.ones(len(passes[3].centre)),
             rooms(6), room_of_four())  # fmt: skip
    tiles, density, unseen, animals, share, passes = lend((tiles, density, unseen, animals, share, passes))
    local, along_mu, log_scale, log_sigma, quadratic = lend((local, along_mu, log_scale, log_sigma, quadratic))
    mean, squares, detected, second, own = lend((mean, squares, detected, second, own))
    work, fields, of_each, room, fields_by, of_size, of_moving, ones, single, four = lend(owned)
    a_start, a_item, a_box, a = animals
    d_start, d_item, _, d, _ = passes
    trials, of_fields = unpacked(local)
    tables = (a.table, d.table)
    slopes, bends = of_each[:n_fields], of_each[n_fields : 2 * n_fields]
    over_fields, over_bend = of_each[2 * n_fields : 3 * n_fields], of_each[3 * n_fields :]
    fields_by = fields_by.reshape((n_fields, n_moving, TILE, TILE))
    scores, x_tile, score, cross = of_size[:size], of_size[size:], of_moving[:n_moving], of_moving[n_moving:]
    exponent, q, slope, bend, mu, posterior = single[0], single[1], single[2], single[3], single[4], single[5]
    for t in range(t0, t1):
        place = tiles.place[t]
        origin_x, origin_y = TILE * place[0], TILE * place[1]
        pack(d_start, d_item, d.span, d.table, place, t, work[0], work[1])
        if n_fields:
            fill_fields(passes, t, tiles, None, local.ratio, four, fields, True, slopes)
            _field_bends(fields[0], bends)
        _square_rows(d_start, d_item, t, 0, origin_x, d.centre, work[0], work[2])
        _square_rows(d_start, d_item, t, 1, origin_y, d.centre, work[1], work[3])
        for p in range(size):
            load(along_mu[p], tiles, t, 0.0, x_tile[p])
            scores[p] = x_tile[p]
        for j in range(n_moving):
            _field_directions(d_start, d_item, t, place, d, ones, log_scale[j], log_sigma[j], work, exponent)
            scores[moving[j]] -= exponent
            for f in range(n_fields):
                ratio = local.ratio[f]
                _field_directions(
                    d_start, d_item, t, place, d, ratio, log_scale[j], log_sigma[j], work, fields_by[f, j]
                )
        posterior[:] = 0.0
        over_fields[:] = 0.0
        places = trials_there(a_start, a_item, t, trials[0])
        where, spot, top = lend(places)
        locate(a_start, a_item, t, place, d, local, spot, top)
        over_bend[:] = 0.0
        cross[:] = 0.0
        for e in range(a_start[t], a_start[t + 1]):
            i, at = a_item[e], where[e - a_start[t]]
            origin = (origin_x - a.centre[i, 0], origin_y - a.centre[i, 1])
            r0, r1, _, _ = box_of(np.int64(a_box[e]))
            r1 = r0 if local.radius[i] < 0.0 else r1
            animal = on_tile(a.span, i, place)
            local_posterior(i, animal, at, spot, top, tables, trials, None, True, of_fields, fields, unseen[t],
                            (r0, r1, 0, TILE), origin, share[i], room, posterior, q)  # fmt: skip
            _event_scores(i, place, d, local, slopes, fields_by, log_scale, log_sigma, quadratic, share[i], origin,
                          r0, r1, q, slope, bend, score, own[t])  # fmt: skip
            low, high = of_fields[0][i], of_fields[0][i + 1]
            pull_fields(low, high, share[i], of_fields[1], of_fields[2], of_fields[3], slopes, q, r0, r1, over_fields)
            _curve_fields(i, share[i], local, bends, q, r0, r1, over_bend)
            for p in range(size):
                mean[e, p] = inner_product(q, scores[p], r0, r1)
            for j in range(n_moving):
                multiply_tiles(q, score[j], r0, r1, slope)
                add_scaled(share[i], slope, r0, r1, cross[j])
                for k in range(j + 1):
                    own[t, j, k] += share[i] * inner_product(slope, score[k], r0, r1)
                mean[e, moving[j]] += inner_product(q, score[j], r0, r1)
        kept(places)
        for f in range(n_fields):
            for j in range(n_moving):
                multiply_tiles(over_bend[f], fields_by[f, j], 0, TILE, slope)
                for k in range(j + 1):
                    own[t, j, k] += inner_product(slope, fields_by[f, k], 0, TILE)
        load_density(density, tiles, t, mu)
        for r in range(TILE):
            for c in range(mu.shape[1]):
                mu[r, c] = exp(mu[r, c])
        _cell_terms(mu, unseen[t], posterior, scores, x_tile, cross, moving, d_detected, detected[t], second[t])
        if d_start[t + 1] > d_start[t]:
            for r in range(TILE):
                for c in range(mu.shape[1]):
                    posterior[r, c] = d_detected * unseen[t, r, c] - posterior[r, c]
            _add_over_fields(d_start, d_item, t, place, d, local.ratio, posterior, over_fields, work, squares)
    kept(owned)
