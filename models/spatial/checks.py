"""What a spatial fit says about itself: recaptures, the habitat mask, precision."""

from __future__ import annotations

import numpy as np

from ...survey.habitat import HabitatMask
from ..verdict import Outcome, Remark
from .abundance import scope_of
from .arrange import movement, raster_of
from .fit_checks.ghosts import ghost_remarks
from .nodes import error_of

FEW_ANIMALS, FEW_RECAPTURES = 10, 10
BUFFER_BIAS = 0.01  # relative bias of D that a buffer may cause
COARSE = 0.8  # cells wider than this many sigma blur the detection function
SEARCH_ERROR = 2e-3  # of exposure to a search, relative to its largest
IMPRECISE = 0.30  # relative standard error


def remarks(fit, ghosts: bool = True) -> tuple[Remark, ...]:
    """Remarks beyond convergence; the first two need the data alone. `ghosts`: also of animals seen once."""
    sessions = fit.model.sessions
    fixes = sum(len(s.captures.telemetry) for s in sessions if s.captures.telemetry is not None)
    recaptures = sum(s.captures.n_spatial_recaptures for s in sessions)
    found = [*_recaptures(recaptures, fixes), *_animals(fit.model.sample_size)]
    found += _single_catch([method.captures for session in sessions for method in session.methods])
    if fit.method != "given values":
        for session in sessions:
            found += [*_buffer(fit, session), *_spacing(fit, session), *_search(fit, session)]
        found += [*_precision(fit), *_clumping(fit)]
    found += ghost_remarks(fit) if ghosts else []
    return tuple(dict.fromkeys(found))


def _recaptures(r: int, fixes: int):
    if fixes >= FEW_RECAPTURES:
        return  # sigma is known from collars
    if r == 0:
        yield Remark(Outcome.NO_RECAPTURES)
    elif r < FEW_RECAPTURES:
        yield Remark(Outcome.FEW_RECAPTURES, f"{r} spatial recapture{'s' if r > 1 else ''}")


def _animals(n: int):
    if n < FEW_ANIMALS:
        yield Remark(Outcome.FEW_ANIMALS, f"{n} animal{'s were' if n > 1 else ' was'} detected")


def _single_catch(captures):
    """Single-catch traps have the likelihood of multi-catch traps (Efford, Borchers & Byrom 2009), capped ones none.

    Of all sessions and methods together.
    """
    full = {kind: _share_full([c for c in captures if c.detectors.kind == kind]) for kind in ("single", "capped")}
    if full["single"] is not None:
        yield Remark(
            Outcome.APPROXIMATE,
            "Single-catch traps are treated as multi-catch traps, an approximation: density is little affected while "
            f"few traps are full (here {100 * full['single']:.0f} %), but the intercept of detection comes out too low",
        )
    if full["capped"] is not None:
        yield Remark(
            Outcome.APPROXIMATE,
            "Detectors that record one animal per occasion are treated as proximity detectors, an approximation: an "
            "animal that comes to one that has recorded another is lost, and density is too low where many are full "
            f"(here {100 * full['capped']:.0f} %)",
        )


def _share_full(captures) -> float | None:
    """Detections per detector and occasion in use; None without any."""
    used = sum(np.count_nonzero(c.detectors.used) for c in captures)
    return sum(len(c.detections) for c in captures) / used if used else None


def search_error(fit, session, cells: int = 150) -> float:
    """Largest relative error of the animals' exposure to searches that comes from cutting them into pieces."""
    values, mask, worst = fit.values_of(session), session.mask, 0.0
    some = np.unique(np.linspace(0, mask.size - 1, min(cells, mask.size)).astype(int))
    x, y = (z[some] for z in mask.centres())
    sigma = movement(session.captures, mask)
    for m in session.methods:
        if m.captures.detectors.located:
            shape = [float(np.min(values[name])) for name in fit.model.detection.parameters[1:]]
            where = (raster_of(mask), x, y)
            worst = max(worst, error_of(m.captures.detectors, sigma, fit.model.detection, [*shape, 1.0][:2], *where))
    return worst


def _search(fit, session):
    """Lines and areas are cut into pieces as fine as the spread of the detections asks for, before sigma is known."""
    error = search_error(fit, session)
    if error > SEARCH_ERROR:
        yield Remark(
            Outcome.APPROXIMATE,
            f"Searches are cut into pieces that are too long for sigma: exposure to them is off by up to {error:.1g} "
            "of its largest value. Use a smooth detection function (hazard half-normal), or more detections",
        )


def _buffer(fit, session):
    """A buffer that cuts off part of the area that animals are detected from makes D too high."""
    if session.mask.buffer is None or session.metric is not None:  # beyond the mask other distances are not known
        return
    bias, enough = buffer_bias(fit, session)
    if bias > BUFFER_BIAS:
        much = f"about {100 * bias:.1f} %" if bias < 1 else "more than 100 %"
        use = f"a buffer of {enough:,.0f} m" if np.isfinite(enough) else "a detection function with a lighter tail"
        yield Remark(
            Outcome.MASK_SMALL,
            f"with its buffer of {session.mask.buffer:,.0f} m density comes out {much} too high; use {use}",
        )


def buffer_bias(fit, session, reach: float = 2.5) -> tuple[float, float]:
    """Relative bias of D from the mask's buffer, and the buffer that brings it below half a per cent.

    The effective sampling area is added up by distance from the nearest detector on a mask `reach` times as wide; the
    share beyond the buffer is what the mask lacks. The second number is infinite when even that mask is too small.
    """
    detectors, buffer = session.captures.detectors, session.mask.buffer
    widest = reach * buffer
    west, south, east, north = detectors.bounds
    extent = max(east - west, north - south) + 2 * widest
    wide = HabitatMask.around(detectors, widest, max(session.mask.spacing, extent / 160.0))
    p = session.detection_probability(fit.values_of(session), wide)
    nearest = detectors.away(*wide.centres())
    order = np.argsort(nearest)
    share = np.cumsum(p[order]) / p.sum()
    within = np.searchsorted(nearest[order], buffer, side="right")
    bias = 1.0 / max(share[within - 1] if within else 0.0, 1e-12) - 1.0
    at = np.searchsorted(share, 1.0 / 1.005)
    enough = nearest[order][min(at, len(share) - 1)]
    return float(bias), float(np.ceil(enough / 100.0) * 100.0) if enough < 0.95 * widest else float("inf")


def _spacing(fit, session):
    scale = _scale(fit, session)
    if session.mask.spacing > COARSE * scale:
        yield Remark(
            Outcome.MASK_COARSE,
            f"its cells are {session.mask.spacing:,.0f} m wide and animals are detected over a scale of "
            f"{scale:,.0f} m; use a spacing of {0.5 * scale:,.0f} m or less",
        )


def _scale(fit, session) -> float:
    """sigma of the half-normal function that has the same median distance of detection, metres.

    Half of a half-normal's detections fall within sqrt(2 log 2) sigma, which makes shapes comparable.
    """
    values, shape = fit.model.values_of(fit.values, session), fit.model.detection
    parameters = [float(np.median(values[name])) for name in shape.parameters[1:]]
    d = np.linspace(0.0, 50.0, 20_001)[1:] * parameters[0]
    share = np.cumsum(d * shape.relative(d, *[*parameters, 1.0][:2]))
    return float(d[np.searchsorted(share, 0.5 * share[-1])] / np.sqrt(2.0 * np.log(2.0)))


UNKNOWN = 1e3  # upper over lower limit of a size beyond which it is not known


def _clumping(fit):
    """A size that could be anything above some value: the counts are not clumped."""
    if "size" not in fit.model.formulas or fit.model.parameters["size"].design is None:
        return
    rows = fit.predict("size")
    if not (rows["upper"] / rows["lower"] <= UNKNOWN).any():
        least = float(np.nan_to_num(rows["lower"], nan=rows["estimate"]).min())
        words = (
            f"counts beyond that of Poisson counts: size may be anything above {least:.2g}, and Poisson counts will do"
        )
        yield Remark(Outcome.NO_VARIATION, words)


def _precision(fit):
    table = fit.derive("wald")
    whole = {scope_of(fit.model, session) for session in fit.model.sessions}  # not of a sex alone
    worst = table.loc[(table["quantity"] == "density") & table["scope"].isin(whole), "rse"].max()
    if np.isfinite(worst) and worst > IMPRECISE:
        yield Remark(
            Outcome.IMPRECISE,
            f"The relative standard error of density is {100 * worst:.0f} %: two such surveys can only tell a "
            "halving or doubling apart, if that",
        )
