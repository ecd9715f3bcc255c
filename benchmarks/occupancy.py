"""Occupancy and counts: what comes back from simulated data, and how long it takes.

    python benchmarks/occupancy.py recovery [simulations]
    python benchmarks/occupancy.py speed

Recovery prints, for each parameter, the relative bias of the estimate on its natural scale and the coverage of its 95 %
interval, both with their Monte-Carlo standard error; "at edge" counts fits with an estimate at a boundary. For sign
surveys the bias of plain occupancy stands beside.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from uncia import models
from uncia.survey import DetectionHistory


@dataclass(frozen=True)
class Design:
    """A model of a template history (every visit done), and the truth."""

    model: Callable
    history: Callable
    truth: dict[str, float]


def sites(n: int, *shape: int) -> DetectionHistory:
    """n sites with something found everywhere, so that every model takes it as a template."""
    return DetectionHistory.from_wide(np.ones((n, *shape)))


def trails(n: int, segments: int) -> DetectionHistory:
    """One trail per site."""
    frame = pd.DataFrame([(i, j) for i in range(n) for j in range(segments)], columns=["site", "visit"])
    return DetectionHistory(frame.assign(value=1))


def certain(n: int, visits: int) -> DetectionHistory:
    """Half of the visits cannot be mistaken."""
    h = sites(n, visits)
    return DetectionHistory(h.visits.assign(certainty=np.where(h.visits["visit"] % 2, "certain", "uncertain")))


DESIGNS = {
    "Occupancy": Design(models.Occupancy, lambda: sites(150, 5), {"psi": 0.5, "p": 0.3}),
    "RoyleNichols": Design(models.RoyleNichols, lambda: sites(200, 6), {"lambda": 1.0, "r": 0.25}),
    "FalsePositiveOccupancy": Design(
        models.FalsePositiveOccupancy, lambda: certain(200, 6), {"psi": 0.4, "p": 0.5, "fp": 0.05}
    ),
    "MultiMethodOccupancy": Design(
        models.MultiMethodOccupancy, lambda: sites(150, 4, 3), {"psi": 0.6, "theta": 0.5, "p": 0.4}
    ),
    "DynamicOccupancy": Design(
        models.DynamicOccupancy, lambda: sites(150, 5, 4), {"psi": 0.5, "gamma": 0.15, "epsilon": 0.2, "p": 0.4}
    ),
    "SignSurvey, 20 segments": Design(
        models.SignSurvey, lambda: trails(200, 20), {"psi": 0.7, "theta0": 0.2, "theta1": 0.8, "p": 0.6}
    ),
    "SignSurvey, 10 segments": Design(
        models.SignSurvey, lambda: trails(400, 10), {"psi": 0.9, "theta0": 0.1, "theta1": 0.8, "p": 0.6}
    ),
    "MultistateOccupancy": Design(
        models.MultistateOccupancy,
        lambda: sites(200, 5).with_values(2.0),
        {"psi": 0.7, "R": 0.4, "p1": 0.4, "p2": 0.6, "delta": 0.6},
    ),
    "TwoSpeciesOccupancy": Design(
        lambda h, second=None: models.TwoSpeciesOccupancy(h, h if second is None else second),
        lambda: sites(300, 5),
        {"f1": 0.3, "f2": -0.2, "f12": -0.8, "p1": 0.4, "p2": 0.5},
    ),
    "NMixture": Design(models.NMixture, lambda: sites(150, 5), {"lambda": 3.0, "p": 0.4}),
    "Removal": Design(models.Removal, lambda: sites(150, 4), {"lambda": 3.0, "p": 0.4}),
    "OpenNMixture": Design(
        models.OpenNMixture, lambda: sites(100, 5, 3), {"lambda": 4.0, "gamma": 1.5, "omega": 0.6, "p": 0.5}
    ),
}


def recovery(simulations: int) -> pd.DataFrame:
    """One row per model and parameter."""
    rows = []
    for name, design in DESIGNS.items():
        template = design.model(design.history())
        fits = []
        begin = time.perf_counter()
        for seed in range(simulations):
            data = template.simulate(design.truth, seed)
            fits.append(design.model(*data) if isinstance(data, tuple) else design.model(data))
        fits = [model.fit() for model in fits]
        seconds = (time.perf_counter() - begin) / simulations
        edge = sum(not np.isfinite(fit.se).all() for fit in fits)
        for j, (parameter, truth) in enumerate(design.truth.items()):
            rows.append({"model": name} | _row(fits, j, parameter, truth) | {"at edge": edge, "s": seconds})
        if name.startswith("SignSurvey"):
            plain = [models.Occupancy(fit.model.history).fit() for fit in fits]
            rows.append({"model": "Occupancy on the same"} | _row(plain, 0, "psi", design.truth["psi"]))
    return pd.DataFrame(rows)


def _row(fits, j: int, parameter: str, truth: float) -> dict:
    """Bias of the j-th coefficient over all fits, coverage over those that have a standard error."""
    link = fits[0].model.parameters[parameter].link
    eta, se = np.array([f.vector[j] for f in fits]), np.array([f.se[j] for f in fits])
    relative = link.inverse(eta) / truth - 1.0
    known = np.isfinite(se)
    covered = (np.abs(eta - link.forward(np.float64(truth))) < 1.96 * se)[known]
    n, m = len(fits), int(known.sum())
    return {
        "parameter": parameter,
        "truth": truth,
        "bias %": 100 * relative.mean(),
        "± ": 100 * relative.std(ddof=1) / np.sqrt(n),
        "coverage %": 100 * covered.mean(),
        "±": 100 * np.sqrt(max(covered.mean() * (1 - covered.mean()), 1 / m**2) / m),
    }


# ---- speed -------------------------------------------------------------------------------------------------------


def speed() -> None:
    """Value and gradient, and whole fits, beside textbook NumPy and the arithmetic that cannot be avoided."""
    from uncia.models.kernels.occupancy_logit import exponentials, occupancy_logit

    rng = np.random.default_rng(1)
    n, visits = 1_000_000, 10
    X = np.vstack([np.ones(n), rng.normal(size=(3, n))])
    Z = np.vstack([np.ones(n * visits), rng.normal(size=(3, n * visits))])
    beta, alpha = np.array([0.2, 0.3, -0.2, 0.1]), np.array([-0.5, 0.3, 0.2, -0.1])
    site, start = np.repeat(np.arange(n), visits), np.arange(n + 1, dtype=np.int64) * visits
    z = rng.uniform(size=n) < 1 / (1 + np.exp(-beta @ X))
    seen = (z[site] & (rng.uniform(size=n * visits) < 1 / (1 + np.exp(-alpha @ Z)))).astype(np.int8)
    by = np.empty(4), np.empty(4)
    x, out, bits = rng.normal(size=2560), np.empty(2560), np.empty(2560, np.int64)

    def arithmetic():
        for _ in range(n * visits // 2560):
            exponentials(x, out, bits, bits.view(float))
            np.divide(1.0, out, out=out)

    def textbook():
        psi, p = 1 / (1 + np.exp(-beta @ X)), 1 / (1 + np.exp(-alpha @ Z))
        logs = np.bincount(site, np.where(seen, np.log(p), np.log1p(-p)), n)
        there = psi * np.exp(logs)
        total = there + (1 - psi) * (np.bincount(site, seen, n) == 0)
        w = there / total
        return np.log(total).sum(), X @ (w - psi), Z @ (seen - w[site] * p)

    fast = _best(lambda: occupancy_logit(X, Z, seen, start, beta, alpha, True, *by))
    print(f"occupancy, 1e6 sites × 10 visits, value + gradient: {1e3 * fast:.0f} ms")
    print(
        f"  exponentials and divisions alone {1e3 * _best(arithmetic):.0f} ms, NumPy {1e3 * _best(textbook, 2):.0f} ms"
    )
    counts = models.NMixture(DetectionHistory.from_wide(np.ones((1000, 10))))
    _fit("N-mixture, 1,000 sites × 10 visits", counts, {"lambda": 60.0, "p": 0.3})
    seasons = models.DynamicOccupancy(sites(100_000, 10, 5))
    _fit("dynamic, 100,000 sites × 10 seasons × 5 visits", seasons, DESIGNS["DynamicOccupancy"].truth)


def _fit(title: str, template, truth) -> None:
    model = type(template)(template.simulate(truth, 1))
    at = model.start()
    one = _best(lambda: model.loglik_and_gradient(at))
    print(f"{title}: value + gradient {1e3 * one:.1f} ms, fit {_best(model.fit, 1):.2f} s")


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


if __name__ == "__main__":
    if sys.argv[1:2] == ["recovery"]:
        table = recovery(int(sys.argv[2]) if len(sys.argv) > 2 else 100)
        print(table.to_string(index=False, float_format=lambda v: f"{v:.3g}"))
    elif sys.argv[1:2] == ["speed"]:
        speed()
    else:
        print(__doc__)
