"""What a fit says about itself, in sentences."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """Every thing that can be said about a fit; the value is the sentence, with the particulars in braces."""

    CONVERGED = "The fit converged."
    GIVEN = "Nothing was fitted: these are the results at the given values."
    INTERRUPTED = "The fit was interrupted; these are the best values so far. Go on with fit(start=fit.vector)."
    NOT_CONVERGED = "The fit did not converge: {detail}. Do not report these numbers."
    FLAT = (
        "The data do not determine {detail}: the likelihood is flat in that direction, so no standard errors are given."
    )
    BOUNDARY = "{detail} is at a boundary of what is possible, so its standard error has no meaning."
    NO_VARIATION = "The data show no variation of {detail}."
    FEW_RECAPTURES = "There are only {detail}: sigma rests on very little, and the intervals are too narrow."
    NO_RECAPTURES = "No animal was detected at two places: sigma cannot be estimated from these data."
    MASK_SMALL = "The habitat mask is too small: {detail}."
    MASK_COARSE = "The habitat mask is too coarse: {detail}."
    FEW_ANIMALS = "Only {detail}: treat the interval as a rough guide, and prefer interval='profile'."
    IMPRECISE = "{detail}."
    CLUMPED = "{detail}."
    APPROXIMATE = "{detail}."
    STARTS = "{detail}."
    GHOSTS = "{detail}."

    @property
    def serious(self) -> bool:
        """True when the estimates must not be used as they are."""
        return self in (
            Outcome.NOT_CONVERGED,
            Outcome.FLAT,
            Outcome.NO_RECAPTURES,
            Outcome.MASK_SMALL,
            Outcome.INTERRUPTED,
        )


@dataclass(frozen=True)
class Remark:
    """One outcome with its particulars."""

    outcome: Outcome
    detail: str = ""

    def __str__(self) -> str:
        return self.outcome.value.format(detail=self.detail)


@dataclass(frozen=True)
class Verdict:
    """All remarks on a fit, the most serious first."""

    remarks: tuple[Remark, ...]

    @property
    def good(self) -> bool:
        """True when nothing serious was found: the estimates can be used, with what the other remarks say."""
        return not any(r.outcome.serious for r in self.remarks)

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        return tuple(r.outcome for r in self.remarks)

    def also(self, *remarks: Remark) -> Verdict:
        """This verdict with more remarks."""
        merged = sorted((*self.remarks, *remarks), key=lambda r: not r.outcome.serious)
        return Verdict(tuple(merged))

    def __contains__(self, outcome: Outcome) -> bool:
        return outcome in self.outcomes

    def __str__(self) -> str:
        return " ".join(map(str, self.remarks))
