"""The same model with other formulas."""

from __future__ import annotations

import numpy as np
import pytest
from oracle_resight import survey_of
from scr_problems import small

from uncia import models
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
