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

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ...survey.captures import CaptureHistory
from ...survey.errors import refuse
from ...survey.habitat import HabitatMask
from ...survey.sightings import Sightings
from ..design import formula_variables
from ..verdict import Outcome, Remark
from .arguments import one_of
from .fit import SpatialFit
from .learned import LEARNED
from .marked_session import MarkedSession, after_marking, joint
from .scr import SCR
from .session import Session
from .starts import methods_apart, starting_values


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
        if self.model.marked is not None:
            raise _unknown("surface of total activity centres")
        return super().total_activity_centres(session)

    def goodness(self, n: int = 200, seed: int = 1, **how):
        """Not known."""
        raise _unknown("test of fit")

    def ghosts(self, simulations: int = 0, seed: int = 1, **how):
        """Not known."""
        raise _unknown("test of animals seen once")

    def sensitivity_to_ghosts(self):
        """Not known."""
        raise _unknown("test of animals seen once")

    def residuals(self, session: str | None = None):
        """Not known."""
        raise _unknown("table of residuals")

    def check_mask(self, **how):
        """Not known."""
        raise _unknown("check of the mask")

    def variance_split(self, session: str | None = None):
        """Not known."""
        raise _unknown("split of the variance")


def _unknown(what: str):
    return refuse(f"there is no {what} of mark-resight models yet", "Compare with models.SCR of the marking alone")


class MarkResight(SCR):
    """Spatial mark-resight of a closed population, one session (Efford & Hunter 2018, Biometrics 74:411).

    Parameters
    ----------
    marking : CaptureHistory of the marking occasions (and recaptures on them), by point detectors of any kind; None
        where marking was not recorded: then the marked animals are taken for a random sample of those in the mask
    sightings : survey.Sightings: identified, unmarked and unidentified sightings
    mask : HabitatMask
    D, lambda0, g0, sigma, z, w : formulas as for `SCR`; `phase` is a factor of "marking" and "sighting". Traps catch as
        well as cameras see only by chance: g0 = "~ phase" is a good first choice. No learned responses
    pID : formula over covariates of sighting, or a number, of the proportion of sightings of marked animals that are
        identified
    marked : where marking was not recorded: the number of marked animals in the mask, sighted or not; "unknown"
    detection : name of a detection function
    entry : "marking", or "any occasion", as if an animal that was sighted came into the data unmarked; program secr 5.4
        computes the latter, which makes density too low where few animals are marked. For comparison with it
    c_hat : overdispersion of the sightings of unmarked and of unidentified animals, see `adjusted`
    links, threads : as for `SCR`

    Raises
    ------
    SurveyError : an animal that was sighted before it was marked, losses on capture, learned responses, …
    """

    fit_class = MarkResightFit

    def __init__(
        self,
        marking: CaptureHistory | None,
        sightings: Sightings,
        mask: HabitatMask,
        D: str = "~ 1",
        lambda0: str | float | None = None,
        g0: str | float | None = None,
        sigma: str | float = "~ 1",
        z: str | float | None = None,
        w: str | float | None = None,
        *,
        pID: str | float = "~ 1",
        marked: int | str | None = None,
        detection: str = "half-normal",
        entry: str = "marking",
        c_hat: tuple[float, float] = (1.0, 1.0),
        links: Mapping[str, str] | None = None,
        threads: int | None = None,
    ):
        one_of("entry", entry, ("marking", "any occasion"))
        _check(marking, sightings, marked)
        self.marking, self.sightings, self.marked = marking, sightings, marked
        self.pID, self.entry, self.c_hat = pID, entry, (float(c_hat[0]), float(c_hat[1]))
        shape = {"lambda0": lambda0, "g0": g0, "sigma": sigma, "z": z, "w": w}
        links = dict(links or {})
        if not isinstance(pID, str):  # 1 is possible, and has no logit
            links["pID"] = "identity"
            if not 0.0 < pID <= 1.0:
                raise refuse("pID must be above 0 and at most 1", "Correct the value at which it is fixed", value=pID)
        whole = joint(marking, sightings)
        super().__init__(whole, mask, D, **shape, detection=detection, links=links, threads=threads)

    def _arrange(self, captures, masks) -> tuple[Session, ...]:
        for name in sorted(self._variables & set(LEARNED)):
            raise refuse("mark-resight models know no learned responses", "Use ~ phase", value=name)
        self.formulas["pID"] = self.pID
        whole = MarkedSession.of(
            captures[0],
            masks[0],
            self.detection,
            self._variables,
            composition="poisson",
            counts="poisson",
            threads=self.threads,
            extra={},
        )
        assert isinstance(whole, MarkedSession)
        how = (self.marking, self.sightings, self.marked, self.entry, self.c_hat, self.threads)
        return (MarkedSession.arranged_with(whole, *how),)

    @property
    def _variables(self) -> set[str]:
        own = formula_variables(self.pID) if isinstance(self.pID, str) else set()
        return super()._variables | own

    def _more_frames(self) -> dict[str, pd.DataFrame]:
        return {"pID": self.rows_of("pID")}

    def rows_of(self, name: str) -> pd.DataFrame:
        if name != "pID":
            return super().rows_of(name)
        session = self.sessions[0]
        assert isinstance(session, MarkedSession)
        return self.rows[session.is_sighting].reset_index(drop=True)

    def values_of(self, values, session):
        own = {name: v for name, v in values.items() if name != "pID"}
        return super().values_of(own, session) | {"pID": values["pID"]}

    def hessian(self, vector: np.ndarray) -> None:
        """None: the optimiser takes differences of the exact gradient."""
        return None

    def start(self) -> np.ndarray:
        fixed = {p.name: p.fixed for p in self.parameters if p.fixed is not None}
        known, others = self.sightings.totals["identified"], self.sightings.totals.get("unidentified", 0)
        values = starting_values(self, fixed)
        values.setdefault("pID", (known + 1.0) / (known + others + 2.0))
        vector, D = methods_apart(self, self.parameters.start(values)), self.parameters["D"]
        if self.marked is not None and D.design is not None:
            vector[self.parameters.slice_of("D")] = D.start(self._start_of_density(vector))
        return vector

    def _start_of_density(self, vector: np.ndarray) -> float:
        """Marked animals are to all animals as their sightings are to all sightings (Lincoln 1930)."""
        totals, session = self.sightings.totals, self.sessions[0]
        of_marked = totals["identified"] + totals.get("unidentified", 0)
        n0 = self.captures.n_animals
        if self.marked == "unknown":
            values = self.values_of(self.parameters.values(vector), session)
            n0 /= max(float(session.detection_probability(values).mean()), 1e-3)
        elif self.marked is not None:
            n0 = int(self.marked)
        return 100.0 * n0 * (1.0 + max(1, totals.get("unmarked", 0)) / max(of_marked, 1)) / self.mask.area

    def overdispersion(self, fit) -> tuple[float, float]:
        """ĉ of the total numbers of unmarked and of unidentified sightings at a fit (`spatial.sighted`)."""
        session = self.sessions[0]
        assert isinstance(session, MarkedSession) and session.sighted is not None
        values = fit.values_of(session)
        log_mu, rows = session.kernel_input(values)
        at = session.parts[0].engine.evaluate(log_mu, rows, False)
        return session.sighted.overdispersion(*session.sighted_input(values), session.share(at.total, at.detected))

    def adjusted(self, fit) -> MarkResight:
        """The same model, to fit again, with the likelihood of sightings divided by its overdispersion at a fit."""
        return self._with(c_hat=self.overdispersion(fit))

    def derive(self, fit, interval):
        return self._known(super().derive(fit, interval))

    def _known(self, estimates: pd.DataFrame) -> pd.DataFrame:
        """Without marking, how many animals there were beyond those identified is known as an expectation alone."""
        if self.marked is None:
            return estimates
        unknown = estimates["quantity"].isin(("realised abundance", "effective sampling area"))
        return estimates[~unknown].reset_index(drop=True)

    def not_comparable(self, other) -> str:
        if not isinstance(other, MarkResight):
            return "they are different kinds of model"
        if not self.sightings.equals(other.sightings):
            return "they are of different sightings"
        if (self.marked, self.entry, self.c_hat) != (other.marked, other.entry, other.c_hat):
            return "they treat marked animals or overdispersion differently"
        return super().not_comparable(other)

    def data_lines(self) -> list[str]:
        marking = [] if self.marking is None else [f"Marking: {self.marking!r}"]
        number = [] if self.marked is None else [f"Marked animals in the habitat: {self.marked}"]
        return [*marking, repr(self.sightings), *number, repr(self.mask)]

    def remarks(self, fit):
        from .checks import remarks

        found = remarks(fit, ghosts=False)
        if self.c_hat == (1.0, 1.0) and {"unmarked", "unidentified"} & set(self.sightings.totals):
            words = (
                "Sightings of one animal that nobody can name are taken for those of different animals: standard "
                "errors are too small. model.adjusted(fit).fit() allows for it"
            )
            found = (*found, Remark(Outcome.APPROXIMATE, words))
        return found

    def simulate(self, values: Mapping[str, object], seed: int, centres: pd.DataFrame | None = None) -> Any:
        """(marking, sightings) from the model at natural-scale values; see `SCR.simulate`.

        Sightings of animals are drawn as at detectors of their kind, and each is identified with probability pID.
        """
        from .simulate_marked import simulate_marked

        return simulate_marked(self, values, seed, centres)

    def on(self, captures) -> MarkResight:
        """The same model of other data: (marking, sightings)."""
        return self._with(data=captures)

    def given_at_least(self, at_least: int):
        """Not known."""
        raise _unknown("likelihood given two detections")

    def _with(self, captures=None, formulas=None, data=None, **changes) -> MarkResight:
        marking, sightings = data or captures or (self.marking, self.sightings)
        arguments = {**(formulas or self.formulas), **self._options(), **changes}
        return MarkResight(marking, sightings, self.mask, **arguments)

    def _options(self) -> dict:
        names = ("marked", "entry", "c_hat", "links", "threads")
        return {"detection": self.detection.name} | {name: getattr(self, name) for name in names}

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self.marking, self.sightings, self.mask, self.formulas | self._options())

    def __repr__(self) -> str:
        formulas = ", ".join(f"{n} {f}" if isinstance(f, str) else f"{n} = {f:g}" for n, f in self.formulas.items())
        return f"MarkResight({formulas}; {self.detection.name})"


def _rebuilt(marking, sightings, mask, arguments) -> MarkResight:
    return MarkResight(marking, sightings, mask, **arguments)


def _check(marking: CaptureHistory | None, sightings: Sightings, marked) -> None:
    """The data and what is said of them go together."""
    if not isinstance(sightings, Sightings):
        fix = "Write models.MarkResight(marking, sightings, mask)"
        raise refuse("MarkResight takes marking, sightings and a habitat mask", fix, value=type(sightings).__name__)
    for c in (marking, sightings.captures):
        if c is not None and c.telemetry is not None and len(c.telemetry):
            raise refuse("telemetry is not known to mark-resight models", "Leave it out: with_telemetry(None)")
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
    for c in (marking, sightings.captures):
        gone = c.detections.loc[c.detections["removed"], "animal"]
        if len(gone):
            fix = "Leave the animal's last capture out, or the animal"
            raise refuse("losses on capture are not known to mark-resight models", fix, value=gone.iloc[0])
    first = marking.detections.groupby("animal")["occasion"].min()
    frame, after = sightings.captures.detections, after_marking(marking, sightings)
    for animal, occasion in zip(frame["animal"], frame["occasion"], strict=True):
        if not first.get(animal, np.inf) <= after[occasion - 1]:
            raise refuse(
                f"animal {animal!r} was identified on sighting occasion {occasion} and not marked before",
                "Correct its name, or count the sighting as one of an unmarked animal",
                value=animal,
            )
