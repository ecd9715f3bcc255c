"""All bad inputs, as data: how to make each one, how to read it, and what the message must say.

for case in CASES:
    case.build(folder)
    case.read(folder)         # raises SurveyError, whose text holds every piece of case.expect
"""

from __future__ import annotations

from .packages import EXCEL, PACKAGES, TEXT
from .places_and_times import FAILING, PLACES, TIMES
from .records_and_animals import ANIMALS, CHOICES, RECORDS_CASES, WILDLIFE_INSIGHTS

CASES = [
    *PACKAGES,
    *TEXT,
    *EXCEL,
    *PLACES,
    *TIMES,
    *FAILING,
    *RECORDS_CASES,
    *ANIMALS,
    *CHOICES,
    *WILDLIFE_INSIGHTS,
]
