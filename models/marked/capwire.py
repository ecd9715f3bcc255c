"""N from samples without occasions: many scats or hairs per animal, one search (Miller, Joyce & Waits 2005)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import digamma, gammaln, logsumexp

from ...survey.display import some
from ...survey.errors import refuse
from ...survey.samples import SampleCounts
from ..derived import table
from ..parameters import ParameterSet
from ..verdict import Outcome, Remark
from .base import MarkedModel, one_of
from .closed_fit import BEYOND, ClosedFit
from .layout import Layout, build

WORDS = {
    "rate": ("log", "samples per animal", "expected samples of an animal, of a hard one with two rates"),
    "alpha": ("log", "ratio", "how much easier the easy animals are found"),
    "pi": ("logit", "proportion", "easy animals among all"),
    "f0": ("log", "animals", "number of animals never found"),
}


class Capwire(MarkedModel[ClosedFit]):
    """The number of animals from how often each was found (the models of program capwire).

    Parameters
    ----------
    counts : SampleCounts, or the number of samples of each animal
    rates : "equal": every animal is as easy to find (ECM); "two": a share pi of the animals is alpha times as easy to
        find as the others (TIRM)
    threshold : with "two", sort the animals as capwire does, instead of letting each be of either kind: those found at
        least so many times are the easy ones, and all of them are found

    Notes
    -----
    Log-likelihood: log N!/(N - k)! + sum log Pr(samples of an animal found) + f0 log Pr(never found), samples being
    Poisson, or a mixture of two Poissons; k animals found. With equal rates N is capwire's, whose log-likelihood
    is log C(N, k) - s log N, s samples: the same at rate = s / N but for a constant. With a threshold the
    log-likelihood is capwire's: log C(n_hard, hard ones found) + sum over samples of log of alpha / (alpha n_easy +
    n_hard) or 1 / (…); sorting is a choice of which the interval knows nothing, and too high a threshold makes N too
    small. The numbers of animals vary continuously here.

    Raises
    ------
    SurveyError : counts below 1, two rates when all animals were found equally often
    """

    fit_class = ClosedFit
    data_class = None
    likelihood = "full"

    def __init__(self, counts: SampleCounts | Sequence[int], rates: str = "equal", *, threshold: int | None = None):
        one_of("rates", rates, ("equal", "two"))
        self.history = counts if isinstance(counts, SampleCounts) else SampleCounts(counts)
        if self.history.n_animals == 0:
            raise refuse("no animal was found, so there is nothing to fit", "Check the identities")
        self.rates, self.threshold = rates, threshold
        self.formulas, self.options = {}, {"rates": rates, "threshold": threshold}
        c = np.asarray(self.history.counts)
        if rates == "two" and c.min() == c.max():
            what = "all animals were found equally often, so there is no telling two rates"
            raise refuse(what, 'Use rates="equal"', value=int(c[0]))
        if threshold is not None and (rates == "equal" or not c.min() < threshold <= c.max()):
            fix = f'Use rates="two" and a threshold from {c.min() + 1} to {c.max()}'
            raise refuse("this threshold sorts no animals", fix, value=threshold)
        names = ["f0"] if rates == "equal" else ["alpha", "f0"] if threshold else ["alpha", "pi", "f0"]
        names = names if threshold else ["rate", *names]
        self.n, self.groups = np.array([len(c)], float), pd.DataFrame(index=[0])
        self.times = self.history.times.index.to_numpy(float)
        self.animals = self.history.times.to_numpy(float)
        one = Layout(pd.DataFrame(index=[0]), np.zeros(1, np.int32))
        self.layouts = dict.fromkeys(names, one)
        self.parameters = ParameterSet([build(n, "~ 1", one, *WORDS[n]) for n in names])
        self.n_easy, self.of_easy, self.n_hard, self.of_hard = self._sorted(threshold or c.max() + 1)

    def _sorted(self, threshold: float) -> tuple[float, float, float, float]:
        """Animals and samples of those found at least so many times, and of the others."""
        easy = self.times >= threshold
        samples = self.animals * self.times
        return self.animals[easy].sum(), samples[easy].sum(), self.animals[~easy].sum(), samples[~easy].sum()

    def evaluate(self, values, gradient):
        at = {name: float(v[0]) for name, v in values.items()}
        loglik, by = self._sorting(at) if self.threshold else self._mixture(at)
        return loglik, {name: np.array([by[name]]) for name in values} if gradient else None

    def _mixture(self, at) -> tuple[float, dict[str, float]]:
        k, c = self.n[0], np.append(0.0, self.times)
        alpha, pi, rate, f0 = at.get("alpha", 1.0), at.get("pi", 0.0), at["rate"], at["f0"]
        mean = np.array([rate * alpha, rate])[:, None]
        with np.errstate(divide="ignore"):
            log_share = np.log(np.array([pi, 1.0 - pi]))[:, None]
        terms = log_share + c * np.log(mean) - mean - gammaln(c + 1.0)
        log_found = logsumexp(terms, axis=0)
        weight = np.append(f0, self.animals)
        loglik = float(weight @ log_found + gammaln(k + f0 + 1.0) - gammaln(f0 + 1.0))
        of_kind = np.exp(terms - log_found) * weight  # animals of each kind, by how often they were found
        by_mean = (of_kind * (c / mean - 1.0)).sum(axis=1)
        easy, hard = of_kind.sum(axis=1)
        return loglik, {
            "rate": float(by_mean[0] * alpha + by_mean[1]),
            "alpha": float(by_mean[0] * rate),
            "pi": float(easy / max(pi, 1e-300) - hard / max(1.0 - pi, 1e-300)),
            "f0": float(digamma(k + f0 + 1.0) - digamma(f0 + 1.0) + log_found[0]),
        }

    def _sorting(self, at) -> tuple[float, dict[str, float]]:
        f0, alpha, s = at["f0"], at["alpha"], self.of_easy + self.of_hard
        hard = self.n_hard + f0
        all_rates = alpha * self.n_easy + hard
        ways = gammaln(hard + 1.0) - gammaln(f0 + 1.0) - gammaln(self.n_hard + 1.0)
        return float(ways + self.of_easy * np.log(alpha) - s * np.log(all_rates)), {
            "f0": float(digamma(hard + 1.0) - digamma(f0 + 1.0) - s / all_rates),
            "alpha": float(self.of_easy / alpha - s * self.n_easy / all_rates),
        }

    def _start_at(self, threshold: float) -> np.ndarray:
        """Coefficients as if animals found at least so many times were the easy ones."""
        n_easy, of_easy, n_hard, of_hard = self._sorted(threshold)
        rate = max(of_hard / n_hard - 0.9, 0.2)  # of those found at all, less what that brings
        unseen = max(n_hard * np.exp(-rate) / -np.expm1(-rate), 0.5)
        alpha = max(of_easy / max(n_easy, 1.0) / rate, 1.1)
        pi = np.clip(n_easy / (n_easy + n_hard + unseen), 0.02, 0.98)
        return self.parameters.start({"f0": unseen, "rate": rate, "alpha": alpha, "pi": pi})

    def start(self):
        if self.rates == "equal":
            return self._start_at(np.inf)
        return self._start_at(self.threshold or self.times[len(self.times) // 2])

    def fit(self, *, start=None, **options) -> ClosedFit:
        """Maximum likelihood, see `Model.fit`; with two rates from several starts, of which the best is kept."""
        if start is not None or self.rates == "equal" or self.threshold:
            return super().fit(start=start, **options)
        spread = np.unique(self.times[1:][np.linspace(0, len(self.times) - 2, 3).astype(int)])
        each = [super(Capwire, self).fit(start=self._start_at(m), **options) for m in spread]
        return max(each, key=lambda fit: fit.loglik)

    @property
    def sample_size(self) -> int:
        """Samples."""
        return self.history.n_samples

    def derive(self, fit, interval):
        """N, and with two rates the share of easy animals and how much easier they are found."""
        words = {"rate": "samples per animal", "alpha": "ratio of rates", "pi": "easy animals"}
        rows = self.parameter_rows(fit, {n: words[n] for n in words if n in self.layouts}, interval)
        return pd.concat([fit.derived_table(interval), table(rows)], ignore_index=True)

    def remarks(self, fit):
        again = self.history.n_samples - self.history.n_animals
        if again == 0 or fit.total()[0] > BEYOND * self.history.n_animals:
            return (Remark(Outcome.FLAT, "N, which grows without bound"),)
        if again < 5:
            return (
                Remark(
                    Outcome.IMPRECISE, f"Animals were found again only {some(again, 'time')}: N rests on very little"
                ),
            )
        return ()

    def name_rows(self, name, rows):
        return "f0, the number of animals never found," if name == "f0" else name

    def not_comparable(self, other) -> str:
        if isinstance(other, Capwire) and self.threshold != other.threshold:
            return "one sorts the animals, and the other does not, or otherwise"
        return super().not_comparable(other)

    def simulate(self, values: Mapping[str, object], seed: int) -> SampleCounts:
        """As many samples as in the data, drawn at natural-scale values (as for `at`); only animals found are in it."""
        rng = np.random.default_rng(seed)
        at = {name: float(v[0]) for name, v in self.parameters.values(self.coefficients_for(values)).items()}
        N = self.n[0] + at["f0"]
        count = int(N) + int(rng.random() < N % 1)
        easy = rng.random(count) < at["pi"] if "pi" in at else np.arange(count) < self.n_easy
        weight = np.where(easy, at.get("alpha", 1.0), 1.0)
        counts = rng.multinomial(self.history.n_samples, weight / weight.sum())
        return SampleCounts(counts[counts > 0])

    def __repr__(self) -> str:
        return f"Capwire({self.rates} rates{f', easy from {self.threshold} samples' if self.threshold else ''})"


@dataclass(frozen=True)
class RateChoice:
    """Equal rates or two: 2 × the difference of the log-likelihoods, and how often equal rates give as much."""

    statistic: float
    p_value: float
    simulations: int
    equal: ClosedFit
    two: ClosedFit | None  # None when all animals were found equally often

    @property
    def chosen(self) -> ClosedFit:
        """The fit with two rates when equal rates are refused at 0.05."""
        return self.two if self.two is not None and self.p_value < 0.05 else self.equal

    def __str__(self) -> str:
        words = f"twice the difference of log-likelihoods {self.statistic:.2f}, p = {self.p_value:.3f}"
        return f"{words} from {self.simulations} simulations of equal rates: {self.chosen.model!r}"


def choose_rates(counts: SampleCounts | Sequence[int], simulations: int = 100, seed: int = 1) -> RateChoice:
    """Likelihood-ratio test of two rates against equal ones by parametric bootstrap (as Miller et al. 2005).

    Parameters
    ----------
    counts : SampleCounts, or the number of samples of each animal
    simulations : data sets drawn from the fit with equal rates
    seed : of the simulations
    """
    equal = Capwire(counts).fit()

    def statistic(fit: ClosedFit) -> tuple[float, ClosedFit | None]:
        c = np.asarray(fit.model.history.counts)
        if c.min() == c.max():
            return -np.inf, None
        two = Capwire(fit.model.history, "two").fit()
        return 2.0 * (two.loglik - fit.loglik), two

    observed, two = statistic(equal)
    seeds = [int(s.generate_state(1)[0]) for s in np.random.SeedSequence(seed).spawn(simulations)]
    given = equal.model.parameters.given(equal.vector)
    drawn = [statistic(Capwire(equal.model.simulate(given, s)).fit())[0] for s in seeds]
    p = (1.0 + sum(d >= observed for d in drawn)) / (1.0 + simulations)
    return RateChoice(observed, p, simulations, equal, two)
