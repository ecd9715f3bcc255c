"""What we think happened: population models and their fits."""

if __name__ != "uncia.models":
    raise ImportError(
        f"this folder is the package uncia.models, not {__name__!r}: "
        "run `pip install -e .` once, then `from uncia import models`"
    )

from .detection import DETECTION_FUNCTIONS, DetectionFunction
from .fit import Fit
from .inference.compare import compare
from .occupancy.royle_nichols import RoyleNichols
from .occupancy.single_season import Occupancy
from .spatial.scr import SCR
from .spatial.simulate import simulate_population
from .verdict import Outcome, Verdict

__all__ = [
    "DETECTION_FUNCTIONS",
    "SCR",
    "DetectionFunction",
    "Fit",
    "Occupancy",
    "Outcome",
    "RoyleNichols",
    "Verdict",
    "compare",
    "simulate_population",
]
