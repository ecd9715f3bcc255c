"""What an animal's likelihood has beyond its Gaussian: repeated trials, competing fields, exposure of its own.

A trial's term L depends on the Gaussian g of its pass alone: log φ(scale g), or L(g) of `spatial_math` where g is a
probability. As long as g is small on a tile L is a short power series, and g^j is again a product of two tables: the
exponents of an animal are one small matrix product, their derivatives another. Otherwise they are taken cell by cell.
"""

import math
from collections import namedtuple

import numpy as np

from .compiled import fused, inner, kept, lend, stage, summing, wide
from .spatial_math import exp, exp_small, hazard, phi, slope
from .spatial_spread import add_field, adjoint, collect, collect_chances
from .spatial_tables import TILE, add_scaled, load, nearest, on_tile, pack, rooms, store, tile_moments, workspace
from .spatial_terms import add_chance, add_trial, chance_slopes, fill_powers, trial_slopes

# As CSR over animals. Trials: the pass, the scale x, the number of successes, and the series of the term in powers
# 1, 2, … of the pass's Gaussian, which is faithful up to trial_limit. Fields: the times it was caught on each and its
# exposure beyond that of the void. radius [n]: of the animals' windows; most: trials of one animal; ratio [F, G]: the
# share of each pass's weight that makes up each field (F = 0 where no animal needs fields).
Local = namedtuple(
    "Local",
    "radius trial_start trial_pass trial_scale trial_count trial_series trial_limit "
    "field_start field caught extra most ratio",
    module=__name__,
)

PLAIN, SMALL, ANY = 0, 1, 2  # sizes of an exponent


@inner
def rows_within(centre, radius, origin):
    """The rows [r0, r1) of a tile within `radius` of a centre."""
    r0 = max(math.ceil(centre - radius) - origin, 0.0)
    r1 = min(math.floor(centre + radius) - origin + 1, float(TILE))
    return int(r0), int(max(r0, r1))


@inner
def locate(start, item, t, place, passes, local, spot, top):
    """The rows of the tables [entries of the tile's trials, 2] of each trial's pass, -1 where it does not reach, and
    the greatest value there. Done for a whole tile at once: every array of a named tuple costs when it is touched."""
    n, trial_start, trial_pass = 0, local.trial_start, local.trial_pass
    centre, span, table = passes
    for e in range(start[t], start[t + 1]):
        for j in range(trial_start[item[e]], trial_start[item[e] + 1]):
            k = trial_pass[j]
            x, y = on_tile(span, k, place)
            spot[n, 0], spot[n, 1], top[n] = x, y, 0.0
            if x >= 0:
                c, r = nearest(centre[k, 0], place[0]), nearest(centre[k, 1], place[1])
                top[n] = table[x, c] * table[y, r]
            n += 1


@inner
def _stack(first, trials, at, spot, top, table, count, scale, series, limit, chances, across, down, power,
           trial_row):  # fmt: skip
    """An animal's trials [first, first + trials) on a tile as rows of two tables: (rows, any cell by cell, bound).

    at: where its trials begin in spot and top. trial_row [trials + 1]: where each trial's rows begin; a trial whose
    Gaussian is above its limit has none and goes cell by cell. The bound is of the exponent.
    """
    trial_row[0] = 0
    n, bound, cellwise = trial_row[0], 0.0, False  # a literal 0 would compile all this twice
    for j in range(trials):
        e, x, high = first + j, spot[at + j, 0], top[at + j]
        trial_row[j] = n
        if x < 0:
            continue
        if chances is not None:
            bound += count[e] * (1.0 + scale[e]) * hazard(high)
        else:
            u = scale[e] * high
            bound += count[e] * min(u, u * (0.5 + u / 24.0))
        if high <= limit[e]:
            n = fill_powers(table, x, spot[at + j, 1], count[e], series, e, high, n, across, down, power)
        else:
            cellwise = True
    trial_row[trials] = n
    return n, cellwise, bound


@inner
def _add_cellwise(first, trials, at, spot, top, table, count, scale, limit, chances, r0, r1, exponent):
    """Adds the trials that are no short series to the exponent."""
    for j in range(trials):
        if top[at + j] > limit[first + j]:
            e, gx, gy = first + j, table[spot[at + j, 0]], table[spot[at + j, 1]]
            if chances is not None:
                add_chance(count[e], scale[e], gx, gy, top[at + j], r0, r1, exponent)
            else:
                add_trial(count[e], scale[e], gx, gy, scale[e] * top[at + j], r0, r1, exponent)


@summing
def _weigh(table, x, y, unseen, t, exponent, how, r0, r1, q):
    """q [32, 32] = unseen[t] · Gaussian · exp(exponent) on rows [r0, r1), 0 on the others; returns Σ q.

    how: PLAIN (no exponent), SMALL (|exponent| ≤ 0.2) or ANY.
    """
    wide()
    for r in range(r0):
        for c in range(q.shape[1]):
            q[r, c] = 0.0
    for r in range(r1, TILE):
        for c in range(q.shape[1]):
            q[r, c] = 0.0
    whole = 0.0
    for r in range(r0, r1):
        a, s = table[y, r], 0.0
        if how == SMALL:
            for c in range(q.shape[1]):
                v = unseen[t, r, c] * (a * table[x, c]) * exp_small(exponent[r, c])
                q[r, c] = v
                s += v
        elif how == PLAIN:
            for c in range(q.shape[1]):
                v = unseen[t, r, c] * (a * table[x, c])
                q[r, c] = v
                s += v
        else:
            for c in range(q.shape[1]):
                v = unseen[t, r, c] * (a * table[x, c]) * exp(exponent[r, c])
                q[r, c] = v
                s += v
        whole += s
    return whole


@summing
def _times(factors, f, r0, r1, q):
    """q *= factors[f] on rows [r0, r1); returns Σ q."""
    wide()
    whole = 0.0
    for r in range(r0, r1):
        s = 0.0
        for c in range(q.shape[1]):
            v = q[r, c] * factors[f, r, c]
            q[r, c] = v
            s += v
        whole += s
    return whole


@inner
def _add_fields(low, high, which, caught, extra, fields, bound, r0, r1, exponent):
    """The competing fields [low, high) that go into the exponent: (whether any did, bound of exponent and factors)."""
    hazards, logs, _, highest = fields
    used = False
    for e in range(low, high):
        f = which[e]
        bound += (caught[e] + abs(extra[e])) * highest[f]
        if not _multiplied(caught[e], extra[e]):
            used = True
            add_scaled(caught[e], logs[f], r0, r1, exponent)
            if extra[e] != 0.0:
                add_scaled(-extra[e], hazards[f], r0, r1, exponent)
    return used, bound


@inner
def _multiplied(caught, extra):
    """Whether captures on a field are done by multiplying with φ(Λ_f), not in the exponent."""
    return extra == 0.0 and (caught == 1.0 or caught == 2.0)


@inner
def local_posterior(i, animal, at, spot, top, tables, trials, chances, competing, of_fields, fields, unseen, t, r0, r1,
                    room, q):  # fmt: skip
    """q [32, 32] = unseen[t] · Gaussian_i · exp(local terms) on rows [r0, r1), 0 on the others.

    animal: its rows of tables[0]; tables: of animals and of passes; trials: (start, scale,
    count, series, limit); of_fields: (start, field, caught, extra); room: (exponent [32, 32], across, down [rows, 32],
    power [rows], trial_row). Returns Σ q (nan where an exponent might overflow) and the number of rows of the trials.
    """
    exponent, across, down, power, trial_row, _ = room
    start, scale, count, series, limit = trials
    size = start[i + 1] - start[i]
    n, cellwise, bound = _stack(start[i], size, at, spot, top, tables[1], count, scale, series, limit,
                                chances, across, down, power, trial_row)  # fmt: skip
    if n:
        np.dot(down[:n].T, across[:n], exponent)
    elif cellwise or competing is not None:
        exponent[:] = 0.0
    if cellwise:
        _add_cellwise(start[i], size, at, spot, top, tables[1], count, scale, limit, chances, r0, r1,
                      exponent)  # fmt: skip
    by_fields = False
    if competing is not None:
        low, high = of_fields[0][i], of_fields[0][i + 1]
        by_fields, bound = _add_fields(low, high, of_fields[1], of_fields[2], of_fields[3], fields, bound, r0, r1,
                                       exponent)  # fmt: skip
    how = (SMALL if bound <= 0.2 else ANY) if n or cellwise or by_fields else PLAIN
    whole = _weigh(tables[0], animal[0], animal[1], unseen, t, exponent, how, r0, r1, q)
    if competing is not None:
        for e in range(of_fields[0][i], of_fields[0][i + 1]):
            if _multiplied(of_fields[2][e], of_fields[3][e]):
                for _ in range(int(of_fields[2][e])):
                    whole = _times(fields[2], of_fields[1][e], r0, r1, q)
    return whole if bound < 600.0 else np.nan, n


@inner
def unpacked(local):
    """The arrays of `Local` by use: (start, scale, count, series, limit) of trials; (start, field, caught, extra)."""
    trials = (local.trial_start, local.trial_scale, local.trial_count, local.trial_series, local.trial_limit)
    return trials, (local.field_start, local.field, local.caught, local.extra)


@inner
def trials_there(start, item, t, trial_start):
    """Where the trials of each entry of tile t begin, and room for `locate`: rows of tables, greatest value."""
    first = np.zeros(start[t + 1] - start[t] + 1, np.int64)
    for e in range(start[t], start[t + 1]):
        row = e - start[t]
        first[row + 1] = first[row] + trial_start[item[e] + 1] - trial_start[item[e]]
    return first, np.empty((first[-1], 2), np.int64), np.empty(first[-1])


@inner
def trial_room(local, scale):
    """Working memory of `local_posterior`: `scale` times as many rows as the trials of one animal can fill."""
    rows = max(local.most * local.trial_series.shape[1], 1)
    exponent, tables = rooms(1)[0], rooms(3 * rows * scale // TILE + 3).reshape((-1, TILE))
    size = rows * scale
    power, trial_row = np.empty(rows, np.int64), np.empty(local.most + 1, np.int64)
    return exponent, tables[:size], tables[size : 2 * size], power, trial_row, tables[2 * size : 3 * size]


@inner
def field_room(n):
    """Working memory of `fill_fields`."""
    return rooms(n), rooms(n), rooms(n), np.empty(n)


@inner
def fill_fields(start, item, t, place, g, weight, chances, ratio, work, fields, back, by):
    """Λ_f of a tile, log φ, φ and, if `back`, dlogφ/dΛ in `by`; the tables must be packed in work[0:2]."""
    hazards, logs, factors, highest = fields
    for f in range(ratio.shape[0]):
        add_field(start, item, t, place, g, ratio[f] * weight, chances, work, hazards[f])
        highest[f] = 0.0
        for r in range(TILE):
            for c in range(work.shape[2]):
                u = hazards[f, r, c]
                highest[f] = max(highest[f], u)
                logs[f, r, c] = phi(u)
        for r in range(TILE):
            for c in range(work.shape[2]):
                factors[f, r, c] = exp(logs[f, r, c])
        if back:
            for r in range(TILE):
                for c in range(work.shape[2]):
                    # (u dlogφ/du)/u, whose limit at 0 is 1/2
                    v = max(hazards[f, r, c], 1e-300)
                    by[f, r, c] = slope(v) / v


@summing
def _add_row_moments(power, across, by_rows, row, n, ox, out, e):
    """out[e] += power · Σ of one stacked row's (value, value · d²)."""
    s0, s2 = 0.0, 0.0
    for c in range(across.shape[1]):
        d = ox + c
        s0 += across[row, c] * by_rows[row, c]
        s2 += across[row, c] * (by_rows[row, c] * (d * d) + by_rows[n + row, c])
    out[e, 0] += power * s0
    out[e, 1] += power * s2


@inner
def _pull_trials(i, share, first, at, spot, top, origin, centre, trial_pass, table, trials, chances, n, room, q,
                 by_rows, scratch, r0, r1, out):  # fmt: skip
    """out [entries, 2]: share times the moments of q · dL/dlog g around each trial's pass, from entry `first` on."""
    _, across, down, power, trial_row, _ = room
    start, scale, count, _, limit = trials
    begin, size = start[i], start[i + 1] - start[i]
    for j in range(size):
        oy = origin[1] - centre[trial_pass[begin + j], 1]
        for row in range(trial_row[j], trial_row[j + 1]):
            for c in range(down.shape[1]):
                down[n + row, c] = down[row, c] * ((oy + c) * (oy + c))
    if n:
        np.dot(down[: 2 * n], q, by_rows[: 2 * n])
    for j in range(size):
        k, e = trial_pass[begin + j], first + j
        out[e, 0], out[e, 1] = 0.0, 0.0
        ox, oy = origin[0] - centre[k, 0], origin[1] - centre[k, 1]
        if top[at + j] > limit[begin + j]:
            gx, gy, x = table[spot[at + j, 0]], table[spot[at + j, 1]], scale[begin + j]
            if chances is not None:
                chance_slopes(x, gx, gy, top[at + j], r0, r1, q, scratch)
            else:
                trial_slopes(x, gx, gy, x * top[at + j], r0, r1, q, scratch)
            s0, _, _, s2 = tile_moments(scratch, r0, r1, ox, oy)
            out[e, 0], out[e, 1] = share * count[begin + j] * s0, share * count[begin + j] * s2
            continue
        for row in range(trial_row[j], trial_row[j + 1]):
            _add_row_moments(share * power[row], across, by_rows, row, n, ox, out, e)


@fused
def pull_fields(low, high, share, which, caught, extra, by, q, r0, r1, over_fields):
    """Adds an animal's derivative by each Λ_f beyond the shared one: share q (caught dlogφ/dΛ_f - extra)."""
    wide()
    for e in range(low, high):
        f, a, b = which[e], share * caught[e], share * extra[e]
        for r in range(r0, r1):
            for c in range(q.shape[1]):
                over_fields[f, r, c] += q[r, c] * (a * by[f, r, c] - b)


@inner
def _collect_fields(start, item, t, place, passes, ratio, over_fields, work, turned, out):
    """out [entries, 2] += Σ_f ratio_f · moments of (derivative by Λ_f) · Gaussian."""
    n = start[t + 1] - start[t]
    part, local_start = np.empty((n, 2)), np.array([0, n])
    for f in range(over_fields.shape[0]):
        collect(local_start, item[start[t] : start[t + 1]], 0, place, passes.centre, over_fields[f], work, turned, part)
        for e in range(n):
            w = ratio[f, item[start[t] + e]]
            for c in range(2):
                out[start[t] + e, c] += w * part[e, c]


@inner
def _collect_passes(start, item, t, place, passes, weight, chances, competing, ratio, posterior, over_fields, work,
                    scratch, turned, out):  # fmt: skip
    """The moments of the passes of tile t, given the derivatives by the shared field and by the fields' own parts."""
    if start[t + 1] == start[t]:
        return
    if chances is not None:
        collect_chances(
            start, item, t, place, passes, weight, ratio, posterior, over_fields, work, scratch, turned, out
        )
    else:
        collect(start, item, t, place, passes.centre, posterior, work, turned, out)
        if competing is not None:
            _collect_fields(start, item, t, place, passes, ratio, over_fields, work, turned, out)


@stage
def sweep(
    tiles, t0, t1, back, log_mu, unseen, animals, share, passes, d_detected, chances, competing, local,
    trial_first, mass, d_log_mu, of_animals, of_passes, of_trials,
):  # fmt: skip
    """Animals with local terms. Forwards as `integrate`: mass, nan where an exponent might overflow; or back as `pull`.

    Both in one kernel, as what they share takes most of the time to compile. trial_first [entries]: where in of_trials
    […, 2] the trials of each entry of the animals' lists begin. What belongs to the other direction may be empty.
    chances and competing are True or None: whether tables are probabilities, whether any animal needs fields.
    """
    wide()
    n_fields = local.ratio.shape[0]
    owned = (workspace(passes[0], t0, t1, 4), field_room(n_fields), rooms(2 * n_fields), rooms(5), trial_room(local, 2))
    tiles, log_mu, unseen, animals, share, passes = lend((tiles, log_mu, unseen, animals, share, passes))
    local, trial_first, mass, d_log_mu = lend((local, trial_first, mass, d_log_mu))
    of_animals, of_passes, of_trials = lend((of_animals, of_passes, of_trials))
    work, fields, double, single, room = lend(owned)
    a_start, a_item, a = animals
    d_start, d_item, d, weight = passes
    ratio, radius, centre, span = local.ratio, local.radius, a.centre, a.span
    trial_pass, tables, (trials, of_fields) = local.trial_pass, (a.table, d.table), unpacked(local)
    by, over_fields = double[:n_fields], double[n_fields:]
    q, scratch, mu, posterior, turned = single[0], single[1], single[2], single[3], single[4]
    by_rows = room[5]
    for t in range(t0, t1):
        place = tiles.place[t]
        origin = (TILE * place[0], TILE * place[1])
        if back or competing is not None:
            pack(d_start, d_item, d.span, d.table, place, t, work[0], work[1])
        if competing is not None:
            fill_fields(d_start, d_item, t, place, d, weight, chances, ratio, work, fields, back, by)
        posterior[:] = 0.0
        over_fields[:] = 0.0
        places = trials_there(a_start, a_item, t, trials[0])
        where, spot, top = lend(places)
        locate(a_start, a_item, t, place, d, local, spot, top)
        for e in range(a_start[t], a_start[t + 1]):
            i, at = a_item[e], where[e - a_start[t]]
            r0, r1 = rows_within(centre[i, 1], radius[i], origin[1])
            animal = (span[i, 0] + place[0], span[i, 1] + place[1])
            whole, n = local_posterior(i, animal, at, spot, top, tables, trials, chances, competing, of_fields, fields,
                                       unseen, t, r0, r1, room, q)  # fmt: skip
            if back:
                moments = tile_moments(q, r0, r1, origin[0] - centre[i, 0], origin[1] - centre[i, 1])
                of_animals[e, 0], of_animals[e, 1], of_animals[e, 2] = moments[1], moments[2], moments[3]
                add_scaled(share[i], q, r0, r1, posterior)
                if trials[0][i + 1] > trials[0][i]:
                    _pull_trials(i, share[i], trial_first[e], at, spot, top, origin, d.centre, trial_pass, tables[1],
                                 trials, chances, n, room, q, by_rows, scratch, r0, r1, of_trials)  # fmt: skip
                if competing is not None:
                    low, high = of_fields[0][i], of_fields[0][i + 1]
                    pull_fields(low, high, share[i], of_fields[1], of_fields[2], of_fields[3], by, q, r0, r1,
                                over_fields)  # fmt: skip
            else:
                mass[e] = whole
        kept(places)
        if back:
            load(log_mu, tiles, t, -np.inf, mu)
            adjoint(mu, unseen[t], posterior, d_detected)
            store(mu, tiles, t, d_log_mu)
            _collect_passes(d_start, d_item, t, place, d, weight, chances, competing, ratio, posterior, over_fields,
                            work, scratch, turned, of_passes)  # fmt: skip
    kept(owned)
