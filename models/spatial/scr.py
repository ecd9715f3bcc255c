"""Spatial capture-recapture of a closed population: from capture histories to density.

captures, mask, formulas ─► Session (arrange ─► SpatialProblem ─► engine: log A_i, a. ─► composition) ─► log-likelihood

The log-likelihood is that of the data by occasion with the constants of the field's other programs (the multiplicities
of identical histories among them), so that AIC is comparable between all models of one data set. Several sessions are
the sum of their log-likelihoods with formulas over all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from ...survey.captures import CaptureHistory
from ...survey.errors import refuse
from ...survey.habitat import HabitatMask
from ...survey.telemetry import Telemetry
from ..design import Design, formula_variables, formulas_in_words
from ..detection import DETECTION_FUNCTIONS
from ..links import LINKS
from ..parameters import Parameter, ParameterSet, check_fixed
from .arguments import (
    MEANING,
    MOST_SIZE,
    check_relative,
    classes_of,
    covariates_of_animals,
    formulas_of,
    one_of,
    other_formulas,
    paired,
)
from .classes import Classes
from .detected_twice import detected_often
from .fit import SpatialFit
from .linear_density import LinearInCoefficients, joined, may_be_linear
from .memory import check as check_memory
from .methods import method_names
from .metric import COST, by_session, cost_formula, differenced, in_words
from .session import Session
from .starts import methods_apart, starting_values, told_apart
from .telemetry import attached, check_telemetry, telemetry_line


class SCR(LinearInCoefficients[SpatialFit]):
    """Closed spatial capture-recapture, one session or several.

    Parameters
    ----------
    captures : CaptureHistory, or several methods of one session (`survey.together`); or a sequence of them, one per
        session (with different `session` names)
    mask : HabitatMask, where activity centres can be; or one per session
    D : formula of density over the mask's covariates, `x`, `y` (coordinates standardised over the mask) and, with
        several sessions, `session` (factor), `Session` (0, 1, …) and the columns of `session_covariates`. Polynomials
        and splines by formulaic (`poly`, `bs`); like all parameters random effects of sessions, `(1 | session)`, and
        penalised smooths, `s(elevation)`, `s(x, y)`, whose smoothness is estimated (`models.random_terms`)
    lambda0, g0, sigma, z, w : formula over covariates of detectors, occasions and both; `t` (occasion factor), `T`
        (occasion from 0); learned responses `b`, `bk`, `B`, `Bk`, `k`, `K` (see `spatial.learned`); covariates of the
        sessions; the variable of `classes`; `method` (factor); under the conditional likelihood covariates of the
        animals. Or a number, which fixes the parameter. Which exist follows from the detection function. Of a search
        lambda0 is by km walked, or (areas) by search of an animal's whole range (`spatial.rows`)
    detection : name of a detection function, see `models.DETECTION_FUNCTIONS`
    distribution : "poisson" (default) or "binomial" number of animals in the mask; of the conditional likelihood it
        changes the standard errors of density and numbers only
    likelihood : "full", or "conditional" on the animals detected (D is then derived; a formula for D is relative)
    counts : for count detectors, "poisson"; "binomial" with the effort as number of trials; or "negative binomial", for
        photographs that come in bursts: variance mean + mean²/size at each detector and occasion (`engine.clumped`)
    size : formula or number, of the clumping of negative-binomial counts; Poisson counts have a very large size
    links : other links by parameter, e.g. {"D": "identity"}
    session_covariates : DataFrame indexed by session name
    classes : name of a covariate of the animals with few values, such as "sex": animals of each are a class, with a
        proportion `pmix` that is estimated, and animals of which it is not known may be of any; or "h2", "h3": two or
        three classes that nobody knows (finite mixture; implied where a formula uses them)
    pmix : formula over the covariates of sessions, of the proportion of the second class (logit); with three classes
        or more, of the number in each class relative to the first (log), `classes` by name being in the formula
    at_least : 2 leaves out animals detected once, some of which may be known ones that were not recognised, and takes
        the likelihood given two detections (Kodi et al. 2024); `left_out` names them. See `fit.sensitivity_to_ghosts`
    distance : straight lines by default; `models.LeastCost(…)`, ways around barriers or of least cost, whose resistance
        coefficients are then the parameter `cost`; a matrix of metres, detectors × habitat cells, dense (infinite where
        there is no way) or sparse; or a function of (x, y) of a detector and (x [M], y [M]) of the cells. With several
        sessions a list, or a mapping by session. What was searched counts cell by cell then, see `spatial.by_cell`
    telemetry : fixes of collared animals (`survey.Telemetry`), if the captures do not have them yet; they need a
        detection function that is a hazard, see `spatial.telemetry` and, along ways, `spatial.engine.ranges`
    threads : threads of the likelihood, by default as many as the work deserves

    Notes
    -----
    Single-catch traps have the likelihood of multi-catch traps, and capped detectors (one animal per occasion) that of
    proximity detectors. Both are approximations, of which the verdict of a fit says how many detectors were full.

    Raises
    ------
    SurveyError : the data have no detections, detectors and mask differ in CRS, a formula or name is wrong, …
    """

    fit_class = SpatialFit
    session_class: type[Session] = Session

    def __init__(
        self,
        captures: CaptureHistory | Sequence[CaptureHistory],
        mask: HabitatMask | Sequence[HabitatMask],
        D: str = "~ 1",
        lambda0: str | float | None = None,
        g0: str | float | None = None,
        sigma: str | float = "~ 1",
        z: str | float | None = None,
        w: str | float | None = None,
        *,
        size: str | float | None = None,
        detection: str = "half-normal",
        distribution: str = "poisson",
        likelihood: str = "full",
        counts: str = "poisson",
        links: Mapping[str, str] | None = None,
        session_covariates: pd.DataFrame | None = None,
        classes: str | Classes | None = None,
        pmix: str | float | None = None,
        at_least: int = 1,
        distance: Any = None,
        telemetry: Telemetry | None = None,
        threads: int | None = None,
    ):
        one_of("detection", detection, DETECTION_FUNCTIONS)
        one_of("distribution", distribution, ("poisson", "binomial"))
        one_of("likelihood", likelihood, ("full", "conditional"))
        one_of("counts", counts, ("poisson", "binomial", "negative binomial"))
        self.detection = DETECTION_FUNCTIONS[detection]
        self.distribution, self.likelihood, self.counts = distribution, likelihood, counts
        self.links, self.threads = dict(links or {}), threads
        self.session_covariates = None if session_covariates is None else session_covariates.rename(index=str)
        given = {"lambda0": lambda0, "g0": g0, "sigma": sigma, "z": z, "w": w, "size": size}
        self.formulas = formulas_of(self.detection, D, given, counts)
        captures, masks = paired(captures, mask)
        self.given = attached(captures, telemetry)  # all animals, also those that at_least leaves out
        self.at_least = at_least
        captures, self.left_out = detected_often(self.given, at_least)
        self.distance = distance
        self.formulas |= cost_formula(by_session(distance, [c.session for c in captures]))
        self.kinked = COST in self.formulas
        self.classes = classes_of(classes, captures, self._variables)
        if self.classes is not None:
            self.formulas["pmix"] = pmix if pmix is not None else self.classes.formula
        elif pmix is not None:
            raise refuse("pmix is the proportion of a class, and there are no classes", "Give classes=", value=pmix)
        check_telemetry(self, captures)
        terms = 1 + len(formula_variables(D)) if isinstance(D, str) else 0
        linear = may_be_linear(self, self.links.get("D", "log"))
        self.memory = check_memory(captures, masks, terms, linear)  # GB, about
        self.sessions = self._arrange(captures, masks)
        if "size" in self.formulas and not any(s.clumped for s in self.sessions):
            fix = 'Use kind="count", or leave counts= out'
            raise refuse("negative-binomial counts need count detectors", fix, value=captures[0].detectors.kind)
        self.parameters = self._parameters(self.links)
        self._cells = _slices([len(s.mask) for s in self.sessions])
        self._rows = _slices([len(s.rows) for s in self.sessions])
        others = 0 if self.classes is None else len(self.classes.labels) - 1
        self._others = _slices([others] * len(self.sessions))
        self._costs = _slices([0 if s.metric is None else len(s.metric.frame()) for s in self.sessions])

    @property
    def detecting(self) -> tuple[str, ...]:
        """Names of the parameters of detection."""
        return (*self.detection.parameters, *(("size",) if self.counts == "negative binomial" else ()))

    @property
    def _variables(self) -> set[str]:
        """Names in the detection formulas."""
        detecting = [self.formulas[name] for name in self.detecting]
        return set().union(*(formula_variables(f) for f in detecting if isinstance(f, str)))

    def _arrange(self, captures, masks) -> tuple[Session, ...]:
        variables = self._variables
        composition = self.likelihood if self.likelihood == "conditional" else self.distribution
        how = {"composition": composition, "counts": self.counts, "threads": self.threads, "classes": self.classes}
        how["at_least"] = self.at_least
        how["of_animals"] = covariates_of_animals(captures, variables, self.classes, self.likelihood)
        names = [c.session for c in captures]
        return tuple(
            self.session_class.of(
                c, m, self.detection, variables, **how, extra=self._of_session(names, c.session), distance=d
            )
            for c, m, d in zip(captures, masks, by_session(self.distance, names), strict=True)
        )

    def _of_session(self, names: list[str], name: str) -> dict:
        """Covariates of one session; none when there is only one."""
        if len(names) == 1 and self.session_covariates is None:
            return {}
        extra = {"session": pd.Categorical([name], categories=names)[0], "Session": float(names.index(name))}
        if self.session_covariates is None:
            return extra
        if name not in self.session_covariates.index:
            raise refuse("session_covariates lack a session", "Add a row with its name as the index", value=name)
        return extra | {str(k): v for k, v in self.session_covariates.loc[name].items()}

    # ---- sessions -------------------------------------------------------------------------------------------

    def session(self, name: str | None = None) -> Session:
        """One session by name; the only one when there is only one."""
        if name is None and len(self.sessions) == 1:
            return self.sessions[0]
        for session in self.sessions:
            if session.name == str(name):
                return session
        names = ", ".join(s.name for s in self.sessions)
        raise refuse("say which session" if name is None else "there is no such session", f"One of {names}", value=name)

    @property
    def captures(self) -> CaptureHistory:
        """The captures of a model with one session."""
        return self.session().captures

    @property
    def mask(self) -> HabitatMask:
        """The habitat mask of a model with one session."""
        return self.session().mask

    @property
    def rows(self) -> pd.DataFrame:
        """Covariates of the distinct rows of the detection parameters, all sessions."""
        whole = pd.concat([s.rows for s in self.sessions], ignore_index=True)
        whole = whole.assign(t=pd.Categorical(whole["t"].astype(int)))  # of all sessions, where anything worked
        if "session" in whole:  # with the levels in the order given, as for D
            whole = whole.assign(session=pd.Categorical(whole["session"], [s.name for s in self.sessions]))
        if "method" in whole and any(len(s.methods) > 1 for s in self.sessions):
            whole = whole.assign(method=pd.Categorical(whole["method"], method_names(self.sessions)))
        if self.classes is not None:
            name = self.classes.name
            whole = whole.assign(**{name: pd.Categorical(whole[name], self.classes.labels)})
        return whole

    @property
    def class_rows(self) -> pd.DataFrame:
        """Covariates of pmix: one row per session and class but the first."""
        assert self.classes is not None
        names, others = [s.name for s in self.sessions], list(self.classes.labels[1:])
        rows = [{self.classes.name: c} | self._of_session(names, name) for name in names for c in others]
        frame = pd.DataFrame(rows)
        if "session" in frame:
            frame["session"] = pd.Categorical(frame["session"], names)
        return frame.assign(**{self.classes.name: pd.Categorical(frame[self.classes.name], others)})

    def rows_of(self, name: str) -> pd.DataFrame:
        """Covariates of the rows of a parameter of detection, or of pmix."""
        return self.class_rows if name == "pmix" else self.rows

    # ---- parameters -----------------------------------------------------------------------------------------

    def _parameters(self, links: dict[str, str]) -> ParameterSet:
        for name, link in links.items():
            one_of("links: parameter", name, self.formulas)
            one_of(f"links: link of {name}", link, LINKS)
        frames_of_cells = [self.density_frame(s.mask, s.name) for s in self.sessions]
        cells = frames_of_cells[0] if len(frames_of_cells) == 1 else pd.concat(frames_of_cells, ignore_index=True)
        frames = dict.fromkeys(self.detecting, self.rows) | {"D": cells}
        if self.classes is not None:
            frames["pmix"] = self.class_rows
        if COST in self.formulas:
            frames[COST] = pd.concat([s.metric.frame() for s in self.sessions if s.metric], ignore_index=True)
        frames |= self._more_frames()
        return ParameterSet([self._parameter(name, frames[name]) for name in self.formulas])

    def _more_frames(self) -> dict[str, pd.DataFrame]:
        """Covariates of parameters that only some models have."""
        return {}

    def _parameter(self, name: str, frame: pd.DataFrame) -> Parameter:
        standard, unit, meaning = self.classes.meaning if name == "pmix" and self.classes else MEANING[name]
        formula, link = self.formulas[name], LINKS[self.links.get(name, standard)]
        relative = name == "D" and self.likelihood == "conditional"
        if name == "D" and self.classes is not None and isinstance(formula, str):
            self.classes.check_density(formula_variables(formula))
        if relative:
            check_relative(formula, link.name, frame, self.session_covariates)
        intercept = not relative and name != COST  # sigma says what a metre is worth
        design = Design.of(formula, frame, name, intercept=intercept) if isinstance(formula, str) else None
        if name == COST and design is not None and not design.terms:
            raise refuse("the cost has nothing to estimate", "Name covariates, or give LeastCost()", value=formula)
        fixed = None if design is not None else check_fixed(name, formula, link)
        if relative and design is not None and not design.terms:
            design, fixed = None, 1.0  # density cancels: it is derived as n / effective sampling area
        most = MOST_SIZE if name == "size" else np.inf
        return Parameter(name, link, design, unit, meaning, fixed, len(frame), most)

    def density_frame(self, mask: HabitatMask | None = None, session: str | None = None) -> pd.DataFrame:
        """Covariates of density over the M cells of `mask` (the session's own by default), those that D uses.

        `x` and `y` are standardised over the model's own masks (mean 0, s.d. 1, divisor M - 1). All covariates are
        there if D names one that is not, so that the message can list them.
        """
        part = self.session(session)
        mask = mask or part.mask
        names = [s.name for s in self.sessions]
        layers = [str(name) for name in mask.covariates.data_vars]
        extra = self._of_session(names, part.name)
        used = formula_variables(str(self.formulas["D"])) if isinstance(self.formulas["D"], str) else set()
        if not used <= {"x", "y", *layers, *extra}:
            used = {"x", "y", *layers, *extra}
        frame = pd.DataFrame(index=range(mask.size))
        if used & {"x", "y"}:
            centre, spread = self._own_places
            for name, at, c, s in zip("xy", mask.centres(), centre, spread, strict=True):
                frame[name] = (at - c) / s
        for name in layers:
            if name in used:
                frame[name] = mask.covariate(name)
        if "session" in extra:
            extra["session"] = pd.Categorical.from_codes(
                np.full(len(frame), names.index(part.name)), dtype=pd.CategoricalDtype(names)
            )
        return frame.assign(**{name: value for name, value in extra.items() if name in used})

    @cached_property
    def _own_places(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of x and y over the cells of all sessions."""
        own = np.concatenate([np.column_stack(s.mask.centres()) for s in self.sessions])
        spread = own.std(axis=0, ddof=1) if len(own) > 1 else np.ones(2)
        return own.mean(axis=0), np.where(spread > 0, spread, 1.0)

    # ---- likelihood -----------------------------------------------------------------------------------------

    def values_of(self, values: Mapping[str, np.ndarray], session: Session) -> dict[str, np.ndarray]:
        """The part of the natural-scale arrays that belongs to one session."""
        j = self.sessions.index(session)
        where = {"D": self._cells[j], "pmix": self._others[j], COST: self._costs[j]}
        return {n: v[j] if isinstance(v, tuple) else v[where.get(n, self._rows[j])] for n, v in values.items()}

    def evaluate(self, values, gradient):
        parts = [s.evaluate(self.values_of(values, s), gradient) for s in self.sessions]
        loglik = float(sum(part[0] for part in parts))
        return loglik, joined([part[1] for part in parts], values) if gradient else None

    def curvature(self, values, along):
        parts = [s.curvature(self.values_of(values, s), self.values_of(along, s)) for s in self.sessions]
        return np.sum([part[0] for part in parts], axis=0), joined([part[1] for part in parts], values)

    def hessian(self, vector: np.ndarray) -> np.ndarray | None:
        """Exact Hessian where it is cheaper than differences of the exact gradient.

        Differences cost two gradients a coefficient; what the curvature costs depends on the engine's path.
        """
        if COST in self.formulas:
            return differenced(self, vector)
        dearest = max(x.engine.curvature_cost for s in self.sessions for x in (*s.parts, s.collared) if x is not None)
        return None if 2 * self.parameters.size < dearest else super().hessian(vector)

    def start(self) -> np.ndarray:
        fixed = {p.name: p.fixed for p in self.parameters if p.fixed is not None}
        return told_apart(self, methods_apart(self, self.parameters.start(starting_values(self, fixed))))

    @property
    def _counting(self) -> str:
        """Poisson and negative-binomial counts are of one sample space, and can be compared."""
        return "any number" if self.counts != "binomial" else self.counts

    @property
    def sample_size(self) -> int:
        """Number of animals detected, all sessions."""
        return sum(s.captures.n_animals for s in self.sessions)

    def not_comparable(self, other) -> str:
        if not isinstance(other, SCR) or type(self) is not type(other):
            return "they are different kinds of model"
        if self.at_least != other.at_least:
            return "one is given at least two detections of each animal and the other is not"
        pairs = list(zip(self.sessions, other.sessions, strict=False))
        if len(self.sessions) != len(other.sessions) or not all(a.captures.equals(b.captures) for a, b in pairs):
            return "they are of different captures"
        if any(a.mask is not b.mask and not np.array_equal(a.mask.centres(), b.mask.centres()) for a, b in pairs):
            return "their habitat masks differ"
        if self.likelihood != other.likelihood:
            return "one has the full and the other the conditional likelihood"
        number = self.likelihood == "full" and self.distribution != other.distribution  # nothing to the conditional one
        if self._counting != other._counting or number:
            return "they treat counts or the number of animals differently"
        if _seen_classes(self) != _seen_classes(other):
            return "the classes of the animals are data of one and not of the other"
        return ""

    # ---- what follows from a fit ----------------------------------------------------------------------------

    def derive(self, fit, interval):
        from .abundance import derived_table

        return derived_table(fit, interval)

    def predict(self, fit, name, newdata, session=None):
        from .predict import predict

        return predict(fit, name, newdata, session)

    def data_lines(self) -> list[str]:
        """Each session's captures and mask, and its collared animals."""
        with_collars = [(s, s.captures.telemetry) for s in self.sessions if s.captures.telemetry is not None]
        lines = [line for s in self.sessions for line in (repr(s.captures), repr(s.mask))]
        return lines + [telemetry_line(s, t) for s, t in with_collars if len(t)]

    def discrepancies(self, vector):
        """See `Model.discrepancies`; by animal and detector, animal, and detector (`spatial.fit_checks.goodness`)."""
        from .fit_checks.goodness import discrepancies

        return discrepancies(self, vector)

    def remarks(self, fit):
        from .checks import remarks

        return remarks(fit)

    def simulate(
        self, values: Mapping[str, object], seed: int, centres: pd.DataFrame | None = None, removed: float | None = None
    ) -> Any:
        """A data set from the model at natural-scale values (as for `at`), with this survey's detectors and effort.

        Parameters
        ----------
        values : value or {term: coefficient} per parameter
        seed : of NumPy's default generator; the same seed gives the same data
        centres : activity centres to use (columns x, y), see `models.simulate_population`; drawn by default
        removed : probability that an animal is removed on an occasion that it is detected on; by default as often as in
            the data

        Returns
        -------
        CaptureHistory, or a list of them for several sessions

        Raises
        ------
        SurveyError : the likelihood is conditional, so that the model says nothing of how many animals there are
        """
        if self.likelihood == "conditional":
            how = "Simulate from fit.as_full(), or from model.with_full_likelihood()"
            raise refuse("a model with the conditional likelihood has no density to simulate from", how)
        from .simulate import simulate_sessions

        return simulate_sessions(self, values, seed, centres, removed)

    def on(self, captures) -> SCR:
        """The same model of other captures."""
        return self._with(captures=captures)

    def with_formulas(self, **formulas: str | float) -> SCR:
        """The same model with other formulas, or fixed values, of the parameters named."""
        return self._with(**other_formulas(self, formulas))

    def given_at_least(self, at_least: int) -> SCR:
        """The same model of the animals with at least so many detections, or of all of them."""
        return self._with(at_least=at_least)

    def with_full_likelihood(self, D: str | None = None) -> SCR:
        """The same model under the full likelihood, with another formula for D if given."""
        formulas = self.formulas | ({} if D is None else {"D": D})
        return self._with(formulas=formulas, likelihood="full")

    def _with(self, captures=None, formulas=None, **changes) -> SCR:
        masks = [s.mask for s in self.sessions]
        data = self.given if captures is None else captures
        return _rebuild(data, masks, formulas or self.formulas, self._options() | changes)

    def _options(self) -> dict:
        names = ("distribution", "likelihood", "counts", "links", "session_covariates", "classes", "at_least")
        return {"detection": self.detection.name} | {
            name: getattr(self, name) for name in (*names, "distance", "threads")
        }

    def __reduce__(self) -> tuple[Any, ...]:
        """A model travels between processes as what it was made from."""
        return _rebuild, (self.given, [s.mask for s in self.sessions], self.formulas, self._options())

    def __repr__(self) -> str:
        formulas = formulas_in_words(self.formulas)
        twice = ", at least 2 detections" if self.at_least > 1 else ""
        twice += f", {self.counts} counts" if self.counts != "poisson" else ""
        twice += "" if self.distance is None else f", {in_words(self.distance)}"
        return f"SCR({formulas}; {self.detection.name}, {self.likelihood} likelihood, {self.distribution} N{twice})"


def _rebuild(captures, masks, formulas, options) -> SCR:
    return SCR(captures, masks, **{name: f for name, f in formulas.items() if name != COST}, **options)


def _seen_classes(model: SCR) -> str | None:
    """The covariate of the animals whose proportions are part of the likelihood."""
    return None if model.classes is None or model.classes.latent else model.classes.name


def _slices(lengths: list[int]) -> list[slice]:
    stops = np.cumsum([0, *lengths])
    return [slice(int(a), int(b)) for a, b in pairwise(stops)]
