"""How long it takes to read a survey: 300 cameras for 90 days and 100,000 records. Run: python benchmarks/reading.py"""

from __future__ import annotations

import tempfile
import time

import numpy as np
import pandas as pd

from uncia import survey

CAMERAS, DAYS, RECORDS = 300, 90, 100_000
HOW = {"timezone": "Asia/Shanghai", "species": "Panthera pardus"}


def main() -> None:
    rng = np.random.default_rng(1)
    detectors = survey.Detectors(
        id=tuple(f"S{k:03d}" for k in range(CAMERAS)),
        x=600_000 + rng.uniform(0, 45_000, CAMERAS),
        y=4_100_000 + rng.uniform(0, 50_000, CAMERAS),
        effort=np.ones((DAYS, CAMERAS)),
        crs="EPSG:32649",
    )
    animal, occasion, detector = (rng.integers(0, top, 600) for top in (89, DAYS, CAMERAS))
    names = {"animal": animal, "occasion": occasion + 1, "detector": [detectors.id[k] for k in detector]}
    captures = survey.CaptureHistory(pd.DataFrame(names).drop_duplicates().astype({"animal": str}), detectors)
    others = {"Capreolus pygargus": 100.0 * RECORDS / CAMERAS / DAYS}
    with tempfile.TemporaryDirectory() as folder:
        clock(
            "make the fieldwork", lambda: survey.fieldwork(captures, seed=1, start="2024-04-01", others=others, **HOW)
        )
        how = {"seed": 1, "start": "2024-04-01", "others": others}
        clock("make it and write Camtrap DP", lambda: survey.write_camtrap_dp(folder, captures, **how, **HOW))
        back = clock("read Camtrap DP", lambda: survey.read_camtrap_dp(folder, crs="EPSG:32649", **HOW))
        print(back.ledger)


def clock(what: str, work):
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    print(f"{what}: {time.perf_counter() - wall:.2f} s ({time.process_time() - cpu:.2f} s of one core)")
    return result


if __name__ == "__main__":
    main()
