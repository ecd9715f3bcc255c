"""How animals come into an open population: entry probabilities, the chance to be met at all, and the way back.

A superpopulation of animals that live at some time of the study; a share beta_t enters before occasion t. With psi_t,
the probability to be alive on occasion t and not met before, the first encounter is on t with probability psi_t p_t
(Schwarz & Arnason 1996, p. 863). All arrays are [G, T] or [G, T - 1], G profiles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Entry:
    """New animals relative to those on the first occasion, and their shares of the superpopulation."""

    new: np.ndarray  # [G, T]
    beta: np.ndarray  # [G, T]
    alive: np.ndarray  # [G, T], share of the superpopulation alive on an occasion

    @property
    def possible(self) -> bool:
        """False when growth below survival asks for a negative number of new animals."""
        return bool((self.new >= 0).all() and np.isfinite(self.new).all())


def by_growth(survival: np.ndarray, growth: np.ndarray) -> Entry:
    """New animals from survival and growth over each interval [G, T - 1]: N_{t+1} = N_t growth_t."""
    size = np.cumprod(np.hstack([np.ones((len(growth), 1)), growth]), axis=1)
    new = np.hstack([np.ones((len(growth), 1)), size[:, :-1] * (growth - survival)])
    return _shares(new, survival)


def by_weights(survival: np.ndarray, weights: np.ndarray) -> Entry:
    """New animals [G, T - 1] before each later occasion, relative to the animals of the first."""
    return _shares(np.hstack([np.ones((len(weights), 1)), weights]), survival)


def _shares(new: np.ndarray, survival: np.ndarray) -> Entry:
    beta = new / new.sum(axis=1, keepdims=True)
    alive = np.empty_like(beta)
    alive[:, 0] = beta[:, 0]
    for t in range(survival.shape[1]):
        alive[:, t + 1] = alive[:, t] * survival[:, t] + beta[:, t + 1]
    return Entry(new, beta, alive)


def growth_back(survival, growth, d_new) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives by survival and growth [G, T - 1] from those by the new animals [G, T]."""
    size = np.cumprod(np.hstack([np.ones((len(growth), 1)), growth]), axis=1)
    d_survival = -d_new[:, 1:] * size[:, :-1]
    d_growth = np.empty_like(growth)
    d_size = np.zeros(len(growth))
    for t in range(growth.shape[1] - 1, -1, -1):
        # size_{t+1} = size_t growth_t; new_{t+1} = size_t (growth_t - survival_t)
        d_growth[:, t] = d_size * size[:, t] + d_new[:, t + 1] * size[:, t]
        d_size = d_size * growth[:, t] + d_new[:, t + 1] * (growth[:, t] - survival[:, t])
    return d_survival, d_growth


@dataclass(frozen=True)
class FirstEncounter:
    """log of psi_t p_t [G, T], and the probability [G] to be met at all."""

    psi: np.ndarray
    p: np.ndarray
    met: np.ndarray


def first_encounter(beta, survival, p) -> FirstEncounter:
    """psi_{t+1} = psi_t (1 - p_t) survival_t + beta_{t+1}."""
    psi = np.empty_like(beta)
    psi[:, 0] = beta[:, 0]
    for t in range(survival.shape[1]):
        psi[:, t + 1] = psi[:, t] * (1.0 - p[:, t]) * survival[:, t] + beta[:, t + 1]
    return FirstEncounter(psi, p, (psi * p).sum(axis=1))


def first_encounter_back(at: FirstEncounter, survival, d_psi, d_met):
    """Derivatives by beta [G, T], survival [G, T - 1] and p [G, T] from those by psi [G, T] and by the chance [G].

    Derivatives by the p of the first encounters themselves are not in it.
    """
    psi, p = at.psi, at.p
    d_p = d_met[:, None] * psi
    d_psi = d_psi + d_met[:, None] * p
    d_survival = np.empty_like(survival)
    for t in range(survival.shape[1] - 1, -1, -1):
        later = d_psi[:, t + 1]
        d_survival[:, t] = later * psi[:, t] * (1.0 - p[:, t])
        d_p[:, t] -= later * psi[:, t] * survival[:, t]
        d_psi[:, t] += later * (1.0 - p[:, t]) * survival[:, t]
    return d_psi, d_survival, d_p
