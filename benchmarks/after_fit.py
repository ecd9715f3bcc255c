"""What follows a fit, measured: bootstraps of 1,000 refits, averages, cross-validation, a raster of a million cells.

    python benchmarks/after_fit.py speed [refits]      seconds and peak memory
    python benchmarks/after_fit.py intervals [surveys] coverage of averaged intervals of N beside the best model's
    python benchmarks/after_fit.py overdispersion [surveys] c-hat of animals that share their fate

Peak memory is the largest resident size of this process and of its largest worker.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from uncia import models
from uncia.models.marked.overdispersion import simulate_together
from uncia.survey import DetectionHistory
from uncia.survey.encounters import EncounterHistory


def occupancy(n: int = 200, visits: int = 5, seed: int = 1):
    """A fit to `n` sites with a covariate of sites and one of visits."""
    rng = np.random.default_rng(seed)
    sites, dates = pd.DataFrame({"forest": rng.normal(size=n)}), {"date": rng.normal(size=(n, visits))}
    template = DetectionHistory.from_wide(np.ones((n, visits)), sites=sites, visit_covariates=dates)
    model = models.Occupancy(template, "~ forest", "~ date")
    truth = {"psi": {"Intercept": 0.3, "forest": 0.8}, "p": {"Intercept": -0.5, "date": 0.4}}
    return model.on(model.simulate(truth, seed)).fit()


def survival(T: int = 7, each: int = 45, seed: int = 1):
    """A fit by time to about 300 animals over 7 occasions."""
    first = EncounterHistory(np.eye(T, dtype=int)[: T - 1], frequency=[each] * (T - 1))
    model = models.CJS(first, "~ t")
    constant = models.CJS(first).simulate({"phi": 0.6, "p": 0.7}, seed)
    return model.on(constant).fit()


def clock(name: str, work) -> None:
    """Print what a piece of work takes: wall clock, processor time of all processes, memory."""
    begin, before = time.perf_counter(), _processor()
    work()
    seconds, busy = time.perf_counter() - begin, _processor() - before
    mine, theirs = (resource.getrusage(w).ru_maxrss / 1024 for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    memory = f"peak {mine:.0f} MiB here, {theirs:.0f} MiB in the largest worker"
    print(f"{name}: {seconds:.1f} s, {busy:.1f} s of processor time, {memory}", flush=True)


def _processor() -> float:
    """Processor time so far of this process and of its workers that have ended."""
    used = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def speed(refits: int = 1000) -> None:
    """Seconds and memory of everything that follows a fit."""
    cores = os.cpu_count() or 1
    sites, animals = occupancy(), survival()
    print(f"{cores} cores, load {os.getloadavg()[0]:.1f}")
    clock(f"MacKenzie-Bailey bootstrap, {refits} refits of 200 sites", lambda: sites.goodness(refits))
    clock(f"the same with one process, {refits // 5} refits", lambda: sites.goodness(refits // 5, workers=1))
    clock(f"CJS bootstrap of the estimates, {refits} refits of 270 animals", lambda: animals.bootstrap(refits))
    clock(f"CJS bootstrap of the deviance, {refits} refits", lambda: animals.goodness(refits))
    clock(f"median c-hat, {refits // 5} surveys", lambda: models.median_c_hat(animals, refits // 5))
    clock("10-fold cross-validation of 200 sites", lambda: models.cross_validate(sites.model, 10, workers=1))
    clock("residuals of 200 sites", sites.residuals)
    fits = {"forest": sites, "none": models.Occupancy(sites.model.history, "~ 1", "~ date").fit()}
    clock("average of psi over two models", lambda: models.average(fits, "psi"))
    raster(sites)


def raster(fit, side: int = 1000) -> None:
    """psi with its interval over side² cells of a raster on disk."""
    import rasterio
    from rasterio.transform import from_origin

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "forest.tif"
        profile = {"driver": "GTiff", "width": side, "height": side, "count": 1, "dtype": "float32"}
        with rasterio.open(path, "w", **profile, crs="EPSG:32648", transform=from_origin(0, 0, 100, 100)) as target:
            target.write(np.random.default_rng(1).normal(size=(side, side)).astype("float32"), 1)
        work = lambda: models.predict_raster(fit, "psi", {"forest": path}, Path(folder) / "psi.tif")  # noqa: E731
        clock(f"psi, se and interval over a raster of {side * side:,} cells", work)


def intervals(surveys: int = 300) -> None:
    """N of a closed population with two kinds of animals: coverage of 95 % intervals over simulated surveys."""
    first = EncounterHistory(np.eye(8, dtype=int)[np.arange(60) % 8])
    values = {"p": {"Intercept": 0.0, "h[T.2]": -1.2}, "pi": 0.5, "f0": 40.0}
    truth, model = 100.0, models.ClosedCapture(first, classes=2)
    hits, width = {"best": 0, "MATA": 0, "Buckland": 0}, {"best": 0.0, "MATA": 0.0, "Buckland": 0.0}
    done = 0
    for seed in range(surveys):
        h = model.simulate(values, seed)
        fits = {
            "M0": models.ClosedCapture(h),
            "Mb": models.ClosedCapture(h, c="~ 1"),
            "Mt": models.ClosedCapture(h, "~ t"),
        }
        fits = {name: m.fit() for name, m in fits.items()} | {"Mh": models.ClosedCapture(h, classes=2).fit()}
        best = fits[models.compare(fits)["model"].iloc[0]].derive().iloc[0]
        rows = {"best": best} | {
            name: models.average(fits, "abundance", interval=name.lower()).iloc[0] for name in ("MATA", "Buckland")
        }
        if not all(np.isfinite(r["upper"]) for r in rows.values()):
            continue
        done += 1
        for name, r in rows.items():
            hits[name] += r["lower"] <= truth <= r["upper"]
            width[name] += r["upper"] - r["lower"]
    for name in hits:
        share = hits[name] / done
        error = np.sqrt(share * (1 - share) / done)
        print(f"{name}: coverage {share:.1%} ± {error:.1%}, mean width {width[name] / done:.1f} ({done} of {surveys})")


def overdispersion(surveys: int = 20) -> None:
    """True c-hat beside that of U-CARE's tests, of the mean deviance, and of the median c-hat."""
    model = survival(each=60).model
    vector = models.CJS(model.history).at(phi=0.6, p=0.7).vector
    constant = models.CJS(model.history)
    for c in (1.0, 1.5, 2.0, 3.0):
        rows = []
        for seed in range(surveys):
            h = simulate_together(constant, vector, c, seed)
            fit = models.CJS(h).fit()
            tests, mean = models.goodness_of_fit(h).c_hat, fit.goodness(40, seed, workers=1).c_hat
            rows.append((tests, mean, models.median_c_hat(fit, 80, seed, workers=1).c_hat))
        words = ("U-CARE's tests", "mean deviance", "median")
        mean, error = np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1) / np.sqrt(surveys)
        print(f"c = {c}: " + ", ".join(f"{w} {m:.2f} ± {e:.2f}" for w, m, e in zip(words, mean, error, strict=True)))


if __name__ == "__main__":
    name, *rest = sys.argv[1:] or ["speed"]
    {"speed": speed, "intervals": intervals, "overdispersion": overdispersion}[name](*map(int, rest))
