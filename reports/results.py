"""results.json: every number of a report with where it comes from, for machines and for next year."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from pathlib import Path

import pandas as pd

from ..models.derived import LEVEL
from ..survey.errors import refuse
from .analysis import Analysis, finite
from .config import config_from
from .parts import Form
from .provenance import environment, uncia_version

NUMBERS = ("estimate", "se", "rse", "lower", "upper")
# Said in every results.json, so that no default of any library can change what a number means.
CONVENTIONS = {
    "level": LEVEL,
    "wald": "estimate times exp(±z·s), s² = log(1 + RSE²), for what is above zero; on the logit for probabilities",
    "profile": "where the log-likelihood has fallen by half the 0.95 quantile of chi-square with one degree of freedom",
    "random numbers": "PCG64 of NumPy, from the seed of the form",
}
TESTED = ("statistic", "df", "p", "c_hat")


def results_of(analysis: Analysis) -> dict:
    """What results.json says, as results.schema.json describes it."""
    config = analysis.study.config
    tested = [_numbers(row, TESTED) for row in analysis.goodness.to_dict("records")]
    return (
        {
            "uncia": uncia_version(),
            "inputs": [{"path": path, "sha256": sha256} for path, sha256 in analysis.study.inputs],
            "config": config.model_dump(mode="json", by_alias=True),
            "environment": environment(),
            "seed": config.seed,
            "reported": analysis.reported,
            "models": [_model(name, fit) for name, fit in analysis.fits.items()],
            "estimates": [_numbers(row, NUMBERS) for row in analysis.estimates.to_dict("records")],
        }
        | ({"goodness": tested} if tested else {})
        | {"conventions": CONVENTIONS}
        | analysis.more_results
    )


def _model(name: str, fit) -> dict:
    return {
        "name": name,
        "formulas": repr(fit.model),
        "loglik": finite(fit.loglik),
        "n_parameters": fit.n_parameters,
        "aic": finite(fit.aic),
        "aicc": finite(fit.aicc),
        "verdict": str(fit.verdict),
    }


def _numbers(row: dict, numbers: tuple[str, ...]) -> dict:
    return {name: finite(value) if name in numbers else str(value) for name, value in row.items()}


def to_json(results: dict) -> str:
    """The text of results.json."""
    return json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_estimates(estimates: pd.DataFrame, path: Path) -> None:
    """estimates.csv: the same estimates for a spreadsheet."""
    estimates.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")


@cache
def schema() -> dict:
    """The JSON Schema of results.json."""
    return json.loads(files(__package__).joinpath("results.schema.json").read_text("utf-8"))


def read_results(path: str | Path) -> tuple[dict, Form]:
    """A results.json and the form inside it.

    Raises
    ------
    SurveyError : no such file, not JSON, or not the results of a report
    """
    path = Path(path)
    path = path / "results.json" if path.is_dir() else path
    if not path.is_file():
        raise refuse("there is no such file", "Give the results.json of a report", file=path, value=str(path))
    try:
        results = json.loads(path.read_text("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        row = getattr(error, "lineno", None)
        raise refuse("this is not JSON", "Give the results.json of a report", file=path, row=row) from None
    missing = [key for key in schema()["required"] if not isinstance(results, dict) or key not in results]
    if missing:
        raise refuse(f"this is no results.json: it lacks {missing[0]!r}", "Give the one of a report", file=path)
    return results, config_from(results["config"], path)
