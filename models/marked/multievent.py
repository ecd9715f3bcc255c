"""Survival of animals in states that are not always seen, or not always rightly (Pradel 2005; Kendall et al. 2012)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import pandas as pd

from ...survey.encounters import MISSING, EncounterHistory
from ...survey.errors import refuse
from ..derived import Estimate, z_of
from ..kernels.survival_events import event_chains
from .base import jacobian, scopes
from .layout import blocks, lay_out, summed
from .losses import with_losses
from .multistate import TINY, Multistate


class Multievent(Multistate):
    """Multistate model with state uncertainty.

    Parameters
    ----------
    history : EncounterHistory whose states 1..S say in which state an animal was met, and S + 1 that it was met and
        its state not known
    states : names of the S states
    phi, p, psi, moves : as for `Multistate`
    delta : formula of the probability that the state of an animal that is met is recorded; over animal and occasion
        covariates, `t`, `T` and `state` (the true one)
    pi : formula of the odds of a state against the first one, for animals met for the first time; over the same, with
        `state` for the others. Every state its own by default.
    wrong : formula of the probability that a recorded state is not the true one; 0 by default
    mistakes : bool [S, S], which true state (row) can be taken for which (column); all by default, with equal chances

    Notes
    -----
    The log-likelihood is the sum of log Pr(events | met first on this occasion); unlike that of `Multistate` it has the
    state of the first encounter in it: with all states known it is that of `Multistate` plus that of a multinomial.

    Raises
    ------
    SurveyError : as for `Multistate`; a code above S + 1; a wrong state that no mistake explains
    """

    def __init__(
        self,
        history: EncounterHistory,
        states: Sequence[str],
        phi: str | float = "~ state",
        p: str | float = "~ 1",
        psi: str | None = None,
        *,
        delta: str | float = "~ 1",
        pi: str | None = None,
        wrong: str | float | None = None,
        moves: np.ndarray | None = None,
        mistakes: np.ndarray | None = None,
    ):
        S = len(states)
        if S < 2:
            raise refuse("uncertain states are at least two", "Use CJS for one", value=tuple(states))
        self.mistakes = ~np.eye(S, dtype=bool) if mistakes is None else np.asarray(mistakes, bool)
        if self.mistakes.shape != (S, S) or self.mistakes[np.arange(S), np.arange(S)].any():
            raise refuse(
                "mistakes must say which state can be taken for which other", f"Give {S} × {S}", value=mistakes
            )
        more = {"delta": delta, "pi": ("~ 0 + state" if S > 2 else "~ 1") if pi is None else pi}
        more |= {} if wrong is None else {"wrong": wrong}
        self._make(history, phi, p, psi, moves, states, more)
        self.options |= {"mistakes": self.mistakes}

    def _count_states(self, history, states) -> int:
        if int(history.states.max()) > len(states) + 1:
            what = f"states are 1 to {len(states)}, and {len(states) + 1} for an animal of unknown state"
            raise refuse(what, "Correct the history, or name all states", value=int(history.states.max()))
        return len(states)

    def _lay_out_more(self) -> None:
        T, S, G = self.history.n_occasions, self.S, len(self.groups)
        begin = np.full(G, T)
        np.minimum.at(begin, self.profile, self.history.first)
        here = np.broadcast_to((np.arange(T)[None, :] >= begin[:, None])[:, :, None], (G, T, S))
        labels = pd.Series(pd.Categorical(self.states, self.states))
        known = self._along(0, T)
        for name in ("delta", "wrong"):
            if name in self.formulas:
                self.layouts[name] = lay_out(self.formulas[name], (G, T, S), known | {"state": (2, labels)}, here)
        new = np.zeros((G, T), bool)  # cells in which somebody is met for the first time
        useful = self.history.first < T - 1
        new[self.profile[useful], self.history.first[useful]] = True
        others = pd.Series(pd.Categorical(self.states[1:], self.states[1:]))
        cells = np.broadcast_to(new[:, :, None], (G, T, S - 1))
        self.layouts["pi"] = lay_out(self.formulas["pi"], (G, T, S - 1), known | {"state": (2, others)}, cells)

    def _check(self) -> None:
        if "wrong" not in self.formulas:
            super()._check()

    # ---- likelihood -------------------------------------------------------------------------------------------

    def _new_states(self, values) -> np.ndarray:
        """Shares of the states [G, T, S] among animals met for the first time."""
        odds = values["pi"][self.layouts["pi"].index]
        odds = np.concatenate([np.ones((*odds.shape[:2], 1)), odds], axis=2)
        return odds / odds.sum(axis=2, keepdims=True)

    def _shown(self, values) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What an animal that is met shows [G, T, S, 1 + S] (unknown, states), delta [G, T, S], confusion of states."""
        delta = np.clip(values["delta"], TINY, 1.0)[self.layouts["delta"].index]
        right = np.broadcast_to(np.eye(self.S), (*delta.shape, self.S))
        if "wrong" in values:
            w = values["wrong"][self.layouts["wrong"].index][..., None]
            right = right * (1.0 - w) + self._mistaken * w
        return np.concatenate([1.0 - delta[..., None], delta[..., None] * right], axis=3), delta, right

    @property
    def _mistaken(self) -> np.ndarray:
        """Recorded states of a wrong record [S, S]; a state that can be taken for none is always rightly recorded."""
        count = self.mistakes.sum(axis=1, keepdims=True)
        return np.where(count > 0, self.mistakes / np.maximum(count, 1), np.eye(self.S))

    def _chain(self, values):
        """Arrays of the kernel: initial [G, T, E, S + 1], transition, emission [.., E]; events 0, 1..S, unknown."""
        phi, p, psi = self.cells(values)
        (G, steps, S), E = phi.shape, self.S + 2
        shown, _, _ = self._shown(values)
        order = [*range(1, S + 1), 0]  # unknown is the last event
        move, see = np.zeros((G, steps, S + 1, S + 1)), np.zeros((G, steps, S + 1, E))
        move[..., :S, :S] = phi[..., None] * psi
        move[..., :S, S], move[..., S, S], see[..., S, 0] = 1.0 - phi, 1.0, 1.0
        see[..., :S, 0] = 1.0 - p
        see[..., :S, 1:] = p[..., None] * shown[:, 1:][..., order]
        begin = np.zeros((G, steps + 1, E, S + 1))
        begin[:, :, 1:, :S] = np.swapaxes(self._new_states(values)[..., None] * shown[..., order], 2, 3)
        return begin, move, see

    @cached_property
    def _parts(self) -> list[Multievent]:
        return blocks(self, ("_matrix",), ("seen", "first", "end", "frequency"))

    def evaluate(self, values, gradient):
        return summed(self._parts, values, gradient)

    def _evaluate(self, values, gradient) -> tuple[float, dict[str, np.ndarray] | None]:
        begin, move, see = self._chain(values)
        d_begin, d_move, d_see = np.zeros_like(begin), np.zeros_like(move), np.zeros_like(see)
        log_rows = np.empty(len(self.seen))
        at = (self.seen, self.first, self.end, self.row_profile, begin, move, see, self.frequency)
        event_chains(*at, log_rows, d_begin, d_move, d_see)
        loglik = float(self.frequency @ log_rows)
        if not np.isfinite(loglik):
            return -np.inf, {name: np.full(len(v), np.nan) for name, v in values.items()} if gradient else None
        return loglik, self._back(values, d_begin, d_move, d_see) if gradient else None

    def _back(self, values, d_begin, d_move, d_see) -> dict[str, np.ndarray]:
        S = self.S
        phi, p, psi = self.cells(values)
        shown, delta, right = self._shown(values)
        new, order = self._new_states(values), [S, *range(S)]
        met = d_see[..., :S, 1:][..., order]  # by p × shown, unknown first
        first = np.swapaxes(d_begin[:, :, 1:, :S], 2, 3)[..., order]
        cells = {"phi": (d_move[..., :S, :S] * psi).sum(axis=3) - d_move[..., :S, S]}
        cells["p"] = (met * shown[:, 1:]).sum(axis=3) - d_see[..., :S, 0]
        if "psi" in values:
            cells["psi"] = self._pull_psi(values, psi, d_move[..., :S, :S] * phi[..., None])
        d_shown = first * new[..., None]
        d_shown[:, 1:] += met * p[..., None]
        cells["delta"] = (d_shown[..., 1:] * right).sum(axis=3) - d_shown[..., 0]
        if "wrong" in values:
            cells["wrong"] = delta * (d_shown[..., 1:] * (self._mistaken - np.eye(S))).sum(axis=3)
        d_new = (first * shown).sum(axis=3)
        by_log_odds = new * (d_new - (d_new * new).sum(axis=2, keepdims=True))
        odds = np.maximum(values["pi"][self.layouts["pi"].index], TINY)
        cells["pi"] = by_log_odds[..., 1:] / odds
        return self._pull(values, cells)

    def start(self):
        returned = float(self.frequency @ (self.last > self.first)) / max(float(self.frequency.sum()), 1.0)
        met, known = self.seen > 0, (self.seen > 0) & (self.seen <= self.S)
        share = float(self.frequency @ known.sum(axis=1)) / max(float(self.frequency @ met.sum(axis=1)), 1.0)
        values = {"phi": np.clip(returned + 0.1, 0.1, 0.9), "p": 0.6, "psi": 0.5 / (self.S - 1)}
        return self.parameters.start(values | {"delta": np.clip(share, 0.05, 0.95), "wrong": 0.05, "pi": 1.0})

    # ---- what follows from a fit ------------------------------------------------------------------------------

    def new_state_table(self, fit) -> pd.DataFrame:
        """Shares of the states among animals met for the first time: covariates of pi, state, estimate, se, limits."""
        index = self.layouts["pi"].index
        frame = self.layouts["pi"].frame.drop(columns="state", errors="ignore")
        new = np.zeros(index.shape[:2], bool)
        new[self.row_profile, self.first] = True
        each, where = np.unique(index[new], axis=0, return_index=True)

        def shares(vector):
            return self._new_states(self.parameters.values(vector))[new][where].ravel()

        value = shares(fit.vector)
        with np.errstate(invalid="ignore", divide="ignore"):
            se = np.sqrt(np.diag(fit.covariance_of(jacobian(shares, fit.vector))))
            eta, width = np.log(value / (1.0 - value)), z_of() * se / (value * (1.0 - value))
            lower, upper = 1.0 / (1.0 + np.exp(width - eta)), 1.0 / (1.0 + np.exp(-width - eta))
        rows = [frame.iloc[cell[0]].to_dict() | {"state": state} for cell in each for state in self.states]
        return pd.DataFrame(rows).assign(estimate=value, se=se, lower=lower, upper=upper)

    def _more_rows(self, fit, interval) -> list[Estimate]:
        words = {"delta": "state recorded", "wrong": "state recorded wrongly"}
        rows = self.parameter_rows(fit, {name: words[name] for name in words if name in self.formulas}, interval)
        new = self.new_state_table(fit)
        for words, r in zip(
            scopes(new.drop(columns=["estimate", "se", "lower", "upper"])), new.itertuples(), strict=True
        ):
            limits = (r.estimate, r.se, r.lower, r.upper)
            rows.append(Estimate("state when first met", "proportion", words, *limits, "95% Wald on the logit"))
        return rows

    def simulate(self, values: Mapping[str, object], seed: int) -> EncounterHistory:
        """Histories of animals met first when those of the data were, drawn at natural-scale values (as for `at`)."""
        rng = np.random.default_rng(seed)
        begin, move, see = self._chain(self.parameters.values(self.coefficients_for(values)))
        h, T = self.history, self.history.n_occasions
        animal = np.repeat(np.arange(len(h.states)), h.frequency)
        g, first, n, E = self.profile[animal], h.first[animal], len(animal), self.S + 2
        joint = begin[g, first].reshape(n, -1)
        cell = (rng.random((n, 1)) > np.cumsum(joint / joint.sum(axis=1, keepdims=True), axis=1)[:, :-1]).sum(axis=1)
        event, state = np.divmod(cell, self.S + 1)
        states = np.where(h.states[animal] < 0, MISSING, 0).astype(np.int8)
        states[np.arange(n), first] = event
        for t in range(T - 1):
            since = first <= t
            moved = (rng.random((n, 1)) > np.cumsum(move[g, t, state], axis=1)[:, :-1]).sum(axis=1)
            state = np.where(since, moved, state)
            event = (rng.random((n, 1)) > np.cumsum(see[g, t, state], axis=1)[:, : E - 1]).sum(axis=1)
            states[:, t + 1] = np.where(since & (states[:, t + 1] == 0), event, states[:, t + 1])
        animals = h.animals.iloc[animal].set_axis([str(i + 1) for i in range(n)], axis=0)
        states, removed = with_losses(states, h, rng)
        return EncounterHistory(states, None, removed, animals, h.occasions, h.intervals, h.interval_unit)
