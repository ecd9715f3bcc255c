"""The arguments of `OpenSCR`, checked and completed: sessions, the years between them, formulas, classes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...survey.captures import CaptureHistory
from ...survey.errors import refuse
from ..design import formula_variables
from ..spatial.arguments import formulas_of
from ..spatial.classes import Classes
from .movement import Movement

RECRUITMENT = {
    "f": ("log", "recruits per animal and year", "recruitment"),
    "growth": ("log", "ratio per year", "growth rate of the population, lambda"),
    "gamma": ("logit", "probability per year", "seniority: an animal was here a year before"),
    "b": ("log", "ratio to the animals of the first session", "animals that arrived since the session before"),
}
OF_INTERVALS = {
    "phi": ("logit", "probability per year", "probability to survive and stay in the mask"),
    "move_scale": ("log", "m from a session to the next", "scale of the moves of activity centres"),
    "move_shape": ("log", "", "shape of the moves of activity centres"),
} | RECRUITMENT
LIKELIHOODS = ("full", "conditional", "survival", "survival without place")


def all_formulas(
    detection, D, phi, recruitment, detecting, moves, pmix, *, movement: Movement, classes: Classes | None, alone: bool
) -> dict[str, str | float]:
    """Formula or fixed value of each parameter; `alone`: the likelihood is of survival only."""
    chosen = {name: formula for name, formula in recruitment.items() if formula is not None}
    if len(chosen) > 1:
        raise refuse("recruitment is one parameter", f"Give one of {', '.join(recruitment)}", value=list(chosen))
    if alone:
        if chosen:
            raise refuse("survival alone has no recruitment in it", "Use likelihood='full'", value=list(chosen))
        if isinstance(D, str) and formula_variables(D):
            raise refuse("survival alone has no density in it", "Leave D out", value=D)
    elif not chosen:
        chosen = {"f": "~ 1"}
    found = formulas_of(detection, D, detecting)
    found = {"D": found.pop("D"), "phi": phi} | chosen | found
    for name in movement.parameters:
        found[name] = moves[name] if moves[name] is not None else "~ 1"
    for name, formula in moves.items():
        if formula is not None and name not in movement.parameters:
            raise refuse(f"the movement {movement.kernel!r} has no {name}", "Leave it out", value=formula)
    if classes is not None and classes.latent:
        raise refuse("open models know no latent classes", "Use a covariate of the animals", value=classes.name)
    if classes is not None and not alone:
        found["pmix"] = pmix if pmix is not None else classes.formula
    if classes is None and pmix is not None:
        raise refuse("pmix is the proportion of a class, and there are no classes", "Give classes=", value=pmix)
    return found


def members(classes: Classes | None, captures, names: pd.Index, alone: bool) -> np.ndarray:
    """int [n]: the class of each animal over all sessions, -1 where it is not known."""
    if classes is None:
        return np.zeros(len(names), int)
    member = np.full(len(names), -1)
    for c in captures:
        for i, k in zip(names.get_indexer(c.animals.index), classes.member(c), strict=True):
            if k >= 0 and member[i] not in (-1, k):
                raise refuse(
                    f"animal {names[i]!r} has another {classes.name} in session {c.session!r}",
                    "Correct its covariate or its identity",
                    value=classes.labels[k],
                )
            member[i] = k if k >= 0 else member[i]
    if alone and (member < 0).any():
        who = names[member < 0]
        raise refuse("survival by classes needs the class of every animal", "Fill it in", value=", ".join(who[:5]))
    return member


def sessions_of(captures) -> list[CaptureHistory]:
    """The captures of two sessions or more, with names that differ."""
    if isinstance(captures, CaptureHistory) or not all(isinstance(c, CaptureHistory) for c in captures):
        raise refuse("an open model takes the captures of several sessions", "Give a list of CaptureHistory")
    captures = list(captures)
    if len(captures) < 2:
        raise refuse("an open population needs two primary sessions", "Use SCR for one", value=len(captures))
    names = [c.session for c in captures]
    for name in names:
        if names.count(name) > 1:
            raise refuse("two sessions have the same name", "Give each CaptureHistory its own session=", value=name)
    if not sum(c.n_animals for c in captures):
        raise refuse(
            "no animal was detected, so there is nothing to fit", "Check the species, the dates and the identities"
        )
    return captures


def years_between(names: list[str], intervals) -> np.ndarray:
    """Length of the intervals between sessions."""
    if intervals is None:
        if not all(name.isdecimal() and 1000 <= int(name) < 3000 for name in names):
            raise refuse(
                "the years between the sessions are not known",
                "Name the sessions by years, or give intervals=, e.g. [1, 1, 2]",
                value=", ".join(names),
            )
        intervals = np.diff([int(name) for name in names])
    years = np.asarray(intervals, float)
    if years.shape != (len(names) - 1,) or not (np.isfinite(years) & (years > 0)).all():
        fix = f"Give {len(names) - 1} positive numbers of years, with the sessions in the order of time"
        raise refuse("the intervals do not fit the sessions", fix, value=years.tolist())
    return years
