"""The arguments of `SCR`, checked and completed: names, formulas, captures with their masks, classes."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import pandas as pd

from ...survey.captures import CaptureHistory
from ...survey.errors import refuse
from ...survey.habitat import HabitatMask
from ...survey.together import methods_of
from ..design import Design, formula_variables
from .arrange import detection_frame
from .classes import LATENT, Classes
from .learned import LEARNED
from .metric import COST, along_ways, with_cost

MEANING = {
    "D": ("log", "animals per 100 km²", "density"),
    "lambda0": ("log", "detections per unit of effort", "expected detections at a detector on the activity centre"),
    "g0": ("logit", "probability per unit of effort", "detection probability at a detector on the activity centre"),
    "sigma": ("log", "m", "spatial scale of detection"),
    "z": ("log", "", "shape of the detection function"),
    "w": ("log", "m", "width of the detection function"),
    "size": ("log", "", "clumping of counts: their variance is mean + mean²/size"),
    "pID": ("logit", "", "proportion of sightings of marked animals that are identified"),
    "cost": ("log", "", "cost of a metre, relative to one where the covariates are 0"),
}


MOST_SIZE = 1e4  # of clumped counts: with a mean of 100 their variance is 1 % above that of Poisson counts


def one_of(what: str, value: str, allowed) -> None:
    """Refuses a value that is not among those allowed, with the nearest of them."""
    if value in allowed:
        return
    near = difflib.get_close_matches(str(value), list(allowed), n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"Use one of {', '.join(map(repr, allowed))}"
    raise refuse(f"{what} is not known", hint, value=value)


def formulas_of(detection, D, given, counts: str = "poisson") -> dict[str, str | float]:
    """Formula or fixed value of each parameter of the model, D first."""
    own = (*detection.parameters, *(("size",) if counts == "negative binomial" else ()))
    defaults = dict.fromkeys(own, "~ 1")
    for name, formula in given.items():
        if formula is None or (name == "sigma" and formula == "~ 1"):
            continue
        if name == "size" and name not in own:
            fix = "Use counts='negative binomial', or leave size out"
            raise refuse("size is a parameter of negative-binomial counts", fix, value=formula)
        if name not in own:
            has = ", ".join(detection.parameters)
            raise refuse(f"{detection.name!r} has no parameter {name!r}", f"Its parameters are {has}", value=formula)
        defaults[name] = formula
    return {"D": D} | defaults


def other_formulas(model, formulas: dict[str, str | float]) -> dict:
    """What a model is made with to have other formulas, or fixed values, of the parameters named."""
    for name in formulas:
        one_of("parameter", name, (*model.formulas, *([COST] if along_ways(model.distance) else [])))
    links = {name: link for name, link in model.links.items() if name != "pID" or isinstance(model.formulas[name], str)}
    found = {"formulas": model.formulas | formulas, "links": links}  # a number of pID has a link of its own
    return found | ({"distance": with_cost(model.distance, formulas[COST])} if COST in formulas else {})


def paired(captures, mask) -> tuple[list[CaptureHistory], list[HabitatMask]]:
    """Captures and masks as lists of one length, with sessions that can be told apart."""
    captures = [captures] if not isinstance(captures, Sequence) else list(captures)
    masks = [mask] * len(captures) if not isinstance(mask, Sequence) else list(mask)
    for given, kind in (*((c, CaptureHistory) for c in captures), *((m, HabitatMask) for m in masks)):
        if not isinstance(given, kind):
            what = f"SCR takes captures and then a habitat mask; a {kind.__name__} is needed"
            raise refuse(what, "Write models.SCR(captures, mask)", value=type(given).__name__)
    if len(masks) != len(captures):
        raise refuse(
            "there is not one habitat mask per session",
            "Give one for all or one each",
            value=(len(captures), len(masks)),
        )
    names = [c.session for c in captures]
    if len(set(names)) < len(names):
        twice = sorted({n for n in names if names.count(n) > 1})
        raise refuse("two sessions have the same name", "Give each CaptureHistory its own session=", value=twice)
    if not sum(c.n_animals for c in captures):
        raise refuse(
            "no animal was detected, so there is nothing to fit", "Check the species, the dates and the identities"
        )
    return captures, masks


def classes_of(classes: str | Classes | None, captures, variables: set[str]) -> Classes | None:
    """The classes of the animals: those asked for, or those that a detection formula implies."""
    implied = sorted(variables & set(LATENT))
    if classes is None and not implied:
        return None
    found = Classes.of(classes or implied[0], captures)
    for name in implied:
        if name != found.name:
            raise refuse("a formula has latent classes that are not those of the model", "Use one", value=name)
    if found.latent and found.name not in variables:
        raise refuse(
            "classes that nobody knows must differ in detection", f"Use {found.name} in a formula", value=found.name
        )
    return found


def covariates_of_animals(captures, variables: set[str], classes: Classes | None, likelihood: str) -> list[str]:
    """Covariates of the animals in the detection formulas."""
    own = set() if classes is None else {classes.name}
    of_animals = {str(name) for c in captures for name in c.animals.columns} - own
    found = sorted(variables & of_animals)
    every = [one for c in captures for one in methods_of(c).values()]
    elsewhere = {name for one in every for name in detection_frame(one, variables)} | {"method", *LEARNED}
    for name in sorted(variables & elsewhere & (set(found) | own)):
        raise refuse(f"{name!r} is a covariate of animals and something else", "Rename one of them", value=name)
    if found and likelihood != "conditional":
        raise refuse(
            f"{found[0]!r} is a covariate of animals, and of those never detected it is not known",
            f"Use classes={found[0]!r} if it has few values, or likelihood='conditional'",
            value=found[0],
        )
    return found


def check_relative(formula: object, link: str, frame: pd.DataFrame, session_covariates) -> None:
    """Under the conditional likelihood D is relative: each session's level comes from its number of animals."""
    fix = "Use likelihood='full'"
    if not isinstance(formula, str):
        raise refuse("D cannot be fixed under the conditional likelihood, which derives it", fix, value=formula)
    if link != "log":
        raise refuse("D has the log link under the conditional likelihood", fix, value=link)
    if Design.of(formula, frame, "D").terms[:1] != ("Intercept",):
        raise refuse("the formula of D needs its intercept under the conditional likelihood", fix, value=formula)
    of_sessions = {"session", "Session", *map(str, getattr(session_covariates, "columns", ()))}
    for name in sorted(formula_variables(formula) & of_sessions):
        raise refuse(
            "D cannot depend on the session under the conditional likelihood: each has its own density there",
            fix,
            value=name,
        )
