"""The same model with other formulas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from oracle_resight import survey_of
from scr_problems import small

from uncia import models
from uncia.survey import CaptureHistory
from uncia.survey.errors import SurveyError


def test_the_proportion_identified_is_a_parameter_like_others():
    marking, sightings, mask = survey_of("proximity", seed=3)
    how = {"lambda0": "~ phase", "detection": "hazard half-normal"}
    fixed = models.MarkResight(marking, sightings, mask, pID=0.7, **how)
    free = fixed.with_formulas(pID="~ 1")
    assert (free.formulas["pID"], free.parameters["pID"].link.name) == ("~ 1", "logit")
    whole = models.MarkResight(marking, sightings, mask, **how)
    vector = whole.start()
    assert free.loglik(vector) == whole.loglik(vector)
    back = whole.with_formulas(pID=0.7, lambda0="~ 1")
    assert back.parameters["pID"].fixed == 0.7 and back.formulas["lambda0"] == "~ 1"


def test_parameters_that_a_model_does_not_have_are_refused():
    captures, mask = small("count")
    model = models.SCR(captures, mask, detection="hazard half-normal")
    for name in ("pID", "pmix", "size", "cost"):
        with pytest.raises(SurveyError, match=f"parameter is not known \\(found '{name}'\\)"):
            model.with_formulas(**{name: "~ 1"})
    assert np.isfinite(model.with_formulas(sigma=300.0).loglik(model.start()[:2]))


@pytest.mark.parametrize("kind", ["multi", "proximity"])
def test_an_occasion_on_which_nothing_worked_is_no_level_of_t(kind):
    """As if it had not been: the others keep their names."""
    captures, mask = small(kind)
    effort, found = captures.detectors.effort.copy(), captures.detections
    effort[1], found = 0.0, found[found["occasion"] != 2]
    with_gap = replace(captures, detectors=replace(captures.detectors, effort=effort), detections=found)
    earlier = found.assign(occasion=found["occasion"] - (found["occasion"] > 2))
    shorter = replace(captures.detectors, effort=np.delete(effort, 1, axis=0))
    without = CaptureHistory(earlier.drop(columns=["file", "row"], errors="ignore"), shorter)
    gap, none = (models.SCR(c, mask, lambda0="~ t", detection="hazard half-normal") for c in (with_gap, without))
    assert [term for name, term in gap.parameters.labels if name == "lambda0"][1] == "t[T.3]"
    vector = none.start()
    assert gap.loglik(vector) == pytest.approx(none.loglik(vector), rel=1e-12)


def test_predictions_have_one_row_for_each_row_of_covariates():
    """Also where several sessions share it."""
    captures, mask = small("proximity")
    both = [captures, replace(captures, session="b")]
    for formula, rows in (("~ 1", 1), ("~ session", 2), ("~ T", captures.n_occasions)):
        model = models.SCR(both, [mask, mask], lambda0=formula, detection="hazard half-normal")
        fit = model.at(**model.parameters.given(model.start()))
        found = fit.predict("lambda0")
        again = fit.predict("lambda0", found.drop(columns=["estimate", "se", "lower", "upper"]))
        assert len(found) == rows and again["estimate"].tolist() == found["estimate"].tolist()
