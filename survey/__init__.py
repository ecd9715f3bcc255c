"""What was done and what was seen: survey data with effort."""

if __name__ != "uncia.survey":
    raise ImportError(
        f"this folder is the package uncia.survey, not {__name__!r}: "
        "run `pip install -e .` once, then `from uncia import survey`"
    )

from .tables import SurveyTables

__all__ = ["SurveyTables"]
