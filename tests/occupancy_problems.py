"""Small histories with every kind of gap, and checks that every model of them must pass."""

from __future__ import annotations

import numpy as np
import pandas as pd

from uncia.survey.detections import DetectionHistory


def ragged(n=7, t=1, j=4, seed=3, most=1, methods=False, keep=0.8, **more) -> DetectionHistory:
    """Sites and visits with covariates x, w, v and effort; visits missing, one site and one season never visited."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, most + 1, (n, t, j)).astype(float)
    y[rng.uniform(size=y.shape) > keep] = np.nan
    if n > 2:
        y[2] = np.nan
        y[1] = np.where(np.isnan(y[1]), np.nan, 0.0)
    if t > 2:
        y[:, 1] = np.nan
    y[0, 0, :2] = [most, 0]
    covariates = {"v": rng.normal(size=y.shape)}
    if methods:
        covariates["method"] = np.broadcast_to(np.array(["camera", "sign"])[np.arange(j) % 2], y.shape)
    return DetectionHistory.from_wide(
        y,
        sites=pd.DataFrame({"x": rng.normal(size=n)}),
        visit_covariates=covariates,
        season_covariates={"w": rng.normal(size=(n, t))},
        effort=rng.uniform(0.5, 2.0, y.shape),
        **more,
    )


def some_vector(model, seed=1, spread=0.4) -> np.ndarray:
    """Coefficients near the start."""
    return model.start() + np.random.default_rng(seed).normal(0.0, spread, model.parameters.size)


def check_gradient(model, tolerance=1e-6, **more) -> None:
    """The gradient against central differences, at the start (where slopes are 0) and at two other places."""
    for at in (model.start(), some_vector(model, 1, **more), some_vector(model, 2, **more)):
        gradient = model.loglik_and_gradient(at)[1]
        step = 1e-5
        numeric = [(model.loglik(at + e) - model.loglik(at - e)) / (2 * step) for e in step * np.eye(len(at))]
        np.testing.assert_allclose(gradient, numeric, atol=tolerance * max(1.0, np.abs(gradient).max()))


def reordered(history: DetectionHistory, seed: int) -> DetectionHistory:
    """The same sites in another order."""
    order = np.random.default_rng(seed).permutation(history.n_sites)
    return DetectionHistory(history.visits, history.sites.iloc[order], history._season_table())


def with_missing_visit(history: DetectionHistory) -> DetectionHistory:
    """One more visit everywhere, never done."""
    more = history.visits.drop_duplicates(["site", "season"]).assign(visit=99, value=np.nan)
    return DetectionHistory(pd.concat([history.visits, more]), history.sites, history._season_table())


def with_missing_site(history: DetectionHistory) -> DetectionHistory:
    """One more site, never visited."""
    sites = pd.concat([history.sites, history.sites.iloc[:1].set_axis(["never"], axis=0)])
    seasons = history._season_table()
    more = seasons[seasons["site"] == history.sites.index[0]].assign(site="never")
    return DetectionHistory(history.visits, sites, pd.concat([seasons, more]))
