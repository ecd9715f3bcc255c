"""Spatial capture-recapture of a closed population: from capture histories to density.

captures, mask, formulas ─► arrange ─► SpatialProblem ─► engine: log A_i, a. ─► composition: log-likelihood

The log-likelihood is that of the data by occasion with the constants of the field's other programs (the multiplicities
of identical histories among them), so that AIC is comparable between all models of one data set.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ...survey.captures import CaptureHistory
from ...survey.errors import refuse
from ...survey.habitat import HabitatMask
from ...survey.units import density_to_animals_per_cell
from ..design import Design, formula_variables
from ..detection import DETECTION_FUNCTIONS
from ..links import LINKS
from ..model import Model
from ..parameters import Parameter, ParameterSet
from .arrange import arrange
from .composition import Composed, binomial, conditional, poisson
from .engine import SpatialLikelihood
from .fit import SpatialFit
from .starts import starting_values

COMPOSE = {"poisson": poisson, "binomial": binomial}

MEANING = {
    "D": ("log", "animals per 100 km²", "density"),
    "lambda0": ("log", "detections per unit of effort", "expected detections at a detector on the activity centre"),
    "g0": ("logit", "probability per unit of effort", "detection probability at a detector on the activity centre"),
    "sigma": ("log", "m", "spatial scale of detection"),
    "z": ("log", "", "shape of the detection function"),
    "w": ("log", "m", "width of the detection function"),
}


class SCR(Model):
    """Closed, single-session spatial capture-recapture.

    Parameters
    ----------
    captures : CaptureHistory
    mask : HabitatMask, where activity centres can be
    D : formula of density over the mask's covariates and `x`, `y` (coordinates standardised over the mask)
    lambda0, g0, sigma, z, w : formula over detector covariates, `t` (occasion factor) and `T` (occasion from 0); or a
        number, which fixes the parameter. Which of them exist follows from the detection function.
    detection : name of a detection function, see `models.DETECTION_FUNCTIONS`
    distribution : "poisson" (default) or "binomial" number of animals in the mask
    likelihood : "full", or "conditional" on the animals detected (D is then derived; a formula for D is relative)
    counts : for count detectors, "poisson" or "binomial" with the effort as number of trials
    links : other links by parameter, e.g. {"D": "identity"}
    threads : threads of the likelihood, by default as many as the work deserves

    Raises
    ------
    SurveyError : the data have no detections, detectors and mask differ in CRS, a formula or name is wrong, …
    """

    fit_class = SpatialFit

    def __init__(
        self,
        captures: CaptureHistory,
        mask: HabitatMask,
        D: str = "~ 1",
        lambda0: str | float | None = None,
        g0: str | float | None = None,
        sigma: str | float = "~ 1",
        z: str | float | None = None,
        w: str | float | None = None,
        *,
        detection: str = "half-normal",
        distribution: str = "poisson",
        likelihood: str = "full",
        counts: str = "poisson",
        links: Mapping[str, str] | None = None,
        threads: int | None = None,
    ):
        _one_of("detection", detection, DETECTION_FUNCTIONS)
        _one_of("distribution", distribution, COMPOSE)
        _one_of("likelihood", likelihood, ("full", "conditional"))
        _one_of("counts", counts, ("poisson", "binomial"))
        _check_data(captures, mask)
        self.captures, self.mask = captures, mask
        self.detection = DETECTION_FUNCTIONS[detection]
        self.distribution, self.likelihood, self.counts = distribution, likelihood, counts
        self.links, self.threads = dict(links or {}), threads
        self.formulas = _formulas(self.detection, D, {"lambda0": lambda0, "g0": g0, "sigma": sigma, "z": z, "w": w})
        detecting = [f for name, f in self.formulas.items() if name != "D" and isinstance(f, str)]
        arranged = arrange(captures, mask, detection, set().union(*map(formula_variables, detecting)), counts)
        self.problem, self.constant = arranged.problem, arranged.constant
        self.rows, self.row_of = arranged.rows, arranged.row_of
        self.parameters = self._parameters(self.links)
        self.engine = SpatialLikelihood(self.problem, threads)

    # ---- parameters -----------------------------------------------------------------------------------------

    def _parameters(self, links: dict[str, str]) -> ParameterSet:
        for name, link in links.items():
            _one_of("links: parameter", name, self.formulas)
            _one_of(f"links: link of {name}", link, LINKS)
        relative = self.likelihood == "conditional"
        parameters = []
        for name, formula in self.formulas.items():
            link, unit, meaning = MEANING[name]
            frame = self.density_frame() if name == "D" else self.rows
            design, fixed = None, None
            if isinstance(formula, str):
                design = Design.of(formula, frame, name, intercept=not (relative and name == "D"))
            else:
                fixed = float(formula)
            if name == "D" and relative and not design.terms:
                design, fixed = None, 1.0  # density cancels: it is derived as n / effective sampling area
            link = LINKS[links.get(name, link)]
            parameters.append(Parameter(name, link, design, unit, meaning, fixed, len(frame)))
        return ParameterSet(parameters)

    def density_frame(self, mask: HabitatMask | None = None) -> pd.DataFrame:
        """Covariates of density over the M cells of `mask` (the model's own by default).

        `x` and `y` are standardised over the model's own mask (mean 0, s.d. 1, divisor M - 1).
        """
        mask = mask or self.mask
        own = np.column_stack(self.mask.centres())
        spread = own.std(axis=0, ddof=1) if len(own) > 1 else np.ones(2)
        x, y = ((np.column_stack(mask.centres()) - own.mean(axis=0)) / np.where(spread > 0, spread, 1.0)).T
        covariates = {str(name): mask.covariate(str(name)) for name in mask.covariates.data_vars}
        return pd.DataFrame({"x": x, "y": y} | covariates)

    # ---- likelihood -----------------------------------------------------------------------------------------

    def kernel_input(
        self, values: Mapping[str, np.ndarray], cell_area: float | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """log_mu [M], log expected animals per cell (of `cell_area` km²), and rows [R, 3], the detection parameters."""
        D = np.maximum(values["D"], 0.0)
        with np.errstate(divide="ignore"):
            log_mu = np.log(density_to_animals_per_cell(D, cell_area or self.mask.cell_area))
        rows = np.ones((self.problem.n_rows, 3))
        for j, name in enumerate(self.detection.parameters):
            rows[:, j] = values[name]
        return log_mu, rows

    def evaluate(self, values, gradient):
        log_mu, rows = self.kernel_input(values)
        at = self.engine.evaluate(log_mu, rows, gradient)
        whole = self._composed(at)
        if not gradient:
            return whole.loglik, None
        d_log_mu, d_rows = self.engine.pullback(at, np.ones(self.captures.n_animals), whole.by_detected)
        d_log_mu = d_log_mu + whole.by_total * np.exp(log_mu)
        D = values["D"]
        adjoints = {"D": np.divide(d_log_mu, D, out=np.zeros_like(D, float), where=D > 0)}
        adjoints |= {name: d_rows[:, j] for j, name in enumerate(self.detection.parameters)}
        return whole.loglik, adjoints

    def _composed(self, at) -> Composed:
        compose = conditional if self.likelihood == "conditional" else COMPOSE[self.distribution]
        return compose(float(np.sum(at.log_a)) + self.constant, at.detected, at.total, self.captures.n_animals)

    def hessian(self, vector: np.ndarray) -> np.ndarray:
        """Exact Hessian [p, p]: the engine's curvature along the coefficients, and what the links bend."""
        values = self.parameters.values(vector)
        log_mu, rows = self.kernel_input(values)
        at = self.engine.evaluate(log_mu, rows)
        whole, ones = self._composed(at), np.ones(self.captures.n_animals)
        d_log_mu, d_rows = self.engine.pullback(at, ones, whole.by_detected)
        mu = np.exp(log_mu)
        along_mu, along_rows = np.zeros((len(mu), len(vector))), np.zeros((*rows.shape, len(vector)))
        bent = np.zeros((len(vector), len(vector)))
        for p in self.parameters:
            if p.design is None:
                continue
            where, X = self.parameters.slice_of(p.name), p.design.matrix
            eta = X @ vector[where]
            slope, curve = p.link.slope(eta), p.link.curve(eta)
            if p.name == "D":  # log_mu = log D + constant
                D = np.where(values["D"] > 0, values["D"], np.inf)
                along_mu[:, where] = X * (slope / D)[:, None]
                weight = (d_log_mu + whole.by_total * mu) * (curve / D - (slope / D) ** 2)
            else:
                j = self.detection.parameters.index(p.name)
                along_rows[:, j, where] = X * slope[:, None]
                weight = d_rows[:, j] * curve
            bent[where, where] = X.T @ (weight[:, None] * X)
        found = self.engine.curvature(at, ones, whole.by_detected, along_mu, along_rows)
        d_total = mu @ along_mu
        detected2, both, total2 = whole.second
        cross = np.outer(found.detected, d_total)
        outer = detected2 * np.outer(found.detected, found.detected) + both * (cross + cross.T)
        outer += total2 * np.outer(d_total, d_total)
        if whole.by_total:
            outer += whole.by_total * (along_mu.T @ (mu[:, None] * along_mu))
        return found.second + bent + outer

    def start(self) -> np.ndarray:
        values = starting_values(self.captures, self.detection)
        values |= {p.name: p.fixed for p in self.parameters if p.fixed is not None}
        n = max(self.captures.n_animals, 1)
        if "D" in self.parameters and self.parameters["D"].design is not None and self.likelihood == "full":
            rows = np.tile([values[name] for name in self.detection.parameters], (self.problem.n_rows, 1))
            rows = np.hstack([rows, np.ones((len(rows), 3 - rows.shape[1]))])
            esa = float(self.engine.detection_probability(rows).sum()) * self.mask.cell_area
            values["D"] = 100.0 * max(n / max(esa, 1e-12), 1.2 * n / self.mask.area)
        else:
            values["D"] = 1.0
        return self.parameters.start(values)

    @property
    def sample_size(self) -> int:
        """Number of animals detected."""
        return self.captures.n_animals

    def not_comparable(self, other) -> str:
        if not isinstance(other, SCR):
            return "they are different kinds of model"
        if self.captures is not other.captures:
            return "they are of different captures"
        if self.mask is not other.mask and not np.array_equal(self.mask.centres(), other.mask.centres()):
            return "their habitat masks differ"
        if self.likelihood != other.likelihood:
            return "one has the full and the other the conditional likelihood"
        if self.counts != other.counts or self.distribution != other.distribution:
            return "they treat counts or the number of animals differently"
        return ""

    # ---- what follows from a fit ----------------------------------------------------------------------------

    def derive(self, fit, interval):
        from .abundance import derived_table

        return derived_table(fit, interval)

    def predict(self, fit, name, newdata):
        from .predict import predict

        return predict(fit, name, newdata)

    def remarks(self, fit):
        from .checks import remarks

        return remarks(fit)

    def simulate(self, values: Mapping[str, object], seed: int, centres: pd.DataFrame | None = None) -> CaptureHistory:
        """A data set from the model at natural-scale values (as for `at`), with this survey's detectors and effort.

        Parameters
        ----------
        values : value or {term: coefficient} per parameter
        seed : of NumPy's default generator; the same seed gives the same data
        centres : activity centres to use (columns x, y), see `models.simulate_population`; drawn by default
        """
        from .simulate import simulate_captures

        return simulate_captures(self, values, seed, centres)

    def on(self, captures: CaptureHistory) -> SCR:
        """The same model of other captures."""
        return SCR(captures, self.mask, **self.formulas, **self._options())

    def with_full_likelihood(self) -> SCR:
        """The same model under the full likelihood, Poisson N."""
        options = self._options() | {"likelihood": "full", "distribution": "poisson"}
        return SCR(self.captures, self.mask, **self.formulas, **options)

    def _options(self) -> dict:
        names = ("distribution", "likelihood", "counts", "links", "threads")
        return {"detection": self.detection.name} | {name: getattr(self, name) for name in names}

    def __reduce__(self):
        """A model travels between processes as what it was made from."""
        return _rebuild, (self.captures, self.mask, self.formulas, self._options())

    def __repr__(self) -> str:
        formulas = ", ".join(f"{n} {f}" if isinstance(f, str) else f"{n} = {f:g}" for n, f in self.formulas.items())
        return f"SCR({formulas}; {self.detection.name}, {self.likelihood} likelihood, {self.distribution} N)"


def _rebuild(captures, mask, formulas, options) -> SCR:
    return SCR(captures, mask, **formulas, **options)


def _one_of(what: str, value: str, allowed) -> None:
    if value in allowed:
        return
    import difflib

    near = difflib.get_close_matches(str(value), list(allowed), n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"Use one of {', '.join(map(repr, allowed))}"
    raise refuse(f"{what} is not known", hint, value=value)


def _formulas(detection, D, given) -> dict[str, str | float]:
    """Formula or fixed value of each parameter of the model, D first."""
    defaults = dict.fromkeys(detection.parameters, "~ 1")
    for name, formula in given.items():
        if formula is None or (name == "sigma" and formula == "~ 1"):
            continue
        if name not in detection.parameters:
            has = ", ".join(detection.parameters)
            raise refuse(f"{detection.name!r} has no parameter {name!r}", f"Its parameters are {has}", value=formula)
        defaults[name] = formula
    return {"D": D} | defaults


def _check_data(captures: CaptureHistory, mask: HabitatMask) -> None:
    if captures.n_animals == 0:
        raise refuse(
            "no animal was detected, so there is nothing to fit", "Check the species, the dates and the identities"
        )
    a, b = captures.detectors.crs, mask.crs
    if a is not None and b is not None and a != b:
        raise refuse(
            "the detectors and the habitat mask have different CRS", "Make both in one CRS", value=f"{a.name}; {b.name}"
        )
    if (a is None) != (b is None):
        raise refuse("only one of detectors and habitat mask has a CRS", "Give both the same CRS, or neither")
