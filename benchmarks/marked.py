"""Speed of the models of marked animals without coordinates, on large data.

python benchmarks/marked.py    writes marked.md: seconds of a likelihood with its gradient, and of a fit
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from uncia.models.marked.closed import ClosedCapture
from uncia.models.marked.live_dead import Burnham
from uncia.models.marked.misidentified import MisidentifiedCapture
from uncia.models.marked.multievent import Multievent
from uncia.models.marked.multistate import Multistate
from uncia.models.marked.survival import CJS
from uncia.survey.encounters import EncounterHistory
from uncia.survey.live_dead import LiveDeadHistory

ANIMALS, OCCASIONS = 50_000, 20


def with_covariates(states: np.ndarray, seed: int = 1) -> EncounterHistory:
    """First encounters of animals that have a mass and a sex."""
    rng, n = np.random.default_rng(seed), len(states)
    animals = pd.DataFrame({"mass": rng.normal(size=n), "sex": np.where(rng.random(n) < 0.5, "m", "f")})
    return EncounterHistory(states, animals=animals)


def survival_models() -> Iterator[tuple[str, object]]:
    """50,000 animals on 20 occasions."""
    rng = np.random.default_rng(1)
    first = np.eye(OCCASIONS, dtype=int)[rng.integers(0, OCCASIONS - 1, ANIMALS)]
    data = CJS(with_covariates(first)).simulate({"phi": 0.8, "p": 0.4}, 1)
    yield "CJS, phi ~ sex + t, p ~ t", CJS(data, "~ sex + t", "~ t")
    yield "CJS, phi ~ mass + sex (another value for every animal)", CJS(data, "~ mass + sex", "~ 1")
    yield "CJS, animals differ in p (20 nodes)", CJS(data, individual="p")
    places = np.where(first > 0, rng.integers(1, 4, ANIMALS)[:, None], 0)
    values = {"phi": {"Intercept": 1.0, "state[T.2]": 0.3, "state[T.3]": -0.3}, "p": 0.4, "psi": 0.3}
    moving = Multistate(with_covariates(places), "~ state", "~ 1", "~ 1").simulate(values, 1)
    yield "Multistate, 3 states, phi and p ~ state, psi ~ move", Multistate(moving, "~ state", "~ state", "~ move")
    yield "Multistate, 3 states, phi ~ state + mass", Multistate(moving, "~ state + mass", "~ state", "~ move")
    unknown = Multievent(with_covariates(4 * first), ("a", "b", "c"), "~ state", psi="~ 1", pi="~ 1")
    values = {"phi": {"Intercept": 1.0, "state[T.b]": 0.3, "state[T.c]": -0.3}, "p": 0.4, "psi": 0.3}
    values |= {"delta": 0.5, "pi": 1.0}
    yield "Multievent, 3 states, half of them not seen", unknown.on(unknown.simulate(values, 1))
    live = LiveDeadHistory(with_covariates(first), np.zeros_like(first))
    values = {"S": 0.8, "p": 0.4, "r": 0.3, "F": 0.9}
    yield "Burnham, S ~ sex + t", Burnham(Burnham(live).simulate(values, 1), "~ sex + t")


def closed_models() -> Iterator[tuple[str, object]]:
    """100 animals on 90 daily occasions, p = 0.03."""
    begin = EncounterHistory(np.eye(90, dtype=int))
    days = ClosedCapture(begin).simulate({"p": 0.03, "f0": 10.0}, 1)
    yield "ClosedCapture M0", ClosedCapture(days)
    yield "ClosedCapture Mt, 90 occasions with a p each", ClosedCapture(days, "~ t")
    yield "ClosedCapture Mbh, two classes", ClosedCapture(days, "~ h", "~ h", classes=2)
    yield "ClosedCapture Mh-normal (40 nodes)", ClosedCapture(days, heterogeneity="normal")
    yield "MisidentifiedCapture, rate 0.95", MisidentifiedCapture(days, alpha=0.95)
    yield "MisidentifiedCapture, prior (20 nodes)", MisidentifiedCapture(days, prior=(95, 5))


def clock(name: str, model) -> str:
    """A row of the table; everything was compiled before."""
    vector = model.start()
    begin = time.perf_counter()
    model.loglik_and_gradient(vector)
    one = time.perf_counter() - begin
    begin = time.perf_counter()
    fit = model.fit()
    whole = time.perf_counter() - begin
    row = f"| {name} | {one:.3f} | {whole:.2f} | {fit.n_parameters} | {fit.evaluations} | {fit.verdict} |"
    print(row, flush=True)
    return row


def bootstrap() -> str:
    """1,000 refits in one process."""
    animals = ClosedCapture(EncounterHistory(np.eye(10, dtype=int)[np.arange(80) % 10]))
    fit = animals.on(animals.simulate({"p": 0.2, "f0": 20.0}, 1)).fit()
    begin = time.perf_counter()
    fit.abundance(bootstrap=1000, workers=1)
    return (
        f"1,000 bootstrap refits of ClosedCapture M0, 100 animals, 10 occasions: {time.perf_counter() - begin:.1f} s."
    )


def main() -> None:
    """Measure everything and write the tables."""
    small = with_covariates(np.eye(4, dtype=int)[:3])
    for model in (CJS(small), CJS(small, individual="p"), Multistate(small), ClosedCapture(small)):
        model.loglik_and_gradient(model.start())  # compiles
    warm = [Burnham(LiveDeadHistory(small, np.zeros_like(small.states))), MisidentifiedCapture(small)]
    for model in warm:
        model.loglik_and_gradient(model.start())
    head = "| model | s per likelihood and gradient | s per fit | parameters | evaluations | verdict |"
    head += "\n|---|---|---|---|---|---|"
    text = [
        "# Speed: marked animals",
        "",
        "Seconds on one core of a shared machine. Made by `benchmarks/marked.py`.",
        "",
    ]
    text += [f"{ANIMALS:,} animals, {OCCASIONS} occasions:", "", head]
    text += [clock(name, model) for name, model in survival_models()]
    text += ["", "100 animals, 90 daily occasions, p = 0.03:", "", head]
    text += [clock(name, model) for name, model in closed_models()]
    text += ["", bootstrap()]
    Path(__file__).with_name("marked.md").write_text("\n".join(text) + "\n", "utf-8")


if __name__ == "__main__":
    main()
