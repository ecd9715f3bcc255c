"""Closed populations: animals met on several occasions between which nobody is born, dies, comes or goes.

One likelihood carries M0, Mt, Mb, Mtb, the finite mixtures Mh2 and Mh3 and all their combinations, by formulas on the
detection probabilities p and c; with the number never met, f0, in it, or given the animals met (Huggins).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ...survey.display import some
from ...survey.encounters import MISSING, EncounterHistory
from ...survey.errors import refuse
from ..design import formula_variables
from ..kernels.closed_capture import histories, histories_back
from ..parameters import ParameterSet
from ..verdict import Outcome, Remark
from .base import MarkedModel, by_axis, one_of, used_covariates
from .closed_fit import BEYOND, ClosedFit
from .composition import conditional, full
from .individual import ROUGH, Shift, normal_nodes, shifted
from .layout import Layout, build, lay_out, occasion_factors, profiles

TINY = 1e-300  # keeps log(0) finite where a detection probability has reached 0 or 1


class ClosedCapture(MarkedModel[ClosedFit]):
    """Capture-recapture of a closed population.

    Parameters
    ----------
    history : EncounterHistory; states above 1 count as met
    p : formula of the detection probability over animal and occasion covariates, `t` (occasion factor), `T` (occasion
        from 0), `b` (1 after the animal was first met) and `h` (class of the mixture, factor); or a number
    c : formula of the detection probability after the first encounter, if it is a parameter of its own (Mb: c="~ 1")
    f0 : formula of the number of animals never met over the groups; every group its own by default
    pi : formula of the class proportions; with 3 classes the second is a proportion of what the first leaves
    classes : of a finite mixture, 1 to 3 (Pledger 2000)
    heterogeneity : "normal": every animal has a normal effect of its own on the logit of p and c, with standard
        deviation sigma_p (Coull & Agresti 1999); p and c are then those of an animal in the middle
    nodes : of the Gauss-Hermite quadrature over the effect; the verdict says when they are too few
    likelihood : "full", or "conditional" on the animals met (Huggins 1989), which allows covariates of animals that
        have a different value each

    Notes
    -----
    M0 p="~ 1"; Mt p="~ t"; Mb c="~ 1"; Mtb (additive) p="~ t + b"; Mh2 p="~ h", classes=2; Mth2 p="~ t + h".
    Mh-normal heterogeneity="normal".
    The log-likelihood has log N!/(N - n)! in it and no other constant, as in MARK.

    Raises
    ------
    SurveyError : a formula or name is wrong, a covariate is missing, groups with the full likelihood that are numbers
    """

    fit_class = ClosedFit

    def __init__(
        self,
        history: EncounterHistory,
        p: str | float | None = None,
        c: str | float | None = None,
        *,
        f0: str | None = None,
        pi: str | float | None = None,
        classes: int = 1,
        likelihood: str = "full",
        heterogeneity: str | None = None,
        nodes: int = 40,
    ):
        one_of("classes", classes, (1, 2, 3))
        one_of("likelihood", likelihood, ("full", "conditional"))
        one_of("heterogeneity", heterogeneity, (None, "normal"))
        if heterogeneity and classes > 1:
            raise refuse("animals differ by classes or by a normal effect", "Use one of the two", value=classes)
        if history.n_animals == 0:
            raise refuse("no animal was met, so there is nothing to fit", "Check the species, dates and identities")
        if likelihood == "conditional" and f0 is not None:
            raise refuse("the conditional likelihood has no f0", "Leave f0 out: N follows from p")
        self.history, self.classes, self.likelihood = history, classes, likelihood
        self.options = {"classes": classes, "likelihood": likelihood}
        self.heterogeneity, self.nodes = heterogeneity, nodes
        if heterogeneity:
            self.options |= {"heterogeneity": heterogeneity, "nodes": nodes}
        self.formulas = {"p": ("~ h" if classes > 1 else "~ 1") if p is None else p}
        if c is not None:
            self.formulas["c"] = c
        if classes > 1:
            self.formulas["pi"] = ("~ 1" if classes == 2 else "~ 0 + h") if pi is None else pi
            if not any(isinstance(f, str) and "h" in formula_variables(f) for f in (self.formulas["p"], c)):
                raise refuse("the classes do not differ in anything", "Put h in the formula of p", value=p)
        self._group(f0)
        self._arrange()

    # ---- groups, rows, parameters -----------------------------------------------------------------------------

    def _group(self, f0: str | None) -> None:
        """Animals with the same covariates and the same occasions on which nobody looked for them are a profile."""
        history = self.history
        named = ("t", "T", "b", "h")
        used = used_covariates({**self.formulas, "f0": f0}, history.animals, history.occasions, named)
        lost = history.states == MISSING
        self.groups, self.profile, (self._not_looked,) = profiles(history.animals, used, lost)
        self.n = np.bincount(self.profile, history.frequency, len(self.groups))
        if self.likelihood == "conditional":
            return
        if len({row.tobytes() for row in self._not_looked}) > 1:
            raise refuse(
                "some animals were not looked for on occasions when others were",
                'For those never met this is not known: use likelihood="conditional"',
            )
        numbers = [name for name in self.groups if pd.api.types.is_float_dtype(self.groups[name])]
        if numbers and len(self.groups) > 1:
            raise refuse(
                "the animals never met have no known value of a covariate that is a number",
                'Use likelihood="conditional"',
                value=", ".join(map(str, numbers)),
            )
        everything = "~ " + (" * ".join(f"C({name})" for name in self.groups) or "1")
        self.formulas["f0"] = everything if f0 is None else f0

    def _arrange(self) -> None:
        """Layouts and parameters; `index` [G, C, 2, T] into the detection rows, those of c after those of p."""
        G, C, T = len(self.groups), self.classes, self.history.n_occasions
        classes = [str(c + 1) for c in range(C)]
        known = by_axis(0, self.groups) | {"h": (1, pd.Series(pd.Categorical(classes, classes)))}
        known |= {"b": (2, pd.Series([0.0, 1.0]))} | by_axis(3, occasion_factors(np.arange(1, T + 1)))
        known |= by_axis(3, self.history.occasions)
        looked = np.broadcast_to(~self._not_looked[:, None, None, :], (G, C, 2, T)).copy()
        looked[:, :, 1, 0] = False  # nobody was met before the first occasion
        first, again = looked.copy(), looked.copy()
        again[:, :, 0, :] = False
        if "c" in self.formulas:
            first[:, :, 1, :] = False
        elif not (isinstance(self.formulas["p"], str) and "b" in formula_variables(self.formulas["p"])):
            known.pop("b")
        layouts = {"p": lay_out(self.formulas["p"], (G, C, 2, T), known, first)}
        links = {"p": ("logit", "probability per occasion", "probability that an animal is met")}
        if "c" in self.formulas:
            layouts["c"] = lay_out(self.formulas["c"], (G, C, 2, T), known, again)
            links["c"] = ("logit", "probability per occasion", "probability that an animal met before is met")
        if "pi" in self.formulas:
            splits = {"h": (1, pd.Series(pd.Categorical(classes[:-1])))} if C > 2 else {}
            layouts["pi"] = lay_out(self.formulas["pi"], (G, C - 1), by_axis(0, self.groups) | splits)
            links["pi"] = ("logit", "proportion", "proportion of animals in a class, of those not in earlier classes")
        if "f0" in self.formulas:
            layouts["f0"] = lay_out(self.formulas["f0"], (G,), by_axis(0, self.groups))
            links["f0"] = ("log", "animals", "number of animals never met")
        self.layouts = layouts
        made = [build(n, self.formulas[n], layouts[n], *links[n]) for n in self.formulas]
        if self.heterogeneity:
            layouts["sigma_p"] = Layout(pd.DataFrame(index=[0]), np.zeros(1, np.int32))
            words = ("log", "standard deviation on the logit scale", "how much animals differ in p")
            made.append(build("sigma_p", "~ 1", layouts["sigma_p"], *words))
        self.parameters = ParameterSet(made)
        self.index = layouts["p"].index.copy()
        if "c" in layouts:
            self.index[:, :, 1, :] = layouts["c"].index[:, :, 1, :] + len(layouts["p"].frame)
        self.z, self.log_weight = np.zeros(1), np.zeros(1)
        if self.heterogeneity:  # every point of the quadrature is a class, with detection rows of its own
            points, self.log_weight = normal_nodes(self.nodes, 1)
            self.z = points[:, 0]
            rows = sum(len(layouts[name].frame) for name in ("p", "c") if name in layouts)
            self.index = self.index + (rows * np.arange(self.nodes, dtype=np.int32))[None, :, None, None]
        self.index = np.ascontiguousarray(self.index)
        self._rows()

    def _rows(self) -> None:
        """The kernel's rows: different histories with their frequency, then one that was never met per profile."""
        history, T = self.history, self.history.n_occasions
        met = np.minimum(history.states, 1)
        stop = np.where(history.removed, history.last + 1, T)
        key = np.column_stack([self.profile, stop, met])
        different, row = np.unique(key, axis=0, return_inverse=True)
        self.row_of_history = row.ravel()
        self.frequency = np.bincount(row.ravel(), history.frequency, len(different))
        G = len(self.groups)
        unseen = np.where(self._not_looked, MISSING, 0)
        self.met = np.ascontiguousarray(np.vstack([different[:, 2:], unseen]).astype(np.int8))
        self.stop = np.concatenate([different[:, 1], np.full(G, T)]).astype(np.int64)
        self.row_profile = np.concatenate([different[:, 0], np.arange(G)]).astype(np.int64)

    # ---- likelihood -------------------------------------------------------------------------------------------

    def detection(self, values) -> np.ndarray:
        """Detection probability by row, those of c after those of p, of an animal in the middle."""
        return np.ascontiguousarray(np.concatenate([values["p"], values["c"]]) if "c" in values else values["p"], float)

    def proportions(self, values) -> np.ndarray:
        """Proportions of the classes [G, C]."""
        proportion = np.ones((len(self.groups), self.classes))
        if self.classes > 1:
            split = values["pi"][self.layouts["pi"].index]
            for c in range(self.classes - 1):
                proportion[:, c] *= split[:, c]
                proportion[:, c + 1 :] *= 1.0 - split[:, c : c + 1]
        return proportion

    def kernel_rows(self, values) -> tuple[np.ndarray, np.ndarray]:
        """Detection by row of the kernel, those of each point of the quadrature in turn; log weights [G, classes]."""
        p = self.detection(values)
        if not self.heterogeneity:
            return p, np.log(np.maximum(self.proportions(values), TINY))
        moved = [shifted(p, float(values["sigma_p"][0]) * z) for z in self.z]
        return np.concatenate(moved), np.tile(self.log_weight, (len(self.groups), 1))

    def log_histories(self, values) -> tuple[np.ndarray, np.ndarray]:
        """log Pr [R + G] of the kernel's rows, and the share [R + G, C] of each class in them."""
        p, log_class = self.kernel_rows(values)
        log_p, log_q = np.log(np.maximum(p, TINY)), np.log1p(-np.minimum(p, 1.0 - 1e-16))
        out, share = np.empty(len(self.met)), np.empty((len(self.met), log_class.shape[1]))
        histories(self.met, self.stop, self.row_profile, self.index, log_p, log_q, log_class, out, share)
        return out, share

    def pull_histories(self, values, share, weight) -> dict[str, np.ndarray]:
        """Derivatives of sum(weight * log Pr) by p, c, pi and sigma_p; weight [R + G]."""
        p, log_class = self.kernel_rows(values)
        by_p, by_q, by_class = np.zeros(len(p)), np.zeros(len(p)), np.zeros_like(log_class)
        histories_back(self.met, self.stop, self.row_profile, self.index, share, weight, by_p, by_q, by_class)
        by = by_p / np.maximum(p, TINY) - by_q / np.maximum(1.0 - p, 1e-16)
        adjoints = {}
        if self.heterogeneity:
            middle = self.detection(values)
            shift, rows = Shift(middle), len(middle)
            for k, z in enumerate(self.z):
                shift.add(by[k * rows : (k + 1) * rows], p[k * rows : (k + 1) * rows], z)
            by, adjoints["sigma_p"] = shift.by_probability, np.array([shift.by_sigma])
        rows = len(values["p"])
        adjoints |= {"p": by[:rows]} | ({"c": by[rows:]} if "c" in values else {})
        if self.classes > 1:
            adjoints["pi"] = self._pull_classes(values["pi"], by_class)
        return adjoints

    def log_unseen(self, values) -> np.ndarray:
        """log Pr(never met) [G]."""
        return self.log_histories(values)[0][len(self.frequency) :]

    def pull_unseen(self, values, weight) -> dict[str, np.ndarray]:
        """Derivatives of sum(weight * log Pr(never met)); weight [G]."""
        share = self.log_histories(values)[1]
        return self.pull_histories(values, share, np.concatenate([np.zeros(len(self.frequency)), weight]))

    def _pull_classes(self, pi, by_class) -> np.ndarray:
        """From derivatives by the logarithms of the proportions [G, C] to those by pi."""
        index, by_pi = self.layouts["pi"].index, np.zeros(len(pi))
        for c in range(self.classes - 1):
            v = pi[index[:, c]]
            later = by_class[:, c + 1 :].sum(axis=1)
            np.add.at(by_pi, index[:, c], by_class[:, c] / np.maximum(v, TINY) - later / np.maximum(1.0 - v, 1e-16))
        return by_pi

    def evaluate(self, values, gradient):
        log_rows, share = self.log_histories(values)
        R = len(self.frequency)
        if self.likelihood == "full":
            f0 = values["f0"][self.layouts["f0"].index]
            whole = full(log_rows[:R], self.frequency, log_rows[R:], self.n, f0)
        else:
            whole = conditional(log_rows[:R], self.frequency, log_rows[R:], self.n)
        if not gradient:
            return whole.loglik, None
        adjoints = self.pull_histories(values, share, np.concatenate([whole.by_history, whole.by_unseen]))
        if self.likelihood == "full":
            adjoints["f0"] = np.bincount(self.layouts["f0"].index, whole.by_f0, len(values["f0"]))
        return whole.loglik, adjoints

    # ---- running it -------------------------------------------------------------------------------------------

    def starts(self) -> list[np.ndarray]:
        """Starting coefficients: one, or for a mixture several that spread the classes differently."""
        T = max(int((~self._not_looked).sum(axis=1).max()), 1)
        n, met = self.history.n_animals, self.history.n_encounters
        p = np.clip(met / (n * T) * 0.8, 1e-3, 0.9)
        unseen = max(n * (1.0 - p) ** T, 0.05 * n, 0.5)
        values = {"p": p, "c": p, "f0": unseen / len(self.groups), "sigma_p": 0.5}
        if self.classes == 1:
            return [self.parameters.start(values)]
        return [self._spread(values | {"pi": share}, gap) for share, gap in ((0.5, -1.5), (0.1, -2.5), (0.85, -2.0))]

    def _spread(self, values: dict[str, float], gap: float) -> np.ndarray:
        """Classes `gap` apart on the logit scale."""
        vector = self.parameters.start(values)
        for j, (name, term) in enumerate(self.parameters.labels):
            order = [c for c in range(2, self.classes + 1) if term in (f"h[T.{c}]", f"h[{c}]")]
            if name in ("p", "c") and order:
                vector[j] += gap * (order[0] - 1) / (self.classes - 1)
            elif name in ("p", "c") and term in ("Intercept", "h[1]"):
                vector[j] -= 0.5 * gap
        return vector

    def start(self):
        return self.starts()[0]

    def fit(self, *, start=None, **options) -> ClosedFit:
        """Maximum likelihood, see `Model.fit`; of a mixture from several starts, of which the best is kept."""
        if start is not None or self.classes == 1:
            return super().fit(start=start, **options)
        return max((super(ClosedCapture, self).fit(start=s, **options) for s in self.starts()), key=lambda f: f.loglik)

    def derive(self, fit, interval):
        return fit.derived_table(interval)

    def __repr__(self) -> str:
        return super().__repr__()[:-1] + ("; animals differ normally in p)" if self.heterogeneity else ")")

    def name_rows(self, name, rows):
        words = super().name_rows(name, rows)
        return words if name != "f0" else words.replace("f0", "f0, the number of animals never met,", 1)

    def remarks(self, fit):
        if fit.total()[0] > BEYOND * self.history.n_animals:
            return (Remark(Outcome.FLAT, "N, which grows without bound"),)
        if self.heterogeneity:
            finer = type(self)(self.history, **self.formulas, **(self.options | {"nodes": 2 * self.nodes}))
            error = abs(finer.loglik(fit.vector) - fit.loglik)
            if error > ROUGH:
                words = (
                    f"The integral over animals is off by {error:.2g} in the log-likelihood: use nodes={2 * self.nodes}"
                )
                return (Remark(Outcome.IMPRECISE, words),)
        again = self.history.n_encounters - self.history.n_animals
        if again == 0:
            return (Remark(Outcome.IMPRECISE, "No animal was met twice, so these data say nothing of N"),)
        if again < 5:
            return (
                Remark(Outcome.IMPRECISE, f"Animals were met again only {some(again, 'time')}: N rests on very little"),
            )
        return ()

    def simulate(self, values: Mapping[str, object], seed: int) -> EncounterHistory:
        """Encounter histories from the model at natural-scale values (as for `at`), with these occasions.

        The population has the n + f0 animals of each group (with the conditional likelihood, animals met divided by
        their probability of being met). Animals met are lost as often as in the data.
        """
        from .closed_simulate import simulate_closed

        return simulate_closed(self, self.coefficients_for(values), seed)
