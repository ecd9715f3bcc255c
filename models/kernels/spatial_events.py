"""Sums over the detections of animals: each animal's product of Gaussians, and the derivatives that return to passes.

Small work, done often: at fifty thousand cells these sums took a tenth of the time as array operations.
"""

import math

from .compiled import stage
from .spatial_products import TILE


@stage
def collapse(animal, seen, count, x, y, sigma, log_scale, constant, out):
    """Fills out [4, n]: x, y, precision and log of the peak of Π_e (λ_e exp(-d_e²/2σ_e²))^count_e of each animal.

    animal, seen (pass), count [E]; x, y, sigma, log_scale [G]; constant [n] is added to the logarithms.
    """
    n = out.shape[1]
    out[:3] = 0.0
    for e in range(animal.size):
        i, k = animal[e], seen[e]
        tau = count[e] / sigma[k] ** 2
        out[0, i] += tau * x[k]
        out[1, i] += tau * y[k]
        out[2, i] += tau
    for i in range(n):
        out[0, i] /= out[2, i]
        out[1, i] /= out[2, i]
        out[3, i] = constant[i]
    for e in range(animal.size):
        i, k = animal[e], seen[e]
        square = (x[k] - out[0, i]) ** 2 + (y[k] - out[1, i]) ** 2
        out[3, i] += count[e] * (log_scale[k] - 0.5 * square / sigma[k] ** 2)


@stage
def first_radius(x, y, precision, unseen, block_at, log_ceiling, efolds, least, most, radius):
    """Fills radius [n]: `efolds` from the centre, and more as unseen [T, 32, 32] there is below its ceiling."""
    ny, nx = block_at.shape
    for i in range(x.size):
        column = int(min(max(math.floor(x[i] + 0.5), 0.0), nx * TILE - 1.0))
        row = int(min(max(math.floor(y[i] + 0.5), 0.0), ny * TILE - 1.0))
        tile, here = block_at[row // TILE, column // TILE], 0.0
        if tile >= 0:
            here = unseen[tile, row % TILE, column % TILE]
        folds = efolds + log_ceiling - math.log(max(here, 1e-300))
        radius[i] = math.sqrt(2.0 * min(max(folds, least), most) / precision[i])


@stage
def certify(precision, beyond, peak, radius, log_ceiling, corner, faint, tolerance, mass, log_a, wider):
    """How many masses [n] are not above `faint`, which become 0, and the worst of the other's error bounds.

    Beyond rim + 2 corner from the centre, corner = √2/2 cells, Σ mu Gaussian is at most

        e^(beyond + ceiling) 2π/τ (1 + corner/rim) e^(-τ rim²/2)

    as each cell's Gaussian is at most its integral over the cell with distances shortened by half a diagonal h, and
    ∫_s^∞ (r + h) exp(-τr²/2) dr ≤ exp(-τs²/2) (1 + h/s)/τ; relative to the mass it is the bound. Fills log_a [n] =
    peak + log mass (0 mass: peak alone) and, where the bound is above the tolerance, wider [n]: the radius where it is
    half of that, the mass being at least what it is now.
    """
    worst, n_faint = 0.0, 0
    for i in range(mass.size):
        log_a[i] = peak[i]
        if not mass[i] > faint:
            mass[i] = 0.0
            n_faint += 1
            continue
        log_mass, tau = math.log(mass[i]), precision[i]
        log_a[i] += log_mass
        rim = max(radius[i] - 2.0 * corner, 1e-3)
        scale = beyond[i] + log_ceiling + math.log(2.0 * math.pi / tau) - log_mass
        bound = math.exp(min(scale + math.log1p(corner / rim) - 0.5 * tau * rim * rim, 700.0))
        worst = max(worst, bound)
        if bound > tolerance:
            folds = scale + math.log1p(corner) - math.log(0.5 * tolerance)
            wider[i] = max(math.sqrt(2.0 * max(folds, 0.0) / tau), 1.0) + 2.0 * corner
    return worst, n_faint


@stage
def to_passes(animal, seen, count, x, y, sigma, centre_x, centre_y, d_log_a, share, around, out):
    """Adds to out [G, 3] the derivatives of Σ count (log λ - d²/2σ²) under the animals' posteriors q.

    share [n] · around [n, 3]: Σ q dx, Σ q dy and Σ q d² from the centre of each animal; d_log_a [n] = Σ q.
    """
    for e in range(animal.size):
        i, k = animal[e], seen[e]
        off_x, off_y = centre_x[i] - x[k], centre_y[i] - y[k]
        square = share[i] * (around[i, 2] + 2.0 * (off_x * around[i, 0] + off_y * around[i, 1]))
        square += d_log_a[i] * (off_x * off_x + off_y * off_y)
        out[k, 0] += count[e] * d_log_a[i]
        out[k, 1] += count[e] * square / sigma[k] ** 2


@stage
def lay_out(x, y, precision, radius, nx, ny, centre, span):
    """Fills centre [K, 3] and span [K, 6] of `Gaussians` that reach `radius` on nx by ny tiles; the rows they need."""
    rows = 0
    for k in range(x.size):
        reach = min(radius[k], 1e9)
        centre[k, 0], centre[k, 1], centre[k, 2] = x[k], y[k], precision[k]
        for axis in range(2):
            last = (nx if axis == 0 else ny) - 1
            low = int(min(max((centre[k, axis] - reach) / TILE, 0.0), last))
            high = int(min(max((centre[k, axis] + reach) / TILE, 0.0), last))
            span[k, axis] = rows - low
            span[k, 2 + 2 * axis], span[k, 3 + 2 * axis] = low, high - low + 1
            rows += high - low + 1
    return rows
