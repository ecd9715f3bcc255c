"""Our fit beside the time that secr took, on every real data set of the reference suite that both can fit.

    python benchmarks/reference_fits.py [--repeat 3]

secr's seconds were taken on another, busy two-core machine: orders of magnitude only. Ours are wall seconds of
`model.fit()` from a cold start to the covariance, the best of `--repeat` runs in one process, after one fit that
compiles. Writes benchmarks/reference_fits.md.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from test_scr_agreement import CASES, SEVERAL, build, entry, ovenbirds, words_of  # noqa: E402


def models_to_fit():
    """(data set, words, how to build the model, the suite's entry)."""
    for name, read, words, options in CASES:
        there = words_of(name, words)
        if there.get("loglik") is not None:
            yield name, words, lambda n=name, r=read, o=options: build(n, r, o), there
    for words, options in SEVERAL:
        yield "ovenbird, five sessions", words, lambda o=options: ovenbirds(**o), entry("ovenbird", words)
    everything = {name: "~ session" for name in ("D", "g0", "sigma")}
    for there in (e for e in entries_of_ovenbird() if "session-specific" in e["model"]):
        yield "ovenbird, five sessions", there["model"], lambda: ovenbirds(**everything), there


def entries_of_ovenbird():
    from reference import expected

    return expected("ovenbird")


def timed(make, repeat: int):
    best, fit = float("inf"), None
    for _ in range(repeat):
        model = make()
        begin = time.perf_counter()
        fit = model.fit()
        best = min(best, time.perf_counter() - begin)
    return best, fit


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--repeat", type=int, default=3)
    repeat = options.parse_args().repeat
    lines = [
        f"# Fits of the reference data sets ({platform.machine()}, Python {platform.python_version()})",
        "",
        "| data set | model | cells × detectors × animals | ours, s | secr, s | ratio | evaluations | loglik gained |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, words, make, there in models_to_fit():
        make().fit()
        seconds, fit = timed(make, repeat)
        first = fit.model.sessions[0]
        theirs = there.get("seconds_here")
        cells = (
            name,
            words,
            f"{len(first.mask)} × {len(first.captures.detectors)} × {first.captures.n_animals}",
            f"{seconds:.3f}",
            theirs or "–",
            f"{theirs / seconds:.0f}" if theirs else "–",
            fit.evaluations,
            f"{fit.loglik - there['loglik']:+.1e}",
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
        print(lines[-1], flush=True)
    (HERE / "reference_fits.md").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
