"""How long occupancy and count models take, beside dense NumPy and the arithmetic that cannot be avoided.

    python benchmarks/occupancy.py [occupancy|n-mixture|dynamic|open|goodness …]

CPU time, the least of several runs. What comes back from simulated data is in `recovery_occupancy.py`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.special import expit, gammaln, logsumexp

from uncia import models
from uncia.models.design import Design
from uncia.models.inference.maximum_likelihood import maximise
from uncia.models.kernels.occupancy_logit import exponentials
from uncia.models.links import LINKS
from uncia.models.occupancy.one_pass import OnePass
from uncia.models.occupancy.visits import Detections
from uncia.models.parameters import Parameter, ParameterSet
from uncia.survey import DetectionHistory


def occupancy(n: int = 1_000_000, visits: int = 10) -> None:
    """Value and gradient with 3 + 3 covariates; the limit is one exponential and one division per visit."""
    rng = np.random.default_rng(1)
    names = "~ x + y + z"
    parameters = ParameterSet(
        [
            Parameter("psi", LINKS["logit"], Design.of(names, _normal(rng, n), "psi")),
            Parameter("p", LINKS["logit"], Design.of(names, _normal(rng, n * visits), "p")),
        ]
    )
    X, Z = (np.asarray(parameters[name].design.matrix) for name in ("psi", "p"))
    at = np.array([0.2, 0.3, -0.2, 0.1, -0.5, 0.3, 0.2, -0.1])
    site = np.repeat(np.arange(n), visits)
    seen = (rng.uniform(size=n) < expit(X @ at[:4]))[site] & (rng.uniform(size=n * visits) < expit(Z @ at[4:]))
    one_pass = OnePass(parameters, Detections(site, n, seen))
    x, out = rng.normal(size=2560), np.empty(2560)

    def arithmetic():
        for _ in range(n * visits // 2560):
            exponentials(x, out)
            np.divide(1.0, out, out=out)

    def textbook():
        psi, p = 1 / (1 + np.exp(-X @ at[:4])), 1 / (1 + np.exp(-Z @ at[4:]))
        logs = np.bincount(site, np.where(seen, np.log(p), np.log1p(-p)), n)
        there = psi * np.exp(logs)
        total = there + (1 - psi) * (np.bincount(site, seen, n) == 0)
        w = there / total
        return np.log(total).sum(), np.concatenate([(w - psi) @ X, (seen - w[site] * p) @ Z])

    ours, dense = one_pass(at, True), textbook()
    assert abs(ours[0] - dense[0]) < 1e-9 * abs(dense[0])
    assert np.allclose(ours[1], dense[1], rtol=1e-7, atol=1e-4)
    limit = _best(arithmetic, 15)
    for words, gradient in (("value + gradient", True), ("value", False)):
        took = _best(lambda gradient=gradient: one_pass(at, gradient), 15)
        print(f"occupancy, 1e6 sites × 10 visits, {words}: {1e3 * took:.1f} ms, {took / limit:.2f} × the limit")
    climb = _Climb(parameters, one_pass)
    took = _best(lambda: maximise(climb, np.zeros(8)), 1)
    print(f"  fit from coefficients of 0 with its Hessian {took:.2f} s")
    print(f"  its exponentials and divisions alone {1e3 * limit:.1f} ms, reading {1e3 * _best(Z.sum):.1f} ms")
    print(f"  textbook NumPy, value + gradient {1e3 * _best(textbook, 3):.0f} ms")


class _Climb:
    """What the climb asks of a model, without a history of ten million rows."""

    def __init__(self, parameters: ParameterSet, one_pass: OnePass):
        self.scaling, self.one_pass = parameters.scaling, one_pass

    def loglik_and_gradient(self, vector):
        return self.one_pass(vector, True)

    def hessian(self, vector):
        return None


def n_mixture(n: int = 1000, visits: int = 10, K: int = 500) -> None:
    """1,000 sites × 10 visits; the sum ends by itself, the dense one goes to K."""
    for mean in (60.0, 350.0):
        model = _simulated(
            models.NMixture(DetectionHistory.from_wide(np.ones((n, visits)))), {"lambda": mean, "p": 0.3}
        )
        y, numbers = model.count.reshape(n, visits), np.arange(K + 1.0)
        ways = gammaln(numbers + 1)[None, None] - gammaln(np.maximum(numbers[None, None] - y[..., None], 0) + 1)
        ways = np.where(numbers >= y[..., None], ways, -np.inf).sum(axis=1) - gammaln(y + 1.0).sum(axis=1)[:, None]
        caught, missed = y.sum(axis=1)[:, None], visits * numbers[None] - y.sum(axis=1)[:, None]

        def dense(vector, ways=ways, caught=caught, missed=missed, numbers=numbers):
            rate, p = np.exp(vector[0]), expit(vector[1])
            logs = (
                ways + caught * np.log(p) + missed * np.log1p(-p) + numbers * np.log(rate) - rate - gammaln(numbers + 1)
            )
            total = logsumexp(logs, axis=1)
            mean = np.exp(logs - total[:, None]) @ numbers
            by_p = (caught[:, 0] - visits * p * mean).sum()
            return total.sum(), np.array([(mean - rate).sum(), by_p])

        at = model.start()
        ours, theirs = model.loglik_and_gradient(at), dense(at)
        if mean < K / 2:  # else K is too small
            assert abs(ours[0] - theirs[0]) < 1e-9 * abs(theirs[0])
            assert np.allclose(ours[1], theirs[1], rtol=1e-6, atol=1e-6)
        _report(f"N-mixture, 1,000 sites × 10 visits, mean {mean:.0f}", model)
        took = _best(lambda dense=dense, at=at: dense(at))
        print(f"  NumPy with sums to K = {K} and their factorials made beforehand {1e3 * took:.1f} ms")


def dynamic(n: int = 100_000, seasons: int = 10, visits: int = 5) -> None:
    """100,000 sites × 10 seasons × 5 visits, beside the forward pass in NumPy over all sites at a time."""
    template = models.DynamicOccupancy(DetectionHistory.from_wide(np.ones((n, seasons, visits))))
    model = _simulated(template, {"psi": 0.5, "gamma": 0.15, "epsilon": 0.2, "p": 0.4})
    y = model.history.value.reshape(n, seasons, visits)

    def dense(vector):
        psi, gamma, epsilon, p = expit(vector)
        present = np.prod(np.where(y > 0, p, 1 - p), axis=2)
        absent = (y.sum(axis=2) == 0).astype(float)
        state, total = np.tile([psi, 1 - psi], (n, 1)), 0.0
        for t in range(seasons):
            if t > 0:
                state = state @ np.array([[1 - epsilon, epsilon], [gamma, 1 - gamma]])
            state = state * np.stack([present[:, t], absent[:, t]], axis=1)
            whole = state.sum(axis=1)
            total += np.log(whole).sum()
            state /= whole[:, None]
        return total

    at = model.start()
    assert abs(model.loglik(at) - dense(at)) < 1e-9 * abs(dense(at))
    _report("dynamic, 100,000 sites × 10 seasons × 5 visits", model)
    print(f"  NumPy, value only {1e3 * _best(lambda: dense(at), 3):.0f} ms")


def open_counts() -> None:
    """100 sites × 10 seasons × 3 visits; a covariate of recruitment makes every site's transitions its own."""
    x = np.random.default_rng(1).normal(size=100)
    h = DetectionHistory.from_wide(np.ones((100, 10, 3)), sites=pd.DataFrame({"x": x}))
    truth = {"lambda": 4.0, "gamma": 1.5, "omega": 0.6, "p": 0.5}
    model = _simulated(models.OpenNMixture(h), truth)
    for most in (80, 400):
        _report(f"open N-mixture, 100 × 10 × 3, K = {most}", model._with(most=most), fit=False)
    _report("open N-mixture, 100 × 10 × 3, K by itself", model)
    by_site = model._with(gamma="~ x", most=80)
    _report("open N-mixture, 100 × 10 × 3, K = 80, gamma by site", by_site)


def goodness() -> None:
    """MacKenzie-Bailey's bootstrap of 1,000 refits on 200 sites."""
    fit = _simulated(models.Occupancy(DetectionHistory.from_wide(np.ones((200, 5)))), {"psi": 0.5, "p": 0.3}).fit()
    took = _best(lambda: fit.goodness(n=1000, workers=1), 1)
    print(f"goodness of fit, 1,000 refits on 200 sites × 5 visits, one process: {took:.1f} s")


def _normal(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    return pd.DataFrame(rng.normal(size=(rows, 3)), columns=list("xyz"))


def _simulated(template, truth):
    return template.on(template.simulate(truth, 1))


def _report(title: str, model, fit: bool = True) -> None:
    at = model.start()
    one = _best(lambda: model.loglik_and_gradient(at))
    whole = f", fit {_best(model.fit, 1):.2f} s" if fit else ""
    print(f"{title}: value + gradient {1e3 * one:.1f} ms{whole}")


def _best(function: Callable, times: int = 7) -> float:
    """Least CPU seconds, after one run to compile."""
    if times > 1:
        function()
    found = []
    for _ in range(times):
        begin = time.process_time()
        function()
        found.append(time.process_time() - begin)
    return min(found)


ALL = {"occupancy": occupancy, "n-mixture": n_mixture, "dynamic": dynamic, "open": open_counts, "goodness": goodness}

if __name__ == "__main__":
    for which in sys.argv[1:] or ALL:
        ALL[which]()
