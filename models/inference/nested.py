"""Tests of a model against a larger one that contains it: likelihood ratio, and score without fitting the larger one.

Likelihood ratio: 2 (l1 − l0) / c-hat is chi-square with as many degrees of freedom as the larger model has coefficients
more (Wilks 1938). Score: with U the gradient and I the information of the larger model at the smaller one's estimates,
U' I⁻¹ U has the same distribution (Rao 1948); a hundred larger models can so be looked at for the price of one gradient
and one curvature each (Catchpole & Morgan 1996).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from ...survey.errors import SurveyError, refuse
from .maximum_likelihood import NOISE, information_at

SAME = 1e-6  # difference of log-likelihoods, relative, up to which two models say the same
INFORMATIONS = ("observed", "expected")


@dataclass(frozen=True, eq=False)
class NestedTest:
    """A test of a model against a larger one."""

    kind: str  # "likelihood ratio" or "score"
    statistic: float
    df: int
    p_value: float
    smaller: str
    larger: str
    coefficients: pd.DataFrame  # what the larger model has more: parameter, term, for a score test score and step
    note: str = ""

    def __str__(self) -> str:
        text = f"{self.kind} test: chi-square = {self.statistic:.4g}, df = {self.df}, p = {self.p_value:.3g}"
        return "\n".join(
            [text, f"  smaller: {self.smaller}", f"  larger:  {self.larger}", *([self.note] * bool(self.note))]
        )

    __repr__ = __str__


def likelihood_ratio_test(smaller, larger) -> NestedTest:
    """Twice the difference of two maximised log-likelihoods, over c-hat if the fits were inflated by one.

    Parameters
    ----------
    smaller, larger : fits of the same data; the model of `larger` must contain that of `smaller`

    Raises
    ------
    SurveyError : fits that cannot be compared, that were not maximised, or that are not nested in this order

    Notes
    -----
    A standard deviation or a proportion that the smaller model sets to 0 is at the edge of what is possible: the
    p-value is then too large (for one such parameter twice the right one; Self & Liang 1987).
    """
    _check_maxima(smaller, larger)
    df = larger.n_parameters - smaller.n_parameters
    if df < 1:
        what = "the second fit has no more parameters than the first"
        raise refuse(what, "Give the smaller model first", value=f"{smaller.n_parameters}, {larger.n_parameters}")
    if larger.c_hat != smaller.c_hat:
        fix = "Inflate both by the c-hat of the larger model"
        raise refuse("the fits are inflated by different c-hats", fix, value=f"{smaller.c_hat:g}, {larger.c_hat:g}")
    gain = 2.0 * (larger.loglik - smaller.loglik)
    if gain < -SAME * abs(smaller.loglik):
        what = "the larger model fits worse than the smaller one, so that it does not contain it or was not maximised"
        raise refuse(what, "Check the formulas; try fit(starts=5)", value=f"{gain:.4g}")
    missing = [label for label in smaller.model.parameters.labels if label not in larger.model.parameters.labels]
    statistic = max(gain, 0.0) / larger.c_hat
    more = [label for label in larger.model.parameters.labels if label not in smaller.model.parameters.labels]
    note = "" if not missing else (
        "The smaller model has terms that the larger one lacks ("
        + ", ".join(f"{p} ({t})" for p, t in missing)
        + "): make sure that it is contained in the larger one."
    )  # fmt: skip
    table = pd.DataFrame(more, columns=["parameter", "term"])
    p = float(chdtrc(df, statistic))
    return NestedTest("likelihood ratio", statistic, df, p, repr(smaller.model), repr(larger.model), table, note)


def score_test(
    fit, larger=None, *, information: str = "observed", simulations: int = 200, seed: int = 1, **formulas
) -> NestedTest:
    """Would more terms improve a model? Answered at its estimates, without fitting the larger model.

    Parameters
    ----------
    fit : of the smaller model, at its maximum
    larger : the larger model, of the same data; or give its formulas instead: score_test(fit, sigma="~ sex")
    information : "observed" (minus the second derivatives), or "expected": the mean square of the score over
        `simulations` data sets from the fit, which is never negative but costs more
    seed : of these data sets
    formulas : of the larger model by parameter, those that differ

    Returns
    -------
    NestedTest; its `coefficients` have the score of each new term, and `step`, the value that a first step towards the
    maximum of the larger model gives it (link scale): its sign says which way the data pull

    Raises
    ------
    SurveyError : the models are of different data, the larger one does not contain the smaller one term by term, or the
        information is singular (a term that the data do not determine, classes that nobody knows)
    """
    _check_maxima(fit)
    if information not in INFORMATIONS:
        raise refuse("this information is not known", "Use 'observed' or 'expected'", value=information)
    model = _larger(fit.model, larger, formulas)
    vector, new = embedded(fit, model)
    U = model.loglik_and_gradient(vector)[1]
    T = model.scaling(vector)
    if information == "observed":
        info, note = information_at(model, vector), ""
    else:
        info, note = _expected_information(model, vector, T, simulations, seed)
    step = _solved(model, info, T.T @ U, vector, information)
    statistic = float((T.T @ U) @ step) / fit.c_hat
    labels = [model.parameters.labels[j] for j in new]
    table = pd.DataFrame(labels, columns=["parameter", "term"]).assign(score=U[new], step=(T @ step)[new])
    p = float(chdtrc(len(new), statistic))
    return NestedTest("score", statistic, len(new), p, repr(fit.model), repr(model), table, note)


def embedded(fit, larger) -> tuple[np.ndarray, np.ndarray]:
    """The estimates of a fit as coefficients [p] of a larger model, and the positions of those that it has more, at 0.

    Raises
    ------
    SurveyError : the larger model lacks a term of the smaller one, or does not say the same with the new ones at 0
    """
    reason = fit.model.not_comparable(larger)
    if reason:
        raise refuse(f"the models cannot be compared: {reason}", "Use the same data in the same way")
    small, big = fit.model.parameters, larger.parameters
    known = dict(zip(small.labels, fit.vector, strict=True))
    lacking = [label for label in small.labels if label not in big.labels]
    if lacking:
        what = f"the larger model lacks a term of the smaller one: {lacking[0][0]} ({lacking[0][1]})"
        raise refuse(what, "Add terms to the smaller model's formulas, and take none away")
    vector = np.zeros(big.size)
    new = np.array([j for j, label in enumerate(big.labels) if label not in known], int)
    for j, (name, term) in enumerate(big.labels):
        at = small[name] if name in small else None
        if (name, term) in known:
            vector[j] = known[name, term]
        elif term == "Intercept" and at is not None and at.design is None and at.fixed is not None:
            vector[j] = float(big[name].link.forward(np.float64(at.fixed)))
    if not len(new):
        raise refuse("the larger model has no more terms than the smaller one", "Add terms to a formula")
    there = larger.loglik(vector)
    if not abs(there - fit.loglik) <= SAME * max(1.0, abs(fit.loglik)):
        what = "the larger model with its new terms at 0 is not the smaller one"
        fix = "Use formulas of which the smaller ones are a part, with the same links and covariates"
        raise refuse(what, fix, value=f"log-likelihoods {fit.loglik:.6g} and {there:.6g}")
    return vector, new


def _check_maxima(*fits) -> None:
    for fit in fits:
        if getattr(fit, "penalty", 0.0):
            raise refuse("a penalised fit is no maximum of the likelihood", "Fit without penalty", value=fit.penalty)
        if fit.method != "maximum likelihood" or fit.random is not None:
            what = "the test needs fits by maximum likelihood, without random effects"
            raise refuse(what, "Use model.fit()", value=fit.method)
    if len(fits) == 2:
        reason = fits[0].model.not_comparable(fits[1].model)
        if reason:
            raise refuse(f"the fits cannot be compared: {reason}", "Fit both to the same data in the same way")


def _larger(model, larger, formulas):
    if (larger is None) == (not formulas):
        raise refuse("say what the larger model is", 'Give it, or its formulas: score_test(fit, sigma="~ sex")')
    if larger is not None:
        return larger
    if not hasattr(model, "with_formulas"):
        raise refuse("this kind of model is not made from formulas here", "Give the larger model", value=repr(model))
    return model.with_formulas(**formulas)


def _solved(model, info: np.ndarray, U: np.ndarray, vector, kind: str) -> np.ndarray:
    """I⁻¹ U in units in which the coefficients are alike.

    Raises
    ------
    SurveyError : the information is not positive
    """
    curvature, directions = np.linalg.eigh(info)
    if curvature[0] <= NOISE * max(curvature[-1], 1e-300):
        worst = np.argmax(np.abs(directions[:, 0]))
        name, term = model.parameters.labels[int(worst)]
        what = f"the {kind} information of the larger model is not positive at the smaller one's estimates"
        fix = "Use information='expected', or fit the larger model" if kind == "observed" else "Fit the larger model"
        raise refuse(what, fix, value=f"{name} ({term})")
    return directions @ ((directions.T @ U) / curvature)


def _expected_information(model, vector, T, simulations: int, seed: int) -> tuple[np.ndarray, str]:
    """Mean of T'U U'T over data sets simulated at `vector`."""
    if simulations < 2 * len(vector):
        raise refuse("the expected information needs more simulations", f"Use {10 * len(vector)}", value=simulations)
    total, done, failed = np.zeros((len(vector),) * 2), 0, 0
    for child in np.random.SeedSequence(seed).spawn(simulations):
        try:
            data = model.simulate(model.parameters.given(vector), int(child.generate_state(1)[0]))
            U = T.T @ model.on(data).loglik_and_gradient(vector)[1]
        except SurveyError:  # nothing was found in these data: their score is that of no information
            failed += 1
            continue
        total, done = total + np.outer(U, U), done + 1
    if not done:
        raise refuse("no simulated data set could be evaluated", "Use information='observed'", value=simulations)
    note = f"Expected information from {done} simulated data sets" + (f"; {failed} were empty" if failed else "")
    return total / done, note + "."
