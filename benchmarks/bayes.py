"""Posteriors beside maximum likelihood on the reference data, and effective draws per second.

    python benchmarks/bayes.py agreement            adds what is missing to benchmarks/bayes.csv, for this Python
    python benchmarks/bayes.py speed captdata       76 animals, 100 detectors: both samplers
    python benchmarks/bayes.py speed wolverine      17,266 detectors, as many animals as nimbleSCR's example has
    python benchmarks/bayes.py overhead             what a call costs that evaluates nothing, by PyMC and compiled
    python benchmarks/bayes.py table                writes benchmarks/bayes.md

Needs PyMC (`pip install -e '.[bayes]'`), and the reference suite except for `speed wolverine` and `overhead`.
Effective draws: of the worst coefficient, bulk (Vehtari et al. 2021). Times are of everything from the model to the
draws: the mode, its curvature, tuning. CPU and wall, since machines differ in what else they do.
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from marked_problems import suite  # noqa: E402
from reference import scr_data  # noqa: E402
from reference_occupancy import history  # noqa: E402

from uncia import models, survey  # noqa: E402

AGREEMENT, SPEED, OVERHEAD, TABLE = (HERE / f"bayes{end}" for end in (".csv", "_speed.csv", "_overhead.csv", ".md"))
DRAWS, TUNE, CHAINS, SEED = 400, 100, 2, 1
STACK = f"Python {sys.version_info.major}.{sys.version_info.minor}"
NIMBLE = (0.57, 1.48)  # effective draws per second of sigma and N in nimbleSCR's vignette: 10,000 draws in 5.2 minutes


def scr(name: str, **options) -> models.SCR:
    captures, mask = scr_data(name)
    return models.SCR(captures, mask, **options)


CASES: dict[str, tuple[str, Callable[[], Any]]] = {
    "salamanders": ("nuts", lambda: models.Occupancy(history("salamanders"))),
    "grand skinks": ("nuts", lambda: models.DynamicOccupancy(history("grand_skinks"))),
    "dipper": ("nuts", lambda: models.CJS(suite("dipper"))),
    "Kanha tigers": ("nuts", lambda: models.ClosedCapture(suite("kanha_tigers"))),
    "mallard": ("nuts", lambda: models.NMixture(history("mallard", value="count"), "~ length", "~ 1")),
    "captdata": ("nuts", lambda: scr("captdata")),
    "captdata, surface": ("surface", lambda: scr("captdata")),
    "black bear, sex": ("nuts", lambda: scr("blackbear", classes="sex", sigma="~ sex")),
    "black bear, sex, surface": ("surface", lambda: scr("blackbear", classes="sex", sigma="~ sex")),
    "black bear, learned": ("nuts", lambda: scr("blackbear", g0="~ bk")),
    "black bear, learned, surface": ("surface", lambda: scr("blackbear", g0="~ bk")),
}


def _add(path: Path, rows: list[dict]) -> None:
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(rows)


def agreement(only: str = "") -> None:
    """Posterior means and standard deviations beside estimates and standard errors, under the default priors."""
    done = set()
    if AGREEMENT.exists():
        stored = pd.read_csv(AGREEMENT)
        done = set(zip(stored["stack"], stored["data"], strict=True))
    for name, (sampler, make) in CASES.items():
        if (STACK, name) in done or only not in name:
            continue
        model, begin = make(), time.process_time()
        fit = model.fit()
        draws = model.sample(draws=DRAWS, tune=TUNE, chains=CHAINS, seed=SEED, sampler=sampler)
        seconds, table = time.process_time() - begin, draws.summary()
        rows = []
        for j, row in table.iterrows():
            ml, se = float(fit.vector[j]), float(fit.se[j])
            numbers = {"ml": ml, "se": se, "mean": row["mean"], "sd": row["sd"], "off": (row["mean"] - ml) / row["sd"]}
            numbers |= {"ess": row["ess_bulk"], "r_hat": row["r_hat"], "seconds": seconds}
            words = {"stack": STACK, "data": name, "model": repr(model), "sampler": sampler}
            words["coefficient"] = (
                row["parameter"] if row["term"] == "Intercept" else f"{row['parameter']}: {row['term']}"
            )
            rows.append(words | {k: float(f"{v:.5g}") for k, v in numbers.items()})
        _add(AGREEMENT, rows)
        print(name, rows, flush=True)


def wolverine() -> models.SCR:
    """17,266 detectors 2 km apart, 390 animals of sigma 6 km of which 154 are detected, cells of 3 km.

    nimbleSCR's example has 874 animals with those that augment; 390 (343 to 444) is its estimate of N.
    """
    K, side = 17_266, 132
    x, y = (a.ravel()[:K] for a in np.meshgrid(np.arange(side) * 2000.0, np.arange(side) * 2000.0))
    detectors = survey.Detectors([f"{k}" for k in range(K)], x, y, np.ones((1, K)), "proximity")
    mask = survey.HabitatMask.around(detectors, 20_000.0, 3000.0)
    one = pd.DataFrame({"animal": ["a"], "occasion": [1], "detector": ["100"], "count": [1]})
    plan = models.SCR(survey.CaptureHistory(one, detectors), mask)
    D = 390.0 / mask.area * 100.0
    return models.SCR(plan.simulate({"D": D, "g0": 0.014, "sigma": 6000.0}, 1), mask)


def speed(name: str, only: str = "") -> None:
    """Effective draws per second of both samplers; a first short run compiles."""
    model = wolverine() if name == "wolverine" else scr("captdata")
    model.loglik_and_gradient(model.start())
    model.sample(draws=4, tune=1, chains=1)
    of_nuts = ("nuts", 200, 50, 1) if name == "wolverine" else ("nuts", 1000, 100, 1)
    for sampler, draws, tune, chains in (("surface", 1000, None, 4), of_nuts):
        if only not in sampler:
            continue
        wall, cpu = time.perf_counter(), time.process_time()
        found = model.sample(draws=draws, tune=tune, chains=chains, seed=SEED, sampler=sampler)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        ess = float(found.checks["ess_bulk"].min())
        at = model.fit().vector
        begin = time.process_time()
        for _ in range(10):
            model.loglik_and_gradient(at)
        gradient = (time.process_time() - begin) / 10
        row = {"problem": name, "stack": STACK, "sampler": sampler, "animals": model.sample_size}
        row |= {"detectors": len(model.captures.detectors), "cells": model.mask.size, "draws": draws * chains}
        row |= {"tune": tune or 0, "ess": round(ess), "wall": round(wall, 2), "cpu": round(cpu, 2)}
        row |= {
            "per_wall": round(ess / wall, 2),
            "per_cpu": round(ess / cpu, 2),
            "gradient_ms": round(1e3 * gradient, 1),
        }
        _add(SPEED, [row | {"error": found.made.get("error of the log-posterior", "")}])
        print(row, flush=True)


class Nothing:
    """A posterior that costs nothing."""

    size, calls, model, random = 3, 0, None, None

    def units(self):
        return np.zeros(3), np.eye(3)

    def loglik_and_gradient(self, x):
        self.calls += 1
        return float(-0.5 * x @ x), -x


def overhead() -> None:
    """CPU time of what evaluates nothing: a step of NUTS, and a call of the node from Python and from compiled code."""
    import pytensor

    from uncia.models.bayes import Sampler
    from uncia.models.nodes import LogPosterior

    sampler, nothing = Sampler(3), Nothing()
    sampler.run(nothing, 100, 100, 1, 1)
    nothing.calls, begin = 0, time.process_time()
    sampler.run(nothing, 2000, 100, 1, 1)
    found = {"NUTS": (time.process_time() - begin) / nothing.calls}
    x, at, many = pytensor.tensor.dvector(), np.ones(3), 20_000
    for linker in ("py", "numba"):
        mode = pytensor.compile.mode.Mode(linker=linker, optimizer=None)
        call = pytensor.function([x], LogPosterior(3, nothing.loglik_and_gradient)(x), mode=mode)
        call(at)
        begin = time.process_time()
        for _ in range(many):
            call(at)
        found[linker] = (time.process_time() - begin) / many
    for what, seconds in found.items():
        _add(OVERHEAD, [{"stack": STACK, "call": what, "microseconds": round(1e6 * seconds, 1)}])
    print(found)


def table() -> str:
    """All tables as Markdown."""
    lines = [HEAD]
    if SPEED.exists():
        lines += ["## Effective draws per second", "", SPEED_HEAD, ""]
        frame = pd.read_csv(SPEED)
        for clock in ("wall", "cpu"):
            times = [f"{v / NIMBLE[1]:.0f} – {v / NIMBLE[0]:.0f}" for v in frame[f"per_{clock}"]]
            frame[f"times nimbleSCR ({clock})"] = times
            frame.loc[frame["problem"] != "wolverine", f"times nimbleSCR ({clock})"] = ""
        lines += _markdown(frame), ""
    if OVERHEAD.exists():
        lines += ["## Overhead", "", OVERHEAD_WORDS, "", _markdown(pd.read_csv(OVERHEAD)), ""]
    if AGREEMENT.exists():
        frame = pd.read_csv(AGREEMENT)
        lines += ["## Agreement with maximum likelihood", "", AGREEMENT_HEAD.format(most=frame["off"].abs().max()), ""]
        shown = frame.drop(columns=["model", "seconds"]).sort_values(["data", "coefficient", "stack"])
        lines += [_markdown(shown), "", _stacks(frame), ""]
    return "\n".join(lines)


def _stacks(frame: pd.DataFrame) -> str:
    """How far the two stacks are apart, in their Monte-Carlo errors."""
    nuts = frame[frame["sampler"] == "nuts"]
    pairs = nuts.pivot_table(index=["data", "coefficient"], columns="stack", values=["mean", "sd", "ess"]).dropna()
    if pairs["mean"].shape[1] < 2:
        return "Only one stack has been run."
    (a, b), means = pairs["mean"].columns[:2], pairs["mean"]
    error = np.sqrt(pairs["sd"][a] ** 2 / pairs["ess"][a] + pairs["sd"][b] ** 2 / pairs["ess"][b])
    z = ((means[a] - means[b]) / error).abs()
    apart = f"{z.max():.1f} Monte-Carlo errors (median {z.median():.1f})"
    return f"{a} and {b}: {len(z)} means of NUTS differ by at most {apart}."


def _markdown(frame: pd.DataFrame) -> str:
    head = [" | ".join(map(str, frame.columns)), "|".join(["---"] * len(frame.columns))]
    rows = [
        " | ".join("" if pd.isna(v) else f"{v:.4g}" if isinstance(v, float) else str(v) for v in r)
        for r in frame.to_numpy(object)
    ]
    return "\n".join(f"| {line} |" for line in [*head, *rows])


HEAD = """# Posteriors

Made by `benchmarks/bayes.py` on two cores. For the effective draws per second everything else stood still, but for what
began meanwhile (in the two runs of NUTS, whose wall times are therefore too long).
"""
SPEED_HEAD = """`python benchmarks/bayes.py speed captdata`, and `… speed wolverine`. ess: of the worst coefficient;
draws through a surface are independent, with the error of their log-posterior in the last column. nimbleSCR's example
of 874 augmented animals and 17,266 detectors took 5.2 minutes for 10,000 draws, 0.57 (sigma) to 1.48 (N) effective ones
per second; the problem here has as many detectors and animals, simulated. Activity centres are summed out, so that the
few unknowns mix at once. Times include the mode, its curvature and tuning. NUTS starts with the metric of the
curvature at the mode and finds only its step: 3 to 3.5 evaluations per draw, each an effective draw or more. What it
costs is the gradient."""
OVERHEAD_WORDS = """CPU time of a log-posterior that costs nothing: in PyMC's NUTS, all included ("NUTS"); of one call
of the node by PyTensor's Python linker, as `sample()` has it ("py"), and by its numba linker, as nutpie and PyMC's
numba mode have it ("numba": a pointer to a function, no object mode). One of captdata takes ten milliseconds, so that
no sampler gains by another way of calling it. nutpie was tried in these units too: on normal posteriors as many
evaluations per draw (2.8 to 3.5) and, within a fifth, as many effective draws per evaluation as PyMC's NUTS at the same
acceptance; with random effects 1.1 to 1.3 times as many. So `sample()` does not use it;
`pm.sample(nuts_sampler="nutpie")` does, on `model.pymc()`."""
AGREEMENT_HEAD = """Default priors (uniform probabilities, positive values within a factor of ten of the start), log and
logit scale. off: posterior mean less estimate, in posterior standard deviations; at most {most:.2f} in absolute value.
It is not zero where few data make the likelihood skew (18 of 39 sites with salamanders, 26 tigers)."""


if __name__ == "__main__":
    asked, more = sys.argv[1] if len(sys.argv) > 1 else "table", sys.argv[2:]
    if asked == "table":
        TABLE.write_text(table(), "utf-8")
        print(table())
    else:
        {"agreement": agreement, "speed": speed, "overhead": overhead}[asked](*more)
