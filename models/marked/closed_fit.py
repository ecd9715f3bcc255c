"""What a fit of a closed population tells: N with its intervals side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..derived import Estimate, log_normal_above, table, z_of
from ..fit import Fit
from ..inference.bootstrap import bootstrap as simulate_and_refit
from ..inference.profile import profile_intervals
from .closed_total import every_group_its_own, profile_of_total

BEYOND = 1e4  # estimates of N above so many times the animals met are no estimates


@dataclass(frozen=True)
class Abundance:
    """N of each profile [G] with the Jacobian by coefficients [G, p] and the variance [G] of who happened to be met."""

    estimate: np.ndarray
    jacobian: np.ndarray
    chance: np.ndarray


class ClosedFit(Fit):
    """A `Fit` of a closed population: adds N with log-normal, profile and bootstrap intervals."""

    def abundance_parts(self) -> Abundance:
        """N by profile. Full likelihood: n + f0. Conditional: n / (1 - Pr(never met)) (Huggins 1989, section 3)."""
        model = self.model
        values, G = self.values, len(model.n)
        J = np.zeros((G, len(self.vector)))
        if model.likelihood == "full":
            p = model.parameters["f0"]
            where, index = model.parameters.slice_of("f0"), model.layouts["f0"].index
            J[:, where] = (p.design.matrix * values["f0"][:, None])[index]
            return Abundance(model.n + values["f0"][index], J, np.zeros(G))
        log_unseen = model.log_unseen(values)
        unseen, met = np.exp(log_unseen), -np.expm1(log_unseen)
        chance = model.n * unseen / met**2
        for g in np.flatnonzero(model.n > 0):
            adjoints = model.pull_unseen(values, np.where(np.arange(G) == g, chance, 0.0))
            J[g] = model.parameters.pull(self.vector, adjoints)
        return Abundance(model.n / met, J, chance)

    def total(self, which: np.ndarray | None = None) -> tuple[float, float, float]:
        """N, its standard error and the animals met, over some profiles (all by default)."""
        parts, part = self.abundance_parts(), slice(None) if which is None else which
        J = parts.jacobian[part].sum(axis=0)[None, :]
        with np.errstate(invalid="ignore"):
            se = float(np.sqrt(self.covariance_of(J)[0, 0] + parts.chance[part].sum()))
        estimate, n = float(parts.estimate[part].sum()), float(self.model.n[part].sum())
        return estimate, se if estimate <= BEYOND * n else float("nan"), n

    def derived_table(self, interval: str) -> pd.DataFrame:
        """N in all and by group, and the probability that an animal is met at all."""
        rows = [self._row("all", None, interval)]
        groups = self.model.groups
        factors = [name for name in groups if not pd.api.types.is_float_dtype(groups[name])]
        if factors and len(groups) > 1:
            for names, frame in groups.groupby(factors, sort=True, observed=True):
                words = ", ".join(f"{k} = {v}" for k, v in zip(factors, names, strict=True))
                rows.append(self._row(words, frame.index.to_numpy(), interval))
        return table(rows)

    def _row(self, scope: str, which, interval: str) -> Estimate:
        estimate, se, n = self.total(which)
        edge = not np.isfinite(se) and estimate - n < 0.01
        if which is None and self._profiled and (interval == "profile" or edge):
            lower, upper = self._profile()
            return Estimate("abundance", "animals", scope, estimate, se, lower, upper, "95% profile")
        return log_normal_above("abundance", "animals", scope, n, estimate, se)

    @property
    def _one_f0(self) -> bool:
        """True when one coefficient is all there is to f0, so that its profile is that of N."""
        model = self.model
        return model.likelihood == "full" and model.parameters["f0"].design.constant and len(model.groups) == 1

    @property
    def _profiled(self) -> bool:
        """True when the likelihood of N can be profiled."""
        return self._one_f0 or every_group_its_own(self.model)

    def _profile(self) -> tuple[float, float]:
        if not self._one_f0:
            return profile_of_total(self)
        ends = profile_intervals(self, ["f0"]).iloc[0]
        n = float(self.model.n.sum())
        return n + float(ends["lower"]), n + float(ends["upper"])

    def abundance(self, bootstrap: int = 0, seed: int = 1, **how) -> pd.DataFrame:
        """N with its 95 % intervals side by side.

        Parameters
        ----------
        bootstrap : simulated surveys that are fitted again for the percentile interval; none by default
        seed : of the simulated surveys
        how : workers, executor, progress of the bootstrap, as for `models.bootstrap`; e.g. workers=1

        Returns
        -------
        DataFrame as `derive()`: log-normal on f0 (as MARK), normal on log f0, profile likelihood (over all groups; of
        the full likelihood only: the conditional one has no N in it), bootstrap
        """
        estimate, se, n = self.total()
        rows = [log_normal_above("abundance", "animals", "all", n, estimate, se)]
        if estimate > n:
            relative = z_of() * se / (estimate - n)
            lower, upper = (n + (estimate - n) * np.exp(sign * relative) for sign in (-1.0, 1.0))
            name = "95% normal on the logarithm of f0"
            rows.append(Estimate("abundance", "animals", "all", estimate, se, lower, upper, name))
        if self._profiled:
            rows.append(Estimate("abundance", "animals", "all", estimate, se, *self._profile(), "95% profile"))
        if bootstrap:
            found = simulate_and_refit(self, bootstrap, seed, **how).estimates
            draws = found.loc[(found["quantity"] == "abundance") & (found["scope"] == "all"), "estimate"].to_numpy()
            lower, upper = np.maximum(np.quantile(draws, [0.025, 0.975]), n)
            name = f"95% parametric bootstrap, {bootstrap} surveys"
            spread = float(np.std(draws[draws <= BEYOND * n], ddof=1))
            rows.append(Estimate("abundance", "animals", "all", estimate, spread, lower, upper, name))
        return table(rows)
