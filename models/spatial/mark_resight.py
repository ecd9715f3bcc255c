"""Mark-resight: animals marked on some occasions, marked and unmarked ones sighted on others (Efford & Hunter 2018).

The histories of marked animals are those of `SCR` with two methods, marking and sighting, but for three things:

- an animal is in the data once it was marked, so that a. = ∫ D p.(x) dx is over the marking occasions alone, and only
  occasions after its first marking say that it was not sighted;
- a sighted animal is identified with probability pID, so that the intercept of identified sightings is pID × that of
  sightings;
- sightings of unmarked, and of marked but unidentified animals add the pseudo-likelihood of `sighted`.

Where marking was not recorded ("sighting only"), the marked animals are taken for a random sample of the animals in the
habitat. With n0 of them, known,

    L = n0!/(n0 − n)! Π_i (A_i/N) (1 − a./N)^(n0 − n),         A_i, a. over sightings, N = ∫ D dx

and with an unknown number the conditional likelihood Π A_i/a., n0 being n N/a. in the numbers expected to be sighted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, cast

import numpy as np
import pandas as pd

from ...survey.captures import CaptureHistory
from ...survey.errors import refuse
from ...survey.habitat import HabitatMask
from ...survey.sightings import Sightings
from ..design import formula_variables, formulas_in_words
from ..verdict import Outcome, Remark
from .arguments import one_of
from .classes import Classes
from .fit import SpatialFit
from .learned import LEARNED
from .marked_session import MarkedSession, after_marking, joint
from .scr import SCR, _slices
from .session import Session
from .sighted import overdispersion
from .starts import methods_apart, starting_values, told_apart


class MarkResightFit(SpatialFit):
    """A `SpatialFit` of `MarkResight`: density, abundance and activity centres; some checks of `SCR` are not known."""

    def overdispersion(self, by: str = "sightings"):
        """c-hat of the total numbers of unmarked and of unidentified sightings (`spatial.sighted`)."""
        one_of("overdispersion by", by, ("sightings",))
        return self.model.overdispersion(self)

    def abundance(self, region=None, name: str | None = None, session: str | None = None) -> pd.DataFrame:
        """See `SpatialFit.abundance`; expected abundance alone where marking was not recorded."""
        return self.model._known(super().abundance(region, name, session))

    def total_activity_centres(self, session: str | None = None):
        """See `SpatialFit.total_activity_centres`; not known where marking was not recorded."""
        if self.model.marked[0] is not None:
            raise _unknown(
                "surface of total activity centres", "Use fit.activity_centre(animal) of one animal after the other"
            )
        return super().total_activity_centres(session)

    def joint_abundance(self, regions=None, by: str | None = None):
        """See `SpatialFit.joint_abundance`; not known where marking was not recorded."""
        if self.model.marked[0] is not None:
            raise _unknown(
                "joint abundance of several regions", "Use fit.abundance(region) of one region after the other"
            )
        return super().joint_abundance(regions, by)

    def goodness(self, n: int = 200, seed: int = 1, **how):
        """Not known."""
        raise _unknown("test of fit", "Use fit.overdispersion(), which compares the numbers of sightings")

    def ghosts(self, simulations: int = 0, seed: int = 1, **how):
        """Not known."""
        raise _unknown("test of animals seen once", self._marking_alone())

    def sensitivity_to_ghosts(self):
        """Not known."""
        raise _unknown("test of animals seen once", self._marking_alone())

    def residuals(self, session: str | None = None):
        """Not known."""
        raise _unknown("table of residuals", self._marking_alone())

    def check_mask(self, **how):
        """Not known."""
        raise _unknown("check of the mask", "Fit with a wider mask, and with finer cells, and compare")

    def variance_split(self, session: str | None = None):
        """Not known."""
        raise _unknown("split of the variance", "Use fit.derive(), whose standard errors are of the whole")

    def _marking_alone(self) -> str:
        """What to do where only plain models know."""
        if self.model.marking[0] is None:  # there is no plain model of these data
            return "Look at the numbers of sightings by detector: sightings.captures and fit.overdispersion()"
        return "Use models.SCR of the marking alone"


def _unknown(what: str, fix: str):
    return refuse(f"there is no {what} of mark-resight models", fix)


class MarkResight(SCR):
    """Spatial mark-resight of a closed population, one session or several (Efford & Hunter 2018, Biometrics 74:411).

    Parameters
    ----------
    marking : CaptureHistory of the marking occasions (and recaptures on them), by point detectors of any kind; None
        where marking was not recorded: then the marked animals are taken for a random sample of those in the mask. Or
        a sequence, one per session
    sightings : survey.Sightings: identified, unmarked and unidentified sightings; or one per session
    mask : HabitatMask, or one per session
    D, lambda0, g0, sigma, z, w : formulas as for `SCR`; `phase` is a factor of "marking" and "sighting". Traps catch as
        well as cameras see only by chance: g0 = "~ phase" is a good first choice. No learned responses
    pID : formula over covariates of sighting, or a number, of the proportion of sightings of marked animals that are
        identified
    marked : where marking was not recorded: the number of marked animals in the mask, sighted or not, of several
        sessions a list or a mapping by session; or "unknown"
    detection : name of a detection function
    entry : "marking", or "any occasion", as if an animal that was sighted came into the data unmarked; program secr 5.4
        computes the latter, which makes density too low where few animals are marked. For comparison with it
    c_hat : overdispersion of the sightings of unmarked and of unidentified animals, see `adjusted`
    links, session_covariates, threads : as for `SCR`
    classes, pmix : as for `SCR`, by a covariate of the marked animals such as "sex". Of an animal that is not marked
        the class is not known: its sightings are those of all classes in their proportions

    Raises
    ------
    SurveyError : an animal that was sighted before it was marked, losses on capture, learned responses, …
    """

    fit_class = MarkResightFit
    session_class = MarkedSession
    sessions: tuple[MarkedSession, ...]

    def __init__(
        self,
        marking: CaptureHistory | Sequence[CaptureHistory] | None,
        sightings: Sightings | Sequence[Sightings],
        mask: HabitatMask | Sequence[HabitatMask],
        D: str = "~ 1",
        lambda0: str | float | None = None,
        g0: str | float | None = None,
        sigma: str | float = "~ 1",
        z: str | float | None = None,
        w: str | float | None = None,
        *,
        pID: str | float = "~ 1",
        marked: int | str | Sequence[int] | Mapping[str, int] | None = None,
        detection: str = "half-normal",
        entry: str = "marking",
        c_hat: tuple[float, float] = (1.0, 1.0),
        links: Mapping[str, str] | None = None,
        session_covariates: pd.DataFrame | None = None,
        classes: str | Classes | None = None,
        pmix: str | float | None = None,
        threads: int | None = None,
    ):
        one_of("entry", entry, ("marking", "any occasion"))
        self.marking, self.sightings = _paired(marking, sightings)
        whole = [joint(m, s) for m, s in zip(self.marking, self.sightings, strict=True)]
        self.marked = _marked([c.session for c in whole], marked)
        for m, s, number in zip(self.marking, self.sightings, self.marked, strict=True):
            _check(m, s, number)
        self.pID, self.entry, self.c_hat = pID, entry, (float(c_hat[0]), float(c_hat[1]))
        how = {"lambda0": lambda0, "g0": g0, "sigma": sigma, "z": z, "w": w, "classes": classes, "pmix": pmix}
        links = dict(links or {})
        if not isinstance(pID, str):  # 1 is possible, and has no logit
            links["pID"] = "identity"
            if not 0.0 < pID <= 1.0:
                raise refuse("pID must be above 0 and at most 1", "Correct the value at which it is fixed", value=pID)
        how |= {"detection": detection, "links": links, "session_covariates": session_covariates, "threads": threads}
        super().__init__(whole, mask, D, **how)

    def _arrange(self, captures, masks) -> tuple[Session, ...]:
        for name in sorted(self._variables & set(LEARNED)):
            raise refuse("mark-resight models know no learned responses", "Use ~ phase", value=name)
        self.formulas["pID"] = self.pID
        made = cast(tuple[MarkedSession, ...], super()._arrange(captures, masks))
        how, found = (self.entry, self.c_hat, self.threads), []
        for one, marking, seen, number in zip(made, self.marking, self.sightings, self.marked, strict=True):
            found.append(one.with_sightings(marking, seen, number, *how))
        return tuple(found)

    @property
    def _variables(self) -> set[str]:
        own = formula_variables(self.pID) if isinstance(self.pID, str) else set()
        return super()._variables | own

    def _more_frames(self) -> dict[str, pd.DataFrame]:
        return {"pID": self.rows_of("pID")}

    def rows_of(self, name: str) -> pd.DataFrame:
        if name != "pID":
            return super().rows_of(name)
        return self.rows[np.concatenate([s.is_sighting for s in self.sessions])].reset_index(drop=True)

    def values_of(self, values, session):
        own = {name: v for name, v in values.items() if name != "pID"}
        return super().values_of(own, session) | {"pID": values["pID"][self._seeing[self.sessions.index(session)]]}

    @cached_property
    def _seeing(self) -> list[slice]:
        """The rows of pID of each session."""
        return _slices([int(np.sum(s.is_sighting)) for s in self.sessions])

    def hessian(self, vector: np.ndarray) -> None:
        """None: the optimiser takes differences of the exact gradient."""
        return None

    def start(self) -> np.ndarray:
        fixed = {p.name: p.fixed for p in self.parameters if p.fixed is not None}
        known, others, _ = self._totals.sum(axis=0)
        values = starting_values(self, fixed)
        values.setdefault("pID", (known + 1.0) / (known + others + 2.0))
        vector, D = methods_apart(self, self.parameters.start(values)), self.parameters["D"]
        if self.marked[0] is not None and D.design is not None:
            vector[self.parameters.slice_of("D")] = D.start(self._start_of_density(vector))
        return told_apart(self, vector)

    @property
    def _totals(self) -> np.ndarray:
        """int [sessions, 3]: identified, unidentified and unmarked sightings, 0 where they were not recorded."""
        names = ("identified", "unidentified", "unmarked")
        return np.array([[s.totals.get(name, 0) for name in names] for s in self.sightings])

    def _start_of_density(self, vector: np.ndarray) -> float:
        """Marked animals are to all animals as their sightings are to all sightings (Lincoln 1930)."""
        natural, number = self.parameters.values(vector), 0.0
        for session, (known, others, unmarked) in zip(self.sessions, self._totals, strict=True):
            n0 = float(session.captures.n_animals)
            if session.marked == "unknown":
                n0 /= max(float(session.detection_probability(self.values_of(natural, session)).mean()), 1e-3)
            else:
                n0 = float(session.marked)
            number += n0 * (1.0 + max(1, unmarked) / max(known + others, 1))
        return 100.0 * number / sum(s.mask.area for s in self.sessions)

    def overdispersion(self, fit) -> tuple[float, float]:
        """ĉ of the total numbers of unmarked and of unidentified sightings at a fit (`spatial.sighted`)."""
        each = [s.scatter(fit.values_of(s)) for s in self.sessions]
        return overdispersion(*(np.sum(part, axis=0) for part in zip(*each, strict=True)))

    def adjusted(self, fit) -> MarkResight:
        """The same model, to fit again, with the likelihood of sightings divided by its overdispersion at a fit."""
        return self._with(c_hat=self.overdispersion(fit))

    def derive(self, fit, interval):
        return self._known(super().derive(fit, interval))

    def _known(self, estimates: pd.DataFrame) -> pd.DataFrame:
        """Without marking, how many animals there were beyond those identified is known as an expectation alone."""
        if self.marked[0] is None:
            return estimates
        unknown = estimates["quantity"].isin(("realised abundance", "effective sampling area"))
        return estimates[~unknown].reset_index(drop=True)

    def not_comparable(self, other) -> str:
        if not isinstance(other, MarkResight):
            return "they are different kinds of model"
        pairs = zip(self.sightings, other.sightings, strict=False)
        if len(self.sightings) != len(other.sightings) or not all(a.equals(b) for a, b in pairs):
            return "they are of different sightings"
        if (self.marked, self.entry, self.c_hat) != (other.marked, other.entry, other.c_hat):
            return "they treat marked animals or overdispersion differently"
        return super().not_comparable(other)

    def data_lines(self) -> list[str]:
        lines = []
        for session, m, s in zip(self.sessions, self.marking, self.sightings, strict=True):
            name = f" {session.name}" if len(self.sessions) > 1 else ""
            lines += [] if m is None else [f"Marking{name}: {m!r}"]
            lines += [f"{s!r}" if m is not None or not name else f"Session{name}: {s!r}"]
            lines += [] if m is not None else [f"Marked animals in the habitat: {session.marked}"]
            lines.append(repr(session.mask))
        return lines

    def remarks(self, fit):
        from .checks import remarks

        found = remarks(fit, ghosts=False)
        recorded = {name for s in self.sightings for name in s.totals} & {"unmarked", "unidentified"}
        if self.c_hat == (1.0, 1.0) and recorded:
            words = (
                "Sightings of one animal that nobody can name are taken for those of different animals: standard "
                "errors are too small. model.adjusted(fit).fit() allows for it"
            )
            ratios = self.overdispersion(fit)
            if np.isfinite(ratios).all():
                words += f", as does c_hat = [{ratios[0]:.2f}, {ratios[1]:.2f}]"
            found = (*found, Remark(Outcome.APPROXIMATE, words))
        return found

    def simulate(
        self, values: Mapping[str, object], seed: int, centres: pd.DataFrame | None = None, removed: float | None = None
    ) -> Any:
        """(marking, sightings) from the model at natural-scale values, lists of several sessions; see `SCR.simulate`.

        Sightings of animals are Poisson, and each is identified with probability pID; at proximity detectors it is
        kept whether there was any of a kind.
        """
        from .simulate_marked import simulate_marked

        if removed:
            raise refuse("losses on capture are not known to mark-resight models", "Leave removed= out", value=removed)
        return simulate_marked(self, values, seed, centres)

    def on(self, captures) -> MarkResight:
        """The same model of other data: (marking, sightings)."""
        return self._with(data=captures)

    def given_at_least(self, at_least: int):
        """Not known."""
        raise _unknown("likelihood given two detections", "Use all animals (at_least=1)")

    def _with(self, captures=None, formulas=None, data=None, **changes) -> MarkResight:
        marking, sightings = data or captures or (self.marking, self.sightings)
        return _rebuilt(marking, sightings, self._masks, (formulas or self.formulas) | self._options() | changes)

    @property
    def _masks(self) -> list[HabitatMask]:
        return [s.mask for s in self.sessions]

    def _options(self) -> dict:
        marked = None if self.marked[0] is None else list(self.marked)
        names = ("entry", "c_hat", "links", "session_covariates", "classes", "threads")
        return {"detection": self.detection.name, "marked": marked} | {name: getattr(self, name) for name in names}

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self.marking, self.sightings, self._masks, self.formulas | self._options())

    def __repr__(self) -> str:
        formulas = formulas_in_words(self.formulas)
        return f"MarkResight({formulas}; {self.detection.name})"


def _rebuilt(marking, sightings, masks, arguments) -> MarkResight:
    return MarkResight(marking, sightings, masks, **arguments)


def _paired(marking, sightings) -> tuple[tuple[CaptureHistory | None, ...], tuple[Sightings, ...]]:
    """Marking and sightings of every session."""
    seen = tuple(sightings) if isinstance(sightings, Sequence) else (sightings,)
    for one in seen:
        if not isinstance(one, Sightings):
            fix = "Write models.MarkResight(marking, sightings, mask)"
            raise refuse("MarkResight takes marking, sightings and a habitat mask", fix, value=type(one).__name__)
    if marking is None:
        return (None,) * len(seen), seen
    begun = tuple(marking) if isinstance(marking, Sequence) else (marking,)
    if len(begun) != len(seen):
        fix = "Give the marking and the sightings of every session, in one order"
        raise refuse("there are not as many sessions of marking as of sighting", fix, value=(len(begun), len(seen)))
    if any(m is None for m in begun) and any(m is not None for m in begun):
        fix = "Fit the sessions without marking by themselves"
        raise refuse("marking was recorded in some sessions and not in others", fix)
    for m, s in zip(begun, seen, strict=True):
        if len(seen) > 1 and m is not None and m.session != s.captures.session:
            fix = "Give both the same session=, in one order"
            raise refuse("marking and sightings of different sessions", fix, value=(m.session, s.captures.session))
    return begun, seen


def _marked(names: list[str], marked) -> tuple:
    """The number of marked animals of each session, "unknown", or None."""
    if isinstance(marked, Mapping):
        known = {str(k): v for k, v in marked.items()}
        lost, more = [n for n in names if n not in known], [n for n in known if n not in names]
        if lost:
            raise refuse("marked= lacks a session", "Give the number of every session", value=", ".join(lost))
        if more:
            fix = f"Use {', '.join(names)}"
            raise refuse("marked= names a session that there is not", fix, value=", ".join(more))
        return tuple(known[name] for name in names)
    if isinstance(marked, (list, tuple, np.ndarray)):
        if len(marked) != len(names):
            raise refuse("there is not one number of marked animals per session", "Give one each", value=len(marked))
        return tuple(marked)
    if len(names) > 1 and marked not in (None, "unknown"):
        fix = "Give a list, one number per session"
        raise refuse("the number of marked animals is given once for several sessions", fix, value=marked)
    return (marked,) * len(names)


def _check(marking: CaptureHistory | None, sightings: Sightings, marked) -> None:
    """The data of a session and what is said of them go together."""
    for c in (marking, sightings.captures):
        if c is not None and c.telemetry is not None and len(c.telemetry):
            raise refuse("telemetry is not known to mark-resight models", "Leave it out: with_telemetry(None)")
        gone = [] if c is None else c.detections.loc[c.detections["removed"], "animal"].tolist()
        if gone:
            fix = "Leave the animal's last capture out, or the animal"
            raise refuse("losses on capture are not known to mark-resight models", fix, value=gone[0])
    if marking is None:
        n = sightings.captures.n_animals
        whole = isinstance(marked, (int, np.integer)) and not isinstance(marked, bool)
        if not (marked == "unknown" or (whole and marked >= n)):
            raise refuse(
                f"without marking occasions the number of marked animals must be said, {n} or more",
                "Give marked= their number in the habitat, or 'unknown'",
                value=marked,
            )
        if sightings.unmarked is None:
            fix = "Give Sightings(…, unmarked=…)"
            raise refuse("without marking occasions density is known only from unmarked animals", fix)
        return
    if marked is not None:
        what = "marking is modelled, and the number of marked animals given too"
        raise refuse(what, "Leave marked= out", value=marked)
    first = marking.detections.groupby("animal")["occasion"].min()
    frame, after = sightings.captures.detections, after_marking(marking, sightings)
    for animal, occasion in zip(frame["animal"], frame["occasion"], strict=True):
        if not first.get(animal, np.inf) <= after[occasion - 1]:
            raise refuse(
                f"animal {animal!r} was identified on sighting occasion {occasion} and not marked before",
                "Correct its name, or count the sighting as one of an unmarked animal",
                value=animal,
            )
