"""What a fit of spatial capture-recapture can tell beyond its coefficients."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from ...survey.errors import refuse
from ..fit import Fit

if TYPE_CHECKING:
    from .joint import JointAbundance

DENSE_LIMIT = 5e7  # animals x raster cells above which the stack of surfaces is refused


class SpatialFit(Fit):
    """A `Fit` of SCR: adds abundance in regions, activity centres and plots."""

    def abundance(self, region=None, name: str | None = None, session: str | None = None) -> pd.DataFrame:
        """Density, expected and realised abundance in a region (polygon file, geometry, HabitatMask), also by class."""
        from .abundance import abundance

        return abundance(self, region, name, session)

    def abundance_covariance(self, region=None, session: str | None = None) -> pd.DataFrame:
        """Covariance of the expected abundances of the classes, such as sexes, and of all animals in a region."""
        from .abundance import abundance_covariance

        return abundance_covariance(self, region, session)

    def joint_abundance(self, regions=None, by: str | None = None) -> JointAbundance:
        """Abundance in several regions, all sessions and all classes at once, with the covariance between them.

        Parameters
        ----------
        regions : {name: polygon file, geometry or HabitatMask}; a layer of polygons (file or GeoDataFrame); strata as a
            raster of whole numbers (GeoTIFF, DataArray, or the name of a covariate of the mask); None: the whole mask
        by : column of the layer whose values are the regions; each polygon is one by default

        Returns
        -------
        JointAbundance : `table`, `expected_covariance`, `realised_covariance`, and `total()` of rows

        Raises
        ------
        SurveyError : a region lies outside the habitat mask, a column is not there
        """
        from .joint import joint_abundance

        return joint_abundance(self, regions, by)

    def variance_split(self, session: str | None = None) -> dict[str, float]:
        """Coefficients of variation of density: of the number detected, of the sampling area, of both."""
        from .abundance import variance_split

        return variance_split(self, session)

    def predict(self, name: str, newdata=None, session: str | None = None):
        """Values of one parameter with se, lower and upper: a raster for D (of one session), else a table."""
        return self.model.predict(self, name, newdata, session)

    def activity_centre(self, animal: str, session: str | None = None) -> xr.DataArray:
        """Where one detected animal lives: probability per cell, summing to one (NaN outside habitat)."""
        part = self.model.session(session)
        animals = list(part.captures.animals.index)
        if str(animal) not in animals:
            raise refuse("there is no such animal", "Use a name of captures.animals", value=animal)
        pdf = part.activity_centres(self.values_of(part))(animals.index(str(animal)))
        return part.mask.to_xarray(pdf, name="probability").assign_attrs(animal=str(animal))

    def activity_centres(self, session: str | None = None) -> xr.DataArray:
        """The activity-centre surfaces of all detected animals, dims (animal, y, x).

        Raises
        ------
        SurveyError : the stack would not fit in memory; use `activity_centre(animal)` one by one
        """
        part = self.model.session(session)
        animals = list(part.captures.animals.index)
        if len(animals) * part.mask.habitat.size > DENSE_LIMIT:
            raise refuse(
                "the surfaces of all animals together would be too large",
                "Use fit.activity_centre(animal) for one animal at a time",
                value=f"{len(animals)} animals × {part.mask.habitat.size:,} cells",
            )
        surface = part.activity_centres(self.values_of(part))
        layers: list[xr.DataArray] = [part.mask.to_xarray(surface(i), name="probability") for i in range(len(animals))]
        return xr.concat(layers, dim=pd.Index(animals, name="animal"), combine_attrs="drop")

    def total_activity_centres(self, session: str | None = None) -> xr.DataArray:
        """Expected number of activity centres per cell, detected animals where they were seen to live.

        This is not a density surface: it has the detectors' pattern in it (Durbach et al. 2024).
        """
        full = self.as_full()
        part = full.model.session(session)
        values = full.values_of(part)
        unseen = np.exp(part.kernel_input(values)[0]) * (1.0 - part.detection_probability(values))
        seen = sum(map(part.activity_centres(values), range(part.captures.n_animals)))
        note = "where the detected animals and those missed are thought to live; not a density surface"
        return part.mask.to_xarray(unseen + seen, name="activity centres per cell").assign_attrs(note=note)

    def detection_probability(self, session: str | None = None) -> xr.DataArray:
        """p.(x): probability that an animal living in a cell, of whatever class, is detected at least once."""
        part = self.model.session(session)
        if len(part.strata.columns):
            raise refuse("p. differs between animals by their covariates", "Use a model without them")
        return part.mask.to_xarray(part.detection_probability(self.values_of(part)), name="p.")

    def by_buffer(self, widest: float | None = None, session: str | None = None) -> pd.DataFrame:
        """What the mask's buffer does: effective sampling area (km²) and relative bias of density by buffer in metres.

        A buffer is wide enough where the bias is below a thousandth or so. The cells are as wide as those of the mask,
        and all are habitat; `widest` is 10 sigma or twice the mask's buffer by default.
        """
        from .fit_checks.buffers import by_buffer

        return by_buffer(self, widest, session=session)

    def distance(self, detector: str, session: str | None = None) -> xr.DataArray:
        """Metres from a detector to every cell, as the model measures them; NaN outside habitat, infinite where there
        is no way. With least-cost distance these are metres of cost one."""
        from .metric import metres_from

        part = self.model.session(session)
        metres = metres_from(part, self.values_of(part), str(detector))
        return part.mask.to_xarray(metres, name="distance").assign_attrs(detector=str(detector), units="m")

    def class_probabilities(self, session: str | None = None) -> pd.DataFrame:
        """Probability that each detected animal is of each class of the model; 1 and 0 where its class is known.

        Raises
        ------
        SurveyError : the model has no classes
        """
        part = self.model.session(session)
        if part.classes is None:
            raise refuse("the model has no classes", "Give models.SCR(…, classes=…)")
        shares = part.class_shares(self.values_of(part))
        return pd.DataFrame(shares, index=part.captures.animals.index, columns=list(part.classes.labels))

    def values_of(self, session) -> dict[str, np.ndarray]:
        """Natural-scale values of one session at the estimates."""
        return self.model.values_of(self.values, session)

    def kernel_input(self, session) -> tuple[np.ndarray, np.ndarray]:
        """log_mu [M] and detection rows [R, 3] of one session at the estimates."""
        return session.kernel_input(self.values_of(session))

    def as_full(self) -> SpatialFit:
        """The full-likelihood fit that says the same: itself, or for a conditional fit the one with D = n / a.

        The two have the same detection estimates when the number of animals is Poisson and each session has its own
        density. With k = log n - log a_r, a_r = ∫ r(x) p.(x) dx for the relative density r: var(k) = 1/n + g'Vg and
        cov(k, theta) = -Vg with g = d log a_r / d theta (Borchers & Efford 2008, section 5). With a binomial number of
        animals in the mask var(k) has (1 - p) / n in place of 1/n, p the share of them that is detected.
        """
        if self.model.likelihood == "full":
            return self
        from .abundance import expected_and_missed

        sessions, own = self.model.sessions, self.model.formulas["D"].split("~", 1)[-1].strip()
        if any(len(s.strata.columns) for s in sessions):
            raise refuse(
                "with covariates of animals density is a sum over the animals detected, and has no surface",
                "Use fit.derive() or fit.abundance(region)",
            )
        if any(s.captures.n_animals == 0 for s in sessions):
            raise refuse(
                "a session without animals has no density under the conditional likelihood", "Use likelihood='full'"
            )
        model = self.model.with_full_likelihood(f"~ {own}" if len(sessions) == 1 else f"~ session + {own} - 1")
        first, q = len(sessions), len(self.vector)
        unit = replace(
            self,
            model=model,
            vector=np.concatenate([np.zeros(first), self.vector]),
            covariance=np.zeros((first + q,) * 2),
        )
        g, k, n = np.empty((first, q)), np.empty(first), np.array([s.captures.n_animals for s in model.sessions])
        free = np.ones(first)  # of the variance of a Poisson number of animals
        for j, session in enumerate(model.sessions):
            everything, missed = expected_and_missed(unit, session, session.mask)
            seen = everything.value - missed.value
            g[j] = ((everything.gradient - missed.gradient) / seen)[first:]
            k[j] = np.log(n[j] / seen)
            if model.distribution == "binomial":
                free[j] = missed.value / everything.value
        V = self.covariance
        covariance = np.block([[np.diag(free / n) + g @ V @ g.T, -g @ V], [-V @ g.T, V]])
        return replace(self, model=model, vector=np.concatenate([k, self.vector]), covariance=covariance)

    # ---- checks ---------------------------------------------------------------------------------------------

    def ghosts(self, simulations: int = 0, seed: int = 1, **how):
        """Animals detected once beside what the model expects: a `GhostTest`, see `spatial.fit_checks.ghosts`.

        An excess may come from known animals that were not recognised. `simulations` data sets, fitted again, make the
        p-value exact; 0 takes the normal distribution. `how` as for `goodness`.
        """
        from .fit_checks.ghosts import ghost_test

        return ghost_test(self, simulations, seed, **how)

    def sensitivity_to_ghosts(self) -> pd.DataFrame:
        """Density and abundance by all animals, and given at least two detections of each (Kodi et al. 2024).

        Returns
        -------
        DataFrame with at_least (1, 2), animals, left_out, converged, then as `derive()`, and change (relative to 1).
        Ghosts, each a known animal taken for a new one and seen once, raise the first density and hardly the second.

        Raises
        ------
        SurveyError : learned responses of detectors (k, K), animals removed, or no animal detected twice
        """
        from .fit_checks.ghosts import sensitivity

        return sensitivity(self)

    def goodness(self, n: int = 200, seed: int = 1, *, refit: bool = True, uncertain: bool = False, **how):
        """Freeman-Tukey distances by animal × detector, animal, and detector, beside those of simulated data.

        Parameters
        ----------
        n : simulated data sets
        seed : replicate i uses the i-th child of this seed
        refit : True fits every simulated data set again, so that p-values are uniform under the model; False is the
            quick procedure of Choo et al. (2024), whose p-values keep away from 0 and 1 (see `fit_checks.goodness`)
        uncertain : without refitting, draw the coefficients from their asymptotic normal distribution
        how : executor, workers, store, progress, as for `bootstrap`

        Returns
        -------
        Goodness : tests with statistic, observed, expected, c_hat (their ratio) and p

        Raises
        ------
        SurveyError : covariates of animals; without refitting learned responses, single-catch traps, at_least=2
        """
        from .fit_checks.goodness import resampled

        if not refit:
            return resampled(self, n, seed, uncertain, **how)
        return super().goodness(n, seed, **how)

    def residuals(self, session: str | None = None) -> pd.DataFrame:
        """Detections at each detector beside those expected, see `spatial.fit_checks.residuals`.

        Returns
        -------
        DataFrame with (method,) detector, x, y (metres), effort, observed; expected and residual against the population
        (not with learned responses or removals); expected_given_animals and residual_given_animals. Residuals are over
        their standard deviation under the model, NaN without effort. `models.residual_pattern` tests them for a
        pattern over space, `plot_residuals` maps them.
        """
        from .fit_checks.residuals import residuals

        return residuals(self, session)

    def check_mask(self, *, wider: float = 1.5, finer: int = 2, refit: bool = False):
        """Density on a wider and on a finer habitat mask: a `MaskCheck`, see `spatial.fit_checks.mask_check`.

        Parameters
        ----------
        wider : times the buffer; all within it beyond the outline of the mask is taken as habitat
        finer : parts that the side of a cell is cut into
        refit : fit the model again on the other masks; otherwise the detection parameters stay as they are
        """
        from .fit_checks.mask_check import check_mask

        return check_mask(self, wider=wider, finer=finer, refit=refit)

    def overdispersion(self, by: str = "sessions"):
        """c-hat of the number of animals (Fletcher 2012), by "sessions" that are replicates, or by "detectors".

        The second is a diagnosis: an animal counts at every detector that it visits. See `fit_checks.overdispersion`.
        """
        from .fit_checks.overdispersion import overdispersion

        return overdispersion(self, by)

    def inflated(self, c_hat: float, *, of: str = "everything") -> SpatialFit:
        """The same fit with wider standard errors and intervals.

        Parameters
        ----------
        c_hat : overdispersion
        of : "everything": all variances times c-hat, as for other models: animals are detected together, as groups;
            "number": only what comes from the number of animals: animals live in groups but are detected one by one
            (c-hat of `overdispersion`). CV(D)² = c CV(n)² + CV(a)². Such a fit has c_hat 1 and its AICc: the c of the
            number of animals is no overdispersion of detections, and models are compared without it, as with secr's
            adjustVarD

        Raises
        ------
        SurveyError : c-hat is not above 0; "number" of a conditional fit (use as_full()), or twice
        """
        if of not in ("everything", "number"):
            raise refuse("inflated is 'everything' or 'number'", "Use of='number'", value=of)
        if of == "everything":
            return super().inflated(c_hat)  # type: ignore[return-value]
        from .fit_checks.overdispersion import number_inflated

        return number_inflated(self, c_hat)

    # ---- plots ----------------------------------------------------------------------------------------------

    def plot_detection(self, ax=None, session: str | None = None):
        """The detection function with its 95 % band and the data's distances; returns the matplotlib Axes."""
        from .plots import plot_detection

        return plot_detection(self, ax, session)

    def plot_residuals(self, which: str = "given animals", ax=None, session: str | None = None):
        """A map of `residuals`, "given animals" or of the "population"; returns the matplotlib Axes."""
        from .fit_checks.residuals import plot_residuals, residuals

        return plot_residuals(residuals(self, session), which, ax)

    def plot_density(self, ax=None, session: str | None = None):
        """The density surface with detectors; returns the matplotlib Axes."""
        from .plots import plot_density

        return plot_density(self, ax, session)
