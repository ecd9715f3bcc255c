"""Density, effective sampling area and abundance with their uncertainty.

Everything is a function of the coefficients; its gradient comes from the engine's pull-back and goes through the chain
rule of the model, so every standard error here is a delta-method one without numerical differences.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ...survey.errors import refuse
from ...survey.habitat import HabitatMask
from ..derived import Estimate, log_normal, log_normal_above, table
from ..inference.profile import profile_intervals
from .arrange import raster_of
from .engine import SpatialLikelihood

PER_100_KM2 = "animals per 100 km²"
EMPTY = np.empty(0)


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


def _without_animals(model, mask: HabitatMask) -> SpatialLikelihood:
    """The detectors' side of the likelihood on another mask: p.(x), E(n) and their gradients."""
    nothing = {name: EMPTY.astype(np.int64) for name in ("event_pass", "event_kind", "event_field")}
    problem = replace(
        model.problem,
        raster=raster_of(mask),
        weight=np.empty((0, model.problem.n_fields)),
        event_start=np.zeros(1, np.int64),
        event_count=EMPTY,
        event_exposure=EMPTY,
        **nothing,
    )
    return SpatialLikelihood(problem)


def _gradient(fit, d_rows: np.ndarray, d_D: np.ndarray | None = None) -> np.ndarray:
    """Coefficient gradient from derivatives by detection row and by the model's own D (none by default)."""
    adjoints = {name: d_rows[:, j] for j, name in enumerate(fit.model.detection.parameters)}
    own_D = fit.values["D"]
    return fit.model.parameters.pull(fit.vector, adjoints | {"D": np.zeros_like(own_D) if d_D is None else d_D})


def sampling_area(fit) -> Functional:
    """Effective sampling area a = ∫ p.(x) dx in km² over the model's mask (Borchers & Efford 2008, eq. 1)."""
    model = fit.model
    one_per_km2 = dict(fit.values, D=np.full(model.mask.size, 100.0))
    engine = _without_animals(model, model.mask)
    at = engine.evaluate(*model.kernel_input(one_per_km2))
    _, d_rows = engine.pullback(at, EMPTY, 1.0)
    return Functional(float(at.detected), _gradient(fit, d_rows))


def expected_and_missed(fit, mask: HabitatMask) -> tuple[Functional, Functional]:
    """∫ D dx, the expected number of animals in `mask`, and ∫ D (1 - p.) dx, those expected never to be detected."""
    model = fit.model
    D = model.parameters["D"]
    design = D.design.at(model.density_frame(mask))
    eta = design @ fit.vector[model.parameters.slice_of("D")]
    log_mu, rows = model.kernel_input(dict(fit.values, D=D.link.inverse(eta)), mask.cell_area)
    engine = _without_animals(model, mask)
    at = engine.evaluate(log_mu, rows)
    d_log_mu, d_rows = engine.pullback(at, EMPTY, 1.0)
    mu = np.exp(log_mu)
    with np.errstate(divide="ignore", invalid="ignore"):
        d_log = np.where(mu > 0, D.link.slope(eta) / D.link.inverse(eta), 0.0)  # d log D / d eta
    where = model.parameters.slice_of("D")
    d_expected, d_missed = np.zeros(len(fit.vector)), -_gradient(fit, d_rows)
    d_expected[where] = design.T @ (mu * d_log)
    d_missed[where] = design.T @ ((mu - d_log_mu) * d_log)
    return Functional(float(mu.sum()), d_expected), Functional(float(mu.sum() - at.detected), d_missed)


# ---- tables ------------------------------------------------------------------------------------------------------


def derived_table(fit, interval: str = "wald") -> pd.DataFrame:
    """Density, expected and realised abundance in the mask, effective sampling area."""
    full = fit.as_full()
    area = sampling_area(full)
    estimates = [*_region(full, full.model.mask, "habitat mask", np.ones(full.model.captures.n_animals))]
    se = area.se(full.covariance)
    estimates.append(log_normal("effective sampling area", "km²", "habitat mask", area.value, se))
    if interval == "profile":
        estimates = _with_profile(fit, estimates)
    return table(estimates)


def variance_split(fit) -> dict[str, float]:
    """Coefficient of variation of the derived density n / a, split into that of n and that of the effective area a.

    CV(D)² = CV(n)² + CV(a)²; CV(n)² = 1/n for a Poisson number of animals, (1 - n/N)/n for a binomial one
    (Borchers & Efford 2008).
    """
    full = fit.as_full()
    n, area = full.model.captures.n_animals, sampling_area(full)
    cv_a = np.sqrt(area.variance(full.covariance)) / area.value
    expected = expected_and_missed(full, full.model.mask)[0].value
    cv_n = np.sqrt((1.0 - n / expected if full.model.distribution == "binomial" else 1.0) / n)
    return {"cv_n": float(cv_n), "cv_a": float(cv_a), "cv_D": float(np.hypot(cv_n, cv_a))}


def abundance(fit, region=None, name: str | None = None) -> pd.DataFrame:
    """Density, expected and realised abundance in a region.

    Parameters
    ----------
    region : polygon file, shapely geometry in metres of the mask's CRS, or HabitatMask (with the covariates that D
        uses); the model's mask by default
    name : how the table calls it

    Notes
    -----
    Realised abundance is Σ_i Pr(activity centre of animal i inside) + ∫ D (1 - p.) dx, and its error joins that of the
    coefficients, the scatter of the animals never detected and the uncertainty of where the detected ones live
    (mean squared prediction error, Efford & Fewster 2013).
    """
    full = fit.as_full()
    model = full.model
    if region is None:
        return table(_region(full, model.mask, name or "habitat mask", np.ones(model.captures.n_animals)))
    mask = _region_mask(model, region)
    return table(_region(full, mask, name or "region", _share_inside(full, mask)))


def _region(fit, mask: HabitatMask, scope: str, share: np.ndarray) -> list[Estimate]:
    """Density, E(N) and realised N of `mask`; share [n]: probability that each detected animal lives in it."""
    expected, missed = expected_and_missed(fit, mask)
    se = expected.se(fit.covariance)  # of density: CV(D)² = CV(n)² + CV(a)², see variance_split
    se_expected = expected.se(fit.covariance, log_normal=fit.model.parameters["D"].design.constant)
    per_area = 100.0 / mask.area
    seen = float(share.sum())
    scatter = missed.value + float(np.sum(share * (1.0 - share)))
    if fit.model.distribution == "binomial" and np.all(share == 1.0):
        scatter = 0.0  # N in the mask is itself the parameter: nothing scatters around it
    beyond_first_order = se_expected**2 - expected.variance(fit.covariance)
    se_realised = np.sqrt(missed.variance(fit.covariance) + scatter + beyond_first_order)
    surely = float(np.sum(share > 1.0 - 1e-9))
    return [
        log_normal("density", PER_100_KM2, scope, expected.value * per_area, se * per_area),
        log_normal("expected abundance", "animals", scope, expected.value, se_expected),
        log_normal_above("realised abundance", "animals", scope, surely, seen + missed.value, se_realised),
    ]


def _region_mask(model, region) -> HabitatMask:
    """The region as a mask with the covariates that D needs."""
    if isinstance(region, HabitatMask):
        return region
    from ...survey.vector import read_region

    geometry, _ = read_region(region, model.mask.crs)
    inside = model.mask.habitat & model.mask.contained_in(geometry)
    covered = np.count_nonzero(inside) * model.mask.cell_area / (geometry.area / 1e6)
    if covered > 0.98:
        return replace(model.mask, habitat=inside)
    if not model.parameters["D"].design.constant:
        raise refuse(
            f"the region extends beyond the habitat mask ({100 * covered:.0f} % of it is covered), where the "
            "covariates of D are not known",
            "Give the region as a HabitatMask with these covariates, or use a larger mask",
        )
    return HabitatMask.from_polygon(geometry, model.mask.spacing, model.mask.crs)


def _share_inside(fit, mask: HabitatMask) -> np.ndarray:
    """[n]: posterior probability that each detected animal's activity centre lies in `mask`."""
    own = fit.model.mask
    inside = mask.cell_of(*own.centres()) >= 0
    return np.array([float(fit.activity_centre(name).to_numpy()[own.habitat] @ inside) for name in fit.animals])


def _with_profile(fit, estimates: list[Estimate]) -> list[Estimate]:
    """Density and expected abundance with profile-likelihood limits, where one coefficient carries both."""
    D = fit.model.parameters["D"]
    if fit.model.likelihood != "full" or D.design is None or not D.design.constant:
        return estimates
    limits = profile_intervals(fit, ("D",)).iloc[0]

    def profiled(e: Estimate) -> Estimate:
        if e.quantity not in ("density", "expected abundance"):
            return e
        factor = e.estimate / limits["estimate"]
        return replace(e, lower=limits["lower"] * factor, upper=limits["upper"] * factor, interval="95% profile")

    return [profiled(e) for e in estimates]
