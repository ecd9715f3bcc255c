"""Sightings that nobody can name: their expected numbers and their pseudo-likelihood (Efford & Hunter 2018).

With q_b(x) the probability that an animal that lives at x was not marked on the marking occasions before a sighting
occasion of block b, and h_k(x) the hazard of being sighted at detector k per unit of effort e,

    unmarked       λ = e ∫ D(x) q_b(x) h_k(x) dx                      (Efford & Hunter 2018, Biometrics 74:411, eq. 4)
    unidentified   λ = e (1 − pID) ∫ D(x) (1 − q_b(x)) h_k(x) dx      (section 3.3)

and with classes of animals λ is the sum of those of the classes, each with its proportion, q, h and pID.

A count at a count detector is taken for Poisson, and whether any was seen at a proximity detector for Bernoulli with
1 − exp(−λ), each independent of all others. It is not: one animal makes several sightings. Estimates hardly suffer,
their standard errors do, which is what ĉ repairs: of the total number of sightings, with L the expected number of an
animal, var/mean = 1 + ∫ D E[L²]/∫ D E[L] (the same paper finds it by simulation).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from ..detection import DetectionFunction
from ..kernels.spatial_blocks import log_hazard
from .engine.shapes import SHAPES

CHUNK = 2**20  # hazards at a time


@dataclass(frozen=True)
class Places:
    """Detectors under one row of detection parameters. G of them."""

    x: np.ndarray  # float [G], m
    y: np.ndarray  # float [G], m
    row: np.ndarray  # int [G]

    def hazards(self, detection: DetectionFunction, rows: np.ndarray, x, y) -> tuple[np.ndarray, np.ndarray]:
        """h [G, B] in cells at x, y [B] and ∂h [3, G, B] by the natural-scale values of the rows [R, 3]."""
        scale, sigma, third = rows[self.row].T
        size = (len(self.x), len(x))
        log_h, first, none = np.empty(size), np.zeros((2, *size)), np.zeros((3, 0, 0))
        SHAPES[detection.name].kernel(1, self.x, self.y, sigma, third, x, y, log_h, first, none)
        log_h += np.log(scale)[:, None]
        h, link = np.exp(log_h), np.ones((1, 1))
        if not detection.hazard:
            link = np.empty(size)
            log_hazard(1, h, log_h, link, np.empty((0, 0)))
        slope = h * link
        by = np.stack([slope / scale[:, None], slope * first[0] / sigma[:, None], slope * first[1]])
        return h, by


@dataclass(frozen=True)
class Seen:
    """The sightings at one value of the parameters, with the derivatives of their log-likelihood."""

    loglik: float
    by_mu: np.ndarray  # float [M], by the expected number of animals in each cell
    by_rows: np.ndarray  # float [C, R, 3], by the natural-scale detection parameters of each class
    by_identified: np.ndarray  # float [C, G], by pID of each class at each place of sighting
    by_share: np.ndarray  # float [C], by the proportion of each class
    by_marked: float  # by the marked share of all animals, where that is given


@dataclass(frozen=True, eq=False)
class Sighted:
    """Sightings of unmarked, and of marked but unidentified animals in B blocks of occasions; E distinct entries.

    An entry is a place with one effort in one block, on `times` occasions, with its sightings summed.
    """

    detection: DetectionFunction
    x: np.ndarray  # float [M], m, habitat cells
    y: np.ndarray  # float [M]
    marking: Places
    before: np.ndarray  # float [B, G1], exposure to marking before each block
    sighting: Places  # G2
    block: np.ndarray  # int [E]
    place: np.ndarray  # int [E]
    effort: np.ndarray  # float [E]
    times: np.ndarray  # float [E]
    unmarked: np.ndarray | None  # float [E]
    unidentified: np.ndarray | None  # float [E]
    binary: bool  # proximity detectors: occasions with a sighting are counted
    constant: float  # of the Poisson probabilities
    c_hat: tuple[float, float] = (1.0, 1.0)  # overdispersion that unmarked and unidentified sightings are divided by

    def evaluate(self, mu, rows, identified, share, marked: float | None) -> Seen:
        """The pseudo-log-likelihood.

        mu [M] : expected number of animals in each cell
        rows [C, R, 3] : natural-scale detection parameters of each class of animals; identified [C, G2] : its pID at
            each place; share [C] : its proportion
        marked : share of all animals that is marked, wherever they live; None where marking is modelled
        """
        with np.errstate(invalid="ignore"):  # a mean of 0 where some were seen
            return self._evaluate(mu, rows, 1.0 - identified, share, marked)

    def _evaluate(self, mu, rows, missed, share, marked) -> Seen:
        classes = range(len(share))
        U, V = map(np.array, zip(*(self._integrals(mu, rows[c], marked) for c in classes), strict=True))  # [C, B, G2]
        unmarked, unidentified = np.tensordot(share, U, 1), np.tensordot(share, missed[:, None] * V, 1)
        mean_u = self.effort * unmarked[self.block, self.place]
        mean_m = self.effort * unidentified[self.block, self.place]
        loglik, d_u, d_m = 0.0, np.zeros(len(self.place)), np.zeros(len(self.place))
        if self.unmarked is not None:
            value, d_u = self._terms(self.unmarked, mean_u)
            loglik, d_u = value / self.c_hat[0], d_u / self.c_hat[0]
        if self.unidentified is not None:
            value, d_m = self._terms(self.unidentified, mean_m)
            loglik, d_m = loglik + value / self.c_hat[1], d_m / self.c_hat[1]
        dU, dV = np.zeros_like(unmarked), np.zeros_like(unidentified)
        np.add.at(dU, (self.block, self.place), self.effort * d_u)
        np.add.at(dV, (self.block, self.place), self.effort * d_m)
        by_identified = -share[:, None] * (dV * V).sum(axis=1)
        by_share = (dU * U + dV * missed[:, None] * V).sum(axis=(1, 2))
        back = [self._back(mu, rows[c], marked, share[c] * dU, share[c] * missed[c] * dV) for c in classes]
        by_mu, by_rows, by_marked = zip(*back, strict=True)
        whole = float(loglik) + self.constant
        return Seen(whole, np.sum(by_mu, axis=0), np.array(by_rows), by_identified, by_share, float(sum(by_marked)))

    def _terms(self, seen: np.ndarray, mean: np.ndarray) -> tuple[float, np.ndarray]:
        """Log-likelihood of a table of sightings, and its derivatives by the mean of each occasion [E]."""
        with np.errstate(all="ignore"):
            if self.binary:
                some = np.where(seen > 0, seen * np.log(-np.expm1(-mean)), 0.0)
                slope = np.where(seen > 0, seen / np.expm1(mean), 0.0) - (self.times - seen)
                return float((some - (self.times - seen) * mean).sum()), slope
            some = np.where(seen > 0, seen * np.log(mean), 0.0)
            return float((some - self.times * mean).sum()), np.where(seen > 0, seen / mean, 0.0) - self.times

    def _chunks(self):
        step = max(16, CHUNK // max(1, len(self.sighting.x), len(self.marking.x)))
        for begin in range(0, len(self.x), step):
            yield slice(begin, begin + step)

    def _unmarked(self, rows, cells: slice, marked: float | None) -> tuple[np.ndarray, np.ndarray]:
        """q [B, cells], and ∂h of marking places."""
        if marked is not None:
            return np.full((len(self.before), len(self.x[cells])), 1.0 - marked), np.empty((3, 0, 0))
        h, by = self.marking.hazards(self.detection, rows, self.x[cells], self.y[cells])
        return np.exp(-(self.before @ h)), by

    def _integrals(self, mu, rows, marked) -> tuple[np.ndarray, np.ndarray]:
        """∫ D q h and ∫ D (1 − q) h [B, G2]."""
        U, V = np.zeros((2, len(self.before), len(self.sighting.x)))
        for cells in self._chunks():
            h, _ = self.sighting.hazards(self.detection, rows, self.x[cells], self.y[cells])
            q, _ = self._unmarked(rows, cells, marked)
            U += (mu[cells] * q) @ h.T
            V += (mu[cells] * (1.0 - q)) @ h.T
        return U, V

    def _back(self, mu, rows, marked, dU, dV) -> tuple[np.ndarray, np.ndarray, float]:
        by_mu, by_rows, by_marked = np.empty(len(self.x)), np.zeros_like(rows), 0.0
        for cells in self._chunks():
            h, by = self.sighting.hazards(self.detection, rows, self.x[cells], self.y[cells])
            q, by_marking = self._unmarked(rows, cells, marked)
            W, X = dU @ h, dV @ h  # [B, cells]
            by_mu[cells] = (q * W + (1.0 - q) * X).sum(axis=0)
            d_q = mu[cells] * (W - X)
            d_h = dU.T @ (mu[cells] * q) + dV.T @ (mu[cells] * (1.0 - q))
            np.add.at(by_rows, self.sighting.row, np.einsum("gm,cgm->gc", d_h, by))
            if marked is not None:
                by_marked -= float(d_q.sum())
            else:
                d_marking = -self.before.T @ (d_q * q)
                np.add.at(by_rows, self.marking.row, np.einsum("gm,cgm->gc", d_marking, by_marking))
        return by_mu, by_rows, by_marked

    def scatter(self, mu, rows, identified, share, marked: float | None) -> tuple[np.ndarray, np.ndarray]:
        """Of the totals of unmarked and of unidentified sightings [2] ∫ D E[L], their mean, and ∫ D E[L²].

        An animal not marked before block t was not marked before any earlier one, so that E[L²] is a sum over pairs of
        blocks. At proximity detectors the sightings of one animal are taken for Poisson too, which makes ĉ a little
        too large. Arguments as of `evaluate`.
        """
        B, G = len(self.before), len(self.sighting.x)
        exposure = np.zeros((B, G))
        np.add.at(exposure, (self.block, self.place), self.effort * self.times)
        rank = np.argsort(np.argsort(self.before.sum(axis=1), kind="stable"))
        later, earlier = (pick(rank[:, None], rank[None, :]) for pick in (np.maximum, np.minimum))
        order = np.argsort(rank)
        mean, squares = np.zeros(2), np.zeros(2)
        for cells in self._chunks():
            for c, part in enumerate(share):
                h, _ = self.sighting.hazards(self.detection, rows[c], self.x[cells], self.y[cells])
                q, _ = self._unmarked(rows[c], cells, marked)
                # unmarked in two blocks: unmarked before the later one; marked in both: before the earlier
                cases = ((exposure, q, order[later]), (exposure * (1.0 - identified[c]), 1.0 - q, order[earlier]))
                for j, (weight, here, both) in enumerate(cases):
                    H = weight @ h
                    mean[j] += part * float((mu[cells] * here * H).sum())
                    squares[j] += part * float(np.einsum("m,abm,am,bm->", mu[cells], here[both], H, H))
        return mean, squares


def overdispersion(mean: np.ndarray, squares: np.ndarray) -> tuple[float, float]:
    """ĉ of totals: the variance over the mean of a compound Poisson variable."""
    ratio = 1.0 + np.divide(squares, mean, out=np.zeros(2), where=mean > 0)
    return float(ratio[0]), float(ratio[1])


def poisson_constant(*tables: np.ndarray | None) -> float:
    """−Σ log T! of tables of counts by occasion."""
    return -float(sum(gammaln(t + 1.0).sum() for t in tables if t is not None))
