"""Survival of animals in states: places, breeding, age and stage (Arnason 1973; Schwarz et al. 1993)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from ...survey.encounters import MISSING, EncounterHistory
from ...survey.errors import Problems, refuse
from ..derived import Estimate, table, z_of
from ..design import formula_variables
from ..fit import Fit
from ..kernels.survival_states import multistate_rows
from ..parameters import ParameterSet
from .base import MarkedModel, by_axis, jacobian, scopes, used_covariates
from .layout import Layout, build, lay_out, occasion_factors, profiles
from .losses import with_losses

TINY = 1e-300
NAMED = 5  # animals, of those with a state that cannot be
NAMES = ("t", "T", "state", "move", "origin", "target")
MORE = {
    "delta": ("logit", "probability per encounter", "probability that the state of an animal that is met is recorded"),
    "wrong": ("logit", "probability per recorded state", "probability that a recorded state is not the true one"),
    "pi": ("log", "odds", "odds of a state against the first one, of animals met for the first time"),
}  # of `Multievent`


class MultistateFit(Fit):
    """A `Fit` of `Multistate`: adds the probabilities of moving between states."""

    def transitions(self) -> pd.DataFrame:
        """Probability to be in a state on the next occasion, given survival: from states that leave a choice.

        Returns
        -------
        DataFrame with the covariates of psi, origin, target, estimate, se, lower, upper (95 % on the logit scale)
        """
        return self.model.transition_table(self)


class Multistate(MarkedModel[MultistateFit]):
    """Arnason-Schwarz model: survival, detection and movement by state.

    Parameters
    ----------
    history : EncounterHistory whose states 1..S say in which state an animal was met
    phi : formula of survival from occasion t to t + 1, by the state on occasion t: animal and occasion covariates,
        `t`, `T` and `state` (factor); or a number
    p : formula of detection on occasion t + 1, by the state on it
    psi : formula of the odds of moving against staying (against the first possible target where an animal cannot stay),
        given survival; over `move` (factor, "juvenile to adult"), `origin`, `target`, and those of phi. Every move its
        own by default.
    moves : bool [S, S], which moves are possible, from row to column; all by default. A row with one possible target
        needs no psi: cubs all become subadults.
    states : names of the states; "1", "2", … by default

    Notes
    -----
    The log-likelihood is the sum of log Pr(history | first encounter and its state), without constants, as in MARK.
    States are recognised without error. Intervals must be equal: a move over two intervals is not one of either.

    Raises
    ------
    SurveyError : a state that is not named, an encounter that no move explains, unequal intervals, a wrong formula
    """

    fit_class = MultistateFit

    def __init__(
        self,
        history: EncounterHistory,
        phi: str | float = "~ state",
        p: str | float = "~ 1",
        psi: str | None = None,
        *,
        moves: np.ndarray | None = None,
        states: Sequence[str] | None = None,
    ):
        self._make(history, phi, p, psi, moves, states, {})

    def _make(self, history, phi, p, psi, moves, states, more: dict[str, str | float]) -> None:
        if history.n_occasions < 2 or not (history.first < history.n_occasions - 1).any():
            raise refuse("survival needs animals met before the last occasion", "Give more occasions")
        if not np.allclose(history.intervals, history.intervals[0]):
            raise refuse(
                "intervals differ", "Put in occasions on which nobody looked, or use CJS", value=history.intervals
            )
        self.history, self.S = history, self._count_states(history, states)
        self.states = tuple(map(str, states)) if states is not None else tuple(str(s + 1) for s in range(self.S))
        self.moves = np.ones((self.S, self.S), bool) if moves is None else np.asarray(moves, bool)
        if self.moves.shape != (self.S, self.S) or not self.moves.any(axis=1).all():
            raise refuse("moves must say for every state where it can lead", f"Give {self.S} × {self.S}", value=moves)
        self.options = {"moves": self.moves, "states": self.states}
        stay = np.arange(self.S)
        self.reference = np.where(self.moves[stay, stay], stay, self.moves.argmax(axis=1))
        self.free = self.moves.copy()
        self.free[stay, self.reference] = False
        self.formulas = {"phi": phi if self.S > 1 or phi != "~ state" else "~ 1", "p": p}
        if self.free.any():
            self.formulas["psi"] = psi if psi is not None else ("~ move" if self.free.sum() > 1 else "~ 1")
        elif psi is not None:
            raise refuse("no move is free, so there is no psi", "Leave psi out", value=psi)
        self.formulas |= more
        self._arrange()
        self._check()

    def _count_states(self, history, states) -> int:
        met = int(history.states.max())
        if states is not None and len(states) < met:
            who = history.animals.index[(history.states > len(states)).any(axis=1)]
            fix = f"Name all of them, or correct those of {', '.join(map(str, who[:NAMED]))}"
            raise refuse(f"there are {met} states in the data", fix, value=tuple(states))
        return max(met, len(states or ()))

    def _arrange(self) -> None:
        h, T, S = self.history, self.history.n_occasions, self.S
        used = used_covariates(self.formulas, h.animals, h.occasions, NAMES)
        self.groups, self.profile, _ = profiles(h.animals, used, np.zeros(len(h.states)))
        G = len(self.groups)
        begin = np.full(G, T)
        np.minimum.at(begin, self.profile, h.first)
        alive = np.arange(T - 1)[None, :] >= begin[:, None]
        labels = pd.Series(pd.Categorical(self.states, self.states))
        self.layouts, self._index = {}, {}
        for name, start in (("phi", 0), ("p", 1)):
            self._lay_out_one(name, alive, self._along(start) | {"state": (2, labels)}, S)
        if "psi" in self.formulas:
            origin, target = np.nonzero(self.free)
            words = [f"{self.states[i]} to {self.states[j]}" for i, j in zip(origin, target, strict=True)]
            known = self._along(0) | {"move": (2, pd.Series(pd.Categorical(words, words)))}
            for name, which in (("origin", origin), ("target", target)):
                known[name] = (2, pd.Series(pd.Categorical([self.states[i] for i in which], self.states)))
            self._lay_out_one("psi", alive, known, len(words))
        self._different_moves()
        self._lay_out_more()
        unit = f"probability per {h.interval_unit}"
        words = {
            "phi": ("logit", unit, "probability to survive and stay in the study"),
            "p": ("logit", "probability per occasion", "probability that a living animal is met"),
            "psi": ("log", "odds", "odds of a move against staying, given survival"),
        } | MORE
        self.parameters = ParameterSet([build(n, f, self.layouts[n], *words[n]) for n, f in self.formulas.items()])
        useful = h.first < T - 1
        key = np.column_stack([self.profile[useful], h.removed[useful], h.states[useful]])
        different, row = np.unique(key, axis=0, return_inverse=True)
        self.row_of_history = np.full(len(useful), -1)  # -1 where a history says nothing
        self.row_of_history[useful] = row.ravel()
        self.frequency = np.bincount(row.ravel(), h.frequency[useful], len(different))
        self.row_profile, self.lost = different[:, 0].astype(np.int64), different[:, 1] == 1
        self.seen = np.ascontiguousarray(different[:, 2:].astype(np.int8))
        self.first = (self.seen > 0).argmax(axis=1).astype(np.int64)
        self.last = (T - 1 - (self.seen[:, ::-1] > 0).argmax(axis=1)).astype(np.int64)
        self.end = np.where(self.lost, self.last, T - 1).astype(np.int64)

    def _lay_out_one(self, name: str, alive: np.ndarray, known: dict, width: int) -> None:
        """Layout [G, T - 1, width] of a parameter; for the kernel its index has one profile where all are alike."""
        formula, (G, steps) = self.formulas[name], alive.shape
        by_animal = isinstance(formula, str) and formula_variables(formula) & set(map(str, self.groups.columns))
        if not by_animal:
            alive = np.atleast_2d(alive.any(axis=0))
            known = {n: (axis, v) for n, (axis, v) in known.items() if axis != 0}
        cells = np.broadcast_to(alive[:, :, None], (len(alive), steps, width))
        found = lay_out(formula, cells.shape, known, cells)
        self._index[name] = np.ascontiguousarray(found.index)
        self.layouts[name] = Layout(found.frame, np.broadcast_to(found.index, (G, steps, width)))

    def _different_moves(self) -> None:
        """The different matrices of moves: rows of psi [M, free moves], and which one is where [G or 1, T - 1]."""
        if "psi" not in self.formulas:
            self._matrix = np.zeros((1, self.history.n_occasions - 1), np.int32)
            return
        index = self._index["psi"]
        self._moves, which = np.unique(index.reshape(-1, index.shape[2]), axis=0, return_inverse=True)
        self._matrix = np.ascontiguousarray(which.reshape(index.shape[:2]).astype(np.int32))

    def _lay_out_more(self) -> None:
        """Layouts of parameters that `Multievent` has besides."""

    def _along(self, start: int, stop: int | None = None) -> dict:
        """Covariates of animals and of the occasions from `start` on, T - 1 of them by default."""
        h, end = self.history, self.history.n_occasions - 1 + start if stop is None else stop
        known = by_axis(0, self.groups) | by_axis(1, occasion_factors(np.arange(1 + start, 1 + end)))
        if len(h.occasions):
            known |= by_axis(1, h.occasions.iloc[start:end].reset_index(drop=True))
        return known

    def _check(self) -> None:
        """Every encounter must be reachable from the one before; all animals of which one is not are told at once."""
        steps, bad = {1: self.moves}, Problems()
        h = self.history
        label = (
            h.occasions["occasion"].astype(str).tolist() if "occasion" in h.occasions else range(1, h.n_occasions + 1)
        )
        for row in self.seen:
            met = np.flatnonzero((row > 0) & (row <= self.S))
            for a, b in pairwise(met):
                for k in range(2, b - a + 1):
                    steps.setdefault(k, steps[k - 1] @ self.moves)
                if not steps[b - a][row[a] - 1, row[b] - 1]:
                    origin, target = self.states[row[a] - 1], self.states[row[b] - 1]
                    between = h.states[:, a + 1 : b]
                    same = (h.states[:, [a, b]] == row[[a, b]]).all(axis=1)
                    who = h.animals.index[same & ((between <= 0) | (between > self.S)).all(axis=1)]
                    when = f"{origin!r} on occasion {label[a]} and as {target!r} on occasion {label[b]}"
                    fix = "No possible moves lead there: correct the state, or moves="
                    bad.add(f"an animal was met as {when}", fix, value=", ".join(map(str, who[:NAMED])))
        bad.raise_any()

    # ---- likelihood -------------------------------------------------------------------------------------------

    def cells(self, values):
        """phi, p [G, T - 1, S] and psi [G, T - 1, S, S]."""
        phi = np.clip(values["phi"], TINY, 1.0)[self.layouts["phi"].index]
        p = np.clip(values["p"], TINY, 1.0 - 1e-16)[self.layouts["p"].index]
        return phi, p, self._psi(values, phi.shape)

    def _psi(self, values, shape) -> np.ndarray:
        matrices = self._matrices(values)
        return np.broadcast_to(matrices[self._matrix], (*shape, self.S))

    def _matrices(self, values) -> np.ndarray:
        """The different matrices of moves [M, S, S]."""
        odds = np.zeros((len(self._moves) if "psi" in values else 1, self.S, self.S))
        odds[:, np.arange(self.S), self.reference] = 1.0
        if "psi" in values:
            odds[:, *np.nonzero(self.free)] = values["psi"][self._moves]
        return odds / odds.sum(axis=2, keepdims=True)

    def evaluate(self, values, gradient) -> tuple[float, Mapping[str, np.ndarray] | None]:
        phi, p = np.clip(values["phi"], TINY, 1.0), np.clip(values["p"], TINY, 1.0 - 1e-16)
        psi = self._matrices(values)
        log_rows, d_phi, d_p, d_psi = np.empty(len(self.seen)), *(np.zeros_like(a) for a in (phi, p, psi))
        at = (self.seen, self.first, self.end, self.row_profile, self._index["phi"], self._index["p"], self._matrix)
        multistate_rows(*at, phi, p, psi, self.frequency, log_rows, d_phi, d_p, d_psi)
        loglik = float(self.frequency @ log_rows)
        if not gradient:
            return loglik, None
        adjoints = {"phi": d_phi, "p": d_p}
        if "psi" in values:
            odds = np.maximum(values["psi"][self._moves], TINY)
            by_odds = (psi * (d_psi - (d_psi * psi).sum(axis=2, keepdims=True)))[:, *np.nonzero(self.free)] / odds
            adjoints["psi"] = np.bincount(self._moves.ravel(), by_odds.ravel(), len(values["psi"]))
        return loglik, adjoints

    def _pull_psi(self, values, psi, d_psi) -> np.ndarray:
        """Derivatives by the odds of the free moves, from those by the probabilities."""
        by_log_odds = psi * (d_psi - (d_psi * psi).sum(axis=3, keepdims=True))
        odds = np.maximum(values["psi"][self.layouts["psi"].index], TINY)
        return by_log_odds[:, :, *np.nonzero(self.free)] / odds

    def _pull(self, values, cells) -> dict[str, np.ndarray]:
        """Derivatives by the rows of every parameter, from those by its cells."""
        return {n: np.bincount(self.layouts[n].index.ravel(), d.ravel(), len(values[n])) for n, d in cells.items()}

    def start(self):
        returned = float(self.frequency @ (self.last > self.first)) / max(float(self.frequency.sum()), 1.0)
        return self.parameters.start(
            {"phi": np.clip(returned + 0.1, 0.1, 0.9), "p": 0.6, "psi": 0.5 / max(self.S - 1, 1)}
        )

    @property
    def sample_size(self) -> int:
        """Releases: encounters before the last occasion after which the animal was let go."""
        return int(self.frequency @ ((self.seen[:, :-1] > 0).sum(axis=1) - self.lost))

    # ---- what follows from a fit ------------------------------------------------------------------------------

    def transition_table(self, fit) -> pd.DataFrame:
        """See `MultistateFit.transitions`."""
        if "psi" not in self.formulas:
            return pd.DataFrame(columns=["origin", "target", "estimate", "se", "lower", "upper"])
        index = self.layouts["psi"].index
        each, where = np.unique(index.reshape(-1, index.shape[2]), axis=0, return_index=True)
        choice = self.moves & (self.moves.sum(axis=1, keepdims=True) > 1)
        shape = self.layouts["phi"].index.shape

        def moves(vector: np.ndarray) -> np.ndarray:
            psi = self._psi(self.parameters.values(vector), shape).reshape(-1, self.S, self.S)
            return psi[where][:, choice].ravel()

        value = moves(fit.vector)
        with np.errstate(invalid="ignore", divide="ignore"):
            se = np.sqrt(np.diag(fit.covariance_of(jacobian(moves, fit.vector))))
            eta, width = np.log(value / (1.0 - value)), z_of() * se / (value * (1.0 - value))
            lower, upper = 1.0 / (1.0 + np.exp(width - eta)), 1.0 / (1.0 + np.exp(-width - eta))
        frame = self.layouts["psi"].frame.drop(columns=["move", "origin", "target"], errors="ignore")
        rows = [
            frame.iloc[free[0]].to_dict() | {"origin": self.states[i], "target": self.states[j]}
            for free in each
            for i, j in np.argwhere(choice)
        ]
        return pd.DataFrame(rows).assign(estimate=value, se=se, lower=lower, upper=upper)

    def derive(self, fit, interval):
        """Survival and detection by their covariates, and moves."""
        rows = self.parameter_rows(fit, {"phi": "survival", "p": "detection"}, interval) + self._more_rows(
            fit, interval
        )
        moved = self.transition_table(fit)
        for words, r in zip(
            scopes(moved.drop(columns=["estimate", "se", "lower", "upper"])), moved.itertuples(), strict=True
        ):
            limits = (r.estimate, r.se, r.lower, r.upper)
            rows.append(Estimate("move", "probability given survival", words, *limits, "95% Wald on the logit"))
        return table(rows)

    def _more_rows(self, fit, interval) -> list[Estimate]:
        return []

    def simulate(self, values: Mapping[str, object], seed: int) -> EncounterHistory:
        """Histories after the first encounters of the data, drawn at natural-scale values (as for `at`).

        On each occasion as large a share of those met is lost as in the data.
        """
        rng = np.random.default_rng(seed)
        phi, p, psi = self.cells(self.parameters.values(self.coefficients_for(values)))
        h, T = self.history, self.history.n_occasions
        animal = np.repeat(np.arange(len(h.states)), h.frequency)
        g, first = self.profile[animal], h.first[animal]
        state = h.states[animal, first].astype(int) - 1
        states = np.where(h.states[animal] < 0, MISSING, 0).astype(np.int8)
        states[np.arange(len(animal)), first] = state + 1
        alive = np.ones(len(animal), bool)
        for t in range(T - 1):
            since = first <= t
            alive &= ~since | (rng.random(len(animal)) < phi[g, t, state])
            moved = (rng.random((len(animal), 1)) > np.cumsum(psi[g, t, state], axis=1)[:, :-1]).sum(axis=1)
            state = np.where(since, moved, state)
            met = since & alive & (rng.random(len(animal)) < p[g, t, state]) & (states[:, t + 1] == 0)
            states[met, t + 1] = state[met] + 1
        animals = h.animals.iloc[animal].set_axis([str(i + 1) for i in range(len(animal))], axis=0)
        states, removed = with_losses(states, h, rng)
        return EncounterHistory(states, None, removed, animals, h.occasions, h.intervals, h.interval_unit)
