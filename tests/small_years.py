"""A programme small enough to be reported in seconds: the same 25 stations in three years, and a larger array."""

from __future__ import annotations

from pathlib import Path

import numpy as np

FORM = """\
seed = 3

[survey]
name = "Snow leopards of a small valley"
species = "Panthera uncia"
common_name = "snow leopards"
crs = "EPSG:32647"

[data]
format = "secr"
captures = "captures.txt"
traps = "traps.txt"

[mask]
buffer = 8_000
spacing = 2_000

[[models]]
name = "constant"
"""
HEAD = """\
seed = 3

[survey]
name = "Snow leopards of a small valley, three years"
species = "Panthera uncia"
common_name = "snow leopards"
"""
YEARS = "".join(f'\n[[years]]\nyear = {y}\nsurvey = "{y}/survey.toml"\n' for y in (2019, 2021, 2024))
JOINT = '\n[[models]]\nname = "shared detection"\nD = "~ session"\n'


def write_year(folder: Path, year: int, animals: int, seed: int, columns: int = 5) -> None:
    """Detections of simulated animals, as text for secr, and the form of the year."""
    rng = np.random.default_rng(seed)
    x, y = (v.ravel() for v in np.meshgrid(500_000 + 2500.0 * np.arange(columns), 4_000_000 + 2500.0 * np.arange(5)))
    places = rng.uniform([498_000, 3_998_000], [500_000 + 2500 * columns, 4_012_000], (animals, 2))
    hazard = 0.15 * np.exp(-0.5 * (np.hypot(places[:, :1] - x, places[:, 1:] - y) / 2000.0) ** 2)
    seen = np.argwhere(rng.random((animals, 15, len(x))) < -np.expm1(-hazard[:, None]))
    own = folder / str(year)
    own.mkdir(parents=True, exist_ok=True)
    rows = [f"1 cat{i} {s + 1} S{k:02d}" for i, s, k in seen]
    (own / "captures.txt").write_text("\n".join(rows) + "\n", "utf-8")
    traps = [f"S{k:02d} {a:.0f} {b:.0f}" for k, (a, b) in enumerate(zip(x, y, strict=True))]
    (own / "traps.txt").write_text("\n".join(traps) + "\n", "utf-8")
    (own / "survey.toml").write_text(FORM, "utf-8")


def write(folder: Path, form: str = HEAD + YEARS + JOINT, columns: int = 5) -> Path:
    """Three years in a folder; the last with an array of so many columns. Returns the path of the form."""
    for year, animals, seed, wide in ((2019, 16, 1, 5), (2021, 13, 2, 5), (2024, 11, 3, columns)):
        write_year(folder, year, animals, seed, wide)
    (folder / "survey.toml").write_text(form, "utf-8")
    return folder / "survey.toml"
