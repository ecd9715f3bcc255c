"""Random effects integrated out by Laplace's approximation, with an exact gradient (Skaug & Fournier 2006).

Coefficients b = L(theta) u with u ~ N(0, I): a standard deviation of 0 is then an ordinary place. With F(beta, u) the
model's log-likelihood, û the maximum of F - u'u/2, M = -∂²F/∂u² there and A = I + M,

    marginal log-likelihood = F - û'û/2 - log det(A)/2 + error of the approximation

The model gives F and its exact gradient; M comes from central differences of it, the third derivatives that the
gradient of log det(A) needs from second differences of it along the columns of a square root of A⁻¹: with
t = ∇ tr(A⁻¹ M), w = A⁻¹ t_u and E the relative change of L by a theta, ∂L/∂theta = L E,

    ∂/∂beta  = F_beta - t_beta/2 - (∂F_beta/∂u) w/2
    ∂/∂theta = û'E û - tr(E) + tr(A⁻¹E) - t_u'E û/2 - w'(E'û - M E û)/2

Groups whose data have nothing to do with each other ("leaves") move all at once in these differences; every other
coefficient ("core") moves alone. A is then an arrowhead: blocks on the diagonal, and rows and columns of the core.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

STEP2 = 3e-4  # of first differences, in standard deviations of u given the data
STEP3 = 3e-3  # of second differences, likewise
TIGHT = 1e-18  # squared length of the last Newton step in standard deviations of u
LOOSE = 1e-10  # the same, where rounding allows no more
MOST = 60  # Newton steps
HOLDS = 0.3  # smallest eigenvalue of A, information over that of the prior, at which the approximation can hold


@dataclass(frozen=True)
class Arrow:
    """A = I + M over K core coefficients and G leaves of R: core [K, K], leaf [G, R, R], between [G, R, K]."""

    core: np.ndarray
    leaf: np.ndarray
    between: np.ndarray
    at_core: np.ndarray  # int [K] positions in u
    at_leaf: np.ndarray  # int [G, R], those of the size of u where a leaf lacks a coefficient
    size: int

    def solved(self, floor: float | None = None) -> Solved | None:
        """Factors; None where A is not positive definite, unless small eigenvalues are lifted to `floor`."""
        try:
            leaf, inverse = _positive(self.leaf, floor)
            answer = -inverse @ self.between  # [G, R, K]
            schur = self.core + np.einsum("gri,grj->ij", self.between, answer)
            schur, schur_inverse = _positive(schur[None], floor)
        except np.linalg.LinAlgError:
            return None
        log_det = float(np.linalg.slogdet(leaf)[1].sum() + np.linalg.slogdet(schur)[1].sum())
        return Solved(self, inverse, answer, schur_inverse[0], log_det)


@dataclass(frozen=True)
class Solved:
    """A⁻¹ of an arrow: leaf_inverse [G, R, R], answer [G, R, K] of the leaves to the core, core_inverse [K, K]."""

    arrow: Arrow
    leaf_inverse: np.ndarray
    answer: np.ndarray
    core_inverse: np.ndarray
    log_det: float

    def _put(self, core: np.ndarray, leaf: np.ndarray) -> np.ndarray:
        """One vector [size] from its parts [K] and [G, R]."""
        whole = np.zeros(self.arrow.size + 1)
        whole[self.arrow.at_leaf] = leaf
        whole[self.arrow.at_core] = core
        return whole[:-1]

    def times(self, vector: np.ndarray) -> np.ndarray:
        """A⁻¹ vector [size]."""
        padded = np.append(vector, 0.0)
        leaf, core = padded[self.arrow.at_leaf], padded[self.arrow.at_core]
        core = self.core_inverse @ (core + np.einsum("grk,gr->k", self.answer, leaf))
        return self._put(core, np.einsum("grs,gs->gr", self.leaf_inverse, leaf) + self.answer @ core)

    def roots(self) -> list[np.ndarray]:
        """Vectors [size] whose outer products add up to A⁻¹ but for what two different leaves have in common."""
        core = _root(self.core_inverse[None])[0]
        found = [self._put(column, self.answer @ column) for column in core.T]
        leaf, nothing = _root(self.leaf_inverse), np.zeros(len(core))
        return found + [self._put(nothing, leaf[:, :, c]) for c in range(leaf.shape[2])]

    def diagonal_blocks(self) -> tuple[np.ndarray, np.ndarray]:
        """Blocks of A⁻¹: of the core [K, K] and of each leaf [G, R, R]."""
        return self.core_inverse, self.leaf_inverse + self.answer @ self.core_inverse @ self.answer.transpose(0, 2, 1)

    def variances(self) -> np.ndarray:
        """The diagonal of A⁻¹ [size]."""
        core, leaf = self.diagonal_blocks()
        return self._put(np.diag(core), np.diagonal(leaf, axis1=1, axis2=2))

    def dense(self) -> np.ndarray:
        """A⁻¹ [size, size]."""
        size, at_leaf, at_core = self.arrow.size, self.arrow.at_leaf, self.arrow.at_core
        loading = np.zeros((size + 1, len(at_core)))
        loading[at_leaf.ravel()] = self.answer.reshape(at_leaf.size, len(at_core))
        loading[at_core] = np.eye(len(at_core))
        whole = loading @ self.core_inverse @ loading.T
        whole[at_leaf[:, :, None], at_leaf[:, None, :]] += self.leaf_inverse
        return whole[:-1, :-1]


@dataclass(frozen=True)
class Mode:
    """Where F - u'u/2 has its maximum at given beta and theta."""

    beta: np.ndarray
    theta: np.ndarray
    u: np.ndarray
    value: float  # F - u'u/2
    by_beta: np.ndarray
    arrow: Arrow
    solved: Solved

    def least(self) -> float:
        """Smallest eigenvalue of A of leaves given the core, and of the core: below 1 the data add doubt."""
        core, leaf = self.solved.core_inverse, self.solved.leaf_inverse
        largest = [np.linalg.eigvalsh(part).max() for part in (core, leaf) if part.size]
        return float(1.0 / max(largest))


class Marginal:
    """The marginal log-likelihood of a model over psi = (beta, theta): fixed coefficients, then variance parameters.

    Variance parameters in `held` (position ↦ value) are not part of psi.
    """

    method = "Laplace"

    def __init__(self, model: Any, held: dict[int, float] | None = None, like: Marginal | None = None):
        self.model, self.held = model, dict(held or {})
        self.terms = model.parameters.random
        random = np.concatenate([np.arange(where.start, where.stop) for _, _, where in self.terms])
        self.at_b = random  # positions of b in the model's vector, terms in order
        self.at_beta = np.setdiff1d(np.arange(model.parameters.size), random)
        begins = np.cumsum([0] + [term.size for _, term, _ in self.terms])
        self.positions = [b + term.positions for b, (_, term, _) in zip(begins[:-1], self.terms, strict=True)]
        thetas = np.cumsum([0] + [len(term.theta) for _, term, _ in self.terms])
        self.theta_of = [slice(int(a), int(b)) for a, b in pairwise(thetas)]
        self.n_theta, self.size = int(thetas[-1]), len(random)
        self.free = np.array([k for k in range(self.n_theta) if k not in self.held], int)
        self._u, self._spread = np.zeros(self.size), np.ones(self.size)
        if like is None:
            self.at_core, self.at_leaf = self._structure()
        else:  # nothing but what is held differs
            self.at_core, self.at_leaf, self._u = like.at_core, like.at_leaf, like._u.copy()

    # ---- coefficients ---------------------------------------------------------------------------------------

    def split(self, psi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """beta and all of theta."""
        theta = np.empty(self.n_theta)
        theta[list(self.held)] = list(self.held.values())
        theta[self.free] = psi[len(self.at_beta) :]
        return psi[: len(self.at_beta)], theta

    def factors(self, theta: np.ndarray) -> list[np.ndarray]:
        """L of each term: [groups or 1, c, c]."""
        return [
            np.exp(term.log_scale(theta[where]))[:, :, None] * term.shape(theta[where])
            for (_, term, _), where in zip(self.terms, self.theta_of, strict=True)
        ]

    def b(self, factors: list[np.ndarray], u: np.ndarray) -> np.ndarray:
        """L u, in the order of the terms."""
        b = np.empty(self.size)
        for L, at in zip(factors, self.positions, strict=True):
            b[at] = _along(L, u[at])
        return b

    def vector(self, beta: np.ndarray, factors: list[np.ndarray], u: np.ndarray) -> np.ndarray:
        """The model's coefficients."""
        whole = np.empty(len(self.at_beta) + self.size)
        whole[self.at_beta], whole[self.at_b] = beta, self.b(factors, u)
        return whole

    def _joint(self, beta, factors, u) -> tuple[float, np.ndarray, np.ndarray]:
        """F, and its gradients by beta and u."""
        loglik, gradient = self.model.loglik_and_gradient(self.vector(beta, factors, u))
        by_b, by_u = gradient[self.at_b], np.empty(self.size)
        for L, at in zip(factors, self.positions, strict=True):
            by_u[at] = _along(np.swapaxes(L, 1, 2), by_b[at])
        return loglik, gradient[self.at_beta], by_u

    # ---- which coefficients have nothing to do with each other ------------------------------------------------

    def _structure(self) -> tuple[np.ndarray, np.ndarray]:
        """Core positions [K], and leaf positions [G, R] of the largest grouping whose groups are separate."""
        best, found = 0, (np.arange(self.size), np.empty((0, 0), int))
        for group in dict.fromkeys(term.group for _, term, _ in self.terms if term.group):
            leaves = self._leaves(group)
            weight = int((leaves < self.size).sum())
            if weight > best and len(leaves) > 2 and self._separate(leaves):
                best, found = weight, (np.setdiff1d(np.arange(self.size), leaves), leaves)
        return found

    def _leaves(self, group: str) -> np.ndarray:
        """int [G, R]: coefficients of each group, from all terms with that grouping."""
        own = [(t, at) for (_, t, _), at in zip(self.terms, self.positions, strict=True) if t.group == group]
        levels = {level: g for g, level in enumerate(dict.fromkeys(level for t, _ in own for level in t.levels))}
        leaves, begin = np.full((len(levels), sum(at.shape[1] for _, at in own)), self.size), 0
        for term, at in own:
            leaves[[levels[level] for level in term.levels], begin : begin + at.shape[1]] = at
            begin += at.shape[1]
        return leaves

    def _separate(self, leaves: np.ndarray) -> bool:
        """Moves half of the groups, and looks whether the gradient by the others stays where it is."""
        rng, beta = np.random.default_rng(1), self.model.start()[self.at_beta]
        factors = self.factors(self.start_theta())
        u = 0.3 * rng.normal(size=self.size)
        base = self._joint(beta, factors, u)[2]
        if not np.isfinite(base).all():
            return False
        for bit in range(int(len(leaves) - 1).bit_length()):
            moved = (np.arange(len(leaves)) >> bit) % 2 == 1
            step = np.zeros(self.size + 1)
            step[leaves[moved]] = 0.5 * rng.normal(size=leaves[moved].shape)
            change = np.append(self._joint(beta, factors, u + step[:-1])[2] - base, 0.0)
            if not np.abs(change[leaves[~moved]]).max() <= 1e-11 * np.abs(base).max():
                return False
        return True

    def start_theta(self) -> np.ndarray:
        """Variance parameters to begin with."""
        return np.concatenate([term.start() for _, term, _ in self.terms])

    # ---- the maximum over u ---------------------------------------------------------------------------------

    def _curvature(self, beta, factors, u) -> Arrow:
        """A at u, by differences of the gradient."""
        (G, R), K = self.at_leaf.shape, len(self.at_core)
        core, between, leaf = np.empty((K, K)), np.zeros((G, R, K)), np.zeros((G, R, R))
        there = self.at_leaf < self.size
        for k, position in enumerate(self.at_core):
            step = np.zeros(self.size)
            step[position] = h = STEP2 * self._spread[position]
            column = self._difference(beta, factors, u, step) / h
            core[:, k], between[:, :, k] = column[self.at_core], np.append(column, 0.0)[self.at_leaf]
        for c in range(R):
            step, h = np.zeros(self.size + 1), STEP2 * np.append(self._spread, 1.0)[self.at_leaf[:, c]]
            step[self.at_leaf[:, c]] = h
            column = self._difference(beta, factors, u, step[:-1])
            leaf[:, :, c] = np.append(column, 0.0)[self.at_leaf] / h[:, None] * there[:, c, None]
        core, leaf = -0.5 * (core + core.T), -0.5 * (leaf + leaf.transpose(0, 2, 1))
        return Arrow(core + np.eye(K), leaf + np.eye(R), -between, self.at_core, self.at_leaf, self.size)

    def _difference(self, beta, factors, u, step) -> np.ndarray:
        """Half the change of the gradient by u, from u - step to u + step."""
        return 0.5 * (self._joint(beta, factors, u + step)[2] - self._joint(beta, factors, u - step)[2])

    def mode(self, beta: np.ndarray, theta: np.ndarray) -> Mode | None:
        """The maximum over u from where the last one was; None where there is none."""
        found = self._climb(beta, theta, self._u)
        if found is None and self._u.any():
            found = self._climb(beta, theta, np.zeros(self.size))
        if found is not None:
            self._u, self._spread = found.u, np.sqrt(np.maximum(found.solved.variances(), 1e-12))
        return found

    def _climb(self, beta, theta, u) -> Mode | None:
        factors = self.factors(theta)
        loglik, by_beta, by_u = self._joint(beta, factors, u)
        if not (np.isfinite(loglik) and np.isfinite(by_u).all()):
            return None
        value, solved, arrow, last = loglik - 0.5 * u @ u, None, None, np.inf
        fresh = False
        for _ in range(MOST):
            if solved is None:
                arrow = self._curvature(beta, factors, u)
                if not all(np.isfinite(part).all() for part in (arrow.core, arrow.leaf, arrow.between)):
                    return None
                solved, fresh = arrow.solved() or arrow.solved(floor=0.5), True
                assert solved is not None
            gradient = by_u - u
            step = solved.times(gradient)
            decrement = float(gradient @ step)
            if decrement < TIGHT or (decrement < LOOSE and decrement > 0.5 * last):
                if fresh:
                    exact = arrow.solved() if arrow is not None else None
                    return None if exact is None else Mode(beta, theta, u, value, by_beta, arrow, exact)
                solved = None
                continue
            moved = self._halved(beta, factors, u, value, step, decrement)
            if moved is None:
                if fresh and decrement < 1e-6:
                    exact = arrow.solved() if arrow is not None else None
                    return None if exact is None else Mode(beta, theta, u, value, by_beta, arrow, exact)
                if fresh:
                    return None
                solved = None
                continue
            slow = decrement > 0.05 * last and decrement > 1e-12
            u, value, by_beta, by_u, whole = moved
            solved, fresh, last = (None if slow or not whole else solved), False, decrement
        return None

    def _halved(self, beta, factors, u, value, step, decrement):
        """The first of steps 1, 1/2, 1/4 … that does not go down; None when all do."""
        for k in range(25):
            trial = u + step * 0.5**k
            loglik, by_beta, by_u = self._joint(beta, factors, trial)
            reached = loglik - 0.5 * trial @ trial
            slack = 1e-12 * (1.0 + abs(value))
            if np.isfinite(reached) and np.isfinite(by_u).all() and reached >= value - slack:
                return trial, reached, by_beta, by_u, k == 0
            if decrement < LOOSE:
                return None
        return None

    # ---- log-likelihood and gradient ------------------------------------------------------------------------

    def loglik(self, psi: np.ndarray) -> float:
        """Marginal log-likelihood; -inf where it cannot be evaluated."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            found = self.mode(*self.split(np.asarray(psi, float)))
            return -np.inf if found is None else self.loglik_at(found)

    def loglik_and_gradient(self, psi: np.ndarray) -> tuple[float, np.ndarray]:
        """Marginal log-likelihood and its gradient."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
            found = self.mode(*self.split(np.asarray(psi, float)))
            loglik = -np.inf if found is None else self.loglik_at(found)
            if found is None or not np.isfinite(loglik):
                return -np.inf, np.full(len(psi), np.nan)
            return loglik, self.gradient_at(found)

    def loglik_at(self, mode: Mode) -> float:
        """Marginal log-likelihood; -inf where the approximation cannot hold."""
        return mode.value - 0.5 * mode.solved.log_det if mode.least() > HOLDS else -np.inf

    def hessian(self, psi: np.ndarray) -> np.ndarray | None:
        """By differences of the gradient."""
        return None

    def scaling(self, psi: np.ndarray) -> np.ndarray:
        """Units in which coefficients are alike: the model's for beta; logarithms for theta."""
        beta, theta = self.split(psi)
        whole = self.model.scaling(self.vector(beta, self.factors(theta), np.zeros(self.size)))
        T = np.eye(len(psi))
        T[: len(beta), : len(beta)] = whole[np.ix_(self.at_beta, self.at_beta)]
        return T

    def gradient_at(self, mode: Mode) -> np.ndarray:
        """Gradient by psi."""
        factors, u = self.factors(mode.theta), mode.u
        middle = self._joint(mode.beta, factors, u)
        t_beta, t_u = np.zeros(len(mode.beta)), np.zeros(self.size)
        for root in mode.solved.roots():
            ahead = self._joint(mode.beta, factors, u + STEP3 * root)
            behind = self._joint(mode.beta, factors, u - STEP3 * root)
            t_beta -= (ahead[1] - 2.0 * middle[1] + behind[1]) / STEP3**2
            t_u -= (ahead[2] - 2.0 * middle[2] + behind[2]) / STEP3**2
        w = mode.solved.times(t_u)
        beta_w, Mw = self._along(mode, factors, w)
        by_beta = mode.by_beta - 0.5 * t_beta - 0.5 * beta_w
        core, leaf = mode.solved.diagonal_blocks()
        by_theta = np.zeros(self.n_theta)
        for j, ((_, term, _), where, at) in enumerate(zip(self.terms, self.theta_of, self.positions, strict=True)):
            inverse = self._block(j, core, leaf)
            for k in range(len(term.theta)):
                if where.start + k in self.held:
                    continue
                E = relative_change(term, mode.theta[where], k)
                Eu = _along(E, u[at])
                traces = np.einsum("gii->g", E) * np.ones(len(at)) - np.einsum("gij,gji->g", inverse, _full(E, at))
                own = np.sum(u[at] * Eu) - traces.sum() - 0.5 * np.sum(t_u[at] * Eu)
                by_theta[where.start + k] = own - 0.5 * np.sum(_along(E, w[at]) * u[at]) + 0.5 * np.sum(Mw[at] * Eu)
        return np.concatenate([by_beta, by_theta[self.free]])

    def _along(self, mode: Mode, factors, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(∂F_beta/∂u) w and M w."""
        length = np.sqrt(np.sum(w * w / np.maximum(mode.solved.variances(), 1e-12)))
        if not length > 0:
            return np.zeros(len(mode.beta)), np.zeros(self.size)
        h = STEP2 / length
        ahead, behind = (self._joint(mode.beta, factors, mode.u + side * h * w) for side in (1.0, -1.0))
        return (ahead[1] - behind[1]) / (2.0 * h), -(ahead[2] - behind[2]) / (2.0 * h)

    def _block(self, j: int, core: np.ndarray, leaf: np.ndarray) -> np.ndarray:
        """Blocks of A⁻¹ [groups, c, c] that belong to the groups of term j."""
        place = np.empty((self.size, 2), int)
        place[self.at_core] = np.stack([np.full(len(self.at_core), -1), np.arange(len(self.at_core))], axis=1)
        there = self.at_leaf < self.size
        place[self.at_leaf[there]] = np.argwhere(there)
        at = place[self.positions[j]]  # [groups, c, 2]
        row, column = at[:, :, 1][:, :, None], at[:, :, 1][:, None, :]
        return core[row, column] if (at[:, :, 0] < 0).all() else leaf[at[:, 0, 0][:, None, None], row, column]

    # ---- what a fit needs -----------------------------------------------------------------------------------

    def response(self, mode: Mode) -> np.ndarray:
        """Derivatives [size, psi] of the conditional modes b by psi."""
        factors, u = self.factors(mode.theta), mode.u
        columns, scale = [], self.scaling(np.concatenate([mode.beta, mode.theta[self.free]]))
        p = len(mode.beta)
        for direction in scale[:p, :p].T:
            ahead, behind = (self._joint(mode.beta + side * STEP2 * direction, factors, u)[2] for side in (1.0, -1.0))
            columns.append(self._linear(factors, mode.solved.times((ahead - behind) / (2.0 * STEP2))))
        by_beta = np.array(columns).T.reshape(self.size, p) @ np.linalg.inv(scale[:p, :p])
        by_theta = []
        for (_, term, _), where, at in zip(self.terms, self.theta_of, self.positions, strict=True):
            for k in range(len(term.theta)):
                if where.start + k in self.held:
                    continue
                E, Eu, Etu = relative_change(term, mode.theta[where], k), np.zeros(self.size), np.zeros(self.size)
                Eu[at], Etu[at] = _along(E, u[at]), _along(np.swapaxes(E, 1, 2), u[at])
                M_Eu = self._along(mode, factors, Eu)[1]
                by_theta.append(self._linear(factors, mode.solved.times(Etu - M_Eu) + Eu))
        return np.hstack([by_beta, np.array(by_theta).T.reshape(self.size, -1)])

    def _linear(self, factors, u) -> np.ndarray:
        return self.b(factors, u)

    def conditional_covariance(self, mode: Mode) -> np.ndarray:
        """Covariance [size, size] of b given the data at psi: L A⁻¹ L'."""
        factors, whole = self.factors(mode.theta), mode.solved.dense()
        for L, at in zip(factors, self.positions, strict=True):
            whole[at] = np.einsum("gij,gjq->giq", L * np.ones((len(at), 1, 1)), whole[at])
        whole = whole.T.copy()
        for L, at in zip(factors, self.positions, strict=True):
            whole[at] = np.einsum("gij,gjq->giq", L * np.ones((len(at), 1, 1)), whole[at])
        return whole


def relative_change(term: Any, theta: np.ndarray, k: int, step: float = 1e-30) -> np.ndarray:
    """E [groups or 1, c, c] with ∂L/∂theta_k = L E, by a complex step."""
    moved = theta.astype(complex)
    moved[k] += 1j * step
    shape = term.shape(theta)
    inverse = np.linalg.inv(shape)
    finite = np.where(np.isfinite(theta), moved, 0.0 + 0j)  # a scale of 0 has no part in the change of another
    of_scale = term.log_scale(finite).imag / step
    return inverse @ (of_scale[:, :, None] * shape) + inverse @ (term.shape(moved).imag / step)


def _along(L: np.ndarray, u: np.ndarray) -> np.ndarray:
    """L [groups or 1, c, c] times u [groups, c]."""
    return L[:, 0, 0, None] * u if L.shape[1] == 1 else np.einsum("gij,gj->gi", L * np.ones((len(u), 1, 1)), u)


def _full(E: np.ndarray, at: np.ndarray) -> np.ndarray:
    return E * np.ones((len(at), 1, 1))


def _positive(blocks: np.ndarray, floor: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric blocks [G, R, R] and their inverses; LinAlgError when one is not positive definite and no floor."""
    if blocks.shape[-1] == 0 or len(blocks) == 0:
        return blocks, blocks
    if floor is None:
        np.linalg.cholesky(blocks)
        return blocks, np.linalg.inv(blocks)
    values, vectors = np.linalg.eigh(blocks)
    values = np.maximum(np.abs(values), floor)
    lifted = (vectors * values[:, None, :]) @ vectors.transpose(0, 2, 1)
    return lifted, (vectors / values[:, None, :]) @ vectors.transpose(0, 2, 1)


def _root(blocks: np.ndarray) -> np.ndarray:
    """Columns whose outer products add up to each block."""
    return np.linalg.cholesky(blocks) if blocks.shape[-1] and len(blocks) else blocks
