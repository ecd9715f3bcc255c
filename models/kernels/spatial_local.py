"""What an animal's likelihood has beyond its Gaussian: repeated trials, competing fields, exposure of its own.

A trial's term L depends on the Gaussian g of its pass alone: log φ(scale g), or L(g) of `spatial_math` where g is a
probability. As long as g is small on a tile L is a short power series, and g^j is again a product of two tables: the
exponents of an animal are one small matrix product, their derivatives another. Otherwise they are taken cell by cell.
"""

from collections import namedtuple

import numpy as np

from .compiled import fused, inner, kept, lend, stage, wide, within
from .spatial_cover import box_of
from .spatial_math import exp, exp_small, hazard, phi, slope
from .spatial_products import TILE, round_moments, set_rows, weigh
from .spatial_spread import add_field, adjoint, collect, collect_chances, to_density
from .spatial_tables import add_scaled, load_density, nearest, on_tile, room_of_four, rooms, tile_moments
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


@within
def _stack(first, trials, at, spot, top, table, count, scale, series, limit, chances, across, down, power,
           trial_row, ones):  # fmt: skip
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
            n = fill_powers(table, x, spot[at + j, 1], count[e], series, e, high, n, across, down, power, ones)
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


@fused
def _raise(exponent, small, r0, r1):
    """In place: the exponential on rows [r0, r1); small: within ±0.2."""
    wide()
    for r in range(r0, r1):
        if small:
            for c in range(exponent.shape[1]):
                exponent[r, c] = exp_small(exponent[r, c])
        else:
            for c in range(exponent.shape[1]):
                exponent[r, c] = exp(exponent[r, c])


@fused
def _times(factors, f, r0, r1, out):
    """out *= factors[f] on rows [r0, r1)."""
    for r in range(r0, r1):
        for c in range(out.shape[1]):
            out[r, c] *= factors[f, r, c]


@inner
def _fill_rows(value, r0, r1, c0, c1, out):
    """out = value on a box."""
    for r in range(r0, r1):
        for c in range(c0, c1):
            out[r, c] = value


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


@within
def local_posterior(i, animal, at, spot, top, tables, trials, chances, competing, of_fields, fields, unseen, box,
                    origin, share, room, posterior, q):  # fmt: skip
    """q [32, 32] = unseen · Gaussian_i · exp(local terms) in the box, 0 on the rest of its rows; posterior += share q.

    animal: its rows of tables[0]; tables: of animals and of passes; trials: (start, scale, count, series, limit);
    of_fields: (start, field, caught, extra); origin: of distances from the animal's centre, (dx, dy) of the first cell;
    room: (exponent [32, 32], across, down [rows, 32], power [rows], trial_row, ones). Returns Σ q (nan where an
    exponent might overflow), Σ q dx, Σ q dy, Σ q (dx² + dy²).
    """
    exponent, across, down, power, trial_row, ones = room
    start, scale, count, series, limit = trials
    r0, r1, c0, c1 = box
    if c1 - c0 < TILE:
        _fill_rows(0.0, r0, r1, 0, TILE, q)
    size = start[i + 1] - start[i]
    n, cellwise, bound = _stack(start[i], size, at, spot, top, tables[1], count, scale, series, limit,
                                chances, across, down, power, trial_row, ones)  # fmt: skip
    there = n > 0
    if there:
        padded = (n + 3) & -4
        _fill_rows(0.0, n, padded, 0, TILE, across)
        set_rows(across, down, padded, box, exponent)
    elif cellwise or competing is not None:
        _fill_rows(0.0, r0, r1, 0, TILE, exponent)
    if cellwise:
        there = True
        _add_cellwise(start[i], size, at, spot, top, tables[1], count, scale, limit, chances, r0, r1,
                      exponent)  # fmt: skip
    raised = False
    if competing is not None:
        low, high = of_fields[0][i], of_fields[0][i + 1]
        used, bound = _add_fields(low, high, of_fields[1], of_fields[2], of_fields[3], fields, bound, r0, r1,
                                  exponent)  # fmt: skip
        if there or used:
            _raise(exponent, bound <= 0.2, r0, r1)
        else:
            _fill_rows(1.0, r0, r1, 0, TILE, exponent)
        raised = there = True
        for e in range(low, high):
            if _multiplied(of_fields[2][e], of_fields[3][e]):
                for _ in range(int(of_fields[2][e])):
                    _times(fields[2], of_fields[1][e], r0, r1, exponent)
    elif there and bound > 0.2:
        _raise(exponent, False, r0, r1)
        raised = True
    x, y, (ox, oy) = animal[0], animal[1], origin
    if not there:
        found = weigh(tables[0], x, y, unseen, exponent, 0, share, ox, oy, box, posterior, q)
    elif raised:
        found = weigh(tables[0], x, y, unseen, exponent, 1, share, ox, oy, box, posterior, q)
    elif bound <= 2e-3:
        found = weigh(tables[0], x, y, unseen, exponent, 4, share, ox, oy, box, posterior, q)
    else:
        found = weigh(tables[0], x, y, unseen, exponent, 11, share, ox, oy, box, posterior, q)
    return found[0] if bound < 600.0 else np.nan, found[1], found[2], found[3]


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
def trial_room(local):
    """Working memory of `local_posterior`: as many rows as the trials of one animal can fill."""
    rows = max(local.most * local.trial_series.shape[1], 1) + 3  # full fours
    exponent, tables = rooms(1)[0], rooms((2 * rows + 3) // TILE + 1).reshape((-1, TILE))
    power, trial_row = np.empty(rows, np.int64), np.empty(local.most + 1, np.int64)
    tables[:] = 0.0
    tables[2 * rows] = 1.0
    return exponent, tables[:rows], tables[rows : 2 * rows], power, trial_row, tables[2 * rows : 2 * rows + 3]


@inner
def field_room(n):
    """Working memory of `fill_fields`."""
    return rooms(n), rooms(n), rooms(n), np.empty(n)


@inner
def fill_fields(passes, t, tiles, chances, ratio, four, fields, back, by):
    """Λ_f of a tile, log φ, φ and, if `back`, dlogφ/dΛ in `by`."""
    hazards, logs, factors, highest = fields
    for f in range(ratio.shape[0]):
        add_field(passes, t, tiles, ratio[f] * passes[4], chances, four, hazards[f, :0], hazards[f])
        highest[f] = 0.0
        for r in range(TILE):
            for c in range(hazards.shape[2]):
                u = hazards[f, r, c]
                highest[f] = max(highest[f], u)
                logs[f, r, c] = phi(u)
        for r in range(TILE):
            for c in range(hazards.shape[2]):
                factors[f, r, c] = exp(logs[f, r, c])
        if back:
            for r in range(TILE):
                for c in range(hazards.shape[2]):
                    # (u dlogφ/du)/u, whose limit at 0 is 1/2
                    v = max(hazards[f, r, c], 1e-300)
                    by[f, r, c] = slope(v) / v


@within
def _pull_trials(i, share, first, at, spot, top, origin, centre, trial_pass, table, trials, chances, room, q,
                 scratch, box, out):  # fmt: skip
    """out [entries, 2]: share times the moments of q · dL/dlog g around each trial's pass, from entry `first` on."""
    _, across, down, power, trial_row, _ = room
    start, scale, count, _, limit = trials
    begin, r0, r1 = start[i], box[0], box[1]
    for j in range(start[i + 1] - begin):
        k, e = trial_pass[begin + j], first + j
        ox, oy = origin[0] - centre[k, 0], origin[1] - centre[k, 1]
        s0, s2 = 0.0, 0.0
        if top[at + j] > limit[begin + j]:
            gx, gy, x = table[spot[at + j, 0]], table[spot[at + j, 1]], scale[begin + j]
            if chances is not None:
                chance_slopes(x, gx, gy, top[at + j], r0, r1, q, scratch)
            else:
                trial_slopes(x, gx, gy, x * top[at + j], r0, r1, q, scratch)
            s0, _, _, s2 = tile_moments(scratch, r0, r1, ox, oy)
            s0, s2 = count[begin + j] * s0, count[begin + j] * s2
        else:
            for row in range(trial_row[j], trial_row[j + 1]):
                a, b = round_moments(across, row, down, row, q, ox, oy, box)
                s0, s2 = s0 + power[row] * a, s2 + power[row] * b
        out[e, 0], out[e, 1] = share * s0, share * s2


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
def _collect_fields(passes, t, place, ratio, over_fields, part, out):
    """out [entries, 2] += Σ_f ratio_f · moments of (derivative by Λ_f) · Gaussian; part: room for the same."""
    start, item, box, d, _ = passes
    for f in range(over_fields.shape[0]):
        collect(start, item, box, t, place, d.centre, d.span, d.table, over_fields[f], part)
        for e in range(start[t], start[t + 1]):
            w = ratio[f, item[e]]
            for c in range(2):
                out[e, c] += w * part[e, c]


@inner
def _collect_passes(passes, t, place, chances, competing, ratio, posterior, over_fields, part, scratch, turned,
                    out):  # fmt: skip
    """The moments of the passes of tile t, given the derivatives by the shared field and by the fields' own parts."""
    start, item, box, d, weight = passes
    if chances is not None:
        collect_chances(start, item, t, place, d, weight, ratio, posterior, over_fields, scratch, turned, out)
    else:
        collect(start, item, box, t, place, d.centre, d.span, d.table, posterior, out)
        if competing is not None:
            _collect_fields(passes, t, place, ratio, over_fields, part, out)


@stage
def sweep(
    tiles, t0, t1, back, density, unseen, animals, share, passes, d_detected, chances, competing, local,
    trial_first, mass, d_log_mu, by_fields, of_animals, of_passes, of_trials,
):  # fmt: skip
    """Animals with local terms. Forwards as `integrate`: mass, nan where an exponent might overflow; or back as `pull`.

    Both in one kernel, as what they share takes most of the time to compile. trial_first [entries]: where in of_trials
    […, 2] the trials of each entry of the animals' lists begin; of_animals [entries, 3]: Σ q dx, Σ q dy, Σ q d². What
    belongs to the other direction may be empty. chances and competing are True or None: whether tables are
    probabilities, whether any animal needs fields.
    """
    wide()
    n_fields = local.ratio.shape[0]
    owned = (room_of_four(), field_room(n_fields), rooms(2 * n_fields), rooms(5), trial_room(local),
             np.empty((passes[0][t1] if n_fields and back else 0, 2)))  # fmt: skip
    tiles, density, unseen, animals, share, passes = lend((tiles, density, unseen, animals, share, passes))
    local, trial_first, mass, d_log_mu, by_fields = lend((local, trial_first, mass, d_log_mu, by_fields))
    of_animals, of_passes, of_trials = lend((of_animals, of_passes, of_trials))
    four, fields, double, single, room, part = lend(owned)
    a_start, a_item, a_box, a = animals
    d = passes[3]
    ratio, radius, centre, span = local.ratio, local.radius, a.centre, a.span
    trial_pass, tables, (trials, of_fields) = local.trial_pass, (a.table, d.table), unpacked(local)
    by, over_fields = double[:n_fields], double[n_fields:]
    q, scratch, mu, posterior, turned = single[0], single[1], single[2], single[3], single[4]
    for t in range(t0, t1):
        place = tiles.place[t]
        origin = (TILE * place[0], TILE * place[1])
        if competing is not None:
            fill_fields(passes, t, tiles, chances, ratio, four, fields, back, by)
        posterior[:] = 0.0
        over_fields[:] = 0.0
        places = trials_there(a_start, a_item, t, trials[0])
        where, spot, top = lend(places)
        locate(a_start, a_item, t, place, d, local, spot, top)
        for e in range(a_start[t], a_start[t + 1]):
            i, at, box = a_item[e], where[e - a_start[t]], box_of(np.int64(a_box[e]))
            if radius[i] < 0.0:
                box = (box[0], box[0], box[2], box[3])
            animal = (span[i, 0] + place[0], span[i, 1] + place[1])
            offset = (origin[0] - centre[i, 0], origin[1] - centre[i, 1])
            found = local_posterior(i, animal, at, spot, top, tables, trials, chances, competing, of_fields, fields,
                                    unseen[t], box, offset, share[i] if back else 0.0, room, posterior,
                                    q)  # fmt: skip
            if back:
                r0, r1 = box[0], box[1]
                of_animals[e, 0], of_animals[e, 1], of_animals[e, 2] = found[1], found[2], found[3]
                if trials[0][i + 1] > trials[0][i]:
                    _pull_trials(i, share[i], trial_first[e], at, spot, top, origin, d.centre, trial_pass, tables[1],
                                 trials, chances, room, q, scratch, box, of_trials)  # fmt: skip
                if competing is not None:
                    low, high = of_fields[0][i], of_fields[0][i + 1]
                    pull_fields(low, high, share[i], of_fields[1], of_fields[2], of_fields[3], by, q, r0, r1,
                                over_fields)  # fmt: skip
            else:
                mass[e] = found[0]
        kept(places)
        if back:
            load_density(density, tiles, t, mu)
            adjoint(mu, unseen[t], posterior, d_detected)
            to_density(mu, tiles, t, density[2], d_log_mu, by_fields)
            _collect_passes(passes, t, place, chances, competing, ratio, posterior, over_fields, part, scratch, turned,
                            of_passes)  # fmt: skip
    kept(owned)
