"""Cross-validation of models of sites: fitted without some sites, judged by what was found there.

Scores are proper: the best expected score is had by telling the truth (Gneiting & Raftery 2007, J. Am. Stat. Assoc.
102:359). The log score of a site is minus the log-probability of all that was found there; the Brier score is the
squared difference between the probability that something is found there at all and whether it was. Smaller is better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...survey.detections import DetectionHistory
from ...survey.errors import SurveyError, refuse
from ..inference.parallel import run_tasks
from .goodness import log_silence
from .history_model import HistoryModel


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Scores of models at sites that they were not fitted to."""

    sites: pd.DataFrame  # model, site, fold, log_score, found, probability, brier
    table: (
        pd.DataFrame
    )  # model, log_score (mean of the sites), se, brier, behind (mean difference to the best), behind_se

    def __str__(self) -> str:
        return self.table.to_string(index=False, float_format=lambda v: f"{v:.4f}")

    __repr__ = __str__


def cross_validate(
    models: HistoryModel | Mapping[str, HistoryModel],
    folds: int | np.ndarray | pd.Series = 10,
    seed: int = 1,
    *,
    blocks: float | None = None,
    coordinates: tuple[str, str] = ("x", "y"),
    **how,
) -> CrossValidation:
    """k-fold cross-validation over sites, or over square blocks of sites.

    Sites left out keep their covariates, so that formulas code them alike; what was found there is missing.

    Parameters
    ----------
    models : a model, or several by name, of one history
    folds : how many, or the fold of every site [N]
    seed : of the assignment of sites (or blocks) to folds
    blocks : side of square blocks, in units of the coordinates; whole blocks are left out, so that neighbours do not
        tell each other (Roberts et al. 2017, Ecography 40:913)
    coordinates : names of the site covariates that are coordinates
    how : executor, workers, store, progress, as in `run_tasks`

    Raises
    ------
    SurveyError : models of different data or with random effects, more folds than sites or blocks, unknown coordinates,
        a fold without which nothing can be fitted (nothing was found at the other sites, say)
    """
    named = dict(models) if isinstance(models, Mapping) else {"model": models}
    first = next(iter(named.values()))
    for name, model in named.items():
        _check(name, model, first)
    fold = assign_folds(first.history, folds, seed, blocks, coordinates)
    labels = np.unique(fold[fold >= 0])
    tasks = [(name, model, fold, int(k)) for name, model in named.items() for k in labels]
    results = run_tasks(_judge, tasks, **how)
    sites = pd.concat(results, ignore_index=True)
    return CrossValidation(sites, _compared(sites, list(named)))


def assign_folds(
    history: DetectionHistory,
    folds: int | np.ndarray | pd.Series,
    seed: int,
    blocks: float | None = None,
    coordinates: tuple[str, str] = ("x", "y"),
) -> np.ndarray:
    """int [N]: fold of each site from 0; -1 for sites without visits. Arguments as for `cross_validate`.

    Blocks go to the fold that has the fewest sites, large ones first, in random order among equals.
    """
    visited = history.visited
    if not isinstance(folds, (int, np.integer)):
        given = np.asarray(folds)
        if given.shape != (history.n_sites,):
            raise refuse("every site needs a fold", f"Give {history.n_sites}", value=given.shape)
        fold = np.unique(given, return_inverse=True)[1]
        return np.where(visited, fold, -1)
    rng = np.random.default_rng(seed)
    unit = np.arange(history.n_sites) if blocks is None else _blocks(history, blocks, coordinates)
    units, size = np.unique(unit[visited], return_counts=True)
    if not 2 <= folds <= len(units):
        what = "sites with visits" if blocks is None else "blocks"
        raise refuse(f"there are {len(units)} {what}", "Use at least 2 folds, and no more than these", value=folds)
    order = rng.permutation(len(units))
    order = order[np.argsort(-size[order], kind="stable")]
    load, of_unit = np.zeros(folds), np.zeros(len(units), int)
    for k in order:
        of_unit[k] = np.argmin(load)
        load[of_unit[k]] += size[k]
    fold = np.full(history.n_sites, -1)
    fold[visited] = of_unit[np.searchsorted(units, unit[visited])]
    return fold


def _blocks(history: DetectionHistory, side: float, coordinates: tuple[str, str]) -> np.ndarray:
    """int [N]: the square block of each site."""
    lacking = [name for name in coordinates if name not in history.sites]
    if lacking:
        fix = "Give coordinates=, the names of two covariates of sites"
        raise refuse("the sites have no such coordinates", fix, value=lacking)
    if not side > 0:
        raise refuse("the side of a block must be above 0", "Give it in units of the coordinates", value=side)
    xy = history.sites[list(coordinates)].to_numpy(float)
    cell = np.floor((xy - np.nanmin(xy, axis=0)) / side)
    if not np.isfinite(cell).all():
        raise refuse(
            "a site has no coordinates", "Fill them in", value=str(history.sites.index[np.isnan(xy).any(axis=1)][0])
        )
    return np.unique(cell, axis=0, return_inverse=True)[1].ravel()


def _check(name: str, model, first) -> None:
    if not isinstance(model, HistoryModel) or hasattr(model, "second"):
        raise refuse("cross-validation is for models of one detection history", "Leave it out", value=name)
    if getattr(model.parameters, "random", None):
        raise refuse("cross-validation of random effects is not done", "Write them as fixed effects", value=name)
    if model.data_kind == "detections with scores":
        raise refuse("cross-validation does not know how to take out scores", "Leave it out", value=name)
    reason = first.not_comparable(model)
    if reason:
        raise refuse(f"the models cannot be compared: {reason}", "Use one history", value=name)


def _judge(task) -> pd.DataFrame:
    """Scores of the sites of one fold by a model fitted to the others."""
    name, model, fold, k = task
    h, out = model.history, fold == k
    try:
        fit = model.on(h.with_values(np.where(out[h.site_of], np.nan, h.value))).fit()
        values = values_for(fit, model)
    except SurveyError as error:
        raise refuse(f"{name} cannot be judged without fold {k}: {error}", "Use fewer folds, or other ones") from error
    if set(values) != set(model.parameters.names):
        lost = sorted(set(model.parameters.names) - set(values))
        raise refuse(f"without fold {k} {name} has other parameters", "Use fewer folds, or other ones", value=lost)
    log_score = -model.by_site(values)[out]
    probability = -np.expm1(log_silence(model, values)[out])
    found = h.detected.any(axis=1)[out]
    columns = {"model": name, "site": h.sites.index[out], "fold": k, "log_score": log_score, "found": found}
    return pd.DataFrame(columns | {"probability": probability, "brier": (probability - found) ** 2})


def values_for(fit, model) -> dict[str, np.ndarray]:
    """Natural-scale values of a fit for all rows of another model of the same formulas, coded as in the fit."""
    parts, values, symbols = fit.model.parameters.split(fit.vector), {}, {s.name: s for s in model.symbols}
    for p in fit.model.parameters:
        frame = model.frame(symbols[p.name])
        if p.design is None:
            values[p.name] = np.full(len(frame), float(p.fixed or 0.0))
        elif p.design.constant:
            values[p.name] = np.full(len(frame), p.link.inverse(parts[p.name][0]))
        else:
            values[p.name] = p.link.inverse(p.design.at(frame) @ parts[p.name])
    return values


def _compared(sites: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Mean scores, and how far each model is behind the best with the error of the paired difference."""
    wide = sites.pivot(index="site", columns="model", values="log_score")[names]
    brier = sites.groupby("model")["brier"].mean()
    best, n = wide.mean().idxmin(), len(wide)
    behind = wide.sub(wide[best], axis=0)
    table = pd.DataFrame(
        {
            "model": names,
            "log_score": wide.mean().to_numpy(),
            "se": wide.std().to_numpy() / np.sqrt(n),
            "brier": brier[names].to_numpy(),
            "behind": behind.mean().to_numpy(),
            "behind_se": behind.std().to_numpy() / np.sqrt(n),
        }
    )
    return table.sort_values("log_score", kind="stable").reset_index(drop=True)
