"""Fixes of collared animals in spatial capture-recapture: what they add to the likelihood.

A fix of an animal that lives at x is a draw from k(|u − x|)/c, the detection function's shape k with c = ∫ k(|u|) du
(`rows.FIX`), so that of n fixes of animal i at u_1 … u_n

    dependent     the animal was detected too:      A_i = ∫ D(x) Pr(history i | x) Π_j k(|u_j − x|)/c dx
    independent   it was not:                       T_i = (1/|habitat|) ∫ Π_j k(|u_j − x|)/c dx

Dependent animals share their activity centre between detections and fixes (Royle, Chandler, Sollmann & Gardner 2014,
section 13.3; Efford's "dependent" and "independent" telemetry). Independent ones say something of sigma alone: they are
not counted in n, and as animals are seldom collared at random in space, their places are not taken to say where
animals are many. Of an independent animal of unknown class T_i = Σ_c π_c T_ic; that a class is known is not evidence of
its proportion, because collars are put on the animals that one can or wants to catch.

Where distances are not straight lines k and c are along the ways, see `ranges`.

Each fix is a pass of its own at the place of the fix, with one COUNT event and no exposure in any field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ...survey.captures import CaptureHistory
from ...survey.errors import refuse
from ...survey.telemetry import Telemetry
from ..design import formula_variables
from ..detection import DetectionFunction
from .arrange import Arranged
from .classes import Classes, Proportions
from .engine.distances import Distances
from .engine.given_distance import pulled
from .engine.likelihood import SpatialLikelihood
from .engine.problem import COUNT, SpatialProblem
from .given_likelihood import GivenDistanceLikelihood
from .metric import Metric
from .rows import FIX, USABLE
from .simulate_ways import draw_along


def check_telemetry(model, captures: Sequence[CaptureHistory]) -> None:
    """That fixes and model go together.

    Raises
    ------
    SurveyError : another CRS than the detectors, a detection function of probabilities, a sigma that depends on
        detectors or occasions, covariates of animals in formulas
    """
    with_fixes = [c for c in captures if c.telemetry is not None and len(c.telemetry)]
    if not with_fixes:
        return
    detection = model.detection
    if detection.name not in USABLE:
        raise refuse(
            "fixes of collared animals need a detection function that is a hazard",
            f"Use detection={USABLE[0]!r}, or another of {', '.join(map(repr, USABLE[1:]))}",
            value=detection.name,
        )
    own = {model.classes.name} if model.classes is not None else set()
    own |= {"session", "Session", *map(str, getattr(model.session_covariates, "columns", ()))}
    own |= {str(name) for c in captures for name in c.animals.columns}
    for name in detection.parameters[1:]:
        formula = model.formulas[name]
        for variable in sorted((formula_variables(formula) if isinstance(formula, str) else set()) - own):
            raise refuse(
                f"{name} depends on {variable!r}, and a fix belongs to no detector, method or occasion",
                f"Leave {variable!r} out of the formula of {name}, or the telemetry out of the model",
                value=formula,
            )
    for c in with_fixes:
        assert c.telemetry is not None
        if c.telemetry.crs != c.detectors.crs:
            names = ["local metres" if crs is None else crs.name for crs in (c.telemetry.crs, c.detectors.crs)]
            raise refuse("fixes and detectors have different CRS", "Make both in one CRS", value="; ".join(names))


def telemetry_line(session, telemetry: Telemetry) -> str:
    """The telemetry of a session in words."""
    both = sum(name in session.captures.animals.index for name in telemetry.names)
    return f"{telemetry!r}; {both} of them were detected, {len(telemetry.names) - both} inform sigma alone"


def fixes_of(captures: CaptureHistory, dependent: bool) -> pd.DataFrame:
    """The fixes of animals that were detected, or of those that were not; empty without telemetry."""
    if captures.telemetry is None:
        return pd.DataFrame({"animal": [], "x": [], "y": []})
    fixes = captures.telemetry.fixes
    return fixes[fixes["animal"].isin(captures.animals.index) == dependent]


def with_fixes(arranged: Arranged, captures: CaptureHistory, kind: int = FIX) -> Arranged:
    """The arrays of a session with the fixes of its collared animals; the last row is then that of fixes, of a `kind`.

    The row of fixes has the covariates of the first row: they matter for none of its parameters, see `check_telemetry`.
    """
    if captures.telemetry is None or not len(captures.telemetry):
        return arranged
    p, fixes = arranged.problem, fixes_of(captures, dependent=True)
    G, F = len(p.pass_x), len(fixes)
    whose = captures.animals.index.get_indexer(pd.Index(fixes["animal"], dtype=object))
    own = np.repeat(np.arange(p.n_animals), np.diff(p.event_start))
    animal = np.concatenate([own, whose])
    order = np.argsort(animal, kind="stable")
    more = _events(G + np.arange(F))
    events = {name: np.concatenate([getattr(p, name), values])[order] for name, values in more.items()}
    place = np.argsort(order)  # of the old events among all
    personal = p.personal
    if personal is not None:
        personal = replace(personal, event=place[personal.event])
    problem = replace(
        p,
        pass_x=np.concatenate([p.pass_x, fixes["x"].to_numpy(float)]),
        pass_y=np.concatenate([p.pass_y, fixes["y"].to_numpy(float)]),
        pass_row=np.concatenate([p.pass_row, np.full(F, p.n_rows)]),
        n_rows=p.n_rows + 1,
        event_start=np.searchsorted(animal[order], np.arange(p.n_animals + 1)),
        personal=personal,
        pass_effort=None if p.pass_effort is None else np.concatenate([p.pass_effort, np.full(F, np.nan)]),
        **events,
    )
    rows = pd.concat([arranged.rows, arranged.rows.iloc[:1]], ignore_index=True)
    return replace(arranged, problem=problem, rows=rows, scale=np.append(arranged.scale, kind))


def _events(passes: np.ndarray) -> dict[str, np.ndarray]:
    """One fix each."""
    F = len(passes)
    return {
        "event_pass": passes.astype(np.int64),
        "event_kind": np.full(F, COUNT),
        "event_count": np.ones(F),
        "event_exposure": np.ones(F),
        "event_field": np.full(F, -1),
    }


@dataclass(frozen=True, eq=False)
class Collared:
    """The independent animals of one session: of each class those that may be of it."""

    names: tuple[str, ...]  # m animals
    known: np.ndarray  # int [m], class of each, -1 where it is not known
    engine: SpatialLikelihood
    log_mu: np.ndarray  # float [M], one animal spread evenly over the habitat
    row: np.ndarray  # int [C], the row of fixes of each class among the session's rows

    @classmethod
    def of(
        cls,
        captures: CaptureHistory,
        problem: SpatialProblem,
        classes: Classes | None,
        rows: int,
        strata,
        threads,
        metric: Metric | None = None,
    ) -> Collared | None:
        """From the fixes of animals that were not detected; None if there are none.

        rows : number of parameter rows of one class of the session
        strata : covariates of animals in the detection formulas
        """
        fixes = fixes_of(captures, dependent=False)
        if fixes.empty:
            return None
        if len(strata.columns):
            raise refuse(
                f"{strata.columns[0]!r} is in a formula, and it is not known of animals that were collared only",
                "Leave their fixes out, or use classes=",
                value=fixes["animal"].iloc[0],
            )
        assert captures.telemetry is not None
        names = list(dict.fromkeys(fixes["animal"]))
        size, whose = problem.raster.size, pd.Index(names).get_indexer(pd.Index(fixes["animal"]))
        order = np.argsort(whose, kind="stable")
        none = np.empty(0, np.int64)
        alone = replace(
            problem,
            pass_x=fixes["x"].to_numpy(float)[order],
            pass_y=fixes["y"].to_numpy(float)[order],
            pass_row=np.zeros(len(fixes), np.int64),
            n_rows=1,
            entry_field=none,
            entry_pass=none,
            entry_exposure=np.empty(0),
            void_weight=np.ones(1),
            weight=np.ones((len(names), 1)),
            event_start=np.searchsorted(whose[order], np.arange(len(names) + 1)),
            personal=None,
            pass_effort=None,
            **_events(np.arange(len(fixes))),
        )
        count = 1 if classes is None else len(classes.labels)
        known = np.zeros(len(names), int) if classes is None else _members(captures.telemetry, names, classes)
        even = np.full(size, -np.log(size))
        if metric is None:
            engine = SpatialLikelihood(alone, threads)
        else:
            engine = GivenDistanceLikelihood(alone, metric.place_of(alone.pass_x, alone.pass_y), threads, row=0)
        return cls(tuple(names), known, engine, even, rows * np.arange(1, count + 1) - 1)

    def evaluate(self, rows: np.ndarray, share: Proportions, distances: Distances | None = None) -> _Found:
        """At the engine's rows [R, 3] of the session, the proportions of the classes, and distances but straight."""
        engine = self.engine
        if distances is not None and isinstance(engine, GivenDistanceLikelihood):
            engine = engine.at(distances)
        ats = [engine.evaluate(self.log_mu, rows[[r], :3]) for r in self.row]
        weight = np.where(self.known[:, None] < 0, share.value, self.known[:, None] == np.arange(len(ats)))
        with np.errstate(divide="ignore"):
            terms = np.stack([at.log_a for at in ats], axis=1) + np.log(weight)
        log_t = np.logaddexp.reduce(terms, axis=1)
        likely = np.exp(terms - np.where(np.isneginf(log_t), np.inf, log_t)[:, None])
        return _Found(engine, ats, float(log_t.sum()), likely)

    def pullback(
        self, found: _Found, share: Proportions, d_rows: np.ndarray, d_share: np.ndarray
    ) -> np.ndarray | float:
        """Adds the derivatives by the engine's rows [R, 3] and by the proportions [C] of the classes.

        Returns those by the cost of every cell, 0 where distances have none.
        """
        open_, d_cost = self.known < 0, 0.0
        for c, (at, r) in enumerate(zip(found.ats, self.row, strict=True)):
            mine = found.share[:, c]
            _, over_rows, over_cost = pulled(found.engine, at, mine, 0.0)
            d_rows[r, :3] += over_rows[0]
            d_share[c] += mine[open_].sum() / max(share.value[c], 1e-300)
            d_cost = d_cost + over_cost
        return d_cost

    def curvature(
        self, found: _Found, along_rows: np.ndarray, moved: np.ndarray, bent: np.ndarray, share
    ) -> np.ndarray:
        """Second derivatives [P, P].

        along_rows [R, 3, P]; moved [C, P] and bent [C, P, P]: derivatives of the proportions along the directions
        """
        P, open_ = along_rows.shape[2], (self.known < 0).astype(float)
        second, mean = np.zeros((P, P)), np.zeros((len(self.names), P))
        still = np.zeros((self.log_mu.size, P))
        for c, (at, r) in enumerate(zip(found.ats, self.row, strict=True)):
            mine, pi = found.share[:, c], max(share.value[c], 1e-300)
            one = found.engine.curvature(at, mine, 0.0, still, along_rows[[r]])
            score = one.log_a + open_[:, None] * moved[c] / pi
            second += one.second + (score * mine[:, None]).T @ score
            second += (mine * open_).sum() * (bent[c] / pi - np.outer(moved[c], moved[c]) / pi**2)
            mean += score * mine[:, None]
            # the engine has taken off the mean of each class by itself already
        return second - mean.T @ mean


@dataclass(frozen=True)
class _Found:
    """The independent animals at one value of the parameters."""

    engine: SpatialLikelihood
    ats: Sequence
    loglik: float
    share: np.ndarray  # float [m, C], probability that each animal is of each class


def _members(telemetry: Telemetry, names: Sequence[str], classes: Classes) -> np.ndarray:
    """int [m]: the class of each animal, -1 where it is not known."""
    if classes.latent or classes.name not in telemetry.animals:
        return np.full(len(names), -1)
    label = telemetry.animals[classes.name].reindex(names)
    words = label.map(str).str.strip().where(label.notna(), "")
    found = pd.Index(classes.labels).get_indexer(pd.Index(words))
    wrong = [(name, word) for name, word, c in zip(names, words, found, strict=True) if word and c < 0]
    for name, word in wrong[:1]:
        raise refuse(
            f"the {classes.name} of the collared animal {name!r} is not one of those of the animals detected",
            f"Use one of {', '.join(map(repr, classes.labels))}, or leave it empty",
            value=word,
        )
    return found


def attached(captures: Sequence[CaptureHistory], telemetry: Telemetry | None) -> list[CaptureHistory]:
    """The captures of all sessions with the telemetry that belongs to each."""
    if telemetry is None:
        return list(captures)
    names, only = [c.session for c in captures], len(captures) == 1
    for session in sorted(set(telemetry.fixes["session"]) - {"", *names}):
        raise refuse("fixes name a session that there is not", f"Use one of {', '.join(names)}", value=session)
    for c in captures:
        if c.telemetry is not None:
            raise refuse("these captures have telemetry of their own", "Leave telemetry= out", value=c.session)
    return [replace(c, telemetry=telemetry.of_session(c.session, only)) for c in captures]


# ---- simulation ----------------------------------------------------------------------------------------------------


def draw_fixes(rng: np.random.Generator, detection: DetectionFunction, x, y, times, sigma, third=1.0) -> pd.DataFrame:
    """Fixes of animals that live at x, y [n], `times` [n] of each: DataFrame who (position), x, y.

    The distance of a fix has the density 2πr k(r)/c; it is drawn by inverting its distribution on a fine grid.
    """
    who = np.repeat(np.arange(len(x)), times)
    edges = np.linspace(0.0, 60.0, 60_001) * sigma
    middle = 0.5 * (edges[1:] + edges[:-1])
    inner = np.concatenate([[0.0], np.cumsum(middle * detection.relative(middle, sigma, third))])
    distance = np.interp(rng.random(len(who)) * inner[-1], inner, edges)
    angle = rng.uniform(0.0, 2.0 * np.pi, len(who))
    return pd.DataFrame(
        {
            "who": who,
            "x": np.asarray(x, float)[who] + distance * np.cos(angle),
            "y": np.asarray(y, float)[who] + distance * np.sin(angle),
        }
    )


def _drawn(session, values, rng: np.random.Generator, x, y, times: int, shape: Sequence[float]) -> pd.DataFrame:
    """Fixes of one animal that lives at x, y [1]."""
    if session.metric is None:
        return draw_fixes(rng, session.detection, x, y, [times], *shape)
    return draw_along(rng, session.detection, session.metric, values, x, y, times, *shape)


def simulate_like(session, values: Mapping[str, np.ndarray], at: pd.DataFrame, seen: Mapping[int, str], of_class, rng):
    """Telemetry of a simulated survey with as many collars and fixes as the session has: see `SCR.simulate`.

    values : of the session; at : activity centres; seen : {position: name} of the animals detected

    The collars of animals that were detected go to animals detected in the simulation, while there are as many; those
    of others to animals anywhere in the habitat.
    """
    captures, telemetry = session.captures, session.captures.telemetry
    if telemetry is None or not len(telemetry):
        return telemetry
    size, classes = len(session.arranged.rows), 1 if session.classes is None else len(session.classes.labels)
    shape = [[values[name][size * (c + 1) - 1] for name in session.detection.parameters[1:]] for c in range(classes)]
    count = telemetry.fixes.groupby("animal").size()
    inner = count[count.index.isin(captures.animals.index)].to_numpy()
    parts = [pd.DataFrame({"animal": [], "x": [], "y": []})]
    for i, times in zip(rng.permutation(np.array(list(seen), int)), inner, strict=False):
        place = at.iloc[[i]]
        drawn = _drawn(session, values, rng, place["x"].to_numpy(), place["y"].to_numpy(), times, shape[of_class[i]])
        parts.append(drawn.assign(animal=seen[i]))
    x, y = session.mask.centres()
    share, label = session.proportions(values).value, {}
    for name, times in count[~count.index.isin(captures.animals.index)].items():
        m, c = rng.integers(len(x)), 0 if classes == 1 else rng.choice(classes, p=share / share.sum())
        u, v = rng.uniform(-0.5, 0.5, 2) * session.mask.spacing
        drawn = _drawn(session, values, rng, np.array([x[m] + u]), np.array([y[m] + v]), times, shape[c])
        parts.append(drawn.assign(animal=f"collar {name}"))
        if session.classes is not None and not session.classes.latent:
            label[f"collar {name}"] = session.classes.labels[c]
    frame = pd.concat(parts, ignore_index=True)[["animal", "x", "y"]].assign(session=captures.session)
    animals = pd.DataFrame()
    if session.classes is not None and label:
        animals = pd.DataFrame({session.classes.name: pd.Series(label)})
    return Telemetry(frame, telemetry.crs, animals)
