"""The scale on which an interval is symmetric: read from what a table calls its interval."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from ...survey.errors import refuse

NUMBER = r"[-+0-9.einf]+"


@dataclass(frozen=True)
class Scale:
    """forward takes an estimate to where its interval is symmetric, inverse takes it back.

    kind "log" of what lies above `least`, "logit" of the place between `least` and `most`, "cloglog", "loglog" (of
    survival, log(-log S)) or "identity".
    """

    kind: str
    least: float = 0.0
    most: float = 1.0

    def forward(self, value):
        """From the natural scale; infinite at the bounds."""
        value = np.asarray(value, float)
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.kind == "log":
                return np.log(value - self.least)
            if self.kind == "logit":
                return logit((value - self.least) / (self.most - self.least))
            if self.kind == "cloglog":
                return np.log(-np.log1p(-value))
            return np.log(-np.log(value)) if self.kind == "loglog" else value

    def inverse(self, eta):
        """Back to the natural scale."""
        with np.errstate(over="ignore"):
            if self.kind == "log":
                return self.least + np.exp(eta)
            if self.kind == "logit":
                return self.least + (self.most - self.least) * expit(eta)
            if self.kind == "cloglog":
                return -np.expm1(-np.exp(eta))
            return np.exp(-np.exp(eta)) if self.kind == "loglog" else np.asarray(eta, float)

    def spread(self, value: float, se: float) -> float:
        """Standard error on this scale: log-normal for "log" (Burnham et al. 1987, p. 212), else the delta method."""
        if self.kind == "log":
            return float(np.sqrt(np.log1p((se / (value - self.least)) ** 2))) if value > self.least else np.nan
        step = 1e-6 * max(abs(value), 1e-3)
        slope = (self.forward(value + step) - self.forward(value - step)) / (2.0 * step)
        return float(abs(slope) * se)


def scale_of(interval: str) -> Scale | None:
    """The scale of an interval by its name in a table of estimates; None for those that have none (profile, …).

    >>> scale_of("95% log-normal, not below 26"), scale_of("95% Wald on the logit").kind, scale_of("95% profile")
    (Scale(kind='log', least=26.0, most=1.0), 'logit', None)
    """
    if found := re.search(rf"log-normal, not below ({NUMBER})", interval):
        return Scale("log", float(found[1]))
    if "log-normal" in interval:
        return Scale("log")
    if found := re.search(rf"logit, ({NUMBER}) to ({NUMBER})", interval):
        return Scale("logit", float(found[1]), float(found[2]))
    if "log(-log" in interval:
        return Scale("loglog")
    if found := re.search(r"\b(cloglog|logit|log|identity)$", interval):
        return Scale(found[1])
    return None


def scale_named(name: str) -> Scale:
    """A scale by its kind."""
    kinds = ("log", "logit", "cloglog", "loglog", "identity")
    if name not in kinds:
        raise refuse("this scale is not known", f"Use one of {', '.join(kinds)}", value=name)
    return Scale(name)
