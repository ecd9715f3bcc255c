"""What we think happened: population models and their fits."""

if __name__ != "uncia.models":
    raise ImportError(
        f"this folder is the package uncia.models, not {__name__!r}: "
        "run `pip install -e .` once, then `from uncia import models`"
    )

from .counts.n_mixture import NMixture
from .counts.removal import Removal
from .detection import DETECTION_FUNCTIONS, DetectionFunction
from .fit import Fit
from .inference.compare import compare
from .marked.closed import ClosedCapture
from .marked.jackknife import jackknife
from .marked.loglinear import LogLinear
from .occupancy.dynamic import DynamicOccupancy
from .occupancy.false_positive import FalsePositiveOccupancy
from .occupancy.multi_scale import MultiMethodOccupancy
from .occupancy.multistate import MultistateOccupancy
from .occupancy.royle_nichols import RoyleNichols
from .occupancy.sign_survey import SignSurvey
from .occupancy.single_season import Occupancy
from .occupancy.two_species import TwoSpeciesOccupancy
from .spatial.scr import SCR
from .spatial.simulate import simulate_population
from .verdict import Outcome, Verdict

__all__ = [
    "DETECTION_FUNCTIONS",
    "SCR",
    "ClosedCapture",
    "DetectionFunction",
    "DynamicOccupancy",
    "FalsePositiveOccupancy",
    "Fit",
    "LogLinear",
    "MultiMethodOccupancy",
    "MultistateOccupancy",
    "NMixture",
    "Occupancy",
    "Outcome",
    "Removal",
    "RoyleNichols",
    "SignSurvey",
    "TwoSpeciesOccupancy",
    "Verdict",
    "compare",
    "jackknife",
    "simulate_population",
]
