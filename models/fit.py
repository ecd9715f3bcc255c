"""The answer: one shape for every model and every method."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..survey.errors import refuse
from .derived import z_of
from .inference.criteria import check_c_hat, information_criterion
from .inference.maximum_likelihood import Covariance
from .verdict import Outcome, Remark, Verdict

if TYPE_CHECKING:
    from .random_part import RandomPart

INFLATED = "Standard errors are inflated by"


@dataclass(frozen=True, eq=False)
class Fit:
    """Estimates of a model's coefficients and all that follows from them.

    A point estimate is a posterior with one atom: `draws` is [1, p] after maximum likelihood.
    """

    model: Any
    vector: np.ndarray  # [p] coefficients, link scale
    covariance: np.ndarray  # [p, p]; NaN where the data do not determine a coefficient
    loglik: float
    method: str
    base_verdict: Verdict
    evaluations: int = 0
    interval: str = "wald"
    determined: Covariance | None = None  # what the data determine, and what not
    c_hat: float = 1.0  # overdispersion that the covariance has in it, see `inflated`
    penalty: float = 0.0  # of penalised maximum likelihood, which has no AIC
    random: RandomPart | None = None  # of a model with random effects: `vector` then holds their conditional modes too

    @property
    def n_parameters(self) -> int:
        """Coefficients, and of random effects their standard deviations but not they; c-hat is not one of them."""
        return len(self.vector) if self.random is None else self.random.n_parameters

    @property
    def aic(self) -> float:
        return information_criterion("aic", self._criterion_loglik, self.n_parameters)

    @property
    def aicc(self) -> float:
        """AIC with the small-sample correction (Hurvich & Tsai 1989); infinite when n is too small for it."""
        return information_criterion("aicc", self._criterion_loglik, self.n_parameters, self.model.sample_size)

    @property
    def bic(self) -> float:
        return information_criterion("bic", self._criterion_loglik, self.n_parameters, self.model.sample_size)

    @property
    def qaicc(self) -> float:
        """AICc of the log-likelihood over c-hat, c-hat being one parameter more; AICc itself without a c-hat."""
        return information_criterion(
            "qaicc", self._criterion_loglik, self.n_parameters, self.model.sample_size, self.c_hat
        )

    @property
    def _criterion_loglik(self) -> float:
        """The log-likelihood if it is a maximum, as information criteria need it; NaN when it was penalised."""
        return np.nan if self.penalty else self.loglik

    def inflated(self, c_hat: float) -> Fit:
        """The same fit with variances times c-hat: standard errors and intervals follow, profile ones too.

        Estimates stay. A c-hat of 1 or less inflates nothing; one that was asked for before is replaced.

        Parameters
        ----------
        c_hat : overdispersion of the most general model, from `goodness`, `goodness_of_fit` or `median_c_hat`

        Raises
        ------
        SurveyError : c-hat is not above 0
        """
        factor = check_c_hat(c_hat)
        more, determined = factor / self.c_hat, self.determined
        if determined is not None:
            determined = replace(determined, matrix=determined.matrix * more, firm=determined.firm * more)
        before = tuple(r for r in self.base_verdict.remarks if not r.detail.startswith(INFLATED))
        if factor > 1.0:
            words = f"{INFLATED} {np.sqrt(factor):.3f}, the square root of c-hat = {factor:.3f}"
            before = (*before, Remark(Outcome.IMPRECISE, words))
        changes = {"covariance": self.covariance * more, "determined": determined, "c_hat": factor}
        if self.random is not None:
            changes["random"] = replace(self.random, covariance=self.random.covariance * more)
        return replace(self, **changes, base_verdict=Verdict(before))

    @property
    def draws(self) -> np.ndarray:
        """float [draws, p]: one atom."""
        return self.vector[None, :]

    @cached_property
    def verdict(self) -> Verdict:
        """What this fit says about itself."""
        return self.base_verdict.also(*self.model.remarks(self))

    @property
    def se(self) -> np.ndarray:
        """float [p]: standard errors of the coefficients, NaN where there is none."""
        with np.errstate(invalid="ignore"):
            return np.sqrt(np.diag(self.covariance))

    def covariance_of(self, jacobian: np.ndarray) -> np.ndarray:
        """Delta-method covariance [q, q] of functions with `jacobian` [q, p]; NaN where undetermined."""
        if self.determined is None:
            return jacobian @ self.covariance @ jacobian.T
        return self.determined.along(jacobian)

    def variance_of(self, jacobian: np.ndarray) -> np.ndarray:
        """Delta-method variances [q] of functions with `jacobian` [q, p], without their covariances."""
        if self.determined is None:
            return np.sum((jacobian @ self.covariance) * jacobian, axis=1)
        return self.determined.variances_along(jacobian)

    @property
    def values(self) -> dict[str, np.ndarray]:
        """Natural-scale values of each parameter over its rows."""
        return self.model.parameters.values(self.vector)

    @cached_property
    def coefficients(self) -> pd.DataFrame:
        """Link-scale coefficients: parameter, term, link, estimate, se, lower, upper (95 % Wald).

        Random effects are not among them: see `random_effects`.
        """
        z = z_of()
        frame = self.model.parameters.frame(self.vector)
        frame = frame.assign(se=self.se, lower=frame["estimate"] - z * self.se, upper=frame["estimate"] + z * self.se)
        return frame if self.random is None else frame.iloc[self.random.marginal.at_beta].reset_index(drop=True)

    def variation(self) -> pd.DataFrame:
        """Standard deviations of random effects, their correlations, and lengths of smooths.

        Returns
        -------
        DataFrame with parameter, term, kind ("sd", "correlation", "length"), groups (their number), estimate, se, and
        95 % Wald limits (of standard deviations on the log scale); no limits at a boundary
        """
        return self._of_random().variation()

    def random_effects(self) -> pd.DataFrame:
        """Conditional modes of random effects, on the link scale.

        Returns
        -------
        DataFrame with parameter, effect, group, level, estimate and se, the standard error of the prediction, which
        has the uncertainty of the fixed coefficients and of the standard deviations in it
        """
        return self._of_random().modes(self.vector, self.covariance)

    def _of_random(self) -> RandomPart:
        if self.random is None:
            raise refuse("the model has no random effects", "Add one to a formula, e.g. '~ 1 + (1 | site)'")
        return self.random

    def truth(self, seed: int) -> np.ndarray:
        """Coefficients [p] to simulate a data set from: the estimates, with random effects drawn anew."""
        if self.random is None:
            return self.vector
        return self.random.redrawn(self.vector, np.random.default_rng([seed, 1]))

    def derive(self, interval: str | None = None) -> pd.DataFrame:
        """What people are told: density, abundance and the like with SE, RSE and 95 % interval.

        Parameters
        ----------
        interval : "wald" or "profile"; the fit's own by default
        """
        return self.model.derive(self, interval or self.interval)

    def predict(self, name: str, newdata=None):
        """Values of one parameter with se, lower and upper: a raster for a parameter over space, else a table."""
        return self.model.predict(self, name, newdata)

    def profile(self, *names: str) -> pd.DataFrame:
        """Profile-likelihood 95 % intervals of coefficients (natural scale for constant parameters)."""
        from .inference.profile import profile_intervals

        return profile_intervals(self, names)

    def as_full(self) -> Fit:
        """The fit that data can be simulated from: itself, unless its likelihood is conditional on the detected."""
        return self

    def bootstrap(self, n: int = 200, seed: int = 1, **how):
        """Parametric bootstrap: `n` data sets simulated from the fit, each fitted again (see `inference.bootstrap`).

        `how` takes `executor`, `workers`, `store` (a folder that lets it be interrupted and resumed) and `progress`.
        """
        from .inference.bootstrap import bootstrap

        return bootstrap(self, n, seed, **how)

    def goodness(self, n: int = 200, seed: int = 1, **how):
        """Goodness of fit: statistics of the data beside those of `n` data sets simulated from the fit and refitted.

        c-hat and p-value of each statistic of the model's kind; see `inference.goodness`. `how` as for `bootstrap`.
        """
        from .inference.goodness import goodness

        return goodness(self, n, seed, **how)

    def summary(self) -> str:
        """The fit on one screen."""
        from .summary import fit_text

        return fit_text(self)

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        from .summary import fit_html

        return fit_html(self)
