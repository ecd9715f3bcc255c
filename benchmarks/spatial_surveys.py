"""Simulated surveys of four sizes for benchmarks of the spatial likelihood.

A square study area with a regular array of detectors and a buffer of four sigma; animals are placed uniformly and
detected exactly as the model says. Sizes are those of a large camera survey (M) up to a country (XL).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from uncia import models, survey
from uncia.models.spatial.engine.problem import BINARY, COUNT, MULTI, Raster, SpatialProblem

SPACING = 100.0  # m
KINDS = {"count": COUNT, "proximity": BINARY, "multi": MULTI}
OCCASIONS = {"count": 1, "proximity": 20, "multi": 5}


@dataclass(frozen=True)
class Size:
    """side: cells along the study area; detectors along a side; animals expected to be detected; sigma in cells."""

    side: int
    detectors: int
    animals: int
    sigma: float


SIZES = {
    "S": Size(side=45, detectors=10, animals=50, sigma=3.0),
    "M": Size(side=224, detectors=20, animals=300, sigma=8.0),
    "L": Size(side=1000, detectors=45, animals=1500, sigma=15.0),
    "XL": Size(side=3163, detectors=100, animals=8000, sigma=15.0),
}


@dataclass(frozen=True)
class Survey:
    """A problem, covariates of density [M, 4] (constant first), and the truth that made it."""

    problem: SpatialProblem
    covariates: np.ndarray
    beta: np.ndarray
    rows: np.ndarray

    @property
    def log_mu(self) -> np.ndarray:
        return self.covariates @ self.beta

    def model(self, kind: str, threads: int | None = None) -> models.SCR:
        """The same as a user has it: captures, a mask with three covariates, and a model of six parameters."""
        p, occasions = self.problem, OCCASIONS[kind]
        names = np.array([f"d{k}" for k in range(p.pass_x.size)])
        animal, count = np.repeat(np.arange(p.n_animals), np.diff(p.event_start)), p.event_count.astype(int)
        frame = pd.DataFrame({"animal": animal, "detector": names[p.event_pass], "occasion": 1, "count": count})
        if kind != "count":  # which of the occasions is of no account: they are alike
            by = ["animal", "detector"] if kind == "proximity" else "animal"
            frame = frame.loc[frame.index.repeat(frame["count"])].assign(count=1)
            frame["occasion"] = frame.groupby(by).cumcount() + 1
        effort = np.ones((occasions, names.size))
        detectors = survey.Detectors(tuple(names), p.pass_x, p.pass_y, effort, kind)
        raster = p.raster
        fields = {f"c{j}": (("y", "x"), self.covariates[:, j].reshape(raster.habitat.shape)) for j in (1, 2, 3)}
        at = {"y": SPACING * np.arange(raster.habitat.shape[0]), "x": SPACING * np.arange(raster.habitat.shape[1])}
        mask = survey.HabitatMask(
            raster.x0, raster.y0, SPACING, raster.habitat, covariates=xr.Dataset(fields, coords=at)
        )
        captures = survey.CaptureHistory(frame.astype({"animal": str}), detectors)
        return models.SCR(captures, mask, "~ c1 + c2 + c3", detection="hazard half-normal", threads=threads)


def simulate(size: str, kind: str, seed: int = 1) -> Survey:
    """One survey; kind is "count", "proximity" (20 occasions) or "multi" (5 occasions)."""
    rng = np.random.default_rng(seed)
    scale = SIZES[size]
    raster = Raster(0.0, 0.0, SPACING, np.ones((scale.side, scale.side), bool))
    margin = 4 * scale.sigma
    along = np.linspace(margin, scale.side - 1 - margin, scale.detectors) * SPACING
    pass_x, pass_y = (a.ravel() for a in np.meshgrid(along, along))
    pass_x, pass_y = (a + rng.uniform(-0.5, 0.5, a.size) * SPACING for a in (pass_x, pass_y))
    sigma = scale.sigma * SPACING
    occasions = OCCASIONS[kind]
    gap = along[1] - along[0]
    lambda0 = 4.0 * gap**2 / (2 * np.pi * sigma**2) / occasions  # about four detections of an animal in the array
    rows = np.array([[lambda0, sigma, 1.0]])
    beta = np.array([0.0, 0.3, -0.2, 0.1])
    covariates = _covariates(raster)
    animal, detector, _, count = _captures(
        rng, scale, raster, covariates @ beta, pass_x, pass_y, rows[0], kind, occasions
    )
    seen, index = np.unique(animal, return_inverse=True)
    beta[0] = np.log(scale.animals / np.exp(covariates @ beta).sum())
    return Survey(
        _problem(kind, occasions, raster, pass_x, pass_y, seen.size, index, detector, count), covariates, beta, rows
    )


def _covariates(raster: Raster) -> np.ndarray:
    """Constant and three smooth fields over the cells, mean 0 and variance about 1."""
    x, y = raster.centres()
    u, v = x / np.ptp(x), y / np.ptp(y)
    return np.stack([np.ones_like(u), np.sin(5 * u + 1), np.cos(4 * v), np.sin(3 * (u + v))]).T  # column by column


def _captures(rng, scale, raster, log_weight, pass_x, pass_y, row, kind, occasions):
    """Detections (animal, detector, occasion, count) until about `scale.animals` animals have been detected."""
    weight = np.exp(log_weight)
    cumulative = np.cumsum(weight) / weight.sum()
    x, y = raster.centres()
    found = []
    n_seen, number = 0, 0
    while n_seen < scale.animals:
        cell = np.searchsorted(cumulative, rng.uniform())
        near = np.flatnonzero(np.maximum(abs(pass_x - x[cell]), abs(pass_y - y[cell])) < 8 * row[1])
        hazard = row[0] * np.exp(-((pass_x[near] - x[cell]) ** 2 + (pass_y[near] - y[cell]) ** 2) / (2 * row[1] ** 2))
        number += 1
        if kind == "count":
            count = rng.poisson(hazard * occasions)
            hit = np.flatnonzero(count)
            events = [(number, near[k], 0, count[k]) for k in hit]
        elif kind == "proximity":
            count = rng.binomial(occasions, -np.expm1(-hazard))
            hit = np.flatnonzero(count)
            events = [(number, near[k], 0, count[k]) for k in hit]
        else:
            total = hazard.sum()
            caught = np.flatnonzero(rng.uniform(size=occasions) < -np.expm1(-total)) if near.size else []
            events = [(number, near[rng.choice(near.size, p=hazard / total)], s, 1) for s in caught]
        found += events
        n_seen += bool(events)
    return (np.array(column) for column in zip(*found, strict=True))


def _problem(kind, occasions, raster, pass_x, pass_y, n, animal, detector, count) -> SpatialProblem:
    order = np.argsort(animal, kind="stable")
    passes = pass_x.size
    competing = kind == "multi"
    # occasions of a competing-hazards survey are alike here: one field, to which everybody is exposed five times
    exposure = 1.0 if competing or kind == "proximity" else float(occasions)
    times = float(occasions) if kind != "count" else 1.0
    return SpatialProblem(
        raster=raster,
        detection="hazard half-normal",
        pass_x=pass_x,
        pass_y=pass_y,
        pass_row=np.zeros(passes, int),
        n_rows=1,
        entry_field=np.zeros(passes, int),
        entry_pass=np.arange(passes),
        entry_exposure=np.full(passes, exposure),
        void_weight=np.array([times]),
        weight=np.full((n, 1), times),
        event_start=np.searchsorted(animal[order], np.arange(n + 1)),
        event_pass=detector[order],
        event_kind=np.full(animal.size, KINDS[kind]),
        event_count=count[order].astype(float),
        event_exposure=np.full(animal.size, exposure),
        event_field=np.full(animal.size, 0 if competing else -1),
    )
