"""How fast the spatial likelihood is on this machine, beside what the machine could do.

    python benchmarks/core.py                          every size and observation model (under four minutes)
    python benchmarks/core.py --sizes S,M              half a minute
    python benchmarks/core.py --sizes M --kinds count --stress 200

Prints the machine and its calibration, then for each size and observation model: time of the value, of value and
gradient, and of the curvature; the ratio to the limit and, for S and M, to dense NumPy; two threads against one; a fit
from a cold start; memory, in all and per cell. Then what the first use costs that compiles, and the goals in one table.
The limit is the multiply-adds of the pairs that matter (within 7.4 sigma for detectors, e^-30 for animals; 3 and 4 per
pair for value and gradient) at the peak of a matrix product, plus three exponentials per cell. Times are wall time, the
least of several runs, with one thread unless it says otherwise; with `--cpu` they are CPU time of that thread, for a
machine that is not quiet. What two threads gain is shown for the machine, too: two that have nothing to do with each
other, each with work of its own. The peak of memory is that of a process that reads a survey and fits it, no more: this
one has simulated the survey, which takes more than to fit it. Value + gradient is from the coefficients of the
covariates of density to the derivatives by them.
"""

from __future__ import annotations

import argparse
import os
import pickle
import platform
import resource
import subprocess
import sys
import tempfile
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numba
import numpy as np
import scipy
from spatial_surveys import SIZES, SPACING, Survey, simulate
from threadpoolctl import threadpool_limits

from uncia.models.spatial.engine.density import Covariates
from uncia.models.spatial.engine.likelihood import SpatialLikelihood

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
import oracle

KINDS = ("count", "proximity", "multi")
# fits of ten million cells that take the better part of a minute: with --all
LONG = {("XL", "proximity"), ("XL", "multi")}


def least(work, seconds: float = 0.6, clock=time.perf_counter) -> float:
    """The shortest of the runs that fit into a time budget (at least two)."""
    best, runs, begin = np.inf, 0, time.perf_counter()
    while runs < 2 or time.perf_counter() - begin < seconds:
        start = clock()
        work()
        best, runs = min(best, clock() - start), runs + 1
    return best


def calibrate(clock) -> dict[str, float]:
    """What one thread of this machine does, per second."""
    a, out = np.random.default_rng(1).random((1000, 1000)), np.empty((1000, 1000))
    x, y = np.random.default_rng(2).random((2, 8192))
    big = np.ones(2**25)
    exponent, power = -np.random.default_rng(3).random(8192) * 20, np.empty(8192)
    with threadpool_limits(1):
        rates = {
            "multiply-adds in a matrix product": 1e9 / least(lambda: np.dot(a, a, out), clock=clock),
            "multiply-adds of axpy from L2": 8192
            * 50
            / least(lambda: [np.add(y, x, y) for _ in range(50)], clock=clock),
            "bytes read from memory": big.nbytes / least(big.sum, clock=clock),
            "exponentials": 8192 * 50 / least(lambda: [np.exp(exponent, power) for _ in range(50)], clock=clock),
        }
        for name, per_second in rates.items():
            print(f"   {name}: {per_second / 1e9:.1f} thousand million per second")
        gains = {
            "matrix products": gained(lambda a=a: np.dot(a, a, np.empty_like(a))),
            "exponentials": gained(lambda e=exponent: [np.exp(e, np.empty_like(e)) for _ in range(500)]),
            "reading": gained(big.sum),
        }
    print("   two threads over one:", ", ".join(f"{name} {gain:.2f}" for name, gain in gains.items()))
    return rates


def gained(work, seconds: float = 0.6) -> float:
    """How much more two threads do than one in the same time, each by itself."""

    def runs(end: float) -> int:
        n = 0
        while time.perf_counter() < end:
            work()
            n += 1
        return n

    runs(time.perf_counter() + 0.1)
    with ThreadPoolExecutor(2) as pool:
        done = []
        for threads in (1, 2):
            begin = time.perf_counter()
            each = [pool.submit(runs, begin + seconds) for _ in range(threads)]
            total = sum(one.result() for one in each)
            done.append(total / (time.perf_counter() - begin))
    return done[1] / done[0]


class Objective:
    """Minus the log-likelihood of density covariates and two detection parameters, and its gradient, by the engine."""

    def __init__(self, survey: Survey, likelihood: SpatialLikelihood):
        self.survey, self.likelihood = survey, likelihood
        self.density = Covariates.of(survey.covariates)
        self.ones = np.ones(survey.problem.n_animals)

    def at(self, vector):
        rows = np.array([[np.exp(vector[-2]), np.exp(vector[-1]), 1.0]])
        return self.likelihood.evaluate(self.density.at(vector[:-2]), rows)

    def value(self, vector) -> float:
        at = self.at(vector)
        return float(at.detected - at.log_a.sum())

    def value_and_gradient(self, vector) -> tuple[float, np.ndarray]:
        at = self.at(vector)
        d_beta, d_rows = self.likelihood.pullback(at, self.ones, -1.0)
        gradient = np.concatenate([d_beta, d_rows[0, :2] * at.rows[0, :2]])
        return float(at.detected - at.log_a.sum()), -gradient


def pair_limit(survey: Survey, objective: Objective, vector, rate: dict[str, float]) -> float:
    """Seconds that the multiply-adds and exponentials of value and gradient need at the machine's peak."""
    p = survey.problem
    sigma = np.exp(vector[-1]) / SPACING
    side = p.raster.habitat.shape[0]

    def cells(x, y, radius):
        """Cells of the raster in discs, by strips."""
        inside = 0.0
        for j in range(side):
            half = np.sqrt(np.maximum(radius**2 - (y - j) ** 2, 0.0))
            inside += np.maximum(np.minimum(x + half, side - 0.5) - np.maximum(x - half, -0.5), 0.0).sum()
        return inside

    animal = np.repeat(np.arange(p.n_animals), np.diff(p.event_start))
    total = np.bincount(animal, p.event_count)
    x, y = p.pass_x / SPACING, p.pass_y / SPACING
    centre_x, centre_y = (np.bincount(animal, p.event_count * a[p.event_pass]) / total for a in (x, y))
    detectors = cells(x, y, np.full(x.size, sigma * np.sqrt(2 * np.log(1e12))))
    animals = cells(centre_x, centre_y, sigma * np.sqrt(60.0 / total))
    multiply_adds = 3 * detectors + 4 * animals
    return multiply_adds / rate["multiply-adds in a matrix product"] + 3 * side**2 / rate["exponentials"]


def dense(survey: Survey, vector) -> None:
    """The likelihood over all pairs, in NumPy."""
    rows = np.array([[np.exp(vector[-2]), np.exp(vector[-1]), 1.0]])
    oracle.spatial(survey.problem, survey.covariates @ vector[:-2], rows)


def peak_gigabytes() -> float:
    """The most memory that this process has had; what `resource` knows is also of the process that started it."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def peak_of_fit(survey: Survey, kind: str, threads: int) -> tuple[float, float]:
    """Gigabytes that a process of its own has needed before a fit, with the survey in memory, and after it."""
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "covariates.npy", survey.covariates.T[1:])
        with open(Path(folder) / "survey.pickle", "wb") as file:
            pickle.dump(replace(survey, covariates=np.empty(0)), file)
        call = [sys.executable, str(Path(__file__).resolve()), "--threads", str(threads), "--peak", folder]
        done = subprocess.run([*call, "--kinds", kind], capture_output=True, text=True, check=True)
    before, after = map(float, done.stdout.split())
    return before, after


def peak(folder: str, kind: str, threads: int) -> None:
    """What `peak_of_fit` runs."""
    with open(Path(folder) / "survey.pickle", "rb") as file:
        survey = pickle.load(file)
    fields = np.load(Path(folder) / "covariates.npy")
    survey = replace(survey, covariates=Columns(fields))
    before = peak_gigabytes()
    survey.model(kind, threads).fit()
    print(before, peak_gigabytes())


class Columns:
    """Covariates [M, 4] without the constant one, which a formula makes itself."""

    def __init__(self, fields: np.ndarray):
        self.fields = fields

    def __getitem__(self, at: tuple) -> np.ndarray:
        return self.fields[at[1] - 1]


def memory_of(work) -> float:
    """Bytes of NumPy's arrays at the worst moment of some work, beside what was there."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@dataclass
class Measured:
    """What the table of goals needs, in seconds."""

    limit: float
    both: float
    shared: float
    fitted: float | None
    gigabytes: float | None
    per_cell: float


def report(size: str, kind: str, rate: dict[str, float], threads: int, clock, fits: bool) -> Measured:
    """One block of lines."""
    survey = simulate(size, kind)
    p = survey.problem
    objective = Objective(survey, SpatialLikelihood(p, threads=1))
    truth = np.concatenate([survey.beta, np.log(survey.rows[0, :2])])
    used = memory_of(lambda: objective.value_and_gradient(truth))
    with threadpool_limits(1):
        value = least(lambda: objective.value(truth), clock=clock)
        both = least(lambda: objective.value_and_gradient(truth), clock=clock)
        model = survey.model(kind, threads=1)
        if size in "SM":
            model.hessian(truth)  # compiled: S takes the blocks' curvature, the others that of tiles
        begin = clock()
        model.hessian(truth)
        bend = clock() - begin
        del model
    objective = Objective(survey, SpatialLikelihood(p, threads=threads))
    shared = least(lambda: objective.value_and_gradient(truth))
    limit = pair_limit(survey, objective, truth, rate)
    print(f"{size:3s}{kind:10s} M {p.raster.size:,}  K {len(p.pass_x):,}  n {p.n_animals:,}")
    print(
        f"   value {1e3 * value:.2f} ms   value + gradient {1e3 * both:.2f} ms   + Hessian {1e3 * (both + bend):.1f} ms"
    )
    print(f"   limit {1e3 * limit:.2f} ms: value + gradient at {both / limit:.1f} times the limit")
    print(f"   {threads} threads: value + gradient {1e3 * shared:.2f} ms, {both / shared:.2f} times as fast")
    fitted, needed = None, None
    if fits:
        del objective
        begin = time.perf_counter()
        model = survey.model(kind, threads)
        arranged = time.perf_counter()
        best = model.fit()
        fitted = time.perf_counter() - arranged
        print(f"   SCR.fit() of {truth.size} parameters, {threads} threads: {fitted:.2f} s,", end=" ")
        print(f"{best.evaluations} evaluations + 2 Hessians ({arranged - begin:.2f} s to arrange the data);", end=" ")
        print(f"error of log sigma {(best.vector - truth)[-1]:+.4f}")
        del model, best
        needed = peak_of_fit(survey, kind, threads)
    if size in "SM":
        slow = least(lambda: dense(survey, truth), clock=clock)
        print(f"   dense NumPy, value only: {1e3 * slow:.0f} ms, {slow / value:.0f} times ours")
    print(f"   arrays of value + gradient {used / 1e6:.1f} MB, {used / p.raster.size:.0f} bytes per cell", end="")
    print("" if needed is None else f"; a process that fits: {needed[1]:.2f} GB ({needed[0]:.2f} before)", flush=True)
    return Measured(limit, both, shared, fitted, None if needed is None else needed[1], used / p.raster.size)


def goals(found: dict[tuple[str, str], Measured]) -> None:
    """The goals beside what was measured, in the order of the sizes."""
    print(
        "\nsize kind       v+g/limit (4)  v+g/counts (4)  threads (1.7)  fit, s (L 2, XL 10)  GB (1.5)  bytes per cell"
    )
    for (size, kind), m in found.items():
        counts = found.get((size, "count"))
        cells = (
            f"{m.both / m.limit:.1f}",
            f"{m.both / counts.both:.1f}" if counts else "",
            f"{m.both / m.shared:.2f}",
            "" if m.fitted is None else f"{m.fitted:.2f}",
            "" if m.gigabytes is None else f"{m.gigabytes:.2f}",
            f"{m.per_cell:.0f}",
        )
        print(
            f"{size:5s}{kind:11s}" + "".join(f"{c:>{w}s}" for c, w in zip(cells, (13, 16, 15, 21, 10, 16), strict=True))
        )


def first_use(kinds) -> None:
    """CPU seconds of a first value and gradient, then a fit, in fresh processes: compiled, and from the cache."""
    here = Path(__file__).resolve()
    with tempfile.TemporaryDirectory() as cache:
        for kind in kinds:
            for way in ("compiled", "from the cache"):
                environment = os.environ | {"NUMBA_CACHE_DIR": cache}
                call = [sys.executable, str(here), "--kinds", kind, "--first"]
                done = subprocess.run(call, env=environment, capture_output=True, text=True, check=True)
                print(f"first use, {kind}, {way}: {done.stdout.strip()}", flush=True)


def first(kind: str) -> None:
    """What `first_use` runs."""
    survey = simulate("M", kind)
    model = survey.model(kind)
    times = [time.process_time()]
    for work in (lambda: model.loglik_and_gradient(model.start()), model.fit):
        work()
        times.append(time.process_time())
    print(f"value + gradient {times[1] - times[0]:.1f} s, then a fit {times[2] - times[1]:.1f} s of CPU")


def stress(size: str, kind: str, points: int, detection: str) -> None:
    """Worst errors against the dense twin at random parameter values far from the optimum."""
    survey = simulate(size, kind)
    problem = replace(survey.problem, detection=detection)
    likelihood = SpatialLikelihood(problem)
    rng = np.random.default_rng(1)
    worst = np.zeros(4)
    for _ in range(points):
        rows = survey.rows * [[10 ** rng.uniform(-3, 2), 10 ** rng.uniform(-1, 0.7), 1.0]]
        if detection == "half-normal":
            rows[0, 0] = -np.expm1(-rows[0, 0])  # the probability of that hazard
        at = likelihood.evaluate(survey.log_mu, rows)
        ones = np.ones(survey.problem.n_animals)
        _, d_rows = likelihood.pullback(at, ones, -1.0)
        log_a, detected = oracle.spatial(problem, survey.log_mu, rows)
        loglik = log_a.sum() - detected
        expected = np.empty(2)
        for column in range(2):
            moved = rows.astype(complex)
            moved[0, column] += 1e-30j
            log_moved, moved_detected = oracle.spatial(problem, survey.log_mu, moved)
            expected[column] = (log_moved.sum() - moved_detected).imag / 1e-30
        errors = (
            abs(at.log_a.sum() - at.detected - loglik) / abs(loglik),
            np.abs(np.expm1(at.log_a - log_a)).max(),
            (np.abs(d_rows[0, :2] - expected) / np.abs(expected)).max(),
            at.bound,
        )
        worst = np.maximum(worst, errors)
    names = ("log-likelihood", "one animal's integral", "gradient", "bound that was reported")
    print(f"{size} {kind}, {detection}: worst relative error at {points} points: ", end="")
    print(", ".join(f"{name} {error:.1e}" for name, error in zip(names, worst, strict=True)), flush=True)


def machine() -> str:
    """Processor, cores, Python and libraries."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        processor = platform.processor() or platform.machine()
    versions = f"numpy {np.__version__}, scipy {scipy.__version__}, numba {numba.__version__}"
    return (
        f"{processor}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {platform.python_version()}, {versions}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="S,M,L,XL", help="of S, M, L, XL")
    parser.add_argument("--kinds", default=",".join(KINDS), help="of count, proximity, multi")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--stress", type=int, default=0, metavar="POINTS", help="check accuracy instead of time")
    parser.add_argument("--cpu", action="store_true", help="CPU time of one thread instead of wall time")
    parser.add_argument("--all", action="store_true", help="fits of every model at XL, too")
    parser.add_argument("--first", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--peak", metavar="FOLDER", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sizes, kinds = arguments.sizes.split(","), arguments.kinds.split(",")
    if not set(sizes) <= SIZES.keys() or not set(kinds) <= set(KINDS):
        parser.error(f"sizes are {', '.join(SIZES)}; kinds are {', '.join(KINDS)}")
    if arguments.peak:
        peak(arguments.peak, kinds[0], arguments.threads)
        return
    if arguments.first:
        first(kinds[0])
        return
    print(machine())
    if arguments.stress:
        for size in sizes:
            for kind in kinds:
                for detection in ("hazard half-normal", "half-normal"):
                    stress(size, kind, arguments.stress, detection)
        return
    begin, clock = time.perf_counter(), time.thread_time if arguments.cpu else time.perf_counter
    rate = calibrate(clock)
    found = {}
    for size in sizes:
        for kind in kinds:
            fits = arguments.all or (size, kind) not in LONG
            found[size, kind] = report(size, kind, rate, arguments.threads, clock, fits)
    first_use(kinds)
    goals(found)
    print(f"\n{time.perf_counter() - begin:.0f} s in all")


if __name__ == "__main__":
    main()
