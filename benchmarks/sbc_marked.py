"""Simulation-based calibration of `sample()` for marked animals (Talts et al. 2018, arXiv:1804.06788).

Parameters are drawn from the prior, data from the model at them, and the posterior of the data is sampled. If model,
gradient, priors and sampler agree, the rank of what was drawn among the draws of the posterior is uniform. Besides the
parameters the log-likelihood is ranked, which notices data that are used wrongly (Modrák et al. 2023).

    python benchmarks/sbc_marked.py 300 > benchmarks/sbc_marked.md
    python benchmarks/sbc_marked.py grid 0 300       the exact posterior of CJS for the same data, no sampler
    python benchmarks/sbc_marked.py grid 5000 6500   and of others, as 10000 11700

Needs PyMC (`pip install -e '.[bayes]'`).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import chdtrc, expit

from uncia.models.bayes import Posterior, Sampler
from uncia.models.marked.closed import ClosedCapture
from uncia.models.marked.survival import CJS
from uncia.models.priors import Logistic, LogNormal, Normal
from uncia.survey.encounters import EncounterHistory

KEPT, THIN, TUNE, BINS = 99, 5, 400, 10


@dataclass(frozen=True)
class Case:
    """A model on a template of data, its priors, and what of its coefficients is ranked."""

    name: str
    template: Any
    priors: dict
    values: Callable[[np.random.Generator], dict]  # natural-scale values, drawn from the priors
    ranked: Callable[[Any, np.ndarray], dict[str, np.ndarray]]  # of coefficients [draws, p]


def closed() -> Case:
    """M0 of about 60 animals and 5 occasions; the template has one animal, so f0 = N - 1."""
    priors = {"p": Normal(-1.1, 0.5), "N": LogNormal(60.0, 1.5)}

    def values(rng):
        return {"p": float(expit(priors["p"].draw(rng))), "f0": priors["N"].draw(rng) - 1.0}

    def ranked(model, vectors):
        return {"p": vectors[:, 0], "N": model.n[0] + np.exp(vectors[:, 1])}

    return Case("ClosedCapture M0", ClosedCapture(EncounterHistory([[1, 0, 0, 0, 0]])), priors, values, ranked)


def survival() -> Case:
    """40 animals, 10 released on each of the first 4 of 6 occasions; phi and p uniform."""
    states = np.repeat(np.eye(6, dtype=int)[:4], 10, axis=0)
    priors = {"phi": Logistic(), "p": Logistic()}

    def values(rng):
        return {name: float(expit(prior.draw(rng))) for name, prior in priors.items()}

    def ranked(model, vectors):
        return {"phi": vectors[:, 0], "p": vectors[:, 1]}

    return Case("CJS", CJS(EncounterHistory(states)), priors, values, ranked)


def ranks(case: Case, fits: int) -> tuple[dict[str, np.ndarray], int, int]:
    """Ranks [fits] by quantity, simulated data without an animal, steps that diverged."""
    sampler, found, empty, diverged = Sampler(case.template.parameters.size), {}, 0, 0
    for seed in range(fits):
        rng = np.random.default_rng([20261121, seed])
        while True:
            values = case.values(rng)
            history = case.template.simulate(values, int(rng.integers(2**31)))
            if history.n_animals:
                break
            empty += 1
        model = case.template.on(history)
        drawn = sampler.run(Posterior(model, case.priors), KEPT * THIN, TUNE, 1, seed)
        diverged += int(drawn.statistics["diverging"].sum())
        truth = case.template.parameters.vector_from(values)
        if "f0" in values:
            beyond = values["f0"] + 1.0 - model.n[0]  # never met, of the N that was drawn
            truth[1] = np.log(beyond) if beyond > 0 else -50.0
        both = np.vstack([truth, drawn.coefficients[0, ::THIN]])
        quantities = case.ranked(model, both) | {"log-likelihood": np.array([model.loglik(v) for v in both])}
        for name, value in quantities.items():
            rank = float((value[1:] < value[0]).sum())
            ties = int((value[1:] == value[0]).sum())
            found.setdefault(name, []).append(rank + rng.integers(ties + 1))
    return {name: np.array(r) for name, r in found.items()}, empty, diverged


def by_grid(first: int, last: int, cells: int = 60) -> None:
    """Print where the truth lies in the posterior of CJS by sums over a grid of phi and p, both uniform."""
    case, found, edges = survival(), [], np.linspace(0.0, 1.0, cells + 1)
    middle = edges[:-1] + 0.5 / cells
    for seed in range(first, last):
        rng = np.random.default_rng([20261121, seed])
        values = case.values(rng)
        model = case.template.on(case.template.simulate(values, int(rng.integers(2**31))))
        size = {name: len(v) for name, v in model.parameters.values(model.start()).items()}
        loglik = np.empty((cells, cells))
        for i, j in np.ndindex(cells, cells):
            at = {"phi": np.full(size["phi"], middle[i]), "p": np.full(size["p"], middle[j])}
            loglik[i, j] = model.evaluate(at, False)[0]
        weight = np.exp(loglik - loglik.max())
        weight /= weight.sum()
        below = [np.append(0.0, np.cumsum(weight.sum(axis=axis))) for axis in (1, 0)]
        place = [np.interp(values[n], edges, c) for n, c in zip(("phi", "p"), below, strict=True)]
        found.append([*place, weight[loglik < model.loglik(model.parameters.vector_from(values))].sum()])
    for name, u in zip(("phi", "p", "log-likelihood"), np.array(found).T, strict=True):
        cover = 100 * np.mean((u > 0.05) & (u < 0.95))
        print(
            f"{name}: mean {u.mean():.3f}, sd {u.std():.3f}, coverage {cover:.1f}%, {np.histogram(u, BINS, (0, 1))[0]}"
        )


def rows(case: Case, fits: int) -> list[str]:
    """Lines of the table, one for each quantity."""
    begin = time.process_time()
    found, empty, diverged = ranks(case, fits)
    seconds = (time.process_time() - begin) / fits
    lines = []
    for name, rank in found.items():
        count = np.bincount((rank * BINS // (KEPT + 1)).astype(int), minlength=BINS)
        chi2 = float(np.sum((count - fits / BINS) ** 2) / (fits / BINS))
        middle = (rank + 0.5) / (KEPT + 1)
        cover = np.mean((middle > 0.05) & (middle < 0.95))
        cells = [
            f"{case.name}, {name}",
            " ".join(map(str, count)),
            f"{chi2:.1f}",
            f"{chdtrc(BINS - 1, chi2):.2f}",
            f"{middle.mean():.3f} ± {np.sqrt(1 / 12 / fits):.3f}",
            f"{middle.std():.3f} ± {np.sqrt(1 / 180 / fits) / (2 * np.sqrt(1 / 12)):.3f}",
            f"{100 * cover:.1f}% ± {100 * np.sqrt(0.9 * 0.1 / fits):.1f}%",
            f"{diverged}",
            f"{empty}",
            f"{seconds:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main(fits: int) -> None:
    """Print the table."""
    print(HEAD.format(fits=fits, bins=BINS, each=fits / BINS, kept=KEPT, thin=THIN, tune=TUNE, df=BINS - 1))
    for case in (closed(), survival()):
        for line in rows(case, fits):
            print(line, flush=True)


HEAD = """# Simulation-based calibration: marked animals

{fits} data sets per model, drawn from the prior and the model; one chain each, {tune} steps of tuning, every {thin}th
draw kept ({kept}). Counts of ranks in {bins} bins, {each:g} expected in each; chi-squared has {df} degrees of freedom
if the ranks are uniform, mean {df} ± {df2}. Mean rank (expected 0.500) and its standard deviation (0.289), between 0
and 1, and how often the truth is within the central 90 % of the draws, each ± the Monte-Carlo error that exact
calibration would have. s: CPU seconds per data set. Made by `benchmarks/sbc_marked.py`.

ClosedCapture M0: logit p ~ Normal(-1.1, 0.5), N ~ LogNormal(60, factor 1.5), 5 occasions. N is a positive number in
prior and likelihood; the simulated population has the whole numbers around it at random. CJS: phi and p uniform, 40
releases, 6 occasions. A data set in which nobody was met cannot be fitted: parameters and data are then drawn again,
which is the prior given that somebody is met; "empty" counts them.

| model and quantity | ranks | chi² | P | mean | sd | coverage | diverged | empty | s |
|---|---|---|---|---|---|---|---|---|---|""".replace("{df2}", f"{np.sqrt(2 * (BINS - 1)):.1f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["grid"]:
        by_grid(int(sys.argv[2]), int(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
