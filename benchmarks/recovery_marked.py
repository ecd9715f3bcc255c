"""Recovery of simulated truth by the models of marked animals without coordinates.

    python benchmarks/recovery_marked.py 200           that many surveys per row; writes recovery_marked.md
    python benchmarks/recovery_marked.py 50 flanks     only one family, printed

Relative bias of the estimate and coverage of its 95 % interval, both with Monte-Carlo standard errors, over surveys
simulated by the model itself. Rows that begin with "plain" fit another model to the same data: they are the point.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from uncia.models.marked.bilateral import BilateralCapture, one_flank
from uncia.models.marked.capwire import Capwire
from uncia.models.marked.closed import ClosedCapture
from uncia.models.marked.jackknife import jackknife
from uncia.models.marked.known_fate import KnownFate
from uncia.models.marked.live_dead import Barker, Burnham
from uncia.models.marked.loglinear import LogLinear
from uncia.models.marked.misidentified import MisidentifiedCapture
from uncia.models.marked.multievent import Multievent
from uncia.models.marked.multistate import Multistate
from uncia.models.marked.open_derived import draw_population
from uncia.models.marked.open_population import JollySeber, Pradel
from uncia.models.marked.robust_design import RobustDesign
from uncia.models.marked.survival import CJS
from uncia.survey.encounters import EncounterHistory
from uncia.survey.live_dead import LiveDeadHistory
from uncia.survey.monitored import MonitoredAnimals

OCCASIONS = 8
Found = tuple[float, float, float]


@dataclass(frozen=True)
class Case:
    """What is simulated, what is fitted to it, and what should come out."""

    name: str
    model: Any  # simulates
    values: dict
    estimate: Callable[[Any], Found]  # estimate, lower, upper of a fit
    truth: float | Callable[[int], float]  # or by seed, of a number that chance draws anew in every survey
    fit: Callable[[Any], Any] | None = None  # of the data; the simulating model's own by default


def some(T: int = OCCASIONS, n: int = 60) -> EncounterHistory:
    """Animals, so that a model can be made; n + f0 is the population of a closed one."""
    return EncounterHistory(np.eye(T, dtype=int)[np.arange(n) % T])


def releases(T: int = 7, each: int = 25) -> EncounterHistory:
    """As many animals released on every occasion but the last."""
    return EncounterHistory(np.eye(T, dtype=int)[: T - 1], frequency=[each] * (T - 1))


def abundance(fit) -> Found:
    """The first row of what people are told."""
    row = fit.derive().iloc[0]
    return row["estimate"], row["lower"], row["upper"]


def parameter(name: str, which: int = 0) -> Callable[[Any], Found]:
    """A parameter in one of its rows."""

    def value(fit):
        row = fit.predict(name).iloc[which]
        return row["estimate"], row["lower"], row["upper"]

    return value


def of_quantity(quantity: str, scope: str) -> Callable[[Any], Found]:
    """A row of what people are told."""

    def value(fit):
        row = fit.derive().set_index(["quantity", "scope"]).loc[(quantity, scope)]
        return row["estimate"], row["lower"], row["upper"]

    return value


def of_table(table: pd.DataFrame) -> Found:
    """The first row of an estimate that has no fit."""
    return table["estimate"][0], table["lower"][0], table["upper"][0]


def closed() -> Iterator[Case]:
    """Closed populations of 100, and of 200 or 300 where animals differ."""
    plain = {"p": 0.25, "f0": 40.0}
    M0 = ClosedCapture(some())
    yield Case("ClosedCapture M0, N", M0, plain, abundance, 100.0)
    again = {"f0": 40.0, "p": 0.2, "c": 0.4}
    yield Case("ClosedCapture Mb, N", ClosedCapture(some(), c="~ 1"), again, abundance, 100.0)
    conditional = lambda h: ClosedCapture(h, likelihood="conditional").fit()  # noqa: E731
    yield Case("ClosedCapture M0 conditional, N", M0, plain, abundance, 100.0, conditional)
    yield Case("LogLinear M0, N", M0, plain, abundance, 100.0, lambda h: LogLinear(h).fit())
    mixed = {"p": {"Intercept": 0.0, "h[T.2]": -1.5}, "pi": 0.4, "f0": 60.0}
    Mh2 = ClosedCapture(some(n=140), classes=2)
    yield Case("ClosedCapture Mh2, N", Mh2, mixed, abundance, 200.0)
    yield Case("plain M0 of the same data, N", Mh2, mixed, abundance, 200.0, lambda h: ClosedCapture(h).fit())
    jack = lambda h: jackknife(h)  # noqa: E731
    yield Case("jackknife of the same data, N", Mh2, mixed, of_table, 200.0, jack)
    for curve in ("chao", "darroch"):
        fit = lambda h, curve=curve: LogLinear(h, heterogeneity=curve).fit()  # noqa: E731
        yield Case(f"LogLinear Mh {curve} of the same data, N", Mh2, mixed, abundance, 200.0, fit)
    normal = ClosedCapture(some(n=200), heterogeneity="normal")
    values = {"p": 0.2, "sigma_p": 1.0, "f0": 100.0}
    yield Case("ClosedCapture Mh-normal, N", normal, values, abundance, 300.0)
    yield Case("plain M0 of the same data, N", normal, values, abundance, 300.0, lambda h: ClosedCapture(h).fit())


def survival() -> Iterator[Case]:
    """Survival given the first encounter, or of animals whose fate is known."""
    values = {"phi": 0.7, "p": 0.5}
    yield Case("CJS, phi", CJS(releases()), values, parameter("phi"), 0.7)
    yield Case("CJS, p", CJS(releases()), values, parameter("p"), 0.5)
    transients, values = CJS(releases(each=60), tau="~ 1"), {"phi": 0.8, "p": 0.5, "tau": 0.3}
    yield Case("CJS with transients, phi", transients, values, parameter("phi"), 0.8)
    yield Case("CJS with transients, tau", transients, values, parameter("tau"), 0.3)
    plain = lambda h: CJS(h).fit()  # noqa: E731
    yield Case("plain CJS of the same data, phi", transients, values, parameter("phi"), 0.8, plain)
    differ = CJS(releases(9, 60), individual="p")
    values = {"phi": 0.85, "p": 0.4, "sigma_p": 1.2}
    yield Case("CJS whose animals differ in p, phi", differ, values, parameter("phi"), 0.85)
    yield Case("CJS whose animals differ in p, sigma_p", differ, values, parameter("sigma_p"), 1.2)
    yield Case("plain CJS of the same data, phi", differ, values, parameter("phi"), 0.85, plain)
    collared = MonitoredAnimals(np.ones((40, 52)), np.zeros((40, 52)), period="week")
    year = of_quantity("survival", "over 52 weeks")
    yield Case("KnownFate 40 collars, survival of a year", KnownFate(collared), {"S": 0.99}, year, 0.99**52)
    age = pd.DataFrame({"age": 13 * (np.arange(80) % 8)})
    young = MonitoredAnimals(np.ones((80, 26)), np.zeros((80, 26)), age, period="week")
    staged = KnownFate(young, "~ stage", stages={"cub": 0, "subadult": 52}, age="age")
    cubs = of_quantity("survival", "through stage = cub, 52 weeks")
    values = {"S": {"Intercept": 4.0, "stage[T.subadult]": 1.0}}
    yield Case("KnownFate by stage, survival of a cub's year", staged, values, cubs, (1 + np.exp(-4.0)) ** -52)


def states() -> Iterator[Case]:
    """States, and states that are not always seen."""
    stages = np.eye(7, dtype=int)[np.arange(150) % 5] * (1 + np.arange(150) % 3)[:, None]
    growing = {"moves": [[0, 1, 0], [0, 1, 1], [0, 0, 1]], "states": ["cub", "subadult", "adult"]}
    values = {"phi": {"Intercept": -0.4, "state[T.subadult]": 0.8, "state[T.adult]": 1.6}, "p": 0.5, "psi": 0.5}
    by_stage = Multistate(EncounterHistory(stages), "~ state", "~ 1", **growing)
    yield Case("Multistate, survival of 50 cubs", by_stage, values, parameter("phi"), 1 / (1 + np.exp(0.4)))
    sexes = {"states": ("female", "male"), "moves": np.eye(2, dtype=bool)}
    unknown = EncounterHistory(3 * np.eye(7, dtype=int)[:6], frequency=[50] * 6)
    sexed = Multievent(unknown, **sexes, delta="~ state")
    values = {"phi": {"Intercept": 1.2, "state[T.male]": -0.8}, "p": 0.5, "pi": 1.0}
    values["delta"] = {"Intercept": -1.0, "state[T.male]": 1.5}
    truths = (1 / (1 + np.exp(-1.2)), 1 / (1 + np.exp(-0.4)))
    for row, (name, truth) in enumerate(zip(sexes["states"], truths, strict=True)):
        what = f"Multievent, sex seldom seen, survival of {name}s"
        yield Case(what, sexed, values, parameter("phi", row), truth)

    def ever_sexed(h):
        """Animals sexed at least once take that sex; the others are left out."""
        sex = np.where((h.states == 1).any(axis=1), 1, np.where((h.states == 2).any(axis=1), 2, 0))
        sexed = np.where(h.states > 0, sex[:, None], h.states)[sex > 0]
        return Multistate(EncounterHistory(sexed), "~ state", states=sexes["states"], moves=sexes["moves"]).fit()

    what = "plain Multistate of the animals that were sexed, survival of females"
    yield Case(what, sexed, values, parameter("phi"), truths[0], ever_sexed)


def live_dead() -> Iterator[Case]:
    """Live encounters with recoveries of the dead."""
    base = releases(7, 60)
    nothing = LiveDeadHistory(base, np.zeros_like(base.states))
    values = {"S": 0.75, "p": 0.4, "r": 0.3, "F": 0.85}
    burnham = Burnham(nothing)
    yield Case("Burnham, S", burnham, values, parameter("S"), 0.75)
    yield Case("Burnham, F", burnham, values, parameter("F"), 0.85)
    live = lambda h: CJS(h.live).fit()  # noqa: E731
    yield Case("plain CJS of the same live encounters, S", burnham, values, parameter("phi"), 0.75, live)
    barker = Barker(nothing, F_prime="~ 1")
    values = values | {"R": 0.3, "R_prime": 0.15, "F_prime": 0.3}
    yield Case("Barker, S", barker, values, parameter("S"), 0.75)
    yield Case("Barker, F'", barker, values, parameter("F_prime"), 0.3)


def realised(what: str, model: JollySeber, values: dict, occasions: tuple[int, ...]) -> Iterator[Case]:
    """Numbers of animals that were there in the very population that was drawn."""
    vector = model.coefficients_for(values)
    for t in occasions:
        there = lambda seed, t=t: float(draw_population(model, vector, seed)[1][:, t - 1].sum())  # noqa: E731
        name = f"JollySeber {what}, realised N of occasion {t}"
        yield Case(name, model, values, of_quantity("abundance", f"occasion {t}"), there)


def open_populations() -> Iterator[Case]:
    """Numbers and recruitment of open populations."""
    values = {"phi": 0.75, "p": 0.5, "f": 0.3, "N": 250.0}
    model = JollySeber(some(7), f="~ 1")
    pradel = lambda h: Pradel(h, f="~ 1").fit()  # noqa: E731
    yield Case("Pradel, f", model, values, parameter("f"), 0.3, pradel)
    yield Case("JollySeber, superpopulation", model, values, of_quantity("superpopulation", "all"), 250.0)
    share = model.entries(model.parameters.values(model.at(**values).vector)).alive[0, 3]
    at_four = of_quantity("expected abundance", "occasion 4")
    yield Case("JollySeber, expected N of occasion 4", model, values, at_four, 250.0 * share)
    yield from realised("f constant", model, values, (1, 4, 7))
    by_time = JollySeber(some(7), b="~ t")
    entries = {"Intercept": np.log(0.4)} | {f"t[T.{t}]": 0.0 for t in range(3, 8)}
    yield from realised("b by time", by_time, {"phi": 0.75, "p": 0.5, "b": entries, "N": 250.0}, (1, 4, 7))
    scarce = {"phi": 0.8, "p": 0.4, "f": 0.25, "N": 80.0}
    yield from realised("f constant, few animals", model, scarce, (1, 4, 7))
    fixed = JollySeber(some(7), f="~ 1", distribution="binomial")
    yield from realised("f constant, binomial", fixed, {"phi": 0.75, "p": 0.5, "f": 0.3, "f0": 60.0}, (4,))
    periods = ([0] * 3 + [1]) * 3 + [0] * 3
    first = EncounterHistory(np.eye(16, dtype=int)[:12:4], frequency=[60] * 3, intervals=periods)
    robust = RobustDesign(first, "~ 1", "~ 1", gamma_out="~ 1")
    values = {"phi": 0.8, "p": 0.35, "gamma_out": 0.25}
    again = lambda h: RobustDesign(h, "~ 1", "~ 1", gamma_out="~ 1").fit()  # noqa: E731
    yield Case("RobustDesign random emigration, phi", robust, values, parameter("phi"), 0.8, again)
    yield Case("RobustDesign random emigration, gamma", robust, values, parameter("gamma_out"), 0.25, again)


def misidentified() -> Iterator[Case]:
    """Wrong identifications, with the rate known, believed or checked, and the plain model beside them."""
    truth, expected = {"p": 0.25, "N": 100.0}, of_quantity("expected abundance", "all")
    for alpha in (0.95, 0.9, 0.8):
        made = MisidentifiedCapture(some(), "~ 1", alpha)
        yield Case(f"MisidentifiedCapture, {1 - alpha:.0%} wrong, rate known, N", made, truth, expected, 100.0)
        prior = (20 * alpha, 20 * (1 - alpha))
        believed = lambda h, prior=prior: MisidentifiedCapture(h, prior=prior).fit()  # noqa: E731
        yield Case(f"… {1 - alpha:.0%} wrong, prior worth 20 checks, N", made, truth, expected, 100.0, believed)
        checks = (round(100 * alpha), 100)
        checked = lambda h, checks=checks: MisidentifiedCapture(h, checked=checks).fit()  # noqa: E731
        yield Case(f"… {1 - alpha:.0%} wrong, 100 checked, N", made, truth, expected, 100.0, checked)
        plain = f"plain M0 of the same data, {1 - alpha:.0%} wrong, N"
        yield Case(plain, made, truth, abundance, 100.0, lambda h: ClosedCapture(h).fit())


def flanks() -> Iterator[Case]:
    """Left and right flanks of an expected 100 animals, and the left ones alone."""
    base, expected = EncounterHistory(np.eye(8, dtype=int)), of_quantity("expected abundance", "all")
    kinds = {"paired cameras": (0.4, 1.0), "sometimes matched": (0.4, 0.5), "single cameras": (0.0, 1.0)}
    for name, (both, matched) in kinds.items():
        sometimes = 0.0 < matched < 1.0
        options = {"both": "~ 1" if both else 0.0, "matched": "~ 1" if sometimes else matched}
        model = BilateralCapture(base, **options)
        values = {"p": 0.25, "left": 0.5, "N": 100.0} | ({"both": both} if both else {})
        values |= {"matched": matched} if sometimes else {}
        yield Case(f"BilateralCapture, {name}, N", model, values, expected, 100.0)
        left = lambda h: MisidentifiedCapture(one_flank(h, "left"), alpha=1.0).fit()  # noqa: E731
        yield Case(f"left flank alone, {name}, N", model, values, expected, 100.0, left)


def samples() -> Iterator[Case]:
    """Counts of samples without occasions."""
    counts = Capwire([2] * 80)
    values = {"rate": 2.0, "f0": 20.0}
    yield Case("Capwire equal rates, 160 samples, N", counts, values, abundance, 100.0)
    two = Capwire([1, 4] * 40, "two")
    values = {"rate": 1.0, "alpha": 5.0, "pi": 0.3, "f0": 20.0}
    yield Case("Capwire two rates, 200 samples, N", two, values, abundance, 100.0)
    sort = lambda h: Capwire(h, "two", threshold=4).fit()  # noqa: E731
    yield Case("Capwire sorted at 4 of the same data, N", two, values, abundance, 100.0, sort)
    yield Case(
        "plain Capwire equal rates of the same data, N", two, values, abundance, 100.0, lambda h: Capwire(h).fit()
    )


FAMILIES = (closed, samples, misidentified, flanks, survival, states, live_dead, open_populations)


def recover(case: Case, simulations: int) -> str:
    """A row of the table, in Markdown."""
    found, begin = [], time.perf_counter()
    for seed in range(simulations):
        data = case.model.simulate(case.values, seed)
        found.append(case.estimate(case.fit(data) if case.fit else case.model.on(data).fit()))
    seconds = (time.perf_counter() - begin) / simulations
    value, lower, upper = np.array(found, float).T
    known = np.isfinite(value) & np.isfinite(lower) & np.isfinite(upper) & (upper < 1e4)
    truth = np.array([case.truth(seed) if callable(case.truth) else case.truth for seed in range(simulations)])
    ratio, covered = (value / truth)[known], ((lower <= truth) & (truth <= upper))[known]
    bias, error = ratio.mean() - 1.0, ratio.std(ddof=1) / np.sqrt(len(ratio))
    middle, share = np.median(ratio) - 1.0, covered.mean()
    spread = np.sqrt(share * (1.0 - share) / len(covered))
    cells = [f"{truth.mean():.4g}", f"{bias:+.1%} ± {error:.1%}", f"{middle:+.1%}", f"{share:.1%} ± {spread:.1%}"]
    return "| " + " | ".join([case.name, *cells, str((~known).sum()), f"{seconds:.3f}"]) + " |"


def main(simulations: int, only: str | None) -> None:
    """Print all rows; write the table when all families are in it."""
    lines = [
        "| model and quantity | truth | relative bias | median | coverage of the 95 % interval | no interval | s |"
    ]
    lines.append("|---|---|---|---|---|---|---|")
    for family in FAMILIES:
        if only in (None, family.__name__):
            for case in family():
                lines.append(recover(case, simulations))
                print(lines[-1], flush=True)
    note = f"""{simulations} simulated surveys per row; ± one Monte-Carlo standard error; s: seconds per survey and fit.
"plain" and "of the same data": another model fitted to what the model above simulated. "no interval": surveys in which
the data did not determine the quantity (or its upper limit was above 10,000), left out of the other columns. In the
rows with wrong identifications and with flanks the number of animals is Poisson with mean 100; those fitted with
`ClosedCapture` estimate the realised number. 5 % wrong is the accuracy of 95 % that automatic identification
systems state. "realised N" is the number of animals alive in the very population that was drawn: its truth is the mean
over populations, and bias and coverage are with respect to each one's own. Made by `benchmarks/recovery_marked.py`."""
    if only is None:
        text = f"# Recovery: marked animals\n\n{note}\n\n" + "\n".join(lines) + "\n"
        Path(__file__).with_name("recovery_marked.md").write_text(text, "utf-8")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200, sys.argv[2] if len(sys.argv) > 2 else None)
