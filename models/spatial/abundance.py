"""Density, effective sampling area and abundance with their uncertainty.

Everything is a function of the coefficients; its gradient comes from the engine's pull-back and goes through the chain
rule of the model, so every standard error here is a delta-method one without numerical differences.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.ndimage import binary_fill_holes

from ...survey.errors import refuse
from ...survey.habitat import HabitatMask
from ..derived import Estimate, log_normal, log_normal_above, table
from ..inference.profile import profile_intervals
from .arrange import raster_of
from .engine import SpatialLikelihood

PER_100_KM2 = "animals per 100 km²"
EMPTY = np.empty(0)
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


def without_animals(session, mask: HabitatMask) -> SpatialLikelihood:
    """The detectors' side of the likelihood on another mask: p.(x), E(n) and their gradients."""
    nothing = {name: EMPTY.astype(np.int64) for name in ("event_pass", "event_kind", "event_field")}
    problem = replace(
        session.problem,
        raster=raster_of(mask),
        weight=np.empty((0, session.problem.n_fields)),
        event_start=np.zeros(1, np.int64),
        event_count=EMPTY,
        event_exposure=EMPTY,
        **nothing,
    )
    return SpatialLikelihood(problem)


def _gradient(fit, session, d_rows: np.ndarray) -> np.ndarray:
    """Coefficient gradient [p] from derivatives [R, 3] by the detection rows of one session."""
    whole = {name: np.zeros_like(v) for name, v in fit.values.items()}
    mine = fit.model.values_of(whole, session)  # views
    for j, name in enumerate(fit.model.detection.parameters):
        mine[name][:] = d_rows[:, j]
    return fit.model.parameters.pull(fit.vector, whole)


def sampling_area(fit, session) -> Functional:
    """Effective sampling area a = ∫ p.(x) dx in km² over the session's mask (Borchers & Efford 2008, eq. 1)."""
    values = fit.model.values_of(fit.values, session)
    one_per_km2 = dict(values, D=np.full(session.mask.size, 100.0))
    engine = without_animals(session, session.mask)
    at = engine.evaluate(*session.kernel_input(one_per_km2))
    _, d_rows = engine.pullback(at, EMPTY, 1.0)
    return Functional(float(at.detected), _gradient(fit, session, d_rows))


def expected_and_missed(fit, session, mask: HabitatMask) -> tuple[Functional, Functional]:
    """∫ D dx, the expected number of animals in `mask`, and ∫ D (1 - p.) dx, those expected never to be detected."""
    model = fit.model
    values = model.values_of(fit.values, session)
    eta, design, D = _density(model, fit.vector, session, mask)
    log_mu, rows = session.kernel_input(dict(values, D=D), mask.cell_area)
    engine = without_animals(session, mask)
    at = engine.evaluate(log_mu, rows)
    d_log_mu, d_rows = engine.pullback(at, EMPTY, 1.0)
    mu = np.exp(log_mu)
    d_expected, d_missed = np.zeros(len(fit.vector)), -_gradient(fit, session, d_rows)
    if design is not None:
        where = model.parameters.slice_of("D")
        d_log = np.divide(model.parameters["D"].link.slope(eta), D, out=np.zeros_like(eta), where=mu > 0)
        d_expected[where] = design.T @ (mu * d_log)
        d_missed[where] += design.T @ ((mu - d_log_mu) * d_log)
    return Functional(float(mu.sum()), d_expected), Functional(float(mu.sum() - at.detected), d_missed)


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
    """Density, expected and realised abundance in the mask, effective sampling area; by session."""
    full = fit.as_full()
    estimates = []
    for session in full.model.sessions:
        scope = "habitat mask" if len(full.model.sessions) == 1 else f"session {session.name}"
        estimates += _region(full, session, session.mask, scope, np.ones(session.captures.n_animals))
        area = sampling_area(full, session)
        se = area.se(full.covariance)
        estimates.append(log_normal("effective sampling area", "km²", scope, area.value, se))
    return table(_with_profile(fit, estimates) if interval == "profile" else estimates)


def variance_split(fit, session: str | None = None) -> dict[str, float]:
    """Coefficient of variation of the derived density n / a, split into that of n and that of the effective area a.

    CV(D)² = CV(n)² + CV(a)²; CV(n)² = 1/n for a Poisson number of animals, (1 - n/N)/n for a binomial one
    (Borchers & Efford 2008).
    """
    full = fit.as_full()
    part = full.model.session(session)
    n, area = part.captures.n_animals, sampling_area(full, part)
    cv_a = np.sqrt(area.variance(full.covariance)) / area.value
    expected = expected_and_missed(full, part, part.mask)[0].value
    cv_n = np.sqrt((1.0 - n / expected if full.model.distribution == "binomial" else 1.0) / n)
    return {"cv_n": float(cv_n), "cv_a": float(cv_a), "cv_D": float(np.hypot(cv_n, cv_a))}


def abundance(fit, region=None, name: str | None = None, session: str | None = None) -> pd.DataFrame:
    """Density, expected and realised abundance in a region.

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
    (mean squared prediction error, Efford & Fewster 2013).
    """
    full = fit.as_full()
    part = full.model.session(session)
    if region is None:
        everybody = np.ones(part.captures.n_animals)
        return table(_region(full, part, part.mask, name or "habitat mask", everybody))
    mask = _region_mask(full.model, part, region)
    return table(_region(full, part, mask, name or "region", _share_inside(full, part, mask)))


def _region(fit, session, mask: HabitatMask, scope: str, share: np.ndarray) -> list[Estimate]:
    """Density, E(N) and realised N of `mask`; share [n]: probability that each detected animal lives in it."""
    expected, missed = expected_and_missed(fit, session, mask)
    se = expected.se(fit.covariance)  # of density: CV(D)² = CV(n)² + CV(a)², see variance_split
    se_expected = expected.se(fit.covariance, log_normal=_is_one_coefficient(fit))
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
    if covered > 0.98:
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


def _with_covariates(mask: HabitatMask, own: HabitatMask) -> HabitatMask:
    """`mask` with the covariates of the cells of `own` in which its own cells lie."""
    cell = own.cell_of(*mask.centres())
    for name in own.covariates.data_vars:
        values = np.full(mask.habitat.shape, np.nan)
        values[mask.habitat] = own.covariate(str(name))[cell]
        mask = mask.with_covariate(str(name), values)
    return mask


def _share_inside(fit, session, mask: HabitatMask) -> np.ndarray:
    """[n]: posterior probability that each detected animal's activity centre lies in `mask`."""
    inside = _share_of_cells(session.mask, mask)
    log_mu, rows = session.kernel_input(fit.model.values_of(fit.values, session))
    n = session.captures.n_animals
    return np.array([float(session.engine.activity_centre(i, log_mu, rows) @ inside) for i in range(n)])


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
    limits = profile_intervals(fit, ("D",)).iloc[0]

    def profiled(e: Estimate) -> Estimate:
        if e.quantity not in ("density", "expected abundance"):
            return e
        factor = e.estimate / limits["estimate"]
        return replace(e, lower=limits["lower"] * factor, upper=limits["upper"] * factor, interval="95% profile")

    return [profiled(e) for e in estimates]
