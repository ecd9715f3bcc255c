"""The kinds of survey that a survey.toml can be about."""

from __future__ import annotations

from .captures.study import CaptureStudy
from .encounters.study import EncounterStudy
from .fates.study import FateStudy
from .live_dead.study import LiveDeadStudy
from .pairs.study import PairStudy
from .parks.study import ParkStudy
from .region.study import RegionStudy
from .samples.study import SampleStudy
from .sites.study import SiteStudy
from .study import Study
from .years.study import YearStudy

FAMILIES: tuple[type[Study], ...] = (
    CaptureStudy,
    SiteStudy,
    PairStudy,
    EncounterStudy,
    LiveDeadStudy,
    SampleStudy,
    FateStudy,
    YearStudy,
    ParkStudy,
    RegionStudy,
)
