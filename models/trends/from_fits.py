"""Annual estimates out of fits: the log estimates, the covariance of their errors, and what was done in each year."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np

from ...survey.errors import refuse
from ..spatial.least_cost import LeastCost
from .annual import FIRST


@dataclass(frozen=True, eq=False)
class Series:
    """The years of one joint fit."""

    labels: tuple[str, ...]
    log_estimates: np.ndarray
    covariance: np.ndarray
    quantity: str
    unit: str
    definitions: tuple[dict[str, str], ...]
    footprints: tuple[Any, ...] = ()


@dataclass(frozen=True, eq=False)
class OneYear:
    """The estimate of a fit that is of one year."""

    log_estimate: float
    log_se: float
    quantity: str
    unit: str
    definition: dict[str, str]
    footprint: Any = None


def series_of(fit: Any, quantity: str | None = None, region: Any = None, kind: str | None = None) -> Series:
    """The years of a joint fit, by the kind of model."""
    model = fit.model
    if hasattr(fit, "expected_animals"):
        return _of_open_space(fit, quantity, region)
    if region is not None and not hasattr(model, "sessions"):
        raise refuse("a region is for models with places", "Leave region out", value=type(model).__name__)
    if hasattr(model, "sessions"):
        return _of_sessions(fit, quantity, region)
    if hasattr(fit, "seasonal_means"):
        return _of_seasons(fit, quantity, kind or "projected")
    found = _of_occasions(fit, quantity)
    if found is None:
        raise refuse("this fit has no series of years", "Give a fit of several years, or year -> fit",
                     value=type(model).__name__)  # fmt: skip
    return found


def one_year(fit: Any, quantity: str | None = None, region: Any = None) -> OneYear:
    """The estimate of one year: density of spatial fits, else the first of density, abundance, occupancy."""
    if hasattr(fit.model, "sessions"):
        if len(fit.model.sessions) != 1:
            raise refuse(
                "a fit of one year has one session", "Give the joint fit itself", value=len(fit.model.sessions)
            )
        series = _of_sessions(fit, quantity, region)
        sd = float(np.sqrt(series.covariance[0, 0]))
        return OneYear(float(series.log_estimates[0]), sd, series.quantity, series.unit, series.definitions[0],
                       series.footprints[0])  # fmt: skip
    rows = fit.derive()
    for name in [quantity] if quantity else FIRST:
        row = rows[rows["quantity"] == name]
        if len(row):
            one = row.iloc[0]
            with np.errstate(divide="ignore", invalid="ignore"):
                sd = float(np.sqrt(np.log1p((one["se"] / one["estimate"]) ** 2)))
                value = float(np.log(one["estimate"]))
            return OneYear(value, sd, str(name), str(one["unit"]), {"estimator": _estimator(fit.model)})
    have = ", ".join(dict.fromkeys(rows["quantity"]))
    raise refuse("the fit has no such estimate", f"It has {have}", value=quantity or "density, abundance or occupancy")


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of the years before anything is fitted; `check_comparable` reads it as it reads estimates."""

    labels: tuple[str, ...]
    definitions: tuple[dict[str, str], ...]
    footprints: tuple[Any, ...]


def known_of(model: Any, region: Any = None) -> Known | None:
    """What `series_of` will say of the years of a joint spatial model; None for other models."""
    if hasattr(model, "records"):  # an open population
        mask = model.mask if region is None else model.mask.clip(region)
        T = len(model.names)
        return Known(tuple(model.names), (_open_definition(model, mask),) * T, (mask,) * T)
    if not hasattr(model, "sessions"):
        return None
    from ..spatial import abundance as spatial

    masks = [s.mask if region is None else spatial._region_mask(model, s, region) for s in model.sessions]
    words = [_definition(model, s, mask) for s, mask in zip(model.sessions, masks, strict=True)]
    return Known(tuple(s.name for s in model.sessions), tuple(words), tuple(masks))


# ---- spatial capture-recapture -------------------------------------------------------------------------------------


def _of_sessions(fit: Any, quantity: str | None, region: Any) -> Series:
    """Density (or expected abundance) of every session: log-linear in the coefficients to first order."""
    from ..spatial import abundance as spatial

    if quantity not in (None, "density", "expected abundance", "abundance"):
        raise refuse("spatial fits are followed by density or abundance", "Use 'density'", value=quantity)
    by_animals = spatial._by_animals(fit)
    full = fit if by_animals else fit.as_full()
    values, gradients, scatter, areas, masks = [], [], [], [], []
    for session in full.model.sessions:
        mask = session.mask if region is None else spatial._region_mask(full.model, session, region)
        if by_animals:
            number, more = spatial._sum_over_animals(full, session, mask)
        else:
            number, more = spatial.expected_and_missed(full, session, mask)[0], 0.0
        values.append(number.value)
        gradients.append(number.gradient / number.value)
        scatter.append(more / number.value**2)
        areas.append(mask.area)
        masks.append(mask)
    G = np.array(gradients)
    used = np.any(G != 0.0, axis=0)
    V = G[:, used] @ full.covariance[np.ix_(used, used)] @ G[:, used].T + np.diag(scatter)
    of_area = quantity in ("expected abundance", "abundance")
    log_values = np.log(values) - (0.0 if of_area else np.log(np.array(areas) / 100.0))
    return Series(
        labels=tuple(s.name for s in full.model.sessions),
        log_estimates=log_values,
        covariance=V,
        quantity="expected abundance" if of_area else "density",
        unit="animals" if of_area else "animals per 100 km²",
        definitions=tuple(_definition(fit.model, s, m) for s, m in zip(full.model.sessions, masks, strict=True)),
        footprints=tuple(masks),
    )


def _of_open_space(fit: Any, quantity: str | None, region: Any) -> Series:
    """Density (or expected abundance) of an open population on one mask, by session."""
    from ..open_scr.series import log_series

    if quantity not in (None, "density", "expected abundance", "abundance"):
        raise refuse("spatial fits are followed by density or abundance", "Use 'density'", value=quantity)
    model = fit.model
    value, V, mask = log_series(fit, region)
    of_area = quantity in ("expected abundance", "abundance")
    words = _open_definition(model, mask)
    return Series(tuple(model.names), value if of_area else value - np.log(mask.area / 100.0), V,
                  "expected abundance" if of_area else "density", "animals" if of_area else "animals per 100 km²",
                  (words,) * len(value), (mask,) * len(value))  # fmt: skip


def _open_definition(model: Any, mask: Any) -> dict[str, str]:
    detectors = {c.detectors.kind + ", " + c.detectors.effort_unit for c in model.captures}
    varying = [name for name in model.detection.parameters if _by_session(model.formulas.get(name))]
    sharing = f"shared but for {', '.join(varying)}" if varying else "shared by all years of the fit"
    return {"footprint": footprint_words(mask), "observation": " and ".join(sorted(detectors)),
            "detection": f"{model.detection.name}, {sharing}", "estimator": _estimator(model)}  # fmt: skip


def definition_of(fit: Any) -> dict[str, str]:
    """What was done, of a spatial fit with one session."""
    session = fit.model.sessions[0]
    return _definition(fit.model, session, session.mask)


def _definition(model: Any, session: Any, mask: Any) -> dict[str, str]:
    """What was done in a year, in words that another year's must be the same as."""
    captures = session.captures
    detectors, tables = captures.detectors, captures.tables
    per_session = [name for name in model.detection.parameters if _by_session(model.formulas.get(name))]
    if len(model.sessions) == 1:
        sharing = "of its own"
    else:
        sharing = f"shared but for {', '.join(per_session)}" if per_session else "shared by all years of the fit"
    found = {
        "footprint": footprint_words(mask),
        "observation": f"{detectors.kind}, {detectors.effort_unit}",
        "detection": f"{model.detection.name}, {sharing}",
        "estimator": _estimator(model),
    }
    distance = getattr(model, "distance", None)  # other than straight lines
    if distance is not None:
        found["distance"] = repr(distance) if isinstance(distance, LeastCost) else "given"
    if tables is not None:
        how: Mapping[str, Any] = tables.provenance
        named = {"species": "species", "occasions": "occasion", "day boundary": "day boundary",
                 "independence": "independence", "identities": "identities"}  # fmt: skip
        found |= {name: str(how[key]) for name, key in named.items() if how.get(key) not in (None, "")}
        if "observer" in tables.identities:
            n = tables.identities["observer"].replace("", np.nan).nunique()
            found |= {"identities": f"{n} observer{'s' * (n > 1)}"} if n else {}
    return found


def _by_session(formula: object) -> bool:
    return isinstance(formula, str) and "session" in formula.lower()


def _estimator(model: Any) -> str:
    words = [type(model).__name__, *(str(getattr(model, k)) for k in ("likelihood",) if hasattr(model, k))]
    return ", ".join(words)


def footprint_words(mask: Any) -> str:
    """A habitat mask by its area and a fingerprint of its cells."""
    said = f"{mask.x0:.3f} {mask.y0:.3f} {mask.spacing:.6g} {mask.habitat.shape}".encode() + mask.habitat.tobytes()
    return f"{mask.area:,.0f} km², cells {sha256(said).hexdigest()[:8]}"


# ---- seasons and occasions -----------------------------------------------------------------------------------------


def _of_seasons(fit: Any, quantity: str | None, kind: str) -> Series:
    follows = fit.model.follows
    if quantity not in (None, follows):
        raise refuse(f"this model follows {follows}", f"Use quantity={follows!r}", value=quantity)
    mean = fit.seasonal_means(kind)
    history = fit.model.history
    unit = "probability" if follows == "occupancy" else "animals per site"
    words = {"footprint": f"the same {history.n_sites} sites", "estimator": _estimator(fit.model),
             "detection": "shared by all years of the fit"}  # fmt: skip
    return Series(tuple(map(str, history.season_labels)), np.log(mean),
                  fit.seasonal_covariance(kind) / np.outer(mean, mean), follows, unit,
                  (words,) * len(mean))  # fmt: skip


def _of_occasions(fit: Any, quantity: str | None) -> Series | None:
    """Numbers by occasion of an open population, or by period of a robust design."""
    model = fit.model
    if quantity not in (None, "abundance", "expected abundance"):
        raise refuse("numbers of animals are followed here", "Use quantity='abundance'", value=quantity)
    if {"N", "f0"} & set(getattr(model, "formulas", {})) and hasattr(model, "entries"):
        from ..marked.base import jacobian
        from ..marked.open_derived import numbers

        function = lambda v: np.log(numbers(model, v).sum(axis=0))  # noqa: E731
        value, V = function(fit.vector), fit.covariance_of(jacobian(function, fit.vector))
        labels = _occasion_labels(model.history, len(value))
        quantity = "expected abundance"
    else:
        rows = fit.derive()
        rows = rows[rows["quantity"] == "abundance"]
        if len(rows) < 2 or not hasattr(fit, "abundance_covariance"):
            return None
        value = np.log(rows["estimate"].to_numpy(float))
        V = np.asarray(fit.abundance_covariance()) / np.outer(np.exp(value), np.exp(value))
        labels, quantity = tuple(map(str, rows["scope"])), "abundance"
    words = {"estimator": _estimator(model), "detection": "shared by all years of the fit"}
    return Series(labels, value, V, quantity, "animals", (words,) * len(value))


def _occasion_labels(history: Any, T: int) -> tuple[str, ...]:
    known: Sequence[Any] = history.occasions["occasion"] if "occasion" in history.occasions else range(1, T + 1)
    return tuple(map(str, known))
