"""One class of animals through the primary sessions: those detected and those never detected, with the derivatives.

With e_t the arrivals over cells, s_t = exp(-Λ_t) the probability of no detection in session t and K_t the movement,

    ψ_1 = e_1     ψ_{t+1} = e_{t+1} + φ_t K_t (ψ_t s_t)          alive in session t and not detected before
    χ_T = 1       χ_t = 1 - φ_t + φ_t K_t' (s_{t+1} χ_{t+1})     probability to be detected no more after session t

so that an animal costs only the sessions from its first to its last detection, and a. = Σ_t Σ_m e_t (1 - s_t χ_t).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..kernels.open_scr import Collected, Observed, animals_backward, animals_forward
from .movement import Moving
from .observed import Detection, Hazards, Records


@dataclass(frozen=True, eq=False)
class Chain:
    """One class at given values: log A of its animals, and the expected number ever detected."""

    records: Records
    of_class: int
    animals: np.ndarray  # int, those that may be of this class
    hazards: Hazards
    detection: Detection
    moving: Moving
    mu: np.ndarray  # [M] animals of the first session
    arrivals: np.ndarray  # [T] of this class, relative to mu
    survival: np.ndarray  # [T - 1]
    field: np.ndarray  # [F, M]
    missed: np.ndarray  # s [T, M]
    psi: np.ndarray  # [T, M]
    chi: np.ndarray  # [T, M]
    log_a: np.ndarray
    detected: float

    @classmethod
    def of(cls, records, of_class, animals, hazards, detection: Detection, moving, mu, arrivals, survival) -> Chain:
        """Forward."""
        field = detection.fields(hazards, of_class)
        start, T, M = records.field_start, len(arrivals), len(mu)
        missed = np.empty((T, M))
        for t in range(T):
            here = slice(start[t], start[t + 1])
            missed[t] = np.exp(-(records.void_weight[here] @ field[here]))
        chi, psi = np.ones((T, M)), np.empty((T, M))
        for t in range(T - 2, -1, -1):
            chi[t] = 1.0 - survival[t] + survival[t] * moving.backward(t, missed[t + 1] * chi[t + 1])
        psi[0] = arrivals[0] * mu
        for t in range(T - 1):
            psi[t + 1] = arrivals[t + 1] * mu + survival[t] * moving.forward(t, psi[t] * missed[t])
        detected = float(sum(a * (mu @ (1.0 - missed[t] * chi[t])) for t, a in enumerate(arrivals)))
        log_a = np.empty(len(animals))
        made = (records, of_class, animals, hazards, detection, moving, mu, arrivals, survival, field)
        chain = cls(*made, missed, psi, chi, log_a, detected)
        with np.errstate(divide="ignore"):
            log_survival = np.log(survival)
        arguments: list = [*chain.inputs, psi, chi, log_survival, log_a]
        animals_forward(*arguments)
        return chain

    @property
    def inputs(self) -> tuple:
        """What the kernels take first: the animals, what is observed, how they move."""
        r = self.records
        events = (self.detection.event_pass[self.of_class], r.event_kind, r.event_count, r.event_exposure)
        fields = (self.field, r.field_start, r.void_weight, r.weight, r.event_start)
        seen = Observed(*fields, *events, r.event_field, self.hazards.log_h)
        return *r.part(self.animals), seen, self.moving.mode, self.moving.arrays

    def collect(self, d_log_h: np.ndarray) -> Collected:
        """Arrays for the derivatives; those by log h [G, M] go to `d_log_h`, those of movement to `moving`."""
        zeros = [np.zeros_like(v) for v in (self.psi, self.chi, self.survival)]
        arrays: list = [np.zeros_like(self.field), d_log_h, *zeros, self.moving.d_move, self.moving.d_settled]
        return Collected(*arrays)

    def pull(self, d_log_a: np.ndarray, d_detected: float, d_log_h: np.ndarray):
        """Derivatives by mu [M], arrivals [T] and survival [T - 1]; those by log h [G, M] are added to `d_log_h`.

        Those of movement are collected by `moving`.
        """
        chi, missed, mu, T = self.chi, self.missed, self.mu, len(self.psi)
        add = self.collect(d_log_h)
        arguments: list = [*self.inputs, self.psi, chi, np.ascontiguousarray(d_log_a, float), add]
        animals_backward(*arguments)
        d_psi, d_chi = add.psi, add.chi
        d_survival = add.log_survival / np.maximum(self.survival, 1e-300)
        d_mu, d_arrivals, d_missed = np.zeros(len(mu)), np.zeros(T), np.zeros_like(missed)
        for t, a in enumerate(self.arrivals):
            seen = 1.0 - missed[t] * chi[t]
            d_arrivals[t] += d_detected * (mu @ seen)
            d_mu += d_detected * a * seen
            d_missed[t] -= d_detected * a * mu * chi[t]
            d_chi[t] -= d_detected * a * mu * missed[t]
        self._pull_psi(d_psi, d_mu, d_arrivals, d_missed, d_survival)
        self.pull_chi(d_chi, d_missed, d_survival)
        self.pull_fields(add.field, d_missed, d_log_h)
        return d_mu, d_arrivals, d_survival

    def pull_fields(self, d_field: np.ndarray, d_missed: np.ndarray, d_log_h: np.ndarray) -> None:
        """Adds to d_log_h what comes from Λ [F, M] and, through it, from s [T, M]."""
        start, void = self.records.field_start, self.records.void_weight
        for t, missed in enumerate(self.missed):
            here = slice(start[t], start[t + 1])
            d_field[here] -= void[here, None] * (missed * d_missed[t])
        d_log_h += (self.detection.exposure[self.of_class].T @ d_field) * np.exp(self.hazards.log_h)

    def _pull_psi(self, d_psi, d_mu, d_arrivals, d_missed, d_survival) -> None:
        for t in range(len(d_psi) - 2, -1, -1):
            source = self.psi[t] * self.missed[t]
            d_survival[t] += d_psi[t + 1] @ self.moving.forward(t, source)
            d_source = self.moving.forward_back(t, source, self.survival[t] * d_psi[t + 1])
            d_psi[t] += d_source * self.missed[t]
            d_missed[t] += d_source * self.psi[t]
        for t, a in enumerate(self.arrivals):
            d_arrivals[t] += d_psi[t] @ self.mu
            d_mu += a * d_psi[t]

    def pull_chi(self, d_chi, d_missed, d_survival) -> None:
        """Adds to d_missed [T, M] and d_survival [T - 1] what comes from those by χ [T, M]."""
        for t in range(len(d_chi) - 1):
            later = self.missed[t + 1] * self.chi[t + 1]
            d_survival[t] += d_chi[t] @ (self.moving.backward(t, later) - 1.0)
            d_later = self.moving.backward_back(t, later, self.survival[t] * d_chi[t])
            d_missed[t + 1] += d_later * self.chi[t + 1]
            d_chi[t + 1] += d_later * self.missed[t + 1]
