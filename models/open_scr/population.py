"""Numbers of an open population with classes: who survives, how many arrive, and the way back.

Everything relative to the animals of the first primary session, N_1 = 1. With n_tc of class c, π_c their share among
those who arrive, S_tc = φ_tc^d survival of an interval of length d, and B_t the arrivals before session t + 1,

    n_1c = π_c     n_{t+1,c} = n_tc S_tc + π_c B_t

    f       B_t = Σ_c n_tc ((φ_tc + f_t)^d - S_tc)          gamma    B_t = Σ_c n_tc ((φ_tc / γ_t)^d - S_tc)
    growth  B_t = Σ_c n_tc (λ_t^d - S_tc)                   b        B_t = b_t

(Pradel 1996; Schwarz & Arnason 1996; of one class the same as `marked.entry`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TINY = 1e-300


@dataclass(frozen=True, eq=False)
class Population:
    """phi [C, T - 1] per unit of time, recruitment [T - 1], share π [C]; and what follows."""

    kind: str
    phi: np.ndarray
    recruitment: np.ndarray
    share: np.ndarray
    years: np.ndarray  # [T - 1]
    survival: np.ndarray  # [C, T - 1]
    size: np.ndarray  # n [C, T]
    arrivals: np.ndarray  # [T], 1 and then B

    @classmethod
    def of(cls, kind: str, phi, recruitment, share, years) -> Population:
        """From the year of the first session on; kind: f, growth, gamma or b."""
        phi = np.clip(phi, TINY, 1.0)
        survival, intervals = phi**years, len(years)
        size, arrivals = np.zeros((len(share), intervals + 1)), np.ones(intervals + 1)
        size[:, 0] = share
        for t in range(intervals):
            if kind == "b":
                arrivals[t + 1] = recruitment[t]
            else:
                base = _base(kind, phi[:, t], recruitment[t])
                arrivals[t + 1] = size[:, t] @ (base ** years[t] - survival[:, t])
            size[:, t + 1] = size[:, t] * survival[:, t] + share * arrivals[t + 1]
        return cls(kind, phi, recruitment, share, years, survival, size, arrivals)

    @property
    def possible(self) -> bool:
        """False when growth below survival asks for a negative number of arrivals."""
        return bool((self.arrivals >= 0).all() and np.isfinite(self.arrivals).all())

    def pull(self, d_survival, d_arrivals, d_size=None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Derivatives by phi, recruitment and share.

        d_survival [C, T - 1]: by S; d_arrivals [C, T]: by the arrivals of each class, π_c B_t; d_size [C, T]: by n.
        """
        share, years, size = self.share, self.years, self.size
        d_size = np.zeros_like(size) if d_size is None else d_size.copy()
        d_survival = d_survival.copy()
        d_share = d_arrivals @ self.arrivals
        d_B = share @ d_arrivals
        d_phi, d_recruitment = np.zeros_like(self.phi), np.zeros_like(self.recruitment)
        for t in range(len(years) - 1, -1, -1):
            later = d_size[:, t + 1]
            d_survival[:, t] += later * size[:, t]
            d_size[:, t] += later * self.survival[:, t]
            d_share += later * self.arrivals[t + 1]
            by = d_B[t + 1] + later @ share
            if self.kind == "b":
                d_recruitment[t] = by
                continue
            phi, r, d = self.phi[:, t], self.recruitment[t], years[t]
            base = _base(self.kind, phi, r)
            growth = base**d
            d_size[:, t] += by * (growth - self.survival[:, t])
            d_survival[:, t] -= by * size[:, t]
            d_base = by * size[:, t] * d * growth / np.maximum(base, TINY)
            if self.kind == "f":
                d_phi[:, t] += d_base
                d_recruitment[t] = d_base.sum()
            elif self.kind == "growth":
                d_recruitment[t] = d_base.sum()
            else:
                d_phi[:, t] += d_base / max(r, TINY)
                d_recruitment[t] = -(d_base * phi).sum() / max(r, TINY) ** 2
        d_share += d_size[:, 0]
        d_phi += d_survival * years * self.survival / self.phi
        return d_phi, d_recruitment, d_share


def _base(kind: str, phi: np.ndarray, r: float) -> np.ndarray:
    """Growth per unit of time [C] that the animals of each class stand for."""
    if kind == "f":
        return phi + r
    return np.full(len(phi), r) if kind == "growth" else phi / max(r, TINY)
