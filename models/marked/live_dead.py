"""Survival from live encounters, dead recoveries and sightings between occasions (Burnham 1993; Barker 1997)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import pandas as pd

from ...survey.encounters import MISSING, EncounterHistory
from ...survey.errors import refuse
from ...survey.live_dead import FOUND_DEAD, RESIGHTED, LiveDeadHistory
from ..derived import table
from ..fit import Fit
from ..kernels.survival_events import event_chains
from ..parameters import ParameterSet
from .base import MarkedModel, by_axis, used_covariates
from .layout import blocks, build, lay_out, occasion_factors, profiles, summed
from .losses import with_losses

TINY = 1e-300
NAMES = ("t", "T", "age", "cohort")
HERE, AWAY, DYING, DEAD = range(4)  # at risk of a live encounter; alive elsewhere; died in this interval; before it
WORDS = {
    "S": ("survival", "probability to survive, wherever the animal is"),
    "p": ("detection", "probability that a living animal that is here is met"),
    "r": ("recovery", "probability that an animal that dies is found and reported"),
    "F": ("fidelity", "probability that a survivor that was here stays"),
    "R": ("sighting", "probability that a survivor is seen alive between two occasions"),
    "R_prime": (
        "sighting before death",
        "probability to be seen alive in the interval of a death that is not reported",
    ),
    "F_prime": ("return", "probability that a survivor that was away comes back"),
}
START = {"S": 0.6, "p": 0.5, "r": 0.3, "F": 0.8, "R": 0.2, "R_prime": 0.1, "F_prime": 0.2}


class Burnham(MarkedModel[Fit]):
    """Joint live encounters and dead recoveries (Burnham 1993), MARK's "Burnham".

    Parameters
    ----------
    history : LiveDeadHistory without sightings between occasions
    S : formula of survival per unit of time over the interval that follows occasion t; over animal and occasion
        covariates (of occasion t), `t` (factor), `T`, `age` (occasions since the first encounter, the first interval is
        0) and `cohort` (factor); or a number
    p : formula of detection on occasion t + 1, over the same (covariates of occasion t + 1, `age` from 1)
    r : formula of the probability that an animal that dies in the interval after occasion t is found and reported
    F : formula of fidelity from occasion t to t + 1: who leaves does not come back, but can still be found dead

    Notes
    -----
    The log-likelihood is the sum of log Pr(history | first encounter) over animals, without constants, as in MARK.
    S is true survival, which `CJS` is not. Only S goes with the length of an interval; F, like r, is of the whole
    interval. n of AICc is the number of releases. With S, r, p and F all by occasion some are confounded; the verdict
    names them.

    Raises
    ------
    SurveyError : nobody released, sightings alive between occasions, a formula or name is wrong
    """

    data_class = None

    def __init__(
        self,
        history: LiveDeadHistory,
        S: str | float = "~ 1",
        p: str | float = "~ 1",
        r: str | float = "~ 1",
        F: str | float = "~ 1",
    ):
        if isinstance(history, LiveDeadHistory) and history.n_resighted:
            raise refuse("animals were seen alive between occasions", "Use Barker", value=history.n_resighted)
        self._make(history, {"S": S, "p": p, "r": r, "F": F})

    def _make(self, history: LiveDeadHistory, formulas: dict[str, str | float], options: dict | None = None) -> None:
        if not isinstance(history, LiveDeadHistory):
            raise refuse("this model needs reports between occasions", "Give a LiveDeadHistory", value=repr(history))
        live = history.live
        if not (live.intervals > 0).all():
            raise refuse("occasions of one primary period are 0 apart", "Take the periods: by_period()")
        if not (live.frequency @ ~(live.removed & (live.first == live.last))):
            raise refuse("nobody was released", "Survival needs animals that are released")
        self.history, self.formulas, self.options = history, formulas, options or {}
        self._arrange()
        self._rows()

    def _arrange(self) -> None:
        h, live, T = self.history, self.history.live, self.history.n_occasions
        used = used_covariates(self.formulas, h.animals, h.occasions, NAMES)
        keys = (live.first, live.states == MISSING, h.between == MISSING)
        self.groups, self.profile, (first, missed, silent) = profiles(h.animals, used, *keys)
        G, numbers = len(self.groups), np.arange(T)
        self.first_of = np.asarray(first)
        alive = numbers[None, :] >= self.first_of[:, None]  # interval t begins on occasion t
        self.reported, self.looked = ~silent & alive, ~missed[:, 1:] & alive[:, :-1]
        cohort = pd.Series(pd.Categorical([str(f + 1) for f in first], [str(t + 1) for t in numbers]))
        self.layouts = {}
        for name, formula in self.formulas.items():
            start, length = (1, T - 1) if name == "p" else (0, T - 1 if name in ("F", "F_prime") else T)
            which = slice(start, start + length)
            age = np.maximum(numbers[None, :length] - self.first_of[:, None], 0) + start
            known = by_axis(0, self.groups) | {"cohort": (0, cohort)}
            known |= by_axis(1, occasion_factors(numbers[which] + 1))
            known |= by_axis(1, h.occasions.iloc[which].reset_index(drop=True)) if len(h.occasions) else {}
            known["age"] = (None, pd.Series(age.ravel().astype(float)))
            cells = {"p": self.looked, "r": self.reported, "R": self.reported, "R_prime": self.reported}
            self.layouts[name] = lay_out(formula, (G, length), known, cells.get(name, alive[:, :length]))
        unit = f"probability per {live.interval_unit}"
        units = {"S": unit, "p": "probability per occasion"}
        made = [
            build(n, f, self.layouts[n], "logit", units.get(n, "probability per interval"), WORDS[n][1])
            for n, f in self.formulas.items()
        ]
        self.parameters = ParameterSet(made)

    def events(self) -> np.ndarray:
        """int [rows of the history, T + 1]: 2 × report + met at each position, the last one the end of the study."""
        h, live, T = self.history, self.history.live, self.history.n_occasions
        met = np.hstack([live.states > 0, np.zeros((len(live.states), 1), bool)])
        report = np.hstack([np.zeros((len(live.states), 1)), np.maximum(h.between, 0)]).astype(int)
        event = 2 * report + met
        event[np.arange(T + 1)[None, :] < live.first[:, None]] = 0
        event[np.arange(len(event)), live.first] = 1
        return event

    def _rows(self) -> None:
        """Different histories of events."""
        live, T, event = self.history.live, self.history.n_occasions, self.events()
        key = np.column_stack([self.profile, live.removed, live.first, live.last, event])
        different, row = np.unique(key, axis=0, return_inverse=True)
        self.row_of_history = row.ravel()
        self.frequency = np.bincount(row.ravel(), live.frequency, len(different))
        self.row_profile, self.lost, self.first, self.last = different[:, :4].T.astype(np.int64)
        self.event = np.ascontiguousarray(different[:, 4:].astype(np.int8))
        self.end = np.where(self.lost == 1, self.last, T)

    # ---- likelihood -------------------------------------------------------------------------------------------

    def cells(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Every parameter by profile and interval [G, T]; 0 where nothing could be seen, F = 1 at the end."""
        T, found = self.history.n_occasions, {}
        for name in WORDS:
            if name not in values:
                found[name] = np.zeros((len(self.groups), T))
                continue
            cell = np.clip(values[name], TINY, 1.0)[self.layouts[name].index]
            found[name] = np.hstack([cell, np.zeros((len(cell), T - cell.shape[1]))])
        found["p"][:, :-1] *= self.looked
        for name in ("r", "R", "R_prime"):
            found[name] = found[name] * self.reported
        if self.options.get("F_prime") == "F":
            found["F_prime"] = found["F"].copy()
        found["F"][:, -1] = 1.0
        found["over"] = found["S"] ** self.history.intervals
        return found

    def _chain(self, c):
        """Transitions [G, T, 4, 4] and probabilities of the events [G, T, 4, 6], event = 2 × report + met."""
        shape = c["over"].shape
        move, see = np.zeros((*shape, 4, 4)), np.zeros((*shape, 4, 6))
        for state, stays in ((HERE, c["F"]), (AWAY, c["F_prime"])):
            move[..., state, HERE], move[..., state, AWAY] = c["over"] * stays, c["over"] * (1.0 - stays)
            move[..., state, DYING] = 1.0 - c["over"]
        move[..., DYING, DEAD] = move[..., DEAD, DEAD] = see[..., DEAD, 0] = 1.0
        for report, chance in ((0, 1.0 - c["R"]), (RESIGHTED, c["R"])):
            see[..., HERE, 2 * report], see[..., HERE, 2 * report + 1] = chance * (1.0 - c["p"]), chance * c["p"]
            see[..., AWAY, 2 * report] = chance
        see[..., DYING, 2 * FOUND_DEAD] = c["r"]
        see[..., DYING, 2 * RESIGHTED] = (1.0 - c["r"]) * c["R_prime"]
        see[..., DYING, 0] = (1.0 - c["r"]) * (1.0 - c["R_prime"])
        return move, see

    @cached_property
    def _parts(self) -> list[Burnham]:
        return blocks(self, ("looked", "reported", "first_of"), ("event", "first", "end", "frequency"))

    def evaluate(self, values, gradient):
        return summed(self._parts, values, gradient)

    def _evaluate(self, values, gradient) -> tuple[float, dict[str, np.ndarray] | None]:
        c = self.cells(values)
        move, see = self._chain(c)
        begin = np.zeros((*move.shape[:1], move.shape[1] + 1, 6, 4))
        begin[:, :, 1, HERE] = 1.0
        d_begin, d_move, d_see = np.zeros_like(begin), np.zeros_like(move), np.zeros_like(see)
        log_rows = np.empty(len(self.event))
        at = (self.event, self.first, self.end, self.row_profile, begin, move, see, self.frequency)
        event_chains(*at, log_rows, d_begin, d_move, d_see)
        loglik = float(self.frequency @ log_rows)
        return loglik, self._pull(values, c, d_move, d_see) if gradient else None

    def _pull(self, values, c, d_move, d_see) -> dict[str, np.ndarray]:
        """From derivatives by the chain to those by the parameters' rows."""
        by = {"S": np.zeros_like(c["S"])}
        for state, name in ((HERE, "F"), (AWAY, "F_prime")):
            d, stays = d_move[..., state, :], c[name]
            by["S"] += d[..., HERE] * stays + d[..., AWAY] * (1.0 - stays) - d[..., DYING]
            by[name] = c["over"] * (d[..., HERE] - d[..., AWAY])
        if self.options.get("F_prime") == "F":
            by["F"] = by["F"] + by["F_prime"]
        length = self.history.intervals
        by["S"] *= length * c["S"] ** (length - 1.0)
        here, away, dying = d_see[..., HERE, :], d_see[..., AWAY, :], d_see[..., DYING, :]
        quiet, seen = 0, 2 * RESIGHTED
        p, R, r, R_prime = c["p"], c["R"], c["r"], c["R_prime"]
        by["p"] = (1.0 - R) * (here[..., 1] - here[..., 0]) + R * (here[..., seen + 1] - here[..., seen])
        of_here = (1.0 - p) * (here[..., seen] - here[..., quiet]) + p * (here[..., seen + 1] - here[..., quiet + 1])
        by["R"] = of_here + away[..., seen] - away[..., quiet]
        alive = R_prime * dying[..., seen] + (1.0 - R_prime) * dying[..., quiet]
        by["r"] = dying[..., 2 * FOUND_DEAD] - alive
        by["R_prime"] = (1.0 - r) * (dying[..., seen] - dying[..., quiet])
        by["p"][:, :-1] *= self.looked
        for name in ("r", "R", "R_prime"):
            by[name] = by[name] * self.reported
        pulled = {}
        for name in values:
            index = self.layouts[name].index
            pulled[name] = np.bincount(index.ravel(), by[name][:, : index.shape[1]].ravel(), len(values[name]))
        return pulled

    def start(self):
        return self.parameters.start({name: START[name] for name in self.formulas})

    @property
    def sample_size(self) -> int:
        """Releases: live encounters after which the animal was let go."""
        live = self.history.live
        return int(live.frequency @ ((live.states > 0).sum(axis=1) - live.removed))

    # ---- what follows from a fit ------------------------------------------------------------------------------

    def derive(self, fit, interval):
        """Every parameter for every combination of its covariates."""
        return table(self.parameter_rows(fit, {name: WORDS[name][0] for name in self.formulas}, interval))

    def simulate(self, values: Mapping[str, object], seed: int) -> LiveDeadHistory:
        """Histories after the first encounters of the data, drawn at natural-scale values (as for `at`).

        On each occasion as large a share of those met is lost as in the data.
        """
        rng = np.random.default_rng(seed)
        h, live, T = self.history, self.history.live, self.history.n_occasions
        move, see = self._chain(self.cells(self.parameters.values(self.coefficients_for(values))))
        animal = np.repeat(np.arange(len(live.states)), live.frequency)
        g, first, n = self.profile[animal], live.first[animal], len(animal)
        states = np.where(live.states[animal] < 0, MISSING, 0)
        states[np.arange(n), first] = 1
        between = np.where(h.between[animal] < 0, MISSING, 0)
        state = np.zeros(n, int)
        for t in range(T):
            since = first <= t
            cut = np.cumsum(move[g, t, state], axis=1)[:, :-1]
            state = np.where(since, (rng.random((n, 1)) > cut).sum(axis=1), state)
            event = (rng.random((n, 1)) > np.cumsum(see[g, t, state], axis=1)[:, :-1]).sum(axis=1)
            between[:, t] = np.where(since & (between[:, t] == 0), event // 2, between[:, t])
            if t + 1 < T:
                states[:, t + 1] = np.where(since & (states[:, t + 1] == 0), event % 2, states[:, t + 1])
        animals = h.animals.iloc[animal].set_axis([str(i + 1) for i in range(n)], axis=0)
        states, removed = with_losses(states, live, rng)
        drawn = EncounterHistory(states, None, removed, animals, h.occasions, live.intervals, live.interval_unit)
        unknown = drawn.removed[:, None] & (np.arange(T) >= drawn.last[:, None]) & (between > 0)
        between = np.where(unknown, 0, between)
        return LiveDeadHistory(drawn, between, h.last_interval)


class Barker(Burnham):
    """Live encounters, dead recoveries and sightings alive between occasions (Barker 1997), MARK's "Barker".

    Parameters
    ----------
    history : LiveDeadHistory
    S, p, r, F : as for `Burnham`; F is now the probability that a survivor that was at risk of a live encounter on
        occasion t is so on t + 1
    R : formula of the probability that an animal that survives the interval after occasion t is seen in it
    R_prime : formula of the probability that an animal that dies in it and is not reported dead was seen before (R')
    F_prime : formula of the probability that a survivor that was away on occasion t is back on t + 1 (F'); 0 (default)
        is permanent emigration, "F" random emigration: as F

    Notes
    -----
    As for `Burnham`. An animal that was seen alive and found dead in one interval counts as found dead, as in MARK.
    """

    def __init__(
        self,
        history: LiveDeadHistory,
        S: str | float = "~ 1",
        p: str | float = "~ 1",
        r: str | float = "~ 1",
        F: str | float = "~ 1",
        R: str | float = "~ 1",
        R_prime: str | float = "~ 1",
        F_prime: str | float = 0.0,
    ):
        formulas = {"S": S, "p": p, "r": r, "F": F, "R": R, "R_prime": R_prime}
        formulas |= {} if F_prime == "F" else {"F_prime": F_prime}
        self._make(history, formulas, {"F_prime": "F"} if F_prime == "F" else {})

    def __repr__(self) -> str:
        return super().__repr__()[:-1] + (", F_prime = F)" if self.options else ")")
