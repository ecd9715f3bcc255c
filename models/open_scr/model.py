"""Spatial capture-recapture of an open population: density, survival, recruitment and movement over the years.

captures of T primary sessions, mask ─► arrange, session by session ─► Records ─► Chain per class ─► log-likelihood

Within a primary session the population is closed, between them animals survive, arrive and move (Gardner et al. 2010;
Ergon & Gardner 2014; Glennie et al. 2019; Efford & Schofield 2020).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.special import gammaln

from ...survey.captures import CaptureHistory
from ...survey.errors import refuse
from ...survey.habitat import HabitatMask
from ...survey.units import density_to_animals_per_cell
from ..design import Design, formula_variables, formulas_in_words
from ..detection import DETECTION_FUNCTIONS
from ..links import LINKS
from ..marked.base import by_axis
from ..marked.layout import Layout, build, lay_out
from ..model import Model
from ..parameters import Parameter, ParameterSet, check_fixed
from ..spatial.arguments import MEANING, one_of
from ..spatial.classes import NO_CLASSES, Classes
from ..spatial.learned import LEARNED
from ..spatial.methods import arrange_methods
from ..spatial.rows import EngineRows
from ..spatial.session import check_data
from .arguments import LIKELIHOODS, OF_INTERVALS, RECRUITMENT, all_formulas, members, sessions_of, years_between
from .chain import Chain
from .fit import OpenSpatialFit
from .movement import Movement, Mover
from .observed import Detection, Hazards, Records
from .population import Population
from .survival import of_first_session


class OpenSCR(Model[OpenSpatialFit]):
    """Open spatial capture-recapture: primary sessions, such as years, of one population.

    Parameters
    ----------
    captures : sequence of CaptureHistory, one per primary session in the order of time, with different `session`
        names; an animal has the same name in all of them
    mask : HabitatMask, where activity centres can be in all sessions
    D : formula of density in the first primary session over the mask's covariates, `x` and `y` (standardised);
        animals that arrive later arrive in proportion to it
    phi : formula of survival per year, over `session` (factor: the session before the interval), `Session` (0, 1, …),
        `years` (length of the interval), the columns of `session_covariates` and the variable of `classes`
    f, growth, gamma, b : formula of one of: recruits per animal, growth rate lambda, seniority phi/lambda (per year),
        arrivals relative to the animals of the first session (over `session`, …); f by default
    lambda0, g0, sigma, z, w : as for `SCR`, without learned responses
    move : "none" (activity centres stay), "independent", "normal", "exponential", "t", "uniform", or a `Movement`, or
        its arguments as a mapping
    move_scale, move_shape : formulas of the kernel's parameters over the intervals; the scale is that of the moves
        from a session to the next, however far apart they are
    intervals : years [T - 1] between sessions; by default the differences of session names that are years
    detection, counts, links : as for `SCR`
    session_covariates : DataFrame indexed by session name
    classes : name of a covariate of the animals with few values, such as "sex"; of some it may be unknown
    pmix : formula of the proportion of the second class among the animals of the first session and the arrivals
    likelihood : "full" (Poisson number of animals; JSSA), "conditional" on the animals detected at all (D is derived;
        Pradel–Link–Barker), "survival" (Cormack–Jolly–Seber: given the records of each animal's first session), or
        "survival without place" (given the first session, its records left out: program openCR's CJSsecr)

    Notes
    -----
    Constants as in program openCR: "full" has - log n!, the others have none.

    Raises
    ------
    SurveyError : one session, an unknown length of intervals, two kinds of recruitment, no data, a wrong formula, …
    """

    fit_class = OpenSpatialFit

    def __init__(
        self,
        captures: Sequence[CaptureHistory],
        mask: HabitatMask,
        D: str = "~ 1",
        phi: str | float = "~ 1",
        f: str | float | None = None,
        growth: str | float | None = None,
        gamma: str | float | None = None,
        b: str | float | None = None,
        lambda0: str | float | None = None,
        g0: str | float | None = None,
        sigma: str | float = "~ 1",
        z: str | float | None = None,
        w: str | float | None = None,
        *,
        move: str | Mapping[str, object] | Movement = "none",
        move_scale: str | float | None = None,
        move_shape: str | float | None = None,
        intervals: Sequence[float] | None = None,
        detection: str = "half-normal",
        counts: str = "poisson",
        links: Mapping[str, str] | None = None,
        session_covariates: pd.DataFrame | None = None,
        classes: str | Classes | None = None,
        pmix: str | float | None = None,
        likelihood: str = "full",
    ):
        one_of("detection", detection, DETECTION_FUNCTIONS)
        one_of("likelihood", likelihood, LIKELIHOODS)
        one_of("counts", counts, ("poisson", "binomial"))
        self.captures = sessions_of(captures)
        self.mask, self.likelihood, self.counts, self.links = mask, likelihood, counts, dict(links or {})
        self.detection = DETECTION_FUNCTIONS[detection]
        self.movement = Movement.of(move)
        self.session_covariates = None if session_covariates is None else session_covariates.rename(index=str)
        self.years = years_between(self.names, intervals)
        self.classes = None if classes is None else Classes.of(classes, self.captures)
        recruitment = {"f": f, "growth": growth, "gamma": gamma, "b": b}
        moves = {"move_scale": move_scale, "move_shape": move_shape}
        given = {"lambda0": lambda0, "g0": g0, "sigma": sigma, "z": z, "w": w}
        made = {"movement": self.movement, "classes": self.classes, "alone": self.of_survival}
        self.formulas = all_formulas(self.detection, D, phi, recruitment, given, moves, pmix, **made)
        self.recruitment = next((name for name in recruitment if name in self.formulas), "")
        self._arrange()
        self.parameters = self._parameters()

    # ---- what it is made of ---------------------------------------------------------------------------------

    @property
    def names(self) -> list[str]:
        """Of the primary sessions."""
        return [c.session for c in self.captures]

    @property
    def of_survival(self) -> bool:
        """Whether the likelihood is given the first sessions of the animals."""
        return self.likelihood.startswith("survival")

    def _arrange(self) -> None:
        detecting = [self.formulas[name] for name in self.detection.parameters]
        variables = set().union(*(formula_variables(f) for f in detecting if isinstance(f, str)))
        for name in sorted(variables & set(LEARNED)):
            raise refuse("learned responses are not part of open models", "Leave it out of the formula", value=name)
        arranged, self.methods = [], []
        for c in self.captures:
            check_data(c, self.mask)
            whole, methods = arrange_methods(c, self.mask, self.detection.name, variables, self.counts)
            arranged.append(whole)
            self.methods.append(methods)
        self.records = Records.of(self.captures, arranged)
        rows = [a.rows.assign(**self._of_session(s)) for s, a in zip(self.names, arranged, strict=True)]
        frame = pd.concat(rows, ignore_index=True)
        occasions = range(1, max(c.n_occasions for c in self.captures) + 1)
        self.rows = frame.assign(
            t=pd.Categorical(frame["t"], occasions), session=pd.Categorical(frame["session"], self.names)
        )
        self.kind_of_row = np.concatenate([a.scale for a in arranged])
        self.member = members(self.classes, self.captures, self.records.names, self.of_survival)
        labels = 1 if self.classes is None else len(self.classes.labels)
        self.animals = [np.flatnonzero((self.member == c) | (self.member < 0)) for c in range(labels)]
        self.mover = Mover(self.movement, self.mask)

    def _of_session(self, name: str) -> dict:
        extra: dict[str, object] = {"session": name, "Session": float(self.names.index(name))}
        if self.session_covariates is None:
            return extra
        if name not in self.session_covariates.index:
            raise refuse("session_covariates lack a session", "Add a row with its name as the index", value=name)
        return extra | {str(k): v for k, v in self.session_covariates.loc[name].items()}

    # ---- parameters -----------------------------------------------------------------------------------------

    def _parameters(self) -> ParameterSet:
        for name in self.links:
            one_of("links: parameter", name, self.formulas)
        known = MEANING | OF_INTERVALS
        self.layouts: dict[str, Layout] = {}
        made = []
        for name, formula in self.formulas.items():
            link, unit, meaning = self.classes.meaning if name == "pmix" and self.classes else known[name]
            link = self.links.get(name, link)
            if name == "D":
                made.append(self._density(formula, link, unit, meaning))
                continue
            self.layouts[name] = self._lay_out(name, formula)
            if not isinstance(formula, str):
                check_fixed(name, formula, build(name, 0.5, self.layouts[name], link).link)
            made.append(build(name, formula, self.layouts[name], link, unit, meaning))
        index = [self.layouts[name].index for name in self.detection.parameters]
        index = np.stack([*index, np.broadcast_to(self.kind_of_row, index[0].shape)], axis=-1)
        different, which = np.unique(index.reshape(-1, index.shape[-1]), axis=0, return_inverse=True)
        self.row_index = different  # [R, parameters and kind of row]
        index = which.reshape(index.shape[:2])
        self.passes = Detection(self.records, self.detection, index, self.mask.centres())
        return ParameterSet(made)

    def _density(self, formula, link: str, unit: str, meaning: str) -> Parameter:
        size = self.mask.size
        if self.of_survival:
            return Parameter("D", LINKS[link], None, unit, meaning, 1.0, size)
        if not isinstance(formula, str):
            value = check_fixed("D", formula, LINKS[link])
            return Parameter("D", LINKS[link], None, unit, meaning, value, size)
        conditional = self.likelihood == "conditional"
        if conditional and link != "log":
            raise refuse("D has the log link under the conditional likelihood", "Use likelihood='full'", value=link)
        design = Design.of(formula, self.density_frame(), "D", intercept=not conditional)
        if conditional and not design.terms:
            return Parameter("D", LINKS[link], None, unit, meaning, 1.0, size)
        return Parameter("D", LINKS[link], design, unit, meaning, None, size)

    def density_frame(self) -> pd.DataFrame:
        """Covariates of the M cells of the mask."""
        frame = pd.DataFrame(index=range(self.mask.size))
        for name, at in zip("xy", self.mask.centres(), strict=True):
            spread = at.std(ddof=1) if len(at) > 1 else 1.0
            frame[name] = (at - at.mean()) / (spread if spread > 0 else 1.0)
        return frame.assign(**{str(n): self.mask.covariate(str(n)) for n in self.mask.covariates.data_vars})

    def _lay_out(self, name: str, formula) -> Layout:
        classes = {} if self.classes is None else {self.classes.name: (0, self._labels())}
        size = 1 if self.classes is None else len(self.classes.labels)
        if name == "pmix":
            assert self.classes is not None
            others = pd.Series(self._labels()[1:]).cat.remove_unused_categories()
            return lay_out(formula, (size - 1,), {self.classes.name: (0, others)})
        if name in self.detection.parameters:
            self._known(name, formula, {*self.rows, *classes})
            return lay_out(formula, (size, len(self.rows)), by_axis(1, self.rows) | classes)
        frame = pd.DataFrame([self._of_session(s) for s in self.names[:-1]])
        frame = frame.assign(session=pd.Categorical(frame["session"], self.names[:-1]), years=self.years)
        if name in RECRUITMENT:  # animals of all classes recruit, so it is one number
            if (
                self.classes is not None
                and isinstance(formula, str)
                and self.classes.name in formula_variables(formula)
            ):
                raise refuse(
                    f"{name} is of all animals", f"Leave {self.classes.name} out of its formula", value=formula
                )
            size, classes = 1, {}
        if name in self.movement.parameters:
            classes = {}
            size = 1
        self._known(name, formula, {*frame, *classes})
        return lay_out(formula, (size, len(self.years)), by_axis(1, frame) | classes)

    def _labels(self) -> pd.Series:
        assert self.classes is not None
        return pd.Series(pd.Categorical(self.classes.labels, self.classes.labels))

    def _known(self, name: str, formula, known: set) -> None:
        for variable in sorted(formula_variables(formula) - set(known)) if isinstance(formula, str) else ():
            has = ", ".join(sorted(map(str, known)))
            raise refuse(
                f"the formula of {name} uses a covariate that is not there", f"There are: {has}", value=variable
            )

    # ---- likelihood -----------------------------------------------------------------------------------------

    def population(self, values: Mapping[str, np.ndarray]) -> Population:
        """Survival, arrivals and numbers relative to the first session."""
        share = NO_CLASSES.value if "pmix" not in values else self._proportions(values).value
        if self.of_survival:
            C = 1 if self.classes is None else len(self.classes.labels)
            kind, recruits, share = "b", np.zeros(len(self.years)), np.ones(C)
        else:
            kind = self.recruitment
            recruits = values[kind][self.layouts[kind].index[0]]
        return Population.of(kind, values["phi"][self.layouts["phi"].index], recruits, share, self.years)

    def _proportions(self, values):
        assert self.classes is not None
        return self.classes.proportions(values["pmix"][self.layouts["pmix"].index])

    def detection_rows(self, values) -> EngineRows:
        """Detection parameters of the passes."""
        rows = np.ones((len(self.row_index), 3))
        for j, name in enumerate(self.detection.parameters):
            rows[:, j] = values[name][self.row_index[:, j]]
        return EngineRows.of(self.detection, self.row_index[:, -1], rows)

    def cells(self, values) -> np.ndarray:
        """Expected animals [M] of the first session, up to a factor unless the likelihood is full."""
        return density_to_animals_per_cell(np.maximum(values["D"], 0.0), self.mask.cell_area)

    def moving(self, values, mu: np.ndarray):
        """Movement at these values."""
        at = {"move_scale": np.ones(len(self.years)), "move_shape": np.ones(len(self.years))}
        for name in self.movement.parameters:
            at[name] = values[name][self.layouts[name].index[0]]
        return self.mover.at(at["move_scale"], at["move_shape"], mu / mu.sum())

    def chains(self, values) -> tuple[Population, Hazards, list[Chain]]:
        """Each class of animals at natural-scale values."""
        population, mu = self.population(values), self.cells(values)
        hazards = self.passes.hazards(self.detection_rows(values).value)
        found = []
        for c, animals in enumerate(self.animals):
            arrivals = population.share[c] * population.arrivals
            how = (hazards, self.passes, self.moving(values, mu), mu, arrivals, population.survival[c])
            found.append(Chain.of(self.records, c, animals, *how))
        return population, hazards, found

    def evaluate(self, values, gradient):
        impossible = (-np.inf, {name: np.full(len(v), np.nan) for name, v in values.items()} if gradient else None)
        if self.of_survival:
            return of_first_session(self, values, gradient, keep=self.likelihood == "survival")
        if not self.population(values).possible or not (self.cells(values) > 0).any():
            return impossible
        population, hazards, chains = self.chains(values)
        n = len(self.records.names)
        terms = np.full((n, len(chains)), -np.inf)
        for c, chain in enumerate(chains):
            terms[chain.animals, c] = chain.log_a
        log_a = np.logaddexp.reduce(terms, axis=1) if len(chains) > 1 else terms[:, 0]
        detected = sum(chain.detected for chain in chains)
        loglik = float(log_a.sum()) + self.records.constant
        if self.likelihood == "full":
            loglik, by_detected = loglik - detected - float(gammaln(n + 1.0)), -1.0
        else:
            loglik, by_detected = loglik - n * np.log(max(detected, 1e-300)), -n / max(detected, 1e-300)
        if not gradient:
            return loglik, None
        if not np.isfinite(loglik):
            return impossible
        weights = [np.exp(terms[chain.animals, c] - log_a[chain.animals]) for c, chain in enumerate(chains)]
        return loglik, self.pull(values, population, hazards, chains, weights, by_detected)

    def pull(self, values, population: Population, hazards, chains, weights, by_detected: float):
        """Derivatives by each array of values, from those by log A of every chain's animals and by a."""
        mu = self.cells(values)
        d_log_h, d_mu, d_settled = np.zeros_like(hazards.log_h), np.zeros(len(mu)), np.zeros(len(mu))
        d_arrivals, d_survival = np.zeros_like(population.size), np.zeros_like(population.survival)
        d_move = np.zeros((len(self.years), len(self.movement.parameters)))
        for c, chain in enumerate(chains):
            by_mu, d_arrivals[c], d_survival[c] = chain.pull(weights[c], by_detected, d_log_h)
            d_mu += by_mu
            d_move += chain.moving.d_move
            d_settled += chain.moving.d_settled
        return self.adjoints(values, population, hazards, mu, d_mu, d_settled, d_arrivals, d_survival, d_move, d_log_h)

    def adjoints(
        self, values, population, hazards, mu, d_mu, d_settled, d_arrivals, d_survival, d_move, d_log_h
    ) -> dict[str, np.ndarray]:
        """Derivatives by each array of values from those by everything between: mu, arrivals, survival, log h, …"""
        total = mu.sum()
        d_mu = d_mu + (d_settled - d_settled @ mu / total) / total
        d_phi, d_recruits, d_share = population.pull(d_survival, d_arrivals)
        found = {"D": density_to_animals_per_cell(d_mu, self.mask.cell_area)}
        cells = {"phi": d_phi}
        if self.recruitment:
            cells[self.recruitment] = d_recruits[None]
        for j, name in enumerate(self.movement.parameters):
            cells[name] = d_move[None, :, j]
        if "pmix" in values:
            cells["pmix"] = d_share @ self._proportions(values).first
        for name, by in cells.items():
            found[name] = np.bincount(self.layouts[name].index.ravel(), np.ravel(by), len(values[name]))
        rows = self.detection_rows(values)
        d_rows = rows.back(self.passes.pull(hazards, rows.value, d_log_h))
        for j, name in enumerate(self.detection.parameters):
            found[name] = np.bincount(self.row_index[:, j], d_rows[:, j], len(values[name]))
        return found

    # ---- what every model says ------------------------------------------------------------------------------

    def start(self):
        from .starts import starting_values

        return self.parameters.start(starting_values(self))

    @property
    def sample_size(self) -> int:
        """Number of animals detected in any session."""
        return len(self.records.names)

    def not_comparable(self, other) -> str:
        if not isinstance(other, OpenSCR):
            return "they are different kinds of model"
        pairs = zip(self.captures, other.captures, strict=False)
        if len(self.captures) != len(other.captures) or not all(a.equals(b) for a, b in pairs):
            return "they are of different captures"
        if not np.array_equal(self.mask.centres(), other.mask.centres()) or self.mask.spacing != other.mask.spacing:
            return "their habitat masks differ"
        if self.likelihood != other.likelihood or self.counts != other.counts:
            return "they have different kinds of likelihood"
        ours, theirs = (None if m.classes is None else m.classes.name for m in (self, other))
        return "the classes of the animals are data of one and not of the other" if ours != theirs else ""

    def data_lines(self) -> list[str]:
        """Each session's captures, and the mask."""
        n, seen = len(self.records.names), (self.records.visit >= 0).sum(axis=1)
        several = int((seen > 1).sum())
        words = f"{n} animals in {len(self.captures)} primary sessions, {several} of them in more than one"
        return [words, *map(repr, self.captures), repr(self.mask)]

    def derive(self, fit, interval):
        from .derived import derived_table

        return derived_table(fit, interval)

    def predict(self, fit, name, newdata):
        from .derived import predict

        return predict(fit, name, newdata)

    def remarks(self, fit):
        from .checks import remarks

        return remarks(fit)

    def discrepancies(self, vector: np.ndarray) -> dict[str, float]:
        """See `Model.discrepancies`: of the animals detected in each session, and in each two of them."""
        from .derived import needs_numbers
        from .goodness import discrepancies

        needs_numbers(self)
        return discrepancies(self, vector)

    def simulate(self, values: Mapping[str, object], seed: int) -> list[CaptureHistory]:
        """The captures of all sessions drawn at natural-scale values (as for `at`), at this survey's detectors.

        Raises
        ------
        SurveyError : the likelihood says nothing of how many animals there are
        """
        from .simulate import simulate

        return simulate(self, values, seed)

    def on(self, captures: Sequence[CaptureHistory]) -> OpenSCR:
        """The same model of other captures."""
        return _rebuild(captures, self.mask, self.formulas, self._options())

    def with_full_likelihood(self) -> OpenSCR:
        """The same model under the full likelihood."""
        return _rebuild(self.captures, self.mask, self.formulas, self._options() | {"likelihood": "full"})

    def _options(self) -> dict:
        names = ("counts", "links", "session_covariates", "classes", "likelihood")
        made = {"detection": self.detection.name, "move": self.movement, "intervals": tuple(self.years)}
        return made | {name: getattr(self, name) for name in names}

    def __reduce__(self):
        return _rebuild, (self.captures, self.mask, self.formulas, self._options())

    def __repr__(self) -> str:
        formulas = formulas_in_words(self.formulas)
        return f"OpenSCR({formulas}; {self.detection.name}, movement {self.movement.kernel}, {self.likelihood})"


def _rebuild(captures, mask, formulas, options) -> OpenSCR:
    return OpenSCR(captures, mask, **formulas, **options)
