"""The posterior density of a model's unknowns and its gradient: likelihood times prior, whatever samples it.

The unknowns are the coefficients of the formulas. With random effects or smooths they are the fixed coefficients, the
variance parameters theta and one standard normal number u for each random coefficient b = L(theta) u, the non-centred
form in which the prior of u does not depend on theta (Papaspiliopoulos, Roberts & Sköld 2007, Stat. Sci. 22:59).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ..survey.errors import refuse
from .inference.laplace import Marginal, relative_change
from .inference.maximum_likelihood import covariance_of, maximise
from .priors import OF_CORRELATION, OF_LENGTH, SIGMA, SMOOTH, LogNormal, Prior, Scale, chosen, to_record
from .random_terms import Smooth

STEP = 1e-4  # of the differences of gradients, in units of about one standard deviation
ROUNDS = 3  # updates of the standard deviations at which the metric of random effects is taken
FLOOR = 0.3  # least curvature in a direction of that metric: u has a prior of curvature 1


class Posterior:
    """Log-likelihood plus log prior density over the unknowns [size], with the gradient.

    Parameters
    ----------
    model : any Model
    priors : by parameter: one prior, or a mapping from its terms to priors; "N" for the number of animals of a closed
        population whose parameter is f0, the number never met; a random term by its name, as in {"p: 1 | site":
        LogNormal(0.5, 2)}, of its standard deviation on the link scale

    Notes
    -----
    A prior of f0 itself would depend on how many animals happen to be met, so it is refused: N is what exists before
    the survey. N is a positive number, as in the likelihood, not an integer; below one animal never met this matters.

    Raises
    ------
    SurveyError : a prior for no parameter, effects of single animals that the model cannot have, nothing to sample
    """

    def __init__(self, model, priors: Mapping[str, Any] | None = None):
        given, parameters = dict(priors or {}), model.parameters
        if not parameters.size:
            raise refuse("every parameter is fixed, so there is nothing to sample", "Give a formula, e.g. '~ 1'")
        self.model, self.random, start = model, None, parameters.split(model.start())
        if parameters.random:
            from .random_fit import check_individuals

            check_individuals(model)
            self.random = Marginal(model)
        self.population = self._population(given)
        self.of_theta = self._of_theta(given)
        self.of: list[tuple[int, Prior, Any]] = []  # coefficient, prior, link
        for p in parameters:
            if p.design is None or (p.name == "f0" and self.population is not None):
                continue
            at = parameters.slice_of(p.name).start
            placed = chosen(p, given.pop(p.name, None), start[p.name])
            self.of += [(at + j, prior, p.link) for j, prior in enumerate(placed)]
        for name in given:
            value = parameters[name].fixed  # refuses a name that is unknown
            raise refuse(f"{name} is fixed in this model", "Leave its prior out", value=value)

    def _population(self, given: dict[str, Any]) -> tuple[np.ndarray, slice, np.ndarray, Prior] | None:
        """log f0 = M coefficients, where these are, animals met [G], prior of N of each group."""
        model = self.model
        if "f0" not in model.parameters or not hasattr(model, "n"):
            return None
        if "f0" in given:
            raise refuse("f0 has no prior of its own", "Give one of N, e.g. priors={'N': LogNormal(100, 2)}")
        prior = given.pop("N", Scale())
        if not isinstance(prior, Prior) or prior.on != "value" or not hasattr(prior, "log_density"):
            raise refuse("N needs a prior of a positive value", "Use e.g. LogNormal(100, 2)", value=prior)
        design = model.parameters["f0"].design
        index = model.layouts["f0"].index if hasattr(model, "layouts") else np.zeros(1, int)
        M, n = np.asarray(design.matrix, float)[index], np.atleast_1d(np.asarray(model.n, float))
        if len(n) != len(M) or M.shape[0] != M.shape[1]:
            raise refuse(
                "groups share a number never met, so their N have no prior each",
                "Leave the formula of f0 out, so that every group has its own",
            )
        return M, model.parameters.slice_of("f0"), n, prior

    def _of_theta(self, given: dict[str, Any]) -> list[Prior]:
        """Priors of the variance parameters: of a standard deviation, of a length or correlation as it is held."""
        found: list[Prior] = []
        for p, term, _ in self.random.terms if self.random is not None else ():
            for k, (kind, label) in enumerate(term.theta):
                name = f"{p.name}: {label}"
                if kind != "sd":
                    found.append(OF_LENGTH if kind == "length" else OF_CORRELATION)
                    continue
                smooth = isinstance(term, Smooth)
                usual = LogNormal(*SMOOTH) if smooth else LogNormal(float(f"{SIGMA[0] / term.spread[k]:.3g}"), SIGMA[1])
                prior = given.pop(name, usual)
                if not isinstance(prior, LogNormal):
                    raise refuse(f"the standard deviation of {name} needs a LogNormal prior", "Use it", value=prior)
                found.append(prior)
        return found

    # ---- unknowns ---------------------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """Number of unknowns."""
        return self.model.parameters.size + (0 if self.random is None else self.random.n_theta)

    @cached_property
    def labels(self) -> tuple[tuple[str, str], ...]:
        """(parameter, term) of each unknown; of variance parameters the term is "sd 1 | site" and the like."""
        own = self.model.parameters.labels
        if self.random is None:
            return own
        fixed = [own[j] for j in self.random.at_beta]
        theta = [(p.name, f"{kind} {label}") for p, term, _ in self.random.terms for kind, label in term.theta]
        return (*fixed, *theta, *((name, f"u of {term}") for name, term in (own[j] for j in self.random.at_b)))

    def _parts(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """beta, theta and u."""
        assert self.random is not None
        q, t = len(self.random.at_beta), self.random.n_theta
        return x[:q], x[q : q + t], x[q + t :]

    def coefficients(self, x: np.ndarray) -> np.ndarray:
        """The model's coefficients [p] at unknowns [size]."""
        if self.random is None:
            return np.asarray(x, float)
        beta, theta, u = self._parts(x)
        return self.random.vector(beta, self.random.factors(theta), u)

    def variation(self, x: np.ndarray) -> np.ndarray:
        """Standard deviations, correlations and lengths [n_theta] in their own units."""
        if self.random is None:
            return np.empty(0)
        theta = self._parts(x)[1]
        pairs = zip(self.random.terms, self.random.theta_of, strict=True)
        return np.concatenate([term.natural(theta[where]) for (_, term, _), where in pairs])

    # ---- density ------------------------------------------------------------------------------------------------

    def stated(self) -> pd.DataFrame:
        """The priors: parameter, term, prior, unit of the value, and whether it is on the coefficient or the value."""
        parameters, labels = self.model.parameters, self.model.parameters.labels
        fixed = {j for j, _, _ in self.of} if self.random is None else set(self.random.at_beta)
        rows = []
        for j, prior, link in self.of:
            if j in fixed:
                unit = parameters[labels[j][0]].unit if prior.on == "value" else link.name
                rows.append((*labels[j], str(prior), unit, prior.on))
        for (name, term), prior in zip(self._theta_labels(), self.of_theta, strict=True):
            on = "value" if prior.on == "value" else "logit of its range" if term.startswith("length") else "tangent"
            rows.append((name, term, str(prior), "link scale" if prior.on == "value" else "", on))
        if self.population is not None:
            several = "each group" if len(self.population[2]) > 1 else ""
            rows.append(("N", several, str(self.population[3]), "animals", "value"))
        return pd.DataFrame(rows, columns=["parameter", "term", "prior", "unit", "on"])

    def _theta_labels(self) -> list[tuple[str, str]]:
        terms = () if self.random is None else self.random.terms
        return [(p.name, f"{kind} {label}") for p, term, _ in terms for kind, label in term.theta]

    def record(self) -> dict[str, Any]:
        """All priors as JSON can hold them, in the shape that `priors` takes."""
        found: dict[str, Any] = {}
        for j, prior, _ in self.of:
            name, term = self.model.parameters.labels[j]
            found.setdefault(name, {})[term] = to_record(prior)
        for (name, term), prior in zip(self._theta_labels(), self.of_theta, strict=True):
            if term.startswith("sd "):
                found[f"{name}: {term[3:]}"] = to_record(prior)
        return found | ({} if self.population is None else {"N": to_record(self.population[3])})

    def prior_of(self, j: int) -> Callable[[np.random.Generator], float] | None:
        """What draws unknown j from its prior; None where it has no proper prior of its own."""
        q = self.model.parameters.size if self.random is None else len(self.random.at_beta)
        if j >= q:
            of_theta = self.of_theta[j - q]
            return (lambda rng: np.log(of_theta.draw(rng))) if of_theta.on == "value" else of_theta.draw
        place = j if self.random is None else int(self.random.at_beta[j])
        for at, prior, link in self.of:
            if at == place and prior.proper:
                if prior.on == "coefficient":
                    return prior.draw
                return lambda rng, prior=prior, link=link: float(link.forward(np.float64(prior.draw(rng))))
        return None

    def drawn(self, rng: np.random.Generator) -> np.ndarray:
        """The model's coefficients [p] drawn from the priors.

        Raises
        ------
        SurveyError : a prior is improper, or of the number of animals of a closed population
        """
        if self.population is not None:
            raise refuse(
                "the prior is of N and the model has the number never met, which depends on who is met",
                "Draw N from its prior, and simulate with ClosedCapture.simulate",
            )
        t = 0 if self.random is None else self.random.n_theta
        q = self.size - t - (0 if self.random is None else self.random.size)
        draw = [self.prior_of(j) for j in range(q + t)]
        for j, one in enumerate(draw):
            if one is None:
                what = f"the prior of {' '.join(self.labels[j])} is improper"
                raise refuse(what, "Give a proper prior, such as LogNormal")
        x = np.array([one(rng) for one in draw if one is not None])
        return self.coefficients(np.concatenate([x, rng.normal(size=self.size - q - t)]))

    def log_prior(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Log density over the unknowns and its gradient [size]; the change of variable is in it."""
        if self.random is None:
            return self._of_coefficients(x, None)
        beta, theta, u = self._parts(x)
        vector = np.zeros(self.model.parameters.size)
        vector[self.random.at_beta] = beta
        total, by_vector = self._of_coefficients(vector, set(self.random.at_beta))
        by_theta = np.zeros(len(theta))
        for k, prior in enumerate(self.of_theta):
            density, slope = prior.log_density(np.exp(theta[k]) if prior.on == "value" else theta[k])
            if prior.on == "value":
                density, slope = density + theta[k], slope * np.exp(theta[k]) + 1.0
            total, by_theta[k] = total + density, slope
        total += float(-0.5 * u @ u - 0.5 * len(u) * np.log(2.0 * np.pi))
        return float(total), np.concatenate([by_vector[self.random.at_beta], by_theta, -u])

    def _of_coefficients(self, vector: np.ndarray, which: set[int] | None) -> tuple[float, np.ndarray]:
        total, gradient = 0.0, np.zeros(len(vector))
        for j, prior, link in self.of:
            if which is not None and j not in which:
                continue
            x = vector[j]
            if prior.on == "coefficient":
                density, slope = prior.log_density(x)
            else:
                density, by_value = prior.log_density(link.inverse(x))
                first = link.slope(x)
                density, slope = density + np.log(first), by_value * first + link.curve(x) / first
            total, gradient[j] = total + density, gradient[j] + slope
        if self.population is not None:
            M, where, n, prior = self.population
            f0 = np.exp(M @ vector[where])
            density, slope = prior.log_density(n + f0)
            total += float(np.sum(density + np.log(f0)))
            gradient[where] += M.T @ (slope * f0 + 1.0)
        return float(total), gradient

    def loglik_and_gradient(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Log-posterior, but for a constant, and its gradient [size]; (-inf, NaN) where it cannot be evaluated."""
        with np.errstate(all="ignore"):
            value, gradient = self._likelihood(x)
            prior, by_prior = self.log_prior(x)
        if not (np.isfinite(value + prior) and np.isfinite(gradient + by_prior).all()):
            return -np.inf, np.full(len(x), np.nan)
        return value + prior, gradient + by_prior

    def _likelihood(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        value, by_vector = self.model.loglik_and_gradient(self.coefficients(x))
        return value, self.pull(x, by_vector)

    def pull(self, x: np.ndarray, by_vector: np.ndarray) -> np.ndarray:
        """Gradient [size] by the unknowns from that [p] by the model's coefficients."""
        if self.random is None:
            return by_vector
        _, theta, u = self._parts(x)
        factors, by_b = self.random.factors(theta), by_vector[self.random.at_b]
        by_theta, by_u = np.zeros(len(theta)), np.empty(len(u))
        places = zip(self.random.terms, self.random.theta_of, self.random.positions, factors, strict=True)
        for (_, term, _), where, at, L in places:
            whole = L * np.ones((len(at), 1, 1))
            by_u[at] = np.einsum("gji,gj->gi", whole, by_b[at])
            for k in range(where.start, where.stop):
                change = whole @ relative_change(term, theta[where], k - where.start)
                by_theta[k] = np.sum(by_b[at] * np.einsum("gij,gj->gi", change, u[at]))
        return np.concatenate([by_vector[self.random.at_beta], by_theta, by_u])

    def hessian(self, x: np.ndarray) -> None:
        return None

    def scaling(self, x: np.ndarray) -> np.ndarray:
        """Units in which the unknowns are alike, see `Model.scaling`."""
        if self.random is None:
            return self.model.scaling(x)
        T, at = np.eye(self.size), self.random.at_beta
        T[: len(at), : len(at)] = self.model.scaling(self.coefficients(x))[np.ix_(at, at)]
        return T

    # ---- a metric for the sampler -------------------------------------------------------------------------------

    def units(self) -> tuple[np.ndarray, np.ndarray]:
        """Place [size] and matrix [size, size] such that place + matrix @ z is nearly the posterior of normal z.

        Without random effects the mode, and the Cholesky factor of the inverse of the Hessian there: a dense metric
        that no tuning has to find.
        """
        if self.random is not None:
            return self._units_of_random()
        top = maximise(self, self.model.start())
        spread = covariance_of(top).matrix
        if np.isfinite(spread).all():
            try:
                return top.vector, np.linalg.cholesky(spread)
            except np.linalg.LinAlgError:
                pass
        return top.vector, top.scaling

    def _units_of_random(self) -> tuple[np.ndarray, np.ndarray]:
        """Where beta and u are most probable given theta, and the curvature there, made positive.

        theta has no useful joint mode (it would make the random effects vanish): its standard deviations begin at
        their prior's and follow the mean square of the random coefficients, as in the EM algorithm.
        """
        marginal = self.random
        assert marginal is not None
        q, t = len(marginal.at_beta), marginal.n_theta
        x = np.concatenate([self.model.start()[marginal.at_beta], np.zeros(t + marginal.size)])
        theta = x[q : q + t]  # a view
        theta[:] = [np.log(prior.median) if isinstance(prior, LogNormal) else 0.0 for prior in self.of_theta]
        moving = np.r_[0:q, q + t : len(x)]
        for _ in range(ROUNDS):
            T = self.scaling(x)
            x[moving] = maximise(_Some(self, x, moving), x[moving]).vector
            H = self._information(x, T)[np.ix_(moving, moving)]
            second = x[q + t :] ** 2 + np.diag(np.linalg.pinv(H, hermitian=True))[q:]
            for (_, term, _), where, at in zip(marginal.terms, marginal.theta_of, marginal.positions, strict=True):
                for k, (kind, _) in enumerate(term.theta):
                    if kind != "sd":
                        continue
                    columns = at[:, k]
                    change = 0.5 * np.log(np.clip(np.mean(second[columns]), 0.1, 10.0))
                    theta[where.start + k] += change
                    x[q + t + columns] *= np.exp(-change)
        T = self.scaling(x)
        x[moving] = maximise(_Some(self, x, moving), x[moving]).vector
        values, vectors = np.linalg.eigh(self._information(x, T))
        return x, T @ (vectors / np.sqrt(np.maximum(values, FLOOR)))

    def _information(self, x: np.ndarray, T: np.ndarray) -> np.ndarray:
        """Minus the Hessian [size, size] in the units T, by differences of the gradient."""
        columns = []
        for direction in T.T:
            ahead = self.loglik_and_gradient(x + STEP * direction)[1]
            columns.append((self.loglik_and_gradient(x - STEP * direction)[1] - ahead) / (2.0 * STEP))
        H = np.array(columns) @ T
        return 0.5 * (H + H.T)


class _Some:
    """A posterior over some of its unknowns, the others held."""

    def __init__(self, whole: Posterior, x: np.ndarray, which: np.ndarray):
        self.whole, self.x, self.which = whole, x.copy(), which

    def _at(self, part: np.ndarray) -> np.ndarray:
        x = self.x.copy()
        x[self.which] = part
        return x

    def loglik_and_gradient(self, part: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = self.whole.loglik_and_gradient(self._at(part))
        return value, gradient[self.which]

    def hessian(self, part: np.ndarray) -> None:
        return None

    def scaling(self, part: np.ndarray) -> np.ndarray:
        return self.whole.scaling(self._at(part))[np.ix_(self.which, self.which)]
