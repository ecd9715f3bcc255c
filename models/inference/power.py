"""Power: how often a survey of a given design would show what is really happening.

Surveys are simulated at stated values and fitted; the share in which a test detects the effect is the power, with its
Monte-Carlo error. Surveys that cannot be fitted, or whose effect has no standard error, count as not detecting it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import ndtr

from ...survey.errors import SurveyError, refuse
from ..derived import z_of
from .crossing import crossing
from .parallel import run_tasks
from .scales import scale_of

DIRECTIONS = ("either", "below", "above")


@dataclass(frozen=True)
class Effect:
    """What is tested: a coefficient of a formula, or a derived quantity.

    Parameters
    ----------
    quantity : a parameter, with `term` the coefficient ("phi", "sex[T.male]"); or a derived quantity, with `term` its
        scope where there are several of that name ("growth of occupancy")
    versus : the value of no effect: 0 of a coefficient (on its link scale), 1 of growth, …
    direction : "either" (two-sided), or "below" or "above" `versus` (one-sided)
    """

    quantity: str
    term: str | None = None
    versus: float = 0.0
    direction: str = "either"

    def __post_init__(self):
        if self.direction not in DIRECTIONS:
            raise refuse("this direction is not known", f"Use one of {', '.join(DIRECTIONS)}", value=self.direction)

    def measured(self, fit) -> tuple[float, float, float]:
        """Estimate, standard error, and z = (estimate - versus) / SE on the scale of the interval."""
        labels = fit.model.parameters.labels
        if self.quantity in fit.model.parameters:
            mine = [t for p, t in labels if p == self.quantity]
            term = mine[0] if self.term is None and len(mine) == 1 else self.term
            if (self.quantity, term) not in labels:
                fix = f"Use one of {', '.join(mine)}"
                raise refuse(f"{self.quantity} has no such coefficient", fix, value=self.term)
            j = labels.index((self.quantity, term))
            estimate, se = float(fit.vector[j]), float(fit.se[j])
            return estimate, se, (estimate - self.versus) / se
        row = self._row(fit)
        scale = scale_of(str(row["interval"]))
        if scale is None:
            raise refuse(
                "the interval of this quantity has no scale to test on", "Test another one", value=self.quantity
            )
        ends = np.sort(scale.forward(np.array([row["lower"], row["upper"]], float)))
        middle, null = scale.forward(float(row["estimate"])), scale.forward(self.versus)
        spread = float(ends[1] - ends[0]) / (2.0 * z_of())
        sign = 1.0 if scale.kind != "loglog" else -1.0
        z = float(sign * (middle - null) / spread) if spread > 0 else np.nan
        return float(row["estimate"]), float(row["se"]), z

    def _row(self, fit) -> pd.Series:
        table = fit.derive("wald")
        rows = table[table["quantity"] == self.quantity]
        rows = rows if self.term is None else rows[rows["scope"] == self.term]
        if len(rows) != 1:
            known = sorted({*fit.model.parameters.names, *table["quantity"]})
            scopes = list(table.loc[table["quantity"] == self.quantity, "scope"])
            fix = f"Give term=, one of {scopes}" if scopes else f"There are {', '.join(known)}"
            raise refuse("the effect is not one number of this model", fix, value=self.quantity)
        return rows.iloc[0]

    def p_value(self, z: float) -> float:
        """Of the test; 1 where there is no z."""
        if not np.isfinite(z):
            return 1.0
        return float({"either": 2.0 * ndtr(-abs(z)), "below": ndtr(z), "above": ndtr(-z)}[self.direction])


@dataclass(frozen=True, eq=False)
class Power:
    """Share of surveys that detect an effect."""

    effect: Effect
    alpha: float
    truth: float
    surveys: pd.DataFrame  # estimate, se, p, detected by survey; NaN where it could not be fitted

    @property
    def power(self) -> float:
        """Share of surveys that detect it."""
        return float(self.surveys["detected"].mean())

    @property
    def se(self) -> float:
        """Monte-Carlo standard error of the share."""
        return float(np.sqrt(self.power * (1.0 - self.power) / len(self.surveys)))

    @property
    def interval(self) -> tuple[float, float]:
        """Monte-Carlo 95 % interval of the share (Wilson 1927)."""
        z2, n = z_of() ** 2, len(self.surveys)
        centre = (self.power + z2 / (2 * n)) / (1 + z2 / n)
        half = np.sqrt(z2 * (self.power * (1 - self.power) / n + z2 / (4 * n**2))) / (1 + z2 / n)
        return max(float(centre - half), 0.0), min(float(centre + half), 1.0)

    @property
    def failed(self) -> int:
        """Surveys without an estimate or standard error of the effect."""
        return int(self.surveys["se"].isna().sum())

    def __str__(self) -> str:
        low, high = self.interval
        detected = self.surveys.loc[self.surveys["detected"], "estimate"].mean()
        words = f"power {self.power:.3f} (Monte-Carlo 95 % {low:.3f} to {high:.3f}) from {len(self.surveys)} surveys"
        words += f", {self.failed} of them without a standard error" if self.failed else ""
        return f"{words}; truth {self.truth:.4g}, mean estimate where detected {detected:.4g}"

    __repr__ = __str__


def power(
    model,
    values: Mapping[str, object],
    effect: Effect | str,
    n: int = 200,
    seed: int = 1,
    *,
    alpha: float = 0.05,
    fitted=None,
    variation: Mapping[str, float] | None = None,
    **how,
) -> Power:
    """Power of the survey whose visits, animals and covariates `model` holds, at true `values`.

    Parameters
    ----------
    model : of data with the design in question; what was found in them does not matter
    values : truth, as for `simulate`; `declining` makes those of a stated decline
    effect : an `Effect`, or the name of a growth rate, tested to be below 1
    n : simulated surveys; the error of the power is sqrt(power (1 - power) / n)
    seed : survey i uses the i-th child of this seed
    alpha : level of the test
    fitted : another model to fit to the simulated data (`model` by default)
    variation : standard deviations of the random effects of `model`, which are drawn anew for every survey
    how : executor, workers, store, progress, as in `run_tasks`

    Raises
    ------
    SurveyError : wrong values, an effect that is not one number of the model, n below 1
    """
    if n < 1 or not 0 < alpha < 1:
        raise refuse("power needs surveys and a level between 0 and 1", "Use e.g. n=200, alpha=0.05", value=(n, alpha))
    if isinstance(effect, str):
        if effect in model.parameters:
            fix = f"Give Effect({effect!r}, term, versus=…, direction=…)"
            raise refuse("a name alone is for growth rates, which are tested to be below 1", fix, value=effect)
        effect = Effect(effect, versus=1.0, direction="below")
    if getattr(model.parameters, "random", None) and variation is None:
        raise refuse(
            "the random effects have no standard deviations", "Give variation=, as for `draw`", value=repr(model)
        )
    with np.errstate(all="ignore"):
        at = model.at(**values) if variation is None else model.at(variation=variation, **values)
        truth = effect.measured(at)[0] if fitted is None else np.nan
    seeds = [int(child.generate_state(1)[0]) for child in np.random.SeedSequence(seed).spawn(n)]
    results = run_tasks(_survey, [(model, dict(values), variation, fitted, effect, s) for s in seeds], **how)
    frame = pd.DataFrame([r[:2] for r in results], columns=["estimate", "se"], dtype=float)
    frame["p"] = [effect.p_value(r[2]) for r in results]
    frame["detected"] = frame["p"] < alpha
    return Power(effect, alpha, truth, frame)


def _survey(task) -> tuple[float, float, float]:
    """Estimate, standard error and z of one simulated survey; NaN where there is none."""
    model, values, variation, fitted, effect, seed = task
    nothing = (np.nan, np.nan, np.nan)
    if variation is not None:
        values = model.draw(values, variation, seed)
    try:
        fit = (model if fitted is None else fitted).on(model.simulate(values, seed)).fit()
    except SurveyError:
        return nothing
    with np.errstate(all="ignore"):
        found = effect.measured(fit)
    return found if np.isfinite(found).all() else nothing


@dataclass(frozen=True, eq=False)
class EffortNeeded:
    """Power by effort, and the effort at which it reaches a target."""

    table: pd.DataFrame  # effort, power, se, lower, upper
    target: float
    effort: float  # by logistic regression on log effort
    lower: float
    upper: float
    within: bool  # the effort lies among those tried

    def __str__(self) -> str:
        words = f"effort {self.effort:.4g} ({self.lower:.4g} to {self.upper:.4g}) for a power of {self.target:.0%}"
        return words + ("" if self.within else ", which is outside the efforts tried: try those")

    __repr__ = __str__


def effort_needed(
    designs: Mapping[float, tuple],
    effect: Effect | str,
    target: float = 0.8,
    n: int = 200,
    seed: int = 1,
    *,
    alpha: float = 0.05,
    **how,
) -> EffortNeeded:
    """Power of designs of different effort, and the effort that a power of `target` needs.

    Parameters
    ----------
    designs : effort (sites, years, animals, …) → (model, values), as for `power`
    target : power that is wanted
    others : as for `power`

    Raises
    ------
    SurveyError : fewer than two designs, or power that does not rise with effort
    """
    if len(designs) < 2 or not all(e > 0 for e in designs):
        raise refuse("effort needs at least two designs of effort above 0", "Add some", value=list(designs))
    if not 0 < target < 1:
        raise refuse("the power wanted must be between 0 and 1", "Use e.g. 0.8", value=target)
    rows, x, success = [], [], []
    for k, (effort, (model, values)) in enumerate(sorted(designs.items())):
        found = power(model, values, effect, n, seed + k, alpha=alpha, **how)
        rows.append((effort, found.power, found.se, *found.interval))
        x += [np.log(effort)] * n
        success += list(found.surveys["detected"])
    table = pd.DataFrame(rows, columns=["effort", "power", "se", "lower", "upper"])
    middle, se = crossing(np.array(x), np.array(success), target)
    ends = [float(np.exp(middle + side * z_of() * se)) for side in (-1.0, 0.0, 1.0)]
    within = bool(table["effort"].min() <= ends[1] <= table["effort"].max())
    return EffortNeeded(table, target, ends[1], ends[0], ends[2], within)


def declining(
    model, values: Mapping[str, object], decline: float, change: str, quantity: str | None = None
) -> dict[str, object]:
    """`values` in which one constant is changed so that occupancy or abundance declines as stated.

    Parameters
    ----------
    model : of several seasons, with a derived growth per season from the first to the last
    values : of all parameters, as for `at`; that of `change` is replaced
    decline : share lost from the first season to the last, 0.3 for 30 %; negative for an increase
    change : parameter without covariates that makes it ("epsilon", "omega", …)
    quantity : the growth per season among the derived quantities; found by its name by default

    Raises
    ------
    SurveyError : a decline that no value of the parameter makes, a parameter with covariates
    """
    p = model.parameters[change]
    if p.design is None or not p.design.constant:
        raise refuse(f"{change} is not one number in this model", "Choose a parameter without covariates", value=change)
    if not decline < 1:
        raise refuse("a decline is a share below 1", "Write 0.3 for 30 %", value=decline)
    steps = model.history.n_seasons - 1
    target = (1.0 - decline) ** (1.0 / steps)

    def excess(eta: float) -> float:
        with np.errstate(all="ignore"):
            table = model.at(**{**values, change: float(p.link.inverse(np.float64(eta)))}).derive("wald")
        named = table["quantity"] == quantity if quantity else table["quantity"].str.startswith("growth of")
        if not named.any():
            raise refuse("the model derives no growth per season", "Give quantity=", value=quantity)
        return float(table.loc[named, "estimate"].iloc[-1]) - target

    ends = (-9.0, 9.0) if p.link.name != "log" else (-9.0, 4.0)
    low, high = (excess(e) for e in ends)
    if low * high > 0:
        reach = sorted((low + target) ** steps - 1.0 for low in (low, high))
        words = f"no value of {change} gives this change; it can make {reach[0]:+.0%} to {reach[1]:+.0%}"
        raise refuse(words, "Change other values too", value=-decline)
    return {**values, change: float(p.link.inverse(brentq(excess, *ends, xtol=1e-10)))}
