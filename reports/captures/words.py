"""What spatial capture-recapture says, in sentences."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from ...models.summary import number, percent
from ...survey.detectors import LINES
from ...survey.together import methods_of
from ..analysis import Analysis
from ..texts import Texts
from ..words import change, whole
from .tables import walked

MASK = "habitat mask"  # the scope of estimates of the whole mask
FAIR, WEAK = 0.12, 0.20  # relative standard errors from which density is told to be fair, and weak


def headline(analysis: Analysis, texts: Texts) -> str:
    """Density, and the number of animals in the first region (or the mask)."""
    density = analysis.told("density", scope(analysis))
    realised = analysis.told(abundance_of(analysis), scope(analysis))
    animals = analysis.study.config.survey.common_name
    where, say = scope(analysis), texts.say
    if not analysis.study.regions:
        where = say("scope_mask", area=number(analysis.study.mask.area))
    if not analysis.fit.verdict.good and not np.isfinite(density["se"]):
        return say("headline_none", animals=animals)
    first = say(
        "headline",
        density=number(density["estimate"], 3),
        density_lower=number(density["lower"], 3),
        density_upper=number(density["upper"], 3),
        animals=animals,
        scope=where,
    )
    second = say("abundance", N=whole(realised["estimate"]), N_lower=whole(realised["lower"]),
                 N_upper=whole(realised["upper"]), animals=animals)  # fmt: skip
    return f"{first} {second}"


def data(analysis: Analysis, texts: Texts) -> str:
    """How many animals were seen, where and when."""
    captures = analysis.study.captures
    detectors, methods = captures.detectors, methods_of(captures)
    if len(methods) > 1:
        each = [one_method(m, c, texts) for m, c in methods.items()]
        seen = {"animals_seen": f"{captures.n_animals:,}", "detections": f"{captures.n_detections:,}"}
        seen |= {"spatial": f"{captures.n_spatial_recaptures:,}", "methods": texts.say("methods_between").join(each)}
        return texts.say("data_methods", **seen)
    told = dict(
        animals_seen=f"{captures.n_animals:,}",
        detections=f"{captures.n_detections:,}",
        stations=f"{len(detectors):,}",
        effort=number(float(np.nansum(detectors.effort))),
        effort_unit=texts.cell(detectors.effort_unit),
        spatial=f"{captures.n_spatial_recaptures:,}",
    )
    dates = analysis.study.dates
    if not dates:
        return texts.say("data_undated", **told)
    return texts.say("data", first=texts.day(dates[0]), last=texts.day(dates[1]), **told)


def one_method(name: str, captures, texts: Texts) -> str:
    """What one of several methods was, and found."""
    detectors = captures.detectors
    effort, unit = float(np.nansum(detectors.effort)), detectors.effort_unit
    if detectors.kind in LINES:
        effort, unit = walked(detectors), "km walked"
    told = {"method": texts.cell(name), "detections": f"{captures.n_detections:,}", "effort": number(effort)}
    return texts.say("data_method", effort_unit=texts.cell(unit), **told)


def precision(analysis: Analysis, say) -> str:
    """How precise density is, and what change such surveys could show."""
    rse = analysis.told("density", scope(analysis))["rse"]
    if not np.isfinite(rse):
        return change(rse, say)
    level = "good" if rse < FAIR else "fair" if rse < WEAK else "weak"
    return f"{say(f'precision_{level}', rse=percent(rse))} {change(rse, say)}"


def detection(analysis: Analysis, say) -> str:
    """Detection at the centre of a range, and the distance at which it has halved; empty where it varies."""
    fit = analysis.fit
    values = [fit.values[name] for name in fit.model.detection.parameters]
    if any(np.ptp(v) > 0 for v in values):
        return ""
    p = lambda d: float(fit.model.detection.probability_at(d, *(v[0] for v in values)))  # noqa: E731
    far = 20.0 * float(fit.values["sigma"][0])
    if not p(0.0) > 0 or p(far) > 0.5 * p(0.0):
        return ""
    half = brentq(lambda d: p(d) - 0.5 * p(0.0), 0.0, far)
    return say("detection", p0=number(p(0.0), 2), half=number(half / 1000, 2))


def distance(analysis: Analysis, say) -> str:
    """How distances were measured, where not by straight lines."""
    if getattr(analysis.fit.model, "distance", None) is None:
        return ""
    return say("ways", barriers="" if analysis.study.barriers is None else say("ways_barriers"))


def sightings(analysis: Analysis, say) -> str:
    """What a mark-resight model takes for granted; empty for other models."""
    if analysis.study.resight is None:
        return ""
    marking = analysis.study.resight[0]
    return say("resight_random" if marking is None else "resight")


def abundance_of(analysis: Analysis) -> str:
    """The abundance that people are told: the realised one, where it is known."""
    rows = analysis.estimates[analysis.estimates["model"] == analysis.reported]
    return "realised abundance" if (rows["quantity"] == "realised abundance").any() else "expected abundance"


def scope(analysis: Analysis) -> str:
    """The area of the headline: the first region, or else the habitat mask."""
    return next(iter(analysis.study.regions), MASK)
