"""Density, effective sampling area and abundance with their uncertainty.

Everything is a function of the coefficients; its gradient comes from the engine's pull-back and goes through the chain
rule of the model, so every standard error here is a delta-method one without numerical differences.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.ndimage import binary_fill_holes
from scipy.special import expit

from ...survey.errors import refuse
from ...survey.habitat import HabitatMask
from ..derived import Estimate, log_normal, log_normal_above, table, z_of
from ..inference.profile import profile_intervals
from .engine.density import flat
from .engine.given_distance import pulled
from .metric import COST

PER_100_KM2 = "animals per 100 km²"
EMPTY = np.empty(0)
COVERED = 0.98  # share of a region within the mask from which it counts as covered by it
REGION_CELLS = 1000  # cells that a region is cut into at least, so that its edge costs less than about 1 % of its area


@dataclass(frozen=True)
class Functional:
    """A positive number and its gradient with respect to the coefficients [p]."""

    value: float
    gradient: np.ndarray

    def variance(self, covariance: np.ndarray) -> float:
        """Delta-method variance; coefficients that play no part may be undetermined."""
        used = np.flatnonzero(self.gradient != 0.0)
        g = self.gradient[used]
        return float(g @ covariance[np.ix_(used, used)] @ g)

    def se(self, covariance: np.ndarray, *, log_normal: bool = False) -> float:
        """Standard error to first order; with `log_normal`, value × sqrt(exp(s²) - 1), s that of the logarithm.

        The second is exact for a quantity that is exp(one coefficient) times a constant.
        """
        variance = self.variance(covariance)
        return float(self.value * np.sqrt(np.expm1(variance / self.value**2)) if log_normal else np.sqrt(variance))

    def __add__(self, other: Functional) -> Functional:
        return Functional(self.value + other.value, self.gradient + other.gradient)

    def __sub__(self, other: Functional) -> Functional:
        return Functional(self.value - other.value, self.gradient - other.gradient)

    def times(self, factor: float) -> Functional:
        """The same in another unit."""
        return Functional(self.value * factor, self.gradient * factor)


def _gradient(fit, session, part, d_rows: np.ndarray, d_pmix: np.ndarray, d_cost=0.0) -> np.ndarray:
    """Coefficient gradient [p] from derivatives by the detection rows of one part [its rows, 3] and by pmix."""
    values, of_density = but_density(fit), fit.model.parameters.slice_of("D")
    whole = {name: np.zeros_like(v) for name, v in values.items()}
    mine, every = fit.model.values_of(whole, session), np.zeros((len(session.rows), d_rows.shape[1]))  # views
    every[part.rows] = d_rows
    for name, by in session.by_detection(fit.model.values_of(values, session), every).items():
        mine[name][:] = by
    if COST in mine:
        mine[COST][:] = d_cost
    if session.classes is not None:
        mine["pmix"][:] = d_pmix
    whole["D"] = np.zeros(of_density.stop - of_density.start)
    return fit.model.parameters.pull(fit.vector, whole, "D")


def but_density(fit) -> dict[str, np.ndarray]:
    """The natural-scale arrays of all parameters but density, which has a value for each of maybe ten million cells."""
    return fit.model.parameters.values(fit.vector, "D")


def sampling_area(fit, session, stratum: int = 0, of_class: int | None = None) -> Functional:
    """Effective sampling area a = ∫ p.(x) dx in km² over the session's mask (Borchers & Efford 2008, eq. 1).

    With classes p. is that of an animal of unknown class, or of one class if `of_class` says so.
    """
    values = fit.model.values_of(but_density(fit), session)
    engines = session.engines_on(session.mask, values, stratum)
    D = flat(session.mask.size, 100.0) if all(e.on_tiles for _, e in engines) else np.full(session.mask.size, 100.0)
    log_mu, rows = session.kernel_input(dict(values, D=D))
    share, area = session.proportions(values), Functional(0.0, np.zeros(len(fit.vector)))
    for part, engine in engines:
        if of_class in (None, part.of_class):
            at = engine.evaluate(log_mu, rows[part.rows])
            _, d_rows, d_cost = pulled(engine, at, EMPTY, 1.0)
            weight, by_pmix = (1.0, 0.0) if of_class is not None else (share.value[part.of_class], at.detected)
            by_pmix = by_pmix * share.first[part.of_class]
            gradient = _gradient(fit, session, part, weight * d_rows, by_pmix, weight * d_cost)
            area = area + Functional(float(weight * at.detected), gradient)
    return area


def expected_and_missed(fit, session, mask: HabitatMask, stratum: int = 0) -> tuple[Functional, Functional]:
    """∫ D dx, the expected number of animals in `mask`, and ∫ D (1 - p.) dx, those expected never to be detected."""
    parts = by_class(fit, session, mask, stratum)
    nothing = Functional(0.0, np.zeros(len(fit.vector)))
    return sum((expected for expected, _ in parts), nothing), sum((missed for _, missed in parts), nothing)


def by_class(fit, session, mask: HabitatMask, stratum: int = 0, share=None) -> list[tuple[Functional, Functional]]:
    """(expected, missed) as in `expected_and_missed`, of each class of animals; `share` [M]: of part of every cell."""
    model, found = fit.model, []
    values = model.values_of(but_density(fit), session)
    linear = model.log_density(fit.vector, session) if mask is session.mask and share is None else None
    eta, design, D = (None, None, linear) if linear is not None else _density(model, fit.vector, session, mask)
    log_mu, rows = session.kernel_input(dict(values, D=D), mask.cell_area)
    if share is not None:
        with np.errstate(divide="ignore"):
            log_mu = log_mu + np.log(share)
    mu, share = log_mu.copy() if linear is None else log_mu.log_mu, session.proportions(values)
    np.exp(mu, out=mu)
    total, where, d_total = float(mu.sum()), model.parameters.slice_of("D"), 0.0
    if linear is not None:
        d_total = log_mu.back(mu)
    elif design is not None:
        mu *= np.divide(model.parameters["D"].link.slope(eta), D, out=np.zeros_like(eta), where=mu > 0)
        d_total = design.T @ mu
    for part, engine in session.engines_on(mask, values, stratum):
        c, weight = part.of_class, share.value[part.of_class]
        at = engine.evaluate(log_mu, rows[part.rows])
        d_log_mu, d_rows, d_cost = pulled(engine, at, EMPTY, 1.0)
        d_expected = _gradient(fit, session, part, 0.0 * d_rows, total * share.first[c])
        d_seen = _gradient(fit, session, part, weight * d_rows, at.detected * share.first[c], weight * d_cost)
        d_expected[where] = weight * d_total
        if linear is not None:
            d_seen[where] += weight * d_log_mu  # by the coefficients already
        elif design is not None:
            d_log = np.divide(model.parameters["D"].link.slope(eta), D, out=np.zeros_like(eta), where=D > 0)
            d_seen[where] += weight * (design.T @ (d_log_mu * d_log))
        expected = Functional(weight * total, d_expected)
        found.append((expected, expected - Functional(float(weight * at.detected), d_seen)))
    return found


def _density(model, vector, session, mask: HabitatMask):
    """Linear predictor [M], design [M, terms] and density [M] over the cells of a mask."""
    D = model.parameters["D"]
    if D.design is None:
        constant = np.full(mask.size, float(D.fixed))
        return constant, None, constant
    design = D.design.at(model.density_frame(mask, session.name))
    eta = design @ vector[model.parameters.slice_of("D")]
    return eta, design, D.link.inverse(eta)


# ---- tables ------------------------------------------------------------------------------------------------------


def derived_table(fit, interval: str = "wald") -> pd.DataFrame:
    """Density, expected and realised abundance in the mask, effective sampling area; by session and class."""
    if _by_animals(fit):
        return table([e for s in fit.model.sessions for e in _from_animals(fit, s, s.mask, scope_of(fit.model, s))])
    full = fit.as_full()
    estimates = []
    for session in full.model.sessions:
        scope, classes = scope_of(full.model, session), session.classes
        estimates += _region(full, session, session.mask, scope, _everybody(full, session))
        area = sampling_area(full, session)
        estimates.append(log_normal("effective sampling area", "km²", scope, area.value, area.se(full.covariance)))
        for c, name in enumerate([] if classes is None else classes.scopes(scope)):
            area = sampling_area(full, session, of_class=c)
            estimates.append(log_normal("effective sampling area", "km²", name, area.value, area.se(full.covariance)))
            estimates.append(_proportion(full, session, c, name))
    return table(_with_profile(fit, estimates) if interval == "profile" else estimates)


def scope_of(model, session) -> str:
    """What estimates of the whole habitat of a session are called."""
    return "habitat mask" if len(model.sessions) == 1 else f"session {session.name}"


def _everybody(fit, session) -> np.ndarray:
    """[n, C]: everybody lives in the mask, divided between the classes."""
    if session.classes is None:
        return np.ones((session.captures.n_animals, 1))
    return session.class_shares(fit.model.values_of(fit.values, session))


def _proportion(fit, session, c: int, scope: str) -> Estimate:
    """The proportion of one class with limits on the logit scale."""
    share = session.proportions(fit.model.values_of(fit.values, session))
    whole = {name: np.zeros_like(v) for name, v in fit.values.items()}
    fit.model.values_of(whole, session)["pmix"][:] = share.first[c]
    value = float(share.value[c])
    se = Functional(value, fit.model.parameters.pull(fit.vector, whole)).se(fit.covariance)
    with np.errstate(divide="ignore", invalid="ignore"):
        logit, half = np.log(value / (1.0 - value)), z_of() * se / (value * (1.0 - value))
    lower, upper = (float(expit(logit + side * half)) for side in (-1.0, 1.0))
    return Estimate("proportion of animals", "", scope, value, se, lower, upper, "95% logit-normal")


def variance_split(fit, session: str | None = None) -> dict[str, float]:
    """Coefficient of variation of the derived density n / a, split into that of n and that of the effective area a.

    CV(D)² = CV(n)² + CV(a)²; CV(n)² = 1/n for a Poisson number of animals, (1 - n/N)/n for a binomial one
    (Borchers & Efford 2008).
    """
    if _by_animals(fit):
        part = fit.model.session(session)
        density, scatter = _sum_over_animals(fit, part, part.mask)
        cv_n = float(np.sqrt(scatter) / density.value)
        cv_a = float(np.sqrt(density.variance(fit.covariance)) / density.value)
        return {"cv_n": cv_n, "cv_a": cv_a, "cv_D": float(np.hypot(cv_n, cv_a))}
    full = fit.as_full()
    part = full.model.session(session)
    n, area = part.captures.n_animals, sampling_area(full, part)
    cv_a = np.sqrt(area.variance(full.covariance)) / area.value
    expected = expected_and_missed(full, part, part.mask)[0].value
    cv_n = np.sqrt((1.0 - n / expected if full.model.distribution == "binomial" else 1.0) / n)
    return {"cv_n": float(cv_n), "cv_a": float(cv_a), "cv_D": float(np.hypot(cv_n, cv_a))}


def _by_animals(fit) -> bool:
    """Whether every animal has its own detection, so that density is a sum over animals and not a parameter."""
    return any(len(s.strata.columns) for s in fit.model.sessions)


def _sum_over_animals(fit, session, mask: HabitatMask) -> tuple[Functional, float]:
    """Animals in `mask`, Σ_i ∫ r dx / ∫ r p.(x; i) dx for a relative density r, and the scatter of that sum.

    The scatter is that of a Poisson number of animals of each kind, Σ_i (∫ r / ∫ r p.)², or with a binomial number
    Σ_i (1 - p_i) (∫ r / ∫ r p.)² with p_i = ∫ r p. / ∫ r in the mask (Borchers & Efford 2008, 5; secr's `derived`).
    """
    total, scatter = Functional(0.0, np.zeros(len(fit.vector))), 0.0
    for g in range(len(session.strata)):
        n = len(np.unique(np.concatenate([p.animals for p in session.parts if p.stratum == g])))
        inside = expected_and_missed(fit, session, mask, g)[0]
        expected, missed = expected_and_missed(fit, session, session.mask, g)
        seen = expected - missed
        ratio = inside.value / seen.value
        gradient = inside.gradient / seen.value - ratio * seen.gradient / seen.value
        known = missed.value / expected.value if fit.model.distribution == "binomial" else 1.0
        total, scatter = total + Functional(n * ratio, n * gradient), scatter + n * known * ratio**2
    return total, float(scatter)


def _from_animals(fit, session, mask: HabitatMask, scope: str) -> list[Estimate]:
    """Density and abundance of a conditional model with covariates of animals (Horvitz & Thompson 1952)."""
    number, scatter = _sum_over_animals(fit, session, mask)
    se, per_area = np.sqrt(number.variance(fit.covariance) + scatter), 100.0 / mask.area
    found = [
        log_normal("density", PER_100_KM2, scope, number.value * per_area, se * per_area),
        log_normal("expected abundance", "animals", scope, number.value, se),
    ]
    if mask is session.mask and session.captures.n_animals:
        n, whole = session.captures.n_animals, number.times(1.0 / mask.area)
        area = Functional(n / whole.value, -n / whole.value**2 * whole.gradient)
        found.append(log_normal("effective sampling area", "km²", scope, area.value, area.se(fit.covariance)))
    return found


def abundance(fit, region=None, name: str | None = None, session: str | None = None) -> pd.DataFrame:
    """Density, expected and realised abundance in a region, of all animals and of each class.

    Parameters
    ----------
    region : polygon file, shapely geometry in metres of the mask's CRS, or HabitatMask (with the covariates that D
        uses); the session's mask by default
    name : how the table calls it
    session : which session, where there are several

    Notes
    -----
    Realised abundance is Σ_i Pr(activity centre of animal i inside) + ∫ D (1 - p.) dx, and its error joins that of the
    coefficients, the scatter of the animals never detected and the uncertainty of where the detected ones live
    (mean squared prediction error, Efford & Fewster 2013). That of a class counts each animal by the probability that
    it is of the class, which is taken as known.
    """
    if _by_animals(fit):
        part = fit.model.session(session)
        mask = part.mask if region is None else _region_mask(fit.model, part, region)
        return table(_from_animals(fit, part, mask, name or ("habitat mask" if region is None else "region")))
    full = fit.as_full()
    part = full.model.session(session)
    if region is None:
        return table(_region(full, part, part.mask, name or "habitat mask", _everybody(full, part)))
    mask = _region_mask(full.model, part, region)
    return table(_region(full, part, mask, name or "region", _share_inside(full, part, mask)))


def abundance_covariance(fit, region=None, session: str | None = None) -> pd.DataFrame:
    """Covariance of the expected abundances of the classes and of all animals in a region; parameters as `abundance`.

    Its diagonal is the delta-method variance: sqrt(diagonal) is the standard error of the density rows times the area.
    """
    full = fit.as_full()
    part = full.model.session(session)
    mask = part.mask if region is None else _region_mask(full.model, part, region)
    parts = [expected for expected, _ in by_class(full, part, mask)]
    names = ["all"] if part.classes is None else [*map(part.classes.describe, part.classes.labels), "all"]
    gradients = np.array([f.gradient for f in parts] + [sum(f.gradient for f in parts)] * (len(names) > len(parts)))
    return pd.DataFrame(gradients @ full.covariance @ gradients.T, index=names, columns=names)


def _region(fit, session, mask: HabitatMask, scope: str, share: np.ndarray) -> list[Estimate]:
    """Density, E(N) and realised N of `mask`, of all animals and of each class.

    share [n, C]: probability that each detected animal is of each class and lives in the mask
    """
    parts, classes = by_class(fit, session, mask), session.classes
    expected, missed = parts[0] if classes is None else expected_and_missed(fit, session, mask)
    one, fixed = _is_one_coefficient(fit), fixed_number(fit, session)
    found = _of_animals(fit, mask, scope, expected, missed, share.sum(axis=1), one, fixed)
    for c, name in enumerate([] if classes is None else classes.scopes(scope)):
        found += _of_animals(fit, mask, name, *parts[c], share[:, c], False, fixed)
    return found


def fixed_number(fit, session) -> tuple[float, float]:
    """Where the number of animals N in the mask is fixed (binomial): what the error of animals missed has more, and M.

    With M = N (1 - p) animals missed, those of a region are a share r = M_r / M of them. At a fixed N the number
    detected varies by N p (1 - p), and M - which is N - n - with it: the error r n / p - r N has the variance
    r² (1 - p) N² / n, of which the coefficients' covariance holds r² (1 - p) M² / n, and where the missed ones live
    adds M r (1 - r). For r = 1 the realised number has the error of the expected one. 0 for a Poisson N.
    """
    n = session.captures.n_animals
    if fit.model.distribution != "binomial" or n == 0:
        return 0.0, 1.0
    everybody, missed = (f.value for f in expected_and_missed(fit, session, session.mask))
    if missed <= 0.0:
        return 0.0, 1.0
    return missed / everybody / n * (everybody**2 - missed**2) - missed, missed


def _of_animals(fit, mask: HabitatMask, scope: str, expected, missed, share, one_coefficient, fixed) -> list[Estimate]:
    """Density, E(N) and realised N of the animals detected with probability `share` [n] in `mask`, and those missed."""
    se = expected.se(fit.covariance)  # of density: CV(D)² = CV(n)² + CV(a)², see variance_split
    se_expected = expected.se(fit.covariance, log_normal=one_coefficient)
    per_area = 100.0 / mask.area
    seen = float(share.sum())
    # not below zero by rounding, where all animals are detected
    scatter = max(missed.value, 0.0) + float(np.sum(share * np.maximum(1.0 - share, 0.0)))
    scatter += min(missed.value / fixed[1], 1.0) ** 2 * fixed[0]  # see fixed_number
    beyond_first_order = se_expected**2 - expected.variance(fit.covariance)
    se_realised = np.sqrt(missed.variance(fit.covariance) + scatter + beyond_first_order)
    surely = float(np.sum(share > 1.0 - 1e-9))
    return [
        log_normal("density", PER_100_KM2, scope, expected.value * per_area, se * per_area),
        log_normal("expected abundance", "animals", scope, expected.value, se_expected),
        log_normal_above("realised abundance", "animals", scope, surely, seen + missed.value, se_realised),
    ]


def _is_one_coefficient(fit) -> bool:
    D = fit.model.parameters["D"]
    return D.design is not None and D.design.constant and D.link.name == "log"


def _region_mask(model, session, region) -> HabitatMask:
    """The region as a mask with the covariates that D needs, fine enough for the region's own area to be right."""
    if isinstance(region, HabitatMask):
        return region
    from ...survey.vector import read_region

    own = session.mask
    geometry, _ = read_region(region, own.crs)
    parts = max(1, int(np.ceil(own.spacing * np.sqrt(REGION_CELLS / geometry.area))))
    fine = HabitatMask.from_polygon(geometry, own.spacing / parts, own.crs)
    x, y = np.meshgrid(fine.x, fine.y)
    land = own.is_habitat(x, y)
    known = replace(own, habitat=binary_fill_holes(own.habitat)).is_habitat(x, y)  # enclosed lakes are no habitat
    covered = float(np.mean(known[fine.habitat]))
    D = model.parameters["D"].design
    if covered > COVERED:
        if parts == 1:
            return replace(own, habitat=own.habitat & own.contained_in(geometry))
        return _with_covariates(replace(fine, habitat=fine.habitat & land), own)
    if D is not None and not D.constant:
        raise refuse(
            f"the region extends beyond the habitat mask ({100 * covered:.0f} % of it is covered), where the "
            "covariates of D are not known",
            "Give the region as a HabitatMask with these covariates, or use a larger mask",
        )
    return replace(fine, habitat=fine.habitat & (land | ~known))


def covered_share(own: HabitatMask, region: HabitatMask) -> float:
    """The share of a region that lies within the mask `own`, or in the lakes that it encloses."""
    return float(np.mean(replace(own, habitat=binary_fill_holes(own.habitat)).is_habitat(*region.centres())))


def _with_covariates(mask: HabitatMask, own: HabitatMask) -> HabitatMask:
    """`mask` with the covariates of the cells of `own` in which its own cells lie."""
    cell = own.cell_of(*mask.centres())
    for name in own.covariates.data_vars:
        values = np.full(mask.habitat.shape, np.nan)
        values[mask.habitat] = own.covariate(str(name))[cell]
        mask = mask.with_covariate(str(name), values)
    return mask


def _share_inside(fit, session, mask: HabitatMask) -> np.ndarray:
    """[n, C]: posterior probability that each detected animal is of each class and lives in `mask`."""
    inside = _share_of_cells(session.mask, mask)
    return session.centres_within(fit.model.values_of(fit.values, session), inside)


def _share_of_cells(own: HabitatMask, mask: HabitatMask) -> np.ndarray:
    """[M]: the share of each cell of `own` that lies in `mask`."""
    if mask.spacing >= own.spacing:
        return (mask.cell_of(*own.centres()) >= 0).astype(float)
    cell = own.cell_of(*mask.centres())
    share = np.bincount(cell[cell >= 0], minlength=own.size) * (mask.cell_area / own.cell_area)
    return np.minimum(share, 1.0)


def _with_profile(fit, estimates: list[Estimate]) -> list[Estimate]:
    """Density and expected abundance with profile-likelihood limits, where one coefficient carries both."""
    D = fit.model.parameters["D"]
    if fit.model.likelihood != "full" or D.design is None or not D.design.constant:
        return estimates
    limits, classes = profile_intervals(fit, ("D",)).iloc[0], fit.model.classes
    scopes = [scope_of(fit.model, s) for s in fit.model.sessions]
    of_class = set() if classes is None else {name for scope in scopes for name in classes.scopes(scope)}

    def profiled(e: Estimate) -> Estimate:
        if e.quantity not in ("density", "expected abundance") or e.scope in of_class:
            return e
        factor = e.estimate / limits["estimate"]
        return replace(e, lower=limits["lower"] * factor, upper=limits["upper"] * factor, interval="95% profile")

    return [profiled(e) for e in estimates]
