"""Several methods in one session: each arranged by itself, then merged into one problem.

Every method (cameras, searches for scats, …) has its own detectors, occasions and kind of events; what they share is
the animals. Passes, parameter rows and fields are those of all methods side by side, an animal's detections are all of
its detections, and log f_i(m) is the sum over methods. An animal that one method did not detect has no detections
there. Rows have the column `method`; covariates that only some methods have are 0 (words: their first value) elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import gammaln

from ...survey.captures import CaptureHistory
from ...survey.detectors import ONCE
from ...survey.errors import refuse
from ...survey.habitat import HabitatMask
from ...survey.together import Together, methods_of
from .arrange import Arranged, Roll, arrange, last_occasions, movement
from .engine.problem import Personal, SpatialProblem
from .learned import LEARNED


@dataclass(frozen=True, eq=False)
class Method:
    """One method of a session."""

    name: str  # "" where there is only one
    captures: CaptureHistory
    arranged: Arranged  # with all animals of the session


def arrange_methods(
    captures: CaptureHistory,
    mask: HabitatMask,
    detection: str,
    variables: set[str],
    counts: str,
    ground: HabitatMask | None = None,
) -> tuple[Arranged, tuple[Method, ...]]:
    """The arrays of one session, and of each of its methods. Parameters as for `arrange`."""
    if not isinstance(captures, Together):
        found = arrange(captures, mask, detection, variables, counts, ground=ground)
        return replace(found, constant=found.constant - log_multiplicities(captures)), (Method("", captures, found),)
    names, last, sigma = captures.animals.index, last_occasions(captures), movement(captures, mask)
    found = []
    for name, one in captures.methods.items():
        animal = names.get_indexer(one.animals.index)[one.animal_index]
        until = last if captures.loses else np.full(len(names), one.n_occasions)
        arranged = arrange(one, mask, detection, variables, counts, Roll(len(names), animal, until), sigma, ground)
        found.append(Method(name, one, arranged))
    shared = _with_shared_covariates(found, variables)
    return _merged(shared, log_multiplicities(captures)), tuple(shared)


def log_multiplicities(captures: CaptureHistory) -> float:
    """Σ log(multiplicity!) over identical histories, the multinomial constant of the field's programs.

    Histories with exact places are never identical: their likelihood is a density, to which no count belongs.
    """
    histories = pd.Series("", index=captures.animals.index)
    for one in methods_of(captures).values():
        frame = one.detections
        text = frame["occasion"].astype(str) + "@" + frame["detector"] + "x" + frame["count"].astype(str)
        if one.detectors.located:
            text += " of " + frame["animal"]
        mine = text.groupby(one.animal_index).agg("|".join)
        mine.index = one.animals.index[mine.index]
        histories += "//" + mine.reindex(histories.index, fill_value="")
    return float(gammaln(histories.value_counts().to_numpy() + 1.0).sum())


def method_names(sessions: Iterable) -> list[str]:
    """The methods of all sessions, in the order given."""
    return list(dict.fromkeys(m.name for s in sessions for m in s.methods))


# ---- covariates ----------------------------------------------------------------------------------------------------


def _with_shared_covariates(methods: Sequence[Method], variables: set[str]) -> list[Method]:
    """The covariates in use in the rows of all methods, and the name of the method."""
    names = [m.name for m in methods]
    whole = pd.concat([m.arranged.covariates for m in methods], ignore_index=True)
    blank = {}
    for name in sorted((variables & set(map(str, whole.columns))) - {"t", "T", "detector", *LEARNED}):
        if all(name in m.arranged.covariates for m in methods):
            continue
        if "method" not in variables:
            having = ", ".join(m.name for m in methods if name in m.arranged.covariates)
            raise refuse(
                f"the covariate {name!r} is known for one method and not for another ({having} has it)",
                f"Write ~ method + {name}: its effect is then on the method that has it, and 0 elsewhere",
                value=name,
            )
        known = whole[name].dropna()
        blank[name] = 0.0 if known.map(lambda v: isinstance(v, (int, float, np.number))).all() else sorted(known)[0]
    return [replace(m, arranged=_labelled(m, names, blank)) for m in methods]


def _labelled(method: Method, names: list[str], blank: Mapping[str, object]) -> Arranged:
    arranged = method.arranged
    if "method" in arranged.covariates:
        raise refuse("'method' is the name of the methods, and a covariate", "Rename the covariate", value=method.name)

    def more(frame: pd.DataFrame) -> pd.DataFrame:
        lacking = {name: value for name, value in blank.items() if name not in frame}
        return frame.assign(**lacking, method=pd.Categorical([method.name] * len(frame), categories=names))

    return replace(arranged, rows=more(arranged.rows), covariates=more(arranged.covariates))


# ---- arrays --------------------------------------------------------------------------------------------------------


def _merged(methods: Sequence[Method], multiplicities: float) -> Arranged:
    """The arrays of all methods side by side."""
    parts = [m.arranged for m in methods]
    problems = [a.problem for a in parts]
    field, n_fields = _fields(methods)
    at_pass = np.cumsum([0] + [len(p.pass_x) for p in problems])
    at_row = np.cumsum([0] + [p.n_rows for p in problems])
    entry_field = np.concatenate([f[p.entry_field] for f, p in zip(field, problems, strict=True)])
    order = np.argsort(entry_field, kind="stable")
    weight, void = np.zeros((problems[0].n_animals, n_fields)), np.zeros(n_fields)
    for f, p in zip(field, problems, strict=True):
        weight[:, f], void[f] = p.weight, p.void_weight
    animal, position = _event_order(problems)
    events = {
        "event_pass": _shifted([p.event_pass for p in problems], at_pass),
        "event_field": np.concatenate([_renamed(f, p.event_field) for f, p in zip(field, problems, strict=True)]),
        **{name: np.concatenate([getattr(p, name) for p in problems]) for name in OF_EVENTS},
    }
    problem = replace(
        problems[0],
        pass_x=np.concatenate([p.pass_x for p in problems]),
        pass_y=np.concatenate([p.pass_y for p in problems]),
        pass_row=_shifted([p.pass_row for p in problems], at_row),
        n_rows=int(at_row[-1]),
        entry_field=entry_field[order],
        entry_pass=_shifted([p.entry_pass for p in problems], at_pass)[order],
        entry_exposure=np.concatenate([p.entry_exposure for p in problems])[order],
        void_weight=void,
        weight=weight,
        event_start=np.searchsorted(animal[position], np.arange(problems[0].n_animals + 1)).astype(np.int64),
        personal=_personal(problems, at_pass, position),
        pass_effort=_efforts(problems),
        **{name: values[position] for name, values in events.items()},
    )
    return Arranged(
        problem,
        pd.concat([a.rows for a in parts], ignore_index=True),
        parts[0].code,
        parts[0].covariates,
        parts[0].learned,
        np.concatenate([a.scale for a in parts]),
        sum(a.constant for a in parts) - multiplicities,
    )


OF_EVENTS = ("event_kind", "event_count", "event_exposure")


def _renamed(number: np.ndarray, field: np.ndarray) -> np.ndarray:
    """Fields of events by their number in the whole; -1 stays."""
    return np.where(field < 0, -1, number[field])


def _shifted(arrays: Sequence[np.ndarray], by: np.ndarray) -> np.ndarray:
    """Indices into the arrays of each method as indices into those of all."""
    return np.concatenate([a + b for a, b in zip(arrays, by, strict=False)])


def _efforts(problems: Sequence[SpatialProblem]) -> np.ndarray | None:
    """Of clumped counts; NaN for passes of the other methods."""
    if all(p.pass_effort is None for p in problems):
        return None
    none = [np.full(len(p.pass_x), np.nan) for p in problems]
    return np.concatenate([n if p.pass_effort is None else p.pass_effort for n, p in zip(none, problems, strict=True)])


def _fields(methods: Sequence[Method]) -> tuple[list[np.ndarray], int]:
    """The number that each method's fields have in the whole; fields that all animals share are one.

    Those of traps stay as they are, also where nothing was caught: being caught once there is a matter of one field.
    """
    found, used, common = [], 0, -1
    for method in methods:
        p, alone = method.arranged.problem, method.captures.detectors.kind in ONCE
        number = np.empty(p.n_fields, np.int64)
        for f in range(p.n_fields):
            if not alone and p.void_weight[f] == 1.0 and np.all(p.weight[:, f] == 1.0):
                if common < 0:
                    common, used = used, used + 1
                number[f] = common
            else:
                number[f], used = used, used + 1
        found.append(number)
    return found, used


def _event_order(problems: Sequence[SpatialProblem]) -> tuple[np.ndarray, np.ndarray]:
    """Whose each event is, methods side by side; and the positions of the events, animal by animal."""
    animal = np.concatenate([np.repeat(np.arange(p.n_animals), np.diff(p.event_start)) for p in problems])
    return animal, np.argsort(animal, kind="stable")


def _personal(problems: Sequence[SpatialProblem], at_pass: np.ndarray, position: np.ndarray) -> Personal | None:
    """Personal exposure of all methods; `position`: the events in their new order."""
    if all(p.personal is None for p in problems):
        return None
    new = np.empty(len(position), np.int64)
    new[position] = np.arange(len(position))
    at_event = np.cumsum([0] + [len(p.event_pass) for p in problems])
    own, caught = [], []
    for j, p in enumerate(problems):
        q = p.personal
        if q is None:
            continue
        whose = np.repeat(np.arange(p.n_animals), np.diff(q.start))
        own.append(pd.DataFrame({"who": whose, "pass": q.passes + at_pass[j], "exposure": q.exposure}))
        event = np.repeat(new[q.event + at_event[j]], np.diff(q.event_start))
        every = {"event": event, "pass": q.event_pass + at_pass[j], "exposure": q.event_exposure}
        caught.append((new[q.event + at_event[j]], pd.DataFrame(every)))
    mine = pd.concat(own).sort_values("who", kind="stable")
    events = np.sort(np.concatenate([e for e, _ in caught])).astype(np.int64)
    then = pd.concat([t for _, t in caught]).sort_values("event", kind="stable")
    return Personal(
        start=np.searchsorted(mine["who"], np.arange(problems[0].n_animals + 1)),
        passes=mine["pass"].to_numpy(np.int64),
        exposure=mine["exposure"].to_numpy(float),
        event=events,
        event_start=np.searchsorted(then["event"], np.append(events, np.iinfo(np.int64).max)),
        event_pass=then["pass"].to_numpy(np.int64),
        event_exposure=then["exposure"].to_numpy(float),
    )
