"""Ranger patrols: surveys like that of examples/04, with other seeds. Does the area occupied cover the truth?

    python benchmarks/recovery_patrols.py [surveys]                writes benchmarks/recovery_patrols.md

The cells of the notebook are run as they stand, from writing the GPX files to the table of areas, without the figures.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

NOTEBOOK = Path(__file__).parent.parent / "examples" / "04_ranger_sign_survey.ipynb"
SEED, FIRST, FIGURE = "default_rng(3)", 100, "plt.subplots"


def source() -> str:
    """The code of the notebook without its figures."""
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    text = "\n\n".join(part for part in code if FIGURE not in part)
    if text.count(SEED) != 1:
        raise ValueError(f"the notebook has {SEED!r} other than once")
    return text


def survey(text: str, seed: int) -> pd.DataFrame:
    """The table of areas of one survey."""
    names: dict = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(text.replace(SEED, f"default_rng({seed})"), names)
    return names["table"]


def main(n: int) -> str:
    """The table in Markdown."""
    text, begin = source(), time.perf_counter()
    tables = [survey(text, FIRST + i) for i in range(n)]
    truth = np.array([table.loc["the truth", "km²"] for table in tables])
    lines = [
        "| model | bias of the area occupied | 95 % intervals that hold it | mean width, km² |",
        "|---|---|---|---|",
    ]
    for name in tables[0].index[:-1]:
        rows = pd.DataFrame([table.loc[name] for table in tables])
        relative = rows["km²"].to_numpy() / truth - 1.0
        bias = f"{100 * relative.mean():+.1f} % (± {100 * relative.std(ddof=1) / np.sqrt(n):.1f})"
        if rows["lower"].isna().all():
            lines.append(f"| {name} | {bias} | | |")
            continue
        holds = ((rows["lower"] <= truth) & (truth <= rows["upper"])).sum()
        lines.append(f"| {name} | {bias} | {holds} of {n} | {(rows['upper'] - rows['lower']).mean():,.0f} |")
    took = f"{n} surveys with the seeds {FIRST} to {FIRST + n - 1}, {(time.perf_counter() - begin) / n:.1f} s each."
    head = "# Ranger patrols: the survey of notebook 04 with other seeds\n\n`python benchmarks/recovery_patrols.py"
    return f"{head} {n}`. {took}\n\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    report = main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
    Path(__file__).with_suffix(".md").write_text(report, encoding="utf-8")
    print(report)
