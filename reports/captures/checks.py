"""Does the reported model fit? What [checks] of the form asks for: tests, ghosts, residuals, closure, the mask."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ...models import closure_test, residual_pattern
from ...models.spatial.fit_checks.goodness import NAMES
from ...models.summary import number, percent
from ...survey.errors import SurveyError
from ..texts import Texts

DOUBTFUL = 0.05
ABOUT = dict(zip(NAMES, ("records", "animals", "stations"), strict=True))  # what a small p of each test is about


class FitChecks:
    """The checks of one analysis that were asked for; each is made once."""

    def __init__(self, analysis):
        self.analysis, self.asked = analysis, analysis.study.config.checks
        self.refused: dict[str, str] = {}  # checks that these data or this model do not allow, and why

    def _try(self, name: str, make) -> Any:
        try:
            return make()
        except SurveyError as error:
            self.refused[name] = error.problems[0].what
            return None

    @cached_property
    def ghosts(self):
        """The `GhostTest`, if asked for."""
        return self._try("ghosts", self._all_animals.ghosts) if self.asked.ghosts else None

    @cached_property
    def sensitivity(self) -> pd.DataFrame | None:
        """Density and abundance by all animals and by those detected twice, if asked for."""
        made = lambda: self.analysis.study.told(self.analysis.fit).sensitivity_to_ghosts()  # noqa: E731
        return self._try("ghosts", made) if self.asked.ghosts else None

    @property
    def _all_animals(self):
        """The reported fit, or that of all animals where it leaves out those detected once, as people are told it."""
        fit = self.analysis.fit
        fit = fit if fit.model.at_least == 1 else fit.model.given_at_least(1).fit(start=fit.vector)
        return self.analysis.study.told(fit)

    @cached_property
    def residuals(self) -> pd.DataFrame | None:
        """Residuals of stations, if asked for."""
        session = self.analysis.study.session
        made = lambda: self.analysis.fit.residuals(session)  # noqa: E731
        return self._try("residuals", made) if self.asked.residuals else None

    @cached_property
    def pattern(self):
        """Moran's I of the residuals given the animals."""
        return None if self.residuals is None else self._try("residuals", lambda: residual_pattern(self.residuals))

    @cached_property
    def closure(self):
        """The `ClosureTest`, if asked for."""
        study = self.analysis.study
        test = lambda: closure_test(study.captures, study.config.seed)  # noqa: E731
        return self._try("closure", test) if self.asked.closure else None

    @cached_property
    def mask(self):
        """The `MaskCheck`, if asked for."""
        return self._try("mask", self.analysis.fit.check_mask) if self.asked.mask else None

    # ---- in words -----------------------------------------------------------------------------------------------

    def paragraphs(self, texts: Texts) -> list[str]:
        """What the checks found, a paragraph each."""
        told = [
            self._goodness(texts),
            self._ghosts(texts),
            self._pattern(texts),
            self._closure(texts),
            self._mask(texts),
        ]
        names = {
            "ghosts": "check_ghosts",
            "residuals": "check_residuals",
            "closure": "check_closure",
            "mask": "check_mask",
        }
        for name, why in self.refused.items():
            told.append(texts.say("no_check", check=texts.say(names[name]), why=texts.term(why)))
        return [words for words in told if words]

    def _goodness(self, texts: Texts) -> str:
        tests = self.analysis.goodness
        if not len(tests):
            return texts.say("goodness_none") if self.asked.goodness else ""
        p = tests["p"].to_numpy(float)
        told = dict(zip(("records", "animals", "stations"), (percent(v) for v in p), strict=True))
        if p.min() >= DOUBTFUL / len(p):
            return texts.say("scr_fits", **told)
        name = tests["test"].iloc[int(p.argmin())]
        about = next(what for start, what in ABOUT.items() if name.startswith(start))
        return f"{texts.say('scr_fits_not', **told)} {texts.say(f'scr_misses_{about}')}"

    def _ghosts(self, texts: Texts) -> str:
        parts, test, table = [], self.ghosts, self.sensitivity
        if test is not None:
            kind = "ghosts_many" if test.p_value < DOUBTFUL else "ghosts_few" if test.observed else "ghosts_none"
            told = {"once": f"{test.observed:,}", "expected": number(test.expected, 3), "p": number(test.p_value, 2)}
            parts.append(texts.say(kind, **told))
            if test.c_hat > 1.0 and test.observed:
                parts.append(texts.say("ghosts_flanks"))
        if table is not None and table["left_out"].any():
            row = table[(table["at_least"] == 2) & (table["quantity"] == "density")].iloc[0]
            change = row["change"]
            told = {"left_out": f"{row['left_out']:,}", "density": number(row["estimate"], 3)}
            told |= {"lower": number(row["lower"], 3), "upper": number(row["upper"], 3)}
            told["change"] = _signed(change)
            parts.append(texts.say("without_once", **told))
        return " ".join(parts)

    def _pattern(self, texts: Texts) -> str:
        if self.pattern is None:
            return ""
        kind = "residuals_pattern" if self.pattern.p_value < DOUBTFUL else "residuals_plain"
        return texts.say(kind, p=number(self.pattern.p_value, 2))

    def _closure(self, texts: Texts) -> str:
        test = self.closure
        if test is None:
            return ""
        kind = "closure_doubtful" if test.p_margins < DOUBTFUL else "closure_fine"
        told = {
            "animals": test.animals,
            "span": number(test.span, 3),
            "expected": number(test.expected_given_margins, 3),
        }
        words = texts.say(kind, p=number(test.p_margins, 2), p_otis=number(test.p_otis, 2), **told)
        p = test.tables["p"].to_numpy(float)[:3]
        if not np.isfinite(p).all():  # too few animals
            return words
        both, come, go = (number(value, 2) for value in p)
        return f"{words} {texts.say('closure_tables', come=come, go=go, both=both)}"

    def _mask(self, texts: Texts) -> str:
        if self.mask is None:
            return ""
        change = self.mask.table.groupby("mask")["change"].agg(lambda v: v.iloc[v.abs().argmax()])
        told = {what: _signed(change[what]) for what in ("wider", "finer") if what in change}
        if "wider" not in told:
            return texts.say("mask_finer_only", finer=told["finer"])
        return texts.say("mask_good" if self.mask.good else "mask_bad", **told)

    # ---- tables -------------------------------------------------------------------------------------------------

    def table(self) -> pd.DataFrame | None:
        """T17: density and abundance by all animals, and by those detected twice."""
        found = self.sensitivity
        if found is None or not found["left_out"].any():
            return None
        change = ["" if k == 1 else _signed(c) for k, c in found[["at_least", "change"]].to_numpy()]
        interval = [f"{number(a, 3)} – {number(b, 3)}" for a, b in found[["lower", "upper"]].to_numpy()]
        return pd.DataFrame(
            {
                "detections of each animal": [f"≥ {k}" for k in found["at_least"]],
                "animals": found["animals"].to_numpy(),
                "left out": found["left_out"].to_numpy(),
                "quantity": found["quantity"].to_numpy(),
                "scope": found["scope"].to_numpy(),
                "estimate": [number(v, 3) for v in found["estimate"]],
                "se": [number(v, 3) for v in found["se"]],
                "95 % interval": interval,
                "change": change,
            }
        )


def _signed(change: float) -> str:
    """A relative change as people write it.

    >>> _signed(-0.123), _signed(0.0001)
    ('−12.3 %', '0.0 %')
    """
    text = f"{100 * change:+.1f} %"
    return text[1:] if text[1:] == "0.0 %" else text.replace("-", "−")
