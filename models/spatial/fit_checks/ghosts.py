"""Ghosts: known animals that were not recognised, each in the data as a new animal detected once.

Diagnosis: the number of animals detected once, n1, beside what the fitted model expects, E1 = ∫ D exp(−Λ0) S dx (see
`detected_twice`). Under the model n1 is Poisson; the coefficients were estimated from the same data, so that the
variance of n1 − E1 is that of n1 less g' V g, with g the gradient of E1 and V the covariance of the coefficients (a
conditional-moment test; Newey 1985, Econometrica 53:1047). Of a fit inflated by c-hat this variance is c-hat times as
large: two sessions of the same animals, such as left and right flanks, have together at most twice the variance that
they would have if they were of different ones. Sensitivity: the model given at least two detections of each
animal beside that of all animals (Kodi et al. 2024, Methods Ecol. Evol. 15:1060).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import ndtr

from ....survey.display import some
from ....survey.errors import SurveyError, refuse
from ...inference.parallel import run_tasks
from ...verdict import Outcome, Remark
from ..abundance import Functional, _density, _gradient
from ..arrange import subset
from ..detected_twice import DetectedTwice, with_once

LEVEL = 0.05  # p-value below which a fit remarks on animals detected once
MANY = 2e8  # cells × ways to be detected once above which the remark is left out


@dataclass(frozen=True, eq=False)
class GhostTest:
    """Animals detected once beside what the model expects, one-sided."""

    observed: int  # animals detected once
    expected: float
    se: float  # of observed − expected under the model
    z: float
    p_value: float
    table: pd.DataFrame  # session, animals, once, expected
    simulations: int  # behind the p-value; 0 if it is that of the normal distribution
    c_hat: float = 1.0  # by which the fit was inflated, and the variance of observed − expected with it

    @property
    def excess(self) -> float:
        """Animals detected once beyond those expected: about how many ghosts there are, if that is the cause."""
        return self.observed - self.expected

    def __str__(self) -> str:
        how = f"from {self.simulations} simulated data sets" if self.simulations else "normal approximation"
        how += f", SE times {np.sqrt(self.c_hat):.3f}, the square root of c-hat" if self.c_hat > 1.0 else ""
        return (
            f"{_once(self.observed)}, {self.expected:.1f} are expected "
            f"(excess {self.excess:+.1f}, SE {self.se:.1f}; z = {self.z:.2f}, "
            f"one-sided p = {self.p_value:.3g}, {how}). "
            "An excess has several causes: known animals that were not recognised, animals passing through, detection "
            "that differs between animals."
        )

    __repr__ = __str__


def ghost_test(fit, simulations: int = 0, seed: int = 1, **how) -> GhostTest:
    """Were more animals detected once than the model expects?

    Parameters
    ----------
    fit : of all animals detected (at_least=1)
    simulations : data sets simulated from the fit and fitted again, whose z the p-value is the rank among; 0 takes the
        normal distribution
    seed, how : of the simulations, as for `Fit.goodness`

    Raises
    ------
    SurveyError : the model left such animals out, has learned responses, covariates of animals or distances that are no
        straight lines, or animals were removed
    """
    _check(fit.model)
    full = fit.as_full()
    observed, found = _once_in_data(full.model), [expected_once(full, s) for s in full.model.sessions]
    table = pd.DataFrame(
        {
            "session": [s.name for s in full.model.sessions],
            "animals": [s.captures.n_animals for s in full.model.sessions],
            "once": observed,
            "expected": [f.value for f in found],
        }
    )
    z, se = _z(full, observed, found)
    p = float(ndtr(-z))
    if simulations:
        seeds = [int(child.generate_state(1)[0]) for child in np.random.SeedSequence(seed).spawn(simulations)]
        tasks = [(fit.model, fit.vector, full.model, full.truth(s), s) for s in seeds]
        drawn = np.array([v for v in run_tasks(_replicate, tasks, **how) if v is not None])
        if not len(drawn):
            raise refuse("no simulated data set could be fitted", "Use simulations=0", value=simulations)
        p, simulations = float((1 + np.sum(drawn >= z)) / (1 + len(drawn))), len(drawn)
    total = float(table["expected"].sum())
    return GhostTest(int(observed.sum()), total, se, z, p, table, simulations, fit.c_hat)


def _replicate(task) -> float | None:
    """z of one simulated data set."""
    model, vector, full, truth, seed = task
    try:
        fit = model.on(full.simulate(full.parameters.given(truth), seed)).fit(start=vector).as_full()
        return _z(fit, _once_in_data(fit.model), [expected_once(fit, s) for s in fit.model.sessions])[0]
    except SurveyError:
        return None


def _z(fit, observed: np.ndarray, expected: list[Functional]) -> tuple[float, float]:
    """(n1 − E1) over its standard error, and that."""
    total = sum(expected[1:], expected[0])
    variance = total.value
    if fit.model.distribution == "binomial":
        animals = sum(float(np.exp(fit.kernel_input(s)[0]).sum()) for s in fit.model.sessions)
        variance *= 1.0 - total.value / animals
    learned = total.variance(fit.covariance / fit.c_hat)  # what the coefficients have taken from n1 already
    left = max(variance - learned, 0.05 * variance) if np.isfinite(learned) else variance
    se = float(np.sqrt(fit.c_hat * left))
    return (float(observed.sum()) - total.value) / se, se


def _once_in_data(model) -> np.ndarray:
    """int [sessions]: animals detected once."""
    times = [np.bincount(c.animal_index, c.detections["count"], c.n_animals) for c in model.given]
    return np.array([int((t == 1).sum()) for t in times])


def expected_once(fit, session) -> Functional:
    """Expected number of animals detected exactly once in a session, with its gradient by the coefficients [p]."""
    model, found = fit.model, Functional(0.0, np.zeros(len(fit.vector)))
    once = with_once(session.arranged, session.methods, model.counts).problem.once
    values = fit.values_of(session)
    eta, design, D = _density(model, fit.vector, session, session.mask)
    log_mu, rows = session.kernel_input(dict(values, D=D))
    share = session.proportions(values)
    for part in session.parts:
        c, weight = part.of_class, share.value[part.of_class]
        engine = DetectedTwice(replace(subset(part.problem, np.empty(0, np.int64)), once=once), model.threads)
        value, d_log_mu, d_rows = engine.once(log_mu, rows[part.rows])
        gradient = _gradient(fit, session, part, weight * d_rows, value * share.first[c])
        if design is not None:
            slope = np.divide(model.parameters["D"].link.slope(eta), D, out=np.zeros_like(eta), where=D > 0)
            gradient[model.parameters.slice_of("D")] += weight * (design.T @ (d_log_mu * slope))
        found = found + Functional(float(weight * value), gradient)
    return found


def _check(model) -> None:
    fix = "Look at fit.model.session().captures.capture_frequencies()"
    if model.at_least > 1:
        raise refuse("the animals detected once are not in these data", "Use a fit with at_least=1", value=2)
    if any(c.detections["removed"].any() for c in model.given):
        raise refuse("an animal that was removed could not be detected again", fix)
    for s in model.sessions:
        why = "covariates of animals" if len(s.strata.columns) else "distances that are no straight lines"
        if len(s.strata.columns) or s.metric is not None:
            what = f"the number of animals detected once is not known with {why}"
            raise refuse(what, "Use fit.sensitivity_to_ghosts()")


def sensitivity(fit) -> pd.DataFrame:
    """See `SpatialFit.sensitivity_to_ghosts`."""
    rows = []
    for at_least in (1, 2):
        model = fit.model if fit.model.at_least == at_least else fit.model.given_at_least(at_least)
        one = fit if model is fit.model else model.fit(start=fit.vector, interval=fit.interval).inflated(fit.c_hat)
        table = one.derive()
        table = table[table["quantity"].isin(("density", "expected abundance", "realised abundance"))]
        n = model.sample_size
        front = {"at_least": at_least, "animals": n, "left_out": len(model.left_out), "converged": one.verdict.good}
        rows.append(pd.DataFrame(front, index=table.index).join(table))
    found = pd.concat(rows, ignore_index=True)
    first = found[found["at_least"] == 1].set_index(["quantity", "scope"])["estimate"]
    base = first.reindex(pd.MultiIndex.from_frame(found[["quantity", "scope"]])).to_numpy()
    return found.assign(change=found["estimate"].to_numpy() / base - 1.0)


def ghost_remarks(fit):
    """What a fit says about animals detected once."""
    model = fit.model
    if model.at_least > 1:
        n = len(model.left_out)
        names = ", ".join(map(str, model.left_out["animal"][:5])) + (", …" if n > 5 else "")
        who = f"{n} animal{'s' if n != 1 else ''} detected once {'were' if n != 1 else 'was'} left out"
        yield Remark(Outcome.GHOSTS, who + (f" ({names})" if n else "") + ": all is given at least two detections")
        return
    if Outcome.CONVERGED not in fit.base_verdict or not np.isfinite(fit.covariance).all():
        return
    cells = max(s.mask.size for s in model.sessions)
    ways = max(len(s.arranged.problem.entry_pass) for s in model.sessions)
    if cells * ways > MANY:
        return
    try:
        test = ghost_test(fit)
    except SurveyError:  # not known for this kind of model
        return
    if test.p_value < LEVEL:
        yield Remark(
            Outcome.GHOSTS,
            f"{_once(test.observed)}, and the model expects {test.expected:.1f} "
            f"(p = {test.p_value:.2g}): some may be known animals that were not recognised, which makes density too "
            "high; compare fit.sensitivity_to_ghosts()",
        )


def _once(n: int) -> str:
    return f"{some(n, 'animal')} {'was' if n == 1 else 'were'} detected once"
