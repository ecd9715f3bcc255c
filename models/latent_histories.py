"""Draws of what marked animals did unseen: alive or dead, here or away, in which state, and how many were never met.

`state` is that of an animal on an occasion: -1 before it was met or came, 0 dead or left for good, 1, 2, … alive in
the states that `meaning` names, -2 after it was taken out. `alive` is the number of the animals met that are alive.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..survey.encounters import MISSING, EncounterHistory
from ..survey.errors import refuse
from .latent_chains import BEFORE, Chains, one_of
from .marked.base import names_of
from .marked.bilateral import BilateralCapture
from .marked.capwire import Capwire
from .marked.closed import ClosedCapture
from .marked.entry import first_encounter
from .marked.known_fate import KnownFate
from .marked.live_dead import Burnham
from .marked.loglinear import LogLinear
from .marked.misidentified import MisidentifiedCapture
from .marked.multievent import Multievent
from .marked.multistate import Multistate
from .marked.open_population import Pradel
from .marked.robust_design import RobustDesign
from .marked.survival import CJS

TAKEN = -2
CLOSED = (ClosedCapture, LogLinear, Capwire, BilateralCapture, MisidentifiedCapture)
Named = dict[str, tuple[tuple[str, ...], np.ndarray]]


def states(model, vector: np.ndarray, rng: np.random.Generator) -> Named:
    """One draw at coefficients [p]: "state" int8 [animal, occasion], "alive" int [occasion]; of Jolly-Seber models also
    "N" int [occasion] and "never_met" int, all animals that lived here and were never met.

    Raises
    ------
    SurveyError : a kind of model that has no such states
    """
    of = _maker(model)
    if of is None:
        raise refuse(*_why_not(model), value=repr(model))
    state, more = of(model, model.parameters.values(np.asarray(vector, float)), rng)
    time = "period" if isinstance(model, RobustDesign) else "occasion"
    found: Named = {"state": (("animal", time), state.astype(np.int8)), "alive": ((time,), (state > 0).sum(axis=0))}
    return found | {name: ((time,) if np.ndim(v) else (), np.asarray(v)) for name, v in more.items()}


def _maker(model) -> Callable[..., tuple[np.ndarray, dict[str, Any]]] | None:
    for kind, of in MAKERS.items():
        if isinstance(model, kind):
            return of
    return None


def _why_not(model) -> tuple[str, str]:
    if isinstance(model, KnownFate):
        return "the fates of collared animals are known, so nothing of them is latent", "Use derive() and survival()"
    if isinstance(model, CLOSED):
        words = "a closed population has no states: every animal is there on every occasion"
        return words, "How many were never met is in derive()"
    return "the latent states of this kind of model are not drawn", "Use derive()"


def meaning(model) -> str:
    """What the numbers of `state` say."""
    if isinstance(model, Multistate):
        alive = list(model.states)
    elif isinstance(model, (RobustDesign, Burnham)):
        alive = ["here", "away"]
    else:
        alive = ["alive"]
    before = "not here yet" if isinstance(model, Pradel) else "before it was met"
    told = [f"{BEFORE} {before}", "0 dead or left for good", *(f"{k + 1} {name}" for k, name in enumerate(alive))]
    return "; ".join([*told, f"{TAKEN} after it was taken out"])


def coordinates(model) -> dict[str, Any]:
    """Coordinates of the dims of `states`."""
    h = _histories(model)
    times = model.K if isinstance(model, RobustDesign) else h.n_occasions
    labels = [str(t + 1) for t in range(times)]
    return {"animal": names_of(h), "occasion": labels, "period": labels}


def _histories(model) -> EncounterHistory:
    return model.history.live if isinstance(model, Burnham) else model.history


def _row(model) -> np.ndarray:
    """int [animals]: the row of histories of each animal."""
    frequency = _histories(model).frequency
    return np.repeat(np.arange(len(frequency)), frequency)


def _seen(states: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Likelihood [R, T, S] of states seen [R, T] of living animals met with `chance` [R, T, S] in each state."""
    right = states[:, :, None] == np.arange(chance.shape[2]) + 1
    met = np.where(right, chance, 0.0)
    return np.where(states[:, :, None] == 0, 1.0 - chance, np.where(states[:, :, None] < 0, 1.0, met))


def _with_dead(look: np.ndarray, states: np.ndarray) -> np.ndarray:
    """The same with a last state in which nothing is seen."""
    return np.concatenate([look, (states <= 0)[:, :, None].astype(float)], axis=2)


def _after(states: np.ndarray) -> np.ndarray:
    """bool [R, T]: after the last encounter."""
    last = states.shape[1] - 1 - (states[:, ::-1] > 0).argmax(axis=1)
    return np.arange(states.shape[1])[None, :] > last[:, None]


def _codes(drawn: np.ndarray, dead: int, gone: np.ndarray) -> np.ndarray:
    """States from those of a chain: 0 for the dead (and later ones), k + 1 for the others; TAKEN where gone."""
    return np.where(gone, TAKEN, np.where(drawn >= dead, 0, np.where(drawn < 0, BEFORE, drawn + 1)))


# ---- given the first encounter ---------------------------------------------------------------------------------------


def _cjs(model: CJS, values, rng) -> tuple[np.ndarray, dict]:
    h, row = model.history, _row(model)
    met, gone = np.minimum(h.states, 1), _after(h.states) & h.removed[:, None]
    at = [_cjs_chains(model, *model._at(values, z), met, gone) for z in model.points]
    log = model.log_weight[:, None] + np.array([chains.ahead()[1] for chains in at])
    share = np.exp(log - log.max(axis=0))
    kind = one_of(share.T[row], rng)
    drawn = np.empty((len(row), h.n_occasions), int)
    for k, chains in enumerate(at):
        drawn[kind == k] = chains.drawn(row[kind == k], rng)
    if "tau" in values:  # a transient is dead to the study from its first encounter on
        tau = values["tau"][model.layouts["tau"].index][model.profile]
        resident = np.exp(log.max(axis=0)) * share.sum(axis=0)
        with np.errstate(invalid="ignore"):
            chance = np.where(h.first == h.last, tau / (tau + (1.0 - tau) * resident), 0.0)
        transient = rng.uniform(size=len(row)) < np.nan_to_num(chance)[row]
        drawn[transient[:, None] & (np.arange(h.n_occasions) > h.first[row][:, None])] = 1
    return _codes(drawn, 1, gone[row]), {}


def _cjs_chains(model: CJS, survival, p, met, gone) -> Chains:
    over = (survival[model._phi_row] ** model._length)[model.phi_index][model.profile]  # [R, T - 1]
    chance = np.ones((*met.shape, 1))
    chance[:, 1:, 0] = p[model.p_index][model.profile]
    look = _with_dead(_seen(met, chance), met)
    look[gone] = 1.0
    move = np.zeros((*over.shape, 2, 2))
    move[..., 0, 0], move[..., 0, 1], move[..., 1, 1] = over, 1.0 - over, 1.0
    begin = np.tile([1.0, 0.0], (len(met), 1))
    return Chains(begin, lambda t: move[:, t], look, model.history.first)


def _multistate(model: Multistate, values, rng) -> tuple[np.ndarray, dict]:
    h, S, (phi, p, psi) = model.history, model.S, model.cells(values)
    rows, gone = np.arange(len(h.states)), _after(h.states) & h.removed[:, None]
    chance = np.ones((*h.states.shape, S))
    chance[:, 1:] = p[model.profile]
    look = _with_dead(_seen(h.states, chance), h.states)
    look[gone] = 1.0
    begin = np.zeros((len(rows), S + 1))
    begin[rows, h.states[rows, h.first] - 1] = 1.0
    move = np.zeros((*phi.shape[:2], S + 1, S + 1))
    move[..., :S, :S], move[..., :S, S], move[..., S, S] = phi[..., None] * psi, 1.0 - phi, 1.0
    chains = Chains(begin, lambda t: move[model.profile, t], look, h.first)
    row = _row(model)
    return _codes(chains.drawn(row, rng), S, gone[row]), {}


def _multievent(model: Multievent, values, rng) -> tuple[np.ndarray, dict]:
    h, (begin, move, see) = model.history, model._chain(values)
    rows, gone = np.arange(len(h.states)), _after(h.states) & h.removed[:, None]
    look = np.ones((*h.states.shape, model.S + 1))
    for t in range(1, h.n_occasions):
        seen = h.states[:, t]
        chance = see[model.profile, t - 1, :, np.maximum(seen, 0)]
        look[:, t] = np.where((seen == MISSING)[:, None] | gone[:, t, None], 1.0, chance)
    at_first = begin[model.profile, h.first, h.states[rows, h.first]]
    chains, row = Chains(at_first, lambda t: move[model.profile, t], look, h.first), _row(model)
    return _codes(chains.drawn(row, rng), model.S, gone[row]), {}


def _live_dead(model: Burnham, values, rng) -> tuple[np.ndarray, dict]:
    """The last position of the chain is the end of the study, after the last occasion."""
    live, (move, see) = model.history.live, model._chain(model.cells(values))
    event, after = model.events(), np.arange(live.n_occasions + 1)[None, :] > live.last[:, None]
    gone = after & live.removed[:, None]
    look = np.ones((*event.shape, 4))
    for t in range(1, event.shape[1]):
        look[:, t] = np.where(gone[:, t, None], 1.0, see[model.profile, t - 1, :, event[:, t]])
    begin = np.tile([1.0, 0.0, 0.0, 0.0], (len(event), 1))
    chains, row = Chains(begin, lambda t: move[model.profile, t], look, live.first), _row(model)
    return _codes(chains.drawn(row, rng)[:, :-1], 2, gone[row][:, :-1]), {}


def _robust(model: RobustDesign, values, rng) -> tuple[np.ndarray, dict]:
    """Here, away or dead in each primary period."""
    h, (phi, out, away), star = model.history, model._cells(values), model.star(values)
    met, gone = model.met, _after(model.met) & h.removed[:, None]
    chance = np.zeros((*met.shape, 2))
    chance[..., 0] = star[model.profile]
    look = _with_dead(_seen(met, chance), met)
    look[gone] = 1.0
    move = np.zeros((*phi.shape, 3, 3))
    for state, leaves in ((0, out), (1, away)):
        move[..., state, 0], move[..., state, 1] = phi * (1.0 - leaves), phi * leaves
        move[..., state, 2] = 1.0 - phi
    move[..., 2, 2] = 1.0
    begin = np.tile([1.0, 0.0, 0.0], (len(met), 1))
    chains = Chains(begin, lambda t: move[model.profile, t], look, (met > 0).argmax(axis=1))
    row = _row(model)
    return _codes(chains.drawn(row, rng), 2, gone[row]), {}


# ---- open populations ------------------------------------------------------------------------------------------------


def _open(model: Pradel, values, rng) -> tuple[np.ndarray, dict]:
    """Not here yet, alive or gone, of the animals met; with a number of animals in the model also of those never met.

    A real number never met (`f0`) is rounded up or down at random.
    """
    h, row = model.history, _row(model)
    survival, p, _ = model.natural(values)
    beta = model.entries(values).beta
    made = _entering(beta, survival)
    gone = _after(h.states) & h.removed[:, None]
    drawn = _open_chains(made, p, np.minimum(h.states, 1), model.profile, gone).drawn(row, rng)
    state = np.where(gone[row], TAKEN, np.where(drawn == 0, BEFORE, np.where(drawn == 1, 1, 0)))
    if not {"N", "f0"} & set(values):
        return state, {}
    never = _never_met(model, values, first_encounter(beta, survival, p).met, rng)
    groups = np.where(model.looked, 0, MISSING) * np.ones((len(beta), 1), int)
    unmet = _open_chains(made, p, groups, np.arange(len(beta))).drawn(np.repeat(np.arange(len(beta)), never), rng)
    return state, {"N": (state == 1).sum(axis=0) + (unmet == 1).sum(axis=0), "never_met": never.sum()}


def _entering(beta: np.ndarray, survival: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of the first occasion [G, 3] and transitions [G, T - 1, 3, 3] of not yet, alive and gone."""
    left = 1.0 - np.cumsum(beta, axis=1)[:, :-1]
    comes = np.clip(np.divide(beta[:, 1:], left, out=np.ones_like(left), where=left > 1e-300), 0.0, 1.0)
    begin = np.column_stack([1.0 - beta[:, 0], beta[:, 0], np.zeros(len(beta))])
    move = np.zeros((*survival.shape, 3, 3))
    move[..., 0, 0], move[..., 0, 1] = 1.0 - comes, comes
    move[..., 1, 1], move[..., 1, 2], move[..., 2, 2] = survival, 1.0 - survival, 1.0
    return begin, move


def _open_chains(made, p: np.ndarray, met: np.ndarray, profile: np.ndarray, gone=False) -> Chains:
    begin, move = made
    alive, unseen = _seen(met, p[profile][:, :, None]), (met <= 0)[:, :, None].astype(float)
    look = np.concatenate([unseen, alive, unseen], axis=2)
    look[np.broadcast_to(gone, met.shape)] = 1.0
    first = np.zeros(len(met), int)
    return Chains(begin[profile] * look[:, 0], lambda t: move[profile, t], look, first)


def _never_met(model: Pradel, values, met: np.ndarray, rng) -> np.ndarray:
    """int [G]: animals of each group that lived here and were never met."""
    if "N" in values:
        return rng.poisson(values["N"][model.layouts["N"].index] * (1.0 - met))
    f0 = values["f0"][model.layouts["f0"].index]
    return (np.floor(f0) + (rng.uniform(size=len(f0)) < f0 % 1)).astype(int)


MAKERS: dict[type, Callable[..., tuple[np.ndarray, dict[str, Any]]]] = {
    Multievent: _multievent,  # before Multistate, which it is
    Multistate: _multistate,
    CJS: _cjs,
    Burnham: _live_dead,
    RobustDesign: _robust,
    Pradel: _open,
}
