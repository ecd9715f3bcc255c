"""Recovery and speed of the models of marked animals without coordinates.

    python benchmarks/marked.py recovery 200   that many surveys per model; writes recovery_marked.md
    python benchmarks/marked.py speed          large data sets, seconds

Recovery: relative bias of the estimate and coverage of its 95 % interval, both with Monte-Carlo standard errors, over
surveys simulated by the model itself (the last rows of the table: by another model, which is the point of them).
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from uncia.models.marked.closed import ClosedCapture
from uncia.models.marked.known_fate import KnownFate
from uncia.models.marked.misidentified import MisidentifiedCapture
from uncia.models.marked.multistate import Multistate
from uncia.models.marked.open_population import JollySeber, Pradel
from uncia.models.marked.robust_design import RobustDesign
from uncia.models.marked.survival import CJS
from uncia.survey.encounters import EncounterHistory
from uncia.survey.monitored import MonitoredAnimals

OCCASIONS = 8


def some(T: int = OCCASIONS, n: int = 60) -> EncounterHistory:
    """Animals, so that a model can be made; n + f0 is the population of a closed one."""
    return EncounterHistory(np.eye(T, dtype=int)[np.arange(n) % T])


def releases(T: int = 7, each: int = 25) -> EncounterHistory:
    return EncounterHistory(np.eye(T, dtype=int)[: T - 1], frequency=[each] * (T - 1))


def abundance(fit):
    row = fit.derive().iloc[0]
    return row["estimate"], row["lower"], row["upper"]


def parameter(name):
    def value(fit):
        row = fit.predict(name).iloc[0]
        return row["estimate"], row["lower"], row["upper"]

    return value


def of_quantity(quantity, scope):
    def value(fit):
        row = fit.derive().set_index(["quantity", "scope"]).loc[(quantity, scope)]
        return row["estimate"], row["lower"], row["upper"]

    return value


PERIODS = ([0] * 3 + [1]) * 3 + [0] * 3
CLOSED = {"p": 0.25, "f0": 40.0}
ONE_AGAIN = {"f0": 40.0, "p": 0.2, "c": 0.4}
MIXED = {"p": {"Intercept": 0.0, "h[T.2]": -1.5}, "pi": 0.4, "f0": 60.0}


def rows():
    """name, model that simulates, values, model that is fitted (None: the same), estimate, truth."""
    collared = MonitoredAnimals(np.ones((40, 52)), np.zeros((40, 52)), period="week")
    N100 = some(n=60)
    yield "ClosedCapture M0, N", ClosedCapture(N100), CLOSED, None, abundance, 100.0
    yield "ClosedCapture Mb, N", ClosedCapture(N100, c="~ 1"), ONE_AGAIN, None, abundance, 100.0
    yield "ClosedCapture Mh2, N", ClosedCapture(some(n=140), classes=2), MIXED, None, abundance, 200.0
    huggins = lambda h: ClosedCapture(h, likelihood="conditional")  # noqa: E731
    yield "ClosedCapture M0 conditional, N", ClosedCapture(N100), CLOSED, huggins, abundance, 100.0
    yield "CJS, phi", CJS(releases()), {"phi": 0.7, "p": 0.5}, None, parameter("phi"), 0.7
    yield "CJS, p", CJS(releases()), {"phi": 0.7, "p": 0.5}, None, parameter("p"), 0.5
    weekly = KnownFate(collared)
    year = of_quantity("survival", "over 52 weeks")
    yield "KnownFate 40 collars, survival of a year", weekly, {"S": 0.99}, KnownFate, year, 0.99**52
    values = {"phi": 0.75, "p": 0.5, "f": 0.3, "N": 250.0}
    open_model = JollySeber(some(7), f="~ 1")
    pradel = lambda h: Pradel(h, f="~ 1")  # noqa: E731
    yield "Pradel, f", open_model, values, pradel, parameter("f"), 0.3
    yield "JollySeber, superpopulation", open_model, values, None, of_quantity("superpopulation", "all"), 250.0
    share = open_model.entries(open_model.parameters.values(open_model.at(**values).vector)).alive[0, 3]
    at_four = of_quantity("expected abundance", "occasion 4")
    yield "JollySeber, expected N of occasion 4", open_model, values, None, at_four, 250.0 * share
    first = EncounterHistory(np.eye(16, dtype=int)[:12:4], frequency=[60] * 3, intervals=PERIODS)
    emigrating = RobustDesign(first, "~ 1", "~ 1", gamma_out="~ 1")
    robust = {"phi": 0.8, "p": 0.35, "gamma_out": 0.25}
    again = lambda h: RobustDesign(h, "~ 1", "~ 1", gamma_out="~ 1")  # noqa: E731
    yield "RobustDesign random emigration, phi", emigrating, robust, again, parameter("phi"), 0.8
    yield "RobustDesign random emigration, gamma", emigrating, robust, again, parameter("gamma_out"), 0.25
    stages = np.eye(7, dtype=int)[np.arange(150) % 5] * (1 + np.arange(150) % 3)[:, None]
    growing = {"moves": [[0, 1, 0], [0, 1, 1], [0, 0, 1]], "states": ["cub", "subadult", "adult"]}
    cubs = {"phi": {"Intercept": -0.4, "state[T.subadult]": 0.8, "state[T.adult]": 1.6}, "p": 0.5, "psi": 0.5}
    by_stage = Multistate(EncounterHistory(stages), "~ state", "~ 1", **growing)
    yield "Multistate, survival of 50 cubs", by_stage, cubs, None, parameter("phi"), 1 / (1 + np.exp(0.4))
    for alpha in (0.95, 0.9, 0.8):
        made = MisidentifiedCapture(some(), "~ 1", alpha)
        truth = {"p": 0.25, "N": 100.0}
        expected = of_quantity("expected abundance", "all")
        yield f"MisidentifiedCapture, {1 - alpha:.0%} wrong, N", made, truth, None, expected, 100.0
        plain = f"ClosedCapture M0 of the same data, {1 - alpha:.0%} wrong, N"
        yield plain, made, truth, ClosedCapture, abundance, 100.0


def recover(simulations: int) -> str:
    """The table of recovery, in Markdown."""
    lines = ["| model and quantity | truth | relative bias | coverage of the 95 % interval | no interval | s per fit |"]
    lines.append("|---|---|---|---|---|---|")
    for name, model, values, other, estimate, truth in rows():
        found, begin = [], time.perf_counter()
        for seed in range(simulations):
            data = model.simulate(values, seed)
            fit = (other(data) if other else model.on(data)).fit()
            found.append(estimate(fit))
        seconds = (time.perf_counter() - begin) / simulations
        value, lower, upper = np.array(found, float).T
        known = np.isfinite(value) & np.isfinite(lower) & np.isfinite(upper)
        value, covered = value[known], ((lower <= truth) & (truth <= upper))[known]
        bias, error = value.mean() / truth - 1.0, value.std(ddof=1) / np.sqrt(len(value)) / truth
        share = covered.mean()
        spread = np.sqrt(share * (1.0 - share) / len(covered))
        cells = [f"{truth:.4g}", f"{bias:+.1%} ± {error:.1%}", f"{share:.1%} ± {spread:.1%}"]
        lines.append("| " + " | ".join([name, *cells, str((~known).sum()), f"{seconds:.3f}"]) + " |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def speed() -> None:
    """Seconds of a likelihood with gradient, and of a fit, after compilation."""
    rng = np.random.default_rng(1)

    def clock(name, model):
        vector = model.start()
        model.loglik_and_gradient(vector)
        begin = time.perf_counter()
        model.loglik_and_gradient(vector)
        one = time.perf_counter() - begin
        begin = time.perf_counter()
        fit = model.fit()
        whole = time.perf_counter() - begin
        print(f"{name}: {one:.4f} s per likelihood and gradient, {whole:.2f} s per fit. {fit.verdict}")

    n, T = 50_000, 20
    animals = pd.DataFrame({"mass": rng.normal(size=n), "sex": np.where(rng.random(n) < 0.5, "m", "f")})
    first = np.eye(T, dtype=int)[rng.integers(0, T - 1, n)]
    data = CJS(EncounterHistory(first, animals=animals)).simulate({"phi": 0.8, "p": 0.4}, 1)
    clock("CJS, 50,000 animals x 20 occasions, phi ~ sex + t, p ~ t", CJS(data, "~ sex + t", "~ t"))
    clock("CJS, 50,000 animals x 20 occasions, phi ~ mass + sex", CJS(data, "~ mass + sex", "~ 1"))
    places = np.where(first > 0, rng.integers(1, 4, n)[:, None], 0)
    moving = Multistate(EncounterHistory(places), "~ state", "~ 1", "~ 1").simulate(
        {"phi": {"Intercept": 1.0, "state[T.2]": 0.3, "state[T.3]": -0.3}, "p": 0.4, "psi": 0.3}, 1
    )
    clock("Multistate, 50,000 animals x 20 occasions x 3 states", Multistate(moving, "~ state", "~ state", "~ move"))
    days = ClosedCapture(some(90, 90)).simulate({"p": 0.03, "f0": 10.0}, 1)
    clock("ClosedCapture, 90 daily occasions, M0", ClosedCapture(days))
    clock("ClosedCapture, 90 daily occasions, Mt", ClosedCapture(days, "~ t"))
    clock("ClosedCapture, 90 daily occasions, Mbh", ClosedCapture(days, "~ h", "~ h", classes=2))
    fit = ClosedCapture(EncounterHistory(data.states[:100, :10] | np.eye(10, dtype=int)[np.arange(100) % 10])).fit()
    begin = time.perf_counter()
    fit.abundance(bootstrap=1000, workers=1)
    print(f"ClosedCapture, 1,000 bootstrap refits of 100 animals x 10 occasions: {time.perf_counter() - begin:.1f} s")


if __name__ == "__main__":
    if sys.argv[1:2] == ["speed"]:
        speed()
    else:
        count = int(sys.argv[2]) if len(sys.argv) > 2 else 200
        text = recover(count)
        note = f"{count} simulated surveys per row; ± one Monte-Carlo standard error. Made by `benchmarks/marked.py`."
        note += " In the rows with wrong identifications the number of animals is Poisson with mean 100."
        Path(__file__).with_name("recovery_marked.md").write_text(f"# Recovery: marked animals\n\n{note}\n\n{text}\n")
