"""What was done and what was seen: survey data with effort."""

if __name__ != "uncia.survey":
    raise ImportError(
        f"this folder is the package uncia.survey, not {__name__!r}: "
        "run `pip install -e .` once, then `from uncia import survey`"
    )

from .captures import CaptureHistory
from .crs import suggest_utm, to_degrees, to_metres
from .detectors import Detectors
from .errors import SurveyError, SurveyWarning
from .habitat import HabitatMask
from .readers.secr_text import read_secr
from .tables import SurveyTables
from .verify import Findings, verify
from .writers.secr_text import write_secr

__all__ = [
    "CaptureHistory",
    "Detectors",
    "Findings",
    "HabitatMask",
    "SurveyError",
    "SurveyTables",
    "SurveyWarning",
    "read_secr",
    "suggest_utm",
    "to_degrees",
    "to_metres",
    "verify",
    "write_secr",
]
