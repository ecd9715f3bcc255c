"""The reference suite: data sets as plain text with the numbers that the field's own programs give on them.

It lies beside the repository in `shared/reference` and is no part of it. A test that asks for a data set skips with
one reason when the suite is absent.

    captures, mask = scr_data("captdata")
    entry = expected("captdata")[0]         # {"model": …, "loglik": …, "coefficients": {…}, …}
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from uncia.survey.captures import CaptureHistory
from uncia.survey.detectors import Detectors
from uncia.survey.habitat import HabitatMask

SUITE = Path(__file__).resolve().parent.parent.parent / "shared" / "reference"
FITTED_AS = {"single": "multi"}  # the suite fits single-catch traps with the multi-catch likelihood
NOT_COVARIATES = {"session", "animal", "occasion", "detector", "count", "removed", "x", "y", "vertex"}


def reference(name: str) -> Path:
    """The path of a data set or file of the suite, or a skip."""
    if not SUITE.is_dir():
        pytest.skip("reference suite not present")
    path = SUITE / name
    if not path.exists():
        raise FileNotFoundError(f"the reference suite has no {name!r}")
    return path


def expected(name: str) -> list[dict]:
    """The entries of expected.json: models in words, their log-likelihoods, coefficients and derived numbers."""
    return json.loads(reference(name).joinpath("expected.json").read_text("utf-8"))


def entry(name: str, model: str) -> dict:
    """The one entry whose `model` is (or, if no such one exists, starts with) these words."""
    entries = expected(name)
    for fits in (str.__eq__, str.startswith):
        found = [e for e in entries if fits(e["model"], model)]
        if len(found) == 1:
            return found[0]
    raise LookupError(f"{name}: {len(found)} entries for {model!r} among {[e['model'] for e in entries]}")


def scr_data(
    name: str,
    effort: str | float | None = None,
    captures: str = "captures.csv",
    session: str | None = None,
    kind: str | None = None,
) -> tuple[CaptureHistory, HabitatMask]:
    """Captures and habitat mask of a spatial capture-recapture data set (point detectors).

    Parameters
    ----------
    name : folder of the suite; "stoatDNA/counts" takes its mask from the folder above
    effort : file of efforts, or one number for every detector and occasion; default effort.csv if it is there, else 1
    captures : file of captures; covariates in it become covariates of the animals
    session : needed where a data set has several
    kind : read as this kind of detector instead of the one that survey.json says
    """
    folder = reference(name)
    facts = _facts(folder, session)
    label = facts["session"]
    detectors = _read(folder / "detectors.csv", label)
    detectors = Detectors(
        id=tuple(detectors["detector"]),
        x=detectors["x"].astype(float),
        y=detectors["y"].astype(float),
        effort=_effort(folder, effort, label, facts["occasions"], detectors["detector"]),
        kind=kind or FITTED_AS.get(facts["detector_kind"], facts["detector_kind"]),
        effort_unit="occasions",
        covariates=_typed(detectors.drop(columns=NOT_COVARIATES, errors="ignore")),
    )
    table = _read(folder / captures, label)
    frame = pd.DataFrame(
        {
            "animal": table["animal"],
            "occasion": table["occasion"].astype(int),
            "detector": table["detector"],
            "count": table["count"].astype(int) if "count" in table else 1,
            "removed": table["removed"].eq("1") if "removed" in table else False,
        }
    )
    animals = _typed(table.groupby("animal").first().drop(columns=NOT_COVARIATES, errors="ignore"))
    return CaptureHistory(frame, detectors, animals=animals, session=label), mask(name, session=label)


def mask(name: str, file: str = "mask", session: str = "*") -> HabitatMask:
    """The habitat mask of a data set, or another one of its folder (`park_mask`), with its columns as covariates."""
    folder = reference(name)
    folder = folder if (folder / f"{file}.csv").exists() else folder.parent
    facts = json.loads((folder / f"{file}.json").read_text("utf-8"))
    facts = facts if isinstance(facts, dict) else next(f for f in facts if f["session"] in ("*", session))
    points = _typed(_read(folder / f"{file}.csv", session))
    habitat = HabitatMask.from_points(points["x"], points["y"], facts["spacing_m"])
    cell = habitat.cell_of(points["x"], points["y"])
    for column in points.columns.difference(["session", "x", "y"]):
        values = np.full(habitat.size, np.nan)
        values[cell] = points[column]
        habitat = habitat.with_covariate(column, habitat.to_xarray(values).to_numpy())
    return habitat


def _facts(folder: Path, session: str | None) -> dict:
    sessions = json.loads((folder / "survey.json").read_text("utf-8"))["sessions"]
    found = [s for s in sessions if session in (None, s["session"])]
    if len(found) != 1:
        raise LookupError(f"say session=, one of {[s['session'] for s in sessions]}")
    return found[0]


def _read(path: Path, session: str) -> pd.DataFrame:
    """Everything as text (names such as 0101 and 1911.52070 are no numbers), the rows of one session."""
    frame = pd.read_csv(path, dtype=str).rename(columns=lambda column: column.replace(".", "_"))
    return frame[frame["session"].isin(["*", session])].reset_index(drop=True)


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns of numbers as float, all others as they are."""
    numbers = {name: pd.to_numeric(frame[name], errors="coerce") for name in frame}
    return frame.assign(**{n: v for n, v in numbers.items() if v.notna().sum() == frame[n].notna().sum() > 0})


def _effort(folder: Path, effort, session: str, n_occasions: int, names: pd.Series) -> np.ndarray:
    """float [S, K]."""
    if effort is None:
        effort = "effort.csv" if (folder / "effort.csv").exists() else 1.0
    if not isinstance(effort, str):
        return np.full((n_occasions, len(names)), float(effort))
    table = _read(folder / effort, session).astype({"occasion": int, "effort": float})
    wide = table.pivot(index="occasion", columns="detector", values="effort")
    return wide.reindex(index=range(1, n_occasions + 1), columns=names).to_numpy()
