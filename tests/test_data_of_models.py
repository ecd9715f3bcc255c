"""A model that is given data of another kind says which it needs, and how they are read."""

import numpy as np
import pandas as pd
import pytest

from uncia import models
from uncia.survey import CaptureHistory, DetectionHistory, Detectors, EncounterHistory, SurveyError

ANIMALS = EncounterHistory(np.array([[1, 0, 1], [0, 1, 1]]))
SITES = DetectionHistory.from_wide(np.array([[1, 0, 1], [0, 0, 0]]))


def test_words():
    for name in ("CJS", "ClosedCapture", "JollySeber", "LogLinear", "Multistate", "RobustDesign"):
        with pytest.raises(SurveyError) as error:
            getattr(models, name)(SITES)
        assert str(error.value) == (
            f"{name} takes its data as EncounterHistory (found 'DetectionHistory'). "
            "Read it with survey.read_histories, read_encounters or read_inp"
        )
    for name in ("Occupancy", "NMixture", "DynamicOccupancy", "RoyleNichols", "Removal"):
        with pytest.raises(SurveyError, match=f"{name} takes its data as DetectionHistory.*survey.read_visits"):
            getattr(models, name)(history=ANIMALS)
    with pytest.raises(SurveyError, match=r"KnownFate takes its data as MonitoredAnimals.*survey.read_fates"):
        models.KnownFate(ANIMALS)
    with pytest.raises(SurveyError, match="this model needs reports between occasions"):
        models.Burnham(ANIMALS)


def test_places_can_be_dropped():
    detections = {"animal": ["a"], "occasion": [1], "detector": ["1"]}
    captures = CaptureHistory(pd.DataFrame(detections), Detectors(("1",), [0.0], [0.0], np.ones((2, 1))))
    with pytest.raises(SurveyError, match=r"Drop the places: EncounterHistory.from_captures\(captures\)"):
        models.ClosedCapture(captures)
    assert models.ClosedCapture(EncounterHistory.from_captures(captures))
