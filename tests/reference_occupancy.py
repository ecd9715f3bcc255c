"""Detection histories of the reference suite, and its models as coefficient vectors in our order."""

from __future__ import annotations

import numpy as np
import pandas as pd
from reference import entry, expected, reference

from uncia.survey.detections import DetectionHistory


def history(name: str, file: str = "detections", value: str = "value", **more) -> DetectionHistory:
    """The visits of a data set with the covariates that lie beside them."""
    folder = reference(name)
    visits = pd.read_csv(folder / f"{file}.csv").rename(columns={value: "value"})
    if (folder / "visits.csv").exists():
        covariates = pd.read_csv(folder / "visits.csv")
        keys = [key for key in ("site", "season", "visit") if key in covariates]
        visits = visits.merge(covariates, on=keys, how="left")
    sites = pd.read_csv(folder / "sites.csv") if (folder / "sites.csv").exists() else pd.DataFrame()
    seasons = pd.read_csv(folder / "seasons.csv") if (folder / "seasons.csv").exists() else pd.DataFrame()
    return DetectionHistory(visits, sites, seasons, **more)


def vector_of(values: dict) -> np.ndarray:
    """Coefficients in the order in which the suite lists them: state parameters first, as in our models."""
    return np.array([v[0] if isinstance(v, list) else v for v in values.values()], float)


def agrees(model, name: str, which: int | str, *, se: float = 0.01) -> None:
    """Log-likelihood at fixed values to 1e-6; the fit at least as high; estimates and standard errors."""
    e = expected(name)[which] if isinstance(which, int) else entry(name, which)
    for point in e.get("fixed_parameter_loglik", []):
        assert abs(model.loglik(vector_of(point["values"])) - point["loglik"]) < 1e-6
    fit = model.fit()
    assert fit.loglik > e["loglik"] - 1e-6
    assert fit.verdict.good
    theirs = np.array(list(e["coefficients"].values()), float)
    assert np.all(np.abs(fit.vector - theirs[:, 0]) < 0.01 * theirs[:, 1])
    np.testing.assert_allclose(fit.se, theirs[:, 1], rtol=se)
